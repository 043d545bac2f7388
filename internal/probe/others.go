package probe

import "math"

// stream is what a hypothesis believes of others who use the limit: they come at
// random times, at a rate that is not known. It has seen a units of them in b seconds
// in which they would have counted; both begin small, so that the first they are seen
// of says most.
type stream struct{ a, b float64 }

// Others: what is thought of them before anything was seen, as a share of what the
// limit lets through and as how many sightings that is worth; how likely it is that a
// wave met something that no steady stream explains.
const (
	othersShare = 0.1
	othersSeen  = 1
	othersOdd   = 0.01
)

// newStream is the stream of a limit before anything was seen, which lets through so
// many units a second.
func newStream(through float64) stream {
	return stream{othersSeen, othersSeen / (othersShare * through)}
}

// rate is units a second.
func (s *stream) rate() float64 { return s.a / s.b }

// through is how many units a second the limit lets through in the long run; hold is
// how long a request is worked on.
func (h *hypothesis) through(hold float64) float64 {
	switch h.family {
	case Ban:
		return h.n / (h.w + h.v)
	case Stacked:
		one, two := h.parts()
		return min(one.rate(), two.rate())
	case Concurrency:
		return h.n / max(hold, 1e-3)
	case None:
		return 1
	}
	return h.rate()
}

// meeting is how a wave met a limit that others use: how many units they must and
// may have in it, and how many are expected.
type meeting struct {
	lo, hi         float64
	before, v, x   float64
	over           float64 // admitted without explanation
	fit            float64 // how many units of others it can have at most
	born           float64 // the price of who began its windows
	some           bool    // some were admitted, and some refused
	shut           bool    // it was known to be full, and was
	edge, beyond   float64 // how likely it is that a window ended meanwhile, and hi then
	mean, variance float64
}

// meet takes in the admitted requests of a wave.
func meet(m shared, w *sight, s *stream) (t meeting) {
	_, all := m.room(w.s, w.d)
	rate, most := s.rate(), all
	t.before, t.v, t.x = m.crowd(w, rate)
	if f, ok := m.(*floating); ok {
		t.edge, most = f.ends(w, most)
	}
	t.mean = t.before + rate*t.x
	t.variance = t.v + rate*t.x + s.a/(s.b*s.b)*t.x*t.x
	t.over = m.admit(w)
	if f, ok := m.(*floating); ok {
		t.born = f.born
	}
	t.hi = max(0, math.Floor(most-float64(w.a)+1e-6))
	t.beyond = max(t.hi, math.Floor(all-float64(w.a)+1e-6))
	t.shut = w.a == 0 && all < 1
	return t
}

// price is what the meeting costs: the logarithm of how unlikely it is.
func (t *meeting) price(n float64) float64 {
	if !t.some && t.lo <= 0 && t.hi > t.mean+6*math.Sqrt(t.variance)+3 {
		return 0
	}
	// Subtle: how many are admitted is one number. Where the hypothesis leaves open how
	// many places there were, each of them makes another number likely: one that says
	// little may not look likely for that.
	spread := func(hi float64) float64 {
		if t.some && !math.IsInf(hi, 1) {
			return 1 + hi - t.lo
		}
		return 1
	}
	p := chance(t.lo, t.hi, t.mean, t.variance) / spread(t.hi)
	if t.edge > 0 && t.beyond > t.hi {
		p = (1-t.edge)*p + t.edge*chance(t.lo, t.beyond, t.mean, t.variance)/spread(t.beyond)
	}
	return -math.Log((1-othersOdd)*p + othersOdd/(2+n))
}

// units are how many units of others there were, as far as the meeting tells.
func (t *meeting) units() float64 { return max(t.lo, min(t.fit, t.mean)) }

// learn takes in how many of others were met.
func (s *stream) learn(t *meeting) {
	wide := t.hi-t.lo > 2*math.Sqrt(t.variance)+1
	if t.x <= 0 || wide && t.lo <= t.mean && t.mean <= t.hi {
		return
	}
	s.a += max(0, t.units()-t.before)
	s.b += t.x
}

