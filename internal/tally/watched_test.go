package tally

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func genWatched(t *rapid.T, at time.Duration) Watched {
	return Watched{
		At: at, Source: rapid.SampledFrom([]string{"PostgreSQL", "PostgreSQL", "PostgreSQL", "Prometheus"}).Draw(t, "source"),
		Group: "connections", Name: rapid.SampledFrom([]string{"active", "active", "active", "idle"}).Draw(t, "figure"),
		// Around 90 and 95 of 100 is where it matters.
		Value:   rapid.SampledFrom([]float64{0, 89.9, 90, 94.9, 95, 97, 97, 100, 130, math.NaN(), math.Inf(1)}).Draw(t, "value"),
		Limit:   rapid.SampledFrom([]float64{0, 100, 100, 100, 100, 100, 100, 200, math.NaN(), -1}).Draw(t, "limit"),
		Refused: rapid.IntRange(0, 9).Draw(t, "refused") == 9,
	}
}

// stretch is the rule as a pattern of readings at the limit (H), near it (M)
// and below (L).
var stretch = regexp.MustCompile(`H[HM]{2}(L{0,2}[HM])*|H[HM]?$`)

// slowStretches writes all readings of a figure as letters, and looks for the rule.
func slowStretches(all []Watched) []Saturation {
	var letters strings.Builder
	for _, w := range all {
		share := 0.0
		if w.Limit > 0 {
			share = w.Value / w.Limit
		}
		switch {
		case w.Refused || share >= 0.95:
			letters.WriteByte('H')
		case share >= 0.9:
			letters.WriteByte('M')
		default:
			letters.WriteByte('L')
		}
	}
	var out []Saturation
	for _, m := range stretch.FindAllStringIndex(letters.String(), -1) {
		s := Saturation{From: all[m[0]].At, To: all[m[1]-1].At}
		for i, w := range all[m[0]:m[1]] {
			if letters.String()[m[0]+i] == 'L' {
				continue
			}
			s.Readings++
			if w.Refused {
				s.Refused++
			}
			if w.Value >= s.Peak {
				s.Peak = w.Value
				if w.Limit > 0 {
					s.Limit = w.Limit
				}
			}
		}
		out = append(out, s)
	}
	return out
}

func TestWatchedTotalsAreThoseOfTheReadings(t *testing.T) {
	saturated, figures := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var totals Totals
		all := map[watchedKey][]Watched{}
		for i := range rapid.IntRange(10, 40).Draw(t, "ticks") {
			k := &Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second}
			for range rapid.IntRange(0, 2).Draw(t, "readings") {
				k.Watched = append(k.Watched, genWatched(t, k.Start))
			}
			totals.Add(k)
			for _, w := range k.Watched {
				if w.valid() {
					key := watchedKey{w.Source, w.Group, w.Name, w.Unit}
					all[key] = append(all[key], w)
				}
			}
		}
		if len(totals.Watched()) != len(all) {
			t.Fatalf("%d figures, want %d", len(totals.Watched()), len(all))
		}
		for _, got := range totals.Watched() {
			figures++
			list := all[watchedKey{got.Source, got.Group, got.Name, got.Unit}]
			want := slowStretches(list)
			saturated += len(want)
			if diff := cmp.Diff(want, got.Saturations(), equal); diff != "" {
				t.Errorf("Saturations of %v (-want +got):\n%s", list, diff)
			}
			if got.Stretches() != int64(len(want)) {
				t.Errorf("Stretches = %d, want %d", got.Stretches(), len(want))
			}
			known := slices.DeleteFunc(slices.Clone(list), func(w Watched) bool { return w.Refused && !(w.Limit > 0) })
			if got.Readings != int64(len(known)) {
				t.Errorf("%d readings, want %d", got.Readings, len(known))
			}
			if len(known) == 0 {
				continue
			}
			sum, low, high := 0.0, math.Inf(1), math.Inf(-1)
			for _, w := range known {
				sum, low, high = sum+w.Value, min(low, w.Value), max(high, w.Value)
			}
			last := known[len(known)-1]
			if got.Min != low || got.Max != high || got.Last != last.Value || got.LastAt != last.At || math.Abs(got.Mean()*float64(len(known))-sum) > 1e-6 {
				t.Errorf("min %v, max %v, last %v at %v, mean %v; want %v, %v, %v at %v, mean %v of %d", got.Min, got.Max, got.Last, got.LastAt, got.Mean(),
					low, high, last.Value, last.At, sum/float64(len(known)), len(known))
			}
			first := known[slices.IndexFunc(known, func(w Watched) bool { return w.Value == high })]
			if got.MaxAt != first.At {
				t.Errorf("highest at %v, want %v", got.MaxAt, first.At)
			}
		}
	})
	want := 50
	if testing.Short() { // a fifth of the draws
		want = 10
	}
	if figures < want || saturated < want {
		t.Fatalf("drew only %d figures and %d stretches", figures, saturated)
	}
}

