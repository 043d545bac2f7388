package report

import "strings"

// style is how a piece of terminal text looks. Nothing is told by a style
// alone: a word or a glyph always says the same.
type style uint8

const (
	plain style = iota
	strong
	faint
	good
	bad
	styleAdmitted
	styleThrottled
	styleFailed
	styleMissed
)

// sgr holds the terminal's codes (ECMA-48 §8.3.117). Only the eight basic
// colours are used: people choose those to be readable on their background.
var sgr = [...]string{
	plain: "", strong: "1", faint: "2", good: "32", bad: "1;31",
	styleAdmitted: "36", styleThrottled: "33", styleFailed: "31", styleMissed: "35",
}

// span is text in one style; line is what stands on one row of a terminal.
type span struct {
	text  string
	style style
}

type line []span

func text(s string) line { return line{{text: s}} }

func styled(st style, s string) line { return line{{text: s, style: st}} }

func (l line) cells() int {
	n := 0
	for _, s := range l {
		n += cells(s.text)
	}
	return n
}

// clip cuts the line to at most n cells.
func (l line) clip(n int) line {
	if l.cells() <= n {
		return l
	}
	var out line
	for _, s := range l {
		w := cells(s.text)
		if w < n {
			out = append(out, s)
			n -= w
			continue
		}
		// The ellipsis has to come here, or the next span would end without one.
		return append(out, span{clip(s.text+"…", n), s.style})
	}
	return out
}

// appendTo writes the line without a line end.
func (l line) appendTo(b *strings.Builder, color bool) {
	for _, s := range l {
		if !color || sgr[s.style] == "" || s.text == "" {
			b.WriteString(s.text)
			continue
		}
		b.WriteString("\x1b[" + sgr[s.style] + "m" + s.text + "\x1b[0m")
	}
}

// fit joins as many of the given pieces as n cells hold, in order, two spaces
// apart; pieces that do not fit are left out.
func fit(n int, pieces ...line) line {
	var out line
	used := 0
	for _, p := range pieces {
		w := p.cells()
		if w == 0 {
			continue
		}
		if used > 0 {
			w += 2
		}
		if used+w > n {
			continue
		}
		if used > 0 {
			out = append(out, span{text: "  "})
		}
		out = append(out, p...)
		used += w
	}
	if used == 0 && len(pieces) > 0 {
		return pieces[0].clip(n)
	}
	return out
}

// sides puts one line at the left end and one at the right end of n cells. When
// both do not fit the left one is cut.
func sides(n int, left, right line) line {
	room := n - right.cells() - 2
	if room < 8 {
		return left.clip(n)
	}
	left = left.clip(room)
	gap := n - left.cells() - right.cells()
	return append(append(append(line{}, left...), span{text: spaces(gap)}), right...)
}
