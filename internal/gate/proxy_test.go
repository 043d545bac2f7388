package gate_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/gate"
)

// protocols are the ways to the gate and from it that are tested: each test that
// uses them runs for all.
var protocols = []struct{ client, upstream string }{{"", "http"}, {"", "h2c"}, {"h2c", "http"}, {"h2c", "h2c"}}

// TestPassesThrough holds that a request arrives as it was sent, and the answer too.
func TestPassesThrough(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Set("X-Upstream", "yes")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(299)
		fmt.Fprintf(w, "%s %s host=%s body=%d err=%v x=%q te=%q ua=%q trailer=%q", r.Method, r.RequestURI, r.Host, len(body), err, r.Header["X-Own"], r.Header["Te"], r.Header["User-Agent"], r.Trailer.Get("X-Client-Sum"))
		w.Header().Set("X-Sum", "42")
	})
	ran := 0
	for _, p := range protocols {
		t.Run(p.client+"-"+p.upstream, func(t *testing.T) {
			g := start(t, generous, nil, strings.Replace(up, "http", p.upstream, 1))
			c := client(t, p.client)
			body := io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), strings.NewReader("y"))
			r, _ := http.NewRequest("PUT", g.url+"/a%2Fb/%7Ec//d/./e?q=1&q=%20+%3B", body)
			r.Host = "api.example:8080"
			r.Header = http.Header{"X-Own": {"1", "2"}, "User-Agent": {""}, "Te": {"trailers"}}
			r.Trailer = http.Header{"X-Client-Sum": nil}
			r.Body = io.NopCloser(&atEnd{body, func() { r.Trailer.Set("X-Client-Sum", "7") }})
			r.ContentLength = -1
			res, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			want := `PUT /a%2Fb/%7Ec//d/./e?q=1&q=%20+%3B host=api.example:8080 body=100001 err=<nil> x=["1" "2"] te=["trailers"] ua=[] trailer="7"`
			if string(b) != want || res.StatusCode != 299 {
				t.Errorf("got  %d %s\nwant 299 %s", res.StatusCode, b, want)
			}
			if res.Trailer.Get("X-Sum") != "42" || res.Header.Get("X-Upstream") != "yes" || len(res.Header["Set-Cookie"]) != 2 {
				t.Errorf("header %v, trailer %v", res.Header, res.Trailer)
			}
			ran++
		})
	}
	if ran != len(protocols) {
		t.Fatalf("%d of %d ran", ran, len(protocols))
	}
}

// atEnd calls f when the body has been read.
type atEnd struct {
	io.Reader
	f func()
}

func (a *atEnd) Read(b []byte) (int, error) {
	n, err := a.Reader.Read(b)
	if err == io.EOF {
		a.f()
	}
	return n, err
}

// TestStreams holds that bytes pass in both directions while both bodies are open.
func TestStreams(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if r.ProtoMajor == 1 {
			rc.EnableFullDuplex()
		}
		rc.Flush()
		in := bufio.NewScanner(r.Body)
		for in.Scan() {
			fmt.Fprintf(w, "echo %s\n", in.Text())
			rc.Flush()
		}
	})
	for _, p := range protocols {
		t.Run(p.client+"-"+p.upstream, func(t *testing.T) {
			g := start(t, generous, nil, strings.Replace(up, "http", p.upstream, 1))
			in, out := io.Pipe()
			r, _ := http.NewRequest("POST", g.url, in)
			res, err := client(t, p.client).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			lines := bufio.NewReader(res.Body)
			for i := range 3 {
				fmt.Fprintf(out, "line %d\n", i)
				if got, err := lines.ReadString('\n'); got != fmt.Sprintf("echo line %d\n", i) {
					t.Fatalf("%q, %v", got, err)
				}
			}
			out.Close()
			if rest, err := io.ReadAll(lines); len(rest) != 0 || err != nil {
				t.Fatalf("%q, %v", rest, err)
			}
		})
	}
}

