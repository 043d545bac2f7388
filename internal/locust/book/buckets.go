package book

import (
	"maps"
	"math"
	"slices"
)

// buckets count response times as Locust rounds them: 0, 1, … 99, 100, 110, …
// 990, 1000, 1100, … 9900, 10000, 11000, … ms.
type buckets struct {
	units     []int64         // below 100 ms
	tens      []int64         // below 1000 ms
	hundreds  []int64         // below 10 000 ms
	thousands []int64         // to 100 000 ms
	rest      map[int64]int64 // above, and below zero
}

// count adds one response time.
func (b *buckets) count(ms float64) { b.addTo(Rounded(ms), 1) }

// Rounded is the response time that Locust keeps for one of so many
// milliseconds: two significant digits, ties to even.
func Rounded(ms float64) int64 {
	switch {
	case ms < -1e15:
		return -1e15
	case ms < 100:
		return int64(math.RoundToEven(ms))
	case ms < 1000:
		return round10(ms, 10)
	case ms < 10_000:
		return round10(ms, 100)
	case ms > 1e15:
		return 1e15
	}
	return round10(ms, 1000)
}

func (b *buckets) addTo(value, n int64) {
	switch {
	case value < 0 || value > 100_000:
		if b.rest == nil {
			b.rest = map[int64]int64{}
		}
		if b.rest[value] += n; b.rest[value] == 0 {
			delete(b.rest, value)
		}
	case value < 100:
		add(&b.units, value, n)
	case value < 1000:
		add(&b.tens, value/10, n)
	case value < 10_000:
		add(&b.hundreds, value/100, n)
	default:
		add(&b.thousands, value/1000, n)
	}
}

func add(list *[]int64, i, n int64) {
	if *list == nil {
		*list = make([]int64, 101)
	}
	(*list)[i] += n
}

// ascending calls yield for each rounded time and its count, from below.
func (b *buckets) ascending(yield func(value, n int64) bool) {
	var above []int64
	for _, v := range slices.Sorted(maps.Keys(b.rest)) {
		if v >= 0 {
			above = append(above, v)
		} else if !yield(v, b.rest[v]) {
			return
		}
	}
	for scale, list := range [][]int64{b.units, b.tens, b.hundreds, b.thousands} {
		for i, n := range list {
			if n != 0 && !yield(int64(i)*int64(math.Pow10(scale)), n) {
				return
			}
		}
	}
	for _, v := range above {
		if !yield(v, b.rest[v]) {
			return
		}
	}
}

// percentile is the rounded time within which the part q of n requests was over.
//
// Subtle: Locust counts down from the slowest and takes the first time at which
// no more than int(n*q) faster ones are left. That is the first time, from
// below, at which more than int(n*q) are counted, or the slowest.
func (b *buckets) percentile(n int64, q float64) int64 {
	within := int64(float64(n) * q)
	var below, found int64
	for v, c := range b.ascending {
		found = v
		below += c
		if below > within {
			break
		}
	}
	return found
}

func (b *buckets) clone() buckets {
	return buckets{
		units: slices.Clone(b.units), tens: slices.Clone(b.tens), hundreds: slices.Clone(b.hundreds), thousands: slices.Clone(b.thousands),
		rest: maps.Clone(b.rest),
	}
}

// add makes b the sum of both, or with a negative sign the difference.
func (b *buckets) add(o *buckets)      { b.merge(o, +1) }
func (b *buckets) subtract(o *buckets) { b.merge(o, -1) }

func (b *buckets) merge(o *buckets, sign int64) {
	for v, n := range o.ascending {
		b.addTo(v, sign*n)
	}
}
