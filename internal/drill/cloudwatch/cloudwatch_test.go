package cloudwatch_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/weir-dev/weir/internal/drill"
	drillcloudwatch "github.com/weir-dev/weir/internal/drill/cloudwatch"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/lab/aws"
	"github.com/weir-dev/weir/internal/lab/cognito"
)

const name = "throttled"

// key signs the tokens of all pools: making one takes longer than a drill.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// account is the lab's account, reached without a socket, in the bubble's time.
type account struct {
	*aws.Server
	cfg sdk.Config
	cw  *cloudwatch.Client
	sns *sns.Client
	sqs *sqs.Client
	t   *testing.T

	away *aws.Server // of another account, whose pool is loaded instead; nil: of this one
}

// RoundTrip answers by calling the handler.
func (a *account) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result(), nil
}

func newAccount(t *testing.T, quota int64, change func(*aws.Config)) *account {
	t.Helper()
	limit := cognito.PerSecond(quota)
	cfg := aws.Config{Cognito: &cognito.Config{ClientAuthentication: &limit, Key: key()}, CognitoDelay: 30 * time.Second, Alarm: name}
	if change != nil {
		change(&cfg)
	}
	s, err := aws.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a := &account{Server: s, t: t}
	a.cfg = sdk.Config{
		Region: aws.DefaultRegion, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), BaseEndpoint: sdk.String("http://lab.test"),
		HTTPClient: &http.Client{Transport: a}, Retryer: func() sdk.Retryer { return sdk.NopRetryer{} },
	}
	a.cw, a.sns, a.sqs = cloudwatch.NewFromConfig(a.cfg), sns.NewFromConfig(a.cfg), sqs.NewFromConfig(a.cfg)
	time.Sleep(2 * time.Minute) // until the alarm is OK
	return a
}

