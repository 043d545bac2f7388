package policy

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/limit"
)

// policyFields are the fields of a policy in the order in which they are
// written. The names are those of limit.FieldError where the two share a field.
func policyFields() []string {
	return []string{
		"name", "id", "api", "operation", "product", "match", "when", "key", "algorithm", "limit", "window", "period", "location", "start", "burst",
		"undelayed", "max-delay", "align", "phase", "phase-within", "ban", "count-denied", "warn-at", "cost", "count-if", "counter", "overrides", "shadow",
		"on-store-error", "lease", "descriptor", "tell", "answer",
	}
}

// answerFields are those of an answer that is spelt out.
func answerFields() []string { return []string{"status", "fields", "headers", "body"} }

// policy reads one entry of the list. places are where its fields stand; that
// of "name" is where the policy begins when it has none.
func (r *reader) policy(n ast.Node, path string) (p Policy, places map[string]*token.Token) {
	at := n.GetToken() // of the dash's item itself: a merged or aliased policy is reported where it is used
	places = map[string]*token.Token{"name": at}
	entries, ok := r.mapping(r.resolve(n, path), path, "a mapping such as {limit: 10, window: 1s}")
	if !ok {
		return p, places
	}
	if len(entries) > 0 {
		at = entries[0].at
		places["name"] = at
	}
	bad := map[string]bool{}
	for _, e := range entries {
		places[e.key] = e.at
		before := len(r.errs)
		if e.value != nil {
			places[e.key] = e.value.GetToken()
			if !r.policyField(&p, e) {
				r.unknown(e, policyFields())
			}
		}
		bad[e.key] = e.value == nil || len(r.errs) > before
	}
	place := func(field string) *token.Token {
		if t := places[field]; t != nil {
			return t
		}
		return at
	}
	if places["limit"] == nil {
		r.fault(at, path+".limit", "missing; write for example limit: 10 and window: 1s")
		bad["limit"] = true
	}
	for _, err := range faults(p.Validate()) {
		if bad[err.Field] || bad["algorithm"] || bad["period"] && err.Field == "window" {
			continue // the real reason has been told
		}
		r.fault(place(err.Field), path+"."+err.Field, "%s", err.Reason)
	}
	for _, c := range p.conflicts() {
		if !bad[c.field] && !bad["algorithm"] && !bad["limit"] && !bad["window"] && !bad["key"] {
			r.fault(place(c.field), path+"."+c.field, "%s", c.reason)
		}
	}
	return p, places
}

// faults takes apart what limit.Policy.Validate joined.
func faults(err error) (out []*limit.FieldError) {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			out = append(out, faults(one)...)
		}
		return out
	}
	var field *limit.FieldError
	if errors.As(err, &field) {
		return []*limit.FieldError{field}
	}
	return []*limit.FieldError{{Field: "limit", Reason: err.Error()}}
}

// policyField reads one field into p; false means that there is none of this name.
func (r *reader) policyField(p *Policy, e entry) bool {
	switch e.key {
	case "name":
		p.Name = r.text(e)
	case "match":
		p.Match = r.match(e)
	case "key":
		if _, null := e.value.(*ast.NullNode); null {
			return true
		}
		before := len(r.errs)
		text := r.text(e)
		if len(r.errs) > before {
			return true
		}
		key, err := parseKey(&r.compiler, text)
		r.inside(e, err)
		p.Key = key
	case "algorithm":
		r.word(e, p.Algorithm.UnmarshalText)
	case "align":
		r.word(e, p.Align.UnmarshalText)
	case "period":
		r.word(e, func(text []byte) error {
			if err := p.Period.UnmarshalText(text); err != nil || p.Period == limit.NoPeriod {
				return errors.New("must be hour, day, week, month or year; leave it out to count by window")
			}
			return nil
		})
	case "limit":
		p.Limit = r.integer(e)
	case "burst":
		p.Burst = r.integer(e)
	case "undelayed":
		p.Undelayed = r.integer(e)
	case "cost":
		p.Cost = r.cost(e)
	case "window":
		p.Window = r.duration(e)
	case "phase":
		p.Phase = r.duration(e)
	case "phase-within":
		p.PhaseWithin = r.duration(e)
	case "ban":
		before := len(r.errs)
		if p.Ban = r.duration(e); p.Ban == 0 && len(r.errs) == before {
			r.fault(e.value.GetToken(), e.path, "must be longer than zero; leave it out where nobody is banned")
		}
	case "max-delay":
		p.MaxDelay = r.duration(e)
	case "location":
		p.Location = r.location(e)
	case "start":
		text := r.text(e)
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil && text != "" {
			r.fault(e.value.GetToken(), e.path, "%s is not a time; write for example 2026-01-31T00:00:00Z", show(text))
		}
		p.Start = at.UTC()
	case "count-denied":
		p.CountDenied = r.boolean(e)
	case "warn-at":
		p.WarnAt = r.share(e)
	case "answer":
		p.Answer = r.answer(e)
	default:
		return r.serviceField(p, e)
	}
	return true
}

