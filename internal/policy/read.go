package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/yaml"
)

// Parse reads a policy file. name is used in errors only. The error is of type
// Errors and holds every problem found, up to 50; the file is nil then.
func Parse(name string, data []byte) (*File, error) {
	r := &reader{name: name}
	file := r.file(data)
	if len(r.errs) == 0 {
		return file, nil
	}
	slices.SortStableFunc(r.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return nil, r.errs
}

// reader walks the syntax tree of one file.
type reader struct {
	name    string
	lines   []string
	anchors map[string]ast.Node
	errs    Errors

	compiler expr.Compiler
}

// fault adds a problem at a token; nil is the file as a whole.
func (r *reader) fault(at *token.Token, path, format string, args ...any) {
	if len(r.errs) >= maxErrors {
		return
	}
	e := &Error{File: r.name, Path: path, Reason: fmt.Sprintf(format, args...)}
	if at != nil && at.Position != nil {
		e.Line, e.Column = max(at.Position.Line, 1), max(at.Position.Column, 1)
		if e.Line <= len(r.lines) {
			e.Source = r.lines[e.Line-1]
		}
	}
	r.errs = append(r.errs, e)
}

func (r *reader) file(data []byte) *File {
	text, err := yaml.Open(data, yaml.Bounds{Bytes: maxBytes, Levels: maxNesting, Keys: maxKeys})
	r.lines = text.Lines
	switch {
	case err != nil:
		r.fault(err.At, "", "%s", err.Reason)
		return nil
	case len(text.Docs) == 0:
		r.fault(nil, "", "the file is empty; it needs policies: and a list of limits")
		return nil
	case len(text.Docs) > 1:
		r.fault(start(text.Docs[1]), "", "a second document; a policy file has one, with all policies under policies:")
		return nil
	}
	r.anchors = yaml.Anchors(text.Docs[0])
	return r.root(text.Docs[0])
}

// resolve follows anchors and aliases to the node they stand for.
func (r *reader) resolve(n ast.Node, path string) ast.Node {
	for range 20 {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.AliasNode:
			name := ""
			if v.Value != nil {
				name = v.Value.GetToken().Value
			}
			target, ok := r.anchors[name]
			if !ok {
				r.fault(v.Start, path, "no anchor is called &%s", show(name))
				return nil
			}
			n = target
		case *ast.TagNode:
			r.fault(v.Start, path, "tags such as %s are not used in policy files", show(v.Start.Value))
			return nil
		default:
			return n
		}
	}
	if n != nil {
		r.fault(n.GetToken(), path, "an alias that leads back to itself")
	}
	return nil
}

// entry is one "key: value".
type entry struct {
	key   string
	at    *token.Token // of the key
	value ast.Node     // resolved; nil when that failed
	path  string
}

// mapping returns the entries of a mapping, those merged by << last; ok is
// false, with a fault, when it is something else.
func (r *reader) mapping(n ast.Node, path, want string) (entries []entry, ok bool) {
	return r.mappingIn(n, path, want, 0)
}

func (r *reader) mappingIn(n ast.Node, path, want string, depth int) (entries []entry, ok bool) {
	var values []*ast.MappingValueNode
	switch v := n.(type) {
	case *ast.MappingNode:
		values = v.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{v}
	case nil:
		return nil, false // a fault has been noted
	default:
		r.fault(n.GetToken(), path, "this is %s; it must be %s", kind(n), want)
		return nil, false
	}
	seen := map[string]*token.Token{}
	var merged []entry
	for _, v := range values {
		at := v.Key.GetToken()
		if v.Key.IsMergeKey() {
			if depth > 4 {
				r.fault(at, path, "<< inside << more than four times")
				continue
			}
			more, _ := r.mappingIn(r.resolve(v.Value, path), path, "a mapping, or an alias of one", depth+1)
			merged = append(merged, more...)
			continue
		}
		key, isText := r.key(v.Key)
		if !isText {
			r.fault(at, path, "a key must be a plain word")
			continue
		}
		sub := key
		if path != "" {
			sub = path + "." + key
		}
		if first, twice := seen[key]; twice {
			r.fault(at, sub, "given twice, first in line %d; keep one", first.Position.Line)
			continue
		}
		seen[key] = at
		entries = append(entries, entry{key: key, at: at, value: r.resolve(v.Value, sub), path: sub})
	}
	for _, m := range merged {
		if _, own := seen[m.key]; !own {
			seen[m.key] = m.at
			entries = append(entries, m)
		}
	}
	return entries, true
}

// key returns the text of a key.
func (r *reader) key(n ast.MapKeyNode) (string, bool) {
	switch k := n.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.AnchorNode:
		if s, ok := k.Value.(*ast.StringNode); ok {
			return s.Value, true
		}
	case *ast.IntegerNode, *ast.BoolNode, *ast.FloatNode, *ast.NullNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// start returns where a node begins: of a mapping its first key, not its colon.
func start(n ast.Node) *token.Token {
	switch v := n.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return v.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return v.Key.GetToken()
	}
	return n.GetToken()
}

// kind names what a node is, for messages.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	}
	return "something else"
}

// root reads the top of the document.
func (r *reader) root(n ast.Node) *File {
	const want = "a mapping with policies: and a list of limits"
	top, ok := r.mapping(r.resolve(n, ""), "", want)
	if !ok {
		return nil
	}
	file := &File{}
	found := false
	for _, e := range top {
		if e.key == "chain" {
			if e.value != nil {
				file.Chain = r.boolean(e)
			}
			continue
		}
		if e.key != "policies" {
			r.unknown(e, []string{"chain", "policies"})
			continue
		}
		found = true
		if e.value == nil {
			continue
		}
		list, ok := e.value.(*ast.SequenceNode)
		if !ok {
			r.fault(start(e.value), e.path, "this is %s; it must be a list, each entry with a dash before it", kind(e.value))
			continue
		}
		switch {
		case len(list.Values) == 0:
			r.fault(list.GetToken(), e.path, "the list is empty; give at least one policy")
		case len(list.Values) > maxPolicies:
			r.fault(list.GetToken(), e.path, "%d policies, more than %d; split the file", len(list.Values), maxPolicies)
			continue
		}
		var places []map[string]*token.Token
		for i, item := range list.Values {
			p, at := r.policy(item, fmt.Sprintf("policies[%d]", i))
			file.Policies = append(file.Policies, p)
			places = append(places, at)
		}
		r.together(file, places)
	}
	if !found {
		r.fault(start(n), "", "policies: is missing; the file must be %s", want)
	}
	return file
}

// unknown reports a field that does not exist.
func (r *reader) unknown(e entry, names []string) {
	if near := expr.Nearest(e.key, names); near != "" {
		r.fault(e.at, e.path, "no such field; did you mean %s?", near)
		return
	}
	r.fault(e.at, e.path, "no such field; known are %s", strings.Join(names, ", "))
}
