package pace

import (
	"math"
	"math/bits"
	"time"
)

// Turn returns the schedule that is p before arrival n, and from there on goes
// at percent of the rate that p was made with, in the same time: what p calls for
// in a second it calls for percent/100 times. Arrival n itself stays where it
// was. percent is 1 or more. Turning again replaces the percentage.
//
// Schedules that have nothing between their arrivals (bursts, instants, random
// ones) send some of them more than once, or leave some out.
func Turn(p Pacer, n, percent int64) Pacer {
	if old, ok := p.(*turned); ok && n < old.first {
		return Turn(old.before, n, percent) // what was turned later is gone
	}
	t := &turned{before: p, base: p, first: n, at: index{n: n}, percent: max(percent, 1)}
	if old, ok := p.(*turned); ok {
		t.base, t.at = old.base, old.index(n)
	}
	t.curve, _ = t.base.(curve)
	return t
}

type turned struct {
	before  Pacer // holds below first
	base    Pacer // what was planned
	curve   curve // base, when it is one
	first   int64
	at      index // where first is in base
	percent int64
}

// index is a place between two arrivals: n + frac/2^64.
type index struct {
	n    int64
	frac uint64
}

// Percent returns the share of the planned rate that holds at the end.
func (t *turned) Percent() int64 { return t.percent }

// index returns where arrival n, at or after first, is in base; n is
// math.MaxInt64 when that is too far.
func (t *turned) index(n int64) index {
	p := uint64(t.percent)
	hi, lo := bits.Mul64(uint64(n-t.first), 100)
	if hi >= p {
		return index{n: math.MaxInt64}
	}
	q, r := bits.Div64(hi, lo, p)
	part, _ := bits.Div64(r, 0, p)
	frac, carry := bits.Add64(t.at.frac, part, 0)
	if q >= math.MaxInt64-uint64(t.at.n)-carry {
		return index{n: math.MaxInt64}
	}
	return index{t.at.n + int64(q+carry), frac}
}

func (t *turned) Due(n int64) (time.Duration, bool) {
	if n < t.first {
		return t.before.Due(n)
	}
	i := t.index(n)
	if i.n == math.MaxInt64 {
		return 0, false
	}
	if t.curve != nil && i.frac > 0 {
		return t.curve.at(i.n, i.frac)
	}
	return t.base.Due(i.n)
}
