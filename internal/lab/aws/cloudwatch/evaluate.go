package cloudwatch

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// beyond is how many more periods than EvaluationPeriods are looked at, as in the
// documentation's tables, which have a range of 5 for 3; how many there are for
// other alarms is not said.
const beyond = 2

// decide is the state of an alarm whose latest points are given, oldest first, NaN
// where one is missing ("Configuring how CloudWatch alarms treat missing data", read
// 2026-11). Where the page does not say which state follows, which is for points that
// are all breaching, too few and too young, the current one stays.
func decide(points []float64, breaching func(float64) bool, m, n int, treat string, current state) state {
	var there []bool // breaching or not
	first := -1      // the place of the oldest point
	for i, v := range points {
		if !math.IsNaN(v) {
			if first < 0 {
				first = i
			}
			there = append(there, breaching(v))
		}
	}
	of := func(list []bool) (count int) {
		for _, b := range list {
			if b {
				count++
			}
		}
		return count
	}
	judge := func(count int) state {
		if count >= m {
			return alarming
		}
		return ok
	}
	if len(there) >= n {
		return judge(of(there[len(there)-n:]))
	}
	switch {
	case treat == "breaching":
		return judge(of(there) + n - len(there))
	case treat == "notBreaching" || of(there) >= m:
		return judge(of(there))
	case len(there) == 0 && treat == "ignore":
		return current
	case len(there) == 0:
		return insufficient
	case of(there) < len(there):
		return ok
	}
	// All points there are breach, and they are too few: an alarm when the oldest is
	// at least m periods old, "even if the total number of datapoints available is
	// lower than M".
	if age := len(points) - first; age >= m && treat == "missing" {
		return alarming
	}
	return current
}

// Advance evaluates every alarm at each instant that has passed since the last
// call: the full minutes, or every 10 seconds for periods below a minute. Points that
// arrived later than such an instant must not have been stored yet.
func (s *Service) Advance(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := floor(now.Unix(), 10)
	if s.ticked == 0 {
		s.ticked = last
		return
	}
	// A clock that leaps is caught up with in whole minutes of the last hours.
	s.ticked = max(s.ticked, last-6*3600)
	for s.ticked < last {
		s.ticked += 10
		for _, name := range s.names {
			if a := s.alarms[name]; a.period < 60 || s.ticked%60 == 0 {
				s.evaluate(a, s.ticked)
			}
		}
	}
}

// evaluate looks at the periods that ended at an instant or before.
func (s *Service) evaluate(a *alarm, at int64) {
	now := time.Unix(at, 0).UTC()
	n := a.n + beyond
	f := frame{at - int64(n)*a.period, a.period, n}
	points, err := s.pointsOf(a, f, now)
	if err != nil {
		s.change(a, insufficient, "Evaluation error: "+err.Error(), "", now)
		return
	}
	if a.lowSample == "ignore" && a.metric != nil && a.metric.stat.kind == 'p' && s.fewSamples(a, f, now) {
		return
	}
	c := comparisons[a.comparison]
	breaching := func(v float64) bool { return c.holds(v, a.threshold) }
	to := decide(points, breaching, a.m, a.n, a.missing, a.state)
	if to == a.state {
		return
	}
	reason, data := a.explain(points, f, to, breaching, now)
	s.change(a, to, reason, data, now)
}

func (s *Service) pointsOf(a *alarm, f frame, now time.Time) ([]float64, error) {
	if a.metric != nil {
		return s.fetch(a.metric, f, now), nil
	}
	e := s.evaluator(a.queries, now, now, now)
	e.frameOf = func(period int64) frame { return frame{at(f, period), period, int(int64(f.n) * f.period / period)} }
	rows, err := e.rows(a.returned)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 || len(rows[0].values) != f.n {
		return nil, fmt.Errorf("the expression must return one time series of the alarm's period")
	}
	return rows[0].values, nil
}

