// Package cloudwatch holds Alarm: an alarm of Amazon CloudWatch, with the metric it
// watches, the topics it notifies, and a queue that proves that they did.
//
// Everything is looked at before anything is sent; the only thing that is made is a
// queue with a subscription for each topic, which are removed again.
package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/drill"
)

// The ids of stages, beside those that all sides share.
const (
	Datapoint = "datapoint"
	Ringing   = "alarm"
	OKNotice  = "ok-notified"
)

// Options say which alarm, and what is known of it.
type Options struct {
	Name  string      // of the alarm
	Clock drill.Clock // the account's

	// Expect is the metric that the load moves, when it is known; the zero value is the
	// alarm's own.
	Expect Metric
	// Usage is a service whose usage metric the load moves, found among those of AWS/Usage:
	// a part of the dimension Service, and the dimension Resource.
	Usage, Resource string

	// Region is where the target is, as far as its name tells; "" is not known.
	Region string

	// Queue says that the notification is proved by a queue of our own.
	Queue bool
	// Until is when what is made may be removed by somebody else, after now.
	Until time.Duration
	// Mine marks what this machine and process make; see Owner.
	Mine Owner
}

// Metric is a metric with its dimensions.
type Metric struct {
	Namespace, Name string
	Dimensions      []Dimension
}

// Dimension is a name and a value.
type Dimension struct{ Name, Value string }

// String writes it as the command line has it.
func (m Metric) String() string {
	out := m.Namespace + " " + m.Name
	for _, d := range m.Dimensions {
		out += " " + d.Name + "=" + quoteIf(d.Value)
	}
	return out
}

func quoteIf(s string) string {
	if strings.ContainsAny(s, " \t") {
		return "'" + s + "'"
	}
	return s
}

// ParseMetric reads NAMESPACE METRIC DIMENSION=VALUE…; a value with spaces is quoted.
func ParseMetric(text string) (Metric, error) {
	f, err := fields(text)
	if err != nil || len(f) < 2 {
		return Metric{}, errors.New("write NAMESPACE METRIC DIMENSION=VALUE…, such as AWS/Usage ThrottleCount Type=API Service='Cognito user pool'")
	}
	m := Metric{Namespace: f[0], Name: f[1]}
	for _, d := range f[2:] {
		n, v, ok := strings.Cut(d, "=")
		if !ok || n == "" || v == "" {
			return Metric{}, fmt.Errorf("%q is no dimension: write NAME=VALUE", d)
		}
		m.Dimensions = append(m.Dimensions, Dimension{n, v})
	}
	return m, nil
}

// fields splits at spaces that are not in quotes.
func fields(text string) (out []string, err error) {
	var cur strings.Builder
	quote, any := rune(0), false
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			cur.WriteRune(r)
		case r == '\'' || r == '"':
			quote, any = r, true
		case r == ' ' || r == '\t':
			if any {
				out = append(out, cur.String())
			}
			cur.Reset()
			any = false
		default:
			cur.WriteRune(r)
			any = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if any {
		out = append(out, cur.String())
	}
	return out, nil
}

// same says whether two sets of dimensions are equal, in any order.
func same(a, b []Dimension) bool {
	if len(a) != len(b) {
		return false
	}
	for _, d := range a {
		if !slices.Contains(b, d) {
			return false
		}
	}
	return true
}

// API is what is used of CloudWatch's client for reading.
type API interface {
	DescribeAlarms(context.Context, *sdk.DescribeAlarmsInput, ...func(*sdk.Options)) (*sdk.DescribeAlarmsOutput, error)
	ListMetrics(context.Context, *sdk.ListMetricsInput, ...func(*sdk.Options)) (*sdk.ListMetricsOutput, error)
	GetMetricData(context.Context, *sdk.GetMetricDataInput, ...func(*sdk.Options)) (*sdk.GetMetricDataOutput, error)
}

