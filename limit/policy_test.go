package limit_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/limit"
	"pgregory.net/rapid"
)

func TestValidate(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		p    limit.Policy
		want string // the field, and the begin of the reason; empty for a valid policy
	}{
		{limit.Policy{Limit: 10, Window: time.Second}, ""},
		{limit.Policy{Limit: math.MaxInt64, Window: time.Second}, ""},
		{limit.Policy{}, "limit: must be at least 1, is 0"},
		{limit.Policy{Limit: 1}, "window: must be longer than zero, such as 1s"},
		{limit.Policy{Limit: 1, Window: -1}, "window: must be longer than zero, is -1ns"},
		{limit.Policy{Algorithm: 99, Limit: 1, Window: 1}, "algorithm: no such algorithm: 99"},
		{limit.Policy{Limit: 1, Window: 1, Burst: -1}, "burst: must not be negative"},
		{limit.Policy{Limit: 1, Window: time.Hour, Burst: math.MaxInt64}, "burst: 9223372036854775807 at 1 per 1h0m0s takes more than 292 years"},
		{limit.Policy{Algorithm: limit.LeakyBucket, Limit: 1, Window: 1, Burst: math.MaxInt64}, "burst: 9223372036854775807 is too large"},
		{limit.Policy{Algorithm: limit.SlidingLog, Limit: 1, Window: 1, Burst: 1}, "burst: means nothing for sliding-log; it belongs to token-bucket, refill-bucket and leaky-bucket"},
		{limit.Policy{Limit: 1, Window: 1, Align: 7}, "align: no such alignment: 7"},
		{limit.Policy{Limit: 1, Window: 1, Align: limit.AlignFirst}, "align: means nothing for token-bucket; it belongs to fixed-window"},
		{limit.Policy{Algorithm: limit.FixedWindow, Limit: 1, Window: 2, Phase: 1}, ""},
		{limit.Policy{Algorithm: limit.FixedWindow, Limit: 1, Window: 2, Phase: 2}, "phase: must be from zero to below the window"},
		{limit.Policy{Algorithm: limit.FixedWindow, Limit: 1, Window: 2, Phase: -1}, "phase: must be from zero to below the window"},
		{limit.Policy{Algorithm: limit.FixedWindow, Limit: 1, Window: 2, Phase: 1, Align: limit.AlignFirst}, "phase: means nothing for windows opened"},
		{limit.Policy{Algorithm: limit.FixedWindow, Limit: 1, Window: 2, Phase: 1, Align: limit.AlignLast}, "phase: means nothing for windows opened"},
		{limit.Policy{Algorithm: limit.SlidingLog, Limit: 1, Window: 2, Align: limit.AlignLast}, "align: means nothing for sliding-log"},
		{limit.Policy{Algorithm: limit.SlidingLog, Limit: 1, Window: 2, Ban: 2}, ""},
		{limit.Policy{Algorithm: limit.SlidingLog, Limit: 1, Window: 2, Ban: 1}, "ban: must be at least the window of 2ns, is 1ns"},
		{limit.Policy{Limit: 1, Window: 2, Ban: 2}, "ban: means nothing for token-bucket; it belongs to fixed-window, sliding-log and sliding-window"},
		{limit.Policy{Limit: 1, Window: 2, Phase: 1}, "phase: means nothing for token-bucket"},
		{limit.Policy{Algorithm: limit.LeakyBucket, Limit: 1, Window: 1, CountDenied: true}, "count-denied: means nothing for leaky-bucket"},
		{limit.Policy{Algorithm: limit.Concurrency, Limit: 1, CountDenied: true}, "count-denied: means nothing for concurrency"},
		{limit.Policy{Algorithm: limit.Concurrency, Limit: 1}, ""},
		{limit.Policy{Algorithm: limit.Concurrency, Limit: 1, Window: 1}, "window: means nothing for concurrency"},
		{limit.Policy{Limit: 1, Window: 1, WarnAt: 1}, ""},
		{limit.Policy{Limit: 1, Window: 1, WarnAt: 80}, "warn-at: must be a share from 0 to 1, is 80; write 0.8 for 80%"},
		{limit.Policy{Limit: 1, Window: 1, WarnAt: -0.1}, "warn-at: must be a share"},
		{limit.Policy{Limit: 1, Window: 1, WarnAt: math.NaN()}, "warn-at: must be a share"},
		{limit.Policy{Limit: 1, Window: 1, Undelayed: 1}, "undelayed: means nothing for token-bucket"},
		{limit.Policy{Algorithm: limit.LeakyBucket, Limit: 1, Window: 1, Burst: 2, Undelayed: 2}, ""},
		{limit.Policy{Algorithm: limit.LeakyBucket, Limit: 1, Window: 1, Burst: 2, Undelayed: 3}, "undelayed: must be from zero to the burst of 2, is 3"},
		{limit.Policy{Algorithm: limit.LeakyBucket, Limit: 1, Window: 1, MaxDelay: -1}, "max-delay: must not be negative"},
		{limit.Policy{Limit: 1, Window: 1, MaxDelay: 1}, "max-delay: means nothing for token-bucket"},
		{limit.Policy{Algorithm: limit.Quota, Limit: 1}, "window: a quota needs a window or a period"},
		{limit.Policy{Algorithm: limit.Quota, Limit: 1, Window: 1, Period: limit.PerDay}, "window: a quota has a window or a period, not both"},
		{limit.Policy{Algorithm: limit.Quota, Limit: 1, Period: limit.PerDay, Location: berlin}, ""},
		{limit.Policy{Algorithm: limit.Quota, Limit: 1, Window: 1, Location: berlin}, "location: means nothing without a period"},
		{limit.Policy{Algorithm: limit.Quota, Limit: 1, Period: limit.PerDay, Start: benchOrigin}, "start: means nothing with a period"},
		{limit.Policy{Algorithm: limit.Quota, Limit: 1, Window: 1, Start: time.Unix(1<<60, 0)}, "start: is beyond any calendar"},
		{limit.Policy{Algorithm: limit.Quota, Limit: 1, Period: 9}, "period: no such period: 9"},
		{limit.Policy{Limit: 1, Window: 1, Location: berlin}, "location: means nothing for token-bucket"},
		{limit.Policy{Limit: 1, Window: 1, Start: benchOrigin}, "start: means nothing for token-bucket"},
		{limit.Policy{Limit: 1, Period: limit.PerDay}, "period: means nothing for token-bucket; it belongs to quota"},
	}
	for _, c := range cases {
		err := c.p.Validate()
		if _, newErr := c.p.New(benchOrigin); (newErr != nil) != (err != nil) {
			t.Errorf("%+v: New says %v, Validate %v", c.p, newErr, err)
		}
		if c.want == "" {
			if err != nil {
				t.Errorf("%+v: Validate = %v, want nil", c.p, err)
			}
			continue
		}
		field, _, _ := strings.Cut(c.want, ":")
		var fe *limit.FieldError
		if !errors.As(err, &fe) || fe.Field != field || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: Validate = %v, want %s", c.p, err, c.want)
		}
	}
	if _, err := (limit.Policy{Limit: 1, Window: 1}).New(time.Unix(1<<60, 0)); err == nil || !strings.HasPrefix(err.Error(), "origin: ") {
		t.Errorf("New with an origin beyond any calendar = %v", err)
	}
	if n := strings.Count((limit.Policy{WarnAt: 2, Align: 9}).Validate().Error(), "\n"); n != 3 {
		t.Errorf("%d line breaks in the faults of a policy with four", n)
	}
}

