package apim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// spec says of one attribute whether it must be given and whether it can be an
// expression.
type spec struct {
	name     string
	required bool
	expr     bool
}

// limitElements are the policies that limit, with their attributes: the pages of
// the package comment.
func limitElements() map[string][]spec {
	headers := []spec{
		{name: "retry-after-header-name"}, {name: "retry-after-variable-name"}, {name: "remaining-calls-header-name"},
		{name: "remaining-calls-variable-name"}, {name: "total-calls-header-name"},
	}
	return map[string][]spec{
		"rate-limit": append([]spec{{name: "calls", required: true}, {name: "renewal-period", required: true}}, headers...),
		"rate-limit-by-key": append([]spec{
			{name: "calls", required: true, expr: true}, {name: "renewal-period", required: true, expr: true},
			{name: "counter-key", required: true, expr: true}, {name: "increment-condition", expr: true}, {name: "increment-count", expr: true},
		}, headers...),
		"quota": {{name: "calls"}, {name: "bandwidth"}, {name: "renewal-period", required: true}},
		"quota-by-key": {
			{name: "calls"}, {name: "bandwidth"}, {name: "renewal-period", required: true}, {name: "counter-key", required: true, expr: true},
			{name: "increment-condition", expr: true}, {name: "increment-count", expr: true}, {name: "first-period-start"},
		},
		"limit-concurrency": {{name: "key", required: true, expr: true}, {name: "max-count", required: true}},
	}
}

// childSpecs are the attributes of api and operation inside rate-limit and quota.
func childSpecs(parent string) []spec {
	out := []spec{{name: "name"}, {name: "id"}}
	if parent == "quota" {
		return append(out, spec{name: "calls"}, spec{name: "bandwidth"}, spec{name: "renewal-period"})
	}
	return append(out, spec{name: "calls", required: true}, spec{name: "renewal-period", required: true})
}

const (
	// maxRenewal is the longest renewal-period of rate limits, minQuota the
	// shortest of quotas, in seconds (rate-limit-policy.md 2024-07-23: "Maximum
	// allowed value: 300 seconds"; quota-by-key-policy.md 2024-03-18: "Minimum
	// period: 300 seconds. When renewal-period is set to 0, the period is set to
	// infinite").
	maxRenewal = 300
	minQuota   = 300

	// kilobyte: the pages say kilobytes and no more; 1,024 bytes is our reading.
	kilobyte = 1024

	// maxCount bounds calls, far above what a service takes.
	maxCount = 1 << 40

	// maxPeriod bounds the periods of quotas, in seconds: ten years.
	maxPeriod = 10 * 366 * 24 * 3600

	// forever is an infinite period: longer than anything counts.
	forever = 100 * 365 * 24 * time.Hour
)

// check reports attributes that are missing, unknown or no expression can be.
func (w *walker) check(e *element, specs []spec, path string) (ok bool) {
	ok = true
	known := map[string]spec{"id": {name: "id"}} // every policy has an id for error handling (error-handling-policies.md)
	for _, s := range specs {
		known[s.name] = s
		if s.required && e.attr(s.name) == nil {
			w.at(e.at, path+"."+s.name, "missing; <%s> needs %s", e.name, s.name)
			ok = false
		}
	}
	for i := range e.attrs {
		a := &e.attrs[i]
		s, found := known[a.name]
		switch {
		case !found:
			var names []string
			for _, s := range specs {
				names = append(names, s.name)
			}
			w.at(a.at, path+"."+a.name, "no such attribute of <%s>; known are %s", e.name, strings.Join(names, ", "))
			ok = false
		case startsCode(a.value) && !s.expr:
			w.at(a.place(0), path+"."+a.name, "an expression is not allowed here; write a plain value")
			ok = false
		}
	}
	return ok
}

