package probe

import "math"

// particle is a hypothesis, the states it allows, and what it leaves unexplained.
type particle struct {
	hypothesis
	course
	cost  float64
	seen  int     // sights taken in
	flow  float64 // units a second that the limit lets through
	forks []fork  // of two limits that others use: other courses that things may have taken
}

// course is what a particle holds of what was seen.
type course struct {
	state  model
	them   stream // others who use it, where somebody does
	first  ledger // of the limit, or the first of two
	second ledger
	overs  float64 // of the cost, what was admitted too many
	greedy float64 // see greed
}

// What a unit admitted without explanation costs, against one refused. Nobody
// else can make a limiter admit more.
const (
	overCost = 5
	overMost = 40
)

// What it costs that answers come later than a queue explains, for a second and at
// most for a wave.
const (
	lateCost = 8
	lateMost = 3
)

// see takes in the sights that the particle has not seen, unless that makes it
// cost more than bound.
func (p *particle) see(sights []sight, bound float64) { p.look(sights, bound, math.Inf(1)) }

// look is see for one that is thrown away where it costs more than most. It tells
// whether it does, as soon as it does, and has then not seen all.
func (p *particle) look(sights []sight, bound, most float64) (within bool) {
	if p.state == nil {
		p.state = p.model(nil)
		p.seen, p.cost = 0, 0
	}
	if p.seen == 0 && len(sights) > 0 && sights[0].share > 0 {
		p.flow = p.through(sights[0].work)
		others(p.state)
		p.course = course{state: p.state, them: newStream(p.flow), first: ledger{left: math.Inf(1)}, second: ledger{left: math.Inf(1)}}
		p.forks = p.forks[:0]
	}
	for ; p.seen < len(sights) && p.cost < bound; p.seen++ {
		if p.cost > most {
			return false
		}
		w := &sights[p.seen]
		if w.share > 0 && p.family != None {
			if c, ok := p.shares(w); ok {
				p.cost += c
				continue
			}
		}
		if over := p.state.admit(w); over > 1e-6 {
			p.cost += min(overMost, overCost*(0.3+over))
		}
		if q, ok := p.state.(*level); ok && q.late > 0 {
			p.cost += min(lateMost, lateCost*q.late)
		}
		if w.r > 0 {
			gap := p.state.gap(w)
			if gap > 1e-6 {
				c := 1.5 + 3*gap/(1+0.1*min(p.n, w.scale))
				p.cost += c
			}
			p.state.refuse(w, gap)
		}
		if w.queue > 0 && p.family != LeakyQueue {
			// One may be slow because a machine was stopped; of a queue many are.
			p.cost += min(3, 0.3*float64(w.queue*w.queue))
		}
	}
	if p.seen < len(sights) {
		p.cost += float64(len(sights) - p.seen) // it gave up early: worse the earlier
	}
	return p.cost <= most
}

// shares takes in a wave for a limit that others may use. It is not ok for models that
// know nothing of others.
func (p *particle) shares(w *sight) (cost float64, ok bool) {
	if pair, is := p.state.(*pair); is {
		if _, ok = pair.one.(shared); ok {
			_, ok = pair.two.(shared)
		}
		if !ok {
			return 0, false
		}
		cost = p.courses(w)
	} else if m, is := p.state.(shared); is {
		cost = p.alone(m, w)
	} else {
		return 0, false
	}
	if w.queue > 0 && p.family != LeakyQueue {
		cost += min(3, 0.3*float64(w.queue*w.queue))
	}
	return cost, true
}
