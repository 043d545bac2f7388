package hist

import (
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// twin is the slow obvious histogram: it keeps everything.
type twin []time.Duration

func (w *twin) record(d time.Duration) { *w = append(*w, max(d, 0)) }

func (w twin) sorted() twin { return slices.Sorted(slices.Values(w)) }

// quantile is the nearest rank of q = num/den, in integers.
func (w twin) quantile(num, den int) time.Duration {
	rank := (num*len(w) + den - 1) / den
	return w.sorted()[max(rank, 1)-1]
}

func (w twin) sum() *big.Int {
	sum := new(big.Int)
	for _, d := range w {
		sum.Add(sum, big.NewInt(int64(d)))
	}
	return sum
}

func (w twin) hist() *Hist {
	h := new(Hist)
	for _, d := range w {
		h.Record(d)
	}
	return h
}

func sum128(h *Hist) *big.Int {
	hi, lo := h.Sum128()
	sum := new(big.Int).SetUint64(hi)
	return sum.Lsh(sum, 64).Add(sum, new(big.Int).SetUint64(lo))
}

// durations draws values of all sizes, often repeated, often at bucket edges.
func durations() *rapid.Generator[time.Duration] {
	return rapid.Custom(func(t *rapid.T) time.Duration {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return time.Duration(rapid.Int64Range(0, 400).Draw(t, "small"))
		case 1:
			low, high := Bounds(rapid.IntRange(0, NumBuckets-1).Draw(t, "bucket"))
			return rapid.SampledFrom([]time.Duration{low, high, low + (high-low)/2}).Draw(t, "edge")
		case 2:
			return time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(10*time.Millisecond)).Draw(t, "usual"))
		}
		return time.Duration(rapid.Int64().Draw(t, "any"))
	})
}

func twins() *rapid.Generator[twin] {
	return rapid.Custom(func(t *rapid.T) twin {
		var w twin
		for _, d := range rapid.SliceOfN(durations(), 0, 60).Draw(t, "values") {
			w.record(d)
		}
		return w
	})
}

// near says whether got stands for want within the promised error.
func near(got, want time.Duration) bool {
	return math.Abs(float64(got)-float64(want)) <= 0.004*float64(want)
}

func TestAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := twins().Draw(t, "twin")
		h := w.hist()
		if got, want := h.Count(), uint64(len(w)); got != want {
			t.Fatalf("Count() = %d, want %d", got, want)
		}
		if got, want := sum128(h), w.sum(); got.Cmp(want) != 0 {
			t.Fatalf("Sum128() = %d, want %d", got, want)
		}
		if len(w) == 0 {
			return
		}
		s := w.sorted()
		if h.Min() != s[0] || h.Max() != s[len(s)-1] {
			t.Fatalf("Min, Max = %d, %d, want %d, %d", h.Min(), h.Max(), s[0], s[len(s)-1])
		}
		// ⌊(2·sum + n)/(2n)⌋ rounds half up.
		n := big.NewInt(int64(len(w)))
		mean := new(big.Int).Lsh(w.sum(), 1)
		mean.Add(mean, n).Div(mean, new(big.Int).Lsh(n, 1))
		if got := h.Mean(); int64(got) != mean.Int64() {
			t.Fatalf("Mean() = %d, want %d", got, mean)
		}
		for _, permille := range append(rapid.SliceOfN(rapid.IntRange(0, 1000), 10, 10).Draw(t, "permille"), 0, 500, 990, 999, 1000) {
			got, want := h.Quantile(float64(permille)/1000), w.quantile(permille, 1000)
			if !near(got, want) {
				t.Fatalf("Quantile(%v) = %d, want %d ± 0.4 %%", float64(permille)/1000, got, want)
			}
			if got < s[0] || got > s[len(s)-1] {
				t.Fatalf("Quantile(%v) = %d lies outside [%d, %d]", float64(permille)/1000, got, s[0], s[len(s)-1])
			}
		}
		d := durations().Draw(t, "above")
		var above uint64
		for _, v := range w {
			if Index(v) > Index(d) || d < s[0] {
				above++
			}
		}
		if got := h.CountAbove(d); got != above {
			t.Fatalf("CountAbove(%d) = %d, want %d", d, got, above)
		}
	})
}

func TestMergeIsRecordingAllInOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(twins(), 1, 5).Draw(t, "parts")
		var all twin
		var forth, back Hist
		for i := range parts {
			all = append(all, parts[i]...)
			forth.Merge(parts[i].hist())
			back.Merge(parts[len(parts)-1-i].hist())
		}
		one := all.hist()
		if !forth.Equal(one) || !one.Equal(&forth) || !back.Equal(one) {
			t.Fatalf("merged %v is not equal to recording all", parts)
		}
		if c := one.Clone(); !c.Equal(one) {
			t.Fatal("Clone is not equal")
		} else if c.Merge(c); !one.Equal(all.hist()) {
			t.Fatal("Clone is not independent")
		}
		one.Reset()
		if !one.Equal(nil) || one.Max() != 0 || one.Sum() != 0 {
			t.Fatalf("after Reset: %d values, max %d, sum %v", one.Count(), one.Max(), one.Sum())
		}
		for _, d := range all {
			one.Record(d)
		}
		if !one.Equal(&forth) {
			t.Fatal("a histogram used again after Reset differs from a new one")
		}
	})
}

func TestMergeSelfAndNil(t *testing.T) {
	h := twin{1, 5000, 7_000_000}.hist()
	h.Merge(nil)
	h.Merge(h)
	if want := (twin{1, 5000, 7_000_000, 1, 5000, 7_000_000}).hist(); !h.Equal(want) {
		t.Errorf("merged with itself: count %d, want %d", h.Count(), want.Count())
	}
}

func TestRecordN(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b Hist
		for range rapid.IntRange(0, 5).Draw(t, "times") {
			d, n := durations().Draw(t, "value"), rapid.IntRange(0, 9).Draw(t, "n")
			a.RecordN(d, uint64(n))
			for range n {
				b.Record(d)
			}
		}
		if !a.Equal(&b) {
			t.Fatal("RecordN(d, n) is not n times Record(d)")
		}
	})
}

// A recorder that keeps its own counters gives the same histogram.
func TestAddBucketIsRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var got, want Hist
		for _, w := range rapid.SliceOfN(twins(), 1, 3).Draw(t, "snapshots") {
			counters := map[int]uint64{}
			for _, d := range w {
				counters[Index(d)]++
				want.Record(d)
			}
			for i, n := range counters {
				got.AddBucket(i, n)
			}
			if len(w) > 0 {
				s, sum := w.sorted(), w.sum()
				lo := new(big.Int).And(sum, new(big.Int).SetUint64(math.MaxUint64))
				got.AddExact(s[0], s[len(s)-1], new(big.Int).Rsh(sum, 64).Uint64(), lo.Uint64())
			}
		}
		if !got.Equal(&want) {
			t.Fatalf("AddBucket and AddExact: min %d max %d sum %v, Record: %d %d %v",
				got.Min(), got.Max(), sum128(&got), want.Min(), want.Max(), sum128(&want))
		}
	})
}

