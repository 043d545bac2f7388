package apim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// Write gives a policy document with the limits of a file, as far as the service
// can express them. What it cannot is in the notes: a limit that would hold for
// more calls, or other ones, than it should is left out; what differs in detail
// is written with a note. It fails when nothing can be written.
func Write(f *policy.File) ([]byte, []policy.Note, error) {
	w := &writer{}
	for i := range f.Policies {
		w.policy(&f.Policies[i])
	}
	if len(w.inbound)+len(w.backend) == 0 {
		return nil, w.notes, fmt.Errorf("none of the %d limits can be written as a policy of API Management%s", len(f.Policies), first(w.notes))
	}
	if !f.Chain && len(w.inbound)+len(w.backend) > 1 {
		w.note("the limits are asked in order, and one before that refuses has counted already; in the file all count or none")
	}
	var b strings.Builder
	b.WriteString("<policies>\n    <inbound>\n        <base />\n")
	for _, s := range w.inbound {
		b.WriteString(s)
	}
	b.WriteString("    </inbound>\n    <backend>\n")
	if len(w.backend) == 0 {
		b.WriteString("        <base />\n")
	} else {
		// <base /> cannot stand inside a limit, so the default of backend is written.
		indent := "        "
		for _, s := range w.backend {
			b.WriteString(indent + s + "\n")
			indent += "    "
		}
		b.WriteString(indent + "<forward-request />\n")
		for range w.backend {
			indent = indent[4:]
			b.WriteString(indent + "</limit-concurrency>\n")
		}
	}
	b.WriteString("    </backend>\n    <outbound>\n        <base />\n    </outbound>\n    <on-error>\n        <base />\n    </on-error>\n</policies>\n")
	return []byte(b.String()), w.notes, nil
}

func first(notes []policy.Note) string {
	if len(notes) == 0 {
		return ""
	}
	return ": " + notes[0].Text
}

// writer collects elements.
type writer struct {
	inbound []string // whole elements, indented
	backend []string // start tags
	notes   []policy.Note
}

func (w *writer) note(format string, args ...any) {
	w.notes = append(w.notes, policy.Note{Text: fmt.Sprintf(format, args...)})
}

// attrs are attributes as they are written.
type attrs struct{ strings.Builder }

func (a *attrs) add(name, value string) {
	if value != "" {
		a.WriteString(" " + name + `="` + escape(value) + `"`)
	}
}

// escape writes text as the value of an attribute: the form with entities, which
// every reader of XML takes too.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;", ">", "&gt;", "\n", "&#10;", "\t", "&#9;").Replace(s)
}

// policy writes one limit.
func (w *writer) policy(p *policy.Policy) {
	name := p.Name
	if name == "" {
		name = p.Algorithm.String()
	}
	leave := func(format string, args ...any) {
		w.note("left out: %s: %s", name, fmt.Sprintf(format, args...))
	}
	switch {
	case p.Descriptor != nil:
		leave("it is for Envoy's descriptors")
		return
	case p.Shadow:
		leave("it is only to be observed (shadow), and the service has no such mode")
		return
	}
	cond, err := w.when(p)
	if err != nil {
		leave("%v", err)
		return
	}
	key, err := csharp(keySource(p.Key))
	if err != nil {
		leave("its key: %v", err)
		return
	}
	var a attrs
	element, ok := w.amount(p, name, &a, leave)
	if !ok {
		return
	}
	if element == "limit-concurrency" {
		if cond != "" {
			leave("a limit of calls at once cannot have a condition")
			return
		}
		w.backend = append(w.backend, `<limit-concurrency key="`+escape(code(key))+`" max-count="`+strconv.FormatInt(p.Limit, 10)+`">`)
		return
	}
	a.add("counter-key", code(key))
	if p.CountIf != nil {
		c, err := csharp(p.CountIf.Source())
		if err != nil {
			leave("count-if: %v", err)
			return
		}
		a.add("increment-condition", code(c))
	}
	if element == "rate-limit-by-key" {
		a.add("retry-after-header-name", p.Tell.RetryAfter)
		a.add("remaining-calls-header-name", p.Tell.Remaining)
		a.add("total-calls-header-name", p.Tell.Limit)
	}
	w.details(p, name)
	line := "<" + element + a.String() + " />\n"
	if cond == "" {
		w.inbound = append(w.inbound, "        "+line)
		return
	}
	w.inbound = append(w.inbound, "        <choose>\n            <when condition=\""+escape(code(cond))+"\">\n                "+line+"            </when>\n        </choose>\n")
}

// code puts an expression into its brackets; a plain text needs none.
func code(cs string) string {
	if len(cs) > 2 && cs[0] == '"' && strings.Count(cs, `"`) == 2 && cs[len(cs)-1] == '"' && !strings.ContainsAny(cs, `\@{`) {
		return cs[1 : len(cs)-1]
	}
	return "@(" + cs + ")"
}

// keySource is the key as CEL. One counter for all is a constant key.
func keySource(k policy.Key) string {
	if k.Kind == policy.Global {
		return `"global"`
	}
	return k.String()
}

