package cloudwatch

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// The limits of the reading calls (API reference, read 2026-11).
const (
	maxQueries     = 500
	maxDatapoints  = 100_800
	maxStatistics  = 1440 // points of GetMetricStatistics
	metricsOfAPage = 500
	recently       = 3 * time.Hour
	forgotten      = 14 * 24 * time.Hour // of ListMetrics, without a new point

	// maxWork bounds the windows that one call computes: ours.
	maxWork = 2_000_000
)

// metricStat is which metric, how taken together.
type metricStat struct {
	namespace, name string
	dimensions      []Dimension
	period          int64
	stat            statistic
	unit            string
}

func (m *metricStat) key() string { return seriesKey(m.namespace, m.name, m.dimensions) }

// checkPeriod refuses what is neither 1, 5, 10, 20 or 30 seconds nor whole minutes.
func checkPeriod(p int64) error {
	if slices.Contains([]int64{1, 5, 10, 20, 30}, p) || p > 0 && p%60 == 0 && p <= 7*86400 {
		return nil
	}
	return invalid("The value %d for parameter Period is invalid: it must be 1, 5, 10, 20, 30, or a multiple of 60.", p)
}

// retention is how far back points of a period are kept ("Metrics concepts").
func retention(period int64) time.Duration {
	const day = 24 * time.Hour
	switch {
	case period < 60:
		return 3 * time.Hour
	case period < 300:
		return 15 * day
	case period < 3600:
		return 63 * day
	}
	return 455 * day
}

// frame is a row of windows.
type frame struct {
	start, period int64
	n             int
}

// frameOf cuts [start, end) into windows. The start is rounded down to the period,
// or to the minute for longer ones, and to where the points begin that are kept.
func frameOf(start, end, now time.Time, period int64) frame {
	first := floor(start.Unix(), min(period, 60))
	if kept := floor(now.Add(-retention(period)).Unix(), period) + period; first < kept {
		first += (kept - first + period - 1) / period * period
	}
	last := min(end.Unix(), now.Add(newest).Unix()+period)
	if end.Nanosecond() > 0 {
		last++
	}
	n := 0
	if last > first {
		n = int((last - first + period - 1) / period)
	}
	return frame{first, period, n}
}

// fetch returns one value per window, NaN where there is none.
func (s *Service) fetch(m *metricStat, f frame, now time.Time) []float64 {
	out := make([]float64, f.n)
	metric := s.series[m.key()]
	for i := range out {
		from := f.start + int64(i)*f.period
		out[i] = m.stat.of(metric.window(from, from+f.period, m.unit, now, m.stat.extended()))
	}
	return out
}

