// Package policy reads and writes policy files: a File is a list of limits, each
// with the requests it is for, the key that it counts by, and the answer that a
// refused request gets.
//
// The form is YAML, described by Schema. Parse reports every problem of a file
// at once, each with line, column and the place marked in the source.
package policy

import (
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/limit"
)

// File is the contents of a policy file. It is a plain value: the same for any
// number of goroutines as long as none changes it.
type File struct {
	Policies []Policy

	// Chain: the policies that concern a request are asked in the order of the
	// file and the first refusal ends it, as with limit.Chain. Else all are asked,
	// and all or none of them count the request, as with limit.All.
	Chain bool

	// Notes are what an importer left out. Marshal writes them as comments; Parse
	// does not read them.
	Notes []Note
}

// Note is something that was not carried over from a file of another form.
type Note struct {
	Line, Column int // in that file, from 1; 0 when it is about the whole
	Text         string
}

// Policy is one entry of a file: a limit, what it applies to, and how it is told.
type Policy struct {
	limit.Policy // name, algorithm, limit, window and the other fields of the model

	// PhaseWithin is how far Phase may be off, where it was measured. It is for who compares
	// a service with the policy; zero: it is exact.
	PhaseWithin time.Duration

	// ID is what the counters are kept under when a file is read again. Empty
	// means the Name: see CounterID.
	ID string

	// What it is for. For looks at all of them: each that is given must hold.
	Scope Scope      // parts of a service that has such
	Match []Match    // methods and paths: any of these; all requests when empty
	When  *expr.Expr // Bool that does not read the response; nil holds always

	Key Key // one counter per value of this; the zero value is one counter for all

	// Cost is how many units a request takes; the zero value is 1.
	Cost Cost

	// CountIf (Bool) says whether a request counts; nil means always. When it
	// reads the response, the request is looked at before, with a cost of zero
	// units taken, and counted after the answer: see Late.
	CountIf *expr.Expr

	// Counter, when not empty, names a count that this policy shares with all
	// others of the same Counter, as those of a limit.Counter do.
	Counter string

	Overrides map[string]Override // by the value of the key; nil for none

	Shadow bool // decide and record, and let pass whatever the decision

	// OnStoreError says what holds while a shared store does not answer:
	// OnStoreLocal (also when empty), OnStoreOpen or OnStoreClosed.
	OnStoreError string

	Lease Lease // of a token bucket in a shared store; zero for none

	// Descriptor makes the policy one of Envoy's rate limit service: it is found
	// by descriptors and never concerns an HTTP request. Nil for all others.
	Descriptor *Descriptor

	Tell   Tell   // how every answer, of allowed requests too, carries the figures
	Answer Answer // what a refused request gets
}

// The words of Policy.OnStoreError.
const (
	OnStoreLocal  = "local"  // each process by itself, with its share of the limit
	OnStoreOpen   = "open"   // requests pass
	OnStoreClosed = "closed" // requests are refused
)

// Scope selects parts of a service by their ids. What is empty selects all.
type Scope struct {
	API, Operation, Product []string // any of these
}

// Override is what holds for one value of a key instead of the policy. What is
// zero is as in the policy.
type Override struct {
	Limit     int64
	Burst     int64
	Window    time.Duration
	Unlimited bool // no limit at all; the other fields are zero then
}

// Lease is how many units a process takes from the store in advance, and for
// how long it may spend them.
type Lease struct {
	Size int64
	For  time.Duration
}

// Descriptor is the path of entries in Envoy's configuration that a policy
// belongs to.
type Descriptor struct {
	Domain  string
	Entries []DescriptorEntry

	// Mode is what the limit does. In every mode but DescriptorLimit the limit of
	// the policy is there only because a policy has one, and decides nothing.
	Mode DescriptorMode

	Name     string   // by which others replace it, "" for none
	Replaces []string // names whose limits do not count in a request that this one counts in
	Quota    bool     // over the limit is told as within it, with nothing remaining
}

