package target

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestStaleConnection: the first connection answers once; what becomes of a
// second request on it?
func TestStaleConnection(t *testing.T) {
	closeUnread := func(s *server) { // closes before anything is sent
		s.request()
		s.say(okAnswer)
	}
	closeRead := func(s *server) { // reads the second request, and closes
		s.request()
		s.say(okAnswer)
		s.request()
	}
	closePartly := func(s *server) { // closes within the answer
		s.request()
		s.say(okAnswer)
		s.request()
		s.say("HTTP/1.1 2")
	}
	silent := func(s *server) {
		s.request()
		s.say(okAnswer)
		s.request()
		s.request()
	}
	tests := []struct {
		name    string
		first   func(*server)
		req     hit.Request
		retried bool
		failure hit.Failure
		text    string
	}{
		{"GET, nothing written", closeUnread, hit.Request{Method: "GET"}, true, 0, ""},
		{"POST, nothing written", closeUnread, hit.Request{Method: "POST", Body: []byte("x")}, true, 0, ""},
		{"POST once, nothing written", closeUnread, hit.Request{Method: "POST", Body: []byte("x"), Once: true}, true, 0, ""},
		{"GET, written", closeRead, hit.Request{Method: "GET"}, true, 0, ""},
		{"PUT, written", closeRead, hit.Request{Method: "PUT", Body: []byte("x")}, true, 0, ""},
		{"GET once, written", closeRead, hit.Request{Method: "GET", Once: true}, false, hit.ClosedEarly, "may have been done"},
		{"POST, written", closeRead, hit.Request{Method: "POST", Body: []byte("x")}, false, hit.ClosedEarly, "not sent again"},
		{"POST that may be replayed, written", closeRead, hit.Request{Method: "POST", Body: []byte("x"), Replay: true}, true, 0, ""},
		{"once beats replay", closeRead, hit.Request{Method: "POST", Replay: true, Once: true}, false, hit.ClosedEarly, "may have been done"},
		{"large PUT, written", closeRead, hit.Request{Method: "PUT", Body: make([]byte, 100<<10)}, true, 0, ""},
		{"answer begun", closePartly, hit.Request{Method: "GET"}, false, hit.ClosedEarly, "in the header block"},
		{"time-out", silent, hit.Request{Method: "GET"}, false, hit.AnswerTimeout, "before the answer began"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := newClient(t, Options{}, tt.first, func(s *server) {
					for s.request() != nil {
						s.say(okAnswer)
					}
				})
				if a := get(c, pipeURL); a.Failure != hit.NoFailure || a.Opened != 1 {
					t.Fatalf("first request: %v %q, opened %d", a.Failure, a.Err, a.Opened)
				}
				synctest.Wait()
				tt.req.URL = pipeURL
				var a hit.Answer
				sends := 0
				a.OnSent = func(time.Time) { sends++ }
				c.Send(t.Context(), &tt.req, &a)
				if a.Failure != tt.failure || !strings.Contains(a.Err, tt.text) {
					t.Errorf("failure = %v %q, want %v %q", a.Failure, a.Err, tt.failure, tt.text)
				}
				opened := 0
				if tt.retried {
					opened = 1
				}
				if a.Retried != tt.retried || a.Opened != opened || int(p.opened.Load()) != 1+opened {
					t.Errorf("retried %v, opened %d of %d, want %v", a.Retried, a.Opened, p.opened.Load(), tt.retried)
				}
				if sends != 1 {
					t.Errorf("OnSent was called %d times", sends)
				}
				if tt.failure == hit.NoFailure && string(c.slots[0].o.host) != "192.0.2.1" {
					t.Errorf("slot for %q", c.slots[0].o.host)
				}
			})
		})
	}
}

func TestFreshConnectionIsNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newClient(t, Options{}, func(s *server) { s.request() }, reply(okAnswer))
		a := get(c, pipeURL)
		if a.Failure != hit.ClosedEarly || a.Retried || p.opened.Load() != 1 {
			t.Errorf("failure %v %q, retried %v, opened %d", a.Failure, a.Err, a.Retried, p.opened.Load())
		}
	})
}

// TestRetryKeepsItsTurn: a request that is sent again is still one of the
// MaxShared in use.
func TestRetryKeepsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stale := func(s *server) { // reads the second request, and closes
			s.request()
			s.say(okAnswer)
			s.request()
		}
		c, p := newClient(t, Options{Connections: Shared, MaxShared: 1, Timeout: time.Minute}, stale, stale, func(s *server) {
			for s.request() != nil {
				s.say(okAnswer)
			}
		})
		for i := range 5 {
			a := get(c, pipeURL)
			if a.Failure != hit.NoFailure || a.Retried != (i == 1 || i == 2) {
				t.Fatalf("request %d: %v %q, retried %v", i, a.Failure, a.Err, a.Retried)
			}
			if n := len(c.slots[0].o.shared.turns); n != 0 {
				t.Errorf("request %d: %d turns are held afterwards, want 0", i, n)
			}
			synctest.Wait()
		}
		if n := p.opened.Load(); n != 3 {
			t.Errorf("%d connections, want 3", n)
		}
	})
}

