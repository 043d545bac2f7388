package header

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
	"pgregory.net/rapid"
)

// written collects what Write sets, as a block.
func written(t interface{ Fatalf(string, ...any) }, d Dialect, r Reading, now time.Time) block {
	var b strings.Builder
	if err := Write(d, r, now, func(name, value string) { fmt.Fprintf(&b, "%s: %s\n", name, value) }); err != nil {
		t.Fatalf("Write(%s, %+v): %v", d, r, err)
	}
	return block(b.String())
}

// drawLimit makes a limit that dialect d can tell in full.
func drawLimit(t *rapid.T, d Dialect, i int) Limit {
	l := NoLimit()
	l.Dialect = d
	l.Quota = rapid.Int64Range(0, maxInteger).Draw(t, "quota")
	l.Remaining = rapid.Int64Range(0, l.Quota).Draw(t, "remaining")
	l.ResetAfter = time.Duration(rapid.Int64Range(0, 10_000_000).Draw(t, "reset")) * time.Second
	window := time.Duration(rapid.Int64Range(1, 10_000_000).Draw(t, "window")) * time.Second
	switch d {
	case Draft:
		l.Name = fmt.Sprint(i, rapid.StringMatching(`[ -~]{0,12}`).Draw(t, "name"))
		l.Key = rapid.SampledFrom([]string{"", "\x00\xff", "client-1"}).Draw(t, "key")
		l.Unit = rapid.SampledFrom([]string{"", "content-bytes"}).Draw(t, "unit")
		l.Window = window
	case OldDraft:
		l.Window = window
		if i > 0 {
			// Of further limits only quota and window are told, and they must differ.
			l.Quota, l.Remaining, l.ResetAfter = l.Quota/10*10+int64(i), Unknown, Unknown
		} else {
			l.Quota = l.Quota / 10 * 10
			l.Remaining = min(l.Remaining, l.Quota)
		}
	case GitHub:
		l.Name = rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "name")
	case Discord:
		l.ResetAfter += time.Duration(rapid.IntRange(0, 999).Draw(t, "ms")) * time.Millisecond
		l.Key = rapid.StringMatching(`[a-f0-9]{1,12}`).Draw(t, "bucket")
	case OpenAI, Anthropic:
		l.Name = []string{"requests", "tokens", "input-tokens"}[i]
		if i > 0 {
			l.Unit = "tokens"
		}
		if d == OpenAI {
			l.ResetAfter += time.Duration(rapid.IntRange(0, 999).Draw(t, "ms")) * time.Millisecond
		}
	case Kong:
		l.Name = []string{"second", "minute", "day"}[i]
		l.Window, l.ResetAfter = periods[l.Name], Unknown
	case Shopify:
		l.ResetAfter = Unknown
	}
	return l
}

// What is written in a dialect reads back as it was.
func TestRoundTrip(t *testing.T) {
	ran := 0
	for _, d := range Writable() {
		ran++
		rapid.Check(t, func(t *rapid.T) {
			now := time.Unix(rapid.Int64Range(1_600_000_000, 4_000_000_000).Draw(t, "now"), 0)
			want := Reading{Dialect: d}
			most := map[Dialect]int{Draft: 3, OldDraft: 3, OpenAI: 3, Anthropic: 3, Kong: 3, RetryAfterOnly: 0}
			n, several := most[d]
			if !several {
				n = 1
			}
			for i := range rapid.IntRange(min(n, 1), n).Draw(t, "limits") {
				want.Limits = append(want.Limits, drawLimit(t, d, i))
			}
			if d == RetryAfterOnly || rapid.Bool().Draw(t, "retry") {
				want.RetryAfterSet = true
				want.RetryAfter = time.Duration(rapid.Int64Range(0, 10_000_000).Draw(t, "after")) * time.Second
			}
			text := written(t, d, want, now)
			got := Parse(text, now)
			if len(got.Problems) > 0 {
				t.Fatalf("%s\nproblems %q", text, got.Problems)
			}
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Fatalf("%s\nread  %+v\nwrote %+v", text, got, want)
			}
		})
	}
	if ran != len(Writable()) || ran < 11 {
		t.Fatalf("%d dialects ran", ran)
	}
}

