package probe

import (
	"math"
	"math/rand/v2"
	"slices"
)

// particle is a hypothesis, the states it allows, and what it leaves unexplained.
type particle struct {
	hypothesis
	state model
	cost  float64
	seen  int // sights taken in
}

// What a unit admitted without explanation costs, against one refused. Nobody
// else can make a limiter admit more.
const (
	overCost = 5
	overMost = 40
)

// see takes in the sights that the particle has not seen, unless that makes it
// cost more than bound.
func (p *particle) see(sights []sight, bound float64) {
	if p.state == nil {
		p.state = p.model()
		p.seen, p.cost = 0, 0
	}
	for ; p.seen < len(sights) && p.cost < bound; p.seen++ {
		w := &sights[p.seen]
		if over := p.state.admit(w); over > 1e-6 {
			p.cost += min(overMost, overCost*(0.3+over))
		}
		if w.r > 0 {
			gap := p.state.gap(w)
			if gap > 1e-6 {
				p.cost += 1.5 + 3*gap/(1+0.1*min(p.n, w.scale))
			}
			p.state.refuse(w, gap)
		}
		if w.slow > 2*w.slack && p.family != LeakyQueue {
			p.cost += 3
		}
	}
	if p.seen < len(sights) {
		p.cost += float64(len(sights) - p.seen) // it gave up early: worse the earlier
	}
}

// herd is the particles of one family, the best first.
type herd struct {
	family Family
	kind   Family // of both limits, when stacked
	best   []*particle
	dead   int // rounds in which others explained more
}

// herdSize is how many particles of a family are kept.
const herdSize = 14

func (h *herd) cost() float64 {
	if len(h.best) == 0 {
		return math.Inf(1)
	}
	return h.best[0].cost
}

// fitter searches for the figures with which each family explains what was seen.
type fitter struct {
	rng          *rand.Rand
	sights       []sight
	opened       []opening
	full         []int   // waves of which something was refused, see refusals
	most         float64 // what no limit that was met can exceed
	hold, jitter float64 // how long admitted requests are worked on, and how well times are known
}

func (f *fitter) try(h hypothesis, bound float64) *particle {
	if !h.valid() {
		return nil
	}
	if h.n > f.most || h.m > f.most {
		return nil
	}
	p := &particle{hypothesis: h}
	p.see(f.sights, bound)
	p.cost += f.luck(&h)
	return p
}

// luck is the price of a coincidence: a window as long as the work on a request
// takes looks like a limit on what is under way.
func (f *fitter) luck(h *hypothesis) float64 {
	if h.family == Concurrency || h.family == None || f.hold < f.jitter {
		return 0
	}
	near := func(w float64) bool { return w > 0 && math.Abs(w-f.hold) < f.jitter+0.15*f.hold }
	if near(h.w) || near(h.v) && h.family == Ban || (h.family == TokenBucket || h.family == LeakyQueue) && h.n*h.w < 3*f.hold {
		return 7
	}
	return 0
}

// admittedIn counts what was admitted in the width seconds up to wave i.
func (f *fitter) admittedIn(i int, width float64) float64 {
	n := 0
	for j := i; j >= 0 && f.sights[j].d > f.sights[i].s-width; j-- {
		n += f.sights[j].a
	}
	return float64(n)
}

// refusals returns the indices of the first wave of which something was refused,
// and of the others that were admitted in part; of all refused when there is none.
func (f *fitter) refusals() (at []int) {
	for i, w := range f.sights {
		if w.r > 0 && (w.a > 0 || len(at) == 0) {
			at = append(at, i)
		}
	}
	return at
}

// opening is a time in which a limit that had refused began to admit, and the
// first wave that was admitted since the one before.
type opening struct {
	span
	from int
}

// findOpenings lists them.
func (f *fitter) findOpenings() {
	f.opened = f.opened[:0]
	first, refused := 0, -1
	for i, w := range f.sights {
		if w.a > 0 && refused >= 0 {
			f.opened = append(f.opened, opening{span{f.sights[refused].s, w.d}, first})
			first, refused = i, -1
		}
		if w.r > 0 {
			refused = i
		}
	}
}

