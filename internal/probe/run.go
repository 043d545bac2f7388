package probe

import (
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
	from          time.Time     // when this session began; MaxTime counts from it
	paused        time.Duration // from the end of an earlier session to the beginning of this
	askedUsed     bool          // see usedBefore
	usedAt        int           // how many waves had been seen then
	lastRest      float64       // see restsLonger
	askedAnew     bool          // see anew
	askedLockouts bool          // see lockouts
	overlooks     Family        // of which overlooked was asked last
	askedTicks    sought        // see ticks
	askedLosing   sought        // see losing
	askedRenewed  sought        // see renewing
	confirmed     int           // waves of confirm
	doubted       int           // see doubt
	doubtedAt     int           // how many waves there were at the latest of them
	searched      int           // see searchOthers
	helds         int           // see held
	wasLeft       float64       // what the best left to chance in the round before
	pairings      int           // searches for two limits that others use, too
	pairedAt      int           // how many waves there were at the latest of them
	tries         int           // searches for what was overlooked
	sustained     int           // rounds at full speed
	endless       bool          // see endlessly
	curtailed     bool          // fewer of them than were asked for: the bounds allow no more
	turns         int           // see turn
	longs         int           // see longTurn
	paces         int           // see paced
	rests         int           // bursts after a rest, see rested
	parts         int           // see parted
	quiets        int           // see quieted
	partsSent     int           // requests of these
	combedAt      int           // how many waves there were at the latest search of roundly
	askedReplicas bool
	again         int  // bursts in search of replicas where others would have to use much of the limit
	one           bool // replicas seemed likely, and a clock explained it all
	broken        bool // what explained everything no longer does, nor does any other single limit
	whole         whole
	askedTurns    bool
	unasked       bool       // whether replicas in turn stand there could not be asked
	over          []int      // the connections that the next wave goes over; none: the first ones
	askedFleet    int        // how often, see manned
	unshared      float64    // what was left unexplained before others were allowed
	spread        *spreadOut // what replicas would explain; nil where one limit does
	hands         [][]hand   // of each wave, who got what
	began, fitted bool
	hints         Hints
	dull          map[string]int // experiments that told nothing lately
	was           [2]float64     // what learnt compares with
	made          int            // experiments made
	stale         float64        // experiments in a row that told nothing
	begunLate     int            // windows begun late on purpose, see beginLate
	asked         int            // requests when learnt was called last
	short         bool           // some experiment would tell more, and no bound allows it
	reviews       int            // how often what was seen was weighed anew
	why           string         // what the latest experiment was for; "" when it was another question
	v             *Verdict
	rtts          []float64 // of the quickest admitted request of each wave
	tails         []float64 // from the last request of a wave to its last answer
	nos           []float64 // of refused requests
	slows         int       // waves that were slower than the network alone explains
	trace         func(format string, args ...any)
}

