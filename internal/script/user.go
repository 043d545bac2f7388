package script

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/weir-dev/weir/internal/crowd"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
)

// user is one virtual user: the value that tasks get. Only its own goroutine
// touches it.
type user struct {
	sc    *Script
	s     *load.Session
	wire  *wire
	class *class

	self   starlark.Tuple // the arguments of every task
	state  []attribute    // user.name = value
	places []place        // the task sets it is in, innermost last
	paced  crowd.Row      // the tasks so far, with a paced wait
	headed *headers       // user.headers; nil until used
	auth   string         // of user.auth: a value of Authorization
	authed starlark.Value // as it was set

	// Of requests, reused:
	req    hit.Request
	fields []hit.Field
	body   []byte
	scrap  []byte
	last   *response // the latest answer, while the session still has it
	mark   *response // the latest answer, while it can be marked
	sent   int       // requests of the iteration under way
	name   string    // of the latest request, for errors
	rested time.Time // when the latest task ended; zero before the end of the first
}

type attribute struct {
	name  string
	value starlark.Value
}

// place is a task set that a user is in.
type place struct {
	set  *taskSet
	done int // tasks begun in it
}

// maxImmediate bounds how many tasks in a row may end by interrupt without
// sending anything, before the user pauses after all.
const maxImmediate = 100

func (s *Script) newUser(c *class, ses *load.Session, w *wire) *user {
	u := &user{sc: s, s: ses, wire: w, class: c}
	u.self = starlark.Tuple{u}
	return u
}

// seat is a Starlark thread with the user it works for. Users take one for the
// time of a task, so that idle ones have none.
type seat struct {
	thread *starlark.Thread
	user   *user
}

func (s *Script) newSeat() any {
	c := &seat{thread: &starlark.Thread{Print: func(_ *starlark.Thread, text string) { s.logger.line(text) }}}
	c.thread.SetLocal(userKey, c)
	c.thread.SetMaxExecutionSteps(s.opts.MaxSteps)
	return c
}

func (u *user) rand() *rand.Rand { return u.s.Rand() }

// start runs on_start. An error means that the user could not start.
func (u *user) start() error {
	if u.class.onStart == nil {
		return nil
	}
	_, err := u.call(u.class.onStart)
	return u.conclude(err)
}

// Iterate runs one task.
func (u *user) Iterate(context.Context) (time.Duration, error) {
	var begun time.Time
	if !u.paced.Begun() {
		begun = time.Now()
	}
	u.sent = 0
	atOnce, err := u.work()
	u.finish()
	u.rested = time.Now()
	err = u.conclude(err)
	if atOnce && err == nil {
		return 0, nil
	}
	pause, werr := u.wait().pause(u, begun)
	if err == nil {
		err = u.conclude(werr)
	}
	return pause, err
}

// conclude turns the error of a task into what the engine reports: nothing
// when the run is over. A user that wants to stop does so here.
func (u *user) conclude(err error) error {
	if err == nil || errors.Is(err, errOver) {
		return nil
	}
	var sig *signal
	if errors.As(err, &sig) && sig.kind == stopUser {
		u.settle()
		// The engine gives up the place of a user whose goroutine ends.
		runtime.Goexit()
	}
	return u.sc.secrets.clean(err)
}

// work runs the next task, entering and leaving sets on the way. atOnce says
// that the next one is to begin without a pause.
func (u *user) work() (atOnce bool, err error) {
	for range maxImmediate {
		if len(u.places) == 0 {
			u.places = append(u.places, place{set: u.class.tasks})
		}
		p := &u.places[len(u.places)-1]
		t := p.set.pick(p.done, u.rand())
		p.done++
		if t.set != nil {
			u.places = append(u.places, place{set: t.set})
			if t.set.onStart == nil {
				continue
			}
			if _, err = u.call(t.set.onStart); err == nil {
				continue
			}
		} else {
			_, err = u.call(t.fn)
		}
		var sig *signal
		if !errors.As(err, &sig) {
			return false, err
		}
		if sig.kind != interruptSet {
			return false, err
		}
		if len(u.places) < 2 {
			return false, fmt.Errorf("%s: user.interrupt() leaves a TaskSet, and %s is in none; return ends the task", sig.at, t.name())
		}
		set := u.places[len(u.places)-1].set
		u.places = u.places[:len(u.places)-1]
		if set.onStop != nil {
			if _, err := u.call(set.onStop); err != nil {
				return false, err
			}
		}
		switch {
		case !sig.reschedule:
			return false, nil
		case u.sent > 0:
			return true, nil
		}
	}
	return false, nil
}

