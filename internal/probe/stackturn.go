package probe

import (
	"math"
)

// stackTurns is how many times longTurn is asked at most.
const stackTurns = 24

// outlook is what the pairs that may be the one say of what is next.
type outlook struct {
	best      *particle
	w, v, m   span // of those of the same kinds as the best
	kinds     bool // the first is of one kind
	one       span // when the first limit opens, from now on: the soonest it may, the latest it must
	two, both span // when the second does, and when both do
	now, blur float64
}

// look returns that, and whether the first limit is known well enough to plan with.
func (p *Probe) outlook() (o outlook, ok bool) {
	best := p.herd(Stacked)
	q := best.best[0]
	o = outlook{best: q, w: span{q.w, q.w}, v: span{q.v, q.v}, m: span{q.m, q.m}, kinds: true, blur: p.blur()}
	o.now = max(p.sights[len(p.sights)-1].done, p.clock.Now().Sub(p.start).Seconds())
	never := span{math.Inf(1), 0}
	o.one, o.two, o.both = never, never, never
	for _, h := range p.herds {
		if h.family != Stacked {
			continue
		}
		for _, c := range h.best {
			if c.cost > best.cost()+0.25 || c.state == nil {
				break
			}
			if math.Abs(c.n-q.n) > 1+0.05*q.n {
				return o, false
			}
			st := c.state.(*pair)
			one, two := c.parts()
			add := func(s *span, m model, period float64) {
				may, must := opens(m, o.now, o.blur, period)
				*s = span{min(s.lo, may), max(s.hi, must)}
			}
			add(&o.one, st.one, one.period())
			add(&o.two, st.two, two.period())
			add(&o.both, st, c.period())
			if c.kind == q.kind {
				o.w = o.w.with(c.w)
			} else {
				o.kinds = false
			}
			if c.kind2 == q.kind2 {
				o.v = o.v.with(c.v)
			}
			o.m = o.m.with(c.m)
		}
	}
	return o, true
}

// longTurn measures two limits, as turn does one. While the longer refuses, it looks for
// the instant at which that opens; while it is open, it is used up as fast as the
// shorter one lets, which is measured on the way. From one opening to the next the window
// is known better, and what goes through between them is what the longer limit holds.
func (p *Probe) longTurn() *experiment {
	shares := p.shares()
	if shares[0].Family != Stacked || shares[0].Share < 0.7 || p.longs >= stackTurns || p.settled(shares) {
		return nil
	}
	o, ok := p.outlook()
	if !ok || o.best.also != Apart && !o.kinds && onPurpose(p.why) {
		return nil // what else would tell more is asked in between
	}
	wide := func(s span) bool { return s.hi-s.lo > max(0.012*s.hi, 2*p.jitter) }
	long := wide(o.v) || o.best.kind2.gridded() && o.v.hi-o.v.lo > wellKnown*o.v.hi || o.m.hi-o.m.lo >= 1+0.01*o.m.hi || !p.metAgain() || p.unopened()
	closed := o.two.lo > 0.02 || o.two.hi > 0.02 && p.sights[len(p.sights)-1].a == 0
	switch {
	case closed && long, long && p.dull[whyUseUp] > 1 && p.sights[len(p.sights)-1].r > 0:
		// Subtle: to use it up once more tells nothing where some pair may be open again
		// any time; single requests meanwhile do.
		p.longs++
		return p.longOpening(&o)
	case closed:
		return nil
	}
	first := o.w
	if o.best.kind == TokenBucket { // until it is full
		first = span{o.w.lo * o.best.n, o.w.hi * o.best.n}
	}
	if !o.kinds || wide(first) {
		if e := p.shortTurn(&o); e != nil {
			p.longs++
			return e
		}
	}
	if !long {
		return nil
	}
	p.longs++
	return p.useUp(&o)
}

// shortTurn is one round at full speed of the shorter limit: single requests about the
// instant at which its window ends, then half of it, and later the rest.
func (p *Probe) shortTurn(o *outlook) *experiment {
	q := o.best
	n := int(q.n)
	st := q.state.(*pair)
	least, _ := st.two.room(o.now, o.now+o.blur)
	if q.kind == TokenBucket {
		return p.shortPace(o, least)
	}
	if n < 2 || least < q.n || p.v.Requests+2*n+10 > p.opt.MaxRequests {
		return nil
	}
	rtt := min(p.rtt(), quantile(p.nos, 0.75))
	e := &experiment{why: whyShort}
	if o.one.lo < 0.02 {
		_, most := st.one.room(o.now+0.01, o.now+0.01+o.blur)
		if most < 1 || most > q.n+0.5 {
			return nil
		}
		if q.kind == SlidingLog {
			e.steps = []step{{idle: 0.01, n: int(most)}, {n: 1}}
			return e
		}
		half := max(1, int(most/2))
		e.steps = []step{{idle: 0.01, n: half}}
		if rest := int(most) - half; rest > 0 {
			e.steps = append(e.steps, step{idle: 0.45 * q.w, n: rest})
		}
		return e
	}
	if o.one.hi > 2.5*q.w || o.one.hi-o.one.lo < 0.01*q.w {
		return nil
	}
	e.until = true
	at := 0.0
	look := func(x float64) {
		if x-at > 0.01 {
			e.steps = append(e.steps, step{idle: x - at, n: 1})
			at = x + rtt
		}
	}
	lo, hi := o.one.lo, o.one.hi
	k := int(min(12, math.Ceil(math.Sqrt((hi-lo)/(0.01*q.w)))))
	for i := 1; i < k; i++ {
		look(lo + (hi-lo)*float64(i)/float64(k))
	}
	look(hi + 0.002)
	if half := n / 2; half > 1 {
		e.then = append(e.then, step{n: half - 1}, step{idle: 0.45 * q.w, n: n - half})
	} else {
		e.then = append(e.then, step{idle: 0.45 * q.w, n: n - 1})
	}
	return e
}

