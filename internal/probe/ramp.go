package probe

import (
	"context"
	"math"
)

// ramp sends waves until something is refused. Each is a part of what was sent
// before, so that few are refused when the limit is met, and large enough in the
// end to outrun a limit that gives back quickly.
func (p *Probe) ramp(ctx context.Context) error {
	most := p.opt.MaxRequests * 6 / 10
	for p.v.Requests < most {
		n := p.rampSize()
		if quota, ok := p.hints.Quota(); ok && !p.opt.IgnoreHints && p.v.Requests >= 2 {
			// What the headers tell is tried first: all but one, then one by one. Who
			// believes a lie here has everything refused: no wave is much larger than
			// all before it, and none costs a large part of the refusals.
			left := int(min(quota, int64(most))) - p.v.Requests
			if told, ok := p.hints.Left(); ok {
				left = min(left, int(min(told, int64(most))))
			}
			if left > 1 {
				n = min(left-1, 2*p.v.Requests+4, max(n, p.opt.MaxRefused/4))
			} else if left >= -1 {
				n = 1
			}
		}
		why := "burst from rest, growing"
		fewer, enough := p.endlessly(n, most)
		if enough {
			p.endless = true
			return nil
		} else if p.queued() > 0 {
			n, why = fewer, "growing, in case the queue in which all wait refuses when it is full"
		}
		if w, err := p.wave(ctx, 0, min(n, most-p.v.Requests), why); err != nil || w.r > 0 {
			return err
		}
	}
	return nil
}

func (p *Probe) rampSize() int {
	sent := p.v.Requests
	if sent < 2 || len(p.rtts) == 0 {
		return 1
	}
	part, most := 0.12, 100
	switch rtt := p.rtt(); {
	case rtt > 0.05: // a limit on what is under way needs them all at once
		part, most = 0.3, 400
		if sent > 300 {
			part = 0.25
		}
	case rtt < 0.012: // more waves cost little time
		part = 0.06
	case sent > 60:
		part = 0.08
	}
	if w := p.sights[len(p.sights)-1]; w.slow > 0.05+3*p.rtt() {
		return 1 + sent*6/10 // the answers wait in a queue, and each wave for the one before
	}
	return 1 + min(int(part*float64(sent)), most)
}

// looks are times after the first request at which a limit is looked at again: just
// after the windows that people choose, in seconds.
var looks = [...]float64{0.25, 1.02, 2.03, 3.04, 5.05, 10.08, 15.1, 20.1, 30.1, 45.1, 60.2, 90.2, 120.3, 180.3, 300.5, 450.5, 600.6, 900.8, 1200.9, 1801, 2701, 3602}

// look is how long to wait for another look, when it has been closed so long and
// the first request was sent so long ago.
func look(closed, since float64) float64 {
	least, most := max(0.04, 0.3*closed), max(0.04, 1.2*closed)
	if closed < 0.3 {
		most = max(0.04, 4*closed)
	}
	for _, x := range looks {
		if x-since >= least {
			return min(x-since, most)
		}
	}
	return max(0.04, 0.5*closed)
}

// reopen looks for the first admission after a refusal, at growing distances.
func (p *Probe) reopen(ctx context.Context) error {
	shut := p.sights[len(p.sights)-1].last
	for try := 0; ; try++ {
		now := p.clock.Now()
		since := now.Sub(p.start).Seconds()
		if err := p.hopeless(); err != nil {
			return err
		}
		idle := look(since-shut, since)
		if at, ok := p.hints.Opens(now); ok && !p.opt.IgnoreHints && try < 5 {
			// Just before and just after the instant that is told.
			// A wait that is too long to be tried is not.
			if to := at.Sub(now).Seconds(); to > 0.1*p.opt.MaxTime.Seconds() {
				idle = min(idle, 0.1*p.opt.MaxTime.Seconds())
			} else if to > 2 {
				idle = to - 1.5
			} else if to > 0 {
				idle = to + 0.1
			}
		}
		w, err := p.wave(ctx, idle, 1, "look for the first admission")
		if err != nil || w.a > 0 {
			return err
		}
	}
}

// respend finds out how much came back when it opened: as much as at first, or a
// little. Where it is much it spends half of it at once and the rest later: then
// the next time it opens tells windows of the clock from those that the first
// request opens, and both from logs. shut is when it was refused first.
func (p *Probe) respend(ctx context.Context, shut float64) error {
	full := 0.0
	for _, w := range p.sights {
		if full += float64(w.a); w.r > 0 {
			break
		}
	}
	const why = "spend half of what came back"
	lastNo := p.sights[len(p.sights)-2].s
	window := lastNo - p.sights[0].s
	if full < 4 || window < 0.2 || shut > 0.4*lastNo || p.late() {
		return nil
	}
	part := 0.5
	if p.rtt() > window/40 {
		part = 1.5
	}
	sum := 1.0
	for sum < full/2 {
		n := min(max(1, math.Ceil(part*sum)), math.Ceil(full/2-sum))
		w, err := p.wave(ctx, 0, int(n), why)
		if err != nil || w.r > 0 {
			return err
		}
		sum += n
	}
	idle := 0.45*window - (p.sights[len(p.sights)-1].done - p.sights[len(p.sights)-2].s)
	rest := full - sum
	for i, n := 0, 0.0; sum < 2*full; i++ {
		switch {
		case i > 0 && full > sum && part < 1:
			n, idle = min(2*n, full-sum), 0
		case i > 0 && full > sum:
			n, idle = full-sum, 0
		case i > 0:
			n, idle = 1+min(math.Floor(0.1*full), 2*(sum-full)+2), 0
		case part < 1:
			n = 1 + math.Floor(0.15*rest) // a bucket may have given back a part only
		default:
			n = math.Floor(0.7 * rest)
		}
		if n < 1 {
			continue
		}
		w, err := p.wave(ctx, max(0, idle), int(n), "spend the rest")
		if err != nil || w.r > 0 {
			return err
		}
		sum += n
	}
	return nil
}
