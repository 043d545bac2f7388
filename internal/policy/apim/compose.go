package apim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// Placed is a document at the scope where it is in force.
type Placed struct {
	Scope    Scope
	Document *Document
}

// Composition is what the documents of all scopes give together: the limits,
// each once, and which of them hold for an operation, in which order. It is
// immutable.
type Composition struct {
	// File has the limits of all scopes. Its policies say nothing of their scopes:
	// Effective does.
	File *policy.File

	paths map[path][]int
	known map[path]bool // products, APIs and operations that have documents
}

// path is a product, an API and an operation; "" where there is no document.
type path struct{ product, api, operation string }

// maxPaths bounds how many ways through the documents are walked.
const maxPaths = 20_000

// Compose puts documents of several scopes together: for each operation the
// innermost document holds, and <base /> in it stands for the next outer one's
// section. The order is operation, API, product, global. The error is of type
// policy.Errors.
func Compose(docs []Placed, o Options) (*Composition, error) {
	by := map[Scope]*Document{}
	apis := map[string][]string{"": {""}} // the operations with documents of each API that has any
	products := []string{""}
	for _, d := range docs {
		if d.Document.fragment {
			return nil, policy.Errors{{File: d.Document.name, Reason: "a fragment cannot stand at a scope; include it from a policy document"}}
		}
		s := d.Scope
		if by[s] != nil {
			return nil, policy.Errors{{File: d.Document.name, Reason: fmt.Sprintf("%s has a document already, %s", s, by[s].name)}}
		}
		by[s] = d.Document
		switch s.Kind {
		case Product:
			products = append(products, s.ID)
		case API:
			if apis[s.ID] == nil {
				apis[s.ID] = []string{""}
			}
		case Operation:
			if apis[s.API] == nil {
				apis[s.API] = []string{""}
			}
			apis[s.API] = append(apis[s.API], s.ID)
		}
	}
	c := &Composition{File: &policy.File{Chain: true}, paths: map[path][]int{}, known: map[path]bool{}}
	m := &merger{c: c, index: map[string]int{}, family: map[string]int{}, names: map[string]int{}, noted: map[string]bool{}}
	var names []string
	for api := range apis {
		names = append(names, api)
	}
	slices.Sort(names)
	var all policy.Errors
	for _, product := range products {
		for _, api := range names {
			for _, operation := range apis[api] {
				p := path{product, api, operation}
				if len(c.paths) >= maxPaths {
					return nil, policy.Errors{{Reason: fmt.Sprintf("more than %d combinations of products, APIs and operations with policies of their own", maxPaths)}}
				}
				w := newWalker(o, chainOf(by, p))
				w.run()
				if err, ok := w.err().(policy.Errors); ok {
					all = append(all, err...)
					continue
				}
				c.paths[p] = m.add(w)
				c.known[p] = true
				c.known[path{product: product}], c.known[path{api: api}] = true, true
			}
		}
	}
	if len(all) > 0 {
		slices.SortStableFunc(all, func(a, b *policy.Error) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, slices.CompactFunc(all, func(a, b *policy.Error) bool { return *a == *b })
	}
	return c, nil
}

// chainOf returns the documents of a path, from the innermost scope.
func chainOf(by map[Scope]*Document, p path) []placed {
	var chain []placed
	add := func(s Scope) {
		if d := by[s]; d != nil {
			chain = append(chain, placed{s, d})
		}
	}
	if p.operation != "" {
		add(Scope{Kind: Operation, ID: p.operation, API: p.api})
	}
	if p.api != "" {
		add(Scope{Kind: API, ID: p.api})
	}
	if p.product != "" {
		add(Scope{Kind: Product, ID: p.product})
	}
	add(Scope{})
	return chain
}

// Effective returns the places in File of the limits that hold for an operation
// when it is called by way of a product ("" for none), in the order in which
// they are asked. The caller must not change the slice.
func (c *Composition) Effective(product, api, operation string) []int {
	if !c.known[path{product: product}] {
		product = ""
	}
	if !c.known[path{api: api}] {
		api = ""
	}
	if only, ok := c.paths[path{product, api, operation}]; ok {
		return only
	}
	return c.paths[path{product, api, ""}]
}

// merger puts the limits of many walks into one file, each once.
type merger struct {
	c      *Composition
	index  map[string]int // by all that a limit is
	family map[string]int // by element and scope: the first limit made of it
	names  map[string]int
	noted  map[string]bool
}

func (m *merger) add(w *walker) (only []int) {
	only = []int{}
	for _, b := range w.out {
		only = append(only, m.place(b))
	}
	for _, n := range w.notes {
		key := fmt.Sprint(n)
		if !m.noted[key] {
			m.noted[key] = true
			m.c.File.Notes = append(m.c.File.Notes, n)
		}
	}
	return only
}

// place returns where in the file a limit is.
//
// One element can become several policies, because the variables in its
// expressions depend on the documents around it. They share one count.
func (m *merger) place(b built) int {
	p := b.policy
	from := fmt.Sprintf("%p %s %s", b.element, b.scope, b.unit)
	nameless := p.Policy
	nameless.Name = ""
	is := strings.Join([]string{
		nameless.String(), p.Policy.Start.String(), p.Key.String(), p.Cost.String(), source(p), fmt.Sprint(p.Scope, p.Tell), p.Counter,
	}, "\x00")
	key := from + "\x00" + is
	if b.element.name == "rate-limit-by-key" && p.Algorithm == limit.TokenBucket {
		// A bucket cannot be shared by policies with different limits; those that
		// are alike are one.
		key = is
	}
	if i, ok := m.index[key]; ok {
		return i
	}
	policies := &m.c.File.Policies
	if first, ok := m.family[from]; ok && p.Counter == "" && p.Algorithm != limit.TokenBucket {
		(*policies)[first].Counter = (*policies)[first].Name
		p.Counter = (*policies)[first].Name
	}
	unique(&p, m.names)
	i := len(*policies)
	*policies = append(*policies, p)
	m.index[key] = i
	if _, ok := m.family[from]; !ok {
		m.family[from] = i
	}
	return i
}

// source is the text of a policy's conditions.
func source(p policy.Policy) string {
	var s string
	if p.When != nil {
		s = p.When.Source()
	}
	s += "\x00"
	if p.CountIf != nil {
		s += p.CountIf.Source()
	}
	return s
}
