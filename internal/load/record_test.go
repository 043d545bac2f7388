package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/leaks"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

// null is a Sender that answers at once.
type null struct{ closed *atomic.Int64 }

func (n null) Send(_ context.Context, _ *hit.Request, ans *hit.Answer) {
	ans.Sent = time.Now()
	ans.OnSent(ans.Sent)
	ans.Status, ans.BytesIn, ans.BytesOut = 200, 100, 50
	ans.Done = time.Now()
}

func (n null) Close() error {
	if n.closed != nil {
		n.closed.Add(1)
	}
	return nil
}

func engine(t testing.TB, p Plan) *Engine {
	t.Helper()
	if p.NewSender == nil {
		p.NewSender = func(int) (Sender, error) { return null{}, nil }
	}
	e, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Real goroutines: never one request too many, and every sender is closed.
func TestBudgetIsExactWithRealGoroutines(t *testing.T) {
	defer noLeaks(t)
	const budget = 20_000
	for name, p := range map[string]Plan{
		"closed": {Users: pace.Users(64, pace.Rate{})},
		"open":   {Arrivals: pace.Constant(pace.Rate{N: 1_000_000, Per: time.Second}, 0), MaxUsers: 64, CatchUp: Burst},
		"spread": {Arrivals: pace.Constant(pace.Rate{N: 200_000, Per: time.Second}, 0), MaxUsers: 3},
	} {
		var sent, closed, made atomic.Int64
		p.Scenario = Repeat(get, 0)
		p.MaxRequests = budget
		p.StopTimeout = time.Minute
		p.NewSender = func(int) (Sender, error) {
			made.Add(1)
			return counting{null{&closed}, &sent}, nil
		}
		var totals tally.Totals
		r, err := engine(t, p).Run(t.Context(), totals.Add)
		if err != nil {
			t.Fatal(err)
		}
		if sent.Load() != budget || totals.Sent != budget || totals.Outcome(hit.Admitted).Count != budget {
			t.Errorf("%s: sent %d, counted %d sends and %d answers, want %d", name, sent.Load(), totals.Sent, totals.Outcome(hit.Admitted).Count, budget)
		}
		if closed.Load() != made.Load() || made.Load() == 0 || int(made.Load()) > r.PeakUsers {
			t.Errorf("%s: %d senders, %d closed, %d users", name, made.Load(), closed.Load(), r.PeakUsers)
		}
		if got := totals.SendLag.Count(); got != budget {
			t.Errorf("%s: %d send lags, want %d", name, got, budget)
		}
	}
}

type counting struct {
	null
	n *atomic.Int64
}

func (c counting) Send(ctx context.Context, r *hit.Request, a *hit.Answer) {
	c.n.Add(1)
	c.null.Send(ctx, r, a)
}

// Real goroutines and a stop in the middle, graceful and hard.
func TestStopWithRealGoroutines(t *testing.T) {
	defer noLeaks(t)
	for _, hard := range []bool{false, true} {
		for name, p := range map[string]Plan{
			"closed": {Users: pace.Users(50, pace.Rate{})},
			"open":   {Arrivals: pace.Constant(pace.Rate{N: 50_000, Per: time.Second}, 0), MaxUsers: 20},
		} {
			p.Scenario = Repeat(get, 0)
			p.StopTimeout = time.Minute
			ctx, cancel := context.WithCancel(t.Context())
			var n atomic.Int64
			var e *Engine
			p.NewSender = func(int) (Sender, error) {
				return senderFunc(func(ctx context.Context, r *hit.Request, a *hit.Answer) {
					if n.Add(1) == 5000 {
						if hard {
							cancel()
						} else {
							e.Stop("enough")
						}
					}
					null{}.Send(ctx, r, a)
				}), nil
			}
			e = engine(t, p)
			var totals tally.Totals
			r, err := e.Run(ctx, totals.Add)
			cancel()
			if err != nil || r.Hard != hard || totals.Sent != n.Load() {
				t.Errorf("%s: %+v, %v, %d sends counted of %d", name, r, err, totals.Sent, n.Load())
			}
			if got := totals.Outcome(hit.Admitted).Count + r.Unfinished; got != n.Load() {
				t.Errorf("%s: %d answers, %d requests", name, got, n.Load())
			}
			if p.Arrivals != nil && totals.Due != n.Load()+totals.Missed {
				t.Errorf("due %d, sent %d, missed %d", totals.Due, n.Load(), totals.Missed)
			}
		}
	}
}

type senderFunc func(context.Context, *hit.Request, *hit.Answer)

func (f senderFunc) Send(ctx context.Context, r *hit.Request, a *hit.Answer) { f(ctx, r, a) }

// Users record while the collector turns the pages as fast as it can: nothing
// is lost or doubled, and within each tick all counters agree.
func TestRecorderUnderTurns(t *testing.T) {
	const users, each = 8, 4000
	e := engine(t, Plan{Scenario: Repeat(get, 0), Users: pace.Users(users, pace.Rate{})})
	e.start = time.Now()
	e.rec = newRecorder(2, 1001)
	e.crew = newCrew(users, 1)
	c := &collector{e: e}
	for i := range 3 {
		e.names.index(label{"GET", fmt.Sprint("/", i)})
	}
	var recorded [users][]time.Duration
	var statuses [users]map[int]int64
	var wg sync.WaitGroup
	var done atomic.Bool
	for id := range users {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(id)))
			statuses[id] = map[int]int64{}
			s := &Session{e: e, ctx: t.Context(), id: id, wake: -1}
			for i := range each {
				// Instants around the tick that is open, early and late ones.
				at := time.Duration(e.rec.epoch.Load())*tickLength + time.Duration(rnd.Int64N(int64(3*tickLength))) - tickLength
				at = max(at, 0)
				service := time.Duration(rnd.Int64N(int64(time.Second)))
				s.hit = pending{name: int32(1 + rnd.IntN(3)), outcome: hit.Outcome(rnd.IntN(3)), failure: hit.CheckFailed, why: fmt.Sprint("reason ", i%300),
					intended: at - service, sent: at - service, done: at}
				s.ans = hit.Answer{Status: 200 + rnd.IntN(8), Sent: time.Now(), BytesIn: 7}
				statuses[id][s.ans.Status]++
				e.rec.countSend(id, at)
				s.onWire = 1
				s.record()
				recorded[id] = append(recorded[id], service)
			}
		})
	}
	var ticks []*tally.Tick
	turned := make(chan struct{})
	go func() {
		defer close(turned)
		for !done.Load() {
			ticks = append(ticks, c.collect(tickLength, 1))
			runtime.Gosched()
		}
	}()
	wg.Wait()
	done.Store(true)
	<-turned
	c.last = true
	ticks = append(ticks, c.collect(tickLength, 2))

	var want, got hist.Hist
	for _, all := range recorded {
		for _, d := range all {
			want.Record(d)
		}
	}
	var count, sends, failed, errs int64
	byStatus := map[int]int64{}
	for _, k := range ticks {
		for _, row := range k.Series {
			var codes int64
			for _, c := range row.Codes {
				codes += c.Count
				byStatus[c.Status] += c.Count
			}
			if int64(row.Response.Count()) != row.Count || int64(row.Service.Count()) != row.Count || codes != row.Count || row.BytesIn != 7*row.Count {
				t.Errorf("tick %d: count %d, %d response times, %d service times, %d codes, %d bytes", k.Index, row.Count, row.Response.Count(), row.Service.Count(), codes, row.BytesIn)
			}
			got.Merge(row.Response)
			count += row.Count
			if row.Outcome == hit.Failed {
				failed += row.Count
			}
		}
		for _, n := range k.Sends {
			sends += int64(n)
		}
		for _, row := range k.Errors {
			errs += row.Count
		}
	}
	if count != users*each || sends != users*each || errs != failed || failed == 0 {
		t.Errorf("%d answers, %d sends, want %d; %d failed, %d errors; %d ticks", count, sends, users*each, failed, errs, len(ticks))
	}
	for status, n := range byStatus {
		for _, m := range statuses {
			n -= m[status]
		}
		if n != 0 {
			t.Errorf("%d answers too many with status %d", n, status)
		}
	}
	if !got.Equal(&want) {
		t.Errorf("the histograms differ: %d from %v to %v, sum %v; want %d from %v to %v, sum %v",
			got.Count(), got.Min(), got.Max(), got.Sum(), want.Count(), want.Min(), want.Max(), want.Sum())
	}
}

