package limit

import "time"

// tokenBucket is the generic cell rate algorithm. Where descriptions of it keep
// a theoretical arrival time, this keeps the distance of that instant from the
// latest one seen: level.held, the time until the bucket is full.
type tokenBucket struct {
	clock
	level
	warnBelow   int64
	countDenied bool
}

func newTokenBucket(p Policy, origin time.Time) *tokenBucket {
	r := newRate(p)
	full, _ := r.span(uint64(p.Capacity()))
	l := &tokenBucket{clock: newClock(origin), level: newLevel(r, full), countDenied: p.CountDenied}
	l.warnBelow = warnBelow(p.WarnAt, l.room)
	return l
}

func (l *tokenBucket) Take(at time.Time, cost int64) (d Decision) {
	l.judge(&d, at, cost, true)
	return d
}

func (l *tokenBucket) judge(d *Decision, at time.Time, cost int64, commit bool) {
	elapsed, lag := l.see(at)
	l.held = l.held.after(uint64(elapsed))
	d.Allowed, d.Limit = true, l.room
	switch {
	case cost <= 0:
	case cost > l.room:
		d.Allowed, d.RetryAfter = false, Never
		if commit && l.countDenied {
			l.held = l.full
		}
	default:
		need := l.of(cost)
		sum := l.plus(l.held, need)
		if !l.full.less(sum) {
			if commit {
				l.held = sum
			}
			break
		}
		if commit && l.countDenied {
			l.held = l.full
			sum = l.plus(l.held, need)
		}
		d.Allowed, d.RetryAfter = false, after(lag, l.minus(sum, l.full).ceil())
	}
	d.Remaining = l.free()
	d.ResetAfter = until(lag, l.held.ceil())
	d.Warn = d.Remaining < l.warnBelow
}

func (l *tokenBucket) refused(at time.Time, cost int64) {
	elapsed, _ := l.see(at)
	l.held = l.held.after(uint64(elapsed))
	if !l.countDenied || cost <= 0 {
		return
	}
	if cost <= l.room {
		if sum := l.plus(l.held, l.of(cost)); sum.less(l.full) {
			l.held = sum
			return
		}
	}
	l.held = l.full
}

func (l *tokenBucket) Clone() Limiter { c := *l; return &c }
