package gate_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/gate"
)

// TestSmuggling sends what two readers could take for different numbers of
// requests. Each is refused, or the upstream sees one request only, and never
// /smuggled.
func TestSmuggling(t *testing.T) {
	var smuggled atomic.Int32
	var requests sync.Map // how many, by the path, which tells the case
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := requests.LoadOrStore(r.URL.Path, new(atomic.Int32))
		n.(*atomic.Int32).Add(1)
		if r.URL.Path == "/smuggled" || r.Header.Get("X-Injected") != "" {
			smuggled.Add(1)
		}
		io.Copy(io.Discard, r.Body)
	})
	g := start(t, generous, nil, up)
	inner := "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	cases := []struct {
		name, text string
		refused    bool // with 4xx or a closed connection; else it may pass as one request
	}{
		{"Content-Length and Transfer-Encoding", "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner, false},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + inner, true},
		{"a list of lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\nhello" + inner, true},
		{"a signed length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello" + inner, true},
		{"a negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello" + inner, true},
		{"a length in hexadecimal", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello" + inner, true},
		{"a folded field", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", false},
		{"a folded first field", "GET / HTTP/1.1\r\n X-A: b\r\nHost: x\r\n\r\n", true},
		{"space before the colon", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner, true},
		{"an unknown coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner, true},
		{"two codings", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner, true},
		{"a coding after a vertical tab", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + inner, true},
		{"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner, false},
		{"a request behind a bad chunk size", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n" + inner, true},
		{"a bad chunk size", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n" + inner, true},
		{"a chunk size too large", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n" + inner, true},
		{"a chunk longer than it says", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhello\r\n0\r\n\r\n" + inner, true},
		{"a bare carriage return", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\rX-Injected: 1\r\n\r\n", true},
		{"a NUL", "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\x00c\r\n\r\n", true},
		{"no host", "GET / HTTP/1.1\r\n\r\n", true},
		{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", true},
		{"a host with a path", "GET / HTTP/1.1\r\nHost: x/smuggled\r\n\r\n", true},
		{"space in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", true},
		{"a control character in the target", "GET /a\x01 HTTP/1.1\r\nHost: x\r\n\r\n", true},
		{"a tunnel", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n", true},
		{"HTTP/2 by upgrade", "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", false},
		{"a megabyte of header", "GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", true},
		{"100,000 fields", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 100_000) + "\r\n", true},
		{"a megabyte of target", "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", true},
		{"not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", true},
	}
	for i, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			path := fmt.Sprintf("/case%d", i)
			send := rawOnce
			if !tc.refused {
				send = raw // whoever ends its side early has gone, and gets no answer
			}
			first, _ := send(t, g.url, strings.Replace(tc.text, " / HTTP", " "+path+" HTTP", 1))
			status := ""
			if f := strings.Fields(first); len(f) > 1 {
				status = f[1]
			}
			if tc.refused && status != "" && status[0] != '4' && status[0] != '5' {
				t.Errorf("answered %q", first)
			}
			if !tc.refused && status != "200" && status != "400" && status != "501" {
				t.Errorf("answered %q", first)
			}
			if n, ok := requests.Load(path); ok && n.(*atomic.Int32).Load() > 1 {
				t.Errorf("the upstream saw %d requests", n.(*atomic.Int32).Load())
			}
			if smuggled.Load() != 0 {
				t.Error("something was smuggled")
			}
		})
	}
	if len(cases) < 20 {
		t.Fatal("cases are missing")
	}
	if status, _, _ := get(t, client(t, ""), g.url); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
	if smuggled.Load() != 0 {
		t.Error("something was smuggled")
	}
}

// rawOnce is raw for a client that sends no more: it closes its side.
func rawOnce(t testing.TB, base, text string) (first, rest string) {
	t.Helper()
	u, _ := url.Parse(base)
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	go func() {
		io.WriteString(c, text)
		c.(*net.TCPConn).CloseWrite()
	}()
	b, _ := io.ReadAll(io.LimitReader(c, 1<<20))
	first, rest, _ = strings.Cut(string(b), "\r\n")
	return first, rest
}

// TestForwardedForCannotBeSpoofed holds that a client cannot say who it is, and
// a trusted proxy can.
func TestForwardedForCannotBeSpoofed(t *testing.T) {
	type seen struct{ http.Header }
	var last atomic.Pointer[seen]
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) { last.Store(&seen{r.Header}) })
	policies := "policies:\n  - {name: per-client, key: request.ip, limit: 2, window: 1000h, algorithm: fixed-window}\n"
	t.Run("from anybody", func(t *testing.T) {
		g := start(t, policies, nil, up)
		c := client(t, "")
		statuses := ""
		for i := range 4 {
			status, _, _ := get(t, c, g.url, "X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i), "X-Real-Ip", "198.51.100.9",
				"Forwarded", "for=198.51.100.9", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X_Forwarded_For", "198.51.100.9")
			statuses += fmt.Sprint(status, " ")
		}
		if statuses != "200 200 429 429 " {
			t.Errorf("statuses %s: a client got a limit of its own by X-Forwarded-For", statuses)
		}
		h := last.Load().Header
		if h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Real-Ip") != "" || h.Get("Forwarded") != "" ||
			h.Get("X-Forwarded-Host") == "evil.example" || h.Get("X-Forwarded-Proto") != "http" || h.Get("X_Forwarded_For") != "" {
			t.Errorf("the upstream got %v", h)
		}
	})
	t.Run("hidden as hop by hop", func(t *testing.T) {
		g := start(t, policies, nil, up)
		get(t, client(t, ""), g.url, "Connection", "X-Forwarded-For, X-Forwarded-Proto")
		if h := last.Load().Header; h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Forwarded-Proto") != "http" {
			t.Errorf("the upstream got %v", h)
		}
	})
	t.Run("from a trusted proxy", func(t *testing.T) {
		g := start(t, policies, func(o *gate.Options) { o.Trust, _ = gate.ParseTrust([]string{"loopback", "10.0.0.0/8"}) }, up)
		c := client(t, "")
		statuses := ""
		// The left of the list is the client's claim; 10.1.1.1 is a proxy.
		for i := range 4 {
			status, _, _ := get(t, c, g.url, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d, 198.51.100.7, 10.1.1.1", i), "X-Forwarded-Proto", "https")
			statuses += fmt.Sprint(status, " ")
		}
		if statuses != "200 200 429 429 " {
			t.Errorf("statuses %s", statuses)
		}
		h := last.Load().Header
		if h.Get("X-Forwarded-For") != "192.0.2.1, 198.51.100.7, 10.1.1.1, 127.0.0.1" || h.Get("X-Forwarded-Proto") != "https" {
			t.Errorf("the upstream got %v", h)
		}
		if status, _, _ := get(t, c, g.url, "X-Forwarded-For", "198.51.100.8"); status != 200 {
			t.Errorf("another client: %d", status)
		}
		for i, want := range []int{200, 200, 429} { // one network, three addresses
			if status, _, _ := get(t, c, g.url, "X-Forwarded-For", fmt.Sprintf("2001:db8:1:2::%d", i)); status != want {
				t.Errorf("IPv6 address %d: %d, want %d", i, status, want)
			}
		}
		if l := g.lines(5); l[0]["client"] != "198.51.100.7" || l[4]["client"] != "198.51.100.8" {
			t.Errorf("%v", l)
		}
	})
}

// TestPathsCannotDodge holds that writing a path differently gives no other limit.
func TestPathsCannotDodge(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {})
	g := start(t, "policies:\n  - {name: token, match: POST /oauth2/token, limit: 1, window: 1000h, algorithm: fixed-window}\n", nil, up)
	want := "200"
	ways := []string{"/oauth2/token", "/oauth2/%74oken", "//oauth2/token", "/./oauth2/token", "/x/../oauth2/token", "/%2e/oauth2/%74%6fken", "/oauth2//token", "/oauth2/token?x=1", "http://x/oauth2/token"}
	for _, path := range ways {
		first, _ := raw(t, g.url, "POST "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		if f := strings.Fields(first); len(f) < 2 || f[1] != want {
			t.Errorf("%s: %q, want %s", path, first, want)
		}
		want = "429"
	}
}

// TestSlowHeader holds that a client which sends its header a byte at a time is
// let go, and that one in no hurry with its body is not.
func TestSlowHeader(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d %v", len(b), err)
	})
	g := start(t, generous, func(o *gate.Options) { o.HeaderTimeout = 100 * time.Millisecond }, up)
	u, _ := url.Parse(g.url)
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for _, b := range []byte("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + strings.Repeat("y", 1000)) {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
					c.Write([]byte{b})
				}
			}
		}()
		if n, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("still connected after a minute: %d bytes, %v", n, err)
		}
	})
	in, out := io.Pipe()
	wg.Go(func() {
		for range 4 {
			time.Sleep(100 * time.Millisecond) // longer in all than the header may take
			out.Write([]byte("x"))
		}
		out.Close()
	})
	if status, _, body := do(t, client(t, ""), "POST", g.url, in); status != 200 || body != "4 <nil>" {
		t.Errorf("a slow body: %d %q", status, body)
	}
	wg.Wait()
}

