package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is one problem of a file.
type Error struct {
	File   string // as given to Parse
	Line   int    // from 1; 0 when it is about the file as a whole
	Column int    // in characters, from 1
	Path   string // where in the document, such as policies[2].answer.status; "" for the whole
	Reason string // what is wrong and what to do

	Source string // the line of the file, without its end
}

// Error returns file, line, column and reason in one line, and below it the
// line of the file with the place marked.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Reason)
	if e.Line > 0 {
		head := fmt.Sprintf("\n%5d | ", e.Line)
		text, mark := excerpt(e.Source, e.Column)
		b.WriteString(head + text + "\n" + strings.Repeat(" ", len(head)-3) + "| " + mark)
	}
	return b.String()
}

// maxExcerpt is how much of a long line is shown, in characters.
const maxExcerpt = 100

// excerpt returns the line as it can be shown and a line of blanks with a caret
// under the column.
func excerpt(line string, column int) (text, mark string) {
	runes := []rune(strings.ToValidUTF8(line, "\uFFFD"))
	at := min(max(column-1, 0), len(runes))
	start := 0
	if at > maxExcerpt*3/4 {
		start = at - maxExcerpt*3/4
	}
	end := min(start+maxExcerpt, len(runes))
	var t, m strings.Builder
	if start > 0 {
		t.WriteString("…")
		m.WriteByte(' ')
	}
	for i, r := range runes[start:end] {
		if r < ' ' || r == 0x7f {
			r = ' ' // tabs and worse: one column each, so that the caret stands right
		}
		t.WriteRune(r)
		if start+i < at {
			m.WriteByte(' ')
		}
	}
	if end < len(runes) {
		t.WriteString("…")
	}
	return strings.TrimRight(t.String(), " "), m.String() + "^"
}

// Errors are all problems of a file, in the order of their places. It is what
// Parse returns, so that a caller can show each by itself.
type Errors []*Error

// Error returns one problem below the other.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As and errors.Is the problems one by one.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// placeError is an error at a column of a small text inside the file.
type placeError struct {
	column int // in bytes, from 1
	reason string
}

func (e *placeError) Error() string { return fmt.Sprintf("column %d: %s", e.column, e.reason) }

func placed(column int, format string, args ...any) error {
	return &placeError{column: column, reason: fmt.Sprintf(format, args...)}
}

// show quotes a piece of the file for a message, shortened.
func show(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		s = string([]rune(s)[:40]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
