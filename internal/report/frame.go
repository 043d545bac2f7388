package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// glyphs are the marks of the four outcomes, apart without any colour, and the
// other signs of a frame.
type glyphs struct {
	outcome     [hit.NumOutcomes]string
	done, todo  string // of the progress bar
	axis, mark  string
	floor, tick string
}

var unicodeGlyphs = glyphs{
	outcome: [...]string{hit.Admitted: "█", hit.Throttled: "▒", hit.Failed: "×", hit.Missed: "·"},
	done:    "━", todo: "─", axis: "│", mark: "▲", floor: "─", tick: "┴",
}

var asciiGlyphs = glyphs{
	outcome: [...]string{hit.Admitted: "#", hit.Throttled: ":", hit.Failed: "x", hit.Missed: "."},
	done:    "=", todo: "-", axis: "|", mark: "^", floor: "-", tick: "+",
}

var outcomeStyles = [...]style{
	hit.Admitted: styleAdmitted, hit.Throttled: styleThrottled, hit.Failed: styleFailed, hit.Missed: styleMissed,
}

func (l *Live) glyphs() *glyphs {
	if l.o.ASCII {
		return &asciiGlyphs
	}
	return &unicodeGlyphs
}

const (
	leastChart = 3  // rows below which a chart tells nothing
	mostChart  = 14 // rows above which it tells nothing more
	narrow     = 60 // cells below which lines are written in fewer words
)

// frame lays out what is shown now, in at most cols-1 cells, because a terminal
// may wrap after the last one, and at most rows-1 lines, because the cursor
// needs one.
func (l *Live) frame(elapsed time.Duration, cols, rows int) []line {
	width := max(cols-1, 1)
	room := rows - 1
	if room < 1 {
		return nil
	}

	head := []line{l.headLine(width, elapsed)}
	if bar := l.progressLine(width, elapsed); bar != nil {
		head = append(head, bar)
	}
	head = append(head, l.loadLines(width)...)
	table := append(l.outcomeLines(width), l.limitLines(width, rows)...)
	table = append(table, l.watchedLines(width, rows)...)
	notes := l.notes(width)

	// A chart needs a scale, a row of times and a row for the onset.
	const around = 3
	spare := room - len(head) - len(table) - len(notes) - around - 2
	var out []line
	switch {
	case spare >= leastChart && width >= 24:
		out = append(out, head...)
		out = append(out, nil)
		out = append(out, l.chart(width, min(spare, mostChart))...)
		out = append(out, table...)
		if len(notes) > 0 {
			out = append(out, nil)
		}
		out = append(out, notes...)
	default:
		out = append(out, head...)
		out = append(out, table...)
		out = append(out, notes...)
	}
	if len(out) > room {
		out = out[:room]
	}
	for i := range out {
		out[i] = out[i].clip(width)
	}
	return out
}

func (l *Live) headLine(width int, elapsed time.Duration) line {
	clock := figClock(elapsed)
	if l.o.Meta.Length > 0 {
		clock += " of " + figClock(l.o.Meta.Length)
	}
	if l.warming() {
		clock = "warm-up, not counted  " + clock
	}
	right := text(clock)
	room := width - right.cells() - 2 - len("weir  ")
	target := clean(l.o.Meta.Target)
	return sides(width, line{{"weir  ", strong}, {clipMiddle(target, max(room, 8)), plain}}, right)
}

// progressLine is nil when the run has no planned end or the terminal is too
// narrow to show it.
func (l *Live) progressLine(width int, elapsed time.Duration) line {
	if l.o.Meta.Length <= 0 || width < 30 {
		return nil
	}
	part := min(max(float64(elapsed)/float64(l.o.Meta.Length), 0), 1)
	left := l.o.Meta.Length - elapsed
	label := "stopping"
	if left > 0 {
		label = figClock(left) + " left"
	}
	label = padLeft(label, len("stopping"))
	bar := width - cells(label) - 2
	done := int(math.Round(part * float64(bar)))
	g := l.glyphs()
	return line{{strings.Repeat(g.done, done), plain}, {strings.Repeat(g.todo, bar-done), faint}, {"  " + label, plain}}
}

