package weir

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Wait is how long a user pauses between two tasks. The zero value is no pause.
// With an arrival rate (--rate) the schedule says when tasks begin, and no Wait counts.
type Wait struct {
	kind      waitKind
	low, high time.Duration // waitConstant and waitPaced use low
	own       func(*User) time.Duration
	text      string
	err       error
}

type waitKind uint8

const (
	waitNone waitKind = iota
	waitBetween
	waitConstant
	waitPaced // low is from the beginning of a task to that of the next
	waitOwn
)

// maxWait bounds what a Wait may say, so that a mistaken unit is found.
const maxWait = 30 * 24 * time.Hour

// Between is a pause drawn evenly from low to high, both included, by User.Rand.
func Between(low, high time.Duration) Wait {
	w := Wait{kind: waitBetween, low: low, high: high, text: fmt.Sprintf("between %v and %v", low, high)}
	if low < 0 || high > maxWait || high < low {
		w.err = fmt.Errorf("weir.Between(%v, %v): want two times from 0 to %v, the shorter one first", low, high, maxWait)
	}
	return w
}

// Constant is always the same pause, after each task.
func Constant(d time.Duration) Wait {
	return Wait{kind: waitConstant, low: d, text: "constant " + d.String(), err: within("Constant", d)}
}

// ConstantPacing begins a task every period, whatever the tasks take. One that
// took longer is followed by the next at once. Late wake-ups do not add up.
func ConstantPacing(period time.Duration) Wait {
	return Wait{kind: waitPaced, low: period, text: "one task every " + period.String(), err: within("ConstantPacing", period)}
}

// ConstantThroughput is ConstantPacing said the other way round: so many tasks
// a second for each user, such as 0.5.
func ConstantThroughput(tasksPerSecond float64) Wait {
	if !(tasksPerSecond >= 1/maxWait.Seconds() && tasksPerSecond <= 1e6) {
		return Wait{kind: waitPaced, err: fmt.Errorf("weir.ConstantThroughput(%v): want tasks per second and user, such as 0.5", tasksPerSecond)}
	}
	return Wait{kind: waitPaced, low: time.Duration(math.Round(float64(time.Second) / tasksPerSecond)), text: fmt.Sprintf("%v tasks per second", tasksPerSecond)}
}

// WaitFunc asks fn after each task. A negative answer counts as 0.
func WaitFunc(fn func(u *User) time.Duration) Wait {
	w := Wait{kind: waitOwn, own: fn, text: "as a function says"}
	if fn == nil {
		w.err = errors.New("weir.WaitFunc(nil): want a function")
	}
	return w
}

// String returns the wait in words, "" for none.
func (w Wait) String() string { return w.text }

func within(name string, d time.Duration) error {
	if d < 0 || d > maxWait {
		return fmt.Errorf("weir.%s(%v): want a time from 0 to %v", name, d, maxWait)
	}
	return nil
}

func (w Wait) check() error { return w.err }

// next returns how long u waits now. begun is when the task that has ended began.
func (w Wait) next(u *User, begun time.Time) time.Duration {
	switch w.kind {
	case waitBetween:
		if more := w.high - w.low; more > 0 {
			return w.low + time.Duration(u.Rand().Int64N(int64(more)+1))
		}
	case waitPaced:
		return u.row.Next(w.low, begun, time.Now())
	case waitOwn:
		return w.own(u)
	}
	return w.low
}
