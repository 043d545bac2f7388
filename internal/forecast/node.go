package forecast

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/weir-dev/weir/internal/policy"
)

// node is a piece of a YAML document with its place.
type node struct {
	at     *token.Position
	text   string  // of a scalar, as written but for its quotes
	null   bool    // nothing was written
	list   []*node // not nil for a list
	fields []field // not nil for a mapping
}

type field struct {
	name  string
	at    *token.Position
	value *node
}

func (n *node) kind() string {
	switch {
	case n.list != nil:
		return "a list"
	case n.fields != nil:
		return "a mapping"
	case n.null:
		return "nothing"
	}
	return "text"
}

// Bounds of what Parse reads: such files are written by people.
const (
	maxBytes   = 256 << 10
	maxNesting = 30
	maxErrors  = 50
)

// reader reads one file and notes what is wrong with it.
type reader struct {
	name  string
	lines []string
	errs  policy.Errors
}

func (r *reader) fault(at *token.Position, path, format string, args ...any) {
	if len(r.errs) >= maxErrors {
		return
	}
	e := &policy.Error{File: r.name, Path: path, Reason: fmt.Sprintf(format, args...)}
	if at != nil {
		e.Line, e.Column = max(at.Line, 1), max(at.Column, 1)
		if e.Line <= len(r.lines) {
			e.Source = r.lines[e.Line-1]
		}
	}
	r.errs = append(r.errs, e)
}

// document reads the text; nil after a fault.
func (r *reader) document(data []byte) (top *node) {
	if len(data) > maxBytes {
		r.fault(nil, "", "the file has %d bytes, more than %d", len(data), maxBytes)
		return nil
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	r.lines = strings.Split(text, "\n")
	depth, marks := 0, 0
	for i, line := range r.lines {
		marks = 0
		for _, c := range []byte(line) {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(depth-1, 0)
			case '-', '?', ':', '!', '&', '*':
				marks++
			}
		}
		if depth > maxNesting || marks > 400 {
			r.fault(&token.Position{Line: i + 1, Column: 1}, "", "more than %d levels inside each other; no forecast needs that", maxNesting)
			return nil
		}
	}
	defer func() {
		// Subtle: the YAML library has had panics on malformed input, and a file of a
		// user must never end the program.
		if p := recover(); p != nil {
			r.fault(nil, "", "this is not YAML that can be read; check quotes, brackets and indentation")
			top = nil
		}
	}()
	tree, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var located interface {
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(err, &located) && located.GetToken() != nil {
			r.fault(located.GetToken().Position, "", "not YAML: %s", located.GetMessage())
		} else {
			r.fault(nil, "", "not YAML: %v", err)
		}
		return nil
	}
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if top != nil {
			r.fault(doc.Body.GetToken().Position, "", "a second document; a forecast file has one")
			return nil
		}
		top = r.node(doc.Body, 0)
	}
	if top == nil && len(r.errs) == 0 {
		r.fault(nil, "", "the file is empty; it needs flows: and limits: or tier:")
	}
	return top
}

// node turns a syntax tree into nodes.
func (r *reader) node(n ast.Node, depth int) *node {
	out := &node{at: &token.Position{Line: 1, Column: 1}}
	if n == nil {
		out.null = true
		return out
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		out.at = t.Position
	}
	if depth > maxNesting {
		r.fault(out.at, "", "more than %d levels inside each other; no forecast needs that", maxNesting)
		return out
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		r.mapping(out, v.Values, depth)
	case *ast.MappingValueNode:
		r.mapping(out, []*ast.MappingValueNode{v}, depth)
	case *ast.SequenceNode:
		out.list = []*node{}
		for _, item := range v.Values {
			out.list = append(out.list, r.node(item, depth+1))
		}
	case *ast.NullNode:
		out.null = true
	case *ast.StringNode:
		out.text = v.Value
	case *ast.LiteralNode:
		out.text = v.Value.Value
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		r.fault(out.at, "", "anchors, aliases and tags are not used in forecast files; write it out")
	default:
		out.text = n.GetToken().Value
	}
	return out
}

func (r *reader) mapping(out *node, values []*ast.MappingValueNode, depth int) {
	out.fields = []field{}
	for i, v := range values {
		key := v.Key.GetToken()
		if i == 0 {
			out.at = key.Position
		}
		name := key.Value
		if s, ok := v.Key.(*ast.StringNode); ok {
			name = s.Value
		}
		for _, f := range out.fields {
			if f.name == name {
				r.fault(key.Position, name, "given twice, first in line %d; keep one", f.at.Line)
			}
		}
		out.fields = append(out.fields, field{name: name, at: key.Position, value: r.node(v.Value, depth+1)})
	}
}
