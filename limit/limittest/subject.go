package limittest

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Subject is a limiter under test, or a set of them, one for each key. It is
// called from one goroutine.
type Subject interface {
	// Take asks for r.Cost units. A Subject that cannot be told the time waits
	// until r.At − Setup.Start have passed since it was made. An error ends the
	// script.
	Take(r Request) (Answer, error)
}

// Releaser is a Subject that can give back what a concurrency limit holds.
type Releaser interface {
	Release(r Request) error
}

// Request is one request of a script.
type Request struct {
	At    time.Time
	Route string // which policies apply; may be empty
	Key   string // whose limiter; may be empty
	Cost  int64
}

// Answer is what a Subject says to a request. Decision.Allowed always counts;
// of the rest, what Says names.
type Answer struct {
	limit.Decision
	Says Fields
}

// Fields is a set of the fields of a limit.Decision.
type Fields uint8

// The fields that an Answer may say beside Allowed.
const (
	SaysLimit Fields = 1 << iota
	SaysRemaining
	SaysRetry
	SaysReset
	SaysDelay
	SaysWarn
	SaysBinding

	SaysAll Fields = 1<<iota - 1
)

// Setup is what a Subject has to keep: the first part of a script.
type Setup struct {
	Start time.Time // no request is earlier, unless Uses has Backwards
	Rules []Rule    // at least one
	Chain bool      // combine as limit.Chain does; else as limit.All
	Uses  Uses      // what the requests use, for a subject that cannot do everything
}

// Rule is a policy and where it applies.
type Rule struct {
	Policy  limit.Policy
	Route   string // empty: to every request
	Counter string // rules of one name share a count; empty: none of its own
}

// Uses is a set of abilities that a script needs beyond one key, one policy,
// requests of cost 1 and time that runs forwards.
type Uses uint8

// The abilities.
const (
	UsesCost      Uses = 1 << iota // a cost other than 1
	UsesKeys                       // more than one key
	UsesRoutes                     // rules for some requests only
	UsesCounter                    // rules that share a count
	UsesRelease                    // Releaser
	UsesBackwards                  // time that runs backwards
	UsesStart                      // a given instant of the calendar
)

// New makes a Subject. It returns an error that wraps errors.ErrUnsupported
// when the subject has no way to do what the setup asks; the script is then
// skipped.
type New func(Setup) (Subject, error)

// Model is the New of package limit itself.
func Model(s Setup) (Subject, error) {
	return &keyed[limit.Limiter]{setup: s, byKey: map[string][]limit.Limiter{}, byRoute: map[[2]string]limit.Limiter{},
		create:  newModels,
		combine: combineModels,
	}, nil
}

// keyed keeps a limiter of type L for each rule and key, and a combination of
// those that apply for each route and key.
type keyed[L limit.Limiter] struct {
	setup   Setup
	byKey   map[string][]L
	byRoute map[[2]string]limit.Limiter
	create  func(Setup) ([]L, error) // one for each rule
	combine func(chain bool, of []L) limit.Limiter
}

func (k *keyed[L]) limiter(r Request) (limit.Limiter, error) {
	id := [2]string{r.Route, r.Key}
	if l, ok := k.byRoute[id]; ok {
		return l, nil
	}
	if k.byKey[r.Key] == nil {
		all, err := k.create(k.setup)
		if err != nil {
			return nil, err
		}
		k.byKey[r.Key] = all
	}
	var of []L
	for i, rule := range k.setup.Rules {
		if rule.Route == "" || rule.Route == r.Route {
			of = append(of, k.byKey[r.Key][i])
		}
	}
	l := k.combine(k.setup.Chain, of)
	k.byRoute[id] = l
	return l, nil
}

func (k *keyed[L]) Take(r Request) (Answer, error) {
	l, err := k.limiter(r)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Decision: l.Take(r.At, r.Cost), Says: SaysAll}, nil
}

func (k *keyed[L]) Release(r Request) error {
	l, err := k.limiter(r)
	if err != nil {
		return err
	}
	if l, ok := l.(limit.Releaser); ok {
		l.Release(r.At, r.Cost)
	}
	return nil
}

func newModels(s Setup) ([]limit.Limiter, error) {
	all := make([]limit.Limiter, len(s.Rules))
	for i, rule := range s.Rules {
		if all[i] != nil {
			continue
		}
		if rule.Counter == "" {
			l, err := rule.Policy.New(s.Start)
			if err != nil {
				return nil, err
			}
			all[i] = l
			continue
		}
		var policies []limit.Policy
		var places []int
		for j, other := range s.Rules {
			if other.Counter == rule.Counter {
				policies, places = append(policies, other.Policy), append(places, j)
			}
		}
		c, err := limit.NewCounter(s.Start, policies...)
		if err != nil {
			return nil, fmt.Errorf("counter %s: %w", rule.Counter, err)
		}
		for view, j := range places {
			all[j] = c.View(view)
		}
	}
	return all, nil
}

func combineModels(chain bool, of []limit.Limiter) limit.Limiter {
	switch {
	case len(of) == 1:
		return of[0]
	case chain:
		return limit.Chain(slices.Clone(of)...)
	}
	return limit.All(slices.Clone(of)...)
}
