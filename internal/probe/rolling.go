package probe

import (
	"math"
	"slices"
)

// roll is one way in which things may stand with windows that the first request
// opens and that follow each other while there are requests.
type roll struct {
	is        bool // a window was opened
	head      span // when the current one began
	prev, cur span // what has been counted in the window before, and in this one
	over, gap float64
}

// rolling is a sliding window whose windows are no clock's: the first request opens
// one, the next begins where it ends, and after a rest of a whole window without a
// request the next request opens one anew. HAProxy counts so, and much that keeps
// two counts and the time of the first.
type rolling struct {
	cap, width float64
	denied     bool
	off        float64 // what is added before rounding down
	ways       []roll
	next       []roll
}

// used is the share of the cap that n of the window before still take at t.
func (m *rolling) used(n, t, head float64) float64 {
	e := min(1, max(0, (t-head)/m.width))
	return math.Floor(n*(1-e) + m.off + 1e-9)
}

func (m *rolling) admit(w *sight) float64 {
	if len(m.ways) == 0 {
		m.ways = append(m.ways, roll{})
	}
	m.next = m.next[:0]
	for i := range m.ways {
		m.step(m.ways[i], w)
	}
	return m.keep()
}

// step finds what one way becomes with the whole wave, refusals too.
func (m *rolling) step(b roll, w *sight) {
	b.over, b.gap = 0, 0
	s, d := w.since, w.d
	if !b.is {
		m.open(span{s, d}, w)
		return
	}
	if b.head.hi+m.width > s { // all in the same window
		c := b
		c.head.lo = max(c.head.lo, min(c.head.hi, s-m.width))
		m.count(c, w)
	}
	if b.head.lo+m.width <= d && b.head.hi+2*m.width > s { // all in the next
		c := b
		c.head = span{max(b.head.lo, s-2*m.width), min(b.head.hi, d-m.width)}
		c.head = span{c.head.lo + m.width, max(c.head.lo, c.head.hi) + m.width}
		c.prev, c.cur = b.cur, span{}
		m.count(c, w)
	}
	if b.head.lo+m.width <= d && b.head.hi+m.width >= s && w.a+w.r+w.lost > 1 {
		m.across(b, w)
	}
	if b.head.lo+2*m.width <= d && b.head.hi+2*m.width >= s && w.a+w.r+w.lost > 1 {
		m.across(b.next(m.width), w)
	}
	if from := b.head.lo + 2*m.width; from <= d {
		m.open(span{max(s, from), d}, w)
	}
	if d-s > m.width { // it began more windows than one
		m.next = append(m.next, roll{is: true, head: span{s - m.width, d}, prev: span{0, 2 * m.cap}, cur: span{0, 2 * m.cap}})
	}
}

// next is how things stand in the window after.
func (b roll) next(width float64) roll {
	return roll{is: true, head: span{b.head.lo + width, b.head.hi + width}, prev: b.cur}
}

// open begins anew with the wave.
func (m *rolling) open(head span, w *sight) {
	if w.share > 0 { // somebody else may have opened it
		head.lo = min(head.lo, max(head.lo-m.width, w.since-m.width))
	}
	m.count(roll{is: true, head: head}, w)
}

// count takes the whole wave into the window of c.
func (m *rolling) count(c roll, w *sight) {
	n, t := float64(w.a), max(w.since, c.head.lo)
	least := m.used(c.prev.lo, w.d, c.head.lo)
	if n > 0 {
		c.over = max(0, c.cur.lo+n+least-m.cap)
		if over := c.prev.lo + c.cur.lo + n - m.cap; over > 0 && c.prev.lo > 0 {
			// So much of the window before must have been over by then.
			c.head.hi = max(c.head.lo, min(c.head.hi, w.d-m.width*max(0, (over-1+m.off)/c.prev.lo)))
		}
		top := max(m.cap-least, n)
		c.cur = span{min(c.cur.lo+n, top), min(c.cur.hi+n, top)}
	}
	c.cur.hi += float64(w.lost)
	if w.r > 0 {
		most := m.used(c.prev.hi, t, c.head.hi)
		counted := boolTo(m.denied, float64(w.r-1))
		c.gap = max(0, m.cap-counted-c.cur.hi-most-1e-9)
		c.cur.lo = max(c.cur.lo, m.cap-most-counted)
		c.cur.hi = max(c.cur.lo, c.cur.hi+c.gap)
		c.cur.lo += boolTo(m.denied, float64(w.r))
		c.cur.hi += boolTo(m.denied, float64(w.r))
	}
	m.next = append(m.next, c)
}

// across takes a wave of which a part came before the window ended.
func (m *rolling) across(b roll, w *sight) {
	n, r, lost := float64(w.a), boolTo(m.denied, float64(w.r)), float64(w.lost)
	c := roll{is: true}
	c.head = span{max(b.head.lo, w.since-m.width), min(b.head.hi, w.d-m.width)}
	c.head.hi = max(c.head.lo, c.head.hi)
	before := min(n, max(0, m.cap-b.cur.lo-m.used(b.prev.lo, w.d, c.head.lo)))
	c.over = max(0, n-before-m.cap)
	c.head = span{c.head.lo + m.width, c.head.hi + m.width}
	c.prev = span{b.cur.lo, b.cur.hi + before + r + lost}
	c.cur = span{max(0, n-before), min(n, m.cap) + r + lost}
	if w.r > 0 {
		// Where it was full: at the end of the one, or at the beginning of the other.
		c.gap = max(0, min(m.cap-b.cur.hi-before-r-m.used(b.prev.hi, w.since, c.head.hi-m.width), m.cap-m.used(c.prev.hi, c.head.lo, c.head.hi)-c.cur.hi))
	}
	m.next = append(m.next, c)
}

