package target

import (
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// maxSlots bounds the origins to which one user keeps a connection.
const maxSlots = 16

// Client sends one user's requests, one at a time: it is not safe for
// concurrent use. The zero value is not usable; Target.NewSender makes one.
type Client struct {
	t     *Target
	dial  DialFunc
	local netip.Addr // source address; not valid when the system chooses
	slots []*slot
	out   []byte // the request being rendered

	// The last request's URL and what it came to: users mostly repeat themselves.
	url    string
	at     *slot
	target string

	// See cookies.go.
	jar        Cookies
	hopped     func(url string, ans *hit.Answer)
	baked      []byte        // the Cookie field of the hop under way
	tuned      Tuning        // of the next Send
	limit      time.Duration // the time-out of this one
	tune       Tuning        // of this one
	from       *origin       // of the latest answer
	tasted     bool          // the answer to the hop under way has been
	fromTarget string
}

// slot is what a user has for one origin.
type slot struct {
	o    *origin
	idle *conn       // PerUser: the connection between requests
	tls  *tls.Config // for the user's connections; nil for http
	h2   *h2link     // PerUser: the HTTP/2 connection; nil while HTTP/1 is spoken
	used time.Time
}

// sending is the state of one Send.
type sending struct {
	now   time.Time     // the last look at the clock
	due   time.Time     // zero: no time-out
	limit time.Duration // the time-out whose end due is
	held  time.Duration // waited for a shared connection
	begun bool
	sent  bool // OnSent has been called
}

// Send sends req, follows redirects, and fills in ans, which it resets first.
// It returns when the answer is complete or has failed; ans says which. When
// ctx ends it returns at once with hit.Interrupted. It never changes req.
//
// ans.Sent is the zero time when nothing reached the wire. With redirects Sent
// is that of the first request, FirstByte, Status, Fields and Body are those of
// the last answer, and bytes, connections and connect times are added up.
// After a retry Sent is that of the second attempt, which was answered, while
// OnSent has had the first.
func (c *Client) Send(ctx context.Context, req *hit.Request, ans *hit.Answer) {
	ans.Reset()
	var st sending
	f := c.follow(ctx, req, ans, &st)
	if f != nil {
		ans.Failure, ans.Err = f.why, f.text
		ans.Done = time.Now()
	}
	if cap(ans.Fields) > bigBuffer/8 && len(ans.Fields) < smallBuffer {
		ans.Fields = append(hit.Fields(nil), ans.Fields...) // one large header block must not be paid for ever
	}
}

func (c *Client) follow(ctx context.Context, req *hit.Request, ans *hit.Answer, st *sending) *fault {
	tuned := c.take()
	if f := c.locate(req.URL); f != nil {
		return f
	}
	h := hop{method: req.Method, at: c.at, target: c.target, header: req.Header, body: req.Body}
	if h.method == "" {
		h.method = "GET"
	} else if !isToken(h.method) {
		return faultf(hit.OtherFailure, "%q is not a method", h.method)
	}
	replay := !req.Once && (req.Replay || hit.Idempotent(h.method))
	for {
		c.tasted = false
		c.bake(&h)
		if f := c.exchange(ctx, &h, replay, ans, st); f != nil {
			return f
		}
		c.taste(&h, ans)
		if ans.Status < 300 || ans.Status > 399 || tuned.NoRedirects {
			return nil
		}
		again, f := c.redirect(&h, ans)
		if f != nil || !again {
			return f
		}
		replay = !req.Once && (req.Replay || hit.Idempotent(h.method))
	}
}

// locate makes c.at and c.target those of a URL.
func (c *Client) locate(url string) *fault {
	if url == c.url && c.at != nil {
		return nil
	}
	at, target, err := c.resolve(url)
	if err != nil {
		return err
	}
	c.url, c.at, c.target = url, at, target
	return nil
}

// resolve finds the slot and the request target of a URL.
func (c *Client) resolve(url string) (at *slot, target string, f *fault) {
	base, rest := splitURL(url)
	if base == "" {
		return nil, "", faultf(hit.OtherFailure, "%q is not a full URL: begin it with http:// or https://", cut(url, 100))
	}
	target, f = requestTarget(rest)
	if f != nil {
		return nil, "", f
	}
	s := c.find(base)
	if s == nil {
		o, f := c.t.origin(base)
		if f != nil {
			return nil, "", f
		}
		s = c.newSlot(o)
	}
	return s, target, nil
}

func (c *Client) find(base string) *slot {
	for _, s := range c.slots {
		if s.o.base == base {
			return s
		}
	}
	return nil
}

// newSlot makes a slot, in the place of the one that was not used for longest when there are too many.
func (c *Client) newSlot(o *origin) *slot {
	s := &slot{o: o, tls: c.t.userTLS(o)}
	if len(c.slots) < maxSlots {
		c.slots = append(c.slots, s)
		return s
	}
	oldest := 0
	for i, other := range c.slots {
		if other.used.Before(c.slots[oldest].used) {
			oldest = i
		}
	}
	if c.slots[oldest] == c.at {
		c.at, c.url = nil, ""
	}
	c.slots[oldest].close()
	c.slots[oldest] = s
	return s
}

func (s *slot) close() {
	if s.idle != nil {
		s.idle.close(true)
		s.idle = nil
	}
	if s.h2 != nil {
		s.h2.close()
		s.h2 = nil
	}
}

// Close closes the user's connections. The Client can be used again after it,
// and must not be in use during it.
func (c *Client) Close() error {
	for _, s := range c.slots {
		s.close()
	}
	c.slots, c.at, c.url = nil, nil, ""
	return nil
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}