// whole reads a whole number between least and most. ok is false after a fault.
func (w *walker) whole(a *attribute, path string, least, most int64) (n int64, ok bool) {
	if strings.Contains(a.value, "{{") {
		w.at(a.place(0), path, "the named value %s is not known; give its value, or write a number", a.value)
		return 0, false
	}
	n, err := strconv.ParseInt(a.value, 10, 64)
	switch {
	case err != nil:
		w.at(a.place(0), path, "%q is not a whole number", shorten(a.value))
	case n < least:
		w.at(a.place(0), path, "%d is too small; it must be at least %d", n, least)
	case n > most:
		w.at(a.place(0), path, "%d is too large; it must be at most %d", n, most)
	default:
		return n, true
	}
	return 0, false
}

func shorten(s string) string {
	if len([]rune(s)) > 40 {
		return string([]rune(s)[:40]) + "…"
	}
	return s
}

// compiled translates the value of an attribute, an expression or plain text,
// and compiles it. It returns nil after a fault.
func (w *walker) compiled(a *attribute, path string, want expr.Type) *expr.Expr {
	v, ok := w.translated(a, path)
	if !ok {
		return nil
	}
	cel := v.cel
	switch {
	case want == expr.String && v.is != isText:
		cel = "string(" + cel + ")"
		if v.is == isTruth {
			cel = v.in(either) + ` ? "True" : "False"`
		}
	case want == expr.Bool && v.is != isTruth:
		w.at(a.place(0), path, "this is %s; a condition, true or false, is needed", v.kind())
		return nil
	case want == expr.Int && v.is != isNumber:
		w.at(a.place(0), path, "this is %s; a whole number is needed", v.kind())
		return nil
	}
	return w.cel(a, path, cel, want)
}

// cel compiles CEL that an attribute was translated to.
func (w *walker) cel(a *attribute, path, cel string, want expr.Type) *expr.Expr {
	e, err := w.compiler.Compile(cel, want)
	if err != nil {
		w.at(a.place(0), path, "the translation of this expression, %s, is not accepted (%v); write it more simply", shorten(cel), err)
		return nil
	}
	return e
}

// translated is the value of an attribute in CEL.
func (w *walker) translated(a *attribute, path string) (v value, ok bool) {
	switch {
	case startsCode(a.value):
		v, unset, fault := translate(a.value, w.vars)
		if fault != nil {
			w.at(a.place(fault.Offset), path, "%s", fault.Reason)
			return value{}, false
		}
		w.notSet(a, unset)
		return v, true
	case strings.Contains(a.value, "@("):
		w.at(a.place(strings.Index(a.value, "@(")), path, `an expression is the whole value; write @("text" + …)`)
		return value{}, false
	case a.value == "true" || a.value == "True":
		return fixedTruth(true), true
	case a.value == "false" || a.value == "False":
		return fixedTruth(false), true
	}
	if n, err := strconv.ParseInt(a.value, 10, 64); err == nil {
		return number(n), true
	}
	return literal(a.value), true
}

// key reads counter-key and key.
func (w *walker) key(e *element, name, path string) (policy.Key, bool) {
	a := e.attr(name)
	path += "." + name
	if a.value == "" {
		// MicrosoftDocs/azure-docs issue 77160: an empty key is a 500, "The
		// counter-key field is required".
		w.at(a.valueAt, path, "the key is empty: the service answers every call with 500; write for example @(context.Subscription.Id)")
		return policy.Key{}, false
	}
	if !startsCode(a.value) {
		if strings.Contains(a.value, "@(") {
			_, _ = w.translated(a, path)
			return policy.Key{}, false
		}
		x := w.cel(a, path, quote(a.value), expr.String)
		return policy.Key{Kind: policy.Expression, Expr: x}, x != nil
	}
	x := w.compiled(a, path, expr.String)
	if x == nil {
		return policy.Key{}, false
	}
	if x.ReadsResponse() {
		w.at(a.place(0), path, "a key cannot read the response: it is needed before there is one")
		return policy.Key{}, false
	}
	// The known forms have kinds of their own, which package policy writes plainly.
	if s := x.Source(); !strings.ContainsAny(s, " +?(") {
		if k, err := policy.ParseKey(s); err == nil {
			return k, true
		}
	}
	return policy.Key{Kind: policy.Expression, Expr: x}, true
}

