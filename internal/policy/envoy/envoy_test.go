package envoy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/policy/envoy"
)

// shop uses every field that the reference service knows.
const shop = `# limits of the shop
domain: shop
descriptors:
  - key: remote_address
    rate_limit: {unit: second, requests_per_unit: 10}
  - key: remote_address
    value: 50.0.0.5
    rate_limit:
      unit: SECOND
      requests_per_unit: 0
  - key: remote_address
    value: 10.0.0.1
  - key: path
    value: /files/*
    share_threshold: true
    detailed_metric: true
    descriptors:
      - key: method
        value: POST
        rate_limit:
          name: uploads
          unit: week
          requests_per_unit: 4294967295
        shadow_mode: true
      - key: method
        rate_limit:
          replaces:
            - name: uploads
            - name: other
          unit: Month
          requests_per_unit: 5
        quota_mode: true
        value_to_metric: true
  - key: path
    value: /f*
    rate_limit: {unit: year, requests_per_unit: 3}
  - key: internal
    rate_limit:
      unlimited: true
---
domain: mail
descriptors:
  - key: plan
    value: 5
    rate_limit: {unit: day, requests_per_unit: 7}
`

func parse(t testing.TB, text string) *policy.File {
	t.Helper()
	f, err := envoy.Parse("limits.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return f
}

func TestParse(t *testing.T) {
	f := parse(t, shop)
	var got []string
	for _, p := range f.Policies {
		d := p.Descriptor
		got = append(got, fmt.Sprintf("%s|%s|%d/%v|shadow=%v quota=%v name=%q replaces=%v", p.Name, d.Mode, p.Limit, p.Window, p.Shadow, d.Quota, d.Name, d.Replaces))
		if !envoy.Counts(&p.Policy) {
			t.Errorf("%s: does not count as the reference: %+v", p.Name, p.Policy)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	want := []string{
		`shop.remote_address||10/1s|shadow=false quota=false name="" replaces=[]`,
		`shop.remote_address_50.0.0.5|refuse|1/1s|shadow=false quota=false name="" replaces=[]`,
		`shop.remote_address_10.0.0.1|exempt|1/1s|shadow=false quota=false name="" replaces=[]`,
		`shop.path_/files/*.method_POST||4294967295/168h0m0s|shadow=true quota=false name="uploads" replaces=[]`,
		`shop.path_/files/*.method||5/720h0m0s|shadow=false quota=true name="" replaces=[uploads other]`,
		`shop.path_/f*||3/8760h0m0s|shadow=false quota=false name="" replaces=[]`,
		`shop.internal|unlimited|1/1s|shadow=false quota=false name="" replaces=[]`,
		`mail.plan_5||7/24h0m0s|shadow=false quota=false name="" replaces=[]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var notes []string
	for _, n := range f.Notes {
		notes = append(notes, fmt.Sprintf("%d:%d %s", n.Line, n.Column, n.Text))
	}
	if len(notes) != 2 || !strings.HasPrefix(notes[0], "16:5 descriptors[3].detailed_metric: ") || !strings.HasPrefix(notes[1], "33:9 descriptors[3].descriptors[1].value_to_metric: ") {
		t.Errorf("notes: %q", notes)
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "the file is empty"},
		{"descriptors: []", "1:1: domain: missing"},
		{"domain: ''\ndescriptors: []", "1:1: domain: missing"},
		{"domain: a\n---\ndomain: a", `3:1: domain: "a" is configured twice`},
		{"- domain: a", "1:1: must be a mapping with domain, descriptors"},
		{"domain: a\ndescriptors: {}", "2:14: descriptors: must be a list"},
		{"domain: a\ndescriptors:\n- value: x", "3:3: descriptors[0].key: missing"},
		{"domain: a\ndescriptors:\n- key: x\n  colour: red", "4:3: descriptors[0].colour: no such field; known are key, value,"},
		{"domain: a\ndescriptors:\n- key: x\n  Value: y", "4:3: descriptors[0].Value: no such field; did you mean value?"},
		{"domain: a\ndescriptors:\n- key: x\n- key: x", `4:3: descriptors[1]: key and value make "x", as those in line 3 do`},
		{"domain: a\ndescriptors:\n- key: x_y\n- key: x\n  value: y", `4:3: descriptors[1]: key and value make "x_y", as those in line 3 do`},
		{"domain: a\ndescriptors:\n- key: x\n  key: y", "4:3: descriptors[0].key: given twice, first in line 3"},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {requests_per_unit: 3}", "4:16: descriptors[0].rate_limit.unit: missing"},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {unit: fortnight}", `4:16: descriptors[0].rate_limit.unit: "fortnight" is no unit`},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {unit: second, unlimited: true}", "4:16: descriptors[0].rate_limit.unit: must be left out with unlimited"},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {unit: second, requests_per_unit: -1}", "requests_per_unit: must be a whole number from 0 to 4294967295"},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {unit: second, requests_per_unit: 4294967296}", "requests_per_unit: must be a whole number from 0 to 4294967295"},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {unit: second, requests_per_unit: '3'}", "requests_per_unit: must be a whole number"},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {unit: second, unit_multiplier: 3}", "unit_multiplier: no such field"},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {unit: second, name: n, replaces: [{name: n}]}", `replaces[0].name: "n" is this limit's own name`},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {unit: second, replaces: [{}]}", "replaces[0].name: missing"},
		{"domain: a\ndescriptors:\n- key: x\n  share_threshold: true", "4:3: descriptors[0].share_threshold: needs a value that ends with *"},
		{"domain: a\ndescriptors:\n- key: x\n  shadow_mode: maybe", "4:16: descriptors[0].shadow_mode: must be true or false"},
		{"domain: [a]", "1:9: domain: must be text"},
		{"domain: *x", "no anchor has the name of this alias"},
		{"domain: a\n  b: c", "not YAML"},
		{strings.Repeat("[", 1000), "more than 64 levels"},
		{strings.Repeat("- ", 1000), "more than 64 levels"},
		{strings.Repeat("#", 5<<20), "more than 4194304; split it"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			f, err := envoy.Parse("limits.yaml", []byte(tt.text))
			if err == nil || f != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%.200q: got %v, want %q", tt.text, err, tt.want)
			}
		})
	}
}

// An error shows the line, with the place marked.
func TestParseErrorPoints(t *testing.T) {
	_, err := envoy.Parse("limits.yaml", []byte("domain: a\ndescriptors:\n- key: x\n  colour: red\n"))
	want := "limits.yaml:4:3: descriptors[0].colour: no such field"
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "\n    4 |   colour: red\n      |   ^") {
		t.Errorf("got %v", err)
	}
}

