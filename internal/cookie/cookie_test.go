package cookie

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/publicsuffix"
	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hit"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func place(t testing.TB, raw string) Place {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return Place{Host: u.Hostname(), Path: u.Path, HTTPS: u.Scheme == "https"}
}

// TestRules sets one cookie and looks where it goes.
func TestRules(t *testing.T) {
	cases := []struct {
		from, line string
		to, want   string
	}{
		{"http://a.test/x/y", "k=v", "http://a.test/x", "k=v"},
		{"http://a.test/x/y", "k=v", "http://a.test/x/z", "k=v"},
		{"http://a.test/x/y", "k=v", "http://a.test/xy", ""},
		{"http://a.test/x/y", "k=v", "http://a.test/", ""},
		{"http://a.test/x", "k=v", "http://a.test/other", "k=v"},
		{"http://a.test/x/y", "k=v; Path=/", "http://a.test/", "k=v"},
		{"http://a.test/x/y", "k=v; path=nonsense", "http://a.test/x/y", "k=v"},
		{"http://a.test/", "k=v; Path=/x/", "http://a.test/x", ""},
		{"http://a.test/", "k=v; Path=/x/", "http://a.test/x/y", "k=v"},
		{"http://a.test/", "k=v", "http://b.a.test/", ""},
		{"http://a.test/", "k=v; Domain=a.test", "http://b.a.test/", "k=v"},
		{"http://b.a.test/", "k=v; Domain=.A.test", "http://c.a.test/", "k=v"},
		{"http://b.a.test/", "k=v; Domain=c.a.test", "http://c.a.test/", ""},
		{"http://b.a.test/", "k=v; Domain=test", "http://b.a.test/", ""},
		{"http://a.co.uk/", "k=v; Domain=co.uk", "http://a.co.uk/", ""},
		{"http://xa.test/", "k=v; Domain=a.test", "http://xa.test/", ""},
		{"http://127.0.0.1/", "k=v; Domain=127.0.0.1", "http://127.0.0.1/", "k=v"},
		{"http://127.0.0.1/", "k=v; Domain=0.0.1", "http://127.0.0.1/", ""},
		{"http://localhost/", "k=v", "http://localhost/", "k=v"},
		{"http://localhost/", "k=v; Domain=localhost", "http://localhost/", "k=v"},
		{"https://a.test/", "k=v; Secure", "https://a.test/", "k=v"},
		{"https://a.test/", "k=v; Secure", "http://a.test/", ""},
		{"http://a.test/", "k=v; Secure", "https://a.test/", ""},
		{"https://a.test/", "k=v; SameSite=None", "https://a.test/", ""},
		{"https://a.test/", "k=v; SameSite=None; Secure", "https://a.test/", "k=v"},
		{"http://a.test/", "k=v; SameSite=Strict; HttpOnly", "http://a.test/", "k=v"},
		{"https://a.test/", "__Host-k=v; Secure; Path=/", "https://a.test/", "__Host-k=v"},
		{"https://a.test/", "__Host-k=v; Secure", "https://a.test/", ""},
		{"https://a.test/", "__Host-k=v; Secure; Path=/; Domain=a.test", "https://a.test/", ""},
		{"https://a.test/", "__Secure-k=v", "https://a.test/", ""},
		{"http://a.test/", "k=v; Max-Age=10", "http://a.test/", "k=v"},
		{"http://a.test/", "k=v; Max-Age=0", "http://a.test/", ""},
		{"http://a.test/", "k=v; Max-Age=-5", "http://a.test/", ""},
		{"http://a.test/", "k=v; Max-Age=99999999999999999999", "http://a.test/", "k=v"},
		{"http://a.test/", "k=v; Max-Age=x", "http://a.test/", "k=v"},
		{"http://a.test/", "k=v; Expires=Sat, 21 Nov 2026 12:00:01 GMT", "http://a.test/", "k=v"},
		{"http://a.test/", "k=v; Expires=Sat, 21 Nov 2026 12:00:00 GMT", "http://a.test/", ""},
		{"http://a.test/", "k=v; Expires=Sat, 21 Nov 2026 11:00:00 GMT; Max-Age=5", "http://a.test/", "k=v"},
		{"http://a.test/", "k=v; expires=Saturday, 21-Nov-26 12:30:00 GMT", "http://a.test/", "k=v"},
		{"http://a.test/", "k=v; expires=Thu, 01-Jan-1970 00:00:00 GMT", "http://a.test/", ""},
		{"http://a.test/", "k=v; expires=nonsense", "http://a.test/", "k=v"},
		{"http://a.test/", "k=a=b", "http://a.test/", "k=a=b"},
		{"http://a.test/", " k = v ", "http://a.test/", "k=v"},
		{"http://a.test/", `k="v w"`, "http://a.test/", `k="v w"`},
		{"http://a.test/", "=v", "http://a.test/", ""},
		{"http://a.test/", "k", "http://a.test/", ""},
		{"http://a.test/", "k=a\x01b", "http://a.test/", ""},
		{"http://a.test/", "k=" + strings.Repeat("x", 4096), "http://a.test/", ""},
	}
	for _, c := range cases {
		var j Jar
		j.Receive(place(t, c.from), hit.Fields(nil).Append("X", "y"), noon)
		j.Set(place(t, c.from), c.line, noon)
		if got := string(j.Append(nil, place(t, c.to), noon)); got != c.want {
			t.Errorf("%s sets %.60q: to %s goes %q, want %q", c.from, c.line, c.to, got, c.want)
		}
	}
	if len(cases) < 40 {
		t.Fatalf("only %d cases", len(cases))
	}
}

