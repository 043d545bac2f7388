package probe

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/limit"
)

// TestStraddled: waves that lie across the head of a window one after the other, so that
// each may have come before it or after, leave nothing unexplained.
func TestStraddled(t *testing.T) {
	refused, twice := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		h := hypothesis{family: rapid.SampledFrom([]Family{FixedClock, SlidingWindow, SlidingWindowDenied, RefillBucket}).Draw(t, "family"), w: 1, n: float64(rapid.IntRange(2, 12).Draw(t, "limit"))}
		p := limit.Policy{Algorithm: limit.FixedWindow, Limit: int64(h.n), Window: time.Second}
		switch h.family {
		case SlidingWindow, SlidingWindowDenied:
			p.Algorithm, p.CountDenied = limit.SlidingWindow, h.family == SlidingWindowDenied
		case RefillBucket:
			h.m = float64(rapid.IntRange(1, int(h.n)-1).Draw(t, "portion"))
			p.Algorithm, p.Limit, p.Burst = limit.RefillBucket, int64(h.m), int64(h.n)
		}
		from := time.Unix(1_700_000_000, 0)
		l, err := p.New(from)
		if err != nil {
			t.Fatal(err)
		}
		var sights []sight
		s, at, d, across := 0.0, 0.0, 0.0, 0.0
		for range 30 {
			s += rapid.SampledFrom([]float64{0, 0.01, 0.05, 0.2, 0.7}).Draw(t, "later")
			d = max(d, s+rapid.Float64Range(0, 0.2).Draw(t, "long"))
			w := sight{s: s, since: s, last: s, d: d}
			if math.Floor(w.s) < math.Floor(w.d) {
				if across == math.Floor(w.d) {
					twice++
				}
				across = math.Floor(w.d)
			}
			times := make([]float64, rapid.IntRange(1, 6).Draw(t, "n"))
			for i := range times {
				times[i] = rapid.Float64Range(max(at, w.s), w.d).Draw(t, "at")
			}
			slices.Sort(times)
			for _, at = range times {
				if l.Take(from.Add(seconds(at)), 1).Allowed {
					w.a++
				} else {
					w.r++
				}
			}
			w.soon, w.done, w.ended = w.d, w.d, w.d
			refused += w.r
			sights = append(sights, w)
		}
		q := &particle{hypothesis: h}
		if q.see(sights, 1e9); q.cost > 0 {
			for _, w := range sights {
				t.Logf("%.3f to %.3f: %d admitted, %d refused", w.s, w.d, w.a, w.r)
			}
			t.Fatalf("%+v leaves %v unexplained", h, q.cost)
		}
	})
	if refused == 0 || twice == 0 {
		t.Errorf("%d were refused, %d waves lay across a head that another had lain across", refused, twice)
	}
}
