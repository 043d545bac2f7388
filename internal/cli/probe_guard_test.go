package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	blackbox "github.com/weir-dev/weir/internal/probe"
)

// heard is an answer: its status, a media type, a body, or a failure.
func heard(status int, kind, body string) *hit.Answer {
	a := &hit.Answer{Status: status, Body: []byte(body), Sent: time.Unix(1, 0), Done: time.Unix(2, 0)}
	if kind != "" {
		a.Fields = a.Fields.Append("Content-Type", kind)
	}
	return a
}

// heardOf is an answer with a field, and with a limit of 60.
func heardOf(status int, field, value string) *hit.Answer {
	a := heard(status, "", "")
	a.Fields = a.Fields.Append("X-RateLimit-Limit", "60").Append(field, value)
	return a
}

func TestGuard(t *testing.T) {
	ok := heard(200, "application/json", `{"items":[],"total":0}`)
	no := heard(429, "application/json", `{"error":"slow"}`)
	gone := &hit.Answer{Failure: hit.ClosedEarly}
	slow := &hit.Answer{Failure: hit.AnswerTimeout}
	bad := heard(502, "text/html", "bad")
	moved := &hit.Answer{Status: 302, Sent: time.Unix(1, 0), Done: time.Unix(2, 0)}
	moved.Fields = moved.Fields.Append("Location", "https://b.example/x?token=secret")
	ran := 0
	for _, c := range []struct {
		name    string
		ok      []string
		answers []*hit.Answer
		kind    string // of the stop, "" for none
		text    string
	}{
		{"all is well", nil, []*hit.Answer{ok, ok, no, no, ok}, "", ""},
		{"fields come and go", nil, []*hit.Answer{ok, ok, ok, ok, heard(200, "application/json", `{"items":[],"next":1}`)}, "", ""},
		{"a text that differs", nil, []*hit.Answer{heard(200, "text/plain", "a"), heard(200, "text/plain", "b"), heard(200, "text/plain", "c"), heard(200, "text/plain", "dd")}, "", ""},
		{"one error among many", nil, []*hit.Answer{ok, ok, ok, bad, ok, ok, no}, "", ""},
		{"errors", nil, []*hit.Answer{ok, ok, ok, bad, ok, bad, bad}, "errors", "status 502"},
		{"an error at once", nil, []*hit.Answer{bad}, "errors", "status 502"},
		{"not allowed at all", nil, []*hit.Answer{heard(401, "", "")}, "errors", "status 401"},
		{"locked out", nil, []*hit.Answer{ok, ok, no, heard(403, "", "")}, "lock-out", "status 403 after 2 requests"},
		{"a person is asked for", nil, []*hit.Answer{ok, ok, no, heard(400, "text/html", "<b>reCAPTCHA</b>")}, "lock-out", "a person is there"},
		{"connections end", nil, []*hit.Answer{ok, ok, ok, ok, no, no, gone, gone, gone}, "lock-out", "broken off"},
		{"connections end, without a refusal", nil, []*hit.Answer{ok, gone, gone, gone}, "no-answer", "3 of 4"},
		{"connections end, after some that did not", nil, []*hit.Answer{ok, ok, ok, ok, gone, gone, gone}, "no-answer", "The first 4 all got one: this may be how it refuses"},
		{"a verdict that changes", nil, []*hit.Answer{heard(200, "application/json", `{"ok":true}`), heard(200, "application/json", `{"ok":true}`), heard(200, "application/json", `{"ok": false}`)}, "errors", `--throttled '200:"ok": false'`},
		{"a verdict that changes late", nil, []*hit.Answer{heard(200, "application/json", `{"ok":true}`), heard(200, "application/json", `{"ok":true}`), heard(200, "application/json", `{"ok":true}`), heard(200, "application/json", `{"ok":false}`)}, "answer-changed", `where ok is false. If that is how it refuses, say so: --throttled '200:"ok":false'`},
		{"a status in the body", nil, []*hit.Answer{ok, ok, ok, heard(200, "application/json", `{"data":null,"status":"error"}`)}, "answer-changed", `--throttled '200:"status":"error"'`},
		{"a code in the body", nil, []*hit.Answer{heard(200, "", `{"code":0}`), heard(200, "", `{"code":0}`), heard(200, "", `{"code":0}`), heard(200, "", `{"code":45009}`)}, "answer-changed", `--throttled '200:"code":45009'`},
		{"codes of its own", nil, []*hit.Answer{heard(200, "", `{"code":10000}`), heard(200, "", `{"code":10000}`), heard(200, "", `{"code":10000}`), heard(200, "", `{"code":10001}`)}, "", ""},
		{"a redirect at once", nil, []*hit.Answer{moved}, "errors", "a redirect to https://b.example/x?token=***, which is not followed"},
		{"a redirect at once that is fine", []string{"302"}, []*hit.Answer{moved, moved, moved, moved}, "", ""},
		{"a slow queue", nil, []*hit.Answer{ok, ok, ok, ok, ok, ok, ok, ok, ok, slow, slow, slow, ok}, "", ""},
		{"an error with status 200", nil, []*hit.Answer{ok, ok, ok, heard(200, "application/json", `{"error":"too many","total":0}`)}, "answer-changed", `--throttled '200:"error"'`},
		{"another media type", nil, []*hit.Answer{ok, ok, ok, ok, heard(200, "text/html", "wait")}, "answer-changed", "text/html"},
		{"a redirect", nil, []*hit.Answer{ok, ok, ok, ok, heard(302, "", "")}, "answer-changed", "--throttled 302"},
		{"a redirect that is fine", []string{"302"}, []*hit.Answer{ok, ok, ok, ok, heard(302, "", "")}, "", ""},
		{"a refusal with status 200 at once", nil, []*hit.Answer{heard(200, "application/json", `{"error":"too many"}`)}, "errors", "the very first request was answered with status 200 and a field \"error\""},
		{"a refusal in words at once", nil, []*hit.Answer{heard(200, "text/plain", "Rate limit exceeded, wait 3 s")}, "errors", "--throttled '200:rate limit exceeded'"},
		{"a field of errors that has none", nil, []*hit.Answer{heard(200, "application/json", `{"error":null,"errors":[],"data":1}`)}, "", ""},
		{"words that are fine", []string{"200"}, []*hit.Answer{heard(200, "text/plain", "how a rate limit exceeded its purpose: slow down")}, "", ""},
		{"GitHub's refusals", nil, []*hit.Answer{ok, ok, ok, ok, heardOf(403, "X-RateLimit-Remaining", "0"), heardOf(403, "X-RateLimit-Remaining", "0"), ok}, "", ""},
		{"GitHub's refusal at once", nil, []*hit.Answer{heardOf(403, "X-RateLimit-Remaining", "0"), ok}, "", ""},
		{"forbidden with something left", nil, []*hit.Answer{ok, ok, heardOf(403, "X-RateLimit-Remaining", "3")}, "lock-out", "it locks out"},
		{"refused, then forbidden", nil, []*hit.Answer{ok, no, heardOf(403, "X-RateLimit-Remaining", "0")}, "lock-out", "refusals changed from status 429 to 403"},
		{"forbidden for a time", nil, []*hit.Answer{ok, ok, heardOf(403, "Retry-After", "60")}, "answer-changed", "status 403 after 2 requests that were let pass, and it has a Retry-After header, which is how a service refuses for a limit: say so with --throttled 403"},
		{"a status of its own", nil, []*hit.Answer{ok, heardOf(420, "X-RateLimit-Remaining", "0")}, "answer-changed", "its limit headers say that nothing is left, which is how a service refuses for a limit: say so with --throttled 420"},
		{"a redirect for a time", nil, []*hit.Answer{ok, ok, ok, ok, heardOf(302, "Retry-After", "60")}, "answer-changed", "the answer changed, and it has a Retry-After header"},
		{"too many refusals", nil, []*hit.Answer{ok, no, no, no, no, no}, "refusals", "--max-throttled 5"},
	} {
		ran++
		rules, err := hit.ParseRules(nil, c.ok)
		if err != nil {
			t.Fatal(err)
		}
		g := &probeGuard{rules: rules, maxNo: 5, anyShape: len(c.ok) > 0}
		at := -1
		for i, a := range c.answers {
			g.see(a, "")
			if g.stopped() != nil && at < 0 {
				at = i
			}
		}
		err = g.stopped()
		if stopKind(err) != c.kind || c.kind != "" && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: stopped by %v (%s), want %q with %q", c.name, err, stopKind(err), c.kind, c.text)
		}
		if c.kind != "" && at != len(c.answers)-1 {
			t.Errorf("%s: stopped at answer %d of %d", c.name, at+1, len(c.answers))
		}
		if g.may() != (c.kind == "") {
			t.Errorf("%s: may it go on? %v", c.name, g.may())
		}
	}
	if ran != 36 {
		t.Fatalf("%d cases ran", ran)
	}
	g := &probeGuard{rules: hit.DefaultRules(), maxNo: 5, end: time.Now().Add(-time.Second)}
	if g.may() || stopKind(g.stopped()) != "time" {
		t.Error("it goes on when the time is over")
	}
	if o := (&probeGuard{rules: hit.DefaultRules(), maxNo: 5}).see(no, ""); o != blackbox.Refused {
		t.Errorf("a 429 is %v", o)
	}
}

