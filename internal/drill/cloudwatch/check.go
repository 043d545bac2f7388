package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/drill"
	"github.com/weir-dev/weir/internal/sink"
)

// Bounds of the stages. Cognito's metrics are "available at 5 minute intervals"
// (developer guide, "Metrics for Amazon Cognito user pools", 2026-11), others within 1
// to 6 minutes; alarms of a minute and more are evaluated every minute.
const (
	late      = 6 * time.Minute
	evaluated = 2 * time.Minute
	delivered = time.Minute
	// usual is how long a figure and its evaluation usually take, for the estimate.
	usual = 3 * time.Minute
	// lookEvery spaces the looks: DescribeAlarms has 9 calls a second for the whole account.
	lookEvery = 5 * time.Second
)

// Check looks at everything between a refusal and whoever is to be told of it.
func (a *Alarm) Check(ctx context.Context) (*drill.Brief, error) {
	b := &drill.Brief{Every: lookEvery, Until: Ringing, Delay: usual}
	if out, err := a.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err == nil {
		a.account = aws.ToString(out.Account)
	}
	b.What = fmt.Sprintf("the alarm %s (%s)", a.o.Name, a.place())
	found, err := a.find(ctx, b)
	if err != nil || !found {
		return b, err
	}
	a.read(b)
	a.state(b)
	a.watches(ctx, b)
	a.actions(ctx, b)
	a.mutes(ctx, b)
	a.quota(ctx, b)
	a.stages(b)
	for _, u := range a.unread {
		b.Findings = append(b.Findings, drill.Finding{Code: drill.CodeNoPermission, Level: drill.Note, Text: u})
	}
	return b, nil
}

// place is the region and the account.
func (a *Alarm) place() string {
	if a.account == "" {
		return a.cfg.Region
	}
	return a.cfg.Region + ", account " + a.account
}

func fact(b *drill.Brief, name, format string, args ...any) {
	b.Facts = append(b.Facts, drill.Fact{Name: name, Text: fmt.Sprintf(format, args...)})
}

func finding(b *drill.Brief, code string, level drill.Level, advice, format string, args ...any) {
	b.Findings = append(b.Findings, drill.Finding{Code: code, Level: level, Text: fmt.Sprintf(format, args...), Advice: advice})
}

// find gets the alarm. False without an error means that a finding says why not.
func (a *Alarm) find(ctx context.Context, b *drill.Brief) (bool, error) {
	in := &sdk.DescribeAlarmsInput{AlarmNames: []string{a.o.Name}, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}}
	out, err := a.cw.DescribeAlarms(ctx, in)
	switch {
	case err != nil && denied(err):
		b.Findings = append(b.Findings, forbidden("cloudwatch:DescribeAlarms", err))
		return false, nil
	case err != nil:
		return false, fmt.Errorf("CloudWatch in %s: %s", a.cfg.Region, account.Words(err))
	case len(out.CompositeAlarms) > 0:
		finding(b, drill.CodeAlarmMissing, drill.Stops, "drill the metric alarms that it is made of", "%s is a composite alarm: it watches other alarms and no metric", a.o.Name)
		return false, nil
	case len(out.MetricAlarms) == 0:
		a.missing(ctx, b)
		return false, nil
	}
	a.alarm = &out.MetricAlarms[0]
	a.skew(b, out.ResultMetadata)
	if account := part(aws.ToString(a.alarm.AlarmArn), 4); account != "" {
		a.account = account
	}
	b.What = fmt.Sprintf("the alarm %s (%s)", a.o.Name, a.place())
	return true, nil
}

// skew takes the account's clock where this machine's is wrong: stages are told from
// each other by it.
func (a *Alarm) skew(b *drill.Brief, md middleware.Metadata) {
	const grain = 2 * time.Second // a Date field has whole seconds
	at, ok := awsmiddleware.GetServerTime(md)
	if off := time.Until(at); ok && a.o.Clock.Own() && off.Abs() > grain {
		a.o.Clock = drill.NewClock(time.Now(), at, 1)
		b.Clock = &a.o.Clock
		fact(b, "Clock", "this machine's is %v off: times are by CloudWatch's", off.Round(time.Second))
	}
}

