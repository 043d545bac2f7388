package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/forecast"
	"github.com/weir-dev/weir/internal/lab/auth0"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/retry"
	"github.com/weir-dev/weir/internal/runfile"
)

// forecastCmd foresees what limits make of a load.
type forecastCmd struct {
	File string `arg:"" optional:"" help:"A forecast file; - for standard input. Flags say the simple case, or differ from the file."`

	Limits  []string      `placeholder:"FILE" help:"Policy files: YAML, APIM policy XML or Envoy rate limit YAML." group:"Forecast"`
	Tier    string        `placeholder:"NAME" help:"Ready limits: auth0/free, auth0/enterprise, auth0/private-500 and others; list prints them." group:"Forecast"`
	Flow    []string      `placeholder:"'METHOD /path=N'" sep:"none" help:"A call that each flow makes, N times. May be repeated." group:"Forecast"`
	Ready   string        `placeholder:"NAME" help:"A ready flow, such as auth0-universal/password; list prints them." group:"Forecast"`
	With    []string      `placeholder:"NAME" help:"Modifiers of the ready flow, such as mfa." group:"Forecast"`
	Rate    string        `placeholder:"RATE" help:"How often flows arrive: 30/s, 1000/h." group:"Forecast"`
	Stages  string        `placeholder:"STAGES" help:"The same over time: 0..200/s:30s,200/s:1m." group:"Forecast"`
	Curve   string        `placeholder:"FILE" help:"The same from a CSV of time and rate, such as a day." group:"Forecast"`
	Poisson bool          `help:"Arrivals at random around that." group:"Forecast"`
	For     time.Duration `placeholder:"DURATION" help:"How long. Default: as long as the arrivals, else 1h." group:"Forecast"`
	Start   string        `placeholder:"TIME" help:"When it begins, for limits that follow the clock: 2026-11-23T08:00:00Z." group:"Forecast"`
	Retry   string        `placeholder:"RULE" help:"What a client does when refused: none, retry-after, exponential, aws, azure, auth0, immediate, or one spelt out." group:"Forecast"`
	Clients string        `placeholder:"N|each" help:"How many clients take turns, for limits that count each by itself; each: every arrival is another." group:"Forecast"`
	Lasts   time.Duration `placeholder:"DURATION" help:"How long an admitted call takes." group:"Forecast"`
	Cache   string        `placeholder:"TTL[*N]" help:"What the calls fetch is kept for so long by each of N instances: 1h*20." group:"Forecast"`
	Seed    uint64        `help:"Seed of everything random." group:"Forecast"`

	From string `placeholder:"RUN" help:"A run file: predict what its requests met, and say how far off that is." group:"Forecast"`

	JSON  string `name:"json" placeholder:"FILE" help:"Write the answer as JSON; - for standard output." group:"Output"`
	HTML  string `name:"html" placeholder:"FILE" help:"Write it as one HTML file with charts; - for standard output." group:"Output"`
	Brief bool   `help:"Only play it: without what would fit, what to ask for and what changes." group:"Output"`
	Quiet bool   `short:"q" help:"Print errors only." group:"Output"`

	FailOnRefusal bool `help:"Exit with code 1 when anything is refused." group:"Verdict"`
}

// Run answers.
func (c *forecastCmd) Run(s *session) error {
	if c.Tier == "list" || c.Ready == "list" {
		return c.list(s)
	}
	if c.JSON == "-" && c.HTML == "-" {
		return usage("write one of them to a file", "--json and --html both write to standard output")
	}
	for flag, path := range map[string]string{"--json": c.JSON, "--html": c.HTML} {
		if path != "" && path != "-" {
			if err := writable(flag, path); err != nil {
				return err
			}
		}
	}
	if c.From != "" {
		return c.recorded(s)
	}
	plan, dir, err := c.plan(s)
	if err != nil {
		return err
	}
	study, err := plan.Bind(s.sources(dir))
	if err != nil {
		return usageOnce(err)
	}
	a, err := c.answer(s, study)
	if err != nil {
		return err
	}
	return c.deliver(s, a)
}

