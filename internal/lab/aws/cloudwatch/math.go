package cloudwatch

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is what an expression comes to: a number, a row of numbers, a list of
// values, or a text.
type value struct {
	kind   byte // 'n'umber, 's'eries, 'l'ist, 't'ext
	number float64
	row    row
	list   []value
	text   string
}

// row is one time series, NaN where there is nothing.
type row struct {
	frame
	label  string
	values []float64
	from   *metricStat // of a metric itself: for SERVICE_QUOTA
}

type timed struct {
	second int64
	value  float64
}

// points are those that there are, newest first unless ascending.
func (r row) points(ascending bool) []timed {
	var out []timed
	for i, v := range r.values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out = append(out, timed{r.start + int64(i)*r.period, v})
		}
	}
	if !ascending {
		slices.Reverse(out)
	}
	return out
}

// evaluator computes the queries of one call.
type evaluator struct {
	queries []*query
	frameOf func(period int64) frame
	fetch   func(*metricStat, frame) []float64
	quota   func(*metricStat) (float64, bool)

	done map[string]value
	busy map[string]bool
	work int // windows computed
}

func (s *Service) evaluator(queries []*query, start, end, now time.Time) *evaluator {
	return &evaluator{
		queries: queries, done: map[string]value{}, busy: map[string]bool{},
		frameOf: func(period int64) frame { return frameOf(start, end, now, period) },
		fetch:   func(m *metricStat, f frame) []float64 { return s.fetch(m, f, now) },
		quota:   s.quotaOf,
	}
}

// quotaOf is the quota behind a usage metric, for those that have one.
func (s *Service) quotaOf(m *metricStat) (float64, bool) {
	if m.namespace != "AWS/Usage" {
		return 0, false
	}
	for _, d := range m.dimensions {
		if d.Name == "Resource" {
			q, ok := s.cfg.Quotas[d.Value]
			return q, ok
		}
	}
	return 0, false
}

// rows are the time series of a query: one, or several for a list.
func (e *evaluator) rows(q *query) ([]row, error) {
	v, err := e.query(q)
	if err != nil {
		return nil, err
	}
	list := []value{v}
	if v.kind == 'l' {
		list = v.list
	}
	var out []row
	for _, v := range list {
		switch {
		case v.kind == 's':
		case v.kind == 'n' && len(list) == 1 && v.kind != 'l':
			return nil, validation("Error in expression '%s' [The expression must return a time series: it is a number].", q.id)
		default:
			return nil, validation("Error in expression '%s' [The expression must return time series].", q.id)
		}
		r := v.row
		if q.label != "" {
			r.label = q.label
		} else if q.expression != "" && len(list) == 1 {
			r.label = q.id
		}
		out = append(out, r)
	}
	return out, nil
}

func (e *evaluator) query(q *query) (value, error) {
	if v, ok := e.done[q.id]; ok {
		return v, nil
	}
	if e.busy[q.id] {
		return value{}, validation("Error in expression '%s' [Circular reference].", q.id)
	}
	e.busy[q.id] = true
	defer delete(e.busy, q.id)
	var v value
	if q.metric != nil {
		f := e.frameOf(q.metric.period)
		if e.work += f.n; e.work > maxWork {
			return value{}, validation("The request asks for too many datapoints: narrow the time range or make the period longer.")
		}
		v = value{kind: 's', row: row{f, q.metric.name, e.fetch(q.metric, f), q.metric}}
	} else {
		p := parser{e: e, q: q, rest: q.expression}
		var err error
		if v, err = p.whole(); err != nil {
			return value{}, err
		}
	}
	e.done[q.id] = v
	return v, nil
}

// parser reads an expression and computes it on the way.
type parser struct {
	e     *evaluator
	q     *query
	rest  string
	depth int
}

func (p *parser) fail(format string, args ...any) error {
	return validation("Error in expression '%s' ["+format+"].", append([]any{p.q.id}, args...)...)
}

func (p *parser) whole() (value, error) {
	if len(p.rest) > 2048 {
		return value{}, p.fail("longer than 2048 characters")
	}
	v, err := p.binary(0)
	if err == nil && p.peek() != "" {
		err = p.fail("Unexpected %q", p.rest[:min(20, len(p.rest))])
	}
	return v, err
}

// operators by binding, the loosest first.
var operators = [][]string{{"||", "OR"}, {"&&", "AND"}, {"==", "!=", "<=", ">=", "<", ">"}, {"+", "-"}, {"*", "/"}, {"^"}}

func (p *parser) peek() string {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	return p.rest
}

func (p *parser) take(token string) bool {
	if !strings.HasPrefix(p.peek(), token) {
		return false
	}
	if rest := p.rest[len(token):]; token[0] >= 'A' && token[0] <= 'Z' && rest != "" && word(rest[0]) {
		return false
	}
	p.rest = p.rest[len(token):]
	return true
}

