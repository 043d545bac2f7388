package target

import (
	"context"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

const (
	// inlineBody is the largest body written together with the header block. A
	// larger one is written by a goroutine, so that an answer which comes before
	// the body is sent is seen.
	inlineBody = 16 << 10
	// keptOut is the most memory a user keeps for rendering requests.
	keptOut = 2 << 10
	// continueWait is how long a body waits for "100 Continue": as in curl and net/http's default transport.
	continueWait = time.Second
	// writerWait is how long an answered connection waits for the rest of its request to be written.
	writerWait = 50 * time.Millisecond
)

// exchange sends one hop and reads its answer.
//
// A kept-alive connection may turn out to have been closed by the server.
// Then, and only if not one byte of an answer came, the request is sent again
// on a fresh connection, once: always when none of it had been written, else
// when replay says that sending twice does no harm. A fresh connection that
// breaks is never retried, and a time-out never is.
func (c *Client) exchange(ctx context.Context, h *hop, replay bool, ans *hit.Answer, st *sending) *fault {
	g, size, err := h.look(c.t.opts.Bare)
	if err != nil {
		return err
	}
	if s := h.at; s.h2 != nil && s.h2.spent() {
		s.h2.close()
		s.h2 = nil
	}
	if h.at.h2 != nil || c.t.speaksH2(h.at.o) {
		return c.exchangeH2(ctx, h, nil, replay, ans, st)
	}
	big := len(h.body) > inlineBody || g.expect
	var lent []byte
	if size > keptOut {
		lent = c.t.big.get()
		c.out = lent[:0]
	}
	out := c.t.appendHead(c.out[:0], h, g)
	if !big {
		out = appendBody(out, h.body, g.chunked)
	}
	for fresh := false; ; fresh = true {
		k, f := c.acquire(ctx, h.at, fresh, ans, st)
		if f == nil && k.alpn == "h2" {
			f = c.exchangeH2(ctx, h, k, replay, ans, st)
		} else if f == nil {
			var again bool
			if f, again = c.attempt(ctx, k, h, g, out, big, replay, ans, st); again {
				ans.Retried = true
				continue
			}
		}
		c.out = out
		if lent != nil {
			c.t.big.put(lent)
			c.out = nil
		}
		return f
	}
}

// begin notes the first look at the clock, from which the time-out runs.
func (st *sending) begin(now time.Time, timeout time.Duration) {
	st.now = now
	if !st.begun {
		st.begun = true
		if timeout > 0 {
			st.due, st.limit = now.Add(timeout), timeout
		}
	}
}

// acquire finds a connection to send on: an idle one, unless fresh is set, or a new one.
func (c *Client) acquire(ctx context.Context, s *slot, fresh bool, ans *hit.Answer, st *sending) (*conn, *fault) {
	st.begin(time.Now(), c.limit)
	s.used = st.now
	if !fresh {
		k, f := c.takeIdle(ctx, s, st)
		if f != nil {
			return nil, f
		}
		if k != nil {
			if st.over() && s.o.shared != nil {
				s.o.shared.put(k) // not one byte went out on it, so it is as good as before
				return nil, noneFree(st.limit, c.t.opts.MaxShared)
			}
			if st.now.Sub(k.lastUse) >= peekAfter {
				st.now = time.Now() // looking at the socket took its time
			}
			k.watch(ctx)
			return k, nil
		}
	} else if s.o.shared != nil {
		if f := s.o.shared.enter(ctx, st); f != nil { // the first attempt has given its turn back
			return nil, f
		}
	}
	begun := time.Now()
	k, f := c.connect(ctx, s, st.due)
	st.now = time.Now()
	if f != nil {
		if s.o.shared != nil {
			s.o.shared.leave()
		}
		if ctx.Err() != nil {
			return nil, interrupted()
		}
		return nil, st.blame(f, c.t.opts.MaxShared)
	}
	ans.Opened++
	ans.Connect += st.now.Sub(begun)
	k.watch(ctx)
	return k, nil
}

// takeIdle returns a connection that can be used again, or nil. Those that
// cannot be are closed. In a shared pool nil comes with the right to open one.
func (c *Client) takeIdle(ctx context.Context, s *slot, st *sending) (*conn, *fault) {
	switch c.t.opts.Connections {
	case PerUser:
		k := s.idle
		s.idle = nil
		if k != nil && !k.reusable(st.now, c.t.opts.IdleTimeout) {
			k.close(true)
			k = nil
		}
		return k, nil
	case Shared:
		return s.o.shared.take(ctx, st, c.t.opts.IdleTimeout)
	}
	return nil, nil
}

// release gives a connection back after a complete answer.
func (c *Client) release(s *slot, k *conn, at time.Time) {
	k.used, k.lastUse = true, at
	k.narrow()
	switch c.t.opts.Connections {
	case PerUser:
		s.idle = k
	case Shared:
		s.o.shared.put(k)
	default:
		k.close(true)
	}
}

// discard closes a connection that cannot be used again.
func (c *Client) discard(s *slot, k *conn, polite bool) {
	k.close(polite)
	if s.o.shared != nil {
		s.o.shared.leave()
	}
}

// attempt sends the rendered request on k and reads the answer. again asks for
// another attempt; the connection is dealt with in any case.
func (c *Client) attempt(ctx context.Context, k *conn, h *hop, g given, out []byte, big, replay bool, ans *hit.Answer, st *sending) (f *fault, again bool) {
	k.patience, k.end = c.tune.Read, st.due
	if k.patience > 0 {
		k.begin(st.now, k.patient(st.now), k.patience)
	} else {
		k.begin(st.now, st.due, c.limit)
	}
	c.markSent(ans, st)
	var (
		w       wrote
		persist bool
	)
	if big {
		w, persist, f = c.converse(k, h, g, out, ans, st)
	} else {
		w.n, w.err = k.write(out)
		persist, f = c.receive(k, h, ans)
	}
	ans.BytesOut += int64(w.n)
	if f == nil {
		if persist && w.err == nil && !g.close {
			c.release(h.at, k, ans.Done)
		} else {
			c.discard(h.at, k, true)
		}
		return nil, false
	}
	used, none := k.used, k.in == 0
	c.discard(h.at, k, false)
	switch {
	case ctx.Err() != nil:
		return interrupted(), false
	case f.why == hit.AnswerTimeout && (w.err == nil || isTimeout(w.err)):
		return st.blame(f, c.t.opts.MaxShared), false
	case f.why != hit.ClosedEarly && (w.err == nil || isTimeout(w.err) || f.why == hit.TLSFailed):
		return f, false
	case none && used && w.n == 0:
		return nil, true
	case none && used && replay:
		return nil, true
	case none && used:
		return faultf(hit.ClosedEarly, "the server closed a kept-alive connection as the %s was sent on it; it may have been done, so it was not sent again", h.method), false
	case none && w.err != nil:
		return faultf(hit.SendFailed, "the connection broke while the request was being sent: %s", bare(w.err)), false
	}
	return f, false
}

func interrupted() *fault { return &fault{why: hit.Interrupted, text: "the run was stopped"} }

// markSent notes the instant at which the first byte is about to be written.
func (c *Client) markSent(ans *hit.Answer, st *sending) {
	if ans.Redirects == 0 {
		ans.Sent = st.now
	}
	if !st.sent {
		st.sent = true
		if ans.OnSent != nil {
			ans.OnSent(st.now)
		}
	}
}

// receive reads the answer to a request. persist tells whether
// the connection can be used again.
func (c *Client) receive(k *conn, to *hop, ans *hit.Answer) (persist bool, f *fault) {
	o := &c.t.opts
	var h head
	room := o.MaxHeader
	if k.r < k.w {
		ans.FirstByte = time.Now() // it was read while waiting to send the body
	}
	for {
		end, f := k.readHead(&h, room, &ans.FirstByte)
		if f != nil {
			ans.BytesIn += k.in
			if f.why == hit.AnswerTooLarge && room < o.MaxHeader {
				f = tooManyInterim(o.MaxHeader)
			}
			return false, f
		}
		if h.status >= 200 || h.status == 101 {
			ans.Fields = append(ans.Fields[:0], k.buf[k.r+h.start:k.r+h.stop]...)
			ans.Phrase = append(ans.Phrase[:0], k.buf[k.r+h.text-h.reason:k.r+h.text]...)
			k.r += end
			break
		}
		k.r += end
		room -= end // so that an endless row of 1xx answers ends
		if k.r == k.w {
			ans.FirstByte = time.Time{} // the answer itself has not begun
		}
	}
	ans.Status = h.status
	ans.Proto = "HTTP/1.1"
	if h.minor == 0 {
		ans.Proto = "HTTP/1.0"
	}
	s := sink{kept: ans.Body[:0], left: o.MaxBody, most: o.MaxBody}
	if o.KeepBody(h.status) {
		s.limit = o.BodyLimit
	}
	if c.tune.Pieces != nil && c.announce(to, ans, &s, func() { _ = k.base.Close() }) {
		k.unhurried()
	}
	whole, f := k.readBody(&h, to.method, &s)
	aborted := s.pieces != nil && s.pieces.End()
	if aborted {
		f = nil
	}
	ans.Done = ans.FirstByte
	if k.reads > 1 || !whole {
		ans.Done = time.Now()
	}
	ans.BytesIn += k.in - int64(k.w-k.r)
	ans.Body = s.kept
	if len(s.kept) > 0 {
		damaged := c.t.decode(ans, f == nil && s.whole())
		if f == nil {
			f = damaged
		}
	}
	if f != nil {
		return false, f
	}
	if aborted {
		return false, nil
	}
	k.maxIdle = h.idle
	if k.r < k.w {
		if rest := k.buf[k.r:k.w]; !onlyLineEnds(rest) {
			return false, faultf(hit.BadAnswer, "the server sent more than the answer is long: it goes on with %s", escape(rest))
		}
		whole = false
	}
	return whole && h.persistent(), nil
}

func tooManyInterim(most int) *fault {
	return faultf(hit.AnswerTooLarge, "the 1xx answers and the header block are larger than %d bytes", most)
}

func onlyLineEnds(b []byte) bool {
	for _, c := range b {
		if c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}