func TestNotes(t *testing.T) {
	tests := []struct{ text, want string }{
		{"domain: a", `1:1 domain "a" has no descriptors: nothing is limited`},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {unit: day}", "4:16 descriptors[0].rate_limit.requests_per_unit: missing, which is 0: everything is refused"},
		{"domain: a\ndescriptors:\n- key: x\n  rate_limit: {unit: day, requests_per_unit: 1, shadow_mode: true}", "shadow_mode: has no effect here, for the reference service neither"},
	}
	for _, tt := range tests {
		f := parse(t, tt.text)
		if len(f.Notes) != 1 || !strings.Contains(fmt.Sprintf("%d:%d %s", f.Notes[0].Line, f.Notes[0].Column, f.Notes[0].Text), tt.want) {
			t.Errorf("%q: got %v, want %q", tt.text, f.Notes, tt.want)
		}
	}
}

func TestFind(t *testing.T) {
	tree := envoy.NewTree(parse(t, shop))
	tests := []struct {
		domain, entries string // key=value, separated by blanks
		want            string // name of the policy and counter, "" for none
	}{
		{"shop", "remote_address=1.2.3.4", "shop.remote_address shop_remote_address_1.2.3.4"},
		{"shop", "remote_address=50.0.0.5", "shop.remote_address_50.0.0.5 shop_remote_address_50.0.0.5"},
		{"shop", "remote_address=10.0.0.1", ""},
		{"shop", "remote_address=", "shop.remote_address shop_remote_address_"},
		{"shop", "remote_address=1.2.3.4 method=GET", ""},
		{"shop", "path=/files/a method=GET", "shop.path_/files/*.method shop_path_/files/*_method_GET"},
		{"shop", "path=/files/b method=GET", "shop.path_/files/*.method shop_path_/files/*_method_GET"},
		{"shop", "path=/files/b method=POST", "shop.path_/files/*.method_POST shop_path_/files/*_method_POST"},
		{"shop", "path=/files/b", ""},
		{"shop", "path=/fun", "shop.path_/f* shop_path_/fun"},
		{"shop", "path=/fun method=GET", ""},
		{"shop", "path=/x", ""},
		{"shop", "", ""},
		{"shop", "internal=", "shop.internal shop_internal_"},
		{"mail", "plan=5", "mail.plan_5 mail_plan_5"},
		{"mail", "plan=50", ""},
		{"other", "plan=5", ""},
	}
	f := parse(t, shop)
	for _, tt := range tests {
		got := ""
		if i, key, ok := tree.Find(tt.domain, entries(tt.entries)); ok {
			got = f.Policies[i].Name + " " + key
		}
		if got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.domain, tt.entries, got, tt.want)
		}
	}
	if !tree.Knows("mail") || tree.Knows("other") || (&envoy.Tree{}).Knows("") {
		t.Error("Knows")
	}
}

