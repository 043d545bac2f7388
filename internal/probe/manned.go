package probe

import (
	"context"
	"math"
)

// manned asks whether replicas that are reached in turn, or nearly, explain what no
// single limit does. Requests that are answered by chance could be others who use the
// same limit: those replicas are known by their bursts, see scattered. What explains
// nearly everything is put to the proof where a single limit might, too.
func (p *Probe) manned(ctx context.Context) (*spreadOut, error) {
	j, ok := p.likeliestFleet(byTurn, byLoad)
	if !ok || p.cheapest() < 0.5 && (j.n < 3 || j.off() > 2.5) {
		return nil, nil // where one limit explains it all, too, many small ones are no question
	}
	before := p.cheapest()
	s, err := p.prove(ctx, j.fleet)
	if again, ok := p.likeliestFleet(byTurn, byLoad); s == nil && err == nil && ok && again.r != j.r && again.off() < 2 {
		j = again // what the proof of another number shows
		s, err = p.prove(ctx, j.fleet)
	}
	if err != nil {
		return s, err
	}
	if s != nil && before < 10 && j.kind == TokenBucket && p.oneOfAll(j.fleet) {
		p.spread = nil
		return nil, nil
	}
	if s == nil { // what is not proved is believed in the end only, see conclude
		return nil, nil
	}
	if again, ok := p.likeliestFleet(byTurn, byLoad); ok && again.r == s.replicas {
		j = again
	}
	if j.r != s.replicas {
		p.spread = s
		s.sure = false
		return s, nil
	}
	p.spread = p.spreadOf(j, s)
	return p.spread, nil
}

// oneOfAll tells whether one bucket that holds what a fleet of buckets does together
// explains what was seen nearly as well. Subtle: it gives back one by one, too, only not
// in bundles.
func (p *Probe) oneOfAll(f fleet) bool {
	all, one := p.upTo(1e6), math.Inf(1)
	many := all.judge(f, 60, math.Inf(1)).cost
	for _, more := range []float64{0, -1, 1, 2} {
		for _, by := range []float64{1, 0.97, 0.985, 1.015, 1.03} {
			g := fleet{way: byTurn, kind: TokenBucket, r: 1, n: f.n*float64(f.r) + more, w: by * f.w / float64(f.r)}
			one = min(one, all.judge(g, 16, many+10).cost)
		}
	}
	if p.trace != nil {
		p.trace("   %v costs %.1f, one bucket instead %.1f", f, many, one)
	}
	return one < many+8
}

// convincing tells whether a fleet that was not put to the proof is to be believed:
// no single limit explains what was seen, and it does so well with few replicas of
// some size, which bend less than many small ones.
func (p *Probe) convincing(j judged) bool {
	return p.unaided() > 6 && j.off() < 2 && j.r <= 8 && j.n >= 3
}

// instead is the fleet that makes the answers likelier than a limit does that others use
// much of, or that leaves much to chance. It is asked for when the probe has ended.
func (p *Probe) instead() (judged, bool) {
	left := p.cheapest()
	if p.share == 0 || left < 12 {
		return judged{}, false
	}
	margin := 10.0
	if p.crowded() {
		margin = 0
	} else if left < 25 {
		return judged{}, false
	}
	j, ok := p.likeliestFleet(byChance, byTurn, byLoad)
	if p.trace != nil && ok {
		p.trace("   instead: %v costs %.1f, off %.1f, in place of %.1f", j.fleet, j.cost, j.off(), left)
	}
	return j, ok && p.convincing(j) && j.cost+margin < left
}

// crowded tells whether others would have to use more of the limit than anybody shares one.
func (p *Probe) crowded() bool {
	h := p.herd(p.shares()[0].Family)
	return p.share > 0 && h.family != None && len(h.best) > 0 && p.crowds(h.best[0])
}

// crowds tells whether others use so much of a limit, by what a hypothesis believes of them.
func (p *Probe) crowds(q *particle) bool { return q.them.rate() > tooMuch*q.through(p.rtt()) }

// unaided is what the best hypothesis leaves unexplained if nobody else uses the limit.
func (p *Probe) unaided() float64 { return max(p.unshared, p.cheapest()) }

// likeliestFleet is the fleet that explains best what was seen, of those that are
// reached in some ways, if it explains it well.
func (p *Probe) likeliestFleet(ways ...way) (judged, bool) {
	if p.late() || p.v.Refused < 20 || p.works && p.herd(Concurrency).cost() < p.cheapest()+4 {
		return judged{}, false // too little to tell replicas by
	}
	fits := p.crewed(p.suppositions(), 0, ways...)
	if len(fits) == 0 {
		return judged{}, false
	}
	if p.trace != nil {
		for _, j := range fits {
			p.trace("   fleet %v cost %.2f mean %.2f off %.1f; one limit leaves %.1f", j.fleet, j.cost, j.mean, j.off(), p.cheapest())
		}
	}
	j := fits[0]
	for _, o := range fits { // of several that explain it as well, one that can be told
		if o.rank() < fits[0].rank()+1.5 && (o.kind != TokenBucket || o.w > 3*(p.net()-p.base())) {
			j = o
			break
		}
	}
	return j, j.off() < 3
}

