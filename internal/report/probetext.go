package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/probe"
)

// probeRows bounds the rows of the timeline in text.
const probeRows = 40

// WriteText says the verdict in words, and shows what happened when, in lines of at
// most width cells; 0: as long as they come.
func (p *Probe) WriteText(w io.Writer, color bool, width int) error {
	var b strings.Builder
	paint := func(s, code string) string {
		if !color {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	b.WriteString(paint(clean(p.Sentence), "1") + "\n")
	if p.Scope != nil {
		b.WriteString(paint(clean(p.Scope.Sentence), "1") + "\n")
		for _, n := range p.Scope.Notes {
			b.WriteString("  " + clean(n) + "\n")
		}
		if p.Scope.Behind != nil {
			b.WriteString(paint(clean(p.Scope.Behind.Sentence), "1") + "\n")
			for _, n := range p.Scope.Behind.Notes {
				b.WriteString("  " + clean(n) + "\n")
			}
		}
	}
	alternatives := p.Alternatives
	if p.Shut() {
		b.WriteString(clean(p.Kinds()) + "\n")
		alternatives = nil // their figures are those of the first sentence
	}
	for _, a := range alternatives {
		if p.Sure { // so little is no reason to doubt
			fmt.Fprintf(&b, "  far less likely (%s): %s\n", PercentWords(a.Share), clean(a.Words))
			continue
		}
		fmt.Fprintf(&b, "  not excluded (%s): %s\n", PercentWords(a.Share), clean(a.Words))
		b.WriteString("    " + a.Tell() + "\n")
	}
	if p.Settle != "" {
		b.WriteString("  To settle the figures: " + clean(p.Settle) + ".\n")
	}
	if c := p.Cut(); c != "" {
		b.WriteString(paint(clean(c), "33") + "\n")
	}
	if p.Others == nil && p.Unexplained > 2 && p.Family != probe.None.String() {
		b.WriteString("Some refusals are not explained by it. Perhaps others use the same limit.\n")
	}
	for _, f := range p.Findings {
		fmt.Fprintf(&b, "%s %s: %s. After %s it told %s; seen: %s (%s).\n", paint(f.Code, "31"), f.Name, f.Text, plural(int64(f.Requests), "request", "requests"), clean(f.Told), clean(f.Seen), plural(int64(f.Times), "answer", "answers"))
	}
	if p.Headers == "agree" {
		b.WriteString("What the headers say agrees with it.\n")
	}
	for _, n := range p.Notes {
		b.WriteString(clean(n) + "\n")
	}
	resumed := ""
	if p.Resumed > 0 {
		resumed = fmt.Sprintf(" (%d of them in an earlier session)", p.Resumed)
	}
	fmt.Fprintf(&b, "%s%s, %d refused, %d without an answer that counts, in %s.\n", plural(int64(p.Requests), "request", "requests"), resumed, p.Refused, p.Lost, spanWords(time.Duration(p.ElapsedSeconds*1e9).Round(time.Millisecond)))
	var table strings.Builder
	p.timeline(&table, width)
	p.keyTable(&table)
	_, err := io.WriteString(w, Fold(b.String(), width)+table.String())
	return err
}

// Fold breaks lines that are longer than width at spaces, and indents what follows as
// the line is. A width below narrowest folds nothing.
func Fold(s string, width int) string {
	if width < narrowest {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		text := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(text)]
		for _, l := range wrap(strings.TrimSuffix(text, "\n"), width-len(indent)) {
			b.WriteString(indent + l + "\n")
		}
	}
	return b.String()
}

// narrowest is the width of a terminal that the report is made to fit.
const narrowest = 60

// timeline draws a row for each wave.
func (p *Probe) timeline(b *strings.Builder, width int) {
	if len(p.Waves) == 0 {
		return
	}
	bars := 0
	for _, w := range p.Waves {
		bars = max(bars, w.Admitted+w.Refused)
	}
	bars = min(max(bars, 8), 30)
	if width >= narrowest {
		bars = min(bars, max(8, width-25-34))
	}
	b.WriteString("\nWhen        admitted █, refused ░\n")
	from, to := len(p.Waves), len(p.Waves)
	if len(p.Waves) > probeRows {
		from, to = probeRows*3/4, len(p.Waves)-probeRows/4
	}
	last := ""
	for i, wave := range p.Waves {
		if i == from && from < to {
			fmt.Fprintf(b, "%10s  %s; --json and --html have all\n", "…", plural(int64(to-from), "more wave", "more waves"))
		}
		if i >= from && i < to {
			continue
		}
		a, r := waveBars(wave.Admitted, wave.Refused, bars)
		why := clean(wave.Why)
		if why == last {
			why = ""
		} else {
			last = why
		}
		row := fmt.Sprintf("%+9.3fs  %-*s  %9s  %s", wave.Seconds, bars, strings.Repeat("█", a)+strings.Repeat("░", r), fmt.Sprintf("%d of %d", wave.Admitted, wave.Admitted+wave.Refused+wave.Lost), why)
		if all := []rune(row); width >= narrowest && len(all) > width {
			row = string(all[:width-1]) + "…"
		}
		b.WriteString(strings.TrimRight(row, " ") + "\n")
	}
}

// keyTable draws what the experiments about the key gave.
func (p *Probe) keyTable(b *strings.Builder) {
	if p.Scope == nil || len(p.Scope.Rounds) == 0 {
		return
	}
	b.WriteString("\nWhat it is counted by\n")
	rounds := p.Scope.Rounds
	if p.Scope.Behind != nil {
		rounds = slices.Concat(rounds, p.Scope.Behind.Rounds)
	}
	for i, r := range rounds {
		if i == 12 {
			fmt.Fprintf(b, "  %d more experiments; --json and --html have all\n", len(rounds)-i)
			break
		}
		fmt.Fprintf(b, "  as %s: %d admitted, %d refused\n", clean(r.As), r.Admitted, r.Refused)
		for _, a := range r.Asked {
			fmt.Fprintf(b, "    meanwhile as %s: %d of %d admitted\n", clean(a.As), a.Admitted, a.Admitted+a.Refused)
		}
	}
}

// waveBars shares up to most cells between two counts.
func waveBars(a, r, most int) (int, int) {
	n := a + r
	if n <= most {
		return a, r
	}
	x := a * most / n
	if a > 0 {
		x = max(1, x)
	}
	if r > 0 {
		x = min(most-1, x)
	}
	return x, most - x
}
