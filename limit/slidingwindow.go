package limit

import (
	"math/bits"
	"time"
)

// slidingWindow keeps two counts: of the current window of a grid, and of the
// one before it.
type slidingWindow struct {
	clock
	grid
	head        int64 // of the current window, ns since the origin
	previous    uint64
	current     uint64 // both below 1<<63
	limit       int64
	warnBelow   int64
	countDenied bool
}

func newSlidingWindow(p Policy, origin time.Time) *slidingWindow {
	l := &slidingWindow{
		clock: newClock(origin), grid: clockGrid(p, origin),
		limit: p.Limit, warnBelow: warnBelow(p.WarnAt, p.Limit), countDenied: p.CountDenied,
	}
	l.head = l.grid.head(0)
	return l
}

func (l *slidingWindow) Take(at time.Time, cost int64) (d Decision) {
	l.judge(&d, at, cost, true)
	return d
}

func (l *slidingWindow) judge(d *Decision, at time.Time, cost int64, commit bool) {
	_, lag := l.see(at)
	elapsed := l.roll()
	d.Allowed, d.Limit = true, l.limit
	// The weighted share of the previous window, rounded down. Since all else is
	// whole, comparing with it is comparing with the exact estimate: x + c < L + 1.
	// The sum of the two fits, each being below 1<<63.
	share := l.share(elapsed)
	if cost > 0 {
		d.Allowed = cost <= l.limit && share+l.current <= uint64(l.limit-cost)
		if commit && (d.Allowed || l.countDenied) {
			l.add(cost)
		}
	}
	if !d.Allowed {
		d.RetryAfter = Never
		if cost <= l.limit {
			d.RetryAfter = after(lag, l.wait(uint64(l.limit-cost), elapsed))
		}
	}
	if used := share + l.current; used < uint64(l.limit) {
		d.Remaining = l.limit - int64(used)
	}
	d.ResetAfter = until(lag, l.reset(elapsed))
	d.Warn = d.Remaining < l.warnBelow
}

// roll moves to the window that holds the latest instant, and returns how far
// into it that is.
func (l *slidingWindow) roll() (elapsed uint64) {
	elapsed = uint64(l.now - l.head) // right even where an int64 is too small
	if elapsed < l.width {
		return elapsed
	}
	l.previous, l.current = l.current, 0
	if elapsed -= l.width; elapsed >= l.width {
		l.previous = 0
	}
	l.head = l.grid.head(l.now)
	return uint64(l.now - l.head)
}

// share returns previous·(width − elapsed)/width, rounded down.
func (l *slidingWindow) share(elapsed uint64) uint64 {
	if l.previous == 0 {
		return 0
	}
	hi, lo := bits.Mul64(l.previous, l.width-elapsed)
	if hi == 0 {
		return lo / l.width
	}
	n, _ := bits.Div64(hi, lo, l.width) // hi < width, since previous·(width−elapsed) < width·1<<64
	return n
}

// wait returns the nanoseconds until the estimate, rounded down, is at most
// target if nothing more is taken.
func (l *slidingWindow) wait(target, elapsed uint64) int64 {
	if l.current <= target {
		if to := l.reach(l.previous, target-l.current); to > elapsed {
			return int64(to - elapsed)
		}
		return 0
	}
	// Not in this window; in the next, the current count is the previous one.
	return add(int64(l.width-elapsed), int64(l.reach(l.current, target)))
}

// reach returns how far into a window the share of the window before it, which
// counted n, has first sunk to at most target, rounded down:
//
//	n·(width−e) < (target+1)·width   ⇔   width−e ≤ ((target+1)·width − 1)/n
func (l *slidingWindow) reach(n, target uint64) uint64 {
	if n <= target {
		return 0
	}
	hi, lo := bits.Mul64(target+1, l.width)
	lo, borrow := bits.Sub64(lo, 1, 0)
	hi -= borrow
	left, _ := bits.Div64(hi, lo, n) // hi < n: target+1 ≤ n and width < 1<<64
	return l.width - left
}

// reset is wait(0, elapsed), with the simpler division that a target of zero
// allows: every decision needs it.
func (l *slidingWindow) reset(elapsed uint64) int64 {
	if l.current != 0 {
		return add(int64(l.width-elapsed), int64(l.width-(l.width-1)/l.current))
	}
	if l.previous != 0 {
		return max(0, int64(l.width-elapsed)-int64((l.width-1)/l.previous))
	}
	return 0
}

func (l *slidingWindow) add(cost int64) {
	l.current = uint64(add(int64(l.current), cost))
}

func (l *slidingWindow) refused(at time.Time, cost int64) {
	l.see(at)
	l.roll()
	if l.countDenied && cost > 0 {
		l.add(cost)
	}
}

func (l *slidingWindow) relimit(limit, _, warnBelow int64) { l.limit, l.warnBelow = limit, warnBelow }

func (l *slidingWindow) renew() { l.previous, l.current = 0, 0 }

func (l *slidingWindow) Clone() Limiter { c := *l; return &c }