func (a *account) do(_ any, err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// Send asks the pool for a token.
func (a *account) Send(ctx context.Context, _ int) drill.Answer {
	out := drill.Answer{Sent: time.Now(), Outcome: hit.Admitted}
	time.Sleep(3 * time.Millisecond)
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, cognito.TokenPath, strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(cognito.MachineClientID, cognito.MachineSecret)
	w := httptest.NewRecorder()
	if a.away != nil {
		a.away.ServeHTTP(w, r)
	} else {
		a.ServeHTTP(w, r)
	}
	time.Sleep(3 * time.Millisecond)
	out.Done, out.Status = time.Now(), w.Code
	switch {
	case w.Code == http.StatusTooManyRequests:
		out.Outcome = hit.Throttled
	case w.Code != http.StatusOK:
		out.Outcome, out.Err = hit.Failed, w.Body.String()
	}
	return out
}

// alarm is the lab's alarm, to be changed.
func (a *account) alarm(change func(*cloudwatch.PutMetricAlarmInput)) {
	a.t.Helper()
	out, err := a.cw.DescribeAlarms(a.t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
	a.do(out, err)
	m := out.MetricAlarms[0]
	in := &cloudwatch.PutMetricAlarmInput{
		AlarmName: m.AlarmName, Namespace: m.Namespace, MetricName: m.MetricName, Statistic: m.Statistic, Period: m.Period, EvaluationPeriods: m.EvaluationPeriods,
		DatapointsToAlarm: m.DatapointsToAlarm, Threshold: m.Threshold, ComparisonOperator: m.ComparisonOperator, TreatMissingData: m.TreatMissingData,
		AlarmActions: m.AlarmActions, OKActions: m.OKActions, Dimensions: m.Dimensions, ActionsEnabled: m.ActionsEnabled,
	}
	change(in)
	a.do(a.cw.PutMetricAlarm(a.t.Context(), in))
}

func (a *account) topic() string {
	return "arn:aws:sns:" + aws.DefaultRegion + ":" + aws.DefaultAccount + ":" + aws.ReadyTopic
}

// unsubscribe removes the pager.
func (a *account) unsubscribe() {
	out, err := a.sns.ListSubscriptionsByTopic(a.t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: sdk.String(a.topic())})
	a.do(out, err)
	for _, s := range out.Subscriptions {
		a.do(a.sns.Unsubscribe(a.t.Context(), &sns.UnsubscribeInput{SubscriptionArn: s.SubscriptionArn}))
	}
}

// left is what drills have left in the account.
func (a *account) left() (out []string) {
	for _, q := range a.Queues() {
		if strings.HasPrefix(q, "weir-drill-") {
			out = append(out, "queue "+q)
		}
	}
	subs, err := a.sns.ListSubscriptions(context.WithoutCancel(a.t.Context()), &sns.ListSubscriptionsInput{})
	a.do(subs, err)
	for _, s := range subs.Subscriptions {
		if strings.Contains(*s.Endpoint, "weir-drill-") {
			out = append(out, "subscription "+*s.Endpoint)
		}
	}
	return out
}

type settings struct {
	side drillcloudwatch.Options
	o    drill.Options
}

func (a *account) drill(ctx context.Context, change func(*settings)) *drill.Report {
	a.t.Helper()
	set := settings{
		side: drillcloudwatch.Options{Name: name, Usage: "Cognito", Resource: "ClientAuthentication", Queue: true, Until: time.Hour, Mine: drillcloudwatch.Owner{Host: "host", PID: 7}},
		o:    drill.Options{Target: "http://lab.test/oauth2/token", Caps: drill.Caps{Requests: 3000, Throttled: 200, Rate: 400, Time: 15 * time.Minute}},
	}
	if change != nil {
		change(&set)
	}
	d := drill.New(set.o, drillcloudwatch.New(a.cfg, set.side), a)
	plan, err := d.Prepare(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	if plan.Stopped() {
		return d.Unrun()
	}
	return d.Run(ctx)
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// findings are those that count, and where all is well the notes.
func findings(r *drill.Report) string {
	var fails, notes []string
	for _, f := range r.Findings {
		if f.Level == drill.Note {
			notes = append(notes, "note "+f.Name)
		} else {
			fails = append(fails, f.Name)
		}
	}
	if len(fails) > 0 {
		return strings.Join(fails, ", ")
	}
	return strings.Join(notes, ", ")
}

// TestProved is seed report 000: every stage, with the least load.
func TestProved(t *testing.T) {
	for _, c := range []struct {
		quota         int64
		m, n          int32
		calledBefore  bool
		wantRequests  int
		wantThrottled int
	}{{120, 1, 1, false, 150, 3}, {30, 2, 3, false, 90, 4}, {20, 1, 1, true, 45, 3}} {
		t.Run(fmt.Sprintf("%d of %d at %d", c.m, c.n, c.quota), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a := newAccount(t, c.quota, nil)
				defer a.Close()
				a.alarm(func(in *cloudwatch.PutMetricAlarmInput) { in.EvaluationPeriods, in.DatapointsToAlarm = &c.n, &c.m })
				if c.calledBefore {
					a.Send(t.Context(), 0)
					time.Sleep(3 * time.Minute)
				}
				r := a.drill(t.Context(), nil)
				if r.Verdict != drill.Passed || findings(r) != "" {
					t.Fatalf("%s: %s", r.Verdict, findings(r))
				}
				for _, s := range r.Stages {
					if !s.Seen || s.Gap < 0 || s.Gap > s.Bound {
						t.Errorf("%+v", s)
					}
				}
				if r.Load.Requests > c.wantRequests || r.Load.Throttled > c.wantThrottled || r.Load.Periods != int(c.m) {
					t.Errorf("%d requests, %d refused, in %d periods", r.Load.Requests, r.Load.Throttled, r.Load.Periods)
				}
				if left := a.left(); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			})
		})
	}
}

