package limit

import (
	"slices"
	"time"
)

// entry is what was taken at one instant.
type entry struct {
	at   int64 // ns since the origin
	cost int64
}

// slidingLog remembers what was taken in the last window, in a ring of entries.
//
// Every entry has a cost of at least one and the ring forgets what cannot
// matter, so it never holds more than limit entries; several units taken at one
// instant share one. It starts small, doubles when full, and keeps its size.
type slidingLog struct {
	clock
	width       int64
	limit       int64
	keep        uint64 // forget what has this much behind it: the largest limit that judges the log
	sum         uint64 // cost of all entries; below keep + MaxInt64
	ring        []entry
	first, n    int
	warnBelow   int64
	countDenied bool
}

// firstRing is the number of entries made room for in advance.
const firstRing = 4

func newSlidingLog(p Policy, origin time.Time) *slidingLog {
	return &slidingLog{
		clock: newClock(origin), width: int64(p.Window), limit: p.Limit, keep: uint64(p.Limit),
		ring:      make([]entry, min(p.Limit, firstRing)),
		warnBelow: warnBelow(p.WarnAt, p.Limit), countDenied: p.CountDenied,
	}
}

func (l *slidingLog) Take(at time.Time, cost int64) (d Decision) {
	l.judge(&d, at, cost, true)
	return d
}

func (l *slidingLog) judge(d *Decision, at time.Time, cost int64, commit bool) {
	_, lag := l.see(at)
	l.expire()
	d.Allowed, d.Limit = true, l.limit
	if cost > 0 {
		d.Allowed = cost <= l.limit && l.sum <= uint64(l.limit-cost)
		if commit && (d.Allowed || l.countDenied) {
			l.add(cost)
		}
	}
	if !d.Allowed {
		d.RetryAfter = Never
		if cost <= l.limit {
			d.RetryAfter = after(lag, l.wait(uint64(l.limit-cost)))
		}
	}
	if used := l.sum; used < uint64(l.limit) {
		d.Remaining = l.limit - int64(used)
	}
	if l.n > 0 {
		d.ResetAfter = after(lag, l.left(l.n-1))
	}
	d.Warn = d.Remaining < l.warnBelow
}

// expire forgets the entries that are a whole window old.
func (l *slidingLog) expire() {
	for l.n > 0 && l.now-l.ring[l.first].at >= l.width {
		l.drop()
	}
}

// left returns the nanoseconds until the i-th oldest entry expires.
func (l *slidingLog) left(i int) int64 {
	return l.width - (l.now - l.ring[l.index(i)].at)
}

// wait returns the nanoseconds until no more than target units are left.
func (l *slidingLog) wait(target uint64) int64 {
	sum := l.sum
	for i := range l.n {
		sum -= uint64(l.ring[l.index(i)].cost)
		if sum <= target {
			return l.left(i)
		}
	}
	return 0
}

func (l *slidingLog) add(cost int64) {
	// What is above keep refuses everything, as keep itself does.
	if uint64(cost) > l.keep {
		cost = int64(l.keep)
	}
	l.sum += uint64(cost)
	if l.n > 0 {
		if last := &l.ring[l.index(l.n-1)]; last.at == l.now {
			total := uint64(last.cost) + uint64(cost)
			if total > l.keep {
				l.sum -= total - l.keep
				total = l.keep
			}
			last.cost = int64(total)
			l.trim(1)
			return
		}
	}
	l.trim(0)
	if l.n == len(l.ring) {
		l.grow()
	}
	l.ring[l.index(l.n)] = entry{at: l.now, cost: cost}
	l.n++
}

// trim forgets the oldest entries, except for the newest few, while the rest
// alone refuse every request: only counted refusals make any such.
func (l *slidingLog) trim(few int) {
	for l.n > few && l.sum-uint64(l.ring[l.first].cost) >= l.keep {
		l.drop()
	}
}

func (l *slidingLog) drop() {
	l.sum -= uint64(l.ring[l.first].cost)
	if l.first++; l.first == len(l.ring) {
		l.first = 0
	}
	l.n--
}

// index returns the place in the ring of the i-th oldest entry.
func (l *slidingLog) index(i int) int {
	if i += l.first; i >= len(l.ring) {
		i -= len(l.ring)
	}
	return i
}

// grow doubles the ring, with the oldest entry in front.
func (l *slidingLog) grow() {
	ring := make([]entry, min(2*uint64(len(l.ring)), l.keep))
	n := copy(ring, l.ring[l.first:])
	copy(ring[n:], l.ring[:l.first])
	l.ring, l.first = ring, 0
}

func (l *slidingLog) refused(at time.Time, cost int64) {
	l.see(at)
	l.expire()
	if l.countDenied && cost > 0 {
		l.add(cost)
	}
}

func (l *slidingLog) relimit(limit, largest, warnBelow int64) {
	l.limit, l.keep, l.warnBelow = limit, uint64(largest), warnBelow
}

func (l *slidingLog) Clone() Limiter {
	c := *l
	c.ring = slices.Clone(l.ring)
	return &c
}
