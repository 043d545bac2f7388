package probe

import (
	"context"

	"github.com/weir-dev/weir/limit"
)

// spreadOut is what is known of several replicas that each keep their own count.
type spreadOut struct {
	crowdFit
	sure   bool
	bucket bool // what was spent comes back little by little
	clock  bool // windows begin by the clock, at once or at times of each one's own
	rough  bool // that there are several is all that was weighed
	window span // how long until it is back; of a bucket, until it is full
}

// scattered goes on with the burst of the ramp in small waves after the first
// refusal, and tells whether replicas explain it: while one is full the others
// still admit, and more and more is refused until all are full. One limit admits
// nothing more, or always the same.
func (p *Probe) scattered(ctx context.Context) (*spreadOut, error) {
	total := 0
	for _, w := range p.sights {
		total += w.a
	}
	if total < 4 {
		return nil, nil
	}
	first := len(p.sights)
	// Those of the ramp that were refused in a row count as well.
	dry, err := p.drain(ctx, total, max(1, 5-p.sights[first-1].shut), p.leaks)
	if err != nil {
		return nil, err
	}
	if dry {
		return p.crew(ctx, 0)
	}
	mixed := 0
	for _, w := range p.sights[first:] {
		if w.a > 0 && w.r > 0 {
			mixed++
		}
	}
	if mixed < 3 {
		return nil, nil
	}
	if s, err := p.staggered(ctx, p.sights[:first:first]); s != nil || err != nil {
		return s, err
	}
	if p.works || p.late() {
		return nil, nil
	}
	return p.crew(ctx, 0)
}

// late tells whether answers wait in a queue, or the machine is too busy to tell.
func (p *Probe) late() bool {
	for _, w := range p.sights {
		if w.queue > 1 {
			return true
		}
	}
	return false
}

// replicated sends a burst from rest in small waves, and tells whether replicas
// explain it. It is for when no single limit explains what was seen.
func (p *Probe) replicated(ctx context.Context) (*spreadOut, error) {
	best := p.herds[0].best[0]
	for _, h := range p.herds {
		if h.cost() < best.cost {
			best = h.best[0]
		}
	}
	rest := 2*best.period() + 0.5
	for _, o := range p.opened {
		rest = max(rest, 1.5*(o.hi-p.sights[o.from].s))
	}
	first := len(p.sights)
	dry, err := p.pour(ctx, min(rest, p.timeLeft()/4), int(p.sights[len(p.sights)-1].scale))
	if err != nil {
		return nil, err
	}
	if dry {
		return p.crew(ctx, first)
	}
	if p.sights[len(p.sights)-1].a > 0 {
		return nil, nil
	}
	if err := p.firstOf(ctx, p.turnaround(best.period())); err != nil {
		return nil, err
	}
	shut := p.sights[len(p.sights)-2].s
	if s, err := p.staggered(ctx, p.sights[first:len(p.sights):len(p.sights)]); s != nil || err != nil {
		return s, err
	}
	opened, burst := p.opening(first)
	if all := p.sights[len(p.sights)-4:]; all[0].a+all[1].a+all[2].a+all[3].a == 4 && opened.hi < 1.7*opened.lo && burst > 3 {
		// All of it is back at once: windows, which the first request may open.
		q := &particle{hypothesis: hypothesis{family: FixedFirst, n: float64(burst), w: opened.hi}}
		return p.inTurn(ctx, q, opened)
	}
	switch best.family {
	case TokenBucket, RefillBucket, SlidingWindow, SlidingWindowDenied, SlidingLog, SlidingLogDenied, Stacked:
	default:
		return nil, nil
	}
	total := 0
	for _, w := range p.sights[first:] {
		if total += w.a; w.r > 0 {
			break
		}
	}
	rate, err := p.trickle(ctx, shut)
	if err != nil {
		return nil, err
	}
	return p.filled(ctx, total, rate)
}

// bends tells whether the likeliest kind is one whose figures bend far enough to
// explain much of what replicas do, and a burst to make sure is affordable.
func (p *Probe) bends() bool {
	switch f := p.shares()[0].Family; f {
	case SlidingWindow, SlidingWindowDenied, Stacked:
		if f == Stacked && p.whole.knew(p.herd(f).best[0]) {
			return false // replicas would have refused a part from the first
		}
		return (f == Stacked || p.cheapest() > 0.5) && p.herd(f).best[0].n < float64(p.opt.MaxRequests-p.v.Requests)/3
	}
	return false
}

// opening is how long after the burst that began at a sight it opened again, and
// how many had been admitted by then.
func (p *Probe) opening(first int) (after span, n int) {
	refused := false
	for i, w := range p.sights[first:] {
		if refused && w.a > 0 {
			before := p.sights[first+i-1]
			return span{before.s - p.sights[first].d, w.d - p.sights[first].s}, n
		}
		n, refused = n+w.a, refused || w.r > 0
	}
	return span{0, p.timeLeft()}, n
}

