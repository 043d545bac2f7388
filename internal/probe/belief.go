package probe

import (
	"cmp"
	"math"
	"slices"
)

// refit renews every family that may still be the one.
func (p *Probe) refit() {
	best := math.Inf(1)
	for _, h := range p.herds {
		for _, q := range h.best {
			q.see(p.sights, math.Inf(1))
		}
		slices.SortStableFunc(h.best, byCost)
		if least := 0.01 + boolTo(h.best != nil && h.best[0].rare(), tickCost); h.dead == 0 && h.cost() > least && p.share == 0 {
			if p.mend(h); h.cost() > least {
				p.fit(h, 500)
			}
		}
		best = min(best, h.cost())
	}
	p.top = best
	for _, h := range p.herds {
		switch c := h.cost() - best; {
		case c < 0.5 || c < 3 && p.share > 0:
			h.dead = 0
			p.fit(h, 40)
			p.bracket(h, 250)
			continue
		case p.share > 0 && c > hopeless && h.dead%4 > 0:
		case h.dead == 0 && p.share > 0:
			if h.widely++; h.widely < 2 {
				h.best = append(h.best, p.wide(h)...)
			}
			p.fit(h, 300)
		case h.dead == 0:
			h.best = append(h.best, p.wide(h)...)
			p.fit(h, 700)
		case h.dead < 4 || h.dead%4 == 0:
			p.fit(h, 120)
		}
		h.dead++
	}
}

// hopeless is how much more than the best a family leaves to chance, among others, that
// is seldom looked for: what a search missed is hardly ever so much.
const hopeless = 15

// siblings puts the figures of the family that explains most into those that
// differ from it in one rule, lest one of them be given up for a search that missed.
func (p *Probe) siblings(deep bool) {
	top := p.herd(p.shares()[0].Family)
	for _, pair := range [][2]Family{{SlidingWindow, SlidingWindowDenied}, {SlidingLog, SlidingLogDenied}, {FixedFirst, SlidingLog}} {
		other := pair[0]
		if top.family == pair[0] {
			other = pair[1]
		} else if top.family != pair[1] {
			continue
		}
		h := p.herd(other)
		for _, q := range top.best[:min(len(top.best), 16)] {
			g := q.hypothesis
			if g.family = other; g.anew != h.anew || g.used != h.used || g.tick != h.tick {
				continue // the herd holds others
			}
			if c := p.try(g, math.Inf(1)); c != nil {
				h.best = append(h.best, c)
			}
		}
		slices.SortStableFunc(h.best, byCost)
		if deep && h.cost() > 0.5 {
			p.challenge(h)
			p.fit(h, 500)
		}
		h.best = spread(h.best, h.size())
	}
}

// cheapest is what the best hypothesis leaves unexplained.
func (p *Probe) cheapest() float64 {
	best := math.Inf(1)
	for _, h := range p.herds {
		best = min(best, h.cost())
	}
	return best
}

// revive searches once more for an explanation by the families that have none,
// and tells whether one was found.
func (p *Probe) revive() (found bool) {
	best := math.Inf(1)
	for _, h := range p.herds {
		best = min(best, h.cost())
	}
	for _, h := range p.herds {
		if h.family == Stacked && p.share > 0 {
			continue
		}
		if before := h.cost(); before > best+4 || before == best {
			effort := 700
			if p.tries < 2 && p.share == 0 {
				h.best = append(h.best, p.wide(h)...)
			} else {
				effort = 250
			}
			p.fit(h, effort)
			found = found || before > best+4 && h.cost() < best+4
		}
	}
	return found || !p.settled(p.shares()) && p.tries < 4
}

// paced returns a way to measure the rate of a bucket, when that is all that is
// missing: it is emptied again and again before it is full, so that what was given
// adds up over the whole time and the network blurs it only once.
func (p *Probe) paced() *experiment {
	shares := p.shares()
	fam := shares[0].Family
	if fam != TokenBucket && fam != LeakyQueue || shares[0].Share < 0.9 || p.paces > 3 {
		return nil
	}
	h := p.herd(fam)
	q := h.best[0]
	wide := false
	for _, o := range h.best {
		if o.cost > h.cost()+0.25 {
			break
		}
		wide = wide || math.Abs(o.w-q.w) > 0.015*q.w
	}
	// As long as it takes to be given a hundred, at least.
	part := max(1, math.Floor(0.8*q.n))
	times := int(min(max(3, math.Ceil(100/part)), 12))
	if fam == LeakyQueue {
		return p.flow(q, wide)
	}
	if !wide || p.v.Requests+times*(int(part)+3) > p.opt.MaxRequests || part*q.w < 2*p.rtt() {
		return nil
	}
	p.paces++
	e := &experiment{why: "empty it again and again, to measure its rate", through: true}
	for range times {
		e.steps = append(e.steps, step{idle: part * q.w, n: int(part+p.rtt()/q.w) + 2})
	}
	return e
}

