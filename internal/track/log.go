package track

import "slices"

// slidingLog is a sliding log: for each request that it counts, bounds of the
// instant at which it was counted.
type slidingLog struct {
	*spec
	entries []logged // in the order in which they were counted
}

type logged struct {
	lo, hi int64
	cost   int64
}

// in the way of cost more units is the newest entry that, with those after it,
// leaves no room: it must be out of the window. -1 when there is none.
func (b *slidingLog) inTheWay(cost, limit int64) int {
	sum := cost
	for i := len(b.entries) - 1; i >= 0; i-- {
		if sum = plus(sum, b.entries[i].cost); sum > limit {
			return i
		}
	}
	return -1
}

func (b *slidingLog) allow(o *observation, cost, limit int64) []box {
	b.forget(o.sent)
	if cost > limit {
		return nil
	}
	from := o.sent
	if i := b.inTheWay(cost, limit); i >= 0 {
		e := &b.entries[i]
		if from = max(from, plus(e.lo, b.width)); from > o.done {
			return nil
		}
		e.hi = min(e.hi, o.done-b.width)
	}
	b.entries = append(b.entries, logged{from, o.done, cost})
	return []box{b}
}

func (b *slidingLog) refuse(o *observation, cost, limit int64) []box {
	if !o.overlaps() {
		b.forget(o.sent)
	}
	if cost <= limit {
		i := b.inTheWay(cost, limit)
		if i < 0 {
			return nil
		}
		e := &b.entries[i]
		if e.hi <= o.sent-b.width {
			return nil
		}
		e.lo = max(e.lo, o.sent-b.width+1)
	}
	if b.policy.CountDenied {
		return b.charge(o, cost)
	}
	return []box{b}
}

// charge counts it among those of the same observation, since it may have come
// before any of them: entry i has the bounds of the i-th instant, whosever it is.
func (b *slidingLog) charge(o *observation, cost int64) []box {
	i := len(b.entries)
	for i > 0 && b.entries[i-1].lo > o.sent {
		i--
	}
	b.entries = slices.Insert(b.entries, i, logged{o.sent, o.done, cost})
	return []box{b}
}

func (b *slidingLog) together(*observation, int64, int64) bool { return true }

// forget drops what is out of the window at t for certain, and what no limit can
// reach any more.
func (b *slidingLog) forget(t int64) {
	n := 0
	for n < len(b.entries) && b.entries[n].hi <= t-b.width {
		n++
	}
	b.entries = b.entries[n:]
	keep, sum := slices.Max(b.limits), int64(0)
	for i := len(b.entries) - 1; i >= 0; i-- {
		if sum = plus(sum, b.entries[i].cost); sum > 2*keep {
			b.entries = b.entries[i:]
			return
		}
	}
}

func (b *slidingLog) left(s, d, limit int64) (least, most int64) {
	least, most = limit, limit
	for _, e := range b.entries {
		if e.hi > s-b.width {
			least -= e.cost
		}
		if e.lo > d-b.width {
			most -= e.cost
		}
	}
	return least, most
}

// absorb keeps the wider bounds of each entry, where both have counted the same.
func (b *slidingLog) absorb(other box, force bool) bool {
	o := other.(*slidingLog)
	if len(b.entries) != len(o.entries) {
		return false
	}
	for i := range b.entries {
		if b.entries[i].cost != o.entries[i].cost {
			return false
		}
	}
	for i := range b.entries {
		e := &b.entries[i]
		e.lo, e.hi = min(e.lo, o.entries[i].lo), max(e.hi, o.entries[i].hi)
	}
	return true
}

func (b *slidingLog) clone() box {
	c := *b
	c.entries = slices.Clone(b.entries)
	return &c
}
