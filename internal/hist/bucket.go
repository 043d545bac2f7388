package hist

import (
	"iter"
	"math/bits"
	"time"
)

const (
	// SubBuckets is the number of buckets per power of two. A bucket is at
	// most 1/SubBuckets of its lower edge wide, so its middle is at most
	// 1/256 = 0.39 % away from any value in it.
	SubBuckets = 1 << subBits

	// NumBuckets is the number of buckets that exist: Index is in [0, NumBuckets).
	NumBuckets = numBlocks * SubBuckets

	subBits = 7
	// numBlocks: values under 2·SubBuckets fill two blocks, each further
	// power of two up to 2^63-1 one more.
	numBlocks = 63 - subBits + 1
)

// Bucket is one range of durations, both edges included, and how many values
// fell into it. Bucket i+1 begins one nanosecond after High of bucket i.
type Bucket struct {
	Low, High time.Duration
	Count     uint64
}

// Mid returns the value that stands for the bucket: its middle.
func (b Bucket) Mid() time.Duration { return b.Low + (b.High-b.Low)/2 }

// Index returns the bucket of d, in [0, NumBuckets). A negative d is in bucket 0.
func Index(d time.Duration) int {
	v := nanos(d)
	e := uint(bits.Len64(v|SubBuckets)) - subBits - 1
	return int(e<<subBits + uint(v>>e))
}

// Bounds returns the smallest and the largest duration of bucket i, both
// included. An index that does not exist gives the nearest bucket that does.
func Bounds(i int) (low, high time.Duration) {
	lo, hi := edges(min(max(i, 0), NumBuckets-1))
	return time.Duration(lo), time.Duration(hi)
}

func edges(i int) (lo, hi uint64) {
	if i < 2*SubBuckets {
		return uint64(i), uint64(i)
	}
	e := uint(i>>subBits) - 1
	lo = uint64(i%SubBuckets+SubBuckets) << e
	return lo, lo + 1<<e - 1
}

// Buckets yields the buckets that are not empty, in ascending order.
func (h *Hist) Buckets() iter.Seq[Bucket] {
	return func(yield func(Bucket) bool) {
		if h == nil {
			return
		}
		for k, b := range h.blocks {
			if b == nil {
				continue
			}
			for i, n := range b {
				if n == 0 {
					continue
				}
				low, high := Bounds(k<<subBits + i)
				if !yield(Bucket{low, high, n}) {
					return
				}
			}
		}
	}
}