// wait returns that of the innermost set that has one.
func (u *user) wait() *wait {
	for i := len(u.places) - 1; i >= 0; i-- {
		if w := u.places[i].set.wait; w != nil {
			return w
		}
	}
	return u.class.wait
}

// longWait is how long a user has to have waited for its stack to be worth less
// than the microsecond that saves it.
const longWait = 10 * time.Millisecond

// call runs a function of the script with the user as its argument, on another
// stack when the user waits more than it works.
func (u *user) call(fn starlark.Callable) (starlark.Value, error) {
	if time.Since(u.rested) < longWait {
		return u.callHere(fn)
	}
	return u.callAside(fn)
}

func (u *user) callAside(fn starlark.Callable) (v starlark.Value, err error) {
	load.Aside(func() { v, err = u.callHere(fn) })
	return v, err
}

func (u *user) callHere(fn starlark.Callable) (starlark.Value, error) {
	c := u.sc.seats.Get().(*seat)
	c.user = u
	v, err := starlark.Call(c.thread, fn, u.self, nil)
	// Subtle: a seat that a panic went through does not come back.
	c.user = nil
	c.thread.Steps = 0
	if err != nil {
		c.thread.Uncancel()
		err = u.explain(err)
	}
	u.sc.seats.Put(c)
	return v, err
}

// explain adds to an error about missing data what the service answered: that
// is mostly why it is missing.
func (u *user) explain(err error) error {
	err = explain(err, u.sc.opts.MaxSteps)
	var e *Error
	if errors.As(err, &e) && u.last != nil && isAboutData(e.Msg) {
		e.Msg += "; the latest answer was " + u.last.summary()
	}
	return err
}

// finish ends an iteration: nothing can be marked any more, and what the
// session has of the answer is copied if the script may still hold it.
func (u *user) finish() {
	u.mark = nil
	if u.last == nil {
		return
	}
	if len(u.state) == 0 {
		// Nothing can hold the answer: a user's attributes are the only data
		// that outlive a task.
		u.last.drop()
	} else {
		u.last.keep()
	}
	u.last = nil
}

// settle has the latest answer recorded.
func (u *user) settle() {
	u.finish()
	u.s.Pause(0)
}

// Leave runs on_stop of the sets the user is in and of its class. One that fails
// does not keep the others from running.
func (u *user) Leave(context.Context) error {
	var errs []error
	for i := len(u.places) - 1; i >= 0; i-- {
		errs = append(errs, u.farewell(u.places[i].set.onStop))
	}
	u.places = u.places[:0]
	errs = append(errs, u.farewell(u.class.onStop))
	u.finish()
	return errors.Join(errs...)
}

func (u *user) farewell(fn starlark.Callable) error {
	if fn == nil {
		return nil
	}
	_, err := u.call(fn)
	var sig *signal
	if err == nil || errors.Is(err, errOver) || errors.As(err, &sig) {
		return nil
	}
	return fmt.Errorf("on_stop: %w", u.sc.secrets.clean(err))
}

// isAboutData tells whether an error is about something that was expected in an answer.
func isAboutData(msg string) bool {
	return strings.Contains(msg, " not in ") && strings.HasPrefix(msg, "key ") ||
		strings.Contains(msg, "NoneType") || strings.Contains(msg, "out of range")
}
