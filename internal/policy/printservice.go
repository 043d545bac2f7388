package policy

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// serviceText returns what stands behind the name of a field of service.go, ""
// when it is left out.
func serviceText(p *Policy, field string) string {
	switch field {
	case "id":
		return optional(p.ID)
	case "api":
		return list(p.Scope.API)
	case "operation":
		return list(p.Scope.Operation)
	case "product":
		return list(p.Scope.Product)
	case "when":
		if p.When != nil {
			return quoted(p.When.Source())
		}
	case "count-if":
		if p.CountIf != nil {
			return quoted(p.CountIf.Source())
		}
	case "counter":
		return optional(p.Counter)
	case "overrides":
		return overridesText(p.Overrides)
	case "shadow":
		if p.Shadow {
			return "true"
		}
	case "on-store-error":
		return p.OnStoreError
	case "lease":
		if p.Lease != (Lease{}) {
			return "{size: " + strconv.FormatInt(p.Lease.Size, 10) + ", for: " + duration(p.Lease.For) + "}"
		}
	case "descriptor":
		if p.Descriptor != nil {
			return descriptorText(p.Descriptor)
		}
	case "tell":
		return tellText(p.Tell)
	}
	return ""
}

func optional(s string) string {
	if s == "" {
		return ""
	}
	return quoted(s)
}

// list writes one text by itself and several in brackets.
func list(items []string) string {
	if len(items) == 1 {
		return quoted(items[0])
	}
	return flow(items)
}

func flow(items []string) string {
	if len(items) == 0 {
		return ""
	}
	var out []string
	for _, s := range items {
		out = append(out, quoted(s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func overridesText(overrides map[string]Override) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(overrides)) {
		o := overrides[key]
		var parts []string
		if o.Limit != 0 {
			parts = append(parts, "limit: "+strconv.FormatInt(o.Limit, 10))
		}
		if o.Burst != 0 {
			parts = append(parts, "burst: "+strconv.FormatInt(o.Burst, 10))
		}
		if o.Window != 0 {
			parts = append(parts, "window: "+duration(o.Window))
		}
		text := "{" + strings.Join(parts, ", ") + "}"
		if o.Unlimited {
			text = unlimited
		}
		b.WriteString("\n      " + quoted(key) + ": " + text)
	}
	return b.String()
}

func descriptorText(d *Descriptor) string {
	var b strings.Builder
	b.WriteString("\n      domain: " + quoted(d.Domain) + "\n      entries:")
	for _, e := range d.Entries {
		b.WriteString("\n        - {key: " + quoted(e.Key))
		value := e.Value
		if e.Wildcard {
			value += "*"
		}
		if value != "" {
			b.WriteString(", value: " + quoted(value))
		}
		if e.Share {
			b.WriteString(", share: true")
		}
		b.WriteString("}")
	}
	if d.Mode != DescriptorLimit {
		b.WriteString("\n      mode: " + string(d.Mode))
	}
	if d.Quota {
		b.WriteString("\n      quota: true")
	}
	if d.Name != "" {
		b.WriteString("\n      name: " + quoted(d.Name))
	}
	if len(d.Replaces) > 0 {
		b.WriteString("\n      replaces: " + flow(d.Replaces))
	}
	return b.String()
}

func tellText(t Tell) string {
	if t == (Tell{Dialect: t.Dialect}) {
		return string(t.Dialect)
	}
	var parts []string
	for _, f := range [][2]string{{"fields", string(t.Dialect)}, {"limit", t.Limit}, {"remaining", t.Remaining}, {"reset", t.Reset}, {"retry-after", t.RetryAfter}} {
		if f[1] != "" {
			parts = append(parts, f[0]+": "+quoted(f[1]))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
