package probe

import (
	"cmp"
	"math"
	"slices"
)

// fork is a course that things may have taken, and how much dearer than the likeliest.
type fork struct {
	course
	dear float64
}

// How much dearer a course may be, and how many there are besides the likeliest.
const (
	forkDear  = 6
	forksMost = 3
)

// courses takes in a wave for two limits that others use, whichever of them refused until
// now, and returns what it costs in the likeliest course.
func (p *particle) courses(w *sight) (cost float64) {
	others := p.forks
	p.forks = nil
	cost = p.either(w)
	all := p.forks
	for i := range others {
		o := &others[i]
		p.course, o.course = o.course, p.course
		p.forks = nil
		dear := o.dear + p.either(w) - cost
		p.course, o.course = o.course, p.course
		for _, f := range p.forks {
			f.dear += dear
			all = append(all, f)
		}
		o.dear = dear
		all = append(all, *o)
	}
	p.forks = all
	if len(all) == 0 {
		return cost
	}
	slices.SortStableFunc(all, func(a, b fork) int { return cmp.Compare(a.dear, b.dear) })
	if least := all[0].dear; least < 0 {
		p.course, all[0].course = all[0].course, p.course
		for i := range all {
			all[i].dear -= least
		}
		all[0].dear = -least
		cost += least
		slices.SortStableFunc(all, func(a, b fork) int { return cmp.Compare(a.dear, b.dear) })
	}
	for len(all) > 0 && (len(all) > forksMost || all[len(all)-1].dear > forkDear) {
		all = all[:len(all)-1]
	}
	p.forks = all
	return cost
}

// half is one of two limits that others use, as a wave met it: where it refused nothing, and
// where it refused what was refused.
type half struct {
	shared
	ledger     *ledger
	n          float64
	free, full meeting
	all        float64 // the price of refusing nothing, and what of it is due
	due, dues  float64 // and what is due where it refused
}

// half takes in the admitted requests of a wave for one of two limits, and returns what
// they cost, with what was admitted too many.
func (p *particle) half(m shared, l *ledger, n float64, w *sight) (h half, cost, over float64) {
	h = half{shared: m, ledger: l, n: n}
	if f, ok := m.(*floating); ok {
		over = f.enter(w, &p.them)
		h.free, h.full = f.met(&f.ways[0], w, false), f.met(&f.ways[0], w, true)
		_, most := f.room(w.s, w.d)
		h.free.shut = w.a == 0 && most < 1
		if h.due = f.weigh(w, false, false); w.r > 0 {
			h.dues = f.weigh(w, true, false)
		}
		return h, f.born, over
	}
	h.free = meet(m, w, &p.them)
	h.all, h.due = l.due(&h.free, n)
	if h.full = h.free; w.r > 0 {
		p.full(m, w, &h.full)
		_, h.dues = l.due(&h.full, n)
	}
	return h, h.free.born, h.free.over
}

// passes notes that it refused nothing.
func (p *particle) passes(h *half, w *sight) {
	if f, ok := h.shared.(*floating); ok {
		f.weigh(w, false, true)
	}
	p.settle(h.ledger, &h.free, h.all, false)
}

// refuses notes that it refused.
func (p *particle) refuses(h *half, w *sight) {
	p.settle(h.ledger, &h.full, 0, true)
	if f, ok := h.shared.(*floating); ok {
		f.weigh(w, true, true)
		t := f.met(&f.ways[0], w, true)
		p.them.learn(&t)
		f.refuse(w, t.lo)
		return
	}
	p.commit(h.shared, w, &h.full)
}

// either takes in a wave for two limits of which each may have refused.
func (p *particle) either(w *sight) (cost float64) {
	m := p.state.(*pair)
	a, cost, over := p.half(m.one.(shared), &p.first, p.n, w)
	b, born, more := p.half(m.two.(shared), &p.second, p.m, w)
	if cost += born; over+more > 1e-6 {
		c := min(overMost, overCost*(0.3+over+more))
		p.overs += c
		cost += c
	}
	switch {
	case w.r == 0:
		p.passes(&a, w)
		p.passes(&b, w)
		return cost + a.due + b.due
	case a.free.shut || b.free.shut:
		if a.free.shut {
			m.one.refuse(w, 0)
		}
		if b.free.shut {
			m.two.refuse(w, 0)
		}
		m.charge(w, a.free.shut, b.free.shut)
		return cost
	}
	first, second := a.dues+b.due, b.dues+a.due
	by := func(one bool) {
		m := p.state.(*pair)
		a.shared, b.shared = m.one.(shared), m.two.(shared)
		if one {
			p.passes(&b, w)
			p.refuses(&a, w)
		} else {
			p.passes(&a, w)
			p.refuses(&b, w)
		}
		m.charge(w, one, !one)
	}
	one, least, off := first <= second, min(first, second), math.Abs(first-second)
	if cost += least; a.full.lo <= 0 || b.full.lo <= 0 || off > forkDear {
		by(one)
		return cost + p.greed()
	}
	// That it is one or the other makes either likelier: it is paid for.
	cost += math.Ln2
	was := p.course
	was.state = m.clone()
	by(one)
	cost += p.greed()
	now := p.course
	p.course = was
	by(!one)
	p.forks = append(p.forks, fork{p.course, off})
	p.course = now
	return cost
}
