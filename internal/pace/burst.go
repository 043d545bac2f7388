package pace

import (
	"math"
	"math/bits"
	"time"
)

// Phase places the first burst on the wall clock: at the first instant, at
// Start or later, that is At past a whole unit Of (time.Second, time.Minute, …)
// of Unix time. The zero value places it at the start of the run.
type Phase struct {
	Of    time.Duration
	At    time.Duration
	Start time.Time // wall clock at the start of the run
}

// Wait returns how long after Start that instant is: at least 0, less than Of.
func (p Phase) Wait() time.Duration {
	if p.Of <= 0 {
		return 0
	}
	of := int64(p.Of)
	// Start modulo Of, without the range of UnixNano.
	hi, lo := bits.Mul64(uint64(mod(p.Start.Unix(), of)), uint64(time.Second))
	past := bits.Rem64(hi, lo, uint64(of))
	past = (past + uint64(p.Start.Nanosecond())) % uint64(of)
	wait := mod(int64(p.At), of) - int64(past)
	return time.Duration(mod(wait, of))
}

func mod(a, m int64) int64 {
	if a %= m; a < 0 {
		a += m
	}
	return a
}

// Burst returns the schedule of n arrivals at one instant, repeated every so
// often for the duration d (d ≤ 0: without end), the first time where phase
// says. With every ≤ 0 there is one burst only.
func Burst(n int64, every time.Duration, phase Phase, d time.Duration) Pacer {
	first := phase.Wait()
	if n <= 0 || d > 0 && first >= d {
		return never{}
	}
	b := &burst{n: n, every: max(every, 0), first: first, last: math.MaxInt64}
	switch {
	case every <= 0:
		b.last = n - 1
	case d > 0:
		// The bursts before d: ⌈(d-first)/every⌉.
		times := (int64(d-first)-1)/int64(every) + 1
		if times <= math.MaxInt64/n {
			b.last = times*n - 1
		}
	}
	return b
}

type burst struct {
	n            int64
	every, first time.Duration
	last         int64 // the last arrival
}

func (b *burst) Due(n int64) (time.Duration, bool) {
	if n < 0 || n > b.last {
		return 0, false
	}
	hi, lo := bits.Mul64(uint64(n/b.n), uint64(b.every))
	if hi != 0 || lo > uint64(math.MaxInt64-b.first) {
		return math.MaxInt64, true
	}
	return b.first + time.Duration(lo), true
}
