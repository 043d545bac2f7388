// Package weir is Class, a kind of user written in Go, and the ways to run it:
// Main makes a command of it, Test runs it inside go test, and Run anywhere else.
//
// It is the load tester of the command weir with scenarios in Go instead of
// Starlark: the same engine, flags, reports and exit codes, and every answer is
// one of admitted, throttled, failed and missed. A program of one user class:
//
//	func main() {
//		weir.Main(weir.Class[weir.User]{
//			Name: "Visitor",
//			Host: "http://127.0.0.1:8000",
//			Wait: weir.Between(time.Second, 2*time.Second),
//			Tasks: []weir.Task[weir.User]{
//				{Name: "index", Weight: 3, Do: func(u *weir.User) error { u.Get("/"); return nil }},
//				{Name: "about", Do: func(u *weir.User) error { u.Get("/about"); return nil }},
//			},
//		})
//	}
//
// docs/go.md shows more, and examples/sms is a whole scenario with logins and state.
package weir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/cli"
	"github.com/weir-dev/weir/internal/report"
)

// Main runs classes, by profiles if there are some, as the command line says, with the flags of "weir run"
// (see --help), and exits with its exit code: 0 passed, 1 a condition failed, 2 wrong
// usage, 3 could not run, 4 invalid, 130 interrupted.
func Main(scenario ...Declaration) {
	name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	os.Exit(cli.RunProgram(program(name, scenario, false), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func program(name string, classes []Declaration, loopback bool) cli.Program {
	return cli.Program{Name: name, Load: func(o cli.ProgramOptions) (*cli.ProgramScenario, error) {
		sc, err := newScenario(classes, o, loopback)
		if err != nil {
			return nil, err
		}
		return &cli.ProgramScenario{Scenario: sc, Hosts: sc.hosts(), Details: sc.describe(), Senders: sc.senders,
			Profiles: sc.profiles, Part: sc.part, Known: sc.known}, nil
	}}
}

// Options say how much load Run and Test send, and where. The zero value is one
// user for ten seconds, on this machine only.
type Options struct {
	Host string // replaces that of every class

	Users     int           // users, each of which waits for its answers. 0: 1, or by Rate or Stages
	SpawnRate float64       // users started per second. 0: all at once
	Rate      string        // arrivals instead of users: "50/s", "1000/h"
	Stages    string        // either in stages: "0..50/s:10s,50/s:1m", "0..20:5s,20:10s"
	WarmUp    time.Duration // how long load is sent before it counts, in whole seconds
	RunTime   time.Duration // how long. 0: as long as Stages, or until Requests, else ten seconds
	Requests  int64         // stop after so many. 0: no bound
	Seed      uint64        // of User.Rand and everything else random. 0: 1

	FailIf []string // the run fails if one of these holds: "failed.count > 0", "admitted.p95 > 200ms"
	StopIf []string // the same, and it stops at once
	Args   []string // further flags of "weir run": "--throttled", "403"

	// Dir is the folder for run.weir, summary.json and report.html; it is made if
	// it is missing. "": Test uses one that is gone with the test, Run keeps nothing.
	Dir string

	// Remote allows hosts other than this machine. Without it no request is sent
	// to one, except where a server redirects there.
	Remote bool
}

// Result is how a run ended.
type Result struct {
	ExitCode int    // 0 passed, 1 failed, 4 invalid, 130 interrupted
	Reason   string // of the verdict, in plain sentences
	Length   time.Duration

	Counts
	Names  []NameResult // a row for each request name
	Errors []ErrorCount // failed requests and errors of tasks, by reason
	Text   string       // the report in words, as on a terminal

	RunFile string // path of run.weir, which "weir report" reads; "" without Options.Dir
}

// Passed reports whether the run passed: something was sent and answered, not
// everything failed, no task returned an error, and no condition of FailIf and
// StopIf held. With the flag --allow-errors in Options.Args tasks may fail.
func (r Result) Passed() bool { return r.ExitCode == 0 }

// Counts are numbers of requests by outcome.
type Counts struct{ Admitted, Throttled, Failed, Missed int64 }

// NameResult is what became of the requests of one name.
type NameResult struct {
	Method, Name string
	Counts
	P50, P95, P99 time.Duration // response time of admitted requests; 0 when there were none
}

// ErrorCount is how often something went wrong.
type ErrorCount struct {
	Text  string
	Count int64
}

// T is the part of testing.TB that Test needs.
type T interface {
	Helper()
	TempDir() string
	Errorf(format string, args ...any)
}

// Test runs the classes inside a test, and fails it with the reason when the
// run does not pass. What it is asked for is checked before anything is sent.
// Files go into Options.Dir, or else into t.TempDir().
func Test(t T, o Options, classes ...Declaration) Result {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	r, err := Run(o, classes...)
	switch {
	case err != nil:
		t.Errorf("the load test could not be run: %v", err)
	case !r.Passed():
		t.Errorf("the load test did not pass (exit code %d): %s\n%s", r.ExitCode, r.Reason, r.Text)
	}
	return r
}

// Run runs the classes and returns when the run is over. A run that was judged,
// whatever the verdict, is no error. Runs may go on side by side, but their
// figures then tell of each other. An interrupt of the process (SIGINT, SIGTERM)
// ends the run gracefully.
func Run(o Options, classes ...Declaration) (r Result, err error) {
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "weir-"); err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return r, err
	}
	summary := filepath.Join(dir, "summary.json")
	// A summary of an earlier run must not be taken for that of this one.
	if err := os.Remove(summary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return r, err
	}
	args := append(o.flags(), "--json", summary, "--progress", "none", "--yes", "--out", filepath.Join(dir, "run.weir"))
	if o.Dir != "" {
		args = append(args, "--html", filepath.Join(dir, "report.html"))
		r.RunFile = filepath.Join(dir, "run.weir")
	}
	var stdout, stderr bytes.Buffer
	code := cli.RunProgram(program("weir.Run", classes, !o.Remote), append(args, o.Args...), strings.NewReader(""), &stdout, &stderr)
	b, err := os.ReadFile(summary)
	if err != nil {
		return Result{ExitCode: code}, errors.New(complaint(stderr.String(), stdout.String()))
	}
	r.ExitCode, r.Text = code, stdout.String()
	return r, r.read(b)
}

// complaint takes the program's name off its error.
func complaint(texts ...string) string {
	for _, t := range texts {
		if t = strings.TrimSpace(strings.TrimPrefix(t, "weir weir.Run: ")); t != "" {
			return t
		}
	}
	return "it ended without a report"
}

// flags are the command line of o.
func (o *Options) flags() []string {
	var f []string
	add := func(given bool, flag, value string) {
		if given {
			f = append(f, flag+"="+value)
		}
	}
	add(o.Host != "", "--host", o.Host)
	add(o.Users != 0, "--users", strconv.Itoa(o.Users))
	add(o.SpawnRate != 0, "--spawn-rate", strconv.FormatFloat(o.SpawnRate, 'f', -1, 64))
	add(o.Rate != "", "--rate", o.Rate)
	add(o.Stages != "", "--stages", o.Stages)
	add(o.WarmUp != 0, "--warm-up", o.WarmUp.String())
	add(o.RunTime != 0, "--run-time", o.RunTime.String())
	add(o.Requests != 0, "--requests", strconv.FormatInt(o.Requests, 10))
	add(o.Seed != 0, "--seed", strconv.FormatUint(o.Seed, 10))
	for _, c := range o.FailIf {
		add(true, "--fail-if", c)
	}
	for _, c := range o.StopIf {
		add(true, "--stop-if", c)
	}
	return f
}

// read takes what it needs from a summary.
func (r *Result) read(b []byte) error {
	var sum report.Summary
	if err := json.Unmarshal(b, &sum); err != nil {
		return fmt.Errorf("the summary of the run cannot be read: %w", err)
	}
	r.Reason = sum.Verdict.Reason
	for _, c := range sum.Verdict.Checks {
		// What nobody asked for is a sentence of the reason already.
		if c.Result != "pass" && !strings.Contains(r.Reason, strings.TrimRight(c.Observed, ".")) {
			r.Reason += fmt.Sprintf(" %s: %s.", c.Expression, strings.TrimRight(c.Observed, "."))
		}
	}
	r.Length = time.Duration(sum.Run.Seconds * float64(time.Second))
	r.Counts = counts(&sum.Outcomes)
	for _, n := range sum.Names {
		row := NameResult{Method: n.Method, Name: n.Name, Counts: counts(&n.Outcomes)}
		if l := n.Outcomes.Admitted.Response; l != nil {
			row.P50, row.P95, row.P99 = millis(l.P50), millis(l.P95), millis(l.P99)
		}
		r.Names = append(r.Names, row)
	}
	for _, e := range sum.Errors {
		r.Errors = append(r.Errors, ErrorCount{Text: e.Text, Count: e.Count})
	}
	return nil
}

func counts(o *report.Outcomes) Counts {
	return Counts{o.Admitted.Count, o.Throttled.Count, o.Failed.Count, o.Missed.Count}
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
