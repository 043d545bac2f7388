package cloudwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// bench is a service whose actions are kept.
type bench struct {
	*Service
	sent []string // "state at seconds"
	fail bool
}

func newBench(cfg Config) *bench {
	b := &bench{}
	cfg.Notify = func(arn, subject, message string, at time.Time) error {
		var m struct{ NewStateValue, AlarmName string }
		if err := json.Unmarshal([]byte(message), &m); err != nil {
			return err
		}
		if b.fail {
			return errors.New("no such topic")
		}
		b.sent = append(b.sent, fmt.Sprintf("%s %v", m.NewStateValue, at.Sub(start).Seconds()))
		return nil
	}
	b.Service = New(cfg)
	b.Advance(start)
	return b
}

const topic = "arn:aws:sns:us-east-1:000000000000:oncall"

// alarmOn is an alarm on the sum of Throttled, 1 of 1, that tells everything.
func alarmOn(more fields) fields {
	in := fields{
		"AlarmName": "a", "Namespace": "Weir", "MetricName": "Throttled", "Statistic": "Sum", "Period": int64(60), "EvaluationPeriods": int64(1),
		"Threshold": 0.0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
		"AlarmActions": []any{topic}, "OKActions": []any{topic}, "InsufficientDataActions": []any{topic},
	}
	for k, v := range more {
		if v == nil {
			delete(in, k)
		} else {
			in[k] = v
		}
	}
	return in
}

func (b *bench) throttled(t *testing.T, at time.Duration, n float64) {
	t.Helper()
	put(t, b.Service, start.Add(at), fields{"MetricName": "Throttled", "Value": n})
}

func (b *bench) state(t *testing.T, at time.Duration) string {
	t.Helper()
	return mustAsk(t, b.Service, start.Add(at), "DescribeAlarms", nil)["MetricAlarms"].([]wire.Out)[0]["StateValue"].(string)
}

