package target

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// h2Server speaks h2 and http/1.1 over TLS, or h2c; it counts connections.
func h2Server(t testing.TB, ca *authority, s *http.Server, protos ...string) (url string, opened *atomic.Int32) {
	opened = new(atomic.Int32)
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.ErrorLog = log.New(io.Discard, "", 0)
	if ca == nil {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetUnencryptedHTTP2(true)
		return listen(t, s), opened
	}
	return listenTLS(t, s, &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}, NextProtos: protos}), opened
}

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %s", r.Method, r.Host, r.RequestURI, r.Proto))
	w.Header().Set("X-Agent", r.UserAgent())
	w.Header().Add("X-Two", "a")
	w.Header().Add("X-Two", "b")
	switch r.URL.Path {
	case "/429":
		w.WriteHeader(429)
	case "/move":
		http.Redirect(w, r, "/there", http.StatusSeeOther)
		return
	case "/endless":
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	case "/slow":
		<-r.Context().Done()
		return
	case "/abort":
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, "%d bytes", len(body))
}

func TestHTTP2(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("server", false, time.Now().Add(time.Hour), []string{"127.0.0.1"})
	both, _ := h2Server(t, ca, &http.Server{Handler: http.HandlerFunc(echo)}, "h2", "http/1.1")
	only1, _ := h2Server(t, ca, &http.Server{Handler: http.HandlerFunc(echo), TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}, "http/1.1")
	mute, _ := h2Server(t, ca, &http.Server{Handler: http.HandlerFunc(echo), TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}})
	clear, _ := h2Server(t, nil, &http.Server{Handler: http.HandlerFunc(echo)})
	keep := func(int) bool { return true }
	const h2, h1 = "HTTP/2.0", "HTTP/1.1"
	tests := []struct {
		name    string
		url     string
		http    Version
		proto   string
		failure hit.Failure
		text    string
	}{
		{"asked for", both, HTTP2, h2, 0, ""},
		{"chosen", both, Auto, h2, 0, ""},
		{"not asked for", both, HTTP1, h1, 0, ""},
		{"not chosen", only1, Auto, h1, 0, ""},
		{"not to be had", only1, HTTP2, "", hit.TLSFailed, "it speaks HTTP/1.1: use --http 1.1"},
		{"without TLS", clear, H2C, h2, 0, ""},
		{"over TLS although h2c", both, H2C, h2, 0, ""},
		{"not to be had, without ALPN", mute, HTTP2, "", hit.TLSFailed, "it speaks HTTP/1.1: use --http 1.1"},
		{"http although 2", clear, HTTP2, "", hit.OtherFailure, "use h2c"},
	}
	for _, tt := range tests {
		for _, connections := range []Connections{PerUser, Shared, PerRequest} {
			t.Run(fmt.Sprint(tt.name, " ", connections), func(t *testing.T) {
				c := userOf(t, Options{HTTP: tt.http, Connections: connections, TLS: TLS{CAFile: ca.file}, Proxy: "none", KeepBody: keep})
				for i := range 3 {
					var a hit.Answer
					var sent []time.Time
					a.OnSent = func(at time.Time) { sent = append(sent, at) }
					c.Send(t.Context(), &hit.Request{Method: "POST", URL: tt.url + "a%20b//?q=1", Body: []byte("hello"),
						Header: []hit.Field{{Name: "host", Value: "virtual.test"}, {Name: "Connection", Value: "keep-alive"}, {Name: "user-agent", Value: "me"}}}, &a)
					if a.Failure != tt.failure || !strings.Contains(a.Err, tt.text) {
						t.Fatalf("failure %v %q, want %v %q", a.Failure, a.Err, tt.failure, tt.text)
					}
					if tt.failure != hit.NoFailure {
						if err := Check(t.Context(), c.t, tt.url); err == nil || !strings.Contains(err.Error(), tt.text) || Why(err) != tt.failure {
							t.Errorf("Check = %v", err)
						}
						return
					}
					if a.Status != 200 || a.Proto != tt.proto || string(a.Body) != "5 bytes" {
						t.Errorf("status %d, %s, body %q", a.Status, a.Proto, a.Body)
					}
					if got, want := a.Fields.Get("x-seen"), "POST virtual.test /a%20b//?q=1 "+tt.proto; got != want {
						t.Errorf("the server saw %q, want %q", got, want)
					}
					if got := a.Fields.Values("X-Two"); strings.Join(got, ",") != "a,b" || a.Fields.Get("x-agent") != "me" {
						t.Errorf("fields: %q", a.Fields)
					}
					if opened := a.Opened; opened != 1 && (i == 0 || connections == PerRequest) || opened != 0 && i > 0 && connections != PerRequest {
						t.Errorf("request %d opened %d", i, opened)
					}
					if len(sent) != 1 || a.Sent.Before(sent[0]) || a.FirstByte.Before(a.Sent) || a.Done.Before(a.FirstByte) || a.BytesIn == 0 || a.BytesOut == 0 {
						t.Errorf("instants: OnSent %v, %v %v %v; bytes %d %d", sent, a.Sent, a.FirstByte, a.Done, a.BytesIn, a.BytesOut)
					}
				}
			})
		}
	}
}