// missing names what there is in place of the alarm.
func (a *Alarm) missing(ctx context.Context, b *drill.Brief) {
	f := drill.Finding{
		Code: drill.CodeAlarmMissing, Level: drill.Stops, Text: fmt.Sprintf("there is no alarm %s in %s", a.o.Name, a.place()),
		Advice: "is the name right, and are region and account? --region and --role choose them, or AWS_REGION and AWS_PROFILE",
	}
	if out, err := a.cw.DescribeAlarms(ctx, &sdk.DescribeAlarmsInput{MaxRecords: aws.Int32(10)}); err == nil {
		for _, m := range out.MetricAlarms {
			f.Detail = append(f.Detail, "there is "+aws.ToString(m.AlarmName))
		}
		if len(f.Detail) == 0 {
			f.Detail = []string{"there is no alarm at all"}
		}
	}
	if a.o.Region != "" && a.o.Region != a.cfg.Region {
		finding(b, drill.CodeRegion, drill.Stops, "give --region "+a.o.Region, "the target is in %s, and the alarm was looked for in %s", a.o.Region, a.cfg.Region)
	}
	b.Findings = append(b.Findings, f)
}

// read takes over what the alarm is.
func (a *Alarm) read(b *drill.Brief) {
	al := a.alarm
	a.before = al.StateValue
	a.n = int(max(aws.ToInt32(al.EvaluationPeriods), 1))
	a.m = a.n
	if m := aws.ToInt32(al.DatapointsToAlarm); m > 0 {
		a.m = int(m)
	}
	period := aws.ToInt32(al.Period)
	if al.MetricName != nil {
		a.metric = Metric{Namespace: aws.ToString(al.Namespace), Name: aws.ToString(al.MetricName)}
		for _, d := range al.Dimensions {
			a.metric.Dimensions = append(a.metric.Dimensions, Dimension{aws.ToString(d.Name), aws.ToString(d.Value)})
		}
	}
	for _, q := range al.Metrics {
		if q.Period != nil {
			period = max(period, *q.Period)
		}
		if q.MetricStat != nil && q.MetricStat.Period != nil {
			period = max(period, *q.MetricStat.Period)
		}
	}
	a.period = time.Duration(max(period, 10)) * time.Second
	b.Period, b.Periods = a.period, a.m
	var odd string
	b.Refusals, b.Calls, b.Fill, odd = a.needs()
	what := "an expression of " + fmt.Sprint(len(al.Metrics)) + " queries"
	if a.metric.Name != "" {
		what = a.statistic() + " of " + a.metric.String()
	}
	fact(b, "Metric", "%s", what)
	missing := aws.ToString(al.TreatMissingData)
	if missing == "" {
		missing = "missing"
	}
	fact(b, "Rings when", "%s %g in %d of %d periods of %v; missing points are %s", operator(al.ComparisonOperator), aws.ToFloat64(al.Threshold), a.m, a.n, a.period, missing)
	if odd != "" {
		level := drill.Note
		finding(b, drill.CodeThreshold, level, "Sum counts refusals", "%s", odd)
	}
	if op := string(al.ComparisonOperator); !strings.HasPrefix(op, "GreaterThan") {
		finding(b, drill.CodeDirection, drill.Stops, "an alarm on refusals has GreaterThanThreshold", "it rings when its metric is %s, which refusals do not bring about", operator(al.ComparisonOperator))
	}
}

func operator(op types.ComparisonOperator) string {
	switch op {
	case types.ComparisonOperatorGreaterThanThreshold:
		return ">"
	case types.ComparisonOperatorGreaterThanOrEqualToThreshold:
		return "≥"
	case types.ComparisonOperatorLessThanThreshold:
		return "<"
	case types.ComparisonOperatorLessThanOrEqualToThreshold:
		return "≤"
	}
	return string(op)
}

