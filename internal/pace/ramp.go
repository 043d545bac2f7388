package pace

import (
	"math"
	"math/bits"
	"time"
)

// Pacer returns the schedule of the stages. It has round(integral) arrivals,
// half rounded up, and arrival n is due where the integral reaches n, rounded
// down to a nanosecond; a stage holding one rate is exactly Constant.
//
// This is exact, unless the periods of the rates have no common multiple under
// 2^62 ns (146 years), as those of 1/999999937ns, 1/999999893ns and
// 1/999999883ns. Then each rate is rounded to a multiple of 1/2^62 arrivals per
// nanosecond: 1/s by less than one part in 10^9.
func (s Stages) Pacer() Pacer {
	s = s.fit()
	unit := s.unit()
	r := &ramps{unit: 2 * unit}
	var start time.Duration
	var base wide
	for _, st := range s {
		if st.For <= 0 {
			continue
		}
		p := piece{base: base, start: start, length: uint64(st.For), from: inUnits(st.From, unit), to: inUnits(st.To, unit)}
		p.area.hi, p.area.lo = bits.Mul64(p.from+p.to, p.length)
		p.slope = newSlope(min(p.from, p.to), max(p.from, p.to)-min(p.from, p.to), p.length)
		r.pieces = append(r.pieces, p)
		base = base.add(p.area)
		start += st.For
	}
	r.area = base
	r.total = halfUp(base.hi, base.lo, r.unit)
	if r.total == 0 {
		return never{}
	}
	return r
}

// unit returns D, the smallest number for which every rate of s is a whole
// number of 1/D arrivals per nanosecond, or 2^62-1 when that is not smaller.
func (s Stages) unit() uint64 {
	const most = 1<<62 - 1
	unit := uint64(1)
	for _, st := range s {
		for _, r := range []Rate{st.From, st.To} {
			if r.IsZero() || st.For <= 0 {
				continue
			}
			per := uint64(r.Per) / gcd(uint64(r.N), uint64(r.Per))
			hi, lo := bits.Mul64(unit/gcd(unit, per), per)
			if hi != 0 || lo > most {
				return most
			}
			unit = lo
		}
	}
	return unit
}

// inUnits returns r in 1/unit arrivals per nanosecond, at most 2^63-1.
func inUnits(r Rate, unit uint64) uint64 {
	if r.IsZero() {
		return 0
	}
	hi, lo := bits.Mul64(uint64(r.N), unit)
	return uint64(halfUp(hi, lo, uint64(r.Per)))
}

// ramps is a plan in integers. A rate is a number of 1/D arrivals per
// nanosecond, where all rates of the plan are whole; an integral is a number
// of half such units, 1/(2D) arrivals, so that the area under a slope is whole.
type ramps struct {
	unit   uint64 // half units per arrival: 2·D, under 2^63
	pieces []piece
	area   wide // of all pieces
	total  int64
}

// piece is one stage: its rate goes from from to to in length nanoseconds.
type piece struct {
	base     wide // area of all pieces before this one
	area     wide // of this one: (from+to)·length
	start    time.Duration
	length   uint64
	from, to uint64 // both under 2^63
	slope    slope  // seen from the end where the rate is lower
}

func (r *ramps) Due(n int64) (time.Duration, bool) {
	if n < 0 || n >= r.total {
		return 0, false
	}
	hi, lo := bits.Mul64(uint64(n), r.unit)
	return r.invert(wide{hi, lo})
}

func (r *ramps) at(n int64, frac uint64) (time.Duration, bool) {
	hi, lo := bits.Mul64(uint64(n), r.unit)
	part, _ := bits.Mul64(frac, r.unit)
	return r.invert(wide{hi, lo}.add(wide{0, part}))
}

// invert returns the last whole nanosecond at which the area is at most x, and
// false when the whole area is.
func (r *ramps) invert(x wide) (time.Duration, bool) {
	if !x.less(r.area) {
		return 0, false
	}
	// The piece in which the area passes x: the last one that begins at x or
	// below and is not flat, since flat ones pass nothing.
	low, high := 0, len(r.pieces)
	for high-low > 1 {
		mid := (low + high) / 2
		if x.less(r.pieces[mid].base) {
			high = mid
		} else {
			low = mid
		}
	}
	p := &r.pieces[low]
	return p.start + time.Duration(p.invert(x.sub(p.base))), true
}

// invert returns the last whole nanosecond t of the piece at which its area is
// at most x, where x is less than its whole area.
func (p *piece) invert(x wide) uint64 {
	if p.from == p.to {
		q, _ := bits.Div64(x.hi, x.lo, 2*p.from)
		return q
	}
	// Subtle: solved from the end where the rate is lower. From the other end
	// the square root would be of a difference of nearly equal numbers, and the
	// guess off by seconds at the end of a long ramp to zero. From this end it
	// is off by a few nanoseconds, and the exact test corrects it.
	if p.from < p.to {
		return p.slope.lastAtMost(x.times(p.length))
	}
	return p.length - p.slope.firstAtLeast(p.area.sub(x).times(p.length))
}

// slope is a rate that rises over length nanoseconds. Its area up to t, times
// length, is t·(flat + rise·t), where flat is twice the rate at its beginning
// times length, and rise how much more the rate is at its end.
type slope struct {
	flat       wide
	rise       uint64
	length     uint64
	flatF      float64
	flatSquare float64
	rise4      float64
}

func newSlope(rate, rise, length uint64) slope {
	s := slope{rise: rise, length: length, rise4: 4 * float64(rise)}
	s.flat.hi, s.flat.lo = bits.Mul64(2*rate, length)
	s.flatF = s.flat.float()
	s.flatSquare = s.flatF * s.flatF
	return s
}

// area returns the area up to t, times length.
func (s *slope) area(t uint64) wider {
	hi, lo := bits.Mul64(s.rise, t)
	return s.flat.add(wide{hi, lo}).times(t)
}

// guess returns about where the area, times length, is target.
func (s *slope) guess(target wider) uint64 {
	c := target.float()
	t := 2 * c / (s.flatF + math.Sqrt(s.flatSquare+s.rise4*c))
	if t < float64(s.length) {
		return uint64(t)
	}
	return s.length
}

// lastAtMost returns the last t in [0, length) whose area, times length, is at
// most target, which is less than the whole area times length.
func (s *slope) lastAtMost(target wider) uint64 {
	t := s.guess(target)
	low, high := t, t
	if target.less(s.area(t)) {
		for step := uint64(1); target.less(s.area(low)); step *= 2 {
			low, high = low-min(step, low), low
		}
	} else {
		for step := uint64(1); !target.less(s.area(high)); step *= 2 {
			low, high = high, min(high+step, s.length)
		}
	}
	for high-low > 1 {
		mid := low + (high-low)/2
		if target.less(s.area(mid)) {
			high = mid
		} else {
			low = mid
		}
	}
	return low
}

// firstAtLeast returns the first t in (0, length] whose area, times length, is
// not less than target, which is not 0 and at most the whole area times length.
func (s *slope) firstAtLeast(target wider) uint64 {
	return s.lastAtMost(target.less1()) + 1
}
