package probe

import (
	"math"
	"slices"
)

// step is a wave of n after an idle time.
type step struct {
	idle      float64
	n         int
	meanwhile bool // does not wait for the answers to the step before
}

// experiment is steps one after the other. With until, it ends at the first
// admission.
type experiment struct {
	steps []step
	until bool
	why   string
}

// period is the time after which the hypothesis is as good as new.
func (h *hypothesis) period() float64 {
	switch h.family {
	case TokenBucket, LeakyQueue:
		return h.n * h.w
	case RefillBucket:
		return h.w * math.Ceil(h.n/h.m)
	case SlidingWindow, SlidingWindowDenied:
		return 2 * h.w
	case Ban, Stacked:
		return max(h.w, h.v)
	case Concurrency, None:
		return 0.1
	}
	return h.w
}

// opens is how long from now until the particle may, and must, admit one.
func (p *particle) opens(now, rtt float64) (may, must float64) {
	find := func(ok func(x float64) bool) float64 {
		if ok(0) {
			return 0
		}
		hi := 0.01
		for !ok(hi) && hi < 4*p.period()+10 {
			hi *= 1.5
		}
		lo := hi / 1.5
		for range 14 {
			if mid := (lo + hi) / 2; ok(mid) {
				hi = mid
			} else {
				lo = mid
			}
		}
		return hi
	}
	may = find(func(x float64) bool { _, most := p.state.room(now+x, now+x+rtt); return most >= 1 })
	must = find(func(x float64) bool { least, _ := p.state.room(now+x, now+x+rtt); return least >= 1 })
	return may, must
}

// planner chooses the next experiment.
type planner struct {
	*fitter
	now, rtt, full, slack, net float64
	live                       []*particle
	weight                     []float64
}

// foresee plays an experiment for a particle: for each step the least and the
// most that is admitted.
func (pl *planner) foresee(p *particle, e *experiment, out []span) (requests, refused, took float64) {
	st := p.state.clone()
	t, began := pl.now, pl.now
	for i, s := range e.steps {
		if t += s.idle; s.meanwhile {
			t = began + s.idle
		}
		began = t
		w := sight{s: t, d: t + pl.rtt, last: t, done: t + pl.full, early: t + pl.full - pl.rtt, slack: pl.slack, tight: pl.slack}
		least, most := st.room(w.s, w.d)
		n := float64(s.n)
		a, b := min(n, max(0, math.Floor(least))), min(n, max(0, math.Floor(most)))
		out[i] = span{min(a, b), b}
		w.a = int((a + b + 1) / 2)
		w.r = s.n - w.a
		if p.family == LeakyQueue {
			w.done += max(0, float64(w.a)-p.m) * p.w
			w.slow = w.done - w.s
		}
		w.ended = w.done
		out[len(e.steps)+i] = span{w.done - pl.net/2, w.done + pl.net/2}
		st.admit(&w)
		if w.r > 0 {
			st.refuse(&w, st.gap(&w))
		}
		requests += n
		refused += float64(w.r)
		t = w.done
		if e.until && w.a > 0 {
			for j := i + 1; j < len(e.steps); j++ {
				out[j] = span{-1, -1}
				out[len(e.steps)+j] = span{}
			}
			break
		}
	}
	return requests, refused, t - pl.now
}

