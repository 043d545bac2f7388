package probe

import "math"

// A window from the first request on that is spent as soon as it opens looks like one of a
// clock, and the other way about: each begins where the last one ended. What tells them
// apart is a window that is begun late, and lasts for all of its time. A clock that runs
// evenly explains few of the answers anyway; a timer that is set anew each time is late by
// some of its time, and never by as much.

// drifts is how much longer than it should be each window of such a timer may be, as a share.
const drifts = 0.03

// begunLateMost is how many windows are begun late on purpose.
const begunLateMost = 2

// beginLate begins a window from the first request on later than it can begin, where each was
// begun as soon as it opened, and asks when the next one of a clock would have begun.
func (p *Probe) beginLate() *experiment {
	shares := p.shares()
	if shares[0].Family != FixedFirst || p.share > 0 || p.begunLate >= begunLateMost || !p.settled(shares) {
		return nil
	}
	h := p.herd(FixedFirst)
	q := h.best[0]
	if !p.inStep(q) || p.v.Requests+int(q.n)+1 > p.opt.MaxRequests {
		return nil
	}
	p.begunLate++
	idle := p.ready(h, int(q.n)) + (0.5+0.1*p.rng.Float64())*q.w
	return &experiment{why: "begin it late, and ask when a clock would have let pass more", steps: []step{{idle: idle, n: int(q.n)}, {idle: 0.7 * q.w, n: 1}}, through: true}
}

// inStep tells whether all windows from a first request on began where those of a timer
// would that is late each time: whether it would have let pass all that was refused.
func (p *Probe) inStep(q *particle) bool {
	began, timer := math.Inf(-1), span{} // when the two windows began, the first of them at the latest
	for i := range p.sights {
		w := &p.sights[i]
		if w.a > 0 && w.s > began+q.w {
			k := math.Floor((w.d - timer.lo) / q.w)
			if math.IsInf(began, -1) || k > 3 { // where it stands is not known
				timer = span{w.s, w.d}
			} else {
				timer = span{timer.lo + k*q.w, min(timer.hi+k*q.w*(1+drifts), w.d)}
			}
			began = w.d
		}
		if w.r > 0 && w.s > timer.hi+q.w*(1+drifts) && w.s < began+q.w && p.admittedFrom(timer.lo+q.w, i) < q.n {
			return false
		}
	}
	return true
}

// admittedFrom is how many may have been admitted from an instant on, up to wave i.
func (p *Probe) admittedFrom(at float64, i int) (n float64) {
	for ; i >= 0 && p.sights[i].d >= at; i-- {
		n += float64(p.sights[i].a)
	}
	return n
}
