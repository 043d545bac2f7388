package drill

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// TextOptions say how the report is written.
type TextOptions struct {
	Color bool
	Width int // of the terminal; 0: 160, as in a file
}

// WriteText writes the plan as lines, with what was found where that is wanted. The
// width is that of the terminal; 0: lines as long as they are, as in a file.
func (p *Plan) WriteText(w io.Writer, findings bool, width int) error {
	t := &texter{w: w, width: width}
	t.line("The drill: %s", p.What)
	for _, f := range append(slices.Clip(p.Facts), Fact{"Stages", stageList(p.Stages)}) {
		t.wrapped(fmt.Sprintf("  %-14s ", f.Name), 17, f.Text)
	}
	if findings && len(p.Findings) > 0 {
		t.line("")
		t.findings(p.Findings)
	}
	return t.err
}

func stageList(stages []Stage) string {
	var out []string
	for _, s := range stages {
		out = append(out, s.Title)
	}
	return strings.Join(out, " → ")
}

type texter struct {
	w     io.Writer
	color bool
	width int // of the terminal; 0: it is none
	err   error
}

// wrapped writes a text after what begins its line, which is so many cells wide, and
// goes on below it where the terminal is too narrow.
func (t *texter) wrapped(begin string, indent int, text string) {
	room := t.width - indent - 1
	if t.width == 0 || room < 20 || utf8.RuneCountInString(text) <= room {
		t.line("%s%s", begin, text)
		return
	}
	line, length := begin, 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case length == 0:
			length = n
		case length+1+n <= room:
			word, length = " "+word, length+1+n
		default:
			t.line("%s", line)
			line, length = strings.Repeat(" ", indent), n
		}
		line += word
	}
	t.line("%s", line)
}

func (t *texter) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = io.WriteString(t.w, strings.TrimRight(fmt.Sprintf(format, args...), " ")+"\n")
	}
}

func (t *texter) paint(code, s string) string {
	if !t.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *texter) findings(list []Finding) {
	for _, f := range list {
		mark := map[Level]string{Stops: t.paint("31", "×"), Fails: t.paint("31", "×"), Note: t.paint("33", "!")}[f.Level]
		t.wrapped(mark+" ", 2, fmt.Sprintf("%s %s: %s", f.Code, f.Name, clean(f.Text)))
		for _, d := range f.Detail {
			t.wrapped("    ", 4, clean(d))
		}
		if f.Advice != "" {
			t.wrapped("    → ", 6, clean(f.Advice))
		}
	}
}

// clean keeps what a terminal cannot be harmed by: texts come from services.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			return ' '
		}
		return c
	}, s)
}

// WriteText writes the report with a picture of its stages.
func (r *Report) WriteText(w io.Writer, o TextOptions) error {
	t := &texter{w: w, color: o.Color, width: o.Width}
	width := o.Width
	if width == 0 {
		width = 160
	}
	words := map[Verdict]string{
		Passed: t.paint("32", "PROVED"), Failed: t.paint("31", "NOT PROVED"), NotRun: t.paint("31", "NOT RUN"), Interrupted: t.paint("33", "INTERRUPTED"),
	}
	t.line("%s: %s", words[r.Verdict], clean(r.What))
	if r.Speed > 1 {
		t.line("Its clock goes %g times faster than this machine's: times are by its clock.", r.Speed)
	}
	if len(r.Rehearsal) > 0 {
		t.line("")
		t.line("Rehearsal, without load:")
		t.stages(r.Rehearsal, width)
	}
	if r.Verdict != NotRun && r.Load != nil {
		t.line("")
		t.timeline(r, width)
		t.line("")
		t.stages(r.Stages, width)
		t.load(r)
	}
	if len(r.Findings) > 0 {
		t.line("")
		t.findings(r.Findings)
	}
	for _, n := range r.Notes {
		t.wrapped("", 0, clean(n))
	}
	return t.err
}

