package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/drill"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/sink/price"
	"github.com/weir-dev/weir/internal/target"
)

// drillCmd provokes refusals until whoever is to notice has proved that they do.
type drillCmd struct {
	What []string `arg:"" optional:"" name:"preset|url" help:"The URL to load, or cognito, auth0 or alertmanager and then the URL. Several URLs take turns."`

	requestFlags `embed:""`

	Alarm    string `placeholder:"NAME" help:"The CloudWatch alarm that is to ring." group:"Drill"`
	Metric   string `sep:"none" placeholder:"'NAMESPACE METRIC DIMENSION=VALUE …'" help:"The metric that the load moves, when it is known: the alarm must watch it." group:"Drill"`
	Region   string `aliases:"cloudwatch-region" placeholder:"REGION" help:"AWS region. Default: of the environment or the AWS profile." group:"Drill"`
	Role     string `aliases:"cloudwatch-role" placeholder:"ARN" help:"AWS role to assume." group:"Drill"`
	Endpoint string `aliases:"cloudwatch-endpoint" placeholder:"URL" help:"Instead of AWS's own, for stand-ins such as weir lab aws." group:"Drill"`
	NoQueue  bool   `help:"Make no queue in the account: the notification is read from the alarm's history, which says what was sent and not what came." group:"Drill"`
	Rehearse bool   `help:"First set the alarm to ALARM by hand, to prove the way to the notification without load." group:"Drill"`
	NoLoad   bool   `help:"With --rehearse: do no more than that." group:"Drill"`

	Alert        string        `placeholder:"NAME" help:"The Prometheus alert that is to fire." group:"Drill"`
	Prometheus   string        `placeholder:"URL" help:"The Prometheus that has its rule." group:"Drill"`
	Alertmanager string        `placeholder:"URL" help:"The Alertmanager that is to get it." group:"Drill"`
	Webhook      string        `placeholder:"HOST:PORT" help:"Listen here for Alertmanager's notification: a receiver of its own must point to it." group:"Drill"`
	Log          string        `placeholder:"URL|FILE" help:"The tenant log in which the refusal is to appear: a Management API (https://TENANT/api/v2/logs), or a file of JSON lines." group:"Drill"`
	TokenEnv     string        `default:"AUTH0_TOKEN" placeholder:"NAME" help:"Environment variable with the token for that API." group:"Drill"`
	LogBound     time.Duration `default:"1m" placeholder:"DURATION" help:"Longest time until the refusal stands in the log." group:"Drill"`

	Rate         float64       `placeholder:"N" help:"Where the limit is, in requests per second, when you know: the load begins just above. Default: what the service or CloudWatch tells, else it climbs." group:"Budget"`
	MaxRequests  int           `default:"3000" placeholder:"N" help:"Most requests, never more." group:"Budget"`
	MaxThrottled int           `default:"200" placeholder:"N" help:"Most refused requests, never more." group:"Budget"`
	MaxRate      float64       `default:"400" placeholder:"N" help:"Most requests per second." group:"Budget"`
	MaxTime      time.Duration `default:"15m" placeholder:"DURATION" help:"Longest time until the notification." group:"Budget"`
	MaxCost      float64       `default:"5" placeholder:"USD" help:"Most that the requests may cost, where they have a price; 0 is no bound." group:"Budget"`
	Prices       string        `placeholder:"FILE" help:"Prices in place of the built-in ones." group:"Budget"`
	Bound        []string      `placeholder:"STAGE=DURATION" help:"How long a stage may take after the one before it: datapoint, alarm, notified, ok, ok-notified and others. Repeat for more." group:"Budget"`
	DryRun       bool          `help:"Look at everything and say what would be done; send and change nothing." group:"Budget"`
	Yes          bool          `short:"y" help:"Do not ask before throttling a target, or ringing an alarm, that is not on this machine." group:"Budget"`

	Throttled []string `sep:"none" placeholder:"RULE" help:"What else is a refusal: 403, 503+retry-after, '403:quota'. As in weir run." group:"Verdict"`
	OK        []string `name:"ok" sep:"none" placeholder:"RULE" help:"What else was let pass. As in weir run." group:"Verdict"`

	JSON  string `name:"json" placeholder:"FILE" help:"Write the report as JSON." group:"Output"`
	JUnit string `name:"junit" placeholder:"FILE" help:"Write it as JUnit XML: a test for each stage." group:"Output"`
	HTML  string `name:"html" placeholder:"FILE" help:"Write it as one HTML page with the timeline." group:"Output"`
	Quiet bool   `short:"q" help:"No plan, no progress." group:"Output"`

	connectionFlags `embed:""`

	preset string
	urls   []string
}

