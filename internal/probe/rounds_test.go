package probe

import (
	"context"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestSecondLimit: how many times the limit is spent in search of a second one is what was
// asked for, and what the verdict says of it is so.
func TestSecondLimit(t *testing.T) {
	requests := map[int]int{}
	for _, second := range []int{0, 1, 3} {
		w := newWorld(limit.Policy{Algorithm: limit.TokenBucket, Limit: 4, Window: time.Second, Burst: 40}, 10*time.Millisecond, 4)
		p := New(w, w, Options{Seed: 1, Second: second})
		v, err := p.Run(context.Background())
		if err != nil || v.Family != TokenBucket || !v.Sure {
			t.Fatalf("second %d: found %v, sure: %v, %v", second, v.Family, v.Sure, err)
		}
		requests[second] = v.Requests
		admitted := 0
		for _, wave := range v.Waves {
			admitted += wave.Admitted
		}
		if most := float64(admitted) / 40; v.Spent > most || v.Spent < float64(second) || second == 0 && v.Spent < rounds {
			t.Errorf("second %d: it says that it was spent %.1f times, and spent it %.1f times", second, v.Spent, most)
		}
	}
	if requests[1] > requests[3] || requests[3] >= requests[0] {
		t.Errorf("%v requests: each time costs the limit", requests)
	}
}

// TestSingles: however soon it may open, one request asks whether it has.
func TestSingles(t *testing.T) {
	p := New(nil, nil, Options{})
	p.rtts, p.nos, p.tails = []float64{0.004}, []float64{0.004}, []float64{0.004}
	for _, in := range []span{{0, 0}, {0.02, 0.004}, {0.02, 0.0099}, {0.02, 0.3}, {3, 3.0001}} {
		for n := range 5 {
			steps := p.singles(in, n)
			if len(steps) == 0 || waits(steps) < in.hi-0.02 {
				t.Errorf("%v, %d within: %+v", in, n, steps)
			}
			for _, s := range steps {
				if s.idle <= 0 || s.n != 1 {
					t.Errorf("%v, %d within: %+v", in, n, steps)
				}
			}
		}
	}
}

// TestSecondLimitFarAway: who asks for more than a probe looks for by itself gets it: a
// second limit so large is met, or the verdict says how far it looked and that this is less.
func TestSecondLimitFarAway(t *testing.T) {
	short := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 5, Window: time.Second}
	long := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 150, Window: time.Hour}
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for _, c := range []struct {
		second, most int
		time         time.Duration
		met          bool
		least        float64 // how far it looked, where that one is not met
	}{
		{26, 5000, 10 * time.Minute, false, 26},
		{40, 5000, 50 * time.Second, true, 0},
		{40, 160, 3 * time.Minute, false, 14},
		{40, 5000, 30 * time.Second, false, 14},
	} {
		w := both(3, short, long)
		w.hold = time.Millisecond
		v, err := New(w, w, Options{Seed: 1, Second: c.second, MaxRequests: c.most, MaxTime: c.time}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v: %v, sure %v, spent %.1f times, wanted %d, %d requests, %d refused, %v, %q", c, v.Found, v.Sure, v.Spent, v.Wanted, v.Requests, v.Refused, v.Elapsed, v.Stopped)
		switch admitted := v.Requests - v.Refused; {
		case c.met:
			if admitted < 150 || v.Sure && v.Family == FixedFirst {
				t.Errorf("%+v: %d were let pass, and it is sure of %v", c, admitted, v.Family)
			}
		case v.Family != FixedFirst || !v.Sure || v.Spent < c.least:
			t.Errorf("%+v: %v, sure %v (%s), spent %.1f times, stopped: %s", c, v.Found, v.Sure, v.Open, v.Spent, v.Stopped)
		case (v.Wanted > 0) != (v.Spent < float64(c.second)):
			t.Errorf("%+v: spent %.1f times, and says that %d were wanted", c, v.Spent, v.Wanted)
		}
	}
}
