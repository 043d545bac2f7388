package forecast

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

const whole1 = `
name: logins of a day
start: 2026-11-23T00:00:00Z
for: 24h
retry: auth0
seed: 7
lasts: 80ms
limits: [limits.yaml, more.xml]
tier: auth0/enterprise
arrivals: {curve: day.csv, poisson: true}
tenants:
  - {name: jp, share: 70%}
  - {name: eu, share: 30%}
burst-allotment: {limit: Authentication API, hours: 48, times: 4}
flows:
  - ready: auth0-universal/password
    with: [id-first, mfa, mfa]
    share: 80%
  - name: machines
    share: 20%
    clients: 20
    calls:
      - {request: POST /oauth/token, cache: {ttl: 1h, instances: 20}, headers: {X-Api-Key: "{client}"}}
      - {request: GET /things, times: 3, after: 1s, lasts: 50ms}
  - name: night
    arrivals: {stages: "1/s:1h"}
    calls: [POST /night]
`

func TestParse(t *testing.T) {
	p, err := Parse("day.yaml", []byte(whole1))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case p.Name != "logins of a day", p.For != 24*time.Hour, p.Seed != 7, p.Lasts != 80*time.Millisecond, len(p.Limits) != 2, p.Tier != "auth0/enterprise",
		p.Arrivals.Curve != "day.csv", !p.Arrivals.Poisson, p.Retry.Attempts != 4, p.Start.Day() != 23:
		t.Errorf("top: %+v", p)
	case len(p.Tenants) != 2 || p.Tenants[0].Part != 700_000:
		t.Errorf("tenants: %+v", p.Tenants)
	case p.Allotment.Blocks != 192 || p.Allotment.Times != 4 || p.Allotment.Block != 15*time.Minute:
		t.Errorf("allotment: %+v", p.Allotment)
	case len(p.Flows) != 3 || p.Flows[0].Name != "auth0-universal/password" || len(p.Flows[0].With) != 3 || p.Flows[1].Clients != 20:
		t.Errorf("flows: %+v", p.Flows)
	case p.Flows[1].Calls[0].Cache != Cache{TTL: time.Hour, Holders: 20}, p.Flows[1].Calls[1].Times != 3, p.Flows[2].Arrivals.Stages == nil:
		t.Errorf("calls: %+v", p.Flows[1])
	}
}

