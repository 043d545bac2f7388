package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/selfwatch"
	"github.com/weir-dev/weir/internal/target"
	"github.com/weir-dev/weir/internal/wake"
)

// runCmd sends load to a URL.
type runCmd struct {
	URL string `arg:"" optional:"" name:"url" help:"Where to send requests, http or https, a scenario file (.star), or a locustfile (.py)."`

	requestFlags
	runFlags

	program *Program   // a scenario written in Go, instead of URL; nil: none
	python  *pythonRun // a locustfile that is loaded already; nil: none
	locust  *locustRun // what "weir locust" does beside it; nil: another verb
}

// runFlags are what a single request, a scenario file and a Go program have in common.
type runFlags struct {
	scenarioFlags
	pythonFlags
	loadFlags
	connectionFlags
	outcomeFlags
	limitFlags
	watchFlags
	sinkFlags
	outputFlags

	DryRun bool `help:"Print the plan with the largest number of requests it can send, and send nothing." group:"Budget"`
	Yes    bool `short:"y" help:"Do not ask before sending to a host that is not this machine." group:"Budget"`
}

// AfterApply is called by kong: it notes what the values do not tell, that a flag
// was given.
func (f *loadFlags) AfterApply(k *kong.Context) error {
	for _, p := range k.Path {
		if p.Flag == nil || p.Flag.Target.Kind() != reflect.Int && p.Flag.Target.Kind() != reflect.Int64 {
			continue
		}
		switch p.Flag.Name {
		case "users", "requests", "max-users", "max-throttled":
			if p.Flag.Target.Int() == 0 {
				f.zero = "--" + p.Flag.Name
			}
		}
	}
	return nil
}

// loadFlags say how much load, in which model, for how long.
type loadFlags struct {
	Profile []string `sep:"none" placeholder:"PROFILE" help:"One of several loads, side by side or one after another: 'Admin: users=10, spawn=5, start=15s, for=1m'. Repeat for each. A name that is a user class means that class; else classes=A,B. Also rate, stages, requests, max-users." group:"Profile"`
	WarmUp  string   `placeholder:"DURATION" help:"Send load that does not count for so long: it is in no total, percentile or condition." group:"Profile"`
	Keys    bool     `default:"true" negatable:"" help:"At a terminal, keys change the load while it runs: w one user more, W ten more, s one fewer, S ten fewer; with a rate, one or ten tenths of it." group:"Profile"`

	shape   pace.Shape // of a profile
	endless bool       // without a run time it goes on until somebody ends it
	zero    string     // a flag that was given as 0, which would mean its default

	Users     int    `short:"u" placeholder:"N" help:"Users at the peak. Default 1." group:"Users"`
	SpawnRate string `short:"r" placeholder:"N" help:"Users started per second, such as 100. Default: all at once." group:"Users"`
	Wait      string `placeholder:"DURATION" help:"Pause of a user between an answer and its next request, such as 1s. Default: none." group:"Users"`

	Rate     string `placeholder:"N/UNIT" help:"Arrival rate: 500/s, 0.5/s, 1000/h." group:"Rate"`
	Stages   string `placeholder:"STAGES" help:"Arrival rate in stages: 0..200/s:30s,200/s:1m. Without a unit it is users: 0..300:30s,300:1m." group:"Rate"`
	Burst    string `placeholder:"N[@PHASE]" help:"N requests at once; with a phase, at that offset into the wall-clock second or minute: 50@second, 50@minute+250ms." group:"Rate"`
	Every    string `placeholder:"DURATION" help:"Repeat the burst this often." group:"Rate"`
	Schedule string `placeholder:"FILE" type:"existingfile" help:"Send at the instants in FILE, one per line, such as 1.5s." group:"Rate"`
	Poisson  bool   `help:"Random arrivals of the same mean rate, from --seed." group:"Rate"`
	MaxUsers int    `placeholder:"N" help:"Most users, and so requests under way at once. Default: ten seconds' worth of arrivals, between 100 and 10000." group:"Rate"`
	CatchUp  string `enum:"spread,burst,skip" default:"spread" help:"What to do with arrivals that could not leave in time: spread (at most a tenth above the planned rate), burst (at once) or skip (they are missed)." group:"Rate"`
	Seed     uint64 `default:"1" help:"Seed of everything random." group:"Rate"`

	RunTime      string        `short:"t" aliases:"for" placeholder:"DURATION" help:"How long: 30s, 5m, 1h20m. Default: as long as the stages or schedule, else 10s. Also --for." group:"Budget"`
	Requests     int64         `short:"n" placeholder:"N" help:"Stop after N requests." group:"Budget"`
	MaxThrottled int64         `placeholder:"N" help:"Stop after N throttled answers." group:"Budget"`
	StopTimeout  time.Duration `short:"s" default:"10s" help:"How long requests under way may take after the end." group:"Budget"`
}

