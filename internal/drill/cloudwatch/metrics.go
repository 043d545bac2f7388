package cloudwatch

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/drill"
)

// usageNamespace has the calls of a service by account, as its quotas count them.
const usageNamespace = "AWS/Usage"

// list asks which dimensions there are for a metric, up to a bound.
func (a *Alarm) list(ctx context.Context, namespace, name string) ([]Metric, error) {
	var out []Metric
	in := &sdk.ListMetricsInput{Namespace: &namespace, MetricName: &name}
	for range 10 {
		page, err := a.cw.ListMetrics(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Metrics {
			one := Metric{Namespace: namespace, Name: name}
			for _, d := range m.Dimensions {
				one.Dimensions = append(one.Dimensions, Dimension{aws.ToString(d.Name), aws.ToString(d.Value)})
			}
			out = append(out, one)
		}
		if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
			break
		}
	}
	return out, nil
}

// watches compares what the alarm watches with what this load moves.
func (a *Alarm) watches(ctx context.Context, b *drill.Brief) {
	if a.metric.Name == "" {
		return
	}
	f, known, err := a.compare(ctx)
	switch {
	case err != nil:
		a.unread = append(a.unread, "which metrics there are could not be looked at (cloudwatch:ListMetrics): "+account.Words(err))
	case f != nil:
		f.Level = drill.Stops
		b.Findings = append(b.Findings, *f)
	case !known:
		fact(b, "Dimensions", "not checked: %s is not listed yet, which a metric is only after its first points", a.metric.Name)
	}
}

// compare is a finding when the alarm watches something else; known says whether
// there was anything to compare with.
func (a *Alarm) compare(ctx context.Context) (f *drill.Finding, known bool, err error) {
	wrong := func(text string, instead []Metric, advice string) *drill.Finding {
		f := &drill.Finding{Code: drill.CodeDimensions, Level: drill.Fails, Text: text, Advice: advice}
		a.nearest(instead)
		for i, m := range instead {
			if i == 5 {
				f.Detail = append(f.Detail, fmt.Sprintf("and %d more", len(instead)-i))
				break
			}
			line := "there is " + m.String()
			if i == 0 {
				line += a.difference(m)
			}
			f.Detail = append(f.Detail, line)
		}
		return f
	}
	const advice = "give the alarm exactly these dimensions: one more, one less or another value is another metric"
	if e := a.o.Expect; e.Name != "" {
		if a.metric.Namespace != e.Namespace || a.metric.Name != e.Name || !same(a.metric.Dimensions, e.Dimensions) {
			return wrong("the alarm watches "+a.metric.String()+", and the load moves another metric", []Metric{e}, advice), true, nil
		}
		return nil, true, nil
	}
	if a.o.Usage != "" {
		return a.compareUsage(ctx, wrong)
	}
	// A counter of refusals may not be there before the first one, so in AWS/Usage its
	// dimensions are those of the calls.
	name := a.metric.Name
	if a.metric.Namespace == usageNamespace {
		name = "CallCount"
	}
	a.listed, err = a.list(ctx, a.metric.Namespace, name)
	if err != nil || len(a.listed) == 0 {
		return nil, false, err
	}
	if slices.ContainsFunc(a.listed, func(m Metric) bool { return same(m.Dimensions, a.metric.Dimensions) }) {
		return nil, true, nil
	}
	for i := range a.listed {
		a.listed[i].Name = a.metric.Name
	}
	return wrong("there is no "+a.metric.Name+" with the dimensions that the alarm watches: "+dimensions(a.metric.Dimensions), a.listed, advice), true, nil
}

