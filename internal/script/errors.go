package script

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// maxErrorText bounds the text of an error, in bytes.
const maxErrorText = 600

// Error is something wrong in a scenario. Error() is one line, fit for a table;
// Trace has the calls that led there.
type Error struct {
	File      string
	Line, Col int // from 1; 0 when it is about the whole file
	Msg       string
	Trace     []Frame // innermost first, the place of the error included; nil for errors found before running
}

// Frame is one call of a backtrace.
type Frame struct {
	File      string
	Line, Col int
	Func      string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.where())
	if len(e.Trace) > 0 && e.Trace[0].Func != topLevel {
		b.WriteString(" in " + e.Trace[0].Func)
	}
	b.WriteString(": ")
	b.WriteString(e.Msg)
	for i := 1; i < len(e.Trace); i++ {
		f := e.Trace[i]
		fmt.Fprintf(&b, "; called at %s:%d:%d", f.File, f.Line, f.Col)
		if f.Func != topLevel {
			b.WriteString(" in " + f.Func)
		}
	}
	return limit(b.String(), maxErrorText)
}

// Backtrace returns the error over several lines, as Python shows one.
func (e *Error) Backtrace() string {
	if len(e.Trace) == 0 {
		return e.Error()
	}
	var b strings.Builder
	b.WriteString("Traceback (most recent call last):\n")
	for i := len(e.Trace) - 1; i >= 0; i-- {
		f := e.Trace[i]
		fmt.Fprintf(&b, "  %s:%d:%d: in %s\n", f.File, f.Line, f.Col, f.Func)
	}
	return b.String() + "Error: " + limit(e.Msg, maxErrorText)
}

const topLevel = "<toplevel>"

func (e *Error) where() string {
	if e.Line == 0 {
		return e.File
	}
	return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Col)
}

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// limit cuts a text at a character, not inside one.
func limit(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}

// explain turns what Starlark says about running code into an Error, or
// returns err when it is one of our signals.
func explain(err error, maxSteps uint64) error {
	var sig *signal
	if errors.As(err, &sig) {
		return sig
	}
	if errors.Is(err, errOver) {
		return errOver
	}
	var ee *starlark.EvalError
	if !errors.As(err, &ee) {
		return err
	}
	e := &Error{Msg: words(ee.Msg, maxSteps)}
	var loaded *Error
	if errors.As(err, &loaded) { // what is wrong is in a file that this one loads
		*e = *loaded
		if e.Trace = slices.Clone(e.Trace); e.Trace == nil {
			e.Trace = []Frame{{e.File, e.Line, e.Col, topLevel}}
		}
	}
	for i := range ee.CallStack {
		f := ee.CallStack.At(i)
		if f.Pos.Line == 0 { // a built-in function: its caller's position says more
			continue
		}
		e.Trace = append(e.Trace, Frame{filepath.Base(f.Pos.Filename()), int(f.Pos.Line), int(f.Pos.Col), f.Name})
	}
	if len(e.Trace) > maxFrames {
		e.Trace = e.Trace[:maxFrames]
	}
	if len(e.Trace) > 0 {
		e.File, e.Line, e.Col = e.Trace[0].File, e.Trace[0].Line, e.Trace[0].Col
	}
	return e
}

const maxFrames = 8

// words puts Starlark's terms into those of a tester.
func words(msg string, maxSteps uint64) string {
	switch {
	case strings.HasSuffix(msg, "cancelled: too many steps"):
		return sprintf("the task did not end within %d steps: is there an endless loop?", maxSteps)
	case strings.HasSuffix(msg, "called recursively"):
		return msg + ": Starlark has no recursion, write a loop"
	case strings.HasPrefix(msg, "unknown binary op: string + ") || strings.HasPrefix(msg, "unknown binary op: ") && strings.HasSuffix(msg, " + string"):
		return msg + ": write str(x) to put a number into a text"
	case strings.Contains(msg, "frozen"):
		return msg + ": what the file makes at its top is shared by all users and cannot change; keep a user's own data on it (user.seen = [])"
	case strings.HasPrefix(msg, "key ") && strings.HasSuffix(msg, " not in dict"):
		return msg + " (use .get(key) when it may be missing)"
	case msg == "unhandled index operation NoneType[string]" || strings.HasPrefix(msg, "NoneType has no ."):
		return msg + ": the value is None"
	case strings.HasPrefix(msg, "dict has no ."):
		return msg + `: look a key up with ["name"] or .get("name")`
	case strings.HasPrefix(msg, "unhandled index operation builtin_function_or_method["):
		return "a function is called with round brackets: env(\"NAME\")"
	case strings.HasPrefix(msg, "builtin_function_or_method has no ."):
		return msg + `: it is a function: log("text"), env("NAME")`
	case strings.HasPrefix(msg, "unhandled index operation method["):
		return `a method has to be called before its result is looked into: r.json()["key"]`
	case strings.HasPrefix(msg, "unknown conversion %") && !strings.HasPrefix(msg, "unknown conversion %%") || strings.HasPrefix(msg, "format spec features not supported"):
		return msg + `: Starlark formats numbers with %d and %s; for two decimals write "%s" % round(x, 2)`
	case strings.HasPrefix(msg, "local variable ") && strings.HasSuffix(msg, "referenced before assignment"):
		return msg + ": a name that a function assigns is its own; keep a user's data on it (user.count = …)"
	}
	return msg
}

