package enforce

import (
	"context"
	"sync"
	"time"

	"github.com/weir-dev/weir/limit"
)

// leases are the units that a process has taken in advance.
type leases struct {
	sync.Mutex
	byKey   map[leaseKey]*lease
	sweepAt int
}

type leaseKey struct {
	entry int
	key   string
}

// lease is what was taken in advance for a key, and what the store said then.
//
// A process holds one at a time for a key, of Size−1 units at most when it has
// just been taken: that is what the bound in Lease rests on.
type lease struct {
	left    int64
	until   time.Time // when what is left is void
	asking  bool      // somebody is asking for the next one
	last    limit.Decision
	at      time.Time // of last
	small   time.Time // before this there is not enough for a whole lease
	refused int64     // the cost refused last; nothing as dear passes before again
	again   time.Time
}

// lease decides from units taken in advance, and takes the next ones. It
// returns false when the store does not answer.
func (r *SharedRules) lease(ctx context.Context, a *Ask, e *Entry) (limit.Decision, bool) {
	k := leaseKey{a.Entry, short(a.Key)}
	now := r.shared.clock()
	size := e.Lease.Size

	r.leases.Lock()
	l := r.leases.of(k, now)
	if d, ok := l.spend(now, a.Cost); ok {
		r.leases.Unlock()
		r.shared.byLease.Add(1)
		a.Decision, a.By = d, ByLease
		return d, true
	}
	mine := !l.asking && a.Cost < size && !now.Before(l.small)
	if mine {
		l.asking = true
	}
	r.leases.Unlock()

	cost := a.Cost
	if !mine {
		d, ok := r.askOne(ctx, a, cost)
		if ok && !d.Allowed {
			r.leases.Lock()
			l.note(now, cost, d)
			r.leases.Unlock()
		}
		return d, ok
	}
	d, ok := r.askOne(ctx, a, size)
	taken, small := size, time.Time{}
	if ok && !d.Allowed && d.RetryAfter != limit.Never {
		small = now.Add(d.RetryAfter)
	}
	if ok && !d.Allowed && d.Remaining >= cost {
		d, ok = r.askOne(ctx, a, cost)
		taken = cost
	}
	r.leases.Lock()
	defer r.leases.Unlock()
	l.asking, l.small = false, small
	switch {
	case !ok:
	case d.Allowed:
		l.left, l.until = taken-cost, now.Add(e.Lease.For)
		l.last, l.at, l.refused = d, now, 0
		d.Remaining += l.left
		a.Decision = d
	case taken == cost:
		l.note(now, cost, d)
	default:
		// Refused for the whole lease, and there is not enough for the cost alone.
		d.RetryAfter = wait(e.For(a.Key), d, cost)
		l.note(now, cost, d)
		a.Decision = d
	}
	return d, ok
}

// wait returns how long until a token bucket with what d says holds cost.
//
// Subtle: ResetAfter is when the bucket is full, so cost is there as much
// earlier as the rest takes to flow; rounded up, so that it is never too early.
func wait(p limit.Policy, d limit.Decision, cost int64) time.Duration {
	l, err := p.New(time.Time{})
	if err != nil {
		return d.RetryAfter
	}
	rest := time.Duration(0)
	if n := d.Limit - cost; n > 0 {
		rest = l.Take(time.Unix(0, 0), n).ResetAfter
	}
	return max(1, d.ResetAfter-rest+1)
}

// askOne asks the store for cost units in place of a's.
func (r *SharedRules) askOne(ctx context.Context, a *Ask, cost int64) (limit.Decision, bool) {
	one := [1]Ask{{Entry: a.Entry, Key: a.Key, Cost: cost}}
	d, ok := r.ask(ctx, one[:])
	if ok {
		a.Decision, a.By, a.Hold = one[0].Decision, one[0].By, one[0].Hold
	}
	return d, ok
}

// of returns the lease of a key, new if there is none.
func (ls *leases) of(k leaseKey, now time.Time) *lease {
	if l := ls.byKey[k]; l != nil {
		return l
	}
	if len(ls.byKey) >= max(ls.sweepAt, 1024) {
		for k, l := range ls.byKey {
			if !l.asking && !now.Before(l.until) && !now.Before(l.again) {
				delete(ls.byKey, k)
			}
		}
		ls.sweepAt = 2 * len(ls.byKey)
	}
	if ls.byKey == nil {
		ls.byKey = map[leaseKey]*lease{}
	}
	l := &lease{}
	ls.byKey[k] = l
	return l
}

// spend decides without the store, if it can.
func (l *lease) spend(now time.Time, cost int64) (limit.Decision, bool) {
	if now.Before(l.until) && cost <= l.left {
		l.left -= cost
		d := l.last
		d.Allowed, d.RetryAfter = true, 0
		d.Remaining += l.left
		d.ResetAfter = max(0, d.ResetAfter-now.Sub(l.at))
		return d, true
	}
	if l.refused > 0 && cost >= l.refused && now.Before(l.again) {
		d := l.last
		d.Allowed, d.RetryAfter = false, l.again.Sub(now)
		d.ResetAfter = max(0, d.ResetAfter-now.Sub(l.at))
		return d, true
	}
	return limit.Decision{}, false
}

// note keeps a refusal, so that the same is not asked again before it can pass.
func (l *lease) note(now time.Time, cost int64, d limit.Decision) {
	if d.RetryAfter > 0 && d.RetryAfter != limit.Never {
		l.last, l.at, l.refused, l.again = d, now, cost, now.Add(d.RetryAfter)
	}
}
