package target

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// TestRedirectMethods: what a redirect makes of a request.
func TestRedirectMethods(t *testing.T) {
	tests := []struct {
		status int
		method string
		want   string
		body   bool
	}{
		{301, "GET", "GET", true}, {301, "POST", "GET", false}, {301, "PUT", "PUT", true}, {301, "HEAD", "HEAD", true},
		{302, "GET", "GET", true}, {302, "POST", "GET", false}, {302, "PATCH", "PATCH", true},
		{303, "POST", "GET", false}, {303, "PUT", "GET", false}, {303, "DELETE", "GET", false}, {303, "HEAD", "HEAD", true},
		{307, "POST", "POST", true}, {307, "GET", "GET", true}, {308, "POST", "POST", true}, {308, "DELETE", "DELETE", true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, tt.method), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var second string
				c, _ := newClient(t, Options{}, func(s *server) {
					s.request()
					s.say(fmt.Sprintf("HTTP/1.1 %d Moved\r\nLocation: there?x=1#frag\r\nContent-Length: 0\r\n\r\n", tt.status))
					body := 0
					if tt.body {
						body = 4
					}
					rawServer(&second, body, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(s)
				})
				a := send(c, &hit.Request{Method: tt.method, URL: "http://192.0.2.1/a/b?c", Body: []byte("body"), Header: []hit.Field{
					{Name: "Content-Type", Value: "text/plain"}, {Name: "Authorization", Value: "Bearer x"}, {Name: "X-A", Value: "b"}}})
				if a.Status != 200 || a.Failure != hit.NoFailure || a.Redirects != 1 || a.Opened != 1 {
					t.Fatalf("status %d, failure %v %q, %d redirects, %d opened", a.Status, a.Failure, a.Err, a.Redirects, a.Opened)
				}
				if !strings.HasPrefix(second, tt.want+" /a/there?x=1 HTTP/1.1\r\n") {
					t.Errorf("second request: %q", second)
				}
				if strings.HasSuffix(second, "\r\n\r\nbody") != tt.body || strings.Contains(second, "Content-Type: text/plain") != tt.body || strings.Contains(second, "Content-Length: 4") != tt.body {
					t.Errorf("body kept: want %v: %q", tt.body, second)
				}
				if !strings.Contains(second, "Authorization: Bearer x") || !strings.Contains(second, "X-A: b") {
					t.Errorf("fields were lost within the origin: %q", second)
				}
			})
		})
	}
}

