package probe

import (
	"math"
	"slices"
)

// Since is what the time to the next portion of a refill bucket counts from, where that is
// not a clock.
type Since uint8

// What it counts from.
const (
	SinceLet     Since = iota // the latest request that was let through
	SincePortion              // the latest request that found a portion come, so that what makes no whole one is forgotten
	SinceRest                 // the request that found it full: then portions come at even distances until it is full again
)

// String returns "let-through", "portion" or "rest".
func (s Since) String() string {
	return [...]string{"let-through", "portion", "rest"}[min(s, SinceRest)]
}

// portions is a bucket that is given whole portions only, by a time that its own requests
// begin: SincePortion, or SinceRest.
type portions struct {
	cap, width, portion float64
	since               Since
	ways                []filling
	next                []filling
}

// filling is one way in which things may stand.
type filling struct {
	is        bool
	at        span // when the time began, or a portion came
	n         span // what it holds
	over, gap float64
	during    bool // a portion came during the latest wave, after what it refused
}

const mostFillings = 24

func (m *portions) admit(w *sight) float64 {
	if len(m.ways) == 0 {
		m.ways = append(m.ways, filling{})
	}
	m.next = m.next[:0]
	for i := range m.ways {
		m.step(&m.ways[i], w)
	}
	least := math.Inf(1)
	for i := range m.next {
		least = min(least, m.next[i].over)
	}
	if math.IsInf(least, 1) {
		m.ways = append(m.ways[:0], filling{})
		return 1
	}
	m.ways = m.ways[:0]
next:
	for _, c := range m.next {
		if c.over > least+1e-9 {
			continue
		}
		for i := range m.ways {
			b := &m.ways[i]
			if b.n == c.n && b.gap == c.gap && b.during == c.during && b.is == c.is && c.at.lo <= b.at.hi && b.at.lo <= c.at.hi {
				b.at = span{min(b.at.lo, c.at.lo), max(b.at.hi, c.at.hi)}
				continue next
			}
		}
		if len(m.ways) < mostFillings {
			m.ways = append(m.ways, c)
		}
	}
	return least
}

// step finds what one way becomes with the whole wave.
func (m *portions) step(b *filling, w *sight) {
	a, lost := float64(w.a), float64(w.lost)
	take := func(n span, at span) {
		c := filling{is: true, at: at, over: max(0, a-n.hi), gap: max(0, n.lo-a-lost)}
		c.n = span{max(0, n.lo-a-lost), max(0, n.hi-a)}
		if a == 0 && lost == 0 && !b.is {
			c.is, c.n = false, n // nobody has begun its time
		}
		m.next = append(m.next, c)
		// Or another portion comes while the wave is decided.
		if comes := (span{max(at.lo+m.width, w.since), min(at.hi+m.width, w.d)}); comes.lo <= comes.hi {
			more := m.portion * (1 + math.Floor((w.d-comes.lo)/m.width))
			c.over = max(0, a-n.hi-more)
			c.n = span{max(0, min(m.cap, n.lo+m.portion)-a-lost), max(0, min(m.cap, n.hi+more-a))}
			c.at, c.during = comes, true
			if more > m.portion || m.since == SincePortion || n.hi+more >= m.cap {
				c.at.hi = w.d
			}
			m.next = append(m.next, c)
		}
	}
	now := span{w.since, w.d}
	if !b.is {
		take(span{m.cap, m.cap}, now)
		return
	}
	first := max(0, math.Floor((w.since-b.at.hi)/m.width-1e-9))
	last := max(0, math.Floor((w.d-b.at.lo)/m.width+1e-9))
	if last-first > mostFillings {
		first = max(first, last-mostFillings)
	}
	for k := first; k <= last; k++ {
		n := span{min(m.cap, b.n.lo+k*m.portion), min(m.cap, b.n.hi+k*m.portion)}
		at := span{max(b.at.lo+k*m.width, w.since-m.width), min(b.at.hi+k*m.width, w.d)}
		if at.lo > at.hi {
			continue
		}
		full := m.since == SinceRest && n.hi >= m.cap
		if m.since == SincePortion && k > 0 {
			at = span{max(w.since, at.lo), w.d}
		}
		if take(n, at); full && (k > 0 || b.n.hi >= m.cap) {
			take(span{m.cap, m.cap}, now) // its time begins anew, or it does not
		}
	}
}

func (m *portions) gap(*sight) float64 {
	g := math.Inf(1)
	for i := range m.ways {
		g = min(g, m.ways[i].gap)
	}
	return g
}

func (m *portions) refuse(w *sight, gap float64) {
	kept := m.ways[:0]
	for _, b := range m.ways {
		if b.gap > gap+1e-9 {
			continue
		}
		if !b.is { // others have emptied it
			b.is, b.at = true, span{w.since - m.width, w.d}
		}
		if b.n.lo = 0; !b.during {
			b.n.hi = 0
		}
		kept = append(kept, b)
	}
	m.ways = kept
}

func (m *portions) room(s, d float64) (least, most float64) {
	if len(m.ways) == 0 {
		return m.cap, m.cap
	}
	least, most = m.cap, 0
	for _, b := range m.ways {
		lo, hi := m.cap, m.cap+m.portion*math.Floor((d-s)/m.width)
		if b.is {
			first, last := max(0, math.Floor((s-b.at.hi)/m.width-1e-9)), max(0, math.Floor((d-b.at.lo)/m.width+1e-9))
			lo = min(m.cap, b.n.lo+m.portion*first)
			hi = min(m.cap, b.n.hi+m.portion*first) + m.portion*(last-first)
		}
		least, most = min(least, lo), max(most, hi)
	}
	return least, most
}

func (m *portions) clone() model {
	c := *m
	c.ways = append(make([]filling, 0, mostFillings), m.ways...)
	c.next = nil
	return &c
}

// intervals are the times between two portions that are tried where each counts from the one
// before: those that people choose, and those of the buckets that explain the most.
func (p *Probe) intervals(lo, hi float64) (out []float64) {
	for w := 0.1; w < 10.05; w += 0.1 {
		out = append(out, math.Round(w*10)/10)
	}
	for w := 11.0; w <= 120; w++ {
		out = append(out, w)
	}
	for _, h := range []*herd{p.herd(RefillBucket), p.herd(TokenBucket)} {
		for _, q := range h.best[:min(len(h.best), 6)] {
			out = append(out, q.w)
		}
	}
	return slices.DeleteFunc(out, func(w float64) bool { return w < lo || w > hi })
}
