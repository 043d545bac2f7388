// Package page is Page, the HTML report of a Locust test: one file with the
// sections and the words of Locust's own, in the look of Weir's reports.
package page

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/weir-dev/weir/internal/locust/book"
	"github.com/weir-dev/weir/internal/report"
)

//go:embed page.html
var source string

// Page is what there is to say. Everything but Report may be empty.
type Page struct {
	book.Report
	Profile, Host, Script string
	PerClass, Total       []Ratio  // how often each task is chosen
	Limits                []string // what Weir has to say about limits, in sentences
	Version               string
}

// Ratio is a user class, a task set or a task, and how often it is chosen:
// 0 to 1, among its siblings or of the whole.
type Ratio struct {
	Name  string
	Share float64
	Tasks []Ratio
}

// Bounds on what the target or the script decides; what is left out is counted
// on the page and is in the CSV files.
const (
	mostRows   = 1000
	mostPoints = 2000
)

// Write writes one page that asks for nothing from anywhere. Words and tables
// are in the page itself; only the charts need JavaScript.
func (p Page) Write(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"clean": clean, "stamp": stamp, "ms": number, "rate": func(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) },
		"percent":  func(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + "%" },
		"percents": book.ReportPercents,
		"last":     func(i int, rows []book.Row) bool { return i == len(rows)-1 },
	}).Parse(source)
	if err != nil {
		return fmt.Errorf("page template: %w", err)
	}
	v := view{Page: p, Look: report.PageLook(), Data: charts(p.Report), Duration: duration(p.Ended.Unix() - p.Started.Unix())}
	v.Rows, v.MoreRows = cutRows(p.Rows)
	if n := len(p.Failures); n > mostRows {
		v.Failures, v.MoreFailures = p.Failures[:mostRows], n-mostRows
	}
	if n := len(p.Problems); n > mostRows {
		v.Problems, v.MoreProblems = p.Problems[:mostRows], n-mostRows
	}
	return t.Execute(w, v)
}

// view is what the template sees.
type view struct {
	Page
	report.Look
	Data     chartData
	Duration string

	MoreRows, MoreFailures, MoreProblems int
}

// cutRows keeps the aggregated row.
func cutRows(rows []book.Row) ([]book.Row, int) {
	if len(rows) <= mostRows {
		return rows, 0
	}
	kept := append(rows[:mostRows-1:mostRows-1], rows[len(rows)-1])
	return kept, len(rows) - len(kept)
}

// chartData is the part of the report's data block that three charts need.
type chartData struct {
	End      float64   `json:"end"`
	At       []float64 `json:"at"`
	Len      []float64 `json:"len"`
	Rates    struct{}  `json:"rates"`
	Latency  struct{}  `json:"latency"`
	Codes    []string  `json:"codes"`
	Episodes []string  `json:"episodes"`
	Watched  []chart   `json:"watched"`
}

type chart struct {
	ID    string  `json:"id"`
	Unit  string  `json:"unit"`
	Every float64 `json:"every"`
	Lines []line  `json:"lines"`
}

type line struct {
	Name string    `json:"name"`
	Bad  bool      `json:"limit,omitempty"` // drawn in the colour of failures
	Data []float64 `json:"data"`
}

func charts(r book.Report) chartData {
	history := r.History
	for len(history) > mostPoints { // every second point of a long run
		kept := make([]book.Point, 0, len(history)/2+1)
		for i := 0; i < len(history); i += 2 {
			kept = append(kept, history[i])
		}
		history = kept
	}
	d := chartData{At: []float64{}, Len: []float64{}, Codes: []string{}, Episodes: []string{}}
	rps, fails, half, most, users := line{Name: "RPS"}, line{Name: "Failures/s", Bad: true}, line{Name: "50th percentile"}, line{Name: "95th percentile"}, line{Name: "Users"}
	for _, h := range history {
		at := max(h.At.Sub(r.Started).Round(time.Second).Seconds(), 0)
		d.At, d.Len, d.End = append(d.At, at), append(d.Len, 0), math.Max(d.End, at)
		rps.Data, fails.Data = append(rps.Data, cents(h.RPS)), append(fails.Data, cents(h.FailuresPerSecond))
		half.Data, most.Data = append(half.Data, float64(h.P50)/1000), append(most.Data, float64(h.P95)/1000)
		users.Data = append(users.Data, float64(h.Users))
	}
	d.End = math.Max(d.End, 1)
	every := 0.0
	for i := 1; i < len(d.At); i++ {
		every = math.Max(every, d.At[i]-d.At[i-1])
	}
	d.Watched = []chart{
		{ID: "rps", Unit: "/s", Every: every, Lines: []line{rps, fails}},
		{ID: "times", Unit: "s", Every: every, Lines: []line{half, most}},
		{ID: "people", Every: every, Lines: []line{users}},
	}
	return d
}

func cents(x float64) float64 { return math.Round(x*100) / 100 }

// number writes a time or a size with two digits behind the point, and whole
// ones without.
func number(x float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 2, 64), ".00")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// duration is written as Locust does: "1 hour, 2 minutes and 3 seconds".
func duration(seconds int64) string {
	var parts []string
	for _, u := range []struct {
		size int64
		name string
	}{{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}} {
		n := seconds / u.size
		seconds %= u.size
		switch {
		case n == 1:
			parts = append(parts, "1 "+u.name)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, u.name))
		}
	}
	switch n := len(parts); n {
	case 0:
		return "0 seconds"
	case 1:
		return parts[0]
	default:
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
}

// clean leaves out what would change how a page is read: control characters
// and marks of direction.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
}

// ParseRatios reads a tree of ratios in the form in which Locust prints it,
// {"Class": {"ratio": 0.5, "tasks": {…}}}, and keeps its order.
func ParseRatios(text json.RawMessage) ([]Ratio, error) {
	if len(bytes.TrimSpace(text)) == 0 || string(bytes.TrimSpace(text)) == "null" {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	return ratios(dec, 0)
}

const deepest = 50

func ratios(dec *json.Decoder, depth int) ([]Ratio, error) {
	if depth > deepest {
		return nil, fmt.Errorf("ratios: more than %d levels", deepest)
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("ratios: an object is expected, not %v (%v)", t, err)
	}
	var out []Ratio
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("ratios: %w", err)
		}
		var node struct {
			Ratio float64         `json:"ratio"`
			Tasks json.RawMessage `json:"tasks"`
		}
		if err := dec.Decode(&node); err != nil {
			return nil, fmt.Errorf("ratios: %w", err)
		}
		r := Ratio{Name: fmt.Sprint(name), Share: node.Ratio}
		if len(node.Tasks) > 0 && string(node.Tasks) != "null" {
			if r.Tasks, err = ratios(json.NewDecoder(bytes.NewReader(node.Tasks)), depth+1); err != nil {
				return nil, err
			}
		}
		out = append(out, r)
	}
	return out, nil
}
