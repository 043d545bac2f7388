// Package expr evaluates expressions about a request: an Expr, compiled from
// CEL (the Common Expression Language), is asked about a Subject.
//
//	request.header["X-Api-Key"]
//	request.jwt.sub + "/" + api.id
//	response.status >= 200 && response.status < 400
//
// An expression reads; it cannot change anything, loop without end or take more
// than a bounded time. What a request does not have is "" and not an error.
package expr

import (
	"fmt"

	"cel.dev/cel-go/cel"
)

// Type is what an expression gives.
type Type uint8

// The types that are asked for.
const (
	String Type = iota // a key
	Bool               // a condition
	Int                // a cost
)

// String returns the name of the type for messages.
func (t Type) String() string {
	switch t {
	case String:
		return "text"
	case Bool:
		return "true or false"
	case Int:
		return "a whole number"
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// Expr is a compiled expression. It does not change: any number of goroutines
// may ask it at once.
type Expr struct {
	source   string
	want     Type
	names    []string // of what it reads, such as request.ip, sorted
	response bool

	// One of these when the expression is of a form that needs no interpreter.
	text   func(*Subject) string
	texts  []func(*Subject) string // joined
	truth  func(*Subject) bool
	number func(*Subject) int64

	program cel.Program // else
}

// Error says what is wrong with an expression.
type Error struct {
	// Column is where, in characters from the start of the source, from 1. Line
	// ends count as characters. Zero when an evaluation failed at no known place.
	Column int
	Reason string // what is wrong, and what to do
}

// Error returns column and reason in one line.
func (e *Error) Error() string {
	if e.Column == 0 {
		return e.Reason
	}
	return fmt.Sprintf("column %d: %s", e.Column, e.Reason)
}

// Limits of expressions.
const (
	maxSource = 4096     // bytes of an expression
	maxCost   = 1 << 17  // of one evaluation, in units of CEL: about a comparison, or ten bytes copied
	maxText   = 4 << 20  // bytes of a text that is put together
	maxPart   = 64 << 10 // bytes of a text of the request that the interpreter is given; simple forms take any
	maxToken  = 16 << 10 // bytes of an Authorization field that is decoded
)

// Compile reads an expression that gives a value of type want. The error is an
// *Error. Whoever compiles many uses a Compiler.
func Compile(src string, want Type) (*Expr, error) {
	var c Compiler
	return c.Compile(src, want)
}

// Source returns the text that was compiled.
func (e *Expr) Source() string { return e.source }

// ReadsResponse tells whether the expression can only be asked when the answer
// to the request is known.
func (e *Expr) ReadsResponse() bool { return e.response }

// Reads returns the names of what the expression reads, such as request.header
// and api.id, sorted. The caller must not change the slice.
func (e *Expr) Reads() []string { return e.names }

// String returns the text that an expression compiled for String gives. The
// error is an *Error that holds nothing of the request.
func (e *Expr) String(s *Subject) (string, error) {
	if err := e.ready(s, String); err != nil {
		return "", err
	}
	switch {
	case e.text != nil:
		return e.text(s), nil
	case e.texts != nil:
		return e.joined(s)
	}
	v, err := e.run(s)
	if err != nil {
		return "", err
	}
	return textOf(v)
}

// Bool returns what an expression compiled for Bool gives. For the error see String.
func (e *Expr) Bool(s *Subject) (bool, error) {
	if err := e.ready(s, Bool); err != nil {
		return false, err
	}
	if e.truth != nil {
		return e.truth(s), nil
	}
	v, err := e.run(s)
	if err != nil {
		return false, err
	}
	return truthOf(v)
}

// Int returns what an expression compiled for Int gives. For the error see String.
func (e *Expr) Int(s *Subject) (int64, error) {
	if err := e.ready(s, Int); err != nil {
		return 0, err
	}
	if e.number != nil {
		return e.number(s), nil
	}
	v, err := e.run(s)
	if err != nil {
		return 0, err
	}
	return numberOf(v)
}

// ready refuses what no expression can answer.
func (e *Expr) ready(s *Subject, want Type) error {
	switch {
	case e == nil || s == nil:
		return &Error{Reason: "no expression, or nothing to ask it about"}
	case e.want != want:
		return &Error{Reason: fmt.Sprintf("the expression gives %s and was asked for %s", e.want, want)}
	case e.response && s.Response == nil:
		return &Error{Reason: "the expression reads the response, which is not there yet"}
	}
	return nil
}
