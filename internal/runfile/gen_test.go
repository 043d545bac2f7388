package runfile

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// busyTick is a tick of a run with that many names, all four outcomes each.
func busyTick(index, names int) *tally.Tick {
	start := time.Duration(index) * time.Second
	k := &tally.Tick{
		Index: index, Start: start, Length: time.Second, Users: 300, InFlight: 12, Due: 1000,
		SendLag: &hist.Hist{}, WakeLag: &hist.Hist{}, Connect: &hist.Hist{}, Retried: 1,
		Health: tally.Health{CPU: 1.25, Cores: 2, GCPause: time.Millisecond, Goroutines: 330, Files: 310, FileLimit: 1024, HeapBytes: 1 << 30},
		Events: []tally.Event{{At: start, Kind: "stage", Text: "200/s", Data: `{"rate":200}`}},
	}
	for b := range 100 {
		k.Sends = append(k.Sends, uint32(b%7))
	}
	for n := range names {
		for o := range hit.Outcome(hit.NumOutcomes) {
			s := tally.Series{Method: "GET", Name: fmt.Sprintf("/orders/%d", n), Outcome: o, Count: 50, BytesIn: 5000, BytesOut: 900, First: start, Last: start + time.Second}
			if o != hit.Missed {
				s.Codes = []tally.Code{{Status: 200, Count: 25}, {Status: 429, Count: 25}}
				s.Response, s.Service = &hist.Hist{}, &hist.Hist{}
				for i := range 50 {
					d := time.Duration(1+i*i) * 100 * time.Microsecond
					s.Response.Record(d + time.Duration(index))
					s.Service.Record(d)
					k.SendLag.Record(time.Duration(i) * time.Microsecond)
				}
			}
			k.Series = append(k.Series, s)
		}
	}
	k.Watched = []tally.Watched{{At: start, Source: "PostgreSQL", Group: "connections", Name: "connections", Value: 97, Limit: 97, LimitName: "max_connections"}}
	k.Errors = []tally.Error{{Method: "GET", Name: "/orders/0", Failure: hit.ConnectRefused, Text: "connection refused", Count: 3, First: start, Last: start + 5}}
	return k
}

func genHist(t *rapid.T, label string) *hist.Hist {
	if rapid.Bool().Draw(t, label+" nil") {
		return nil
	}
	h := &hist.Hist{}
	for _, d := range rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 20).Draw(t, label) {
		h.RecordN(time.Duration(d), uint64(1+d%5))
	}
	return h
}

func genTick(t *rapid.T, index int) *tally.Tick {
	any64 := func(label string) int64 { return rapid.Int64().Draw(t, label) }
	text := rapid.String()
	k := &tally.Tick{
		Index: index, Start: time.Duration(any64("start")), Length: time.Duration(any64("length")),
		Users: rapid.IntRange(0, 1<<31).Draw(t, "users"), InFlight: int(any64("in flight")), Due: any64("due"), Retried: any64("retried"),
		Sends:   rapid.SliceOfN(rapid.Uint32(), 0, 120).Draw(t, "sends"),
		SendLag: genHist(t, "send lag"), WakeLag: genHist(t, "wake lag"), Connect: genHist(t, "connect"),
		Health: tally.Health{
			CPU: rapid.Float64().Draw(t, "cpu"), Cores: int(any64("cores")), GCPause: time.Duration(any64("gc")),
			Goroutines: int(any64("goroutines")), Files: int(any64("files")), FileLimit: int(any64("file limit")),
			HeapBytes: rapid.Uint64().Draw(t, "heap"), Lost: any64("lost"),
		},
	}
	for range rapid.IntRange(0, 6).Draw(t, "series") {
		s := tally.Series{
			Method: text.Draw(t, "method"), Name: text.Draw(t, "name"),
			Outcome:  hit.Outcome(rapid.IntRange(0, hit.NumOutcomes-1).Draw(t, "outcome")),
			Count:    rapid.Int64Range(0, 1<<40).Draw(t, "count"),
			Response: genHist(t, "response"), Service: genHist(t, "service"),
			BytesIn: any64("in"), BytesOut: any64("out"), First: time.Duration(any64("first")), Last: time.Duration(any64("last")),
		}
		for range rapid.IntRange(0, 3).Draw(t, "codes") {
			s.Codes = append(s.Codes, tally.Code{Status: rapid.IntRange(0, 999).Draw(t, "status"), Count: any64("n")})
		}
		k.Series = append(k.Series, s)
	}
	for range rapid.IntRange(0, 3).Draw(t, "errors") {
		k.Errors = append(k.Errors, tally.Error{
			Method: text.Draw(t, "method"), Name: text.Draw(t, "name"), Failure: hit.Failure(rapid.IntRange(0, hit.NumFailures-1).Draw(t, "failure")),
			Status: rapid.IntRange(0, 999).Draw(t, "status"), Text: text.Draw(t, "text"), Count: any64("count"),
			First: time.Duration(any64("first")), Last: time.Duration(any64("last")),
		})
	}
	for range rapid.IntRange(0, 3).Draw(t, "watched") {
		k.Watched = append(k.Watched, tally.Watched{
			At: time.Duration(any64("at")), Source: text.Draw(t, "source"), Group: text.Draw(t, "group"), Name: text.Draw(t, "name"),
			Unit: text.Draw(t, "unit"), Value: rapid.Float64().Draw(t, "value"), Limit: rapid.Float64().Draw(t, "limit"),
			LimitName: text.Draw(t, "limit name"), Refused: rapid.Bool().Draw(t, "refused"),
		})
	}
	for range rapid.IntRange(0, 3).Draw(t, "events") {
		k.Events = append(k.Events, tally.Event{At: time.Duration(any64("at")), Kind: text.Draw(t, "kind"), Text: text.Draw(t, "text"), Data: text.Draw(t, "data")})
	}
	return k
}

var equalTicks = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b *hist.Hist) bool { return (a == nil) == (b == nil) && a.Equal(b) }),
}

// readAll returns all ticks of a file, failing the test on an error.
func readAll(t testing.TB, path string) (*Run, []*tally.Tick) {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatalf("Open(%s): %v", path, err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r, collect(t, r)
}

func collect(t testing.TB, r *Run) []*tally.Tick {
	t.Helper()
	var ticks []*tally.Tick
	for k, err := range r.Ticks() {
		if err != nil {
			t.Fatalf("Ticks: %v", err)
		}
		ticks = append(ticks, k)
	}
	return ticks
}
