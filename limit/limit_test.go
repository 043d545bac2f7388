package limit_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
	"pgregory.net/rapid"
)

// wide draws policies with figures of every size, up to the largest there are;
// limittest holds the small ones to their twins.
func wide(t *rapid.T, a limit.Algorithm) limit.Policy {
	size := func(name string, low, high int64) int64 {
		return rapid.OneOf(rapid.Int64Range(low, min(high, low+10)), rapid.Int64Range(low, min(high, 1_000_000)), rapid.Int64Range(low, high), rapid.Just(high)).Draw(t, name)
	}
	p := limit.Policy{Algorithm: a, Limit: size("limit", 1, math.MaxInt64)}
	if a == limit.SlidingLog {
		p.Limit = size("log limit", 1, 100)
	}
	if a != limit.Concurrency {
		p.Window = time.Duration(size("window", 1, math.MaxInt64))
		p.CountDenied = a != limit.LeakyBucket && rapid.Bool().Draw(t, "count denied")
	}
	switch a {
	case limit.TokenBucket, limit.RefillBucket, limit.LeakyBucket:
		p.Burst = size("burst", 0, math.MaxInt64)
	case limit.FixedWindow:
		p.Align = limit.Align(rapid.IntRange(0, 2).Draw(t, "align"))
	}
	if a == limit.LeakyBucket {
		p.Undelayed = size("undelayed", 0, p.Burst)
		p.MaxDelay = time.Duration(size("max delay", 0, math.MaxInt64))
	}
	if p.Align == limit.AlignClock && (a == limit.FixedWindow || a == limit.SlidingWindow || a == limit.RefillBucket) {
		p.Phase = time.Duration(size("phase", 0, int64(p.Window)-1))
	}
	if (a == limit.FixedWindow || a == limit.SlidingLog || a == limit.SlidingWindow) && rapid.Bool().Draw(t, "bans") {
		p.Ban = p.Window + time.Duration(size("ban", 0, math.MaxInt64-int64(p.Window)))
	}
	p.WarnAt = rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "warn")
	return p
}

// horizon is the last instant that is exact: beyond it time stands still.
var horizon = benchOrigin.Add(math.MaxInt64 - 2*time.Second)

// TestPromises holds every algorithm, with figures of any size, to what Decision
// promises:
//
//   - taking the same cost at at+RetryAfter is allowed, and a nanosecond earlier
//     it is not;
//   - Remaining can be taken, and one more cannot;
//   - at at+ResetAfter Remaining is Limit again, and a nanosecond earlier it is not.
func TestPromises(t *testing.T) {
	for _, a := range limit.Algorithms() {
		t.Run(a.String(), func(t *testing.T) {
			retries, resets, remains := 0, 0, 0
			rapid.Check(t, func(t *rapid.T) {
				p := wide(t, a)
				l, err := p.New(benchOrigin)
				if err != nil {
					t.Skip(err) // a bucket that takes more than 292 years to fill
				}
				at := benchOrigin
				for range rapid.IntRange(1, 12).Draw(t, "requests") {
					at = at.Add(time.Duration(rapid.OneOf(
						rapid.Int64Range(0, 3),
						rapid.Int64Range(0, add(int64(p.Window)/p.Limit, 1)),
						rapid.Int64Range(0, int64(p.Window)),
						rapid.Int64Range(-int64(p.Window), 0),
					).Draw(t, "step")))
					capacity := p.Capacity()
					cost := rapid.OneOf(rapid.Int64Range(1, 3), rapid.Int64Range(1, capacity), rapid.Just(capacity)).Draw(t, "cost")
					d := l.Take(at, cost)
					if d.Limit != capacity || d.Remaining < 0 || d.Remaining > d.Limit {
						t.Fatalf("%v: Take = %+v, capacity %d", p, d, capacity)
					}
					if !l.Clone().Take(at, d.Remaining).Allowed || l.Clone().Take(at, add(d.Remaining, 1)).Allowed {
						t.Fatalf("%v: Remaining %d is not the most that can be taken", p, d.Remaining)
					}
					remains++
					if due := at.Add(d.RetryAfter); !d.Allowed && d.RetryAfter != limit.Unknown && d.RetryAfter != limit.Never && due.Before(horizon) {
						if !l.Clone().Take(due, cost).Allowed {
							t.Fatalf("%v: Take(%v, %d) refused after RetryAfter %v", p, at, cost, d.RetryAfter)
						}
						if l.Clone().Take(due.Add(-1), cost).Allowed {
							t.Fatalf("%v: Take(%v, %d) allowed 1 ns before RetryAfter %v", p, at, cost, d.RetryAfter)
						}
						retries++
					}
					if due := at.Add(d.ResetAfter); d.ResetAfter > 0 && d.ResetAfter != limit.Never && due.Before(horizon) {
						if e := l.Clone().Take(due, 0); e.Remaining != e.Limit || e.ResetAfter != 0 {
							t.Fatalf("%v: after ResetAfter %v: %+v", p, d.ResetAfter, e)
						}
						if e := l.Clone().Take(due.Add(-1), 0); e.Remaining == e.Limit {
							t.Fatalf("%v: 1 ns before ResetAfter %v: %+v", p, d.ResetAfter, e)
						}
						resets++
					}
				}
			})
			if remains == 0 || a != limit.Concurrency && (retries == 0 || resets == 0) {
				t.Errorf("checked %d times what remains, %d retries, %d resets", remains, retries, resets)
			}
		})
	}
}

// add is a + b, or the largest int64.
func add(a, b int64) int64 {
	if s := a + b; s >= a {
		return s
	}
	return math.MaxInt64
}

// TestNoDrift takes on every tick of rates whose period is no whole number of
// nanoseconds: the n-th unit after an empty bucket must be there at the first
// nanosecond at or after n·window/limit, for ever.
func TestNoDrift(t *testing.T) {
	cases := []limit.Policy{
		{Limit: 7, Window: time.Second},
		{Limit: 1000, Window: time.Hour},
		{Limit: 33_333, Window: time.Second},
		{Limit: 1, Window: 7, Burst: 3},
		{Limit: 1_000_003, Window: 999_999_937 * time.Nanosecond, Burst: 10},
		{Algorithm: limit.LeakyBucket, Limit: 7, Window: time.Second, Burst: 6},
	}
	random := rand.New(rand.NewPCG(3, 4))
	for _, p := range cases {
		l := mustNew(t, p, benchOrigin)
		l.Take(benchOrigin, p.Capacity())
		n := int64(1)
		for range 20_000 {
			// Less than the bucket holds has come since, so none was lost; take it at
			// the tick of the last.
			hi, ns := n/p.Limit, n%p.Limit
			due := hi*int64(p.Window) + (ns*int64(p.Window)+p.Limit-1)/p.Limit
			at := benchOrigin.Add(time.Duration(due))
			if early := l.Clone().Take(at.Add(-1), 0); early.Remaining == p.Capacity() {
				t.Fatalf("%v: full before token %d", p, n)
			}
			d := l.Take(at, 0)
			if d = l.Take(at, d.Remaining); !d.Allowed || d.Remaining != 0 {
				t.Fatalf("%v: at token %d: %+v", p, n, d)
			}
			// Everything up to n is taken now: the next is due at exactly its tick.
			next := n + 1
			want := next/p.Limit*int64(p.Window) + (next%p.Limit*int64(p.Window)+p.Limit-1)/p.Limit - due
			if got := l.Clone().Take(at, 1).RetryAfter; int64(got) != want {
				t.Fatalf("%v: after token %d: RetryAfter %v, want %v", p, n, got, time.Duration(want))
			}
			n += random.Int64N(p.Capacity()-1) + 1
		}
	}
}

// TestFarInstants takes at instants and costs at the ends of their ranges: no
// panic, no negative figure, and nothing granted twice.
func TestFarInstants(t *testing.T) {
	instants := []time.Time{
		{}, time.Unix(math.MinInt64, 0), time.Unix(math.MaxInt64, 999_999_999), time.Unix(-1<<62, 0), time.Unix(1<<62, 0),
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1677, 9, 21, 0, 0, 0, 0, time.UTC), time.Unix(0, 0), benchOrigin,
		time.Date(2262, 4, 12, 0, 0, 0, 0, time.UTC), time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		time.Date(-100_000, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	costs := []int64{math.MinInt64, -1, 0, 1, 2, math.MaxInt64 - 1, math.MaxInt64}
	sizes := []int64{1, 3, math.MaxInt64}
	random := rand.New(rand.NewPCG(5, 6))
	ran := 0
	for _, a := range limit.Algorithms() {
		for _, size := range sizes {
			for _, window := range []time.Duration{1, time.Second, math.MaxInt64} {
				for _, p := range []limit.Policy{
					{Algorithm: a, Limit: size, Window: window},
					{Algorithm: a, Limit: size, Window: window, CountDenied: true, WarnAt: 1},
					{Algorithm: a, Limit: size},
					{Algorithm: a, Limit: size, Period: limit.PerDay, CountDenied: true},
					{Algorithm: a, Limit: size, Period: limit.PerHour, Location: time.FixedZone("far", 14*3600+1)},
					{Algorithm: a, Limit: size, Window: window, Burst: math.MaxInt64 - 1},
					{Algorithm: a, Limit: size, Window: window, Phase: window - 1},
					{Algorithm: a, Limit: size, Window: window, Align: limit.AlignFirst},
					{Algorithm: a, Limit: size, Window: window, Align: limit.AlignLast, CountDenied: true},
					{Algorithm: a, Limit: size, Window: window, Ban: math.MaxInt64},
				} {
					for _, origin := range instants {
						l, err := p.New(origin)
						if err != nil {
							continue
						}
						for range 12 {
							at, cost := instants[random.IntN(len(instants))], costs[random.IntN(len(costs))]
							d := l.Take(at, cost)
							if d.Remaining < 0 || d.Limit != p.Capacity() || d.RetryAfter < limit.Unknown || d.ResetAfter < limit.Unknown || d.Delay < 0 {
								t.Fatalf("%v from %v: Take(%v, %d) = %+v", p, origin, at, cost, d)
							}
							if d.Allowed != (d.RetryAfter == 0) || cost <= 0 && !d.Allowed || cost > d.Limit && (d.Allowed || d.RetryAfter != limit.Never) {
								t.Fatalf("%v from %v: Take(%v, %d) = %+v", p, origin, at, cost, d)
							}
							l.Take(at, cost)
							if r, ok := l.(limit.Releaser); ok {
								r.Release(at, cost)
							}
							ran++
						}
					}
				}
			}
		}
	}
	if ran < 10_000 {
		t.Errorf("only %d cases ran", ran)
	}
}

// TestSaturation says what far instants mean: time stands still before the
// origin, and 292 years after it.
func TestSaturation(t *testing.T) {
	l := mustNew(t, limit.Policy{Limit: 1, Window: time.Hour}, benchOrigin)
	if d := l.Take(time.Time{}, 1); !d.Allowed || d.ResetAfter != limit.Never {
		t.Errorf("in year 1: %+v; want allowed, and a reset too far for a Duration", d)
	}
	if d := l.Take(benchOrigin.Add(time.Hour-1), 1); d.Allowed || d.RetryAfter != 1 {
		t.Errorf("1 ns before the hour: %+v; what is before the origin must count as the origin", d)
	}
	if d := l.Take(time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC), 1); !d.Allowed {
		t.Errorf("in 2400: %+v", d)
	}
	if d := l.Take(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 1); d.Allowed {
		t.Errorf("in 9999: %+v; want refused, since time stands still after 292 years", d)
	}
}