// outcomeFlags say what counts as what, and what makes the run pass.
type outcomeFlags struct {
	Throttled   []string      `sep:"none" placeholder:"RULE" help:"A further kind of answer that is throttled: 403, 4xx, 503+retry-after, '400:TooManyRequests'." group:"Verdict"`
	OK          []string      `name:"ok" sep:"none" placeholder:"RULE" help:"A further kind of answer that is admitted, such as 404." group:"Verdict"`
	FailIf      []string      `sep:"none" placeholder:"CONDITION" help:"The run fails if this holds: 'admitted.p95 > 500ms', 'throttled.ratio > 1%', 'failed.count > 0'. Repeat for more." group:"Verdict"`
	StopIf      []string      `sep:"none" placeholder:"CONDITION" help:"Stop, and fail, as soon as this holds: 'throttled.rate > 20/s for 10s'." group:"Verdict"`
	Expect      []string      `sep:"none" placeholder:"CONDITION" help:"The run fails unless this holds: 'admitted.per_hour >= 1000'. Repeat for more." group:"Verdict"`
	StopOnError bool          `help:"Stop at the first error of a scenario's own: a missing key, a wrong type, fail(). Without it the others go on, and the run fails at its end." group:"Verdict"`
	AllowErrors bool          `help:"Errors of a scenario's own do not fail the run." group:"Verdict"`
	MaxSendLag  time.Duration `default:"100ms" help:"The run is invalid if the generator itself was later than this with one request in a hundred." group:"Verdict"`
}

// Run sends the load and returns the verdict.
func (c *runCmd) Run(s *session) error {
	if isLocust(c.URL) && c.python == nil {
		p, err := c.startLocust(s)
		if p != nil {
			defer p.bridge.Close()
		}
		if err != nil {
			return err
		}
		c.python = p
	}
	x, work, err := c.prepare(s)
	if err != nil {
		return err
	}
	if x.meta.Costs, err = c.keepCosts(s, work); err != nil {
		return err
	}
	if err := c.sinkFlags.idle(); err != nil {
		return err
	}
	if c.DryRun {
		c.describe(s.stdout, x, work)
		return c.cost(s, s.stdout, x, work)
	}
	opts, err := c.connectionFlags.options(work.keepBody, s.getenv)
	if err != nil {
		return err
	}
	opts.BodyLimit = work.bodyLimit
	if err := speaks(c.HTTP, work.urls); err != nil {
		return err
	}
	tgt, err := work.open(opts, c)
	if err != nil {
		return usage("", "%v", optionError(err))
	}
	defer tgt.Close()
	x.plan.NewSender = work.senders(tgt)
	if err := enoughFiles(x, c.Connections); err != nil {
		return err
	}
	for _, u := range work.urls {
		if err := target.Check(context.Background(), tgt, u); err != nil {
			return cannotRun("", "nothing was sent: %v", err)
		}
	}
	for i := range x.plan.Parts {
		if x.plan.Parts[i].Arrivals != nil {
			w := wake.New()
			defer w.Close()
			x.plan.Parts[i].Sleep = w.SleepUntil
		}
	}
	watcher, watched, err := c.watchFlags.open(s.getenv, c.sinkFlags.access())
	if err != nil {
		return err
	}
	defer watcher.Stop()
	x.watch, x.record.Watch, x.linger = watcher, watched, c.WatchAfter
	if x.telemetry, err = c.sinkFlags.open(context.Background(), x.meta.Target, c.Out); err != nil {
		return err
	}
	x.meta.Sinks, x.others = x.telemetry.settings, c.otherSinkFlags
	asks := !c.Yes && !work.local(c.UnixSocket)
	if !asks {
		for _, n := range x.mix.notes {
			fmt.Fprintf(s.stderr, "weir run: %s\n", n)
		}
	}
	if asks {
		c.describe(s.stderr, x, work)
		if err := c.cost(s, s.stderr, x, work); err != nil {
			return err
		}
		yes, err := confirm(s.stdin, s.stderr, "Send this?")
		if err != nil {
			return err
		}
		if !yes {
			return cannotRun("", "nothing was sent: not confirmed")
		}
	}
	return x.run()
}

