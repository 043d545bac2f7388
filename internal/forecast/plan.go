package forecast

import (
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/retry"
)

// Plan is the contents of a forecast file: names and figures, before what it names
// is looked up. Study.Bind does that. It is a plain value.
type Plan struct {
	Name      string        // of the file, for people
	Start     time.Time     // zero: 2026-01-05 00:00 UTC, a Monday
	For       time.Duration // 0: as long as the arrivals say, else an hour
	Retry     retry.Rule
	Seed      uint64
	Lasts     time.Duration // of calls that do not say how long they take
	Limits    []string      // policy files
	Tier      string        // a ready set of limits, such as auth0/enterprise
	Arrivals  Arrivals      // of all flows that have none of their own
	Tenants   []Share
	Allotment *AllotmentPlan
	Flows     []FlowPlan
}

// Arrivals say when flows arrive: one of Rate, Stages, Curve and Run, or none.
type Arrivals struct {
	Rate    pace.Rate
	Stages  pace.Stages
	Curve   string // CSV file of time and rate
	Run     string // run file: as its requests were sent
	Poisson bool   // at random, around what is planned
}

// IsZero reports whether nothing arrives.
func (a Arrivals) IsZero() bool {
	return a.Rate.IsZero() && len(a.Stages) == 0 && a.Curve == "" && a.Run == ""
}

// Share is a part of the arrivals with a name. Parts are relative to their sum.
type Share struct {
	Name string
	Part int64
}

// AllotmentPlan is the Allotment of one limit, the first when Limit is "".
type AllotmentPlan struct {
	Limit string
	Allotment
}

// FlowPlan is one kind of work.
type FlowPlan struct {
	Name     string
	Ready    string   // a flow of ReadyFlows, as auth0-universal/password
	With     []string // modifiers of it; one may stand several times
	Part     int64    // of the arrivals; 0 with arrivals of its own
	Arrivals Arrivals // its own; zero when it takes a share
	Clients  int      // who have counts of their own, taking turns; 0: one
	Each     bool     // every arrival is somebody else
	Cache    Cache    // for the calls of Ready that can be cached
	Calls    []Step
}

// Step is a call as it is written.
type Step struct {
	Request string // "POST /oauth/token"; what limits match
	Times   int    // one after the other; 0 means 1
	After   time.Duration
	Lasts   time.Duration
	Headers map[string]string // which limits may count by; {client} becomes the client's name
	Cache   Cache

	Cacheable bool // what it fetches serves others for a while: a token of a machine
}
