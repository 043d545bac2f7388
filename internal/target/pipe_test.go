package target

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/leaks"
	"github.com/weir-dev/weir/internal/load"
)

var (
	_ load.Sender = (*Client)(nil)
	_ io.Closer   = (*Client)(nil)
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := leaks.Find(); err != nil {
			_, _ = os.Stderr.WriteString("goroutines left behind: " + err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// server is a connection's other end, as a test scripts it.
type server struct {
	net.Conn
	r *bufio.Reader
}

// request reads one request with its body; nil at the end of the connection.
func (s *server) request() *http.Request {
	r, err := http.ReadRequest(s.r)
	if err != nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil
	}
	return r
}

func (s *server) say(text string) { _, _ = io.WriteString(s.Conn, text) }

// reply reads a request and answers it.
func reply(text string) func(*server) {
	return func(s *server) {
		if s.request() != nil {
			s.say(text)
		}
	}
}

// pipes is a network: the n-th connection is served by the n-th script and then
// closed; connections beyond them are refused.
type pipes struct {
	scripts []func(*server)
	opened  atomic.Int32
}

func (p *pipes) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	n := int(p.opened.Add(1)) - 1
	if n >= len(p.scripts) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	go func() {
		defer func() { _ = theirs.Close() }()
		p.scripts[n](&server{theirs, bufio.NewReader(theirs)})
	}()
	return ours, nil
}

const pipeURL = "http://192.0.2.1/"

// newClient makes a user of a network of pipes.
func newClient(t testing.TB, o Options, scripts ...func(*server)) (*Client, *pipes) {
	t.Helper()
	p := &pipes{scripts: scripts}
	o.Dial = p.dial
	if o.Proxy == "" {
		o.Proxy = "none"
	}
	return userOf(t, o), p
}

// userOf makes a user that is closed, with the target, when the test ends.
func userOf(t testing.TB, o Options) *Client {
	t.Helper()
	tgt, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tgt.NewSender(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), tgt.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func get(c *Client, url string) *hit.Answer {
	return send(c, &hit.Request{Method: "GET", URL: url})
}

func send(c *Client, r *hit.Request) *hit.Answer {
	var a hit.Answer
	c.Send(context.Background(), r, &a)
	return &a
}

// short is for tests in which nothing is ever late but a failure.
const short = 5 * time.Second
