// Package pace is Pacer, a schedule: it says when the n-th request of a run is
// due, whatever happened to the requests before it.
//
// Schedules are values computed with integers, so they do not drift: the n-th
// arrival at 7/s is at the whole nanosecond below n/7 s, today or after a year.
// Arrivals follow one convention everywhere. A plan is a rate over time, its
// integral is the number of arrivals called for so far, and arrival n, counted
// from 0, is due at the last whole nanosecond at which at most n were called
// for. So the first arrival of a constant rate is at once, and a pause sends
// nothing. A plan that ends has round(integral) arrivals, all before its end.
//
// Level is the same for the closed model: how many users there are over time.
package pace

import (
	"math"
	"math/bits"
	"sort"
	"time"
)

// A Pacer says when arrivals are due.
//
// Due returns the offset from the start of the run at which arrival n, counted
// from 0, is due. It never decreases with n. ok is false when n is negative or
// the schedule ends before n; then at has no meaning. Due is a pure function:
// it may be called in any order and by any number of goroutines.
type Pacer interface {
	Due(n int64) (at time.Duration, ok bool)
}

// Count returns how many arrivals p has, or math.MaxInt64 when it has no end.
func Count(p Pacer) int64 {
	if _, ok := p.Due(math.MaxInt64 - 1); ok {
		return math.MaxInt64
	}
	return search(func(n int64) bool {
		_, ok := p.Due(n)
		return ok
	})
}

// CountBefore returns how many arrivals of p are due before t.
func CountBefore(p Pacer, t time.Duration) int64 {
	return search(func(n int64) bool {
		at, ok := p.Due(n)
		return ok && at < t
	})
}

// search returns the smallest n for which in is false, where in holds for all
// smaller ones and for none larger; math.MaxInt64 when there is none.
func search(in func(int64) bool) int64 {
	low, step := int64(0), int64(1)
	for in(low + step - 1) {
		low += step
		if low > math.MaxInt64/4 {
			step = math.MaxInt64 - low
			break
		}
		step *= 2
	}
	return low + int64(sort.Search(int(step), func(i int) bool { return !in(low + int64(i)) }))
}

// Shard returns every shards-th arrival of p, beginning with arrival shard: the
// part of one of several generators that share a schedule. Together they send
// exactly what p says. A shard outside [0, shards) has no arrivals.
func Shard(p Pacer, shard, shards int) Pacer {
	if shard < 0 || shard >= shards {
		return never{}
	}
	if shards == 1 {
		return p
	}
	return part{p, int64(shard), int64(shards)}
}

type part struct {
	p             Pacer
	shard, shards int64
}

func (s part) Due(n int64) (time.Duration, bool) {
	if n < 0 || n > (math.MaxInt64-s.shard)/s.shards {
		return 0, false
	}
	return s.p.Due(n*s.shards + s.shard)
}

// never is the schedule without arrivals.
type never struct{}

func (never) Due(int64) (time.Duration, bool) { return 0, false }

// A curve is a Pacer that also answers between its arrivals: at is when the
// plan has called for n + frac/2^64 arrivals, and false from the end of the
// plan. Poisson walks along it.
type curve interface {
	Pacer
	at(n int64, frac uint64) (time.Duration, bool)
}

// Constant returns the schedule of r for the duration d; d ≤ 0 has no end.
// Arrival n is due at n/r exactly, rounded down to a nanosecond and at most the
// longest duration. There are round(r·d) of them, half rounded up. A zero rate
// has none.
func Constant(r Rate, d time.Duration) Pacer {
	if r.IsZero() {
		return never{}
	}
	c := &constant{n: uint64(r.N), per: uint64(r.Per), length: math.MaxInt64, last: math.MaxInt64}
	if d > 0 {
		c.length = d
		hi, lo := bits.Mul64(c.n, uint64(d))
		c.last = halfUp(hi, lo, c.per) - 1
	}
	return c
}

type constant struct {
	n, per uint64
	length time.Duration
	last   int64 // the last arrival
}

func (c *constant) Due(n int64) (time.Duration, bool) {
	if n < 0 || n > c.last {
		return 0, false
	}
	hi, lo := bits.Mul64(uint64(n), c.per)
	if hi >= c.n {
		return math.MaxInt64, true
	}
	q, _ := bits.Div64(hi, lo, c.n)
	return time.Duration(min(q, math.MaxInt64)), true
}

func (c *constant) at(n int64, frac uint64) (time.Duration, bool) {
	hi, lo := bits.Mul64(uint64(n), c.per)
	part, _ := bits.Mul64(frac, c.per)
	lo, carry := bits.Add64(lo, part, 0)
	hi += carry
	if hi >= c.n {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, c.n)
	return time.Duration(q), q < uint64(c.length)
}

// halfUp returns (hi·2^64+lo)/d rounded to the nearest, at most 2^63-1.
// hi must be under 2^63 and d in [1, 2^63).
func halfUp(hi, lo, d uint64) int64 {
	if hi >= d {
		return math.MaxInt64
	}
	q, r := bits.Div64(hi, lo, d)
	if q >= math.MaxInt64 {
		return math.MaxInt64
	}
	if r >= d-r {
		q++
	}
	return int64(q)
}
