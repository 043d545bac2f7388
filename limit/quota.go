package limit

import "time"

// newQuota returns a limiter of windows counted from Start, or of the calendar.
func newQuota(p Policy, origin time.Time) part {
	if p.Period == NoPeriod {
		from := p.Start
		if from.IsZero() {
			from = origin
		}
		return newWindow(p, origin, newGrid(origin, from, p.Window))
	}
	l := &calendarQuota{
		clock: newClock(origin), calendar: newCalendar(p),
		limit: p.Limit, warnBelow: warnBelow(p.WarnAt, p.Limit), countDenied: p.CountDenied,
	}
	l.turn()
	return l
}

// calendarQuota counts what was taken in the current period of a calendar.
type calendarQuota struct {
	clock
	calendar
	end         int64 // of the current period, ns since the origin
	count       int64
	limit       int64
	warnBelow   int64
	countDenied bool
}

func (l *calendarQuota) Take(at time.Time, cost int64) (d Decision) {
	l.judge(&d, at, cost, true)
	return d
}

func (l *calendarQuota) judge(d *Decision, at time.Time, cost int64, commit bool) {
	_, lag := l.see(at)
	l.roll()
	d.Allowed, d.Limit = true, l.limit
	if cost > 0 {
		d.Allowed = cost <= l.limit-l.count
		if commit && (d.Allowed || l.countDenied) {
			l.count = add(l.count, cost)
		}
	}
	if !d.Allowed {
		d.RetryAfter = Never
		if cost <= l.limit {
			d.RetryAfter = after(lag, l.end-l.now)
		}
	}
	if l.count > 0 {
		d.ResetAfter = after(lag, l.end-l.now)
	}
	d.Remaining = max(0, l.limit-l.count)
	d.Warn = d.Remaining < l.warnBelow
}

// roll starts a new period if the current one is over.
func (l *calendarQuota) roll() {
	if l.now >= l.end {
		l.count = 0
		l.turn()
	}
}

func (l *calendarQuota) turn() {
	l.end = l.since(l.calendar.end(l.instant()))
}

func (l *calendarQuota) refused(at time.Time, cost int64) {
	l.see(at)
	l.roll()
	if l.countDenied && cost > 0 {
		l.count = add(l.count, cost)
	}
}

func (l *calendarQuota) relimit(limit, _, warnBelow int64) { l.limit, l.warnBelow = limit, warnBelow }

func (l *calendarQuota) Clone() Limiter { c := *l; return &c }
