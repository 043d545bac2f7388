package cli

import (
	"bufio"
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
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/target"
	"github.com/weir-dev/weir/internal/verify"
)

// verifyCmd finds out whether a service keeps the limits that a file declares.
type verifyCmd struct {
	Policy string `arg:"" help:"The declared policies: YAML, APIM policy XML or Envoy rate limit YAML; - for standard input."`

	Target     string   `placeholder:"URL" help:"The service, with a path that is put before those of the policies." group:"Verify"`
	Experiment string   `placeholder:"FILE" help:"Steps that are written out, in place of those made from the policies. See docs/verify.md." group:"Verify"`
	Only       []string `placeholder:"NAME,…" help:"Make these experiments only: limit, window, ban, keys, alternating, calls, sustained, denied, concurrency, recovery." group:"Verify"`
	Request    []string `sep:"none" placeholder:"'GET /PATH'" help:"A request for policies whose patterns leave it open; api=ID before it where policies have that. Repeat for several." group:"Verify"`
	Vary       []string `sep:"none" placeholder:"header:NAME=A,B" help:"What makes clients different: header:NAME=, query:NAME= or basic=, with their values, or new for values never used before." group:"Verify"`
	Header     []string `short:"H" sep:"none" placeholder:"'NAME: VALUE'" help:"Header field of every request." group:"Verify"`
	Body       string   `short:"d" placeholder:"TEXT" help:"Body of POST, PUT and PATCH requests." group:"Verify"`
	DryRun     bool     `help:"Say what would be sent, and send nothing." group:"Verify"`
	Yes        bool     `short:"y" help:"Do not ask before throttling a target that is not on this machine." group:"Verify"`

	MaxRequests  int           `default:"2000" placeholder:"N" help:"Most requests." group:"Budget"`
	MaxThrottled int           `default:"500" placeholder:"N" help:"Most refusals." group:"Budget"`
	MaxTime      time.Duration `default:"5m" placeholder:"DURATION" help:"Longest time." group:"Budget"`

	AtRest    bool           `help:"Nobody has used the limits lately: do not wait first until they are at rest." group:"Verdict"`
	Skew      *time.Duration `placeholder:"DURATION" help:"How far the target's clock may be from this machine's. Default: by its Date fields; none on this machine." group:"Verdict"`
	Grain     time.Duration  `default:"2ms" help:"How coarse the target's clock is." group:"Verdict"`
	Within    time.Duration  `name:"decides-within" placeholder:"DURATION" help:"How soon a request has been decided after it was sent, however late it is answered: for targets that work long, or hold requests back. Default: at any time until its answer." group:"Verdict"`
	Hold      time.Duration  `placeholder:"DURATION" help:"How long the target works on a request at least: for concurrency limits." group:"Verdict"`
	Throttled []string       `sep:"none" placeholder:"RULE" help:"What else is a refusal: 403, 503+retry-after, '403:quota'. As in weir run." group:"Verdict"`
	OK        []string       `name:"ok" sep:"none" placeholder:"RULE" help:"What else was let pass. As in weir run." group:"Verdict"`
	Ignore    []string       `placeholder:"CODE,…" help:"Findings that are not wanted: V009 or retry-after-late." group:"Verdict"`
	Strict    bool           `help:"What is undecided fails." group:"Verdict"`

	Record   string `placeholder:"FILE" help:"Keep what was sent and what came back." group:"Output"`
	Replay   string `placeholder:"FILE" help:"Judge what --record kept, and send nothing." group:"Output"`
	JSON     string `name:"json" placeholder:"FILE" help:"Write the report as JSON." group:"Output"`
	JUnit    string `name:"junit" placeholder:"FILE" help:"Write it as JUnit XML: a test for each policy and experiment." group:"Output"`
	HTML     string `name:"html" placeholder:"FILE" help:"Write it as one HTML page." group:"Output"`
	Timeline string `enum:"all,findings,none" default:"findings" help:"Which experiments are shown call by call: all, findings (those with one) or none." group:"Output"`
	Quiet    bool   `short:"q" help:"No progress." group:"Output"`

	connectionFlags `embed:""`
}

// inFlight is how many connections a wave is spread over.
const inFlight = 64

