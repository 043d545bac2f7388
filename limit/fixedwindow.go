package limit

import "time"

// fixedWindow counts what was taken in the current window.
type fixedWindow struct {
	clock
	grid
	head        int64 // of the current window, ns since the origin
	open        bool  // whether there is a current window; always, when aligned to the clock
	floating    bool  // windows are opened by a request
	renewed     bool  // and begun anew by each
	countDenied bool
	count       int64
	limit       int64
	warnBelow   int64
}

func newFixedWindow(p Policy, origin time.Time) *fixedWindow {
	return newWindow(p, origin, clockGrid(p, origin))
}

func newWindow(p Policy, origin time.Time, g grid) *fixedWindow {
	l := &fixedWindow{
		clock: newClock(origin), grid: g, floating: p.Align != AlignClock, renewed: p.Align == AlignLast,
		limit: p.Limit, warnBelow: warnBelow(p.WarnAt, p.Limit), countDenied: p.CountDenied,
	}
	if !l.floating {
		l.open, l.head = true, g.head(0)
	}
	return l
}

func (l *fixedWindow) Take(at time.Time, cost int64) (d Decision) {
	l.judge(&d, at, cost, true)
	return d
}

func (l *fixedWindow) judge(d *Decision, at time.Time, cost int64, commit bool) {
	_, lag := l.see(at)
	l.roll()
	d.Allowed, d.Limit = true, l.limit
	if cost > 0 {
		d.Allowed = cost <= l.limit-l.count
		if commit && (d.Allowed || l.countDenied) {
			l.add(cost)
		}
	}
	var left int64
	if l.count > 0 {
		left = int64(l.width - uint64(l.now-l.head))
	}
	if !d.Allowed {
		d.RetryAfter = Never
		if cost <= l.limit {
			d.RetryAfter = after(lag, left)
		}
	}
	d.Remaining = max(0, l.limit-l.count)
	d.ResetAfter = until(lag, left)
	d.Warn = d.Remaining < l.warnBelow
}

// roll leaves the current window if it is over.
func (l *fixedWindow) roll() {
	// Subtle: head may be negative, and the difference more than an int64 holds;
	// as unsigned numbers it is right.
	if !l.open || uint64(l.now-l.head) < l.width {
		return
	}
	l.count = 0
	if l.floating {
		l.open = false
		return
	}
	l.head = l.grid.head(l.now)
}

// add counts cost, and opens a window if none is, or begins it anew.
func (l *fixedWindow) add(cost int64) {
	l.count = add(l.count, cost)
	if !l.open || l.renewed {
		l.open, l.head = true, l.now
	}
}

func (l *fixedWindow) refused(at time.Time, cost int64) {
	l.see(at)
	l.roll()
	if l.countDenied && cost > 0 {
		l.add(cost)
	}
}

func (l *fixedWindow) relimit(limit, _, warnBelow int64) { l.limit, l.warnBelow = limit, warnBelow }

func (l *fixedWindow) renew() { l.count, l.open = 0, !l.floating }

func (l *fixedWindow) Clone() Limiter { c := *l; return &c }
