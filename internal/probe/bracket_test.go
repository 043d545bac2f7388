package probe

import (
	"context"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

// TestBracketAgainstScan: what bracket says of a window is what a scan in small steps
// finds possible around the truth, which lies within.
func TestBracketAgainstScan(t *testing.T) {
	checked := 0
	rapid.Check(t, func(t *rapid.T) {
		fam := rapid.SampledFrom([]Family{FixedFirst, SlidingLog, TokenBucket}).Draw(t, "family")
		n := rapid.Int64Range(3, 30).Draw(t, "limit")
		win := time.Duration(rapid.IntRange(20, 90).Draw(t, "window")) * 100 * time.Millisecond
		pol := map[Family]limit.Policy{
			FixedFirst:  {Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: n, Window: win},
			SlidingLog:  {Algorithm: limit.SlidingLog, Limit: n, Window: win},
			TokenBucket: {Limit: n, Window: win, Burst: n},
		}[fam]
		w := newWorld(pol, 6*time.Millisecond, rapid.Uint64().Draw(t, "seed"))
		p := New(w, w, Options{MaxRequests: 1 << 20, MaxRefused: 1 << 20, MaxTime: 1000 * time.Hour})
		for i := range 14 {
			idle, many := win.Seconds()*rapid.Float64Range(0, 0.6).Draw(t, "idle"), 1
			if i%4 == 0 {
				many = int(n) + 1
			}
			if _, err := p.wave(context.Background(), idle, many, ""); err != nil {
				t.Fatal(err)
			}
		}
		truth := p.given(Found{Family: fam, Policies: []limit.Policy{pol}})
		h := p.herd(fam)
		q := p.try(truth, math.Inf(1))
		if q == nil || q.cost > 0.01 {
			t.Fatalf("%v itself costs %v", pol, q)
		}
		h.best = []*particle{q}
		p.bracket(h, 4000)
		got := span{q.w, q.w}
		for _, o := range h.best {
			if o.cost <= q.cost+0.2 && o.n == q.n {
				got = got.with(o.w)
			}
		}
		want := span{q.w, q.w}
		for _, ratio := range []float64{1.0005, 1 / 1.0005} {
			g := truth
			for range 400 {
				g.w *= ratio
				o := p.try(g, math.Inf(1))
				if o == nil || o.cost > q.cost+0.2 {
					break
				}
				want = want.with(g.w)
			}
		}
		if want.hi/want.lo > 1.18 {
			return // the scan ended before the answers forbade it
		}
		checked++
		// Subtle: what is possible may have a hole that the scan stops at and large
		// steps pass over; the bracket must not be narrower.
		if got.lo > want.lo*1.003 || got.hi < want.hi*0.997 {
			t.Fatalf("%v: bracket %v, scan %v", pol, got, want)
		}
	})
	if checked == 0 {
		t.Error("no case had a bracket")
	}
}

// TestCombFindsSlidingWindow: with nothing known but the answers.
func TestCombFindsSlidingWindow(t *testing.T) {
	for i, pol := range []limit.Policy{
		{Algorithm: limit.SlidingWindow, Limit: 9, Window: 2400 * time.Millisecond, Phase: 1100 * time.Millisecond},
		{Algorithm: limit.SlidingWindow, Limit: 40, Window: 10 * time.Second},
	} {
		w := newWorld(pol, 6*time.Millisecond, uint64(i))
		p := New(w, w, Options{})
		for k := range 16 {
			many := 1 + k%3
			if k%5 == 0 {
				many = int(pol.Limit) + 1
			}
			if _, err := p.wave(context.Background(), 0.13*pol.Window.Seconds(), many, ""); err != nil {
				t.Fatal(err)
			}
		}
		h := p.herd(SlidingWindow)
		p.full = p.refusals()
		best := math.Inf(1)
		for _, q := range p.comb(h) {
			best = min(best, q.cost)
		}
		if best > 0.35 {
			t.Errorf("%v: the best of comb leaves %v", pol, best)
		}
	}
}

// banning refuses everything for a while after a refusal.
type banning struct {
	limit.Limiter
	policy limit.Policy
	ban    time.Duration
	until  time.Time
}

func (b *banning) Take(at time.Time, cost int64) limit.Decision {
	if at.Before(b.until) {
		return limit.Decision{}
	}
	d := b.Limiter.Take(at, cost)
	if !d.Allowed {
		b.until = at.Add(b.ban)
		b.Limiter, _ = b.policy.New(at)
	}
	return d
}

// TestBan: the window before a ban is measured by what counts in the next one.
func TestBan(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	pol := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 18, Window: 4 * time.Second}
	w := newWorld(pol, 6*time.Millisecond, 3)
	w.limiter = &banning{Limiter: w.limiter, policy: pol, ban: 9 * time.Second}
	v, err := New(w, w, Options{Seed: 1}).Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if v.Family != Ban || v.Policies[0].Limit != 18 {
		t.Fatalf("found %+v", v.Found)
	}
	if off := math.Abs(v.Policies[0].Window.Seconds()/4 - 1); off > 0.01 {
		t.Errorf("a window of %v, it is 4s", v.Policies[0].Window)
	}
	if off := math.Abs(v.Ban.Seconds()/9 - 1); off > 0.01 {
		t.Errorf("a ban of %v, it is 9s", v.Ban)
	}
	asked := 0
	for _, wv := range v.Waves {
		if wv.Why == "see what counts in the next window" {
			asked++
		}
	}
	if asked == 0 {
		t.Error("what counts in the next window was not asked")
	}
}

