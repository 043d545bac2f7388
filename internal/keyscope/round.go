package keyscope

import (
	"context"
	"math"
	"time"

	"github.com/weir-dev/weir/internal/probe"
)

// round lets the limit rest, spends all of it as one client, asks as others while
// that one is refused, and where then is given spends all as that, too. It tells
// whether the exhausted client was refused.
func (f *scoper) round(ctx context.Context, who Who, asks []ask, then Who, why string) (informed bool, err error) {
	if err := f.rest(ctx); err != nil {
		return false, err
	}
	found := &f.opt.Found
	many := 1
	if f.size >= 4 && f.margin > 2*len(asks) {
		many = 2
	}
	extra := 3 + f.size/50
	if f.careful {
		many, extra = 1, 0
	}
	total := f.size
	if len(f.opt.Spend) > 0 {
		total = 1
		if err := f.spend(ctx, who, why); err != nil {
			return false, err
		}
	}
	if found.Replicas > 1 {
		total = int(float64(f.size*found.Replicas)*1.5) + 4*found.Replicas
		extra += found.Replicas
	}
	gap := max(f.opt.Gap.Seconds(), 20e-6)
	rate := found.Rate()
	// What comes back while it is spent has to be spent, too.
	spending := float64(total+extra) * gap / max(0.1, 1-rate*gap)
	total += int(rate * spending)
	settle := f.spread + 0.002
	var calls []Call
	var kinds []int // of each call: -1 spend, -2 check of the same client, -3 as the other at the end, else the number of the ask
	at := 0.0
	add := func(kind int, w Who) {
		calls = append(calls, Call{At: seconds(at), Who: w})
		kinds = append(kinds, kind)
	}
	for range total + extra {
		add(-1, who)
	}
	at = float64(total+extra)*gap + settle
	step := max(gap, 0.001)
	if beat := rate * 4; beat*settle > 1 {
		// Keep it exhausted meanwhile.
		for x := float64(total+extra) * gap; x < at; x += max(gap, 1/beat) {
			calls = append(calls, Call{At: seconds(x), Who: who})
			kinds = append(kinds, -2)
		}
		step = min(step, max(gap, 1/beat))
	}
	if !f.careful {
		add(-2, who)
	}
	for range many {
		for i := range asks {
			at += step
			add(i, asks[i].who)
			at += step
			add(-2, who)
		}
	}
	if then != nil {
		at += settle
		for range total + extra {
			add(-3, then)
			at += gap
		}
	}
	if f.s.Requests+len(calls) > f.opt.MaxRequests {
		return false, errStop("the bound on requests was reached")
	}
	if f.s.Refused >= f.opt.MaxRefused {
		return false, errStop("the bound on refused requests was reached")
	}
	if f.opt.Tell != nil {
		f.opt.Tell(why, f.s)
	}
	answers, err := f.sender.SendAs(ctx, calls)
	f.take(answers, why)
	if err != nil {
		return false, err
	}
	return f.judge(who, asks, then, kinds, answers, extra, why), nil
}

// spend exhausts a limit behind a tighter one.
func (f *scoper) spend(ctx context.Context, who Who, why string) error {
	need, took := 20, time.Duration(0)
	for _, b := range f.opt.Spend {
		need, took = need+b.N, took+b.Idle
	}
	switch {
	case f.s.Requests+need > f.opt.MaxRequests:
		return errStop("the bound on requests was reached")
	case f.clock.Now().Sub(f.began)+took > f.opt.MaxTime:
		return errStop("the bound on time was reached")
	}
	for _, b := range f.opt.Spend {
		calls := make([]Call, b.N)
		for i := range calls {
			calls[i].Who = who
		}
		answers, err := f.sender.SendAs(ctx, calls)
		f.take(answers, why)
		if err != nil {
			return err
		}
		if err := f.clock.Sleep(ctx, f.clock.Now().Add(b.Idle)); err != nil {
			return err
		}
	}
	return nil
}

// rest waits until the limit is as good as new.
func (f *scoper) rest(ctx context.Context) error {
	d := time.Duration(float64(f.opt.Found.Rest())*1.1*f.slower) + seconds(0.05+2*f.spread)
	at := f.last.Add(d)
	if f.last.IsZero() {
		at = f.clock.Now()
	}
	if at.Sub(f.began) > f.opt.MaxTime {
		return errStop("the bound on time was reached")
	}
	return f.clock.Sleep(ctx, at)
}

