package probe

import (
	"cmp"
	"math"
	"slices"
)

// Two limits that others use, too, are sought as two that nobody else does: one that
// explains much, and another that explains what it leaves. But every refusal may be for
// what others took, so that it is left only where they would have had to take very much.

// missing is what it costs that so many units are missing from a limit when it refuses,
// which others must have taken; empty where nobody else uses it.
type missing []float64

// missing is that for a limit of which n were used at most.
func (f *fitter) missing(n float64) missing {
	if f.share == 0 || n < 1 {
		return nil
	}
	if m, ok := f.prices[n]; ok {
		return m
	}
	m := make(missing, 0, 16)
	for d := 0.0; len(m) == 0 || m[len(m)-1] < missingMost; d++ {
		mean := 0.1*n + 0.1
		m = append(m, min(missingMost, -math.Log(max(1e-9, chance(d, math.Inf(1), mean, 1.5*mean)))))
	}
	if f.prices == nil {
		f.prices = map[float64]missing{}
	}
	f.prices[n] = m
	return m
}

// missingMost is the most that a refusal may cost: it may be that of another limit.
const missingMost = 8

// price is what it costs that d units are missing; each is what one costs where nobody
// else uses the limit.
func (m missing) price(d, each float64) float64 {
	if m == nil {
		return 1.5 + each*d
	}
	return m[min(len(m)-1, int(d+0.5))]
}

// leavesAmong is leaves where others may have taken what is missing.
func (f *fitter) leavesAmong(h hypothesis) (left []int, ok bool) {
	t := f.tally(f.refused(), false)
	if top := t.use(&h); top > 1.2*h.n+1 {
		return nil, false
	}
	dear := f.missing(h.n)
	for _, i := range t.must {
		if d := h.n - t.fill[i] - 0.6; d > 0 && dear.price(d, 0) > leftDear {
			left = append(left, t.of[i])
		}
	}
	return left, true
}

// leftDear is how unlikely what others took has to be for a refusal to be the other limit's.
const leftDear = 3

// When two limits are sought: how much others must seem to use, or how much the latest
// answers must have cost; how often; and how much dearer than the best they may be at first.
const (
	seldomMore   = 0.22
	surprise     = 6
	pairingsMost = 5
	pairWorst    = 25
)

// pairAmong seeks two limits that others use, too, where one explains the answers badly, or
// only by others who use much of it.
func (p *Probe) pairAmong() {
	h := p.herd(p.shares()[0].Family)
	switch h.family {
	case None, Concurrency, LeakyQueue, Stacked:
		return
	}
	q, was := h.best[0], p.wasLeft
	p.wasLeft = q.cost
	if q.them.rate() < seldomMore*q.flow && q.cost < was+surprise {
		p.noteAmong()
		return
	}
	if p.pairings >= pairingsMost || float64(len(p.sights)) < 1.15*float64(p.pairedAt) {
		return
	}
	p.pairings, p.pairedAt = p.pairings+1, len(p.sights)
	if p.herd(Stacked) == nil {
		p.whole.supposed = len(p.sights)
	}
	p.findOpenings()
	p.full, p.top = p.refusals(), p.cheapest()
	pool := &pairs{size: 12, of: map[[2]Family][]*particle{}}
	ones := slices.Clone(p.whole.were[:min(len(p.whole.were), 16)])
	for _, kind := range stackable {
		for _, one := range p.herd(kind).unlike(3, p.herd(kind).cost()) {
			ones = append(ones, one.hypothesis)
		}
		found := p.firsts(kind)
		ones = append(ones, found[:min(len(found), 6)]...)
	}
	p.beside(ones, false, pool)
	var all [][]*particle
	for _, one := range stackable { // Subtle: in this order, not in that of a map
		for _, two := range stackable {
			if of := pool.of[[2]Family{one, two}]; len(of) > 0 {
				all = append(all, of)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b []*particle) int { return byCost(a[0], b[0]) })
	for _, of := range all[:min(len(all), stacksAmong)] {
		h := p.herdOf(&of[0].hypothesis)
		h.best = append(h.best, of...)
		slices.SortStableFunc(h.best, byCost)
		h.dead = 0
		p.fit(h, 150)
	}
	p.fewStacks()
}

// noteAmong keeps what explains the answers while nothing is odd: it may be the first of
// two limits, as long as the second was not met.
func (p *Probe) noteAmong() {
	best := p.cheapest()
	for _, kind := range stackable {
		h := p.herd(kind)
		if h.cost() > best+8 {
			continue
		}
		for _, q := range h.unlike(4, h.cost()) {
			if q.them.rate() < seldomMore*q.flow {
				p.whole.keep(q.hypothesis)
			}
		}
	}
}

// fewStacks keeps the likeliest of the kinds of two limits that others use.
func (p *Probe) fewStacks() {
	var stacks []*herd
	for _, h := range p.herds {
		if h.family == Stacked {
			stacks = append(stacks, h)
		}
	}
	slices.SortStableFunc(stacks, func(a, b *herd) int { return cmp.Compare(a.cost(), b.cost()) })
	if len(stacks) > stacksAmong {
		p.herds = slices.DeleteFunc(p.herds, func(h *herd) bool { return slices.Contains(stacks[stacksAmong:], h) })
	}
}
