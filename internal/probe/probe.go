// Package probe names the limit of a black box: a Probe sends waves of requests,
// and finds the rate limit that explains the answers, by family and by figures.
//
// It holds some hundreds of hypotheses at a time. Of each it carries every state of
// the limiter that the answers allow, with the server's instant anywhere between
// the first byte sent and the answer in, so that network delay never speaks
// against the truth. It begins the same way each time (ramp, reopen, respend: what
// goes through from rest, when it opens, how much came back); then the next
// experiment is the one that tells most hypotheses apart for its price in requests,
// refusals and time. Before it is sure it looks on purpose for other figures that
// explain the answers (challenge, bracket), for more than it was given at first
// (rested), for several replicas (inTurn, filled, replicated), and for a second limit
// (sustain). It ends when one explanation is left,
// when no experiment would help, or when a bound is reached; then it says what remains.
//
// The package opens no connection and reads no clock: Sender and Clock are given.
//
// Where to read what:
//
//   - the order of things: run.go, and ask.go, which lists the questions;
//   - what is sent: wave.go sends; ramp.go begins, endless.go ends it at a queue that never refuses,
//     shut.go says what is known of what does not open again; rounds.go measures one limit and looks for
//     a second, stackturn.go measures two, banned.go a ban; candidates.go draws other
//     experiments and plan.go chooses; confirm.go and challenge.go doubt what is settled;
//   - what is held possible: hypothesis.go names the kinds; sight.go has what a wave tells
//     and the interface of a model; the models are buckets (sight.go), grid.go, floating.go,
//     rolling.go, renewed.go, lossy.go, portions.go, lockout.go and stack.go; particle.go takes one hypothesis through all waves;
//   - how hypotheses are found: search.go keeps herds of them, guess.go and scan.go draw,
//     bracket.go says how far figures may be off, neat.go and neatpair.go prefer round ones,
//     second.go and restack.go find a second limit;
//   - what is believed: belief.go, occam.go; verdict.go and separate.go say it, and quiet.go doubts it;
//   - others who use the limit: others.go, crowds.go, births.go, chance.go, doubt.go; stackamong.go
//     and forks.go where there are two; working.go tells what they do from what is under way;
//   - replicas: replicas.go, crowd.go, crew.go and draws.go (at random), turns.go, inorder.go, steps.go (in turn), connections.go, leaks.go;
//     fleet.go replays what was seen to replicas, fleet_fit.go finds which, manned.go asks;
//   - headers and journals: hints.go, hintscheck.go, journal.go.
package probe

