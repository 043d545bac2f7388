//go:build unix

package redis_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/enforce/redis"
	"github.com/weir-dev/weir/limit"
)

const budget = 20 * time.Millisecond

// late is far beyond the budget, for a machine that has much else to do, and far
// below what a client waits that ignores its deadline.
const late = 3 * time.Second

func newShared(t *testing.T, store *redis.Store, entries ...enforce.Entry) *enforce.Shared {
	t.Helper()
	s, err := enforce.NewShared(enforce.Set{Entries: entries}, store, enforce.SharedOptions{Budget: budget, Failures: 3, Probe: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// eventually waits for a condition that is sure to come.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

var hour = limit.Policy{Algorithm: limit.FixedWindow, Limit: 1000, Window: 1000 * time.Hour}

// three are the ways to decide without the store.
func three() []enforce.Entry {
	return []enforce.Entry{
		{ID: "local", Policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 2, Window: 1000 * time.Hour}},
		{ID: "open", Policy: hour, OnStoreError: enforce.StoreErrorOpen},
		{ID: "closed", Policy: hour, OnStoreError: enforce.StoreErrorClosed},
	}
}

// expectDegraded asks all three at once, again and again, and checks how each
// decides and that none waits.
func expectDegraded(t *testing.T, s *enforce.Shared) {
	t.Helper()
	for i, want := range [][3]bool{{true, true, false}, {true, true, false}, {false, true, false}} {
		for entry, by := range []enforce.By{enforce.ByLocal, enforce.ByOpen, enforce.ByClosed} {
			asks := []enforce.Ask{{Entry: entry, Key: "k", Cost: 1}}
			start := time.Now()
			d := s.Rules().Take(context.Background(), asks)
			if took := time.Since(start); took > late {
				t.Errorf("a decision took %v, with a budget of %v", took, budget)
			}
			if d.Allowed != want[entry] || asks[0].By != by {
				t.Errorf("request %d: entry %d: %+v by %v, want allowed %v by %v", i, entry, d, asks[0].By, want[entry], by)
			}
		}
	}
	eventually(t, "degraded", func() bool {
		s.Rules().Take(context.Background(), []enforce.Ask{{Entry: 1, Key: "k", Cost: 1}})
		return s.Stats().Degraded
	})
	if st := s.Stats(); st.LastError == "" || st.Errors == 0 || st.Since.IsZero() || st.Local == 0 || st.Open == 0 || st.Closed == 0 {
		t.Errorf("stats %+v", st)
	}
}

func expectStored(t *testing.T, s *enforce.Shared) {
	t.Helper()
	eventually(t, "decided by the store", func() bool {
		asks := []enforce.Ask{{Entry: 2, Key: "k", Cost: 1}}
		return s.Rules().Take(context.Background(), asks).Allowed && asks[0].By == enforce.ByPolicy
	})
	if st := s.Stats(); st.Degraded {
		t.Errorf("stats %+v", st)
	}
}

func TestFrozen(t *testing.T) {
	srv := startServer(t)
	s := newShared(t, newStore(t, redis.Options{Addresses: []string{srv.addr}}), three()...)
	expectStored(t, s)
	srv.signal(syscall.SIGSTOP)
	expectDegraded(t, s)
	if s.Stats().Timeouts == 0 {
		t.Error("no timeout was counted")
	}
	srv.signal(syscall.SIGCONT)
	expectStored(t, s)
}

// TestFrozenWhileConnecting freezes the server and ends its connections, so that
// a new one is accepted by the kernel and never answered.
func TestFrozenWhileConnecting(t *testing.T) {
	srv := startServer(t)
	p := newProxy(t, srv.addr)
	s := newShared(t, newStore(t, redis.Options{Addresses: []string{p.addr}}), three()...)
	expectStored(t, s)
	srv.signal(syscall.SIGSTOP)
	p.cut()
	expectDegraded(t, s)
	srv.signal(syscall.SIGCONT)
	expectStored(t, s)
}

// TestNoWaitForAConnection has one caller connect, who has the time, and another
// who has not.
func TestNoWaitForAConnection(t *testing.T) {
	srv := startServer(t)
	p := newProxy(t, srv.addr)
	store := newStore(t, redis.Options{Addresses: []string{p.addr}})
	by, err := store.Prepare(enforce.Set{Entries: []enforce.Entry{{Policy: hour}}})
	if err != nil {
		t.Fatal(err)
	}
	p.delay.Store(int64(30 * time.Second))
	before := p.accepted.Load()
	p.cut()
	var patient sync.WaitGroup
	patient.Go(func() {
		for p.accepted.Load() == before {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			store.Gates(ctx) // fails, the first time, since the connection is gone
			cancel()
		}
	})
	eventually(t, "connecting", func() bool { return p.accepted.Load() > before })
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	if _, err := by.Take(ctx, []enforce.Ask{{Key: "k", Cost: 1}}); err == nil {
		t.Error("an answer came through a connection that is being made")
	}
	if took := time.Since(start); took > late {
		t.Errorf("a decision took %v, with a budget of %v", took, budget)
	}
	p.delay.Store(0)
	patient.Wait()
}

func TestStoppedAndRestarted(t *testing.T) {
	srv := startServer(t)
	s := newShared(t, newStore(t, redis.Options{Addresses: []string{srv.addr}}), three()...)
	expectStored(t, s)
	srv.stop()
	expectDegraded(t, s)
	srv.start()
	expectStored(t, s)
}

// TestNotThereAtFirst starts degraded, and comes into its own.
func TestNotThereAtFirst(t *testing.T) {
	srv := startServer(t)
	srv.stop()
	store, err := redis.New(redis.Options{Addresses: []string{srv.addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	s := newShared(t, store, three()...)
	expectDegraded(t, s)
	srv.start()
	expectStored(t, s)
}

func TestSlow(t *testing.T) {
	srv := startServer(t)
	p := newProxy(t, srv.addr)
	s := newShared(t, newStore(t, redis.Options{Addresses: []string{p.addr}}), three()...)
	expectStored(t, s)
	p.delay.Store(int64(200 * time.Millisecond))
	expectDegraded(t, s)
	p.delay.Store(0)
	expectStored(t, s)
}

// TestScriptFlushed goes on without a failed decision.
func TestScriptFlushed(t *testing.T) {
	srv := startServer(t)
	store := newStore(t, redis.Options{Addresses: []string{srv.addr}})
	by, err := store.Prepare(enforce.Set{Entries: []enforce.Entry{{Policy: hour}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		d, err := by.Take(context.Background(), []enforce.Ask{{Key: "k", Cost: 1}})
		if err != nil || d.Remaining != int64(999-i) {
			t.Fatalf("after %d flushes: %+v, %v", i, d, err)
		}
		if got := srv.do("SCRIPT", "FLUSH"); got != "+OK\r\n" {
			t.Fatalf("SCRIPT FLUSH = %q", got)
		}
	}
}

// TestTimedOutIsSpent freezes the server during a decision: it is not asked
// again, and runs when the server wakes.
func TestTimedOutIsSpent(t *testing.T) {
	srv := startServer(t)
	store := newStore(t, redis.Options{Addresses: []string{srv.addr}})
	by, err := store.Prepare(enforce.Set{Entries: []enforce.Entry{{Policy: hour}}})
	if err != nil {
		t.Fatal(err)
	}
	take := func(within time.Duration) (limit.Decision, error) {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		return by.Take(ctx, []enforce.Ask{{Key: "k", Cost: 1}})
	}
	if d, err := take(time.Minute); err != nil || d.Remaining != 999 {
		t.Fatalf("first: %+v, %v", d, err)
	}
	srv.signal(syscall.SIGSTOP)
	if d, err := take(budget); err == nil {
		t.Errorf("frozen: %+v, want an error", d)
	}
	srv.signal(syscall.SIGCONT)
	look := func() int64 {
		d, err := by.Take(context.Background(), []enforce.Ask{{Key: "k"}})
		if err != nil {
			t.Fatal(err)
		}
		return d.Remaining
	}
	// It may come by another connection than the look that follows it.
	eventually(t, "the one that timed out counts", func() bool { return look() == 998 })
	if d, err := take(time.Minute); err != nil || d.Remaining != 997 {
		t.Errorf("after: %+v, %v; want 997: the one in between counts once", d, err)
	}
}

// proxy passes bytes on to a server, late if it is told to, and can end all
// connections.
type proxy struct {
	addr     string
	delay    atomic.Int64
	accepted atomic.Int64
	mu       sync.Mutex
	conns    []net.Conn
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			up, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, c, up)
			p.mu.Unlock()
			work.Go(func() { p.pass(up, c) })
			work.Go(func() { p.pass(c, up) })
		}
	})
	t.Cleanup(func() { p.delay.Store(0); l.Close(); p.cut(); work.Wait() })
	return p
}

func (p *proxy) pass(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		for begin := time.Now(); time.Since(begin) < time.Duration(p.delay.Load()); { // until it is told otherwise
			time.Sleep(min(5*time.Millisecond, time.Duration(p.delay.Load())))
		}
		if _, werr := to.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// TestAuth needs the password, and shows it in no error.
func TestAuth(t *testing.T) {
	const secret = "s3cret-of-the-store"
	srv := startServer(t, "--requirepass", secret)
	good := newShared(t, newStore(t, redis.Options{Addresses: []string{srv.addr}, Password: secret}), three()...)
	expectStored(t, good)

	store, err := redis.New(redis.Options{Addresses: []string{srv.addr}, Password: "wrong-" + secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	bad := newShared(t, store, three()...)
	eventually(t, "refused by the server", func() bool { return strings.Contains(bad.Stats().LastError, "WRONGPASS") })
	if text := bad.Stats().LastError; strings.Contains(text, secret) {
		t.Errorf("the password is in the error: %s", text)
	}
}
