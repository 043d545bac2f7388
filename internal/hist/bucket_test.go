package hist

import (
	"math"
	"testing"
	"time"
)

func TestBucketsTile(t *testing.T) {
	next := time.Duration(0)
	for i := range NumBuckets {
		low, high := Bounds(i)
		if low != next || high < low {
			t.Fatalf("Bounds(%d) = %d, %d, want a beginning at %d", i, low, high, next)
		}
		if Index(low) != i || Index(high) != i {
			t.Fatalf("Index(%d), Index(%d) = %d, %d, want %d", low, high, Index(low), Index(high), i)
		}
		mid := Bucket{Low: low, High: high}.Mid()
		if !near(mid, low) || !near(mid, high) || mid < low || mid > high {
			t.Fatalf("bucket %d: the middle %d is no good for [%d, %d]", i, mid, low, high)
		}
		next = high + 1
	}
	if next != math.MinInt64 { // one past the longest duration
		t.Errorf("the last bucket ends at %d, want %d", next-1, math.MaxInt64)
	}
}

func TestIndexEdges(t *testing.T) {
	cases := []struct {
		d    time.Duration
		want int
	}{
		{math.MinInt64, 0}, {-1, 0}, {0, 0}, {1, 1}, {127, 127}, {128, 128}, {255, 255}, {256, 256}, {257, 256}, {258, 257},
		{math.MaxInt64, NumBuckets - 1},
	}
	for _, c := range cases {
		if got := Index(c.d); got != c.want {
			t.Errorf("Index(%d) = %d, want %d", c.d, got, c.want)
		}
		var h Hist
		h.Record(c.d)
		for b := range h.Buckets() {
			if low, high := Bounds(c.want); b != (Bucket{low, high, 1}) {
				t.Errorf("Record(%d) counts in %v, want [%d, %d]", c.d, b, low, high)
			}
		}
		if got := h.Quantile(0.5); got != max(c.d, 0) {
			t.Errorf("the only value %d has the median %d", c.d, got)
		}
	}
	if len(cases) != 11 {
		t.Fatalf("%d cases, want 11", len(cases))
	}
	for _, i := range []int{math.MinInt, -1, NumBuckets, math.MaxInt} {
		want := 0
		if i > 0 {
			want = NumBuckets - 1
		}
		wantLow, wantHigh := Bounds(want)
		if low, high := Bounds(i); low != wantLow || high != wantHigh {
			t.Errorf("Bounds(%d) = %d, %d, want the nearest bucket", i, low, high)
		}
		var h Hist
		h.AddBucket(i, 1)
		h.AddExact(0, 0, 0, 0)
		if Index(h.Min()) != want {
			t.Errorf("AddBucket(%d, 1) counts in bucket %d, want %d", i, Index(h.Min()), want)
		}
	}
}

func TestBucketsAscendAndStop(t *testing.T) {
	h := twin{5, 5, 300, 1 << 40, math.MaxInt64}.hist()
	var got []Bucket
	for b := range h.Buckets() {
		got = append(got, b)
	}
	var total uint64
	for i, b := range got {
		if i > 0 && b.Low <= got[i-1].High {
			t.Errorf("bucket %v comes after %v", b, got[i-1])
		}
		total += b.Count
	}
	if len(got) != 4 || total != 5 {
		t.Errorf("Buckets() = %v, want 4 with 5 values", got)
	}
	for range h.Buckets() {
		break
	}
}

func TestMemoryIsSparse(t *testing.T) {
	var h Hist
	for d := time.Millisecond; d < 2*time.Millisecond; d += time.Microsecond {
		h.Record(d)
	}
	blocks := 0
	for _, b := range h.blocks {
		if b != nil {
			blocks++
		}
	}
	if blocks != 2 {
		t.Errorf("values over one octave keep %d blocks, want 2", blocks)
	}
	h.Reset()
	if c := h.Clone(); *c != (Hist{}) {
		t.Error("the clone of a reset histogram keeps its blocks")
	}
	var o Hist
	o.Record(time.Hour)
	o.Merge(&h)
	h.Record(time.Second)
	o.Merge(&h)
	if o.blocks[Index(time.Millisecond)>>subBits] != nil {
		t.Error("merging copies empty blocks")
	}
}
