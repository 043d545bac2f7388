package probe

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// both makes a world with two limits.
func both(seed uint64, ps ...limit.Policy) *world {
	w := newWorld(ps[0], 6*time.Millisecond, seed)
	two, err := ps[1].New(w.now.Add(-time.Hour))
	if err != nil {
		panic(err)
	}
	w.limiter = limit.All(w.limiter, two)
	return w
}

// pairings are two limits as people stack them.
var pairings = []struct {
	name     string
	policies [2]limit.Policy
}{
	{"windows of the clock", [2]limit.Policy{
		{Algorithm: limit.FixedWindow, Limit: 12, Window: 3 * time.Second, Phase: 1100 * time.Millisecond},
		{Algorithm: limit.FixedWindow, Limit: 40, Window: 25600 * time.Millisecond, Phase: 14 * time.Second}}},
	{"windows from the first request", [2]limit.Policy{
		{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 8, Window: time.Second},
		{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 60, Window: 30 * time.Second}}},
	{"a token bucket and a window of the clock", [2]limit.Policy{
		{Limit: 10, Window: time.Second, Burst: 10},
		{Algorithm: limit.FixedWindow, Limit: 50, Window: 30 * time.Second, Phase: 7 * time.Second}}},
	{"a sliding log and a window from the first request", [2]limit.Policy{
		{Algorithm: limit.SlidingLog, Limit: 9, Window: 2 * time.Second},
		{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 30, Window: 24 * time.Second}}},
}

// TestPairUp: with what explained everything until the second limit was met, the two
// are found: what is said of the figures has the truth in it, and kinds that cannot
// explain what was seen are not among those that do.
func TestPairUp(t *testing.T) {
	for i, c := range pairings {
		w := both(uint64(i), c.policies[0], c.policies[1])
		p := New(w, w, Options{})
		one := p.part(familyOf(c.policies[0]), c.policies[0]) // what was known of it
		n, pause := int(c.policies[0].Capacity()), time.Duration(1.03*one.period()*1e9).Seconds()
		for range 4 { // spend, spend again while it refuses, look for the opening
			for range 12 {
				if s, err := p.wave(context.Background(), pause, n, ""); err != nil || s.r > 1 {
					break
				}
			}
			for s, err := p.wave(context.Background(), 1, 1, ""); err == nil && s.a == 0; {
				s, err = p.wave(context.Background(), 1, 1, "")
			}
		}
		one.ph = p.head(c.policies[0])
		p.whole.were = []hypothesis{one}
		p.pairUp(false)
		h := p.herd(Stacked)
		if h == nil || h.cost() > 0.5 {
			t.Errorf("%s: nothing was found that explains it", c.name)
			continue
		}
		found := false
		for _, o := range p.herds {
			if o.family != Stacked || o.cost() > 0.5 {
				continue
			}
			for _, q := range o.best {
				if _, two := q.parts(); q.cost < 0.5 && o.kind2 == familyOf(c.policies[1]) {
					found = found || math.Abs(two.n-float64(c.policies[1].Capacity())) < 0.5 && math.Abs(two.w-c.policies[1].Window.Seconds()) < 0.06*two.w
				}
			}
		}
		if !found {
			q := h.best[0]
			t.Errorf("%s: the truth is not among what was found, such as %+v", c.name, q.hypothesis)
		}
	}
}

// TestTwoLimits: both are found with their kinds and figures.
func TestTwoLimits(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	sure := 0
	for i, c := range pairings[1:3] { // each takes a second or two
		w := both(uint64(i), c.policies[0], c.policies[1])
		v, err := New(w, w, Options{Seed: 5}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if v.Family != Stacked || len(v.Policies) != 2 {
			t.Errorf("%s: found %v %v, sure: %v", c.name, v.Family, v.Policies, v.Sure)
			continue
		}
		if v.Sure {
			sure++
		}
		for k, want := range c.policies {
			got := v.Policies[k]
			rate := func(p limit.Policy) float64 { return float64(p.Limit) / p.Window.Seconds() }
			if familyOf(got) != familyOf(want) || got.Capacity() != want.Capacity() || math.Abs(rate(got)/rate(want)-1) > 0.012 {
				t.Errorf("%s: limit %d is %v, it was found as %v", c.name, k+1, want, got)
			}
		}
		if v.Requests > 1000 || v.Refused > 200 {
			t.Errorf("%s: %d requests, %d refused", c.name, v.Requests, v.Refused)
		}
	}
	if sure == 0 {
		t.Error("nothing was certain")
	}
}

// TestOneOf: where two limits explain everything only because the search has lost sight
// of one that does, that one is found again.
func TestOneOf(t *testing.T) {
	pol := limit.Policy{Algorithm: limit.SlidingWindow, Limit: 40, Window: 5 * time.Second, Phase: 1300 * time.Millisecond}
	w := newWorld(pol, 4*time.Millisecond, 4)
	p := New(w, w, Options{})
	for k := range 40 {
		many := 3 + k%4
		if k%5 == 0 {
			many = 41
		}
		if _, err := p.wave(context.Background(), 0.17*pol.Window.Seconds(), many, ""); err != nil {
			t.Fatal(err)
		}
	}
	one := p.part(SlidingWindow, pol)
	one.w *= 1.00002
	g := stack(one, hypothesis{family: SlidingLog, n: 250, w: 60})
	q := p.try(g, math.Inf(1))
	if q == nil {
		t.Fatal("no such hypothesis")
	}
	p.herdOf(&g).best = []*particle{q}
	if c := p.herd(SlidingWindow).cost(); c < 1 {
		t.Fatalf("one limit explains it already, to %v", c)
	}
	p.oneOf()
	if c := p.herd(SlidingWindow).cost(); c > 0.01 {
		t.Errorf("one limit alone leaves %v", c)
	}
}
