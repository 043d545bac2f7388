package enforce_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/limit"
)

func replace(t testing.TB, table *enforce.Table, entries ...enforce.Entry) {
	t.Helper()
	if _, err := table.Replace(enforce.Set{Entries: entries}); err != nil {
		t.Fatal(err)
	}
}

// TestReplacedCountsGoOn changes the limit in the middle of random traffic. For
// what counts, the truth is a limit.Counter that both policies judge from the
// start.
func TestReplacedCountsGoOn(t *testing.T) {
	kinds := []limit.Policy{
		{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second},
		{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second, Align: limit.AlignFirst},
		{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Second, Align: limit.AlignLast},
		{Algorithm: limit.SlidingLog, Limit: 5, Window: time.Second},
		{Algorithm: limit.Quota, Limit: 5, Window: 2 * time.Second},
		{Algorithm: limit.Quota, Limit: 50, Period: limit.PerHour},
		{Algorithm: limit.Concurrency, Limit: 5},
		{Algorithm: limit.SlidingWindow, Limit: 5, Window: time.Second},
	}
	rapid.Check(t, func(t *rapid.T) {
		was := rapid.SampledFrom(kinds).Draw(t, "policy")
		was.Name = "old name"
		is := was
		is.Name = "new name"
		is.Limit = rapid.Int64Range(1, 12).Draw(t, "limit")
		is.WarnAt = 0.5
		table, err := enforce.New(enforce.Set{Entries: []enforce.Entry{{Policy: was}}}, enforce.Options{})
		if err != nil {
			t.Fatal(err)
		}
		truth, err := limit.NewCounter(time.Time{}, was, is)
		if err != nil {
			t.Fatal(err)
		}
		at, view := origin, 0
		half := rapid.IntRange(0, 30).Draw(t, "when")
		for step := range half + 20 {
			if step == half {
				if _, err := table.Replace(enforce.Set{Entries: []enforce.Entry{{Policy: is}}}); err != nil {
					t.Fatal(err)
				}
				view = 1
			}
			at = at.Add(time.Duration(rapid.Int64Range(0, 200e6).Draw(t, "pause")))
			cost := rapid.Int64Range(0, 2).Draw(t, "cost")
			if was.Algorithm == limit.Concurrency && rapid.Bool().Draw(t, "release") {
				table.ReleaseAt(at, "k", cost)
				truth.View(view).(limit.Releaser).Release(at, cost)
				continue
			}
			want, got := truth.Take(view, at, cost), table.TakeAt(at, "k", cost)
			if was.Algorithm == limit.SlidingWindow {
				// Known by its share only, and never in the client's favour.
				if got.Remaining > want.Remaining || got.Remaining < want.Remaining-1 && view == 1 {
					t.Fatalf("step %d: remaining %d, want %d or one less", step, got.Remaining, want.Remaining)
				}
				if got.Allowed != want.Allowed {
					return // from here on the two have counted differently
				}
				continue
			}
			if got != want {
				t.Fatalf("%v, then limit %d; step %d of %d at %v, cost %d:\n got %+v\nwant %+v", was, is.Limit, step, half, at.Sub(origin), cost, got, want)
			}
		}
	})
}

// TestReplacedBuckets keeps what is missing from a bucket when its rate and size
// change.
func TestReplacedBuckets(t *testing.T) {
	at := origin.Add(100 * time.Millisecond)
	cases := []struct {
		was, is   limit.Policy
		cost      int64
		remaining int64
		retry     time.Duration // for the next unit beyond remaining
	}{
		// 8 taken at 0; 1 is back after 100 ms: 7 missing.
		{limit.Policy{Limit: 10, Window: time.Second}, limit.Policy{Limit: 20, Window: time.Second}, 8, 13, 0},
		{limit.Policy{Limit: 10, Window: time.Second}, limit.Policy{Limit: 10, Window: time.Minute}, 8, 3, 6 * time.Second},
		{limit.Policy{Limit: 10, Window: time.Second}, limit.Policy{Limit: 4, Window: time.Second}, 8, 0, 250 * time.Millisecond},
		// 7 a second: seven tenths of a unit are back, 7.3 missing of 8.
		{limit.Policy{Limit: 7, Window: time.Second, Burst: 8}, limit.Policy{Limit: 1, Window: time.Second, Burst: 8}, 8, 0, 300 * time.Millisecond},
		{limit.Policy{Algorithm: limit.LeakyBucket, Limit: 10, Window: time.Second, Burst: 9}, limit.Policy{Algorithm: limit.LeakyBucket, Limit: 10, Window: time.Second, Burst: 19}, 5, 16, 0},
		{limit.Policy{Algorithm: limit.LeakyBucket, Limit: 10, Window: time.Second, Burst: 9, MaxDelay: 450 * time.Millisecond}, limit.Policy{Algorithm: limit.LeakyBucket, Limit: 10, Window: time.Second, Burst: 9}, 5, 5, 0},
		{limit.Policy{Algorithm: limit.RefillBucket, Limit: 5, Window: time.Second, Burst: 10}, limit.Policy{Algorithm: limit.RefillBucket, Limit: 5, Window: time.Minute, Burst: 20}, 8, 12, 0},
	}
	for _, c := range cases {
		table := mustTable(t, enforce.Options{}, false, entry(c.was))
		table.TakeAt(origin, "k", c.cost)
		replace(t, table, entry(c.is))
		d := table.TakeAt(at, "k", 0)
		next := table.TakeAt(at, "k", d.Remaining+1)
		if d.Remaining != c.remaining || next.Allowed || c.retry != 0 && (next.RetryAfter < c.retry || next.RetryAfter > c.retry+2) {
			t.Errorf("%v to %v: remaining %d, then %v; want %d, %v", c.was, c.is, d.Remaining, next.RetryAfter, c.remaining, c.retry)
		}
	}
}

