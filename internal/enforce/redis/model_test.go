//go:build unix

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/enforce/redis"
	"github.com/weir-dev/weir/limit"
	"github.com/weir-dev/weir/limit/limittest"
)

// number makes the names of stores on one server differ.
var number atomic.Int64

// subject is a store as limittest knows limiters.
type subject struct {
	setup limittest.Setup
	at    *time.Time
	by    enforce.Decider
}

func newSubject(t *testing.T, addr string) limittest.New {
	return func(s limittest.Setup) (limittest.Subject, error) {
		at := s.Start
		store := newStore(t, redis.Options{
			Addresses: []string{addr}, Prefix: fmt.Sprint("t", number.Add(1)), Origin: s.Start,
			HoldFor: 1000 * time.Hour,
			Now:     func() time.Time { return at },
		})
		set := enforce.Set{Chain: s.Chain}
		for _, r := range s.Rules {
			set.Entries = append(set.Entries, enforce.Entry{Policy: r.Policy, Counter: r.Counter})
		}
		by, err := store.Prepare(set)
		return &subject{setup: s, at: &at, by: by}, err
	}
}

func (s *subject) asks(r limittest.Request) []enforce.Ask {
	var asks []enforce.Ask
	for i, rule := range s.setup.Rules {
		if rule.Route == "" || rule.Route == r.Route {
			asks = append(asks, enforce.Ask{Entry: i, Key: r.Key, Cost: r.Cost})
		}
	}
	return asks
}

func (s *subject) Take(r limittest.Request) (limittest.Answer, error) {
	if r.At.Nanosecond()%1000 != 0 {
		return limittest.Answer{}, fmt.Errorf("an instant between microseconds: %w", errors.ErrUnsupported)
	}
	*s.at = r.At
	d, err := s.by.Take(context.Background(), s.asks(r))
	return limittest.Answer{Decision: d, Says: limittest.SaysAll}, err
}

func (s *subject) Release(r limittest.Request) error {
	*s.at = r.At
	return s.by.Release(context.Background(), s.asks(r))
}

func TestScripts(t *testing.T) {
	servers(t, func(t *testing.T, addr string) { limittest.Run(t, newSubject(t, addr), limittest.Scripts()) })
}

func TestSuite(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		requests := 60
		if t.Name() == "TestSuite/server" {
			requests = 1000
		}
		limittest.Suite{New: newSubject(t, addr), Grain: time.Microsecond, Requests: requests, Seed: 5}.Run(t)
	})
}

// policies are those of limittest, and some with figures that try the
// arithmetic.
func policies() []limit.Policy {
	const big = 1 << 45
	return append(limittest.Policies(),
		limit.Policy{Limit: 7, Window: time.Second, Burst: 3, WarnAt: 0.8},
		limit.Policy{Limit: 999_983, Window: 999_979 * time.Microsecond, Burst: 17, CountDenied: true},
		limit.Policy{Limit: big + 1, Window: time.Second, Burst: big},
		limit.Policy{Limit: 1, Window: 365 * 24 * time.Hour, Burst: 60},
		limit.Policy{Algorithm: limit.RefillBucket, Limit: 2, Window: time.Second, Burst: 5, CountDenied: true, Phase: 300 * time.Millisecond},
		limit.Policy{Algorithm: limit.RefillBucket, Limit: big, Window: 7 * time.Microsecond, Burst: 3 * big},
		limit.Policy{Algorithm: limit.SlidingLog, Limit: 4, Window: time.Second, CountDenied: true},
		limit.Policy{Algorithm: limit.SlidingLog, Limit: 250, Window: 10 * time.Second},
		limit.Policy{Algorithm: limit.SlidingWindow, Limit: 3, Window: time.Second, CountDenied: true, Phase: 300 * time.Millisecond},
		limit.Policy{Algorithm: limit.SlidingWindow, Limit: big, Window: 24*time.Hour + time.Microsecond},
		limit.Policy{Algorithm: limit.LeakyBucket, Limit: 3, Window: time.Second, Burst: 9, MaxDelay: 500 * time.Millisecond},
		limit.Policy{Algorithm: limit.LeakyBucket, Limit: 13, Window: time.Second, Burst: 9, Undelayed: 4, WarnAt: 0.07},
		limit.Policy{Algorithm: limit.Quota, Limit: 6, Window: 3 * time.Second, CountDenied: true, WarnAt: 0.5},
		limit.Policy{Algorithm: limit.Quota, Limit: 6, Period: limit.PerDay},
		limit.Policy{Algorithm: limit.Quota, Limit: 6, Period: limit.PerMonth},
	)
}

