package forecast

import (
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/retry"
	"github.com/weir-dev/weir/limit"
	"pgregory.net/rapid"
)

// TestAtOneInstant: calls of a flow that are due at the same instant are made one
// after the other, an instance before the next, and what is left is counted once.
func TestAtOneInstant(t *testing.T) {
	m := &Model{
		Start: start, For: time.Second,
		Limits: []Limit{{Policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 7, Window: time.Second}}},
		Flows:  []Flow{{Arrivals: pace.Burst(3, 0, pace.Phase{}, 0), Calls: []Call{{Asks: []Ask{{}}}, {Asks: []Ask{{}}}, {Asks: []Ask{{}}}}}},
	}
	r, err := Run(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := r.Flows[0]
	if f.Arrived != 3 || f.Done != 2 || f.GaveUp != 1 || f.Unfinished != 0 || f.Sent != 8 || f.Refused != 1 {
		t.Errorf("%d arrived, %d done, %d gave up, %d unfinished; %d calls, %d refused: want 3, 2, 1, 0; 8, 1", f.Arrived, f.Done, f.GaveUp, f.Unfinished, f.Sent, f.Refused)
	}
}

// TestNothingIsLost: whatever is played, each flow that arrived is done, gave up or
// is under way, and each limit's columns add up.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &Model{Start: start, For: time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds")) * time.Second, Chain: rapid.Bool().Draw(t, "chain")}
		for range 2 {
			l := Limit{Policy: limit.Policy{
				Algorithm: rapid.SampledFrom([]limit.Algorithm{limit.TokenBucket, limit.FixedWindow, limit.RefillBucket, limit.Concurrency}).Draw(t, "algorithm"),
				Limit:     rapid.Int64Range(1, 50).Draw(t, "limit"), Window: time.Second,
			}, PerClient: rapid.Bool().Draw(t, "client")}
			if l.Algorithm == limit.Concurrency {
				l.Window = 0
			} else if rapid.Bool().Draw(t, "allotted") {
				l.Allotment = &Allotment{Blocks: rapid.IntRange(0, 3).Draw(t, "blocks"), Block: time.Second, Times: rapid.SampledFrom([]int64{0, 2, 4}).Draw(t, "times")}
			}
			m.Limits = append(m.Limits, l)
		}
		m.Retry = rapid.SampledFrom([]retry.Rule{{}, {Attempts: 3, Obey: true}, {Attempts: 3, Base: 100 * time.Millisecond, Jitter: retry.JitterFull}}).Draw(t, "retry")
		for range rapid.IntRange(1, 3).Draw(t, "flows") {
			rate := pace.Rate{N: rapid.Int64Range(1, 60).Draw(t, "rate"), Per: time.Second}
			f := Flow{Arrivals: pace.Constant(rate, 0), Clients: rapid.IntRange(0, 3).Draw(t, "clients")}
			for range rapid.IntRange(1, 4).Draw(t, "calls") {
				c := Call{After: time.Duration(rapid.IntRange(0, 2).Draw(t, "after")) * 100 * time.Millisecond, Lasts: time.Duration(rapid.IntRange(0, 2).Draw(t, "lasts")) * 50 * time.Millisecond}
				for i := range rapid.IntRange(0, 2).Draw(t, "asks") {
					c.Asks = append(c.Asks, Ask{Limit: i})
				}
				if rapid.Bool().Draw(t, "cached") {
					c.Cache = Cache{TTL: 300 * time.Millisecond, Holders: 2}
				}
				f.Calls = append(f.Calls, c)
			}
			m.Flows = append(m.Flows, f)
		}
		r, err := Run(m, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var sent, refused int64
		for i, f := range r.Flows {
			if f.Arrived != pace.CountBefore(m.Flows[i].Arrivals, m.For-m.Flows[i].Calls[0].After) {
				t.Fatalf("flow %d: %d arrived, want %d", i, f.Arrived, pace.CountBefore(m.Flows[i].Arrivals, m.For))
			}
			if f.Done < 0 || f.GaveUp < 0 || f.Unfinished < 0 || f.Done+f.GaveUp > f.Arrived || int64(f.Took.Count()) != f.Done {
				t.Fatalf("flow %d: %d arrived, %d done, %d gave up, %d unfinished, %d timed", i, f.Arrived, f.Done, f.GaveUp, f.Unfinished, f.Took.Count())
			}
			sent += f.Sent
			refused += f.Refused
		}
		var by int64
		for _, l := range r.Limits {
			by += l.Refused
			var asked, no int64
			for _, c := range l.Columns {
				asked += c.Asked
				no += c.Refused
			}
			if asked != l.Asked || no != l.Refused || l.Refused > l.Asked {
				t.Fatalf("limit: %d asked, columns %d; %d refused, columns %d", l.Asked, asked, l.Refused, no)
			}
		}
		if by != refused {
			t.Fatalf("%d calls refused, limits say %d of %d", refused, by, sent)
		}
	})
}
