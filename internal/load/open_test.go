package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

func TestRatesAreExact(t *testing.T) {
	tests := []struct {
		rate string
		dur  time.Duration
		want int64
	}{
		{"1000/s", time.Minute, 60000},
		{"1/s", 5 * time.Second, 5},
		{"7/s", time.Minute, 420},
		{"0.5/s", time.Minute, 30},
		{"1/min", time.Hour, 60},
		{"1000/h", 2 * time.Hour, 2000},
		{"33333/s", 2 * time.Second, 66666},
		{"100/100ms", 3 * time.Second, 3000},
	}
	ran := 0
	for _, tt := range tests {
		t.Run(tt.rate, func(t *testing.T) {
			ran++
			rate := mustRate(t, tt.rate)
			r := play(t, Plan{
				Arrivals: pace.Constant(rate, tt.dur), RunTime: tt.dur, MaxUsers: 300, StopTimeout: time.Second,
			}, after(3*time.Millisecond), nil)
			if got := r.count(hit.Admitted); got != tt.want || len(r.sent) != int(tt.want) || r.totals.Due != tt.want {
				t.Errorf("admitted %d, the server saw %d, due %d, want %d", got, len(r.sent), r.totals.Due, tt.want)
			}
			if got := r.totals.SendLag.Max(); got != 0 {
				t.Errorf("sent %v late in virtual time", got)
			}
			if got := r.totals.WakeLag.Count(); int64(got) != tt.want {
				t.Errorf("%d wake lags, want %d", got, tt.want)
			}
			perSecond := rate.PerSecond()
			for _, k := range r.ticks {
				n := 0
				for _, b := range k.Sends {
					n += int(b)
				}
				if off := float64(n) - perSecond*k.Length.Seconds(); off > 0.01*perSecond+1 || off < -0.01*perSecond-1 {
					t.Errorf("tick %d: %d sends at %v/s", k.Index, n, perSecond)
				}
			}
			if r.Loaded != tt.dur || r.Elapsed < tt.dur || r.Elapsed > tt.dur+3*time.Millisecond {
				t.Errorf("loaded %v, elapsed %v, want %v", r.Loaded, r.Elapsed, tt.dur)
			}
		})
	}
	if ran == 0 {
		t.Fatal("nothing was tested")
	}
}

// The last answer of the plan comes after it, but not as a tick of its own.
func TestLastTickIsNotTiny(t *testing.T) {
	r := play(t, Plan{
		Arrivals: pace.Constant(mustRate(t, "1000/s"), 3*time.Second), RunTime: 3 * time.Second, MaxUsers: 10, StopTimeout: time.Second,
	}, after(4*time.Millisecond), nil)
	if len(r.ticks) != 3 || r.ticks[2].Length != 1003*time.Millisecond {
		t.Errorf("%d ticks, the last of %v", len(r.ticks), r.ticks[len(r.ticks)-1].Length)
	}
}

// stall answers like a server that stands still between two instants.
func stall(from, to, service time.Duration) func(int64, time.Duration) (int, time.Duration) {
	return func(_ int64, at time.Duration) (int, time.Duration) {
		if at >= from && at < to {
			return 200, to - at + service
		}
		return 200, service
	}
}

func TestFrozenServer(t *testing.T) {
	for _, tt := range []struct {
		users               int
		service50, service2 time.Duration // service time: median, and 99th percentile at least
	}{
		{1000, 5 * time.Millisecond, 4 * time.Second},
		{20, 5 * time.Millisecond, 5 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(tt.users), func(t *testing.T) {
			r := play(t, Plan{
				Arrivals: pace.Constant(mustRate(t, "100/s"), time.Minute), RunTime: time.Minute, MaxUsers: tt.users, StopTimeout: 10 * time.Second,
			}, stall(20*time.Second, 25*time.Second, 5*time.Millisecond), nil)
			if len(r.sent) != 6000 || r.totals.Due != 6000 {
				t.Errorf("sent %d, due %d, want 6000", len(r.sent), r.totals.Due)
			}
			sum := r.totals.Outcome(hit.Admitted)
			if got := sum.Response.Quantile(0.99); got < 4*time.Second {
				t.Errorf("p99 of the response time = %v, want seconds", got)
			}
			if got := sum.Service.Quantile(0.99); got < tt.service2 || tt.users == 20 && got > time.Second {
				t.Errorf("p99 of the service time = %v", got)
			}
			if got := r.totals.WakeLag.Max(); got != 0 {
				t.Errorf("the generator blames itself for %v", got)
			}
		})
	}
}

