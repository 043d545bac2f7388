package probe

import (
	"math"
)

// step is a wave of n after an idle time.
type step struct {
	idle      float64
	n         int
	meanwhile bool // does not wait for the answers to the step before
	alone     bool // no other goes meanwhile
}

// experiment is steps one after the other. With until, it ends at the first
// admission.
type experiment struct {
	steps []step
	until bool
	why   string
	then  []step // with until: once something was admitted
	after bool   // when it opens again is looked for next

	halt    bool // ends at the first refusal
	through bool // goes on where something is refused, however many steps there are
}

// waits is how long steps wait in all, if they are all made.
func waits(steps []step) (s float64) {
	for _, one := range steps {
		s += one.idle
	}
	return s
}

func (e *experiment) len() int { return len(e.steps) + len(e.then) }

// period is the time after which the hypothesis is as good as new.
func (h *hypothesis) period() float64 {
	switch h.family {
	case TokenBucket, LeakyQueue:
		return h.n * h.w
	case RefillBucket:
		return h.w * math.Ceil(h.n/h.m)
	case SlidingWindow, SlidingWindowDenied:
		return 2 * h.w
	case Ban:
		return max(h.w, h.v)
	case Stacked:
		one, two := h.parts()
		return max(one.period(), two.period())
	case Concurrency, None:
		return 0.1
	}
	return h.w
}

// opens is how long from now until the limit may, and must, admit one.
func opens(m model, now, rtt, period float64) (may, must float64) {
	find := func(ok func(x float64) bool) float64 {
		if ok(0) {
			return 0
		}
		hi := 0.01
		for !ok(hi) && hi < 4*period+10 {
			hi *= 1.7
		}
		lo := hi / 1.7
		for range 12 {
			if mid := (lo + hi) / 2; ok(mid) {
				hi = mid
			} else {
				lo = mid
			}
		}
		return hi
	}
	may = find(func(x float64) bool { _, most := m.room(now+x, now+x+rtt); return most >= 1 })
	if may == 0 {
		if least, _ := m.room(now, now+rtt); least >= 1 {
			return 0, 0
		}
	}
	must = find(func(x float64) bool { least, _ := m.room(now+x, now+x+rtt); return least >= 1 })
	return may, max(may, must)
}

// planner chooses the next experiment.
type planner struct {
	*fitter
	now, rtt, full, slack, net float64
	blur                       float64 // how long after another a request that is sent with it may be decided
	live                       []*particle
	weight                     []float64
	dull                       map[string]int // experiments that told nothing, how often of late
	dread                      float64        // how much refusals weigh: less while few were had
	dear                       bool           // some would tell more, and no bound allows it
	unlike                     []float64      // how much it matters to tell two of them apart
}

// foresee plays an experiment for a particle: for each step the least and the
// most that is admitted, then when it has been answered, then when it opens next.
func (pl *planner) foresee(p *particle, e *experiment, out []span) (requests, refused, took float64) {
	st := p.state.clone()
	f := foresight{planner: pl, p: p, st: st, t: pl.now, began: pl.now, out: out, steps: e.len()}
	admitted := true
	for i, s := range e.steps {
		s.alone = i+1 == len(e.steps) || !e.steps[i+1].meanwhile
		if a := f.play(i, s); e.until {
			if admitted = a > 0; admitted {
				for j := i + 1; j < len(e.steps); j++ {
					f.skip(j, -1)
				}
				break
			}
		}
	}
	for j, s := range e.then {
		if admitted {
			s.alone = true
			f.play(len(e.steps)+j, s)
		} else {
			f.skip(len(e.steps)+j, -2)
		}
	}
	if e.after {
		may, must := opens(st, f.t, pl.blur, p.period())
		out[2*e.len()] = span{f.t + may, f.t + must}
		if may > 0 {
			f.refused += 4
			f.t += (may + must) / 2
		}
	}
	return f.requests, f.refused, f.t - pl.now
}

// foresight is an experiment as it is played.
type foresight struct {
	*planner
	p                 *particle
	st                model
	t, began          float64
	out               []span
	steps             int
	requests, refused float64
}

// skip notes that a step is not made.
func (f *foresight) skip(i int, why float64) {
	f.out[i], f.out[f.steps+i] = span{why, why}, span{}
}

// play plays a step, and returns how many of it are admitted.
func (f *foresight) play(i int, s step) int {
	if f.t += s.idle; s.meanwhile {
		f.t = f.began + s.idle
	}
	f.began = f.t
	w := sight{s: f.t, since: f.t, d: f.t + f.blur, soon: f.t + f.blur, last: f.t, done: f.t + f.full, early: f.t + f.full - f.rtt, slack: f.slack, tight: f.slack}
	least, most := f.st.room(w.s, w.d)
	k := 0.0
	var t meeting
	if m, ok := f.st.(shared); ok && f.share > 0 && f.p.family != None {
		w.share, w.work = f.share, f.full
		t = f.p.foresee(m, &w)
		off := math.Sqrt(t.variance)
		k = min(max(0, most), math.Round(t.mean))
		least, most = least-t.mean-off, most-max(0, t.mean-off)
	}
	n := float64(s.n)
	a, b := min(n, max(0, math.Floor(least))), min(n, max(0, math.Floor(most)))
	f.out[i] = span{min(a, b), b}
	w.a = int((a + b + 1) / 2)
	w.r = s.n - w.a
	if f.p.family == LeakyQueue {
		w.done += max(0, float64(w.a)-f.p.m) * f.p.w
		w.slow = w.done - w.s
	}
	w.ended = w.done
	f.out[f.steps+i] = span{w.done - f.net/2, w.done + f.net/2}
	f.st.admit(&w)
	if w.r > 0 {
		f.st.refuse(&w, f.st.gap(&w))
		if t.x > 0 {
			f.st.(shared).pin(&w, k, 1)
		}
	}
	f.requests += n
	if s.n < 16 || s.meanwhile || !s.alone {
		f.refused += float64(w.r)
	} else { // it goes in portions
		f.refused += min(float64(w.r), max(1, 0.15*n))
	}
	f.t = w.done
	return w.a
}

