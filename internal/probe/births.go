package probe

import (
	"math"
	"slices"
)

// birth is what is thought of who began a window that a request begins, where others
// may have: the first of them after the window before had ended, or at own the probe.
type birth struct {
	ended span    // when the window before ended
	loose float64 // that is not known: it began at any time in so many seconds before own
	own   float64
	odds  float64 // the price of what has been seen of it, against the likeliest way
}

// unborn is how likely it is that nobody had begun the window by x, before own.
func (m *floating) unborn(b *birth, x float64) float64 {
	switch long := b.ended.hi - b.ended.lo; {
	case b.loose > 0:
		busy := m.rate * m.width
		return 1 - min(1, max(0, 1-(b.own-x)/b.loose))*busy/(1+busy)
	case x <= b.ended.lo:
		return 1
	case m.rate*long < 1e-3:
		return math.Exp(-m.rate * (x - b.ended.lo))
	default:
		to := min(x, b.ended.hi)
		return (b.ended.hi - to + (math.Exp(-m.rate*(x-to))-math.Exp(-m.rate*(x-b.ended.lo)))/m.rate) / long
	}
}

// narrow charges a way for what is now known of when its window began. Subtle: else
// windows of others could begin wherever it suits.
func (m *floating) narrow(b *opened, was span) {
	if !m.among || m.rate <= 0 || b.at == was {
		return
	}
	mass := func(s span) float64 {
		p := m.unborn(&b.birth, s.lo)
		if s.hi < b.own {
			p -= m.unborn(&b.birth, s.hi)
		}
		return max(p, 1e-4)
	}
	b.odds += max(0, math.Log(mass(was)/mass(b.at)))
}

// began is when a window began, as far as that is known, the variance of it, and how
// likely it is that one of others began it, who is in it then.
func (m *floating) began(b *opened, least float64) (at, variance, theirs float64) {
	lo, hi := min(max(b.at.lo, least), b.at.hi), b.at.hi
	if b.own > lo {
		hi = min(hi, b.own)
	}
	if long := hi - lo; b.loose > 0 || b.ended.hi == 0 {
		theirs = 1
		if busy := m.rate * m.width; b.loose > 0 && hi == b.own { // or nobody came before the probe did
			theirs = busy * long / (busy*long + b.loose)
		}
		return hi - theirs*long/2, theirs * (4 - 3*theirs) * long * long / 12, theirs
	}
	// As soon as one of others came, or with the probe's own.
	blur := m.rate * min(hi-lo, b.ended.hi-b.ended.lo)
	lo = max(lo, min(hi, (b.ended.lo+b.ended.hi)/2))
	r, long := m.rate, hi-lo
	if r*long < 0.01 {
		return (lo + hi) / 2, (long*long + blur*blur/(r*r)) / 12, boolTo(hi != b.own, 1)
	}
	gone := math.Exp(-r * long)
	mean := (1 - gone) / r
	variance = 2/(r*r)*(1-gone*(1+r*long)) - mean*mean
	theirs = 1 - gone
	if hi != b.own { // it is known that somebody came
		mean = 1/r - long*gone/(1-gone)
		variance = 1/(r*r) - long*long*gone/((1-gone)*(1-gone))
		theirs = 1
	}
	return lo + mean, variance + blur*blur/(12*r*r), theirs
}

// likely is keep where others use the limit: ways that are much less likely than the
// likeliest are dropped.
func (m *floating) likely() (over float64) {
	cost := func(o *opened) float64 {
		return boolTo(o.over > 0, overCost*(0.3+o.over)) + o.odds
	}
	best := 0
	for i := range m.next {
		if cost(&m.next[i]) < cost(&m.next[best]) {
			best = i
		}
	}
	least, born := cost(&m.next[best]), m.next[best].odds
	for i := range m.next { // what one admitted too many it goes on owing
		m.next[i].odds = cost(&m.next[i]) - least
	}
	m.ways = m.ways[:0]
	m.ways = append(m.ways, m.next[best])
	for i := range m.next {
		if c := &m.next[i]; i != best && c.odds <= 6 {
			m.ways = append(m.ways, *c)
		}
	}
	for len(m.ways) > waysMost && m.join() {
	}
	m.ways = m.ways[:min(len(m.ways), waysMost)]
	m.born = born
	return m.next[best].over
}

// waysMost is how many ways are kept where others use the limit.
const waysMost = 7

