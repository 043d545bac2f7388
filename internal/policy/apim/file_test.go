package apim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

func inbound(body string) string {
	return "<policies>\n<inbound>\n<base />\n" + body + "\n</inbound>\n<backend><base /></backend>\n<outbound><base /></outbound>\n<on-error><base /></on-error>\n</policies>"
}

// lines writes what matters of a file, one line for each policy.
func lines(f *policy.File) string {
	var out []string
	for i := range f.Policies {
		p := &f.Policies[i]
		s := fmt.Sprintf("%s: %s %d", p.Name, p.Algorithm, p.Limit)
		if p.Window != 0 {
			s += " per " + p.Window.String()
		}
		s += " by " + p.Key.String()
		if p.When != nil {
			s += " when " + p.When.Source()
		}
		if p.CountIf != nil {
			s += " if " + p.CountIf.Source()
		}
		if c := p.Cost.String(); c != "1" {
			s += " cost " + c
		}
		if len(p.Scope.API)+len(p.Scope.Operation)+len(p.Scope.Product) > 0 {
			s += fmt.Sprint(" scope ", p.Scope)
		}
		if p.Counter != "" {
			s += " counter " + p.Counter
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

func TestFile(t *testing.T) {
	cases := []struct{ name, xml, want string }{
		{"seed 004, rate-limit", inbound(`<rate-limit calls="3" renewal-period="5" />`),
			`rate-limit: sliding-log 3 per 5s by subscription.id when subscription.id != ""`},
		{"seed 004, by key", inbound(`<rate-limit-by-key calls="3" renewal-period="5" counter-key="@(context.Request.IpAddress)" />`),
			`rate-limit-by-key: sliding-log 3 per 5s by request.ip counter rate-limit-by-key 5s`},
		{"raw quotes", inbound(`<rate-limit-by-key calls="3" renewal-period="5" counter-key="@(context.Request.Headers.GetValueOrDefault("X-Key",""))" />`),
			`rate-limit-by-key: sliding-log 3 per 5s by request.header["X-Key"] counter rate-limit-by-key 5s`},
		{"entities", inbound(`<rate-limit-by-key calls="3" renewal-period="5" counter-key="@(context.Request.Headers.GetValueOrDefault(&quot;X-Key&quot;,&quot;&quot;))" />`),
			`rate-limit-by-key: sliding-log 3 per 5s by request.header["X-Key"] counter rate-limit-by-key 5s`},
		{"single quotes", inbound(`<rate-limit-by-key calls="3" renewal-period='5' counter-key='@(context.Request.Headers.GetValueOrDefault("X-Key",""))' />`),
			`rate-limit-by-key: sliding-log 3 per 5s by request.header["X-Key"] counter rate-limit-by-key 5s`},
		{"raw < and && in a condition", inbound(`<rate-limit-by-key calls="3" renewal-period="5" increment-condition="@(context.Response.StatusCode >= 200 && context.Response.StatusCode < 400)" counter-key="@("a>b")" />`),
			`rate-limit-by-key: sliding-log 3 per 5s by "a>b" if response.status >= 200 && response.status < 400 counter rate-limit-by-key 5s`},
		{"entities for < and &&", inbound(`<rate-limit-by-key calls="3" renewal-period="5" increment-condition="@(context.Response.StatusCode &gt;= 200 &amp;&amp; context.Response.StatusCode &lt; 400)" counter-key="cc" increment-count="2" />`),
			`rate-limit-by-key: sliding-log 3 per 5s by "cc" if response.status >= 200 && response.status < 400 cost 2 counter rate-limit-by-key 5s`},
		{"byte order mark, declaration, comment, CRLF", "\ufeff<?xml version=\"1.0\"?>\r\n<!-- a <b> -->\r\n" + inbound("<!-- <rate-limit/> --><rate-limit calls=\"3\" renewal-period=\"5\" />\r\n"),
			`rate-limit: sliding-log 3 per 5s by subscription.id when subscription.id != ""`},
		{"a fragment", `<fragment><quota-by-key calls="5" renewal-period="0" counter-key="k" /></fragment>`,
			`quota-by-key calls: quota 5 per 876000h0m0s by "k" counter quota-by-key calls 876000h0m0s from 1970-01-01T00:00:00Z`},
		{"a section alone", `<inbound><rate-limit calls="3" renewal-period="5"></rate-limit></inbound>`,
			`rate-limit: sliding-log 3 per 5s by subscription.id when subscription.id != ""`},
		{"a limit alone", `<rate-limit calls="3" renewal-period="300" id="x" />`,
			`rate-limit: sliding-log 3 per 5m0s by subscription.id when subscription.id != ""`},
		{"api and operation", inbound(`<rate-limit calls="10" renewal-period="60"><api id="a" name="ignored" calls="5" renewal-period="30"><operation name="Get it" calls="2" renewal-period="10"/></api></rate-limit>`),
			`rate-limit: sliding-log 10 per 1m0s by subscription.id when subscription.id != ""
rate-limit api a: sliding-log 5 per 30s by subscription.id when subscription.id != "" scope {[a] [] []}
rate-limit api a operation Get it: sliding-log 2 per 10s by subscription.id when subscription.id != "" && operation.name == "Get it" scope {[a] [] []}`},
		{"quota, both amounts", inbound(`<quota calls="10000" bandwidth="40000" renewal-period="3600"><api name="Echo API" calls="7"/></quota>`),
			`quota calls: quota 10000 per 1h0m0s by subscription.id when subscription.id != ""
quota kilobytes: quota 40960000 per 1h0m0s by subscription.id when subscription.id != "" cost response.bytes
quota api Echo API calls: quota 7 per 1h0m0s by subscription.id when subscription.id != "" && api.name == "Echo API"`},
		{"quota-by-key", inbound(`<quota-by-key calls="10" bandwidth="4" renewal-period="300" increment-condition="@(context.Response.StatusCode >= 200)" counter-key="@(context.Request.IpAddress)" first-period-start="2026-04-02T10:00:30Z" />`),
			`quota-by-key calls: quota 10 per 5m0s by request.ip if response.status >= 200 counter quota-by-key calls 5m0s from 1970-01-01T00:00:30Z
quota-by-key kilobytes: quota 4096 per 5m0s by request.ip if response.status >= 200 cost response.bytes counter quota-by-key kilobytes 5m0s from 1970-01-01T00:00:30Z`},
		{"limit-concurrency in backend", `<policies><inbound><base/><set-variable name="connectionId" value="@(context.Request.Headers.GetValueOrDefault("X-C",""))"/></inbound><backend><limit-concurrency key="@((string)context.Variables["connectionId"])" max-count="3"><forward-request timeout="120"/></limit-concurrency></backend></policies>`,
			`limit-concurrency: concurrency 3 by request.header["X-C"] counter limit-concurrency`},
		{"a limit inside limit-concurrency", inbound(`<limit-concurrency key="x" max-count="3"><rate-limit calls="1" renewal-period="1"/></limit-concurrency>`),
			`limit-concurrency: concurrency 3 by "x" counter limit-concurrency
rate-limit: sliding-log 1 per 1s by subscription.id when subscription.id != ""`},
		{"choose", inbound(`<choose>
<when condition="@(context.Product?.Id == "gold")"><rate-limit-by-key calls="100" renewal-period="60" counter-key="@(context.Subscription.Id)" /></when>
<when condition="@(context.Product?.Id == "silver")"><rate-limit-by-key calls="50" renewal-period="60" counter-key="@(context.Subscription.Id)" /></when>
<otherwise><rate-limit-by-key calls="10" renewal-period="60" counter-key="@(context.Request.IpAddress)" /></otherwise></choose>`),
			`rate-limit-by-key: sliding-log 100 per 1m0s by subscription.id when product.id == "gold" counter rate-limit-by-key 60s
rate-limit-by-key 2: sliding-log 50 per 1m0s by subscription.id when !(product.id == "gold") && product.id == "silver" counter rate-limit-by-key 60s
rate-limit-by-key 3: sliding-log 10 per 1m0s by request.ip when !(product.id == "gold") && !(product.id == "silver") counter rate-limit-by-key 60s`},
		{"variables in branches", inbound(`<set-variable name="k" value="none" />
<choose><when condition="@(context.Request.Headers.ContainsKey("X-A"))"><set-variable name="k" value="@(context.Request.Headers.GetValueOrDefault("X-A",""))" /></when>
<otherwise><set-variable name="k" value="@("ip-" + context.Request.IpAddress)" /></otherwise></choose>
<rate-limit-by-key calls="1" renewal-period="1" counter-key="@((string)context.Variables["k"])" />`),
			`rate-limit-by-key: sliding-log 1 per 1s by "X-A" in request.header ? request.header["X-A"] : "ip-" + request.ip counter rate-limit-by-key 1s`},
		{"variables in one branch", inbound(`<choose><when condition="@(context.Request.Method == "GET")"><set-variable name="a" value="@(context.Api.Id)" /></when>
<when condition="@(context.Request.Method == "POST")"><set-variable name="b" value="x" /></when></choose>
<rate-limit-by-key calls="1" renewal-period="1" counter-key="@((string)context.Variables["a"] + context.Variables["b"])" />`),
			`rate-limit-by-key: sliding-log 1 per 1s by (request.method == "GET" ? api.id : "") + (request.method == "GET" ? "" : request.method == "POST" ? "x" : "") counter rate-limit-by-key 1s`},
		{"answered before", inbound(`<choose><when condition="@(context.Request.Method == "OPTIONS")"><return-response><set-status code="204"/></return-response></when></choose><rate-limit-by-key calls="1" renewal-period="1" counter-key="k" />`),
			`rate-limit-by-key: sliding-log 1 per 1s by "k" when !(request.method == "OPTIONS") counter rate-limit-by-key 1s`},
		{"never reached", inbound(`<return-response/><rate-limit calls="1" renewal-period="1" />`), ``},
		{"calls by choice", inbound(`<rate-limit-by-key calls="@(context.Product?.Id == "gold" ? 100 : 10)" renewal-period="60" counter-key="@(context.Subscription.Id)" />`),
			`rate-limit-by-key: sliding-log 100 per 1m0s by subscription.id when product.id == "gold" counter rate-limit-by-key 60s
rate-limit-by-key 2: sliding-log 10 per 1m0s by subscription.id when !(product.id == "gold") counter rate-limit-by-key 60s`},
		{"a token that was checked", inbound(`<validate-jwt header-name="Authorization" output-token-variable-name="jwt"/><rate-limit-by-key calls="1" renewal-period="1" counter-key="@(((Jwt)context.Variables["jwt"]).Claims["oid"].FirstOrDefault())" />`),
			`rate-limit-by-key: sliding-log 1 per 1s by string(request.jwt["oid"]) counter rate-limit-by-key 1s`},
		{"what is not a limit may be anything", inbound(`<cors><allowed-origins><origin>*</origin></allowed-origins></cors>
<set-header name="X" exists-action="override"><value>@{ if (1 < 2 && "<b>" != ">") { return "}"; } return '"' + "</value>"; }</value></set-header>
<set-body template="liquid">{ "a": "{{context.Request.Url}}", {% if a < b %} 1 {% endif %} }</set-body>
<send-request mode="new" response-variable-name="r"><set-url>@($"https://x/{context.Variables["y"]}?a=1&b=2")</set-url><set-body><![CDATA[<soap:a> & @( ]]></set-body></send-request>
<rate-limit calls="1" renewal-period="1"/>`),
			`rate-limit: sliding-log 1 per 1s by subscription.id when subscription.id != ""`},
		{"nothing", `<policies><inbound /></policies>`, ``},
	}
	tried := 0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tried++
			d, err := Parse("policy.xml", []byte(c.xml))
			if err != nil {
				t.Fatal(err)
			}
			f, err := d.File(Scope{})
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(f); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if len(f.Policies) == 0 {
				return
			}
			// What comes out must be a file that package policy accepts.
			if text, err := policy.Marshal(f); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
	if tried < 20 {
		t.Fatalf("only %d cases", tried)
	}
}

func TestFileRefuses(t *testing.T) {
	byKey := func(attrs string) string { return inbound(`<rate-limit-by-key ` + attrs + ` />`) }
	cases := []struct {
		name, xml    string
		line, column int
		reason       string
	}{
		{"too long a period", byKey(`calls="1" renewal-period="3600" counter-key="k"`), 4, 46, "at most 300"},
		{"no calls", byKey(`calls="0" renewal-period="60" counter-key="k"`), 4, 27, "at least 1"},
		{"calls missing", byKey(`renewal-period="60" counter-key="k"`), 4, 1, "needs calls"},
		{"key missing", byKey(`calls="1" renewal-period="60"`), 4, 1, "needs counter-key"},
		{"key empty", byKey(`calls="1" renewal-period="60" counter-key=""`), 4, 63, "500"},
		{"key in parts", byKey(`calls="1" renewal-period="60" counter-key="a-@(context.Api.Id)"`), 4, 65, "whole value"},
		{"misspelt member", byKey(`calls="1" renewal-period="60" counter-key="@(context.Request.IpAdress)"`), 4, 81, "IpAdress"},
		{"misspelt behind entities", byKey(`calls="1" renewal-period="60" counter-key="@(&quot;a&quot; + context.Request.IpAdress)"`), 4, 97, "IpAdress"},
		{"misspelt in the second line", byKey("calls=\"1\" renewal-period=\"60\"\n counter-key=\"@(\n context.Request.IpAdress)\""), 6, 18, "IpAdress"},
		{"key that reads the response", byKey(`calls="1" renewal-period="60" counter-key="@(context.Response.StatusCode.ToString())"`), 4, 63, "response"},
		{"unknown attribute", byKey(`calls="1" renewal-period="60" counter-key="k" bandwidth="3"`), 4, 66, "no such attribute"},
		{"not a number", byKey(`calls="ten" renewal-period="60" counter-key="k"`), 4, 27, "not a whole number"},
		{"a named value", byKey(`calls="{{calls}}" renewal-period="60" counter-key="k"`), 4, 27, "named value"},
		{"bad header name", byKey(`calls="1" renewal-period="60" counter-key="k" retry-after-header-name="a b"`), 4, 91, "header"},
		{"expression where none is allowed", inbound(`<rate-limit calls="@(5)" renewal-period="60" />`), 4, 20, "not allowed"},
		{"twice", inbound(`<rate-limit calls="5" renewal-period="60" /><rate-limit calls="5" renewal-period="60" />`), 4, 45, "second"},
		{"short quota", inbound(`<quota calls="5" renewal-period="60" />`), 4, 34, "at least 300"},
		{"quota of nothing", inbound(`<quota renewal-period="600" />`), 4, 1, "calls, bandwidth"},
		{"bad time", inbound(`<quota-by-key calls="1" renewal-period="600" counter-key="k" first-period-start="tomorrow" />`), 4, 82, "not a time"},
		{"condition that is none", byKey(`calls="1" renewal-period="60" counter-key="k" increment-condition="@("x")"`), 4, 87, "true or false"},
		{"untranslated condition around a limit", inbound(`<choose><when condition="@(context.Request.Body.As<string>() == "")"><rate-limit calls="5" renewal-period="60" /></when></choose>`), 4, 44, "not translated"},
		{"limit in outbound", `<policies><outbound><rate-limit calls="5" renewal-period="60" /></outbound></policies>`, 1, 21, "inbound"},
		{"limit in retry", inbound(`<retry condition="@(true)" count="1" interval="1"><rate-limit calls="5" renewal-period="60" /></retry>`), 4, 51, "not understood"},
		{"concurrency of expression", inbound(`<limit-concurrency key="k" max-count="@(5)"/>`), 4, 39, "not allowed"},
		{"unknown child", inbound(`<rate-limit calls="5" renewal-period="60"><operation id="x" calls="1" renewal-period="1"/></rate-limit>`), 4, 43, "does not belong"},
		{"api of nothing", inbound(`<rate-limit calls="5" renewal-period="60"><api calls="1" renewal-period="1"/></rate-limit>`), 4, 43, "id or name"},
		{"variable that nobody set", byKey(`calls="1" renewal-period="60" counter-key="@((string)context.Variables["x"])"`), 4, 90, "not set"},
		{"variable of another policy", inbound(`<send-request response-variable-name="x"/><rate-limit-by-key calls="1" renewal-period="60" counter-key="@((string)context.Variables["x"])" />`), 4, 132, "<send-request> sets it"},
		{"calls that depend", byKey(`calls="@(int.Parse(context.Request.Headers.GetValueOrDefault("X","1")))" renewal-period="60" counter-key="k"`), 4, 33, "depends on the request"},
	}
	tried := 0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tried++
			d, err := Parse("policy.xml", []byte(c.xml))
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.File(Scope{})
			check(t, err, c.line, c.column, c.reason)
		})
	}
	if tried < 25 {
		t.Fatalf("only %d cases", tried)
	}
}

