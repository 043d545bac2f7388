package limittest

import (
	"fmt"
	"math/big"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Each function here is one algorithm: how much would be allowed at an instant
// that is not before any event.

func rat(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

// floor rounds down.
func floor(r *big.Rat) *big.Int {
	return new(big.Int).Div(r.Num(), r.Denom()) // Euclidean, and the denominator is positive
}

// per returns the units that flow at the policy's rate in d.
func per(p limit.Policy, d time.Duration) *big.Rat {
	r := new(big.Rat).SetFrac64(p.Limit, int64(p.Window))
	return r.Mul(r, rat(int64(d)))
}

func bucket(p limit.Policy) int64 {
	if p.Burst == 0 {
		return p.Limit
	}
	return p.Burst
}

// left is the limit less what was used.
func left(p limit.Policy, used *big.Int) *big.Int {
	return new(big.Int).Sub(big.NewInt(p.Limit), used)
}

func atMost(r *big.Rat, most int64) *big.Rat {
	if r.Cmp(rat(most)) > 0 {
		return rat(most)
	}
	return r
}

func atLeastZero(r *big.Rat) *big.Rat {
	if r.Sign() < 0 {
		return new(big.Rat)
	}
	return r
}

func freeTokens(t *Twin, at time.Time) *big.Int {
	tokens, last := rat(bucket(t.policy)), t.taken.origin
	for _, e := range t.taken.events {
		tokens.Add(tokens, per(t.policy, e.at.Sub(last)))
		tokens = atMost(tokens, bucket(t.policy))
		tokens = atLeastZero(tokens.Sub(tokens, rat(e.cost)))
		last = e.at
	}
	tokens.Add(tokens, per(t.policy, at.Sub(last)))
	return floor(atMost(tokens, bucket(t.policy)))
}

func freeRefilled(t *Twin, at time.Time) *big.Int {
	tokens, last := rat(bucket(t.policy)), t.taken.origin
	refill := func(to time.Time) {
		full := rat(bucket(t.policy))
		heads := new(big.Int).Sub(window(t.policy, to), window(t.policy, last))
		for i := new(big.Int); i.Cmp(heads) < 0 && tokens.Cmp(full) < 0; i.Add(i, big.NewInt(1)) {
			tokens.Add(tokens, rat(t.policy.Limit))
		}
		tokens = atMost(tokens, bucket(t.policy))
	}
	for _, e := range t.taken.events {
		refill(e.at)
		tokens = atLeastZero(tokens.Sub(tokens, rat(e.cost)))
		last = e.at
	}
	refill(at)
	return floor(tokens)
}

// window returns the number of the clock-aligned window that holds at.
func window(p limit.Policy, at time.Time) *big.Int {
	return numbered(at, time.Unix(0, 0).Add(p.Phase), p.Window)
}

// numbered returns the number of the window that holds at, among those of equal
// width of which number 0 starts at from.
func numbered(at, from time.Time, width time.Duration) *big.Int {
	ns := func(t time.Time) *big.Int {
		n := big.NewInt(t.Unix())
		n.Mul(n, big.NewInt(1_000_000_000))
		return n.Add(n, big.NewInt(int64(t.Nanosecond())))
	}
	n := new(big.Int).Sub(ns(at), ns(from))
	return n.Div(n, big.NewInt(int64(width))) // Euclidean: rounds down
}

// used adds up the events for which counts holds.
func (t *Twin) used(counts func(time.Time) bool) *big.Int {
	sum := new(big.Int)
	for _, e := range t.taken.events {
		if counts(e.at) {
			sum.Add(sum, big.NewInt(e.cost))
		}
	}
	return sum
}

func freeInWindow(t *Twin, at time.Time) *big.Int {
	if t.policy.Align == limit.AlignClock {
		now := window(t.policy, at)
		return left(t.policy, t.used(func(e time.Time) bool { return window(t.policy, e).Cmp(now) == 0 }))
	}
	var opened time.Time
	open := false
	sum := new(big.Int)
	for _, e := range t.taken.events {
		if !open || e.at.Sub(opened) >= t.policy.Window {
			opened, open, sum = e.at, true, new(big.Int)
		}
		if t.policy.Align == limit.AlignLast {
			opened = e.at
		}
		sum.Add(sum, big.NewInt(e.cost))
	}
	if open && at.Sub(opened) >= t.policy.Window {
		sum = new(big.Int)
	}
	return left(t.policy, sum)
}

func freeInLog(t *Twin, at time.Time) *big.Int {
	return left(t.policy, t.used(func(e time.Time) bool { return at.Sub(e) < t.policy.Window }))
}

func freeInTwoWindows(t *Twin, at time.Time) *big.Int {
	now := window(t.policy, at)
	before := new(big.Int).Sub(now, big.NewInt(1))
	current := t.used(func(e time.Time) bool { return window(t.policy, e).Cmp(now) == 0 })
	previous := t.used(func(e time.Time) bool { return window(t.policy, e).Cmp(before) == 0 })
	// The head of this window, found by trying.
	elapsed := first(func(d time.Duration) bool { return window(t.policy, at.Add(-d)).Cmp(now) != 0 }) - 1
	estimate := new(big.Rat).SetInt(previous)
	estimate.Mul(estimate, new(big.Rat).SetFrac64(int64(t.policy.Window-elapsed), int64(t.policy.Window)))
	return left(t.policy, current.Add(current, floor(estimate)))
}

// starts returns when the n-th of new units would begin to be served, in
// nanoseconds after at, given that a unit takes window/limit and that those
// before it come first.
func starts(t *Twin, at time.Time, n int64) *big.Rat {
	unit := new(big.Rat).SetFrac64(int64(t.policy.Window), t.policy.Limit)
	idle := new(big.Rat) // when the server has served everything, after the origin
	queue := func(arrival time.Duration, n int64) {
		if rat(int64(arrival)).Cmp(idle) > 0 {
			idle = rat(int64(arrival))
		}
		idle.Add(idle, new(big.Rat).Mul(unit, rat(n)))
	}
	for _, e := range t.taken.events {
		queue(e.at.Sub(t.taken.origin), e.cost)
	}
	queue(at.Sub(t.taken.origin), n)
	start := new(big.Rat).Sub(idle, unit)
	return start.Sub(start, rat(int64(at.Sub(t.taken.origin))))
}

// delay is how much of a start lies beyond the part of the burst that is exempt.
func delay(p limit.Policy, start *big.Rat) *big.Rat {
	exempt := new(big.Rat).SetFrac64(int64(p.Window), p.Limit)
	exempt.Mul(exempt, rat(p.Undelayed))
	return atLeastZero(new(big.Rat).Sub(start, exempt))
}

func freeInQueue(t *Twin, at time.Time) *big.Int {
	n := int64(0)
	for ; ; n++ {
		start := starts(t, at, n+1)
		ahead := new(big.Rat).Quo(start, new(big.Rat).SetFrac64(int64(t.policy.Window), t.policy.Limit))
		if ahead.Cmp(rat(t.policy.Burst)) > 0 {
			break
		}
		if t.policy.MaxDelay > 0 && delay(t.policy, start).Cmp(rat(int64(t.policy.MaxDelay))) > 0 {
			break
		}
	}
	return big.NewInt(n)
}

func delayInQueue(t *Twin, cost int64) time.Duration {
	d := delay(t.policy, starts(t, t.taken.now, cost))
	up := floor(d.Neg(d))
	return time.Duration(-up.Int64()) // rounded up
}

func freeSlots(t *Twin, _ time.Time) *big.Int {
	held := int64(0)
	for _, e := range t.taken.events {
		held = max(0, held+e.cost)
	}
	return big.NewInt(t.policy.Limit - held)
}

func freeInPeriod(t *Twin, at time.Time) *big.Int {
	p := t.policy
	if p.Period == limit.NoPeriod {
		from := p.Start
		if from.IsZero() {
			from = t.taken.origin
		}
		now := numbered(at, from, p.Window)
		return left(p, t.used(func(e time.Time) bool { return numbered(e, from, p.Window).Cmp(now) == 0 }))
	}
	now := label(p, at)
	return left(p, t.used(func(e time.Time) bool { return label(p, e) == now }))
}

// label names the period of the calendar that holds at.
func label(p limit.Policy, at time.Time) string {
	at = at.UTC()
	if p.Location != nil {
		at = at.In(p.Location)
	}
	switch p.Period {
	case limit.PerHour:
		return at.Format("2006-01-02 15 -0700")
	case limit.PerDay:
		return at.Format("2006-01-02")
	case limit.PerWeek:
		year, week := at.ISOWeek()
		return fmt.Sprint(year, week)
	case limit.PerMonth:
		return at.Format("2006-01")
	}
	return at.Format("2006")
}
