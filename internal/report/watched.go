package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// Watched is one figure of the system under test over the run.
type Watched struct {
	Source    string       `json:"source"`
	Group     string       `json:"group"` // figures of one source and group share a chart
	Name      string       `json:"name"`
	Unit      string       `json:"unit"`
	Limit     *float64     `json:"limit,omitempty"` // the latest; absent = it has none
	LimitName string       `json:"limit_name,omitempty"`
	Readings  int64        `json:"readings"`
	Min       *float64     `json:"min,omitempty"`
	Mean      *float64     `json:"mean,omitempty"`
	Max       *float64     `json:"max,omitempty"`
	MaxAt     *float64     `json:"max_at_seconds,omitempty"`
	Last      *float64     `json:"last,omitempty"`
	Saturated []Saturation `json:"saturated"` // the first stretches in which it was at its limit and stayed
	Stretches int64        `json:"saturated_stretches"`
}

// Saturation is a stretch of time in which a watched figure was at its limit:
// within 5 % of it, and not below 90 % until the end.
type Saturation struct {
	From    float64  `json:"from_seconds"`
	To      float64  `json:"to_seconds"`
	Peak    float64  `json:"peak"`
	Limit   *float64 `json:"limit,omitempty"`
	Refused int64    `json:"refused"` // how often the source was too full to be asked
}

// Statement is one of the slowest kinds of query of a watched database.
type Statement struct {
	Source string  `json:"source"`
	ID     string  `json:"id"`
	Text   string  `json:"text"` // one line, without values
	Calls  int64   `json:"calls"`
	Mean   float64 `json:"mean_ms"`
	Total  float64 `json:"total_ms"`
	Rows   int64   `json:"rows"`
}

// WatchedSeries is one watched figure over time: its highest reading in each
// point. A null is a point without a reading.
type WatchedSeries struct {
	Source string     `json:"source"`
	Group  string     `json:"group"`
	Name   string     `json:"name"`
	Unit   string     `json:"unit"`
	Values []*float64 `json:"values"`
	Limits []*float64 `json:"limits,omitempty"` // absent when it has none

	every float64 // seconds from one reading to the next, as a rule
}

func watchedOf(t *tally.Totals) []Watched {
	out := []Watched{}
	for _, w := range t.Watched() {
		x := Watched{
			Source: w.Source, Group: w.Group, Name: w.Name, Unit: w.Unit, LimitName: w.LimitName,
			Readings: w.Readings, Saturated: []Saturation{}, Stretches: w.Stretches(), Limit: limited(w.Limit),
		}
		if w.Readings > 0 {
			low, mean, high, last, at := w.Min, w.Mean(), w.Max, w.Last, secs(w.MaxAt)
			x.Min, x.Mean, x.Max, x.Last, x.MaxAt = &low, &mean, &high, &last, &at
		}
		for _, s := range w.Saturations() {
			x.Saturated = append(x.Saturated, Saturation{From: secs(s.From), To: secs(s.To), Peak: s.Peak, Limit: limited(s.Limit), Refused: s.Refused})
		}
		out = append(out, x)
	}
	return out
}

func limited(l float64) *float64 {
	if l > 0 && !math.IsInf(l, 0) {
		return &l
	}
	return nil
}

func statementsOf(end *End) []Statement {
	out := []Statement{}
	if end == nil {
		return out
	}
	for i := range end.Statements {
		s := &end.Statements[i]
		out = append(out, Statement{Source: s.Source, ID: s.ID, Text: s.Text, Calls: s.Calls, Mean: ms(s.Mean()), Total: ms(s.Time), Rows: s.Rows})
	}
	return out
}

// watchKey tells watched figures apart.
type watchKey struct{ source, group, name, unit string }

// reading is what a point has of a figure; NaN is nothing.
type reading struct{ value, limit float64 }

// watchColumns gives each figure a place in the points of a track.
type watchColumns struct {
	place map[watchKey]int
	keys  []watchKey
	// times between readings, to tell a break from the ordinary
	last  []time.Duration
	steps [][]time.Duration
}

