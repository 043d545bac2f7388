package cloudwatch

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// start is on a minute.
var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

type fields = map[string]any

// ask calls an operation at an instant.
func ask(t *testing.T, s *Service, at time.Time, op string, in fields) (wire.Out, error) {
	t.Helper()
	s.Advance(at)
	return s.Ops()[op](&wire.Call{Service: wire.CloudWatch, Op: op, In: wire.NewParams(in), Now: at})
}

func mustAsk(t *testing.T, s *Service, at time.Time, op string, in fields) wire.Out {
	t.Helper()
	out, err := ask(t, s, at, op, in)
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	return out
}

func put(t *testing.T, s *Service, at time.Time, data ...any) {
	t.Helper()
	mustAsk(t, s, at, "PutMetricData", fields{"Namespace": "Weir", "MetricData": data})
}

func times(n int, v any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// TestPutLimits holds every limit of PutMetricData on both sides, and its code.
func TestPutLimits(t *testing.T) {
	datum := func(more fields) []any {
		d := fields{"MetricName": "m", "Value": 1.0}
		for k, v := range more {
			if v == nil {
				delete(d, k)
			} else {
				d[k] = v
			}
		}
		return []any{d}
	}
	dimensions := func(n int) []any {
		var out []any
		for i := range n {
			out = append(out, fields{"Name": fmt.Sprint("d", i), "Value": "x"})
		}
		return out
	}
	stats := func(n, sum, low, high float64) fields {
		return fields{"SampleCount": n, "Sum": sum, "Minimum": low, "Maximum": high}
	}
	now := start
	const value, combined, absent = "InvalidParameterValue", "InvalidParameterCombination", "MissingParameter"
	cases := []struct {
		name, namespace string
		data            []any
		code            string // "" is taken
	}{
		{"one", "Weir", datum(nil), ""},
		{"1000 data", "Weir", times(1000, datum(nil)[0]), ""},
		{"1001 data", "Weir", times(1001, datum(nil)[0]), value},
		{"none", "Weir", nil, absent},
		{"no namespace", "", datum(nil), absent},
		{"a namespace of AWS", "AWS/EC2", datum(nil), value},
		{"a namespace that begins like AWS's", "AWSome", datum(nil), ""},
		{"a colon in front", ":Weir", datum(nil), value},
		{"255 characters", strings.Repeat("n", 255), datum(nil), ""},
		{"256 characters", strings.Repeat("n", 256), datum(nil), value},
		{"control character", "We\tir", datum(nil), value},
		{"no name", "Weir", datum(fields{"MetricName": nil}), absent},
		{"long name", "Weir", datum(fields{"MetricName": strings.Repeat("n", 256)}), value},
		{"150 values", "Weir", datum(fields{"Value": nil, "Values": times(150, 1.0)}), ""},
		{"151 values", "Weir", datum(fields{"Value": nil, "Values": times(151, 1.0)}), value},
		{"counts of another length", "Weir", datum(fields{"Value": nil, "Values": times(2, 1.0), "Counts": times(1, 1.0)}), value},
		{"a count of 0", "Weir", datum(fields{"Value": nil, "Values": times(1, 1.0), "Counts": times(1, 0.0)}), value},
		{"no value", "Weir", datum(fields{"Value": nil}), combined},
		{"value and values", "Weir", datum(fields{"Values": times(1, 1.0)}), combined},
		{"statistics", "Weir", datum(fields{"Value": nil, "StatisticValues": stats(2, 3, 1, 2)}), ""},
		{"statistics and values, as the CloudWatch agent", "Weir", datum(fields{"Value": nil, "StatisticValues": stats(2, 3, 1, 2), "Values": times(1, 1.5)}), ""},
		{"value and statistics", "Weir", datum(fields{"StatisticValues": stats(2, 3, 1, 2)}), combined},
		{"statistics of nothing", "Weir", datum(fields{"Value": nil, "StatisticValues": stats(0, 0, 0, 0)}), value},
		{"minimum above maximum", "Weir", datum(fields{"Value": nil, "StatisticValues": stats(2, 3, 2, 1)}), value},
		{"half of the statistics", "Weir", datum(fields{"Value": nil, "StatisticValues": fields{"Sum": 1.0}}), absent},
		{"30 dimensions", "Weir", datum(fields{"Dimensions": dimensions(30)}), ""},
		{"31 dimensions", "Weir", datum(fields{"Dimensions": dimensions(31)}), value},
		{"a dimension twice", "Weir", datum(fields{"Dimensions": append(dimensions(1), dimensions(1)...)}), value},
		{"an empty dimension", "Weir", datum(fields{"Dimensions": []any{fields{"Name": "a", "Value": ""}}}), absent},
		{"two weeks ago", "Weir", datum(fields{"Timestamp": now.Add(-14 * 24 * time.Hour)}), ""},
		{"older", "Weir", datum(fields{"Timestamp": now.Add(-14*24*time.Hour - time.Second)}), value},
		{"in two hours", "Weir", datum(fields{"Timestamp": now.Add(2 * time.Hour)}), ""},
		{"later", "Weir", datum(fields{"Timestamp": now.Add(2*time.Hour + time.Second)}), value},
		{"2^360", "Weir", datum(fields{"Value": math.Ldexp(1, 360)}), ""},
		{"above 2^360", "Weir", datum(fields{"Value": math.Ldexp(1.001, 360)}), value},
		{"below -2^360", "Weir", datum(fields{"Value": -math.Ldexp(1.001, 360)}), value},
		{"NaN", "Weir", datum(fields{"Value": math.NaN()}), value},
		{"infinite", "Weir", datum(fields{"Value": math.Inf(1)}), value},
		{"NaN as text", "Weir", datum(fields{"Value": "NaN"}), value},
		{"a text for a number", "Weir", datum(fields{"Value": "many"}), "SerializationException"},
		{"unit", "Weir", datum(fields{"Unit": "Count/Second"}), ""},
		{"no such unit", "Weir", datum(fields{"Unit": "Parsecs"}), value},
		{"resolution 1", "Weir", datum(fields{"StorageResolution": int64(1)}), ""},
		{"resolution 10", "Weir", datum(fields{"StorageResolution": int64(10)}), value},
	}
	ran := 0
	for _, c := range cases {
		ran++
		s := New(Config{})
		_, err := ask(t, s, now, "PutMetricData", fields{"Namespace": c.namespace, "MetricData": c.data})
		var e *wire.Error
		errors.As(err, &e)
		if (err == nil) != (c.code == "") || e != nil && (e.Code != c.code || e.Status != 400) {
			t.Errorf("%s: %v, want %q", c.name, err, c.code)
		}
		if err != nil && len(s.series) != 0 {
			t.Errorf("%s: refused, and something was stored", c.name)
		}
	}
	if ran != 44 {
		t.Errorf("ran %d cases, want 44", ran)
	}
	s := New(Config{})
	call := &wire.Call{Service: wire.CloudWatch, In: wire.NewParams(fields{"Namespace": "Weir", "MetricData": datum(nil)}), Now: now, Bytes: 1_000_001}
	var e *wire.Error
	if _, err := s.Ops()["PutMetricData"](call); !errors.As(err, &e) || e.Status != 413 || e.Code != "RequestEntityTooLarge" {
		t.Errorf("more than 1 MB: %v", err)
	}
}

// values reads one query over the ten minutes from start.
func values(t *testing.T, s *Service, at time.Time, queries ...any) map[string]string {
	t.Helper()
	out := mustAsk(t, s, at, "GetMetricData", fields{"StartTime": start, "EndTime": start.Add(10 * time.Minute), "ScanBy": "TimestampAscending", "MetricDataQueries": queries})
	got := map[string]string{}
	for _, r := range out["MetricDataResults"].([]wire.Out) {
		text := ""
		for i, v := range r["Values"].([]float64) {
			text += fmt.Sprintf("%v:%v ", r["Timestamps"].([]time.Time)[i].Sub(start).Seconds(), v)
		}
		got[r["Id"].(string)] += strings.TrimSpace(text)
	}
	return got
}

func stat(id, metric, stat string, period int64) fields {
	return fields{"Id": id, "MetricStat": fields{"Metric": fields{"Namespace": "Weir", "MetricName": metric}, "Period": period, "Stat": stat}}
}

func expr(id, text string) fields { return fields{"Id": id, "Expression": text} }

// TestVisibility holds the delays: of points, of new metrics, of the list.
func TestVisibility(t *testing.T) {
	s := New(Config{MetricDelay: 10 * time.Second, NewMetric: time.Minute, Listed: 15 * time.Minute, LatePoints: true})
	put(t, s, start, fields{"MetricName": "m", "Value": 1.0})
	read := func(after time.Duration) string {
		return values(t, s, start.Add(after), stat("q", "m", "Sum", 60))["q"]
	}
	if got := read(59 * time.Second); got != "" {
		t.Errorf("a new metric after 59 s: %q", got)
	}
	if got := read(time.Minute); got != "0:1" {
		t.Errorf("a new metric after a minute: %q", got)
	}
	put(t, s, start.Add(2*time.Minute), fields{"MetricName": "m", "Value": 2.0})
	if got := read(2*time.Minute + 9*time.Second); got != "0:1" {
		t.Errorf("9 s later: %q", got)
	}
	if got := read(2*time.Minute + 10*time.Second); got != "0:1 120:2" {
		t.Errorf("10 s later: %q", got)
	}
	put(t, s, start.Add(4*time.Hour), fields{"MetricName": "m", "Value": 4.0, "Timestamp": start.Add(5 * time.Minute)})
	if got := read(6*time.Hour - time.Second); got != "0:1 120:2" {
		t.Errorf("a late point too early: %q", got)
	}
	if got := read(6 * time.Hour); got != "0:1 120:2 300:4" {
		t.Errorf("a late point: %q", got)
	}
	listed := func(after time.Duration, active string) int {
		return len(mustAsk(t, s, start.Add(after), "ListMetrics", fields{"RecentlyActive": active})["Metrics"].([]wire.Out))
	}
	for _, c := range []struct {
		after  time.Duration
		active string
		want   int
	}{{14 * time.Minute, "", 0}, {15 * time.Minute, "", 1}, {7 * time.Hour, "PT3H", 1}, {7*time.Hour + time.Second, "PT3H", 0}, {14 * 24 * time.Hour, "", 1}, {15 * 24 * time.Hour, "", 0}} {
		if got := listed(c.after, c.active); got != c.want {
			t.Errorf("listed after %v %q: %d, want %d", c.after, c.active, got, c.want)
		}
	}
}

// TestPercentiles holds the rule for statistic sets, and the retention of seconds.
func TestPercentiles(t *testing.T) {
	s := New(Config{})
	set := func(name string, n, sum, low, high float64) fields {
		return fields{"MetricName": name, "StatisticValues": fields{"SampleCount": n, "Sum": sum, "Minimum": low, "Maximum": high}}
	}
	put(t, s, start, set("opaque", 3, 6, 1, 3), set("single", 1, 5, 5, 5), set("equal", 4, 20, 5, 5), set("mixed", 3, 6, 1, 3), fields{"MetricName": "mixed", "Value": 1.0},
		fields{"MetricName": "negative", "Values": []any{-1.0, 2.0}},
		fields{"MetricName": "both", "Values": []any{1.5, 2.5}, "Counts": []any{9.0, 1.0}, "StatisticValues": fields{"SampleCount": 10.0, "Sum": 16.7, "Minimum": 1.4, "Maximum": 2.6}},
		fields{"MetricName": "fine", "Value": 1.0, "StorageResolution": int64(1), "Timestamp": start.Add(7 * time.Second)})
	got := values(t, s, start.Add(time.Minute), stat("a", "opaque", "p50", 60), stat("b", "single", "p50", 60), stat("c", "equal", "p99", 60), stat("d", "negative", "p50", 60),
		stat("e", "both", "p90", 60), stat("f", "both", "Sum", 60), stat("g", "both", "Maximum", 60), stat("h", "fine", "Sum", 1), stat("i", "opaque", "Sum", 1), stat("j", "both", "p91", 60), stat("k", "both", "tm90", 60), stat("l", "mixed", "p50", 60))
	want := map[string]string{"a": "", "b": "0:5", "c": "0:5", "d": "", "e": "0:1.5", "f": "0:16.7", "g": "0:2.6", "h": "7:1", "i": "0:6", "j": "0:2.5", "k": "0:1.5", "l": ""}
	for id, w := range want {
		if got[id] != w {
			t.Errorf("%s: %q, want %q", id, got[id], w)
		}
	}
	// Seconds are kept for three hours, minutes for longer.
	got = values(t, s, start.Add(3*time.Hour+time.Minute), stat("h", "fine", "Sum", 1), stat("m", "fine", "Sum", 60))
	if got["h"] != "" || got["m"] != "0:1" {
		t.Errorf("after three hours: %v", got)
	}
}

// TestMath is metric math by example; the first of each pair is the expression.
func TestMath(t *testing.T) {
	s := New(Config{Quotas: map[string]float64{"ClientAuthentication": 120}})
	for i, v := range []float64{6, 0, 12} {
		put(t, s, start, fields{"MetricName": "a", "Value": v, "Timestamp": start.Add(time.Duration(i) * time.Minute)})
	}
	put(t, s, start, fields{"MetricName": "b", "Value": 3.0}, fields{"MetricName": "b", "Value": 4.0, "Timestamp": start.Add(2 * time.Minute)})
	usage := []Dimension{{"Service", "Cognito user pool"}, {"Type", "API"}, {"Resource", "ClientAuthentication"}, {"Class", "None"}}
	if err := s.Put("AWS/Usage", []Datum{{Metric: "CallCount", Dimensions: usage, At: start, Values: []float64{3600}, Counts: []float64{1}}}, start); err != nil {
		t.Fatal(err)
	}
	var dims []any
	for _, d := range usage {
		dims = append(dims, fields{"Name": d.Name, "Value": d.Value})
	}
	calls := fields{"Id": "calls", "MetricStat": fields{"Metric": fields{"Namespace": "AWS/Usage", "MetricName": "CallCount", "Dimensions": dims}, "Period": int64(60), "Stat": "Sum"}}
	queries := []any{stat("a", "a", "Sum", 60), stat("b", "b", "Sum", 60), calls}
	const all = "error" // an error whose code is ValidationError
	cases := []struct{ text, want string }{
		{"a + b", "0:9 120:16"}, {"a - b * 2", "0:0 120:4"}, {"(a - b) * 2", "0:6 120:16"}, {"b / a", "0:0.5 120:0.3333333333333333"}, {"-a", "0:-6 60:-0 120:-12"},
		{"b ^ 2", "0:9 120:16"}, {"a > 5", "0:1 60:0 120:1"}, {"a > 5 && b >= 4", "0:0 120:1"}, {"FILL(b, 0) + 1", "0:4 60:1 120:5 180:1 240:1 300:1 360:1 420:1 480:1 540:1"},
		{"FILL(b, REPEAT) * IF(a >= 0, 1)", "0:3 60:3 120:4"}, {"SUM([a, b])", "0:9 60:0 120:16"}, {"SUM(METRICS()) - calls", "0:9"}, {"a / SUM(a)", "0:0.3333333333333333 60:0 120:0.6666666666666666"},
		{"MAX([a, b])", "0:6 60:0 120:12"}, {"AVG([a, b])", "0:4.5 60:0 120:8"}, {"DIFF(a)", "60:-6 120:12"}, {"RATE(b)", "120:0.008333333333333333"}, {"RUNNING_SUM(b) * IF(b > 0, 1)", "0:3 120:7"},
		{"IF(a > 5, a, 1)", "0:6 60:1 120:12"}, {"CEIL(a / PERIOD(a))", "0:1 60:0 120:1"}, {"calls / PERIOD(calls) / SERVICE_QUOTA(calls) * 100", "0:50"}, {"SERVICE_QUOTA(calls) * IF(calls > 0, 1)", "0:120"},
		{"SERVICE_QUOTA(a)", all}, {"SUM(a)", all}, {"c", all}, {"a +", all}, {"(a", all}, {"a b", all}, {"NOPE(a)", all}, {"e", all}, {"\"text\"", all}, {"1e999", all}, {strings.Repeat("(", 1000) + "a", all},
		{strings.Repeat("-", 1000) + "a", all}, {"", all}, {"[a, b", all}, {"a / 0", ""},
	}
	ran := 0
	for _, c := range cases {
		ran++
		in := append(append([]any{}, queries...), expr("e", c.text))
		_, err := ask(t, s, start.Add(10*time.Minute), "GetMetricData", fields{"StartTime": start, "EndTime": start.Add(10 * time.Minute), "MetricDataQueries": in})
		if c.want == all {
			var e *wire.Error
			if !errors.As(err, &e) || e.Code != "ValidationError" {
				t.Errorf("%.60s: %v, want a ValidationError", c.text, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := values(t, s, start.Add(10*time.Minute), in...)["e"]; got != c.want {
			t.Errorf("%s = %q, want %q", c.text, got, c.want)
		}
	}
	if ran != 37 {
		t.Errorf("ran %d cases, want 37", ran)
	}
}

// FuzzMath holds that no expression makes it panic or run for long.
func FuzzMath(f *testing.F) {
	for _, text := range []string{"a+b", "SUM(METRICS())", "IF(a>1,a,b)", "FILL(a,REPEAT)", "[a,b]*2", "-(-a)^2", "RATE(a)/PERIOD(a)", "\"x\"", "e", "METRICS(\"a\")"} {
		f.Add(text)
	}
	s := New(Config{})
	if err := s.Put("Weir", []Datum{{Metric: "a", Values: []float64{1}, Counts: []float64{1}}, {Metric: "b", Values: []float64{1}, Counts: []float64{1}}}, start); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := ask(t, s, start.Add(time.Minute), "GetMetricData", fields{"StartTime": start, "EndTime": start.Add(10 * time.Minute),
			"MetricDataQueries": []any{stat("a", "a", "Sum", 60), stat("b", "b", "Sum", 60), expr("e", text)}})
		var e *wire.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
	})
}

// TestPages holds that the pages of a reading call add up to all of it.
func TestPages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := New(Config{})
		minutes := rapid.IntRange(0, 20).Draw(rt, "minutes")
		for i := range minutes {
			for _, name := range []string{"a", "b"} {
				put(t, s, start, fields{"MetricName": name, "Value": float64(i), "Timestamp": start.Add(time.Duration(i) * time.Minute)})
			}
		}
		size := rapid.IntRange(1, 50).Draw(rt, "size")
		in := fields{"StartTime": start, "EndTime": start.Add(time.Hour), "MaxDatapoints": int64(size), "MetricDataQueries": []any{stat("a", "a", "Sum", 60), stat("b", "b", "Sum", 60)}}
		seen, pages := 0, 0
		for {
			out := mustAsk(t, s, start.Add(time.Hour), "GetMetricData", in)
			pages++
			n := 0
			for _, r := range out["MetricDataResults"].([]wire.Out) {
				n += len(r["Values"].([]float64))
			}
			if n > size {
				rt.Fatalf("a page of %d has %d", size, n)
			}
			seen += n
			next, more := out["NextToken"]
			if !more {
				break
			}
			in["NextToken"] = next
			if pages > 100 {
				rt.Fatal("no end")
			}
		}
		if seen != 2*minutes {
			rt.Fatalf("%d of %d points in %d pages of %d", seen, 2*minutes, pages, size)
		}
	})
	s := New(Config{})
	if _, err := ask(t, s, start, "ListMetrics", fields{"NextToken": "nonsense"}); err == nil || !strings.Contains(err.Error(), "InvalidNextToken") {
		t.Errorf("a token of nobody: %v", err)
	}
}
