package probe

import "math"

// crowd weighs how many replicas of what size explain bursts that were sent to
// them at random: each replica has so many left, and each request goes to any of
// them. What cannot be seen (who got which) is drawn, many times.
type crowd struct {
	bursts [][]sight // each from rest until nothing was admitted
	rate   float64   // what all of them together give back, units a second
	known  map[crowdKey]float64
}

type crowdKey struct {
	burst, replicas, each int
}

// likely returns the logarithm of how likely a burst is, up to a constant. Subtle:
// it does not follow each replica, only how many of them are still open. What is
// left in all of these is known, for it is what was there less what was admitted;
// how unevenly it lies among them follows from how many requests have gone by.
func (c *crowd) likely(burst, replicas, each int) float64 {
	k := crowdKey{burst, replicas, each}
	if v, ok := c.known[k]; ok {
		return v
	}
	left, sent, sum := float64(replicas*each), 0.0, 0.0
	open := make([]float64, replicas+1)
	next := make([]float64, replicas+1)
	open[replicas] = 1
	was := c.bursts[burst][0].s
	for _, w := range c.bursts[burst] {
		left = min(float64(replicas*each), left+(w.last-was)*c.rate)
		was = w.last
		n, a := float64(w.a+w.r), float64(w.a)
		if left-a < -0.5-0.02*n {
			sum -= 6 + (a-left)*0.5 // more than there was
			left = a
		}
		after := max(0, left-a)
		mid := sent + n/2
		clear(next)
		total := 0.0
		for j, p := range open {
			if p < 1e-12 {
				continue
			}
			shut := 1.0 // the chance of each that is open to be full after the wave
			if left > 0 && j > 0 {
				shut = 1 - min(1, stays(after, j, (mid+n/2)/float64(replicas))/max(1e-9, stays(left, j, mid/float64(replicas))))
			}
			for to := j; to >= 0; to-- {
				if to == 0 && after >= 1 || to > 0 && after < 1-1e-9 && c.rate == 0 {
					continue
				}
				q := p * binomial(j, j-to, shut)
				if q < 1e-14 {
					continue
				}
				q *= binomial(int(n), int(a), float64(j+to)/float64(2*replicas))
				next[to] += q
				total += q
			}
		}
		if total < 1e-9 { // what nothing explains must not end it
			sum -= 20
			copy(next, open)
			total = 1
		} else {
			sum += math.Log(total)
		}
		for j := range next {
			next[j] /= total
		}
		open, next = next, open
		left, sent = after, sent+n
	}
	if c.known == nil {
		c.known = map[crowdKey]float64{}
	}
	c.known[k] = sum
	return sum
}

// stays is the chance that one of j open replicas that have left among them is not
// full, when each was sent mean requests: its part is normally distributed about
// the mean of them.
func stays(left float64, j int, mean float64) float64 {
	sd := math.Sqrt(mean * (1 - 1/float64(j)))
	x := left/float64(j) - 0.5
	if sd < 1e-9 {
		return boolTo(x > 0 || left >= 1, 1)
	}
	return 0.5 * math.Erfc(-x/sd/math.Sqrt2)
}

// binomial is the chance of k out of n, each with a chance of p.
func binomial(n, k int, p float64) float64 {
	switch {
	case p <= 0:
		return boolTo(k == 0, 1)
	case p >= 1:
		return boolTo(k == n, 1)
	}
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log(1-p))
}

// first fits the first burst. What is still admitted at the end of it may have come
// back meanwhile, or be what the last replica had left: whichever is likelier.
func (c *crowd) first() crowdFit {
	f := c.fit()
	b := c.bursts[len(c.bursts)-1]
	end := b[max(0, len(b)-5):]
	got := 0.0
	for _, w := range end[1:] {
		got += float64(w.a)
	}
	took := end[len(end)-1].last - end[0].last
	if took <= 0 || got < 3 {
		return f
	}
	one := *c
	one.rate, one.known = got/took, nil
	if g := one.fit(); g.best > f.best+1 {
		c.rate, c.known = one.rate, one.known
		return g
	}
	return f
}

// crowdFit is what is believed of the number of replicas.
type crowdFit struct {
	replicas, each int
	low, high      int     // of each
	share          float64 // of the belief that has this number of replicas
	best           float64 // how likely it makes what was seen, as a logarithm
	gain           float64 // by how much they explain it better than one limit
}

// fit weighs all numbers up to a dozen.
func (c *crowd) fit() crowdFit {
	total, slow := 0.0, 0.0
	for _, b := range c.bursts {
		n := 0.0
		for _, w := range b {
			n += float64(w.a)
		}
		took := b[len(b)-1].last - b[0].s
		total, slow = max(total, n), max(slow, n-took*c.rate)
	}
	sum := func(replicas, each int) (l float64) {
		for b := range c.bursts {
			l += c.likely(b, replicas, each)
		}
		return l
	}
	alone := math.Inf(-1)
	for each := int(slow * 0.9); each <= int(total)+1; each += max(1, int(total)/60) {
		alone = max(alone, sum(1, max(1, each)))
	}
	for _, b := range c.bursts { // until the first refusal, exactly
		n := 0
		for _, w := range b {
			if n += w.a; w.r > 0 {
				break
			}
		}
		alone = max(alone, sum(1, max(1, n)), sum(1, max(1, int(slow))))
	}
	type guess struct {
		each int
		l    float64
	}
	by := map[int][]guess{}
	best, out := math.Inf(-1), crowdFit{}
	for r := 2; r <= 12; r++ {
		lo := max(1, int(math.Ceil(0.96*slow/float64(r))))
		if c.rate == 0 {
			lo = max(1, int(math.Ceil(total/float64(r)))) // no more than there was
		}
		hi := int(1.1*total/float64(r)) + 2
		for each := lo; each <= hi; each += max(1, each/50) {
			l := sum(r, each)
			if r > 8 {
				l-- // few have so many
			}
			by[r] = append(by[r], guess{each, l})
			if l > best {
				best, out.replicas, out.each = l, r, each
			}
		}
	}
	all := 0.0
	shares := [13]float64{}
	for r, gs := range by {
		for _, g := range gs {
			shares[r] += math.Exp(g.l - best)
		}
		// As many figures were tried for each number.
		shares[r] /= math.Sqrt(float64(len(gs)))
	}
	top := 2
	for r := 2; r <= 12; r++ {
		all += shares[r]
		if shares[r] > shares[top] {
			top = r
		}
	}
	most := math.Inf(-1)
	for _, g := range by[top] {
		if g.l > most {
			most, out.each = g.l, g.each
		}
	}
	out.replicas, out.share, out.best, out.gain = top, shares[top]/all, best, best-alone
	out.low, out.high = out.each, out.each
	for _, g := range by[top] {
		if g.l > most-3 {
			out.low, out.high = min(out.low, g.each), max(out.high, g.each)
		}
	}
	return out
}
