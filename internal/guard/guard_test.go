package guard_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

var origin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func compile(t testing.TB, src string, want expr.Type) *expr.Expr {
	t.Helper()
	e, err := expr.Compile(src, want)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return e
}

func key(t testing.TB, text string) policy.Key {
	t.Helper()
	k, err := policy.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// newGuard returns a guard of the policies with a clock of its own.
func newGuard(t testing.TB, o guard.Options, policies ...policy.Policy) (*guard.Guard, *clock) {
	t.Helper()
	c := &clock{at: origin}
	o.Clock = c.now
	g, err := guard.New(&policy.File{Policies: policies}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g, c
}

func get(path, ip string) *expr.Subject {
	return &expr.Subject{Method: "GET", Path: path, IP: ip, Header: expr.Fields{}}
}

// take checks a request and ends it with the answer.
func take(g *guard.Guard, s *expr.Subject, res expr.Response) *guard.Verdict {
	v := g.Check(context.Background(), s)
	v.Done(res)
	return v
}

var ok = expr.Response{Status: 200}

func window(name string, n int64) limit.Policy {
	return limit.Policy{Name: name, Algorithm: limit.FixedWindow, Limit: n, Window: 10 * time.Second}
}

func match(t testing.TB, text string) []policy.Match {
	t.Helper()
	m, err := policy.ParseMatch(text)
	if err != nil {
		t.Fatal(err)
	}
	return []policy.Match{m}
}

func allowed(t *testing.T, g *guard.Guard, s *expr.Subject, res expr.Response, want string) {
	t.Helper()
	got := ""
	for range want {
		if take(g, s, res).Allowed {
			got += "+"
		} else {
			got += "-"
		}
	}
	if got != want {
		t.Errorf("requests were %s, want %s", got, want)
	}
}

func TestWhichPolicies(t *testing.T) {
	g, _ := newGuard(t, guard.Options{},
		policy.Policy{Policy: window("writes", 1), Match: match(t, "POST /a")},
		policy.Policy{Policy: window("tests", 1), When: compile(t, `request.header["X-Test"] == "1"`, expr.Bool)},
		policy.Policy{Policy: window("each", 3), Key: key(t, "request.ip")},
		policy.Policy{Policy: window("envoy", 1), Descriptor: &policy.Descriptor{Domain: "d", Entries: []policy.DescriptorEntry{{Key: "k"}}}},
	)
	allowed(t, g, get("/a", "1"), ok, "+++-")
	post := get("/a", "2")
	post.Method = "POST"
	allowed(t, g, post, ok, "+-")
	test := get("/", "3")
	test.Header["X-Test"] = []string{"1"}
	allowed(t, g, test, ok, "+-")
	allowed(t, g, get("/b", "2"), ok, "++-") // one of three is spent, and none by what others refused
	v := g.CheckOnly(context.Background(), post, []int{2, 0})
	if len(v.Rulings) != 2 || v.Rulings[0].Policy.Name != "each" || v.Rulings[1].Policy.Name != "writes" {
		t.Errorf("rulings %+v, want each, writes", v.Rulings)
	}
	if v := g.CheckOnly(context.Background(), post, []int{9}); v.Allowed || v.Err == nil {
		t.Errorf("a policy that is not there: %+v", v)
	}
	if v := g.CheckKey(context.Background(), 3, "x", 1); !v.Allowed || len(v.Rulings) != 1 {
		t.Errorf("by key: %+v", v)
	}
	if v := g.CheckKey(context.Background(), 3, "x", 1); v.Allowed || v.Refused.Policy.Name != "envoy" {
		t.Errorf("by key, again: %+v", v)
	}
	none, _ := newGuard(t, guard.Options{}, policy.Policy{Policy: window("", 1), Match: match(t, "/x")})
	v = none.Check(context.Background(), get("/", "1"))
	v.Tell(func(name, value string) { t.Errorf("a request that no policy is for is told %s: %s", name, value) })
	if !v.Allowed || len(v.Rulings) != 0 {
		t.Errorf("no policy: %+v", v)
	}
}

func TestCounting(t *testing.T) {
	failed := expr.Response{Status: 401}
	t.Run("count-if reads the response", func(t *testing.T) {
		g, c := newGuard(t, guard.Options{}, policy.Policy{Policy: window("", 2), CountIf: compile(t, "response.status == 401", expr.Bool)})
		allowed(t, g, get("/", "1"), ok, "+++++")
		allowed(t, g, get("/", "1"), failed, "++-")
		v := g.Check(context.Background(), get("/", "1"))
		if v.Decision.RetryAfter != 10*time.Second {
			t.Errorf("wait %v, want 10s", v.Decision.RetryAfter)
		}
		c.at = c.at.Add(10 * time.Second)
		v = g.Check(context.Background(), get("/", "1"))
		v.Done(failed)
		v.Done(failed) // twice is once
		allowed(t, g, get("/", "1"), failed, "+-")
	})
	t.Run("count-if reads the request", func(t *testing.T) {
		g, _ := newGuard(t, guard.Options{}, policy.Policy{Policy: window("", 2), CountIf: compile(t, `request.method != "HEAD"`, expr.Bool)})
		head := get("/", "1")
		head.Method = "HEAD"
		allowed(t, g, head, ok, "+++")
		allowed(t, g, get("/", "1"), ok, "++-")
		allowed(t, g, head, ok, "-") // over the limit, whether it counts or not
	})
	t.Run("cost is the size of the answer", func(t *testing.T) {
		g, c := newGuard(t, guard.Options{}, policy.Policy{Policy: window("", 1000), Cost: policy.Cost{Expr: compile(t, "response.bytes", expr.Int)}})
		allowed(t, g, get("/", "1"), expr.Response{Bytes: 400}, "+++-") // the third goes over, and fills up
		c.at = c.at.Add(10 * time.Second)
		allowed(t, g, get("/", "1"), expr.Response{Bytes: 5000}, "+-") // more than there can ever be
	})
	t.Run("cost reads the request", func(t *testing.T) {
		g, _ := newGuard(t, guard.Options{}, policy.Policy{Policy: window("", 10), Cost: policy.Cost{Expr: compile(t, `int(request.header["X-Cost"])`, expr.Int)}})
		s := get("/", "1")
		for _, c := range []struct {
			cost    string
			allowed bool
		}{{"4", true}, {"7", false}, {"6", true}, {"1", false}, {"-5", true}, {"0", true}} {
			s.Header["X-Cost"] = []string{c.cost}
			if v := take(g, s, ok); v.Allowed != c.allowed || v.Err != nil {
				t.Errorf("cost %s: %+v", c.cost, v.Decision)
			}
		}
		s.Header["X-Cost"] = []string{"many"}
		v := take(g, s, ok)
		var e *guard.Error
		if v.Allowed || !errors.As(v.Err, &e) || e.Field != "cost" || strings.Contains(v.Err.Error(), "many") {
			t.Errorf("a cost that is no number: %v", v.Err)
		}
		if status, _, body := v.Answer(); status != 500 || body == "" {
			t.Errorf("answer %d %s", status, body)
		}
	})
}

func TestConcurrency(t *testing.T) {
	g, _ := newGuard(t, guard.Options{}, policy.Policy{Policy: limit.Policy{Name: "busy", Algorithm: limit.Concurrency, Limit: 2}})
	check := func() *guard.Verdict { return g.Check(context.Background(), get("/", "1")) }
	one, two, three := check(), check(), check()
	if !one.Allowed || !two.Allowed || three.Allowed {
		t.Fatalf("%v %v %v, want two allowed", one.Allowed, two.Allowed, three.Allowed)
	}
	three.Done(ok)
	if check().Allowed {
		t.Error("a refused request gave back what it never had")
	}
	one.Done(ok)
	one.Done(ok)
	if !check().Allowed || check().Allowed {
		t.Error("want one more allowed after one was done")
	}
	// A reload in between: what runs is still counted, and is given back.
	if err := g.Replace(&policy.File{Policies: []policy.Policy{{Policy: limit.Policy{Name: "busy", Algorithm: limit.Concurrency, Limit: 3}}}}); err != nil {
		t.Fatal(err)
	}
	if !check().Allowed || check().Allowed {
		t.Error("want one more allowed with the limit one higher")
	}
	two.Done(ok)
	if !check().Allowed || check().Allowed {
		t.Error("want one more allowed after one from before the reload was done")
	}
}

func TestShadow(t *testing.T) {
	g, _ := newGuard(t, guard.Options{},
		policy.Policy{Policy: window("new", 1), Shadow: true, Tell: policy.Tell{Dialect: header.XRateLimit}},
		policy.Policy{Policy: window("old", 3)})
	v := g.Check(context.Background(), get("/", ""))
	v.Tell(func(name, value string) { t.Errorf("shadow told %s: %s", name, value) })
	allowed(t, g, get("/", ""), ok, "++-")
	got := g.Stats().Policies
	if got[0].ShadowRefused != 2 || got[0].Allowed != 1 || got[0].Refused != 0 || got[1].Refused != 1 {
		t.Errorf("stats %+v", got)
	}
}

func TestOverrides(t *testing.T) {
	g, _ := newGuard(t, guard.Options{}, policy.Policy{
		Policy: window("", 1), Key: key(t, "request.ip"),
		Overrides: map[string]policy.Override{"big": {Limit: 3}, "all": {Unlimited: true}},
		Answer:    policy.Answer{Status: 429, Body: `{"limit": {limit}, "of": "{name}", "wait": {retry-after}}`},
	})
	allowed(t, g, get("/", "1"), ok, "+-")
	allowed(t, g, get("/", "big"), ok, "+++-")
	allowed(t, g, get("/", "all"), ok, "++++++")
	_, _, body := take(g, get("/", "big"), ok).Answer()
	if body != `{"limit": 3, "of": "", "wait": 10}` {
		t.Errorf("body %s", body)
	}
	if v := take(g, get("/", "all"), ok); len(v.Rulings) != 1 || !v.Rulings[0].Skipped {
		t.Errorf("unlimited: %+v", v.Rulings)
	}
}

func TestSharedCounter(t *testing.T) {
	a, b := window("a", 3), window("b", 5)
	g, _ := newGuard(t, guard.Options{},
		policy.Policy{Policy: a, Counter: "c", Match: match(t, "/a"), Key: key(t, "request.ip")},
		policy.Policy{Policy: b, Counter: "c", Match: match(t, "/b"), Key: key(t, "request.ip")})
	got := ""
	for i := range 10 {
		if take(g, get([]string{"/a", "/b"}[i%2], "k"), ok).Allowed {
			got += "+"
		} else {
			got += "-"
		}
	}
	if got != "++++-+----" { // seed 004: refused from the 5th and the 8th call on
		t.Errorf("%s", got)
	}
}

func TestReplace(t *testing.T) {
	file := func(n int64) *policy.File {
		return &policy.File{Policies: []policy.Policy{{ID: "one", Policy: window("first name", n)}}}
	}
	c := &clock{at: origin}
	g, err := guard.New(file(2), guard.Options{Clock: c.now})
	if err != nil {
		t.Fatal(err)
	}
	allowed(t, g, get("/", ""), ok, "++-")
	next := file(3)
	next.Policies[0].Name = "another"
	if err := g.Replace(next); err != nil {
		t.Fatal(err)
	}
	allowed(t, g, get("/", ""), ok, "+-")
	if s := g.Stats().Policies[0]; s.Allowed != 3 || s.Refused != 2 || s.Name != "another" {
		t.Errorf("stats %+v", s)
	}
	for _, bad := range []*policy.File{nil, {}, file(0)} {
		if g.Replace(bad) == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	allowed(t, g, get("/", ""), ok, "-")
	if g.File() != next {
		t.Error("a file that was refused is in force")
	}
}

// TestChainFails: what stands before a policy that fails has counted, as in
// Azure API Management.
func TestChainFails(t *testing.T) {
	c := &clock{at: origin}
	g, err := guard.New(&policy.File{Chain: true, Policies: []policy.Policy{
		{Policy: limit.Policy{Algorithm: limit.Concurrency, Limit: 1}},
		{Policy: window("before", 2)},
		{Policy: window("keyed", 5), Key: key(t, `request.header["X-Key"]`)},
	}}, guard.Options{Clock: c.now, RequireKey: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		v := g.Check(context.Background(), get("/", ""))
		if v.Allowed || !errors.Is(v.Err, guard.ErrNoKey) || v.Refused != nil {
			t.Errorf("without a key: allowed %v, %v", v.Allowed, v.Err)
		}
	}
	v := g.Check(context.Background(), get("/", ""))
	if v.Allowed || v.Err != nil || v.Refused.Policy.Name != "before" {
		t.Errorf("after two: %+v", v)
	}
	if g.Stats().Policies[2].Failed != 2 {
		t.Errorf("stats %+v", g.Stats().Policies)
	}
}

func TestEvents(t *testing.T) {
	var got []string
	warned := window("w", 5)
	warned.WarnAt = 0.8
	g, _ := newGuard(t, guard.Options{Observe: func(e *guard.Event) {
		got = append(got, e.Policy.Name+" "+e.Kind.String())
	}},
		policy.Policy{Policy: warned},
		policy.Policy{Policy: window("s", 4), Shadow: true},
		policy.Policy{Policy: window("x", 9), Key: policy.Key{Kind: policy.Expression, Expr: compile(t, `string(1 / int(request.header["X-N"]))`, expr.String)}},
	)
	s := get("/", "")
	s.Header["X-N"] = []string{"1"}
	for range 6 {
		take(g, s, ok)
	}
	s.Header["X-N"] = []string{"0"}
	take(g, s, ok)
	want := strings.Repeat("w allowed, s allowed, x allowed, ", 3) +
		"w allowed, w warned, s allowed, x allowed, " +
		"w allowed, w warned, s shadow-refused, x allowed, " +
		"w refused, w warned, x failed"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer policy.Answer
		tell   policy.Tell
		status int
		fields string
		body   string
	}{
		{name: "default", status: 429, fields: `RateLimit-Policy="p";q=1;w=10 RateLimit="p";r=0;t=10 Retry-After=10`},
		{name: "apim", answer: policy.Answer{Name: "apim"}, status: 429, fields: "Retry-After=10",
			body: `{ "statusCode": 429, "message": "Rate limit is exceeded. Try again in 10 seconds." }`},
		{name: "cognito", answer: policy.Answer{Name: "cognito"}, status: 429, body: `{"error":"Rate exceeded"}`},
		{name: "own names", answer: policy.Answer{Name: "apim"}, tell: policy.Tell{Limit: "X-All", Remaining: "X-Left", Reset: "X-Reset", RetryAfter: "X-Wait"}, status: 429,
			fields: "X-All=1 X-Left=0 X-Reset=10 X-Wait=10",
			body:   `{ "statusCode": 429, "message": "Rate limit is exceeded. Try again in 10 seconds." }`},
		{name: "spelt", answer: policy.Answer{Status: 403, Headers: []hit.Field{{Name: "X-A", Value: "b"}}, Body: "no {other}"}, status: 403, body: "no {other}"},
		{name: "tell alone", tell: policy.Tell{Dialect: header.OldDraft}, status: 429,
			fields: "RateLimit-Limit=1, 1;w=10 RateLimit-Remaining=0 RateLimit-Reset=10 Retry-After=10"},
		{name: "own names alone", tell: policy.Tell{Remaining: "X-Left"}, status: 429, fields: "X-Left=0 Retry-After=10"},
		{name: "two dialects", answer: policy.Answer{Name: "x-ratelimit"}, tell: policy.Tell{Dialect: header.OldDraft}, status: 429,
			fields: "RateLimit-Limit=1, 1;w=10 RateLimit-Remaining=0 RateLimit-Reset=10 X-RateLimit-Limit=1 X-RateLimit-Remaining=0 X-RateLimit-Reset=1767225610 Retry-After=10"},
	} {
		g, _ := newGuard(t, guard.Options{}, policy.Policy{Policy: window("p", 1), Answer: c.answer, Tell: c.tell})
		take(g, get("/", ""), ok)
		v := take(g, get("/", ""), ok)
		status, _, body := v.Answer()
		var fields []string
		v.Tell(func(name, value string) { fields = append(fields, name+"="+value) })
		if text := strings.Join(fields, " "); status != c.status || body != c.body || text != c.fields {
			t.Errorf("%s: %d\n got %s\nwant %s\n got %s\nwant %s", c.name, status, text, c.fields, body, c.body)
		}
	}
}

// TestInjection: nothing of a key comes into a field or a body, however it is
// made, and a key of a megabyte is one like any other.
func TestInjection(t *testing.T) {
	g, _ := newGuard(t, guard.Options{}, policy.Policy{
		Policy: window("na\u00efve\r\nX-Bad: 1", 1), Key: key(t, `request.header["X-Key"]`), Tell: policy.Tell{Dialect: header.Draft},
	})
	for _, k := range []string{"a\r\nSet-Cookie: x=1", "\x00", "{retry-after}", strings.Repeat("k", 1<<20), "\xff\xfe"} {
		s := get("/", "")
		s.Header["X-Key"] = []string{k}
		for range 2 {
			v := take(g, s, ok)
			status, fields, body := v.Answer()
			for _, f := range fields {
				if strings.Contains(f.Name+f.Value, k) {
					t.Errorf("key %.20q in %v", k, f)
				}
			}
			n := 0
			v.Tell(func(name, value string) {
				n++
				if strings.ContainsAny(value, "\r\n") || strings.Contains(value, k) {
					t.Errorf("%s: %q", name, value)
				}
			})
			if status == 0 || n == 0 || len(body) > 200 {
				t.Errorf("status %d, %d fields, a body of %d", status, n, len(body))
			}
		}
		if take(g, s, ok).Allowed {
			t.Errorf("key %.20q has no count", k)
		}
	}
}

func TestBadFiles(t *testing.T) {
	for want, p := range map[string]policy.Policy{
		"limit":              {Policy: limit.Policy{Window: time.Second}},
		"on-store-error":     {Policy: window("", 1), OnStoreError: "maybe"},
		`none called "nope"`: {Policy: window("", 1), Answer: policy.Answer{Name: "nope"}},
		"when":               {Policy: window("", 1), When: compile(t, "response.status == 200", expr.Bool)},
		"key":                {Policy: window("", 1), Key: policy.Key{Kind: policy.Expression, Expr: compile(t, `response.header["X"]`, expr.String)}},
		"lease":              {Policy: window("", 1), Lease: policy.Lease{Size: 3, For: time.Second}},
	} {
		_, err := guard.New(&policy.File{Policies: []policy.Policy{p}}, guard.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one about %s", err, want)
		}
	}
}
