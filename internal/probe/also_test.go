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

// TestCountsWhatTheOtherRefuses: two limits of which each counts what the other refuses, as
// those of frameworks do, are found with their figures, and nothing wrong is certain.
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
	for i, c := range []struct {
		order    bool            // the longer is asked first, and the other only if it admits
		policies [2]limit.Policy // the longer first
	}{
		{true, [2]limit.Policy{first(20, 15*time.Second), first(6, 2*time.Second)}},
		{false, [2]limit.Policy{log(30, 20*time.Second), log(5, time.Second)}},
	} {
		ran++
		w := newWorld(c.policies[0], 6*time.Millisecond, uint64(i)+1)
		two, err := c.policies[1].New(w.now.Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		w.limiter = &apiece{limits: []limit.Limiter{w.limiter, two}, order: c.order}
		p := New(w, w, Options{Seed: uint64(i + 1), MaxTime: 5 * time.Minute})
		v, err := p.Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		right := v.Family == Stacked && v.Also
		for k, q := range v.Policies {
			want := c.policies[1-k]
			right = right && want.Limit == q.Limit && math.Abs(q.Window.Seconds()/want.Window.Seconds()-1) < 0.01
		}
		if v.Sure {
			sure++
		}
		if !right {
			t.Errorf("%+v: %v %v, also %v, sure %v, after %d requests, %v", c.policies, v.Family, v.Policies, v.Also, v.Sure, v.Requests, v.Elapsed)
		}
	}
	if ran != 2 || sure == 0 {
		t.Errorf("%d cases ran, %d of them sure", ran, sure)
	}
}
