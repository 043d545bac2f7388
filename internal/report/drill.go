package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/weir-dev/weir/internal/drill"
)

//go:embed assets/drill.html
var drillHTML string

//go:embed assets/drill.css
var drillCSS string

// The timeline's size in units of its own: it grows with the page.
const (
	drillWide  = 1000.0
	drillNames = 210.0
	drillRow   = 30.0
)

// WriteDrillHTML writes the report of weir drill as one page that holds everything
// it needs and runs no script.
func WriteDrillHTML(w io.Writer, r *drill.Report) error {
	t, err := template.New("drill").Funcs(template.FuncMap{
		"span": drill.Span,
		"gap":  func(s drill.StageResult) string { return "+" + drill.Span(s.Gap) },
		"bound": func(s drill.StageResult) string {
			if s.Bound <= 0 {
				return "–"
			}
			return drill.Span(s.Bound)
		},
		"state": func(s drill.StageResult) string {
			switch {
			case s.Seen:
				return "proved"
			case s.Missed:
				return "did not come"
			}
			return "not reached"
		},
		"class": func(s string) string { return strings.ReplaceAll(s, " ", "-") },
		"title": func(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] },
		"money": func(f float64) string { return fmt.Sprintf("$%.2f", f) },
	}).Parse(htmlHead + drillHTML)
	if err != nil {
		return fmt.Errorf("drill template: %w", err)
	}
	words := map[drill.Verdict]string{
		drill.Passed: "Proved: refusals are noticed", drill.Failed: "Not proved that refusals are noticed",
		drill.NotRun: "They would not be noticed, and nothing was sent", drill.Interrupted: "The drill was interrupted",
	}
	return t.Execute(w, struct {
		R               *drill.Report
		Title, Headline string
		Started         string
		Chart           *drillChart
		Policy          string
		CSS             template.CSS
	}{
		r, words[r.Verdict] + ": " + r.What, words[r.Verdict], "Started " + r.Started.UTC().Format("2006-01-02 15:04:05 UTC"), newDrillChart(r), stillPolicy,
		template.CSS(htmlCSS + drillCSS),
	})
}

// drillChart is the timeline as numbers for the page.
type drillChart struct {
	Width, Height, Axis, Text float64
	Rows                      []drillRowOf
	Load                      []drillBar
	Ticks                     []drillTick
	Label                     string // in words, for those who do not see it
}

type drillRowOf struct {
	Y, Middle      float64
	From, To, Wide float64
	Name, Note     string
	Anchor         string // where the note stands of its place
	NoteX          float64
	Seen, Missed   bool
}

type drillBar struct{ X, Wide, Y, Tall float64 }

type drillTick struct {
	X    float64
	Text string
}

// newDrillChart lays the timeline out; nil where nothing was sent.
func newDrillChart(r *drill.Report) *drillChart {
	if r.Load == nil || len(r.Load.Bursts) == 0 {
		return nil
	}
	end := math.Max(r.Seconds, 1)
	for _, s := range r.Stages {
		if s.Seen {
			end = math.Max(end, s.Seconds)
		}
	}
	for _, b := range r.Load.Bursts {
		end = math.Max(end, b.To)
	}
	room := drillWide - drillNames - 20
	place := func(seconds float64) float64 { return drillNames + math.Max(0, seconds)/end*room }
	c := &drillChart{Width: drillWide, Text: drillNames - 12}
	for _, b := range r.Load.Bursts {
		c.Load = append(c.Load, drillBar{X: place(b.From), Wide: math.Max(place(b.To)-place(b.From), 3), Y: 9, Tall: 14})
	}
	c.Rows = append(c.Rows, drillRowOf{Middle: 16, Y: 21, Name: "load", Note: ""})
	var told []string
	for i, s := range r.Stages {
		y := drillRow * float64(i+1)
		row := drillRowOf{Y: y + 21, Middle: y + 16, Name: s.Title, Seen: s.Seen, Missed: s.Missed}
		if s.Seen {
			row.From, row.To = place(s.Seconds-s.Gap), place(s.Seconds)
			row.Wide = row.To - row.From
			row.Note, row.Anchor, row.NoteX = drill.Span(s.Seconds), "start", row.To+12
			if row.To > drillWide-110 {
				row.Anchor, row.NoteX = "end", math.Min(row.From, row.To)-12
			}
			told = append(told, s.Title+" at "+drill.Span(s.Seconds))
		} else {
			row.To, row.Note, row.Anchor, row.NoteX = drillNames+6, "not reached", "start", drillNames+22
			if s.Missed { // it was given up at the end
				row.To, row.Note, row.Anchor, row.NoteX = drillWide-20, "did not come", "end", drillWide-36
			}
			told = append(told, s.Title+" "+row.Note)
		}
		c.Rows = append(c.Rows, row)
	}
	c.Axis = drillRow*float64(len(r.Stages)+1) + 6
	c.Height = c.Axis + 28
	for i := range 5 {
		at := end * float64(i) / 4
		c.Ticks = append(c.Ticks, drillTick{place(at), drill.Span(at)})
	}
	c.Label = "Timeline: " + strings.Join(told, ", ")
	return c
}
