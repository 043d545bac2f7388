package aws_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/weir-dev/weir/internal/lab/aws"
)

// TestSDKProtocols drives CloudWatch with Amazon's Go client in each of its three
// protocols: what one writes, all read.
func TestSDKProtocols(t *testing.T) {
	ran := 0
	for _, protocol := range []string{"cbor", "json", "query"} {
		t.Run(protocol, func(t *testing.T) {
			ran++
			clock := newHand()
			a := newAccount(t, aws.Config{Clock: clock.now, Unlimited: true})
			c := a.cloudwatch(protocol)
			var values, counts []float64
			for i := range 150 { // 1 to 150 ms, each i times: enough to be gzipped
				values, counts = append(values, float64(i+1)), append(counts, float64(i+1))
			}
			dimensions := []types.Dimension{{Name: ptr("Outcome"), Value: ptr("ok & <fine>")}}
			must[*cloudwatch.PutMetricDataOutput](t)(c.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{
				Namespace: ptr("Weir"),
				MetricData: []types.MetricDatum{
					{MetricName: ptr("Latency"), Dimensions: dimensions, Timestamp: &start, Values: values, Counts: counts, Unit: types.StandardUnitMilliseconds, StorageResolution: ptr(int32(1))},
					{MetricName: ptr("Requests"), Dimensions: dimensions, Timestamp: &start, Value: ptr(11325.0), Unit: types.StandardUnitCount},
					{MetricName: ptr("Requests"), Dimensions: dimensions, Timestamp: ptr(start.Add(61 * time.Second)),
						StatisticValues: &types.StatisticSet{SampleCount: ptr(3.0), Sum: ptr(6.5), Minimum: ptr(1.0), Maximum: ptr(4.0)}},
				},
			}))
			clock.add(5 * time.Minute)

			list := must[*cloudwatch.ListMetricsOutput](t)(c.ListMetrics(ctx, &cloudwatch.ListMetricsInput{Namespace: ptr("Weir"), RecentlyActive: types.RecentlyActivePt3h,
				Dimensions: []types.DimensionFilter{{Name: ptr("Outcome")}}}))
			if len(list.Metrics) != 2 || *list.Metrics[0].Dimensions[0].Value != "ok & <fine>" {
				t.Errorf("listed %v", list.Metrics)
			}

			stat := func(id, metric, stat string, period int32) types.MetricDataQuery {
				return types.MetricDataQuery{Id: &id, MetricStat: &types.MetricStat{Metric: &types.Metric{Namespace: ptr("Weir"), MetricName: &metric, Dimensions: dimensions}, Period: &period, Stat: &stat}}
			}
			got := must[*cloudwatch.GetMetricDataOutput](t)(c.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{
				StartTime: &start, EndTime: ptr(start.Add(3 * time.Minute)), ScanBy: types.ScanByTimestampAscending,
				MetricDataQueries: []types.MetricDataQuery{
					stat("sum", "Requests", "Sum", 60), stat("n", "Requests", "SampleCount", 60), stat("p50", "Latency", "p50", 1), stat("p99", "Latency", "p99", 60),
					{Id: ptr("rate"), Expression: ptr("sum / PERIOD(sum)"), Label: ptr("per second")},
				},
			}))
			text := ""
			for _, r := range got.MetricDataResults {
				text += fmt.Sprintf("%s %s %v %s;", *r.Id, *r.Label, r.Values, r.StatusCode)
			}
			// Half of 11325 is reached at 106: 106*107/2 = 5671.
			want := "sum Requests [11325 6.5] Complete;n Requests [1 3] Complete;p50 Latency [106] Complete;p99 Latency [150] Complete;rate per second [188.75 " +
				fmt.Sprint(6.5/60) + "] Complete;"
			if text != want {
				t.Errorf("read\n%s, want\n%s", text, want)
			}
			if got := got.MetricDataResults[0].Timestamps; !got[0].Equal(start) || !got[1].Equal(start.Add(time.Minute)) {
				t.Errorf("at %v", got)
			}

			old := must[*cloudwatch.GetMetricStatisticsOutput](t)(c.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
				Namespace: ptr("Weir"), MetricName: ptr("Latency"), Dimensions: dimensions, StartTime: &start, EndTime: ptr(start.Add(time.Minute)), Period: ptr(int32(60)),
				Statistics: []types.Statistic{types.StatisticAverage, types.StatisticMaximum}}))
			if len(old.Datapoints) != 1 || *old.Datapoints[0].Maximum != 150 || math.Abs(*old.Datapoints[0].Average-301.0/3) > 1e-9 || old.Datapoints[0].Unit != types.StandardUnitMilliseconds {
				t.Errorf("statistics %+v", old.Datapoints)
			}
			old = must[*cloudwatch.GetMetricStatisticsOutput](t)(c.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
				Namespace: ptr("Weir"), MetricName: ptr("Latency"), Dimensions: dimensions, StartTime: &start, EndTime: ptr(start.Add(time.Minute)), Period: ptr(int32(60)),
				ExtendedStatistics: []string{"p50"}}))
			if len(old.Datapoints) != 1 || old.Datapoints[0].ExtendedStatistics["p50"] != 106 {
				t.Errorf("extended statistics %+v", old.Datapoints)
			}
			testErrors(t, c)
			testAlarm(t, a, clock, c)
		})
	}
	if ran != 3 {
		t.Errorf("ran %d protocols", ran)
	}
}

