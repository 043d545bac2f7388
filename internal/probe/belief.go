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
		best = min(best, h.cost())
	}
	for _, h := range p.herds {
		switch c := h.cost() - best; {
		case c < 0.5:
			h.dead = 0
			p.fit(h, 60)
			continue
		case h.dead == 0:
			h.best = append(h.best, p.wide(h)...)
			p.fit(h, 700)
		case h.dead < 4 || h.dead%4 == 0:
			p.fit(h, 120)
		}
		h.dead++
	}
}

// allow lets others use a share of the limit from now on, and looks at everything
// again. What nobody explains alone may be explained so.
func (p *Probe) allow(share float64) {
	for range 2 { // the search may only have missed it
		for _, h := range p.herds {
			p.fit(h, 500)
		}
		if p.cheapest() < 3 {
			return
		}
	}
	p.share = share
	p.bound()
	for _, h := range p.herds {
		for _, q := range h.best {
			q.state = nil
			q.see(p.sights, math.Inf(1))
			q.cost += p.luck(&q.hypothesis)
		}
		slices.SortStableFunc(h.best, byCost)
		h.dead = 0
		h.best = append(h.best, p.wide(h)...)
		p.fit(h, 700)
	}
}

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
			g.family = other
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
		if before := h.cost(); before > best+4 || before == best {
			if p.tries < 3 {
				h.best = append(h.best, p.wide(h)...)
			}
			p.fit(h, 700)
			found = found || before > best+4 && h.cost() < best+4
		}
	}
	return found || !p.settled(p.shares()) && p.tries < 4
}

// rounds is how many times what a limit lets through is spent at full speed in
// search of a second limit that is slower.
const rounds = 6

// sustain returns what is missing of spending at full speed for a while, in
// search of a second limit. It is asked when all else is settled.
func (p *Probe) sustain() *experiment {
	if !p.settled(p.shares()) {
		return nil
	}
	q := p.herd(p.shares()[0].Family).best[0]
	switch q.family {
	case None, Concurrency, Stacked, LeakyQueue, Ban:
		return nil
	}
	n, period := int(q.n), q.w
	switch q.family {
	case TokenBucket, RefillBucket:
		period = q.period()
	}
	want := rounds
	for want > 2 && want*n > p.opt.MaxRequests/2 {
		want--
	}
	// Subtle: a slower second limit is met only by spending faster than it gives.
	long := float64(want) * (1.15*period + 2*p.rtt())
	for i := range p.sights {
		if p.admittedIn(i, long) >= float64(want*n)+1 {
			return nil
		}
	}
	// What was spent lately counts, where the rest follows at once.
	more := want
	for more > 1 {
		if p.admittedIn(len(p.sights)-1, long-1.03*period*float64(more)) < float64((want-more+1)*n) {
			break
		}
		more--
	}
	if p.sustained += more; p.sustained > 2*rounds || p.v.Requests+more*n > p.opt.MaxRequests {
		return nil
	}
	e := &experiment{why: "spend at full speed, in case a second limit is slower"}
	for range more {
		e.steps = append(e.steps, step{idle: period * 1.01, n: n})
	}
	e.steps = append(e.steps, step{idle: period * 1.01, n: 1})
	return e
}

