package envoy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

func rootWords() []string { return []string{"domain", "descriptors"} }

func descriptorWords() []string {
	return []string{"key", "value", "rate_limit", "descriptors", "shadow_mode", "quota_mode", "share_threshold", "detailed_metric", "value_to_metric"}
}

func limitWords() []string {
	return []string{"unit", "requests_per_unit", "unlimited", "name", "replaces"}
}

// allWords are what the reference service knows anywhere.
func allWords() []string { return append(append(rootWords(), descriptorWords()...), limitWords()...) }

// root reads one document.
func (r *reader) root(n ast.Node, domains map[string]bool) {
	f, ok := r.mapping(n, "", rootWords())
	if !ok {
		return
	}
	domain := f.text("domain")
	switch {
	case f.key["domain"] == nil || domain == "":
		r.fault(f.at, "domain", "missing; a configuration is for one domain, such as domain: edge")
	case domains[domain]:
		r.fault(f.key["domain"], "domain", "%q is configured twice; put its descriptors into one document", domain)
	}
	domains[domain] = true
	before := len(r.file.Policies)
	r.descriptors(f, policy.Descriptor{Domain: domain}, 0)
	if len(r.file.Policies) == before {
		r.note(f.at, "domain %q has no descriptors: nothing is limited", domain)
	}
}

// descriptors reads the list below f.
func (r *reader) descriptors(f *fields, parent policy.Descriptor, depth int) {
	path := join(f.path, "descriptors")
	items := f.list("descriptors")
	if len(items) > 0 && depth >= maxDepth {
		r.fault(f.key["descriptors"], path, "more than %d levels", maxDepth)
		return
	}
	seen := map[string]int{}
	for i, item := range items {
		if len(r.file.Policies) > maxPolicies {
			r.fault(item.GetToken(), path, "more than %d descriptors; split the file", maxPolicies)
			return
		}
		r.descriptor(item, path+"["+strconv.Itoa(i)+"]", parent, seen, depth)
	}
}

func (r *reader) descriptor(n ast.Node, path string, parent policy.Descriptor, seen map[string]int, depth int) {
	f, ok := r.mapping(n, path, descriptorWords())
	if !ok {
		return
	}
	e := policy.DescriptorEntry{Key: f.text("key"), Value: f.text("value"), Share: f.boolean("share_threshold")}
	if e.Key == "" {
		r.fault(f.at, path+".key", "missing; a descriptor has at least a key, such as key: remote_address")
		return
	}
	if before, star := strings.CutSuffix(e.Value, "*"); star {
		e.Value, e.Wildcard = before, true
	}
	name := entryName(e)
	if line := seen[name]; line > 0 {
		r.fault(f.at, path, "key and value make %q, as those in line %d do; the reference service takes the two for one", name, line)
	}
	seen[name], _ = place(f.at)
	if e.Share && !strings.HasSuffix(name, "*") {
		r.fault(f.key["share_threshold"], path+".share_threshold", "needs a value that ends with *, such as value: files/*")
	}
	for _, word := range []string{"detailed_metric", "value_to_metric"} {
		if f.boolean(word) {
			r.note(f.key[word], "%s: changes the names of statistics only and was left out", path+"."+word)
		}
	}
	d := parent
	d.Entries = append(d.Entries[:len(d.Entries):len(d.Entries)], e)
	r.limit(f, d)
	r.descriptors(f, d, depth+1)
}

