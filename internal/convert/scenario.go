package convert

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// A text of a step may hold Starlark expressions, each between two marks: the
// reader of a source puts them in (see mark), the writer takes them apart.
// Both are of Unicode's private use area.
const (
	markOpen  = '\uE0F0'
	markClose = '\uE0F1'
)

// mark makes an expression a part of a text.
func mark(expr string) string { return string(markOpen) + expr + string(markClose) }

func hasMark(s string) bool { return strings.ContainsRune(s, markOpen) }

// pair is a name with a value.
type pair struct{ name, value string }

// step is one request, or a call of another function.
type step struct {
	call    string // the function to call instead
	pause   float64
	comment string

	method  string
	url     string // absolute, or a path of the host
	query   string // raw, after the question mark
	params  []pair // the query, when encoding it again gives the same bytes
	name    string // for reports, "" for the path
	headers []pair
	cookies []pair
	auth    *pair // user and password
	body    body
	timeout float64 // seconds
	still   bool    // a redirect is an answer like any other
	after   []string
	check   string // a status that has to come back

	where *node // for notes
}

// body is what a request carries. At most one of its fields is set.
type body struct {
	raw   *string
	json  *node
	form  []pair
	parts []part
	file  string // read_file of this path
}

// part is one part of a multipart form.
type part struct {
	name, value    string
	isFile         bool
	path           string // read_file of this path; "" with isFile: value is the content
	filename, kind string
}

// function is one function of the file.
type function struct {
	name, doc string
	steps     []*step
	leaves    bool // ends with user.interrupt()
}

// group is a task set. Its tasks are functions or other groups.
type group struct {
	name, title string
	tasks       []entry
}

type entry struct {
	fn   string
	tags []string
}

// variable is one name at the top of the file that comes from the environment.
type variable struct {
	name, env string
	secret    bool
	standard  *string
}

// builder collects a scenario.
type builder struct {
	o         Options
	names     map[string]bool
	vars      []*variable
	secrets   map[string]*variable // by value
	byEnv     map[string]*variable
	notes     []string
	functions []*function
	groups    []*group
	top       []entry  // tasks of the class
	state     []string // user.NAME that on_start sets to ""
	title     string   // what the source is
	host      string   // a text; its origin is taken away from URLs
	wait      string
	steps     int
}

// reserved are words that no name of the file may be: Starlark's own, and those the file uses.
const reserved = " and break continue def elif else for if in lambda load not or pass return while True False None as assert async await class del except finally from global import is nonlocal raise try with yield" +
	" user r json math random base64 hashlib hmac jwt url html uuid feed time struct HttpUser TaskSet SequentialTaskSet task between constant constant_pacing constant_throughput profile check env secret log read_file fail" +
	" auth client cookies delete get head headers id interrupt options patch post put request stop" +
	" host start leave int str bool float dict list len range set print repr type min max abs all any bytes chr dir enumerate getattr hasattr hash ord reversed sorted tuple zip Visitor "

func newBuilder(o Options) *builder {
	b := &builder{o: o, names: map[string]bool{}, secrets: map[string]*variable{}, byEnv: map[string]*variable{}, wait: "constant(1)"}
	for _, w := range strings.Fields(reserved) {
		b.names[w] = true
	}
	return b
}

// note adds a line about something that was not carried over.
func (b *builder) note(at *node, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if at != nil && at.line > 0 {
		text = fmt.Sprintf("line %d: %s", at.line, text)
	}
	if !slices.Contains(b.notes, text) {
		b.notes = append(b.notes, text)
	}
}

// identifier makes a free name out of any text.
func (b *builder) identifier(text, otherwise string) string {
	var s strings.Builder
	lower, gap := false, false
	for _, r := range text {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			if s.Len() > 0 && (gap || lower && unicode.IsUpper(r)) {
				s.WriteByte('_')
			}
			s.WriteRune(unicode.ToLower(r))
			lower, gap = unicode.IsLower(r) || unicode.IsDigit(r), false
		default:
			gap = true
		}
		if s.Len() > 40 {
			break
		}
	}
	name := s.String()
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = strings.TrimRight(otherwise+"_"+name, "_")
	}
	return b.free(name)
}

func (b *builder) free(name string) string {
	free := name
	for i := 2; b.names[free]; i++ {
		free = fmt.Sprintf("%s_%d", name, i)
	}
	b.names[free] = true
	return free
}

// camel makes the name of a task set.
func (b *builder) camel(text string) string {
	var s strings.Builder
	up := true
	for _, r := range text {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			if up {
				r = unicode.ToUpper(r)
			}
			s.WriteRune(r)
			up = false
		default:
			up = true
		}
		if s.Len() > 40 {
			break
		}
	}
	name := s.String()
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "Set" + name
	}
	return b.free(name)
}

