// Package hist is Hist, a latency histogram: exact count, minimum, maximum and
// sum, exact merge, and quantiles within 0.4 % from nanoseconds to centuries.
//
// The buckets are log-linear: every power of two is cut into SubBuckets equal
// parts, and values under 2·SubBuckets nanoseconds have a bucket each. The same
// buckets serve every histogram, so merging is adding integers: no order of
// merging, over seconds or over machines, can change a result.
package hist

import (
	"math"
	"math/bits"
	"time"
)

// Hist counts durations. The zero value is empty and ready. Memory is kept only
// for the octaves that were touched, one kilobyte each. A Hist is not safe for
// concurrent use; methods that only read accept a nil *Hist as an empty one.
//
// Counts saturate at 2^64-1 and the sum at 2^128-1 instead of wrapping.
type Hist struct {
	blocks [numBlocks]*block
	count  uint64
	sumHi  uint64 // the sum in nanoseconds, 128 bits
	sumLo  uint64
	max    uint64
	// minNot is the bitwise complement of the minimum, so that the zero value
	// means "no minimum yet" and a recording needs one comparison only.
	minNot uint64
}

// block holds the counts of SubBuckets neighbouring buckets.
type block [SubBuckets]uint64

// Record counts d once. A negative d counts as 0. It does not allocate, except
// for the first value in an octave.
func (h *Hist) Record(d time.Duration) {
	v := nanos(d)
	e := uint(bits.Len64(v|SubBuckets)) - subBits - 1
	i := e<<subBits + uint(v>>e)
	b := h.blocks[i>>subBits]
	if b == nil {
		b = new(block)
		h.blocks[i>>subBits] = b
	}
	b[i%SubBuckets]++
	var carry uint64
	h.sumLo, carry = bits.Add64(h.sumLo, v, 0)
	h.sumHi += carry
	if v > h.max {
		h.max = v
	}
	if ^v > h.minNot {
		h.minNot = ^v
	}
	h.count++
	if h.count == 0 {
		h.undoWrap(&b[i%SubBuckets], carry)
	}
}

// undoWrap restores the saturated values after Record wrapped the count.
//
// Subtle: a bucket never exceeds the count, and the sum cannot reach 2^128
// before 2^65 records, so Record needs to look at the count alone.
func (h *Hist) undoWrap(bucket *uint64, carry uint64) {
	h.count = math.MaxUint64
	if *bucket == 0 {
		*bucket = math.MaxUint64
	}
	if carry == 1 && h.sumHi == 0 {
		h.sumHi, h.sumLo = math.MaxUint64, math.MaxUint64
	}
}

// RecordN counts d n times, exactly as n calls of Record would.
func (h *Hist) RecordN(d time.Duration, n uint64) {
	if n == 0 {
		return
	}
	v := nanos(d)
	h.AddBucket(Index(d), n)
	hi, lo := bits.Mul64(v, n)
	h.addSum(hi, lo)
	h.max = max(h.max, v)
	h.minNot = max(h.minNot, ^v)
}

// Merge adds everything that o has counted to h, exactly: the result equals
// that of recording all values into one histogram. o may be nil and is not changed.
func (h *Hist) Merge(o *Hist) {
	if o == nil || o.count == 0 {
		return
	}
	count := addSat(h.count, o.count)
	// Without saturation of the total none of its parts can saturate.
	exact := count != math.MaxUint64
	for k, from := range o.blocks {
		if from == nil {
			continue
		}
		to := h.blocks[k]
		if to == nil {
			if *from == (block{}) {
				continue
			}
			h.blocks[k] = &block{}
			*h.blocks[k] = *from
			continue
		}
		if exact {
			for i, n := range from {
				to[i] += n
			}
			continue
		}
		for i, n := range from {
			to[i] = addSat(to[i], n)
		}
	}
	h.count = count
	h.addSum(o.sumHi, o.sumLo)
	h.max = max(h.max, o.max)
	h.minNot = max(h.minNot, o.minNot)
}

// Count returns how many values were recorded.
func (h *Hist) Count() uint64 {
	if h == nil {
		return 0
	}
	return h.count
}

// Min returns the smallest value recorded, exactly, or 0 when there is none.
func (h *Hist) Min() time.Duration {
	if h == nil || h.count == 0 {
		return 0
	}
	return time.Duration(^h.minNot)
}

// Max returns the largest value recorded, exactly, or 0 when there is none.
func (h *Hist) Max() time.Duration {
	if h == nil {
		return 0
	}
	return time.Duration(h.max)
}

// Sum returns the sum of all values in seconds. It is kept exactly and rounded
// once, here; Sum128 has all of it.
func (h *Hist) Sum() float64 {
	hi, lo := h.Sum128()
	return (math.Ldexp(float64(hi), 64) + float64(lo)) / 1e9
}

