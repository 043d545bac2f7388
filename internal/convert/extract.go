package convert

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/syntax"
)

// finder finds values of earlier answers in later requests. What it is certain
// about becomes an extraction; what it only suspects becomes a note.
type finder struct {
	b     *builder
	known map[string]*source // by value, the latest answer wins
	small map[string]string  // short numbers of "id" fields, with where they came from
}

// source is where a value comes from.
type source struct {
	step   *step  // the request whose answer has it; nil: a cookie
	name   string // what it is called there
	expr   string // how to get it from r, or the whole expression for a cookie
	number bool
	stored string // user.NAME, once it is used
}

var (
	inputTag  = regexp.MustCompile(`(?is)<(input|meta)\b[^>]*>`)
	attribute = regexp.MustCompile(`(?is)\b(name|value|content)\s*=\s*(?:"([^"]*)"|'([^']*)')`)
)

func quoted(s string) string { return syntax.Quote(s, false) }

// certain says whether a text is so particular that finding it again is no accident.
func certain(name, value string) bool {
	if len(value) < 8 || len(value) > 4096 || strings.ContainsAny(value, " \t\r\n") {
		return false
	}
	return sensitive(name) || strings.ContainsAny(value, "0123456789") && !strings.Contains(value, "://")
}

// learn remembers what an answer brought.
func (f *finder) learn(v *visit) {
	for _, a := range v.answers {
		for _, c := range cookiesOf(a) {
			if len(c.value) >= 8 {
				f.known[c.value] = &source{name: c.name, expr: "user.cookies.get(" + quoted(c.name) + ", \"\")"}
			}
		}
	}
	content := v.answers[len(v.answers)-1].get("content")
	text := content.get("text").str()
	if content.get("encoding").str() == "base64" {
		if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
			text = string(raw)
		}
	}
	if text == "" || len(text) > 4<<20 {
		return
	}
	if t := strings.TrimSpace(text); t[:min(1, len(t))] == "{" || t[:min(1, len(t))] == "[" {
		if n, err := parseJSON("", []byte(text)); err == nil {
			budget := 20_000
			f.learnJSON(v, n, "", "r.json()", &budget)
			return
		}
	}
	for _, tag := range inputTag.FindAllStringSubmatch(text, 5000) {
		attrs := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(tag[0], 20) {
			attrs[strings.ToLower(m[1])] = html.UnescapeString(clean(m[2] + m[3]))
		}
		name, value, fn := attrs["name"], attrs["value"], "html.input_value"
		if strings.EqualFold(tag[1], "meta") {
			value, fn = attrs["content"], "html.meta"
		}
		if name != "" && certain(name, value) {
			f.known[value] = &source{step: v.step, name: name, expr: fmt.Sprintf("%s(r.text, %s)", fn, quoted(name))}
		}
	}
}

func (f *finder) learnJSON(v *visit, n *node, name, expr string, budget *int) {
	if *budget--; *budget < 0 {
		return
	}
	switch n.kind {
	case isText:
		if old := f.known[n.text]; certain(name, n.text) && (old == nil || old.step != v.step) {
			f.known[n.text] = &source{step: v.step, name: name, expr: expr}
		}
	case isNumber:
		switch {
		case strings.ContainsAny(n.text, ".eE-"):
		case len(n.text) >= 5 && len(n.text) <= 18:
			if old := f.known[n.text]; old == nil || old.step != v.step {
				f.known[n.text] = &source{step: v.step, name: name, expr: expr, number: true}
			}
		case strings.HasSuffix(strings.ToLower(name), "id"):
			_, at, _ := splitURL(v.url)
			f.small[n.text] = fmt.Sprintf("%s of the answer to %s %s", name, v.method, at)
		}
	case isList:
		for i, c := range n.items {
			f.learnJSON(v, c, name, fmt.Sprintf("%s[%d]", expr, i), budget)
		}
	case isMap:
		for i, c := range n.items {
			f.learnJSON(v, c, n.keys[i], expr+"["+quoted(n.keys[i])+"]", budget)
		}
	}
}

// find returns the text that stands for a value of an earlier answer.
func (f *finder) find(value string, asNumber bool) (string, bool) {
	s := f.known[value]
	if s == nil {
		return value, false
	}
	if s.step == nil {
		return mark(s.expr), true
	}
	if s.stored == "" {
		s.stored = "user." + f.b.identifier(s.name, "value")
		s.step.after = append(s.step.after, s.stored+" = "+s.expr)
	}
	if s.number && !asNumber {
		return mark("str(" + s.stored + ")"), true
	}
	return mark(s.stored), true
}

// use replaces what is known in a request.
func (f *finder) use(s *step) {
	for i, h := range s.headers {
		if hasMark(h.value) {
			continue
		}
		if scheme, rest, ok := strings.Cut(h.value, " "); ok && strings.EqualFold(h.name, "Authorization") {
			if text, found := f.find(rest, false); found {
				s.headers[i].value = scheme + " " + text
			}
			continue
		}
		s.headers[i].value, _ = f.find(h.value, false)
	}
	origin, rest := "", s.url
	if i := strings.Index(s.url, "://"); i >= 0 {
		if j := strings.IndexByte(s.url[i+3:], '/'); j >= 0 {
			origin, rest = s.url[:i+3+j], s.url[i+3+j:]
		}
	}
	segments := strings.Split(rest, "/")
	named := append([]string(nil), segments...)
	changed := false
	for i, seg := range segments {
		if text, found := f.find(seg, false); found {
			segments[i], named[i], changed = text, "["+strings.TrimPrefix(f.known[seg].stored, "user.")+"]", true
		} else if from := f.small[seg]; from != "" {
			f.b.note(s.where, "%s in %s may be %s: too short to be sure", seg, short(rest, 80), short(from, 120))
		}
	}
	if changed {
		s.url, s.name = origin+strings.Join(segments, "/"), strings.Join(named, "/")
	}
	s.splitQuery()
	for i, p := range s.params {
		s.params[i].value, _ = f.find(p.value, false)
	}
	for i, p := range s.body.form {
		s.body.form[i].value, _ = f.find(p.value, false)
	}
	for i, p := range s.body.parts {
		if !p.isFile {
			s.body.parts[i].value, _ = f.find(p.value, false)
		}
	}
	if s.body.json != nil {
		f.useJSON(s.body.json)
	}
	if s.body.raw != nil {
		var names []string
		for value, from := range f.known {
			if strings.Contains(*s.body.raw, value) || strings.Contains(*s.body.raw, url.QueryEscape(value)) {
				names = append(names, short(from.name, 40))
			}
		}
		if len(names) > 0 {
			slices.Sort(names)
			f.b.note(s.where, "the body holds %s of an earlier answer, but is no form or JSON that could take it", short(strings.Join(slices.Compact(names), ", "), 200))
		}
	}
}

func (f *finder) useJSON(n *node) {
	switch n.kind {
	case isText:
		n.text, _ = f.find(n.text, false)
	case isNumber:
		if s := f.known[n.text]; s != nil && s.number {
			n.text, _ = f.find(n.text, true)
		}
	case isList, isMap:
		for _, c := range n.items {
			f.useJSON(c)
		}
	}
}
