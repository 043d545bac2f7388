package probe

import (
	"cmp"
	"math"
	"slices"
)

// byLot looks for the replicas, reached by chance, that make everything seen likeliest:
// the best first, each of another number or kind. They hold about one of the totals
// together, and were perhaps found before. What each got cannot be seen, so that every
// guess is a draw, see replay: first the kind of limit and its time are sought with a few
// numbers of replicas, then the number of them, then the time again, closer. Times are
// those, of the kind of the best, that explain it nearly as well.
func (p *Probe) byLot(totals []float64, were []judged) (out []judged, times span) {
	kinds := &lots{evidence: p.upTo(lotMost), best: math.Inf(1)}
	kinds.slack = 25
	for _, j := range were {
		kinds.weigh(j.fleet, lotTries)
	}
	several := []int{2, 4, 8}
	if len(were) > 0 && kinds.best < were[0].mean+2*were[0].sd { // as it was believed
		totals, several = []float64{were[0].n * float64(were[0].r)}, []int{were[0].r}
	}
	for _, total := range totals {
		for _, s := range p.lotTimes(total, 1.07) {
			for _, r := range several {
				kinds.weigh(s.fleet(r), lotTries)
			}
		}
	}
	numbers := &lots{evidence: p.upTo(lotMost), best: math.Inf(1)}
	numbers.slack = 20
	all := p.upTo(lotMost)
	for i, step := range []float64{1.05, 1.02} {
		for _, j := range kinds.unlike(6, func(f fleet) fleet {
			return fleet{kind: f.kind, same: f.same, w: math.Round(6 * math.Log(f.time()))}
		}) {
			numbers.count(j.fleet)
		}
		for _, j := range numbers.unlike(3-i, func(f fleet) fleet { return fleet{r: f.r} }) {
			for _, s := range p.lotTimes(j.n*float64(j.r), step) {
				f := s.fleet(j.r)
				f.n = j.n
				numbers.weigh(f, lotTries)
			}
		}
		kinds.all = append(kinds.all[:0], numbers.all...)
	}
	for _, j := range numbers.unlike(5, func(f fleet) fleet { return fleet{kind: f.kind, same: f.same, r: f.r} }) {
		out = append(out, p.upTo(1e6).judge(all.nearby(j.fleet), lotDraws, math.Inf(1)))
	}
	if len(out) == 0 {
		return nil, times
	}
	slices.SortStableFunc(out, func(a, b judged) int { return cmp.Compare(a.rank(), b.rank()) })
	best := out[0]
	times = span{best.w, best.w}
	least := all.judge(best.fleet, 64, math.Inf(1)).cost
	for _, j := range numbers.all {
		if j.kind == best.kind && j.same == best.same && j.r == best.r && j.cost < least+lotNear {
			times = times.with(j.w)
		}
	}
	for _, j := range out {
		if j.kind != TokenBucket && best.kind != TokenBucket && j.r == best.r && j.cost < best.cost+lotNear {
			times = times.with(j.w)
		}
	}
	return out, times
}

// lotNear is by how much less likely it may be what is not ruled out.
const lotNear = 3.5

// lotMost is of how many requests byLot looks at the answers while it searches,
// lotTries how often each is drawn meanwhile, and lotDraws each of the best at last.
const (
	lotMost  = 2000
	lotTries = 24
	lotDraws = 300
)

// lots are fleets that were weighed by the same evidence.
type lots struct {
	*evidence
	best float64
	all  []judged
}

// weigh keeps a fleet unless it falls behind the best so far.
func (l *lots) weigh(f fleet, many int) {
	if !f.valid() {
		return
	}
	j, course := l.follow(f, many, math.Inf(1))
	if math.IsInf(j.cost, 1) {
		return
	}
	if l.all = append(l.all, j); j.cost < l.best {
		l.best, l.course = j.cost, course
	}
}

// count weighs other numbers of replicas of a kind that hold as much together.
func (l *lots) count(f fleet) {
	all, time := f.n*float64(f.r), f.time()
	tried := map[float64]bool{}
	for r := 2; r <= crewMost; r++ {
		clear(tried)
		n := all / float64(r)
		for _, by := range []float64{1, 0.98, 1.02, 0.96, 1.04, 0.93, 1.07} {
			n := math.Round(by * n)
			if tried[n] {
				continue
			}
			tried[n] = true
			if f.r, f.n, f.w = r, n, time; f.kind == TokenBucket {
				f.w = time / n
			}
			l.weigh(f, lotTries)
		}
	}
}