// TestSabotage breaks one thing at a time, and wants it named.
func TestSabotage(t *testing.T) {
	plain := func(f func(in *cloudwatch.PutMetricAlarmInput)) func(*account) {
		return func(a *account) { a.alarm(f) }
	}
	resource := func(v string) func(*account) {
		return plain(func(in *cloudwatch.PutMetricAlarmInput) {
			for i := range in.Dimensions {
				if *in.Dimensions[i].Name == "Resource" {
					in.Dimensions[i].Value = &v
				}
			}
		})
	}
	called := func(f func(*account)) func(*account) { // so that the metric is listed
		return func(a *account) {
			a.Send(a.t.Context(), 0)
			f(a)
			time.Sleep(3 * time.Minute)
		}
	}
	cases := []struct {
		name    string
		quota   int64
		spoil   func(*account)
		change  func(*settings)
		verdict drill.Verdict
		want    string
		sends   bool
	}{
		{"alarm disabled", 20, func(a *account) {
			a.do(a.cw.DisableAlarmActions(a.t.Context(), &cloudwatch.DisableAlarmActionsInput{AlarmNames: []string{name}}))
		}, nil, drill.NotRun, "actions-disabled", false},
		{"muted", 20, func(a *account) {
			a.do(a.cw.PutAlarmMuteRule(a.t.Context(), &cloudwatch.PutAlarmMuteRuleInput{
				Name: sdk.String("maintenance"), MuteTargets: &types.MuteTargets{AlarmNames: []string{name}},
				Rule: &types.Rule{Schedule: &types.Schedule{Expression: sdk.String("at(" + a.Now().Format("2006-01-02T15:04") + ")"), Duration: sdk.String("PT1H")}},
			}))
		}, nil, drill.NotRun, "muted", false},
		{"wrong dimension, known before", 20, called(resource("UserAuthentication")), nil, drill.NotRun, "wrong-dimensions", false},
		{"wrong dimension, known after", 20, resource("ClientAuthentication "), nil, drill.Failed, "no-datapoint, wrong-dimensions", true},
		{"a dimension too few", 20, called(plain(func(in *cloudwatch.PutMetricAlarmInput) { in.Dimensions = in.Dimensions[:3] })), nil, drill.NotRun, "wrong-dimensions", false},
		{"a dimension too many", 20, called(plain(func(in *cloudwatch.PutMetricAlarmInput) {
			in.Dimensions = append(in.Dimensions, types.Dimension{Name: sdk.String("UserPool"), Value: sdk.String("mine")})
		})), nil, drill.NotRun, "wrong-dimensions", false},
		{"another namespace", 20, plain(func(in *cloudwatch.PutMetricAlarmInput) { in.Namespace = sdk.String("AWS/Cognito") }), nil, drill.NotRun, "wrong-dimensions", false},
		{"another metric than was given", 20, nil, func(s *settings) {
			s.side.Usage = ""
			s.side.Expect = drillcloudwatch.Metric{Namespace: "Mine", Name: "Refused"}
		}, drill.NotRun, "wrong-dimensions", false},
		{"unconfirmed subscription", 20, func(a *account) {
			a.unsubscribe()
			a.do(a.sns.Subscribe(a.t.Context(), &sns.SubscribeInput{TopicArn: sdk.String(a.topic()), Protocol: sdk.String("email"), Endpoint: sdk.String("you@example.com")}))
		}, nil, drill.NotRun, "subscription-unconfirmed", false},
		{"topic without subscription", 20, (*account).unsubscribe, nil, drill.NotRun, "no-subscription", false},
		{"topic deleted", 20, func(a *account) {
			a.do(a.sns.DeleteTopic(a.t.Context(), &sns.DeleteTopicInput{TopicArn: sdk.String(a.topic())}))
		}, nil, drill.NotRun, "topic-unusable", false},
		{"no action", 20, plain(func(in *cloudwatch.PutMetricAlarmInput) { in.AlarmActions = nil }), nil, drill.NotRun, "no-action", false},
		{"threshold too high", 20, plain(func(in *cloudwatch.PutMetricAlarmInput) { in.Threshold = sdk.Float64(1000) }), nil, drill.NotRun, "threshold-unreachable", false},
		{"threshold under", 20, plain(func(in *cloudwatch.PutMetricAlarmInput) { in.ComparisonOperator = "LessThanThreshold" }), nil, drill.NotRun, "wrong-direction", false},
		{"period too long", 20, plain(func(in *cloudwatch.PutMetricAlarmInput) { in.Period = sdk.Int32(3600) }), nil, drill.NotRun, "period-too-long", false},
		{"too many periods", 20, plain(func(in *cloudwatch.PutMetricAlarmInput) { in.EvaluationPeriods = sdk.Int32(30) }), nil, drill.NotRun, "period-too-long", false},
		{"quota above the rate", 500, nil, nil, drill.NotRun, "quota-above-cap", false},
		{"quota above the requests", 120, nil, func(s *settings) { s.o.Caps.Requests = 100 }, drill.NotRun, "quota-above-cap", false},
		{"quota above the money", 120, nil, func(s *settings) { s.o.USD, s.o.Caps.USD = 0.00225, 0.1 }, drill.NotRun, "quota-above-cap", false},
		{"no such alarm", 20, nil, func(s *settings) { s.side.Name = "trottled" }, drill.NotRun, "alarm-missing", false},
		{"another region", 20, nil, func(s *settings) { s.side.Region = "eu-west-1" }, drill.NotRun, "wrong-region", false},
		{"no permission", 20, func(a *account) { a.deny("DescribeAlarms") }, nil, drill.NotRun, "no-permission", false},
		{"alarming before", 20, func(a *account) {
			a.do(a.cw.SetAlarmState(a.t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: sdk.String(name), StateValue: "ALARM", StateReason: sdk.String("test")}))
		}, nil, drill.NotRun, "already-alarming", false},
		{"insufficient data", 20, plain(func(in *cloudwatch.PutMetricAlarmInput) { in.TreatMissingData = nil }), nil, drill.Failed, "not-ok-again, insufficient-data", true},
		{"stays in ALARM", 20, plain(func(in *cloudwatch.PutMetricAlarmInput) { in.TreatMissingData = sdk.String("ignore") }), nil, drill.Failed, "not-ok-again, insufficient-data", true},
		{"the metric is late", 20, nil, func(s *settings) { s.o.Bounds = map[string]time.Duration{drillcloudwatch.Datapoint: 10 * time.Second} }, drill.Failed, "no-datapoint", true},
		{"the target is elsewhere", 20, (*account).elsewhere, nil, drill.Failed, "no-datapoint, wrong-region", true},
		{"no queue allowed", 20, func(a *account) { a.deny("CreateQueue") }, nil, drill.Passed, "", true},
		{"no subscription allowed", 20, func(a *account) { a.deny("Subscribe") }, nil, drill.Passed, "", true},
		{"no reading of the metric", 20, func(a *account) { a.deny("GetMetricData") }, nil, drill.Passed, "note no-permission", true},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && i%3 != 0 {
				t.Skip("all of them take some seconds under the race detector")
			}
			bubble(t, func(t *testing.T) {
				a := newAccount(t, c.quota, nil)
				defer a.Close()
				if c.spoil != nil {
					c.spoil(a)
				}
				before := a.Pool().Stand().Stats(0).Requests
				r := a.drill(t.Context(), c.change)
				if got := findings(r); r.Verdict != c.verdict || got != c.want {
					t.Errorf("%s: %q, want %s: %q\n%+v", r.Verdict, got, c.verdict, c.want, r.Findings)
				}
				if sent := a.Pool().Stand().Stats(0).Requests > before; sent != c.sends && a.away == nil {
					t.Errorf("sent: %v", sent)
				}
				if left := a.left(); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			})
		})
	}
	if len(cases) < 25 {
		t.Errorf("only %d sabotages", len(cases))
	}
}

