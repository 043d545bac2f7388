package apim

import (
	"strings"
	"unicode/utf8"
)

// element is one element of a document. Its text is not kept.
type element struct {
	name  string
	at    int // offset of its <
	attrs []attribute
	kids  []*element
}

// attribute is one attribute of an element.
type attribute struct {
	name    string
	at      int // offset of its name
	raw     string
	valueAt int    // offset of the first byte of raw
	value   string // raw with entities replaced, spaces around cut
	lead    int    // how many bytes of the unescaped raw were cut in front
}

// place returns the offset in the document of the byte at i of the value.
func (a *attribute) place(i int) int { return a.valueAt + rawOffset(a.raw, a.lead+i) }

// attr returns the attribute of a name, or nil.
func (e *element) attr(name string) *attribute {
	for i := range e.attrs {
		if e.attrs[i].name == name {
			return &e.attrs[i]
		}
	}
	return nil
}

// tree reads the elements of a document. It does not recurse, so that no depth
// of nesting is dangerous.
type tree struct {
	*faults
	text  string
	i     int
	nodes int
	stack []*element
	root  *element
}

// readTree returns the root, or nil after a fault.
func readTree(f *faults, text string) *element {
	t := &tree{faults: f, text: text}
	for t.i < len(text) {
		if !t.step() {
			return nil
		}
	}
	switch {
	case len(t.stack) > 0:
		open := t.stack[len(t.stack)-1]
		t.at(open.at, "", "<%s> is not closed; add </%s>", open.name, open.name)
		return nil
	case t.root == nil:
		t.whole("there is no policy in this file; a policy document starts with <policies>")
		return nil
	}
	return t.root
}

// step reads one piece; false ends the reading.
func (t *tree) step() bool {
	rest := t.text[t.i:]
	switch {
	case strings.HasPrefix(rest, "<!--"):
		return t.skipTo("-->", "a comment")
	case strings.HasPrefix(rest, "<![CDATA["):
		return t.skipTo("]]>", "a CDATA section")
	case strings.HasPrefix(rest, "<?"):
		return t.skipTo("?>", "a processing instruction")
	case strings.HasPrefix(rest, "<!"):
		t.at(t.i, "", "a declaration (<!...>) is not allowed in a policy document; remove it")
		return false
	case strings.HasPrefix(rest, "</"):
		return t.close()
	case rest[0] == '<' && len(rest) > 1 && isNameStart(rest[1]):
		return t.open()
	}
	return t.plain()
}

func (t *tree) skipTo(mark, what string) bool {
	n := strings.Index(t.text[t.i:], mark)
	if n < 0 {
		t.at(t.i, "", "%s is not closed; add %s", what, mark)
		return false
	}
	t.i += n + len(mark)
	return true
}

// plain skips text up to the next element: no limit has any. An expression in it
// may hold anything.
func (t *tree) plain() bool {
	from := t.i
	blank := len(t.text[from:]) - len(strings.TrimLeft(t.text[from:], " \t\r\n"))
	if code := from + blank; startsCode(t.text[code:]) && len(t.stack) > 0 {
		end, ok := skipCode(t.text, code)
		if !ok {
			t.unclosed(code, end)
			return false
		}
		t.i = end
		return true
	}
	if t.text[t.i] == '<' {
		t.i++ // a < that opens nothing, as in templates
	}
	if n := strings.IndexByte(t.text[t.i:], '<'); n >= 0 {
		t.i += n
	} else {
		t.i = len(t.text)
	}
	if len(t.stack) == 0 && strings.TrimSpace(t.text[from:t.i]) != "" {
		if t.root == nil {
			t.at(from+blank, "", "text before the first element; a policy document starts with <policies>")
		} else {
			t.at(from+blank, "", "text after </%s>; remove it", t.root.name)
		}
		return false
	}
	return true
}

func (t *tree) unclosed(code, blame int) {
	if blame > code+1 && blame < len(t.text) {
		line, column := t.doc.place(blame)
		t.at(code, "", "this expression does not end: look at line %d, column %d, where brackets or quotes do not match", line, column)
		return
	}
	t.at(code, "", "this expression does not end: a bracket or a quote is not closed")
}

// close reads </name>.
func (t *tree) close() bool {
	at := t.i
	t.i += 2
	name := t.name()
	t.space()
	if t.i >= len(t.text) || t.text[t.i] != '>' {
		t.at(at, "", "</%s is not ended by >", name)
		return false
	}
	t.i++
	if len(t.stack) == 0 {
		t.at(at, "", "</%s> closes nothing; remove it", name)
		return false
	}
	open := t.stack[len(t.stack)-1]
	if open.name != name {
		line, _ := t.doc.place(open.at)
		t.at(at, "", "</%s> closes <%s> of line %d; close the inner element first, with </%s>", name, open.name, line, open.name)
		return false
	}
	t.stack = t.stack[:len(t.stack)-1]
	return true
}

