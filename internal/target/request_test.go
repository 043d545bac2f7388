package target

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/weir-dev/weir/internal/hit"
)

// rawServer keeps what it reads until the empty line and the given body length, and answers.
func rawServer(got *string, body int, answer string) func(*server) {
	return func(s *server) {
		var b strings.Builder
		for {
			line, err := s.r.ReadString('\n')
			if err != nil {
				return
			}
			b.WriteString(line)
			if line == "\r\n" {
				break
			}
		}
		for range body {
			c, err := s.r.ReadByte()
			if err != nil {
				return
			}
			b.WriteByte(c)
		}
		*got = b.String()
		s.say(answer)
	}
}

func TestRequestOnTheWire(t *testing.T) {
	tests := []struct {
		name string
		o    Options
		req  hit.Request
		body int // bytes after the header block
		want string
	}{
		{"plain", Options{}, hit.Request{URL: "http://192.0.2.1"}, 0,
			"GET / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*||"},
		{"port, path, query, fragment", Options{UserAgent: "weir/1.2"}, hit.Request{Method: "DELETE", URL: "HTTP://192.0.2.1:8080/a/b?c=d&e#f"}, 0,
			"DELETE /a/b?c=d&e HTTP/1.1|Host: 192.0.2.1:8080|User-Agent: weir/1.2|Accept: */*||"},
		{"default port is not sent", Options{}, hit.Request{URL: "http://192.0.2.1:80/"}, 0,
			"GET / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*||"},
		{"IPv6", Options{}, hit.Request{URL: "http://[2001:DB8::1]:81/"}, 0,
			"GET / HTTP/1.1|Host: [2001:db8::1]:81|User-Agent: weir|Accept: */*||"},
		{"query without a path", Options{}, hit.Request{URL: "http://192.0.2.1?q=1"}, 0,
			"GET /?q=1 HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*||"},
		{"encoded as needed, not more", Options{}, hit.Request{URL: "http://192.0.2.1/a b/é?x='%20\"<"}, 0,
			"GET /a%20b/%C3%A9?x='%20\"< HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*||"},
		{"credentials in the URL", Options{}, hit.Request{URL: "http://Aladdin:open%20sesame@192.0.2.1/"}, 0,
			"GET / HTTP/1.1|Host: 192.0.2.1|Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==|User-Agent: weir|Accept: */*||"},
		{"body", Options{}, hit.Request{Method: "POST", URL: "http://192.0.2.1/", Body: []byte("a=b")}, 3,
			"POST / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*|Content-Length: 3||a=b"},
		{"POST without a body", Options{}, hit.Request{Method: "POST", URL: "http://192.0.2.1/"}, 0,
			"POST / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*|Content-Length: 0||"},
		{"GET with a body", Options{}, hit.Request{URL: "http://192.0.2.1/", Body: []byte("x")}, 1,
			"GET / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*|Content-Length: 1||x"},
		{"fields in order and case as given, in the place of ours", Options{Gzip: true}, hit.Request{URL: "http://192.0.2.1/", Header: []hit.Field{
			{Name: "x-b", Value: "1"}, {Name: "ACCEPT", Value: "text/html"}, {Name: "host", Value: "other.test"}, {Name: "X-A", Value: "2"}, {Name: "x-b", Value: "3"}, {Name: "user-AGENT", Value: "me"}, {Name: "accept-encoding", Value: "br"}}}, 0,
			"GET / HTTP/1.1|x-b: 1|ACCEPT: text/html|host: other.test|X-A: 2|x-b: 3|user-AGENT: me|accept-encoding: br||"},
		{"own Authorization wins over the URL's", Options{}, hit.Request{URL: "http://u:p@192.0.2.1/", Header: []hit.Field{{Name: "authorization", Value: "Bearer x"}}}, 0,
			"GET / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*|authorization: Bearer x||"},
		{"empty fields silence defaults", Options{}, hit.Request{URL: "http://192.0.2.1/", Header: []hit.Field{{Name: "User-Agent"}, {Name: "Accept"}, {Name: "X-Empty"}}}, 0,
			"GET / HTTP/1.1|Host: 192.0.2.1|X-Empty: ||"},
		{"own Content-Length, be it a lie", Options{}, hit.Request{Method: "POST", URL: "http://192.0.2.1/", Body: []byte("abc"), Header: []hit.Field{{Name: "content-length", Value: "2"}}}, 3,
			"POST / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*|content-length: 2||abc"},
		{"own chunks", Options{}, hit.Request{Method: "POST", URL: "http://192.0.2.1/", Body: []byte("0123456789abcdef!"), Header: []hit.Field{{Name: "Transfer-Encoding", Value: "chunked"}}}, 28,
			"POST / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*|Transfer-Encoding: chunked||11|0123456789abcdef!|0||"},
		{"gzip", Options{Gzip: true}, hit.Request{URL: "http://192.0.2.1/"}, 0,
			"GET / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*|Accept-Encoding: gzip, deflate||"},
		{"a connection per request", Options{Connections: PerRequest}, hit.Request{URL: "http://192.0.2.1/"}, 0,
			"GET / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*|Connection: close||"},
		{"plain http through a proxy", Options{Proxy: "http://me:secret@192.0.2.9:3128"}, hit.Request{URL: "http://192.0.2.1:81/a?b"}, 0,
			"GET http://192.0.2.1:81/a?b HTTP/1.1|Host: 192.0.2.1:81|Proxy-Authorization: Basic bWU6c2VjcmV0|User-Agent: weir|Accept: */*||"},
		{"international name", Options{Resolve: []string{"xn--bcher-kva.test:80:192.0.2.1"}}, hit.Request{URL: "http://Bücher.test/"}, 0,
			"GET / HTTP/1.1|Host: xn--bcher-kva.test|User-Agent: weir|Accept: */*||"},
		{"large header block", Options{}, hit.Request{URL: "http://192.0.2.1/", Header: []hit.Field{{Name: "A", Value: strings.Repeat("x", 100<<10)}}}, 0,
			"GET / HTTP/1.1|Host: 192.0.2.1|User-Agent: weir|Accept: */*|A: " + strings.Repeat("x", 100<<10) + "||"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got string
				c, _ := newClient(t, tt.o, rawServer(&got, tt.body, okAnswer))
				a := send(c, &tt.req)
				if want := strings.ReplaceAll(tt.want, "|", "\r\n"); got != want {
					t.Errorf("sent\n%q, want\n%q", cut(got, 400), cut(want, 400))
				}
				if a.Failure != hit.NoFailure || a.BytesOut != int64(len(got)) || a.Proto != "HTTP/1.1" {
					t.Errorf("failure %v %q, BytesOut %d of %d, %s", a.Failure, a.Err, a.BytesOut, len(got), a.Proto)
				}
			})
		})
	}
}

