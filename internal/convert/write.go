package convert

import (
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/syntax"
)

// width is how long a line may get before it is broken, where it can be.
const width = 100

// hiddenLength is the shortest secret that is looked for elsewhere: replacing
// every "abc" would garble the file and hide nothing.
const hiddenLength = 6

// strong says whether a secret is looked for inside longer texts too. A
// password that is a word would take apart every path that has the word in it.
func strong(value string) bool {
	return len(value) >= 20 || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsLetter(r) })
}

// expr is a Starlark expression that can be laid out over several lines.
type expr struct {
	lead        string // "json = " or "\"key\": "
	open, close string // empty: an atom
	items       []expr
	atom        string
}

func atom(s string) expr { return expr{atom: s} }

func (e expr) led(lead string) expr { e.lead = lead; return e }

func (e expr) flat() string {
	if e.open == "" {
		return e.lead + e.atom
	}
	var parts []string
	for _, x := range e.items {
		parts = append(parts, x.flat())
	}
	return e.lead + e.open + strings.Join(parts, ", ") + e.close
}

// layout writes e behind what stands on the line already.
func (e expr) layout(w *strings.Builder, indent, used int) {
	flat := e.flat()
	if e.open == "" || len(e.items) == 0 || used+utf8.RuneCountInString(flat) <= width {
		w.WriteString(flat)
		return
	}
	w.WriteString(e.lead + e.open + "\n")
	inner := indent + 4
	for _, x := range e.items {
		w.WriteString(strings.Repeat(" ", inner))
		x.layout(w, inner, inner+1)
		w.WriteString(",\n")
	}
	w.WriteString(strings.Repeat(" ", indent) + e.close)
}

// hidden is a form in which a secret may stand in a text, and the expression for it.
type hidden struct{ text, expr string }

type writer struct {
	*builder
	strings.Builder
	hide  []hidden // looked for everywhere
	words []hidden // looked for as whole texts

	fileNames map[string]string // by path
}

// result writes the scenario.
func (b *builder) result(kind Kind) *Result {
	for _, f := range b.functions {
		for _, s := range f.steps {
			if s.call == "" {
				b.protect(s)
			}
		}
	}
	w := &writer{builder: b, fileNames: map[string]string{}}
	for value, v := range b.secrets {
		if len(value) < hiddenLength || kind == OpenAPI { // a description has examples, not secrets
			continue
		}
		if !strong(value) {
			w.words = append(w.words, hidden{value, v.name})
			continue
		}
		w.hide = append(w.hide, hidden{value, v.name})
		if q := url.PathEscape(value); q != value {
			w.hide = append(w.hide, hidden{q, "url.quote(" + v.name + ")"})
		}
		if q := url.QueryEscape(value); q != value && q != url.PathEscape(value) {
			w.hide = append(w.hide, hidden{q, "url.encode([(\"\", " + v.name + ")])[1:]"})
		}
		if q := jsonQuote(value); q[1:len(q)-1] != value {
			w.hide = append(w.hide, hidden{q[1 : len(q)-1], "json.encode(" + v.name + ")[1:-1]"})
		}
	}
	sort.Slice(w.hide, func(i, j int) bool {
		if len(w.hide[i].text) != len(w.hide[j].text) {
			return len(w.hide[i].text) > len(w.hide[j].text)
		}
		return w.hide[i].text < w.hide[j].text
	})
	shared := w.sharedHeaders()
	body := w.program(shared)
	r := &Result{Kind: kind, Steps: b.steps}
	for _, v := range b.vars {
		switch {
		case v.secret:
			r.Secrets = append(r.Secrets, v.env)
		case v.standard == nil:
			r.Env = append(r.Env, v.env)
		}
	}
	for _, n := range b.notes {
		r.Notes = append(r.Notes, w.plain(n))
	}
	r.Star = []byte(w.preface(r) + body)
	return r
}

