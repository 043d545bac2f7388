package probe

import (
	"cmp"
	"math"
	"slices"
)

// units are what people count time in, the roundest first, in seconds.
var units = [...]float64{3600, 1800, 900, 600, 300, 60, 30, 15, 10, 5, 1, 0.5, 0.1, 0.05, 0.01, 0.001}

// neat returns the figures with the roundest window or rate, and the roundest limit
// and phase that go with it, among those that explain as much as the best of a herd
// does: people choose limits, and most clocks begin their windows at full seconds. wid
// and second bound what the windows, or seconds per unit, can be. Deep looks a little
// beyond, and at other limits than that of best: what a herd holds is a sample.
func (p *Probe) neat(h *herd, best *particle, wid, second span, deep bool) hypothesis {
	ok := func(g hypothesis) bool {
		return p.within(g, best.cost+1, best.cost+0.01+best.alike()) != nil
	}
	limits := []float64{best.n}
	if deep {
		limits = h.limits(best.n)
		wid = span{wid.lo * 0.992, wid.hi * 1.008}
	}
	g := best.hypothesis
	if g.tick > 0 {
		return p.neatTicks(h, best, limits, wid, ok)
	}
	switch g.family {
	case None, Concurrency:
		return g
	case TokenBucket, LeakyQueue:
		for _, r := range roundRates(wid) {
			for _, n := range limits {
				c := g
				if c.n, c.w = n, r.window/r.limit; ok(c) {
					return c
				}
			}
		}
		return g
	case FixedClock, SlidingWindow, SlidingWindowDenied, RefillBucket:
		if g.anew {
			break
		}
		return p.neatGrid(h, best, wid, limits, ok)
	case Stacked:
		return p.neatPair(h, best, wid, second, limits, ok)
	}
	g = firstOf(g, roundIn(wid), limits, ok)
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

// neatTicks is neat for a clock of whole ticks: most of them are those of this machine's.
func (p *Probe) neatTicks(h *herd, best *particle, limits []float64, wid span, ok func(hypothesis) bool) hypothesis {
	g := best.hypothesis
	at := span{}
	for _, q := range h.best {
		if q.cost <= best.cost+0.01+best.alike() {
			at = at.with(nearHead(q.ph, best.tick, best.ph, best.tick, 0))
		}
	}
	for _, early := range append(p.shifts(), math.NaN()) {
		c := g
		if c.ph = p.roundHead(g.ph+early, max(g.w, g.tick), g.tick) - early; math.IsNaN(early) {
			c.ph = g.ph + (at.lo+at.hi)/2
		}
		if ok(c) {
			g = c
			break
		}
	}
	if g.family == TokenBucket {
		for _, r := range roundRates(wid) {
			for _, n := range limits {
				c := g
				if c.n, c.w = n, r.window/r.limit; ok(c) {
					return c
				}
			}
		}
	}
	return g
}

// rounder puts round figures that explain as much among those of a herd, also where
// they lie in another valley than what the search has found: what it holds is then
// not taken for the only explanation.
func (p *Probe) rounder(h *herd) {
	if len(h.best) == 0 {
		return
	}
	best := h.best[0]
	if h.family == LeakyQueue && best.m < best.n {
		p.rounderQueue(h)
	}
	around := func(x float64) span { return span{x * 0.97, x * 1.03} }
	g := p.neat(h, best, around(best.w), around(best.v), true)
	if g == best.hypothesis {
		return
	}
	if q := p.within(g, best.cost+1, best.cost+0.01+best.alike()); q != nil {
		h.best = append([]*particle{q}, h.best...)
		slices.SortStableFunc(h.best, byCost)
	}
}

// rounderQueue is rounder for queues: how many pass at once bends with how fast they are
// served, so that another of these makes another rate the roundest.
func (p *Probe) rounderQueue(h *herd) {
	best := h.best[0]
	now := math.Inf(1)
	if r := roundRates(span{0.998 * best.w, 1.002 * best.w}); len(r) > 0 {
		now = r[0].odd
	}
	rates := roundRates(span{0.95 * best.w, 1.05 * best.w})
	rates = slices.DeleteFunc(rates, func(r roundRate) bool { return r.odd > now-0.5 })
	for _, dm := range []float64{-1, 0, 1} {
		for _, dn := range []float64{-1, 0, 1} {
			for _, r := range rates[:min(len(rates), 6)] {
				g := best.hypothesis
				g.n, g.m, g.w = g.n+dn, g.m+dm, r.window/r.limit
				if q := p.within(g, best.cost+1, best.cost+0.01+best.alike()); q != nil {
					h.best = append(h.best, q)
				}
			}
		}
	}
	slices.SortStableFunc(h.best, byCost)
}

// firstOf returns g with the first window and limit that will do.
func firstOf(g hypothesis, windows, limits []float64, ok func(hypothesis) bool) hypothesis {
	for _, w := range windows {
		for _, n := range limits {
			c := g
			if c.n, c.w = n, w; c == g || ok(c) {
				return c
			}
		}
	}
	return g
}

// limits are n, and those that a herd holds possible with their neighbours, the
// roundest first.
func (h *herd) limits(n float64) []float64 {
	lo, hi := n, n
	for _, q := range h.best {
		if q.cost > h.cost()+0.5 {
			break
		}
		lo, hi = min(lo, q.n), max(hi, q.n)
	}
	out := []float64{n}
	for _, unit := range []float64{100, 50, 10, 5, 1} {
		for k := 0; k < 7 && len(out) < 9; k++ {
			c := (math.Round(n/unit) + float64((k+1)/2*(1-2*(k%2)))) * unit // near, one less, one more …
			if c >= max(1, lo-1) && c <= hi+1 && !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// neatGrid is neat for windows of a clock.
func (p *Probe) neatGrid(h *herd, best *particle, wid span, limits []float64, ok func(hypothesis) bool) hypothesis {
	now := p.sights[len(p.sights)-1].d
	left := 1500 // tries
	for _, w := range roundIn(wid) {
		for _, n := range limits {
			var tried []float64
			for _, q := range h.best[:min(len(h.best), 6)] {
				// The latest head stays, or one in the middle.
				for _, at := range []float64{now, now / 2} {
					head := q.ph + math.Round((at-q.ph)/q.w)*q.w
					for _, unit := range units {
						c := best.hypothesis
						c.n, c.m, c.w, c.ph = n, q.m, w, head
						for _, early := range p.shifts() {
							if unit <= w {
								c.ph = p.roundHead(head+early, w, unit) - early
							}
							if place := math.Mod(c.ph, w); left > 0 && !slices.Contains(tried, place) {
								tried, left = append(tried, place), left-1
								if ok(c) {
									return c
								}
							}
						}
					}
				}
			}
		}
	}
	if p.share > 0 {
		return p.neatAmong(h, best, roundIn(wid), limits)
	}
	return best.hypothesis
}

// neatAmong is neatGrid where others use the limit, too: what a round window explains
// there it explains with heads at certain places only, which are sought.
func (p *Probe) neatAmong(h *herd, best *particle, windows, limits []float64) hypothesis {
	now := p.sights[len(p.sights)-1].d
	for _, w := range windows[:min(len(windows), 6)] {
		for _, n := range limits[:min(len(limits), 3)] {
			for _, q := range h.best[:min(len(h.best), 3)] {
				r := &reach{fitter: &p.fitter, most: best.cost + 0.01 + best.alike(), now: now, tries: 40}
				g := q.hypothesis.by(windowFig, 0, now/2) // its head in the middle stays
				g.n, g.w = n, w
				if c := r.descend(g, []figure{headFig}); c != nil && c.cost <= r.most {
					return c.hypothesis
				}
			}
		}
	}
	return best.hypothesis
}

// roundRate is a limit in a window.
type roundRate struct{ limit, window, odd float64 }

// roundRates lists rates whose seconds per unit are within the span, as people
// choose them: few digits that are not zero, a usual window. The roundest come first.
func roundRates(s span) (out []roundRate) {
	s.lo, s.hi = s.lo*(1-grain), s.hi*(1+grain)
	mid := (s.lo + s.hi) / 2
	for _, u := range []struct{ window, odd float64 }{{1, 0}, {60, 0.7}, {3600, 1}, {86400, 1.6}, {2, 1.2}, {5, 1.2}, {10, 1.2}, {30, 1.3}, {15, 1.4}, {300, 1.4}, {600, 1.3}, {900, 1.4}, {0.1, 1.2}} {
		for _, step := range []float64{1000, 500, 100, 50, 10, 5, 1} {
			near := math.Round(u.window / mid / step)
			for k := near - 2; k <= near+2; k++ {
				n := k * step
				if u.window >= 3600 && n > u.window && oddness(n) > 1.7 {
					continue // 260000 a day is no round way to say 3 a second
				}
				if per := u.window / n; n >= 1 && per >= s.lo && per <= s.hi {
					off := math.Abs(per-mid) / mid
					if r := (roundRate{n, u.window, oddness(n) + u.odd + 20*off}); !slices.Contains(out, r) {
						out = append(out, r)
					}
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b roundRate) int { return cmp.Compare(a.odd, b.odd) })
	return out[:min(len(out), 24)]
}

// oddness is how many digits a whole number has before its zeros; less where the last
// of these is a five.
func oddness(n float64) float64 {
	for n >= 10 && math.Mod(n, 10) == 0 {
		n /= 10
	}
	digits := 0.0
	last := math.Mod(n, 10)
	for ; n >= 1; n = math.Floor(n / 10) {
		digits++
	}
	if last == 5 {
		digits -= 0.4
	}
	return digits
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
// round as each other the nearest to the middle. Powers of two of milliseconds are among them:
// Tomcat's RateLimitFilter makes them of the window that is set (TimeBucketCounter of 10.1).
func roundIn(s span) (out []float64) {
	lo, hi := s.lo*(1-grain), s.hi*(1+grain)
	mid := (lo + hi) / 2
	for _, unit := range units {
		if unit == 0.1 {
			for w := 1.024; w <= hi; w *= 2 {
				if w >= lo {
					out = append(out, w)
				}
			}
		}
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
