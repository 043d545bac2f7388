package probe

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Probe is one investigation. Make one with New; use it once.
type Probe struct {
	sender Sender
	clock  Clock
	opt    Options

	fitter
	herds         []*herd
	start         time.Time
	tries         int // searches for what was overlooked
	sustained     bool
	askedReplicas bool
	spread        *spreadOut // what replicas would explain; nil where one limit does
	began, fitted bool
	v             *Verdict
	rtts          []float64 // of requests that did not wait for others
	nos           []float64 // of refused requests
	trace         func(format string, args ...any)
}

// New returns a probe that sends by s.
func New(s Sender, c Clock, o Options) *Probe {
	if o.MaxRequests == 0 {
		o.MaxRequests = 2500
	}
	if o.MaxRefused == 0 {
		o.MaxRefused = 300
	}
	if o.MaxTime == 0 {
		o.MaxTime = 30 * time.Minute
	}
	p := &Probe{sender: s, clock: c, opt: o, v: &Verdict{}}
	p.rng = rand.New(rand.NewPCG(o.Seed, 0x77656972))
	for f := range families {
		if f == Stacked {
			for _, k := range []Family{FixedClock, FixedFirst, SlidingLog, TokenBucket} {
				p.herds = append(p.herds, &herd{family: f, kind: k})
			}
		} else if f != Replicas {
			p.herds = append(p.herds, &herd{family: f})
		}
	}
	return p
}

// errStop is why a probe ends early, when it is no error.
type errStop string

func (e errStop) Error() string { return string(e) }

// Run probes until it knows, or a bound is reached. The error is the sender's or
// the context's; the verdict says what was known by then, too.
func (p *Probe) Run(ctx context.Context) (*Verdict, error) {
	err := p.investigate(ctx)
	p.conclude()
	if stop, ok := err.(errStop); ok {
		p.v.Stopped = string(stop)
		err = nil
	}
	return p.v, err
}

func (p *Probe) investigate(ctx context.Context) error {
	if err := p.ramp(ctx); err != nil {
		return err
	}
	if p.v.Refused == 0 {
		return nil
	}
	if err := p.reopen(ctx); err != nil {
		return err
	}
	p.fitAll()
	for round := range 45 {
		p.refit()
		if best := p.cheapest(); best > 8 && round >= 1 && !p.askedReplicas {
			p.askedReplicas = true
			s, err := p.replicated(ctx)
			if err != nil {
				return err
			}
			if p.spread = s; s != nil {
				return nil
			}
		}
		if p.trace != nil {
			p.report()
		}
		e := p.next()
		if e == nil {
			e = p.sustain()
		}
		if e == nil {
			if p.tries++; p.tries > 12 || !p.revive() {
				return nil
			}
			continue
		}
		if p.opt.Progress != nil {
			p.opt.Progress(p.belief(e.why))
		}
		for i := 0; i < len(e.steps); {
			j := i + 1
			for j < len(e.steps) && e.steps[j].meanwhile {
				j++
			}
			w, err := p.portions(ctx, e.steps[i:j], e.why)
			if err != nil {
				return err
			}
			if e.until && w.a > 0 {
				break
			}
			i = j
		}
	}
	return nil
}

func (p *Probe) fitAll() {
	for _, h := range p.herds {
		p.fit(h, 500)
	}
	p.fitted = true
}

// ramp sends waves that double until something is refused.
func (p *Probe) ramp(ctx context.Context) error {
	const why = "burst from rest, doubling"
	for range 2 {
		if w, err := p.wave(ctx, 0, 1, why); err != nil || w.r > 0 {
			return err
		}
	}
	for n := 2; p.v.Requests < p.opt.MaxRequests*6/10; n = max(n+1, min(n*17/10, 60+p.v.Requests*3/10)) {
		n = min(n, p.opt.MaxRequests*6/10)
		w, err := p.wave(ctx, 0, n, why)
		if err != nil || w.r > 0 {
			return err
		}
	}
	return nil
}