// TestHugeKeys holds that keys of any size and any bytes count, and that nothing
// of them comes back as a header field.
func TestHugeKeys(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {})
	g := start(t, `policies:
  - {name: by-header, key: 'request.header["X-Key"]', limit: 1, window: 1000h, algorithm: fixed-window, answer: ratelimit}
  - {name: by-query, key: 'request.query["k"]', limit: 1000, window: 1h, answer: ratelimit}
`, func(o *gate.Options) { o.MaxHeaderBytes = 4 << 20 }, up)
	c := client(t, "")
	big := strings.Repeat("k", 1<<20)
	for i, want := range []int{200, 429} {
		status, h, _ := get(t, c, g.url, "X-Key", big)
		if status != want {
			t.Errorf("request %d with a key of 1 MB: %d, want %d", i, status, want)
		}
		for name, values := range h {
			if strings.Contains(strings.Join(values, ""), "kkkk") {
				t.Errorf("%s tells the key", name)
			}
		}
	}
	if status, _, _ := get(t, c, g.url, "X-Key", big+"x"); status != 200 {
		t.Errorf("another key of 1 MB: %d", status)
	}
	evil := url.QueryEscape("a\r\nSet-Cookie: evil=1\r\n\r\n<html>")
	status, h, _ := get(t, c, g.url+"/?k="+evil, "X-Key", "other")
	if status != 200 || h.Get("Set-Cookie") != "" {
		t.Errorf("%d %v", status, h)
	}
	for _, l := range g.lines(4) {
		if b := fmt.Sprint(l); len(b) > 2000 {
			t.Errorf("a line of %d bytes", len(b))
		}
	}
}
