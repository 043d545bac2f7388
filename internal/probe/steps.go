package probe

import (
	"context"
	"math"
)

// inSteps asks whether buckets in turn, which were all full and then emptied at an instant,
// get one back at once, again and again: just after each step there is one for each of
// them, and just before the next there is nothing. It returns nil where one bucket that
// gives evenly explains the answers as well, or one that gives in portions does.
func (p *Probe) inSteps(ctx context.Context, f fleet, from float64) (*spreadOut, error) {
	const why = "whether so many come back at once, again and again"
	jitter := p.net() - p.base()
	if 3*jitter > f.w {
		return nil, nil
	}
	now := func() float64 { return p.clock.Now().Sub(p.start).Seconds() }
	last := math.Floor((now() - from) / f.w)
	for i := range 6 {
		before := i%2 == 1
		k := math.Ceil((now() - from) / f.w)
		at := from + k*f.w + jitter + 0.05*f.w
		if before {
			k = math.Ceil((now() - from + jitter) / f.w)
			at = from + k*f.w - jitter - 0.05*f.w
			k--
		}
		n := f.r*int(k-last) + 1 + i%2
		last = k
		if _, err := p.wave(ctx, max(0, at-now()), n, why); err != nil {
			return nil, err
		}
	}
	all := p.upTo(1e6)
	f.way = byTurn
	best := all.improve(f, f.draws())
	f.way = byLoad
	if j := all.improve(f, f.draws()); j.cost < best.cost {
		best = j
	}
	p.refit()
	portions := p.herd(RefillBucket).cost()
	if p.trace != nil {
		p.trace("   in steps: %v cost %.1f, off %.1f; portions leave %.1f", best.fleet, best.cost, best.off(), portions)
	}
	if best.off() > 3 || portions < 3 || p.oneOfAll(best.fleet) {
		return nil, nil
	}
	p.spread = p.spreadOf(best, &spreadOut{crowdFit: crowdFit{replicas: f.r}})
	return p.spread, nil
}
