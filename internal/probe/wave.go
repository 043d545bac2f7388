package probe

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// coarse is how far a server's clock may be behind, in seconds: most limiters count
// in whole milliseconds, and read the clock once for several requests. Windows of a
// clock begin at its ticks, so that it does not matter to them.
const coarse = 0.0015

// wave sends n requests after an idle time and takes the answers in.
func (p *Probe) wave(ctx context.Context, idle float64, n int, why string) (*sight, error) {
	return p.waves(ctx, []step{{idle: idle, n: n}}, why)
}

// portions sends a large wave in growing parts, until something is refused: that
// costs round trips and saves most refusals. Not where requests are worked on
// for long, or queue, or a round trip is long beside the window: the wait for the
// answers would be another experiment.
func (p *Probe) portions(ctx context.Context, steps []step, why string) (w *sight, err error) {
	top := p.shares()[0].Family
	queues := top == LeakyQueue || top == Concurrency // parts that wait would meet neither
	held := p.works && p.herd(Concurrency).cost() < p.cheapest()+4
	if len(steps) > 1 || steps[0].n < 16 {
		return p.waves(ctx, steps, why)
	}
	idle, left := steps[0].idle, steps[0].n
	sure, period, gives := p.surely(idle)
	// What goes at once is not to cost more than half of the refusals that are left.
	most := min(left, sure+max(8, (p.opt.MaxRefused-p.v.Refused)/2))
	if held || queues {
		return p.wave(ctx, idle, most, why)
	}
	part, unknown := sure, sure < left/20
	switch {
	case sure >= left, why == whyParted && left-sure <= 1+left/20: // parts would blur what is asked
		part = left
	case p.rtt() > period/4, gives*p.rtt() > float64(left)/10: // as much comes back meanwhile
		part = most
	case unknown:
		part = 1 + left/20
	}
	parts := []int{part}
	if lead := part / 4; lead > 10 && p.rtt() < period/40 { // what is believed may be wrong
		parts = []int{lead, part - lead}
	}
	for i, sent := 0, 0; left > 0; i++ {
		switch {
		case i < len(parts):
			part = parts[i]
		case unknown, gives*p.rtt() > 0.5: // to outrun what comes back
			part = 1 + max(left/8, sent/5)
		default:
			part = 1 + left/8
		}
		part = max(1, min(part, left))
		sent, left = sent+part, left-part
		w, err = p.wave(ctx, idle, part, why)
		if err != nil || w.r > 0 {
			return w, err
		}
		idle = 0
	}
	return w, nil
}

// surely is how many are admitted after an idle time by all that is still
// believed, the longest period of these, and the most that any gives back a second.
func (p *Probe) surely(idle float64) (n int, period, gives float64) {
	at := p.clock.Now().Sub(p.start).Seconds() + idle
	least := math.Inf(1)
	best := p.cheapest()
	two := p.shares()[0].Family == Stacked // it explains whatever one of its two does
	for _, h := range p.herds {
		for _, q := range h.best {
			if q.cost > best+3 || q.family == None || q.family == Stacked && !two {
				continue
			}
			q.see(p.sights, math.Inf(1))
			l, _ := q.state.room(at, at+p.net()-p.base())
			least, period, gives = min(least, l), max(period, q.period()), max(gives, q.n/q.period())
		}
	}
	return int(min(least, 1e6)), period, gives
}

