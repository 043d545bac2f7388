package report

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// kinds are the forms that a cell can have; the first that matches counts.
var kinds = []struct {
	name string
	re   *regexp.Regexp
}{
	{"empty", regexp.MustCompile(`^$`)},
	{"N/A", regexp.MustCompile(`^N/A$`)},
	{"time", regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)},
	{"six decimals", regexp.MustCompile(`^\d+\.\d{6}$`)},
	{"unix time", regexp.MustCompile(`^\d{10}$`)},
	{"integer", regexp.MustCompile(`^\d+$`)},
	{"float", regexp.MustCompile(`^\d+\.\d+(e[-+]\d\d)?$`)},
	{"exception", regexp.MustCompile(`^[A-Z][A-Za-z]+\(.*\)$`)},
	{"text", regexp.MustCompile(``)},
}

func kind(cell string) string {
	for _, k := range kinds {
		if k.re.MatchString(cell) {
			return k.name
		}
	}
	return "?"
}

// Ours and Locust's own files have the same first line, byte for byte, the same
// line ends, and cells of the same forms in the same columns.
func TestLocustFilesLookLikeLocusts(t *testing.T) {
	compared := 0
	for _, c := range []struct {
		recorded, suffix string
		full             bool
	}{
		{"stats.csv", "_stats.csv", false}, {"stats_history.csv", "_stats_history.csv", false},
		{"stats_history_full.csv", "_stats_history.csv", true},
		{"failures.csv", "_failures.csv", false}, {"exceptions.csv", "_exceptions.csv", false},
	} {
		want, err := os.ReadFile(filepath.Join("testdata", "locust-2.46.3", c.recorded))
		if err != nil {
			t.Fatal(err)
		}
		got := csvFiles(t, rampRun(), CSVOptions{FullHistory: c.full})[c.suffix]
		wantHead, _, _ := bytes.Cut(want, []byte("\n"))
		gotHead, _, _ := bytes.Cut(got, []byte("\n"))
		if !bytes.Equal(gotHead, wantHead) {
			t.Errorf("%s: first line\n got %q\nwant %q", c.recorded, gotHead, wantHead)
		}
		if bytes.Count(got, []byte("\n")) != bytes.Count(got, []byte("\r\n")) {
			t.Errorf("%s: a line does not end in CRLF", c.recorded)
		}
		allowed := map[int]map[string]bool{}
		for _, row := range readCSV(t, want)[1:] {
			for i, cell := range row {
				if allowed[i] == nil {
					allowed[i] = map[string]bool{}
				}
				allowed[i][kind(cell)] = true
			}
		}
		for n, row := range readCSV(t, got)[1:] {
			for i, cell := range row {
				compared++
				k := kind(cell)
				if k == "six decimals" && allowed[i]["float"] {
					continue // 3.208726 is one of each
				}
				// A median is a float where it was kept inside the extremes.
				if !allowed[i][k] && !(k == "float" && allowed[i]["integer"] && i >= 4) {
					t.Fatalf("%s row %d column %d: %q is %s, Locust has %v there", c.recorded, n+2, i+1, cell, k, allowed[i])
				}
			}
		}
	}
	if compared < 1500 {
		t.Fatalf("only %d cells compared", compared)
	}
}

func readCSV(t *testing.T, b []byte) [][]string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	return rows
}

func atoi(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What a reader of Locust's files would add up is what we counted: throttled
// and failed are failures, missed are no requests.
func TestLocustFilesAddUp(t *testing.T) {
	n := 0
	for name, run := range stories() {
		n++
		s := build(t, run)
		files := csvFiles(t, run, CSVOptions{FullHistory: true})
		o := s.Outcomes
		bad := o.Throttled.Count + o.Failed.Count
		stats := readCSV(t, files["_stats.csv"])
		last := stats[len(stats)-1]
		if last[0] != "" || last[1] != "Aggregated" || atoi(t, last[2]) != o.Admitted.Count+bad || atoi(t, last[3]) != bad {
			t.Errorf("%s: last row %v, want Aggregated with %d requests and %d failures", name, last[:4], o.Admitted.Count+bad, bad)
		}
		var requests, failures, listed int64
		for _, row := range stats[1 : len(stats)-1] {
			requests += atoi(t, row[2])
			failures += atoi(t, row[3])
		}
		for _, row := range readCSV(t, files["_failures.csv"])[1:] {
			listed += atoi(t, row[3])
		}
		if requests != o.Admitted.Count+bad || failures != bad || listed != bad {
			t.Errorf("%s: rows add up to %d requests, %d failures, %d listed failures; want %d and %d", name, requests, failures, listed, o.Admitted.Count+bad, bad)
		}
		history := readCSV(t, files["_stats_history.csv"])
		end := history[len(history)-1]
		if atoi(t, end[17]) != o.Admitted.Count+bad {
			t.Errorf("%s: the history ends with %s requests", name, end[17])
		}
	}
	if n == 0 {
		t.Fatal("no stories")
	}
}

func TestLocustRowsAreSorted(t *testing.T) {
	rows := readCSV(t, csvFiles(t, stallRun(), CSVOptions{})["_stats.csv"])
	var names []string
	for _, r := range rows[1:] {
		names = append(names, r[1])
	}
	if got, want := strings.Join(names, " "), "/login /messages/{id} /トークン/更新 Aggregated"; got != want {
		t.Errorf("names %q, want %q", got, want)
	}
}

// current against the definition in locust/stats.py: the mean over the seconds
// [last-12, last-2), counting silent ones.
func TestLocustCurrentRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := &locustEntry{}
		counts := map[int]int64{}
		last := 0
		for second := range rapid.IntRange(1, 40).Draw(t, "seconds") {
			n := rapid.SampledFrom([]int64{0, 1, 5, 100}).Draw(t, "n")
			if n == 0 {
				continue
			}
			counts[second], last = n, second
			e.add(&tally.Series{Outcome: hit.Throttled, Count: n}, second, false)
			var sum, seconds float64
			for s := max(last-12, 0); s < last-2; s++ {
				sum += float64(counts[s])
				seconds++
			}
			want := sum / max(seconds, 1)
			if r, f := e.current(last); r != want || f != want {
				t.Fatalf("at second %d: %v and %v, want %v", last, r, f, want)
			}
			if len(e.recent) > reach+2 {
				t.Fatalf("%d seconds are kept", len(e.recent))
			}
		}
	})
}

