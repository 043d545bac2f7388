package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/limit"
	"pgregory.net/rapid"
)

// The sketch of the design document, with everything a file can say.
const example = `# yaml-language-server: $schema=policy.schema.json
policies:
  - name: token endpoint
    match: POST /oauth2/token
    key: request.basic_user
    algorithm: token-bucket
    limit: 120
    window: 1s
    burst: 120
    align: clock
    count-denied: false
    warn-at: 80%
    answer: cognito
  - name: "calendar"
    match: [GET /a, "/b/{id}/**"]
    key: request.header["X-Api-Key"]
    algorithm: quota
    limit: 1000
    period: month
    location: Europe/Berlin
    cost: 2
    answer:
      status: 403
      fields: x-ratelimit
      headers:
        Content-Type: text/plain
        X-Reason: "quota: gone"
      body: |
        Out of call volume quota.
        Try again in {retry-after} seconds.
  - algorithm: fixed-window
    limit: 3
    window: 1m30s
    phase: 15s
    warn-at: 0.5
  - algorithm: leaky-bucket
    limit: 1
    window: 100ms
    burst: 20
    undelayed: 8
    max-delay: 1s
  - {algorithm: fixed-window, limit: 5, window: 1d, align: first-request, key: global}
  - {algorithm: quota, limit: 9, window: 7d12h, start: 2026-01-31T00:00:00+01:00}
  - {algorithm: concurrency, limit: 4, key: 'request.query["tenant"]', match: "DELETE"}
`

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatalf("Parse:\n%v", err)
	}
	return f
}

func TestParse(t *testing.T) {
	f := parse(t, example)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	want := []Policy{
		{Policy: limit.Policy{Name: "token endpoint", Limit: 120, Window: time.Second, Burst: 120, WarnAt: 0.8},
			Match: []Match{{Methods: []string{"POST"}, Path: "/oauth2/token"}}, Key: Key{Kind: BasicUser}, Answer: Answer{Name: "cognito"}},
		{Policy: limit.Policy{Name: "calendar", Algorithm: limit.Quota, Limit: 1000, Period: limit.PerMonth, Location: berlin},
			Match: []Match{{Methods: []string{"GET"}, Path: "/a"}, {Path: "/b/{id}/**"}}, Key: Key{Kind: Header, Name: "X-Api-Key"}, Cost: Cost{Fixed: 2},
			Answer: Answer{Status: 403, Dialect: header.XRateLimit, Headers: []hit.Field{{Name: "Content-Type", Value: "text/plain"}, {Name: "X-Reason", Value: "quota: gone"}},
				Body: "Out of call volume quota.\nTry again in {retry-after} seconds.\n"}},
		{Policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 3, Window: 90 * time.Second, Phase: 15 * time.Second, WarnAt: 0.5}},
		{Policy: limit.Policy{Algorithm: limit.LeakyBucket, Limit: 1, Window: 100 * time.Millisecond, Burst: 20, Undelayed: 8, MaxDelay: time.Second}},
		{Policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 5, Window: 24 * time.Hour, Align: limit.AlignFirst}},
		{Policy: limit.Policy{Algorithm: limit.Quota, Limit: 9, Window: 180 * time.Hour, Start: time.Date(2026, 1, 30, 23, 0, 0, 0, time.UTC)}},
		{Policy: limit.Policy{Algorithm: limit.Concurrency, Limit: 4}, Match: []Match{{Methods: []string{"DELETE"}}}, Key: Key{Kind: Query, Name: "tenant"}},
	}
	if len(f.Policies) != len(want) {
		t.Fatalf("%d policies, want %d", len(f.Policies), len(want))
	}
	for i := range want {
		if got, want := text(f.Policies[i]), text(want[i]); got != want {
			t.Errorf("policy %d\n got %s\nwant %s", i, got, want)
		}
		if _, err := f.Policies[i].New(time.Unix(0, 0)); err != nil {
			t.Errorf("policy %d: New: %v", i, err)
		}
	}
}

// text is a policy in a form that compares time zones by name and expressions
// by their source.
func text(p Policy) string {
	also := []string{"-"}
	if p.Location != nil {
		also[0] = p.Location.String()
		p.Location = nil
	}
	for _, e := range []**expr.Expr{&p.When, &p.CountIf, &p.Key.Expr, &p.Cost.Expr} {
		source := "-"
		if *e != nil {
			source = (*e).Source()
		}
		also, *e = append(also, source), nil
	}
	if p.Descriptor != nil {
		also = append(also, fmt.Sprintf("%#v", *p.Descriptor))
		p.Descriptor = nil
	}
	p.Cost.Fixed = max(p.Cost.Fixed, 1)
	if p.Cost.Fixed == 1 {
		p.Cost.Fixed = 0
	}
	return fmt.Sprintf("%#v %q", p, also)
}