// Alarm is one alarm: a drill.Side, a drill.Opener and a drill.Rehearser.
type Alarm struct {
	o   Options
	cfg aws.Config
	cw  *sdk.Client
	sqs *sqs.Client
	sts *sts.Client
	sns map[string]*sns.Client // by region

	alarm    *types.MetricAlarm
	account  string
	metric   Metric // of a plain alarm; a zero one of metric math
	period   time.Duration
	m, n     int
	topics   []string // ARNs of the actions on ALARM
	okTopics []string
	subs     map[string][]subscription // by topic
	before   types.StateValue
	listed   []Metric // of the alarm's name
	unread   []string // what could not be looked at

	box mailbox
	now phase
	set bool // by hand, and not looked at yet

	blind string // why the metric cannot be read; "" when it can
}

type subscription struct {
	protocol, endpoint string
	pending            bool
}

// New makes one. cfg is as account.Access loads it.
func New(cfg aws.Config, o Options) *Alarm {
	cfg = cfg.Copy()
	// A drill asks rarely, and a call that is refused is asked again.
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(r *retry.StandardOptions) { r.MaxAttempts, r.MaxBackoff = 3, 2*time.Second })
	}
	return &Alarm{
		o: o, cfg: cfg, cw: account.CloudWatch(cfg), sqs: sqs.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg),
		sns: map[string]*sns.Client{}, subs: map[string][]subscription{},
	}
}

// topicClient is the client for a topic, which may be in another region.
func (a *Alarm) topicClient(arn string) *sns.Client {
	region := part(arn, 3)
	if region == "" {
		region = a.cfg.Region
	}
	c := a.sns[region]
	if c == nil {
		c = sns.NewFromConfig(a.cfg, func(o *sns.Options) { o.Region = region })
		a.sns[region] = c
	}
	return c
}

// part is a field of an ARN: 3 is the region, 4 the account, 5 the name.
func part(arn string, i int) string {
	f := strings.SplitN(arn, ":", 6)
	if len(f) <= i {
		return ""
	}
	return f[i]
}

// denied says whether an error is that something is not allowed.
func denied(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	c := api.ErrorCode()
	return strings.Contains(c, "AccessDenied") || strings.Contains(c, "Authorization") || strings.Contains(c, "UnauthorizedOperation") || c == "NotAuthorized"
}

// forbidden is the finding of a call that is not allowed.
func forbidden(action string, err error) drill.Finding {
	return drill.Finding{
		Code: drill.CodeNoPermission, Level: drill.Stops, Text: fmt.Sprintf("these credentials may not do %s: %s", action, account.Words(err)),
		Advice: "allow " + action + " to the user or role; docs/drill.md has the whole policy",
	}
}

// needs is how many refusals, or calls, a period must have to breach, and whether
// that can be said at all.
func (a *Alarm) needs() (refusals, calls int, fill bool, odd string) {
	t, stat := aws.ToFloat64(a.alarm.Threshold), string(a.alarm.Statistic)
	if a.metric.Name == "" {
		return 1, 0, true, "it watches an expression: how much load that needs cannot be worked out beforehand"
	}
	least := math.Floor(t) + 1
	if a.alarm.ComparisonOperator == types.ComparisonOperatorGreaterThanOrEqualToThreshold {
		least = math.Ceil(t)
	}
	least = max(least, 1)
	if least > math.MaxInt32 {
		least = math.MaxInt32
	}
	switch {
	case stat != "Sum" && stat != "SampleCount" && t >= 1:
		return 1, 0, true, fmt.Sprintf("the statistic is %s, which does not count refusals: Sum does", a.statistic())
	case stat != "Sum" && stat != "SampleCount":
		return 1, 0, false, ""
	case countsCalls(a.metric.Name):
		return 0, int(least), false, ""
	}
	return int(least), 0, false, ""
}

func (a *Alarm) statistic() string {
	if s := string(a.alarm.Statistic); s != "" {
		return s
	}
	return aws.ToString(a.alarm.ExtendedStatistic)
}

// countsCalls says whether a metric counts all calls, by its name.
func countsCalls(name string) bool {
	return slices.Contains([]string{"CallCount", "RequestCount", "Count", "Invocations", "NumberOfMessagesPublished"}, name)
}
