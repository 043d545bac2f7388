package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/weir-dev/weir/internal/forecast"
)

// forecastColumns is how wide the picture of a forecast is at most.
const forecastColumns = 72

// WriteForecast writes an answer in words, with the terminal's picture of what
// remains and what is refused over time.
func WriteForecast(w io.Writer, a *forecast.Answer, o TextOptions) error {
	var b strings.Builder
	width := o.Width
	if width <= 0 || width > 110 {
		width = 100
	}
	head := styled(good, "FITS")
	if a.Totals.Refused > 0 {
		head = styled(bad, "DOES NOT FIT")
	}
	left := append(append(line{}, head...), span{text: "  " + clean(a.Name)})
	right := text(fmt.Sprintf("%s in %s", plural(a.Totals.Arrived, "flow", "flows"), forecast.Span(a.Seconds)))
	sides(width, left, right).appendTo(&b, o.Color)
	b.WriteString("\n")
	if a.Check != nil {
		for _, s := range measuredSentences(a) {
			indented(&b, s, width)
		}
	}
	for _, s := range a.Sentences {
		indented(&b, s, width)
	}
	forecastFlows(&b, a)
	forecastLimits(&b, a)
	forecastPicture(&b, a)
	forecastRows(&b, a)
	for i, n := range a.Notes {
		if i == 0 {
			b.WriteString("\n  Assumed:\n")
		}
		indented(&b, "- "+n, width)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// indented writes a sentence, broken between words.
func indented(b *strings.Builder, s string, width int) {
	row := " "
	for _, word := range strings.Fields(clean(s)) {
		if cells(row)+1+cells(word) > width && strings.TrimSpace(row) != "" {
			b.WriteString(row + "\n")
			row = "   "
		}
		row += " " + word
	}
	b.WriteString(row + "\n")
}

// columns writes rows of cells: the first to the left, the others to the right.
func columns(b *strings.Builder, rows [][]string) {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], cells(c))
		}
	}
	for _, r := range rows {
		b.WriteString("  ")
		for i, c := range r {
			gap := spaces(widths[i] - cells(c))
			if i == 0 {
				b.WriteString(c + gap)
				continue
			}
			b.WriteString("  " + gap + c)
		}
		b.WriteString("\n")
	}
}

func tookCell(t *forecast.Took, pick func(*forecast.Took) float64) string {
	if t == nil {
		return "–"
	}
	return figMS(pick(t))
}

func firstCell(at *float64) string {
	if at == nil {
		return "–"
	}
	return forecast.At(*at)
}

func forecastFlows(b *strings.Builder, a *forecast.Answer) {
	rows := [][]string{{"flow", "calls", "arrived", "done", "gave up", "sent", "refused", "p50", "p99", "longest"}}
	for _, f := range a.Flows {
		rows = append(rows, []string{
			clip(clean(f.Name), 40), figCount(int64(f.CallsPerFlow)), figCount(f.Arrived), figCount(f.Done), figCount(f.GaveUp), figCount(f.Calls), figShare(f.RefusedRatio),
			tookCell(f.Took, func(t *forecast.Took) float64 { return t.P50 }), tookCell(f.Took, func(t *forecast.Took) float64 { return t.P99 }),
			tookCell(f.Took, func(t *forecast.Took) float64 { return t.Max }),
		})
	}
	b.WriteString("\n")
	columns(b, rows)
}

func forecastLimits(b *strings.Builder, a *forecast.Answer) {
	if len(a.Limits) == 0 {
		return
	}
	rows := [][]string{{"limit", "is", "asked", "refused", "share", "first", "dry for", "least left"}}
	for _, l := range a.Limits {
		rows = append(rows, []string{clip(clean(l.Name), 40), clip(l.Policy, 40), figCount(l.Asked), figCount(l.Refused), figShare(l.Ratio), firstCell(l.First),
			forecast.Span(l.Dry), figCount(l.Least)})
	}
	b.WriteString("\n")
	columns(b, rows)
}