// elsewhere makes the target a pool of another account.
func (a *account) elsewhere() {
	limit := cognito.PerSecond(20)
	var err error
	a.away, err = aws.New(aws.Config{Cognito: &cognito.Config{ClientAuthentication: &limit, Key: key()}})
	a.do(a.away, err)
	context.AfterFunc(a.t.Context(), func() { a.away.Close() })
}

// deny forbids an operation from now on.
func (a *account) deny(op string) {
	a.SetScript(aws.Script{op: slices.Repeat([]aws.Step{aws.Deny}, 10_000)})
}

// TestWhatIsThere lists the right dimensions beside the wrong ones.
func TestWhatIsThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newAccount(t, 20, nil)
		defer a.Close()
		a.Send(t.Context(), 0)
		a.alarm(func(in *cloudwatch.PutMetricAlarmInput) { in.Dimensions = in.Dimensions[:3] })
		time.Sleep(3 * time.Minute)
		r := a.drill(t.Context(), nil)
		if len(r.Findings) != 1 || len(r.Findings[0].Detail) != 1 || !strings.Contains(r.Findings[0].Detail[0], "Class=None") || !strings.Contains(r.Findings[0].Detail[0], "the alarm has no Class") {
			t.Errorf("%+v", r.Findings)
		}
	})
}