func (w *writer) preface(r *Result) string {
	var s strings.Builder
	fmt.Fprintf(&s, "# Made by weir convert from %s (%s).\n#\n", w.plain(w.o.Name), w.title)
	if len(r.Secrets)+len(r.Env) > 0 {
		s.WriteString("# These variables have to be set:\n#\n")
		for _, v := range r.Secrets {
			fmt.Fprintf(&s, "#   export %s=…   (a secret)\n", v)
		}
		for _, v := range r.Env {
			fmt.Fprintf(&s, "#   export %s=…\n", v)
		}
		s.WriteString("#\n")
	}
	fmt.Fprintf(&s, "#   weir run %s --users 5 --run-time 1m\n", w.plain(w.o.Out))
	if len(r.Notes) > 0 {
		s.WriteString("#\n# Not carried over:\n#\n")
		for _, n := range r.Notes {
			s.WriteString(comment("# - ", "#   ", n))
		}
	}
	return s.String() + "\n"
}

// comment breaks a text into lines.
func comment(first, next, text string) string {
	var s strings.Builder
	line := first
	for _, word := range strings.Fields(text) {
		if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width && line != first && line != next {
			s.WriteString(strings.TrimRight(line, " ") + "\n")
			line = next
		}
		line += word + " "
	}
	return s.String() + strings.TrimRight(line, " ") + "\n"
}

// plain makes a text fit for a comment: one line, without secrets and marks.
func (w *writer) plain(s string) string {
	var out strings.Builder
	for _, p := range pieces(s) {
		if p.expr {
			out.WriteString("{" + p.text + "}")
		} else {
			out.WriteString(p.text)
		}
	}
	s = out.String()
	for _, h := range append(slices.Clone(w.hide), w.words...) {
		s = strings.ReplaceAll(s, h.text, "[secret]")
	}
	return short(s, 400)
}

// text writes a text as an expression.
func (w *writer) text(s string) string {
	if !utf8.ValidString(s) {
		// Bytes are a type of their own; secrets in them were looked for before.
		for _, h := range w.hide {
			s = strings.ReplaceAll(s, h.text, strings.Repeat("*", len(h.text)))
		}
		return syntax.Quote(s, true)
	}
	var out []string
	for _, p := range pieces(s) {
		if p.expr {
			out = append(out, p.text)
			continue
		}
		out = append(out, w.literal(p.text, w.hide)...)
	}
	if len(out) == 0 {
		return `""`
	}
	return strings.Join(out, " + ")
}

func (w *writer) literal(s string, hide []hidden) []string {
	for i, h := range hide {
		before, after, found := strings.Cut(s, h.text)
		if !found {
			continue
		}
		var out []string
		if before != "" {
			out = append(out, w.literal(before, hide[i+1:])...)
		}
		out = append(out, h.expr)
		if after != "" {
			out = append(out, w.literal(after, hide[i:])...)
		}
		return out
	}
	for _, h := range w.words {
		if s == h.text {
			return []string{h.expr}
		}
	}
	return []string{syntax.Quote(s, false)}
}

// key writes a name, which is no secret.
func (w *writer) key(s string) string {
	if !utf8.ValidString(s) || hasMark(s) {
		return w.text(s)
	}
	return syntax.Quote(s, false)
}

