package enforce_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/leaks"
	"github.com/weir-dev/weir/limit"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// TestManyOnOneKey has 64 goroutines take from one key for a while, of every
// kind of policy: what passes is what a limiter admits that is asked by one.
func TestManyOnOneKey(t *testing.T) {
	const callers, each = 64, 300
	for _, p := range policies() {
		if p.Algorithm == limit.Concurrency {
			continue // TestManyHold
		}
		t.Run(p.String(), func(t *testing.T) {
			// A clock that moves with each request, so that the model can be asked
			// at the same instants.
			var ticks atomic.Int64
			const step = 3 * time.Millisecond
			var mu sync.Mutex
			table := mustTable(t, enforce.Options{Clock: func() time.Time {
				return origin.Add(time.Duration(ticks.Add(1)) * step)
			}}, false, entry(p))
			var admitted atomic.Int64
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for range each {
						// Held over the clock and the decision, so that the order is known.
						mu.Lock()
						d := table.Take("k", 1)
						mu.Unlock()
						if d.Allowed {
							admitted.Add(1)
						}
					}
				})
			}
			wg.Wait()
			model, _ := p.New(time.Time{})
			want := int64(0)
			for i := range callers * each {
				if model.Take(origin.Add(time.Duration(i+1)*step), 1).Allowed {
					want++
				}
			}
			if got := admitted.Load(); got != want || got == 0 || got == callers*each {
				t.Errorf("admitted %d of %d, want %d", got, callers*each, want)
			}
		})
	}
}

// TestNeverOneMore has no lock but the table's, and a clock that stands still
// while 64 goroutines rush each instant.
func TestNeverOneMore(t *testing.T) {
	for _, p := range policies() {
		if p.Algorithm == limit.Concurrency {
			continue
		}
		t.Run(p.String(), func(t *testing.T) {
			table := mustTable(t, enforce.Options{}, false, entry(p), entry(limit.Policy{Name: "wide", Limit: 1 << 30, Window: time.Second}))
			model, _ := p.New(time.Time{})
			for round := range 30 {
				at := origin.Add(time.Duration(round) * 130 * time.Millisecond)
				var admitted atomic.Int64
				var wg sync.WaitGroup
				for range 64 {
					wg.Go(func() {
						if table.TakeAt(at, "k", 1).Allowed {
							admitted.Add(1)
						}
					})
				}
				wg.Wait()
				want := int64(0)
				for range 64 {
					if model.Take(at, 1).Allowed {
						want++
					}
				}
				if got := admitted.Load(); got != want {
					t.Fatalf("round %d: admitted %d, want %d", round, got, want)
				}
			}
		})
	}
}

// TestManyHold never lets more be in progress than the limit, and gets all of it
// back.
func TestManyHold(t *testing.T) {
	table := mustTable(t, enforce.Options{}, false, entry(limit.Policy{Algorithm: limit.Concurrency, Limit: 5}))
	var now, most, passed atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 200 {
				if !table.Take("k", 1).Allowed {
					runtime.Gosched()
					continue
				}
				passed.Add(1)
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				runtime.Gosched()
				now.Add(-1)
				table.Release("k", 1)
			}
		})
	}
	wg.Wait()
	if most.Load() > 5 || passed.Load() == 0 {
		t.Errorf("%d at once of 5; %d passed", most.Load(), passed.Load())
	}
	if d := table.Take("k", 5); !d.Allowed {
		t.Errorf("after all released: %+v", d)
	}
}

// TestLocksInOneOrder would hang if requests over several keys did not lock in
// one order.
func TestLocksInOneOrder(t *testing.T) {
	p := limit.Policy{Limit: 1000, Window: time.Second}
	table := mustTable(t, enforce.Options{MaxKeys: 20}, false, entry(p), entry(p), entry(p))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				k := func(n int) string { return fmt.Sprint((i*7 + g + n) % 40) }
				table.Rules().Take([]enforce.Ask{
					{Entry: 2, Key: k(0), Cost: 1}, {Entry: 0, Key: k(5), Cost: 1}, {Entry: 2, Key: k(9), Cost: 1}, {Entry: 1, Key: k(1), Cost: 1},
				})
			}
		})
	}
	wg.Wait()
	if st := table.Stats(); st.Keys > 20 || st.Spilled == 0 {
		t.Errorf("keys %d of 20, spilled %d", st.Keys, st.Spilled)
	}
}

