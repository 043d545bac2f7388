package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/locust"
	"github.com/weir-dev/weir/internal/locust/book"
	"github.com/weir-dev/weir/internal/locust/page"
	"github.com/weir-dev/weir/internal/report"
)

// locustRun is what "weir locust" does beside a run: Locust's log lines, its
// tables and files, and its exit code. The methods that the run calls do nothing
// on nil, for runs of any other verb.
type locustRun struct {
	console *console
	getenv  func(string) string
	python  *pythonRun
	options locustOptions
	pace    statsPace
	book    *book.Book
	files   *locustFiles
	judged  bool // there are conditions, or a bound on lateness: Weir's verdict counts, too
	strict  bool // a bound on the generator's lateness was asked for

	quit chan struct{} // ends second and tables
	done sync.WaitGroup

	mu     sync.Mutex
	byName map[string]int // guarded by mu: users by class at their most
	users  int            // guarded by mu
	wanted int            // guarded by mu: users, as it was last said
	begun  bool           // guarded by mu
	over   bool           // guarded by mu: the reason of the end was logged
}

// prepare reads the options and opens the files.
func (l *locustRun) prepare(f *locustOwn, given map[string]bool) (err error) {
	loaded := l.python.loaded
	if l.options, err = readLocustOptions(loaded.Options); err != nil {
		return err
	}
	o := &l.options
	notes, err := o.check(loaded.Shape != nil)
	if err != nil {
		return err
	}
	if o.OTel && l.getenv("OTEL_EXPORTER_OTLP_HEADERS") != "" && f.OTLPHeaderEnv == "" {
		notes = append(notes, "the headers in OTEL_EXPORTER_OTLP_HEADERS are not sent; give them with --otlp-header-env")
	}
	for _, n := range notes {
		fmt.Fprintf(l.console, "weir locust: %s\n", n)
	}
	for _, n := range loaded.Notices {
		l.notice(n.File, n.Line, n.Text)
	}
	if len(loaded.Stats) > 0 {
		if err := json.Unmarshal(loaded.Stats, &l.pace); err != nil {
			return cannotRun("", "what the script set in locust.stats cannot be read: %v", err)
		}
		var all map[string]json.RawMessage
		_ = json.Unmarshal(loaded.Stats, &all) // it was an object just now
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if !slices.Contains(statsSettings, name) {
				fmt.Fprintf(l.console, "weir locust: locust.stats.%s is set, and has no effect here\n", name)
			}
		}
	}
	if l.pace.Percentiles != nil {
		l.book.Percentiles(l.pace.Percentiles)
	}
	l.mu.Lock()
	l.begun = true
	l.mu.Unlock()
	one, rate := 1, 1.0
	if o.Users == nil {
		o.Users = &one
	}
	if o.SpawnRate == nil {
		o.SpawnRate = &rate
	}
	l.judged = len(f.FailIf)+len(f.StopIf)+len(f.Expect) > 0
	l.strict = given["max-send-lag"]
	if err := l.console.open(o); err != nil {
		return err
	}
	if o.CSV != "" {
		if l.files, err = createLocustFiles(o.CSV, l.book, o.FullHistory); err != nil {
			return err
		}
	}
	for flag, path := range map[string]string{"--html": o.htmlName(), "--json-file": o.JSONFile} {
		if path == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return cannotRun("choose another place for the report", "%s %s: cannot make the folder %s: %v", flag, path, filepath.Dir(path), bare(err))
		}
		if flag == "--json-file" {
			path += ".json"
		}
		if err := writable(flag, path); err != nil {
			return err
		}
	}
	return nil
}

// notify writes Locust's lines about what happens to its users.
func (l *locustRun) notify(e locust.Event) {
	switch e.Kind {
	case "ramp":
		l.mu.Lock()
		l.wanted = e.N
		l.mu.Unlock()
		if l.python.loaded.Shape != nil {
			l.console.log("INFO", "locust.runners", fmt.Sprintf("Shape test updating to %d users at %.2f spawn rate", e.N, e.Rate))
		}
		l.console.log("INFO", "locust.runners", fmt.Sprintf("Ramping to %d users at a rate of %.2f per second", e.N, e.Rate))
	case "spawned":
		l.remember(e.ByClass)
		text, _ := json.Marshal(e.ByClass) // a map of numbers: it cannot fail
		l.console.log("INFO", "locust.runners", fmt.Sprintf("All users spawned: %s (%d total users)", strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(string(text)), e.N))
	case "stopping":
		l.ending(e.Text)
	case "notice", "stuck":
		l.notice(e.File, e.Line, e.Text)
	case "lost":
		l.mu.Lock()
		begun := l.begun
		l.mu.Unlock()
		if !begun { // then it is the error of the start
			return
		}
		l.console.log("CRITICAL", "locust.main", e.Text)
	}
}

