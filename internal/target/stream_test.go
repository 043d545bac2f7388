package target

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
)

// taker is a Pieces that writes down what it is told. It breaks the answer off
// when it has seen the text stop.
type taker struct {
	stop   string
	refuse bool
	seen   func() // of the header block

	abort   func()
	log     strings.Builder
	aborted bool
}

func (k *taker) Head(ans *hit.Answer, abort func()) bool {
	k.abort = abort
	fmt.Fprintf(&k.log, "%d %s|", ans.Status, ans.Fields.Get("X-Kind"))
	if k.seen != nil {
		k.seen()
	}
	return !k.refuse
}

func (k *taker) Piece(b []byte) {
	k.log.Write(b)
	if k.stop != "" && strings.HasSuffix(k.log.String(), k.stop) {
		k.aborted = true
		k.abort()
	}
}

func (k *taker) Cut() { k.log.WriteByte('/') }

func (k *taker) End() bool {
	k.log.WriteByte('.')
	return k.aborted
}

// TestPieces: a body that somebody takes while it comes.
func TestPieces(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nX-Kind: c\r\nTransfer-Encoding: chunked\r\n\r\n"
	tests := []struct {
		name    string
		say     []string // a second passes between them
		taker   taker
		want    string
		failure hit.Failure
		kept    string
		reused  bool
	}{
		{"chunks", []string{chunked + "3\r\none\r\n", "5\r\ntwo", "II\r\n", "0\r\n\r\n"}, taker{}, "200 c|one/twoII/.", 0, "onetwoII", true},
		{"a length", []string{"HTTP/1.1 200 OK\r\nX-Kind: l\r\nContent-Length: 6\r\n\r\n", "abc", "def"}, taker{}, "200 l|abcdef.", 0, "abcdef", true},
		{"to the end", []string{"HTTP/1.1 200 OK\r\nX-Kind: e\r\n\r\n", "abc"}, taker{}, "200 e|abc.", 0, "abc", false},
		{"nothing", []string{"HTTP/1.1 204 No Content\r\nX-Kind: n\r\n\r\n"}, taker{}, "204 n|.", 0, "", true},
		{"not wanted", []string{chunked + "3\r\none\r\n0\r\n\r\n"}, taker{refuse: true}, "200 c|", 0, "one", true},
		{"broken off", []string{chunked + "3\r\none\r\n", "3\r\ntwo\r\n", "5\r\nnever\r\n"}, taker{stop: "two"}, "200 c|one/two/.", 0, "onetwo", false},
		{"cut", []string{"HTTP/1.1 200 OK\r\nX-Kind: l\r\nContent-Length: 6\r\n\r\n", "abc"}, taker{}, "200 l|abc.", hit.ClosedEarly, "abc", false},
		{"malformed", []string{chunked + "3\r\none\r\n", "what\r\n"}, taker{}, "200 c|one/.", hit.BadAnswer, "one", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := tt.failure != 0 || tt.name == "to the end"
				first := func(s *server) {
					s.request()
					for i, text := range tt.say {
						if i > 0 {
							time.Sleep(time.Second)
						}
						s.say(text)
					}
					if !ended {
						s.request()
						s.say(okAnswer)
					}
				}
				// The whole answer takes longer than the time-out, which is for its head only.
				o := Options{Timeout: 1500 * time.Millisecond, KeepBody: func(int) bool { return true }}
				c, net := newClient(t, o, first, reply(okAnswer))
				c.TuneAs(Tuning{Pieces: &tt.taker})
				a := send(c, &hit.Request{URL: pipeURL})
				if got := tt.taker.log.String(); got != tt.want || a.Failure != tt.failure {
					t.Errorf("taken %q, %v %s; want %q", got, a.Failure, a.Err, tt.want)
				}
				if string(a.Body) != tt.kept {
					t.Errorf("kept %q", a.Body)
				}
				if a := send(c, &hit.Request{URL: pipeURL}); string(a.Body) != "ok" {
					t.Errorf("the next answer: %q %v %s", a.Body, a.Failure, a.Err)
				}
				time.Sleep(time.Minute) // the servers have ended
				if reused := net.opened.Load() == 1; reused != tt.reused {
					t.Errorf("reused: %v", reused)
				}
			})
		})
	}
}

// TestPiecesPatience: with a bound on each wait, a body that goes on is not cut, and
// one that stops is.
func TestPiecesPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newClient(t, Options{Timeout: time.Minute}, func(s *server) {
			s.request()
			s.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			for range 100 {
				time.Sleep(time.Second)
				s.say("x")
			}
			s.request()
		})
		k := &taker{}
		c.TuneAs(Tuning{Pieces: k, Read: 2 * time.Second})
		began := time.Now()
		a := send(c, &hit.Request{URL: pipeURL})
		if took := time.Since(began); a.Failure != hit.AnswerTimeout || took != 102*time.Second || k.log.String() != "200 |"+strings.Repeat("x", 100)+"." {
			t.Errorf("%v %s after %v: %q", a.Failure, a.Err, took, k.log.String())
		}
	})
}

// TestPiecesRedirect: what is followed is nobody's, and cookies are set before the
// body comes.
func TestPiecesRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newClient(t, Options{}, func(s *server) {
			s.request()
			s.say("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 3\r\n\r\nbye")
			s.request()
			s.say("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok")
		})
		var jar cookie.Jar
		c.SetJar(&jar)
		cookies := 0
		k := &taker{}
		k.seen = func() {
			cookies = len(jar.Append(nil, cookie.Place{Host: "192.0.2.1", Path: "/"}, time.Now()))
			if c.URL() != pipeURL+"b" {
				t.Errorf("at %s", c.URL())
			}
		}
		c.TuneAs(Tuning{Pieces: k})
		if a := send(c, &hit.Request{URL: pipeURL}); a.Redirects != 1 || k.log.String() != "200 |ok." || cookies != len("a=b") {
			t.Errorf("%d redirects, %q, %d bytes of cookies", a.Redirects, k.log.String(), cookies)
		}
	})
}

// TestPiecesHTTP2: the same over HTTP/2.
func TestPiecesHTTP2(t *testing.T) {
	next, gone := make(chan string), make(chan bool, 1)
	url, _ := h2Server(t, nil, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case text := <-next:
				_, _ = io.WriteString(w, text)
			case <-r.Context().Done():
				gone <- true
				return
			}
		}
	})})
	c := userOf(t, Options{HTTP: H2C, Proxy: "none"})
	k := &taker{stop: "two"}
	k.seen = func() {
		go func() {
			next <- "one"
			next <- "two"
		}()
	}
	c.TuneAs(Tuning{Pieces: k})
	a := send(c, &hit.Request{URL: url})
	if a.Failure != 0 || a.Status != 200 || strings.ReplaceAll(k.log.String(), "/", "") != "200 |onetwo." {
		t.Errorf("%v %s: %q", a.Failure, a.Err, k.log.String())
	}
	<-gone
}
