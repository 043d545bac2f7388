package probe

import "math"

// chance is how likely it is that a count is from lo to hi, when it has a mean and a
// variance: a binomial, Poisson or negative binomial one.
func chance(lo, hi, mean, v float64) float64 {
	if hi < lo || hi < 0 {
		return 0
	}
	if mean < 1e-6 {
		return boolTo(lo <= 0, 1)
	}
	v = max(v, 1e-4)
	if v < 0.4*mean { // most of it is known
		return chanceOfKnown(lo, hi, mean, v)
	}
	if mean > 25 {
		return chanceOfMany(lo, hi, mean, v)
	}
	q := mean / v
	if math.Abs(q-1) < 1e-3 {
		q = 1 - 1e-3
	}
	r, f := mean*q/(1-q), 1-q // of a binomial both are negative
	one := math.Exp(r * math.Log(q))
	below, sum := 0.0, 0.0
	for k := 0.0; k <= hi && k < 200 && one > 0; k++ {
		if k >= lo {
			sum += one
		} else {
			below += one
		}
		if k > mean && one < 1e-9 {
			break
		}
		one *= f * (r + k) / (k + 1)
	}
	if math.IsInf(hi, 1) {
		return max(0, 1-below)
	}
	return min(1, sum)
}

// chanceOfKnown is chance for counts that vary by little.
func chanceOfKnown(lo, hi, mean, v float64) float64 {
	scale := 1 / math.Sqrt(2*v)
	top, low := 1.0, -1.0
	if !math.IsInf(hi, 1) {
		top = math.Erf((hi + 0.5 - mean) * scale)
	}
	if lo > 0 {
		low = math.Erf((lo - 0.5 - mean) * scale)
	}
	return 0.5 * (top - low)
}

// chanceOfMany is chance for large counts.
func chanceOfMany(lo, hi, mean, v float64) float64 {
	root := math.Sqrt(mean)
	scale := root / math.Sqrt(v) * math.Sqrt2 // of 2·√x, over √2
	at := func(x float64) float64 { return math.Erf((math.Sqrt(max(0, x)) - root) * scale) }
	top := 1.0
	if !math.IsInf(hi, 1) {
		top = at(hi + 0.5)
	}
	low := -1.0
	if lo > 0 {
		low = at(lo - 0.5)
	}
	return 0.5 * (top - low)
}
