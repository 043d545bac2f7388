package guard

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// rules are a file in force. They do not change.
type rules struct {
	file     *policy.File
	policies []rule
	set      enforce.Set
	in       counter
}

// rule is a policy as it is used at each request.
type rule struct {
	*policy.Policy
	entry   *enforce.Entry
	answer  policy.Answer // spelt out
	counts  *counts
	holds   bool // must be released
	waits   bool // condition or cost reads the response
	empties bool // the key may come out empty
}

// compile returns the rules of a file, without what decides.
func compile(f *policy.File) (*rules, error) {
	if f == nil || len(f.Policies) == 0 {
		return nil, errors.New("there are no policies")
	}
	r := &rules{file: f, policies: make([]rule, len(f.Policies))}
	r.set = enforce.Set{Entries: make([]enforce.Entry, len(f.Policies)), Chain: f.Chain}
	var errs []error
	for i := range f.Policies {
		p := &f.Policies[i]
		e := &r.set.Entries[i]
		*e = enforce.Entry{Policy: p.Policy, ID: p.ID, Counter: p.Counter, Shadow: p.Shadow, Lease: enforce.Lease(p.Lease)}
		answer, ok := spelled(p)
		var err error
		if e.OnStoreError, err = onStoreError(p.OnStoreError); err == nil {
			switch {
			case !ok:
				err = fmt.Errorf("answer: there is none called %q", p.Answer.Name)
			case readsResponse(p.When):
				err = errors.New("when: decides whether the policy is for a request, and cannot read the response; count-if can")
			case readsResponse(p.Key.Expr):
				err = errors.New("key: cannot read the response")
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("policy %d (%q): %w", i, p.Name, err))
		}
		for key, o := range p.Overrides {
			if o.Unlimited {
				continue
			}
			if e.Overrides == nil {
				e.Overrides = make(map[string]limit.Policy, len(p.Overrides))
			}
			e.Overrides[key] = p.With(o)
		}
		r.policies[i] = rule{
			Policy: p, entry: e, answer: answer, holds: p.Algorithm == limit.Concurrency,
			waits:   p.Late(),
			empties: p.Key != policy.Key{},
		}
	}
	return r, errors.Join(errs...)
}

// spelled is what a refused request gets. Where only Tell says how figures are
// carried, refusals carry them so, too.
func spelled(p *policy.Policy) (policy.Answer, bool) {
	if !p.Answer.IsZero() || p.Tell.IsZero() {
		return p.Answer.Spelled()
	}
	return policy.Answer{Status: 429, Dialect: cmp.Or(p.Tell.Dialect, header.RetryAfterOnly)}, true
}

func readsResponse(e *expr.Expr) bool { return e != nil && e.ReadsResponse() }

func onStoreError(word string) (enforce.OnStoreError, error) {
	switch word {
	case "", policy.OnStoreLocal:
		return enforce.StoreErrorLocal, nil
	case policy.OnStoreOpen:
		return enforce.StoreErrorOpen, nil
	case policy.OnStoreClosed:
		return enforce.StoreErrorClosed, nil
	}
	return 0, fmt.Errorf("on-store-error: %q: must be local, open or closed", word)
}
