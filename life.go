package weir

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// What a user does between its first and its last request.

// start makes the user's state and runs OnStart.
func (u *User) start() (err error) {
	if u.actor, err = u.class.hire(u); err != nil {
		return err
	}
	return u.end(u.call(u.class.onStart))
}

// call runs a function of the program, nothing for noFunc.
func (u *User) call(fn int) error {
	if fn == noFunc {
		return nil
	}
	return u.actor.call(fn)
}

// end ends what the program did: nothing can be marked any more. A user that
// wants to stop does so here.
func (u *User) end(err error) error {
	u.mark = nil
	if u.last != nil && cap(u.last.Bytes()) > keptBody {
		u.release()
	}
	if err == nil {
		err = u.misuse
	}
	u.misuse = nil
	if err != nil && errors.Is(err, ErrStop) {
		u.s.Pause(0) // counts the latest answer
		// The engine gives up the place of a user whose goroutine ends.
		runtime.Goexit()
	}
	return err
}

// iterant is a User as the engine sees it.
type iterant struct{ *User }

// Iterate runs one task.
func (u iterant) Iterate(context.Context) (time.Duration, error) {
	var begun time.Time
	if !u.row.Begun() {
		begun = time.Now()
	}
	u.sent = 0
	atOnce, err := u.work()
	if err = u.end(err); err == nil && atOnce {
		return 0, nil
	}
	return u.wait().next(u.User, begun), err
}

// maxImmediate bounds how many tasks in a row may end by ErrInterrupt without
// sending anything, before the user pauses after all.
const maxImmediate = 100

// work runs the next task, entering and leaving sets on the way. atOnce says
// that the next one is to begin without a pause.
func (u *User) work() (atOnce bool, err error) {
	for range maxImmediate {
		if len(u.places) == 0 {
			u.places = append(u.places, place{set: u.class.set})
		}
		p := &u.places[len(u.places)-1]
		t := p.set.pick(p.done, u)
		p.done++
		if t.sub != nil {
			u.places = append(u.places, place{set: t.sub})
			err = u.call(t.sub.onStart)
			if err == nil {
				continue
			}
		} else {
			err = u.call(t.fn)
		}
		if err == nil || !errors.Is(err, ErrInterrupt) {
			return false, err
		}
		if len(u.places) < 2 {
			return false, fmt.Errorf("task %s returned ErrInterrupt, which leaves a TaskSet, and it is in none; nil ends the task", t.name)
		}
		left := u.places[len(u.places)-1].set
		u.places = u.places[:len(u.places)-1]
		if err := u.call(left.onStop); err != nil {
			return false, err
		}
		if u.sent > 0 {
			return true, nil
		}
	}
	return false, nil
}

// wait returns that of the innermost set that has one.
func (u *User) wait() Wait {
	for i := len(u.places) - 1; i >= 0; i-- {
		if w := u.places[i].set.wait; w.kind != waitNone {
			return w
		}
	}
	return u.class.wait
}

// Leave runs OnStop of the sets the user is in and of its class. One that fails
// does not keep the others from running.
func (u iterant) Leave(context.Context) error {
	var errs []error
	for i := len(u.places) - 1; i >= 0; i-- {
		errs = append(errs, u.farewell(u.places[i].set.onStop))
	}
	u.places = nil
	errs = append(errs, u.farewell(u.class.onStop))
	u.mark = nil
	return errors.Join(errs...)
}

func (u *User) farewell(fn int) error {
	err := u.call(fn)
	if err == nil {
		err = u.misuse
	}
	u.misuse = nil
	if err == nil || errors.Is(err, ErrStop) || errors.Is(err, ErrInterrupt) || u.s.Context().Err() != nil {
		return nil
	}
	return fmt.Errorf("class %s: OnStop: %w", u.class.name, err)
}
