package limittest

import (
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Twin is a limiter that does what package limit does, in the most obvious way
// and at any cost: it keeps the list of everything that was ever taken, and
// answers each question from it. An algorithm is one function, free; each
// duration is found by trying. It shares no code with the limiters it is to
// check. Instants must lie within 292 years of each other.
type Twin struct {
	policy  limit.Policy
	free    func(t *Twin, at time.Time) *big.Int // the largest cost that would be allowed at an instant; may be negative
	taken   *ledger
	waiting func(t *Twin, cost int64) time.Duration // Decision.Delay of a cost that is allowed now
}

// ledger is the list of everything taken. Twins on one counter share it.
type ledger struct {
	origin, now time.Time // now is the latest instant seen
	events      []event
	banned      time.Time // until when
}

type event struct {
	at   time.Time
	cost int64 // negative: released
}

// NewTwin returns the twin of p.New(origin). The policy must be valid.
func NewTwin(p limit.Policy, origin time.Time) *Twin {
	t := &Twin{policy: p, taken: &ledger{origin: origin, now: origin}}
	t.free = map[limit.Algorithm]func(*Twin, time.Time) *big.Int{
		limit.TokenBucket:   freeTokens,
		limit.RefillBucket:  freeRefilled,
		limit.FixedWindow:   freeInWindow,
		limit.SlidingLog:    freeInLog,
		limit.SlidingWindow: freeInTwoWindows,
		limit.LeakyBucket:   freeInQueue,
		limit.Concurrency:   freeSlots,
		limit.Quota:         freeInPeriod,
	}[p.Algorithm]
	if p.Algorithm == limit.LeakyBucket {
		t.waiting = delayInQueue
	}
	return t
}

// Take implements limit.Limiter.
func (t *Twin) Take(at time.Time, cost int64) limit.Decision {
	t.see(at)
	d := limit.Decision{Allowed: t.admits(cost, 0)}
	if d.Allowed && cost > 0 {
		if t.waiting != nil {
			if d.Delay = t.waiting(t, cost); d.Delay > 0 {
				d.Delay += t.lag(at)
			}
		}
		t.write(cost)
	} else if !d.Allowed {
		t.refused(cost)
		d.RetryAfter = t.retry(at, cost)
	}
	t.describe(at, &d)
	return d
}

// Clone implements limit.Limiter.
func (t *Twin) Clone() limit.Limiter {
	c, l := *t, *t.taken
	l.events = slices.Clone(l.events)
	c.taken = &l
	return &c
}

// Release implements limit.Releaser.
func (t *Twin) Release(_ time.Time, cost int64) {
	if t.policy.Algorithm == limit.Concurrency && cost > 0 {
		t.write(-cost)
	}
}

func (t *Twin) see(at time.Time) {
	if at.After(t.taken.now) {
		t.taken.now = at
	}
}

func (t *Twin) write(cost int64) {
	t.taken.events = append(t.taken.events, event{t.taken.now, cost})
}

// refused counts a refused request, if those count, or bans.
func (t *Twin) refused(cost int64) {
	if t.policy.Ban > 0 {
		switch {
		case cost <= 0:
		case t.bans(t.taken.now):
			if t.policy.CountDenied {
				t.taken.banned = t.taken.now.Add(t.policy.Ban)
			}
		case !t.admits(cost, 0):
			t.taken.banned, t.taken.events = t.taken.now.Add(t.policy.Ban), nil
		}
		return
	}
	if t.policy.CountDenied && cost > 0 {
		t.write(cost)
	}
}

// bans tells whether everything is refused at an instant.
func (t *Twin) bans(at time.Time) bool { return at.Before(t.taken.banned) }

// admits reports whether cost would be allowed wait from now.
func (t *Twin) admits(cost int64, wait time.Duration) bool {
	return cost <= 0 || !t.bans(t.taken.now.Add(wait)) && t.free(t, t.taken.now.Add(wait)).Cmp(big.NewInt(cost)) >= 0
}

// lag is how far at lies behind the latest instant seen.
func (t *Twin) lag(at time.Time) time.Duration { return t.taken.now.Sub(at) }

func (t *Twin) capacity() int64 {
	empty := *t
	empty.taken = &ledger{origin: t.taken.origin, now: t.taken.now}
	return empty.free(&empty, t.taken.now).Int64()
}

// retry is the RetryAfter of a request that is refused now.
func (t *Twin) retry(at time.Time, cost int64) time.Duration {
	if cost > t.capacity() {
		return limit.Never
	}
	if t.policy.Algorithm == limit.Concurrency {
		return limit.Unknown
	}
	return t.lag(at) + first(func(wait time.Duration) bool { return t.admits(cost, wait) })
}

// describe fills in what depends on the state alone.
func (t *Twin) describe(at time.Time, d *limit.Decision) {
	d.Limit = t.capacity()
	if n := t.free(t, t.taken.now); n.Sign() > 0 && !t.bans(t.taken.now) {
		d.Remaining = n.Int64()
	}
	if d.Remaining < d.Limit {
		d.ResetAfter = limit.Unknown
		if t.policy.Algorithm != limit.Concurrency {
			d.ResetAfter = t.lag(at) + first(func(wait time.Duration) bool { return t.admits(d.Limit, wait) })
		}
	}
	if t.policy.WarnAt > 0 {
		share, _ := new(big.Rat).SetString(strconv.FormatFloat(t.policy.WarnAt, 'g', -1, 64))
		d.Warn = big.NewRat(d.Limit-d.Remaining, d.Limit).Cmp(share) >= 0
	}
}

// first returns the shortest wait for which ok holds, given that it holds from
// there on and not at zero.
func first(ok func(time.Duration) bool) time.Duration {
	low, high := time.Duration(0), time.Duration(1)
	for !ok(high) {
		if low, high = high, 2*high; high > 1<<61 {
			panic("limittest: no wait is long enough")
		}
	}
	for high-low > 1 {
		if mid := low + (high-low)/2; ok(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}