// Extremes that contradict the buckets are moved into them.
func TestAddExactRepairs(t *testing.T) {
	low, high := Bounds(3000)
	cases := []struct{ min, max, wantMin, wantMax time.Duration }{
		{low + 1, high - 1, low + 1, high - 1},
		{0, math.MaxInt64, low, high},
		{math.MaxInt64, 0, high, high},
		{-5, -5, low, low},
	}
	for _, c := range cases {
		var h Hist
		h.AddExact(1, 2, 0, 3)
		if h.Count() != 0 || h.Sum() != 0 || h.Max() != 0 {
			t.Errorf("AddExact without values is kept")
		}
		h.AddBucket(3000, 2)
		h.AddExact(c.min, c.max, 0, uint64(low+high))
		if h.Min() != c.wantMin || h.Max() != c.wantMax {
			t.Errorf("AddExact(%d, %d): min, max = %d, %d, want %d, %d", c.min, c.max, h.Min(), h.Max(), c.wantMin, c.wantMax)
		}
		b, err := h.AppendBinary(nil)
		var back Hist
		if err == nil {
			err = back.UnmarshalBinary(b)
		}
		if err != nil || !back.Equal(&h) {
			t.Errorf("AddExact(%d, %d) leaves a histogram that does not survive its binary form: %v", c.min, c.max, err)
		}
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
}

func TestNilReads(t *testing.T) {
	var h *Hist
	if h.Count() != 0 || h.Min() != 0 || h.Max() != 0 || h.Mean() != 0 || h.Sum() != 0 ||
		h.Quantile(0.5) != 0 || h.CountAbove(0) != 0 || !h.Equal(nil) || !h.Equal(new(Hist)) || h.Clone().Count() != 0 {
		t.Error("a nil histogram does not read as an empty one")
	}
	for b := range h.Buckets() {
		t.Errorf("a nil histogram has bucket %v", b)
	}
	if b, err := h.AppendBinary(nil); err != nil || len(b) != 1 {
		t.Errorf("AppendBinary of nil = %x, %v", b, err)
	}
}

func TestSaturation(t *testing.T) {
	var h Hist
	h.RecordN(math.MaxInt64, math.MaxUint64)
	h.Record(math.MaxInt64)
	h.Record(7)
	h.RecordN(7, math.MaxUint64)
	h.Merge(&h)
	h.Merge(&h)
	if h.Count() != math.MaxUint64 || h.Min() != 7 || h.Max() != math.MaxInt64 {
		t.Errorf("count, min, max = %d, %d, %d, want 2^64-1, 7, 2^63-1", h.Count(), h.Min(), h.Max())
	}
	for b := range h.Buckets() {
		if b.Count != math.MaxUint64 {
			t.Errorf("bucket %v has wrapped", b)
		}
	}
	for range 4 {
		h.RecordN(math.MaxInt64, math.MaxUint64)
	}
	for range 3 {
		h.Record(math.MaxInt64)
	}
	if hi, lo := h.Sum128(); hi != math.MaxUint64 || lo != math.MaxUint64 {
		t.Errorf("Sum128() = %x, %x, want saturation", hi, lo)
	}
	if h.Mean() != math.MaxInt64 {
		t.Errorf("Mean() = %d, want the maximum", h.Mean())
	}
	b, err := h.AppendBinary(nil)
	var back Hist
	if err == nil {
		err = back.UnmarshalBinary(b)
	}
	if err != nil || !back.Equal(&h) {
		t.Errorf("a saturated histogram does not survive its binary form: %v", err)
	}
}

func TestAllocations(t *testing.T) {
	var h Hist
	values := twin{0, 3 * time.Microsecond, 90 * time.Microsecond, 4 * time.Millisecond, 11 * time.Second}
	o := values.hist()
	h.Merge(o)
	buf := make([]byte, 0, 1024)
	cases := map[string]func(){
		"Record":       func() { h.Record(values[h.Count()%5]) },
		"RecordN":      func() { h.RecordN(values[h.Count()%5], 3) },
		"Merge":        func() { h.Merge(o) },
		"Quantile":     func() { h.Quantile(0.99) },
		"CountAbove":   func() { h.CountAbove(time.Millisecond) },
		"Reset":        func() { h.Reset(); h.Record(time.Millisecond) },
		"AppendBinary": func() { _, _ = h.AppendBinary(buf) },
	}
	for name, f := range cases {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { var h Hist; h.Record(1); h.Record(2) }); n > 2 {
		t.Errorf("a new histogram with values in one octave allocates %v times, want at most 2", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Hist
	values := make([]time.Duration, 4096)
	for i := range values {
		values[i] = time.Duration(200_000 + i*i%900_000)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Record(values[i%len(values)])
	}
}

func full() *Hist {
	var h Hist
	x := uint64(1)
	for range 1_000_000 {
		x = x*6364136223846793005 + 1442695040888963407
		h.Record(time.Duration(math.Exp(math.Log(2e5) + 1.2*(float64(x>>40)/(1<<23)-1)*4)))
	}
	return &h
}

func BenchmarkMerge(b *testing.B) {
	h, o := new(Hist), full()
	for b.Loop() {
		h.Merge(o)
	}
}

func BenchmarkQuantile(b *testing.B) {
	h := full()
	for b.Loop() {
		h.Quantile(0.99)
	}
}

func BenchmarkAppendBinary(b *testing.B) {
	h := full()
	var buf []byte
	for b.Loop() {
		buf, _ = h.AppendBinary(buf[:0])
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}

func BenchmarkUnmarshalBinary(b *testing.B) {
	buf, _ := full().AppendBinary(nil)
	var h Hist
	for b.Loop() {
		_ = h.UnmarshalBinary(buf)
	}
}
