package probe

import (
	"fmt"
	"math"
	"slices"
)

// quiet is a limit that is as good as new once it let nothing through for a time: each
// request let through begins that time anew, as an expiry that is set with each of them does.
// It is not among what is sought, for a probe that waits for openings makes a rhythm in which
// it looks like windows of the clock. So it is asked for before anything is certain.
type quiet struct {
	n, wait     float64 // how many go through, and for how long nothing may
	tick, phase float64 // as of ticked; 0: its clock runs on
	denied      bool    // what is refused begins the time anew, too
	ways        []quietly
	next        []quietly
}

// quietly is one way in which things may have gone: so many let through since it was as good
// as new, and when the latest was.
type quietly struct {
	count float64
	last  span
}

// quietAlike tells whether such a limit explains all that was seen, if the best of a herd does,
// and which. Of single requests it is the same limit as others.
func (p *Probe) quietAlike(h *herd) (alike quiet, ok bool) {
	b := h.best[0]
	switch b.family {
	case None, Concurrency, TokenBucket, LeakyQueue, Replicas:
		return quiet{}, false
	}
	if p.share > 0 || b.n < 2 || b.family == FixedFirst && b.anew {
		return quiet{}, false
	}
	for _, w := range midways(p.pauses(true)) { // one that refused requests begin anew, too
		if p.within(hypothesis{family: FixedFirst, anew: true, n: b.n, w: w, m: 1}, b.cost+0.01, b.cost+0.01) != nil {
			return quiet{n: b.n, wait: w, denied: true}, true
		}
	}
	if b.family == FixedFirst || b.family == FixedClock { // a log that is forgotten once nobody asked for less than its window
		for _, w := range midways(p.pauses(true)) {
			if w < b.w && p.forgets(hypothesis{family: SlidingLog, n: b.n, w: b.w}, w) {
				return quiet{n: b.n, wait: w, denied: true}, true
			}
		}
	}
	gaps := p.pauses(false)
	if len(gaps) == 0 {
		return quiet{}, false
	}
	for i, g := range gaps {
		w := g - 1e-4
		if i+1 < len(gaps) {
			w = (g + gaps[i+1]) / 2
		}
		for _, w := range []float64{w, g - 1e-4} {
			if m := (quiet{n: b.n, wait: w}); w > 0 && m.explains(p.sights) {
				return m, true
			}
		}
	}
	// Many keep the time of the latest as whole seconds. Of one of these it is a window of the clock.
	place := p.evenHead(FixedClock, 1)
	for w := 2.0; w < gaps[len(gaps)-1]+2 && w < 4000; w++ {
		for _, early := range p.shifts() {
			if m := (quiet{n: b.n, wait: w, tick: 1, phase: place - early}); m.explains(p.sights) {
				return m, true
			}
		}
	}
	return quiet{}, false
}

// forgets tells whether a limit explains all that was seen, if it is as good as new whenever
// nobody asked for so long, as a key that expires is.
func (p *Probe) forgets(h hypothesis, silence float64) bool {
	for from, i := 0, 1; i <= len(p.sights); i++ {
		if i < len(p.sights) && p.sights[i].d-p.sights[i-1].since < silence {
			continue
		}
		q := &particle{hypothesis: h}
		if q.see(p.sights[from:i], 0.01); q.cost > 0.01 {
			return false
		}
		from = i
	}
	return true
}

// explains tells whether it explains all waves, with the server's instant anywhere within each.
func (m *quiet) explains(sights []sight) bool {
	m.ways = append(m.ways[:0], quietly{last: span{math.Inf(-1), math.Inf(-1)}})
	for i := range sights {
		if m.take(&sights[i]); len(m.ways) == 0 {
			return false
		}
	}
	return true
}

// take goes on with each way that a wave allows.
func (m *quiet) take(w *sight) {
	m.next = m.next[:0]
	for _, q := range m.ways {
		since, d, last := w.since, w.d, q.last
		if m.tick > 0 {
			since, d = m.at(since), m.at(d)
			last = span{m.at(last.lo), m.at(last.hi)}
		}
		if d-last.lo >= m.wait && w.a+w.lost > 0 { // it may be as good as new
			m.spend(w, quietly{last: q.last})
		}
		if since-last.hi < m.wait { // or not yet
			if m.tick == 0 {
				q.last.lo = max(q.last.lo, w.since-m.wait)
			}
			m.spend(w, q)
		}
	}
	m.ways, m.next = m.next, m.ways
}

func (m *quiet) at(t float64) float64 { return math.Floor((t - m.phase) / m.tick) }

// spend takes what was let through from what is left; what was refused found nothing left.
func (m *quiet) spend(w *sight, q quietly) {
	for lost := 0; lost <= w.lost; lost++ {
		count := q.count + float64(w.a+lost)
		if count > m.n || w.r > 0 && count < m.n {
			continue
		}
		after := quietly{count: count, last: q.last}
		if w.a+lost > 0 {
			after.last = span{w.since, w.d}
		}
		same := func(o quietly) bool { return o.count == after.count }
		if i := slices.IndexFunc(m.next, same); i >= 0 {
			o := &m.next[i].last
			*o = span{min(o.lo, after.last.lo), max(o.hi, after.last.hi)}
		} else {
			m.next = append(m.next, after)
		}
	}
}

// quieted asks what such a limit, where it explains all too, answers otherwise: single requests
// keep it from being quiet until what is believed has forgotten the first of them.
func (p *Probe) quieted() *experiment {
	shares := p.shares()
	if p.quiets >= quietsMost || !p.settled(shares) {
		return nil
	}
	h := p.herd(shares[0].Family)
	m, ok := p.quietAlike(h)
	if !ok {
		return nil
	}
	gap := 0.75 * m.wait
	if m.tick > 0 {
		gap = 0.9 * (m.wait - m.tick)
	}
	if gap -= p.rtt(); gap < 2*p.rtt() {
		return nil
	}
	b := h.best[0]
	pl := &planner{fitter: &p.fitter, rtt: p.rtt(), full: p.rtt(), slack: p.slack(), net: p.net(), now: p.sights[len(p.sights)-1].done}
	steps := []step{{idle: 1.1*max(b.period(), m.wait+m.tick) + 0.1, n: 1}}
	for sent := 1; sent < int(b.n) && len(steps) < quietMost; sent++ {
		left := int(b.n) - sent
		e := &experiment{steps: append(slices.Clone(steps), step{idle: gap, n: left + 1}), why: whyQuieted, through: true}
		out := make([]span, 2*e.len())
		pl.foresee(b, e, out)
		if out[e.len()-1].lo > float64(left) {
			p.quiets++
			return e
		}
		steps = append(steps, step{idle: gap, n: 1})
	}
	return nil
}

const (
	whyQuieted = "keep it from being quiet, and see whether it opens all the same"
	quietsMost = 2  // so often it is asked
	quietMost  = 40 // waves of it
)

// settle says what would tell such a limit from one that lets n through.
func (m *quiet) settle() string {
	n, wait := m.n, m.wait
	return fmt.Sprintf("rest, and send %d, one each %s: where the last is refused, all comes back only once nothing was let through for about %s", int(n)+1, waitWords(0.7*wait), waitWords(wait))
}
