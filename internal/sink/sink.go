// Package sink brings what a run measured to the services that show it: a Set
// turns ticks into parcels, which the run file stores beside those ticks, and
// sends them from there.
//
// The load never waits for a service. Telemetry is lost only with the ticks it is
// made of: whatever happens to the network, the service or this process, a parcel
// stays in the outbox of the run file until the service has taken it or a person
// has thrown it away.
package sink

import (
	"context"
	"iter"
	"time"

	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/tally"
)

// Encoder makes parcels of ticks. It is called from one goroutine.
type Encoder interface {
	// Add takes the next tick, which it does not keep, and returns the parcels that
	// are ready. Either nothing is held back then, or no parcel is returned.
	Add(k *tally.Tick) []runfile.Parcel
	// Flush returns the rest. End is how the run ended, nil when it was cut off.
	Flush(end *runfile.End) []runfile.Parcel
}

// Skipper is an Encoder that adds up over the whole run: it wants to see the ticks
// too that are in parcels already.
type Skipper interface {
	Skip(k *tally.Tick)
}

// Deliverer makes one call with one parcel. It returns soon after ctx is done,
// and is called from one goroutine at a time.
type Deliverer interface {
	Deliver(ctx context.Context, p *runfile.Parcel) Reply
}

// Reply is what came of a call.
type Reply struct {
	runfile.Settlement
	After time.Duration // how long the service wants to be left alone; 0: it does not say
}

// Lane is one stream of parcels to one service.
type Lane struct {
	Name      string // as in the parcels
	Deliverer Deliverer
	// Resend says that a parcel which may have arrived is sent again: it may then
	// count twice. Without it such parcels are kept, and sent only when asked for.
	Resend bool
}

// Sink is one kind of telemetry.
type Sink struct {
	Name    string // without "/"
	Encoder Encoder
	Lanes   []Lane
	Live    bool // sent while the run goes on; else after it
}

// Set is the sinks of a run. The methods that take ticks are called from one goroutine.
type Set struct {
	sinks []Sink
	tell  func(string)

	live *live // nil: nothing is sent beside the run

	patience time.Duration // of Drain, without a delivery
}

// patience is how long Drain goes on without a delivery when it is given no bound. A
// service that is down for longer is not waited for by a script.
const patience = 10 * time.Minute

// NewSet makes a Set. Tell is given sentences about what goes wrong, once each;
// it may be called from several goroutines.
func NewSet(tell func(string), sinks ...Sink) *Set {
	return &Set{sinks: sinks, tell: tell, patience: patience}
}

// Add gives a tick to all sinks. It returns the parcels to store with it, and the
// sinks that hold nothing back now.
func (s *Set) Add(k *tally.Tick) (carried []string, parcels []runfile.Parcel) {
	if s == nil {
		return nil, nil
	}
	for i := range s.sinks {
		if list := s.sinks[i].Encoder.Add(k); len(list) > 0 {
			carried = append(carried, s.sinks[i].Name)
			parcels = append(parcels, list...)
		}
	}
	return carried, parcels
}

// Flush returns what is left at the end of the run.
func (s *Set) Flush(end *runfile.End) (carried []string, parcels []runfile.Parcel) {
	if s == nil {
		return nil, nil
	}
	for i := range s.sinks {
		carried = append(carried, s.sinks[i].Name)
		parcels = append(parcels, s.sinks[i].Encoder.Flush(end)...)
	}
	return carried, parcels
}

// lanes are those of all sinks, or of the live ones.
func (s *Set) lanes(onlyLive bool) []Lane {
	var out []Lane
	for i := range s.sinks {
		if s.sinks[i].Live || !onlyLive {
			out = append(out, s.sinks[i].Lanes...)
		}
	}
	return out
}

// CatchUp makes the parcels that a run which was cut off had not made yet: ticks
// that are stored and were not given to a sink.
func (s *Set) CatchUp(o *runfile.Outbox, ticks iter.Seq2[*tally.Tick, error]) error {
	for i := range s.sinks {
		k := &s.sinks[i]
		through, err := o.Carried(k.Name)
		if err != nil {
			return err
		}
		var parcels []runfile.Parcel
		last := through
		for tick, err := range ticks {
			if err != nil {
				return err
			}
			if tick.Index <= through {
				if e, ok := k.Encoder.(Skipper); ok {
					e.Skip(tick)
				}
				continue
			}
			last = tick.Index
			parcels = append(parcels, k.Encoder.Add(tick)...)
		}
		if last == through {
			continue
		}
		parcels = append(parcels, k.Encoder.Flush(nil)...)
		if err := o.Post(last, []string{k.Name}, parcels); err != nil {
			return err
		}
	}
	return nil
}