// Sum128 returns the exact sum of all values in nanoseconds, as hi·2^64 + lo.
func (h *Hist) Sum128() (hi, lo uint64) {
	if h == nil {
		return 0, 0
	}
	return h.sumHi, h.sumLo
}

// Mean returns the exact mean rounded to a nanosecond, or 0 when there is no value.
func (h *Hist) Mean() time.Duration {
	if h == nil || h.count == 0 {
		return 0
	}
	if h.sumHi >= h.count {
		return h.Max()
	}
	q, r := bits.Div64(h.sumHi, h.sumLo, h.count)
	if r >= h.count-r {
		q++
	}
	return h.clamp(q)
}

// Reset forgets all values and keeps the memory for the next ones.
func (h *Hist) Reset() {
	for _, b := range h.blocks {
		if b != nil {
			*b = block{}
		}
	}
	*h = Hist{blocks: h.blocks}
}

// Clone returns an independent copy; that of nil is empty.
func (h *Hist) Clone() *Hist {
	c := new(Hist)
	c.Merge(h)
	return c
}

// Equal says whether h and o have counted the same: equal buckets, count, sum
// and extremes. nil equals empty.
func (h *Hist) Equal(o *Hist) bool {
	if h.Count() == 0 || o.Count() == 0 {
		return h.Count() == o.Count()
	}
	if h.count != o.count || h.sumHi != o.sumHi || h.sumLo != o.sumLo || h.max != o.max || h.minNot != o.minNot {
		return false
	}
	for k, a := range h.blocks {
		b := o.blocks[k]
		if a == nil {
			a = &block{}
		}
		if b == nil {
			b = &block{}
		}
		if *a != *b {
			return false
		}
	}
	return true
}

// AddBucket counts n values in bucket i, as returned by Index, without saying
// which: for a recorder that keeps counters of its own. Min, Max, Mean, Sum and
// Quantile are right only after the AddExact that follows the last AddBucket.
// An index that does not exist counts in the nearest bucket that does.
func (h *Hist) AddBucket(i int, n uint64) {
	if n == 0 {
		return
	}
	i = min(max(i, 0), NumBuckets-1)
	b := h.blocks[i>>subBits]
	if b == nil {
		b = new(block)
		h.blocks[i>>subBits] = b
	}
	c := &b[i%SubBuckets]
	*c = addSat(*c, n)
	h.count = addSat(h.count, n)
}

// AddExact adds the exact extremes and the exact sum in nanoseconds
// (sumHi·2^64 + sumLo) of the values that were added with AddBucket.
//
// The smallest value then lies in the first bucket that is not empty and the
// largest in the last one; where the arguments say otherwise, as a snapshot
// taken amid a recording may, they are moved to the nearest edge of that bucket.
func (h *Hist) AddExact(min, max time.Duration, sumHi, sumLo uint64) {
	if h.count == 0 {
		return
	}
	h.addSum(sumHi, sumLo)
	if v := nanos(min); ^v > h.minNot {
		h.minNot = ^v
	}
	if v := nanos(max); v > h.max {
		h.max = v
	}
	first, last := h.ends()
	lo, hi := edges(first)
	least := clampTo(^h.minNot, lo, hi)
	lo, hi = edges(last)
	h.minNot, h.max = ^least, clampTo(h.max, lo, hi)
	if h.max < least {
		h.max = least
	}
}

// nanos returns d as a number to count with; a negative one is 0.
func nanos(d time.Duration) uint64 { return uint64(max(d, 0)) }

// ends returns the first and the last bucket that are not empty; h must not be empty.
func (h *Hist) ends() (first, last int) {
	first = -1
	for k, b := range h.blocks {
		if b == nil {
			continue
		}
		for i, n := range b {
			if n == 0 {
				continue
			}
			last = k<<subBits + i
			if first < 0 {
				first = last
			}
		}
	}
	return max(first, 0), last
}

func (h *Hist) addSum(hi, lo uint64) {
	var carry uint64
	h.sumLo, carry = bits.Add64(h.sumLo, lo, 0)
	h.sumHi, carry = bits.Add64(h.sumHi, hi, carry)
	if carry != 0 {
		h.sumHi, h.sumLo = math.MaxUint64, math.MaxUint64
	}
}

func (h *Hist) clamp(v uint64) time.Duration {
	return time.Duration(clampTo(v, ^h.minNot, h.max))
}

func clampTo(v, lo, hi uint64) uint64 { return min(max(v, lo), hi) }

// addSat returns a + b, or the largest uint64 when that is too large.
func addSat(a, b uint64) uint64 {
	if s := a + b; s >= a {
		return s
	}
	return math.MaxUint64
}
