package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/probe"
)

//go:embed assets/probe.html
var probeHTML string

//go:embed assets/probe.css
var probeCSS string

// probeWaves bounds the waves of a page; the JSON has the rest.
const probeWaves = 1000

// WriteJSON writes the report as indented JSON.
func (p *Probe) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(p)
}

// WriteHTML writes the report as one page that holds everything it needs and runs
// no script.
func (p *Probe) WriteHTML(w io.Writer) error {
	funcs := maps.Clone(htmlFuncs)
	maps.Copy(funcs, template.FuncMap{
		"share": func(v float64) string { return figShare(v) },
		"sum":   func(w ProbeWave) int { return w.Admitted + w.Refused + w.Lost },
	})
	t, err := template.New("probe").Funcs(funcs).Parse(htmlHead + probeHTML)
	if err != nil {
		return fmt.Errorf("probe template: %w", err)
	}
	page := &probePage{P: p, Class: "open", Headline: "Undecided", Policy: stillPolicy, CSS: template.CSS(htmlCSS + probeCSS), Others: p.Others == nil && p.Unexplained > 2 && p.Family != probe.None.String()}
	switch {
	case p.Unknown:
		page.Headline = "Nothing known"
	case p.Family == probe.None.String():
		page.Headline = "No limit met"
	case p.Sure:
		page.Class, page.Headline = "passed", "Found"
	case p.likely():
		page.Headline = "Likely"
	}
	page.Title = "Weir probe: " + clean(p.Target)
	page.Rows = p.Waves[:min(len(p.Waves), probeWaves)]
	page.Left = len(p.Waves) - len(page.Rows)
	admitted := p.Requests - p.Refused - p.Lost
	page.Tiles = []tile{
		{Class: "admitted", Name: "admitted", Count: figCount(int64(admitted)), Rate: "of " + plural(int64(p.Requests), "request", "requests")},
		{Class: "throttled", Name: "refused", Count: figCount(int64(p.Refused)), Rate: figShare(partOf(int64(p.Refused), int64(p.Requests)))},
		{Class: "failed", Name: "no answer that counts", Count: figCount(int64(p.Lost)), Rate: "lost, or errors"},
		{Class: "missed", Name: "confidence", Count: figShare(p.Confidence), Rate: "that it is of this kind"},
	}
	for i := range page.Tiles {
		if page.Tiles[i].Count == "0" {
			page.Tiles[i].Class = "none"
		}
	}
	page.Facts = "Started " + p.Started.UTC().Format("2006-01-02 15:04:05 UTC") + " · " + spanWords(time.Duration(p.ElapsedSeconds*1e9).Round(time.Millisecond))
	if p.Resumed > 0 {
		page.Facts += fmt.Sprintf(" · %d requests in an earlier session", p.Resumed)
	}
	page.picture()
	return t.Execute(w, page)
}

// probePage is what the template sees.
type probePage struct {
	P               *Probe
	Title, Policy   string
	Class, Headline string
	Facts           string
	Tiles           []tile
	Rows            []ProbeWave
	Left            int
	Others, Heads   bool
	Picture         template.HTML
	CSS             template.CSS
}

// picture draws the waves over time, as tall as they are large.
func (g *probePage) picture() {
	const width, height, foot = 1000.0, 220.0, 24.0
	waves := g.P.Waves
	if len(waves) == 0 {
		return
	}
	end, most := 0.001, 1
	for _, w := range waves {
		end = max(end, w.Seconds)
		most = max(most, w.Admitted+w.Refused+w.Lost)
	}
	x := func(s float64) float64 { return s / end * (width - 8) }
	// Roots, so that single requests can be seen beside a large wave.
	y := func(n int) float64 { return math.Sqrt(float64(n)/float64(most)) * (height - 8) }
	var b strings.Builder
	refused := 0
	for _, w := range waves {
		refused += w.Refused
	}
	fmt.Fprintf(&b, `<svg class="picture" viewBox="0 0 %g %g" role="img" aria-label="%d waves of up to %d requests in %s; %d requests were refused. The table below has the figures.">`,
		width, height+foot, len(waves), most, template.HTMLEscapeString(spanWords(time.Duration(end*1e9).Round(time.Millisecond))), refused)
	for _, h := range g.heads(end) {
		fmt.Fprintf(&b, `<line class="head" x1="%.1f" x2="%.1f" y1="0" y2="%g"/>`, x(h), x(h), height)
	}
	for _, w := range waves[:min(len(waves), 3000)] {
		at := x(w.Seconds)
		n := w.Admitted + w.Refused + w.Lost
		if n == 0 {
			continue
		}
		tall := y(n)
		from := height
		for _, part := range []struct {
			class string
			n     int
		}{{"yes", w.Admitted}, {"no", w.Refused}, {"lost", w.Lost}} {
			if part.n > 0 {
				h := max(2, tall*float64(part.n)/float64(n))
				from -= h
				fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%.1f" width="4" height="%.1f"/>`, part.class, at, from, h)
			}
		}
	}
	fmt.Fprintf(&b, `<line class="axis" x1="0" x2="%g" y1="%g" y2="%g"/>`, width, height, height)
	step := niceStep(end)
	for s := 0.0; s <= end+step/1e6; s += step {
		anchor := "middle"
		switch {
		case s == 0:
			anchor = "start"
		case x(s) > width-40:
			anchor = "end"
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="%s">%s</text>`, x(s)+2, height+16, anchor, mark(s))
	}
	b.WriteString("</svg>")
	g.Picture = template.HTML(b.String())
}

func mark(s float64) string {
	if s == 0 {
		return "0 s"
	}
	return template.HTMLEscapeString(spanWords(time.Duration(s * 1e9).Round(time.Millisecond)))
}

// heads are where windows of the clock begin, in seconds since the first request.
func (g *probePage) heads(end float64) (out []float64) {
	for _, p := range g.P.found.Policies[:min(1, len(g.P.found.Policies))] {
		if g.P.found.Family != probe.FixedClock || p.Window <= 0 || unknownTime(&g.P.found, 0) {
			return nil
		}
		w := p.Window.Seconds()
		into := float64((g.P.Started.UnixNano()-int64(p.Phase))%int64(p.Window)) / 1e9
		if end/w > 120 {
			return nil
		}
		for s := w - into; s <= end; s += w {
			out = append(out, s)
		}
	}
	g.Heads = len(out) > 0
	return out
}

// niceStep is a round distance of about eight marks on the way to end.
func niceStep(end float64) float64 {
	raw := end / 8
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, k := range []float64{1, 2, 5, 10} {
		if raw <= k*unit {
			return k * unit
		}
	}
	return 10 * unit
}
