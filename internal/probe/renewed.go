package probe

import (
	"math"
	"slices"
)

// renewed is a fixed window that each request begins anew, as an expiry that is set with each
// of them does: it is as good as new once it let nothing through for width, or, where what is
// refused counts too, once nobody asked for so long.
type renewed struct {
	cap, width float64
	denied     bool // a refused request begins it anew, too
	ways       []renewal
	next       []renewal
}

// renewal is one way in which things may stand: how many were let through since it was as good
// as new, and when the latest that counted was.
type renewal struct {
	is        bool
	last      span
	n         span
	over, gap float64
}

func (m *renewed) admit(w *sight) float64 {
	if len(m.ways) == 0 {
		m.ways = append(m.ways, renewal{})
	}
	m.next = m.next[:0]
	for i := range m.ways {
		m.step(&m.ways[i], w)
	}
	if len(m.next) == 0 {
		m.ways = append(m.ways[:0], renewal{})
		return 1
	}
	least := math.Inf(1)
	for i := range m.next {
		least = min(least, m.next[i].over)
	}
	m.ways = m.ways[:0]
	for i := range m.next {
		if c := &m.next[i]; c.over <= least+1e-9 && len(m.ways) < 8 {
			m.ways = append(m.ways, *c)
		}
	}
	return least
}

// step finds what one way becomes with the whole wave.
func (m *renewed) step(b *renewal, w *sight) {
	a := float64(w.a)
	counted := span{w.since, w.d}
	if m.denied && w.r > 0 { // the last of them came last
		counted.lo = max(w.since, w.last)
	}
	take := func(c renewal, lost span) { // so many of those without an answer were let through
		c.over = max(0, a+c.n.lo-m.cap)
		c.n = span{min(m.cap, c.n.lo+a+lost.lo), min(m.cap, c.n.hi+a+lost.hi)}
		if c.gap = 0; w.r > 0 {
			c.gap = max(0, m.cap-c.n.hi)
		}
		if a+lost.lo > 0 || m.denied && w.r > 0 {
			c.is, c.last = true, counted
		}
		m.next = append(m.next, c)
	}
	whole := func(c renewal) {
		if w.lost > 0 {
			take(c, span{1, float64(w.lost)})
		}
		take(c, span{})
	}
	if !b.is {
		whole(renewal{})
		return
	}
	if w.since < b.last.hi+m.width { // the time is not over
		c := *b
		if w.a+w.r > 0 {
			c.last.lo = min(c.last.hi, max(c.last.lo, w.since-m.width))
		}
		whole(c)
	}
	if w.d >= b.last.lo+m.width { // or it is
		whole(renewal{})
		if c := &m.next[len(m.next)-1]; w.r > 0 && w.a > 0 && b.n.hi >= m.cap && w.since < b.last.hi+m.width && !m.denied {
			c.gap = 0 // it refused before it was
		} else if w.a == 0 && w.lost == 0 && w.r > 0 {
			m.next = m.next[:len(m.next)-1] // it would not have
			if w.since >= b.last.hi+m.width {
				m.next = append(m.next, renewal{gap: m.cap, is: m.denied, last: counted})
			}
		}
	}
}

func (m *renewed) gap(*sight) float64 {
	g := m.ways[0].gap
	for _, b := range m.ways {
		g = min(g, b.gap)
	}
	return g
}

func (m *renewed) refuse(w *sight, gap float64) {
	kept := m.ways[:0]
	for _, b := range m.ways {
		if b.gap > gap+1e-9 {
			continue
		}
		if !b.is { // others have used it up
			b.is, b.last = true, span{w.since - m.width, w.d}
		}
		if b.gap > 0 || w.a == 0 || m.denied {
			b.n = span{m.cap, m.cap}
		} else {
			b.n.lo = min(m.cap, max(b.n.lo, float64(w.a)))
		}
		kept = append(kept, b)
	}
	m.ways = kept
}

func (m *renewed) room(s, d float64) (least, most float64) {
	if len(m.ways) == 0 {
		return m.cap, m.cap
	}
	least, most = m.cap, 0
	for _, b := range m.ways {
		lo, hi := m.cap, m.cap
		if b.is && s < b.last.hi+m.width {
			lo = m.cap - b.n.hi
		}
		if b.is && d < b.last.lo+m.width {
			hi = m.cap - b.n.lo
		}
		least, most = min(least, lo), max(most, hi)
	}
	return max(0, least), most
}

func (m *renewed) clone() model {
	c := *m
	c.ways = append(make([]renewal, 0, 8), m.ways...)
	c.next = nil
	return &c
}

// renewing looks for windows that each request begins anew. It is asked when nothing else
// explains what was seen, and once when one explanation is left: a probe that waits for
// openings makes a rhythm in which such a window looks like others. What it lets through depends on nothing but which of the pauses
// were long enough, so that one length between each two of them will do.
func (p *Probe) renewing() {
	top := p.herd(p.shares()[0].Family)
	if p.share > 0 || !p.askedRenewed.again(p, top) {
		return
	}
	p.full = p.refusals()
	if len(p.full) == 0 {
		return
	}
	most := 60.0
	if top.cost() < 0.5 && top.family != Stacked {
		most = top.cost() + 0.5
	}
	for _, tick := range []float64{0, 1} {
		h := &herd{family: FixedFirst, anew: true, tick: tick}
		h.best = p.begunAnew(h, most)
		p.admit(h, top)
	}
}

// begunAnew are the hypotheses of a herd of these that leave no more than most unexplained.
func (p *Probe) begunAnew(h *herd, most float64) (found []*particle) {
	total, size := p.admittedIn(p.full[0], 1e9), h.size()
	keep := func(g hypothesis) {
		for dn := -1.0; dn < 3; dn++ {
			g.n = total - dn
			q := p.within(g, most, most)
			if q == nil {
				continue
			}
			i, _ := slices.BinarySearchFunc(found, q, byCost)
			if found = slices.Insert(found, i, q); len(found) > size {
				found = found[:size]
				most = found[size-1].cost
			}
		}
	}
	for denied := range 2 {
		g := hypothesis{family: FixedFirst, anew: true, tick: h.tick, m: float64(denied)}
		pauses := p.pauses(denied == 1)
		switch {
		case len(pauses) == 0:
		case h.tick > 0:
			for w := 2 * h.tick; w < pauses[len(pauses)-1]+2*h.tick && w < 4000*h.tick; w += h.tick * max(1, math.Floor(w/h.tick/20)) {
				for _, ph := range p.places(h.tick) {
					g.w, g.ph = w, ph
					keep(g)
				}
			}
		default:
			for _, w := range midways(pauses) {
				g.w = w
				keep(g)
			}
		}
	}
	return found
}

// pauses are for how long nothing had been let through when each wave came that was let through
// in part, or for how long nobody had asked; in order.
func (p *Probe) pauses(asked bool) (out []float64) {
	last := math.Inf(-1)
	for i := range p.sights {
		w := &p.sights[i]
		if w.a > 0 || asked {
			if gap := w.d - last; gap > shortest/2 && !math.IsInf(gap, 1) {
				out = append(out, gap)
			}
			last = w.since
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// midways are lengths between each two of those given, and a little around the ends.
func midways(x []float64) (out []float64) {
	for i, a := range x {
		if i > 0 {
			out = append(out, (a+x[i-1])/2)
		}
		out = append(out, a-1e-4)
	}
	if len(x) > 0 {
		out = append(out, 1.1*x[len(x)-1])
	}
	return out
}
