package load

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// Session is what one user sends with. It is not safe for concurrent use.
type Session struct {
	e      *Engine
	p      *part
	ctx    context.Context
	sender Sender
	id     int
	ans    hit.Answer
	hit    pending
	names  nameCache
	random *rand.Rand

	// Of the iteration under way:
	due     time.Duration // when it was to begin
	handed  time.Duration // when it did
	wake    time.Duration // how late the clock was with it; negative: no clock was involved
	begins  bool          // nothing was sent in it yet
	sends   int           // requests handed to the sender
	refused int           // requests not handed to it, because the run is over
	cut     bool          // a request was refused or cut: what the scenario makes of that is no error

	unsent bool // it was held back to the end of the run
	beside bool // the goroutine that sends is not a user's

	work     piece         // the piece of work under way
	promise  promise       // the latest wait that the user was told
	toldWait time.Duration // by the latest answer; negative: none
	ticket   int64         // of the request under way, from the holder
	timer    *time.Timer   // of sleep

	onWire  int  // times that the request under way reached the wire
	sending bool // the sender has it
}

// pending is the latest request of a session.
type pending struct {
	open     bool // still to be recorded
	name     int32
	outcome  hit.Outcome
	failure  hit.Failure
	status   int
	why      string
	intended time.Duration
	sent     time.Duration // for a request that never reached the wire: when the sender got it
	done     time.Duration
}

// tooManyRefused is how often a scenario may go on sending after the end of
// the run before its user is stopped in the middle of it.
const tooManyRefused = 100

// leave is the panic that stops a user whose scenario does not.
type leave struct{}

// ID returns the number of the user in the run, from 0: no two parts share one.
func (s *Session) ID() int { return s.id }

// Context returns the run's hard stop, the ctx that Iterate gets.
func (s *Session) Context() context.Context { return s.ctx }

// Stopping reports whether the run is over and no further iteration will
// begin. The iteration under way may go on for Plan.StopTimeout.
func (s *Session) Stopping() bool { return s.p.ended() }

// Rand returns the user's own source of random numbers, the same ones in every
// run with the same Plan.Seed.
func (s *Session) Rand() *rand.Rand {
	if s.random == nil {
		s.random = rand.New(rand.NewPCG(s.e.plan.Seed, uint64(s.id)))
	}
	return s.random
}

// Send sends req and returns the answer, which is valid until the next Send.
//
// The first request of an iteration was intended when the iteration was due,
// any other when Send is called. It is recorded when the scenario sends its
// next one, calls Pause or returns from Iterate, so that Mark can still change
// its outcome; a scenario that waits by other means delays that.
//
// When the run is over (hard stop, or Plan.MaxRequests used up) nothing is sent
// or counted: the answer has hit.Interrupted, and Iterate should return. After
// a hundred of those the user is stopped by a panic.
func (s *Session) Send(req *hit.Request) *hit.Answer {
	s.settle()
	s.hit.open = s.deliver(req)
	return &s.ans
}

// Outcome returns how the latest request ended, hit.Missed when it was refused
// because the run is over.
func (s *Session) Outcome() hit.Outcome { return s.hit.outcome }

// Mark overrides the outcome of the latest Send, before the next one; why is
// one line for the table of errors, without secrets. Only Admitted, Throttled
// and Failed have an effect, and only on an answer that was counted.
func (s *Session) Mark(o hit.Outcome, why string) {
	if !s.hit.open || o > hit.Failed {
		return
	}
	s.hit.outcome = o
	if o == hit.Failed {
		s.hit.failure, s.hit.why = hit.CheckFailed, why
	}
}

// Settle records the latest request now, rather than with the next Send.
func (s *Session) Settle() { s.settle() }

// Restate changes, before Settle, under which name the latest answer is counted
// and how long it is said to have taken: "" and a negative time change nothing.
func (s *Session) Restate(name string, took time.Duration) {
	h := &s.hit
	if !h.open {
		return
	}
	if name != "" {
		who := s.e.names.label(int(h.name))
		h.name = int32(s.e.names.index(label{who.method, name}))
	}
	if took >= 0 {
		h.intended, h.sent = h.done-took, h.done-took
	}
}

// Took returns how long the latest request took, from when it was intended.
func (s *Session) Took() time.Duration { return s.hit.done - s.hit.intended }

