package probe

import (
	"math"
	"math/rand/v2"
	"slices"
)

// lonely is what a hypothesis leaves unexplained if nobody else used the limit.
func (p *Probe) lonely(of *particle) float64 {
	for i := range p.sights {
		p.sights[i].share = 0
	}
	q := &particle{hypothesis: of.hypothesis}
	q.see(p.sights, 1e9)
	for i := range p.sights {
		p.sights[i].share = p.share
	}
	return q.cost
}

// others is how much others used.
func (p *Probe) others(h *herd) (o Others) {
	if h.family == None || len(h.best) == 0 {
		return o
	}
	o.Low = 1
	for i, q := range h.best {
		if q.cost > h.cost()+q.near() {
			break
		}
		through := q.through(p.rtt())
		share, off := q.them.rate()/through, 2/math.Sqrt(1+q.them.a)
		if i == 0 {
			o.Share = share
		}
		o.Low, o.High = min(o.Low, share*(1-min(0.9, off))), max(o.High, share*(1+off))
	}
	o.Low, o.High = min(o.Low, o.Share), min(1, max(o.High, o.Share))
	return o
}

// doubt asks, before anything is said for certain, whether a limit that others use
// explains the answers as well as the one that explains them with nobody else: such a
// one, with figures that had to be just so, may only be made to fit what they did. It
// tells whether others are taken to use it from now on.
func (p *Probe) doubt() bool {
	shares := p.shares()
	// Subtle: of a queue the times of all answers speak, which others could not make; and a
	// bucket has no figure that could be made to fit them.
	switch shares[0].Family {
	case None, LeakyQueue, TokenBucket:
		return false
	}
	if p.share > 0 || p.doubted > 2 {
		return false
	}
	p.doubted, p.doubtedAt = p.doubted+1, len(p.sights)
	top := p.herd(shares[0].Family)
	now := p.sights[len(p.sights)-1].d
	rng := p.rng
	p.rng = rand.New(rand.NewPCG(p.opt.Seed, uint64(p.doubted))) // the search is as it would be without
	defer func() { p.rng = rng }()
	needs, odd := top.coincidence(now), p.occam()
	was := p.share
	p.share = 0.2
	p.bound()
	q := &particle{hypothesis: top.best[0].hypothesis}
	q.see(p.sights, math.Inf(1))
	most := q.cost + p.luck(&q.hypothesis) + prior(q.family) - doubtLeast
	var found []*herd
	for _, h := range p.herds {
		if h.used || h.anew || h.tick > 0 || h.family == None || h.family == Stacked || h.family == Ban || h.family == LeakyQueue || h.family == top.family {
			continue
		}
		g := &herd{family: h.family, kind: h.kind}
		bound := most - prior(h.family) + odd
		var pool []*particle
		keep := func(q *particle) {
			if q != nil {
				pool = append(pool, q)
			}
		}
		for _, o := range h.best[:min(len(h.best), 12)] {
			keep(p.within(o.hypothesis, bound, bound))
		}
		for range 250 {
			keep(p.within(p.guess(h), bound, bound))
		}
		for range 250 {
			if len(pool) == 0 {
				break
			}
			keep(p.within(pool[p.rng.IntN(len(pool))].mutate(p.rng, now), bound, bound))
		}
		slices.SortStableFunc(pool, byCost)
		g.best = pool[:min(len(pool), 4*herdSize)]
		if len(pool) > 0 && pool[0].cost+prior(h.family) < most+min(odd, occamPart*(needs-g.coincidence(now))) {
			found = append(found, g)
		}
	}
	if len(found) == 0 {
		p.share = was
		p.bound()
		return false
	}
	for _, g := range found {
		h := p.herd(g.family)
		h.best = append(h.best, g.best...)
	}
	p.reckon(p.share)
	for _, h := range p.herds {
		p.fit(h, 300)
	}
	return true
}

// tooAlike tells whether two limits are believed of which one lets through hardly more than
// the other: nobody sets such a pair, and what others took of one limit looks like it.
func (p *Probe) tooAlike() bool {
	h := p.herd(p.shares()[0].Family)
	return p.share == 0 && h.family == Stacked && h.kind != TokenBucket && h.best[0].m < 1.3*h.best[0].n
}

// doubtLeast is how much likelier a limit that others use has to be than one that nobody
// else does, for a doubt.
const doubtLeast = 3

// allow lets others use a share of the limit from now on, and looks at everything
// again. What nobody explains alone may be explained so.
func (p *Probe) allow(share float64) {
	for _, h := range p.herds { // the search may only have missed it
		if !h.lone() && h.family != Stacked {
			h.best = append(h.best, p.wide(h)...)
			p.fit(h, 500)
		}
	}
	if p.cheapest() > 3 {
		p.believe(share)
	}
}

// believe takes others to use a share of the limit from now on, and looks for what may
// be the limit then everywhere.
func (p *Probe) believe(share float64) {
	p.reckon(share)
	for _, h := range p.herds {
		h.widely++
		h.best = append(h.best, p.wide(h)...)
		p.fit(h, 400)
		p.top = min(p.top, h.cost())
	}
}