// drillUsers is how many requests are under way at once at most.
const drillUsers = 100

// Run looks, plans, asks, and drills.
func (c *drillCmd) Run(s *session) error {
	if err := c.complete(); err != nil {
		return err
	}
	if err := allWritable([2]string{"--json", c.JSON}, [2]string{"--junit", c.JUnit}, [2]string{"--html", c.HTML}); err != nil {
		return err
	}
	world, err := c.world(s)
	if err != nil {
		return err
	}
	defer world.close()
	o := drill.Options{
		Target: maskURL(c.urls[0]), Rate: c.Rate, Users: drillUsers, Rehearse: c.Rehearse, NoLoad: c.NoLoad,
		Caps: drill.Caps{Requests: c.MaxRequests, Throttled: c.MaxThrottled, Rate: c.MaxRate, Time: c.MaxTime, USD: c.MaxCost},
	}
	if c.Name != "" {
		o.Target = c.Name
	}
	if o.Bounds, err = c.bounds(); err != nil {
		return err
	}
	table, unpriced, err := c.price(&o, world)
	if err != nil {
		return err
	}
	ctx := context.Background() // nothing is made yet: Ctrl-C just ends it
	if !c.Quiet {
		tell := &teller{w: s.stderr}
		tell.tty, tell.size = isTerminal(s.stderr)
		o.Tell = tell.tell
		defer tell.done()
		o.Tell("looking at what is to notice …", true)
	}
	side, err := c.side(ctx, s, &o)
	if err != nil {
		return err
	}
	defer side.close()
	d := drill.New(o, side.Side, world)
	plan, err := d.Prepare(ctx)
	if err != nil {
		hint := "is its address right, and is it running?"
		if c.Alert == "" && c.Log == "" {
			hint = "are address, region and credentials right?"
		}
		return cannotRun(hint, "%v", err)
	}
	if bounded := plan.Bounded(); !plan.Stopped() { // else it has no stages yet
		for _, id := range slices.Sorted(maps.Keys(o.Bounds)) {
			if !slices.Contains(bounded, id) {
				return usage("there are "+strings.Join(bounded, ", "), "--bound %s: this drill has no such stage", id)
			}
		}
	}
	if plan.Asks > 0 {
		if bill, ok := table.Bill(side.region, price.Use{Asked: plan.Asks}); ok {
			plan.Facts = append(plan.Facts, drill.Fact{Name: "Watching", Text: fmt.Sprintf("asks for at most %d metrics: %s", plan.Asks, billWords(bill))})
		}
	}
	if unpriced != "" {
		plan.Facts = append(plan.Facts, drill.Fact{Name: "Money", Text: unpriced})
	}
	if !c.Quiet || c.DryRun {
		out := s.stderr
		if c.DryRun {
			out = s.stdout
		}
		if o.Tell != nil {
			o.Tell("", true)
		}
		if err := plan.WriteText(out, c.DryRun || !plan.Stopped(), terminalWidth(out)); err != nil {
			return cannotRun("", "%v", err)
		}
	}
	if c.DryRun || plan.Stopped() {
		return c.deliver(s, d.Unrun(), plan.Stopped())
	}
	if !c.Yes && !((world.here || c.NoLoad) && side.here) {
		if err := c.confirm(s, world, side.here); err != nil {
			return err
		}
	}
	if !c.NoLoad {
		if err := target.Check(ctx, world.target, world.reqs[0].URL); err != nil {
			return cannotRun("is it running, and is the URL right?", "%s: %v", o.Target, err)
		}
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends it at once
	}()
	return c.deliver(s, d.Run(ctx), false)
}

