package limit

import (
	"math"
	"time"
)

// leakyBucket is a queue that is served evenly. Its level holds one unit for
// the request in service and one for each that waits, so a queue of Burst makes
// a vessel of Burst + 1: nginx's burst=20 nodelay passes 21 at once.
//
// nginx keeps the excess over the request in service, in thousandths of a
// request and milliseconds, where this keeps the exact level; and, like this,
// leaves the level alone when it refuses (ngx_http_limit_req_lookup in
// ngx_http_limit_req_module.c, read 2026-11-21).
type leakyBucket struct {
	clock
	level
	undelayed span // drain time that causes no delay: the unit in service and those exempt
	spare     span // of the full vessel, what holds no whole unit: MaxDelay may cut one in two
	warnBelow int64
}

func newLeakyBucket(p Policy, origin time.Time) *leakyBucket {
	r := newRate(p)
	full, _ := r.span(uint64(p.Burst) + 1)
	l := &leakyBucket{clock: newClock(origin)}
	l.undelayed, _ = r.span(uint64(p.Undelayed) + 1)
	if p.MaxDelay != 0 {
		// What would wait longer does not fit.
		longest := r.plus(l.undelayed, span{ns: uint64(p.MaxDelay)})
		if longest.ns < math.MaxInt64 && longest.less(full) {
			full = longest
		}
	}
	l.level = newLevel(r, full)
	whole, _ := r.span(uint64(l.room))
	l.spare = r.minus(full, whole)
	l.warnBelow = warnBelow(p.WarnAt, l.room)
	return l
}

func (l *leakyBucket) Take(at time.Time, cost int64) (d Decision) {
	l.judge(&d, at, cost, true)
	return d
}

// judge treats a cost of n like n requests of one that arrive together: the
// delay is that of the last.
func (l *leakyBucket) judge(d *Decision, at time.Time, cost int64, commit bool) {
	elapsed, lag := l.see(at)
	l.held = l.held.after(uint64(elapsed))
	d.Allowed, d.Limit = true, l.room
	switch {
	case cost <= 0:
	case cost > l.room:
		d.Allowed, d.RetryAfter = false, Never
	default:
		sum := l.plus(l.held, l.of(cost))
		if l.full.less(sum) {
			d.Allowed, d.RetryAfter = false, after(lag, l.minus(sum, l.full).ceil())
			break
		}
		if l.undelayed.less(sum) {
			d.Delay = after(lag, l.minus(sum, l.undelayed).ceil())
		}
		if commit {
			l.held = sum
		}
	}
	d.Remaining = l.free()
	if l.spare.ns|l.spare.part == 0 {
		d.ResetAfter = until(lag, l.held.ceil())
	} else if l.spare.less(l.held) {
		d.ResetAfter = after(lag, l.minus(l.held, l.spare).ceil())
	}
	d.Warn = d.Remaining < l.warnBelow
}

func (l *leakyBucket) refused(at time.Time, _ int64) {
	elapsed, _ := l.see(at)
	l.held = l.held.after(uint64(elapsed))
}

func (l *leakyBucket) Clone() Limiter { c := *l; return &c }
