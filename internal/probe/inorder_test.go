package probe

import (
	"context"
	"math"
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

// TestMoreThanItSeems: eight replicas in turn of which some are open answer as three do for
// a while; they are not given up when the next answer says that there are more.
func TestMoreThanItSeems(t *testing.T) {
	pol := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 20, Window: time.Hour}
	const open = "ynnynnyy"
	w := newSeveral(pol, len(open), 5, func(n, _ int) int { return n % len(open) })
	for i, l := range w.each {
		if open[i] == 'n' {
			l.Take(w.now, pol.Limit)
		}
	}
	p := New(w, w, Options{Seed: 1})
	if r, err := p.pattern(context.Background(), 0, math.Inf(1), crewMost); r != len(open) || err != nil {
		t.Errorf("after %d of them it is the first one's turn again, want %d (%v)", r, len(open), err)
	}
}

// TestFirstOf: of replicas that open at times of each one's own the first is found before
// all are open.
func TestFirstOf(t *testing.T) {
	pol := limit.Policy{Algorithm: limit.FixedWindow, Limit: 40, Window: 12 * time.Second}
	w := newSeveral(pol, 3, 5, func(n, _ int) int { return n % 3 })
	for i := range w.each {
		one := pol
		one.Phase = time.Duration(i) * 2 * time.Second
		l, err := one.New(w.now.Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		w.each[i] = l
		l.Take(w.now, pol.Limit)
	}
	p := New(w, w, Options{Seed: 1})
	if _, err := p.wave(context.Background(), 0, 9, "they are full"); err != nil {
		t.Fatal(err)
	}
	if err := p.firstOf(context.Background(), 12); err != nil {
		t.Fatal(err)
	}
	if last, err := p.wave(context.Background(), 0, 3, "who is open"); err != nil || last.a == 0 || last.r == 0 {
		t.Errorf("of three replicas, %d are open (%v)", last.a, err)
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
