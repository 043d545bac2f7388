package probe

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestLargeWindowAmong: windows that others may have begun, and that end while a large
// limit is spent in many small waves, cost no more than what others did: a window of
// a clock that has to be just so must not explain them better.
func TestLargeWindowAmong(t *testing.T) {
	truth := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 140, Window: 2500 * time.Millisecond}
	cost, met := 0.0, 0
	for seed := range uint64(8) {
		w := newWorld(truth, 20*time.Millisecond, seed)
		w.others = 5.6
		p := New(w, w, Options{MaxRequests: 1 << 20, MaxRefused: 1 << 20})
		for range 5 {
			for range 60 { // for longer than a window, in small waves
				s, err := p.wave(context.Background(), 0.01, 4, "")
				if err != nil {
					t.Fatal(err)
				}
				if s.r > 0 {
					met++
					break
				}
			}
			if _, err := p.wave(context.Background(), 0.3+3*w.rng.Float64(), 1, ""); err != nil {
				t.Fatal(err)
			}
		}
		p.share = 0.2
		p.bound()
		q := &particle{hypothesis: p.part(FixedFirst, truth)}
		q.see(p.sights, math.Inf(1))
		cost += q.cost
		if q.overs > 0 {
			t.Errorf("seed %d: too many admitted, %v", seed, q.overs)
		}
	}
	t.Logf("%.1f in %d refusals", cost, met)
	if met < 25 || cost > 3.4*float64(met) {
		t.Errorf("it costs %.1f in %d refusals", cost, met)
	}
}

// TestForks: of two limits that others use, which of them refused is often not known at
// once; the two that are enforced cost no more for it than what others did.
func TestForks(t *testing.T) {
	tried := 0
	for i, c := range pairings[:2] {
		one, two := c.policies[0], c.policies[1]
		cost, met := 0.0, 0
		for seed := range uint64(6) {
			w := both(10*uint64(i)+seed, one, two)
			w.others = 0.15 * float64(two.Limit) / two.Window.Seconds()
			p := New(w, w, Options{MaxRequests: 1 << 20, MaxRefused: 1 << 20})
			for range 50 {
				n := 1 + w.rng.IntN(int(one.Limit))
				s, err := p.wave(context.Background(), one.Window.Seconds()*(0.2+w.rng.Float64()), n, "")
				if err != nil {
					t.Fatal(err)
				}
				if s.r > 0 {
					met++
				}
			}
			p.share = 0.2
			p.bound()
			least := math.Inf(1)
			for _, early := range p.shifts() {
				h := p.given(Found{Family: Stacked, Policies: []limit.Policy{one, two}})
				h.ph, h.ph2 = h.ph-early, h.ph2-early
				q := &particle{hypothesis: h}
				q.see(p.sights, math.Inf(1))
				least = min(least, q.cost)
			}
			cost += least
		}
		tried++
		t.Logf("%s: %.1f in %d refusals", c.name, cost, met)
		if met < 60 || cost > 1.5*float64(met) {
			t.Errorf("%s: it costs %.1f in %d refusals", c.name, cost, met)
		}
	}
	if tried != 2 {
		t.Error(tried, "were tried")
	}
}

// TestSplitPays: that a window ended while a wave was under way does not explain for
// nothing how many of it were refused, nor does a ban for which others exceeded it: both
// would explain a limit on what is under way.
func TestSplitPays(t *testing.T) {
	full := opened{is: true, at: span{0, 0.02}, n: span{4, 4}, birth: birth{own: 0.02, ended: span{-0.01, -0.005}}}
	m := &floating{cap: 4, width: 1, ways: []opened{full}}
	w := &sight{s: 0.99, since: 0.985, d: 1.03, a: 2, r: 3, share: 0.2}
	over := m.enter(w, &stream{5, 10})
	if cost := m.born + m.weigh(w, true, false); over > 0 || !m.ways[0].split || cost < 0.9 || cost > 4 {
		t.Errorf("a window that ends meanwhile costs %v, %v are too many", cost, over)
	}
	if total := m.born + m.weigh(w, true, true); total < 0.9 || m.ways[0].odds != 0 {
		t.Errorf("it costs %v, and then %v", total, m.ways[0].odds)
	}
	one := full
	one.n = span{1, 1}
	ban := &floating{cap: 4, width: 1, ban: 2, ways: []opened{one}}
	w = &sight{s: 0.3, since: 0.29, d: 0.31, r: 1, share: 0.2}
	over = ban.enter(w, &stream{1, 10})
	if cost := ban.born + ban.weigh(w, true, true); over > 0 || !ban.ways[0].banned || cost < 4 {
		t.Errorf("a ban for which others took three at a tenth a second costs %v", cost)
	}
}
