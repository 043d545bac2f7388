package tally

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weir-dev/weir/internal/hist"
)

// Merge adds other, the same interval of the same run on another machine. It
// fails, changing nothing, when the two are not the same interval. Other is not
// changed, and shares no memory with k afterwards.
//
// Everything is added, the generators' health too: cores used and cores there
// are, pauses, files. Whether one generator was overloaded must therefore be
// judged before its ticks are merged.
func (k *Tick) Merge(other *Tick) error {
	if k.Index != other.Index || k.Start != other.Start {
		return fmt.Errorf("tally: tick %d at %v cannot be merged with tick %d at %v: not the same interval",
			k.Index, k.Start, other.Index, other.Start)
	}
	k.Length = max(k.Length, other.Length)
	k.Users += other.Users
	k.InFlight += other.InFlight
	k.Due += other.Due
	k.Retried += other.Retried
	k.Sends = addBins(k.Sends, other.Sends)
	k.Series = mergeSeries(k.Series, other.Series)
	k.Errors = mergeErrors(k.Errors, other.Errors)
	k.SendLag = mergeHists(k.SendLag, other.SendLag)
	k.WakeLag = mergeHists(k.WakeLag, other.WakeLag)
	k.Connect = mergeHists(k.Connect, other.Connect)
	k.Health.merge(&other.Health)
	k.Watched = mergeWatched(k.Watched, other.Watched)
	k.Limits = mergeLimits(k.Limits, other.Limits)
	k.Events = slices.Concat(k.Events, other.Events)
	slices.SortStableFunc(k.Events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return nil
}

func (h *Health) merge(o *Health) {
	h.CPU += o.CPU
	h.Cores += o.Cores
	h.GCPause += o.GCPause
	h.Goroutines += o.Goroutines
	h.Files += o.Files
	h.FileLimit += o.FileLimit
	h.HeapBytes += o.HeapBytes
	h.Lost += o.Lost
}

func addBins(a, b []uint32) []uint32 {
	if len(b) == 0 {
		return a
	}
	out := make([]uint32, max(len(a), len(b)))
	copy(out, a)
	for i, n := range b {
		out[i] += n
	}
	return out
}

// mergeHists returns the sum, which shares nothing with b; it may be a.
func mergeHists(a, b *hist.Hist) *hist.Hist {
	if b.Count() == 0 {
		return a
	}
	if a == nil {
		return b.Clone()
	}
	a.Merge(b)
	return a
}

func mergeSeries(a, b []Series) []Series {
	all := slices.Clone(a)
	for _, row := range b {
		row.Codes = slices.Clone(row.Codes)
		row.Response = mergeHists(nil, row.Response)
		row.Service = mergeHists(nil, row.Service)
		all = append(all, row)
	}
	slices.SortStableFunc(all, func(x, y Series) int { return compareSeries(&x, &y) })
	out := all[:0]
	for _, row := range all {
		if n := len(out); n > 0 && compareSeries(&out[n-1], &row) == 0 {
			out[n-1].merge(&row)
			continue
		}
		out = append(out, row)
	}
	return out
}

func (s *Series) merge(o *Series) {
	if s.Count == 0 || o.Count > 0 && o.First < s.First {
		s.First = o.First
	}
	if s.Count == 0 || o.Count > 0 && o.Last > s.Last {
		s.Last = o.Last
	}
	s.Count += o.Count
	s.Codes = mergeCodes(s.Codes, o.Codes)
	s.Response = mergeHists(s.Response, o.Response)
	s.Service = mergeHists(s.Service, o.Service)
	s.BytesIn += o.BytesIn
	s.BytesOut += o.BytesOut
}

func mergeCodes(a, b []Code) []Code {
	if len(b) == 0 {
		return a
	}
	sum := map[int]int64{}
	for _, c := range a {
		sum[c.Status] += c.Count
	}
	for _, c := range b {
		sum[c.Status] += c.Count
	}
	return sortedCodes(sum)
}

func mergeErrors(a, b []Error) []Error {
	rows := map[errorKey]*Error{}
	for _, list := range [][]Error{a, b} {
		for i := range list {
			row := rows[keyOf(&list[i])]
			if row == nil {
				fresh := list[i]
				rows[keyOf(&fresh)] = &fresh
				continue
			}
			row.merge(&list[i])
		}
	}
	out := make([]Error, 0, len(rows))
	for _, e := range rows {
		out = append(out, *e)
	}
	sortErrors(out)
	return out
}

func compareSeries(a, b *Series) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Method, b.Method), cmp.Compare(a.Outcome, b.Outcome))
}
