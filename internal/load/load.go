// Package load is Engine, which turns a plan into requests: schedule → users →
// hits → ticks. The hot path of Weir lives here and nowhere else.
//
// Every request has three instants: intended (when the plan wanted it), sent
// (its first byte was written) and done. Nothing is corrected afterwards: what
// a stall of the server or of the generator did to a request is in the
// difference between them.
//
// # Two models
//
// In the closed model (Plan.Users) each user runs the scenario over and over,
// with its own pause in between: the load falls when the server slows down. In
// the open model (Plan.Arrivals) a schedule says when each iteration is due,
// whatever the server does; idle users take arrivals from it, and what cannot
// be sent is counted as missed.
//
// In the open model one arrival is one iteration. With a scenario that sends
// one request per iteration, such as Repeat, every arrival that was due ends
// as exactly one of admitted, throttled, failed, missed or unfinished.
package load

import (
	"context"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/retry"
	"github.com/weir-dev/weir/internal/tally"
)

// Sender sends the requests of one user, one at a time; it is not safe for
// concurrent use. Whatever goes wrong is in ans. It fills in ans.Sent,
// ans.Done and calls ans.OnSent, when that is set, just before the first byte
// is written. Fields and Body of ans are valid until the next Send.
//
// ctx is the run's hard stop, the same one for every call of a run; when it is
// done, Send returns promptly with hit.Interrupted. A Sender that is also an
// io.Closer is closed when its user leaves.
type Sender interface {
	Send(ctx context.Context, req *hit.Request, ans *hit.Answer)
}

// Scenario says what users do. NewUser is called once for each user, before
// its first iteration, on that user's goroutine: different users concurrently.
// It may send requests with s, which belongs to that user for good.
type Scenario interface {
	NewUser(id int, s *Session) (User, error)
}

// User is one virtual user.
//
// Iterate does the user's work once, through the Session it was given. ctx is
// the run's hard stop. wait is the pause before the next iteration; the open
// model does not use it, because there the schedule decides. An error is
// reported, and the user goes on. Only one call at a time is made.
//
// A User that is also a Leaver is told when it leaves.
type User interface {
	Iterate(ctx context.Context) (wait time.Duration, err error)
}

// Leaver is a User with something left to do: Leave is called once, after its
// last iteration and before its sender is closed, unless the run was stopped
// hard. What it sends counts as any request does, and is cut with the others
// after Plan.StopTimeout. An error is reported.
type Leaver interface {
	Leave(ctx context.Context) error
}

// Resident is a User that lives by itself, instead of iterating: somebody else
// decides when it sends what. Stay is called once; it returns soon after leave is
// closed, which tells that the user is no longer wanted, and at once when ctx is
// done. What it sends was intended when it is sent. When it returns while it is
// wanted, another user takes its place, after a pause if there is an error, which
// is reported. The open model has no residents.
type Resident interface {
	Stay(ctx context.Context, leave <-chan struct{}) error
}

// CatchUp says what to do with arrivals of the open model that could not be
// sent when they were due, because no user was free or the generator was late.
type CatchUp uint8

const (
	// Spread, the default: late arrivals keep their order and leave as users
	// become free, at most 1.1 times as fast as the plan wanted them, so that a
	// stall does not become a burst above the limit that is being measured.
	Spread CatchUp = iota
	// Burst: they leave as soon as a user is free.
	Burst
	// Skip: an arrival that could not leave within SkipAfter is missed.
	Skip
)

// String returns the word used on the command line.
func (c CatchUp) String() string {
	switch c {
	case Spread:
		return "spread"
	case Burst:
		return "burst"
	case Skip:
		return "skip"
	}
	return "unknown"
}

// SkipAfter is how late an arrival may leave under Skip.
const SkipAfter = 50 * time.Millisecond

// Plan is what to run. Exactly one of Users, Arrivals and Parts is set.
type Plan struct {
	Scenario  Scenario
	NewSender func(user int) (Sender, error) // called on the user's goroutine, before NewUser
	Rules     *hit.Rules                     // nil: hit.DefaultRules

	Users pace.Level // the closed model; the zero value: none

	Arrivals pace.Pacer // the open model
	MaxUsers int        // most users of the open model, 1 or more
	CatchUp  CatchUp

	Parts []Part // several loads; the run ends with the last of them

	// RunTime is when the plan ends. 0: with the last step of Users, or with the
	// last arrival. Users that end earlier end the plan earlier; arrivals that
	// end earlier do not, because the last one of 1/s for 5s is due after 4 s.
	RunTime     time.Duration
	StopTimeout time.Duration // how long iterations under way may take after the end; then they are cut. 0: cut at once

	MaxRequests  int64 // never more are handed to senders; retries and redirects are not counted. 0: no limit
	MaxThrottled int64 // stop gracefully as soon as this many answers were throttled; those under way may add to it. 0: no limit

	// Retry is what users do after a throttled answer, below the scenario: it sees
	// the last answer only. The zero value does not try again.
	Retry retry.Rule
	// Respect holds requests back so that limits are kept.
	Respect Respect
	worked  bool // pieces of work are counted

	// WarmUp is how long load is sent before it counts, in whole seconds: those
	// ticks are marked Warm, and answers to requests that were due in them are in
	// no later one.
	WarmUp time.Duration

	MaxNames int    // most request names with a row of their own, known ones keep theirs. 0: 1000
	Seed     uint64 // of Session.Rand

	// Mask takes the secrets that the plan knows out of what is kept of answers:
	// a service may send back what it was sent. Any goroutine calls it. nil: none are known.
	Mask func(text string) string

	// Health is called once per tick, from one goroutine. nil: none.
	Health func() tally.Health
	// OnHit is called with every request that was answered or failed, on the
	// goroutine of its user, and must not wait or keep the hit; Seq is 0. nil: none.
	OnHit func(*hit.Hit)
	// Sleep returns at until, or soon after ctx is done. It is what makes the
	// open model punctual: timers of an idle Go program are up to 1 ms late.
	// Only one call at a time is made. nil: timers.
	Sleep func(ctx context.Context, until time.Time)
}

// EveryUserStopped is the reason why a run ended whose users stopped themselves.
const EveryUserStopped = "every user has stopped"

// Result is how a run ended.
type Result struct {
	Started time.Time     // wall clock, with the monotonic reading that all offsets are measured from
	Elapsed time.Duration // until the last answer was in
	Loaded  time.Duration // until the plan ended or the run was stopped: how long load was offered
	Reason  string        // why it ended, in a few words
	Hard    bool          // ctx was cancelled

	Unfinished       int64         // requests cut by the stop: their outcome is unknown, so they are in no series
	OldestUnfinished time.Duration // since the instant the oldest of them was intended: a lower bound of its response time

	NeverSent int64 // failed before anything was written: no connection, mostly
	PeakUsers int
	Abandoned int // users whose scenario did not return after the hard stop

	Carried int64    // answers that came after the warm-up to requests that were due in it: they are in no series
	Changes []string // made to the load while it ran, by Engine.Nudge, a sentence each; the latest maxChanges
}
