package aws

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// clock is the account's time.
type clock struct {
	given func() time.Time // nil: of our own
	began time.Time
	speed float64
	ahead atomic.Int64 // leaps, in nanoseconds
}

func (c *clock) start(given func() time.Time, speed float64) {
	c.given, c.began, c.speed = given, time.Now(), speed
	if given != nil {
		c.speed = 1
	}
}

func (c *clock) now() time.Time {
	ahead := time.Duration(c.ahead.Load())
	if c.given != nil {
		return c.given().Add(ahead).UTC()
	}
	passed := time.Since(c.began) // monotonic: a step of the machine's clock moves nothing
	return c.began.Add(time.Duration(float64(passed) * c.speed)).Add(ahead).Round(0).UTC()
}

func (c *clock) leap(d time.Duration) { c.ahead.Add(int64(max(d, 0))) }

// real is how long a time of the account takes.
func (c *clock) real(d time.Duration) time.Duration { return time.Duration(float64(d) / c.speed) }

// wait waits for a time of the account, until it is woken, or until the client goes.
func (s *Server) wait(c *wire.Call, d time.Duration, woken <-chan struct{}) {
	// A little longer, so that rounding does not end it before its time, again and again.
	real := s.clock.real(d) + time.Microsecond
	if s.cfg.Clock != nil {
		real = min(real, 20*time.Millisecond) // a clock that somebody sets: look often
	}
	t := time.NewTimer(real)
	defer t.Stop()
	select {
	case <-t.C:
	case <-woken:
	case <-c.Context.Done():
	}
}

// run ticks once a second of the account, unless the clock is somebody else's.
func (s *Server) run() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	if s.cfg.Clock != nil {
		s.Tick()
		return
	}
	every := max(s.clock.real(time.Second), 10*time.Millisecond)
	s.Tick()
	s.done.Go(func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.Tick()
			case <-ctx.Done():
				return
			}
		}
	})
}

func names[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
