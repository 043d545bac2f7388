package guard_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit/limittest"
)

// scripted is a Guard as limittest knows limiters: routes are paths, keys and
// costs are header fields.
type scripted struct {
	guard *guard.Guard
	clock *clock
	held  map[string][]*guard.Verdict // by key and route
}

func fileOf(s limittest.Setup) (*policy.File, error) {
	cost, err := expr.Compile(`int(request.header["X-Cost"])`, expr.Int)
	if err != nil {
		return nil, err
	}
	f := &policy.File{Chain: s.Chain}
	for i, r := range s.Rules {
		p := policy.Policy{
			Policy: r.Policy, ID: fmt.Sprint(i), Counter: r.Counter,
			Key: policy.Key{Kind: policy.Header, Name: "X-Key"}, Cost: policy.Cost{Expr: cost},
		}
		if r.Route != "" {
			p.Match = []policy.Match{{Path: "/" + r.Route}}
		}
		f.Policies = append(f.Policies, p)
	}
	return f, nil
}

func newScripted(s limittest.Setup) (limittest.Subject, error) {
	f, err := fileOf(s)
	if err != nil {
		return nil, err
	}
	c := &clock{at: s.Start}
	g, err := guard.New(f, guard.Options{Clock: c.now, Origin: s.Start})
	return &scripted{guard: g, clock: c, held: map[string][]*guard.Verdict{}}, err
}

func (s *scripted) Take(r limittest.Request) (limittest.Answer, error) {
	s.clock.at = r.At
	subject := &expr.Subject{
		Method: "GET", Path: "/" + r.Route,
		Header: expr.Fields{"X-Key": {r.Key}, "X-Cost": {strconv.FormatInt(r.Cost, 10)}},
	}
	v := s.guard.Check(context.Background(), subject)
	if v.Allowed {
		id := r.Key + " " + r.Route
		s.held[id] = append(s.held[id], v)
	}
	return limittest.Answer{Decision: v.Decision, Says: limittest.SaysAll}, v.Err
}

// Release ends requests that together hold as much, or all there are.
func (s *scripted) Release(r limittest.Request) error {
	s.clock.at = r.At
	id := r.Key + " " + r.Route
	slices.SortStableFunc(s.held[id], func(a, b *guard.Verdict) int { return int(a.Rulings[0].Cost - b.Rulings[0].Cost) })
	for left := r.Cost; left > 0 && len(s.held[id]) > 0; s.held[id] = s.held[id][1:] {
		v := s.held[id][0]
		if left -= v.Rulings[0].Cost; left < 0 {
			return fmt.Errorf("a part of a request ends: %w", errors.ErrUnsupported)
		}
		v.Done(expr.Response{Status: 200})
	}
	return nil
}

func TestScripts(t *testing.T) { limittest.Run(t, newScripted, limittest.Scripts()) }

func TestSuite(t *testing.T) { limittest.Suite{New: newScripted, Seed: 6, Requests: 300}.Run(t) }
