package envoy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/yaml"
)

// Limits of what Parse reads. Such files are often generated, so there is more
// room than in a policy file written by hand.
const (
	maxBytes    = 4 << 20
	maxDepth    = 32 // descriptors inside each other
	maxLevels   = 64
	maxPolicies = 20_000
	maxErrors   = 50
)

// Parse reads a configuration of the rate limit service: one document, or
// several with a domain each, also inside a ConfigMap of Kubernetes, from where
// its place is told; manifests beside it are not looked at. name is used in errors only, which are of type
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
	if inside, found := embedded(string(data)); found {
		data = []byte(inside)
	}
	text, err := yaml.Open(data, yaml.Bounds{Bytes: maxBytes, Levels: maxLevels, Keys: maxPolicies})
	r.lines = text.Lines
	switch {
	case err != nil:
		r.fault(err.At, "", "%s", err.Reason)
		return
	case len(text.Docs) == 0:
		r.fault(nil, "", "the file is empty; it needs domain: and descriptors:")
	}
	domains := map[string]bool{}
	for _, doc := range text.Docs {
		r.anchors = yaml.Anchors(doc)
		r.root(doc, domains)
	}
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
			if near := expr.Nearest(word, known); near != "" {
				r.fault(at, join(path, word), "no such field; did you mean %s?", near)
				continue
			}
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
