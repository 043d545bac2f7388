package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/locust"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/target"
)

// pythonFlags say how a locustfile is run.
type pythonFlags struct {
	Python    string `placeholder:"PATH" help:"For locustfiles (.py): the interpreter. Default: that of the active virtual environment, else python3." group:"Scenario"`
	UsersAs   string `enum:",baton,greenlet,gevent" default:"" help:"For locustfiles: how Python holds its users. Default: greenlet or gevent where installed and fitting, else baton, which needs nothing." group:"Scenario"`
	Processes int    `placeholder:"N" help:"For locustfiles: share the users out among so many interpreters; -1 is one for each CPU. Default 1." group:"Scenario"`
}

func (f *pythonFlags) given() bool { return f.Python != "" || f.UsersAs != "" || f.Processes != 0 }

// pythonRun is what a run with a locustfile has beside the engine.
type pythonRun struct {
	bridge  *locust.Bridge
	loaded  *locust.Loaded
	targets *locust.Targets
	aim     locust.Aim
	verb    bool // it is of "weir locust", which checks no host before the start
	exit    *int // as the script wants it
}

// isLocust reports whether the argument of run names a locustfile.
func isLocust(arg string) bool {
	return strings.HasSuffix(arg, ".py") && !strings.Contains(arg, "://")
}

// startLocust starts Python and loads the locustfile that "weir run" was given.
// The bridge is to be closed also when there is an error.
func (c *runCmd) startLocust(s *session) (*pythonRun, error) {
	if _, err := os.Stat(c.URL); err != nil {
		return nil, usage("give the path of a locustfile", "%s: %v", c.URL, bare(err))
	}
	ctx := context.Background()
	stdout := s.stdout
	for _, f := range c.outputFlags.single() {
		if f.path == "-" { // a report goes there
			stdout = s.stderr
		}
	}
	b, err := locust.Start(ctx, locust.Config{
		Python: c.Python, UsersAs: c.UsersAs, Processes: c.Processes, Stdout: stdout, Stderr: s.stderr, Getenv: s.getenv,
		Notify: func(e locust.Event) { c.tellLocust(s.stderr, e) },
	})
	if err != nil {
		return nil, locustError(err)
	}
	p := &pythonRun{bridge: b}
	file, err := filepath.Abs(c.URL)
	if err != nil {
		return p, cannotRun("", "%v", err)
	}
	options := map[string]any{"headless": true, "stop_timeout": c.StopTimeout.Seconds()}
	for name, value := range map[string]string{"host": c.Host} {
		if value != "" {
			options[name] = value
		}
	}
	for name, values := range map[string][]string{"tags": c.Tags, "exclude_tags": c.ExcludeTags, "user_classes": c.Class} {
		if len(values) > 0 {
			options[name] = values
		}
	}
	if c.Users > 0 {
		options["num_users"] = c.Users
	}
	if rate, err := pace.ParseSpawn(cmp.Or(c.SpawnRate, "1")); err == nil && c.SpawnRate != "" {
		options["spawn_rate"] = rate.PerSecond()
	}
	if d, err := parseDuration("--run-time", cmp.Or(c.RunTime, "0s")); err == nil && d > 0 {
		options["run_time"] = d.Seconds()
	}
	r := locust.Request{Files: []string{file}, Options: options, Argv: s.script, Prog: "weir run " + c.URL, Version: version(), Seed: &c.Seed}
	if p.loaded, err = b.Load(ctx, r); err != nil {
		return p, locustError(err)
	}
	if p.loaded.Exit != nil { // Python has said why
		return p, verdict(*p.loaded.Exit)
	}
	for _, n := range p.loaded.Notices {
		c.tellLocust(s.stderr, locust.Event{Kind: "notice", Text: n.Text, File: n.File, Line: n.Line})
	}
	return p, nil
}

// tellLocust says what a script does that a person should know.
func (c *runCmd) tellLocust(w io.Writer, e locust.Event) {
	switch e.Kind {
	case "notice", "stuck", "lost":
	default:
		return
	}
	text := e.Text
	if e.File != "" && e.Kind == "notice" {
		text = fmt.Sprintf("%s:%d: %s", filepath.Base(e.File), e.Line, text)
	}
	fmt.Fprintf(w, "weir run: %s\n", text)
}

