package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// Dimension is one name and value of a metric.
type Dimension struct{ Name, Value string }

// Query is one figure: a metric with its statistic, or an expression of metric math.
type Query struct {
	Group, Name, Unit string

	Namespace, Metric string
	Dimensions        []Dimension
	Stat              string // Sum, Average, p99 …
	Period            time.Duration
	PerSecond         bool // the sum of a period is shown as a rate
	Quota             bool // its SERVICE_QUOTA is the limit

	Expression string // instead of a metric: metric math or SELECT …

	// Discover finds the queries that this one stands for. nil: itself.
	Discover func(ctx context.Context, api API) ([]Query, error)
}

func (q *Query) period() time.Duration {
	if q.Period == 0 {
		return time.Minute
	}
	return q.Period
}

// sdk is the query in the words of the SDK: its id is "m" and its number, that of
// its quota "q" and its number.
func (q *Query) sdk(i int, quotas bool) []types.MetricDataQuery {
	id := "m" + strconv.Itoa(i)
	period := int32(q.period() / time.Second)
	if q.Expression != "" {
		return []types.MetricDataQuery{{Id: &id, Expression: &q.Expression, Period: &period}}
	}
	m := &types.Metric{Namespace: &q.Namespace, MetricName: &q.Metric}
	for _, d := range q.Dimensions {
		m.Dimensions = append(m.Dimensions, types.Dimension{Name: aws.String(d.Name), Value: aws.String(d.Value)})
	}
	out := []types.MetricDataQuery{{Id: &id, MetricStat: &types.MetricStat{Metric: m, Period: &period, Stat: &q.Stat}}}
	if q.Quota && quotas {
		out = append(out, types.MetricDataQuery{Id: aws.String("q" + strconv.Itoa(i)), Expression: aws.String("SERVICE_QUOTA(" + id + ")")})
	}
	return out
}

// Parse reads what is to be watched: a preset with what it is for,
//
//	cognito            ecs/CLUSTER/SERVICE      ec2/INSTANCE
//	alb/app/NAME/ID    rds/INSTANCE             sns/TOPIC
//
// or a query of one's own, NAME[UNIT]=STAT NAMESPACE METRIC DIMENSION=VALUE…, or
// NAME[UNIT]=SELECT … or any other expression of metric math in parentheses.
func Parse(text string) ([]Query, error) {
	if name, expr, ok := strings.Cut(text, "="); ok && strings.IndexByte(name+"/", '/') >= strings.IndexByte(name+"[", '[') {
		return parseOwn(name, strings.TrimSpace(expr))
	}
	kind, id, _ := strings.Cut(text, "/")
	parts := strings.Split(id, "/")
	needs := func(n int, form string) error {
		if len(parts) < n || slices.Contains(parts, "") {
			return fmt.Errorf("%q is not complete: write %s", text, form)
		}
		return nil
	}
	switch kind {
	case "cognito":
		if id != "" {
			return nil, errors.New("cognito takes nothing more: CloudWatch counts the calls of all pools of a region together")
		}
		return []Query{{Group: "Cognito", Name: "Cognito", Discover: usage("Cognito")}}, nil
	case "usage":
		if err := needs(1, "usage/SERVICE, such as usage/CloudWatch"); err != nil {
			return nil, err
		}
		return []Query{{Group: id, Name: id, Discover: usage(id)}}, nil
	case "ecs":
		if err := needs(2, "ecs/CLUSTER/SERVICE"); err != nil {
			return nil, err
		}
		d := []Dimension{{"ClusterName", parts[0]}, {"ServiceName", parts[1]}}
		return preset("ECS "+parts[1], "AWS/ECS", d, time.Minute, "CPUUtilization Average % 100", "MemoryUtilization Average % 100"), nil
	case "ec2":
		if err := needs(1, "ec2/INSTANCE"); err != nil {
			return nil, err
		}
		// Five minutes without detailed monitoring; a minute asked for gives what there is.
		return preset("EC2 "+id, "AWS/EC2", []Dimension{{"InstanceId", id}}, time.Minute,
			"CPUUtilization Average %", "NetworkIn Sum bytes/s", "NetworkOut Sum bytes/s", "CPUCreditBalance Average credits"), nil
	case "alb":
		if err := needs(3, "alb/app/NAME/ID, the end of the load balancer's ARN"); err != nil {
			return nil, err
		}
		return preset("ALB "+parts[1], "AWS/ApplicationELB", []Dimension{{"LoadBalancer", id}}, time.Minute,
			"RequestCount Sum /s", "TargetResponseTime p95 s", "HTTPCode_Target_4XX_Count Sum /s", "HTTPCode_Target_5XX_Count Sum /s",
			"HTTPCode_ELB_5XX_Count Sum /s", "RejectedConnectionCount Sum /s", "TargetConnectionErrorCount Sum /s"), nil
	case "rds":
		if err := needs(1, "rds/INSTANCE"); err != nil {
			return nil, err
		}
		return preset("RDS "+id, "AWS/RDS", []Dimension{{"DBInstanceIdentifier", id}}, time.Minute,
			"CPUUtilization Average %", "DatabaseConnections Maximum connections", "FreeableMemory Minimum bytes", "ReadLatency Average s",
			"WriteLatency Average s", "DiskQueueDepth Maximum operations", "BurstBalance Minimum %"), nil
	case "sns":
		if err := needs(1, "sns/TOPIC"); err != nil {
			return nil, err
		}
		return preset("SNS "+id, "AWS/SNS", []Dimension{{"TopicName", id}}, time.Minute,
			"NumberOfMessagesPublished Sum /s", "NumberOfNotificationsDelivered Sum /s", "NumberOfNotificationsFailed Sum /s"), nil
	}
	return nil, fmt.Errorf("%q is not known: cognito, usage/SERVICE, ecs/…, ec2/…, alb/…, rds/…, sns/…, or NAME=STAT NAMESPACE METRIC DIMENSION=VALUE", text)
}

