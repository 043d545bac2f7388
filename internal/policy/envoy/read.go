package envoy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/weir-dev/weir/internal/policy"
)

// Limits of what Parse reads. Such files are often generated, so there is more
// room than in a policy file written by hand.
const (
	maxBytes    = 4 << 20
	maxDepth    = 32 // descriptors inside each other
	maxBrackets = 64
	maxPolicies = 20_000
	maxErrors   = 50
)

// Parse reads a configuration of the rate limit service: one document, or
// several with a domain each. name is used in errors only, which are of type
// policy.Errors and hold every problem found, up to 50; the file is nil then.
//
// What the file says and a policy file cannot say is in Notes, as are things the
// reference service accepts that are probably not what was meant.
func Parse(name string, data []byte) (*policy.File, error) {
	r := &reader{name: name, file: &policy.File{}, names: map[string]bool{}}
	r.read(data)
	if len(r.errs) == 0 {
		return r.file, nil
	}
	slices.SortStableFunc(r.errs, func(a, b *policy.Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return nil, r.errs
}

// reader builds one file.
type reader struct {
	name    string
	lines   []string
	anchors map[string]ast.Node
	file    *policy.File
	names   map[string]bool // of policies
	errs    policy.Errors
}

func (r *reader) fault(at *token.Token, path, format string, args ...any) {
	if len(r.errs) >= maxErrors {
		return
	}
	e := &policy.Error{File: r.name, Path: path, Reason: fmt.Sprintf(format, args...)}
	e.Line, e.Column = place(at)
	if e.Line > 0 && e.Line <= len(r.lines) {
		e.Source = r.lines[e.Line-1]
	}
	r.errs = append(r.errs, e)
}

func (r *reader) note(at *token.Token, format string, args ...any) {
	n := policy.Note{Text: fmt.Sprintf(format, args...)}
	n.Line, n.Column = place(at)
	r.file.Notes = append(r.file.Notes, n)
}

func place(at *token.Token) (line, column int) {
	if at == nil || at.Position == nil {
		return 0, 0
	}
	return max(at.Position.Line, 1), max(at.Position.Column, 1)
}

func (r *reader) read(data []byte) {
	if len(data) > maxBytes {
		r.fault(nil, "", "the file has %d bytes, more than %d; split it", len(data), maxBytes)
		return
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	r.lines = strings.Split(text, "\n")
	if line := tooDeep(r.lines); line > 0 {
		r.fault(&token.Token{Position: &token.Position{Line: line, Column: 1}}, "", "nested deeper than any rate limit configuration")
		return
	}
	docs := r.documents(text)
	if len(r.errs) > 0 {
		return
	}
	if len(docs) == 0 {
		r.fault(nil, "", "the file is empty; it needs domain: and descriptors:")
	}
	domains := map[string]bool{}
	for _, doc := range docs {
		r.anchors = map[string]ast.Node{}
		ast.Walk(anchorFinder{r}, doc)
		r.root(doc, domains)
	}
}

// tooDeep returns the first line with more levels than Parse reads, 0 for none.
// It looks at characters only: the YAML library recurses once for each.
func tooDeep(lines []string) int {
	open := 0
	for i, l := range lines {
		open += strings.Count(l, "[") + strings.Count(l, "{")
		if open > maxBrackets {
			return i + 1
		}
		open = max(0, open-strings.Count(l, "]")-strings.Count(l, "}"))
		rest := strings.TrimLeft(l, " ")
		marks := strings.Count(rest, "- ") + strings.Count(rest, "? ") + strings.Count(rest, ": ") +
			strings.Count(rest, "!") + strings.Count(rest, "&") + strings.Count(rest, "*")
		if len(l)-len(rest) > 1000 || marks > 4*maxBrackets {
			return i + 1
		}
	}
	return 0
}

// documents parses the text. The library has had panics on malformed input; a
// file of a user must never end the program, so they become an error here.
func (r *reader) documents(text string) (docs []ast.Node) {
	defer func() {
		if p := recover(); p != nil {
			r.fault(nil, "", "this is not YAML that can be read; check quotes, brackets and indentation")
			docs = nil
		}
	}()
	tree, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var located interface {
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(err, &located) {
			r.fault(located.GetToken(), "", "not YAML: %s", located.GetMessage())
		} else {
			r.fault(nil, "", "not YAML: %v", err)
		}
		return nil
	}
	for _, doc := range tree.Docs {
		if doc.Body != nil {
			docs = append(docs, doc.Body)
		}
	}
	return docs
}

// anchorFinder collects the anchors (&name) of a document.
type anchorFinder struct{ r *reader }

func (f anchorFinder) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		f.r.anchors[a.Name.GetToken().Value] = a.Value
	}
	return f
}

// resolve follows anchors and aliases.
func (r *reader) resolve(n ast.Node) ast.Node {
	for range 16 {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		case *ast.AliasNode:
			if v.Value == nil || r.anchors[v.Value.GetToken().Value] == nil {
				r.fault(v.Start, "", "no anchor has the name of this alias")
				return nil
			}
			n = r.anchors[v.Value.GetToken().Value]
		default:
			return n
		}
	}
	r.fault(n.GetToken(), "", "an alias that leads back to itself")
	return nil
}

// fields are the entries of one mapping.
type fields struct {
	r     *reader
	at    *token.Token
	path  string
	value map[string]ast.Node
	key   map[string]*token.Token
	order []string
}

// mapping reads a mapping whose keys must be among known; false with a fault
// when it is something else.
func (r *reader) mapping(n ast.Node, path string, known []string) (*fields, bool) {
	n = r.resolve(n)
	f := &fields{r: r, path: path, value: map[string]ast.Node{}, key: map[string]*token.Token{}}
	var values []*ast.MappingValueNode
	switch v := n.(type) {
	case nil:
		return nil, false
	case *ast.MappingNode:
		values = v.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{v}
	default:
		r.fault(n.GetToken(), path, "must be a mapping with %s", strings.Join(known, ", "))
		return nil, false
	}
	f.at = n.GetToken()
	for i, v := range values {
		at := v.Key.GetToken()
		if i == 0 {
			f.at = at
		}
		word, ok := scalar(v.Key)
		if v.Key.IsMergeKey() || !ok {
			r.fault(at, path, "a key must be a plain word; << is not read here")
			continue
		}
		switch {
		case f.key[word] != nil:
			r.fault(at, join(path, word), "given twice, first in line %d; keep one", f.key[word].Position.Line)
			continue
		case slices.Contains(known, word):
		case slices.Contains(allWords(), word):
			// Accepted by the reference service anywhere, and without effect there.
			r.note(at, "%s: has no effect here, for the reference service neither; known here are %s", join(path, word), strings.Join(known, ", "))
			continue
		default:
			r.fault(at, join(path, word), "no such field; known are %s", strings.Join(known, ", "))
			continue
		}
		f.key[word], f.value[word] = at, r.resolve(v.Value)
		f.order = append(f.order, word)
	}
	return f, true
}

func join(path, word string) string {
	if path == "" {
		return word
	}
	return path + "." + word
}

// scalar returns the text of a scalar as it stands in the file, as the reference
// service reads numbers and bools into text too.
func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.NullNode:
		return "", true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}
