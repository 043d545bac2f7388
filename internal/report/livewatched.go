package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/tally"
)

// Watched figures take a few lines of the live view: those with a limit first,
// the fullest of them at the top, then one of each group.
const (
	fewWatched  = 3 // lines in a terminal of the usual height
	manyWatched = 8 // and in one of manyRows or more
	manyRows    = 36
	stale       = 5 * time.Second // a reading older than this is not "now"
)

// watchedNow is the figures of the system under test in the order in which they
// are worth a line.
func (l *Live) watchedNow() []*tally.WatchedTotals {
	list := l.totals.Watched()
	full := func(w *tally.WatchedTotals) float64 {
		if w.Limit > 0 {
			return w.Last / w.Limit
		}
		if w.Readings == 0 && w.Shares > 0 { // it refuses, and its limit is not known
			return 1
		}
		return -1
	}
	seen := map[string]int{}
	turn := map[*tally.WatchedTotals]int{} // among those of its group that are worth a line
	for _, w := range list {
		group := w.Source + "\x00" + w.Group
		if full(w) >= 0 || w.Last != 0 {
			turn[w] = seen[group]
			seen[group]++
		} else {
			turn[w] = 1000 // nothing to see
		}
	}
	slices.SortStableFunc(list, func(a, b *tally.WatchedTotals) int {
		if c := cmp.Compare(full(b), full(a)); c != 0 {
			return c
		}
		return cmp.Compare(turn[a], turn[b])
	})
	return list
}

// watchedLines is the table of what is watched, nil when nothing is.
func (l *Live) watchedLines(width, rows int) []line {
	list := l.watchedNow()
	if len(list) == 0 {
		return nil
	}
	most := fewWatched
	if rows >= manyRows {
		most = manyWatched
	}
	list, more := list[:min(most, len(list))], len(list)-most
	wide := 0
	for _, w := range list {
		wide = max(wide, cells(figUnitOr(lastOf(w), w.Unit)))
	}
	t := &grid{left: 3}
	for _, w := range list {
		t.row(span{clean(watchedTitle(w)), plain}, cell(padLeft(figUnitOr(lastOf(w), w.Unit), wide)), l.watchedState(w))
	}
	lines := t.lines(width)
	if more > 0 && rows >= manyRows {
		lines = append(lines, line{{"and " + plural(int64(more), "more figure", "more figures") + ", in the report", faint}})
	}
	return lines
}

func watchedTitle(w *tally.WatchedTotals) string {
	x := Watched{Source: w.Source, Group: w.Group, Name: w.Name}
	return x.Title()
}

func lastOf(w *tally.WatchedTotals) *float64 {
	if w.Readings == 0 {
		return nil
	}
	return &w.Last
}

// watchedState is how full a figure is, and since when it is at its limit.
func (l *Live) watchedState(w *tally.WatchedTotals) span {
	now := l.flow.total
	if w.Readings > 0 && now-w.LastAt > stale {
		return span{"not read since " + figAt(w.LastAt), faint}
	}
	text := ""
	if w.Limit > 0 {
		text = "of " + figUnit(w.Limit, w.Unit) + ", " + figShare(w.Last/w.Limit)
	}
	if all := w.Saturations(); len(all) > 0 && w.Saturated() {
		return span{strings.TrimPrefix(text+", FULL since "+figAt(all[len(all)-1].From), ", "), bad}
	}
	return span{text, faint}
}

// watchedPlain is what a line for a pipe has of it: the figures with a limit.
func (l *Live) watchedPlain() string {
	var b strings.Builder
	for i, w := range l.watchedNow() {
		if i == fewWatched || w.Limit <= 0 {
			break
		}
		b.WriteString("  " + clean(watchedTitle(w)) + " " + figUnitOr(lastOf(w), w.Unit) + " of " + figUnit(w.Limit, w.Unit))
	}
	return b.String()
}
