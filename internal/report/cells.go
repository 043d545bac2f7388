package report

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// A terminal is a grid of cells: a letter takes one, a Japanese character or
// an emoji two, a combining mark none.

// runeCells is the number of cells r takes.
func runeCells(r rune) int {
	switch {
	case r == 0 || r == '\u200b' || r == '\u200d' || r == '\ufeff':
		return 0
	case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) || unicode.Is(unicode.Cf, r):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cells is the number of cells s takes when printed.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

// clip cuts s to at most n cells and ends it with an ellipsis when something
// was cut.
func clip(s string, n int) string {
	if n <= 0 {
		return ""
	}
	if cells(s) <= n {
		return s
	}
	var b strings.Builder
	used := 0
	for _, r := range s {
		w := runeCells(r)
		if used+w > n-1 {
			break
		}
		used += w
		b.WriteRune(r)
	}
	return b.String() + "…"
}

// clipMiddle cuts out of the middle, for URLs and paths whose end tells most.
func clipMiddle(s string, n int) string {
	if cells(s) <= n {
		return s
	}
	if n < 8 {
		return clip(s, n)
	}
	tail := (n - 1) / 2
	runes := []rune(s)
	used, from := 0, len(runes)
	for from > 0 && used+runeCells(runes[from-1]) <= tail {
		from--
		used += runeCells(runes[from])
	}
	head := clip(s, n-used)
	return head + string(runes[from:])
}

// padLeft fills s up to n cells.
func padLeft(s string, n int) string { return spaces(n-cells(s)) + s }

func spaces(n int) string {
	if n <= 0 {
		return ""
	}
	return strings.Repeat(" ", n)
}

// clean makes s safe to print on one line of a terminal: control characters,
// line ends and bidirectional overrides, with which a hostile server could move
// the cursor or reorder a line, become a visible mark.
func clean(s string) string {
	if strings.IndexFunc(s, unsafeRune) < 0 && strings.ToValidUTF8(s, "") == s {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unsafeRune(r) {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

func unsafeRune(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// glue puts a no-break space between a figure and its unit, so that "997 µs"
// stays on one line.
func glue(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r == ' ' && i > 0 && s[i-1] >= '0' && s[i-1] <= '9' && beginsWithUnit(s[i+1:]) {
			r = '\u00a0'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func beginsWithUnit(s string) bool {
	end := strings.IndexFunc(s, func(r rune) bool { return r != '%' && !unicode.IsLetter(r) })
	if end < 0 {
		end = len(s)
	}
	switch s[:end] {
	case "%", "µs", "ms", "s", "min", "h", "d":
		return true
	}
	return false
}

// wrap breaks s into lines of at most n cells, n ≥ 2, at spaces where it can.
func wrap(s string, n int) []string {
	n = max(n, 2)
	var lines []string
	line, used := "", 0
	flush := func() {
		lines = append(lines, line)
		line, used = "", 0
	}
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ' ' || r == '\t' }) {
		w := cells(word)
		if line != "" && used+1+w > n {
			flush()
		}
		for w > n {
			head := hardCut(word, n)
			lines = append(lines, head)
			word = word[len(head):]
			w = cells(word)
		}
		if line != "" {
			line += " "
			used++
		}
		line += word
		used += w
	}
	if line != "" || len(lines) == 0 {
		flush()
	}
	return lines
}

// hardCut is the longest beginning of s that fits n cells, at least one
// character so that a caller always advances.
func hardCut(s string, n int) string {
	used := 0
	for i, r := range s {
		w := runeCells(r)
		if used+w > n && i > 0 {
			return s[:i]
		}
		used += w
	}
	return s
}