// field reads an attribute that names a header field; "" when it is not given.
func (w *walker) field(e *element, name, path string) string {
	a := e.attr(name)
	if a == nil {
		return ""
	}
	token := func(r rune) bool {
		return r > 'z' || !(r >= 'a' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	}
	if a.value == "" || strings.IndexFunc(a.value, token) >= 0 {
		w.at(a.place(0), path+"."+name, "%q cannot be the name of a header", shorten(a.value))
		return ""
	}
	return a.value
}

// json are the fields of the service's own answers.
func json() []hit.Field { return []hit.Field{{Name: "Content-Type", Value: "application/json"}} }

// tell reads the attributes that name header fields, and gives the answer of a
// refused call: error-handling-policies.md 2020-01-10 has the messages; seen in
// "Get the audit log" of learn.microsoft.com with "Content-Length: 84",
// "{ "statusCode": 429, "message": "Rate limit is exceeded. Try again in 57 seconds." }".
func (w *walker) tell(e *element, path string) (policy.Tell, policy.Answer) {
	t := policy.Tell{
		Limit:      w.field(e, "total-calls-header-name", path),
		Remaining:  w.field(e, "remaining-calls-header-name", path),
		RetryAfter: w.field(e, "retry-after-header-name", path),
	}
	a := policy.Answer{
		Status: 429, Dialect: header.RetryAfterOnly, Headers: json(),
		Body: `{ "statusCode": 429, "message": "Rate limit is exceeded. Try again in {retry-after} seconds." }`,
	}
	if t.RetryAfter != "" { // "replaces default 'Retry-After'"
		a.Dialect = ""
	}
	return t, a
}

// window is the algorithm of rate limits: "the sliding window" in the classic
// tiers, a token bucket in the v2 tiers (rate-limit-policy.md 2024-07-23, and
// includes/api-management-rate-limit-implementation-v2.md 2025-11-14).
func (w *walker) window(calls, period int64) limit.Policy {
	p := limit.Policy{Algorithm: limit.SlidingLog, Limit: calls, Window: time.Duration(period) * time.Second}
	if w.opts.TokenBucket {
		p.Algorithm = limit.TokenBucket
	}
	return p
}

// rateLimit is rate-limit: a limit for each subscription, by this policy alone.
func (w *walker) rateLimit(e *element, path string) {
	if w.once(e, path) {
		return
	}
	ok := w.check(e, limitElements()["rate-limit"], path)
	tell, answer := w.tell(e, path)
	w.forgets(e)
	if ok {
		w.perSubscription(e, path, tell, answer, w.rate, scoping{})
	}
}

// rate gives the limit of rate-limit and its children.
func (w *walker) rate(e *element, path string) (out []limit.Policy, unit []string) {
	calls, ok := w.whole(e.attr("calls"), path+".calls", 1, maxCount)
	period, ok2 := w.whole(e.attr("renewal-period"), path+".renewal-period", 1, maxRenewal)
	if ok && ok2 {
		return []limit.Policy{w.window(calls, period)}, []string{""}
	}
	return nil, nil
}

// scoping is which API and operation a child of rate-limit or quota is for.
type scoping struct {
	scope policy.Scope
	conds []value
	name  string
}

// perSubscription adds the limits of rate-limit or quota, and of the api and
// operation elements in it: "Product, API, and operation call rate limits are
// applied independently" (rate-limit-policy.md 2024-07-23).
func (w *walker) perSubscription(e *element, path string, tell policy.Tell, answer policy.Answer, limits func(*element, string) ([]limit.Policy, []string), for_ scoping) {
	policies, units := limits(e, path)
	for i, l := range policies {
		p := policy.Policy{Policy: l, Scope: for_.scope, Tell: tell, Answer: answer}
		if units[i] == "kilobytes" {
			p.Cost.Expr = w.cel(&attribute{valueAt: e.at}, path, "response.bytes", expr.Int)
			p.Answer.Body = bandwidthBody
		}
		// "only applied when an API is accessed using a subscription key"
		conds := append([]value{truth(`subscription.id != ""`)}, for_.conds...)
		key, err := policy.ParseKey("subscription.id")
		if err != nil {
			w.at(e.at, path, "%v", err)
			return
		}
		p.Key = key
		w.add(e, path, p, for_.name, units[i], conds...)
	}
	child := map[string]string{"": "api", "api": "operation"}[for_.level()]
	seen := map[string]bool{}
	for _, k := range e.kids {
		at := path + "." + k.name
		if k.name != child {
			w.at(k.at, at, "<%s> does not belong in <%s>", k.name, e.name)
			continue
		}
		root := "rate-limit"
		if strings.Contains(path, ".quota") {
			root = "quota"
		}
		if !w.check(k, childSpecs(root), at) {
			continue
		}
		id, name := k.attr("id"), k.attr("name")
		var which string
		inner := scoping{scope: for_.scope, conds: for_.conds}
		switch { // "If both attributes are provided, id will be used and name will be ignored."
		case id != nil && id.value != "":
			which = id.value
			if child == "api" {
				inner.scope.API = []string{which}
			} else {
				inner.scope.Operation = []string{which}
			}
		case name != nil && name.value != "":
			which = name.value
			inner.conds = append(inner.conds[:len(inner.conds):len(inner.conds)], truth(child+".name == "+quote(which)))
		default:
			w.at(k.at, at, "needs id or name, to say which %s it is for", child)
			continue
		}
		if seen[which] {
			w.at(k.at, at, "a second <%s> for %q; keep one", child, which)
			continue
		}
		seen[which] = true
		inner.name = strings.TrimSpace(for_.name + " " + child + " " + which)
		w.perSubscription(k, at, tell, answer, limits, inner)
	}
}

func (s scoping) level() string {
	switch {
	case s.name == "":
		return ""
	case strings.Contains(s.name, "operation "):
		return "operation"
	}
	return "api"
}

// rateLimitByKey is rate-limit-by-key: a count that belongs to the value of the
// key, whichever policies name it (includes/api-management-rate-limit-key-scope.md
// 2024-05-23: "API Management uses a single counter for each counter-key value
// … at all scopes").
func (w *walker) rateLimitByKey(e *element, path string) {
	ok := w.check(e, limitElements()["rate-limit-by-key"], path)
	w.noChildren(e, path)
	tell, answer := w.tell(e, path)
	defer w.forgets(e)
	if !ok {
		return
	}
	key, ok := w.key(e, "counter-key", path)
	countIf, cost, ok2 := w.increment(e, path)
	calls := w.cases(e.attr("calls"), path+".calls", 1, maxCount)
	periods := w.cases(e.attr("renewal-period"), path+".renewal-period", 1, maxRenewal)
	if !ok || !ok2 {
		return
	}
	for _, c := range calls {
		for _, period := range periods {
			p := policy.Policy{Policy: w.window(c.n, period.n), Key: key, CountIf: countIf, Cost: cost, Tell: tell, Answer: answer}
			if !w.opts.TokenBucket { // a bucket is not a count that several limits can judge
				p.Counter = fmt.Sprintf("rate-limit-by-key %ds", period.n)
			}
			w.add(e, path, p, "", "", append(append([]value(nil), c.conds...), period.conds...)...)
		}
	}
}

func (w *walker) noChildren(e *element, path string) {
	for _, k := range e.kids {
		w.at(k.at, path+"."+k.name, "<%s> does not belong in <%s>", k.name, e.name)
	}
}
