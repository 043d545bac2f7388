package main

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// tell makes the headers of an answer: "honest" ones, as most services have them
// (limit, remaining, reset and Retry-After in whole seconds, no window), or ones that
// "lie" in one way, which is drawn once for each server.
func (w *world) tell(d limit.Decision) *probe.Told {
	if w.headers == "" || len(w.policies) == 0 {
		return nil
	}
	up := func(d time.Duration) time.Duration { return (d + time.Second - 1).Truncate(time.Second) }
	d.ResetAfter, d.RetryAfter = up(d.ResetAfter), up(d.RetryAfter)
	r := header.FromDecision(w.policies[0], d)
	l := &r.Limits[0]
	l.Window, l.Refill = 0, 0
	if w.headers != "lie" {
		return &r
	}
	switch w.lie {
	case 0: // another limit
		l.Quota = max(1, int64(float64(l.Quota)*w.factor))
		l.Remaining = min(l.Remaining, l.Quota)
	case 1: // always all is left
		l.Remaining = l.Quota
	case 2: // another reset
		if l.ResetAfter != header.Unknown {
			l.ResetAfter = up(time.Duration(float64(l.ResetAfter) * w.factor))
		}
	case 3: // another wait
		r.RetryAfter = up(time.Duration(float64(r.RetryAfter) * w.factor))
	case 4: // all of it
		l.Quota, l.Remaining, l.ResetAfter = 5000, 4999, time.Hour
		r.RetryAfter = time.Minute
	}
	return &r
}

// liar draws in which way the headers lie.
func (w *world) liar(r *rand.Rand) {
	w.lie = r.IntN(5)
	w.factor = math.Exp(0.7 + r.Float64())
	if r.IntN(2) == 0 {
		w.factor = 1 / w.factor
	}
}
