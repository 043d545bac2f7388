package probe

import (
	"cmp"
	"math"
	"slices"
)

// scan tries windows from w·lo to w·hi in steps of a ratio, with the heads where
// something was admitted again after a refusal, and what the first waves say
// of the limit. It returns those that cost less than bound.
func (f *fitter) scan(h hypothesis, lo, hi, ratio, bound float64) (found []*particle) {
	phases := []float64{h.ph}
	switch h.family {
	case FixedClock, SlidingWindow, SlidingWindowDenied, RefillBucket:
		if phases = f.heads(); h.anew {
			phases = phases[:min(1, len(phases))]
		}
	case FixedFirst, SlidingLog, SlidingLogDenied, TokenBucket, LeakyQueue, Ban:
	default:
		return nil
	}
	parts := 1.0
	if h.family == Ban && h.kind == FixedClock { // when its windows begin is not seen
		parts, ratio = 12, max(ratio, 1.01)
	}
	for w := h.w * lo; w < h.w*hi; w *= ratio {
		for i := range len(phases) * int(parts) {
			g := h
			g.w, g.ph = w, phases[i/int(parts)]+math.Mod(float64(i), parts)/parts*w
			if q := f.within(g, bound, bound); q != nil {
				found = append(found, q)
			}
		}
	}
	return found
}

// heads are instants at which windows of the clock may have begun: in those times
// that are known best in which it opened.
func (f *fitter) heads() (at []float64) {
	f.findOpenings()
	best := slices.Clone(f.opened)
	slices.SortFunc(best, func(a, b opening) int { return cmp.Compare(a.hi-a.lo, b.hi-b.lo) })
	for _, o := range best[:min(3, len(best))] {
		for _, x := range []float64{0.1, 0.5, 0.9} {
			at = append(at, o.lo+x*(o.hi-o.lo))
		}
	}
	return at
}

// wide searches all windows for a family of which the last explanation was lost,
// for those whose limit follows from the window.
func (f *fitter) wide(hd *herd) (found []*particle) {
	f.full = f.refusals()
	if len(f.full) == 0 || hd.used || hd.tick > 0 {
		return nil
	}
	now := f.sights[len(f.sights)-1].d
	bound := math.Inf(1)
	if len(hd.best) > 0 {
		bound = hd.best[min(len(hd.best), herdSize/2)-1].cost
	}
	if f.share > 0 {
		bound = min(bound, f.top+hopeless)
	}
	keep := func(h hypothesis) {
		if q := f.within(h, bound+1, bound); q != nil {
			found = append(found, q)
		}
	}
	first := f.full[0]
	switch hd.family {
	case TokenBucket:
		total := f.admittedIn(first, 1e9)
		for w := 2e-4; w < 2*now; w *= f.coarser(1.006) {
			for _, t := range []float64{f.sights[first].s, f.sights[first].d} {
				n := total - math.Floor((t-f.sights[0].s)/w)
				for dn := -1.0; dn <= 1 && n+dn >= 1; dn++ {
					keep(hypothesis{family: TokenBucket, w: w, n: n + dn})
				}
			}
		}
	case FixedFirst, SlidingLog, SlidingLogDenied:
		for w := shortest; w < 2*now; w *= f.coarser(1.006) {
			for _, i := range f.full[:min(3, len(f.full))] {
				keep(hypothesis{family: hd.family, w: w, n: f.admittedIn(i, w)})
			}
		}
	case SlidingWindow, SlidingWindowDenied:
		return f.comb(hd)
	case Ban:
		f.findOpenings()
		for _, o := range f.opened[:min(len(f.opened), int(whoever(f.share > 0, 2, 5)))] {
			last := 0 // the refusal that began the ban
			for i := range f.sights {
				if w := &f.sights[i]; w.s < o.hi && w.r > 0 && (w.a > 0 || i > 0 && f.sights[i-1].r == 0) {
					last = i
				}
			}
			for _, x := range []float64{0.1, 0.5, 0.9} {
				v := o.lo + x*(o.hi-o.lo) - f.sights[last].s
				for w := shortest; w < 2*v; w *= f.coarser(1.07) {
					for _, i := range f.full[:min(4, len(f.full))] {
						keep(hypothesis{family: Ban, kind: hd.kind, w: w, v: v, n: f.admittedIn(i, w)})
					}
				}
			}
		}
	case FixedClock:
		heads := f.heads()
		if f.share > 0 {
			heads = heads[:min(len(heads), 3)]
		}
		for w := shortest; w < 2*now; w *= f.coarser(1.01) {
			for _, ph := range heads {
				for _, i := range f.full[:min(2, len(f.full))] {
					n := f.admittedSince(i, ph+math.Floor((f.sights[i].s-ph)/w)*w)
					keep(hypothesis{family: FixedClock, w: w, ph: ph, n: n})
				}
			}
		}
	}
	return found
}