// testErrors holds that AWS's codes arrive in the client, whatever the protocol.
func testErrors(t *testing.T, c *cloudwatch.Client) {
	code := func(err error) string {
		var api smithy.APIError
		if errors.As(err, &api) {
			return api.ErrorCode()
		}
		return fmt.Sprint(err)
	}
	_, err := c.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: ptr("Weir"), MetricData: []types.MetricDatum{{MetricName: ptr("x"), Values: make([]float64, 151)}}})
	var invalid *types.InvalidParameterValueException
	if !errors.As(err, &invalid) || !strings.Contains(invalid.ErrorMessage(), "150") {
		t.Errorf("151 values: %v", err)
	}
	_, err = c.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: ptr("AWS/Usage"), MetricData: []types.MetricDatum{{MetricName: ptr("x"), Value: ptr(1.0)}}})
	if !errors.As(err, &invalid) {
		t.Errorf("AWS/: %v", err)
	}
	_, err = c.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: ptr("none"), StateValue: types.StateValueAlarm, StateReason: ptr("")})
	var absent *types.ResourceNotFound
	if !errors.As(err, &absent) {
		t.Errorf("alarm that is not there: %v", err)
	}
	if _, err = c.ListDashboards(ctx, nil); code(err) != "UnknownOperation" && code(err) != "UnknownOperationException" && code(err) != "InvalidAction" {
		t.Errorf("operation that is not there: %v", err)
	}
}

