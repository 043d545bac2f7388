package envoy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// Write returns the policies of a file that have a descriptor as a configuration
// of the rate limit service, one document for each domain. The notes tell what
// it cannot say: policies for HTTP requests, and algorithms other than a fixed
// window. Line and Column of a note are zero.
//
// Parse makes policies of the same effect again. The error tells that nothing of
// the file can be written.
func Write(f *policy.File) ([]byte, []policy.Note, error) {
	w := &writer{domains: map[string]*branch{}}
	for i := range f.Policies {
		w.add(&f.Policies[i])
	}
	var b strings.Builder
	for i, domain := range w.order {
		if i > 0 {
			b.WriteString("---\n")
		}
		b.WriteString("domain: " + quoted(domain) + "\n")
		w.domains[domain].print(&b, "")
	}
	if len(w.order) == 0 {
		return nil, w.notes, fmt.Errorf("no policy of this file has a descriptor, so there is nothing for Envoy's rate limit service")
	}
	return []byte(b.String()), w.notes, nil
}

type writer struct {
	domains map[string]*branch
	order   []string
	notes   []policy.Note
}

// branch is a descriptor with those below it.
type branch struct {
	entry  policy.DescriptorEntry
	policy *policy.Policy
	unit   string
	below  []*branch
	byName map[string]*branch
}

func (w *writer) note(p *policy.Policy, format string, args ...any) {
	w.notes = append(w.notes, policy.Note{Text: fmt.Sprintf("policy %q: ", p.Name) + fmt.Sprintf(format, args...)})
}

func (w *writer) add(p *policy.Policy) {
	d := p.Descriptor
	if d == nil || len(d.Entries) == 0 {
		w.note(p, "left out, since it has no descriptor: Envoy's service never sees the request, only descriptors that Envoy makes of it")
		return
	}
	at := w.domains[d.Domain]
	name, ok := "", true
	if d.Mode == policy.DescriptorLimit || d.Mode == policy.DescriptorRefuse {
		name, ok = w.unit(p)
	}
	if !ok {
		return
	}
	if at == nil {
		at = &branch{}
		w.domains[d.Domain], w.order = at, append(w.order, d.Domain)
	}
	for _, e := range d.Entries {
		at = at.child(e)
	}
	if at.policy != nil {
		w.note(p, "left out: policy %q has the same descriptor", at.policy.Name)
		return
	}
	at.policy, at.unit = p, name
}

// unit returns the unit of a limit, and notes what is lost.
func (w *writer) unit(p *policy.Policy) (string, bool) {
	window := p.Window
	if p.Algorithm == limit.Quota && p.Period != limit.NoPeriod {
		w.note(p, "follows the calendar; Envoy's %s is a fixed number of days since 1970", p.Period)
		return p.Period.String(), true
	}
	u, times, ok := UnitOf(window)
	switch {
	case p.Algorithm == limit.Concurrency:
		w.note(p, "left out: Envoy's service has no limit of requests at once")
		return "", false
	case !ok || times != 1:
		w.note(p, "left out: its window of %v is no unit of Envoy's service (second, minute, hour, day, week, 30 days, 365 days)", window)
		return "", false
	case p.Limit > maxRequests:
		w.note(p, "left out: more than %d per unit", int64(maxRequests))
		return "", false
	}
	if !Counts(&p.Policy) {
		w.note(p, "is a %v; Envoy's service counts in fixed windows, refused requests too", p.Algorithm)
	}
	if p.Ban != 0 {
		w.note(p, "its ban of %v is lost", p.Ban)
	}
	if p.Burst != 0 && p.Burst != p.Limit {
		w.note(p, "its burst of %d is lost", p.Burst)
	}
	return u.Name, true
}

func (b *branch) child(e policy.DescriptorEntry) *branch {
	name := entryName(e)
	if c := b.byName[name]; c != nil {
		c.entry.Share = c.entry.Share || e.Share
		return c
	}
	if b.byName == nil {
		b.byName = map[string]*branch{}
	}
	c := &branch{entry: e}
	b.below, b.byName[name] = append(b.below, c), c
	return c
}

func (b *branch) print(out *strings.Builder, indent string) {
	if len(b.below) == 0 {
		return
	}
	out.WriteString(indent + "descriptors:\n")
	for _, c := range b.below {
		in := indent + "    "
		out.WriteString(indent + "  - key: " + quoted(c.entry.Key) + "\n")
		if value := valueText(c.entry); value != "" {
			out.WriteString(in + "value: " + quoted(value) + "\n")
		}
		if c.entry.Share {
			out.WriteString(in + "share_threshold: true\n")
		}
		if c.policy != nil {
			c.limit(out, in)
		}
		c.print(out, in)
	}
}

func (b *branch) limit(out *strings.Builder, in string) {
	p, d := b.policy, b.policy.Descriptor
	if d.Mode == policy.DescriptorExempt {
		return // a descriptor without a limit says it
	}
	out.WriteString(in + "rate_limit:\n")
	if d.Name != "" {
		out.WriteString(in + "  name: " + quoted(d.Name) + "\n")
	}
	if len(d.Replaces) > 0 {
		out.WriteString(in + "  replaces:\n")
		for _, name := range d.Replaces {
			out.WriteString(in + "    - name: " + quoted(name) + "\n")
		}
	}
	if d.Mode == policy.DescriptorUnlimited {
		out.WriteString(in + "  unlimited: true\n")
	} else {
		requests := p.Limit
		if d.Mode == policy.DescriptorRefuse {
			requests = 0
		}
		out.WriteString(in + "  unit: " + b.unit + "\n")
		out.WriteString(in + "  requests_per_unit: " + strconv.FormatInt(requests, 10) + "\n")
	}
	if p.Shadow {
		out.WriteString(in + "shadow_mode: true\n")
	}
	if d.Quota {
		out.WriteString(in + "quota_mode: true\n")
	}
}

// quoted writes text plainly where every YAML reader takes it for that text, and
// in double quotes elsewhere.
func quoted(s string) string {
	plain := s != "" && s[0] != '-' && s[0] != '_' && (s[0] < '0' || s[0] > '9')
	for i := range len(s) {
		c := s[i]
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '/')
	}
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString("\\" + string(r))
		case r < ' ' || r >= 0x7f && r <= 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff':
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
