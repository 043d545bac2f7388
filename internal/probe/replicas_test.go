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