func TestRedirectElsewhere(t *testing.T) {
	moved := func(location string) string {
		return "HTTP/1.1 307 Moved\r\nContent-Length: 3\r\nLocation: " + location + "\r\n\r\nbye"
	}
	tests := []struct {
		name      string
		location  string
		o         Options
		status    int
		failure   hit.Failure
		text      string
		redirects int
		kept      bool // credentials go along
	}{
		{"same origin, absolute", "http://192.0.2.1/b", Options{}, 200, 0, "", 1, true},
		{"same origin, spelt otherwise", "HTTP://192.0.2.1:80/b", Options{}, 200, 0, "", 1, true},
		{"other host", "http://192.0.2.2/b", Options{}, 200, 0, "", 1, false},
		{"other port", "http://192.0.2.1:81/b", Options{}, 200, 0, "", 1, false},
		{"scheme-relative", "//192.0.2.2/b", Options{}, 200, 0, "", 1, false},
		{"credentials in Location are not used", "http://evil:pw@192.0.2.1/b", Options{}, 200, 0, "", 1, true},
		{"not followed when off", "/b", Options{MaxRedirects: NoRedirects}, 307, 0, "", 0, false},
		{"another program's", "com.example.app://cb?code=1", Options{}, 307, 0, "", 0, false},
		{"not a URL", "http://[::1", Options{}, 307, hit.BadAnswer, "Location", 0, false},
		{"empty", "", Options{}, 307, hit.BadAnswer, "Location", 0, false},
		{"port in words", "http://192.0.2.1:x/", Options{}, 307, hit.BadAnswer, "Location", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var second *http.Request
				last := func(s *server) {
					if second = s.request(); second != nil {
						s.say(okAnswer)
					}
				}
				c, _ := newClient(t, tt.o, func(s *server) {
					s.request()
					s.say(moved(tt.location))
					last(s)
				}, last)
				a := send(c, &hit.Request{URL: "http://me:pw@192.0.2.1/a", Header: []hit.Field{
					{Name: "cookie", Value: "a=b"}, {Name: "Host", Value: "virtual.test"}, {Name: "X-Trace", Value: "1"}}})
				if a.Status != tt.status || a.Failure != tt.failure || !strings.Contains(a.Err, tt.text) || a.Redirects != tt.redirects {
					t.Fatalf("status %d, failure %v %q, %d redirects", a.Status, a.Failure, a.Err, a.Redirects)
				}
				if tt.redirects == 0 {
					return
				}
				user, _, _ := second.BasicAuth()
				if got := user == "me" && second.Header.Get("Cookie") == "a=b" && second.Host == "virtual.test"; got != tt.kept {
					t.Errorf("credentials went along = %v, want %v: %v host %q", got, tt.kept, second.Header, second.Host)
				}
				if !tt.kept && (user != "" || second.Header.Get("Cookie") != "" || second.Host == "virtual.test") {
					t.Errorf("something went along: %v, host %q", second.Header, second.Host)
				}
				if second.Header.Get("X-Trace") != "1" {
					t.Errorf("an ordinary field was lost: %v", second.Header)
				}
			})
		})
	}
}

// TestCredentialsStayBehind: once another origin was on the way, coming back does not bring them back.
func TestCredentialsStayBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := func(url string) func(*server) {
			return reply("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: " + url + "\r\n\r\n")
		}
		var third *http.Request
		c, _ := newClient(t, Options{}, to("http://192.0.2.2/"), to("http://192.0.2.1/"), func(s *server) { third = s.request(); s.say(okAnswer) })
		a := send(c, &hit.Request{URL: pipeURL, Header: []hit.Field{{Name: "Authorization", Value: "secret"}}})
		if a.Status != 200 || a.Redirects != 2 || a.Opened != 3 || third.Header.Get("Authorization") != "" {
			t.Errorf("status %d, %d redirects, %d opened, %v", a.Status, a.Redirects, a.Opened, third.Header)
		}
	})
}

func TestTooManyRedirects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests, sends := 0, 0
		c, _ := newClient(t, Options{MaxRedirects: 3}, func(s *server) {
			for s.request() != nil {
				requests++
				time.Sleep(time.Second)
				s.say("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /\r\n\r\n")
			}
		})
		var a hit.Answer
		a.OnSent = func(time.Time) { sends++ }
		c.Send(t.Context(), &hit.Request{URL: pipeURL}, &a)
		if a.Failure != hit.TooManyRedirects || !strings.Contains(a.Err, "more than 3") || requests != 4 || a.Redirects != 3 || sends != 1 {
			t.Errorf("%v %q after %d requests, %d redirects, OnSent %d times", a.Failure, a.Err, requests, a.Redirects, sends)
		}
		if got := a.Done.Sub(a.Sent); got != 4*time.Second {
			t.Errorf("service time = %v, want that of all hops, 4s", got)
		}
	})
}

func TestRedirectsShareTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newClient(t, Options{Timeout: 2500 * time.Millisecond}, func(s *server) {
			for s.request() != nil {
				time.Sleep(time.Second)
				s.say("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /\r\n\r\n")
			}
		})
		a := get(c, pipeURL)
		if a.Failure != hit.AnswerTimeout || a.Status != 0 || a.Done.Sub(a.Sent) != 2500*time.Millisecond {
			t.Errorf("%v %q, status %d, after %v", a.Failure, a.Err, a.Status, a.Done.Sub(a.Sent))
		}
		time.Sleep(time.Minute) // the other end is done too
	})
}