// keep drops the ways that explain less than the best one, and returns what the
// best one leaves over.
func (m *rolling) keep() float64 {
	if len(m.next) == 0 { // none can be; begin again
		m.ways = append(m.ways[:0], roll{})
		return 1
	}
	best := 0
	cost := func(o *roll) float64 { return 3*o.over + o.gap }
	for i := range m.next {
		if cost(&m.next[i]) < cost(&m.next[best]) {
			best = i
		}
	}
	least, over := cost(&m.next[best]), m.next[best].over
	m.ways = m.ways[:0]
	for i := range m.next {
		if c := &m.next[i]; cost(c) <= least+1e-9 {
			m.hold(*c)
		}
	}
	return over
}

// hold keeps a way, in one with another that says the same but for the head; the ones
// beyond the twelfth make it wider.
func (m *rolling) hold(c roll) {
	for i := range m.ways {
		o := &m.ways[i]
		if o.prev == c.prev && o.cur == c.cur && o.head.lo <= c.head.hi+coarse && c.head.lo <= o.head.hi+coarse {
			o.head = span{min(o.head.lo, c.head.lo), max(o.head.hi, c.head.hi)}
			return
		}
	}
	if len(m.ways) < 12 {
		m.ways = append(m.ways, c)
		return
	}
	o := &m.ways[0]
	for i := range m.ways {
		if math.Abs(m.ways[i].head.lo-c.head.lo) < math.Abs(o.head.lo-c.head.lo) {
			o = &m.ways[i]
		}
	}
	o.head = span{min(o.head.lo, c.head.lo), max(o.head.hi, c.head.hi)}
	o.prev = span{min(o.prev.lo, c.prev.lo), max(o.prev.hi, c.prev.hi)}
	o.cur = span{min(o.cur.lo, c.cur.lo), max(o.cur.hi, c.cur.hi)}
}

func (m *rolling) gap(*sight) float64 {
	g := m.ways[0].gap
	for _, b := range m.ways {
		g = min(g, b.gap)
	}
	return g
}

// refuse has nothing to do: admit has seen the refusals, too.
func (m *rolling) refuse(*sight, float64) {}

func (m *rolling) room(s, d float64) (least, most float64) {
	if len(m.ways) == 0 {
		return m.cap, m.cap
	}
	least, most = m.cap, 0
	for _, b := range m.ways {
		if !b.is {
			return m.cap, m.cap
		}
		for range 2 { // in this window, or the next
			if b.head.hi+m.width > s && b.head.lo <= d {
				least = min(least, m.cap-b.cur.hi-m.used(b.prev.hi, s, b.head.hi))
				before := max(0, m.cap-b.cur.lo-m.used(b.prev.lo, d, b.head.lo))
				if most = max(most, before); b.head.lo+m.width <= d { // and in the one after
					most = max(most, before+m.cap-m.used(b.cur.lo+before, d, b.head.lo+m.width))
				}
			}
			b = b.next(m.width)
		}
		if b.head.lo <= d {
			most = max(most, m.cap)
		}
	}
	return max(0, least), max(0, most)
}

func (m *rolling) clone() model {
	c := *m
	c.ways = append(make([]roll, 0, 8), m.ways...)
	c.next = nil
	return &c
}

// anew looks for sliding windows that begin with a request, after each rest. It is
// asked when nothing else explains what was seen, and once when a sliding window
// is what is left. Effort is how many hypotheses are tried of each.
func (p *Probe) anew(effort int) {
	if p.askedAnew {
		return
	}
	p.askedAnew = true
	for _, f := range []Family{SlidingWindow, SlidingWindowDenied} {
		p.variant(&herd{family: f, anew: true}, effort)
	}
}

// variant looks for hypotheses of a herd, from the best of its family on, and keeps it.
func (p *Probe) variant(h *herd, effort int) {
	if top := p.herd(h.family); top != nil {
		for _, q := range top.best[:min(len(top.best), 12)] {
			g := q.hypothesis
			g.kind, g.anew, g.used = h.kind, h.anew, false
			if c := p.try(g, 1e9); c != nil {
				h.best = append(h.best, c)
			}
		}
	}
	p.fit(h, effort)
	p.herds = append(p.herds, h)
}

// slides tells whether a sliding window is what is left.
func (p *Probe) slides() bool {
	f := p.shares()[0].Family
	return (f == SlidingWindow || f == SlidingWindowDenied) && p.settled(p.shares())
}

// mayRenew tells whether a sliding window may begin anew with a request after a rest: such
// a one began with the first request of all, where one of the clock hardly did. It is
// searched for first, once.
func (p *Probe) mayRenew(q *particle) bool {
	if q.family != SlidingWindow && q.family != SlidingWindowDenied {
		return false
	}
	if p.share > 0 {
		return true
	}
	p.anew(500)
	return slices.ContainsFunc(p.herds, func(h *herd) bool { return h.anew && h.family == q.family && h.cost() < q.cost+4 })
}