import (
	"context"
	"slices"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Outcome is what became of a request.
type Outcome uint8

const (
	Admitted Outcome = iota
	Refused          // by the limit: status 429 and the like
	Lost             // no answer; it may have been counted
	Failed           // an answer that says nothing about a limit, such as a 5xx
)

// Answer is one request and what came back.
type Answer struct {
	Sent, Done time.Time // just before the first byte went, and when the answer was in
	Outcome    Outcome
	Conn       int   // which connection it went over, from 1; 0: unknown
	Told       *Told // what its headers say of limits; nil: nothing
}

// Sender sends a request at each of the times after now, which do not decrease,
// without waiting for the answers of those before, and returns the answers in the
// same order when all are in. The error ends the probe; what a server does is no error.
type Sender interface {
	Send(ctx context.Context, at []time.Duration) ([]Answer, error)
}

// ConnSender is a Sender that can choose connections.
type ConnSender interface {
	Sender

	// SendOver sends a request over each of the connections, whose numbers are those of
	// Answer.Conn and differ from each other, all at once.
	SendOver(ctx context.Context, conns []int) ([]Answer, error)
}

// Clock is the time of the client.
type Clock interface {
	Now() time.Time
	// Sleep returns at the instant, or with an error when ctx ends.
	Sleep(ctx context.Context, until time.Time) error
}

// Options bound a probe. The zero value has the bounds that the fields name.
type Options struct {
	MaxRequests int           // in all; zero: 5000
	MaxRefused  int           // refused requests; zero: 300
	MaxTime     time.Duration // zero: 30 minutes
	Seed        uint64        // of the search; the same answers and seed give the same verdict

	// Second is up to how many times the limit a second, slower one is looked for. Each
	// time costs the limit once more. Zero: 6, 8 for windows of the clock, and up to 12 for small limits; 1: it is not.
	Second int

	// Quick is to end as soon as nothing that is cheap tells what explains the answers apart any more:
	// nothing is put to the proof then, and nothing is certain. See Verdict.Quick.
	Quick bool

	// Patience is how long the Sender waits for an answer before it gives it up as lost.
	// Queues are made no longer than about half of it. Zero: 150 s.
	Patience time.Duration

	// IgnoreHints is to leave out of account what headers say. They are only ever
	// used to choose where to look first.
	IgnoreHints bool

	// Past is waves of an earlier session with the same service, oldest first. The
	// probe goes on from there. MaxRequests and MaxRefused count them, MaxTime does not.
	Past []Record

	// Record, when not nil, is called with each wave as it was answered.
	Record func(Record)

	// Progress, when not nil, is called before each experiment, and before each wave
	// while nothing is believed yet.
	Progress func(Belief)
}

// Belief is how things stand during a probe.
type Belief struct {
	Doing             string        // what is tried next
	Takes             time.Duration // how long that waits at most before it sends; what the answers take comes on top
	Requests, Refused int
	Elapsed           time.Duration
	Shares            []Share // the likeliest first, those above 1 %; none while it is too early
}

// Share is how much of the belief one family has, from 0 to 1.
type Share struct {
	Family Family
	Found  Found
	Share  float64

	// Separate says, of an alternative in a verdict, what would tell it from the
	// likeliest: what to send, and how many each admits. "" when nothing that was
	// thought of would.
	Separate string
}

// Found is a limit with its figures.
type Found struct {
	Family   Family
	Policies []limit.Policy // two when stacked; none when there is no limit
	Ban      time.Duration  // of a Ban: how long all is refused
	Replicas int            // of Replicas: how many, at least
	Early    bool           // of a bucket: who comes up to half a unit early waits, and is not refused
	Also     Counting       // of two limits: where what one refuses counts in the other
	Anew     bool           // of a sliding window: its windows begin with a request, after each rest anew; of a refill bucket: a request begins the time to the next portion, see Since; of a window from the first request: each request let through begins it, and each that is refused where the policy has CountDenied; of a ban: each refused request begins it

	Since Since // of a refill bucket whose time begins anew: what it counts from

	Tick time.Duration // its clock shows whole ticks only; 0: it runs on

	// TickPhase is how long after the whole ticks of this machine's clock those of Tick begin.
	TickPhase time.Duration

	// PhaseOff is how far the phase of the first policy may be off; 0 where that is a round one.
	PhaseOff time.Duration

	// WindowOff is how far the window (or the time per unit) may be off, as a share of it.
	WindowOff float64
	// Shut is not nil where it did not open again while it was probed: then the times
	// in Policies, and Ban, are only some that nothing speaks against.
	Shut *Shut

	// LimitLow and LimitHigh bound the limit (the burst of a bucket).
	LimitLow, LimitHigh int64
}

// Declared returns the policies as a policy file says them: with the ban, and with
// windows that each request begins anew. A ban that is shorter than the window is
// left out, because no policy says that.
func (f *Found) Declared() []limit.Policy {
	out := slices.Clone(f.Policies)
	if len(out) == 0 {
		return out
	}
	p := out[0]
	switch {
	case f.Family == Ban:
		p.Ban, p.CountDenied = f.Ban, f.Anew
	case f.Family == FixedFirst && f.Anew:
		p.Align = limit.AlignLast
	}
	if p.Validate() == nil {
		out[0] = p
	}
	return out
}

// Counting is where, of two limits, what one refuses counts in the other.
type Counting uint8

const (
	Apart    Counting = iota // nowhere: both are asked before either counts
	InLonger                 // what the shorter refuses, in the longer; what that refuses may count in the shorter
	InFirst                  // what the longer refuses, in the shorter, which is asked first; what that refuses the longer never sees
)

// Kind is the family in words; of a ban, with what must not be exceeded; of a window from the
// first request, whether later ones begin it anew.
func (f *Found) Kind() string {
	if f.Family == Ban && len(f.Policies) > 0 {
		switch p := f.Policies[0]; {
		case p.Algorithm == limit.SlidingLog:
			return "sliding log with a ban"
		case p.Align == limit.AlignClock:
			return "fixed window by the clock with a ban"
		case p.Align == limit.AlignLast:
			return "fixed window that each request begins anew, with a ban"
		}
	}
	if f.Family == FixedFirst && f.Anew {
		return "fixed window that each request begins anew"
	}
	return f.Family.String()
}

// Verdict is what a probe found out.
type Verdict struct {
	Found
	Confidence   float64 // that the family is right, from 0 to 1
	Sure         bool    // one explanation is left, and its figures are settled
	Alternatives []Share // other explanations that remain
	Used         bool    // somebody had used some of it just before the first request
	Paced        float64 // answers a second, where nothing was refused but everybody waits for as many; else 0

	// Slowest is how long an answer took at most, where nothing was refused and many were made to wait; else 0.
	Slowest time.Duration
	Endless bool    // no more was sent, because everybody waits as long as there are others before, and nobody is refused
	Alike   int     // so many replicas that are reached strictly in turn, with a part of the limit each, it could not be told from; 0: it could
	Spent   float64 // how many times the limit was spent at full speed: a slower second one of less would have shown; 0: that is no question of this kind
	Wanted  int     // how many times was asked for (Options.Second), where Spent is less; else 0
	Settle  string  // what would settle the figures of Found, where these are open; "" otherwise
	Open    string  // what keeps Found from being certain, where no alternative and no open figure does; "" otherwise
	Foreign float64 // what Found leaves unexplained, as Probe.Explain counts it; above 2 others may use the limit too
	Others  Others  // who else used it meanwhile; zero where nothing shows that anybody did
	Stopped string  // why it ended before it was sure; "" when it was not cut short
	Quick   bool    // it ended because of Options.Quick: a second, slower limit, replicas in turn and other figures were not looked for

	Under int // how many requests were under way at once at most

	Requests, Refused, Lost int
	Elapsed                 time.Duration
	Waves                   []Wave
}

// Others is how much of a limit others used while it was probed, as a share of what it
// lets through in the long run, and what that may be at least and at most.
type Others struct{ Share, Low, High float64 }

// Wave is one wave of requests as it went.
type Wave struct {
	Sent, Done              time.Time
	Admitted, Refused, Lost int
	Why                     string
}
