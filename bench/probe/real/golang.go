//go:build !nolibs

package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
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

func ofGo() []trial {
	of := func(limiter, set string, t truth, start starter) trial {
		return trial{limiter: limiter, set: set, truth: t, start: start}
	}
	hash := func(set string, t truth, l redis_rate.Limit) trial {
		return trial{limiter: "go-redis/redis_rate", set: set, truth: t, needs: redisServer, start: redisRate(l)}
	}
	return []trial{
		of("golang.org/x/time/rate", "12/s, 35", tokens(35, 12), inGo(xTimeRate(12, 35))),
		of("golang.org/x/time/rate", "2/s, 5", tokens(5, 2), inGo(xTimeRate(2, 5))),
		of("golang.org/x/time/rate", "40/s, 100", tokens(100, 40), inGo(xTimeRate(40, 100))),
		of("throttled (GCRA)", "2/s and 9 more", tokens(10, 2), inGo(gcra(throttled.PerSec(2), 9))),
		of("throttled (GCRA)", "30/min and 4 more", tokens(5, 0.5), inGo(gcra(throttled.PerMin(30), 4))),
		of("throttled (GCRA)", "25/s and 49 more", tokens(50, 25), inGo(gcra(throttled.PerSec(25), 49))),
		of("sethvargo/go-limiter", "30 per 6s", window(byClock, 30, 6), inGo(goLimiter(30, 6*time.Second))),
		of("sethvargo/go-limiter", "5 per 1s", window(byClock, 5, 1), inGo(goLimiter(5, time.Second))),
		of("sethvargo/go-limiter", "12 per 10s", window(byClock, 12, 10), inGo(goLimiter(12, 10*time.Second))),
		of("ulule/limiter", "40 per 10s", window(fromFirst, 40, 10), inGo(ulule(40, 10*time.Second))),
		of("ulule/limiter", "10 per 2s", window(fromFirst, 10, 2), inGo(ulule(10, 2*time.Second))),
		of("ulule/limiter", "15 per 30s", window(fromFirst, 15, 30), inGo(ulule(15, 30*time.Second))),
		// Its share of the window before is rounded to the nearest.
		of("go-chi/httprate", "10 per 3s", window(weighted, 10, 3), inGo(chi(10, 3*time.Second))),
		of("go-chi/httprate", "50 per 5s", window(weighted, 50, 5), inGo(chi(50, 5*time.Second))),
		of("go-chi/httprate", "100 per 10s", window(weighted, 100, 10), inGo(chi(100, 10*time.Second))),
		hash("10/s", tokens(10, 10), redis_rate.PerSecond(10)),
		hash("5/s, 20", tokens(20, 5), redis_rate.Limit{Rate: 5, Period: time.Second, Burst: 20}),
		hash("30/min, 6", tokens(6, 0.5), redis_rate.Limit{Rate: 30, Period: time.Minute, Burst: 6}),
		of("uber-go/ratelimit", "20/s, never refuses", truth{words: "makes everybody wait, 20/s", paced: 20}, inGo(uberOf(20))),
	}
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

// inSpring asks the script of Spring Cloud Gateway's RedisRateLimiter, in a Redis, with
// the time in whole seconds as that does.
func inSpring(perSecond, burst int) starter {
	return func(ctx context.Context, h *house, dir string) (string, error) {
		script, err := fromJar(filepath.Join(h.cache, "jars"), "spring-cloud-gateway-server-", "META-INF/scripts/request_rate_limiter.lua")
		if err != nil {
			return "", err
		}
		port, err := redisIn(ctx, dir)
		if err != nil {
			return "", err
		}
		client := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port)})
		context.AfterFunc(ctx, func() { client.Close() })
		run := redis.NewScript(script)
		return listen(ctx, asked(func(ctx context.Context) bool {
			got, err := run.Run(ctx, client, []string{"tokens", "time"}, perSecond, burst, "", 1).Slice()
			return err == nil && len(got) > 0 && fmt.Sprint(got[0]) == "1"
		}))
	}
}