// cost reads a number or an expression.
func (r *reader) cost(e entry) (c Cost) {
	if _, text := e.value.(*ast.StringNode); !text {
		before := len(r.errs)
		if c.Fixed = r.integer(e); c.Fixed < 1 && len(r.errs) == before {
			r.fault(e.value.GetToken(), e.path, "must be at least 1")
		}
		return c
	}
	c.Expr = r.expression(e, expr.Int)
	return c
}

// expression reads one; nil when there was a fault.
func (r *reader) expression(e entry, want expr.Type) *expr.Expr {
	before := len(r.errs)
	text := r.text(e)
	if len(r.errs) > before {
		return nil
	}
	x, err := r.compiler.Compile(text, want)
	r.inside(e, err)
	return x
}

// text reads a piece of text; what YAML takes for a number or a bool needs quotes.
func (r *reader) text(e entry) string {
	switch v := e.value.(type) {
	case *ast.StringNode:
		return v.Value
	case *ast.LiteralNode:
		return v.Value.Value
	case *ast.NullNode:
		r.fault(e.at, e.path, "has no value; give one, or leave the field out")
		return ""
	}
	if kind(e.value) == "a mapping" || kind(e.value) == "a list" {
		r.fault(start(e.value), e.path, "this is %s; it must be text, in quotes if it has brackets or a colon", kind(e.value))
	} else {
		r.fault(e.value.GetToken(), e.path, "this is %s; it must be text, so put it in quotes", kind(e.value))
	}
	return ""
}

// word reads a name with the given function.
func (r *reader) word(e entry, read func([]byte) error) {
	before := len(r.errs)
	text := r.text(e)
	if len(r.errs) > before {
		return
	}
	if err := read([]byte(text)); err != nil {
		r.fault(e.value.GetToken(), e.path, "%s", strings.TrimPrefix(err.Error(), e.key+": "))
	}
}

// integer reads a whole number that is not negative.
func (r *reader) integer(e entry) int64 {
	n, ok := e.value.(*ast.IntegerNode)
	if !ok {
		r.fault(e.place(), e.path, "this is %s; it must be a whole number without quotes", kind(e.value))
		return 0
	}
	switch v := n.Value.(type) {
	case int64:
		if v < 0 {
			r.fault(n.Token, e.path, "must not be negative")
			return 0
		}
		return v
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	}
	r.fault(n.Token, e.path, "is too large")
	return 0
}

// place is where a value stands, of an empty one where its key stands.
func (e entry) place() *token.Token {
	if _, null := e.value.(*ast.NullNode); null {
		return e.at
	}
	return e.value.GetToken()
}

func (r *reader) boolean(e entry) bool {
	b, ok := e.value.(*ast.BoolNode)
	if !ok {
		r.fault(e.place(), e.path, "this is %s; it must be true or false", kind(e.value))
		return false
	}
	return b.Value
}

// duration reads 1s, 100ms, 1m30s, 7d.
func (r *reader) duration(e entry) time.Duration {
	if kind(e.value) == "a number" {
		r.fault(e.value.GetToken(), e.path, "%s has no unit; write for example %[1]ss for seconds", e.value.GetToken().Value)
		return 0
	}
	before := len(r.errs)
	text := r.text(e)
	if len(r.errs) > before {
		return 0
	}
	d, ok := parseDuration(text)
	if !ok {
		r.fault(e.value.GetToken(), e.path, "%s is not a duration; write for example 1s, 100ms, 1m30s or 7d", show(text))
	}
	return d
}