// TestTurn: a window is measured by spending it again when it opens, within few
// refusals, and what is said of it holds the truth.
func TestTurn(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	for i, c := range []struct {
		family Family
		policy limit.Policy
	}{
		{FixedFirst, limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 60, Window: 7300 * time.Millisecond}},
		{FixedClock, limit.Policy{Algorithm: limit.FixedWindow, Limit: 60, Window: 7300 * time.Millisecond, Phase: 2100 * time.Millisecond}},
		{SlidingLog, limit.Policy{Algorithm: limit.SlidingLog, Limit: 60, Window: 7300 * time.Millisecond}},
	} {
		w := newWorld(c.policy, 8*time.Millisecond, uint64(i))
		v, err := New(w, w, Options{Seed: 5}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		turns := 0
		for _, wv := range v.Waves {
			if wv.Why == "spend it again when it opens" {
				turns++
			}
		}
		if v.Family != c.family || turns == 0 {
			t.Errorf("%v: found %+v, %d waves of turns", c.policy, v.Found, turns)
			continue
		}
		if off := math.Abs(v.Policies[0].Window.Seconds()/7.3 - 1); off > v.WindowOff+1e-3 || off > 0.011 {
			t.Errorf("%v: window %v ± %v", c.policy, v.Policies[0].Window, v.WindowOff)
		}
		if 60 < v.LimitLow || 60 > v.LimitHigh {
			t.Errorf("%v: limit %d to %d", c.policy, v.LimitLow, v.LimitHigh)
		}
		if v.Requests > 14*60 || v.Refused > 80 {
			t.Errorf("%v: %d requests, %d refused", c.policy, v.Requests, v.Refused)
		}
	}
}

// TestLackingCounts: what was spent at full speed is not spent again.
func TestLackingCounts(t *testing.T) {
	pol := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 30, Window: 2 * time.Second}
	w := newWorld(pol, 6*time.Millisecond, 1)
	p := New(w, w, Options{})
	q := &particle{hypothesis: hypothesis{family: FixedFirst, n: 30, w: 2}}
	last := rounds + 1
	for i := range rounds {
		if _, err := p.wave(context.Background(), 2.02, 30, ""); err != nil {
			t.Fatal(err)
		}
		more := p.lacking(q).rounds
		if more >= last && more > 1 {
			t.Errorf("after %d rounds %d are missing, after one less %d", i+1, more, last)
		}
		last = more
	}
	if _, err := p.wave(context.Background(), 2.02, 1, ""); err != nil {
		t.Fatal(err)
	}
	if more := p.lacking(q).rounds; more != 0 {
		t.Errorf("after %d rounds and one request %d are missing", rounds, more)
	}
}
