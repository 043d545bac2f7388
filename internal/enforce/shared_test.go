package enforce_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/limit"
)

// fake is a Store in this process: a Table that several Shared ask. It can fail
// and hang.
type fake struct {
	mu    sync.Mutex
	table *enforce.Table
	clock func() time.Time
	gates atomic.Int64
	err   atomic.Pointer[error]
	hang  atomic.Bool
	asked atomic.Int64
	slow  atomic.Int64 // how long each answer takes, ns
	units atomic.Int64 // asked for
}

func (f *fake) fail(err error) {
	if err == nil {
		f.err.Store(nil)
		return
	}
	f.err.Store(&err)
}

func (f *fake) state(ctx context.Context) error {
	if f.hang.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *fake) Prepare(set enforce.Set) (enforce.Decider, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.table == nil {
		t, err := enforce.New(set, enforce.Options{Clock: f.clock})
		if err != nil {
			return nil, err
		}
		f.table = t
	}
	if _, err := f.table.Replace(set); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *fake) Gates(ctx context.Context) (int, error) {
	time.Sleep(time.Duration(f.slow.Load()))
	return int(max(1, f.gates.Load())), f.state(ctx)
}

func (f *fake) Take(ctx context.Context, asks []enforce.Ask) (limit.Decision, error) {
	f.asked.Add(1)
	for _, a := range asks {
		f.units.Add(a.Cost)
	}
	time.Sleep(time.Duration(f.slow.Load()))
	if err := f.state(ctx); err != nil {
		return limit.Decision{}, err
	}
	return f.table.Rules().Take(asks), nil
}

func (f *fake) Release(ctx context.Context, asks []enforce.Ask) error {
	if err := f.state(ctx); err != nil {
		return err
	}
	f.table.Rules().Release(asks)
	return nil
}

func mustShared(t testing.TB, f *fake, o enforce.SharedOptions, entries ...enforce.Entry) *enforce.Shared {
	t.Helper()
	s, err := enforce.NewShared(enforce.Set{Entries: entries}, f, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func takeOne(s *enforce.Shared, entry int, cost int64) (limit.Decision, enforce.By) {
	asks := []enforce.Ask{{Entry: entry, Key: "k", Cost: cost}}
	d := s.Rules().Take(context.Background(), asks)
	return d, asks[0].By
}

// TestSharedBudget waits for the budget a few times, and then not at all, until
// the store answers again.
func TestSharedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := mustShared(t, f, enforce.SharedOptions{Budget: 10 * time.Millisecond, Failures: 5, Probe: time.Second}, entry(limit.Policy{Algorithm: limit.FixedWindow, Limit: 100, Window: 24 * time.Hour}))
		defer s.Close()
		synctest.Wait()
		if _, by := takeOne(s, 0, 1); by != enforce.ByPolicy {
			t.Fatalf("decided by %v", by)
		}
		f.hang.Store(true)
		for i := range 8 {
			start := time.Now()
			d, by := takeOne(s, 0, 1)
			want := 10 * time.Millisecond
			if i >= 5 {
				want = 0
			}
			if took := time.Since(start); took != want || !d.Allowed || by != enforce.ByLocal {
				t.Errorf("request %d: %+v by %v in %v, want allowed by local in %v", i, d, by, took, want)
			}
		}
		if st := s.Stats(); !st.Degraded || st.Timeouts != 5 || st.Local != 8 || st.Gates != 1 {
			t.Errorf("stats %+v", st)
		}
		f.hang.Store(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if _, by := takeOne(s, 0, 1); by != enforce.ByPolicy || s.Stats().Degraded {
			t.Errorf("after recovery: by %v, %+v", by, s.Stats())
		}
	})
}

// TestSharedSlow leaves a store alone that answers, and too late.
func TestSharedSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := mustShared(t, f, enforce.SharedOptions{Budget: 10 * time.Millisecond, Failures: 2}, entry(limit.Policy{Limit: 100, Window: time.Hour}))
		defer s.Close()
		synctest.Wait()
		f.hang.Store(true)
		takeOne(s, 0, 1)
		takeOne(s, 0, 1)
		f.hang.Store(false)
		f.slow.Store(int64(30 * time.Millisecond))
		time.Sleep(10 * time.Second)
		if !s.Stats().Degraded {
			t.Error("brought back, though it answers in three times the budget")
		}
		asked := f.asked.Load()
		takeOne(s, 0, 1)
		if f.asked.Load() != asked {
			t.Error("asked while it is left alone")
		}
		f.slow.Store(int64(3 * time.Millisecond))
		time.Sleep(10 * time.Second)
		if s.Stats().Degraded {
			t.Errorf("not brought back: %+v", s.Stats())
		}
	})
}