func entries(text string) (out []envoy.Entry) {
	for _, one := range strings.Fields(text) {
		k, v, _ := strings.Cut(one, "=")
		out = append(out, envoy.Entry{Key: k, Value: v})
	}
	return out
}

// twin finds a policy the slow way: it looks at each level for the best among
// the descriptors of the file that agree with all levels before.
func twin(f *policy.File, domain string, es []envoy.Entry) string {
	var chosen []string // names of the entries taken so far
	var parts []string
	for _, e := range es {
		best, rank, share := "", 99, ""
		for _, p := range f.Policies {
			d := p.Descriptor
			if d.Domain != domain || len(d.Entries) <= len(chosen) || !agrees(d, chosen) {
				continue
			}
			c := d.Entries[len(chosen)]
			name := own(c)
			full := e.Key + "_" + e.Value
			r := 99
			switch {
			case name == full:
				r = 0
			case strings.HasSuffix(name, "*") && strings.HasPrefix(full, name[:len(name)-1]):
				r = 1
			case name == e.Key:
				r = 2
			}
			if r < rank {
				best, rank, share = name, r, ""
				if r == 1 && c.Share {
					share = strings.TrimPrefix(name, e.Key+"_")
				}
			}
		}
		if rank == 99 {
			return ""
		}
		chosen = append(chosen, best)
		if share == "" {
			share = e.Value
		}
		parts = append(parts, e.Key+"_"+share)
	}
	for _, p := range f.Policies {
		if d := p.Descriptor; d.Domain == domain && len(chosen) > 0 && len(d.Entries) == len(chosen) && agrees(d, chosen) {
			if d.Mode == policy.DescriptorExempt {
				return ""
			}
			return p.Name + " " + domain + "_" + strings.Join(parts, "_")
		}
	}
	return ""
}

func own(e policy.DescriptorEntry) string {
	name := e.Key
	if e.Wildcard {
		return name + "_" + e.Value + "*"
	}
	if e.Value != "" {
		name += "_" + e.Value
	}
	return name
}

func agrees(d *policy.Descriptor, chosen []string) bool {
	for i, name := range chosen {
		if own(d.Entries[i]) != name {
			return false
		}
	}
	return true
}

// config draws a configuration from few words, so that they meet.
func config(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("domain: d\n")
	draw(t, &b, "", 0)
	return b.String()
}

