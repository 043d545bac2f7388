package tally

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Watched is one figure of the system under test, as a watch read it. A reading
// that failed is not there: it is never a zero.
type Watched struct {
	At        time.Duration // when it was read, as an offset from the start of the run
	Source    string        // where, in words and without secrets: "PostgreSQL", "Prometheus mon.example:9090"
	Group     string        // figures of one source with one group share a chart: "connections"
	Name      string        // "idle in transaction"
	Unit      string        // "", "%", "s", "bytes", "/s", "bytes/s", or a word in the plural
	Value     float64       // finite
	Limit     float64       // the value at which the thing is full; 0 = it has none
	LimitName string        // what the limit is: "max_connections 100 less 3 reserved"
	// Refused says that the source was too full to be asked: it counts as
	// saturated, whatever Value says. Value is then Limit, or 0 when that is not known.
	Refused bool
	// Corrects says that this reading takes the place of an earlier one of the same
	// figure and instant. A run file forgets that one, and this word.
	Corrects bool
}

// Statement is one kind of query that the watched database carried out, as the
// difference over the run.
type Statement struct {
	Source string        `json:"source"`
	ID     string        `json:"id"`   // the database's own
	Text   string        `json:"text"` // one line, without values, cut
	Calls  int64         `json:"calls"`
	Time   time.Duration `json:"time_ns"` // all calls together
	Rows   int64         `json:"rows"`
}

// Mean returns the time of one call, 0 when there was none.
func (s *Statement) Mean() time.Duration {
	if s.Calls <= 0 {
		return 0
	}
	return time.Duration(float64(s.Time) / float64(s.Calls))
}

func (w *Watched) valid() bool { return !math.IsNaN(w.Value) && !math.IsInf(w.Value, 0) }

// share is the part of the limit that is used; ok is false without a limit.
func (w *Watched) share() (float64, bool) {
	if !(w.Limit > 0) || math.IsInf(w.Limit, 0) {
		return 0, false
	}
	return w.Value / w.Limit, true
}

// compareWatched is a total order, so that ticks merged in any order are the same.
func compareWatched(a, b Watched) int {
	refused := func(w *Watched) int {
		if w.Refused {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(a.At, b.At), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Limit, b.Limit),
		cmp.Compare(a.LimitName, b.LimitName), cmp.Compare(refused(&a), refused(&b)))
}

// SortWatched puts readings in the order that a tick has them in.
func SortWatched(list []Watched) { slices.SortFunc(list, compareWatched) }

// mergeWatched keeps every reading: two generators that look at one source at
// one instant have read it twice.
func mergeWatched(a, b []Watched) []Watched {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	SortWatched(all)
	return all
}

const (
	// NearLimit is the part of its limit from which on a figure counts as
	// saturated. It stays so until it falls below ClearOfLimit: a pool of
	// connections that is given back and taken again is full all the time.
	NearLimit    = 0.95
	ClearOfLimit = 0.90
	// SaturatedFor is how many readings in a row must be saturated before it
	// counts, unless the run ends before, and how many in a row must not be
	// before it is over.
	SaturatedFor = 3
	// MaxWatched is how many watched figures Totals keeps.
	MaxWatched = 500
	// MaxSaturations is how many stretches of saturation are kept for a figure, the first ones.
	MaxSaturations = 100
)

// Saturation is a stretch of time in which a figure was at its limit.
type Saturation struct {
	From, To time.Duration // the first and the last reading that was saturated
	Peak     float64       // highest value
	Limit    float64       // beside it; 0 = not known
	Readings int64         // those that were saturated
	Refused  int64         // of them, how often the source was too full to be asked
}

// WatchedTotals is what became of one figure over the run.
type WatchedTotals struct {
	Source, Group, Name, Unit string

	LimitName string        // latest
	Limit     float64       // latest; 0 = none
	Readings  int64         // all that had a value
	Min, Max  float64       // meaningless while Readings is 0
	MaxAt     time.Duration // first time that Max was read
	Last      float64
	LastAt    time.Duration
	Shares    int64   // readings that had a limit, or were refused
	MaxShare  float64 // the largest part of the limit, 1 at least when refused; meaningless while Shares is 0

	sum     float64
	kept    []Saturation
	ended   int64      // stretches that are over
	current Saturation // Readings 0: not saturated now
	begun   bool       // current has lasted long enough to count
	clear   int        // readings since it began that were not saturated, in a row
}

