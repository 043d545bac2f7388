package cloudwatch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/weir-dev/weir/internal/drill"
	"github.com/weir-dev/weir/internal/sink"
)

// Why explains a stage that did not come.
func (a *Alarm) Why(ctx context.Context, stage string) []drill.Finding {
	switch stage {
	case Datapoint:
		return a.whyNoPoint(ctx)
	case Ringing:
		return a.whySilent(ctx)
	case drill.Notified, OKNotice:
		return a.whyUnheard(ctx)
	case drill.Again:
		return a.whyNotOver(ctx)
	}
	return nil
}

// whyNoPoint looks for the refusals in other places.
func (a *Alarm) whyNoPoint(ctx context.Context) []drill.Finding {
	if a.blind != "" {
		return []drill.Finding{{
			Code: drill.CodeNoPermission, Text: "the metric cannot be read, and the alarm did not ring either: " + a.blind, Advice: "allow cloudwatch:GetMetricData; docs/drill.md has the whole policy",
		}}
	}
	highest, any := 0.0, false
	for _, p := range a.now.seen {
		highest, any = max(highest, p.v), true
	}
	if any && a.metric.Name != "" {
		return []drill.Finding{{
			Code:   drill.CodeThreshold,
			Text:   fmt.Sprintf("the metric came, and reached %g in a period: the alarm rings when it is %s %g", highest, operator(a.alarm.ComparisonOperator), aws.ToFloat64(a.alarm.Threshold)),
			Advice: "lower the threshold, or allow more refusals",
		}}
	}
	if a.metric.Name != "" {
		if f, known, err := a.compare(ctx); err == nil && f != nil {
			return []drill.Finding{*f}
		} else if err == nil && !known && a.o.Usage != "" {
			f := drill.Finding{
				Code: drill.CodeRegion, Text: fmt.Sprintf("CloudWatch in %s counts no calls of %s at all", a.place(), a.o.Usage),
				Advice: "is the target in this account and region? Else the metric is new, and late: try --bound datapoint=15m",
			}
			if a.o.Clock.Now().Sub(a.now.since) < late {
				f.Code = drill.CodeNoDatapoint // too early to accuse
			}
			return []drill.Finding{f}
		}
	}
	return []drill.Finding{{
		Code: drill.CodeNoDatapoint, Text: "CloudWatch has no point of " + a.metric.String() + " for the time of the load",
		Advice: "a figure takes 1 to 6 minutes, the first one of a metric longer: try --bound datapoint=15m; else something else counts these refusals, or counts them elsewhere",
	}}
}

// whySilent says why there were points and no alarm.
func (a *Alarm) whySilent(ctx context.Context) []drill.Finding {
	list, err := a.points(ctx, a.now.since)
	breaching := 0
	for _, p := range list {
		if a.breaches(p.v) {
			breaching++
		}
	}
	state := fmt.Sprintf("it is in %s: %s", a.alarm.StateValue, sink.Line(aws.ToString(a.alarm.StateReason), 200))
	switch {
	case err == nil && breaching < a.m:
		return []drill.Finding{{
			Code: drill.CodeThreshold, Text: fmt.Sprintf("%d of the %d periods that it needs were beyond the threshold; %s", breaching, a.m, state),
			Advice: "allow more refusals with --max-throttled, or more time with --max-time",
		}}
	case a.now.late > time.Duration(a.n)*a.period:
		// CloudWatch user guide, "Evaluating an alarm": it looks back over its periods and a
		// few more; what comes later than that is never looked at.
		need := int(a.now.late/a.period) + 2
		return []drill.Finding{{
			Code: drill.CodeLatePoint, Text: fmt.Sprintf("the point came %v after the end of its period, and the alarm looks at the last %d", a.now.late.Round(time.Second), a.n),
			Advice: fmt.Sprintf("let it look further back: EvaluationPeriods %d with DatapointsToAlarm %d", a.n+need, a.m),
		}}
	case a.alarm.StateValue == types.StateValueInsufficientData:
		return []drill.Finding{{Code: drill.CodeInsufficient, Text: state, Advice: "set TreatMissingData to notBreaching"}}
	}
	return []drill.Finding{{Code: drill.CodeNoAlarm, Text: fmt.Sprintf("%d of the %d periods that it needs were beyond the threshold, and %s", breaching, a.m, state), Advice: "allow more time with --bound alarm=10m: a point that comes late is evaluated late"}}
}

// whyUnheard says why it rang and nobody was told.
func (a *Alarm) whyUnheard(ctx context.Context) []drill.Finding {
	if !aws.ToBool(a.alarm.ActionsEnabled) {
		return []drill.Finding{{Code: drill.CodeActionsOff, Text: "its actions are switched off", Advice: "aws cloudwatch enable-alarm-actions --alarm-names " + quoteIf(a.o.Name)}}
	}
	if out, err := a.cw.ListAlarmMuteRules(ctx, &sdk.ListAlarmMuteRulesInput{AlarmName: &a.o.Name, Statuses: []types.AlarmMuteRuleStatus{types.AlarmMuteRuleStatusActive}}); err == nil && len(out.AlarmMuteRuleSummaries) > 0 {
		name := strings.TrimPrefix(part(aws.ToString(out.AlarmMuteRuleSummaries[0].AlarmMuteRuleArn), 5), "alarm-mute-rule:")
		return []drill.Finding{{Code: drill.CodeMuted, Text: "the mute rule " + name + " keeps its actions back", Advice: "delete it, or wait until it ends"}}
	}
	for _, h := range a.history(ctx, types.HistoryItemTypeAction, a.now.since) {
		if text := aws.ToString(h.HistorySummary); !strings.HasPrefix(text, "Successfully") {
			return []drill.Finding{{Code: drill.CodeTopic, Text: sink.Line(text, 300), Advice: "the topic's policy must let cloudwatch.amazonaws.com publish, and its key decrypt"}}
		}
	}
	if a.box.open() {
		return []drill.Finding{{
			Code: drill.CodeTopic, Text: "CloudWatch's history says that the action was carried out, and nothing came to the queue of this drill",
			Advice: "allow more with --bound notified=5m; else the topic may filter messages, or delivery to queues may be denied",
		}}
	}
	return nil
}

// whyNotOver says why it does not go back.
func (a *Alarm) whyNotOver(ctx context.Context) []drill.Finding {
	missing := aws.ToString(a.alarm.TreatMissingData)
	switch {
	case a.alarm.StateValue == types.StateValueInsufficientData:
		return []drill.Finding{{
			Code: drill.CodeInsufficient, Text: "without refusals there are no points, and missing points are treated as missing",
			Advice: "set TreatMissingData to notBreaching: then it goes back to OK, and says so",
		}}
	case missing == "breaching" || missing == "ignore":
		return []drill.Finding{{
			Code: drill.CodeInsufficient, Text: "without refusals there are no points, and missing points are treated as " + missing + ": it stays in ALARM",
			Advice: "set TreatMissingData to notBreaching",
		}}
	}
	if list, err := a.points(ctx, a.now.since); err == nil && len(list) > 0 && a.breaches(list[len(list)-1].v) {
		last := list[len(list)-1]
		return []drill.Finding{{
			Code: drill.CodeOthers, Text: fmt.Sprintf("its metric is beyond the threshold still: %g at %s", last.v, last.at.Format("15:04:05")),
			Advice: "others are refused too: the quota is really exceeded",
		}}
	}
	return nil
}
