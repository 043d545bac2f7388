package probe

import (
	"math"
	"slices"
)

// figure is a length of time of a hypothesis that can be moved.
type figure uint8

const (
	windowFig figure = iota
	secondFig        // of a ban, or of the longer of two limits
	headFig
	secondHeadFig
)

// times lists the lengths of time a family has.
func (h *hypothesis) times() []figure {
	switch h.family {
	case None, Concurrency:
		return nil
	case Stacked:
		out := []figure{windowFig, secondFig}
		if h.kind.gridded() {
			out = append(out, headFig)
		}
		if h.kind2.gridded() {
			out = append(out, secondHeadFig)
		}
		return out
	case FixedClock, SlidingWindow, SlidingWindowDenied, RefillBucket:
		if h.tick > 0 {
			return []figure{headFig}
		}
		if h.anew {
			return []figure{windowFig}
		}
		return []figure{windowFig, headFig}
	case Ban:
		if h.kind == FixedClock {
			return []figure{windowFig, secondFig, headFig}
		}
		return []figure{windowFig, secondFig}
	}
	if h.tick > 0 && h.family != TokenBucket {
		return []figure{headFig}
	}
	return []figure{windowFig}
}

// by moves a figure by a share of its window, and keeps the head nearest to at
// where it is.
func (h hypothesis) by(g figure, share, at float64) hypothesis {
	switch g {
	case windowFig:
		h.ph += math.Round((at-h.ph)/h.w) * h.w
		h.w *= 1 + share
	case secondFig:
		h.ph2 += math.Round((at-h.ph2)/h.v) * h.v
		h.v *= 1 + share
	case headFig:
		h.ph += share * h.w
	case secondHeadFig:
		h.ph2 += share * h.v
	}
	return h
}

// reach is what a figure of the best of a herd may be, as far as the answers allow:
// how it is found, see bracket.
type reach struct {
	*fitter
	most  float64 // what a hypothesis may leave unexplained and still be possible
	now   float64
	tries int // how many more hypotheses may be tried
	found []*particle
}

// bracket walks each figure of a herd's best outward until the answers forbid it,
// while the other figures follow. What it passes is put into the herd, the ends
// above all: what is said of a figure is then what is possible, not what a search
// happened to meet.
func (f *fitter) bracket(hd *herd, tries int) {
	if len(hd.best) == 0 || hd.family == None {
		return
	}
	b := hd.best[0]
	r := &reach{fitter: f, most: b.cost + max(0.2, b.near()-0.25), now: f.sights[len(f.sights)-1].d, tries: tries}
	if hd.family != Concurrency {
		for _, g := range b.times() {
			if g == windowFig || g == secondFig {
				r.walk(b, g, -1)
				r.walk(b, g, 1)
			}
		}
	}
	for _, dir := range []float64{-1, 1} {
		r.count(b, dir, 0)
		switch hd.family {
		case RefillBucket, LeakyQueue, Stacked:
			r.count(b, 0, dir)
		}
	}
	if hd.family == SlidingWindow || hd.family == SlidingWindowDenied {
		for m := range roundings {
			h := b.hypothesis
			if h.m = float64(m); h.m != b.m {
				r.keep(r.descend(h, b.times()))
			}
		}
	}
	hd.best = append(hd.best, r.found...)
	slices.SortStableFunc(hd.best, byCost)
	hd.best = spread(hd.best, hd.size())
}

func (r *reach) keep(q *particle) bool {
	if q == nil || q.cost > r.most {
		return false
	}
	r.found = append(r.found, q)
	return true
}

func (r *reach) ask(h hypothesis, bound, most float64) *particle {
	r.tries--
	return r.within(h, bound, most)
}

