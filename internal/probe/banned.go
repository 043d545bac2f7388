package probe

import "math"

// banned is turn for a window with a ban. While all is refused it looks for the end
// of the ban. Else it leaves singles over the time in which the window may end, and
// then spends all: those that came after the end count in the next window, so that
// what is admitted at last tells between which two of them it was, for one ban.
func (p *Probe) banned() *experiment {
	shares := p.shares()
	if shares[0].Family != Ban || shares[0].Share < 0.8 || p.turns > 12 || p.stale >= 2 || p.settled(shares) {
		return nil
	}
	h := p.herd(Ban)
	q := h.best[0]
	now := max(p.sights[len(p.sights)-1].done, p.clock.Now().Sub(p.start).Seconds())
	rtt, blur := min(p.rtt(), quantile(p.nos, 0.75)), p.blur()
	lo, hi := math.Inf(1), 0.0
	w, v, n := span{q.w, q.w}, span{q.v, q.v}, span{q.n, q.n}
	for _, o := range h.best {
		if o.cost > h.cost()+0.25 || o.state == nil {
			break
		}
		may, must := opens(o.state, now, blur, o.period())
		lo, hi = min(lo, may), max(hi, must)
		w, v, n = w.with(o.w), v.with(o.v), n.with(o.n)
	}
	wide := func(s span) bool { return s.hi-s.lo > max(0.01*s.hi, 2*p.jitter) }
	if n.hi > n.lo+1+0.01*n.lo || !wide(w) && !wide(v) || p.v.Requests+2*int(q.n)+20 > p.opt.MaxRequests {
		return nil
	}
	p.turns++
	if lo > 0.02 {
		e := &experiment{why: "look for the end of the ban", until: true}
		k := 0
		switch open := hi-lo > max(0.01*q.v, 2*p.jitter); {
		case open && q.anew: // who asks too early has to wait as long again
			e.steps = []step{{idle: max(0.02, (lo+hi)/2), n: 1}}
			return e
		case open:
			k = int(min(12, math.Ceil(math.Sqrt((hi-lo)/(0.008*q.v)))))
		}
		at := 0.0
		for i := 1; i <= k+1; i++ {
			x := lo + (hi-lo)*float64(i)/float64(k+1)
			if i == k+1 {
				x += 0.002
			}
			if x-at > 0.01 {
				e.steps = append(e.steps, step{idle: x - at, n: 1})
				at = x + rtt
			}
		}
		return e
	}
	if hi > 0.02 {
		return nil
	}
	rest := 1.02*w.hi + 0.01
	if !wide(w) {
		return &experiment{why: "exceed it, to see how long the ban is", steps: []step{{idle: rest, n: int(n.lo)}, {n: 1 + int(n.hi-n.lo)}}}
	}
	if half := int(n.hi)/2 + 1; w.hi > 2*w.lo && half > 1 && int(n.lo) >= half {
		// A half is refused when it comes within the window of the one before: the
		// distance at which that happens first tells the window within a factor of two,
		// for one ban.
		e := &experiment{why: "spend halves at shrinking distances", steps: []step{{idle: rest, n: half}}, halt: true}
		for x := w.hi / 1.9; len(e.steps) < 12; x /= 1.9 {
			e.steps = append(e.steps, step{idle: x, n: half})
			if x < 1.1*w.lo {
				break
			}
		}
		return e
	}
	// Subtle: over two windows and more the same count comes twice.
	from, to := w.lo, min(w.hi, 1.9*w.lo)
	k := min(int(n.lo)-1, max(36, int(n.lo)/3), int(math.Ceil(math.Log(to/from)/max(0.004, 0.7*p.jitter/to))))
	if k < 1 {
		return nil
	}
	e := &experiment{why: "see what counts in the next window", steps: []step{{idle: rest, n: 1}}}
	at := rtt
	for i := 1; i <= k; i++ {
		x := from * math.Pow(to/from, float64(i)/float64(k+1))
		e.steps = append(e.steps, step{idle: max(0, x-at), n: 1})
		at = max(x, at) + rtt
	}
	e.steps = append(e.steps, step{idle: max(0, to+2*p.jitter-at), n: int(n.hi) + 1})
	return e
}
