package cloudwatch

import (
	"math"
	"strings"
)

// call applies a function. Those of metric math that are not here give AWS's error
// for unknown ones.
func (p *parser) call(name string, args []value) (value, error) {
	want := func(n int) error {
		if len(args) != n {
			return p.fail("%s takes %d arguments", name, n)
		}
		return nil
	}
	switch name {
	case "METRICS":
		return p.metrics(args)
	case "SUM", "AVG", "MIN", "MAX":
		if err := want(1); err != nil {
			return value{}, err
		}
		return p.fold(name, args[0])
	case "ABS", "CEIL", "FLOOR", "DIFF", "RATE", "RUNNING_SUM":
		if err := want(1); err != nil {
			return value{}, err
		}
		return p.along(name, args[0])
	case "PERIOD":
		if err := want(1); err != nil || args[0].kind != 's' {
			return value{}, p.fail("PERIOD takes a metric")
		}
		return value{kind: 'n', number: float64(args[0].row.period)}, nil
	case "SERVICE_QUOTA":
		if err := want(1); err != nil || args[0].kind != 's' || args[0].row.from == nil {
			return value{}, p.fail("SERVICE_QUOTA takes a usage metric")
		}
		quota, ok := p.e.quota(args[0].row.from)
		if !ok {
			return value{}, p.fail("SERVICE_QUOTA: there is no quota for this metric")
		}
		return p.each(args[0], func(float64) float64 { return quota })
	case "FILL":
		if err := want(2); err != nil {
			return value{}, err
		}
		return p.fill(args[0], args[1])
	case "IF":
		return p.choose(args)
	}
	return value{}, p.fail("Unsupported function %s", strings.ToUpper(name))
}

// metrics are all metrics of the call, or those with a text in their id.
func (p *parser) metrics(args []value) (value, error) {
	text := ""
	if len(args) > 0 {
		text = args[0].text
	}
	out := value{kind: 'l'}
	for _, q := range p.e.queries {
		if q.metric != nil && strings.Contains(q.id, text) {
			v, err := p.e.query(q)
			if err != nil {
				return v, err
			}
			out.list = append(out.list, v)
		}
	}
	return out, nil
}

// fold makes a number of a series, or a series of a list of them.
func (p *parser) fold(name string, v value) (value, error) {
	over := func(xs []float64) float64 {
		sum, low, high, n := 0.0, math.Inf(1), math.Inf(-1), 0.0
		for _, x := range xs {
			if math.IsNaN(x) {
				continue
			}
			sum, low, high, n = sum+x, min(low, x), max(high, x), n+1
		}
		switch {
		case n == 0:
			return math.NaN()
		case name == "SUM":
			return sum
		case name == "AVG":
			return sum / n
		case name == "MIN":
			return low
		}
		return high
	}
	switch {
	case v.kind == 's':
		return value{kind: 'n', number: over(v.row.values)}, nil
	case v.kind == 'l' && len(v.list) > 0:
		return p.zip(v.list, over)
	}
	return value{}, p.fail("%s takes time series", name)
}

// along works along one series, or along each of a list.
func (p *parser) along(name string, v value) (value, error) {
	if v.kind == 'l' {
		out := value{kind: 'l'}
		for _, inner := range v.list {
			r, err := p.along(name, inner)
			if err != nil {
				return value{}, err
			}
			out.list = append(out.list, r)
		}
		return out, nil
	}
	plain := map[string]func(float64) float64{"ABS": math.Abs, "CEIL": math.Ceil, "FLOOR": math.Floor}[name]
	switch {
	case v.kind == 'n' && plain != nil:
		return value{kind: 'n', number: plain(v.number)}, nil
	case v.kind != 's':
		return value{}, p.fail("%s takes a time series", name)
	case plain != nil:
		return p.each(v, plain)
	}
	before, at, sum := math.NaN(), 0, 0.0 // the point before, and its window
	i := -1
	return p.each(v, func(x float64) float64 {
		i++
		if math.IsNaN(x) {
			if name == "RUNNING_SUM" {
				return sum
			}
			return x
		}
		sum += x
		diff, seconds := x-before, float64(int64(i-at)*v.row.period)
		before, at = x, i
		switch name {
		case "RUNNING_SUM":
			return sum
		case "RATE":
			return diff / seconds
		}
		return diff
	})
}

// fill puts a number, or the point before, where nothing is.
func (p *parser) fill(v, with value) (value, error) {
	if v.kind != 's' || with.kind != 'n' && with.text != "REPEAT" {
		return value{}, p.fail("FILL takes a time series, and a number or REPEAT")
	}
	before := math.NaN()
	return p.each(v, func(x float64) float64 {
		if !math.IsNaN(x) {
			before = x
			return x
		}
		if with.kind == 'n' {
			return with.number
		}
		return before
	})
}

// choose is IF(condition, then, else).
func (p *parser) choose(args []value) (value, error) {
	if len(args) != 2 && len(args) != 3 {
		return value{}, p.fail("IF takes 2 or 3 arguments")
	}
	if len(args) == 2 {
		args = append(args, value{kind: 'n', number: math.NaN()})
	}
	var model *value
	for i := range args {
		if args[i].kind == 's' && model == nil {
			model = &args[i]
		}
	}
	if model == nil {
		if args[0].number != 0 {
			return args[1], nil
		}
		return args[2], nil
	}
	series := make([]value, 3)
	for i, a := range args {
		var err error
		switch a.kind {
		case 's':
			series[i] = a
		case 'n':
			if series[i], err = p.each(*model, func(float64) float64 { return a.number }); err != nil {
				return value{}, err
			}
		default:
			return value{}, p.fail("IF takes time series and numbers")
		}
	}
	return p.zip(series, func(xs []float64) float64 {
		switch {
		case math.IsNaN(xs[0]):
			return math.NaN()
		case xs[0] != 0:
			return xs[1]
		}
		return xs[2]
	})
}