// testAlarm goes the way of a drill: metric, alarm, topic, queue.
func testAlarm(t *testing.T, a *account, clock *hand, c *cloudwatch.Client) {
	topic := must[*sns.CreateTopicOutput](t)(a.sns().CreateTopic(ctx, &sns.CreateTopicInput{Name: ptr("oncall")})).TopicArn
	queue := must[*sqs.CreateQueueOutput](t)(a.sqs().CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: ptr("drill")})).QueueUrl
	arn := must[*sqs.GetQueueAttributesOutput](t)(a.sqs().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"}})).Attributes["QueueArn"]
	must[*sqs.SetQueueAttributesOutput](t)(a.sqs().SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: queue, Attributes: map[string]string{
		"Policy": `{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `","Condition":{"ArnEquals":{"aws:SourceArn":"` + *topic + `"}}}]}`}}))
	subscription := must[*sns.SubscribeOutput](t)(a.sns().Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic, Protocol: ptr("sqs"), Endpoint: &arn})).SubscriptionArn
	must[*cloudwatch.PutMetricAlarmOutput](t)(c.PutMetricAlarm(ctx, &cloudwatch.PutMetricAlarmInput{
		AlarmName: ptr("throttled"), Namespace: ptr("Weir"), MetricName: ptr("Throttled"), Statistic: types.StatisticSum, Period: ptr(int32(60)),
		EvaluationPeriods: ptr(int32(1)), Threshold: ptr(0.0), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
		TreatMissingData: ptr("notBreaching"), AlarmActions: []string{*topic}, OKActions: []string{*topic},
	}))
	state := func() types.MetricAlarm {
		out := must[*cloudwatch.DescribeAlarmsOutput](t)(c.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"throttled"}}))
		if len(out.MetricAlarms) != 1 {
			t.Fatalf("%d alarms", len(out.MetricAlarms))
		}
		return out.MetricAlarms[0]
	}
	if s := state().StateValue; s != types.StateValueInsufficientData {
		t.Errorf("a new alarm is %s", s)
	}
	clock.add(time.Minute)
	if s := state().StateValue; s != types.StateValueOk {
		t.Errorf("without data it is %s", s)
	}
	receive := func(wait int32) string {
		out := must[*sqs.ReceiveMessageOutput](t)(a.sqs().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: wait}))
		text := ""
		for _, m := range out.Messages {
			text += *m.Body
			must[*sqs.DeleteMessageOutput](t)(a.sqs().DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: m.ReceiptHandle}))
		}
		return text
	}
	if text := receive(0); !strings.Contains(text, `\"NewStateValue\":\"OK\"`) || !strings.Contains(text, `\"OldStateValue\":\"INSUFFICIENT_DATA\"`) {
		t.Errorf("first message %q", text)
	}
	must[*cloudwatch.PutMetricDataOutput](t)(c.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: ptr("Weir"), MetricData: []types.MetricDatum{
		{MetricName: ptr("Throttled"), Timestamp: ptr(clock.now()), Value: ptr(7.0)}}}))
	clock.add(time.Minute)
	now := state()
	if now.StateValue != types.StateValueAlarm || !strings.Contains(*now.StateReason, "7.0") || now.StateReasonData == nil || !now.StateTransitionedTimestamp.Equal(clock.now()) {
		t.Errorf("after a minute: %s %s at %v", now.StateValue, *now.StateReason, now.StateTransitionedTimestamp)
	}
	if text := receive(20); !strings.Contains(text, `\"NewStateValue\":\"ALARM\"`) || !strings.Contains(text, `"Type":"Notification"`) {
		t.Errorf("second message %q", text)
	}
	history := must[*cloudwatch.DescribeAlarmHistoryOutput](t)(c.DescribeAlarmHistory(ctx, &cloudwatch.DescribeAlarmHistoryInput{AlarmName: ptr("throttled"), HistoryItemType: types.HistoryItemTypeAction}))
	if len(history.AlarmHistoryItems) != 2 || *history.AlarmHistoryItems[0].HistorySummary != "Successfully executed action "+*topic {
		t.Errorf("history %+v", history.AlarmHistoryItems)
	}
	must[*sns.UnsubscribeOutput](t)(a.sns().Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: subscription}))
	must[*sqs.DeleteQueueOutput](t)(a.sqs().DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: queue}))
	if left := a.Queues(); len(left) != 0 {
		t.Errorf("queues left: %v", left)
	}
	must[*cloudwatch.DeleteAlarmsOutput](t)(c.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"throttled"}}))
}

