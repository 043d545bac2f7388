// Package guard decides requests by a policy file: a Guard works out which
// policies a request meets, what it is counted by and what it costs, asks
// package enforce once, and says what the answer has to tell.
//
//	v := g.Check(ctx, subject)
//	v.Tell(w.Header().Set)
//	if !v.Allowed {
//		status, fields, body := v.Answer()
//		… and that is the answer
//	}
//	… wait for v.Decision.Delay, do the work
//	v.Done(expr.Response{Status: 200, Header: fields, Bytes: n})
//
// A proxy, a middleware, an authorization endpoint and the stand-ins of the lab
// are all this, with another way to receive requests.
//
// # What is counted when
//
// A policy whose condition or cost reads the response is looked at before: the
// request is refused when nothing remains, or less than its cost. It is counted
// in Done. The answer that goes over the limit fills the count up and no more,
// for no limit of the model can be in debt. A request-time count-if that is
// false is such a look, too, and is never counted.
//
// # Figures that are told
//
// A client that obeys what it was told is not refused, as long as it is the only
// one with its key: waits are rounded up, the figures of several policies are
// told with the one that binds first, and a dialect that has room for one limit
// tells that one. Figures are in units; a request takes Ruling.Cost of them.
package guard

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// Options are the settings of a Guard. The zero value counts in this process.
type Options struct {
	// Clock, MaxKeys, Overflow and Origin are as in enforce.Options.
	Clock    func() time.Time
	MaxKeys  int
	Overflow enforce.Overflow
	Origin   time.Time

	// Store, when not nil, keeps the counts, as Shared says; the fields above are
	// for what is decided without it. Close does not close it.
	Store  enforce.Store
	Shared enforce.SharedOptions

	// RequireKey fails a request (status 500) for which a policy's key comes out
	// empty, as Azure API Management does. Otherwise all such requests of a
	// policy share a count.
	RequireKey bool

	// Observe, when not nil, is told what happens, by the goroutine that asks: it
	// must be quick. The Event is valid during the call only.
	Observe func(*Event)
}

// Guard decides requests by the policies of a file. Make one with New. It is
// safe for concurrent use.
type Guard struct {
	o     Options
	clock func() time.Time
	rules atomic.Pointer[rules]

	table  *enforce.Table  // without a store
	shared *enforce.Shared // with one

	change sync.Mutex         // held by Replace
	tolls  map[string]*counts // by ID; under change
}

// New returns a guard that keeps the file. The error names the policy that
// cannot be kept. The file must not be changed afterwards. A guard with a Store
// has to be closed.
func New(f *policy.File, o Options) (*Guard, error) {
	g := &Guard{o: o, clock: o.Clock, tolls: map[string]*counts{}}
	if g.clock == nil {
		g.clock = steady()
	}
	r, err := compile(f)
	if err != nil {
		return nil, err
	}
	in := enforce.Options{Clock: g.clock, MaxKeys: o.MaxKeys, Overflow: o.Overflow, Origin: o.Origin}
	if o.Store == nil {
		if g.table, err = enforce.New(r.set, in); err != nil {
			return nil, fault(err)
		}
		r.in = memory{g.table.Rules()}
	} else {
		o.Shared.Local = in
		if g.shared, err = enforce.NewShared(r.set, o.Store, o.Shared); err != nil {
			return nil, fault(err)
		}
		r.in = stored{g.shared.Rules()}
	}
	g.adopt(r)
	return g, nil
}

// steady returns a clock that no step of the wall clock bends.
func steady() func() time.Time {
	start := time.Now()
	wall := start.Round(0)
	return func() time.Time { return wall.Add(time.Since(start)) }
}

func fault(err error) error { return fmt.Errorf("these policies cannot be kept: %w", err) }

// adopt puts rules in force, with the figures that their policies had before.
func (g *Guard) adopt(r *rules) {
	ids := r.set.IDs()
	tolls := make(map[string]*counts, len(ids))
	for i := range r.policies {
		// Policies of one counter have one ID among enforce's.
		id := ids[i]
		if r.set.Entries[i].Counter != "" {
			id = fmt.Sprintf("%s, %s %d", id, r.policies[i].Name, i)
		}
		c := g.tolls[id]
		if c == nil {
			c = &counts{}
		}
		tolls[id], r.policies[i].counts = c, c
	}
	g.tolls = tolls
	g.rules.Store(r)
}

// Replace puts another file in force at once. Counts are kept by the ID of a
// policy, as enforce.Table.Replace says; requests under way finish by the old
// rules. When the file cannot be kept, nothing changes.
func (g *Guard) Replace(f *policy.File) error {
	r, err := compile(f)
	if err != nil {
		return err
	}
	g.change.Lock()
	defer g.change.Unlock()
	if g.table != nil {
		in, err := g.table.Replace(r.set)
		if err != nil {
			return fault(err)
		}
		r.in = memory{in}
	} else {
		in, err := g.shared.Replace(r.set)
		if err != nil {
			return fault(err)
		}
		r.in = stored{in}
	}
	g.adopt(r)
	return nil
}

// File returns the file in force. It must not be changed.
func (g *Guard) File() *policy.File { return g.rules.Load().file }

// Now reads the guard's clock.
func (g *Guard) Now() time.Time { return g.clock() }

// Close ends what a store needs. Requests may still be decided.
func (g *Guard) Close() {
	if g.shared != nil {
		g.shared.Close()
	}
}

// Sweep drops the keys in memory that no longer matter. A guard in use does so
// by itself; a quiet one keeps them until somebody calls this, say every minute.
func (g *Guard) Sweep() {
	if g.table != nil {
		g.table.Sweep()
	}
}

// counter is a set of enforce in force.
type counter interface {
	take(ctx context.Context, at time.Time, asks []enforce.Ask) limit.Decision
	release(at time.Time, asks []enforce.Ask)
}

type memory struct{ *enforce.Rules }

func (m memory) take(_ context.Context, at time.Time, asks []enforce.Ask) limit.Decision {
	return m.TakeAt(at, asks)
}
func (m memory) release(at time.Time, asks []enforce.Ask) { m.ReleaseAt(at, asks) }

type stored struct{ *enforce.SharedRules }

func (s stored) take(ctx context.Context, _ time.Time, asks []enforce.Ask) limit.Decision {
	return s.Take(ctx, asks)
}

// release does not hear of the request's context: what was taken is given back
// even if the client has gone. Shared waits for its budget at most.
func (s stored) release(_ time.Time, asks []enforce.Ask) { s.Release(context.Background(), asks) }