// forecastPicture draws each limit that was asked: what remains, and what share of
// its calls it refuses.
func forecastPicture(b *strings.Builder, a *forecast.Answer) {
	n := len(a.Series.At)
	if n < 2 {
		return
	}
	group := (n + forecastColumns - 1) / forecastColumns
	fmt.Fprintf(b, "\n  Over time, a column for %s:\n", forecast.Span(a.Column*float64(group)))
	var rows [][]string
	for i, l := range a.Limits {
		if l.Asked == 0 {
			continue
		}
		var left, refused []float64
		for from := 0; from < n; from += group {
			least, no, asked := l.Capacity, int64(0), int64(0)
			for j := from; j < min(from+group, n); j++ {
				least = min(least, a.Series.Remaining[i][j])
				no += a.Series.Refused[i][j]
				asked += a.Series.Asked[i][j]
			}
			left = append(left, partOf(least, l.Capacity))
			refused = append(refused, partOf(no, asked))
		}
		fmt.Fprintf(b, "  %s\n", clip(clean(l.Name), 60))
		rows = [][]string{{"  left", spark(left) + "  of " + figCount(l.Capacity)}}
		if l.Refused > 0 {
			rows = append(rows, []string{"  refused", spark(refused) + "  of its calls, 0 to 100 %"})
		}
		for _, r := range rows {
			fmt.Fprintf(b, "  %-11s%s\n", r[0], r[1])
		}
	}
}

func partOf(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// spark draws ratios from 0 to 1, a cell each; what is not zero never looks like it.
func spark(ratios []float64) string {
	var b strings.Builder
	for _, r := range ratios {
		switch {
		case r <= 0:
			b.WriteRune('░')
		default:
			b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(7, max(0, int(r*8)))])
		}
	}
	return b.String()
}

func forecastRows(b *strings.Builder, a *forecast.Answer) {
	if len(a.Sensitivity) == 0 {
		return
	}
	b.WriteString("\n  What a change makes of it")
	if s := a.Stretch; s != nil {
		fmt.Fprintf(b, ", in the busiest stretch: %s to %s, all full at its start", forecast.At(s.From), forecast.At(s.To))
	}
	b.WriteString(":\n")
	rows := [][]string{{"change", "refused", "gave up", "first", "sent a flow", "p99"}}
	for _, r := range a.Sensitivity {
		rows = append(rows, []string{clip(clean(r.Change), 44), figShare(r.RefusedRatio), figShare(r.GaveUpRatio), firstCell(r.First),
			forecast.Number(r.CallsPerFlow), tookCell(r.Took, func(t *forecast.Took) float64 { return t.P99 })})
	}
	columns(b, rows)
	same := 0
	for _, r := range a.Sensitivity[1:] {
		if r.Refused == 0 && a.Sensitivity[0].Refused == 0 {
			same++
			continue
		}
		indented(b, "- "+r.Change+": "+r.Sentence, 100)
	}
	if same == len(a.Sensitivity)-1 {
		indented(b, "None of these makes it refuse anything.", 100)
	}
}

// measuredSentences set the recorded run beside the prediction.
func measuredSentences(a *forecast.Answer) (out []string) {
	m := a.Check
	first := func(at *float64) string {
		if at == nil {
			return "none"
		}
		return figTime(secDuration(*at))
	}
	out = append(out, fmt.Sprintf("First throttled: predicted %s, measured %s.", first(a.Totals.First), first(m.First)))
	if m.FirstError != nil {
		side := "late"
		e := *m.FirstError
		if e < 0 {
			side, e = "early", -e
		}
		out[0] = strings.TrimSuffix(out[0], ".") + fmt.Sprintf(": %s too %s.", figTime(secDuration(e)), side)
	}
	out = append(out, fmt.Sprintf("Share refused: predicted %s, measured %s of %s requests: an error of %s points.",
		figShare(a.Totals.RefusedRatio), figShare(m.Ratio), figCount(m.Sent), points(m.RatioError*100)))
	if len(m.Names) > 1 {
		for _, n := range m.Names {
			out = append(out, fmt.Sprintf("%s: predicted %s, measured %s of %s.", n.Name, figShare(n.Predicted), figShare(n.Ratio), figCount(n.Sent)))
		}
	}
	return out
}

func points(f float64) string {
	if f > -0.005 && f < 0.005 {
		return "0.00"
	}
	return fmt.Sprintf("%+.2f", f)
}