// Mean returns the mean of the readings, 0 when there are none.
func (w *WatchedTotals) Mean() float64 {
	if w.Readings == 0 {
		return 0
	}
	return w.sum / float64(w.Readings)
}

// Saturations returns the stretches of time in which the figure was at its
// limit and stayed there: for SaturatedFor readings, or until the latest one. A
// reading that is missing does not end a stretch.
func (w *WatchedTotals) Saturations() []Saturation {
	out := slices.Clone(w.kept)
	if w.current.Readings > 0 && len(out) < MaxSaturations {
		out = append(out, w.current)
	}
	return out
}

// Saturated says whether the figure is at its limit now.
func (w *WatchedTotals) Saturated() bool { return w.current.Readings > 0 }

// Stretches returns how often the figure was saturated, also those that
// Saturations does not keep.
func (w *WatchedTotals) Stretches() int64 {
	if w.current.Readings > 0 {
		return w.ended + 1
	}
	return w.ended
}

// Watched returns the figures read from the system under test, sorted by source,
// group name and unit.
func (t *Totals) Watched() []*WatchedTotals {
	out := make([]*WatchedTotals, 0, len(t.watched.rows))
	for _, w := range t.watched.rows {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b *WatchedTotals) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Unit, b.Unit))
	})
	return out
}

// WatchedDropped returns how many readings belong to no figure of Watched,
// because there are more than MaxWatched.
func (t *Totals) WatchedDropped() int64 { return t.watched.dropped }

// AddWatched adds the readings of a tick and nothing else of it.
func (t *Totals) AddWatched(k *Tick) {
	for i := range k.Watched {
		t.watched.add(&k.Watched[i])
	}
}

type watchedKey struct{ source, group, name, unit string }

type watchedRows struct {
	rows    map[watchedKey]*WatchedTotals
	dropped int64
}

func (r *watchedRows) add(w *Watched) {
	if !w.valid() {
		return
	}
	key := watchedKey{w.Source, w.Group, w.Name, w.Unit}
	row := r.rows[key]
	if row == nil {
		if len(r.rows) >= MaxWatched {
			r.dropped++
			return
		}
		if r.rows == nil {
			r.rows = map[watchedKey]*WatchedTotals{}
		}
		row = &WatchedTotals{Source: w.Source, Group: w.Group, Name: w.Name, Unit: w.Unit}
		r.rows[key] = row
	}
	row.add(w)
}

func (w *WatchedTotals) add(n *Watched) {
	share, limited := n.share()
	if limited {
		w.Limit, w.LimitName = n.Limit, n.LimitName
	}
	if n.Refused {
		share = max(share, 1)
	}
	if n.Refused || limited {
		if w.Shares == 0 || share > w.MaxShare {
			w.MaxShare = share
		}
		w.Shares++
	}
	if !n.Refused || limited { // a refusal by a source whose limit is not known has no value
		if w.Readings == 0 || n.Value > w.Max {
			w.Max, w.MaxAt = n.Value, n.At
		}
		if w.Readings == 0 || n.Value < w.Min {
			w.Min = n.Value
		}
		w.Readings++
		w.sum += n.Value
		w.Last, w.LastAt = n.Value, n.At
	}
	s := &w.current
	full := n.Refused || limited && (share >= NearLimit || s.Readings > 0 && share >= ClearOfLimit)
	if !full {
		if w.clear++; !w.begun || w.clear >= SaturatedFor {
			w.endStretch()
		}
		return
	}
	w.clear = 0
	if s.Readings == 0 {
		s.From = n.At
	}
	s.To = n.At
	s.Readings++
	w.begun = w.begun || s.Readings >= SaturatedFor
	if n.Refused {
		s.Refused++
	}
	if n.Value >= s.Peak {
		s.Peak = n.Value
		if limited {
			s.Limit = n.Limit
		}
	}
}

// endStretch keeps the stretch that is over, if it was one.
func (w *WatchedTotals) endStretch() {
	if w.begun {
		w.ended++
		if len(w.kept) < MaxSaturations {
			w.kept = append(w.kept, w.current)
		}
	}
	w.current, w.begun, w.clear = Saturation{}, false, 0
}