// Whoever is inside is in one of the two open ticks for as long as it stays.
func TestEnterHoldsTheEpoch(t *testing.T) {
	r := newRecorder(1, 1)
	sh := r.shards[0]
	var wg sync.WaitGroup
	var left atomic.Int64
	const users, each = 2, 100_000
	left.Store(users)
	for range users {
		wg.Go(func() {
			defer left.Add(-1)
			for range each {
				e := r.enter(sh)
				for range 20 {
					if now := r.epoch.Load(); now > e+1 {
						t.Errorf("inside since epoch %d, and it is %d", e, now)
						sh.leave(e)
						return
					}
				}
				sh.leave(e)
			}
		})
	}
	turns := 0
	for left.Load() > 0 {
		r.turn()
		turns++
	}
	wg.Wait()
	if turns < 10 {
		t.Logf("only %d turns", turns)
	}
}

func TestTickFor(t *testing.T) {
	for _, tt := range []struct {
		epoch int64
		at    time.Duration
		want  int64
	}{
		{0, 0, 0}, {0, time.Second - 1, 0}, {0, time.Second, 1}, {0, 2 * time.Second, 1}, {0, time.Hour, 1},
		{7, 0, 7}, {7, 8*time.Second - 1, 7}, {7, 8 * time.Second, 8}, {7, 9 * time.Second, 8}, {7, -time.Second, 7},
	} {
		if got := tickFor(tt.epoch, tt.at); got != tt.want {
			t.Errorf("tickFor(%d, %v) = %d, want %d", tt.epoch, tt.at, got, tt.want)
		}
	}
}