func TestOutcomesStayApart(t *testing.T) {
	r := play(t, Plan{
		Arrivals: pace.Constant(mustRate(t, "50/s"), 20*time.Second), RunTime: 20 * time.Second, MaxUsers: 100, StopTimeout: time.Second,
	}, func(n int64, _ time.Duration) (int, time.Duration) {
		if n%2 == 0 {
			return 429, time.Millisecond
		}
		return 200, 200 * time.Millisecond
	}, nil)
	for o, want := range map[hit.Outcome]time.Duration{hit.Throttled: time.Millisecond, hit.Admitted: 200 * time.Millisecond} {
		sum := r.totals.Outcome(o)
		if sum.Count != 500 || sum.Response.Quantile(0.5) != want || sum.Service.Max() != want || sum.Service.Min() != want {
			t.Errorf("%v: %d, median %v, service %v to %v; want 500 of %v", o, sum.Count, sum.Response.Quantile(0.5), sum.Service.Min(), sum.Service.Max(), want)
		}
	}
	var kinds []string
	for _, k := range r.ticks {
		for _, ev := range k.Events {
			kinds = append(kinds, ev.Kind)
			if ev.Kind == "throttle-start" && ev.At != 0 {
				t.Errorf("throttling began at %v, want 0: %+v", ev.At, ev)
			}
		}
	}
	if want := []string{"start", "throttle-start", "stop"}; !slices.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}
}

func TestCatchUp(t *testing.T) {
	// 5 users at 100/s and 5 ms are plenty, until the server stands still for 5 s.
	play := func(t *testing.T, c CatchUp) *run {
		r := play(t, Plan{
			Arrivals: pace.Constant(mustRate(t, "100/s"), 100*time.Second), RunTime: 100 * time.Second, MaxUsers: 5, CatchUp: c, StopTimeout: time.Second,
		}, stall(10*time.Second, 15*time.Second, 5*time.Millisecond), nil)
		if s := r.conserved(); s != "" {
			t.Error(s)
		}
		if r.totals.Due != 10000 {
			t.Errorf("due %d, want 10000", r.totals.Due)
		}
		return r
	}
	t.Run("spread", func(t *testing.T) {
		r := play(t, Spread)
		if len(r.sent) != 10000 {
			t.Errorf("sent %d, want all 10000", len(r.sent))
		}
		// 1.1 × 100/s for 1 s and the grace of 10 ms, and one.
		if got := r.peak(time.Second); got > 113 || got < 108 {
			t.Errorf("%d sends in one second, want 110 or a little more", got)
		}
		// 5 s are caught up at 10/s: the backlog of 500 is gone after 50 s.
		if at := r.sent[len(r.sent)-1]; at != 99990*time.Millisecond {
			t.Errorf("the last one left at %v, want 99.99s", at)
		}
		if got := r.totals.WakeLag.Max(); got != 0 {
			t.Errorf("the generator blames itself for %v of waiting", got)
		}
	})
	t.Run("burst", func(t *testing.T) {
		r := play(t, Burst)
		if len(r.sent) != 10000 {
			t.Errorf("sent %d, want all 10000", len(r.sent))
		}
		if got := r.peak(time.Second); got < 500 {
			t.Errorf("%d sends in one second, want the backlog of 500 at least", got)
		}
	})
	t.Run("skip", func(t *testing.T) {
		r := play(t, Skip)
		if r.totals.Missed < 480 || r.totals.Missed > 495 {
			t.Errorf("missed %d, want nearly 500", r.totals.Missed)
		}
		if got := r.totals.SendLag.Max(); got > SkipAfter {
			t.Errorf("an arrival left %v late", got)
		}
		for _, k := range r.ticks {
			for _, row := range k.Series {
				if row.Outcome == hit.Missed && (k.Index < 10 || k.Index > 15) {
					t.Errorf("tick %d has %d missed arrivals", k.Index, row.Count)
				}
				if row.Outcome == hit.Missed && (row.Method != "GET" || row.Name != "/path") {
					t.Errorf("missed arrivals of %s %s", row.Method, row.Name)
				}
			}
		}
	})
}