// TestReplacedBans keeps who is banned out for as long as was said, and loses no count.
func TestReplacedBans(t *testing.T) {
	log := func(n int64, ban time.Duration) limit.Policy {
		return limit.Policy{Algorithm: limit.SlidingLog, Limit: n, Window: time.Second, Ban: ban}
	}
	cases := []struct {
		was, is limit.Policy
		took    int // one by one
		want    limit.Decision
	}{
		{log(3, 9*time.Second), log(3, 9*time.Second), 4, limit.Decision{Limit: 3, RetryAfter: 8500 * time.Millisecond, ResetAfter: 8500 * time.Millisecond}},
		{log(3, 9*time.Second), log(30, 9*time.Second), 4, limit.Decision{Limit: 30, RetryAfter: 8500 * time.Millisecond, ResetAfter: 8500 * time.Millisecond}},
		{log(3, 9*time.Second), log(3, 19*time.Second), 4, limit.Decision{Limit: 3, RetryAfter: 8500 * time.Millisecond, ResetAfter: 8500 * time.Millisecond}},
		{log(3, 9*time.Second), log(3, 0), 4, limit.Decision{Allowed: true, Limit: 3, Remaining: 2, ResetAfter: time.Second}},
		{log(3, 9*time.Second), log(5, 9*time.Second), 2, limit.Decision{Allowed: true, Limit: 5, Remaining: 2, ResetAfter: time.Second}},
		{log(3, 0), log(5, 9*time.Second), 2, limit.Decision{Allowed: true, Limit: 5, Remaining: 2, ResetAfter: time.Second}},
		{log(9, 9*time.Second), log(2, 9*time.Second), 5, limit.Decision{Limit: 2, RetryAfter: 9 * time.Second, ResetAfter: 9 * time.Second}},
	}
	for _, c := range cases {
		table := mustTable(t, enforce.Options{}, false, entry(c.was))
		for range c.took {
			table.TakeAt(origin, "k", 1)
		}
		replace(t, table, entry(c.is))
		if got := table.TakeAt(origin.Add(500*time.Millisecond), "k", 1); got != c.want {
			t.Errorf("%v to %v after %d: %+v, want %+v", c.was, c.is, c.took, got, c.want)
		}
	}
}

// TestReplacedBansNobodyElse replaces policies at random: who was not banned is not
// banned by it, what was counted stays counted up to the new limit, and who was
// banned stays so to the nanosecond, or is pardoned by a policy that bans nobody.
func TestReplacedBansNobodyElse(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 1))
	draw := func(a limit.Algorithm, align limit.Align, window time.Duration) limit.Policy {
		p := limit.Policy{Algorithm: a, Align: align, Limit: 1 + r.Int64N(12), Window: window, CountDenied: r.IntN(3) == 0}
		if r.IntN(4) > 0 {
			p.Ban = p.Window + time.Duration(r.Int64N(int64(20*time.Second)))
		}
		return p
	}
	banned, free := 0, 0
	for i := range 20_000 {
		a := []limit.Algorithm{limit.FixedWindow, limit.SlidingLog, limit.SlidingWindow}[r.IntN(3)]
		align := limit.AlignClock
		if a == limit.FixedWindow {
			align = limit.Align(r.IntN(3))
		}
		window := time.Duration(1+r.IntN(9)) * time.Second
		was, is := draw(a, align, window), draw(a, align, window)
		if was.Ban == 0 && is.Ban == 0 {
			continue
		}
		table := mustTable(t, enforce.Options{}, false, entry(was))
		at, until := origin.Add(time.Duration(r.Int64N(int64(time.Hour)))), time.Time{}
		for range r.IntN(16) {
			d := table.TakeAt(at, "k", 1)
			if was.Ban > 0 && !d.Allowed && (until.Before(at.Add(1)) || was.CountDenied) {
				until = at.Add(was.Ban)
			}
			at = at.Add(time.Duration(r.Int64N(int64(window) / 3)))
		}
		before := table.TakeAt(at, "k", 0)
		replace(t, table, entry(is))
		after := table.TakeAt(at, "k", 0)
		if until.After(at) {
			banned++
			switch left := until.Sub(at); {
			case is.Ban == 0 && after.Remaining != is.Limit:
				t.Fatalf("%d: %v to %v: remaining %d, want a pardon", i, was, is, after.Remaining)
			case is.Ban > 0 && (after.Remaining != 0 || after.ResetAfter != left):
				t.Fatalf("%d: %v to %v: remaining %d, free in %v; want none, in %v", i, was, is, after.Remaining, after.ResetAfter, left)
			case is.Ban > 0 && !is.CountDenied:
				if d := table.TakeAt(until.Add(-1), "k", 1); d.Allowed || d.RetryAfter != 1 {
					t.Fatalf("%d: %v to %v: at the end of the ban: %+v", i, was, is, d)
				}
			}
			continue
		}
		free++
		used := before.Limit - before.Remaining
		if got := after.Limit - after.Remaining; got != min(used, is.Limit) {
			t.Fatalf("%d: %v to %v: %d are counted, want %d", i, was, is, got, min(used, is.Limit))
		}
		if left := after.ResetAfter; left > 2*window {
			t.Fatalf("%d: %v to %v: full in %v, a ban", i, was, is, left)
		}
		if d := table.TakeAt(at.Add(after.ResetAfter), "k", 1); !d.Allowed {
			t.Fatalf("%d: %v to %v: refused when all is free again: %+v", i, was, is, d)
		}
	}
	if banned < 1000 || free < 1000 {
		t.Errorf("%d were banned and %d not: too few to mean anything", banned, free)
	}
}

