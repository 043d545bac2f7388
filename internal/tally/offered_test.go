package tally

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// slowOffered looks at every window of the whole list of bins.
func slowOffered(bins []int64, window time.Duration) Offered {
	n := int(window / BinWidth)
	o := Offered{Window: window}
	for end := 1; end <= len(bins); end++ {
		var sum int64
		for i := max(0, end-n); i < end; i++ {
			sum += bins[i]
		}
		if sum > o.Peak {
			o.Peak, o.PeakAt = sum, time.Duration(end)*BinWidth
		}
		if end >= n {
			if o.Whole == 0 || sum < o.Min {
				o.Min, o.MinAt = sum, time.Duration(end)*BinWidth
			}
			o.Whole++
		}
	}
	return o
}

func TestOfferedEqualsEveryWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var totals Totals
		var bins []int64
		start := time.Duration(0)
		index := 0
		for len(bins) < rapid.IntRange(0, 14000).Draw(t, "bins") {
			if rapid.IntRange(0, 20).Draw(t, "gap") == 0 { // a lost tick
				gap := rapid.IntRange(1, 130).Draw(t, "seconds")
				start += time.Duration(gap) * time.Second
				bins = append(bins, make([]int64, gap*100)...)
			}
			length := 100
			if rapid.IntRange(0, 9).Draw(t, "short") == 0 {
				length = rapid.IntRange(1, 100).Draw(t, "length")
			}
			most := rapid.Uint32Range(0, 9).Draw(t, "most")
			k := &Tick{Index: index, Start: start, Length: time.Duration(length) * BinWidth}
			seed := rapid.Uint32().Draw(t, "seed")
			for range rapid.IntRange(0, length).Draw(t, "sends") {
				seed = seed*1664525 + 1013904223
				k.Sends = append(k.Sends, (seed>>16)%(most+1))
			}
			totals.Add(k)
			for i := range length {
				var n int64
				if i < len(k.Sends) {
					n = int64(k.Sends[i])
				}
				bins = append(bins, n)
			}
			start += k.Length
			index++
		}
		checked := 0
		for _, w := range Windows() {
			got, ok := totals.Offered(w)
			if want := slowOffered(bins, w); !ok || got != want {
				t.Errorf("Offered(%v) = %+v, %v; want %+v", w, got, ok, want)
			}
			checked++
		}
		if checked != 3 {
			t.Fatalf("%d windows were checked, want 3", checked)
		}
	})
}

func TestOfferedUnknownWindow(t *testing.T) {
	var totals Totals
	if _, ok := totals.Offered(2 * time.Second); ok {
		t.Error("Offered(2s) = ok, want not known")
	}
	if o, ok := totals.Offered(time.Second); !ok || o != (Offered{Window: time.Second}) {
		t.Errorf("Offered(1s) of nothing = %+v, %v", o, ok)
	}
}

func TestLateTickRaisesThePeak(t *testing.T) {
	var totals Totals
	totals.Add(&Tick{Length: time.Second, Sends: []uint32{5}})
	totals.Add(&Tick{Length: time.Second, Sends: []uint32{4}})
	if o, _ := totals.Offered(time.Second); o.Peak != 9 || totals.Sent != 9 {
		t.Errorf("Peak = %d, Sent = %d; want 9 and 9", o.Peak, totals.Sent)
	}
}

func TestLongGap(t *testing.T) {
	var totals Totals
	totals.Add(&Tick{Length: time.Second, Sends: []uint32{5}})
	totals.Add(&Tick{Start: 1000 * time.Second, Length: time.Second, Sends: []uint32{3}})
	sends := make([]int64, 1001*100)
	sends[0], sends[1000*100] = 5, 3
	for _, w := range Windows() {
		if got, _ := totals.Offered(w); got != slowOffered(sends, w) {
			t.Errorf("Offered(%v) = %+v, want %+v", w, got, slowOffered(sends, w))
		}
	}
}
