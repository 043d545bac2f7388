package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/threshold"
)

// Estimate says how sure a rate is that was extrapolated: one per hour, or per
// minute, of a run that was shorter.
type Estimate struct {
	Of         string  `json:"of"`               // admitted.per_hour
	Per        float64 `json:"per_seconds"`      // what the rate is counted over: 3600
	From       float64 `json:"from_seconds"`     // what it was extrapolated from
	Requests   int64   `json:"requests"`         // in that time
	Rate       float64 `json:"rate"`             // per Per
	Low        float64 `json:"low"`              // ends of the interval
	High       float64 `json:"high"`             //
	Confidence float64 `json:"confidence"`       // 0.95
	Method     string  `json:"method"`           // how the interval was made
	Within     bool    `json:"within_rounding"`  // the bound is less than a request of this run away
	Unproved   bool    `json:"bound_in_between"` // the bound lies in the interval, so the verdict is not proved
	Uneven     bool    `json:"uneven"`           // the rate changed more than chance would do it
}

func estimateOf(e threshold.Estimate) *Estimate {
	if !e.Known() {
		return nil
	}
	return &Estimate{
		Of: e.Of, Per: secs(e.Per), From: secs(e.From), Requests: e.Hits, Rate: round(e.Rate, 1e3), Low: round(e.Low, 1e3), High: round(e.High, 1e3),
		Confidence: e.Confidence, Method: e.Method, Within: e.Near, Unproved: e.Open, Uneven: e.Uneven,
	}
}

// promised adds to the reason of a verdict what was extrapolated, from how long
// and how sure that is, so that no output shows the verdict without it.
func promised(reason string, checks []threshold.Check) string {
	told := map[string]int{}
	var out []string
	blind := time.Duration(0)
	for _, c := range checks {
		e := c.Estimate
		if !e.Known() {
			continue
		}
		blind = max(blind, e.From)
		base := estimateWords(e)
		at, known := told[base]
		if !known {
			at = len(out)
			told[base] = at
			out = append(out, base)
		}
		out[at] += boundWords(e, c.Failed())
	}
	if len(out) == 0 {
		return reason
	}
	out = append(out, fmt.Sprintf("A limit over more than %s does not show in this run.", figSpan(blind)))
	if reason != "" {
		out = append([]string{reason}, out...)
	}
	return strings.Join(out, " ")
}

// spoken is what a log shows: the answer and, when something was extrapolated, the
// reason of the verdict, which says so.
func (s *Summary) spoken() []string {
	for _, c := range s.Verdict.Checks {
		if c.Estimate != nil {
			return append(slices.Clone(s.Answer), s.Verdict.Reason)
		}
	}
	return s.Answer
}

// perWords are the times that rates are counted over.
func perWords(per time.Duration) (word, unit string) {
	if per == time.Minute {
		return "a minute", "/min"
	}
	return "an hour", "/h"
}

// countedWhat is what an estimate is of: "admitted{POST /a}" of "admitted{POST /a}.per_hour".
func countedWhat(of string) string {
	if end := strings.LastIndexByte(of, '}'); end >= 0 {
		return of[:end+1]
	}
	what, _, _ := strings.Cut(of, ".")
	return what
}

func estimateWords(e threshold.Estimate) string {
	word, unit := perWords(e.Per)
	text := fmt.Sprintf("EXTRAPOLATED: the run counted %s %s in %s, not in %s. That is %s%s, with a %.0f %% interval from %s%s to %s%s",
		figCount(e.Hits), clean(countedWhat(e.Of)), figSpan(e.From), word, figPer(e.Rate), unit, 100*e.Confidence, figPer(e.Low), unit, figPer(e.High), unit)
	switch e.Method {
	case threshold.Poisson:
		text += " (Poisson: they are too few to see how they came)."
	default:
		text += " (from how far the running count strayed from an even rate)."
	}
	if e.Uneven {
		text += " The rate was far from even, so what it comes to in " + word + " is a guess."
	}
	return text
}

// boundWords says how a bound lies to the estimate, when that is not plain.
func boundWords(e threshold.Estimate, failed bool) string {
	_, unit := perWords(e.Per)
	bound := figPer(e.Bound) + unit
	switch {
	case e.Near:
		return fmt.Sprintf(" That is %s to within one request.", bound)
	case e.Open && failed:
		return fmt.Sprintf(" %s lies in it: the failure is likely, not proved. A longer run tells.", bound)
	case e.Open:
		return fmt.Sprintf(" %s lies in it: PASSED ON THE ESTIMATE, NOT PROVED. A longer run tells.", bound)
	}
	return ""
}

// figPer writes a rate per hour with the digits that it deserves.
func figPer(x float64) string {
	if x >= 100 {
		return figCount(int64(x + 0.5))
	}
	return figRateShort(x)
}
