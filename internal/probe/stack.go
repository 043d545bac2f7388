package probe

import (
	"math"
	"slices"
)

// stackable are the kinds of limits that are sought in pairs.
var stackable = [...]Family{FixedClock, FixedFirst, SlidingLog, SlidingWindow, TokenBucket}

// stack is the hypothesis of two limits that must both admit: one is the smaller, and
// gives back faster.
func stack(one, two hypothesis) hypothesis {
	return hypothesis{family: Stacked, kind: one.family, n: one.n, w: one.w, ph: one.ph, kind2: two.family, m: two.n, v: two.w, ph2: two.ph}
}

// parts are the two limits of a stack.
func (h *hypothesis) parts() (one, two hypothesis) {
	return hypothesis{family: h.kind, n: h.n, w: h.w, ph: h.ph}, hypothesis{family: h.kind2, n: h.m, w: h.v, ph: h.ph2}
}

// rate is how many a second a window or a bucket admits in the long run.
func (h *hypothesis) rate() float64 {
	switch h.family {
	case TokenBucket, LeakyQueue:
		return 1 / h.w
	case RefillBucket:
		return h.m / h.w
	}
	return h.n / h.w
}

// gridded tells whether a limit of that kind has heads on a clock.
func (f Family) gridded() bool {
	switch f {
	case FixedClock, SlidingWindow, SlidingWindowDenied, RefillBucket:
		return true
	}
	return false
}

// pair is two limits that must both admit.
type pair struct {
	one, two model
	also     Counting
	wave     *sight // what one of them refuses, for the other to count
}

func (m *pair) admit(w *sight) float64 { return m.one.admit(w) + m.two.admit(w) }

func (m *pair) gap(w *sight) float64 { return min(m.one.gap(w), m.two.gap(w)) }

func (m *pair) refuse(w *sight, gap float64) {
	a, b := m.one.gap(w), m.two.gap(w)
	switch {
	case a < b:
		m.one.refuse(w, a)
	case b < a:
		m.two.refuse(w, b)
	}
	m.charge(w, a <= b, b <= a)
}

// charge counts what one of the two refuses, or either, in the other, where that counts.
// Subtle: whether the shorter counts what the longer refuses depends on which of them is
// asked first, where the longer counts, too: it may, or may not.
func (m *pair) charge(w *sight, one, two bool) {
	if one && m.also == InLonger {
		m.count(m.two, w, !two)
	}
	if two && m.also != Apart {
		m.count(m.one, w, !one && m.also == InFirst)
	}
}

// count counts what is refused in one of the two, as far as that would let it pass: surely,
// or perhaps.
func (m *pair) count(in model, w *sight, surely bool) {
	if m.wave == nil {
		m.wave = new(sight)
	}
	v := m.wave
	*v = *w
	charge(in, v, surely)
}

// charge is count for one limit alone; w is changed.
func charge(m model, w *sight, surely bool) {
	least, most := m.room(w.s, w.d)
	all := w.r
	if w.a, w.r = 0, 0; surely {
		w.a = max(0, min(all, int(least)))
	}
	if w.lost = min(all, int(most)) - w.a; w.a+w.lost > 0 {
		m.admit(w)
	}
}

func (m *pair) room(s, d float64) (least, most float64) {
	a, b := m.one.room(s, d)
	c, e := m.two.room(s, d)
	return min(a, c), min(b, e)
}

func (m *pair) clone() model { return &pair{one: m.one.clone(), two: m.two.clone(), also: m.also} }

// differPair is differ for two limits.
func (f *fitter) differPair(a, b *particle) float64 {
	if a.kind != b.kind || a.kind2 != b.kind2 {
		return 0.35
	}
	// Where windows of the clock count what the longer refuses is dear to ask: no request
	// begins them, and the figures are the same.
	if a.also != b.also && (a.kind != FixedClock || a.also == InLonger || b.also == InLonger) {
		return 0.2
	}
	one, two := a.parts()
	three, four := b.parts()
	apart := func(x, y *hypothesis) bool {
		blur, close := blurs*f.jitter, 0.015
		switch x.family {
		case FixedClock, SlidingWindow: // their heads bend with them
			blur, close = 0, wellKnown
		case TokenBucket:
			blur = 0
		}
		return math.Abs(x.n-y.n) > f.units(x) || math.Abs(x.w-y.w) > max(close*max(x.w, y.w), blur)
	}
	switch {
	case apart(&one, &three):
		return 0.35
	case apart(&two, &four):
		return 0.3
	}
	return 0
}

// pairs are the best of two limits of each kinds.
type pairs struct {
	size int
	of   map[[2]Family][]*particle
}

func (ps *pairs) add(f *fitter, g hypothesis) {
	key := [2]Family{g.kind, g.kind2}
	pool := ps.of[key]
	bound := 40.0
	if f.share > 0 {
		bound = f.top + pairWorst
	}
	if len(pool) >= ps.size {
		bound = pool[len(pool)-1].cost
	}
	q := f.within(g, bound+1, bound)
	if q == nil {
		return
	}
	for i, o := range pool { // of those that are much alike the best
		if o.m == q.m && math.Abs(o.v-q.v) < 0.01*q.v && math.Abs(o.w-q.w) < 0.01*q.w {
			if o.cost <= q.cost {
				f.drop(q)
				return
			}
			pool = slices.Delete(pool, i, i+1)
			break
		}
	}
	i, _ := slices.BinarySearchFunc(pool, q, byCost)
	if pool = slices.Insert(pool, i, q); len(pool) > ps.size {
		pool = pool[:ps.size]
	}
	ps.of[key] = pool
}
