package enforce_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/limit"
)

// TestLook holds that a look says whether the cost would pass and how long to
// wait, as taking it from a copy does, and that nothing is taken or counted: a
// table that is looked at now and then decides as one that is not.
func TestLook(t *testing.T) {
	refused := 0
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(policies()).Draw(t, "policy")
		other := limit.Policy{Limit: 2, Window: time.Second}
		chain := rapid.Bool().Draw(t, "chain")
		set := enforce.Set{Chain: chain, Entries: []enforce.Entry{entry(other), entry(p)}}
		looked, err := enforce.New(set, enforce.Options{})
		if err != nil {
			t.Fatal(err)
		}
		plain, err := enforce.New(set, enforce.Options{})
		if err != nil {
			t.Fatal(err)
		}
		model, err := p.New(time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		at := origin
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.Int64Range(0, 300e6).Draw(t, "ns")))
			cost := rapid.Int64Range(0, 3).Draw(t, "cost")
			look := []enforce.Ask{{Entry: 1, Key: "k", Cost: cost, Look: true}}
			got := looked.Rules().TakeAt(at, look)
			copied := model.Clone().Take(at, cost)
			if got.Allowed != copied.Allowed {
				t.Fatalf("%v: a look at %d says %+v, taking says %+v", p, cost, got, copied)
			}
			if !p.CountDenied && p.Ban == 0 && got.RetryAfter != copied.RetryAfter {
				t.Fatalf("%v: a look at %d waits %v, taking waits %v", p, cost, got.RetryAfter, copied.RetryAfter)
			}
			if state := model.Take(at, 0); got.Remaining != state.Remaining || got.ResetAfter != state.ResetAfter {
				t.Fatalf("%v: a look at %d says %+v, the state is %+v", p, cost, got, state)
			}
			if !got.Allowed {
				refused++
				// What a look refuses takes nothing from the others either.
				both := []enforce.Ask{{Entry: 0, Key: "untouched", Cost: 1}, {Entry: 1, Key: "k", Cost: cost, Look: true}}
				if !chain && (looked.Rules().TakeAt(at, both).Allowed || both[0].Decision.Remaining != 2) {
					t.Fatalf("%v: beside a look that refuses: %+v", p, both[0].Decision)
				}
			}
			take := []enforce.Ask{{Entry: 1, Key: "k", Cost: cost}}
			again := []enforce.Ask{{Entry: 1, Key: "k", Cost: cost}}
			if a, b := looked.Rules().TakeAt(at, take), plain.Rules().TakeAt(at, again); a != b {
				t.Fatalf("%v: after a look %+v, without %+v", p, a, b)
			}
			model.Take(at, cost)
		}
	})
	if refused == 0 {
		t.Error("no look was refused: nothing was tested")
	}
}
