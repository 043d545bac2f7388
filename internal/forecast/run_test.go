package forecast

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/retry"
	"github.com/weir-dev/weir/limit"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

func rate(t testing.TB, s string, d time.Duration) pace.Pacer {
	t.Helper()
	r, err := pace.ParseRate(s)
	if err != nil {
		t.Fatal(err)
	}
	return pace.Constant(r, d)
}

// TestBucketRunsDry is arithmetic: 100 calls a second against 80 a second and a
// burst of 200 last for ten seconds.
func TestBucketRunsDry(t *testing.T) {
	m := &Model{
		Start: start, For: time.Minute,
		Limits: []Limit{{Policy: limit.Policy{Limit: 80, Window: time.Second, Burst: 200}}},
		Flows:  []Flow{{Arrivals: rate(t, "100/s", 0), Calls: []Call{{Asks: []Ask{{}}}}}},
	}
	r, err := Run(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := r.Limits[0]
	if l.First < 9900*time.Millisecond || l.First > 10100*time.Millisecond {
		t.Errorf("first refusal after %v, want 10s", l.First)
	}
	if l.Asked != 6000 || l.Refused < 995 || l.Refused > 1001 {
		t.Errorf("%d of %d refused, want 1000 of 6000", l.Refused, l.Asked)
	}
	f := r.Flows[0]
	if f.Arrived != 6000 || f.Done != l.Asked-l.Refused || f.GaveUp != l.Refused || f.Unfinished != 0 {
		t.Errorf("flow: %d arrived, %d done, %d gave up, %d unfinished", f.Arrived, f.Done, f.GaveUp, f.Unfinished)
	}
}

// twin plays a model with one event at a time, in the plainest way.
func twin(m *Model) (done, gaveUp, sent, refused int64, took []time.Duration) {
	type job struct {
		at, arrived time.Duration
		flow, call  int
		n           int64
		attempt     int
		seq         int
	}
	var jobs []job
	seq := 0
	for i, f := range m.Flows {
		for n := int64(0); ; n++ {
			at, ok := f.Arrivals.Due(n)
			if !ok || at >= m.For {
				break
			}
			jobs = append(jobs, job{at: at + f.Calls[0].After, arrived: at, flow: i, n: n, seq: seq})
			seq++
		}
	}
	limiters := make([]limit.Limiter, len(m.Limits))
	for i, l := range m.Limits {
		limiters[i], _ = l.New(m.Start)
	}
	for len(jobs) > 0 {
		slices.SortStableFunc(jobs, func(a, b job) int { return int(a.at - b.at) })
		j := jobs[0]
		jobs = jobs[1:]
		if j.at >= m.For {
			break
		}
		c := m.Flows[j.flow].Calls[j.call]
		sent++
		d := limit.Decision{Allowed: true}
		if len(c.Asks) > 0 {
			d = limiters[c.Asks[0].Limit].Take(m.Start.Add(j.at), max(1, c.Asks[0].Cost))
		}
		if !d.Allowed {
			refused++
			told := time.Duration(-1)
			if d.RetryAfter >= 0 && d.RetryAfter != limit.Never {
				told = (d.RetryAfter + time.Second - 1).Truncate(time.Second)
			}
			wait, ok := m.Retry.Wait(j.attempt+1, told, 0)
			if !ok {
				gaveUp++
				continue
			}
			j.attempt++
			j.at += wait
			jobs = append(jobs, j)
			continue
		}
		j.at += c.Lasts + d.Delay
		if j.call++; j.call == len(m.Flows[j.flow].Calls) {
			if j.at < m.For {
				done++
				took = append(took, j.at-j.arrived)
			}
			continue
		}
		j.attempt = 0
		j.at += m.Flows[j.flow].Calls[j.call].After
		jobs = append(jobs, j)
	}
	return done, gaveUp, sent, refused, took
}

// TestAgainstTwin compares with the plain way. No two calls fall on one instant
// there, since the order of those is nobody's promise.
func TestAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &Model{Start: start, For: time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second}
		for range rapid.IntRange(1, 3).Draw(t, "limits") {
			p := limit.Policy{
				Algorithm: rapid.SampledFrom([]limit.Algorithm{limit.TokenBucket, limit.FixedWindow, limit.SlidingLog, limit.SlidingWindow, limit.RefillBucket, limit.LeakyBucket}).Draw(t, "algorithm"),
				Limit:     rapid.Int64Range(1, 20).Draw(t, "limit"),
				Window:    time.Duration(rapid.IntRange(1, 3000).Draw(t, "window")) * time.Millisecond,
			}
			if p.Algorithm == limit.LeakyBucket {
				p.Burst = 3
			}
			m.Limits = append(m.Limits, Limit{Policy: p})
		}
		m.Retry = rapid.SampledFrom([]retry.Rule{{}, {Attempts: 3, Obey: true}, {Attempts: 4, Base: 170*time.Millisecond + 13}}).Draw(t, "retry")
		odd := time.Duration(1)
		for i := range rapid.IntRange(1, 3).Draw(t, "flows") {
			var at []time.Duration
			for n := range rapid.IntRange(1, 60).Draw(t, "arrivals") {
				at = append(at, time.Duration(n*rapid.IntRange(1, 300).Draw(t, "gap"))*time.Millisecond+time.Duration(n*1009+i*17))
			}
			slices.Sort(at)
			f := Flow{Arrivals: pace.Schedule(at)}
			for range rapid.IntRange(1, 4).Draw(t, "calls") {
				odd += 1_000_003
				c := Call{After: time.Duration(rapid.IntRange(0, 400).Draw(t, "after"))*time.Millisecond + odd, Lasts: time.Duration(rapid.IntRange(0, 100).Draw(t, "lasts")) * time.Millisecond}
				if rapid.Bool().Draw(t, "asks") {
					c.Asks = []Ask{{Limit: rapid.IntRange(0, len(m.Limits)-1).Draw(t, "which"), Cost: rapid.Int64Range(0, 2).Draw(t, "cost")}}
				}
				f.Calls = append(f.Calls, c)
			}
			m.Flows = append(m.Flows, f)
		}
		r, err := Run(m, Options{})
		if err != nil {
			t.Fatal(err)
		}
		done, gaveUp, sent, refused, took := twin(m)
		var got struct{ done, gaveUp, sent, refused int64 }
		var count uint64
		var longest time.Duration
		for _, f := range r.Flows {
			got.done += f.Done
			got.gaveUp += f.GaveUp
			got.sent += f.Sent
			got.refused += f.Refused
			count += f.Took.Count()
			longest = max(longest, f.Took.Max())
		}
		if got.done != done || got.gaveUp != gaveUp || got.sent != sent || got.refused != refused {
			t.Fatalf("Run: %+v, the plain way: %d done, %d gave up, %d sent, %d refused", got, done, gaveUp, sent, refused)
		}
		if count != uint64(len(took)) || len(took) > 0 && longest != slices.Max(took) {
			t.Fatalf("Run: %d took up to %v, the plain way: %d up to %v", count, longest, len(took), slices.Max(took))
		}
	})
}

