package load

import (
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

const (
	// errorPause is the least pause after an iteration that returned an error.
	errorPause = 100 * time.Millisecond
	// idlePause is the least pause after an iteration that sent nothing: without
	// it, an empty scenario would be a busy loop.
	idlePause = 10 * time.Millisecond
)

var errOver = errors.New("the run is over")

// hire makes user k of the part, whose number in the run is id: sender, session
// and what the scenario adds.
func (p *part) hire(k, id int) (*Session, User, error) {
	s := &Session{e: p.e, p: p, ctx: p.ctx, id: id, wake: -1}
	s.ans.OnSent = s.wrote
	made := false
	defer func() {
		if !made { // the scenario ended the goroutine
			s.dismiss(nil)
		}
	}()
	u, err := s.start(k)
	made = true
	if err == nil && u == nil {
		err = errors.New("the scenario returned no user")
	}
	return s, u, err
}

func (s *Session) start(k int) (u User, err error) {
	defer s.rescue(&err)
	s.sender, err = s.e.plan.NewSender(s.id)
	if err != nil {
		return nil, err
	}
	if s.sender == nil {
		return nil, errors.New("there is no sender for the user")
	}
	u, err = s.p.Scenario.NewUser(k, s)
	s.settle()
	return u, err
}

// dismiss lets the user, if there is one, say good-bye and closes its sender.
func (s *Session) dismiss(u User) {
	defer func() {
		if c, ok := s.sender.(io.Closer); ok {
			_ = c.Close() // what a connection says as it is closed is of no interest to anybody
		}
	}()
	if l, ok := u.(Leaver); ok && s.ctx.Err() == nil {
		if err := s.farewell(l); err != nil && !s.cut {
			s.e.noteScenario(err)
		}
	}
}

func (s *Session) farewell(u Leaver) (err error) {
	defer s.rescue(&err)
	// A request of it was intended when it is sent: no schedule is behind it.
	s.begins, s.sends, s.refused, s.cut, s.wake = false, 0, 0, false, -1
	err = u.Leave(s.ctx)
	s.settle()
	return err
}

// iterate lets the user do its work once. While s.cut is set, an error only
// tells that the run is over.
func (s *Session) iterate(u User, due, handed, wake time.Duration) (wait time.Duration, err error) {
	defer s.rescue(&err)
	s.due, s.handed, s.wake = due, handed, wake
	s.begins, s.sends, s.refused, s.cut, s.unsent = true, 0, 0, false, false
	wait, err = u.Iterate(s.ctx)
	s.settle()
	return wait, err
}

// stay lets a resident send what it wants.
func (s *Session) stay(r Resident, leave <-chan struct{}) (err error) {
	defer s.rescue(&err)
	s.begins, s.sends, s.refused, s.cut, s.wake = false, 0, 0, false, -1
	err = r.Stay(s.ctx, leave)
	s.settle()
	return err
}

// rescue is deferred: it turns a panic of the scenario, or of the sender, into
// an error.
func (s *Session) rescue(err *error) {
	r := recover()
	if r == nil {
		return
	}
	if _, ok := r.(leave); ok {
		*err = errOver // s.cut is set: nobody reports it
		return
	}
	if p, ok := r.(relayed); ok {
		*err = fmt.Errorf("panic: %v%s", p.value, p.site)
	} else {
		*err = fmt.Errorf("panic: %v%s", r, panicSite())
	}
	if s.sending {
		// The request had begun, so it has to end somehow.
		s.sending = false
		s.ans.Failure, s.ans.Err, s.ans.Done = hit.OtherFailure, (*err).Error(), time.Now()
		s.hit.open = s.judge()
	}
	s.settle()
}

// panicSite returns where a panic began, as " at file.go:12 (pkg.Func)". It is
// called from the deferred function that recovered.
func panicSite() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	panicking := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf(" at %s:%d (%s)", path.Base(f.File), f.Line, path.Base(f.Function))
		}
		if !more {
			return ""
		}
	}
}