// Redirects and retries reach the wire several times, are counted as sends each
// time, and do not stay under way for ever; nor do those that come to nothing.
func TestSendsThatAreNoAnswers(t *testing.T) {
	defer noLeaks(t)
	var n atomic.Int64
	e := engine(t, Plan{Scenario: Repeat(get, 0), Users: pace.Users(3, pace.Rate{}), MaxRequests: 900, NewSender: func(int) (Sender, error) {
		return senderFunc(func(_ context.Context, _ *hit.Request, a *hit.Answer) {
			switch n.Add(1) % 3 {
			case 0: // two redirects, on a new connection each
				for range 3 {
					a.Sent = time.Now()
					a.OnSent(a.Sent)
				}
				a.Status, a.Redirects, a.Opened, a.Connect = 200, 2, 3, 3*time.Millisecond
			case 1: // written, and then the retry found nobody
				a.OnSent(time.Now())
				a.Failure, a.Err, a.Retried = hit.ConnectRefused, "connection refused", true
			case 2: // a sender that does not call OnSent, and one instant only
				a.Sent = time.Now()
				a.Status = 200
			}
		}), nil
	}})
	var totals tally.Totals
	var last *tally.Tick
	r, err := e.Run(t.Context(), func(k *tally.Tick) { totals.Add(k); last = k })
	if err != nil {
		t.Fatal(err)
	}
	if totals.Sent != 300*5 || totals.SendLag.Count() != 600 || last.InFlight != 0 {
		t.Errorf("%d sends, %d send lags, %d under way at the end, want 1500, 600, 0", totals.Sent, totals.SendLag.Count(), last.InFlight)
	}
	if totals.Connect.Count() != 900 || totals.Connect.Max() != time.Millisecond || totals.Retried != 300 || r.NeverSent != 300 {
		t.Errorf("%d connections of up to %v, %d retries, %d never sent", totals.Connect.Count(), totals.Connect.Max(), totals.Retried, r.NeverSent)
	}
	if totals.Outcome(hit.Failed).Count != 300 || totals.Outcome(hit.Admitted).Count != 600 {
		t.Errorf("failed %d, admitted %d", totals.Outcome(hit.Failed).Count, totals.Outcome(hit.Admitted).Count)
	}
}

// New names over the cap do not push the known ones out of a user's cache.
func TestNameCache(t *testing.T) {
	n := newNames(2)
	var c nameCache
	known := []*hit.Request{{Name: "a"}, {Name: "b"}}
	for _, r := range known {
		if i := c.index(n, r); n.label(i) != (label{"GET", r.Name}) {
			t.Errorf("%q is %v", r.Name, n.label(i))
		}
	}
	before := c
	for i := range 10 {
		if got := c.index(n, &hit.Request{Name: fmt.Sprint("new", i)}); got != otherName {
			t.Errorf("a third name has the number %d", got)
		}
	}
	if c != before {
		t.Error("the cache has changed")
	}
	if a, b := c.index(n, &hit.Request{Name: "a", Method: "POST"}), c.index(n, &hit.Request{URL: "http://x/a"}); a != otherName || b != otherName {
		t.Errorf("another method and another path are %v and %v", n.label(a), n.label(b))
	}
}

