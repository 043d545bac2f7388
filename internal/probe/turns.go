package probe

import (
	"context"
	"math"
	"slices"
)

// turnSlip is by how much windows of replicas in turn may be off at least, as a share.
const turnSlip = 0.03

// crewMost is how many replicas are looked for at most.
const crewMost = 12

// turnMost is how many of them in turn at most, where each more that is excluded costs a refusal.
const turnMost = 8

// inTurn asks, before a single limit is believed, whether it may be several that are
// reached strictly in turn. A burst from rest cannot tell: each replica gets its
// part of it. So one is set apart first, by a single request some time before the
// others: what comes back when its time is over is for that one alone. It returns
// nil where one limit it is, or nothing can be told; see same.
func (p *Probe) inTurn(ctx context.Context, q *particle, unit span) (*spreadOut, error) {
	period := q.period()
	full := int(q.n)
	slow := p.net() + p.rtt()
	rest := 1.1*period + 0.02
	if p.v.Requests+full+30 > p.opt.MaxRequests || p.v.Refused+20 > p.opt.MaxRefused || rest+2*period > p.timeLeft() {
		p.unasked = true
		return nil, nil
	}
	if jitter := p.net() - p.base(); q.family == RefillBucket && (3*jitter > q.w || p.rtt() > 0.6*q.w) || q.family != RefillBucket && 8*slow > q.w {
		p.unasked = true
		return nil, nil // too slow to set one apart
	}
	const why = "one request, later the rest: in case there are replicas in turn"
	if h := p.herd(q.family); q.family != RefillBucket && len(h.best) > 0 && h.best[0] == q {
		all := p.ready(h, full) // the one must open a window of its own
		switch q.family {
		case FixedClock:
			all += 0.04 * q.w
		case SlidingLog, SlidingLogDenied:
			all = max(p.ready(h, 1), all-0.5*q.w)
		}
		rest = min(rest, all+0.01*q.w+p.net())
	}
	one, err := p.wave(ctx, rest, 1, why)
	if err != nil {
		return nil, err
	}
	until := func(at float64) float64 { return max(0, at-p.clock.Now().Sub(p.start).Seconds()) }
	began, ended := one.s, one.d
	// In parts, for it may hold less than is believed; few, where each takes long.
	part := max(3, full/20, int(math.Ceil(float64(full)*slow/(0.2*q.w))))
	total, apart := 1, 0.0
	var w *sight
	beyond := 1
	for sent, idle := 1, until(began+0.5*q.w); sent < 2*full+20; sent, idle = sent+part, 0 {
		if part = min(part, full-sent); part <= 0 && q.family == SlidingLogDenied {
			break // what is refused would be counted, and what it takes come back later
		} else if part <= 0 {
			part, beyond = beyond, min(2*beyond, 2+full/20)
		}
		if w, err = p.wave(ctx, idle, part, why); err != nil {
			return nil, err
		}
		if apart == 0 {
			apart = w.s
		}
		if total += w.a; w.r > 0 {
			break
		}
	}
	if float64(total) < 0.9*float64(full) {
		return nil, nil
	}
	if w.r == 0 && (q.family != SlidingLogDenied || total < full) || q.family != RefillBucket && w.s > began+0.9*q.w {
		return nil, nil
	}
	// Subtle: who is behind a balancer on a busy machine begins a window later than is seen.
	mid := (unit.lo + unit.hi) / 2
	s := &spreadOut{sure: unit.hi < 1.15*unit.lo, window: unit.with(mid * (1 - turnSlip)).with(mid * (1 + turnSlip))}
	if q.family == RefillBucket {
		m := int(q.m)
		var came [2]int
		late := w.s > began+0.9*q.w
		for i, at := range []float64{ended + 1.03*q.w, apart + 1.03*q.w + w.d - w.s} {
			if late {
				break
			}
			if w, err = p.wave(ctx, until(at+p.net()-p.base()), m, why); err != nil {
				return nil, err
			}
			came[i] = w.a
		}
		if late || m < 2 || came[0] != 1 || came[1] < m-1 || m == 2 && came[1] != 1 {
			if p.herd(RefillBucket).cost() < 3 {
				return nil, nil
			}
			return p.inSteps(ctx, fleet{kind: TokenBucket, r: m, n: math.Round(float64(total) / float64(m)), w: q.w}, apart)
		}
		s.replicas, s.each, s.bucket = m, int(math.Round(float64(total)/float64(m))), true
		if p.oneOfAll(fleet{way: byTurn, kind: TokenBucket, r: m, n: float64(s.each), w: q.w}) {
			return nil, nil // one bucket gives them back, one by one
		}
		s.window = span{unit.lo * float64(s.each), unit.hi * float64(s.each)}
	} else {
		most := 2
		for r := most; r <= turnMost; r++ {
			if total%r == 0 {
				most = r
			}
		}
		r, err := p.pattern(ctx, until(ended+1.02*q.w+p.net()), apart+0.99*q.w, most)
		if r < 2 || err != nil {
			return nil, err
		}
		s.replicas, s.each = r, int(math.Round(float64(total)/float64(r)))
		if !p.inOrder(fleet{kind: FixedFirst, r: r, n: float64(s.each), w: (unit.lo + unit.hi) / 2}) {
			return nil, nil
		}
	}
	s.low, s.high, s.share, s.gain = s.each, s.each, 0.99, 20
	if s.each*s.replicas != total { // they are not equal, or not so many
		s.low, s.high, s.sure = s.each-1, s.each+1, false
	}
	p.spread = s
	return s, nil
}

