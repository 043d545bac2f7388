package probe

import (
	"context"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestShort: windows of a fifth of a second are named, and of those that are shorter than
// what is looked for nothing is said for certain.
func TestShort(t *testing.T) {
	t.Parallel()
	ran := 0
	for _, c := range []struct {
		family Family // None: nothing may be certain
		policy limit.Policy
	}{
		{FixedClock, limit.Policy{Algorithm: limit.FixedWindow, Limit: 1, Window: 200 * time.Millisecond}},
		{RefillBucket, limit.Policy{Algorithm: limit.RefillBucket, Limit: 1, Window: 200 * time.Millisecond, Burst: 12}},
		{None, limit.Policy{Algorithm: limit.FixedWindow, Limit: 2, Window: 200 * time.Millisecond}},
	} {
		ran++
		w := newWorld(c.policy, 3*time.Millisecond, 1)
		v, err := New(w, w, Options{Seed: 1, MaxTime: time.Minute}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: %v %v, sure %v, %d requests", c.policy, v.Family, v.Policies, v.Sure, v.Requests)
		switch {
		case c.family == None && v.Sure:
			t.Errorf("%v: sure of %v", c.policy, v.Policies)
		case c.family != None && (v.Family != c.family || v.Policies[0].Window != c.policy.Window || !v.Sure):
			t.Errorf("%v: %v %v, sure %v", c.policy, v.Family, v.Policies, v.Sure)
		}
	}
	if ran != 3 {
		t.Error(ran)
	}
}

// TestCrossing: a window of the clock that begins right after the first refusal lets through
// as much again, and is not taken for replicas.
func TestCrossing(t *testing.T) {
	t.Parallel()
	ran := 0
	for seed := range uint64(3) {
		ran++
		w := newWorld(limit.Policy{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second}, 3*time.Millisecond, seed)
		w.hold = 42 * time.Millisecond // six of these, and the next window begins
		w.now = w.now.Truncate(time.Second).Add(time.Second - 240*time.Millisecond)
		v, err := New(w, w, Options{Seed: seed}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v %v, sure %v, %d requests; %v", v.Family, v.Policies, v.Sure, v.Requests, v.Waves[6].Why)
		if v.Family != FixedClock || !v.Sure {
			t.Errorf("%v %v, sure %v", v.Family, v.Policies, v.Sure)
		}
	}
	if ran != 3 {
		t.Error(ran)
	}
}

// TestByClock: a window of the clock explains a burst that crosses its head, and a bucket
// of the clock what comes back in steps; they do not explain two replicas in turn.
func TestByClock(t *testing.T) {
	clock := limit.Policy{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second}
	ticks := limit.Policy{Algorithm: limit.RefillBucket, Limit: 1, Window: 200 * time.Millisecond, Burst: 12}
	first := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 5, Window: time.Second}
	ran := 0
	for _, c := range []struct {
		policy   limit.Policy
		replicas int
		want     bool
		steps    []step
	}{
		{clock, 1, true, []step{{n: 5}, {n: 9}, {idle: 0.25, n: 7}, {idle: 0.4, n: 3}, {idle: 2.7, n: 7}}},
		{ticks, 1, true, []step{{n: 13}, {n: 5}, {idle: 0.2, n: 1}, {idle: 0.2, n: 1}, {idle: 0.31, n: 1}, {idle: 0.17, n: 4}, {idle: 2.7, n: 15}, {idle: 0.3, n: 2}}},
		{first, 2, false, []step{{n: 1}, {idle: 0.55, n: 9}, {idle: 0.5, n: 12}, {idle: 0.55, n: 12}, {idle: 0.4, n: 12}, {idle: 0.37, n: 12}, {idle: 0.37, n: 12}, {idle: 0.43, n: 12}, {idle: 0.29, n: 12}, {idle: 0.6, n: 12}, {idle: 0.51, n: 12}}},
	} {
		ran++
		w := newWorld(c.policy, 3*time.Millisecond, 1)
		w.now = w.now.Truncate(time.Second).Add(time.Second - 240*time.Millisecond)
		if c.replicas > 1 {
			l := &apieceInTurn{}
			for range c.replicas {
				one, err := c.policy.New(w.now.Add(-time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				l.of = append(l.of, one)
			}
			w.limiter = l
		}
		p := New(w, w, Options{Seed: 1})
		for _, s := range c.steps {
			if _, err := p.wave(context.Background(), s.idle, s.n, ""); err != nil {
				t.Fatal(err)
			}
		}
		if p.byClock() != c.want {
			t.Errorf("%d × %v: by the clock is %v", c.replicas, c.policy, !c.want)
			p.trace = t.Logf
			p.report()
		}
	}
	if ran != 3 {
		t.Error(ran)
	}
}

// apieceInTurn sends each request to the next of several limiters.
type apieceInTurn struct {
	of []limit.Limiter
	k  int
}

func (l *apieceInTurn) Take(at time.Time, cost int64) limit.Decision {
	l.k++
	return l.of[l.k%len(l.of)].Take(at, cost)
}

func (l *apieceInTurn) Clone() limit.Limiter { return l }

// TestTooShort: what is as short as what is looked for is known by its kind.
func TestTooShort(t *testing.T) {
	ran := 0
	for _, c := range []struct {
		h    hypothesis
		want bool
	}{
		{hypothesis{family: FixedFirst, n: 3, w: 0.31}, true}, {hypothesis{family: FixedFirst, n: 3, w: 0.5}, false},
		{hypothesis{family: TokenBucket, n: 3, w: 0.1}, false}, {hypothesis{family: Stacked, kind: TokenBucket, n: 3, w: 0.1, m: 9, v: 9}, false},
		{hypothesis{family: Stacked, kind: FixedFirst, n: 3, w: 0.3, m: 9, v: 9}, true},
		{hypothesis{family: FixedClock, n: 1, w: 0.2, quick: true}, false}, {hypothesis{family: FixedClock, n: 1, w: 0.11, quick: true}, true},
		{hypothesis{family: FixedClock, n: 2, w: 0.2, quick: true}, true},
	} {
		ran++
		h := &herd{family: c.h.family, best: []*particle{{hypothesis: c.h}}}
		if h.tooShort() != c.want {
			t.Errorf("%+v: too short is %v", c.h, !c.want)
		}
	}
	if ran != 8 {
		t.Error(ran)
	}
}

// TestFromRest: a bucket of two refuses nothing once one was let through from rest.
func TestFromRest(t *testing.T) {
	for n, want := range map[float64]bool{1: false, 2: true, 3: true} {
		h := hypothesis{family: TokenBucket, n: n, w: 0.2}
		m := h.model(nil)
		w := &sight{since: 10, s: 10, last: 10.001, d: 10.004, done: 10.005, ended: 10.005, a: 1, r: 3}
		m.admit(w)
		if gap := m.gap(w); (gap > 1e-6) != want {
			t.Errorf("a bucket of %g leaves %g unexplained", n, gap)
		}
	}
}