// check compares the first error with a place and a piece of its reason.
func check(t *testing.T, err error, line, column int, reason string) {
	t.Helper()
	var all policy.Errors
	if !errors.As(err, &all) {
		t.Fatalf("got %v (%T), want policy.Errors", err, err)
	}
	e := all[0]
	if e.Line != line || e.Column != column || !strings.Contains(e.Reason, reason) {
		t.Errorf("got %d:%d %s, want %d:%d %s", e.Line, e.Column, e.Reason, line, column, reason)
	}
	if line > 0 && !strings.Contains(e.Error(), "^") {
		t.Errorf("the place is not shown: %v", e)
	}
}

func TestParseRefuses(t *testing.T) {
	cases := []struct {
		name, xml    string
		line, column int
		reason       string
	}{
		{"empty", "", 0, 0, "no policy"},
		{"only a comment", "<!-- -->", 0, 0, "no policy"},
		{"text", "hello", 1, 1, "before the first element"},
		{"another root", "<html></html>", 1, 1, "starts with <policies>"},
		{"unclosed", "<policies>\n <inbound>", 2, 2, "not closed"},
		{"crossed", "<policies>\n<inbound>\n</policies>", 3, 1, "closes <inbound> of line 2"},
		{"closes nothing", "</policies>", 1, 1, "closes nothing"},
		{"two roots", "<policies/><policies/>", 1, 12, "second root"},
		{"text behind", "<policies/> x", 1, 13, "after </policies>"},
		{"doctype", `<!DOCTYPE x [<!ENTITY a "b">]><policies/>`, 1, 1, "declaration"},
		{"unclosed comment", "<policies><!-- ", 1, 11, "comment"},
		{"unclosed expression", "<policies><inbound><a b=\"@(context.Request\"/></inbound></policies>", 1, 26, "does not end"},
		{"brackets that cross", "<policies><inbound><a b=\"@(x[)])\"/></inbound></policies>", 1, 26, "column 30"},
		{"text behind an expression", "<policies><inbound><a b=\"@(x) y\"/></inbound></policies>", 1, 31, "expected here"},
		{"no quotes", "<policies><inbound><a b=c/></inbound></policies>", 1, 23, "not in quotes"},
		{"no value", "<policies><inbound><a b/></inbound></policies>", 1, 23, "no value"},
		{"attribute twice", `<policies><inbound><a b="1" b="2"/></inbound></policies>`, 1, 29, "twice"},
		{"no space", `<policies><inbound><a b="1"c="2"/></inbound></policies>`, 1, 28, "space"},
		{"policy outside a section", `<policies><rate-limit calls="1" renewal-period="1"/></policies>`, 1, 11, "cannot be directly"},
		{"section twice", `<policies><inbound/><inbound/></policies>`, 1, 21, "second"},
		{"section in a fragment", `<fragment><inbound/></fragment>`, 1, 11, "no <inbound>"},
		{"deep", strings.Repeat("<a>", 1000), 1, 301, "100 elements"},
		{"not UTF-8", "<policies>\xff</policies>", 0, 0, "UTF-8"},
		{"UTF-16", "\xff\xfe<\x00", 0, 0, "UTF-16"},
		{"huge", strings.Repeat(" ", maxBytes+1), 0, 0, "more than"},
		{"many", "<policies><inbound>" + strings.Repeat("<a/>", maxNodes) + "</inbound></policies>", 1, 20 + 4*(maxNodes-2), "split"},
	}
	tried := 0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tried++
			_, err := Parse("policy.xml", []byte(c.xml))
			check(t, err, c.line, c.column, c.reason)
		})
	}
	if tried < 20 {
		t.Fatalf("only %d cases", tried)
	}
}

