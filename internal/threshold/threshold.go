// Package threshold decides whether a run was good enough: an Expr is one
// condition such as "admitted.p95 > 500ms", and a Watch follows it over a run.
//
// # The language
//
//	condition = [ "expect" ] metric operator value [ "for" duration ]
//	metric    = subject [ "{" name "}" ] { "." word }
//	operator  = ">" | ">=" | "<" | "<=" | "==" | "!="
//
// A condition describes what is NOT wanted: --fail-if fails the run when it is
// true, --stop-if stops the run when it becomes true. One that begins with
// "expect" describes what is wanted, of the whole run: --expect writes the word
// by itself.
//
// # Subjects
//
//	admitted throttled failed   the hits that ended so
//	missed                      hits that were due and could not be sent
//	total                       admitted, throttled and failed together: counts and rates only, never times
//	status(503) status(5xx)     answers with that status, or of that class; status(0) is "no answer"
//	goodput                     the same as admitted.rate
//	offered                     requests that reached the wire
//	limit                       the limit as seen from outside: what was admitted while throttling lasted
//	send_lag                    sent minus intended
//	wake_lag                    how late the generator's own clock woke it
//	connect                     time to open a connection
//	watch{connections}          a figure of the system under test, read by --watch
//
// # Words after a subject
//
//	count                 hits                       admitted throttled failed missed total status offered, send_lag wake_lag connect
//	rate                  per second                 admitted throttled failed missed total status offered limit
//	per_minute per_hour   per minute, per hour       admitted throttled failed missed total status
//	….low ….high          ends of its interval       of rate, per_minute and per_hour
//	ratio                 share of total             admitted throttled failed status; missed: share of all that was due (total and missed)
//	min mean max pNN      times                      admitted throttled failed, send_lag wake_lag connect
//	onset                 when the first was sent    admitted throttled failed missed
//	peak_1s _10s _60s     most sends in any window   offered
//	used                  largest part of its limit  watch
//	max min mean last     of the readings            watch
//
// pNN is a percentile, nearest rank: p50, p99.9, p99.99; more than 0, at most 100.
// Times are response times (done minus intended). Write admitted.service.p95
// for service times (done minus sent), admitted.response.p95 to be explicit.
// They are exact to the histogram's bucket, 0.4 %.
//
// A request in braces restricts admitted, throttled, failed, missed, total,
// goodput and status to the requests of that name, or of that method and name:
// admitted{POST /oauth2/token}.p95 or status(503){checkout}.count. A name with
// a brace or a quote in it is written as a Go string: failed{"a } b"}.count.
// Rates and counts are then of these requests alone, and so is the ratio.
//
// A watched figure is named as the reports do, with or without its group and its
// source: watch{connections}, watch{longest time: transaction}, watch{CPU}. A
// name that fits several figures of one unit means any of them: the condition is
// true when it is true of one. used is 100 % while the source is too full to be asked.
//
// # Values
//
//	count and peak   a whole number: 0, 120
//	rate             20/s 600/min 1000/h
//	per_hour         1000 or 1000/h; per_minute likewise
//	ratio            1% 0.5% or a fraction below one: 0.01
//	times and onset  500ms 1.5s 2m 1m30s 250us
//	watch            a number, or one with the figure's unit: 90 90% 5s 100/s; used is a ratio
//
// A bare 0 fits everything. Values that do not fit the metric are an error.
//
// # When
//
// Without "for" a condition is about the whole run so far: the last word is
// spoken at the end, and a stop rule is looked at after each tick. So a stop
// rule on a ratio may fire on the very first answers; "for" prevents that.
//
// With "for 10s" it is about single ticks (a tick is a second, the last may be
// shorter), and true once every tick over a stretch of at least that length has
// fulfilled it. A tick in which a time or a ratio has no data neither counts nor
// interrupts. onset, peak and limit have no meaning for one tick and take no "for".
//
// # Promises
//
// A rate that is counted over more time than the run took, such as
// admitted.per_hour of ten minutes, is extrapolated, and Check.Estimate says how
// sure it is: a 95 % interval of what the hour would have given had it gone on
// like this. The verdict rests on the rate itself; when the bound lies in the
// interval the estimate says that nothing is proved. Who wants proof compares an
// end of the interval: admitted.per_hour.low >= 1000.
//
// Where a run begins and ends in a schedule costs or wins it a hit: 1000 per hour
// are 166 or 167 in ten minutes, 996 or 1002 an hour. A rate as near as that to
// the bound keeps its promise.
//
// # No data
//
// A verdict is pass, fail or no-data, and no-data counts as failed:
//
//   - nothing was sent at all: every condition (missed: and nothing was missed);
//   - a time, when there was no such hit;
//   - a ratio, when there was no hit to be a share of;
//   - a request in braces that never occurred;
//   - a watched figure of which there was no reading, or with another unit than the value;
//   - limit, when too little was throttled to tell;
//   - "for 10s", when the run was shorter than that, or no tick had data.
//
// Otherwise a count or a rate of 0 is data. An onset that never came counts as
// later than any time: throttled.onset < 10s is then false, throttled.onset > 10s true.
package threshold

