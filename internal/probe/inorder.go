package probe

import (
	"context"
	"math"
	"slices"
)

// staggered tells, when one has just opened, whether replicas open one after the
// other and are reached in turn. The burst before has what they admit together.
func (p *Probe) staggered(ctx context.Context, burst []sight) (*spreadOut, error) {
	r, err := p.pattern(ctx, 0, math.Inf(1), crewMost)
	if r < 2 || err != nil {
		return nil, err
	}
	return p.inTurnOf(r, burst)
}

// inTurnOf is what is known of so many replicas of which some are full and others are not.
func (p *Probe) inTurnOf(r int, burst []sight) (*spreadOut, error) {
	if p.oneBucket() {
		return nil, nil
	}
	if s, err := p.inOrderOf(r); s != nil || err != nil {
		return s, err
	}
	// All was back after the rest before the burst, and nothing before it opened.
	s := &spreadOut{window: span{0, 2 * p.sights[len(p.sights)-1].s}}
	if b := burst[0].s; b > 0 {
		for _, w := range p.sights {
			if w.s < b && w.a+w.r > 0 {
				s.window.hi = b - w.s
			}
		}
	}
	total := 0
	for _, w := range burst {
		total += w.a
		if w.r > 0 {
			break
		}
	}
	s.replicas, s.each, s.share, s.gain = r, max(1, int(math.Round(float64(total)/float64(r)))), 0.95, 12
	s.low, s.high = s.each*9/10, s.each*11/10+1
	p.spread = s
	return s, nil
}

// partly asks, when a part of a wave was refused that no single limit explains, whether
// every so many is admitted: then replicas are in turn of which some are full. A second
// limit admits nothing more.
func (p *Probe) partly(ctx context.Context) (*spreadOut, error) {
	w := p.sights[len(p.sights)-1]
	if w.a == 0 || w.r < 2 || p.v.Refused+2*turnMost > p.opt.MaxRefused {
		return nil, nil
	}
	n := int(w.a+w.r)/int(w.a) + 1
	burst := p.sights[:len(p.sights):len(p.sights)]
	r, err := p.pattern(ctx, 0, math.Inf(1), min(turnMost, n))
	if r < 2 || err != nil {
		return nil, err
	}
	return p.inTurnOf(r, burst)
}

// oneBucket tells whether one token bucket explains all that was seen: what it gives
// back while a busy machine asks slowly looks like others that still admit.
func (p *Probe) oneBucket() bool {
	h := &herd{family: TokenBucket}
	p.fit(h, 700)
	h.best = append(h.best, p.wide(h)...)
	for _, q := range h.best {
		if q.cost < 0.5 {
			return true
		}
	}
	return false
}

// inOrderOf says what replicas of which every so many admitted, in turn, are likeliest.
func (p *Probe) inOrderOf(r int) (*spreadOut, error) {
	from := p.suppositions()
	total, _ := p.flows()
	times := p.reopened()
	for _, t := range looks {
		if t >= 1 {
			times = append(times, math.Floor(t))
		}
	}
	for _, t := range times {
		from = append(from, supposed{FixedFirst, total, t}, supposed{FixedClock, total, t})
	}
	fits := p.crewed(from, r, byTurn, byLoad)
	if p.trace != nil {
		for _, j := range fits {
			p.trace("   in turn: fleet %v cost %.2f mean %.2f off %.1f; one limit leaves %.1f", j.fleet, j.cost, j.mean, j.off(), p.cheapest())
		}
	}
	if len(fits) == 0 || fits[0].off() > 5 || p.oneBucket() {
		return nil, nil
	}
	p.spread = p.spreadOf(fits[0], nil) // how long their windows are was not put to the proof
	return p.spread, nil
}

// lookSteps is how many looks are made in the time that windows take.
const lookSteps = 12

// firstOf looks for the first admission after a refusal, at even distances: those of
// replicas whose windows end at times of each one's own open one after the other within a
// window's time, and who looks ever more seldom finds most of them open.
func (p *Probe) firstOf(ctx context.Context, window float64) error {
	idle := max(window/lookSteps, p.rtt())
	for try := 0; try < lookSteps+2 && idle < p.timeLeft()/lookSteps; try++ {
		if w, err := p.wave(ctx, idle, 1, "look for the first of them to open"); err != nil || w.a > 0 {
			return err
		}
	}
	return p.reopen(ctx)
}

// turnaround is the longest it took until it opened again after a burst that spent all;
// where that was not seen, a guess.
func (p *Probe) turnaround(guess float64) float64 {
	if times := p.reopened(); len(times) > 0 {
		return slices.Max(times)
	}
	return guess
}
