package tally

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// ToldTotals is what became of one limit of one request name over the run. The
// embedded row is the latest, with all Read and the smallest Least.
type ToldTotals struct {
	Told
	At    time.Duration // end of the tick that told it
	First time.Duration // end of the first tick that told of it
	Ticks int64
	Peak  float64 // most units used in a second
	// Foretold is the forecast that stood last before the first refusal of this
	// name; Told.Forecast is "" when there was none.
	Foretold   Told
	ForetoldAt time.Duration // as At
}

// MaxTold is how many limits, and how many rows of each other kind, Totals keeps apart.
const MaxTold = 500

// limitSums is what Totals knows of limits.
type limitSums struct {
	told    map[toldKey]*ToldTotals
	clashes map[[3]string]*Clash
	waits   map[nameKey]*Waits
	work    map[nameKey]*Work
	refused map[nameKey]bool // names that were throttled
	recover time.Duration    // longest time from a last refusal to the last piece that came again
	dropped int64
}

func (l *limitSums) add(k *Tick, throttling []Interval) {
	for i := range k.Series {
		if s := &k.Series[i]; s.Outcome == hit.Throttled && s.Count > 0 {
			if l.refused == nil {
				l.refused = map[nameKey]bool{}
			}
			l.refused[nameKey{s.Name, s.Method}] = true
		}
	}
	if k.Limits.Empty() {
		return
	}
	if l.told == nil {
		l.told, l.clashes = map[toldKey]*ToldTotals{}, map[[3]string]*Clash{}
		l.waits, l.work = map[nameKey]*Waits{}, map[nameKey]*Work{}
	}
	end := k.Start + k.Length
	for i := range k.Limits.Told {
		t := &k.Limits.Told[i]
		row := l.told[t.key()]
		if row == nil {
			if len(l.told) >= MaxTold {
				l.dropped++
				continue
			}
			row = &ToldTotals{First: end}
			row.Least = t.Least
			l.told[t.key()] = row
		}
		row.add(t, end, l.refused[nameKey{t.Name, t.Method}])
	}
	for _, c := range k.Limits.Clashes {
		key := [3]string{c.Name, c.Method, c.Kind}
		if l.clashes[key] == nil {
			if len(l.clashes) >= MaxTold {
				l.dropped++
				continue
			}
			l.clashes[key] = &Clash{Name: c.Name, Method: c.Method, Kind: c.Kind}
		}
		l.clashes[key].merge(c)
	}
	for _, w := range k.Limits.Waits {
		key := nameKey{w.Name, w.Method}
		if l.waits[key] == nil {
			if len(l.waits) >= MaxTold {
				l.dropped++
				continue
			}
			l.waits[key] = &Waits{Name: w.Name, Method: w.Method}
		}
		l.waits[key].merge(w)
	}
	for _, w := range k.Limits.Work {
		key := nameKey{w.Name, w.Method}
		if l.work[key] == nil {
			if len(l.work) >= MaxTold {
				l.dropped++
				continue
			}
			l.work[key] = &Work{Name: w.Name, Method: w.Method}
		}
		l.work[key].merge(w)
		if n := len(throttling); n > 0 && w.Again > 0 {
			l.recover = max(l.recover, w.Last-throttling[n-1].To)
		}
	}
}

func (r *ToldTotals) add(t *Told, end time.Duration, refused bool) {
	read, least := r.Read+t.Read, r.Least
	if least == NotTold || t.Least != NotTold && t.Least < least {
		least = t.Least
	}
	r.Told = *t
	r.Read, r.Least = read, least
	r.At = end
	r.Ticks++
	r.Peak = max(r.Peak, t.Used)
	if !refused && t.Forecast != "unknown" {
		r.Foretold, r.ForetoldAt = *t, end
	}
}

// Told returns what was told of limits, sorted by Name, Method, Limit.
func (t *Totals) Told() []*ToldTotals {
	out := make([]*ToldTotals, 0, len(t.limits.told))
	for _, r := range t.limits.told {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *ToldTotals) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Limit, b.Limit), cmp.Compare(a.Dialect, b.Dialect))
	})
	return out
}

// Clashes returns where limit headers contradicted themselves or what was done,
// most frequent first.
func (t *Totals) Clashes() []Clash {
	out := make([]Clash, 0, len(t.limits.clashes))
	for _, c := range t.limits.clashes {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Clash) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

// Waits returns how the told waits turned out, sorted by Name, Method.
func (t *Totals) Waits() []Waits {
	l := Limits{}
	for _, w := range t.limits.waits {
		l.Waits = append(l.Waits, *w)
	}
	l.Sort()
	return l.Waits
}

// Work returns the pieces of work of a run with retries or with limits that were
// respected, sorted by Name, Method. The caller must not change the histograms.
func (t *Totals) Work() []Work {
	l := Limits{}
	for _, w := range t.limits.work {
		l.Work = append(l.Work, *w)
	}
	l.Sort()
	return l.Work
}

// Recovery returns the longest time between the last refusal of an interval of
// throttling and the last piece of work that had to come again because of it.
func (t *Totals) Recovery() time.Duration { return t.limits.recover }

// LimitsDropped returns how many rows were not kept, because there are more than MaxTold.
func (t *Totals) LimitsDropped() int64 { return t.limits.dropped }