// TestMonotonicReadingIsIgnored keeps a recorded trace and a live one equal.
func TestMonotonicReadingIsIgnored(t *testing.T) {
	p := limit.Policy{Limit: 1, Window: time.Minute}
	live := time.Now()
	recorded := live.Round(0)
	a, b := mustNew(t, p, live), mustNew(t, p, recorded)
	for _, after := range []time.Duration{0, time.Second, time.Minute, 2 * time.Minute} {
		x, y := a.Take(live.Add(after), 1), b.Take(recorded.Add(after), 1)
		if x != y {
			t.Errorf("after %v: live %+v, recorded %+v", after, x, y)
		}
	}
}

// TestCloneIsIndependent takes from a clone and expects the original untouched.
func TestCloneIsIndependent(t *testing.T) {
	for _, p := range ordinary {
		l := mustNew(t, p, benchOrigin)
		l.Take(benchOrigin, 1)
		for _, l := range []limit.Limiter{l, limit.All(l), limit.All(limit.All(l, nil), nil), limit.Chain(foreign{l})} {
			before := l.Take(benchOrigin, 0)
			c := l.Clone()
			if got := c.Take(benchOrigin, 0); got != before {
				t.Errorf("%v: clone says %+v, original %+v", p, got, before)
			}
			c.Take(benchOrigin.Add(time.Hour), before.Remaining)
			if r, ok := c.(limit.Releaser); ok {
				r.Release(benchOrigin, 1)
			}
			if after := l.Take(benchOrigin, 0); after != before {
				t.Errorf("%v: original says %+v after its clone took, before %+v", p, after, before)
			}
		}
	}
}

// foreign hides what this package's limiters can do beyond Limiter.
type foreign struct{ l limit.Limiter }

func (f foreign) Take(at time.Time, cost int64) limit.Decision { return f.l.Take(at, cost) }

func (f foreign) Clone() limit.Limiter { return foreign{f.l.Clone()} }

// TestTakeAllocates holds the hot path to no allocation.
func TestTakeAllocates(t *testing.T) {
	for _, p := range ordinary {
		l := mustNew(t, p, benchOrigin)
		other := mustNew(t, limit.Policy{Limit: 1 << 40, Window: time.Second}, benchOrigin)
		limiters := map[string]limit.Limiter{label(p): l, "all of " + label(p): limit.All(mustNew(t, p, benchOrigin), other), "chain of " + label(p): limit.Chain(other.Clone(), mustNew(t, p, benchOrigin))}
		for name, l := range limiters {
			at := benchOrigin
			take := func() {
				at = at.Add(100 * time.Microsecond)
				l.Take(at, 1)
			}
			for range 2000 { // a sliding log grows to what it needs
				take()
			}
			if n := testing.AllocsPerRun(2000, take); n != 0 {
				t.Errorf("%s: %v allocations per Take, want 0", name, n)
			}
		}
	}
}
