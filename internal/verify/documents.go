package verify

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteJSON writes the report as JSON with stable names.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

type junit struct {
	XMLName   xml.Name    `xml:"testsuite"`
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string     `xml:"name,attr"`
	Class   string     `xml:"classname,attr"`
	Time    string     `xml:"time,attr"`
	Failure *junitText `xml:"failure,omitempty"`
	Skipped *junitText `xml:"skipped,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes one test case for each policy and experiment. What is
// undecided is skipped, or with strict a failure.
func (r *Report) WriteJUnit(w io.Writer, strict bool) error {
	suite := junit{
		Name: xmlText("weir verify " + r.Target), Time: fmt.Sprintf("%.3f", r.Seconds),
		Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
	}
	add := func(class, name string, v Verdict, why string, seconds float64, text string) {
		c := junitCase{Name: xmlText(name), Class: xmlText(class), Time: fmt.Sprintf("%.3f", max(0, seconds))}
		note := &junitText{Message: xmlText(why), Text: xmlText(text)}
		switch {
		case v == Violated || v == Undecided && strict:
			c.Failure = note
			suite.Failures++
		case v != Passed:
			c.Skipped = note
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
		suite.Tests++
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

// xmlText drops what XML cannot hold.
func xmlText(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\t' || c == '\n' || c >= ' ' && c != 0xfffe && c != 0xffff {
			return c
		}
		return -1
	}, strings.ToValidUTF8(s, "?"))
}

// Took is how long the experiments lasted.
func (r *Report) Took() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }
