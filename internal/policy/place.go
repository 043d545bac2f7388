package policy

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/weir-dev/weir/internal/expr"
)

// inside reports an error at a column of a text: at that place of the file, also
// where the text is in quotes or in a block of several lines.
func (r *reader) inside(e entry, err error) {
	if err == nil {
		return
	}
	var small *placeError
	var wrong *expr.Error
	value, offset, reason := scalarText(e.value), 0, err.Error()
	switch {
	case errors.As(err, &small):
		offset, reason = utf8.RuneCountInString(value[:min(max(small.column-1, 0), len(value))]), small.reason
	case errors.As(err, &wrong):
		offset, reason = max(wrong.Column-1, 0), wrong.Reason
	}
	before := len(r.errs)
	at := e.place()
	r.fault(at, e.path, "%s", reason)
	if len(r.errs) == before || at == nil || at.Position == nil {
		return
	}
	if line, column, ok := r.position(e.value, value, offset); ok {
		added := r.errs[before]
		added.Line, added.Column, added.Source = line, column, r.lines[line-1]
	}
}

// scalarText returns the text of a node that text accepts, else "".
func scalarText(n ast.Node) string {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value
	case *ast.LiteralNode:
		return v.Value.Value
	}
	return ""
}

// position returns where in the file the character at an offset of a node's text
// stands; false when the text cannot be followed in the file.
//
// The text is what YAML makes of the source: quotes, escapes, line folding and
// indentation are gone. follower reads both side by side.
func (r *reader) position(n ast.Node, value string, offset int) (line, column int, ok bool) {
	at := n.GetToken().Position
	f := follower{lines: r.lines, line: at.Line - 1, column: at.Column - 1, indent: -1}
	switch v := n.(type) {
	case *ast.LiteralNode:
		f.line, f.column = v.Start.Position.Line, 0
		for i := f.line; i < len(r.lines); i++ {
			if rest := strings.TrimLeft(r.lines[i], " "); rest != "" {
				f.indent = len(r.lines[i]) - len(rest)
				break
			}
		}
		f.column = f.indent
	default:
		if style := n.GetToken().Type; style == token.DoubleQuoteType || style == token.SingleQuoteType {
			f.style = style
			f.column++
		}
	}
	if f.line < 0 || f.column < 0 {
		return 0, 0, false
	}
	for i, c := range []rune(value) {
		if !f.meet(c) {
			return 0, 0, false
		}
		if i == offset {
			return f.line + 1, f.column + 1, true
		}
		f.pass(c)
	}
	// Past the last character: behind it, and not at what comes in the next line.
	return f.line + 1, f.column + 1, f.line < len(r.lines)
}

// follower stands at a character of the source.
type follower struct {
	lines        []string
	line, column int        // from 0; the column in characters
	indent       int        // of a block, -1 outside
	style        token.Type // of the quotes, if there are any
}

// rest returns what follows in the line.
func (f *follower) rest() []rune {
	if f.line >= len(f.lines) {
		return nil
	}
	all := []rune(f.lines[f.line])
	return all[min(f.column, len(all)):]
}

// meet moves to where the character c of the text stands.
func (f *follower) meet(c rune) bool {
	for f.line < len(f.lines) {
		rest := f.rest()
		switch {
		case f.style == token.DoubleQuoteType && len(rest) == 1 && rest[0] == '\\': // the line goes on
			f.next()
			continue
		case c != ' ' && c != '\n' && c != '\t' && strings.TrimSpace(string(rest)) == "":
			f.next()
			continue
		case len(rest) == 0:
			return c == ' ' || c == '\n'
		case f.style == token.DoubleQuoteType && rest[0] == '\\':
			return true
		case rest[0] == c:
			return true
		}
		// White space at the end of a line is folded.
		return (c == ' ' || c == '\n') && strings.TrimSpace(string(rest)) == ""
	}
	return false
}

// pass moves behind the character c, at which meet stopped.
func (f *follower) pass(c rune) {
	rest := f.rest()
	switch {
	case (c == ' ' || c == '\n') && f.indent < 0 && strings.TrimSpace(string(rest)) == "", len(rest) == 0:
		f.next()
	case f.style == token.DoubleQuoteType && rest[0] == '\\':
		f.column += 2
		if len(rest) > 1 {
			f.column += map[rune]int{'x': 2, 'u': 4, 'U': 8}[rest[1]]
		}
	case f.style == token.SingleQuoteType && rest[0] == '\'':
		f.column += 2
	default:
		f.column++
	}
}

// next moves to the text of the next line.
func (f *follower) next() {
	f.line++
	f.column = max(f.indent, 0)
	if f.indent < 0 && f.line < len(f.lines) {
		line := []rune(f.lines[f.line])
		for f.column < len(line) && (line[f.column] == ' ' || line[f.column] == '\t') {
			f.column++
		}
	}
}