// TestSaturationBegan spells out what counts as reaching a limit.
func TestSaturationBegan(t *testing.T) {
	none := time.Duration(-1)
	cases := []struct {
		name   string
		values []float64 // one a second, NaN is a missed reading
		want   time.Duration
	}{
		{"never near", []float64{10, 50, 94, 94, 94, 94}, none},
		{"near and stays", []float64{10, 50, 95, 97, 97, 97}, 2 * time.Second},
		{"a moment is not it", []float64{10, 97, 50, 50, 96, 97, 96, 97}, 4 * time.Second},
		{"two moments are not it", []float64{97, 97, 50}, none},
		{"goes on though it dips", []float64{10, 97, 91, 97, 92, 91, 90}, time.Second},
		{"a missed reading does not end it", []float64{97, math.NaN(), 97, 97, 10}, 0},
		{"a short break does not end it", []float64{97, 97, 97, 10, 10, 97}, 0},
		{"at the very end", []float64{10, 10, 97}, 2 * time.Second},
		{"over, and again", []float64{97, 97, 97, 10, 97, 97, 97}, 0},
	}
	for _, c := range cases {
		var totals Totals
		for i, v := range c.values {
			totals.Add(&Tick{Index: i, Watched: []Watched{{At: time.Duration(i) * time.Second, Name: "connections", Value: v, Limit: 100}}})
		}
		got := none
		if s := totals.Watched()[0].Saturations(); len(s) > 0 {
			got = s[0].From
		}
		if got != c.want {
			t.Errorf("%s: saturated from %v, want %v", c.name, got, c.want)
		}
	}
	if len(cases) < 8 {
		t.Fatal("cases are missing")
	}
}

func TestWatchedIsBounded(t *testing.T) {
	var totals Totals
	for i := range MaxWatched + 10 {
		totals.Add(&Tick{Index: i, Watched: []Watched{{Name: fmt.Sprint(i), Value: 1}}})
	}
	if n := len(totals.Watched()); n != MaxWatched || totals.WatchedDropped() != 10 {
		t.Errorf("%d figures and %d dropped, want %d and 10", n, totals.WatchedDropped(), MaxWatched)
	}
	var busy Totals
	for i := range 6 * (MaxSaturations + 5) {
		v := 100.0
		if i%6 >= 3 {
			v = 0
		}
		busy.Add(&Tick{Index: i, Watched: []Watched{{Value: v, Limit: 100}}})
	}
	w := busy.Watched()[0]
	if len(w.Saturations()) != MaxSaturations || w.Stretches() != MaxSaturations+5 {
		t.Errorf("%d stretches kept of %d, want %d of %d", len(w.Saturations()), w.Stretches(), MaxSaturations, MaxSaturations+5)
	}
}

func TestStatementMean(t *testing.T) {
	if got := (&Statement{Calls: 4, Time: time.Second}).Mean(); got != 250*time.Millisecond {
		t.Errorf("Mean = %v, want 250ms", got)
	}
	if got := (&Statement{Time: time.Second}).Mean(); got != 0 {
		t.Errorf("Mean of no call = %v, want 0", got)
	}
}
