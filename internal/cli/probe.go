package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
	blackbox "github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/internal/target"
	"github.com/weir-dev/weir/limit"
)

// probeCmd names the limit that stands before a request.
type probeCmd struct {
	URL string `arg:"" help:"What to ask. Choose a request that does no harm when it is sent a thousand times."`

	requestFlags `embed:""`

	MaxRequests  int           `default:"2500" placeholder:"N" help:"Most requests." group:"Budget"`
	MaxThrottled int           `default:"300" placeholder:"N" help:"Refused requests after which no more are sent; the wave under way is waited for." group:"Budget"`
	MaxRate      float64       `default:"400" placeholder:"N" help:"Most requests per second." group:"Budget"`
	MaxTime      time.Duration `default:"10m" placeholder:"DURATION" help:"Longest time." group:"Budget"`
	Seed         uint64        `default:"1" help:"Of the search." group:"Budget"`
	DryRun       bool          `help:"Say what would be sent at worst, and send nothing." group:"Budget"`
	Yes          bool          `short:"y" help:"Do not ask before throttling a target that is not on this machine." group:"Budget"`

	Throttled []string `sep:"none" placeholder:"RULE" help:"What else is a refusal: 403, 503+retry-after, '403:quota'. As in weir run." group:"Verdict"`
	OK        []string `name:"ok" sep:"none" placeholder:"RULE" help:"What else was let pass. As in weir run." group:"Verdict"`

	Out   string `placeholder:"FILE" help:"Write the limit as a policy file: for lab, gate, verify and forecast." group:"Output"`
	JSON  string `name:"json" placeholder:"FILE" help:"Write the verdict as JSON." group:"Output"`
	Quiet bool   `short:"q" help:"No plan, no progress." group:"Output"`

	connectionFlags `embed:""`
}

