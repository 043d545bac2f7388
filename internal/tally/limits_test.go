package tally

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hit"
)

func genLimits(t *rapid.T) *Limits {
	l := &Limits{}
	n := rapid.Int64Range(0, 9)
	for _, name := range []string{"/a", "/b"} {
		if rapid.Bool().Draw(t, "told") {
			l.Told = append(l.Told, Told{
				Method: "GET", Name: name, Limit: "m", Quota: n.Draw(t, "quota"), Left: n.Draw(t, "left"), Least: n.Draw(t, "least") - 1,
				Reset: time.Duration(n.Draw(t, "reset")), Read: n.Draw(t, "read"), Used: float64(n.Draw(t, "used")), Binds: rapid.Bool().Draw(t, "binds"),
				Forecast: rapid.SampledFrom([]string{"within", "after", "never", "unknown"}).Draw(t, "forecast"), Soonest: time.Duration(n.Draw(t, "soonest")),
			})
		}
		if rapid.Bool().Draw(t, "clash") {
			l.Clashes = append(l.Clashes, Clash{Method: "GET", Name: name, Kind: "untrue", Text: fmt.Sprint(n.Draw(t, "text")), Count: n.Draw(t, "count") + 1, First: time.Duration(n.Draw(t, "first"))})
		}
		if rapid.Bool().Draw(t, "waits") {
			l.Waits = append(l.Waits, Waits{Method: "GET", Name: name, Told: n.Draw(t, "told"), KeptPassed: n.Draw(t, "kept"), Longest: time.Duration(n.Draw(t, "longest"))})
		}
		if rapid.Bool().Draw(t, "work") {
			l.Work = append(l.Work, Work{Method: "GET", Name: name, Done: n.Draw(t, "done"), Requests: n.Draw(t, "requests"), Waiting: n.Draw(t, "waiting"), Total: genHist(t), Held: n.Draw(t, "held"), HeldFor: genHist(t)})
		}
	}
	if l.Empty() {
		return nil
	}
	l.Sort()
	return l
}

// The order in which generators' ticks are merged does not matter, and merging
// leaves what is merged as it is.
func TestLimitsMergeInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genLimits(t), genLimits(t), genLimits(t)
		left := mergeLimits(mergeLimits(a, b), c)
		right := mergeLimits(c, mergeLimits(b, a))
		if diff := cmp.Diff(left, right, equal); diff != "" {
			t.Fatalf("the order matters:\n%s", diff)
		}
		if left.Empty() {
			return
		}
		sum := map[string]int64{}
		for _, l := range []*Limits{a, b, c} {
			if l == nil {
				continue
			}
			for _, w := range l.Work {
				sum[w.Name] += w.Done + 100*w.Requests + 10_000*int64(w.Total.Count())
			}
		}
		for _, w := range left.Work {
			if got := w.Done + 100*w.Requests + 10_000*int64(w.Total.Count()); got != sum[w.Name] {
				t.Fatalf("%s: %d, want %d", w.Name, got, sum[w.Name])
			}
		}
	})
}

func TestLimitTotals(t *testing.T) {
	var sum Totals
	tick := func(i int, left int64, forecast string, refused int64) *Tick {
		k := &Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second}
		k.Limits = &Limits{
			Told:  []Told{{Method: "GET", Name: "/a", Quota: 10, Left: left, Least: left, Read: 5, Used: float64(i), Forecast: forecast, Soonest: time.Second, Reset: NotTold}},
			Waits: []Waits{{Method: "GET", Name: "/a", Told: 1, Longest: time.Duration(i)}},
			Work:  []Work{{Method: "GET", Name: "/a", Done: 2, Requests: 3, Again: 1, Last: k.Start + 900*time.Millisecond}},
		}
		if refused > 0 {
			k.Series = []Series{{Method: "GET", Name: "/a", Outcome: hit.Throttled, Count: refused, First: k.Start, Last: k.Start + 100*time.Millisecond}}
		}
		return k
	}
	warm := tick(0, 1, "never", 0)
	warm.Warm = true
	for _, k := range []*Tick{warm, tick(1, 8, "within", 0), tick(2, 3, "within", 0), tick(3, 0, "within", 4), tick(4, 9, "never", 0)} {
		sum.Add(k)
	}
	told := sum.Told()
	if len(told) != 1 {
		t.Fatalf("%d rows", len(told))
	}
	r := told[0]
	if r.Ticks != 4 || r.Read != 20 || r.Least != 0 || r.Left != 9 || r.Peak != 4 || r.At != 5*time.Second || r.First != 2*time.Second {
		t.Errorf("%+v", r)
	}
	if r.ForetoldAt != 3*time.Second || r.Foretold.Left != 3 {
		t.Errorf("the forecast before the first refusal is that of %v: %+v", r.ForetoldAt, r.Foretold)
	}
	if w := sum.Waits(); len(w) != 1 || w[0].Told != 4 || w[0].Longest != 4 {
		t.Errorf("%+v", w)
	}
	if w := sum.Work(); len(w) != 1 || w[0].Done != 8 || w[0].Requests != 12 {
		t.Errorf("%+v", w)
	}
	if got, want := sum.Recovery(), 1800*time.Millisecond; got != want {
		t.Errorf("recovery %v, want %v: from the last refusal at 3.1 s to 4.9 s", got, want)
	}
}

// However many limits a service tells of, few are kept, and it is said.
func TestLimitTotalsAreCapped(t *testing.T) {
	var sum Totals
	k := &Tick{Length: time.Second, Limits: &Limits{}}
	for i := range MaxTold + 7 {
		k.Limits.Told = append(k.Limits.Told, Told{Name: fmt.Sprint(i)})
		k.Limits.Clashes = append(k.Limits.Clashes, Clash{Name: fmt.Sprint(i), Count: 1})
	}
	sum.Add(k)
	if len(sum.Told()) != MaxTold || len(sum.Clashes()) != MaxTold || sum.LimitsDropped() != 14 {
		t.Errorf("%d limits, %d contradictions, %d dropped", len(sum.Told()), len(sum.Clashes()), sum.LimitsDropped())
	}
}