// flow keeps a queue from running empty for as long as it takes to serve a hundred,
// and more over a slow network: when the last is answered tells the rate.
func (p *Probe) flow(q *particle, wide bool) *experiment {
	part := math.Floor(0.4 * q.n)
	w := span{q.w, q.w}
	for _, o := range p.herd(LeakyQueue).best {
		if o.cost < q.cost+0.25 {
			w = w.with(o.w)
		}
	}
	unit := (w.lo + w.hi) / 2
	want := min(500, max(100, 1.1*p.jitter/(0.0135*q.w), 1.5*q.n*p.jitter/q.w))
	// Not longer than it is full, or not empty, at a pace that is as wrong as it can be.
	want = max(2.5*q.n, min(want, 0.8*q.n/(1e-6+(w.hi-w.lo)/unit)))
	wide = wide || (w.hi-w.lo)*q.n > 0.7*q.w
	if !wide || part < 1 || p.v.Requests+int(want) > p.opt.MaxRequests {
		return nil
	}
	p.paces++
	e := &experiment{why: "keep its queue busy, to measure its rate", steps: []step{{idle: q.n * q.w, n: int(2 * part)}}}
	for sent := 2 * part; sent < want; sent += part {
		e.steps = append(e.steps, step{idle: part * unit, n: int(part), meanwhile: true})
	}
	return e
}

// rested returns a burst after a long rest, unless there was one: what a bucket
// gave at first may have been what somebody had left of it. It is asked when
// all else is settled.
func (p *Probe) rested() *experiment {
	if !p.settled(p.shares()) || p.rests > 5 {
		return nil
	}
	q := p.herd(p.shares()[0].Family).best[0]
	rest := p.unrested(q)
	if rest == 0 {
		return nil
	}
	p.rests++
	if e := p.confirm(); e != nil {
		return e // which rests as long
	}
	n := int(1.05*q.n) + 2
	if p.v.Requests+n > p.opt.MaxRequests {
		return nil
	}
	return &experiment{why: "whether it gives more after a long rest", steps: []step{{idle: rest + 0.05, n: n}}}
}

// unrested is how long a rest is missing, with a burst after it that exceeds the limit; 0
// where there was one, or there need not be. What holds more than is believed shows it as
// soon as one more could have come back; where it did, the next rest is twice as long.
func (p *Probe) unrested(q *particle) (rest float64) {
	enough, longer := 0.97, 1.0
	switch q.family {
	case TokenBucket, RefillBucket, LeakyQueue:
		if rest = 1.08 * q.filling(q.n+1); p.rests > 0 {
			longer = 2
		}
	case SlidingWindow, SlidingWindowDenied: // it remembers two windows, and nothing else
		if !p.mayRenew(q) {
			return 0
		}
		rest, enough = 1.05*q.period(), 0.86
	default: // all comes back at once, which a bucket that was used before does not do
		return 0
	}
	shut := false
	for i, w := range p.sights {
		if i > 0 && shut && w.s-p.sights[i-1].done > enough*rest {
			n, refused := 0.0, 0
			for j := i; j < len(p.sights) && refused == 0 && p.sights[j].s < w.s+q.period(); j++ {
				n, refused = n+float64(p.sights[j].a), p.sights[j].r
			}
			if refused > 0 && n >= q.n {
				return 0
			}
		}
		shut = shut || w.r > 0
	}
	return longer * rest
}

// filling is how long a bucket takes to have so many back, from the last answer to those
// that emptied it. Subtle: a queue is empty by then, but for those that it did not delay.
func (h *hypothesis) filling(n float64) float64 {
	switch h.family {
	case RefillBucket:
		return h.w * math.Ceil(n/h.m)
	case LeakyQueue:
		return h.w * (h.m + 1)
	}
	return h.w * n
}

// prior is how much a family must explain better than a simpler one.
func prior(f Family) float64 {
	switch f {
	case Stacked:
		return 4
	case RefillBucket, Ban, LeakyQueue:
		return 0.7
	}
	return 0
}

// shares is the belief in each family.
func (p *Probe) shares() []Share {
	var out []Share
	best := math.Inf(1)
	none := p.v.Refused == 0 || !slices.ContainsFunc(p.herds, func(h *herd) bool { return h.family != None && len(h.best) > 0 })
	for _, h := range p.herds {
		if h.family != None || none { // what refused is a limit, however little is known of it
			best = min(best, h.cost()+prior(h.family))
		}
	}
	// Coincidences count against those that need more of them than the one that
	// explains everything with the fewest. Subtle: never for a family that leaves
	// something unexplained, however simple it is.
	now := 0.0
	if n := len(p.sights); n > 0 {
		now = p.sights[n-1].d
	}
	least := math.Inf(1)
	for _, h := range p.herds {
		if (h.cost() < 0.5 || p.share > 0 && h.cost() < best+3) && h == p.herd(h.family) {
			least = min(least, h.coincidence(now))
		}
	}
	sum := 0.0
	for _, h := range p.herds {
		if len(h.best) == 0 || h != p.herd(h.family) || h.family == None && !none {
			continue
		}
		s := math.Exp(best - h.cost() - prior(h.family))
		if !math.IsInf(least, 1) {
			s *= math.Exp(-min(p.occam(), occamPart*max(0, h.coincidence(now)-least)))
		}
		sum += s
		out = append(out, Share{Family: h.family, Share: s})
	}
	for i := range out {
		out[i].Share /= sum
	}
	slices.SortStableFunc(out, func(a, b Share) int { return cmp.Compare(b.Share, a.Share) })
	return out
}

