package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

// htmlHead is how every page begins: the template "head", which takes a Policy, a
// Title and a CSS.
//
//go:embed assets/head.html
var htmlHead string

//go:embed assets/report.html
var htmlSource string

//go:embed assets/report.css
var htmlCSS string

//go:embed assets/report.js
var htmlJS string

//go:embed assets/uplot-1.6.32.iife.min.js
var uplotJS string

//go:embed assets/uplot-1.6.32.min.css
var uplotCSS string

// Bounds on what the target decides; what is left out is said, and stands in
// the JSON.
const (
	htmlNames   = 300
	htmlErrors  = 100
	htmlEvents  = 200
	htmlWatched = 200
)

// WriteHTML writes one page that holds everything it needs: it asks for nothing
// from anywhere, and a Content-Security-Policy makes sure of it. Words, figures
// and tables are in the page itself; only the charts need JavaScript.
func (s *Summary) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(htmlFuncs).Parse(htmlHead + htmlSource)
	if err != nil {
		return fmt.Errorf("report template: %w", err)
	}
	return t.Execute(w, newPage(s))
}

// page is what the template sees.
type page struct {
	S         *Summary
	Title     string
	Headline  string
	Lead      string
	More      []string
	Reason    string
	Facts     string
	Planned   string
	Tiles     []tile
	Times     []timeRow
	Offered   []Detail
	Generator []Detail
	About     []Detail
	Notes     map[string]string
	Aria      map[string]string
	Look
	Data chartData

	quiet      []string
	moreCharts int
}

type tile struct {
	Class, Name string
	Count, Rate string
	Time        string
}

type timeRow struct {
	Class, Name string
	Sub         bool
	L           *Latency
}

// Look is what makes a page look like a report, and lets it draw charts from a
// data block of the same form.
type Look struct {
	CSS       template.CSS
	UPlot, JS template.JS
	Policy    string // for the Content-Security-Policy: nothing but these scripts
}

// PageLook is the look of every page that shows a run.
func PageLook() Look {
	return Look{
		CSS: template.CSS(uplotCSS + htmlCSS), UPlot: template.JS(uplotJS), JS: template.JS(htmlJS),
		Policy: "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; script-src " +
			scriptHash(uplotJS) + " " + scriptHash(htmlJS),
	}
}

func newPage(s *Summary) *page {
	p := &page{
		S: s, Headline: title1(s.headline()), Title: "Weir report",
		Planned: glue(plannedWords(s)),
		Look:    PageLook(),
		Data:    newChartData(s),
	}
	if s.Run.Target != "" {
		p.Title = title1(s.headline()) + ": " + clean(s.Run.Target)
	}
	for i, a := range s.Answer {
		a = glue(clean(a))
		if i == 0 {
			p.Lead = a
		} else {
			p.More = append(p.More, a)
		}
	}
	p.Reason = glue(clean(s.reason()))
	facts := []string{}
	for _, f := range []string{s.Run.Plan, s.took(), s.startedText()} {
		if f != "" {
			facts = append(facts, clean(f))
		}
	}
	p.Facts = strings.Join(facts, " · ")
	p.Tiles = tiles(s)
	p.Times = timeRows(s)
	p.Offered = offeredDetails(s)
	p.Generator = generatorDetails(s)
	p.About = aboutDetails(s)
	p.Notes, p.Aria = chartWords(s)
	p.Data.Watched, p.quiet, p.moreCharts = watchCharts(s)
	return p
}

