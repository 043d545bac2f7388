package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/limit"
)

// service is a target behind a limit, in the bubble's time.
type service struct {
	mu      sync.Mutex // guards all below
	limiter limit.Limiter
	took    time.Duration
	lag     time.Duration // until it is counted
	broken  bool
	panics  bool
	at      []time.Time // of refusals
	sent    int
}

func newService(t testing.TB, p limit.Policy) *service {
	t.Helper()
	l, err := p.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &service{limiter: l, took: 5 * time.Millisecond}
}

func perSecond(n int64) limit.Policy {
	return limit.Policy{Algorithm: limit.SlidingLog, Limit: n, Window: time.Second}
}

func (s *service) Send(ctx context.Context, _ int) Answer {
	a := Answer{Sent: time.Now()}
	time.Sleep(s.lag)
	s.mu.Lock()
	s.sent++
	ok := s.limiter.Take(time.Now(), 1).Allowed
	if !ok {
		s.at = append(s.at, time.Now())
	}
	broken, panics := s.broken, s.panics
	s.mu.Unlock()
	if panics && !ok {
		panic("a bug")
	}
	time.Sleep(s.took)
	a.Done, a.Status, a.Outcome = time.Now(), 200, hit.Admitted
	switch {
	case broken:
		a.Status, a.Outcome = 500, hit.Failed
	case !ok:
		a.Status, a.Outcome = 429, hit.Throttled
	}
	return a
}

// refusals are those in each period.
func (s *service) refusals(period time.Duration) map[int64]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int64]int{}
	for _, t := range s.at {
		out[t.UnixNano()/int64(period)]++
	}
	return out
}

// alarm is a side that sees a service's refusals, with delays of its own.
type alarm struct {
	s               *service
	brief           Brief
	point, evaluate time.Duration // delays
	deaf            bool          // it does not notify
	blind           bool          // it sees no point
	stuck           bool          // it does not go back
	lost            error
	left            []string
	opened, closed  int
	set             time.Time // by hand
}

const testPeriod = time.Minute

func newAlarm(s *service) *alarm {
	return &alarm{s: s, point: 30 * time.Second, evaluate: time.Second, brief: Brief{
		What: "the alarm", Every: 5 * time.Second, Until: "alarm", Period: testPeriod, Periods: 1, Refusals: 1, Delay: 2 * time.Minute,
		Stages: []Stage{
			{ID: "datapoint", Title: "datapoint", Needs: Throttled, Bound: 5 * time.Minute, Missing: CodeNoDatapoint},
			{ID: "alarm", Title: "ALARM", Needs: "datapoint", Bound: 2 * time.Minute, Proof: true, Missing: CodeNoAlarm},
			{ID: Notified, Title: "notified", Needs: "alarm", Bound: time.Minute, Proof: true, Missing: CodeNoNotification},
			{ID: Again, Title: "OK", Needs: "alarm", Bound: 5 * time.Minute, After: true, Missing: CodeNotAgain},
		},
		Rehearsal: []Stage{
			{ID: Notified, Title: "notified", Bound: time.Minute, Missing: CodeNoNotification},
			{ID: Again, Title: "OK", Bound: 3 * time.Minute, After: true, Missing: CodeNotAgain},
		},
	}}
}

func (a *alarm) Check(context.Context) (*Brief, error) { b := a.brief; return &b, nil }

func (a *alarm) Open(context.Context) ([]string, error) { a.opened++; return nil, nil }

func (a *alarm) Close(context.Context) []string { a.closed++; return a.left }

func (a *alarm) Rehearse(context.Context) error { a.set = time.Now(); return nil }

func (a *alarm) Why(_ context.Context, stage string) []Finding {
	if stage == "datapoint" {
		return []Finding{{Code: CodeDimensions, Text: "other dimensions"}}
	}
	return nil
}