// TestSharedDividesLimits keeps a share of each limit when the store is away.
func TestSharedDividesLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.gates.Store(4)
		window := 24 * time.Hour
		s := mustShared(t, f, enforce.SharedOptions{Failures: 1},
			entry(limit.Policy{Algorithm: limit.FixedWindow, Limit: 100, Window: window}),
			entry(limit.Policy{Limit: 10, Window: window, Burst: 3}),
			entry(limit.Policy{Algorithm: limit.LeakyBucket, Limit: 1, Window: window, Burst: 19, Undelayed: 19}),
			enforce.Entry{Policy: limit.Policy{Algorithm: limit.Quota, Limit: 8, Period: limit.PerYear}, Overrides: map[string]limit.Policy{"k": {Algorithm: limit.Quota, Limit: 80, Period: limit.PerYear}}},
		)
		defer s.Close()
		time.Sleep(time.Second)
		synctest.Wait()
		f.fail(errors.New("gone"))
		for entry, want := range []int64{25, 1, 5, 20} {
			if d, by := takeOne(s, entry, 0); d.Remaining != want || by != enforce.ByLocal {
				t.Errorf("entry %d: %d remaining by %v, want %d", entry, d.Remaining, by, want)
			}
		}
		// More processes: what was spent stays spent.
		takeOne(s, 0, 20)
		f.fail(nil)
		f.gates.Store(5)
		time.Sleep(time.Second)
		synctest.Wait()
		f.fail(errors.New("gone again"))
		if d, _ := takeOne(s, 0, 0); d.Remaining != 0 || d.Limit != 20 {
			t.Errorf("of five: %+v, want 0 of 20 remaining", d)
		}
		if st := s.Stats(); st.LastError != "gone again" || st.Gates != 5 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestSharedModes mixes the three ways in one request, and in shadow.
func TestSharedModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		p := limit.Policy{Algorithm: limit.FixedWindow, Limit: 2, Window: 24 * time.Hour}
		s := mustShared(t, f, enforce.SharedOptions{Failures: 1, Probe: time.Hour},
			entry(p), enforce.Entry{Policy: p, OnStoreError: enforce.StoreErrorOpen}, enforce.Entry{Policy: p, OnStoreError: enforce.StoreErrorClosed},
			enforce.Entry{Policy: p, OnStoreError: enforce.StoreErrorClosed, Shadow: true})
		defer s.Close()
		synctest.Wait()
		f.fail(errors.New("gone"))
		take := func(entries ...int) (limit.Decision, []enforce.Ask) {
			var asks []enforce.Ask
			for _, e := range entries {
				asks = append(asks, enforce.Ask{Entry: e, Key: "k", Cost: 1})
			}
			return s.Rules().Take(context.Background(), asks), asks
		}
		d, asks := take(1, 0, 3)
		if !d.Allowed || d.Binding != 1 || d.Remaining != 1 || asks[0].By != enforce.ByOpen || asks[1].By != enforce.ByLocal || asks[2].By != enforce.ByClosed || asks[2].Decision.Allowed {
			t.Errorf("open, local and closed in shadow: %+v, %+v", d, asks)
		}
		if d, _ := take(0, 2); d.Allowed || d.Binding != 1 || d.RetryAfter != limit.Unknown {
			t.Errorf("local and closed: %+v", d)
		}
		if d, _ := take(0); !d.Allowed || d.Remaining != 0 {
			t.Errorf("a refused request has taken locally: %+v", d)
		}
		for by, want := range map[enforce.By]bool{enforce.ByPolicy: false, enforce.ByOverflow: false, enforce.ByLease: false, enforce.ByLocal: true, enforce.ByOpen: true, enforce.ByClosed: true} {
			if by.Degraded() != want || by.String() == "unknown" {
				t.Errorf("%v: degraded %v, want %v", by, by.Degraded(), want)
			}
		}
	})
}

