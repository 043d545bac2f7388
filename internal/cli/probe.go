package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/keyscope"
	blackbox "github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/sink/price"
	"github.com/weir-dev/weir/internal/target"
)

// probeCmd names the limit that stands before a request.
type probeCmd struct {
	URL string `arg:"" optional:"" name:"url|file" help:"What to ask: a URL, a scenario (.star, with --step) or a request file (.http, .rest). Choose a request that does no harm when it is sent a thousand times."`

	requestFlags `embed:""`

	Step  string   `placeholder:"NAME" help:"The request of a file: its name, or 'POST /token'. A scenario is run up to it, as one user." group:"File"`
	Env   string   `placeholder:"NAME" help:"Environment of http-client.env.json, for request files." group:"File"`
	Var   []string `sep:"none" placeholder:"NAME=VALUE" help:"Value of a variable of a request file; repeat for more." group:"File"`
	Host  string   `placeholder:"URL" help:"Where a scenario's users send, instead of its own host." group:"File"`
	Class []string `placeholder:"NAME" help:"Only these user classes of a scenario." group:"File"`

	Vary []string `sep:"none" placeholder:"KIND=A,B" help:"Find out whether the limit is counted by this: header:X-Key=a,b, query:k=a,b, cookie:sid=a,b, body:field=a,b, path=/a,/b, basic-user=a,b or source-ip. Repeat for several; the first value is that of the request." group:"Key"`

	MaxRequests  int           `default:"5000" placeholder:"N" help:"Most requests. Default 5000." group:"Budget"`
	MaxThrottled int           `default:"300" placeholder:"N" help:"Most refused requests; those under way are waited for. Default 300." group:"Budget"`
	MaxRate      float64       `default:"400" placeholder:"N" help:"Most requests in any second, counted when they go. Default 400." group:"Budget"`
	MaxTime      time.Duration `default:"10m" placeholder:"DURATION" help:"Longest time; what is under way then is waited for one second more. Default 10m." group:"Budget"`
	SecondLimit  int           `placeholder:"N" help:"Look for a second, slower limit of up to N times the first; each time costs the whole limit. 1: do not look. Default: less than 6 (8 for windows of the clock), up to 12 for small limits." group:"Budget"`
	Quick        bool          `help:"End as soon as one explanation is likely: about two thirds of the requests; a second limit is not looked for, and nothing is certain. Go on with --resume." group:"Budget"`
	Price        float64       `placeholder:"USD" help:"What a request costs, in dollars, for the plan." group:"Budget"`
	Prices       string        `placeholder:"FILE" help:"Table of prices instead of the built-in one." group:"Budget"`
	Seed         uint64        `default:"1" help:"Of the search." group:"Budget"`
	DryRun       bool          `help:"Say what would be sent at worst, and send nothing." group:"Budget"`
	Yes          bool          `short:"y" help:"Do not ask before throttling a target that is not on this machine." group:"Budget"`

	Throttled   []string `sep:"none" placeholder:"RULE" help:"What else is a refusal: 403, 503+retry-after, '200:quota'. As in weir run." group:"Verdict"`
	OK          []string `name:"ok" sep:"none" placeholder:"RULE" help:"What else was let pass; answers may then look as they like. As in weir run." group:"Verdict"`
	IgnoreHints bool     `help:"Do not look at limit headers when choosing experiments." group:"Verdict"`

	Resume   string `placeholder:"FILE" help:"Go on from the journal of a probe that ended early." group:"Output"`
	Journal  string `placeholder:"FILE" help:"Write every wave to this journal as it goes. Without it, a journal is written when the probe ends early." group:"Output"`
	Out      string `placeholder:"FILE" help:"Write the limit as a policy file: for lab, gate, verify and forecast." group:"Output"`
	JSON     string `name:"json" placeholder:"FILE" help:"Write the report as JSON." group:"Output"`
	HTML     string `name:"html" placeholder:"FILE" help:"Write it as one HTML page." group:"Output"`
	Progress string `enum:"auto,live,plain,none" default:"auto" help:"auto (live on a terminal), live, plain or none." group:"Output"`
	Quiet    bool   `short:"q" help:"No plan, no progress." group:"Output"`

	connectionFlags `embed:""`
}