// open reads <name attributes> or <name attributes/>.
func (t *tree) open() bool {
	e := &element{at: t.i}
	t.i++
	e.name = t.name()
	if !t.count(e.at) {
		return false
	}
	if len(t.stack) >= maxDepth {
		t.at(e.at, "", "more than %d elements inside each other; no policy needs that", maxDepth)
		return false
	}
	switch {
	case len(t.stack) > 0:
		parent := t.stack[len(t.stack)-1]
		parent.kids = append(parent.kids, e)
	case t.root != nil:
		t.at(e.at, "", "a second root, <%s>; a file has one document", e.name)
		return false
	default:
		t.root = e
	}
	for {
		spaced := t.space()
		switch {
		case t.i >= len(t.text):
			t.at(e.at, "", "<%s is not ended by >", e.name)
			return false
		case t.text[t.i] == '>':
			t.i++
			t.stack = append(t.stack, e)
			return true
		case strings.HasPrefix(t.text[t.i:], "/>"):
			t.i += 2
			return true
		case !isNameStart(t.text[t.i]):
			t.at(t.i, e.name, "%q cannot stand here; an attribute (name=\"value\"), > or /> is expected", firstRune(t.text[t.i:]))
			return false
		case !spaced:
			t.at(t.i, e.name, "a space is missing before this attribute")
			return false
		}
		if !t.attribute(e) {
			return false
		}
	}
}

// attribute reads name="value". An expression ends at its bracket, not at the
// first quote.
func (t *tree) attribute(e *element) bool {
	a := attribute{at: t.i}
	a.name = t.name()
	if !t.count(a.at) {
		return false
	}
	t.space()
	if t.i >= len(t.text) || t.text[t.i] != '=' {
		t.at(a.at, e.name, "the attribute %s has no value; write %s=\"...\"", a.name, a.name)
		return false
	}
	t.i++
	t.space()
	if t.i >= len(t.text) || t.text[t.i] != '"' && t.text[t.i] != '\'' {
		t.at(a.at, e.name, "the value of %s is not in quotes", a.name)
		return false
	}
	quote := t.text[t.i]
	t.i++
	a.valueAt = t.i
	code := t.i + len(t.text[t.i:]) - len(strings.TrimLeft(t.text[t.i:], " \t\r\n"))
	if startsCode(t.text[code:]) {
		end, ok := skipCode(t.text, code)
		if !ok {
			t.unclosed(code, end)
			return false
		}
		t.i = end
		t.space()
		if t.i >= len(t.text) || t.text[t.i] != quote {
			t.at(t.i, e.name+"."+a.name, "the expression has ended at its bracket, and %c is expected here; an expression is the whole value of an attribute", quote)
			return false
		}
	} else {
		n := strings.IndexByte(t.text[t.i:], quote)
		if n < 0 {
			t.at(a.at, e.name+"."+a.name, "the value of %s is not closed by a quote", a.name)
			return false
		}
		t.i += n
	}
	a.raw = t.text[a.valueAt:t.i]
	t.i++
	whole := unescape(a.raw)
	trimmed := strings.TrimLeft(whole, " \t\r\n")
	a.lead = len(whole) - len(trimmed)
	a.value = strings.TrimRight(trimmed, " \t\r\n")
	if first := e.attr(a.name); first != nil {
		t.at(a.at, e.name+"."+a.name, "given twice; keep one")
		return false
	}
	e.attrs = append(e.attrs, a)
	return true
}

// count bounds how many things a document has.
func (t *tree) count(at int) bool {
	t.nodes++
	if t.nodes > maxNodes {
		t.at(at, "", "more than %d elements and attributes; split the document into fragments", maxNodes)
		return false
	}
	return true
}

func (t *tree) space() (any bool) {
	for t.i < len(t.text) && strings.IndexByte(" \t\r\n", t.text[t.i]) >= 0 {
		t.i++
		any = true
	}
	return any
}

func (t *tree) name() string {
	from := t.i
	for t.i < len(t.text) && isName(t.text[t.i]) {
		t.i++
	}
	return t.text[from:t.i]
}

func isNameStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}

func isName(c byte) bool {
	return isNameStart(c) || '0' <= c && c <= '9' || c == '-' || c == '.' || c == ':'
}

func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}
