package apim

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// TestWriteBack: what is read from a document, written and read again says the same.
func TestWriteBack(t *testing.T) {
	cases := []struct{ name, xml string }{
		{"by address", `<rate-limit-by-key calls="3" renewal-period="5" counter-key="@(context.Request.IpAddress)" />`},
		{"header names", `<rate-limit-by-key calls="3" renewal-period="5" counter-key="k" retry-after-header-name="X-Wait" remaining-calls-header-name="X-Left" total-calls-header-name="X-All" />`},
		{"condition and count", `<rate-limit-by-key calls="3" renewal-period="5" counter-key="@(context.Api.Id + &quot;/&quot; + context.Request.Method)" increment-condition="@(context.Response.StatusCode >= 200 && context.Response.StatusCode < 400)" increment-count="@(context.Request.Method == "POST" ? 2 : 1)" />`},
		{"claim", `<rate-limit-by-key calls="3" renewal-period="5" counter-key="@(context.Request.Headers.GetValueOrDefault("Authorization","").AsJwt()?.Subject)" />`},
		{"query and header", `<rate-limit-by-key calls="3" renewal-period="5" counter-key="@(context.Request.OriginalUrl.Query.GetValueOrDefault("t","") + context.Request.Headers.GetValueOrDefault("X-A","").ToLowerInvariant())" />`},
		{"quotas", `<quota-by-key calls="10" bandwidth="4" renewal-period="300" counter-key="@(context.Request.IpAddress)" first-period-start="2026-04-02T10:00:30Z" />`},
		{"quota for ever", `<quota-by-key calls="10" renewal-period="0" counter-key="k" />`},
		{"choose", `<choose><when condition="@(context.Product?.Id == "gold")"><rate-limit-by-key calls="100" renewal-period="60" counter-key="@(context.Subscription?.Id ?? "")" /></when></choose>`},
		{"concurrency", `<limit-concurrency key="@(context.Request.IpAddress)" max-count="3"><forward-request /></limit-concurrency>`},
	}
	tried := 0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tried++
			first, err := parse(t, "first", inbound(c.xml)).File(Scope{})
			if err != nil {
				t.Fatal(err)
			}
			text, notes, err := Write(first)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Parse("second", text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			second, err := d.File(Scope{})
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if a, b := means(first), means(second); a != b {
				t.Errorf("read\n%s\nread again\n%s\nfrom\n%s\nnotes %v", a, b, text, notes)
			}
			for i := range first.Policies {
				if a, b := first.Policies[i].Tell, second.Policies[i].Tell; a != b {
					t.Errorf("tells %v, and then %v", a, b)
				}
			}
		})
	}
	if tried < 8 {
		t.Fatalf("only %d cases", tried)
	}
}

// means is what a file says of the request of the translation tests: C# and CEL
// have several ways to write the same key.
func means(f *policy.File) string {
	plain := *f
	plain.Policies = nil
	var out []string
	for _, p := range f.Policies {
		key, _ := p.Key.Of(request())
		cost, _ := p.Cost.Of(request())
		p.Key, p.Name, p.Cost = policy.Key{}, "", policy.Cost{Fixed: cost}
		when := "always"
		if p.When != nil {
			yes, _ := p.When.Bool(request())
			when = map[bool]string{true: "now", false: "not now"}[yes]
			p.When = nil
		}
		plain.Policies = []policy.Policy{p}
		out = append(out, lines(&plain)+" by "+key+" "+when)
	}
	return strings.Join(out, "\n")
}

func TestWriteLeavesOut(t *testing.T) {
	key := func(s string) policy.Key {
		k, err := policy.ParseKey(s)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	second := limit.Policy{Limit: 5, Window: time.Second}
	match, err := policy.ParseMatch("GET /a/*")
	if err != nil {
		t.Fatal(err)
	}
	when, err := expr.Compile(`request.header["X"].matches("a+")`, expr.Bool)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		p    policy.Policy
		note string
	}{
		{policy.Policy{Policy: limit.Policy{Limit: 5, Window: 100 * time.Millisecond}}, "whole seconds"},
		{policy.Policy{Policy: limit.Policy{Algorithm: limit.LeakyBucket, Limit: 5, Window: time.Second}}, "delay"},
		{policy.Policy{Policy: limit.Policy{Algorithm: limit.Quota, Limit: 5, Period: limit.PerMonth}}, "calendar"},
		{policy.Policy{Policy: limit.Policy{Algorithm: limit.Quota, Limit: 5, Window: time.Minute}}, "at least 300"},
		{policy.Policy{Policy: second, Shadow: true}, "shadow"},
		{policy.Policy{Policy: second, Descriptor: &policy.Descriptor{}}, "Envoy"},
		{policy.Policy{Policy: second, Match: []policy.Match{match}}, "pattern"},
		{policy.Policy{Policy: second, When: when}, "when"},
		{policy.Policy{Policy: second, Key: key(`sha256(request.ip)`)}, "key"},
		{policy.Policy{Policy: second, Key: key(`request.cookie["s"]`)}, "key"},
	}
	tried := 0
	for _, c := range cases {
		tried++
		text, notes, err := Write(&policy.File{Policies: []policy.Policy{c.p}})
		if err == nil || len(notes) == 0 || !strings.Contains(notes[0].Text, "left out") || !strings.Contains(notes[0].Text, c.note) {
			t.Errorf("%s: %v, %v\n%s", c.note, err, notes, text)
		}
	}
	if tried < 10 {
		t.Fatalf("only %d cases", tried)
	}
}

