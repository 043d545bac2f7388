package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

func mustLevel(t testing.TB, s string) pace.Level {
	t.Helper()
	l, err := pace.ParseLevel(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var get = &hit.Request{URL: "http://test/path"}

func TestUsersStartAtTheSpawnRate(t *testing.T) {
	r := play(t, Plan{
		Scenario: Repeat(get, time.Second), Users: pace.Users(300, mustRate(t, "100/s")), RunTime: 9995 * time.Millisecond, StopTimeout: time.Second,
	}, after(0), nil)
	for i, k := range r.ticks {
		// At the very end of a tick the next user may be there already.
		if want := min(300, 100*(i+1)); k.Users != want && k.Users != min(300, want+1) {
			t.Errorf("%d users after %d s, want %d", k.Users, i+1, want)
		}
	}
	// User k sends at k/100 s, and then every second, until 10 s.
	if got := len(r.sent); got != 100*10+100*9+100*8 {
		t.Errorf("sent %d, want 2700", got)
	}
	for i := range 300 {
		if want := time.Duration(i) * 10 * time.Millisecond; i < 100 && r.sent[i] != want {
			t.Errorf("user %d began at %v, want %v", i, r.sent[i], want)
		}
	}
	if r.PeakUsers != 300 || r.Reason != "the run time was reached" || r.Elapsed != 9995*time.Millisecond {
		t.Errorf("%+v", r.Result)
	}
	if got := r.totals.WakeLag; got.Count() == 0 || got.Max() != 0 {
		t.Errorf("%d wake lags up to %v", got.Count(), got.Max())
	}
	if r.totals.Due != 0 || r.totals.Missed != 0 {
		t.Errorf("due %d, missed %d in the closed model", r.totals.Due, r.totals.Missed)
	}
}

// Think time is not response time, and the time it took to answer is.
func TestClosedResponseTime(t *testing.T) {
	for _, wait := range []time.Duration{0, 300 * time.Millisecond} {
		r := play(t, Plan{
			Scenario: Repeat(get, wait), Users: pace.Users(4, pace.Rate{}), RunTime: 7050 * time.Millisecond, StopTimeout: time.Second,
		}, after(100*time.Millisecond), nil)
		sum := r.totals.Outcome(hit.Admitted)
		if sum.Response.Min() != 100*time.Millisecond || sum.Response.Max() != 100*time.Millisecond || sum.Service.Max() != 100*time.Millisecond {
			t.Errorf("wait %v: response from %v to %v", wait, sum.Response.Min(), sum.Response.Max())
		}
		if want := int64(4 * (7050*time.Millisecond/(wait+100*time.Millisecond) + 1)); sum.Count != want {
			t.Errorf("wait %v: %d, want %d", wait, sum.Count, want)
		}
	}
}

func TestLevelGoesUpAndDown(t *testing.T) {
	type stay struct{ id, at int }
	var mu sync.Mutex
	seen := map[stay]bool{}
	s := scenario(func(s *Session) (time.Duration, error) {
		mu.Lock()
		seen[stay{s.ID(), int(s.e.since() / time.Second)}] = true
		mu.Unlock()
		s.Send(get)
		return 100 * time.Millisecond, nil
	})
	r := play(t, Plan{Scenario: s, Users: mustLevel(t, "10:5s,4:5s,8:5s"), StopTimeout: time.Second}, after(time.Millisecond), nil)
	want := []int{10, 10, 10, 10, 4, 4, 4, 4, 4, 8, 8, 8, 8, 8, 8}
	for i, k := range r.ticks {
		if i < len(want) && k.Users != want[i] && i != 4 && i != 9 {
			t.Errorf("tick %d: %d users, want %d", i, k.Users, want[i])
		}
	}
	for id := range 10 {
		for at := range 15 {
			should := id < 4 || at < 5 || at >= 10 && id < 8
			if seen[stay{id, at}] != should {
				t.Errorf("user %d at %d s: active is %v, want %v", id, at, !should, should)
			}
		}
	}
	if r.Reason != "the plan ended" || r.Loaded != 15*time.Second {
		t.Errorf("%+v", r.Result)
	}
}

// A user who is to leave finishes what it is doing, and one who is wanted again
// before that just stays.
func TestLeavingUserMayStay(t *testing.T) {
	started := 0
	r := play(t, Plan{
		Scenario: Repeat(get, 0), Users: mustLevel(t, "1:1s,0:1s,1:4s"), StopTimeout: 10 * time.Second,
	}, func(int64, time.Duration) (int, time.Duration) { started++; return 200, 5 * time.Second }, nil)
	if got := r.count(hit.Admitted); got != 2 || r.PeakUsers != 1 {
		t.Errorf("%d requests by %d users, want 2 by 1", got, r.PeakUsers)
	}
}

// scenario makes a Scenario of an iteration.
type scenario func(s *Session) (time.Duration, error)

func (f scenario) NewUser(_ int, s *Session) (User, error) { return scenarioUser{f, s}, nil }

type scenarioUser struct {
	f scenario
	s *Session
}

func (u scenarioUser) Iterate(context.Context) (time.Duration, error) { return u.f(u.s) }

func TestGracefulStop(t *testing.T) {
	for _, tt := range []struct {
		timeout         time.Duration
		admitted, cut   int64
		elapsed, oldest time.Duration
	}{
		{5 * time.Second, 20, 0, 12 * time.Second, 0},
		{time.Second, 10, 10, 9 * time.Second, 3 * time.Second},
		{0, 10, 10, 8 * time.Second, 2 * time.Second},
	} {
		t.Run(fmt.Sprint(tt.timeout), func(t *testing.T) {
			r := play(t, Plan{
				Scenario: Repeat(get, 0), Users: pace.Users(10, pace.Rate{}), StopTimeout: tt.timeout,
			}, after(6*time.Second), func(e *Engine, _ func()) {
				time.Sleep(8 * time.Second)
				e.Stop("enough")
			})
			if got := r.count(hit.Admitted); got != tt.admitted || r.Unfinished != tt.cut || r.count(hit.Failed) != 0 {
				t.Errorf("admitted %d, unfinished %d, failed %d; want %d, %d, 0", got, r.Unfinished, r.count(hit.Failed), tt.admitted, tt.cut)
			}
			if r.Elapsed != tt.elapsed || r.OldestUnfinished != tt.oldest || r.Loaded != 8*time.Second || r.Hard || r.Reason != "enough" {
				t.Errorf("%+v", r.Result)
			}
		})
	}
}

func TestHardStop(t *testing.T) {
	for _, first := range []bool{false, true} { // a graceful stop comes first
		r := play(t, Plan{
			Scenario: Repeat(get, 0), Users: pace.Users(10, pace.Rate{}), StopTimeout: time.Hour,
		}, after(6*time.Second), func(e *Engine, cancel func()) {
			if first {
				time.Sleep(time.Second)
				e.Stop("enough")
			}
			time.Sleep(time.Second)
			cancel()
		})
		if !r.Hard || r.Unfinished != 10 || len(r.sent) != 10 || r.count(hit.Failed)+r.count(hit.Admitted) != 0 {
			t.Errorf("%+v, sent %d", r.Result, len(r.sent))
		}
		if want := map[bool]string{false: "interrupted", true: "enough"}[first]; r.Reason != want {
			t.Errorf("reason %q, want %q", r.Reason, want)
		}
	}
}

func TestStopBeforeRun(t *testing.T) {
	for name, p := range map[string]Plan{
		"closed": {Users: pace.Users(10, pace.Rate{})},
		"open":   {Arrivals: pace.Constant(mustRate(t, "10/s"), 0), MaxUsers: 1},
	} {
		p.Scenario = Repeat(get, 0)
		p.NewSender = func(int) (Sender, error) { t.Errorf("%s: a user was started", name); return nil, nil }
		e, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		e.Stop("too late")
		ticks := 0
		r, err := e.Run(t.Context(), func(*tally.Tick) { ticks++ })
		if err != nil || r.Reason != "too late" || ticks != 1 {
			t.Errorf("%s: %+v, %v, %d ticks", name, r, err, ticks)
		}
		if _, err := e.Run(t.Context(), nil); err == nil {
			t.Errorf("%s: an engine ran twice", name)
		}
	}
}

// A user that does not heed its context is left behind, and said to be.
func TestAbandonedUser(t *testing.T) {
	s := scenario(func(s *Session) (time.Duration, error) {
		s.Send(get)
		if s.ID() == 0 {
			s.Pause(0) // records the request
			time.Sleep(time.Hour)
			s.Send(get) // refused
		}
		return time.Second, nil
	})
	r := play(t, Plan{Scenario: s, Users: pace.Users(3, pace.Rate{}), RunTime: 9950 * time.Millisecond, StopTimeout: time.Second}, after(0), nil)
	if r.Abandoned != 1 || r.Elapsed != 10950*time.Millisecond+abandonAfter || len(r.sent) != 21 {
		t.Errorf("%+v, sent %d", r.Result, len(r.sent))
	}
}

func TestAbandonedUserAfterHardStop(t *testing.T) {
	s := scenario(func(s *Session) (time.Duration, error) { time.Sleep(time.Hour); return 0, nil })
	r := play(t, Plan{Scenario: s, Users: one, StopTimeout: time.Hour}, after(0), func(_ *Engine, cancel func()) {
		time.Sleep(time.Second)
		cancel()
	})
	if r.Abandoned != 1 || r.Elapsed != time.Second+abandonAfter {
		t.Errorf("%+v", r.Result)
	}
}

// A user who was let go and is wanted again before it has left does not leave.
func TestDone(t *testing.T) {
	e := &Engine{}
	c := &closed{e: e, p: &part{e: e}}
	m := &member{c: c, running: true}
	c.want.Store(1)
	if m.done() || !m.running {
		t.Error("a user who is wanted leaves")
	}
	c.want.Store(0)
	if !m.done() || m.running {
		t.Error("a user who is not wanted stays")
	}
}

// A hard stop may come between a look at the clock and a step of the level.
func TestStepAfterTheEnd(t *testing.T) {
	e := engine(t, Plan{Scenario: Repeat(get, 0), Users: pace.Users(10, pace.Rate{})})
	e.makeParts(t.Context(), t.Context())
	c := e.parts[0].model.(*closed)
	c.halt()
	c.set(10, 0, true)
	c.set(0, 0, true)
	if alive, _, peak := e.crew.count(); alive != 0 || peak != 0 {
		t.Errorf("%d users alive, %d at most, want none after the end", alive, peak)
	}
}

// What a scenario does after its last answer, such as thinking, is no delay of
// the next iteration.
func TestWorkAfterTheLastAnswer(t *testing.T) {
	ways := map[string]func(s *Session){
		"pauses":   func(s *Session) { s.Pause(time.Second) },
		"computes": func(*Session) { time.Sleep(time.Second) },
	}
	for name, think := range ways {
		s := scenario(func(s *Session) (time.Duration, error) {
			s.Send(get)
			think(s)
			return 0, nil
		})
		r := play(t, Plan{Scenario: s, Users: one, RunTime: 9500 * time.Millisecond, StopTimeout: time.Second}, after(10*time.Millisecond), nil)
		if n := len(r.sent); n != 10 {
			t.Errorf("%s: %d sent, want 10", name, n)
		}
		if got := r.totals.Outcome(hit.Admitted).Response.Max(); got > 20*time.Millisecond {
			t.Errorf("%s: response time %v, the answer took 10ms", name, got)
		}
		if got := r.totals.SendLag.Max(); got != 0 {
			t.Errorf("%s: send lag %v, want none", name, got)
		}
	}
}

// A slow consumer of ticks delays neither requests nor what the ticks say.
func TestSlowOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: after(0), start: time.Now()}
		e := engine(t, Plan{Scenario: Repeat(get, 100*time.Millisecond), Users: one, RunTime: 19950 * time.Millisecond,
			NewSender: func(int) (Sender, error) { return &fake{s: s}, nil }})
		ticks := 0
		r, err := e.Run(t.Context(), func(k *tally.Tick) {
			ticks++
			time.Sleep(7 * time.Second)
			n := 0
			for _, b := range k.Sends {
				n += int(b)
			}
			if n != 10 || len(k.Series) != 1 || k.Series[0].Count != 10 {
				t.Errorf("tick %d has %d sends", k.Index, n)
			}
		})
		if err != nil || ticks != 20 || r.Elapsed != 19950*time.Millisecond {
			t.Errorf("%d ticks, %+v, %v", ticks, r, err)
		}
	})
}

