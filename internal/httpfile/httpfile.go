// Package httpfile reads request files: a File is the requests of a .http or .rest
// file as the REST Client of VS Code and the HTTP Client of JetBrains write them.
//
// What such a file asks of an editor rather than of HTTP (scripts, prompts, answers
// of other requests) is said, and never guessed.
package httpfile

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/weir-dev/weir/internal/hit"
)

// File is a request file.
type File struct {
	name     string
	Requests []*Request
	vars     map[string]variable
}

// Request is one request of a file, its texts as they were written.
type Request struct {
	Name   string // after ### or # @name; "" when it has none
	Line   int    // of its request line, from 1
	Method string

	file    *File
	url     text
	headers []headerLine
	body    []text // line by line; a line that is a file has path set
	notes   []string
}

// text is a piece of a file with its place.
type text struct {
	s    string
	line int
	path string // of a body line "< path"
	fill bool   // "<@": variables in that file stand for their values
}

type headerLine struct{ name, value text }

type variable struct {
	value string
	line  int
}

// Error says what is wrong with a file and where. It holds no values.
type Error struct {
	File string
	Line int // from 1; 0: the whole
	Msg  string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

func (f *File) wrong(line int, format string, args ...any) error {
	return &Error{f.name, line, fmt.Sprintf(format, args...)}
}

// Bounds of what is read.
const (
	maxFile     = 4 << 20
	maxRequests = 2000
)

// methods are those that an editor takes a line to begin with.
var methods = strings.Fields("GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH LOCK UNLOCK PROPFIND PROPPATCH COPY MOVE MKCOL MKCALENDAR ACL SEARCH QUERY")

// Parse reads a file; name is for errors.
func Parse(name, src string) (*File, error) {
	f := &File{name: name, vars: map[string]variable{}}
	switch {
	case len(src) > maxFile:
		return nil, f.wrong(0, "larger than %d MB", maxFile>>20)
	case !utf8.ValidString(src):
		return nil, f.wrong(0, "not UTF-8")
	}
	src = strings.TrimPrefix(src, "\ufeff")
	lines := strings.Split(strings.ReplaceAll(src, "\r\n", "\n"), "\n")
	from, title := 0, ""
	for i := 0; i <= len(lines); i++ {
		if i < len(lines) && !strings.HasPrefix(lines[i], "###") {
			continue
		}
		if err := f.block(lines[from:i], from, title); err != nil {
			return nil, err
		}
		if i < len(lines) {
			title, from = strings.TrimSpace(strings.TrimLeft(lines[i], "#")), i+1
		}
	}
	if len(f.Requests) == 0 {
		return nil, f.wrong(0, "there is no request in it")
	}
	return f, nil
}

// block reads what stands between two separators; from is its first line, from 0.
func (f *File) block(lines []string, from int, title string) error {
	r := &Request{Name: title, file: f}
	i := 0
	for ; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"), strings.HasPrefix(line, "//"):
			note := strings.TrimSpace(strings.TrimLeft(line, "#/"))
			if name, ok := strings.CutPrefix(note, "@name"); ok {
				if name = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "=")); name != "" {
					r.Name = name
				}
			} else if strings.HasPrefix(note, "@prompt") {
				r.notes = append(r.notes, fmt.Sprintf("line %d: what @prompt asks for has to be given with --var", from+i+1))
			}
		case strings.HasPrefix(line, "@"):
			name, value, ok := strings.Cut(line[1:], "=")
			name = strings.TrimSpace(name)
			if !ok || !isName(name) {
				return f.wrong(from+i+1, "write a variable as @name = value")
			}
			f.vars[name] = variable{strings.TrimSpace(value), from + i + 1}
		case strings.HasPrefix(line, "< {%"), strings.HasPrefix(line, "<{%"):
			r.notes = append(r.notes, fmt.Sprintf("line %d: a script before the request is not run", from+i+1))
			for !strings.Contains(lines[i], "%}") && i+1 < len(lines) {
				i++
			}
		case strings.HasPrefix(line, "<"):
			r.notes = append(r.notes, fmt.Sprintf("line %d: a script before the request is not run", from+i+1))
		default:
			return f.request(r, lines, i, from)
		}
	}
	return nil // nothing but comments and variables
}

