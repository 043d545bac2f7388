package header

import (
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// draftPrefixes are put before RateLimit and RateLimit-Policy by services that
// try the draft out: Jira Cloud sends Beta-RateLimit (recorded answers at
// community.developer.atlassian.com topic 97828, read 2026-11-21).
var draftPrefixes = [...]string{"", "beta-", "x-beta-"}

// drafts reads RateLimit-Policy and RateLimit in the drafts' forms.
func (p *parser) drafts() {
	for _, prefix := range draftPrefixes {
		p.draftPolicy(prefix)
		p.draftState(prefix)
	}
}

// joined returns all lines of a list field as one value and marks them used.
func (p *parser) joined(low string) (name, value string) {
	for i := range p.fields {
		f := &p.fields[i]
		if f.low != low || f.used {
			continue
		}
		f.used = true
		if name == "" {
			name, value = f.name, f.value
		} else if f.value != "" {
			value += ", " + f.value
		}
	}
	return name, value
}

// draftPolicy reads RateLimit-Policy: named items are limits of draft-08 and
// later, numbers are the quota policies of the drafts before.
func (p *parser) draftPolicy(prefix string) {
	name, value := p.joined(prefix + "ratelimit-policy")
	if name == "" {
		return
	}
	list, err := httpsfv.UnmarshalList([]string{value})
	if err != nil {
		p.problem(name, value, "not a structured-field list: "+err.Error())
		return
	}
	for _, m := range list {
		item, ok := m.(httpsfv.Item)
		if !ok {
			p.problem(name, value, "an inner list where an item belongs")
			continue
		}
		l := NoLimit()
		switch v := item.Value.(type) {
		case string:
			l.Name, l.Dialect = v, Draft
		case httpsfv.Token:
			l.Name, l.Dialect = string(v), Draft
		case int64:
			l.Dialect = OldDraft
			if v < 0 {
				p.problem(name, value, "a negative quota")
				continue
			}
			l.Quota = v
		default:
			p.problem(name, value, "an item that is neither a name nor a quota")
			continue
		}
		if l.Dialect == Draft {
			l.Quota = p.units(name, value, item, "q", true)
			if l.Quota == Unknown {
				continue
			}
		} else if s, ok := param[string](item, "name"); ok {
			l.Name = s
		}
		l.Window = p.window(name, value, item)
		if s, ok := param[string](item, "qu"); ok && s != "requests" {
			l.Unit = s
		}
		l.Key = p.key(name, value, item)
		if l.Dialect == OldDraft {
			p.policies = append(p.policies, l)
			continue
		}
		if p.find(l.Name, l.Key) >= 0 {
			p.problem(name, value, "the same policy twice")
			continue
		}
		p.add(l)
	}
}

// draftState reads RateLimit: what is left of which policy.
func (p *parser) draftState(prefix string) {
	name, value := p.joined(prefix + "ratelimit")
	if name == "" {
		return
	}
	list, err := httpsfv.UnmarshalList([]string{value})
	if err != nil {
		if l, ok := p.pairs(name, value, ","); ok { // draft-07: limit=100, remaining=50, reset=30
			l.Dialect = OldDraft
			p.add(l)
			return
		}
		p.problem(name, value, "not a structured-field list: "+err.Error())
		return
	}
	for _, m := range list {
		item, ok := m.(httpsfv.Item)
		if !ok {
			p.problem(name, value, "an inner list where an item belongs")
			continue
		}
		var policy string
		switch v := item.Value.(type) {
		case string:
			policy = v
		case httpsfv.Token:
			policy = string(v)
		default:
			p.problem(name, value, "an item that is not the name of a policy")
			continue
		}
		left := p.units(name, value, item, "r", true)
		reset := time.Duration(Unknown)
		if t := p.units(name, value, item, "t", false); t != Unknown {
			if t > int64(maxWait/time.Second) {
				p.problem(name, value, "t is more than ten years ahead, not believed")
			} else {
				reset = time.Duration(t) * time.Second
			}
		}
		key := p.key(name, value, item)
		i := p.find(policy, key)
		if i < 0 && key == "" {
			i = p.findName(policy)
		}
		if i < 0 {
			l := NoLimit()
			l.Dialect, l.Name, l.Key = Draft, policy, key
			p.add(l)
			i = len(p.r.Limits) - 1
		}
		l := &p.r.Limits[i]
		if l.Remaining != Unknown {
			p.problem(name, value, "the same policy twice")
			continue
		}
		l.Remaining, l.ResetAfter = left, reset
	}
}

// find returns the index of the draft's limit with this name and key, or -1.
func (p *parser) find(name, key string) int {
	for i, l := range p.r.Limits {
		if l.Dialect == Draft && l.Name == name && l.Key == key {
			return i
		}
	}
	return -1
}

// findName returns the index of the only draft's limit with this name, or -1.
func (p *parser) findName(name string) int {
	at := -1
	for i, l := range p.r.Limits {
		if l.Dialect == Draft && l.Name == name {
			if at >= 0 {
				return -1
			}
			at = i
		}
	}
	return at
}

// param returns a parameter of the wanted type.
func param[T any](item httpsfv.Item, key string) (T, bool) {
	var zero T
	if item.Params == nil {
		return zero, false
	}
	v, ok := item.Params.Get(key)
	if !ok {
		return zero, false
	}
	t, ok := v.(T)
	return t, ok
}

// units returns a non-negative Integer parameter, Unknown when it is absent or wrong.
func (p *parser) units(name, value string, item httpsfv.Item, key string, required bool) int64 {
	n, ok := param[int64](item, key)
	switch {
	case ok && n >= 0:
		return n
	case ok:
		p.problem(name, value, key+" is negative")
	case item.Params != nil:
		if _, present := item.Params.Get(key); present {
			p.problem(name, value, key+" is not a whole number")
		} else if required {
			p.problem(name, value, key+" is missing")
		}
	}
	return Unknown
}

// window returns w, 0 when it is absent or wrong.
func (p *parser) window(name, value string, item httpsfv.Item) time.Duration {
	w := p.units(name, value, item, "w", false)
	switch {
	case w == 0:
		p.problem(name, value, "w is zero: no window has no length")
		return 0
	case w > int64(maxWait/time.Second):
		p.problem(name, value, "w is more than ten years, not believed")
		return 0
	case w == Unknown:
		return 0
	}
	return time.Duration(w) * time.Second
}

// key returns pk, which is a Byte Sequence; a String is taken as well.
func (p *parser) key(name, value string, item httpsfv.Item) string {
	if b, ok := param[[]byte](item, "pk"); ok {
		return string(b)
	}
	if s, ok := param[string](item, "pk"); ok {
		p.problem(name, value, "pk is a string where the draft wants a byte sequence")
		return s
	}
	return ""
}

// pairs reads "limit=100, remaining=50, reset=30" and "total=100; remaining=99;
// resets=41", with the given separator. ok is false when there is nothing of it.
func (p *parser) pairs(name, value, sep string) (l Limit, ok bool) {
	l = NoLimit()
	for _, part := range strings.Split(value, sep) {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch k {
		case "limit", "total", "q":
			l.Quota, ok = p.count(name, v), true
		case "remaining", "r":
			l.Remaining, ok = p.count(name, v), true
		case "reset", "resets", "t":
			l.ResetAfter, ok = p.reset(name, v), true
		}
	}
	return l, ok
}

// count is the function count, with its complaint noted.
func (p *parser) count(name, value string) int64 {
	n, reason := count(value)
	if reason != "" {
		p.problem(name, value, reason)
	}
	return n
}

// reset is resetValue, with its complaint noted.
func (p *parser) reset(name, value string) time.Duration {
	d, reason := resetValue(value, p.ref)
	if reason != "" {
		p.problem(name, value, reason)
	}
	return d
}

// matchPolicies gives the windows of the old drafts' quota policies to the limit
// they belong to, the unnamed one with the same quota, and keeps the others as
// limits of their own.
func (p *parser) matchPolicies() {
	told := len(p.r.Limits)
	taken := make([]bool, told)
	for n, policy := range p.policies {
		if slices.Contains(p.policies[:n], policy) {
			continue // said in RateLimit-Limit and in RateLimit-Policy
		}
		at := slices.IndexFunc(p.r.Limits[:told], func(l Limit) bool {
			return l.Name == "" && l.Dialect == policy.Dialect && l.Quota == policy.Quota
		})
		if at < 0 || taken[at] {
			p.add(policy)
			continue
		}
		taken[at] = true
		l := &p.r.Limits[at]
		l.Name = policy.Name
		fill(l, policy)
	}
}
