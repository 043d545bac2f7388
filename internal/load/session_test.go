package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

var one = pace.Users(1, pace.Rate{})

// The first request of an iteration was intended when the iteration was due,
// the next one when the scenario sent it; a pause in between is nobody's
// response time, and the tick of an answer is that in which it was done.
func TestStepsOfAnIteration(t *testing.T) {
	s := scenario(func(s *Session) (time.Duration, error) {
		s.Pause(200 * time.Millisecond)
		s.Send(&hit.Request{Name: "first", URL: "http://test/1"})
		s.Pause(1500 * time.Millisecond)
		s.Send(&hit.Request{Name: "second", Method: "POST", URL: "http://test/2"})
		return 250 * time.Millisecond, nil
	})
	r := play(t, Plan{Scenario: s, Users: one, RunTime: 3900 * time.Millisecond, StopTimeout: 10 * time.Second}, after(100*time.Millisecond), nil)
	names := r.totals.Names()
	if len(names) != 2 || len(r.ticks) != 5 {
		t.Fatalf("%d names in %d ticks", len(names), len(r.ticks))
	}
	for _, want := range []struct {
		method, name      string
		response, service time.Duration
	}{{"GET", "first", 300 * time.Millisecond, 100 * time.Millisecond}, {"POST", "second", 100 * time.Millisecond, 100 * time.Millisecond}} {
		i := slices.IndexFunc(names, func(n *tally.NameTotals) bool { return n.Name == want.name && n.Method == want.method })
		if i < 0 {
			t.Fatalf("no %s %s", want.method, want.name)
		}
		sum := names[i].Outcome(hit.Admitted)
		if sum.Count != 2 || sum.Response.Max() != want.response || sum.Response.Min() != want.response || sum.Service.Max() != want.service {
			t.Errorf("%s: %d, response %v to %v, service %v", want.name, sum.Count, sum.Response.Min(), sum.Response.Max(), sum.Service.Max())
		}
	}
	if got := len(r.ticks[0].Series); got != 1 || r.ticks[0].Series[0].Name != "first" {
		t.Errorf("tick 0 has %d series, want the first request, done at 0.3 s", got)
	}
}

func TestMark(t *testing.T) {
	n := 0
	s := scenario(func(s *Session) (time.Duration, error) {
		n++
		ans := s.Send(get)
		if ans.Status != 200 || s.Outcome() != hit.Admitted {
			t.Errorf("answer %d is %v", ans.Status, s.Outcome())
		}
		switch n % 4 {
		case 1:
			s.Mark(hit.Failed, "no token in the answer")
		case 2:
			s.Mark(hit.Throttled, "")
		case 3:
			s.Mark(hit.Failed, "first thought")
			s.Mark(hit.Admitted, "")
			s.Mark(hit.Missed, "has no effect")
		}
		return time.Second, nil
	})
	r := play(t, Plan{Scenario: s, Users: one, RunTime: 39500 * time.Millisecond, StopTimeout: time.Second}, after(0), nil)
	for o, want := range map[hit.Outcome]int64{hit.Admitted: 20, hit.Throttled: 10, hit.Failed: 10, hit.Missed: 0} {
		if got := r.count(o); got != want {
			t.Errorf("%v: %d, want %d", o, got, want)
		}
	}
	errs := r.totals.Errors()
	if len(errs) != 1 || errs[0].Failure != hit.CheckFailed || errs[0].Count != 10 || !strings.HasSuffix(errs[0].Text, "no token in the answer") || errs[0].Name != "/path" {
		t.Errorf("errors %+v", errs)
	}
}

