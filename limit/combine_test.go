package limit_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

func TestAllOfNothing(t *testing.T) {
	for _, l := range []limit.Limiter{limit.All(), limit.Chain()} {
		want := limit.Decision{Allowed: true, Binding: -1, Limit: math.MaxInt64, Remaining: math.MaxInt64}
		if got := l.Take(benchOrigin, math.MaxInt64); got != want {
			t.Errorf("Take = %+v, want %+v", got, want)
		}
	}
	l := limit.All(nil, mustNew(t, limit.Policy{Limit: 1, Window: time.Second}, benchOrigin))
	if a, b := l.Take(benchOrigin, 1), l.Take(benchOrigin, 1); !a.Allowed || b.Allowed || b.Binding != 1 {
		t.Errorf("a nil limiter must admit everything: %+v, %+v", a, b)
	}
}

// TestForeignLimiters combines limiters that offer nothing but Limiter, and
// expects what the same would do as parts.
func TestForeignLimiters(t *testing.T) {
	slow := limit.Policy{Algorithm: limit.SlidingLog, Limit: 3, Window: 10 * time.Second}
	fast := limit.Policy{Limit: 2, Window: time.Second}
	for name, combine := range map[string]func(...limit.Limiter) limit.Limiter{"all": limit.All, "chain": limit.Chain} {
		own := combine(mustNew(t, slow, benchOrigin), mustNew(t, fast, benchOrigin))
		other := combine(foreign{mustNew(t, slow, benchOrigin)}, foreign{mustNew(t, fast, benchOrigin)})
		refused := 0
		for i := range 100 {
			at := benchOrigin.Add(time.Duration(i) * 170 * time.Millisecond)
			want, got := own.Take(at, 1), other.Take(at, 1)
			if got != want {
				t.Fatalf("%s, request %d: foreign %+v, own %+v", name, i, got, want)
			}
			if !got.Allowed {
				refused++
			}
		}
		if refused == 0 || refused == 100 {
			t.Errorf("%s: refused %d of 100", name, refused)
		}
	}
}

// TestForeignRelease passes releases on to limiters made elsewhere.
func TestForeignRelease(t *testing.T) {
	l := limit.All(foreignReleaser{foreign{mustNew(t, limit.Policy{Algorithm: limit.Concurrency, Limit: 1}, benchOrigin)}}, limit.All())
	l.Take(benchOrigin, 1)
	l.(limit.Releaser).Release(benchOrigin, 1)
	if d := l.Take(benchOrigin, 1); !d.Allowed {
		t.Errorf("after a release: %+v", d)
	}
}

type foreignReleaser struct{ foreign }

func (f foreignReleaser) Release(at time.Time, cost int64) {
	f.l.(limit.Releaser).Release(at, cost)
}

func TestNewCounterErrors(t *testing.T) {
	p := limit.Policy{Algorithm: limit.FixedWindow, Limit: 1, Window: time.Second}
	with := func(change func(*limit.Policy)) limit.Policy {
		q := p
		change(&q)
		return q
	}
	cases := []struct {
		policies []limit.Policy
		want     string
	}{
		{nil, "a counter needs at least one policy"},
		{[]limit.Policy{{}}, "policy 0: limit: must be at least 1"},
		{[]limit.Policy{{Limit: 1, Window: 1}}, "policy 0: algorithm: token-bucket does not count"},
		{[]limit.Policy{p, with(func(q *limit.Policy) { q.Algorithm = limit.SlidingLog })}, "policy 1: algorithm: differs"},
		{[]limit.Policy{p, with(func(q *limit.Policy) { q.Window++ })}, "policy 1: window: differs"},
		{[]limit.Policy{p, with(func(q *limit.Policy) { q.Align = limit.AlignFirst })}, "policy 1: align: differs"},
		{[]limit.Policy{p, with(func(q *limit.Policy) { q.Ban = q.Window })}, "policy 1: ban: needs a count of its own"},
		{[]limit.Policy{p, with(func(q *limit.Policy) { q.Phase++ })}, "policy 1: phase: differs"},
		{[]limit.Policy{p, with(func(q *limit.Policy) { q.CountDenied = true })}, "policy 1: count-denied: differs"},
		{[]limit.Policy{{Algorithm: limit.Quota, Limit: 1, Period: limit.PerDay}, {Algorithm: limit.Quota, Limit: 1, Period: limit.PerWeek}}, "policy 1: period: differs"},
		{[]limit.Policy{{Algorithm: limit.Quota, Limit: 1, Period: limit.PerDay}, {Algorithm: limit.Quota, Limit: 1, Period: limit.PerDay, Location: time.FixedZone("x", 1)}}, "policy 1: location: differs"},
		{[]limit.Policy{{Algorithm: limit.Quota, Limit: 1, Window: 9}, {Algorithm: limit.Quota, Limit: 1, Window: 9, Start: benchOrigin}}, "policy 1: start: differs"},
	}
	for _, c := range cases {
		if _, err := limit.NewCounter(benchOrigin, c.policies...); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("NewCounter(%v) = %v, want %s", c.policies, err, c.want)
		}
	}
	c, err := limit.NewCounter(benchOrigin, p, with(func(q *limit.Policy) { q.Limit, q.Name = 5, "other" }))
	if err != nil {
		t.Fatal(err)
	}
	alone, together := c.View(0).Clone(), limit.All(c.View(0)).Clone()
	c.View(1).Take(benchOrigin, 5)
	if !alone.Take(benchOrigin, 1).Allowed || !together.Take(benchOrigin, 1).Allowed || c.View(0).Take(benchOrigin, 1).Allowed {
		t.Error("a cloned view must have a count of its own")
	}
}

// TestClonedCombinationKeepsSharing clones a combination that holds two views of
// one counter under different parts.
func TestClonedCombinationKeepsSharing(t *testing.T) {
	p := limit.Policy{Algorithm: limit.Concurrency, Limit: 4}
	c, err := limit.NewCounter(benchOrigin, p, p)
	if err != nil {
		t.Fatal(err)
	}
	l := limit.All(c.View(0), limit.Chain(c.View(1))).Clone()
	// Each request is counted through both views.
	for i, want := range []int64{2, 0} {
		l.Take(benchOrigin, 1)
		if d := l.Take(benchOrigin, 0); d.Remaining != want {
			t.Errorf("after %d requests: %+v, want remaining %d", i+1, d, want)
		}
	}
}

// TestLogMemory holds a sliding log to its bound, whatever is counted.
func TestLogMemory(t *testing.T) {
	for _, p := range []limit.Policy{
		{Algorithm: limit.SlidingLog, Limit: 100, Window: time.Hour},
		{Algorithm: limit.SlidingLog, Limit: 100, Window: time.Hour, CountDenied: true},
		{Algorithm: limit.SlidingLog, Limit: 1, Window: time.Hour, CountDenied: true},
	} {
		l := mustNew(t, p, benchOrigin)
		at := benchOrigin
		step := func() {
			at = at.Add(time.Millisecond)
			l.Take(at, 1)
			l.Take(at, math.MaxInt64)
		}
		for range 200 {
			step()
		}
		if n := testing.AllocsPerRun(10_000, step); n != 0 {
			t.Errorf("%v: %v allocations per Take once the log is full, want 0", p, n)
		}
	}
}
