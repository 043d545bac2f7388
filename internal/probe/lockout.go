package probe

// locked is one way in which things may stand with a ban: until when all is refused,
// or what the limit below has counted.
type locked struct {
	is    bool
	until span
	inner model
	over  float64
	gap   float64
}

// lockout is a limit of any kind with a ban of those who exceed it. What had been
// counted is forgotten when the ban ends.
type lockout struct {
	of   hypothesis // the limit
	ban  float64
	ways []locked
	next []locked
}

func (m *lockout) admit(w *sight) float64 {
	if len(m.ways) == 0 {
		m.ways = append(m.ways, locked{inner: m.of.model(nil)})
	}
	m.next = m.next[:0]
	for i := range m.ways {
		m.step(&m.ways[i], w)
	}
	if len(m.next) == 0 { // none can be; begin again
		m.ways = append(m.ways[:0], locked{inner: m.of.model(nil)})
		return 1
	}
	best := 0
	cost := func(o *locked) float64 { return 3*o.over + o.gap }
	for i := range m.next {
		if cost(&m.next[i]) < cost(&m.next[best]) {
			best = i
		}
	}
	least, over := cost(&m.next[best]), m.next[best].over
	m.ways = m.ways[:0]
	for _, c := range m.next {
		if cost(&c) <= least+1e-9 && len(m.ways) < 6 {
			m.ways = append(m.ways, c)
		}
	}
	return over
}

// step finds what one way becomes with the whole wave.
func (m *lockout) step(b *locked, w *sight) {
	all := w.a + w.lost
	if b.is {
		if all == 0 && b.until.hi > w.since { // all within the ban
			c := *b
			c.until.lo = max(c.until.lo, min(c.until.hi, w.since))
			c.over, c.gap = 0, 0
			m.next = append(m.next, c)
		}
		if b.until.lo > w.d && all == 0 {
			return
		}
		over := boolTo(b.until.lo > w.d, float64(w.a))
		if w.r > 0 && all > 0 && b.until.hi > w.since { // refused by the ban, then admitted
			yes := *w
			yes.r = 0
			c := locked{inner: m.of.model(nil)}
			c.over = over + c.inner.admit(&yes)
			m.next = append(m.next, c)
		}
		m.count(locked{inner: m.of.model(nil)}, over, w)
		return
	}
	m.count(locked{inner: b.inner.clone()}, 0, w)
}

// count takes the wave into the limit; a refusal begins a ban.
func (m *lockout) count(c locked, over float64, w *sight) {
	c.over = over + c.inner.admit(w)
	if w.r > 0 {
		c.gap = c.inner.gap(w)
		c.is, c.until = true, span{w.since + m.ban, w.d + m.ban}
	}
	m.next = append(m.next, c)
}

func (m *lockout) gap(*sight) float64 {
	g := m.ways[0].gap
	for _, b := range m.ways {
		g = min(g, b.gap)
	}
	return g
}

// refuse has nothing to do: admit has seen the refusals, too.
func (m *lockout) refuse(*sight, float64) {}

func (m *lockout) room(s, d float64) (least, most float64) {
	if len(m.ways) == 0 {
		return m.of.n, m.of.n
	}
	least, most = m.of.n, 0
	for _, b := range m.ways {
		lo, hi := m.of.n, m.of.n
		switch {
		case b.is && b.until.lo > d:
			lo, hi = 0, 0
		case b.is && b.until.hi > s:
			lo = 0
		case !b.is:
			lo, hi = b.inner.room(s, d)
		}
		least, most = min(least, lo), max(most, hi)
	}
	return max(0, least), most
}

func (m *lockout) clone() model {
	c := *m
	c.next = nil
	c.ways = make([]locked, len(m.ways), 6)
	for i, b := range m.ways {
		if c.ways[i] = b; b.inner != nil {
			c.ways[i].inner = b.inner.clone()
		}
	}
	return &c
}

// lockouts looks for bans over limits that are no window of the first request, and for bans
// that go on for as long as somebody asks. It is asked when nothing else explains what was
// seen, and once when a ban is what is left. Effort is how many hypotheses are tried of each.
func (p *Probe) lockouts(effort int) {
	if p.askedLockouts {
		return
	}
	p.askedLockouts = true
	top := p.herd(p.shares()[0].Family)
	for _, h := range []*herd{{family: Ban, kind: SlidingLog}, {family: Ban, kind: FixedClock}, {family: Ban, anew: true}, {family: Ban, kind: FixedFirst}} {
		if q := top.best[0]; h.anew && q.family == FixedFirst && q.anew { // a ban as long as the window looks like it
			for _, part := range []float64{1, 0.95, 0.9, 0.8, 0.7, 0.5} {
				if c := p.within(hypothesis{family: Ban, anew: true, n: q.n, w: part * q.w, v: q.w}, 1e9, 1e9); c != nil {
					h.best = append(h.best, c)
				}
			}
		}
		if h.kind == FixedFirst && top.family == Ban { // often as long as the ban
			for _, q := range top.best[:min(len(top.best), 4)] {
				for _, part := range []float64{1, 0.5, 0.25} {
					for dn := -1.0; dn < 2; dn++ {
						if c := p.within(hypothesis{family: Ban, kind: FixedFirst, n: q.n + dn, w: part * q.v, v: q.v}, 1e9, 1e9); c != nil {
							h.best = append(h.best, c)
						}
					}
				}
			}
		}
		p.variant(h, effort)
	}
}

// bans tells whether a ban is what is left, or what a ban that goes on looks like.
func (p *Probe) bans() bool {
	top := p.herd(p.shares()[0].Family)
	return (top.family == Ban || top.family == FixedFirst && top.anew) && p.settled(p.shares())
}