// reopen looks for the first admission after a refusal, at growing distances.
func (p *Probe) reopen(ctx context.Context) error {
	idle := 0.02
	for {
		w, err := p.wave(ctx, idle, 1, "look for the first admission")
		if err != nil || w.a > 0 {
			return err
		}
		idle = max(idle*1.6, 0.05)
	}
}

// wave sends n requests after an idle time and takes the answers in.
func (p *Probe) wave(ctx context.Context, idle float64, n int, why string) (*sight, error) {
	return p.waves(ctx, []step{{idle: idle, n: n}}, why)
}

// portions sends a large wave in three parts, until something is refused: that
// costs two round trips and saves most refusals. Not where requests are worked on
// for long, or queue: the wait for the answers would be another experiment.
func (p *Probe) portions(ctx context.Context, steps []step, why string) (w *sight, err error) {
	queue := p.herd(LeakyQueue)
	if len(steps) > 1 || steps[0].n < 15 || p.hold > p.jitter || queue.cost() < 1 {
		return p.waves(ctx, steps, why)
	}
	idle, left := steps[0].idle, steps[0].n
	for part := left * 6 / 10; left > 0; left -= part {
		if left < steps[0].n {
			part = max(1, steps[0].n/5)
		}
		w, err = p.wave(ctx, idle, min(part, left), why)
		if err != nil || w.r > 0 {
			return w, err
		}
		idle = 0
	}
	return w, nil
}

// waves sends the first step after its idle time and the others meanwhile.
func (p *Probe) waves(ctx context.Context, steps []step, why string) (*sight, error) {
	total := 0
	for _, s := range steps {
		total += s.n
	}
	switch idle := steps[0].idle; {
	case p.v.Requests+total > p.opt.MaxRequests:
		return nil, errStop("the bound on requests was reached")
	case p.v.Refused >= p.opt.MaxRefused:
		return nil, errStop("the bound on refused requests was reached")
	case p.began && p.clock.Now().Sub(p.start)+seconds(idle) > p.opt.MaxTime:
		return nil, errStop("the bound on time was reached")
	case idle > 0:
		if err := p.clock.Sleep(ctx, p.clock.Now().Add(seconds(idle))); err != nil {
			return nil, err
		}
	}
	var at []time.Duration
	after := 0.0
	for i, s := range steps {
		if i > 0 {
			after += s.idle
		}
		for range s.n {
			at = append(at, seconds(after))
		}
	}
	answers, err := p.sender.Send(ctx, at)
	if err != nil {
		return nil, err
	}
	if !p.began && len(answers) > 0 {
		p.began, p.start = true, answers[0].Sent
	}
	for _, s := range steps {
		p.take(answers[:s.n], why)
		answers = answers[s.n:]
	}
	net := p.net()
	for i := range p.sights {
		w := &p.sights[i]
		w.d = min(w.done, w.last+net)
		if i+1 < len(p.sights) {
			// What was sent later was decided later, or nearly.
			w.d = max(w.last, min(w.d, p.sights[i+1].s+net))
		}
		w.early = w.quick - net
		w.tight = w.slack
		if len(p.rtts) > 0 && len(p.nos) > 1 {
			w.tight = min(w.slack, 0.005+max(1.2*p.rtts[0], net+p.hold))
		}
	}
	p.hold = max(0, p.rtt()-quantile(append(p.nos, p.rtt()), 0.5))
	p.jitter = net
	p.most = 2*float64(p.v.Requests) + 10
	return &p.sights[len(p.sights)-1], nil
}

