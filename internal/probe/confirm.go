package probe

import (
	"math"
	"slices"

	"github.com/weir-dev/weir/limit"
)

// confirms is how many waves at random times a limit without a round figure has to
// explain before it is said for certain.
const confirms = 3

// roundRateOdd is how odd a rate is at most that people choose: 25 a second is and 5 in two
// seconds; 250 a minute, 41 in two seconds and 3800 in a quarter of an hour are not.
const roundRateOdd = 2.1

// whyAgain is why confirm sends.
const whyAgain = "whether it holds at another time, too"

// confirm returns one more wave at a time that nobody chose, when the winner's
// figure is not one that people choose: what explains all that was sent to find it
// may be a coincidence, and then it explains the next ones badly. It is asked when
// all else is settled.
func (p *Probe) confirm() *experiment {
	if !p.settled(p.shares()) {
		return nil
	}
	q := p.herd(p.shares()[0].Family).best[0]
	// With some buckets the time of the next portion begins with a request, or with the
	// rest of one that they hold; single units bend to much of that.
	drip, portions := q.family == RefillBucket && q.m == 1, 0
	if q.family == RefillBucket && q.n <= 60 {
		if portions = 1; drip {
			portions = 5
		}
	}
	if p.confirmed >= portions && !p.unconfirmed(p.herd(q.family)) {
		return nil
	}
	all := int(q.n) + 1
	rest, soon := p.unrested(q), func() float64 { return (0.2 + 0.7*p.rng.Float64()) * q.w }
	var e *experiment
	switch {
	case drip:
		e = &experiment{why: whyAgain, steps: []step{{idle: max(rest, (1.05+p.rng.Float64())*q.period()), n: all}}, through: true}
		for range 5 {
			e.steps = append(e.steps, step{idle: 0.2 * q.w, n: 1})
		}
	case q.family == TokenBucket:
		// A rate shows in what comes back. Some give back whole units only and lose the
		// rest with each request, some let one pass that comes a little early.
		e = &experiment{why: whyAgain, steps: []step{{idle: max(rest, 1.05*q.period()), n: all}}, through: true}
		for range 6 {
			e.steps = append(e.steps, step{idle: (0.3 + 1.4*p.rng.Float64()) * q.w, n: 1})
		}
		e.steps = append(e.steps, step{idle: (0.2 + 0.4*p.rng.Float64()) * q.period(), n: int(0.7*q.n) + 2})
	case rest > 0: // the whole of it tells, too, whether there is more after a rest
		part := max(1, all/5)
		if q.family == RefillBucket {
			part = int(q.m)
		}
		e = &experiment{why: whyAgain, steps: []step{{idle: rest * (1 + 0.3*p.rng.Float64()), n: int(1.05*q.n) + 2}, {idle: soon(), n: part}, {idle: soon(), n: part}}, through: true}
		if portions > 0 {
			e.steps = append(e.steps, step{idle: soon(), n: part}, step{idle: soon(), n: part})
		}
	default:
		idle := (0.15 + 0.8*p.rng.Float64()) * q.period()
		if p.confirmed == 0 && p.mayRenew(q) { // after a pause of more than two windows
			idle = (2.05 + 0.6*p.rng.Float64()) * q.w
		}
		first := 1 + p.rng.IntN(max(1, all*2/3))
		e = &experiment{why: whyAgain, steps: []step{{idle: idle, n: first}, {idle: 0.6 * p.rng.Float64() * q.w, n: all - first}}}
	}
	all = 0
	for _, s := range e.steps {
		all += s.n
	}
	if p.v.Requests+all > p.opt.MaxRequests {
		return nil
	}
	p.confirmed++
	return e
}

// unconfirmed tells whether waves at random times are missing. A limit of more than
// that is too dear for it, and so large a one has been seen well.
func (p *Probe) unconfirmed(h *herd) bool {
	q := h.best[0]
	if q.family == Stacked { // the longer one was used up again, see metAgain
		return q.also != Apart && !p.isRound(h)
	}
	if q.family == None || q.family == Concurrency || q.family == LeakyQueue || q.n > 150 {
		return false
	}
	need := confirms
	if p.turns+p.sustained >= rounds-2 && !q.rare() { // these were at times that were foretold, too
		need = 1
		if p.askedTurns && !p.unasked && (q.family == FixedFirst || q.family == SlidingLog || q.family == SlidingLogDenied) && p.same(q) {
			need = 0 // all that these remember was over before inTurn spent it at a time of its own
		}
	}
	return p.confirmed < need && (q.rare() || !p.isRound(h))
}

// isRound tells whether what a herd leaves open has a figure in it that people choose.
func (p *Probe) isRound(h *herd) bool {
	b := h.best[0]
	w, v := h.windows()
	if b.also != Apart || b.family == Stacked && b.them.b > 0 {
		return chosen(b.kind, w) && chosen(b.kind2, v)
	}
	return chosen(h.family, w)
}

