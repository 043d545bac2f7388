package probe

import (
	"math/rand/v2"
	"testing"
)

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

func TestFitReplicas(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	found, total := 0, 0
	const runs = 60
	for range runs {
		replicas, each := 2+r.IntN(7), 15+r.IntN(100)
		s := fitReplicas(burst(r, replicas, each, max(3, replicas*each/20), 0))
		if s == nil {
			continue
		}
		found++
		if got, want := float64(s.replicas)*float64(s.each), float64(replicas*each); got > 0.9*want && got < 1.1*want {
			total++
		}
	}
	if found < runs*7/10 || total < found*9/10 {
		t.Errorf("replicas recognised in %d of %d bursts, their total within 10 %% in %d", found, runs, total)
	}
	for range runs {
		if s := fitReplicas(burst(r, 1, 15+r.IntN(300), 5+r.IntN(10), 0)); s != nil {
			t.Errorf("one limit is taken for %d replicas of %d", s.replicas, s.each)
		}
	}
}
