package probe

// opened is one way in which things may stand with a window that its first
// request opens: when it was opened, what it has counted, or until when all is
// refused.
type opened struct {
	is, banned bool
	at         span // when it was opened; of a ban, when it ends
	n          span
	over, gap  float64
	split      bool    // the wave may have begun in the window before
	paid       float64 // for what others did not take of it, see weigh
	long       float64 // of a ban: how long the window was open that was exceeded
	birth
}

// floating is a fixed window that its first request opens, with or without a ban
// of those who exceed it.
type floating struct {
	cap, width float64
	ban        float64 // seconds; 0 without
	renews     bool    // each refused request begins the ban anew
	ways       []opened
	next       []opened
	theirs
	rate   float64 // of others
	unsure float64 // the variance of the rate
	born   float64 // what the latest wave says of who began windows costs
	among  bool    // others may use it: what a refusal needs of them is a matter of chance
	passed float64 // when it is known to have refused nobody
}

func (m *floating) admit(w *sight) float64 {
	if len(m.ways) == 0 {
		m.ways = append(m.ways, opened{})
	}
	m.next, m.among, m.born = m.next[:0], w.share > 0, 0
	if w.share > 0 && w.a > 0 {
		m.passed = w.since
	}
	for i := range m.ways {
		m.step(&m.ways[i], w)
	}
	return m.keep()
}

// step finds what one way becomes with the whole wave, refusals too; over and
// gap are kept with it until refuse.
func (m *floating) step(b *opened, w *sight) {
	n := float64(w.a)
	lost := float64(w.lost)
	b.over, b.gap, b.split = 0, 0, false
	if b.banned {
		if w.a == 0 { // all within the ban
			c := *b
			if w.r > 0 {
				c.gap, c.long = boolTo(c.at.hi <= w.since, m.cap), m.width
				if c.at.lo = min(c.at.hi, max(c.at.lo, w.since)); m.renews {
					c.at = m.until(w)
				}
			}
			m.next = append(m.next, c)
		}
		if b.at.lo > w.d && w.a == 0 {
			return
		}
		c := opened{over: boolTo(b.at.lo > w.d, n), birth: birth{odds: b.odds}}
		if w.r > 0 && b.at.hi > w.since && w.a > 0 { // refused by the ban, then admitted
			c.is, c.n = true, span{n, n + lost}
			c.at = span{min(w.d, max(w.since, b.at.lo)), w.d}
			c.over += max(0, n-m.cap)
			m.next = append(m.next, c)
		}
		from := w.since
		if w.share > 0 { // somebody else may have opened one since
			from = max(w.since-m.width, b.at.lo)
		}
		c.ended, c.loose = b.at, whoever(b.at.hi < w.since-m.width, m.width, 0)
		m.open(c, w, from, n, w.r > 0)
		return
	}
	if !b.is || b.at.hi+m.width <= w.since {
		if end := b.at.hi + m.width + m.ban; m.among && m.ban > 0 && b.is && w.a == 0 && w.r > 0 && end > w.since {
			// Others may have exceeded it before its window ended.
			m.next = append(m.next, opened{banned: true, at: span{max(w.since, m.passed+m.ban), end}, gap: max(0, m.cap-b.n.hi), long: m.width, birth: birth{odds: b.odds}})
		}
		from := w.since
		c := opened{birth: birth{loose: m.width, odds: b.odds}}
		if w.share > 0 { // somebody else may have opened it
			from = w.since - m.width
			if b.is {
				from = max(from, b.at.lo+m.width)
				if b.at.lo+2*m.width > w.since { // else another may have passed since
					c.ended, c.loose = span{b.at.lo + m.width, b.at.hi + m.width}, 0
				}
			}
		}
		m.open(c, w, from, n, w.r > 0)
		return
	}
	old := *b
	old.over = max(0, b.n.lo+n-m.cap)
	old.n = span{min(m.cap, b.n.lo+n), min(m.cap, b.n.hi+n+lost)}
	if w.a > 0 || m.ban > 0 { // else it may be over, and another limit refuse
		old.at.lo = min(old.at.hi, max(b.at.lo, w.since-m.width))
		m.narrow(&old, b.at)
	}
	m.refused(old, w, w.r > 0)
	if b.at.lo+m.width <= w.d && w.a+w.lost > 0 {
		// The window ended while the wave came.
		from := max(w.since, b.at.lo+m.width)
		if w.share > 0 {
			from = b.at.lo + m.width
		}
		rest := max(0, m.cap-b.n.lo)
		over := *b
		over.at.hi = max(over.at.lo, min(over.at.hi, w.d-m.width))
		m.narrow(&over, b.at)
		c := opened{is: true, split: true, birth: birth{ended: span{b.at.lo + m.width, b.at.hi + m.width}, own: w.since, odds: over.odds}, at: span{from, w.d}, n: span{min(m.cap, max(0, n-rest)), min(m.cap, n) + lost}}
		c.over = max(0, n-rest-m.cap)
		c.gap = max(0, min(m.cap-b.n.hi-n-lost, m.cap-n-lost))
		if w.r > 0 && m.ban > 0 {
			// A refusal before the end of the window would have been a ban.
			c.gap = max(0, m.cap-n-lost)
			c = m.banned(c, w)
		} else if m.ban > 0 {
			c.gap = 0
		}
		m.next = append(m.next, c)
	}
}