func TestAliases(t *testing.T) {
	f := parse(t, `
policies:
  - &base
    name: a
    limit: 10
    window: &w 1s
    key: request.ip
  - <<: *base
    name: b
    limit: 20
  - name: c
    limit: 5
    window: *w
`)
	got := ""
	for _, p := range f.Policies {
		got += fmt.Sprintf("%s %d/%v %s; ", p.Name, p.Limit, p.Window, p.Key)
	}
	if want := "a 10/1s request.ip; b 20/1s request.ip; c 5/1s global; "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Every problem is told, each at its place: line:column path and part of the reason.
func TestErrors(t *testing.T) {
	cases := []struct {
		name, file string
		want       []string
	}{
		{"empty", "", []string{"test.yaml: the file is empty"}},
		{"a comment only", "# hello\n", []string{"test.yaml: the file is empty"}},
		{"no mapping", "- a\n", []string{"1:1: this is a list; it must be a mapping with policies:"}},
		{"other top", "policy:\n  - limit: 1\n", []string{"1:1: policy: no such field; did you mean policies?", "1:1: policies: is missing"}},
		{"no list", "policies:\n  limit: 1\n", []string{"policies: this is a mapping; it must be a list"}},
		{"empty list", "policies: []\n", []string{"the list is empty"}},
		{"entry is text", "policies:\n  - hello\n", []string{"2:5: policies[0]: this is text"}},
		{"entry is nothing", "policies:\n  -\n", []string{"policies[0]: this is nothing"}},
		{"second document", "policies:\n  - {limit: 1, window: 1s}\n---\na: b\n", []string{"a second document"}},
		{"not YAML", "policies: [\n", []string{"not YAML"}},
		{"bad indentation", "policies:\n  - limit: 1\n window: 1s\n", []string{"3:2: not YAML"}},
		{"several at once", "policies:\n  - name: a\n    limit: 0\n    windw: 1s\n    key: request.cookie\n    answer: nope\n  - name: a\n    limit: x\n", []string{
			"2:5: policies[0].window: must be longer than zero",
			"3:12: policies[0].limit: must be at least 1",
			"4:5: policies[0].windw: no such field; did you mean window?",
			`5:10: policies[0].key: this gives a map, and text is needed`,
			`6:13: policies[0].answer: no answer is called "nope"; known are cognito`,
			"7:5: policies[1].window: must be longer than zero",
			`7:11: policies[1].name: policies[0] has the name "a" already`,
			"8:12: policies[1].limit: this is text; it must be a whole number",
		}},
		{"ban of nothing", "policies:\n  - {algorithm: sliding-log, limit: 1, window: 1s, ban: 0s}\n", []string{"2:57: policies[0].ban: must be longer than zero; leave it out"}},
		{"missing limit", "policies:\n  - name: a\n    window: 1s\n", []string{"2:5: policies[0].limit: missing"}},
		{"field twice", "policies:\n  - limit: 1\n    window: 1s\n    limit: 2\n", []string{"4:5: policies[0].limit: given twice, first in line 2"}},
		{"wrong for the algorithm", "policies:\n  - algorithm: sliding-log\n    limit: 1\n    window: 1s\n    burst: 5\n    phase: 1ms\n", []string{"5:12: policies[0].burst: means nothing for sliding-log", "6:12: policies[0].phase: means nothing"}},
		{"unknown algorithm", "policies:\n  - algorithm: bucket\n    limit: 1\n", []string{"2:16: policies[0].algorithm: "}},
		{"unknown alignment", "policies:\n  - {limit: 1, window: 1s, align: noon}\n", []string{"2:35: policies[0].align: "}},
		{"unknown period", "policies:\n  - {algorithm: quota, limit: 1, period: decade}\n", []string{"policies[0].period: must be hour, day"}},
		{"period none", "policies:\n  - {algorithm: quota, limit: 1, period: none, window: 1s}\n", []string{"leave it out to count by window"}},
		{"durations", "policies:\n  - {limit: 1, window: 60}\n  - {limit: 1, window: fast}\n  - {limit: 1, window: }\n  - {limit: 1, window: [1s]}\n  - {limit: 1, window: -1s}\n  - {limit: 1, window: 9999999d}\n", []string{
			"2:24: policies[0].window: 60 has no unit; write for example 60s", `3:24: policies[1].window: "fast" is not a duration`,
			"4:16: policies[2].window: has no value", "policies[3].window: this is a list", `6:24: policies[4].window: "-1s" is not a duration`, `policies[5].window: "9999999d" is not`,
		}},
		{"shares", "policies:\n  - {limit: 1, window: 1s, warn-at: 80}\n  - {limit: 1, window: 1s, warn-at: 120%}\n  - {limit: 1, window: 1s, warn-at: most}\n  - {limit: 1, window: 1s, warn-at: 1.5}\n  - {limit: 1, window: 1s, warn-at: true}\n  - {limit: 1, window: 1s, warn-at: .nan}\n  - {limit: 1, window: 1s, warn-at: -1}\n", []string{
			"for a percentage write 80%", "from 0% to 100%", `"most" is not a percentage`, "from 0% to 100%", "this is true or false", "this is a number", "from 0% to 100%",
		}},
		{"numbers", "policies:\n  - {limit: \"5\", window: 1s}\n  - {limit: 1.5, window: 1s}\n  - {limit: 99999999999999999999, window: 1s}\n  - {limit: -5, window: 1s}\n  - {limit: , window: 1s}\n  - {limit: 18446744073709551615, window: 1s}\n", []string{
			"this is text; it must be a whole number without quotes", "this is a number; it must be a whole number", "policies[2].limit: ", "must not be negative", "this is nothing", "too large",
		}},
		{"texts", "policies:\n  - {name: 5, limit: 1, window: 1s}\n  - {name: [a], limit: 1, window: 1s}\n  - {name: , limit: 1, window: 1s}\n", []string{"so put it in quotes", "this is a list", "has no value"}},
		{"bools", "policies:\n  - {limit: 1, window: 1s, count-denied: maybe}\n", []string{"it must be true or false"}},
		{"cost", "policies:\n  - {limit: 1, window: 1s, cost: 0}\n", []string{"2:34: policies[0].cost: must be at least 1"}},
		{"places", "policies:\n  - {algorithm: quota, limit: 1, period: day, location: Atlantis}\n  - {algorithm: quota, limit: 1, period: day, location: Local}\n  - {algorithm: quota, limit: 1, period: day, location: \"\"}\n", []string{`"Atlantis" is not a known time zone`, `"Local" is not`, `"" is not`}},
		{"start", "policies:\n  - {algorithm: quota, limit: 1, window: 1h, start: yesterday}\n", []string{`"yesterday" is not a time`}},
		{"match", "policies:\n  - {limit: 1, window: 1s, match: post /x}\n  - limit: 1\n    window: 1s\n    match:\n      - GET /a\n      - GET  /b\n      - 5\n  - {limit: 1, window: 1s, match: []}\n", []string{
			"2:35: policies[0].match: a method has capital letters", "7:13: policies[1].match[1]: a path starts with", "8:9: policies[1].match[2]: this is a number", "the list is empty",
		}},
		{"keys", "policies:\n  - limit: 1\n    window: 1s\n    key: 'request.header[\"X Y\"]'\n", []string{`4:28: policies[0].key: " " cannot be in the name of a header`}},
		{"answer", "policies:\n  - limit: 1\n    window: 1s\n    answer:\n      status: 200\n      fields: morse\n      headers: {\"a b\": c, d: 5, \"\": x, e: \"f\\r\\ng\"}\n      body: [x]\n      tail: y\n", []string{
			"5:15: policies[0].answer.status: must be from 400 to 599", `"morse" is not a form of limit fields`, "cannot be in the name of a header", "so put it in quotes", "name of the header is empty", "line end", "body: this is a list", "answer.tail: no such field",
		}},
		{"answer without status", "policies:\n  - limit: 1\n    window: 1s\n    answer: {body: x}\n", []string{"policies[0].answer.status: missing"}},
		{"answer headers", "policies:\n  - limit: 1\n    window: 1s\n    answer: {status: 429, headers: [a]}\n", []string{"it must be a mapping of names to values"}},
		{"expressions in quotes", "policies:\n  - limit: 1\n    window: 1s\n    key: 'request.header[''X''] + reqest.ip'\n    when: \"request.header[\\\"X\\\"] == 5\"\n    count-if: |\n      response.status\n      < true\n    cost: \"\\u0031 + nope\"\n", []string{`4:35: policies[0].key: nothing is called reqest.ip; did you mean request.ip?`, `5:34: policies[0].when: == cannot be applied`, "8:7: policies[0].count-if: < cannot be applied", `9:21: policies[0].cost: nothing is called nope`}},
		{"kinds of expressions", "policies:\n  - limit: 1\n    window: 1s\n    key: response.header[\"X\"]\n    when: response.status == 200\n    count-if: request.ip\n    cost: request.ip\n", []string{"4:10: policies[0].key: a key cannot read the response", "5:11: policies[0].when: cannot read the response", "6:15: policies[0].count-if: this gives text, and true or false is needed", "7:11: policies[0].cost: this gives text, and a whole number is needed; write int(…)"}},
		{"late concurrency", "policies:\n  - {algorithm: concurrency, limit: 1, count-if: response.status == 200}\n  - {algorithm: leaky-bucket, limit: 1, window: 1s, cost: response.bytes}\n  - {limit: 1, window: 1s, count-denied: true, count-if: response.status == 200}\n", []string{"2:50: policies[0].count-if: reads the response, and concurrency holds", "3:59: policies[1].cost: reads the response, and a leaky-bucket", "4:58: policies[2].count-if: reads the response, and a refused request has none"}},
		{"scopes", "policies:\n  - limit: 1\n    window: 1s\n    api: []\n    operation: [a, a, 5]\n    product: \"\"\n", []string{"4:10: policies[0].api: the list is empty", "5:20: policies[0].operation[1]: \"a\" stands in the list twice", "5:23: policies[0].operation[2]: this is a number", "6:14: policies[0].product: is empty"}},
		{"overrides", "policies:\n  - limit: 1\n    window: 1s\n    overrides: {a: unlimited}\n  - limit: 1\n    window: 1s\n    key: request.ip\n    overrides:\n      a: none\n      b: {}\n      c: {limit: 0, windw: 1s}\n      d: {burst: 0, window: 0s}\n      e: 5\n  - {algorithm: fixed-window, limit: 1, window: 1s, key: request.ip, overrides: {x: {burst: 5}}}\n", []string{"4:16: policies[0].overrides: are limits of single keys", `policies[1].overrides.a: "none" is not understood; write unlimited`, "policies[1].overrides.b: changes nothing", "11:18: policies[1].overrides.c.limit: must be at least 1", "policies[1].overrides.c.windw: no such field; did you mean window?", "policies[1].overrides.d.burst: must be at least 1", "policies[1].overrides.d.window: must be longer", "policies[1].overrides.e: this is a number", "policies[2].overrides: \"x\": burst: means nothing"}},
		{"service words", "policies:\n  - limit: 1\n    window: 1s\n    on-store-error: wait\n    shadow: 5\n    id: \"\"\n    counter: [a]\n", []string{"4:21: policies[0].on-store-error: must be local, open or closed", "this is a number; it must be true or false", "6:9: policies[0].id: is empty", "counter: this is a list"}},
		{"bans", "policies:\n  - {limit: 5, window: 1s, ban: 9s}\n  - {algorithm: sliding-log, limit: 5, window: 1s, ban: 900ms}\n  - {algorithm: fixed-window, limit: 5, window: 1s, ban: 9s, counter: c}\n  - {algorithm: fixed-window, limit: 5, window: 1s, ban: 9s, count-if: response.status == 200}\n", []string{"2:33: policies[0].ban: means nothing for token-bucket", "3:57: policies[1].ban: must be at least the window", "4:71: policies[2].counter: a count that policies share", "5:72: policies[3].count-if: reads the response, and a refused request has none to begin a ban by"}},
		{"leases", "policies:\n  - {limit: 5, window: 1s, lease: {size: 6, for: 1s}}\n  - {algorithm: quota, limit: 5, window: 1s, lease: {size: 2, for: 1s}}\n  - {limit: 5, window: 1s, lease: {size: 2}}\n  - {limit: 5, window: 1s, lease: {for: 1s, sise: 2}}\n  - {limit: 5, window: 1s, lease: 5, count-denied: true}\n", []string{"size 6 is more than the 5", "policies[1].lease: belongs to a token-bucket", "needs the time in which they may be spent", "lease.sise: no such field; did you mean size?", "policies[4].lease: this is a number"}},
		{"counters", "policies:\n  - {name: a, algorithm: fixed-window, limit: 1, window: 1s, counter: c}\n  - {name: b, algorithm: fixed-window, limit: 1, window: 2s, counter: c}\n  - {limit: 1, window: 1s, counter: d}\n", []string{"policies[1].counter: a count that policies share", "policies[2].counter: a count that policies share needs one that counts"}},
		{"ids", "policies:\n  - {name: a, id: x, limit: 1, window: 1s}\n  - {name: x, limit: 1, window: 1s}\n  - {name: b, id: x, limit: 1, window: 1s}\n", []string{"3:12: policies[1].name: policies[0] has the id", "4:19: policies[2].id: policies[0] keeps its counters under"}},
		{"tell", "policies:\n  - limit: 1\n    window: 1s\n    tell: morse\n  - limit: 1\n    window: 1s\n    tell: {limit: a b, reset: X, remaining: x, fields: nope, retry: y}\n  - limit: 1\n    window: 1s\n    tell: {}\n", []string{`4:11: policies[0].tell: "morse" is not a form`, `tell.limit: " " cannot be in the name`, `tell.remaining: "x" is the field of reset already`, `tell.fields: "nope" is not a form`, `tell.retry: no such field`, `policies[2].tell: is empty`}},
		{"descriptors", "policies:\n  - limit: 1\n    window: 1s\n    match: /x\n    key: request.ip\n    descriptor: {domain: d, entries: [{key: a}]}\n  - limit: 1\n    window: 1s\n    descriptor: {entries: [{value: a}, {key: b, share: true}, 5], mode: x}\n  - limit: 1\n    window: 1s\n    descriptor: {domain: d}\n", []string{"4:12: policies[0].match: means nothing with descriptor", "5:10: policies[0].key: means nothing with descriptor", "entries[0].key: missing", "entries[1].share: belongs to a value that ends with", "entries[2]: this is a number", `descriptor.mode: "x" is not known`, "descriptor.entries: missing"}},
		{"chain", "chain: 5\npolicies:\n  - {limit: 1, window: 1s}\n", []string{"1:8: chain: this is a number"}},
		{"aliases", "policies:\n  - *nobody\n  - limit: *never\n", []string{`no anchor is called &"nobody"`, "policies[1].window: must be longer", `no anchor is called &"never"`}},
		{"a loop", "policies: &a\n  - *a\n", []string{"policies[0]: this is a list"}},
		{"tags", "policies:\n  - !!map {limit: 1}\n", []string{"tags such as"}},
		{"complex keys", "policies:\n  - ? [a]\n    : b\n    limit: 1\n    window: 1s\n", []string{""}},
		{"too deep", "policies: " + strings.Repeat("[", 60) + "\n", []string{"more than 50 levels"}},
		{"too many keys", strings.Repeat("a: b\n", maxKeys+1), []string{"5001:1: more than 50 levels inside each other, or more than 5000 keys"}},
		{"too many keys in brackets", "policies: {" + strings.Repeat("a: b, a: b,\n", maxKeys) + "}", []string{"more than 5000 keys"}},
		{"keys of other kinds", "policies:\n  - {5: a, true: b, 1.5: c, null: d, limit: 1, window: 1s}\n", []string{"5: no such field", "true: no such field", "1.5: no such field", "null: no such field"}},
		{"merging text", "policies:\n  - <<: hello\n    limit: 1\n    window: 1s\n", []string{"this is text; it must be a mapping, or an alias of one"}},
		{"merging too deep", "policies:\n  - <<: {<<: {<<: {<<: {<<: {<<: {limit: 1}}}}}}\n    window: 1s\n", []string{"more than four times", "policies[0].limit: missing"}},
		{"too large", strings.Repeat("#", maxBytes+1), []string{"split it"}},
		{"too many", "policies:\n" + strings.Repeat("  - {limit: 1, window: 1s}\n", maxPolicies+1), []string{"1001 policies, more than 1000"}},
	}
	ran := 0
	for _, c := range cases {
		ran++
		_, err := Parse("test.yaml", []byte(c.file))
		var all Errors
		if !errors.As(err, &all) {
			t.Errorf("%s: Parse = %v, want Errors", c.name, err)
			continue
		}
		if len(all) != len(c.want) {
			t.Errorf("%s: %d problems, want %d:\n%v", c.name, len(all), len(c.want), err)
			continue
		}
		for i, want := range c.want {
			first, _, _ := strings.Cut(all[i].Error(), "\n")
			if !strings.Contains(first, want) || !strings.HasPrefix(first, "test.yaml:") {
				t.Errorf("%s: problem %d is\n%s\nwant\n%s", c.name, i, first, want)
			}
		}
	}
	if ran < 56 {
		t.Fatalf("%d files ran, want at least 56", ran)
	}
}

func TestErrorText(t *testing.T) {
	_, err := Parse("api.limit.yaml", []byte("policies:\n  - name: a\n\n    limit: ten # requests\n    window: 1s\n"))
	const want = `api.limit.yaml:4:12: policies[0].limit: this is text; it must be a whole number without quotes
    4 |     limit: ten # requests
      |            ^`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var one *Error
	if !errors.As(err, &one) || one.Line != 4 || one.Column != 12 || one.Path != "policies[0].limit" {
		t.Errorf("As *Error = %+v", one)
	}
}

func TestExcerpt(t *testing.T) {
	cases := []struct {
		line   string
		column int
	}{
		{"", 1}, {"", 9}, {"abc", 2}, {"abc", 99}, {"\ta\tb", 4}, {strings.Repeat("x", 300), 250}, {strings.Repeat("é", 300), 1}, {"\xff\xfe", 2}, {"abc", -1},
	}
	for _, c := range cases {
		text, mark := excerpt(c.line, c.column)
		if n := len([]rune(text)); n > maxExcerpt+2 {
			t.Errorf("excerpt(%.20q…, %d): %d characters", c.line, c.column, n)
		}
		if !strings.HasSuffix(mark, "^") || len(mark) > maxExcerpt+2 {
			t.Errorf("excerpt(%.20q…, %d): mark %q", c.line, c.column, mark)
		}
	}
	if text, mark := excerpt(strings.Repeat("x", 300), 250); !strings.HasPrefix(text, "…x") || !strings.HasSuffix(text, "x…") || len(mark) != maxExcerpt*3/4+2 {
		t.Errorf("excerpt of a long line = %q, %q", text, mark)
	}
	if text, mark := excerpt("a: été x", 8); text != "a: été x" || mark != "       ^" {
		t.Errorf("excerpt = %q, %q", text, mark)
	}
}

// As many policies as are allowed are not too many keys.
func TestManyPolicies(t *testing.T) {
	f := parse(t, "policies:\n"+strings.Repeat("  - {algorithm: token-bucket, limit: 1, window: 1s, burst: 5, key: request.ip, cost: 2, match: /x}\n", maxPolicies))
	if len(f.Policies) != maxPolicies {
		t.Errorf("%d policies, want %d", len(f.Policies), maxPolicies)
	}
}

// More problems than anyone reads are cut off.
func TestManyErrors(t *testing.T) {
	_, err := Parse("f", []byte("policies:\n"+strings.Repeat("  - {limit: x, window: y, key: z, match: w}\n", 100)))
	var all Errors
	if !errors.As(err, &all) || len(all) != maxErrors {
		t.Errorf("%d problems, want %d", len(all), maxErrors)
	}
}

func drawPolicy(t *rapid.T, i int) Policy {
	p := Policy{Cost: Cost{Fixed: rapid.Int64Range(2, 5).Draw(t, "cost")}}
	odd := rapid.SampledFrom([]string{"", "a", "yes", "No", "true", "False", "on", "null", "~", "5", "1e3", "0x1F", "1_000", ".inf", " lead", "trail ", "a: b", "a #b", "#c", "- d", "? e", "! f", "&g", "*h", "{i}", "[j]", "k, l", "|", ">", "%m", "@n", "`o", "\"p\"", "'q'", "\\r", "tab\tx", "line\nbreak", "\n", "cr\rx", "nul\x00", "del\x7f", "nel\u0085", "ls\u2028", "bom\ufeff", "日本", "2026-01-31", "=", "<<", "---", "...", "a:", ":a", "-", "x-"})
	name := odd.Draw(t, "name")
	if name != "" {
		p.Name = fmt.Sprint(name, i)
		if rapid.Bool().Draw(t, "bare") && i == 0 {
			p.Name = name
		}
	}
	p.Limit = rapid.Int64Range(1, 1_000_000).Draw(t, "limit")
	p.Window = time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "window"))
	p.Algorithm = rapid.SampledFrom(limit.Algorithms()).Draw(t, "algorithm")
	maybe := func(label string) bool { return rapid.Bool().Draw(t, label) }
	switch p.Algorithm {
	case limit.TokenBucket, limit.RefillBucket:
		p.Burst = rapid.Int64Range(0, 1000).Draw(t, "burst")
	case limit.LeakyBucket:
		p.Burst = rapid.Int64Range(0, 1000).Draw(t, "burst")
		p.Undelayed = rapid.Int64Range(0, p.Burst).Draw(t, "undelayed")
		p.MaxDelay = time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "max-delay"))
	case limit.FixedWindow:
		p.Align = rapid.SampledFrom([]limit.Align{limit.AlignClock, limit.AlignFirst, limit.AlignLast}).Draw(t, "align")
	case limit.Concurrency:
		p.Window = 0
	case limit.Quota:
		switch {
		case maybe("period"):
			p.Window = 0
			p.Period = rapid.SampledFrom([]limit.Period{limit.PerHour, limit.PerDay, limit.PerWeek, limit.PerMonth, limit.PerYear}).Draw(t, "which")
			if maybe("zone") {
				p.Location = time.UTC
			}
		case maybe("start"):
			p.Start = time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(t, "start"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		}
	}
	if (p.Algorithm == limit.FixedWindow && p.Align == limit.AlignClock || p.Algorithm == limit.SlidingWindow || p.Algorithm == limit.RefillBucket) && maybe("phase") {
		p.Phase = time.Duration(rapid.Int64Range(0, int64(p.Window)-1).Draw(t, "phase"))
	}
	if p.Algorithm != limit.LeakyBucket && p.Algorithm != limit.Concurrency {
		p.CountDenied = maybe("count-denied")
	}
	if (p.Algorithm == limit.FixedWindow || p.Algorithm == limit.SlidingLog || p.Algorithm == limit.SlidingWindow) && maybe("bans") {
		p.Ban = p.Window + time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "ban"))
	}
	if maybe("warn") {
		p.WarnAt = rapid.SampledFrom([]float64{0.8, 0.07, 0.333, 1, 0.123456789012345, 1e-9}).Draw(t, "warn-at")
	}
	for range rapid.IntRange(0, 3).Draw(t, "matches") {
		m, err := ParseMatch(rapid.SampledFrom([]string{"*", "POST", "POST,GET", "/", "/a/*", "GET /a/{id}/**", "/**", "/a:b/c%20d/ü", "/-/[x]/'q'", "DELETE /\"x\"/&/!"}).Draw(t, "match"))
		if err != nil {
			t.Fatal(err)
		}
		p.Match = append(p.Match, m)
	}
	p.Key = rapid.SampledFrom([]Key{{}, {Kind: IP}, {Kind: BasicUser}, {Kind: Path}, {Kind: Header, Name: "X-Api-Key"}, {Kind: Query, Name: "té st#1: "}, {Kind: Query, Name: `a"b`}}).Draw(t, "key")
	drawService(t, &p, odd, i)
	if p.Counter != "" || p.Late() {
		p.Ban = 0
	}
	switch rapid.IntRange(0, 2).Draw(t, "answer") {
	case 1:
		p.Answer.Name = rapid.SampledFrom(KnownAnswers()).Draw(t, "known")
	case 2:
		p.Answer.Status = rapid.IntRange(400, 599).Draw(t, "status")
		p.Answer.Dialect = rapid.SampledFrom(append(header.Writable(), "")).Draw(t, "fields")
		for j := range rapid.IntRange(0, 3).Draw(t, "headers") {
			value := strings.Map(func(r rune) rune {
				if r < ' ' && r != '\t' || r == 0x7f {
					return -1
				}
				return r
			}, odd.Draw(t, "value"))
			p.Answer.Headers = append(p.Answer.Headers, hit.Field{Name: fmt.Sprint([]string{"X-A", "null", "on", "5"}[j], i), Value: value})
		}
		p.Answer.Body = odd.Draw(t, "body")
	}
	return p
}

