// Package yaml opens YAML that people wrote: a Text is its lines and its
// documents, as syntax trees that know their places.
//
// Open refuses what would keep the parser busy for long, and lets no text end the
// program. What the documents mean is for the packages that read them.
package yaml

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Text is a text that has been opened. It is a plain value.
type Text struct {
	Lines []string   // without their ends
	Docs  []ast.Node // those that are not empty
}

// Bounds are what Open reads at most; each is at least 1.
type Bounds struct {
	Bytes  int
	Levels int // inside each other
	Keys   int // of one mapping
}

// Error says why a text cannot be opened.
type Error struct {
	At     *token.Token // nil when it is about the text as a whole
	Reason string
}

// Error returns the reason.
func (e *Error) Error() string { return e.Reason }

// Open parses a text of any number of documents. Duplicate keys are left to the
// reader, who can say which. The Text has its lines even when there is an error,
// to show the place.
func Open(data []byte, b Bounds) (text Text, err *Error) {
	if len(data) > b.Bytes {
		return text, &Error{Reason: fmt.Sprintf("the file has %d bytes, more than %d; split it", len(data), b.Bytes)}
	}
	s := strings.TrimPrefix(string(data), "\ufeff")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	text.Lines = strings.Split(s, "\n")
	if line := tooDeep(text.Lines, b); line > 0 {
		return text, &Error{
			At:     &token.Token{Position: &token.Position{Line: line, Column: 1}},
			Reason: fmt.Sprintf("more than %d levels inside each other, or more than %d keys at one level; nothing that is written by hand needs that", b.Levels, b.Keys),
		}
	}
	text.Docs, err = parse(s)
	return text, err
}

func parse(s string) (docs []ast.Node, err *Error) {
	defer func() {
		// Subtle: the YAML library has had panics on malformed input. A file of a
		// user must never end the program, so they become an error here.
		if p := recover(); p != nil {
			docs, err = nil, &Error{Reason: "this is not YAML that can be read; check quotes, brackets and indentation"}
		}
	}()
	tree, fault := parser.ParseBytes([]byte(s), 0, parser.AllowDuplicateMapKey())
	if fault != nil {
		var located interface {
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(fault, &located) {
			return nil, &Error{At: located.GetToken(), Reason: "not YAML: " + located.GetMessage() + advice(located.GetMessage())}
		}
		return nil, &Error{Reason: "not YAML: " + fault.Error()}
	}
	for _, doc := range tree.Docs {
		if doc.Body != nil {
			docs = append(docs, doc.Body)
		}
	}
	return docs, nil
}

// advice is what to do about a message of the library, where it is not plain.
func advice(message string) string {
	if strings.HasPrefix(message, "',' or") { // an expression with brackets inside { }, mostly
		return "; inside { } and [ ] a value that has brackets or a comma must stand in quotes"
	}
	return ""
}

// tooDeep returns the first line at which brackets or marks nest deeper, or one
// mapping has more keys, than b allows, 0 when there is none. It looks at
// characters only: the YAML library recurses once per level and takes time with
// the square of both.
func tooDeep(lines []string, b Bounds) int {
	depth := 0
	keys := map[int]int{} // by indentation, since the last line with less
	for i, line := range lines {
		marks, colons := 0, 0
		for j := range len(line) {
			switch line[j] {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(depth-1, 0)
			case '-', '?', '!', '&', '*', ':':
				if j+1 == len(line) || line[j+1] == ' ' || line[j] != '-' {
					marks++
				}
				if line[j] == ':' {
					colons++
				}
			}
		}
		rest := strings.TrimLeft(line, " ")
		if rest == "" {
			continue
		}
		indent := len(line) - len(rest)
		for other := range keys {
			if other > indent {
				delete(keys, other)
			}
		}
		if rest[0] != '-' { // an entry of a list is a mapping of its own
			keys[indent] += colons
		}
		if depth > b.Levels || marks > 8*b.Levels || keys[indent] > b.Keys {
			return i + 1
		}
	}
	return 0
}

// Anchors returns the anchors (&name) of a document with what they stand for.
func Anchors(doc ast.Node) map[string]ast.Node {
	f := finder{}
	ast.Walk(f, doc)
	return f
}

type finder map[string]ast.Node

func (f finder) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		f[a.Name.GetToken().Value] = a.Value
	}
	return f
}
