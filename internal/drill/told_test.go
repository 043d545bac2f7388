package drill

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// TestCallsAreEnough: an alarm on calls needs no refusal, and none is asked for.
func TestCallsAreEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, perSecond(10_000))
		a := newAlarm(s)
		a.blind = true
		a.brief.Refusals, a.brief.Calls = 0, 50
		r := run(t, Options{}, s, a)
		first := r.Stages[0]
		if first.Title != "enough calls" || !first.Seen || !strings.HasPrefix(first.Text, "50 calls") || r.Found(CodeNotThrottled) || !r.Found(CodeNoDatapoint) {
			t.Errorf("%+v: %s", first, codes(r))
		}
	})
}

// TestCallsBelowTheLimit: where calls are enough, and fewer than the limit lets pass,
// nobody is refused for a drill.
func TestCallsBelowTheLimit(t *testing.T) {
	for _, calls := range []int{50, 600, 1000} {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, perSecond(20))
			a := newAlarm(s)
			a.blind = true
			a.brief.Refusals, a.brief.Calls, a.brief.Quota = 0, calls, 20
			c := caps()
			c.Requests = 10_000
			r := run(t, Options{Caps: c}, s, a)
			if !r.Stages[0].Seen || r.Load.Throttled != 0 || r.Load.Requests > calls+calls/10+30 {
				t.Errorf("%d calls in %v: %d requests, %d refused, %+v: %s", calls, testPeriod, r.Load.Requests, r.Load.Throttled, r.Stages[0], codes(r))
			}
		})
	}
}

// TestCutOff: what Ctrl-C broke off did not fail.
func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		a := newAlarm(newService(t, perSecond(20)))
		d := New(Options{Caps: caps()}, a, cutter{})
		if _, err := d.Prepare(ctx); err != nil {
			t.Fatal(err)
		}
		if l := d.Run(ctx).Load; l.Failed != 0 || l.Cut == 0 || l.Admitted+l.Cut != l.Requests {
			t.Errorf("%+v", l)
		}
	})
}

// cutter answers the first request, and the others never.
type cutter struct{}

func (cutter) Send(ctx context.Context, user int) Answer {
	if user == 0 {
		return Answer{Sent: time.Now(), Done: time.Now(), Status: 200, Outcome: 0}
	}
	<-ctx.Done()
	return Answer{Sent: time.Now(), Done: time.Now(), Outcome: 2, Err: "cut"}
}

// TestFastAnswersAreNotCalledSlow: a bound that is reached is no sign of slow answers.
func TestFastAnswersAreNotCalledSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, perSecond(10_000))
		c := caps()
		c.Requests = 40
		r := run(t, Options{Caps: c}, s, newAlarm(s))
		for _, f := range r.Findings {
			if len(f.Detail) > 0 {
				t.Errorf("%s: %v", f.Code, f.Detail)
			}
		}
		if !r.Found(CodeNotThrottled) {
			t.Error(codes(r))
		}
	})
}

// TestPlanIsWrapped keeps the plan within the terminal.
func TestPlanIsWrapped(t *testing.T) {
	p := &Plan{What: "the alarm", Facts: []Fact{{"Quota", strings.Repeat("words and words ", 12)}}, Stages: []Stage{{Title: "one"}}}
	var b bytes.Buffer
	if err := p.WriteText(&b, true, 60); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) < 5 {
		t.Error("nothing is wrapped")
	}
	for _, l := range lines {
		if utf8.RuneCountInString(l) > 60 {
			t.Errorf("too long: %q", l)
		}
	}
}