// TestGuardOfPaths: another path may answer with other things. What tells of an error,
// or changes on the same path, stops the probe all the same.
func TestGuardOfPaths(t *testing.T) {
	orders, users := heard(200, "application/json", `{"orders":[]}`), heard(200, "application/json", `[{"id":1}]`)
	for _, c := range []struct {
		name  string
		other []*hit.Answer
		kind  string
	}{
		{"a list", []*hit.Answer{users, users, users, users, users}, ""},
		{"a page", []*hit.Answer{heard(200, "text/html", "<p>")}, ""},
		{"an error at once", []*hit.Answer{heard(200, "application/json", `{"error":"too many"}`)}, "answer-changed"},
		{"an error later", []*hit.Answer{users, users, users, users, heard(200, "application/json", `{"error":"too many"}`)}, "answer-changed"},
		{"another status", []*hit.Answer{heard(302, "", "")}, "answer-changed"},
		{"a page later", []*hit.Answer{users, users, users, heard(200, "text/html", "<p>")}, "answer-changed"},
	} {
		g := &probeGuard{rules: hit.DefaultRules(), maxNo: 5}
		for range 5 {
			g.see(orders, "/orders")
		}
		for _, a := range c.other {
			g.see(a, "/users")
		}
		g.see(orders, "/orders")
		if got := stopKind(g.stopped()); got != c.kind {
			t.Errorf("%s: stopped by %q (%v), want %q", c.name, got, g.stopped(), c.kind)
		}
	}
}

// TestProbeTellsDelays: where time runs out because answers come ever later, that is said.
func TestProbeTellsDelays(t *testing.T) {
	g := &probeGuard{rules: hit.DefaultRules(), maxNo: 5}
	at := time.Unix(1_700_000_000, 0)
	for i := range 8 {
		g.see(&hit.Answer{Status: 200, Sent: at, Done: at.Add(time.Duration(i*i)*300*time.Millisecond + 20*time.Millisecond)}, "")
	}
	for range 3 {
		g.see(&hit.Answer{Sent: at, Done: at.Add(30 * time.Second), Failure: hit.AnswerTimeout}, "")
	}
	if err := g.stopped(); err == nil || !strings.Contains(err.Error(), "after 20ms at first and 14.72s at last") {
		t.Errorf("it says %v", err)
	}
}
