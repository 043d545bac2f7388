package target

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// header reads up to the empty line.
func (s *server) header() string {
	var b strings.Builder
	for {
		line, err := s.r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String()
		}
	}
}

// bodyIs reads n bytes and tells whether all of them are c.
func (s *server) bodyIs(n int, c byte) bool {
	b := make([]byte, n)
	_, err := io.ReadFull(s.r, b)
	return err == nil && len(bytes.Trim(b, string(c))) == 0
}

func TestExpectContinue(t *testing.T) {
	continued := "HTTP/1.1 100 Continue\r\n\r\n"
	refusal := "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
	tests := []struct {
		name    string
		size    int
		script  func(*server, *bool) // sets whether the body came
		status  int
		failure hit.Failure
		after   time.Duration
		body    bool
		kept    bool
	}{
		{"granted", 10, func(s *server, body *bool) {
			s.header()
			s.say(continued)
			*body = s.bodyIs(10, 'x')
			s.say(okAnswer)
			s.request()
		}, 200, 0, 0, true, true},
		{"granted after early hints", 10, func(s *server, body *bool) {
			s.header()
			s.say("HTTP/1.1 103 Early Hints\r\n\r\n" + continued)
			*body = s.bodyIs(10, 'x')
			s.say(okAnswer)
			s.request()
		}, 200, 0, 0, true, true},
		{"granted, large", 200 << 10, func(s *server, body *bool) {
			s.header()
			s.say(continued)
			*body = s.bodyIs(200<<10, 'x')
			s.say(okAnswer)
			s.request()
		}, 200, 0, 0, true, true},
		{"refused", 10, func(s *server, body *bool) {
			s.header()
			s.say(refusal)
			*body = s.bodyIs(1, 'x')
		}, 413, 0, 0, false, false},
		{"not understood: the body goes out after a second", 10, func(s *server, body *bool) {
			s.header()
			*body = s.bodyIs(10, 'x')
			s.say(okAnswer)
			s.request()
		}, 200, 0, time.Second, true, true},
		{"granted late", 10, func(s *server, body *bool) {
			s.header()
			*body = s.bodyIs(10, 'x')
			s.say(continued + okAnswer)
			s.request()
		}, 200, 0, time.Second, true, true},
		{"slow refusal", 10, func(s *server, body *bool) {
			s.header()
			s.say(refusal[:10])
			time.Sleep(10 * time.Second)
			s.say(refusal[10:])
			*body = s.bodyIs(1, 'x')
		}, 413, 0, 10 * time.Second, false, false},
		{"closed", 10, func(s *server, body *bool) { s.header() }, 0, hit.ClosedEarly, 0, false, false},
		{"garbage", 10, func(s *server, body *bool) { s.header(); s.say("what?\r\n") }, 0, hit.BadAnswer, 0, false, false},
		{"endless 1xx", 10, func(s *server, body *bool) {
			s.header()
			for range 10000 {
				if _, err := io.WriteString(s, "HTTP/1.1 102 Processing\r\n\r\n"); err != nil {
					return
				}
			}
		}, 0, hit.AnswerTooLarge, 0, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var body bool
				c, _ := newClient(t, Options{}, func(s *server) { tt.script(s, &body) })
				req := &hit.Request{Method: "POST", URL: pipeURL, Body: bytes.Repeat([]byte("x"), tt.size), Header: []hit.Field{{Name: "Expect", Value: "100-continue"}}}
				begun := time.Now()
				a := send(c, req)
				if a.Status != tt.status || a.Failure != tt.failure {
					t.Errorf("status %d, failure %v %q, want %d, %v", a.Status, a.Failure, a.Err, tt.status, tt.failure)
				}
				if got := a.Done.Sub(begun); got != tt.after {
					t.Errorf("it took %v, want %v", got, tt.after)
				}
				if kept := c.slots[0].idle != nil; kept != tt.kept {
					t.Errorf("connection kept = %v, want %v", kept, tt.kept)
				}
				if tt.failure == hit.NoFailure && (a.FirstByte.Before(a.Sent) || a.Done.Before(a.FirstByte)) {
					t.Errorf("Sent %v, FirstByte %v, Done %v", a.Sent, a.FirstByte, a.Done)
				}
				_ = c.Close()
				synctest.Wait()
				if body != tt.body {
					t.Errorf("body arrived = %v, want %v", body, tt.body)
				}
			})
		})
	}
}

// TestEarlyAnswer: an answer that does not wait for the body is seen.
func TestEarlyAnswer(t *testing.T) {
	refusal := "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\nno"
	for _, tt := range []struct {
		name   string
		size   int
		script func(*server)
		kept   bool
		out    bool // the whole request was written
	}{
		{"large, body not read", 1 << 20, func(s *server) { s.header(); s.say(refusal); time.Sleep(time.Minute) }, false, false},
		{"large, body not read, closed", 1 << 20, func(s *server) { s.header(); s.say(refusal) }, false, false},
		{"large, body read afterwards", 1 << 20, func(s *server) { s.header(); s.say(refusal); s.bodyIs(1<<20, 'x'); s.request() }, true, true},
		{"large, body read slowly afterwards", 1 << 20, func(s *server) {
			s.header()
			s.say(refusal)
			time.Sleep(time.Second)
			s.bodyIs(1<<20, 'x')
		}, false, false},
		{"large, in order", 1 << 20, func(s *server) { s.header(); s.bodyIs(1<<20, 'x'); s.say(refusal); s.request() }, true, true},
		{"small, in order", 16 << 10, func(s *server) { s.header(); s.bodyIs(16<<10, 'x'); s.say(refusal); s.request() }, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := newClient(t, Options{}, tt.script)
				a := send(c, &hit.Request{Method: "POST", URL: pipeURL, Body: bytes.Repeat([]byte("x"), tt.size)})
				if a.Status != 429 || a.Failure != hit.NoFailure || string(a.Body) != "no" {
					t.Errorf("status %d %q, failure %v %q", a.Status, a.Body, a.Failure, a.Err)
				}
				if !a.Done.Equal(a.Sent) {
					t.Errorf("Done is %v after Sent: the rest of the body is in the service time", a.Done.Sub(a.Sent))
				}
				if kept := c.slots[0].idle != nil; kept != tt.kept {
					t.Errorf("connection kept = %v, want %v", kept, tt.kept)
				}
				if whole := a.BytesOut > int64(tt.size); whole != tt.out {
					t.Errorf("BytesOut = %d, whole: %v, want %v", a.BytesOut, whole, tt.out)
				}
				_ = c.Close()
				time.Sleep(time.Hour)
			})
		})
	}
}
