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
		add(f.try(h, f.enough()))
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
		most := math.Inf(1)
		if n == 24 {
			most = pool[n-1].cost // it would be cut off
		}
		add(f.within(h, pool[n-1].cost+1, most))
	}
	for _, q := range pool {
		if q.cost <= best+1 {
			found = append(found, q)
		}
	}
	return found
}
