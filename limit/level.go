package limit

import (
	"math"
	"math/bits"
)

// rate is limit units per window nanoseconds, kept as the fraction it is.
type rate struct{ limit, window uint64 }

func newRate(p Policy) rate {
	return rate{limit: uint64(p.Limit), window: uint64(p.Window)}
}

// span is an exact length of time: ns nanoseconds and part/limit of another,
// where limit is that of the rate it belongs to and part is below it.
//
// At 7 per second one unit is {142857142, 6}: seven of them are a second, and
// not seven nanoseconds less.
type span struct{ ns, part uint64 }

// span returns the time in which n units flow, and false when that is more
// than an int64 of nanoseconds.
func (r rate) span(n uint64) (span, bool) {
	hi, lo := bits.Mul64(n, r.window)
	if hi >= r.limit {
		return span{}, false
	}
	ns, part := bits.Div64(hi, lo, r.limit)
	// The last nanosecond is kept free, so that rounding up cannot overflow.
	return span{ns, part}, ns < math.MaxInt64
}

// units returns how many whole units flow in s, which must come from fewer
// than 1<<63 of them.
func (r rate) units(s span) uint64 {
	hi, lo := bits.Mul64(s.ns, r.limit)
	lo, carry := bits.Add64(lo, s.part, 0)
	if hi += carry; hi == 0 {
		return lo / r.window
	}
	n, _ := bits.Div64(hi, lo, r.window)
	return n
}

// plus returns s + t, each below 1<<63 ns.
func (r rate) plus(s, t span) span {
	s.ns += t.ns
	s.part += t.part
	if s.part >= r.limit {
		s.part -= r.limit
		s.ns++
	}
	return s
}

// minus returns s − t, which must not be negative.
func (r rate) minus(s, t span) span {
	s.ns -= t.ns
	if s.part < t.part {
		s.part += r.limit
		s.ns--
	}
	s.part -= t.part
	return s
}

// less reports whether s is shorter than t.
func (s span) less(t span) bool {
	return s.ns < t.ns || s.ns == t.ns && s.part < t.part
}

// after returns what is left of s when elapsed nanoseconds have passed.
func (s span) after(elapsed uint64) span {
	if elapsed > s.ns {
		return span{}
	}
	s.ns -= elapsed
	return s
}

// ceil returns s in nanoseconds, rounded up: the first instant at which it is over.
func (s span) ceil() int64 {
	if s.part != 0 {
		return int64(s.ns) + 1
	}
	return int64(s.ns)
}

// level is a vessel that drains evenly at a rate, and holds a fixed amount. A
// token bucket is one: what is in the vessel is what is missing from the
// bucket. So is a leaky bucket, whose vessel is the queue.
//
// The amount is kept as the time it takes to drain, so that draining is a
// subtraction and never rounds.
type level struct {
	rate
	one  span  // time in which one unit drains
	full span  // time in which the full vessel drains
	held span  // time in which what it holds drains
	room int64 // whole units that fit when empty
}

func newLevel(r rate, full span) level {
	one, _ := r.span(1)
	return level{rate: r, one: one, full: full, room: int64(r.units(full))}
}

// of returns the drain time of cost units, from 1 to room.
func (l *level) of(cost int64) span {
	if cost == 1 {
		return l.one
	}
	s, _ := l.span(uint64(cost))
	return s
}

// free returns how many whole units fit now.
func (l *level) free() int64 {
	return int64(l.units(l.minus(l.full, l.held)))
}