// windows are what a herd leaves open of its windows.
func (h *herd) windows() (w, v span) {
	b := h.best[0]
	w, v = span{b.w, b.w}, span{b.v, b.v}
	for _, q := range h.best {
		if q.cost > h.cost()+max(0.25, q.alike()) {
			break
		}
		w, v = w.with(q.w), v.with(q.v)
	}
	return w, v
}

// contrived tells whether a window is what nobody chooses: one of the two of a pair, for pairs
// explain what is neither of them, or that of a clock, which explains what only seems to be
// one, or of a log or a sliding window that is short or no whole twentieths of a second, or a ban of no whole tenths of a second.
// said is what is said of them.
func (h *herd) contrived(said []limit.Policy) bool {
	b := h.best[0]
	w, v := h.windows()
	for i, s := range []*span{&w, &v} {
		if i < len(said) && said[i].Algorithm != limit.TokenBucket {
			*s = s.with(said[i].Window.Seconds())
		}
	}
	whole := func(s span, a float64) bool { return math.Floor(a*s.hi+0.01) >= math.Ceil(a*s.lo-0.01) }
	switch h.family {
	case Stacked:
		if len(said) < 2 {
			return false
		}
		odd := func(kind Family, said limit.Policy, s span) bool {
			switch {
			case kind == TokenBucket:
				return false
			case kind.gridded(): // its head bends with it
				return vague(said.Window.Seconds(), s)
			}
			return !whole(s, 10)
		}
		return odd(b.kind, said[0], w) || odd(b.kind2, said[1], v)
	case Ban: // one that ends at whole seconds has many lengths; over windows of the clock the head bends, too
		return !whole(v, 10) || b.kind == FixedClock && len(said) > 0 && vague(said[0].Window.Seconds(), w)
	case FixedClock, RefillBucket:
		return !b.anew && b.tick == 0 && (len(said) == 0 || !doubled(said[0].Window.Seconds())) && !whole(w, 10) && (b.w > 1 || !whole(w, 100) && !whole(span{1 / w.hi, 1 / w.lo}, 1))
	case SlidingLog, SlidingLogDenied, SlidingWindow, SlidingWindowDenied:
		if b.tick > 0 || len(said) == 0 {
			return false
		}
		x := said[0].Window.Seconds()
		return !whole(w, 20) && !doubled(x) || b.w < shortOdd && vague(x, w)
	}
	return false
}

// shortOdd is below which length of a log or a sliding window it has to be a round one, in
// seconds: the shorter it is, the more of what is no such limit looks like one.
const shortOdd = 3

// vague tells whether a window, of which is known that it is within s, is no round number, or
// not known well and no rounder than some number within any span as wide as that: then that it
// is round says nothing for it.
func vague(x float64, s span) bool {
	if doubled(x) {
		return s.hi-s.lo > max(0.1, wellKnown*x)
	}
	for _, unit := range units {
		if unit < 0.05 || unit < 0.1 && x > 1 {
			break
		}
		if math.Abs(x-unit*math.Round(x/unit)) < 1e-5*x {
			return s.hi-s.lo > max(unit, wellKnown*x)
		}
	}
	return true
}

// wellKnown is how wide what a window may be is at most where it is known well, as a share.
const wellKnown = 0.008

// tooShort tells whether a window is where the search for windows begins: one that is
// shorter yet looks so, too.
func (h *herd) tooShort() bool {
	b := h.best[0]
	switch b.family {
	case None, TokenBucket, LeakyQueue, Concurrency:
		return false
	case Stacked:
		return b.kind != TokenBucket && b.w < 1.2*shortest
	}
	return b.w < 1.2*b.shortest()
}

// doubled tells whether a window is a power of two of milliseconds, of a second or more.
func doubled(w float64) bool {
	frac, exp := math.Frexp(math.Round(1e6*w) / 1000)
	return frac == 0.5 && exp > 10
}

// chosen tells whether people choose a figure that is within a span: a window, or the time
// in which a bucket gives a unit.
func chosen(f Family, w span) bool {
	switch f {
	case TokenBucket, LeakyQueue:
		r := roundRates(w)
		return len(r) > 0 && r[0].odd <= roundRateOdd
	}
	for _, v := range roundIn(w) {
		ms := math.Round(v * 1000)
		if doubled(v) {
			return true
		}
		for ms >= 10 && math.Mod(ms, 10) == 0 {
			ms /= 10
		}
		if ms < 10 || v < 100 && v == math.Floor(v) || slices.Contains(usual[:], v) || v == 1.5 || v == 2.5 {
			return true
		}
	}
	return false
}
