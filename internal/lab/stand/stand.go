// Package stand holds Stand: what every stand-in of the lab needs besides its
// own dialect, namely quotas by category, their counts per minute, latency and faults.
//
// A stand-in's handler calls, in this order: Begin once per request; Take for
// the category the request belongs to (an admitted request of a concurrency
// quota is given back with Release); Disturb for the work behind the quota,
// unless the answer is a refusal; and Answer to write and count the answer.
package stand

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Config says what a Stand enforces and how it misbehaves. The zero value is a
// stand without quotas, latency or faults.
type Config struct {
	// Quotas are the categories, in the order in which Take names them.
	Quotas []Quota

	// Latency is what an answer that is not a refusal waits for.
	Latency Latency

	// Faults are injected behind the quotas: a refused request never meets one.
	Faults Faults

	// Seed makes latency jitter and faults repeatable: the n-th request behind
	// the quotas draws the same numbers in every run with the same seed.
	Seed uint64

	// History is how many minutes of counts are kept per category, at least 1;
	// 0 means DefaultHistory.
	History int

	// Clock is read for every decision and stamp; nil means the time of day at
	// the start plus the monotonic time since then, so that no step of the
	// machine's clock bends a quota. Waiting (latency, hangs) uses the runtime's
	// timers whatever Clock says.
	Clock func() time.Time
}

// DefaultHistory is 15 days of minutes, as long as CloudWatch keeps points of
// one minute (Amazon CloudWatch User Guide, "Metrics concepts", read 2026-11).
const DefaultHistory = 15 * 24 * 60

// Quota is one category of calls and the policy over all of them together.
type Quota struct {
	// Category is the service's own name for it, such as "ClientAuthentication".
	Category string

	// Policy is what is enforced; nil counts calls and refuses none.
	Policy *limit.Policy
}

// Stand is the machinery of one running stand-in. All methods are safe for
// concurrent use.
type Stand struct {
	clock   func() time.Time
	started time.Time
	desks   []*desk

	latency Latency
	faults  Faults
	seed    uint64
	drawn   atomic.Uint64 // requests that reached Disturb

	requests atomic.Uint64
	aborted  atomic.Uint64
	answers  [600]atomic.Uint64 // by status
}

// desk is one category: its limiter and its counts change together.
type desk struct {
	category string
	policy   *limit.Policy

	mu        sync.Mutex // guards all below
	limiter   limit.Limiter
	calls     uint64
	throttled uint64
	minutes   minutes
}

// New builds a Stand. The error names the category and field that is wrong.
func New(c Config) (*Stand, error) {
	clock := c.Clock
	if clock == nil {
		clock = steady()
	}
	if c.History < 0 {
		return nil, fmt.Errorf("history: %d minutes: must be at least 1, or 0 for the default", c.History)
	}
	if c.History == 0 {
		c.History = DefaultHistory
	}
	if err := errors.Join(c.Latency.Validate(), c.Faults.Validate()); err != nil {
		return nil, err
	}
	s := &Stand{clock: clock, started: clock(), latency: c.Latency, faults: c.Faults, seed: c.Seed}
	for _, q := range c.Quotas {
		d := &desk{category: q.Category, minutes: minutes{keep: c.History}}
		if q.Policy != nil {
			p := *q.Policy
			l, err := p.New(s.started)
			if err != nil {
				return nil, fmt.Errorf("quota %s: %w", q.Category, err)
			}
			d.policy, d.limiter = &p, l
		}
		s.desks = append(s.desks, d)
	}
	return s, nil
}

func steady() func() time.Time {
	start := time.Now()
	return func() time.Time { return start.Add(time.Since(start)) }
}

// Now reads the stand's clock.
func (s *Stand) Now() time.Time { return s.clock() }

// Begin counts a request that reached the stand-in, whatever becomes of it.
func (s *Stand) Begin() { s.requests.Add(1) }

// Take counts one call in a category, by its place in Config.Quotas, and asks
// its quota whether cost units may pass now. It panics when there is no such
// category: that is a mistake in the stand-in, not in a request.
//
// The call is counted whether it is admitted or not: CallCount includes
// ThrottleCount.
func (s *Stand) Take(category int, cost int64) limit.Decision {
	d := s.desks[category]
	d.mu.Lock()
	defer d.mu.Unlock()
	// Subtle: the clock is read under the lock, so that a limiter sees the
	// instants in order and a request cannot be judged by an older clock than
	// the one before it.
	now := s.clock()
	decision := limit.Decision{Allowed: true}
	if d.limiter != nil {
		decision = d.limiter.Take(now, cost)
	}
	d.note(now, !decision.Allowed)
	return decision
}

// Note counts one call in a category, and whether it was refused, for a
// stand-in whose quotas are decided elsewhere. It asks no quota.
func (s *Stand) Note(category int, refused bool) {
	d := s.desks[category]
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(s.clock(), refused)
}

func (d *desk) note(now time.Time, refused bool) {
	m := d.minutes.at(now)
	d.calls++
	m.calls++
	if refused {
		d.throttled++
		m.throttled++
	}
}

// Release gives back what an admitted Take holds, for quotas that count what is
// in progress; for all others it does nothing.
func (s *Stand) Release(category int, cost int64) {
	d := s.desks[category]
	r, ok := d.limiter.(limit.Releaser)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r.Release(s.clock(), cost)
}
