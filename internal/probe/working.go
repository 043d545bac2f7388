package probe

import "math"

// withinWork is the price of a limit that gives back in about as much time as the work on
// a request takes: one on what is under way looks like it. Subtle: others blur both, and
// who waits for the answers never asks within that time.
func (f *fitter) withinWork(h *hypothesis) float64 {
	if !f.works {
		return 0
	}
	near := func(w float64) bool {
		return w > 0 && math.Abs(w-f.hold) < min(f.jitter, 0.6*f.hold)+0.15*f.hold || w > f.hold && w < 1.1*f.trip+f.jitter ||
			f.share > 0 && w < 1.6*max(f.hold, f.trip)
	}
	if near(h.w) || near(h.v) && (h.family == Ban || h.family == Stacked && f.share > 0) || (h.family == TokenBucket || h.family == LeakyQueue) && h.n*h.w < 3*f.hold {
		return 7 + boolTo(f.share > 0, 7)
	}
	return 0
}

// unseen tells whether what explains the answers alone gives back in less time than the
// work on a request takes, so that a limit on what is under way may be the one, which
// others use, too: who waits for the answers hardly ever asks within that time, so that
// such a limit explains whatever is refused.
func (p *Probe) unseen() bool {
	if !p.works || p.share > 0 || p.herd(Concurrency).cost() < 3 {
		return false
	}
	return p.unseenBy(p.herd(p.shares()[0].Family).best[0])
}

// unseenBy tells whether a limit gives back so soon.
func (p *Probe) unseenBy(q *particle) bool {
	return q.family != None && q.family != Concurrency && q.again() < max(1.15*p.hold, 2*p.trip)
}

// again is how long after it refused a limit has given back all, at the soonest.
func (h *hypothesis) again() float64 {
	if h.family == SlidingWindow || h.family == SlidingWindowDenied {
		return h.w
	}
	return h.period()
}

// heldMost is how often it is asked, see held.
const heldMost = 4

// held asks for more while what was admitted is worked on, and a limit that gives back
// sooner than that would let it pass. It is asked where others use the limit, and such a
// one is believed that a limit on what is under way looks like.
func (p *Probe) held() *experiment {
	if p.share == 0 || !p.works || p.helds >= heldMost {
		return nil
	}
	h := p.herd(p.shares()[0].Family)
	q := h.best[0]
	if q.family == Concurrency || q.family == None || p.withinWork(&q.hypothesis) == 0 || q.again() > 0.7*p.hold || p.herd(Concurrency).cost() > h.cost()+heldDear {
		return nil
	}
	p.helds++
	n := int(max(q.n, p.herd(Concurrency).best[0].n))
	return &experiment{why: "hold what was admitted, and ask for more", through: true, steps: []step{
		{idle: 0.05 + 1.2*p.rtt(), n: n + 1},
		{idle: (q.again() + p.hold) / 2, n: min(5, max(2, int(q.n)/2)), meanwhile: true},
	}}
}

// heldDear is how much dearer than what is believed a limit on what is under way may be
// for it to be asked, which costs little.
const heldDear = 25