// Under Spread, no window has more sends than 1.1 windows of the plan and the
// grace, whatever the plan, the pool and the server do.
func TestSpreadNeverOvershoots(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		gaps := rapid.SliceOfN(rapid.Int64Range(0, int64(200*time.Millisecond)), 1, 200).Draw(rt, "gaps")
		due := make([]time.Duration, len(gaps))
		var at time.Duration
		for i, g := range gaps {
			at += time.Duration(g)
			due[i] = at
		}
		var s spreader
		var left []time.Duration
		var now time.Duration
		for i := range due {
			// The user, or the clock, is late by this much.
			now = max(now, due[i]) + time.Duration(rapid.Int64Range(0, int64(300*time.Millisecond)).Draw(rt, "late")*rapid.Int64Range(0, 1).Draw(rt, "is late"))
			now = max(now, s.earliest())
			left = append(left, now)
			if i+1 < len(due) {
				s.leave(now, due[i+1]-due[i])
			}
		}
		for i := range left {
			for j := i; j < len(left); j++ {
				// The time that the plan has between the two, a tenth faster, with the grace.
				if least := (due[j]-due[i])*10/11 - spreadGrace - time.Duration(j-i); left[j]-left[i] < least {
					rt.Fatalf("arrivals %d and %d left %v apart, the plan has %v between them", i, j, left[j]-left[i], due[j]-due[i])
				}
			}
		}
	})
}