// loadLines is what happens now. Latency goes to a line of its own where one
// line is too short.
func (l *Live) loadLines(width int) []line {
	r := l.last
	if r == nil {
		return []line{text("starting")}
	}
	users := text(plural(int64(r.users), "user", "users"))
	offered := text("offered " + figRate(rate(r.sent, r.length)) + "/s")
	flight := text(figCount(int64(r.inFlight)) + " in flight")
	now := l.now()
	if now.Count() == 0 {
		return []line{fit(width, users, offered, flight, styled(faint, clean(l.o.Meta.Plan)))}
	}
	took := text(fmt.Sprintf("admitted p50 %s p95 %s", figTime(now.Quantile(0.50)), figTime(now.Quantile(0.95))))
	if width < narrow {
		return []line{fit(width, users, offered, flight), took}
	}
	return []line{fit(width, users, offered, took, flight, styled(faint, clean(l.o.Meta.Plan)))}
}

// outcomeLines is the legend of the chart and the table of figures in one.
func (l *Live) outcomeLines(width int) []line {
	g := l.glyphs()
	t := &grid{left: 1}
	answers := l.totals.Answers()
	for o := range hit.Outcome(hit.NumOutcomes) {
		sum := l.totals.Outcome(o)
		if o == hit.Missed && sum.Count == 0 {
			continue
		}
		st := outcomeStyles[o]
		if sum.Count == 0 && o != hit.Admitted {
			st = faint
		}
		var now float64
		if l.last != nil {
			now = rate(l.last.count[o], l.last.length)
		}
		all := answers
		if o == hit.Missed {
			all += sum.Count
		}
		share := "–"
		if all > 0 {
			share = figShare(float64(sum.Count) / float64(all))
		}
		t.row(span{g.outcome[o] + " " + o.String(), st}, cell(figRate(now)+"/s"), cell(figCount(sum.Count)), span{share, faint})
	}
	// Columns that keep their place do not jump when a figure grows.
	t.row(cell(spaces(11)), cell(spaces(9)), cell(spaces(10)), cell(spaces(7)))
	lines := t.lines(width)
	return lines[:len(lines)-1]
}

// notes are the lines below the table: the onset, budgets, the latest warnings.
func (l *Live) notes(width int) []line {
	var out []line
	if o := l.totals.Onset; o != nil {
		what := onsetNow(o)
		if width < narrow {
			what = strings.ReplaceAll(strings.TrimPrefix(what, "throttling began: "), " requests/s", "/s")
		}
		out = append(out, line{{l.glyphs().mark + " ", styleThrottled}, {figAt(o.At) + "  ", strong}, {what, plain}})
	}
	if m := l.o.MaxRequests; m > 0 {
		out = append(out, text("budget: "+figCount(l.totals.Sent)+" of "+figCount(m)+" requests sent"))
	}
	if m := l.o.MaxThrottled; m > 0 {
		out = append(out, text("budget: "+figCount(l.totals.Outcome(hit.Throttled).Count)+" of "+figCount(m)+" throttled"))
	}
	const latest = 2
	var warnings []line
	for _, e := range l.totals.Events() {
		if e.Kind == "warning" || e.Kind == "stop" {
			warnings = append(warnings, line{{figAt(e.At) + "  ", strong}, {clean(e.Text), plain}})
		}
	}
	return append(out, warnings[max(0, len(warnings)-latest):]...)
}

