package header

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestResetValue(t *testing.T) {
	now := time.Unix(1700000000, 0) // 2023-11-14 22:13:20 UTC
	cases := []struct {
		value  string
		want   time.Duration
		reason string // part of it, "" for none
	}{
		{"0", 0, ""},
		{"12", 12 * time.Second, ""},
		{" 12 ", 12 * time.Second, ""},
		{"0.5", 500 * time.Millisecond, ""},
		{"1.000000001", time.Second + 1, ""},
		{"1.0000000019", time.Second + 1, ""},
		{"315360000", maxWait, ""},
		{"315360001", Unknown, "ten years"},
		{"849999999", Unknown, "ten years"}, // still below half of now: a duration
		{"1700000000", 0, ""},
		{"1700000030", 30 * time.Second, ""},
		{"1700000030.25", 30*time.Second + 250*time.Millisecond, ""},
		{"1699999999", 0, ""},
		{"1699999900", 0, "already passed 1m40s ago"},
		{"1700000030000", 30 * time.Second, ""},
		{"1700000030500", 30*time.Second + 500*time.Millisecond, ""},
		{"1700000030000000", 30 * time.Second, ""},
		{"1700000030000000000", 30 * time.Second, ""},
		{"9999999999", Unknown, "ten years"},
		{"99999999999999999999", Unknown, "too large"},
		{"1s", time.Second, ""},
		{"6m0s", 6 * time.Minute, ""},
		{"12ms", 12 * time.Millisecond, ""},
		{"1d12h", 36 * time.Hour, ""},
		{"2d", 48 * time.Hour, ""},
		{"99999d", Unknown, "neither"},
		{"99999999999d", Unknown, "neither"},
		{"999999h", Unknown, "neither"},
		{"2023-11-14T22:13:30Z", 10 * time.Second, ""},
		{"2023-11-14T22:13:30.5Z", 10*time.Second + 500*time.Millisecond, ""},
		{"2023-11-14T23:13:30+01:00", 10 * time.Second, ""},
		{"2023-11-14T22:13:30.000+0000", 10 * time.Second, ""},
		{"2023-11-14T22:14Z", 40 * time.Second, ""},
		{"2023-11-14 22:13:30 UTC", 10 * time.Second, ""},
		{"2023-11-14 22:13:30 +0000", 10 * time.Second, ""},
		{"Tue, 14 Nov 2023 22:13:30 GMT", 10 * time.Second, ""},
		{"Tuesday, 14-Nov-23 22:13:30 GMT", 10 * time.Second, ""},
		{"Tue Nov 14 22:13:30 2023", 10 * time.Second, ""},
		{"Tue Nov 14 2023 22:13:30 GMT+0000 (UTC)", 10 * time.Second, ""},
		{"2013-11-14T22:13:30Z", 0, "already passed"},
		{"3013-11-14T22:13:30Z", Unknown, "ten years"},
		{"", Unknown, "empty"},
		{"-5", Unknown, "negative"},
		{"-x", Unknown, "not a time"},
		{"soon", Unknown, "neither"},
		{"1e3", Unknown, "neither"},
		{"1.", Unknown, "neither"},
		{".5", Unknown, "neither"},
		{"0x10", Unknown, "neither"},
		{"NaN", Unknown, "neither"},
		{"Inf", Unknown, "neither"},
	}
	ran := 0
	for _, c := range cases {
		ran++
		got, reason := resetValue(c.value, now)
		if got != c.want || (reason == "") != (c.reason == "") || !strings.Contains(reason, c.reason) {
			t.Errorf("resetValue(%q) = %v, %q, want %v, %q", c.value, got, reason, c.want, c.reason)
		}
	}
	if ran < 50 {
		t.Fatalf("%d cases ran, want at least 50", ran)
	}
}

// Under a clock near 1970, as in a simulation, small numbers stay durations.
func TestResetValueYoungClock(t *testing.T) {
	if got, reason := resetValue("60", time.Unix(0, 0)); got != time.Minute || reason != "" {
		t.Errorf("resetValue(60) at 1970 = %v, %q, want 1m", got, reason)
	}
}

// Whatever the unit a service counts in, the same instant reads the same.
func TestResetValueUnitsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(946684800, 4000000000).Draw(t, "now"), 0)
		left := time.Duration(rapid.Int64Range(0, 100_000_000).Draw(t, "left")) * time.Second
		then := now.Add(left)
		for _, form := range []string{
			fmt.Sprint(int64(left / time.Second)), fmt.Sprint(then.Unix()), fmt.Sprint(then.UnixMilli()), fmt.Sprint(then.UnixMicro()),
			fmt.Sprint(then.UnixNano()), left.String(), then.UTC().Format(time.RFC3339), then.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"),
		} {
			if got, reason := resetValue(form, now); got != left || reason != "" {
				t.Fatalf("resetValue(%q) at %v = %v, %q, want %v", form, now, got, reason, left)
			}
		}
	})
}

