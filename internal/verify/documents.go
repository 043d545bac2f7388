package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/weir-dev/weir/internal/junit"
)

// WriteJSON writes the report as JSON with stable names.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// WriteJUnit writes one test case for each policy and experiment. What is
// undecided is skipped, or with strict a failure.
func (r *Report) WriteJUnit(w io.Writer, strict bool) error {
	suite := junit.New("weir verify "+r.Target, r.Started, r.Seconds)
	add := func(class, name string, v Verdict, why string, seconds float64, text string) {
		result := junit.Passed
		switch {
		case v == Violated || v == Undecided && strict:
			result = junit.Failed
		case v != Passed:
			result = junit.Skipped
		}
		suite.Add(class, name, result, seconds, why, text)
	}
	for _, p := range r.Policies {
		for _, t := range p.Tests {
			text := ""
			for i := range r.Findings {
				if f := &r.Findings[i]; f.Experiment == t.Number && t.Number > 0 {
					text += fmt.Sprintf("%s %s: %s\nrequest %d, %s: expected %s, seen %s\n", f.Code, f.Name, f.Text, f.Request, f.Call, f.Expected, f.Seen)
				}
			}
			add(p.Name, t.Experiment, t.Verdict, t.Why, t.Seconds, text)
		}
		if len(p.Tests) == 0 {
			add(p.Name, "all", p.Verdict, p.Why, 0, "")
		}
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; len(f.Policies) == 0 {
			add("no policy", f.Call, f.Verdict, f.Text, 0, "")
		}
	}
	return suite.Write(w)
}

// Took is how long the experiments lasted.
func (r *Report) Took() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }
