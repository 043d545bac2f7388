package header

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestProblems(t *testing.T) {
	now := time.Unix(1700000000, 0)
	cases := []struct{ fields, want string }{
		{"X-RateLimit-Limit: abc", "not a whole number"},
		{"X-RateLimit-Remaining: -1", "negative"},
		{"X-RateLimit-Limit: 5\nX-RateLimit-Remaining: 9", "more is left"},
		{"X-RateLimit-Limit: 5\nX-RateLimit-Limit: 6", "the first counts"},
		{"X-RateLimit-Remaining: 5\nX-RateLimit-Remaining: 6", "the first counts"},
		{"X-RateLimit-Limit: 5, 6", "two limits in force"},
		{"X-RateLimit-Limit: 5, 5;w=x", "w is no length"},
		{"X-RateLimit-Limit: 5, 5;w=0", "w is no length"},
		{"RateLimit-Limit: 5\nRateLimit-Remaining: 1\nX-RateLimit-Limit: 6\nX-RateLimit-Remaining: 1", "say otherwise"},
		{"RateLimit-Limit: 5\nRateLimit-Remaining: 1\nX-RateLimit-Limit: 5\nX-RateLimit-Remaining: 2", "say otherwise"},
		{"x-ratelimit-limit: 60\nx-ratelimit-remaining: 56\nx-ratelimit-used: 9\nx-ratelimit-resource: core", "do not add up"},
		{"X-RateLimit-Interval-Seconds: 0\nX-RateLimit-Limit: 1", "without length"},
		{"X-RateLimit-Interval-Seconds: 999999999\nX-RateLimit-Limit: 1", "ten years"},
		{"X-Shopify-Shop-Api-Call-Limit: 40", "used/size"},
		{"X-Shopify-Shop-Api-Call-Limit: a/b", "not a whole number"},
		{"X-Shopify-Shop-Api-Call-Limit: 50/40", "more is used"},
		{"Auth0-Client-Quota-Limit: x", "not of the form"},
		{"x-ms-ratelimit-remaining-resource: x", "policy;left"},
		{"x-ms-ratelimit-remaining-resource: x;y", "not a whole number"},
		{`RateLimit: "a";r=`, "structured-field list"},
		{`RateLimit: "a";r=x`, "r is not a whole number"},
		{`RateLimit: "a";r=-5`, "r is negative"},
		{`RateLimit: "a";t=5`, "r is missing"},
		{`RateLimit: "a";r=5;t=999999999`, "ten years"},
		{`RateLimit: "a";r=5, "a";r=6`, "the same policy twice"},
		{`RateLimit: ("a" "b");r=5`, "inner list"},
		{`RateLimit: 5;r=5`, "not the name of a policy"},
		{`RateLimit: limit=x, remaining=5`, "not a whole number"},
		{`RateLimit-Policy: "a"`, "q is missing"},
		{`RateLimit-Policy: "a";q=1.5`, "q is not a whole number"},
		{`RateLimit-Policy: "a";q=5;w=0`, "w is zero"},
		{`RateLimit-Policy: "a";q=5;w=999999999`, "ten years"},
		{`RateLimit-Policy: "a";q=5;pk="x"`, "byte sequence"},
		{`RateLimit-Policy: "a";q=5, "a";q=5`, "the same policy twice"},
		{`RateLimit-Policy: -5;w=1`, "negative quota"},
		{`RateLimit-Policy: ?1`, "neither a name nor a quota"},
		{`RateLimit-Policy: (1 2)`, "inner list"},
		{`RateLimit-Policy: "a`, "structured-field list"},
		{"X-RateLimit-Limit: " + strings.Repeat("9", 5000), "longer than"},
		{strings.Repeat("X-A-Limit: 1\n", 65), "more than 64 fields"},
	}
	ran := 0
	for _, c := range cases {
		ran++
		got := Parse(block(c.fields), now)
		if !strings.Contains(strings.Join(got.Problems, "; "), c.want) {
			t.Errorf("%.80q: problems %q, want %q in them", c.fields, got.Problems, c.want)
		}
	}
	if ran < 40 {
		t.Fatalf("%d cases ran, want at least 40", ran)
	}
}