func (t *texter) stages(list []StageResult, width int) {
	name, cell := 26, 10
	if width < 110 {
		name, cell = 23, 8
	}
	room := max(width-name-3*cell-10, 12)
	t.line("  %-*s %*s %*s %*s", name+2, "Stage", cell, "at", cell, "after", cell, "bound")
	for _, s := range list {
		bound := "–"
		if s.Bound > 0 {
			bound = Span(s.Bound)
		}
		switch {
		case s.Seen:
			t.line("  %s %-*s %*s %*s %*s  %s", t.paint("32", "●"), name, s.Title, cell, Span(s.Seconds), cell, "+"+Span(s.Gap), cell, bound, clip(clean(s.Text), room))
		case s.Missed:
			t.line("  %s %-*s %*s %*s %*s  %s", t.paint("31", "×"), name, s.Title, cell, "–", cell, "–", cell, bound, clip(clean(s.Text), max(room, 60)))
		default:
			t.line("  · %-*s %*s %*s %*s  not reached", name, s.Title, cell, "–", cell, "–", cell, bound)
		}
	}
}

func (t *texter) load(r *Report) {
	l := r.Load
	cost := ""
	if l.USD > 0 {
		cost = fmt.Sprintf(", $%.2f", l.USD)
	}
	failed := ""
	if l.Failed > 0 {
		failed = fmt.Sprintf(", %d failed", l.Failed)
	}
	if l.Cut > 0 {
		failed += fmt.Sprintf(", %d under way when it was interrupted", l.Cut)
	}
	t.line("")
	t.wrapped("", 0, fmt.Sprintf("It took %s (%d admitted, %d refused%s) in %.1f s of load%s.", count(l.Requests, "request"), l.Admitted, l.Throttled, failed, l.Seconds, cost))
	if w := r.Twin; w != nil && w.Requests > l.Requests {
		cost = ""
		if w.USD > 0 {
			cost = fmt.Sprintf(", $%.2f", w.USD)
		}
		t.wrapped("", 0, fmt.Sprintf("The usual way, %d users with a request a second each until it was proved, would have been %s, %d of them refused%s.", w.Users, count(w.Requests, "request"), w.Throttled, cost))
	}
}

// timeline draws a row for the load and one for each stage on one axis.
func (t *texter) timeline(r *Report, width int) {
	const names = 24
	cells := min(max(width-names-14, 20), 80)
	end := max(r.Seconds, 1)
	for _, s := range r.Stages {
		if s.Seen {
			end = max(end, s.Seconds)
		}
	}
	for _, b := range r.Load.Bursts {
		end = max(end, b.To)
	}
	place := func(seconds float64) int {
		return min(max(int(math.Round(seconds/end*float64(cells-1))), 0), cells-1)
	}
	row := func(name string, fill func([]rune), note string) {
		line := []rune(strings.Repeat(" ", cells))
		fill(line)
		t.line("%-*s%s  %s", names, clip(name, names-1), string(line), note)
	}
	row("load", func(line []rune) {
		for _, b := range r.Load.Bursts {
			for i := place(b.From); i <= place(b.To); i++ {
				line[i] = '▓'
			}
		}
	}, count(r.Load.Requests, "request"))
	for _, s := range r.Stages {
		if !s.Seen {
			mark, note := '·', "not reached"
			if s.Missed {
				mark, note = '×', "did not come"
			}
			row(s.Title, func(line []rune) { line[cells-1] = mark }, note)
			continue
		}
		row(s.Title, func(line []rune) {
			from, to := place(s.Seconds-s.Gap), place(s.Seconds)
			for i := from; i < to; i++ {
				line[i] = '─'
			}
			line[to] = '●'
		}, Span(s.Seconds))
	}
	axis, scale := []rune(strings.Repeat("─", cells)), []rune(strings.Repeat(" ", cells+8))
	for i := 0; i <= 4; i++ {
		at := i * (cells - 1) / 4
		axis[at] = '┴'
		label := []rune(Span(end * float64(at) / float64(cells-1)))
		copy(scale[at:], label)
	}
	t.line("%-*s%s", names, "", string(axis))
	t.line("%-*s%s", names, "", string(scale))
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
