package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
)

// named is a scenario that sends one request of that name, and pauses.
func named(name string, wait time.Duration) scenario {
	return func(s *Session) (time.Duration, error) {
		s.Send(&hit.Request{Name: name, URL: "http://test/" + name})
		return wait, nil
	}
}

func (r *run) countOf(name string) int64 {
	for _, n := range r.totals.Names() {
		if n.Name == name {
			return n.Answers()
		}
	}
	return 0
}

// Two thread groups, the second one after 15 s, and a rate beside them.
func TestPartsSideBySide(t *testing.T) {
	rate := pace.Constant(mustRate(t, "10/s"), 20*time.Second)
	var mu sync.Mutex
	ids := map[int]string{}
	firstOf := map[string]time.Duration{}
	watch := func(name string, wait time.Duration) scenario {
		return func(s *Session) (time.Duration, error) {
			mu.Lock()
			if was := ids[s.ID()]; was != "" && was != name {
				t.Errorf("user %d is of %s and of %s", s.ID(), was, name)
			}
			ids[s.ID()] = name
			if _, ok := firstOf[name]; !ok {
				firstOf[name] = s.e.since()
			}
			mu.Unlock()
			return named(name, wait)(s)
		}
	}
	r := play(t, Plan{StopTimeout: time.Second, Parts: []Part{
		{Name: "A", Scenario: watch("a", time.Second), Users: pace.Users(3, pace.Rate{}), End: 9950 * time.Millisecond},
		{Name: "B", Scenario: watch("b", time.Second), Users: pace.Users(2, pace.Rate{}).Delay(15 * time.Second), End: 19950 * time.Millisecond},
		{Name: "C", Scenario: watch("c", 0), Arrivals: pace.Delay(rate, 5*time.Second), MaxUsers: 5, End: 25 * time.Second},
	}}, after(time.Millisecond), nil)
	if a, b, c := r.countOf("a"), r.countOf("b"), r.countOf("c"); a != 30 || b != 10 || c != 200 {
		t.Errorf("%d of A, %d of B, %d of C, want 30, 10, 200", a, b, c)
	}
	for name, want := range map[string]time.Duration{"a": 0, "b": 15 * time.Second, "c": 5 * time.Second} {
		if firstOf[name] != want {
			t.Errorf("%s began at %v, want %v", name, firstOf[name], want)
		}
	}
	if r.Loaded != 25*time.Second || r.totals.Due != 200 || r.totals.Missed != 0 {
		t.Errorf("loaded %v, due %d, missed %d", r.Loaded, r.totals.Due, r.totals.Missed)
	}
	for i, k := range r.ticks {
		want := 1 // of C: answers take a millisecond
		switch {
		case i < 4:
			want = 3
		case i < 9:
			want = 4
		case i >= 14 && i < 19:
			want = 3
		case i >= 24:
			want = k.Users
		}
		if k.Users != want && i != 4 && i != 9 && i != 14 && i != 19 {
			t.Errorf("%d users after %d s, want %d", k.Users, i+1, want)
		}
	}
}

// A part's budget ends that part alone, and what was under way is waited for.
func TestBudgetOfAPart(t *testing.T) {
	for name, first := range map[string]Part{
		"users":    {Users: pace.Users(4, pace.Rate{})},
		"arrivals": {Arrivals: pace.Constant(mustRate(t, "100/s"), 0), MaxUsers: 4},
	} {
		first.Scenario, first.MaxRequests = named("a", 0), 20
		r := play(t, Plan{StopTimeout: time.Second, Parts: []Part{
			first, {Scenario: named("b", time.Second), Users: pace.Users(1, pace.Rate{}).Delay(15 * time.Second), End: 20500 * time.Millisecond},
		}}, after(2*time.Second), nil)
		if a, b := r.countOf("a"), r.countOf("b"); a != 20 || b != 2 || r.Unfinished != 0 || r.Reason != "the run time was reached" {
			t.Errorf("%s: %d of the first part, %d of the second, %d unfinished, %q", name, a, b, r.Unfinished, r.Reason)
		}
	}
	// The last part's ends the run.
	r := play(t, Plan{StopTimeout: time.Second, Parts: []Part{
		{Scenario: named("a", 0), Users: pace.Users(2, pace.Rate{}), MaxRequests: 10},
		{Scenario: named("b", 0), Users: pace.Users(3, pace.Rate{}), MaxRequests: 30},
	}}, after(time.Second), nil)
	if a, b := r.countOf("a"), r.countOf("b"); a != 10 || b != 30 || r.Loaded > 10*time.Second {
		t.Errorf("%d and %d requests in %v, want 10 and 30", a, b, r.Loaded)
	}
	// The plan's own budget holds over all.
	r = play(t, Plan{StopTimeout: time.Second, MaxRequests: 17, Parts: []Part{
		{Scenario: named("a", 0), Users: pace.Users(2, pace.Rate{})}, {Scenario: named("b", 0), Arrivals: pace.Constant(mustRate(t, "1/s"), 0), MaxUsers: 1},
	}}, after(time.Second), nil)
	if n := r.count(hit.Admitted); n != 17 {
		t.Errorf("%d requests, want the 17 of the budget", n)
	}
}

