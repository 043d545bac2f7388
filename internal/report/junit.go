package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

type junitSuite struct {
	XMLName   xml.Name    `xml:"testsuite"`
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr,omitempty"`
	Hostname  string      `xml:"hostname,attr,omitempty"`
	Cases     []junitCase `xml:"testcase"`
	Out       string      `xml:"system-out,omitempty"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes one test case for each check, and two that every run has:
// that it is valid, and that it sent something. Any failing case means that the
// run did not pass, and the other way round.
func (s *Summary) WriteJUnit(w io.Writer) error {
	took := fmt.Sprintf("%.3f", s.Run.Seconds)
	suite := junitSuite{
		Name: "weir", Time: took, Hostname: xmlText(s.Run.Host),
		Out: xmlText(strings.Join(s.spoken(), "\n")),
	}
	if s.Run.Target != "" {
		suite.Name = xmlText("weir " + s.Run.Target)
	}
	if len(s.Run.Started) >= len("2006-01-02T15:04:05") {
		suite.Timestamp = s.Run.Started[:len("2006-01-02T15:04:05")]
	}
	add := func(name, kind, failure string) {
		c := junitCase{Name: xmlText(name), Class: "weir", Time: took}
		if failure != "" {
			failure = xmlText(failure)
			c.Failure = &junitFailure{Message: failure, Type: kind, Text: failure}
			suite.Failures++
		}
		suite.Cases = append(suite.Cases, c)
		suite.Tests++
	}
	for _, c := range s.Verdict.Checks {
		failure := ""
		if c.Result != "pass" {
			failure = c.Result
			if c.Observed != "" {
				failure += ": " + c.Observed
			}
		}
		add(c.Expression, "check", failure)
		if c.Estimate != nil {
			suite.Cases[len(suite.Cases)-1].Out = xmlText(c.Observed)
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
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// xmlText leaves out what XML 1.0 §2.2 does not allow even when escaped:
// encoding/xml would write U+FFFD, which some readers then show as an error.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= utf8.MaxRune:
			return r
		}
		return -1
	}, strings.ToValidUTF8(s, "?"))
}
