package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// realLocust finds Locust itself, "" when it is not here. .ci/setup puts it into
// .cache/locust.
func realLocust() string {
	own, _ := filepath.Abs("../../.cache/locust/bin/locust")
	for _, program := range []string{own, "locust"} {
		if path, err := exec.LookPath(program); err == nil {
			return path
		}
	}
	return ""
}

// differServer answers what testdata/locust/differ.py asks for.
func differServer(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/limited":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/slow":
			select {
			case <-time.After(120 * time.Millisecond):
			case <-r.Context().Done():
			}
		case "/form":
			fmt.Fprint(w, "yes")
			return
		}
		fmt.Fprint(w, "hello\n")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// outcome is what one program left behind.
type outcome struct {
	code           int
	stdout, stderr string
	dir            string
}

func runProgram(t *testing.T, dir string, name string, args ...string) outcome {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("%s: %v", name, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), dir}
}

// TestLocustAndWeirAreAlike runs one locustfile with Locust and with Weir, by the
// same command line, and compares what they leave.
func TestLocustAndWeirAreAlike(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for some seconds, and without -short")
	}
	program := realLocust()
	if program == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no Locust: run .ci/setup")
		}
		t.Skip("skipped: there is no Locust to compare with: .ci/setup installs it")
	}
	file, err := filepath.Abs("testdata/locust/differ.py")
	if err != nil {
		t.Fatal(err)
	}
	weir, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "weir")
	if err := os.Symlink(weir, link); err != nil {
		t.Fatal(err)
	}
	host := differServer(t)
	for name, more := range map[string][]string{
		"usual":        {"-u", "13", "-r", "13"},
		"full history": {"-u", "13", "-r", "13", "--csv-full-history", "--only-summary", "-E", "slow", "--exit-code-on-error", "7"},
		"no failures":  {"-u", "9", "-r", "9", "Quiet", "-T", "quiet", "--loglevel", "warning"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Counts are held to chance, and on a machine without a free CPU Locust now and
			// then sends nothing for seconds, or does not come to write its files: so each
			// try is twice as long.
			seconds := 7
			tries(t, func(found *differences) {
				args := append([]string{"-f", file, "--headless", "-t", fmt.Sprint(seconds, "s"), "-H", host, "--csv", "sub/out", "--json", "--html", "r_{u}_{r}_{t}.html"}, more...)
				seconds *= 2
				var theirs, ours outcome
				a, b := t.TempDir(), t.TempDir()
				var both sync.WaitGroup
				both.Go(func() { theirs = runProgram(t, a, program, args...) })
				both.Go(func() { ours = runProgram(t, b, link, append([]string{"locust"}, args...)...) })
				both.Wait()
				compareLocust(found, theirs, ours)
				if len(found.list) > 0 {
					found.Errorf("Locust said\n%s\nWeir said\n%s", theirs.stderr, ours.stderr)
				}
			})
		})
	}
}

func compareLocust(t *differences, theirs, ours outcome) {
	if theirs.code != ours.code {
		t.Errorf("exit code: Locust %d, Weir %d", theirs.code, ours.code)
	}
	if a, b := fileNames(t, theirs.dir), fileNames(t, ours.dir); !slices.Equal(a, b) {
		t.Errorf("files: Locust %q, Weir %q", a, b)
	}
	stats, wrong := map[string][]map[string]string{}, map[string][]map[string]string{}
	for _, suffix := range []string{"stats", "stats_history", "failures", "exceptions"} {
		a, heads := readCSV(t, filepath.Join(theirs.dir, "sub", "out_"+suffix+".csv"))
		b, ourHeads := readCSV(t, filepath.Join(ours.dir, "sub", "out_"+suffix+".csv"))
		if heads != ourHeads {
			t.Errorf("%s: columns\n%s\n%s", suffix, heads, ourHeads)
		}
		stats[suffix], wrong[suffix] = a, b
	}
	key := func(columns ...string) func(map[string]string) string {
		return func(row map[string]string) string {
			var k []string
			for _, c := range columns {
				k = append(k, row[c])
			}
			return strings.Join(k, " ")
		}
	}
	sameCounts(t, "stats", stats["stats"], wrong["stats"], key("Type", "Name"), "Request Count")
	sameCounts(t, "failures", stats["failures"], wrong["failures"], key("Method", "Name", "Error"), "Occurrences")
	sameCounts(t, "exceptions", stats["exceptions"], wrong["exceptions"], key("Message", "Nodes"), "Count")
	if a, b := keysOf(stats["stats_history"], key("Type", "Name")), keysOf(wrong["stats_history"], key("Type", "Name")); !slices.Equal(a, b) {
		t.Errorf("history: names %q and %q", a, b)
	}
	for _, rows := range [][]map[string]string{stats["stats"], wrong["stats"]} {
		sameKinds(t, rows)
	}
	for i, row := range wrong["stats"] { // the same kind of figure in every cell
		if i >= len(stats["stats"]) {
			break
		}
		for column, cell := range row {
			if figureless(cell) != figureless(stats["stats"][i][column]) && column != "Min Response Time" && column != "Max Response Time" && column != "Median Response Time" {
				t.Errorf("stats, %s of %s: %q and %q", column, row["Name"], stats["stats"][i][column], cell)
			}
		}
	}
	if a, b := jsonShape(t, theirs.stdout), jsonShape(t, ours.stdout); !maps.Equal(a, b) {
		t.Errorf("JSON: %v and %v", a, b)
	}
	if a, b := logLines(theirs.stderr), logLines(ours.stderr); !slices.Equal(a, b) {
		t.Errorf("log lines:\nLocust %q\nWeir   %q", a, b)
	}
	if a, b := tableHeads(theirs.stderr), tableHeads(ours.stderr); !slices.Equal(a, b) {
		t.Errorf("tables:\nLocust %q\nWeir   %q", a, b)
	}
}