func TestEveryArrivalHasOneEnd(t *testing.T) {
	stopped, missed, unfinished, failed, throttled := 0, 0, 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		p := Plan{
			MaxUsers:    rapid.IntRange(1, 30).Draw(rt, "users"),
			CatchUp:     CatchUp(rapid.IntRange(0, 2).Draw(rt, "catch-up")),
			StopTimeout: time.Duration(rapid.IntRange(0, 1500).Draw(rt, "stop timeout")) * time.Millisecond,
		}
		length := time.Duration(rapid.IntRange(1, 5000).Draw(rt, "length")) * time.Millisecond
		rate := pace.Rate{N: rapid.Int64Range(1, 300).Draw(rt, "rate"), Per: time.Second}
		p.Arrivals = pace.Constant(rate, length)
		switch rapid.IntRange(0, 3).Draw(rt, "shape") {
		case 0:
			p.Arrivals = pace.Poisson(p.Arrivals, rapid.Uint64().Draw(rt, "seed"))
		case 1:
			p.Arrivals = pace.Stages{{From: pace.Rate{}, To: rate, For: length}}.Pacer()
		case 2:
			p.RunTime = length
		}
		if rapid.Bool().Draw(rt, "budget") {
			p.MaxRequests = rapid.Int64Range(1, 400).Draw(rt, "requests")
		}
		if rapid.Bool().Draw(rt, "throttle budget") {
			p.MaxThrottled = rapid.Int64Range(1, 40).Draw(rt, "throttled")
		}
		var slow [16]time.Duration
		for i := range slow {
			slow[i] = time.Duration(rapid.IntRange(0, 300).Draw(rt, "latency")) * time.Millisecond
		}
		slow[0] *= time.Duration(rapid.IntRange(0, 20).Draw(rt, "stall"))
		stop := rapid.SampledFrom([]string{"", "stop", "cancel"}).Draw(rt, "stop")
		when := time.Duration(rapid.IntRange(0, 5000).Draw(rt, "when")) * time.Millisecond
		unfit := rapid.IntRange(0, 3).Draw(rt, "unfit")

		if _, ok := p.Arrivals.Due(0); !ok {
			rt.Skip("empty schedule")
		}
		r := &run{}
		synctest.Test(t, func(t *testing.T) {
			s := &server{start: time.Now(), answer: func(n int64, _ time.Duration) (int, time.Duration) {
				status := 200
				switch n % 7 {
				case 3:
					status = 429
				case 5:
					status = 500
				}
				return status, slow[n%16]
			}}
			p.Scenario = Repeat(&hit.Request{URL: "http://test/"}, 0)
			p.NewSender = func(user int) (Sender, error) {
				if unfit == 1 && user%3 == 1 {
					return nil, errors.New("no sender for you")
				}
				return &fake{s: s}, nil
			}
			e, err := New(p)
			if err != nil {
				rt.Fatalf("New: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if stop != "" {
				timer := time.AfterFunc(when, func() {
					if stop == "stop" {
						e.Stop("enough")
					} else {
						cancel()
					}
				})
				defer timer.Stop()
			}
			r.Result, r.err = e.Run(ctx, func(k *tally.Tick) { r.ticks = append(r.ticks, k) })
			r.sent = s.sent
		})
		if r.err != nil {
			rt.Fatal(r.err)
		}
		for _, problem := range append(r.check(), r.conserved()) {
			if problem != "" {
				rt.Error(problem)
			}
		}
		if p.MaxRequests > 0 && int64(len(r.sent)) > p.MaxRequests {
			rt.Errorf("%d requests with a budget of %d", len(r.sent), p.MaxRequests)
		}
		// A request may be cut when its sender has it and before it is written.
		if got := int64(len(r.sent)); got > r.totals.Due-r.totals.Missed || got < r.totals.Due-r.totals.Missed-r.Unfinished {
			rt.Errorf("sent %d, due %d, missed %d, unfinished %d", got, r.totals.Due, r.totals.Missed, r.Unfinished)
		}
		if stop == "" && p.MaxThrottled == 0 && p.MaxRequests == 0 && p.RunTime == 0 {
			if want := pace.Count(p.Arrivals); r.totals.Due != want {
				rt.Errorf("%d arrivals were due, the plan has %d", r.totals.Due, want)
			}
		}
		if r.totals.Due < pace.Count(p.Arrivals) {
			stopped++
		}
		if r.totals.Missed > 0 {
			missed++
		}
		if r.Unfinished > 0 {
			unfinished++
		}
		if r.count(hit.Failed) > 0 {
			failed++
		}
		if r.count(hit.Throttled) > 0 {
			throttled++
		}
	})
	if min(stopped, missed, unfinished, failed, throttled) == 0 && !testing.Short() { // the few draws of -short may miss one
		t.Errorf("not everything happened: stopped early %d, missed %d, unfinished %d, failed %d, throttled %d", stopped, missed, unfinished, failed, throttled)
	}
}

// A stop in the middle: what was to come is neither due nor missed.
func TestStopOpen(t *testing.T) {
	r := play(t, Plan{
		Arrivals: pace.Constant(mustRate(t, "100/s"), time.Minute), RunTime: time.Minute, MaxUsers: 10, StopTimeout: time.Second,
	}, after(50*time.Millisecond), func(e *Engine, _ func()) {
		time.Sleep(2505 * time.Millisecond)
		e.Stop("enough")
		e.Stop("again")
	})
	if r.totals.Due != 251 || len(r.sent) != 251 || r.count(hit.Admitted) != 251 || r.totals.Missed != 0 {
		t.Errorf("due %d, sent %d, admitted %d, missed %d, want 251 and none missed", r.totals.Due, len(r.sent), r.count(hit.Admitted), r.totals.Missed)
	}
	if r.Reason != "enough" || r.Hard || r.Loaded != 2505*time.Millisecond || r.Elapsed != 2550*time.Millisecond {
		t.Errorf("%+v", r.Result)
	}
}

