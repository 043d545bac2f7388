package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/keyscope"
	"github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/limit"
)

// things are what a scope may be made of.
var things = []string{"path", "header", "address", "field"}

// layer is a limit with what it is counted by.
type layer struct {
	policy  limit.Policy
	counted []bool
	counts  map[string]limit.Limiter
}

// scopeWorld is a server with limits by key, and the network before it, in virtual
// time: a keyscope.Sender.
type scopeWorld struct {
	*world
	layers []*layer
	born   time.Time
	values []int
	until  map[string]time.Time
}

// at asks all layers at an instant: all count the request, or none.
func (w *scopeWorld) at(t time.Time, who keyscope.Who) (bool, time.Duration) {
	for len(w.ends) > 0 && !w.ends[0].at.After(t) {
		w.ends[0].l.(limit.Releaser).Release(w.ends[0].at, 1)
		w.ends = w.ends[1:]
	}
	var ls []limit.Limiter
	first := ""
	for i, l := range w.layers {
		key := ""
		for j, v := range who {
			if l.counted[j] {
				key += fmt.Sprint(v, "/")
			}
		}
		if i == 0 {
			first = key
		}
		if l.counts[key] == nil {
			made, err := l.policy.New(w.born)
			if err != nil {
				panic(err)
			}
			l.counts[key] = made
		}
		ls = append(ls, l.counts[key])
	}
	if w.ban > 0 && t.Before(w.until[first]) {
		return false, 0
	}
	d := limit.All(ls...).Take(t, 1)
	if !d.Allowed && w.ban > 0 {
		w.until[first] = t.Add(w.ban)
		delete(w.layers[0].counts, first)
	}
	if d.Allowed && w.family == probe.Concurrency {
		for _, l := range ls {
			e := end{t.Add(w.hold), l}
			i, _ := slices.BinarySearchFunc(w.ends, e, func(a, b end) int { return a.at.Compare(b.at) })
			w.ends = slices.Insert(w.ends, i, e)
		}
	}
	return d.Allowed, d.Delay
}

