package report

import (
	"io"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/junit"
)

// WriteJUnit writes one test case for each check, and two that every run has:
// that it is valid, and that it sent something. Any failing case means that the
// run did not pass, and the other way round.
func (s *Summary) WriteJUnit(w io.Writer) error {
	name := "weir"
	if s.Run.Target != "" {
		name += " " + s.Run.Target
	}
	suite := junit.New(name, time.Time{}, s.Run.Seconds)
	suite.Hostname, suite.Out = s.Run.Host, strings.Join(s.spoken(), "\n")
	if len(s.Run.Started) >= len("2006-01-02T15:04:05") {
		suite.Timestamp = s.Run.Started[:len("2006-01-02T15:04:05")]
	}
	add := func(name, kind, failure string) *junit.Case {
		result := junit.Passed
		if failure != "" {
			result = junit.Failed
		}
		suite.Add("weir", name, result, s.Run.Seconds, failure, failure)
		c := &suite.Cases[len(suite.Cases)-1]
		if c.Failure != nil {
			c.Failure.Type = kind
		}
		return c
	}
	for _, c := range s.Verdict.Checks {
		failure := ""
		if c.Result != "pass" {
			failure = c.Result
			if c.Observed != "" {
				failure += ": " + c.Observed
			}
		}
		one := add(c.Expression, "check", failure)
		if c.Estimate != nil {
			one.Out = c.Observed
		}
	}
	invalid := ""
	if s.State != Complete {
		invalid = s.StateReason
	}
	add("run is valid", s.State, invalid)
	empty := ""
	if s.Offered.Sent == 0 && s.answered() == 0 {
		empty = nothing(s)
	}
	add("sent something", "empty", empty)
	if !s.Verdict.Passed && suite.Failures == 0 {
		add("run passed", s.Verdict.Result, s.Verdict.Reason)
	}
	return suite.Write(w)
}
