package enforce_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/limit"
	"github.com/weir-dev/weir/limit/limittest"
)

// policies are those of limittest, and some whose states are harder to see.
func policies() []limit.Policy {
	return append(limittest.Policies(),
		limit.Policy{Limit: 7, Window: time.Second, Burst: 3, WarnAt: 0.8},
		limit.Policy{Algorithm: limit.RefillBucket, Limit: 2, Window: time.Second, Burst: 5, CountDenied: true},
		limit.Policy{Algorithm: limit.SlidingLog, Limit: 4, Window: time.Second, CountDenied: true},
		limit.Policy{Algorithm: limit.SlidingWindow, Limit: 3, Window: time.Second, CountDenied: true, Phase: 300 * time.Millisecond},
		limit.Policy{Algorithm: limit.LeakyBucket, Limit: 3, Window: time.Second, Burst: 9, MaxDelay: 500 * time.Millisecond},
		limit.Policy{Algorithm: limit.Quota, Limit: 6, Window: 3 * time.Second, CountDenied: true, WarnAt: 0.5},
	)
}

// reference is what a Table does, with a limiter for each entry and key that is
// never dropped, combined by package limit.
type reference struct {
	set      enforce.Set
	limiters map[string]limit.Limiter
	counters map[string]*limit.Counter
}

func (r *reference) one(entry int, key string) limit.Limiter {
	e := &r.set.Entries[entry]
	id := fmt.Sprint(entry, " ", key)
	if r.limiters[id] != nil {
		return r.limiters[id]
	}
	if e.Counter == "" {
		l, err := e.For(key).New(time.Time{})
		if err != nil {
			panic(err)
		}
		r.limiters[id] = l
		return l
	}
	var all []limit.Policy
	view := 0
	for i, other := range r.set.Entries {
		if other.Counter == e.Counter {
			if i == entry {
				view = len(all)
			}
			all = append(all, other.Policy)
		}
	}
	c := r.counters[e.Counter+" "+key]
	if c == nil {
		var err error
		if c, err = limit.NewCounter(time.Time{}, all...); err != nil {
			panic(err)
		}
		r.counters[e.Counter+" "+key] = c
	}
	r.limiters[id] = c.View(view)
	return r.limiters[id]
}

func (r *reference) combined(asks []enforce.Ask) limit.Limiter {
	var of []limit.Limiter
	for _, a := range asks {
		of = append(of, r.one(a.Entry, a.Key))
	}
	switch {
	case len(of) == 1:
		return of[0]
	case r.set.Chain:
		return limit.Chain(of...)
	}
	return limit.All(of...)
}

func drawSet(t *rapid.T) enforce.Set {
	set := enforce.Set{Chain: rapid.Bool().Draw(t, "chain")}
	choice := policies()
	for range rapid.IntRange(1, 4).Draw(t, "entries") {
		e := enforce.Entry{Policy: rapid.SampledFrom(choice).Draw(t, "policy")}
		if rapid.IntRange(0, 2).Draw(t, "override") == 0 && e.Algorithm != limit.Concurrency {
			big := e.Policy
			big.Limit *= 3
			e.Overrides = map[string]limit.Policy{"b": big}
		}
		set.Entries = append(set.Entries, e)
	}
	if rapid.Bool().Draw(t, "counter") {
		p := rapid.SampledFrom([]limit.Policy{
			{Algorithm: limit.FixedWindow, Limit: 3, Window: time.Second, Align: limit.AlignFirst},
			{Algorithm: limit.SlidingLog, Limit: 3, Window: time.Second, CountDenied: true},
			{Algorithm: limit.Concurrency, Limit: 3},
		}).Draw(t, "counted")
		more := p
		more.Limit = 5
		set.Entries = append(set.Entries, enforce.Entry{Policy: p, Counter: "c"}, enforce.Entry{Policy: more, Counter: "c"})
	}
	return set
}

// TestTableIsThatOfTheModel compares a table that drops keys whenever it may
// with limiters that are kept for ever: several entries a request, each with a
// key of its own, pauses, and clocks that run backwards.
func TestTableIsThatOfTheModel(t *testing.T) {
	evicted := int64(0)
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		table, err := enforce.New(set, enforce.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ref := &reference{set: set, limiters: map[string]limit.Limiter{}, counters: map[string]*limit.Counter{}}
		at, latest, swept := origin, origin, time.Time{}
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "pause") {
			case 0:
				at = at.Add(time.Duration(rapid.Int64Range(0, 300e6).Draw(t, "ns")))
			case 1:
				at = at.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "s")) * time.Second)
			case 2:
				at = at.Add(-time.Duration(rapid.Int64Range(0, 400e6).Draw(t, "back")))
				if at.Before(swept) {
					at = swept
				}
			}
			if at.After(latest) {
				latest = at
			}
			if rapid.IntRange(0, 2).Draw(t, "sweep") == 0 {
				if table.SweepAt(at) > 0 {
					// What was dropped need not have been as good as new before.
					swept, at = latest, latest
				}
			}
			var asks []enforce.Ask
			cost := rapid.Int64Range(0, 3).Draw(t, "cost")
			withCounter := -1
			for i, e := range set.Entries {
				if rapid.IntRange(0, 3).Draw(t, "asked") == 0 || e.Counter != "" && withCounter >= 0 {
					continue
				}
				if e.Counter != "" {
					withCounter = i
				}
				asks = append(asks, enforce.Ask{Entry: i, Key: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"), Cost: cost})
			}
			l := ref.combined(asks)
			if rapid.IntRange(0, 5).Draw(t, "release") == 0 {
				table.Rules().ReleaseAt(at, asks)
				if r, ok := l.(limit.Releaser); ok {
					r.Release(at, cost)
				}
				continue
			}
			want, got := l.Take(at, cost), table.Rules().TakeAt(at, asks)
			if got != want && len(asks) > 0 {
				t.Fatalf("step %d at %v, asks %+v:\n got %+v\nwant %+v", step, at.Sub(origin), asks, got, want)
			}
		}
		evicted += table.Stats().Evicted
	})
	if evicted == 0 {
		t.Error("no key was ever dropped: nothing was tested")
	}
}
