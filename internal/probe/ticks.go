package probe

import (
	"cmp"
	"math"
	"slices"
)

// ticked is a limit whose clock shows whole ticks only: it takes what happens between
// two of them to happen at the first. Many limiters keep times as whole seconds.
type ticked struct {
	of          model // in ticks
	tick, phase float64
	now         sight
}

func (m *ticked) at(t float64) float64 { return math.Floor((t - m.phase) / m.tick) }

// coarsely is the wave as it was by that clock.
func (m *ticked) coarsely(w *sight) *sight {
	c := &m.now
	*c = *w
	c.since, c.d = m.at(w.since), m.at(w.d)
	c.s, c.last, c.soon = c.since, m.at(w.last), c.d
	return c
}

func (m *ticked) admit(w *sight) float64           { return m.of.admit(m.coarsely(w)) }
func (m *ticked) gap(w *sight) float64             { return m.of.gap(m.coarsely(w)) }
func (m *ticked) refuse(w *sight, gap float64)     { m.of.refuse(m.coarsely(w), gap) }
func (m *ticked) room(s, d float64) (a, b float64) { return m.of.room(m.at(s), m.at(d)) }
func (m *ticked) clone() model                     { c := *m; c.of = m.of.clone(); return &c }

// inTicks is the hypothesis as the clock of its ticks has it.
func (h hypothesis) inTicks() hypothesis {
	h.w /= h.tick
	h.ph, h.tick = 0, 0
	return h
}

// ticks tells whether a coarse clock makes it another limit.
func (h *hypothesis) ticks() bool {
	switch h.family {
	case FixedFirst, SlidingLog, SlidingLogDenied, SlidingWindow, SlidingWindowDenied:
		return h.w > 1.5*h.tick // else it is a window of the clock, or a log of two ticks
	case TokenBucket: // so many each tick are portions
		each := h.tick / h.w
		return math.Abs(each-math.Round(each)) > 0.03*each && h.n*h.w > 1.5*h.tick
	}
	return false
}

// tickable are the kinds that are sought with a clock of whole seconds. Windows of the clock
// and portions are the same with one.
var tickable = [...]Family{FixedFirst, SlidingLog, SlidingLogDenied, SlidingWindow, SlidingWindowDenied, TokenBucket}

// ticks looks for limits whose clock shows whole seconds only. It is asked when nothing else
// explains what was seen, and once when something is settled: spent the moment it opens,
// such a window is in step with its clock, and looks like another, of nearly its length.
func (p *Probe) ticks() {
	p.findOpenings()
	p.full = p.refusals()
	top := p.herd(p.shares()[0].Family)
	now := p.sights[len(p.sights)-1].d
	near, whole := span{0, 4000}, span{1, 4000}
	bound, kinds := 60.0, tickable[:]
	if top.cost() < 0.5 {
		switch q := top.best[0]; q.family {
		case FixedClock, FixedFirst, SlidingLog, SlidingLogDenied, SlidingWindow, SlidingWindowDenied:
			near, whole = span{0.98 * q.w, 2 * q.w}, span{q.w - 1.1, q.w + 1.6}
			bound = top.cost() + nearly
		case TokenBucket, RefillBucket:
			bound, kinds, near = top.cost()+nearly, tickable[len(tickable)-1:], span{}
		case Stacked: // what one limit explains are not two
			bound = 0.5
		default:
			return
		}
	}
	if !p.askedTicks.again(p, top) {
		return
	}
	for _, f := range kinds {
		for _, anew := range []bool{false, true} {
			if anew && f != SlidingWindow && f != SlidingWindowDenied {
				continue
			}
			h := &herd{family: f, anew: anew, tick: 1}
			h.best = p.ticking(h, whole, bound)
			p.admit(h, top)
		}
	}
	// A log in which requests are counted by parts of the window.
	segments := &herd{family: SlidingLog}
	for _, w := range usual {
		if w < near.lo || w > min(2*now, near.hi) {
			continue
		}
		for _, parts := range []float64{2, 3, 4, 5, 6, 8, 10} {
			h := &herd{family: SlidingLog, tick: w / parts}
			if h.tick == 1 || h.tick < 4*p.jitter {
				continue
			}
			if h.best = p.ticking(h, span{w, w}, min(bound, segments.cost()-0.01)); len(h.best) > 0 {
				segments = h
			}
		}
	}
	p.admit(segments, top)
	if top.cost() < 0.5 {
		return
	}
	// A bucket with such a clock gets a second's worth each second.
	h := p.herd(RefillBucket)
	total := p.admittedIn(p.full[0], 1e9)
	for _, ph := range p.places(1) {
		for m := 1.0; m < min(total, 300); m += max(1, math.Floor(m/20)) {
			for dn := range 3 {
				if q := p.within(hypothesis{family: RefillBucket, w: 1, m: m, n: total - m*float64(dn), ph: ph}, h.cost(), h.cost()); q != nil {
					h.best = append([]*particle{q}, h.best...)
				}
			}
		}
	}
}

