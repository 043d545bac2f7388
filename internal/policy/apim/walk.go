package apim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// ScopeKind is where a document is in force.
type ScopeKind uint8

// The scopes, from the outermost. A workspace is a Global of its own.
const (
	Global ScopeKind = iota
	Product
	API
	Operation
)

// String returns the word for messages.
func (k ScopeKind) String() string {
	if int(k) < 4 {
		return [...]string{"global", "product", "api", "operation"}[k]
	}
	return fmt.Sprintf("ScopeKind(%d)", uint8(k))
}

// Scope is one place where a document is in force. The zero value is Global.
type Scope struct {
	Kind ScopeKind
	ID   string // of the product, the API or the operation
	API  string // of an operation: the API it belongs to
}

// String names the scope, such as "api echo" or "operation get of api echo".
func (s Scope) String() string {
	switch s.Kind {
	case Global:
		return "global"
	case Operation:
		if s.API != "" {
			return "operation " + s.ID + " of api " + s.API
		}
	}
	return s.Kind.String() + " " + s.ID
}

// placed is a document at its scope. A nil doc says nothing.
type placed struct {
	scope Scope
	doc   *Document
}

// walker goes through the elements of documents in the order in which the
// service executes them, and collects the limits.
type walker struct {
	opts     Options
	compiler *expr.Compiler
	chain    []placed // from the innermost scope to the outermost
	level    int      // of chain: whose document is being read
	doc      *Document
	errs     map[*Document]*faults
	docs     []*Document // of errs, in order

	vars     variables
	conds    []value                      // of the choose elements around
	gone     []value                      // conditions under which an element before has answered the request
	ended    bool                         // one has, always
	include  []string                     // the fragments around
	included int                          // fragments so far
	seen     map[*element]map[string]bool // policies that stand once in a definition
	section  string

	out   []built
	notes []policy.Note
	noted map[*element]bool
	names map[string]bool // variables that are not set, and were told
}

// built is a limit that was read.
type built struct {
	policy  policy.Policy
	element *element
	scope   Scope
	unit    string // part of an element: calls, kilobytes
}

func newWalker(opts Options, chain []placed) *walker {
	return &walker{
		opts: opts, compiler: &expr.Compiler{}, chain: chain, vars: variables{},
		errs: map[*Document]*faults{}, seen: map[*element]map[string]bool{}, noted: map[*element]bool{}, names: map[string]bool{},
	}
}

// at notes a problem in the document that is being read.
func (w *walker) at(offset int, path, format string, args ...any) {
	f := w.errs[w.doc]
	if f == nil {
		f = &faults{doc: w.doc}
		w.errs[w.doc] = f
		w.docs = append(w.docs, w.doc)
	}
	f.at(offset, path, format, args...)
}

