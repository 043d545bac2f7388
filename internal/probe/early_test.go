package probe

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// hasty is a bucket that makes wait who comes up to half a unit early.
type hasty struct {
	burst, rate float64 // a second
	left        float64
	at          time.Time
}

func (h *hasty) Take(at time.Time, cost int64) (d limit.Decision) {
	if h.at.IsZero() {
		h.left = h.burst
	} else {
		h.left = min(h.burst, h.left+at.Sub(h.at).Seconds()*h.rate)
	}
	h.at = at
	if after := h.left - float64(cost); after >= -0.5 {
		h.left, d.Allowed = after, true
		d.Delay = time.Duration(max(0, -after) / h.rate * 1e9)
	}
	return d
}

func (h *hasty) Clone() limit.Limiter { c := *h; return &c }

// TestEarly: what such a bucket does is explained by it, and is not taken for another
// bucket with certainty.
func TestEarly(t *testing.T) {
	ran := 0
	for i, h := range []hasty{{burst: 10, rate: 5}, {burst: 40, rate: 20}} {
		ran++
		w := newWorld(limit.Policy{Limit: 1, Window: time.Second}, 2*time.Millisecond, uint64(i))
		w.limiter = &h
		p := New(w, w, Options{Seed: uint64(i + 1)})
		v, err := p.Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		truth := Found{Family: LeakyQueue, Early: true, Policies: []limit.Policy{{Limit: int64(h.rate * 2), Window: 2 * time.Second, Burst: int64(h.burst)}}}
		if left := p.Explain(truth); left > 0.5 {
			t.Errorf("%+v leaves %v unexplained", truth, left)
		}
		near := len(v.Policies) == 1 && v.Policies[0].Capacity() == int64(h.burst) && math.Abs(float64(v.Policies[0].Limit)/v.Policies[0].Window.Seconds()/h.rate-1) < 0.01
		if v.Sure && !near {
			t.Errorf("%+v: sure, and wrong: %v %v", truth, v.Family, v.Policies)
		}
		t.Logf("%v: %v %v, early %v, sure %v, %d requests", truth.Policies, v.Family, v.Policies, v.Early, v.Sure, v.Requests)
	}
	if ran != 2 {
		t.Errorf("%d cases ran", ran)
	}
}