// prepare turns the flags into an execution; nothing is opened or sent yet.
func (c *runCmd) prepare(s *session) (*execution, *workload, error) {
	rules, err := hit.ParseRules(c.Throttled, c.OK)
	if err != nil {
		return nil, nil, usage("write 403, 4xx, 503+retry-after or '400:text'", "%v", err)
	}
	var work *workload
	switch {
	case c.program != nil:
		work, err = c.fromProgram(s)
	case c.python != nil:
		work, err = c.fromLocust(c.python)
	case isScenario(c.URL):
		work, err = c.fromScript(s)
	default:
		work, err = c.fromURL(s, rules.NeedsBody)
	}
	if err != nil {
		return nil, nil, err
	}
	if c.python == nil && c.pythonFlags.given() {
		return nil, nil, usage("give a locustfile (.py), or leave them out", "--python, --users-as and --processes are for locustfiles")
	}
	var m *mix
	if c.python != nil && c.python.loaded.Shape != nil {
		m, err = c.led(c.python)
	} else {
		m, err = c.mix(work, time.Now())
	}
	if err != nil {
		return nil, nil, err
	}
	x := &execution{session: s, out: c.outputFlags, maxSendLag: c.MaxSendLag, keys: c.Keys, stopOnError: c.StopOnError, allowErrors: c.AllowErrors}
	if c.StopOnError && c.AllowErrors {
		return nil, nil, usage("give one of them", "--stop-on-error ends the run at what --allow-errors allows")
	}
	if c.MaxSendLag <= 0 {
		return nil, nil, usage("give a time such as 100ms", "--max-send-lag must be above zero")
	}
	if x.failIf, x.stopIf, err = c.outcomeFlags.conditions(c.watchFlags.any()); err != nil {
		return nil, nil, err
	}
	if err := c.outputFlags.check(); err != nil {
		return nil, nil, err
	}
	x.plan = load.Plan{
		Scenario: work.scenario, Rules: rules, CatchUp: catchUps[c.CatchUp], RunTime: m.runTime, StopTimeout: c.StopTimeout,
		MaxRequests: c.Requests, MaxThrottled: c.MaxThrottled, Seed: c.Seed, Mask: work.mask, WarmUp: m.warmUp, Parts: m.parts,
	}
	x.record = planRecord{
		Model: m.model, Words: m.words, Length: m.length, Planned: m.planned, Users: m.users, MaxUsers: m.maxUsers,
		Profiles: m.profiles, WarmUp: m.warmUp,
		Rate: c.Rate, Stages: c.Stages, Burst: c.Burst, Every: c.Every, Schedule: c.Schedule, Poisson: c.Poisson,
		Wait: c.Wait, Requests: c.Requests, MaxThrottled: c.MaxThrottled, StopTimeout: c.StopTimeout,
		Timeout: c.Timeout, Connections: c.Connections, HTTP: c.HTTP, Throttled: c.Throttled, OK: c.OK,
		MaxSendLag: c.MaxSendLag, Seed: c.Seed,
	}
	x.mix, x.python, x.locust = m, c.python, c.locust
	if c.python != nil {
		c.python.aim = m.aim()
		x.plan.StopTimeout += lastWords
		for i := range x.plan.Parts {
			x.plan.Parts[i].Lasting = c.python.verb
		}
	}
	if m.model == "open" {
		x.record.CatchUp = c.CatchUp
	}
	if err := c.limitFlags.apply(s, x); err != nil {
		return nil, nil, err
	}
	x.meta.Seed, x.meta.Target = c.Seed, work.target
	return x, work, nil
}

