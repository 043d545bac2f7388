package pace

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"time"
)

// Poisson returns arrivals at random, as from many people who know nothing of
// each other: gaps are exponential and the mean number of arrivals in any
// stretch of time is what p calls for there. The number of all arrivals is
// random too. The same p and seed always give the same schedule; between
// kinds of processors it may differ by a nanosecond. Due takes about a
// microsecond.
//
// Along Constant and Stages it is exact; along another schedule it goes in
// straight lines from one of its arrivals to the next.
func Poisson(p Pacer, seed uint64) Pacer {
	c, ok := p.(curve)
	if !ok {
		c = chords{p}
	}
	r := &poisson{curve: c, seed: seed}
	at := 0.0
	for k := range r.doubled {
		s := newStream(seed, uint64(k), doubling)
		// Arrivals 2^(k-1) to 2^k - 1, and arrival 0 by itself.
		at += s.gamma(float64(max(uint64(1)<<k>>1, 1)))
		r.doubled[k] = at
	}
	return r
}

// poisson maps a Poisson process of rate one, in units of arrivals called for,
// to time along a curve.
//
// To answer for any n without the n before it, the process is drawn from the
// top down: doubled says where arrival 2^k - 1 is, and each stretch of 2^j gaps
// is then cut in two of 2^(j-1), at a place drawn from the distribution that the
// sum of half of so many exponential gaps has within the sum of all: Beta(2^(j-1),
// 2^(j-1)). Every draw has a random stream of its own, named by the stretch.
type poisson struct {
	curve   curve
	seed    uint64
	doubled [64]float64
}

// What a random stream is for.
const (
	doubling = iota
	halving
)

func (p *poisson) Due(n int64) (time.Duration, bool) {
	if n < 0 {
		return 0, false
	}
	whole, frac := math.Modf(p.place(uint64(n)))
	if whole >= 0x1p63 {
		return 0, false
	}
	return p.curve.at(int64(whole), uint64(frac*0x1p64))
}

// place returns where arrival n is, in units of mean gaps.
func (p *poisson) place(n uint64) float64 {
	if n == 0 {
		return p.doubled[0]
	}
	k := bits.Len64(n) // n is in [2^(k-1), 2^k)
	low, high := p.doubled[k-1], p.doubled[k]
	first := uint64(1) << (k - 1) // the first arrival between low and high
	for half := first / 2; half > 0; half /= 2 {
		s := newStream(p.seed, first+half, halving)
		// Subtle: halves share the edge itself, never a rounded sum, so that
		// no arrival comes before an earlier one.
		mid := min(low+(high-low)*s.half(float64(half)), high)
		if n < first+half {
			high = mid
		} else {
			low = mid
			first += half
		}
	}
	return high
}

// stream is a source of random numbers.
type stream struct{ pcg rand.PCG }

func newStream(seed, name, kind uint64) stream {
	var s stream
	s.pcg.Seed(seed, mix(name<<1|kind))
	return s
}

// mix spreads neighbouring numbers over all 64 bits (the finalizer of
// SplitMix64: Steele, Lea and Flood, OOPSLA 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uniform returns a number in (0, 1].
func (s *stream) uniform() float64 { return float64(s.pcg.Uint64()>>11+1) * 0x1p-53 }

// half returns a number with the distribution Beta(shape, shape), shape ≥ 1:
// the share that shape exponential numbers have in the sum of twice as many
// (Ulrich's method: Devroye, "Non-Uniform Random Variate Generation", 1986, IX.3.3).
func (s *stream) half(shape float64) float64 {
	r := -math.Expm1(math.Log(s.uniform()) * 2 / (2*shape - 1))
	return 0.5 + 0.5*math.Sqrt(r)*math.Cos(2*math.Pi*s.uniform())
}

// normal returns a normally distributed number, by Marsaglia's polar method.
func (s *stream) normal() float64 {
	for {
		x, y := 2*s.uniform()-1, 2*s.uniform()-1
		if r := x*x + y*y; r > 0 && r < 1 {
			return x * math.Sqrt(-2*math.Log(r)/r)
		}
	}
}

// gamma returns the sum of shape exponential numbers, shape ≥ 1, by the method
// of Marsaglia and Tsang ("A simple method for generating gamma variables",
// ACM TOMS 26, 2000).
func (s *stream) gamma(shape float64) float64 {
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := s.normal()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(s.uniform()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// chords makes a curve of any schedule.
type chords struct{ Pacer }

func (c chords) at(n int64, frac uint64) (time.Duration, bool) {
	from, ok := c.Due(n)
	if !ok || n == math.MaxInt64 {
		return 0, false
	}
	to, ok := c.Due(n + 1)
	if !ok {
		return from, true
	}
	part, _ := bits.Mul64(uint64(to-from), frac)
	return from + time.Duration(part), true
}
