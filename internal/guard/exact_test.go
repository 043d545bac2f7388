package guard_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
	"github.com/weir-dev/weir/limit/limittest"
)

// exactFor is how long the test below lasts: WEIR_EXACT_FOR, such as 30s, or
// half a second.
func exactFor(t *testing.T) time.Duration {
	text := os.Getenv("WEIR_EXACT_FOR")
	if text == "" {
		return 500 * time.Millisecond
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("WEIR_EXACT_FOR: %v", err)
	}
	return d
}

// TestExact has 64 clients ask for one key at once, as fast as they can. The
// instants at which they were decided and what was said are then put to the
// model, one after the other: it must admit exactly as many, and none more in
// any round.
func TestExact(t *testing.T) {
	policies := limittest.Policies()
	budget := exactFor(t) / time.Duration(len(policies))
	total := 0
	for _, p := range policies {
		t.Run(p.Algorithm.String(), func(t *testing.T) {
			var now atomic.Int64
			at := func() time.Time { return origin.Add(time.Duration(now.Load())) }
			total += exactly(t, guard.Options{Clock: at}, p, &now, 8, budget)
		})
	}
	if total == 0 {
		t.Error("nobody asked")
	}
}

// exactly lets rounds of 64 clients run, each client some requests, while the
// clock stands; it moves between the rounds.
func exactly(t *testing.T, o guard.Options, p limit.Policy, now *atomic.Int64, each int, budget time.Duration) (asked int) {
	t.Helper()
	const clients = 64
	g, err := guard.New(&policy.File{Policies: []policy.Policy{{Policy: p, Key: policy.Key{Kind: policy.IP}}}}, o)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	model, err := p.New(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	step := max(p.Window/time.Duration(3*p.Limit), time.Millisecond).Truncate(time.Microsecond)
	end := time.Now().Add(budget)
	admitted := 0
	for round := 0; round < 3 || time.Now().Before(end); round++ {
		var got atomic.Int64
		var held sync.Map
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				s := &expr.Subject{Method: "GET", Path: "/", IP: "one key"}
				for i := range each {
					v := g.Check(context.Background(), s)
					if v.Rulings[0].By != enforce.ByPolicy {
						t.Errorf("decided by %v", v.Rulings[0].By)
					}
					if v.Allowed {
						got.Add(1)
						held.Store(fmt.Sprint(c, i), v)
					}
				}
			})
		}
		wg.Wait()
		want := 0
		for range clients * each {
			if model.Take(o.Clock(), 1).Allowed {
				want++
			}
		}
		asked, admitted = asked+clients*each, admitted+want
		if int(got.Load()) != want {
			t.Fatalf("round %d: admitted %d of %d, the model %d", round, got.Load(), clients*each, want)
		}
		held.Range(func(_, v any) bool {
			v.(*guard.Verdict).Done(expr.Response{Status: 200})
			if r, ok := model.(limit.Releaser); ok {
				r.Release(o.Clock(), 1)
			}
			return true
		})
		now.Add(int64(step) * int64(1+round%7))
	}
	t.Logf("%d requests, %d admitted: as many as by the model", asked, admitted)
	return asked
}

// TestExactLive is the same with clocks that run: 64 clients ask for one key
// without a pause, over many windows. No more than the limit passes in any of
// them; when WEIR_EXACT_FOR gives the time that it takes, exactly the limit.
func TestExactLive(t *testing.T) {
	live(t, guard.Options{})
}

func live(t *testing.T, o guard.Options) {
	t.Helper()
	p := limit.Policy{Name: t.Name(), Algorithm: limit.FixedWindow, Limit: 100, Window: 200 * time.Millisecond}
	if os.Getenv("WEIR_EXACT_FOR") != "" {
		p.Window = time.Second // long enough to be used up on a machine with other work
	}
	g, err := guard.New(&policy.File{Policies: []policy.Policy{{Policy: p, Key: policy.Key{Kind: policy.IP}}}}, o)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	window := func() int64 { return time.Now().UnixNano() / int64(p.Window) }
	// From the middle of a window to the middle of another, so that the first and
	// the last are long enough to be used up.
	middle := func(n int64) time.Time { return time.Unix(0, n*int64(p.Window)+int64(p.Window)/2) }
	first := window() + 1
	last := first + max(2, int64(exactFor(t)/p.Window))
	time.Sleep(time.Until(middle(first)))
	var asked, admitted atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			s := &expr.Subject{Method: "GET", Path: "/", IP: "one key"}
			for time.Now().Before(middle(last)) {
				v := g.Check(context.Background(), s)
				asked.Add(1)
				if v.Rulings[0].By != enforce.ByPolicy {
					t.Errorf("decided by %v", v.Rulings[0].By)
					return
				}
				if v.Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	ended := window() // a busy machine is late
	most := (ended - first + 1) * p.Limit
	t.Logf("%d requests in %d windows: %d admitted, the policy gives %d", asked.Load(), ended-first+1, admitted.Load(), most)
	if got := admitted.Load(); got > most || got < min(asked.Load(), p.Limit) { // a machine that stands still asks less
		t.Errorf("%d admitted, want at most %d", got, most)
	} else if got != most && os.Getenv("WEIR_EXACT_FOR") != "" {
		t.Errorf("%d admitted, want %d", got, most)
	}
}
