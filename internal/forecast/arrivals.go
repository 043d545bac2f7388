package forecast

import (
	"math/bits"
	"time"

	"github.com/weir-dev/weir/internal/pace"
)

// split is one part of the arrivals of a schedule: of every whole, part arrivals,
// spread evenly. The parts of a schedule together are as many as it has.
type split struct {
	all         pace.Pacer
	part, whole int64
	skip        int64 // where in the whole it begins
}

// Due returns the instant of the part's n-th arrival.
func (s split) Due(n int64) (time.Duration, bool) {
	if n < 0 || n > 1<<40 {
		return 0, false
	}
	hi, lo := bits.Mul64(uint64(n), uint64(s.whole))
	lo, carry := bits.Add64(lo, uint64(s.skip), 0)
	if hi+carry >= uint64(s.part) {
		return 0, false
	}
	i, _ := bits.Div64(hi+carry, lo, uint64(s.part))
	return s.all.Due(int64(i))
}

// scaled is a schedule with its arrivals multiplied.
type scaled struct {
	of         pace.Pacer
	times, per int64 // times/per
}

// Due returns the instant of the n-th arrival, between those of the schedule.
func (s scaled) Due(n int64) (time.Duration, bool) {
	if n < 0 || n > 1<<40 {
		return 0, false
	}
	i, rest := n*s.per/s.times, n*s.per%s.times
	at, ok := s.of.Due(i)
	if !ok || rest == 0 {
		return at, ok
	}
	next, more := s.of.Due(i + 1)
	if !more {
		return at, true
	}
	return at + time.Duration(float64(next-at)*float64(rest)/float64(s.times)), true
}

// repeated plays a schedule of a certain length again and again.
type repeated struct {
	of     pace.Pacer
	count  int64
	length time.Duration
}

// Due returns the instant of the n-th arrival.
func (r repeated) Due(n int64) (time.Duration, bool) {
	if n < 0 || r.count == 0 || n/r.count > int64((1<<62)/max(r.length, 1)) {
		return 0, false
	}
	at, ok := r.of.Due(n % r.count)
	return at + time.Duration(n/r.count)*r.length, ok
}
