package tally

import (
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
)

func genHist(t *rapid.T) *hist.Hist {
	n := rapid.IntRange(0, 4).Draw(t, "values")
	if n == 0 {
		return nil
	}
	h := &hist.Hist{}
	for range n {
		h.Record(time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "value")))
	}
	return h
}

// genTick makes a tick as a generator would: rows sorted and not twice.
func genTick(t *rapid.T, index int) *Tick {
	start := time.Duration(index) * time.Second
	instant := func(label string) time.Duration {
		return start + time.Duration(rapid.Int64Range(0, int64(time.Second)-1).Draw(t, label))
	}
	count := rapid.Int64Range(1, 50)
	k := &Tick{
		Index: index, Start: start, Length: time.Second,
		Users: rapid.IntRange(0, 9).Draw(t, "users"), InFlight: rapid.IntRange(0, 9).Draw(t, "in flight"),
		Due: rapid.Int64Range(0, 99).Draw(t, "due"), Retried: rapid.Int64Range(0, 3).Draw(t, "retried"),
		Sends:   rapid.SliceOfN(rapid.Uint32Range(0, 5), 0, 100).Draw(t, "sends"),
		SendLag: genHist(t), WakeLag: genHist(t), Connect: genHist(t),
		Health: Health{
			CPU: float64(rapid.IntRange(0, 8).Draw(t, "cpu")) / 4, Cores: 2, GCPause: time.Duration(rapid.IntRange(0, 5).Draw(t, "gc")),
			Goroutines: rapid.IntRange(0, 9).Draw(t, "goroutines"), Files: rapid.IntRange(0, 9).Draw(t, "files"), FileLimit: 10,
			HeapBytes: rapid.Uint64Range(0, 99).Draw(t, "heap"), Lost: rapid.Int64Range(0, 2).Draw(t, "lost"),
		},
	}
	for _, name := range []string{"a", "b"} {
		for _, method := range []string{"GET", "POST"} {
			for o := range hit.Outcome(hit.NumOutcomes) {
				if rapid.IntRange(0, 3).Draw(t, "present") > 0 {
					continue
				}
				s := Series{Method: method, Name: name, Outcome: o, Count: count.Draw(t, "count"),
					BytesIn: count.Draw(t, "in"), BytesOut: count.Draw(t, "out")}
				x, y := instant("x"), instant("y")
				s.First, s.Last = min(x, y), max(x, y)
				if o != hit.Missed {
					s.Response, s.Service = genHist(t), genHist(t)
					s.Codes = []Code{{200, count.Draw(t, "n")}, {429, count.Draw(t, "n")}}
				}
				k.Series = append(k.Series, s)
			}
		}
	}
	for _, text := range []string{"refused", "reset"} {
		if rapid.Bool().Draw(t, "error") {
			k.Errors = append(k.Errors, Error{Method: "GET", Name: "a", Failure: hit.ConnectRefused, Text: text,
				Count: count.Draw(t, "count"), First: instant("first"), Last: start + time.Second})
		}
	}
	sortErrors(k.Errors)
	for range rapid.IntRange(0, 4).Draw(t, "watched") {
		k.Watched = append(k.Watched, genWatched(t, instant("read")))
	}
	SortWatched(k.Watched)
	if rapid.Bool().Draw(t, "event") {
		k.Events = append(k.Events, Event{At: instant("at"), Kind: rapid.SampledFrom([]string{"stage", "warning"}).Draw(t, "kind")})
	}
	return k
}

var equal = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.EquateNaNs(),
	cmp.Comparer(func(a, b *hist.Hist) bool { return a.Equal(b) }),
}

// clone shares nothing with k.
func clone(k *Tick) *Tick {
	c := *k
	c.Sends = append([]uint32(nil), k.Sends...)
	c.Series = append([]Series(nil), k.Series...)
	for i := range c.Series {
		s := &c.Series[i]
		s.Codes = append([]Code(nil), s.Codes...)
		s.Response, s.Service = cloneHist(s.Response), cloneHist(s.Service)
	}
	c.Errors = append([]Error(nil), k.Errors...)
	c.Events = append([]Event(nil), k.Events...)
	c.Watched = append([]Watched(nil), k.Watched...)
	c.SendLag, c.WakeLag, c.Connect = cloneHist(k.SendLag), cloneHist(k.WakeLag), cloneHist(k.Connect)
	return &c
}

func cloneHist(h *hist.Hist) *hist.Hist {
	if h == nil {
		return nil
	}
	return h.Clone()
}