// state looks at the state before the drill and at what missing points do.
func (a *Alarm) state(b *drill.Brief) {
	al := a.alarm
	since := ""
	if al.StateTransitionedTimestamp != nil { // stand-ins leave it out
		since = al.StateTransitionedTimestamp.UTC().Format(" since 2006-01-02 15:04:05 UTC")
	}
	fact(b, "State", "%s%s", al.StateValue, since)
	missing := aws.ToString(al.TreatMissingData)
	counter := a.metric.Name != "" && (missing == "" || missing == "missing")
	switch al.StateValue {
	case types.StateValueAlarm:
		finding(b, drill.CodeAlready, drill.Stops, "wait until it is OK: only a change of state notifies",
			"it is in ALARM already: %s", sink.Line(aws.ToString(al.StateReason), 300))
	case types.StateValueInsufficientData:
		advice := "it changes to OK with the first points; an alarm that is new needs a minute or two"
		if counter {
			advice = "set TreatMissingData to notBreaching: this metric has points only when there are refusals, so the alarm can never be OK"
		}
		finding(b, drill.CodeInsufficient, drill.Note, advice, "it is in INSUFFICIENT_DATA: %s", sink.Line(aws.ToString(al.StateReason), 300))
	default:
		if counter && strings.Contains(a.metric.Name, "Throttle") {
			finding(b, drill.CodeInsufficient, drill.Note, "set TreatMissingData to notBreaching",
				"missing points are treated as missing: after the drill it may go to INSUFFICIENT_DATA and not to OK")
		}
	}
	if !aws.ToBool(al.ActionsEnabled) {
		finding(b, drill.CodeActionsOff, drill.Stops, "aws cloudwatch enable-alarm-actions --alarm-names "+quoteIf(a.o.Name), "its actions are switched off: it would ring, and tell nobody")
	}
	if a.o.Region != "" && a.o.Region != a.cfg.Region {
		finding(b, drill.CodeRegion, drill.Stops, "give --region "+a.o.Region, "the target is in %s and the alarm in %s: it counts the calls of its own region only", a.o.Region, a.cfg.Region)
	}
}

// mutes looks for alarm mute rules, of 2026: actions are held back while one is active.
func (a *Alarm) mutes(ctx context.Context, b *drill.Brief) {
	out, err := a.cw.ListAlarmMuteRules(ctx, &sdk.ListAlarmMuteRulesInput{
		AlarmName: &a.o.Name, Statuses: []types.AlarmMuteRuleStatus{types.AlarmMuteRuleStatusActive, types.AlarmMuteRuleStatusScheduled},
	})
	if err != nil {
		a.unread = append(a.unread, "whether a mute rule keeps it quiet could not be looked at (cloudwatch:ListAlarmMuteRules): "+account.Words(err))
		return
	}
	var scheduled []string
	for _, r := range out.AlarmMuteRuleSummaries {
		arn := aws.ToString(r.AlarmMuteRuleArn)
		name := strings.TrimPrefix(part(arn, 5), "alarm-mute-rule:")
		if r.Status != types.AlarmMuteRuleStatusActive {
			scheduled = append(scheduled, name)
			continue
		}
		until := ""
		if r.ExpireDate != nil {
			until = ", until " + r.ExpireDate.UTC().Format("2006-01-02 15:04 UTC") + " at the latest"
		}
		finding(b, drill.CodeMuted, drill.Stops, "wait until it ends, or aws cloudwatch delete-alarm-mute-rule --alarm-mute-rule-name "+quoteIf(name),
			"the mute rule %s keeps its actions back%s", name, until)
	}
	if len(scheduled) > 0 {
		finding(b, drill.CodeMuted, drill.Note, "see that it does not begin during the drill", "it will be muted at times, by %s", strings.Join(scheduled, ", "))
	}
}

