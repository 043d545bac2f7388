package report

import (
	"fmt"
	"slices"
)

// Bounds on what the page shows of watched figures; the JSON has all.
const (
	mostWatchCharts = 24
	mostWatchLines  = 12
)

// watchChart is a chart of watched figures in the data block of the page.
type watchChart struct {
	ID    string      `json:"id"`
	Unit  string      `json:"unit"`
	Every float64     `json:"every"` // seconds from one reading to the next; a longer break is one
	Lines []watchLine `json:"lines"`

	title, note string
	rows        []*WatchedSeries // of the table
}

type watchLine struct {
	Name  string     `json:"name"`
	Limit bool       `json:"limit"` // it is the limit of the line before
	Data  []*float64 `json:"data"`
}

// watchCharts makes a chart for each source, group and unit. One in which
// nothing ever differed from zero says nothing, and is named in quiet instead.
func watchCharts(s *Summary) (charts []watchChart, quiet []string, more int) {
	all, rows := s.Series.Watched, s.rows.Watched
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && all[to].Source == all[from].Source && all[to].Group == all[from].Group && all[to].Unit == all[from].Unit {
			to++
		}
		group := all[from:to]
		from = to
		title := clean(group[0].Source + ": " + group[0].Group + unitWords(group[0].Unit))
		if !slices.ContainsFunc(group, moves) {
			quiet = append(quiet, title)
			continue
		}
		if len(charts) == mostWatchCharts {
			more++
			continue
		}
		c := watchChart{ID: fmt.Sprintf("watch-%d", len(charts)), Unit: clean(group[0].Unit), title: title, Every: group[0].every}
		for i := range group {
			g := &group[i]
			if i == mostWatchLines {
				c.note = fmt.Sprintf("%d more lines are in the JSON.", len(group)-i)
				break
			}
			c.Every = max(c.Every, g.every)
			c.Lines = append(c.Lines, watchLine{Name: clean(g.Name), Data: g.Values})
			if g.Limits != nil {
				c.Lines = append(c.Lines, watchLine{Name: "limit", Limit: true, Data: g.Limits})
			}
			for j := range rows {
				if r := &rows[j]; r.Source == g.Source && r.Group == g.Group && r.Name == g.Name && r.Unit == g.Unit {
					c.rows = append(c.rows, r)
				}
			}
		}
		c.Lines = oneLimit(c.Lines)
		charts = append(charts, c)
	}
	return charts, quiet, more
}

// unitWords is what a title says of a unit that the figures do not carry.
func unitWords(unit string) string {
	switch unit {
	case "", "s", "bytes", "bytes/s":
		return ""
	case "/s":
		return " per second"
	}
	return ", " + unit
}

func moves(s WatchedSeries) bool {
	return s.Limits != nil || slices.ContainsFunc(s.Values, func(v *float64) bool { return v != nil && *v != 0 })
}

// oneLimit draws limits that are all alike once.
func oneLimit(lines []watchLine) []watchLine {
	var first *watchLine
	same := func(a, b []*float64) bool {
		return slices.EqualFunc(a, b, func(x, y *float64) bool { return x == nil || y == nil || *x == *y })
	}
	out := slices.DeleteFunc(slices.Clone(lines), func(l watchLine) bool { return l.Limit })
	for i := range lines {
		l := &lines[i]
		if !l.Limit {
			continue
		}
		if first == nil {
			first = l
			continue
		}
		if !same(first.Data, l.Data) {
			return lines
		}
	}
	if first != nil {
		out = append(out, *first)
	}
	return out
}

// watchBlocks are the charts of watched figures with their tables.
func (p *page) watchBlocks() []chartBlock {
	var out []chartBlock
	r := &p.S.rows
	for _, c := range p.Data.Watched {
		step := "one second"
		if r.Step > 1 {
			step = figSpan(secDuration(float64(r.Step))) + ", highest reading in it"
		}
		table := dataTable{Caption: c.title + ", a row for " + step}
		for _, s := range c.rows {
			table.Head = append(table.Head, clean(s.Name))
			if s.Limits != nil {
				table.Head = append(table.Head, "limit")
			}
		}
		for i := range r.At {
			row := dataRow{From: figClock(secDuration(r.At[i]))}
			for _, s := range c.rows {
				row.Cells = append(row.Cells, figUnitOr(s.Values[i], s.Unit))
				if s.Limits != nil {
					row.Cells = append(row.Cells, figUnitOr(s.Limits[i], s.Unit))
				}
			}
			table.Rows = append(table.Rows, row)
		}
		note := c.note
		if p.S.Series.Step > 1 {
			note = "Each point is the highest reading in it. " + note
		}
		aria := fmt.Sprintf("Line chart over %s. %s%s. The arrow keys move along the line; the table below has the figures.", figSpan(p.S.length), c.title, c.peaks())
		out = append(out, chartBlock{ID: c.ID, Title: c.title, Note: note, Aria: aria, Table: table})
	}
	return out
}

// peaks says how high each line went, for those who do not see it.
func (c *watchChart) peaks() string {
	text := ""
	for i, l := range c.Lines {
		var top *float64
		for _, v := range l.Data {
			if v != nil && (top == nil || *v > *top) {
				top = v
			}
		}
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		if l.Limit {
			text += sep + "limit " + figUnitOr(top, c.Unit)
			continue
		}
		text += sep + l.Name + " at most " + figUnitOr(top, c.Unit)
	}
	return text
}

// MoreCharts is how many charts there is no room for.
func (p *page) MoreCharts() int { return p.moreCharts }

// Quiet are the charts that are left out, because nothing ever differed from zero.
func (p *page) Quiet() []string { return p.quiet }
