package probe

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestSpreadOfBounds: what is said of the window of replicas ends where another window no
// longer explains the answers, and not before.
func TestSpreadOfBounds(t *testing.T) {
	tried, wide := 0, 0
	for _, window := range []time.Duration{15 * time.Second, 20 * time.Second, 26 * time.Second, 33 * time.Second} {
		pol := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 12, Window: window}
		p := driven(t, pol, 4, func(n, _ int) int { return n % 4 }, false)
		p.sights = p.sights[:len(p.sights)/2] // which leave more open
		all := p.upTo(1e6)
		truth := fleet{byTurn, FixedFirst, 4, 12, window.Seconds(), false}
		for _, off := range []float64{0.99, 1, 1.01} { // the best that was found is seldom the truth itself
			truth.w = off * window.Seconds()
			j := all.judge(truth, 2*truth.draws(), 1e9)
			s := p.spreadOf(j, nil)
			if s.window.hi/s.window.lo > 1.07 {
				wide++
			}
			for _, beyond := range []float64{0.99 * s.window.lo, 1.01 * s.window.hi} {
				f := j.fleet
				f.w = beyond
				tried++
				if o := all.judge(f, 2*f.draws(), 1e9); o.cost < j.cost+4 {
					t.Errorf("window of %v, found as %.3g s: said to be from %.4g s to %.4g s, and %.4g s costs only %.1f more", window, j.w, s.window.lo, s.window.hi, beyond, o.cost-j.cost)
				}
			}
		}
	}
	if tried != 24 || wide == 0 {
		t.Errorf("%d tried, %d wider than the least", tried, wide)
	}
}
