package probe

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/limit"
)

// newTeller is a world whose answers tell of the limit, as edit likes.
func newTeller(p limit.Policy, seed uint64, edit func(header.Reading) header.Reading) *world {
	w := newWorld(p, 8*time.Millisecond, seed)
	w.tell = func(d limit.Decision) *Told {
		// Whole seconds, as most headers have them: rounded up.
		d.ResetAfter = (d.ResetAfter + time.Second - 1).Truncate(time.Second)
		d.RetryAfter = (d.RetryAfter + time.Second - 1).Truncate(time.Second)
		r := edit(header.FromDecision(p, d))
		return &r
	}
	return w
}

func honest(r header.Reading) header.Reading {
	r.Limits[0].Window = 0 // most services do not tell it
	return r
}

func TestHonestHeadersAreNoFinding(t *testing.T) {
	ran := 0
	for i, c := range cases {
		if c.family == Concurrency || c.family == LeakyQueue || testing.Short() && i%3 != 1 {
			continue
		}
		ran++
		w := newTeller(c.policy, uint64(i), honest)
		var seen []Record
		v, err := New(w, w, Options{Seed: 7, MaxRequests: 400, Record: func(r Record) { seen = append(seen, r) }}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range CheckHeaders(v, seen) {
			t.Errorf("%v (found %v %v): %s %s: told %s, seen %s, %d times", c.policy, v.Family, v.Policies, f.Code, f.Name, f.Told, f.Seen, f.Times)
		}
	}
	if ran < 2 {
		t.Errorf("%d families ran", ran)
	}
}

// TestLyingHeaders: each lie is found under its code, and what is found of the limit
// is what is found without headers.
func TestLyingHeaders(t *testing.T) {
	lies := map[string]func(header.Reading) header.Reading{
		CodeToldLimit: func(r header.Reading) header.Reading {
			r.Limits[0].Quota, r.Limits[0].Remaining = 100, header.Unknown
			return r
		},
		CodeToldRemaining: func(r header.Reading) header.Reading {
			r.Limits[0].Remaining = r.Limits[0].Quota
			return r
		},
		CodeToldReset: func(r header.Reading) header.Reading {
			r.Limits[0].ResetAfter = 0
			return r
		},
		CodeRetryEarly: func(r header.Reading) header.Reading {
			if r.RetryAfterSet {
				r.RetryAfter = 0
			}
			return r
		},
		CodeRetryLate: func(r header.Reading) header.Reading {
			r.RetryAfter += 30 * time.Second
			return r
		},
	}
	ran := 0
	for i, c := range cases[:1] {
		for code, lie := range lies {
			if testing.Short() && code != CodeToldRemaining && code != CodeRetryLate {
				continue // each run costs a second
			}
			ran++
			w := newTeller(c.policy, uint64(i), func(r header.Reading) header.Reading { return lie(honest(r)) })
			var seen []Record
			v, err := New(w, w, Options{Seed: 7, MaxRequests: 400, Record: func(r Record) { seen = append(seen, r) }}).Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if v.Family != c.family || v.Policies[0].Limit != c.policy.Limit {
				t.Errorf("%v with %s: found %v %v", c.policy, code, v.Family, v.Policies)
			}
			found := false
			var all []string
			for _, f := range CheckHeaders(v, seen) {
				found = found || f.Code == code
				all = append(all, f.Code)
			}
			if !found {
				t.Errorf("%v with %s: found only [%s]", c.policy, code, strings.Join(all, " "))
			}
		}
	}
	if ran < 2 {
		t.Errorf("%d lies ran", ran)
	}
}

// TestHonestHeadersOfWholeSeconds: whose clock shows whole seconds tells waits by that clock; who
// waits so is let through, as it opens before the policy by itself would.
func TestHonestHeadersOfWholeSeconds(t *testing.T) {
	ran := 0
	for _, i := range []int{6, 7} {
		p := limit.Policy{Algorithm: limit.FixedWindow, Align: limit.AlignFirst, Limit: int64(5 + 3*i), Window: time.Duration(3+i%4) * time.Second}
		w := newTeller(p, uint64(i), honest)
		w.now = w.now.Add(time.Duration(i*137) * time.Millisecond)
		w.limiter = coarsely(t, p, time.Second, w.now.Truncate(time.Second))
		var seen []Record
		v, err := New(w, w, Options{Seed: 7, Record: func(r Record) { seen = append(seen, r) }}).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if v.Tick == time.Second && v.Sure {
			ran++
		}
		for _, f := range CheckHeaders(v, seen) {
			t.Errorf("%v (found %v %v tick %v): %s %s: told %s, seen %s, %d times", p, v.Family, v.Policies, v.Tick, f.Code, f.Name, f.Told, f.Seen, f.Times)
		}
	}
	if ran == 0 {
		t.Error("none was known by its clock")
	}
}
