package probe

import "math"

// birth is what is thought of who began a window that a request begins, where others
// may have: it began since from, with the first of them or, at own, with the probe's own.
type birth struct {
	from, own float64
	odds      float64 // the price of what has been seen of it, against the likeliest way
}

// narrow charges a way for what is now known of when its window began. Subtle: else
// windows of others could begin wherever it suits.
func (m *floating) narrow(b *opened, was span) {
	if !m.among || m.rate <= 0 || b.at == was {
		return
	}
	mass := func(s span) float64 {
		gone := func(x float64) float64 { return math.Exp(-m.rate * max(0, min(x, b.own)-b.from)) }
		p := gone(s.lo) - gone(s.hi)
		if s.hi >= b.own {
			p += gone(b.own)
		}
		return max(p, 1e-4)
	}
	b.odds += max(0, math.Log(mass(was)/mass(b.at)))
}

// likely is keep where others use the limit: ways that are much less likely than the
// likeliest are dropped.
func (m *floating) likely() (over float64) {
	cost := func(o *opened) float64 {
		return overCost*o.over + o.odds + boolTo(m.ban > 0 && o.gap > 0.5*m.cap, o.gap)
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