// pythonisms says how to write in Starlark what the line of a syntax error
// shows to be Python.
var pythonisms = []struct {
	at   *regexp.Regexp
	hint string
}{
	{regexp.MustCompile(`(^|[^\w"'])[fF]["']`), `Starlark has no f-strings: write "/api/%s" % id or "/api/{}".format(id)`},
	{regexp.MustCompile(`^\s*@`), `there are no decorators: give tasks = [task(my_task, weight = 3)] to HttpUser`},
	{regexp.MustCompile(`^\s*class\b`), `there are no classes: write NormalUser = HttpUser(wait_time = between(1, 2), tasks = [my_task])`},
	{regexp.MustCompile(`^\s*(import|from)\b`), `there is no import: random, json, time and others are there already; load("lib.star", "name") takes names from another file`},
	{regexp.MustCompile(`^\s*(try|except|finally|raise)\b`), `there are no exceptions: look at r.ok or r.status, and end a task with fail("why")`},
	{regexp.MustCompile(`^\s*with\b`), `there is no with: r.success(), r.failure("why") and check(r, …) work on any answer`},
	{regexp.MustCompile(`^\s*global\b`), `there are no changing globals: keep a user's data on it (user.count = 1)`},
	{regexp.MustCompile(`^\s*async\b|\bawait\b`), `every request waits for its answer; leave out async and await`},
	{regexp.MustCompile(`\bis\s+(not\s+)?None\b`), `write == None or != None`},
	{regexp.MustCompile(`(^|;)\s*assert\b`), `write check(r, condition, "what is wrong") or if …: fail("why")`},
	{regexp.MustCompile(`^\s*def\s.*(->|\w\s*:\s*\w+\s*[,)=])`), `leave out the types of parameters and results`},
	{regexp.MustCompile(`[\w)\]]\s*\*\*\s*[\w(]`), `write math.pow(x, y)`},
	{regexp.MustCompile(`^\s*del\b`), `write d.pop("key")`},
	{regexp.MustCompile(`^\s*yield\b`), `there are no generators: return a list`},
}

// explainSource does the same for errors found while reading a file.
func explainSource(err error, src []byte, names starlark.StringDict) error {
	var se syntax.Error
	var list resolve.ErrorList
	switch {
	case errors.As(err, &se):
		return sourceError(se.Pos, se.Msg, src)
	case errors.As(err, &list):
		var all []error
		for i, e := range list {
			if i == maxFrames {
				break
			}
			all = append(all, sourceError(e.Pos, e.Msg+undefinedHint(e.Msg, names), nil))
		}
		return errors.Join(all...)
	}
	return err
}

func sourceError(pos syntax.Position, msg string, src []byte) error {
	e := &Error{File: filepath.Base(pos.Filename()), Line: int(pos.Line), Col: int(pos.Col), Msg: msg}
	lines := strings.Split(string(src), "\n")
	if src != nil && e.Col == 1 && e.Line > 1 && e.Line <= len(lines)+1 && strings.HasPrefix(msg, "got newline") {
		e.Line-- // the end of a line is where the error is, not the start of the next
		e.Col = len(lines[e.Line-1]) + 1
	}
	if src == nil || e.Line < 1 || e.Line > len(lines) {
		return e
	}
	line := strings.TrimRight(lines[e.Line-1], "\r")
	for _, p := range pythonisms {
		if p.at.MatchString(line) {
			e.Msg += ": " + p.hint
			break
		}
	}
	return e
}

// signal is an error that a script raises on purpose.
type signal struct {
	kind       signalKind
	reschedule bool   // interrupt: begin the next task at once
	at         string // interrupt: where it was called
}

type signalKind uint8

const (
	interruptSet signalKind = iota
	stopUser
)

func (s *signal) Error() string {
	if s.kind == stopUser {
		return "the user stops"
	}
	return "user.interrupt() outside of a task set"
}
