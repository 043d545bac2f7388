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
		if m.way == byLoad && w.r > 0 {
			far := math.Abs(float64(m.crowdIn(j, w) - w.a))
			m.weight[j] *= math.Exp(-min(8, slope*far))
			after += m.weight[j]
			continue
		}
		for i := range r {
			m.count[i] = n / r
			if (i-at+r)%r < n%r {
				m.count[i]++
			}
		}
		if m.way == byLoad && m.rng.IntN(6) == 0 {
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
			if m.kind == TokenBucket && b.left >= float64(k) { // all of them, whenever they come
				m.spend(b, t, w)
				b.left -= float64(k - 1)
				got += k
				continue
			}
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

// crowdIn plays a wave to a draw of replicas of which the one with the fewest under way
// gets the next, and returns how many are admitted. Subtle: who refuses has done so at
// once and is free again, so that those that are full draw the requests to themselves,
// the more so the longer the others work on one. How long that is, in requests that
// arrive meanwhile, is drawn.
func (m *replay) crowdIn(j int, w *sight) (got int) {
	r, n := m.r, w.a+w.r
	hold := 0
	if m.rng.IntN(3) > 0 {
		hold = int(math.Exp(m.rng.Float64() * math.Log(float64(n+1))))
	}
	bs, busy := m.berths[j*r:j*r+r], m.count
	clear(busy)
	if cap(m.under) < n {
		m.under = make([]int, n)
	}
	under := m.under[:n] // of each request, the replica that works on it, or -1
	at := m.next[j]
	for k := range n {
		if k > hold && under[k-hold-1] >= 0 {
			busy[under[k-hold-1]]--
		}
		best := at
		for i := range r {
			if c := (at + i) % r; busy[c] < busy[best] {
				best = c
			}
		}
		at = (best + 1) % r
		b, t := &bs[best], w.s+(float64(k)+m.rng.Float64())/float64(n)*max(0, w.d-w.s)
		m.settle(b, t)
		under[k] = -1
		q := m.chance(b, t)
		if yes := b.left >= 1 || q > 0 && m.rng.Float64() < q; !yes {
			if q > 0 {
				b.lo = min(b.hi, max(b.lo, t))
			}
			continue
		}
		m.spend(b, t, w)
		got++
		if hold > 0 {
			under[k] = best
			busy[best]++
		}
	}
	m.next[j] = at
	return got
}
