package hist

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCodecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := twins().Draw(t, "twin").hist()
		for range rapid.IntRange(0, 3).Draw(t, "large counts") {
			h.RecordN(durations().Draw(t, "value"), rapid.Uint64().Draw(t, "n"))
		}
		b, err := h.AppendBinary([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, []byte("before")) {
			t.Fatal("AppendBinary does not append")
		}
		b = b[len("before"):]
		got := twin{1, 2, 3}.hist()
		if err := got.UnmarshalBinary(b); err != nil {
			t.Fatalf("UnmarshalBinary(%x): %v", b, err)
		}
		if !got.Equal(h) {
			t.Fatalf("a histogram with %d values does not survive %x", h.Count(), b)
		}
		// Whatever is cut off, it is noticed, and the target is left alone.
		if len(b) > 1 {
			cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
			if err := got.UnmarshalBinary(b[:cut]); err == nil && cut != 1 {
				t.Fatalf("UnmarshalBinary accepts %d of %d bytes", cut, len(b))
			} else if err != nil && !got.Equal(h) {
				t.Fatal("UnmarshalBinary changes the target and fails")
			}
		}
	})
}

// The form is written down: run files of this version are read for ever.
func TestCodecGolden(t *testing.T) {
	cases := []struct {
		name string
		h    *Hist
		want []byte
	}{
		{"empty", new(Hist), []byte{1}},
		{"one value", twin{5}.hist(), []byte{1, 5, 0, 0, 5, 0}},
		{"neighbours", twin{5, 6, 6}.hist(), []byte{1, 5, 1, 0, 17, 0, 1 << 1}},
		{"a gap of two", twin{5, 8}.hist(), []byte{1, 5, 3, 0, 13, 0, 1, 1}},
		{"a count of 65", func() *Hist { h := new(Hist); h.RecordN(1, 65); return h }(), []byte{1, 1, 0, 0, 65, 0x80, 1}},
	}
	for _, c := range cases {
		got, err := c.h.AppendBinary(nil)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: AppendBinary = %v, %v, want %v", c.name, got, err, c.want)
		}
	}
	if len(cases) != 5 {
		t.Fatalf("%d cases, want 5", len(cases))
	}
}

func TestCodecRejects(t *testing.T) {
	num := func(v uint64) []byte { return binary.AppendUvarint(nil, v) }
	form := func(parts ...[]byte) []byte { return append([]byte{1}, bytes.Join(parts, nil)...) }
	tooLong := bytes.Repeat([]byte{0xff}, 11)
	cases := []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "no bytes"},
		{"other version", []byte{2}, "version 2"},
		{"only a minimum", form(num(5)), "cut off"},
		{"no buckets", form(num(5), num(0), num(0), num(5)), "end before the last bucket"},
		{"number too long", form(tooLong), "too long"},
		{"minimum too large", form(num(1<<63), num(0), num(0), num(0), []byte{0}), "exceed"},
		{"maximum too large", form(num(5), num(math.MaxInt64), num(0), num(0), []byte{0}), "exceed"},
		{"gap at the minimum", form(num(5), num(3), num(0), num(5), []byte{1, 0, 0}), "minimum is empty"},
		{"gap beyond the maximum", form(num(5), num(3), num(0), num(13), []byte{0, 1, 9}), "above"},
		{"huge gap", form(num(5), num(3), num(0), num(13), []byte{0, 1}, num(math.MaxUint64)), "gap"},
		{"gap cut off", form(num(5), num(3), num(0), num(13), []byte{0, 1}), "cut off"},
		{"count too large", form(num(5), num(0), num(0), num(5), []byte{0x80}, num(math.MaxUint64>>6+1)), "count"},
		{"count of 2^64", form(num(5), num(0), num(0), num(5), []byte{0xfe}, num(math.MaxUint64>>6)), "count"},
		{"more bytes", form(num(5), num(0), num(0), num(5), []byte{0, 0}), "after the last"},
	}
	for _, c := range cases {
		h := twin{1, 2}.hist()
		err := h.UnmarshalBinary(c.b)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: UnmarshalBinary(%x) = %v, want an error with %q", c.name, c.b, err, c.want)
		}
		if h.Count() != 2 {
			t.Errorf("%s: the target was changed", c.name)
		}
	}
	if len(cases) != 14 {
		t.Fatalf("%d cases, want 14", len(cases))
	}
	var h Hist
	h.AddBucket(4000, 1)
	if b, err := h.AppendBinary(nil); err == nil {
		t.Errorf("AppendBinary after AddBucket without AddExact = %x, want an error", b)
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	for _, w := range []twin{{}, {0}, {5, 6, 6}, {100, time.Millisecond, time.Hour, math.MaxInt64}} {
		b, err := w.hist().AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{1, 5, 3, 0, 13, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Hist
		if h.UnmarshalBinary(b) != nil {
			if h != (Hist{}) {
				t.Fatalf("UnmarshalBinary(%x) fails and changes the target", b)
			}
			return
		}
		low, high := h.Min(), h.Max()
		for _, q := range []float64{0, 0.5, 0.99, 1} {
			if v := h.Quantile(q); v < low || v > high {
				t.Fatalf("UnmarshalBinary(%x): Quantile(%v) = %d outside [%d, %d]", b, q, v, low, high)
			}
		}
		if m := h.Mean(); m < low || m > high {
			t.Fatalf("UnmarshalBinary(%x): Mean() = %d outside [%d, %d]", b, m, low, high)
		}
		again, err := h.AppendBinary(nil)
		var back Hist
		if err == nil {
			err = back.UnmarshalBinary(again)
		}
		if err != nil || !back.Equal(&h) {
			t.Fatalf("UnmarshalBinary(%x) gives a histogram that does not survive %x: %v", b, again, err)
		}
		h.Merge(&back)
		h.Record(1)
	})
}
