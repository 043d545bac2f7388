// Package threshold decides whether a run was good enough: an Expr is one
// condition such as "admitted.p95 > 500ms", and a Watch follows it over a run.
//
// The language is described in doc.go.
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
