// Package tally counts a run: a Tick is what happened in one second of it, and
// Totals is the exact sum of ticks.
//
// Ticks are what a generator produces, what a run file stores, what agents send
// and what every report, threshold and live view is computed from, so all of
// them agree. Everything in a tick adds up exactly, across seconds and machines.
package tally

import (
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
)

// BinWidth is the resolution at which sends are counted, to prove the offered
// load in any window.
const BinWidth = 10 * time.Millisecond

// Tick is what happened in one interval of a run, normally one second.
// Answers belong to the tick in which they were done; sends to the one in
// which they were sent.
type Tick struct {
	Index    int           // from 0, without gaps
	Start    time.Duration // offset from the start of the run
	Length   time.Duration // one second, the last one may be shorter
	Warm     bool          // warm-up: load that is sent and not counted. Totals leaves it out. A run file has it as the warm-up of its plan
	Users    int           // users alive at the end of the tick
	InFlight int           // requests under way at the end of the tick
	Due      int64         // arrivals that the schedule placed in this tick; 0 in the closed model
	Sends    []uint32      // requests sent, by bin of BinWidth from Start; trailing zeroes may be cut
	Series   []Series      // sorted by Name, Method, Outcome; only those that are not empty
	Errors   []Error       // why hits failed, most frequent first
	SendLag  *hist.Hist    // sent minus intended, every request sent; nil when none
	WakeLag  *hist.Hist    // the generator's own lateness: how late its clock woke it, apart from waiting for a free user; nil when none
	Connect  *hist.Hist    // time to resolve, connect and shake hands, one per connection opened; nil when none
	Retried  int64         // reused connections found closed, request sent again
	Health   Health
	Watched  []Watched // what was read from the system under test, in the order of SortWatched
	Events   []Event
	Limits   *Limits // what was told of limits, retries, requests held back; nil when there is nothing
}

// Series is one row of a tick: the hits of one request name that ended alike.
type Series struct {
	Method, Name string
	Outcome      hit.Outcome
	Count        int64
	Codes        []Code     // by status, ascending; 0 is "no answer"
	Response     *hist.Hist // done minus intended; nil for Missed
	Service      *hist.Hist // done minus sent; nil for Missed
	BytesIn      int64
	BytesOut     int64
	First, Last  time.Duration // sent instants of the earliest and latest, as offsets from the start of the run
}

// Code counts the answers with one status.
type Code struct {
	Status int
	Count  int64
}

// Error counts hits that failed for one reason.
type Error struct {
	Method, Name string
	Failure      hit.Failure // NoFailure when it was the status alone
	Status       int
	Text         string // one line, no secrets, addresses masked
	Count        int64
	First, Last  time.Duration
}

// Event is something worth telling that happened at an instant: the first
// throttled answer, a stage, a warning, the reason to stop.
type Event struct {
	At   time.Duration
	Kind string // a stable word: start stage change throttle-start throttle-end stop warning sample watch
	Text string // one sentence for people
	Data string // optional JSON for machines; "" when there is none
}

// Health is the generator's report on itself for one tick. Zero means unknown.
type Health struct {
	CPU        float64       // cores used by this process
	Cores      int           // cores it may use
	GCPause    time.Duration // total stop-the-world time in the tick
	Goroutines int
	Files      int // open file descriptors
	FileLimit  int // how many it may open
	HeapBytes  uint64
	Lost       int64 // records that could not be kept (names over the cap are not lost: they are counted as "(other)")
}