// chart draws the whole run from left to right: in each column the hits per
// second, stacked by outcome.
func (l *Live) chart(width, rows int) []line {
	g := l.glyphs()
	span := l.flow.total
	if l.o.Meta.Length > span {
		span = l.o.Meta.Length
	}
	const labels = 7 // "1,234 │"
	n := width - labels
	// Whole seconds per column, or whole columns per second, so that no column
	// covers more seconds than its neighbour and looks like a wave.
	secondsPer := max(1, int(math.Ceil(span.Seconds()/float64(n))))
	colsPer := 1
	if secondsPer == 1 && span >= time.Second {
		colsPer = max(1, int(float64(n)/math.Ceil(span.Seconds())))
	}
	used := n
	if secs := int(math.Ceil(span.Seconds())); secs > 0 {
		used = min(n, (secs+secondsPer-1)/secondsPer*colsPer)
	}
	covered := time.Duration(used) * time.Second * time.Duration(secondsPer) / time.Duration(colsPer)
	rates := l.flow.rates(used, covered)

	var top float64
	for _, r := range rates {
		if r != nil {
			top = max(top, r[hit.Admitted]+r[hit.Throttled]+r[hit.Failed]+r[hit.Missed])
		}
	}
	top = niceTop(top)
	stacks := make([][]hit.Outcome, used)
	for x, r := range rates {
		stacks[x] = stack(r, top, rows)
	}
	var out []line
	for y := rows - 1; y >= 0; y-- {
		label := ""
		if y == rows-1 {
			label = axisLabel(top)
		} else if y == rows/2-1 && rows >= 6 && rows%2 == 0 {
			label = axisLabel(top / 2)
		}
		ln := line{{padLeft(label, labels-2) + " " + g.axis, faint}}
		for x := 0; x < used; {
			if y >= len(stacks[x]) {
				from := x
				for x < used && y >= len(stacks[x]) {
					x++
				}
				ln = append(ln, spanOf(" ", x-from, plain))
				continue
			}
			o, from := stacks[x][y], x
			for x < used && y < len(stacks[x]) && stacks[x][y] == o {
				x++
			}
			ln = append(ln, spanOf(g.outcome[o], x-from, outcomeStyles[o]))
		}
		out = append(out, ln)
	}
	out = append(out, line{{padLeft("0", labels-2) + " " + g.tick + strings.Repeat(g.floor, used), faint}})
	return append(out, l.timeLine(labels, used, covered), nil)
}

func spanOf(glyph string, n int, st style) span { return span{strings.Repeat(glyph, n), st} }

// timeLine writes the times below the chart and marks the onset.
func (l *Live) timeLine(labels, used int, covered time.Duration) line {
	cellsOf := []rune(strings.Repeat(" ", labels+used))
	put := func(at int, s string) bool {
		r := []rune(s)
		if at < 0 || at+len(r) > len(cellsOf) {
			return false
		}
		for i := max(at-1, 0); i < min(at+len(r)+1, len(cellsOf)); i++ {
			if cellsOf[i] != ' ' {
				return false
			}
		}
		copy(cellsOf[at:], r)
		return true
	}
	onset := -1
	if o := l.totals.Onset; o != nil && covered > 0 && used > 0 {
		onset = labels + min(int(float64(o.At)/float64(covered)*float64(used)), used-1)
		mark := l.glyphs().mark + " " + figAt(o.At)
		if !put(onset, mark) && !put(onset-len([]rune(mark))+1, figAt(o.At)+" "+l.glyphs().mark) {
			put(onset, l.glyphs().mark)
		}
	}
	put(labels, "0:00")
	end := figClock(covered)
	put(labels+used-len(end), end)
	s := strings.TrimRight(string(cellsOf), " ")
	if onset < 0 {
		return line{{s, faint}}
	}
	return text(s)
}

// visible is the part of a column from which on an outcome gets a cell even
// where the scale would give it none: the beginning of a limit must show.
const visible = 0.02

// stack turns rates into cells from the bottom up. The height of the whole is
// right to half a cell.
func stack(r *[hit.NumOutcomes]float64, top float64, rows int) []hit.Outcome {
	if r == nil || top <= 0 {
		return nil
	}
	var all float64
	for _, v := range r {
		all += v
	}
	var out []hit.Outcome
	sum := 0.0
	for o := range hit.Outcome(hit.NumOutcomes) {
		if r[o] <= 0 {
			continue
		}
		sum += r[o]
		want := min(int(math.Round(sum/top*float64(rows))), rows)
		if want <= len(out) && r[o] >= visible*all {
			if len(out) < rows {
				want = len(out) + 1
			} else {
				out[len(out)-1] = o // the column is full: its top tells of the rarer outcome
			}
		}
		for len(out) < want {
			out = append(out, o)
		}
	}
	return out
}

// niceTop rounds the highest rate up to a round number for the scale.
func niceTop(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10} {
		if v <= m*p*(1+1e-9) {
			return m * p
		}
	}
	return 10 * p
}

func axisLabel(v float64) string {
	switch {
	case v >= 1e6:
		return figRateShort(v/1e6) + "M"
	case v >= 1e5:
		return figRateShort(math.Round(v/1e3)) + "k"
	}
	return figRateShort(v)
}