// secret returns the text that stands for a secret value.
func (b *builder) secret(name, value string) string {
	if value == "" {
		return value
	}
	v := b.secrets[value]
	if v == nil {
		v = b.variable(name, true, nil)
		b.secrets[value] = v
	}
	return mark(v.name)
}

// envSecret returns the text for a secret whose value the source does not have.
func (b *builder) envSecret(env string) string {
	if v := b.byEnv[env]; v != nil {
		return mark(v.name)
	}
	return mark(b.variable(env, true, nil).name)
}

// env returns the text for an environment variable. standard nil: it has to be set.
func (b *builder) env(name string, standard *string) string {
	if v := b.byEnv[name]; v != nil {
		return mark(v.name)
	}
	return mark(b.variable(name, false, standard).name)
}

func (b *builder) variable(name string, secret bool, standard *string) *variable {
	local := b.identifier(name, "value")
	env := strings.ToUpper(local)
	if b.byEnv[strings.ToUpper(name)] == nil && validEnv(name) {
		env = name
	}
	for i := 2; b.byEnv[env] != nil; i++ {
		env = fmt.Sprintf("%s_%d", strings.ToUpper(local), i)
	}
	v := &variable{name: local, env: env, secret: secret, standard: standard}
	if validEnv(name) {
		b.byEnv[name] = v
	}
	b.byEnv[env] = v
	b.vars = append(b.vars, v)
	return v
}

// validEnv says whether a name is an environment variable as it is.
func validEnv(name string) bool {
	for i, r := range name {
		if !(r == '_' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9') {
			return false
		}
	}
	return name != ""
}

// add appends a request to a function.
func (b *builder) add(f *function, s *step) error {
	if b.steps++; b.steps > maxSteps {
		return s.where.wrong(b.o.Name, "more than %d requests; convert a part of it", maxSteps)
	}
	s.splitQuery()
	f.steps = append(f.steps, s)
	return nil
}

func (s *step) splitQuery() {
	if list := pairsOf(s.query); list != nil {
		s.params, s.query = append(s.params, list...), ""
	}
}

// splitURL parts a URL into origin, path and raw query, without its fragment.
func splitURL(raw string) (origin, path, query string) {
	raw, _, _ = strings.Cut(raw, "#")
	rest := raw
	if i := strings.Index(raw, "://"); i >= 0 {
		j := strings.IndexAny(raw[i+3:], "/?")
		if j < 0 {
			return raw, "/", ""
		}
		origin, rest = raw[:i+3+j], raw[i+3+j:]
	}
	path, query, _ = strings.Cut(rest, "?")
	if path == "" {
		path = "/"
	}
	return origin, strings.ReplaceAll(path, " ", "%20"), strings.ReplaceAll(query, " ", "%20")
}

// checkOrigin holds that an origin is one that a scenario can send to.
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	switch {
	case err != nil:
		return fmt.Errorf("the URL cannot be read")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%s:// is no HTTP", short(u.Scheme, 20))
	case u.Hostname() == "":
		return fmt.Errorf("the URL names no host")
	}
	return nil
}

// pairsOf reads a form or query. It returns nil when writing it again would
// not give the same bytes.
func pairsOf(raw string) []pair {
	if raw == "" {
		return nil
	}
	var out []pair
	for field := range strings.SplitSeq(raw, "&") {
		k, v, ok := strings.Cut(field, "=")
		name, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		name, value = decoded(name, k), decoded(value, v)
		if !ok || err1 != nil || err2 != nil || encode(name) != k || encode(value) != v {
			return nil
		}
		out = append(out, pair{name, value})
	}
	return out
}

// decoded returns the decoded text unless a mark came out of it that was not in before.
func decoded(text, raw string) string {
	if strings.Count(text, string(markOpen)) != strings.Count(raw, string(markOpen)) {
		return raw + "\uFFFD"
	}
	return text
}

// encode is url.QueryEscape that leaves marked expressions alone.
func encode(s string) string {
	var out strings.Builder
	for _, p := range pieces(s) {
		if p.expr {
			out.WriteString(mark(p.text))
		} else {
			out.WriteString(url.QueryEscape(p.text))
		}
	}
	return out.String()
}

type piece struct {
	text string
	expr bool
}

// pieces parts a text into literals and expressions.
func pieces(s string) []piece {
	var out []piece
	for s != "" {
		lit, rest, ok := strings.Cut(s, string(markOpen))
		if lit != "" {
			out = append(out, piece{lit, false})
		}
		if !ok {
			break
		}
		expr, more, _ := strings.Cut(rest, string(markClose))
		out = append(out, piece{expr, true})
		s = more
	}
	return out
}