// mostSteps is how many times between readings are looked at for a figure.
const mostSteps = 200

// readings returns the readings of a tick by place.
func (c *watchColumns) readings(k *tally.Tick) []reading {
	var out []reading
	for i := range k.Watched {
		w := &k.Watched[i]
		if math.IsNaN(w.Value) || math.IsInf(w.Value, 0) {
			continue
		}
		key := watchKey{w.Source, w.Group, w.Name, w.Unit}
		n, known := c.place[key]
		if !known {
			if len(c.keys) >= tally.MaxWatched {
				continue
			}
			if c.place == nil {
				c.place = map[watchKey]int{}
			}
			n = len(c.keys)
			c.place[key] = n
			c.keys, c.last, c.steps = append(c.keys, key), append(c.last, w.At), append(c.steps, nil)
		} else if len(c.steps[n]) < mostSteps && w.At > c.last[n] {
			c.steps[n] = append(c.steps[n], w.At-c.last[n])
		}
		c.last[n] = w.At
		limit := math.NaN()
		if l := limited(w.Limit); l != nil {
			limit = *l
		}
		if w.Refused && math.IsNaN(limit) {
			continue // there is nothing to draw
		}
		out = joinReadings(out, n, reading{w.Value, limit})
	}
	return out
}

// joinReadings puts r in its place, or keeps the higher value.
func joinReadings(list []reading, place int, r reading) []reading {
	for len(list) <= place {
		list = append(list, reading{math.NaN(), math.NaN()})
	}
	have := &list[place]
	if math.IsNaN(have.value) || r.value > have.value {
		have.value = r.value
	}
	if !math.IsNaN(r.limit) {
		have.limit = r.limit
	}
	return list
}

