package cloudwatch

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// event is an entry of an alarm's history.
type event struct {
	at                         time.Time
	alarm, kind, summary, data string
}

// maxHistoryData is how long HistoryData may be (API reference, AlarmHistoryItem).
const maxHistoryData = 4095

func (s *Service) record(at time.Time, alarm, kind, summary string, data map[string]any) {
	text := "{}"
	if data != nil {
		b, _ := json.Marshal(data) // numbers and texts
		if len(b) > maxHistoryData && data["publishedMessage"] != nil {
			delete(data, "publishedMessage")
			b, _ = json.Marshal(data)
		}
		if text = string(b); len(b) > maxHistoryData {
			text = `{"version":"1.0","shortened":true}`
		}
	}
	s.history = append(s.history, event{at, alarm, kind, clip(summary, 255), text})
	if len(s.history) > maxHistory {
		s.history = slices.Delete(s.history, 0, maxHistory/10)
	}
}

// change sets a state and carries out the actions of a change. Setting the state
// that there is, as SetAlarmState can, updates the reason and does nothing else.
func (s *Service) change(a *alarm, to state, reason, data string, at time.Time) {
	from := a.state
	oldReason, oldData := a.reason, a.reasonData
	a.state, a.reason, a.reasonData, a.updated = to, reason, data, at
	if from == to {
		return
	}
	a.changed = at
	side := func(st state, reason, data string) map[string]any {
		out := map[string]any{"stateValue": string(st), "stateReason": reason}
		if data != "" && isObject(data) {
			out["stateReasonData"] = json.RawMessage(data)
		}
		return out
	}
	s.record(at, a.name, "StateUpdate", "Alarm updated from "+string(from)+" to "+string(to), map[string]any{
		"version": "1.0", "oldState": side(from, oldReason, oldData), "newState": side(to, reason, data),
	})
	if !a.actionsEnabled || len(a.actions[to]) == 0 {
		return
	}
	if rule := s.mutedBy(a.name, at); rule != "" {
		// How the history words this is not documented.
		s.record(at, a.name, "Action", "Actions were muted by the alarm mute rule "+rule, map[string]any{"actionState": "Muted", "muteRule": rule})
		return
	}
	message := s.message(a, from, at)
	for _, arn := range a.actions[to] {
		err := s.cfg.Notify(arn, clip(string(to)+`: "`+a.name+`" in `+regionName(s.cfg.Region), 100), message, at)
		summary, state, why := "Successfully executed action "+arn, "Succeeded", ""
		if err != nil {
			summary, state, why = "Failed to execute action "+arn+". Received error: \""+err.Error()+"\"", "Failed", err.Error()
		}
		s.record(at, a.name, "Action", summary, map[string]any{
			"actionState": state, "stateUpdateTimestamp": at.UnixMilli(), "notificationResource": arn,
			"publishedMessage": json.RawMessage(message), "error": why,
		})
	}
}

// message is the JSON that SNS is given (user guide, "Notifying users on alarm
// changes"; an example of it in LocalStack's tests, read 2026-11).
func (s *Service) message(a *alarm, from state, at time.Time) string {
	trigger := map[string]any{
		"Period": a.period, "EvaluationPeriods": a.n, "DatapointsToAlarm": a.m, "ComparisonOperator": a.comparison,
		"Threshold": a.threshold, "TreatMissingData": "", "EvaluateLowSampleCountPercentile": a.lowSample,
	}
	if a.missingGiven {
		trigger["TreatMissingData"] = a.missing
	}
	if a.metric != nil {
		dims := []map[string]string{}
		for _, d := range a.metric.dimensions {
			dims = append(dims, map[string]string{"name": d.Name, "value": d.Value})
		}
		trigger["MetricName"], trigger["Namespace"], trigger["Dimensions"] = a.metric.name, a.metric.namespace, dims
		trigger["Unit"] = nil
		if a.metric.unit != "" {
			trigger["Unit"] = a.metric.unit
		}
		if a.metric.stat.extended() {
			trigger["StatisticType"], trigger["ExtendedStatistic"] = "ExtendedStatistic", a.metric.stat.name
		} else {
			trigger["StatisticType"], trigger["Statistic"] = "Statistic", statisticWord(a.metric.stat)
		}
	} else {
		trigger["Metrics"] = a.metrics
	}
	b, _ := json.Marshal(map[string]any{
		"AlarmName": a.name, "AlarmDescription": a.description, "AWSAccountId": s.cfg.Account,
		"AlarmConfigurationUpdatedTimestamp": stamp(a.configured), "NewStateValue": a.state, "NewStateReason": a.reason,
		"StateChangeTime": stamp(at), "Region": regionName(s.cfg.Region), "AlarmArn": s.arn("alarm", a.name),
		"OldStateValue": from, "OKActions": list(a.actions[ok]), "AlarmActions": list(a.actions[alarming]),
		"InsufficientDataActions": list(a.actions[insufficient]), "Trigger": trigger,
	})
	return string(b)
}

// statisticWord is the statistic as it is written in a notification.
func statisticWord(t statistic) string {
	return map[byte]string{'s': "SAMPLE_COUNT", 'a': "AVERAGE", '+': "SUM", '<': "MINIMUM", '>': "MAXIMUM"}[t.kind]
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000+0000") }

// regionName is what notifications call a region.
func regionName(region string) string {
	if region == "us-east-1" {
		return "US East (N. Virginia)"
	}
	return region
}

func (s *Service) describeAlarmHistory(c *wire.Call) (wire.Out, error) {
	name, kind, scan := c.In.String("AlarmName"), c.In.String("HistoryItemType"), c.In.String("ScanBy")
	start, end, size := c.In.Time("StartDate"), c.In.Time("EndDate"), int(c.In.Int("MaxRecords"))
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	switch {
	case kind != "" && !slices.Contains([]string{"ConfigurationUpdate", "StateUpdate", "Action", "AlarmContributorStateUpdate", "AlarmContributorAction"}, kind):
		return nil, validation("The value '%s' for parameter HistoryItemType is invalid.", kind)
	case size < 0 || size > 100:
		return nil, validation("The value %d for parameter MaxRecords is invalid: it must be between 1 and 100.", size)
	case size == 0:
		size = 100
	}
	var found []event
	for _, e := range s.history {
		// Kept for 30 days.
		if (name == "" || e.alarm == name) && (kind == "" || e.kind == kind) && (start.IsZero() || !e.at.Before(start)) &&
			(end.IsZero() || !e.at.After(end)) && c.Now.Sub(e.at) <= 30*24*time.Hour {
			found = append(found, e)
		}
	}
	if scan != "TimestampAscending" {
		slices.Reverse(found)
	}
	from, to, next, err := page(c, len(found), size)
	if err != nil {
		return nil, err
	}
	items := []wire.Out{}
	for _, e := range found[from:to] {
		items = append(items, wire.Out{
			"AlarmName": e.alarm, "AlarmType": "MetricAlarm", "Timestamp": e.at, "HistoryItemType": e.kind,
			"HistorySummary": e.summary, "HistoryData": e.data,
		})
	}
	out := wire.Out{"AlarmHistoryItems": items}
	if next != "" {
		out["NextToken"] = next
	}
	return out, nil
}