func TestPauseIsCutByAHardStop(t *testing.T) {
	full := 0
	s := scenario(func(s *Session) (time.Duration, error) {
		s.Send(get)
		if s.Pause(10 * time.Second) {
			full++
		}
		return 0, nil
	})
	r := play(t, Plan{Scenario: s, Users: one, RunTime: 15 * time.Second, StopTimeout: time.Second}, after(0), nil)
	if full != 1 || r.Elapsed != 16*time.Second || r.Unfinished != 0 || len(r.sent) != 2 {
		t.Errorf("%d full pauses, %+v", full, r.Result)
	}
}

func TestEmptyIterationsDoNotSpin(t *testing.T) {
	n := 0
	s := scenario(func(*Session) (time.Duration, error) { n++; return 0, nil })
	r := play(t, Plan{Scenario: s, Users: pace.Users(1, pace.Rate{}), RunTime: 995 * time.Millisecond}, after(0), nil)
	if n != 100 || len(r.sent) != 0 {
		t.Errorf("%d empty iterations in a second, want 100", n)
	}
}

func TestScenarioErrorsAndPanics(t *testing.T) {
	n := 0 // of the bad user
	s := scenario(func(s *Session) (time.Duration, error) {
		if s.ID() != 0 {
			n++
		}
		switch {
		case s.ID() == 0:
			s.Send(get)
			return 100 * time.Millisecond, nil
		case n%3 == 0:
			return 0, errors.New("no token\nin the page")
		default:
			var m map[string]int
			m["x"] = 1 //lint:ignore SA5000 the panic is what the test is about
			return 0, nil
		}
	})
	r := play(t, Plan{Scenario: s, Users: pace.Users(2, pace.Rate{}), RunTime: 9950 * time.Millisecond, StopTimeout: time.Second}, after(0), nil)
	if r.err != nil || len(r.sent) != 100 {
		t.Errorf("err %v, the good user sent %d, want 100", r.err, len(r.sent))
	}
	errs := r.totals.Errors()
	var total int64
	text := ""
	for _, e := range errs {
		total += e.Count
		text += e.Text + "\n"
		if e.Name != "(scenario)" || e.Failure != hit.OtherFailure {
			t.Errorf("row %+v", e)
		}
	}
	if len(errs) != 2 || total != 100 {
		t.Errorf("%d kinds of error, %d in all, want 2 and 100: %s", len(errs), total, text)
	}
	for _, want := range []string{"no token in the page", "panic: assignment to entry in nil map at closed_test.go:", "TestScenarioErrorsAndPanics"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if r.count(hit.Failed) != 0 {
		t.Errorf("%d hits failed, want 0: the requests were fine", r.count(hit.Failed))
	}
}

func TestUserStartsOnRetry(t *testing.T) {
	tries := map[int]int{}
	var mu sync.Mutex
	fails := startScenario(func(id int, s *Session) error {
		mu.Lock()
		defer mu.Unlock()
		tries[id]++
		if id == 1 && tries[id] < 3 {
			return errors.New("login refused")
		}
		if id == 2 {
			panic("bad user")
		}
		return nil
	})
	r := play(t, Plan{Scenario: fails, Users: pace.Users(3, pace.Rate{}), RunTime: 9500 * time.Millisecond, StopTimeout: time.Second}, after(time.Second), nil)
	// User 1 is there after 1 s and 2 s more; user 2 tries at 0, 1, 3 and 7 s.
	if tries[0] != 1 || tries[1] != 3 || tries[2] != 4 || len(r.sent) != 10+7 || r.err != nil {
		t.Errorf("tries %v, sent %d, err %v", tries, len(r.sent), r.err)
	}
}

type startScenario func(id int, s *Session) error

func (f startScenario) NewUser(id int, s *Session) (User, error) {
	if err := f(id, s); err != nil {
		return nil, err
	}
	return scenarioUser{func(s *Session) (time.Duration, error) { s.Send(get); return 0, nil }, s}, nil
}

func TestNobodyCanStart(t *testing.T) {
	fails := startScenario(func(int, *Session) error { return errors.New("login refused") })
	for users, latest := range map[int]time.Duration{1: 0, 7: 600 * time.Millisecond, 1000: 10 * time.Second} {
		r := play(t, Plan{Scenario: fails, Users: pace.Users(users, mustRate(t, "10/s")), RunTime: time.Hour}, after(0), nil)
		if r.err == nil || r.err.Error() != "no user could start: login refused" || r.Elapsed > latest {
			t.Errorf("%d users: %v after %v, want an error within %v", users, r.err, r.Elapsed, latest)
		}
	}
}

// Users who stop themselves end the run when nobody else will come.
func TestEveryUserStops(t *testing.T) {
	var mu sync.Mutex
	iterations := make([]int, 8) // by user
	stops := scenario(func(s *Session) (time.Duration, error) {
		s.Send(get)
		mu.Lock()
		iterations[s.ID()]++
		last := iterations[s.ID()]%(s.ID()+1) == 0
		mu.Unlock()
		if last {
			s.Pause(0)
			runtime.Goexit()
		}
		return time.Second, nil
	})
	for _, c := range []struct {
		name   string
		plan   Plan
		loaded time.Duration
		reason string
		sent   int
	}{
		{"all at once", Plan{Users: pace.Users(4, pace.Rate{})}, 3 * time.Second, "every user has stopped", 1 + 2 + 3 + 4},
		{"others are still to come", Plan{Users: pace.Users(3, mustRate(t, "1/5s"))}, 12 * time.Second, "every user has stopped", 1 + 2 + 3},
		{"before the run time", Plan{Users: pace.Users(2, pace.Rate{}), RunTime: time.Hour}, time.Second, "every user has stopped", 1 + 2},
		{"fewer users are to come", Plan{Users: mustLevel(t, "3:10s,1:1m"), RunTime: time.Hour}, 10 * time.Second, "every user has stopped", 1 + 2 + 3},
		{"the level comes back", Plan{Users: mustLevel(t, "1:10s,0:1s,1:10s"), RunTime: 30 * time.Second}, 11 * time.Second, "every user has stopped", 2},
		{"one of two parts", Plan{Parts: []Part{{Users: pace.Users(1, pace.Rate{})}, {Users: mustLevel(t, "0:5s,1:5s"), End: 20 * time.Second}}}, 6 * time.Second, "every user has stopped", 3},
	} {
		clear(iterations)
		c.plan.Scenario, c.plan.StopTimeout = stops, time.Second
		r := play(t, c.plan, after(0), nil)
		if r.Loaded != c.loaded || r.Reason != c.reason || len(r.sent) != c.sent {
			t.Errorf("%s: ended after %v because %s, with %d requests; want %v, %s, %d", c.name, r.Loaded, r.Reason, len(r.sent), c.loaded, c.reason, c.sent)
		}
	}
}
