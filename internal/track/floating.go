package track

import "github.com/weir-dev/weir/limit"

// floating is a fixed window that its first request opens, or that each begins
// anew: bounds of when the present one was begun, and of what it has counted.
type floating struct {
	*spec
	now, before opened // before: the window that the latest observation may still have seen
}

type opened struct {
	is     bool
	lo, hi int64
	count  bounds
}

func (b *floating) allow(o *observation, cost, limit int64) []box {
	if cost > limit {
		return nil
	}
	var out []box
	next := b.clone().(*floating)
	if w := &b.now; w.is && w.hi > o.sent-b.width && plus(w.count.lo, cost) <= limit {
		w.lo = max(w.lo, o.sent-b.width+1)
		w.count.hi = min(w.count.hi, limit-cost)
		b.add(o, cost)
		out = append(out, b)
	}
	if next.open(o, cost) {
		out = append(out, next)
	}
	return out
}

// open begins a window, when the one before it may be over.
func (b *floating) open(o *observation, cost int64) bool {
	from := o.sent
	if w := &b.now; w.is {
		if w.lo > o.done-b.width {
			return false
		}
		from = max(from, plus(w.lo, b.width))
		w.hi = min(w.hi, o.done-b.width)
	}
	b.before = b.now
	b.now = opened{is: true, lo: from, hi: o.done, count: bounds{cost, cost}}
	return true
}

func (b *floating) refuse(o *observation, cost, limit int64) []box {
	var out []box
	over := b.clone().(*floating)
	earlier := b.clone().(*floating)
	if w := &b.now; w.is && w.hi > o.sent-b.width && plus(w.count.hi, cost) > limit {
		w.lo = max(w.lo, o.sent-b.width+1)
		w.count.lo = max(w.count.lo, limit-cost+1)
		if b.policy.CountDenied {
			b.add(o, cost)
		}
		out = append(out, b)
	}
	if w := &earlier.before; o.overlaps() && w.is && w.hi > o.sent-b.width && plus(w.count.hi, cost) > limit {
		w.lo = max(w.lo, o.sent-b.width+1)
		out = append(out, earlier)
	}
	if cost > limit { // refused even by a fresh window
		if !b.policy.CountDenied {
			out = append(out, over)
		} else if over.open(o, cost) {
			out = append(out, over)
		}
	}
	return out
}

func (b *floating) charge(o *observation, cost int64) []box {
	var out []box
	next := b.clone().(*floating)
	if o.overlaps() {
		out = append(out, b.clone()) // charged to the window before
	}
	if w := &b.now; w.is && w.hi > o.sent-b.width {
		w.lo = max(w.lo, o.sent-b.width+1)
		b.add(o, cost)
		out = append(out, b)
	}
	if next.open(o, cost) {
		out = append(out, next)
	}
	return out
}

// add counts in the present window, and begins it anew where each request does.
func (b *floating) add(o *observation, cost int64) {
	w := &b.now
	w.count = w.count.add(cost)
	if b.policy.Align == limit.AlignLast {
		w.lo, w.hi = max(w.lo, o.sent), min(o.done, plus(w.hi, b.width-1))
	}
}

func (b *floating) together(*observation, int64, int64) bool { return true }

func (b *floating) left(s, d, limit int64) (least, most int64) {
	w := b.now
	switch {
	case !w.is || w.hi <= s-b.width:
		return limit, limit
	case w.lo <= d-b.width:
		return limit - w.count.hi, limit
	default:
		return limit - w.count.hi, limit - w.count.lo
	}
}

func (b *floating) absorb(other box, force bool) bool {
	o := other.(*floating)
	same := b.now.is == o.now.is && b.before.is == o.before.is && b.now.count == o.now.count && b.before.count == o.before.count
	apart := b.now.hi+1 < o.now.lo || o.now.hi+1 < b.now.lo
	if b.now.is != o.now.is || !force && (!same || apart) {
		return false
	}
	b.now = b.now.hull(o.now)
	b.before = b.before.hull(o.before)
	return true
}

func (w opened) hull(o opened) opened {
	switch {
	case !w.is:
		return o
	case !o.is:
		return w
	}
	return opened{is: true, lo: min(w.lo, o.lo), hi: max(w.hi, o.hi), count: w.count.hull(o.count)}
}

func (b *floating) clone() box { c := *b; return &c }
