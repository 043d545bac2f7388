//go:build unix

package redis_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/enforce/redis"
)

// TestLook compares asks that only look, beside others that take, with a Table.
func TestLook(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		var now time.Time
		store := newStore(t, redis.Options{Addresses: []string{addr}, Now: func() time.Time { return now }, HoldFor: 30 * 365 * 24 * time.Hour})
		looked, refused := 0, 0
		rapid.Check(t, func(t *rapid.T) {
			set := enforce.Set{Chain: rapid.Bool().Draw(t, "chain")}
			n := number.Add(1)
			for i := range rapid.IntRange(1, 3).Draw(t, "entries") {
				set.Entries = append(set.Entries, enforce.Entry{ID: fmt.Sprint(n, ".", i), Policy: rapid.SampledFrom(policies()).Draw(t, "policy")})
			}
			by, err := store.Prepare(set)
			if err != nil {
				t.Fatal(err)
			}
			table, err := enforce.New(set, enforce.Options{})
			if err != nil {
				t.Fatal(err)
			}
			now = time.Date(2026, 1, 30, 23, 59, 0, 0, time.UTC)
			for step := range rapid.IntRange(5, 20).Draw(t, "steps") {
				now = now.Add(time.Duration(rapid.Int64Range(0, 1_000_000).Draw(t, "us")) * time.Microsecond)
				var asks, same []enforce.Ask
				for i := range set.Entries {
					asks = append(asks, enforce.Ask{
						Entry: i, Key: "k", Cost: rapid.Int64Range(0, 4).Draw(t, "cost"), Look: rapid.Bool().Draw(t, "look"),
					})
				}
				same = append(same, asks...)
				got, err := by.Take(context.Background(), asks)
				if err != nil {
					t.Fatal(err)
				}
				if want := table.Rules().TakeAt(now, same); got != want {
					t.Fatalf("step %d at %v, chain %v, %v, asks %+v:\n got %+v\nwant %+v", step, now, set.Chain, set.Entries, same, got, want)
				}
				for i := range asks {
					if asks[i].Look {
						looked++
						if !asks[i].Decision.Allowed {
							refused++
						}
					}
				}
			}
		})
		if looked == 0 || refused == 0 {
			t.Errorf("%d looks, %d refused: nothing was compared", looked, refused)
		}
	})
}
