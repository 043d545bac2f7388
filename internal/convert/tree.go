package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds how deep values nest.
const maxDepth = 200

// node is a value of a JSON or YAML source with its place. All methods work on
// nil, which is the value that is not there.
type node struct {
	kind      nodeKind
	text      string // of a text, a number as it was spelled, "true" or "false"
	keys      []string
	items     []*node // of a list, or the values of keys
	twice     bool    // a key comes twice
	line, col int
}

type nodeKind uint8

const (
	isNull nodeKind = iota
	isBool
	isNumber
	isText
	isList
	isMap
)

// get returns the value of a key, nil when there is none.
func (n *node) get(key string) *node {
	if n == nil || n.kind != isMap {
		return nil
	}
	for i, k := range n.keys {
		if k == key {
			return n.items[i]
		}
	}
	return nil
}

// str returns a text, number or bool as text, "" for everything else.
func (n *node) str() string {
	if n == nil {
		return ""
	}
	return n.text
}

func (n *node) has() bool          { return n != nil && n.kind != isNull }
func (n *node) yes() bool          { return n != nil && n.kind == isBool && n.text == "true" }
func (n *node) is(k nodeKind) bool { return n != nil && n.kind == k }

// list returns the items of a list, nil for everything else.
func (n *node) list() []*node {
	if n == nil || n.kind != isList {
		return nil
	}
	return n.items
}

func (n *node) wrong(file, format string, args ...any) error {
	e := &Error{File: file, Msg: fmt.Sprintf(format, args...)}
	if n != nil {
		e.Line, e.Col = n.line, n.col
	}
	return e
}

// lines finds the line and column of offsets that only grow.
type lines struct {
	src        []byte
	done, line int
	start      int // of the line
}

func (l *lines) at(offset int) (line, col int) {
	offset = min(offset, len(l.src))
	for ; l.done < offset; l.done++ {
		if l.src[l.done] == '\n' {
			l.line++
			l.start = l.done + 1
		}
	}
	return l.line + 1, max(offset-l.start, 0) + 1
}

type jsonReader struct {
	*json.Decoder
	name  string
	src   []byte
	marks bool // texts may hold marks, since they are the reader's own
	lines
}

// parseJSON reads one JSON value with the place and order of everything in it.
func parseJSON(name string, src []byte) (*node, error) { return readJSON(name, src, false) }

func readJSON(name string, src []byte, marks bool) (*node, error) {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	r := &jsonReader{Decoder: d, name: name, src: src, marks: marks, lines: lines{src: src}}
	n, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, r.fault(err, "there is more after the end of the JSON")
	}
	return n, nil
}

// skip moves to the first byte of the next token.
func (r *jsonReader) skip() int {
	i := int(r.InputOffset())
	for i < len(r.src) && strings.IndexByte(" \t\r\n,:", r.src[i]) >= 0 {
		i++
	}
	return i
}

func (r *jsonReader) fault(err error, other string) error {
	at, msg := int(r.InputOffset()), other
	var syn *json.SyntaxError
	var whole json.RawMessage
	// Subtle: the offset of a token's error counts from somewhere within, that of the whole text from its beginning.
	if errors.As(err, &syn) {
		err = json.Unmarshal(r.src, &whole)
	}
	switch {
	case errors.As(err, &syn):
		at, msg = int(syn.Offset)-1, "this is not JSON: "+syn.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		at, msg = len(r.src), "this is not JSON: it ends too early"
	}
	l := lines{src: r.src}
	line, col := l.at(max(at, 0))
	return &Error{File: r.name, Line: line, Col: col, Msg: msg}
}

func (r *jsonReader) value(depth int) (*node, error) {
	line, col := r.at(r.skip())
	if depth > maxDepth {
		return nil, &Error{File: r.name, Line: line, Col: col, Msg: fmt.Sprintf("more than %d levels inside each other", maxDepth)}
	}
	t, err := r.Token()
	if err != nil {
		return nil, r.fault(err, "this is not JSON")
	}
	n := &node{line: line, col: col}
	switch t := t.(type) {
	case json.Delim:
		n.kind = isList
		if t == '{' {
			n.kind = isMap
		}
		var seen map[string]bool
		if n.kind == isMap {
			seen = map[string]bool{}
		}
		for r.More() {
			if n.kind == isMap {
				k, err := r.Token()
				if err != nil {
					return nil, r.fault(err, "this is not JSON")
				}
				key, _ := k.(string)
				key = clean(key)
				n.twice = n.twice || seen[key]
				seen[key] = true
				n.keys = append(n.keys, key)
			}
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, v)
		}
		if _, err := r.Token(); err != nil {
			return nil, r.fault(err, "this is not JSON")
		}
	case string:
		n.kind, n.text = isText, r.clean(t)
	case json.Number:
		n.kind, n.text = isNumber, t.String()
	case bool:
		n.kind, n.text = isBool, fmt.Sprint(t)
	}
	return n, nil
}

func (r *jsonReader) clean(s string) string {
	if r.marks {
		return s
	}
	return clean(s)
}

