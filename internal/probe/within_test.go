package probe

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A particle in the place of one that was thrown away must be as a new one, and only
// those may be thrown away that cost more than was said.
func TestWithinIsTryForWhatIsKept(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	f := &fitter{rng: r, most: 1e9}
	at := 0.0
	for i := range 24 {
		w := sight{s: at, since: at - coarse, last: at + 0.001, d: at + 0.01, soon: at + 0.01, done: at + 0.03, ended: at + 0.03, quick: at + 0.02, early: at + 0.01, a: r.IntN(6), scale: 8, slack: 0.05, tight: 0.05}
		if i%3 == 2 {
			w.r, w.a = 1+r.IntN(3), r.IntN(2)
		}
		f.sights = append(f.sights, w)
		at += 0.05 + 2*r.Float64()
	}
	starts := []hypothesis{{family: None, n: 5}, {family: Concurrency, n: 5}}
	for _, fam := range []Family{FixedClock, FixedFirst, SlidingLog, SlidingLogDenied, SlidingWindow, SlidingWindowDenied, Ban} {
		starts = append(starts, hypothesis{family: fam, n: 9, w: 4, v: 6}, hypothesis{family: fam, n: 9, w: 4, v: 6, used: true})
	}
	starts = append(starts, hypothesis{family: TokenBucket, n: 9, w: 0.5}, hypothesis{family: RefillBucket, n: 9, w: 2, m: 3}, hypothesis{family: LeakyQueue, n: 9, w: 0.5, m: 4})
	for _, k := range []Family{FixedClock, FixedFirst, SlidingLog} {
		starts = append(starts, hypothesis{family: Stacked, kind: k, kind2: k, n: 6, w: 2, m: 20, v: 12})
	}
	starts = append(starts, hypothesis{family: Stacked, kind: TokenBucket, kind2: TokenBucket, n: 6, w: 0.2, m: 20, v: 1})
	kept, thrown := 0, 0
	for range 200 {
		for i, h := range starts {
			h = h.mutate(r, at)
			if !h.valid() {
				continue
			}
			starts[i] = h
			fresh := &particle{hypothesis: h}
			fresh.see(f.sights, math.Inf(1))
			fresh.cost += f.luck(&h)
			most := fresh.cost * (0.6 + 0.8*r.Float64())
			switch q := f.within(h, math.Inf(1), most); {
			case (q != nil) != (fresh.cost <= most):
				t.Fatalf("%+v costs %v: within %v gives %v", h, fresh.cost, most, q)
			case q == nil:
				thrown++
			case q.cost != fresh.cost:
				t.Fatalf("%+v costs %v in the place of another, and %v anew", h, q.cost, fresh.cost)
			default:
				kept++
			}
		}
	}
	if kept < 500 || thrown < 500 {
		t.Fatalf("%d were kept and %d thrown away: too few to say anything", kept, thrown)
	}
}
