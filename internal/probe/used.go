package probe

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
			p.fit(h, effort)
		}
	}
}

// without is what a particle leaves unexplained, apart from somebody who was there before.
func (q *particle) without() float64 {
	if q.used {
		return q.cost - usedCost
	}
	return q.cost
}