// notice says something about the script, with its place where there is one.
func (l *locustRun) notice(file string, line int, text string) {
	if file != "" {
		text = fmt.Sprintf("%s:%d: %s", file, line, text)
	}
	fmt.Fprintf(l.console, "weir locust: %s\n", text)
}

// nudged says what a key did to the load.
func (l *locustRun) nudged(step int) {
	l.mu.Lock()
	l.wanted = max(l.wanted+step, 0)
	n := l.wanted
	l.mu.Unlock()
	l.console.log("INFO", "locust.runners", fmt.Sprintf("Ramping to %d users at a rate of 100.00 per second", n))
}

// remember keeps the users of each class at their most, for the final ratios.
func (l *locustRun) remember(byClass map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, k := range byClass {
		n += k
	}
	if n >= l.users {
		l.byName, l.users = maps.Clone(byClass), n
	}
}

// begin is called when the first users are about to start.
func (l *locustRun) begin() {
	if l == nil {
		return
	}
	o := &l.options
	switch {
	case l.python.loaded.Shape != nil:
		l.console.log("INFO", "locust.runners", "Shape test starting.")
		l.console.log("INFO", "locust.runners", "Shape worker starting")
	case o.RunTime != nil && *o.RunTime > 0:
		l.console.log("INFO", "locust.main", fmt.Sprintf("Run time limit set to %d seconds", int(*o.RunTime)))
	default:
		l.console.log("INFO", "locust.main", "No run time limit set, use CTRL+C to interrupt")
	}
	l.quit = make(chan struct{})
	l.done.Go(l.seconds)
	if o.tables() {
		l.done.Go(l.tables)
	}
}

// tables reports whether the table of requests is shown while the test runs.
func (o *locustOptions) tables() bool { return !o.OnlySummary && !o.SkipLog }

// seconds keeps the book's time, and writes the CSV files every second.
func (l *locustRun) seconds() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	now := time.Now()
	every, due := l.pace.interval(l.pace.CSV, time.Second), now
	for {
		l.book.Second(now)
		if !now.Before(due) {
			l.files.write(now)
			due = now.Add(every - time.Second/2) // ticks are not exact
		}
		select {
		case <-l.quit:
			return
		case now = <-tick.C:
		}
	}
}

// statsPace is what scripts may set in locust.stats, by Locust's names.
type statsPace struct {
	Console     *float64  `json:"CONSOLE_STATS_INTERVAL_SEC"`
	CSV         *float64  `json:"CSV_STATS_INTERVAL_SEC"`
	Percentiles []float64 `json:"PERCENTILES_TO_REPORT"`
}

// statsSettings are those of locust.stats that are carried out.
var statsSettings = []string{"CONSOLE_STATS_INTERVAL_SEC", "CSV_STATS_INTERVAL_SEC", "PERCENTILES_TO_REPORT"}

// interval is what the script set, in seconds, or the usual.
func (statsPace) interval(set *float64, usual time.Duration) time.Duration {
	if set == nil || !(*set > 0) {
		return usual
	}
	return max(seconds(*set), 100*time.Millisecond)
}

// tables prints the table of requests every two seconds.
func (l *locustRun) tables() {
	tick := time.NewTicker(l.pace.interval(l.pace.Console, 2*time.Second))
	defer tick.Stop()
	for {
		l.console.table(l.book, true)
		select {
		case <-l.quit:
			return
		case <-tick.C:
		}
	}
}

// ending logs why the test ends, once.
func (l *locustRun) ending(reason string) {
	l.mu.Lock()
	said := l.over
	l.over = true
	l.mu.Unlock()
	if said {
		return
	}
	switch reason {
	case "the run time was reached":
		l.console.log("INFO", "locust.main", "--run-time limit reached, shutting down")
	case "the shape ended the test":
		l.console.log("INFO", "locust.runners", "Shape test stopping")
		l.console.log("INFO", "locust.main", "Shape test completed, shutting down")
	}
}

// end is called when the last user has left. It returns the exit code: that of
// Locust, or where that is 0 what Weir's conditions make of the run.
func (l *locustRun) end(result *load.Result, j *judgement) {
	if l == nil {
		return
	}
	close(l.quit)
	l.done.Wait()
	l.ending(result.Reason)
	code := l.exitCode()
	if code == exitPassed && (l.judged && j.code == exitFailed || l.strict && j.code == exitInvalid) {
		code = j.code
	}
	j.code = code
	l.console.log("INFO", "locust.main", fmt.Sprintf("Shutting down (exit code %d)", code))
}

