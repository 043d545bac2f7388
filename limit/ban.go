package limit

import (
	"math"
	"time"
)

// banned refuses everything for a while once what it keeps has refused. Then
// what it keeps is as new.
type banned struct {
	clock
	kept      renewable
	ban       int64 // ns
	until     int64 // the end of the latest ban, ns since the origin; the largest: never
	renewed   bool  // by each refused request
	limit     int64
	warnBelow int64
	answer    Decision // of kept; here because one that is passed to an interface is allocated
}

// renewable is a part that can become as new.
type renewable interface {
	part
	renew()
}

func newBanned(p Policy, origin time.Time) (*banned, error) {
	l := &banned{
		clock: newClock(origin), ban: int64(p.Ban), renewed: p.CountDenied,
		limit: p.Limit, warnBelow: warnBelow(p.WarnAt, p.Limit),
	}
	p.Ban, p.CountDenied = 0, false
	kept, err := p.build(origin)
	if err != nil {
		return nil, err
	}
	l.kept = kept.(renewable)
	return l, nil
}

func (l *banned) Take(at time.Time, cost int64) (d Decision) {
	l.judge(&d, at, cost, true)
	return d
}

func (l *banned) judge(d *Decision, at time.Time, cost int64, commit bool) {
	_, lag := l.see(at)
	if !l.lasts() {
		l.answer = Decision{}
		l.kept.judge(&l.answer, at, cost, commit)
		if l.answer.Allowed || !commit {
			*d = l.answer
			return
		}
		l.begin()
	} else if commit && cost > 0 && l.renewed {
		l.until = add(l.now, l.ban)
	}
	left := l.until
	if left != math.MaxInt64 {
		left -= l.now
	}
	d.Allowed, d.Limit, d.ResetAfter, d.Warn = cost <= 0, l.limit, until(lag, left), l.warnBelow > 0
	switch {
	case d.Allowed:
	case cost > l.limit:
		d.RetryAfter = Never
	default:
		d.RetryAfter = after(lag, left)
	}
}

// lasts tells whether everything is refused now.
func (l *banned) lasts() bool { return l.now < l.until || l.until == math.MaxInt64 }

// Banned returns how long everything is refused yet, Never if for ever, and zero
// while nobody is banned. Full is not banned: a count that is used up and has
// refused nothing has begun none.
func (l *banned) Banned(at time.Time) time.Duration {
	_, lag := l.see(at)
	switch {
	case !l.lasts():
		return 0
	case l.until == math.MaxInt64:
		return Never
	}
	return after(lag, l.until-l.now)
}

// begin begins a ban. What is kept is made as new here: nothing counts meanwhile.
func (l *banned) begin() {
	l.until = add(l.now, l.ban)
	l.kept.renew()
}

func (l *banned) refused(at time.Time, cost int64) {
	l.see(at)
	switch {
	case cost <= 0:
	case !l.lasts():
		// Only what this limit itself refuses begins a ban.
		l.answer = Decision{}
		if l.kept.judge(&l.answer, at, cost, false); !l.answer.Allowed {
			l.begin()
		}
	case l.renewed:
		l.until = add(l.now, l.ban)
	}
}

func (l *banned) Clone() Limiter {
	c := *l
	c.kept = l.kept.Clone().(renewable)
	return &c
}