func draw(t *rapid.T, b *strings.Builder, in string, depth int) {
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a|", "a|b", "a|b*", "a|*", "a_b|", "a|bc", "b|", "b|a*", "a*|"}), 0, 5, func(s string) string {
		return strings.TrimSuffix(strings.ReplaceAll(s, "|", "_"), "_")
	}).Draw(t, "keys")
	for i, one := range keys {
		if i == 0 {
			b.WriteString(in + "descriptors:\n")
		}
		k, v, _ := strings.Cut(one, "|")
		fmt.Fprintf(b, "%s- key: %q\n%s  value: %q\n", in, k, in, v)
		if strings.HasSuffix(strings.TrimSuffix(one, "|"), "*") && rapid.Bool().Draw(t, "share") {
			b.WriteString(in + "  share_threshold: true\n")
		}
		switch rapid.IntRange(0, 5).Draw(t, "limit") {
		case 0:
		case 1:
			b.WriteString(in + "  rate_limit: {unlimited: true}\n")
		case 2:
			b.WriteString(in + "  rate_limit: {unit: day}\n  " + in + "quota_mode: true\n")
		default:
			u := rapid.SampledFrom(envoy.Units()).Draw(t, "unit").Name
			fmt.Fprintf(b, "%s  rate_limit: {unit: %s, requests_per_unit: %d, name: %q}\n", in, u, rapid.Uint32().Draw(t, "n"), rapid.SampledFrom([]string{"", "x", "yes", "a: b"}).Draw(t, "name"))
			if rapid.Bool().Draw(t, "shadow") {
				b.WriteString(in + "  shadow_mode: true\n")
			}
		}
		if depth < 2 {
			draw(t, b, in+"  ", depth+1)
		}
	}
}

func TestFindTwin(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		f, err := envoy.Parse("x", []byte(config(t)))
		if err != nil {
			t.Fatal(err)
		}
		tree := envoy.NewTree(f)
		for range 10 {
			var es []envoy.Entry
			for range rapid.IntRange(0, 3).Draw(t, "n") {
				es = append(es, envoy.Entry{
					Key:   rapid.SampledFrom([]string{"a", "b", "a_b", "c"}).Draw(t, "key"),
					Value: rapid.SampledFrom([]string{"", "b", "bc", "bcd", "a", "c"}).Draw(t, "value"),
				})
			}
			got := ""
			if i, key, ok := tree.Find("d", es); ok {
				got = f.Policies[i].Name + " " + key
				found++
			}
			if want := twin(f, "d", es); got != want {
				t.Fatalf("%v: got %q, want %q", es, got, want)
			}
		}
	})
	if found == 0 {
		t.Error("nothing was ever found")
	}
}

func TestWriteReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := config(t)
		f, err := envoy.Parse("x", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		sameAgain(t, f)
	})
	sameAgain(t, parse(t, shop))
}

