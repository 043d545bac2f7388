package cli

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/script"
	"github.com/weir-dev/weir/internal/target"
)

// Program is a scenario written in Go, with the command line of "weir run"
// around it.
type Program struct {
	Name string // of the command, for its help and its errors
	Load func(ProgramOptions) (*ProgramScenario, error)
}

// ProgramOptions are what the command line says about the scenario itself.
type ProgramOptions struct {
	Host        string // replaces the host of every class; "": it does not
	Tags        []string
	ExcludeTags []string
	Classes     []string
	Arrivals    bool // the run has an arrival rate
}

// ProgramSender is what the users of a Program send with.
type ProgramSender = script.Sender

// ProgramScenario is a Program made ready for one run.
type ProgramScenario struct {
	load.Scenario
	Hosts   []string // of the classes, each once
	Details string   // classes and tasks, for people
	Known   []string // names of the classes that there are
	// Profiles are the loads that the program declares.
	Profiles []pace.Profile
	// Part returns the scenario of one load: of the classes of these names, of all
	// when there are none.
	Part func(classes []string, arrivals bool) (load.Scenario, error)
	// Senders wraps what makes the plan's senders.
	Senders func(next func(user int) (ProgramSender, error)) func(user int) (load.Sender, error)
}

// RunProgram runs p with the flags of "weir run" and returns the exit code.
// Results go to stdout, progress and errors to stderr.
func RunProgram(p Program, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s := &session{args: append([]string{p.Name}, args...), stdin: stdin, stdout: stdout, stderr: stderr, getenv: os.Getenv}
	var flags runFlags
	exited := -1
	parser, err := kong.New(&flags,
		kong.Name(p.Name),
		kong.Description("A scenario for Weir, the load tester that understands rate limits."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ExplicitGroups(groups()),
		durations(),
	)
	if err == nil {
		_, err = parser.Parse(args)
		if exited >= 0 { // --help was printed
			return exited
		}
		if err != nil {
			err = usage("see --help", "%s", strings.TrimSpace(err.Error()))
		}
	}
	if err == nil {
		err = (&runCmd{runFlags: flags, program: &p}).Run(s)
	}
	var done verdict
	if errors.As(err, &done) {
		return int(done)
	}
	return s.fail(" "+p.Name, err)
}

// fromProgram makes the workload of a scenario written in Go.
func (c *runCmd) fromProgram(s *session) (*workload, error) {
	if c.Wait != "" {
		return nil, usage("say it in the class: Wait: weir.Between(…)", "--wait is for a single request, not a scenario")
	}
	sc, err := c.program.Load(ProgramOptions{
		Host: c.Host, Tags: c.Tags, ExcludeTags: c.ExcludeTags, Classes: c.Class, Arrivals: c.loadFlags.open(),
	})
	if err != nil {
		return nil, usage("", "%v", err)
	}
	w := &workload{
		scenario: sc, target: c.program.Name, urls: sc.Hosts, details: sc.Details,
		name: c.program.Name, profiles: sc.Profiles, known: sc.Known, part: sc.Part,
		keepBody: func(int) bool { return true }, bodyLimit: scenarioBody,
		senders: func(t *target.Target) func(int) (load.Sender, error) {
			return sc.Senders(func(user int) (ProgramSender, error) { return t.NewSender(user) })
		},
	}
	return w, w.address()
}
