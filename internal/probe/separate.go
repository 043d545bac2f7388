package probe

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// separate says in words what would tell two explanations apart: the cheapest
// experiment from rest to which they answer differently, with what each answers. It
// is "" when none that was thought of does.
func (p *Probe) separate(a, b *particle) string {
	e, one, other := p.between(a, b, math.MaxInt, math.MaxInt)
	if e == nil {
		return ""
	}
	return fmt.Sprintf("%s: of the last %d this one admits %s, that one %s", e.words(), e.steps[e.len()-1].n, one.words(), other.words())
}

// between is the cheapest experiment from rest to which two explanations answer differently
// at last, with what each admits then; nil when none that was thought of is, within so many
// requests and refusals.
func (p *Probe) between(a, b *particle, requests, refused int) (best *experiment, one, other span) {
	pl := &planner{fitter: &p.fitter, rtt: min(p.rtt(), quantile(p.nos, 0.75)), full: p.rtt(), slack: p.slack(), net: p.net()}
	pl.now = p.sights[len(p.sights)-1].done
	least := math.Inf(1)
	for _, e := range fromRest(a, b, pl.full) {
		x, y := make([]span, 2*e.len()), make([]span, 2*e.len())
		req, ref, took := pl.foresee(a, &e, x)
		req2, ref2, took2 := pl.foresee(b, &e, y)
		price := max(req, req2)/40 + max(ref, ref2)/10 + max(took, took2)/20
		if 1.05*price >= least || int(max(req, req2)) > requests || int(max(ref, ref2)) > refused {
			continue
		}
		i := e.len() - 1
		if e.steps[i].meanwhile {
			continue
		}
		// What the network blurs tells nothing: at least one whole request apart.
		if x[i].hi+1 <= y[i].lo || y[i].hi+1 <= x[i].lo {
			least, best, one, other = price, &e, x[i], y[i]
		}
	}
	return best, one, other
}

// partings is how many experiments from rest are made where what is left cannot be told
// apart by what is usually sent; more are, up to partingsMost, while all of them come to
// less than a part of what was sent.
const (
	partings     = 4
	partingsMost = 16
	partingsPart = 0.25
	partingsDull = 3 // of them in a row may tell nothing
)

const whyParted = "rest, and see which of two it is"

// parted returns what tells the likeliest explanation from the next, or the ends of what
// it leaves open from each other, once nothing else is left to ask.
func (p *Probe) parted() *experiment {
	shares := p.shares()
	if p.dull[whyParted] >= partingsDull || p.parts >= partingsMost || p.parts >= partings && float64(p.partsSent) > partingsPart*float64(p.v.Requests) || p.share > 0 || p.settled(shares) {
		return nil
	}
	h := p.herd(shares[0].Family)
	var e *experiment
	tell := func(a, b *particle) {
		e, _, _ = p.between(a, b, p.opt.MaxRequests-p.v.Requests, p.opt.MaxRefused-p.v.Refused)
	}
	if len(shares) > 1 && shares[1].Share > 0.015 {
		tell(h.best[0], p.herd(shares[1].Family).best[0])
	} else if lo, hi := p.ends(h); lo != nil {
		tell(lo, hi)
	}
	for _, o := range p.herds { // two limits of other kinds
		if e == nil && o != h && o.family == h.family && o.cost() < h.cost()+1 {
			tell(h.best[0], o.best[0])
		}
	}
	if e == nil || waits(e.steps) > p.timeLeft()/2 {
		return nil
	}
	p.parts++
	for _, s := range e.steps {
		p.partsSent += s.n
	}
	e.why, e.through = whyParted, true
	return e
}

// fromRest lists experiments for two explanations that begin with a rest, so that
// somebody can make them later. rtt is what a round trip takes.
func fromRest(a, b *particle, rtt float64) (out []experiment) {
	rest := 1.1*max(a.period(), b.period()) + 0.1
	add := func(steps ...step) {
		for _, s := range steps {
			if s.n < 1 || s.n > 5000 || s.idle > 1e5 {
				return
			}
		}
		out = append(out, experiment{steps: steps})
	}
	var waits []float64
	for _, w := range halves(a, b, rtt) {
		waits = append(waits, w-rtt) // it begins with an answer
	}
	for _, q := range []*particle{a, b} {
		for _, k := range []float64{0.1, 0.25, 0.5, 0.75, 0.95, 1.02, 1.25, 1.6, 2.2} {
			waits = append(waits, k*q.period(), k*q.w)
		}
		if q.v > 0 {
			waits = append(waits, 0.5*q.v, 1.02*q.v, 0.98*q.v)
		}
	}
	most := max(1, int(max(a.n, b.n)))
	for _, n := range []int{most + 1, int(min(a.n, b.n)) + 1, most + 1 + most/2} {
		add(step{idle: rest, n: n})
		for _, x := range waits {
			if x = max(x, 0.02); x > 4*rest {
				continue
			}
			add(step{idle: rest, n: n}, step{idle: x, n: n})
			add(step{idle: rest, n: max(1, n/2)}, step{idle: x, n: n})
			add(step{idle: rest, n: 1}, step{idle: x, n: n})
			if n == most+1 { // nothing is refused before the last
				add(step{idle: rest, n: 1}, step{idle: x, n: most - 1}, step{idle: x, n: 1})
			}
			add(step{idle: rest, n: max(1, n/2)}, step{idle: x, n: n}, step{idle: x, n: n})
			add(step{idle: rest, n: n}, step{idle: x, n: n}, step{idle: x, n: n}, step{idle: x, n: n})
		}
	}
	for _, q := range []*particle{a, b} {
		if q.family == Stacked && q.m <= 12*q.n {
			for _, x := range []float64{0.25, 0.5, 0.75, 0.95, 1.02} {
				add(q.usedUp(rest, x*q.v)...)
			}
		}
	}
	// Small differences add up over many rounds.
	for _, q := range []*particle{a, b} {
		for _, k := range []int{6, 15, 30} {
			steps := []step{{idle: rest, n: int(q.n) + 1}}
			for range k {
				steps = append(steps, step{idle: max(0.02, 0.98*q.period()), n: int(q.n) + 1})
			}
			add(steps...)
		}
	}
	return out
}

