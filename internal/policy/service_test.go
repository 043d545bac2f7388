package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/limit"
)

func TestFor(t *testing.T) {
	f := parse(t, `
policies:
  - {name: all, limit: 1, window: 1s}
  - {name: path, limit: 1, window: 1s, match: GET /a/**}
  - {name: api, limit: 1, window: 1s, api: [orders, users], operation: list}
  - {name: product, limit: 1, window: 1s, product: gold, match: [POST, /a/x]}
  - {name: when, limit: 1, window: 1s, when: 'request.header["X-A"] == "1"'}
  - {name: fails, limit: 1, window: 1s, when: 'int(request.header["X-A"]) > 0'}
  - {name: envoy, limit: 1, window: 1s, descriptor: {domain: d, entries: [{key: a}]}}
`)
	for _, c := range []struct {
		subject expr.Subject
		want    string
	}{
		{expr.Subject{Method: "GET", Path: "/"}, "all fails!"},
		{expr.Subject{Method: "GET", Path: "/a/x", Header: expr.Fields{"X-A": {"1"}}}, "all path when fails"},
		{expr.Subject{Method: "PUT", Path: "/a/x", Header: expr.Fields{"X-A": {"0"}}}, "all"},
		{expr.Subject{Method: "POST", Path: "/b", Header: expr.Fields{"X-A": {"0"}}, Product: expr.Named{ID: "gold"}}, "all product"},
		{expr.Subject{Method: "PUT", Path: "/a/x", Header: expr.Fields{"X-A": {"0"}}, Product: expr.Named{ID: "gold"}}, "all product"},
		{expr.Subject{Method: "PUT", Path: "/a", Header: expr.Fields{"X-A": {"0"}}, API: expr.Named{ID: "users"}, Operation: expr.Named{ID: "list"}}, "all api"},
		{expr.Subject{Method: "PUT", Path: "/a", Header: expr.Fields{"X-A": {"0"}}, API: expr.Named{ID: "users"}, Operation: expr.Named{ID: "get"}}, "all"},
		{expr.Subject{Method: "PUT", Path: "/a", Header: expr.Fields{"X-A": {"0"}}, Operation: expr.Named{ID: "list"}}, "all"},
	} {
		var got []string
		for i := range f.Policies {
			p := &f.Policies[i]
			switch yes, err := p.For(&c.subject); {
			case err != nil:
				var own *expr.Error
				if !errors.As(err, &own) {
					t.Errorf("%s: %T", p.Name, err)
				}
				got = append(got, p.Name+"!")
			case yes:
				got = append(got, p.Name)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s %s: %s, want %s", c.subject.Method, c.subject.Path, s, c.want)
		}
	}
}

func TestKeyOf(t *testing.T) {
	s := &expr.Subject{IP: "192.0.2.1", Path: "/p", RawQuery: "q=1", Header: expr.Fields{"X-Api-Key": {"k"}, "Authorization": {"Basic YW5uOng="}}}
	for text, want := range map[string]string{
		"": "", "global": "", "request.ip": "192.0.2.1", "request.path": "/p", "request.basic_user": "ann", `request.header["x-api-key"]`: "k", `request.query["q"]`: "1", `request.query["r"]`: "", `request.ip + "/" + request.path`: "192.0.2.1//p",
	} {
		k, err := ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Of(s); err != nil || got != want {
			t.Errorf("%s = %q, %v, want %q", text, got, err, want)
		}
		if k.Kind != Expression && k.Kind != BasicUser && testing.AllocsPerRun(50, func() { _, _ = k.Of(s) }) > 1 {
			t.Errorf("%s allocates", text)
		}
	}
}

func TestCostOf(t *testing.T) {
	s := &expr.Subject{Header: expr.Fields{"X-Cost": {"-5"}}}
	e, err := expr.Compile(`int(request.header["X-Cost"])`, expr.Int)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cost Cost
		want int64
		text string
	}{{Cost{}, 1, "1"}, {Cost{Fixed: 3}, 3, "3"}, {Cost{Expr: e}, 0, e.Source()}} {
		if got, err := c.cost.Of(s); err != nil || got != c.want || c.cost.String() != c.text {
			t.Errorf("%+v = %d, %v, %q", c.cost, got, err, c.cost)
		}
	}
	if _, err := (Cost{Expr: e}).Of(&expr.Subject{}); err == nil {
		t.Error("a cost that is no number has no error")
	}
}

func TestLateAndWith(t *testing.T) {
	f := parse(t, "policies:\n  - {limit: 5, window: 1s, burst: 9, count-if: response.status < 400}\n  - {limit: 5, window: 1s, cost: response.bytes, id: x}\n  - {name: n, limit: 5, window: 1s, count-if: request.ip != '', cost: 2}\n")
	if got := []bool{f.Policies[0].Late(), f.Policies[1].Late(), f.Policies[2].Late()}; !got[0] || !got[1] || got[2] {
		t.Errorf("Late = %v", got)
	}
	if got := []string{f.Policies[0].CounterID(), f.Policies[1].CounterID(), f.Policies[2].CounterID()}; got[0] != "" || got[1] != "x" || got[2] != "n" {
		t.Errorf("CounterID = %q", got)
	}
	p := &f.Policies[0]
	for o, want := range map[Override]limit.Policy{
		{}:                              p.Policy,
		{Limit: 50}:                     {Limit: 50, Window: time.Second, Burst: 9},
		{Burst: 1, Window: time.Minute}: {Limit: 5, Window: time.Minute, Burst: 1},
	} {
		if got := p.With(o); got != want {
			t.Errorf("With(%+v) = %v, want %v", o, got, want)
		}
	}
}

func TestMarshalFile(t *testing.T) {
	f := parse(t, "chain: true\npolicies:\n  - {limit: 5, window: 1s}\n")
	f.Notes = []Note{{Line: 3, Text: "a\nkey: b\u2028c\r\x85"}, {Text: "whole"}}
	out, err := Marshal(f)
	if err != nil || !strings.HasPrefix(string(out), "# not carried over: line 3: a key: b c") || !strings.Contains(string(out), "\n# not carried over: whole\nchain: true") {
		t.Fatalf("%s%v", out, err)
	}
	if again := parse(t, string(out)); !again.Chain || len(again.Notes) != 0 || len(again.Policies) != 1 {
		t.Errorf("%+v", again)
	}
}
