package script

import (
	"errors"
	"fmt"
	"math"
	"time"

	stime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
)

// maxSeconds bounds waits, sleeps and time-outs.
const maxSeconds = 30 * 24 * 3600

// wait is how long a user pauses between tasks: the value of between(1, 2) and
// its like.
type wait struct {
	kind      waitKind
	low, high time.Duration // waitConstant and waitPaced use low
	fn        starlark.Callable
	text      string
}

type waitKind uint8

const (
	waitBetween waitKind = iota
	waitConstant
	waitPaced // low is from the beginning of a task to that of the next
	waitOwn   // fn(user) says the seconds
)

func (w *wait) String() string        { return w.text }
func (w *wait) Type() string          { return "wait_time" }
func (w *wait) Freeze()               {}
func (w *wait) Truth() starlark.Bool  { return true }
func (w *wait) Hash() (uint32, error) { return 0, errors.New("unhashable type: wait_time") }

func between(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var low, high starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "min_wait", &low, "max_wait", &high); err != nil {
		return nil, err
	}
	w := &wait{kind: waitBetween}
	var err error
	if w.low, err = seconds("between", low); err != nil {
		return nil, err
	}
	if w.high, err = seconds("between", high); err != nil {
		return nil, err
	}
	if w.high < w.low {
		return nil, fmt.Errorf("between(%s, %s): the second number is the larger one", low, high)
	}
	w.text = fmt.Sprintf("between(%s, %s)", low, high)
	return w, nil
}

func constant(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "wait_time", &v); err != nil {
		return nil, err
	}
	d, err := seconds(b.Name(), v)
	if err != nil {
		return nil, err
	}
	w := &wait{kind: waitConstant, low: d, text: fmt.Sprintf("%s(%s)", b.Name(), v)}
	if b.Name() == "constant_pacing" {
		w.kind = waitPaced
	}
	return w, nil
}

func constantThroughput(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "task_runs_per_second", &v); err != nil {
		return nil, err
	}
	f, ok := starlark.AsFloat(v)
	if !ok || !(f >= 1.0/maxSeconds && f <= 1e6) {
		return nil, fmt.Errorf("constant_throughput(%s): want tasks per second and user, such as 0.5", v)
	}
	return &wait{kind: waitPaced, low: time.Duration(math.Round(float64(time.Second) / f)), text: fmt.Sprintf("constant_throughput(%s)", v)}, nil
}

// waitArg reads wait_time: one of the above, or a function of the user.
func waitArg(v starlark.Value) (*wait, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case *wait:
		return v, nil
	case *starlark.Function:
		if err := takesUser(v); err != nil {
			return nil, err
		}
		return &wait{kind: waitOwn, fn: v, text: v.Name()}, nil
	case *starlark.Builtin:
		return nil, fmt.Errorf("wait_time = %s lacks its numbers: wait_time = %[1]s(…)", v.Name())
	case starlark.Int, starlark.Float:
		return nil, fmt.Errorf("wait_time is a number: write constant(%s) or between(1, 2)", v)
	}
	return nil, fmt.Errorf("wait_time is a %s, want between(1, 2), constant(1), constant_pacing(5), constant_throughput(0.5) or a function", v.Type())
}

// seconds reads a number of seconds or a duration (1500 * time.millisecond).
func seconds(what string, v starlark.Value) (time.Duration, error) {
	if d, ok := v.(stime.Duration); ok {
		v = starlark.Float(time.Duration(d).Seconds())
	}
	f, ok := starlark.AsFloat(v)
	if !ok {
		return 0, fmt.Errorf("%s: %s is no number of seconds", what, v)
	}
	if !(f >= 0 && f <= maxSeconds) {
		return 0, fmt.Errorf("%s: %s is not from 0 to %d seconds", what, v, maxSeconds)
	}
	return time.Duration(math.Round(f * float64(time.Second))), nil
}

// pause returns how long u waits now. begun is when its task began.
func (w *wait) pause(u *user, begun time.Time) (time.Duration, error) {
	if w == nil {
		return 0, nil
	}
	switch w.kind {
	case waitBetween:
		if more := w.high - w.low; more > 0 {
			return w.low + time.Duration(u.rand().Int64N(int64(more)+1)), nil
		}
		return w.low, nil
	case waitPaced:
		return u.paced.Next(w.low, begun, time.Now()), nil
	case waitOwn:
		v, err := u.call(w.fn)
		if err != nil {
			return 0, err
		}
		return seconds(w.text, v)
	}
	return w.low, nil
}
