package probe

import (
	"fmt"
	"math"
	"slices"
)

// quietAlike tells whether a window that each request begins anew explains all that was seen, if
// the best of a herd does, and which: a probe that waits for openings makes a rhythm in which such
// a window looks like others. So that is asked before anything is certain. A log that is
// forgotten after a silence counts as one. Of single requests it is the same limit as others.
func (p *Probe) quietAlike(h *herd) (alike hypothesis, ok bool) {
	b := h.best[0]
	switch b.family {
	case None, Concurrency, TokenBucket, LeakyQueue, Replicas:
		return alike, false
	}
	if p.share > 0 || b.n < 2 || b.family == FixedFirst && b.anew {
		return alike, false
	}
	explains := func(g hypothesis) bool {
		q := &particle{hypothesis: g}
		return q.look(p.sights, math.Inf(1), b.cost+0.01)
	}
	g := hypothesis{family: FixedFirst, anew: true, n: b.n}
	for _, g.m = range []float64{1, 0} {
		for _, g.w = range midways(p.pauses(g.m > 0)) {
			if explains(g) || g.m > 0 && g.w < b.w && (b.family == FixedFirst || b.family == FixedClock) && p.forgets(hypothesis{family: SlidingLog, n: b.n, w: b.w}, g.w) {
				return g, true
			}
		}
	}
	// Many keep the time of the latest as whole seconds. Of one of these it is a window of the clock.
	gaps := p.pauses(false)
	if len(gaps) == 0 {
		return alike, false
	}
	g.tick = 1
	for g.w = 2; g.w < gaps[len(gaps)-1]+2 && g.w < 4000; g.w++ {
		for _, early := range p.shifts() {
			if g.ph = p.evenHead(FixedClock, g.tick) - early; explains(g) {
				return g, true
			}
		}
	}
	return alike, false
}

// forgets tells whether a limit explains all that was seen, if it is as good as new whenever
// nobody asked for so long, as a key that expires is.
func (p *Probe) forgets(h hypothesis, silence float64) bool {
	for from, i := 0, 1; i <= len(p.sights); i++ {
		if i < len(p.sights) && p.sights[i].d-p.sights[i-1].since < silence {
			continue
		}
		q := &particle{hypothesis: h}
		if q.see(p.sights[from:i], 0.01); q.cost > 0.01 {
			return false
		}
		from = i
	}
	return true
}

// quieted asks what such a limit, where it explains all too, answers otherwise: single requests
// keep it from being quiet until what is believed has forgotten the first of them.
func (p *Probe) quieted() *experiment {
	shares := p.shares()
	if p.quiets >= quietsMost || !p.settled(shares) {
		return nil
	}
	h := p.herd(shares[0].Family)
	m, ok := p.quietAlike(h)
	if !ok {
		return nil
	}
	gap := 0.75 * m.w
	if m.tick > 0 {
		gap = 0.9 * (m.w - m.tick)
	}
	if gap -= p.rtt(); gap < 2*p.rtt() {
		return nil
	}
	b := h.best[0]
	pl := &planner{fitter: &p.fitter, rtt: p.rtt(), full: p.rtt(), slack: p.slack(), net: p.net(), now: p.sights[len(p.sights)-1].done}
	steps := []step{{idle: 1.1*max(b.period(), m.w+m.tick) + 0.1, n: 1}}
	for sent := 1; sent < int(b.n) && len(steps) < quietMost; sent++ {
		left := int(b.n) - sent
		e := &experiment{steps: append(slices.Clone(steps), step{idle: gap, n: left + 1}), why: whyQuieted, through: true}
		out := make([]span, 2*e.len())
		pl.foresee(b, e, out)
		if out[e.len()-1].lo > float64(left) {
			p.quiets++
			return e
		}
		steps = append(steps, step{idle: gap, n: 1})
	}
	return nil
}

const (
	whyQuieted = "keep it from being quiet, and see whether it opens all the same"
	quietsMost = 2  // so often it is asked
	quietMost  = 40 // waves of it
)

// quietSettle says what would tell a window that each request begins anew from another limit.
func quietSettle(m *hypothesis) string {
	what := "nothing was let through"
	if m.m > 0 {
		what = "nobody asked"
	}
	return fmt.Sprintf("rest, and send %d, one each %s: where the last is refused, all comes back only once %s for about %s", int(m.n)+1, waitWords(0.7*m.w), what, waitWords(m.w))
}