func sameAgain(t interface{ Fatalf(string, ...any) }, f *policy.File) {
	out, notes, err := envoy.Write(f)
	if len(f.Policies) == 0 {
		if err == nil {
			t.Fatalf("nothing was written without an error")
		}
		return
	}
	if err != nil || len(notes) > 0 {
		t.Fatalf("%v %v", err, notes)
	}
	back, err := envoy.Parse("again", out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := describe(back), describe(f); got != want {
		t.Fatalf("got\n%s\nwant\n%s\nfrom\n%s", got, want, out)
	}
}

// A configuration becomes a policy file of Weir and back, and stays the same.
func TestThroughPolicyFile(t *testing.T) {
	files := 0
	rapid.Check(t, func(t *rapid.T) {
		f, err := envoy.Parse("x", []byte(config(t)))
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Policies) == 0 {
			return
		}
		files++
		text, err := policy.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		back, err := policy.Parse("again", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if got, want := describe(back), describe(f); got != want {
			t.Fatalf("got\n%s\nwant\n%s\nfrom\n%s", got, want, text)
		}
	})
	if files == 0 {
		t.Error("nothing was ever written")
	}
}

func describe(f *policy.File) string {
	var b strings.Builder
	for _, p := range f.Policies {
		d := *p.Descriptor
		p.Descriptor = nil
		if len(d.Replaces) == 0 {
			d.Replaces = nil
		}
		fmt.Fprintf(&b, "%+v %+v\n", p.Policy, d)
	}
	return b.String()
}

func TestWriteNotes(t *testing.T) {
	f := parse(t, "domain: d\ndescriptors:\n- key: a\n  rate_limit: {unit: second, requests_per_unit: 3}\n")
	odd := f.Policies[0]
	odd.Name, odd.Window = "odd", 90*time.Second
	entry := *odd.Descriptor
	odd.Descriptor = &entry
	http := f.Policies[0]
	http.Name, http.Descriptor = "http", nil
	bucket := f.Policies[0]
	bucket.Name, bucket.Algorithm, bucket.CountDenied, bucket.Burst = "bucket", 0, false, 9
	bucket.Descriptor = &policy.Descriptor{Domain: "d", Entries: []policy.DescriptorEntry{{Key: "b"}}}
	twice := bucket
	twice.Name, twice.Burst = "twice", 0
	f.Policies = append(f.Policies, odd, http, bucket, twice)
	out, notes, err := envoy.Write(f)
	if err != nil || strings.Count(string(out), "- key:") != 2 {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{`"odd": left out: its window of 1m30s`, `"http": left out, since it has no descriptor`, `"bucket": is a token-bucket`, `"bucket": its burst of 9`, `"twice": is a token-bucket`, `"twice": left out: policy "bucket" has the same`}
	if len(notes) != len(want) {
		t.Fatalf("notes: %v", notes)
	}
	for i, n := range notes {
		if !strings.Contains(n.Text, want[i]) {
			t.Errorf("got %q, want %q", n.Text, want[i])
		}
	}
	if _, _, err := envoy.Write(&policy.File{Policies: []policy.Policy{http}}); err == nil {
		t.Error("a file without descriptors was written")
	}
}

func TestUnitOf(t *testing.T) {
	tests := []struct {
		window time.Duration
		want   string
	}{
		{time.Second, "second 1 true"}, {90 * time.Second, "second 90 true"}, {10 * time.Minute, "minute 10 true"},
		{7 * 24 * time.Hour, "week 1 true"}, {60 * 24 * time.Hour, "month 2 true"}, {365 * 24 * time.Hour, "year 1 true"},
		{time.Millisecond, " 0 false"}, {0, " 0 false"}, {1500 * time.Millisecond, " 0 false"},
	}
	for _, tt := range tests {
		u, n, ok := envoy.UnitOf(tt.window)
		if got := fmt.Sprint(u.Name, " ", n, " ", ok); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.window, got, tt.want)
		}
	}
}

// A large file must not take time with the square of its length.
func TestLarge(t *testing.T) {
	var b strings.Builder
	b.WriteString("domain: d\ndescriptors:\n")
	for i := range 5000 {
		fmt.Fprintf(&b, "- key: k\n  value: v%d\n  rate_limit: {unit: second, requests_per_unit: %d}\n", i, i+1)
	}
	start := time.Now()
	f := parse(t, b.String())
	if _, _, err := envoy.Write(f); err != nil || len(f.Policies) != 5000 {
		t.Fatal(err, len(f.Policies))
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("5000 descriptors took %v", took)
	}
}

func TestFindAllocates(t *testing.T) {
	tree := envoy.NewTree(parse(t, shop))
	es := entries("remote_address=1.2.3.4")
	if n := testing.AllocsPerRun(100, func() { tree.Find("shop", es) }); n > 3 {
		t.Errorf("Find allocates %v times, want at most 3", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(shop)
	f.Add("domain: a\ndescriptors: [{key: a, rate_limit: {unit: day}}]")
	f.Add("domain: &a b\ndescriptors:\n- key: *a\n  value: \"\\u0000*\"\n")
	f.Add("- - - -")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := envoy.Parse("x", []byte(text))
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		sameAgain(t, file)
		envoy.NewTree(file).Find("d", []envoy.Entry{{Key: "a", Value: "b"}})
	})
}
