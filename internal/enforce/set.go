package enforce

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Set is the policies that a Table or a Store keeps together. It is a plain
// value; whoever was given it must not change its slices and maps.
type Set struct {
	Entries []Entry

	// Chain combines the entries that a request asks as limit.Chain does, in the
	// order of its asks: the first to refuse ends it. Else as limit.All does:
	// all or nothing is taken.
	Chain bool
}

// Entry is a policy and how it is to be enforced.
type Entry struct {
	limit.Policy

	// ID is what the counts belong to, when the set is replaced and in a shared
	// store. Empty means the policy's Name; without one, the place in the set.
	ID string

	// Counter names a count that this entry shares with all others of the same
	// name, as those of a limit.Counter do. Empty: it has its own.
	Counter string

	// Overrides are policies for single keys, in place of Policy. With a
	// Counter they may differ from it in what limit.NewCounter allows.
	Overrides map[string]limit.Policy

	// Shadow decides and counts, and lets pass whatever the decision. A shadow
	// entry takes from requests that the others admit.
	Shadow bool

	// OnStoreError says what Shared does when its store does not answer. A Table
	// has no use for it.
	OnStoreError OnStoreError

	// Lease lets Shared take units in advance. A Table has no use for it.
	Lease Lease
}

// OnStoreError says how an entry is decided without the store.
type OnStoreError uint8

const (
	// StoreErrorLocal: by a limiter in this process, with the limit divided by
	// the number of processes last seen.
	StoreErrorLocal OnStoreError = iota

	// StoreErrorOpen: the request passes. For limits that are about fairness.
	StoreErrorOpen

	// StoreErrorClosed: the request is refused. For what costs money.
	StoreErrorClosed
)

// Lease is how much of a token bucket a process takes in advance, to decide
// without asking the store. With N processes, what passes in a span of time
// exceeds the policy by at most min(N·(Size−1), Limit·For/Window) units; over a
// long time it never does.
type Lease struct {
	Size int64         // units at a time; 0 or 1 means none in advance
	For  time.Duration // how long they may be spent; more than zero
}

// IDs returns what the counts of each entry belong to: the same for entries of
// one Counter, else different for each.
func (s Set) IDs() []string {
	ids, seen := make([]string, len(s.Entries)), map[string]int{}
	for i, e := range s.Entries {
		switch {
		case e.Counter != "":
			ids[i] = "counter " + e.Counter
			continue
		case e.ID != "":
			ids[i] = "id " + e.ID
		case e.Name != "":
			ids[i] = "name " + e.Name
		default:
			ids[i] = "place " + strconv.Itoa(i)
		}
		if seen[ids[i]]++; seen[ids[i]] > 1 {
			ids[i] += " " + strconv.Itoa(seen[ids[i]]) + "th"
		}
	}
	return ids
}

// Validate returns nil for a set that New accepts; else every fault, with the
// number of its entry.
func (s Set) Validate() error {
	_, err := s.compile(time.Time{})
	return err
}

// spec is how the limiters of a group are made. It does not change.
type spec struct {
	id        string
	policies  []limit.Policy            // of the entries, in their order; several with a Counter
	overrides map[string][]limit.Policy // likewise, for single keys
	counter   bool
	slack     int64 // see slack

	// What new limiters are copied from, which costs a third of making them.
	first        limit.Limiter
	firstCounter *limit.Counter
}

// compile returns the specs of the set's groups.
func (s Set) compile(origin time.Time) (specs []*spec, err error) {
	byID := map[string]*spec{}
	var errs []error
	for i, id := range s.IDs() {
		e := &s.Entries[i]
		sp := byID[id]
		if sp == nil {
			sp = &spec{id: id, counter: e.Counter != "", overrides: map[string][]limit.Policy{}}
			byID[id], specs = sp, append(specs, sp)
		}
		sp.policies = append(sp.policies, e.Policy)
		if err := e.validate(); err != nil {
			errs = append(errs, fmt.Errorf("entry %d%s: %w", i, named(e.Name), err))
		}
	}
	if len(errs) != 0 {
		return nil, errors.Join(errs...)
	}
	ids := s.IDs()
	for i := range s.Entries {
		for key := range s.Entries[i].Overrides {
			sp := byID[ids[i]]
			if sp.overrides[short(key)] != nil {
				continue
			}
			var policies []limit.Policy
			for j := range s.Entries {
				if ids[j] == ids[i] {
					policies = append(policies, s.Entries[j].For(key))
				}
			}
			sp.overrides[short(key)] = policies
		}
	}
	for _, sp := range specs {
		sp.slack = slack(sp.policies)
		for _, policies := range sp.overrides {
			sp.slack = max(sp.slack, slack(policies))
		}
		if err := sp.prepare(origin); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", sp.id, err))
		}
		for key, policies := range sp.overrides {
			if _, err := sp.build(policies, origin); err != nil {
				errs = append(errs, fmt.Errorf("%s: key %.80q: %w", sp.id, key, err))
			}
		}
	}
	return specs, errors.Join(errs...)
}

