package probe

import "math"

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
type pair struct{ one, two model }

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
}

func (m *pair) room(s, d float64) (least, most float64) {
	a, b := m.one.room(s, d)
	c, e := m.two.room(s, d)
	return min(a, c), min(b, e)
}

func (m *pair) clone() model { return &pair{m.one.clone(), m.two.clone()} }

// differPair is differ for two limits.
func (f *fitter) differPair(a, b *particle) float64 {
	if a.kind != b.kind || a.kind2 != b.kind2 {
		return 0.35
	}
	one, two := a.parts()
	three, four := b.parts()
	apart := func(x, y *hypothesis) bool {
		blur := 2.2 * f.jitter
		switch x.family {
		case TokenBucket, FixedClock, SlidingWindow:
			blur = 0
		}
		return math.Abs(x.n-y.n) > f.units(x) || math.Abs(x.w-y.w) > max(0.015*max(x.w, y.w), blur)
	}
	switch {
	case apart(&one, &three):
		return 0.35
	case apart(&two, &four):
		return 0.3
	}
	return 0
}
