package probe

import "math"

// rounds is how many times what a limit lets through is spent at full speed in
// search of a second limit that is slower, where nothing else was asked for.
const rounds = 6

// atEase is how many times as long as at full speed it may take. Subtle: a second limit
// is met only by spending faster than it gives. One that gives more than 0.7 of the first
// is not looked for.
const atEase = 1.4

// shortfall is what is missing of spending at full speed: so many requests, in waves of
// part after a pause each, which are so many rounds. The zero value: nothing is.
type shortfall struct {
	rounds, requests, part int
	pause                  float64
}

// lacking is what is missing before a second limit that is slower can be left out of
// account. It is nothing where there cannot be one.
func (p *Probe) lacking(q *particle) shortfall {
	n, period := int(q.n), q.round()
	l := shortfall{part: n, pause: 1.01 * period}
	switch q.family {
	case None, Concurrency, Stacked, LeakyQueue, Ban:
		return shortfall{}
	case RefillBucket: // whole portions: what does not fit is lost
		k := math.Floor(q.n / q.m)
		l.part, l.pause = int(k*q.m), 1.01*k*q.w
	case SlidingWindow, SlidingWindowDenied:
		// What the window before still takes leaves room for an even pace only.
		l.part = max(1, n/5)
		l.pause = 1.04 * period * float64(l.part) / float64(n)
	}
	// Of a small limit more, which cost little: ten a second is often a hundred a minute, too.
	want, beyond := p.opt.Second, 1 // so many times is looked for as well
	if want == 0 {
		if want = rounds; q.family == FixedClock {
			want += 2 // the longer may be one of the clock, too, and begin anew meanwhile
		}
		beyond = 0
		for want < 2*rounds && (want+1)*n <= 120 && float64(want+1)*period < 30 {
			want, beyond = want+1, 1
		}
	}
	if want < 2 {
		return shortfall{}
	}
	most := p.opt.MaxRequests / 2
	if p.opt.Second > 0 { // who asks for it pays for it
		most = p.opt.MaxRequests * 4 / 5
	}
	for want > 2 && want*n > most {
		want--
	}
	long := float64(want) * (atEase*period + 2*p.rtt())
	for i := range p.sights {
		if p.admittedIn(i, long) >= float64(want*n+beyond) {
			return shortfall{}
		}
	}
	// What was spent lately counts, where the rest follows at once.
	lately := func(rounds int) float64 { return p.admittedIn(len(p.sights)-1, long-1.03*period*float64(rounds)) }
	for l.rounds = want; l.rounds > 1 && lately(l.rounds) >= float64((want-l.rounds+1)*n); {
		l.rounds--
	}
	l.requests = max(1, min(l.rounds*n, want*n-int(lately(l.rounds)))+beyond)
	return l
}

// round is how long a limit takes to let through as many as it is, at full speed.
func (h *hypothesis) round() float64 {
	switch h.family {
	case TokenBucket:
		return h.w * h.n
	case RefillBucket:
		return h.w * h.n / h.m
	}
	return h.w
}

// spent is how many times the limit was spent at full speed; 0 where there cannot be a
// second one that is slower.
func (p *Probe) spent(q *particle) (times float64) {
	switch q.family {
	case None, Concurrency, Stacked, Replicas, LeakyQueue, Ban:
		return 0
	}
	period := q.round()
	for k := 1.0; k <= float64(p.mostRounds()); k++ {
		long := k * (atEase*period + 2*p.rtt())
		for i := range p.sights {
			if n := p.admittedIn(i, long); n >= k*q.n {
				times = max(times, n/q.n)
			}
		}
	}
	return times
}

// sustain returns what is missing of spending at full speed for a while, in
// search of a second limit. It is asked when all else is settled.
func (p *Probe) sustain() *experiment {
	if !p.settled(p.shares()) {
		return nil
	}
	h := p.herd(p.shares()[0].Family)
	q := h.best[0]
	l := p.affordable(p.lacking(q))
	if l.rounds == 0 {
		return nil
	}
	if p.sustained += l.rounds; p.sustained > p.mostRounds() {
		return nil
	}
	idle, first := p.begins(h, l)
	e := &experiment{why: "spend at full speed, in case a second limit is slower", steps: []step{{idle: idle, n: first}}}
	for left := l.requests - first; left > 0; left -= l.part {
		e.steps = append(e.steps, step{idle: l.pause, n: min(left, l.part)})
	}
	return e
}

// mostRounds is how many rounds at full speed there are at most, in all: as many as were
// asked for, and as many again where the first showed another limit than was believed.
func (p *Probe) mostRounds() int { return max(4*rounds, 2*p.opt.Second) }

// affordable is as much of what is missing as the bounds allow. Where nobody said how far to
// look, it is all or nothing: what is left is then for other questions. Of the time a
// quarter is kept for these.
func (p *Probe) affordable(l shortfall) shortfall {
	left := p.opt.MaxRequests - p.v.Requests
	switch {
	case l.rounds == 0, p.opt.Second == 0 && l.requests > left:
		return shortfall{}
	case p.opt.Second == 0:
		return l
	}
	waves := math.Ceil(float64(l.requests) / float64(l.part))
	fit := min(waves, math.Floor(0.75*p.timeLeft()/(l.pause+p.rtt())), float64(left/l.part))
	switch {
	case fit == waves && l.requests <= left:
		return l
	case p.curtailed, fit < 2:
		return shortfall{}
	}
	p.curtailed = true
	l.rounds = max(1, int(float64(l.rounds)*fit/waves))
	l.requests = min(l.requests, int(fit)*l.part)
	return l
}