// quickly searches for clocks that give one unit many times a second, where nothing else
// explains what was seen: a search by chance seldom meets the place of such a tick and its
// length at once, and a network that blurs both takes many buckets for these.
func (p *Probe) quickly() {
	first, now := p.refusals()[0], p.sights[len(p.sights)-1].d
	s, total := p.sights[first].s, p.admittedIn(first, 1e9)
	const heads = 16
	for _, fam := range []Family{FixedClock, RefillBucket} {
		hd := p.herd(fam)
		for _, w := range quickTicks {
			var best *particle
			for i := range heads {
				h := hypothesis{family: fam, quick: true, w: w, ph: s - w*float64(i)/heads, n: 1}
				for dn := -1.0; dn <= 1; dn++ {
					if fam == RefillBucket {
						h.m, h.n = 1, total-math.Floor((s-p.sights[0].s)/w)+dn
					} else if dn > -1 {
						break
					}
					if q := p.within(h, p.enough(), p.enough()); q != nil && (best == nil || q.cost < best.cost) {
						best = q
					}
				}
			}
			if best == nil {
				continue
			}
			r := &reach{fitter: &p.fitter, most: 0.35, now: now, tries: 150}
			if g := r.descend(best.hypothesis, best.times()); g != nil {
				hd.best = append(hd.best, g)
			}
		}
		slices.SortStableFunc(hd.best, byCost)
		hd.best = spread(hd.best, hd.size())
	}
}

// quickTicks are lengths of ticks that people choose, in seconds.
var quickTicks = [...]float64{0.1, 0.125, 1.0 / 6, 0.2, 0.25}

// combed puts what comb finds into a herd of sliding windows.
func (f *fitter) combed(hd *herd) {
	if hd.family != SlidingWindow && hd.family != SlidingWindowDenied || hd.tick > 0 {
		return
	}
	f.full = f.refusals()
	hd.best = append(f.comb(hd), hd.best...)
	slices.SortStableFunc(hd.best, byCost)
	hd.best = spread(hd.best, hd.size())
}

// roundly searches for sliding windows that do not round down, where nothing else explains
// what was seen: they bend further.
func (p *Probe) roundly() {
	if !p.more(p.combedAt) {
		return
	}
	p.combedAt, p.full = len(p.sights), p.refusals()
	for _, fam := range []Family{SlidingWindow, SlidingWindowDenied} {
		h := p.herd(fam)
		for m := 1; m < len(roundings); m++ {
			h.best = append(h.best, p.combOf(h, float64(m))...)
		}
		slices.SortStableFunc(h.best, byCost)
		h.best = spread(h.best, h.size())
	}
}

// comb tries sliding windows of all lengths with heads all over them, and moves
// the best to where they explain most. What comes back little by little fits many
// families badly, so that a search by chance ends in the wrong valley.
func (f *fitter) comb(hd *herd) []*particle { return f.combOf(hd, 0) }

// combOf is comb for windows that round in one way.
func (f *fitter) combOf(hd *herd, rounding float64) (found []*particle) {
	first := f.full[0]
	now := f.sights[len(f.sights)-1].d
	total := f.admittedIn(first, 1e9)
	var pool []*particle
	const keep = 16
	bound := f.enough()
	ratio, heads, tries := 1.025, 24, 150
	if f.share > 0 {
		ratio, heads, tries, bound = 1.06, 12, 50, f.top+hopeless
	}
	for w := shortest; w < 2*now; w *= ratio {
		var best *particle
		for i := range heads {
			if hd.anew && i > 0 {
				break
			}
			h := hypothesis{family: hd.family, anew: hd.anew, w: w, m: rounding, ph: f.sights[first].s - w*float64(i)/float64(heads)}
			for _, dn := range []float64{0, 1} {
				h.n = total - dn
				most := bound
				if best != nil {
					most = min(most, best.cost)
				}
				if q := f.within(h, bound, most); q != nil && (best == nil || q.cost < best.cost) {
					if best != nil {
						f.drop(best)
					}
					best = q
				}
			}
		}
		if best == nil || best.cost >= bound {
			continue
		}
		i, _ := slices.BinarySearchFunc(pool, best, byCost)
		if pool = slices.Insert(pool, i, best); len(pool) > keep {
			pool = pool[:keep]
			bound = pool[keep-1].cost
		}
	}
	for _, q := range pool {
		r := &reach{fitter: f, most: 0.35, now: now, tries: tries}
		for _, dn := range []float64{0, -1, 1} {
			h := q.hypothesis
			h.n += dn
			if g := r.descend(h, q.times()); g != nil {
				found = append(found, g)
			}
		}
	}
	return found
}
