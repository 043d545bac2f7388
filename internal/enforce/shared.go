package enforce

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Store keeps counts that several processes share. It is safe for concurrent
// use, and never waits longer than its context.
type Store interface {
	// Prepare returns what decides by the set, or says which policy the store
	// cannot keep. It does not ask the server.
	Prepare(set Set) (Decider, error)

	// Gates tells the server that this process is there, and returns how many
	// processes have done so lately, with this one: at least 1.
	Gates(ctx context.Context) (int, error)
}

// Decider decides by a set whose counts are in a Store.
type Decider interface {
	// Take does what Rules.Take does, with the store's clock. After an error the
	// asks may have been taken or not; they must count as taken.
	Take(ctx context.Context, asks []Ask) (limit.Decision, error)

	// Release gives back what Take took of the concurrency limits among asks.
	Release(ctx context.Context, asks []Ask) error
}

// SharedOptions are the settings of a Shared. The zero value is ready to use.
type SharedOptions struct {
	// Budget is the longest that a decision waits for the store. Zero means 10
	// ms.
	Budget time.Duration

	// Failures in a row after which the store is left alone until it has
	// answered a probe. Zero means 5.
	Failures int

	// Probe is the time between two probes, which also count the processes. Zero
	// means 250 ms.
	Probe time.Duration

	// Local are the settings of the table that decides in the store's place.
	Local Options
}

// Shared is a set whose counts are in a Store, with a Table of its own for when
// the store does not answer. Make one with NewShared, and Close it. It is safe
// for concurrent use.
//
// A decision asks the store once and waits for Budget at most. When that fails,
// each entry is decided by its OnStoreError, and what the store may have taken
// is spent. After some failures in a row no decision waits any more: a probe in
// the background asks the store, and brings it back when it answers within
// Budget.
//
// While the store is away, entries that are kept locally start from full buckets
// and divide their limit by the number of processes last seen: together they
// admit at most one Limit more than the policy at the change, and no more after.
type Shared struct {
	store  Store
	o      SharedOptions
	clock  func() time.Time
	local  *Table
	rules  atomic.Pointer[SharedRules]
	change sync.Mutex // held while rules and the number of gates change
	gates  atomic.Int64
	failed atomic.Int64 // in a row
	since  atomic.Int64 // Unix ns from when on the store is left alone; 0: it is not
	stop   context.CancelFunc
	ended  chan struct{}

	decisions, errs, timeouts, byLease, byLocal, byOpen, byClosed atomic.Int64
	lastErr                                                       atomic.Pointer[string]
}

// SharedRules are a Set in force in a Shared, as Rules are in a Table.
type SharedRules struct {
	shared  *Shared
	set     Set
	decider Decider
	local   atomic.Pointer[Rules] // with the limits divided by the number of gates
	leases  leases
}

// NewShared returns a Shared that keeps the set. It succeeds when the store
// cannot be reached, and is degraded then. It fails when a policy is not valid,
// or not one the store can keep.
func NewShared(set Set, store Store, o SharedOptions) (*Shared, error) {
	if o.Budget <= 0 {
		o.Budget = 10 * time.Millisecond
	}
	if o.Failures <= 0 {
		o.Failures = 5
	}
	if o.Probe <= 0 {
		o.Probe = 250 * time.Millisecond
	}
	local, err := New(set, o.Local)
	if err != nil {
		return nil, err
	}
	s := &Shared{store: store, o: o, local: local, clock: local.clock, ended: make(chan struct{})}
	s.gates.Store(1)
	if _, err := s.Replace(set); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.probe(ctx)
	return s, nil
}

// Close ends the probes. Decisions may still be asked for. It does not close
// the store.
func (s *Shared) Close() {
	s.stop()
	<-s.ended
}

// Rules returns the set in force.
func (s *Shared) Rules() *SharedRules { return s.rules.Load() }