func TestOrderReplaceDelete(t *testing.T) {
	var j Jar
	at := place(t, "http://a.test/x/y")
	for _, line := range []string{"a=1; Path=/", "b=2", "c=3; Path=/", "a=4; Path=/", "d=5; Path=/x/y"} {
		j.Set(at, line, noon)
	}
	if got := string(j.Append(nil, at, noon)); got != "d=5; b=2; a=4; c=3" {
		t.Errorf("sent %q, want the longest path first, then the oldest", got)
	}
	j.Set(at, "a=; Path=/; Max-Age=0", noon)
	j.Extra("a.test", []Pair{{"b", "mine"}, {"z", "9"}})
	if got := string(j.Append(nil, at, noon)); got != "d=5; c=3; b=mine; z=9" {
		t.Errorf("with extra cookies %q", got)
	}
	if got := string(j.Append(nil, place(t, "http://other.test/"), noon)); got != "" {
		t.Errorf("another host got %q", got)
	}
	j.Extra("", nil)
	j.Put("a.test", "p", "1")
	if v, ok := j.Get("a.test", "p", noon); !ok || v != "1" || len(j.For("a.test", noon)) != 4 {
		t.Errorf("Get = %q, %v; For has %d", v, ok, len(j.For("a.test", noon)))
	}
	j.Drop("a.test", "p")
	if _, ok := j.Get("a.test", "p", noon); ok {
		t.Error("a dropped cookie is still there")
	}
	j.Set(at, "s=1; Secure", noon)
	if j.Refused("s") == "" || j.Refused("d") != "" {
		t.Errorf("Refused says %q and %q", j.Refused("s"), j.Refused("d"))
	}
	secure := place(t, "https://a.test/x")
	j.Set(secure, "s=safe; Secure; Path=/", noon)
	j.Set(at, "s=evil; Path=/", noon)
	if v, _ := j.Get("a.test", "s", noon); v != "safe" {
		t.Errorf("a Secure cookie was replaced over http: %q", v)
	}
	for i := range 2 * maxCookies {
		j.Set(at, fmt.Sprintf("n%d=1", i), noon)
	}
	if len(j.cookies) != maxCookies || !slices.IsSortedFunc(j.cookies, before) {
		t.Errorf("%d cookies are kept, want %d in order", len(j.cookies), maxCookies)
	}
}

