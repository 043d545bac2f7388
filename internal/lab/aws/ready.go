package aws

import (
	"context"
	"fmt"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// ReadyTopic and ReadyQueue are what Config.Alarm makes beside the alarm.
const (
	ReadyTopic = "on-call"
	ReadyQueue = "pager"
)

// ready makes an alarm on the refusals of the user pool as somebody would who follows
// the documentation: it rings at the first one, notifies a topic, and a queue that
// stands for a pager has subscribed.
func (s *Server) ready(name string) error {
	arn := func(service, resource string) string {
		return "arn:aws:" + service + ":" + s.cfg.Region + ":" + s.cfg.Account + ":" + resource
	}
	topic, queue := arn("sns", ReadyTopic), arn("sqs", ReadyQueue)
	dimension := func(n, v string) any { return map[string]any{"Name": n, "Value": v} }
	for _, c := range []struct {
		service, op string
		in          map[string]any
	}{
		{wire.SNS, "CreateTopic", map[string]any{"Name": ReadyTopic}},
		{wire.SQS, "CreateQueue", map[string]any{"QueueName": ReadyQueue, "Attributes": map[string]any{
			"Policy": fmt.Sprintf(`{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, queue, topic),
		}}},
		{wire.SNS, "Subscribe", map[string]any{"TopicArn": topic, "Protocol": "sqs", "Endpoint": queue}},
		{wire.CloudWatch, "PutMetricAlarm", map[string]any{
			"AlarmName": name, "Namespace": "AWS/Usage", "MetricName": "ThrottleCount", "Statistic": "Sum", "Period": int64(60), "EvaluationPeriods": int64(1),
			"Threshold": 0.0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
			"AlarmActions": []any{topic}, "OKActions": []any{topic},
			"Dimensions": []any{dimension("Service", service), dimension("Type", "API"), dimension("Resource", "ClientAuthentication"), dimension("Class", "None")},
		}},
	} {
		call := &wire.Call{Service: c.service, Op: c.op, Protocol: wire.JSON, In: wire.NewParams(c.in), Now: s.Now(), Context: context.Background()}
		if _, err := s.ops[c.service][c.op](call); err != nil {
			return fmt.Errorf("alarm %s: %w", name, err)
		}
	}
	return nil
}
