package probe

import "math"

// The most that a coincidence may count, and how much of it counts. Subtle: what
// is left of a family is known by samples, which make it look smaller than it is;
// and two families that no experiment has told apart yet differ in it, too. So it
// alone must hardly suffice to be sure.
const (
	occamPart = 0.8
	occamMost = 6.0
)

// usual are windows that people choose, half of the time at least, in seconds.
var usual = [...]float64{1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 45, 60, 90, 120, 300, 600, 900, 1800, 3600}

// occam is the most that coincidences count by now. A family that keeps explaining
// everything by other figures after each experiment has used up some of them each
// time, which samples do not show: at first it alone does not suffice to be sure.
func (p *Probe) occam() float64 {
	if p.share > 0 { // figures that had to be just so are what chance is taken for
		return 2 * occamMost
	}
	return min(occamMost, 2.8+0.2*float64(p.made))
}

// coincidence is how much of a family had to be given up for its best to explain
// what was seen, as the logarithm of the share that is left: a window that had to
// be just so, a head that had to lie just there. Of two families that explain
// everything, the one that needs fewer coincidences is likelier.
func (h *herd) coincidence(now float64) float64 {
	if len(h.best) == 0 || h.family == None || h.family == Concurrency {
		return 0
	}
	b := h.best[0]
	w, v := span{b.w, b.w}, span{b.v, b.v}
	m := span{b.m, b.m}
	ph, ph2 := span{0, 0}, span{0, 0}
	for _, q := range h.best {
		if q.cost > b.cost+max(0.5, q.near()-0.25) {
			break
		}
		w, v, m = w.with(q.w), v.with(q.v), m.with(q.m)
		ph, ph2 = ph.with(nearHead(q.ph, q.w, b.ph, b.w, now)), ph2.with(nearHead(q.ph2, q.v, b.ph2, b.v, now))
	}
	length := func(s span) float64 {
		if s.lo <= 0 {
			return 0
		}
		known := 0.0
		if b.them.b > 0 && (h.family == TokenBucket || h.family == LeakyQueue) {
			if r := roundRates(s); len(r) > 0 && r[0].odd < 3 {
				known = 0.5
			}
		}
		for _, w := range usual {
			if w > s.lo*(1-grain) && w < s.hi*(1+grain) {
				known++
			}
		}
		return -math.Log(0.5*known/float64(len(usual)) + 0.5*max(0.003, min(9, math.Log(s.hi/s.lo)))/9)
	}
	place := func(s span, w float64) float64 { return -math.Log(max(0.003, min(1, (s.hi-s.lo)/w))) }
	c := length(w)
	if b.tick > 0 {
		c += place(ph, b.tick)
	}
	switch h.family {
	case FixedClock, SlidingWindow, SlidingWindowDenied:
		if b.anew || b.tick > 0 {
			break
		}
		c += place(ph, b.w)
	case RefillBucket:
		if b.anew {
			break
		}
		c += place(ph, b.w) + math.Log(max(1, b.n/(m.hi-m.lo+1)))
	case Ban:
		if c += length(v); h.kind == FixedClock {
			c += place(ph, b.w)
		}
	case Stacked:
		c += length(v) + math.Log(max(1, b.m/(m.hi-m.lo+1)))
		if h.kind.gridded() {
			c += place(ph, b.w)
		}
		if h.kind2.gridded() {
			c += place(ph2, b.v)
		}
	}
	return c
}

func (s span) with(x float64) span { return span{min(s.lo, x), max(s.hi, x)} }

// nearHead is how far the heads of two grids are apart near an instant.
func nearHead(ph, w, ph2, w2, at float64) float64 {
	if w <= 0 || w2 <= 0 {
		return 0
	}
	a := ph + math.Round((at-ph)/w)*w
	d := math.Mod(a-ph2, w2)
	if d > w2/2 {
		d -= w2
	} else if d < -w2/2 {
		d += w2
	}
	return d
}
