package drill

import (
	"encoding/json"
	"io"
	"strings"

	"github.com/weir-dev/weir/internal/junit"
)

// WriteJSON writes the report as indented JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteJUnit writes a test case for each stage, and one for each finding that is of
// none. A stage that was not reached is skipped.
func (r *Report) WriteJUnit(w io.Writer) error {
	suite := junit.New("weir drill "+r.What, r.Started, r.Real)
	add := func(class string, s *StageResult) {
		text := ""
		for _, f := range r.Findings {
			if f.Stage == s.ID && f.Level != Note {
				text += f.Code + " " + f.Name + ": " + f.Text + "\n" + f.Advice + "\n"
			}
		}
		message, _, _ := strings.Cut(text, "\n")
		result := junit.Passed
		switch {
		case text != "":
			result = junit.Failed
		case !s.Seen:
			result, message = junit.Skipped, "not reached"
		}
		suite.Add(class, s.Title, result, s.Gap, message, text)
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
		suite.Add("plan", f.Code+" "+f.Name, junit.Failed, 0, f.Text, f.Text+"\n"+f.Advice)
	}
	return suite.Write(w)
}
