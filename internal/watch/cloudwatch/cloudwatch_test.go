package cloudwatch

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/watch"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fake is an account whose metrics have one series, by metric name.
type fake struct {
	series  map[string]map[time.Time]float64
	metrics []types.Metric
	quota   float64
	asked   []*sdk.GetMetricDataInput
	err     error
}

func (f *fake) GetMetricData(_ context.Context, in *sdk.GetMetricDataInput, _ ...func(*sdk.Options)) (*sdk.GetMetricDataOutput, error) {
	f.asked = append(f.asked, in)
	if f.err != nil {
		return nil, f.err
	}
	out := &sdk.GetMetricDataOutput{}
	for _, q := range in.MetricDataQueries {
		r := types.MetricDataResult{Id: q.Id, StatusCode: types.StatusCodeComplete}
		switch {
		case strings.HasPrefix(aws.ToString(q.Expression), "SERVICE_QUOTA"):
			if f.quota == 0 {
				return nil, &smithy.GenericAPIError{Code: "ValidationError", Message: "no quota"}
			}
			r.Timestamps, r.Values = []time.Time{noon}, []float64{f.quota}
		case q.MetricStat != nil:
			for at := *in.StartTime; at.Before(*in.EndTime); at = at.Add(time.Minute) {
				if v, ok := f.series[*q.MetricStat.Metric.MetricName][at]; ok {
					r.Timestamps, r.Values = append(r.Timestamps, at), append(r.Values, v)
				}
			}
		}
		out.MetricDataResults = append(out.MetricDataResults, r)
	}
	return out, nil
}

func (f *fake) ListMetrics(context.Context, *sdk.ListMetricsInput, ...func(*sdk.Options)) (*sdk.ListMetricsOutput, error) {
	return &sdk.ListMetricsOutput{Metrics: f.metrics}, nil
}