func (p *Probe) timeLeft() float64 {
	return (p.opt.MaxTime - p.clock.Now().Sub(p.from)).Seconds()
}

// pour sends a burst after a rest, in waves that are small from a third of total
// on, until nothing is admitted any more; dry is false where that did not come.
func (p *Probe) pour(ctx context.Context, rest float64, total int) (dry bool, err error) {
	n := max(1, total/3)
	w, err := p.wave(ctx, rest, n, "a long burst, in case there are replicas")
	if err != nil {
		return false, err
	}
	for sent := n; w.r == 0 && sent < 3*total+20; sent += n {
		if n = max(3, total/30); p.rtt() > 0.05 {
			n = max(3, total/15) // each wave waits for the one before
		}
		if w, err = p.wave(ctx, 0, n, "a long burst, in case there are replicas"); err != nil {
			return false, err
		}
	}
	if w.r == 0 {
		return false, nil
	}
	return p.drain(ctx, total, 5, nil)
}

// drain sends small waves while some of each are admitted and some refused, and
// tells whether that ended with nothing admitted. Subtle: waves of two sizes, both
// odd, lest strict turns give each connection the same replica every time.
func (p *Probe) drain(ctx context.Context, total, n int, enough func() bool) (dry bool, err error) {
	full, none, seen, size, least := 0, 0, 0, n, n
	if p.rtt() > 0.03 { // each wave waits for the one before
		n = max(n, total/40)
		least = n
	}
	n |= 1
	var part []float64 // of each wave, what was admitted
	for i := 0; i < 60; i++ {
		k := n + 2*(i%2)
		if i == 0 {
			k = least // which ends it, mostly
		}
		p.over = p.other(len(p.sights)-i-1, k)
		w, err := p.wave(ctx, 0, k, "whether others still admit, as replicas do")
		p.over = nil
		if err != nil {
			return false, err
		}
		switch {
		case w.a == 0 && seen == 0:
			return false, nil // one limit
		case w.a == 0:
			if none++; none == 2 {
				return true, nil
			}
		case w.r == 0:
			if full++; full > 2 || p.late() {
				return false, nil
			}
			if !p.works && n < 2*size { // more than comes back meanwhile
				n = (n + n/2) | 1
			}
		default:
			none = 0
		}
		if p.underWay(len(p.sights)-i-1) || enough != nil && enough() {
			return false, nil // one limit too
		}
		if p.loyal(len(p.sights)-i-2) >= 6 {
			return true, nil // see connected
		}
		seen += w.a
		part = append(part, float64(w.a)/float64(w.a+w.r+w.lost))
		if i >= 7 {
			before, now := mean(part[:3]), mean(part[i-3:])
			if now < 0.2 && now < before/2 {
				return true, nil // what is still admitted comes back meanwhile
			}
			if i == 16 && now > 0.7*before && p.rtt() < 0.1 {
				return false, nil // it comes back as fast
			}
		}
		if p.v.Refused > p.opt.MaxRefused*8/10 {
			return false, nil
		}
	}
	return false, nil
}

func mean(x []float64) (sum float64) {
	for _, v := range x {
		sum += v / float64(len(x))
	}
	return sum
}

// trickle measures how many units a second come back, all replicas together.
func (p *Probe) trickle(ctx context.Context, since float64) (rate float64, err error) {
	got := float64(p.sights[len(p.sights)-1].a + p.sights[len(p.sights)-2].a)
	for got < 12 {
		now := p.sights[len(p.sights)-1].done
		idle := max(0.02, 1.5*(now-since))
		if idle > p.timeLeft()/8 {
			break
		}
		for try := 0; ; try++ {
			w, err := p.wave(ctx, idle, 5+2*(try%2), "how fast it comes back")
			if err != nil {
				return 1, err
			}
			if got += float64(w.a); w.a == 0 || try > 6 {
				break
			}
			idle = 0
		}
	}
	return max(got, 1) / max(0.01, p.sights[len(p.sights)-1].last-since), nil
}

// foundReplicas is the verdict.
func (p *Probe) foundReplicas(s *spreadOut) Found {
	f := Found{Family: Replicas, Replicas: s.replicas, LimitLow: int64(s.low), LimitHigh: int64(s.high)}
	w := s.window
	if w.hi > 0 {
		f.WindowOff = (w.hi - w.lo) / (w.hi + w.lo)
	}
	each := int64(s.each)
	q := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: each, Window: max(seconds(round(w)), 1e6)}
	if s.clock {
		q.Align = limit.AlignClock
	}
	if s.bucket {
		q = limit.Policy{Burst: each}
		q.Limit, q.Window = rateWithin(span{w.lo / float64(each), w.hi / float64(each)})
	}
	f.Policies = []limit.Policy{q}
	return f
}
