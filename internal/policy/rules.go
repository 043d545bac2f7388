package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/goccy/go-yaml/token"

	"github.com/weir-dev/weir/limit"
)

// This file holds what fields of a policy, and policies of a file, must keep
// together. What one field may be is in fields.go and service.go.

// conflict is two fields that do not go together. Field is where it is shown.
type conflict struct{ field, reason string }

// conflicts returns what in a policy does not go together, beside what
// limit.Policy.Validate finds.
func (p *Policy) conflicts() (out []conflict) {
	add := func(field, format string, args ...any) {
		out = append(out, conflict{field, fmt.Sprintf(format, args...)})
	}
	late := "count-if"
	if p.CountIf == nil || !p.CountIf.ReadsResponse() {
		late = "cost"
	}
	if p.Late() {
		switch {
		case p.Algorithm == limit.Concurrency:
			add(late, "reads the response, and concurrency holds its units from before the answer until it is sent; use request fields only, or when")
		case p.Algorithm == limit.LeakyBucket:
			add(late, "reads the response, and a leaky-bucket decides before it how long a request waits; use request fields only")
		case p.Ban != 0:
			add(late, "reads the response, and a refused request has none to begin a ban by; leave ban out")
		case p.CountDenied:
			add(late, "reads the response, and a refused request has none to count; leave count-denied out")
		}
	}
	if p.Lease != (Lease{}) {
		switch {
		case p.Algorithm != limit.TokenBucket:
			add("lease", "belongs to a token-bucket: units of a %s cannot be spent later", p.Algorithm)
		case p.CountDenied:
			add("lease", "cannot be together with count-denied: who refuses by itself cannot count in the store")
		case p.Counter != "":
			add("lease", "cannot be together with counter")
		case p.Lease.Size > p.Capacity():
			add("lease", "size %d is more than the %d that the bucket holds", p.Lease.Size, p.Capacity())
		}
	}
	if len(p.Overrides) > 0 && p.Key.Kind == Global && p.Descriptor == nil {
		add("overrides", "are limits of single keys, and without key there is one counter for all; give a key")
	}
	if p.Descriptor != nil {
		for field, given := range map[string]bool{
			"match": len(p.Match) > 0, "when": p.When != nil, "key": p.Key != Key{}, "api": len(p.Scope.API) > 0, "operation": len(p.Scope.Operation) > 0,
			"product": len(p.Scope.Product) > 0, "count-if": p.CountIf != nil, "cost": p.Cost.Expr != nil,
		} {
			if given {
				add(field, "means nothing with descriptor: Envoy sends descriptors, and no request to look at")
			}
		}
		slices.SortFunc(out, func(a, b conflict) int {
			return slices.Index(policyFields(), a.field) - slices.Index(policyFields(), b.field)
		})
	}
	for _, key := range slices.Sorted(maps.Keys(p.Overrides)) {
		o := p.Overrides[key]
		if o.Unlimited {
			continue
		}
		for _, err := range faults(p.With(o).Validate()) {
			add("overrides", "%s: %s: %s", show(key), err.Field, err.Reason)
		}
	}
	return out
}

// together reports what the policies of a file must not be to each other.
// places are the fields of each policy.
func (r *reader) together(f *File, places []map[string]*token.Token) {
	names, ids := map[string]int{}, map[string]int{}
	counters := map[string][]int{}
	for i := range f.Policies {
		p := &f.Policies[i]
		path := fmt.Sprintf("policies[%d]", i)
		if j, twice := names[p.Name]; twice && p.Name != "" {
			r.fault(places[i]["name"], path+".name", "policies[%d] has the name %s already; names tell policies apart in reports", j, show(p.Name))
		} else {
			names[p.Name] = i
		}
		if id := p.CounterID(); id != "" {
			if j, twice := ids[id]; twice && p.ID != "" {
				r.fault(places[i]["id"], path+".id", "policies[%d] keeps its counters under %s already; for a common count use counter", j, show(id))
			} else if twice && f.Policies[j].ID != "" {
				r.fault(places[i]["name"], path+".name", "policies[%d] has the id %s, under which this policy would keep its counters; give this one an id", j, show(id))
			}
			if _, twice := ids[id]; !twice {
				ids[id] = i
			}
		}
		if p.Counter != "" && p.Validate() == nil {
			counters[p.Counter] = append(counters[p.Counter], i)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		r.counter(f, name, counters[name], places)
	}
}

// counter reports policies of one counter that do not count alike.
func (r *reader) counter(f *File, name string, members []int, places []map[string]*token.Token) {
	leader := f.Policies[members[0]].Policy
	for _, i := range members {
		p := &f.Policies[i]
		policies := []limit.Policy{leader, p.Policy}
		for _, key := range slices.Sorted(maps.Keys(p.Overrides)) {
			if o := p.Overrides[key]; !o.Unlimited {
				policies = append(policies, p.With(o))
			}
		}
		_, err := limit.NewCounter(time.Unix(0, 0), policies...)
		if err == nil {
			continue
		}
		reason := err.Error()
		var field *limit.FieldError
		if errors.As(err, &field) {
			reason = field.Field + " " + field.Reason
		}
		r.fault(places[i]["counter"], fmt.Sprintf("policies[%d].counter", i),
			"a count that policies share needs one that counts (fixed-window, sliding-log, sliding-window, quota, concurrency), and all of %s must be alike but for limit and warn-at: %s", show(name), reason)
	}
}
