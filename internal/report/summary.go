// Package report turns what a run recorded into what people and programs read:
// Summary holds every figure once, and each output renders that same Summary.
//
// Build makes a Summary from a Run. WriteText, WriteJSON, WriteJUnit,
// WriteMarkdown and WriteHTML render it; the CSV writers read the Run again,
// second by second. Live shows a run while it goes on.
package report

import (
	"iter"
	"time"

	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/threshold"
)

// Run is a recorded run, from which everything is rendered.
type Run struct {
	Meta Meta
	End  *End // nil: the run has no end on record, so it is shown as partial
	// Ticks are the seconds of the run in order. It may be ranged over several times.
	Ticks iter.Seq2[*tally.Tick, error]
}

// Meta is what was known when the run started. Secrets are masked by the caller.
type Meta struct {
	ID      string
	Started time.Time
	Target  string        // "POST https://idp.example/oauth2/token"
	Model   string        // "closed" (users) or "open" (arrival rate)
	Plan    string        // the load in words: "300 users, 100 more each second"
	Length  time.Duration // as planned; 0 = until stopped
	Planned int64         // requests in the plan of the open model; 0 = not known or closed model
	Version string        // of weir
	Args    []string      // the command line
	Host    string
	OS      string // "linux/amd64, 8 CPUs"
	Details []Detail
}

// Detail is one more line of the run's description, such as the seed or the
// connection policy.
type Detail struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// End is what was known when the run ended. The judgement is made before a
// report: reports only show it, so it is the same in every output.
type End struct {
	Ended      time.Time
	Reason     string // why it ended, one sentence: "the planned time was over"
	Unfinished int64  // requests still under way when the run stopped hard
	Verdict    string // Passed, Failed, Invalid or Interrupted
	ExitCode   int
	Checks     []threshold.Check // --fail-if and --stop-if, in the order given
	Notes      []string          // warnings for people; for an invalid run why it is invalid
	Statements []tally.Statement // what watched databases were busy with, slowest first
}

// What a run can be: State and Verdict.Result of a Summary.
const (
	Complete    = "complete"    // state: it ended as planned
	Partial     = "partial"     // state: it has no end on record
	Interrupted = "interrupted" // state and result: it was stopped before its plan was done
	Invalid     = "invalid"     // state and result: the generator was the limit, so the figures do not describe the service
	Passed      = "passed"      // result
	Failed      = "failed"      // result
	Unjudged    = "none"        // result: a partial run is not judged
)

// Format is the name and version of the JSON form of a Summary. A change that
// could break a reader changes the number.
const Format = "weir-summary/1"

// Verdict is the judgement on a run.
type Verdict struct {
	Result   string  `json:"result"` // Passed, Failed, Invalid, Interrupted or Unjudged
	Passed   bool    `json:"passed"`
	ExitCode *int    `json:"exit_code"` // null for a run that was not judged
	Reason   string  `json:"reason"`    // plain sentences
	Checks   []Check `json:"checks"`
}

// Check is the result of one --fail-if or --stop-if expression.
type Check struct {
	Expression string   `json:"expression"`
	Result     string   `json:"result"`   // pass, fail or no-data; only pass counts for the run
	Observed   string   `json:"observed"` // what was seen, in words
	At         *float64 `json:"at_seconds,omitempty"`
	// Estimate is there when Observed was extrapolated from a shorter time.
	Estimate *Estimate `json:"estimate,omitempty"`
}

// Summary is everything the outputs show. Its JSON form is stable: names carry
// their unit (_seconds since the start of the run or as a length, _ms,
// _per_second, _bytes; a ratio is between 0 and 1), a list is never null, and
// times for which there was nothing to measure are absent, not zero.
type Summary struct {
	Format      string      `json:"format"`
	State       string      `json:"state"`
	StateReason string      `json:"state_reason"`
	Answer      []string    `json:"answer"` // the result in plain sentences
	Verdict     Verdict     `json:"verdict"`
	Run         RunInfo     `json:"run"`
	Outcomes    Outcomes    `json:"outcomes"`
	Offered     Offered     `json:"offered"`
	Onset       *Onset      `json:"onset,omitempty"`
	Throttling  []Episode   `json:"throttling"`
	Names       []Name      `json:"names"`
	StatusCodes []Status    `json:"status_codes"`
	Errors      []Failure   `json:"errors"`
	Connections Connected   `json:"connections"`
	Generator   Generator   `json:"generator"`
	Events      []Event     `json:"events"`
	MoreEvents  int64       `json:"events_not_listed"`
	Series      Series      `json:"series"`
	Spread      []Band      `json:"latency_distribution"`
	Watched     []Watched   `json:"watched"` // figures of the system under test
	MoreWatched int64       `json:"watched_readings_not_listed"`
	Statements  []Statement `json:"slowest_statements"` // of watched databases
	Limits      *LimitStory `json:"limits,omitempty"`   // absent when answers told nothing of limits

	length time.Duration
	rows   Series // Series again, in the few rows that a table for people has
}