// Times that a dialect cannot say exactly are told too long, never too short.
func TestRoundedUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		d := rapid.SampledFrom([]Dialect{Draft, OldDraft, XRateLimit, GitHub, Discord, OpenAI, Anthropic}).Draw(t, "dialect")
		reset := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "reset"))
		l := NoLimit()
		l.Quota, l.Remaining, l.ResetAfter = 5, 0, reset
		r := Parse(written(t, d, Reading{Limits: []Limit{l}, RetryAfter: reset, RetryAfterSet: true}, now), now)
		if len(r.Limits) != 1 || r.Limits[0].ResetAfter < reset || r.Limits[0].ResetAfter > reset+2*time.Second {
			t.Fatalf("%s: a reset in %v reads as %+v", d, reset, r.Limits)
		}
		if r.RetryAfter < reset || r.RetryAfter >= reset+time.Second {
			t.Fatalf("%s: retry after %v reads as %v", d, reset, r.RetryAfter)
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	named := func(name string) Limit { l := NoLimit(); l.Name, l.Quota, l.Remaining = name, 1, 1; return l }
	huge := named("a")
	huge.Quota = maxInteger + 1
	cases := []struct {
		d      Dialect
		limits []Limit
		want   string
	}{
		{HubSpot, nil, "cannot be written"},
		{"nonsense", nil, "these can: ratelimit"},
		{Draft, []Limit{named("é")}, "printable ASCII"},
		{Draft, []Limit{named("a\r\nb")}, "printable ASCII"},
		{Draft, []Limit{huge}, "999999999999999"},
		{OldDraft, []Limit{named("a"), named("b")}, "window of whole seconds"},
		{Kong, []Limit{named("a")}, "per second, minute"},
		{OpenAI, []Limit{named("remaining")}, "lower-case words"},
		{OpenAI, []Limit{named("a\r\nb")}, "lower-case words"},
		{Anthropic, []Limit{named("Requests")}, "lower-case words"},
		{Shopify, []Limit{NoLimit()}, "both quota and remaining"},
	}
	for _, c := range cases {
		err := Write(c.d, Reading{Limits: c.limits, RetryAfterSet: true}, time.Unix(0, 0), func(name, value string) {
			t.Errorf("%s: set %s: %s before the error", c.d, name, value)
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Write(%s, %+v) = %v, want %q", c.d, c.limits, err, c.want)
		}
	}
	for _, d := range Writable() {
		if got := written(t, d, Reading{}, time.Unix(0, 0)); got != "" {
			t.Errorf("Write(%s) of nothing = %q", d, got)
		}
	}
}

func TestFromDecision(t *testing.T) {
	p := limit.Policy{Name: "token", Limit: 10, Window: time.Second, Burst: 20}
	limiter, err := p.New(time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	d := limiter.Take(time.Unix(1_700_000_000, 0), 20)
	r := FromDecision(p, d)
	if got, want := r.Limits[0].String(), `"token": 0 of 20 left per 1s, 10 added each, resets in 2s`; got != want || r.RetryAfterSet {
		t.Errorf("FromDecision = %s, %v, want %s", got, r.RetryAfterSet, want)
	}
	// 20 in 2 s is what a bucket of 20 that gains 10 a second promises.
	if got, want := string(written(t, Draft, r, time.Unix(1_700_000_000, 0))), "RateLimit-Policy: \"token\";q=20;w=2\nRateLimit: \"token\";r=0;t=2\n"; got != want {
		t.Errorf("Write = %q, want %q", got, want)
	}
	d = limiter.Take(time.Unix(1_700_000_000, 0), 1)
	if r = FromDecision(p, d); !r.RetryAfterSet || r.RetryAfter != 100*time.Millisecond {
		t.Errorf("refused: %+v, want a retry after 100ms", r)
	}
	d = limiter.Take(time.Unix(1_700_000_000, 0), 21)
	if r = FromDecision(p, d); d.Allowed || r.RetryAfterSet {
		t.Errorf("what can never be admitted: %+v, want no Retry-After", r)
	}
}
