package report

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestCells(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "abc": 3, "更新": 4, "ｶﾅ": 2, "é": 1, "e\u0301": 1, "▒█×": 3, "👍": 2, "a\u200bb": 2, "Ａ": 2,
	} {
		if got := cells(s); got != want {
			t.Errorf("cells(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	cases := []struct {
		s    string
		n    int
		want string
	}{
		{"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"abcdef", 1, "…"}, {"abcdef", 0, ""},
		{"更新する", 5, "更新…"}, {"更新する", 4, "更…"},
	}
	for _, c := range cases {
		if got := clip(c.s, c.n); got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
	if got, want := clipMiddle("https://idp.example/oauth2/token", 20), "https://i…uth2/token"; cells(got) > 20 || !strings.HasSuffix(got, "2/token") {
		t.Errorf("clipMiddle = %q, want something like %q", got, want)
	}
}

func TestGlue(t *testing.T) {
	for in, want := range map[string]string{
		"took 997 µs (p50)": "took 997\u00a0µs (p50)", "41 % of": "41\u00a0% of", "23 requests": "23 requests",
		"3 h 12 min": "3\u00a0h 12\u00a0min", "5 stages": "5 stages", "4 ": "4 ", "4 s": "4\u00a0s",
	} {
		if got := glue(in); got != want {
			t.Errorf("glue(%q) = %q, want %q", in, got, want)
		}
	}
}

var anyText = rapid.StringOfN(rapid.OneOf(
	rapid.RuneFrom([]rune("ab c更新🙂é\u0301")), rapid.RuneFrom(nil, unicode.Latin, unicode.Han, unicode.Mn)), 0, 60, -1)

func TestNothingIsWiderThanAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, n := anyText.Draw(t, "s"), rapid.IntRange(1, 40).Draw(t, "n")
		if got := clip(s, n); cells(got) > n {
			t.Fatalf("clip(%q, %d) = %q, %d cells", s, n, got, cells(got))
		}
		if got := clipMiddle(s, n); cells(got) > n {
			t.Fatalf("clipMiddle(%q, %d) = %q, %d cells", s, n, got, cells(got))
		}
		l := line{{s, plain}, {s, good}, {"tail", faint}}
		if got := l.clip(n); got.cells() > n {
			t.Fatalf("line.clip(%d) has %d cells", n, got.cells())
		}
		n = max(n, 2)
		lines := wrap(s, n)
		for _, l := range lines {
			if cells(l) > n {
				t.Fatalf("wrap(%q, %d) has line %q, %d cells", s, n, l, cells(l))
			}
		}
		keep := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r == ' ' || r == '\t' {
					return -1
				}
				return r
			}, s)
		}
		if got, want := keep(strings.Join(lines, "")), keep(s); got != want {
			t.Fatalf("wrap(%q, %d) lost text: %q", s, n, got)
		}
	})
}

func TestGridFitsAndAligns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &grid{left: 1, head: []string{"name", "count", "p95"}}
		for range rapid.IntRange(1, 5).Draw(t, "rows") {
			g.row(cell(anyText.Draw(t, "name")), cell("12,345"), cell("7.25 ms"))
		}
		width := rapid.IntRange(4, 90).Draw(t, "width")
		lines := g.lines(width)
		for _, l := range lines {
			if l.cells() > width {
				t.Fatalf("width %d: a line has %d cells", width, l.cells())
			}
		}
		// Right-aligned columns end in the same cell on every line.
		if width >= 40 {
			for _, l := range lines[1:] {
				if l.cells() != lines[0].cells() {
					t.Fatalf("width %d: lines end at %d and %d", width, l.cells(), lines[0].cells())
				}
			}
		}
	})
}

// What does not fit gives way by importance: in a narrow terminal the tail of
// a distribution is worth more than its other columns.
func TestGridLeavesOutWhatMattersLeast(t *testing.T) {
	g := func() *grid {
		g := &grid{head: []string{"", "min", "p50", "p90", "max"}, left: 1, spare: []string{"p90", "min"}}
		g.row(cell("admitted"), cell("1.00 ms"), cell("5.00 ms"), cell("9.00 ms"), cell("12.0 ms"))
		return g
	}
	cases := []struct {
		width int
		want  string
	}{
		{44, "admitted  1.00 ms  5.00 ms  9.00 ms  12.0 ms"},
		{43, "admitted  1.00 ms  5.00 ms  12.0 ms"},
		{34, "admitted  5.00 ms  12.0 ms"},
		{25, "admitted  5.00 ms"},
		{9, "admitted"},
	}
	for _, c := range cases {
		var b strings.Builder
		g().lines(c.width)[1].appendTo(&b, false)
		if b.String() != c.want {
			t.Errorf("width %d: %q, want %q", c.width, b.String(), c.want)
		}
	}
}

// The tables of a run keep their maximum, and the shares of the outcomes, as
// long as there is room for two columns.
func TestNarrowSummaryKeepsItsTail(t *testing.T) {
	s := build(t, rampRun())
	for _, width := range []int{40, 50, 60, 80} {
		var b strings.Builder
		if err := s.WriteText(&b, TextOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{" max\n", " p99", "16.1 ms", "9.14 ms", "61.7 %"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%d cells wide, the summary lacks %q:\n%s", width, want, b.String())
			}
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":      "plain",
		"a\x1b[31mb": "a\ufffd[31mb",
		"a\r\nb":     "a\ufffd\ufffdb",
		"a\u202eb":   "a\ufffdb",
		"a\u009bb":   "a\ufffdb",
		"bad\xffutf": "bad\ufffdutf",
		"日本語 é 👍":    "日本語 é 👍",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

// A sentence in the last column goes on below itself: no word of it is lost.
func TestGridWrapsTheLastColumn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &grid{left: 2, wraps: true}
		words := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,12}`), 1, 40).Draw(t, "words")
		g.row(cell("6.1 s"), cell(strings.Join(words, " ")))
		g.row(cell("7 s"), cell(""))
		width := rapid.IntRange(40, 90).Draw(t, "width")
		var got []string
		for i, l := range g.lines(width) {
			if l.cells() > width {
				t.Fatalf("width %d: a line has %d cells", width, l.cells())
			}
			var b strings.Builder
			l.appendTo(&b, false)
			s := b.String()
			if i == 0 {
				s = strings.TrimPrefix(s, "6.1 s  ")
			}
			got = append(got, strings.Fields(s)...)
		}
		if want := append(words, "7", "s"); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("width %d: %q, want %q", width, got, want)
		}
	})
}