func TestRehearsal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newAccount(t, 20, nil)
		defer a.Close()
		before := a.Pool().Stand().Stats(0).Requests
		r := a.drill(t.Context(), func(s *settings) { s.o.Rehearse, s.o.NoLoad = true, true })
		if r.Verdict != drill.Passed || len(r.Rehearsal) != 2 || !r.Rehearsal[0].Seen || !r.Rehearsal[1].Seen || a.Pool().Stand().Stats(0).Requests != before {
			t.Errorf("%s: %+v %s", r.Verdict, r.Rehearsal, findings(r))
		}
		r = a.drill(t.Context(), func(s *settings) { s.o.Rehearse = true })
		if r.Verdict != drill.Passed || r.Load == nil {
			t.Errorf("%s: %s", r.Verdict, findings(r))
		}
		if left := a.left(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestUsageAlarm is an alarm of metric math, on the share of the quota that is used:
// it takes load for a whole period.
func TestUsageAlarm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newAccount(t, 5, nil)
		defer a.Close()
		a.Send(t.Context(), 0)
		out, err := a.cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
		a.do(out, err)
		a.do(a.cw.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name}}))
		a.do(a.cw.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
			AlarmName: sdk.String(name), EvaluationPeriods: sdk.Int32(1), Threshold: sdk.Float64(80), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
			TreatMissingData: sdk.String("notBreaching"), AlarmActions: []string{a.topic()}, OKActions: []string{a.topic()},
			Metrics: []types.MetricDataQuery{
				{Id: sdk.String("m1"), ReturnData: sdk.Bool(false), MetricStat: &types.MetricStat{Period: sdk.Int32(60), Stat: sdk.String("Sum"), Metric: &types.Metric{
					Namespace: sdk.String("AWS/Usage"), MetricName: sdk.String("CallCount"), Dimensions: out.MetricAlarms[0].Dimensions}}},
				{Id: sdk.String("used"), Expression: sdk.String("m1/60/SERVICE_QUOTA(m1)*100"), ReturnData: sdk.Bool(true)},
			},
		}))
		time.Sleep(3 * time.Minute)
		r := a.drill(t.Context(), nil)
		if r.Verdict != drill.Passed || r.Load.Requests < 200 || r.Load.Requests > 1200 {
			t.Errorf("%s, %d requests, %d refused: %s\n%+v", r.Verdict, r.Load.Requests, r.Load.Throttled, findings(r), r.Findings)
		}
	})
}

// TestWrongClock drills from a machine whose clock is off.
func TestWrongClock(t *testing.T) {
	for _, off := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
		bubble(t, func(t *testing.T) {
			a := newAccount(t, 20, func(cfg *aws.Config) { cfg.Clock = func() time.Time { return time.Now().Add(off) } })
			defer a.Close()
			r := a.drill(t.Context(), func(s *settings) { s.o.Rehearse = true })
			if r.Verdict != drill.Passed || !r.Rehearsal[0].Seen || r.Started.Sub(time.Now().Add(off)).Abs() > time.Hour {
				t.Errorf("off by %v: %s: %s", off, r.Verdict, findings(r))
			}
			for _, s := range append(r.Stages, r.Rehearsal...) {
				if s.Gap > s.Bound || s.Seconds < 0 {
					t.Errorf("off by %v: %+v", off, s)
				}
			}
		})
	}
}

