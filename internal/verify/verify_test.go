package verify_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/verify"
	"github.com/weir-dev/weir/internal/verify/verifytest"
)

func parse(t *testing.T, text string) *policy.File {
	t.Helper()
	f, err := policy.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// try verifies what is declared against a server that keeps something.
func try(t *testing.T, declared, kept *policy.File, o verify.PlanOptions, net verifytest.Network) (*verify.Report, *verify.Recording) {
	t.Helper()
	if net.High == 0 {
		net.Low, net.High = time.Millisecond, 30*time.Millisecond
	}
	o.Trip = max(o.Trip, net.High/2)
	if o.Budget == (verify.Budget{}) {
		o.Budget = verify.Budget{Requests: 2000, Throttled: 800, Time: time.Hour}
	}
	s, err := verifytest.New(kept, net, 5)
	if err != nil {
		t.Fatal(err)
	}
	set := verify.Settings{}
	if net.Offset != 0 {
		set.Skew = -1
	}
	rep, rec, err := verifytest.Try(declared, s, o, set)
	if err != nil {
		t.Fatal(err)
	}
	return rep, rec
}

// TestFindings: each kind of deviation gets its code, and the nearest policy says
// what was planted.
func TestFindings(t *testing.T) {
	vary, err := verify.ParseVary("header:X-Key=new")
	if err != nil {
		t.Fatal(err)
	}
	const (
		sliding = "policies: [{name: a, match: GET /a, algorithm: sliding-log, limit: 3, window: 10s}, {name: b, match: GET /b, algorithm: sliding-log, limit: 5, window: 10s}]"
		shared  = "policies: [{name: a, match: GET /a, algorithm: sliding-log, limit: 3, window: 10s, counter: c}, {name: b, match: GET /b, algorithm: sliding-log, limit: 5, window: 10s, counter: c}]"
		fixed   = "policies: [{name: a, algorithm: fixed-window, limit: 5, window: 10s}]"
		bucket  = "policies: [{name: a, algorithm: token-bucket, limit: 10, window: 10s, burst: 5}]"
		log     = "policies: [{name: a, algorithm: sliding-log, limit: 5, window: 10s, answer: {status: 429}}]"
		first   = "policies: [{name: a, algorithm: fixed-window, limit: 5, window: 10s, align: first-request}]"
		banning = "policies: [{name: a, algorithm: fixed-window, limit: 5, window: 10s, align: first-request, ban: 25s}]"
		logban  = "policies: [{name: a, algorithm: sliding-log, limit: 5, window: 10s, ban: 25s}]"
	)
	replace := func(text, old, new string) string {
		out := strings.Replace(text, old, new, 1)
		if out == text {
			t.Fatalf("%q does not occur in %q", old, text)
		}
		return out
	}
	for _, c := range []struct {
		name, declared, kept string
		code, near           string
	}{
		{"shared", sliding, shared, verify.CodeShared, "the counter is shared between a and b"},
		{"split", shared, sliding, verify.CodeSplit, "a and b do not share the count c"},
		{"limit less", fixed, replace(fixed, "limit: 5", "limit: 4"), verify.CodeUnderLimit, "a: limit 4 instead of 5"},
		{"limit more", fixed, replace(fixed, "limit: 5", "limit: 6"), verify.CodeOverLimit, "a: limit 6 instead of 5"},
		{"alignment", fixed, replace(fixed, "limit: 5", "limit: 5, align: first-request"), verify.CodeAlign, "a: windows are aligned to the first request"},
		{"burst", bucket, replace(bucket, "burst: 5", "burst: 6"), verify.CodeOverLimit, "a: burst 6 instead of 5"},
		{"window", log, replace(log, "window: 10s", "window: 9500ms"), verify.CodeWindow, "a: window 9.5s instead of 10s"},
		{"denied", log, replace(log, "limit: 5", "limit: 5, count-denied: true"), verify.CodeDenied, "a: refused requests count"},
		{"not denied", replace(log, "limit: 5", "limit: 5, count-denied: true"), log, verify.CodeNotDenied, "a: refused requests do not count"},
		{"key", replace(log, "limit: 5", `limit: 5, key: 'request.header["X-Key"]'`), log, verify.CodeKey, `a: the key is the address, or one for all, not request.header["X-Key"]`},
		{"finer key", log, replace(log, "limit: 5", `limit: 5, key: 'request.header["X-Key"]'`), verify.CodeSplit, "a: each X-Key has a count of its own"},
		{"no ban", banning, replace(banning, ", ban: 25s", ""), verify.CodeBan, "a: it does not ban"},
		{"ban", replace(banning, ", ban: 25s", ""), banning, verify.CodeBan, "a: everything is refused for"},
		{"longer ban", banning, replace(banning, "25s", "30s"), verify.CodeBan, "a: a ban of 30s instead of 25s"},
		{"shorter ban", banning, replace(banning, "25s", "20s"), verify.CodeBan, "a: a ban of 20s instead of 25s"},
		{"ban renewed", banning, replace(banning, "25s", "25s, count-denied: true"), verify.CodeDenied, "a: each refused request begins the ban anew"},
		{"ban not renewed", replace(banning, "25s", "25s, count-denied: true"), banning, verify.CodeNotDenied, "a: refused requests do not begin the ban anew"},
		{"window before a ban", logban, replace(logban, "window: 10s", "window: 8s"), verify.CodeWindow, "a: window 8s instead of 10s"},
		{"limit before a ban", banning, replace(banning, "limit: 5", "limit: 6"), verify.CodeOverLimit, "a: limit 6 instead of 5"},
		{"begun anew", first, replace(first, "first-request", "last-request"), verify.CodeAlign, "a: each request begins the window anew"},
		{"not begun anew", replace(first, "first-request", "last-request"), first, verify.CodeAlign, "a: windows are aligned"},
		{"begun anew by refused ones", replace(first, "first-request", "last-request"), replace(first, "first-request", "last-request, count-denied: true"), verify.CodeDenied, "a: refused requests count"},
		{"status", log, replace(log, "status: 429", "status: 503"), verify.CodeAnswer, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := verify.PlanOptions{Vary: []verify.Vary{vary}}
			net := verifytest.Network{}
			rep, _ := try(t, parse(t, c.declared), parse(t, c.kept), o, net)
			if c.name == "status" {
				// 503 is a refusal only because the declared and the kept policy say so.
				rep = statusReport(t, parse(t, c.declared))
			}
			if rep.Verdict != verify.Violated || len(rep.Findings) == 0 {
				t.Fatalf("%s, %d findings", rep.Verdict, len(rep.Findings))
			}
			f := rep.Findings[0]
			if f.Code != c.code || c.near != "" && !strings.HasPrefix(f.Nearest[0].Text, c.near) {
				t.Errorf("%s %q, want %s %q\n%+v", f.Code, f.Text, c.code, c.near, f.Nearest)
			}
			if f.Request < 1 || f.Expected == "" || f.Seen == "" {
				t.Errorf("the finding does not say where: %+v", f)
			}
			faithful, _ := try(t, parse(t, c.kept), parse(t, c.kept), o, net)
			if faithful.Verdict != verify.Passed {
				t.Errorf("the kept policy itself: %s %+v %+v", faithful.Verdict, faithful.Findings, faithful.Policies)
			}
		})
	}
}