// locustError gives an error of the bridge its exit code.
func locustError(err error) error {
	var e *locust.Error
	if !errors.As(err, &e) {
		return cannotRun("", "%v", err)
	}
	if !locust.IsScript(err) {
		return cannotRun(e.Hint, "%v", err)
	}
	text := lastLine(e).Error()
	hint := e.Hint
	if hint == "" && strings.Contains(text, "locust.") {
		hint = "docs/locust.md says what of Locust works here"
	}
	if e.Traceback != "" {
		text += "\n" + strings.Trim(e.Traceback, "\n")
	}
	return usage(hint, "%s", text)
}

// fromLocust makes the workload of a loaded locustfile.
func (c *runCmd) fromLocust(p *pythonRun) (*workload, error) {
	if c.requestFlags.given() {
		return nil, usage("say it in the file", "--request, --header, --data and their like describe a single request, not a locustfile")
	}
	if c.Wait != "" {
		return nil, usage("say it in the file: wait_time = between(2, 5)", "--wait is for a single request, not a locustfile")
	}
	all, err := p.bridge.Scenario(nil)
	if err != nil {
		return nil, usage("", "%v", err)
	}
	name := filepath.Base(cmp.Or(p.loaded.File, c.URL, "locustfile.py"))
	w := &workload{
		scenario: all, target: name, name: name, known: p.bridge.Classes(), details: describeLocust(p.loaded), python: p,
		part: func(classes []string, arrivals bool) (load.Scenario, error) {
			if arrivals {
				return nil, usage("give --users and --spawn-rate, or --stages with users", "the users of a locustfile decide themselves when they send, so they cannot follow an arrival rate")
			}
			sc, err := p.bridge.Scenario(classes)
			if err != nil {
				return nil, usage("", "%v", err)
			}
			return sc, nil
		},
		keepBody: func(int) bool { return true },
		senders:  func(*target.Target) func(int) (load.Sender, error) { return p.bridge.NewSender },
	}
	if !p.verb {
		w.urls = p.bridge.Hosts()
		return w, w.address()
	}
	w.target += hostsOf(p.bridge.Hosts())
	return w, nil
}

func hostsOf(hosts []string) string {
	if len(hosts) == 0 {
		return ""
	}
	return " on " + maskURL(strings.Join(hosts, ", "))
}

// openTargets makes what a locustfile's users send with.
func (p *pythonRun) openTargets(o target.Options, c *runCmd) (*target.Target, error) {
	if c.Timeout == defaultTimeout {
		o.Timeout = -1 // a script sets its own
	}
	t, err := locust.NewTargets(o)
	if err != nil {
		return nil, err
	}
	p.targets = t
	p.bridge.Serve(t)
	return t.Main(), nil
}

// defaultTimeout is that of --timeout.
const defaultTimeout = 30 * time.Second

// led is the load of a run whose script has a shape.
func (c *runCmd) led(p *pythonRun) (*mix, error) {
	m := &mix{model: "closed", words: "users as the shape " + p.loaded.Shape.Name + " says"}
	if f := c.loadFlags; f.open() || len(f.Profile) > 0 || f.Stages != "" {
		return nil, usage("leave them out, or the shape", "%s has the shape %s, which says how many users there are: --rate, --stages and --profile have no place beside it", p.loaded.File, p.loaded.Shape.Name)
	}
	for _, x := range []struct {
		flag  string
		given bool
	}{{"--users", c.Users > 0}, {"--spawn-rate", c.SpawnRate != ""}} {
		if x.given && !p.verb && !p.loaded.Shape.UseCommon {
			m.notes = append(m.notes, fmt.Sprintf("%s is not used: the shape %s says how many users there are", x.flag, p.loaded.Shape.Name))
		}
	}
	if c.RunTime != "" && !p.verb { // Locust's own run time does not end a shape
		var err error
		if m.length, err = parseDuration("--run-time", c.RunTime); err != nil {
			return nil, err
		}
		m.runTime = m.length
		m.words += fmt.Sprintf(", for at most %v", m.length)
	}
	if err := m.warm(&c.loadFlags, nil); err != nil {
		return nil, err
	}
	sc, err := p.bridge.Scenario(nil)
	if err != nil {
		return nil, usage("", "%v", err)
	}
	part := load.Part{Name: p.loaded.Shape.Name, Scenario: sc, Led: true, End: m.length}
	m.loads = []*profile{{name: part.Name, words: m.words, length: m.length}}
	m.parts, m.users = []load.Part{part}, "shape"
	return m, nil
}