// err returns every problem that was noted.
func (w *walker) err() error {
	var all policy.Errors
	for _, d := range w.docs {
		if w.errs[d].err() != nil {
			all = append(all, w.errs[d].errs...)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// note tells what was left out.
func (w *walker) note(e *element, format string, args ...any) {
	if !w.noted[e] {
		w.noted[e] = true
		w.noteAt(e.at, fmt.Sprintf(format, args...))
	}
}

// notSet tells that a limit depends on variables that nothing sets here: with
// documents of outer scopes left out it may count otherwise than meant, or never.
func (w *walker) notSet(a *attribute, names []string) {
	for _, name := range names {
		if !w.names[name] {
			w.names[name] = true
			w.noteAt(a.at, fmt.Sprintf("a limit asks for the variable %s, which nothing here sets: taken as null; if an outer scope sets it, copy its <set-variable> to here", name))
		}
	}
}

// noteAt tells what was left out.
func (w *walker) noteAt(offset int, text string) {
	if len(w.notes) >= maxPolicies {
		return
	}
	line, column := w.doc.place(offset)
	if len(w.chain) > 1 {
		text = w.doc.name + ": " + text
	}
	w.notes = append(w.notes, policy.Note{Line: line, Column: column, Text: text})
}

// run reads all sections.
func (w *walker) run() {
	for _, s := range sections() {
		w.section = s
		w.scope(0)
		w.ended = w.ended && s == "inbound" // what inbound has answered goes on with outbound
	}
}

// scope reads the section of the document at a level of the chain. Where a
// document has no such section, or there is no document, the outer scope's holds.
func (w *walker) scope(level int) {
	if level >= len(w.chain) {
		return
	}
	doc, outer := w.doc, w.level
	defer func() { w.doc, w.level = doc, outer }()
	p := w.chain[level]
	if p.doc == nil {
		w.scope(level + 1)
		return
	}
	kids, there := p.doc.section(w.section)
	if !there {
		w.scope(level + 1)
		return
	}
	w.doc, w.level = p.doc, level
	based := false
	for _, k := range kids {
		if k.name != "base" {
			w.element(k, w.section)
			continue
		}
		if based {
			w.at(k.at, w.section+".base", "a second <base />; the outer policies run once")
		}
		based = true
		w.scope(level + 1)
	}
}

// elements reads what is inside an element.
func (w *walker) elements(kids []*element, path string) {
	for _, k := range kids {
		w.element(k, path)
	}
}

// element reads one policy.
func (w *walker) element(e *element, path string) {
	path += "." + e.name
	if _, limits := limitElements()[e.name]; limits && e.name != "limit-concurrency" && w.section != "inbound" {
		w.at(e.at, path, "<%s> belongs in <inbound>", e.name)
		return
	}
	switch e.name {
	case "base":
		w.at(e.at, path, "<base /> stands directly in a section only")
	case "rate-limit":
		w.rateLimit(e, path)
	case "rate-limit-by-key":
		w.rateLimitByKey(e, path)
	case "quota":
		w.quota(e, path)
	case "quota-by-key":
		w.quotaByKey(e, path)
	case "limit-concurrency":
		if w.section == "outbound" || w.section == "on-error" {
			w.note(e, "ignored: <limit-concurrency> in <%s> limits what happens after the answer", w.section)
		} else {
			w.concurrency(e, path)
		}
		w.elements(e.kids, path)
	case "choose":
		w.choose(e, path)
	case "set-variable":
		w.setVariable(e)
	case "include-fragment":
		w.fragment(e, path)
	case "return-response", "mock-response":
		w.forgets(e)
		w.note(e, "ignored: <%s>; limits behind it are asked only of requests that it does not answer", e.name)
		w.answers(e)
	default:
		w.other(e, path)
	}
}

// other is a policy that is no limit.
func (w *walker) other(e *element, path string) {
	if inner := w.limitInside(e); inner != nil {
		w.at(inner.at, path+"."+inner.name, "a limit inside <%s> is not understood; take it out, or put it under <choose>", e.name)
		return
	}
	if meant := expr.Nearest(e.name, slices.Sorted(maps.Keys(limitElements()))); meant != "" {
		w.at(e.at, path, "no policy is called %s; did you mean %s?", e.name, meant)
		return
	}
	w.forgets(e)
	if e.name == "llm-token-limit" || e.name == "azure-openai-token-limit" {
		// learn.microsoft.com/azure/api-management/llm-token-limit-policy, read 2026-11-22.
		w.note(e, "not kept: <%s> limits the tokens of a language model, which only the bodies tell", e.name)
		return
	}
	if (e.name == "validate-jwt" || e.name == "validate-azure-ad-token") && e.attr("output-token-variable-name") != nil {
		// The token that was checked is the one of the request.
		if h := e.attr("header-name"); h == nil || strings.EqualFold(h.value, "Authorization") {
			w.vars[e.attr("output-token-variable-name").value] = variable{value: value{is: isThing, thing: "Jwt", there: "size(request.jwt) > 0"}}
		}
	}
	w.note(e, "ignored: <%s> is no limit", e.name)
}

// limitInside returns a limit at any depth inside an element, or nil. Of a
// fragment's limits it returns where the fragment is included.
func (w *walker) limitInside(e *element) *element { return w.limitBelow(e, map[*Document]bool{}) }

// limitBelow looks into each fragment once.
func (w *walker) limitBelow(e *element, seen map[*Document]bool) *element {
	for _, k := range e.kids {
		if _, limits := limitElements()[k.name]; limits {
			return k
		}
		if k.name == "include-fragment" {
			if d := w.fragmentOf(k); d != nil && !seen[d] {
				seen[d] = true
				if w.limitBelow(d.root, seen) != nil {
					return k
				}
			}
		}
		if inner := w.limitBelow(k, seen); inner != nil {
			return inner
		}
	}
	return nil
}

// answers notes that a request which comes here is answered.
func (w *walker) answers(e *element) {
	if w.section != "inbound" {
		return
	}
	if len(w.conds) == 0 {
		w.ended = true
		return
	}
	if total(w.conds) > maxCEL {
		w.note(e, "ignored: <%s>, under conditions that are too long to keep; limits behind it are asked of its requests too", e.name)
		return
	}
	w.gone = append(w.gone, all(w.conds))
}

// once reports a policy that "can be used only once per policy definition".
// Fragments are part of the definition that includes them.
func (w *walker) once(e *element, path string) bool {
	at := w.chain[w.level].doc.root
	if w.seen[at] == nil {
		w.seen[at] = map[string]bool{}
	}
	if w.seen[at][e.name] && len(w.conds) == 0 {
		w.at(e.at, path, "a second <%s>; it can be used once in a policy definition", e.name)
		return true
	}
	w.seen[at][e.name] = true
	return false
}

// add adds a limit that holds under the conditions around it and under more.
func (w *walker) add(e *element, path string, p policy.Policy, part, unit string, more ...value) {
	if w.ended {
		w.note(e, "ignored: <%s> is never reached, since a policy before it answers every request", e.name)
		return
	}
	if len(w.out) >= maxPolicies {
		w.at(e.at, path, "more than %d limits", maxPolicies)
		return
	}
	conds := append([]value(nil), w.conds...)
	for _, g := range w.gone {
		conds = append(conds, value{is: isTruth, cel: "!" + g.in(negating), power: negating})
	}
	conds = append(conds, more...)
	if size := total(conds); size > maxCEL {
		w.at(e.at, path, "the conditions that lead here come to %d characters, more than %d; write it with fewer <when> before it", size, maxCEL)
		return
	}
	if len(conds) > 0 {
		when := w.cel(&attribute{valueAt: e.at}, path, all(conds).cel, expr.Bool)
		switch {
		case when == nil:
			return
		case when.ReadsResponse():
			w.at(e.at, path, "the condition around this limit reads the response, which is not there yet in <%s>", w.section)
			return
		case when.Source() != "true":
			p.When = when
		}
	}
	scope := w.chain[w.level].scope
	name := e.name
	if part != "" { // a child of rate-limit or quota
		name = "rate-limit"
		if p.Algorithm == limit.Quota {
			name = "quota"
		}
	}
	p.Name = strings.Join(strings.Fields(name+" "+part+" "+unit), " ")
	if scope.Kind != Global {
		p.Name += " of " + scope.String()
	}
	w.out = append(w.out, built{policy: p, element: e, scope: scope, unit: part + unit})
}

// total is how long conditions are together.
func total(conds []value) (size int) {
	for _, c := range conds {
		size += len(c.cel) + len(" && ()")
	}
	return size
}

// all is the conjunction of conditions.
func all(conds []value) value {
	if len(conds) == 1 {
		return conds[0]
	}
	parts := make([]string, len(conds))
	for i, c := range conds {
		parts[i] = c.in(both)
	}
	return value{is: isTruth, cel: strings.Join(parts, " && "), power: both}
}

// setVariable keeps the value of a variable, if it can be told.
func (w *walker) setVariable(e *element) {
	name, a := e.attr("name"), e.attr("value")
	if name == nil {
		return
	}
	if _, known := w.vars[name.value]; !known && len(w.vars) >= maxVars {
		w.at(e.at, "set-variable", "more than %d variables", maxVars)
		return
	}
	if a == nil {
		w.vars[name.value] = variable{unknown: "<set-variable> has no value"}
		return
	}
	line, _ := w.doc.place(e.at)
	switch {
	case !startsCode(a.value):
		w.vars[name.value] = variable{value: literal(a.value)}
	default:
		v, fault := translateAny(a.value, w.vars)
		if fault != nil {
			w.vars[name.value] = variable{unknown: fmt.Sprintf("its value in line %d of %s is not translated: %s", line, w.doc.name, fault.Reason)}
			return
		}
		w.vars[name.value] = variable{value: v}
	}
}

// forgets makes unknown what an element that is not understood may set.
func (w *walker) forgets(e *element) {
	if e.name == "set-variable" {
		if a := e.attr("name"); a != nil {
			w.vars[a.value] = variable{unknown: "it is set inside a policy that is not translated"}
		}
	}
	for i := range e.attrs {
		if a := &e.attrs[i]; strings.HasSuffix(a.name, "variable-name") {
			w.vars[a.value] = variable{unknown: fmt.Sprintf("<%s> sets it", e.name)}
		}
	}
	for _, k := range e.kids {
		w.forgets(k)
	}
}

// fragmentOf returns the document that an include-fragment names, or nil.
func (w *walker) fragmentOf(e *element) *Document {
	if a := e.attr("fragment-id"); a != nil {
		return w.opts.Fragments[a.value]
	}
	return nil
}

// fragment reads the policies of a fragment in the place of its inclusion.
func (w *walker) fragment(e *element, path string) {
	a := e.attr("fragment-id")
	if a == nil || a.value == "" {
		w.at(e.at, path, "fragment-id is missing; it says which fragment to include")
		return
	}
	for _, outer := range w.include {
		if outer == a.value {
			w.at(a.place(0), path, "the fragment %s includes itself, by way of %s", a.value, strings.Join(append(w.include, a.value), ", "))
			return
		}
	}
	if len(w.include) >= maxInclude {
		w.at(a.place(0), path, "more than %d fragments inside each other", maxInclude)
		return
	}
	d := w.opts.Fragments[a.value]
	switch {
	case d == nil && w.opts.Fragments == nil:
		w.note(e, "ignored: the fragment %s is not in this file; limits in it are not seen", a.value)
		w.everything(fmt.Sprintf("the fragment %s, which is not in this file, may set it", a.value))
		return
	case d == nil:
		w.at(a.place(0), path, "there is no fragment %s", a.value)
		return
	case !d.fragment:
		w.at(a.place(0), path, "%s is no fragment: its root is <%s>", a.value, d.root.name)
		return
	}
	// Subtle: fragments that each include the next one twice are few, and what they
	// come to is not.
	if w.included++; w.included > maxExpanded {
		if w.included == maxExpanded+1 {
			w.at(a.place(0), path, "more than %d fragments are included in all", maxExpanded)
		}
		return
	}
	w.include = append(w.include, a.value)
	outer := w.doc
	w.doc = d
	w.elements(d.root.kids, "fragment")
	w.doc = outer
	w.include = w.include[:len(w.include)-1]
}

// everything makes all variables unknown.
func (w *walker) everything(why string) {
	for name := range w.vars {
		w.vars[name] = variable{unknown: why}
	}
}