// request reads the request line at lines[i] and what follows.
func (f *File) request(r *Request, lines []string, i, from int) error {
	if len(f.Requests) >= maxRequests {
		return f.wrong(from+i+1, "more than %d requests", maxRequests)
	}
	r.Line, r.Method = from+i+1, "GET"
	rest := strings.TrimSpace(lines[i])
	if word, more, ok := strings.Cut(rest, " "); ok {
		for _, m := range methods {
			if word == m {
				r.Method, rest = m, strings.TrimSpace(more)
			}
		}
		if r.Method == "GET" && word != "GET" && !strings.Contains(word, "/") && !strings.Contains(word, "{{") && isUpper(word) {
			r.Method, rest = word, strings.TrimSpace(more)
		}
	}
	if j := strings.LastIndex(rest, " HTTP/"); j >= 0 {
		rest = strings.TrimSpace(rest[:j])
	}
	for i+1 < len(lines) { // a long query goes on in the lines below
		next := strings.TrimSpace(lines[i+1])
		if next == "" || next[0] != '?' && next[0] != '&' && !(lines[i+1][0] == ' ' || lines[i+1][0] == '\t') {
			break
		}
		i++
		if strings.HasPrefix(next, "#") || strings.HasPrefix(next, "//") {
			continue
		}
		if j := strings.LastIndex(next, " HTTP/"); j >= 0 {
			next = strings.TrimSpace(next[:j])
		}
		rest += next
	}
	r.url = text{s: rest, line: r.Line}
	for i++; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" {
			i++
			break
		}
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "//") {
			continue
		}
		if strings.HasPrefix(line, "> ") || strings.HasPrefix(line, ">>") || strings.HasPrefix(line, "<> ") {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(strings.TrimSpace(name)) {
			return f.wrong(from+i+1, "not a header line (Name: value); leave an empty line before the body")
		}
		at := from + i + 1
		r.headers = append(r.headers, headerLine{text{s: strings.TrimSpace(name), line: at}, text{s: strings.TrimSpace(value), line: at}})
	}
	r.readBody(lines, i, from)
	f.Requests = append(f.Requests, r)
	return nil
}

// readBody takes the lines of the body, up to what is meant for the editor.
func (r *Request) readBody(lines []string, i, from int) {
	for ; i < len(lines); i++ {
		line := lines[i]
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "> {%"), strings.HasPrefix(trimmed, ">{%"), isOutput(trimmed):
			r.notes = append(r.notes, fmt.Sprintf("line %d: what is done with the answer is left out", from+i+1))
			if strings.Contains(trimmed, "{%") {
				for !strings.Contains(lines[i], "%}") && i+1 < len(lines) {
					i++
				}
			}
			continue
		}
		t := text{s: line, line: from + i + 1}
		if rest, ok := strings.CutPrefix(line, "<@"); ok {
			// An encoding may stand between: <@latin1 ./file
			rest = strings.TrimSpace(rest)
			if _, path, has := strings.Cut(rest, " "); has && !strings.ContainsAny(rest[:strings.Index(rest, " ")], "./") {
				rest = path
			}
			t.path, t.fill = strings.TrimSpace(rest), true
		} else if rest, ok := strings.CutPrefix(line, "< "); ok {
			t.path = strings.TrimSpace(rest)
		}
		r.body = append(r.body, t)
	}
	for len(r.body) > 0 && strings.TrimSpace(r.body[len(r.body)-1].s) == "" {
		r.body = r.body[:len(r.body)-1]
	}
}

// isOutput tells a line that names a file for the answer: "> x.js", ">> x", "<> x".
func isOutput(line string) bool {
	for _, head := range []string{">>! ", ">> ", "<> "} {
		if strings.HasPrefix(line, head) {
			return true
		}
	}
	rest, ok := strings.CutPrefix(line, "> ")
	return ok && strings.HasSuffix(rest, ".js")
}

// Find returns the request of a name, or the only one for "". The error lists those
// that there are.
func (f *File) Find(name string) (*Request, error) {
	var found []*Request
	var names []string
	for _, r := range f.Requests {
		if name == "" || r.Name == name || r.Label() == name {
			found = append(found, r)
		}
		names = append(names, fmt.Sprintf("%q (line %d)", r.Label(), r.Line))
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return nil, f.wrong(0, "no request is called %q; there are %s", name, strings.Join(names[:min(len(names), 20)], ", "))
	case name == "":
		return nil, f.wrong(0, "there are %d requests, say which: %s", len(found), strings.Join(names[:min(len(names), 20)], ", "))
	}
	return nil, f.wrong(found[1].Line, "a second request called %q; the first is on line %d", name, found[0].Line)
}

// Label is the name of a request, or its method and URL as written.
func (r *Request) Label() string {
	if r.Name != "" {
		return r.Name
	}
	return r.Method + " " + r.url.s
}

// Notes say what an editor would do for the request that was left out.
func (r *Request) Notes() []string { return r.notes }

func isName(s string) bool {
	for i, c := range s {
		if !(c == '_' || c == '-' || c == '.' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

func isUpper(s string) bool {
	for _, c := range s {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return s != ""
}

// isToken tells a token as in RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func hasField(fields []hit.Field, name string) (string, bool) {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return "", false
}
