package limit

import "time"

// concurrency counts what was taken and not yet released. Time passes it by.
type concurrency struct {
	limit     int64
	held      int64
	warnBelow int64
}

func newConcurrency(p Policy, _ time.Time) *concurrency {
	return &concurrency{limit: p.Limit, warnBelow: warnBelow(p.WarnAt, p.Limit)}
}

func (l *concurrency) Take(at time.Time, cost int64) (d Decision) {
	l.judge(&d, at, cost, true)
	return d
}

func (l *concurrency) judge(d *Decision, _ time.Time, cost int64, commit bool) {
	d.Allowed, d.Limit = true, l.limit
	switch {
	case cost <= 0:
	case cost <= l.limit-l.held:
		if commit {
			l.held += cost
		}
	case cost > l.limit:
		d.Allowed, d.RetryAfter = false, Never
	default:
		d.Allowed, d.RetryAfter = false, Unknown
	}
	d.Remaining = max(0, l.limit-l.held)
	if l.held > 0 {
		d.ResetAfter = Unknown
	}
	d.Warn = d.Remaining < l.warnBelow
}

// Release implements Releaser.
func (l *concurrency) Release(_ time.Time, cost int64) {
	if cost > 0 {
		l.held -= min(cost, l.held)
	}
}

func (l *concurrency) refused(time.Time, int64) {}

func (l *concurrency) relimit(limit, _, warnBelow int64) { l.limit, l.warnBelow = limit, warnBelow }

func (l *concurrency) Clone() Limiter { c := *l; return &c }