func (m *floating) open(c opened, w *sight, from, n float64, refused bool) {
	c.banned = false
	if n == 0 && (!refused || m.ban == 0) {
		none := c // a refused request opens no window, and a lost one may not have
		none.is, none.gap = false, m.cap
		m.next = append(m.next, none)
		if w.lost == 0 {
			return
		}
	}
	c.is, c.at = true, span{from, w.d}
	if c.own = w.since; n == 0 {
		c.own = w.d
	}
	c.over += max(0, n-m.cap)
	c.n = span{min(n, m.cap), min(m.cap, n+float64(w.lost))}
	m.refused(c, w, refused)
}

func (m *floating) refused(c opened, w *sight, refused bool) {
	if m.ban == 0 {
		c.gap = max(0, m.cap-c.n.hi)
	} else if refused {
		c.gap += max(0, m.cap-c.n.hi)
		c = m.banned(c, w)
	}
	m.next = append(m.next, c)
}

// until is when a ban ends that the refusals of a wave began.
func (m *floating) until(w *sight) span {
	if m.renews && w.shut > 0 { // the last of them
		return span{max(w.since, w.last) + m.ban, w.d + m.ban}
	}
	return span{w.since + m.ban, w.d + m.ban}
}

func (m *floating) banned(c opened, w *sight) opened {
	at := m.until(w)
	if w.share > 0 && w.a == 0 { // somebody else may have been banned before
		at.lo = max(w.since, m.passed+m.ban)
	}
	long := m.width
	if c.is {
		began, _, theirs := m.began(&c, w.since-m.width)
		long = max(0, w.d-began) + theirs/max(m.rate, 1e-9)
	}
	return opened{banned: true, at: at, n: c.n, over: c.over, gap: c.gap, long: long, birth: birth{odds: c.odds}}
}

// keep drops the ways that explain less than the best one, and returns what the
// best one leaves over. Of a ban the refusals count as well: without one, whether it
// was this limit that refused is not known yet.
func (m *floating) keep() float64 {
	if len(m.next) == 0 {
		m.ways = append(m.ways[:0], opened{})
		return 1
	}
	if m.among {
		return m.likely()
	}
	if len(m.next) == 1 { // as it mostly is
		m.ways = append(m.ways[:0], m.next[0])
		return m.next[0].over
	}
	cost := func(o *opened) float64 {
		if m.ban == 0 {
			return o.over
		}
		return o.over + o.gap
	}
	best, least := 0, cost(&m.next[0])
	for i := 1; i < len(m.next); i++ {
		if c := cost(&m.next[i]); c < least {
			best, least = i, c
		}
	}
	m.ways = m.ways[:0]
	for i := range m.next {
		if c := &m.next[i]; cost(c) <= least+1e-9 && len(m.ways) < 6 {
			m.ways = append(m.ways, *c)
		}
	}
	return m.next[best].over
}

func (m *floating) gap(*sight) float64 {
	g := m.ways[0].gap
	for _, b := range m.ways {
		g = min(g, b.gap)
	}
	return g
}

func (m *floating) refuse(w *sight, gap float64) {
	if m.ban > 0 {
		return // admit has done it
	}
	kept := m.ways[:0]
	for _, b := range m.ways {
		if b.gap > gap+1e-9 && w.share == 0 {
			continue
		}
		if !b.is { // others have opened it
			b = opened{is: true, at: span{w.since - m.width, w.d}, n: span{m.cap, m.cap}, birth: birth{loose: m.width + w.d - w.since, own: w.d, odds: b.odds}}
		} else if !b.split {
			b.n = span{m.cap, m.cap}
			at := b.at
			b.at.lo = min(b.at.hi, max(b.at.lo, w.since-m.width))
			m.narrow(&b, at)
		} else {
			b.n.hi = min(m.cap, b.n.hi+gap)
		}
		kept = append(kept, b)
	}
	m.ways = kept
}

func (m *floating) room(s, d float64) (least, most float64) {
	if len(m.ways) == 0 {
		return m.cap, m.cap
	}
	least, most = m.cap, 0
	for _, b := range m.ways {
		lo, hi := m.cap, m.cap
		switch {
		case b.banned && b.at.lo > d:
			lo, hi = 0, 0
		case b.banned && b.at.hi > s:
			lo = 0
		case b.banned || !b.is || b.at.hi+m.width <= s:
		case b.at.lo+m.width > d:
			lo, hi = m.cap-b.n.hi, m.cap-b.n.lo
		default:
			lo, hi = m.cap-b.n.hi, m.cap+m.cap-b.n.lo
		}
		least, most = min(least, lo), max(most, hi)
	}
	return max(0, least), most
}

func (m *floating) clone() model {
	c := *m
	c.ways = append(make([]opened, 0, 6), m.ways...)
	c.next = nil
	return &c
}
