package track

import "slices"

// inUse is a concurrency limit: the admitted requests that it may still hold.
type inUse struct {
	*spec
	held []holding
}

type holding struct{ sent, done, cost int64 }

// allow cannot say when the server began and ended; together judges.
func (b *inUse) allow(_ *observation, cost, limit int64) []box {
	if cost > limit {
		return nil
	}
	return []box{b}
}

// together takes in the admitted requests of an observation.
func (b *inUse) together(o *observation, cost, limit int64) bool {
	b.held = slices.DeleteFunc(b.held, func(h holding) bool { return plus(h.done, b.grace) < o.sent })
	for _, r := range o.requests {
		if r.Allowed {
			b.held = append(b.held, holding{r.Sent.UnixNano(), r.Done.UnixNano(), cost})
		}
	}
	return b.hold == 0 || b.surely() <= limit
}

// surely is the most units that are in use at one instant whatever the network
// did: a request that took no longer than twice the hold was surely being worked
// on in the middle of it.
func (b *inUse) surely() int64 {
	var most int64
	for _, at := range b.held {
		t := at.done - b.hold
		var sum int64
		for _, h := range b.held {
			if h.done-b.hold <= t && t < h.sent+b.hold {
				sum = plus(sum, h.cost)
			}
		}
		most = max(most, sum)
	}
	return most
}

func (b *inUse) refuse(o *observation, cost, limit int64) []box {
	if cost > limit {
		return []box{b}
	}
	for _, r := range o.requests {
		if r.Allowed {
			continue
		}
		s, d := r.Sent.UnixNano(), r.Done.UnixNano()
		sum := cost
		for _, h := range b.held {
			if h.sent <= d && plus(h.done, b.grace) >= s {
				sum = plus(sum, h.cost)
			}
		}
		if sum <= limit {
			return nil
		}
	}
	return []box{b}
}

func (b *inUse) charge(*observation, int64) []box { return []box{b} }

func (b *inUse) left(s, d, limit int64) (least, most int64) {
	least = limit
	for _, h := range b.held {
		if h.sent <= d && plus(h.done, b.grace) >= s {
			least -= h.cost
		}
	}
	return least, limit
}

func (b *inUse) absorb(box, bool) bool { return true }

func (b *inUse) clone() box {
	c := *b
	c.held = slices.Clone(b.held)
	return &c
}
