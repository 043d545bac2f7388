package convert

import (
	"slices"
	"strings"
)

// methods of a path item, in the order of OpenAPI 3.1.1, "Path Item Object".
var openMethods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// openReader is an OpenAPI description being read.
type openReader struct {
	*builder
	root   *node
	f      *function
	madeUp []string       // values of the operation that no example gives
	open   map[*node]bool // schemas that are being followed: one may contain itself
}

// openAPI reads OpenAPI 3.0 and 3.1. Every operation becomes a task.
func (b *builder) openAPI(root *node) error {
	version := root.get("openapi").str()
	b.title = "OpenAPI " + short(version, 10)
	if root.get("swagger") != nil {
		return root.get("swagger").wrong(b.o.Name, "this is OpenAPI 2 (Swagger); convert it to OpenAPI 3 first")
	}
	if !strings.HasPrefix(version, "3.") {
		at := root
		if v := root.get("openapi"); v != nil {
			at = v
		}
		return at.wrong(b.o.Name, "openapi: 3.x is read, not %q", short(version, 20))
	}
	r := &openReader{builder: b, root: root, open: map[*node]bool{}}
	if err := r.server(root.get("servers")); err != nil {
		return err
	}
	paths := root.get("paths")
	if !paths.is(isMap) {
		return root.wrong(b.o.Name, "there are no paths in it")
	}
	for i, at := range paths.keys {
		if strings.HasPrefix(at, "x-") {
			continue
		}
		item := r.deref(paths.items[i])
		if !strings.HasPrefix(at, "/") {
			return paths.items[i].wrong(b.o.Name, "the path %q does not begin with /", short(at, 60))
		}
		for _, method := range openMethods {
			if op := item.get(method); op.is(isMap) {
				if err := r.operation(at, method, item, op); err != nil {
					return err
				}
			}
		}
	}
	if root.get("webhooks").has() {
		b.note(root.get("webhooks"), "webhooks, which the service calls itself")
	}
	return nil
}

func (r *openReader) server(list *node) error {
	r.host = "http://127.0.0.1:8000"
	if len(list.list()) == 0 {
		r.note(nil, "the address of the service, which the file does not say: set HOST")
		return nil
	}
	first := list.list()[0]
	address := first.get("url").str()
	vars := first.get("variables")
	for i := range vars.values() {
		address = strings.ReplaceAll(address, "{"+vars.keys[i]+"}", vars.items[i].get("default").str())
	}
	if len(list.list()) > 1 {
		r.note(list, "%d other servers: set HOST for one of them", len(list.list())-1)
	}
	address = strings.TrimRight(address, "/")
	if strings.HasPrefix(address, "/") || address == "" {
		r.note(first, "the host of the service, which the file does not say: set HOST")
		r.host += address
		return nil
	}
	if err := checkOrigin(address); err != nil || strings.ContainsAny(address, "?#") {
		return first.get("url").wrong(r.o.Name, "the URL of the server cannot be used: want http://… or https://…")
	}
	r.host = address
	return nil
}

// values returns the values of a map, nil for everything else.
func (n *node) values() []*node {
	if n == nil || n.kind != isMap {
		return nil
	}
	return n.items
}

// deref follows $ref within the file.
func (r *openReader) deref(n *node) *node {
	for range 20 {
		ref := n.get("$ref")
		if !ref.is(isText) {
			return n
		}
		at, local := strings.CutPrefix(ref.text, "#/")
		if !local {
			r.note(ref, "$ref to another file")
			return nil
		}
		n = r.root
		for _, key := range strings.Split(at, "/") {
			key = strings.NewReplacer("~1", "/", "~0", "~", "%7B", "{", "%7D", "}").Replace(key)
			n = n.get(key)
		}
		if n == nil {
			r.note(ref, "$ref to %s, which is not there", short(at, 80))
		}
	}
	return n
}

