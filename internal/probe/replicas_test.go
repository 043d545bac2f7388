package probe

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

// several is a world of replicas: the limiter that each request reaches is chosen by
// route, which is told how many went before and over which connection this one came.
type several struct {
	*world
	each  []limit.Limiter
	route func(n, conn int) int
	n     int
}

func newSeveral(p limit.Policy, replicas int, seed uint64, route func(n, conn int) int) *several {
	s := &several{world: newWorld(p, 4*time.Millisecond, seed), route: route}
	for range replicas {
		l, err := p.New(s.now.Add(-time.Hour))
		if err != nil {
			panic(err)
		}
		s.each = append(s.each, l)
	}
	return s
}

// Send sends one after the other, as a fast network does.
func (s *several) Send(ctx context.Context, at []time.Duration) (out []Answer, err error) {
	for i := range at {
		s.limiter = s.each[s.route(s.n, i%50)]
		s.n++
		one, err := s.world.Send(ctx, []time.Duration{0})
		if err != nil {
			return out, err
		}
		one[0].Conn = 1 + i%50
		out = append(out, one[0])
	}
	return out, nil
}

// TestSeveralReplicas: however requests are routed, replicas are recognised, with
// their limit, and nothing else is said for certain.
func TestSeveralReplicas(t *testing.T) {
	t.Parallel()
	windows := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 12, Window: 20 * time.Second}
	bucket := limit.Policy{Limit: 1, Window: 4 * time.Second, Burst: 6}
	r := rand.New(rand.NewPCG(1, 2))
	inTurn := func(n, _ int) int { return n % 3 }
	for _, c := range []struct {
		name   string
		policy limit.Policy
		route  func(n, conn int) int
		exact  bool
	}{
		{"windows in turn", windows, inTurn, true},
		{"buckets in turn", bucket, inTurn, true},
		{"windows at random", windows, func(int, int) int { return r.IntN(3) }, false},
		{"windows by connection", windows, func(_, conn int) int { return (conn * 7) % 11 % 3 }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name != "windows at random" {
				t.Skip("takes some seconds")
			}
			w := newSeveral(c.policy, 3, 5, c.route)
			v, err := New(w, w, Options{Seed: 3}).Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if v.Family != Replicas {
				t.Fatalf("found %v %v, sure: %v", v.Family, v.Policies, v.Sure)
			}
			each := v.Policies[0].Capacity()
			if c.exact && (v.Replicas != 3 || each != c.policy.Capacity()) {
				t.Errorf("found %d replicas of %v", v.Replicas, v.Policies)
			}
			if v.Policies[0].Burst == 0 && v.WindowOff < turnSlip-0.001 {
				t.Errorf("the time is said to within %.2f %%", 100*v.WindowOff)
			}
			if all := float64(each) * float64(v.Replicas); all < 2.7*float64(c.policy.Capacity()) || all > 3.3*float64(c.policy.Capacity()) {
				t.Errorf("all together admit %v", all)
			}
		})
	}
}

// TestRecurs: a pattern is found with its shortest length, and none where there is none.
func TestRecurs(t *testing.T) {
	for _, c := range []struct {
		got  string
		want int
	}{
		{"yny", 0}, {"ynyny", 2}, {"ynnynnynn", 3}, {"nnnynnnyn", 4}, {"yyyyyyyyy", 0}, {"nnnnnnnnn", 0}, {"yynyynyyn", 3}, {"ynnnyynny", 0},
	} {
		var got []bool
		for _, a := range c.got {
			got = append(got, a == 'y')
		}
		if r := recurs(got); r != c.want {
			t.Errorf("%s recurs after %d, want %d", c.got, r, c.want)
		}
	}
}

// burst sends waves of n to replicas that each admit so many, at random, until
// nothing is admitted; rate is how many each admits again between two waves.
func burst(r *rand.Rand, replicas, each, n int, rate float64) (out []sight) {
	left := make([]float64, replicas)
	for i := range left {
		left[i] = float64(each)
	}
	for range 400 {
		w := sight{}
		for range n {
			if i := r.IntN(replicas); left[i] >= 1 {
				left[i]--
				w.a++
			} else {
				w.r++
			}
		}
		for i := range left {
			left[i] = min(float64(each), left[i]+rate)
		}
		if out = append(out, w); w.a == 0 {
			break
		}
	}
	return out
}

func TestCrowd(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	number, total, certain, wrong := 0, 0, 0, 0
	const runs = 40
	for range runs {
		replicas, each := 2+r.IntN(7), 15+r.IntN(100)
		c := &crowd{}
		for range 3 {
			c.bursts = append(c.bursts, burst(r, replicas, each, max(3, replicas*each/30), 0))
		}
		f := c.fit()
		if f.gain < 8 {
			t.Errorf("%d replicas of %d are taken for one limit", replicas, each)
		}
		if f.replicas == replicas {
			number++
		}
		if f.share > 0.97 {
			if certain++; f.replicas != replicas {
				wrong++
			}
		}
		if got, want := float64(f.replicas*f.each), float64(replicas*each); got > 0.9*want && got < 1.1*want {
			total++
		}
	}
	if number < runs/2 || total < runs || certain < runs/6 || wrong > 2 {
		t.Errorf("of %d, the number is right in %d, the total in %d; %d are certain, %d of these wrong", runs, number, total, certain, wrong)
	}
	for range runs {
		c := &crowd{bursts: [][]sight{burst(r, 1, 15+r.IntN(300), 5+r.IntN(10), 0)}}
		if f := c.fit(); f.gain >= 8 {
			t.Errorf("one limit is taken for %d replicas of %d", f.replicas, f.each)
		}
	}
}
