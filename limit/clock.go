package limit

import (
	"math"
	"math/big"
	"time"
)

// maxOrigin bounds the Unix time of an origin, so that a difference to any
// other instant cannot wrap round into the range that is taken as exact.
const maxOrigin = 1 << 42

// clock turns instants into nanoseconds since an origin, and remembers the
// latest one seen. The zero value is not ready; use newClock.
type clock struct {
	sec, nsec int64 // the origin, as time.Time gives it
	now       int64 // the latest instant seen, ns since the origin; never negative
}

func newClock(origin time.Time) clock {
	return clock{sec: origin.Unix(), nsec: int64(origin.Nanosecond())}
}

// exactSeconds bounds the differences that fit an int64 of nanoseconds
// whatever their fraction of a second.
const exactSeconds = math.MaxInt64/1_000_000_000 - 1

// since returns the nanoseconds from the origin to at, held to the range of an
// int64.
//
// Subtle: not at.Sub(origin), which prefers the monotonic clock when both
// instants carry one and costs three times as much. Small enough to be inlined
// into see, which begins every decision.
func (c *clock) since(at time.Time) int64 {
	unix := at.Unix()
	s := unix - c.sec
	if uint64(s+exactSeconds) <= 2*exactSeconds {
		return s*1e9 + int64(at.Nanosecond()) - c.nsec
	}
	if unix < c.sec {
		return math.MinInt64
	}
	return math.MaxInt64
}

// see moves the clock to at. It returns how far it moved, and how far at lies
// behind the latest instant seen; one of the two is zero.
func (c *clock) see(at time.Time) (elapsed, lag int64) {
	t := c.since(at)
	elapsed = t - c.now
	if t >= c.now {
		c.now = t
		return elapsed, 0
	}
	if elapsed >= 0 || elapsed == math.MinInt64 { // further back than an int64 says
		return 0, math.MaxInt64
	}
	return 0, -elapsed
}

// instant returns the latest instant seen.
func (c *clock) instant() time.Time {
	return time.Unix(c.sec, c.nsec).Add(time.Duration(c.now))
}

// after returns a wait that starts at the latest instant seen as a duration
// from an instant that lies lag behind it.
func after(lag, wait int64) time.Duration {
	d := lag + wait
	if d < 0 {
		return Never
	}
	return time.Duration(d)
}

// until is after for a ResetAfter: what is full already needs no time.
func until(lag, wait int64) time.Duration {
	if wait == 0 {
		return 0
	}
	return after(lag, wait)
}

// grid is a row of windows of equal width, aligned to the clock.
type grid struct {
	width uint64 // ns
	shift uint64 // how far before the origin the window that holds it starts, ns; below width
}

// newGrid returns the grid of windows one of which starts at from.
func newGrid(origin, from time.Time, width time.Duration) grid {
	ns := func(t time.Time) *big.Int {
		n := big.NewInt(t.Unix())
		n.Mul(n, big.NewInt(1e9))
		return n.Add(n, big.NewInt(int64(t.Nanosecond())))
	}
	shift := ns(origin)
	shift.Sub(shift, ns(from))
	shift.Mod(shift, big.NewInt(int64(width))) // Euclidean: never negative
	return grid{width: uint64(width), shift: shift.Uint64()}
}

// clockGrid returns the grid of a policy's clock-aligned windows: one starts at
// the Unix epoch plus Phase.
func clockGrid(p Policy, origin time.Time) grid {
	return newGrid(origin, time.Unix(0, int64(p.Phase)), p.Window)
}

// head returns the start of the window that holds t ≥ 0. It is negative for
// the window that was open at the origin.
func (g grid) head(t int64) int64 {
	// Both are below 1<<63, so the sum fits.
	u := uint64(t) + g.shift
	return int64(u - u%g.width - g.shift)
}

// add returns a + b, or the largest int64 when that is less. Neither is negative.
func add(a, b int64) int64 {
	if s := a + b; s >= 0 {
		return s
	}
	return math.MaxInt64
}