// New returns a probe that sends by s.
func New(s Sender, c Clock, o Options) *Probe {
	if o.MaxRequests == 0 {
		o.MaxRequests = 5000
	}
	if o.MaxRefused == 0 {
		o.MaxRefused = 300
	}
	if o.MaxTime == 0 {
		o.MaxTime = 30 * time.Minute
	}
	p := &Probe{sender: s, clock: c, opt: o, v: &Verdict{}, dull: map[string]int{}}
	p.rng = rand.New(rand.NewPCG(o.Seed, 0x77656972))
	for f := range families {
		if f != Stacked && f != Replicas { // two limits are sought when one does not explain what is seen
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
	for _, r := range p.opt.Past {
		p.take(r.Answers, r.Why)
		p.v.Under = max(p.v.Under, underWay(r.Answers))
		p.bound()
	}
	p.from = p.clock.Now()
	if n := len(p.v.Waves); n > 0 {
		p.paused = max(0, p.from.Sub(p.v.Waves[n-1].Done))
	}
	err := p.investigate(ctx)
	stop, ok := err.(errStop)
	cut := err != nil && p.why == whyAgain // what was about to be confirmed
	p.conclude(ok)
	if ok {
		p.v.Stopped = string(stop)
		err = nil
	}
	if p.v.Sure && p.v.Quick {
		p.v.Sure, p.v.Open = false, "it was not put to the proof"
	}
	if p.v.Sure && (cut || ok && p.open()) {
		p.v.Sure, p.v.Open = false, "it ended before all was asked that might speak against it"
	}
	if !p.v.Sure {
		p.v.Confidence = min(p.v.Confidence, openMost)
	}
	return p.v, err
}

// open tells whether something was still to be asked of what is believed, however
// sure it seemed: what was overlooked, whether it is several replicas, whether a second
// limit is slower, and whether figures that nobody would choose hold at other times.
func (p *Probe) open() bool {
	if p.spread != nil || !p.fitted || p.v.Refused == 0 {
		return false
	}
	h := p.herd(p.v.Family)
	if h == nil || len(h.best) == 0 {
		return false
	}
	q := h.best[0]
	if q.family != Concurrency && (p.overlooks != q.family || !p.askedTurns && p.same(q)) {
		return true
	}
	return p.lacking(q).rounds > 0 && !p.curtailed || p.unconfirmed(h)
}

// reviews is how often all that was seen is weighed anew, at most.
const reviews = 60

// investigate begins as every probe does, and then asks one question after the other
// until none is left; see ask.
func (p *Probe) investigate(ctx context.Context) error {
	if found, err := p.begin(ctx); found || err != nil {
		return err
	}
	p.fitAll()
	for p.reviews = range reviews {
		p.refit()
		p.siblings(false)
		p.restack()
		if p.why != "" {
			p.learnt(p.why)
		}
		if err := p.hopeless(); err != nil {
			return err
		}
		out, err := p.ask(ctx)
		switch {
		case out == known && err == nil && p.spread != nil && !p.spread.sure && !p.one && p.byClock():
			p.spread, p.one = nil, true
		case out == known || err != nil:
			return err
		}
	}
	return nil
}

// begin finds out what goes through from rest, when it opens again, and how much
// came back. It is found out already where nothing is refused, or replicas show.
func (p *Probe) begin(ctx context.Context) (found bool, err error) {
	if p.v.Refused > 0 { // in an earlier session
		return false, nil
	}
	if err := p.ramp(ctx); err != nil || p.v.Refused == 0 {
		return true, err
	}
	shut := p.sights[len(p.sights)-1].s
	if s, err := p.scattered(ctx); err != nil {
		return true, err
	} else if s != nil {
		if s.sure || !p.byClock() {
			return true, nil
		}
		p.spread, p.one = nil, true
		return false, nil
	}
	if err := p.reopen(ctx); err != nil {
		return true, err
	}
	if p.sights[0].a == 0 {
		return false, p.refills(ctx)
	}
	return false, p.respend(ctx, shut)
}

// byClock tells whether a clock explains all that was seen, where replicas are likely: a
// window of it that began during the first burst lets through as much again as others do
// that still admit, and what it gives one by one comes back in steps, as that of several does.
func (p *Probe) byClock() bool {
	if !p.fitted {
		p.fitAll()
	}
	p.refit()
	p.quickly()
	explains := func(q *particle) bool {
		return q.cost < 0.5 && q.w > 4*p.rtt() && (q.family == FixedClock || q.m == 1)
	}
	return slices.ContainsFunc(p.herd(FixedClock).best, explains) || slices.ContainsFunc(p.herd(RefillBucket).best, explains)
}

// do makes an experiment.
func (p *Probe) do(ctx context.Context, e *experiment) error {
	p.made++
	w, err := p.steps(ctx, e.steps, e)
	if err == nil && e.until && w.a > 0 && len(e.then) > 0 {
		_, err = p.steps(ctx, e.then, &experiment{why: e.why, through: true})
	}
	return err
}

func (p *Probe) steps(ctx context.Context, steps []step, e *experiment) (w *sight, err error) {
	for i := 0; i < len(steps); {
		j := i + 1
		for j < len(steps) && steps[j].meanwhile {
			j++
		}
		if w, err = p.portions(ctx, steps[i:j], e.why); err != nil {
			return nil, err
		}
		switch {
		case e.until && w.a > 0: // it opened
			return w, nil
		case e.until || w.r == 0:
		case e.halt, w.r > 3 && w.r > 2*w.a, len(steps) > 4 && !e.through:
			return w, nil // what comes next was planned for something else
		}
		i = j
	}
	return w, nil
}

func (p *Probe) fitAll() {
	p.seed()
	for _, h := range p.herds {
		p.fit(h, 600)
	}
	p.fitted = true
}

// seed puts what the headers may mean among the hypotheses. They are fitted like
// any other, and have no other weight.
func (p *Probe) seed() {
	if p.opt.IgnoreHints {
		return
	}
	for _, f := range p.hints.Suppose() {
		g := p.given(f)
		if h := p.herdOf(&g); h != nil && len(h.best) <= herdSize/2 {
			if q := p.try(g, math.Inf(1)); q != nil {
				h.best = append(h.best, q)
			}
		}
	}
}
