//go:build !nolibs

package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/RussellLuo/slidingwindow"
	"github.com/didip/tollbooth/v7"
	"github.com/gofiber/fiber/v2"
	fiberlimiter "github.com/gofiber/fiber/v2/middleware/limiter"
	"github.com/juju/ratelimit"
)

func juju(fill time.Duration, capacity, quantum int64) func(context.Context) (http.Handler, error) {
	return func(context.Context) (http.Handler, error) {
		b := ratelimit.NewBucketWithQuantum(fill, capacity, quantum)
		return asked(func(context.Context) bool { return b.TakeAvailable(1) == 1 }), nil
	}
}

func russellLuo(n int64, w time.Duration) func(context.Context) (http.Handler, error) {
	return func(context.Context) (http.Handler, error) {
		l, _ := slidingwindow.NewLimiter(w, n, func() (slidingwindow.Window, slidingwindow.StopFunc) { return slidingwindow.NewLocalWindow() })
		return asked(func(context.Context) bool { return l.Allow() }), nil
	}
}

func tollboothOf(perSecond float64, burst int) func(context.Context) (http.Handler, error) {
	return func(context.Context) (http.Handler, error) {
		l := tollbooth.NewLimiter(perSecond, nil)
		l.SetBurst(burst)
		return tollbooth.LimitHandler(l, okay), nil
	}
}

// inFiber serves by fasthttp.
func inFiber(n int, w time.Duration, how fiberlimiter.LimiterHandler) starter {
	return func(ctx context.Context, _ *house, _ string) (string, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		app.Use(fiberlimiter.New(fiberlimiter.Config{Max: n, Expiration: w, LimiterMiddleware: how}))
		app.Get("/", func(c *fiber.Ctx) error { return c.SendString("ok") })
		go app.Listener(l)
		context.AfterFunc(ctx, func() { app.Shutdown() })
		return "http://" + l.Addr().String() + "/", nil
	}
}

func ofMoreGo() []trial {
	of := func(limiter, set string, t truth, start starter) trial {
		return trial{limiter: limiter, set: set, truth: t, start: start}
	}
	return []trial{
		of("juju/ratelimit", "1 per 200ms, 12", portions(12, 1, 0.2), inGo(juju(200*time.Millisecond, 12, 1))),
		of("juju/ratelimit", "6 per 3s, 18", portions(18, 6, 3), inGo(juju(3*time.Second, 18, 6))),
		of("juju/ratelimit", "10 per 1s, 40", portions(40, 10, 1), inGo(juju(time.Second, 40, 10))),
		of("RussellLuo/slidingwindow", "12 per 3s", window(weighted, 12, 3), inGo(russellLuo(12, 3*time.Second))),
		of("RussellLuo/slidingwindow", "5 per 1s", window(weighted, 5, 1), inGo(russellLuo(5, time.Second))),
		of("RussellLuo/slidingwindow", "40 per 8s", window(weighted, 40, 8), inGo(russellLuo(40, 8*time.Second))),
		of("didip/tollbooth", "3/s, 9", tokens(9, 3), inGo(tollboothOf(3, 9))),
		of("didip/tollbooth", "1/s, 4", tokens(4, 1), inGo(tollboothOf(1, 4))),
		of("didip/tollbooth", "15/s, 30", tokens(30, 15), inGo(tollboothOf(15, 30))),
		// Its clock has whole seconds, and what is refused counts.
		of("fiber limiter, fixed", "10 per 4s", window(fromFirst, 10, 4).ticking(1), inFiber(10, 4*time.Second, fiberlimiter.FixedWindow{})),
		of("fiber limiter, fixed", "5 per 2s", window(fromFirst, 5, 2).ticking(1), inFiber(5, 2*time.Second, fiberlimiter.FixedWindow{})),
		of("fiber limiter, sliding", "10 per 4s", window(weightedDen, 10, 4).ticking(1), inFiber(10, 4*time.Second, fiberlimiter.SlidingWindow{})),
		of("fiber limiter, sliding", "30 per 6s", window(weightedDen, 30, 6).ticking(1), inFiber(30, 6*time.Second, fiberlimiter.SlidingWindow{})),
	}
}