// preset makes queries of "Metric Stat unit"; a unit that ends in /s makes a rate of
// a sum. The figures of one unit share a chart.
func preset(group, namespace string, d []Dimension, period time.Duration, list ...string) []Query {
	var out []Query
	for _, line := range list {
		f := strings.Fields(line)
		q := Query{Namespace: namespace, Metric: f[0], Dimensions: d, Stat: f[1], Unit: f[2], Period: period, Name: f[0], Group: group + ", " + f[2]}
		q.PerSecond = strings.HasSuffix(q.Unit, "/s")
		out = append(out, q)
	}
	return out
}

func parseOwn(name, expr string) ([]Query, error) {
	const form = "write NAME[UNIT]=STAT NAMESPACE METRIC DIMENSION=VALUE, such as 'CPU[%]=Average AWS/EC2 CPUUtilization InstanceId=i-1'"
	unit := ""
	if n, rest, has := strings.Cut(name, "["); has && strings.HasSuffix(rest, "]") {
		name, unit = n, strings.TrimSuffix(rest, "]")
	}
	name = strings.TrimSpace(name)
	if name == "" || expr == "" {
		return nil, errors.New("a query of CloudWatch without name or metric: " + form)
	}
	q := Query{Group: name, Name: name, Unit: unit, Period: time.Minute, PerSecond: strings.HasSuffix(unit, "/s")}
	if strings.HasPrefix(expr, "SELECT ") || strings.HasPrefix(expr, "(") || strings.HasPrefix(expr, "SEARCH(") {
		q.Expression, q.PerSecond = expr, false
		return []Query{q}, nil
	}
	f := strings.Fields(expr)
	if len(f) < 3 {
		return nil, fmt.Errorf("%q has no statistic, namespace and metric: %s", expr, form)
	}
	q.Stat, q.Namespace, q.Metric = f[0], f[1], f[2]
	for _, d := range f[3:] {
		n, v, ok := strings.Cut(d, "=")
		if !ok || n == "" || v == "" {
			return nil, fmt.Errorf("%q is no dimension: %s", d, form)
		}
		q.Dimensions = append(q.Dimensions, Dimension{n, v})
	}
	q.Quota = q.Namespace == "AWS/Usage"
	return []Query{q}, nil
}

// usage discovers how CloudWatch names the calls of a service: which dimensions it
// has, and with which values, differs from page to page of its documentation.
//
// ThrottleCount may not be there before the first call is throttled, so its
// dimensions are those of CallCount.
func usage(service string) func(context.Context, API) ([]Query, error) {
	return func(ctx context.Context, api API) ([]Query, error) {
		var out []Query
		in := &sdk.ListMetricsInput{Namespace: aws.String("AWS/Usage"), MetricName: aws.String("CallCount")}
		for range maxPages {
			page, err := api.ListMetrics(ctx, in)
			if err != nil {
				return nil, err
			}
			for _, m := range page.Metrics {
				var d []Dimension
				ours, resource := false, ""
				for _, x := range m.Dimensions {
					d = append(d, Dimension{aws.ToString(x.Name), aws.ToString(x.Value)})
					switch aws.ToString(x.Name) {
					case "Service":
						ours = strings.Contains(strings.ToLower(aws.ToString(x.Value)), strings.ToLower(service))
					case "Resource":
						resource = aws.ToString(x.Value)
					}
				}
				if !ours || resource == "" {
					continue
				}
				q := Query{
					Group: service + " " + resource, Name: "calls", Unit: "/s", Namespace: "AWS/Usage", Metric: "CallCount", Dimensions: d,
					Stat: "Sum", Period: time.Minute, PerSecond: true, Quota: true,
				}
				out = append(out, q)
				q.Name, q.Metric, q.Quota = "throttled", "ThrottleCount", false
				out = append(out, q)
			}
			if aws.ToString(page.NextToken) == "" {
				break
			}
			in.NextToken = page.NextToken
		}
		return out, nil
	}
}