// watchedSeries makes a column of each figure, sorted as the charts are.
func (tr *track) watchedSeries() []WatchedSeries {
	out := []WatchedSeries{}
	for n, key := range tr.watch.keys {
		s := WatchedSeries{Source: key.source, Group: key.group, Name: key.name, Unit: key.unit, Values: []*float64{}}
		has := false
		for i := range tr.points {
			r := reading{math.NaN(), math.NaN()}
			if list := tr.points[i].watched; n < len(list) {
				r = list[n]
			}
			s.Values, s.Limits = append(s.Values, optional(r.value)), append(s.Limits, optional(r.limit))
			has = has || !math.IsNaN(r.limit)
		}
		if !has {
			s.Limits = nil
		}
		if steps := slices.Sorted(slices.Values(tr.watch.steps[n])); len(steps) > 0 {
			s.every = secs(steps[len(steps)/2])
		}
		out = append(out, s)
	}
	// A chart with a limit comes first, and in it the line that has it.
	first := map[[2]string]bool{}
	for _, s := range out {
		if s.Limits != nil {
			first[[2]string{s.Source, s.Group}] = true
		}
	}
	rank := func(yes bool) int {
		if yes {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(a, b WatchedSeries) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source),
			cmp.Compare(rank(first[[2]string{a.Source, a.Group}]), rank(first[[2]string{b.Source, b.Group}])), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Unit, b.Unit),
			cmp.Compare(rank(a.Limits != nil), rank(b.Limits != nil)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func optional(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	v = round(v, 1e6)
	return &v
}

// mostBottlenecks is how many of them the answer names.
const mostBottlenecks = 3

// bottleneckWords names what was at its limit, the earliest first.
func bottleneckWords(s *Summary) []string {
	type found struct {
		from float64
		text string
	}
	var list []found
	for i := range s.Watched {
		w := &s.Watched[i]
		if len(w.Saturated) == 0 {
			continue
		}
		x := w.Saturated[0]
		list = append(list, found{x.From, "Bottleneck: " + saturationWords(w, x, s.Run.Seconds)})
	}
	slices.SortStableFunc(list, func(a, b found) int { return cmp.Compare(a.from, b.from) })
	var out []string
	for i, f := range list {
		if i == mostBottlenecks {
			out = append(out, plural(int64(len(list)-i), "more watched figure was at its limit.", "more watched figures were at their limits."))
			break
		}
		out = append(out, f.text)
	}
	return out
}

func saturationWords(w *Watched, x Saturation, end float64) string {
	what := w.Source + " " + w.Name
	if w.Name != w.Group && !strings.Contains(w.Name, w.Group) {
		what = w.Source + " " + w.Group + ", " + w.Name + ","
	}
	text := what + " had none left"
	if x.Limit != nil {
		text = what + " reached " + figUnit(x.Peak, w.Unit) + " of " + figUnit(*x.Limit, w.Unit)
		if w.LimitName != "" && w.LimitName != "limit" {
			text += " (" + w.LimitName + ")"
		}
	}
	// More than a few seconds before the end it gave way again.
	const calm = 3
	switch {
	case x.From == x.To:
		text += " at " + figAt(secDuration(x.From))
	case end-x.To > calm || w.Stretches > 1:
		text += " from " + figAt(secDuration(x.From)) + " to " + figAt(secDuration(x.To))
		if w.Stretches > 1 {
			text += ", and " + plural(w.Stretches-1, "more time", "more times")
		}
	default:
		text += " from " + figAt(secDuration(x.From)) + " on"
	}
	text += "."
	var refused int64
	for _, s := range w.Saturated {
		refused += s.Refused
	}
	if refused > 0 {
		text += " It refused further connections."
	}
	return text
}

// counted is the end of the name of a figure that counts up since the start.
const counted = " since the start"

// countedWords tells of what should not happen at all, such as deadlocks.
func countedWords(s *Summary) []string {
	var out []string
	for _, w := range s.Watched {
		what, ok := strings.CutSuffix(w.Name, counted)
		if !ok || w.Max == nil || *w.Max <= 0 {
			continue
		}
		n := int64(math.Round(*w.Max))
		out = append(out, fmt.Sprintf("%s counted %s.", w.Source, plural(n, strings.TrimSuffix(what, "s"), what)))
	}
	return out
}

// figUnit writes a watched figure with its unit.
func figUnit(v float64, unit string) string {
	switch unit {
	case "":
		return figRateShort(v)
	case "s":
		if v < 0 {
			return "-" + figUnit(-v, unit)
		}
		return figTime(secDuration(min(v, 1e9)))
	case "bytes":
		return figBytes(v)
	case "bytes/s":
		return figBytes(v) + "/s"
	case "/s":
		return figRateShort(v) + "/s"
	}
	return figRateShort(v) + " " + clean(unit)
}

// figUnitOr is – for what is missing.
func figUnitOr(v *float64, unit string) string {
	if v == nil {
		return "–"
	}
	return figUnit(*v, unit)
}

// limitedFigures are those with a limit, for tables that have little room.
func (s *Summary) limitedFigures() []Watched {
	var out []Watched
	for _, w := range s.Watched {
		if w.Limit != nil || len(w.Saturated) > 0 {
			out = append(out, w)
		}
	}
	return out
}

// Title names a figure with its source and chart.
func (w *Watched) Title() string {
	if w.Name == w.Group {
		return w.Source + " " + w.Name
	}
	return w.Source + " " + w.Group + ": " + w.Name
}

// From is when it reached its limit, – when it did not.
func (w *Watched) From() string {
	if len(w.Saturated) == 0 {
		return "–"
	}
	return figAt(secDuration(w.Saturated[0].From))
}

// Cells are the figures of a row: lowest, mean, highest, when, limit.
func (w *Watched) Cells() []string {
	return []string{figUnitOr(w.Min, w.Unit), figUnitOr(w.Mean, w.Unit), figUnitOr(w.Max, w.Unit), atWords(w.MaxAt), figUnitOr(w.Limit, w.Unit)}
}
