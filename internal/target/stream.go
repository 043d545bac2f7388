package target

import (
	"math"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// Pieces takes the body of an answer while it comes. Its methods are called one
// after the other, by the goroutine that called Send.
type Pieces interface {
	// Head is called when the header block of the answer is there, and says
	// whether the body is wanted as it comes; if not, Send goes on as usual. It is
	// not called for redirects that are followed. ans is valid during the call, and
	// lacks Done and Body. abort breaks the answer off, which is then complete; any
	// goroutine may call it, until End is called.
	Head(ans *hit.Answer, abort func()) bool
	// Piece takes what has come, as it was on the wire: without the framing of
	// chunks, and still compressed. b is valid during the call, which may block.
	Piece(b []byte)
	// Cut says that a chunk of the server ends here. Bodies without chunks have none.
	Cut()
	// End says that nothing more will come, and reports whether abort was called.
	End() (aborted bool)
}

// keptOfStream is how much of a body that goes to Pieces is in Answer.Body, too,
// for the rules that look at it.
const keptOfStream = 8 << 10

// announce gives the body to come to whoever wants it in pieces. It has no
// bound then, neither in bytes nor in time as a whole. Not called when nobody does.
func (c *Client) announce(h *hop, ans *hit.Answer, s *sink, abort func()) bool {
	p := c.tune.Pieces
	if c.follows(ans) {
		return false
	}
	c.taste(h, ans)
	if !p.Head(ans, abort) {
		return false
	}
	s.pieces, s.left, s.most = p, math.MaxInt64, math.MaxInt64
	s.limit = min(s.limit, keptOfStream)
	return true
}

// follows tells whether an answer is one that redirect would look at.
func (c *Client) follows(ans *hit.Answer) bool {
	switch ans.Status {
	case 301, 302, 303, 307, 308:
		return !c.tune.NoRedirects && ans.Fields.Has("Location")
	}
	return false
}

// unhurried lifts the bound on the time of the whole answer: only the wait for
// each byte is bounded from now on, where it was.
func (k *conn) unhurried() {
	k.end, k.due = time.Time{}, time.Time{}
	if k.patience > 0 {
		k.due = k.patient(time.Now())
	}
}