func TestParseRefuses(t *testing.T) {
	const head = "limits: l.yaml\narrivals: {rate: 1/s}\n"
	tests := []struct{ in, want string }{
		{"", "the file is empty"},
		{"flows: [", "not YAML"},
		{"[1]", `1:1: this is a list; it must be a mapping with flows:`},
		{"limits: x", "flows: missing"},
		{head, "flows: missing"},
		{"arrivals: {rate: 1/s}\nflows: [{calls: [GET /x]}]", "limits: missing; name a policy file"},
		{head + "flow: 1", `3:1: flow: no such field; did you mean flows?`},
		{head + "flows:\n  - calls: [GET x]", `4:13: flows[0].calls[0]: "GET x" is no request; write a method and a path`},
		{head + "flows:\n  - {ready: auth0-universal/pasword}", `flows[0]: no ready flow is called "auth0-universal/pasword"; there are auth0-universal/password,`},
		{head + "flows:\n  - {ready: auth0-universal/password, with: [mfaa]}", `flows[0]: "mfaa" does not modify auth0-universal/password; there are id-first, mfa,`},
		{head + "flows:\n  - {}", `flows[0]: makes no calls`},
		{head + "flows:\n  - {calls: [GET /x], with: [mfa]}", `flows[0]: with: and cache: of a flow belong to ready:`},
		{head + "flows:\n  - {calls: [GET /x], share: 0}", `flows[0].share: "0" is not a share`},
		{head + "flows:\n  - {calls: [GET /x], clients: lots}", `flows[0].clients: must be a number`},
		{head + "flows:\n  - {calls: [GET /x], arrivals: {rate: 1/s}, share: 2}", `flows[0]: has arrivals of its own and a share`},
		{head + "for: 0s\nflows: [{calls: [GET /x]}]", `3:6: for: must be longer than no time at all`},
		{head + "retry: often\nflows: [{calls: [GET /x]}]", `3:8: retry: "often" is not a retry rule`},
		{head + "retry:\nflows: [{calls: [GET /x]}]", `3:1: retry: has no value`},
		{head + "limits: y\nflows: [{calls: [GET /x]}]", `given twice, first in line 1`},
		{"limits: x\narrivals: {rate: 1/s, curve: x.csv}\nflows: [{calls: [GET /x]}]", `arrivals: needs one of rate, stages, curve and run`},
		{"limits: x\narrivals: {rate: 0/s}\nflows: [{calls: [GET /x]}]", `arrivals.rate: is zero`},
		{"limits: x\nflows: [{calls: [GET /x]}]", `flows[0]: nothing says how often it arrives`},
		{head + "start: today\nflows: [{calls: [GET /x]}]", `start: "today" is not a time`},
		{head + "burst-allotment: {times: 4}\nflows: [{calls: [GET /x]}]", `burst-allotment: say how much there is`},
		{head + "burst-allotment: {hours: 1, times: 1}\nflows: [{calls: [GET /x]}]", `once the limit is the limit`},
		{head + "tenants: [{name: a}, {name: a}]\nflows: [{calls: [GET /x]}]", `tenants[1]: needs a name of its own`},
		{head + "flows: [{calls: [{times: 2}]}]", `flows[0].calls[0].request: missing`},
		{head + "flows: [{calls: [{request: GET /x, cache: {instances: 2}}]}]", `cache.ttl: missing`},
		{head + "flows: &a [{calls: [GET /x]}]", `anchors, aliases and tags are not used`},
		{head + "flows: [{calls: [GET /x]}]\n---\na: 1", `a second document`},
		{strings.Repeat("[", 100), "levels inside each other"},
		{strings.Repeat("x", maxBytes+1), "more than"},
	}
	if len(tests) < 30 {
		t.Fatalf("only %d cases", len(tests))
	}
	for _, tt := range tests {
		p, err := Parse("f.yaml", []byte(tt.in))
		var all policy.Errors
		if p != nil || !errors.As(err, &all) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%.60q) = %v, %v\nwant an error with %s", tt.in, p, err, tt.want)
		}
	}
	_, err := Parse("f.yaml", []byte(head+"flows:\n  - calls: [GET x]"))
	if want := "    4 |   - calls: [GET x]\n      |             ^"; !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("the place is not marked:\n%v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole1)
	f.Add("limits: l\narrivals: {rate: 1/s}\nflows: [{calls: [GET /x]}]")
	f.Add("flows: {? [a]: b}")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse("f.yaml", []byte(s))
		if err != nil {
			return
		}
		// What was read can be bound, or says why not.
		_, _ = p.Bind(Sources{
			Limits: func(string) (*policy.File, error) {
				return &policy.File{Policies: []policy.Policy{{Policy: limit.Policy{Limit: 1, Window: time.Second}}}}, nil
			},
			Tier:  func(string) ([]policy.Policy, error) { return nil, nil },
			Curve: func(string) ([]byte, error) { return []byte("0:00,1\n1:00,2"), nil },
			Run:   func(string) ([]time.Duration, time.Duration, error) { return nil, 0, nil },
		})
	})
}

func TestParseCurve(t *testing.T) {
	stages, err := ParseCurve([]byte("time,rate\n00:00,1\n08:00,1\n09:00,100/s\n12:00,600/min\n"))
	if err != nil {
		t.Fatal(err)
	}
	if stages.Length() != 24*time.Hour {
		t.Errorf("length %v, want a day", stages.Length())
	}
	for at, want := range map[time.Duration]float64{0: 1, 8*time.Hour + 30*time.Minute: 50.5, 10*time.Hour + 30*time.Minute: 55, 23 * time.Hour: 10} {
		if got := stages.RateAt(at); got < want-0.01 || got > want+0.01 {
			t.Errorf("rate at %v is %v, want %v", at, got, want)
		}
	}
	if s, err := ParseCurve([]byte("0s,1\n30s,2/s\n# end\n60s,0\n")); err != nil || s.Length() != time.Minute {
		t.Errorf("%v, %v: want a minute", s, err)
	}
	bad := map[string]string{
		"":                    "has no line",
		"a,b":                 "has no line",
		"08:00,1":             "",
		"1s,1":                "",
		"0s,1":                "one line only",
		"0s,1\n0s,2":          "line 2: the time 0s is not after",
		"0s,1\n5":             "line 2: needs a time and a rate",
		"0s,1\n9:61,2":        "line 2: \"9:61\" is not a time of the day",
		"0s,1\n24:01,2":       "line 2: \"24:01\" is after the end of the day",
		"0s,1\n1s,fast":       "line 2: ",
		"0s,1\n1:2:3:4,2":     "is not a time of the day",
		"time,rate\n1s,1\n,2": "line 3: ",
	}
	for in, want := range bad {
		_, err := ParseCurve([]byte(in))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("ParseCurve(%q) = %v, want %q", in, err, want)
		}
	}
}