// TestScriptIsTheModel gives the script and the model the same instants, and
// expects the same decisions, to the nanosecond: one policy and several, of one
// key and of several.
func TestScriptIsTheModel(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		var now time.Time
		stores := map[bool]*redis.Store{}
		for _, lazy := range []bool{false, true} {
			stores[lazy] = newStore(t, redis.Options{
				Addresses: []string{addr}, Now: func() time.Time { return now }, HoldFor: 30 * 365 * 24 * time.Hour, Lazy: lazy,
			})
		}
		decisions := 0
		rapid.Check(t, func(t *rapid.T) {
			lazy := rapid.Bool().Draw(t, "lazy")
			set := enforce.Set{Chain: rapid.Bool().Draw(t, "chain")}
			n := number.Add(1)
			for i := range rapid.IntRange(1, 3).Draw(t, "entries") {
				set.Entries = append(set.Entries, enforce.Entry{ID: fmt.Sprint(n, ".", i), Policy: rapid.SampledFrom(policies()).Draw(t, "policy")})
			}
			by, err := stores[lazy].Prepare(set)
			if err != nil {
				t.Fatal(err)
			}
			models := map[string]limit.Limiter{}
			now = time.Date(2026, 1, 30, 23, 59, 0, 0, time.UTC)
			for step := range rapid.IntRange(5, 25).Draw(t, "steps") {
				first := set.Entries[rapid.IntRange(0, len(set.Entries)-1).Draw(t, "which")]
				switch rapid.IntRange(0, 7).Draw(t, "pause") {
				case 0:
					now = now.Add(time.Duration(rapid.Int64Range(0, 1_500_000).Draw(t, "us")) * time.Microsecond)
				case 1:
					now = now.Add(first.Window / time.Duration(first.Limit)).Truncate(time.Microsecond)
				case 2:
					now = now.Add(first.Window - first.Window%time.Microsecond)
				case 3:
					now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "h")) * time.Hour)
				case 4:
					if !lazy {
						now = now.Add(-time.Duration(rapid.Int64Range(0, 400_000).Draw(t, "back")) * time.Microsecond)
					}
				}
				var asks []enforce.Ask
				var of []limit.Limiter
				// limit.All knows one cost for all.
				capacity := first.Capacity()
				cost := rapid.SampledFrom([]int64{0, 1, 1, 1, 2, 3, capacity, capacity / 2, capacity + 1}).Draw(t, "cost")
				for i, e := range set.Entries {
					key := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
					id := fmt.Sprint(i, key)
					if models[id] == nil {
						if models[id], err = e.Policy.New(time.Time{}); err != nil {
							t.Fatal(err)
						}
					}
					asks, of = append(asks, enforce.Ask{Entry: i, Key: key, Cost: cost}), append(of, models[id])
				}
				model := of[0]
				switch {
				case len(of) == 1:
				case set.Chain:
					model = limit.Chain(of...)
				default:
					model = limit.All(of...)
				}
				if rapid.IntRange(0, 3).Draw(t, "release") == 0 {
					if err := by.Release(context.Background(), asks); err != nil {
						t.Fatal(err)
					}
					if r, ok := model.(limit.Releaser); ok {
						r.Release(now, cost)
					}
					continue
				}
				got, err := by.Take(context.Background(), asks)
				if err != nil {
					t.Fatal(err)
				}
				decisions++
				if want := model.Take(now, cost); got != want {
					t.Fatalf("step %d at %v, chain %v, %v, cost %d:\n got %+v\nwant %+v", step, now, set.Chain, set.Entries, cost, got, want)
				}
			}
		})
		if decisions == 0 {
			t.Error("nothing was compared")
		}
	})
}
