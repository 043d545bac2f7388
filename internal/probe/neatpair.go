package probe

import (
	"math"
	"slices"
)

// neatPair is neat for two limits. A window and its head are seen together: each opening that
// was seen lies a whole number of windows after the head, so that a rounder window explains it
// with another head only. Most servers have theirs at the even places of the clock, which are
// tried first; wid and second bound the windows.
func (p *Probe) neatPair(h *herd, best *particle, wid, second span, limits []float64, ok func(hypothesis) bool) hypothesis {
	g := best.hypothesis
	one, two := lengths(g.kind, wid), lengths(g.kind2, second)
	for _, n := range limits {
		for _, w := range one[:min(len(one), evenMost)] {
			for _, v := range two[:min(len(two), evenMost)] {
				for _, early := range p.shifts() {
					c := g
					c.n, c.w, c.v = n, w, v
					c.ph, c.ph2 = p.evenHead(g.kind, w)-early, p.evenHead(g.kind2, v)-early
					if ok(c) {
						return c
					}
				}
			}
		}
	}
	g = p.neatPart(h, g, two, ok, secondFig)
	return p.neatPart(h, g, one, ok, windowFig)
}

// evenMost is how many lengths of each window are tried with heads at even places.
const evenMost = 8

// pairTries is how many places are tried for one of two limits.
const pairTries = 600

// neatPart makes the window of one of two limits neat, while the other stays: the second
// where of is secondFig.
func (p *Probe) neatPart(h *herd, g hypothesis, windows []float64, ok func(hypothesis) bool, of figure) hypothesis {
	now, left := p.sights[len(p.sights)-1].d, pairTries
	with := func(w, ph float64) hypothesis {
		c := g
		if of == secondFig {
			c.v, c.ph2 = w, ph
		} else {
			c.w, c.ph = w, ph
		}
		return c
	}
	kind := g.kind
	if of == secondFig {
		kind = g.kind2
	}
	for _, w := range windows {
		if !kind.gridded() {
			if c := with(w, 0); c == g || ok(c) {
				return c
			}
			continue
		}
		var tried []float64
		try := func(ph float64) (hypothesis, bool) {
			place := math.Round(1e6 * (ph - math.Floor(ph/w)*w))
			if left <= 0 || slices.Contains(tried, place) {
				return g, false
			}
			left--
			tried = append(tried, place)
			c := with(w, ph)
			return c, ok(c)
		}
		for _, early := range p.shifts() {
			if c, is := try(p.evenHead(kind, w) - early); is {
				return c
			}
		}
		for _, q := range append([]*particle{{hypothesis: g}}, h.best[:min(len(h.best), 6)]...) {
			ph, qw := q.ph, q.w
			if of == secondFig {
				ph, qw = q.ph2, q.v
			}
			for _, at := range []float64{now, now / 2, 0} { // the head that stays
				head := ph + math.Round((at-ph)/qw)*qw
				for _, unit := range units {
					if unit > w || unit < w/1e4 {
						continue
					}
					if c, is := try(p.roundHead(head, w, unit)); is {
						return c
					}
				}
				if c, is := try(head); is {
					return c
				}
			}
		}
	}
	return g
}

// evenHead is a head of windows that begin at the even places of the clock; 0 of limits that
// have none.
func (p *Probe) evenHead(kind Family, w float64) float64 {
	if !kind.gridded() {
		return 0
	}
	return -float64(p.start.UnixNano()%int64(math.Round(1e9*w))) / 1e9
}

// lengths are round windows within a span, or the times per unit of round rates, the
// roundest first.
func lengths(kind Family, s span) (out []float64) {
	if kind != TokenBucket {
		return roundIn(s)
	}
	for _, r := range roundRates(s) {
		out = append(out, r.window/r.limit)
	}
	return out
}