func TestServerSentEvents(t *testing.T) {
	next := make(chan struct{})
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			http.NewResponseController(w).Flush()
			<-next // the client has it
		}
	})
	g := start(t, generous, nil, up)
	res, err := client(t, "").Get(g.url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for i := range 3 {
		if got, err := lines.ReadString('\n'); got != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("%q, %v", got, err)
		}
		lines.ReadString('\n')
		next <- struct{}{}
	}
}

// echoSocket is an upstream that switches to whatever protocol it is asked for,
// and echoes.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		fmt.Fprint(w, "no upgrade")
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
	rw.Flush()
	io.Copy(c, rw)
}

func dialSocket(t *testing.T, base, protocol string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	u, _ := url.Parse(base)
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	br := bufio.NewReader(c)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, br, res
}

// TestWebSocket holds that a WebSocket passes, that it holds what a concurrency
// limit gave it until it is closed, and that no other protocol can be switched to.
func TestWebSocket(t *testing.T) {
	g := start(t, "policies:\n  - {name: sockets, algorithm: concurrency, limit: 1}\n", nil, upstream(t, echoSocket))
	c, br, res := dialSocket(t, g.url, "websocket")
	if res.StatusCode != 101 {
		t.Fatal(res.Status)
	}
	for range 3 {
		io.WriteString(c, "hello\n")
		if got, err := br.ReadString('\n'); got != "hello\n" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if _, _, res := dialSocket(t, g.url, "websocket"); res.StatusCode != 429 {
		t.Errorf("a second socket: %s, want 429", res.Status)
	}
	c.Close()
	eventually(t, "the slot is free again", func() bool {
		c, _, res := dialSocket(t, g.url, "websocket")
		defer c.Close()
		return res.StatusCode == 101
	})
	eventually(t, "again", func() bool { return g.Stats().InFlight == 0 })
	_, br, res = dialSocket(t, g.url, "h2c")
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 || string(b) != "no upgrade" {
		t.Errorf("h2c: %s %q, want the upgrade not to be passed on", res.Status, b)
	}
	_ = br
}

// TestConcurrency holds that a slot is given back when the answer has been
// copied, when the client goes, and when the upstream fails.
func TestConcurrency(t *testing.T) {
	release := make(chan struct{})
	var inside atomic.Int32
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		inside.Add(1)
		defer inside.Add(-1)
		switch r.URL.Path {
		case "/wait":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/break":
			w.Write([]byte("half"))
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/dead":
			panic(http.ErrAbortHandler)
		}
	})
	g := start(t, "policies:\n  - {name: slots, algorithm: concurrency, limit: 2}\n", nil, up)
	c := client(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			r, _ := http.NewRequestWithContext(ctx, "GET", g.url+"/wait", nil)
			res, err := c.Do(r)
			if err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	eventually(t, "two requests are at the upstream", func() bool { return inside.Load() == 2 })
	if status, _, _ := get(t, c, g.url); status != 429 {
		t.Errorf("a third: %d, want 429", status)
	}
	cancel() // both clients go
	wg.Wait()
	eventually(t, "both slots are free", func() bool { return g.Stats().InFlight == 0 })
	for range 3 { // more than there are slots
		if status, h, _ := get(t, c, g.url+"/dead"); status != 502 || h.Get("Weir-Error") != "upstream-broken" {
			t.Errorf("/dead: %d %v, want 502", status, h)
		}
	}
	for range 3 {
		res, err := c.Get(g.url + "/break")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("a broken answer looks whole")
		}
		res.Body.Close()
	}
	eventually(t, "all slots are free", func() bool { return g.Stats().InFlight == 0 })
	close(release)
	if status, _, _ := get(t, c, g.url); status != 200 {
		t.Errorf("at the end: %d", status)
	}
	seen := map[any]int{}
	for _, l := range g.lines(10) {
		seen[l["outcome"]]++
	}
	if seen["gone"] != 2 || seen["failed"] != 6 || seen["refused"] != 1 || seen["passed"] != 1 {
		t.Errorf("outcomes %v", seen)
	}
}

