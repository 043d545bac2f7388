package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/apim"
	"github.com/weir-dev/weir/internal/lab/auth0"
	"github.com/weir-dev/weir/internal/lab/aws"
	"github.com/weir-dev/weir/internal/lab/cognito"
	"github.com/weir-dev/weir/internal/lab/plain"
	"github.com/weir-dev/weir/internal/lab/sms"
	"github.com/weir-dev/weir/internal/lab/sns"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/internal/lab/twin"
	"github.com/weir-dev/weir/limit"
)

// Standin is one entry of the catalogue.
type Standin struct {
	// Name is what `weir lab NAME` calls it; Summary is one line without a full stop.
	Name, Summary string

	// New builds one. Options that it has no use for are ignored.
	New func(Options) (Service, error)
}

// Options are the settings that stand-ins have in common. The zero value is each
// one's default.
type Options struct {
	// Base is the URL under which the stand-in is reached, without a trailing
	// slash; Start fills it in when it is empty.
	Base string

	// Quota is the main quota in requests per second; 0 means the stand-in's
	// own default. Policy, when not nil, says it in full and wins over Quota.
	Quota  int64
	Policy *limit.Policy

	// Latency, when not nil, replaces the stand-in's default.
	Latency *stand.Latency

	// Faults and Seed are as in stand.Config; RetryAfter as in cognito.Config.
	Faults     stand.Faults
	Seed       uint64
	RetryAfter bool

	// SMS and SNS are the settings that these two stand-ins have of their own;
	// the ones above win over the fields of the same meaning. For SMS the quota is
	// on sending, for each user, and the latency is that of every answer; SNS is the
	// stand-in inside as well.
	SMS sms.Config
	SNS sns.Config

	// Twin is the policy file that the stand-in of this name keeps, and how.
	Twin twin.Config

	// APIM is what the stand-in of this name has: APIs, subscriptions, policies.
	APIM apim.Config

	// Auth0 is what the stand-in of this name has: its plan, its error page.
	Auth0 auth0.Config

	// AWS is what the stand-in of this name has: its clock, its delays, its faults.
	// The quota is that of PutMetricData.
	AWS aws.Config

	// Clock is as in stand.Config.
	Clock func() time.Time
}

// Service is a stand-in that has been built. It can be called as a handler without
// any socket. One that is an io.Closer has to be closed, after the last request; the
// others own nothing.
type Service interface {
	http.Handler

	// Stand is the machinery below it: counts, quotas, faults.
	Stand() *stand.Stand

	// Commands are shell lines to try when it is reached at base: a title and a
	// line each, the first being a single request.
	Commands(base string) [][2]string
}

// Catalogue returns the stand-ins, in the order in which to list them.
func Catalogue() []Standin {
	return []Standin{
		{
			Name:    "apim",
			Summary: "an Azure API Management gateway: APIs, subscriptions, policies in XML",
			New:     newAPIM,
		},
		{
			Name:    "auth0",
			Summary: "an Auth0 tenant: logins, tokens, limits of the published plans, and its log",
			New:     newAuth0,
		},
		{
			Name:    "aws",
			Summary: "CloudWatch with alarms, CloudWatch Logs, SNS topics, SQS queues, and Cognito on request",
			New:     newAWS,
		},
		{
			Name:    "cognito",
			Summary: "an Amazon Cognito user pool's token endpoint, 120 requests per second",
			New:     newCognito,
		},
		{
			Name:    "plain",
			Summary: "answers what the path asks for: /status/503, /delay/200ms, /bytes/1000",
			New:     newPlain,
		},
		{
			Name:    "sms",
			Summary: "a system that sends text messages, as in Django REST Framework, 1000 an hour per user",
			New:     newSMS,
		},
		{
			Name:    "sns",
			Summary: "Amazon SNS as far as it publishes text messages to phone numbers",
			New:     newSNS,
		},
		{
			Name:    "twin",
			Summary: "keeps the limits of a policy file: weir lab --policy FILE",
			New:     newTwin,
		},
	}
}

// Find returns the stand-in of a name; the error lists those there are.
func Find(name string) (Standin, error) {
	var names []string
	for _, s := range Catalogue() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Standin{}, fmt.Errorf("there is no stand-in %q: there are %s", name, strings.Join(names, ", "))
}

// cognitoLatency is what the Cognito stand-in waits by default. The figure is
// ours: enough to tell the work from a refusal, which waits for nothing.
var cognitoLatency = stand.Latency{Base: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}