// shortPace empties the shorter limit, a bucket, again and again while the longer one
// has room for it: what was given adds up, and each time a little more is asked for.
func (p *Probe) shortPace(o *outlook, room float64) *experiment {
	part := max(1, math.Floor(0.8*o.best.n))
	times := int(min(8, math.Floor(room/part)))
	if times < 3 || part*o.best.w < 2*p.rtt() || p.v.Requests+times*int(part+2) > p.opt.MaxRequests {
		return nil
	}
	e := &experiment{why: whyShort, through: true, steps: []step{{idle: 0.01, n: int(o.best.n) + 1}}}
	for range times - 1 {
		e.steps = append(e.steps, step{idle: part * o.best.w, n: int(part) + 1})
	}
	return e
}

// longOpening looks for the instant at which the longer limit opens, or for that ever
// later where nothing bounds it yet.
func (p *Probe) longOpening(o *outlook) *experiment {
	e := &experiment{why: "look for the opening of the longer limit", until: true}
	rtt := min(p.rtt(), quantile(p.nos, 0.75))
	_, two := o.best.parts()
	period := two.period()
	at := 0.0
	look := func(x float64) {
		if x-at > 0.005 {
			e.steps = append(e.steps, step{idle: x - at, n: 1})
			at = x + rtt
		}
	}
	since := 0.0 // how long it has refused
	for i := len(p.sights) - 1; i >= 0 && p.sights[i].a == 0; i-- {
		since = p.sights[len(p.sights)-1].s - p.sights[i].s
	}
	ratio := 1.3 // finer where it costs much to use it up again
	switch {
	case o.m.hi > 200:
		ratio = 1.12
	case o.m.hi > 80:
		ratio = 1.18
	}
	lo, hi := max(o.both.lo, 0.01), o.both.hi
	if hi-lo < 0.3*period || math.Pow(ratio, 8)*(since+lo) > since+hi {
		// All at once where that is cheaper than to use it up once more.
		k := (hi - lo) / (0.01 * period)
		if root := math.Sqrt(k); k-root > o.m.hi/8 || k > 24 {
			k = root
		}
		k = min(24, math.Ceil(k))
		for i := 1.0; i <= k; i++ {
			look(lo + (hi-lo)*i/(k+1))
		}
		look(hi + 0.002)
		return e
	}
	for x := max(lo, (ratio-1)*since, 0.3*o.best.w); len(e.steps) < 8; x = ratio*(x+since) - since {
		look(x)
	}
	return e
}

// What is sent to use the longer limit up, and to measure the shorter one meanwhile.
const (
	whyUseUp = "use up the longer limit"
	whyShort = "spend the shorter limit again when it opens"
	whyFast  = "spend as fast as the short limit lets"
	whyLong  = "use up the long limit"
	whyRest  = "rest, and use up the long limit"
)

func onPurpose(why string) bool {
	switch why {
	case whyUseUp, whyShort, whyFast, whyLong, whyRest:
		return true
	}
	return false
}

// useUp uses up the longer limit, as fast as the shorter one lets, and ends with the
// first refusal.
func (p *Probe) useUp(o *outlook) *experiment {
	one, _ := o.best.parts()
	st := o.best.state.(*pair)
	part, pause := one.pace()
	wait := max(o.one.hi, o.two.hi) + 0.01
	room, _ := st.one.room(o.now+wait, o.now+wait+o.blur)
	_, left := st.two.room(o.now+wait, o.now+wait+o.blur)
	for _, h := range p.herds { // what is refused may count, and it holds more then
		if h.family != Stacked || h.also == Apart && o.best.also == Apart {
			continue
		}
		for _, c := range h.best {
			if c.cost > o.best.cost+0.25 || c.state == nil {
				break
			}
			if other, _ := c.parts(); h.also != Apart && o.best.also != Apart {
				// The shorter is less known: as fast as it may be, which tells.
				if _, soon := other.pace(); soon < pause {
					part, pause = other.pace()
				}
			}
			_, most := c.state.(*pair).two.room(o.now+wait, o.now+wait+o.blur)
			left, o.m.hi = max(left, most), max(o.m.hi, c.m)
		}
	}
	left = min(max(left, 1), o.m.hi) + 1
	first := max(1, min(room, left))
	e := &experiment{why: whyUseUp, steps: []step{{idle: wait, n: int(first)}}, halt: true}
	total := int(first)
	for left -= first; left > 0 && len(e.steps) < 60 && p.v.Requests+total+int(part) <= p.opt.MaxRequests; left -= part {
		n := int(max(1, min(part, left)))
		e.steps = append(e.steps, step{idle: pause, n: n})
		total += n
	}
	if p.v.Requests+total > p.opt.MaxRequests {
		return nil
	}
	return e
}

// pace is how a limit is spent at full speed: in waves of part, with pauses.
func (h *hypothesis) pace() (part, pause float64) {
	switch h.family {
	case TokenBucket:
		part = max(1, math.Floor(0.8*h.n))
		return part, 1.02 * part * h.w
	case SlidingWindow:
		// What the window before still takes leaves room for an even pace only.
		part = max(1, math.Floor(h.n/5))
		return part, 1.04 * h.w * part / h.n
	}
	return h.n, 1.02 * h.w
}
