// Package limit is the model of a rate limit: a Limiter decides, at an instant
// it is told, whether a request may pass.
//
// A Policy says what is promised (10 per second, at most 3 at once, by token
// bucket); Policy.New makes the Limiter that keeps the promise for one key; each
// Take returns a Decision. Time is an argument. Nothing here reads a clock,
// blocks, locks or starts a goroutine, so the same code enforces a limit (with
// the wall clock, under the caller's lock), foresees what a day of traffic will
// meet (in virtual time), and checks what somebody else's limiter did (with
// recorded instants).
//
// # Time
//
// Only the wall-clock reading of an instant counts; a monotonic reading is
// ignored, so a recorded trace gives the same decisions as the live one. A
// program that wants to be immune to steps of the wall clock passes
// start.Add(time.Since(start)).
//
// Instants may repeat and may run backwards. An instant before the latest one
// seen is treated as the latest seen: nothing refills twice, no window opens
// again. The durations in a Decision still count from the instant that was
// passed. Before the first Take the latest instant seen is the origin given to
// New, so an instant before the origin is treated as the origin. Instants more
// than 292 years after the origin are treated as that far.
//
// # Cost
//
// A cost of 1 is one request. A cost of zero, or below, takes nothing and is
// always allowed: a look at the state. A cost above what the limiter can ever
// hold is refused, with RetryAfter set to Never.
//
// # Exactness
//
// All decisions are made in integers. 7 per second and 1000 per hour are not a
// whole number of nanoseconds apart, and still no rounding error builds up: the
// n-th unit returns at the first nanosecond at or after n·window/limit.
package limit

import (
	"math"
	"time"
)

// Limiter decides whether cost units may pass at instant at. It is the state of
// a policy for one key.
//
// A Limiter never blocks and never reads a clock. It is not safe for concurrent
// use: a caller with several goroutines holds a lock around Take.
type Limiter interface {
	// Take asks for cost units at the instant at, and takes them when the
	// decision allows it. The package comment defines every unusual cost and
	// instant; no argument makes it panic.
	Take(at time.Time, cost int64) Decision

	// Clone returns an independent limiter in the same state.
	Clone() Limiter
}

// Releaser is a Limiter that holds units until they are given back: one made
// from a Concurrency policy, or a combination that contains one.
type Releaser interface {
	// Release gives back cost units at the instant at. Giving back more than is
	// held leaves nothing held; a cost of zero or below does nothing.
	Release(at time.Time, cost int64)
}

const (
	// Never is the RetryAfter of a request that this limiter can never admit,
	// because its cost exceeds the capacity. It is also what a duration becomes
	// that is too long for a time.Duration (292 years).
	Never time.Duration = math.MaxInt64

	// Unknown is the RetryAfter of a request that must wait for something other
	// than time to pass: a Release. The ResetAfter of a concurrency limit in use
	// is Unknown too. It is negative, so that no sum mistakes it for a wait.
	Unknown time.Duration = -1
)

// Decision is the answer to one Take. Remaining, ResetAfter and Warn describe
// the state after it. All durations count from the instant given to Take.
type Decision struct {
	// Allowed says whether the request may pass.
	Allowed bool

	// Warn says that the share of Limit in use is at or above the policy's
	// WarnAt. Always false when the policy has no WarnAt.
	Warn bool

	// Binding is the index, among the limiters given to All or Chain, of the one
	// that decided: of a refused request the one to wait for, of an allowed one
	// the one with the least remaining (the first of equals). Zero for a single
	// limiter, -1 where there is none.
	Binding int

	// Limit is the most that Remaining can be: the burst of a token bucket or a
	// refill bucket, the queue length plus the one being served of a leaky bucket, else the
	// policy's Limit.
	Limit int64

	// Remaining is the largest cost that would be allowed now. Never negative.
	Remaining int64

	// RetryAfter is how long to wait before the same cost is allowed, if nothing
	// else is taken meanwhile: exactly then it is, and one nanosecond earlier it
	// is not. Zero when allowed; Never or Unknown where there is no such time.
	RetryAfter time.Duration

	// ResetAfter is how long until Remaining is Limit again, if nothing else is
	// taken. Zero when it is; Unknown for a concurrency limit in use.
	ResetAfter time.Duration

	// Delay is how long an allowed request must be held before it proceeds.
	// Only a leaky bucket delays.
	Delay time.Duration
}

// part is what All, Chain and Counter need of the limiters of this package:
// Take in two steps.
type part interface {
	Limiter

	// judge decides like Take, into d, which must be zero; with commit false it
	// takes and counts nothing.
	//
	// Subtle: Take fills its result through a pointer, because a Decision that is
	// returned through two calls is copied in pieces that the processor stalls
	// on: 15 ns of 30.
	judge(d *Decision, at time.Time, cost int64, commit bool)

	// refused counts a request that another limiter refused, if the policy
	// counts refused requests.
	refused(at time.Time, cost int64)
}
