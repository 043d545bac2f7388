package target

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hit"
)

// wire is a connection whose other end has already said everything. It hands it
// out in pieces of at most step bytes.
type wire struct {
	net.Conn
	rest []byte
	step int
}

func (w *wire) Read(b []byte) (int, error) {
	if len(w.rest) == 0 {
		return 0, io.EOF
	}
	n := min(len(b), len(w.rest), w.step)
	copy(b, w.rest[:n])
	w.rest = w.rest[n:]
	return n, nil
}

func (w *wire) Write(b []byte) (int, error)      { return len(b), nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) Close() error                     { return nil }

// ours reads an answer with this package.
func ours(t testing.TB, raw []byte, method string, step int) *hit.Answer {
	tgt, err := New(Options{
		KeepBody: func(int) bool { return true }, BodyLimit: 1 << 20, MaxBody: 1 << 20, Proxy: "none",
		MaxRedirects: NoRedirects,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := tgt.NewSender(0)
	if err != nil {
		t.Fatal(err)
	}
	k := newConn(&wire{rest: raw, step: step}, nil, &tgt.big)
	k.begin(time.Now(), time.Time{}, 0)
	var a hit.Answer
	if _, f := c.receive(k, &hop{method: method}, &a); f != nil {
		a.Failure, a.Err = f.why, f.text
	}
	return &a
}

// theirs reads it with net/http. Interim answers are skipped, as its Transport does.
func theirs(raw []byte, method string) (status int, header http.Header, body []byte, rest []byte, err error) {
	r := bufio.NewReader(bytes.NewReader(raw))
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return 0, nil, nil, nil, err
		}
		if resp.StatusCode >= 100 && resp.StatusCode < 200 && resp.StatusCode != 101 {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return 0, nil, nil, nil, err
		}
		rest, _ := io.ReadAll(r)
		if resp.StatusCode == 101 {
			body, rest = nil, nil // what follows is not HTTP; net/http hands it out as a body
		}
		return resp.StatusCode, resp.Header, body, rest, nil
	}
}

var fieldNames = []string{"Server", "Date", "X-RateLimit-Limit", "Set-Cookie", "etag", "Keep-Alive", "Retry-After", "Vary", "x-a"}

// wellFormed draws an answer as a sane server sends it.
func wellFormed(t *rapid.T) (raw []byte, method string, body []byte) {
	method = rapid.SampledFrom([]string{"GET", "GET", "POST", "HEAD"}).Draw(t, "method")
	status := rapid.SampledFrom([]int{200, 201, 204, 301, 304, 400, 404, 429, 500, 503}).Draw(t, "status")
	body = []byte(rapid.StringN(0, 200, 6000).Draw(t, "body"))
	var b bytes.Buffer
	for range rapid.IntRange(0, 2).Draw(t, "interim") {
		b.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
	}
	fmt.Fprintf(&b, "HTTP/1.%d %d %s\r\n", 1, status, rapid.StringMatching(`[A-Za-z ]{0,20}`).Draw(t, "reason"))
	fields := func() {
		for range rapid.IntRange(0, 6).Draw(t, "fields") {
			name := rapid.SampledFrom(fieldNames).Draw(t, "name")
			fmt.Fprintf(&b, "%s:%s%s\r\n", name, rapid.StringMatching(`[ \t]{0,2}`).Draw(t, "space"), rapid.StringMatching(`[!-~]([ -~]{0,60}[!-~])?`).Draw(t, "value"))
		}
	}
	fields()
	none := method == "HEAD" || status == 204 || status == 304
	switch rapid.IntRange(0, 2).Draw(t, "framing") {
	case 0:
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
		fields()
		b.WriteString("\r\n")
		if !none {
			b.Write(body)
		}
	case 1:
		b.WriteString("Transfer-Encoding: chunked\r\n")
		fields()
		b.WriteString("\r\n")
		if !none {
			for rest := body; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
				fmt.Fprintf(&b, "%x%s\r\n%s\r\n", n, rapid.SampledFrom([]string{"", ";a=1", ";b"}).Draw(t, "extension"), rest[:n])
				rest = rest[n:]
			}
			b.WriteString("0\r\n")
			if rapid.Bool().Draw(t, "trailer") {
				b.WriteString("X-Sum: 1\r\n")
			}
			b.WriteString("\r\n")
		}
	default:
		fields()
		b.WriteString("\r\n")
		if !none {
			b.Write(body)
		}
	}
	if none {
		body = nil
	}
	return b.Bytes(), method, body
}

func TestWellFormedAnswersReadAsByNetHTTP(t *testing.T) {
	count := 0
	check := func(rt *rapid.T) {
		count++
		raw, method, body := wellFormed(rt)
		step := rapid.SampledFrom([]int{1, 7, 100, 1 << 20}).Draw(rt, "step")
		a := ours(t, raw, method, step)
		if a.Failure != hit.NoFailure {
			rt.Fatalf("%q failed: %v %q", raw, a.Failure, a.Err)
		}
		status, header, theirBody, _, err := theirs(raw, method)
		if err != nil {
			rt.Fatalf("net/http rejects what the test takes for well-formed: %v", err)
		}
		if a.Status != status {
			rt.Errorf("Status = %d, want %d", a.Status, status)
		}
		if !bytes.Equal(a.Body, body) || !bytes.Equal(a.Body, theirBody) {
			rt.Errorf("Body = %q, want %q; net/http has %q", a.Body, body, theirBody)
		}
		if a.BytesIn != int64(len(raw)) {
			rt.Errorf("BytesIn = %d of %d", a.BytesIn, len(raw))
		}
		for _, name := range fieldNames {
			got, want := a.Fields.Values(name), header.Values(name)
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				rt.Errorf("%s = %q, want %q", name, got, want)
			}
		}
	}
	for range 3 { // of 100 answers each, unless -rapid.checks says otherwise
		rapid.Check(t, check)
	}
	if count < 30 {
		t.Fatalf("%d answers compared", count)
	}
}

// FuzzAnswer: whatever we accept net/http accepts, with the same status and
// body. We may be stricter, and never panic.
func FuzzAnswer(f *testing.F) {
	for _, tt := range answers {
		f.Add([]byte(tt.send), tt.method == "HEAD")
	}
	f.Fuzz(func(t *testing.T, raw []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		a := ours(t, raw, method, 1<<20)
		b := ours(t, raw, method, 1)
		if a.Failure == hit.NoFailure && b.Failure == hit.NoFailure && (a.Status != b.Status || !bytes.Equal(a.Body, b.Body)) {
			t.Errorf("in one piece: %d %q; byte by byte: %d %q", a.Status, a.Body, b.Status, b.Body)
		}
		if strings.ContainsAny(a.Err, "\r\n\x00\x1b") {
			t.Errorf("Err is not one harmless line: %q", a.Err)
		}
		if a.Failure != hit.NoFailure {
			return
		}
		status, _, body, rest, err := theirs(raw, method)
		switch {
		case err != nil && (strings.Contains(err.Error(), "bad trailer key") || strings.Contains(err.Error(), "suspiciously long trailer")):
			return // net/http looks into trailers, which we drop
		case err != nil:
			t.Errorf("accepted what net/http rejects: %v\nstatus %d, body %q", err, a.Status, a.Body)
		case a.Status != status || !bytes.Equal(a.Body, body):
			t.Errorf("read %d %q, net/http reads %d %q", a.Status, a.Body, status, body)
		case !onlyLineEnds(rest):
			t.Errorf("%q after the answer was overlooked", rest)
		}
	})
}
