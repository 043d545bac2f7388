package script

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"
)

// logRate is how many lines a second all users together may log, and maxLine
// how long one is.
const (
	logRate = 20
	maxLine = 2000
)

// logger passes lines on, not more than logRate a second; it says how many it
// left out. Any number of goroutines may use it.
type logger struct {
	to      func(string)
	secrets *secrets

	mu      sync.Mutex
	second  time.Time // when the count began
	n       int
	dropped int
}

func newLogger(to func(string), s *secrets) *logger { return &logger{to: to, secrets: s} }

func (l *logger) line(text string) {
	if l.to == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.second) >= time.Second {
		if l.dropped > 0 {
			l.to(fmt.Sprintf("(%d lines were left out: at most %d a second are shown)", l.dropped, logRate))
		}
		l.second, l.n, l.dropped = now, 0, 0
	}
	if l.n++; l.n > logRate {
		l.dropped++
		return
	}
	l.to(limit(l.secrets.mask(text), maxLine))
}

// log is log("text", value, …); print does the same.
func log(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(kwargs) > 0 {
		return nil, fmt.Errorf("log takes no named arguments")
	}
	var b strings.Builder
	for i, v := range args {
		if i > 0 {
			b.WriteByte(' ')
		}
		if s, ok := starlark.AsString(v); ok {
			b.WriteString(s)
		} else {
			b.WriteString(v.String())
		}
	}
	t.Print(t, b.String())
	return starlark.None, nil
}
