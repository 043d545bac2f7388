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