func TestCeiling(t *testing.T) {
	p := limit.Policy{Limit: 2, Window: time.Second}
	fill := func(o enforce.Overflow) *enforce.Table {
		table := mustTable(t, enforce.Options{MaxKeys: 100, Overflow: o}, false, entry(p))
		for i := range 100 {
			if d := table.TakeAt(origin, fmt.Sprint(i), 1); !d.Allowed || d.Remaining != 1 {
				t.Fatalf("key %d: %+v", i, d)
			}
		}
		return table
	}
	for name, c := range map[string]struct {
		overflow enforce.Overflow
		want     [4]bool
	}{
		"shared": {enforce.OverflowShared, [4]bool{true, true, false, false}},
		"closed": {enforce.OverflowClosed, [4]bool{false, false, false, false}},
		"open":   {enforce.OverflowOpen, [4]bool{true, true, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			table := fill(c.overflow)
			for i, want := range c.want {
				asks := []enforce.Ask{{Key: fmt.Sprint("new", i), Cost: 1}}
				if d := table.Rules().TakeAt(origin, asks); d.Allowed != want || asks[0].By != enforce.ByOverflow {
					t.Errorf("new key %d: %+v by %v, want allowed %v by overflow", i, d, asks[0].By, want)
				}
			}
			if st := table.Stats(); st.Keys != 100 || st.Spilled != 4 {
				t.Errorf("stats %+v", st)
			}
			// The keys in use are not touched.
			if d := table.TakeAt(origin, "7", 1); !d.Allowed || d.Remaining != 0 {
				t.Errorf("a key in use: %+v", d)
			}
			// Half a second later all but one are full again, and make room.
			later := origin.Add(600 * time.Millisecond)
			asks := []enforce.Ask{{Key: "new", Cost: 1}}
			if d := table.Rules().TakeAt(later, asks); !d.Allowed || asks[0].By != enforce.ByPolicy {
				t.Errorf("a new key when others are as good as new: %+v by %v", d, asks[0].By)
			}
			if d := table.TakeAt(later, "7", 2); d.Allowed {
				t.Errorf("a key was dropped that still counted: %+v", d)
			}
		})
	}
}

// TestNotDroppedWhileAsked has a new key come, at the ceiling, in the same request
// as one that is as good as new: the request must not make room by dropping its
// own. The two are in one shard for some of the new keys.
func TestNotDroppedWhileAsked(t *testing.T) {
	p := limit.Policy{Limit: 5, Window: time.Second}
	for i := range 2000 {
		table := mustTable(t, enforce.Options{MaxKeys: 1}, false, entry(p))
		table.TakeAt(origin, "a", 1)
		at := origin.Add(time.Minute)
		table.Rules().TakeAt(at, []enforce.Ask{{Key: "a", Cost: 3}, {Key: fmt.Sprint("b", i), Cost: 1}})
		if d := table.TakeAt(at, "a", 0); d.Remaining != 2 {
			t.Fatalf("with key b%d: %+v, want 2 remaining", i, d)
		}
	}
}

// TestBoundedByUse sends a million keys, each once, and expects that the table
// holds about those of the last window.
func TestBoundedByUse(t *testing.T) {
	table := mustTable(t, enforce.Options{}, false, entry(limit.Policy{Limit: 10, Window: time.Second}))
	n, most := 200_000, 0
	for i := range n {
		table.TakeAt(origin.Add(time.Duration(i)*100*time.Microsecond), fmt.Sprint(i), 1)
		if i%1000 == 0 {
			most = max(most, table.Stats().Keys)
		}
	}
	// 10,000 new keys a second, each of which is full again after 100 ms and kept
	// for a second more.
	if most > 2*11_000+1000 {
		t.Errorf("held %d keys, though no more than 11,000 were in use", most)
	}
	if dropped := table.SweepAt(origin.Add(time.Hour)); dropped == 0 || table.Stats().Keys != 0 {
		t.Errorf("swept %d, %d left, want all", dropped, table.Stats().Keys)
	}
}

func TestLongKeys(t *testing.T) {
	p := limit.Policy{Limit: 1, Window: time.Hour}
	table := mustTable(t, enforce.Options{}, false, entry(p))
	long := strings.Repeat("x", 1<<20)
	keys := []string{long, long + "x", long[1:], strings.Repeat("x", 64), strings.Repeat("x", 65), "", "\x00", "a\xff}{"}
	for _, k := range keys {
		if a, b := table.TakeAt(origin, k, 1), table.TakeAt(origin, k, 1); !a.Allowed || b.Allowed {
			t.Errorf("key of %d bytes: %v, %v; want allowed, refused", len(k), a.Allowed, b.Allowed)
		}
	}
	if got := table.Stats().Keys; got != len(keys) {
		t.Errorf("%d keys, want %d", got, len(keys))
	}
	vip := mustTable(t, enforce.Options{}, false, enforce.Entry{Policy: p, Overrides: map[string]limit.Policy{long: {Limit: 5, Window: time.Hour}}})
	if d := vip.TakeAt(origin, long, 5); !d.Allowed {
		t.Errorf("an override for a long key: %+v", d)
	}
}

func TestOverrides(t *testing.T) {
	p := limit.Policy{Limit: 10, Window: time.Second}
	vip := limit.Policy{Limit: 1000, Window: time.Second}
	table := mustTable(t, enforce.Options{}, false, enforce.Entry{Policy: p, Overrides: map[string]limit.Policy{"vip": vip}})
	for key, want := range map[string]int64{"vip": 1000, "anyone": 10} {
		if d := table.TakeAt(origin, key, 0); d.Remaining != want {
			t.Errorf("%s: remaining %d, want %d", key, d.Remaining, want)
		}
	}
}

