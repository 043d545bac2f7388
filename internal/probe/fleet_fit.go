package probe

import (
	"cmp"
	"math"
	"slices"
)

// supposed is what a fleet might hold together, and how long until that is back.
type supposed struct {
	kind  Family
	total float64
	time  float64 // of windows; of buckets until they are full
}

// crewed looks for the fleets that explain best what was seen, the best first: of so
// many replicas, or of any number where that is 0.
func (p *Probe) crewed(from []supposed, only int, by ...way) []judged {
	var all []judged
	best := math.Inf(1)
	first, _ := p.flows()
	few := p.upTo(max(900, int(1.3*first)))
	try := func(f fleet) {
		if !f.valid() {
			return
		}
		j := few.judge(f, f.draws()/2, min(60, best+20))
		if !math.IsInf(j.cost, 1) {
			all = append(all, j)
			best = min(best, j.surplus())
		}
	}
	for _, way := range by {
		for _, s := range from {
			times := []float64{1}
			if way == byTurn || way == byLoad {
				if s.kind == TokenBucket {
					continue // see stairs
				}
				times = []float64{1, 0.95, 1.05}
			}
			for r := 2; r <= crewMost; r++ {
				if only > 0 && r != only {
					continue
				}
				times := times
				if s.kind == FixedClock && way != byChance { // one of them opens each so often
					times = append(times[:len(times):len(times)], float64(r))
				}
				n := math.Round(s.total / float64(r))
				offs := []float64{0}
				if n <= 30 {
					offs = []float64{0, 1, -1}
				}
				for _, off := range offs {
					for _, part := range times {
						f := fleet{way: way, kind: s.kind, r: r, n: n + off, w: part * s.time}
						if s.kind == TokenBucket {
							f.w /= s.total / float64(r)
						}
						try(f)
					}
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b judged) int { return cmp.Compare(a.surplus(), b.surplus()) })
	var out []judged
	some := p.upTo(max(1600, int(2*first)))
	seen := map[fleet]bool{}
	for _, j := range all {
		k := j.fleet
		k.n, k.w = math.Round(k.n/3), 0
		if !seen[k] && len(seen) < 5 {
			seen[k] = true
			out = append(out, some.improve(j.fleet, j.draws()))
		}
	}
	for _, s := range from {
		if s.kind == TokenBucket {
			out = append(out, p.stairs(s, only, by)...)
		}
	}
	for i := range out {
		out[i] = p.upTo(1e6).judge(out[i].fleet, 150, math.Inf(1))
	}
	slices.SortStableFunc(out, func(a, b judged) int { return cmp.Compare(a.rank(), b.rank()) })
	return out
}

// stairs looks for buckets in turn, or nearly, that hold so much together: all that were
// emptied at once get one back at once, again and again. Subtle: these steps must hold over
// hundreds of them, so that how long one takes is found from the first few and then, ever
// closer, from more and more of what was seen.
func (p *Probe) stairs(s supposed, only int, by []way) (out []judged) {
	var cuts []int // where what is looked at ends: each has twice the refusals of the one before
	shut := -1
	for i, w := range p.sights {
		if w.r > 0 {
			if cuts = append(cuts, i+1); shut < 0 {
				shut = i
			}
		}
	}
	if len(cuts) < 4 {
		return nil
	}
	burst := p.sights[shut].d - p.sights[0].s
	best := math.Inf(1)
	for _, way := range by {
		if way == byChance {
			continue
		}
		for r := 2; r <= crewMost; r++ {
			if only > 0 && r != only {
				continue
			}
			var few []judged
			e := &evidence{sights: p.sights[:cuts[min(len(cuts), 6)-1]]}
			for off := 0.8; off < 1.26; off *= 1.02 {
				f := fleet{way: way, kind: TokenBucket, r: r, w: off * s.time / s.total * float64(r)}
				f.n = math.Round((s.total - burst/f.w*float64(r)) / float64(r))
				if !f.valid() {
					continue
				}
				if j := e.judge(f, 8, min(40, best+12)); !math.IsInf(j.cost, 1) {
					few = append(few, j)
					best = min(best, j.surplus())
				}
			}
			slices.SortStableFunc(few, func(a, b judged) int { return cmp.Compare(a.surplus(), b.surplus()) })
			for _, j := range few[:min(len(few), 1)] {
				if j.surplus() < best+5 {
					out = append(out, p.closer(j, cuts, p.sights[shut].d))
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b judged) int { return cmp.Compare(a.rank(), b.rank()) })
	return out[:min(len(out), 4)]
}

// closer finds the step of buckets by more and more of what was seen since an instant.
func (p *Probe) closer(best judged, cuts []int, since float64) judged {
	for k := 6; ; k *= 2 {
		end := cuts[min(len(cuts), k)-1]
		e := &evidence{sights: p.sights[:end]}
		took := max(best.w, p.sights[end-1].d-since)
		from := best.fleet
		best.cost = math.Inf(1)
		for i := range 11 {
			f := from
			f.w *= 1 + float64(i-5)*min(0.02, 0.15*f.w/took)
			for _, dn := range []float64{0, -1, 1} {
				g := f
				if g.n += dn; !g.valid() {
					continue
				}
				if j := e.judge(g, 8, 1e9); j.cost < best.cost {
					best = j
				}
			}
		}
		if k >= len(cuts) || best.off() > 6 {
			return best
		}
	}
}

// off is by how many standard deviations a fleet explains less than the truth would
// on average.
func (j judged) off() float64 { return j.surplus() / j.sd }

// rank is its cost; what is too far off comes last.
func (j judged) rank() float64 {
	return j.cost + 20*max(0, j.off()-2.5)
}

// draws is how many draws it takes to weigh a fleet: more where the phase of each
// replica has to be found.
func (f fleet) draws() int {
	if f.kind == FixedClock && f.way != byChance {
		return 30
	}
	return 16
}

// improve moves the figures of a fleet to where they explain more, by so many draws.
func (p *evidence) improve(f fleet, many int) judged {
	best := p.judge(f, many, math.Inf(1))
	better := func(g fleet) bool {
		if !g.valid() {
			return false
		}
		j := p.judge(g, many, best.surplus()+8)
		if j.cost < best.cost-0.3 {
			best = j
			return true
		}
		return false
	}
	if f.kind != TokenBucket && f.way != byChance {
		for by := 0.8; by < 1.25; by *= 1.03 {
			g := f
			g.w *= by
			better(g)
		}
	}
	for step, tries := 0.08, 0; step > 0.004 && tries < 12; tries++ {
		one := best.fleet
		moved := false
		for _, d := range []struct{ n, w float64 }{{0, step}, {0, -step}, {1, 0}, {-1, 0}, {1, 1 / one.n}, {-1, -1 / one.n}, {math.Ceil(step * one.n), 0}, {-math.Ceil(step * one.n), 0}} {
			g := one
			g.n, g.w = g.n+d.n, g.w*(1+d.w)
			if moved = better(g); moved {
				break
			}
		}
		if !moved {
			step /= 2.2
		}
	}
	return best
}

// suppositions are the totals and times that the likeliest single limits have.
func (p *Probe) suppositions() (out []supposed) {
	add := func(kind Family, total, time float64) {
		for _, s := range out {
			if s.kind == kind && math.Abs(s.total-total) < 0.03*total && math.Abs(s.time-time) < 0.1*time {
				return
			}
		}
		out = append(out, supposed{kind, total, time})
	}
	if total, rate := p.flows(); rate > 0 {
		add(TokenBucket, total, total/rate)
	}
	if h := p.herd(TokenBucket); h != nil && len(h.best) > 0 {
		add(TokenBucket, h.best[0].n, h.best[0].period())
	}
	for _, q := range p.whole.were[:min(len(p.whole.were), 4)] { // what explained everything once
		if q.family == FixedFirst || q.family == FixedClock || q.family == SlidingLog {
			add(FixedFirst, q.n, q.w)
			add(FixedClock, q.n, q.w)
		}
	}
	hs := slices.Clone(p.herds)
	slices.SortStableFunc(hs, func(a, b *herd) int {
		// Of two limits there are many, which explain whatever one of them does.
		return cmp.Or(cmp.Compare(boolTo(a.family == Stacked, 1), boolTo(b.family == Stacked, 1)), cmp.Compare(a.cost(), b.cost()))
	})
	first, _ := p.flows()
	for _, h := range hs {
		if len(h.best) == 0 || h.family == None || h.family == Concurrency || len(out) > 7 {
			continue
		}
		q := h.best[0]
		if q.n > 2*first || q.n < 0.4*first {
			continue // it has another first burst
		}
		switch h.family {
		case TokenBucket, LeakyQueue, RefillBucket:
			add(TokenBucket, q.n, q.period())
		case SlidingWindow, SlidingWindowDenied, SlidingLog, SlidingLogDenied, FixedFirst, FixedClock, Stacked:
			add(FixedFirst, q.n, q.w)
			add(FixedClock, q.n, q.w)
			if h.family != FixedFirst && h.family != FixedClock {
				add(TokenBucket, q.n, q.w)
			}
		}
	}
	return out
}

// flows are what was admitted until something was refused first, and how many a
// second were admitted between times at which nothing was left; zero where that
// was not seen.
func (p *Probe) flows() (first, rate float64) {
	var rates []float64
	sum, at, empty := 0.0, 0.0, false
	for i, w := range p.sights {
		sum += float64(w.a)
		if w.r == 0 {
			continue
		}
		if first == 0 {
			first = sum
		} else if dt := w.last - at; empty && sum > 3 && sum < 0.9*first && dt > 5*p.rtt() {
			rates = append(rates, sum/dt)
		} else if empty && dt <= 5*p.rtt() {
			continue // goes on
		}
		sum, at, empty = 0, p.sights[i].last, true
	}
	if len(rates) < 2 {
		return first, 0
	}
	return first, quantile(rates, 0.5)
}

// reopened are the times from the first admission of a burst until it opened again
// after all of it was spent.
func (p *Probe) reopened() (out []float64) {
	from, shut := -1.0, false
	for _, w := range p.sights {
		switch {
		case w.a == 0 && w.r > 0:
			shut = true
		case w.a > 0 && shut:
			if from >= 0 {
				out = append(out, w.s-from)
			}
			from, shut = w.s, false
		case w.a > 0 && from < 0:
			from = w.s
		}
	}
	return out
}