// Pause waits for d inside an iteration. It reports false, at once, when the
// run was stopped hard.
func (s *Session) Pause(d time.Duration) bool {
	s.settle()
	if d <= 0 {
		return s.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// send does everything but recording. It reports whether there is something
// to record.
func (s *Session) send(req *hit.Request) bool {
	e, h, a := s.e, &s.hit, &s.ans
	if why := s.p.admit(); why != "" {
		s.refuse(why)
		return false
	}
	if s.begins {
		s.begins = false
		h.intended, h.sent = s.due, s.handed
	} else if s.work.retrying {
		h.intended, h.sent = s.work.due, s.work.due
	} else {
		h.sent = e.since()
		h.intended = h.sent
		if e.plan.worked {
			h.intended = s.work.asked
		}
	}
	h.name = int32(s.names.index(e.names, req))
	a.Reset()
	s.onWire = 0
	s.sends++
	s.sending = true
	s.sender.Send(s.ctx, req, a)
	s.sending = false
	return s.judge()
}

// judge reads the answer. It reports false when there is no outcome, because
// we cut the request ourselves.
func (s *Session) judge() bool {
	h, a := &s.hit, &s.ans
	if a.Done.IsZero() {
		a.Done = time.Now()
	}
	h.done = a.Done.Sub(s.e.start)
	if !a.Sent.IsZero() {
		h.sent = a.Sent.Sub(s.e.start)
		if s.onWire == 0 {
			s.wrote(a.Sent)
		}
	}
	if a.Failure != hit.NoFailure && (a.Failure == hit.Interrupted || s.ctx.Err() != nil) {
		s.cut = true
		h.outcome = hit.Missed
		s.recordCut()
		return false
	}
	h.outcome = s.e.rules.Outcome(a)
	h.failure, h.status, h.why = a.Failure, a.Status, a.Err
	s.read()
	return true
}

// wrote is hit.Answer.OnSent.
func (s *Session) wrote(at time.Time) {
	s.onWire++
	s.e.rec.countSend(s.id, at.Sub(s.e.start))
}

// refuse makes the answer to a request that is not sent any more.
func (s *Session) refuse(why string) {
	s.cut = true
	s.refused++
	if s.refused > tooManyRefused && !s.beside {
		panic(leave{})
	}
	s.ans.Reset()
	s.ans.Failure, s.ans.Err, s.ans.Done = hit.Interrupted, why, time.Now()
	s.hit.outcome = hit.Missed
}

// settle records the latest request if that is still to be done.
func (s *Session) settle() {
	if s.hit.open {
		s.hit.open = false
		s.record()
	}
}

// record counts the latest request. It allocates nothing, takes no lock and
// formats nothing, unless the request failed for a new reason.
func (s *Session) record() {
	h, a, r := &s.hit, &s.ans, s.e.rec
	if s.work.open {
		s.finishPiece()
	}
	if s.e.plan.OnHit != nil {
		s.tellHit()
	}
	var fail *failCell
	switch h.outcome {
	case hit.Throttled:
		s.e.noteThrottled(s)
	case hit.Failed:
		fail = s.e.noteFailed(s)
	}
	sh := r.shard(s.id, int(h.name))
	epoch := r.enter(sh)
	tick := tickFor(epoch, h.done)
	p := sh.page(tick)
	s.count(p)
	if s.e.warm > 0 && h.intended < s.e.warm && time.Duration(tick)*tickLength >= s.e.warm {
		// It belongs to the warm-up, whose ticks are closed.
		s.e.carried.Add(1)
	} else {
		p.cell(int(h.name), h.outcome).add(h, a)
		if fail != nil {
			fail.add(tick, h.sent)
		}
	}
	sh.leave(epoch)
}

// recordCut counts what is known of a request that we cut ourselves.
func (s *Session) recordCut() {
	h, r := &s.hit, s.e.rec
	s.e.noteUnfinished(h)
	sh := r.shard(s.id, int(h.name))
	epoch := r.enter(sh)
	s.count(sh.page(tickFor(epoch, h.done)))
	sh.leave(epoch)
}

// count counts what is kept apart from outcomes.
func (s *Session) count(p *page) {
	h, a := &s.hit, &s.ans
	resent := s.onWire
	if !a.Sent.IsZero() {
		p.sendLag.add(h.sent - h.intended)
		resent--
	}
	if resent != 0 {
		p.resent.Add(int64(resent))
	}
	if s.wake >= 0 {
		p.wakeLag.add(s.wake)
		s.wake = -1
	}
	for range a.Opened {
		p.connect.add(a.Connect / time.Duration(a.Opened))
	}
	if a.Retried {
		p.retried.Add(1)
	}
}
