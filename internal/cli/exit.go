package cli

import (
	"errors"
	"fmt"
	"strings"
)

// Exit codes, the same for every verb. docs/run.md lists them for users.
const (
	exitPassed      = 0
	exitFailed      = 1   // a verdict failed
	exitUsage       = 2   // wrong usage, or a file that cannot be read as what it should be
	exitCannotRun   = 3   // nothing wrong with the command, but it could not be carried out here
	exitInvalid     = 4   // the generator was the limit, so the figures say nothing about the target
	exitInterrupted = 130 // Ctrl-C
)

// failure is an error with the exit code it leads to and what to do about it.
type failure struct {
	code int
	err  error
	hint string // what to do, one line; may be empty
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usage(hint, format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...), hint}
}

func cannotRun(hint, format string, args ...any) error {
	return &failure{exitCannotRun, fmt.Errorf(format, args...), hint}
}

// withHint replaces what an error advises to do about a thing that could not be
// carried out. A verdict and wrong usage keep what they say.
func withHint(err error, hint string) error {
	var f *failure
	if errors.As(err, &f) && f.code == exitCannotRun && f.hint != "" {
		return &failure{f.code, f.err, hint}
	}
	return err
}

// parseWords is what the reader of the command line complains of. A flag that
// may be left out has "" among its choices, which nobody would write.
func parseWords(err error) string {
	return strings.Replace(strings.TrimSpace(err.Error()), `one of "",`, "one of ", 1)
}

// exitCode returns the exit code and the hint that err carries.
// An error that carries none means that something could not be carried out.
func exitCode(err error) (code int, hint string) {
	if err == nil {
		return exitPassed, ""
	}
	var f *failure
	if errors.As(err, &f) {
		return f.code, f.hint
	}
	return exitCannotRun, ""
}
