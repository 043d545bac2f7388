package book

import (
	"fmt"
	"io"
	"strings"
)

// NameWidth is the space for names in the tables on a terminal of so many
// columns; 0 stands for no terminal.
func NameWidth(columns int) int {
	if columns <= 0 {
		return 80
	}
	return max(min(columns-80, 80), 0)
}

const typeWidth = 8

// WriteTable writes the table of requests as Locust prints it. name is what
// NameWidth says. current shows the rates of about the last ten seconds;
// otherwise they are those of the whole run.
func (b *Book) WriteTable(w io.Writer, name int, current bool) error {
	width := name - typeWidth + 4
	var t strings.Builder
	fmt.Fprintf(&t, "%-8s %-*s %7s %12s |%7s %7s %7s%7s | %7s %11s\n",
		"Type", width, "Name", "# reqs", "# fails", "Avg", "Min", "Max", "Med", "req/s", "failures/s")
	rule := strings.Join([]string{dashes(typeWidth), dashes(width), dashes(7), dashes(13), dashes(7), dashes(7), dashes(7), dashes(7), dashes(8), dashes(11)}, "|")
	b.ruled(&t, rule, func(f *figures) {
		requests, failures := f.shown(current)
		method := f.method
		if method != "" {
			method += " "
		}
		fmt.Fprintf(&t, "%-8s %-*s %7d %12s |%7d %7d %7d%7d | %7.2f %11.2f\n",
			method, width, f.name, f.requests, fmt.Sprintf("%d(%.2f%%)", f.failed, 100*f.failRatio()),
			int64(f.average()), int64(f.min), int64(f.max), int64(f.median()), requests, failures)
	})
	_, err := io.WriteString(w, t.String())
	return err
}

// ruled writes the lines of a table between rules, and an empty one.
func (b *Book) ruled(t *strings.Builder, rule string, line func(f *figures)) {
	t.WriteString(rule + "\n")
	rows := b.rows(false)
	for i, f := range rows {
		if i == len(rows)-1 {
			t.WriteString(rule + "\n")
		}
		line(f)
	}
	t.WriteString("\n")
}

// shown are the rates of about the last ten seconds, or of the whole run.
func (f *figures) shown(current bool) (requests, failures float64) {
	if current {
		return f.current()
	}
	return f.rates()
}

// WritePercentiles writes the table of percentiles that ends a run.
func (b *Book) WritePercentiles(w io.Writer, name int) error {
	var t strings.Builder
	t.WriteString("Response time percentiles (approximated)\n")
	percents, quantiles := b.percents(), b.quantiles
	if len(quantiles) == 0 {
		return nil
	}
	fmt.Fprintf(&t, "%-8s %-*s %8s", "Type", name, "Name", percents[0])
	for _, p := range append(percents[1:len(percents):len(percents)], "# reqs") {
		fmt.Fprintf(&t, " %6s", p)
	}
	t.WriteString("\n")
	rule := dashes(typeWidth) + "|" + dashes(name) + "|" + dashes(8) + strings.Repeat("|"+dashes(6), len(percents))
	b.ruled(&t, rule, func(f *figures) {
		n := f.requests - f.untimed
		if n == 0 {
			return
		}
		fmt.Fprintf(&t, "%-8s %-*s %8d", f.method, name, f.name, f.times.percentile(n, quantiles[0]))
		for _, q := range quantiles[1:] {
			fmt.Fprintf(&t, " %6d", f.times.percentile(n, q))
		}
		fmt.Fprintf(&t, " %6d\n", f.requests)
	})
	_, err := io.WriteString(w, t.String())
	return err
}

// WriteErrors writes the error report that ends a run; without failures it
// writes nothing.
func (b *Book) WriteErrors(w io.Writer, name int) error {
	list := b.failures(false)
	if len(list) == 0 {
		return nil
	}
	var t strings.Builder
	fmt.Fprintf(&t, "Error report\n%-18s %-100s\n", "# occurrences", "Error")
	rule := dashes(18) + "|" + dashes(80+name-19)
	t.WriteString(rule + "\n")
	for _, f := range list {
		fmt.Fprintf(&t, "%-18d %-100s\n", f.count, fmt.Sprintf("%s %s: %s", f.method, f.name, f.said()))
	}
	t.WriteString(rule + "\n\n")
	_, err := io.WriteString(w, t.String())
	return err
}

// said is the text without the wrapping of a verdict that the script gave.
func (f *failure) said() string {
	text, ok := strings.CutPrefix(f.text, "CatchResponseError(")
	if !ok {
		return f.text
	}
	text = strings.TrimSuffix(text, ")")
	if n := len(text); n >= 2 && (text[0] == '\'' || text[0] == '"') && text[n-1] == text[0] && !strings.Contains(text, `\`) {
		text = text[1 : n-1]
	}
	return text
}

func dashes(n int) string { return strings.Repeat("-", max(n, 0)) }
