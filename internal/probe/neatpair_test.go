package probe

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestNeatPair: where a window of some odd length, from some odd place, explains all that two
// windows of the clock did, the round lengths at even places are said.
func TestNeatPair(t *testing.T) {
	one := limit.Policy{Algorithm: limit.FixedWindow, Limit: 10, Window: time.Second}
	two := limit.Policy{Algorithm: limit.FixedWindow, Limit: 100, Window: time.Minute}
	w := both(3, one, two)
	p := New(w, w, Options{})
	for range 2 { // use it up, and look for the opening from time to time
		for {
			if s, err := p.wave(context.Background(), 1.03, 10, ""); err != nil || s.r > 3 {
				break
			}
		}
		for s, err := p.wave(context.Background(), 3, 1, ""); err == nil && s.a == 0; {
			s, err = p.wave(context.Background(), 3, 1, "")
		}
	}
	odd := stack(p.part(FixedClock, one), p.part(FixedClock, two))
	odd.v = 59.4
	var best *particle
	for ph := 0.0; ph < odd.v && best == nil; ph += 0.1 {
		odd.ph2 = ph
		best = p.within(odd, 0.001, 0.001)
	}
	if best == nil {
		t.Fatal("no window of 59.4 s explains it: there is no trap")
	}
	h := p.herdOf(&best.hypothesis)
	h.best = []*particle{best}
	g := p.neat(h, best, span{best.w, best.w}, span{0.98 * best.v, 1.02 * best.v}, true)
	if g.w != 1 || g.v != 60 {
		t.Errorf("windows of %v and %v s, want 1 and 60", g.w, g.v)
	}
	for _, c := range []struct{ ph, w float64 }{{g.ph, g.w}, {g.ph2, g.v}} {
		if at := p.phase(c.ph, seconds(c.w)); at != 0 {
			t.Errorf("windows of %v s begin at %v, want the even places of the clock", c.w, at)
		}
	}
	// What does not explain it is not said, however round.
	if g := p.neat(h, best, span{best.w, best.w}, span{89, 91}, true); math.Abs(g.v-best.v) > 1e-9 {
		t.Errorf("a window of %v s explains no minute", g.v)
	}
}

// TestUnopened: a longer limit that was looked at again and again and did not open is not
// settled, for it may be a third one that refuses.
func TestUnopened(t *testing.T) {
	refused := func(at float64) sight { return sight{s: at, d: at, r: 1} }
	for _, c := range []struct {
		name   string
		sights []sight
		want   bool
	}{
		{"just used up", []sight{{s: 0, a: 5}, {s: 1, a: 5, r: 1}}, false},
		{"refused by the shorter alone", []sight{{s: 0, a: 5}, refused(0.1), refused(0.2), refused(0.3)}, false},
		{"looked at twice", []sight{{s: 0, a: 5}, refused(1), refused(4)}, false},
		{"again and again", []sight{{s: 0, a: 5}, refused(1), refused(4), refused(9)}, true},
		{"open at last", []sight{{s: 0, a: 5}, refused(1), refused(4), refused(9), {s: 12, a: 1}}, false},
	} {
		g := hypothesis{family: Stacked, kind: FixedClock, kind2: FixedClock, n: 5, w: 1, m: 50, v: 60}
		p := New(nil, nil, Options{})
		p.herdOf(&g).best = []*particle{{hypothesis: g}}
		if p.sights = c.sights; p.unopened() != c.want {
			t.Errorf("%s: unopened is %v", c.name, p.unopened())
		}
	}
}

// TestThirdLimit: where a third limit is met that is longer than both, nothing is certain, and it is said why.
func TestThirdLimit(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	w := both(1, limit.Policy{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second}, limit.Policy{Algorithm: limit.FixedWindow, Limit: 50, Window: time.Minute})
	three, err := (limit.Policy{Algorithm: limit.FixedWindow, Limit: 200, Window: time.Hour}).New(w.now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	w.limiter = limit.All(w.limiter, three)
	v, err := New(w, w, Options{Seed: 1, MaxTime: 5 * time.Minute}).Run(context.Background())
	if err != nil || v.Sure || !strings.Contains(v.Open, "third limit") {
		t.Errorf("%v %v, sure %v, open %q: %v", v.Family, v.Policies, v.Sure, v.Open, err)
	}
}
