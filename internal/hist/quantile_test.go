package hist

import (
	"math"
	"testing"
	"time"
)

func TestNearestRank(t *testing.T) {
	// 1…100 ns have a bucket each, so every rank is exact.
	var h Hist
	for i := 1; i <= 100; i++ {
		h.Record(time.Duration(i))
	}
	cases := []struct {
		q    float64
		want time.Duration
	}{
		{math.Inf(-1), 1}, {-1, 1}, {0, 1}, {math.NaN(), 1}, {5e-324, 1}, {0.0001, 1}, {0.01, 1}, {0.0100001, 2},
		{0.07, 7}, {0.14, 14}, {0.28, 28}, {0.29, 29}, {0.55, 55}, {0.56, 56}, {0.57, 57}, {0.58, 58},
		{0.5, 50}, {0.501, 51}, {0.9, 90}, {0.95, 95}, {0.99, 99}, {0.991, 100}, {0.999, 100}, {1, 100}, {2, 100}, {math.Inf(1), 100},
	}
	for _, c := range cases {
		if got := h.Quantile(c.q); got != c.want {
			t.Errorf("Quantile(%v) = %d, want %d", c.q, got, c.want)
		}
	}
	if len(cases) != 26 {
		t.Fatalf("%d cases, want 26", len(cases))
	}
}

// Every decimal quantile with up to four places of every small count has the
// rank that integers give.
func TestRankIsDecimal(t *testing.T) {
	for n := uint64(1); n <= 200; n++ {
		for k := uint64(1); k < 10_000; k++ {
			want := max((k*n+9999)/10_000, 1)
			if got := rank(float64(k)/10_000, n); got != want {
				t.Fatalf("rank(%v, %d) = %d, want %d", float64(k)/10_000, n, got, want)
			}
		}
	}
	for _, n := range []uint64{1 << 52, 1<<53 + 1, 1<<63 + 5, math.MaxUint64} {
		if got := rank(math.Nextafter(1, 0), n); got > n || got == 0 {
			t.Errorf("rank(almost 1, %d) = %d", n, got)
		}
	}
}

func TestCountAbove(t *testing.T) {
	h := twin{100, 200, 300, 1000, 100_000}.hist()
	cases := []struct {
		d    time.Duration
		want uint64
	}{
		{-1, 5}, {0, 5}, {99, 5}, {100, 4}, {150, 4}, {200, 3}, {299, 3}, {301, 2}, {999, 2}, {1004, 1},
		{99_999, 0}, {100_000, 0}, {math.MaxInt64, 0},
	}
	for _, c := range cases {
		if got := h.CountAbove(c.d); got != c.want {
			t.Errorf("CountAbove(%d) = %d, want %d", c.d, got, c.want)
		}
	}
	if len(cases) != 13 {
		t.Fatalf("%d cases, want 13", len(cases))
	}
}