// Replace puts a set in force, as Table.Replace does. The store keeps the counts
// of entries by ID as long as nothing but Name, Limit, Burst, WarnAt and
// CountDenied changes.
func (s *Shared) Replace(set Set) (*SharedRules, error) {
	d, err := s.store.Prepare(set)
	if err != nil {
		return nil, err
	}
	s.change.Lock()
	defer s.change.Unlock()
	local, err := s.local.Replace(set.divided(s.gates.Load()))
	if err != nil {
		return nil, err
	}
	r := &SharedRules{shared: s, set: set, decider: d}
	r.local.Store(local)
	s.rules.Store(r)
	return r, nil
}

// divided returns the set with the share of one of n processes.
func (s Set) divided(n int64) Set {
	if n <= 1 {
		return s
	}
	divide := func(p limit.Policy) limit.Policy {
		p.Limit = max(1, p.Limit/n)
		if p.Algorithm == limit.LeakyBucket {
			p.Burst /= n
			p.Undelayed = min(p.Undelayed, p.Burst)
		} else if p.Burst > 0 {
			p.Burst = max(1, p.Burst/n)
		}
		return p
	}
	out := Set{Entries: make([]Entry, len(s.Entries)), Chain: s.Chain}
	for i, e := range s.Entries {
		e.Policy, e.Lease = divide(e.Policy), Lease{}
		overrides := e.Overrides
		e.Overrides = make(map[string]limit.Policy, len(overrides))
		for key, p := range overrides {
			e.Overrides[key] = divide(p)
		}
		out.Entries[i] = e
	}
	return out
}

// Take decides on a request that asks several entries, and fills in what each
// of them says. It waits for the Budget at most. When ctx ends first, the
// request is decided as without the store, and the store is not blamed.
func (r *SharedRules) Take(ctx context.Context, asks []Ask) limit.Decision {
	s := r.shared
	s.decisions.Add(1)
	if len(asks) == 1 {
		if e := &r.set.Entries[asks[0].Entry]; e.Lease.Size > 1 && !e.Shadow && asks[0].Cost > 0 && !asks[0].Look {
			if d, ok := r.lease(ctx, &asks[0], e); ok {
				return d
			}
			return r.without(asks)
		}
	}
	if d, ok := r.ask(ctx, asks); ok {
		return d
	}
	return r.without(asks)
}

// ask asks the store, unless it is left alone. It returns false when there is
// no answer.
func (r *SharedRules) ask(ctx context.Context, asks []Ask) (limit.Decision, bool) {
	s := r.shared
	if s.since.Load() != 0 {
		return limit.Decision{}, false
	}
	within, cancel := context.WithTimeout(ctx, s.o.Budget)
	defer cancel()
	d, err := r.decider.Take(within, asks)
	if err == nil {
		s.failed.Store(0)
		return d, true
	}
	if ctx.Err() == nil {
		s.fault(err)
	}
	return limit.Decision{}, false
}

// fault notes that the store has failed once more.
func (s *Shared) fault(err error) {
	s.errs.Add(1)
	if errors.Is(err, context.DeadlineExceeded) {
		s.timeouts.Add(1)
	}
	text := err.Error()
	s.lastErr.Store(&text)
	if s.failed.Add(1) >= int64(s.o.Failures) {
		s.since.CompareAndSwap(0, s.clock().UnixNano())
	}
}

// without decides without the store.
func (r *SharedRules) without(asks []Ask) limit.Decision {
	var c Combined
	c.Start()
	var few [8]Ask
	local := few[:0]
	refused := false
	for i := range asks {
		a := &asks[i]
		switch e := &r.set.Entries[a.Entry]; e.OnStoreError {
		case StoreErrorClosed:
			a.Decision, a.By = closed{}.Take(time.Time{}, a.Cost), ByClosed
			r.shared.byClosed.Add(1)
			refused = refused || !a.Decision.Allowed && !e.Shadow
		case StoreErrorOpen:
			a.Decision, a.By = open{}.Take(time.Time{}, a.Cost), ByOpen
			r.shared.byOpen.Add(1)
		default:
			local = append(local, *a)
		}
	}
	if refused {
		// Nothing is taken from the others: they only say what they would.
		for i := range local {
			local[i].Cost = 0
		}
	}
	if len(local) > 0 {
		r.local.Load().Take(local)
		r.shared.byLocal.Add(int64(len(local)))
	}
	next := 0
	for i := range asks {
		a := &asks[i]
		if r.set.Entries[a.Entry].OnStoreError == StoreErrorLocal {
			a.Decision, a.By = local[next].Decision, ByLocal
			next++
		}
		if !r.set.Entries[a.Entry].Shadow {
			c.Add(i, &a.Decision)
		}
	}
	return c.Decision
}

