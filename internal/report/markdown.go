package report

import (
	"fmt"
	"io"
	"strings"
)

const (
	mdNames  = 30
	mdErrors = 10
	mdText   = 100 // of a name; a comment on a pull request has a bound, and its reader one too
)

// WriteMarkdown writes a short summary for a pull request or a job page.
func (s *Summary) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### weir: %s\n\n", strings.ToLower(s.headline()))
	for _, a := range s.Answer {
		fmt.Fprintf(&b, "%s\n", md(a))
	}
	if r := s.reason(); r != "" {
		fmt.Fprintf(&b, "%s\n", md(r))
	}
	b.WriteString("\n| outcome | count | per second | share | p50 | p95 | p99 | max |\n|:--|--:|--:|--:|--:|--:|--:|--:|\n")
	each(&s.Outcomes, func(name string, o *Outcome) {
		if name == "missed" && o.Count == 0 && s.Offered.Planned == 0 {
			return
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, figCount(o.Count), figRate(o.Rate), figShare(o.Ratio), mdTimes(o.Response))
		if o.Service != nil && o.Response != nil && apart(o.Response, o.Service) {
			fmt.Fprintf(&b, "| %s, once sent | | | | %s |\n", name, mdTimes(o.Service))
		}
	})
	if len(s.Verdict.Checks) > 0 {
		b.WriteString("\n| check | result | seen |\n|:--|:--|:--|\n")
		for _, c := range s.Verdict.Checks {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", mdCode(c.Expression), c.Result, md(c.Observed))
		}
	}
	if len(s.Names) > 1 {
		b.WriteString("\n| name | admitted | throttled | failed | admitted p95 |\n|:--|--:|--:|--:|--:|\n")
		for i := range min(len(s.Names), mdNames) {
			n := &s.Names[i]
			p95 := "–"
			if r := n.Outcomes.Admitted.Response; r != nil {
				p95 = figMS(r.P95)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", mdCode(clipMiddle(n.title(), mdText)), figCount(n.Outcomes.Admitted.Count),
				figCount(n.Outcomes.Throttled.Count), figCount(n.Outcomes.Failed.Count), p95)
		}
		if more := len(s.Names) - mdNames; more > 0 {
			fmt.Fprintf(&b, "\nand %s more.\n", plural(int64(more), "name", "names"))
		}
	}
	s.limitsMarkdown(&b)
	if len(s.Errors) > 0 {
		b.WriteString("\n| why requests failed | count |\n|:--|--:|\n")
		for _, e := range s.Errors[:min(len(s.Errors), mdErrors)] {
			fmt.Fprintf(&b, "| %s | %s |\n", mdCode(clipMiddle(title(e.Method, e.Name), mdText)+": "+clip(e.Text, sentenceText)), figCount(e.Count))
		}
		if more := len(s.Errors) - mdErrors; more > 0 {
			fmt.Fprintf(&b, "\nand %s more.\n", plural(int64(more), "reason", "reasons"))
		}
	}
	about := []string{}
	if s.Run.Target != "" {
		about = append(about, mdCode(clipMiddle(s.Run.Target, mdText)))
	}
	if s.Run.Plan != "" {
		about = append(about, md(s.Run.Plan))
	}
	about = append(about, s.took(), fmt.Sprintf("%s sent, at most %s in any second", figCount(s.Offered.Sent), figCount(s.Offered.Peak1s)))
	if s.Run.Version != "" {
		about = append(about, "weir "+md(s.Run.Version))
	}
	fmt.Fprintf(&b, "\n%s\n", strings.Join(about, " · "))
	_, err := io.WriteString(w, b.String())
	return err
}

func mdTimes(l *Latency) string {
	if l == nil {
		return "– | – | – | –"
	}
	return strings.Join([]string{figMS(l.P50), figMS(l.P95), figMS(l.P99), figMS(l.Max)}, " | ")
}

// md makes text harmless in a Markdown table: no markup, no mention of people,
// no HTML, one line.
func md(s string) string {
	s = clean(strings.Join(strings.Fields(s), " "))
	var b strings.Builder
	for i, r := range s {
		switch r {
		case '\\', '`', '*', '_', '[', ']', '<', '>', '|', '~':
			b.WriteByte('\\')
		case '@':
			// A zero-width space keeps "@name" from notifying somebody.
			b.WriteString("@\u200b")
			continue
		case '&':
			b.WriteString("&amp;")
			continue
		case '#', '-', '+', '=':
			// Only at the beginning of a line do these make headings and lists.
			if i == 0 {
				b.WriteByte('\\')
			}
		case ':':
			if strings.HasPrefix(s[i:], "://") {
				b.WriteString(":\u200b")
				continue
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mdCode shows s exactly, as code. The fence is longer than any run of
// backquotes inside; a pipe is escaped because tables are cut at pipes first
// (GitHub Flavored Markdown §4.10).
func mdCode(s string) string {
	s = clean(strings.Join(strings.Fields(s), " "))
	if s == "" {
		return "–"
	}
	longest, run := 0, 0
	for _, r := range s {
		if r == '`' {
			run++
			longest = max(longest, run)
			continue
		}
		run = 0
	}
	fence := strings.Repeat("`", longest+1)
	s = strings.ReplaceAll(s, "|", `\|`)
	if longest > 0 {
		s = " " + s + " "
	}
	return fence + s + fence
}