// scriptHash allows exactly this script: Content Security Policy Level 3 §2.3.1.
func scriptHash(js string) string {
	sum := sha256.Sum256([]byte(js))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// title1 turns PASSED into Passed.
func title1(s string) string {
	if s == "" {
		return ""
	}
	return s[:1] + strings.ToLower(s[1:])
}

func tiles(s *Summary) []tile {
	var out []tile
	each(&s.Outcomes, func(name string, o *Outcome) {
		t := tile{Class: name, Name: name, Count: figCount(o.Count), Rate: figRate(o.Rate) + "/s · " + figShare(o.Ratio)}
		if r := o.Response; r != nil {
			// The name of a percentile stays with its figure on a narrow page.
			t.Time = "p50\u00a0" + figMS(r.P50) + " · p99\u00a0" + figMS(r.P99)
		}
		t.Time, t.Rate = glue(t.Time), glue(t.Rate)
		if o.Count == 0 {
			t.Class, t.Rate = "none", "none"
		}
		out = append(out, t)
	})
	return out
}

func timeRows(s *Summary) []timeRow {
	var out []timeRow
	each(&s.Outcomes, func(name string, o *Outcome) {
		if o.Response != nil {
			out = append(out, timeRow{Class: name, Name: name, L: o.Response})
		}
		if o.Service != nil {
			out = append(out, timeRow{Name: "once sent", Sub: true, L: o.Service})
		}
	})
	if l := s.Offered.SendLag; l != nil {
		out = append(out, timeRow{Name: "send lag", L: l})
	}
	if l := s.Connections.Time; l != nil {
		out = append(out, timeRow{Name: "connect", L: l})
	}
	return out
}

// plannedWords says whether the load happened as planned.
func plannedWords(s *Summary) string {
	o := s.Offered
	lag := ""
	if l := o.SendLag; l != nil {
		lag = fmt.Sprintf(" Requests left %s (p50) to %s (p99) after they were due.", figMS(l.P50), figMS(l.P99))
	}
	if o.Planned == 0 {
		return fmt.Sprintf("%s sent, at most %s in any second. Each user waits for its answer before it sends again, "+
			"so the number of requests follows from the answers and was not planned.",
			plural(o.Sent, "request was", "requests were"), figCount(o.Peak1s)) + lag
	}
	text := fmt.Sprintf("%s due and %s sent (%s)", plural(o.Planned, "request was", "requests were"),
		figCount(o.Sent), figShare(float64(o.Sent)/float64(o.Planned)))
	if o.Missed > 0 {
		text += fmt.Sprintf("; %s missed", plural(o.Missed, "was", "were"))
	}
	return text + "." + lag
}

func offeredDetails(s *Summary) []Detail {
	o := s.Offered
	var d []Detail
	add := func(name, value string) { d = append(d, Detail{name, value}) }
	if o.Planned > 0 {
		add("Planned", figCount(o.Planned))
	}
	add("Sent", figCount(o.Sent)+", "+figRate(o.Mean)+"/s on average")
	if o.Planned > 0 || o.Missed > 0 {
		add("Missed", figCount(o.Missed))
	}
	if s.Run.Unfinished > 0 {
		add("Unfinished", figCount(s.Run.Unfinished)+" at the end")
	}
	add("Most in any 1 s", figCount(o.Peak1s))
	if s.length >= 10*time.Second {
		add("Most in any 10 s", figCount(o.Peak10s)+", "+figRate(float64(o.Peak10s)/10)+"/s")
	}
	if s.length >= time.Minute {
		add("Most in any 60 s", figCount(o.Peak60s)+", "+figRate(float64(o.Peak60s)/60)+"/s")
	}
	if o.Users > 0 {
		add("Most users", figCount(int64(o.Users)))
	}
	if o.InFlight > 0 {
		add("Most in flight", figCount(int64(o.InFlight))+" at the end of a second")
	}
	return d
}

func lagWords(l *Latency) string {
	return fmt.Sprintf("%s (p50), %s (p99), %s (max)", figMS(l.P50), figMS(l.P99), figMS(l.Max))
}

func generatorDetails(s *Summary) []Detail {
	g := s.Generator
	var d []Detail
	add := func(name, value string) { d = append(d, Detail{name, value}) }
	if l := s.Offered.WakeLag; l != nil {
		add("Woke late by", lagWords(l))
	}
	if g.CPUPeak > 0 {
		cpu := fmt.Sprintf("%.2f cores on average, %.2f at most", g.CPUMean, g.CPUPeak)
		if g.Cores > 0 {
			cpu += fmt.Sprintf(", of %d", g.Cores)
		}
		add("CPU", cpu)
	}
	if g.GCPause > 0 {
		add("GC pauses", fmt.Sprintf("%s in all, at most %s in one second", figMS(g.GCPause), figMS(g.GCPeak)))
	}
	if g.Files > 0 {
		files := "at most " + figCount(int64(g.Files))
		if g.FileLimit > 0 {
			files += " of " + figCount(int64(g.FileLimit))
		}
		add("Open files", files)
	}
	if g.Goroutines > 0 {
		add("Goroutines", "at most "+figCount(int64(g.Goroutines)))
	}
	if g.Heap > 0 {
		add("Heap", "at most "+figBytes(float64(g.Heap)))
	}
	c := s.Connections
	add("Connections", figCount(c.Opened)+" opened")
	if c.Time != nil {
		add("To connect", lagWords(c.Time))
	}
	if c.Retried > 0 {
		add("Sent again", figCount(c.Retried)+", because a reused connection had been closed")
	}
	add("Records lost", figCount(g.Lost))
	return d
}

func aboutDetails(s *Summary) []Detail {
	r := s.Run
	var d []Detail
	add := func(name, value string) {
		if value != "" {
			d = append(d, Detail{name, clean(value)})
		}
	}
	add("Run", r.ID)
	add("Target", r.Target)
	switch r.Model {
	case "open":
		add("Model", "open: requests are due by a schedule, whatever the answers")
	case "closed":
		add("Model", "closed: each user waits for its answer, then goes on")
	default:
		add("Model", r.Model)
	}
	add("Plan", r.Plan)
	add("Started", s.startedText())
	add("Took", s.took())
	add("Ended because", r.EndReason)
	add("Host", strings.TrimSuffix(strings.Join([]string{r.Host, r.OS}, ", "), ", "))
	add("Weir", r.Version)
	for _, x := range r.Details {
		add(clean(x.Name), x.Value)
	}
	return d
}

var htmlFuncs = template.FuncMap{
	"count":    figCount,
	"rate":     figRate,
	"share":    figShare,
	"ms":       figMS,
	"at":       func(s float64) string { return figAt(secDuration(s)) },
	"clean":    clean,
	"title":    title,
	"names":    func(n []Name) []Name { return n[:min(len(n), htmlNames)] },
	"errors":   func(n []Failure) []Failure { return n[:min(len(n), htmlErrors)] },
	"watched":  func(n []Watched) []Watched { return n[:min(len(n), htmlWatched)] },
	"limits":   func(n []LimitTold) []LimitTold { return n[:min(len(n), htmlLimits)] },
	"refusals": func(n []FirstRefusal) []FirstRefusal { return n[:min(len(n), htmlLimits)] },
	"events":   func(n []Event) []Event { return n[:min(len(n), htmlEvents)] },
	"over":     func(have, most int) int { return max(0, have-most) },
	"most": func(kind string) int {
		return map[string]int{"names": htmlNames, "errors": htmlErrors, "events": htmlEvents, "watched": htmlWatched, "limits": htmlLimits}[kind]
	},
	"i64":   func(n int) int64 { return int64(n) },
	"clock": func(s float64) string { return figClock(secDuration(s)) },
	"shell": shellLine,
	"join":  func(list []string) string { return strings.Join(list, "; ") },
}

// shellLine writes arguments as they would be typed.
func shellLine(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		a = clean(a)
		if a == "" || strings.ContainsAny(a, " \t\"'\\$&|;<>()*?[]#~`!{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out[i] = a
	}
	return strings.Join(out, " ")
}
