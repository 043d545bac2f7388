package probe

import (
	"math"
	"time"

	"github.com/weir-dev/weir/limit"
)

// belief is how things stand.
func (p *Probe) belief(doing string) Belief {
	b := Belief{Doing: doing, Requests: p.v.Requests, Refused: p.v.Refused, Elapsed: p.clock.Now().Sub(p.from)}
	for _, s := range p.shares() {
		if s.Share >= 0.01 {
			s.Found = p.found(s.Family, false)
			b.Shares = append(b.Shares, s)
		}
	}
	return b
}

func (p *Probe) conclude(stopped bool) {
	v := p.v
	if p.began {
		v.Elapsed = v.Waves[len(v.Waves)-1].Done.Sub(p.start) - p.paused
	}
	if v.Refused == 0 {
		v.Family = None
		v.Confidence = 0.95 * min(1, 2*float64(v.Requests)/float64(p.opt.MaxRequests))
		v.Paced, v.Slowest = p.pacedAnswers(), p.slowest()
		if v.Endless = p.endless && v.Paced > 0; v.Endless {
			v.Confidence = 0.95
		}
		v.Sure = v.Requests-v.Lost >= max(enough, p.opt.MaxRequests/2) && v.Slowest == 0
		return
	}
	if p.spread == nil && p.fitted && p.share == 0 && p.unaided() > 6 {
		if j, ok := p.likeliestFleet(byTurn, byLoad); ok && p.convincing(j) {
			p.spread = p.spreadOf(j, nil)
		}
	}
	if p.spread == nil && p.fitted && stopped {
		p.cutShort()
	}
	if p.spread == nil && p.fitted {
		if j, ok := p.instead(); ok {
			p.spread = p.spreadOf(j, nil)
		}
	}
	if s := p.spread; s != nil {
		// Subtle: what buckets give back is seen too large where one of them is asked late, as a
		// busy machine does, and no bound of that is known.
		v.Found, v.Confidence, v.Sure = p.foundReplicas(s), 0.99, s.sure && !s.bucket
		if s.rough {
			v.Confidence = 0.8
		}
		return
	}
	if !p.fitted {
		p.fitAll()
	}
	p.refit()
	if p.trace != nil {
		p.report()
	}
	shares := p.shares()
	v.Found = p.found(shares[0].Family, true)
	v.Confidence = shares[0].Share
	left := p.herd(shares[0].Family).best[0].without()
	v.Used = p.herd(shares[0].Family).best[0].used
	v.Alike = p.alike(p.herd(shares[0].Family).best[0])
	v.Spent = p.spent(p.herd(shares[0].Family).best[0])
	if v.Spent > 0 && v.Spent < float64(p.opt.Second) {
		v.Wanted = p.opt.Second
	}
	v.Foreign = left
	fits := left < 2
	if p.share > 0 {
		v.Foreign, v.Others = p.lonely(p.herd(shares[0].Family).best[0]), p.others(p.herd(shares[0].Family))
		// Subtle: others who may not be there at all are what a kind of limit that is not known
		// looks like.
		fits = v.Others.Low > 0.005 && p.holds(p.herd(shares[0].Family), v.Found)
	}
	for _, s := range shares[1:] {
		if s.Share >= 0.005 {
			s.Found = p.found(s.Family, true)
			s.Separate = p.separate(p.herd(shares[0].Family).best[0], p.herd(s.Family).best[0])
			v.Alternatives = append(v.Alternatives, s)
		}
	}
	v.Sure = p.settled(shares) && fits
	switch {
	case !v.Sure:
		v.Settle = p.settle(p.herd(v.Family))
	case p.early():
		v.Sure = false
		v.Settle = "empty it and ask one by one, a little earlier than each comes back: some let such a request wait"
	case p.herd(v.Family).tooShort():
		v.Sure = false
		v.Settle = "ask from nearer by: its window is about the shortest that is looked for"
	case p.share > 0 && v.Family == Ban:
		// Subtle: a log before a ban is not sought among others, and looks like a window with some.
		v.Sure = false
		v.Settle = "probe it again when nobody else uses it: what may not be exceeded before a ban is hard to tell among others"
	case v.Family == FixedFirst && p.share == 0 && p.inStep(p.herd(v.Family).best[0]):
		v.Sure = false
		v.Settle = "begin a window later than it can begin: a clock that runs a little late each time explains the answers as well"
	case p.unconfirmed(p.herd(v.Family)), p.herd(v.Family).contrived(v.Policies), v.Family == Ban && p.herd(Ban).best[0].kind == FixedClock && !p.isRound(p.herd(Ban)):
		// Subtle: bans hide where windows of the clock begin, so that several lengths explain them.
		v.Sure = false
		v.Settle = "probe it again at another time: this is no figure that people choose, so it may be a coincidence of this one"
	default:
		if m, ok := p.quietAlike(p.herd(v.Family)); ok {
			v.Sure, v.Settle = false, quietSettle(&m)
			break
		}
		switch v.Family {
		case SlidingWindow, SlidingWindowDenied, Stacked:
			// These bend far: what replicas nearly in turn explain as well is not certain.
			if j, ok := p.fleetBeside(); ok {
				v.Sure, v.Alike = false, j.r
			}
		}
	}
	v.Open = p.reason(fits)
	if s := p.shut(); s != nil && !v.Sure {
		// What would tell explanations apart follows from their times, and these are
		// nobody's: nothing of it would be true.
		v.unseen(s)
		for i := range v.Alternatives {
			v.Alternatives[i].Found.unseen(s)
		}
		if v.Found.Shut != nil {
			v.Settle, v.Alike = "", 0
			for i := range v.Alternatives {
				v.Alternatives[i].Separate = ""
			}
		}
	}
}

