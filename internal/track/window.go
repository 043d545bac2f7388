package track

import (
	"math"
	"math/bits"

	"github.com/weir-dev/weir/limit"
)

// window is a limit that counts in windows of the clock: a fixed window, a
// sliding window, a refill bucket or a quota. It holds bounds of how far the
// server's heads are from where the policy has them, which window the
// latest request fell into, and bounds of the count.
//
// prev and cur are what was counted in the window before and in this one; of a
// refill bucket, the tokens left at the end of the window before, and now.
type window struct {
	*spec
	plo, phi  int64
	k         int64 // math.MinInt64: nothing has been counted yet
	prev, cur bounds
}

// enter returns the box for each window, from the present one, that the
// observation may have fallen into.
func (b *window) enter(o *observation) []*window {
	first, last := b.grid.index(o.sent-b.phi), b.grid.index(o.done-b.plo)
	if b.k != math.MinInt64 {
		first = max(first, b.k)
	}
	var out []*window
	for j := first; j <= last; j++ {
		c := *b
		c.phi = min(c.phi, o.done-b.grid.head(j))
		c.plo = max(c.plo, o.sent-b.grid.head(j+1)+1)
		if c.plo > c.phi {
			continue
		}
		if b.k == math.MinInt64 || j > b.k {
			c.move(j)
		}
		c.k = j
		if out = append(out, &c); len(out) > most {
			break // too many to follow: Track.tidy says so
		}
	}
	return out
}

// move goes on to window j.
func (b *window) move(j int64) {
	if b.policy.Algorithm == limit.RefillBucket {
		b.prev = b.cur
		if b.k != math.MinInt64 {
			b.cur = bounds{b.refill(b.cur.lo, j-b.k), b.refill(b.cur.hi, j-b.k)}
		}
		return
	}
	b.prev = bounds{}
	if b.k != math.MinInt64 && j == b.k+1 {
		b.prev = b.cur
	}
	b.cur = bounds{}
}

func (b *window) refill(tokens, heads int64) int64 {
	capacity := b.policy.Capacity()
	hi, n := bits.Mul64(uint64(heads), uint64(b.policy.Limit))
	if missing := capacity - tokens; hi != 0 || n >= uint64(missing) {
		return capacity
	}
	return tokens + int64(n)
}

func (b *window) allow(o *observation, cost, lim int64) []box {
	var out []box
	for _, c := range b.enter(o) {
		if c.admits(o, cost, lim) {
			out = append(out, c)
		}
	}
	return out
}

// admits takes cost in the present window, if that is possible.
func (b *window) admits(o *observation, cost, lim int64) bool {
	switch b.policy.Algorithm {
	case limit.RefillBucket:
		if b.cur.hi < cost {
			return false
		}
		b.cur = bounds{max(b.cur.lo, cost) - cost, b.cur.hi - cost}
		return true
	case limit.SlidingWindow:
		spare := lim - cost - b.cur.lo
		if spare < 0 {
			return false
		}
		// The earlier window must have faded enough.
		b.phi = min(b.phi, o.done-b.grid.head(b.k)-b.faded(b.prev.lo, spare))
		if b.plo > b.phi {
			return false
		}
	default:
		if plus(b.cur.lo, cost) > lim {
			return false
		}
	}
	b.cur.hi = min(b.cur.hi, lim-cost)
	b.cur = b.cur.add(cost)
	return true
}

// faded is how long after the head the share of n requests of the window before,
// rounded down, is at most spare.
func (b *window) faded(n, spare int64) int64 {
	if n <= spare {
		return 0
	}
	// n·(width − e)/width < spare + 1
	hi, lo := bits.Mul64(uint64(spare)+1, uint64(b.width))
	lo, borrow := bits.Sub64(lo, 1, 0)
	left, _ := bits.Div64(hi-borrow, lo, uint64(n))
	return b.width - int64(left)
}

func (b *window) refuse(o *observation, cost, lim int64) []box {
	var out []box
	if o.overlaps() && b.k != math.MinInt64 {
		// It may have been decided before the requests that were admitted.
		if b.grid.index(o.sent-b.phi) < b.k-1 {
			if !b.policy.CountDenied {
				return []box{b} // in a window of which nothing is known any more
			}
			c := *b
			if c.policy.Algorithm == limit.RefillBucket {
				c.prev.lo, c.cur.lo = 0, 0 // what it drained then is missing still
			}
			out = append(out, &c)
		}
		if c := *b; c.refusedBefore(o, cost, lim) {
			out = append(out, &c)
		}
	}
	for _, c := range b.enter(o) {
		if c.refuses(o, cost, lim) {
			out = append(out, c)
		}
	}
	return out
}

