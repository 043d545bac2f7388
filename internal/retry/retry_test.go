package retry

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWait(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		rule   string
		done   int
		told   time.Duration
		chance float64
		want   time.Duration
		ok     bool
	}{
		{"none", 1, -1, 0, 0, false},
		{"immediate", 1, time.Minute, 0.5, 0, true},
		{"immediate", 3, -1, 0.5, 0, false},
		{"retry-after", 1, 7 * time.Second, 0.9, 7 * time.Second, true},
		{"retry-after", 1, 0, 0.9, 0, true},
		{"retry-after", 3, -1, 0.9, 4 * time.Second, true},
		{"exponential", 1, 7 * time.Second, 0.5, 50 * ms, true},
		{"exponential", 2, -1, 0.5, 100 * ms, true},
		{"exponential:attempts=30", 20, -1, 0.5, 10 * time.Second, true},
		{"exponential:jitter=equal", 2, -1, 0.5, 150 * ms, true},
		{"exponential:jitter=none,factor=3", 3, -1, 0.5, 900 * ms, true},
		{"aws", 2, time.Hour, 0.25, 500 * ms, true},
		{"aws", 3, -1, 0, 0, false},
		{"azure", 1, 3 * time.Second, 0.5, 3 * time.Second, true},
		{"auth0", 2, -1, 0.5, 1125 * ms, true},
		{"exponential:attempts=1000,max=0s,jitter=none", 999, -1, 0, 1 << 61, true},
	}
	for _, tt := range tests {
		r, err := Parse(tt.rule)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.rule, err)
			continue
		}
		if got, ok := r.Wait(tt.done, tt.told, tt.chance); got != tt.want || ok != tt.ok {
			t.Errorf("%s: Wait(%d, %v, %v) = %v, %v, want %v, %v", tt.rule, tt.done, tt.told, tt.chance, got, ok, tt.want, tt.ok)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                          `"" is not a retry rule: it begins with one of none, retry-after, exponential, aws, azure, auth0, immediate`,
		"exponential:attempts":      `"attempts": write it as name=value`,
		"exponential:attempts=0":    "attempts=0: must be a number from 1 to 1000",
		"exponential:base=5":        "base=5: must be a time from 0s to 24h, such as 100ms",
		"exponential:factor=NaN":    "factor=NaN: must be a number from 1 to 100",
		"exponential:jitter=some":   "jitter=some: must be none, full, equal or add",
		"exponential:jitter=add":    "jitter=add needs spread, such as spread=250ms",
		"exponential:obey=perhaps":  "obey=perhaps: must be true or false",
		"exponential:colour=yellow": `"colour" is not a field of a retry rule: attempts, base, max, factor, jitter, spread or obey`,
	} {
		if _, err := Parse(in); err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v, want %s", in, err, want)
		}
	}
}

// TestBounds: no rule waits a negative time, or longer than it says, and what it
// prints is itself.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rule{
			Attempts: rapid.IntRange(1, 20).Draw(t, "attempts"),
			Obey:     rapid.Bool().Draw(t, "obey"),
			Base:     time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "base")),
			Max:      time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "max")),
			Factor:   rapid.Float64Range(1, 100).Draw(t, "factor"),
			Jitter:   Jitter(rapid.IntRange(0, 3).Draw(t, "jitter")),
			Spread:   time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "spread")),
		}
		back, err := Parse(r.String())
		if err != nil || back != r {
			t.Fatalf("Parse(%q) = %+v, %v, want %+v", r, back, err, r)
		}
		done := rapid.IntRange(1, 25).Draw(t, "done")
		w, ok := r.Wait(done, -1, rapid.Float64Range(0, 0.999999).Draw(t, "chance"))
		if ok != (done < r.Attempts) || w < 0 || w > r.Max+r.Spread {
			t.Fatalf("%+v: Wait(%d) = %v, %v", r, done, w, ok)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("exponential:attempts=8,base=50ms,max=5s,jitter=equal")
	f.Add("none:obey=true")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		if _, ok := r.Wait(1, -1, 0.5); ok && r.Attempts < 2 {
			t.Errorf("%q tries again with %d attempts", s, r.Attempts)
		}
	})
}