// enough is how many requests have to be let pass before it is certain that there is
// no limit to be met.
const enough = 500

// openMost is the most that is said of what is not certain: of 122 verdicts of bench/probe that
// said 90 % or more of such, 108 named the kind.
const openMost = 0.95

// pacedAnswers is how many answers a second came of the latest wave that was made to
// wait, 0 where none was, or where the waves before it had another rate: then it is no
// queue that is worked off. Answers that come as fast as the requests were sent are
// paced by the probe's own bound on its rate, unless those that were sent at once come so, too: then
// it is the answers that hold up the requests.
func (p *Probe) pacedAnswers() (rate float64) {
	var held []float64 // of waves that were sent as they were answered
	for i, n := len(p.sights)-1, 0; i >= 0 && n < 3; i-- {
		w := p.sights[i]
		if w.queue < 2 || w.a <= 4 {
			continue
		}
		one := float64(w.a-1) / (w.ended - w.quick)
		if w.pace > 0 {
			one = w.pace
		}
		if w.ended-w.quick <= max(0, 1.5*(w.last-w.s)) {
			held = append(held, one)
			continue
		}
		if n++; n == 1 {
			rate = one
		} else if math.Abs(one-rate) > 0.2*rate {
			return 0
		}
	}
	for _, one := range held {
		if math.Abs(one-rate) > 0.2*rate {
			return 0
		}
	}
	return rate
}

// slowest is how long an answer took at most where many were made to wait, else 0.
func (p *Probe) slowest() time.Duration {
	most, waves := 0.0, 0
	for _, w := range p.sights {
		if w.queue > 1 && w.a > 0 {
			waves++
		}
		most = max(most, w.slow)
	}
	if waves < 3 || most < 0.08+10*p.rtt() {
		return 0
	}
	return seconds(most)
}