// at is a source whose clock is at a variable.
func source(t *testing.T, f *fake, now *time.Time, texts ...string) *Source {
	t.Helper()
	var queries []Query
	for _, text := range texts {
		list, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		queries = append(queries, list...)
	}
	s, err := New("CloudWatch", f, queries)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return *now }
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLatePointsTakeTheirPlace: what changes is read again, and the run file has it once.
func TestLatePointsTakeTheirPlace(t *testing.T) {
	f := &fake{series: map[string]map[time.Time]float64{"CPUUtilization": {noon.Add(-5 * time.Minute): 99}}}
	now := noon.Add(20 * time.Second)
	s := source(t, f, &now, "CPU[%]=Average AWS/EC2 CPUUtilization InstanceId=i-1")
	sample := func(after time.Duration) []watch.Point {
		t.Helper()
		now = now.Add(after)
		out, err := s.Sample(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return out.Points
	}
	if got := sample(0); len(got) != 0 {
		t.Errorf("before the run: %+v, want nothing", got)
	}
	calls := len(f.asked)
	for range 59 {
		if got := sample(time.Second); len(got) != 0 {
			t.Errorf("within the minute: %+v", got)
		}
	}
	if len(f.asked) != calls {
		t.Errorf("asked %d times within a minute", len(f.asked)-calls)
	}
	f.series["CPUUtilization"][noon] = 10
	first := sample(time.Second)
	f.series["CPUUtilization"][noon] = 12
	f.series["CPUUtilization"][noon.Add(time.Minute)] = 50
	second := sample(time.Minute)
	if third := sample(time.Minute); len(third) != 0 {
		t.Errorf("nothing has changed: %+v", third)
	}
	point := func(at time.Time, v float64, corrects bool) watch.Point {
		return watch.Point{Time: at, Watched: tally.Watched{Group: "CPU", Name: "CPU", Unit: "%", Value: v, Corrects: corrects}}
	}
	if diff := cmp.Diff([]watch.Point{point(noon, 10, false)}, first); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]watch.Point{point(noon, 12, true), point(noon.Add(time.Minute), 50, false)}, second); diff != "" {
		t.Errorf("second (-want +got):\n%s", diff)
	}
	for _, in := range f.asked {
		if in.StartTime.Second() != 0 || in.EndTime.Second() != 0 || in.EndTime.Sub(*in.StartTime) != window+time.Minute {
			t.Errorf("asked from %v to %v, want whole minutes", in.StartTime, in.EndTime)
		}
	}

	path := filepath.Join(t.TempDir(), "r.weir")
	w, err := runfile.Create(path, runfile.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Append(&tally.Tick{Length: time.Second}); err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]watch.Point{first, second} {
		for _, p := range list {
			p.At, p.Source = p.Time.Sub(noon), "CloudWatch"
			if err := w.AddWatched(0, []tally.Watched{p.Watched}); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, err := runfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []float64
	for k, err := range r.Ticks() {
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range k.Watched {
			got = append(got, v.Value)
		}
	}
	if diff := cmp.Diff([]float64{12, 50}, got); diff != "" {
		t.Errorf("in the run file (-want +got):\n%s", diff)
	}
}

// TestCognito: the names of the dimensions are those that the account has, the
// throttled calls have those of the calls, and the quota is the limit.
func TestCognito(t *testing.T) {
	dims := func(service, resource, class string) []types.Dimension {
		return []types.Dimension{
			{Name: aws.String("Service"), Value: &service}, {Name: aws.String("Type"), Value: aws.String("API")},
			{Name: aws.String("Resource"), Value: &resource}, {Name: aws.String("Class"), Value: &class},
		}
	}
	f := &fake{
		quota: 150,
		metrics: []types.Metric{
			{Dimensions: dims("CloudWatch", "PutMetricData", "None")},
			{Dimensions: dims("Amazon Cognito user pool", "ClientAuthentication", "None")},
			{Dimensions: dims("cognito-idp", "UserAuthentication", "")},
		},
		series: map[string]map[time.Time]float64{"CallCount": {noon: 9000}, "ThrottleCount": {noon: 60}},
	}
	now := noon.Add(time.Second)
	s := source(t, f, &now, "cognito")
	if s.Figures() != 6 {
		t.Errorf("%d figures, want calls, throttled and quota of two categories", s.Figures())
	}
	out, err := s.Sample(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range out.Points {
		got = append(got, fmt.Sprintf("%s %s %v%s of %v %s", p.Group, p.Name, p.Value, p.Unit, p.Limit, p.LimitName))
	}
	want := []string{
		"Cognito ClientAuthentication calls 150/s of 150 service quota", "Cognito ClientAuthentication throttled 1/s of 0 ",
		"Cognito UserAuthentication calls 150/s of 150 service quota", "Cognito UserAuthentication throttled 1/s of 0 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
	in := f.asked[len(f.asked)-1]
	if n := len(in.MetricDataQueries); n != 6 {
		t.Errorf("one call with %d queries, want 6", n)
	}
	if got := len(in.MetricDataQueries[2].MetricStat.Metric.Dimensions); got != 4 {
		t.Errorf("ThrottleCount is asked for with %d dimensions, want the 4 of CallCount", got)
	}

	f.quota = 0 // Service Quotas knows none
	s = source(t, f, &now, "cognito")
	if s.Figures() != 4 {
		t.Errorf("%d figures without quotas, want 4", s.Figures())
	}
	f.metrics = nil
	q, _ := Parse("cognito")
	empty, err := New("CloudWatch", f, q)
	if err != nil {
		t.Fatal(err)
	}
	if err := empty.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "none of the metrics") {
		t.Errorf("Check without metrics: %v", err)
	}
}

func TestOutage(t *testing.T) {
	f, now := &fake{series: map[string]map[time.Time]float64{}}, noon
	s := source(t, f, &now, "sns/alerts")
	f.err = &smithy.GenericAPIError{Code: "AccessDenied", Message: "no\nright"}
	if _, err := s.Sample(t.Context()); err == nil || err.Error() != "AccessDenied: no right" {
		t.Errorf("Sample: %v", err)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]int{
		"cognito": 1, "usage/CloudWatch": 1, "ecs/c/s": 2, "ec2/i-1": 4, "alb/app/n/1": 7, "rds/db": 7, "sns/t": 3,
		"CPU[%]=Average AWS/EC2 CPUUtilization InstanceId=i-1": 1, "calls[/s]=Sum AWS/Usage CallCount Service=x": 1, "x=Sum N M": 1,
		"q=SELECT SUM(Requests) FROM SCHEMA(\"Weir\", Test)": 1, "q=(m1 / 2)": 1,
	} {
		got, err := Parse(text)
		if err != nil || len(got) != want {
			t.Errorf("Parse(%q) = %d queries, %v, want %d", text, len(got), err, want)
		}
	}
	for _, text := range []string{"", "ecs", "ecs/c", "ecs//s", "alb/app/n", "lambda/x", "cognito/pool", "=Sum N M", "x=", "x=Sum N", "x=Sum N M D", "x=Sum N M =v"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("ecs/c/s")
	f.Add("calls[/s]=Sum AWS/Usage CallCount Service=x")
	f.Add("[=]")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse(text)
		if err == nil && len(list) == 0 {
			t.Errorf("Parse(%q) gave nothing and no error", text)
		}
		for i := range list {
			if list[i].Discover == nil {
				list[i].sdk(i, true)
			}
		}
	})
}
