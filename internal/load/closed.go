package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/pace"
)

// closed runs the closed model: users come and go as the level says, and each
// of them iterates over and over. The highest numbers leave first.
type closed struct {
	p     *part
	e     *Engine
	level pace.Level
	want  atomic.Int64 // users below this number stay

	mu      sync.Mutex
	members []*member // by number
	planned int       // users that the level wants now
	running int       // members that are
	more    bool      // the level has a step to come, which may want others
	added   int       // by Engine.Nudge, to those of the level
	closed  bool
}

// member is one user of the closed model.
type member struct {
	c       *closed
	k       int           // its number in the part
	id      int           // its number in the run
	running bool          // guarded by closed.mu
	call    chan struct{} // holds one when the member is to look at want again
	leave   chan struct{} // of a resident, guarded by closed.mu; nil when it is closed
}

const (
	startPause    = time.Second // after the first failure to start, doubling
	startPauseMax = 30 * time.Second
)

func (c *closed) run(ctx context.Context) {
	if c.p.Led {
		c.follow(ctx)
		return
	}
	end := c.level.Length()
	reason := "the plan ended"
	if r := c.p.End; r > 0 && (end == 0 || r < end) {
		end, reason = r, "the run time was reached"
	}
	for t := time.Duration(0); ctx.Err() == nil; {
		next, ok := c.level.Next(t)
		over := end > 0 && (!ok || next >= end)
		c.set(c.level.At(t), t, ok && !over)
		if over {
			next = end
		}
		if !ok && !over {
			<-ctx.Done()
			break
		}
		if !c.p.sleepUntil(ctx, next) {
			break
		}
		t = next
		if over {
			c.p.end(reason, true)
			break
		}
		if c.p.over.Load() {
			break
		}
	}
	c.halt()
}

// follow lets Engine.Lead say how many users there are.
func (c *closed) follow(ctx context.Context) {
	if c.p.End > 0 && c.p.sleepUntil(ctx, c.p.End) {
		c.p.end("the run time was reached", true)
	}
	<-ctx.Done()
	c.halt()
}

// set makes the level want n users, from the instant at of the plan. more says
// that it has a step to come.
func (c *closed) set(n int, at time.Duration, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.planned, c.more = n, more
	c.adjust(at)
	c.desert()
}

// left counts a member out. The caller holds mu.
func (c *closed) left() {
	c.running--
	c.desert()
}

// desert ends the part when users are wanted, all of them have stopped
// themselves, and no step of the level will bring others. The caller holds mu.
func (c *closed) desert() {
	if !c.more && !c.p.Lasting && c.running == 0 && c.want.Load() > 0 && !c.p.ended() {
		c.p.end(EveryUserStopped, true)
	}
}

// adjust lets users in, or go, until there are as many as there are to be. The
// caller holds mu.
func (c *closed) adjust(at time.Duration) {
	if c.closed {
		return
	}
	n := max(c.planned+c.added, 0)
	old := int(c.want.Swap(int64(n)))
	// Subtle: there are fewer members than were wanted when a step of the level
	// comes after the end of the run.
	for id := n; id < min(old, len(c.members)); id++ {
		c.members[id].alert()
	}
	for id := old; id < n; id++ {
		if id < len(c.members) && c.members[id].running {
			continue // it had not left yet, and now it will not
		}
		if !c.e.crew.join() {
			return
		}
		if id == len(c.members) {
			c.members = append(c.members, &member{c: c, k: id, id: c.p.id(id), call: make(chan struct{}, 1)})
		}
		m := c.members[id]
		m.running = true
		c.running++
		go m.run(at)
	}
}

// halt lets everybody go after the iteration under way.
func (c *closed) halt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.planned, c.added = 0, 0
	c.adjust(0)
	c.closed = true
	c.e.crew.close()
}

func (m *member) wanted() bool { return int64(m.k) < m.c.want.Load() && !m.c.p.ended() }

// alert makes the member look at want again. The caller holds closed.mu.
func (m *member) alert() {
	select {
	case m.call <- struct{}{}:
	default:
	}
	if m.leave != nil && !m.wanted() {
		close(m.leave)
		m.leave = nil
	}
}

// leaving returns what is closed when the member is no longer wanted.
func (m *member) leaving() <-chan struct{} {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	ch := make(chan struct{})
	if m.wanted() {
		m.leave = ch
	} else {
		close(ch)
	}
	return ch
}

// stay lets a resident be for as long as it is wanted.
func (m *member) stay(s *Session, r Resident) {
	err := s.stay(r, m.leaving())
	if err == nil || s.cut {
		return
	}
	m.c.e.noteScenario(err)
	timer := time.NewTimer(errorPause)
	defer timer.Stop()
	m.pause(timer, m.c.e.since()+errorPause)
}

// done reports whether the member, which is about to leave, may: it may have
// been wanted again in the meantime.
func (m *member) done() bool {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if m.running = m.wanted(); m.running {
		return false
	}
	m.c.left()
	return true
}

// gone is told that the goroutine of the member ends.
//
// Subtle: the member is still running then only after runtime.Goexit in a
// scenario, which is how a user stops itself.
func (m *member) gone() {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if m.running {
		m.running = false
		m.c.left()
	}
}

func (m *member) run(from time.Duration) {
	defer m.c.e.crew.leave()
	defer m.gone()
	wake := m.c.e.since() - from
	for first := true; ; first = false {
		m.serve(wake, first)
		if m.done() {
			return
		}
		wake = -1
	}
}

// serve starts the user and iterates until it is no longer wanted.
func (m *member) serve(wake time.Duration, first bool) {
	e := m.c.e
	s, u := m.hire(first)
	defer func() { s.dismiss(u) }()
	if u == nil {
		return
	}
	if r, ok := u.(Resident); ok {
		m.stay(s, r)
		return
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	_, repeats := u.(*repeater)
	due := e.since()
	handed := due
	for m.wanted() {
		wait, err := s.iterate(u, due, handed, wake)
		if err != nil {
			if !s.cut {
				e.noteScenario(err)
			}
			wait = max(wait, errorPause)
		} else if s.sends == 0 {
			wait = max(wait, idlePause)
		}
		if wait <= 0 {
			due, wake = s.hit.done, -1
			if !repeats { // any other scenario may do something after its last answer
				due = e.since()
			}
			handed = due
			continue
		}
		due = e.since() + wait
		if !m.pause(timer, due) {
			return
		}
		handed = e.since()
		wake = handed - due
	}
}

// hire starts the user, trying again for as long as it is wanted. The user is
// nil when it is not wanted any more.
func (m *member) hire(first bool) (*Session, User) {
	e := m.c.e
	for pause := startPause; ; pause = min(2*pause, startPauseMax) {
		s, u, err := m.c.p.hire(m.k, m.id)
		if err == nil || first && !s.cut {
			e.reportStart(err)
			first = false
		}
		if err == nil {
			return s, u
		}
		if !s.cut {
			e.noteScenario(err)
		}
		timer := time.NewTimer(pause)
		wanted := m.pause(timer, e.since()+pause)
		timer.Stop()
		if !wanted {
			return s, nil
		}
		s.dismiss(nil)
	}
}

// pause waits until that instant and reports whether the member is still wanted.
func (m *member) pause(timer *time.Timer, until time.Duration) bool {
	timer.Reset(until - m.c.e.since())
	for {
		if !m.wanted() {
			return false
		}
		select {
		case <-timer.C:
			return m.wanted()
		case <-m.call:
			// Perhaps the call of an earlier step: look again, sleep on.
		}
	}
}
