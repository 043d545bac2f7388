// Package junit writes test results for pipelines: a Suite is a file in the form that
// JUnit made common.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// Suite is a set of results. Add fills it; the counts follow.
type Suite struct {
	XMLName   xml.Name `xml:"testsuite"`
	Name      string   `xml:"name,attr"`
	Tests     int      `xml:"tests,attr"`
	Failures  int      `xml:"failures,attr"`
	Errors    int      `xml:"errors,attr"` // always 0: what could not be found out has failed
	Skipped   int      `xml:"skipped,attr"`
	Time      string   `xml:"time,attr"`
	Timestamp string   `xml:"timestamp,attr,omitempty"`
	Hostname  string   `xml:"hostname,attr,omitempty"`
	Cases     []Case   `xml:"testcase"`
	Out       string   `xml:"system-out,omitempty"`
}

// Case is one result.
type Case struct {
	Name    string `xml:"name,attr"`
	Class   string `xml:"classname,attr"`
	Time    string `xml:"time,attr"`
	Failure *Note  `xml:"failure,omitempty"`
	Skipped *Note  `xml:"skipped,omitempty"`
	Out     string `xml:"system-out,omitempty"`
}

// Note is why a test failed or was skipped.
type Note struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// Result is how a test ended.
type Result uint8

// The results.
const (
	Passed Result = iota
	Failed
	Skipped
)

// New makes an empty suite. A zero started is left out.
func New(name string, started time.Time, seconds float64) *Suite {
	s := &Suite{Name: clean(name), Time: written(seconds)}
	if !started.IsZero() {
		s.Timestamp = started.UTC().Format("2006-01-02T15:04:05")
	}
	return s
}

// Add adds a result. The message and the text are for those that did not pass.
func (s *Suite) Add(class, name string, r Result, seconds float64, message, text string) {
	c := Case{Name: clean(name), Class: clean(class), Time: written(seconds)}
	note := &Note{Message: clean(message), Text: clean(text)}
	switch r {
	case Failed:
		c.Failure = note
		s.Failures++
	case Skipped:
		c.Skipped = note
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
	s.Tests++
}

// Write writes the suite as XML. What XML cannot hold is dropped.
func (s *Suite) Write(w io.Writer) error {
	s.Hostname, s.Out = clean(s.Hostname), clean(s.Out)
	for i := range s.Cases {
		s.Cases[i].Out = clean(s.Cases[i].Out)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func written(seconds float64) string { return fmt.Sprintf("%.3f", max(0, seconds)) }

// clean drops what XML cannot hold.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\t' || c == '\n' || c >= ' ' && c != 0xfffe && c != 0xffff {
			return c
		}
		return -1
	}, strings.ToValidUTF8(s, "?"))
}