// compareUsage is for a service whose usage metric the load is known to move.
func (a *Alarm) compareUsage(ctx context.Context, wrong func(string, []Metric, string) *drill.Finding) (*drill.Finding, bool, error) {
	service := strings.ToLower(a.o.Usage)
	if a.metric.Namespace != usageNamespace {
		return wrong(fmt.Sprintf("the alarm watches %s: the calls of this drill are counted in %s only", a.metric, usageNamespace), nil,
			"watch ThrottleCount of "+usageNamespace+" for "+a.o.Usage+" and "+a.o.Resource), true, nil
	}
	all, err := a.list(ctx, usageNamespace, "CallCount")
	if err != nil {
		return nil, false, err
	}
	var ours, others []Metric
	for _, m := range all {
		m.Name = a.metric.Name
		fits, resource := false, false
		for _, d := range m.Dimensions {
			fits = fits || d.Name == "Service" && strings.Contains(strings.ToLower(d.Value), service)
			resource = resource || d.Name == "Resource" && d.Value == a.o.Resource
		}
		switch {
		case fits && resource:
			ours = append(ours, m)
		case fits:
			others = append(others, m)
		}
	}
	a.listed = ours
	is := func(m Metric) bool { return same(m.Dimensions, a.metric.Dimensions) }
	switch {
	case slices.ContainsFunc(ours, is):
		if a.metric.Name != "ThrottleCount" && a.metric.Name != "CallCount" {
			return wrong("the alarm watches "+a.metric.String()+", which does not count calls or refusals", ours, "watch ThrottleCount"), true, nil
		}
		return nil, true, nil
	case slices.ContainsFunc(others, is):
		return wrong(fmt.Sprintf("the alarm watches another category: %s; these calls are counted as %s", dimensions(a.metric.Dimensions), a.o.Resource), ours,
			"give the alarm Resource="+a.o.Resource), true, nil
	case len(ours) > 0:
		return wrong("there is no "+a.metric.Name+" with the dimensions that the alarm watches: "+dimensions(a.metric.Dimensions), ours,
			"give the alarm exactly these dimensions: one more, one less or another value is another metric"), true, nil
	}
	return nil, false, nil
}

func dimensions(list []Dimension) string {
	if len(list) == 0 {
		return "none"
	}
	var out []string
	for _, d := range list {
		out = append(out, d.Name+"="+quoteIf(d.Value))
	}
	return strings.Join(out, " ")
}

// nearest puts metrics with most of the alarm's dimensions first.
func (a *Alarm) nearest(list []Metric) {
	score := func(m Metric) (n int) {
		for _, d := range m.Dimensions {
			switch {
			case slices.Contains(a.metric.Dimensions, d):
				n += 2
			case slices.ContainsFunc(a.metric.Dimensions, func(o Dimension) bool { return o.Name == d.Name }):
				n++
			}
		}
		return n - len(m.Dimensions)
	}
	slices.SortStableFunc(list, func(x, y Metric) int { return score(y) - score(x) })
}

