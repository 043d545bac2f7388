package probe

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// stepping is a probe that has emptied buckets in turn, and has then asked now and again
// for what came back.
func stepping(t *testing.T, pol limit.Policy, replicas int) *Probe {
	t.Helper()
	w := &quick{newSeveral(pol, replicas, 9, func(n, _ int) int { return n % replicas })}
	p := New(w, w, Options{Seed: 1})
	r := rand.New(rand.NewPCG(8, 8))
	all, rate := replicas*int(pol.Burst), float64(replicas)*float64(pol.Limit)/pol.Window.Seconds()
	send := func(idle float64, n int) {
		if _, err := p.wave(context.Background(), idle, n, "drive"); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		send(1.2*float64(all)/rate, all+8)
		for range 12 {
			idle := (2 + 30*r.Float64()) / rate
			send(idle, int(idle*rate)+replicas)
		}
	}
	return p
}

// TestStairs: buckets in turn are found by the steps in which they give back, with their
// number, their size and how long a step takes, although hundreds of steps went by.
func TestStairs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pol      limit.Policy
		replicas int
	}{
		{limit.Policy{Limit: 10, Window: time.Second, Burst: 60}, 5},
		{limit.Policy{Limit: 3, Window: time.Second, Burst: 20}, 3},
	} {
		p := stepping(t, c.pol, c.replicas)
		all, rate := float64(c.replicas)*float64(c.pol.Burst), float64(c.replicas)*float64(c.pol.Limit)/c.pol.Window.Seconds()
		found := p.stairs(supposed{TokenBucket, 1.04 * all, 1.17 * all / rate}, 0, []way{byTurn})
		if len(found) == 0 {
			t.Fatalf("%d × %v: nothing explains the steps", c.replicas, c.pol)
		}
		step := c.pol.Window.Seconds() / float64(c.pol.Limit)
		if f := found[0]; f.r != c.replicas || math.Abs(f.n-float64(c.pol.Burst)) > 1 || math.Abs(f.w-step) > 0.01*step || f.off() > 2 {
			t.Errorf("%d × %v: found %v, %.1f off", c.replicas, c.pol, f.fleet, f.off())
		}
	}
}

// TestInSteps: what is asked just after and just before each step tells buckets in turn
// from one bucket that holds and gives as much.
func TestInSteps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pol      limit.Policy
		replicas int
		want     bool
	}{
		{limit.Policy{Limit: 5, Window: time.Second, Burst: 20}, 4, true},
		{limit.Policy{Limit: 20, Window: time.Second, Burst: 80}, 1, false},
	} {
		w := &quick{newSeveral(c.pol, c.replicas, 9, func(n, _ int) int { return n % c.replicas })}
		p := New(w, w, Options{Seed: 1})
		for _, s := range []step{{n: 84}, {idle: 0.3, n: 6}, {idle: 4.2, n: 84}} {
			if _, err := p.wave(context.Background(), s.idle, s.n, "drive"); err != nil {
				t.Fatal(err)
			}
		}
		p.fitAll()
		s, err := p.inSteps(context.Background(), fleet{kind: TokenBucket, r: 4, n: 20, w: 0.2}, p.sights[len(p.sights)-1].s)
		if err != nil {
			t.Fatal(err)
		}
		if got := s != nil; got != c.want || got && (s.replicas != 4 || s.each != 20 || s.sure && !s.bucket) {
			t.Errorf("%d × %v: found %+v", c.replicas, c.pol, s)
		}
	}
}

// TestPartly: where a part of a wave is admitted because one replica of several in turn has
// opened, that is found with a few single requests; where a log gives back what was spent
// first, little is asked.
func TestPartly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pol      limit.Policy
		replicas int
	}{
		{limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 20, Window: 10 * time.Second}, 4},
		{limit.Policy{Algorithm: limit.SlidingLog, Limit: 80, Window: 10 * time.Second}, 1},
	} {
		w := &quick{newSeveral(c.pol, c.replicas, 9, func(n, _ int) int { return n % c.replicas })}
		p := New(w, w, Options{Seed: 1})
		for _, s := range []step{{n: 81}, {idle: 10.2, n: 1}, {idle: 3, n: 79}, {idle: 7.1, n: 12}} {
			if _, err := p.wave(context.Background(), s.idle, s.n, "drive"); err != nil {
				t.Fatal(err)
			}
		}
		p.fitAll()
		before := p.v.Refused
		s, err := p.partly(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if c.replicas == 1 && (s != nil || p.v.Refused-before > turnMost+1) {
			t.Errorf("one log is taken for %+v, with %d refused", s, p.v.Refused-before)
		}
		if c.replicas > 1 && (s == nil || s.replicas != 4 || s.each != 20) {
			t.Errorf("%d × %v: found %+v", c.replicas, c.pol, s)
		}
	}
}
