package cloudwatch

import (
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// The limits of PutMetricData (API reference, PutMetricData and MetricDatum, read
// 2026-11).
const (
	maxData       = 1000
	maxValues     = 150
	maxDimensions = 30
	maxName       = 255
	maxDimension  = 1024 // value of a dimension
	oldest        = 14 * 24 * time.Hour
	newest        = 2 * time.Hour

	// maxPost is the limit on the body. Whether AWS counts it before or after
	// decompression, and in which kind of megabyte, is not said: this is the
	// strictest reading, so what passes here passes there.
	maxPost = 1_000_000
)

var maxValue = math.Ldexp(1, 360)

// units are StandardUnit.
var units = []string{
	"Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits", "Kilobits",
	"Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second", "Megabytes/Second",
	"Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second", "Gigabits/Second",
	"Terabits/Second", "Count/Second", "None",
}

// Datum is one entry of PutMetricData.
type Datum struct {
	Metric     string
	Dimensions []Dimension
	At         time.Time // zero: when it arrives
	Unit       string    // empty: None

	// Values with their Counts; or Sum, Min, Max and Samples when Statistic. Both may be
	// given: then the statistics are exact and the values serve percentiles.
	Values, Counts []float64
	Statistic      bool
	Sum, Min, Max  float64
	Samples        float64

	HighResolution bool
}

// Dimension is a name and a value.
type Dimension struct{ Name, Value string }

// putMetricData takes a call as a whole or not at all.
func (s *Service) putMetricData(c *wire.Call) (wire.Out, error) {
	if c.Bytes > maxPost {
		return nil, wire.Fail(413, "RequestEntityTooLarge", "RequestEntityTooLarge", "Request size exceeds the limit of 1 MB")
	}
	namespace := c.In.String("Namespace")
	entries := c.In.List("MetricData")
	place := "MetricData.member."
	if n := c.In.Len("EntityMetricData"); n > 2 {
		return nil, invalid("The collection EntityMetricData must not have a size greater than 2.")
	}
	for _, e := range c.In.List("EntityMetricData") {
		entries = append(entries, e.List("MetricData")...)
	}
	if err := c.In.Err(); err != nil {
		return nil, err
	}
	if err := checkNamespace(namespace); err != nil {
		return nil, err
	}
	if strings.HasPrefix(namespace, "AWS/") {
		return nil, invalid("The value AWS/ for parameter Namespace is invalid.")
	}
	switch {
	case len(entries) == 0:
		return nil, missing("MetricData")
	case len(entries) > maxData:
		return nil, invalid("The collection MetricData must not have a size greater than %d.", maxData)
	}
	data := make([]Datum, 0, len(entries))
	for i, e := range entries {
		d, err := readDatum(e, place+itoa(i+1)+".", c.Now)
		if err != nil {
			return nil, err
		}
		data = append(data, d)
	}
	return nil, s.add(namespace, data, c.Now)
}

// Put publishes data as a service of AWS does: nothing is checked but memory, and
// namespaces of AWS are allowed.
func (s *Service) Put(namespace string, data []Datum, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(namespace, data, now)
}

func checkNamespace(ns string) error {
	switch {
	case ns == "":
		return missing("Namespace")
	case len(ns) > maxName:
		return invalid("The parameter Namespace must be shorter than %d characters.", maxName+1)
	case ns[0] == ':' || strings.ContainsFunc(ns, func(r rune) bool { return r < ' ' || r > '~' }):
		return invalid("The parameter Namespace must contain only ASCII characters, none of them a control character, and must not begin with a colon.")
	case strings.TrimSpace(ns) == "":
		return invalid("The parameter Namespace must contain at least one non-whitespace character.")
	}
	return nil
}

// checkName is for names of metrics and names and values of dimensions.
func checkName(where, s string, longest int) error {
	switch {
	case s == "":
		return missing(where)
	case utf8.RuneCountInString(s) > longest:
		return invalid("The parameter %s must be shorter than %d characters.", where, longest+1)
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r > '~' }):
		return invalid("The parameter %s must contain only ASCII characters, none of them a control character.", where)
	case strings.TrimSpace(s) == "":
		return invalid("The parameter %s must contain at least one non-whitespace character.", where)
	}
	return nil
}