// limit reads rate_limit and what stands beside it into a policy.
func (r *reader) limit(f *fields, d policy.Descriptor) {
	shadow, quota := f.boolean("shadow_mode"), f.boolean("quota_mode")
	p := policy.Policy{Descriptor: &d, Shadow: shadow}
	p.Name = r.unique(path(&d))
	p.Algorithm, p.CountDenied, p.Limit, p.Window = limit.FixedWindow, true, 1, Units()[0].Width
	p.Cost = policy.Cost{Fixed: 1}
	d.Quota = quota
	if _, given := f.value["rate_limit"].(*ast.NullNode); f.value["rate_limit"] == nil || given {
		if len(f.list("descriptors")) == 0 {
			// It still has a meaning: it keeps these entries from a wildcard and
			// from the descriptor without a value.
			d.Mode, p.Shadow, d.Quota = policy.DescriptorExempt, false, false
			r.file.Policies = append(r.file.Policies, p)
		}
		return
	}
	path := join(f.path, "rate_limit")
	l, ok := r.mapping(f.value["rate_limit"], path, limitWords())
	if !ok {
		return
	}
	d.Name = l.text("name")
	for i, item := range l.list("replaces") {
		at := fmt.Sprintf("%s.replaces[%d]", path, i)
		one, ok := r.mapping(item, at, []string{"name"})
		if !ok {
			continue
		}
		switch name := one.text("name"); name {
		case "":
			r.fault(one.at, at+".name", "missing; it is the name of another descriptor's rate_limit")
		case d.Name:
			r.fault(one.at, at+".name", "%q is this limit's own name", name)
		default:
			d.Replaces = append(d.Replaces, name)
		}
	}
	u, known := UnitNamed(l.text("unit"))
	requests := l.number("requests_per_unit")
	switch {
	case l.boolean("unlimited"):
		if known {
			r.fault(l.key["unit"], path+".unit", "must be left out with unlimited")
		}
		d.Mode = policy.DescriptorUnlimited
	case !known && l.key["unit"] == nil:
		r.fault(l.at, path+".unit", "missing; one of second, minute, hour, day, week, month, year")
	case !known:
		r.fault(l.key["unit"], path+".unit", "%q is no unit; known are second, minute, hour, day, week, month, year", l.text("unit"))
	case requests == 0:
		if l.key["requests_per_unit"] == nil {
			r.note(l.at, "%s.requests_per_unit: missing, which is 0: everything is refused", path)
		}
		d.Mode, p.Window = policy.DescriptorRefuse, u.Width
	default:
		p.Limit, p.Window = requests, u.Width
	}
	r.file.Policies = append(r.file.Policies, p)
}

// unique returns the name with a number behind it when it is taken.
func (r *reader) unique(name string) string {
	try := name
	for i := 2; r.names[try]; i++ {
		try = name + " " + strconv.Itoa(i)
	}
	r.names[try] = true
	return try
}

// text returns a field that is a scalar, "" when it is missing or something else.
func (f *fields) text(word string) string {
	n := f.value[word]
	if n == nil {
		return ""
	}
	s, ok := scalar(n)
	if !ok {
		f.r.fault(n.GetToken(), join(f.path, word), "must be text")
	}
	return s
}

func (f *fields) boolean(word string) bool {
	switch v := f.value[word].(type) {
	case nil, *ast.NullNode:
		return false
	case *ast.BoolNode:
		return v.Value
	default:
		f.r.fault(v.GetToken(), join(f.path, word), "must be true or false")
		return false
	}
}

// number returns a whole number from 0 to 4294967295.
func (f *fields) number(word string) int64 {
	switch v := f.value[word].(type) {
	case nil, *ast.NullNode:
		return 0
	case *ast.IntegerNode:
		switch n := v.Value.(type) {
		case int64:
			if n >= 0 && n <= maxRequests {
				return n
			}
		case uint64:
			if n <= maxRequests {
				return int64(n)
			}
		}
	}
	f.r.fault(f.value[word].GetToken(), join(f.path, word), "must be a whole number from 0 to %d", int64(maxRequests))
	return 0
}

func (f *fields) list(word string) []ast.Node {
	switch v := f.value[word].(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.SequenceNode:
		return v.Values
	default:
		f.r.fault(v.GetToken(), join(f.path, word), "must be a list, each entry with a dash before it")
		return nil
	}
}
