package probe

import (
	"math"
	"slices"
)

// challenge looks for figures of a family that explain everything and are not
// those that were found: from each that is, with another limit, by small steps.
// Without it a search may have lost sight of the truth before it was known well.
func (f *fitter) challenge(hd *herd) {
	if len(hd.best) == 0 || hd.family == None || hd.family == Concurrency {
		return
	}
	b := hd.best[0]
	hd.best = append(hd.best, f.scan(b.hypothesis, 0.33, 3, 1.004, b.cost+1)...)
	n := math.Ceil(b.n / 100)
	for _, dn := range []float64{-1, 1, -2, 2, -3, 3, -5, 5, -n, -2 * n, 0} {
		hd.best = append(hd.best, f.near(hd, dn, b.m)...)
	}
	if b.m > 0 && (hd.family == SlidingWindow || hd.family == SlidingWindowDenied) {
		for _, dn := range []float64{-1, 0, -2, 1} { // rounded down
			hd.best = append(hd.best, f.near(hd, dn, 0)...)
		}
	}
	slices.SortStableFunc(hd.best, byCost)
	hd.best = spread(hd.best, hd.size())
}

// near seeks figures with a limit that is dn more, from those that were found.
func (f *fitter) near(hd *herd, dn, m float64) (found []*particle) {
	best := hd.best[0].cost
	now := f.sights[len(f.sights)-1].d
	var pool []*particle
	add := func(p *particle) {
		if p == nil {
			return
		}
		i, _ := slices.BinarySearchFunc(pool, p, byCost)
		if pool = slices.Insert(pool, i, p); len(pool) > 24 {
			pool = pool[:24]
		}
	}
	for _, q := range hd.best[:min(len(hd.best), 12)] {
		h := q.hypothesis
		h.n += dn
		if h.family == SlidingWindow || h.family == SlidingWindowDenied {
			h.m = m
		}
		add(f.try(h, 60))
	}
	for range 90 {
		if len(pool) == 0 || pool[0].cost < best {
			break
		}
		n := len(pool)
		q := pool[int(float64(n)*f.rng.Float64()*f.rng.Float64())]
		h := q.mutate(f.rng, now)
		if n > 4 && f.rng.IntN(2) == 0 {
			h = q.toward(pool[f.rng.IntN(n)], pool[f.rng.IntN(n)], f.rng)
		}
		h.n = q.n
		if h.family == SlidingWindow || h.family == SlidingWindowDenied {
			h.m = m
		}
		add(f.try(h, pool[n-1].cost+1))
	}
	for _, q := range pool {
		if q.cost <= best+1 {
			found = append(found, q)
		}
	}
	return found
}

// widen walks the windows of a family outward from what was found, and lets the
// other figures follow: what is said of a figure is what the answers allow, not
// what the search happened to meet.
func (f *fitter) widen(hd *herd) {
	if len(hd.best) == 0 || hd.family == None || hd.family == Concurrency {
		return
	}
	best := hd.best[0].cost
	for _, by := range []float64{0.002, 0.004, 0.007, 0.011, 0.017, 0.03, 0.06} {
		for _, sign := range []float64{-1, 1} {
			hd.best = append(hd.best, f.follow(hd, 1+sign*by, 1, best)...)
			if hd.family == Ban || hd.family == Stacked {
				hd.best = append(hd.best, f.follow(hd, 1, 1+sign*by, best)...)
			}
		}
	}
	slices.SortStableFunc(hd.best, byCost)
	hd.best = spread(hd.best, hd.size())
}

// follow seeks figures with the windows of the best made so many times as long.
func (f *fitter) follow(hd *herd, byW, byV, best float64) (found []*particle) {
	now := f.sights[len(f.sights)-1].d
	b := hd.best[0]
	w, v := b.w*byW, b.v*byV
	var pool []*particle
	add := func(h hypothesis) {
		h.w, h.v = w, v
		if p := f.try(h, 40); p != nil {
			i, _ := slices.BinarySearchFunc(pool, p, byCost)
			if pool = slices.Insert(pool, i, p); len(pool) > 16 {
				pool = pool[:16]
			}
		}
	}
	for _, q := range hd.best[:min(len(hd.best), 6)] {
		h := q.hypothesis
		add(h)
		h.ph += math.Round((now-h.ph)/q.w) * (q.w - w) // the latest head stays
		add(h)
		if h.ph = q.ph + math.Round((now/2-q.ph)/q.w)*(q.w-w); q.w > 0 {
			add(h)
		}
	}
	for range 40 {
		if len(pool) == 0 || pool[0].cost <= best {
			break
		}
		n := len(pool)
		q := pool[int(float64(n)*f.rng.Float64()*f.rng.Float64())]
		if n > 4 && f.rng.IntN(2) == 0 {
			add(q.toward(pool[f.rng.IntN(n)], pool[f.rng.IntN(n)], f.rng))
		} else {
			add(q.mutate(f.rng, now))
		}
	}
	for _, q := range pool {
		if q.cost <= best+0.2 {
			found = append(found, q)
		}
	}
	return found
}
