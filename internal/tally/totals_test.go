package tally

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
)

// slowTotals keeps all ticks and sums them when asked.
type slowTotals []*Tick

func (all slowTotals) sum(o hit.Outcome, match func(*Series) bool) (Sum, map[int]int64) {
	var s Sum
	codes := map[int]int64{}
	s.First, s.Last = math.MaxInt64, math.MinInt64
	for _, k := range all {
		for i := range k.Series {
			row := &k.Series[i]
			if !match(row) {
				continue
			}
			for _, c := range row.Codes {
				codes[c.Status] += c.Count
			}
			if row.Outcome != o {
				continue
			}
			s.Count += row.Count
			s.BytesIn += row.BytesIn
			s.BytesOut += row.BytesOut
			s.Response.Merge(row.Response)
			s.Service.Merge(row.Service)
			s.First, s.Last = min(s.First, row.First), max(s.Last, row.Last)
		}
	}
	return s, codes
}

func checkSum(t *rapid.T, what string, got *Sum, want Sum) {
	if got.Count != want.Count || got.BytesIn != want.BytesIn || got.BytesOut != want.BytesOut {
		t.Errorf("%s: count %d, bytes %d and %d; want %d, %d and %d", what, got.Count, got.BytesIn, got.BytesOut, want.Count, want.BytesIn, want.BytesOut)
	}
	if want.Count > 0 && (got.First != want.First || got.Last != want.Last) {
		t.Errorf("%s: from %v to %v, want %v to %v", what, got.First, got.Last, want.First, want.Last)
	}
	if !got.Response.Equal(&want.Response) || !got.Service.Equal(&want.Service) {
		t.Errorf("%s: histograms differ from the sum of the ticks'", what)
	}
}

func codeMap(codes []Code) map[int]int64 {
	m := map[int]int64{}
	for _, c := range codes {
		m[c.Status] = c.Count
	}
	return m
}

func TestTotalsAreTheSumOfTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all slowTotals
		var totals Totals
		for i := range rapid.IntRange(0, 5).Draw(t, "ticks") {
			k := genTick(t, i)
			before := clone(k)
			totals.Add(k)
			if diff := cmp.Diff(before, k, equal); diff != "" {
				t.Fatalf("Add changed the tick (-before +after):\n%s", diff)
			}
			all = append(all, k)
		}
		every := func(*Series) bool { return true }
		for o := range hit.Outcome(hit.NumOutcomes) {
			want, codes := all.sum(o, every)
			checkSum(t, o.String(), totals.Outcome(o), want)
			if diff := cmp.Diff(codes, codeMap(totals.Codes())); diff != "" {
				t.Errorf("Codes (-want +got):\n%s", diff)
			}
		}
		names := 0
		for _, n := range totals.Names() {
			match := func(s *Series) bool { return s.Name == n.Name && s.Method == n.Method }
			var answers int64
			for o := range hit.Outcome(hit.NumOutcomes) {
				want, codes := all.sum(o, match)
				checkSum(t, n.Method+n.Name+o.String(), n.Outcome(o), want)
				if diff := cmp.Diff(codes, codeMap(n.Codes())); diff != "" {
					t.Errorf("Codes of %s %s (-want +got):\n%s", n.Method, n.Name, diff)
				}
				if o != hit.Missed {
					answers += want.Count
				}
			}
			if n.Answers() != answers {
				t.Errorf("Answers = %d, want %d", n.Answers(), answers)
			}
			names++
		}
		rows := map[nameKey]bool{}
		var sent, due, retried, lost int64
		var users, flying int
		var lag, wake, connect hist.Hist
		var cpu float64
		for _, k := range all {
			for _, s := range k.Series {
				rows[nameKey{s.Name, s.Method}] = true
			}
			for _, n := range k.Sends {
				sent += int64(n)
			}
			due, retried, lost = due+k.Due, retried+k.Retried, lost+k.Health.Lost
			users, flying, cpu = max(users, k.Users), max(flying, k.InFlight), max(cpu, k.Health.CPU)
			lag.Merge(k.SendLag)
			wake.Merge(k.WakeLag)
			connect.Merge(k.Connect)
		}
		if names != len(rows) {
			t.Errorf("%d names, want %d", names, len(rows))
		}
		got := []any{totals.Sent, totals.Due, totals.Retried, totals.Health.Lost, totals.PeakUsers, totals.PeakInFlight, totals.Health.CPU, totals.Ticks, totals.Length, totals.Missed}
		want := []any{sent, due, retried, lost, users, flying, cpu, len(all), time.Duration(len(all)) * time.Second, totals.Outcome(hit.Missed).Count}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sums and peaks (-want +got):\n%s", diff)
		}
		if !totals.SendLag.Equal(&lag) || !totals.WakeLag.Equal(&wake) || !totals.Connect.Equal(&connect) {
			t.Error("SendLag, WakeLag or Connect differ from the sum of the ticks'")
		}
	})
}

func TestMergedTicksGiveTheSameTotalsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genTick(t, 3), genTick(t, 3), genTick(t, 3)
		merge := func(ks ...*Tick) *Tick {
			sum := clone(ks[0])
			for _, k := range ks[1:] {
				before := clone(k)
				if err := sum.Merge(k); err != nil {
					t.Fatalf("Merge: %v", err)
				}
				if diff := cmp.Diff(before, k, equal); diff != "" {
					t.Fatalf("Merge changed its argument (-before +after):\n%s", diff)
				}
			}
			return sum
		}
		// Events of one instant are in the order of merging, which may differ.
		sameOrder := cmpopts.SortSlices(func(x, y Event) bool { return fmt.Sprint(x) < fmt.Sprint(y) })
		abc := merge(a, b, c)
		if diff := cmp.Diff(abc, merge(c, a, b), equal, sameOrder); diff != "" {
			t.Errorf("a+b+c and c+a+b differ:\n%s", diff)
		}
		if diff := cmp.Diff(abc, merge(a, merge(b, c)), equal, sameOrder); diff != "" {
			t.Errorf("(a+b)+c and a+(b+c) differ:\n%s", diff)
		}
		for i := range abc.Series[:max(0, len(abc.Series)-1)] {
			if compareSeries(&abc.Series[i], &abc.Series[i+1]) >= 0 {
				t.Errorf("rows %d and %d are out of order or twice", i, i+1)
			}
		}
		var merged, single Totals
		merged.Add(abc)
		for _, k := range []*Tick{a, b, c} {
			single.Add(k)
		}
		for o := range hit.Outcome(hit.NumOutcomes) {
			checkSum(t, o.String(), merged.Outcome(o), *single.Outcome(o))
		}
		if merged.Sent != single.Sent || merged.Due != single.Due || merged.Retried != single.Retried {
			t.Errorf("sent %d, due %d, retried %d; want %d, %d, %d", merged.Sent, merged.Due, merged.Retried, single.Sent, single.Due, single.Retried)
		}
		if diff := cmp.Diff(single.Errors(), merged.Errors()); diff != "" {
			t.Errorf("Errors (-single +merged):\n%s", diff)
		}
	})
}

func TestMergeSharesNothing(t *testing.T) {
	b := &Tick{Sends: []uint32{1}, SendLag: &hist.Hist{}, Series: []Series{{Name: "a", Count: 1, Codes: []Code{{200, 1}}, Response: &hist.Hist{}}}}
	b.SendLag.Record(1)
	b.Series[0].Response.Record(1)
	before := clone(b)
	a := &Tick{}
	for range 3 {
		if err := a.Merge(b); err != nil {
			t.Fatal(err)
		}
	}
	var fresh Tick
	if err := fresh.Merge(b); err != nil {
		t.Fatal(err)
	}
	fresh.Series[0].Codes[0].Count = 99
	fresh.Sends[0] = 99
	if diff := cmp.Diff(before, b, equal); diff != "" {
		t.Errorf("merging three times changed the source (-before +after):\n%s", diff)
	}
	if a.Series[0].Count != 3 || a.SendLag.Count() != 3 || a.Sends[0] != 3 || a.Series[0].Codes[0].Count != 3 {
		t.Errorf("merged three times: %+v", a)
	}
}

func TestMergeOfAnotherInterval(t *testing.T) {
	for _, other := range []*Tick{{Index: 1}, {Start: time.Second}} {
		a := &Tick{Users: 1}
		other.Users = 7
		if err := a.Merge(other); err == nil || a.Users != 1 {
			t.Errorf("Merge(%+v) = %v, users %d; want an error and no change", other, err, a.Users)
		}
	}
}

func TestRate(t *testing.T) {
	s := Sum{Count: 5}
	if got := s.Rate(5 * time.Second); got != 1 {
		t.Errorf("5 hits in 5 s: Rate = %v, want 1", got)
	}
	if got := s.Rate(0); got != 0 {
		t.Errorf("no time: Rate = %v, want 0", got)
	}
}

func TestErrorsAreCapped(t *testing.T) {
	var totals Totals
	k := &Tick{}
	const over = 37
	for i := range MaxErrors + over {
		k.Errors = append(k.Errors, Error{Name: "a", Failure: hit.OtherFailure, Text: fmt.Sprint(i), Count: int64(1 + i%3), First: time.Duration(i), Last: time.Duration(2 * i)})
	}
	totals.Add(k)
	totals.Add(&Tick{Errors: []Error{{Name: "a", Failure: hit.OtherFailure, Text: "5", Count: 1000}}}) // known: keeps its row
	rows := totals.Errors()
	if len(rows) != MaxErrors+1 {
		t.Fatalf("%d rows, want %d", len(rows), MaxErrors+1)
	}
	if rows[0].Text != "5" || rows[0].Count != 1003 {
		t.Errorf("first row = %+v, want the most frequent, text 5, 1003 times", rows[0])
	}
	var want, got int64
	for _, e := range k.Errors {
		want += e.Count
	}
	for _, e := range rows {
		got += e.Count
	}
	last := rows[MaxErrors]
	if got != want+1000 || last.Name != Other || last.First != MaxErrors || last.Last != 2*(MaxErrors+over-1) {
		t.Errorf("sum %d, want %d; last row %+v", got, want+1000, last)
	}
	if !slices.IsSortedFunc(rows[:MaxErrors], func(a, b Error) int { return int(b.Count - a.Count) }) {
		t.Error("rows are not sorted by count")
	}
}

