package sink

import (
	"math"

	"github.com/weir-dev/weir/internal/hist"
)

// Scale is that of the exponential histograms that leave Weir: buckets a factor of
// 2^(1/32) apart, so that a value stands for its bucket to 1.1 %. OpenTelemetry calls
// it the scale, Prometheus the schema.
const Scale = 5

// Exponential puts a histogram of durations into buckets of seconds: bucket i holds
// what is above 2^(i/32) and not above 2^((i+1)/32). Counts begin with bucket offset;
// zero counts what took no time at all. The count is exact.
func Exponential(h *hist.Hist) (offset int, counts []uint64, zero uint64) {
	low, high := h.Min(), h.Max()
	for b := range h.Buckets() {
		mid := min(max(b.Mid(), low), high)
		if mid <= 0 {
			zero += b.Count
			continue
		}
		i := int(math.Ceil(math.Log2(mid.Seconds())*(1<<Scale))) - 1
		if counts == nil {
			offset = i
		}
		for i >= offset+len(counts) {
			counts = append(counts, 0)
		}
		counts[i-offset] += b.Count
	}
	return offset, counts, zero
}

// Other is the name of all requests beyond the cap, as in the engine.
const Other = "(other)"

// Names bounds how many request names have series of their own: the first ones.
type Names struct {
	most int
	seen map[string]bool
}

// NewNames makes one for at most so many names.
func NewNames(most int) *Names { return &Names{most: most, seen: map[string]bool{}} }

// Of returns what to call a request.
func (n *Names) Of(method, name string) string {
	full := method + " " + name
	switch {
	case n.seen[full]:
	case len(n.seen) >= n.most:
		return Other
	default:
		n.seen[full] = true
	}
	return full
}
