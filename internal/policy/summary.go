package policy

import (
	"fmt"
	"strings"

	"github.com/weir-dev/weir/limit"
)

// Summary says in one line what the policy lets pass, for an overview of a file.
func (p *Policy) Summary() string {
	if d := p.Descriptor; d != nil {
		const whom = "; for Envoy's service only"
		switch d.Mode {
		case DescriptorUnlimited:
			return "any number" + whom
		case DescriptorExempt:
			return "no limit here" + whom
		case DescriptorRefuse:
			return "none passes" + whom
		}
		return p.brief() + " for " + d.together() + whom
	}
	var b strings.Builder
	b.WriteString(p.brief())
	switch key := oneLine(p.Key.String()); {
	case p.Key.Kind == Global:
		b.WriteString(" for all together")
	case strings.ContainsRune(key, ' '):
		fmt.Fprintf(&b, " for each (%s)", key)
	default:
		b.WriteString(" for each " + key)
	}
	for i, m := range p.Match {
		sep := ", or "
		if i == 0 {
			sep = ", on "
		}
		b.WriteString(sep + m.String())
	}
	for _, s := range p.Scope.parts() {
		b.WriteString(", of " + s)
	}
	if p.When != nil {
		b.WriteString(", when " + oneLine(p.When.Source()))
	}
	if p.Shadow {
		b.WriteString("; in shadow: counted, never refused")
	} else if a, ok := p.Answer.Spelled(); ok {
		fmt.Fprintf(&b, "; over it %d", a.Status)
	}
	return printable(b.String())
}

// brief is the limit itself, such as 10 in 1m (fixed-window).
func (p *Policy) brief() string {
	var text string
	switch {
	case p.Algorithm == limit.Concurrency:
		text = fmt.Sprintf("%d at once", p.Limit)
	case p.Period != limit.NoPeriod:
		text = fmt.Sprintf("%d a %v", p.Limit, p.Period)
	default:
		text = fmt.Sprintf("%d in %s", p.Limit, about(p.Window))
	}
	text += " (" + p.Algorithm.String()
	if p.Burst > 0 {
		text += fmt.Sprintf(", burst %d", p.Burst)
	}
	return text + ")"
}

// parts name what the scope selects: the API orders, the product gold or silver.
func (s *Scope) parts() (out []string) {
	for _, one := range []struct {
		what string
		ids  []string
	}{{"API", s.API}, {"operation", s.Operation}, {"product", s.Product}} {
		if len(one.ids) > 0 {
			out = append(out, "the "+one.what+" "+strings.Join(one.ids, " or "))
		}
	}
	return out
}

// together says what of a request makes a count of its own: the entries that
// stand for many values, but not those that share one.
func (d *Descriptor) together() string {
	var each []string
	for _, e := range d.Entries {
		if !e.Share && (e.Wildcard || e.Value == "") {
			each = append(each, e.Key)
		}
	}
	if len(each) == 0 {
		return "all together"
	}
	return "each " + strings.Join(each, " and ")
}
