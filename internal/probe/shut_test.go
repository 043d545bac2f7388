package probe

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/limit"
)

// TestShut: of a window that is longer than the probe, nothing is made up; what the
// headers say of it is used where it can be true.
func TestShut(t *testing.T) {
	hour := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 50, Window: time.Hour}
	day := limit.Policy{Algorithm: limit.FixedWindow, Limit: 50, Window: 24 * time.Hour}
	waits := func(r header.Reading) header.Reading { // Retry-After, and nothing else
		r.Limits = nil
		return r
	}
	for name, c := range map[string]struct {
		policy  limit.Policy
		tell    func(header.Reading) header.Reading
		told    time.Duration // the window that the headers make
		align   limit.Align
		stopped string
	}{
		"silent":       {policy: hour, stopped: "the bound on time was near"},
		"honest":       {hour, honest, time.Hour, limit.AlignFirst, "--max-time 71m"},
		"retry-after":  {hour, waits, time.Hour, limit.AlignFirst, "--max-time 71m"},
		"of the clock": {policy: day, tell: waits, stopped: "--max-time "}, // it may be 2 h or 24 h that end at midnight
		"always an hour": {policy: day, stopped: "the bound on time was near", tell: func(r header.Reading) header.Reading {
			if r.RetryAfterSet {
				r.RetryAfter = time.Hour
			}
			return waits(r)
		}},
		"another limit": {policy: hour, stopped: "--max-time 71m", tell: func(r header.Reading) header.Reading {
			r.Limits[0].Quota, r.Limits[0].Remaining = 40, header.Unknown
			return r
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(c.policy, 8*time.Millisecond, 3)
			if c.tell != nil {
				w = newTeller(c.policy, 3, c.tell)
			}
			v, err := New(w, w, Options{Seed: 7, MaxTime: 2 * time.Minute}).Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			s := v.Shut
			if s == nil || s.Passed != 50 || s.For < 10*time.Second || v.Sure {
				t.Fatalf("shut: %+v, sure %v", s, v.Sure)
			}
			if !strings.Contains(v.Stopped, c.stopped) {
				t.Errorf("stopped: %q, want %q", v.Stopped, c.stopped)
			}
			if (s.Told != nil) != (c.told > 0) || s.Told != nil && (s.Told.Window != c.told || s.Told.Align != c.align || s.Told.Limit != 50) {
				t.Errorf("told: %+v, opens %v", s.Told, s.Opens)
			}
			if v.Settle != "" || len(v.Alternatives) == 0 {
				t.Errorf("to settle: %q, %d alternatives", v.Settle, len(v.Alternatives))
			}
			for _, a := range v.Alternatives {
				if a.Separate != "" {
					t.Errorf("%v: advice that nobody can know to be true: %s", a.Family, a.Separate)
				}
			}
		})
	}
	// What opened again is not shut, however little is known of it.
	w := newWorld(limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 50, Window: 20 * time.Second}, 8*time.Millisecond, 3)
	v, err := New(w, w, Options{Seed: 7, MaxTime: 25 * time.Second}).Run(context.Background())
	if err != nil || v.Shut != nil {
		t.Errorf("%v, shut: %+v", err, v.Shut)
	}
}

// TestToldWindow: an instant that is told is a window only where one alone ends then.
func TestToldWindow(t *testing.T) {
	midnight := time.Unix(1_700_006_400, 0)
	for _, c := range []struct {
		before time.Duration
		quota  int64 // that is told; 0: none
		window time.Duration
		want   limit.Policy
	}{
		{before: 19 * time.Hour, want: limit.Policy{Algorithm: limit.FixedWindow, Limit: 50, Window: 24 * time.Hour}},
		{before: 107 * time.Minute},
		{before: time.Hour, quota: 60, want: limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: 60, Window: time.Hour}},
		{before: time.Hour, quota: 40},
		{before: 107 * time.Minute, quota: 50, window: 2 * time.Hour, want: limit.Policy{Algorithm: limit.FixedWindow, Limit: 50, Window: 2 * time.Hour}},
		{before: 11*time.Hour + 7*time.Minute, quota: 50, window: 30 * time.Hour},
	} {
		h := &Hints{}
		if c.quota > 0 {
			h.claims = []*claim{{quota: c.quota, hasQuota: true, window: c.window}}
		}
		got := h.policy(midnight.Add(-c.before), &Shut{Passed: 50, Opens: midnight})
		if got == nil {
			got = &limit.Policy{}
		}
		if *got != c.want {
			t.Errorf("%v before, a limit of %d in %v told: %v, want %v", c.before, c.quota, c.window, got, c.want)
		}
	}
}

func TestWaitWords(t *testing.T) {
	for s, want := range map[float64]string{99: "99 s", 7200: "120 min", 91020: "25.3 h", 400000: "4.63 days"} {
		if got := waitWords(s); got != want {
			t.Errorf("%v s: %s, want %s", s, got, want)
		}
	}
}
