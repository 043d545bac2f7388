package track

import (
	"slices"

	"github.com/weir-dev/weir/limit"
)

// unrested is the boxes of a state of which nothing is known at the instant t.
func (sp *spec) unrested(t int64) []box {
	if sp.inner != nil {
		return sp.unrestedBan(t)
	}
	most := slices.Max(sp.limits)
	count := bounds{0, most}
	if sp.policy.CountDenied {
		count.hi = far // what was refused has been counted too
	}
	switch b := sp.fresh().(type) {
	case *level:
		b.hi = plus(t, sp.full.hi)
		return []box{b}
	case *slidingLog:
		n := most
		if sp.policy.CountDenied {
			n = 2 * most
		}
		if n > maxEntries {
			return nil
		}
		for range n {
			b.entries = append(b.entries, logged{lo: -far, hi: t, cost: 1})
		}
		return []box{b}
	case *floating:
		open := b.clone().(*floating)
		open.now = opened{is: true, lo: t - sp.width + 1, hi: t, count: count}
		return []box{b, open}
	case *window:
		var out []box
		for _, c := range b.enter(&observation{sent: t, done: t}) {
			c.cur, c.prev = count, count
			if sp.policy.Algorithm == limit.RefillBucket {
				c.cur = bounds{0, sp.policy.Capacity()}
				c.prev = c.cur
			}
			out = append(out, c)
		}
		return out
	case *inUse:
		// What others held then has been given back when nobody knows.
		return nil
	}
	return nil
}

// maxEntries bounds a sliding log of which nothing is known.
const maxEntries = 100_000