func (a *alarm) Look(_ context.Context, since time.Time) ([]Sighting, error) {
	if a.lost != nil {
		return nil, a.lost
	}
	var out []Sighting
	see := func(stage string, at time.Time) {
		if !time.Now().Before(at) {
			out = append(out, Sighting{Stage: stage, At: at.UTC()})
		}
	}
	if !a.set.IsZero() && !a.set.Before(since) {
		if !a.deaf {
			see(Notified, a.set.Add(time.Second))
		}
		see(Again, a.set.Add(time.Minute))
		return out, nil
	}
	if a.blind {
		return nil, nil
	}
	var breached []int64
	for p, n := range a.s.refusals(testPeriod) {
		if n >= max(a.brief.Refusals, 1) {
			breached = append(breached, p)
		}
	}
	slices.Sort(breached)
	end := func(i int) time.Time { return time.Unix(0, (breached[i]+1)*int64(testPeriod)).Add(a.point) }
	if len(breached) > 0 {
		see("datapoint", end(0))
	}
	if need := max(a.brief.Periods, 1); len(breached) >= need {
		rings := end(need - 1).Add(a.evaluate)
		see("alarm", rings)
		if !a.deaf {
			see(Notified, rings.Add(200*time.Millisecond))
		}
		if !a.stuck {
			see(Again, end(len(breached)-1).Add(testPeriod))
		}
	}
	return out, nil
}

func caps() Caps { return Caps{Requests: 3000, Throttled: 200, Rate: 400, Time: 15 * time.Minute} }

// run drills in a bubble.
func run(t *testing.T, o Options, s *service, a *alarm) *Report {
	t.Helper()
	if o.Caps == (Caps{}) {
		o.Caps = caps()
	}
	d := New(o, a, s)
	plan, err := d.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if plan.Stopped() {
		r := d.Unrun()
		return r
	}
	return d.Run(t.Context())
}

func codes(r *Report) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, string(f.Level)+" "+f.Code)
	}
	return strings.Join(out, ", ")
}

func TestProved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, perSecond(120))
		a := newAlarm(s)
		a.brief.Quota = 120
		r := run(t, Options{USD: 0.00225}, s, a)
		if r.Verdict != Passed || codes(r) != "" {
			t.Fatalf("%s: %s", r.Verdict, codes(r))
		}
		for i, st := range r.Stages {
			if !st.Seen || st.Gap < 0 || st.Gap > st.Bound {
				t.Errorf("stage %d: %+v", i, st)
			}
		}
		// 121 is the least that a limit of 120 in any second can be exceeded with, one is sent
		// ahead, and what is under way when the refusal comes is a few.
		if n := r.Load.Requests; n < 121 || n > 135 {
			t.Errorf("%d requests, %d refused", n, r.Load.Throttled)
		}
		if a.opened != 1 || a.closed != 1 {
			t.Errorf("opened %d times, closed %d times", a.opened, a.closed)
		}
		if r.Twin == nil || r.Twin.Requests < 100*r.Load.Requests || r.Twin.USD < 30*r.Load.USD {
			t.Errorf("the twin: %+v", r.Twin)
		}
		if sum := r.Load.Admitted + r.Load.Throttled + r.Load.Failed; sum != r.Load.Requests || s.sent != sum {
			t.Errorf("%d answers to %d requests, %d came", sum, r.Load.Requests, s.sent)
		}
	})
}

// TestPeriods holds the load to the periods that are needed, and to no more.
func TestPeriods(t *testing.T) {
	for _, c := range []struct{ periods, refusals int }{{2, 1}, {3, 4}, {5, 20}} {
		t.Run(fmt.Sprintf("%d of %d", c.periods, c.refusals), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, perSecond(50))
				a := newAlarm(s)
				a.brief.Quota, a.brief.Periods, a.brief.Refusals = 50, c.periods, c.refusals
				a.brief.Stages[1].Bound += time.Duration(c.periods) * testPeriod
				r := run(t, Options{}, s, a)
				if r.Verdict != Passed {
					t.Fatalf("%s: %s", r.Verdict, codes(r))
				}
				by := s.refusals(testPeriod)
				if len(by) != c.periods || r.Load.Periods != c.periods {
					t.Errorf("refused in %d periods, counted %d, want %d", len(by), r.Load.Periods, c.periods)
				}
				for p, n := range by {
					if n < c.refusals || n > c.refusals+5 {
						t.Errorf("period %d: %d refusals, want %d", p, n, c.refusals)
					}
				}
			})
		})
	}
}

// TestTurnOfAPeriod begins so that what is refused may count for this period or for
// the next: it is in two of them in the end all the same.
func TestTurnOfAPeriod(t *testing.T) {
	for _, offset := range []time.Duration{0, 51 * time.Second, 52500 * time.Millisecond, 52900 * time.Millisecond, 55 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Hour + offset)
			s := newService(t, perSecond(50))
			s.lag, s.took = 3*time.Second, time.Second
			a := newAlarm(s)
			a.brief.Quota, a.brief.Periods = 50, 2
			a.brief.Stages[1].Bound += 2 * testPeriod
			room := caps()
			room.Throttled = 2000 // as many may be under way, and the answers are slow
			if r := run(t, Options{Users: 400, Caps: room}, s, a); r.Verdict != Passed {
				t.Errorf("begun at %v: %s: %+v\n%+v", offset, r.Verdict, r.Findings, r.Load)
			}
		})
	}
}

