package policy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/expr"

	"pgregory.net/rapid"
)

func TestMatches(t *testing.T) {
	cases := []struct {
		pattern, method, path string
		want                  bool
	}{
		{"*", "GET", "/x", true},
		{"POST", "POST", "/x", true},
		{"POST", "GET", "/x", false},
		{"POST,PUT /x", "PUT", "/x", true},
		{"POST,PUT /x", "GET", "/x", false},
		{"* /x", "GET", "/x", true},
		{"/x", "ANY", "/x", true},
		{"/x", "GET", "/x/", false},
		{"/x", "GET", "/X", false},
		{"/x", "GET", "/xy", false},
		{"/", "GET", "/", true},
		{"/", "GET", "/x", false},
		{"/a/*", "GET", "/a/b", true},
		{"/a/*", "GET", "/a/", false},
		{"/a/*", "GET", "/a", false},
		{"/a/*", "GET", "/a/b/c", false},
		{"/a/{id}/c", "GET", "/a/b/c", true},
		{"/a/{id}/c", "GET", "/a//c", false},
		{"/a/**", "GET", "/a", true},
		{"/a/**", "GET", "/a/", true},
		{"/a/**", "GET", "/a/b/c", true},
		{"/a/**", "GET", "/ab", false},
		{"/**", "GET", "/", true},
		{"/**", "GET", "/x/y", true},
		{"/**", "OPTIONS", "", true},
		{"/x", "OPTIONS", "*", false},
		{"/x", "GET", "", false},
		{"/a.b", "GET", "/axb", false},
	}
	ran := 0
	for _, c := range cases {
		ran++
		m, err := ParseMatch(c.pattern)
		if err != nil {
			t.Errorf("ParseMatch(%q): %v", c.pattern, err)
			continue
		}
		if got := m.Matches(c.method, c.path); got != c.want {
			t.Errorf("%q matches %s %s: %v, want %v", c.pattern, c.method, c.path, got, c.want)
		}
		p := Policy{Match: []Match{{Methods: []string{"NONE"}}, m}}
		if got := p.Applies(c.method, c.path); got != c.want {
			t.Errorf("%q applies to %s %s: %v, want %v", c.pattern, c.method, c.path, got, c.want)
		}
	}
	if ran < 28 {
		t.Fatalf("%d cases ran, want at least 28", ran)
	}
	if !(&Policy{}).Applies("GET", "/x") {
		t.Error("a policy without match does not apply")
	}
}

// The twin turns the pattern into a regular expression.
func TestMatchesAgainstTwin(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "b", "ab", "*", "{x}", ""})
	rapid.Check(t, func(t *rapid.T) {
		pattern := "/" + strings.Join(rapid.SliceOfN(segment, 0, 4).Draw(t, "pattern"), "/")
		if rapid.Bool().Draw(t, "rest") {
			pattern = strings.TrimSuffix(pattern, "/") + "/**"
		}
		path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", ""}), 0, 5).Draw(t, "path"), "/")
		m, err := ParseMatch(pattern)
		if err != nil {
			t.Fatalf("ParseMatch(%q): %v", pattern, err)
		}
		var re strings.Builder
		for _, s := range strings.Split(pattern, "/")[1:] {
			switch {
			case s == "**":
				re.WriteString("(/.*)?")
			case s == "*" || strings.HasPrefix(s, "{"):
				re.WriteString("/[^/]+")
			default:
				re.WriteString("/" + regexp.QuoteMeta(s))
			}
		}
		want := regexp.MustCompile("^" + re.String() + "$").MatchString(path)
		if got := m.Matches("GET", path); got != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, path, got, want)
		}
		if again, err := ParseMatch(m.String()); err != nil || again.Path != m.Path || !slices.Equal(again.Methods, m.Methods) {
			t.Fatalf("%q read again is %+v, %v", m.String(), again, err)
		}
	})
}

func TestMatchesAllocations(t *testing.T) {
	m, err := ParseMatch("GET,POST /a/{id}/**")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { m.Matches("POST", "/a/b/c/d") }); n != 0 {
		t.Errorf("Matches allocates %v times, want 0", n)
	}
}