// TestSharedCancelled blames the store for no client that goes away.
func TestSharedCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := mustShared(t, f, enforce.SharedOptions{Failures: 1, Probe: time.Hour}, entry(limit.Policy{Limit: 5, Window: time.Hour}))
		defer s.Close()
		synctest.Wait()
		f.hang.Store(true)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Rules().Take(ctx, []enforce.Ask{{Key: "k", Cost: 1}})
		if st := s.Stats(); st.Degraded || st.Errors != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestSharedRelease gives back where it was taken.
func TestSharedRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		s := mustShared(t, f, enforce.SharedOptions{Failures: 1, Probe: time.Second}, entry(limit.Policy{Algorithm: limit.Concurrency, Limit: 2}))
		defer s.Close()
		synctest.Wait()
		stored := []enforce.Ask{{Key: "k", Cost: 1}}
		s.Rules().Take(context.Background(), stored)
		f.fail(errors.New("gone"))
		takeOne(s, 0, 0)
		local := []enforce.Ask{{Key: "k", Cost: 2}}
		if d := s.Rules().Take(context.Background(), local); !d.Allowed {
			t.Fatalf("local: %+v", d)
		}
		s.Rules().Release(context.Background(), local)
		if d, _ := takeOne(s, 0, 0); d.Remaining != 2 {
			t.Errorf("local after release: %+v", d)
		}
		f.fail(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.Rules().Release(context.Background(), stored)
		if d, by := takeOne(s, 0, 0); d.Remaining != 2 || by != enforce.ByPolicy {
			t.Errorf("stored after release: %+v by %v", d, by)
		}
	})
}

// TestLeaseBound has N processes take leases of B units, and looks for the most
// that passes in a span of time: never more than what the policy admits in it
// and min(N·(B−1), rate·TTL) more. An adversary comes close.
func TestLeaseBound(t *testing.T) {
	policy := limit.Policy{Limit: 1000, Window: time.Second, Burst: 100}
	for _, c := range []struct {
		n    int
		size int64
		hold time.Duration
	}{{4, 10, time.Second}, {16, 10, time.Second}, {16, 50, 200 * time.Millisecond}, {16, 50, time.Second}, {3, 1, time.Second}} {
		// An adversary gathers leases for that part of their time; below zero,
		// requests come at random.
		for _, gather := range []float64{-1, 0.25, 0.99, 4} {
			adversary := gather > 0
			name := fmt.Sprintf("N %d, B %d, TTL %v, gather %v", c.n, c.size, c.hold, gather)
			t.Run(name, func(t *testing.T) {
				now := origin
				clock := func() time.Time { return now }
				f := &fake{clock: clock}
				gates := make([]*enforce.Shared, c.n)
				for i := range gates {
					gates[i] = mustShared(t, f, enforce.SharedOptions{Budget: time.Hour, Local: enforce.Options{Clock: clock}},
						enforce.Entry{ID: "x", Policy: policy, Lease: enforce.Lease{Size: c.size, For: c.hold}})
					defer gates[i].Close()
				}
				bound := min(int64(c.n)*(c.size-1), int64(c.hold)*policy.Limit/int64(policy.Window))
				// What may pass is what a bucket with so much more room admits.
				wide := policy
				wide.Burst += bound
				strict, _ := wide.New(time.Time{})
				exact, _ := policy.New(time.Time{})
				passed, beyond := 0, int64(0)
				hit := func(gate int) bool {
					d, by := takeOne(gates[gate], 0, 1)
					if by.Degraded() {
						t.Fatalf("decided by %v", by)
					}
					if !d.Allowed {
						if d.RetryAfter <= 0 {
							t.Fatalf("refused without a wait: %+v", d)
						}
						return false
					}
					passed++
					if !strict.Take(now, 1).Allowed {
						t.Fatalf("at %v one more passed than policy and bound allow", now.Sub(origin))
					}
					if !exact.Take(now, 1).Allowed {
						beyond++
					}
					return true
				}
				random := rand.New(rand.NewPCG(1, 2))
				if adversary {
					// Each process takes a lease and spends one of it, and then all rush.
					for round := range 5 {
						now = origin.Add(time.Duration(round+1) * 20 * time.Second)
						for g := range gates {
							hit(g)
							now = now.Add(time.Duration(gather * float64(c.hold) / float64(c.n)))
						}
						for range 60 {
							for g := range gates {
								for hit(g) {
								}
							}
						}
					}
					if c.size > 1 && gather < 1 && beyond == 0 {
						t.Error("the adversary got nothing: nothing was tested")
					}
				} else {
					for range 20_000 {
						now = now.Add(time.Duration(random.Int64N(int64(900 * time.Microsecond))))
						hit(random.IntN(c.n))
					}
					// Over the long run, no more than the rate.
					if most := 100 + int64(now.Sub(origin).Seconds()*1000) + bound; int64(passed) > most {
						t.Errorf("%d passed, want at most %d", passed, most)
					}
				}
				if passed == 0 {
					t.Error("nothing passed")
				}
				t.Logf("passed %d, %d beyond the policy (bound %d), %d asked of the store", passed, beyond, bound, f.asked.Load())
			})
		}
	}
}

