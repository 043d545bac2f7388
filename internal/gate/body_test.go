package gate_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestBrokenBodies holds that a client which does not send its body whole is told
// so, that what it sends behind it is no request, and that the upstream is not
// blamed: else three such requests would take it out of service.
func TestBrokenBodies(t *testing.T) {
	var smuggled, early atomic.Int32
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/smuggled":
			smuggled.Add(1)
		case "/early": // answers before it reads
			early.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		case "/during": // answers while it reads
			w.Write([]byte("begun"))
			http.NewResponseController(w).Flush()
		}
		io.Copy(io.Discard, r.Body)
	})
	g := start(t, generous, nil, up)
	const inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	cases := []struct{ name, path, body, want string }{
		{"bad size", "/late", "zz\r\n", "400"},
		{"bad size after a chunk", "/late", "5\r\nhello\r\nzz\r\n", "400"},
		{"an early answer", "/early", "zz\r\n", "400 401"},
		{"an answer under way", "/during", "5\r\nhello\r\nzz\r\n", "200 400"},
	}
	for _, tc := range cases {
		for range 4 { // more than take an upstream out
			text := "POST " + tc.path + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + tc.body
			first, rest := raw(t, g.url, text+inner)
			if f := strings.Fields(first); len(f) < 2 || !strings.Contains(tc.want, f[1]) {
				t.Errorf("%s: answered %q, want %s", tc.name, first, tc.want)
			} else if f[1] == "400" && !strings.Contains(rest, "Weir-Error: body\r\n") {
				t.Errorf("%s: %q", tc.name, rest)
			}
		}
	}
	if smuggled.Load() != 0 {
		t.Errorf("%d requests were smuggled", smuggled.Load())
	}
	if early.Load() == 0 {
		t.Error("no request was answered early")
	}
	// Gone in the middle of a body.
	u, _ := url.Parse(g.url)
	for range 4 {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(30 * time.Second))
		io.WriteString(c, "POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhello")
		c.(*net.TCPConn).CloseWrite()
		io.ReadAll(c)
		c.Close()
	}
	eventually(t, "all have ended", func() bool { return g.Stats().InFlight == 0 })
	if s := g.Stats(); !s.Ready || s.Upstreams[0].Failures != 0 {
		t.Errorf("ready %v, upstream %+v", s.Ready, s.Upstreams[0])
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
}

// TestHalfClosed holds that a client which ends its side of the connection is not
// told 200 for a request that nobody answered.
func TestHalfClosed(t *testing.T) {
	release := make(chan struct{})
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done(); <-release })
	defer close(release)
	g := start(t, generous, nil, up)
	first, rest := rawOnce(t, g.url, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	if first != "" || rest != "" {
		t.Errorf("answered %q %q", first, rest)
	}
	slow := start(t, "policies:\n  - {name: slow, algorithm: leaky-bucket, limit: 1, window: 1h, burst: 5}\n", nil, up)
	get(t, client(t, ""), slow.check, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/", "X-Forwarded-For", "192.0.2.1")
	for _, base := range []string{slow.url, strings.TrimSuffix(slow.check, "/check")} {
		first, _ := rawOnce(t, base, "GET /check/x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
		if first != "" {
			t.Errorf("%s: answered %q", base, first)
		}
	}
}
