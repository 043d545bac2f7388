package probe

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestOpens: after a bucket was emptied it opens when the next unit is there, no
// sooner than may and no later than must.
func TestOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.Float64Range(0.05, 3).Draw(t, "unit")
		n := rapid.IntRange(2, 50).Draw(t, "capacity")
		net := rapid.Float64Range(0.001, 0.02).Draw(t, "network")
		p := &particle{hypothesis: hypothesis{family: TokenBucket, n: float64(n), w: unit}}
		p.see([]sight{{s: 0, d: net, last: 0, done: net, a: n, r: 1, scale: float64(n)}}, math.Inf(1))
		if p.cost != 0 {
			t.Fatalf("a burst of its capacity costs %v", p.cost)
		}
		may, must := opens(p.state, net, net, p.period())
		if may > unit || must < unit-net-0.01*unit || must > unit+2*net+0.01*unit {
			t.Errorf("opens between %v and %v, one unit takes %v", may, must, unit)
		}
	})
}