// inOrder tells whether turns explain what was seen, and better than chance does: the few
// answers of a pattern come in order by luck, now and then.
func (p *Probe) inOrder(f fleet) bool {
	var by [ways]judged
	for f.way = range ways {
		by[f.way] = p.upTo(1e6).judge(f, 60, 1e9)
	}
	turn := by[byTurn]
	if by[byLoad].cost < turn.cost {
		turn = by[byLoad]
	}
	if p.trace != nil {
		p.trace("   in order: %.1f off, cost %.1f, by chance %.1f", turn.off(), turn.cost, by[byChance].cost)
	}
	return turn.cost < by[byChance].cost && turn.off() < 8
}

// pattern sends single requests one after the other, until an instant at most, and
// tells after how many of them the same replica has its turn again; 0 where none is
// seen. What comes back with time does not look so: that is made sure of at
// another pace. It ends after more than most refusals in a row.
func (p *Probe) pattern(ctx context.Context, idle, until float64, most int) (replicas int, err error) {
	const why = "whether every so many is admitted, as replicas in turn do"
	var got []bool
	ask := func() error {
		w, err := p.wave(ctx, idle, 1, why)
		if err == nil {
			got = append(got, w.a > 0)
		}
		return err
	}
	no := 0
	for {
		for replicas = 0; replicas == 0; replicas = recurs(got) {
			if err := ask(); err != nil {
				return 0, err
			}
			idle = 0
			if no++; got[len(got)-1] {
				no = 0
			}
			late := p.sights[len(p.sights)-1].s > until
			if late || no > most || len(got) == 4 && !slices.Contains(got, false) || len(got) > 2*crewMost {
				return 0, nil
			}
		}
		// On at a slower pace, until the next that is to be admitted: what comes back with
		// time admits more then. What paces requests is the bound on their rate where
		// answers are quick.
		last := p.sights[len(p.sights)-len(got):]
		pace := (last[len(last)-1].s - last[0].s) / float64(len(last)-1)
		seen := len(got)
		yes, more := false, false
		for !yes && !more {
			idle = max(0.7*p.rtt(), 1.4*pace)
			yes = got[len(got)-replicas]
			if err := ask(); err != nil {
				return 0, err
			}
			more = got[len(got)-1] && !yes
		}
		idle, no = 0, 0
		switch {
		case more && replicas > crewMost/2:
			return 0, nil
		case more: // or there are more of them than it seemed: that goes on
		case !got[len(got)-1] && luck(got[:seen], replicas) > 0.005:
			return 0, nil // it has no more, or it was by chance
		default:
			return replicas, nil
		}
	}
}

// luck is the chance that answers at random repeat after so many.
func luck(got []bool, after int) float64 {
	yes := 0
	for _, g := range got {
		if g {
			yes++
		}
	}
	part, chance := float64(yes)/float64(len(got)), 1.0
	for _, g := range got[after:] {
		chance *= boolTo(g, part) + boolTo(!g, 1-part)
	}
	return chance
}

// recurs returns after how many answers they repeat, when there are enough to say so.
func recurs(got []bool) int {
	for r := 2; r <= crewMost && len(got) >= 2*r+1; r++ {
		yes, no, same := 0, 0, true
		for i, g := range got {
			same = same && (i < r || got[i-r] == g)
			if g {
				yes++
			} else {
				no++
			}
		}
		if same && yes >= 2 && no >= 2 {
			return r
		}
	}
	return 0
}