// refuses is a refusal in the present window.
func (b *window) refuses(o *observation, cost, lim int64) bool {
	switch b.policy.Algorithm {
	case limit.RefillBucket:
		if b.cur.lo >= cost {
			return false
		}
		b.cur.hi = min(b.cur.hi, cost-1)
		if b.policy.CountDenied {
			b.cur = bounds{}
		}
		return true
	case limit.SlidingWindow:
		if spare := lim - cost - b.cur.hi; spare >= 0 {
			// The earlier window cannot have faded yet.
			b.plo = max(b.plo, o.sent-b.grid.head(b.k)-b.faded(b.prev.hi, spare)+1)
			if b.plo > b.phi {
				return false
			}
		}
	default:
		if plus(b.cur.hi, cost) <= lim {
			return false
		}
		b.cur.lo = max(b.cur.lo, lim-cost+1)
	}
	if b.policy.CountDenied {
		b.cur = b.cur.add(cost)
	}
	return true
}

// refusedBefore is a refusal in the window before the present one, among requests
// that were under way together.
func (b *window) refusedBefore(o *observation, cost, lim int64) bool {
	b.phi = min(b.phi, o.done-b.grid.head(b.k-1))
	b.plo = max(b.plo, o.sent-b.grid.head(b.k)+1)
	if b.plo > b.phi {
		return false
	}
	if b.policy.Algorithm == limit.RefillBucket {
		if b.policy.CountDenied {
			b.cur.lo = 0 // what it drained then is missing now
		}
		return b.prev.lo < cost
	}
	// What a sliding window had counted two windows ago is not known any more.
	if b.policy.Algorithm != limit.SlidingWindow && plus(b.prev.hi, cost) <= lim {
		return false
	}
	if b.policy.CountDenied {
		b.prev = b.prev.add(cost)
	}
	return true
}

func (b *window) charge(o *observation, cost int64) []box {
	var out []box
	if o.overlaps() && b.k != math.MinInt64 && b.grid.index(o.sent-b.phi) < b.k {
		c := *b // it may have been charged to the window before
		if c.policy.Algorithm == limit.RefillBucket {
			c.cur.lo = 0
		} else {
			c.prev.hi = plus(c.prev.hi, cost)
		}
		out = append(out, &c)
	}
	for _, c := range b.enter(o) {
		if c.policy.Algorithm == limit.RefillBucket {
			c.cur = bounds{max(0, c.cur.lo-cost), max(0, c.cur.hi-cost)}
		} else {
			c.cur = c.cur.add(cost)
		}
		out = append(out, c)
	}
	return out
}

func (b *window) together(*observation, int64, int64) bool { return true }

func (b *window) left(s, d, lim int64) (least, most int64) {
	o := observation{sent: s, done: d}
	least, most = math.MaxInt64, 0
	for _, c := range b.enter(&o) {
		lo, hi := c.cur.lo, c.cur.hi
		switch c.policy.Algorithm {
		case limit.RefillBucket:
		case limit.SlidingWindow:
			head := b.grid.head(c.k)
			early, late := max(0, s-c.phi-head), min(c.width-1, max(0, d-c.plo-head))
			lo, hi = lim-c.share(c.prev.hi, early)-c.cur.hi, lim-c.share(c.prev.lo, late)-c.cur.lo
		default:
			lo, hi = lim-c.cur.hi, lim-c.cur.lo
		}
		least, most = min(least, lo), max(most, hi)
	}
	return least, most
}

// share is what is left of n requests of the window before, e after its end.
func (b *window) share(n, e int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(b.width-e))
	q, _ := bits.Div64(hi, lo, uint64(b.width))
	return int64(q)
}

// absorb merges boxes of one window: those with the same counts and touching
// offsets, or by force any.
func (b *window) absorb(other box, force bool) bool {
	o := other.(*window)
	apart := b.phi+1 < o.plo || o.phi+1 < b.plo
	if b.k != o.k || !force && (apart || b.cur != o.cur || b.prev != o.prev) {
		return false
	}
	b.plo, b.phi = min(b.plo, o.plo), max(b.phi, o.phi)
	b.prev, b.cur = b.prev.hull(o.prev), b.cur.hull(o.cur)
	return true
}

func (b *window) clone() box { c := *b; return &c }