// usageOnce makes wrong usage of an error that is not a failure already.
func usageOnce(err error) error {
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	return usage("", "%v", err)
}

// answer plays it, with progress on the terminal when it takes long.
func (c *forecastCmd) answer(s *session, study *forecast.Study) (*forecast.Answer, error) {
	o := forecast.AnswerOptions{Brief: c.Brief}
	if tty, _ := isTerminal(s.stderr); tty && !c.Quiet {
		var mu sync.Mutex // guards shown and last
		began, last, shownAny := time.Now(), time.Time{}, false
		o.Progress = func(what string, done float64) {
			mu.Lock()
			defer mu.Unlock()
			if now := time.Now(); now.Sub(began) > 2*time.Second && now.Sub(last) > 200*time.Millisecond {
				last, shownAny = now, true
				fmt.Fprintf(s.stderr, "\r\x1b[K%s, %.0f %%", what, done*100)
			}
		}
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			if shownAny {
				fmt.Fprint(s.stderr, "\r\x1b[K")
			}
		}()
	}
	a, err := study.Answer(o)
	if err != nil {
		return nil, usage("", "%v", err)
	}
	return a, nil
}

// plan is the file with what the flags say instead, and the folder its names are in.
func (c *forecastCmd) plan(s *session) (p *forecast.Plan, dir string, err error) {
	p = &forecast.Plan{Name: "forecast"}
	if c.File != "" {
		data, err := s.open(c.File)
		if err != nil {
			return nil, "", err
		}
		if p, err = forecast.Parse(shown(c.File), data); err != nil {
			return nil, "", usage("docs/forecast.md describes the file", "%v", err)
		}
		if c.File != "-" {
			dir = filepath.Dir(c.File)
			p.Name = filepath.Base(p.Name)
		}
	}
	if len(c.Limits) > 0 || c.Tier != "" {
		p.Limits, p.Tier = nil, c.Tier
		for _, l := range c.Limits {
			p.Limits = append(p.Limits, c.flagged(l))
		}
	}
	if c.For > 0 {
		p.For = c.For
	}
	if c.Lasts > 0 {
		p.Lasts = c.Lasts
	}
	if c.Seed != 0 {
		p.Seed = c.Seed
	}
	if c.Start != "" {
		if p.Start, err = time.Parse(time.RFC3339, c.Start); err != nil {
			return nil, "", usage("write it as 2026-11-23T08:00:00Z", "--start %q is not a time", c.Start)
		}
	}
	if c.Retry != "" {
		if p.Retry, err = retry.Parse(c.Retry); err != nil {
			return nil, "", usage("", "--retry: %v", err)
		}
	}
	if err := c.arrivals(p); err != nil {
		return nil, "", err
	}
	if err := c.flows(p); err != nil {
		return nil, "", err
	}
	if err := p.Check(); err != nil {
		return nil, "", usage("weir forecast --help, or docs/forecast.md for the file", "%v", err)
	}
	return p, dir, nil
}

// flagged marks a file that a flag names: it is where the user is, not beside the
// forecast file.
func (c *forecastCmd) flagged(name string) string {
	if abs, err := filepath.Abs(name); err == nil && name != "-" {
		return abs
	}
	return name
}

func (c *forecastCmd) arrivals(p *forecast.Plan) (err error) {
	var a forecast.Arrivals
	if c.Rate != "" {
		if a.Rate, err = pace.ParseRate(c.Rate); err != nil {
			return usage("", "--rate: %v", err)
		}
		if a.Rate.IsZero() {
			return usage("give a rate such as 10/s", "--rate is zero")
		}
	}
	if c.Stages != "" {
		if a.Stages, err = pace.ParseStages(c.Stages); err != nil {
			return usage("", "--stages: %v", err)
		}
	}
	if c.Curve != "" {
		a.Curve = c.flagged(c.Curve)
	}
	if n := b2n(c.Rate != "") + b2n(c.Stages != "") + b2n(c.Curve != ""); n > 1 {
		return usage("keep one of them", "--rate, --stages and --curve each say how often flows arrive")
	}
	if !a.IsZero() {
		p.Arrivals = a
	}
	p.Arrivals.Poisson = p.Arrivals.Poisson || c.Poisson
	return nil
}

