package enforce_test

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/limit"
	"github.com/weir-dev/weir/limit/limittest"
)

// subject is a Table as limittest knows limiters. With sweepEvery, it drops
// what is as good as new after so many requests.
type subject struct {
	setup      limittest.Setup
	table      *enforce.Table
	sweepEvery int
	n          int
}

func setOf(s limittest.Setup) enforce.Set {
	set := enforce.Set{Chain: s.Chain}
	for _, r := range s.Rules {
		set.Entries = append(set.Entries, enforce.Entry{Policy: r.Policy, Counter: r.Counter})
	}
	return set
}

func asksOf(s limittest.Setup, r limittest.Request) []enforce.Ask {
	var asks []enforce.Ask
	for i, rule := range s.Rules {
		if rule.Route == "" || rule.Route == r.Route {
			asks = append(asks, enforce.Ask{Entry: i, Key: r.Key, Cost: r.Cost})
		}
	}
	return asks
}

func newSubject(sweepEvery int) limittest.New {
	return func(s limittest.Setup) (limittest.Subject, error) {
		t, err := enforce.New(setOf(s), enforce.Options{Origin: s.Start})
		return &subject{setup: s, table: t, sweepEvery: sweepEvery}, err
	}
}

func (s *subject) Take(r limittest.Request) (limittest.Answer, error) {
	if s.n++; s.sweepEvery > 0 && s.n%s.sweepEvery == 0 && s.setup.Uses&limittest.UsesBackwards == 0 {
		s.table.SweepAt(r.At)
	}
	d := s.table.Rules().TakeAt(r.At, asksOf(s.setup, r))
	return limittest.Answer{Decision: d, Says: limittest.SaysAll}, nil
}

func (s *subject) Release(r limittest.Request) error {
	s.table.Rules().ReleaseAt(r.At, asksOf(s.setup, r))
	return nil
}

func TestScripts(t *testing.T) { limittest.Run(t, newSubject(0), limittest.Scripts()) }

func TestSuite(t *testing.T) { limittest.Suite{New: newSubject(0), Seed: 3}.Run(t) }

func TestScriptsSwept(t *testing.T) { limittest.Run(t, newSubject(1), limittest.Scripts()) }

func TestSuiteSwept(t *testing.T) { limittest.Suite{New: newSubject(3), Seed: 4}.Run(t) }

var origin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func mustTable(t testing.TB, o enforce.Options, chain bool, entries ...enforce.Entry) *enforce.Table {
	t.Helper()
	table, err := enforce.New(enforce.Set{Entries: entries, Chain: chain}, o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func entry(p limit.Policy) enforce.Entry { return enforce.Entry{Policy: p} }