// clean takes away the marks of expressions, which an escape may have brought in.
func clean(s string) string {
	if !strings.ContainsAny(s, string([]rune{markOpen, markClose})) {
		return s
	}
	return strings.NewReplacer(string(markOpen), "\uFFFD", string(markClose), "\uFFFD").Replace(s)
}

type yamlReader struct {
	name    string
	anchors map[string]ast.Node
	made    int // nodes, since an alias may multiply them
}

// parseYAML reads the first document of a YAML source.
func parseYAML(name string, src []byte) (n *node, err error) {
	r := &yamlReader{name: name, anchors: map[string]ast.Node{}}
	if len(src) > maxYAML {
		return nil, &Error{File: name, Msg: fmt.Sprintf("it is larger than %d MB; give it as JSON", maxYAML>>20)}
	}
	if line := nested(src); line > 0 {
		return nil, &Error{File: name, Line: line, Msg: fmt.Sprintf("more than %d levels inside each other", maxDepth)}
	}
	defer func() {
		// Subtle: the YAML library has had panics on malformed input. A file of a
		// user must never end the program, so they become an error here.
		if p := recover(); p != nil {
			n, err = nil, &Error{File: name, Msg: "this is not YAML that can be read; check quotes, brackets and indentation"}
		}
	}()
	tree, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var located interface {
			GetToken() *token.Token
			GetMessage() string
		}
		e := &Error{File: name, Msg: "this is not YAML"}
		if errors.As(err, &located) {
			e.Msg = "this is not YAML: " + located.GetMessage()
			if t := located.GetToken(); t != nil && t.Position != nil {
				e.Line, e.Col = t.Position.Line, t.Position.Column
			}
		}
		return nil, e
	}
	for _, d := range tree.Docs {
		if d.Body != nil {
			ast.Walk(r, d.Body)
			return r.value(d.Body, 0)
		}
	}
	return nil, &Error{File: name, Msg: "it is empty"}
}

// nested returns the first line that nests too deep to be parsed, 0 when none does.
func nested(src []byte) int {
	depth, line := 0, 0
	for text := range bytes.Lines(src) {
		line++
		marks := 0
		for i, c := range text {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(depth-1, 0)
			case '-', '?', '!', '&', '*', ':':
				if i+1 == len(text) || text[i+1] == ' ' || c == '!' || c == '&' || c == '*' {
					marks++
				}
			}
		}
		if depth > maxDepth || marks > 2000 {
			return line
		}
	}
	return 0
}

// Visit collects the anchors.
func (r *yamlReader) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		r.anchors[a.Name.GetToken().Value] = a.Value
	}
	return r
}

func (r *yamlReader) value(y ast.Node, depth int) (*node, error) {
	n := &node{}
	if y == nil {
		return n, nil
	}
	if t := y.GetToken(); t != nil && t.Position != nil {
		n.line, n.col = t.Position.Line, t.Position.Column
	}
	if r.made++; depth > maxDepth || r.made > 5_000_000 {
		return nil, n.wrong(r.name, "this nests too deeply, or within itself")
	}
	var entries []*ast.MappingValueNode
	switch y := y.(type) {
	case *ast.AnchorNode:
		return r.value(y.Value, depth+1)
	case *ast.AliasNode:
		name := ""
		if y.Value != nil {
			name = y.Value.GetToken().Value
		}
		target, ok := r.anchors[name]
		if !ok {
			return nil, n.wrong(r.name, "no anchor is called &%s", short(name, 40))
		}
		return r.value(target, depth+1)
	case *ast.TagNode:
		return r.value(y.Value, depth+1)
	case *ast.StringNode:
		n.kind, n.text = isText, y.Value
	case *ast.LiteralNode:
		n.kind, n.text = isText, y.Value.Value
	case *ast.IntegerNode:
		n.kind, n.text = isNumber, fmt.Sprint(y.Value)
	case *ast.FloatNode:
		n.kind, n.text = isNumber, y.Token.Value
	case *ast.BoolNode:
		n.kind, n.text = isBool, fmt.Sprint(y.Value)
	case *ast.NullNode:
	case *ast.SequenceNode:
		n.kind = isList
		for _, v := range y.Values {
			c, err := r.value(v, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, c)
		}
	case *ast.MappingNode:
		n.kind = isMap
		entries = y.Values
	case *ast.MappingValueNode:
		n.kind = isMap
		entries = []*ast.MappingValueNode{y}
	default: // infinity and NaN
		n.kind, n.text = isText, y.String()
	}
	n.text = clean(n.text)
	seen := map[string]bool{}
	for _, e := range entries {
		v, err := r.value(e.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if _, merge := e.Key.(*ast.MergeKeyNode); merge {
			for i, k := range v.keys {
				if !seen[k] {
					n.keys, n.items = append(n.keys, k), append(n.items, v.items[i])
				}
			}
			continue
		}
		key := clean(e.Key.GetToken().Value)
		n.twice = n.twice || seen[key]
		seen[key] = true
		n.keys, n.items = append(n.keys, key), append(n.items, v)
	}
	return n, nil
}

// short cuts a text for a message.
func short(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
