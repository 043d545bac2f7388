//go:build unix

package guard_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/enforce/redis"
	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
	"github.com/weir-dev/weir/limit/limittest"
)

// redisServer starts a real server and returns its address, or skips the test
// where there is none.
func redisServer(t *testing.T) (addr string, p *os.Process) {
	t.Helper()
	path := ""
	for _, name := range []string{"valkey-server", "redis-server"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("neither valkey-server nor redis-server is installed, and CI is set")
		}
		t.Skip("skipped: neither valkey-server nor redis-server is installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Kill() // it may be gone already
		_ = cmd.Wait()
	})
	return addr, cmd.Process
}

func redisStore(t *testing.T, o redis.Options) *redis.Store {
	t.Helper()
	s, err := redis.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for range 500 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err = s.Gates(ctx)
		cancel()
		if err == nil {
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not connected: %v", err)
	return nil
}

// patient is a store's time on a busy machine: no decision is to be made
// without it.
var patient = enforce.SharedOptions{Budget: 30 * time.Second}

// TestExactInStore is TestExact with the counts in Redis.
func TestExactInStore(t *testing.T) {
	addr, _ := redisServer(t)
	var now atomic.Int64
	at := func() time.Time { return origin.Add(time.Duration(now.Load())) }
	store := redisStore(t, redis.Options{Addresses: []string{addr}, Now: at, HoldFor: 10000 * time.Hour})
	policies := limittest.Policies()
	total := 0
	for _, p := range policies {
		t.Run(p.Algorithm.String(), func(t *testing.T) {
			p.Name = t.Name()
			total += exactly(t, guard.Options{Clock: at, Store: store, Shared: patient}, p, &now, 2, exactFor(t)/time.Duration(len(policies)))
		})
	}
	if total == 0 {
		t.Error("nobody asked")
	}
}

// TestExactLiveInStore is TestExactLive with the counts in Redis, whose clock is
// this machine's.
func TestExactLiveInStore(t *testing.T) {
	addr, _ := redisServer(t)
	live(t, guard.Options{Store: redisStore(t, redis.Options{Addresses: []string{addr}}), Shared: patient})
}

// TestLateInStore counts after the answer, and the size of the answer, in Redis.
func TestLateInStore(t *testing.T) {
	addr, _ := redisServer(t)
	store := redisStore(t, redis.Options{Addresses: []string{addr}})
	hour := func(name string, n int64) limit.Policy {
		return limit.Policy{Name: name, Algorithm: limit.Quota, Limit: n, Period: limit.PerYear}
	}
	g, err := guard.New(&policy.File{Policies: []policy.Policy{
		{Policy: hour("failures", 2), CountIf: compile(t, "response.status == 401", expr.Bool)},
		{Policy: hour("bytes", 1000), Cost: policy.Cost{Expr: compile(t, "response.bytes", expr.Int)}},
	}}, guard.Options{Store: store, Shared: patient})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	allowed(t, g, get("/", ""), ok, "+++")
	allowed(t, g, get("/", ""), expr.Response{Status: 401}, "++-")
	if err := g.Replace(&policy.File{Policies: g.File().Policies[1:]}); err != nil {
		t.Fatal(err)
	}
	allowed(t, g, get("/", ""), expr.Response{Bytes: 600}, "++-")
}

// TestStoreFrozen: what becomes of requests while the store is frozen, as each
// policy says, and nothing waits for it.
func TestStoreFrozen(t *testing.T) {
	addr, process := redisServer(t)
	store := redisStore(t, redis.Options{Addresses: []string{addr}})
	p := func(name, word string) policy.Policy {
		return policy.Policy{Policy: limit.Policy{Name: name, Algorithm: limit.FixedWindow, Limit: 2, Window: 1000 * time.Hour}, OnStoreError: word}
	}
	g, err := guard.New(&policy.File{Policies: []policy.Policy{p("local", "local"), p("open", "open"), p("closed", "closed")}},
		guard.Options{Store: store, Shared: enforce.SharedOptions{Budget: 2 * time.Second, Failures: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	check := func(i int) *guard.Verdict { return g.CheckKey(context.Background(), i, "k", 1) }
	for i := range 3 {
		if v := check(i); !v.Allowed || v.Rulings[0].By != enforce.ByPolicy {
			t.Fatalf("policy %d: %+v by %v", i, v.Decision, v.Rulings[0].By)
		}
	}
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	check(0) // this one waits for the budget, and then the store is left alone
	if s := g.Stats().Shared; !s.Degraded {
		t.Fatalf("stats %+v", s)
	}
	for i, want := range []enforce.By{enforce.ByLocal, enforce.ByOpen, enforce.ByClosed} {
		v := check(i)
		if v.Rulings[0].By != want || v.Allowed != (want != enforce.ByClosed) {
			t.Errorf("policy %d: allowed %v by %v, want %v", i, v.Allowed, v.Rulings[0].By, want)
		}
		if want == enforce.ByClosed {
			status, _, _ := v.Answer()
			v.Tell(func(name, value string) { t.Errorf("nobody has decided, and the answer says %s: %s", name, value) })
			if status != 429 {
				t.Errorf("status %d", status)
			}
		}
	}
	if check(0).Allowed {
		t.Error("a third request passed the local limit of two")
	}
	if err := process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for range 6000 {
		if !g.Stats().Shared.Degraded {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if v := check(2); !v.Allowed || v.Rulings[0].By != enforce.ByPolicy {
		t.Errorf("after it is back: %+v by %v", v.Decision, v.Rulings[0].By)
	}
}