// What was due when the run was stopped is missed, even if the clock of the
// generator was too late to notice it.
func TestStopWithALateClock(t *testing.T) {
	r := play(t, Plan{
		Arrivals: pace.Constant(mustRate(t, "100/s"), time.Minute), RunTime: time.Minute, MaxUsers: 500, StopTimeout: time.Second,
		Sleep: func(ctx context.Context, until time.Time) {
			timer := time.NewTimer(time.Until(until) + 995*time.Millisecond)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		},
	}, after(0), func(e *Engine, _ func()) {
		time.Sleep(2505 * time.Millisecond)
		e.Stop("enough")
	})
	if r.totals.Due != 251 || r.totals.Missed == 0 || r.conserved() != "" {
		t.Errorf("due %d, missed %d: %s", r.totals.Due, r.totals.Missed, r.conserved())
	}
}

// A budget of requests that missed arrivals have eaten into ends the run all the
// same, and says why.
func TestBudgetWithMissedArrivals(t *testing.T) {
	r := play(t, Plan{
		Arrivals: pace.Constant(mustRate(t, "100/s"), time.Minute), MaxUsers: 1, MaxRequests: 20, CatchUp: Skip,
	}, after(100*time.Millisecond), nil)
	if len(r.sent) >= 20 || r.totals.Missed == 0 || r.conserved() != "" {
		t.Errorf("sent %d, missed %d: %s", len(r.sent), r.totals.Missed, r.conserved())
	}
	if r.Reason == "" || r.Loaded == 0 {
		t.Errorf("the reason to end is %q after %v", r.Reason, r.Loaded)
	}
}

// While late arrivals leave after the end of the schedule, the run time and
// Stop end the run as they do before it.
func TestBacklogOfABudgetEnds(t *testing.T) {
	plan := func() Plan {
		return Plan{Arrivals: pace.Constant(mustRate(t, "100/s"), time.Minute), MaxUsers: 1, MaxRequests: 100, StopTimeout: 5 * time.Second}
	}
	r := play(t, plan(), after(time.Second), func(e *Engine, _ func()) {
		time.Sleep(9500 * time.Millisecond)
		e.Stop("enough")
	})
	if len(r.sent) != 10 || r.totals.Missed != 90 || r.conserved() != "" {
		t.Errorf("stopped: sent %d, missed %d, want 10 and 90: %s", len(r.sent), r.totals.Missed, r.conserved())
	}
	if r.Reason != "enough" || r.Elapsed != 10*time.Second {
		t.Errorf("stopped: %+v", r.Result)
	}
	p := plan()
	p.RunTime = 9500 * time.Millisecond
	r = play(t, p, after(time.Second), nil)
	if r.Reason != "the run time was reached" || r.Loaded != p.RunTime || r.conserved() != "" {
		t.Errorf("run time: %+v %s", r.Result, r.conserved())
	}
}

// Stop also ends the late arrivals that leave after the plan has ended.
func TestStopDuringTheBacklog(t *testing.T) {
	r := play(t, Plan{
		Arrivals: pace.Constant(mustRate(t, "100/s"), time.Second), MaxUsers: 1, StopTimeout: time.Hour,
	}, after(time.Second), func(e *Engine, _ func()) {
		time.Sleep(9500 * time.Millisecond)
		e.Stop("enough")
	})
	if len(r.sent) != 10 || r.totals.Missed != 90 || r.Elapsed != 10*time.Second || r.conserved() != "" {
		t.Errorf("sent %d, missed %d, want 10 and 90: %+v %s", len(r.sent), r.totals.Missed, r.Result, r.conserved())
	}
}

