package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/probe"
)

// searchRate is what people do without a tool: send at a steady rate for five
// seconds, and halve the distance between what was and what was not refused,
// twelve times.
func searchRate(w *world) (rate float64, requests, refused int) {
	lo, hi := 0.05, 2000.0
	for range 12 {
		rate = math.Sqrt(lo * hi)
		n := max(1, int(rate*5))
		at := make([]time.Duration, n)
		for i := range at {
			at[i] = time.Duration(float64(i) / rate * float64(time.Second))
		}
		answers, err := w.Send(context.Background(), at)
		if err != nil {
			return rate, requests, refused
		}
		no := 0
		for _, a := range answers {
			if a.Outcome == probe.Refused {
				no++
			}
		}
		requests, refused = requests+n, refused+no
		if no > 0 {
			hi = rate
		} else {
			lo = rate
		}
	}
	return rate, requests, refused
}

// naive prints how near the search on the rate comes to the sustained rate.
func naive(n int, world func(i int) *world) {
	var off, req, ref []float64
	for i := range n {
		w := world(i)
		if len(w.policies) == 0 || w.family == probe.Concurrency {
			continue
		}
		p := w.policies[len(w.policies)-1]
		truth := float64(p.Limit) / p.Window.Seconds()
		rate, requests, refused := searchRate(w)
		off = append(off, math.Abs(rate-truth)/truth)
		req, ref = append(req, float64(requests)), append(ref, float64(refused))
	}
	slices.Sort(off)
	slices.Sort(req)
	slices.Sort(ref)
	within := func(tol float64) float64 {
		i, _ := slices.BinarySearch(off, tol)
		return 100 * float64(i) / float64(len(off))
	}
	fmt.Printf("binary search on the rate: %d policies, sustained rate within 1 %% in %.1f %%, within 10 %% in %.1f %%, off by a factor of %.1f or more in half; requests median %.0f, refused median %.0f; no family, no burst, no window\n",
		len(off), within(0.01), within(0.1), 1+off[len(off)/2], req[len(req)/2], ref[len(ref)/2])
}
