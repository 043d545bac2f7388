package target

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// hangs is a network in which connecting takes for ever.
func hangs(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// lost is a name server that never answers.
type lost struct{}

func (lost) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
}

func TestTimeouts(t *testing.T) {
	mute := func(s *server) { s.request(); s.request() }
	deaf := func(s *server) { time.Sleep(time.Hour) }
	tests := []struct {
		name    string
		o       Options
		url     string
		body    int
		script  func(*server)
		failure hit.Failure
		after   time.Duration
		text    string
	}{
		{"resolving", Options{Resolver: lost{}, ConnectTimeout: 2 * time.Second}, "http://a.test/", 0, nil, hit.DNSFailed, 2 * time.Second, `"a.test"`},
		{"connecting", Options{Dial: hangs, ConnectTimeout: 3 * time.Second}, "http://192.0.2.1/", 0, nil, hit.ConnectTimeout, 3 * time.Second, "192.0.2.1:80 within 3s"},
		{"connecting, cut by the whole", Options{Dial: hangs, Timeout: time.Second}, "http://192.0.2.1/", 0, nil, hit.ConnectTimeout, time.Second, "within 1s"},
		{"connecting, by default", Options{Dial: hangs}, "http://192.0.2.1/", 0, nil, hit.ConnectTimeout, DefaultConnectTimeout, "within 10s"},
		{"TLS", Options{TLSTimeout: 4 * time.Second}, "https://192.0.2.1/", 0, deaf, hit.TLSFailed, 4 * time.Second, "no TLS handshake with 192.0.2.1:443 within 4s"},
		{"answer", Options{Timeout: 5 * time.Second}, "http://192.0.2.1/", 0, mute, hit.AnswerTimeout, 5 * time.Second, "within 5s"},
		{"answer, by default", Options{}, "http://192.0.2.1/", 0, mute, hit.AnswerTimeout, DefaultTimeout, "within 30s"},
		{"dripping answer", Options{Timeout: 5 * time.Second}, "http://192.0.2.1/", 0, func(s *server) {
			s.request()
			for range 100 {
				time.Sleep(100 * time.Millisecond)
				s.say("HTTP/1.1 200 OK\r\nX-A: b\r\n"[:1])
			}
		}, hit.BadAnswer, 200 * time.Millisecond, "HH"},
		{"dripping body", Options{Timeout: 5 * time.Second}, "http://192.0.2.1/", 0, func(s *server) {
			s.request()
			s.say("HTTP/1.1 200 OK\r\n\r\n")
			for range 100 {
				time.Sleep(100 * time.Millisecond)
				s.say("x")
			}
		}, hit.AnswerTimeout, 5 * time.Second, "in the body"},
		{"writing", Options{Timeout: 5 * time.Second}, "http://192.0.2.1/", 10, deaf, hit.AnswerTimeout, 5 * time.Second, "within 5s"},
		{"writing a large body", Options{Timeout: 5 * time.Second}, "http://192.0.2.1/", 100 << 10, deaf, hit.AnswerTimeout, 5 * time.Second, "within 5s"},
		{"proxy", Options{Proxy: "http://192.0.2.9:3128", ConnectTimeout: 3 * time.Second}, "https://192.0.2.1/", 0, mute, hit.ProxyFailed, 3 * time.Second, "did not open a tunnel in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tt.o.Dial == nil {
					p := &pipes{scripts: []func(*server){tt.script}}
					tt.o.Dial = p.dial
				}
				if tt.o.Proxy == "" {
					tt.o.Proxy = "none"
				}
				c := userOf(t, tt.o)
				begun := time.Now()
				a := send(c, &hit.Request{Method: "POST", URL: tt.url, Body: make([]byte, tt.body)})
				if a.Failure != tt.failure || !strings.Contains(a.Err, tt.text) {
					t.Errorf("failure = %v %q, want %v %q", a.Failure, a.Err, tt.failure, tt.text)
				}
				if got := a.Done.Sub(begun); got != tt.after {
					t.Errorf("it took %v, want %v", got, tt.after)
				}
				if c.slots[0].idle != nil {
					t.Error("the connection was kept")
				}
				time.Sleep(2 * time.Hour) // the other end is done too
			})
		})
	}
}

// TestCoarseDeadline: deadlines are set rarely, but time-outs are exact.
func TestCoarseDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pauses := []time.Duration{0, 400 * time.Millisecond, 1, 600 * time.Millisecond, 999 * time.Millisecond, 30 * time.Second, 999 * time.Millisecond, 0}
		turn := 0
		c, p := newClient(t, Options{Timeout: time.Second, IdleTimeout: -1}, func(s *server) {
			for s.request() != nil {
				if turn < len(pauses) {
					time.Sleep(min(pauses[turn], 999*time.Millisecond))
					s.say(okAnswer)
				}
				turn++
			}
		})
		for i, pause := range pauses {
			begun := time.Now()
			if a := get(c, pipeURL); a.Failure != hit.NoFailure || a.Done.Sub(begun) != min(pause, 999*time.Millisecond) {
				t.Fatalf("request %d: %v %q after %v", i, a.Failure, a.Err, a.Done.Sub(begun))
			}
			time.Sleep(pause)
		}
		begun := time.Now()
		if a := get(c, pipeURL); a.Failure != hit.AnswerTimeout || a.Done.Sub(begun) != time.Second {
			t.Errorf("%v %q after %v, want a time-out after 1s", a.Failure, a.Err, a.Done.Sub(begun))
		}
		if n := p.opened.Load(); n != 1 {
			t.Errorf("%d connections opened", n)
		}
	})
}

func TestNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newClient(t, Options{Timeout: -1, ConnectTimeout: -1, TLSTimeout: -1}, func(s *server) {
			s.request()
			time.Sleep(100 * time.Hour)
			s.say(okAnswer)
		})
		if a := get(c, pipeURL); a.Failure != hit.NoFailure {
			t.Errorf("%v %q", a.Failure, a.Err)
		}
	})
}

func TestInterrupted(t *testing.T) {
	mute := func(s *server) { s.request(); s.request() }
	deaf := func(s *server) { time.Sleep(time.Hour) }
	tests := []struct {
		name   string
		o      Options
		url    string
		body   int
		script func(*server)
		sent   bool
	}{
		{"resolving", Options{Resolver: lost{}}, "http://a.test/", 0, nil, false},
		{"connecting", Options{Dial: hangs}, "http://192.0.2.1/", 0, nil, false},
		{"TLS", Options{}, "https://192.0.2.1/", 0, deaf, false},
		{"tunnel", Options{Proxy: "http://192.0.2.9:1"}, "https://192.0.2.1/", 0, mute, false},
		{"writing", Options{}, "http://192.0.2.1/", 10, deaf, true},
		{"writing a large body", Options{}, "http://192.0.2.1/", 100 << 10, deaf, true},
		{"reading", Options{}, "http://192.0.2.1/", 0, mute, true},
		{"reading a body", Options{}, "http://192.0.2.1/", 0, func(s *server) {
			s.request()
			s.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
			s.request()
		}, true},
		{"reading without a time-out", Options{Timeout: -1}, "http://192.0.2.1/", 0, mute, true},
		{"shared", Options{Connections: Shared, MaxShared: 1}, "http://192.0.2.1/", 0, mute, true},
		{"HTTP/2 connecting", Options{HTTP: H2C, Dial: hangs}, "http://192.0.2.1/", 0, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tt.o.Dial == nil {
					p := &pipes{scripts: []func(*server){tt.script}}
					tt.o.Dial = p.dial
				}
				if tt.o.Proxy == "" {
					tt.o.Proxy = "none"
				}
				c := userOf(t, tt.o)
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					time.Sleep(1234 * time.Millisecond)
					cancel()
				}()
				begun := time.Now()
				var a hit.Answer
				c.Send(ctx, &hit.Request{Method: "PUT", URL: tt.url, Body: make([]byte, tt.body)}, &a)
				if a.Failure != hit.Interrupted || a.Done.Sub(begun) != 1234*time.Millisecond {
					t.Errorf("%v %q after %v, want %v after 1.234s", a.Failure, a.Err, a.Done.Sub(begun), hit.Interrupted)
				}
				if a.Sent.IsZero() == tt.sent {
					t.Errorf("Sent = %v, want set: %v", a.Sent, tt.sent)
				}
				// The next request of a stopped run does not get far either.
				c.Send(ctx, &hit.Request{URL: tt.url}, &a)
				if a.Failure != hit.Interrupted {
					t.Errorf("after the end: %v %q", a.Failure, a.Err)
				}
				time.Sleep(2 * time.Hour) // the other end is done too
			})
		})
	}
}

// TestInterruptReused: the stop also reaches a connection that was opened by an
// earlier request, and one registration serves them all.
func TestInterruptReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newClient(t, Options{}, func(s *server) {
			s.request()
			s.say(okAnswer)
			s.request()
			s.request()
		})
		ctx, cancel := context.WithCancel(t.Context())
		var a hit.Answer
		c.Send(ctx, &hit.Request{URL: pipeURL}, &a)
		k := c.slots[0].idle
		watched := k.watched
		time.AfterFunc(time.Second, cancel)
		c.Send(ctx, &hit.Request{URL: pipeURL}, &a)
		if a.Failure != hit.Interrupted || a.Retried || k.watched != watched {
			t.Errorf("%v %q, retried %v", a.Failure, a.Err, a.Retried)
		}
	})
}

// TestTLSDeadlineIsExact: a write that times out spoils TLS, so no early
// deadline may be left over from an earlier request.
func TestTLSDeadlineIsExact(t *testing.T) {
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	k := newConn(ours, nil, &bigPool{})
	defer k.close(false)
	k.nc, k.tls = tls.Client(ours, &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}), true
	now := time.Now()
	for i := range 3 {
		at := now.Add(time.Duration(i) * time.Millisecond)
		k.begin(at, at.Add(short), short)
		if !k.armed.Equal(k.due) {
			t.Errorf("request %d: deadline %v, due %v", i, k.armed, k.due)
		}
	}
}
