package probe

// confirms is how many waves at random times a limit without a round figure has to
// explain before it is said for certain.
const confirms = 4

// confirm returns one more wave at a time that nobody chose, when the winner's
// figure is not one that people choose: what explains all that was sent to find it
// may be a coincidence, and then it explains the next ones badly. It is asked when
// all else is settled.
func (p *Probe) confirm() *experiment {
	if p.confirmed >= confirms || !p.settled(p.shares()) {
		return nil
	}
	h := p.herd(p.shares()[0].Family)
	q := h.best[0]
	if q.family == None || q.family == Concurrency || q.family == LeakyQueue || p.isRound(h) {
		return nil
	}
	p.confirmed++
	n := 1 + p.rng.IntN(int(q.n)+1)
	if n > 60 {
		n = 60
	}
	// Half of the pauses are longer than two windows: some limits begin anew then.
	idle := (0.15 + 1.2*p.rng.Float64()) * q.period()
	if p.confirmed%2 == 0 {
		idle = (2.05 + 0.6*p.rng.Float64()) * q.period()
	}
	e := &experiment{why: "whether it holds at another time, too", steps: []step{{idle: idle, n: int(q.n) + 1 - n/2}, {idle: 0.6 * p.rng.Float64() * q.w, n: n}}}
	if p.v.Requests+int(q.n)+1+n > p.opt.MaxRequests || q.n > 150 {
		return nil
	}
	return e
}

// isRound tells whether what a herd leaves open has a figure of two digits in it.
func (p *Probe) isRound(h *herd) bool {
	w := span{h.best[0].w, h.best[0].w}
	for _, q := range h.best {
		if q.cost > h.cost()+0.25 {
			break
		}
		w = w.with(q.w)
	}
	switch h.family {
	case TokenBucket, LeakyQueue:
		r := roundRates(w)
		return len(r) > 0 && oddness(r[0].limit) <= 2
	}
	for _, v := range roundIn(w) {
		ms := v * 1000
		for ms >= 100 {
			if ms != float64(int(ms/10))*10 {
				break
			}
			ms /= 10
		}
		if ms < 100 && ms == float64(int(ms)) {
			return true
		}
	}
	return false
}
