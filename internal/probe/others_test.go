package probe

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestTruthAmongOthers: when others use a part of the limit, the limit that is enforced
// is never said to have admitted too many, costs no more than chance does, and how much
// others use is found.
func TestTruthAmongOthers(t *testing.T) {
	tried := 0
	all := append(slices.Clone(cases), cases[4])
	last := &all[len(all)-1]
	last.family, last.policy.CountDenied = SlidingWindowDenied, true
	for i, c := range all {
		for _, used := range []float64{0, 0.03, 0.1, 0.3} {
			w := newWorld(c.policy, 8*time.Millisecond, uint64(i))
			per := c.policy.Window.Seconds()
			if c.hold > 0 {
				w.hold, per = c.hold, c.hold.Seconds()
			}
			w.others = used * float64(c.policy.Limit) / per
			p := New(w, w, Options{MaxRequests: 1 << 20, MaxRefused: 1 << 20, MaxTime: 1000 * time.Hour})
			size := int(c.policy.Capacity())
			met := 0
			for k := range 60 {
				n := size/2 + 1
				idle := per * []float64{0.4, 1.1, 2.3, 0.7, 5, 0.05}[k%6] * (0.8 + 0.4*w.rng.Float64())
				if c.family == Concurrency || c.family == LeakyQueue {
					n = size + 2
				}
				for range 50 {
					s, err := p.wave(context.Background(), idle, n, "")
					if err != nil {
						t.Fatal(err)
					}
					if idle, n = 0, 1+size/6; s.r > 0 {
						met++
						break
					}
				}
			}
			p.share = 0.2
			p.bound()
			least, best := math.Inf(1), (*particle)(nil)
			for _, early := range p.shifts() {
				h := p.given(Found{Family: c.family, Policies: []limit.Policy{c.policy}})
				h.ph -= early
				q := &particle{hypothesis: h}
				q.see(p.sights, 1e9)
				if q.cost < least {
					least, best = q.cost, q
				}
			}
			tried++
			t.Logf("%v, others use %v: costs %.1f in %d refusals, rate %.3f of %.3f", c.family, used, least, met, best.them.rate(), w.others)
			if best.overs > 0 {
				t.Errorf("%v, others use %v: too many admitted, %v", c.family, used, best.overs)
			}
			if used == 0 && least > 12 || least > 2.5*float64(met) {
				t.Errorf("%v, others use %v: it costs %v in %d refusals", c.family, used, least, met)
			}
			if got := best.them.rate() / w.others; used > 0.05 && (got < 0.5 || got > 1.8) {
				t.Errorf("%v, others use %v: they are said to use %.2f of that", c.family, used, got)
			}
		}
	}
	if tried != 4*len(all) {
		t.Error("not all were tried")
	}
}

// TestChance: the chances of all counts add up to one, whatever varies them, and the
// likeliest lies near the mean.
func TestChance(t *testing.T) {
	for _, mean := range []float64{0.01, 0.7, 5, 24, 26, 300} {
		for _, times := range []float64{0.1, 0.5, 0.99, 1, 1.5, 4} {
			v := mean * times
			sum, most, at := 0.0, 0.0, 0.0
			for k := 0.0; k < 190 || mean > 100 && k < 2000; k++ {
				p := chance(k, k, mean, v)
				if sum += p; p > most {
					most, at = p, k
				}
			}
			if sum < 0.97 || sum > 1.03 {
				t.Errorf("mean %v, variance %v: the chances add up to %v", mean, v, sum)
			}
			if math.Abs(at-mean) > 1+2*math.Sqrt(v) {
				t.Errorf("mean %v, variance %v: %v is likeliest", mean, v, at)
			}
			if all := chance(0, math.Inf(1), mean, v); math.Abs(all-1) > 0.01 {
				t.Errorf("mean %v, variance %v: any count has a chance of %v", mean, v, all)
			}
			if a, b := chance(0, 3, mean, v), chance(4, math.Inf(1), mean, v); math.Abs(a+b-1) > 0.02 {
				t.Errorf("mean %v, variance %v: up to three and more than three add up to %v", mean, v, a+b)
			}
		}
	}
}

