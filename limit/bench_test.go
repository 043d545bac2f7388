package limit_test

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
	"golang.org/x/time/rate"
)

var benchOrigin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// ordinary holds one policy for each algorithm, with figures that do not divide
// evenly, as real ones rarely do.
var ordinary = []limit.Policy{
	{Algorithm: limit.TokenBucket, Limit: 7000, Window: time.Second, Burst: 300},
	{Algorithm: limit.RefillBucket, Limit: 700, Window: 100 * time.Millisecond, Burst: 1000},
	{Algorithm: limit.FixedWindow, Limit: 700, Window: 100 * time.Millisecond},
	{Algorithm: limit.FixedWindow, Limit: 700, Window: 100 * time.Millisecond, Align: limit.AlignFirst},
	{Algorithm: limit.FixedWindow, Limit: 700, Window: 100 * time.Millisecond, Align: limit.AlignFirst, Ban: 200 * time.Millisecond},
	{Algorithm: limit.SlidingLog, Limit: 700, Window: 100 * time.Millisecond},
	{Algorithm: limit.SlidingWindow, Limit: 700, Window: 100 * time.Millisecond},
	{Algorithm: limit.LeakyBucket, Limit: 7000, Window: time.Second, Burst: 300},
	{Algorithm: limit.Concurrency, Limit: 1 << 40},
	{Algorithm: limit.Quota, Limit: 700, Window: 100 * time.Millisecond},
	{Algorithm: limit.Quota, Limit: 1 << 40, Period: limit.PerDay},
}

// BenchmarkTake offers each algorithm 10,000 requests a second, of which those
// limited to 7,000 refuse three tenths. The instants are made beforehand,
// because adding to one costs as much as some decisions.
//
// Subtle: the Decision is dropped, and b.Loop, which would keep it alive, is not
// used. To copy it out of the registers it arrives in costs the caller some 7 ns
// more, as much as some algorithms.
func BenchmarkTake(b *testing.B) {
	instants := make([]time.Time, 1<<13)
	for i := range instants {
		instants[i] = benchOrigin.Add(time.Hour + time.Duration(i)*100*time.Microsecond)
	}
	for _, p := range ordinary {
		b.Run(label(p), func(b *testing.B) {
			warm := mustNew(b, p, benchOrigin)
			for _, at := range instants {
				warm.Take(at.Add(-time.Hour), 1)
			}
			var l limit.Limiter
			var admitted int
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				i %= len(instants)
				if i == 0 {
					b.StopTimer() // a clone of a sliding log copies its ring
					l = warm.Clone()
					b.StartTimer()
				}
				l.Take(instants[i], 1)
			}
			b.StopTimer()
			if admitted = lap(warm.Clone(), instants); admitted == 0 || admitted == len(instants) && p.Window != 0 {
				b.Fatalf("admitted %d of %d: not the mixture that is to be measured", admitted, len(instants))
			}
		})
	}
	b.Run("x-time-rate-AllowN", func(b *testing.B) {
		var l *rate.Limiter
		b.ReportAllocs()
		for i := range b.N {
			i %= len(instants)
			if i == 0 {
				l = rate.NewLimiter(7000, 300)
			}
			l.AllowN(instants[i], 1)
		}
	})
}

// lap returns how many of one request at each instant are admitted.
func lap(l limit.Limiter, instants []time.Time) (admitted int) {
	for _, at := range instants {
		if l.Take(at, 1).Allowed {
			admitted++
		}
	}
	return admitted
}

func mustNew(t testing.TB, p limit.Policy, origin time.Time) limit.Limiter {
	t.Helper()
	l, err := p.New(origin)
	if err != nil {
		t.Fatalf("%v: %v", p, err)
	}
	return l
}

// label names a policy in a test's name: the algorithm, and what sets it apart
// from another of the same.
func label(p limit.Policy) string {
	switch {
	case p.Ban != 0:
		return p.Algorithm.String() + "-ban"
	case p.Align == limit.AlignFirst:
		return p.Algorithm.String() + "-" + p.Align.String()
	case p.Period != limit.NoPeriod:
		return p.Algorithm.String() + "-" + p.Period.String()
	}
	return p.Algorithm.String()
}
