package probe

import "math"

// units are what people count time in, the roundest first, in seconds.
var units = [...]float64{3600, 1800, 900, 600, 300, 60, 30, 15, 10, 5, 1, 0.5, 0.1, 0.05, 0.01, 0.001}

// neat returns the figures with the roundest window, and the roundest phase of it,
// among those that explain as much as the best of a herd does: people choose
// limits, and most clocks begin their windows at full seconds. wid and second
// bound what the windows can be.
func (p *Probe) neat(h *herd, wid, second span) hypothesis {
	best := h.best[0]
	ok := func(g hypothesis) bool {
		q := p.try(g, best.cost+1)
		return q != nil && q.cost <= best.cost+0.01
	}
	g := best.hypothesis
	switch g.family {
	case None, Concurrency, TokenBucket, LeakyQueue:
		return g
	case FixedClock, SlidingWindow, SlidingWindowDenied, RefillBucket:
		return p.neatGrid(h, wid, ok)
	}
	for _, w := range roundIn(wid) {
		if c := g; c.w != w {
			if c.w = w; ok(c) {
				g = c
				break
			}
		}
	}
	if g.v > 0 {
		for _, v := range roundIn(second) {
			c := g
			if c.v = v; ok(c) {
				return c
			}
		}
	}
	return g
}

// neatGrid is neat for windows of a clock.
func (p *Probe) neatGrid(h *herd, wid span, ok func(hypothesis) bool) hypothesis {
	best := h.best[0]
	for _, w := range roundIn(wid) {
		for _, unit := range units {
			if unit > w {
				continue
			}
			for _, q := range h.best[:min(len(h.best), 6)] {
				if q.n != best.n || q.m != best.m {
					continue
				}
				c := q.hypothesis
				c.w, c.ph = w, p.roundHead(q.ph, w, unit)
				if ok(c) {
					return c
				}
			}
		}
	}
	return best.hypothesis
}

// roundHead is the head nearest to one that is known whose place in the windows of
// the clock is a multiple of unit.
func (p *Probe) roundHead(head, w, unit float64) float64 {
	at := math.Mod(float64(p.start.UnixNano()%int64(1e9*w))/1e9+head, w)
	off := math.Mod(at, unit)
	if off > unit/2 {
		off -= unit
	}
	return head - off
}

// roundIn lists round numbers within the span, the roundest first, and of those as
// round as each other the nearest to the middle.
func roundIn(s span) (out []float64) {
	lo, hi := s.lo*(1-grain), s.hi*(1+grain)
	mid := (lo + hi) / 2
	for _, unit := range units {
		near := math.Round(mid / unit)
		for k := 0.0; k < 8 && len(out) < 14; k++ {
			n := near + math.Ceil(k/2)*(1-2*math.Mod(k, 2)) // near, near-1, near+1, …
			if v := n * unit; n >= 1 && v >= lo-1e-9 && v <= hi+1e-9 {
				out = append(out, math.Round(v*1e6)/1e6)
			}
		}
	}
	return out
}