// filled tells whether buckets in turn explain what comes back: from rest all are
// emptied together, so that one unit comes back to each of them at once, as long
// after as it takes and not by any clock. total is what they hold together, rate
// what they give back in a second.
func (p *Probe) filled(ctx context.Context, total int, rate float64) (*spreadOut, error) {
	rest := 1.08*float64(total+1)/rate + 0.05 // which tells too whether there is more, see rested
	if rest > p.timeLeft()/4 || p.v.Requests+5*total/2+40 > p.opt.MaxRequests || p.v.Refused+40 > p.opt.MaxRefused {
		p.unasked = true
		return nil, nil
	}
	const why = "how long until one comes back, and how many do"
	if _, err := p.portions(ctx, []step{{idle: rest, n: total*3/2 + 1}}, why); err != nil {
		return nil, err
	}
	from := p.sights[len(p.sights)-1].s
	for p.sights[len(p.sights)-1].r == 0 {
		if _, err := p.wave(ctx, 0, 2+total/20, why); err != nil {
			return nil, err
		}
		if p.sights[len(p.sights)-1].s-from > 2/rate {
			p.unasked = true
			return nil, nil // it comes back as fast as it is spent
		}
	}
	for at := 1.2 / rate; ; at *= 1.1 {
		now := p.clock.Now().Sub(p.start).Seconds()
		if w, err := p.wave(ctx, max(0, from+at-now), 1, why); err != nil {
			return nil, err
		} else if w.a > 0 {
			break
		}
		if at > 3*crewMost/rate {
			p.unasked = true
			return nil, nil
		}
	}
	came := p.sights[len(p.sights)-1]
	unit := came.s - from
	no := max(p.sights[len(p.sights)-2].s-from, 0.9*unit)
	n := 1
	for ; n <= crewMost; n++ {
		if w, err := p.wave(ctx, 0, 1, why); err != nil {
			return nil, err
		} else if w.a == 0 {
			break
		}
	}
	if n < 2 {
		return nil, nil // one comes back at a time
	}
	p.unasked = true // unless what follows tells
	if n > crewMost || math.Abs(float64(n)/unit-rate) > 0.3*rate {
		return nil, nil
	}
	q := &particle{hypothesis: hypothesis{family: RefillBucket, n: float64(total), w: unit, m: float64(n)}}
	p.unasked = false
	return p.inTurn(ctx, q, span{no - p.net(), came.d - from})
}

// same tells whether what was seen so far leaves open that a limit is several in
// turn. Windows of one clock look the same whatever is sent; of the others only
// those that can be shared equally are asked.
func (p *Probe) same(q *particle) bool {
	if q.n < 4 {
		return false
	}
	switch q.family {
	case FixedFirst, FixedClock, SlidingLog, SlidingLogDenied:
		for r := 2.0; r <= crewMost; r++ {
			if math.Mod(q.n, r) == 0 {
				return true
			}
		}
	case TokenBucket:
		return 4*p.net() < crewMost*q.w
	case RefillBucket:
		return q.m >= 2 && q.m <= crewMost && q.n >= 2*q.m && math.Abs(math.Remainder(q.n, q.m)) <= p.units(&q.hypothesis)
	}
	return false
}

// alike is how many replicas in turn, with a part of the limit each, this one cannot be
// told from; 0 where it can. Windows of one clock do whatever
// is sent, and so do buckets that get a request's worth back faster than the network
// tells instants apart. Of the others it is asked, see inTurn, unless that is too dear.
func (p *Probe) alike(q *particle) int {
	switch q.family {
	case FixedClock:
	case TokenBucket:
		if 4*p.net() < crewMost*q.w && !p.unasked {
			return 0
		}
	case FixedFirst, SlidingLog, SlidingLogDenied, RefillBucket:
		if !p.same(q) || p.askedTurns && !p.unasked {
			return 0
		}
	default:
		return 0
	}
	if q.family == RefillBucket {
		return int(q.m)
	}
	for r := 2; r <= crewMost && r <= int(q.n)/2; r++ {
		if q.family == TokenBucket && q.n >= 4 || math.Mod(q.n, float64(r)) == 0 {
			return r
		}
	}
	return 0
}
