package probe

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestIsRound: a figure of two digits within what is open is one that people choose.
func TestIsRound(t *testing.T) {
	ran := 0
	for _, c := range []struct {
		family Family
		lo, hi float64
		want   bool
	}{
		{FixedFirst, 3.97, 4.03, true}, {FixedFirst, 4.955, 4.965, false}, {FixedFirst, 59.8, 60.1, true}, {SlidingLog, 0.503, 0.509, false},
		{FixedClock, 2.49, 2.51, true}, {FixedClock, 12.95, 13.04, true}, {FixedClock, 13.44, 13.56, false}, {SlidingWindow, 3.15, 3.156, false},
		{TokenBucket, 0.0999, 0.1003, true}, {TokenBucket, 0.0989, 0.0992, false}, {TokenBucket, 0.66, 0.67, true},
		{TokenBucket, 0.04876, 0.04888, false}, {TokenBucket, 0.2366, 0.2371, false}, {TokenBucket, 1.0 / 25 * 0.999, 1.0 / 25 * 1.001, true}, {TokenBucket, 0.0999, 0.1001, true},
	} {
		ran++
		h := &herd{family: c.family}
		for _, w := range []float64{(c.lo + c.hi) / 2, c.lo, c.hi} {
			h.best = append(h.best, &particle{hypothesis: hypothesis{family: c.family, n: 10, w: w}})
		}
		if got := (&Probe{}).isRound(h); got != c.want {
			t.Errorf("%v between %v and %v: round is %v", c.family, c.lo, c.hi, got)
		}
	}
	if ran != 15 || math.IsNaN(oddness(1)) {
		t.Errorf("%d cases ran", ran)
	}
}

func TestPacedByTheProbeIsNoQueue(t *testing.T) {
	for _, c := range []struct {
		sent, answered, want float64 // how long sending and the answers took; answers a second
	}{
		{0.001, 2, 9.5}, // sent at once, answered one after the other
		{0.05, 2, 9.5},
		{0.05, 0.05, 0}, // answered as they were sent
		{2, 2.4, 0},
	} {
		p := New(nil, nil, Options{})
		p.sights = []sight{{a: 20, queue: 2, s: 1, last: 1 + c.sent, quick: 1.1, ended: 1.1 + c.answered}}
		if got := p.pacedAnswers(); got != c.want {
			t.Errorf("sent in %v s, answered in %v s: %v a second, want %v", c.sent, c.answered, got, c.want)
		}
	}
	// Waves that are made to wait ever longer, each as long as the one before took in all, are no queue.
	p := New(nil, nil, Options{})
	for _, n := range []int{20, 40, 80} {
		p.sights = append(p.sights, sight{a: n, queue: 2, s: 1, last: 1.001, quick: 1.1, ended: 5, slow: 4})
	}
	if rate, slow := p.pacedAnswers(), p.slowest(); rate != 0 || slow != 4*time.Second {
		t.Errorf("waves of 20, 40 and 80 in the same time: %v a second, up to %v", rate, slow)
	}
}

// TestNoLimitOfAFew: a few requests that were let pass say nothing for certain.
func TestNoLimitOfAFew(t *testing.T) {
	for most, sure := range map[int]bool{8: false, 2000: true} {
		w := newWorld(limit.Policy{Algorithm: limit.FixedWindow, Limit: 1e9, Window: time.Second}, 8*time.Millisecond, 3)
		v, err := New(w, w, Options{MaxRequests: most}).Run(context.Background())
		if err != nil || v.Family != None || v.Sure != sure {
			t.Errorf("at most %d requests: %v, sure is %v, want %v (%v)", most, v.Family, v.Sure, sure, err)
		}
	}
}

// TestConfirmSingleUnits: a bucket that gets single units by the clock bends to one whose
// units come some time after a request, so it has to foretell five times when the next
// one comes after a rest; of larger portions four in a row do.
func TestConfirmSingleUnits(t *testing.T) {
	for _, c := range []struct {
		m    float64
		want int
	}{{1, 5}, {3, 1}} {
		p := New(nil, nil, Options{Seed: 1})
		p.sights = []sight{{a: 10, r: 1, s: 0, d: 0.01, done: 0.01}}
		g := hypothesis{family: RefillBucket, n: 10, w: 0.5, m: c.m}
		for _, h := range p.herds {
			if h.best = nil; h.family == RefillBucket {
				h.best = []*particle{{hypothesis: g, course: course{state: g.model(nil)}}}
			}
		}
		asked := 0
		for range 9 {
			e := p.confirm()
			if e == nil {
				break
			}
			asked++
			if len(e.steps) < 5 || c.m == 1 && (e.steps[0].idle < g.period() || !e.through) {
				t.Errorf("it is asked by %+v, want single requests, or portions, after a rest", e.steps)
			}
		}
		if asked != c.want {
			t.Errorf("portions of %v: asked %d times, want %d", c.m, asked, c.want)
		}
	}
}

