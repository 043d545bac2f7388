package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/verify"
	"github.com/weir-dev/weir/internal/verify/verifytest"
)

// answered is what a queue of 20 at 10 a second does to 24 requests that come
// together, twice: three are refused at once, the others wait for their turn.
func answered() *verify.Recording {
	rec := &verify.Recording{Start: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Calls: []verify.Call{{Name: "GET /", Method: "GET", Path: "/"}}}
	for e := range 2 {
		rec.Experiments = append(rec.Experiments, verify.Made{Name: fmt.Sprint(e), Policies: []int{0}, Rested: true, Whole: true})
		sent := time.Duration(e+1) * 10 * time.Second
		w := verify.Wave{Experiment: e}
		for i := range 24 {
			a := verify.Seen{Sent: sent, Done: sent + 4*time.Millisecond + time.Duration(i)*100*time.Millisecond, Outcome: verify.Admitted, Status: 200}
			if i > 20 {
				a.Done, a.Outcome, a.Status = sent+5*time.Millisecond, verify.Refused, 429
			}
			w.Answers = append(w.Answers, a)
		}
		rec.Waves = append(rec.Waves, w)
	}
	return rec
}

// TestQueue: a limiter that holds requests back. Without a word of how soon it
// decides only a queue that is said to be longer than it is can be found out.
func TestQueue(t *testing.T) {
	cases := []struct {
		policy string
		within time.Duration
		want   verify.Verdict
		says   string
	}{
		{"limit: 10, window: 1s, burst: 20", 0, verify.Undecided, "--decides-within"},
		{"limit: 10, window: 1s, burst: 19", 0, verify.Undecided, "--decides-within"},
		{"limit: 10, window: 1s, burst: 21", 0, verify.Violated, "burst 20 instead of 21"},
		{"limit: 10, window: 1s, burst: 20", 40 * time.Millisecond, verify.Passed, "not its rate"},
		{"limit: 10, window: 1s, burst: 19", 40 * time.Millisecond, verify.Violated, "burst 20 instead of 19"},
		{"limit: 10, window: 1s, burst: 21", 40 * time.Millisecond, verify.Violated, "burst 20 instead of 21"},
		{"limit: 10, window: 1s, burst: 20, undelayed: 20", 0, verify.Undecided, "how soon with --decides-within"},
	}
	for _, c := range cases {
		rep, err := verify.Judge(parse(t, "policies: [{name: a, algorithm: leaky-bucket, "+c.policy+"}]"), answered(), verify.Settings{Within: c.within})
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%+v %+v", rep.Findings, rep.Policies)
		if rep.Verdict != c.want || !strings.Contains(text, c.says) {
			t.Errorf("%s, decided within %v: %s, want %s and %q in %s", c.policy, c.within, rep.Verdict, c.want, c.says, text)
		}
	}
}

// TestNoQueue: a limit without a queue, where one was declared, and the other way.
func TestNoQueue(t *testing.T) {
	for _, c := range []struct{ declared, kept, says string }{
		{"burst: 1, undelayed: 1", "burst: 0", "burst 0 instead of 1"},
		{"burst: 0", "burst: 1, undelayed: 1", "burst 1 instead of 0"},
		{"burst: 5, undelayed: 5", "burst: 0", "burst 0 instead of 5"},
	} {
		file := func(what string) string {
			return "policies: [{name: a, algorithm: leaky-bucket, limit: 2, window: 1s, " + what + "}]"
		}
		rep, _ := try(t, parse(t, file(c.declared)), parse(t, file(c.kept)), verify.PlanOptions{}, verifytest.Network{})
		if rep.Verdict != verify.Violated || !strings.Contains(fmt.Sprintf("%+v", rep.Findings), c.says) {
			t.Errorf("%s where %s is kept: %s %+v", c.declared, c.kept, rep.Verdict, rep.Findings)
		}
	}
}

// TestSlowAPI: a limit in front of an API that works two seconds on each request.
func TestSlowAPI(t *testing.T) {
	rec := &verify.Recording{Start: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Waited: true, Calls: []verify.Call{{Name: "GET /", Method: "GET", Path: "/"}}}
	rec.Experiments = []verify.Made{{Name: "limit", Policies: []int{0}, Rested: true, Whole: true}}
	w := verify.Wave{}
	for i := range 8 { // five at once, from a bucket that gets one each 200 ms
		a := verify.Seen{Sent: time.Second, Done: 3 * time.Second, Outcome: verify.Admitted, Status: 200}
		if i >= 5 {
			a.Done, a.Outcome, a.Status = time.Second+5*time.Millisecond, verify.Refused, 429
		}
		w.Answers = append(w.Answers, a)
	}
	rec.Waves = append(rec.Waves, w)
	for burst, want := range map[int]verify.Verdict{4: verify.Violated, 5: verify.Passed, 6: verify.Violated} {
		f := parse(t, fmt.Sprintf("policies: [{name: a, limit: 5, window: 1s, burst: %d}]", burst))
		rep, err := verify.Judge(f, rec, verify.Settings{Within: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Verdict != want {
			t.Errorf("burst %d: %s %+v, want %s", burst, rep.Verdict, rep.Findings, want)
		}
		if rep, err = verify.Judge(f, rec, verify.Settings{}); err != nil || burst < 6 && rep.Verdict == verify.Violated {
			t.Errorf("burst %d, without a word of when it decides: %s %v", burst, rep.Verdict, err)
		}
	}
}

// TestQueuePlan: the requests that fill a queue go together.
func TestQueuePlan(t *testing.T) {
	f := parse(t, "policies: [{name: a, algorithm: leaky-bucket, limit: 10, window: 1s, burst: 20, key: 'request.header[\"X\"]'}]")
	vary, err := verify.ParseVary("header:X=one,two")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := verify.NewPlan(f, verify.PlanOptions{Vary: []verify.Vary{vary}})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Experiments) != 3 {
		t.Errorf("%d experiments, want limit, keys and recovery", len(plan.Experiments))
	}
	for _, e := range plan.Experiments {
		for _, s := range e.Steps {
			if s.Count != 24 {
				t.Errorf("%s: a step of %d", e.Name, s.Count)
			}
		}
	}
}
