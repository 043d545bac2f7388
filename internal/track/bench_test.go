package track

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
)

func BenchmarkSee(b *testing.B) {
	for _, p := range []limit.Policy{
		{Algorithm: limit.TokenBucket, Limit: 100, Window: time.Second},
		{Algorithm: limit.FixedWindow, Limit: 100, Window: time.Second},
		{Algorithm: limit.SlidingLog, Limit: 100, Window: time.Second},
	} {
		b.Run(p.Algorithm.String(), func(b *testing.B) {
			b.ReportAllocs()
			tr, err := New([]State{{Policy: p}}, Options{Skew: time.Second})
			if err != nil {
				b.Fatal(err)
			}
			w := Wave{Asks: []Ask{{Cost: 1}}, Requests: make([]Request, 1)}
			now := start
			for b.Loop() {
				now = now.Add(11 * time.Millisecond)
				w.Requests[0] = Request{now, now.Add(3 * time.Millisecond), true}
				if tr.See(w) != Consistent {
					b.Fatal("not consistent")
				}
			}
		})
	}
}
