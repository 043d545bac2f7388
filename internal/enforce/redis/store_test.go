//go:build unix

package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/enforce/redis"
	"github.com/weir-dev/weir/limit"
)

func prepare(t testing.TB, store *redis.Store, entries ...enforce.Entry) enforce.Decider {
	t.Helper()
	by, err := store.Prepare(enforce.Set{Entries: entries})
	if err != nil {
		t.Fatal(err)
	}
	return by
}

func take(t testing.TB, by enforce.Decider, asks ...enforce.Ask) limit.Decision {
	t.Helper()
	d, err := by.Take(context.Background(), asks)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestNeverOneMore has 64 goroutines of two processes rush one key, at instants
// that stand still while they do: what passes is what the model admits.
func TestNeverOneMore(t *testing.T) {
	srv := startServer(t)
	var at atomic.Int64
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return base.Add(time.Duration(at.Load())) }
	var stores [2]*redis.Store
	for i := range stores {
		stores[i] = newStore(t, redis.Options{Addresses: []string{srv.addr}, Now: now})
	}
	for n, p := range policies() {
		t.Run(p.String(), func(t *testing.T) {
			e := enforce.Entry{ID: fmt.Sprint(n), Policy: p}
			by := [2]enforce.Decider{prepare(t, stores[0], e), prepare(t, stores[1], e)}
			model, _ := p.New(time.Time{})
			for round := range 10 {
				at.Store(int64(round) * int64(130*time.Millisecond))
				var admitted, failed atomic.Int64
				var wg sync.WaitGroup
				for g := range 64 {
					wg.Go(func() {
						d, err := by[g%2].Take(context.Background(), []enforce.Ask{{Key: "k", Cost: 1}})
						if err != nil {
							failed.Add(1)
						}
						if d.Allowed {
							admitted.Add(1)
						}
					})
				}
				wg.Wait()
				want := int64(0)
				for range 64 {
					if model.Take(now(), 1).Allowed {
						want++
					}
				}
				if got := admitted.Load(); got != want || failed.Load() != 0 {
					t.Fatalf("round %d: admitted %d, want %d; %d failed", round, got, want, failed.Load())
				}
			}
		})
	}
}