// found turns the best particles of a family into policies. Deep takes its time
// over round figures.
func (p *Probe) found(fam Family, deep bool) Found {
	f := Found{Family: fam}
	h := p.herd(fam)
	if fam == None || h == nil || len(h.best) == 0 {
		return f
	}
	nLo, nHi := math.Inf(1), 0.0
	w, v := span{math.Inf(1), 0}, span{math.Inf(1), 0}
	best := h.best[0]
	for _, q := range h.best {
		if q.cost > h.cost()+max(0.01, q.near()-0.25) {
			break
		}
		nLo, nHi = min(nLo, q.n), max(nHi, q.n)
	}
	if fam == TokenBucket || fam == LeakyQueue {
		// What came back during a burst lies nearer to the least than to the most: that
		// requests are spread on their way back counts in the bounds, and gives nothing.
		want := math.Floor(nLo + 0.65*(nHi+boolTo(fam == LeakyQueue, 1)-nLo))
		for _, q := range h.best {
			if q.cost <= h.cost()+0.01+q.alike() && math.Abs(q.n-want) < math.Abs(best.n-want) {
				best = q
			}
		}
	}
	for _, q := range h.best {
		if q.cost > h.cost()+0.01+q.alike() || q.n != best.n {
			continue
		}
		w = span{min(w.lo, q.w), max(w.hi, q.w)}
		v = span{min(v.lo, q.v), max(v.hi, q.v)}
	}
	may := possible{n: span{nLo, nHi}, w: w}
	if p.share > 0 && deep {
		may = p.possible(h, boundsOdd)
		nLo, nHi = min(nLo, may.n.lo), max(nHi, may.n.hi)
	}
	f.LimitLow, f.LimitHigh = int64(nLo), int64(nHi)
	if f.Anew, f.Since, f.Tick = best.anew, best.since, seconds(best.tick); f.Tick > 0 {
		f.TickPhase = p.phase(best.ph, f.Tick)
	}
	f.Also = best.also
	width, second := round(w), round(v)
	if g := p.neat(h, best, w, v, deep); g != best.hypothesis {
		best = &particle{hypothesis: g}
		width, second = g.w, g.v
		if f.LimitLow > int64(g.n) {
			f.LimitLow = int64(g.n)
		}
		f.LimitHigh = max(f.LimitHigh, int64(g.n))
		w = w.with(g.w)
	}
	w = w.with(may.w.lo).with(may.w.hi)
	if w.hi > 0 {
		f.WindowOff = max(w.hi-width, width-w.lo, 0) / width
	}
	if p.share > 0 && best.family.gridded() {
		width = best.w // its head goes with it
	}
	policy := func(kind Family, n, w float64, ph float64) limit.Policy {
		pol := limit.Policy{Limit: int64(n), Window: nearest(w)}
		switch kind {
		case FixedClock, SlidingWindow, SlidingWindowDenied:
			pol.Algorithm = limit.FixedWindow
			if kind != FixedClock {
				pol.Algorithm, pol.CountDenied = limit.SlidingWindow, kind == SlidingWindowDenied
			}
			if !f.Anew {
				pol.Phase = p.phase(ph, pol.Window)
			}
		case FixedFirst:
			pol.Algorithm, pol.Align = limit.FixedWindow, limit.AlignFirst
		case SlidingLog, SlidingLogDenied:
			pol.Algorithm, pol.CountDenied = limit.SlidingLog, kind == SlidingLogDenied
		case TokenBucket:
			pol.Limit, pol.Window = rateOf(w, span{w * 0.9999, w * 1.0001})
			pol.Burst = int64(n)
		}
		return pol
	}
	switch fam {
	case TokenBucket:
		lim, per := rateOf(width, w)
		f.Policies = []limit.Policy{{Limit: lim, Window: per, Burst: int64(best.n)}}
	case LeakyQueue:
		lim, per := rateOf(width, w)
		if best.m == best.n {
			f.Policies, f.Early = []limit.Policy{{Limit: lim, Window: per, Burst: int64(best.n)}}, true
			break
		}
		f.Policies = []limit.Policy{{Algorithm: limit.LeakyBucket, Limit: lim, Window: per, Burst: int64(best.n) - 1, Undelayed: int64(best.m) - 1}}
	case RefillBucket:
		win := nearest(width)
		f.Policies = []limit.Policy{{Algorithm: limit.RefillBucket, Limit: int64(best.m), Window: win, Burst: int64(best.n)}}
		if !best.anew {
			f.Policies[0].Phase = p.phase(best.ph, win)
		}
	case Ban:
		below := FixedFirst
		if best.kind != None {
			below = best.kind
		}
		f.Policies = []limit.Policy{policy(below, best.n, width, best.ph)}
		if best.kind == FixedFirst {
			f.Policies[0].Align = limit.AlignLast
		}
		f.Ban = nearest(second)
	case Concurrency:
		f.Policies = []limit.Policy{{Algorithm: limit.Concurrency, Limit: int64(best.n)}}
	case Stacked:
		f.Policies = []limit.Policy{policy(best.kind, best.n, width, best.ph), policy(best.kind2, best.m, second, best.ph2)}
	default:
		f.Policies = []limit.Policy{policy(fam, best.n, width, best.ph)}
		if fam == FixedFirst && best.anew {
			f.Policies[0].CountDenied = best.m > 0
		}
	}
	if f.Policies[0].Phase%(10*time.Millisecond) != 0 {
		f.PhaseOff = p.phaseOff(h)
	}
	return f
}

