package threshold

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/internal/tally"
)

// Watched returns the name of the watched figure that the condition is about,
// "" when it is about hits.
func (e *Expr) Watched() string {
	if e.metric.subject != "watch" {
		return ""
	}
	return e.metric.request
}

// found is one watched figure that a name fits, with what a statistic of it is.
type found struct {
	title, unit string
	exact       bool // the name is its own, not that of its group
	value       float64
	text        string // the value for people
	none        string // why it has no value
}

// fits says whether a name means a figure, and whether it is the figure's own.
// A figure can be named by itself, by its group, by both, and each with its source.
func fits(name, source, group, figure string) (fit, exact bool) {
	for _, n := range []string{name, strings.TrimSpace(cutFold(name, source))} {
		for _, own := range []string{figure, group + ": " + figure, group + ", " + figure} {
			if strings.EqualFold(n, own) {
				return true, true
			}
		}
		fit = fit || strings.EqualFold(n, group)
	}
	return fit, false
}

// cutFold removes a prefix, whatever its case.
func cutFold(s, prefix string) string {
	if len(s) > len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):]
	}
	return s
}

func title(source, group, name string) string {
	if group == name {
		return source + " " + name
	}
	return source + " " + group + ": " + name
}

// readWatched reads a watched figure over the run so far.
func (e *Expr) readWatched(t *tally.Totals) reading {
	m := &e.metric
	var list []found
	for _, w := range t.Watched() {
		fit, exact := fits(m.request, w.Source, w.Group, w.Name)
		if !fit {
			continue
		}
		f := found{title: title(w.Source, w.Group, w.Name), unit: w.Unit, exact: exact}
		switch {
		case m.stat == "used" && w.Shares == 0:
			f.none = "has no limit"
		case m.stat == "used":
			f.value = w.MaxShare
			if w.Limit > 0 {
				f.text = fmt.Sprintf(" of %s", number(w.Limit))
			}
		case w.Readings == 0:
			f.none = "was not read"
		case m.stat == "min":
			f.value = w.Min
		case m.stat == "mean":
			f.value = w.Mean()
		case m.stat == "last":
			f.value = w.Last
		default:
			f.value = w.Max
		}
		list = append(list, f)
	}
	return e.choose(list)
}

// readWatchedTick reads a watched figure in one tick.
func (e *Expr) readWatchedTick(k *tally.Tick) reading {
	var one tally.Totals
	one.AddWatched(k)
	return e.readWatched(&one)
}

// choose picks the figure that decides. A name that fits several, such as the
// series of one question to Prometheus, means any of them.
func (e *Expr) choose(list []found) reading {
	m := &e.metric
	own := list[:0:0]
	for _, f := range list {
		if f.exact {
			own = append(own, f)
		}
	}
	if len(own) > 0 {
		list = own
	}
	if len(list) == 0 {
		return reading{none: "nothing that is watched is called " + strconv.Quote(m.request)}
	}
	for _, f := range list[1:] {
		if f.unit != list[0].unit {
			return reading{none: fmt.Sprintf("%q can be %s and %s: write one of these", m.request, list[0].title, f.title)}
		}
	}
	best := -1
	highest := (e.op != "<" && e.op != "<=") != e.wanted
	for i, f := range list {
		switch {
		case f.none != "":
		case best < 0, f.value > list[best].value && highest, f.value < list[best].value && !highest:
			best = i
		}
	}
	if best < 0 {
		return reading{none: list[0].title + " " + list[0].none}
	}
	f := list[best]
	if want := e.limit.per; want != "" && m.stat != "used" && want != f.unit {
		have := f.unit
		if have == "" {
			have = "a number without a unit"
		}
		return reading{none: fmt.Sprintf("%s is %s, which cannot be compared with %s", f.title, have, e.limit.text)}
	}
	r := reading{number: f.value, detail: " (" + f.title + ")"}
	if m.stat == "used" {
		r.detail = f.text + r.detail
	} else if f.unit != "" {
		r.detail = spaced(f.unit) + r.detail
	}
	return r
}

// spaced is a unit behind a number.
func spaced(unit string) string {
	if strings.HasPrefix(unit, "/") || unit == "%" {
		return unit
	}
	return " " + unit
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
