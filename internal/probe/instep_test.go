package probe

import (
	"context"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestInStep: windows that begin when those of a timer would are told from one that
// began late, and lasted.
func TestInStep(t *testing.T) {
	q := &particle{hypothesis: hypothesis{family: FixedFirst, n: 5, w: 10}}
	tried := 0
	for name, c := range map[string]struct {
		waves [][3]float64 // when, admitted, refused
		want  bool
	}{
		"each as soon as it opens":        {[][3]float64{{0, 5, 1}, {10.05, 5, 0}, {19.9, 0, 1}, {20.1, 5, 1}}, true},
		"late, and refused at once":       {[][3]float64{{0, 5, 1}, {15, 5, 1}, {20.1, 0, 1}}, true},
		"late, and refused to its end":    {[][3]float64{{0, 5, 1}, {15, 5, 1}, {22, 0, 1}}, false},
		"late, and a timer let more pass": {[][3]float64{{0, 5, 1}, {15, 5, 1}, {21, 1, 0}}, true},
		"late after two windows":          {[][3]float64{{0, 5, 1}, {26, 5, 0}, {33.5, 0, 1}}, false},
		"long after":                      {[][3]float64{{0, 5, 1}, {76, 5, 0}, {83.5, 0, 1}}, true},
		"the rest of it later":            {[][3]float64{{0, 5, 1}, {15, 1, 0}, {18, 4, 0}, {22, 0, 1}}, false},
		"used up after a timer's opening": {[][3]float64{{0, 5, 1}, {15, 2, 0}, {21, 3, 2}}, false},
		"admitted before and after":       {[][3]float64{{0, 5, 1}, {15, 2, 0}, {21, 5, 2}}, true},
	} {
		tried++
		p := &Probe{}
		for _, w := range c.waves {
			p.sights = append(p.sights, sight{s: w[0], d: w[0] + 0.01, a: int(w[1]), r: int(w[2])})
		}
		if got := p.inStep(q); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if tried == 0 {
		t.Error("nothing was tried")
	}
}

// TestBeginLate: what is certain to be a window from the first request was begun late at
// least once, on purpose where it did not come by itself.
func TestBeginLate(t *testing.T) {
	t.Parallel()
	sure, purpose, tried := 0, 0, 0
	for _, pol := range []limit.Policy{{Limit: 7, Window: 8 * time.Second}, {Limit: 18, Window: 2500 * time.Millisecond}, {Limit: 20, Window: 10 * time.Second}, {Limit: 5, Window: 5 * time.Second}} {
		for seed := range uint64(3) {
			if testing.Short() && seed > 0 {
				continue
			}
			tried++
			pol.Algorithm, pol.Align = limit.FixedWindow, limit.AlignFirst
			w := newWorld(pol, 4*time.Millisecond, seed)
			p := New(w, w, Options{Seed: seed})
			v, err := p.Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if v.Family != FixedFirst {
				t.Errorf("%v: taken for %v", pol, v.Kind())
				continue
			}
			if v.Sure {
				if sure++; p.inStep(p.herd(FixedFirst).best[0]) {
					t.Errorf("%v: certain, and in step", pol)
				}
			}
			if p.begunLate > 0 {
				purpose++
			}
		}
	}
	if sure < tried*3/4 || purpose == 0 && !testing.Short() {
		t.Errorf("%d of %d were certain, %d begun late on purpose", sure, tried, purpose)
	}
	t.Logf("%d of %d were certain, %d begun late on purpose", sure, tried, purpose)
}
