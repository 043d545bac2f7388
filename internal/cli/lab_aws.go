package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab"
	"github.com/weir-dev/weir/internal/lab/aws"
	"github.com/weir-dev/weir/internal/lab/cognito"
)

// labAWS are the flags that only the stand-in aws has.
type labAWS struct {
	ClockSpeed   float64       `placeholder:"N" help:"aws: let the account's time pass N times faster: 60 makes a minute a second." group:"Lab"`
	With         string        `placeholder:"cognito" help:"aws: a user pool in the same account, which publishes its usage each minute." group:"Lab"`
	CognitoQuota int64         `placeholder:"N" help:"aws: with a user pool, its quotas in requests per second. Default 120." group:"Lab"`
	Alarm        string        `placeholder:"NAME" help:"aws: with a user pool, an alarm of this name on its refusals, with a topic and a queue that has subscribed." group:"Lab"`
	MetricDelay  time.Duration `placeholder:"DURATION" help:"aws: how long until a point can be read." group:"Lab"`
	NewMetric    time.Duration `name:"new-metric-delay" placeholder:"DURATION" help:"aws: how long until a new metric can be read; up to 2m at AWS." group:"Lab"`
	ListDelay    time.Duration `placeholder:"DURATION" help:"aws: how long until a new metric is listed; up to 15m at AWS." group:"Lab"`
	UsageDelay   time.Duration `default:"1m" help:"aws: how long after a minute the user pool publishes its usage." group:"Lab"`
	Faults       string        `placeholder:"STEPS" help:"aws: what happens to the first calls: 'PutMetricData: throttle*3 lost; PutLogEvents: error reset hang deny ok*5'." group:"Lab"`
	ThrottleRate float64       `placeholder:"0..1" help:"aws: share of calls that are throttled." group:"Lab"`
	LostRate     float64       `placeholder:"0..1" help:"aws: share of calls that are carried out and get no answer." group:"Lab"`
	TPS          []string      `name:"tps" placeholder:"OPERATION=N" help:"aws: the quota of an operation in calls per second; 0 is none. May be repeated." group:"Lab"`
	NoQuotas     bool          `help:"aws: no operation has a quota." group:"Lab"`
}

// defaultUsageDelay is the flag's default, by which it is told that it was given.
const defaultUsageDelay = time.Minute

// aws settles what only this stand-in has.
func (c *labCmd) aws(o *lab.Options) error {
	a := &c.AWS
	if c.Name != "aws" {
		if a.ClockSpeed != 0 || a.With != "" || a.CognitoQuota != 0 || a.Alarm != "" || a.MetricDelay != 0 || a.NewMetric != 0 || a.ListDelay != 0 || a.UsageDelay != defaultUsageDelay ||
			a.Faults != "" || a.ThrottleRate != 0 || a.LostRate != 0 || len(a.TPS) > 0 || a.NoQuotas {
			return usage("weir lab aws", "--clock-speed, --with, --cognito-quota, --alarm, --metric-delay, --new-metric-delay, --list-delay, --usage-delay, --faults, --throttle-rate, --lost-rate, --tps and --no-quotas are for the stand-in aws, not %s", c.Name)
		}
		return nil
	}
	if c.Algorithm != "" || c.RetryAfter {
		return usage("say how many calls a second with --tps OPERATION=N", "--algorithm and --retry-after are for other stand-ins: AWS's quotas are calls per second")
	}
	cfg := aws.Config{
		Speed: a.ClockSpeed, MetricDelay: a.MetricDelay, NewMetric: a.NewMetric, Listed: a.ListDelay, CognitoDelay: a.UsageDelay,
		ThrottleRate: a.ThrottleRate, LostRate: a.LostRate, Unlimited: a.NoQuotas, Seed: o.Seed, TPS: map[string]int64{},
	}
	switch a.With {
	case "":
		if a.CognitoQuota != 0 {
			return usage("add --with cognito", "--cognito-quota belongs to a user pool")
		}
		if a.Alarm != "" {
			return usage("add --with cognito", "--alarm belongs to a user pool")
		}
	case "cognito":
		cfg.Cognito, cfg.Alarm = &cognito.Config{}, a.Alarm
		if a.CognitoQuota < 0 {
			return usage("leave it out for 120", "--cognito-quota %d is negative", a.CognitoQuota)
		}
		if a.CognitoQuota > 0 {
			quota := cognito.PerSecond(a.CognitoQuota)
			cfg.Cognito.ClientAuthentication, cfg.Cognito.UserAuthentication = &quota, &quota
		}
	default:
		return usage("--with cognito", "--with %s: there is only cognito", a.With)
	}
	for _, text := range a.TPS {
		op, number, ok := strings.Cut(text, "=")
		n, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil || n < 0 {
			return usage("write --tps PutMetricData=10", "--tps %s: want an operation and a number", text)
		}
		cfg.TPS[op] = n
	}
	if a.Faults != "" {
		script, err := aws.ParseScript(a.Faults)
		if err != nil {
			return usage("write it as 'PutMetricData: throttle*3 lost; PutLogEvents: error'", "--faults: %v", err)
		}
		cfg.Script = script
	}
	// Built here to try it: what is wrong is the user's to correct.
	try := cfg
	try.Cognito, try.Alarm = nil, ""
	server, err := aws.New(try)
	if err != nil {
		return usage("weir lab --help lists the flags", "%v", err)
	}
	if err := server.Close(); err != nil {
		return err
	}
	o.AWS = cfg
	return nil
}