// actions looks at what happens when it rings, and at who is told.
func (a *Alarm) actions(ctx context.Context, b *drill.Brief) {
	topic := func(arn string) bool { return part(arn, 2) == "sns" }
	for _, arn := range a.alarm.AlarmActions {
		if topic(arn) && !slices.Contains(a.topics, arn) {
			a.topics = append(a.topics, arn)
		}
	}
	for _, arn := range a.alarm.OKActions {
		if topic(arn) && !slices.Contains(a.okTopics, arn) {
			a.okTopics = append(a.okTopics, arn)
		}
	}
	if len(a.alarm.AlarmActions) == 0 {
		finding(b, drill.CodeNoAction, drill.Stops, "give it a topic as its alarm action", "it has no action for ALARM: nobody would be told")
		return
	}
	fact(b, "Notifies", "%s", strings.Join(a.alarm.AlarmActions, ", "))
	if len(a.topics) == 0 {
		finding(b, drill.CodeNoAction, drill.Note, "", "none of its actions is an SNS topic: that they were carried out is read from its history")
	}
	for _, arn := range a.topics {
		a.topic(ctx, b, arn)
	}
}

// topic looks at one topic and its subscriptions.
func (a *Alarm) topic(ctx context.Context, b *drill.Brief, arn string) {
	c := a.topicClient(arn)
	out, err := c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &arn})
	var api smithy.APIError
	switch {
	case err != nil && errors.As(err, &api) && (api.ErrorCode() == "NotFound" || api.ErrorCode() == "NotFoundException"):
		finding(b, drill.CodeTopic, drill.Stops, "create it, or give the alarm one that there is", "its topic does not exist: %s", arn)
		return
	case err != nil:
		a.unread = append(a.unread, "the topic could not be looked at (sns:GetTopicAttributes): "+account.Words(err))
	default:
		key := out.Attributes["KmsMasterKeyId"]
		if strings.HasSuffix(key, "alias/aws/sns") {
			// CloudWatch user guide, "Troubleshooting: alarm actions", and SNS developer guide,
			// "Enable compatibility between event sources and encrypted topics", 2026-11.
			finding(b, drill.CodeTopic, drill.Stops, "encrypt it with a key of your own whose policy allows cloudwatch.amazonaws.com, or not at all",
				"its topic %s is encrypted with alias/aws/sns, whose policy lets no alarm publish", part(arn, 5))
		}
	}
	subs, err := a.subscriptions(ctx, arn)
	if err != nil {
		a.unread = append(a.unread, "who has subscribed could not be looked at (sns:ListSubscriptionsByTopic): "+account.Words(err))
		return
	}
	a.subs[arn] = subs
	confirmed, pending := 0, []string{}
	for _, s := range subs {
		if s.pending {
			pending = append(pending, s.protocol+" "+masked(s.endpoint))
		} else {
			confirmed++
		}
	}
	fact(b, "Told", "%d confirmed of %d subscriptions of %s", confirmed, len(subs), part(arn, 5))
	const confirm = "open the link in the mail that was sent, or subscribe again: a link is good for two days"
	switch {
	case len(subs) == 0:
		finding(b, drill.CodeNoSubscription, drill.Stops, "aws sns subscribe --topic-arn "+arn+" --protocol email --notification-endpoint …",
			"nobody has subscribed to its topic %s: it would ring, and nobody would hear", part(arn, 5))
	case confirmed == 0:
		finding(b, drill.CodeUnconfirmed, drill.Stops, confirm, "no subscription of its topic %s is confirmed: %s", part(arn, 5), strings.Join(pending, ", "))
	case len(pending) > 0:
		finding(b, drill.CodeUnconfirmed, drill.Note, confirm, "of its topic %s is not confirmed: %s", part(arn, 5), strings.Join(pending, ", "))
	}
}