func readDimensions(p wire.Params, where string) ([]Dimension, error) {
	list := p.List("Dimensions")
	if len(list) > maxDimensions {
		return nil, invalid("The collection %sDimensions must not have a size greater than %d.", where, maxDimensions)
	}
	var out []Dimension
	for i, e := range list {
		at := where + "Dimensions.member." + itoa(i+1) + "."
		d := Dimension{e.String("Name"), e.String("Value")}
		if err := checkName(at+"Name", d.Name, maxName); err != nil {
			return nil, err
		}
		if err := checkName(at+"Value", d.Value, maxDimension); err != nil {
			return nil, err
		}
		if d.Name[0] == ':' {
			return nil, invalid("The parameter %sName must not begin with a colon.", at)
		}
		if slices.ContainsFunc(out, func(o Dimension) bool { return o.Name == d.Name }) {
			return nil, invalid("The parameter %sDimensions names %s twice.", where, d.Name)
		}
		out = append(out, d)
	}
	return out, nil
}

func readDatum(p wire.Params, where string, now time.Time) (Datum, error) {
	d := Datum{Metric: p.String("MetricName"), At: p.Time("Timestamp"), Unit: p.String("Unit")}
	value, values, counts := p.Float("Value"), p.Floats("Values"), p.Floats("Counts")
	stats := p.Struct("StatisticValues")
	resolution := p.Int("StorageResolution")
	if p.Has("StatisticValues") {
		for _, name := range []string{"SampleCount", "Sum", "Minimum", "Maximum"} {
			if !stats.Has(name) {
				return d, missing(where + "StatisticValues." + name)
			}
		}
		d.Statistic = true
		d.Samples, d.Sum, d.Min, d.Max = stats.Float("SampleCount"), stats.Float("Sum"), stats.Float("Minimum"), stats.Float("Maximum")
	}
	var err error
	if d.Dimensions, err = readDimensions(p, where); err != nil {
		return d, err
	}
	if err := p.Err(); err != nil {
		return d, err
	}
	if err := checkName(where+"MetricName", d.Metric, maxName); err != nil {
		return d, err
	}
	if d.Unit != "" && !slices.Contains(units, d.Unit) {
		return d, invalid("The value %s for parameter %sUnit is not a standard unit.", d.Unit, where)
	}
	switch resolution {
	case 0, 60:
	case 1:
		d.HighResolution = true
	default:
		return d, invalid("The value %d for parameter %sStorageResolution is invalid: want 1 or 60.", resolution, where)
	}
	if !d.At.IsZero() && (d.At.Before(now.Add(-oldest)) || d.At.After(now.Add(newest))) {
		return d, invalid("The parameter %sTimestamp must specify a time no earlier than two weeks in the past and no later than two hours in the future.", where)
	}
	if err := d.takeValues(p, where, value, values, counts); err != nil {
		return d, err
	}
	if d.At.IsZero() {
		d.At = now
	}
	return d, nil
}

// takeValues checks the numbers and that there is one kind of them.
func (d *Datum) takeValues(p wire.Params, where string, value float64, values, counts []float64) error {
	hasValue, hasValues := p.Has("Value"), len(values) > 0
	switch {
	case !hasValue && !hasValues && !d.Statistic:
		return combination("At least one of the parameters must be specified: %sValue, %sValues or %sStatisticValues.", where, where, where)
	case hasValue && (hasValues || d.Statistic):
		return combination("The parameters %sValue and %sValues or StatisticValues are mutually exclusive and you have specified both.", where, where)
	case len(counts) > 0 && len(counts) != len(values):
		return invalid("The parameters %sValues and %sCounts must be of the same size.", where, where)
	case len(values) > maxValues:
		return invalid("The collection %sValues must not have a size greater than %d.", where, maxValues)
	}
	if hasValue {
		values = []float64{value}
	}
	if counts == nil && len(values) > 0 {
		counts = slices.Repeat([]float64{1}, len(values))
	}
	for i, v := range values {
		if !(math.Abs(v) <= maxValue) { // so that NaN fails too
			return invalid("The value %v for parameter %sValue is invalid: it must be between -2^360 and 2^360, and neither NaN nor infinite.", v, where)
		}
		if n := counts[i]; !(n > 0 && n <= maxValue) {
			return invalid("The value %v for parameter %sCounts.member.%d is invalid: it must be above 0.", n, where, i+1)
		}
	}
	if d.Statistic {
		for _, v := range []float64{d.Samples, d.Sum, d.Min, d.Max} {
			if !(math.Abs(v) <= maxValue) {
				return invalid("The value %v in parameter %sStatisticValues is invalid: it must be between -2^360 and 2^360, and neither NaN nor infinite.", v, where)
			}
		}
		switch {
		case !(d.Samples > 0):
			return invalid("The value %v for parameter %sStatisticValues.SampleCount is invalid: it must be above 0.", d.Samples, where)
		case d.Min > d.Max:
			return invalid("The parameter %sStatisticValues.Maximum must be greater than %sStatisticValues.Minimum.", where, where)
		}
	}
	d.Values, d.Counts = values, counts
	return nil
}