// cutShort doubts, when a bound has ended the probe, what is believed: no more is asked,
// but others may explain what was seen better.
func (p *Probe) cutShort() {
	if p.share > 0 || p.reviews == 0 {
		return
	}
	p.refit()
	if p.cheapest() > 3 {
		p.allow(0.2)
	} else {
		p.doubt()
	}
}

// lone tells whether a herd is of hypotheses that know nothing of others.
func (h *herd) lone() bool {
	return h.used || h.anew || h.tick > 0 || h.family == Ban && h.kind != None
}

// stacksAmong is how many kinds of two limits are kept where others use them: each
// costs as much thought as the others together.
const stacksAmong = 3

// reckon takes others to use a share of the limit from now on, and looks at everything
// again.
func (p *Probe) reckon(share float64) {
	p.share = share
	p.bound()
	p.herds = slices.DeleteFunc(p.herds, (*herd).lone)
	p.askedUsed, p.stale, p.top = true, 0, math.Inf(1)
	clear(p.dull)
	for _, h := range p.herds {
		for _, q := range h.best {
			q.state, q.seen, q.them = nil, 0, stream{}
			q.see(p.sights, math.Inf(1))
			q.cost += p.luck(&q.hypothesis)
		}
		slices.SortStableFunc(h.best, byCost)
		h.dead = 0
		p.top = min(p.top, h.cost())
	}
	p.fewStacks()
}

// among tells whether a limit that others use is what explains the answers.
func (p *Probe) among() bool {
	h := p.herd(p.shares()[0].Family)
	return p.share > 0 && len(h.best) > 0 && h.best[0].usual()
}

// clear tells whether every other family leaves much more to chance than the winner,
// whatever coincidences say.
func (p *Probe) clear(h *herd) bool {
	by := clearBy
	if h.family == Stacked { // of two limits one explains what the other does not
		by *= 2
	}
	for _, o := range p.herds {
		if o.family != h.family && o.family != Stacked && o.cost() < h.cost()+by {
			return false
		}
	}
	return true
}

// clearBy is a likelihood of 250 to 1.
const clearBy = 5.5

// searchOthers looks once more, and everywhere, for explanations by other families
// before one is said for certain: among what chance does one is lost easily.
func (p *Probe) searchOthers() {
	if p.searched > 1 {
		return
	}
	p.searched++
	top := p.shares()[0].Family
	for _, h := range p.herds {
		if h.family != top && h.family != None {
			h.best = append(h.best, p.wide(h)...)
			p.fit(h, 500)
		}
	}
}

// coarser is the ratio of a scan of lengths of time: what others do blurs them, and to
// look at each of them takes longer.
func (f *fitter) coarser(ratio float64) float64 {
	if f.share > 0 {
		return 1 + 2.5*(ratio-1)
	}
	return ratio
}

// tooMuch is the share of a limit that others are said to use above which nothing is
// certain: a second limit that was met looks so, too, and a clock of whole seconds.
const tooMuch = 0.2

// holds tells whether what is said of a limit that others use may be said for certain:
// what others did is what chance does, the figures are such as people choose, and the
// limit as it is said explains the answers as well as the best of its herd does. Subtle:
// a probe that asks when it opens makes a rhythm of its own, which looks like a clock's.
func (p *Probe) holds(h *herd, said Found) bool {
	best := h.best[0]
	if p.crowds(best) {
		return false
	}
	if !best.usual() || h.family != Concurrency && !p.isRound(h) || p.Explain(said) > best.cost+best.near() {
		return false
	}
	may := p.possible(h, sureOdd)
	return may.n.hi-may.n.lo <= 2*p.units(&best.hypothesis) && may.v.hi-may.v.lo <= 0.03*best.v
}

// possible are the figures that the best of a herd may have at all.
type possible struct{ n, w, v span }

// possible walks each figure outward, where others use the limit, until it is so much
// unlikelier. What a search by chance keeps of a herd is less: those that are alike.
func (p *Probe) possible(h *herd, odd float64) possible {
	b := h.best[0]
	may := possible{span{b.n, b.n}, span{b.w, b.w}, span{b.v, b.v}}
	walk := func(move func(*reach)) {
		r := &reach{fitter: &p.fitter, most: b.cost + odd, now: p.sights[len(p.sights)-1].d, tries: boundsTries}
		move(r)
		for _, q := range r.found {
			may.n, may.w, may.v = may.n.with(q.n), may.w.with(q.w), may.v.with(q.v)
		}
	}
	for _, dir := range []float64{-1, 1} {
		walk(func(r *reach) { r.count(b, dir, 0) })
		for _, g := range b.times() {
			if g == windowFig || g == secondFig {
				walk(func(r *reach) { r.walk(b, g, dir) })
			}
		}
	}
	return may
}

// How much unlikelier a figure is that is not possible, as a logarithm: for what is said
// to be possible, and for the limit to be certain; and how many hypotheses are tried to
// find the last that is.
const (
	boundsOdd   = 6
	sureOdd     = 4
	boundsTries = 100
)
