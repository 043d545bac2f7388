package cloudwatch

import (
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// series is one metric: a namespace, a name and a set of dimensions.
type series struct {
	namespace, name string
	dimensions      []Dimension // by name

	created, latest time.Time // arrival of the first point and of the newest
	readable        time.Time // when the first points can be read
	points          []point   // by second
}

// point is one datum, at the second or the minute that it is stored under.
type point struct {
	second         int64
	visible        time.Time
	unit           string
	coarse         bool // stored by the minute
	sum, min, max  float64
	count          float64
	values, counts []float64
	opaque         bool // percentiles cannot be told
}

func seriesKey(namespace, name string, dimensions []Dimension) string {
	var b strings.Builder
	b.WriteString(namespace + "\x00" + name)
	for _, d := range sorted(dimensions) {
		b.WriteString("\x00" + d.Name + "\x01" + d.Value)
	}
	return b.String()
}

func sorted(d []Dimension) []Dimension {
	d = slices.Clone(d)
	slices.SortFunc(d, func(a, b Dimension) int { return strings.Compare(a.Name, b.Name) })
	return d
}

// add stores checked data.
func (s *Service) add(namespace string, data []Datum, now time.Time) error {
	for i := range data {
		d := &data[i]
		key := seriesKey(namespace, d.Metric, d.Dimensions)
		m := s.series[key]
		if m == nil {
			if len(s.series) >= maxSeries {
				return wire.Failf("LimitExceeded", "Fault", "this stand-in keeps %d metrics and no more", maxSeries)
			}
			m = &series{namespace: namespace, name: d.Metric, dimensions: sorted(d.Dimensions), created: now, readable: now.Add(s.cfg.NewMetric)}
			s.series[key] = m
			s.order = append(s.order, m)
		}
		m.latest = now
		m.insert(s.point(m, d, now))
	}
	return nil
}

func (s *Service) point(m *series, d *Datum, now time.Time) point {
	if d.At.IsZero() {
		d.At = now
	}
	p := point{second: d.At.Unix(), visible: now.Add(s.cfg.MetricDelay), unit: d.Unit, coarse: !d.HighResolution, values: d.Values, counts: d.Counts}
	if p.coarse {
		p.second = floor(p.second, 60)
	}
	if p.unit == "" {
		p.unit = "None"
	}
	if age := now.Sub(d.At); s.cfg.LatePoints && age >= 24*time.Hour {
		p.visible = now.Add(48 * time.Hour)
	} else if s.cfg.LatePoints && age >= 3*time.Hour {
		p.visible = now.Add(2 * time.Hour)
	}
	if p.visible.Before(m.readable) {
		p.visible = m.readable
	}
	if !d.Statistic {
		p.min, p.max = math.Inf(1), math.Inf(-1)
		for i, v := range d.Values {
			p.sum += v * d.Counts[i]
			p.count += d.Counts[i]
			p.min, p.max = min(p.min, v), max(p.max, v)
		}
		return p
	}
	p.sum, p.min, p.max, p.count = d.Sum, d.Min, d.Max, d.Samples
	if len(d.Values) > 0 {
		return p
	}
	// A statistic set serves percentiles only when it says what the values were
	// (API reference, PutMetricData).
	if p.min == p.max && (p.count == 1 && p.sum == p.min || p.sum == p.min*p.count) {
		p.values, p.counts = []float64{p.min}, []float64{p.count}
	} else {
		p.opaque = true
	}
	return p
}

// insert keeps the order; points mostly come in order.
func (m *series) insert(p point) {
	i := len(m.points)
	for i > 0 && m.points[i-1].second > p.second {
		if i = i - 1; len(m.points)-i > 64 { // far back: search
			i = sort.Search(i, func(k int) bool { return m.points[k].second > p.second })
			break
		}
	}
	m.points = slices.Insert(m.points, i, p)
	if len(m.points) > maxPoints {
		m.points = slices.Delete(m.points, 0, maxPoints/10)
	}
}

// aggregate is what a window holds.
type aggregate struct {
	sum, min, max, count float64
	unit                 string
	opaque               bool
	pairs                []pair
}

type pair struct{ value, count float64 }

// window adds up what lies in [from, to) and can be read at now. Pairs are gathered
// only for percentiles.
func (m *series) window(from, to int64, unit string, now time.Time, pairs bool) aggregate {
	a := aggregate{min: math.Inf(1), max: math.Inf(-1)}
	if m == nil {
		return a
	}
	first := sort.Search(len(m.points), func(k int) bool { return m.points[k].second >= from })
	for i := first; i < len(m.points) && m.points[i].second < to; i++ {
		p := &m.points[i]
		if p.visible.After(now) || unit != "" && p.unit != unit {
			continue
		}
		a.sum += p.sum
		a.count += p.count
		a.min, a.max = min(a.min, p.min), max(a.max, p.max)
		a.unit = p.unit
		a.opaque = a.opaque || p.opaque
		if pairs {
			for k, v := range p.values {
				a.pairs = append(a.pairs, pair{v, p.counts[k]})
			}
		}
	}
	return a
}

// statistic is Sum, p99, tm90 …
type statistic struct {
	name    string
	kind    byte    // 's'ample count, 'a'verage, '+' sum, '<' min, '>' max, 'p', 't'rimmed mean
	percent float64 // of 'p' and 't'
}

func parseStatistic(name string) (statistic, error) {
	kinds := map[string]byte{"SampleCount": 's', "Average": 'a', "Sum": '+', "Minimum": '<', "Maximum": '>'}
	if k, ok := kinds[name]; ok {
		return statistic{name: name, kind: k}, nil
	}
	for prefix, kind := range map[string]byte{"p": 'p', "tm": 't'} {
		if digits, ok := strings.CutPrefix(strings.ToLower(name), prefix); ok {
			percent, err := strconv.ParseFloat(digits, 64)
			if err == nil && percent >= 0 && percent <= 100 && strings.Trim(digits, "0123456789.") == "" {
				return statistic{name, kind, percent}, nil
			}
		}
	}
	return statistic{}, invalid("The value %s for parameter Stat is not supported.", name)
}

func (t statistic) extended() bool { return t.kind == 'p' || t.kind == 't' }

// of returns the statistic, or NaN when the window has none.
func (t statistic) of(a aggregate) float64 {
	if a.count == 0 {
		return math.NaN()
	}
	switch t.kind {
	case 's':
		return a.count
	case 'a':
		return a.sum / a.count
	case '+':
		return a.sum
	case '<':
		return a.min
	case '>':
		return a.max
	}
	// "… percentile statistics are not available for metrics when any of the metric
	// values are negative numbers" (user guide, "Percentiles").
	if a.opaque || len(a.pairs) == 0 || a.min < 0 {
		return math.NaN()
	}
	slices.SortFunc(a.pairs, func(x, y pair) int {
		if x.value < y.value {
			return -1
		} else if x.value > y.value {
			return 1
		}
		return 0
	})
	total := 0.0
	for _, p := range a.pairs {
		total += p.count
	}
	rank := math.Ceil(t.percent / 100 * total)
	seen, sum := 0.0, 0.0
	for _, p := range a.pairs {
		if t.kind == 't' {
			n := min(p.count, rank-seen)
			sum += n * p.value
		}
		if seen += p.count; seen >= rank {
			if t.kind == 't' {
				return sum / max(rank, 1)
			}
			return p.value
		}
	}
	return a.pairs[len(a.pairs)-1].value
}

func floor(n, step int64) int64 {
	r := n % step
	if r < 0 {
		r += step
	}
	return n - r
}

func itoa(n int) string { return strconv.Itoa(n) }