// complete sorts the arguments and checks what does not need the outside world.
func (c *drillCmd) complete() error {
	if len(c.What) > 0 {
		switch c.What[0] {
		case "cognito", "auth0", "alertmanager":
			c.preset, c.urls = c.What[0], c.What[1:]
		default:
			c.urls = c.What
			if word := c.What[0]; !strings.ContainsAny(word, ":/.") && word != "localhost" {
				return usage("weir drill URL --alarm NAME, or weir drill cognito, auth0 or alertmanager", "%q is no URL, and none of the presets cognito, auth0 and alertmanager", word)
			}
		}
	}
	if c.MaxRequests < 1 || c.MaxThrottled < 1 || c.MaxTime <= 0 || !(c.MaxRate > 0) || !(c.MaxCost >= 0) || !(c.Rate >= 0) {
		return usage("they bound what is done to somebody's service", "--max-requests, --max-throttled, --max-time and --max-rate must be above zero, --max-cost and --rate not below")
	}
	if c.NoLoad && !c.Rehearse {
		return usage("add --rehearse", "--no-load without --rehearse would do nothing")
	}
	switch c.preset {
	case "cognito":
		return c.cognito()
	case "auth0":
		return c.auth0()
	case "alertmanager":
		if c.Alert == "" || c.Prometheus == "" || len(c.urls) == 0 {
			return usage("weir drill alertmanager URL --alert NAME --prometheus http://127.0.0.1:9090", "a drill of an alert needs the URL to load, the alert's name, and the Prometheus that has its rule")
		}
	}
	if len(c.urls) == 0 {
		return usage("weir drill URL --alarm NAME, or weir drill cognito, auth0 or alertmanager", "no URL to load")
	}
	return c.one()
}

// one checks that exactly one thing is to notice.
func (c *drillCmd) one() error {
	n := 0
	for _, given := range []string{c.Alarm, c.Alert, c.Log} {
		if given != "" {
			n++
		}
	}
	const hint = "--alarm NAME for CloudWatch, --alert NAME for Prometheus, or --log URL for a tenant log"
	switch {
	case n > 1:
		return usage(hint, "a drill proves one thing at a time: keep one of --alarm, --alert and --log")
	case n == 0:
		return usage(hint, "nothing is said that is to notice")
	case c.Alert != "" && c.Prometheus == "":
		return usage("add --prometheus http://127.0.0.1:9090", "--alert needs the Prometheus that has its rule")
	case c.Rehearse && c.Alarm == "":
		return usage("leave it out", "--rehearse is for alarms of CloudWatch")
	case c.Alarm == "" && (c.Metric != "" || c.Region != "" || c.Role != "" || c.Endpoint != "" || c.NoQueue):
		return usage("add --alarm NAME", "--metric, --region, --role, --endpoint and --no-queue are for alarms of CloudWatch")
	case c.Alert == "" && (c.Prometheus != "" || c.Alertmanager != "" || c.Webhook != ""):
		return usage("add --alert NAME", "--prometheus, --alertmanager and --webhook are for alerts of Prometheus")
	}
	return nil
}

func (c *drillCmd) bounds() (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	for _, text := range c.Bound {
		stage, value, ok := strings.Cut(text, "=")
		d, err := pace.ParseDuration(value)
		if !ok || stage == "" || err != nil || d <= 0 {
			return nil, usage("write --bound datapoint=10m", "--bound %s: want a stage and a time", text)
		}
		out[stage] = d
	}
	return out, nil
}

// price finds what a request costs. The text says so where nobody knows how much.
func (c *drillCmd) price(o *drill.Options, w *drillWorld) (*price.Table, string, error) {
	table, err := price.Load(c.Prices)
	if err != nil {
		return nil, "", usage("write it like the table that docs/cloudwatch.md shows", "--prices: %v", err)
	}
	for _, r := range w.reqs {
		rule := table.Find(r.URL, string(r.Body))
		switch {
		case rule == nil:
		case rule.USD == nil:
			return table, rule.What + " cost money, and how much depends: give it with --prices FILE", nil
		case *rule.USD > o.USD:
			o.USD, o.Priced = *rule.USD, fmt.Sprintf("%s at $%g (prices read %s)", rule.What, *rule.USD, table.Read)
		}
	}
	return table, "", nil
}