func (w *writer) program(shared []pair) string {
	address := w.text(w.host)
	host := fmt.Sprintf("host = env(\"HOST\", %s)\n", address)
	if hasMark(w.host) { // a variable of the source is the choice already
		host = fmt.Sprintf("host = %s\n", address)
	}
	first := address == syntax.Quote(w.host, false) // otherwise it needs the variables
	if first {
		w.WriteString(host)
	}
	for _, v := range w.vars {
		switch {
		case v.secret:
			w.printf("%s = secret(%s)\n", v.name, syntax.Quote(v.env, false))
		case v.standard == nil:
			w.printf("%s = env(%s)\n", v.name, syntax.Quote(v.env, false))
		default:
			w.printf("%s = env(%s, %s)\n", v.name, syntax.Quote(v.env, false), w.text(*v.standard))
		}
	}
	if !first {
		w.WriteString(host)
	}
	for _, f := range w.files() {
		w.printf("%s = read_file(%s)\n", w.fileNames[f], w.text(f))
	}
	starts := len(shared)+len(w.state) > 0
	if starts {
		w.printf("\ndef start(user):\n")
		for _, h := range shared {
			w.printf("    user.headers[%s] = %s\n", w.key(h.name), w.text(h.value))
		}
		for _, name := range w.state {
			w.printf("    user.%s = \"\"\n", name)
		}
	}
	for _, f := range w.functions {
		w.function(f, shared)
	}
	for _, g := range w.groups {
		w.printf("\n")
		w.emit(0, "", expr{lead: g.name + " = ", open: "SequentialTaskSet(", close: ")", items: []expr{
			atom("name = " + w.text(g.title)), w.entries(g.tasks).led("tasks = "),
		}})
	}
	args := []expr{atom("wait_time = " + w.wait)}
	if starts {
		args = append(args, atom("on_start = start"))
	}
	args = append(args, w.entries(w.top).led("tasks = "))
	w.printf("\n")
	w.emit(0, "", expr{lead: "Visitor = ", open: "HttpUser(", close: ")", items: args})
	return w.String()
}

// files returns the files that bodies come from, and gives each a name. They
// are read once, at the top of the file.
func (w *writer) files() []string {
	var all []string
	take := func(path string) {
		if path != "" && w.fileNames[path] == "" {
			base := path[strings.LastIndexAny(path, `/\`)+1:]
			w.fileNames[path] = w.identifier(base, "file")
			all = append(all, path)
		}
	}
	for _, f := range w.functions {
		for _, s := range f.steps {
			take(s.body.file)
			for _, p := range s.body.parts {
				take(p.path)
			}
		}
	}
	return all
}

func (w *writer) printf(format string, args ...any) { fmt.Fprintf(&w.Builder, format, args...) }

func (w *writer) emit(indent int, before string, e expr) {
	w.WriteString(strings.Repeat(" ", indent) + before)
	e.layout(&w.Builder, indent, indent+len(before))
	w.WriteString("\n")
}

func (w *writer) entries(list []entry) expr {
	e := expr{open: "[", close: "]"}
	for _, t := range list {
		if len(t.tags) == 0 {
			e.items = append(e.items, atom(t.fn))
			continue
		}
		tags := expr{lead: "tags = ", open: "[", close: "]"}
		for _, tag := range t.tags {
			tags.items = append(tags.items, atom(w.text(tag)))
		}
		e.items = append(e.items, expr{open: "task(", close: ")", items: []expr{atom(t.fn), tags}})
	}
	return e
}

func (w *writer) function(f *function, shared []pair) {
	w.printf("\ndef %s(user):\n", f.name)
	if f.doc != "" && newBuilder(Options{}).identifier(f.doc, "") != f.name {
		w.WriteString(comment("    # ", "    # ", w.plain(f.doc)))
	}
	for _, s := range f.steps {
		if s.pause > 0 {
			w.printf("    time.sleep(%s)\n", strconv.FormatFloat(s.pause, 'f', -1, 64))
		}
		if s.comment != "" {
			w.WriteString(comment("    # ", "    # ", w.plain(s.comment)))
		}
		if s.call != "" {
			w.printf("    %s(user)\n", s.call)
			continue
		}
		before := ""
		if len(s.after) > 0 || s.check != "" {
			before = "r = "
		}
		w.emit(4, before, w.request(s, shared))
		if s.check != "" {
			w.printf("    check(r, r.status == %s, \"the status is not %[1]s\")\n", s.check)
		}
		for _, line := range s.after {
			w.printf("    %s\n", line)
		}
	}
	if f.leaves {
		w.printf("    user.interrupt()\n")
	} else if len(f.steps) == 0 {
		w.printf("    pass\n")
	}
}