// exitCode is Locust's: what the script set, else --exit-code-on-error when
// anything failed, else 2 when a listener raised something.
func (l *locustRun) exitCode() int {
	bridge := l.python.bridge
	set := l.python.exit
	switch {
	case set != nil:
		return *set & 0xff
	case l.book.Failures() > 0 || l.book.Problems() > 0:
		return l.options.ExitCode & 0xff
	case bridge.Unhandled():
		return exitUsage
	case bridge.Err() != nil:
		return exitFailed
	}
	return exitPassed
}

// scriptPatience is how long the script's listeners may take at the end.
const scriptPatience = 30 * time.Second

// deliver writes the last state of all files and the tables that end a run.
// runFile is the name of the run file that is kept, if any.
func (l *locustRun) deliver(s *session, sum *report.Summary, code int, runFile string) error {
	if l == nil {
		return nil
	}
	now := time.Now()
	o := &l.options
	errs := []error{l.files.finish(now)}
	if o.HTML != "" {
		p := l.page(now, sum)
		if name := o.htmlName(); name == "-" {
			errs = append(errs, p.Write(s.stdout))
		} else {
			errs = append(errs, writeFile(name, p.Write))
		}
	}
	if o.JSON {
		errs = append(errs, l.book.WriteJSON(s.stdout))
	}
	if o.JSONFile != "" {
		errs = append(errs, writeFile(o.JSONFile+".json", l.book.WriteJSON))
	}
	if !o.SkipLog {
		l.console.table(l.book, false)
		l.console.rest(l.book)
	}
	for _, line := range l.said(sum) {
		fmt.Fprintf(l.console, "weir: %s\n", line)
	}
	if runFile != "" {
		fmt.Fprintf(l.console, "weir: wrote %s\n", runFile)
	}
	l.python.bridge.Quit(code)
	return errors.Join(errs...)
}

// said is what Weir knows beyond Locust's tables: about limits, and about the
// conditions that were given.
func (l *locustRun) said(sum *report.Summary) []string {
	out := l.limits(sum)
	for _, c := range sum.Verdict.Checks {
		if l.judged {
			out = append(out, fmt.Sprintf("%s: %s (%s)", c.Expression, c.Result, c.Observed))
		}
	}
	return out
}

// limits are the sentences about refusals. Locust counts those as failures, so
// that there were no others is left out: it would read like a contradiction.
func (l *locustRun) limits(sum *report.Summary) []string {
	if sum.Outcomes.Throttled.Count == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(sum.Answer), func(sentence string) bool { return sentence == "None failed." })
}

// page is the HTML report.
func (l *locustRun) page(now time.Time, sum *report.Summary) page.Page {
	p := page.Page{
		Report: l.book.Report(now), Profile: l.options.Profile, Host: l.host(), Script: l.scriptName(), Limits: l.limits(sum), Version: version(),
	}
	l.mu.Lock()
	byName := l.byName
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	text, err := l.python.bridge.Ask(ctx, map[string]any{"event": "ratios", "by_class": byName})
	if err != nil {
		return p // the interpreter is gone; the page is without ratios then
	}
	var r struct {
		PerClass json.RawMessage `json:"per_class"`
		Total    json.RawMessage `json:"total"`
	}
	if json.Unmarshal(text, &r) == nil {
		p.PerClass, _ = page.ParseRatios(r.PerClass)
		p.Total, _ = page.ParseRatios(r.Total)
	}
	return p
}

// host is where the users send, when all send to one place.
func (l *locustRun) host() string {
	if l.options.Host != "" {
		return l.options.Host
	}
	var hosts []string
	for _, c := range l.python.loaded.Classes {
		if c.Host != "" && !slices.Contains(hosts, c.Host) {
			hosts = append(hosts, c.Host)
		}
	}
	if len(hosts) == 1 {
		return hosts[0]
	}
	return ""
}

// interrupted says what Locust says of a signal that ends the test; it reports
// whether that is all there is to say.
func (l *locustRun) interrupted(sig os.Signal) bool {
	if l == nil {
		return false
	}
	if sig == syscall.SIGTERM {
		l.console.log("INFO", "locust.main", "Got SIGTERM signal")
	}
	return true
}

// abandon closes what a run that did not begin has opened.
func (l *locustRun) abandon() { l.files.close() }