func TestParseMatchErrors(t *testing.T) {
	cases := []struct{ text, want string }{
		{"", "column 1: empty"},
		{" /x", "column 1: starts with a space"},
		{"post /x", "column 1: a method has capital"},
		{"GET,pOST /x", "column 5: a method has capital"},
		{"GET, /x", "column 5: a method is missing"},
		{"GET x", "column 5: a path starts"},
		{"GET ", "column 5: a path starts"},
		{"GET  /x", "column 5: a path starts"},
		{"oauth2/token", "column 1: a method has capital"},
		{"GET /x?y=1", "column 7: a path has no query"},
		{"GET /x y", "column 7: a path has no white space"},
		{"/a/**/b", "column 4: ** stands for the rest"},
		{"GET /a/b*", "column 9: * and {name} stand for a whole"},
		{"/a/{id", "column 4: * and {name}"},
		{"/a/x{id}", "column 5: * and {name}"},
		{"/a/{i{d}", "column 4: * and {name}"},
	}
	for _, c := range cases {
		if m, err := ParseMatch(c.text); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("ParseMatch(%q) = %+v, %v, want %q", c.text, m, err, c.want)
		}
	}
	if len(cases) < 16 {
		t.Fatal("cases are missing")
	}
}

func TestParseKey(t *testing.T) {
	good := map[string]Key{
		"": {}, "global": {}, "request.ip": {Kind: IP}, "request.basic_user": {Kind: BasicUser}, "request.path": {Kind: Path},
		`request.header["X-Api-Key"]`: {Kind: Header, Name: "X-Api-Key"}, `request.query['a b']`: {Kind: Query, Name: "a b"}, `request.query['a"b']`: {Kind: Query, Name: `a"b`},
	}
	for text, want := range good {
		got, err := ParseKey(text)
		if err != nil || got != want {
			t.Errorf("ParseKey(%q) = %+v, %v, want %+v", text, got, err, want)
		}
		if again, err := ParseKey(got.String()); err != nil || again != want {
			t.Errorf("ParseKey(%q) = %+v, %v, want %+v", got.String(), again, err, want)
		}
	}
	for _, text := range []string{`request.header["x"] + "y"`, "request.ip + request.path", `request.header[ "x" ]`, `request.header["a\u0062"]`, "request.jwt.sub"} {
		k, err := ParseKey(text)
		if err != nil || k.Kind != Expression || k.String() != text {
			t.Errorf("ParseKey(%q) = %v, %v", text, k, err)
		}
	}
	bad := []struct{ text, want string }{
		{"ip", "column 1: nothing is called ip; did you mean request.ip?"},
		{"request.cookie", "column 1: this gives a map, and text is needed"},
		{`request.headers["x"]`, "column 1: nothing is called request.headers; did you mean request.header?"},
		{"request.header", "column 15: a name is missing"},
		{"request.header[x]", "column 16: a quote is missing"},
		{`request.header["x`, "column 18: the name is not closed"},
		{`request.header[""]`, "column 17: the name is empty"},
		{`request.header["x"`, "column 19: the bracket is not closed"},
		{`request.header["x"] + 5`, "column 21: + cannot be applied"},
		{`response.header["x"]`, "column 1: a key cannot read the response"},
		{`request.header["a:b"]`, "column 18: \":\" cannot be in the name of a header"},
		{"request.query[\"a\x00\"]", "column 17: control characters"},
		{"request.ip + request.pat", "column 14: nothing is called request.pat; did you mean request.path?"},
		{"Request.IP", "column 1: nothing is called Request.IP; did you mean request.ip?"},
	}
	for _, c := range bad {
		if k, err := ParseKey(c.text); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("ParseKey(%q) = %+v, %v, want %q", c.text, k, err, c.want)
		}
	}
	if (Key{Kind: 99}).String() != "unknown(99)" {
		t.Error("String of an unknown kind")
	}
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{"windw": "window", "limits": "limit", "warn_at": "warn-at", "zzz": "", "answer": "answer", strings.Repeat("a", 100): ""} {
		if got := expr.Nearest(word, policyFields()); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	good := map[string]string{"1s": "1s", "100ms": "100ms", "1m30s": "1m30s", "7d": "168h0m0s", "1d12h": "36h0m0s", "0.5s": "500ms", "1.5h": "1h30m0s", "5µs": "5µs"}
	for text, want := range good {
		if d, ok := parseDuration(text); !ok || d.String() != want {
			t.Errorf("parseDuration(%q) = %v, %v, want %s", text, d, ok, want)
		}
	}
	for _, text := range []string{"", "1", "0", "s", "-1s", "+1s", ".5s", "1.s", "1s2", "d", "1.5d", "1d-1h", "99999999999d", "106752d", "106751d24h", "1 s", "1e3s", "..1s"} {
		if d, ok := parseDuration(text); ok {
			t.Errorf("parseDuration(%q) = %v, want it refused", text, d)
		}
	}
}