// SendAs lets requests go as different clients, 20 µs apart at least.
func (w *scopeWorld) SendAs(_ context.Context, calls []keyscope.Call) ([]probe.Answer, error) {
	type arrival struct {
		at time.Time
		i  int
	}
	answers := make([]probe.Answer, len(calls))
	arrivals := make([]arrival, len(calls))
	way := func() time.Duration {
		return time.Duration(float64(w.network) * (0.25 + 0.25*w.rng.Float64()*w.rng.Float64()*2))
	}
	next := w.now
	for i, c := range calls {
		if at := w.now.Add(c.At); at.After(next) {
			next = at
		}
		answers[i].Sent = next
		arrivals[i] = arrival{next.Add(way()), i}
		next = next.Add(20 * time.Microsecond)
	}
	slices.SortFunc(arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
	for _, a := range arrivals {
		ok, delay := w.at(a.at, calls[a.i].Who)
		took := time.Duration(0)
		if ok {
			took = delay + w.hold
		} else {
			answers[a.i].Outcome = probe.Refused
		}
		answers[a.i].Done = a.at.Add(took + way())
	}
	for _, a := range answers {
		if a.Done.After(w.now) {
			w.now = a.Done
		}
	}
	w.sent += len(calls)
	return answers, nil
}

// generateScope draws a limit, what it is counted by, and perhaps a limit over all
// counts that is larger than each.
func generateScope(r *rand.Rand, seed uint64) *scopeWorld {
	kinds := []probe.Family{probe.FixedClock, probe.FixedFirst, probe.SlidingLog, probe.SlidingLogDenied, probe.SlidingWindow, probe.TokenBucket, probe.RefillBucket, probe.LeakyQueue, probe.Ban, probe.Concurrency}
	tr := generate(kinds[r.IntN(len(kinds))], r)
	for tr.policies[0].Capacity() > 500 {
		tr = generate(tr.family, r)
	}
	w := &scopeWorld{world: newWorld(tr, seed), until: map[string]time.Time{}}
	w.born = w.now.Add(-time.Hour)
	one := &layer{policy: tr.policies[0], counted: make([]bool, len(things)), counts: map[string]limit.Limiter{}}
	any := false
	for i := range things {
		w.values = append(w.values, 2+r.IntN(2))
		if r.IntN(8) > 0 && r.IntN(2) == 0 {
			one.counted[i], any = true, true
		}
	}
	w.layers = []*layer{one}
	if any && r.IntN(4) == 0 && tr.family != probe.Ban && tr.family != probe.Concurrency && one.policy.Capacity() >= 8 {
		all := one.policy
		grow := func(n int64) int64 { return n + max(2, int64(float64(n)*(0.15+0.65*r.Float64()))) }
		if all.Burst > 0 {
			all.Burst = grow(all.Burst)
		} else {
			all.Limit = grow(all.Limit)
		}
		w.layers = append(w.layers, &layer{policy: all, counted: make([]bool, len(things)), counts: map[string]limit.Limiter{}})
	}
	return w
}

// scopes measures keyscope.Find over n random scopes. The limit itself is taken as
// known: finding it is measured by the rest of this command.
func scopes(n int, seed uint64, verbose bool) (right, sure, sureRight int) {
	var requests, refused, rests []float64
	above, met := 0, 0
	for i := range n {
		s := seed<<32 + uint64(i)*64 + 63
		w := generateScope(rand.New(rand.NewPCG(s, 2)), s)
		one := w.layers[0]
		found := probe.Found{Family: w.family, Policies: []limit.Policy{one.policy}, Ban: w.ban, LimitLow: one.policy.Capacity(), LimitHigh: one.policy.Capacity()}
		sc, err := keyscope.Find(context.Background(), keyscope.Options{Found: found, Values: w.values, Seed: s, MaxTime: 24 * time.Hour, MaxRequests: 6000, MaxRefused: 2000}, w, w)
		if err != nil {
			panic(err)
		}
		ok := slices.Equal(sc.Counted, one.counted)
		if ok {
			right++
		}
		if sc.Sure {
			sure++
			if ok {
				sureRight++
			}
		}
		if len(w.layers) > 1 {
			above++
			if sc.Above != nil {
				met++
			}
		} else if sc.Above != nil && verbose {
			fmt.Println(i, "a limit above that is not there")
		}
		if verbose && (!ok || len(w.layers) > 1 && sc.Above == nil) {
			fmt.Printf("%d %v %v hold %v net %v by %v above %v -> %v %.2f sure %v above %v stopped %q notes %v requests %d\n", i, w.family, one.policy, w.hold, w.network, one.counted, len(w.layers) > 1, sc.Counted, sc.Belief, sc.Sure, sc.Above, sc.Stopped, sc.Notes, sc.Requests)
			for _, r := range sc.Rounds {
				fmt.Println("    ", r.Exhausted, r.Admitted, r.Refused, r.Asked, r.Why)
			}
		}
		requests, refused = append(requests, float64(sc.Requests)), append(refused, float64(sc.Refused))
		if rest := found.Rest().Seconds(); rest > 0 {
			rests = append(rests, sc.Elapsed.Seconds()/rest)
		}
	}
	mid := func(x []float64) float64 { slices.Sort(x); return x[len(x)/2] }
	fmt.Printf("key scope: %d random scopes over %v: %.1f %% right; sure in %.1f %%, of those right %.1f %%; %d of %d limits above met; requests median %.0f, refused median %.0f, %.1f recoveries median\n",
		n, things, 100*float64(right)/float64(n), 100*float64(sure)/float64(n), 100*float64(sureRight)/float64(max(1, sure)), met, above, mid(requests), mid(refused), mid(rests))
	return right, sure, sureRight
}