// TestShadow lets everything pass, and says what it would have done.
func TestShadow(t *testing.T) {
	tight := enforce.Entry{Policy: limit.Policy{Limit: 1, Window: time.Second, WarnAt: 0.5}, Shadow: true}
	real := entry(limit.Policy{Limit: 3, Window: time.Second})
	for _, chain := range []bool{false, true} {
		table := mustTable(t, enforce.Options{}, chain, tight, real)
		var shadow, whole []bool
		for range 4 {
			asks := []enforce.Ask{{Entry: 0, Key: "k", Cost: 1}, {Entry: 1, Key: "k", Cost: 1}}
			d := table.Rules().TakeAt(origin, asks)
			if d.Warn || d.Binding != 1 {
				t.Errorf("shadow shows in %+v", d)
			}
			if !asks[0].Decision.Warn {
				t.Errorf("shadow does not warn: %+v", asks[0].Decision)
			}
			shadow, whole = append(shadow, asks[0].Decision.Allowed), append(whole, d.Allowed)
		}
		if fmt.Sprint(shadow) != "[true false false false]" || fmt.Sprint(whole) != "[true true true false]" {
			t.Errorf("chain %v: shadow %v, whole %v", chain, shadow, whole)
		}
		if st := table.Stats().Entries; st[0].Refused != 3 || st[1].Refused != 1 {
			t.Errorf("stats %+v", st)
		}
	}
	alone := mustTable(t, enforce.Options{}, false, tight)
	for range 3 {
		if d := alone.TakeAt(origin, "k", 1); !d.Allowed || d.Binding != -1 {
			t.Errorf("shadow alone: %+v", d)
		}
	}
}

// TestInstantsBeforeASweep are treated as the sweep, and what is said counts
// from the instant that was asked.
func TestInstantsBeforeASweep(t *testing.T) {
	table := mustTable(t, enforce.Options{}, false, entry(limit.Policy{Limit: 1, Window: time.Second}))
	table.TakeAt(origin, "k", 1)
	if table.SweepAt(origin.Add(3*time.Second)) != 1 {
		t.Fatal("not swept")
	}
	a, b := table.TakeAt(origin.Add(time.Second), "k", 1), table.TakeAt(origin.Add(time.Second), "k", 1)
	if !a.Allowed || b.Allowed || b.RetryAfter != 3*time.Second {
		t.Errorf("got %+v, %+v; want allowed, refused for 3s", a, b)
	}
}

func TestInvalidSets(t *testing.T) {
	ok := limit.Policy{Limit: 1, Window: time.Second}
	cases := map[string]enforce.Entry{
		"limit":                  {},
		"key \"k\": limit":       {Policy: ok, Overrides: map[string]limit.Policy{"k": {}}},
		"does not count":         {Policy: ok, Counter: "c"},
		"on-store-error":         {Policy: ok, OnStoreError: 9},
		"lease: needs a time":    {Policy: ok, Lease: enforce.Lease{Size: 1}},
		"lease: belongs":         {Policy: limit.Policy{Algorithm: limit.SlidingLog, Limit: 1, Window: time.Second}, Lease: enforce.Lease{Size: 1, For: 1}},
		"lease: must be from":    {Policy: ok, Lease: enforce.Lease{Size: 2, For: 1}},
		"concurrency for all":    {Policy: ok, Overrides: map[string]limit.Policy{"k": {Algorithm: limit.Concurrency, Limit: 1}}},
		"first policy on this c": {Policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 1, Window: time.Second}, Counter: "c", Overrides: map[string]limit.Policy{"k": {Algorithm: limit.FixedWindow, Limit: 1, Window: time.Minute}}},
	}
	for want, e := range cases {
		set := enforce.Set{Entries: []enforce.Entry{{Policy: ok}, e}}
		if e.Counter != "" && e.Algorithm == limit.FixedWindow {
			set.Entries = append(set.Entries, enforce.Entry{Policy: e.Policy, Counter: "c"})
		}
		if _, err := enforce.New(set, enforce.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want it to name %q", err, want)
		}
	}
}

// TestHitPath holds the ordinary decision to no allocation.
func TestHitPath(t *testing.T) {
	p := limit.Policy{Limit: 7, Window: time.Second}
	one := mustTable(t, enforce.Options{}, false, entry(p))
	three := mustTable(t, enforce.Options{}, false, entry(p), entry(limit.Policy{Algorithm: limit.FixedWindow, Limit: 3, Window: time.Minute}), entry(limit.Policy{Algorithm: limit.SlidingWindow, Limit: 3, Window: time.Hour}))
	asks := []enforce.Ask{{Entry: 1, Key: "a", Cost: 1}, {Entry: 2, Key: "b", Cost: 1}}
	for name, f := range map[string]func(){
		"one":        func() { one.Take("key", 1) },
		"three":      func() { three.Take("key", 1) },
		"other keys": func() { three.Rules().Take(asks) },
	} {
		f()
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations a decision, want 0", name, n)
		}
	}
}