// halves are the lengths midway between the windows of two explanations of one kind: what
// opens by then, or does not, leaves half of what is open. Not where a round trip blurs it.
func halves(a, b *particle, rtt float64) (out []float64) {
	if a.family != b.family || a.kind != b.kind || a.kind2 != b.kind2 {
		return nil
	}
	one, other := []hypothesis{a.hypothesis}, []hypothesis{b.hypothesis}
	if a.family == Stacked {
		one, other = make([]hypothesis, 2), make([]hypothesis, 2)
		one[0], one[1] = a.parts()
		other[0], other[1] = b.parts()
	}
	for i, x := range one {
		if y := other[i]; x.family != TokenBucket && x.family != LeakyQueue && math.Abs(x.w-y.w) > rtt/2 {
			out = append(out, (x.w+y.w)/2)
		}
	}
	return out
}

// usedUp spends the longer of two limits after a rest, as fast as the shorter lets, and
// asks for more so long after the first.
func (h *hypothesis) usedUp(rest, then float64) []step {
	steps := h.allOf()
	passed := waits(steps)
	steps[0].idle = rest
	return append(steps, step{idle: max(0.02, then-passed), n: int(h.n)})
}

// allOf spends the longer of two limits, and one more, as fast as the shorter lets.
func (h *hypothesis) allOf() (steps []step) {
	for left := int(h.m) + 1; left > 0; left -= int(h.n) {
		steps = append(steps, step{idle: 1.03 * h.w, n: min(left, int(h.n))})
	}
	return steps
}

// words says what is sent when.
func (e *experiment) words() string {
	var parts []string
	for i, s := range e.steps {
		wait := waitWords(s.idle)
		switch {
		case i == 0:
			parts = append(parts, fmt.Sprintf("rest %s and send %d", wait, s.n))
		case i+1 < len(e.steps) && len(e.steps) > 4:
			if i == 1 {
				parts = append(parts, fmt.Sprintf("then %d times more %d, %s apart", len(e.steps)-1, s.n, wait))
			}
		case len(e.steps) > 4:
		default:
			parts = append(parts, fmt.Sprintf("%s later %d more", wait, s.n))
		}
	}
	return strings.Join(parts, ", ")
}

// waitWords is a wait with two digits.
func waitWords(s float64) string {
	unit := math.Pow(10, math.Floor(math.Log10(max(s, 1e-3)))-1)
	d := time.Duration(math.Round(s/unit) * unit * 1e9).Round(time.Millisecond)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.3g days", d.Hours()/24)
	case d >= 3*time.Hour:
		return fmt.Sprintf("%.3g h", d.Hours())
	case d >= 10*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d >= time.Second:
		return fmt.Sprintf("%.4g s", d.Seconds())
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// words is how many that is.
func (s span) words() string {
	if s.lo >= s.hi {
		return fmt.Sprint(int(s.hi))
	}
	return fmt.Sprintf("%d to %d", int(s.lo), int(s.hi))
}

// settle says what would tell the ends of what a family leaves open apart, "" when
// its figures are known or nothing would.
func (p *Probe) settle(h *herd) string {
	if lo, hi := p.ends(h); lo != nil {
		return p.separate(lo, hi)
	}
	return ""
}

// ends are two of a family that differ by more than is let pass; nil where none do.
func (p *Probe) ends(h *herd) (lo, hi *particle) {
	if len(h.best) == 0 {
		return nil, nil
	}
	for _, far := range []func(q *particle) float64{func(q *particle) float64 { return q.n }, func(q *particle) float64 { return q.w }, func(q *particle) float64 { return q.v }, func(q *particle) float64 { return q.m }} {
		lo, hi = h.best[0], h.best[0]
		for _, q := range h.best {
			if q.cost > h.cost()+0.25 {
				break
			}
			if far(q) < far(lo) {
				lo = q
			}
			if far(q) > far(hi) {
				hi = q
			}
		}
		if p.differ(lo, hi) > 0 {
			return lo, hi
		}
	}
	return nil, nil
}
