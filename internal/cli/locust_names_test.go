package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/lab"
	"github.com/weir-dev/weir/internal/report"
)

// weirProgram is the test's binary under the name of the command.
func weirProgram(t *testing.T) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "weir")
	if err := os.Symlink(os.Args[0], link); err != nil {
		t.Fatal(err)
	}
	return link
}

func plainServer(t *testing.T, standin string) string {
	t.Helper()
	s, err := lab.Start(context.Background(), lab.Config{Standin: standin})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.URL()
}

// TestEveryLocustNameIsInTheGuide compares the table of names in docs/locust.md
// with the names that Locust has (testdata/locust/names.json, of Locust 2.47.0)
// and with those that scripts find here. With UPDATE_NAMES=1 it writes the table
// anew: names that were missing and are there are said to work.
func TestEveryLocustNameIsInTheGuide(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an interpreter, and without -short")
	}
	path, err := filepath.Abs("testdata/locust/names.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var names map[string][]string
	if err := json.Unmarshal(text, &names); err != nil {
		t.Fatal(err)
	}
	script, _ := filepath.Abs("testdata/locust/names.py")
	t.Setenv("NAMES", path)
	out := runProgram(t, t.TempDir(), weirProgram(t), "locust", "-f", script, "--headless", "-t", "20s", "-H", plainServer(t, "plain"), "--only-summary")
	var found map[string][]string
	line := regexp.MustCompile(`(?m)^NAMES (.*)$`).FindStringSubmatch(out.stdout)
	if line == nil {
		t.Fatalf("the script did not look at its names:\n%s\n%s", out.stdout, out.stderr)
	}
	if err := json.Unmarshal([]byte(line[1]), &found); err != nil {
		t.Fatal(err)
	}

	guide, err := os.ReadFile("../../docs/locust.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-zA-Z_.]+)` \\| (.*) \\| (.*) \\| (.*) \\|$")
	quoted := regexp.MustCompile("`([^`]+)`")
	cells := func(s string) (out []string) {
		for _, m := range quoted.FindAllStringSubmatch(s, -1) {
			out = append(out, m[1])
		}
		return out
	}
	checked := 0
	rows := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(guide), -1) {
		home := m[1]
		want, ok := names[home]
		if !ok {
			continue // another table
		}
		rows[home] = true
		if os.Getenv("UPDATE_NAMES") != "" {
			guide = bytes.Replace(guide, []byte(m[0]), []byte(namesRow(home, want, found[home], cells(m[3]))), 1)
			continue
		}
		works, differs, missing := cells(m[2]), cells(m[3]), cells(m[4])
		all := slices.Sorted(slices.Values(slices.Concat(works, differs, missing)))
		if !slices.Equal(all, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: the guide has %q, Locust has %q", home, all, want)
		}
		for _, n := range slices.Concat(works, differs) {
			if checked++; !slices.Contains(found[home], n) {
				t.Errorf("%s.%s: the guide says that it is there, and it is not", home, n)
			}
		}
		for _, n := range missing {
			if checked++; slices.Contains(found[home], n) {
				t.Errorf("%s.%s: the guide says that it is missing, and it is there", home, n)
			}
		}
	}
	if os.Getenv("UPDATE_NAMES") != "" {
		if err := os.WriteFile("../../docs/locust.md", guide, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, home := range slices.Sorted(maps.Keys(names)) {
		if !rows[home] {
			t.Errorf("the guide has no row for %s", home)
		}
	}
	if checked < 500 {
		t.Errorf("checked only %d names", checked)
	}
}

// namesRow is a row of the table.
func namesRow(home string, all, found, differ []string) string {
	var cells [3][]string // works, differs, missing
	for _, n := range all {
		k := 2
		if slices.Contains(found, n) {
			k = 0
			if slices.Contains(differ, n) {
				k = 1
			}
		}
		cells[k] = append(cells[k], "`"+n+"`")
	}
	row := "| `" + home + "` |"
	for _, c := range cells {
		row += " " + cmp.Or(strings.Join(c, " "), "–") + " |"
	}
	return row
}

// TestConvertedExampleIsTheSame runs a locustfile and what it became in Starlark.
func TestConvertedExampleIsTheSame(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs for some seconds, and without -short")
	}
	host := plainServer(t, "plain")
	tries(t, func(found *differences) { // tasks are drawn, and a busy machine draws few
		sums := map[string]*report.Summary{}
		for _, ext := range []string{".py", ".star"} {
			sums[ext] = runJSON(t, "run", "../../examples/bookshop"+ext, "--host", host, "-u", "9", "-t", "5s", "--max-send-lag", "20s")
		}
		count := func(s *report.Summary) map[string]float64 {
			out := map[string]float64{}
			for _, n := range s.Names {
				out[n.Method+" "+n.Name] = float64(n.Outcomes.Admitted.Count)
				if bad := n.Outcomes.Failed.Count + n.Outcomes.Throttled.Count; bad > 0 {
					found.Errorf("%s %s: %d failed or throttled", n.Method, n.Name, bad)
				}
			}
			return out
		}
		python, starlark := count(sums[".py"]), count(sums[".star"])
		if !slices.Equal(slices.Sorted(maps.Keys(python)), slices.Sorted(maps.Keys(starlark))) || len(python) != 4 {
			found.Errorf("requests: %v and %v", python, starlark)
		}
		for name, n := range python {
			if m := starlark[name]; n+m < 4 || n > 3*m+10 || m > 3*n+10 {
				found.Errorf("%s: %v in Python, %v in Starlark", name, n, m)
			}
		}
	})
}

// TestConnectorBesideATest runs a connector to CloudWatch in the shape of those
// that Locust users have: a file of event hooks with a flag of its own.
func TestConnectorBesideATest(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for some seconds, and without -short")
	}
	python := ""
	own, _ := filepath.Abs("../../.cache/boto3/bin/python")
	for _, p := range []string{own, "python3"} {
		if exec.Command(p, "-c", "import boto3").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no Python with boto3: run .ci/setup")
		}
		t.Skip("skipped: there is no Python with boto3: .ci/setup installs it")
	}
	folder, _ := filepath.Abs("testdata/locust")
	t.Setenv("AWS_STANDIN", plainServer(t, "aws"))
	// Its counters are not made for threads, which users become where a call to the
	// service takes so long that the others go on without it.
	tries(t, func(found *differences) {
		out := runProgram(t, folder, weirProgram(t), "locust", "-f", "locust_cw.py,test.py", "--live=True", "--headless", "-u", "5", "-r", "5", "-t", "3s",
			"-H", plainServer(t, "plain"), "--python", python, "--only-summary")
		if out.code != 0 {
			found.Errorf("exit code %d", out.code)
		}
		m := regexp.MustCompile(`left Queue : (\d+)  sent (\d+) requests (\d+)`).FindStringSubmatch(out.stdout)
		if m == nil || !strings.Contains(out.stdout, "live True") {
			t.Fatalf("the connector said\n%s\n%s", out.stdout, out.stderr)
		}
		sent, _ := strconv.Atoi(m[2]) // the expression has digits only
		requests, _ := strconv.Atoi(m[3])
		if requests < 5 || sent != 3*requests {
			found.Errorf("%d data for %d requests", sent, requests)
		}
	})
}