// candidates lists experiments that might tell something.
func (pl *planner) candidates() (es []experiment) {
	r := pl.rng
	var firsts []float64
	for _, p := range pl.live {
		may, must := p.opens(pl.now, pl.rtt)
		firsts = append(firsts, may, must)
	}
	slices.Sort(firsts)
	pick := func() *particle { return pl.live[int(float64(len(pl.live))*r.Float64()*r.Float64())] }
	add := func(why string, until bool, steps ...step) {
		es = append(es, experiment{steps, until, why})
	}
	idles := func() float64 {
		p := pick()
		switch r.IntN(4) {
		case 0:
			i := r.IntN(max(1, len(firsts)-1))
			return max(0, (firsts[i]+firsts[min(i+1, len(firsts)-1)])/2)
		case 1:
			return p.w * []float64{0.25, 0.5, 0.75, 0.9, 1.05, 1.5, 2.1}[r.IntN(7)]
		case 2:
			return p.period() * (0.1 + 1.2*r.Float64())
		}
		return firsts[r.IntN(len(firsts))] * (0.9 + 0.2*r.Float64())
	}
	size := func(p *particle, x float64) int {
		least, most := p.state.room(pl.now+x, pl.now+x+pl.rtt)
		if math.IsInf(most, 0) {
			return 8
		}
		switch r.IntN(4) {
		case 0:
			return int(least) + 1
		case 1:
			return int(most) + 1
		case 2:
			return max(1, int(least))
		}
		return max(1, int(p.n*(0.2+0.8*r.Float64())))
	}
	for range 12 {
		add("look again after an idle time", false, step{idle: max(0.01, idles()), n: 1})
	}
	for range 24 {
		x := max(0.01, idles())
		n := size(pick(), x)
		add("see how many come back after an idle time", false, step{idle: x, n: n})
		add("see how many come back, and exhaust it", false, step{idle: x, n: n}, step{idle: 0.01, n: 1 + n/3}, step{idle: max(0.01, idles()), n: 1})
	}
	// Poll for the first admission, evenly over what is possible.
	if lo, hi := firsts[0], firsts[len(firsts)-1]; hi > lo+0.02 {
		for _, k := range []int{3, 5, 8} {
			var steps []step
			at := 0.0
			for i := range k {
				q := firsts[(2*i+1)*len(firsts)/(2*k)]
				if x := q - at; i == 0 || x > 0.02 {
					steps = append(steps, step{idle: max(0.01, x), n: 1})
					at = q + pl.full
				}
			}
			add("look for the instant at which it opens", true, steps...)
		}
	}
	if pl.full > 1.5*pl.rtt+0.01 {
		// Whether it opens while what it admitted is still under way.
		for range 8 {
			_, most := pick().state.room(pl.now+0.01, pl.now+0.01+pl.rtt)
			if most > 4000 {
				continue
			}
			steps := []step{{idle: 0.01, n: int(most) + 1}}
			for k := 1 + r.IntN(3); k > 0; k-- {
				steps = append(steps, step{idle: max(pl.net, pl.full*(0.1+0.4*r.Float64())), n: 1 + r.IntN(2), meanwhile: true})
			}
			add("hold what was admitted, and ask for more", false, steps...)
			if q := pick(); q.w > 0 && q.w < pl.full {
				add("hold what was admitted, and ask for more", false, steps[0], step{idle: max(pl.net, (q.w+pl.full)/2), n: 1, meanwhile: true})
			}
			half := max(1, int(pick().n)/2)
			if work := pl.full - pl.rtt; work > 2.5*pl.net {
				// The first half is given back when the work on it ends, the second later.
				add("hold two halves, one after the other", false, step{idle: 0.05 + pl.full, n: half},
					step{idle: work * 0.5, n: half, meanwhile: true}, step{idle: work*0.5 + 1.1*pl.net, n: half + 2, meanwhile: true})
			}
		}
	}
	// Exhaust it, and look when it opens again.
	for range 16 {
		p := pick()
		_, most := p.state.room(pl.now+0.01, pl.now+0.01+pl.rtt)
		if most > 4000 {
			continue
		}
		n := int(most) + 1
		x := []float64{0.5, 0.8, 0.95, 0.99, 1.01, 1.05, 1.2}[r.IntN(7)] * pick().w
		add("exhaust it, and look again", false, step{idle: 0.01, n: n}, step{idle: max(0.01, x), n: 1})
		y := p.w * (0.3 + 0.5*r.Float64())
		half := max(1, int(p.n*(0.2+0.5*r.Float64())))
		rest := p.period() * 1.05
		add("spend in two halves", false, step{idle: rest, n: half}, step{idle: y, n: int(p.n) + 1 - half}, step{idle: max(0.01, p.w*(0.2+0.6*r.Float64())), n: half})
		add("burst from rest", false, step{idle: rest, n: int(p.n) + 1})
		add("burst from rest, and look when it opens", false, step{idle: rest, n: int(p.n) + 1}, step{idle: max(0.01, idles()), n: max(1, half/2)})
		if p.family == Stacked {
			var steps []step
			for range 3 + r.IntN(5) {
				steps = append(steps, step{idle: p.w * 1.03, n: int(p.n)})
			}
			add("spend as fast as the short limit lets", false, steps...)
			if k := int(math.Ceil(p.m / p.n)); k <= 8 {
				steps = steps[:0:0]
				for range k {
					steps = append(steps, step{idle: p.w * 1.03, n: int(p.n)})
				}
				// The long one is used up, and opens again when its window ends.
				if x := pick().v - float64(k-1)*1.03*p.w; x > 0 {
					steps = append(steps, step{idle: x, n: 1 + int(p.n)/2})
				}
				add("use up the long limit, and look again", false, steps...)
			}
		}
		if p.family == Ban {
			add("spend all without exceeding, and wait", false, step{idle: rest, n: int(p.n)}, step{idle: max(0.01, pick().w), n: 1})
			add("spend without exceeding", false, step{idle: rest, n: max(1, int(p.n)-1)}, step{idle: p.w * 1.05, n: max(1, int(p.n)-1)})
		}
	}
	return es
}