func (r *openReader) operation(at, method string, item, op *node) error {
	id := op.get("operationId").str()
	if id == "" {
		id = method + " " + at
	}
	summary := op.get("summary").str()
	r.f = &function{name: r.identifier(id, "operation"), doc: summary}
	r.functions = append(r.functions, r.f)
	e := entry{fn: r.f.name}
	for _, t := range op.get("tags").list() {
		if t.text != "" && len(e.tags) < 10 {
			e.tags = append(e.tags, t.text)
		}
	}
	r.top = append(r.top, e)
	r.madeUp = nil
	s := &step{where: op, method: strings.ToUpper(method), url: at}
	if err := r.parameters(s, item, op); err != nil {
		return err
	}
	if strings.Contains(at, "{") {
		s.name = at
	}
	if strings.ContainsAny(s.url, "{}") {
		return op.wrong(r.o.Name, "the path %s has a parameter that is not described", short(at, 80))
	}
	r.security(s, op)
	r.requestBody(s, r.deref(op.get("requestBody")))
	s.headers = r.mergeHeaders(op, s.headers)
	if len(r.madeUp) > 0 {
		r.note(op, "examples of %s %s, which the file does not have: made up is %s", s.method, at, short(strings.Join(r.madeUp, ", "), 200))
	}
	return r.add(r.f, s)
}

func (r *openReader) parameters(s *step, item, op *node) error {
	var all []*node
	for _, list := range [][]*node{op.get("parameters").list(), item.get("parameters").list()} {
		for _, p := range list {
			p = r.deref(p)
			same := func(q *node) bool {
				return q.get("name").str() == p.get("name").str() && q.get("in").str() == p.get("in").str()
			}
			if p != nil && !slices.ContainsFunc(all, same) {
				all = append(all, p)
			}
		}
	}
	for _, p := range all {
		name, in := p.get("name").str(), p.get("in").str()
		if name == "" {
			return p.wrong(r.o.Name, "a parameter has no name")
		}
		before := len(r.madeUp)
		value, given := r.exampleOf(p, p.get("schema"), name)
		if value == nil {
			for _, media := range p.get("content").values() {
				value, given = r.exampleOf(media, media.get("schema"), name)
				break
			}
		}
		if in != "path" && !p.get("required").yes() && !given {
			r.madeUp = r.madeUp[:before]
			continue
		}
		explode := !p.get("explode").has() && (in == "query" || in == "cookie") || p.get("explode").yes()
		flat := flatten(value)
		switch in {
		case "path":
			if flat == "" {
				flat = "1"
			}
			text := r.guard(name, flat)
			if !hasMark(text) {
				text = escapeSegment(text)
			}
			s.url = strings.ReplaceAll(s.url, "{"+name+"}", text)
		case "query":
			switch {
			case value.is(isMap) && p.get("style").str() == "deepObject":
				for i, k := range value.keys {
					s.params = append(s.params, pair{name + "[" + k + "]", flatten(value.items[i])})
				}
			case value.is(isMap) && explode:
				for i, k := range value.keys {
					s.params = append(s.params, pair{k, flatten(value.items[i])})
				}
			case value.is(isList) && explode:
				for _, v := range value.items {
					s.params = append(s.params, pair{name, flatten(v)})
				}
			default:
				s.params = append(s.params, pair{name, flat})
			}
		case "header":
			if low := strings.ToLower(name); low == "accept" || low == "content-type" || low == "authorization" {
				continue // OpenAPI 3.1.1, "Parameter Object": these are ignored here
			}
			if goodName(name) && goodValue(flat) {
				s.headers = append(s.headers, pair{name, flat})
			}
		case "cookie":
			if goodValue(flat) && !strings.ContainsAny(name, " ;=,\t") && !strings.Contains(flat, ";") {
				s.cookies = append(s.cookies, pair{name, flat})
			}
		default:
			return p.wrong(r.o.Name, "the parameter %s is in %q: want path, query, header or cookie", short(name, 40), short(in, 20))
		}
	}
	return nil
}

