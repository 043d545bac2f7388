package limittest

import (
	"slices"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Twins is the New of the slow twins. Like Model it keeps every setup.
func Twins(s Setup) (Subject, error) {
	for _, rule := range s.Rules {
		if err := rule.Policy.Validate(); err != nil {
			return nil, err
		}
	}
	return &keyed[*Twin]{setup: s, byKey: map[string][]*Twin{}, byRoute: map[[2]string]limit.Limiter{},
		create:  newTwins,
		combine: func(chain bool, of []*Twin) limit.Limiter { return &together{of, chain} },
	}, nil
}

func newTwins(s Setup) ([]*Twin, error) {
	all := make([]*Twin, len(s.Rules))
	ledgers := map[string]*ledger{}
	for i, rule := range s.Rules {
		all[i] = NewTwin(rule.Policy, s.Start)
		if rule.Counter == "" {
			continue
		}
		if ledgers[rule.Counter] == nil {
			ledgers[rule.Counter] = all[i].taken
		}
		all[i].taken = ledgers[rule.Counter]
	}
	return all, nil
}

// together is the twin of limit.All and limit.Chain.
type together struct {
	twins []*Twin
	chain bool
}

func (a *together) Take(at time.Time, cost int64) limit.Decision {
	if len(a.twins) == 1 {
		return a.twins[0].Take(at, cost)
	}
	for _, t := range a.twins {
		t.see(at)
	}
	refuser := slices.IndexFunc(a.twins, func(t *Twin) bool { return !t.admits(cost, 0) })
	if refuser < 0 {
		return a.admit(at, cost)
	}
	for i, t := range a.twins {
		switch {
		case !a.chain, i == refuser:
			t.refused(cost)
		case i < refuser && t.policy.Algorithm != limit.Concurrency:
			t.write(cost)
		}
	}
	d := limit.Decision{Binding: refuser}
	for i, t := range a.twins {
		if t.admits(cost, 0) {
			continue
		}
		if retry := t.retry(at, cost); rank(retry) > rank(d.RetryAfter) {
			d.RetryAfter = retry
			if !a.chain {
				d.Binding = i
			}
		}
	}
	return a.describe(at, d)
}

func (a *together) admit(at time.Time, cost int64) limit.Decision {
	d := limit.Decision{Allowed: true}
	least := limit.Decision{}
	for i, t := range a.twins {
		e := t.Take(at, cost)
		d.Delay = max(d.Delay, e.Delay)
		if i == 0 || e.Remaining < least.Remaining {
			d.Binding, least = i, e
		}
	}
	return a.describe(at, d)
}

func (a *together) describe(at time.Time, d limit.Decision) limit.Decision {
	for i, t := range a.twins {
		var e limit.Decision
		t.describe(at, &e)
		if i == 0 || e.Remaining < d.Remaining {
			d.Remaining = e.Remaining
		}
		if i == d.Binding {
			d.Limit, d.ResetAfter = e.Limit, e.ResetAfter
		}
		d.Warn = d.Warn || e.Warn
	}
	return d
}

// rank orders waits: known ones, then Unknown, then Never.
func rank(wait time.Duration) uint64 {
	switch wait {
	case limit.Unknown:
		return 1 << 63
	case limit.Never:
		return 1<<63 + 1
	}
	return uint64(wait)
}

// Release implements limit.Releaser.
func (a *together) Release(at time.Time, cost int64) {
	for _, t := range a.twins {
		t.Release(at, cost)
	}
}

// Clone implements limit.Limiter.
func (a *together) Clone() limit.Limiter {
	c := &together{chain: a.chain}
	copies := map[*ledger]*ledger{}
	for _, t := range a.twins {
		clone := t.Clone().(*Twin)
		if copies[t.taken] == nil {
			copies[t.taken] = clone.taken
		}
		clone.taken = copies[t.taken]
		c.twins = append(c.twins, clone)
	}
	return c
}

// check that the interfaces are kept.
var (
	_ limit.Releaser = (*Twin)(nil)
	_ limit.Releaser = (*together)(nil)
	_ Releaser       = (*keyed[*Twin])(nil)
)