func TestManyNames(t *testing.T) {
	n := newNames(1000)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(2, uint64(g)))
			for range 20_000 {
				l := label{"GET", fmt.Sprint("/", rnd.IntN(1500))}
				if i := n.index(l); i != otherName && n.label(i) != l {
					t.Errorf("%v has the number of %v", l, n.label(i))
				}
			}
		})
	}
	wg.Wait()
	seen := map[label]bool{}
	for _, l := range n.table.Load().labels {
		seen[l] = true
	}
	if len(seen) != 1001 {
		t.Errorf("%d different labels, want 1001", len(seen))
	}
}

func TestNoAllocationPerRequest(t *testing.T) {
	e := engine(t, Plan{Scenario: Repeat(get, 0), Users: one})
	e.start = time.Now()
	e.makeParts(t.Context(), t.Context())
	s, u, err := e.parts[0].hire(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var due time.Duration
	do := func() {
		if _, err := s.iterate(u, due, due, 0); err != nil {
			t.Fatal(err)
		}
		due = s.hit.done
	}
	for range 1000 {
		do()
	}
	if got := testing.AllocsPerRun(2000, do); got > 0.01 { // a new octave of a histogram now and then
		t.Errorf("%v allocations per request, want none", got)
	}
	named := []*hit.Request{{Name: "a", URL: "http://x/1"}, {Name: "b", URL: "http://x/2"}, {URL: "http://x/3?4"}}
	i := 0
	send := func() { s.Send(named[i%3]); i++ }
	for range 1000 {
		send()
	}
	if got := testing.AllocsPerRun(2000, send); got > 0.01 {
		t.Errorf("%v allocations per step, want none", got)
	}
}

func TestErrorReasonsAreCapped(t *testing.T) {
	var f failures
	for i := range 3000 {
		c, _ := f.cell(reason{label: label{"GET", "/"}, failure: hit.ConnectFailed, text: fmt.Sprint("port ", i)})
		c.add(0, time.Duration(i))
	}
	if rows := f.drain(1, 0); len(rows) != maxReasons+1 || rows[0].Text != "connect-failed: (other texts)" || rows[0].Name != "/" || rows[0].Count != 3000-maxReasons {
		t.Errorf("%d rows, the first is %+v", len(rows), rows[0])
	}
	// The others are told apart as before.
	for kind := range hit.NumFailures {
		if kind := hit.Failure(kind); kind != hit.ConnectFailed {
			c, _ := f.cell(reason{label: label{"GET", "/"}, failure: kind, status: 7, text: "alone"})
			c.add(0, 0)
			rows := f.drain(0)
			if len(rows) != 1 || rows[0].Text != hit.Reason(kind, 7, "alone") || rows[0].Failure != kind {
				t.Errorf("%v after a flood of others: %+v", kind, rows)
			}
		}
	}
	for i := range 3000 {
		c, _ := f.cell(reason{label: label{"GET", fmt.Sprint("/", i)}, failure: hit.ConnectFailed, status: i % 900, text: "x"})
		c.add(0, time.Duration(i))
	}
	rows := f.drain(0)
	var sum int64
	for _, r := range rows {
		sum += r.Count
	}
	if sum != 3000 || len(rows) > 2*maxReasons+1 || rows[0].Name != tally.Other || rows[0].Text != "connect-failed: (other texts)" || rows[0].Failure != hit.ConnectFailed {
		t.Errorf("%d rows, %d in all, want 3000", len(rows), sum)
	}
	if !slices.IsSortedFunc(rows, func(a, b tally.Error) int { return int(b.Count - a.Count) }) {
		t.Error("the most frequent are not first")
	}
	if rows := f.drain(0); len(rows) != 0 {
		t.Errorf("%d rows are still there", len(rows))
	}
}

func TestCodes(t *testing.T) {
	var c codes
	for i := range 2000 {
		c.add(i%20*50 - 10) // some out of range
	}
	var sum int64
	got := c.drain(nil)
	for i, code := range got {
		sum += code.Count
		if i > 0 && got[i-1].Status >= code.Status {
			t.Errorf("codes are not ascending: %v", got)
		}
	}
	if sum != 2000 || len(got) != 20 || len(c.drain(nil)) != 0 {
		t.Errorf("%d codes, %d in all: %v", len(got), sum, got)
	}
}

// Several users meet the first answers of a tick at once.
func TestCodesClaimedAtOnce(t *testing.T) {
	for range 3000 {
		var c codes
		var ready atomic.Int64
		var wg sync.WaitGroup
		for g := range 2 {
			wg.Go(func() {
				ready.Add(1)
				for spins := 0; ready.Load() < 2; spins++ {
					if spins > 1000 {
						runtime.Gosched()
					}
				}
				for i := range 6 {
					c.add(200 + (i+g)%6)
				}
			})
		}
		wg.Wait()
		got := c.drain(nil)
		for i, code := range got {
			if len(got) != 6 || code.Status != 200+i || code.Count != 2 {
				t.Fatalf("codes %v, want 2 of each from 200 to 205", got)
			}
		}
	}
}

func TestSessionIsSmall(t *testing.T) {
	var before, after runtime.MemStats
	const n = 10_000
	e := engine(t, Plan{Scenario: Repeat(get, 0), Users: one})
	e.start = time.Now()
	e.makeParts(t.Context(), t.Context())
	var keep []*Session
	runtime.GC()
	runtime.ReadMemStats(&before)
	for id := range n {
		s, _, err := e.parts[0].hire(id, id)
		if err != nil {
			t.Fatal(err)
		}
		keep = append(keep, s)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := (after.HeapAlloc - before.HeapAlloc) / n; got > 1024 {
		t.Errorf("a session takes %d bytes, want at most 1024", got)
	}
	runtime.KeepAlive(keep)
}

// A tenth of a second of 10,000 users with their own goroutines and senders.
func BenchmarkIdleUsers(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		e := engine(b, Plan{Scenario: Repeat(get, time.Hour), Users: pace.Users(n, pace.Rate{}), StopTimeout: time.Minute})
		var before, during runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		begin := time.Now()
		began := make(chan time.Duration, 1)
		var sent atomic.Int64
		e.plan.NewSender = func(int) (Sender, error) {
			return senderFunc(func(ctx context.Context, r *hit.Request, a *hit.Answer) {
				null{}.Send(ctx, r, a)
				if sent.Add(1) == n {
					began <- time.Since(begin)
				}
			}), nil
		}
		go func() {
			took := <-began
			runtime.GC()
			runtime.ReadMemStats(&during)
			b.ReportMetric(float64(took.Milliseconds()), "ms-to-start")
			b.ReportMetric(float64(during.HeapAlloc+during.StackInuse-before.HeapAlloc-before.StackInuse)/n, "B/user")
			e.Stop("seen")
		}()
		if _, err := e.Run(b.Context(), func(*tally.Tick) {}); err != nil {
			b.Fatal(err)
		}
	}
}

// The engine's own work for a request, with a sender that does nothing but
// read the clock twice.
func BenchmarkRequest(b *testing.B) {
	e := engine(b, Plan{Scenario: Repeat(get, 0), Users: one})
	e.start = time.Now()
	e.makeParts(context.Background(), context.Background())
	s, u, err := e.parts[0].hire(0, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var due time.Duration
	for b.Loop() {
		if _, err := s.iterate(u, due, due, -1); err != nil {
			b.Fatal(err)
		}
		due = s.hit.done
	}
}

// The same by a whole engine, with users on all cores.
func BenchmarkEngine(b *testing.B) {
	for name, p := range map[string]Plan{
		"closed": {Users: pace.Users(64, pace.Rate{})},
		"open":   {Arrivals: pace.Constant(pace.Rate{N: 100_000_000, Per: time.Second}, 0), MaxUsers: 64, CatchUp: Burst},
	} {
		b.Run(name, func(b *testing.B) {
			p.Scenario, p.MaxRequests = Repeat(get, 0), int64(b.N)
			b.ReportAllocs()
			if _, err := engine(b, p).Run(b.Context(), func(*tally.Tick) {}); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// What reading the clock costs here, to compare.
func BenchmarkClock(b *testing.B) {
	var last time.Time
	for b.Loop() {
		last = time.Now()
	}
	_ = last
}

// noLeaks fails a test that leaves goroutines behind. The others of this package do
// not run in parallel.
func noLeaks(t *testing.T) {
	t.Helper()
	if err := leaks.Find(); err != nil {
		t.Error(err)
	}
}
