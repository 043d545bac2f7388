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

// WriteText says the verdict in words, and shows what happened when.
func (p *Probe) WriteText(w io.Writer, color bool) error {
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
	for _, a := range p.Alternatives {
		fmt.Fprintf(&b, "  not excluded (%.0f %%): %s\n", 100*a.Share, clean(a.Words))
		b.WriteString("    " + a.tell() + "\n")
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
		fmt.Fprintf(&b, "%s %s: %s. After %d requests it told %s; seen: %s (%s).\n", paint(f.Code, "31"), f.Name, f.Text, f.Requests, clean(f.Told), clean(f.Seen), plural(int64(f.Times), "answer", "answers"))
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
	p.timeline(&b)
	p.keyTable(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// timeline draws a row for each wave.
func (p *Probe) timeline(b *strings.Builder) {
	if len(p.Waves) == 0 {
		return
	}
	b.WriteString("\nWhen        admitted █, refused ░ (of up to 30)\n")
	from, to := len(p.Waves), len(p.Waves)
	if len(p.Waves) > probeRows {
		from, to = probeRows*3/4, len(p.Waves)-probeRows/4
	}
	last := ""
	for i, wave := range p.Waves {
		if i == from && from < to {
			fmt.Fprintf(b, "%10s  %d more waves; --json and --html have all\n", "…", to-from)
		}
		if i >= from && i < to {
			continue
		}
		a, r := waveBars(wave.Admitted, wave.Refused)
		why := clean(wave.Why)
		if why == last {
			why = ""
		} else {
			last = why
		}
		fmt.Fprintf(b, "%+9.3fs  %-31s %9s  %s\n", wave.Seconds, strings.Repeat("█", a)+strings.Repeat("░", r), fmt.Sprintf("%d of %d", wave.Admitted, wave.Admitted+wave.Refused+wave.Lost), why)
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

// waveBars shares up to 30 cells between two counts.
func waveBars(a, r int) (int, int) {
	n := a + r
	if n <= 30 {
		return a, r
	}
	x := a * 30 / n
	if a > 0 {
		x = max(1, x)
	}
	if r > 0 {
		x = min(29, x)
	}
	return x, 30 - x
}
