package probe

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// TestByLot: of replicas that are reached by chance the number, the limit of each and its
// time are found in a few bursts, whatever kind of limit it is.
func TestByLot(t *testing.T) {
	t.Parallel()
	cases, each, total, times := 0, 0, 0, 0 // of how many these are right
	for _, c := range []struct {
		name string
		pol  limit.Policy
		w    float64
	}{
		{"windows from the first request", limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 12, Window: 20 * time.Second}, 20},
		{"windows of the clock", limit.Policy{Algorithm: limit.FixedWindow, Limit: 20, Window: 10 * time.Second}, 10},
		{"buckets", limit.Policy{Limit: 1, Window: 4 * time.Second, Burst: 6}, 4},
	} {
		for _, replicas := range []int{2, 5} {
			r := rand.New(rand.NewPCG(uint64(replicas), 3))
			w := newSeveral(c.pol, replicas, uint64(replicas), func(int, int) int { return r.IntN(replicas) })
			p := New(w, w, Options{Seed: 1})
			ctx := context.Background()
			all := int(c.pol.Capacity()) * replicas
			for i := range 3 {
				rest := 0.0 // it has just opened
				if i == 0 || c.pol.Algorithm == limit.TokenBucket {
					rest = 1.1 * c.w * float64(c.pol.Capacity())
				}
				if _, err := p.pour(ctx, rest, all); err != nil {
					t.Fatal(err)
				}
				if err := p.reopen(ctx); err != nil {
					t.Fatal(err)
				}
			}
			p.spread = &spreadOut{}
			if cases++; len(p.recount([]float64{1.05 * float64(all)}, nil)) == 0 {
				t.Errorf("%s: nothing explains %d replicas", c.name, replicas)
				continue
			}
			s := p.spread
			near := func(a, b, by float64) bool { return math.Abs(a-b) <= by*b }
			is := float64(c.pol.Capacity())
			f := p.foundReplicas(s).Policies[0]
			each += int(boolTo(near(float64(s.each), is, 0.1), 1))
			total += int(boolTo(near(float64(s.each*s.replicas), is*float64(replicas), 0.1), 1))
			times += int(boolTo(!s.bucket && 0.95*s.window.lo <= c.w && c.w <= 1.05*s.window.hi, 1))
			if testing.Verbose() {
				t.Logf("%s: %d of %v, said %d of %d and %v, %.4g", c.name, replicas, c.pol, s.replicas, s.each, f, s.window)
			}
		}
	}
	if cases != 6 || each < 4 || total < 6 || times < 3 {
		t.Errorf("of %d, the limit of each is within a tenth for %d, of all for %d, and of 4 windows are %d between the bounds", cases, each, total, times)
	}
}

// TestAllIn: a wave that every replica has room for takes from each what comes there, as
// one by one does.
func TestAllIn(t *testing.T) {
	f := fleet{way: byChance, kind: FixedFirst, r: 4, n: 60, w: 10}
	m := &replay{fleet: f, rng: rand.New(rand.NewPCG(1, 1)), count: make([]int, f.r), free: make([]float64, f.r)}
	bs := make([]berth, f.r)
	for i := range bs {
		bs[i].left = f.n
	}
	if !m.allIn(bs, &sight{s: 1, d: 1.01, a: 100}) {
		t.Fatal("there is room for all of 100 in 240, and it was not taken")
	}
	left := 0.0
	for _, b := range bs {
		if left += b.left; !b.open || b.left > 50 {
			t.Errorf("one has %g left of 60, window begun: %v", b.left, b.open)
		}
	}
	if left != 140 {
		t.Errorf("%g are left of 240 after 100", left)
	}
	if m.allIn(bs, &sight{s: 1.1, d: 1.2, a: 100}) {
		t.Error("100 more are let in at once, of which more than 35 may come to one")
	}
	if m.allIn(bs, &sight{s: 1.1, d: 1.2, a: 20, r: 1}) {
		t.Error("a wave with a refusal is let in at once")
	}
}

// TestAtOnce: what lets through no more than three of any wave, again and again, has
// perhaps three under way, and is no sign of replicas by chance.
func TestAtOnce(t *testing.T) {
	p := New(nil, nil, Options{})
	p.works = true
	p.sights = []sight{{a: 1}, {a: 2}, {a: 3, r: 1}, {a: 3, r: 3}, {a: 1, r: 4}}
	if !p.atOnce() {
		t.Error("three of each wave are not seen")
	}
	p.sights = append(p.sights, sight{a: 4})
	if p.atOnce() {
		t.Error("a wave of four went through")
	}
}