// TestDelay holds that a leaky bucket's delay is waited for, and not longer than
// the client stays.
func TestDelay(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {})
	g := start(t, "policies:\n  - {name: drops, algorithm: leaky-bucket, limit: 1, window: 500ms, burst: 100}\n", nil, up)
	c := client(t, "")
	begin := time.Now()
	for range 3 {
		if status, _, _ := get(t, c, g.url); status != 200 {
			t.Fatal(status)
		}
	}
	if took := time.Since(begin); took < time.Second {
		t.Errorf("three requests in %v, want a second at least", took)
	}
	for range 60 { // half a minute into the queue
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		r, _ := http.NewRequestWithContext(ctx, "GET", g.url, nil)
		if res, err := c.Do(r); err == nil {
			res.Body.Close()
		}
		cancel()
	}
	eventually(t, "those whose clients have gone do not wait", func() bool { return g.Stats().InFlight == 0 })
}

func TestUpstreamFaults(t *testing.T) {
	hang := upstream(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	dead := listen(t)
	deadURL := "http://" + dead.Addr().String()
	dead.Close()
	nonsense := listen(t)
	t.Cleanup(func() { nonsense.Close() })
	go func() {
		for {
			c, err := nonsense.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 4096))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
			c.Close()
		}
	}()
	cases := []struct {
		name, up string
		timeout  time.Duration // long, where something else is to be found out
		status   int
		word     string
	}{
		{"hangs", hang, 50 * time.Millisecond, 504, "upstream-timeout"},
		{"is not there", deadURL, time.Minute, 502, "upstream-unreachable"},
		{"talks nonsense", "http://" + nonsense.Addr().String(), time.Minute, 502, "upstream-broken"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			g := start(t, generous, func(o *gate.Options) { o.UpstreamTimeout = tc.timeout }, tc.up)
			status, h, body := get(t, client(t, ""), g.url)
			if status != tc.status || h.Get("Weir-Error") != tc.word || h.Get("RateLimit") == "" && false {
				t.Errorf("%d %v %s", status, h, body)
			}
			if strings.Contains(body, "127.0.0.1") {
				t.Errorf("the answer tells where the upstream is: %s", body)
			}
			if l := g.lines(1)[0]; l["error"] == nil || l["outcome"] != "failed" {
				t.Errorf("%v", l)
			}
		})
	}
}

func TestSeveralUpstreams(t *testing.T) {
	var hits [2]atomic.Int32
	var sick atomic.Bool
	a := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" && sick.Load() {
			w.WriteHeader(500)
			return
		}
		if r.URL.Path != "/health" {
			hits[0].Add(1)
		}
	})
	b := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			hits[1].Add(1)
		}
	})
	dead := listen(t)
	deadURL := "http://" + dead.Addr().String()
	dead.Close()
	t.Run("round robin, and around one that is dead", func(t *testing.T) {
		hits[0].Store(0)
		hits[1].Store(0)
		g := start(t, generous, nil, a, deadURL, b)
		c := client(t, "")
		begin := time.Now()
		for range 30 {
			status, _, _ := do(t, c, "POST", g.url, strings.NewReader("body"))
			if status != 200 {
				t.Fatalf("status %d, though two upstreams answer", status)
			}
		}
		if x, y := hits[0].Load(), hits[1].Load(); x+y != 30 || x < 10 || y < 10 {
			t.Errorf("%d and %d requests", x, y)
		}
		s := g.Stats()
		// Two seconds later it is tried again, which a slow machine may come to.
		again := time.Since(begin) > 2*time.Second
		if u := s.Upstreams[1]; u.Failures < 3 || !again && (u.Failures > 3 || u.Ready) || !strings.Contains(g.said.String(), "left out for 2s") {
			t.Errorf("%+v, %q", s.Upstreams, g.said)
		}
	})
	t.Run("active checks", func(t *testing.T) {
		g := start(t, generous, func(o *gate.Options) { o.HealthPath, o.HealthEvery = "/health", 20*time.Millisecond }, a, b)
		sick.Store(true)
		eventually(t, "the first is out", func() bool { return !g.Stats().Upstreams[0].Ready })
		before := hits[0].Load()
		c := client(t, "")
		for range 10 {
			get(t, c, g.url)
		}
		if got := hits[0].Load() - before; got != 0 {
			t.Errorf("the one that is down got %d requests", got)
		}
		sick.Store(false)
		eventually(t, "the first is back", func() bool { return g.Stats().Upstreams[0].Ready })
	})
	t.Run("failures that are not in a row", func(t *testing.T) {
		var n atomic.Int32
		flaky := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%2 == 0 {
				panic(http.ErrAbortHandler)
			}
		})
		g := start(t, generous, nil, flaky)
		c := client(t, "")
		for range 10 {
			do(t, c, "POST", g.url, strings.NewReader("body"))
		}
		if s := g.Stats().Upstreams[0]; s.Failures != 5 || !s.Ready {
			t.Errorf("%+v, want 5 failures, and that it is not left out", s)
		}
	})
	t.Run("least busy", func(t *testing.T) {
		block := make(chan struct{})
		var in atomic.Int32
		slow := upstream(t, func(w http.ResponseWriter, r *http.Request) { in.Add(1); <-block })
		g := start(t, generous, func(o *gate.Options) { o.Balance = gate.LeastBusy }, slow, b)
		c := client(t, "")
		hits[1].Store(0)
		var wg sync.WaitGroup
		wg.Go(func() { get(t, c, g.url) })
		eventually(t, "the slow one is busy", func() bool { return in.Load() == 1 })
		for range 10 {
			get(t, c, g.url)
		}
		if hits[1].Load() != 10 {
			t.Errorf("the idle one got %d of 10", hits[1].Load())
		}
		close(block)
		wg.Wait()
	})
}

