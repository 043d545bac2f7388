package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/header"
)

// This file reads the fields that say how a limit is enforced and told, beside
// those of the model in fields.go.

// The fields of the mappings inside a policy, in the order in which they are written.
func overrideFields() []string { return []string{"limit", "burst", "window"} }
func leaseFields() []string    { return []string{"size", "for"} }
func descriptorFields() []string {
	return []string{"domain", "entries", "mode", "quota", "name", "replaces"}
}
func entryFields() []string { return []string{"key", "value", "share"} }
func tellFields() []string {
	return []string{"fields", "limit", "remaining", "reset", "retry-after"}
}

func descriptorModes() []DescriptorMode {
	return []DescriptorMode{DescriptorUnlimited, DescriptorRefuse, DescriptorExempt}
}

// unlimited is the word for an override without a limit.
const unlimited = "unlimited"

// maxOverrides is how many keys one policy may have overrides for.
const maxOverrides = 1000

// serviceField reads one field into p; false means that there is none of this name.
func (r *reader) serviceField(p *Policy, e entry) bool {
	switch e.key {
	case "id":
		p.ID = r.filled(e)
	case "counter":
		p.Counter = r.filled(e)
	case "api":
		p.Scope.API = r.ids(e)
	case "operation":
		p.Scope.Operation = r.ids(e)
	case "product":
		p.Scope.Product = r.ids(e)
	case "when":
		p.When = r.expression(e, expr.Bool)
		if p.When != nil && p.When.ReadsResponse() {
			r.fault(e.place(), e.path, "cannot read the response: it decides before there is one; count-if can")
		}
	case "count-if":
		p.CountIf = r.expression(e, expr.Bool)
	case "shadow":
		p.Shadow = r.boolean(e)
	case "on-store-error":
		r.word(e, func(text []byte) error {
			p.OnStoreError = string(text)
			switch p.OnStoreError {
			case OnStoreLocal, OnStoreOpen, OnStoreClosed:
				return nil
			}
			return fmt.Errorf("must be %s, %s or %s", OnStoreLocal, OnStoreOpen, OnStoreClosed)
		})
	case "overrides":
		p.Overrides = r.overrides(e)
	case "lease":
		p.Lease = r.lease(e)
	case "descriptor":
		p.Descriptor = r.descriptor(e)
	case "tell":
		p.Tell = r.tell(e)
	default:
		return false
	}
	return true
}

// filled reads text that is not empty.
func (r *reader) filled(e entry) string {
	before := len(r.errs)
	text := r.text(e)
	if text == "" && len(r.errs) == before {
		r.fault(e.place(), e.path, "is empty; leave the field out")
	}
	return text
}

// ids reads one id or a list of them.
func (r *reader) ids(e entry) (out []string) {
	list, ok := e.value.(*ast.SequenceNode)
	if !ok {
		if id := r.filled(e); id != "" {
			out = []string{id}
		}
		return out
	}
	if len(list.Values) == 0 {
		r.fault(list.GetToken(), e.path, "the list is empty; leave the field out")
	}
	for i, n := range list.Values {
		one := r.item(e, n, i)
		if one.value == nil {
			continue
		}
		id := r.filled(one)
		if slices.Contains(out, id) {
			r.fault(one.place(), one.path, "%s stands in the list twice", show(id))
		}
		out = append(out, id)
	}
	return out
}

// item is the i-th entry of a list.
func (r *reader) item(e entry, n ast.Node, i int) entry {
	one := entry{key: e.key, at: n.GetToken(), path: e.path + "[" + strconv.Itoa(i) + "]"}
	one.value = r.resolve(n, one.path)
	return one
}

// overrides reads the limits of single keys.
func (r *reader) overrides(e entry) map[string]Override {
	const want = "a mapping of key values, each to a mapping such as {limit: 100} or to unlimited"
	entries, ok := r.mapping(e.value, e.path, want)
	if !ok {
		return nil
	}
	switch {
	case len(entries) == 0:
		r.fault(e.place(), e.path, "is empty; leave the field out")
	case len(entries) > maxOverrides:
		r.fault(e.place(), e.path, "%d keys, more than %d; write a policy with when for a whole group", len(entries), maxOverrides)
		return nil
	}
	out := map[string]Override{}
	for _, f := range entries {
		if f.value == nil {
			continue
		}
		out[f.key] = r.override(f, want)
	}
	return out
}

func (r *reader) override(e entry, want string) (o Override) {
	if s, ok := e.value.(*ast.StringNode); ok {
		if s.Value != unlimited {
			r.fault(e.place(), e.path, "%s is not understood; write unlimited, or a mapping such as {limit: 100}", show(s.Value))
		}
		return Override{Unlimited: true}
	}
	entries, ok := r.mapping(e.value, e.path, strings.TrimPrefix(want, "a mapping of key values, each to "))
	if ok && len(entries) == 0 {
		r.fault(e.place(), e.path, "changes nothing; give limit, burst or window")
	}
	for _, f := range entries {
		if f.value == nil {
			continue
		}
		before := len(r.errs)
		switch f.key {
		case "limit":
			if o.Limit = r.integer(f); o.Limit < 1 && len(r.errs) == before {
				r.fault(f.place(), f.path, "must be at least 1")
			}
		case "burst":
			if o.Burst = r.integer(f); o.Burst < 1 && len(r.errs) == before {
				r.fault(f.place(), f.path, "must be at least 1; leave it out for the burst of the policy")
			}
		case "window":
			if o.Window = r.duration(f); o.Window <= 0 && len(r.errs) == before {
				r.fault(f.place(), f.path, "must be longer than zero")
			}
		default:
			r.unknown(f, overrideFields())
		}
	}
	return o
}