// Run probes and says what was found.
func (c *probeCmd) Run(s *session) error {
	if c.MaxRequests < 1 || c.MaxThrottled < 1 || c.MaxTime <= 0 || c.MaxRate <= 0 || c.Price < 0 {
		return usage("they bound what is done to somebody's service", "--max-requests, --max-throttled, --max-time and --max-rate must be above zero")
	}
	switch {
	case c.Connections != "per-user" || c.MaxShared != 0:
		return usage("which connection gets which answer shows replicas", "weir probe makes as many connections as it needs itself: --connections and --max-shared are not for it")
	case c.MaxRedirects != 10 && c.MaxRedirects != 0:
		return usage("probe the address that it leads to", "weir probe follows no redirects, because nobody knows which of the two requests a limit counts: --max-redirects is not for it")
	}
	if c.SecondLimit < 0 {
		return usage("--second-limit 1 does not look for one", "--second-limit %d: it is how many times the first a second limit may be", c.SecondLimit)
	}
	if c.Quick && c.SecondLimit > 1 {
		return usage("leave one of them out", "--quick ends before a second limit is looked for, so that --second-limit %d says nothing", c.SecondLimit)
	}
	if err := allWritable([2]string{"--json", c.JSON}, [2]string{"--html", c.HTML}, [2]string{"--out", c.Out}); err != nil {
		return err
	}
	j, err := c.openJournal()
	if err != nil {
		return err
	}
	if c.URL == "" {
		return usage("weir probe https://api.example.com/v1/items --dry-run", "there is nothing to probe: give a URL, a scenario or a request file")
	}
	rules, err := hit.ParseRules(c.Throttled, c.OK)
	if err != nil {
		return usage("as in weir run", "%v", err)
	}
	req, err := c.request(s)
	if err != nil {
		return err
	}
	req.Once = true
	u, err := parseTarget(req.URL)
	if err != nil {
		return err
	}
	things, err := c.varied(u, req)
	if err != nil {
		return err
	}
	if err := j.fits(c, req, s); err != nil {
		return err
	}
	here := local(u, c.UnixSocket)
	out := s.stderr
	if c.DryRun {
		out = s.stdout
	}
	if !c.Quiet || c.DryRun {
		var plan strings.Builder
		if err := c.plan(&plan, req, things, j); err != nil {
			return err
		}
		io.WriteString(out, report.Fold(plan.String(), terminalWidth(out))) // what cannot be written there is no reason to stop
	}
	if c.DryRun {
		return nil
	}
	if !here && !c.Yes {
		if err := (&verifyCmd{}).confirm(s, u.Host); err != nil {
			return err
		}
	}
	world, err := c.world(s, req, things, rules)
	if err != nil {
		return err
	}
	defer world.close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := target.Check(ctx, world.targets[0], req.URL); ctx.Err() != nil {
		return &failure{exitInterrupted, errors.New("stopped before anything was sent"), ""}
	} else if err != nil {
		return cannotRun("", "%s: %v", maskURL(req.URL), err)
	}
	return c.investigate(ctx, s, world, j)
}

// varied reads --vary.
func (c *probeCmd) varied(u *url.URL, req *hit.Request) (things []*varied, err error) {
	seen := map[string]bool{}
	for _, text := range c.Vary {
		v, err := parseVaried(text)
		if err != nil {
			return nil, err
		}
		if seen[v.String()] {
			return nil, usage("give all values at once, separated by commas", "--vary %s is given twice", v)
		}
		seen[v.String()] = true
		if err := v.addresses(u); err != nil {
			return nil, err
		}
		if v.kind == "path" && len(u.Path) > 1 {
			if first, _, _ := strings.Cut(v.values[0], "?"); first != u.Path && first != u.EscapedPath() {
				return nil, usage(fmt.Sprintf("write --vary path=%s,%s", u.EscapedPath(), v.values[0]), "--vary path: the first value is that of the request itself, which has %s and not %s", u.EscapedPath(), v.values[0])
			}
		}
		if v.kind == "source-ip" && (len(c.SourceIP) > 0 || c.UnixSocket != "") {
			return nil, usage("leave one out", "--vary source-ip says itself where connections come from")
		}
		things = append(things, v)
	}
	_, err = variant(req, things, make(keyscope.Who, len(things))) // what cannot be varied is said before anything is sent
	return things, err
}

