package guard

import (
	"sync/atomic"

	"github.com/weir-dev/weir/internal/enforce"
)

// Stats is what a Guard has done.
type Stats struct {
	Policies []PolicyStats        // in the order of the file
	Table    *enforce.Stats       // of the keys in this process; nil with a store
	Shared   *enforce.SharedStats // nil without a store
}

// PolicyStats are the decisions of a policy since it was first put in force.
type PolicyStats struct {
	ID, Name      string
	Shadow        bool
	Allowed       int64 // requests that passed and had been asked about
	Refused       int64 // requests that this policy refused
	ShadowRefused int64 // requests that it would have refused
	Warned        int64
	Failed        int64 // expressions that could not be evaluated
}

type counts struct{ allowed, refused, shadowRefused, warned, failed atomic.Int64 }

// Stats returns the figures. Under traffic they may differ by the requests in
// progress.
func (g *Guard) Stats() Stats {
	r := g.rules.Load()
	var s Stats
	for i := range r.policies {
		p := &r.policies[i]
		s.Policies = append(s.Policies, PolicyStats{
			ID: p.CounterID(), Name: p.Name, Shadow: p.Shadow,
			Allowed: p.counts.allowed.Load(), Refused: p.counts.refused.Load(), ShadowRefused: p.counts.shadowRefused.Load(),
			Warned: p.counts.warned.Load(), Failed: p.counts.failed.Load(),
		})
	}
	if g.table != nil {
		st := g.table.Stats()
		s.Table = &st
	} else {
		st := g.shared.Stats()
		s.Shared = &st
	}
	return s
}
