package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/lab"
	"github.com/weir-dev/weir/internal/lab/apim"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

// labCmd starts a stand-in and serves it until it is interrupted.
type labCmd struct {
	Name string `arg:"" optional:"" help:"Which stand-in; without it they are listed."`

	Addr        string `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where to listen. Port 0 takes a free one." group:"Lab"`
	AllowRemote bool   `help:"Allow an address that other machines can reach." group:"Lab"`

	Quota     int64         `placeholder:"N" help:"Requests per second of the main quota. Default: the stand-in's own." group:"Lab"`
	Algorithm string        `placeholder:"NAME" help:"How the quota counts: token-bucket, refill-bucket, fixed-window, sliding-log, sliding-window or leaky-bucket. Default: the stand-in's own." group:"Lab"`
	Window    time.Duration `default:"1s" help:"The time that --quota is for, with --algorithm." group:"Lab"`
	Burst     int64         `placeholder:"N" help:"Burst, with --algorithm. Default: the quota." group:"Lab"`

	Latency    string  `placeholder:"DURATION" help:"Time an admitted request takes: 20ms, or 20ms+30ms for 20 to 50 ms." group:"Lab"`
	ErrorRate  float64 `placeholder:"0..1" help:"Share of requests answered with the service's own 500." group:"Lab"`
	ResetRate  float64 `placeholder:"0..1" help:"Share of requests whose connection is reset." group:"Lab"`
	HangRate   float64 `placeholder:"0..1" help:"Share of requests that get no answer." group:"Lab"`
	SlowRate   float64 `placeholder:"0..1" help:"Share of requests whose body trickles." group:"Lab"`
	Script     string  `placeholder:"STEPS" help:"What happens to the first requests: 'ok*10 error*3 reset'." group:"Lab"`
	RetryAfter bool    `help:"Send Retry-After with a refusal." group:"Lab"`
	Seed       uint64  `default:"1" help:"Seed of everything random." group:"Lab"`

	Policy string `placeholder:"FILE" help:"twin: keep the limits of this policy file: YAML, APIM policy XML or Envoy rate limit YAML; - for standard input." group:"Lab"`

	Config string `placeholder:"DIR|FILE" help:"apim: APIs, subscriptions and policies: a YAML file, or a folder with apim.yaml. Default: the two limits of docs/apim.md." group:"Lab"`
	Tier   string `placeholder:"NAME" help:"apim: how rate limits count: with a sliding window (classic), or a token bucket (v2). auth0: the plan: free, self-service, enterprise, private-500 and others." group:"Lab"`

	Auth0 labAuth0 `embed:""`
	AWS   labAWS   `embed:""`

	Database    string        `placeholder:"URL|FILE" help:"sms: a postgres:// URL or an SQLite file. Default: in memory." group:"Lab"`
	Fixtures    string        `placeholder:"FILE" help:"sms: users, as JSON in the form of Django's dumpdata." group:"Lab"`
	SNSEndpoint string        `name:"sns-endpoint" placeholder:"URL" help:"sms: where messages are published, such as LocalStack. Default: a stand-in inside." group:"Lab"`
	Pool        int           `placeholder:"N" help:"sms: database connections. Default 20." group:"Lab"`
	SlowQuery   time.Duration `placeholder:"DURATION" help:"sms: make the query of the history this much slower." group:"Lab"`
	Lock        time.Duration `placeholder:"DURATION" help:"sms: every send locks one row for this long." group:"Lab"`

	AccessLog string        `placeholder:"FILE" help:"Write one JSON line per request; - for standard error." group:"Lab"`
	For       time.Duration `placeholder:"DURATION" help:"Stop by itself after this time. Default: run until interrupted." group:"Lab"`
}