// nearby moves the figures of a fleet to where they explain more.
func (p *evidence) nearby(f fleet) fleet {
	l := &lots{evidence: &evidence{sights: p.sights, slack: 12}, best: math.Inf(1)}
	l.weigh(f, 2*lotTries)
	for step, tries := 0.06, 0; step > 0.003 && tries < 10; tries++ {
		was := l.best
		for _, dn := range []float64{0, 1, -1, max(2, math.Round(step*f.n)), -max(2, math.Round(step*f.n))} {
			for _, dw := range []float64{0, step, -step} {
				g := f
				g.n, g.w = g.n+dn, g.w*(1+dw)
				if dn != 0 || dw != 0 {
					l.weigh(g, 2*lotTries)
				}
			}
		}
		if l.best > was-0.3 {
			step /= 2
			continue
		}
		f = slices.MinFunc(l.all, func(a, b judged) int { return cmp.Compare(a.cost, b.cost) }).fleet
	}
	return f
}

// time is how long windows take, and buckets until they are full.
func (f fleet) time() float64 {
	if f.kind == TokenBucket {
		return f.w * f.n
	}
	return f.w
}

// unlike returns the best of them of which like makes different ones.
func (l *lots) unlike(most int, like func(fleet) fleet) (out []judged) {
	slices.SortStableFunc(l.all, func(a, b judged) int { return cmp.Compare(a.cost, b.cost) })
	seen := map[fleet]bool{}
	for _, j := range l.all {
		if k := like(j.fleet); !seen[k] && len(out) < most {
			seen[k] = true
			out = append(out, j)
		}
	}
	return out
}

// lot is one kind of limit that replicas may have, and its time.
type lot struct {
	supposed
	same bool
}

func (s lot) fleet(r int) fleet {
	f := fleet{way: byChance, kind: s.kind, r: r, n: max(1, math.Round(s.total/float64(r))), w: s.time, same: s.same}
	if f.kind == TokenBucket {
		f.w = s.time / f.n
	}
	return f
}

// lotTimes are the kinds and times that are tried.
func (p *Probe) lotTimes(total, step float64) (out []lot) {
	lo, hi := p.closed()
	for w := lo; w < hi; w *= step {
		out = append(out, lot{supposed{FixedFirst, total, w}, false}, lot{supposed{FixedClock, total, w}, false})
	}
	took := p.sights[len(p.sights)-1].d - p.sights[0].s
	for w := lo; w < hi; { // what is off adds up from window to window
		out = append(out, lot{supposed{FixedClock, total, w}, true})
		w *= 1 + min(step-1, max((step-1)/4, 0.1*w/took))
	}
	rates := []float64{}
	if _, rate := p.flows(); rate > 0 {
		rates = append(rates, rate)
	}
	if rate := p.leastRate(); rate > 0 {
		rates = append(rates, rate)
	}
	for _, rate := range rates {
		for by := 0.4; by < 2.6; by *= 1 + 1.7*(step-1) {
			out = append(out, lot{supposed{TokenBucket, total, total / (by * rate)}, false})
		}
	}
	return out
}

// closed bounds how long windows may be, by how long all was refused before it opened.
// Subtle: after a long rest nobody knows when it did; those of the clock may end any time.
func (p *Probe) closed() (lo, hi float64) {
	from, shut, no := 0.0, -1.0, 0.0
	long := math.Inf(1)
	for i, w := range p.sights {
		switch {
		case w.a == 0 && w.r > 0:
			if shut < 0 {
				shut = w.s
			}
			no = w.s
		case w.a > 0 && shut >= 0:
			lo = max(lo, no-shut)
			if w.d-from < 1.7*(no-from) {
				hi = max(hi, w.d-from)
			}
			long = min(long, w.d-from)
			from, shut = w.s, -1
		case i == 0:
			from = w.s
		}
	}
	if hi == 0 {
		hi = min(long, p.timeLeft())
	}
	hi = max(2.5*hi, 5*lo)
	return max(0.8*lo, hi/60, shortest), hi
}

// leastRate is how many a second came back from the first refusal on, at least.
func (p *Probe) leastRate() float64 {
	sum, from := 0.0, -1.0
	for _, w := range p.sights {
		if from >= 0 {
			sum += float64(w.a)
		} else if w.r > 0 {
			from = w.last
		}
	}
	if took := p.sights[len(p.sights)-1].last - from; from >= 0 && took > 0 {
		return sum / took
	}
	return 0
}