// open sets the window of h so that it explains one or two openings.
func (f *fitter) open(h *hypothesis) {
	r := f.rng
	in := func(s span) float64 { return s.lo + (s.hi-s.lo)*r.Float64() }
	o := f.opened[r.IntN(len(f.opened))]
	at := in(o.span)
	switch h.family {
	case FixedClock, RefillBucket:
		h.ph = at
		if o2 := f.opened[r.IntN(len(f.opened))]; o2 != o {
			k := 1.0
			if r.IntN(2) == 0 {
				k += math.Floor(6 * r.Float64())
			}
			if w := math.Abs(in(o2.span)-at) / k; w > shortest {
				h.w = w
			}
		}
	case Stacked:
		f.openStacked(h, o, at)
	case FixedFirst:
		w := f.sights[o.from]
		h.w = max(shortest, at-in(span{w.s, w.d}))
	case SlidingLog, SlidingLogDenied, SlidingWindow, SlidingWindowDenied:
		w := f.sights[r.IntN(len(f.sights))]
		if d := at - in(span{w.s, w.d}); d > shortest {
			h.w = d
			if h.family == SlidingWindow || h.family == SlidingWindowDenied {
				h.w *= 0.4 + 0.8*r.Float64()
			}
		}
	}
}

// openStacked sets the first window of two limits, as open does.
func (f *fitter) openStacked(h *hypothesis, o opening, at float64) {
	w := f.sights[o.from]
	switch h.kind {
	case FixedFirst:
		h.w = max(shortest, at-(w.s+(w.d-w.s)*f.rng.Float64()))
	case SlidingLog:
		w = f.sights[f.rng.IntN(len(f.sights))]
		if d := at - w.d; d > shortest {
			h.w = d
		}
	case FixedClock:
		h.ph = at
		o2 := f.opened[f.rng.IntN(len(f.opened))]
		if d := math.Abs((o2.lo+o2.hi)/2-at) / float64(1+f.rng.IntN(4)); d > shortest {
			h.w = d
		}
	}
}

// guess draws a hypothesis of a family that is in accord with a part of what
// was seen.
func (f *fitter) guess(hd *herd) hypothesis {
	fam := hd.family
	r := f.rng
	now := f.sights[len(f.sights)-1].d
	full := f.full
	h := hypothesis{family: fam, n: 1}
	if len(full) == 0 {
		return h
	}
	i := full[0]
	if r.IntN(2) == 0 {
		i = full[r.IntN(len(full))]
	}
	end := f.sights[i].d
	h.w = 0.05 * math.Exp(r.Float64()*math.Log(max(2, 3*now/0.05)))
	if r.IntN(3) > 0 {
		// As long as it took from one refusal to an admission after it.
		j := full[r.IntN(len(full))]
		if k := j + 1 + r.IntN(12); k < len(f.sights) && f.sights[k].a > 0 {
			h.w = (f.sights[k].d - f.sights[j].s) * (0.7 + 0.6*r.Float64())
		}
	}
	h.ph = now * r.Float64()
	if len(f.opened) > 0 && r.IntN(5) > 0 {
		f.open(&h)
	}
	h.n = max(1, f.admittedIn(i, h.w))
	switch fam {
	case SlidingWindow, SlidingWindowDenied:
		if r.IntN(4) > 0 { // from rest there is no window before
			h.n = max(1, f.admittedIn(full[0], 1e9)-math.Floor(r.Float64()*r.Float64()*3))
		}
	case TokenBucket, LeakyQueue:
		// What has gone through less what the rate gave.
		start := f.sights[0].s
		n := f.admittedIn(i, end+1)
		if i != full[0] {
			n = f.admittedIn(full[0], end+1)
			end = f.sights[full[0]].d
		}
		if r.IntN(3) > 0 {
			h.w /= 1 + math.Floor(r.Float64()*n)
		}
		h.n = max(1, n-math.Floor((end-start)/h.w))
		h.m = 1
		if r.IntN(2) == 0 {
			h.m = 1 + math.Floor(r.Float64()*h.n)
		}
	case RefillBucket:
		h.m = 1 + math.Floor(h.n*r.Float64()*r.Float64())
		h.n = max(h.m+1, h.n)
	case Concurrency:
		h.n = float64(max(1, f.sights[i].a))
	case Ban:
		h.v = h.w
		h.w = h.v * (0.05 + 0.95*r.Float64())
		h.n = max(1, f.admittedIn(i, h.w))
	case Stacked:
		h.kind = hd.kind
		j := full[r.IntN(len(full))]
		if h.kind == TokenBucket {
			h.w /= 1 + math.Floor(r.Float64()*h.n)
			h.n = max(1, f.admittedIn(full[0], 1e9)-math.Floor(end/h.w))
			h.v = h.w * (1.5 + 6*r.Float64())
			h.m = max(1, f.admittedIn(j, 1e9)-math.Floor(f.sights[j].d/h.v))
			break
		}
		h.v = h.w * math.Exp(0.3+3.5*r.Float64())
		if len(f.opened) > 0 && r.IntN(2) == 0 {
			two := hypothesis{family: h.kind}
			o := f.opened[r.IntN(len(f.opened))]
			f.open(&two)
			if h.v = two.w; r.IntN(2) == 0 {
				h.v = max(h.w*1.3, (o.lo+o.hi)/2-f.sights[r.IntN(len(f.sights))].s)
			}
		}
		h.m = max(h.n+1, f.admittedIn(j, h.v))
		h.ph2 = now * r.Float64()
	}
	return h
}

