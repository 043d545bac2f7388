package probe

import (
	"context"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestAlternating: windows of each replica's own clock that are reached in turn are
// recognised while one limit of another kind still explains the answers.
func TestAlternating(t *testing.T) {
	pol := limit.Policy{Algorithm: limit.FixedWindow, Limit: 40, Window: 12 * time.Second}
	w := newSeveral(pol, 3, 5, func(n, _ int) int { return n % 3 })
	for i := range w.each {
		one := pol
		one.Phase = time.Duration(i) * 4100 * time.Millisecond
		l, err := one.New(w.now.Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		w.each[i] = l
	}
	q := &quick{w}
	v, err := New(q, q, Options{Seed: 3}).Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if v.Family != Replicas || v.Replicas != 3 || v.LimitLow > 40 || v.LimitHigh < 40 || v.Refused > 150 {
		t.Errorf("found %v, %d × %v (%d to %d), with %d requests, %d refused", v.Family, v.Replicas, v.Policies, v.LimitLow, v.LimitHigh, v.Requests, v.Refused)
	}
}

// TestLuck: the chance that answers repeat although they are at random.
func TestLuck(t *testing.T) {
	for _, c := range []struct {
		got   string
		after int
		most  float64
		least float64
	}{
		{"ynynynynyn", 2, 0.004, 0.003},
		{"ynynyn", 2, 0.07, 0.06},
		{"nnnnnnnynnnnnnnyn", 8, 0.06, 0.03},
	} {
		got := make([]bool, len(c.got))
		for i := range got {
			got[i] = c.got[i] == 'y'
		}
		if p := luck(got, c.after); p < c.least || p > c.most {
			t.Errorf("%s after %d: %.4f, want %.3f to %.3f", c.got, c.after, p, c.least, c.most)
		}
	}
}

// TestTogether: single requests that meet replicas whose windows began later make one
// limit seem to have a longer window; what was admitted together is not held against
// replicas then. It is where their windows are known to be long enough.
func TestTogether(t *testing.T) {
	for _, c := range []struct {
		name string
		shut float64 // when all was refused last before the window opened again
		want bool
	}{
		{"windows of 5.3 s at least", 25.0, false},
		{"windows of 8.9 s at least", 28.6, true},
	} {
		p := &Probe{}
		p.nos = []float64{0.01}
		add := func(s float64, a, r int) {
			p.sights = append(p.sights, sight{s: s, d: s + 0.01, last: s, a: a, r: r})
		}
		add(0, 60, 0)
		add(0.1, 0, 3)
		add(19.7, 30, 0) // each replica has begun
		add(19.8, 30, 0)
		add(c.shut, 0, 1)
		add(30, 1, 0) // set apart
		add(34, 59, 0)
		add(39.5, 1, 0)
		add(39.51, 20, 0) // before those of 34 can be over
		q := &particle{hypothesis: hypothesis{family: FixedFirst, n: 60, w: 9.5}}
		if got := p.together(q); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