// differ tells how much it matters to tell two particles apart. What the network
// blurs is not worth the requests: only windows of a clock can be averaged.
func (f *fitter) differ(a, b *particle) float64 {
	if a.family != b.family {
		return 1
	}
	if a.family == Stacked {
		return f.differPair(a, b)
	}
	far := func(x, y, least float64) bool {
		return math.Abs(x-y) > max(0.015*max(math.Abs(x), math.Abs(y)), least)
	}
	blur := 0.0
	switch a.family {
	case FixedFirst, SlidingLog, SlidingLogDenied, Ban:
		blur = blurs * f.jitter
	}
	sliding := a.family == SlidingWindow || a.family == SlidingWindowDenied
	units := f.units(&a.hypothesis)
	switch {
	case a.anew != b.anew, a.since != b.since, a.tick != b.tick, a.family == Ban && a.kind != b.kind:
		return 0.35
	case sliding && a.m != b.m && math.Abs(a.n-b.n) < 2:
		return 0.03 // nearly the same, rounded in another way
	case a.family == Concurrency:
		return 0.35 * min(1, math.Abs(a.n-b.n))
	case math.Abs(a.n-b.n) > units, far(a.w, b.w, blur):
		return 0.35
	case a.m != b.m && a.family == RefillBucket, far(a.v, b.v, blur):
		return 0.3
	}
	return 0
}

// blurs is by how many times the jitter a window that requests open may be off: it ends that much
// later or earlier than it was seen to, and began so, and was not looked at all the time.
const blurs = 3

// units is by how many the limit of a bucket may be off: what comes back in the time
// that the network blurs, but one or two in a hundred at most. It is said then.
func (f *fitter) units(h *hypothesis) float64 {
	switch h.family {
	case Stacked:
		one, _ := h.parts()
		return f.units(&one)
	case TokenBucket, LeakyQueue:
	default:
		return 0
	}
	return min(2*f.jitter/h.w, max(1, 0.015*h.n))
}

// choose returns the experiment of the largest expected gain per price.
func (pl *planner) choose(es []experiment, budget func(requests, refused, took float64) bool) (best *experiment, gain float64) {
	np := len(pl.live)
	outs := make([][]span, np)
	size := pl.live[0].n
	period := max(pl.live[0].period(), 0.5)
	pl.unlike = make([]float64, np*np)
	for i := range np {
		for j := range i {
			pl.unlike[i*np+j] = pl.differ(pl.live[i], pl.live[j])
		}
	}
	bestScore := 0.0
	// An exhausted limit costs its size to make again: it should tell much.
	for ei := range es {
		e := &es[ei]
		if len(e.steps) == 0 {
			continue
		}
		var req, ref, took, sum float64
		for i, p := range pl.live {
			if outs[i] == nil {
				outs[i] = make([]span, 80)
			}
			a, b, c := pl.foresee(p, e, outs[i])
			req, ref, took = req+a*pl.weight[i], ref+b*pl.weight[i], took+c*pl.weight[i]
			sum += pl.weight[i]
		}
		req, ref, took = req/sum, ref/sum, took/sum
		fits := budget(req, ref, took)
		k := 2 * e.len()
		res := 0.0
		if e.after {
			lo, hi := math.Inf(1), 0.0
			for i := range np {
				lo, hi = min(lo, outs[i][k].lo), max(hi, outs[i][k].hi)
			}
			res = max(pl.net, (hi-lo)/12)
		}
		g := 0.0
		for i := range np {
			for j := range i {
				d := pl.unlike[i*np+j]
				if d == 0 {
					continue
				}
				if apart(outs[i], outs[j], pl.answersTold(i, j, e.len())) ||
					e.after && (outs[i][k].lo > outs[j][k].hi+res || outs[j][k].lo > outs[i][k].hi+res) {
					g += d * pl.weight[i] * pl.weight[j]
				}
			}
		}
		price := 1 + size/80 + req/min(20+size, 150) + ref/5*pl.dread + took/(2*period) + took/120
		// What two small experiments tell is often the same, so that one of twice the
		// gain is worth more than twice the price.
		if !fits {
			pl.dear = pl.dear || g > 1e-3
			continue
		}
		if s := g * g / price * math.Pow(0.6, float64(pl.dull[e.why])); s > bestScore {
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
