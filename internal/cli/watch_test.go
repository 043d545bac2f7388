package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/runfile"
)

// weirHere runs the command in this process.
func weirHere(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main(args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// TestRunWatchesPrometheus loads one server and reads another beside it, which is
// at its limit all the time.
func TestRunWatchesPrometheus(t *testing.T) {
	const password = "Gehe!m9"
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	mon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, _ := r.BasicAuth(); p != password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		value := map[string]string{"used": "97", "size": "100"}[r.FormValue("query")]
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,%q]}]}}`, value)
	}))
	defer mon.Close()
	t.Setenv("MON", strings.Replace("prometheus+"+mon.URL, "//", "//me:"+password+"@", 1))
	dir := t.TempDir()
	file, page := filepath.Join(dir, "run.weir"), filepath.Join(dir, "run.json")
	code, stdout, stderr := weirHere("run", target.URL, "-t", "3s", "--rate", "20/s", "--max-send-lag", "20s", "--progress", "none", "--out", file, "--json", page,
		"--watch-env", "MON", "--watch-query", "pool[connections]=used", "--watch-limit", "pool=size", "--watch-every", "100ms")
	if code != exitPassed {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(strings.Join(strings.Fields(stdout), " "), "Bottleneck: Prometheus pool reached 97 connections of 100 connections from ") {
		t.Errorf("the summary does not name the bottleneck:\n%s", stdout)
	}
	r, err := runfile.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	readings := 0
	after := "" // a reading may come after the end of the last tick, and of no other
	for k, err := range r.Ticks() {
		if err != nil {
			t.Fatal(err)
		}
		if after != "" {
			t.Error(after)
		}
		for _, w := range k.Watched {
			readings++
			text := fmt.Sprintf("the reading at %v is in the tick from %v to %v", w.At, k.Start, k.Start+k.Length)
			if w.At < k.Start {
				t.Error(text)
			}
			if w.At >= k.Start+k.Length {
				after = text
			}
		}
	}
	if readings < 3 {
		t.Errorf("%d readings in three seconds, want one each 100 ms, and 3 at the very least", readings)
	}
	var sum struct {
		Watched []struct {
			Name, Unit string
			Max, Limit float64
		}
	}
	b, err := os.ReadFile(page)
	if err == nil {
		err = json.Unmarshal(b, &sum)
	}
	if err != nil || len(sum.Watched) != 1 || sum.Watched[0].Name != "pool" || sum.Watched[0].Max != 97 || sum.Watched[0].Limit != 100 {
		t.Errorf("watched in the JSON: %+v, %v", sum.Watched, err)
	}
	for _, path := range []string{file, page} {
		if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte(password)) {
			t.Errorf("%s holds the password, or: %v", path, err)
		}
	}
}

func TestWatchFlagsThatAreWrong(t *testing.T) {
	sent := 0
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent++ }))
	defer target.Close()
	const secret = "Gehe!m9"
	t.Setenv("EMPTY", "")
	t.Setenv("BAD", "postgres://me:"+secret+"@127.0.0.1:x/db")
	q := []string{"--watch-query", "a=up"}
	cases := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--watch", "mysql://me:" + secret + "@db/x"}, exitUsage, "postgres://user@host"},
		{[]string{"--watch", "password=" + secret}, exitUsage, "postgres://user@host"},
		{[]string{"--watch-env", "BAD"}, exitUsage, "postgres://user@host"},
		{[]string{"--watch-env", "EMPTY"}, exitUsage, "nothing in the environment variable EMPTY"},
		{[]string{"--watch", "prometheus+http://127.0.0.1:1"}, exitUsage, "no question"},
		{q, exitUsage, "none is watched"},
		{append([]string{"--watch", "prometheus+http://127.0.0.1:1", "--watch-limit", "b=1"}, q...), exitUsage, `no --watch-query called "b"`},
		{[]string{"--watch-query", "up"}, exitUsage, "NAME=PROMQL"},
		{append([]string{"--watch", "prometheus+http://127.0.0.1:1", "--watch-token-env", "EMPTY"}, q...), exitUsage, "EMPTY"},
		{append([]string{"--watch", "prometheus+http://127.0.0.1:1", "--watch-every", "1ms"}, q...), exitUsage, "too often"},
		{append([]string{"--watch", "prometheus+http://127.0.0.1:1", "--watch", "prometheus+http://127.0.0.1:1"}, q...), exitUsage, "given twice"},
		{append([]string{"--watch", "prometheus+http://127.0.0.1:1"}, q...), exitCannotRun, "nothing was sent: Prometheus"},
		{[]string{"--watch", "postgres://me:" + secret + "@127.0.0.1:1/x"}, exitCannotRun, "nothing was sent: PostgreSQL at 127.0.0.1:1: "},
	}
	for _, c := range cases {
		code, _, stderr := weirHere(append([]string{"run", target.URL, "-n", "1", "--out", "none", "--progress", "none"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stderr, secret) {
			t.Errorf("%q: exit code %d, %q; want %d and %q, without the secret", c.args, code, stderr, c.code, c.want)
		}
	}
	if len(cases) < 13 || sent != 0 {
		t.Fatalf("%d cases, %d requests sent; want 13 or more, and none", len(cases), sent)
	}
}
