package probe

import (
	"math"

	"github.com/weir-dev/weir/limit"
)

// Explain returns how much of what was seen a given limit leaves unexplained: 0
// when it explains everything. It is for comparing with what a service says of
// itself, after Run. The phases of policies are those of the client's clock.
func (p *Probe) Explain(f Found) float64 {
	least := math.Inf(1)
	for _, early := range p.shifts() {
		h := p.given(f)
		h.ph -= early
		h.ph2 -= early
		q := &particle{hypothesis: h}
		q.see(p.sights, 1e9)
		if least = min(least, q.cost); p.share > 0 { // with others what is left is chance; without them it may be nothing
			least = min(least, p.lonely(q))
		}
	}
	return least
}

// shifts are how much earlier than by the client's clock the heads of windows may
// lie for the models, which leave out what every request takes to arrive, see base.
func (p *Probe) shifts() []float64 {
	b := p.base()
	if b == 0 {
		return []float64{0}
	}
	return []float64{b / 2, 0, b, b / 4, 3 * b / 4, b / 8, 3 * b / 8, 5 * b / 8, 7 * b / 8}
}

// given is the hypothesis that says the same as f.
func (p *Probe) given(f Found) hypothesis {
	h := hypothesis{family: f.Family}
	if len(f.Policies) == 0 {
		return h
	}
	if f.Family == Stacked && len(f.Policies) > 1 {
		h = stack(p.part(familyOf(f.Policies[0]), f.Policies[0]), p.part(familyOf(f.Policies[1]), f.Policies[1]))
		h.also = f.Also
		return h
	}
	h = p.part(f.Family, f.Policies[0])
	h.v, h.anew, h.since, h.tick = f.Ban.Seconds(), f.Anew, f.Since, f.Tick.Seconds()
	if h.tick > 0 && (h.anew || !h.family.gridded()) {
		h.ph = p.head(limit.Policy{Window: f.Tick, Phase: f.TickPhase})
	}
	if f.Early {
		h.m = h.n
	}
	if h.family == FixedFirst && h.anew && f.Policies[0].CountDenied {
		h.m = 1
	}
	return h
}

// part is the hypothesis of one limit.
func (p *Probe) part(fam Family, one limit.Policy) hypothesis {
	h := hypothesis{family: fam, n: float64(one.Capacity()), w: one.Window.Seconds(), ph: p.head(one)}
	switch fam {
	case TokenBucket, LeakyQueue:
		h.w /= float64(one.Limit)
		h.m = float64(one.Undelayed + 1)
	case RefillBucket:
		h.m = float64(one.Limit)
	case Ban:
		if h.kind = familyOf(one); h.kind == FixedFirst && one.Align != limit.AlignLast {
			h.kind = None
		}
	}
	return h
}

// head is when a window of the policy begins, in seconds since the start.
func (p *Probe) head(pol limit.Policy) float64 {
	if pol.Window == 0 {
		return 0
	}
	into := (p.start.UnixNano() - int64(pol.Phase)) % int64(pol.Window)
	return -float64(into) / 1e9
}

func familyOf(p limit.Policy) Family {
	switch {
	case p.Algorithm == limit.FixedWindow && p.Align != limit.AlignClock:
		return FixedFirst
	case p.Algorithm == limit.SlidingLog:
		return SlidingLog
	case p.Algorithm == limit.SlidingWindow:
		return SlidingWindow
	case p.Algorithm == limit.TokenBucket:
		return TokenBucket
	}
	return FixedClock
}
