package tally

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
)

// Totals is the exact sum of the ticks given to Add, which come in the order
// of their index. The zero value is ready for use. It keeps no reference to a
// tick after Add has returned. It is not safe for concurrent use.
//
// Memory is O(names × outcomes × buckets), plus 96 KB of recent send bins, 16
// bytes for each second of throttling and at most 6 KB for each watched figure.
type Totals struct {
	Length  time.Duration // the time that counts: where the latest tick ended, as an offset from the start of the run, less Warm
	Warm    time.Duration // how long the warm-up took; nothing of it is counted below, but events and watched figures
	Warmed  int64         // requests that reached the wire in it
	Ticks   int           // ticks added
	Sent    int64         // requests that reached the wire
	Due     int64         // arrivals that the schedule placed; 0 in the closed model
	Missed  int64         // hits that were due and could not be sent: Outcome(hit.Missed).Count
	Retried int64         // reused connections found closed, request sent again

	PeakUsers    int // most users alive at the end of a tick
	PeakInFlight int // most requests under way at the end of a tick

	SendLag hist.Hist // sent minus intended, every request sent
	WakeLag hist.Hist // how late the generator's clock woke it
	Connect hist.Hist // one entry per connection opened

	Health HealthPeaks

	Onset      *Onset     // the first throttled hit; nil while nothing was throttled
	Throttling []Interval // when throttling was under way, ascending, at least EpisodeGap apart

	sums     [hit.NumOutcomes]Sum
	names    map[nameKey]*NameTotals
	codes    map[int]int64
	errors   errorRows
	events   eventLog
	watched  watchedRows
	bins     sendBins
	throttle throttling
	limits   limitSums
}

// Sum adds up the hits that ended alike. The zero value is an empty sum.
type Sum struct {
	Count       int64
	Response    hist.Hist // done minus intended; empty for Missed
	Service     hist.Hist // done minus sent; empty for Missed
	BytesIn     int64
	BytesOut    int64
	First, Last time.Duration // sent instants of the earliest and the latest hit, as offsets from the start of the run; meaningless while Count is 0
}

// Rate returns the hits per second over the running time given, normally
// Totals.Length; 0 when that is not positive.
func (s *Sum) Rate(over time.Duration) float64 {
	return perSecond(s.Count, over)
}

func perSecond(n int64, over time.Duration) float64 {
	if over <= 0 {
		return 0
	}
	return float64(n) / over.Seconds()
}

func (s *Sum) add(row *Series) {
	if row.Count > 0 {
		if s.Count == 0 || row.First < s.First {
			s.First = row.First
		}
		if s.Count == 0 || row.Last > s.Last {
			s.Last = row.Last
		}
	}
	s.Count += row.Count
	s.Response.Merge(row.Response)
	s.Service.Merge(row.Service)
	s.BytesIn += row.BytesIn
	s.BytesOut += row.BytesOut
}

// NameTotals is the sum of the hits of one request name.
type NameTotals struct {
	Method, Name string

	sums  [hit.NumOutcomes]Sum
	codes map[int]int64
}

// Outcome returns the hits of this name that ended so; never nil, an unknown
// outcome gives an empty sum. The caller must not change it.
func (n *NameTotals) Outcome(o hit.Outcome) *Sum { return pick(&n.sums, o) }

// Codes returns the answers of this name by status, ascending; 0 is "no answer".
func (n *NameTotals) Codes() []Code { return sortedCodes(n.codes) }

// Answers returns the hits that ended in any way but Missed.
func (n *NameTotals) Answers() int64 { return answers(&n.sums) }

// Outcome returns the hits that ended so, over all names; never nil, an unknown
// outcome gives an empty sum. The caller must not change it.
func (t *Totals) Outcome(o hit.Outcome) *Sum { return pick(&t.sums, o) }

// Answers returns the hits that ended in any way but Missed: those that were
// tried. It may differ from Sent, because a connection that could not be opened
// is a failed hit that never reached the wire, and because requests under way
// were sent and have not ended.
func (t *Totals) Answers() int64 { return answers(&t.sums) }

// Names returns the sums by request name, sorted by Name, then Method.
func (t *Totals) Names() []*NameTotals {
	out := make([]*NameTotals, 0, len(t.names))
	for _, n := range t.names {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *NameTotals) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method))
	})
	return out
}

// Codes returns the answers by status over all names, ascending; 0 is "no answer".
func (t *Totals) Codes() []Code { return sortedCodes(t.codes) }

type nameKey struct{ name, method string }

func pick(sums *[hit.NumOutcomes]Sum, o hit.Outcome) *Sum {
	if int(o) >= len(sums) {
		return &Sum{}
	}
	return &sums[o]
}

func answers(sums *[hit.NumOutcomes]Sum) int64 {
	return sums[hit.Admitted].Count + sums[hit.Throttled].Count + sums[hit.Failed].Count
}

func sortedCodes(m map[int]int64) []Code {
	out := make([]Code, 0, len(m))
	for status, n := range m {
		out = append(out, Code{Status: status, Count: n})
	}
	slices.SortFunc(out, func(a, b Code) int { return cmp.Compare(a.Status, b.Status) })
	return out
}

// Add adds one tick. Ticks come in the order of their index; a tick that comes
// late is still summed exactly, only Offered and the onset's rate may then miss
// what it changes. A row whose outcome is unknown is left out. Ticks of the
// warm-up come before all others.
func (t *Totals) Add(k *Tick) {
	t.AddWatched(k)
	for _, e := range k.Events {
		t.events.add(e)
	}
	end := k.Start + k.Length
	if k.Warm {
		t.Warm = max(t.Warm, end)
		for _, n := range k.Sends {
			t.Warmed += int64(n)
		}
		t.bins.skip(t.Warm)
		return
	}
	t.Length = max(t.Length, end-t.Warm)
	t.Ticks++
	t.Due += k.Due
	t.Retried += k.Retried
	t.PeakUsers = max(t.PeakUsers, k.Users)
	t.PeakInFlight = max(t.PeakInFlight, k.InFlight)
	t.SendLag.Merge(k.SendLag)
	t.WakeLag.Merge(k.WakeLag)
	t.Connect.Merge(k.Connect)
	t.Health.add(k)

	var sent int64
	for _, n := range k.Sends {
		sent += int64(n)
	}
	t.Sent += sent
	t.bins.add(k)

	var admitted int64
	for i := range k.Series {
		row := &k.Series[i]
		if int(row.Outcome) >= hit.NumOutcomes {
			continue
		}
		t.addRow(row)
		if row.Outcome == hit.Admitted {
			admitted += row.Count
		}
	}
	t.Missed = t.sums[hit.Missed].Count
	t.noteThrottling(k, admitted)
	t.limits.add(k, t.Throttling)
	for i := range k.Errors {
		t.errors.add(&k.Errors[i])
	}
}

func (t *Totals) addRow(row *Series) {
	t.sums[row.Outcome].add(row)
	key := nameKey{row.Name, row.Method}
	n := t.names[key]
	if n == nil {
		if t.names == nil {
			t.names = map[nameKey]*NameTotals{}
			t.codes = map[int]int64{}
		}
		n = &NameTotals{Method: row.Method, Name: row.Name, codes: map[int]int64{}}
		t.names[key] = n
	}
	n.sums[row.Outcome].add(row)
	for _, c := range row.Codes {
		n.codes[c.Status] += c.Count
		t.codes[c.Status] += c.Count
	}
}