import (
	"fmt"
	"strings"
	"time"
)

// Expr is one parsed condition. It is immutable and safe for concurrent use.
type Expr struct {
	metric metric
	op     operator
	limit  value
	hold   time.Duration // 0: the whole run
	wanted bool          // it must hold, instead of must not
}

// Expected says whether the condition must hold (--expect) instead of must not.
func (e *Expr) Expected() bool { return e.wanted }

// String returns the condition in its canonical form, which Parse reads again.
func (e *Expr) String() string {
	var b strings.Builder
	if e.wanted {
		b.WriteString(expect + " ")
	}
	b.WriteString(e.metric.String())
	fmt.Fprintf(&b, " %s %s", e.op, e.limit)
	if e.hold > 0 {
		b.WriteString(" for " + e.hold.String())
	}
	return b.String()
}

type operator string

func (o operator) holds(have, limit float64) bool {
	switch o {
	case ">":
		return have > limit
	case ">=":
		return have >= limit
	case "<":
		return have < limit
	case "<=":
		return have <= limit
	case "==":
		return have == limit
	}
	return have != limit
}

// Verdict is what became of a condition.
type Verdict uint8

const (
	// Pass: the condition did not come true.
	Pass Verdict = iota
	// Fail: it came true.
	Fail
	// NoData: there was nothing to judge, which counts as failed.
	NoData
)

var verdictWords = [...]string{Pass: "pass", Fail: "fail", NoData: "no-data"}

// String returns the word used in every output: pass, fail or no-data.
func (v Verdict) String() string {
	if int(v) >= len(verdictWords) {
		return "unknown"
	}
	return verdictWords[v]
}

// MarshalText returns the same word as String.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a word that MarshalText wrote.
func (v *Verdict) UnmarshalText(text []byte) error {
	for i, word := range verdictWords {
		if string(text) == word {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("threshold: unknown verdict %q: want pass, fail or no-data", text)
}

// Check is the verdict on one condition, as every output shows it.
type Check struct {
	Expr    string  `json:"expr"`
	Verdict Verdict `json:"verdict"`
	Value   string  `json:"value"` // what was measured, or why there is no data, in words
	// At is when the condition came true, as an offset from the start of the
	// run: the end of the tick since which it has held without a break or, with
	// "for", at which it had held that long for the first time. 0 unless Verdict is Fail.
	At time.Duration `json:"at_ns,omitempty"`
	// Estimate is set when Value was extrapolated from a shorter time.
	Estimate Estimate `json:"estimate,omitzero"`
}

// What every run is held to, whatever conditions it was given: the Expr of
// checks that nobody asked for. Their Value is a whole thought.
const (
	SomethingSent     = "something was sent"
	SomethingAnswered = "something was answered"
	SomethingAdmitted = "something was admitted"
	NoScenarioErrors  = "scenario without errors"
)

// Implied says whether nobody asked for the check.
func (c Check) Implied() bool {
	switch c.Expr {
	case SomethingSent, SomethingAnswered, SomethingAdmitted, NoScenarioErrors:
		return true
	}
	return false
}

// Failed says whether the check counts against the run: Fail and NoData do.
func (c Check) Failed() bool { return c.Verdict != Pass }
