package load

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

// lodger is a resident that does what its function says.
type lodger struct {
	s    *Session
	k    int
	stay func(l *lodger, ctx context.Context, leave <-chan struct{}) error
}

func (l *lodger) Iterate(context.Context) (time.Duration, error) {
	return 0, errors.New("a resident was asked to iterate")
}

func (l *lodger) Stay(ctx context.Context, leave <-chan struct{}) error { return l.stay(l, ctx, leave) }

// house is a scenario of residents.
type house func(l *lodger, ctx context.Context, leave <-chan struct{}) error

func (h house) NewUser(k int, s *Session) (User, error) { return &lodger{s, k, h}, nil }

// every sends a request each time d has passed, and says good-bye with one more.
func every(d time.Duration) house {
	return func(l *lodger, ctx context.Context, leave <-chan struct{}) error {
		for {
			select {
			case <-time.After(d):
				l.s.Send(get)
				l.s.Settle()
			case <-leave:
				l.s.Send(&hit.Request{Name: "bye", URL: "http://test/bye"})
				return nil
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// A resident sends when it wants to, is told when the run ends, and may then say
// good-bye; nothing of it is intended earlier than it was sent.
func TestResident(t *testing.T) {
	r := play(t, Plan{Scenario: every(100 * time.Millisecond), Users: pace.Users(3, pace.Rate{}), RunTime: 2050 * time.Millisecond, StopTimeout: time.Second}, after(0), nil)
	if r.err != nil || r.Reason != "the run time was reached" {
		t.Fatalf("%v %q", r.err, r.Reason)
	}
	if n := r.count(hit.Admitted); n != 3*20+3 {
		t.Errorf("%d requests, want 20 of each of 3 users and 3 at the end", n)
	}
	if lag := r.totals.SendLag; lag.Count() != 63 || lag.Max() != 0 {
		t.Errorf("%d send lags up to %v", lag.Count(), lag.Max())
	}
	if len(r.totals.Errors()) > 0 {
		t.Errorf("errors: %+v", r.totals.Errors())
	}
}

// A resident that returns is replaced while it is wanted, after a pause when it
// failed; one whose goroutine ends is not.
func TestResidentReplaced(t *testing.T) {
	var lives, failed, gone atomic.Int32
	h := house(func(l *lodger, ctx context.Context, leave <-chan struct{}) error {
		switch l.k {
		case 0: // lives for 300 ms
			lives.Add(1)
			select {
			case <-time.After(300 * time.Millisecond):
			case <-leave:
			}
			return nil
		case 1:
			failed.Add(1)
			return errors.New("no key in the door")
		default:
			gone.Add(1)
			runtime.Goexit()
			return nil
		}
	})
	r := play(t, Plan{Scenario: h, Users: pace.Users(3, pace.Rate{}), RunTime: 1550 * time.Millisecond, StopTimeout: time.Second}, after(0), nil)
	if r.err != nil || lives.Load() != 6 || failed.Load() != 16 || gone.Load() != 1 {
		t.Errorf("%v; %d lives, want 6; %d failures, want 16 (every %v); %d gone, want 1", r.err, lives.Load(), failed.Load(), errorPause, gone.Load())
	}
	if rows := r.totals.Errors(); len(rows) != 1 || rows[0].Name != ScenarioName || rows[0].Count != int64(failed.Load()) {
		t.Errorf("errors: %+v", rows)
	}
}

// A part that lasts goes on when every user has stopped itself.
func TestLasting(t *testing.T) {
	h := house(func(*lodger, context.Context, <-chan struct{}) error { runtime.Goexit(); return nil })
	for _, lasting := range []bool{false, true} {
		p := Plan{Scenario: h, Parts: []Part{{Users: pace.Users(2, pace.Rate{}), End: 3 * time.Second, Lasting: lasting}}}
		r := play(t, p, after(0), nil)
		want := EveryUserStopped
		if lasting {
			want = "the run time was reached"
		}
		if r.Reason != want || (r.Loaded >= 3*time.Second) != lasting {
			t.Errorf("lasting %v: ended after %v because %s", lasting, r.Loaded, r.Reason)
		}
	}
}

// A part that is led has as many users as is said while it runs.
func TestLead(t *testing.T) {
	var now, most, left atomic.Int32
	h := house(func(l *lodger, ctx context.Context, leave <-chan struct{}) error {
		most.Store(max(most.Load(), now.Add(1)))
		<-leave
		now.Add(-1)
		left.Add(1)
		return nil
	})
	p := Plan{Scenario: h, Parts: []Part{{Led: true, End: 5 * time.Second}}, StopTimeout: time.Second}
	var seen []int32
	r := play(t, p, after(0), func(e *Engine, _ func()) {
		time.Sleep(time.Millisecond) // until the run has begun
		for _, n := range []int{4, 2, 7, 0, 1} {
			e.Lead(n)
			time.Sleep(900 * time.Millisecond)
			seen = append(seen, now.Load())
		}
	})
	if r.err != nil || r.Reason != "the run time was reached" || r.PeakUsers != 7 || most.Load() != 7 {
		t.Errorf("%v %q, peak %d", r.err, r.Reason, r.PeakUsers)
	}
	for i, want := range []int32{4, 2, 7, 0, 1} {
		if seen[i] != want {
			t.Errorf("step %d: %d users, want %d", i, seen[i], want)
		}
	}
	if _, err := New(Plan{Scenario: h, NewSender: func(int) (Sender, error) { return nil, nil }, Parts: []Part{{Led: true, Users: one}}}); err == nil {
		t.Error("a part that is led has users of its own, and nobody minds")
	}
}

// Lead moves the users of a plan whose level has come to its end.
func TestLeadOfALevel(t *testing.T) {
	r := play(t, Plan{Scenario: every(time.Second), Users: pace.Users(2, pace.Rate{}), RunTime: 3 * time.Second}, after(0), func(e *Engine, _ func()) {
		time.Sleep(time.Second)
		e.Lead(5)
	})
	if r.PeakUsers != 5 {
		t.Errorf("peak %d users", r.PeakUsers)
	}
}

// Requests of a user that are under way at the same time go through sessions
// beside its own, and are counted like any.
func TestBeside(t *testing.T) {
	if _, err := mustNew(t, Plan{Users: one, NewSender: func(int) (Sender, error) { return nil, nil }}).Beside(0); err == nil {
		t.Error("a session before the run")
	}
	engine := make(chan *Engine, 1)
	var closed atomic.Int32
	h := house(func(l *lodger, ctx context.Context, leave <-chan struct{}) error {
		e := <-engine
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				s, err := e.Beside(l.s.ID())
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { s.Close(); closed.Add(1) }()
				if a := s.Send(get); a.Status != 200 || s.Took() != 100*time.Millisecond || s.Sender() == nil || s.Answer() != a {
					t.Errorf("answer %+v in %v", a, s.Took())
				}
			})
		}
		all.Wait()
		<-leave
		return nil
	})
	r := play(t, Plan{Scenario: h, Users: one, RunTime: 1500 * time.Millisecond}, after(100*time.Millisecond), func(now *Engine, _ func()) { engine <- now })
	if n := r.count(hit.Admitted); n != 3 || closed.Load() != 3 || r.Result.Elapsed > 2*time.Second {
		t.Errorf("%d requests, %d sessions closed, %v", n, closed.Load(), r.Result.Elapsed)
	}
}

func mustNew(t *testing.T, p Plan) *Engine {
	t.Helper()
	p.Scenario = every(time.Second)
	e, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A verdict may come when other requests have been sent since: the request is
// detached, and counted when it is settled, or forgotten.
func TestDetach(t *testing.T) {
	h := house(func(l *lodger, ctx context.Context, leave <-chan struct{}) error {
		l.s.Send(&hit.Request{Name: "late", URL: "http://test/1"})
		late := l.s.Detach()
		l.s.Settle() // nothing is left to record
		l.s.Send(&hit.Request{Name: "forgotten", URL: "http://test/2"})
		l.s.Forget()
		l.s.Send(&hit.Request{Name: "renamed", URL: "http://test/3"})
		l.s.Restate("other", 70*time.Millisecond)
		l.s.Settle()
		late.Mark(hit.Failed, "too late")
		late.Settle()
		late.Settle()
		<-leave
		return nil
	})
	r := play(t, Plan{Scenario: h, Users: one, RunTime: 1500 * time.Millisecond}, after(10*time.Millisecond), nil)
	got := map[string]int64{}
	for _, n := range r.totals.Names() {
		for o := range hit.Missed {
			if c := n.Outcome(o).Count; c > 0 {
				got[n.Name+" "+o.String()] = c
			}
			if n.Name == "other" && o == hit.Admitted && n.Outcome(o).Response.Max() != 70*time.Millisecond {
				t.Errorf("restated as %v", n.Outcome(o).Response.Max())
			}
		}
	}
	if len(got) != 2 || got["late failed"] != 1 || got["other admitted"] != 1 {
		t.Errorf("counted: %v", got)
	}
}

// Samples are hits of their own, and leave no trace in figures about sending.
func TestOwnSamples(t *testing.T) {
	h := house(func(_ *lodger, _ context.Context, leave <-chan struct{}) error { <-leave; return nil })
	var hits atomic.Int32
	p := Plan{Scenario: h, Users: one, RunTime: 1500 * time.Millisecond, OnHit: func(*hit.Hit) { hits.Add(1) }}
	r := playSamples(t, p, func(e *Engine) {
		time.Sleep(300 * time.Millisecond)
		for _, x := range []Sample{
			{Method: "grpc", Name: "hello", Took: 40 * time.Millisecond, BytesIn: 7},
			{Method: "grpc", Name: "hello", Took: 60 * time.Millisecond, Failed: "UNAVAILABLE"},
			{Method: "sql", Name: "select", Took: -1, Throttled: true, Failed: "slow down"},
		} {
			x.Done = time.Now()
			e.Sample(&x)
		}
	})
	if a, f, th := r.count(hit.Admitted), r.count(hit.Failed), r.count(hit.Throttled); a != 1 || f != 1 || th != 1 || hits.Load() != 3 {
		t.Errorf("%d admitted, %d failed, %d throttled, %d told", a, f, th, hits.Load())
	}
	if r.totals.SendLag.Count() != 0 || r.NeverSent != 0 || r.totals.Sent != 3 {
		t.Errorf("%d send lags, %d never sent, %d sent", r.totals.SendLag.Count(), r.NeverSent, r.totals.Sent)
	}
	if rows := r.totals.Errors(); len(rows) != 1 || rows[0].Text != "check: UNAVAILABLE" {
		t.Errorf("errors: %+v", rows)
	}
	if sum := r.totals.Outcome(hit.Admitted); sum.Response.Max() != 40*time.Millisecond || sum.BytesIn != 7 {
		t.Errorf("%v, %d bytes", sum.Response.Max(), sum.BytesIn)
	}
}

// playSamples is play for a run whose requests no server sees.
func playSamples(t *testing.T, p Plan, during func(e *Engine)) *run {
	t.Helper()
	r := &run{}
	synctest.Test(t, func(t *testing.T) {
		p.NewSender = func(int) (Sender, error) { return &fake{}, nil }
		e, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		go during(e)
		r.Result, r.err = e.Run(t.Context(), func(k *tally.Tick) { r.ticks = append(r.ticks, k) })
	})
	r.sent = make([]time.Duration, 3)
	for _, problem := range r.check() {
		t.Error(problem)
	}
	return r
}
