package target

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
)

var bareOptions = Options{Bare: true, Gzip: true, KeepBody: func(int) bool { return true }, BodyLimit: 8 << 20}

// TestBare: a client that is told what to send sends that, in its order, with the
// jar's cookies in their place.
func TestBare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen string
		c, _ := newClient(t, bareOptions, rawServer(&seen, 2, "HTTP/1.1 218 This is fine\r\nContent-Length: 0\r\n\r\n"))
		var jar cookie.Jar
		jar.Put("192.0.2.1", "a", "b")
		c.SetCookies(&jar)
		a := send(c, &hit.Request{Method: "POST", URL: "http://192.0.2.1/x", Body: []byte("hi"), Header: []hit.Field{
			{Name: "User-Agent", Value: "python-requests/2.32.4"}, {Name: "Accept", Value: ""}, {Name: "Cookie"}, {Name: "Content-Length", Value: "2"}}})
		want := "POST /x HTTP/1.1\r\nHost: 192.0.2.1\r\nUser-Agent: python-requests/2.32.4\r\nAccept: \r\nCookie: a=b\r\nContent-Length: 2\r\n\r\nhi"
		if seen != want {
			t.Errorf("sent %q\nwant %q", seen, want)
		}
		if a.Status != 218 || string(a.Phrase) != "This is fine" {
			t.Errorf("%d %q", a.Status, a.Phrase)
		}
	})
}

// TestBareRedirects: what requests and FastHttpUser make of a redirect.
func TestBareRedirects(t *testing.T) {
	tests := []struct {
		status int
		method string
		tuning Tuning
		want   string
		body   bool
	}{
		{301, "POST", Tuning{Found: true}, "GET", false}, {301, "PUT", Tuning{Found: true}, "PUT", false},
		{302, "DELETE", Tuning{Found: true}, "GET", false}, {302, "HEAD", Tuning{Found: true}, "HEAD", false},
		{301, "PUT", Tuning{Found: true, Moved: true}, "GET", false}, {303, "PATCH", Tuning{Found: true}, "GET", false},
		{307, "PUT", Tuning{Found: true, Moved: true}, "PUT", true}, {302, "PUT", Tuning{}, "PUT", false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, tt.method, tt.tuning.Moved), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var second string
				c, _ := newClient(t, bareOptions, func(s *server) {
					s.request()
					s.say(fmt.Sprintf("HTTP/1.1 %d Moved\r\nLocation: /there\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n", tt.status))
					body := 0
					if tt.body {
						body = 4
					}
					rawServer(&second, body, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(s)
				})
				c.SetCookies(&cookie.Jar{})
				var hops []string
				c.OnRedirect(func(url string, ans *hit.Answer) {
					hops = append(hops, fmt.Sprintf("%d %s %s %s", ans.Status, ans.Phrase, url, ans.Fields.Get("Location")))
				})
				c.TuneAs(tt.tuning)
				a := send(c, &hit.Request{Method: tt.method, URL: "http://192.0.2.1/a", Body: []byte("body"), Header: []hit.Field{
					{Name: "Cookie", Value: "first=only"}, {Name: "Content-Type", Value: "text/plain"}, {Name: "Content-Length", Value: "4"}}})
				if a.Status != 200 || len(hops) != 1 || hops[0] != fmt.Sprintf("%d Moved http://192.0.2.1/a /there", tt.status) {
					t.Fatalf("status %d, %v %s, hops %q", a.Status, a.Failure, a.Err, hops)
				}
				if !strings.HasPrefix(second, tt.want+" /there ") || strings.HasSuffix(second, "body") != tt.body || strings.Contains(second, "Content-Type") != tt.body {
					t.Errorf("second request: %q", second)
				}
				if !strings.Contains(second, "Cookie: c=d\r\n") || strings.Contains(second, "first=only") {
					t.Errorf("cookies of the second request: %q", second)
				}
				if zero := !tt.body && tt.want != "GET" && tt.want != "HEAD"; strings.Contains(second, "Content-Length: 0") != zero {
					t.Errorf("a length of 0: want %v: %q", zero, second)
				}
			})
		})
	}
}

// TestTuning: what holds for one request only.
func TestTuning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := func(s *server) {
			for s.request() != nil {
				s.say("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
			}
		}
		c, _ := newClient(t, bareOptions, loop, loop, loop)
		c.TuneAs(Tuning{MaxRedirects: 3})
		if a := send(c, &hit.Request{URL: "http://192.0.2.1/"}); a.Failure != hit.TooManyRedirects || a.Redirects != 3 {
			t.Errorf("%v after %d redirects", a.Failure, a.Redirects)
		}
		c.TuneAs(Tuning{NoRedirects: true})
		if a := send(c, &hit.Request{URL: "http://192.0.2.1/"}); a.Status != 302 {
			t.Errorf("status %d %s", a.Status, a.Err)
		}
		if a := send(c, &hit.Request{URL: "http://192.0.2.1/"}); a.Failure != hit.TooManyRedirects || a.Redirects != 10 {
			t.Errorf("without tuning: %v after %d redirects", a.Failure, a.Redirects)
		}
	})
}

// TestReadPatience: a body that comes bit by bit may take longer than the read
// time-out, which is about silence; the time-out of the whole stays.
func TestReadPatience(t *testing.T) {
	drip := func(gap time.Duration) func(*server) {
		return func(s *server) {
			s.request()
			s.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
			for range 6 {
				time.Sleep(gap)
				s.say("x")
			}
		}
	}
	for _, tt := range []struct {
		gap, read, whole time.Duration
		want             hit.Failure
		after            time.Duration
	}{
		{400 * time.Millisecond, 500 * time.Millisecond, -1, hit.NoFailure, 2400 * time.Millisecond},
		{600 * time.Millisecond, 500 * time.Millisecond, -1, hit.AnswerTimeout, 500 * time.Millisecond},
		{400 * time.Millisecond, 500 * time.Millisecond, time.Second, hit.AnswerTimeout, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := bareOptions
			o.Timeout = tt.whole
			c, _ := newClient(t, o, drip(tt.gap))
			c.TuneAs(Tuning{Read: tt.read})
			begun := time.Now()
			a := send(c, &hit.Request{URL: "http://192.0.2.1/"})
			if took := time.Since(begun); a.Failure != tt.want || took != tt.after {
				t.Errorf("%+v: %v %q after %v", tt, a.Failure, a.Err, took)
			}
			time.Sleep(time.Minute) // the server finds out
		})
	}
}

// TestDecodeLarge: a large text is decoded whole, and a damaged one is a failure.
func TestDecodeLarge(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	text := strings.Repeat("0123456789", 500_000)
	_, _ = w.Write([]byte(text))
	w.Close()
	for _, damaged := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := bytes.Clone(packed.Bytes())
			if damaged {
				b[len(b)/2] ^= 0xff
			}
			c, _ := newClient(t, bareOptions, func(s *server) {
				s.request()
				s.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", len(b)))
				s.say(string(b))
			})
			a := send(c, &hit.Request{URL: "http://192.0.2.1/"})
			if damaged != (a.Failure == hit.BadAnswer) || !damaged && string(a.Body) != text {
				t.Errorf("damaged %v: %v %q, %d bytes", damaged, a.Failure, a.Err, len(a.Body))
			}
		})
	}
}
