package probe

import (
	"context"
	"math"
	"testing"
	"time"
)

// TestPairAmong: where others use two limits, too, and one explains the answers badly, the
// two are found, with what explained them before the second was met.
func TestPairAmong(t *testing.T) {
	t.Parallel()
	c := pairings[0]
	w := both(3, c.policies[0], c.policies[1])
	w.others = 0.1 * float64(c.policies[1].Limit) / c.policies[1].Window.Seconds()
	p := New(w, w, Options{})
	one, two := p.part(FixedClock, c.policies[0]), p.part(FixedClock, c.policies[1])
	n, pause := int(one.n), 1.03*one.w
	for range 4 {
		for range 12 {
			if s, err := p.wave(context.Background(), pause, n, ""); err != nil || s.r > 3 {
				break
			}
		}
		for s, err := p.wave(context.Background(), 1, 1, ""); err == nil && s.a == 0; {
			s, err = p.wave(context.Background(), 1, 1, "")
		}
	}
	one, two = p.part(FixedClock, c.policies[0]), p.part(FixedClock, c.policies[1]) // by when it began
	p.herds = []*herd{{family: FixedClock}, {family: FixedFirst}, {family: SlidingLog}, {family: SlidingWindow}, {family: TokenBucket}}
	p.believe(0.2)
	single := p.cheapest()
	p.whole.keep(one)
	p.wasLeft = 0
	p.pairAmong()
	h := p.herd(Stacked)
	if h == nil {
		t.Fatalf("no two limits are found, one leaves %v", single)
	}
	if q := h.best[0]; h.cost() > single-3 || math.Abs(q.m-two.n) > 0.15*two.n || math.Abs(q.v-two.w) > 0.05*two.w {
		t.Errorf("one limit leaves %v, two %v with %v in %v s for %v in %v s", single, h.cost(), q.m, q.v, two.n, two.w)
	}
	if p.pairings != 1 {
		t.Errorf("sought %d times", p.pairings)
	}
	if p.pairAmong(); p.pairings != 1 {
		t.Error("they are sought once more with nothing seen since")
	}
}

// TestCutShort: when a bound ends a probe whose answers nothing explains, others are still
// thought of.
func TestCutShort(t *testing.T) {
	w := newWorld(cases[0].policy, 8*time.Millisecond, 1) // 20 in 10 s
	w.others = 0.3
	p := New(w, w, Options{})
	for range 60 {
		if _, err := p.wave(context.Background(), 1.7, 6, ""); err != nil {
			t.Fatal(err)
		}
	}
	p.herds = []*herd{{family: FixedClock}, {family: TokenBucket}}
	p.fitAll()
	p.reviews = 1
	if p.refit(); p.cheapest() < 3 {
		t.Fatalf("others are explained without: %v", p.cheapest())
	}
	p.conclude(true)
	if o := p.v.Others; p.v.Family != FixedClock || o.High < 0.1 || o.Low > 0.2 {
		t.Errorf("%v, of which others use %+v", p.v.Found, o)
	}
	if p.v.Sure {
		t.Errorf("it is certain: %v", p.v.Found)
	}
}

// TestHeld: where others use the limit, one that gives back sooner than the work on a
// request ends is asked while that goes on.
func TestHeld(t *testing.T) {
	p := New(nil, nil, Options{})
	p.works, p.hold, p.trip, p.share, p.rtts = true, 0.6, 0.61, 0.2, []float64{0.61}
	p.sights = []sight{{d: 60, share: 0.2}}
	particleOf := func(h hypothesis, cost float64) *herd {
		return &herd{family: h.family, best: []*particle{{hypothesis: h, cost: cost}}}
	}
	log := particleOf(hypothesis{family: SlidingLogDenied, n: 12, w: 0.3}, 5)
	p.herds = []*herd{log, particleOf(hypothesis{family: Concurrency, n: 13}, 15)}
	if !p.unseenBy(log.best[0]) {
		t.Error("a window of half the work on a request is seen")
	}
	e := p.held()
	if e == nil || len(e.steps) != 2 || e.steps[0].n != 14 || !e.steps[1].meanwhile || e.steps[1].idle < 0.3 || e.steps[1].idle > 0.6 {
		t.Fatalf("it asks %+v", e)
	}
	if log.best[0].w = 6; p.held() != nil || p.unseenBy(log.best[0]) {
		t.Error("a window of ten times the work on a request is asked within it")
	}
	log.best[0].w = 0.3
	if p.share = 0; p.held() != nil {
		t.Error("it is asked with nobody else there")
	}
}

// TestTooAlike: two limits of which one lets through hardly more than the other are doubted.
func TestTooAlike(t *testing.T) {
	p := New(nil, nil, Options{})
	p.sights, p.v.Refused = []sight{{d: 60}}, 1
	pair := hypothesis{family: Stacked, kind: SlidingWindow, kind2: FixedClock, n: 7, w: 30, m: 8, v: 120}
	h := &herd{family: Stacked, kind: pair.kind, kind2: pair.kind2, best: []*particle{{hypothesis: pair}}}
	p.herds = []*herd{h, {family: FixedClock, best: []*particle{{hypothesis: hypothesis{family: FixedClock, n: 8, w: 120}, cost: 9}}}}
	if !p.tooAlike() {
		t.Error("7 in 30 s and 8 in 120 s are believed")
	}
	if h.best[0].m = 14; p.tooAlike() {
		t.Error("7 in 30 s and 14 in 120 s are doubted")
	}
	h.best[0].m, h.kind = 8, TokenBucket
	if p.tooAlike() {
		t.Error("a bucket of 7 and a window of 8 are doubted")
	}
}