func TestEventsKeepFirstAndLastOfEachKind(t *testing.T) {
	var totals Totals
	const n = 5 * EventsPerKind
	for i := range n {
		totals.Add(&Tick{Index: i, Events: []Event{{At: time.Duration(i), Kind: "sample"}}})
	}
	totals.Add(&Tick{Index: n, Events: []Event{{At: 3, Kind: "stop"}}})
	events := totals.Events()
	if len(events) != 2*EventsPerKind+1 || totals.EventsDropped() != n-2*EventsPerKind {
		t.Fatalf("%d events, %d dropped; want %d and %d", len(events), totals.EventsDropped(), 2*EventsPerKind+1, n-2*EventsPerKind)
	}
	if events[0].At != 0 || events[4].Kind != "stop" || events[len(events)-1].At != n-1 || events[EventsPerKind+1].At != n-EventsPerKind {
		t.Errorf("the wrong ones were kept: %v", events)
	}
	for i := range 3 * MaxEventKinds {
		totals.Add(&Tick{Events: []Event{{Kind: fmt.Sprint(i)}}})
	}
	if got := len(totals.events.kinds); got > MaxEventKinds+1 {
		t.Errorf("%d kinds are kept, want at most %d", got, MaxEventKinds+1)
	}
}

func TestOddTicks(t *testing.T) {
	var totals Totals
	row := Series{Outcome: hit.Throttled, Count: 1, First: math.MaxInt64, Last: math.MinInt64}
	for _, k := range []*Tick{
		{}, {Start: -time.Hour, Length: -time.Hour, Sends: []uint32{1}, Series: []Series{row}},
		{Start: math.MaxInt64 - 5, Length: time.Second, Sends: []uint32{1, 2}, Series: []Series{row}},
		{Start: 1 << 60, Length: 1 << 60, Sends: make([]uint32, 30000), Series: []Series{row, {Outcome: 77, Count: 1}}},
		{Start: time.Second, Length: time.Second, Series: []Series{row}, Events: []Event{{}}, Errors: []Error{{Count: -1}}},
	} {
		totals.Add(k)
	}
	totals.Plateau()
	if totals.Outcome(77).Count != 0 || len(totals.Names()) != 1 || totals.Sent != 4 {
		t.Errorf("names %d, sent %d; want 1 and 4", len(totals.Names()), totals.Sent)
	}
}

func TestHealthPeaks(t *testing.T) {
	var totals Totals
	totals.Add(&Tick{Length: time.Second, Health: Health{CPU: 1, Cores: 2, GCPause: 5, Files: 10, FileLimit: 100, HeapBytes: 7}})
	totals.Add(&Tick{Length: 3 * time.Second, Health: Health{CPU: 2, Cores: 8, GCPause: 3, Files: 9, FileLimit: 12, HeapBytes: 3}})
	totals.Add(&Tick{Length: time.Second}) // unknown
	h := totals.Health
	h.cpuSeconds, h.cpuTime = 0, 0
	want := HealthPeaks{CPU: 2, CPUShare: 0.5, MeanCPU: 1.75, GCPause: 8, PeakGCPause: 5, Files: 10, FileLimit: 12, FileShare: 0.75, HeapBytes: 7}
	if h != want {
		t.Errorf("Health = %+v, want %+v", h, want)
	}
}

// The warm-up is in nothing but events, and windows of the offered load begin after it.
func TestTotalsLeaveOutTheWarmUp(t *testing.T) {
	var totals, without Totals
	for i := range 6 {
		k := &Tick{
			Index: i, Start: time.Duration(i) * time.Second, Length: time.Second, Warm: i < 2, Users: 10 - i, Due: 7,
			Sends: []uint32{uint32(10 * (6 - i))}, Series: []Series{{Name: "x", Outcome: hit.Admitted, Count: 3}},
			Events: []Event{{At: time.Duration(i) * time.Second, Kind: "stage", Text: "x"}},
		}
		totals.Add(k)
		if !k.Warm {
			without.Add(k)
		}
	}
	if totals.Warm != 2*time.Second || totals.Warmed != 60+50 || totals.Length != 4*time.Second || totals.Ticks != 4 {
		t.Errorf("%v of warm-up with %d requests, %v counted in %d ticks", totals.Warm, totals.Warmed, totals.Length, totals.Ticks)
	}
	if totals.Sent != without.Sent || totals.Due != 28 || totals.PeakUsers != 8 || totals.Outcome(hit.Admitted).Count != 12 {
		t.Errorf("sent %d, due %d, %d users at most, %d admitted", totals.Sent, totals.Due, totals.PeakUsers, totals.Outcome(hit.Admitted).Count)
	}
	if len(totals.Events()) != 6 {
		t.Errorf("%d events, want all 6", len(totals.Events()))
	}
	o, _ := totals.Offered(time.Second)
	if o.Peak != 40 || o.Min != 10 || o.Whole != 301 {
		t.Errorf("offered %+v", o)
	}
}