func newCognito(o Options) (Service, error) {
	latency := cognitoLatency
	if o.Latency != nil {
		latency = *o.Latency
	}
	policy, err := o.policy()
	if err != nil {
		return nil, err
	}
	return cognito.New(cognito.Config{
		Issuer:               o.Base,
		ClientAuthentication: policy, UserAuthentication: policy,
		RetryAfter: o.RetryAfter,
		Latency:    latency, Faults: o.Faults, Seed: o.Seed, Clock: o.Clock,
	})
}

func newAPIM(o Options) (Service, error) {
	cfg := o.APIM
	cfg.Faults, cfg.Seed, cfg.Clock = o.Faults, o.Seed, o.Clock
	if o.Latency != nil {
		cfg.Latency = *o.Latency
	}
	return apim.New(cfg)
}

func newAuth0(o Options) (Service, error) {
	cfg := o.Auth0
	cfg.Base, cfg.RetryAfter = o.Base, o.RetryAfter
	cfg.Faults, cfg.Seed, cfg.Clock = o.Faults, o.Seed, o.Clock
	if o.Latency != nil {
		cfg.Latency = *o.Latency
	}
	quota, err := o.policy()
	if err != nil {
		return nil, err
	}
	if quota != nil {
		if o.Policy == nil { // as the plans count
			quota = &limit.Policy{Algorithm: limit.RefillBucket, Limit: o.Quota, Window: time.Second}
		}
		limits := auth0.Limits{}.With(*quota)
		cfg.Limits = &limits
	}
	return auth0.New(cfg)
}

func newAWS(o Options) (Service, error) {
	cfg := o.AWS
	cfg.Base = o.Base
	cfg.Faults, cfg.Seed, cfg.Clock = o.Faults, o.Seed, o.Clock
	if o.Latency != nil {
		cfg.Latency = *o.Latency
	}
	switch {
	case o.Policy != nil:
		return nil, errors.New("lab: the quotas of aws are calls per second of each operation: a number, not a policy")
	case o.Quota < 0:
		return nil, fmt.Errorf("lab: quota %d: must be at least 1 call per second", o.Quota)
	case o.Quota > 0:
		tps := map[string]int64{"PutMetricData": o.Quota}
		for op, n := range cfg.TPS {
			tps[op] = n
		}
		cfg.TPS = tps
	}
	if cfg.Cognito != nil {
		pool := *cfg.Cognito
		pool.Issuer = o.Base
		if pool.Latency == (stand.Latency{}) {
			pool.Latency = cognitoLatency
		}
		cfg.Cognito = &pool
	}
	return aws.New(cfg)
}

func newPlain(o Options) (Service, error) {
	cfg := plain.Config{Faults: o.Faults, Seed: o.Seed, Clock: o.Clock}
	if o.Latency != nil {
		cfg.Latency = *o.Latency
	}
	var err error
	if cfg.Quota, err = o.policy(); err != nil {
		return nil, err
	}
	return plain.New(cfg)
}

func newSMS(o Options) (Service, error) {
	cfg := o.SMS
	cfg.SNS = o.SNS
	cfg.Faults, cfg.Seed, cfg.Clock = o.Faults, o.Seed, o.Clock
	if o.Latency != nil {
		cfg.Latency = *o.Latency
	}
	quota, err := o.policy()
	if err != nil {
		return nil, err
	}
	if quota != nil {
		cfg.SendLimit = quota
	}
	return sms.New(context.Background(), cfg)
}

func newSNS(o Options) (Service, error) {
	cfg := o.SNS
	cfg.Faults, cfg.Seed, cfg.Clock = o.Faults, o.Seed, o.Clock
	if o.Latency != nil {
		cfg.Latency = *o.Latency
	}
	quota, err := o.policy()
	if err != nil {
		return nil, err
	}
	if quota != nil {
		cfg.Rate = quota
	}
	return sns.New(cfg)
}

func newTwin(o Options) (Service, error) {
	cfg := o.Twin
	cfg.Faults, cfg.Seed, cfg.Clock = o.Faults, o.Seed, o.Clock
	if o.Latency != nil {
		cfg.Latency = *o.Latency
	}
	return twin.New(cfg)
}

// policy is the quota that was asked for, or nil for the default.
func (o Options) policy() (*limit.Policy, error) {
	switch {
	case o.Policy != nil:
		return o.Policy, nil
	case o.Quota < 0:
		return nil, fmt.Errorf("lab: quota %d: must be at least 1 request per second", o.Quota)
	case o.Quota == 0:
		return nil, nil
	}
	p := cognito.PerSecond(o.Quota)
	return &p, nil
}
