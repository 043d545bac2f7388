package probe

import (
	"context"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestShort: windows of a fifth of a second are named, and of those that are shorter than
// what is looked for nothing is said for certain.
func TestShort(t *testing.T) {
	t.Parallel()
	ran := 0
	for _, c := range []struct {
		family Family // None: nothing may be certain
		policy limit.Policy
	}{
		{FixedClock, limit.Policy{Algorithm: limit.FixedWindow, Limit: 1, Window: 200 * time.Millisecond}},
		{RefillBucket, limit.Policy{Algorithm: limit.RefillBucket, Limit: 1, Window: 200 * time.Millisecond, Burst: 12}},
		{None, limit.Policy{Algorithm: limit.FixedWindow, Limit: 2, Window: 200 * time.Millisecond}},
	} {
		ran++
		w := newWorld(c.policy, 3*time.Millisecond, 1)
		v, err := New(w, w, Options{Seed: 1, MaxTime: time.Minute}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: %v %v, sure %v, %d requests", c.policy, v.Family, v.Policies, v.Sure, v.Requests)
		switch {
		case c.family == None && v.Sure:
			t.Errorf("%v: sure of %v", c.policy, v.Policies)
		case c.family != None && (v.Family != c.family || v.Policies[0].Window != c.policy.Window || !v.Sure):
			t.Errorf("%v: %v %v, sure %v", c.policy, v.Family, v.Policies, v.Sure)
		}
	}
	if ran != 3 {
		t.Error(ran)
	}
}

// TestCrossing: a window of the clock that begins right after the first refusal lets through
// as much again, and is not taken for replicas.
func TestCrossing(t *testing.T) {
	t.Parallel()
	ran := 0
	for seed := range uint64(3) {
		ran++
		w := newWorld(limit.Policy{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second}, 3*time.Millisecond, seed)
		w.hold = 42 * time.Millisecond // six of these, and the next window begins
		w.now = w.now.Truncate(time.Second).Add(time.Second - 240*time.Millisecond)
		v, err := New(w, w, Options{Seed: seed}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v %v, sure %v, %d requests; %v", v.Family, v.Policies, v.Sure, v.Requests, v.Waves[6].Why)
		if v.Family != FixedClock || !v.Sure {
			t.Errorf("%v %v, sure %v", v.Family, v.Policies, v.Sure)
		}
	}
	if ran != 3 {
		t.Error(ran)
	}
}