func TestImpossibleRequests(t *testing.T) {
	tests := []struct {
		name string
		req  hit.Request
		text string
	}{
		{"no URL", hit.Request{}, "begin it with http"},
		{"no scheme", hit.Request{URL: "192.0.2.1/x"}, "begin it with http"},
		{"other scheme", hit.Request{URL: "ftp://192.0.2.1/x"}, `"ftp" is not http`},
		{"no host", hit.Request{URL: "http:///x"}, "names no host"},
		{"port 0", hit.Request{URL: "http://192.0.2.1:0/"}, "1 to 65535"},
		{"port 70000", hit.Request{URL: "http://192.0.2.1:70000/"}, "1 to 65535"},
		{"port in words", hit.Request{URL: "http://192.0.2.1:http/"}, "not a URL"},
		{"space in the host", hit.Request{URL: "http://a b/"}, "not a URL"},
		{"line break in the path", hit.Request{URL: "http://192.0.2.1/a\r\nX: y"}, "control character"},
		{"line break in the host", hit.Request{URL: "http://192.0.2.1\r\n/"}, "not a URL"},
		{"method with a space", hit.Request{Method: "GET /", URL: pipeURL}, "not a method"},
		{"field name with a colon", hit.Request{URL: pipeURL, Header: []hit.Field{{Name: "a:b", Value: "c"}}}, `"a:b" is not a header name`},
		{"empty field name", hit.Request{URL: pipeURL, Header: []hit.Field{{Name: "", Value: "c"}}}, "not a header name"},
		{"line break in a value", hit.Request{URL: pipeURL, Header: []hit.Field{{Name: "a", Value: "secret\r\nb: c"}}}, "header a has a line break"},
		{"secret in a bad URL", hit.Request{URL: "http://user:secret@192.0.2.1:http/"}, "not a URL"},
		{"unescaped secret in a bad URL", hit.Request{URL: "http://user:secret %zz@192.0.2.1/"}, "percent-encode"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, p := newClient(t, Options{}, reply(okAnswer))
			a := send(c, &tt.req)
			if a.Failure != hit.OtherFailure || !strings.Contains(a.Err, tt.text) {
				t.Errorf("%v %q, want %v %q", a.Failure, a.Err, hit.OtherFailure, tt.text)
			}
			if strings.Contains(a.Err, "secret") || strings.ContainsAny(a.Err, "\r\n") {
				t.Errorf("Err shows a secret or breaks the line: %q", a.Err)
			}
			if n := p.opened.Load(); n != 0 || !a.Sent.IsZero() || a.Done.IsZero() {
				t.Errorf("%d connections opened, Sent %v, Done %v", n, a.Sent, a.Done)
			}
		})
	}
}

func TestRequestIsNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redirect := "HTTP/1.1 303 See Other\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
		c, _ := newClient(t, Options{}, func(s *server) {
			s.request()
			s.say(redirect)
			s.request()
			s.say(okAnswer)
		})
		req := hit.Request{Name: "n", Method: "POST", URL: pipeURL, Body: []byte("body"), Header: []hit.Field{{Name: "A", Value: "b"}}}
		send(c, &req)
		if req.Method != "POST" || req.URL != pipeURL || string(req.Body) != "body" || len(req.Header) != 1 || req.Header[0].Name != "A" {
			t.Errorf("the request was changed: %+v", req)
		}
	})
}