// TestServerClock admits for a while by the server's own clock, from 64
// goroutines, no more than the bucket gives in that time.
func TestServerClock(t *testing.T) {
	srv := startServer(t)
	store := newStore(t, redis.Options{Addresses: []string{srv.addr}})
	p := limit.Policy{Limit: 1000, Window: time.Second, Burst: 50}
	by := prepare(t, store, enforce.Entry{Policy: p})
	var admitted, refused atomic.Int64
	start := time.Now()
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for n := 0; n < 10 || time.Since(start) < 400*time.Millisecond; n++ {
				d, err := by.Take(context.Background(), []enforce.Ask{{Key: "k", Cost: 1}})
				switch {
				case err != nil:
					t.Error(err)
					return
				case d.Allowed:
					admitted.Add(1)
				default:
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	most := 50 + int64(took.Seconds()*1000) + 1
	if got := admitted.Load(); got > most || got < 50 || refused.Load() == 0 && took < 500*time.Millisecond {
		t.Errorf("admitted %d in %v, want at most %d; refused %d", got, took, most, refused.Load())
	}
}

// TestExpiry has every key expire, and none before it has been as good as new
// for a second.
func TestExpiry(t *testing.T) {
	srv := startServer(t)
	store := newStore(t, redis.Options{Addresses: []string{srv.addr}, HoldFor: time.Minute})
	keys := regexp.MustCompile(`weir:\{[^}]*\}:[^\r]*`)
	checked := 0
	for _, p := range policies() {
		srv.do("FLUSHALL")
		by := prepare(t, store, enforce.Entry{Policy: p})
		asks := []enforce.Ask{{Key: "k", Cost: min(2, p.Capacity())}}
		begin := time.Now()
		d := take(t, by, asks...)
		key := keys.FindString(srv.do("KEYS", "weir:{*"))
		for _, k := range keys.FindAllString(srv.do("KEYS", "weir:{*"), -1) {
			if !strings.HasPrefix(k, "weir:{gates}") {
				key = k
			}
		}
		ms, err := strconv.Atoi(strings.Trim(srv.do("PTTL", key), ":\r\n"))
		if err != nil || key == "" {
			t.Fatalf("%v: key %q: %v", p, key, err)
		}
		lives, reset := time.Duration(ms)*time.Millisecond, d.ResetAfter
		if reset == limit.Unknown {
			reset = time.Minute
		}
		// Some time has passed since the decision.
		if lives < reset-time.Second/2-time.Since(begin) || lives > reset+2*p.Window+2*time.Second {
			t.Errorf("%v: the key lives for %v, and matters for %v", p, lives, reset)
		}
		checked++
	}
	if checked == 0 {
		t.Error("nothing was checked")
	}
}

// TestBanLastsAsSaid prepares the policy again with a shorter ban and a longer one:
// who is banned stays so for as long as was said, as in a Table.
func TestBanLastsAsSaid(t *testing.T) {
	m := miniredis.RunT(t)
	store := newStore(t, redis.Options{Addresses: []string{m.Addr()}})
	for _, a := range []limit.Algorithm{limit.FixedWindow, limit.SlidingLog, limit.SlidingWindow} {
		p := limit.Policy{Name: a.String(), Algorithm: a, Limit: 2, Window: 10 * time.Second, Ban: time.Hour}
		ask := enforce.Ask{Key: "k", Cost: 1}
		for range 3 {
			take(t, prepare(t, store, enforce.Entry{Policy: p}), ask)
		}
		for _, ban := range []time.Duration{10 * time.Second, 24 * time.Hour, time.Minute} {
			for _, p.CountDenied = range []bool{false, ban < time.Hour} {
				p.Ban = ban
				if d := take(t, prepare(t, store, enforce.Entry{Policy: p}), ask); d.Allowed || d.RetryAfter < 59*time.Minute || d.RetryAfter > time.Hour {
					t.Errorf("%v: refused for %v, and an hour was said", p, d.RetryAfter)
				}
			}
		}
	}
}

// TestExpiredIsFull waits until a key is gone.
func TestExpiredIsFull(t *testing.T) {
	m := miniredis.RunT(t)
	store := newStore(t, redis.Options{Addresses: []string{m.Addr()}})
	by := prepare(t, store, enforce.Entry{Policy: limit.Policy{Limit: 3, Window: 300 * time.Millisecond}})
	take(t, by, enforce.Ask{Key: "k", Cost: 3})
	if n := len(m.Keys()); n != 2 { // and the one of the gates
		t.Fatalf("keys %q", m.Keys())
	}
	m.FastForward(1200 * time.Millisecond)
	if n := len(m.Keys()); n != 2 {
		t.Errorf("gone too early: keys %q", m.Keys())
	}
	m.FastForward(200 * time.Millisecond)
	for _, k := range m.Keys() {
		if !strings.Contains(k, "gates") {
			t.Errorf("the key is still there: %q", k)
		}
	}
}

// TestKeysTellNothing keeps the keys of clients, and anything that could break a
// name, out of the server.
func TestKeysTellNothing(t *testing.T) {
	m := miniredis.RunT(t)
	store := newStore(t, redis.Options{Addresses: []string{m.Addr()}})
	by := prepare(t, store, enforce.Entry{ID: "a}{b\r\n", Policy: hour})
	for _, key := range []string{"someone@example.com", "x}{y", "\r\nFLUSHALL\r\n", strings.Repeat("z", 1<<20), ""} {
		if d := take(t, by, enforce.Ask{Key: key, Cost: 1}); d.Remaining != 999 {
			t.Errorf("key of %d bytes: remaining %d, want 999", len(key), d.Remaining)
		}
	}
	name := regexp.MustCompile(`^weir:\{([A-Za-z0-9_-]{22}|gates)\}(:id-a--b--:[0-9a-f]{16})?$`)
	for _, k := range m.Keys() {
		if !name.MatchString(k) {
			t.Errorf("key %q", k)
		}
	}
	if n := len(m.Keys()); n != 6 {
		t.Errorf("%d keys, want 6", n)
	}
}

// TestSharedAmongProcesses counts together what has the same ID, through another
// limit and another name, and with overrides.
func TestSharedAmongProcesses(t *testing.T) {
	m := miniredis.RunT(t)
	one, two := newStore(t, redis.Options{Addresses: []string{m.Addr()}}), newStore(t, redis.Options{Addresses: []string{m.Addr()}})
	a := enforce.Entry{ID: "x", Policy: hour, Overrides: map[string]limit.Policy{"vip": {Algorithm: limit.FixedWindow, Limit: 5000, Window: 1000 * time.Hour}}}
	b := a
	b.Name, b.Limit = "renamed", 10
	first, second := prepare(t, one, a), prepare(t, two, b)
	take(t, first, enforce.Ask{Key: "k", Cost: 4})
	if d := take(t, second, enforce.Ask{Key: "k", Cost: 1}); d.Remaining != 5 {
		t.Errorf("remaining %d, want 5", d.Remaining)
	}
	if d := take(t, second, enforce.Ask{Key: "vip", Cost: 1}); d.Limit != 5000 || d.Remaining != 4999 {
		t.Errorf("override: %+v", d)
	}
	// A bucket keeps what is missing when its rate changes.
	slow := enforce.Entry{ID: "bucket", Policy: limit.Policy{Limit: 10, Window: time.Hour}}
	fast := slow
	fast.Limit, fast.Window = 100, 10*time.Hour
	take(t, prepare(t, one, slow), enforce.Ask{Key: "k", Cost: 8})
	if d := take(t, prepare(t, two, fast), enforce.Ask{Key: "k", Cost: 0}); d.Remaining != 92 && d.Remaining != 91 {
		t.Errorf("after a change of rate: %+v, want 92 remaining, or a fraction less", d)
	}
	ctx := context.Background()
	if n, err := one.Gates(ctx); n != 2 || err != nil {
		t.Errorf("Gates = %d, %v; want 2", n, err)
	}
}

// TestHeldExpires gives the slots of a process that died back after HoldFor, and
// releases by holder.
func TestHeldExpires(t *testing.T) {
	srv := startServer(t)
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := base
	o := redis.Options{Addresses: []string{srv.addr}, HoldFor: time.Minute, Now: func() time.Time { return at }}
	e := enforce.Entry{Policy: limit.Policy{Algorithm: limit.Concurrency, Limit: 2}}
	dead, alive := prepare(t, newStore(t, o), e), prepare(t, newStore(t, o), e)
	take(t, dead, enforce.Ask{Key: "k", Cost: 1})
	at = base.Add(30 * time.Second)
	mine := []enforce.Ask{{Key: "k", Cost: 1}}
	if d := take(t, alive, mine...); !d.Allowed || d.Remaining != 0 {
		t.Fatalf("second slot: %+v", d)
	}
	if d := take(t, alive, enforce.Ask{Key: "k", Cost: 1}); d.Allowed || d.RetryAfter != limit.Unknown {
		t.Errorf("third: %+v", d)
	}
	at = base.Add(time.Minute)
	if d := take(t, alive, enforce.Ask{Key: "k", Cost: 0}); d.Remaining != 1 {
		t.Errorf("after HoldFor: %+v, want 1 remaining", d)
	}
	if _, err := alive.Take(context.Background(), mine); err != nil {
		t.Fatal(err)
	}
	if err := alive.Release(context.Background(), mine); err != nil {
		t.Fatal(err)
	}
	if d := take(t, alive, enforce.Ask{Key: "k", Cost: 0}); d.Remaining != 1 {
		t.Errorf("after a release: %+v, want 1 remaining", d)
	}
}

// TestCluster asks for several keys in a cluster, where one script may not.
func TestCluster(t *testing.T) {
	srv := startServer(t, "--cluster-enabled", "yes")
	if got := srv.do("CLUSTER", "ADDSLOTSRANGE", "0", "16383"); got != "+OK\r\n" {
		if os.Getenv("CI") != "" {
			t.Fatalf("this server has no CLUSTER ADDSLOTSRANGE: %q", got)
		}
		t.Skipf("skipped: this server has no CLUSTER ADDSLOTSRANGE: %q", got)
	}
	eventually(t, "the cluster is up", func() bool { return strings.Contains(srv.do("CLUSTER", "INFO"), "cluster_state:ok") })
	store := newStore(t, redis.Options{Addresses: []string{srv.addr}, Cluster: true})
	narrow, held := hour, limit.Policy{Algorithm: limit.Concurrency, Limit: 5}
	narrow.Limit = 1
	by := prepare(t, store, enforce.Entry{Policy: held}, enforce.Entry{Policy: hour}, enforce.Entry{Policy: narrow}, enforce.Entry{Policy: hour})
	ask := func() []enforce.Ask {
		return []enforce.Ask{{Entry: 0, Key: "h", Cost: 1}, {Entry: 1, Key: "a", Cost: 1}, {Entry: 2, Key: "b", Cost: 1}, {Entry: 3, Key: "c", Cost: 1}}
	}
	if d := take(t, by, ask()...); !d.Allowed || d.Remaining != 0 || d.Binding != 2 {
		t.Errorf("first: %+v", d)
	}
	if d := take(t, by, ask()...); d.Allowed || d.Binding != 2 {
		t.Errorf("second: %+v", d)
	}
	// What came before the refusal stays taken, but for what was held.
	for i, want := range []int64{4, 998, 0, 999} {
		if d := take(t, by, enforce.Ask{Entry: i, Key: []string{"h", "a", "b", "c"}[i]}); d.Remaining != want {
			t.Errorf("entry %d: remaining %d, want %d", i, d.Remaining, want)
		}
	}
	// Of one key, all or nothing.
	same := []enforce.Ask{{Entry: 1, Key: "s", Cost: 1}, {Entry: 2, Key: "s", Cost: 2}}
	if d := take(t, by, same...); d.Allowed {
		t.Errorf("cost above the limit: %+v", d)
	}
	if d := take(t, by, enforce.Ask{Entry: 1, Key: "s"}); d.Remaining != 1000 {
		t.Errorf("refused for one key: remaining %d, want 1000", d.Remaining)
	}
}

// TestTLS speaks TLS to a server whose certificate it can check, and not to
// another.
func TestTLS(t *testing.T) {
	cert, roots := certificate(t)
	m := miniredis.NewMiniRedis()
	if err := m.StartTLS(&tls.Config{Certificates: []tls.Certificate{cert}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	by := prepare(t, newStore(t, redis.Options{Addresses: []string{m.Addr()}, TLS: &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}}), enforce.Entry{Policy: hour})
	if d := take(t, by, enforce.Ask{Key: "k", Cost: 1}); !d.Allowed {
		t.Errorf("over TLS: %+v", d)
	}
	store, err := redis.New(redis.Options{Addresses: []string{m.Addr()}, TLS: &tls.Config{ServerName: "127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	eventually(t, "the certificate is refused", func() bool {
		_, err := store.Gates(context.Background())
		return err != nil && strings.Contains(err.Error(), "certificate")
	})
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) {
		t.Fatal("no certificate")
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// TestUnixSocket reaches a server by the path of its socket.
func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "weir") // short: a socket's path has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	startServer(t, "--unixsocket", path)
	by := prepare(t, newStore(t, redis.Options{Addresses: []string{path}}), enforce.Entry{Policy: hour})
	if d := take(t, by, enforce.Ask{Key: "k", Cost: 1}); !d.Allowed {
		t.Errorf("by socket: %+v", d)
	}
}

func TestPrepareRefuses(t *testing.T) {
	store, err := redis.New(redis.Options{Addresses: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	for want, p := range map[string]limit.Policy{
		"window: must be whole microseconds": {Limit: 1, Window: 1500},
		"limit: must be at most":             {Algorithm: limit.SlidingLog, Limit: 1 << 60, Window: time.Second},
		"burst: takes longer than 71 years":  {Limit: 1, Window: 24 * time.Hour, Burst: 100_000},
		"limit: must be at least 1":          {},
		"phase: must be whole microseconds":  {Algorithm: limit.FixedWindow, Limit: 1, Window: time.Second, Phase: 1},
	} {
		if _, err := store.Prepare(enforce.Set{Entries: []enforce.Entry{{Policy: p}}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Prepare(%v) = %v, want it to say %q", p, err, want)
		}
	}
	for want, o := range map[string]redis.Options{"no address": {}, "database": {Addresses: []string{"x"}, DB: -1}} {
		if _, err := redis.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%+v) = %v, want it to say %q", o, err, want)
		}
	}
}

// BenchmarkTake asks a real server from 64 goroutines.
func BenchmarkTake(b *testing.B) {
	srv := startServer(b)
	by := prepare(b, newStore(b, redis.Options{Addresses: []string{srv.addr}}), enforce.Entry{Policy: limit.Policy{Limit: 1000, Window: time.Second}})
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		asks := []enforce.Ask{{Key: "k", Cost: 1}}
		for pb.Next() {
			if _, err := by.Take(context.Background(), asks); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