func (r *reader) lease(e entry) (l Lease) {
	entries, ok := r.mapping(e.value, e.path, "a mapping such as {size: 10, for: 1s}")
	if !ok {
		return l
	}
	before := len(r.errs)
	for _, f := range entries {
		switch {
		case f.value == nil:
		case f.key == "size":
			l.Size = r.integer(f)
		case f.key == "for":
			l.For = r.duration(f)
		default:
			r.unknown(f, leaseFields())
		}
	}
	if len(r.errs) == before {
		switch {
		case l.Size < 1:
			r.fault(e.place(), e.path, "needs a size, the units that are taken at a time, of at least 1")
		case l.For <= 0:
			r.fault(e.place(), e.path, "needs the time in which they may be spent, such as for: 1s")
		}
	}
	return l
}

func (r *reader) descriptor(e entry) *Descriptor {
	entries, ok := r.mapping(e.value, e.path, "a mapping with domain and entries")
	if !ok {
		return nil
	}
	d := &Descriptor{}
	before := len(r.errs)
	for _, f := range entries {
		switch {
		case f.value == nil:
		case f.key == "domain":
			d.Domain = r.filled(f)
		case f.key == "entries":
			d.Entries = r.descriptorEntries(f)
		case f.key == "mode":
			r.word(f, func(text []byte) error {
				for _, m := range descriptorModes() {
					if d.Mode = m; string(text) == string(m) {
						return nil
					}
				}
				d.Mode = DescriptorLimit
				return fmt.Errorf("%s is not known; write unlimited, refuse or exempt, or leave it out for a limit", show(string(text)))
			})
		case f.key == "quota":
			d.Quota = r.boolean(f)
		case f.key == "name":
			d.Name = r.filled(f)
		case f.key == "replaces":
			d.Replaces = r.ids(f)
		default:
			r.unknown(f, descriptorFields())
		}
	}
	if len(r.errs) == before {
		switch {
		case d.Domain == "":
			r.fault(e.place(), e.path+".domain", "missing; it is the domain that Envoy's filter is set to")
		case len(d.Entries) == 0:
			r.fault(e.place(), e.path+".entries", "missing; write a list such as [{key: remote_address}]")
		}
	}
	return d
}

func (r *reader) descriptorEntries(e entry) (out []DescriptorEntry) {
	list, ok := e.value.(*ast.SequenceNode)
	if !ok {
		r.fault(start(e.value), e.path, "this is %s; it must be a list such as [{key: remote_address}]", kind(e.value))
		return nil
	}
	for i, n := range list.Values {
		one := r.item(e, n, i)
		entries, ok := r.mapping(one.value, one.path, "a mapping with key, and value where only one is meant")
		if !ok {
			continue
		}
		var d DescriptorEntry
		before := len(r.errs)
		for _, f := range entries {
			switch {
			case f.value == nil:
			case f.key == "key":
				d.Key = r.filled(f)
			case f.key == "value":
				d.Value, d.Wildcard = strings.CutSuffix(r.filled(f), "*")
			case f.key == "share":
				d.Share = r.boolean(f)
			default:
				r.unknown(f, entryFields())
			}
		}
		switch {
		case len(r.errs) > before:
		case d.Key == "":
			r.fault(one.place(), one.path+".key", "missing")
		case d.Share && !d.Wildcard && (d.Value != "" || !strings.HasSuffix(d.Key, "*")): // of a key alone, Envoy's service takes the star too
			r.fault(one.place(), one.path+".share", "belongs to a value that ends with *")
		}
		out = append(out, d)
	}
	return out
}

// tell reads the name of a dialect, or names of header fields.
func (r *reader) tell(e entry) (t Tell) {
	if kind(e.value) != "a mapping" {
		t.Dialect = r.dialect(e)
		return t
	}
	entries, _ := r.mapping(e.value, e.path, "")
	if len(entries) == 0 {
		r.fault(e.place(), e.path, "is empty; leave the field out")
	}
	seen := map[string]string{}
	for _, f := range entries {
		if f.value == nil {
			continue
		}
		if f.key == "fields" {
			t.Dialect = r.dialect(f)
			continue
		}
		place := map[string]*string{"limit": &t.Limit, "remaining": &t.Remaining, "reset": &t.Reset, "retry-after": &t.RetryAfter}[f.key]
		if place == nil {
			r.unknown(f, tellFields())
			continue
		}
		name := r.filled(f)
		r.fieldName(f, name)
		if other, twice := seen[strings.ToLower(name)]; twice && name != "" {
			r.fault(f.place(), f.path, "%s is the field of %s already", show(name), other)
		}
		seen[strings.ToLower(name)] = f.key
		*place = name
	}
	return t
}

// fieldName notes a fault when name cannot be that of a header field.
func (r *reader) fieldName(e entry, name string) {
	for i := range len(name) {
		if !isToken(name[i]) {
			r.fault(e.place(), e.path, "%s cannot be in the name of a header", show(name[i:i+1]))
			return
		}
	}
}

// dialect reads the name of a form of limit fields.
func (r *reader) dialect(e entry) header.Dialect {
	before := len(r.errs)
	d := header.Dialect(r.text(e))
	if len(r.errs) > before || slices.Contains(header.Writable(), d) {
		return d
	}
	var names []string
	for _, one := range header.Writable() {
		names = append(names, string(one))
	}
	r.fault(e.place(), e.path, "%s is not a form of limit fields; known are %s", show(string(d)), strings.Join(names, ", "))
	return d
}
