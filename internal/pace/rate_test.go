package pace

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRateValues(t *testing.T) {
	cases := []struct {
		r      Rate
		zero   bool
		second float64
		text   string
	}{
		{Rate{}, true, 0, "0/s"},
		{Rate{5, 0}, true, 0, "0/s"},
		{Rate{-5, time.Second}, true, 0, "0/s"},
		{Rate{5, -time.Second}, true, 0, "0/s"},
		{Rate{500, time.Second}, false, 500, "500/s"},
		{Rate{1, time.Minute}, false, 1.0 / 60, "1/min"},
		{Rate{math.MaxInt64, math.MaxInt64}, false, 1e9, "1000000000/s"},
		{Rate{1, math.MaxInt64}, false, 1e9 / math.MaxInt64, "1/2562047h47m16.854775807s"},
	}
	for _, c := range cases {
		if c.r.IsZero() != c.zero || math.Abs(c.r.PerSecond()-c.second) > 1e-15*c.second || c.r.String() != c.text {
			t.Errorf("%+v: IsZero, PerSecond, String = %v, %v, %q, want %v, %v, %q",
				c.r, c.r.IsZero(), c.r.PerSecond(), c.r.String(), c.zero, c.second, c.text)
		}
	}
	if len(cases) != 8 {
		t.Fatalf("%d cases, want 8", len(cases))
	}
}

func TestRateText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{rapid.Int64Range(1, math.MaxInt64).Draw(t, "n"), time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "per"))}
		if rapid.Bool().Draw(t, "usual") {
			r = rates().Draw(t, "rate")
		}
		var got Rate
		b, err := json.Marshal(r)
		if err == nil {
			err = json.Unmarshal(b, &got)
		}
		if err != nil || !same(got, r) {
			t.Fatalf("%+v is written as %s and read as %+v, %v", r, b, got, err)
		}
	})
	r := Rate{5, time.Second}
	if err := r.UnmarshalText([]byte("fast")); err == nil || r != (Rate{5, time.Second}) {
		t.Errorf("UnmarshalText(fast) = %v and leaves %v", err, r)
	}
}

func TestRateAt(t *testing.T) {
	s, err := ParseStages("0..200/s:30s,50/s:10s,0/s:5s,100/s..0/s:10s")
	if err != nil {
		t.Fatal(err)
	}
	s = append(Stages{{Rate{9, 1}, Rate{9, 1}, 0}}, s...)
	cases := []struct {
		t    time.Duration
		want float64
	}{
		{-1, 0}, {0, 0}, {15 * time.Second, 100}, {30 * time.Second, 50}, {39 * time.Second, 50}, {42 * time.Second, 0},
		{45 * time.Second, 100}, {50 * time.Second, 50}, {55 * time.Second, 0}, {time.Hour, 0},
	}
	for _, c := range cases {
		if got := s.RateAt(c.t); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("RateAt(%v) = %v, want %v", c.t, got, c.want)
		}
	}
	if len(cases) != 10 {
		t.Fatalf("%d cases, want 10", len(cases))
	}
}