// drawService fills in the fields of service.go.
func drawService(t *rapid.T, p *Policy, odd *rapid.Generator[string], i int) {
	maybe := func(label string) bool { return rapid.IntRange(0, 3).Draw(t, label) == 0 }
	word := func(label string) string { return odd.Filter(func(s string) bool { return s != "" }).Draw(t, label) }
	if maybe("id?") {
		p.ID = fmt.Sprint(word("id"), " id ", i)
	}
	if maybe("counter?") {
		p.Counter = fmt.Sprint(word("counter"), i)
		switch p.Algorithm {
		case limit.TokenBucket, limit.RefillBucket, limit.LeakyBucket:
			p.Counter = ""
		}
	}
	p.Shadow = maybe("shadow")
	p.OnStoreError = rapid.SampledFrom([]string{"", "", OnStoreLocal, OnStoreOpen, OnStoreClosed}).Draw(t, "on-store-error")
	if p.Algorithm == limit.TokenBucket && !p.CountDenied && maybe("lease?") {
		p.Lease = Lease{Size: rapid.Int64Range(1, p.Capacity()).Draw(t, "size"), For: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "for"))}
	}
	name := rapid.SampledFrom([]string{"", "X-A", "x", "!#"})
	if maybe("tell?") {
		p.Tell = Tell{Dialect: rapid.SampledFrom(append(header.Writable(), "")).Draw(t, "dialect"), Limit: name.Draw(t, "tell limit")}
		if s := name.Draw(t, "tell reset"); !strings.EqualFold(s, p.Tell.Limit) {
			p.Tell.Reset = s
		}
	}
	if maybe("descriptor?") {
		p.Key, p.Match = Key{}, nil
		p.Descriptor = &Descriptor{
			Domain: word("domain"), Mode: rapid.SampledFrom(append(descriptorModes(), "")).Draw(t, "mode"), Quota: maybe("quota"),
			Entries: []DescriptorEntry{{Key: word("key"), Value: strings.TrimRight(word("value"), "*")}, {Key: word("key 2"), Value: "a", Wildcard: true, Share: maybe("share")}},
		}
		if maybe("replaces") {
			p.Descriptor.Name, p.Descriptor.Replaces = word("name"), []string{"a", word("replaced") + "b"}
		}
		return
	}
	texts := rapid.SampledFrom([]string{`request.ip + "\n\\\"ü'" + request.path`, "request.jwt.sub", "'a' +\n  'b'", `attr["x: y # z"]`, "  api.id  + ''"})
	if maybe("key expression") {
		e, err := expr.Compile(texts.Draw(t, "key source"), expr.String)
		if err != nil {
			t.Fatal(err)
		}
		p.Key = Key{Kind: Expression, Expr: e}
	}
	truths := []string{"true", `request.header["X-A"] != ''`, "has(request.jwt.sub) || !(api.id == 'x')"}
	if maybe("when?") {
		p.When = compileTest(t, rapid.SampledFrom(truths).Draw(t, "when"), expr.Bool)
	}
	late := p.Algorithm != limit.Concurrency && p.Algorithm != limit.LeakyBucket && !p.CountDenied
	if late {
		truths = append(truths, "response.status < 400")
	}
	if maybe("count-if?") {
		p.CountIf = compileTest(t, rapid.SampledFrom(truths).Draw(t, "count-if"), expr.Bool)
	}
	if maybe("cost expression") {
		p.Cost = Cost{Expr: compileTest(t, rapid.SampledFrom([]string{"5", "1", "request.method == 'GET' ? 1 : 2"}).Draw(t, "cost source"), expr.Int)}
	}
	if maybe("scope?") {
		p.Scope = Scope{API: []string{word("api")}, Product: []string{"a", word("product") + "b"}}
	}
	if p.Key.Kind != Global && maybe("overrides?") {
		p.Overrides = map[string]Override{word("key"): {Unlimited: true}, "": {Limit: rapid.Int64Range(1, 9).Draw(t, "override")}}
	}
}

