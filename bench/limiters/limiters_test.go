package limiters

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"
	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
	ulule "github.com/ulule/limiter/v3"
	ululememory "github.com/ulule/limiter/v3/drivers/store/memory"
	"golang.org/x/time/rate"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/enforce/redis"
	"github.com/weir-dev/weir/limit"
)

// Every limiter gives 100 a second to each key, or the nearest to it.
const perSecond = 100

// contenders return what decides for a key.
var contenders = []struct {
	name string
	make func(testing.TB) func(key string)
}{
	{"weir", func(t testing.TB) func(string) {
		table, err := enforce.New(enforce.Set{Entries: []enforce.Entry{{Policy: limit.Policy{Limit: perSecond, Window: time.Second}}}}, enforce.Options{})
		must(t, err)
		return func(key string) { table.Take(key, 1) }
	}},
	{"x-time-rate", func(testing.TB) func(string) {
		var limiters sync.Map
		return func(key string) {
			l, ok := limiters.Load(key)
			if !ok {
				l, _ = limiters.LoadOrStore(key, rate.NewLimiter(perSecond, perSecond))
			}
			l.(*rate.Limiter).Allow()
		}
	}},
	{"sethvargo-go-limiter", func(t testing.TB) func(string) {
		store, err := memorystore.New(&memorystore.Config{Tokens: perSecond, Interval: time.Second})
		must(t, err)
		t.Cleanup(func() { store.Close(context.Background()) })
		ctx := context.Background()
		return func(key string) { store.Take(ctx, key) }
	}},
	{"throttled", func(t testing.TB) func(string) {
		store, err := memstore.NewCtx(0)
		must(t, err)
		l, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: throttled.PerSec(perSecond), MaxBurst: perSecond - 1})
		must(t, err)
		ctx := context.Background()
		return func(key string) { l.RateLimitCtx(ctx, key, 1) }
	}},
	{"ulule", func(testing.TB) func(string) {
		l := ulule.New(ululememory.NewStore(), ulule.Rate{Period: time.Second, Limit: perSecond})
		ctx := context.Background()
		return func(key string) { l.Get(ctx, key) }
	}},
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cpu returns the processor time of this process: on a machine that has much
// else to do, the only figure worth comparing.
func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure reports the processor time of f for each of its b.N operations.
func measure(b *testing.B, f func()) {
	b.ReportAllocs()
	b.ResetTimer()
	start := cpu(b)
	f()
	b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op")
}

func keys(n int) (names []string, order []uint32) {
	names, order = make([]string, n), make([]uint32, 1<<16)
	for i := range names {
		names[i] = fmt.Sprintf("client-%07d", i)
	}
	for i := range order {
		order[i] = rand.Uint32N(uint32(n))
	}
	return names, order
}

func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		names, order := keys(n)
		for _, c := range contenders {
			b.Run(fmt.Sprintf("%d-keys/%s/serial", n, c.name), func(b *testing.B) {
				take := c.make(b)
				for _, k := range names {
					take(k)
				}
				measure(b, func() {
					for i := range b.N {
						take(names[order[i%len(order)]])
					}
				})
			})
			b.Run(fmt.Sprintf("%d-keys/%s/parallel", n, c.name), func(b *testing.B) {
				take := c.make(b)
				for _, k := range names {
					take(k)
				}
				measure(b, func() {
					b.RunParallel(func(pb *testing.PB) {
						for i := rand.IntN(len(order)); pb.Next(); i++ {
							take(names[order[i%len(order)]])
						}
					})
				})
			})
		}
	}
}

// server starts a Redis or Valkey of the benchmark's own.
func server(b *testing.B) string {
	path, err := exec.LookPath("valkey-server")
	if err != nil {
		if path, err = exec.LookPath("redis-server"); err != nil {
			b.Skip("skipped: neither valkey-server nor redis-server is installed")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--dir", b.TempDir(), "--save", "", "--appendonly", "no")
	must(b, cmd.Start())
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 300 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatal("the server did not start")
	return ""
}

func BenchmarkRedis(b *testing.B) {
	addr := server(b)
	ctx := context.Background()
	p := limit.Policy{Limit: perSecond, Window: time.Second}

	client := goredis.NewClient(&goredis.Options{Addr: addr})
	b.Cleanup(func() { client.Close() })
	rr := redis_rate.NewLimiter(client)

	store, err := redis.New(redis.Options{Addresses: []string{addr}})
	must(b, err)
	b.Cleanup(store.Close)
	for range 300 {
		if _, err = store.Gates(ctx); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	must(b, err)
	by, err := store.Prepare(enforce.Set{Entries: []enforce.Entry{{Policy: p}}})
	must(b, err)
	shared, err := enforce.NewShared(enforce.Set{Entries: []enforce.Entry{{Policy: limit.Policy{Limit: 100_000, Window: time.Second}, Lease: enforce.Lease{Size: 100, For: time.Second}}}}, store, enforce.SharedOptions{Budget: time.Second})
	must(b, err)
	b.Cleanup(shared.Close)

	names, order := keys(1000)
	for _, c := range []struct {
		name string
		take func(key string) error
	}{
		{"weir", func(key string) error {
			_, err := by.Take(ctx, []enforce.Ask{{Key: key, Cost: 1}})
			return err
		}},
		{"weir-lease-100", func(key string) error {
			shared.Rules().Take(ctx, []enforce.Ask{{Key: key, Cost: 1}})
			return nil
		}},
		{"redis_rate", func(key string) error {
			_, err := rr.Allow(ctx, key, redis_rate.PerSecond(perSecond))
			return err
		}},
	} {
		for _, workers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d-workers", c.name, workers), func(b *testing.B) {
				measure(b, func() {
					var wg sync.WaitGroup
					for w := range workers {
						wg.Go(func() {
							for i := w; i < b.N; i += workers {
								if err := c.take(names[order[i%len(order)]]); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					wg.Wait()
				})
			})
		}
	}
}