// plan says what would happen at worst.
func (c *probeCmd) plan(w io.Writer, req *hit.Request, things []*varied, j *probeJournal) error {
	longest := c.MaxTime
	if first, err := variant(req, things, make(keyscope.Who, len(things))); err == nil {
		req = first
	}
	fmt.Fprintf(w, "At worst: %d requests, %d refused and what is then under way, %v, %g requests/s. %s %s\n",
		c.MaxRequests, c.MaxThrottled, longest, c.MaxRate, req.Method, maskURL(req.URL))
	if j.had > 0 {
		fmt.Fprintf(w, "  %d requests of these were sent in an earlier session, %d of them refused.\n", j.had, j.refused)
	}
	for _, v := range things {
		fmt.Fprintf(w, "  then as %d clients that differ in %s\n", len(v.values), v.words())
	}
	money, note := c.Price, ""
	if money == 0 {
		t, err := price.Load(c.Prices)
		if err != nil {
			return usage("write it like the table that docs/cloudwatch.md shows", "--prices: %v", err)
		}
		if r := t.Find(req.URL, string(req.Body)); r != nil {
			if r.USD == nil {
				fmt.Fprintf(w, "  %s cost money, and how much depends: give it with --price\n", r.What)
			} else {
				money, note = *r.USD, fmt.Sprintf(" (%s, prices read %s)", r.What, t.Read)
			}
		}
	}
	if money > 0 {
		fmt.Fprintf(w, "  at most %s, at $%g each%s\n", price.Dollars(float64(c.MaxRequests)*money), money, note)
	}
	return nil
}

// world makes what sends.
func (c *probeCmd) world(s *session, req *hit.Request, things []*varied, rules *hit.Rules) (*probeWorld, error) {
	options, err := c.options(func(int) bool { return true }, s.getenv)
	if err != nil {
		return nil, err
	}
	// A connection that the target has just closed leaves unknown what was counted.
	options.IdleTimeout, options.MaxRedirects, options.Connections = 2*time.Second, target.NoRedirects, target.PerUser
	options.BodyLimit = probeBody
	base, err := variant(req, things, make(keyscope.Who, len(things)))
	if err != nil {
		return nil, err
	}
	w := &probeWorld{things: things, req: base, pace: newProbePace(c.MaxRate),
		guard: &probeGuard{rules: rules, maxNo: c.MaxThrottled, anyShape: len(c.OK) > 0}}
	sources := [][]string{options.SourceAddrs}
	for _, v := range things {
		if v.kind == "source-ip" {
			sources = nil
			for _, a := range v.values {
				sources = append(sources, []string{a})
			}
		}
	}
	for _, from := range sources {
		options.SourceAddrs = from
		t, err := target.New(options)
		if err != nil {
			return nil, usage("", "%v", err)
		}
		w.targets = append(w.targets, t)
	}
	return w, nil
}