// TestReplacedCountDenied counts refused requests from now on, and loses nothing.
func TestReplacedCountDenied(t *testing.T) {
	for _, a := range []limit.Algorithm{limit.FixedWindow, limit.SlidingLog, limit.SlidingWindow, limit.Quota, limit.TokenBucket, limit.RefillBucket} {
		p := limit.Policy{Algorithm: a, Limit: 5, Window: time.Hour}
		for range 2 {
			table := mustTable(t, enforce.Options{}, false, entry(p))
			table.TakeAt(origin, "k", 3)
			p.CountDenied = !p.CountDenied
			replace(t, table, entry(p))
			if d := table.TakeAt(origin, "k", 0); d.Remaining != 2 {
				t.Errorf("%v: remaining %d, want 2", p, d.Remaining)
			}
		}
	}
}

// TestReplacedAfresh drops counts that mean nothing to the new policy, and keys
// of policies that are gone.
func TestReplacedAfresh(t *testing.T) {
	p := limit.Policy{Name: "a", Algorithm: limit.FixedWindow, Limit: 1, Window: time.Hour}
	other := p
	other.Window = time.Minute
	table := mustTable(t, enforce.Options{MaxKeys: 10}, false, entry(p))
	for i := range 10 {
		table.TakeAt(origin, fmt.Sprint(i), 1)
	}
	replace(t, table, entry(other))
	if d := table.TakeAt(origin, "3", 1); !d.Allowed {
		t.Errorf("with another window: %+v", d)
	}
	replace(t, table, entry(limit.Policy{Name: "b", Limit: 1, Window: time.Second}))
	if st := table.Stats(); st.Keys != 0 {
		t.Errorf("%d keys are counted of a policy that is gone", st.Keys)
	}
	if _, err := table.Replace(enforce.Set{Entries: []enforce.Entry{{}}}); err == nil {
		t.Error("an invalid set was accepted")
	}
	if d := table.TakeAt(origin, "k", 1); !d.Allowed || d.Limit != 1 {
		t.Errorf("after an invalid set: %+v", d)
	}
}

// TestReplacedByID keeps counts together by ID when the order changes, and those
// of a Counter when it gets a member.
func TestReplacedByID(t *testing.T) {
	p := limit.Policy{Algorithm: limit.FixedWindow, Limit: 5, Window: time.Hour}
	a, b := enforce.Entry{ID: "a", Policy: p}, enforce.Entry{ID: "b", Policy: p}
	c, d := enforce.Entry{Counter: "c", Policy: p}, enforce.Entry{Counter: "c", Policy: p}
	d.Limit = 7
	table := mustTable(t, enforce.Options{}, false, a, b, c)
	take := func(entry int, cost int64) limit.Decision {
		return table.Rules().TakeAt(origin, []enforce.Ask{{Entry: entry, Key: "k", Cost: cost}})
	}
	take(0, 1)
	take(1, 2)
	take(2, 3)
	replace(t, table, d, c, b, a)
	for entry, want := range []int64{4, 2, 3, 4} {
		if got := take(entry, 0).Remaining; got != want {
			t.Errorf("entry %d: remaining %d, want %d", entry, got, want)
		}
	}
}

// TestReplaceUnderWay replaces the set while requests come, and loses none.
func TestReplaceUnderWay(t *testing.T) {
	p := limit.Policy{Algorithm: limit.FixedWindow, Limit: 500, Window: time.Hour}
	table := mustTable(t, enforce.Options{Clock: func() time.Time { return origin }}, false, entry(p))
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if table.Take("k", 1).Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	for i := range 100 {
		p.Name, p.WarnAt = fmt.Sprint(i), float64(i%10)/10
		replace(t, table, entry(p))
	}
	wg.Wait()
	if admitted.Load() != 500 {
		t.Errorf("admitted %d, want 500", admitted.Load())
	}
}
