package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// fewLimits is how many limits have a line in the live view, those nearest to
// their end; manyLimits in a terminal of manyRows or more.
const (
	fewLimits  = 2
	manyLimits = 6
)

// limitsNow is what was told in the latest seconds, the most urgent first.
func (l *Live) limitsNow() []*tally.ToldTotals {
	list := slices.DeleteFunc(l.totals.Told(), func(r *tally.ToldTotals) bool { return l.flow.total-r.At > stale })
	rank := func(r *tally.ToldTotals) float64 {
		switch r.Forecast {
		case "within":
			return r.Soonest.Seconds()
		case "after":
			return 1e6 + r.Soonest.Seconds()
		case "unknown":
			return 1e9
		}
		return 1e12
	}
	slices.SortStableFunc(list, func(a, b *tally.ToldTotals) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

// limitLines are the limits that the answers tell of, nil when they do not.
func (l *Live) limitLines(width, rows int) []line {
	list := l.limitsNow()
	most := fewLimits
	if rows >= manyRows {
		most = manyLimits
	}
	g := &grid{left: 3}
	for _, r := range list[:min(most, len(list))] {
		g.row(span{clean("limit of " + title(r.Method, r.Name)), plain}, cell(liveLeft(&r.Told, l.flow.total)), l.liveForecast(&r.Told))
	}
	if len(g.rows) == 0 {
		return nil
	}
	return g.lines(width)
}

// liveLeft is "12 of 100 left, reset in 5 s, 9.5/s used".
func liveLeft(t *tally.Told, now time.Duration) string {
	text := "? left"
	if t.Left != tally.NotTold {
		text = figCount(t.Left) + " left"
	}
	if t.Quota != tally.NotTold && t.Left != tally.NotTold {
		text = figCount(t.Left) + " of " + figCount(t.Quota) + " left"
	}
	if t.Limit != "" {
		text = t.Limit + ": " + text
	}
	if d := t.Reset - now; t.Reset >= 0 && d > 0 {
		text += ", reset in " + figAhead(d)
	}
	return clean(text) + ", " + figRateShort(t.Used) + "/s used"
}

func (l *Live) liveForecast(t *tally.Told) span {
	st := faint
	if t.Forecast == "within" {
		st = styleThrottled
	}
	return span{"throttled " + clean(forecastWords(t)), st}
}

// limitsPlain is what a line for a pipe has of it: the limit that comes next.
func (l *Live) limitsPlain() string {
	list := l.limitsNow()
	if len(list) == 0 {
		return ""
	}
	t := &list[0].Told
	return "  limit of " + clean(title(t.Method, t.Name)) + ": " + liveLeft(t, l.flow.total) + ", throttled " + clean(forecastWords(t))
}
