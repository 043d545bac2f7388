package probe

import "math"

// leaks tells whether what was admitted after the first refusal of a burst from rest
// is what one token bucket gives back meanwhile, rather than what is left of replicas
// that are reached at random: each is weighed by the chance of the answers.
func (p *Probe) leaks() bool {
	first, sum := 0, 0.0
	for first < len(p.sights) && p.sights[first].r == 0 {
		sum += float64(p.sights[first].a)
		first++
	}
	mixed, after, refused := 0, 0.0, 0
	for _, w := range p.sights[min(first+1, len(p.sights)):] {
		after += float64(w.a)
		refused += w.r
		if w.a > 0 && w.r > 0 {
			mixed++
		}
	}
	if mixed < 2 || refused < 5 {
		return false
	}
	shut, last := p.sights[first], p.sights[len(p.sights)-1]
	sum += float64(shut.a)
	rate := after / (last.d - shut.d)
	if !(rate > 0) || math.IsInf(rate, 1) {
		return false
	}
	all := p.upTo(1e6)
	one := math.Inf(1)
	for _, by := range []float64{1, 0.85, 1.15} {
		for _, more := range []float64{0, -1, 1} {
			n := math.Round(sum-by*rate*(shut.d-p.sights[0].s)) + more
			if n < 1 {
				continue
			}
			one = min(one, all.judge(fleet{way: byTurn, kind: TokenBucket, r: 1, n: n, w: 1 / (by * rate)}, 16, 60).cost)
		}
	}
	many := math.Inf(1)
	for r := 2; r <= 8; r++ {
		for _, by := range []float64{1.02, 1.1, 1.25, 1.5} {
			n := math.Ceil((sum + after) * by / float64(r))
			many = min(many, all.judge(fleet{way: byChance, kind: FixedFirst, r: r, n: n, w: 1e5}, 10, 60).cost)
			if n := math.Round(sum * by / float64(r)); by < 1.3 {
				many = min(many, all.judge(fleet{way: byChance, kind: TokenBucket, r: r, n: n, w: float64(r) / rate}, 10, 60).cost)
			}
		}
	}
	return one < many-1
}
