package load

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// Beside returns a further session of the user with that number, with a sender of
// its own, for requests that it sends at the same time as others; a negative
// number is nobody's. It is to be closed. What it sends is counted as long as
// users are there; its goroutine is the caller's.
func (e *Engine) Beside(user int) (*Session, error) {
	e.mu.Lock()
	parts := e.parts
	e.mu.Unlock()
	if len(parts) == 0 {
		return nil, errors.New("the run has not begun")
	}
	p := parts[0]
	for _, other := range parts {
		if user >= other.first {
			p = other
		}
	}
	s := &Session{e: e, p: p, ctx: p.ctx, id: max(user, 0), wake: -1, beside: true}
	s.ans.OnSent = s.wrote
	sender, err := e.plan.NewSender(user)
	if err != nil {
		return nil, err
	}
	s.sender = sender
	return s, nil
}

// Sender returns what the session sends with.
func (s *Session) Sender() Sender { return s.sender }

// Answer returns the latest answer, whose memory belongs to whoever sends.
func (s *Session) Answer() *hit.Answer { return &s.ans }

// Detach returns a session that has the latest request, still to be marked and
// settled, while s goes on sending. It cannot send.
func (s *Session) Detach() *Session {
	d := &Session{e: s.e, p: s.p, ctx: s.ctx, id: s.id, hit: s.hit, ans: s.ans, work: s.work, wake: s.wake, onWire: s.onWire, beside: true}
	d.ans.OnSent = nil
	d.ans.Fields = append(hit.Fields(nil), s.ans.Fields...)
	d.ans.Body = append([]byte(nil), s.ans.Body[:min(len(s.ans.Body), sampleMasked)]...)
	d.ans.Phrase = nil
	s.hit.open, s.wake, s.work.open = false, -1, false
	return d
}

// Forget drops the latest request, instead of Settle: that it was sent stays
// counted, and it has no outcome.
func (s *Session) Forget() {
	if !s.hit.open {
		return
	}
	s.hit.open = false
	sh := s.e.rec.shard(s.id, int(s.hit.name))
	epoch := s.e.rec.enter(sh)
	s.count(sh.page(tickFor(epoch, s.hit.done)))
	sh.leave(epoch)
}

// Close records the latest request of a session from Engine.Beside and closes its sender.
func (s *Session) Close() {
	s.settle()
	if c, ok := s.sender.(io.Closer); ok {
		_ = c.Close()
	}
}

// Lead makes n users be wanted in the part of the plan that is led, or else in the
// first one with users, whose level then counts from its next step on. It may be
// called from any goroutine.
func (e *Engine) Lead(n int) {
	e.mu.Lock()
	parts := e.parts
	e.mu.Unlock()
	var to *closed
	for _, p := range parts {
		if c, ok := p.model.(*closed); ok && !p.ended() && (to == nil || p.Led && !to.p.Led) {
			to = c
		}
	}
	if to != nil {
		to.set(min(max(n, 0), mostUsers), e.since(), true)
	}
}

// Complain counts an error of the scenario that no call of the engine returned.
func (e *Engine) Complain(err error) { e.noteScenario(err) }

// Note adds a line to the events of the run.
func (e *Engine) Note(kind, text string) { e.note(kind, text) }

// Sample is a request that was not sent by a Sender: a scenario did it by other
// means and tells how it went.
type Sample struct {
	User      int // 0 when nobody's
	Method    string
	Name      string
	Done      time.Time
	Took      time.Duration
	BytesIn   int64
	Throttled bool
	Failed    string // why; "" when it did not fail
}

// Sample counts x. It may be called from any goroutine; before Run it does nothing.
func (e *Engine) Sample(x *Sample) {
	e.mu.Lock()
	start := e.start
	e.mu.Unlock()
	if start.IsZero() {
		return
	}
	c := &e.samples
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.s == nil {
		c.s = &Session{e: e, beside: true}
	}
	s, h := c.s, &c.s.hit
	took := max(x.Took, 0)
	*h = pending{name: int32(e.names.index(label{x.Method, x.Name})), done: max(x.Done.Sub(start), 0)}
	h.sent = max(h.done-took, 0)
	h.intended = h.sent
	switch {
	case x.Throttled:
		h.outcome = hit.Throttled
	case x.Failed != "":
		h.outcome, h.failure, h.why = hit.Failed, hit.CheckFailed, x.Failed
	}
	s.id, s.wake, s.work = x.User, -1, piece{}
	s.ans.Reset()
	s.ans.BytesIn, s.ans.Done = x.BytesIn, x.Done
	// Subtle: Sent stays zero, so that it is in no figure about lateness.
	s.onWire = 1
	e.rec.countSend(s.id, h.sent)
	s.record()
}

// sampler is the session in whose name samples are recorded.
type sampler struct {
	mu sync.Mutex
	s  *Session
}