func TestHTTP2Failures(t *testing.T) {
	url, _ := h2Server(t, nil, &http.Server{Handler: http.HandlerFunc(echo)})
	tests := []struct {
		path    string
		o       Options
		status  int
		failure hit.Failure
		text    string
		body    string
	}{
		{"429", Options{}, 429, 0, "", "0 bytes"},
		{"move", Options{}, 200, 0, "", ""},
		{"move", Options{MaxRedirects: NoRedirects}, 303, 0, "", ""},
		{"endless", Options{MaxBody: 100 << 10}, 200, hit.AnswerTooLarge, "102400 bytes", ""},
		{"slow", Options{Timeout: 50 * time.Millisecond}, 0, hit.AnswerTimeout, "within 50ms", ""},
		{"abort", Options{}, 0, hit.BadAnswer, "the stream broke: INTERNAL_ERROR", ""},
		{"a b", Options{}, 200, 0, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			tt.o.HTTP, tt.o.Proxy = H2C, "none"
			c := userOf(t, tt.o)
			a := get(c, url+tt.path)
			if a.Status != tt.status || a.Failure != tt.failure || !strings.Contains(a.Err, tt.text) || string(a.Body) != tt.body {
				t.Errorf("status %d, failure %v %q, body %q", a.Status, a.Failure, a.Err, a.Body)
			}
			if a := get(c, url); a.Failure != hit.NoFailure {
				t.Errorf("the next request: %v %q", a.Failure, a.Err)
			}
		})
	}
	t.Run("an HTTP/1 server", func(t *testing.T) {
		for _, answer := range []string{okAnswer, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request"} {
			c, _ := newClient(t, Options{HTTP: H2C}, func(s *server) {
				_, _ = s.r.Discard(24) // the preface
				go s.say(answer)
				_, _ = io.Copy(io.Discard, s.r)
			})
			if a := get(c, pipeURL); a.Failure != hit.BadAnswer || !strings.Contains(a.Err, "it speaks HTTP/1.1: use --http 1.1") {
				t.Errorf("%v %q", a.Failure, a.Err)
			}
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		c := userOf(t, Options{HTTP: H2C, Proxy: "none"})
		ctx, cancel := context.WithCancel(t.Context())
		var a hit.Answer
		a.OnSent = func(time.Time) { cancel() }
		c.Send(ctx, &hit.Request{URL: url + "slow"}, &a)
		if a.Failure != hit.Interrupted {
			t.Errorf("%v %q", a.Failure, a.Err)
		}
	})
	t.Run("bad request", func(t *testing.T) {
		c := userOf(t, Options{HTTP: H2C, Proxy: "none"})
		a := send(c, &hit.Request{URL: url, Header: []hit.Field{{Name: "a", Value: "b\nc"}}})
		if a.Failure != hit.OtherFailure {
			t.Errorf("%v %q", a.Failure, a.Err)
		}
	})
}

// TestHTTP2Shared: many users on few connections.
func TestHTTP2Shared(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("server", false, time.Now().Add(time.Hour), []string{"127.0.0.1"})
	const users, each = 30, 10
	for _, tt := range []struct {
		http    Version
		streams int
		most    int
		want    int32 // connections at most
	}{{HTTP2, 1000, 0, 1}, {HTTP2, 5, 2, 2}, {Auto, 1000, 0, users}} {
		s := &http.Server{Handler: http.HandlerFunc(echo), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: tt.streams}}
		url, opened := h2Server(t, ca, s, "h2")
		tgt, err := New(Options{HTTP: tt.http, Connections: Shared, MaxShared: tt.most, TLS: TLS{CAFile: ca.file}, Proxy: "none"})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var counted atomic.Int32
		for u := range users {
			wg.Go(func() {
				c, _ := tgt.NewSender(u)
				for range each {
					a := send(c, &hit.Request{Method: "POST", URL: url, Body: bytes.Repeat([]byte("x"), 1000)})
					counted.Add(int32(a.Opened))
					if a.Failure != hit.NoFailure || a.Status != 200 || a.Proto != "HTTP/2.0" {
						t.Errorf("%v %q, status %d, %s", a.Failure, a.Err, a.Status, a.Proto)
					}
				}
				_ = c.Close()
			})
		}
		wg.Wait()
		// net/http's two counters of streams cannot be read together, so once in a
		// while a connection looks full, or spent, for a moment, and one more is opened.
		if n := opened.Load(); n < 1 || n > tt.want+1 || counted.Load() != n {
			t.Errorf("%+v: %d connections, %d counted, want at most %d", tt, n, counted.Load(), tt.want)
		}
		_ = tgt.Close()
	}
}

// TestHTTP2Reconnects: a connection that ended while idle is no failure.
func TestHTTP2Reconnects(t *testing.T) {
	for _, connections := range []Connections{PerUser, Shared} {
		conns := make(chan net.Conn, 10)
		s := &http.Server{Handler: http.HandlerFunc(echo), Protocols: new(http.Protocols), ConnState: func(nc net.Conn, state http.ConnState) {
			if state == http.StateNew {
				conns <- nc
			}
		}}
		s.Protocols.SetUnencryptedHTTP2(true)
		url := listen(t, s)
		c := userOf(t, Options{HTTP: H2C, Connections: connections, Proxy: "none"})
		for i := range 4 {
			a := get(c, url)
			if a.Failure != hit.NoFailure || a.Opened != 1 {
				t.Errorf("request %d: %v %q, opened %d", i, a.Failure, a.Err, a.Opened)
			}
			_ = (<-conns).Close() // found dead before the next request, or by it
		}
	}
}

// TestHTTP2SharedSettles: the second user need not wait for the first one's answer.
func TestHTTP2SharedSettles(t *testing.T) {
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	url, opened := h2Server(t, nil, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
	})})
	tgt, err := New(Options{HTTP: H2C, Connections: Shared, Proxy: "none"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for u := range 2 {
		wg.Go(func() {
			c, _ := tgt.NewSender(u)
			if a := get(c, url); a.Failure != hit.NoFailure {
				t.Errorf("%v %q", a.Failure, a.Err)
			}
		})
	}
	<-arrived
	<-arrived
	close(release)
	wg.Wait()
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	_ = tgt.Close()
}
