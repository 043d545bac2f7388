package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/report"
)

// TestPromisesOfAnHour runs two seconds of 36,000 an hour, end to end.
func TestPromisesOfAnHour(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	dir := t.TempDir()
	file, again := filepath.Join(dir, "run.weir"), filepath.Join(dir, "again.json")
	run := func(args ...string) (int, string) {
		code, stdout, stderr := weirHere(append([]string{"run", target.URL, "--rate", "36000/h", "--for", "2s", "--max-send-lag", "60s", "--progress", "none", "--out", file}, args...)...)
		return code, strings.Join(strings.Fields(stdout), " ") + stderr
	}
	// A machine that stands still makes two seconds longer, and the promise is not kept.
	tries(t, func(found *differences) {
		code, out := run("--expect", "admitted.per_hour >= 36000")
		if code != exitPassed || !strings.Contains(out, "PASSED") || !strings.Contains(out, "EXTRAPOLATED: the run counted 20 admitted in 2 s, not in an hour. That is 36,000/h") {
			found.Errorf("a promise that is kept: exit code %d\n%s", code, out)
		}
	})
	// Whoever reads the run file later is told the same.
	if code, _, stderr := weirHere("report", file, "--json", again, "--quiet"); code != exitPassed {
		t.Fatalf("report: exit code %d, %s", code, stderr)
	}
	var sum report.Summary
	b, err := os.ReadFile(again)
	if err == nil {
		err = json.Unmarshal(b, &sum)
	}
	if err != nil || len(sum.Verdict.Checks) != 1 || sum.Verdict.Checks[0].Estimate == nil || sum.Verdict.Checks[0].Estimate.Requests != 20 || !strings.Contains(sum.Verdict.Reason, "EXTRAPOLATED") {
		t.Errorf("the report made later: %+v, %v", sum.Verdict, err)
	}
	if code, out := run("--expect", "admitted.per_hour >= 72000"); code != exitFailed || !strings.Contains(out, "expect admitted.per_hour >= 72000") {
		t.Errorf("a promise that is broken: exit code %d\n%s", code, out)
	}
	if code, out := run("--expect", "admitted.per_hour.low >= 36000"); code != exitFailed {
		t.Errorf("a promise that is not proved: exit code %d\n%s", code, out)
	}
	if code, stdout, _ := weirHere("run", target.URL, "--rate", "1000/h", "--for", "1h", "--expect", "admitted.per_hour >= 1000", "--dry-run"); code != exitPassed || !strings.Contains(stdout, "Expects:  admitted.per_hour >= 1000") || !strings.Contains(stdout, "1000 requests") {
		t.Errorf("the plan: exit code %d\n%s", code, stdout)
	}
}

func TestConditionsThatAreWrong(t *testing.T) {
	cases := []struct {
		args []string
		want string
	}{
		{[]string{"--expect", "admitted.per_day > 1"}, "--expect: column 10"},
		{[]string{"--expect", "admitted.rate > 1/s for 3s"}, "leave out \"for\""},
		{[]string{"--stop-if", "expect admitted.rate > 1/s"}, "judged at the end"},
		{[]string{"--fail-if", "watch{connections}.used > 90%"}, "nothing is watched"},
		{[]string{"--expect", "watch{connections}.used < 90%"}, "nothing is watched"},
		{[]string{"--stop-if", "watch{connections}.used > 90%"}, "nothing is watched"},
		{[]string{"--fail-if", "watch.postgres.connections_used > 90%"}, "which figure in braces, as in watch{connections}.used > 90%"},
	}
	for _, c := range cases {
		code, _, stderr := weirHere(append([]string{"run", "http://127.0.0.1:1/", "-n", "1", "--out", "none", "--progress", "none"}, c.args...)...)
		if code != exitUsage || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", c.args, code, stderr, exitUsage, c.want)
		}
	}
	if len(cases) < 7 {
		t.Fatal("cases are missing")
	}
}

// TestAWatchedFigureStopsTheRun follows a pool that fills up, and one that is not there.
func TestAWatchedFigureStopsTheRun(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	used := 0
	mon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result := ""
		switch r.FormValue("query") {
		case "used":
			used = min(used+20, 100)
			result = fmt.Sprintf(`{"metric":{},"value":[1,"%d"]}`, used)
		case "size":
			result = `{"metric":{},"value":[1,"100"]}`
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, result)
	}))
	defer mon.Close()
	run := func(condition string) (int, string) {
		code, stdout, stderr := weirHere("run", target.URL, "--rate", "20/s", "-t", "20s", "-n", "60", "--max-send-lag", "60s", "--progress", "none", "--out", "none", "--watch", "prometheus+"+mon.URL,
			"--watch-query", "pool=used", "--watch-limit", "pool=size", "--watch-query", "gone=nothing", "--watch-every", "100ms", "--stop-if", condition)
		return code, strings.Join(strings.Fields(stdout), " ") + stderr
	}
	if code, out := run("watch{pool}.used > 90%"); code != exitFailed || !strings.Contains(out, "100% of 100 (Prometheus pool)") {
		t.Errorf("a full pool: exit code %d\n%s", code, out)
	}
	if code, out := run("watch{gone}.max > 1"); code != exitFailed || !strings.Contains(out, "no-data") {
		t.Errorf("a figure that was never read: exit code %d\n%s", code, out)
	}
}
