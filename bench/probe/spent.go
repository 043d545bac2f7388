package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weir-dev/weir/internal/probe"
)

// cost is what something took: requests, refusals, and time in windows of the limit.
type cost struct {
	requests, refused int
	windows           float64
}

// costs is what each question took, by the words for what its waves were for.
func costs(waves []probe.Wave, window float64) map[string]cost {
	out := map[string]cost{}
	for i, w := range waves {
		c := out[w.Why]
		c.requests, c.refused = c.requests+w.Admitted+w.Refused+w.Lost, c.refused+w.Refused
		if from := waves[max(0, i-1)].Done; window > 0 {
			c.windows += w.Done.Sub(from).Seconds() / window
		}
		out[w.Why] = c
	}
	return out
}

// spent prints what the requests, the refusals and the time of all went to, the dearest first.
func spent(of []score) {
	type item struct {
		cost
		why       string
		limiters  int
		mostOfOne int
	}
	sum := map[string]*item{}
	for _, s := range of {
		for why, c := range s.spent {
			if sum[why] == nil {
				sum[why] = &item{why: why}
			}
			it := sum[why]
			it.requests, it.refused, it.windows = it.requests+c.requests, it.refused+c.refused, it.windows+c.windows
			it.limiters, it.mostOfOne = it.limiters+1, max(it.mostOfOne, c.requests)
		}
	}
	var items []*item
	for _, it := range sum {
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b *item) int { return cmp.Or(b.requests-a.requests, cmp.Compare(a.why, b.why)) })
	for _, it := range items {
		fmt.Printf("%7d requests %6d refused %7.1f windows, of %3d limiters, at most %4d requests: %s\n", it.requests, it.refused, it.windows, it.limiters, it.mostOfOne, it.why)
	}
}

// kinds says of two limits how often each was said to be of its kind.
func kinds(scores []score) {
	named, right, sure, wrong := 0, 0, 0, 0
	for _, s := range scores {
		if s.family != probe.Stacked || !s.named {
			continue
		}
		if named++; s.kindsOK {
			right++
		}
		if s.sure {
			if sure++; !s.kindsOK {
				wrong++
			}
		}
	}
	if named > 0 {
		fmt.Printf("two limits: the kinds of both right in %d of %d that were named; wrong in %d of %d that were sure\n", right, named, wrong, sure)
	}
}
