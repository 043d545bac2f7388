package probe

import (
	"math"
	"slices"
)

// lossy is a bucket that is given whole portions only, by the time since it last let a
// request pass: what makes no whole portion is forgotten with each. Who keeps a whole number
// of units and the time of the latest request counts so.
type lossy struct {
	cap, width, portion float64
	is                  bool
	at                  span    // when it last let one pass
	n                   span    // what it holds
	left                float64 // what the latest wave must have left
	more                float64 // what it may have been given meanwhile
	meanwhile           bool    // whether a portion may have come during the latest wave
}

// has is what it holds when a wave comes.
func (m *lossy) has(s, d float64) (n span) {
	if !m.is {
		return span{m.cap, m.cap}
	}
	lo := math.Floor(max(0, s-m.at.hi)/m.width - 1e-9)
	hi := math.Floor(max(0, d-m.at.lo)/m.width + 1e-9)
	return span{min(m.cap, m.n.lo+m.portion*max(0, lo)), min(m.cap, m.n.hi+m.portion*hi)}
}

func (m *lossy) admit(w *sight) (over float64) {
	n, a := m.has(w.since, w.d), float64(w.a)
	m.more = m.portion * math.Floor((w.d-w.since)/m.width)
	over = max(0, a-n.hi-m.more)
	m.meanwhile = n.lo < n.hi || m.more > 0
	m.left = n.lo - a - float64(w.lost)
	if w.a+w.lost == 0 {
		return over
	}
	m.n = span{max(0, m.left), max(0, n.hi+m.more-a)}
	from := w.since
	if w.a == 0 && m.is {
		from = m.at.lo
	}
	m.is, m.at = true, span{from, w.d}
	return over
}

func (m *lossy) gap(*sight) float64 { return max(0, m.left) }

func (m *lossy) refuse(w *sight, gap float64) {
	if w.a == 0 && gap == 0 && w.lost == 0 { // no portion was there yet
		m.at.lo = min(m.at.hi, max(m.at.lo, w.since-m.width))
	}
	if !m.is { // others have emptied it
		m.is, m.at = true, span{w.since - m.width, w.d}
	}
	if m.n.lo = 0; !m.meanwhile { // else a portion may have come after the refusal
		m.n.hi = m.more
	}
}

func (m *lossy) room(s, d float64) (least, most float64) {
	n := m.has(s, d)
	return n.lo, n.hi + m.portion*math.Floor((d-s)/m.width)
}

func (m *lossy) clone() model { c := *m; return &c }

// losing looks for buckets that lose parts of a portion. It is asked when nothing else
// explains what was seen, and once when a bucket is what is left.
func (p *Probe) losing() {
	p.full = p.refusals()
	total := p.admittedIn(p.full[0], 1e9)
	lo, hi, ratio := max(shortestFill, 4*p.jitter), 2*p.sights[len(p.sights)-1].d, 1.01
	sizes := []float64{1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20}
	top := p.herd(p.shares()[0].Family)
	most := 60.0
	switch q := top.best[0]; {
	case top.cost() > 0.5:
	case q.family == Stacked:
		most = 0.5
	case q.family != TokenBucket && q.family != RefillBucket:
		return
	default:
		most = top.cost() + nearly
		lo, hi, ratio = max(lo, 0.4*q.w), 1.1*q.w, 1.002
		if sizes = sizes[:1]; q.family == RefillBucket {
			sizes = []float64{q.m}
		}
	}
	if !p.askedLosing.again(p, top) {
		return
	}
	even := p.intervals(lo, hi)
	var lengths []float64
	for w := lo; w < hi; w *= ratio {
		lengths = append(lengths, w)
	}
	for _, since := range []Since{SinceLet, SincePortion, SinceRest} {
		h, bound := &herd{family: RefillBucket, anew: true, since: since}, most
		if since == SinceRest { // a length that is a little off is far off after many
			lengths = even
		}
		for _, w := range lengths {
			for _, m := range sizes {
				if since == SinceRest && m == 1 {
					continue // units that come at even distances are a token bucket
				}
				for dn := -1.0; dn < 4; dn++ {
					if q := p.within(hypothesis{family: RefillBucket, anew: true, since: since, w: w, m: m, n: total - m*dn}, bound, bound); q != nil {
						i, _ := slices.BinarySearchFunc(h.best, q, byCost)
						if h.best = slices.Insert(h.best, i, q); len(h.best) > h.size() {
							h.best = h.best[:h.size()]
							bound = h.best[len(h.best)-1].cost
						}
					}
				}
			}
		}
		p.admit(h, top)
	}
}
