package verify

import (
	"time"
)

// Plan is what is to be sent. It is a plain value.
type Plan struct {
	Calls       []Call
	Experiments []Experiment
	LeftOut     []LeftOut // what the budget did not allow, or what cannot be tried
}

// LeftOut is an experiment that is not made.
type LeftOut struct {
	Name   string `json:"name"`
	Policy int    `json:"policy"` // -1: about none in particular
	Why    string `json:"why"`
}

// Experiment is steps that show one thing.
type Experiment struct {
	Name     string
	Policies []int // which it is about, by their places in the file
	Rest     time.Duration
	Steps    []Step

	// Unrested says that a count which the requests meet, and which it is not about,
	// may still be in use from before: it has room for them all.
	Unrested bool

	// Of its cost, from above as far as that can be known.
	Requests  int
	Throttled int
	Takes     time.Duration
}

// Step is requests in flight together, or none: then it only waits.
type Step struct {
	Call  int // of Plan.Calls
	Count int
	Wait  Wait
}

// Wait says when a step is due. What is due already is done at once.
type Wait struct {
	From  Anchor
	Step  int           // of the experiment, for StepSent and StepDone
	After time.Duration // from the anchor; may be negative

	// Early is how many round trips earlier than that the request is sent, so
	// that its answer is in before.
	Early float64

	Window, Phase time.Duration // of Head
}

// Anchor is an instant that a Wait counts from.
type Anchor uint8

// The anchors.
const (
	Previous Anchor = iota // the answers of the step before
	StepSent               // when the first request of another step was sent
	StepDone               // when the last answer of another step was in
	Head                   // the next head of a clock-aligned window for which the time is still to come
)

// Budget bounds what a plan spends. Zero is no bound.
type Budget struct {
	Requests  int
	Throttled int
	Time      time.Duration
}

// Cost sums what the experiments spend.
func (p *Plan) Cost() (b Budget) {
	for _, e := range p.Experiments {
		b.Requests += e.Requests
		b.Throttled += e.Throttled
		b.Time += e.Rest + e.Takes
	}
	return b
}

// call returns the index of a call, which it adds if it is new.
func (p *Plan) call(c Call) int {
	for i := range p.Calls {
		if same(&p.Calls[i], &c) {
			return i
		}
	}
	p.Calls = append(p.Calls, c)
	return len(p.Calls) - 1
}