func TestCount(t *testing.T) {
	cases := []struct {
		value  string
		want   int64
		reason string
	}{
		{"0", 0, ""}, {"60", 60, ""}, {" 7 ", 7, ""}, {"598.0", 598, ""}, {"9223372036854775807", 1<<63 - 1, ""},
		{"", Unknown, "empty"}, {"-1", Unknown, "negative"}, {"abc", Unknown, "not a whole"}, {"1e3", Unknown, "not a whole"},
		{"+5", Unknown, "not a whole"}, {"9223372036854775808", Unknown, "too large"}, {"1.", Unknown, "not a whole"}, {"1,000", Unknown, "not a whole"}, {"٣", Unknown, "not a whole"},
	}
	for _, c := range cases {
		if got, reason := count(c.value); got != c.want || (reason == "") != (c.reason == "") || !strings.Contains(reason, c.reason) {
			t.Errorf("count(%q) = %d, %q, want %d, %q", c.value, got, reason, c.want, c.reason)
		}
	}
}

func TestHTTPDateCentury(t *testing.T) {
	now := date("2023-11-14T22:13:20Z")
	got, ok := parseHTTPDate("Sunday, 06-Nov-94 08:49:37 GMT", now)
	if want := date("1994-11-06T08:49:37Z"); !ok || !got.Equal(want) {
		t.Errorf("RFC 850 date of 94 = %v, %v, want %v", got, ok, want)
	}
	// Two digits above 50 years ahead belong to the past century: RFC 9110 §5.6.7.
	if got, ok = parseHTTPDate("Tuesday, 06-Nov-68 08:49:37 GMT", date("2000-01-01T00:00:00Z")); !ok || got.Year() != 1968 {
		t.Errorf("RFC 850 date of 68, seen in 2000 = %v, %v, want 1968", got, ok)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Unix(1700000000, 0)
	cases := []struct {
		fields string
		want   string // "" when not set
		wrong  string // part of the only problem
	}{
		{"Retry-After: 120", "2m0s", ""},
		{"retry-after: 0", "0s", ""},
		{"Retry-After: Tue, 14 Nov 2023 22:14:20 GMT", "1m0s", ""},
		{"Retry-After: Tuesday, 14-Nov-23 22:14:20 GMT", "1m0s", ""},
		{"Retry-After: Tue Nov 14 22:14:20 2023", "1m0s", ""},
		{"Retry-After: Tue, 14 Nov 2023 22:00:00 GMT", "0s", "already passed"},
		{"Retry-After: 1.5", "1.5s", "fraction"},
		{"Retry-After: 2.0", "2s", ""},
		{"Retry-After: -5", "", "negative"},
		{"Retry-After:", "", "empty"},
		{"Retry-After: soon", "", "neither"},
		{"Retry-After: 99999999999999999999999", "", "too large"},
		{"Retry-After: 400000000", "87600h0m0s", "ten years"},
		{"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", "87600h0m0s", "ten years"},
		{"Retry-After: 1700000030", "30s", "an instant"},
		{"Retry-After: 2m", "2m0s", "neither seconds nor an HTTP date"},
		{"Retry-After: 2023-11-14T22:14:20Z", "1m0s", "neither seconds nor an HTTP date"},
		{"Retry-After: 5\nRetry-After: 5", "5s", ""},
		{"Retry-After: 5\nRetry-After: 60", "1m0s", "the longer wait counts"},
		{"Retry-After: 60\nRetry-After: 5", "1m0s", "the longer wait counts"},
		{"Retry-After-Ms: 250", "250ms", ""},
		{"X-Ms-Retry-After-Ms: 7\nRetry-After: 1", "1s", ""},
		{"Retry-After-Ms: 99999999999999", "87600h0m0s", "ten years"},
		{"Retry-After-Ms: x", "", "not a whole"},
		{"X-RateLimit-Retry-After: 9", "9s", ""},
		{"Date: Tue, 14 Nov 2023 22:00:00 GMT\nRetry-After: Tue, 14 Nov 2023 22:01:00 GMT", "1m0s", ""},
		{"Date: Tue, 14 Nov 2023 22:13:19 GMT\nRetry-After: Tue, 14 Nov 2023 22:13:21 GMT", "1s", ""},
		{"Date: nonsense\nRetry-After: 3", "3s", ""},
	}
	ran := 0
	for _, c := range cases {
		ran++
		r := Parse(block(c.fields), now)
		got := ""
		if r.RetryAfterSet {
			got = r.RetryAfter.String()
		}
		problems := strings.Join(r.Problems, "; ")
		if got != c.want || (problems == "") != (c.wrong == "") || !strings.Contains(problems, c.wrong) {
			t.Errorf("%q: %q, problems %q, want %q, %q", c.fields, got, problems, c.want, c.wrong)
		}
	}
	if ran < 28 {
		t.Fatalf("%d cases ran, want at least 28", ran)
	}
}

func TestSkew(t *testing.T) {
	now := date("2023-11-14T22:13:20Z")
	r := Parse(block("Date: Tue, 14 Nov 2023 22:03:20 GMT\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1699999430"), now)
	if r.Skew != -10*time.Minute || len(r.Limits) != 1 || r.Limits[0].ResetAfter != 30*time.Second {
		t.Errorf("Parse = %+v, want a skew of -10m and a reset in 30s by the service's clock", r)
	}
}
