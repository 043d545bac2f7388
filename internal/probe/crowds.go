package probe

// theirs is what a model keeps of others: since when what they send counts, what they
// are known to have in it, and how well; and units that would have come back in that
// time to a limit that nobody used.
type theirs struct {
	since, n, v, idle float64
}

// shared is a model of a limit that others may use. The bounds that it keeps are those
// of what the probe itself has in it; but where a refusal shows the limit to be full it
// is full, whoever filled it.
type shared interface {
	model

	// crowd tells how many units others have in it while the wave is decided: those that
	// were there before, with their variance, and those that came in x seconds at rate.
	crowd(w *sight, rate float64) (before, v, x float64)

	// pin notes that the wave met the limit full, with k units of others in it.
	pin(w *sight, k, v float64)
}

// others makes a model that nobody has used one that others may have used long before.
func others(m model) {
	always := theirs{since: -1e7}
	switch m := m.(type) {
	case *level:
		m.theirs = always
	case *grid:
		m.theirs = always
	case *slidingLog:
		m.theirs = always
	case *floating:
		m.theirs = always
	case *pair:
		others(m.one)
		others(m.two)
	}
}

func (m *level) crowd(w *sight, rate float64) (before, v, x float64) {
	brief := m.unit + w.d - w.s
	now := max(0, w.since-m.lo) / m.unit
	x = min(w.d-m.theirs.since, 1e7) - (m.theirs.idle+now)/rate
	if x < brief { // it is full: what others sent before counts no more
		m.theirs = theirs{since: w.d - brief, idle: -now}
		x = brief
	}
	return 0, 0, x
}

func (m *level) pin(w *sight, _, _ float64) {
	m.theirs = theirs{since: w.s}
	m.hi = max(m.hi, w.d+m.cap*m.unit)
}

func (m *slidingLog) crowd(w *sight, _ float64) (before, v, x float64) {
	ago := w.d - m.theirs.since
	if ago >= m.width {
		return 0, 0, m.width
	}
	keep := 1 - ago/m.width
	return m.theirs.n * keep, m.theirs.v*keep*keep + m.theirs.n*keep*(1-keep), ago
}

func (m *slidingLog) pin(w *sight, k, v float64) { m.theirs = theirs{since: w.d, n: k, v: v} }

func (m *inUse) crowd(w *sight, _ float64) (before, v, x float64) { return 0, 0, max(m.hold, w.slow) }

func (m *inUse) pin(*sight, float64, float64) {}

func (m *endless) crowd(*sight, float64) (before, v, x float64) { return 0, 0, 0 }

func (m *endless) pin(*sight, float64, float64) {}

func (m *rolling) crowd(*sight, float64) (before, v, x float64) { return 0, 0, m.width }

func (m *rolling) pin(*sight, float64, float64) {}

func (m *floating) crowd(w *sight, rate float64) (before, v, x float64) {
	m.rate = rate
	spread := func(of float64) float64 { return rate * rate * of * of / 12 }
	if len(m.ways) == 0 {
		return 0, spread(m.width), m.width / 2
	}
	b := &m.ways[0]
	switch {
	case b.banned:
		x = w.d - max(b.at.lo, m.theirs.since)
	case !b.is:
		x = m.width
	case b.at.hi+m.width > w.since:
		at, off, theirs := m.began(b, w.since-m.width)
		if m.theirs.since > at {
			return 0, rate * rate * off, max(0, w.d-m.theirs.since)
		}
		// Who began it tells of the time before it, in which nobody else came.
		return 0, rate*rate*off + theirs*(1-theirs), max(0, w.d-at) + theirs/max(rate, 1e-9)
	default:
		x = w.d - b.at.lo - m.width
	}
	if x = max(0, x); x > m.width/2 {
		return 0, spread(m.width), m.width / 2
	}
	return 0, 0, x
}

// ends is how likely it is that a window whose beginning is not known ended by the end
// of the wave, and how many are admitted at most where it did not.
func (m *floating) ends(w *sight, most float64) (edge, inside float64) {
	if len(m.ways) == 0 || most <= m.cap || !m.ways[0].is || m.ways[0].banned {
		return 0, most
	}
	b := &m.ways[0]
	return min(1, max(0, (w.d-m.width-b.at.lo)/max(1e-6, b.at.hi-b.at.lo))), m.cap - b.n.lo
}

func (m *floating) pin(w *sight, _, _ float64) { m.theirs.since = w.s }

func (m *grid) crowd(w *sight, rate float64) (before, v, x float64) {
	m.rate = rate
	k := m.index(w.s)
	m.move(k)
	head := m.head + k*m.width
	switch {
	case m.portion > 0:
		x = min(w.d-m.theirs.since, 1e7) - m.theirs.idle/rate
		if brief := w.d - head; x < brief {
			m.theirs = theirs{since: head}
			x = brief
		}
		return 0, 0, x
	case !m.sliding:
		return 0, 0, max(0, w.d-max(m.theirs.since, head))
	}
	e := min(1, max(0, (w.d-head)/m.width))
	from := max(m.theirs.since, head)
	return m.theirs.n + (1-e)*m.past.n, m.theirs.v + (1-e)*(1-e)*m.past.v + 0.08, max(0, w.d-from)
}

func (m *grid) pin(w *sight, k, v float64) {
	if !m.sliding {
		m.theirs = theirs{since: w.s}
		return
	}
	if m.split {
		return
	}
	head := m.head + m.k*m.width
	e := min(1, max(0, (w.d-head)/m.width))
	from := max(m.theirs.since, head)
	mean := m.theirs.n + m.rate*max(0, w.d-from)
	off := m.theirs.v + m.rate*max(0, w.d-from)
	was := (1 - e) * (1 - e) * m.past.v
	all := off + was + v + 1e-9
	d := k - mean - (1-e)*m.past.n
	m.theirs = theirs{since: w.d, n: max(0, mean+off/all*d), v: off * (1 - off/all)}
	m.past.n = max(0, m.past.n+(1-e)*m.past.v/all*d)
	m.past.v *= 1 - was/all
}

// pass goes on to the next window, for what others have in it.
func (m *grid) pass(n float64) {
	head := m.head + m.k*m.width
	if n == 1 {
		x := max(0, head+m.width-max(m.theirs.since, head))
		m.past = theirs{n: m.theirs.n + m.rate*x, v: m.theirs.v + m.rate*x}
	} else {
		m.past = theirs{n: m.rate * m.width, v: m.rate * m.width}
	}
	m.theirs = theirs{since: head + n*m.width}
}

func (m *pair) crowd(w *sight, rate float64) (before, v, x float64) {
	_, a := m.one.room(w.s, w.d)
	_, b := m.two.room(w.s, w.d)
	f, one := m.one.(shared)
	g, two := m.two.(shared)
	if !one || !two {
		return 0, 0, 0
	}
	before, v, x = f.crowd(w, rate)
	c, u, y := g.crowd(w, rate)
	if b-c-rate*y < a-before-rate*x {
		return c, u, y
	}
	return before, v, x
}

func (m *pair) pin(w *sight, k, v float64) {
	for _, one := range []model{m.one, m.two} {
		if s, ok := one.(shared); ok {
			s.pin(w, k, v)
		}
	}
}
