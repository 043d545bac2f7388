package locust

import (
	"context"
	"sync"
	"time"
)

// group is the lanes of one session: they share its cookies.
type group struct {
	c    *child
	user uint32
	id   int // number of the user in the run; -1: nobody's
	jar  *jar

	mu    sync.Mutex
	main  *lane     // that of the user's own goroutine; nil in other sessions
	busy  bool      // it has a request
	free  []*lane   // others that have none, counted and not
	count int       // all others
	last  time.Time // when the latest answer went to the script
	over  bool
}

// maxLanes bounds the requests that one session sends at once.
const maxLanes = 2000

func newGroup(c *child, user uint32, id int) *group {
	g := &group{c: c, user: user, id: id, jar: &jar{}}
	g.jar.j.Lenient = true
	return g
}

// quiet tells since when the session has no request, but the one that main is about
// to send; ok is false when others are under way, or when that is not known.
func (g *group) quiet() (since time.Time, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last, g.count == len(g.free) && !g.last.IsZero()
}

// idle tells that a lane has no request any more, and when that was; answered that
// the script waited for it.
func (g *group) idle(l *lane, answered bool) (now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if answered {
		now = time.Now()
	}
	g.last = now
	switch {
	case l == g.main:
		g.busy = false
	case g.over:
		l.stop()
	default:
		g.free = append(g.free, l)
	}
	return now
}

// choose returns a lane that has no request, which is then taken. nil: there are
// too many.
func (g *group) choose(counted bool) *lane {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return nil
	}
	if g.main != nil && !g.busy && counted {
		g.busy = true
		return g.main
	}
	for i := len(g.free) - 1; i >= 0; i-- {
		l := g.free[i]
		if (l.s != nil) == counted || l.s == nil && !g.c.b.counts() {
			g.free = append(g.free[:i], g.free[i+1:]...)
			return l
		}
	}
	if g.count >= maxLanes {
		return nil
	}
	l := newLane(g)
	if !l.open(counted) {
		return nil
	}
	g.count++
	go l.run()
	return l
}

// open gives a lane a sender, and a session where what it sends is counted.
func (l *lane) open(counted bool) bool {
	b := l.c.b
	if counted {
		if e := b.engine.Load(); e != nil {
			if s, err := e.Beside(l.g.id); err == nil {
				l.s = s
				l.sender, _ = s.Sender().(*sender)
			}
		}
	}
	if l.sender == nil {
		l.s = nil
		s, err := b.targets.Load().sender(max(l.g.id, 0))
		if err != nil {
			return false
		}
		l.sender = s
	}
	l.sender.bind(l)
	return true
}

// run is the goroutine of a lane beside a user's own.
func (l *lane) run() {
	ctx, cancel := context.WithCancel(l.c.ctx)
	defer cancel()
	for l.next(ctx) {
	}
	l.leave()
	if l.s != nil {
		l.s.Close()
	} else {
		_ = l.sender.Close() // nobody is left to tell
	}
}

func (l *lane) next(ctx context.Context) bool {
	select {
	case m := <-l.in:
		l.take(ctx, m)
		return true
	case <-l.quit:
		return false
	}
}

// close ends all lanes but the user's own; those that have a request, after it.
func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return
	}
	g.over = true
	for _, l := range g.free {
		l.stop()
	}
	g.free = nil
}