// herd returns the herd of a family; of two limits, the best one.
func (p *Probe) herd(f Family) (best *herd) {
	for _, h := range p.herds {
		if h.family == f && (best == nil || h.cost() < best.cost()) {
			best = h
		}
	}
	return best
}

// staleMost is how many experiments in a row may tell nothing before no more are
// made; those of many requests count more.
const staleMost = 7

// next chooses the next experiment; nil when there is nothing to learn.
func (p *Probe) next() *experiment {
	shares := p.shares()
	last := p.sights[len(p.sights)-1]
	pl := &planner{fitter: &p.fitter, dull: p.dull, dread: min(1.5, max(0.4, float64(p.v.Refused+10)/25)), rtt: min(p.rtt(), quantile(p.nos, 0.75)), full: p.rtt(), slack: p.slack(), net: p.net(), blur: p.blur()}
	pl.now = max(last.done, p.clock.Now().Sub(p.start).Seconds())
	for _, s := range shares {
		if s.Share < 0.002 {
			continue
		}
		for _, h := range p.herds {
			if h.family != s.Family {
				continue
			}
			these := h.unlike(10, p.herd(s.Family).cost())
			n := len(these)
			for _, q := range these {
				pl.live = append(pl.live, q)
				few := 0.1
				if s.Family == Stacked {
					few = 0 // it explains whatever one of its two does
				}
				pl.weight = append(pl.weight, (few+s.Share)*math.Exp(h.best[0].cost-q.cost)/float64(n))
			}
		}
	}
	if p.settled(shares) || p.stale >= staleMost && shares[0].Share > 0.9 || p.stale >= 2*staleMost {
		return nil
	}
	left := (p.opt.MaxTime - p.clock.Now().Sub(p.from)).Seconds()
	e, gain := pl.choose(pl.candidates(), func(req, ref, took float64) bool {
		return p.v.Requests+int(req) <= p.opt.MaxRequests && p.v.Refused+int(ref) <= p.opt.MaxRefused && took < left
	})
	if gain < 1e-4 {
		p.short = pl.dear
		return nil
	}
	return e
}

// learnt notes whether the latest experiment told anything: whether the belief has
// moved, or the figures have narrowed.
func (p *Probe) learnt(why string) {
	shares := p.shares()
	is := [2]float64{shares[0].Share, p.herd(shares[0].Family).open()}
	if math.Abs(is[0]-p.was[0]) < 0.01 && is[1] > p.was[1]-0.05 {
		p.dull[why]++
		p.stale += 1 + float64(p.v.Requests-p.asked)/max(150, 3*p.herd(shares[0].Family).best[0].n)
	} else {
		clear(p.dull)
		p.stale = 0
	}
	p.was, p.asked = is, p.v.Requests
}

// open is how much of the figures of a family is left, on a logarithmic scale.
func (h *herd) open() (left float64) {
	n, m := span{math.Inf(1), 0}, span{math.Inf(1), 0}
	w, v := n, n
	for _, q := range h.best {
		if q.cost > h.cost()+max(0.2, q.near()-0.25) {
			break
		}
		n, m, w, v = n.with(q.n), m.with(q.m), w.with(q.w), v.with(q.v)
	}
	for _, s := range []span{w, v} {
		if s.lo > 0 && s.hi > 0 {
			left += math.Log(1e-4 + s.hi/s.lo - 1)
		}
	}
	return left + math.Log(1+n.hi-n.lo) + math.Log(1+m.hi-m.lo)
}

// settled tells whether one family is left and its figures are known.
func (p *Probe) settled(shares []Share) bool {
	others := 0.0
	for _, s := range shares[1:] {
		// Two limits explain whatever one of them does: they count where one would not.
		if h := p.herd(s.Family); s.Family != Stacked || p.herd(h.kind).cost() > h.cost()+1 {
			others += s.Share
		}
	}
	if others > 0.015 || shares[0].Share < 0.9 {
		return false
	}
	h := p.herd(shares[0].Family)
	if h.family == Stacked && (!p.metAgain() || p.unopened()) || p.share > 0 && !p.clear(h) {
		return false
	}
	b := h.best[0]
	n := span{b.n, b.n}
	for _, o := range p.herds { // of two limits there are several
		if o.family != h.family {
			continue
		}
		for _, q := range o.best {
			if q.cost > h.cost()+q.near() {
				break
			}
			n = n.with(q.n)
			as := *q
			if as.n = b.n; q.kind != h.kind || q.kind2 != h.kind2 || p.differ(&as, b) > 0 {
				return false
			}
		}
	}
	return n.hi-n.lo <= 2*p.units(&b.hypothesis)
}

// Trace makes the probe say after each experiment what every family comes to.
// It is for those who work on the probe; call it before Run.
func (p *Probe) Trace(say func(format string, args ...any)) { p.trace = say }
