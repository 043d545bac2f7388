package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weir-dev/weir/internal/probe"
)

// spent prints what the requests and the refusals of all went to, the dearest first.
func spent(of []score) {
	type item struct {
		why       string
		req, ref  int
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
			it.req, it.ref, it.limiters, it.mostOfOne = it.req+c[0], it.ref+c[1], it.limiters+1, max(it.mostOfOne, c[0])
		}
	}
	var items []*item
	for _, it := range sum {
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b *item) int { return cmp.Or(b.req-a.req, cmp.Compare(a.why, b.why)) })
	for _, it := range items {
		fmt.Printf("%7d requests %6d refused, of %3d limiters, at most %4d: %s\n", it.req, it.ref, it.limiters, it.mostOfOne, it.why)
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