// Release gives back what Take took of the concurrency limits among asks, where
// it was taken. What cannot be given back to a store in time it forgets by
// itself, some time later.
func (r *SharedRules) Release(ctx context.Context, asks []Ask) {
	var few, fewMore [8]Ask
	local, stored := few[:0], fewMore[:0]
	for _, a := range asks {
		switch {
		case r.set.Entries[a.Entry].Algorithm != limit.Concurrency || !a.Decision.Allowed || a.Look:
		case a.By == ByLocal:
			local = append(local, a)
		case a.By == ByPolicy:
			stored = append(stored, a)
		}
	}
	if len(local) > 0 {
		r.local.Load().Release(local)
	}
	if s := r.shared; len(stored) > 0 && s.since.Load() == 0 {
		within, cancel := context.WithTimeout(ctx, s.o.Budget)
		defer cancel()
		if err := r.decider.Release(within, stored); err != nil && ctx.Err() == nil {
			s.fault(err)
		}
	}
}

// probe asks the store how many processes there are, again and again, and ends
// its absence.
func (s *Shared) probe(ctx context.Context) {
	defer close(s.ended)
	tick := time.NewTicker(s.o.Probe)
	defer tick.Stop()
	for {
		s.probeOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// patience is how long a probe waits: to connect takes longer than to answer.
const patience = time.Second

func (s *Shared) probeOnce(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, max(patience, s.o.Budget))
	defer cancel()
	start := time.Now()
	n, err := s.store.Gates(within)
	switch took := time.Since(start); {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.fault(err)
		return
	case took > s.o.Budget:
		if s.since.Load() == 0 {
			// The first connection; decisions will tell.
			break
		}
		s.fault(context.DeadlineExceeded)
		return
	}
	s.failed.Store(0)
	s.since.Store(0)
	if old := s.gates.Swap(int64(n)); old != int64(n) {
		s.divide()
	}
}

// divide gives the local table its share again.
func (s *Shared) divide() {
	s.change.Lock()
	defer s.change.Unlock()
	r := s.rules.Load()
	// It was valid undivided, and stays so.
	if local, err := s.local.Replace(r.set.divided(s.gates.Load())); err == nil {
		r.local.Store(local)
	}
}

// SharedStats is what a Shared has done.
type SharedStats struct {
	Degraded  bool      // the store is left alone now
	Since     time.Time // when Degraded began
	Gates     int       // processes last seen, with this one
	Decisions int64
	Errors    int64 // decisions, releases and probes that the store has failed
	Timeouts  int64 // those of them that took too long
	Leased    int64 // asks decided from a lease
	Local     int64 // asks decided by OnStoreError …
	Open      int64
	Closed    int64
	LastError string // of the store; empty when there was none
}

// Stats returns the figures.
func (s *Shared) Stats() SharedStats {
	st := SharedStats{
		Gates: int(s.gates.Load()), Decisions: s.decisions.Load(), Errors: s.errs.Load(), Timeouts: s.timeouts.Load(),
		Leased: s.byLease.Load(), Local: s.byLocal.Load(), Open: s.byOpen.Load(), Closed: s.byClosed.Load(),
	}
	if since := s.since.Load(); since != 0 {
		st.Degraded, st.Since = true, time.Unix(0, since)
	}
	if text := s.lastErr.Load(); text != nil {
		st.LastError = *text
	}
	return st
}
