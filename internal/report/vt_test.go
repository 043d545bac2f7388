package report

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// vt is a small terminal: enough of one to see what a person would see. It
// fails the test on a control sequence it does not know.
type vt struct {
	t          *testing.T
	cols, rows int
	grid       [][]rune // a wide character is followed by a 0
	x, y       int
	hidden     bool // the cursor
	scrolled   []string
	writes     int
	colors     int
}

func newVT(t *testing.T, cols, rows int) *vt {
	v := &vt{t: t, cols: cols, rows: rows}
	v.grid = v.blank(rows)
	return v
}

var sgrCodes = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func (v *vt) blank(rows int) [][]rune {
	g := make([][]rune, rows)
	for i := range g {
		g[i] = []rune(strings.Repeat(" ", v.cols))
	}
	return g
}

var csi = regexp.MustCompile(`^\x1b\[(\??[0-9;]*)([A-Za-z])`)

func (v *vt) Write(p []byte) (int, error) {
	v.writes++
	s := string(p)
	for len(s) > 0 {
		if s[0] == 0x1b {
			if m := csi.FindStringSubmatch(s); m != nil {
				v.control(m[1], m[2])
				s = s[len(m[0]):]
				continue
			}
		}
		r, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		v.put(r)
	}
	return len(p), nil
}

func (v *vt) control(arg, final string) {
	n, _ := strconv.Atoi(arg)
	switch final {
	case "A":
		v.y = max(0, v.y-n)
	case "H":
		v.x, v.y = 0, 0
	case "K":
		v.erase(v.y, v.x)
	case "J":
		from := v.y
		if n == 2 {
			from = 0
		} else {
			v.erase(v.y, v.x)
			from++
		}
		for y := from; y < v.rows; y++ {
			v.erase(y, 0)
		}
	case "m":
		v.colors++
	case "l", "h":
		if arg != "?25" {
			v.t.Errorf("unknown mode %q", arg)
		}
		v.hidden = final == "l"
	default:
		v.t.Errorf("unknown control sequence %q %q", arg, final)
	}
}

func (v *vt) erase(y, from int) {
	for x := from; x < v.cols; x++ {
		v.grid[y][x] = ' '
	}
}

func (v *vt) put(r rune) {
	switch r {
	case '\r':
		v.x = 0
		return
	case '\n':
		v.y++
		if v.y == v.rows {
			v.scrolled = append(v.scrolled, strings.TrimRight(string(v.grid[0]), " "))
			v.grid = append(v.grid[1:], []rune(strings.Repeat(" ", v.cols)))
			v.y--
		}
		return
	}
	if r < ' ' || r == 0x7f {
		v.t.Errorf("raw control character %q", r)
		return
	}
	w := runeCells(r)
	if w == 0 {
		return
	}
	if v.x+w > v.cols {
		v.t.Errorf("a line is wider than %d cells", v.cols)
		return
	}
	v.grid[v.y][v.x] = r
	if w == 2 {
		v.grid[v.y][v.x+1] = 0
	}
	v.x += w
}

// resize changes the size in one of the two ways that terminals have: lines are
// cut and nothing is moved, or lines are broken anew and those that no longer
// fit scroll away.
func (v *vt) resize(cols, rows int, reflow bool) {
	old := v.grid
	v.cols, v.rows = cols, rows
	if !reflow {
		v.grid = v.blank(rows)
		for y := range min(rows, len(old)) {
			copy(v.grid[y], old[y])
		}
		v.x, v.y = min(v.x, cols-1), min(v.y, rows-1)
		return
	}
	var lines [][]rune
	for _, row := range old[:v.y] {
		text := []rune(strings.TrimRight(string(row), " "))
		for len(text) > cols {
			lines = append(lines, text[:cols])
			text = text[cols:]
		}
		lines = append(lines, text)
	}
	for len(lines) > rows-1 {
		lines = lines[1:]
	}
	v.grid = v.blank(rows)
	for y, l := range lines {
		copy(v.grid[y], l)
	}
	v.x, v.y = 0, len(lines)
}

func (v *vt) String() string {
	var lines []string
	for _, row := range v.grid {
		lines = append(lines, strings.TrimRight(strings.ReplaceAll(string(row), "\x00", ""), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}
