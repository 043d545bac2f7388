package page

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/locust/book"
)

var start = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

const ratioText = `{"WebUser": {"ratio": 0.75, "tasks": {"index": {"ratio": 0.9}, "Account": {"ratio": 0.1, "tasks": {"zebra": {"ratio": 0.5}, "ant": {"ratio": 0.5}}}}}, "Admin": {"ratio": 0.25, "tasks": {}}}`

// story is a run of two minutes with everything that a page can hold.
func story(t *testing.T) Page {
	t.Helper()
	b := book.New(start)
	for i := range 1200 {
		at := start.Add(time.Duration(i) * 100 * time.Millisecond)
		b.Users(min(i/20, 40), at)
		if i%10 == 0 {
			b.Second(at)
		}
		b.Record("GET", "/hello", 12.25+float64(i%50), 120, "", at)
		b.Record("GET", "/products/[id]?colour=<blue>&size=all-of-them", 130+float64(i%9)*11, 4021, "", at)
		if i%4 == 0 {
			failure := ""
			if i > 600 {
				failure = "HTTPError('429 Client Error: Too Many Requests for url: /login')"
			}
			b.Record("POST", "/login", 850.125, 31, failure, at)
		}
	}
	b.Record("POST", "/login", 1, 0, `CatchResponseError('<script>alert("no")</script>')`, start.Add(time.Minute))
	b.Problem("KeyError", "'token'", "  File \"locustfile.py\", line 31, in login\n    self.token = response.json()['token']\n", start)
	perClass, err := ParseRatios(json.RawMessage(ratioText))
	if err != nil {
		t.Fatal(err)
	}
	return Page{
		Report: b.Report(start.Add(2 * time.Minute)), Host: "http://127.0.0.1:8080", Script: "locustfile.py", PerClass: perClass, Total: perClass,
		Limits: []string{"300 of 2700 requests were throttled, from 1:00 on."}, Version: "(devel)",
	}
}

func text(t *testing.T, p Page) string {
	t.Helper()
	var b strings.Builder
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSectionsStandInLocustsOrder(t *testing.T) {
	html := text(t, story(t))
	from := 0
	for _, want := range []string{
		"<title>Locust Test Report: locustfile.py</title>", "During:", "2026-11-22 03:00:00 – 2026-11-22 03:01:59 UTC (1 minute and 59 seconds)", "Target Host:", "http://127.0.0.1:8080", "Script:",
		"<h2 id=\"h-requests\">Request Statistics", "# Requests", "# Fails", "Average (ms)", "Average size (bytes)", "Failures/s", "Aggregated",
		"<h2 id=\"h-times\">Response Time Statistics", "50%ile (ms)", "100%ile (ms)", "<h2 id=\"h-failures\">Failures Statistics", "First Seen", "&lt;script&gt;",
		"<h2 id=\"h-exceptions\">Exceptions Statistics", "line 31, in login", "<h2 id=\"h-charts\">Charts", "Total Requests per Second", "Response Times (ms)", "Number of Users",
		"<h2 id=\"h-ratio\">Final ratio", "Ratio Per Class", "75.0%", "WebUser", "90.0%", "index", "zebra", "ant", "Admin", "Total Ratio", "What Weir saw",
	} {
		i := strings.Index(html[from:], want)
		if i < 0 {
			t.Fatalf("%q is missing, or not in its place", want)
		}
		from += i
	}
	if strings.Contains(html, "<script>alert") {
		t.Error("a failure's text is markup on the page")
	}
}

func TestEmptyRun(t *testing.T) {
	html := text(t, Page{Report: book.New(start).Report(start), Script: "x.py"})
	for _, not := range []string{"Failures Statistics", "Exceptions Statistics", "Final ratio", "What Weir saw"} {
		if strings.Contains(html, not) {
			t.Errorf("an empty run has a section %s", not)
		}
	}
	if !strings.Contains(html, "(0 seconds)") || !strings.Contains(html, "<dd>None</dd>") {
		t.Error("the head of an empty run")
	}
}

func TestBoundsAreSaid(t *testing.T) {
	b := book.New(start)
	for i := range mostRows + 100 {
		b.Record("GET", fmt.Sprintf("/%05d", i), 1, 0, fmt.Sprintf("E(%05d)", i), start)
		b.Problem("E", "m", fmt.Sprint(i), start)
	}
	html := text(t, Page{Report: b.Report(start)})
	if n := strings.Count(html, "more rows, in the CSV files"); n != 3 {
		t.Errorf("%d notes on what is left out, want 3", n)
	}
	if !strings.Contains(html, ">Aggregated<") {
		t.Error("the aggregated row was left out")
	}
}

func TestDuration(t *testing.T) {
	for seconds, want := range map[int64]string{0: "0 seconds", 1: "1 second", 59: "59 seconds", 60: "1 minute", 3661: "1 hour, 1 minute and 1 second", 90000: "1 day and 1 hour"} {
		if got := duration(seconds); got != want {
			t.Errorf("%d: %q, want %q", seconds, got, want)
		}
	}
}

func TestParseRatiosKeepsOrder(t *testing.T) {
	got, err := ParseRatios(json.RawMessage(ratioText))
	if err != nil {
		t.Fatal(err)
	}
	want := []Ratio{
		{"WebUser", 0.75, []Ratio{{"index", 0.9, nil}, {"Account", 0.1, []Ratio{{"zebra", 0.5, nil}, {"ant", 0.5, nil}}}}},
		{"Admin", 0.25, nil},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{`[]`, `{"a": 1}`, `{"a"`, `{"a": {"tasks": 3}}`, strings.Repeat(`{"a":{"tasks":`, 80) + `{}` + strings.Repeat(`}}`, 80)} {
		if _, err := ParseRatios(json.RawMessage(bad)); err == nil {
			t.Errorf("%.40s: no error", bad)
		}
	}
	if r, err := ParseRatios(nil); r != nil || err != nil {
		t.Error("nothing is no ratios")
	}
}

func FuzzParseRatios(f *testing.F) {
	f.Add(ratioText)
	f.Add(`{"a":{"tasks":{"a":{}}}}`)
	f.Fuzz(func(t *testing.T, s string) { ParseRatios(json.RawMessage(s)) })
}

// TestWritePage leaves the page for a person to look at where PAGE_OUT says.
func TestWritePage(t *testing.T) {
	dir := t.TempDir()
	if out := os.Getenv("PAGE_OUT"); out != "" {
		dir = out
	}
	path := filepath.Join(dir, "page.html")
	if err := os.WriteFile(path, []byte(text(t, story(t))), 0o644); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 250_000 {
		t.Errorf("the page has %d bytes (%v)", info.Size(), err)
	}
}
