package probe

import (
	"context"
	"math"

	"github.com/weir-dev/weir/limit"
)

// spreadOut is what a long burst from rest says about several replicas that each
// keep their own count, when requests go to them at random: the first refusals
// come while others still admit, and more and more of each wave is refused.
type spreadOut struct {
	replicas int
	each     int64 // what each admits from rest
	off      float64
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
	if total < 5 {
		return nil, nil
	}
	n := max(3, min(total/12, 25))
	full, more, partly := 0, 0, 0
	for i := range 16 {
		w, err := p.wave(ctx, 0, n, "whether others still admit, as replicas do")
		if err != nil {
			return nil, err
		}
		if w.a > 0 && w.r > 0 {
			partly++
		}
		more += w.a
		if w.r == 0 {
			full++
		}
		switch {
		case i == 0 && 3*w.a < w.r || full > 2:
			return nil, nil
		case w.a == 0:
			if partly < 2 || more < max(3, total/25) {
				return nil, nil
			}
			return fitReplicas(p.sights), nil
		}
	}
	return nil, nil
}

// replicated sends a burst from rest in small waves, and tells whether replicas
// explain it. It is for when no single limit explains what was seen.
func (p *Probe) replicated(ctx context.Context) (found *spreadOut, err error) {
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
	n := max(3, int(p.sights[0].scale)/6)
	for _, w := range p.sights {
		n = max(n, w.a/5)
	}
	first := len(p.sights)
	refused := 0
	for i := range 60 {
		idle := 0.0
		if i == 0 {
			idle = min(rest, 300)
		}
		w, err := p.wave(ctx, idle, n, "a long burst, in case there are replicas")
		if err != nil {
			return nil, err
		}
		if refused += w.r; w.a == 0 || refused > 6*n && refused > 60 {
			break
		}
	}
	return fitReplicas(p.sights[first:]), nil
}

// fitReplicas finds how many replicas of what size explain a burst, or nil where
// one limit would do.
func fitReplicas(burst []sight) *spreadOut {
	partly, refused, total := 0, 0, 0
	for _, w := range burst {
		total += w.a
		if w.a > 0 && refused > 0 {
			partly++
		}
		refused += w.r
	}
	if partly < 2 || total < 4 {
		return nil
	}
	best := &spreadOut{off: math.Inf(1)}
	alone := math.Inf(1) // of one limit
	for r := 1; r <= 12; r++ {
		for each := max(1, total/r*8/10); each <= total/r*14/10+3; each++ {
			off, offered, had := 0.0, 0.0, 0.0
			for _, w := range burst {
				offered += float64(w.a + w.r)
				want := float64(r) * filled(offered/float64(r), each, r == 1)
				d := float64(w.a) - (want - had)
				had = want
				off += d * d / (1 + 0.25*float64(w.a+w.r))
			}
			if r == 1 {
				alone = min(alone, off)
			} else if off < best.off {
				best = &spreadOut{replicas: r, each: int64(each), off: off}
			}
		}
	}
	if best.off > 0.75*alone {
		return nil
	}
	return best
}

// filled is the mean of what one replica admits of a Poisson number of requests.
func filled(mean float64, most int, alone bool) float64 {
	if alone {
		return min(mean, float64(most))
	}
	if mean > 20*float64(most)+50 {
		return float64(most)
	}
	sum, below := 0.0, 0.0
	p := math.Exp(-mean)
	if p == 0 { // large: the normal distribution is near enough
		sd := math.Sqrt(mean)
		z := (float64(most) - mean) / sd
		return mean - sd*(math.Exp(-z*z/2)/math.Sqrt(2*math.Pi)-z*(1-math.Erf(z/math.Sqrt2))/2)
	}
	for k := 0; k < most; k++ {
		sum += float64(k) * p
		below += p
		p *= mean / float64(k+1)
	}
	return sum + float64(most)*(1-below)
}

// foundReplicas is the verdict. Of the policy of each only the limit is known
// well; the window is that of the family that came nearest.
func (p *Probe) foundReplicas(s *spreadOut, nearest Found) Found {
	f := Found{Family: Replicas, Replicas: s.replicas, LimitLow: s.each * 9 / 10, LimitHigh: s.each*11/10 + 1, WindowOff: math.Max(nearest.WindowOff, 0.1)}
	for _, q := range nearest.Policies[:min(1, len(nearest.Policies))] {
		if q.Algorithm == limit.TokenBucket {
			q.Burst = s.each
		} else {
			q = limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: s.each, Window: q.Window}
			if q.Window == 0 {
				q.Window = 1e9
			}
		}
		f.Policies = append(f.Policies, q)
	}
	return f
}