// Run lists the stand-ins or serves one.
func (c *labCmd) Run(s *session) error {
	if c.Name == "" && c.Policy != "" {
		c.Name = "twin"
	}
	if c.Name == "" {
		for _, st := range lab.Catalogue() {
			fmt.Fprintf(s.stdout, "%-10s %s\n", st.Name, st.Summary)
		}
		return nil
	}
	if _, err := lab.Find(c.Name); err != nil {
		return usage("weir lab lists them", "%v", err)
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if err := c.twin(s, &cfg.Options); err != nil {
		return err
	}
	if err := c.apim(&cfg.Options); err != nil {
		return err
	}
	if err := c.auth0(s, &cfg.Options); err != nil {
		return err
	}
	defer c.Auth0.close()
	if err := c.aws(&cfg.Options); err != nil {
		return err
	}
	switch c.AccessLog {
	case "":
	case "-":
		cfg.AccessLog = s.stderr
	default:
		f, err := os.OpenFile(c.AccessLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return cannotRun("choose another file", "--access-log: %v", err)
		}
		defer f.Close()
		cfg.AccessLog = f
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	server, err := lab.Start(ctx, cfg)
	if err != nil {
		return cannotRun("", "%v", err)
	}
	if noted, ok := server.Service().(interface{ Notes() []string }); ok {
		for _, n := range noted.Notes() {
			fmt.Fprintf(s.stderr, "not kept: %s\n", n)
		}
	}
	greet(s.stdout, server)
	<-server.Done()
	return server.Close()
}

// greet says where the stand-in is and how to try it.
func greet(w io.Writer, server *lab.Server) {
	fmt.Fprintf(w, "%s at %s (Ctrl-C stops it)\n", server.Name(), server.URL())
	for _, c := range server.Commands() {
		fmt.Fprintf(w, "\n%s:\n  %s\n", c[0], c[1])
	}
	fmt.Fprintf(w, "\nWhat it counted:\n  curl -s %s\n", server.StatsURL())
}

func (c *labCmd) config() (lab.Config, error) {
	cfg := lab.Config{Standin: c.Name, Addr: c.Addr, AllowRemote: c.AllowRemote}
	o := &cfg.Options
	o.Quota, o.Seed, o.RetryAfter = c.Quota, c.Seed, c.RetryAfter
	o.Faults = stand.Faults{ErrorRate: c.ErrorRate, ResetRate: c.ResetRate, HangRate: c.HangRate, SlowRate: c.SlowRate}
	if c.Quota < 0 {
		return cfg, usage("leave it out for the stand-in's own", "--quota %d is negative", c.Quota)
	}
	if c.Script != "" {
		steps, err := stand.ParseScript(c.Script)
		if err != nil {
			return cfg, usage("write it as 'ok*10 error*3 reset'", "--script: %v", err)
		}
		o.Faults.Script = steps
	}
	if err := o.Faults.Validate(); err != nil {
		return cfg, usage("rates are between 0 and 1, and together at most 1", "%v", err)
	}
	if err := c.sms(o); err != nil {
		return cfg, err
	}
	if c.Latency != "" {
		l, err := stand.ParseLatency(c.Latency)
		if err != nil {
			return cfg, usage("write 20ms, or 20ms+30ms for 20 to 50 ms", "--latency: %v", err)
		}
		o.Latency = &l
	}
	if c.Algorithm == "" {
		if c.Burst != 0 || c.Window != time.Second {
			return cfg, usage("say how it counts with --algorithm", "--burst and --window belong to --algorithm")
		}
		return cfg, nil
	}
	if c.Quota == 0 {
		return cfg, usage("add --quota N", "--algorithm needs a quota")
	}
	p := limit.Policy{Name: "quota", Limit: c.Quota, Window: c.Window, Burst: c.Burst}
	if err := p.Algorithm.UnmarshalText([]byte(c.Algorithm)); err != nil {
		return cfg, usage("", "--algorithm: %v", err)
	}
	if err := p.Validate(); err != nil {
		return cfg, usage("", "%v", err)
	}
	o.Policy = &p
	return cfg, nil
}

// twin reads the policy file, which only this stand-in has.
func (c *labCmd) twin(s *session, o *lab.Options) error {
	switch {
	case c.Name != "twin" && c.Policy != "":
		return usage("leave out the name", "--policy makes a twin of a policy file, and %s has limits of its own", c.Name)
	case c.Name != "twin":
		return nil
	case c.Quota != 0 || c.Algorithm != "":
		return usage("write the limit into the file", "--quota and --algorithm are for stand-ins with limits of their own")
	case c.Policy == "":
		return nil
	}
	f, format, err := s.theFile(c.Policy)
	if err != nil {
		return err
	}
	for _, n := range f.Notes {
		fmt.Fprintf(s.stderr, "%s: not kept: %s\n", shown(c.Policy), noteText(n))
	}
	if len(f.Policies) == 0 {
		return usage("", "%s: there is no limit in it", shown(c.Policy))
	}
	for _, u := range (guard.Known{KeyHeader: guard.KeyHeader, KeyQuery: guard.KeyQuery}).Unknown(f) {
		if u.Never { // weir lab apim knows these
			fmt.Fprintf(s.stderr, "%s: %q never applies here: it is for a certain %s, which a twin does not know\n", shown(c.Policy), u.Policy.Name, strings.Join(u.What, " and "))
		}
	}
	o.Twin.File, o.Twin.RequireKey = f, format == formatAPIM
	return nil
}

// apim reads the configuration, which only this stand-in has.
func (c *labCmd) apim(o *lab.Options) error {
	if c.Name != "apim" {
		if c.Config != "" || c.Tier != "" && c.Name != "auth0" {
			return usage("weir lab apim", "--config and --tier are for the stand-in apim, not %s", c.Name)
		}
		return nil
	}
	if c.Quota != 0 || c.Algorithm != "" || c.RetryAfter {
		return usage("write the limit into a policy", "--quota, --algorithm and --retry-after are for other stand-ins: apim keeps the limits of its policies")
	}
	if c.Config != "" {
		dir, name := c.Config, apim.ConfigName
		if info, err := os.Stat(c.Config); err != nil {
			return usage("give a file, or a folder with "+apim.ConfigName, "--config: %v", err)
		} else if !info.IsDir() {
			dir, name = filepath.Split(c.Config)
		}
		// A root, so that no link and no .. in a configuration leads out of it.
		root, err := os.OpenRoot(filepath.Clean(dir))
		if err != nil {
			return usage("", "--config: %v", err)
		}
		defer root.Close()
		if o.APIM, err = apim.ReadConfig(root.FS(), name); err != nil {
			return usage("docs/apim.md describes the file", "%v", err)
		}
	}
	if c.Tier != "" {
		if c.Config == "" {
			o.APIM = apim.Default()
		}
		o.APIM.Tier = apim.Tier(c.Tier)
	}
	// Built here to try it: what is wrong is the user's to correct.
	if _, err := apim.New(o.APIM); err != nil {
		return usage("docs/apim.md describes the file", "%v", err)
	}
	return nil
}

// sms fills in what only the SMS system has.
func (c *labCmd) sms(o *lab.Options) error {
	if c.Name != "sms" {
		if c.Database != "" || c.Fixtures != "" || c.SNSEndpoint != "" || c.Pool != 0 || c.SlowQuery != 0 || c.Lock != 0 {
			return usage("weir lab sms", "--database, --fixtures, --sns-endpoint, --pool, --slow-query and --lock are for the stand-in sms, not %s", c.Name)
		}
		return nil
	}
	o.SMS.Database, o.SMS.SNSEndpoint = c.Database, c.SNSEndpoint
	o.SMS.Pool, o.SMS.SlowQuery, o.SMS.Lock = c.Pool, c.SlowQuery, c.Lock
	if c.Fixtures != "" {
		b, err := os.ReadFile(c.Fixtures)
		if err != nil {
			return usage("give a JSON file made by dumpdata", "--fixtures: %v", err)
		}
		o.SMS.Fixtures = b
	}
	return nil
}
