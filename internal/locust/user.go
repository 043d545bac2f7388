package locust

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/load"
)

// Scenario returns what users of these classes do, of all classes when there are
// none given. Its users live in the interpreters; it is for the closed model.
func (b *Bridge) Scenario(classes []string) (load.Scenario, error) {
	s := &scenario{b: b}
	for i, c := range b.loaded.Classes {
		if len(classes) == 0 || slices.Contains(classes, c.Name) {
			s.classes = append(s.classes, i)
		}
	}
	for _, name := range classes {
		if !slices.ContainsFunc(b.loaded.Classes, func(c Class) bool { return c.Name == name }) {
			return nil, fmt.Errorf("the script has no user class %s; it has %s", name, strings.Join(b.Classes(), ", "))
		}
	}
	if len(s.classes) == 0 {
		return nil, errors.New("the script has no user class")
	}
	return s, nil
}

// Classes returns the names of the classes of the run.
func (b *Bridge) Classes() []string {
	var names []string
	for _, c := range b.loaded.Classes {
		names = append(names, c.Name)
	}
	return names
}

// Hosts returns where users send: the host of the run, or those of the classes,
// each once.
func (b *Bridge) Hosts() []string {
	if h := b.host(); h != "" {
		return []string{h}
	}
	var hosts []string
	for _, c := range b.loaded.Classes {
		if c.Host != "" && !slices.Contains(hosts, c.Host) {
			hosts = append(hosts, c.Host)
		}
	}
	return hosts
}

type scenario struct {
	b       *Bridge
	classes []int // indices in Loaded.Classes
}

// NewSender is of load.Plan.
func (b *Bridge) NewSender(user int) (load.Sender, error) {
	return b.targets.Load().sender(user)
}

// NewUser starts a user in an interpreter.
func (s *scenario) NewUser(_ int, ses *load.Session) (load.User, error) {
	b := s.b
	if err := b.Err(); err != nil {
		return nil, err
	}
	send, ok := ses.Sender().(*sender)
	if !ok {
		return nil, errors.New("the senders of the run are not the bridge's")
	}
	class := b.crew.hire(s.classes)
	number := b.nextUser.Add(1) - 1
	c := b.children[int(number)%len(b.children)]
	g := c.enrol(number, ses.ID())
	g.main.s, g.main.sender = ses, send
	send.bind(g.main)
	u := &user{b: b, c: c, g: g, number: number, class: class}
	p := binary.LittleEndian.AppendUint32(c.out.begin(kindUsers, 0), number)
	c.out.end(binary.LittleEndian.AppendUint16(p, uint16(class)))
	b.crew.started(b)
	return u, nil
}

// user is a user of an interpreter, as the engine sees it.
type user struct {
	b      *Bridge
	c      *child
	g      *group
	number uint32
	class  int
}

// Iterate is of load.User; a resident is never asked.
func (u *user) Iterate(context.Context) (wait time.Duration, err error) { return 0, nil }

// Stay sends what the user wants until it has ended.
func (u *user) Stay(ctx context.Context, leave <-chan struct{}) error {
	l := u.g.main
	byItself := false
	defer func() {
		l.leave()
		l.stop()
		u.c.dismiss(u.number)
		u.b.crew.left(u.b, u.class, byItself)
	}()
	var late <-chan time.Time // the task under way has had its time
	for {
		select {
		case m := <-l.in:
			if m.kind == kindRequest && m.flags&flagStream != 0 {
				h := u.heed(leave, late)
				l.take(ctx, m)
				leave, late = h.end()
				continue
			}
			if !l.take(ctx, m) {
				continue
			}
			if byItself = m.why != 0; byItself {
				// The engine gives up the place of a user whose goroutine ends.
				runtime.Goexit()
			}
			return nil
		case <-leave:
			leave = nil
			late = u.b.afterStop()
			u.tell(kindLeave)
		case <-late:
			u.tell(kindLeave) // for the second time: at once
		case <-ctx.Done():
			u.c.standing()
			u.tell(kindKill)
			return nil
		case <-u.c.gone:
			// Nobody takes its place: the run is ending.
			if leave != nil {
				select {
				case <-leave:
				case <-ctx.Done():
				}
			}
			return nil
		}
	}
}

// heeding tells a user to leave while its lane is at a body that may never end.
type heeding struct {
	leave <-chan struct{}
	late  <-chan time.Time
	stop  chan struct{}
	done  chan struct{}
}

func (u *user) heed(leave <-chan struct{}, late <-chan time.Time) *heeding {
	h := &heeding{leave: leave, late: late, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(h.done)
		for {
			select {
			case <-h.leave:
				h.leave = nil
				h.late = u.b.afterStop()
			case <-h.late:
				h.late = nil
			case <-h.stop:
				return
			}
			u.tell(kindLeave)
		}
	}()
	return h
}

// end ends it, and returns what is still to be heeded.
func (h *heeding) end() (leave <-chan struct{}, late <-chan time.Time) {
	close(h.stop)
	<-h.done
	return h.leave, h.late
}

func (u *user) tell(kind byte) {
	u.c.out.end(binary.LittleEndian.AppendUint32(u.c.out.begin(kind, 0), u.number))
}

// afterStop tells when a task that was asked to finish has had its time; nil
// when it has none, and is ended at once.
func (b *Bridge) afterStop() <-chan time.Time {
	seconds, ok := b.loaded.Options["stop_timeout"].(float64)
	if !ok || seconds <= 0 {
		return nil
	}
	return time.After(time.Duration(min(seconds, 1e6) * float64(time.Second)))
}