// TestCallerCloses: whoever has sent "Connection: close" sends nothing more on
// that connection, whatever the server answers: RFC 9112 §9.6.
func TestCallerCloses(t *testing.T) {
	tests := []struct {
		value  string
		opened int32
	}{
		{"close", 3},
		{"Upgrade, CLOSE", 3},
		{"keep-alive", 1},
		{"close-ish", 1},
		{"", 1},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			serve := func(s *server) {
				for r := s.request(); r != nil; r = s.request() {
					s.say(okAnswer)
					if r.Close {
						return
					}
				}
			}
			c, p := newClient(t, Options{}, serve, serve, serve)
			for i := range 3 {
				a := send(c, &hit.Request{Method: "POST", URL: pipeURL, Header: []hit.Field{{Name: "connection", Value: tt.value}}})
				if a.Failure != hit.NoFailure || a.Retried {
					t.Errorf("%q, request %d: %v %q, retried %v", tt.value, i, a.Failure, a.Err, a.Retried)
				}
			}
			if n := p.opened.Load(); n != tt.opened {
				t.Errorf("%q: %d connections, want %d", tt.value, n, tt.opened)
			}
		})
	}
}

func TestRetryHappensOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newClient(t, Options{}, reply(okAnswer), func(s *server) { s.request() }, reply(okAnswer))
		get(c, pipeURL)
		synctest.Wait()
		a := get(c, pipeURL)
		if a.Failure != hit.ClosedEarly || !a.Retried || p.opened.Load() != 2 {
			t.Errorf("failure %v %q, retried %v, opened %d", a.Failure, a.Err, a.Retried, p.opened.Load())
		}
	})
}

func TestIdleConnections(t *testing.T) {
	keepAlive := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5, max=100\r\n\r\nok"
	tests := []struct {
		name   string
		answer string
		limit  time.Duration
		pause  time.Duration
		opened int32
	}{
		{"within the limit", okAnswer, 10 * time.Second, 9 * time.Second, 1},
		{"past the limit", okAnswer, 10 * time.Second, 11 * time.Second, 2},
		{"no limit", okAnswer, -1, time.Hour, 1},
		{"within what the server says", keepAlive, 0, 4 * time.Second, 1},
		{"close to what the server says", keepAlive, 0, 4900 * time.Millisecond, 2},
	}
	for _, tt := range tests {
		for _, owner := range []Connections{PerUser, Shared} {
			t.Run(fmt.Sprint(tt.name, " ", owner), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					serve := func(s *server) {
						for s.request() != nil {
							s.say(tt.answer)
						}
					}
					c, p := newClient(t, Options{IdleTimeout: tt.limit, Connections: owner}, serve, serve)
					get(c, pipeURL)
					time.Sleep(tt.pause)
					a := send(c, &hit.Request{Method: "POST", URL: pipeURL})
					if a.Failure != hit.NoFailure || a.Retried || p.opened.Load() != tt.opened {
						t.Errorf("failure %v %q, retried %v, opened %d, want %d", a.Failure, a.Err, a.Retried, p.opened.Load(), tt.opened)
					}
				})
			})
		}
	}
}

// TestPostOnClosedConnection uses real sockets: the server closes the idle
// connection, and a POST later must notice before it is sent.
func TestPostOnClosedConnection(t *testing.T) {
	for _, stray := range []string{"", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		read, closed, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(over)
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				buf := make([]byte, 4096)
				_, _ = nc.Read(buf)
				_, _ = io.WriteString(nc, okAnswer)
				<-read // so that what follows does not arrive with the answer
				_, _ = io.WriteString(nc, stray)
				_ = nc.Close()
				closed <- struct{}{}
			}
		}()
		c := userOf(t, Options{Proxy: "none"})
		post := &hit.Request{Method: "POST", URL: "http://" + l.Addr().String() + "/", Body: []byte("x")}
		for i := range 3 {
			a := send(c, post)
			if a.Failure != hit.NoFailure || a.Retried || a.Opened != 1 {
				t.Errorf("POST %d: failure %v %q, retried %v, opened %d", i, a.Failure, a.Err, a.Retried, a.Opened)
			}
			read <- struct{}{}
			<-closed
			if k := c.slots[0].idle; k != nil {
				k.lastUse = k.lastUse.Add(-time.Second) // idle for long enough to be looked at
			}
		}
		_ = l.Close()
		<-over
	}
}

func TestPerRequestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closes atomic.Int32
		serve := func(s *server) {
			for r := s.request(); r != nil; r = s.request() {
				if r.Close || r.Header.Get("Connection") == "close" {
					closes.Add(1)
				}
				s.say(okAnswer)
			}
		}
		c, p := newClient(t, Options{Connections: PerRequest}, serve, serve, serve)
		for range 3 {
			if a := get(c, pipeURL); a.Failure != hit.NoFailure || a.Opened != 1 {
				t.Errorf("failure %v %q, opened %d", a.Failure, a.Err, a.Opened)
			}
		}
		synctest.Wait()
		if p.opened.Load() != 3 || closes.Load() != 3 {
			t.Errorf("%d connections, %d asked to close, want 3", p.opened.Load(), closes.Load())
		}
	})
}

func TestSlotsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		serve := func(s *server) {
			open.Add(1)
			defer open.Add(-1)
			for s.request() != nil {
				s.say(okAnswer)
			}
		}
		scripts := make([]func(*server), 60)
		for i := range scripts {
			scripts[i] = serve
		}
		c, _ := newClient(t, Options{}, scripts...)
		for i := range 50 {
			url := "http://192.0.2.1:" + string(rune('1'+i/10)) + string(rune('0'+i%10)) + "/"
			if a := get(c, url); a.Failure != hit.NoFailure {
				t.Fatalf("%s: %v %q", url, a.Failure, a.Err)
			}
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if n := open.Load(); n != maxSlots || len(c.slots) != maxSlots {
			t.Errorf("%d connections open in %d slots, want %d", n, len(c.slots), maxSlots)
		}
		if a := get(c, "http://192.0.2.1:59/"); a.Opened != 0 {
			t.Errorf("the origin used last was forgotten: %+v", a)
		}
	})
}

func TestSharedPool(t *testing.T) {
	const users, most, each = 20, 3, 30
	var open, peak atomic.Int32
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				n := open.Add(1)
				for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
				}
			case http.StateClosed, http.StateHijacked:
				open.Add(-1)
			}
		},
	}
	url := listen(t, s)
	tgt, err := New(Options{Connections: Shared, MaxShared: most, Proxy: "none"})
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan *hit.Answer, users*each)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for u := range users {
		go func() {
			c, _ := tgt.NewSender(u)
			for range each {
				var a hit.Answer
				c.Send(ctx, &hit.Request{URL: url}, &a)
				results <- &a
			}
			_ = c.Close()
		}()
	}
	opened := 0
	for range users * each {
		a := <-results
		if a.Failure != hit.NoFailure || a.Status != 200 {
			t.Errorf("failure %v %q, status %d", a.Failure, a.Err, a.Status)
		}
		opened += a.Opened
	}
	if opened == 0 || opened > most || peak.Load() > most {
		t.Errorf("%d connections opened, %d at once, want 1 to %d", opened, peak.Load(), most)
	}
	if err := tgt.Close(); err != nil {
		t.Error(err)
	}
}

func TestSharedPoolFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		slow := func(s *server) {
			for s.request() != nil {
				<-release
				s.say(okAnswer)
			}
		}
		p := &pipes{scripts: []func(*server){slow}}
		tgt, err := New(Options{Connections: Shared, MaxShared: 1, Timeout: time.Minute, Dial: p.dial, Proxy: "none"})
		if err != nil {
			t.Fatal(err)
		}
		a, b := make(chan *hit.Answer, 1), make(chan *hit.Answer, 1)
		one, _ := tgt.NewSender(0)
		two, _ := tgt.NewSender(1)
		go func() { a <- get(one, pipeURL) }()
		synctest.Wait()
		go func() { b <- get(two, pipeURL) }()
		time.Sleep(30 * time.Second)
		close(release)
		if got := <-a; got.Failure != hit.NoFailure {
			t.Errorf("first user: %v %q", got.Failure, got.Err)
		}
		got := <-b
		if got.Failure != hit.NoFailure || got.Opened != 0 {
			t.Errorf("second user: %v %q, opened %d", got.Failure, got.Err, got.Opened)
		}
		if wait := got.Done.Sub(got.Sent); wait != 0 {
			t.Errorf("the wait for a connection is in the service time: %v", wait)
		}

		// Now the connection is held for longer than the time-out.
		k, f := one.takeIdle(t.Context(), one.slots[0], &sending{})
		if f != nil || k == nil {
			t.Fatalf("no idle connection: %v", f)
		}
		if got := get(two, pipeURL); got.Failure != hit.ConnectTimeout || !strings.Contains(got.Err, "no shared connection was free") || !got.Sent.IsZero() {
			t.Errorf("full pool: %v %q, Sent %v", got.Failure, got.Err, got.Sent)
		}
		one.slots[0].o.shared.put(k)
		_ = tgt.Close()
	})
}

// listen serves on a free loopback port until the test ends and returns the URL.
func listen(t testing.TB, s *http.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return "http://" + l.Addr().String() + "/"
}
