package report

import "slices"

// grid lays out rows as aligned columns.
type grid struct {
	head []string // empty: no heading
	left int      // the first left columns are aligned left, the others right
	rows [][]span
}

func (g *grid) row(c ...span) { g.rows = append(g.rows, c) }

func cell(s string) span { return span{text: s} }

// lines lays the grid out in at most width cells. When it is too wide the
// first column shrinks, down to twelve cells; after that columns are dropped
// from the right.
func (g *grid) lines(width int) []line {
	if len(g.rows) == 0 {
		return nil
	}
	cols := len(g.head)
	for _, r := range g.rows {
		cols = max(cols, len(r))
	}
	w := make([]int, cols)
	for i, h := range g.head {
		w[i] = cells(h)
	}
	for _, r := range g.rows {
		for i, c := range r {
			w[i] = max(w[i], cells(c.text))
		}
	}
	const gap, narrow = 2, 12
	total := func() int {
		t := gap * (len(w) - 1)
		for _, n := range w {
			t += n
		}
		return t
	}
	if over := total() - width; over > 0 {
		w[0] = max(min(w[0], narrow), w[0]-over)
	}
	for total() > width && len(w) > 1 {
		w = w[:len(w)-1]
	}
	w[0] = min(w[0], width)

	var out []line
	if len(g.head) > 0 {
		h := make([]span, len(g.head))
		for i, s := range g.head {
			h[i] = span{s, faint}
		}
		out = append(out, g.line(h, w))
	}
	for _, r := range g.rows {
		out = append(out, g.line(r, w))
	}
	return out
}

func (g *grid) line(r []span, w []int) line {
	var l line
	for i := range min(len(r), len(w)) {
		if i > 0 {
			l = append(l, span{text: "  "})
		}
		c := r[i]
		c.text = clipMiddle(c.text, w[i])
		pad := span{text: spaces(w[i] - cells(c.text))}
		if i < g.left {
			l = append(l, c, pad)
		} else {
			l = append(l, pad, c)
		}
	}
	// Blanks at the end of a line only make copies untidy.
	for len(l) > 0 && l[len(l)-1].style == plain && isBlank(l[len(l)-1].text) {
		l = l[:len(l)-1]
	}
	return l
}

func isBlank(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(b byte) bool { return b != ' ' })
}