// TestCurvesOfOthers reads what spreadsheets and monitoring export: rates per
// second after one and after two quarters of the time, and how long it is.
func TestCurvesOfOthers(t *testing.T) {
	sixteen := func(s string) string { // as a spreadsheet's "Unicode text"
		out := []byte{0xff, 0xfe}
		for _, r := range s {
			out = append(out, byte(r), byte(r>>8))
		}
		return string(out)
	}
	const ten = 10 * time.Minute
	cases := []struct {
		name, text   string
		length       time.Duration
		quarter, mid float64
	}{
		{"Excel in German", "\ufeffZeit;Anfragen/s\r\n00:00;10,5\r\n12:00;10,5\r\n", 24 * time.Hour, 10.5, 10.5},
		{"Excel with its own line", "sep=;\n00:00;10\n12:00;20\n", 24 * time.Hour, 15, 20},
		{"Excel in Unicode", sixteen("Zeit\tRate\r\n00:00\t10\r\n12:00\t20\r\n"), 24 * time.Hour, 15, 20},
		{"a head with a unit", "time,logins per minute\n00:00,600\n12:00,1200\n", 24 * time.Hour, 15, 20},
		{"another", "time;Requests/h\n0s;36000\n10m;72000\n", ten, 12.5, 15},
		{"and another", "time,rpm\n0s,600\n10m,1200\n", ten, 12.5, 15},
		{"in German", "Zeit;Anmeldungen pro Minute\n0s;600\n10m;1200\n", ten, 12.5, 15},
		{"in German, an hour", "Zeit;Anfragen pro Stunde\n0s;36000,0\n10m;72000,0\n", ten, 12.5, 15},
		{"in Japanese", "時刻,件/分\n0s,600\n10m,1200\n", ten, 12.5, 15},
		{"no unit", "time,logins (promised)\n0s,10\n10m,20\n", ten, 12.5, 15},
		{"a unit in the line goes before it", "time,rpm\n0s,10/s\n10m,1200\n", ten, 12.5, 15},
		{"words", "0s,10 req/s\n10m,1200 requests per minute\n", ten, 12.5, 15},
		{"short words", "0s,10 rps\n10m,1200rpm\n", ten, 12.5, 15},
		{"groups", "0s,\"36,000/h\"\n10m,\"72,000/h\"\n", ten, 12.5, 15},
		{"instants", "time,rate\n2026-11-20T08:00:00Z,10\n2026-11-20T08:10:00Z,20\n", ten, 12.5, 15},
		{"instants with zones", "2026-11-20T08:00:00+01:00,10\n2026-11-20T07:10:00Z,20\n", ten, 12.5, 15},
		{"Grafana", "\"Time\",\"requests\"\n2026-11-20 08:00:00,10\n2026-11-20 08:10:00,20\n", ten, 12.5, 15},
		{"with thousandths", "2026-11-20 08:00:00.000,10\n2026-11-20 08:10:00.000,20\n", ten, 12.5, 15},
		{"Unix milliseconds", "Time,api\n1763596800000,10.123456789\n1763597400000,20\n", ten, 12.59, 15.06},
		{"Unix seconds", "1763596800,10\n1763597400.0,20\n", ten, 12.5, 15},
		{"German dates", "20.11.2026 13:00;10\n20.11.2026 13:10;20\n", ten, 12.5, 15},
		{"American dates", "11/20/2026 12:55 PM,10\n11/20/2026 1:05 PM,20\n", ten, 12.5, 15},
		{"one day, whichever", "5/6/2026 12:00,10\n5/6/2026 12:10,20\n", ten, 12.5, 15},
		{"half days", "12:00 AM,10\n12:00 PM,20\n", 24 * time.Hour, 15, 20},
		{"more columns that are empty", "00:00,10,,\n12:00,20,,\n", 24 * time.Hour, 15, 20},
		{"days", "2026-11-20,10\n2026-11-22,20\n", 48 * time.Hour, 12.5, 15},
	}
	for _, c := range cases {
		s, err := ParseCurve([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		near := func(a, b float64) bool { return a > b-0.01 && a < b+0.01 }
		if s.Length() != c.length || !near(s.RateAt(c.length/4), c.quarter) || !near(s.RateAt(c.length/2), c.mid) {
			t.Errorf("%s: %v long, %v and %v; want %v, %v and %v", c.name, s.Length(), s.RateAt(c.length/4), s.RateAt(c.length/2), c.length, c.quarter, c.mid)
		}
	}
	for text, want := range map[string]string{
		"5/6/2026 12:00,10\n5/7/2026 12:10,20\n":     "line 1: 5/6/2026 12:00 can be read with the month first or the day first",
		"2026-11-20 08:10,10\n2026-11-20 08:00,20\n": "line 2: the time 2026-11-20 08:00 is not after",
		"2026-11-20 08:10,10\n08:20,20\n":            `line 2: "08:20" is no date and time like those above`,
		"2026-11-20 08:10,10\n2028-11-20 08:10,10\n": "line 2: 2028-11-20 08:10 is more than a year",
		"00:00;1.200\n01:00;2\n":                     "line 1: 1.200 may be 1200 or 1.200",
		"time,a,b\n00:00,1,2\n":                      "line 2: has 3 columns",
		"00:00,\n":                                   "line 1: has a time and no rate",
		"13:00 PM,1\n":                               `"13:00 PM" is not a time of the day`,
		"# a\n\nsep=#\n00:00#1\n":                    "line 3: columns are separated by",
		"time,rate\n00:00,-5\n":                      "line 2: ",
	} {
		if _, err := ParseCurve([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseCurve(%q) = %v, want %q", text, err, want)
		}
	}
}

func FuzzParseCurve(f *testing.F) {
	f.Add("sep=;\nZeit;1/h\n20.11.2026 13:00;10,5\n20.11.2026 13:10;1.200,5")
	f.Add("time,rate\n00:00,1\n08:00,1\n09:00,100/s\n")
	f.Add("0s,1\n30s,2/s\n60s,0\n")
	f.Fuzz(func(t *testing.T, s string) {
		stages, err := ParseCurve([]byte(s))
		if err == nil && stages.Length() <= 0 {
			t.Errorf("%q takes no time", s)
		}
		if err == nil {
			pace.CountBefore(stages.Pacer(), time.Minute)
		}
	})
}

// TestReadyFlows counts the requests of the tables in seed report 001: of each flow,
// and what each modifier adds.
func TestReadyFlows(t *testing.T) {
	tests := []struct {
		name string
		with []string
		want int
	}{
		{"auth0-universal/password", nil, 5},
		{"auth0-universal/idp", nil, 6},
		{"auth0-universal/session", nil, 1},
		{"auth0-universal/signup", nil, 6},
		{"auth0-universal/password", []string{"id-first"}, 7},
		{"auth0-universal/password", []string{"mfa"}, 7},
		{"auth0-universal/password", []string{"mfa", "mfa"}, 9},
		{"auth0-universal/password", []string{"otp"}, 7},
		{"auth0-universal/idp", []string{"enterprise"}, 7},
		{"auth0-universal/password", []string{"client-credentials"}, 6},
		{"auth0-universal/password", []string{"id-first", "mfa", "enterprise", "client-credentials"}, 11},
		{"auth0-classic/password", nil, 8},
		{"auth0-classic/idp", nil, 8},
		{"auth0-classic/session", nil, 2},
		{"auth0-classic/signup", nil, 8},
		{"auth0-classic/password", []string{"sms-only"}, 15},
		{"auth0-classic/idp", []string{"native-social"}, 9},
		{"auth0-classic/password", []string{"redirect", "redirect"}, 10},
		{"auth0/machine", nil, 1},
		{"sms/message", nil, 5},
		{"sms/message", []string{"login"}, 6},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		r, err := readyFlow(tt.name, tt.with)
		if err != nil || len(r.Calls) != tt.want {
			t.Errorf("%s with %v: %d calls, %v; want %d", tt.name, tt.with, len(r.Calls), err, tt.want)
		}
		seen[tt.name] = true
		for _, w := range tt.with {
			seen[tt.name[:8]+w] = true
		}
	}
	for _, r := range ReadyFlows() {
		if !seen[r.Name] || r.Source == "" {
			t.Errorf("%s is not counted here, or has no source", r.Name)
		}
		for _, c := range r.Calls {
			if err := checkRequest(c.Request); err != nil {
				t.Errorf("%s: %v", r.Name, err)
			}
		}
		for _, m := range r.With {
			if !seen[r.Name[:8]+m.Name] {
				t.Errorf("modifier %s of %s is not counted here", m.Name, r.Name)
			}
		}
	}
}
