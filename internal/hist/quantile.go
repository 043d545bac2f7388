package hist

import (
	"math"
	"time"
)

// Quantile returns the value of nearest rank: the smallest recorded value such
// that at least the share q of all values is not larger, within 0.4 % and never
// outside [Min, Max]. q ≤ 0 (or NaN) gives Min and q ≥ 1 gives Max, both exact;
// so is the value of a histogram that holds one value only. Empty gives 0.
func (h *Hist) Quantile(q float64) time.Duration {
	switch {
	case h == nil || h.count == 0:
		return 0
	case !(q > 0):
		return h.Min()
	case q >= 1:
		return h.Max()
	}
	left := rank(q, h.count)
	for k, b := range h.blocks {
		if b == nil {
			continue
		}
		for i, n := range b {
			if n < left {
				left -= n
				continue
			}
			lo, hi := edges(k<<subBits + i)
			return h.clamp(lo + (hi-lo)/2)
		}
	}
	return h.Max() // only after saturation can the buckets hold less than the count
}

// rank returns ⌈q·n⌉ in [1, n].
//
// Subtle: q is meant as a decimal, but 0.07·100 is 7.000000000000001 in binary
// and would be rank 8. A product this near to a whole number is that number.
func rank(q float64, n uint64) uint64 {
	r := q * float64(n)
	if whole := math.Round(r); math.Abs(r-whole) <= r*1e-15 {
		r = whole
	}
	r = math.Ceil(r)
	if r >= float64(n) {
		return n
	}
	return max(uint64(r), 1)
}

// CountAbove returns how many values are larger than d, exact to a bucket:
// values in the same bucket as d do not count as larger, except that the answer
// is exact when d is below Min or not below Max.
func (h *Hist) CountAbove(d time.Duration) uint64 {
	if h == nil || h.count == 0 || d >= h.Max() {
		return 0
	}
	if d < h.Min() {
		return h.count
	}
	var above uint64
	first := Index(d) + 1
	for k := first >> subBits; k < numBlocks; k++ {
		b := h.blocks[k]
		if b == nil {
			continue
		}
		from := 0
		if k == first>>subBits {
			from = first % SubBuckets
		}
		for _, n := range b[from:] {
			above = addSat(above, n)
		}
	}
	return above
}
