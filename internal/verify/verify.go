// Package verify finds out whether a service keeps the limits that a policy file
// declares: a Plan of experiments is sent (Run), which gives a Recording, and
// Judge compares every answer with the policies and makes a Report of it.
//
// # What is a violation
//
// The instant at which the service decided is known only to lie between sending
// and answer. Package track carries every state that is consistent with that; a
// violation is an answer that no state explains. So what network delay alone
// could explain is never one: it is undecided, and the report says what to do.
//
// For each violation the policies are changed, one thing at a time, and the whole
// recording is put to each changed file. The changes that explain all answers are
// the report's explanations, the smallest first.
//
// # What is assumed
//
// Nobody else uses what is counted during the experiments. At the first request
// the counts are at rest; where a count that was in use before would explain the
// answers as well, the finding is undecided. An answer without a refusal's status
// and below 500 was let pass by the limits, whatever became of it then.
package verify

import (
	"context"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// World is what a Run needs: a clock, and the service. A Run uses it from one
// goroutine.
type World interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration)

	// Send makes the same call n times at once, and returns when all answers are
	// in. It always returns n answers.
	Send(ctx context.Context, c *Call, n int) []Answer
}

// Outcome is what the limits did with a request.
type Outcome string

// The outcomes.
const (
	Admitted Outcome = "admitted"
	Refused  Outcome = "refused"
	Unknown  Outcome = "unknown" // no complete answer, or a status of 500 and above
)

// Answer is one answer as a World reports it.
type Answer struct {
	Sent, Done time.Time // just before the first byte went, and when the answer was in
	Outcome    Outcome
	Status     int
	Fields     []hit.Field // those that are about limits, and Date; others may be left out
	Err        string      // why there is no answer; never a secret
}

// Settings say how answers are to be judged.
type Settings struct {
	// Skew is how far the service's clock may be from ours. Below zero: unknown,
	// unless Date fields of the answers bound it.
	Skew time.Duration

	// Grain is how coarse the clock of the service is.
	Grain time.Duration

	// Within is how soon after it was sent a request has been decided, at the
	// latest. Zero is safe: at any time until the answer, as late as that comes.
	Within time.Duration

	// Hold is how long the service works on an admitted request at least. Only
	// concurrency limits need it; zero is safe.
	Hold time.Duration

	// Ignore are codes of findings that are not wanted.
	Ignore []string
}
