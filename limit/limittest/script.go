package limittest

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Script is one limiter's life: a setup, and what must come of each request.
// The package comment describes its text.
type Script struct {
	Name  string // of the file
	Setup Setup
	Lines []Line // in the order of the file; at least one takes
}

// Line is one line of requests.
type Line struct {
	Number  int // in the file, from 1
	Text    string
	Request Request       // the first
	Repeat  int           // how many; at least 1
	Every   time.Duration // from one to the next
	Release bool          // gives back instead of taking
	Want    Answer        // of each: Allowed; of the last: what Says names
}

// Play makes a Subject and puts the script to it, up to the first answer that is
// not the one wanted. It returns how many answers were compared.
func (s *Script) Play(newSubject New) (compared int, err error) {
	subject, err := newSubject(s.Setup)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.Name, err)
	}
	for i := range s.Lines {
		n, err := s.Lines[i].play(subject)
		compared += n
		if err != nil {
			return compared, fmt.Errorf("%s:%d: %s: %w", s.Name, s.Lines[i].Number, s.Lines[i].Text, err)
		}
	}
	if compared == 0 {
		return 0, fmt.Errorf("%s: nothing was compared: no line takes", s.Name)
	}
	return compared, nil
}

func (l *Line) play(subject Subject) (compared int, err error) {
	r := l.Request
	if l.Release {
		releaser, ok := subject.(Releaser)
		if !ok {
			return 0, fmt.Errorf("the subject cannot release, and did not say so")
		}
		return 0, releaser.Release(r)
	}
	for i := 1; i <= l.Repeat; i++ {
		got, err := subject.Take(r)
		if err != nil {
			return compared, err
		}
		compared++
		faults := compare(got, l.Want, i == l.Repeat)
		if faults != "" {
			if l.Repeat > 1 {
				faults = fmt.Sprintf("request %d: %s", i, faults)
			}
			return compared, fmt.Errorf("%s", faults)
		}
		r.At = r.At.Add(l.Every)
	}
	return compared, nil
}

// compare lists what is wrong with got; empty means nothing.
func compare(got, want Answer, fields bool) string {
	var faults []string
	check := func(says Fields, name, g, w string) {
		if g != w && (says == 0 || fields && got.Says&want.Says&says != 0) {
			faults = append(faults, fmt.Sprintf("%s, want %s", g, w))
		}
	}
	word := map[bool]string{true: "allowed", false: "denied"}
	check(0, "", word[got.Allowed], word[want.Allowed])
	field := func(says Fields, name string, g, w any) {
		check(says, name, fmt.Sprintf("%s=%v", name, g), fmt.Sprintf("%s=%v", name, w))
	}
	field(SaysLimit, "limit", got.Limit, want.Limit)
	field(SaysRemaining, "remaining", got.Remaining, want.Remaining)
	field(SaysRetry, "retry", wait(got.RetryAfter), wait(want.RetryAfter))
	field(SaysReset, "reset", wait(got.ResetAfter), wait(want.ResetAfter))
	field(SaysDelay, "delay", wait(got.Delay), wait(want.Delay))
	field(SaysWarn, "warn", got.Warn, want.Warn)
	field(SaysBinding, "binding", got.Binding, want.Binding)
	return strings.Join(faults, "; ")
}

// wait is a duration that may be Never or Unknown.
type wait time.Duration

func (w wait) String() string {
	switch time.Duration(w) {
	case limit.Never:
		return "never"
	case limit.Unknown:
		return "unknown"
	}
	return time.Duration(w).String()
}