// phaseOff is how far the heads that a herd leaves open are from the best's.
func (p *Probe) phaseOff(h *herd) time.Duration {
	off, b := 0.0, h.best[0]
	for _, q := range h.best {
		if q.cost > b.cost+max(0.01, q.near()-0.25) {
			break
		}
		off = max(off, math.Abs(nearHead(q.ph, q.w, b.ph, b.w, p.sights[len(p.sights)-1].d)))
	}
	return seconds(min(off+p.base()/2+coarse, b.w/20)) // else anything would pass for it
}

// phase is where the windows of a policy begin on the clock: the roundest place that
// is as much later than the head as what a request takes to arrive may be.
func (p *Probe) phase(head float64, window time.Duration) time.Duration {
	at, late := p.start.Add(seconds(head)).Round(time.Microsecond).UnixNano(), int64(1e9*p.base())
	for _, u := range units {
		unit := int64(seconds(u))
		if round := (at + late) / unit * unit; round >= at && unit <= int64(window) {
			at, late = round, 0
			break
		}
	}
	at += late / 2
	ph := time.Duration(at % int64(window))
	if ph < 0 {
		ph += window
	}
	return ph
}

// nearest is a length of time to the nearest nanosecond: what is cut is not round any more.
func nearest(s float64) time.Duration { return time.Duration(math.Round(1e9 * s)) }

// grain is how far, as a share, a server may be from what it was told because
// its clock is coarse: nginx counts in milliseconds.
const grain = 4e-4

// round returns the roundest number of seconds within the span: people choose
// limits, and they like round ones.
func round(s span) float64 {
	s.lo, s.hi = s.lo*(1-grain), s.hi*(1+grain)
	if s.hi-s.lo > 0.3*s.hi {
		return (s.lo + s.hi) / 2
	}
	for _, unit := range units {
		if n := math.Round((s.lo + s.hi) / 2 / unit); n >= 1 && n*unit >= s.lo-1e-6 && n*unit <= s.hi+1e-6 {
			return math.Round(n*unit*1e6) / 1e6
		}
	}
	return (s.lo + s.hi) / 2
}

// rateOf writes unit, seconds each, as people write rates; where it is not round, as
// the simplest rate within s.
func rateOf(unit float64, s span) (int64, time.Duration) {
	if exact := roundRates(span{unit / (1 - grain) * (1 - 1e-7), unit / (1 + grain) * (1 + 1e-7)}); len(exact) > 0 {
		return int64(exact[0].limit), nearest(exact[0].window)
	}
	return rateWithin(s)
}

// rateWithin finds the simplest limit per window whose time per unit is within s.
func rateWithin(s span) (int64, time.Duration) {
	s.lo, s.hi = s.lo*(1-grain), s.hi*(1+grain)
	for _, win := range []float64{1, 60, 3600} {
		lo, hi := win/s.hi, win/s.lo
		if n := math.Ceil(lo - 1e-9); n >= 1 && n <= hi+1e-9 && n < 100000 && s.hi-s.lo < 0.1*s.hi {
			return int64(n), nearest(win)
		}
	}
	mid := (s.lo + s.hi) / 2
	// The most of seconds that are a whole number of units, to the microsecond.
	for n := 1.0; n <= 2000; n++ {
		w := round(span{s.lo * n, s.hi * n})
		if math.Abs(w*100-math.Round(w*100)) < 1e-6 && w >= s.lo*n-1e-9 && w <= s.hi*n+1e-9 {
			return int64(n), nearest(w)
		}
	}
	return 1, nearest(mid)
}

func (p *Probe) report() {
	p.trace("after %d requests, %d refused, %.1fs:", p.v.Requests, p.v.Refused, p.sights[len(p.sights)-1].d)
	for _, s := range p.shares() {
		h := p.herd(s.Family)
		if s.Share < 0.001 && h.cost() > 30 {
			continue
		}
		q := h.best[0]
		p.trace("   %-40v %.4f cost %.2f n=%g w=%.4f ph=%.3f m=%g v=%.4f (%d, %v, %v, %v)", s.Family, s.Share, q.cost, q.n, q.w, q.ph, q.m, q.v, len(h.best), q.kind, q.kind2, q.tick)
	}
}
