package cloudwatch

import (
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/weir-dev/weir/internal/hit"
	lab "github.com/weir-dev/weir/internal/lab/aws"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/sink"
	"github.com/weir-dev/weir/internal/tally"
)

// TestReadBack sends a run to the stand-in of the lab, which holds callers to
// AWS's limits and throttles, and reads it back as a dashboard does.
func TestReadBack(t *testing.T) {
	t.Parallel()
	script, err := lab.ParseScript("PutMetricData: ok throttle*2 ok*3 error ok throttle")
	if err != nil {
		t.Fatal(err)
	}
	now := started.Add(11 * time.Minute)
	standin, err := lab.New(lab.Config{Clock: func() time.Time { return now }, Script: script})
	if err != nil {
		t.Fatal(err)
	}
	defer standin.Close()
	server := httptest.NewServer(standin)
	defer server.Close()
	set := mini(server.URL)
	set.Flush = 10 * time.Second
	path, w, client := recording(t, set)
	sinks := sink.NewSet(func(string) {}, client.Sink(set, "run1", started))
	rng := rand.New(rand.NewPCG(3, 1))
	var totals tally.Totals
	const seconds = 60
	for i := range seconds {
		k := tickOf(rng, i, 500, "/login")
		totals.Add(k)
		carried, parcels := sinks.Add(k)
		if err := w.AppendWith(k, carried, parcels); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	o, err := runfile.OpenOutbox(path)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if _, err := sinks.Drain(t.Context(), o, 0, nil); err != nil {
		t.Fatal(err)
	}
	list, err := o.Deliveries()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[1].Left() != 0 || list[0].Left() != 0 || list[0].Throttled != 3 || list[0].Failed != 1 || list[0].Calls != 10 {
		t.Errorf("deliveries = %+v, want all of 6 delivered with 3 throttled calls and 1 that failed", list)
	}
	for o := range hit.Outcome(hit.NumOutcomes) {
		sum := totals.Outcome(o)
		if got, ok := ask(t, client, "Requests", "Sum", o); !ok || got != float64(sum.Count) {
			t.Errorf("%v: CloudWatch says %v requests, the report %d", o, got, sum.Count)
		}
		if sum.Count == 0 {
			continue
		}
		if got, _ := ask(t, client, "ResponseTime", "SampleCount", o); got != float64(sum.Response.Count()) {
			t.Errorf("%v: CloudWatch says %v times, the report %d", o, got, sum.Response.Count())
		}
		for stat, q := range map[string]float64{"p50": 0.5, "p95": 0.95, "p99": 0.99, "Maximum": 1, "Minimum": 0} {
			want := millis(sum.Response.Quantile(q))
			if got, _ := ask(t, client, "ResponseTime", stat, o); math.Abs(got-want) > want*0.008 {
				t.Errorf("%v: CloudWatch says %s is %v ms, the report %v ms", o, stat, got, want)
			}
		}
	}
	events, err := client.logs.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String("weir"), LogStreamName: aws.String("run1"), StartFromHead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(events.Events); n != seconds {
		t.Errorf("%d log events, want %d", n, seconds)
	}
}

// ask reads one figure of the whole run.
func ask(t *testing.T, c *Client, metric, stat string, o hit.Outcome) (float64, bool) {
	t.Helper()
	out, err := c.metrics.GetMetricData(t.Context(), &sdk.GetMetricDataInput{
		StartTime: aws.Time(started.Truncate(time.Hour)), EndTime: aws.Time(started.Truncate(time.Hour).Add(time.Hour)),
		MetricDataQueries: []types.MetricDataQuery{{Id: aws.String("q"), MetricStat: &types.MetricStat{
			Period: aws.Int32(3600), Stat: &stat,
			Metric: &types.Metric{Namespace: aws.String("Weir"), MetricName: &metric, Dimensions: []types.Dimension{
				{Name: aws.String("Test"), Value: aws.String("t")}, {Name: aws.String("Outcome"), Value: aws.String(o.String())},
			}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.MetricDataResults) != 1 || len(out.MetricDataResults[0].Values) != 1 {
		return 0, false
	}
	return out.MetricDataResults[0].Values[0], true
}