// investigate finds the limit, and then what it is counted by.
func (c *probeCmd) investigate(ctx context.Context, s *session, world *probeWorld, j *probeJournal) error {
	began := time.Now()
	world.guard.end, world.guard.no = began.Add(c.MaxTime), j.refused
	// Subtle: one context for all requests. A connection is made under that of its first.
	within, cancel := context.WithDeadline(ctx, world.guard.end.Add(lastAnswers))
	defer cancel()
	world.within = within
	show := newProbeShow(s, c)
	defer show.close()
	past, spent := j.past()
	most := max(1, c.MaxRequests-spent) // what an earlier session spent on the key is gone
	o := blackbox.Options{MaxRequests: most, MaxRefused: c.MaxThrottled, MaxTime: c.MaxTime, Seed: c.Seed, Past: past, Record: j.add, IgnoreHints: c.IgnoreHints, Second: c.SecondLimit, Quick: c.Quick, Patience: c.Timeout}
	if len(world.things) > 0 { // something is left for the key
		o.MaxRequests, o.MaxRefused = max(1, most*2/3), max(1, c.MaxThrottled/2)
	}
	o.Progress = show.belief
	o.Record = func(r blackbox.Record) { j.add(r); show.wave(r) }
	v, err := blackbox.New(world, world, o).Run(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		v.Stopped = "it was interrupted"
	case err != nil && v.Requests == 0:
		return cannotRun("is the request right?", "%v", err)
	case err != nil:
		v.Stopped = err.Error()
	}
	kind := stopKind(err)
	var scope, behind *keyscope.Scope
	if len(world.things) > 0 && err == nil {
		look := func(o keyscope.Options) *keyscope.Scope {
			s, err := c.scope(ctx, world, v, j, show, began, most, o)
			if err == nil {
				return s
			}
			s.Stopped = err.Error()
			if kind = stopKind(err); errors.Is(err, context.Canceled) {
				s.Stopped = "it was interrupted"
			}
			return s
		}
		scope = look(keyscope.Options{Found: v.Found})
		if long, spend, ok := keyscope.Behind(&v.Found); ok && scope.Stopped == "" {
			most -= scope.Requests
			behind = look(keyscope.Options{Found: long, Spend: spend})
			if len(behind.Rounds) == 0 {
				behind = nil
			}
		}
	}
	show.close()
	switch {
	case ctx.Err() != nil:
		kind = "interrupted"
	case kind == "" && v.Stopped != "":
		kind = "bound"
	}
	r := c.report(world, v, scope, behind, j)
	r.Stop(kind)
	r.Resumed = j.had
	r.Requests += spent
	if err := c.deliver(s, r, v, scope, behind, world); err != nil {
		return err
	}
	ended := v.Stopped != "" || v.Quick || scope != nil && scope.Stopped != "" || behind != nil && behind.Stopped != ""
	if err := j.finish(c, s, ended); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return verdict(exitInterrupted)
	case r.Unknown:
		return verdict(exitCannotRun)
	}
	return nil
}

// scope finds out what a limit is counted by, with what is left of the budget.
func (c *probeCmd) scope(ctx context.Context, world *probeWorld, v *blackbox.Verdict, j *probeJournal, show *probeShow, began time.Time, most int, o keyscope.Options) (*keyscope.Scope, error) {
	for _, t := range world.things {
		o.Values = append(o.Values, len(t.values))
	}
	o.Seen, o.Gap, o.Seed, o.Tell, o.Record = j.records, time.Duration(float64(time.Second)/c.MaxRate), c.Seed, show.key, j.add
	o.MaxRequests, o.MaxRefused = max(1, most-v.Requests), max(1, c.MaxThrottled-world.guard.refused())
	o.MaxTime = max(time.Millisecond, c.MaxTime-time.Since(began))
	return keyscope.Find(ctx, o, world, world)
}

// deliver writes the report in all forms.
func (c *probeCmd) deliver(s *session, r *report.Probe, v *blackbox.Verdict, scope, behind *keyscope.Scope, world *probeWorld) error {
	color, _ := isTerminal(s.stdout)
	if err := r.WriteText(s.stdout, color && s.getenv("NO_COLOR") == "", terminalWidth(s.stdout)); err != nil {
		return cannotRun("", "%v", err)
	}
	if c.JSON != "" {
		if err := writeFile(c.JSON, r.WriteJSON); err != nil {
			return cannotRun("", "--json: %v", err)
		}
	}
	if c.HTML != "" {
		if err := writeFile(c.HTML, r.WriteHTML); err != nil {
			return cannotRun("", "--html: %v", err)
		}
	}
	if c.Out == "" {
		return nil
	}
	why := ""
	switch {
	case len(v.Policies) == 0:
		why = "no limit was found"
	case v.Shut != nil && v.Shut.Told == nil:
		why = "it did not open again, so how long its window is, is not known"
		if !v.Shut.Opens.IsZero() {
			why += ", and the headers say when it opens, not that"
		}
	case v.Shut == nil && !report.TimesKnown(&v.Found):
		why = "how long its window is, or at which rate it gives back, is not known"
	}
	if why != "" {
		old := ""
		if _, err := os.Stat(c.Out); err == nil {
			old = "; what is in it is from before"
		}
		fmt.Fprintf(s.stderr, "weir probe: %s: %s is not written%s\n", why, c.Out, old)
		return nil
	}
	return c.writePolicy(r, v, scope, behind, world)
}