// at is where a row of another period begins.
func at(f frame, period int64) int64 {
	end := f.start + int64(f.n)*f.period
	return end - int64(f.n)*f.period/period*period
}

// fewSamples is the rule for percentiles ("Percentile-based CloudWatch alarms and
// low data samples").
func (s *Service) fewSamples(a *alarm, f frame, now time.Time) bool {
	share := a.metric.stat.percent / 100
	need := 10 / (1 - share)
	if share < 0.5 {
		need = 10 / share
	}
	end := f.start + int64(f.n)*f.period
	w := s.series[a.metric.key()].window(end-int64(a.n)*a.period, end, a.metric.unit, now, false)
	return w.count < need
}

// explain words the reason as CloudWatch does.
func (a *alarm) explain(points []float64, f frame, to state, breaching func(float64) bool, now time.Time) (reason, data string) {
	type seen struct {
		second int64
		value  float64
	}
	var recent []seen // newest first, those that were looked at
	for i := len(points) - 1; i >= 0 && len(recent) < a.n; i-- {
		if !math.IsNaN(points[i]) {
			recent = append(recent, seen{f.start + int64(i)*f.period, points[i]})
		}
	}
	number := func(v float64) string {
		t := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(t, ".e") {
			t += ".0"
		}
		return t
	}
	var shown []string
	values := []float64{}
	evaluated := []map[string]any{}
	count := 0
	for _, r := range recent {
		stamp := time.Unix(r.second, 0).UTC()
		evaluated = append(evaluated, map[string]any{"timestamp": stamp.Format("2006-01-02T15:04:05.000+0000"), "value": r.value})
		values = append([]float64{r.value}, values...)
		if breaching(r.value) == (to == alarming) {
			count++
			shown = append(shown, number(r.value)+" ("+stamp.Format("02/01/06 15:04:05")+")")
		}
	}
	words := comparisons[a.comparison].words
	arrow := "OK -> ALARM"
	need := a.m
	if to != alarming {
		arrow, need = "ALARM -> OK", a.n-a.m+1
	}
	plural := "s"
	if need == 1 {
		plural = ""
	}
	verb := "were"
	if count == 1 {
		verb = "was"
	}
	not := ""
	if to != alarming {
		not = "not "
	}
	switch {
	case to == insufficient:
		reason = fmt.Sprintf("Insufficient Data: %d datapoint%s unknown.", a.n, map[bool]string{true: " was", false: "s were"}[a.n == 1])
	case len(recent) == 0 || count == 0:
		reason = fmt.Sprintf("Threshold Crossed: no datapoints were received for %d period%s and %d missing datapoint%s treated as [%s].", a.n, map[bool]string{true: "", false: "s"}[a.n == 1],
			a.n, map[bool]string{true: " was", false: "s were"}[a.n == 1], map[string]string{"breaching": "Breaching", "notBreaching": "NonBreaching"}[a.missing])
	default:
		reason = fmt.Sprintf("Threshold Crossed: %d out of the last %d datapoints [%s] %s %s%s the threshold (%s) (minimum %d datapoint%s for %s transition).",
			count, a.n, strings.Join(shown, ", "), verb, not, words, number(a.threshold), need, plural, arrow)
	}
	fields := map[string]any{
		"version": "1.0", "queryDate": now.Format("2006-01-02T15:04:05.000+0000"), "period": a.period,
		"recentDatapoints": values, "threshold": a.threshold, "evaluatedDatapoints": evaluated,
	}
	if a.metric != nil {
		fields["statistic"] = a.metric.stat.name
	}
	if len(recent) > 0 {
		fields["startDate"] = time.Unix(recent[len(recent)-1].second, 0).UTC().Format("2006-01-02T15:04:05.000+0000")
	}
	b, _ := json.Marshal(fields) // numbers and texts
	return clip(reason, 1023), clip(string(b), 4000)
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func isObject(text string) bool {
	var m map[string]any
	return json.Unmarshal([]byte(text), &m) == nil
}