// TestNamesAmongOthers: a tenth of what the limit lets through goes to others at
// random times; the limit is named, and so is what they use.
func TestNamesAmongOthers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	named := 0
	for i, k := range []int{2} {
		c := cases[k]
		w := newWorld(c.policy, 8*time.Millisecond, uint64(i))
		w.others = 0.1 * float64(c.policy.Limit) / c.policy.Window.Seconds()
		v, err := New(w, w, Options{Seed: 7}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if v.Family != c.family {
			t.Logf("%v was taken for %v", c.policy, v.Found)
			if v.Sure {
				t.Errorf("%v: sure, and wrong: %v", c.policy, v.Found)
			}
			continue
		}
		named++
		if n := c.policy.Capacity(); n < v.LimitLow || n > v.LimitHigh {
			t.Errorf("%v: a limit of %d to %d", c.policy, v.LimitLow, v.LimitHigh)
		}
		// What came in a few windows is not the tenth that comes in the long run.
		came := 0.0
		for _, at := range w.came {
			came += boolTo(at.After(v.Waves[0].Sent), 1)
		}
		used := came / v.Elapsed.Seconds() / (float64(c.policy.Limit) / c.policy.Window.Seconds())
		if o := v.Others; o.Low > 1.5*used || o.High < used/1.5 || o.Share < o.Low || o.Share > o.High {
			t.Errorf("%v: others use %+v, it was %.3f", c.policy, o, used)
		}
	}
	if named < 1 {
		t.Errorf("%d of 1 named", named)
	}
}

// TestModelsThatKnowNoOthers: a model that knows nothing of others is priced as if
// there were none, and nothing breaks.
func TestModelsThatKnowNoOthers(t *testing.T) {
	w := newWorld(cases[0].policy, 8*time.Millisecond, 1)
	p := New(w, w, Options{})
	for range 12 {
		if _, err := p.wave(context.Background(), 1.7, 6, ""); err != nil {
			t.Fatal(err)
		}
	}
	h := hypothesis{family: Ban, kind: TokenBucket, n: 12, w: 0.5, v: 9}
	alone := &particle{hypothesis: h}
	alone.see(p.sights, 1e9)
	p.share = 0.2
	p.bound()
	q := &particle{hypothesis: h}
	if q.see(p.sights, 1e9); q.cost != alone.cost || p.v.Refused == 0 {
		t.Errorf("with others it costs %v, without %v", q.cost, alone.cost)
	}
	if _, ok := q.state.(shared); ok {
		t.Error("this model knows of others: take another one")
	}
}

// TestHolds: among others nothing is certain that has no round figure, or does not
// explain the answers as it is said.
func TestHolds(t *testing.T) {
	pol := cases[0].policy // 20 in 10 s
	w := newWorld(pol, 8*time.Millisecond, 1)
	p := New(w, w, Options{})
	for range 40 {
		if _, err := p.wave(context.Background(), 1.7, 6, ""); err != nil {
			t.Fatal(err)
		}
	}
	p.share = 0.2
	p.bound()
	truth := Found{Family: FixedClock, Policies: []limit.Policy{pol}}
	h := &herd{family: FixedClock, best: []*particle{p.try(p.given(truth), math.Inf(1))}}
	if !p.holds(h, truth) {
		t.Errorf("the truth does not hold: it costs %v, as it is said %v", h.best[0].cost, p.Explain(truth))
	}
	was := h.best[0].them
	if h.best[0].them.a *= 1e4; p.holds(h, truth) {
		t.Error("a limit that others use nearly all of holds")
	}
	h.best[0].them = was
	other := truth
	other.Policies = []limit.Policy{pol}
	other.Policies[0].Phase += 4 * time.Second
	if p.holds(h, other) {
		t.Error("windows that begin at another time hold")
	}
	h.best[0].w *= 1.0437
	if p.holds(h, truth) {
		t.Errorf("a window of %v holds", h.best[0].w)
	}
}