// RunInfo describes the run itself.
type RunInfo struct {
	ID             string   `json:"id"`
	Started        string   `json:"started"` // RFC 3339, UTC
	Ended          string   `json:"ended,omitempty"`
	Seconds        float64  `json:"duration_seconds"`
	PlannedSeconds float64  `json:"planned_duration_seconds,omitempty"`
	WarmUp         float64  `json:"warm_up_seconds,omitempty"` // of the duration; no figure below counts it
	EndReason      string   `json:"end_reason,omitempty"`
	Unfinished     int64    `json:"unfinished"`
	Target         string   `json:"target"`
	Model          string   `json:"model"`
	Plan           string   `json:"plan"`
	Version        string   `json:"weir_version"`
	Args           []string `json:"args"`
	Host           string   `json:"host"`
	OS             string   `json:"os"`
	Details        []Detail `json:"details"`
}

// Outcomes has the figures of each of the four outcomes. There is no sum of
// them on purpose, apart from Offered.
type Outcomes struct {
	Admitted  Outcome `json:"admitted"`
	Throttled Outcome `json:"throttled"`
	Failed    Outcome `json:"failed"`
	Missed    Outcome `json:"missed"`
}

// Outcome is one of the four ways in which hits end.
type Outcome struct {
	Count int64   `json:"count"`
	Rate  float64 `json:"rate_per_second"` // over the whole run
	// Ratio is the part of the requests sent, 0 to 1. For missed requests it is
	// the part of those sent or missed.
	Ratio    float64  `json:"ratio"`
	Response *Latency `json:"response,omitempty"` // from the instant it was due
	Service  *Latency `json:"service,omitempty"`  // from the instant it was sent
	First    *float64 `json:"first_seconds,omitempty"`
	Last     *float64 `json:"last_seconds,omitempty"`
	BytesIn  int64    `json:"received_bytes"`
	BytesOut int64    `json:"sent_bytes"`
}

