package probe

import "math"

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
		return boolTo(o.over > 0, overCost*(0.3+o.over)) + o.odds + boolTo(m.ban > 0 && o.gap > 0.5*m.cap, o.gap)
	}
	best := 0
	for i := range m.next {
		if cost(&m.next[i]) < cost(&m.next[best]) {
			best = i
		}
	}
	least, born := cost(&m.next[best]), m.next[best].odds
	m.ways = m.ways[:0]
	m.ways = append(m.ways, m.next[best])
	for i := range m.next {
		if c := &m.next[i]; i != best && cost(c) <= least+6 && len(m.ways) < 7 {
			m.ways = append(m.ways, *c)
		}
	}
	for i := range m.ways {
		m.ways[i].odds -= born
	}
	m.born = born
	return m.next[best].over
}
