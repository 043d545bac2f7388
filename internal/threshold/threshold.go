// Package threshold decides whether a run was good enough: an Expr is one
// condition such as "admitted.p95 > 500ms", and a Watch follows it over a run.
//
// # The language
//
//	condition = metric operator value [ "for" duration ]
//	metric    = subject [ "{" request "}" ] { "." word }
//	operator  = ">" | ">=" | "<" | "<=" | "==" | "!="
//
// A condition describes what is NOT wanted: --fail-if fails the run when it is
// true, --stop-if stops the run when it becomes true.
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
//
// # Words after a subject
//
//	count                 hits                       admitted throttled failed missed total status offered, send_lag wake_lag connect
//	rate                  per second                 admitted throttled failed missed total status offered limit
//	per_hour              per hour                   admitted throttled failed missed total status
//	ratio                 share of total             admitted throttled failed status; missed: share of all that was due (total and missed)
//	min mean max pNN      times                      admitted throttled failed, send_lag wake_lag connect
//	onset                 when the first was sent    admitted throttled failed missed
//	peak_1s _10s _60s     most sends in any window   offered
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
// # Values
//
//	count and peak   a whole number: 0, 120
//	rate             20/s 600/min 1000/h
//	per_hour         1000 or 1000/h
//	ratio            1% 0.5% or a fraction below one: 0.01
//	times and onset  500ms 1.5s 2m 1m30s 250us
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
// # No data
//
// A verdict is pass, fail or no-data, and no-data counts as failed:
//
//   - nothing was sent at all: every condition (missed: and nothing was missed);
//   - a time, when there was no such hit;
//   - a ratio, when there was no hit to be a share of;
//   - a request in braces that never occurred;
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
}

// String returns the condition in its canonical form, which Parse reads again.
func (e *Expr) String() string {
	var b strings.Builder
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
}

// Failed says whether the check counts against the run: Fail and NoData do.
func (c Check) Failed() bool { return c.Verdict != Pass }
