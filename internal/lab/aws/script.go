package aws

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Step is what happens to one call.
type Step uint8

const (
	OK       Step = iota
	Throttle      // the service's throttling error; nothing is carried out
	Error         // the service's internal error, status 500; nothing is carried out
	Reset         // the request is read and the connection reset; nothing is carried out
	Lost          // the call is carried out and the connection reset: the client cannot know
	Hang          // no answer until the client gives up; nothing is carried out
	Deny          // the credentials may not do it; nothing is carried out

	numSteps = 7
)

// String returns the word ParseScript reads.
func (s Step) String() string {
	if s < numSteps {
		return [numSteps]string{"ok", "throttle", "error", "reset", "lost", "hang", "deny"}[s]
	}
	return "step(" + strconv.Itoa(int(s)) + ")"
}

// Script is what happens to the first calls of an operation, one after the other. The
// operation "*" is for calls of all operations that have no script of their own left.
type Script map[string][]Step

const (
	anyOp    = "*"
	maxSteps = 100_000
)

func (s Script) clone() Script {
	out := Script{}
	for op, steps := range s {
		out[op] = append([]Step(nil), steps...)
	}
	return out
}

// next takes the next step of an operation.
func (s Script) next(op string) (Step, bool) {
	for _, name := range []string{op, anyOp} {
		if steps := s[name]; len(steps) > 0 {
			s[name] = steps[1:]
			return steps[0], true
		}
	}
	return OK, false
}

// ParseScript reads "PutMetricData: throttle*3 lost ok*5 error; PutLogEvents: reset":
// operations with their steps, each with an optional count. Steps without an operation
// are for all.
func ParseScript(text string) (Script, error) {
	out := Script{}
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == '\n' }) {
		op, steps, named := strings.Cut(part, ":")
		op = strings.TrimSpace(op)
		if !named {
			op, steps = anyOp, part
		}
		if strings.TrimSpace(steps) == "" {
			if strings.TrimSpace(part) == "" {
				continue
			}
			return nil, fmt.Errorf("fault script: %s has no steps", op)
		}
		for _, word := range strings.FieldsFunc(steps, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
			name, times, counted := strings.Cut(word, "*")
			n := 1
			if counted {
				var err error
				if n, err = strconv.Atoi(times); err != nil || n < 1 {
					return nil, fmt.Errorf("fault script: %q: after the * want a number from 1 up", word)
				}
			}
			if n > maxSteps-len(out[op]) {
				return nil, fmt.Errorf("fault script: %q: more than %d steps", word, maxSteps)
			}
			step, err := parseStep(name)
			if err != nil {
				return nil, err
			}
			for range n {
				out[op] = append(out[op], step)
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("fault script: it is empty")
	}
	return out, nil
}

func parseStep(name string) (Step, error) {
	for s := OK; s < numSteps; s++ {
		if s.String() == name {
			return s, nil
		}
	}
	return OK, fmt.Errorf("fault script: %q: want ok, throttle, error, reset, lost, hang or deny", name)
}
