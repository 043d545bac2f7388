package probe

// usedBefore looks for explanations in which somebody had used some of the limit
// before the first request, as who tries a URL by hand before it is probed. It is
// asked when nothing else explains what was seen, and once when all is settled:
// the start may have looked like another limit. Effort is how many hypotheses are
// tried of each family.
func (p *Probe) usedBefore(effort int) {
	if p.askedUsed {
		return
	}
	p.askedUsed = true
	for _, f := range []Family{FixedClock, FixedFirst, SlidingLog, SlidingLogDenied, SlidingWindow, SlidingWindowDenied, TokenBucket, RefillBucket, LeakyQueue, Ban} {
		h := &herd{family: f, used: true}
		p.fit(h, effort)
		p.herds = append(p.herds, h)
	}
}

// without is what a particle leaves unexplained, apart from somebody who was there before.
func (q *particle) without() float64 {
	if q.used {
		return q.cost - usedCost
	}
	return q.cost
}