// DescriptorMode is what becomes of a request with a descriptor. The zero value
// limits.
type DescriptorMode string

// The modes. In a policy file they are the field mode of a descriptor.
const (
	DescriptorLimit     DescriptorMode = ""          // at most as many as the policy says
	DescriptorUnlimited DescriptorMode = "unlimited" // any number, and said so
	DescriptorExempt    DescriptorMode = "exempt"    // as if there were no descriptor of this path, and none that is less exact
	DescriptorRefuse    DescriptorMode = "refuse"    // none: a limit of 0 per window
)

// DescriptorEntry is one step of the path: a key with a value, or with any
// value, each counted by itself, when Value is "".
type DescriptorEntry struct {
	Key, Value string
	Wildcard   bool // Value is the start of the values it stands for
	Share      bool // with Wildcard: all those values are counted together
}

// Tell is how answers carry the figures of a policy. The zero value: not at all,
// but for what Answer says of refused ones.
type Tell struct {
	Dialect header.Dialect // "" for none

	// Names of own header fields, "" for none: the most that can remain, what
	// remains, and, in whole seconds rounded up, until the count is as new and,
	// of a refused request, how long to wait.
	Limit, Remaining, Reset, RetryAfter string
}

// IsZero tells whether answers carry nothing.
func (t Tell) IsZero() bool { return t == Tell{} }

// CounterID returns what the counts belong to when a file is read again: the ID,
// else the Name, which may be empty too.
func (p *Policy) CounterID() string {
	if p.ID != "" {
		return p.ID
	}
	return p.Name
}

// For tells whether the policy concerns a request: whether scope, match and when
// all hold. It is the one place that decides so. A policy with a Descriptor
// concerns none. The error is that of When, an *expr.Error.
func (p *Policy) For(s *expr.Subject) (bool, error) {
	if p.Descriptor != nil || !p.Scope.holds(s) || !p.Applies(s.Method, s.Path) {
		return false, nil
	}
	if p.When == nil {
		return true, nil
	}
	return p.When.Bool(s)
}

// Reads returns the names of what the expressions of the policy read, such as
// request.ip and subscription.id, sorted.
func (p *Policy) Reads() (names []string) {
	for _, e := range []*expr.Expr{p.Key.Expr, p.When, p.Cost.Expr, p.CountIf} {
		if e != nil {
			names = append(names, e.Reads()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Late tells whether the request can be counted only when its answer is known,
// because CountIf or Cost reads it. Such a policy is looked at before: a client
// that has nothing left is refused, all others pass and are counted afterwards.
func (p *Policy) Late() bool {
	return p.CountIf != nil && p.CountIf.ReadsResponse() || p.Cost.Expr != nil && p.Cost.Expr.ReadsResponse()
}

// Applies tells whether Match selects a request with this method and path. The
// path is the one of the request line without the query, as it was sent. See For.
func (p *Policy) Applies(method, path string) bool {
	if len(p.Match) == 0 {
		return true
	}
	for i := range p.Match {
		if p.Match[i].Matches(method, path) {
			return true
		}
	}
	return false
}

// With returns the limit that holds for a key with this override. It has no
// meaning for one that is Unlimited.
func (p *Policy) With(o Override) limit.Policy {
	out := p.Policy
	if o.Limit != 0 {
		out.Limit = o.Limit
	}
	if o.Burst != 0 {
		out.Burst = o.Burst
	}
	if o.Window != 0 {
		out.Window = o.Window
	}
	return out
}

func (c Scope) holds(s *expr.Subject) bool {
	return among(c.API, s.API.ID) && among(c.Operation, s.Operation.ID) && among(c.Product, s.Product.ID)
}

// among tells whether one is in the list, or the list is empty.
func among(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return len(list) == 0
}

// Limits of what Parse reads: policy files are written by people.
const (
	maxBytes    = 256 << 10
	maxNesting  = 50
	maxKeys     = 5000
	maxPolicies = 1000
	maxErrors   = 50
)