// What a part has under way at its end gets the stop time-out, while others go on.
func TestEndOfAPartIsGraceful(t *testing.T) {
	for _, tt := range []struct {
		timeout time.Duration
		a, cut  int64
	}{{5 * time.Second, 4, 0}, {time.Second, 2, 2}} {
		r := play(t, Plan{StopTimeout: tt.timeout, Parts: []Part{
			{Scenario: named("a", 0), Users: pace.Users(2, pace.Rate{}), End: 5 * time.Second},
			{Scenario: named("b", 0), Users: pace.Users(1, pace.Rate{}), End: 19 * time.Second},
		}}, after(4*time.Second), nil)
		if got := r.countOf("a"); got != tt.a || r.Unfinished != tt.cut {
			t.Errorf("time-out %v: %d answers, %d cut, want %d and %d", tt.timeout, got, r.Unfinished, tt.a, tt.cut)
		}
		if tt.cut == 0 && r.countOf("b") != 5 {
			t.Errorf("the other part has %d answers, want 5", r.countOf("b"))
		}
	}
}

func TestStopEndsAllParts(t *testing.T) {
	for _, hard := range []bool{false, true} {
		r := play(t, Plan{StopTimeout: time.Minute, Parts: []Part{
			{Scenario: named("a", 0), Users: pace.Users(5, pace.Rate{})},
			{Scenario: named("b", 0), Arrivals: pace.Constant(mustRate(t, "5/s"), 0), MaxUsers: 50},
			{Scenario: named("c", 0), Users: pace.Users(5, pace.Rate{}).Delay(time.Hour)},
		}}, after(2*time.Second), func(e *Engine, cancel func()) {
			time.Sleep(5500 * time.Millisecond)
			if hard {
				cancel()
			} else {
				e.Stop("enough")
			}
		})
		if r.countOf("c") != 0 || r.Elapsed > 8*time.Second || hard != (r.Unfinished > 0) {
			t.Errorf("hard %v: %d of the part that was to come, took %v, %d cut", hard, r.countOf("c"), r.Elapsed, r.Unfinished)
		}
	}
}

