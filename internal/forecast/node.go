package forecast

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/yaml"
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
	maxKeys    = 5000
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
func (r *reader) document(data []byte) *node {
	text, err := yaml.Open(data, yaml.Bounds{Bytes: maxBytes, Levels: maxNesting, Keys: maxKeys})
	r.lines = text.Lines
	switch {
	case err != nil:
		var at *token.Position
		if err.At != nil {
			at = err.At.Position
		}
		r.fault(at, "", "%s", err.Reason)
		return nil
	case len(text.Docs) == 0:
		r.fault(nil, "", "the file is empty; it needs flows: and limits: or tier:")
		return nil
	case len(text.Docs) > 1:
		r.fault(text.Docs[1].GetToken().Position, "", "a second document; a forecast file has one")
		return nil
	}
	return r.node(text.Docs[0], 0)
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