func b2n(b bool) int {
	if b {
		return 1
	}
	return 0
}

// flows are those of --flow or --ready.
func (c *forecastCmd) flows(p *forecast.Plan) error {
	if len(c.Flow) == 0 && c.Ready == "" {
		if c.Clients != "" || c.Cache != "" || len(c.With) > 0 {
			return usage("write it into the file", "--clients, --cache and --with belong to --flow or --ready")
		}
		return nil
	}
	if len(c.Flow) > 0 && c.Ready != "" {
		return usage("write a forecast file for several flows", "--flow and --ready each say what arrives")
	}
	f := forecast.FlowPlan{Ready: c.Ready, With: c.With}
	var cache forecast.Cache
	if c.Cache != "" {
		ttl, n, many := strings.Cut(c.Cache, "*")
		var err error
		if cache.TTL, err = parseDuration("--cache", ttl); err != nil {
			return err
		}
		if many {
			if cache.Holders, err = strconv.Atoi(strings.TrimSpace(n)); err != nil || cache.Holders < 1 || cache.Holders > 1_000_000 {
				return usage("write 1h*20 for twenty instances", "--cache %q has no number after the *", c.Cache)
			}
		}
	}
	if c.Ready != "" {
		f.Cache = cache
	}
	for _, one := range c.Flow {
		request, times, counted := cutLast(one, "=")
		step := forecast.Step{Request: strings.TrimSpace(request), Cache: cache}
		if counted {
			n, err := strconv.Atoi(strings.TrimSpace(times))
			if err != nil || n < 1 || n > 200 {
				return usage("write 'POST /oauth/token=1'", "--flow %q: after the = stands how often, from 1 to 200", one)
			}
			step.Times = n
		}
		if method, path, ok := strings.Cut(step.Request, " "); !ok || method != strings.ToUpper(method) || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " ?#") {
			return usage("write 'POST /oauth/token=1'", "--flow %q is no method and path", one)
		}
		f.Calls = append(f.Calls, step)
	}
	switch c.Clients {
	case "":
	case "each":
		f.Each = true
	default:
		n, err := strconv.Atoi(c.Clients)
		if err != nil || n < 1 || n > 1_000_000 {
			return usage("", "--clients %q must be a number from 1 to 1000000, or each", c.Clients)
		}
		f.Clients = n
	}
	p.Flows = []forecast.FlowPlan{f}
	return nil
}

// cutLast cuts at the last of sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// sources look up what a plan names, in the folder of its file.
func (s *session) sources(dir string) forecast.Sources {
	in := func(name string) string {
		if name == "-" || filepath.IsAbs(name) || dir == "" {
			return name
		}
		return filepath.Join(dir, name)
	}
	return forecast.Sources{
		Limits: func(name string) (*policy.File, error) {
			f, _, err := s.theFile(in(name))
			return f, err
		},
		Tier: readyTier,
		Curve: func(name string) ([]byte, error) {
			data, err := os.ReadFile(in(name))
			if err != nil {
				return nil, usage("a line for each change: 08:30,120/min", "%v", err)
			}
			return data, nil
		},
		Run: func(name string) ([]time.Duration, time.Duration, error) {
			rec, err := s.record(in(name))
			if err != nil {
				return nil, 0, err
			}
			var at []time.Duration
			for _, n := range rec.Names {
				at = append(at, n.At...)
			}
			return at, rec.Length, nil
		},
	}
}

// record reads the requests of a run file.
func (s *session) record(path string) (*forecast.Recorded, error) {
	run, err := runfile.Open(path)
	if err != nil {
		return nil, usage("", "%v", err)
	}
	defer run.Close()
	rec, err := forecast.Record(run.Meta.Started, run.Ticks())
	if err != nil {
		return nil, cannotRun("", "%v", err)
	}
	return rec, nil
}

