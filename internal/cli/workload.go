package cli

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/script"
	"github.com/weir-dev/weir/internal/target"
)

// scenarioFlags are for scenario files.
type scenarioFlags struct {
	Host        string   `placeholder:"URL" help:"Where the scenario's users send, instead of its own host." group:"Scenario"`
	Tags        []string `short:"T" placeholder:"TAG" help:"Only tasks with one of these tags." group:"Scenario"`
	ExcludeTags []string `short:"E" placeholder:"TAG" help:"No tasks with one of these tags." group:"Scenario"`
	Class       []string `placeholder:"NAME" help:"Only these user classes." group:"Scenario"`
}

func (f *scenarioFlags) given() bool {
	return f.Host != "" || len(f.Tags)+len(f.ExcludeTags)+len(f.Class) > 0
}

// workload is what is sent: one request over and over, or a scenario file.
type workload struct {
	scenario load.Scenario
	target   string                                                       // in one line, for people
	urls     []string                                                     // to which the way is tried before the start
	details  string                                                       // of a scenario: its classes and tasks
	name     string                                                       // of a scenario: its file or program
	profiles []pace.Profile                                               // that it declares
	known    []string                                                     // its classes
	part     func(classes []string, arrivals bool) (load.Scenario, error) // its scenario for one load; nil for a single request
	senders  func(*target.Target) func(user int) (load.Sender, error)
	python   *pythonRun // of a locustfile

	mask      func(text string) string // takes the secrets out that are sent; nil: none are known
	keepBody  func(status int) bool
	bodyLimit int // 0: the sender's default
}

// open makes the target of the run.
func (w *workload) open(o target.Options, c *runCmd) (*target.Target, error) {
	if w.python != nil {
		return w.python.openTargets(o, c)
	}
	return target.New(o)
}

// scenarioBody is how much of an answer's body a scenario can look at.
const scenarioBody = 1 << 20

// isScenario reports whether the argument of run names a scenario file.
func isScenario(arg string) bool {
	return strings.HasSuffix(arg, ".star") && !strings.Contains(arg, "://")
}

// notAScenario refuses a file that is no scenario, and says what can be done with it.
func notAScenario(arg string) error {
	if strings.Contains(arg, "://") {
		return nil
	}
	if info, err := os.Stat(arg); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	hint := "a scenario ends with .star (docs/scenarios.md), a locustfile with .py (docs/locust.md)"
	switch strings.ToLower(filepath.Ext(arg)) {
	case ".http", ".rest":
		hint = "weir probe sends requests of such a file; for load, write a scenario: docs/scenarios.md"
	case ".har", ".json", ".yaml", ".yml", ".sh", ".curl", ".js", ".jmx":
		hint = "weir convert FILE -o scenario.star makes a scenario of HAR, OpenAPI, Postman and curl; then weir run scenario.star"
	}
	return usage(hint, "%s is a file, and weir run takes a URL, a scenario or a locustfile", arg)
}

// fromURL makes the workload of one request.
func (c *runCmd) fromURL(s *session, keepBody func(int) bool) (*workload, error) {
	if err := notAScenario(c.URL); err != nil {
		return nil, err
	}
	if c.scenarioFlags.given() {
		return nil, usage("give a .star file, or leave them out", "--host, --tags, --exclude-tags and --class are for scenario files")
	}
	req, err := c.requestFlags.build(c.URL, s.stdin, s.getenv)
	if err != nil {
		return nil, err
	}
	wait, err := parseWait(c.Wait)
	if err != nil {
		return nil, err
	}
	return &workload{
		mask:     maskSent(req),
		scenario: load.RepeatBetween(req, wait.from, wait.to),
		target:   req.Method + " " + maskURL(req.URL),
		urls:     []string{req.URL},
		keepBody: keepBody,
		senders: func(t *target.Target) func(int) (load.Sender, error) {
			return func(user int) (load.Sender, error) { return t.NewSender(user) }
		},
	}, nil
}

// fromScript loads a scenario file.
func (c *runCmd) fromScript(s *session) (*workload, error) {
	if c.requestFlags.given() {
		return nil, usage("say it in the file", "--request, --header, --data and their like describe a single request, not a scenario")
	}
	if c.Wait != "" {
		return nil, usage("say it in the file: wait_time = between(2, 5)", "--wait is for a single request, not a scenario")
	}
	o := script.Options{
		Host: c.Host, Tags: c.Tags, ExcludeTags: c.ExcludeTags, Classes: c.Class, Seed: c.Seed,
		Log: s.log,
	}
	sc, err := script.Load(c.URL, o)
	if err != nil {
		return nil, scriptError(err)
	}
	w := &workload{
		scenario: sc, target: filepath.Base(c.URL), urls: sc.Hosts(), details: sc.Describe(),
		mask: sc.Mask, name: filepath.Base(c.URL), profiles: sc.Profiles(), known: sc.Classes(),
		part: func(classes []string, arrivals bool) (load.Scenario, error) {
			p, err := sc.Part(classes, arrivals)
			if err != nil {
				return nil, scriptError(err)
			}
			return p, nil
		},
		keepBody: func(int) bool { return true }, bodyLimit: scenarioBody,
		senders: func(t *target.Target) func(int) (load.Sender, error) {
			return sc.Senders(func(user int) (script.Sender, error) { return t.NewSender(user) })
		},
	}
	return w, w.address()
}

// address adds to the name of a scenario where it sends.
func (w *workload) address() error {
	for _, h := range w.urls {
		if _, err := parseTarget(h); err != nil {
			return err
		}
	}
	if len(w.urls) > 0 {
		w.target += " on " + maskURL(strings.Join(w.urls, ", "))
	}
	return nil
}

// log writes a line of a scenario.
func (s *session) log(line string) { fmt.Fprintln(s.stderr, line) }

// local reports whether everything goes to this machine. A scenario without a
// host sends to addresses that only it knows.
func (w *workload) local(unixSocket string) bool {
	for _, raw := range w.urls {
		if u, err := url.Parse(raw); err != nil || !local(u, unixSocket) {
			return false
		}
	}
	return len(w.urls) > 0
}

// scriptError shows where in the user's files it went wrong.
func scriptError(err error) error {
	text := err.Error()
	var se *script.Error
	if errors.As(err, &se) {
		if trace := strings.TrimSpace(se.Backtrace()); strings.Contains(trace, "\n") && (len(se.Trace) > 1 || se.Trace[0].Func != "<toplevel>") {
			text += "\n" + trace
		}
	}
	if strings.Contains(text, ": export ") { // what to do is said
		return usage("", "%s", text)
	}
	return usage("docs/scenarios.md shows what a scenario looks like", "%s", text)
}
