package verify

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/policy"
)

// TextOptions say how a report is written for people.
type TextOptions struct {
	Color     bool
	Timelines string // "all", "none", or "findings": only of experiments that have one
	Rows      int    // of a timeline at most; 0: 60
}

type printer struct {
	w   io.Writer
	o   TextOptions
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) color(code, s string) string {
	if !p.o.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// WriteText writes the report for a terminal.
func (r *Report) WriteText(w io.Writer, o TextOptions) error {
	if o.Rows == 0 {
		o.Rows = 60
	}
	p := &printer{w: w, o: o}
	p.f("%s  %s\n", p.verdict(r.Verdict, strings.ToUpper(string(r.Verdict))), clean(r.Target))
	p.f("%d requests in %s, %d of them refused; %s\n\n", r.Requests, round(time.Duration(r.Seconds*1e9)), r.Refused, r.Clock)
	for _, t := range r.Timelines {
		finds := false
		for _, f := range r.Findings {
			finds = finds || f.Experiment == t.Experiment
		}
		if o.Timelines == "all" || o.Timelines != "none" && finds {
			p.timeline(r, &t)
		}
	}
	for _, f := range r.Findings {
		p.finding(r, &f)
	}
	width := 0
	for _, res := range r.Policies {
		width = max(width, len([]rune(res.Name)))
	}
	for _, res := range r.Policies {
		p.f("%s  %-*s  %s\n", p.verdict(res.Verdict, fmt.Sprintf("%-12s", res.Verdict)), width, clean(res.Name), clean(res.Text))
		if res.Why != "" {
			p.f("              %s\n", clean(res.Why))
		}
		for _, t := range res.Tests {
			if t.Verdict != Passed && t.Why != "" && t.Why != res.Why && res.Verdict != Violated {
				p.f("              %s: %s: %s\n", clean(t.Experiment), t.Verdict, clean(t.Why))
			}
		}
	}
	for _, n := range r.Notes {
		p.f("%s\n", clean(n))
	}
	return p.err
}

func (p *printer) verdict(v Verdict, s string) string {
	switch v {
	case Passed:
		return p.color("32", s)
	case Violated:
		return p.color("31", s)
	}
	return p.color("33", s)
}

func (p *printer) finding(r *Report, f *Finding) {
	p.f("%s %s: %s\n", p.verdict(f.Verdict, f.Code), f.Name, clean(f.Text))
	p.f("  request %d, after %.3f s, %s: expected %s, seen %s", f.Request, f.Seconds, clean(f.Call), f.Expected, f.Seen)
	if f.Times > 1 {
		p.f(" (and %d more)", f.Times-1)
	}
	p.f("\n")
	if len(f.Nearest) > 0 {
		p.f("  nearest policy that explains all answers: %s\n", clean(f.Nearest[0].Text))
		for i, e := range f.Nearest[1:] {
			if i == 4 {
				p.f("  and %d more\n", len(f.Nearest)-1-i)
				break
			}
			p.f("  or: %s\n", clean(e.Text))
		}
	}
	if f.Advice != "" {
		p.f("  %s\n", f.Advice)
	}
	p.f("\n")
}

// timeline is two columns, one row for each call: what is expected, what was seen.
func (p *printer) timeline(r *Report, t *Timeline) {
	p.f("%s\n", clean(t.Name))
	width := len("request")
	for _, row := range t.Rows {
		width = max(width, min(40, len([]rune(row.Call))))
	}
	p.f("  %5s  %9s  %-*s  %-9s %s\n", "no.", "time", width, "request", "expected", "seen")
	from, to := window(t, p.o.Rows)
	if from > 0 {
		p.f("  %5s\n", fmt.Sprintf("… %d rows before", from))
	}
	for _, row := range t.Rows[from:to] {
		call := clean(row.Call)
		if c := []rune(call); len(c) > 40 {
			call = string(c[:39]) + "…"
		}
		mark := ""
		if row.Code != "" {
			mark = "  ← " + row.Code
		}
		seen := marks(row.Admitted, row.Admitted, row.Sent-row.Unknown)
		if row.Unknown > 0 {
			seen += fmt.Sprintf(" !%d", row.Unknown)
		}
		p.f("  %5d  %8.3fs  %-*s  %-9s %s%s\n", row.Request, row.Seconds, width, call, expected(&row), seen, p.color("31", mark))
	}
	if to < len(t.Rows) {
		p.f("  … %d rows after\n", len(t.Rows)-to)
	}
	p.f("\n")
}

// window is the rows that are shown: those around the first that has a finding.
func window(t *Timeline, most int) (from, to int) {
	if len(t.Rows) <= most {
		return 0, len(t.Rows)
	}
	for i, row := range t.Rows {
		if row.Code != "" {
			from = max(0, min(i-most/2, len(t.Rows)-most))
			break
		}
	}
	return from, from + most
}

func expected(row *Row) string {
	if !row.Judged {
		return "·"
	}
	return marks(row.Least, row.Most, row.Sent)
}

// marks shows how many of n are admitted: ● admitted, × refused, ? either.
func marks(lo, hi, n int) string {
	if n == 1 {
		return [3]string{"×", "?", "●"}[lo+hi]
	}
	var parts []string
	if lo > 0 {
		parts = append(parts, fmt.Sprintf("●%d", lo))
	}
	if hi > lo {
		parts = append(parts, fmt.Sprintf("?%d", hi-lo))
	}
	if n > hi {
		parts = append(parts, fmt.Sprintf("×%d", n-hi))
	}
	return strings.Join(parts, " ")
}

// clean drops what could steer a terminal.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			return -1
		}
		return c
	}, s)
}

// WriteText says what a plan will do.
func (p *Plan) WriteText(w io.Writer, f *policy.File) error {
	out := &printer{w: w}
	c := p.Cost()
	out.f("%s: %s, about %s of them refused, in about %s\n", several(len(p.Experiments), "experiment"), several(c.Requests, "request"), fmt.Sprint(c.Throttled), c.Time.Round(time.Second/10))
	for _, e := range p.Experiments {
		out.f("  %-44s %4d requests, %5.1f s", clean(e.Name), e.Requests, e.Takes.Seconds())
		if e.Rest > 0 {
			out.f(", after a rest of %.1f s", e.Rest.Seconds())
		}
		out.f("\n")
	}
	for _, l := range p.LeftOut {
		name := l.Name
		if l.Policy >= 0 && l.Policy < len(f.Policies) && name == "all" {
			name = called(&f.Policies[l.Policy], l.Policy)
		}
		out.f("  left out: %s: %s\n", clean(name), clean(l.Why))
	}
	return out.err
}

func several(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