// TestShutdown holds that a request under way ends, and that one which never
// ends is broken off in time.
func TestShutdown(t *testing.T) {
	inside, release := make(chan struct{}, 2), make(chan struct{})
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		inside <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		io.WriteString(w, "done")
	})
	t.Run("drains", func(t *testing.T) {
		g := start(t, generous, nil, up)
		got := make(chan string, 1)
		go func() {
			_, _, body := get(t, client(t, ""), g.url)
			got <- body
		}()
		<-inside
		stopped := make(chan struct{})
		go func() { g.stop(); close(stopped) }()
		eventually(t, "not ready while stopping", func() bool { return !g.Stats().Ready })
		select {
		case <-stopped:
			t.Fatal("it did not wait for the request")
		default:
		}
		close(release)
		if body := <-got; body != "done" {
			t.Errorf("%q", body)
		}
		<-stopped
	})
	t.Run("breaks off", func(t *testing.T) {
		g := start(t, generous, func(o *gate.Options) { o.DrainTimeout = 50 * time.Millisecond }, upstream(t, echoSocket))
		c, br, res := dialSocket(t, g.url, "websocket")
		if res.StatusCode != 101 {
			t.Fatal(res.Status)
		}
		g.stop()
		if _, err := br.ReadByte(); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the socket is still open: %v", err)
		}
		c.Close()
		if !strings.Contains(g.said.String(), "broken off") {
			t.Errorf("%q", g.said)
		}
	})
}

// TestAllocations bounds what the gate adds to httputil.ReverseProxy.
func TestAllocations(t *testing.T) {
	g, err := gate.New(gate.Options{File: parse(t, generous), Upstreams: []*url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var plain httputil.ReverseProxy
	plain.Rewrite = func(p *httputil.ProxyRequest) { p.Out.URL.Scheme, p.Out.URL.Host = "http", "x"; p.SetXForwarded() }
	plain.Transport = canned{}
	gate.SetTransport(g, canned{})
	measure := func(h http.Handler) float64 {
		r, _ := http.NewRequest("GET", "http://x/path", nil)
		r.RemoteAddr, r.RequestURI = "192.0.2.1:1234", "/path"
		w := &discard{h: http.Header{}}
		return testing.AllocsPerRun(300, func() { clear(w.h); h.ServeHTTP(w, r) })
	}
	with, without := measure(g), measure(&plain)
	t.Logf("allocations: gate %.0f, ReverseProxy alone %.0f", with, without)
	if added := with - without; added > 8 {
		t.Errorf("the gate adds %.0f allocations to a request, want 8 at most", added)
	}
}

type canned struct{}

func (canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(bytes.NewReader(nil)), Request: r}, nil
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
