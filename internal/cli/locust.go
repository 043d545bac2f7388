package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/weir-dev/weir/internal/locust"
	"github.com/weir-dev/weir/internal/locust/book"
)

// locustCmd runs locustfiles with Locust's own command line.
type locustCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" help:"What locust takes: its flags, and names of User classes. weir locust --help lists all."`
}

// locustOwn are the flags that Locust does not have. Those that the script
// declares itself belong to the script.
type locustOwn struct {
	pythonFlags
	Seed uint64 `default:"1" help:"Seed of Weir's own randomness. The script's is its own." group:"Scenario"`

	limitFlags
	outcomeFlags
	watchFlags
	sinkFlags
	connectionFlags

	Out      string `placeholder:"FILE" help:"Run file, from which every report of Weir can be made again. Default: none." group:"Output"`
	JUnit    string `name:"junit" placeholder:"FILE" help:"Write the verdict as JUnit XML." group:"Output"`
	Markdown string `name:"markdown" placeholder:"FILE" help:"Write a short summary in Markdown." group:"Output"`
}

// notOffered are flags of "weir run" that Locust has itself, or that mean nothing
// where a script says how requests are sent.
var notOffered = []string{"processes", "connections", "max-shared", "compressed", "user-agent", "allow-errors"}

// forever is how long connecting may take where Locust has no bound.
const forever = 24 * time.Hour

// Run starts the script, and the test it describes.
func (c *locustCmd) Run(s *session) error {
	model, err := newOwnFlags()
	if err != nil {
		return err
	}
	rest, own := model.split(c.Args)
	flags, err := model.parse(own)
	if err != nil {
		return err
	}
	out := &console{session: s}
	run := &locustRun{console: out, book: book.New(time.Now()), getenv: s.getenv}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	config := locust.Config{
		Python: flags.Python, UsersAs: flags.UsersAs, Processes: processes(rest, s.getenv),
		Stdout: s.stdout, Stderr: out, Book: run.book, Notify: run.notify, Getenv: s.getenv,
	}
	bridge, loaded, err := loadScript(ctx, config, model.request(rest, own))
	if err != nil {
		return bridgeError(s, err)
	}
	defer bridge.Close()
	if loaded.Exit != nil { // help, a list, or wrong usage: all said
		return leave(*loaded.Exit)
	}
	if len(loaded.Reclaimed) > 0 {
		own = slices.DeleteFunc(own, func(t ownFlag) bool { return slices.Contains(loaded.Reclaimed, t.Flag) })
		if flags, err = model.parse(own); err != nil {
			return err
		}
	}
	run.python = &pythonRun{bridge: bridge, loaded: loaded, verb: true}
	if err := run.prepare(flags, given(own)); err != nil {
		return err
	}
	sub := *s
	sub.stderr, sub.args = out, run.masked(s.args)
	err = run.command(flags, given(own)).Run(&sub)
	var done verdict
	if err != nil && !errors.As(err, &done) {
		run.abandon()
	}
	return err
}

// loadScript starts as many interpreters as the script's options ask for, and
// loads it in each. Only Python reads Locust's options, so that a configuration
// file may ask for another number than there are; then they are started anew.
func loadScript(ctx context.Context, config locust.Config, r locust.Request) (*locust.Bridge, *locust.Loaded, error) {
	for again := false; ; again = true {
		bridge, err := locust.Start(ctx, config)
		if err != nil {
			return nil, nil, err
		}
		loaded, err := bridge.Load(ctx, r)
		if err != nil {
			bridge.Close()
			return nil, nil, err
		}
		n, ok := loaded.Options["processes"].(float64)
		if loaded.Exit != nil || again || !ok || int(n) == config.Processes || n == 0 || n < -1 {
			return bridge, loaded, nil
		}
		bridge.Close()
		config.Processes = int(n)
	}
}

// processes is how many interpreters a command line or the environment asks for.
func processes(args []string, getenv func(string) string) int {
	text := getenv("LOCUST_PROCESSES")
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--processes="); ok {
			text = v
		} else if a == "--processes" && i+1 < len(args) {
			text = args[i+1]
		}
	}
	n, _ := strconv.Atoi(text) // what is no number, Python complains of
	return max(n, -1)
}

// leave is the error for an exit code that is all there is to say.
func leave(code int) error {
	if code == exitPassed {
		return nil
	}
	return verdict(code & 0xff)
}

