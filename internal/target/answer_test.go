package target

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// answers are what a server may send. After it the server closes the
// connection, unless stay is set: then it waits to be closed.
var answers = []struct {
	name    string
	send    string
	method  string
	stay    bool
	failure hit.Failure
	text    string // must be part of Err
	status  int
	body    string
	reuse   bool // the connection is kept
}{
	{name: "content length", send: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", stay: true, status: 200, body: "hello", reuse: true},
	{name: "no reason phrase", send: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", stay: true, status: 200, reuse: true},
	{name: "empty reason phrase", send: "HTTP/1.1 429 \r\nContent-Length: 0\r\n\r\n", stay: true, status: 429, reuse: true},
	{name: "bare line feeds in the head", send: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", stay: true, status: 200, body: "ok", reuse: true},
	{name: "folded field", send: "HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nContent-Length: 2\r\n\r\nok", stay: true, status: 200, body: "ok", reuse: true},
	{name: "white space around the length", send: "HTTP/1.1 200 OK\r\ncontent-length:  \t2 \t\r\n\r\nok", stay: true, status: 200, body: "ok", reuse: true},
	{name: "same length twice", send: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", stay: true, status: 200, body: "ok", reuse: true},
	{name: "connection close", send: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", stay: true, status: 200, body: "ok"},
	{name: "connection list", send: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: foo , Close\r\n\r\nok", stay: true, status: 200, body: "ok"},
	{name: "HTTP/1.0", send: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", stay: true, status: 200, body: "ok"},
	{name: "HTTP/1.0 keep-alive", send: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive\r\n\r\nok", stay: true, status: 200, body: "ok", reuse: true},
	{name: "until close", send: "HTTP/1.1 200 OK\r\n\r\nhello", status: 200, body: "hello"},
	{name: "204", send: "HTTP/1.1 204 No Content\r\n\r\n", stay: true, status: 204, reuse: true},
	{name: "304 with a length", send: "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", stay: true, status: 304, reuse: true},
	{name: "HEAD with a length", method: "HEAD", send: "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", stay: true, status: 200, reuse: true},
	{name: "chunks", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", stay: true, status: 200, body: "hello", reuse: true},
	{name: "chunks with extensions and trailers", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n005;a=b;c=\"d\"\r\nhello\r\n0;x\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n", stay: true, status: 200, body: "hello", reuse: true},
	{name: "chunks win over a length", send: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", stay: true, status: 200, body: "hello"},
	{name: "early hints first", send: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", stay: true, status: 200, body: "ok", reuse: true},
	{name: "unasked 100 first", send: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", stay: true, status: 200, body: "ok", reuse: true},
	{name: "101", send: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", stay: true, status: 101},
	{name: "stray line end after the body", send: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n", stay: true, status: 200, body: "ok"},
	{name: "unusual status", send: "HTTP/1.1 999 Request Denied\r\nContent-Length: 0\r\n\r\n", stay: true, status: 999, reuse: true},

	{name: "nothing", send: "", failure: hit.ClosedEarly, text: "before the answer began"},
	{name: "garbage", send: "\x00\x01\x02 whatever\r\n\r\n", stay: true, failure: hit.BadAnswer, text: `"\x00\x01\x02 whateve`},
	{name: "garbage without a line end", send: "SSH-2.0-OpenSSH_9.6", stay: true, failure: hit.BadAnswer, text: "SSH-2.0"},
	{name: "a TLS alert", send: "\x15\x03\x01\x00\x02\x02\x46", stay: true, failure: hit.BadAnswer, text: "it speaks TLS: use https://"},
	{name: "almost a TLS alert", send: "\x15\x04\x01", stay: true, failure: hit.BadAnswer, text: "not HTTP/1"},
	{name: "line ends only", send: "\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "it begins with an empty line"},
	{name: "bare line ends only", send: "\n\n", stay: true, failure: hit.BadAnswer, text: "it begins with an empty line"},
	{name: "an HTTP/2 preface", send: "\x00\x00\x12\x04\x00\x00\x00\x00\x00", stay: true, failure: hit.BadAnswer, text: "not HTTP/1"},
	{name: "HTTP/2 in words", send: "HTTP/2 200 OK\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "not HTTP/1"},
	{name: "lower-case protocol", send: "http/1.1 200 OK\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "not HTTP/1"},
	{name: "a beginning only", send: "HTT", failure: hit.ClosedEarly, text: "header block"},
	{name: "half a status line", send: "HTTP/1.1 20", failure: hit.ClosedEarly, text: "header block"},
	{name: "half a header", send: "HTTP/1.1 200 OK\r\nContent-Len", failure: hit.ClosedEarly, text: "header block"},
	{name: "half a header, then silence", send: "HTTP/1.1 200 OK\r\nContent-Len", stay: true, failure: hit.AnswerTimeout, text: "header block"},
	{name: "no empty line", send: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", failure: hit.ClosedEarly, text: "header block"},
	{name: "silence", send: "", stay: true, failure: hit.AnswerTimeout, text: "30s: it stopped before the answer began"},
	{name: "status of two digits", send: "HTTP/1.1 20 OK\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "status line"},
	{name: "status of four digits", send: "HTTP/1.1 2000 OK\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "status line"},
	{name: "status with letters", send: "HTTP/1.1 2x0 OK\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "status line"},
	{name: "status below 100", send: "HTTP/1.1 099 OK\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "099"},
	{name: "two spaces", send: "HTTP/1.1  200 OK\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "status line"},
	{name: "control character in the reason", send: "HTTP/1.1 200 O\x07K\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "status line"},
	{name: "field without a colon", send: "HTTP/1.1 200 OK\r\nfoo\r\n\r\n", stay: true, failure: hit.BadAnswer, text: `"foo"`},
	{name: "space before the colon", send: "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", stay: true, failure: hit.BadAnswer, text: "malformed"},
	{name: "no field name", send: "HTTP/1.1 200 OK\r\n: x\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "malformed"},
	{name: "NUL in a field", send: "HTTP/1.1 200 OK\r\nX-A: b\x00c\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "malformed"},
	{name: "bare CR in a field", send: "HTTP/1.1 200 OK\r\nX-A: b\rc\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "malformed"},
	{name: "fold at the beginning", send: "HTTP/1.1 200 OK\r\n x: y\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "folded"},
	{name: "folded length", send: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "folded"},
	{name: "different lengths", send: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", stay: true, failure: hit.BadAnswer, text: "differ"},
	{name: "negative length", send: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "Content-Length"},
	{name: "signed length", send: "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", stay: true, failure: hit.BadAnswer, text: "Content-Length"},
	{name: "empty length", send: "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "Content-Length"},
	{name: "length in words", send: "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", stay: true, failure: hit.BadAnswer, text: `"two"`},
	{name: "length past 64 bits", send: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "Content-Length"},
	{name: "lying length, too long", send: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", failure: hit.ClosedEarly, text: "in the body", status: 200, body: "hello"},
	{name: "lying length, too long, then silence", send: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", stay: true, failure: hit.AnswerTimeout, text: "in the body", status: 200, body: "hello"},
	{name: "lying length, too short", send: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", stay: true, failure: hit.BadAnswer, text: `more than the answer is long: it goes on with "llo"`, status: 200, body: "he"},
	{name: "body after HEAD", method: "HEAD", send: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", stay: true, failure: hit.BadAnswer, text: "more than", status: 200},
	{name: "body after 204", send: "HTTP/1.1 204 No Content\r\n\r\nboo", stay: true, failure: hit.BadAnswer, text: "more than", status: 204},
	{name: "two answers", send: strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 2), stay: true, failure: hit.BadAnswer, text: "more than", status: 200},
	{name: "length over the bound", send: "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", stay: true, failure: hit.AnswerTooLarge, text: "1000 bytes", status: 200},
	{name: "endless body", send: "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 2000), stay: true, failure: hit.AnswerTooLarge, text: "1000 bytes", status: 200, body: strings.Repeat("x", 100)},
	{name: "endless chunks", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 500), stay: true, failure: hit.AnswerTooLarge, text: "1000 bytes", status: 200},
	{name: "endless header line", send: "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("x", 9000), stay: true, failure: hit.AnswerTooLarge, text: "8192 bytes"},
	{name: "endless header lines", send: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: b\r\n", 2000), stay: true, failure: hit.AnswerTooLarge, text: "8192 bytes"},
	{name: "endless status line", send: "HTTP/1.1 200 " + strings.Repeat("x", 9000), stay: true, failure: hit.AnswerTooLarge, text: "8192 bytes"},
	{name: "endless 1xx", send: strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 500), stay: true, failure: hit.AnswerTooLarge, text: "8192 bytes"},
	{name: "endless trailers", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X-A: b\r\n", 200), stay: true, failure: hit.AnswerTooLarge, text: "1000 bytes", status: 200},
	{name: "unknown transfer coding", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "transfer coding"},
	{name: "chunked twice", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "transfer coding"},
	{name: "chunked over HTTP/1.0", send: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "HTTP/1.0"},
	{name: "chunk size not hex", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", stay: true, failure: hit.BadAnswer, text: `chunk size is malformed: "xyz"`, status: 200},
	{name: "empty chunk size", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "chunk size", status: 200},
	{name: "negative chunk size", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", stay: true, failure: hit.BadAnswer, text: "chunk size", status: 200},
	{name: "chunk size 0x5", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n", stay: true, failure: hit.BadAnswer, text: "chunk size", status: 200},
	{name: "huge chunk size", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", stay: true, failure: hit.BadAnswer, text: "chunk size", status: 200},
	{name: "chunk size of 17 digits", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000005\r\nhello\r\n0\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "chunk size", status: 200},
	{name: "chunk over the bound", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n", stay: true, failure: hit.AnswerTooLarge, text: "1000 bytes", status: 200},
	{name: "chunk longer than its size", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", stay: true, failure: hit.BadAnswer, text: `longer than its size says: "llo"`, status: 200, body: "he"},
	{name: "chunk shorter than its size", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhel", failure: hit.ClosedEarly, text: "in the body", status: 200, body: "hel"},
	{name: "no last chunk", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", failure: hit.ClosedEarly, text: "in the body", status: 200, body: "ok"},
	{name: "no empty line after the last chunk", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", failure: hit.ClosedEarly, text: "in the body", status: 200, body: "ok"},
	{name: "bare line feeds between chunks", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n", stay: true, failure: hit.BadAnswer, text: "CRLF", status: 200},
	{name: "endless chunk extension", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 1100), stay: true, failure: hit.BadAnswer, text: "longer than 1024 bytes", status: 200},
	{name: "malformed trailer", send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n", stay: true, failure: hit.BadAnswer, text: "trailer", status: 200},
}

func TestAnswers(t *testing.T) {
	// Each answer arrives at once, and a byte at a time.
	count := 0
	for _, tt := range answers {
		for _, step := range []int{len(tt.send), 1} {
			t.Run(fmt.Sprintf("%s by %d", tt.name, step), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					count++
					c, _ := newClient(t, Options{
						KeepBody: func(int) bool { return true }, BodyLimit: 100, MaxBody: 1000, MaxHeader: 8192,
					}, func(s *server) {
						if s.request() == nil {
							return
						}
						for rest := tt.send; rest != ""; rest = rest[min(step, len(rest)):] {
							if _, err := s.Write([]byte(rest[:min(step, len(rest))])); err != nil {
								return
							}
						}
						if tt.stay {
							s.request()
						}
					})
					method := tt.method
					if method == "" {
						method = "GET"
					}
					a := send(c, &hit.Request{Method: method, URL: pipeURL})
					// What follows an answer is noticed when it has arrived with it.
					if after := strings.Contains(tt.text, "more than"); after && step == 1 {
						return
					}
					if step == 1 && strings.Contains(a.Err, "not HTTP/1") {
						tt.text = "not HTTP/1" // one foreign byte is enough
					}
					if a.Failure != tt.failure || !strings.Contains(a.Err, tt.text) || tt.failure == hit.NoFailure && a.Err != "" {
						t.Fatalf("failure = %v %q, want %v %q", a.Failure, a.Err, tt.failure, tt.text)
					}
					if a.Status != tt.status {
						t.Errorf("Status = %d, want %d", a.Status, tt.status)
					}
					if tt.body != "" && string(a.Body) != tt.body || tt.failure == hit.NoFailure && string(a.Body) != tt.body {
						t.Errorf("Body = %q, want %q", a.Body, tt.body)
					}
					stray := strings.Contains(tt.name, "stray") && step == 1
					if kept := c.slots[0].idle != nil; kept != tt.reuse && !stray {
						t.Errorf("connection kept = %v, want %v", kept, tt.reuse)
					}
					if strings.ContainsAny(a.Err, "\r\n\x00\x07") {
						t.Errorf("Err is not one harmless line: %q", a.Err)
					}
					if a.Done.IsZero() || a.Sent.IsZero() || a.Done.Before(a.Sent) {
						t.Errorf("Sent %v, Done %v", a.Sent, a.Done)
					}
					if tt.failure == hit.NoFailure && (a.FirstByte.Before(a.Sent) || a.Done.Before(a.FirstByte)) {
						t.Errorf("Sent %v, FirstByte %v, Done %v are not in order", a.Sent, a.FirstByte, a.Done)
					}
					if want := int64(len(tt.send)); tt.failure == hit.NoFailure && a.BytesIn != want && !strings.Contains(tt.name, "stray") {
						t.Errorf("BytesIn = %d, want %d", a.BytesIn, want)
					}
				})
			})
		}
	}
	if count < 150 {
		t.Fatalf("%d cases ran, want at least 150", count)
	}
}

func TestAnswerInstants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newClient(t, Options{}, func(s *server) {
			s.request()
			time.Sleep(time.Second)
			s.say("HTTP/1.1 103 Early Hints\r\n\r\n")
			time.Sleep(time.Second)
			s.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
			time.Sleep(time.Second)
			s.say("cd")
			s.request()
			s.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd")
			s.request()
		})
		var a hit.Answer
		var sent time.Time
		a.OnSent = func(at time.Time) { sent = at }
		c.Send(t.Context(), &hit.Request{URL: pipeURL}, &a)
		if a.Failure != hit.NoFailure || sent != a.Sent {
			t.Fatalf("failure %v %q, OnSent had %v, Sent is %v", a.Failure, a.Err, sent, a.Sent)
		}
		if got := a.FirstByte.Sub(a.Sent); got != 2*time.Second {
			t.Errorf("FirstByte is %v after Sent, want 2s: an interim answer is not the answer", got)
		}
		if got := a.Done.Sub(a.Sent); got != 3*time.Second {
			t.Errorf("Done is %v after Sent, want 3s", got)
		}
		time.Sleep(time.Minute)
		c.Send(t.Context(), &hit.Request{URL: pipeURL}, &a)
		if a.Failure != hit.NoFailure || a.Done != a.FirstByte || a.Opened != 0 {
			t.Errorf("one read: FirstByte %v, Done %v, Opened %d, failure %v %q", a.FirstByte, a.Done, a.Opened, a.Failure, a.Err)
		}
	})
}
