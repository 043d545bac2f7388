package target

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// TestSharedPoolBlame: a request that spent its time waiting for others says
// so, and leaves the connection alone when it never used it.
func TestSharedPoolBlame(t *testing.T) {
	slowly := func(d time.Duration) func(*server) {
		return func(s *server) {
			for s.request() != nil {
				time.Sleep(d)
				s.say(okAnswer)
			}
		}
	}
	tests := []struct {
		name       string
		held, slow time.Duration // how long the connection is in use, and how slow the server is
		failure    hit.Failure
		text       string
		kept       bool
	}{
		{"in use for too long", 1500 * time.Millisecond, 0, hit.ConnectTimeout, "no shared connection was free within 1s (--max-shared 1)", true},
		{"free in the last moment", 900 * time.Millisecond, 500 * time.Millisecond, hit.AnswerTimeout,
			"no complete answer within 1s, of which most was spent waiting for a free shared connection (--max-shared 1)", false},
		{"free at once", 0, 5 * time.Second, hit.AnswerTimeout, "no complete answer within 1s: it stopped before the answer began", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := newClient(t, Options{Connections: Shared, MaxShared: 1, Timeout: time.Second}, slowly(tt.slow), slowly(0))
				if f := c.locate(pipeURL); f != nil {
					t.Fatal(f)
				}
				s := c.at
				k, f := c.acquire(t.Context(), s, true, new(hit.Answer), &sending{})
				if f != nil {
					t.Fatal(f)
				}
				go func() { time.Sleep(tt.held); c.release(s, k, time.Now()) }()
				synctest.Wait()
				if tt.held == 0 {
					time.Sleep(time.Millisecond)
				}
				two, _ := c.t.NewSender(1)
				if a := get(two, pipeURL); a.Failure != tt.failure || a.Err != tt.text {
					t.Errorf("%v %q, want %v %q", a.Failure, a.Err, tt.failure, tt.text)
				}
				time.Sleep(10 * time.Second)
				if a := get(two, pipeURL); a.Failure != hit.NoFailure || (a.Opened == 0) != tt.kept {
					t.Errorf("afterwards %v %q, opened %d, %d in all", a.Failure, a.Err, a.Opened, p.opened.Load())
				}
			})
		})
	}
	t.Run("the time is over as the turn comes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newClient(t, Options{Connections: Shared, MaxShared: 1, Timeout: time.Second}, slowly(0))
			if a := get(c, pipeURL); a.Failure != hit.NoFailure {
				t.Fatal(a.Err)
			}
			now := time.Now()
			st := &sending{begun: true, now: now, due: now.Add(-time.Millisecond), limit: time.Second}
			_, f := c.acquire(t.Context(), c.at, false, new(hit.Answer), st)
			if f == nil || f.text != "no shared connection was free within 1s (--max-shared 1)" {
				t.Errorf("fault %v", f)
			}
			if a := get(c, pipeURL); a.Failure != hit.NoFailure || a.Opened != 0 {
				t.Errorf("afterwards %v %q, opened %d", a.Failure, a.Err, a.Opened)
			}
		})
	})
}

// TestLateConnect: the limit that is told is the one that was set, not what was left of it.
func TestLateConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := userOf(t, Options{Dial: hangs, Timeout: time.Second, Proxy: "none"})
		if f := c.locate(pipeURL); f != nil {
			t.Fatal(f)
		}
		c.take()
		for _, left := range []time.Duration{-42 * time.Millisecond, 0, 7 * time.Millisecond} {
			if _, f := c.connect(t.Context(), c.at, time.Now().Add(left)); f == nil || f.text != "no connection to 192.0.2.1:80 within 1s" {
				t.Errorf("with %v left: %v", left, f)
			}
		}
	})
}

// TestCheckTimeout: the probe takes no longer than a request may.
func TestCheckTimeout(t *testing.T) {
	deaf := func(*server) { time.Sleep(time.Hour) }
	for _, tt := range []struct {
		url, text string
		o         Options
		after     time.Duration
	}{
		{"http://192.0.2.1/", "no connection to 192.0.2.1:80 within 1s", Options{Timeout: time.Second, Dial: hangs}, time.Second},
		{"http://192.0.2.1/", "within 2s", Options{Timeout: 3 * time.Second, ConnectTimeout: 2 * time.Second, Dial: hangs}, 2 * time.Second},
		{"http://192.0.2.1/", "within 10s", Options{Timeout: -1, Dial: hangs}, 10 * time.Second},
		{"https://192.0.2.1/", "no TLS handshake with 192.0.2.1:443 within 1s", Options{Timeout: time.Second}, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			if tt.o.Dial == nil {
				tt.o.Dial = (&pipes{scripts: []func(*server){deaf}}).dial
			}
			tt.o.Proxy = "none"
			c := userOf(t, tt.o)
			begun := time.Now()
			err := Check(t.Context(), c.t, tt.url)
			if err == nil || !strings.Contains(err.Error(), tt.text) || time.Since(begun) != tt.after {
				t.Errorf("Check = %v after %v, want %q after %v", err, time.Since(begun), tt.text, tt.after)
			}
			time.Sleep(2 * time.Hour)
		})
	}
}