// TestClimb finds limits that nobody told, of several kinds.
func TestClimb(t *testing.T) {
	for _, c := range []struct {
		name string
		p    limit.Policy
		most int
	}{
		{"30 in any second", perSecond(30), 150},
		{"300 in any second", perSecond(300), 2200},
		{"bucket of 40, 10 a second", limit.Policy{Algorithm: limit.TokenBucket, Limit: 10, Window: time.Second, Burst: 40}, 120},
		{"100 in a minute", limit.Policy{Algorithm: limit.FixedWindow, Limit: 100, Window: time.Minute}, 140},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, c.p)
				r := run(t, Options{}, s, newAlarm(s))
				if r.Verdict != Passed || r.Load.Requests > c.most {
					t.Errorf("%s after %d requests (%s): %s", r.Verdict, r.Load.Requests, r.Load.Stopped, codes(r))
				}
			})
		})
	}
}

// TestCaps keeps every bound, however the service behaves.
func TestCaps(t *testing.T) {
	for _, c := range []struct {
		name  string
		caps  Caps
		usd   float64
		rate  float64
		limit int64
		need  int
		code  string
	}{
		{"requests", Caps{Requests: 40, Throttled: 200, Rate: 400, Time: time.Hour}, 0, 0, 1000, 1, CodeNotThrottled},
		{"throttled", Caps{Requests: 100_000, Throttled: 7, Rate: 400, Time: time.Hour}, 0, 100, 5, 0, CodeCap},
		{"money", Caps{Requests: 4000, Throttled: 200, Rate: 400, Time: time.Hour, USD: 0.1}, 0.00225, 0, 1000, 1, CodeNotThrottled},
		{"time", Caps{Requests: 1e6, Throttled: 200, Rate: 10, Time: 5 * time.Minute}, 0, 0, 1000, 1, CodeCap},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, perSecond(c.limit))
				s.took = 300 * time.Millisecond // many are under way at once
				a := newAlarm(s)
				a.blind = true
				if c.need == 0 { // more than is allowed, and the plan cannot know
					a.brief.Fill = true
				}
				r := run(t, Options{Caps: c.caps, USD: c.usd, Rate: c.rate}, s, a)
				l := r.Load
				if l.Requests > c.caps.Requests || l.Throttled > c.caps.Throttled || c.caps.USD > 0 && l.USD > c.caps.USD+1e-9 {
					t.Errorf("over a bound: %+v", l)
				}
				if !r.Found(c.code) || r.Verdict != Failed {
					t.Errorf("%s: %s", r.Verdict, codes(r))
				}
			})
		})
	}
}

func TestMissedStages(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*service, *alarm)
		want  string
	}{
		{"no point", func(_ *service, a *alarm) { a.blind = true }, "fails D021, fails D006"},
		{"no notification", func(_ *service, a *alarm) { a.deaf = true }, "fails D023"},
		{"stuck", func(_ *service, a *alarm) { a.stuck = true }, "fails D024"},
		{"the target fails", func(s *service, _ *alarm) { s.broken = true }, "fails D027"},
		{"cannot be read", func(_ *service, a *alarm) { a.lost = errors.New("no network") }, "fails D041, fails D006"},
		{"left behind", func(_ *service, a *alarm) { a.left = []string{"a queue"} }, "fails D040"},
		{"a bug", func(s *service, _ *alarm) { s.panics = true }, "fails D020"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, perSecond(20))
				a := newAlarm(s)
				a.brief.Quota = 20
				c.spoil(s, a)
				r := run(t, Options{}, s, a)
				if got := codes(r); got != c.want || r.Verdict != Failed {
					t.Errorf("%s: got %s, want %s\n%+v", r.Verdict, got, c.want, r.Findings)
				}
				if a.closed != 1 {
					t.Errorf("closed %d times", a.closed)
				}
			})
		})
	}
}

// TestAdvisedTime holds that the time which is asked for is enough.
func TestAdvisedTime(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		72 * time.Second: 2 * time.Minute, time.Minute: time.Minute, 61 * time.Minute: 61 * time.Minute, 90*time.Minute + 1: 91 * time.Minute,
	} {
		if got := upToMinute(d); got != want {
			t.Errorf("for %v it asks for %v, want %v", d, got, want)
		}
	}
}

