package probe

import (
	"math"
	"math/rand/v2"
	"slices"
)

// drafter draws experiments that might tell something.
type drafter struct {
	*planner
	r      *rand.Rand
	firsts []float64 // when the hypotheses have it open: may and must of each, sorted
	out    []experiment
}

// candidates lists experiments to choose from.
func (pl *planner) candidates() []experiment {
	d := &drafter{planner: pl, r: pl.rng}
	for _, p := range pl.live {
		may, must := opens(p.state, pl.now, pl.blur, p.period())
		d.firsts = append(d.firsts, may, must)
	}
	slices.Sort(d.firsts)
	d.looks()
	d.spends()
	d.holds()
	d.others()
	return d.out
}

func (d *drafter) add(why string, steps ...step) *experiment {
	d.out = append(d.out, experiment{steps: steps, why: why})
	return &d.out[len(d.out)-1]
}

// pick draws a hypothesis, the likelier ones more often.
func (d *drafter) pick() *particle {
	return d.live[int(float64(len(d.live))*d.r.Float64()*d.r.Float64())]
}

// idle draws a time to wait.
func (d *drafter) idle() float64 {
	p := d.pick()
	x := 0.0
	switch d.r.IntN(5) {
	case 0:
		i := d.r.IntN(max(1, len(d.firsts)-1))
		x = (d.firsts[i] + d.firsts[min(i+1, len(d.firsts)-1)]) / 2
	case 1:
		x = p.w * []float64{0.25, 0.5, 0.75, 0.9, 1.05, 1.5, 2.1}[d.r.IntN(7)]
	case 2:
		x = p.period() * (0.1 + 1.2*d.r.Float64())
	case 3: // for a bucket: until a few units are back
		x = p.w * float64(1+d.r.IntN(12))
	default:
		x = d.firsts[d.r.IntN(len(d.firsts))] * (0.9 + 0.2*d.r.Float64())
	}
	return max(0.01, min(x, 3*p.period()+1, d.patience()))
}

// patience is how long to wait at most: not many times what has passed, because
// hypotheses with long windows are many and may all be wrong.
func (d *drafter) patience() float64 { return 1.5*d.now + 1 }

// back draws how many to send after an idle time.
func (d *drafter) back(p *particle, x float64) int {
	least, most := p.state.room(d.now+x, d.now+x+d.blur)
	if most > 4000 {
		return 8
	}
	switch d.r.IntN(4) {
	case 0:
		return int(least) + 1
	case 1, 2:
		return int(most) + 1
	}
	return max(1, int(least))
}

// looks are single requests, and few: when it opens, and how much comes back.
func (d *drafter) looks() {
	for range 14 {
		d.add("look again after an idle time", step{idle: d.idle(), n: 1})
	}
	for range 16 {
		x := d.idle()
		d.add("see how many come back after an idle time", step{idle: x, n: d.back(d.pick(), x)})
	}
	lo, hi := d.firsts[0], d.firsts[len(d.firsts)-1]
	if hi < lo+0.02 {
		return
	}
	in := d.firsts
	for len(in) > 2 && in[len(in)-1] > d.patience() {
		in = in[:len(in)-1]
	}
	for _, k := range []int{2, 4, 7, 11, 16, 24} {
		var steps []step
		at := 0.0
		for i := range k {
			q := min(in[(2*i+1)*len(in)/(2*k)], d.patience())
			if x := q - at; i == 0 || x > 0.02 {
				steps = append(steps, step{idle: max(0.01, x), n: 1})
				at = q + d.full
			}
		}
		d.add("look for the instant at which it opens", steps...).until = true
		// What has come back then tells as much as the instant does.
		for range 2 {
			p := d.pick()
			if p.n < 2 || p.n > 4000 {
				continue
			}
			n := int(p.n)
			e := d.add("look when it opens, and exhaust it", steps...)
			e.until, e.after, e.then = true, true, []step{{n: n}}
			if n < 3 {
				continue
			}
			half := max(1, int(p.n*(0.3+0.4*d.r.Float64())))
			e = d.add("look when it opens, spend half and later the rest", steps...)
			e.until, e.after, e.then = true, true, []step{{n: half}, {idle: p.w * (0.15 + 0.6*d.r.Float64()), n: n - half}}
		}
	}
}

