package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/weir-dev/weir/internal/forecast"
)

//go:embed assets/forecast.html
var forecastSource string

// forecastCharts bounds the charts of one page; the JSON has the rest.
const forecastCharts = 20

// WriteForecastHTML writes an answer as one page that holds everything it needs, in
// the manner of Summary.WriteHTML.
func WriteForecastHTML(w io.Writer, a *forecast.Answer) error {
	funcs := template.FuncMap{"first": firstCell, "span": forecast.Span, "number": forecast.Number, "count": anyCount}
	all := maps.Clone(htmlFuncs)
	maps.Copy(all, funcs)
	t, err := template.New("forecast").Funcs(all).Parse(htmlHead + forecastSource)
	if err != nil {
		return fmt.Errorf("forecast template: %w", err)
	}
	return t.Execute(w, newForecastPage(a))
}

// anyCount is figCount for a number that may not be there.
func anyCount(v any) string {
	switch n := v.(type) {
	case int64:
		return figCount(n)
	case *int64:
		return figCount(*n)
	}
	return fmt.Sprint(v)
}

// forecastPage is what the template sees.
type forecastPage struct {
	A                            *forecast.Answer
	Title, Class, Headline, Lead string
	More                         []string
	Tiles                        []tile
	Facts, Start, Stretch        string
	Charts                       []chartBlock
	Sources                      []Detail
	CSS                          template.CSS
	UPlot, JS                    template.JS
	Policy                       string
	Data                         chartData
}

func newForecastPage(a *forecast.Answer) *forecastPage {
	p := &forecastPage{
		A: a, Class: "passed", Headline: "Fits", Title: "Weir forecast: " + clean(a.Name),
		CSS: template.CSS(uplotCSS + htmlCSS), UPlot: template.JS(uplotJS), JS: template.JS(htmlJS),
		Policy: "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; script-src " +
			scriptHash(uplotJS) + " " + scriptHash(htmlJS),
		Start: a.Start.UTC().Format("2006-01-02 15:04:05 UTC"),
		Facts: fmt.Sprintf("%s in %s", plural(a.Totals.Arrived, "flow", "flows"), forecast.Span(a.Seconds)),
	}
	if a.Totals.Refused > 0 {
		p.Class, p.Headline = "failed", "Does not fit"
	}
	words := a.Sentences
	if a.Check != nil {
		words = append(measuredSentences(a), words...)
	}
	for i, s := range words {
		if s = glue(clean(s)); i == 0 {
			p.Lead = s
		} else {
			p.More = append(p.More, s)
		}
	}
	if s := a.Stretch; s != nil {
		p.Stretch = fmt.Sprintf("Played in the busiest stretch, %s to %s, with everything full at its start.", forecast.At(s.From), forecast.At(s.To))
	}
	t := &a.Totals
	p.Tiles = []tile{
		{Class: "admitted", Name: "flows done", Count: figCount(t.Done), Rate: figShare(partOf(t.Done, t.Arrived)) + " of those that arrived"},
		{Class: "failed", Name: "flows that gave up", Count: figCount(t.GaveUp), Rate: figShare(t.GaveUpRatio)},
		{Class: "throttled", Name: "calls refused", Count: figCount(t.Refused), Rate: figShare(t.RefusedRatio) + " of " + figCount(t.Calls)},
		{Class: "missed", Name: "calls cached", Count: figCount(t.Cached), Rate: "not made"},
	}
	if t.Took != nil {
		p.Tiles[0].Time = "p50\u00a0" + figMS(t.Took.P50) + " · p99\u00a0" + figMS(t.Took.P99)
	}
	for i := range p.Tiles {
		if p.Tiles[i].Count == "0" {
			p.Tiles[i].Class = "none"
		}
	}
	seen := map[string]bool{}
	for _, f := range a.Flows {
		if f.Source != "" && !seen[f.Source] {
			seen[f.Source] = true
			p.Sources = append(p.Sources, Detail{"Calls of " + clean(f.Name), f.Source})
		}
	}
	p.charts()
	return p
}