// sought is how often something rare was sought, and how much had been seen by then.
type sought struct{ open, settled, sights int }

// again tells whether to seek it now: once more where nothing explains what is seen and much
// was seen since, and once where top is settled.
func (a *sought) again(p *Probe, top *herd) bool {
	times, settled := &a.open, top.cost() < 0.5 && top.family != Stacked
	if settled {
		times = &a.settled
	}
	if !settled && (*times > 2 || len(p.sights) < a.sights*5/4) || settled && *times > 0 {
		return false
	}
	*times++
	a.sights = len(p.sights)
	return true
}

// nearly is how much what is tried in steps may leave unexplained to be looked at between these.
const nearly = 8

// admit takes a herd of what is rare among the others, unless it explains much less than top.
func (p *Probe) admit(h, top *herd) {
	if len(h.best) == 0 {
		return
	}
	if h.cost() > top.cost()+tickCost {
		p.mend(h)
	}
	// Where nothing explains what is seen, the next rounds may still find out how it would.
	if p.fit(h, 150); h.cost() < top.cost()+boolTo(top.cost() > 0.5, 30)+0.5 {
		if o := p.herdOf(&h.best[0].hypothesis); o != nil {
			o.best = append(o.best, h.best...)
			slices.SortStableFunc(o.best, byCost)
			o.best, o.dead = spread(o.best, o.size()), 0
			return
		}
		p.herds = append(p.herds, h)
	}
}

// places are where the ticks of a clock may begin: where those of this machine's do,
// and where something was admitted again.
func (p *Probe) places(tick float64) []float64 {
	out := []float64{-math.Mod(float64(p.start.UnixNano()%3600e9)/1e9, tick)}
	for i := range 10 {
		out = append(out, out[0]+float64(i)/10*tick)
	}
	for _, early := range p.shifts()[1:] {
		out = append(out, out[0]-early)
	}
	// The closer an opening was watched, the better the ticks are known by it.
	opened := slices.Clone(p.opened)
	slices.SortStableFunc(opened, func(a, b opening) int { return cmp.Compare(a.hi-a.lo, b.hi-b.lo) })
	for _, o := range opened[:min(len(opened), 4)] {
		if o.hi-o.lo < 0.5*tick {
			out = append(out, o.lo+0.3*(o.hi-o.lo), o.hi-0.1*(o.hi-o.lo))
		}
	}
	return append(out, p.beats(tick)...)
}

// beats are the places of ticks that lie in the most of the openings: a clock of ticks opens at
// one of them, whatever it counts. Of places between which no wave lies one will do.
func (p *Probe) beats(tick float64) (out []float64) {
	var ends []float64
	for i := range p.sights {
		ends = append(ends, math.Mod(p.sights[i].s, tick), math.Mod(p.sights[i].d, tick))
	}
	slices.Sort(ends)
	most := 0
	for i := range ends {
		at := (ends[i] + ends[(i+1)%len(ends)] + boolTo(i+1 == len(ends), tick)) / 2
		n := 0
		for _, o := range p.opened {
			if o.hi-o.lo < tick && math.Mod(at-math.Mod(o.lo, tick)+tick, tick) <= o.hi-o.lo {
				n++
			}
		}
		if n > most {
			most, out = n, out[:0]
		}
		if n == most && n > 0 && len(out) < mostBeats {
			out = append(out, at)
		}
	}
	return out
}