// TestNotes: what was left out is told with its place.
func TestNotes(t *testing.T) {
	d, err := Parse("policy.xml", []byte(inbound("<cors />\n<rate-limit calls=\"1\" renewal-period=\"1\" />\n  <include-fragment fragment-id=\"f\"/>")))
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.File(Scope{})
	if err != nil {
		t.Fatal(err)
	}
	want := []policy.Note{{Line: 4, Column: 1, Text: "ignored: <cors> is no limit"}, {Line: 6, Column: 3, Text: "ignored: the fragment f is not in this file; limits in it are not seen"}}
	if fmt.Sprint(f.Notes) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", f.Notes, want)
	}
}

// TestNotSet: a limit that depends on a variable that nothing sets is told of,
// once for each variable; a condition without limits behind it is not.
func TestNotSet(t *testing.T) {
	const limit = `<rate-limit-by-key calls="1" renewal-period="1" counter-key="@("x" + context.Variables.GetValueOrDefault<string>("who"))" increment-condition="@(context.Variables.GetValueOrDefault<string>("kind") == "export")" />`
	cases := []struct {
		xml  string
		want []string
	}{
		{limit, []string{"who", "kind"}},
		{limit + limit, []string{"who", "kind"}},
		{`<set-variable name="who" value="me" />` + limit, []string{"kind"}},
		{`<set-variable name="who" value="@(context.Request.IpAddress)" /><set-variable name="kind" value="export" />` + limit, nil},
		{`<choose><when condition="@(context.Variables.ContainsKey("who"))"><cors /></when></choose>`, nil},
		{`<choose><when condition="@(context.Variables.ContainsKey("who"))"><rate-limit calls="1" renewal-period="1" /></when></choose>`, []string{"who"}},
	}
	for _, c := range cases {
		f, err := parse(t, "policy.xml", inbound(c.xml)).File(Scope{})
		if err != nil {
			t.Errorf("%s: %v", c.xml, err)
			continue
		}
		var got []string
		for _, n := range f.Notes {
			if name, ok := strings.CutPrefix(n.Text, "a limit asks for the variable "); ok {
				got = append(got, name[:strings.IndexByte(name, ',')])
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: told of %v, want %v", c.xml, got, c.want)
		}
	}
}

func parse(t *testing.T, name, xml string) *Document {
	t.Helper()
	d, err := Parse(name, []byte(xml))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFragments(t *testing.T) {
	o := Options{Fragments: map[string]*Document{
		"limits": parse(t, "limits", `<fragment><set-variable name="k" value="@(context.Api.Id)"/><include-fragment fragment-id="inner"/></fragment>`),
		"inner":  parse(t, "inner", `<fragment><rate-limit-by-key calls="1" renewal-period="1" counter-key="@((string)context.Variables["k"])" /></fragment>`),
		"loop":   parse(t, "loop", `<fragment><include-fragment fragment-id="loop2"/></fragment>`),
		"loop2":  parse(t, "loop2", `<fragment><include-fragment fragment-id="loop"/></fragment>`),
		"none":   parse(t, "none", inbound("")),
	}}
	f, err := parse(t, "p", inbound(`<include-fragment fragment-id="limits"/>`)).FileWith(Scope{}, o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := lines(f), `rate-limit-by-key: sliding-log 1 per 1s by api.id counter rate-limit-by-key 1s`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, reason := range map[string]string{"loop": "includes itself", "missing": "no fragment missing", "none": "is no fragment", "": "missing"} {
		_, err := parse(t, "p", inbound(`<include-fragment fragment-id="`+name+`"/>`)).FileWith(Scope{}, o)
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v, want %s", name, err, reason)
		}
	}
}

// TestFragmentsAreBounded: few fragments must not come to many.
func TestFragmentsAreBounded(t *testing.T) {
	o := Options{Fragments: map[string]*Document{"f0": parse(t, "f0", `<fragment><cors/></fragment>`)}}
	for i := range 14 {
		next := fmt.Sprintf(`<include-fragment fragment-id="f%d"/>`, i)
		o.Fragments[fmt.Sprintf("f%d", i+1)] = parse(t, "f", "<fragment>"+strings.Repeat(next, 100)+"<retry>"+strings.Repeat(next, 100)+"</retry></fragment>")
	}
	_, err := parse(t, "p", inbound(`<include-fragment fragment-id="f14"/>`)).FileWith(Scope{}, o)
	if err == nil || !strings.Contains(err.Error(), "more than 1000 fragments") {
		t.Errorf("got %v", err)
	}
}

// TestManyBranches: a choose of very many branches ends in time.
func TestManyBranches(t *testing.T) {
	var b strings.Builder
	for i := range maxBranches {
		fmt.Fprintf(&b, `<when condition="@(context.Api.Id == "%0200d")"><set-variable name="v%d" value="x"/><rate-limit-by-key calls="1" renewal-period="1" counter-key="k"/></when>`, i, i)
	}
	_, err := parse(t, "p", inbound("<choose>"+b.String()+"</choose>")).File(Scope{})
	if err == nil || !strings.Contains(err.Error(), "fewer <when>") {
		t.Errorf("got %v", err)
	}
	b.WriteString(`<otherwise/>`)
	_, err = parse(t, "p", inbound("<choose>"+b.String()+"</choose>")).File(Scope{})
	if err == nil || !strings.Contains(err.Error(), "split the choice") {
		t.Errorf("got %v", err)
	}
}

func TestNamedValues(t *testing.T) {
	d, err := ParseWith("p", []byte(inbound(`<rate-limit calls="{{ calls }}" renewal-period="{{period}}" />{{unknown}}`)), map[string]string{"calls": "7", "period": "20"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.File(Scope{})
	if err != nil {
		t.Fatal(err)
	}
	if p := f.Policies[0]; p.Limit != 7 || p.Window != 20*time.Second {
		t.Errorf("got %v", p.Policy)
	}
}

// TestFileScope: a document alone is restricted to its scope.
func TestFileScope(t *testing.T) {
	d := parse(t, "p", inbound(`<rate-limit calls="10" renewal-period="60"><api id="a" calls="5" renewal-period="30"/></rate-limit>`))
	tried := 0
	for _, c := range []struct {
		scope Scope
		want  string
	}{
		{Scope{}, "[{[] [] []} {[a] [] []}]"},
		{Scope{Kind: Product, ID: "p"}, "[{[] [] [p]} {[a] [] [p]}]"},
		{Scope{Kind: API, ID: "x"}, "[{[x] [] []} {[a] [] []}]"},
		{Scope{Kind: Operation, ID: "o", API: "x"}, "[{[x] [o] []} {[a] [o] []}]"},
	} {
		tried++
		f, err := d.File(c.scope)
		if err != nil {
			t.Fatal(err)
		}
		var got []policy.Scope
		for _, p := range f.Policies {
			got = append(got, p.Scope)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, want %s", c.scope, got, c.want)
		}
	}
	if tried != 4 {
		t.Fatalf("%d cases", tried)
	}
}

func TestCompose(t *testing.T) {
	limitOf := func(n int) string { return fmt.Sprintf(`<rate-limit calls="%d" renewal-period="60"/>`, n) }
	doc := func(n int, inner string) *Document {
		return parse(t, fmt.Sprintf("doc%d", n), "<policies><inbound>"+inner+"</inbound></policies>")
	}
	c, err := Compose([]Placed{
		{Scope{}, doc(0, `<set-variable name="who" value="global"/>`+`<rate-limit-by-key calls="99" renewal-period="60" counter-key="g"/>`)},
		{Scope{Kind: Product, ID: "p"}, doc(1, "<base/>"+limitOf(1)+`<set-variable name="who" value="product"/>`)},
		{Scope{Kind: API, ID: "a"}, doc(2, limitOf(2)+"<base/>"+`<rate-limit-by-key calls="5" renewal-period="60" counter-key="@((string)context.Variables["who"])"/>`)},
		{Scope{Kind: Operation, ID: "o", API: "a"}, doc(3, limitOf(3))},
		{Scope{Kind: Operation, ID: "o", API: "b"}, doc(4, limitOf(4)+"<base/>")},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	names := func(only []int) string {
		var out []string
		for _, i := range only {
			p := c.File.Policies[i]
			out = append(out, fmt.Sprintf("%d by %s", p.Limit, p.Key))
		}
		return strings.Join(out, ", ")
	}
	tried := 0
	for _, e := range []struct{ product, api, operation, want string }{
		{"", "x", "o", `99 by "g"`},
		{"p", "x", "o", `99 by "g", 1 by subscription.id`},
		{"p", "a", "other", `2 by subscription.id, 99 by "g", 1 by subscription.id, 5 by "product"`},
		{"unknown", "a", "other", `2 by subscription.id, 99 by "g", 5 by "global"`},
		{"p", "a", "o", `3 by subscription.id`},
		{"p", "b", "o", `4 by subscription.id, 99 by "g", 1 by subscription.id`},
		{"p", "b", "other", `99 by "g", 1 by subscription.id`},
	} {
		tried++
		if got := names(c.Effective(e.product, e.api, e.operation)); got != e.want {
			t.Errorf("%s %s %s: got %s, want %s", e.product, e.api, e.operation, got, e.want)
		}
	}
	if tried != 7 || len(c.File.Policies) != 7 {
		t.Errorf("%d paths, %d policies:\n%s", tried, len(c.File.Policies), lines(c.File))
	}
	if _, err := policy.Marshal(c.File); err != nil {
		t.Error(err)
	}
}

// TestTiers: the v2 tiers count with a token bucket; policies that are alike
// share it, as they share a counter in the classic tiers.
func TestTiers(t *testing.T) {
	x := `<policies><inbound><base/><rate-limit-by-key calls="5" renewal-period="10" counter-key="@(context.Subscription.Id)"/></inbound></policies>`
	docs := []Placed{{Scope{Kind: API, ID: "a"}, parse(t, "a", x)}, {Scope{Kind: API, ID: "b"}, parse(t, "b", x)}}
	c, err := Compose(docs, Options{TokenBucket: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.File.Policies) != 1 || c.File.Policies[0].Algorithm != limit.TokenBucket || c.Effective("", "a", "")[0] != c.Effective("", "b", "")[0] {
		t.Errorf("%s", lines(c.File))
	}
}

// TestOtherPolicies: a policy that is called nearly like a limit is a mistake,
// which the service refuses too; limits by tokens are told to be limits; all
// other policies of the service are no limits.
func TestOtherPolicies(t *testing.T) {
	read := func(name string) (string, error) {
		f, err := parse(t, "policy.xml", inbound("<"+name+" />")).File(Scope{})
		if err != nil {
			return "", err
		}
		return f.Notes[0].Text, nil
	}
	for name, meant := range map[string]string{"rate-limit-by-keys": "rate-limit-by-key", "ratelimit": "rate-limit", "quotas": "quota", "limit-concurency": "limit-concurrency", "Rate-Limit": "rate-limit"} {
		if _, err := read(name); err == nil || !strings.Contains(err.Error(), "did you mean "+meant+"?") {
			t.Errorf("<%s>: %v", name, err)
		}
	}
	for _, name := range []string{"llm-token-limit", "azure-openai-token-limit"} {
		if note, err := read(name); err != nil || !strings.Contains(note, "not kept") {
			t.Errorf("<%s>: %q, %v", name, note, err)
		}
	}
	// The names of learn.microsoft.com/azure/api-management/api-management-policies, read 2026-11-22.
	n := 0
	for _, name := range strings.Fields(`check-header get-authorization-context ip-filter validate-azure-ad-token validate-jwt validate-client-certificate
		authentication-basic authentication-certificate authentication-managed-identity validate-content validate-graphql-request validate-odata-request
		validate-parameters validate-headers validate-status-code llm-content-safety forward-request set-backend-service proxy cache-lookup cache-store
		cache-lookup-value cache-store-value cache-remove-value cors cross-domain jsonp set-method set-header set-query-parameter rewrite-uri json-to-xml
		xml-to-json find-and-replace redirect-content-urls set-body xsl-transform set-status trace emit-metric log-to-eventhub retry wait send-request
		send-one-way-request publish-to-dapr invoke-dapr-binding cosmosdb-data-source http-data-source sql-data-source publish-event set-backend include-body`) {
		if note, err := read(name); err != nil || note != "ignored: <"+name+"> is no limit" {
			t.Errorf("<%s>: %q, %v", name, note, err)
		}
		n++
	}
	if n < 40 {
		t.Fatal("names are missing")
	}
}
