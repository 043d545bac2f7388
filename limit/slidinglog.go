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
// instant share one. The ring starts small, doubles when full, and keeps its
// size. Entries are numbered as they come, and the ring is a power of two long,
// so that a mask finds the place of a number.
type slidingLog struct {
	clock
	width       int64
	limit       int64
	keep        uint64 // forget what has this much behind it: the largest limit that judges the log
	sum         uint64 // cost of all entries; below keep + MaxInt64
	ring        []entry
	first, end  uint64 // numbers of the oldest entry and of the next to come
	warnBelow   int64
	countDenied bool
}

// firstRing is the number of entries made room for in advance; a power of two.
const firstRing = 4

func newSlidingLog(p Policy, origin time.Time) *slidingLog {
	return &slidingLog{
		clock: newClock(origin), width: int64(p.Window), limit: p.Limit, keep: uint64(p.Limit),
		ring:      make([]entry, firstRing),
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
	if l.first != l.end {
		d.ResetAfter = after(lag, l.left(l.end-1))
	}
	d.Warn = d.Remaining < l.warnBelow
}

// expire forgets the entries that are a whole window old.
func (l *slidingLog) expire() {
	for l.first != l.end && l.now-l.entry(l.first).at >= l.width {
		l.drop()
	}
}

// left returns the nanoseconds until entry i expires.
func (l *slidingLog) left(i uint64) int64 {
	return l.width - (l.now - l.entry(i).at)
}

// wait returns the nanoseconds until no more than target units are left.
func (l *slidingLog) wait(target uint64) int64 {
	sum := l.sum
	for i := l.first; i != l.end; i++ {
		sum -= uint64(l.entry(i).cost)
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
	if l.first != l.end {
		if last := l.entry(l.end - 1); last.at == l.now {
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
	if l.end-l.first == uint64(len(l.ring)) {
		l.grow()
	}
	*l.entry(l.end) = entry{at: l.now, cost: cost}
	l.end++
}

// trim forgets the oldest entries, except for the newest few, while the rest
// alone refuse every request: only counted refusals make any such.
func (l *slidingLog) trim(few uint64) {
	for l.end-l.first > few && l.sum-uint64(l.entry(l.first).cost) >= l.keep {
		l.drop()
	}
}

func (l *slidingLog) drop() {
	l.sum -= uint64(l.entry(l.first).cost)
	l.first++
}

// entry returns the place of entry number i.
func (l *slidingLog) entry(i uint64) *entry {
	return &l.ring[i&uint64(len(l.ring)-1)]
}

// grow doubles the ring.
func (l *slidingLog) grow() {
	ring := make([]entry, 2*len(l.ring))
	for i := l.first; i != l.end; i++ {
		ring[i&uint64(len(ring)-1)] = *l.entry(i)
	}
	l.ring = ring
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

func (l *slidingLog) renew() { l.first, l.sum = l.end, 0 }

func (l *slidingLog) Clone() Limiter {
	c := *l
	c.ring = slices.Clone(l.ring)
	return &c
}
