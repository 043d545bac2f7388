package cloudwatch

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// points reads the documentation's way of writing them: 0 is within the threshold, X
// is not, - is missing.
func points(text string) []float64 {
	var out []float64
	for _, word := range strings.Fields(text) {
		out = append(out, map[string]float64{"0": 0, "X": 1, "-": math.NaN()}[word])
	}
	return out
}

func breaches(v float64) bool { return v > 0.5 }

// TestMissingData is the two tables of "Configuring how CloudWatch alarms treat missing
// data" (read 2026-11), and the cases that its text adds. keep stands for "Retain
// current state".
func TestMissingData(t *testing.T) {
	const keep = state("keep")
	cases := []struct {
		points                                   string
		m                                        int
		missing, ignore, breaching, notBreaching state
	}{
		// Datapoints to Alarm and Evaluation Periods are both 3.
		{"0 - X - X", 3, ok, ok, ok, ok},
		{"0 - - - -", 3, ok, ok, ok, ok},
		{"- - - - -", 3, insufficient, keep, alarming, ok},
		{"0 X X - X", 3, alarming, alarming, alarming, alarming},
		{"- - X - -", 3, alarming, keep, alarming, ok},
		// 2 of 3.
		{"0 - X - X", 2, alarming, alarming, alarming, alarming},
		{"0 0 X 0 X", 2, alarming, alarming, alarming, alarming},
		{"0 - X - -", 2, ok, ok, alarming, ok},
		{"- - - - 0", 2, ok, ok, alarming, ok},
		{"- - - X -", 2, alarming, keep, alarming, ok},
		// "the alarm does not go immediately into ALARM state": the current state stays.
		{"- - - - X", 3, keep, keep, alarming, ok},
		{"- - - X -", 3, keep, keep, alarming, ok},
		{"- - - X 0", 3, ok, ok, ok, ok},
		{"- - X - 0", 3, ok, ok, ok, ok},
		// Nothing is missing: the latest three alone count.
		{"X X 0 X X", 3, ok, ok, ok, ok},
		{"0 0 X X X", 3, alarming, alarming, alarming, alarming},
		{"X X X 0 X", 2, alarming, alarming, alarming, alarming},
		{"X X X 0 0", 2, ok, ok, ok, ok},
		// Real points suffice, whatever is missing counts as.
		{"- - - X X", 2, alarming, alarming, alarming, alarming},
	}
	ran := 0
	for _, c := range cases {
		for treat, want := range map[string]state{"missing": c.missing, "ignore": c.ignore, "breaching": c.breaching, "notBreaching": c.notBreaching} {
			for _, current := range []state{ok, alarming, insufficient} {
				ran++
				expected := want
				if want == keep {
					expected = current
				}
				if got := decide(points(c.points), breaches, c.m, 3, treat, current); got != expected {
					t.Errorf("%s, %d of 3, %s, was %s: %s, want %s", c.points, c.m, treat, current, got, expected)
				}
			}
		}
	}
	if ran != 19*4*3 {
		t.Errorf("ran %d cases, want %d", ran, 19*4*3)
	}
}

// TestDecideLaws holds what must be true of any points: with breaching treated more
// severely than not; a missing point that arrives within the threshold never alarms; and
// the state is one of three.
func TestDecideLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		m := rapid.IntRange(1, n).Draw(t, "m")
		current := rapid.SampledFrom([]state{ok, alarming, insufficient}).Draw(t, "current")
		list := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 1, math.NaN()}), n+beyond, n+beyond).Draw(t, "points")
		got := map[string]state{}
		there := 0
		for _, v := range list {
			if !math.IsNaN(v) {
				there++
			}
		}
		for _, treat := range []string{"missing", "ignore", "breaching", "notBreaching"} {
			got[treat] = decide(list, breaches, m, n, treat, current)
			if got[treat] == insufficient && current != insufficient && (treat != "missing" || there > 0) {
				t.Fatalf("%v %s: INSUFFICIENT_DATA", list, treat)
			}
			if there >= n && got[treat] != got["missing"] {
				t.Fatalf("%v: enough points, and %s differs", list, treat)
			}
		}
		if got["notBreaching"] == alarming && got["breaching"] != alarming {
			t.Fatalf("%v: notBreaching alarms and breaching does not", list)
		}
		// The slow twin for breaching and notBreaching: fill in the oldest missing places
		// first, then take what is left.
		for treat, filled := range map[string]float64{"breaching": 1, "notBreaching": 0} {
			real := []float64{}
			for _, v := range list {
				if !math.IsNaN(v) {
					real = append(real, v)
				}
			}
			for len(real) < n {
				real = append(real, filled)
			}
			count := 0
			for _, v := range real[len(real)-n:] {
				if breaches(v) {
					count++
				}
			}
			if want := map[bool]state{true: alarming, false: ok}[count >= m]; got[treat] != want {
				t.Fatalf("%v %d of %d %s: %s, want %s", list, m, n, treat, got[treat], want)
			}
		}
	})
}