// TestIPVersionOfLiterals: addresses written out are held to the version too.
func TestIPVersionOfLiterals(t *testing.T) {
	for _, tt := range []struct {
		version int
		url     string
		resolve []string
		want    string
	}{
		{4, "http://[2001:db8::1]/", nil, ""},
		{6, "http://192.0.2.1/", nil, ""},
		{6, "http://[::ffff:192.0.2.1]/", nil, ""},
		{4, "http://[::ffff:192.0.2.1]/", nil, "192.0.2.1:80"},
		{4, "http://192.0.2.1/", nil, "192.0.2.1:80"},
		{6, "http://[2001:db8::1]/", nil, "[2001:db8::1]:80"},
		{6, "http://a.test/", []string{"a.test:80:192.0.2.1,[2001:db8::1]"}, "[2001:db8::1]:80"},
		{4, "http://a.test/", []string{"a.test:80:[2001:db8::1]"}, ""},
	} {
		net := &calls{}
		c := userOf(t, Options{IPVersion: tt.version, Resolve: tt.resolve, Dial: net.dial, Proxy: "none"})
		a := get(c, tt.url)
		if tt.want != "" {
			if a.Failure != hit.NoFailure || strings.Join(net.list, " ") != tt.want {
				t.Errorf("%d, %s: %v %q, dialled %v, want %s", tt.version, tt.url, a.Failure, a.Err, net.list, tt.want)
			}
			continue
		}
		err := Check(t.Context(), c.t, tt.url)
		if a.Failure != hit.ConnectFailed || !strings.Contains(a.Err, "IP version") || len(net.list) > 0 || Why(err) != hit.ConnectFailed {
			t.Errorf("%d, %s: %v %q, dialled %v, Check %v", tt.version, tt.url, a.Failure, a.Err, net.list, err)
		}
	}
}

// TestForeignSource: a source address that is none of this machine's is named.
func TestForeignSource(t *testing.T) {
	const want = "192.0.2.77 is not an address of this machine: see --source-ip"
	c := userOf(t, Options{SourceAddrs: []string{"192.0.2.77"}, Proxy: "none"})
	a := get(c, "http://127.0.0.1:1/")
	if a.Failure != hit.ConnectFailed || a.Err != want {
		t.Errorf("%v %q, want %q", a.Failure, a.Err, want)
	}
	if err := Check(t.Context(), c.t, "http://127.0.0.1:1/"); err == nil || err.Error() != want {
		t.Errorf("Check = %v", err)
	}
	if err := (&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}); notLocal(err) || notLocal(errors.New("x")) {
		t.Errorf("a lack of ports is taken for a foreign address")
	}
}

// TestHTTP2SharedBlame: waiting for a stream is not blamed on the server, and the connection stays.
func TestHTTP2SharedBlame(t *testing.T) {
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	s := &http.Server{HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1}, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	})}
	url, opened := h2Server(t, nil, s)
	tgt, err := New(Options{HTTP: H2C, Connections: Shared, MaxShared: 1, Timeout: -1, Proxy: "none"})
	if err != nil {
		t.Fatal(err)
	}
	one, _ := tgt.NewSender(0)
	two, _ := tgt.NewSender(1)
	done := make(chan *hit.Answer)
	go func() { done <- get(one, url) }()
	<-arrived
	two.Tune(30*time.Millisecond, false)
	if a := get(two, url); a.Failure != hit.ConnectTimeout || a.Err != "no shared connection was free within 30ms (--max-shared 1)" {
		t.Errorf("%v %q", a.Failure, a.Err)
	}
	close(release)
	if a := <-done; a.Failure != hit.NoFailure {
		t.Errorf("the first: %v %q", a.Failure, a.Err)
	}
	if a := get(two, url); a.Failure != hit.NoFailure || opened.Load() != 1 {
		t.Errorf("afterwards: %v %q, %d connections", a.Failure, a.Err, opened.Load())
	}
	_ = tgt.Close()
}