// TestAgainstStandardJar compares with net/http/cookiejar, which follows
// RFC 6265; what RFC 6265bis changed is left out of the lines.
func TestAgainstStandardJar(t *testing.T) {
	urls := []string{"http://a.test/", "http://a.test/x/y", "http://a.test/x", "https://a.test/x/", "http://b.a.test/", "http://a.co.uk/", "http://127.0.0.1/x", "http://test/"}
	rapid.Check(t, func(t *rapid.T) {
		std, err := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
		if err != nil {
			t.Fatal(err)
		}
		var j Jar
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			raw := rapid.SampledFrom(urls).Draw(t, "from")
			u, _ := url.Parse(raw)
			line := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name") + "=" + rapid.StringMatching(`[a-z0-9=]{0,4}`).Draw(t, "value")
			line += rapid.SampledFrom([]string{"", "; Path=/", "; Path=/x", "; Path=/x/", "; Path=x"}).Draw(t, "path")
			line += rapid.SampledFrom([]string{"", "", "; Domain=a.test", "; Domain=.a.test", "; Domain=co.uk", "; Domain=a.co.uk", "; Domain=b.a.test", "; Domain=test"}).Draw(t, "domain")
			line += rapid.SampledFrom([]string{"", "", "; Max-Age=100", "; Max-Age=0"}).Draw(t, "age")
			if u.Scheme == "https" && rapid.Bool().Draw(t, "secure") {
				line += "; Secure"
			}
			header := http.Header{"Set-Cookie": {line}}
			secure := slices.ContainsFunc(j.cookies, func(c Cookie) bool { return c.Secure })
			if u.Scheme == "http" && secure {
				continue // "leave Secure cookies alone" is of RFC 6265bis
			}
			std.SetCookies(u, (&http.Response{Header: header}).Cookies())
			j.Set(Place{Host: u.Hostname(), Path: u.Path, HTTPS: u.Scheme == "https"}, line, time.Now())
			if !slices.IsSortedFunc(j.cookies, before) {
				t.Fatalf("after %q the cookies are out of order: %+v", line, j.cookies)
			}
			for _, raw := range urls {
				u, _ := url.Parse(raw)
				var want []string
				for _, c := range std.Cookies(u) {
					want = append(want, c.Name+"="+c.Value)
				}
				got := string(j.Append(nil, Place{Host: u.Hostname(), Path: u.Path, HTTPS: u.Scheme == "https"}, time.Now()))
				if got != strings.Join(want, "; ") {
					t.Fatalf("after %q: to %s goes %q, want %q", line, raw, got, want)
				}
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	var j Jar
	at := place(t, "http://a.test/")
	j.Set(at, "sessionid=1234567890; Path=/; HttpOnly", noon)
	j.Set(at, "csrftoken=1234567890; Path=/; Max-Age=1000", noon)
	plain := hit.Fields(nil).Append("Content-Type", "text/plain").Append("Date", "x")
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { buf = j.Append(buf[:0], at, noon); j.Receive(at, plain, noon) }); n > 0 {
		t.Errorf("sending cookies allocates %v times, want 0", n)
	}
}

func FuzzSet(f *testing.F) {
	for _, line := range []string{"k=v", "k=v; Path=/; Domain=a.test; Max-Age=1; Secure; SameSite=None", "k=v; Expires=Sat, 21 Nov 2026 12:00:00 GMT", ";;=;", "k=v; Domain=..", "k=v; Expires=99:99:99 32 feb 9999"} {
		f.Add(line, "a.test", "/x/y")
	}
	f.Fuzz(func(t *testing.T, line, host, path string) {
		var j Jar
		at := Place{Host: host, Path: path, HTTPS: true}
		kept := j.Set(at, line, noon)
		got := string(j.Append(nil, at, noon))
		if strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("Append = %q has a control character", got)
		}
		if !kept && got != "" {
			t.Errorf("%q was refused, and is sent: %q", line, got)
		}
	})
}