// TestPolicyText reads back what String writes.
func TestPolicyText(t *testing.T) {
	for _, a := range limit.Algorithms() {
		t.Run(a.String(), func(t *testing.T) {
			read := 0
			rapid.Check(t, func(t *rapid.T) {
				p := wide(t, a)
				p.Name = rapid.String().Draw(t, "name")
				p.WarnAt = rapid.Float64Range(0, 1).Draw(t, "share")
				if a == limit.Quota {
					p.Start = time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "start"), 5).UTC()
					if p.Period = limit.Period(rapid.IntRange(0, 5).Draw(t, "period")); p.Period != limit.NoPeriod {
						p.Window, p.Start, p.Location = 0, time.Time{}, time.UTC
					}
				}
				if p.Validate() != nil {
					t.Skip("no such policy: another is drawn")
				}
				got, err := limit.ParsePolicy(p.String())
				if err != nil || got != p {
					t.Fatalf("ParsePolicy(%q)\n got %+v, %v\nwant %+v", p.String(), got, err, p)
				}
				read++
			})
			if read == 0 {
				t.Error("nothing was read")
			}
		})
	}
}

func TestParsePolicy(t *testing.T) {
	cases := []struct{ text, want string }{
		{"10/s", "10/1s token-bucket"},
		{"10/min", "10/1m token-bucket"},
		{"10/hour fixed-window", "10/1h fixed-window"},
		{"10/hour quota", "10/hour quota"},
		{"10/1h quota", "10/1h quota"},
		{"10/d sliding-log", "10/24h sliding-log"},
		{"quota 10/1h", `column 1: "quota" is not a limit`},
		{" \t5   concurrency ", "5 concurrency"},
		{"10/1s burst 20 leaky-bucket nodelay", "10/1s burst 20 leaky-bucket nodelay"},
		{"10/1s leaky-bucket undelayed 8 burst 20 max-delay 1m30s", "10/1s burst 20 leaky-bucket undelayed 8 max-delay 1m30s"},
		{"9/1s fixed-window warn 7% phase 1ms count-denied", "9/1s fixed-window phase 1ms count-denied warn 7%"},
		{"9/1s warn 12.5%", "9/1s token-bucket warn 12.5%"},
		{"1/month quota in Asia/Tokyo", "1/month quota in Asia/Tokyo"},
		{"1/1h quota start 2026-01-01T09:00:00+09:00", "1/1h quota start 2026-01-01T00:00:00Z"},
		{`"a b" 1/1s`, `"a b" 1/1s token-bucket`},
		{"", "column 1: a policy is missing"},
		{`"a"`, "column 4: a limit is missing after the name"},
		{`"a 1/1s`, "column 1: the name is not closed"},
		{"ten/1s", `column 1: "ten/1s" is not a limit`},
		{"10/1x", `column 4: "1x" is not a duration`},
		{"10/month token-bucket", "column 4: only a quota counts by month"},
		{"10", `column 1: "10" has no window`},
		{"10/1s 3", `column 7: unknown word "3"`},
		{"10/1s burst", "column 12: burst needs a whole number after it"},
		{"10/1s burst 1 burst 2", "column 15: burst stands here twice"},
		{"10/1s quota token-bucket", "column 13: algorithm stands here twice"},
		{"10/1s sliding-log ban 0s", "column 23: ban 0s bans nobody; leave it out"},
		{"10/1s align moon", `column 13: "moon" is no alignment`},
		{"10/1s phase x", `column 13: "x" is not a duration`},
		{"10/1s warn 80", `column 12: "80" is not a percentage`},
		{"10/1s warn 101%", `column 12: "101%" is not a percentage from 0% to 100%`},
		{"10/1s warn 1e9%", `column 12: "1e9%" is not a percentage`},
		{"10/1s warn ..%", `column 12: "..%" is not a percentage`},
		{"10/day quota in Atlantis", `column 17: "Atlantis" is not a known time zone`},
		{"10/1h quota start now", `column 19: "now" is not a time`},
		{"10/1s align first-request", "align: means nothing for token-bucket"},
	}
	for _, c := range cases {
		p, err := limit.ParsePolicy(c.text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("ParsePolicy(%q) = %v, want %s", c.text, err, c.want)
			}
			continue
		}
		if p.String() != c.want {
			t.Errorf("ParsePolicy(%q) = %v, want %s", c.text, p, c.want)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	for _, seed := range []string{"10/1s burst 3 token-bucket", `"n\"" 5 concurrency`, "1/month quota in Asia/Tokyo warn 80%", "2/1h quota start 2026-01-01T00:00:00Z", "9/1s leaky-bucket burst 9 nodelay max-delay 1s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := limit.ParsePolicy(text)
		if err != nil {
			return
		}
		again, err := limit.ParsePolicy(p.String())
		if p.Location != nil && again.Location != nil && p.Location.String() == again.Location.String() {
			again.Location = p.Location // each read makes a new one
		}
		if err != nil || again != p {
			t.Errorf("%q reads as %v, which reads as %v, %v", text, p, again, err)
		}
	})
}

func TestNames(t *testing.T) {
	type names struct {
		Algorithm limit.Algorithm
		Align     limit.Align
		Period    limit.Period
	}
	n := 0
	for _, a := range limit.Algorithms() {
		want := names{a, limit.AlignFirst, limit.PerWeek}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got names
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s reads as %v, %v", text, got, err)
		}
		n++
	}
	if n == 0 {
		t.Fatal("no algorithms")
	}
	var a limit.Algorithm
	if err := a.UnmarshalText([]byte("gcra")); err == nil || !strings.Contains(err.Error(), "token-bucket, refill-bucket") {
		t.Errorf("UnmarshalText(gcra) = %v; want the known names", err)
	}
	if _, err := limit.Algorithm(77).MarshalText(); err == nil || limit.Algorithm(77).String() != "Algorithm(77)" {
		t.Errorf("Algorithm(77) = %v, %v", limit.Algorithm(77), err)
	}
}