// fit renews a herd: particles that still explain everything are kept, and more
// are sought near them, or anywhere when there are none.
func (f *fitter) fit(hd *herd, effort int) {
	for _, p := range hd.best {
		p.see(f.sights, math.Inf(1))
	}
	f.findOpenings()
	f.full = f.refusals()
	pool := hd.best
	slices.SortStableFunc(pool, byCost)
	now := f.sights[len(f.sights)-1].d
	bound := func() float64 {
		if len(pool) < herdSize {
			return 60
		}
		return pool[herdSize-1].cost + 1
	}
	add := func(p *particle) {
		if p == nil {
			return
		}
		if p.cost > 0 {
			// Of those that are much alike only the best is kept, so that a search
			// does not end in the first hollow.
			near := func(q *particle) bool {
				return q.cost > 0 && math.Abs(q.w-p.w) < 0.01*p.w && q.n == p.n && math.Abs(q.v-p.v) <= 0.02*p.v && math.Abs(q.ph-p.ph) < 0.02*p.w
			}
			if i := slices.IndexFunc(pool, near); i >= 0 {
				if pool[i].cost <= p.cost {
					return
				}
				pool = slices.Delete(pool, i, i+1)
			}
		}
		i, _ := slices.BinarySearchFunc(pool, p, byCost)
		pool = slices.Insert(pool, i, p)
		if len(pool) > 4*herdSize {
			pool = pool[:4*herdSize]
		}
	}
	fresh := effort
	if len(pool) > 0 && pool[0].cost == 0 && effort < 700 {
		fresh = effort / 2
	}
	if hd.family == Stacked || hd.family == SlidingWindow || hd.family == SlidingWindowDenied {
		fresh *= 2
	}
	if hd.family == None || hd.family == Concurrency {
		fresh = min(fresh, 12)
	}
	for range fresh {
		add(f.try(f.guess(hd), bound()))
	}
	local := effort
	if hd.family == None || hd.family == Concurrency {
		local = 12
	}
	for range local {
		if len(pool) == 0 {
			break
		}
		k := int(float64(min(len(pool), herdSize)) * f.rng.Float64() * f.rng.Float64())
		if effort >= 700 && f.rng.IntN(2) == 0 {
			k = f.rng.IntN(len(pool))
		}
		add(f.try(pool[k].mutate(f.rng, now), bound()))
	}
	hd.best = spread(pool)
}

func byCost(a, b *particle) int {
	switch {
	case a.cost < b.cost:
		return -1
	case a.cost > b.cost:
		return 1
	}
	return 0
}

// spread keeps the particles of the least cost that lie furthest apart: what is
// possible at all, rather than what is most often found.
func spread(pool []*particle) []*particle {
	if len(pool) <= herdSize {
		return pool
	}
	best := pool[0].cost
	n := 0
	for n < len(pool) && pool[n].cost <= best+1e-9 {
		n++
	}
	if n <= herdSize {
		return pool[:herdSize]
	}
	alike := slices.Clone(pool[:n])
	keep := make([]*particle, 0, herdSize)
	take := func(less func(a, b *particle) int) {
		keep = append(keep, slices.MinFunc(alike, less), slices.MaxFunc(alike, less))
	}
	cmp := func(x, y float64) int {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	take(func(a, b *particle) int { return cmp(a.w, b.w) })
	take(func(a, b *particle) int { return cmp(a.n, b.n) })
	take(func(a, b *particle) int { return cmp(a.m, b.m) })
	take(func(a, b *particle) int { return cmp(a.v, b.v) })
	slices.SortFunc(keep, func(a, b *particle) int { return cmp(a.w, b.w) })
	keep = slices.Compact(keep)
	for i := 0; len(keep) < herdSize && i < n; i += max(1, n/herdSize) {
		if !slices.Contains(keep, alike[i]) {
			keep = append(keep, alike[i])
		}
	}
	return keep
}