func TestParseMetric(t *testing.T) {
	m, err := drillcloudwatch.ParseMetric("AWS/Usage ThrottleCount Service='Cognito user pool' Type=API")
	if err != nil || len(m.Dimensions) != 2 || m.Dimensions[0].Value != "Cognito user pool" || m.String() != "AWS/Usage ThrottleCount Service='Cognito user pool' Type=API" {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"", "AWS/Usage", "a b c", "a b =c", "a b c=", "a b 'c=d"} {
		if _, err := drillcloudwatch.ParseMetric(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// FuzzParseMetric holds that what is read is written so that it is read again.
func FuzzParseMetric(f *testing.F) {
	for _, s := range []string{"AWS/Usage ThrottleCount Service='Cognito user pool'", "a b c=d", "a b c=\"d e\"", "'", "a b c='x=y' d=e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := drillcloudwatch.ParseMetric(text)
		if err != nil || strings.ContainsAny(text, "'\"") && strings.Count(text, "'")+strings.Count(text, "\"") > 2 {
			return
		}
		again, err := drillcloudwatch.ParseMetric(m.String())
		if err == nil && again.String() != m.String() {
			t.Errorf("%q: %q, then %q", text, m, again)
		}
	})
}

// TestCleansUp ends drills at all moments, and kills one.
func TestCleansUp(t *testing.T) {
	for _, after := range []time.Duration{time.Millisecond, 2 * time.Second, 4 * time.Second, time.Minute, 2 * time.Minute} {
		bubble(t, func(t *testing.T) {
			a := newAccount(t, 20, nil)
			defer a.Close()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(after, cancel)
			if r := a.drill(ctx, nil); r.Verdict != drill.Interrupted {
				t.Errorf("after %v: %s", after, r.Verdict)
			}
			if left := a.left(); len(left) > 0 {
				t.Errorf("after %v, left: %v", after, left)
			}
		})
	}
}

// TestSweeps removes what a killed drill left, and nothing of one that lives.
func TestSweeps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newAccount(t, 20, nil)
		defer a.Close()
		open := func(pid int) {
			side := drillcloudwatch.New(a.cfg, drillcloudwatch.Options{Name: name, Queue: true, Until: time.Hour, Mine: drillcloudwatch.Owner{Host: "host", PID: pid}})
			if _, err := side.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := side.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		open(100) // killed
		open(101) // under way
		if left := a.left(); len(left) != 4 {
			t.Fatalf("there are %v", left)
		}
		r := a.drill(t.Context(), func(s *settings) { s.side.Mine.Alive = func(pid int) bool { return pid == 101 } })
		if left := a.left(); len(left) != 2 || !strings.Contains(left[0], "-101-") || !strings.Contains(left[1], "-101-") {
			t.Errorf("left: %v, %v", left, r.Notes)
		}
		time.Sleep(2 * time.Hour) // now its time is over, whoever made it
		a.drill(t.Context(), func(s *settings) { s.side.Mine = drillcloudwatch.Owner{Host: "other", PID: 9} })
		if left := a.left(); len(left) > 0 {
			t.Errorf("left after its time: %v", left)
		}
	})
}

// TestLeastPrivilege lets nobody but the topic send to the queue.
func TestLeastPrivilege(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := newAccount(t, 20, nil)
		defer a.Close()
		side := drillcloudwatch.New(a.cfg, drillcloudwatch.Options{Name: name, Queue: true, Until: time.Hour, Mine: drillcloudwatch.Owner{Host: "host", PID: 1}})
		if _, err := side.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := side.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		q := a.left()[0][len("queue "):]
		url := "http://lab.test/" + aws.DefaultAccount + "/" + q
		out, err := a.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"Policy"}})
		a.do(out, err)
		policy := out.Attributes["Policy"]
		for _, want := range []string{`"Service":"sns.amazonaws.com"`, `"sqs:SendMessage"`, `"aws:SourceArn":["` + a.topic() + `"]`, q} {
			if !strings.Contains(policy, want) {
				t.Errorf("the policy has no %s: %s", want, policy)
			}
		}
		if strings.Contains(policy, `"*"`) {
			t.Errorf("the policy is for all: %s", policy)
		}
		side.Close(t.Context())
	})
}