// paced returns a way to measure the rate of a bucket, when that is all that is
// missing: it is emptied again and again before it is full, so that what was given
// adds up over the whole time and the network blurs it only once.
func (p *Probe) paced() *experiment {
	shares := p.shares()
	if f := shares[0].Family; f != TokenBucket || shares[0].Share < 0.9 || p.paces > 3 {
		return nil
	}
	h := p.herd(TokenBucket)
	q := h.best[0]
	wide := false
	for _, o := range h.best {
		if o.cost > h.cost()+0.25 {
			break
		}
		wide = wide || math.Abs(o.w-q.w) > 0.02*q.w
	}
	// As long as it takes to be given a hundred, at least.
	part := max(1, math.Floor(0.8*q.n))
	times := int(min(max(3, math.Ceil(100/part)), 12))
	if !wide || p.v.Requests+times*(int(part)+3) > p.opt.MaxRequests || part*q.w < 2*p.rtt() {
		return nil
	}
	p.paces++
	e := &experiment{why: "empty it again and again, to measure its rate"}
	for range times {
		e.steps = append(e.steps, step{idle: part * q.w, n: int(part) + 2})
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
	switch q.family {
	case TokenBucket, LeakyQueue, RefillBucket:
	default:
		return nil
	}
	shut := false
	for i, w := range p.sights {
		if i > 0 && shut && w.s-p.sights[i-1].done > 1.9*q.period() {
			n, refused := 0.0, 0
			for j := i; j < len(p.sights) && refused == 0 && p.sights[j].s < w.s+q.period(); j++ {
				n, refused = n+float64(p.sights[j].a), p.sights[j].r
			}
			if refused > 0 && n >= q.n {
				return nil
			}
		}
		shut = shut || w.r > 0
	}
	n := int(1.5*q.n) + 1
	if p.v.Requests+n > p.opt.MaxRequests {
		return nil
	}
	p.rests++
	return &experiment{why: "whether it gives more after a long rest", steps: []step{{idle: 2.2*q.period() + 0.05, n: n}}}
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
	for _, h := range p.herds {
		best = min(best, h.cost()+prior(h.family))
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
		if h.cost() < 0.5 {
			least = min(least, h.coincidence(now))
		}
	}
	sum := 0.0
	for _, h := range p.herds {
		if len(h.best) == 0 || h != p.herd(h.family) {
			continue
		}
		s := math.Exp(best - h.cost() - prior(h.family))
		if !math.IsInf(least, 1) {
			s *= math.Exp(-min(occamMost, occamPart*max(0, h.coincidence(now)-least)))
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

// next chooses the next experiment; nil when there is nothing to learn.
func (p *Probe) next() *experiment {
	shares := p.shares()
	last := p.sights[len(p.sights)-1]
	pl := &planner{fitter: &p.fitter, dull: p.dull, dread: min(1.5, max(0.2, float64(p.v.Refused+5)/25)), rtt: min(p.rtt(), quantile(p.nos, 0.75)), full: p.rtt(), slack: p.slack(), net: p.net()}
	pl.now = max(last.done, p.clock.Now().Sub(p.start).Seconds())
	for _, s := range shares {
		if s.Share < 0.002 {
			continue
		}
		for _, h := range p.herds {
			if h.family != s.Family {
				continue
			}
			n := 0
			for n < min(10, len(h.best)) && h.best[n].cost <= p.herd(s.Family).cost()+2 {
				n++
			}
			for _, q := range h.best[:n] {
				pl.live = append(pl.live, q)
				few := 0.03
				if s.Family == Stacked {
					few = 0 // it explains whatever one of its two does
				}
				pl.weight = append(pl.weight, (few+s.Share)*math.Exp(h.best[0].cost-q.cost)/float64(n))
			}
		}
	}
	if p.settled(shares) {
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
	now := p.sights[len(p.sights)-1].d
	is := [2]float64{shares[0].Share, p.herd(shares[0].Family).coincidence(now)}
	if math.Abs(is[0]-p.was[0]) < 0.01 && math.Abs(is[1]-p.was[1]) < 0.1 {
		p.dull[why]++
	} else {
		clear(p.dull)
	}
	p.was = is
}

// settled tells whether one family is left and its figures are known.
func (p *Probe) settled(shares []Share) bool {
	others := 0.0
	for _, s := range shares[1:] {
		if s.Family != Stacked { // which explains whatever one of its two does
			others += s.Share
		}
	}
	most := 0.015
	if p.share > 0 {
		most = 0.002
	}
	if others > most || shares[0].Share < 0.9 {
		return false
	}
	h := p.herd(shares[0].Family)
	for _, q := range h.best {
		if q.cost > h.cost()+0.25 {
			break
		}
		if p.differ(q, h.best[0]) > 0 {
			return false
		}
	}
	return true
}

// Trace makes the probe say after each experiment what every family comes to.
// It is for those who work on the probe; call it before Run.
func (p *Probe) Trace(say func(format string, args ...any)) { p.trace = say }
