// Package forecast plays work against limits in virtual time: a Model says which
// flows arrive, which calls each makes, which limits stand before them and what a
// client does when it is refused; Run tells what becomes of it.
//
// Nothing is estimated. Every call of every flow is put to the limiter itself, the
// same code that enforces the limit elsewhere, at the instant at which it would be
// made. A day at 1,000 calls a second takes some seconds.
package forecast

import (
	"fmt"
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/retry"
	"github.com/weir-dev/weir/limit"
)

// Model is what is to be foreseen. It is a plain value; Run does not change it.
type Model struct {
	Limits []Limit
	Flows  []Flow
	Retry  retry.Rule

	// Chain: a call asks its limits one after the other, and the first refusal ends
	// it: what the earlier ones gave is gone. Else it is all or nothing.
	Chain bool

	Start time.Time     // of the forecast; windows of the clock count from it
	For   time.Duration // more than zero

	Column time.Duration // width of the series; 0: a hundredth of For, at least a second
	Seed   uint64        // of everything random
}

// Limit is a policy that calls may ask.
type Limit struct {
	limit.Policy

	// PerClient: each client of a flow has a count of its own. Else there is one
	// for all calls, of whatever flow.
	PerClient bool

	// Silent: a refusal does not say how long to wait. Else it says so in whole
	// seconds, rounded up, as Retry-After does.
	Silent bool

	// Allotment, when not nil, is how often the limit may be exceeded.
	Allotment *Allotment
}

// Allotment lets a limit be exceeded in some blocks of time. The first call that the
// limit would refuse outside of a block begins one, as long as some are left. Auth0's
// performance burst is one: 48 hours a month, in blocks of 15 minutes (seed report
// 001, tenant log event appi).
type Allotment struct {
	Blocks int
	Block  time.Duration // more than zero

	// Times is how many times the limit is let pass in a block, as of a second
	// bucket; 0 means without bound.
	Times int64
}

// Flow is a piece of work that arrives again and again, such as a login.
type Flow struct {
	Name     string
	Arrivals pace.Pacer
	Clients  int // who take turns with the arrivals; 0 means 1
	Calls    []Call
}

// Call is one request of a flow.
type Call struct {
	Name  string
	After time.Duration // from the answer to the call before it, or from the arrival
	Lasts time.Duration // from sending to the answer, when it is admitted; a refusal is answered at once
	Asks  []Ask         // limits that it meets, all or nothing; at most one ask of a limit

	// Cache, when TTL is more than zero, keeps what the call fetched: it is not
	// made while its holder has one younger than that.
	Cache Cache
}

// Ask is what a call takes of a limit.
type Ask struct {
	Limit int   // index in Model.Limits
	Cost  int64 // units; 0 means 1
}

// Cache is a place where clients keep what a call gave them, such as a token.
type Cache struct {
	TTL     time.Duration
	Holders int // instances that each keep their own; 0 means 1
}

// Validate returns nil for a model that Run can play, else what is wrong with it.
func (m *Model) Validate() error {
	if m.For <= 0 {
		return fmt.Errorf("for: must be more than zero, is %v", m.For)
	}
	if len(m.Flows) == 0 {
		return fmt.Errorf("flows: there is none, so nothing would happen")
	}
	for i, l := range m.Limits {
		if err := l.Validate(); err != nil {
			return fmt.Errorf("limits[%d]: %w", i, err)
		}
		if a := l.Allotment; a != nil && (a.Blocks < 0 || a.Block <= 0 || a.Times < 0 || a.Times == 1) {
			return fmt.Errorf("limits[%d].allotment: needs a length of a block above zero, no negative number of them, and 2 or more times the limit", i)
		}
		if a := l.Allotment; a != nil && a.Times > 0 {
			if err := l.extra().Validate(); err != nil {
				return fmt.Errorf("limits[%d].allotment: %w", i, err)
			}
		}
	}
	for i, f := range m.Flows {
		switch {
		case f.Arrivals == nil:
			return fmt.Errorf("flows[%d]: has no arrivals", i)
		case len(f.Calls) == 0:
			return fmt.Errorf("flows[%d]: makes no calls", i)
		case f.Clients < 0:
			return fmt.Errorf("flows[%d].clients: must not be negative, is %d", i, f.Clients)
		}
		for j, c := range f.Calls {
			if c.After < 0 || c.Lasts < 0 || c.Cache.TTL < 0 || c.Cache.Holders < 0 {
				return fmt.Errorf("flows[%d].calls[%d]: times and numbers must not be negative", i, j)
			}
			for _, a := range c.Asks {
				if a.Limit < 0 || a.Limit >= len(m.Limits) || a.Cost < 0 {
					return fmt.Errorf("flows[%d].calls[%d]: asks limit %d for %d units", i, j, a.Limit, a.Cost)
				}
			}
		}
	}
	return nil
}

// extra is what an allotment lets pass beyond the limit in a block.
func (l *Limit) extra() limit.Policy {
	p := l.Policy
	p.Limit *= l.Allotment.Times - 1
	p.Burst *= l.Allotment.Times - 1
	return p
}