// ledger is what waves since a limit was last met full have cost, for what others did
// not take of it; see due.
type ledger struct {
	paid, left float64 // and what the latest of them left for others
	less       stream  // what is to be learnt of waves that met fewer than expected
}

// due is the price of a meeting, and that less what was paid for by waves before.
func (l *ledger) due(t *meeting, n float64) (all, due float64) {
	if t.shut {
		return 0, 0
	}
	if all = t.price(n); t.hi > l.left+0.5 { // something has come back
		return all, all
	}
	return all, max(0, all-l.paid)
}

// settle notes that a meeting was paid for, whose price was all; met, that it was met full.
func (p *particle) settle(l *ledger, t *meeting, all float64, met bool) {
	if t.shut {
		return
	}
	if t.hi > l.left+0.5 {
		p.them.a, p.them.b = p.them.a+l.less.a, p.them.b+l.less.b
		l.paid, l.less = 0, stream{}
	}
	if met {
		*l = ledger{left: math.Inf(1)}
		return
	}
	if t.hi < t.mean {
		l.less = stream{max(0, 0.7*t.hi-t.before), t.x}
	}
	l.paid, l.left = max(l.paid, all), t.hi
}

// alone takes in a wave for a limit that others may use, and returns what it costs.
func (p *particle) alone(m shared, w *sight) (cost float64) {
	if f, ok := m.(*floating); ok {
		return p.windows(f, w)
	}
	t := meet(m, w, &p.them)
	if t.over > 1e-6 {
		cost = min(overMost, overCost*(0.3+t.over))
		p.overs += cost
	}
	if w.r > 0 {
		p.full(m, w, &t)
	}
	all, c := p.first.due(&t, p.n)
	p.settle(&p.first, &t, all, w.r > 0)
	if w.r > 0 && !t.shut {
		p.commit(m, w, &t)
	} else if w.r > 0 {
		m.refuse(w, 0)
	}
	return cost + c + t.born + p.greed()
}

// greed is the price of others who use much of the limit, as far as it was not paid yet:
// those who use most of it would explain whatever is refused.
func (p *particle) greed() (due float64) {
	if x := p.them.rate()/p.flow - 0.25; x > 0 {
		if c := 20 * x; c > p.greedy {
			due, p.greedy = c-p.greedy, c
		}
	}
	return due
}

// full sets how many of others a refusal needs.
func (p *particle) full(m shared, w *sight, t *meeting) {
	t.lo = math.Ceil(m.gap(w) - 1e-6)
	t.hi, t.beyond = max(t.hi, t.lo), max(t.beyond, t.lo)
	t.fit, t.some = t.hi, w.a > 0
	if w.a == 0 { // others have all that came back; more may have been refused, too
		t.hi = math.Inf(1)
	}
	switch m := m.(type) {
	case *slidingLog: // and count
		t.fit = whoever(m.denied, t.hi, t.fit)
	case *grid:
		t.fit = whoever(m.denied, t.hi, t.fit)
	}
}

// commit takes in that the wave met the limit full.
func (p *particle) commit(m shared, w *sight, t *meeting) {
	k := t.units()
	p.them.learn(t)
	m.refuse(w, t.lo)
	off := t.fit - t.lo
	m.pin(w, k, min(off*off/12, t.variance))
}

// near is how much more than the best a hypothesis may cost and still be as good; alike
// is how much more one may cost that is taken for it. Where others use the limit what
// they did is chance.
func (p *particle) near() float64 {
	if p.them.b > 0 {
		return 5
	}
	return 0.25
}

func (p *particle) alike() float64 {
	if p.them.b > 0 {
		return 1
	}
	return 1e-9
}

// usual tells whether what others did is what chance does: nothing was admitted too
// many.
func (p *particle) usual() bool { return p.overs < 0.5 }

// foresee is how many of others a wave will meet, which is not taken in.
func (p *particle) foresee(m shared, w *sight) (t meeting) {
	rate := p.them.rate()
	t.before, t.v, t.x = m.crowd(w, rate)
	t.mean = t.before + rate*t.x
	t.variance = t.v + rate*t.x
	return t
}

// whoever is a where yes, else b.
func whoever(yes bool, a, b float64) float64 {
	if yes {
		return a
	}
	return b
}