// Latency is a distribution of times. Percentiles are nearest-rank, exact to
// 0.5 %; min, mean and max are exact.
type Latency struct {
	Count int64   `json:"count"`
	Min   float64 `json:"min_ms"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P75   float64 `json:"p75_ms"`
	P90   float64 `json:"p90_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p99_9_ms"`
	Max   float64 `json:"max_ms"`
}

// Offered proves the load: what was planned, what was sent, how late, and how
// much of it fell into any window of a second, ten seconds and a minute.
type Offered struct {
	Planned  int64    `json:"planned"` // requests due so far in the open model; 0 in the closed model
	Sent     int64    `json:"sent"`
	Missed   int64    `json:"missed"`
	Unsent   int64    `json:"failed_before_sending"` // no connection, mostly
	Mean     float64  `json:"mean_per_second"`
	Peak1s   int64    `json:"peak_in_any_1_s"`
	Peak10s  int64    `json:"peak_in_any_10_s"`
	Peak60s  int64    `json:"peak_in_any_60_s"`
	Users    int      `json:"peak_users"`
	InFlight int      `json:"peak_in_flight"`
	SendLag  *Latency `json:"send_lag,omitempty"` // sent minus due
	WakeLag  *Latency `json:"wake_lag,omitempty"` // the generator's own lateness
}

// Onset is the moment at which a limit began to refuse.
type Onset struct {
	At       float64 `json:"at_seconds"` // sent instant of the first throttled request
	Method   string  `json:"method"`     // the request it was
	Name     string  `json:"name"`
	Status   int     `json:"status"`              // its status; 0 when not known
	Offered  float64 `json:"offered_per_second"`  // sent in the second that ended then; 0 when not known
	Admitted float64 `json:"admitted_per_second"` // in the second before; 0 when not known
	// Refused is the throttled part of what was answered from then on, 0 to 1.
	Refused float64  `json:"refused_ratio"`
	Plateau *Plateau `json:"plateau,omitempty"` // absent when too little was throttled to tell
}

// Plateau is how much was admitted while requests were being refused: the
// limit, as well as it can be seen from outside.
type Plateau struct {
	Rate   float64 `json:"admitted_per_second"`
	Min    float64 `json:"min_per_second"` // of single seconds
	Max    float64 `json:"max_per_second"`
	StdErr float64 `json:"standard_error_per_second"`
	From   float64 `json:"from_seconds"`
	To     float64 `json:"to_seconds"`
}

// Episode is a stretch of time in which requests were throttled.
type Episode struct {
	From      float64 `json:"from_seconds"`
	To        float64 `json:"to_seconds"`
	Throttled int64   `json:"throttled"`
}

// Name has the figures of one request name.
type Name struct {
	Method   string   `json:"method"`
	Name     string   `json:"name"`
	Outcomes Outcomes `json:"outcomes"`
}

// Status counts the answers with one status. Status 0 is "no answer".
type Status struct {
	Status int    `json:"status"`
	Text   string `json:"text"`
	Count  int64  `json:"count"`
}

// Failure counts failed requests with one reason.
type Failure struct {
	Method string  `json:"method"`
	Name   string  `json:"name"`
	Kind   string  `json:"kind"` // "connect-refused", "timeout", …; "status" for an answer with an error status
	Status int     `json:"status"`
	Text   string  `json:"text"`
	Count  int64   `json:"count"`
	First  float64 `json:"first_seconds"`
	Last   float64 `json:"last_seconds"`
}

// Connected counts connections.
type Connected struct {
	Opened  int64    `json:"opened"`
	Retried int64    `json:"retried"` // reused ones found closed; the request was sent again
	Time    *Latency `json:"connect_time,omitempty"`
}

// Generator is the load generator's report on itself.
type Generator struct {
	Valid      bool     `json:"valid"`
	Why        []string `json:"why"` // why not; empty when valid
	Cores      int      `json:"cores"`
	CPUMean    float64  `json:"cpu_mean_cores"`
	CPUPeak    float64  `json:"cpu_peak_cores"`
	GCPause    float64  `json:"gc_pause_ms"`
	GCPeak     float64  `json:"gc_pause_peak_ms_per_second"`
	Files      int      `json:"files_peak"`
	FileLimit  int      `json:"files_limit"`
	Goroutines int      `json:"goroutines_peak"`
	Heap       uint64   `json:"heap_peak_bytes"`
	Lost       int64    `json:"lost_records"`
}

// Event is something that happened at an instant of the run.
type Event struct {
	At   float64 `json:"at_seconds"`
	Kind string  `json:"kind"`
	Text string  `json:"text"`
}

// Series are the charts: columns of equal length, one entry per point. A point
// covers Step seconds (of the run's second-long intervals); long runs are
// thinned by joining neighbours, never by leaving any out. A null is a time in
// which there was nothing to measure.
type Series struct {
	Step          int             `json:"step_seconds"`
	At            []float64       `json:"at_seconds"` // start of the point
	Length        []float64       `json:"length_seconds"`
	Planned       []float64       `json:"planned_per_second"` // all zero in the closed model
	Sent          []float64       `json:"sent_per_second"`
	Admitted      []float64       `json:"admitted_per_second"`
	Throttled     []float64       `json:"throttled_per_second"`
	ThrottledPeak []float64       `json:"throttled_worst_per_second"` // worst second in the point
	Failed        []float64       `json:"failed_per_second"`
	FailedPeak    []float64       `json:"failed_worst_per_second"`
	Missed        []float64       `json:"missed_per_second"`
	MissedPeak    []float64       `json:"missed_worst_per_second"`
	Users         []int           `json:"users"`
	InFlight      []int           `json:"in_flight"`
	P50           []*float64      `json:"admitted_p50_ms"` // response time
	P95           []*float64      `json:"admitted_p95_ms"`
	P99           []*float64      `json:"admitted_p99_ms"`
	ServiceP95    []*float64      `json:"admitted_service_p95_ms"`
	ThrottledP50  []*float64      `json:"throttled_p50_ms"`
	Codes         []CodeSeries    `json:"status_codes"`
	Watched       []WatchedSeries `json:"watched"`
}

// CodeSeries is the rate of one status over time. Label is the status, "no
// answer", or "other" for all that are too rare for a line of their own.
type CodeSeries struct {
	Label     string    `json:"label"`
	PerSecond []float64 `json:"per_second"`
}

// Band is one step of the latency distribution: how many requests of each
// outcome took between From and To, by response time.
type Band struct {
	From      float64 `json:"from_ms"`
	To        float64 `json:"to_ms"`
	Admitted  int64   `json:"admitted"`
	Throttled int64   `json:"throttled"`
	Failed    int64   `json:"failed"`
}