// subscriptions are those of a topic, without those of drills.
func (a *Alarm) subscriptions(ctx context.Context, arn string) ([]subscription, error) {
	var out []subscription
	in := &sns.ListSubscriptionsByTopicInput{TopicArn: &arn}
	for range 20 {
		page, err := a.topicClient(arn).ListSubscriptionsByTopic(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, s := range page.Subscriptions {
			endpoint := aws.ToString(s.Endpoint)
			if strings.HasPrefix(part(endpoint, 5), queuePrefix) {
				continue
			}
			out = append(out, subscription{aws.ToString(s.Protocol), endpoint, !strings.HasPrefix(aws.ToString(s.SubscriptionArn), "arn:")})
		}
		if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
			break
		}
	}
	return out, nil
}

// masked hides most of an address: reports are passed on.
func masked(endpoint string) string {
	user, host, mail := strings.Cut(endpoint, "@")
	switch {
	case mail && user != "":
		return string([]rune(user)[:1]) + "…@" + host
	case strings.HasPrefix(endpoint, "+") && len(endpoint) > 4:
		return "…" + endpoint[len(endpoint)-2:]
	case strings.Contains(endpoint, "://"):
		scheme, rest, _ := strings.Cut(endpoint, "://")
		host, _, _ = strings.Cut(rest, "/")
		if _, after, ok := strings.Cut(host, "@"); ok {
			host = after
		}
		return scheme + "://" + host + "/…"
	}
	return part(endpoint, 5)
}

// stages are what has to happen.
func (a *Alarm) stages(b *drill.Brief) {
	more := a.period * time.Duration(a.m-1)
	b.Stages = []drill.Stage{
		{ID: Datapoint, Title: "datapoint readable", Needs: drill.Throttled, Bound: a.period + late, Missing: drill.CodeNoDatapoint},
		{ID: Ringing, Title: "ALARM", Needs: Datapoint, Bound: more + evaluated, Proof: true, Missing: drill.CodeNoAlarm},
	}
	if len(a.alarm.AlarmActions) > 0 {
		title := "notification received"
		if !a.queued() {
			title = "notification sent"
		}
		notified := drill.Stage{ID: drill.Notified, Title: title, Needs: Ringing, Bound: delivered, Proof: true, Missing: drill.CodeNoNotification}
		b.Stages = append(b.Stages, notified)
		notified.Needs = ""
		b.Rehearsal = append(b.Rehearsal, notified)
	}
	again := a.period*time.Duration(a.n) + late + evaluated
	ok := drill.Stage{ID: drill.Again, Title: "OK again", Needs: Ringing, Bound: again, After: true, Proof: false, Missing: drill.CodeNotAgain}
	b.Stages = append(b.Stages, ok)
	ok.Needs, ok.Bound = "", a.period+evaluated
	b.Rehearsal = append(b.Rehearsal, ok)
	if len(a.okTopics) > 0 {
		b.Stages = append(b.Stages, drill.Stage{ID: OKNotice, Title: "OK notified", Needs: drill.Again, Bound: delivered, After: true, Missing: drill.CodeNoAgainNotice})
	}
	// One look at the metric every lookMetric, for as long as its bound.
	b.Asks = int64((a.period + late) / lookMetric * time.Duration(max(len(a.alarm.Metrics), 1)))
}

// queued says whether a queue of our own proves the notification.
func (a *Alarm) queued() bool { return a.o.Queue && len(a.topics) > 0 }

// Find returns the names of the alarms that watch a metric.
func Find(ctx context.Context, cfg aws.Config, namespace, name string) ([]string, error) {
	c := New(cfg, Options{}).cw
	in := &sdk.DescribeAlarmsInput{MaxRecords: aws.Int32(100)}
	var out []string
	for range 20 {
		page, err := c.DescribeAlarms(ctx, in)
		if err != nil {
			return nil, errors.New(account.Words(err))
		}
		for _, m := range page.MetricAlarms {
			if aws.ToString(m.Namespace) == namespace && aws.ToString(m.MetricName) == name {
				out = append(out, aws.ToString(m.AlarmName))
			}
		}
		if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
			break
		}
	}
	return out, nil
}
