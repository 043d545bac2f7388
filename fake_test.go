package weir

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/cli"
	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/script"
	"github.com/weir-dev/weir/internal/tally"
)

// sent is a request as it was given to a sender.
type sent struct {
	user int
	at   time.Duration
	line string
}

// wires are senders that answer at once, or after a delay, in virtual time.
type wires struct {
	delay time.Duration

	mu    sync.Mutex
	start time.Time
	log   []sent
}

type fakeSender struct {
	w    *wires
	user int
}

func (f *fakeSender) SetJar(*cookie.Jar)       {}
func (f *fakeSender) Tune(time.Duration, bool) {}
func (f *fakeSender) URL() string              { return "" }

func (f *fakeSender) Send(_ context.Context, req *hit.Request, ans *hit.Answer) {
	ans.Sent = time.Now()
	if ans.OnSent != nil {
		ans.OnSent(ans.Sent)
	}
	f.w.mu.Lock()
	f.w.log = append(f.w.log, sent{f.user, time.Since(f.w.start), req.Method + " " + req.URL + " " + string(req.Body)})
	f.w.mu.Unlock()
	if f.w.delay > 0 {
		time.Sleep(f.w.delay)
	}
	ans.Status, ans.Done = 200, time.Now()
}

type virtual struct {
	users    int
	runTime  time.Duration
	delay    time.Duration
	arrivals pace.Pacer
}

// play runs a scenario in virtual time, and returns what was sent.
func (v virtual) play(t *testing.T, sc load.Scenario, senders func(func(int) (sender, error)) func(int) (load.Sender, error)) []sent {
	t.Helper()
	var log []sent
	synctest.Test(t, func(t *testing.T) {
		w := &wires{delay: v.delay, start: time.Now()}
		plan := load.Plan{
			Scenario: sc, RunTime: v.runTime, StopTimeout: time.Minute, Seed: 7,
			NewSender: senders(func(user int) (sender, error) { return &fakeSender{w, user}, nil }),
		}
		if v.arrivals != nil {
			plan.Arrivals, plan.MaxUsers = v.arrivals, v.users
		} else {
			plan.Users = pace.Users(v.users, pace.Rate{})
		}
		e, err := load.New(plan)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Run(t.Context(), func(k *tally.Tick) {
			for _, x := range k.Errors {
				t.Errorf("%d × %s", x.Count, x.Text)
			}
		}); err != nil {
			t.Fatal(err)
		}
		log = w.log
	})
	return log
}

func (v virtual) goes(t *testing.T, classes ...Declaration) []sent {
	t.Helper()
	sc, err := newScenario(classes, cli.ProgramOptions{Arrivals: v.arrivals != nil}, false)
	if err != nil {
		t.Fatal(err)
	}
	return v.play(t, sc, sc.senders)
}

func (v virtual) starlark(t *testing.T, src string) []sent {
	t.Helper()
	sc, err := script.Load("x.star", script.Options{Arrivals: v.arrivals != nil, ReadFile: func(string) ([]byte, error) { return []byte(src), nil }})
	if err != nil {
		t.Fatal(err)
	}
	return v.play(t, sc, func(next func(int) (sender, error)) func(int) (load.Sender, error) { return sc.Senders(next) })
}
