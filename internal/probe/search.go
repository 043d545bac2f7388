package probe

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// herd is the particles of one family, the best first.
type herd struct {
	family Family
	kind   Family // of the first limit, when stacked; of a ban, what must not be exceeded
	kind2  Family
	anew   bool     // of windows and portions that a request begins
	since  Since    // of portions
	tick   float64  // of a clock that shows whole ticks only
	used   bool     // of hypotheses in which somebody had used some of it before
	also   Counting // of two limits
	best   []*particle
	dead   int // rounds in which others explained more
	widely int // searches of all windows, where others use the limit
}

// herdSize is how many particles of a family are kept; more where figures depend
// on each other.
const herdSize = 36

func (h *herd) size() int {
	switch h.family {
	case SlidingWindow, SlidingWindowDenied, RefillBucket, Stacked:
		return 2 * herdSize
	}
	return herdSize
}

func (h *herd) cost() float64 {
	if len(h.best) == 0 {
		return math.Inf(1)
	}
	return h.best[0].cost
}

// unlike returns up to n of a herd to plan with: those that leave as little as cost
// and lie furthest apart, then the others, the best first.
func (h *herd) unlike(n int, cost float64) (out []*particle) {
	k := 0
	for k < len(h.best) && h.best[k].cost <= cost+h.best[k].near() {
		k++
	}
	for _, figure := range []func(*particle) float64{
		func(q *particle) float64 { return q.w },
		func(q *particle) float64 { return q.n },
		func(q *particle) float64 { return q.m },
		func(q *particle) float64 { return q.v },
	} {
		if k == 0 {
			break
		}
		less := func(a, b *particle) int { return cmp.Compare(figure(a), figure(b)) }
		out = append(out, slices.MinFunc(h.best[:k], less), slices.MaxFunc(h.best[:k], less))
	}
	seen := out[:0]
	for _, q := range out {
		if !slices.Contains(seen, q) {
			seen = append(seen, q)
		}
	}
	out = seen
	for _, q := range h.best {
		if len(out) >= n || q.cost > cost+1.75+q.near() {
			break
		}
		if !slices.Contains(out, q) {
			out = append(out, q)
		}
	}
	return out
}

// fitter searches for the figures with which each family explains what was seen.
type fitter struct {
	rng          *rand.Rand
	sights       []sight
	opened       []opening
	full         []int    // waves of which something was refused, see refusals
	most         float64  // what no limit that was met can exceed
	also         Counting // of two limits that are sought
	share        float64  // how much of the limit others are taken to use
	top          float64  // what the best of all leaves to chance, where others use it
	works        bool     // admitted requests are seen to be worked on
	hold, jitter float64  // how long admitted requests are worked on, and how well times are known
	trip         float64  // how long an admitted request takes, the network with it
	prices       map[float64]missing
	spare        [places]*particle // of each family, and of each kinds of two limits, one to use again
}

// try is a particle of h that has seen everything, unless that makes it cost more
// than bound; nil where the figures make no sense.
func (f *fitter) try(h hypothesis, bound float64) *particle {
	return f.within(h, bound, math.Inf(1))
}

// within is try for those who throw away what costs more than most: it is nil then,
// and found out with as little work as can be. Most hypotheses are thrown away.
func (f *fitter) within(h hypothesis, bound, most float64) *particle {
	if !h.valid() {
		return nil
	}
	if h.n > f.most || h.m > f.most {
		return nil
	}
	luck := f.luck(&h)
	if luck > most {
		return nil
	}
	p := f.spare[h.place()]
	if p == nil {
		p = &particle{hypothesis: h, course: course{state: h.model(nil)}}
	} else {
		f.spare[h.place()] = nil
		*p = particle{hypothesis: h, course: course{state: h.model(p.state)}, forks: p.forks[:0]}
	}
	// Subtle: what is within by a rounding is for the sum to say.
	if p.look(f.sights, bound, most-luck+1e-6) {
		if p.cost += luck; p.cost <= most {
			return p
		}
	}
	f.drop(p)
	return nil
}

// drop takes back a particle that nobody holds, for the next one to use.
func (f *fitter) drop(p *particle) { f.spare[p.place()] = p }