// difference says in which dimensions the alarm's metric is another one.
func (a *Alarm) difference(m Metric) string {
	var parts []string
	value := func(list []Dimension, name string) (string, bool) {
		for _, d := range list {
			if d.Name == name {
				return d.Value, true
			}
		}
		return "", false
	}
	for _, d := range m.Dimensions {
		switch v, ok := value(a.metric.Dimensions, d.Name); {
		case !ok:
			parts = append(parts, "the alarm has no "+d.Name)
		case v != d.Value:
			parts = append(parts, fmt.Sprintf("the alarm has %s=%s", d.Name, quoteIf(v)))
		}
	}
	for _, d := range a.metric.Dimensions {
		if _, ok := value(m.Dimensions, d.Name); !ok {
			parts = append(parts, "the alarm has "+d.Name+" as well")
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// quota reads what is allowed, and what others use of it, where the usage of the
// service is counted.
func (a *Alarm) quota(ctx context.Context, b *drill.Brief) {
	m := a.metric
	if m.Namespace != usageNamespace || a.o.Usage != "" && len(a.listed) > 0 && !same(a.listed[0].Dimensions, m.Dimensions) {
		if len(a.listed) == 0 || a.o.Usage == "" {
			return
		}
		m = a.listed[0]
	}
	m.Name = "CallCount"
	now := a.o.Clock.Now()
	in := &sdk.GetMetricDataInput{
		StartTime: aws.Time(now.Add(-15 * time.Minute).Truncate(time.Minute)), EndTime: aws.Time(now.Truncate(time.Minute).Add(time.Minute)),
		MetricDataQueries: []types.MetricDataQuery{
			{Id: aws.String("m"), MetricStat: &types.MetricStat{Metric: m.sdk(), Period: aws.Int32(60), Stat: aws.String("Sum")}},
			{Id: aws.String("q"), Expression: aws.String("SERVICE_QUOTA(m)")},
		},
	}
	out, err := a.cw.GetMetricData(ctx, in)
	if err != nil {
		// A quota that nobody told Service Quotas of makes the whole question wrong.
		in.MetricDataQueries = in.MetricDataQueries[:1]
		if out, err = a.cw.GetMetricData(ctx, in); err != nil {
			a.unread = append(a.unread, "the quota and what others use of it could not be looked at (cloudwatch:GetMetricData): "+account.Words(err))
			return
		}
	}
	busiest := 0.0
	for _, r := range out.MetricDataResults {
		switch aws.ToString(r.Id) {
		case "m":
			for _, v := range r.Values {
				busiest = max(busiest, v/60)
			}
		case "q":
			if len(r.Values) > 0 {
				b.Quota = r.Values[0]
			}
		}
	}
	b.Others = busiest
	if b.Quota > 0 {
		use := "nobody used it in the last 15 minutes"
		if b.Others > 0 {
			use = fmt.Sprintf("others used up to %.1f of them in the last 15 minutes", b.Others)
		}
		fact(b, "Quota", "%g requests per second for the whole account and region; %s", b.Quota, use)
	} else if busiest > 0 {
		fact(b, "Others", "up to %.1f requests per second in the last 15 minutes; the quota is not known to CloudWatch", busiest)
	}
}

func (m Metric) sdk() *types.Metric {
	out := &types.Metric{Namespace: &m.Namespace, MetricName: &m.Name}
	for _, d := range m.Dimensions {
		out.Dimensions = append(out.Dimensions, types.Dimension{Name: aws.String(d.Name), Value: aws.String(d.Value)})
	}
	return out
}

// point is a figure of the alarm's metric.
type point struct {
	at time.Time
	v  float64
}

// points reads what the alarm sees, from an instant on, oldest first.
func (a *Alarm) points(ctx context.Context, since time.Time) ([]point, error) {
	end := a.o.Clock.Now().Truncate(a.period).Add(a.period)
	in := &sdk.GetMetricDataInput{StartTime: aws.Time(since.Truncate(a.period)), EndTime: &end, ScanBy: types.ScanByTimestampAscending}
	shown := "m"
	if a.metric.Name != "" {
		in.MetricDataQueries = []types.MetricDataQuery{{Id: &shown, MetricStat: &types.MetricStat{
			Metric: a.metric.sdk(), Period: aws.Int32(int32(a.period / time.Second)), Stat: aws.String(a.statistic()), Unit: a.alarm.Unit,
		}}}
	} else {
		in.MetricDataQueries = a.alarm.Metrics
		for _, q := range a.alarm.Metrics {
			if q.ReturnData == nil || *q.ReturnData {
				shown = aws.ToString(q.Id)
			}
		}
	}
	out, err := a.cw.GetMetricData(ctx, in)
	if err != nil {
		return nil, err
	}
	var list []point
	for _, r := range out.MetricDataResults {
		if aws.ToString(r.Id) != shown {
			continue
		}
		for i, at := range r.Timestamps {
			if i < len(r.Values) && !math.IsNaN(r.Values[i]) {
				list = append(list, point{at.UTC(), r.Values[i]})
			}
		}
	}
	return list, nil
}

// breaches says whether a figure is beyond the threshold.
func (a *Alarm) breaches(v float64) bool {
	t := aws.ToFloat64(a.alarm.Threshold)
	switch a.alarm.ComparisonOperator {
	case types.ComparisonOperatorGreaterThanThreshold:
		return v > t
	case types.ComparisonOperatorGreaterThanOrEqualToThreshold:
		return v >= t
	}
	return false
}
