package probe

import "math"

// span is the least and the most that a count may be.
type span struct{ lo, hi float64 }

// grid is a limit in windows of a clock whose heads are known: a fixed window, a
// refill bucket (counting what was taken out of it) or a sliding window.
type grid struct {
	cap, width, head float64
	portion          float64 // of a refill bucket, else 0
	sliding, denied  bool
	off              float64 // of a sliding window: what is added before rounding down
	k                float64
	prev, cur        span // what has been counted in the window before, and in this one
	before           span // of the latest wave that fell on a head: the window it began in
	split            bool
	theirs                   // what others have in the window
	past             theirs  // and had in the one before, of a sliding one
	rate             float64 // of others
}

func (m *grid) index(t float64) float64 { return math.Floor((t - m.head) / m.width) }

// move goes on to window k.
func (m *grid) move(k float64) {
	n := k - m.k
	if n <= 0 {
		return
	}
	if m.rate > 0 && m.sliding {
		m.pass(n)
	}
	switch {
	case m.portion > 0:
		m.theirs.idle += max(0, n*m.portion-m.cur.lo)
		m.cur = span{max(0, m.cur.lo-n*m.portion), max(0, m.cur.hi-n*m.portion)}
	case n == 1:
		m.prev, m.cur = m.cur, span{}
	default:
		m.prev, m.cur = span{}, span{}
	}
	m.k = k
}

// used is the share of the cap that the window before still takes at t.
func (m *grid) used(n, t float64) float64 {
	if !m.sliding {
		return 0
	}
	e := min(1, max(0, (t-m.head-m.k*m.width)/m.width))
	return math.Floor(n*(1-e) + m.off + 1e-9)
}

func (m *grid) admit(w *sight) (over float64) {
	k1, k2 := m.index(w.s), m.index(w.d)
	n := float64(w.a)
	if m.split = k2 > k1; m.split && m.k == k2 {
		return m.still(n, float64(w.lost), k2-k1)
	}
	m.move(k1)
	if !m.split {
		if n > 0 {
			share := m.used(m.prev.lo, w.d)
			over = max(0, m.cur.lo+n+share-m.cap)
			top := max(m.cap-share, n)
			m.cur = span{min(m.cur.lo+n, top), min(m.cur.hi+n, top)}
		}
		m.cur.hi += float64(w.lost)
		return over
	}
	// A part fell before the head: from what must have to what can.
	m.before = m.cur
	last := max(0, m.cap-m.cur.lo-m.used(m.prev.lo, w.d))
	in1 := min(n, last)
	old := m.cur
	m.move(k2)
	if m.portion > 0 {
		over = max(0, n-last-m.portion*(k2-k1))
		m.cur = span{min(m.cap, m.cur.lo), min(m.cap, m.cur.hi)}
		base := max(0, old.lo+in1-m.portion*(k2-k1)) // all before the head
		alt := m.cur.lo + n                          // all after it
		m.cur = span{min(m.cap, min(base+max(0, n-in1), alt)), min(m.cap, m.cur.hi+n)}
		m.cur.lo = min(m.cur.lo, m.cur.hi)
		m.cur.hi += float64(w.lost)
		return over
	}
	over = max(0, n-last-m.cap*(k2-k1))
	if k2 == k1+1 {
		m.prev = span{old.lo, min(max(m.cap, old.hi), old.hi+n) + float64(w.lost)}
	} else {
		m.prev = span{0, m.cap}
	}
	m.cur = span{max(0, min(n-in1, m.cap)), min(n, m.cap) + float64(w.lost)}
	return over
}

// still takes in a wave that began before a head where one before it fell on that head,
// too: so many admitted, any of which may have come in the window before this one.
func (m *grid) still(n, lost, heads float64) (over float64) {
	if m.portion > 0 {
		m.before = span{m.cap, m.cap} // as much may have been taken out of it before the head
		back := heads * m.portion
		over = max(0, m.cur.lo+n-m.cap-back)
		lo := m.cur.lo + n // as it was before the head, if not all of that had come back
		if m.cur.lo == 0 {
			lo = max(0, n-back)
		}
		m.cur = span{min(m.cap, lo), min(m.cap, m.cur.hi+n) + lost}
		return over
	}
	m.before = m.prev
	last := max(0, m.cap-m.prev.lo)
	if m.sliding || heads > 1 { // the one before that counts, too, or there are several
		last = max(0, min(n, m.cap*heads))
	}
	rest := max(0, n-last)
	over = max(0, m.cur.lo+rest-m.cap)
	m.prev.hi = min(max(m.cap, m.prev.hi), m.prev.hi+n) + lost
	m.cur = span{min(m.cur.lo+rest, m.cap), min(max(m.cap, m.cur.hi), m.cur.hi+n) + lost}
	return over
}

func (m *grid) gap(w *sight) float64 {
	need := m.cap
	if m.denied && w.share == 0 {
		need -= float64(w.r - 1)
	}
	t := max(w.s, m.head+m.k*m.width)
	after := max(0, need-m.cur.hi-m.used(m.prev.hi, t)-boolTo(m.sliding, 1e-9))
	if !m.split {
		return after
	}
	return min(after, max(0, m.cap-m.before.hi-float64(w.a+w.lost)-boolTo(m.sliding, m.cap)))
}

func boolTo(b bool, v float64) float64 {
	if b {
		return v
	}
	return 0
}

func (m *grid) refuse(w *sight, gap float64) {
	n := boolTo(m.denied, float64(w.r))
	if w.share > 0 && m.sliding {
		if m.cur.hi += n; m.split { // before its head, or after
			m.prev.hi += n
		} else {
			m.cur.lo += n
		}
		return
	}
	if w.share > 0 && m.split {
		m.cur.hi = m.cap
		return
	}
	if m.split {
		m.cur.hi += n + gap
		m.prev.hi += n
		return
	}
	share := m.used(m.prev.hi, w.s)
	m.cur.lo = max(m.cur.lo, m.cap-share-boolTo(m.denied, float64(w.r-1))) + n
	m.cur.hi = max(m.cur.hi+gap+n, m.cur.lo)
}

func (m *grid) room(s, d float64) (least, most float64) {
	c := *m
	k1, k2 := m.index(s), m.index(d)
	c.move(k1)
	least = c.cap - c.cur.hi - c.used(c.prev.hi, s)
	most = c.cap - c.cur.lo - c.used(c.prev.lo, d)
	if k2 > k1 {
		old := most
		c.move(k2)
		least = min(least, c.cap-c.cur.hi-c.used(c.prev.hi, s))
		most = c.cap
		if !c.sliding {
			most = old + (c.cap - c.cur.lo)
			if c.portion > 0 {
				most = min(c.cap, old+c.portion)
			}
		}
	}
	return max(0, least), max(0, most)
}

func (m *grid) clone() model { c := *m; return &c }
