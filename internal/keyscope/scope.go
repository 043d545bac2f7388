// Package keyscope finds out what a limit is counted by: the Scope is which of the things
// that a request carries (a header, a part of the path, an address) have a count of
// their own for each value. The limit itself has been found before, by package probe.
//
// It opens no connection and reads no clock: Sender and the clock are given.
package keyscope

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/weir-dev/weir/internal/probe"
)

// Who is a client that Find asks as: of each thing that is varied, the number of
// its value. All zero is the request itself.
type Who []int

// Call is a request to be sent: when, counted from now, and as whom.
type Call struct {
	At  time.Duration
	Who Who
}

// Sender sends as different clients, in the manner of Sender.
type Sender interface {
	SendAs(ctx context.Context, calls []Call) ([]probe.Answer, error)
}

// Options say what is known before. Found is the limit, of which the size and the
// time to recover are used; Values is how many values each thing has, two at least.
type Options struct {
	Found  probe.Found
	Values []int
	Seen   []probe.Record // what was seen before: how far the network may reorder
	Gap    time.Duration  // between two requests at least, as the sender keeps it
	Seed   uint64

	// Spend is how a limit behind a tighter one is exhausted: bursts with pauses, before
	// each round. Empty: one burst of all that it allows.
	Spend []Burst

	MaxRequests int           // zero: 5000
	MaxRefused  int           // zero: 300
	MaxTime     time.Duration // zero: 30 minutes

	Tell   func(doing string, s *Scope) // before each round; nil: nobody
	Record func(probe.Record)           // after each round; nil: nobody
}

// Burst is requests that go at once, and a pause after them.
type Burst struct {
	N    int
	Idle time.Duration
}

// Behind says how the second of two stacked limits is exhausted, and that limit alone;
// ok is false where f is not stacked, or the first does not let enough through.
func Behind(f *probe.Found) (long probe.Found, spend []Burst, ok bool) {
	if f.Family != probe.Stacked || len(f.Policies) != 2 {
		return long, nil, false
	}
	one, two := probe.Found{Policies: f.Policies[:1], WindowOff: f.WindowOff}, probe.Found{Policies: f.Policies[1:], WindowOff: f.WindowOff}
	n, idle := one.Size(), time.Duration(float64(one.Rest())*1.05)+50*time.Millisecond
	if n == 0 {
		return long, nil, false
	}
	for left := two.Size(); left > 0; left -= n {
		spend = append(spend, Burst{min(n, left), idle})
	}
	if len(spend) > 200 || time.Duration(len(spend))*idle > two.Policies[0].Window*4/5 {
		return long, nil, false
	}
	return two, spend, true
}

// Scope is what a limit is counted by.
type Scope struct {
	Counted    []bool    // of each thing: it has a count for each value
	Belief     []float64 // of each thing: how sure that is, 0.5 to 1
	Apart      [][]bool  // of each thing and value: it is not counted with the first value
	Confidence float64   // that all of Counted is right
	Sure       bool      // every part is settled, both ways where the budget allowed it
	BothWays   bool      // the other values were exhausted, too

	// Above is a second limit over several of these counts; nil: none was met.
	Above *Above

	// Free says that the other client was never refused, by this many requests: it has
	// a larger limit or none. Zero: it is limited like the first.
	Free int

	// Several says that there are limits of the same size with different keys: one
	// counted by the first of these things, another by the second.
	Several [2]int
	Many    bool // Several is set

	Notes                   []string
	Stopped                 string
	Requests, Refused, Lost int
	Elapsed                 time.Duration
	Rounds                  []Round
}

// Above is a limit over several counts.
type Above struct {
	Limit   int64  // about: what all of them got together
	Counted []bool // by what it is counted itself
}

// Round is one experiment of Find.
type Round struct {
	Sent, Done        time.Time
	Exhausted         Who
	Admitted, Refused int // of the exhausted client
	Asked             []Asked
	Why               string
}

// Asked is what another client got while the first was refused.
type Asked struct {
	Who               Who
	Admitted, Refused int
}

// Find finds out by which of the varied things a limit is counted: it spends
// all of one client's limit, asks as clients that differ in one thing while that one
// is refused, and then the other way round. The limit has to be known already. The
// error is the sender's or the context's; the scope says what was known by then.
func Find(ctx context.Context, o Options, s Sender, c probe.Clock) (*Scope, error) {
	if o.MaxRequests == 0 {
		o.MaxRequests = 5000
	}
	if o.MaxRefused == 0 {
		o.MaxRefused = 300
	}
	if o.MaxTime == 0 {
		o.MaxTime = 30 * time.Minute
	}
	k := len(o.Values)
	f := &scoper{opt: o, sender: s, clock: c, s: &Scope{Counted: make([]bool, k)}, size: o.Found.Size(), margin: math.MaxInt}
	f.rng = rand.New(rand.NewPCG(o.Seed, 0x73636f70))
	f.apart = make([][]float64, k)
	for i, n := range o.Values {
		f.apart[i] = make([]float64, max(n, 1))
	}
	f.trips(o.Seen)
	f.began = c.Now()
	err := f.find(ctx)
	f.conclude()
	if stop, ok := err.(errStop); ok {
		f.s.Stopped = string(stop)
		err = nil
	}
	return f.s, err
}

// certain is how large a log ratio settles a question: 199 to 1.
const certain = 5.3

// belief is how sure a log ratio makes.
func belief(llr float64) float64 { return 1 / (1 + math.Exp(-math.Abs(llr))) }

// conclude turns the ratios into the scope.
func (f *scoper) conclude() {
	s := f.s
	s.Elapsed = f.clock.Now().Sub(f.began)
	s.Confidence = 1
	s.Belief = make([]float64, len(f.apart))
	s.Apart = make([][]bool, len(f.apart))
	for i, values := range f.apart {
		s.Apart[i] = make([]bool, len(values))
		worst := math.Inf(1)
		for v, llr := range values {
			if v == 0 {
				continue
			}
			worst = min(worst, math.Abs(llr))
			if s.Apart[i][v] = llr > 0; llr > 0 {
				s.Counted[i] = true
			}
		}
		if s.Belief[i] = belief(worst); math.IsInf(worst, 1) {
			s.Belief[i] = 0.5
		}
		s.Confidence *= s.Belief[i]
	}
	if len(f.apart) == 0 {
		s.Confidence = 0
	}
	if f.counted() == 0 {
		s.Above = nil // it is the limit itself, which all of them share
	}
	s.Sure = s.Confidence >= 0.98 && s.Free == 0 && len(f.open(math.MaxInt)) == 0
}

// errStop is why a search ends early, when it is no error.
type errStop string

func (e errStop) Error() string { return string(e) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
