package convert

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// exampleOf returns the value of a parameter or media type: an example that
// the file gives, or one that its schema leads to. given says that it comes
// from the file.
func (r *openReader) exampleOf(holder, schema *node, name string) (v *node, given bool) {
	if e := holder.get("example"); e != nil {
		return e.copy(), true
	}
	for _, e := range holder.get("examples").values() {
		if v := r.deref(e).get("value"); v != nil {
			return v.copy(), true
		}
	}
	return r.fromSchema(schema, name, 0)
}

// copy lets protect change a value that several operations share.
func (n *node) copy() *node {
	if n == nil {
		return nil
	}
	c := *n
	c.items = nil
	for _, i := range n.items {
		c.items = append(c.items, i.copy())
	}
	return &c
}

const maxSchema = 30 // levels of a schema that are followed

// fromSchema makes a value of a schema. nil: there is none to make.
func (r *openReader) fromSchema(schema *node, name string, depth int) (v *node, given bool) {
	schema = r.deref(schema)
	if schema == nil || !schema.is(isMap) || depth > maxSchema || r.open[schema] {
		return nil, false
	}
	r.open[schema] = true
	defer delete(r.open, schema)
	for _, key := range []string{"const", "example", "default"} {
		if e := schema.get(key); e != nil {
			return e.copy(), true
		}
	}
	for _, key := range []string{"examples", "enum"} {
		if l := schema.get(key).list(); len(l) > 0 {
			return l[0].copy(), key == "examples"
		}
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		for _, s := range schema.get(key).list() {
			if v, given := r.fromSchema(s, name, depth+1); v != nil {
				return v, given
			}
		}
	}
	kind := schema.get("type").str()
	for _, k := range schema.get("type").list() { // OpenAPI 3.1 allows several
		if kind == "" && k.str() != "null" {
			kind = k.str()
		}
	}
	if kind == "" && (schema.get("properties").has() || schema.get("allOf").has()) {
		kind = "object"
	}
	switch kind {
	case "object":
		return r.object(schema, depth)
	case "array":
		one, given := r.fromSchema(schema.get("items"), name, depth+1)
		list := &node{kind: isList}
		if one != nil {
			list.items = []*node{one}
		}
		return list, given
	}
	r.madeUp = append(r.madeUp, short(name, 40))
	switch kind {
	case "integer", "number":
		least := schema.get("minimum").str()
		if n, err := strconv.ParseInt(least, 10, 64); err == nil {
			if schema.get("exclusiveMinimum").yes() {
				n++
			}
			return &node{kind: isNumber, text: strconv.FormatInt(n, 10)}, false
		}
		if n, err := strconv.ParseInt(schema.get("maximum").str(), 10, 64); err == nil && n < 1 {
			return &node{kind: isNumber, text: strconv.FormatInt(n, 10)}, false
		}
		return &node{kind: isNumber, text: "1"}, false
	case "boolean":
		return &node{kind: isBool, text: "true"}, false
	case "null":
		return &node{}, false
	}
	return &node{kind: isText, text: madeText(schema, name)}, false
}

// object takes the required properties, and the others whose value the file gives.
func (r *openReader) object(schema *node, depth int) (*node, bool) {
	o := &node{kind: isMap}
	given := false
	put := func(key string, v *node) {
		if i := slices.Index(o.keys, key); i >= 0 {
			o.items[i] = v
			return
		}
		o.keys, o.items = append(o.keys, key), append(o.items, v)
	}
	for _, part := range schema.get("allOf").list() {
		v, g := r.fromSchema(part, "", depth+1)
		given = given || g
		for i := range v.values() {
			put(v.keys[i], v.items[i])
		}
	}
	required := map[string]bool{}
	for _, k := range schema.get("required").list() {
		required[k.str()] = true
	}
	properties := schema.get("properties")
	for i := range properties.values() {
		key := properties.keys[i]
		p := r.deref(properties.items[i])
		if p.get("readOnly").yes() {
			continue
		}
		before := len(r.madeUp)
		v, g := r.fromSchema(p, key, depth+1)
		if v == nil || !g && !required[key] {
			r.madeUp = r.madeUp[:before]
			continue
		}
		given = given || g
		put(key, v)
	}
	return o, given
}

func madeText(schema *node, name string) string {
	switch schema.get("format").str() {
	case "date":
		return "2026-01-31"
	case "date-time":
		return "2026-01-31T12:00:00Z"
	case "time":
		return "12:00:00Z"
	case "uuid":
		return "00000000-0000-4000-8000-000000000001"
	case "email":
		return "user@example.com"
	case "uri", "url":
		return "https://example.com/"
	case "hostname":
		return "example.com"
	case "ipv4":
		return "192.0.2.1"
	case "ipv6":
		return "2001:db8::1"
	case "byte":
		return "d2Vpcg=="
	case "binary":
		return "content"
	}
	text := "text"
	if name != "" && !sensitive(name) {
		text = short(name, 40)
	}
	if least, err := strconv.Atoi(schema.get("minLength").str()); err == nil && least > len(text) && least <= 10_000 {
		text += strings.Repeat("x", least-len(text))
	}
	if most, err := strconv.Atoi(schema.get("maxLength").str()); err == nil && most >= 0 && most < len(text) {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

// flatten writes a value where only text can be: lists with commas.
func flatten(n *node) string {
	switch {
	case n == nil:
		return ""
	case n.kind == isList:
		var out []string
		for _, i := range n.items {
			out = append(out, flatten(i))
		}
		return strings.Join(out, ",")
	case n.kind == isMap:
		var out []string
		for i, v := range n.items {
			out = append(out, n.keys[i], flatten(v))
		}
		return strings.Join(out, ",")
	}
	return n.text
}

func escapeSegment(s string) string { return url.PathEscape(s) }

// plainJSON writes a value as JSON.
func plainJSON(n *node) string {
	var s strings.Builder
	var put func(n *node)
	quote := func(text string) {
		s.WriteString(jsonQuote(text))
	}
	put = func(n *node) {
		switch n.kind {
		case isNull:
			s.WriteString("null")
		case isText:
			quote(n.text)
		case isNumber, isBool:
			s.WriteString(n.text)
		default:
			open, end := "[", "]"
			if n.kind == isMap {
				open, end = "{", "}"
			}
			s.WriteString(open)
			for i, c := range n.items {
				if i > 0 {
					s.WriteByte(',')
				}
				if n.kind == isMap {
					quote(n.keys[i])
					s.WriteByte(':')
				}
				put(c)
			}
			s.WriteString(end)
		}
	}
	put(n)
	return s.String()
}
