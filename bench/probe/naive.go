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

// readHeaders is the other thing that people do: send a few requests, and believe
// what the answers say. The window is the longest time to a reset, which is what
// most headers tell of it.
func readHeaders(w *world) (quota int64, window float64) {
	for range 3 {
		answers, err := w.Send(context.Background(), []time.Duration{0})
		if err != nil {
			return quota, window
		}
		for _, a := range answers {
			if a.Told == nil || len(a.Told.Limits) == 0 {
				continue
			}
			l := a.Told.Limits[0]
			quota, window = l.Quota, max(window, l.Window.Seconds())
			if l.ResetAfter >= 0 {
				window = max(window, l.ResetAfter.Seconds())
			}
		}
	}
	return quota, window
}

// sustained is the rate that a truth gives in the long run, if it has one.
func (w *world) sustained() (rate float64, ok bool) {
	if len(w.policies) == 0 || w.family == probe.Concurrency {
		return 0, false
	}
	p := w.policies[len(w.policies)-1]
	return float64(p.Limit) / p.Window.Seconds(), true
}

// naive prints how near the search on the rate comes to the sustained rate, and how
// near headers do, of servers that tell the truth and of servers that lie.
func naive(n int, world func(i int, headers string) *world) {
	var off, req, ref []float64
	for i := range n {
		w := world(i, "")
		truth, ok := w.sustained()
		if !ok {
			continue
		}
		rate, requests, refused := searchRate(w)
		off = append(off, math.Abs(rate-truth)/truth)
		req, ref = append(req, float64(requests)), append(ref, float64(refused))
	}
	slices.Sort(req)
	slices.Sort(ref)
	fmt.Printf("binary search on the rate: %d policies, sustained rate %s; requests median %.0f, refused median %.0f; no family, no burst, no window\n",
		len(off), within(off), req[len(req)/2], ref[len(ref)/2])
	for _, headers := range []string{"honest", "lie"} {
		off, right, told := off[:0], 0, 0
		for i := range n {
			w := world(i, headers)
			truth, ok := w.sustained()
			if !ok {
				continue
			}
			quota, window := readHeaders(w)
			told++
			if quota == w.policies[0].Capacity() {
				right++
			}
			rate := 0.0
			if window > 0 {
				rate = float64(quota) / window
			}
			off = append(off, math.Abs(rate-truth)/truth)
		}
		fmt.Printf("reading headers (%s): %d policies, limit exact in %.1f %%, sustained rate %s; 3 requests, none refused; no family\n",
			headers, told, 100*float64(right)/float64(told), within(off))
	}
}

// within says how many of the errors are small.
func within(off []float64) string {
	slices.Sort(off)
	share := func(tol float64) float64 {
		i, _ := slices.BinarySearch(off, tol)
		return 100 * float64(i) / float64(len(off))
	}
	return fmt.Sprintf("within 1 %% in %.1f %%, within 10 %% in %.1f %%, off by %.0f %% or more in half", share(0.01), share(0.1), 100*off[len(off)/2])
}