// TestSDKLogs drives CloudWatch Logs with Amazon's Go client.
func TestSDKLogs(t *testing.T) {
	clock := newHand()
	a := newAccount(t, aws.Config{Clock: clock.now})
	c := a.logs()
	group, stream := ptr("/weir/runs"), ptr("run-1")
	must[*cloudwatchlogs.CreateLogGroupOutput](t)(c.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group}))
	must[*cloudwatchlogs.CreateLogStreamOutput](t)(c.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream}))
	_, err := c.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group})
	var exists *logtypes.ResourceAlreadyExistsException
	if !errors.As(err, &exists) {
		t.Errorf("second creation: %v", err)
	}
	at := func(d time.Duration) *int64 { return ptr(start.Add(d).UnixMilli()) }
	put := func(events ...logtypes.InputLogEvent) (*cloudwatchlogs.PutLogEventsOutput, error) {
		return c.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: events})
	}
	must[*cloudwatchlogs.PutLogEventsOutput](t)(put(
		logtypes.InputLogEvent{Timestamp: at(0), Message: ptr("stage 1 begins")},
		logtypes.InputLogEvent{Timestamp: at(time.Second), Message: ptr(`verdict "fail": 429 日本`)},
		logtypes.InputLogEvent{Timestamp: at(2 * time.Second), Message: ptr("stage 2 begins")}))
	out := must[*cloudwatchlogs.PutLogEventsOutput](t)(put(logtypes.InputLogEvent{Timestamp: at(3 * time.Hour), Message: ptr("from the future")}))
	if out.RejectedLogEventsInfo == nil || *out.RejectedLogEventsInfo.TooNewLogEventStartIndex != 0 {
		t.Errorf("rejected %+v", out.RejectedLogEventsInfo)
	}
	out = must[*cloudwatchlogs.PutLogEventsOutput](t)(put(logtypes.InputLogEvent{Timestamp: at(-15 * 24 * time.Hour), Message: ptr("too old")}))
	if out.RejectedLogEventsInfo == nil || *out.RejectedLogEventsInfo.TooOldLogEventEndIndex != 1 {
		t.Errorf("rejected %+v", out.RejectedLogEventsInfo)
	}
	_, err = put(logtypes.InputLogEvent{Timestamp: at(time.Second), Message: ptr("b")}, logtypes.InputLogEvent{Timestamp: at(0), Message: ptr("a")})
	var invalid *logtypes.InvalidParameterException
	if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "chronological") {
		t.Errorf("disorder: %v", err)
	}
	pages := cloudwatchlogs.NewGetLogEventsPaginator(c, &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: stream, StartFromHead: ptr(true), Limit: ptr(int32(2))},
		func(o *cloudwatchlogs.GetLogEventsPaginatorOptions) { o.StopOnDuplicateToken = true })
	text := ""
	for pages.HasMorePages() {
		for _, e := range must[*cloudwatchlogs.GetLogEventsOutput](t)(pages.NextPage(ctx)).Events {
			text += *e.Message + "|"
		}
	}
	if want := `stage 1 begins|verdict "fail": 429 日本|stage 2 begins|`; text != want {
		t.Errorf("read %q, want %q", text, want)
	}
	filter := cloudwatchlogs.NewFilterLogEventsPaginator(c, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, FilterPattern: ptr(`stage -2`), Limit: ptr(int32(1))})
	found := 0
	for filter.HasMorePages() {
		for _, e := range must[*cloudwatchlogs.FilterLogEventsOutput](t)(filter.NextPage(ctx)).Events {
			found++
			if *e.Message != "stage 1 begins" || *e.LogStreamName != "run-1" || len(*e.EventId) != 56 {
				t.Errorf("found %+v", e)
			}
		}
	}
	groups := must[*cloudwatchlogs.DescribeLogGroupsOutput](t)(c.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: ptr("/weir")}))
	streams := must[*cloudwatchlogs.DescribeLogStreamsOutput](t)(c.DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group}))
	if found != 1 || len(groups.LogGroups) != 1 || len(streams.LogStreams) != 1 || *streams.LogStreams[0].LastEventTimestamp != *at(2 * time.Second) {
		t.Errorf("found %d, groups %v, streams %v", found, groups.LogGroups, streams.LogStreams)
	}
}