// take takes in the answers of one wave.
func (p *Probe) take(answers []Answer, why string) {
	w := sight{s: math.Inf(1), done: math.Inf(-1), quick: math.Inf(1)}
	wv := Wave{Why: why}
	for _, a := range answers {
		s, d := a.Sent.Sub(p.start).Seconds(), a.Done.Sub(p.start).Seconds()
		w.s, w.last, w.done = min(w.s, s), max(w.last, s), max(w.done, d)
		switch a.Outcome {
		case Admitted:
			w.a++
			w.slow = max(w.slow, d-s)
			w.ended = max(w.ended, d)
			w.quick = min(w.quick, d)
			if len(p.rtts) == 0 { // those that follow may wait for it
				p.rtts = append(p.rtts, d-s)
			}
		case Refused:
			w.r++
			p.nos = append(p.nos, d-s)
		default:
			w.lost++
		}
		if wv.Sent.IsZero() || a.Sent.Before(wv.Sent) {
			wv.Sent = a.Sent
		}
		if a.Done.After(wv.Done) {
			wv.Done = a.Done
		}
	}
	w.slack = p.slack()
	if w.scale = float64(w.a); len(p.sights) > 0 {
		last := &p.sights[len(p.sights)-1]
		if w.scale = last.scale; p.v.Refused == 0 {
			w.scale += float64(w.a)
		}
	}
	wv.Admitted, wv.Refused, wv.Lost = w.a, w.r, w.lost
	p.v.Waves = append(p.v.Waves, wv)
	p.v.Requests += len(answers)
	p.v.Refused += w.r
	p.v.Lost += w.lost
	p.sights = append(p.sights, w)
}

// slack is how long an answer may take without a queue.
func (p *Probe) slack() float64 {
	if len(p.rtts) == 0 {
		return 0.5
	}
	most := p.rtts[0]
	for _, d := range p.nos {
		most = max(most, d)
	}
	return 0.03 + 2.5*most
}

// net is how long after it was sent a request may be decided. A limit is asked
// before the work is done, so the answers to refused requests show it.
func (p *Probe) net() float64 {
	if len(p.nos) == 0 {
		return math.Inf(1)
	}
	return 0.003 + slices.Max(p.nos)*(1+2/float64(len(p.nos)))
}

func (p *Probe) rtt() float64 {
	return quantile(p.rtts, 0.75)
}