// TestAllotment: blocks are spent one by one, and then the limit holds.
func TestAllotment(t *testing.T) {
	m := &Model{
		Start: start, For: 2 * time.Hour,
		Limits: []Limit{{Policy: limit.Policy{Limit: 10, Window: time.Second}, Allotment: &Allotment{Blocks: 3, Block: 15 * time.Minute}}},
		Flows:  []Flow{{Arrivals: rate(t, "15/s", 0), Calls: []Call{{Asks: []Ask{{}}}}}},
	}
	r, err := Run(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := r.Limits[0]
	if l.Blocks != 3 || l.BlocksOut < 30*time.Minute || l.BlocksOut > 31*time.Minute {
		t.Errorf("%d blocks, the last at %v", l.Blocks, l.BlocksOut)
	}
	if l.First < 45*time.Minute || l.First > 46*time.Minute {
		t.Errorf("first refusal at %v, want after three blocks of 15 minutes", l.First)
	}
}

// TestCache: twenty instances that keep a token for an hour fetch it twenty times an hour.
func TestCache(t *testing.T) {
	m := &Model{
		Start: start, For: 4*time.Hour - time.Second,
		Flows: []Flow{{Arrivals: rate(t, "10/s", 0), Calls: []Call{
			{Name: "token", Cache: Cache{TTL: time.Hour, Holders: 20}, Lasts: 50 * time.Millisecond},
			{Name: "send", Lasts: 20 * time.Millisecond},
		}}},
	}
	r, err := Run(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := r.Flows[0]
	if got := f.Calls[0].Sent; got != 80 {
		t.Errorf("%d tokens fetched, want 80", got)
	}
	if f.Cached+f.Calls[0].Sent != f.Arrived {
		t.Errorf("%d cached and %d fetched of %d", f.Cached, f.Calls[0].Sent, f.Arrived)
	}
}

// TestConcurrencyIsGivenBack: ten at once, each for 100 ms, is 100 a second.
func TestConcurrencyIsGivenBack(t *testing.T) {
	m := &Model{
		Start: start, For: time.Minute,
		Limits: []Limit{{Policy: limit.Policy{Algorithm: limit.Concurrency, Limit: 10}}},
		Flows:  []Flow{{Arrivals: rate(t, "150/s", 0), Calls: []Call{{Asks: []Ask{{}}, Lasts: 100 * time.Millisecond}}}},
	}
	r, err := Run(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Flows[0].Done; n < 5900 || n > 6100 {
		t.Errorf("%d done in a minute, want 6000", n)
	}
}

func BenchmarkDay(b *testing.B) {
	m := &Model{
		Start: start, For: 24 * time.Hour / 100,
		Limits: []Limit{{Policy: limit.Policy{Limit: 1100, Window: time.Second}}},
		Flows:  []Flow{{Arrivals: rate(b, "200/s", 0), Calls: slices.Repeat([]Call{{Asks: []Ask{{}}, Lasts: 20 * time.Millisecond}}, 5)}},
	}
	calls := int64(0)
	for b.Loop() {
		r, err := Run(m, Options{})
		if err != nil {
			b.Fatal(err)
		}
		calls += r.Flows[0].Sent
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(calls), "ns/call")
}