// recorded predicts a run and compares.
func (c *forecastCmd) recorded(s *session) error {
	switch {
	case c.File != "" || len(c.Flow) > 0 || c.Ready != "" || c.Rate != "" || c.Stages != "" || c.Curve != "" || c.Retry != "":
		return usage("give --limits or --tier only", "--from takes its requests from the run, with every attempt")
	case len(c.Limits) == 0 && c.Tier == "":
		return usage("add --limits FILE", "--from needs the limits to predict from")
	}
	rec, err := s.record(c.From)
	if err != nil {
		return err
	}
	file := &policy.File{}
	for _, name := range c.Limits {
		f, _, err := s.theFile(name)
		if err != nil {
			return err
		}
		file.Policies = append(file.Policies, f.Policies...)
		file.Chain = f.Chain && len(c.Limits) == 1 && c.Tier == ""
	}
	if c.Tier != "" {
		more, err := readyTier(c.Tier)
		if err != nil {
			return err
		}
		file.Policies = append(file.Policies, more...)
	}
	if len(rec.Names) == 0 {
		return usage("", "%s: nothing was answered, so there is nothing to compare", c.From)
	}
	study := rec.Study(filepath.Base(c.From), file)
	study.Seed = c.Seed
	c.Brief = true
	a, err := c.answer(s, study)
	if err != nil {
		return err
	}
	rec.Compare(a)
	return c.deliver(s, a)
}

// readyTier returns the limits of a plan of a known service.
func readyTier(name string) ([]policy.Policy, error) {
	var names []string
	for _, t := range auth0.Tiers() {
		if "auth0/"+t.Name == name {
			return auth0Policies(t)
		}
		names = append(names, "auth0/"+t.Name)
	}
	return nil, usage("weir forecast --tier list tells more", "no ready limits are called %q; there are %s", name, strings.Join(names, ", "))
}

// list prints what is ready.
func (c *forecastCmd) list(s *session) error {
	if c.Tier == "list" {
		for _, t := range auth0.Tiers() {
			burst, n, per := auth0.Published(t.Limits.Authentication)
			fmt.Fprintf(s.stdout, "%-22s %s: Authentication API %d in %v, burst %d. Read %s\n", "auth0/"+t.Name, t.Title, n, per, burst, t.Read)
		}
		return nil
	}
	for _, r := range forecast.ReadyFlows() {
		fmt.Fprintf(s.stdout, "%-26s %s\n", r.Name, r.Summary)
		for _, m := range r.With {
			fmt.Fprintf(s.stdout, "%-26s   --with %s: %s\n", "", m.Name, m.Summary)
		}
	}
	return nil
}

// deliver writes what was asked for.
func (c *forecastCmd) deliver(s *session, a *forecast.Answer) (err error) {
	var wrote []string
	for _, d := range []struct {
		path  string
		write func() error
	}{
		{c.JSON, func() error { return printJSON(s.stdout, a) }},
		{c.HTML, func() error { return report.WriteForecastHTML(s.stdout, a) }},
	} {
		if d.path == "-" {
			err = errors.Join(err, d.write())
		}
	}
	if c.JSON != "" && c.JSON != "-" {
		err = errors.Join(err, writeFile(c.JSON, func(w io.Writer) error { return printJSON(w, a) }))
		wrote = append(wrote, c.JSON)
	}
	if c.HTML != "" && c.HTML != "-" {
		err = errors.Join(err, writeFile(c.HTML, func(w io.Writer) error { return report.WriteForecastHTML(w, a) }))
		wrote = append(wrote, c.HTML)
	}
	if !c.Quiet && c.JSON != "-" && c.HTML != "-" {
		tty, size := isTerminal(s.stdout)
		o := report.TextOptions{Color: report.DetectMode(tty, s.getenv).Color}
		if tty {
			o.Width, _ = size()
		}
		err = errors.Join(err, report.WriteForecast(s.stdout, a, o))
	}
	if len(wrote) > 0 && !c.Quiet && err == nil {
		fmt.Fprintf(s.stderr, "wrote %s\n", list(wrote))
	}
	if err == nil && c.FailOnRefusal && a.Totals.Refused > 0 {
		return verdict(exitFailed)
	}
	return err
}
