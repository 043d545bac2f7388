package probe

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// apiece is limits that are asked in order, or all of them, and count what they let
// pass whatever the others say.
type apiece struct {
	limits []limit.Limiter
	order  bool
}

func (a *apiece) Take(at time.Time, cost int64) limit.Decision {
	out := limit.Decision{Allowed: true}
	for _, l := range a.limits {
		if d := l.Take(at, cost); !d.Allowed {
			if out = d; a.order {
				break
			}
		}
	}
	return out
}

func (a *apiece) Clone() limit.Limiter {
	c := &apiece{order: a.order}
	for _, l := range a.limits {
		c.limits = append(c.limits, l.Clone())
	}
	return c
}

// TestCountsWhatTheOtherRefuses: two limits of which one or each counts what the other
// refuses, as those of frameworks do, are found with their figures, and nothing wrong is certain.
func TestCountsWhatTheOtherRefuses(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	first := func(n int64, w time.Duration) limit.Policy {
		return limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: n, Window: w}
	}
	log := func(n int64, w time.Duration) limit.Policy {
		return limit.Policy{Algorithm: limit.SlidingLog, Limit: n, Window: w}
	}
	ran, sure := 0, 0
	for _, c := range []struct {
		order    bool            // the one is asked only if the one before admits
		policies [2]limit.Policy // as they are asked
		want     Counting
		seed     uint64 // of the world
	}{
		{true, [2]limit.Policy{first(20, 15*time.Second), first(6, 2*time.Second)}, InLonger, 1},
		{false, [2]limit.Policy{log(30, 20*time.Second), log(5, time.Second)}, InLonger, 2},
		{true, [2]limit.Policy{first(10, time.Second), first(40, 20*time.Second)}, InFirst, 302},
	} {
		ran++
		w := newWorld(c.policies[0], 6*time.Millisecond, c.seed)
		two, err := c.policies[1].New(w.now.Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		w.limiter = &apiece{limits: []limit.Limiter{w.limiter, two}, order: c.order}
		p := New(w, w, Options{Seed: c.seed % 100, MaxTime: 5 * time.Minute})
		v, err := p.Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		right := v.Family == Stacked && v.Also == c.want
		for k, q := range v.Policies {
			want := c.policies[k]
			if c.want == InLonger {
				want = c.policies[1-k]
			}
			right = right && want.Limit == q.Limit && math.Abs(q.Window.Seconds()/want.Window.Seconds()-1) < 0.01
		}
		if v.Sure {
			sure++
		}
		if !right {
			t.Errorf("%+v: %v %v, also %d, sure %v, after %d requests, %v", c.policies, v.Family, v.Policies, v.Also, v.Sure, v.Requests, v.Elapsed)
		}
	}
	if ran != 3 || sure < 2 {
		t.Errorf("%d cases ran, %d of them sure", ran, sure)
	}
}
