package load

import (
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// piece is a piece of work under way: one Send of a scenario, which takes several
// requests when the plan has a rule to try again.
type piece struct {
	open     bool          // its last answer is still to be recorded
	intended time.Duration // of its first request
	requests int64
	retrying bool          // the next request is a further one of it
	due      time.Duration // of that one
	asked    time.Duration // when the scenario asked for it, which is before it was held back
}

// deliver sends req as often as the plan's rule says, each request being a hit of
// its own, and reports whether there is a last answer to record. Without rules it
// is send.
func (s *Session) deliver(req *hit.Request) bool {
	plan := &s.e.plan
	if !plan.worked {
		return s.send(req)
	}
	w := &s.work
	*w = piece{asked: s.e.since()}
	for {
		if !s.held(req) {
			return false
		}
		open := s.send(req)
		if !open {
			s.quitPiece()
			return false
		}
		w.requests++
		if w.requests == 1 {
			w.intended = s.hit.intended
		}
		w.open = true
		if s.hit.outcome != hit.Throttled {
			return true
		}
		wait, again := plan.Retry.Wait(int(w.requests), s.toldWait, s.Rand().Float64())
		if !again {
			return true
		}
		w.open = false
		s.record()
		w.retrying, w.due = true, s.hit.done+wait
		if !s.between(w.due) {
			s.cut = true
			s.quitPiece()
			return false
		}
	}
}

// between waits for the next request of the piece. It reports false when the run
// was stopped hard.
func (s *Session) between(until time.Duration) bool {
	p := s.e.told.of(int(s.hit.name))
	p.mu.Lock()
	p.work.Waiting++
	p.mu.Unlock()
	ok := s.sleep(until, nil, s.ctx.Done())
	p.mu.Lock()
	p.work.Waiting--
	p.mu.Unlock()
	return ok
}

// sleep waits until that instant of the run, or until wake says that something
// has changed. It reports false as soon as stop is closed.
func (s *Session) sleep(until time.Duration, wake, stop <-chan struct{}) bool {
	if s.timer == nil {
		s.timer = time.NewTimer(until - s.e.since())
	} else {
		s.timer.Reset(until - s.e.since())
	}
	defer s.timer.Stop()
	select {
	case <-s.timer.C:
		return true
	case <-wake:
		return true
	case <-stop:
		return false
	}
}

// quitPiece counts a piece of which some request was answered and that came to no end.
func (s *Session) quitPiece() {
	if s.work.requests == 0 {
		return
	}
	p := s.e.told.of(int(s.hit.name))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.work.Cut++
	p.work.Requests += s.work.requests
}

// finishPiece counts the piece whose last answer is being recorded.
func (s *Session) finishPiece() {
	w, h := &s.work, &s.hit
	w.open = false
	if s.e.warm > 0 && w.intended < s.e.warm && h.done >= s.e.warm {
		return // of the warm-up, whose ticks are closed
	}
	p := s.e.told.of(int(h.name))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.work.Requests += w.requests
	switch h.outcome {
	case hit.Admitted:
		p.work.Done++
		record(&p.work.Total, h.done-w.intended)
		if w.requests > 1 {
			p.work.Again++
			p.work.Last = max(p.work.Last, h.done)
		}
	case hit.Throttled:
		p.work.GaveUp++
	default:
		p.work.Failed++
	}
}