// lastLine is an error with the last line of what Python said, which is enough where
// the traceback stands beside it.
func lastLine(e *locust.Error) *locust.Error {
	if e.Traceback == "" {
		return e
	}
	short := *e
	text := strings.TrimSpace(e.Text)
	short.Text = strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
	return &short
}

// bridgeError says why a script cannot be run, in Python's own words where
// Python has some.
func bridgeError(s *session, err error) error {
	var e *locust.Error
	if !errors.As(err, &e) {
		return cannotRun("", "%v", err)
	}
	if !locust.IsScript(err) && e.Exit == 0 {
		return cannotRun(e.Hint, "%s", e.Text)
	}
	if e.Traceback != "" {
		fmt.Fprintln(s.stderr, strings.TrimRight(e.Traceback, "\n"))
		err = lastLine(e)
	}
	code := e.Exit
	if code == 0 {
		code = exitFailed
	}
	return &failure{code & 0xff, err, e.Hint}
}

// ownFlags is the parser of locustOwn.
type ownFlags struct {
	flags  locustOwn
	parser *kong.Kong
	byName map[string]*kong.Flag
}

func newOwnFlags() (*ownFlags, error) {
	f := &ownFlags{byName: map[string]*kong.Flag{}}
	parser, err := kong.New(&f.flags, durations(), kong.ExplicitGroups(groups()), kong.Exit(func(int) {}), kong.NoDefaultHelp())
	if err != nil {
		return nil, err
	}
	f.parser = parser
	for _, flag := range parser.Model.Flags {
		if slices.Contains(notOffered, flag.Name) {
			continue
		}
		f.byName["--"+flag.Name] = flag
		for _, alias := range flag.Aliases {
			f.byName["--"+alias] = flag
		}
		if flag.Tag.Negatable != "" {
			f.byName["--no-"+flag.Name] = flag
		}
	}
	return f, nil
}

// ownFlag is a flag of Weir on Locust's command line.
type ownFlag struct {
	At     int      `json:"at"` // index in the command line
	Flag   string   `json:"flag"`
	Tokens []string `json:"tokens"`
}

// split takes Weir's flags out of a command line of Locust. Only whole names
// count: Locust's may be abbreviated, and short ones are all Locust's.
func (f *ownFlags) split(args []string) (rest []string, own []ownFlag) {
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(rest, args[i:]...), own
		}
		name, _, joined := strings.Cut(args[i], "=")
		flag := f.byName[name]
		if flag == nil {
			rest = append(rest, args[i])
			continue
		}
		t := ownFlag{At: i, Flag: name, Tokens: args[i : i+1]}
		if !joined && !flag.IsBool() && i+1 < len(args) {
			t.Tokens = args[i : i+2]
			i++
		}
		own = append(own, t)
	}
	return rest, own
}

// parse reads Weir's flags.
func (f *ownFlags) parse(own []ownFlag) (*locustOwn, error) {
	var args []string
	for _, t := range own {
		args = append(args, t.Tokens...)
	}
	if _, err := f.parser.Parse(args); err != nil {
		return nil, usage("see weir locust --help", "%s", parseWords(err))
	}
	return &f.flags, nil
}

// request is what the script is asked to load.
func (f *ownFlags) request(rest []string, own []ownFlag) locust.Request {
	if rest == nil {
		rest = []string{} // a command line, and an empty one
	}
	r := locust.Request{Argv: rest, UseConfig: true, Prog: "weir locust", Version: "weir " + version()}
	for _, t := range own {
		r.Own = append(r.Own, locust.OwnFlag(t))
	}
	for _, name := range slices.Sorted(maps.Keys(f.byName)) {
		flag := f.byName[name]
		if name != "--"+flag.Name || flag.Hidden {
			continue
		}
		r.Flags = append(r.Flags, locust.Flag{Flags: []string{name}, Metavar: metavar(flag), Help: flag.Help})
	}
	return r
}

func metavar(flag *kong.Flag) string {
	if flag.IsBool() {
		return ""
	}
	if flag.PlaceHolder != "" {
		return flag.PlaceHolder
	}
	if flag.Enum != "" {
		return strings.ReplaceAll(strings.TrimPrefix(flag.Enum, ","), ",", "|")
	}
	if flag.Target.Type() == reflect.TypeFor[time.Duration]() {
		return "DURATION"
	}
	return "N"
}

// given are the names of flags on a command line.
func given(own []ownFlag) map[string]bool {
	out := map[string]bool{}
	for _, t := range own {
		out[strings.TrimPrefix(t.Flag, "--")] = true
	}
	return out
}
