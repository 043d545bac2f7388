package target

import (
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// wrote is how far a request was written, and what ended that.
type wrote struct {
	n   int
	err error
}

// converse sends a request whose body does not go out with its header block:
// because it is large, or because the caller asked to wait for "100 Continue".
func (c *Client) converse(k *conn, h *hop, g given, head []byte, ans *hit.Answer, st *sending) (w wrote, persist bool, f *fault) {
	k.arm(k.due) // two goroutines are about to use the connection, so it must be the true one
	if g.expect {
		if w.n, w.err = k.write(head); w.err != nil {
			persist, f = c.receive(k, h, ans)
			return w, persist, f
		}
		refused, f := c.awaitContinue(k, st)
		if f != nil {
			ans.BytesIn += k.in
			return w, false, f
		}
		if refused {
			_, f = c.receive(k, h, ans)
			return w, false, f
		}
		head = nil
	}
	done := make(chan wrote, 1)
	go writeBody(k, head, h.body, g.chunked, done)
	persist, f = c.receive(k, h, ans)

	patience := writerWait
	if f != nil {
		patience = 0
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case end := <-done:
		return wrote{w.n + end.n, end.err}, persist, f
	case <-timer.C:
	}
	// Nobody will read the rest of the body. What the writer says after this is
	// about our closing, not about the server.
	_ = k.base.Close()
	end := <-done
	return wrote{n: w.n + end.n}, false, f
}

// writeBody writes to the connection itself: deadlines are the reader's business.
func writeBody(k *conn, head, body []byte, chunked bool, done chan<- wrote) {
	var end wrote
	parts := [][]byte{head, body}
	if chunked {
		parts[1] = appendBody(nil, body, true)
	}
	for _, b := range parts {
		if len(b) == 0 || end.err != nil {
			continue
		}
		var n int
		n, end.err = k.nc.Write(b)
		end.n += n
	}
	done <- end
}

// awaitContinue waits a while for "100 Continue". refused tells that a final
// answer came instead; it is still in the buffer.
func (c *Client) awaitContinue(k *conn, st *sending) (refused bool, f *fault) {
	soft := st.now.Add(continueWait)
	if k.due.IsZero() || soft.Before(k.due) {
		k.arm(soft)
	}
	// The connection's own due is the same as before, so it is told apart from
	// a request that took too long.
	defer func() { k.arm(k.due) }()
	for {
		if k.r == k.w {
			if err := k.await(); isTimeout(err) && !k.armed.Equal(k.due) {
				return false, nil
			} else if err != nil {
				return false, k.readFault(err, "in the header block")
			}
		}
		var h head
		var first time.Time
		end, f := k.readHead(&h, c.t.opts.MaxHeader, &first)
		if f != nil {
			return false, f
		}
		if h.status >= 200 || h.status == 101 {
			return true, nil
		}
		k.r += end
		if h.status == 100 {
			return false, nil
		}
		if k.in > int64(c.t.opts.MaxHeader) {
			return false, tooManyInterim(c.t.opts.MaxHeader)
		}
	}
}
