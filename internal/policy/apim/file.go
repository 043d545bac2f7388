package apim

import (
	"fmt"

	"github.com/weir-dev/weir/internal/policy"
)

// File gives the limits of one document as a policy file, as if it stood alone
// at its scope: <base /> stands for nothing. Limits of an API, operation or
// product are restricted to it when the scope says its ID. The error is of type
// policy.Errors and has every problem.
func (d *Document) File(scope Scope) (*policy.File, error) { return d.FileWith(scope, Options{}) }

// FileWith is File with what the document needs from outside.
func (d *Document) FileWith(scope Scope, o Options) (*policy.File, error) {
	w := newWalker(o, []placed{{scope, d}})
	w.doc = d
	if d.fragment {
		w.section = "inbound"
		w.elements(d.root.kids, "fragment")
	} else {
		w.run()
	}
	if err := w.err(); err != nil {
		return nil, err
	}
	f := &policy.File{Chain: true, Notes: w.notes}
	names := map[string]int{}
	for _, b := range w.out {
		p := b.policy
		restrict(&p.Scope, scope)
		unique(&p, names)
		f.Policies = append(f.Policies, p)
	}
	return f, nil
}

// restrict makes a limit one of its document's scope. What an api or operation
// element in it has said already is narrower, and stays.
func restrict(to *policy.Scope, scope Scope) {
	set := func(list *[]string, id string) {
		if len(*list) == 0 && id != "" {
			*list = []string{id}
		}
	}
	switch scope.Kind {
	case Product:
		set(&to.Product, scope.ID)
	case API:
		set(&to.API, scope.ID)
	case Operation:
		set(&to.API, scope.API)
		set(&to.Operation, scope.ID)
	}
}

// unique makes the name of a policy one that no other has.
func unique(p *policy.Policy, names map[string]int) {
	base := p.Name
	for {
		names[base]++
		if names[base] > 1 {
			p.Name = fmt.Sprintf("%s %d", base, names[base])
			if names[p.Name] > 0 {
				continue
			}
			names[p.Name]++
		}
		return
	}
}