// begin tells the script that the test starts.
func (p *pythonRun) begin(e *load.Engine) error {
	if p == nil {
		return nil
	}
	ctx := context.Background()
	if err := p.bridge.Begin(ctx, e, p.aim); err != nil {
		return locustError(err)
	}
	return nil
}

// end tells the script that it is over, and remembers the exit code it wants.
func (p *pythonRun) end() {
	if p == nil {
		return
	}
	p.bridge.End()
	p.exit = p.bridge.Quitting()
}

// lastWords is how long users may take for on_stop when the time is over that their
// tasks have to finish.
const lastWords = 5 * time.Second

// lagBound is the script lag above which a report tells of it.
const lagBound = 20 * time.Millisecond

// notes are what reports have to say about the script.
func (p *pythonRun) notes() []string {
	if p == nil {
		return nil
	}
	var out []string
	if err := p.bridge.Err(); err != nil {
		out = append(out, "The run ended early: "+err.Error()+".")
	}
	if p.exit != nil && *p.exit != 0 {
		out = append(out, fmt.Sprintf("The script asked for the exit code %d.", *p.exit))
	}
	if p50, p99, n := p.bridge.Lag(); n > 0 {
		text := fmt.Sprintf("Script lag: between an answer and its user's next request the script took %s (p50) and %s (p99), waits of its own left out.", roughly(p50), roughly(p99))
		if p99 > lagBound {
			text += " Answers are timed around the socket, so their times are true; but the script kept the load below what its waits ask for. --processes shares it out among CPUs."
		}
		out = append(out, text)
	}
	return out
}

// roughly writes a time with two digits.
func roughly(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d >= 10*time.Microsecond:
		return d.Round(time.Microsecond).String()
	}
	return d.Round(100 * time.Nanosecond).String()
}

// judge lets the exit code that the script asked for take the place of that of a
// run that passed.
func (p *pythonRun) judge(j *judgement) {
	if p == nil || p.exit == nil || *p.exit == 0 || j.code != exitPassed {
		return
	}
	j.code, j.verdict = *p.exit, report.Failed
}

// describeLocust says which classes and tasks there are.
func describeLocust(l *locust.Loaded) string {
	var b strings.Builder
	var ratios struct {
		PerClass map[string]ratio `json:"per_class"`
	}
	_ = json.Unmarshal(l.Ratios, &ratios) // without them, classes are told without tasks
	fmt.Fprintf(&b, "Python %s, users held by %s", l.Python, l.Scheduler)
	if l.Why != "" {
		fmt.Fprintf(&b, " (%s)", l.Why)
	}
	b.WriteString("\n")
	for _, c := range l.Classes {
		fmt.Fprintf(&b, "%s", c.Name)
		var about []string
		switch {
		case c.FixedCount > 0:
			about = append(about, plural(int(c.FixedCount), "user"))
		case len(l.Classes) > 1:
			about = append(about, fmt.Sprintf("weight %g", c.Weight))
		}
		if c.Host != "" {
			about = append(about, "on "+maskURL(c.Host))
		}
		if c.File != "" {
			about = append(about, fmt.Sprintf("%s:%d", filepath.Base(c.File), c.Line))
		}
		if len(about) > 0 {
			fmt.Fprintf(&b, ": %s", strings.Join(about, ", "))
		}
		b.WriteString("\n")
		ratios.PerClass[c.Name].write(&b, "  ")
	}
	if l.Shape != nil {
		fmt.Fprintf(&b, "Shape %s: %s:%d\n", l.Shape.Name, filepath.Base(l.Shape.File), l.Shape.Line)
	}
	return b.String()
}

// ratio is a task, or a set of them, and its share.
type ratio struct {
	Ratio float64          `json:"ratio"`
	Tasks map[string]ratio `json:"tasks"`
}

func (r ratio) write(b *strings.Builder, indent string) {
	names := make([]string, 0, len(r.Tasks))
	for name := range r.Tasks {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int {
		return cmp.Or(cmp.Compare(r.Tasks[y].Ratio, r.Tasks[x].Ratio), cmp.Compare(x, y))
	})
	for _, name := range names {
		t := r.Tasks[name]
		fmt.Fprintf(b, "%s%5.1f %%  %s\n", indent, 100*t.Ratio, name)
		t.write(b, indent+"  ")
	}
}