// Run judges a recording, or makes one and judges it.
func (c *verifyCmd) Run(s *session) error {
	f, _, err := s.theFile(c.Policy)
	if err != nil {
		return err
	}
	for _, code := range c.Ignore {
		if !knownCode(code) {
			return usage("docs/verify.md lists them", "--ignore: there is no finding %q", code)
		}
	}
	if err := allWritable([2]string{"--json", c.JSON}, [2]string{"--junit", c.JUnit}, [2]string{"--html", c.HTML}); err != nil {
		return err
	}
	set := verify.Settings{Skew: -1, Grain: c.Grain, Hold: c.Hold, Within: c.Within, Ignore: c.Ignore}
	if c.Grain < 0 || c.Hold < 0 || c.Within < 0 {
		return usage("", "--grain, --hold and --decides-within must not be negative")
	}
	if c.Skew != nil {
		set.Skew = *c.Skew
	}
	var rec *verify.Recording
	if c.Replay != "" {
		data, err := os.ReadFile(c.Replay)
		if err != nil {
			return usage("give a file that --record wrote", "--replay: %v", err)
		}
		if rec, err = verify.Read(data); err != nil {
			return usage("give a file that --record wrote", "--replay: %s: %v", c.Replay, err)
		}
	} else if rec, err = c.make(s, f); err != nil || rec == nil {
		return err
	}
	if c.Record != "" {
		if err := writeFile(c.Record, rec.Write); err != nil {
			return cannotRun("", "--record: %v", err)
		}
	}
	rep, err := verify.Judge(f, rec, set)
	if err != nil {
		return usage("", "%v", err)
	}
	if err := c.deliver(s, rep); err != nil || c.Replay != "" || !rec.Interrupted() {
		return err
	}
	return verdict(exitInterrupted)
}

func knownCode(s string) bool {
	for _, c := range verify.Codes() {
		if s == c.Code || s == c.Name {
			return true
		}
	}
	return false
}

// deliver writes the report in all forms and returns the verdict.
func (c *verifyCmd) deliver(s *session, rep *verify.Report) error {
	color, _ := isTerminal(s.stdout)
	if err := rep.WriteText(s.stdout, verify.TextOptions{Color: color && s.getenv("NO_COLOR") == "", Timelines: c.Timeline}); err != nil {
		return cannotRun("", "%v", err)
	}
	for _, d := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{c.JSON, rep.WriteJSON},
		{c.JUnit, func(w io.Writer) error { return rep.WriteJUnit(w, c.Strict) }},
		{c.HTML, func(w io.Writer) error { return report.WriteVerifyHTML(w, rep) }},
	} {
		if d.path == "" {
			continue
		}
		if err := writeFile(d.path, d.write); err != nil {
			return cannotRun("", "%v", err)
		}
	}
	switch {
	case rep.Verdict == verify.Violated, c.Strict && rep.Verdict != verify.Passed:
		return verdict(exitFailed)
	case !rep.Decided():
		return verdict(exitInvalid)
	}
	return nil
}

// make plans, asks, and sends. A nil recording without an error means that
// nothing was to be sent.
func (c *verifyCmd) make(s *session, f *policy.File) (*verify.Recording, error) {
	if c.Target == "" && !c.DryRun {
		return nil, usage("add --target http://127.0.0.1:8080", "there is no target")
	}
	w := &verifyWorld{}
	base, err := parseTarget(c.Target)
	if c.Target == "" {
		base, err = &url.URL{Scheme: "http", Host: "127.0.0.1"}, nil
	}
	if err != nil {
		return nil, err
	}
	if base.RawQuery != "" || base.Fragment != "" {
		return nil, usage("leave them out: the policies name the paths", "--target has a query or a fragment")
	}
	w.base = strings.TrimSuffix((&url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path}).String(), "/")
	if w.rules, err = hit.ParseRules(c.Throttled, c.OK); err != nil {
		return nil, usage("as in weir run", "%v", err)
	}
	w.learn(f)
	o, err := c.planOptions(s)
	if err != nil {
		return nil, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	here := local(base, c.UnixSocket)
	o.Trip = 2 * time.Millisecond
	if !here {
		o.Trip = 50 * time.Millisecond
	}
	if _, err := c.plan(f, o); err != nil { // what is missing is said before anybody is bothered
		return nil, err
	}
	if c.Target != "" {
		options, err := c.options(w.rules.NeedsBody, s.getenv)
		if err != nil {
			return nil, err
		}
		// Subtle: a request on a connection that the target has just closed may or
		// may not have been counted. So none is used that was idle for long.
		options.IdleTimeout, options.MaxRedirects, options.Connections = 2*time.Second, target.NoRedirects, target.PerUser
		if w.target, err = target.New(options); err != nil {
			return nil, usage("", "%v", err)
		}
		began := time.Now()
		if !c.DryRun {
			if err := target.Check(ctx, w.target, w.base+"/"); err != nil {
				return nil, cannotRun("is it running, and is the URL right?", "%s: %v", maskURL(c.Target), err)
			}
			o.Trip = max(o.Trip, time.Since(began))
		}
	}
	plan, err := c.plan(f, o)
	if err != nil {
		return nil, err
	}
	if !c.Quiet || c.DryRun {
		out := s.stderr
		if c.DryRun {
			out = s.stdout
		}
		if err := plan.WriteText(out, f); err != nil {
			return nil, cannotRun("", "%v", err)
		}
	}
	if c.DryRun {
		return nil, nil
	}
	if len(plan.Experiments) == 0 {
		return nil, cannotRun("allow more with --max-requests, --max-time or --max-throttled", "no experiment fits into the budget")
	}
	if !here && !c.Yes {
		if err := c.confirm(s, base.Host); err != nil {
			return nil, err
		}
	}
	last := -1
	tell := func(i int, name string, sent, refused int) {
		if i != last && !c.Quiet {
			last = i
			fmt.Fprintf(s.stderr, "[%d/%d] %s (%d sent so far, %d refused)\n", i+1, len(plan.Experiments), name, sent, refused)
		}
	}
	rec := verify.Run(ctx, plan, w, verify.RunOptions{
		Target: maskURL(c.Target), Local: here, Budget: o.Budget, Gap: o.Gap, Rested: c.AtRest, Tell: tell,
	})
	w.close()
	if len(rec.Waves) == 0 && rec.Interrupted() {
		return nil, &failure{exitInterrupted, errors.New("stopped before anything was sent"), ""}
	}
	if len(rec.Waves) == 0 {
		return nil, cannotRun("", "nothing could be sent to %s", maskURL(c.Target))
	}
	return rec, nil
}