func word(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func (p *parser) binary(level int) (value, error) {
	if level == len(operators) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
next:
	for err == nil {
		for _, op := range operators[level] {
			if p.take(op) {
				var right value
				if right, err = p.binary(level + 1); err == nil {
					left, err = p.combine(op, left, right)
				}
				continue next
			}
		}
		break
	}
	return left, err
}

func (p *parser) unary() (value, error) {
	if p.depth++; p.depth > 64 {
		return value{}, p.fail("Nested too deeply")
	}
	defer func() { p.depth-- }()
	if p.take("-") {
		v, err := p.unary()
		if err != nil {
			return v, err
		}
		return p.combine("*", value{kind: 'n', number: -1}, v)
	}
	return p.primary()
}

func (p *parser) primary() (value, error) {
	if p.take("(") {
		v, err := p.binary(0)
		if err == nil && !p.take(")") {
			err = p.fail("A closing parenthesis is missing")
		}
		return v, err
	}
	if p.take("[") {
		list, err := p.arguments("]")
		return value{kind: 'l', list: list}, err
	}
	text := p.peek()
	if text == "" {
		return value{}, p.fail("Something is missing at the end")
	}
	if text[0] == '"' || text[0] == '\'' {
		i := strings.IndexByte(text[1:], text[0])
		if i < 0 {
			return value{}, p.fail("A closing quote is missing")
		}
		p.rest = text[i+2:]
		return value{kind: 't', text: text[1 : i+1]}, nil
	}
	n := 0
	for n < len(text) && (word(text[n]) || text[n] == '.') {
		n++
	}
	name := text[:n]
	p.rest = text[n:]
	if n > 0 && (text[0] >= '0' && text[0] <= '9' || text[0] == '.') {
		f, err := strconv.ParseFloat(name, 64)
		if err != nil || strings.ContainsAny(name, "xXpP_nN") {
			return value{}, p.fail("%q is not a number", name)
		}
		return value{kind: 'n', number: f}, nil
	}
	if n == 0 {
		return value{}, p.fail("Unexpected %q", text[:1])
	}
	if name[0] >= 'a' && name[0] <= 'z' {
		for _, q := range p.e.queries {
			if q.id == name {
				return p.e.query(q)
			}
		}
		return value{}, p.fail("There is no query with the id %s", name)
	}
	if name == "REPEAT" {
		return value{kind: 't', text: name}, nil
	}
	if !p.take("(") {
		return value{}, p.fail("Unexpected %q", name)
	}
	args, err := p.arguments(")")
	if err != nil {
		return value{}, err
	}
	return p.call(name, args)
}

func (p *parser) arguments(end string) ([]value, error) {
	var args []value
	if p.take(end) {
		return args, nil
	}
	for {
		v, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
		if p.take(end) {
			return args, nil
		}
		if !p.take(",") {
			return nil, p.fail("Want a comma or %s", end)
		}
	}
}

// combine applies an operator, number by number.
func (p *parser) combine(op string, a, b value) (value, error) {
	f := operation(op)
	switch {
	case a.kind == 'n' && b.kind == 'n':
		return value{kind: 'n', number: f(a.number, b.number)}, nil
	case a.kind == 's' && b.kind == 'n':
		return p.each(a, func(x float64) float64 { return f(x, b.number) })
	case a.kind == 'n' && b.kind == 's':
		return p.each(b, func(x float64) float64 { return f(a.number, x) })
	case a.kind == 's' && b.kind == 's':
		return p.zip([]value{a, b}, func(xs []float64) float64 { return f(xs[0], xs[1]) })
	case a.kind == 'l' && (b.kind == 'n' || b.kind == 's'), b.kind == 'l' && (a.kind == 'n' || a.kind == 's'):
		list, flip := a, false
		if b.kind == 'l' {
			list, flip = b, true
		}
		out := value{kind: 'l'}
		for _, v := range list.list {
			x, y := v, b
			if flip {
				x, y = a, v
			}
			r, err := p.combine(op, x, y)
			if err != nil {
				return value{}, err
			}
			out.list = append(out.list, r)
		}
		return out, nil
	}
	return value{}, p.fail("Unsupported operand type(s) for %s", op)
}

func operation(op string) func(a, b float64) float64 {
	truth := func(f func(a, b float64) bool) func(a, b float64) float64 {
		return func(a, b float64) float64 {
			if math.IsNaN(a) || math.IsNaN(b) {
				return math.NaN()
			}
			if f(a, b) {
				return 1
			}
			return 0
		}
	}
	switch op {
	case "+":
		return func(a, b float64) float64 { return a + b }
	case "-":
		return func(a, b float64) float64 { return a - b }
	case "*":
		return func(a, b float64) float64 { return a * b }
	case "/":
		return func(a, b float64) float64 {
			if b == 0 {
				return math.NaN() // no point, as AWS has it
			}
			return a / b
		}
	case "^":
		return math.Pow
	case "==":
		return truth(func(a, b float64) bool { return a == b })
	case "!=":
		return truth(func(a, b float64) bool { return a != b })
	case "<":
		return truth(func(a, b float64) bool { return a < b })
	case ">":
		return truth(func(a, b float64) bool { return a > b })
	case "<=":
		return truth(func(a, b float64) bool { return a <= b })
	case ">=":
		return truth(func(a, b float64) bool { return a >= b })
	case "&&", "AND":
		return truth(func(a, b float64) bool { return a != 0 && b != 0 })
	}
	return truth(func(a, b float64) bool { return a != 0 || b != 0 })
}

func (p *parser) each(v value, f func(float64) float64) (value, error) {
	return p.zip([]value{v}, func(xs []float64) float64 { return f(xs[0]) })
}

// zip works on series of the same windows, side by side.
func (p *parser) zip(vs []value, f func([]float64) float64) (value, error) {
	out := value{kind: 's', row: row{frame: vs[0].row.frame, label: p.q.id}}
	if p.e.work += out.row.n; p.e.work > maxWork {
		return value{}, p.fail("The request asks for too many datapoints")
	}
	for _, v := range vs {
		if v.kind != 's' {
			return value{}, p.fail("A time series is wanted")
		}
		if v.row.frame != out.row.frame {
			return value{}, p.fail("This stand-in wants the same period in all metrics of an expression")
		}
	}
	xs := make([]float64, len(vs))
	out.row.values = make([]float64, out.row.n)
	for i := range out.row.values {
		for k, v := range vs {
			xs[k] = v.row.values[i]
		}
		out.row.values[i] = f(xs)
	}
	return out, nil
}
