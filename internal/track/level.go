package track

// level is a token bucket or a leaky bucket: bounds of the instant at which it is
// as good as new, if nothing more is taken. It is exact, apart from rounding, because what one
// request does to that instant moves with it and with the instant of the request.
type level struct {
	*spec
	lo, hi int64
}

func (b *level) allow(o *observation, cost, _ int64) []box {
	need, room := b.units(cost), b.spare(cost)
	if room.hi < 0 || b.lo > plus(o.done, room.hi) {
		return nil
	}
	b.hi = plus(max(min(b.hi, plus(o.done, room.hi)), o.done), need.hi)
	b.lo = plus(max(b.lo, o.sent), need.lo)
	return []box{b}
}

func (b *level) refuse(o *observation, cost, _ int64) []box {
	if room := b.spare(cost); room.lo >= 0 {
		// It must have been above what leaves room.
		above := plus(o.sent, room.lo)
		if b.hi <= above {
			return nil
		}
		b.lo = max(b.lo, above)
	}
	if b.policy.CountDenied {
		return b.charge(o, cost)
	}
	return []box{b}
}

// overflows tells whether one of the wave can have been refused first: at that
// instant, whichever it is, the bucket is no fuller than the admitted ones of the
// wave have made it.
func (b *level) overflows(o *observation, cost int64) bool {
	if cost > 1<<40 {
		return true // no need to be exact about what nobody sends
	}
	room := b.spare(cost * int64(o.allowed+1)) // for all of them and the refused one
	return room.lo < 0 || max(b.hi-o.sent, 0) > room.lo
}

// spare is the level that leaves room for cost; negative when none does.
func (sp *spec) spare(cost int64) span {
	n := sp.whole - cost
	if n >= 0 {
		return sp.units(n).add(sp.beyond)
	}
	over := sp.units(-n)
	return span{sp.beyond - over.hi, sp.beyond - over.lo}
}

func (b *level) charge(o *observation, cost int64) []box {
	// Down to empty, and never below.
	need := b.units(cost)
	b.lo = min(plus(max(b.lo, o.sent), need.lo), plus(o.sent, b.full.lo))
	b.hi = min(plus(max(b.hi, o.done), need.hi), plus(o.done, b.full.hi))
	return []box{b}
}

func (b *level) together(*observation, int64, int64) bool { return true }

func (b *level) left(s, d, _ int64) (least, most int64) {
	free := func(full, at, t int64) int64 {
		gone := max(0, plus(at, -t))
		if gone > full {
			return 0
		}
		return b.within(full - gone)
	}
	return free(b.full.lo, b.hi, s), free(b.full.hi, b.lo, d)
}

// within is the number of whole units that the rate gives in ns.
func (sp *spec) within(ns int64) int64 {
	lo, hi := int64(0), sp.policy.Capacity()
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		if sp.units(mid).lo <= ns {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

func (b *level) absorb(other box, _ bool) bool {
	o := other.(*level)
	b.lo, b.hi = min(b.lo, o.lo), max(b.hi, o.hi)
	return true
}

func (b *level) clone() box { c := *b; return &c }