const mostBeats = 16

// gains bounds how many units a second a bucket with a clock of ticks is given: it is empty
// when it refuses, and between two refusals it was never full if it let less than that through.
func (p *Probe) gains(full, tick float64) span {
	out := span{0, math.Inf(1)}
	from, passed, since := -1, 0.0, 0.0
	for i := range p.sights {
		w := &p.sights[i]
		passed += float64(w.a)
		since += float64(w.a)
		if w.r == 0 {
			continue
		}
		if since >= full-1 || w.lost > 0 {
			from = -1 // it may have been full, and lost what came
		}
		if from >= 0 {
			first := &p.sights[from]
			if d := w.since - first.d - tick; d > 0 {
				out.hi = min(out.hi, (passed+1)/d)
			}
			if d := w.d - first.since + tick; passed > 1 {
				out.lo = max(out.lo, (passed-1)/d)
			}
		} else {
			from, passed = i, 0
		}
		since = 0
	}
	return out
}

// ticking tries windows of whole seconds, with what they leave unexplained below bound.
func (p *Probe) ticking(h *herd, near span, bound float64) (found []*particle) {
	now := p.sights[len(p.sights)-1].d
	size := h.size()
	keep := func(g hypothesis) {
		if q := p.within(g, bound, bound); q != nil {
			i, _ := slices.BinarySearchFunc(found, q, byCost)
			if found = slices.Insert(found, i, q); len(found) > size {
				found = found[:size]
				bound = found[size-1].cost
			}
		}
	}
	total := p.admittedIn(p.full[0], 1e9)
	places := p.places(h.tick)
	first := near.lo
	if near.hi > near.lo {
		first = max(1, math.Ceil(first))
	}
	for w := first; w <= min(2*now+2, near.hi) && h.family != TokenBucket; w += max(1, math.Floor(w/20)) {
		for _, ph := range places {
			g := hypothesis{family: h.family, anew: h.anew, tick: h.tick, ph: ph, w: w}
			switch h.family {
			case SlidingWindow, SlidingWindowDenied:
				for k := 0.0; k < w && (k == 0 || !h.anew); k += max(1, math.Floor(w/8)) {
					for dn := range 2 {
						g.ph, g.n = ph+k, total-float64(dn)
						keep(g)
					}
				}
			default:
				for _, i := range p.full[:min(2, len(p.full))] {
					g.n = p.admittedIn(i, w)
					keep(g)
				}
			}
		}
	}
	if h.family != TokenBucket {
		return found
	}
	gains := p.gains(total, h.tick)
	if gains.lo <= 0 || gains.hi > 1e4 || gains.hi < gains.lo {
		return found
	}
	rates := []float64{(gains.lo + gains.hi) / 2}
	for _, u := range []float64{1, 2, 60, 5, 10, 3, 4, 30, 6, 15, 20, 12, 8} { // so many in so many seconds
		for n := math.Ceil(gains.lo * u); n <= gains.hi*u && n < 10*u+20; n++ {
			if r := n / u; !slices.Contains(rates, r) && len(rates) < 60 {
				rates = append(rates, r)
			}
		}
	}
	for dn := -1.0; dn < 4; dn++ {
		n := total - dn
		each := slices.Clone(rates)
		for k := math.Ceil(n / gains.hi); k <= n/gains.lo && len(each) < 90; k++ { // all of it each k seconds
			each = append(each, n/k)
		}
		for _, r := range each {
			for _, ph := range places {
				keep(hypothesis{family: h.family, tick: h.tick, ph: ph, w: 1 / r, n: n})
			}
		}
	}
	return found
}
