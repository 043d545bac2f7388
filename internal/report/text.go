package report

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// TextOptions says how the final summary is written. The zero value is 80
// columns without colour.
type TextOptions struct {
	Width int // cells; 0 = 80; never less than 40 nor more than 120
	Color bool
}

// Bounds on tables whose length the target decides: what is left out is said.
const (
	textNames      = 20
	textCodes      = 20
	textErrors     = 10
	textEvents     = 10
	textStatements = 5
)

// WriteText writes the final summary for a terminal or a log.
func (s *Summary) WriteText(w io.Writer, o TextOptions) error {
	if o.Width == 0 {
		o.Width = 80
	}
	o.Width = min(max(o.Width, 40), 120)
	t := &textPage{width: o.Width}
	t.verdict(s)
	t.outcomes(s)
	t.times(s)
	t.offered(s)
	t.names(s)
	t.codes(s)
	t.errors(s)
	t.limits(s)
	t.watched(s)
	t.checks(s)
	t.events(s)
	t.about(s)
	var b strings.Builder
	for _, l := range t.lines {
		l.clip(o.Width).appendTo(&b, o.Color)
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type textPage struct {
	width int
	lines []line
}

func (t *textPage) put(l ...line) { t.lines = append(t.lines, l...) }

func (t *textPage) section(title string, g *grid) {
	if len(g.rows) == 0 {
		return
	}
	t.put(nil, styled(strong, title))
	for _, l := range g.lines(t.width - 2) {
		t.put(append(line{{text: "  "}}, l...))
	}
}

func (t *textPage) paragraph(s string, st style) {
	if s == "" {
		return
	}
	for _, l := range wrap(glue(clean(s)), t.width-2) {
		t.put(line{{text: "  "}, {strings.ReplaceAll(l, "\u00a0", " "), st}})
	}
}

func (t *textPage) verdict(s *Summary) {
	st := bad
	if s.Verdict.Passed {
		st = good
	}
	target := clean(s.Run.Target)
	head := line{{s.headline(), st}}
	right := text(s.took())
	room := t.width - head.cells() - right.cells() - 4
	if room >= 12 {
		head = append(head, span{"  " + clipMiddle(target, room), plain})
	}
	t.put(sides(t.width, head, right), nil)
	for _, a := range s.Answer {
		t.paragraph(a, plain)
	}
	t.paragraph(s.reason(), plain)
}

func (t *textPage) outcomes(s *Summary) {
	g := &grid{head: []string{"outcome", "count", "per second", "share", "first", "last"}, left: 1,
		spare: []string{"last", "first", "per second"}}
	each(&s.Outcomes, func(name string, o *Outcome) {
		if name == "missed" && o.Count == 0 && s.Offered.Planned == 0 {
			return
		}
		st := outcomeStyle(name)
		if o.Count == 0 {
			st = plain
		}
		g.row(span{name, st}, cell(figCount(o.Count)), cell(figRate(o.Rate)), cell(figShare(o.Ratio)),
			cell(atWords(o.First)), cell(atWords(o.Last)))
	})
	t.section("Requests", g)
}

func atWords(at *float64) string {
	if at == nil {
		return "–"
	}
	return figAt(secDuration(*at))
}

// each calls f for the four outcomes in their fixed order.
func each(o *Outcomes, f func(name string, o *Outcome)) {
	f("admitted", &o.Admitted)
	f("throttled", &o.Throttled)
	f("failed", &o.Failed)
	f("missed", &o.Missed)
}

func outcomeStyle(name string) style {
	switch name {
	case "admitted":
		return styleAdmitted
	case "throttled":
		return styleThrottled
	case "failed":
		return styleFailed
	case "missed":
		return styleMissed
	}
	return plain
}

func (t *textPage) times(s *Summary) {
	g := &grid{head: []string{"", "min", "p50", "p90", "p95", "p99", "p99.9", "max"}, left: 1,
		spare: []string{"p99.9", "p90", "min", "p95"}}
	put := func(label string, st style, l *Latency) {
		if l == nil {
			return
		}
		g.row(span{label, st}, cell(figMS(l.Min)), cell(figMS(l.P50)), cell(figMS(l.P90)), cell(figMS(l.P95)),
			cell(figMS(l.P99)), cell(figMS(l.P999)), cell(figMS(l.Max)))
	}
	each(&s.Outcomes, func(name string, o *Outcome) {
		put(name, outcomeStyle(name), o.Response)
		put("  once sent", faint, o.Service)
	})
	put("send lag", plain, s.Offered.SendLag)
	put("connect", plain, s.Connections.Time)
	t.section("Latency: from the moment due, and once sent", g)
}

func (t *textPage) offered(s *Summary) {
	o := s.Offered
	g := &grid{left: 1}
	if o.Planned > 0 {
		g.row(cell("planned"), cell(figCount(o.Planned)))
	}
	g.row(cell("sent"), cell(figCount(o.Sent)), cell(figRate(o.Mean)+"/s on average"))
	if o.Missed > 0 || o.Planned > 0 {
		g.row(cell("missed"), cell(figCount(o.Missed)))
	}
	if n := s.Limits.unsent(); n > 0 {
		g.row(cell("held to the end"), cell(figCount(n)))
	}
	if o.Unsent > 0 {
		g.row(cell("failed unsent"), cell(figCount(o.Unsent)))
	}
	g.row(cell("most in any 1 s"), cell(figCount(o.Peak1s)))
	if s.length >= 10*time.Second {
		g.row(cell("most in any 10 s"), cell(figCount(o.Peak10s)), cell(figRate(float64(o.Peak10s)/10)+"/s"))
	}
	if s.length >= time.Minute {
		g.row(cell("most in any 60 s"), cell(figCount(o.Peak60s)), cell(figRate(float64(o.Peak60s)/60)+"/s"))
	}
	if o.Users > 0 {
		g.row(cell("most users"), cell(figCount(int64(o.Users))))
	}
	if s.Connections.Opened > 0 {
		g.row(cell("connections"), cell(figCount(s.Connections.Opened)))
	}
	if s.Connections.Retried > 0 {
		g.row(cell("sent again"), cell(figCount(s.Connections.Retried)), cell("connection had gone stale"))
	}
	t.section("Offered load", g)
}

func (t *textPage) names(s *Summary) {
	if len(s.Names) < 2 {
		return
	}
	g := &grid{head: []string{"name", "admitted", "throttled", "failed", "p50", "p95"}, left: 1, spare: []string{"p50"}}
	for i := range s.Names {
		n := &s.Names[i]
		if i == textNames {
			break
		}
		p50, p95 := "–", "–"
		if r := n.Outcomes.Admitted.Response; r != nil {
			p50, p95 = figMS(r.P50), figMS(r.P95)
		}
		g.row(cell(clean(n.title())), cell(figCount(n.Outcomes.Admitted.Count)), cell(figCount(n.Outcomes.Throttled.Count)),
			cell(figCount(n.Outcomes.Failed.Count)), cell(p50), cell(p95))
	}
	t.section("By name (times of admitted requests)", g)
	t.more(len(s.Names), textNames, "name", "names")
}

// title is the method and the name, unless the name begins with the method.
func (n *Name) title() string { return title(n.Method, n.Name) }

func title(method, name string) string {
	if method == "" || strings.HasPrefix(name, method+" ") {
		return name
	}
	return method + " " + name
}

func (t *textPage) more(have, shown int, one, many string) {
	if n := have - shown; n > 0 {
		t.put(line{{fmt.Sprintf("  and %s more, in the JSON", plural(int64(n), one, many)), faint}})
	}
}

func (t *textPage) codes(s *Summary) {
	g := &grid{left: 2}
	for i, c := range s.StatusCodes {
		if i == textCodes {
			break
		}
		g.row(cell(c.Label()), cell(c.Describe()), cell(figCount(c.Count)))
	}
	t.section("Status codes", g)
	t.more(len(s.StatusCodes), textCodes, "status", "statuses")
}

// Label is the status, or a dash when there was none.
func (c Status) Label() string {
	if c.Status == 0 {
		return "–"
	}
	return itoa(c.Status)
}

// Describe is the registered meaning of the status.
func (c Status) Describe() string {
	if c.Text == "" {
		return "unknown"
	}
	return c.Text
}

func (t *textPage) errors(s *Summary) {
	g := &grid{left: 1, head: []string{"why requests failed", "count", "first", "last"}}
	for i, e := range s.Errors {
		if i == textErrors {
			break
		}
		g.row(cell(clean(title(e.Method, e.Name)+": "+e.Text)), cell(figCount(e.Count)),
			cell(figAt(secDuration(e.First))), cell(figAt(secDuration(e.Last))))
	}
	t.section("Failures", g)
	t.more(len(s.Errors), textErrors, "reason", "reasons")
}

// watched lists what has a limit; the other figures are in the page and the JSON.
func (t *textPage) watched(s *Summary) {
	g := &grid{left: 1, head: []string{"watched", "mean", "highest", "limit", "at the limit from"}}
	for _, w := range s.limitedFigures() {
		g.row(cell(clean(w.Title())), cell(figUnitOr(w.Mean, w.Unit)), cell(figUnitOr(w.Max, w.Unit)), cell(figUnitOr(w.Limit, w.Unit)), cell(w.From()))
	}
	t.section("System beside the load", g)
	g = &grid{left: 1, head: []string{"statement", "calls", "mean", "in all"}}
	for i, x := range s.Statements {
		if i == textStatements {
			break
		}
		g.row(cell(clean(x.Text)), cell(figCount(x.Calls)), cell(figMS(x.Mean)), cell(figMS(x.Total)))
	}
	t.section("Slowest statements of the database", g)
}

func (t *textPage) checks(s *Summary) {
	g := &grid{left: 3, wraps: true}
	for _, c := range s.Verdict.Checks {
		st := bad
		if c.Result == "pass" {
			st = good
		}
		g.row(cell(clean(c.Expression)), span{c.Result, st}, cell(clean(c.Observed)))
	}
	t.section("Checks", g)
}

func (t *textPage) events(s *Summary) {
	g := &grid{left: 2, wraps: true}
	for _, e := range s.Events {
		if e.Kind != "warning" {
			continue
		}
		if len(g.rows) == textEvents {
			break
		}
		g.row(cell(figAt(secDuration(e.At))), cell(clean(e.Text)))
	}
	t.section("Warnings", g)
}

// costs are the details that say what something costs.
func (t *textPage) costs(s *Summary) {
	first := true
	for _, d := range s.Run.Details {
		if !strings.HasSuffix(d.Name, " cost") {
			continue
		}
		if first {
			t.put(nil)
			first = false
		}
		for _, l := range wrap(clean(d.Name+": "+d.Value), t.width) {
			t.put(styled(plain, l))
		}
	}
}

func (t *textPage) about(s *Summary) {
	t.costs(s)
	t.put(nil)
	gen := s.Generator
	parts := []string{"generator valid"}
	if !gen.Valid {
		parts[0] = "generator NOT valid"
	}
	if gen.CPUPeak > 0 {
		cpu := fmt.Sprintf("CPU at most %.1f", gen.CPUPeak)
		if gen.Cores > 0 {
			cpu += fmt.Sprintf(" of %d cores", gen.Cores)
		}
		parts = append(parts, cpu)
	}
	if w := s.Offered.WakeLag; w != nil {
		parts = append(parts, "late by "+figMS(w.P99)+" at p99")
	}
	if gen.Files > 0 {
		files := "files at most " + figCount(int64(gen.Files))
		if gen.FileLimit > 0 {
			files += " of " + figCount(int64(gen.FileLimit))
		}
		parts = append(parts, files)
	}
	if gen.Lost > 0 {
		parts = append(parts, plural(gen.Lost, "record", "records")+" lost")
	}
	st := faint
	if !gen.Valid {
		st = bad
	}
	for _, l := range wrap(strings.Join(parts, ", "), t.width) {
		t.put(styled(st, l))
	}
	run := []string{}
	for _, p := range []string{s.Run.Plan, s.startedText(), "weir " + s.Run.Version, s.Run.ID} {
		if p = strings.TrimSpace(clean(p)); p != "" && p != "weir" {
			run = append(run, p)
		}
	}
	for _, l := range wrap(strings.Join(run, ", "), t.width) {
		t.put(styled(faint, l))
	}
}