// parseDuration reads Go's durations without a sign, with days before the rest.
func parseDuration(s string) (time.Duration, bool) {
	days := time.Duration(0)
	if i := strings.IndexByte(s, 'd'); i > 0 {
		n, err := strconv.ParseUint(s[:i], 10, 63)
		if err != nil || n > uint64(math.MaxInt64/(24*time.Hour)) {
			return 0, false
		}
		days = time.Duration(n) * 24 * time.Hour
		if s = s[i+1:]; s == "" {
			return days, true
		}
	}
	if s == "" || s[0] < '0' || s[0] > '9' || strings.Contains(s, "..") {
		return 0, false
	}
	// Go also reads "1.s" and a bare 0; the schema knows neither.
	for i := range len(s) - 1 {
		if s[i] == '.' && (s[i+1] < '0' || s[i+1] > '9') || s[i] == '.' && (i == 0 || s[i-1] < '0' || s[i-1] > '9') {
			return 0, false
		}
	}
	if last := s[len(s)-1]; last >= '0' && last <= '9' {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	if err != nil || d > math.MaxInt64-days {
		return 0, false
	}
	return days + d, true
}

// share reads 80% or 0.8.
func (r *reader) share(e entry) float64 {
	const form = "write a share such as 80%% or 0.8"
	var share float64
	switch v := e.value.(type) {
	case *ast.FloatNode:
		share = v.Value
	case *ast.IntegerNode:
		if n, err := strconv.ParseFloat(v.Token.Value, 64); err == nil {
			share = n
		} else {
			share = -1
		}
		if share > 1 {
			r.fault(v.Token, e.path, "%s is more than everything; for a percentage write %[1]s%%", v.Token.Value)
			return 0
		}
	default:
		before := len(r.errs)
		text := r.text(e)
		if len(r.errs) > before {
			return 0
		}
		number, ok := strings.CutSuffix(text, "%")
		n, err := strconv.ParseFloat(number+"e-2", 64) // exactly the hundredth, 0.07 and not 7 divided by 100
		if !ok || err != nil || number == "" || strings.Trim(number, "0123456789.") != "" || number[0] == '.' || number[len(number)-1] == '.' {
			r.fault(e.value.GetToken(), e.path, "%s is not a percentage; "+form, show(text))
			return 0
		}
		share = n
	}
	if math.IsNaN(share) || share < 0 || share > 1 {
		r.fault(e.value.GetToken(), e.path, "must be from 0%% to 100%%; "+form)
		return 0
	}
	return share
}

func (r *reader) location(e entry) *time.Location {
	before := len(r.errs)
	text := r.text(e)
	if len(r.errs) > before {
		return nil
	}
	// Subtle: LoadLocation takes "" for UTC and "Local" for the zone of this
	// machine, which would make one file mean different limits on two machines.
	l, err := time.LoadLocation(text)
	if err != nil || text == "" || text == "Local" {
		r.fault(e.value.GetToken(), e.path, "%s is not a known time zone; write for example Europe/Berlin or UTC", show(text))
		return nil
	}
	return l
}

// match reads one pattern or a list of them.
func (r *reader) match(e entry) []Match {
	list, ok := e.value.(*ast.SequenceNode)
	if !ok {
		before := len(r.errs)
		text := r.text(e)
		if len(r.errs) > before {
			return nil
		}
		m, err := ParseMatch(text)
		r.inside(e, err)
		return []Match{m}
	}
	if len(list.Values) == 0 {
		r.fault(list.GetToken(), e.path, "the list is empty; leave match out for every request")
	}
	var out []Match
	for i, n := range list.Values {
		one := entry{key: e.key, at: n.GetToken(), path: e.path + "[" + strconv.Itoa(i) + "]"}
		if one.value = r.resolve(n, one.path); one.value == nil {
			continue
		}
		before := len(r.errs)
		text := r.text(one)
		if len(r.errs) > before {
			continue
		}
		m, err := ParseMatch(text)
		r.inside(one, err)
		out = append(out, m)
	}
	return out
}

// answer reads the name of a known answer or one spelt out.
func (r *reader) answer(e entry) (a Answer) {
	if kind(e.value) != "a mapping" {
		before := len(r.errs)
		text := r.text(e)
		if len(r.errs) == before && !slices.Contains(KnownAnswers(), text) {
			r.fault(e.value.GetToken(), e.path, "no answer is called %s; known are %s, or spell one out with status, fields, headers and body", show(text), strings.Join(KnownAnswers(), ", "))
		}
		a.Name = text
		return a
	}
	entries, _ := r.mapping(e.value, e.path, "")
	found := false
	for _, f := range entries {
		if f.value == nil {
			continue
		}
		switch f.key {
		case "status":
			found = true
			before := len(r.errs)
			a.Status = int(min(r.integer(f), 1000))
			if len(r.errs) == before && (a.Status < 400 || a.Status > 599) {
				r.fault(f.value.GetToken(), f.path, "must be from 400 to 599: a refused request gets an error")
			}
		case "fields":
			a.Dialect = r.dialect(f)
		case "headers":
			a.Headers = r.headers(f)
		case "body":
			a.Body = r.text(f)
		default:
			r.unknown(f, answerFields())
		}
	}
	if !found {
		r.fault(e.at, e.path+".status", "missing; an answer spelt out needs one, such as status: 429")
	}
	return a
}

// headers reads further header fields.
func (r *reader) headers(e entry) (out []hit.Field) {
	entries, ok := r.mapping(e.value, e.path, "a mapping of names to values")
	if !ok {
		return nil
	}
	for _, f := range entries {
		if f.value == nil {
			continue
		}
		for i := range len(f.key) {
			if !isToken(f.key[i]) {
				r.fault(f.at, f.path, "%s cannot be in the name of a header", show(f.key[i:i+1]))
				break
			}
		}
		if f.key == "" {
			r.fault(f.at, f.path, "the name of the header is empty")
		}
		value := r.text(f)
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			r.fault(f.value.GetToken(), f.path, "a line end or another control character cannot be in a header")
		}
		out = append(out, hit.Field{Name: f.key, Value: value})
	}
	return out
}
