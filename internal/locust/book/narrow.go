package book

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// WidthOfTables is how many columns Locust's tables need at least to be read.
// On a narrower terminal they would be broken up, so there the narrow ones are
// shown.
const WidthOfTables = 104

// WriteNarrowTable writes the table of requests for a terminal of so many
// columns, fewer than WidthOfTables: without failures per second, and with names
// that are cut.
func (b *Book) WriteNarrowTable(w io.Writer, columns int, current bool) error {
	const fixed = 59 // of the columns of figures
	name := max(columns-1-fixed-7, 6)
	var t strings.Builder
	fmt.Fprintf(&t, "%-6s %-*s %7s %12s |%6s %6s %6s %6s |%7s\n", "Type", name, "Name", "# reqs", "# fails", "Avg", "Min", "Max", "Med", "req/s")
	rule := strings.Join([]string{dashes(6), dashes(name), dashes(7), dashes(13), dashes(6), dashes(6), dashes(6), dashes(6), dashes(7)}, "|")
	b.ruled(&t, rule, func(f *figures) {
		requests, _ := f.shown(current)
		fmt.Fprintf(&t, "%-6s %-*s %7d %12s |%6d %6d %6d %6d |%7.2f\n", clip(f.method, 6), name, clip(f.name, name), f.requests,
			fmt.Sprintf("%d(%.2f%%)", f.failed, 100*f.failRatio()), int64(f.average()), int64(f.min), int64(f.max), int64(f.median()), requests)
	})
	_, err := io.WriteString(w, t.String())
	return err
}

// WriteNarrowPercentiles writes fewer percentiles than Locust does.
func (b *Book) WriteNarrowPercentiles(w io.Writer, columns int) error {
	shown, percents := b.quantiles, b.percents()
	if len(shown) == len(quantiles) { // 50, 75, 90, 95, 99 and 100 % of Locust's own
		shown, percents = pick(shown), pick(percents)
	}
	name := max(columns-1-7-7*len(shown)-8, 6)
	var t strings.Builder
	fmt.Fprintf(&t, "Response time percentiles (approximated)\n%-6s %-*s", "Type", name, "Name")
	for _, p := range percents {
		fmt.Fprintf(&t, " %6s", p)
	}
	t.WriteString("  # reqs\n")
	rule := dashes(6) + "|" + dashes(name) + strings.Repeat("|"+dashes(6), len(shown)) + "|" + dashes(7)
	b.ruled(&t, rule, func(f *figures) {
		n := f.requests - f.untimed
		if n == 0 {
			return
		}
		fmt.Fprintf(&t, "%-6s %-*s", clip(f.method, 6), name, clip(f.name, name))
		for _, q := range shown {
			fmt.Fprintf(&t, " %6d", f.times.percentile(n, q))
		}
		fmt.Fprintf(&t, " %7d\n", f.requests)
	})
	_, err := io.WriteString(w, t.String())
	return err
}

// pick leaves out some of eleven.
func pick[T any](list []T) []T {
	return []T{list[0], list[2], list[4], list[5], list[7], list[10]}
}

// clip cuts a text to so many characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