// Requests of the warm-up are sent and are in its ticks; afterwards everything
// counts that was due afterwards, and nothing else.
func TestWarmUp(t *testing.T) {
	slow := func(_ int64, at time.Duration) (int, time.Duration) {
		if at < 3*time.Second {
			return 200, 1500 * time.Millisecond // a cold start
		}
		return 200, 10 * time.Millisecond
	}
	for name, p := range map[string]Plan{
		"rate":  {Arrivals: pace.Constant(mustRate(t, "10/s"), 0), MaxUsers: 50},
		"users": {Scenario: Repeat(get, 100*time.Millisecond), Users: pace.Users(5, pace.Rate{})},
		"skip":  {Arrivals: pace.Constant(mustRate(t, "10/s"), 0), MaxUsers: 2, CatchUp: Skip},
	} {
		p.WarmUp, p.RunTime, p.StopTimeout = 3*time.Second, 9950*time.Millisecond, time.Second
		r := play(t, p, slow, nil)
		var warm int64
		for _, k := range r.ticks {
			if k.Warm != (k.Start < 3*time.Second) {
				t.Errorf("%s: the tick at %v is warm: %v", name, k.Start, k.Warm)
			}
		}
		warm = r.totals.Warmed
		late := 0
		for _, at := range r.sent {
			if at < 3*time.Second {
				late++
			}
		}
		if warm != int64(late) || r.totals.Warm != 3*time.Second || r.totals.Length < 6950*time.Millisecond || r.totals.Length > 7100*time.Millisecond {
			t.Errorf("%s: %d sent in %v of warm-up, want %d; counted %v", name, warm, r.totals.Warm, late, r.totals.Length)
		}
		sum := r.totals.Outcome(hit.Admitted)
		if name != "users" {
			if sum.Count+r.totals.Missed != r.totals.Due || r.totals.Due != 70 {
				t.Errorf("%s: %d admitted and %d missed of %d due, want 70", name, sum.Count, r.totals.Missed, r.totals.Due)
			}
		} else if sum.Count != r.totals.Sent {
			t.Errorf("%s: %d admitted of %d sent", name, sum.Count, r.totals.Sent)
		}
		if name != "skip" && sum.Response.Max() > 20*time.Millisecond {
			t.Errorf("%s: an answer of the cold start is counted: %v", name, sum.Response.Max())
		}
		if name == "rate" && r.Carried == 0 {
			t.Errorf("%s: no answer came after the warm-up", name)
		}
		if o, _ := r.totals.Offered(time.Second); o.Min == 0 || name == "rate" && o.Peak != 10 {
			t.Errorf("%s: offered %+v: the warm-up is in it", name, o)
		}
	}
}

func TestNudgeUsers(t *testing.T) {
	p := Plan{Scenario: Repeat(get, 100*time.Millisecond), Users: pace.Users(5, pace.Rate{}), RunTime: 9950 * time.Millisecond, StopTimeout: time.Second}
	r := play(t, p, after(0), func(e *Engine, _ func()) {
		begin := time.Now()
		for _, step := range []struct {
			at time.Duration
			n  int
		}{{2, 10}, {4, 1}, {6, -10}, {8, -100}} {
			time.Sleep(time.Until(begin.Add(step.at*time.Second + 500*time.Millisecond)))
			if text := e.Nudge(step.n); text == "" {
				t.Errorf("nothing changed by %d", step.n)
			}
		}
		if text := e.Nudge(-1); text != "" {
			t.Errorf("fewer than no users: %s", text)
		}
	})
	for i, want := range []int{5, 5, 15, 15, 16, 16, 6, 6, 0, 0} {
		if got := r.ticks[i].Users; got != want {
			t.Errorf("%d users after %d s, want %d", got, i+1, want)
		}
	}
	if len(r.Changes) != 4 || !strings.Contains(r.Changes[0], "at 2.5s: 15 users wanted, where the plan has 5") {
		t.Errorf("changes %q", r.Changes)
	}
	seen := 0
	for _, ev := range r.totals.Events() {
		if ev.Kind == "change" {
			seen++
		}
	}
	if seen != 4 {
		t.Errorf("%d events of changes, want 4", seen)
	}
}

func TestNudgeRate(t *testing.T) {
	p := Plan{Arrivals: pace.Constant(mustRate(t, "10/s"), 0), MaxUsers: 50, RunTime: 10 * time.Second, StopTimeout: time.Second}
	r := play(t, p, after(0), func(e *Engine, _ func()) {
		time.Sleep(2950 * time.Millisecond)
		e.Nudge(10) // twice the rate, from the arrival at 3.0 s on
		time.Sleep(4 * time.Second)
		for e.Nudge(-1) != "" {
			// down to a tenth, where it stops
		}
	})
	for i, want := range []int64{10, 10, 10, 20, 20, 20, 20, 1, 1, 1} {
		if got := r.ticks[i].Due; got < want-1 || got > want+1 {
			t.Errorf("%d due in second %d, want %d", got, i, want)
		}
	}
	if msg := r.conserved(); msg != "" {
		t.Error(msg)
	}
	if n := len(r.Changes); n != 20 || !strings.Contains(r.Changes[19], "10 % of the planned rate") {
		t.Errorf("%d changes: %q", n, r.Changes)
	}
}

// leaver says good-bye when it leaves.
type leaver struct {
	s     *Session
	leave func(s *Session) error
}

