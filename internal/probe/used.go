package probe

import (
	"context"
	"math"
	"slices"
)

// usedBefore looks for explanations in which somebody had used some of the limit
// before the first request, as who tries a URL by hand before it is probed. It is
// asked when nothing else explains what was seen, and once when all is settled:
// the start may have looked like another limit. Effort is how many hypotheses are
// tried of each family.
func (p *Probe) usedBefore(effort int) {
	if p.askedUsed {
		p.usedAgain(effort)
		return
	}
	p.askedUsed, p.usedAt = true, len(p.sights)
	for _, f := range []Family{FixedClock, FixedFirst, SlidingLog, SlidingLogDenied, SlidingWindow, SlidingWindowDenied, TokenBucket, RefillBucket, LeakyQueue, Ban} {
		h := &herd{family: f, used: true}
		p.drained(h)
		p.fit(h, effort)
		p.herds = append(p.herds, h)
	}
}

// usedAgain goes on where the very first request was refused, so that somebody has been there:
// how large the limit is shows only after a rest.
func (p *Probe) usedAgain(effort int) {
	if first := &p.sights[0]; first.a > 0 || first.r == 0 || len(p.sights) < p.usedAt*5/4 {
		return
	}
	p.usedAt = len(p.sights)
	for _, h := range p.herds {
		if h.used {
			h.dead = 0
			p.drained(h)
			p.fit(h, effort)
		}
	}
}

// drained puts token buckets into their herd: their rate is what came back between two
// refusals, and they hold at least what was let through without one.
func (p *Probe) drained(h *herd) {
	if h.family != TokenBucket || p.sights[0].a > 0 || p.sights[0].r == 0 {
		return
	}
	most, since := 0.0, 0.0
	for i := range p.sights {
		if since += float64(p.sights[i].a); p.sights[i].r > 0 {
			most, since = max(most, since), 0
		}
	}
	most = max(most, since)
	gains := p.gains(most, 0)
	if gains.lo <= 0 || gains.hi < gains.lo || gains.hi > 1e4 {
		return
	}
	rates := []float64{(gains.lo + gains.hi) / 2}
	for _, r := range roundRates(span{1 / gains.hi, 1 / gains.lo}) {
		rates = append(rates, r.limit/r.window)
	}
	for _, r := range rates {
		for dn := -3.0; dn < 4; dn++ {
			for _, part := range []float64{1, 1.2, 1.5, 2} {
				if c := p.within(hypothesis{family: TokenBucket, used: true, n: math.Round(part*most) + dn, w: 1 / r}, 1e9, 1e9); c != nil {
					h.best = append(h.best, c)
				}
			}
		}
	}
	slices.SortStableFunc(h.best, byCost)
	h.best = spread(h.best, h.size())
}

// refills finds out what comes back after rests that grow, where the very first request was
// refused: somebody has used it up, or it began empty.
func (p *Probe) refills(ctx context.Context) error {
	for _, idle := range [...]float64{0, 0.5, 2} {
		if p.lastRest = idle; idle > p.timeLeft()/6 {
			return nil
		}
		if err := p.refill(ctx, idle); err != nil {
			return err
		}
	}
	return nil
}

func (p *Probe) refill(ctx context.Context, idle float64) error {
	for n := 1; ; n += max(1, n/2) {
		w, err := p.wave(ctx, idle, n, "spend what came back")
		if err != nil || w.r > 0 || n > 200 {
			return err
		}
		idle = 0
	}
}

// restsLonger asks once more after a longer rest where the very first request was refused and
// nothing explains what is seen yet, before others are thought of.
func (p *Probe) restsLonger(ctx context.Context) (bool, error) {
	if p.sights[0].a > 0 || p.sights[0].r == 0 || p.cheapest() <= 3 || p.lastRest == 0 {
		return false, nil
	}
	if p.lastRest *= 2; p.lastRest > 60 || p.lastRest > p.timeLeft()/6 {
		p.lastRest = 0
		return false, nil
	}
	return true, p.refill(ctx, p.lastRest)
}

// without is what a particle leaves unexplained, apart from somebody who was there before.
func (q *particle) without() float64 {
	if q.used {
		return q.cost - usedCost
	}
	return q.cost
}
