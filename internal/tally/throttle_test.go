package tally

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hit"
)

// bins returns the sends of one second, n in each bin.
func bins(n uint32) []uint32 {
	out := make([]uint32, 100)
	for i := range out {
		out[i] = n
	}
	return out
}

func throttledRow(first, last time.Duration, n int64) Series {
	return Series{Method: "POST", Name: "/t", Outcome: hit.Throttled, Count: n, First: first, Last: last, Codes: []Code{{429, n}}}
}

func TestOnset(t *testing.T) {
	var totals Totals
	add := func(i int, sends uint32, admitted int64, rows ...Series) {
		rows = append(rows, Series{Name: "/t", Outcome: hit.Admitted, Count: admitted})
		totals.Add(&Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second, Sends: bins(sends), Series: rows})
	}
	add(0, 1, 100)
	add(1, 2, 199)
	if totals.Onset != nil {
		t.Fatalf("Onset = %+v before anything was throttled", totals.Onset)
	}
	add(2, 3, 250, throttledRow(2500*time.Millisecond, 2600*time.Millisecond, 4))
	// The window ends with the bin of the onset: 51 bins of 3 and 49 of 2.
	want := &Onset{At: 2500 * time.Millisecond, Method: "POST", Name: "/t", Status: 429, Offered: 51*3 + 49*2, Admitted: 199}
	if diff := cmp.Diff(want, totals.Onset); diff != "" {
		t.Errorf("Onset (-want +got):\n%s", diff)
	}
	// An answer that took long tells of an earlier one.
	add(3, 3, 250, throttledRow(1200*time.Millisecond, 1200*time.Millisecond, 1), throttledRow(3*time.Second, 3*time.Second, 1))
	want = &Onset{At: 1200 * time.Millisecond, Method: "POST", Name: "/t", Status: 429, Offered: 21*2 + 79, Admitted: 100}
	if diff := cmp.Diff(want, totals.Onset); diff != "" {
		t.Errorf("Onset (-want +got):\n%s", diff)
	}
}

func TestOnsetInTheFirstSecond(t *testing.T) {
	var totals Totals
	totals.Add(&Tick{Length: time.Second, Sends: []uint32{300}, Series: []Series{throttledRow(2*time.Millisecond, 5*time.Millisecond, 180)}})
	if o := totals.Onset; o.Offered != 300 || o.Admitted != 0 || o.At != 2*time.Millisecond {
		t.Errorf("Onset = %+v, want 300 sends in the second before 2ms", o)
	}
}

func TestOnsetLongAgo(t *testing.T) {
	var totals Totals
	for i := range 200 {
		totals.Add(&Tick{Start: time.Duration(i) * time.Second, Length: time.Second, Sends: bins(1)})
	}
	totals.Add(&Tick{Start: 200 * time.Second, Length: time.Second, Series: []Series{throttledRow(10*time.Second, 11*time.Second, 1)}})
	if o := totals.Onset; o.Offered != 0 || o.At != 10*time.Second {
		t.Errorf("Onset = %+v, want At 10s and an unknown rate", o)
	}
}

func TestThrottlingIntervals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var totals Totals
		var all []Interval
		for i := range rapid.IntRange(0, 12).Draw(t, "ticks") {
			from := time.Duration(rapid.Int64Range(0, 40).Draw(t, "from")) * 500 * time.Millisecond
			row := throttledRow(from, from+time.Duration(rapid.Int64Range(0, 3).Draw(t, "length"))*500*time.Millisecond, rapid.Int64Range(1, 9).Draw(t, "count"))
			totals.Add(&Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second, Series: []Series{row}})
			all = append(all, Interval{row.First, row.Last, row.Count})
		}
		slices.SortFunc(all, func(a, b Interval) int { return int(a.From - b.From) })
		var want []Interval
		for _, x := range all {
			if n := len(want); n > 0 && x.From-want[n-1].To < EpisodeGap {
				want[n-1].To = max(want[n-1].To, x.To)
				want[n-1].Count += x.Count
				continue
			}
			want = append(want, x)
		}
		if diff := cmp.Diff(want, totals.Throttling); diff != "" {
			t.Errorf("Throttling (-want +got):\n%s", diff)
		}
	})
}