// TestLeaseSaves asks the store about once for each lease.
func TestLeaseSaves(t *testing.T) {
	now := origin
	clock := func() time.Time { return now }
	f := &fake{clock: clock}
	s := mustShared(t, f, enforce.SharedOptions{Budget: time.Hour, Local: enforce.Options{Clock: clock}},
		enforce.Entry{Policy: limit.Policy{Limit: 1000, Window: time.Second}, Lease: enforce.Lease{Size: 50, For: time.Second}})
	defer s.Close()
	for range 5000 {
		now = now.Add(2 * time.Millisecond)
		if d, _ := takeOne(s, 0, 1); !d.Allowed {
			t.Fatalf("refused at half the rate: %+v", d)
		}
	}
	if n := f.asked.Load(); n != 100 {
		t.Errorf("asked %d times for 5,000 requests, want 100", n)
	}
	// Refusals are remembered: a client that does not wait costs nothing.
	takeOne(s, 0, 1000)
	for range 1000 {
		takeOne(s, 0, 1000)
	}
	if n := f.asked.Load(); n > 110 {
		t.Errorf("asked %d times", n)
	}
	if s.Stats().Leased == 0 {
		t.Error("no decision is said to be from a lease")
	}
}

// TestLeaseOneAtATime has many ask at once: one takes a lease, the others what
// they need. Else a process would hold more than the bound reckons with.
func TestLeaseOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.slow.Store(int64(5 * time.Millisecond))
		s := mustShared(t, f, enforce.SharedOptions{Probe: time.Hour},
			enforce.Entry{Policy: limit.Policy{Limit: 1000, Window: time.Hour}, Lease: enforce.Lease{Size: 50, For: time.Second}})
		defer s.Close()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { takeOne(s, 0, 1) })
		}
		wg.Wait()
		if got := f.units.Load(); got != 50+19 {
			t.Errorf("%d units were asked for, want 69", got)
		}
	})
}

// TestLeaseRetryIsTrue waits as long as it is told, and passes.
func TestLeaseRetryIsTrue(t *testing.T) {
	now := origin
	clock := func() time.Time { return now }
	f := &fake{clock: clock}
	s := mustShared(t, f, enforce.SharedOptions{Budget: time.Hour, Local: enforce.Options{Clock: clock}},
		enforce.Entry{Policy: limit.Policy{Limit: 7, Window: time.Second}, Lease: enforce.Lease{Size: 5, For: time.Second}})
	defer s.Close()
	random := rand.New(rand.NewPCG(3, 4))
	refused := 0
	for range 3000 {
		now = now.Add(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
		cost := 1 + random.Int64N(6)
		d, _ := takeOne(s, 0, cost)
		if d.Allowed {
			continue
		}
		refused++
		if d.RetryAfter <= 0 || d.RetryAfter > time.Second {
			t.Fatalf("cost %d: %+v", cost, d)
		}
		now = now.Add(d.RetryAfter)
		if again, _ := takeOne(s, 0, cost); !again.Allowed {
			t.Fatalf("cost %d refused again after %v: %+v", cost, d.RetryAfter, again)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}
