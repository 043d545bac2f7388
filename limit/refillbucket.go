package limit

import (
	"math/bits"
	"time"
)

// refillBucket gains its tokens in portions, at the heads of a grid of windows.
type refillBucket struct {
	clock
	grid
	head        int64 // of the current window, ns since the origin
	tokens      int64
	burst       int64
	portion     int64 // tokens added at each head
	warnBelow   int64
	countDenied bool
}

func newRefillBucket(p Policy, origin time.Time) *refillBucket {
	l := &refillBucket{
		clock: newClock(origin), grid: clockGrid(p, origin),
		tokens: p.Capacity(), burst: p.Capacity(), portion: p.Limit,
		warnBelow: warnBelow(p.WarnAt, p.Capacity()), countDenied: p.CountDenied,
	}
	l.head = l.grid.head(0)
	return l
}

func (l *refillBucket) Take(at time.Time, cost int64) (d Decision) {
	l.judge(&d, at, cost, true)
	return d
}

func (l *refillBucket) judge(d *Decision, at time.Time, cost int64, commit bool) {
	_, lag := l.see(at)
	l.roll()
	d.Allowed, d.Limit = true, l.burst
	switch {
	case cost <= 0:
	case cost <= l.tokens:
		if commit {
			l.tokens -= cost
		}
	default:
		d.Allowed = false
		if commit && l.countDenied {
			l.tokens = 0
		}
		d.RetryAfter = Never
		if cost <= l.burst {
			d.RetryAfter = after(lag, l.wait(cost-l.tokens))
		}
	}
	d.Remaining = l.tokens
	d.ResetAfter = until(lag, l.wait(l.burst-l.tokens))
	d.Warn = d.Remaining < l.warnBelow
}

// roll adds the portions of all heads passed since the last look.
func (l *refillBucket) roll() {
	// Subtle: head may be negative, and the difference more than an int64 holds;
	// as unsigned numbers it is right.
	elapsed := uint64(l.now - l.head)
	if elapsed < l.width {
		return
	}
	heads := elapsed / l.width
	l.head += int64(heads * l.width)
	hi, added := bits.Mul64(heads, uint64(l.portion))
	if missing := l.burst - l.tokens; hi != 0 || added >= uint64(missing) {
		l.tokens = l.burst
	} else {
		l.tokens += int64(added)
	}
}

// wait returns the nanoseconds until n more tokens have come.
func (l *refillBucket) wait(n int64) int64 {
	if n <= 0 {
		return 0
	}
	left := l.width - uint64(l.now-l.head)
	heads := uint64(1)
	if n > l.portion {
		heads = uint64((n-1)/l.portion) + 1
	}
	hi, lo := bits.Mul64(heads-1, l.width)
	lo, carry := bits.Add64(lo, left, 0)
	if hi+carry != 0 || lo > uint64(Never) {
		return int64(Never)
	}
	return int64(lo)
}

func (l *refillBucket) refused(at time.Time, cost int64) {
	l.see(at)
	l.roll()
	if l.countDenied && cost > 0 {
		l.tokens -= min(cost, l.tokens)
	}
}

func (l *refillBucket) Clone() Limiter { c := *l; return &c }