// places is how many places there are for spare particles.
const places = int(families) + int(families)*int(families)

// place is where the spare particle of a family, or of the kinds of two limits, is.
func (h *hypothesis) place() int {
	if h.family == Stacked {
		return int(families) + int(h.kind)*int(families) + int(h.kind2)
	}
	return int(h.family)
}

// luck is the price of what is seldom so: of a coincidence, and of others who were
// there before.
func (f *fitter) luck(h *hypothesis) float64 {
	if h.used {
		c := usedCost + f.coincides(h)
		if now := f.sights[len(f.sights)-1].d; h.period() > now/3 {
			c += 12 // what was there before would explain all that was seen
		}
		return c
	}
	c := f.coincides(h)
	if h.tick > 0 {
		c += tickCost
	}
	if f.share > 0 && h.period() > 0.7*f.sights[len(f.sights)-1].d {
		c += 12 // others who were there before would explain all that was seen
	}
	if f.share > 0 && h.family == Stacked {
		c += 4 // what others do is explained by a second limit, too
	}
	return c
}

// tickCost is the price of a clock that shows whole seconds only: more have a finer one.
const tickCost = 0.2

// rare tells whether it has rules that few limits have.
func (h *hypothesis) rare() bool {
	return h.tick > 0 || h.anew && (h.family == RefillBucket || h.family == FixedFirst)
}

// usedCost is the price of somebody who used the limit just before.
const usedCost = 2.5

// coincides is the price of a coincidence: a window as long as the work on a request
// takes, or a little more over a slow network, looks like a limit on what is under way.
func (f *fitter) coincides(h *hypothesis) float64 {
	if h.family == LeakyQueue && h.m == h.n {
		return earlyCost + f.withinWork(h)
	}
	if h.family == LeakyQueue && (h.n-h.m)*h.w < 2*f.jitter {
		return 5 + f.withinWork(h) // its longest delay could not be seen: a token bucket says the same
	}
	odd := 0.0
	if h.m > 0 && (h.family == SlidingWindow || h.family == SlidingWindowDenied) {
		odd = 0.3 // most of them round down
	}
	if h.family == RefillBucket && h.anew {
		if h.w < 4*f.jitter {
			return 8 // what it loses could not be seen
		}
		return tickCost
	}
	if h.family == Ban && h.v > 2*f.sights[len(f.sights)-1].d {
		return 3 // its end was never seen, and it would explain whatever is refused
	}
	if h.family == Stacked {
		now := f.sights[len(f.sights)-1].d
		one, two := h.parts()
		switch {
		case h.kind == TokenBucket && one.period() < 2*f.jitter+0.005:
			return 8 // it gives back faster than anybody could see
		case h.kind2 != TokenBucket && h.v > 6*now || h.kind2 == TokenBucket && two.period() > 30*now:
			return 4 // far longer than what was seen
		}
	}
	if h.family == Concurrency || h.family == None || !f.works {
		return odd
	}
	return odd + f.withinWork(h)
}