// Run probes and says what was found.
func (c *probeCmd) Run(s *session) error {
	if c.MaxRequests < 1 || c.MaxThrottled < 1 || c.MaxTime <= 0 || c.MaxRate <= 0 {
		return usage("they bound what is done to somebody's service", "--max-requests, --max-throttled, --max-time and --max-rate must be above zero")
	}
	req, err := c.build(c.URL, s.stdin, s.getenv)
	if err != nil {
		return err
	}
	req.Once = true
	u, err := parseTarget(c.URL)
	if err != nil {
		return err
	}
	rules, err := hit.ParseRules(c.Throttled, c.OK)
	if err != nil {
		return usage("as in weir run", "%v", err)
	}
	plan := fmt.Sprintf("At worst: %d requests, %d refused and what is then under way, %v, %g requests/s. %s %s\n",
		c.MaxRequests, c.MaxThrottled, c.MaxTime, c.MaxRate, req.Method, maskURL(c.URL))
	if c.DryRun {
		fmt.Fprint(s.stdout, plan)
		return nil
	}
	here := local(u, c.UnixSocket)
	if !c.Quiet {
		fmt.Fprint(s.stderr, plan)
	}
	if !here && !c.Yes {
		if err := (&verifyCmd{}).confirm(s, u.Host); err != nil {
			return err
		}
	}
	options, err := c.options(rules.NeedsBody, s.getenv)
	if err != nil {
		return err
	}
	// A connection that the target has just closed leaves unknown what was counted.
	options.IdleTimeout, options.MaxRedirects, options.Connections = 2*time.Second, target.NoRedirects, target.PerUser
	tgt, err := target.New(options)
	if err != nil {
		return usage("", "%v", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := target.Check(ctx, tgt, req.URL); err != nil {
		return cannotRun("is it running, and is the URL right?", "%s: %v", maskURL(c.URL), err)
	}
	world := &probeWorld{target: tgt, req: req, rules: rules, gap: time.Duration(float64(time.Second) / c.MaxRate)}
	defer world.close()
	o := blackbox.Options{MaxRequests: c.MaxRequests, MaxRefused: c.MaxThrottled, MaxTime: c.MaxTime, Seed: c.Seed}
	if !c.Quiet {
		o.Progress = func(b blackbox.Belief) { c.progress(s.stderr, b) }
	}
	v, err := blackbox.New(world, world, o).Run(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		v.Stopped = "it was interrupted"
	case err != nil && v.Requests == 0:
		return cannotRun("is the request right?", "%v", err)
	case err != nil:
		v.Stopped = err.Error()
	}
	c.tell(s.stdout, v)
	if err := c.write(v, s); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return verdict(exitInterrupted)
	}
	return nil
}

// progress is a line for each experiment: what is believed, and what comes next.
func (c *probeCmd) progress(w io.Writer, b blackbox.Belief) {
	var all []string
	for _, s := range b.Shares[:min(3, len(b.Shares))] {
		all = append(all, fmt.Sprintf("%.0f %% %v", 100*s.Share, s.Family))
	}
	fmt.Fprintf(w, "[%v, %d sent, %d refused] %s; next: %s\n", b.Elapsed.Round(100*time.Millisecond), b.Requests, b.Refused, strings.Join(all, ", "), b.Doing)
}

// tell says the verdict in words, and shows what happened when.
func (c *probeCmd) tell(w io.Writer, v *blackbox.Verdict) {
	switch {
	case v.Family == blackbox.None:
		fmt.Fprintf(w, "No limit was met within %d requests in %v.\n", v.Requests, v.Elapsed.Round(time.Millisecond))
	case v.Sure:
		fmt.Fprintf(w, "This is a %s: %s.\n", v.Family, foundWords(&v.Found))
	default:
		fmt.Fprintf(w, "Undecided. Likeliest (%.0f %%) is a %s: %s.\n", 100*v.Confidence, v.Family, foundWords(&v.Found))
	}
	for _, a := range v.Alternatives {
		fmt.Fprintf(w, "  not excluded (%.0f %%): %s, %s\n", 100*a.Share, a.Family, foundWords(&a.Found))
	}
	if v.Stopped != "" {
		fmt.Fprintf(w, "It was cut short: %s.\n", v.Stopped)
	}
	if v.Foreign > 2 {
		fmt.Fprintln(w, "Some refusals are not explained by it. Perhaps others use the same limit.")
	}
	fmt.Fprintf(w, "%d requests, %d refused, %d without an answer, in %v.\n", v.Requests, v.Refused, v.Lost, v.Elapsed.Round(time.Millisecond))
	if len(v.Waves) == 0 {
		return
	}
	fmt.Fprintln(w, "\nWhen        admitted █, refused ░ (of up to 30)")
	start := v.Waves[0].Sent
	for i, wave := range v.Waves {
		if i == 40 {
			fmt.Fprintf(w, "%10s  %d more waves\n", "…", len(v.Waves)-i)
			break
		}
		a, r := bars(wave.Admitted, wave.Refused)
		fmt.Fprintf(w, "%+9.3fs  %s%s %d of %d\n", wave.Sent.Sub(start).Seconds(), strings.Repeat("█", a), strings.Repeat("░", r), wave.Admitted, wave.Admitted+wave.Refused+wave.Lost)
	}
}

// bars shares up to 30 cells between two counts.
func bars(a, r int) (int, int) {
	if n := a + r; n > 30 {
		x := a * 30 / n
		if a > 0 {
			x = max(1, x)
		}
		if r > 0 {
			x = min(29, x)
		}
		return x, 30 - x
	}
	return a, r
}

// foundWords is the figures of what was found.
func foundWords(f *blackbox.Found) string {
	var all []string
	for _, p := range f.Policies {
		all = append(all, p.String())
	}
	s := strings.Join(all, " and ")
	if f.Ban > 0 {
		s += fmt.Sprintf(", refusing everything for %v once it is exceeded", f.Ban)
	}
	if f.Replicas > 0 {
		s += fmt.Sprintf(" on each of about %d replicas", f.Replicas)
	}
	if f.LimitHigh > f.LimitLow {
		s += fmt.Sprintf(" (the limit is between %d and %d)", f.LimitLow, f.LimitHigh)
	}
	if f.WindowOff > 0.005 {
		s += fmt.Sprintf(" (the time may be off by %.1f %%)", 100*f.WindowOff)
	}
	return s
}

// write writes the files that were asked for.
func (c *probeCmd) write(v *blackbox.Verdict, s *session) error {
	if c.JSON != "" {
		b, err := json.MarshalIndent(probeJSON(v), "", "  ")
		if err == nil {
			err = os.WriteFile(c.JSON, append(b, '\n'), 0o644)
		}
		if err != nil {
			return cannotRun("", "--json: %v", err)
		}
	}
	if c.Out == "" {
		return nil
	}
	if len(v.Policies) == 0 {
		fmt.Fprintf(s.stderr, "weir probe: no limit was found, so %s is not written\n", c.Out)
		return nil
	}
	f := &policy.File{}
	for i, p := range v.Policies {
		p.Name = "found"
		if len(v.Policies) > 1 {
			p.Name = fmt.Sprintf("found-%d", i+1)
		}
		f.Policies = append(f.Policies, policy.Policy{Policy: p})
	}
	b, err := policy.Marshal(f)
	if err == nil {
		head := fmt.Sprintf("# weir probe: %s (%d requests, confidence %.0f %%)\n", v.Family, v.Requests, 100*v.Confidence)
		if v.Ban > 0 {
			head += fmt.Sprintf("# Not kept: once it is exceeded, everything is refused for %v.\n", v.Ban)
		}
		err = os.WriteFile(c.Out, append([]byte(head), b...), 0o644)
	}
	if err != nil {
		return cannotRun("", "--out: %v", err)
	}
	return nil
}

// probeVerdict is the verdict as --json writes it.
type probeVerdict struct {
	Family         string          `json:"family"`
	Sure           bool            `json:"sure"`
	Confidence     float64         `json:"confidence"`
	Policies       []string        `json:"policies"`
	BanSeconds     float64         `json:"ban_seconds,omitempty"`
	Replicas       int             `json:"replicas,omitempty"`
	LimitLow       int64           `json:"limit_low"`
	LimitHigh      int64           `json:"limit_high"`
	WindowOff      float64         `json:"window_off"`
	Alternatives   []probeShare    `json:"alternatives"`
	Stopped        string          `json:"stopped,omitempty"`
	Requests       int             `json:"requests"`
	Refused        int             `json:"refused"`
	Lost           int             `json:"lost"`
	ElapsedSeconds float64         `json:"elapsed_seconds"`
	Waves          []probeWaveJSON `json:"waves"`
}

type probeShare struct {
	Family   string   `json:"family"`
	Share    float64  `json:"share"`
	Policies []string `json:"policies"`
}

type probeWaveJSON struct {
	Sent     time.Time `json:"sent"`
	Done     time.Time `json:"done"`
	Admitted int       `json:"admitted"`
	Refused  int       `json:"refused"`
	Lost     int       `json:"lost"`
	Why      string    `json:"why"`
}

func probeJSON(v *blackbox.Verdict) *probeVerdict {
	lines := func(ps []limit.Policy) []string {
		out := []string{}
		for _, p := range ps {
			out = append(out, p.String())
		}
		return out
	}
	j := &probeVerdict{
		Family: v.Family.String(), Sure: v.Sure, Confidence: v.Confidence, Policies: lines(v.Policies), BanSeconds: v.Ban.Seconds(),
		Replicas: v.Replicas, LimitLow: v.LimitLow, LimitHigh: v.LimitHigh, WindowOff: v.WindowOff, Alternatives: []probeShare{},
		Stopped: v.Stopped, Requests: v.Requests, Refused: v.Refused, Lost: v.Lost, ElapsedSeconds: v.Elapsed.Seconds(), Waves: []probeWaveJSON{},
	}
	for _, a := range v.Alternatives {
		j.Alternatives = append(j.Alternatives, probeShare{a.Family.String(), a.Share, lines(a.Found.Policies)})
	}
	for _, w := range v.Waves {
		j.Waves = append(j.Waves, probeWaveJSON(w))
	}
	return j
}
