package probe

import "math"

// sight is one wave as models see it: what was sent together, and how it was
// answered. Times are seconds since the first request.
type sight struct {
	s, d  float64 // the first request sent, and the latest instant at which all had been decided
	since float64 // the least that the server's clock may have shown
	soon  float64 // d, if only the wait in a queue makes answers late
	last  float64 // the last request sent
	done  float64 // the last answer in
	ended float64 // the last answer to an admitted request in
	quick float64 // the first answer of an admitted request in
	early float64 // no admitted request had been served before
	a, r  int     // admitted, refused
	lost  int     // no answer: counted or not, nobody knows
	shut  int     // how many of the last that were sent were refused, one after the other
	scale float64 // what had been admitted before the first refusal
	slow  float64 // the longest time that an admitted request took
	slack float64 // how long an answer may take for the network alone
	queue int     // how many waves were slower than twice that, with this one; 0: this was not
	share float64 // how much of the limit others may use, as a part of it; 0: nobody else does
	work  float64 // how long a request usually takes
	under int     // how many were under way at once, at most
	pace  float64 // how many answers a second came, by the line that fits them best; 0: they do not come evenly
	tight float64 // how long the network and the work may take at most, after a queue
}

// model is what one hypothesis holds possible of the limiter's state, as
// intervals. A wave is taken in by admit, then refuse where something was refused.
type model interface {
	// admit takes the admitted requests of a wave, and returns how many units
	// were admitted that no state explains.
	admit(w *sight) (over float64)

	// gap is how many units somebody else must have taken for the refusals of the
	// wave to be explained; 0 when the states explain them.
	gap(w *sight) float64

	// refuse takes the refusals, with gap units of somebody else's.
	refuse(w *sight, gap float64)

	// room bounds how many of a wave between s and d are admitted.
	room(s, d float64) (least, most float64)

	clone() model
}

// level is a token bucket or a leaky bucket: bounds of the instant at which it
// is as good as new.
type level struct {
	cap, unit float64 // what it holds, and seconds per unit
	free      float64 // of a queue: units that cause no delay; negative where nothing is delayed
	lo, hi    float64
	late      float64 // of a queue: by how much the latest answers came later than it explains
	fill      float64 // units that it may hold at most while the latest wave was decided
	theirs
}

func (m *level) admit(w *sight) (over float64) {
	m.fill, m.late = max(0, m.hi-w.since)/m.unit+float64(w.a+w.lost), 0
	if w.a+w.lost == 0 {
		return 0
	}
	n := float64(w.a)
	d := w.d
	if m.free >= 0 {
		d = w.soon
	}
	if w.share > 0 {
		m.theirs.idle += max(0, w.since-m.lo) / m.unit
		m.lo = max(m.lo, w.since)
	}
	room := (m.cap - n) * m.unit
	if late := m.lo - (d + room); late > 0 {
		over = late / m.unit
		m.lo = d + room
	}
	if n > 0 {
		m.hi = max(min(m.hi, d+room), d) + n*m.unit
		m.lo = max(m.lo, w.since) + n*m.unit
	}
	m.hi = max(m.hi, m.lo)
	if m.free >= 0 && n > 0 {
		// The last of a queue is answered when those before it have been served.
		if early := m.lo - m.free*m.unit - w.ended; early > 0 {
			over += early / m.unit
			m.lo = w.ended + m.free*m.unit
		}
		m.hi = max(m.lo, min(m.hi, w.ended+m.free*m.unit+1e-9))
		if w.slow > w.slack && w.lost == 0 {
			if from := w.ended - w.tight + m.free*m.unit; from > m.hi+1e-6 && w.share > 0 {
				m.lo, m.hi = from, from // others wait in the queue, too
			} else if from > m.hi+1e-6 {
				// Now and then a machine is stopped while an answer is under way: once that
				// is little, again and again it is much.
				m.late = from - m.hi
			} else {
				m.lo = max(m.lo, from)
			}
		}
	}
	if w.lost > 0 {
		m.hi = min(max(m.hi, d)+float64(w.lost)*m.unit, d+m.cap*m.unit)
	}
	m.hi = max(m.hi, m.lo)
	return over
}

func (m *level) gap(w *sight) float64 {
	// Subtle: from rest, a bucket of which one less was let through refuses nothing.
	return max(0, (w.since+(m.cap-1)*m.unit-m.hi)/m.unit, m.cap-1-m.fill+2e-6)
}

func (m *level) refuse(w *sight, _ float64) {
	m.lo = max(m.lo, w.since+(m.cap-1)*m.unit)
	m.hi = max(m.hi, m.lo)
}

func (m *level) room(s, d float64) (least, most float64) {
	least = m.cap - max(0, m.hi-s)/m.unit
	most = m.cap - (max(m.lo, d)-d)/m.unit
	if m.lo <= d { // what comes back while the wave is decided
		most += (d - max(m.lo, s)) / m.unit
	} else {
		most = m.cap - (m.lo-d)/m.unit
	}
	return math.Floor(least + 1e-6), math.Floor(most + 1e-6)
}

func (m *level) clone() model { c := *m; return &c }

