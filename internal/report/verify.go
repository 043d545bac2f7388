package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/weir-dev/weir/internal/verify"
)

//go:embed assets/verify.html
var verifyHTML string

//go:embed assets/verify.css
var verifyCSS string

// stillPolicy is the Content-Security-Policy of a page that runs no script.
const stillPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

// verifyRows bounds the rows of one experiment in a page; the rest stands in the JSON.
const verifyRows = 1000

// WriteVerifyHTML writes the report of weir verify as one page that holds
// everything it needs and runs no script.
func WriteVerifyHTML(w io.Writer, r *verify.Report) error {
	t, err := template.New("verify").Funcs(template.FuncMap{
		"class": func(v verify.Verdict) string { return strings.ReplaceAll(string(v), " ", "-") },
		"rows":  func(t verify.Timeline) []verify.Row { return t.Rows[:min(len(t.Rows), verifyRows)] },
		"left":  func(t verify.Timeline) int { return max(0, len(t.Rows)-verifyRows) },
		"client": func(r verify.Row) string {
			return fmt.Sprint(r.Client + 1)
		},
		"expected": func(r verify.Row) template.HTML {
			if !r.Judged {
				return `<span class="mark">·</span>`
			}
			return verifyMarks(r.Least, r.Most, r.Sent)
		},
		"seen": func(r verify.Row) template.HTML {
			out := verifyMarks(r.Admitted, r.Admitted, r.Sent-r.Unknown)
			if r.Unknown > 0 {
				out += template.HTML(fmt.Sprintf(` <span class="mark">%d not known</span>`, r.Unknown))
			}
			return out
		},
	}).Parse(htmlHead + verifyHTML)
	if err != nil {
		return fmt.Errorf("verify template: %w", err)
	}
	words := map[verify.Verdict]string{
		verify.Passed: "The limits are kept as declared", verify.Violated: "The limits are not kept as declared", verify.Undecided: "Not all could be decided",
	}
	return t.Execute(w, struct {
		R               *verify.Report
		Title, Headline string
		Started         string
		Policy          string
		CSS             template.CSS
	}{r, words[r.Verdict] + ": " + r.Target, words[r.Verdict], "Started " + r.Started.UTC().Format("2006-01-02 15:04:05 UTC"), stillPolicy, template.CSS(htmlCSS + verifyCSS)})
}

// verifyMarks shows how many of n are admitted, in numbers only.
func verifyMarks(lo, hi, n int) template.HTML {
	var parts []string
	add := func(class, mark, word string, k int) {
		if k <= 0 {
			return
		}
		count := ""
		if n > 1 {
			count = fmt.Sprintf(" %d", k)
		}
		parts = append(parts, fmt.Sprintf(`<span class="mark %s" title="%s"><span aria-hidden="true">%s%s</span><span class="sr"> %d %s</span></span>`, class, word, mark, count, k, word))
	}
	add("ok", "●", "admitted", lo)
	add("", "?", "either", hi-lo)
	add("no", "×", "refused", n-hi)
	return template.HTML(strings.Join(parts, " "))
}
