package probe

import (
	"math"
	"testing"
	"time"
)

// TestUnrested: what could hold more than is believed rests as long as it takes until that
// would show, twice as long where more was found, and not at all where it has rested.
func TestUnrested(t *testing.T) {
	cases := 0
	for _, c := range []struct {
		what string
		h    hypothesis
		want float64
	}{
		{"a bucket", hypothesis{family: TokenBucket, n: 10, w: 2}, 1.08 * 11 * 2},
		{"portions", hypothesis{family: RefillBucket, n: 40, m: 19, w: 18}, 1.08 * 3 * 18},
		{"portions that fit", hypothesis{family: RefillBucket, n: 40, m: 20, w: 18}, 1.08 * 3 * 18},
		{"a queue", hypothesis{family: LeakyQueue, n: 10, w: 2}, 1.08 * 2},
		{"a queue with a burst", hypothesis{family: LeakyQueue, n: 10, m: 4, w: 2}, 1.08 * 5 * 2},
		{"a window", hypothesis{family: FixedFirst, n: 10, w: 20}, 0},
		{"a log", hypothesis{family: SlidingLog, n: 10, w: 20}, 0},
	} {
		cases++
		p := New(nil, nil, Options{Seed: 1})
		p.sights = []sight{{a: int(c.h.n), r: 1, s: 0, d: 0.01, done: 0.01}}
		q := &particle{hypothesis: c.h}
		if got := p.unrested(q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: rests %.4g s, want %.4g s", c.what, got, c.want)
		}
		if p.rests = 1; math.Abs(p.unrested(q)-2*c.want) > 1e-9 {
			t.Errorf("%s, again: rests %.4g s, want %.4g s", c.what, p.unrested(q), 2*c.want)
		}
		for _, rest := range []struct {
			of   float64
			want bool
		}{{0.9, false}, {1, true}} {
			at := 0.01 + rest.of*c.want
			p.sights = append(p.sights[:1], sight{a: int(c.h.n), r: 1, s: at, d: at + 0.01, done: at + 0.01})
			if got := p.unrested(q) == 0; c.want > 0 && got != rest.want {
				t.Errorf("%s: a burst after %g of the rest suffices: %v", c.what, rest.of, got)
			}
		}
	}
	if cases != 7 {
		t.Errorf("%d cases", cases)
	}
}

// stopped is a clock that stands.
type stopped struct{ Clock }

func (stopped) Now() time.Time { return time.Unix(100, 0) }

// TestBegins: what is missing of rounds at full speed begins so that it ends soonest: with
// what a window has left, if that saves a whole one.
func TestBegins(t *testing.T) {
	g := hypothesis{family: FixedFirst, n: 10, w: 10}
	cases := 0
	for _, c := range []struct {
		spent, requests int
		idle, n         float64
	}{
		{4, 16, 0.01, 6},  // six now and ten a window later
		{4, 6, 0.01, 6},   // all of it now
		{4, 17, 10, 10},   // ten, and seven: six now would not save the second window
		{10, 15, 10, 10},  // nothing is left
		{10, 3, 10, 3},    // fewer than a whole part
		{1, 20, 9.99, 10}, // nine now would take two more
	} {
		cases++
		p := New(nil, stopped{}, Options{Seed: 1})
		p.start = time.Unix(100, 0)
		p.sights = []sight{{a: c.spent, s: 0, since: 0, d: 0.001, soon: 0.001, done: 0.001}}
		q := &particle{hypothesis: g, course: course{state: g.model(nil)}}
		h := &herd{family: FixedFirst, best: []*particle{q}}
		idle, n := p.begins(h, shortfall{rounds: 2, requests: c.requests, part: 10, pause: 10.1})
		if math.Abs(idle-c.idle) > 0.25 || float64(n) != c.n {
			t.Errorf("%d spent, %d to go: begins in %.3g s with %d, want %.3g s with %g", c.spent, c.requests, idle, n, c.idle, c.n)
		}
	}
	if cases != 6 {
		t.Errorf("%d cases", cases)
	}
}