// waves sends the first step after its idle time and the others meanwhile.
func (p *Probe) waves(ctx context.Context, steps []step, why string) (*sight, error) {
	total := 0
	for _, s := range steps {
		total += s.n
	}
	if p.from.IsZero() {
		p.from = p.clock.Now()
	}
	switch idle := steps[0].idle; {
	case p.v.Requests+total > p.opt.MaxRequests:
		return nil, errStop("the bound on requests was reached")
	case p.v.Refused >= p.opt.MaxRefused:
		return nil, errStop("the bound on refused requests was reached")
	case p.clock.Now().Sub(p.from)+seconds(idle) > p.opt.MaxTime:
		if left := p.opt.MaxTime - p.clock.Now().Sub(p.from); left > p.opt.MaxTime/20 {
			return nil, errStop(fmt.Sprintf("the bound on time was near: what it was to ask next takes longer than the %v that were left", left.Round(time.Second)))
		}
		return nil, errStop("the bound on time was reached")
	case idle > 0:
		if err := p.clock.Sleep(ctx, p.clock.Now().Add(seconds(idle))); err != nil {
			return nil, err
		}
	}
	if p.opt.Progress != nil && !p.fitted {
		p.opt.Progress(Belief{Doing: why, Takes: seconds(steps[0].idle), Requests: p.v.Requests, Refused: p.v.Refused, Elapsed: p.clock.Now().Sub(p.from)})
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
	var answers []Answer
	var err error
	if c, ok := p.sender.(ConnSender); ok && p.over != nil {
		answers, err = c.SendOver(ctx, p.over)
	} else {
		answers, err = p.sender.Send(ctx, at)
	}
	p.v.Under = max(p.v.Under, underWay(answers))
	for _, s := range steps {
		if n := min(s.n, len(answers)); n > 0 {
			p.take(answers[:n], why)
			answers = answers[n:]
		}
	}
	if err == nil && len(p.sights) == 0 {
		err = errStop("nothing was sent")
	}
	if err != nil {
		return nil, err
	}
	p.bound()
	return &p.sights[len(p.sights)-1], nil
}

// bound renews what is known of the network, and with it when each wave was decided.
func (p *Probe) bound() {
	net, base := p.net(), p.base()
	p.hold = max(0, p.rtt()-quantile(append(p.nos, p.rtt()), 0.5))
	p.works = p.hold > 0.02+0.3*quantile(p.nos, 0.5)
	usual, work := quantile(p.tails, 0.5), p.rtt()
	if p.cold() {
		p.warm()
	}
	for i := range p.sights {
		w := &p.sights[i]
		w.soon = min(w.done, w.last+net)
		w.d = w.soon
		if late := w.done - w.last - usual; late > 0 && !p.works {
			// Subtle: an answer that took longer than others may have been decided later:
			// a busy machine stops the server as well as the client.
			w.d = min(w.done, w.last+net+late)
		}
		if i+1 < len(p.sights) {
			// What was sent later was decided later, or nearly.
			w.d = max(w.last, min(w.d, p.sights[i+1].s+net))
		}
		w.d, w.soon = max(w.last, w.d-base), max(w.last, w.soon-base)
		w.early, w.share, w.work = w.quick-net, p.share, work
		w.tight = w.slack
		if len(p.rtts) > 0 && len(p.nos) > 1 {
			w.tight = min(w.slack, 0.005+max(1.2*work, net+p.hold))
		}
	}
	p.jitter, p.trip = net-base, p.rtt()
	p.most = 2*float64(p.v.Requests) + 10
}

// take takes in the answers of one wave.
func (p *Probe) take(answers []Answer, why string) {
	if p.opt.Record != nil && !p.from.IsZero() {
		p.opt.Record(Record{Why: why, Answers: answers})
	}
	if !p.began {
		p.began, p.start = true, answers[0].Sent
	}
	p.hints.See(answers)
	w := sight{s: math.Inf(1), done: math.Inf(-1), quick: math.Inf(1)}
	least := math.Inf(1)
	wv := Wave{Why: why}
	for _, a := range answers {
		s, d := a.Sent.Sub(p.start).Seconds(), a.Done.Sub(p.start).Seconds()
		w.s, w.last, w.done = min(w.s, s), max(w.last, s), max(w.done, d)
		switch a.Outcome {
		case Admitted:
			w.a++
			w.shut = 0
			w.slow = max(w.slow, d-s)
			w.ended = max(w.ended, d)
			w.quick = min(w.quick, d)
			least = min(least, d-s)
		case Refused:
			w.r++
			w.shut++
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
	w.under, w.pace = underWay(answers), evenly(answers)
	if w.a > 0 {
		p.rtts = append(p.rtts, least)
		p.tails = append(p.tails, w.done-w.last)
	}
	w.since = w.s - coarse
	if w.slack = p.slack(); w.slow > 2*w.slack {
		p.slows++
		w.queue = p.slows
	}
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
	p.hands = append(p.hands, nil)
	for _, a := range answers {
		if a.Conn > 0 && (a.Outcome == Admitted || a.Outcome == Refused) {
			p.hands[len(p.hands)-1] = append(p.hands[len(p.hands)-1], hand{a.Conn, a.Outcome == Refused})
		}
	}
}

// slack is how long an answer may take without a queue.
func (p *Probe) slack() float64 {
	if len(p.rtts) == 0 {
		return 0.5
	}
	most := p.rtts[0]
	if p.cold() {
		most = quantile(p.rtts, 0.25)
	}
	for _, d := range p.nos {
		most = max(most, d)
	}
	return 0.03 + 2.5*most
}

// cold tells whether the first answer took much longer than those that came after, as
// of a server that has just begun.
func (p *Probe) cold() bool {
	return len(p.rtts) > 2 && p.rtts[0] > 0.01+2*quantile(p.rtts, 0.5)
}

// warm looks again at which waves were slow, by what is usual.
func (p *Probe) warm() {
	slack := p.slack()
	p.slows = 0
	for i := range p.sights {
		w := &p.sights[i]
		if w.slack, w.queue = slack, 0; i > 0 && w.slow > 2*slack {
			p.slows++
			w.queue = p.slows
		}
	}
}

// net is how long after it was sent a request may be decided. A limit is asked
// before the work is done, so the answers to refused requests show it.
func (p *Probe) net() float64 {
	if len(p.nos) == 0 {
		return math.Inf(1)
	}
	return 0.003 + slices.Max(p.nos)*(1+2/float64(len(p.nos)))
}

// base is how long every request is on its way at least, there and back. It makes
// all instants later alike, which no model can tell, so that it says nothing of when
// a request was decided: what counts is by how much one may differ from another.
func (p *Probe) base() float64 {
	if len(p.nos) < 8 {
		return 0
	}
	return max(0, 0.9*slices.Min(p.nos)-0.002)
}

// blur is how much later than another a request that is sent with it is decided.
func (p *Probe) blur() float64 {
	return max(0.001, min(p.rtt(), quantile(p.nos, 0.75))-p.base())
}

// rtt is how long an admitted request takes when none waits before it: as the first
// did, unless that was much slower than those that came after, as with a server
// that has just begun.
func (p *Probe) rtt() float64 {
	if len(p.rtts) == 0 {
		return 0
	}
	if usual := quantile(p.rtts, 0.5); p.rtts[0] > 0.01+2*usual {
		return usual
	}
	return p.rtts[0]
}

func quantile(x []float64, q float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Clone(x)
	slices.Sort(x)
	return x[int(float64(len(x)-1)*q)]
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