// For returns the policy that holds for a key.
func (e *Entry) For(key string) limit.Policy {
	if p, ok := e.Overrides[key]; ok {
		return p
	}
	return e.Policy
}

func (e *Entry) validate() error {
	errs := []error{e.Policy.Validate()}
	for key, p := range e.Overrides {
		if err := p.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("key %.80q: %w", key, err))
		} else if e.holds() != (p.Algorithm == limit.Concurrency) {
			errs = append(errs, fmt.Errorf("key %.80q: %w", key, &limit.FieldError{Field: "algorithm", Reason: "must be concurrency for all keys or for none"}))
		}
	}
	if e.OnStoreError > StoreErrorClosed {
		errs = append(errs, &limit.FieldError{Field: "on-store-error", Reason: fmt.Sprintf("no such value: %d; known are local, open and closed", e.OnStoreError)})
	}
	switch l := e.Lease; {
	case l == Lease{}:
	case e.Algorithm != limit.TokenBucket || e.CountDenied || e.Counter != "":
		errs = append(errs, &limit.FieldError{Field: "lease", Reason: "belongs to a token-bucket that counts admitted requests only"})
	case l.Size < 0 || l.Size > e.Capacity():
		errs = append(errs, &limit.FieldError{Field: "lease", Reason: fmt.Sprintf("must be from 0 to the %d that the bucket holds, is %d", e.Capacity(), l.Size)})
	case l.For <= 0:
		errs = append(errs, &limit.FieldError{Field: "lease", Reason: "needs a time for which it holds, such as 1s"})
	}
	return errors.Join(errs...)
}

func (e *Entry) holds() bool { return e.Algorithm == limit.Concurrency }

func named(name string) string {
	if name == "" {
		return ""
	}
	return " (" + strconv.Quote(name) + ")"
}

// of returns the policies for a key.
func (s *spec) of(key string) []limit.Policy {
	if p, ok := s.overrides[key]; ok {
		return p
	}
	return s.policies
}

// counted is the limiter of a slot that several entries judge.
type counted struct {
	limit.Limiter // the first view
	views         []limit.Limiter
}

// prepare makes what fresh copies.
func (s *spec) prepare(origin time.Time) (err error) {
	if s.counter {
		s.firstCounter, err = limit.NewCounter(origin, s.policies...)
	} else {
		s.first, err = s.policies[0].New(origin)
	}
	return err
}

// fresh returns a new limiter of the policies.
func (s *spec) fresh() limit.Limiter {
	if s.counter {
		return viewed(s.firstCounter.Clone(), 0, len(s.policies))
	}
	return s.first.Clone()
}

// build returns a new limiter of policies for a single key.
func (s *spec) build(policies []limit.Policy, origin time.Time) (limit.Limiter, error) {
	if !s.counter {
		return policies[0].New(origin)
	}
	c, err := limit.NewCounter(origin, policies...)
	if err != nil {
		return nil, err
	}
	return viewed(c, 0, len(policies)), nil
}

// viewed returns the views of a counter from the first-th on.
func viewed(c *limit.Counter, first, n int) *counted {
	views := make([]limit.Limiter, n)
	for i := range views {
		views[i] = c.View(first + i)
	}
	return &counted{Limiter: views[0], views: views}
}

// slack returns how much longer than ResetAfter the limiter of a policy takes
// to become as good as new.
//
// Subtle: for every algorithm but one, Remaining at Limit means that nothing is
// held. A leaky bucket whose MaxDelay cuts a unit in two may hold less than a
// unit and still take all that ever fits; the delays tell the difference.
func slack(policies []limit.Policy) int64 {
	most := int64(0)
	for _, p := range policies {
		if p.Algorithm == limit.LeakyBucket && p.MaxDelay != 0 {
			most = max(most, int64(p.Window)/p.Limit+1)
		}
	}
	return most
}

// sum returns a + b, both not negative, or the largest int64 when that is less.
func sum(a, b int64) int64 {
	if s := a + b; s >= 0 {
		return s
	}
	return math.MaxInt64
}