// take counts what was sent.
func (f *scoper) take(answers []probe.Answer, why string) {
	f.s.Requests += len(answers)
	for _, a := range answers {
		switch a.Outcome {
		case probe.Refused:
			f.s.Refused++
		case probe.Admitted:
		default:
			f.s.Lost++
		}
		if a.Sent.After(f.last) {
			f.last = a.Sent
		}
	}
	rec := probe.Record{Why: why, As: "several", Answers: answers}
	f.trips([]probe.Record{rec})
	if f.opt.Record != nil && len(answers) > 0 {
		f.opt.Record(rec)
	}
}

// judge weighs what the others got against what the exhausted client got at the same time.
func (f *scoper) judge(who Who, asks []ask, then Who, kinds []int, answers []probe.Answer, extra int, why string) (informed bool) {
	r := Round{Exhausted: who, Why: why, Asked: make([]Asked, len(asks))}
	for i := range asks {
		r.Asked[i].Who = asks[i].who
	}
	spent, yes, no, both := 0, 0, 0, 0
	burst := 0
	for _, k := range kinds {
		if k == -1 {
			burst++
		}
	}
	for i, a := range answers {
		if r.Sent.IsZero() || a.Sent.Before(r.Sent) {
			r.Sent = a.Sent
		}
		if a.Done.After(r.Done) {
			r.Done = a.Done
		}
		ok, refused := a.Outcome == probe.Admitted, a.Outcome == probe.Refused
		count := func(y, n *int) {
			if ok {
				*y++
			} else if refused {
				*n++
			}
		}
		switch k := kinds[i]; {
		case k == -1:
			count(&r.Admitted, &r.Refused)
			if ok {
				spent++
			}
			if i >= burst-extra/2 { // the last of the burst say whether it was exhausted
				count(&yes, &no)
			}
		case k == -2:
			count(&r.Admitted, &r.Refused)
			count(&yes, &no)
		case k == -3:
			if ok {
				both++
			}
		default:
			count(&r.Asked[k].Admitted, &r.Asked[k].Refused)
		}
	}
	f.s.Rounds = append(f.s.Rounds, r)
	if r.Refused == 0 && !(f.careful && then != nil) {
		if then != nil {
			f.s.Free = r.Admitted
		} else {
			f.size += f.size/4 + 2
			if n := len(f.opt.Spend); n > 0 && n < 400 {
				f.opt.Spend = append(f.opt.Spend, f.opt.Spend[0])
			}
		}
		return false
	}
	if spent < f.size*2/3 && f.slower < 4 && len(f.opt.Spend) == 0 {
		f.slower *= 1.5 // it had not recovered, or others use it
	}
	same := (float64(yes) + 0.5) / (float64(yes+no) + 1)
	const fresh = 0.97
	passed := 0
	for i, q := range asks {
		g := r.Asked[i]
		passed += g.Admitted
		llr := float64(g.Admitted)*math.Log(fresh/min(same, fresh)) + float64(g.Refused)*math.Log((1-fresh)/max(1-same, 1-fresh))
		// One round is one piece of evidence, however often it asked.
		llr = max(-4.5, min(4.5, llr))
		if same > 0.6 {
			llr = 0
		}
		if q.thing < 0 {
			f.all += llr
			continue
		}
		f.apart[q.thing][q.with] += llr
	}
	if same < 0.3 {
		f.passed += passed
	}
	if then != nil && len(answers) == len(kinds) {
		f.above(spent, passed, both, then)
	}
	if n := len(f.opt.Spend); same >= 0.6 && n > 0 && n < 400 {
		f.opt.Spend = append(f.opt.Spend, f.opt.Spend[0])
	}
	if same >= 0.6 && then == nil && !f.careful {
		f.size += f.size/8 + 1 // it is a little larger than was found
	}
	return same < 0.6
}

// above tells whether two clients got less together than each would get alone.
func (f *scoper) above(spent, passed, both int, then Who) {
	expected := min(f.size, spent) - passed
	if missing := expected - both; missing > max(2, f.size/12) && both < f.size {
		f.s.Above = &Above{Limit: int64(spent + passed + both), Counted: make([]bool, len(f.apart))}
		f.margin = max(1, passed+both)
	}
}