// TestWriteNotes: what is written in another form says so.
func TestWriteNotes(t *testing.T) {
	text, notes, err := Write(&policy.File{Policies: []policy.Policy{{
		Policy:    limit.Policy{Name: "a", Limit: 5, Window: time.Second, Burst: 9, WarnAt: 0.8, CountDenied: true},
		Match:     []policy.Match{{Methods: []string{"GET", "HEAD"}, Path: "/a"}},
		Scope:     policy.Scope{API: []string{"x", "y"}},
		Key:       policy.Key{Kind: policy.IP},
		Overrides: map[string]policy.Override{"k": {Unlimited: true}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, n := range notes {
		all += n.Text + "\n"
	}
	for _, want := range []string{"burst", "refused calls", "overrides", "warn-at", "same"} {
		if !strings.Contains(all, want) {
			t.Errorf("no note of %s in\n%s", want, all)
		}
	}
	want := `condition="@((context.Api.Id == &quot;x&quot; || context.Api.Id == &quot;y&quot;) &amp;&amp; ((context.Request.Method == &quot;GET&quot; || context.Request.Method == &quot;HEAD&quot;) &amp;&amp; context.Request.OriginalUrl.Path == &quot;/a&quot;))"`
	if !strings.Contains(string(text), want) {
		t.Errorf("got %s", text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(inbound(`<rate-limit-by-key calls="3" renewal-period="5" counter-key="@(context.Request.Headers.GetValueOrDefault("X-Key",""))" />`)))
	f.Add([]byte(inbound(`<choose><when condition="@(context.Product?.Id == "gold")"><quota calls="10" bandwidth="5" renewal-period="600"><api id="a" calls="3"/></quota></when><otherwise><return-response/></otherwise></choose>`)))
	f.Add([]byte(inbound(`<set-variable name="a" value="@{ var x = $"{context.Api.Id}"; if (x == "") { return @"a""b"; } return x; }"/><limit-concurrency key="@((string)context.Variables["a"])" max-count="1"/>`)))
	f.Add([]byte("<policies><inbound><a b=\"@(x[)])\"/></inbound></policies>"))
	f.Add([]byte("<fragment><a>@{ '\"' \"}\" }</a><![CDATA[x]]></fragment>"))
	if files, err := os.ReadDir("testdata"); err == nil {
		for _, e := range files {
			if b, err := os.ReadFile("testdata/" + e.Name()); err == nil {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse("f", data)
		if err != nil {
			_ = err.Error()
			return
		}
		file, err := d.File(Scope{Kind: API, ID: "x"})
		if err != nil {
			_ = err.Error()
			return
		}
		if _, err := policy.Marshal(file); err != nil && len(file.Policies) > 0 {
			t.Fatalf("%v", err)
		}
		_, _, _ = Write(file)
	})
}

func FuzzTranslate(f *testing.F) {
	for _, s := range []string{
		`@(context.Request.Headers.GetValueOrDefault("X","").Split(',')[0].Trim())`, `@{ var a = 1; if (a == 1) { return "x"; } return $"{a}b"; }`,
		`@((string)context.Variables["x"] ?? "y")`, `@(a ? b : c)`, `@("\u0041" + @"""")`, `@($"{{}}{1}")`, `@(x?[0]?.y!.z<int>(1))`, `@(1-2-3*4/5%6)`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cel, err := Translate(s)
		if err != nil {
			return
		}
		for _, want := range []expr.Type{expr.String, expr.Bool, expr.Int} {
			if _, err := expr.Compile(cel, want); err == nil {
				return
			}
		}
		// Constants may be refused for what they are (1/0); nothing else may.
		if strings.ContainsAny(cel, "/%\"") || len(cel) > 1000 {
			return
		}
		t.Fatalf("%q gives %q, which is no CEL", s, cel)
	})
}
