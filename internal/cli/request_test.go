package cli

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMaskArgs(t *testing.T) {
	const secret = "s3cr3t-value"
	cases := []struct {
		args []string
		want []string
	}{
		{[]string{"run", "http://x/", "--basic-auth", "me:" + secret}, []string{"run", "http://x/", "--basic-auth", "***"}},
		{[]string{"--basic-auth=me:" + secret}, []string{"--basic-auth=***"}},
		{[]string{"-H", "Authorization: Bearer " + secret}, []string{"-H", "Authorization: ***"}},
		{[]string{"-HX-Api-Key: " + secret}, []string{"-HX-Api-Key: ***"}},
		{[]string{"-H", "Accept: text/plain"}, []string{"-H", "Accept: text/plain"}},
		{[]string{"--data", "client_secret=" + secret}, []string{"--data", "(26 bytes)"}},
		{[]string{"-d", "@body.json"}, []string{"-d", "@body.json"}},
		{[]string{"https://me:" + secret + "@api.example/p"}, []string{"https://me:***@api.example/p"}},
		{[]string{"https://api.example/p?api_key=" + secret + "&page=2"}, []string{"https://api.example/p?api_key=***&page=2"}},
		{[]string{"--proxy", "http://u:" + secret + "@proxy:3128"}, []string{"--proxy", "***"}},
		{[]string{"--watch", "postgres://me:" + secret + "@db/x?sslpassword=" + secret}, []string{"--watch", "postgres://me:***@db/x?sslpassword=***"}},
		{[]string{"--watch=prometheus+http://me:" + secret + "@mon:9090"}, []string{"--watch=prometheus+http://me:***@mon:9090"}},
		{[]string{"--watch", "host=db password=" + secret}, []string{"--watch", "***"}},
		{[]string{"--watch", "postgres://me:" + secret + "@a:5432,b:5433/x"}, []string{"--watch", "postgres://me:***@a:5432,b:5433/x"}},
		{[]string{"--watch-query", "CPU=sum(a)"}, []string{"--watch-query", "CPU=sum(a)"}},
		{[]string{"-H", "AuthorizationBearer " + secret}, []string{"-H", "AuthorizationBearer ***"}},
		{[]string{"-H", secret}, []string{"-H", "***"}},
		{[]string{"http://api.example/%zz?token=" + secret}, []string{"http://api.example/%zz?***"}},
		{[]string{"-u", "300", "-t", "1m"}, []string{"-u", "300", "-t", "1m"}},
	}
	for _, c := range cases {
		got := maskArgs(c.args)
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("maskArgs(%q) = %q, want %q", c.args, got, c.want)
		}
		if strings.Contains(strings.Join(got, " "), secret) {
			t.Errorf("maskArgs(%q) shows the secret: %q", c.args, got)
		}
	}
}

func TestRequestBuild(t *testing.T) {
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"C": "id:pw", "D_ID": "id", "D_SECRET": "pw", "TOK": "abc"}
	str := func(s string) *string { return &s }
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("id:pw"))

	cases := []struct {
		name  string
		flags requestFlags
		url   string
		check func(method, url, auth, contentType, body string) bool
		fails string // part of the error
	}{
		{"plain get", requestFlags{}, "http://h/p?q=1#frag", func(m, u, a, c, b string) bool { return m == "GET" && u == "http://h/p?q=1" && a == "" && b == "" }, ""},
		{"data posts a form", requestFlags{Data: str("a=b")}, "http://h/", func(m, u, a, c, b string) bool {
			return m == "POST" && c == "application/x-www-form-urlencoded" && b == "a=b"
		}, ""},
		{"json", requestFlags{JSON: str("{}")}, "http://h/", func(m, u, a, c, b string) bool { return m == "POST" && c == "application/json" }, ""},
		{"own content type wins", requestFlags{Data: str("x"), Header: []string{"content-type: text/plain"}}, "http://h/", func(m, u, a, c, b string) bool { return c == "text/plain" }, ""},
		{"body from a file as it is", requestFlags{Data: str("@" + file)}, "http://h/", func(m, u, a, c, b string) bool { return b == "a\nb\n" }, ""},
		{"body from standard input", requestFlags{Data: str("@-")}, "http://h/", func(m, u, a, c, b string) bool { return b == "stdin" }, ""},
		{"basic from one variable", requestFlags{BasicAuthEnv: "C"}, "http://h/", func(m, u, a, c, b string) bool { return a == want }, ""},
		{"basic from two variables", requestFlags{BasicAuthEnv: "D"}, "http://h/", func(m, u, a, c, b string) bool { return a == want }, ""},
		{"basic from the URL", requestFlags{}, "http://id:pw@h/", func(m, u, a, c, b string) bool { return a == want && u == "http://h/" }, ""},
		{"bearer", requestFlags{BearerEnv: "TOK"}, "http://h/", func(m, u, a, c, b string) bool { return a == "Bearer abc" }, ""},
		{"no variable", requestFlags{BasicAuthEnv: "NONE"}, "http://h/", nil, "NONE_ID"},
		{"two ways to log in", requestFlags{BasicAuth: "a:b", BearerEnv: "TOK"}, "http://h/", nil, "exclude"},
		{"two bodies", requestFlags{Data: str("a"), JSON: str("b")}, "http://h/", nil, "both give a body"},
		{"no file", requestFlags{Data: str("@/nowhere/at/all")}, "http://h/", nil, "no such file"},
		{"bad header", requestFlags{Header: []string{"no colon"}}, "http://h/", nil, "not a header line"},
		{"header injection", requestFlags{Header: []string{"A: b\r\nC: d"}}, "http://h/", nil, "control character"},
		{"bad method", requestFlags{Method: "GET /"}, "http://h/", nil, "not an HTTP method"},
		{"no scheme", requestFlags{}, "localhost:8080/x", nil, "no http or https scheme"},
		{"other scheme", requestFlags{}, "ftp://h/x", nil, "no http or https scheme"},
		{"no host", requestFlags{}, "http:///x", nil, "no host"},
		{"bad port keeps the password", requestFlags{}, "http://u:hidden@h:port/", nil, "not a valid URL"},
		{"address without scheme", requestFlags{}, "127.0.0.1:8080/x", nil, "no http or https scheme"},
		{"port zero", requestFlags{}, "http://h:0/", nil, "no port 0"},
		{"port too high", requestFlags{}, "http://h:99999/", nil, "no port 99999"},
		{"empty", requestFlags{}, "", nil, "no URL"},
	}
	ran := 0
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			ran++
			req, err := c.flags.build(c.url, bytes.NewBufferString("stdin"), func(k string) string { return env[k] })
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("error = %v, want one that says %q", err, c.fails)
				}
				if strings.Contains(err.Error(), "hidden") {
					t.Errorf("the error shows the password: %v", err)
				}
				if code, hint := exitCode(err); code != exitUsage || hint == "" {
					t.Errorf("exit code %d and hint %q, want %d and a hint", code, hint, exitUsage)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var auth, ct string
			for _, f := range req.Header {
				switch strings.ToLower(f.Name) {
				case "authorization":
					auth = f.Value
				case "content-type":
					ct = f.Value
				}
			}
			if !c.check(req.Method, req.URL, auth, ct, string(req.Body)) {
				t.Errorf("built %s %s auth=%q type=%q body=%q", req.Method, req.URL, auth, ct, req.Body)
			}
		})
	}
	if ran != len(cases) || ran == 0 {
		t.Fatalf("ran %d of %d cases", ran, len(cases))
	}
}