// fleetBeside is a fleet that explains well what a single limit that bends does, too.
// It is asked for where that is about to be said for certain.
func (p *Probe) fleetBeside() (judged, bool) {
	j, ok := p.likeliestFleet(byTurn, byLoad)
	return j, ok && (j.way == byTurn && j.off() < 2 || j.off() < 1) && j.r <= 8 && j.n >= 3
}

// prove makes the experiment that no single limit passes, for replicas with the
// figures of a fleet; nil where they do not pass it either, or it is too dear.
func (p *Probe) prove(ctx context.Context, f fleet) (*spreadOut, error) {
	total := f.n * float64(f.r)
	if p.v.Requests+int(1.5*total)+40 > p.opt.MaxRequests {
		return nil, nil
	}
	switch f.kind {
	case TokenBucket:
		if f.way == byTurn || f.way == byLoad {
			q := &particle{hypothesis: hypothesis{family: RefillBucket, n: total, w: f.w, m: float64(f.r)}}
			return p.inTurn(ctx, q, span{0.97 * f.w, 1.03 * f.w})
		}
	case FixedFirst:
		q := &particle{hypothesis: hypothesis{family: FixedFirst, n: total, w: f.w}}
		return p.inTurn(ctx, q, span{0.98 * f.w, 1.02 * f.w})
	}
	// Each has windows of its own: when all is spent they open one after the other.
	burst := len(p.sights)
	if err := p.exhaust(ctx, int(total)); err != nil {
		return nil, err
	}
	if _, err := p.drain(ctx, int(total), 5, nil); err != nil {
		return nil, err
	}
	if err := p.firstOf(ctx, f.w); err != nil {
		return nil, err
	}
	return p.staggered(ctx, p.sights[burst:len(p.sights):len(p.sights)])
}

// exhaust spends what is left of a total until something is refused: in waves that grow,
// for most of it may be gone.
func (p *Probe) exhaust(ctx context.Context, total int) error {
	most := max(8, (p.opt.MaxRefused-p.v.Refused)/4)
	for n, sent := 3, 0; sent < 2*total+20; n = min(2*n, most) {
		w, err := p.wave(ctx, 0, n, "spend it, and see whether they open one after the other")
		if err != nil || w.r > 0 {
			return err
		}
		sent += n
	}
	return nil
}

// spreadOf is what a fleet says in figures, and whether they are settled.
func (p *Probe) spreadOf(j judged, proved *spreadOut) *spreadOut {
	s := &spreadOut{bucket: j.kind == TokenBucket, clock: j.kind == FixedClock}
	s.replicas, s.each, s.share, s.gain = j.r, int(j.n), 0.95, 12
	w, n := span{j.w, j.w}, span{j.n, j.n}
	most := 4.0
	possible := func(f fleet) bool {
		if !f.valid() {
			return false
		}
		o := p.upTo(1e6).judge(f, 2*f.draws(), j.surplus()+most+6)
		return o.cost < j.cost+most
	}
	for _, dir := range []float64{-1, 1} {
		known := 0.0 // by so much it may be off; and the bound is where it may not
		for _, by := range []float64{0.003, 0.01, 0.03, 0.06, 0.1, 0.2} {
			off := func(by float64) fleet {
				f := j.fleet
				f.w *= 1 + dir*by
				return f
			}
			if possible(off(by)) {
				known = by
				w = w.with(off(by).w)
				continue
			}
			for range 3 {
				if mid := (known + by) / 2; possible(off(mid)) {
					known = mid
				} else {
					by = mid
				}
			}
			w = w.with(off(by).w)
			break
		}
		for by := 1.0; by < 40; by *= 2 {
			f := j.fleet
			f.n += dir * by
			if !possible(f) {
				if by > 1 { // what lies between was not tried
					n = n.with(j.fleet.n + dir*(by-1))
				}
				break
			}
			n = n.with(f.n)
		}
	}
	s.low, s.high = int(n.lo), int(n.hi)
	// Draws are not all that may have been, and a busy machine gives back late.
	least := 0.03
	if s.bucket {
		least = 0.06
	}
	w = w.with(j.w * (1 - least)).with(j.w * (1 + least))
	s.window = w
	if j.kind == FixedClock && j.way != byChance && proved == nil { // one that opened is all that is known of it
		s.window = span{0.25 * j.w, 1.75 * j.w}
	}
	if s.bucket { // until it is full
		s.window = span{w.lo * j.n, w.hi * j.n}
	}
	// Where windows begin at times of each one's own, several lengths explain what was seen.
	s.sure = proved != nil && j.kind != FixedClock && proved.replicas == j.r && s.high-s.low <= s.each/10 && w.hi < 1.15*w.lo
	return s
}

// bending tells whether what is likeliest, and not settled, is of a kind whose
// figures bend far enough to explain much of what replicas do.
func (p *Probe) bending() bool {
	shares := p.shares()
	switch shares[0].Family {
	case SlidingWindow, SlidingWindowDenied, Stacked, RefillBucket, Ban:
		return !p.settled(shares)
	}
	return false
}