func (c *verifyCmd) plan(f *policy.File, o verify.PlanOptions) (*verify.Plan, error) {
	if c.Experiment == "" {
		plan, err := verify.NewPlan(f, o)
		if err != nil {
			return nil, usage("", "%v", err)
		}
		return plan, nil
	}
	data, err := os.ReadFile(c.Experiment)
	if err != nil {
		return nil, usage("", "--experiment: %v", err)
	}
	plan, err := verify.ParseSchedule(c.Experiment, string(data), o)
	if err != nil {
		return nil, usage("docs/verify.md describes the file", "%v", err)
	}
	if err := plan.About(f, o.Rested); err != nil {
		return nil, usage("", "%v", err)
	}
	return plan, nil
}

func (c *verifyCmd) planOptions(s *session) (o verify.PlanOptions, err error) {
	o = verify.PlanOptions{Only: c.Only, Rested: c.AtRest, Gap: 2*c.Grain + time.Millisecond, Budget: verify.Budget{Requests: c.MaxRequests, Throttled: c.MaxThrottled, Time: c.MaxTime}}
	if c.MaxRequests < 0 || c.MaxThrottled < 0 || c.MaxTime < 0 {
		return o, usage("0 is no bound", "--max-requests, --max-throttled and --max-time must not be negative")
	}
	for _, h := range c.Header {
		name, value, ok := strings.Cut(h, ":")
		value = strings.TrimSpace(value)
		if !ok || !validToken(name) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return o, usage("write it as 'Name: value'", "-H: a field is not of that form")
		}
		o.Header = append(o.Header, hit.Field{Name: name, Value: value})
	}
	for _, v := range c.Vary {
		one, err := verify.ParseVary(v)
		if err != nil {
			return o, usage("", "--vary: %v", err)
		}
		one.Prefix = fmt.Sprintf("weir-%x-", time.Now().UnixNano()&0xffffff)
		o.Vary = append(o.Vary, one)
	}
	for _, r := range c.Request {
		one, err := verify.ParseCall(r)
		if err != nil {
			return o, usage("write it as 'GET /path'", "--request: %v", err)
		}
		o.Requests = append(o.Requests, one)
	}
	o.Body = c.Body
	return o, nil
}

// confirm asks before somebody's account is throttled.
func (c *verifyCmd) confirm(s *session, host string) error {
	return confirmed(s, fmt.Sprintf("This makes %s refuse requests: whoever shares its limits is refused too.", host))
}

// confirmed asks whether to go on. Without a terminal only --yes is an answer.
func confirmed(s *session, question string) error {
	in, ok := s.stdin.(*os.File)
	if ok {
		st, err := in.Stat()
		ok = err == nil && st.Mode()&os.ModeCharDevice != 0
	}
	if !ok {
		return usage("add --yes if you may", "%s", question)
	}
	fmt.Fprintf(s.stderr, "%s Go on? [y/N] ", question)
	line, err := bufio.NewReader(s.stdin).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); err == nil && (answer == "y" || answer == "yes") {
		return nil
	}
	return cannotRun("", "%v", errors.New("not confirmed; nothing was sent"))
}
