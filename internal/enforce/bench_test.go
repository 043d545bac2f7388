package enforce_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/limit"
)

// BenchmarkTake decides for one key and for 100,000 in random order, with the
// wall clock; alone, and on all processors.
func BenchmarkTake(b *testing.B) {
	p := limit.Policy{Limit: 1000, Window: time.Second, Burst: 100}
	for _, n := range []int{1, 100_000} {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("client-%07d", i)
		}
		order := make([]uint32, 1<<16)
		for i := range order {
			order[i] = rand.Uint32N(uint32(n))
		}
		// With a full second to refill, no key is dropped meanwhile.
		slow := p
		slow.Limit = 100
		table := mustTable(b, enforce.Options{}, false, entry(slow))
		for _, k := range keys {
			table.Take(k, 100)
		}
		b.Run(fmt.Sprintf("%d-keys", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				table.Take(keys[order[i%len(order)]], 1)
			}
		})
		b.Run(fmt.Sprintf("%d-keys-parallel", n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.IntN(len(order)); pb.Next(); i++ {
					table.Take(keys[order[i%len(order)]], 1)
				}
			})
		})
	}
	three := mustTable(b, enforce.Options{}, false, entry(p), entry(limit.Policy{Algorithm: limit.FixedWindow, Limit: 1000, Window: time.Minute}), entry(limit.Policy{Algorithm: limit.SlidingWindow, Limit: 1000, Window: time.Minute}))
	b.Run("3-policies", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			three.Take("client", 1)
		}
	})
}

// BenchmarkMemory reports the bytes that a key takes, of a million.
func BenchmarkMemory(b *testing.B) {
	for _, p := range []limit.Policy{
		{Limit: 10, Window: time.Hour}, {Algorithm: limit.FixedWindow, Limit: 10, Window: time.Hour},
		{Algorithm: limit.SlidingWindow, Limit: 10, Window: time.Hour}, {Algorithm: limit.SlidingLog, Limit: 10, Window: time.Hour},
	} {
		b.Run(p.Algorithm.String(), func(b *testing.B) {
			const n = 1_000_000
			for range b.N {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				table := mustTable(b, enforce.Options{}, false, entry(p))
				for i := range n {
					table.TakeAt(origin, fmt.Sprintf("client-%08d", i), 1)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				if table.Stats().Keys != n {
					b.Fatalf("%d keys", table.Stats().Keys)
				}
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/key")
			}
		})
	}
}