// begins is when to begin with what is missing, and with how many, to be done soonest: with
// what is left now, and the first whole part a pause later, or when more is back.
func (p *Probe) begins(h *herd, l shortfall) (idle float64, n int) {
	most := min(p.ready(h, min(l.part, l.requests)), 2*h.best[0].period())
	least := math.Inf(1)
	for i := range 11 {
		in := max(0.01, most*float64(i)/10)
		room := float64(l.part)
		if i < 10 {
			room = p.room(h, in)
		}
		k := min(int(room), l.part, l.requests)
		if k < 1 {
			continue
		}
		done := in + l.pause*math.Ceil(float64(l.requests-k)/float64(l.part))
		if done <= least {
			least, idle, n = done, in, k
		}
	}
	return idle, n
}

// room is how many all that explains as much as the best of a herd must admit some time
// from now.
func (p *Probe) room(h *herd, in float64) float64 {
	now, room := max(p.sights[len(p.sights)-1].done, p.clock.Now().Sub(p.start).Seconds()), math.Inf(1)
	for _, q := range h.unlike(8, h.cost()) {
		if q.cost > h.cost()+0.25 {
			continue
		}
		q.see(p.sights, math.Inf(1))
		least, _ := q.state.room(now+in, now+in+p.blur())
		room = min(room, least)
	}
	return room
}

// ready is how long from now until all that explains as much as the best of a herd must
// admit n at once.
func (p *Probe) ready(h *herd, n int) (in float64) {
	for most := 2 * h.best[0].period(); in < most && p.room(h, in) < float64(n); {
		in += most / 200
	}
	return in
}

// turn returns one round at full speed that measures as well: single requests about
// the instant at which the window ends, then half of the limit, and later the rest.
// From one round to the next the instant is known better by as much as there are
// singles; what comes back when tells logs from windows, and a second limit is met
// on the way.
func (p *Probe) turn() *experiment {
	shares := p.shares()
	windows := 0.0
	for _, s := range shares {
		switch s.Family {
		case FixedClock, FixedFirst, SlidingLog, SlidingLogDenied:
			windows += s.Share
		}
	}
	if windows < 0.9 || p.turns > 9 || p.settled(shares) {
		return nil
	}
	q := p.herd(shares[0].Family).best[0]
	n := int(q.n)
	if n < 2 {
		return nil
	}
	short := p.v.Requests+n+8 > p.opt.MaxRequests
	now := max(p.sights[len(p.sights)-1].done, p.clock.Now().Sub(p.start).Seconds())
	in := p.openings(shares, now)
	more := p.lacking(q).rounds
	if more > 0 && !p.askedTurns && p.same(q) {
		more-- // inTurn spends it once, too
	}
	wide := (in.hi - in.lo) / q.w
	_, most := q.state.room(now+0.01, now+0.01+p.blur())
	const why = "spend it again when it opens"
	switch {
	case in.hi > 2*q.w || wide < max(0.01, 0.8*blurs*p.jitter/q.w) && in.hi > 0 && (more == 0 || short):
		return nil
	case in.hi < 0.02 && !short && most > 1 && most <= float64(n)+0.5:
		p.turns++
		if q.family == SlidingLog || q.family == SlidingLogDenied {
			// It goes on opening as it was spent: only a refusal says where it stands.
			return &experiment{why: why, steps: []step{{idle: 0.01, n: int(most)}, {n: 1}}}
		}
		return &experiment{why: why, steps: []step{{idle: 0.01, n: int(most / 2)}, {idle: 0.45 * q.w, n: int(most) - int(most/2)}}}
	case in.lo < 0.02 && (p.sights[len(p.sights)-1].a > 0 || in.hi < 0.1*q.w):
		return nil // it may be open
	}
	p.turns++
	in.lo = max(in.lo, 0.02)
	// The fewer rounds there will be, the closer each looks.
	left := min(max(1, float64(more)), 5, max(1, math.Floor(float64(p.opt.MaxRequests-p.v.Requests-20)/float64(n))))
	looks := int(min(40, math.Ceil(math.Pow(max(1, wide/0.01), 1/left)))) - 1
	e := &experiment{why: why, until: true, steps: p.singles(in, looks)}
	if short || p.v.Requests+n+len(e.steps)+8 > p.opt.MaxRequests {
		return e // the instant alone
	}
	if half := n / 2; half > 1 {
		e.then = append(e.then, step{n: half - 1})
	}
	e.then = append(e.then, step{idle: 0.45 * q.w, n: n - n/2})
	return e
}

// openings is from when to when it may open, from now on, by what is believed.
func (p *Probe) openings(shares []Share, now float64) span {
	in, blur := span{math.Inf(1), 0}, p.blur()
	for _, s := range shares {
		if s.Share < 0.02 {
			continue
		}
		h := p.herd(s.Family)
		for _, o := range h.best {
			if o.cost > h.cost()+0.25 || o.state == nil {
				break
			}
			may, must := opens(o.state, now, blur, o.period())
			in = span{min(in.lo, may), max(in.hi, must)}
		}
	}
	return in
}

// singles are requests one at a time: so many within a span from now, where there are none
// just before it, and one after it, which there always is.
func (p *Probe) singles(in span, n int) (steps []step) {
	took, at := min(p.rtt(), quantile(p.nos, 0.75)), 0.0
	look := func(x float64) {
		if x-at > 0.01 {
			steps = append(steps, step{idle: x - at, n: 1})
			at = x + took
		}
	}
	if n == 0 {
		look(in.lo - 0.5*p.net())
	}
	for i := 1; i <= n; i++ {
		look(in.lo + (in.hi-in.lo)*float64(i)/float64(n+1))
	}
	look(max(in.hi, at+0.01) + 0.002)
	return steps
}