// readMetricStat reads a MetricStat.
func readMetricStat(p wire.Params) (*metricStat, error) {
	metric := p.Struct("Metric")
	m := &metricStat{namespace: metric.String("Namespace"), name: metric.String("MetricName"), period: p.Int("Period"), unit: p.String("Unit")}
	var err error
	if m.dimensions, err = readDimensions(metric, "MetricStat.Metric."); err != nil {
		return nil, err
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if err := checkNamespace(m.namespace); err != nil {
		return nil, err
	}
	if m.name == "" {
		return nil, missing("MetricStat.Metric.MetricName")
	}
	if err := checkPeriod(m.period); err != nil {
		return nil, err
	}
	m.stat, err = parseStatistic(p.String("Stat"))
	return m, err
}

// query is one MetricDataQuery.
type query struct {
	id, label, expression string
	period                int64
	metric                *metricStat
	shown                 bool
}

// readQueries reads and checks MetricDataQueries, or the Metrics of an alarm.
func readQueries(list []wire.Params) ([]*query, error) {
	var out []*query
	seen := map[string]bool{}
	for i, p := range list {
		q := &query{id: p.String("Id"), label: p.String("Label"), expression: p.String("Expression"), period: p.Int("Period"), shown: true}
		if p.Has("ReturnData") {
			q.shown = p.Bool("ReturnData")
		}
		if err := p.Err(); err != nil {
			return nil, err
		}
		where := "MetricDataQueries.member." + itoa(i+1)
		switch {
		case !identifier(q.id):
			return nil, validation("The value for parameter %s.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.", where)
		case seen[q.id]:
			return nil, validation("The values for parameter id in MetricDataQueries are not unique.")
		case (q.expression == "") == !p.Has("MetricStat"):
			return nil, validation("One and only one of Expression and MetricStat must be given in %s.", where)
		}
		seen[q.id] = true
		if p.Has("MetricStat") {
			var err error
			if q.metric, err = readMetricStat(p.Struct("MetricStat")); err != nil {
				return nil, err
			}
			q.period = q.metric.period
		} else if q.period != 0 {
			if err := checkPeriod(q.period); err != nil {
				return nil, err
			}
		}
		out = append(out, q)
	}
	return out, nil
}

func identifier(s string) bool {
	return s != "" && len(s) <= 255 && s[0] >= 'a' && s[0] <= 'z' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

func (s *Service) getMetricData(c *wire.Call) (wire.Out, error) {
	start, end := c.In.Time("StartTime"), c.In.Time("EndTime")
	list := c.In.List("MetricDataQueries")
	size, scan := c.In.Int("MaxDatapoints"), c.In.String("ScanBy")
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	switch {
	case len(list) == 0:
		return nil, missing("MetricDataQueries")
	case len(list) > maxQueries:
		return nil, validation("The collection MetricDataQueries must not have a size greater than %d.", maxQueries)
	case start.IsZero():
		return nil, missing("StartTime")
	case end.IsZero():
		return nil, missing("EndTime")
	case !start.Before(end):
		return nil, validation("The parameter StartTime must be less than the parameter EndTime.")
	case size < 0 || size > maxDatapoints:
		return nil, validation("The value %d for parameter MaxDatapoints is invalid: it must be between 1 and %d.", size, maxDatapoints)
	case scan != "" && scan != "TimestampAscending" && scan != "TimestampDescending":
		return nil, invalid("The value %s for parameter ScanBy is invalid.", scan)
	}
	queries, err := readQueries(list)
	if err != nil {
		return nil, err
	}
	shown := 0
	for _, q := range queries {
		if q.shown {
			shown++
		}
	}
	if shown == 0 {
		return nil, validation("At least one of the MetricDataQueries must have ReturnData true.")
	}
	if size == 0 {
		size = maxDatapoints
	}
	skip, err := offset(c)
	if err != nil {
		return nil, err
	}
	e := s.evaluator(queries, start, end, c.Now)
	results, next := []wire.Out{}, ""
	left := int(size)
	for _, q := range queries {
		if !q.shown {
			continue
		}
		rows, err := e.rows(q)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			points := r.points(scan == "TimestampAscending")
			drop := min(skip, len(points))
			skip -= drop
			take := min(left, len(points)-drop)
			left -= take
			cut := points[drop : drop+take]
			out := wire.Out{"Id": q.id, "Label": r.label, "StatusCode": "Complete"}
			if drop+take < len(points) {
				out["StatusCode"] = "PartialData"
				if next == "" {
					from, _ := offset(c)
					next = token(from + int(size))
				}
			}
			times, values := make([]time.Time, len(cut)), make([]float64, len(cut))
			for i, p := range cut {
				times[i], values[i] = time.Unix(p.second, 0).UTC(), p.value
			}
			out["Timestamps"], out["Values"] = times, values
			results = append(results, out)
		}
	}
	out := wire.Out{"MetricDataResults": results, "Messages": []wire.Out{}}
	if next != "" {
		out["NextToken"] = next
	}
	return out, nil
}

func (s *Service) getMetricStatistics(c *wire.Call) (wire.Out, error) {
	m := &metricStat{namespace: c.In.String("Namespace"), name: c.In.String("MetricName"), period: c.In.Int("Period"), unit: c.In.String("Unit")}
	start, end := c.In.Time("StartTime"), c.In.Time("EndTime")
	names, extended := c.In.Strings("Statistics"), c.In.Strings("ExtendedStatistics")
	var err error
	if m.dimensions, err = readDimensions(c.In, ""); err != nil {
		return nil, err
	}
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if err := checkNamespace(m.namespace); err != nil {
		return nil, err
	}
	switch {
	case m.name == "":
		return nil, missing("MetricName")
	case start.IsZero():
		return nil, missing("StartTime")
	case end.IsZero():
		return nil, missing("EndTime")
	case !start.Before(end):
		return nil, combination("The parameter StartTime must be less than the parameter EndTime.")
	case len(names) == 0 && len(extended) == 0:
		return nil, combination("Must specify either Statistics or ExtendedStatistics")
	case len(names) > 5 || len(extended) > 10:
		return nil, invalid("At most 5 Statistics and 10 ExtendedStatistics can be asked for.")
	}
	if err := checkPeriod(m.period); err != nil {
		return nil, err
	}
	if n := (end.Unix() - start.Unix()) / m.period; n > maxStatistics {
		return nil, combination("You have requested up to %d datapoints, which exceeds the limit of %d. You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n, maxStatistics)
	}
	var stats []statistic
	pairs := false
	for i, name := range append(slices.Clone(names), extended...) {
		t, err := parseStatistic(name)
		if err != nil || t.extended() != (i >= len(names)) {
			return nil, invalid("The value %s for parameter Statistics or ExtendedStatistics is not supported.", name)
		}
		stats, pairs = append(stats, t), pairs || t.extended()
	}
	f, metric := frameOf(start, end, c.Now, m.period), s.series[m.key()]
	points := []wire.Out{}
	for i := f.n - 1; i >= 0; i-- {
		from := f.start + int64(i)*f.period
		a := metric.window(from, from+f.period, m.unit, c.Now, pairs)
		if a.count == 0 {
			continue
		}
		p, more := wire.Out{"Timestamp": time.Unix(from, 0).UTC(), "Unit": a.unit}, wire.Numbers{}
		for _, t := range stats {
			v := t.of(a)
			switch {
			case math.IsNaN(v):
			case t.extended():
				more[t.name] = v
			default:
				p[t.name] = v
			}
		}
		if len(more) > 0 {
			p["ExtendedStatistics"] = more
		}
		if len(p) > 2 {
			points = append(points, p)
		}
	}
	return wire.Out{"Label": m.name, "Datapoints": points}, nil
}

func (s *Service) listMetrics(c *wire.Call) (wire.Out, error) {
	namespace, name, active := c.In.String("Namespace"), c.In.String("MetricName"), c.In.String("RecentlyActive")
	filters := c.In.List("Dimensions")
	var dims []Dimension
	for _, f := range filters {
		dims = append(dims, Dimension{f.String("Name"), f.String("Value")})
	}
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	switch {
	case active != "" && active != "PT3H":
		return nil, invalid("The value %s for parameter RecentlyActive is invalid: PT3H is the only one.", active)
	case len(dims) > 10:
		return nil, invalid("The collection Dimensions must not have a size greater than 10.")
	}
	var found []wire.Out
	for _, m := range s.order {
		idle := c.Now.Sub(m.latest)
		if namespace != "" && m.namespace != namespace || name != "" && m.name != name ||
			c.Now.Before(m.created.Add(s.cfg.Listed)) || idle > forgotten || active != "" && idle > recently {
			continue
		}
		if !slices.ContainsFunc(dims, func(d Dimension) bool {
			return !slices.ContainsFunc(m.dimensions, func(o Dimension) bool { return o.Name == d.Name && (d.Value == "" || o.Value == d.Value) })
		}) {
			found = append(found, wire.Out{"Namespace": m.namespace, "MetricName": m.name, "Dimensions": dimensionsOut(m.dimensions)})
		}
	}
	from, to, next, err := page(c, len(found), metricsOfAPage)
	if err != nil {
		return nil, err
	}
	out := wire.Out{"Metrics": append([]wire.Out{}, found[from:to]...)}
	if next != "" {
		out["NextToken"] = next
	}
	return out, nil
}

func dimensionsOut(dims []Dimension) []wire.Out {
	out := []wire.Out{}
	for _, d := range dims {
		out = append(out, wire.Out{"Name": d.Name, "Value": d.Value})
	}
	return out
}
