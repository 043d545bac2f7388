package report

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the comparison for a terminal or a log.
func (c *Comparison) WriteText(w io.Writer, o TextOptions) error {
	if o.Width == 0 {
		o.Width = 80
	}
	o.Width = min(max(o.Width, 40), 120)
	t := &textPage{width: o.Width}
	head := &grid{left: 4}
	for _, r := range []struct {
		who string
		c   Compared
	}{{"A", c.A}, {"B", c.B}} {
		head.row(span{r.who, strong}, cell(clean(r.c.File)), cell(clean(r.c.Target)), cell(r.c.Result))
	}
	// The first column is the one that shrinks, so the rest is cut by hand.
	for i := range head.rows {
		for k := 1; k < 3; k++ {
			head.rows[i][k].text = clipMiddle(head.rows[i][k].text, (o.Width-20)/2)
		}
	}
	for _, l := range head.lines(o.Width) {
		t.put(l)
	}
	t.put(nil)
	for _, a := range c.Answer {
		t.paragraph(a, plain)
	}
	g := &grid{head: []string{"", "A", "B", "change", "with 99 % certainty", "B is"}, left: 1, spare: []string{"with 99 % certainty", "change"}}
	for i := range c.Figures {
		d := &c.Figures[i]
		st := plain
		if d.Verdict == higher || d.Verdict == lower {
			st = strong
		}
		g.row(cell(d.Name), cell(d.fig(d.A)), cell(d.fig(d.B)), cell(d.change()), cell(d.between()), span{d.Verdict, st})
	}
	t.section("Figures", g)
	var b strings.Builder
	for _, l := range t.lines {
		l.clip(o.Width).appendTo(&b, o.Color)
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteMarkdown writes the comparison for a pull request.
func (c *Comparison) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("### weir: two runs compared\n\n")
	for _, a := range c.Answer {
		fmt.Fprintf(&b, "%s\n", md(a))
	}
	b.WriteString("\n| | A | B | change | with 99 % certainty | B is |\n|:--|--:|--:|--:|--:|:--|\n")
	for i := range c.Figures {
		d := &c.Figures[i]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", d.Name, d.fig(d.A), d.fig(d.B), d.change(), d.between(), d.Verdict)
	}
	for _, r := range []struct {
		who string
		c   Compared
	}{{"A", c.A}, {"B", c.B}} {
		fmt.Fprintf(&b, "\n%s: %s · %s · %s · %s\n", r.who, mdCode(clipMiddle(r.c.File, mdText)), mdCode(clipMiddle(r.c.Target, mdText)), md(r.c.Plan), r.c.Result)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
