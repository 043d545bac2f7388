// Package cli is the command line: Main parses it and calls the verb.
//
// Each verb has a file of its name with its flags and its wiring; what a verb
// does is in the packages below. Nothing here is known to any other package.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
)

// verbs is the whole command line. Its field tags are the reference that
// "weir --help" and "weir VERB --help" print.
type verbs struct {
	Run      runCmd      `cmd:"" help:"Send load to a URL and say what came back: admitted, throttled, failed, missed."`
	Locust   locustCmd   `cmd:"" passthrough:"" help:"Run locustfiles with Locust's own flags and files, sent and timed by Weir."`
	Gate     gateCmd     `cmd:"" help:"Enforce a policy file in front of an API: a reverse proxy, or what other proxies ask."`
	Lab      labCmd      `cmd:"" help:"Start a local stand-in for a rate-limited service."`
	Policy   policyCmd   `cmd:"" help:"Check, explain and convert policy files: limits as YAML, APIM policy XML or Envoy's YAML."`
	Forecast forecastCmd `cmd:"" help:"Foresee what limits make of a load: what fits, when buckets run dry, what is refused, what to ask for."`
	Verify   verifyCmd   `cmd:"" help:"Find out whether a service keeps the limits that a policy file declares."`
	Probe    probeCmd    `cmd:"" help:"Find out which limit stands before a request: its kind, its figures, and what it is counted by."`
	Drill    drillCmd    `cmd:"" help:"Prove that an alarm rings: provoke refusals with the smallest load that does, and time what notices them."`
	Convert  convertCmd  `cmd:"" help:"Make a scenario from a curl command line, HAR, OpenAPI or Postman."`
	Logs     logsCmd     `cmd:"" help:"Explain from a tenant log which limits were met, by whom, and how early it warned."`
	Report   reportCmd   `cmd:"" help:"Show a recorded run again, in any format, or compare two."`
	Demo     demoCmd     `cmd:"" help:"Start a stand-in and drive it into its limit: the main job in half a minute."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// session is what a verb may use of the outside world.
type session struct {
	args   []string // the command line, without the program
	script []string // of it, what is for the locustfile
	stdin  io.Reader
	stdout io.Writer // results
	stderr io.Writer // progress and errors
	getenv func(string) string
}

// Main runs the command line args and returns the exit code.
// Results go to stdout, progress and errors to stderr.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s := &session{args: args, stdin: stdin, stdout: stdout, stderr: stderr, getenv: os.Getenv}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	if args[0] == "help" { // "weir help run" is what people type first
		args = append(args[1:len(args):len(args)], "--help")
	}
	var v verbs
	exited := -1
	parser, err := kong.New(&v,
		kong.Name("weir"),
		kong.Description("The load tester that understands rate limits.\n\nStart with: weir demo"),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ExplicitGroups(groups()),
		kong.Bind(s),
		durations(),
	)
	if err != nil {
		fmt.Fprintf(stderr, "weir: the command line is defined wrongly: %v\n", err)
		return exitCannotRun
	}
	args, s.script = forScript(parser, args)
	ctx, err := parser.Parse(args)
	if exited >= 0 { // --help was printed
		return exited
	}
	if err != nil {
		verb := ""
		var pe *kong.ParseError
		if errors.As(err, &pe) && pe.Context != nil && pe.Context.Selected() != nil {
			verb = " " + strings.TrimSpace(pe.Context.Selected().Path())
		}
		return s.fail(verb, usage("see weir"+verb+" --help", "%s", parseWords(err)))
	}
	err = ctx.Run()
	var done verdict
	if errors.As(err, &done) {
		return int(done)
	}
	return s.fail(" "+strings.TrimSpace(ctx.Selected().Path()), err)
}

// parseRun reads the arguments of "weir run", for a verb that runs something of its own.
func parseRun(args []string) (*runCmd, error) {
	var c runCmd
	parser, err := kong.New(&c, durations(), kong.ExplicitGroups(groups()), kong.Exit(func(int) {}))
	if err != nil {
		return nil, err
	}
	if _, err = parser.Parse(args); err != nil {
		return nil, usage("", "%v", err)
	}
	return &c, nil
}

// verdict is the error that a verb returns when it did its work and the
// exit code is part of the result: everything has been said already.
type verdict int

func (v verdict) Error() string { return fmt.Sprintf("exit code %d", int(v)) }

// fail says what was wrong and what to do, in at most two lines, and returns the exit code.
func (s *session) fail(verb string, err error) int {
	if err == nil {
		return exitPassed
	}
	code, hint := exitCode(err)
	fmt.Fprintf(s.stderr, "weir%s: %v\n", verb, err)
	if hint != "" {
		fmt.Fprintf(s.stderr, "  %s\n", hint)
	}
	return code
}

func groups() []kong.Group {
	return []kong.Group{
		{Key: "Request", Title: "The request:"},
		{Key: "Scenario", Title: "A scenario file:"},
		{Key: "Users", Title: "Load by users (closed model: each waits for its answer):"},
		{Key: "Rate", Title: "Load by rate (open model: arrivals do not wait):"},
		{Key: "Profile", Title: "Several loads, warm-up, and changes while running:"},
		{Key: "Budget", Title: "When to stop:"},
		{Key: "File", Title: "A request of a file:"},
		{Key: "Key", Title: "What it is counted by:"},
		{Key: "Connection", Title: "Connections:"},
		{Key: "Verdict", Title: "Outcomes and verdict:"},
		{Key: "Limits", Title: "What users do about limits:"},
		{Key: "Watch", Title: "What is read beside the load:"},
		{Key: "Telemetry", Title: "Where telemetry goes:"},
		{Key: "Output", Title: "What is written:"},
		{Key: "Verify", Title: "What is verified:"},
		{Key: "Drill", Title: "What is to notice:"},
		{Key: "Lab", Title: "The stand-in:"},
		{Key: "Forecast", Title: "The forecast:"},
		{Key: "Logs", Title: "The log:"},
		{Key: "Gate", Title: "The gate:"},
		{Key: "Upstreams", Title: "What is behind it:"},
		{Key: "Clients", Title: "Who the client is:"},
		{Key: "TLS", Title: "TLS:"},
		{Key: "Timeouts", Title: "Bounds:"},
		{Key: "Store", Title: "Where counts are kept:"},
	}
}

type versionCmd struct{}

func (versionCmd) Run(s *session) error {
	fmt.Fprintf(s.stdout, "weir %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// version is what the Go toolchain recorded when the binary was built.
func version() string {
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := bi.Main.Version
	if v == "" {
		v = "(devel)"
	}
	return v
}

// plural writes a number with its noun: "1 byte", "2 bytes".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