// group is requests counted by a sliding log, somewhere between lo and hi.
type group struct{ lo, hi, n, maybe float64 }

// slidingLog holds what was counted, oldest first.
type slidingLog struct {
	cap, width float64
	denied     bool
	groups     []group
	theirs
}

func (m *slidingLog) forget(s float64) {
	k := 0
	for k < len(m.groups) && m.groups[k].hi+m.width <= s {
		k++
	}
	if k > 0 { // from the front, so that what is appended finds room
		m.groups = append(m.groups[:0], m.groups[k:]...)
	}
}

func (m *slidingLog) admit(w *sight) (over float64) {
	m.forget(w.since)
	n := float64(w.a)
	if n == 0 && w.lost == 0 {
		return 0
	}
	from := w.since
	sum := n
	for i := len(m.groups) - 1; i >= 0 && n > 0; i-- {
		g := &m.groups[i]
		sum += g.n
		if sum <= m.cap {
			continue
		}
		// What is older than the newest cap - n must be out of the window.
		if out := min(g.n, sum-m.cap); g.lo+m.width > w.d {
			over += out
		} else if out >= g.n-1e-9 {
			g.hi = max(g.lo, min(g.hi, w.d-m.width))
		}
	}
	if n > m.cap && w.d-w.s < m.width {
		over += n - m.cap
	}
	m.groups = append(m.groups, group{lo: from, hi: w.d, n: n, maybe: float64(w.lost)})
	return over
}

func (m *slidingLog) gap(w *sight) float64 {
	sum := 0.0
	for _, g := range m.groups {
		if g.hi+m.width > w.since {
			sum += g.n + g.maybe
		}
	}
	if m.denied && w.share == 0 {
		sum += float64(w.r - 1)
	}
	return max(0, m.cap-sum)
}

func (m *slidingLog) refuse(w *sight, gap float64) {
	if w.share > 0 {
		// It is not known whose requests are in the window; see crowd.
	} else if gap > 0 {
		m.groups = append(m.groups, group{lo: w.s - m.width, hi: w.d, n: gap})
	} else if !m.denied {
		// The cap-th newest was in the window when the wave came.
		sum := 0.0
		for i := len(m.groups) - 1; i >= 0; i-- {
			g := &m.groups[i]
			if sum += g.n + g.maybe; sum >= m.cap {
				if i < len(m.groups)-1 && g.maybe == 0 {
					m.groups[i].lo = min(g.hi, max(g.lo, w.since-m.width))
				}
				break
			}
		}
	}
	if m.denied {
		m.groups = append(m.groups, group{lo: w.since, hi: w.d, n: float64(w.r)})
	}
}

func (m *slidingLog) room(s, d float64) (least, most float64) {
	least, most = m.cap, m.cap
	for _, g := range m.groups {
		if g.hi+m.width > s {
			least -= g.n + g.maybe
		}
		if g.lo+m.width > d {
			most -= g.n
		}
	}
	return max(0, least), max(0, most)
}

func (m *slidingLog) clone() model {
	c := *m
	c.groups = append(make([]group, 0, len(m.groups)+4), m.groups...)
	return &c
}

// inUse is a concurrency limit: what it has admitted that may be under way.
type inUse struct {
	cap  float64
	hold float64 // the longest that an admitted request took
	held []group // lo and hi bound when it ends
}

func (m *inUse) admit(w *sight) (over float64) {
	k := 0
	for _, g := range m.held {
		if g.hi > w.s {
			m.held[k] = g
			k++
		}
	}
	m.held = m.held[:k]
	if w.a == 0 && w.lost == 0 {
		return 0
	}
	m.hold = max(m.hold, w.slow)
	n := float64(w.a)
	for _, g := range m.held {
		if g.lo > w.d {
			n += g.n
		}
	}
	if n > m.cap {
		over = n - m.cap
		if w.early < w.d { // some may have ended before others came
			over /= m.cap
		}
	}
	m.held = append(m.held, group{lo: w.early, hi: w.done, n: float64(w.a), maybe: float64(w.lost)})
	return over
}

func (m *inUse) gap(w *sight) float64 {
	n := m.cap
	for _, g := range m.held {
		if g.hi > w.s {
			n -= g.n + g.maybe
		}
	}
	return max(0, n)
}

func (m *inUse) refuse(*sight, float64) {}

func (m *inUse) room(s, d float64) (least, most float64) {
	least, most = m.cap, m.cap
	for _, g := range m.held {
		if g.hi > s {
			least -= g.n + g.maybe
		}
		if g.lo > d {
			most -= g.n
		}
	}
	return max(0, least), max(0, most)
}

func (m *inUse) clone() model {
	c := *m
	c.held = append(make([]group, 0, len(m.held)+2), m.held...)
	return &c
}

// endless admits everything.
type endless struct{}

func (m *endless) admit(*sight) float64             { return 0 }
func (m *endless) gap(w *sight) float64             { return float64(10 + w.r) }
func (m *endless) refuse(*sight, float64)           {}
func (m *endless) room(_, _ float64) (a, b float64) { return math.Inf(1), math.Inf(1) }
func (m *endless) clone() model                     { c := *m; return &c }