func compileTest(t *rapid.T, src string, want expr.Type) *expr.Expr {
	e, err := expr.Compile(src, want)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What Marshal writes, Parse reads back, and the schema accepts.
func TestRoundTrip(t *testing.T) {
	schema := compiled(t)
	rapid.Check(t, func(t *rapid.T) {
		var f File
		for i := range rapid.IntRange(1, 3).Draw(t, "policies") {
			f.Policies = append(f.Policies, drawPolicy(t, i))
		}
		printed, err := Marshal(&f)
		if err != nil {
			t.Fatalf("Marshal(%+v): %v", f, err)
		}
		got, err := Parse("printed", printed)
		if err != nil {
			t.Fatalf("Parse of\n%s\n%v", printed, err)
		}
		for i := range f.Policies {
			if got, want := text(got.Policies[i]), text(f.Policies[i]); got != want {
				t.Fatalf("\n%s\n got %s\nwant %s", printed, got, want)
			}
		}
		if err := schema(printed); err != nil {
			t.Fatalf("the schema refuses\n%s\n%v", printed, err)
		}
	})
}

func TestMarshalRefuses(t *testing.T) {
	for _, p := range []Policy{
		{},
		{Policy: limit.Policy{Limit: 1, Window: time.Second}, Answer: Answer{Status: 200}},
		{Policy: limit.Policy{Limit: 1, Window: time.Second}, Answer: Answer{Name: "x"}},
		{Policy: limit.Policy{Limit: 1, Window: time.Second}, Key: Key{Kind: 99}},
	} {
		if out, err := Marshal(&File{Policies: []Policy{p}}); err == nil {
			t.Errorf("Marshal(%+v) = %s, want an error", p, out)
		}
	}
	if _, err := Marshal(&File{}); err == nil {
		t.Error("Marshal of no policies succeeds")
	}
	// A policy made in Go need not say its cost.
	out, err := Marshal(&File{Policies: []Policy{{Policy: limit.Policy{Limit: 1, Window: time.Minute}}}})
	if want := "policies:\n  - algorithm: token-bucket\n    limit: 1\n    window: 1m\n"; err != nil || string(out) != want {
		t.Errorf("Marshal = %q, %v, want %q", out, err, want)
	}
}

func TestAnswers(t *testing.T) {
	names := KnownAnswers()
	if len(names) != 3+len(header.Writable()) {
		t.Errorf("%d known answers: %v", len(names), names)
	}
	for _, name := range names {
		a, ok := Answer{Name: name}.Spelled()
		if !ok || a.Name != "" || a.Status != 429 {
			t.Errorf("Spelled of %s = %+v, %v", name, a, ok)
		}
	}
	if a, ok := (Answer{}).Spelled(); !ok || a.Status != 429 || a.Dialect != header.Draft {
		t.Errorf("Spelled of nothing = %+v, %v", a, ok)
	}
	if _, ok := (Answer{Name: "x"}).Spelled(); ok {
		t.Error("Spelled of an unknown name succeeds")
	}
	own := Answer{Status: 503, Body: "x"}
	if a, ok := own.Spelled(); !ok || a.Status != 503 || a.Body != "x" || a.Dialect != "" {
		t.Errorf("Spelled of %+v = %+v, %v", own, a, ok)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("policies: &a\n  - *a\n  - <<: *a\n    limit: 1\n  - <<: {<<: {limit: 2}}\n"))
	f.Add([]byte("policies:\n\t- limit: !!int 1\n    match: [\"POST /\\u0000\", 'x', |\n a]\n"))
	f.Add([]byte("? {a: b}\n: - c\n...\n---\n%YAML 1.2\n"))
	f.Add([]byte("chain: true\npolicies:\n  - limit: 1\n    window: 1s\n    key: >-\n      request.ip +\n      request.path\n    when: 'request.header[''X''] == \"\\u00e9\"'\n    overrides: {a: unlimited, b: {limit: 2}}\n    tell: {limit: X}\n    lease: {size: 1, for: 1s}\n"))
	f.Add([]byte("policies:\n  - limit: 1\n    window: 1s\n    api: [a, b]\n    cost: \"2 +\\\n      nope\"\n    count-if: response.statu\n    descriptor: {domain: d, entries: [{key: a, value: b*, share: true}], mode: refuse}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2048 {
			return // the time of the YAML library is quadratic
		}
		file, err := Parse("fuzz", data)
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 || len(all) > maxErrors || file != nil {
				t.Fatalf("Parse = %v, %v", file, err)
			}
			_ = err.Error()
			return
		}
		printed, err := Marshal(file)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v\n%q", err, data)
		}
		again, err := Parse("printed", printed)
		if err != nil || len(again.Policies) != len(file.Policies) {
			t.Fatalf("%v\n%s", err, printed)
		}
		for i := range file.Policies {
			if text(file.Policies[i]) != text(again.Policies[i]) {
				t.Fatalf("%q\nread  %s\nagain %s", data, text(file.Policies[i]), text(again.Policies[i]))
			}
		}
	})
}
