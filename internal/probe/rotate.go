package probe

import "math"

// rotate plays a wave of which each request goes to the next of the replicas.
func (m *replay) rotate(w *sight) (cost, mean, vary float64) {
	r, n := m.r, w.a+w.r
	before, after, sum := 0.0, 0.0, 0.0
	slope := 2.0 // how fast it falls when other counts are seen than are expected
	if m.way == byLoad {
		slope /= 1 + 0.2*float64(min(w.a, w.r))
	}
	for j := range m.many {
		t := w.s + m.rng.Float64()*max(0, w.d-w.s)
		if m.way == byLoad && m.rng.IntN(12) == 0 {
			m.next[j] = m.rng.IntN(r)
		}
		at := m.next[j]
		m.next[j] = (at + n + w.lost) % r
		if n == 0 {
			continue
		}
		before += m.weight[j]
		if n == 1 {
			b := &m.berths[j*r+at]
			m.settle(b, t)
			q := min(1-odd, max(odd, m.chance(b, t)))
			sum += m.weight[j] * q
			if w.a == 1 {
				m.weight[j] *= q
				m.spend(b, t, w)
			} else {
				m.weight[j] *= 1 - q
				if m.kind != TokenBucket && b.open {
					b.lo = min(b.hi, max(b.lo, t))
				}
			}
			after += m.weight[j]
			continue
		}
		for i := range r {
			m.count[i] = n / r
			if (i-at+r)%r < n%r {
				m.count[i]++
			}
		}
		if m.way == byLoad && m.rng.IntN(2) == 0 {
			for range n / 4 {
				if from, to := m.rng.IntN(r), m.rng.IntN(r); m.count[from] > 0 {
					m.count[from]--
					m.count[to]++
				}
			}
			m.next[j] = m.rng.IntN(r)
		}
		got := 0
		for i := range r {
			k := m.count[i]
			if k == 0 {
				continue
			}
			b := &m.berths[j*r+i]
			m.settle(b, t)
			y := 0
			for x := range k {
				if x > 0 && w.d-w.s > 0.002 {
					t = max(t, w.s+(float64(x)+m.rng.Float64())/float64(k)*(w.d-w.s))
					m.settle(b, t)
				} else if x == 0 && k > 1 {
					t = w.s + m.rng.Float64()/float64(k)*max(0, w.d-w.s)
					m.settle(b, t)
				}
				if b.left >= 1 {
					m.spend(b, t, w)
					y++
				} else if q := m.chance(b, t); q > 0 && m.rng.Float64() < q {
					m.spend(b, t, w)
					y++
				} else if q > 0 {
					b.lo = min(b.hi, max(b.lo, t))
				}
			}
			got += y
		}
		far := math.Abs(float64(got - w.a))
		m.weight[j] *= math.Exp(-min(8, slope*far))
		after += m.weight[j]
	}
	if n == 0 || before == 0 {
		return 0, 0, 0
	}
	cost = -math.Log(after / before)
	if n == 1 {
		p := sum / before
		mean = -(p*math.Log(p) + (1-p)*math.Log(1-p))
		vary = p * (1 - p) * sq(math.Log(p/(1-p)))
	}
	if n > 1 && w.a > 0 && w.r > 0 {
		e := math.Exp(-slope)
		z := math.Log((1 + e) / (1 - e))
		cost, mean, vary = cost+z, z+0.5, 0.5
	}
	m.resample()
	return cost, mean, vary
}