// A hostile server cannot make a Reading large.
func TestBounds(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "X-RateLimit-Remaining-Name%d: x\n", i)
	}
	fmt.Fprintf(&b, "x-ms-ratelimit-remaining-resource: %s\n", strings.Repeat("a;1,", 1000))
	r := Parse(block(b.String()), time.Unix(1700000000, 0))
	if len(r.Limits) > maxLimits || len(r.Problems) > maxProblems {
		t.Errorf("%d limits, %d problems", len(r.Limits), len(r.Problems))
	}
	r = Parse(block("x-ms-ratelimit-remaining-resource: "+strings.Repeat("a;1,", 1000)), time.Unix(1700000000, 0))
	if len(r.Limits) != maxLimits {
		t.Errorf("%d limits, want %d", len(r.Limits), maxLimits)
	}
	r = Parse(block("X-RateLimit-"+strings.Repeat("é", 100)+"-Limit: "+strings.Repeat("ü", 100)), time.Unix(1700000000, 0))
	if len(r.Problems) != 1 || len(r.Problems[0]) > 400 {
		t.Errorf("problems %q", r.Problems)
	}
}

func TestNothingAboutLimits(t *testing.T) {
	r := Parse(block("Content-Type: text/plain\nContent-Length: 5\nDate: Tue, 14 Nov 2023 22:13:20 GMT"), time.Unix(1700000000, 0))
	if !r.Empty() || r.Dialect != "" || len(r.Problems) != 0 {
		t.Errorf("Parse = %+v, want nothing", r)
	}
	// Fields with "limit" in the name that are about something else.
	r = Parse(block("X-Upload-Limit: 5\nX-Limit-Something: x\nX-RateLimit-Global: true"), time.Unix(1700000000, 0))
	if !r.Empty() || len(r.Problems) != 0 {
		t.Errorf("Parse = %+v, want nothing", r)
	}
}

func TestTightestAndWait(t *testing.T) {
	limit := func(name string, quota, left int64, reset time.Duration) Limit {
		l := NoLimit()
		l.Name, l.Quota, l.Remaining, l.ResetAfter = name, quota, left, reset
		return l
	}
	cases := []struct {
		r        Reading
		tightest string // name, "-" for none
		wait     time.Duration
		ok       bool
	}{
		{Reading{}, "-", 0, false},
		{Reading{Limits: []Limit{limit("a", 10, Unknown, 5)}}, "-", 0, false},
		{Reading{Limits: []Limit{limit("a", 10, 5, 5), limit("b", 100, 10, 5)}}, "b", 0, false},
		{Reading{Limits: []Limit{limit("a", 10, 0, 5), limit("b", 100, 0, 9), limit("c", 100, 1, 99)}}, "b", 9, true},
		{Reading{Limits: []Limit{limit("a", 10, 0, 5)}, RetryAfter: 3, RetryAfterSet: true}, "a", 3, true},
		{Reading{RetryAfterSet: true}, "-", 0, true},
		{Reading{Limits: []Limit{limit("a", 10, 0, Unknown)}}, "a", 0, false},
		{Reading{Limits: []Limit{limit("a", Unknown, 3, 1), limit("b", 10, 9, 1)}}, "b", 0, false},
	}
	for i, c := range cases {
		l, ok := c.r.Tightest()
		name := "-"
		if ok {
			name = l.Name
		}
		if name != c.tightest {
			t.Errorf("case %d: Tightest = %q, want %q", i, name, c.tightest)
		}
		if d, ok := c.r.Wait(); d != c.wait || ok != c.ok {
			t.Errorf("case %d: Wait = %v, %v, want %v, %v", i, d, ok, c.wait, c.ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range vendorAnswers {
		f.Add(string(c.fields), c.now.Unix())
	}
	f.Add("RateLimit: \"a\";r=9999999999999999;t=-1, limit=, ()\nRateLimit-Policy: :;q=1\nX-RateLimit-Limit: ;;;w=,,=", int64(0))
	f.Fuzz(func(t *testing.T, fields string, unix int64) {
		now := time.Unix(unix%(1<<40), 0)
		r := Names{Limit: "a", Remaining: "b", Reset: "c", RetryAfter: "d"}.Parse(block(fields), now)
		if r.RetryAfter < 0 || r.RetryAfter > maxWait || !r.RetryAfterSet && r.RetryAfter != 0 {
			t.Fatalf("RetryAfter = %v, set %v", r.RetryAfter, r.RetryAfterSet)
		}
		for _, l := range r.Limits {
			if l.Quota < Unknown || l.Remaining < Unknown || l.ResetAfter < Unknown || l.ResetAfter > maxWait || l.Window < 0 || l.Window > maxWait || l.Refill < 0 {
				t.Fatalf("impossible limit %+v from %q", l, fields)
			}
		}
		if len(r.Limits) > maxLimits || len(r.Problems) > maxProblems {
			t.Fatalf("%d limits, %d problems", len(r.Limits), len(r.Problems))
		}
		r.Tightest()
		r.Wait()
		for _, d := range Writable() {
			_ = Write(d, r, now, func(string, string) {})
		}
	})
}