// join takes two ways for one that may be either, those that are most alike. Subtle: while a
// large limit is spent a window may have ended at each of many waves, and the one at which
// it did must not be given up before it shows.
func (m *floating) join() bool {
	first, second, least := 0, 0, math.Inf(1)
	for i := range m.ways {
		a := &m.ways[i]
		for j := range i {
			b := &m.ways[j]
			if a.is != b.is || a.banned != b.banned || a.split != b.split || (a.loose > 0) != (b.loose > 0) {
				continue
			}
			if apart := max(a.at.hi, b.at.hi) - min(a.at.lo, b.at.lo); apart < least {
				first, second, least = j, i, apart
			}
		}
	}
	if math.IsInf(least, 1) {
		return false
	}
	a, b := &m.ways[first], m.ways[second]
	join := func(a, b span) span { return span{min(a.lo, b.lo), max(a.hi, b.hi)} }
	a.at, a.n, a.ended = join(a.at, b.at), join(a.n, b.n), join(a.ended, b.ended)
	a.over, a.gap = min(a.over, b.over), min(a.gap, b.gap)
	a.own, a.loose = max(a.own, b.own), max(a.loose, b.loose)
	a.odds = min(a.odds, b.odds) - math.Log1p(math.Exp(-math.Abs(a.odds-b.odds)))
	m.ways = append(m.ways[:second], m.ways[second+1:]...)
	return true
}

// met is how a wave met the limit, if things stand in one way with its window; full is
// whether this limit refused what was refused.
func (m *floating) met(c *opened, w *sight, full bool) (t meeting) {
	at, off, theirs := w.d-m.width, 0.0, 1.0
	if c.banned {
		at, theirs = w.d-c.long, 0
	} else if c.is {
		at, off, theirs = m.began(c, w.since-m.width)
	}
	t.x = max(0, w.d-at) + theirs/max(m.rate, 1e-9)
	t.mean = m.rate * t.x
	t.variance = t.mean + m.rate*m.rate*off + theirs*(1-theirs) + m.unsure*t.x*t.x
	t.hi = max(0, m.cap-c.n.lo)
	t.beyond = t.hi
	if full {
		t.lo = max(0, c.gap)
		t.hi = max(t.hi, t.lo)
		t.fit, t.some = t.hi, w.a > 0
		t.shut = w.a == 0 && t.lo == 0
		if !t.some {
			t.hi = math.Inf(1)
		}
	}
	return t
}

// weigh is what a wave costs that was taken in, for what others did; with take it is. Subtle:
// that is weighed for each way by itself, for the likeliest one by when the window
// began may be the unlikeliest by what was admitted.
func (m *floating) weigh(w *sight, full, take bool) (cost float64) {
	was, least := math.Inf(1), math.Inf(1)
	best := 0
	for i := range m.ways {
		c := &m.ways[i]
		t := m.met(c, w, full)
		all := t.price(m.cap)
		due := max(0, all-c.paid)
		was = min(was, c.odds)
		if c.odds+due < least {
			best, least = i, c.odds+due
		}
		if take {
			c.odds += due
			c.paid = boolTo(!full, max(c.paid, all))
		}
	}
	if take {
		born := m.ways[best].odds
		m.ways[0], m.ways[best] = m.ways[best], m.ways[0]
		m.ways = slices.DeleteFunc(m.ways, func(c opened) bool { return c.odds > born+6 })
		for i := range m.ways {
			m.ways[i].odds -= born
		}
	}
	return least - was
}

// enter takes in the admitted requests of a wave.
func (m *floating) enter(w *sight, s *stream) (over float64) {
	m.rate, m.unsure = s.rate(), s.a/(s.b*s.b)
	return m.admit(w)
}

// windows takes in a wave for windows that a request begins, of others as well.
func (p *particle) windows(m *floating, w *sight) (cost float64) {
	if over := m.enter(w, &p.them); over > 1e-6 {
		cost = min(overMost, overCost*(0.3+over))
		p.overs += cost
	}
	cost += m.born + m.weigh(w, w.r > 0, true)
	t := m.met(&m.ways[0], w, w.r > 0)
	p.settle(&p.first, &t, 0, w.r > 0)
	if w.r > 0 && !t.shut {
		p.them.learn(&t)
	}
	if w.r > 0 {
		m.refuse(w, t.lo)
	}
	return cost + p.greed()
}