// descend moves the figures given by small steps until the hypothesis is
// possible, or no step helps.
func (r *reach) descend(h hypothesis, free []figure) *particle {
	best := r.ask(h, r.enough(), math.Inf(1))
	if best == nil {
		return nil
	}
	step := 0.004
	for best.cost > r.most && step > 2e-5 && r.tries > 0 {
		better := false
		for _, g := range free {
			for _, sign := range []float64{-1, 1} {
				for _, at := range []float64{r.now, 0} {
					share := sign * step
					if g == headFig || g == secondHeadFig {
						share *= 4
					}
					if q := r.ask(best.by(g, share, at), best.cost, best.cost); q != nil && q.cost < best.cost-1e-9 {
						r.drop(best)
						best, better = q, true
						break
					}
					if h.ph == 0 && h.ph2 == 0 || g == headFig || g == secondHeadFig {
						break // the same again
					}
				}
			}
		}
		if better {
			step *= 1.4
		} else {
			step /= 3
		}
	}
	return best
}

// walk moves one length of time outward from where it is possible.
func (r *reach) walk(from *particle, g figure, dir float64) {
	free := slices.DeleteFunc(from.times(), func(o figure) bool { return o == g })
	last := from
	move := func(share float64) bool {
		to := from.by(g, dir*share, r.now)
		best := math.Inf(1)
		var start hypothesis
		for _, at := range []float64{r.now, r.now / 2, 0} {
			for _, near := range []*particle{last, from} {
				h := near.by(g, 0, at)
				h.w, h.v = to.w, to.v
				if g == windowFig {
					h.v = near.v
				} else {
					h.w = near.w
				}
				q := r.ask(h, min(best, r.enough()), max(best, r.most))
				if q != nil && q.cost < best {
					best, start = q.cost, q.hypothesis
				}
				if r.keep(q) {
					last = q
					return true
				}
				if last == from {
					break
				}
			}
			if len(free) == 0 {
				break
			}
		}
		if math.IsInf(best, 1) || len(free) == 0 {
			return false
		}
		q := r.descend(start, free)
		if r.keep(q) {
			last = q
			return true
		}
		return false
	}
	share := 2e-4
	for share < 1 && r.tries > 0 && move(share) {
		share *= 2.5
	}
	lo, hi := share/2.5, share
	if share == 2e-4 {
		lo = 0
	}
	for hi-lo > 0.001 && r.tries > 0 {
		if mid := (lo + hi) / 2; move(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
}

// count moves the limit, or the other number of a hypothesis, by one and by more.
func (r *reach) count(from *particle, dn, dm float64) {
	last := from
	free := from.times()
	if dm != 0 {
		dn = 0
	}
	move := func(k float64) bool {
		var best *particle
		for _, near := range []*particle{last, from} {
			h := near.hypothesis
			h.n, h.m = from.n+k*dn, from.m+k*dm
			if q := r.descend(h, free); q != nil && (best == nil || q.cost < best.cost) {
				best = q
			}
			if r.keep(best) {
				last = best
				return true
			}
			if last == from {
				break
			}
		}
		if dn != 0 && (from.family == TokenBucket || from.family == LeakyQueue) {
			// What it holds and what comes back are seen together.
			h := from.hypothesis
			h.n += k * dn
			h.w *= 1 - k*dn/max(from.n, 2)
			if q := r.descend(h, free); r.keep(q) {
				last = q
				return true
			}
		}
		return false
	}
	k := 1.0
	for k < 200 && r.tries > 0 && move(k) {
		k *= 2
	}
	lo, hi := math.Floor(k/2), k
	for hi-lo > 1 && r.tries > 0 {
		if mid := math.Floor((lo + hi) / 2); move(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
}

// mend moves the best of a herd that explained everything until now to where they
// do so again. Many answers at once leave only a little of what was possible, which
// a search by chance misses, though it is near.
func (f *fitter) mend(hd *herd) {
	if len(hd.best) == 0 || hd.family == None || hd.family == Concurrency {
		return
	}
	now := f.sights[len(f.sights)-1].d
	var found []*particle
	for _, q := range hd.best[:min(len(hd.best), 8)] {
		if q.cost > f.enough() {
			break
		}
		r := &reach{fitter: f, most: 0.005 + boolTo(q.rare(), tickCost), now: now, tries: 120}
		if g := r.descend(q.hypothesis, q.times()); g != nil && g.cost < q.cost {
			if found = append(found, g); g.cost <= r.most {
				break
			}
		}
	}
	hd.best = append(hd.best, found...)
	slices.SortStableFunc(hd.best, byCost)
}