// An idle user who worked last works next.
func TestPoolIsLIFO(t *testing.T) {
	r := play(t, Plan{
		Arrivals: pace.Constant(mustRate(t, "100/s"), 10*time.Second), RunTime: 10 * time.Second, MaxUsers: 1000, StopTimeout: time.Second,
	}, func(n int64, _ time.Duration) (int, time.Duration) {
		if n < 50 {
			return 200, time.Second
		}
		return 200, time.Millisecond
	}, nil)
	if r.PeakUsers > 52 {
		t.Errorf("%d users, want the 51 that were busy at once", r.PeakUsers)
	}
	if r.PeakUsers < 50 {
		t.Errorf("%d users, too few for 50 requests at once", r.PeakUsers)
	}
}

func TestOpenUserWhoCannotStart(t *testing.T) {
	tried := 0
	r := play(t, Plan{
		Arrivals: pace.Constant(mustRate(t, "10/s"), 2*time.Second), RunTime: 2 * time.Second, MaxUsers: 3, StopTimeout: time.Second,
		NewSender: func(user int) (Sender, error) { tried++; return nil, errors.New("no file descriptors left") },
	}, after(0), nil)
	if r.err == nil || tried != 3 {
		t.Fatalf("err = %v after %d users", r.err, tried)
	}
	if want := "no user could start: no file descriptors left"; r.err.Error() != want {
		t.Errorf("err = %q, want %q", r.err, want)
	}
	if s := r.conserved(); s != "" {
		t.Error(s)
	}
}

// The clock is late at random: what is due is served in order, nothing is lost,
// and the wake lag tells.
func TestLateClock(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var worst time.Duration
	r := play(t, Plan{
		Arrivals: pace.Constant(mustRate(t, "1000/s"), 10*time.Second), RunTime: 10 * time.Second, MaxUsers: 1000, StopTimeout: time.Second,
		Sleep: func(_ context.Context, until time.Time) {
			late := time.Duration(rnd.IntN(9)) * time.Millisecond
			time.Sleep(time.Until(until) + late)
			if time.Since(until) > worst {
				worst = time.Since(until)
			}
		},
	}, after(2*time.Millisecond), nil)
	if len(r.sent) != 10000 || r.totals.Due != 10000 {
		t.Errorf("sent %d, due %d, want 10000", len(r.sent), r.totals.Due)
	}
	if got := r.totals.WakeLag.Max(); got != worst || got == 0 {
		t.Errorf("wake lag %v, the clock was late by %v", got, worst)
	}
	if got := r.totals.SendLag.Max(); got < worst {
		t.Errorf("send lag %v, wake lag %v", got, worst)
	}
}

// An arrival whose user stops itself is counted once, and its place is free again.
func TestArrivalsOfUsersWhoStop(t *testing.T) {
	for _, c := range []struct {
		name             string
		hire, send       bool // the user stops as it starts; it sends before it stops
		admitted, missed int64
	}{
		{"before its first task", true, false, 0, 10},
		{"before its first task, having sent", true, true, 10, 10},
		{"in a task", false, false, 0, 10},
		{"in a task, having sent", false, true, 10, 0},
	} {
		quit := func(s *Session) {
			if c.send {
				s.Send(get)
				s.Pause(0)
			}
			runtime.Goexit()
		}
		var sc Scenario = scenario(func(s *Session) (time.Duration, error) { quit(s); return 0, nil })
		if c.hire {
			sc = quitter(quit)
		}
		r := play(t, Plan{Scenario: sc, Arrivals: pace.Constant(mustRate(t, "1/s"), 10*time.Second), MaxUsers: 2, StopTimeout: time.Second}, after(time.Millisecond), nil)
		if a, m := r.count(hit.Admitted), r.count(hit.Missed); a != c.admitted || m != c.missed || r.totals.Due != 10 {
			t.Errorf("%s: admitted %d, missed %d of %d; want %d and %d of 10", c.name, a, m, r.totals.Due, c.admitted, c.missed)
		}
	}
}

// quitter is a Scenario whose users do that as they start.
type quitter func(s *Session)

func (q quitter) NewUser(_ int, s *Session) (User, error) { q(s); return nil, nil }