func quantile(x []float64, q float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[int(float64(len(x)-1)*q)]
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// refit renews every family that may still be the one.
func (p *Probe) refit() {
	best := math.Inf(1)
	for _, h := range p.herds {
		for _, q := range h.best {
			q.see(p.sights, math.Inf(1))
		}
		slices.SortStableFunc(h.best, byCost)
		best = min(best, h.cost())
	}
	for _, h := range p.herds {
		switch c := h.cost() - best; {
		case c < 0.5:
			h.dead = 0
			p.fit(h, 60)
			continue
		case h.dead == 0:
			p.fit(h, 700)
		case h.dead < 4 || h.dead%4 == 0:
			p.fit(h, 120)
		}
		h.dead++
	}
}

// cheapest is what the best hypothesis leaves unexplained.
func (p *Probe) cheapest() float64 {
	best := math.Inf(1)
	for _, h := range p.herds {
		best = min(best, h.cost())
	}
	return best
}

// revive searches once more for an explanation by the families that have none,
// and tells whether one was found.
func (p *Probe) revive() (found bool) {
	best := math.Inf(1)
	for _, h := range p.herds {
		best = min(best, h.cost())
	}
	for _, h := range p.herds {
		if before := h.cost(); before > best+4 || before == best {
			p.fit(h, 1200)
			found = found || before > best+4 && h.cost() < best+4
		}
	}
	return found || !p.settled(p.shares()) && p.tries < 8
}

// sustain spends at full speed for a while, in search of a second limit that is
// slower, unless that has happened already. Once, when all else is settled.
func (p *Probe) sustain() *experiment {
	if p.sustained || !p.settled(p.shares()) {
		return nil
	}
	q := p.herd(p.shares()[0].Family).best[0]
	switch q.family {
	case None, Concurrency, Stacked, LeakyQueue, Ban:
		return nil
	}
	p.sustained = true
	const rounds = 5
	full := rounds * q.n
	span := q.period() * (rounds + 0.5)
	if q.family == TokenBucket || q.family == RefillBucket {
		full = rounds * q.n / 2
	}
	for i := range p.sights {
		if p.admittedIn(i, span) >= full {
			return nil
		}
	}
	n := int(q.n)
	if p.v.Requests+rounds*n > p.opt.MaxRequests || n > 150 {
		return nil
	}
	e := &experiment{why: "spend at full speed, in case a second limit is slower"}
	for range rounds {
		e.steps = append(e.steps, step{idle: q.period() * 1.01, n: n})
	}
	return e
}

// prior is how much a family must explain better than a simpler one.
func prior(f Family) float64 {
	switch f {
	case Stacked:
		return 3
	case RefillBucket, Ban, LeakyQueue:
		return 0.7
	}
	return 0
}

// shares is the belief in each family.
func (p *Probe) shares() []Share {
	var out []Share
	best := math.Inf(1)
	for _, h := range p.herds {
		best = min(best, h.cost()+prior(h.family))
	}
	sum := 0.0
	for _, h := range p.herds {
		if len(h.best) == 0 || h != p.herd(h.family) {
			continue
		}
		s := math.Exp(best - h.cost() - prior(h.family))
		sum += s
		out = append(out, Share{Family: h.family, Share: s})
	}
	for i := range out {
		out[i].Share /= sum
	}
	slices.SortStableFunc(out, func(a, b Share) int { return cmp.Compare(b.Share, a.Share) })
	return out
}

// herd returns the herd of a family; of two limits, the best one.
func (p *Probe) herd(f Family) (best *herd) {
	for _, h := range p.herds {
		if h.family == f && (best == nil || h.cost() < best.cost()) {
			best = h
		}
	}
	return best
}

// next chooses the next experiment; nil when there is nothing to learn.
func (p *Probe) next() *experiment {
	shares := p.shares()
	last := p.sights[len(p.sights)-1]
	pl := &planner{fitter: &p.fitter, rtt: min(p.rtt(), quantile(p.nos, 0.75)), full: p.rtt(), slack: p.slack(), net: p.net()}
	pl.now = max(last.done, p.clock.Now().Sub(p.start).Seconds())
	for _, s := range shares {
		if s.Share < 0.002 {
			continue
		}
		for _, h := range p.herds {
			if h.family != s.Family {
				continue
			}
			n := 0
			for n < min(9, len(h.best)) && h.best[n].cost <= p.herd(s.Family).cost()+2 {
				n++
			}
			for _, q := range h.best[:n] {
				pl.live = append(pl.live, q)
				pl.weight = append(pl.weight, (0.1+s.Share)*math.Exp(h.best[0].cost-q.cost)/float64(n))
			}
		}
	}
	if p.settled(shares) {
		return nil
	}
	left := p.opt.MaxTime.Seconds() - pl.now
	e, gain := pl.choose(pl.candidates(), func(req, ref, took float64) bool {
		return p.v.Requests+int(req) <= p.opt.MaxRequests && p.v.Refused+int(ref) <= p.opt.MaxRefused && took < left
	})
	if gain < 1e-4 {
		return nil
	}
	return e
}

// settled tells whether one family is left and its figures are known.
func (p *Probe) settled(shares []Share) bool {
	others := 0.0
	for _, s := range shares[1:] {
		if s.Family != Stacked { // which explains whatever one of its two does
			others += s.Share
		}
	}
	if others > 0.01 || shares[0].Share < 0.9 {
		return false
	}
	h := p.herd(shares[0].Family)
	for _, q := range h.best {
		if q.cost > h.cost()+1 {
			break
		}
		if differ(q, h.best[0]) > 0 {
			return false
		}
	}
	return true
}

// Trace makes the probe say after each experiment what every family comes to.
// It is for those who work on the probe; call it before Run.
func (p *Probe) Trace(say func(format string, args ...any)) { p.trace = say }