func TestRehearsal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, perSecond(20))
		a := newAlarm(s)
		r := run(t, Options{Rehearse: true, NoLoad: true}, s, a)
		if r.Verdict != Passed || s.sent != 0 || len(r.Stages) != 0 || len(r.Rehearsal) != 2 || !r.Rehearsal[0].Seen || !r.Rehearsal[1].Seen {
			t.Errorf("%s, %d sent: %+v", r.Verdict, s.sent, r.Rehearsal)
		}
		a = newAlarm(s)
		a.deaf = true
		if r := run(t, Options{Rehearse: true}, s, a); r.Verdict != Failed || s.sent != 0 || !r.Found(CodeNoNotification) {
			t.Errorf("a path that is broken: %s, %d sent, %s", r.Verdict, s.sent, codes(r))
		}
		a = newAlarm(s)
		if r := run(t, Options{Rehearse: true}, s, a); r.Verdict != Passed || s.sent == 0 {
			t.Errorf("rehearsal and load: %s, %d sent, %s", r.Verdict, s.sent, codes(r))
		}
	})
}

// TestInterrupted leaves a whole report and nothing behind.
func TestInterrupted(t *testing.T) {
	for _, after := range []time.Duration{100 * time.Millisecond, 3 * time.Second, 40 * time.Second, 100 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, perSecond(20))
			a := newAlarm(s)
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			d := New(Options{Caps: caps()}, a, s)
			if _, err := d.Prepare(ctx); err != nil {
				t.Fatal(err)
			}
			r := d.Run(ctx)
			if r.Verdict != Interrupted || len(r.Stages) != 5 || r.Load == nil || a.closed != 1 {
				t.Errorf("after %v: %s, %d stages, closed %d times", after, r.Verdict, len(r.Stages), a.closed)
			}
		})
	}
}

// TestPlanStops foresees what cannot succeed.
func TestPlanStops(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Options, *Brief)
		code string
	}{
		{"threshold", func(_ *Options, b *Brief) { b.Refusals = 201 }, CodeThreshold},
		{"threshold by periods", func(_ *Options, b *Brief) { b.Refusals, b.Periods = 70, 3 }, CodeThreshold},
		{"quota by rate", func(_ *Options, b *Brief) { b.Quota = 500 }, CodeQuota},
		{"quota by requests", func(o *Options, b *Brief) { b.Quota, o.Caps.Requests = 120, 100 }, CodeQuota},
		{"quota by money", func(o *Options, b *Brief) { b.Quota, o.Caps.USD, o.USD = 120, 0.1, 0.00225 }, CodeQuota},
		{"period", func(_ *Options, b *Brief) { b.Period = time.Hour }, CodePeriod},
		{"periods", func(_ *Options, b *Brief) { b.Periods = 20 }, CodePeriod},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t, perSecond(20))
			a := newAlarm(s)
			o := Options{Caps: caps()}
			c.set(&o, &a.brief)
			d := New(o, a, s)
			p, err := d.Prepare(t.Context())
			if err != nil || !p.Stopped() {
				t.Fatalf("it is not stopped: %v", err)
			}
			r := d.Unrun()
			if !r.Found(c.code) || r.Verdict != NotRun || len(r.Findings) != 1 {
				t.Errorf("%s: %s", r.Verdict, codes(r))
			}
			if a.opened != 0 || s.sent != 0 {
				t.Error("something was made or sent")
			}
		})
	}
}

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		c := NewClock(time.Now(), there, 60)
		c.Sleep(t.Context(), time.Minute)
		if got := c.Now().Sub(there); got != time.Minute || c.Real(time.Minute) != time.Second || c.Speed() != 60 {
			t.Errorf("a minute of it took %v", got)
		}
		var own Clock
		if own.Now().Sub(time.Now().UTC()).Abs() > 0 || own.Real(time.Second) != time.Second || own.Speed() != 1 {
			t.Error("the zero value is not this machine's")
		}
	})
}

func TestCodesAreKnown(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Codes() {
		if seen[c.Code] || seen[c.Name] || c.Text == "" {
			t.Errorf("%+v twice, or without words", c)
		}
		seen[c.Code], seen[c.Name] = true, true
	}
	if len(Codes()) < 30 || Name("D006") != "wrong-dimensions" || Name("x") != "x" {
		t.Error("codes are missing")
	}
}