// amount writes calls, bandwidth and period, and says which element has them.
func (w *writer) amount(p *policy.Policy, name string, a *attrs, leave func(string, ...any)) (element string, ok bool) {
	if p.Algorithm == limit.Concurrency {
		return "limit-concurrency", true
	}
	if p.Algorithm == limit.LeakyBucket {
		leave("the service does not delay calls")
		return "", false
	}
	bytes := p.Cost.Expr != nil && p.Cost.Expr.Source() == "response.bytes"
	window, count := p.Window, p.Limit
	if p.Period != limit.NoPeriod {
		leave("its period follows the calendar; the service has periods of seconds")
		return "", false
	}
	seconds := int64(window / time.Second)
	if window == forever && p.Algorithm == limit.Quota {
		seconds = 0
	} else if window%time.Second != 0 {
		leave("its window of %v is not whole seconds", window)
		return "", false
	}
	quota := p.Algorithm == limit.Quota || bytes || seconds > maxRenewal
	switch {
	case quota && seconds != 0 && seconds < minQuota:
		leave("a quota has a period of at least %d s", minQuota)
		return "", false
	case quota && !bytes && p.Cost.Expr != nil, quota && p.Cost.Fixed > 1:
		// increment-count of quotas is newer than the page that is cited.
		w.note("%s: increment-count of a quota is not accepted everywhere", name)
	case quota && p.Algorithm != limit.Quota:
		w.note("%s: counts in a fixed period of %d s instead of by %s", name, seconds, p.Algorithm)
	case !quota && p.Algorithm != limit.SlidingLog && p.Algorithm != limit.TokenBucket:
		w.note("%s: counts with a sliding window (classic tiers) or a token bucket (v2 tiers) instead of by %s", name, p.Algorithm)
	}
	element = "rate-limit-by-key"
	if quota {
		element = "quota-by-key"
	}
	switch {
	case bytes && count%kilobyte != 0:
		leave("its limit is not a whole number of kilobytes")
		return "", false
	case bytes:
		a.add("bandwidth", strconv.FormatInt(count/kilobyte, 10))
	default:
		a.add("calls", strconv.FormatInt(count, 10))
	}
	a.add("renewal-period", strconv.FormatInt(seconds, 10))
	if quota && p.Algorithm == limit.Quota && !p.Start.IsZero() && seconds != 0 {
		if start := p.Start.UTC(); start.Unix()%seconds != yearOne(seconds) {
			a.add("first-period-start", start.Format(time.RFC3339))
		}
	}
	if !bytes && p.Cost.Expr != nil {
		c, err := csharp(p.Cost.Expr.Source())
		if err != nil {
			leave("its cost: %v", err)
			return "", false
		}
		a.add("increment-count", code(c))
	} else if p.Cost.Fixed > 1 {
		a.add("increment-count", strconv.FormatInt(p.Cost.Fixed, 10))
	}
	return element, true
}

// yearOne is where in a period of so many seconds the default of
// first-period-start falls.
func yearOne(seconds int64) int64 {
	start := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	return ((start % seconds) + seconds) % seconds
}

// details notes what the service has no word for.
func (w *writer) details(p *policy.Policy, name string) {
	if p.Algorithm == limit.TokenBucket && p.Burst != 0 && p.Burst != p.Limit {
		w.note("%s: the burst is the %d calls of a period, not %d", name, p.Limit, p.Burst)
	}
	if p.Ban != 0 {
		w.note("%s: the service does not ban: its refusals end with the period", name)
	}
	if p.CountDenied {
		w.note("%s: refused calls are not counted by the service", name)
	}
	if len(p.Overrides) > 0 {
		w.note("%s: %d overrides are not written; use several policies under choose", name, len(p.Overrides))
	}
	if p.WarnAt != 0 {
		w.note("%s: warn-at is not written", name)
	}
	if p.Lease != (policy.Lease{}) || p.OnStoreError != "" {
		w.note("%s: what concerns a store of one's own is not written", name)
	}
	if p.Counter == "" && p.Key.Kind != policy.Global {
		w.note("%s: the service counts by the key alone: wherever else this key is used, the count is the same", name)
	}
}

// when is the condition of a policy in C#, "" for none.
func (w *writer) when(p *policy.Policy) (string, error) {
	var parts []string
	list := func(member string, ids []string) {
		var any []string
		for _, id := range ids {
			any = append(any, member+` == `+quote(id))
		}
		if len(any) == 1 {
			parts = append(parts, any[0])
		} else if len(any) > 1 {
			parts = append(parts, "("+strings.Join(any, " || ")+")")
		}
	}
	list("context.Api.Id", p.Scope.API)
	list("context.Operation.Id", p.Scope.Operation)
	list("context.Product?.Id", p.Scope.Product)
	if len(p.Match) > 0 {
		var any []string
		for _, m := range p.Match {
			var both []string
			if len(m.Methods) > 0 {
				var methods []string
				for _, name := range m.Methods {
					methods = append(methods, "context.Request.Method == "+quote(name))
				}
				both = append(both, "("+strings.Join(methods, " || ")+")")
			}
			if strings.ContainsAny(m.Path, "*{") {
				return "", fmt.Errorf("match %s has a pattern; put the limit on the operation instead", m)
			}
			if m.Path != "" {
				both = append(both, "context.Request.OriginalUrl.Path == "+quote(m.Path))
			}
			if len(both) == 0 {
				any = nil
				break
			}
			any = append(any, strings.Join(both, " && "))
		}
		if len(any) > 0 {
			parts = append(parts, "("+strings.Join(any, " || ")+")")
		}
	}
	if p.When != nil {
		c, err := csharp(p.When.Source())
		if err != nil {
			return "", fmt.Errorf("when: %w", err)
		}
		if len(parts) > 0 {
			c = "(" + c + ")"
		}
		parts = append(parts, c)
	}
	return strings.Join(parts, " && "), nil
}