// TestConfirmTooDear: a wave that the bound does not allow has confirmed nothing.
func TestConfirmTooDear(t *testing.T) {
	for _, c := range []struct{ most, want int }{{13, 0}, {5000, 1}} {
		p := New(nil, nil, Options{MaxRequests: c.most})
		p.herds = []*herd{{family: FixedFirst, best: []*particle{{hypothesis: hypothesis{family: FixedFirst, n: 20, w: 3.37}}}}}
		p.sights = []sight{{d: 60}}
		if e := p.confirm(); (e != nil) != (c.want == 1) || p.confirmed != c.want {
			t.Errorf("at most %d requests: %v, %d confirmed, want %d", c.most, e, p.confirmed, c.want)
		}
	}
}

// TestContrived: windows that nobody chooses are not certain, of a pair each by itself, nor are
// round ones where any span as wide as what is open has one.
func TestContrived(t *testing.T) {
	pair := func(kind Family, w, v float64) hypothesis {
		return hypothesis{family: Stacked, kind: kind, kind2: kind, n: 5, m: 20, w: w, v: v}
	}
	one := func(f Family, w float64) hypothesis { return hypothesis{family: f, n: 5, m: 1, w: w} }
	ran := 0
	for _, c := range []struct {
		h    hypothesis
		open float64 // of the last window, each way
		want bool
	}{
		{pair(SlidingWindow, 0.519, 1.129), 0, true}, {pair(SlidingWindow, 0.5, 1.129), 0, true}, {pair(FixedClock, 0.519, 30), 0, true},
		{pair(FixedClock, 2.1, 61.3), 0.2, false}, {pair(FixedClock, 2.1, 61.3), 0.4, true}, {pair(FixedClock, 2.1, 60), 0.6, false},
		{pair(FixedClock, 2.1, 61), 0.3, false}, {pair(FixedClock, 2.1, 61), 0.6, true}, {pair(FixedFirst, 2.1, 61.3), 0.4, false}, {pair(FixedFirst, 2.117, 61.3), 0.4, true}, {pair(FixedClock, 0.983687, 20.2), 0.01, true},
		{pair(TokenBucket, 0.0519, 1.129), 0, false},
		{one(FixedClock, 44.1), 0, false}, {one(FixedClock, 2.0317), 0, true}, {one(RefillBucket, 2.0317), 0, true}, {one(RefillBucket, 1.0/3), 0, false},
		{one(RefillBucket, 0.25), 0, false}, {one(RefillBucket, 0.6175), 0, true}, {one(FixedFirst, 2.0317), 0, false},
		{one(SlidingLog, 2.0317), 0, true}, {one(SlidingWindowDenied, 0.385666), 0.01, true}, {one(SlidingWindow, 1.5), 0.02, false},
		{one(SlidingLog, 0.45), 0.005, false}, {one(SlidingWindow, 4.0317), 0, true}, {one(SlidingWindow, 4.0317), 0.02, false}, {one(SlidingLog, 4.096), 0, false},
	} {
		ran++
		h := &herd{family: c.h.family}
		for _, off := range []float64{0, -c.open, c.open} {
			g := c.h
			if g.v > 0 {
				g.v += off
			} else {
				g.w += off
			}
			h.best = append(h.best, &particle{hypothesis: g})
		}
		said := []limit.Policy{{Algorithm: limit.FixedWindow, Window: seconds(c.h.w)}, {Algorithm: limit.FixedWindow, Window: seconds(c.h.v)}}
		if got := h.contrived(said); got != c.want {
			t.Errorf("%+v, open by %v: contrived is %v", c.h, c.open, got)
		}
	}
	if ran != 26 {
		t.Error(ran)
	}
}

// TestEndedWhileConfirming: what was about to be confirmed when the probe was ended is not certain.
func TestEndedWhileConfirming(t *testing.T) {
	w := newWorld(limit.Policy{Algorithm: limit.RefillBucket, Limit: 1, Window: 2 * time.Second, Burst: 6}, 3*time.Millisecond, 2)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	again := 0
	v, err := New(w, w, Options{Seed: 1, Progress: func(b Belief) {
		if b.Doing == whyAgain {
			again++
			cancel()
		}
	}}).Run(ctx)
	if again != 1 || !errors.Is(err, context.Canceled) {
		t.Fatalf("confirmed %d times, %v", again, err)
	}
	if v.Sure || v.Family != RefillBucket {
		t.Errorf("%v %v, sure %v", v.Family, v.Policies, v.Sure)
	}
}