// spends use up what there is, at once or in halves, now or after a rest.
func (d *drafter) spends() {
	for range 14 {
		p := d.pick()
		_, most := p.state.room(d.now+0.01, d.now+0.01+d.blur)
		if most > 4000 {
			continue
		}
		if most >= 1 {
			d.add("exhaust it", step{idle: 0.01, n: int(most) + 1}).after = true
			half := max(1, int(most/2))
			d.add("spend half, and exhaust it later", step{idle: 0.01, n: half}, step{idle: p.w * (0.15 + 0.7*d.r.Float64()), n: int(most) + 1 - half}).after = true
		}
		x := d.idle()
		if _, most := p.state.room(d.now+x, d.now+x+d.blur); most >= 2 && most < 4000 {
			d.add("wait, and exhaust it", step{idle: x, n: int(most) + 1}).after = true
		}
		rest := p.period() * 1.05
		if rest > d.patience() {
			continue
		}
		half := max(1, int(p.n*(0.2+0.5*d.r.Float64())))
		if p.n >= 2 && d.r.IntN(2) == 0 {
			d.add("spend in two halves", step{idle: rest, n: half}, step{idle: p.w * (0.2 + 0.6*d.r.Float64()), n: int(p.n) + 1 - half}).after = true
		}
		d.add("burst from rest", step{idle: rest, n: int(p.n) + 1}).after = true
	}
}

// holds tell whether it opens while what it admitted is still under way.
func (d *drafter) holds() {
	if d.full < 1.5*d.rtt+0.01 {
		return
	}
	for range 8 {
		_, most := d.pick().state.room(d.now+0.01, d.now+0.01+d.blur)
		if most > 4000 {
			continue
		}
		steps := []step{{idle: 0.01, n: int(most) + 1}}
		for k := 1 + d.r.IntN(3); k > 0; k-- {
			steps = append(steps, step{idle: max(d.net, d.full*(0.1+0.4*d.r.Float64())), n: 1 + d.r.IntN(2), meanwhile: true})
		}
		const why = "hold what was admitted, and ask for more"
		d.add(why, steps...)
		if q := d.pick(); q.w > 0 && q.w < d.full {
			d.add(why, steps[0], step{idle: max(d.net, (q.w+d.full)/2), n: 1, meanwhile: true})
		}
		half := max(1, int(d.pick().n)/2)
		if work := d.full - d.rtt; work > 2.5*d.net {
			// The first half is given back when the work on it ends, the second later.
			d.add("hold two halves, one after the other", step{idle: 0.05 + d.full, n: half},
				step{idle: work * 0.5, n: half, meanwhile: true}, step{idle: work*0.5 + 1.1*d.net, n: half + 2, meanwhile: true})
		}
	}
}

// others are for families that nothing above reaches.
func (d *drafter) others() {
	for range 12 {
		switch p := d.pick(); p.family {
		case Stacked:
			d.stacked(p)
		case Ban:
			d.ban(p)
		}
	}
}

// stacked uses up the longer of two limits, and sees when it opens.
func (d *drafter) stacked(p *particle) {
	var steps []step
	for range 2 + d.r.IntN(5) {
		steps = append(steps, step{idle: p.w * 1.03, n: int(p.n)})
	}
	d.add(whyFast, steps...).after = true
	k := int(math.Ceil(p.m / p.n))
	if k > 8 {
		return
	}
	steps = p.allOf()
	d.add(whyLong, steps...).after = true
	after := slices.Clone(steps)
	after[0].idle = p.v * 1.03
	d.add(whyRest, after...).after = true
}

// ban tests how long the window is that must not be exceeded.
func (d *drafter) ban(p *particle) {
	x := max(0.01, d.pick().w)
	rest := p.period() * 1.05
	d.add("spend all without exceeding, and wait", step{idle: rest, n: int(p.n)}, step{idle: x, n: 1}).after = true
	d.add("spend without exceeding", step{idle: rest, n: max(1, int(p.n)-1)}, step{idle: p.w * 1.05, n: max(1, int(p.n)-1)})
	if least, _ := p.state.room(d.now+0.01, d.now+0.01+d.blur); least >= 1 {
		d.add("spend what is left, and wait", step{idle: 0.01, n: int(least)}, step{idle: x, n: 1}).after = true
	}
}