func (l leaver) Iterate(context.Context) (time.Duration, error) {
	l.s.Send(&hit.Request{Name: "work", URL: "http://test/work"})
	return time.Second, nil
}

func (l leaver) Leave(context.Context) error { return l.leave(l.s) }

type leavers func(s *Session) error

func (f leavers) NewUser(_ int, s *Session) (User, error) { return leaver{s, f}, nil }

func TestLeave(t *testing.T) {
	bye := func(s *Session) error {
		if s.sender.(*fake).closed {
			return errors.New("the sender is closed already")
		}
		s.Send(&hit.Request{Name: "bye", URL: "http://test/bye"})
		return nil
	}
	plans := map[string]Plan{
		"users":    {Users: pace.Users(4, pace.Rate{})},
		"arrivals": {Arrivals: pace.Constant(mustRate(t, "4/s"), 0), MaxUsers: 4},
	}
	for name, p := range plans {
		p.Scenario, p.RunTime, p.StopTimeout = leavers(bye), 2500*time.Millisecond, 5*time.Second
		r := play(t, p, after(1100*time.Millisecond), nil)
		byes := r.countOf("bye")
		if byes < 4 || byes > 5 || len(r.totals.Errors()) > 0 || r.Unfinished != 0 {
			t.Errorf("%s: %d good-byes were counted, errors %+v, %d cut", name, byes, r.totals.Errors(), r.Unfinished)
		}
		for _, n := range r.totals.Names() {
			if n.Name == "bye" && n.Outcome(hit.Admitted).Response.Max() != 1100*time.Millisecond {
				t.Errorf("%s: a good-bye took %v", name, n.Outcome(hit.Admitted).Response.Max())
			}
		}
		// A good-bye that hangs is cut, and told; one that fails is an error; one that
		// panics, too.
		r = play(t, p, func(n int64, at time.Duration) (int, time.Duration) {
			if at >= 2500*time.Millisecond {
				return 200, time.Hour
			}
			return 200, 0
		}, nil)
		if r.Unfinished < 1 || r.Elapsed != 7500*time.Millisecond || r.Abandoned != 0 {
			t.Errorf("%s: %d cut, took %v", name, r.Unfinished, r.Elapsed)
		}
		for want, leave := range map[string]leavers{
			"no good-bye":  func(*Session) error { return errors.New("no good-bye") },
			"panic: oh no": func(*Session) error { panic("oh no") },
		} {
			p.Scenario = leave
			r = play(t, p, after(0), nil)
			if errs := fmt.Sprint(r.totals.Errors()); !strings.Contains(errs, want) {
				t.Errorf("%s: errors %s, want %q", name, errs, want)
			}
		}
	}
	// Stopped hard, nobody says anything.
	r := play(t, Plan{Scenario: leavers(bye), Users: pace.Users(4, pace.Rate{}), StopTimeout: time.Hour}, after(0), func(_ *Engine, cancel func()) {
		time.Sleep(1500 * time.Millisecond)
		cancel()
	})
	if r.countOf("bye") != 0 || r.countOf("work") != 8 {
		t.Errorf("%d good-byes after a hard stop, %d requests", r.countOf("bye"), r.countOf("work"))
	}
}

func TestContradictoryParts(t *testing.T) {
	good := Part{Users: pace.Users(1, pace.Rate{})}
	base := Plan{Scenario: Repeat(get, 0), NewSender: func(int) (Sender, error) { return nil, nil }}
	for want, change := range map[string]func(*Plan){
		"loads of their own":       func(p *Plan) { p.Users = good.Users },
		"belongs to the parts":     func(p *Plan) { p.MaxUsers = 3 },
		"either users or an arriv": func(p *Plan) { p.Parts = append(p.Parts, Part{Name: "x"}) },
		"negative end":             func(p *Plan) { p.Parts[0].End = -1 },
		"whole seconds":            func(p *Plan) { p.WarmUp = time.Millisecond },
		"too many":                 func(p *Plan) { p.Parts = append(p.Parts, Part{Users: pace.Users(1_000_000, pace.Rate{})}) },
	} {
		p := base
		p.Parts = []Part{good}
		if _, err := New(p); err != nil {
			t.Fatal(err)
		}
		change(&p)
		if _, err := New(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %q", err, want)
		}
	}
}
