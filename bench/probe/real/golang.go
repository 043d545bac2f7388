package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"time"

	"github.com/go-chi/httprate"
	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
	uber "go.uber.org/ratelimit"
	"golang.org/x/time/rate"
)

var okay = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })

// inGo serves a handler in this process.
func inGo(of func(ctx context.Context) (http.Handler, error)) starter {
	return func(ctx context.Context, _ *house, _ string) (string, error) {
		handler, err := of(ctx)
		if err != nil {
			return "", err
		}
		return listen(ctx, handler)
	}
}

func listen(ctx context.Context, handler http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: handler}
	go s.Serve(l)
	context.AfterFunc(ctx, func() { s.Close() })
	return "http://" + l.Addr().String() + "/", nil
}

// asked is a server that does what allow says.
func asked(allow func(ctx context.Context) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allow(r.Context()) {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
}

func xTimeRate(perSecond float64, burst int) func(context.Context) (http.Handler, error) {
	return func(context.Context) (http.Handler, error) {
		l := rate.NewLimiter(rate.Limit(perSecond), burst)
		return asked(func(context.Context) bool { return l.Allow() }), nil
	}
}

func gcra(r throttled.Rate, burst int) func(context.Context) (http.Handler, error) {
	return func(context.Context) (http.Handler, error) {
		store, err := memstore.NewCtx(100)
		if err != nil {
			return nil, err
		}
		l, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: r, MaxBurst: burst})
		if err != nil {
			return nil, err
		}
		h := throttled.HTTPRateLimiterCtx{RateLimiter: l, VaryBy: &throttled.VaryBy{Path: true}}
		return h.RateLimit(okay), nil
	}
}

func goLimiter(tokens uint64, interval time.Duration) func(context.Context) (http.Handler, error) {
	return func(ctx context.Context) (http.Handler, error) {
		store, err := memorystore.New(&memorystore.Config{Tokens: tokens, Interval: interval})
		if err != nil {
			return nil, err
		}
		return asked(func(ctx context.Context) bool {
			_, _, _, ok, err := store.Take(ctx, "all")
			return ok && err == nil
		}), nil
	}
}

func ulule(n int64, period time.Duration) func(context.Context) (http.Handler, error) {
	return func(context.Context) (http.Handler, error) {
		l := limiter.New(memory.NewStore(), limiter.Rate{Limit: n, Period: period})
		return asked(func(ctx context.Context) bool {
			c, err := l.Get(ctx, "all")
			return err == nil && !c.Reached
		}), nil
	}
}

func chi(n int, w time.Duration) func(context.Context) (http.Handler, error) {
	return func(context.Context) (http.Handler, error) { return httprate.LimitAll(n, w)(okay), nil }
}

// uberOf never refuses: it lets everybody wait.
func uberOf(perSecond int) func(context.Context) (http.Handler, error) {
	return func(context.Context) (http.Handler, error) {
		l := uber.New(perSecond, uber.WithoutSlack)
		return asked(func(context.Context) bool { l.Take(); return true }), nil
	}
}

// redisRate asks a server of its own.
func redisRate(l redis_rate.Limit) starter {
	return func(ctx context.Context, _ *house, dir string) (string, error) {
		port, err := free()
		if err != nil {
			return "", err
		}
		cmd := exec.Command("redis-server", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir)
		if err := serve(ctx, port, cmd); err != nil {
			return "", err
		}
		client := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port)})
		context.AfterFunc(ctx, func() { client.Close() })
		limiter := redis_rate.NewLimiter(client)
		return listen(ctx, asked(func(ctx context.Context) bool {
			res, err := limiter.Allow(ctx, "all", l)
			return err == nil && res.Allowed > 0
		}))
	}
}
