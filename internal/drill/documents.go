package drill

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// WriteJSON writes the report as indented JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
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

// WriteJUnit writes a test case for each stage, and one for each finding that is of
// none. A stage that was not reached is skipped.
func (r *Report) WriteJUnit(w io.Writer) error {
	suite := junit{
		Name: xmlText("weir drill " + r.What), Time: fmt.Sprintf("%.3f", r.Real), Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
	}
	add := func(class string, s *StageResult) {
		c := junitCase{Name: xmlText(s.Title), Class: class, Time: fmt.Sprintf("%.3f", s.Gap)}
		text := ""
		for _, f := range r.Findings {
			if f.Stage == s.ID && f.Level != Note {
				text += f.Code + " " + f.Name + ": " + f.Text + "\n" + f.Advice + "\n"
			}
		}
		switch {
		case text != "":
			c.Failure = &junitText{Message: xmlText(firstLine(text)), Text: xmlText(text)}
			suite.Failures++
		case !s.Seen:
			c.Skipped = &junitText{Message: "not reached"}
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
	}
	for i := range r.Rehearsal {
		add("rehearsal", &r.Rehearsal[i])
	}
	for i := range r.Stages {
		add("drill", &r.Stages[i])
	}
	for _, f := range r.Findings {
		if f.Level == Note || f.Stage != "" && r.Stage(f.Stage) != nil {
			continue
		}
		suite.Cases = append(suite.Cases, junitCase{
			Name: f.Code + " " + f.Name, Class: "plan", Time: "0.000", Failure: &junitText{Message: xmlText(f.Text), Text: xmlText(f.Text + "\n" + f.Advice)},
		})
		suite.Failures++
	}
	suite.Tests = len(suite.Cases)
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

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
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
