package probe

import (
	"context"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

// TestUsedStartExplains: whatever somebody did before the first request, the policy
// that is enforced leaves nothing unexplained but that.
func TestUsedStartExplains(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(cases[:8]).Draw(t, "case")
		pol := c.policy
		w := newWorld(pol, 8*time.Millisecond, rapid.Uint64().Draw(t, "seed"))
		for range rapid.IntRange(0, 60).Draw(t, "before") {
			w.limiter.Take(w.now, 1)
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "ms")) * time.Millisecond)
		}
		p := New(w, w, Options{MaxRequests: 1 << 20, MaxRefused: 1 << 20, MaxTime: 1000 * time.Hour})
		for range 20 {
			idle := rapid.Float64Range(0, 1.5*pol.Window.Seconds()).Draw(t, "idle")
			if _, err := p.wave(context.Background(), idle, rapid.IntRange(1, 30).Draw(t, "n"), ""); err != nil {
				t.Fatal(err)
			}
		}
		refused += p.v.Refused
		h := p.given(Found{Family: c.family, Policies: []limit.Policy{pol}})
		h.used = true
		q := &particle{hypothesis: h}
		if q.see(p.sights, 1e9); q.cost > 0 {
			t.Fatalf("%v leaves %v unexplained", pol, q.cost)
		}
	})
	if refused == 0 {
		t.Error("nothing was ever refused")
	}
}

// TestUsedBefore: somebody has used a part just before. What the first burst gets is
// then no limit, and nothing wrong may be said for certain.
func TestUsedBefore(t *testing.T) {
	t.Parallel()
	ran, named := 0, 0
	for i, c := range []struct {
		family Family
		policy limit.Policy
		before int
	}{
		{TokenBucket, limit.Policy{Limit: 5, Window: time.Second, Burst: 15}, 12},
		{FixedFirst, limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 10, Window: 4 * time.Second}, 6},
		{SlidingLog, limit.Policy{Algorithm: limit.SlidingLog, Limit: 8, Window: 3 * time.Second}, 5},
		{SlidingLog, limit.Policy{Algorithm: limit.SlidingLog, Limit: 20, Window: 5 * time.Second}, 20}, // the very first is refused
		{TokenBucket, limit.Policy{Limit: 4, Window: time.Second, Burst: 20}, 24},
	} {
		ran++
		w := newWorld(c.policy, 4*time.Millisecond, uint64(i))
		for range c.before {
			w.limiter.Take(w.now, 1)
			w.now = w.now.Add(30 * time.Millisecond)
		}
		v, err := New(w, w, Options{Seed: 1}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		right := v.Family == c.family && v.Policies[0].Capacity() == c.policy.Capacity()
		if right {
			named++
		} else if v.Sure {
			t.Errorf("%v after %d: sure, and wrong: %v %v", c.policy, c.before, v.Family, v.Policies)
		}
		t.Logf("%v: %v %v, sure %v, used %v, %d requests", c.policy, v.Family, v.Policies, v.Sure, v.Used, v.Requests)
	}
	if ran != 5 || named < 4 {
		t.Errorf("%d of %d were found", named, ran)
	}
}

// TestFirstRefused: where the very first request is refused, because somebody has used it all,
// the limit is found all the same.
func TestFirstRefused(t *testing.T) {
	t.Parallel()
	ran, named := 0, 0
	for i, p := range []limit.Policy{
		{Limit: 9, Window: time.Second, Burst: 34},
		{Limit: 4, Window: time.Second, Burst: 20},
		{Algorithm: limit.SlidingLog, Limit: 20, Window: 3 * time.Second},
		{Algorithm: limit.FixedWindow, Limit: 24, Window: 7 * time.Second},
		{Algorithm: limit.RefillBucket, Limit: 8, Burst: 23, Window: 6 * time.Second},
		{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 12, Window: 4 * time.Second},
	} {
		ran++
		w := newWorld(p, 4*time.Millisecond, uint64(i))
		for w.limiter.Take(w.now, 1).Allowed {
			w.now = w.now.Add(time.Millisecond)
		}
		w.now = w.now.Add(time.Duration(17*i) * time.Millisecond)
		v, err := New(w, w, Options{Seed: uint64(i)}).Run(context.Background())
		if err != nil || v.Waves[0].Refused == 0 {
			t.Fatal(err, v.Waves[0])
		}
		said := limit.Policy{}
		if len(v.Policies) == 1 {
			said = v.Policies[0]
		}
		same := func(a, b limit.Policy) bool {
			return a.Algorithm == b.Algorithm && a.Align == b.Align && a.Capacity() == b.Capacity() && math.Abs(float64(a.Limit)*b.Window.Seconds()/(float64(b.Limit)*a.Window.Seconds())-1) < 0.02
		}
		if same(said, p) {
			named++
		} else if v.Sure {
			t.Errorf("%v: sure, and wrong: %v %v", p, v.Family, v.Policies)
		}
		t.Logf("%v: %v %v, sure %v, used %v, %d requests, %d refused, %v", p, v.Family, v.Policies, v.Sure, v.Used, v.Requests, v.Refused, v.Elapsed)
	}
	if ran != 6 || named < 5 {
		t.Errorf("%d of %d were found", named, ran)
	}
}
