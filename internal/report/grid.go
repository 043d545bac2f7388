package report

import "slices"

// grid lays out rows as aligned columns.
type grid struct {
	head []string // empty: no heading
	left int      // the first left columns are aligned left, the others right
	rows [][]span
	// spare are the columns that matter least, by their headings, in the order in
	// which they give way when the grid is too wide.
	spare []string
	// wraps: the last column is a sentence, which goes on below itself rather
	// than being left out. It is aligned left.
	wraps bool
}

func (g *grid) row(c ...span) { g.rows = append(g.rows, c) }

func cell(s string) span { return span{text: s} }

// lines lays the grid out in at most width cells. When it is too wide a last
// column that wraps is made narrower, down to 24 cells; then the first column
// shrinks, down to twelve; after that columns are left out, the spare ones first
// and then from the right.
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
	const gap, narrow, sentence = 2, 12, 24
	total := func() int {
		t := gap * (len(w) - 1)
		for _, n := range w {
			t += n
		}
		return t
	}
	if over := total() - width; over > 0 && g.wraps {
		last := cols - 1
		w[last] = max(min(w[last], sentence), w[last]-over)
	}
	if over := total() - width; over > 0 {
		w[0] = max(min(w[0], narrow), w[0]-over)
	}
	gone := make([]bool, cols)
	whole := w
	w = slices.Clone(w)
	drop := func(i int) {
		gone[i] = true
		w = w[:0]
		for k, n := range whole {
			if !gone[k] {
				w = append(w, n)
			}
		}
	}
	for _, name := range g.spare {
		if i := slices.Index(g.head, name); i > 0 && total() > width {
			drop(i)
		}
	}
	for i := cols - 1; i > 0 && total() > width; i-- {
		if !gone[i] {
			drop(i)
		}
	}
	whole[0] = min(whole[0], width)

	var out []line
	if len(g.head) > 0 {
		h := make([]span, len(g.head))
		for i, s := range g.head {
			h[i] = span{s, faint}
		}
		out = append(out, g.line(h, whole, gone))
	}
	for _, r := range g.rows {
		if last := cols - 1; g.wraps && len(r) == cols && !gone[last] {
			out = append(out, g.wrapped(r, whole, gone)...)
			continue
		}
		out = append(out, g.line(r, whole, gone))
	}
	return out
}

// wrapped is a row whose last cell takes as many lines as it needs.
func (g *grid) wrapped(r []span, w []int, gone []bool) []line {
	var out []line
	last := len(r) - 1
	r = slices.Clone(r)
	rest := wrap(r[last].text, w[last])
	for i, text := range rest {
		if i > 0 {
			clear(r[:last])
		}
		r[last].text = text
		out = append(out, g.line(r, w, gone))
	}
	if len(rest) == 0 {
		out = append(out, g.line(r, w, gone))
	}
	return out
}

func (g *grid) line(r []span, w []int, gone []bool) line {
	var l line
	for i := range min(len(r), len(w)) {
		if gone[i] {
			continue
		}
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