func TestPythonText(t *testing.T) {
	for in, want := range map[string]string{
		"plain": `'plain'`, "it's": `"it's"`, `say "x"`: `'say "x"'`, `it's "x"`: `'it\'s "x"'`,
		"a\nb\t\\": `'a\nb\t\\'`, "\x1b": `'\x1b'`, "更新": `'更新'`,
	} {
		if got := pythonString(in); got != want {
			t.Errorf("pythonString(%q) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[float64]string{0: "0.0", 25: "25.0", 45.0410891: "45.0410891", 1e-5: "1e-05", 1e16: "1e+16", 0.1: "0.1"} {
		if got := pythonFloat(in); got != want {
			t.Errorf("pythonFloat(%v) = %s, want %s", in, got, want)
		}
	}
	for _, c := range []struct {
		f      hit.Failure
		status int
		text   string
		want   string
	}{
		{hit.NoFailure, 429, "", "HTTPError('429 Client Error: Too Many Requests for url: /x')"},
		{hit.NoFailure, 500, "", "HTTPError('500 Server Error: Internal Server Error for url: /x')"},
		{hit.NoFailure, 302, "not allowed", "CatchResponseError('not allowed')"},
		{hit.ConnectRefused, 0, "connection refused", "ConnectionRefusedError(111, 'Connection refused')"},
		{hit.CheckFailed, 200, "no token", "CatchResponseError('no token')"},
		{hit.AnswerTimeout, 0, "no answer in 10 s", "ReadTimeout('no answer in 10 s')"},
		{hit.OtherFailure, 0, "x", "ConnectionError('x')"},
	} {
		if got := pythonError(c.f, c.status, c.text, "/x"); got != c.want {
			t.Errorf("pythonError(%v, %d) = %s, want %s", c.f, c.status, got, c.want)
		}
	}
	for f := range hit.Failure(hit.NumFailures) {
		if !regexp.MustCompile(`^\w+\('?.*\)$`).MatchString(pythonError(f, 0, "text", "/x")) {
			t.Errorf("failure %v has no exception", f)
		}
	}
}

// A median that was rounded past an extreme is kept inside, as Locust does.
func TestLocustMedianStaysInside(t *testing.T) {
	e := &locustEntry{}
	var h hist.Hist
	h.Record(700 * time.Microsecond)
	e.add(&tally.Series{Outcome: hit.Admitted, Count: 1, Response: &h, BytesIn: 10}, 0, false)
	if got := strings.Join(e.middle(), " "); got != "0.7 0.7 0.7 0.7 10.0" {
		t.Errorf("median, average, min, max, size = %s", got)
	}
}

// Our own file has a row for each second, name and outcome, and no second is
// left out.
func TestOutcomesFile(t *testing.T) {
	var ticks []*tally.Tick
	for k := range stallRun().Ticks {
		ticks = append(ticks, k)
	}
	rows := readCSV(t, csvFiles(t, stallRun(), CSVOptions{})["_outcomes.csv"])
	if strings.Join(rows[0], ",") != strings.Join(outcomesHead, ",") {
		t.Errorf("head %v", rows[0])
	}
	want, silent := 0, 0
	var total int64
	for _, k := range ticks {
		want += max(len(k.Series), 1)
		if len(k.Series) == 0 {
			silent++
		}
		for _, s := range k.Series {
			total += s.Count
		}
	}
	var got int64
	for _, r := range rows[1:] {
		if len(r) != len(outcomesHead) {
			t.Fatalf("row %v has %d cells, want %d", r, len(r), len(outcomesHead))
		}
		got += atoi(t, r[10])
	}
	if len(rows)-1 != want || got != total || silent == 0 {
		t.Errorf("%d rows with %d hits (%d silent seconds), want %d and %d", len(rows)-1, got, silent, want, total)
	}
}