// differ tells how much it matters to tell two particles apart.
func differ(a, b *particle) float64 {
	if a.family != b.family {
		return 1
	}
	far := func(x, y, tol float64) bool { return math.Abs(x-y) > tol*max(math.Abs(x), math.Abs(y)) }
	switch {
	case a.family == Concurrency:
		return 0.35 * min(1, math.Abs(a.n-b.n))
	case a.n != b.n, far(a.w, b.w, 0.016):
		return 0.35
	case a.m != b.m && a.family != LeakyQueue, far(a.v, b.v, 0.016):
		return 0.3
	}
	return 0
}

// choose returns the experiment of the largest expected gain per price.
func (pl *planner) choose(es []experiment, budget func(requests, refused, took float64) bool) (best *experiment, gain float64) {
	np := len(pl.live)
	outs := make([][]span, np)
	size := pl.live[0].n
	period := max(pl.live[0].period(), 0.5)
	bestScore := 0.0
	for ei := range es {
		e := &es[ei]
		if len(e.steps) == 0 {
			continue
		}
		var req, ref, took, sum float64
		for i, p := range pl.live {
			if outs[i] == nil {
				outs[i] = make([]span, 32)
			}
			a, b, c := pl.foresee(p, e, outs[i])
			req, ref, took = req+a*pl.weight[i], ref+b*pl.weight[i], took+c*pl.weight[i]
			sum += pl.weight[i]
		}
		req, ref, took = req/sum, ref/sum, took/sum
		if !budget(req, ref, took) {
			continue
		}
		g := 0.0
		for i := range np {
			for j := range i {
				if d := differ(pl.live[i], pl.live[j]); d > 0 && apart(outs[i], outs[j], pl.answersTold(i, j, len(e.steps))) {
					g += d * pl.weight[i] * pl.weight[j]
				}
			}
		}
		price := 1 + req/min(20+size, 150) + ref/8 + took/(2*period) + took/120
		if s := g / price; s > bestScore {
			bestScore, best, gain = s, e, g
		}
	}
	return best, gain
}

// answersTold is how many of the foreseen figures tell i and j apart: of queues,
// the times of the answers too.
func (pl *planner) answersTold(i, j, steps int) int {
	if pl.live[i].family == LeakyQueue && pl.live[j].family == LeakyQueue {
		return 2 * steps
	}
	return steps
}

func apart(a, b []span, n int) bool {
	for i := range n {
		if a[i].lo > b[i].hi || b[i].lo > a[i].hi {
			return true
		}
	}
	return false
}