// statusReport judges a refusal with another status than declared.
func statusReport(t *testing.T, f *policy.File) *verify.Report {
	t.Helper()
	rec := &verify.Recording{
		Start:       time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Calls:       []verify.Call{{Name: "GET /", Method: "GET", Path: "/"}},
		Experiments: []verify.Made{{Name: "one", Policies: []int{0}, Rested: true, Whole: true}},
	}
	for i := range 6 {
		at := time.Duration(i) * 10 * time.Millisecond
		a := verify.Seen{Sent: at, Done: at + time.Millisecond, Outcome: verify.Admitted, Status: 200}
		if i == 5 {
			a.Outcome, a.Status = verify.Refused, 503
		}
		rec.Waves = append(rec.Waves, verify.Wave{Answers: []verify.Seen{a}})
	}
	rep, err := verify.Judge(f, rec, verify.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// TestSeed004 is the experiment of a write-up of 2024: two APIs in turn, ten calls
// each, with limits of 3 and 5 in 10 s under one subscription.
func TestSeed004(t *testing.T) {
	declared := parse(t, "policies: [{name: rate-limit-3, match: GET /3, algorithm: sliding-log, limit: 3, window: 10s}, {name: rate-limit-5, match: GET /5, algorithm: sliding-log, limit: 5, window: 10s}]")
	byKey := parse(t, "policies: [{name: rate-limit-3, match: GET /3, algorithm: sliding-log, limit: 3, window: 10s, counter: subscription}, {name: rate-limit-5, match: GET /5, algorithm: sliding-log, limit: 5, window: 10s, counter: subscription}]")
	plan, err := verify.ParseSchedule("seed", "experiment alternating\nGET /3 x10 alternating with GET /5 every 50ms", verify.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.About(declared, false); err != nil {
		t.Fatal(err)
	}
	first := func(kept *policy.File) (*verify.Report, []int) {
		s, err := verifytest.New(kept, verifytest.Network{Low: time.Millisecond, High: 20 * time.Millisecond}, 1)
		if err != nil {
			t.Fatal(err)
		}
		rec := verify.Run(context.Background(), plan, s, verify.RunOptions{Gap: time.Millisecond})
		rep, err := verify.Judge(declared, rec, verify.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		var refused []int
		for _, row := range rep.Timelines[0].Rows {
			if row.Admitted == 0 && !slices.ContainsFunc(refused, func(n int) bool { return n%2 == row.Request%2 }) {
				refused = append(refused, row.Request)
			}
		}
		return rep, refused
	}
	rep, refused := first(declared)
	if rep.Verdict != verify.Passed || !slices.Equal(refused, []int{7, 12}) {
		t.Errorf("rate-limit: %s, first refused %v, want 7 and 12: %+v", rep.Verdict, refused, rep.Findings)
	}
	rep, refused = first(byKey)
	if !slices.Equal(refused, []int{5, 8}) {
		t.Errorf("rate-limit-by-key: first refused %v, want 5 and 8", refused)
	}
	if rep.Verdict != verify.Violated || len(rep.Findings) != 1 || rep.Findings[0].Request != 5 || rep.Findings[0].Text != "the counter is shared between rate-limit-3 and rate-limit-5" {
		t.Errorf("rate-limit-by-key: %s %+v", rep.Verdict, rep.Findings)
	}
}

// TestUndecided: delay as long as the window explains nearly everything, so
// nothing is said.
func TestUndecided(t *testing.T) {
	slow := verifytest.Network{Low: 900 * time.Millisecond, High: 1100 * time.Millisecond}
	declared := parse(t, "policies: [{name: a, algorithm: token-bucket, limit: 10, window: 1s, burst: 2}]")
	kept := parse(t, "policies: [{name: a, algorithm: token-bucket, limit: 11, window: 1s, burst: 2}]")
	rep, _ := try(t, declared, kept, verify.PlanOptions{}, slow)
	if rep.Verdict == verify.Violated {
		t.Errorf("accused through a delay of ten tokens: %+v", rep.Findings)
	}
	// And a server whose counts were in use before.
	f := parse(t, "policies: [{name: a, algorithm: fixed-window, limit: 5, window: 1h}]")
	s, err := verifytest.New(f, verifytest.Network{Low: time.Millisecond, High: 5 * time.Millisecond}, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.Send(context.Background(), &verify.Call{Method: "GET", Path: "/"}, 2)
	rep, _, err = verifytest.Try(f, s, verify.PlanOptions{Rested: true, Only: []string{"limit"}, Trip: time.Millisecond}, verify.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Verdict != verify.Undecided || len(rep.Findings) != 1 || rep.Findings[0].Code != verify.CodeUnrested || rep.Findings[0].Advice == "" {
		t.Errorf("a count in use: %s %+v", rep.Verdict, rep.Findings)
	}
}

// TestSkew: a server whose clock is far off is not accused, by its Date fields.
func TestSkew(t *testing.T) {
	f := parse(t, "policies: [{name: a, algorithm: fixed-window, limit: 4, window: 10s}, {name: b, match: GET /b, algorithm: refill-bucket, limit: 4, window: 5s, burst: 6}]")
	for _, off := range []time.Duration{-97 * time.Second, -1700 * time.Millisecond, 400 * time.Millisecond, 3 * time.Second, 4 * time.Hour} {
		rep, _ := try(t, f, f, verify.PlanOptions{}, verifytest.Network{Offset: off})
		if rep.Verdict == verify.Violated {
			t.Errorf("%v off: %+v", off, rep.Findings)
		}
		if !strings.Contains(rep.Clock, "by the Date fields") {
			t.Errorf("%v off: %s", off, rep.Clock)
		}
	}
}

// TestBudget: a plan keeps to what it may spend, and says what is left out.
func TestBudget(t *testing.T) {
	f := parse(t, "policies: [{name: a, algorithm: sliding-log, limit: 8, window: 10s}, {name: hour, match: GET /h, algorithm: fixed-window, limit: 5, window: 1h}]")
	for _, b := range []verify.Budget{{Requests: 30}, {Throttled: 8}, {Time: 40 * time.Second}, {Requests: 1}} {
		plan, err := verify.NewPlan(f, verify.PlanOptions{Budget: b, Trip: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		c := plan.Cost()
		if b.Requests > 0 && c.Requests > b.Requests || b.Throttled > 0 && c.Throttled > b.Throttled || b.Time > 0 && c.Time > b.Time {
			t.Errorf("budget %+v: the plan spends %+v", b, c)
		}
		if len(plan.LeftOut) == 0 {
			t.Errorf("budget %+v: nothing is left out", b)
		}
		for _, l := range plan.LeftOut {
			if l.Why == "" {
				t.Errorf("left out without a reason: %+v", l)
			}
		}
	}
	rep, rec := try(t, f, f, verify.PlanOptions{Budget: verify.Budget{Requests: 40, Time: 2 * time.Minute}, Rested: true}, verifytest.Network{})
	if rep.Requests > 40 {
		t.Errorf("%d requests, 40 were allowed", rep.Requests)
	}
	if len(rec.LeftOut) == 0 {
		t.Error("nothing left out")
	}
}

// TestMissing: what is missing to reach a policy is said.
func TestMissing(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"policies: [{name: a, match: GET /users/*, algorithm: token-bucket, limit: 1, window: 1s}]", "--request 'GET /users/1'"},
		{`policies: [{name: a, key: 'request.header["X-Key"]', algorithm: token-bucket, limit: 1, window: 1s}]`, "--vary header:X-Key=a,b"},
		{`policies: [{name: a, key: 'request.query["k"]', algorithm: token-bucket, limit: 1, window: 1s}]`, "--vary query:k=a,b"},
		{`policies: [{name: a, key: request.basic_user, algorithm: token-bucket, limit: 1, window: 1s}]`, "--vary basic="},
		{`policies: [{name: a, api: orders, algorithm: token-bucket, limit: 1, window: 1s}]`, "api=orders"},
		{`policies: [{name: a, when: 'request.header["X-Beta"] == "1"', algorithm: token-bucket, limit: 1, window: 1s}]`, "-H"},
	} {
		_, err := verify.NewPlan(parse(t, c.text), verify.PlanOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to say %s", c.text, err, c.want)
		}
	}
}

// TestRecording: a recording that was written is judged the same, and has no secret.
func TestRecording(t *testing.T) {
	f := parse(t, `policies: [{name: a, key: request.basic_user, algorithm: sliding-log, limit: 3, window: 5s}, {name: b, match: GET /b, key: 'request.header["X-Api-Key"]', algorithm: fixed-window, limit: 2, window: 5s, tell: x-ratelimit}]`)
	basic, err := verify.ParseVary("basic=ann:hunter2,bob:tr0ub4dor")
	if err != nil {
		t.Fatal(err)
	}
	key, err := verify.ParseVary("header:X-Api-Key=sesame-open,sesame-shut")
	if err != nil {
		t.Fatal(err)
	}
	rep, rec := try(t, f, f, verify.PlanOptions{Vary: []verify.Vary{basic, key}}, verifytest.Network{})
	if rep.Verdict != verify.Passed {
		t.Fatalf("%s %+v %+v", rep.Verdict, rep.Findings, rep.Policies)
	}
	var b bytes.Buffer
	if err := rec.Write(&b); err != nil {
		t.Fatal(err)
	}
	var report bytes.Buffer
	for _, w := range []func() error{
		func() error { return rep.WriteJSON(&report) }, func() error { return rep.WriteJUnit(&report, false) },
		func() error { return rep.WriteText(&report, verify.TextOptions{Timelines: "all"}) },
	} {
		if err := w(); err != nil {
			t.Fatal(err)
		}
	}
	for _, secret := range []string{"hunter2", "tr0ub4dor", "sesame", "YW5uOmh1bnRlcjI"} {
		if strings.Contains(b.String(), secret) || strings.Contains(report.String(), secret) {
			t.Errorf("%q is in the recording or a report", secret)
		}
	}
	again, err := verify.Read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	other, err := verify.Judge(f, again, verify.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if other.Verdict != rep.Verdict || other.Requests != rep.Requests || len(other.Policies[0].Tests) != len(rep.Policies[0].Tests) {
		t.Errorf("judged again: %s, %d requests; before: %s, %d", other.Verdict, other.Requests, rep.Verdict, rep.Requests)
	}
}

// TestJUnit: every policy and experiment is a case, and the numbers agree.
func TestJUnit(t *testing.T) {
	declared := parse(t, "policies: [{name: a, algorithm: fixed-window, limit: 5, window: 2s}, {name: quiet, shadow: true, algorithm: fixed-window, limit: 5, window: 2s}]")
	kept := parse(t, "policies: [{name: a, algorithm: fixed-window, limit: 4, window: 2s}]")
	rep, _ := try(t, declared, kept, verify.PlanOptions{}, verifytest.Network{})
	var b bytes.Buffer
	if err := rep.WriteJUnit(&b, false); err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Failure *struct{} `xml:"failure"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(b.Bytes(), &suite); err != nil {
		t.Fatal(err)
	}
	failures, skipped := 0, 0
	for _, c := range suite.Cases {
		if c.Failure != nil {
			failures++
		}
		if c.Skipped != nil {
			skipped++
		}
	}
	if suite.Tests != len(suite.Cases) || suite.Failures != failures || suite.Skipped != skipped || failures == 0 || skipped == 0 {
		t.Errorf("%+v: %d failed, %d skipped\n%s", suite, failures, skipped, b.String())
	}
	if rep.Policies[1].Verdict != verify.NotVerified || rep.Policies[1].Why == "" {
		t.Errorf("the shadow policy: %+v", rep.Policies[1])
	}
}

// TestLate: a policy that counts after the answer is followed.
func TestLate(t *testing.T) {
	f := parse(t, "policies: [{name: a, algorithm: sliding-log, limit: 3, window: 5s, count-if: response.status == 200}]")
	rep, _ := try(t, f, f, verify.PlanOptions{}, verifytest.Network{})
	if rep.Verdict != verify.Passed {
		t.Errorf("%s %+v %+v", rep.Verdict, rep.Findings, rep.Policies)
	}
	never := parse(t, "policies: [{name: a, algorithm: sliding-log, limit: 3, window: 5s, count-if: response.status == 500}]")
	if rep, _ = try(t, f, never, verify.PlanOptions{}, verifytest.Network{}); rep.Verdict != verify.Violated {
		t.Errorf("what counts nothing: %s", rep.Verdict)
	}
}

func TestParseSchedule(t *testing.T) {
	good := "experiment one\nGET /a x3 alternating with GET /b every 50ms # turn\nwait 2s; api=orders POST /c with X-Key:1 client 2 x4 together\nhead 10s - 20ms\nGET /d"
	vary, err := verify.ParseVary("header:X-Who=a,b")
	if err != nil {
		t.Fatal(err)
	}
	p, err := verify.ParseSchedule("f", good, verify.PlanOptions{Vary: []verify.Vary{vary}})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Experiments) != 1 || len(p.Experiments[0].Steps) != 8 || p.Experiments[0].Requests != 11 {
		t.Fatalf("%+v", p)
	}
	third := p.Calls[p.Experiments[0].Steps[6].Call]
	if third.API != "orders" || third.Client != 1 || !slices.Contains(third.Header, hit.Field{Name: "X-Who", Value: "b"}) || p.Experiments[0].Steps[6].Count != 4 {
		t.Errorf("%+v", third)
	}
	for text, want := range map[string]string{
		"":                           "no request",
		"wait":                       "f:1: a duration is missing",
		"wait long":                  `"long" is not a duration`,
		"\nGET a":                    "f:2: ",
		"GET /a x0":                  "x10 for ten times",
		"GET /a sometimes":           `"sometimes" is not understood`,
		"GET /a with X-Key":          "without spaces",
		"GET /a alternating GET /b":  "alternating with",
		"GET /a x2000000":            "more than",
		"head 10s * 2":               "head 10s + 200ms",
		"GET /a client zero":         "its number",
		"experiment":                 "needs a name",
		"GET /a alternating with":    "alternating with",
		"get /a":                     "capital letters",
		"GET /a every":               "not a duration",
		"head 0s; GET /a":            "longer than zero",
		"GET /a;GET /b x3 together;": "",
	} {
		_, err := verify.ParseSchedule("f", text, verify.PlanOptions{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseSchedule(f *testing.F) {
	f.Add("GET /a x10 alternating with GET /b every 50ms\nwait 15s")
	f.Add("experiment x; head 10s + 2ms; api=1 POST /a with A:b client 3 together x2")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := verify.ParseSchedule("f", text, verify.PlanOptions{})
		if err != nil {
			return
		}
		for _, e := range p.Experiments {
			for _, s := range e.Steps {
				if s.Call < 0 || s.Call >= len(p.Calls) || s.Count < 1 {
					t.Fatalf("%+v", s)
				}
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	file, err := policy.Parse("f", []byte("policies: [{name: a, algorithm: sliding-log, limit: 2, window: 5s}]"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"weir_verify":1,"start":"2026-11-21T10:00:00Z","calls":[{"method":"GET","path":"/"}],"experiments":[{"name":"x","rested":true}],"waves":[{"experiment":0,"call":0,"answers":[{"sent_ns":1,"done_ns":2,"outcome":"admitted"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := verify.Read(data)
		if err != nil {
			return
		}
		if _, err := verify.Judge(file, rec, verify.Settings{Skew: -1}); err != nil {
			t.Log(err)
		}
	})
}

func TestCodesAreStable(t *testing.T) {
	seen := map[string]bool{}
	for i, c := range verify.Codes() {
		if want := fmt.Sprintf("V%03d", i+1); c.Code != want || c.Name == "" || c.Text == "" || seen[c.Name] {
			t.Errorf("code %d is %+v, want %s", i, c, want)
		}
		seen[c.Name] = true
	}
	if len(seen) < 20 {
		t.Errorf("only %d codes", len(seen))
	}
}

// TestNothingAfterATroubledAnswer: when an answer is missing, or did not fit,
// nothing is said about the same count until it has come to rest.
func TestNothingAfterATroubledAnswer(t *testing.T) {
	f := parse(t, "policies: [{name: a, algorithm: fixed-window, align: first-request, limit: 3, window: 10s}]")
	rec := &verify.Recording{Start: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Calls: []verify.Call{{Name: "GET /", Method: "GET", Path: "/"}}}
	at := time.Duration(0)
	add := func(e int, o verify.Outcome, err string) {
		at += 10 * time.Millisecond
		rec.Waves = append(rec.Waves, verify.Wave{Experiment: e, Answers: []verify.Seen{{Sent: at, Done: at + time.Millisecond, Outcome: o, Err: err}}})
	}
	for e := range 3 {
		rec.Experiments = append(rec.Experiments, verify.Made{Name: fmt.Sprint(e), Policies: []int{0}, Rested: true, Whole: true})
		at += 11 * time.Second
		for range 3 {
			add(e, verify.Admitted, "")
		}
		if e == 1 {
			add(e, verify.Unknown, "the connection ended")
		}
		add(e, verify.Refused, "")
		add(e, verify.Refused, "")
	}
	rep, err := verify.Judge(f, rec, verify.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Verdict != verify.Passed || len(rep.Findings) > 0 {
		t.Errorf("%s %+v", rep.Verdict, rep.Findings)
	}
	judged := 0
	for i, row := range rep.Timelines[1].Rows {
		if row.Judged {
			judged++
		}
		if i >= 3 && (row.Judged || row.Why == "") {
			t.Errorf("row %d is judged after an answer that nobody had: %+v", i, row)
		}
	}
	if judged != 3 {
		t.Errorf("%d rows before it are judged, want 3", judged)
	}
}

// TestNothingWasRefused: answers of an unclear status where refusals should be are no
// sign that the limit is kept, and the report says how to make them one.
func TestNothingWasRefused(t *testing.T) {
	f := parse(t, "policies: [{name: a, algorithm: fixed-window, align: first-request, limit: 3, window: 10s}]")
	rec := &verify.Recording{Start: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Calls: []verify.Call{{Name: "GET /", Method: "GET", Path: "/"}},
		Experiments: []verify.Made{{Name: "limit", Policies: []int{0}, Rested: true, Whole: true}}}
	for i := range 5 {
		at := time.Duration(10*i) * time.Millisecond
		a := verify.Seen{Sent: at, Done: at + time.Millisecond, Outcome: verify.Admitted, Status: 200}
		if i > 2 {
			a.Outcome, a.Status = verify.Unknown, 503
		}
		rec.Waves = append(rec.Waves, verify.Wave{Answers: []verify.Seen{a}})
	}
	rep, err := verify.Judge(f, rec, verify.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Verdict != verify.Undecided || !strings.Contains(rep.Policies[0].Why, "2 answers where refusals were expected had status 503") || !strings.Contains(rep.Policies[0].Why, "--throttled 503") {
		t.Errorf("%s, %q", rep.Verdict, rep.Policies[0].Why)
	}
}
