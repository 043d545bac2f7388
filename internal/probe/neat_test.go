package probe

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRoundIn(t *testing.T) {
	for _, c := range []struct {
		lo, hi, first float64
	}{
		{9.93, 10.04, 10}, {59, 61.5, 60}, {2.62, 2.79, 2.7}, {28, 33, 30}, {7.28, 7.32, 7.3},
	} {
		got := roundIn(span{c.lo, c.hi})
		if len(got) == 0 || math.Abs(got[0]-c.first) > 1e-6 {
			t.Errorf("between %v and %v: %v, want %v first", c.lo, c.hi, got, c.first)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Float64Range(0.01, 5000).Draw(t, "lo")
		s := span{lo, lo * (1 + rapid.Float64Range(0, 0.5).Draw(t, "width"))}
		for _, x := range roundIn(s) {
			if x < s.lo*(1-2*grain)-1e-6 || x > s.hi*(1+2*grain)+1e-6 {
				t.Fatalf("%v is not between %v and %v", x, s.lo, s.hi)
			}
		}
	})
}

// TestRoundHead: a head is moved to a round place of the clock, by no more than half
// of the unit.
func TestRoundHead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Probe{start: time.Unix(1_800_000_000, rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds"))}
		w := float64(rapid.IntRange(1, 120).Draw(t, "window"))
		unit := rapid.SampledFrom([]float64{0.1, 0.5, 1}).Draw(t, "unit")
		head := rapid.Float64Range(0, 500).Draw(t, "head")
		got := p.roundHead(head, w, unit)
		if math.Abs(got-head) > unit/2+1e-6 {
			t.Fatalf("moved from %v to %v, by more than half of %v", head, got, unit)
		}
		at := math.Mod(float64(p.start.UnixNano()%int64(1e9*w))/1e9+got, w) / unit
		if off := math.Abs(at - math.Round(at)); off > 1e-4 {
			t.Fatalf("%v is %v units of %v into its window of %v", got, at, unit, w)
		}
	})
}

// TestCoincidence: what must lie just so is less likely than what may lie anywhere.
func TestCoincidence(t *testing.T) {
	herdOf := func(f Family, w, ph span) *herd {
		h := &herd{family: f}
		for i := range 5 {
			x := float64(i) / 4
			h.best = append(h.best, &particle{hypothesis: hypothesis{family: f, n: 10, w: w.lo + x*(w.hi-w.lo), ph: ph.lo + x*(ph.hi-ph.lo)}})
		}
		return h
	}
	free := herdOf(FixedFirst, span{5, 9}, span{}).coincidence(0)
	known := herdOf(FixedFirst, span{7, 7.1}, span{}).coincidence(0)
	head := herdOf(FixedClock, span{7, 7.1}, span{0.5, 0.55}).coincidence(0)
	if all := []float64{0, free, known, head}; !slices.IsSorted(all) || free <= 0 || head < known+1 {
		t.Errorf("none, a loose window, a known one, and one with its head: %v", all)
	}
	if c := herdOf(Concurrency, span{}, span{}).coincidence(0); c != 0 {
		t.Errorf("a limit without a window needs %v", c)
	}
}

// TestRoundRatesOfPeople: nobody says 260000 a day for three a second.
func TestRoundRatesOfPeople(t *testing.T) {
	for _, r := range roundRates(span{0.3316, 0.3328}) {
		if r.window >= 3600 {
			t.Errorf("%g in %g s passes for round", r.limit, r.window)
		}
	}
	if all := roundRates(span{86400. / 100_001, 86400. / 99_999}); len(all) == 0 || all[0].limit != 100_000 {
		t.Errorf("100000 a day is said as %v", all)
	}
}