// speaks refuses HTTP versions that a URL's scheme does not have.
func speaks(version string, urls []string) error {
	for _, u := range urls {
		tls := strings.HasPrefix(u, "https:")
		switch {
		case version == "2" && !tls:
			return usage("use --http h2c for HTTP/2 without TLS, or an https URL", "--http 2 is spoken over TLS, and %s is http", maskURL(u))
		case version == "h2c" && tls:
			return usage("use --http 2", "--http h2c is HTTP/2 without TLS, and %s is https", maskURL(u))
		}
	}
	return nil
}

// spareFiles are the descriptors left for everything but the users' connections.
const spareFiles = 50

// room is how many users can have a connection each, 0 when that is not known.
func room() int {
	_, limit := selfwatch.Files()
	return limit - min(spareFiles, limit/2)
}

// enoughFiles finds out before the start whether every user can have a connection.
func enoughFiles(x *execution, connections string) error {
	users, flag := x.mix.most, "--max-users"
	if x.record.Model == "closed" {
		flag = "--users"
	}
	room := room()
	if room == 0 || connections == "shared" || users <= room {
		return nil
	}
	return cannotRun(fmt.Sprintf("raise the limit (ulimit -n %d), use fewer (%s %d), or --connections shared", users+spareFiles, flag, room),
		"%d users need a connection each, and this process may open %d files", users, room+min(spareFiles, room))
}

// describe prints the plan with the most that it can send.
func (c *runCmd) describe(w io.Writer, x *execution, work *workload) {
	if work.details != "" {
		fmt.Fprintf(w, "Scenario: %s\n\n%s\n\n", x.meta.Target, strings.TrimRight(work.details, "\n"))
	} else {
		fmt.Fprintf(w, "Request:  %s\n", x.meta.Target)
	}
	x.mix.describe(w)
	most := "as many requests as the users get answers for; bound them with --requests"
	switch {
	case c.Requests > 0 && (work.part != nil || x.record.Planned == 0):
		most = plural(int(c.Requests), "request")
	case x.record.Planned > 0 && work.part != nil:
		most = plural(int(x.record.Planned), "arrival") + ", each of which is one task; a task may send several requests, or none: bound them with --requests"
	case x.record.Planned > 0:
		most = plural(int(x.record.Planned), "request")
	case x.record.Length > 0 && x.record.Model == "closed" && c.Wait != "":
		if w, err := parseWait(c.Wait); err == nil && w.from > 0 {
			n := float64(x.mix.most) * (x.record.Length.Seconds()/w.from.Seconds() + 1)
			most = fmt.Sprintf("%.0f requests, if answers take no time", n)
		}
	}
	if n := x.plan.Retry.Attempts; n > 1 && c.Requests == 0 {
		most += fmt.Sprintf(", each up to %d times", n)
	}
	fmt.Fprintf(w, "At most:  %s\n", most)
	fmt.Fprint(w, describeLimits(&x.plan, &x.record))
	for _, e := range x.stopIf {
		fmt.Fprintf(w, "Stops if: %s\n", e)
	}
	for _, e := range x.failIf {
		describeCondition(w, e)
	}
}

// optionError names the flag behind a wrong option of the sender.
func optionError(err error) error {
	var oe *target.OptionError
	if !errors.As(err, &oe) {
		return err
	}
	flags := map[string]string{
		"TLS.CAFile": "--cacert", "TLS.CertFile": "--cert", "TLS.KeyFile": "--key", "TLS.ServerName": "--sni", "TLS.Min": "--tls-min",
		"Proxy": "--proxy", "NoProxy": "--no-proxy", "Resolve": "--resolve", "ConnectTo": "--connect-to",
		"SourceAddrs": "--source-ip", "UnixSocket": "--unix-socket", "HTTP": "--http", "MaxShared": "--max-shared", "UserAgent": "--user-agent",
	}
	if flag, ok := flags[oe.Field]; ok {
		return fmt.Errorf("%s: %s", flag, oe.Reason)
	}
	return err
}