// security adds what the first way of authentication asks for.
func (r *openReader) security(s *step, op *node) {
	list := op.get("security")
	if list == nil {
		list = r.root.get("security")
	}
	if len(list.list()) == 0 {
		return
	}
	way := list.list()[0]
	if len(list.list()) > 1 {
		r.note(list, "other ways to authenticate than the first")
	}
	schemes := r.root.get("components").get("securitySchemes")
	for _, name := range way.keys {
		scheme := r.deref(schemes.get(name))
		at := scheme.get("name").str()
		upper := envLike(name)
		switch kind := scheme.get("type").str(); {
		case kind == "http" && strings.EqualFold(scheme.get("scheme").str(), "basic"):
			s.auth = &pair{r.env(upper+"_USER", nil), r.envSecret(upper + "_PASSWORD")}
		case kind == "http" && strings.EqualFold(scheme.get("scheme").str(), "bearer"), kind == "oauth2", kind == "openIdConnect":
			if kind != "http" {
				r.note(scheme, "getting a token (%s): it has to be set", kind)
			}
			s.headers = append(s.headers, pair{"Authorization", "Bearer " + r.envSecret(upper)})
		case kind == "apiKey" && scheme.get("in").str() == "query":
			s.params = append(s.params, pair{at, r.envSecret(upper)})
		case kind == "apiKey" && scheme.get("in").str() == "cookie":
			s.cookies = append(s.cookies, pair{at, r.envSecret(upper)})
		case kind == "apiKey" && goodName(at):
			s.headers = append(s.headers, pair{at, r.envSecret(upper)})
		default:
			r.note(scheme, "the authentication %s", short(name, 40))
		}
	}
}

// envLike makes the name of an environment variable.
func envLike(s string) string {
	b := newBuilder(Options{})
	return strings.ToUpper(b.identifier(s, "value"))
}

func (r *openReader) requestBody(s *step, body *node) {
	content := body.get("content")
	if len(content.values()) == 0 {
		return
	}
	pick, rank := 0, 9
	for i, kind := range content.keys {
		k := slices.Index([]string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data"}, kind)
		if k < 0 {
			k = 4
			if strings.HasSuffix(kind, "+json") {
				k = 3
			}
		}
		if k < rank {
			pick, rank = i, k
		}
	}
	kind, media := content.keys[pick], content.items[pick]
	value, _ := r.exampleOf(media, media.get("schema"), "body")
	if value == nil || !goodValue(kind) || strings.Contains(kind, "*") {
		r.note(media, "the body (%s) of %s %s, which has no example", short(kind, 40), s.method, s.url)
		return
	}
	switch {
	case rank == 0 || rank == 3:
		s.headers = append(s.headers, pair{"Content-Type", kind})
		if sameJSON(value) && value.kind != isNull {
			s.body.json = value
			return
		}
		text := plainJSON(value)
		s.body.raw = &text
	case rank == 1:
		for i, v := range value.values() {
			s.body.form = append(s.body.form, pair{value.keys[i], flatten(v)})
		}
	case rank == 2:
		schema := r.deref(media.get("schema"))
		for i, v := range value.values() {
			p := part{name: value.keys[i], value: flatten(v)}
			if holdsFile(r.deref(schema.get("properties").get(p.name))) {
				p.isFile, p.filename, p.kind = true, p.name, "application/octet-stream"
				r.note(media, "the content of the file %s of %s %s", short(p.name, 40), s.method, s.url)
			}
			s.body.parts = append(s.body.parts, p)
		}
		if !slices.ContainsFunc(s.body.parts, func(p part) bool { return p.isFile }) {
			r.note(media, "a multipart form without a file: it is sent as an ordinary form (%s %s)", s.method, s.url)
			for _, p := range s.body.parts {
				s.body.form = append(s.body.form, pair{p.name, p.value})
			}
			s.body.parts = nil
		}
	default:
		if !value.is(isText) {
			r.note(media, "the body (%s) of %s %s, which has no example", short(kind, 40), s.method, s.url)
			return
		}
		s.headers = append(s.headers, pair{"Content-Type", kind})
		s.body.raw = &value.text
	}
}

// holdsFile tells whether a field of a multipart form is a file: by its format,
// as in OpenAPI 3.0, or by its media type, as in 3.1, unless that is of text.
func holdsFile(schema *node) bool {
	switch schema.get("format").str() {
	case "binary", "byte":
		return true
	}
	kind := schema.get("contentMediaType").str()
	return kind != "" && !strings.HasPrefix(kind, "text/") && !strings.HasSuffix(kind, "json")
}