func TestRequestBudget(t *testing.T) {
	three := scenario(func(s *Session) (time.Duration, error) {
		for range 3 {
			if ans := s.Send(get); ans.Failure == hit.Interrupted {
				return 0, errors.New("this is not to be reported")
			}
		}
		return 0, nil
	})
	forever := scenario(func(s *Session) (time.Duration, error) {
		for {
			s.Send(get)
		}
	})
	for name, p := range map[string]Plan{
		"users":           {Scenario: Repeat(get, 0), Users: pace.Users(7, pace.Rate{})},
		"steps":           {Scenario: three, Users: pace.Users(7, pace.Rate{})},
		"endless":         {Scenario: forever, Users: pace.Users(7, pace.Rate{})},
		"arrivals":        {Scenario: Repeat(get, 0), Arrivals: pace.Constant(mustRate(t, "100/s"), 0), MaxUsers: 7},
		"steps, arrivals": {Scenario: three, Arrivals: pace.Constant(mustRate(t, "100/s"), 0), MaxUsers: 7},
		"all at once":     {Scenario: Repeat(get, 0), Arrivals: pace.Schedule(make([]time.Duration, 500)), MaxUsers: 7, StopTimeout: time.Hour},
		"as many as due":  {Scenario: Repeat(get, 0), Arrivals: pace.Schedule(make([]time.Duration, 100)), MaxUsers: 7, StopTimeout: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			p.MaxRequests = 100
			r := play(t, p, after(3*time.Second), nil)
			if len(r.sent) != 100 || r.count(hit.Admitted) != 100 || r.Unfinished != 0 {
				t.Errorf("sent %d, admitted %d, unfinished %d, want 100", len(r.sent), r.count(hit.Admitted), r.Unfinished)
			}
			if want := "the budget of 100 requests was used up"; r.Reason != want {
				t.Errorf("reason %q, want %q", r.Reason, want)
			}
			if len(r.totals.Errors()) != 0 {
				t.Errorf("errors %+v", r.totals.Errors())
			}
			if p.Arrivals != nil && name != "steps, arrivals" && (r.totals.Missed != 0 || r.totals.Due != 100) {
				t.Errorf("due %d, missed %d", r.totals.Due, r.totals.Missed)
			}
		})
	}
}

func TestThrottleBudget(t *testing.T) {
	r := play(t, Plan{
		Scenario: Repeat(get, 0), Users: pace.Users(10, pace.Rate{}), MaxThrottled: 50, StopTimeout: time.Minute,
	}, func(_ int64, at time.Duration) (int, time.Duration) {
		if at >= 5*time.Second {
			return 429, 10 * time.Millisecond
		}
		return 200, 100 * time.Millisecond
	}, nil)
	if got := r.count(hit.Throttled); got < 50 || got >= 60 {
		t.Errorf("throttled %d, want 50 and at most the 9 that were under way", got)
	}
	if want := "50 answers were throttled"; r.Reason != want || r.Elapsed > 5200*time.Millisecond {
		t.Errorf("%q after %v", r.Reason, r.Elapsed)
	}
}

func TestNamesOverTheCap(t *testing.T) {
	n := 0
	s := scenario(func(s *Session) (time.Duration, error) {
		n++
		s.Send(&hit.Request{URL: fmt.Sprintf("http://test/user/%d?q=%d", n%25, n)})
		return time.Millisecond, nil
	})
	r := play(t, Plan{Scenario: s, Users: one, MaxNames: 10, MaxRequests: 1000}, after(0), nil)
	names := r.totals.Names()
	if len(names) != 11 {
		t.Errorf("%d names, want 10 and (other)", len(names))
	}
	for _, name := range names {
		want := int64(40)
		if name.Name == tally.Other {
			want = 600
		}
		if got := name.Outcome(hit.Admitted).Count; got != want {
			t.Errorf("%s %s: %d, want %d", name.Method, name.Name, got, want)
		}
	}
}

func TestRandomIsTheSameEveryTime(t *testing.T) {
	draw := func(seed uint64) (all [3]uint64) {
		s := scenario(func(s *Session) (time.Duration, error) {
			s.Send(get)
			all[s.ID()] = s.Rand().Uint64()
			return time.Hour, nil
		})
		play(t, Plan{Scenario: s, Users: pace.Users(3, pace.Rate{}), RunTime: time.Second, Seed: seed}, after(0), nil)
		return all
	}
	a, b, c := draw(1), draw(1), draw(2)
	if a != b || a == c || a[0] == a[1] {
		t.Errorf("drew %v, %v with the same seed and %v with another", a, b, c)
	}
}

func TestWaitBetween(t *testing.T) {
	r := play(t, Plan{Scenario: RepeatBetween(get, time.Second, 3*time.Second), Users: one, RunTime: time.Hour}, after(0), nil)
	least, most := time.Hour, time.Duration(0)
	for i := 1; i < len(r.sent); i++ {
		least, most = min(least, r.sent[i]-r.sent[i-1]), max(most, r.sent[i]-r.sent[i-1])
	}
	if n := len(r.sent); n < 1700 || n > 1900 || least < time.Second || most > 3*time.Second || most-least < 1900*time.Millisecond {
		t.Errorf("%d requests, from %v to %v apart", n, least, most)
	}
}