// charts makes the data and the tables of the charts.
func (p *forecastPage) charts() {
	a, s := p.A, &p.A.Series
	n := len(s.At)
	d := chartData{End: a.Seconds, At: s.At, Len: make([]float64, n), Codes: []CodeSeries{}, Episodes: [][2]float64{},
		Bands: chartBands{From: []float64{}, To: []float64{}, Admitted: []int64{}, Throttled: []int64{}}}
	sent, admitted, refused, flows := make([]float64, n), make([]float64, n), make([]float64, n), make([]*float64, n)
	done, gaveUp := make([]*float64, n), make([]*float64, n)
	rates := dataTable{Caption: "Calls per second, a row for " + forecast.Span(a.Column), Head: []string{"sent", "admitted", "refused", "flows arrived", "done", "gave up"}}
	for i := range n {
		d.Len[i] = min(a.Column, a.Seconds-s.At[i])
		per := func(v int64) float64 { return round(float64(v)/d.Len[i], 1e4) }
		point := func(v int64) *float64 { f := per(v); return &f }
		sent[i], admitted[i], refused[i] = per(s.Calls[i]), per(s.Calls[i]-s.Refusals[i]), per(s.Refusals[i])
		flows[i], done[i], gaveUp[i] = point(s.Arrived[i]), point(s.Done[i]), point(s.GaveUp[i])
		rates.Rows = append(rates.Rows, dataRow{From: figClock(secDuration(s.At[i])), Cells: []string{
			figRate(sent[i]), figRate(admitted[i]), figRate(refused[i]), figRate(*flows[i]), figRate(*done[i]), figRate(*gaveUp[i])}})
		if s.Refusals[i] > 0 {
			from, to := s.At[i], s.At[i]+d.Len[i]
			if k := len(d.Episodes); k > 0 && d.Episodes[k-1][1] == from {
				d.Episodes[k-1][1] = to
			} else {
				d.Episodes = append(d.Episodes, [2]float64{from, to})
			}
		}
	}
	d.Rates = chartRates{Sent: sent, Admitted: admitted}
	if a.Totals.Refused > 0 {
		d.Rates.Throttled = refused
		d.Onset = &chartMark{At: *a.Totals.First, Brief: "first refusal", Text: "first refusal at " + forecast.At(*a.Totals.First)}
	}
	const keys = " The arrow keys move along the line; the table below has the figures."
	p.Charts = append(p.Charts, chartBlock{"rates", "Calls per second", "With every attempt; throttled are those that a limit refuses.",
		fmt.Sprintf("Line chart over %s. Calls per second: sent at most %s, refused at most %s.", forecast.Span(a.Seconds), peakOf(sent), peakOf(refused)) + keys, rates})
	d.Watched = append(d.Watched, watchChart{ID: "flows", Unit: "/s", Every: a.Column, Lines: []watchLine{{Name: "arrived", Data: flows}, {Name: "done", Data: done}, {Name: "gave up", Data: gaveUp}}})
	p.Charts = append(p.Charts, chartBlock{ID: "flows", Title: "Flows per second", Aria: "Line chart of flows per second: arrived, done, gave up." + keys})
	for i, l := range a.Limits {
		if l.Asked == 0 || len(d.Watched) > forecastCharts {
			continue
		}
		left, most := make([]*float64, n), make([]*float64, n)
		table := dataTable{Caption: "What is left, a row for " + forecast.Span(a.Column), Head: []string{"left", "asked", "refused"}}
		for j := range n {
			v, c := float64(s.Remaining[i][j]), float64(l.Capacity)
			left[j], most[j] = &v, &c
			table.Rows = append(table.Rows, dataRow{From: figClock(secDuration(s.At[j])), Cells: []string{figCount(s.Remaining[i][j]), figCount(s.Asked[i][j]), figCount(s.Refused[i][j])}})
		}
		id := "limit" + strconv.Itoa(i)
		d.Watched = append(d.Watched, watchChart{ID: id, Every: a.Column, Lines: []watchLine{{Name: "least left", Data: left}, {Name: "full", Limit: true, Data: most}}})
		note := l.Policy
		if l.PerClient {
			note += ", of one client"
		}
		p.Charts = append(p.Charts, chartBlock{ID: id, Title: "Left of " + clean(l.Name), Note: note,
			Aria: fmt.Sprintf("Line chart of what is left of %s, which is %s when full: at least %s.", clean(l.Name), figCount(l.Capacity), figCount(slices.Min(s.Remaining[i]))) + keys, Table: table})
	}
	p.Data = d
}
