package probe

import (
	"context"
	"math"
)

// crewBursts is how many bursts crew makes at most, after the first.
const crewBursts = 7

// crew looks at replicas that are reached by chance, and whose first burst begins at a
// sight: more bursts, until their number is known well, and how long it takes until it
// is all back.
func (p *Probe) crew(ctx context.Context, first int) (*spreadOut, error) {
	c := &crowd{bursts: [][]sight{p.sights[first:len(p.sights):len(p.sights)]}}
	f := c.first()
	if s, err := p.connected(ctx); s != nil || err != nil {
		return s, err
	}
	if f.gain < 8 || p.oneBucket() || p.atOnce() {
		return nil, nil
	}
	p.spread = &spreadOut{crowdFit: f, window: span{0, p.timeLeft()}, rough: true}
	total, burst := f.replicas*f.each, 0
	for _, w := range c.bursts[0] {
		burst += w.a
	}
	until, _ := p.flows()
	totals := []float64{float64(total)}
	for _, n := range []float64{float64(burst), until} {
		if math.Abs(n-float64(total)) > 0.04*n {
			totals = append(totals, n)
		}
	}
	var fits []judged // what they are likeliest, once they have opened again
	for i := range crewBursts {
		if s := p.spread; p.v.Requests+total*5/4 > p.opt.MaxRequests || i > 0 && (i > 1 && s.share > 0.97 && s.window.hi < 1.1*s.window.lo || p.v.Refused > p.opt.MaxRefused*3/4) {
			break
		}
		if s, err := p.connected(ctx); s != nil || err != nil {
			return s, err
		}
		var j judged
		if i == 0 {
			if err := p.reopen(ctx); err != nil {
				return p.spread, err
			}
			if s, err := p.staggered(ctx, c.bursts[0]); s != nil || err != nil {
				return s, err
			}
		}
		if len(fits) > 0 {
			j = fits[0]
			total = j.r * int(j.n)
		}
		if more, err := p.burstAgain(ctx, total, j); err != nil || !more {
			return p.spread, err
		}
		if p.atOnce() {
			p.spread = nil
			return nil, nil
		}
		if more := p.recount(totals, fits); len(more) > 0 {
			fits = more
		}
	}
	return p.spread, nil
}

// atOnce tells whether no more than so many were let through of any wave, and just as
// many of several of which others were refused: what a limit of requests under way does
// beside another, where requests take their time.
func (p *Probe) atOnce() bool {
	most, total, mixed := 0, 0, 0
	for _, w := range p.sights {
		most = max(most, w.a)
		total += w.a
	}
	for _, w := range p.sights {
		if w.a == most && w.r > 0 {
			mixed++
		}
	}
	return p.works && mixed >= 2 && 2*total > 5*most
}

// recount believes what makes everything seen likeliest.
func (p *Probe) recount(totals []float64, were []judged) []judged {
	fits, times := p.byLot(totals, were)
	if p.trace != nil {
		for _, j := range fits {
			p.trace("   by lot %v cost %.2f mean %.2f off %.1f", j.fleet, j.cost, j.mean, j.off())
		}
	}
	if len(fits) == 0 || fits[0].off() > 4 {
		return nil
	}
	all, share := 0.0, 0.0
	for _, j := range fits {
		x := math.Exp(fits[0].cost - j.cost)
		if all += x; j.r == fits[0].r {
			share += x
		}
	}
	p.spread = p.spreadOf(fits[0], nil)
	p.spread.share = share / all
	if p.spread.bucket {
		times.lo, times.hi = times.lo*fits[0].n, times.hi*fits[0].n
	}
	p.spread.window = p.spread.window.with(times.lo).with(times.hi)
	return fits
}

// burstAgain sends one more burst, once what was spent is back, and tells whether there was
// time for it. It begins when they open, or where that is little by little when they
// are full.
func (p *Probe) burstAgain(ctx context.Context, total int, j judged) (bool, error) {
	shut := p.sights[len(p.sights)-1].last
	if j.r > 0 && (j.kind == TokenBucket || j.kind == FixedClock && !j.same) {
		rest := 1.05 * j.w
		if j.kind == TokenBucket {
			rest *= j.n
		}
		if rest > p.timeLeft()/4 {
			return false, nil
		}
		_, err := p.pour(ctx, rest, total)
		return true, err
	}
	if p.sights[len(p.sights)-1].a == 0 {
		if err := p.openAgain(ctx, j.w); err != nil {
			return false, err
		}
	}
	n := max(3, min(total/3, 8))
	w, err := p.wave(ctx, 0, n, "how many of them have opened")
	if err != nil {
		return false, err
	}
	if 4*w.a >= 3*n { // all of them at once
		_, err := p.pour(ctx, 0, total*3/4)
		return true, err
	}
	rate, err := p.trickle(ctx, shut)
	if err != nil {
		return false, err
	}
	rest := 1.1 * float64(total) / rate
	if rest > p.timeLeft()/4 {
		return false, nil
	}
	_, err = p.pour(ctx, rest, total)
	return true, err
}

// openAgain looks for the instant at which windows open of which the length is known
// about; zero: it is not.
func (p *Probe) openAgain(ctx context.Context, window float64) error {
	from := p.sights[len(p.sights)-1]
	for i := len(p.sights) - 1; i > 0 && from.s-p.sights[i].d < 0.3*window; i-- {
		from = p.sights[i] // where the burst began
	}
	now := p.clock.Now().Sub(p.start).Seconds()
	idle := max(0.03*window, p.rtt(), from.s+0.85*window-now)
	for try := 0; window > 0 && try < 10 && idle < p.timeLeft()/4; try++ {
		if w, err := p.wave(ctx, idle, 1, "look for the first of them to open"); err != nil || w.a > 0 {
			return err
		}
		idle = max(0.03*window, p.rtt())
	}
	return p.reopen(ctx)
}