// A sample shows what an answer looked like and none of its secrets.
func TestSample(t *testing.T) {
	who := label{"POST", "/token"}
	h := &pending{outcome: hit.Throttled, status: 429}
	a := &hit.Answer{Body: []byte(strings.Repeat("x", 511) + "é and more"), Fields: hit.Fields(
		"Retry-After: 3\r\nSet-Cookie: session=secret1\r\nauthorization: secret2\r\nX-RateLimit-Remaining: 0\r\nX-Token: secret3\r\n")}
	text := sampleJSON(who, h, a, nil)
	if strings.Contains(text, "secret") {
		t.Errorf("a secret is in %s", text)
	}
	var got struct {
		Outcome, Method, Name, Reason, Body string
		Status                              int
		Headers                             []struct{ Name, Value string }
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Outcome != "throttled" || got.Status != 429 || got.Reason != "429 Too Many Requests" || len(got.Body) != 512 || len(got.Headers) != 5 {
		t.Errorf("sample %+v", got)
	}
	if got.Headers[0].Value != "3" || got.Headers[1].Name != "Set-Cookie" {
		t.Errorf("headers %+v", got.Headers)
	}
}

// What the plan knows to be a secret is masked before anything is cut off.
func TestSampleMasked(t *testing.T) {
	mask := strings.NewReplacer("hunter2", "***").Replace
	a := &hit.Answer{Body: []byte("hunter2 " + strings.Repeat("x", 500) + "hunter2"), Fields: hit.Fields("Server: hunter2\r\n")}
	text := sampleJSON(label{"GET", "/"}, &pending{outcome: hit.Failed, failure: hit.CheckFailed, why: "got hunter2"}, a, mask)
	if strings.Contains(text, "hunt") || strings.Count(text, "***") != 4 {
		t.Errorf("the sample is %s", text)
	}
}

func TestContradictoryPlans(t *testing.T) {
	closed := Plan{Scenario: Repeat(get, 0), NewSender: func(int) (Sender, error) { return nil, nil }, Users: one}
	open := closed
	open.Users, open.Arrivals, open.MaxUsers = pace.Level{}, pace.Constant(mustRate(t, "1/s"), 0), 1
	for _, p := range []Plan{closed, open} {
		if _, err := New(p); err != nil {
			t.Errorf("a good plan is refused: %v", err)
		}
	}
	tests := []struct {
		base   Plan
		change func(*Plan)
		want   string
	}{
		{closed, func(p *Plan) { p.Scenario = nil }, "no scenario"},
		{closed, func(p *Plan) { p.NewSender = nil }, "no senders"},
		{closed, func(p *Plan) { p.Arrivals = open.Arrivals }, "both users and an arrival rate"},
		{closed, func(p *Plan) { p.Users = pace.Level{} }, "needs users"},
		{closed, func(p *Plan) { p.MaxUsers = 5 }, "belongs to an arrival rate"},
		{closed, func(p *Plan) { p.Users = pace.Users(2_000_000, pace.Rate{}) }, "too many"},
		{open, func(p *Plan) { p.MaxUsers = 0 }, "1 or more"},
		{open, func(p *Plan) { p.MaxUsers = -3 }, "1 or more"},
		{open, func(p *Plan) { p.CatchUp = 9 }, "catch-up"},
		{open, func(p *Plan) { p.Arrivals = pace.Schedule(nil) }, "no arrivals"},
		{open, func(p *Plan) { p.RunTime = -1 }, "run time"},
		{open, func(p *Plan) { p.StopTimeout = -1 }, "stop time-out"},
		{open, func(p *Plan) { p.MaxRequests = -1 }, "request budget"},
		{open, func(p *Plan) { p.MaxThrottled = -1 }, "throttled"},
		{open, func(p *Plan) { p.MaxNames = -1 }, "names"},
		{open, func(p *Plan) { p.Scenario = Repeat(nil, 0) }, "no request"},
		{open, func(p *Plan) { p.Scenario = Repeat(get, -1) }, "negative"},
		{open, func(p *Plan) { p.Scenario = RepeatBetween(get, 2, 1) }, "shorter"},
	}
	for i, tt := range tests {
		p := tt.base
		tt.change(&p)
		if _, err := New(p); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%d: err = %v, want one line with %q", i, err, tt.want)
		}
	}
}

func TestPathOf(t *testing.T) {
	tests := map[string]string{
		"http://test": "/", "http://test/": "/", "https://a:1/b/c?d=/e#f": "/b/c", "http://test?x": "/", "http://test#/x": "/", "/x?y": "/x", "": "/",
	}
	for url, want := range tests {
		if got := pathOf(url); got != want {
			t.Errorf("pathOf(%q) = %q, want %q", url, got, want)
		}
	}
}