func fileNames(t *differences, dir string) []string {
	var names []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Errorf("%v", err)
	}
	return names
}

// readCSV returns the rows by column and the first line as it is.
func readCSV(t *differences, path string) (rows []map[string]string, head string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v", err)
		return nil, ""
	}
	head, _, _ = strings.Cut(string(text), "\n")
	if !strings.HasSuffix(head, "\r") {
		t.Errorf("%s: the first line does not end with CRLF", path)
	}
	all, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(all) == 0 {
		t.Errorf("%s: %v", path, err)
		return nil, head
	}
	for _, line := range all[1:] {
		row := map[string]string{}
		for i, cell := range line {
			row[all[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return rows, head
}

func keysOf(rows []map[string]string, key func(map[string]string) string) []string {
	var out []string
	for _, r := range rows {
		if k := key(r); !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// sameCounts wants the same rows, and counts no further apart than chance and a
// busy machine put them.
func sameCounts(t *differences, what string, theirs, ours []map[string]string, key func(map[string]string) string, column string) {
	if a, b := keysOf(theirs, key), keysOf(ours, key); !slices.Equal(a, b) {
		t.Errorf("%s: rows\nLocust %q\nWeir   %q", what, a, b)
		return
	}
	count := map[string]float64{}
	for _, r := range theirs {
		count[key(r)], _ = strconv.ParseFloat(r[column], 64)
	}
	for _, r := range ours {
		n, err := strconv.ParseFloat(r[column], 64)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		a := count[key(r)]
		if apart := math.Abs(a - n); apart > 5*math.Sqrt(a+n)+0.25*math.Max(a, n) {
			t.Errorf("%s of %s: Locust %v, Weir %v", column, key(r), a, n)
		}
	}
}

// sameKinds wants what holds in every statistics file: percentiles that rise, and a
// sum that is one.
func sameKinds(t *differences, rows []map[string]string) {
	sum := 0
	for _, r := range rows {
		n, _ := strconv.Atoi(r["Request Count"])
		if r["Name"] == "Aggregated" {
			// Locust writes its last file up to a second before the end, from
			// counters that go on.
			if apart := sum - n; apart > 3 || apart < -3 {
				t.Errorf("the rows add up to %d, and Aggregated is %d", sum, n)
			}
			continue
		}
		sum += n
		last := -1
		for _, p := range []string{"50%", "66%", "75%", "80%", "90%", "95%", "98%", "99%", "99.9%", "99.99%", "100%"} {
			v, err := strconv.Atoi(r[p])
			if err != nil || v < last {
				t.Errorf("%s of %s is %q after %d", p, r["Name"], r[p], last)
			}
			last = v
		}
	}
}

var (
	digits = regexp.MustCompile(`[0-9]+`)
	zero   = regexp.MustCompile(`^0\.0+$`)
)

// figureless is a cell without its figures.
func figureless(cell string) string {
	if zero.MatchString(cell) {
		return "0.0"
	}
	return strings.TrimSuffix(digits.ReplaceAllString(cell, "0"), "e-0")
}

// jsonShape has the keys of the entries of --json by their names.
func jsonShape(t *differences, text string) map[string]string {
	var list []map[string]any
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Errorf("--json: %v in %.200q", err, text)
		return nil
	}
	out := map[string]string{}
	for _, e := range list {
		out[fmt.Sprint(e["method"], " ", e["name"])] = strings.Join(slices.Sorted(maps.Keys(e)), " ")
	}
	return out
}

// logLines are the lines that Locust logs about the run, without times and
// versions.
func logLines(stderr string) []string {
	line := regexp.MustCompile(`(?m)^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] [^/\s]+/(\w+)/(locust\.main|locust\.runners): (.*)$`)
	var out []string
	for _, m := range line.FindAllStringSubmatch(stderr, -1) {
		text := m[1] + " " + m[2] + ": " + m[3]
		if i := strings.Index(text, "Starting Locust"); i >= 0 {
			text = text[:i+len("Starting Locust")]
		}
		out = append(out, text)
	}
	slices.Sort(out) // of lines that are written at once, either may be first
	return out
}

// tableHeads are the first lines of the tables, each once, in their order.
func tableHeads(stderr string) []string {
	var out []string
	for _, l := range strings.Split(stderr, "\n") {
		if (strings.HasPrefix(l, "Type ") || strings.HasPrefix(l, "--------|") || strings.HasPrefix(l, "Response time percentiles") || l == "Error report" || strings.HasPrefix(l, "# occurrences")) && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}