// TestAlarmLife follows alarms through time: which state, when, and which action.
func TestAlarmLife(t *testing.T) {
	type puts map[int]float64 // second → value
	cases := []struct {
		name  string
		alarm fields
		puts  puts
		cfg   Config
		want  string
	}{
		{"a burst", nil, puts{10: 5}, Config{}, "ALARM 60; OK 240"},
		{"a delay of the metric", nil, puts{10: 5}, Config{NewMetric: 2 * time.Minute}, "OK 60; ALARM 180; OK 240"},
		{"two of three, one period", fields{"EvaluationPeriods": int64(3), "DatapointsToAlarm": int64(2)}, puts{10: 5}, Config{}, "OK 60"},
		{"two of three, two periods", fields{"EvaluationPeriods": int64(3), "DatapointsToAlarm": int64(2)}, puts{10: 5, 130: 5}, Config{}, "OK 60; ALARM 180; OK 360"},
		{"three of three with a gap", fields{"EvaluationPeriods": int64(3)}, puts{10: 5, 70: 5, 190: 5}, Config{}, "OK 60; ALARM 240; OK 360"},
		{"below the threshold", fields{"Threshold": 10.0}, puts{10: 5}, Config{}, "OK 60"},
		{"a period of five minutes slides", fields{"Period": int64(300)}, puts{10: 5}, Config{}, "ALARM 60; OK 960"},
		{"ten seconds", fields{"Period": int64(10)}, puts{10: 5}, Config{}, "OK 10; ALARM 20; OK 40"},
		{"another dimension", fields{"Dimensions": []any{fields{"Name": "x", "Value": "y"}}}, puts{10: 5}, Config{}, "OK 60"},
		{"another unit", fields{"Unit": "Bytes"}, puts{10: 5}, Config{}, "OK 60"},
		{"missing", fields{"TreatMissingData": nil}, puts{10: 5}, Config{}, "ALARM 60; INSUFFICIENT_DATA 240"},
		{"ignore", fields{"TreatMissingData": "ignore"}, puts{10: 5}, Config{}, "ALARM 60"},
		{"breaching", fields{"TreatMissingData": "breaching"}, nil, Config{}, "ALARM 60"},
		{"premature", fields{"TreatMissingData": nil, "EvaluationPeriods": int64(3)}, puts{10: 5}, Config{}, "ALARM 180; INSUFFICIENT_DATA 360"},
		{"less than", fields{"ComparisonOperator": "LessThanThreshold", "Threshold": 3.0}, puts{10: 2, 70: 3}, Config{}, "ALARM 60; OK 120"},
		{"at least", fields{"ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 3.0}, puts{10: 3, 70: 2}, Config{}, "ALARM 60; OK 120"},
		{"at most", fields{"ComparisonOperator": "LessThanOrEqualToThreshold", "Threshold": 2.0}, puts{10: 2, 70: 3}, Config{}, "ALARM 60; OK 120"},
		{"a percentile", fields{"Statistic": nil, "ExtendedStatistic": "p99"}, puts{10: 5}, Config{}, "ALARM 60; OK 240"},
		{"a percentile of few samples", fields{"Statistic": nil, "ExtendedStatistic": "p99", "EvaluateLowSampleCountPercentile": "ignore"}, puts{10: 5}, Config{}, ""},
		{"actions disabled", fields{"ActionsEnabled": false}, puts{10: 5}, Config{}, ""},
		{"no action for OK", fields{"OKActions": nil}, puts{10: 5}, Config{}, "ALARM 60"},
		{"an expression", fields{"MetricName": nil, "Namespace": nil, "Statistic": nil, "Period": nil, "Metrics": []any{
			fields{"Id": "m", "ReturnData": false, "MetricStat": fields{"Metric": fields{"Namespace": "Weir", "MetricName": "Throttled"}, "Period": int64(60), "Stat": "Sum"}},
			fields{"Id": "e", "Expression": "FILL(m, 0) / PERIOD(m)"}}}, puts{10: 5}, Config{}, "ALARM 60; OK 120"},
		{"a broken expression", fields{"MetricName": nil, "Namespace": nil, "Statistic": nil, "Period": nil, "Metrics": []any{
			fields{"Id": "m", "ReturnData": false, "MetricStat": fields{"Metric": fields{"Namespace": "Weir", "MetricName": "Throttled"}, "Period": int64(60), "Stat": "Sum"}},
			fields{"Id": "e", "Expression": "SUM(m)"}}}, puts{10: 5}, Config{}, ""},
	}
	ran := 0
	for _, c := range cases {
		ran++
		b := newBench(c.cfg)
		mustAsk(t, b.Service, start, "PutMetricAlarm", alarmOn(c.alarm))
		for second := 0; second <= 1200; second += 10 {
			if v, ok := c.puts[second]; ok {
				b.throttled(t, time.Duration(second)*time.Second, v)
			}
			b.Advance(start.Add(time.Duration(second) * time.Second))
		}
		if got := strings.Join(b.sent, "; "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if ran != 23 {
		t.Errorf("ran %d cases, want 23", ran)
	}
}

// TestAdvanceInOneStep holds that a clock that leaps comes to the same as one that walks.
func TestAdvanceInOneStep(t *testing.T) {
	b := newBench(Config{})
	mustAsk(t, b.Service, start, "PutMetricAlarm", alarmOn(nil))
	b.throttled(t, 10*time.Second, 5)
	b.Advance(start.Add(20 * time.Minute))
	if got := strings.Join(b.sent, "; "); got != "ALARM 60; OK 240" {
		t.Errorf("%s", got)
	}
}

// TestSilenced holds what keeps an alarm quiet, and what the history says then.
func TestSilenced(t *testing.T) {
	history := func(b *bench, kind string) (out []string) {
		for _, e := range mustAsk(t, b.Service, start.Add(time.Hour), "DescribeAlarmHistory", fields{"AlarmName": "a", "HistoryItemType": kind, "ScanBy": "TimestampAscending"})["AlarmHistoryItems"].([]wire.Out) {
			out = append(out, e["HistorySummary"].(string))
			var data any
			if json.Unmarshal([]byte(e["HistoryData"].(string)), &data) != nil || len(e["HistoryData"].(string)) > 4095 {
				t.Errorf("%s", e["HistoryData"])
			}
		}
		return out
	}
	rule := func(expression, duration string, more fields) fields {
		in := fields{"Name": "r", "Rule": fields{"Schedule": fields{"Expression": expression, "Duration": duration}}, "MuteTargets": fields{"AlarmNames": []any{"a"}}}
		for k, v := range more {
			in[k] = v
		}
		return in
	}
	cases := []struct {
		name string
		rule fields
		sent int
	}{
		{"no rule", nil, 2},
		{"now", rule("at(2026-11-22T09:30)", "PT1H", nil), 0},
		{"over", rule("at(2026-11-22T09:00)", "PT1H", nil), 2},
		{"until the alarm is OK again", rule("at(2026-11-22T10:00)", "PT2M", nil), 1},
		{"another zone", rule("at(2026-11-22T10:00)", "PT1H", fields{"Rule": fields{"Schedule": fields{"Expression": "at(2026-11-22T19:00)", "Duration": "PT1H", "Timezone": "Asia/Tokyo"}}}), 0},
		{"each day", rule("cron(0 9 * * *)", "P1DT2H", nil), 0},
		{"each Sunday", rule("cron(59 9 * * SUN)", "PT30M", nil), 0},
		{"each Monday", rule("cron(59 9 * * MON)", "PT30M", nil), 2},
		{"weekdays of this month", rule("cron(0,30 8-9 20-22 NOV *)", "PT2H", nil), 0},
		{"not yet", rule("at(2026-11-22T09:30)", "PT1H", fields{"StartDate": start.Add(time.Hour)}), 2},
		{"expired", rule("at(2026-11-22T09:30)", "PT1H", fields{"ExpireDate": start}), 2},
		{"of another alarm", rule("at(2026-11-22T09:30)", "PT1H", fields{"MuteTargets": fields{"AlarmNames": []any{"b"}}}), 2},
	}
	for _, c := range cases {
		b := newBench(Config{})
		mustAsk(t, b.Service, start, "PutMetricAlarm", alarmOn(nil))
		if c.rule != nil {
			mustAsk(t, b.Service, start, "PutAlarmMuteRule", c.rule)
		}
		b.throttled(t, 10*time.Second, 5)
		b.Advance(start.Add(20 * time.Minute))
		if len(b.sent) != c.sent {
			t.Errorf("%s: %v, want %d", c.name, b.sent, c.sent)
		}
		if got := history(b, "StateUpdate"); fmt.Sprint(got) != "[Alarm updated from INSUFFICIENT_DATA to ALARM Alarm updated from ALARM to OK]" {
			t.Errorf("%s: %v", c.name, got)
		}
		muted := 0
		for _, text := range history(b, "Action") {
			if strings.Contains(text, "muted") {
				muted++
			}
		}
		if muted != 2-c.sent {
			t.Errorf("%s: %v", c.name, history(b, "Action"))
		}
	}
	if len(cases) != 12 {
		t.Errorf("%d cases", len(cases))
	}
	b := newBench(Config{})
	mustAsk(t, b.Service, start, "PutAlarmMuteRule", rule("at(2026-11-22T09:30)", "PT1H", nil))
	got := mustAsk(t, b.Service, start, "GetAlarmMuteRule", fields{"AlarmMuteRuleName": "r"})
	rules := mustAsk(t, b.Service, start, "ListAlarmMuteRules", fields{"AlarmName": "a", "Statuses": []any{"ACTIVE"}})["AlarmMuteRuleSummaries"].([]wire.Out)
	if got["Status"] != "ACTIVE" || got["MuteType"] != "ONE_TIME" || len(rules) != 1 {
		t.Errorf("%v %v", got, rules)
	}
	if got = mustAsk(t, b.Service, start.Add(time.Hour), "GetAlarmMuteRule", fields{"AlarmMuteRuleName": "r"}); got["Status"] != "EXPIRED" {
		t.Errorf("an hour later %v", got)
	}
	mustAsk(t, b.Service, start, "DeleteAlarmMuteRule", fields{"AlarmMuteRuleName": "r"})
	if _, err := ask(t, b.Service, start, "GetAlarmMuteRule", fields{"AlarmMuteRuleName": "r"}); err == nil {
		t.Error("it is still there")
	}
	for _, bad := range []fields{rule("cron(0 2 * *)", "PT1H", nil), rule("cron(60 2 * * *)", "PT1H", nil), rule("cron(1-x * * * *)", "PT1H", nil), rule("soon", "PT1H", nil), rule("at(2026-13-01T00:00)", "PT1H", nil),
		rule("cron(* * * * *)", "PT59S", nil), rule("cron(* * * * *)", "P16D", nil), rule("cron(* * * * *)", "P", nil)} {
		if _, err := ask(t, b.Service, start, "PutAlarmMuteRule", bad); err == nil || !strings.Contains(err.Error(), "ValidationError") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// TestSetAlarmState is a rehearsal: the actions go out, and the next evaluation takes
// the state back. Updating an alarm does neither.
func TestSetAlarmState(t *testing.T) {
	b := newBench(Config{})
	mustAsk(t, b.Service, start, "PutMetricAlarm", alarmOn(nil))
	b.Advance(start.Add(time.Minute))
	set := fields{"AlarmName": "a", "StateValue": "ALARM", "StateReason": "rehearsal", "StateReasonData": `{"x":1}`}
	mustAsk(t, b.Service, start.Add(70*time.Second), "SetAlarmState", set)
	mustAsk(t, b.Service, start.Add(75*time.Second), "SetAlarmState", set) // no change, no action
	mustAsk(t, b.Service, start.Add(80*time.Second), "PutMetricAlarm", alarmOn(fields{"Threshold": 1.0}))
	if got := b.state(t, 85*time.Second); got != "ALARM" {
		t.Errorf("after the update %s", got)
	}
	if got := b.state(t, 2*time.Minute); got != "OK" {
		t.Errorf("after the evaluation %s", got)
	}
	if got := strings.Join(b.sent, "; "); got != "OK 60; ALARM 70; OK 120" {
		t.Errorf("%s", got)
	}
	b.fail = true
	mustAsk(t, b.Service, start.Add(130*time.Second), "SetAlarmState", set)
	items := mustAsk(t, b.Service, start.Add(131*time.Second), "DescribeAlarmHistory", fields{"HistoryItemType": "Action", "MaxRecords": int64(1)})
	if text := items["AlarmHistoryItems"].([]wire.Out)[0]["HistorySummary"].(string); !strings.Contains(text, "Failed to execute action "+topic) || items["NextToken"] == nil {
		t.Errorf("%s", text)
	}
	for _, bad := range []fields{{"AlarmName": "a", "StateValue": "BAD", "StateReason": ""}, {"AlarmName": "a", "StateValue": "OK"}, {"AlarmName": "b", "StateValue": "OK", "StateReason": ""},
		{"AlarmName": "a", "StateValue": "OK", "StateReason": "", "StateReasonData": "no"}} {
		if _, err := ask(t, b.Service, start.Add(132*time.Second), "SetAlarmState", bad); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
	mustAsk(t, b.Service, start.Add(140*time.Second), "DisableAlarmActions", fields{"AlarmNames": []any{"a"}})
	alarm := mustAsk(t, b.Service, start.Add(140*time.Second), "DescribeAlarms", fields{"AlarmNamePrefix": "a", "StateValue": "ALARM"})["MetricAlarms"].([]wire.Out)
	if len(alarm) != 1 || alarm[0]["ActionsEnabled"] != false {
		t.Errorf("%v", alarm)
	}
	mustAsk(t, b.Service, start.Add(150*time.Second), "DeleteAlarms", fields{"AlarmNames": []any{"a", "not there"}})
	if left := mustAsk(t, b.Service, start.Add(150*time.Second), "DescribeAlarms", nil)["MetricAlarms"].([]wire.Out); len(left) != 0 {
		t.Errorf("%v", left)
	}
}

// TestAlarmRefused holds what PutMetricAlarm does not take.
func TestAlarmRefused(t *testing.T) {
	arns := times(6, topic)
	cases := map[string]fields{
		"AlarmName": {"AlarmName": nil}, "EvaluationPeriods": {"EvaluationPeriods": int64(0)}, "Threshold": {"Threshold": nil}, "ComparisonOperator": {"ComparisonOperator": "Above"},
		"Period": {"Period": int64(45)}, "a day": {"EvaluationPeriods": int64(1441)}, "DatapointsToAlarm": {"DatapointsToAlarm": int64(2)}, "TreatMissingData": {"TreatMissingData": "maybe"},
		"at most 5": {"AlarmActions": arns}, "arn syntax": {"AlarmActions": []any{"topic"}}, "MetricName or Metrics": {"MetricName": nil}, "Statistic or": {"Statistic": nil}, "mutually": {"ExtendedStatistic": "p99"},
		"together": {"Metrics": []any{}}, "unit": {"Unit": "Parsec"}, "Namespace": {"Namespace": nil}, "Sums": {"Statistic": "Sums"}, "p99": {"Statistic": "p99"}, "evaluate or ignore": {"EvaluateLowSampleCountPercentile": "x"},
	}
	for want, more := range cases {
		s := New(Config{})
		var e *wire.Error
		if _, err := ask(t, s, start, "PutMetricAlarm", alarmOn(more)); !errors.As(err, &e) || e.Status != 400 || !strings.Contains(err.Error(), want) || len(s.alarms) != 0 {
			t.Errorf("%v: %v, want %q", more, err, want)
		}
	}
	if len(cases) != 19 {
		t.Errorf("%d cases", len(cases))
	}
	for _, n := range []int64{1440, 1} {
		if _, err := ask(t, New(Config{}), start, "PutMetricAlarm", alarmOn(fields{"EvaluationPeriods": n})); err != nil {
			t.Errorf("%d periods: %v", n, err)
		}
	}
}
