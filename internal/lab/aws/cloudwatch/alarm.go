package cloudwatch

import (
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// state is StateValue.
type state string

const (
	ok           state = "OK"
	alarming     state = "ALARM"
	insufficient state = "INSUFFICIENT_DATA"
)

// alarm is one metric alarm.
type alarm struct {
	name, description  string
	actionsEnabled     bool
	actions            map[state][]string
	metric             *metricStat // nil: queries
	queries            []*query
	metrics            []wire.Out // the queries as they were given
	returned           *query
	period             int64
	n, m               int // EvaluationPeriods, DatapointsToAlarm
	explicitM          bool
	threshold          float64
	comparison         string
	missing            string // TreatMissingData, "missing" when not given
	missingGiven       bool
	lowSample          string // EvaluateLowSampleCountPercentile
	configured         time.Time
	state              state
	reason, reasonData string
	updated, changed   time.Time // StateUpdatedTimestamp, StateTransitionedTimestamp
}

var comparisons = map[string]struct {
	words string
	holds func(v, threshold float64) bool
}{
	"GreaterThanThreshold":          {"greater than", func(v, t float64) bool { return v > t }},
	"GreaterThanOrEqualToThreshold": {"greater than or equal to", func(v, t float64) bool { return v >= t }},
	"LessThanThreshold":             {"less than", func(v, t float64) bool { return v < t }},
	"LessThanOrEqualToThreshold":    {"less than or equal to", func(v, t float64) bool { return v <= t }},
}

func (s *Service) arn(kind, name string) string {
	return "arn:aws:cloudwatch:" + s.cfg.Region + ":" + s.cfg.Account + ":" + kind + ":" + name
}

func (s *Service) putMetricAlarm(c *wire.Call) (wire.Out, error) {
	a, err := s.readAlarm(c)
	if err != nil {
		return nil, err
	}
	if old := s.alarms[a.name]; old != nil {
		// "When you update an existing alarm, its state is left unchanged".
		a.state, a.reason, a.reasonData, a.updated, a.changed = old.state, old.reason, old.reasonData, old.updated, old.changed
		s.record(c.Now, a.name, "ConfigurationUpdate", `Alarm "`+a.name+`" updated`, nil)
	} else {
		a.state, a.reason = insufficient, "Unchecked: Initial alarm creation"
		a.updated, a.changed = c.Now, c.Now
		i, _ := slices.BinarySearch(s.names, a.name)
		s.names = slices.Insert(s.names, i, a.name)
		s.record(c.Now, a.name, "ConfigurationUpdate", `Alarm "`+a.name+`" created`, nil)
	}
	s.alarms[a.name] = a
	return nil, nil
}

func (s *Service) readAlarm(c *wire.Call) (*alarm, error) {
	p := c.In
	a := &alarm{
		name: p.String("AlarmName"), description: p.String("AlarmDescription"), actionsEnabled: true,
		n: int(p.Int("EvaluationPeriods")), m: int(p.Int("DatapointsToAlarm")), threshold: p.Float("Threshold"),
		comparison: p.String("ComparisonOperator"), missing: p.String("TreatMissingData"),
		lowSample: p.String("EvaluateLowSampleCountPercentile"), configured: c.Now,
		actions: map[state][]string{ok: p.Strings("OKActions"), alarming: p.Strings("AlarmActions"), insufficient: p.Strings("InsufficientDataActions")},
	}
	if p.Has("ActionsEnabled") {
		a.actionsEnabled = p.Bool("ActionsEnabled")
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if a.name == "" || len(a.name) > maxName || strings.ContainsFunc(a.name, func(r rune) bool { return r < ' ' }) {
		return nil, validation("The parameter AlarmName must have 1 to 255 characters, none of them a control character.")
	}
	if err := a.readWhat(p); err != nil {
		return nil, err
	}
	return a, a.check(p)
}

// readWhat reads the metric or the queries.
func (a *alarm) readWhat(p wire.Params) error {
	if !p.Has("Metrics") {
		m := &metricStat{namespace: p.String("Namespace"), name: p.String("MetricName"), period: p.Int("Period"), unit: p.String("Unit")}
		stat, extended := p.String("Statistic"), p.String("ExtendedStatistic")
		var err error
		if m.dimensions, err = readDimensions(p, ""); err != nil {
			return err
		}
		switch {
		case m.name == "":
			return validation("Either MetricName or Metrics must be given.")
		case stat == "" && extended == "":
			return validation("Either Statistic or ExtendedStatistic must be given.")
		case stat != "" && extended != "":
			return combination("Statistic and ExtendedStatistic are mutually exclusive.")
		case m.unit != "" && !slices.Contains(units, m.unit):
			return invalid("The value %s for parameter Unit is not a standard unit.", m.unit)
		}
		if err := checkNamespace(m.namespace); err != nil {
			return err
		}
		if m.stat, err = parseStatistic(stat + extended); err != nil || m.stat.extended() != (extended != "") {
			return validation("The value %s for parameter Statistic or ExtendedStatistic is invalid.", stat+extended)
		}
		a.metric, a.period = m, m.period
		return nil
	}
	if p.Has("MetricName") || p.Has("Namespace") || p.Has("Statistic") || p.Has("Period") {
		return combination("Metrics can not be given together with MetricName, Namespace, Statistic or Period.")
	}
	list := p.List("Metrics")
	var err error
	if a.queries, err = readQueries(list); err != nil {
		return err
	}
	for i, q := range a.queries {
		if q.shown {
			if a.returned != nil {
				return validation("Exactly one element of the metrics list should return data.")
			}
			a.returned = q
		}
		a.period = max(a.period, q.period)
		a.metrics = append(a.metrics, queryOut(q, list[i]))
	}
	if a.returned == nil {
		return validation("Exactly one element of the metrics list should return data.")
	}
	return nil
}

func queryOut(q *query, p wire.Params) wire.Out {
	out := wire.Out{"Id": q.id, "ReturnData": q.shown}
	if q.label != "" {
		out["Label"] = q.label
	}
	if q.expression != "" {
		out["Expression"] = q.expression
		if p.Has("Period") {
			out["Period"] = q.period
		}
		return out
	}
	m := q.metric
	stat := wire.Out{"Metric": wire.Out{"Namespace": m.namespace, "MetricName": m.name, "Dimensions": dimensionsOut(m.dimensions)}, "Period": m.period, "Stat": m.stat.name}
	if m.unit != "" {
		stat["Unit"] = m.unit
	}
	out["MetricStat"] = stat
	return out
}

// check is for what all alarms have (API reference, PutMetricAlarm, read 2026-11).
func (a *alarm) check(p wire.Params) error {
	if a.missing == "" {
		a.missing = "missing"
	} else {
		a.missingGiven = true
	}
	if a.m == 0 {
		a.m = a.n
	} else {
		a.explicitM = true
	}
	longest := int64(86400)
	if a.period >= 3600 {
		longest = 7 * 86400
	}
	_, known := comparisons[a.comparison]
	switch {
	case a.n < 1:
		return validation("The parameter EvaluationPeriods must be 1 or more.")
	case !p.Has("Threshold"):
		return validation("The parameter Threshold is required.")
	case !known:
		return validation("The value '%s' for parameter ComparisonOperator is not one of GreaterThanThreshold, GreaterThanOrEqualToThreshold, LessThanThreshold and LessThanOrEqualToThreshold.", a.comparison)
	case a.period != 10 && a.period != 20 && a.period != 30 && (a.period <= 0 || a.period%60 != 0):
		return validation("Metrics Period must be 10, 20, 30, or a multiple of 60 seconds.")
	case int64(a.n) > longest/a.period:
		return validation("Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400), or a week for periods of an hour and more.")
	case a.m > a.n || a.m < 1:
		return validation("DatapointsToAlarm must be between 1 and EvaluationPeriods.")
	case !slices.Contains([]string{"missing", "notBreaching", "breaching", "ignore"}, a.missing):
		return validation("The value '%s' for parameter TreatMissingData is not one of missing, notBreaching, breaching and ignore.", a.missing)
	case !slices.Contains([]string{"", "evaluate", "ignore"}, a.lowSample):
		return validation("The value '%s' for parameter EvaluateLowSampleCountPercentile is not evaluate or ignore.", a.lowSample)
	}
	for st, list := range a.actions {
		if len(list) > 5 {
			return validation("There can be at most 5 actions for the state %s.", st)
		}
		for _, action := range list {
			if !strings.HasPrefix(action, "arn:") {
				return validation("Invalid arn syntax: %s", action)
			}
		}
	}
	return nil
}

func (s *Service) alarmOut(a *alarm) wire.Out {
	out := wire.Out{
		"AlarmName": a.name, "AlarmArn": s.arn("alarm", a.name), "AlarmConfigurationUpdatedTimestamp": a.configured,
		"ActionsEnabled": a.actionsEnabled, "OKActions": list(a.actions[ok]), "AlarmActions": list(a.actions[alarming]),
		"InsufficientDataActions": list(a.actions[insufficient]), "StateValue": string(a.state), "StateReason": a.reason,
		"StateUpdatedTimestamp": a.updated, "StateTransitionedTimestamp": a.changed, "EvaluationPeriods": a.n,
		"Threshold": a.threshold, "ComparisonOperator": a.comparison,
	}
	if a.description != "" {
		out["AlarmDescription"] = a.description
	}
	if a.reasonData != "" {
		out["StateReasonData"] = a.reasonData
	}
	if a.explicitM {
		out["DatapointsToAlarm"] = a.m
	}
	if a.missingGiven {
		out["TreatMissingData"] = a.missing
	}
	if a.lowSample != "" {
		out["EvaluateLowSampleCountPercentile"] = a.lowSample
	}
	out["Dimensions"] = []wire.Out{}
	if a.metric == nil {
		out["Metrics"] = a.metrics
		return out
	}
	out["MetricName"], out["Namespace"], out["Period"] = a.metric.name, a.metric.namespace, a.metric.period
	out["Dimensions"] = dimensionsOut(a.metric.dimensions)
	if a.metric.unit != "" {
		out["Unit"] = a.metric.unit
	}
	if a.metric.stat.extended() {
		out["ExtendedStatistic"] = a.metric.stat.name
	} else {
		out["Statistic"] = a.metric.stat.name
	}
	return out
}

func list(s []string) []string { return append([]string{}, s...) }

func (s *Service) describeAlarms(c *wire.Call) (wire.Out, error) {
	names, prefix, of, action := c.In.Strings("AlarmNames"), c.In.String("AlarmNamePrefix"), c.In.String("StateValue"), c.In.String("ActionPrefix")
	types, size := c.In.Strings("AlarmTypes"), int(c.In.Int("MaxRecords"))
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	switch {
	case len(names) > 100:
		return nil, validation("The collection AlarmNames must not have a size greater than 100.")
	case len(names) > 0 && prefix != "":
		return nil, combination("AlarmNames and AlarmNamePrefix are mutually exclusive.")
	case size < 0 || size > 100:
		return nil, validation("The value %d for parameter MaxRecords is invalid: it must be between 1 and 100.", size)
	case size == 0:
		size = 50
	}
	var found []*alarm
	for _, name := range s.names {
		a := s.alarms[name]
		if (len(names) == 0 || slices.Contains(names, name)) && strings.HasPrefix(name, prefix) && (of == "" || string(a.state) == of) &&
			(len(types) == 0 || slices.Contains(types, "MetricAlarm")) && (action == "" || a.hasAction(action)) {
			found = append(found, a)
		}
	}
	from, to, next, err := page(c, len(found), size)
	if err != nil {
		return nil, err
	}
	alarms := []wire.Out{}
	for _, a := range found[from:to] {
		alarms = append(alarms, s.alarmOut(a))
	}
	out := wire.Out{"MetricAlarms": alarms, "CompositeAlarms": []wire.Out{}}
	if next != "" {
		out["NextToken"] = next
	}
	return out, nil
}

func (a *alarm) hasAction(prefix string) bool {
	for _, list := range a.actions {
		if slices.ContainsFunc(list, func(arn string) bool { return strings.HasPrefix(arn, prefix) }) {
			return true
		}
	}
	return false
}

func (s *Service) describeAlarmsForMetric(c *wire.Call) (wire.Out, error) {
	dims, err := readDimensions(c.In, "")
	if err != nil {
		return nil, err
	}
	key, stat := seriesKey(c.In.String("Namespace"), c.In.String("MetricName"), dims), c.In.String("Statistic")
	period := c.In.Int("Period")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	alarms := []wire.Out{}
	for _, name := range s.names {
		if a := s.alarms[name]; a.metric != nil && a.metric.key() == key && (stat == "" || a.metric.stat.name == stat) && (period == 0 || a.metric.period == period) {
			alarms = append(alarms, s.alarmOut(a))
		}
	}
	return wire.Out{"MetricAlarms": alarms}, nil
}

func (s *Service) deleteAlarms(c *wire.Call) (wire.Out, error) {
	names := c.In.Strings("AlarmNames")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if len(names) == 0 || len(names) > 100 {
		return nil, validation("AlarmNames must have 1 to 100 names.")
	}
	for _, name := range names { // one that is not there is no error
		if s.alarms[name] == nil {
			continue
		}
		delete(s.alarms, name)
		if i, there := slices.BinarySearch(s.names, name); there {
			s.names = slices.Delete(s.names, i, i+1)
		}
		s.record(c.Now, name, "ConfigurationUpdate", `Alarm "`+name+`" deleted`, nil)
	}
	return nil, nil
}

func (s *Service) switchActions(c *wire.Call, on bool) (wire.Out, error) {
	names := c.In.Strings("AlarmNames")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if len(names) == 0 || len(names) > 100 {
		return nil, validation("AlarmNames must have 1 to 100 names.")
	}
	for _, name := range names {
		if a := s.alarms[name]; a != nil {
			a.actionsEnabled, a.configured = on, c.Now
			s.record(c.Now, name, "ConfigurationUpdate", `Alarm "`+name+`" updated`, nil)
		}
	}
	return nil, nil
}

func (s *Service) setAlarmState(c *wire.Call) (wire.Out, error) {
	name, to, reason, data := c.In.String("AlarmName"), state(c.In.String("StateValue")), c.In.String("StateReason"), c.In.String("StateReasonData")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	a := s.alarms[name]
	switch {
	case to != ok && to != alarming && to != insufficient:
		return nil, validation("1 validation error detected: Value '%s' at 'stateValue' failed to satisfy constraint: Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]", to)
	case len(reason) > 1023 || len(data) > 4000:
		return nil, validation("StateReason may have 1023 characters and StateReasonData 4000.")
	case !c.In.Has("StateReason"):
		return nil, missing("StateReason")
	case a == nil:
		return nil, wire.Fail(404, "ResourceNotFound", "ResourceNotFound", "Alarm "+name+" not found")
	case data != "" && !isObject(data):
		return nil, wire.Failf("InvalidFormat", "Fault", "StateReasonData was not valid JSON.")
	}
	s.change(a, to, reason, data, c.Now)
	return nil, nil
}
