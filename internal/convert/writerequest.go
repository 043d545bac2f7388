package convert

import (
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/syntax"
)

var verbs = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

func (w *writer) request(s *step, shared []pair) expr {
	e := expr{close: ")"}
	if slices.Contains(verbs, s.method) {
		e.open = "user." + strings.ToLower(s.method) + "("
	} else {
		e.open = "user.request("
		e.items = append(e.items, atom(syntax.Quote(s.method, false)))
	}
	address := s.url
	if s.query != "" {
		address += "?" + s.query
	}
	e.items = append(e.items, atom(w.text(address)))
	add := func(name string, x expr) { e.items = append(e.items, x.led(name+" = ")) }
	if len(s.params) > 0 {
		add("params", w.dict(s.params))
	}
	if s.name != "" {
		add("name", atom(w.text(s.name)))
	}
	headers := s.headers
	contentType := func(automatic string) {
		// A Content-Type that the request gets anyway is not repeated.
		headers = slices.DeleteFunc(slices.Clone(headers), func(h pair) bool {
			return strings.EqualFold(h.name, "Content-Type") && (h.value == automatic || automatic == "multipart/form-data")
		})
	}
	switch {
	case s.body.json != nil:
		contentType("application/json")
		add("json", w.json(s.body.json))
	case s.body.form != nil:
		contentType("application/x-www-form-urlencoded")
		add("data", w.dict(s.body.form))
	case s.body.parts != nil:
		contentType("multipart/form-data")
		w.multipart(s, add)
	case s.body.file != "":
		add("data", atom(w.fileNames[s.body.file]))
	case s.body.raw != nil:
		add("data", atom(w.text(*s.body.raw)))
	}
	var own []pair
	for _, h := range headers {
		if !slices.ContainsFunc(shared, func(x pair) bool { return strings.EqualFold(x.name, h.name) }) {
			own = append(own, h)
		}
	}
	if len(own) > 0 {
		add("headers", w.dict(own))
	}
	if len(s.cookies) > 0 {
		add("cookies", w.dict(s.cookies))
	}
	if s.auth != nil {
		add("auth", expr{open: "(", close: ")", items: []expr{atom(w.text(s.auth.name)), atom(w.text(s.auth.value))}})
	}
	if s.timeout > 0 {
		add("timeout", atom(strconv.FormatFloat(s.timeout, 'f', -1, 64)))
	}
	if s.still && s.method != "HEAD" {
		add("allow_redirects", atom("False"))
	}
	return e
}

// dict writes pairs: a list of them when a name comes twice, which a dict cannot say.
func (w *writer) dict(pairs []pair) expr {
	seen, twice := map[string]bool{}, false
	for _, p := range pairs {
		twice = twice || seen[p.name]
		seen[p.name] = true
	}
	if twice {
		e := expr{open: "[", close: "]"}
		for _, p := range pairs {
			e.items = append(e.items, atom("("+w.key(p.name)+", "+w.text(p.value)+")"))
		}
		return e
	}
	e := expr{open: "{", close: "}"}
	for _, p := range pairs {
		e.items = append(e.items, atom(w.text(p.value)).led(w.key(p.name)+": "))
	}
	return e
}

func (w *writer) multipart(s *step, add func(string, expr)) {
	var fields []pair
	files := expr{open: "{", close: "}"}
	for _, p := range s.body.parts {
		if !p.isFile {
			fields = append(fields, pair{p.name, p.value})
			continue
		}
		content := w.text(p.value)
		if p.path != "" {
			content = w.fileNames[p.path]
		}
		f := expr{lead: w.key(p.name) + ": ", open: "(", close: ")", items: []expr{atom(w.text(p.filename)), atom(content)}}
		if p.kind != "" {
			f.items = append(f.items, atom(w.text(p.kind)))
		}
		files.items = append(files.items, f)
	}
	if len(fields) > 0 {
		add("data", w.dict(fields))
	}
	add("files", files)
}