// fit renews a herd: particles that still explain everything are kept, and more
// are sought near them, or anywhere when there are none.
func (f *fitter) fit(hd *herd, effort int) {
	for _, p := range hd.best {
		p.see(f.sights, math.Inf(1))
	}
	f.findOpenings()
	f.full = f.refusals()
	pool, size := hd.best, hd.size()
	slices.SortStableFunc(pool, byCost)
	now := f.sights[len(f.sights)-1].d
	bound := func() float64 {
		if len(pool) < size {
			return f.enough()
		}
		return pool[size-1].cost + 1
	}
	// What costs more than most has no part in what follows: it would be cut off, and
	// none beyond size is looked at, except in a search of much effort.
	most := func() float64 {
		if f.share > 0 && len(pool) > 0 && pool[0].cost < f.top+hopeless {
			return min(pool[min(len(pool)-1, size-1)].cost+boolTo(len(pool) < size, hopeless), f.top+hopeless)
		}
		switch {
		case len(pool) > 4*size: // not cut yet
		case effort < 700 && len(pool) >= size:
			return max(pool[size-1].cost, pool[0].cost+1e-9)
		case len(pool) >= 4*size:
			return pool[4*size-1].cost
		}
		return math.Inf(1)
	}
	try := func(h hypothesis) *particle { return f.within(h, bound(), most()) }
	add := func(p *particle) {
		if p == nil {
			return
		}
		if p.cost > 0 {
			// Of those that are much alike only the best is kept, so that a search
			// does not end in the first hollow.
			near := func(q *particle) bool {
				return q.n == p.n && q.cost > 0 && math.Abs(q.w-p.w) < 0.01*p.w && math.Abs(q.v-p.v) <= 0.02*p.v && math.Abs(q.ph-p.ph) < 0.02*p.w
			}
			if i := slices.IndexFunc(pool, near); i >= 0 {
				if pool[i].cost <= p.cost {
					f.drop(p)
					return
				}
				pool = slices.Delete(pool, i, i+1)
			}
		}
		i, _ := slices.BinarySearchFunc(pool, p, byCost)
		pool = slices.Insert(pool, i, p)
		if len(pool) > 4*size {
			pool = pool[:4*size]
		}
	}
	fresh := effort
	if len(pool) > 0 && pool[0].cost == 0 && effort < 700 {
		fresh = effort / 2
	}
	if hd.family == SlidingWindow || hd.family == SlidingWindowDenied {
		fresh *= 2
	}
	if hd.family == Stacked { // those are found by second
		effort += fresh
		fresh = 0
	}
	if hd.family == None || hd.family == Concurrency {
		fresh = min(fresh, 12)
	}
	for range fresh {
		add(try(f.guess(hd)))
	}
	local := effort
	if hd.family == None || hd.family == Concurrency {
		local = 12
	}
	for range local {
		if len(pool) == 0 {
			break
		}
		k := int(float64(min(len(pool), size)) * f.rng.Float64() * f.rng.Float64())
		if effort >= 700 && f.rng.IntN(2) == 0 {
			k = f.rng.IntN(len(pool))
		}
		if len(pool) > 6 && f.rng.IntN(2) == 0 {
			// A step as large, and in the direction, as two others differ: that follows
			// a valley in which figures can only change together.
			m := min(len(pool), size)
			if h := pool[k].toward(pool[f.rng.IntN(m)], pool[f.rng.IntN(m)], f.rng); h.family == hd.family {
				add(try(h))
				continue
			}
		}
		add(try(pool[k].mutate(f.rng, now)))
	}
	hd.best = spread(pool, size)
}

// enough is what a hypothesis may cost before its search is given up: where others use
// the limit, chance alone costs much.
func (f *fitter) enough() float64 {
	if f.share > 0 {
		return math.Inf(1)
	}
	return 60
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
func spread(pool []*particle, size int) []*particle {
	if len(pool) <= size {
		return pool
	}
	best := pool[0].cost
	n := 0
	for n < len(pool) && pool[n].cost <= best+pool[n].alike() {
		n++
	}
	if n <= size {
		return pool[:size]
	}
	alike := slices.Clone(pool[:n])
	keep := make([]*particle, 0, size)
	take := func(less func(a, b *particle) int) {
		keep = append(keep, slices.MinFunc(alike, less), slices.MaxFunc(alike, less))
	}
	take(func(a, b *particle) int { return cmp.Compare(a.w, b.w) })
	take(func(a, b *particle) int { return cmp.Compare(a.n, b.n) })
	take(func(a, b *particle) int { return cmp.Compare(a.m, b.m) })
	take(func(a, b *particle) int { return cmp.Compare(a.v, b.v) })
	slices.SortFunc(keep, func(a, b *particle) int { return cmp.Compare(a.w, b.w) })
	keep = slices.Compact(keep)
	for i := 0; len(keep) < size && i < n; i += max(1, n/size) {
		if !slices.Contains(keep, alike[i]) {
			keep = append(keep, alike[i])
		}
	}
	if pool[0].them.b > 0 { // the best of these stays the first
		slices.SortStableFunc(keep, byCost)
		if keep[0] != pool[0] {
			keep = append([]*particle{pool[0]}, keep...)
		}
	}
	return keep
}