// confirm asks before somebody's account is throttled or somebody is called out of bed.
func (c *drillCmd) confirm(s *session, w *drillWorld, quiet bool) error {
	what := "This makes " + w.host + " refuse requests: whoever shares its limits is refused too."
	if c.NoLoad {
		what = "This sends nothing, and rings the alarm."
	}
	if !quiet {
		what += " Whoever is on call is notified."
	}
	return confirmed(s, what)
}

// terminalWidth is how wide a terminal is; 0 when it is none.
func terminalWidth(w io.Writer) int {
	is, size := isTerminal(w)
	if !is || size == nil {
		return 0
	}
	width, _ := size()
	return width
}

// deliver writes the report in all forms and returns the verdict.
func (c *drillCmd) deliver(s *session, r *drill.Report, stopped bool) error {
	color, _ := isTerminal(s.stdout)
	width := terminalWidth(s.stdout)
	if !c.DryRun {
		if err := r.WriteText(s.stdout, drill.TextOptions{Color: color && s.getenv("NO_COLOR") == "", Width: width}); err != nil {
			return cannotRun("", "%v", err)
		}
	}
	for _, d := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{c.JSON, r.WriteJSON}, {c.JUnit, r.WriteJUnit}, {c.HTML, func(w io.Writer) error { return report.WriteDrillHTML(w, r) }},
	} {
		if d.path == "" {
			continue
		}
		if err := writeFile(d.path, d.write); err != nil {
			return cannotRun("", "%v", err)
		}
	}
	switch {
	case r.Verdict == drill.Interrupted:
		return verdict(exitInterrupted)
	case r.Verdict == drill.Failed, stopped:
		return verdict(exitFailed)
	}
	return nil
}

// world makes the requests and the target.
func (c *drillCmd) world(s *session) (*drillWorld, error) {
	w := &drillWorld{here: true}
	var err error
	if w.rules, err = hit.ParseRules(c.Throttled, c.OK); err != nil {
		return nil, usage("as in weir run", "%v", err)
	}
	if c.Data != nil && *c.Data == "@-" || c.requestFlags.JSON != nil && *c.requestFlags.JSON == "@-" {
		if len(c.urls) > 1 {
			return nil, usage("give one URL, or the body from a file", "standard input can be read once, and there are %d URLs", len(c.urls))
		}
	}
	for _, u := range c.urls {
		req, err := c.build(u, s.stdin, s.getenv)
		if err != nil {
			return nil, err
		}
		req.Once = !c.Replay // what is counted must be what was sent
		w.reqs = append(w.reqs, req)
		parsed, err := url.Parse(req.URL)
		if err != nil {
			return nil, usage("", "%q cannot be read", maskURL(u))
		}
		w.here = w.here && local(parsed, c.UnixSocket)
		if w.host == "" {
			w.host = parsed.Host
		}
	}
	options, err := c.options(func(status int) bool { return status >= 400 || w.rules.NeedsBody(status) }, s.getenv)
	if err != nil {
		return nil, err
	}
	options.IdleTimeout, options.MaxRedirects, options.Connections = 2*time.Second, target.NoRedirects, target.PerUser
	if w.target, err = target.New(options); err != nil {
		return nil, usage("", "%v", err)
	}
	for u := range drillUsers {
		sender, err := w.target.NewSender(u)
		if err != nil {
			return nil, usage("", "%v", err)
		}
		w.senders = append(w.senders, sender)
	}
	w.answers = make([]hit.Answer, drillUsers)
	return w, nil
}

// drillSide is what is to notice, and where it is.
type drillSide struct {
	drill.Side
	here   bool   // on this machine: nobody is on call
	region string // of AWS, for prices
	close  func()
}

// side makes what is to notice.
func (c *drillCmd) side(ctx context.Context, s *session, o *drill.Options) (*drillSide, error) {
	switch {
	case c.Alert != "":
		return c.alertSide(s)
	case c.Log != "":
		return c.logSide(s)
	}
	side, err := c.alarmSide(ctx, s, o)
	var f *failure
	if err != nil && !errors.As(err, &f) {
		return nil, cannotRun("", "%v", err)
	}
	return side, err
}
