package probe

import (
	"math"
	"slices"
)

// recount weighs the number of replicas that were found by their bursts once more, by
// all that was seen.
func (p *Probe) recount(s *spreadOut) {
	total, w := float64(s.replicas*s.each), s.window
	if s.each < 1 || !(w.hi > 0) || math.IsInf(w.hi, 1) {
		return
	}
	times := []float64{(w.lo + w.hi) / 2}
	if w.hi > 1.15*w.lo {
		times = append(times, max(w.lo, w.hi/2), w.hi)
	}
	for _, t := range p.reopened() {
		near := func(o float64) bool { return math.Abs(o-t) < 0.08*t }
		if len(times) < 6 && !slices.ContainsFunc(times, near) {
			times = append(times, t)
		}
	}
	var from []supposed
	for _, t := range times {
		from = append(from, supposed{FixedFirst, total, t}, supposed{FixedClock, total, t})
		if s.bucket || t == times[0] {
			from = append(from, supposed{TokenBucket, total, t})
		}
	}
	fits := p.crewed(from, 0, byChance, byTurn, byLoad)
	sure := s.sure
	s.sure = false // until the number is confirmed
	if len(fits) == 0 {
		return
	}
	best := fits[0]
	if p.trace != nil {
		for _, j := range fits {
			p.trace("   fleet %v cost %.2f mean %.2f off %.1f", j.fleet, j.cost, j.mean, j.off())
		}
	}
	if far := math.Abs(best.n*float64(best.r)-total) / total; best.off() > 2.5 || far > 0.12 || far > 0.03 && !s.bucket {
		return // bursts say well what they hold together
	}
	// The same kind with other numbers of replicas, for how certain the number is.
	all, sum := p.upTo(1e6), 1.0
	for r := 2; r <= crewMost; r++ {
		f := best.fleet
		f.r, f.n = r, math.Round(best.n*float64(best.r)/float64(r))
		if f.kind == TokenBucket {
			f.w *= float64(r) / float64(best.r)
		}
		if r == best.r || !f.valid() {
			continue
		}
		j := all.judge(f, 4*f.draws(), best.surplus()+12)
		if j.cost < best.cost {
			sum += math.Exp(min(30, best.cost-j.cost))
			best, sum = j, sum/math.Exp(min(30, best.cost-j.cost))
			continue
		}
		sum += math.Exp(best.cost - j.cost)
	}
	was := s.replicas
	s.replicas, s.each, s.share = best.r, int(best.n), 1/sum
	s.low, s.high = s.each, s.each
	if kind := best.kind == TokenBucket; kind != s.bucket {
		s.bucket, sure = kind, false
		s.window = span{0.9 * best.w, 1.1 * best.w}
		if kind {
			s.window = span{0.9 * best.w * best.n, 1.1 * best.w * best.n}
		}
	}
	s.sure = sure && s.share > 0.995 && was == best.r
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
