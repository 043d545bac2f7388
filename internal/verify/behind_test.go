package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/verify"
	"github.com/weir-dev/weir/internal/verify/verifytest"
)

// TestBehind: a limit behind a faster one is used up as fast as that one lets, so
// that a service which has only the faster one, or another slower one, does not pass.
func TestBehind(t *testing.T) {
	const (
		short = "{name: short, match: GET /a, algorithm: fixed-window, limit: 10, window: 1s}"
		long  = "{name: long, match: GET /a, algorithm: fixed-window, limit: 40, window: 10s}"
	)
	two := func(a, b string) string { return "policies: [" + a + ", " + b + "]" }
	change := func(old, new string) string { return strings.Replace(long, old, new, 1) }
	for _, c := range []struct{ name, declared, kept, verdict string }{
		{"faithful", two(short, long), two(short, long), "passed"},
		{"the slower first", two(long, short), two(long, short), "passed"},
		{"only the faster", two(short, long), "policies: [" + short + "]", "violated"},
		{"more", two(short, long), two(short, change("40", "45")), "violated"},
		{"less", two(short, long), two(short, change("40", "35")), "violated"},
		{"longer", two(short, long), two(short, change("10s", "12s")), "violated"},
		{"a log", two(short, change("fixed-window", "sliding-log")), two(short, change("fixed-window", "sliding-log")), "passed"},
		{"no log", two(short, change("fixed-window", "sliding-log")), "policies: [" + short + "]", "violated"},
		{"a bucket", two(short, change("fixed-window", "token-bucket")), two(short, change("fixed-window", "token-bucket")), "passed"},
		{"no bucket", two(short, change("fixed-window", "token-bucket")), "policies: [" + short + "]", "violated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rep, _ := try(t, parse(t, c.declared), parse(t, c.kept), verify.PlanOptions{}, verifytest.Network{})
			if string(rep.Verdict) != c.verdict {
				t.Errorf("%s, want %s: %+v %+v", rep.Verdict, c.verdict, rep.Findings, rep.Policies)
			}
			if c.verdict == "violated" && c.name != "longer" && rep.Policies[0].Verdict != verify.Passed {
				t.Errorf("short: %s, and it is kept: %+v", rep.Policies[0].Verdict, rep.Policies)
			}
			if c.name == "only the faster" && rep.Findings[0].Nearest[0].Text != "long: it is not enforced" {
				t.Errorf("nearest: %+v", rep.Policies)
			}
		})
	}
}

// TestHidden: what no answer shows does not pass, and neither does a policy of
// which an experiment was left out.
func TestHidden(t *testing.T) {
	f := parse(t, `policies:
  - {name: short, match: GET /a, algorithm: fixed-window, limit: 10, window: 1s}
  - {name: long, match: GET /a, algorithm: fixed-window, limit: 40, window: 10s}`)
	plan, err := verify.ParseSchedule("s", "GET /a x60 together; wait 2s; GET /a x30", verify.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.About(f, false); err != nil {
		t.Fatal(err)
	}
	s, err := verifytest.New(parse(t, "policies: [{name: short, match: GET /a, algorithm: fixed-window, limit: 10, window: 1s}]"), verifytest.Network{Low: time.Millisecond, High: 2 * time.Millisecond}, 5)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := verify.Judge(f, verify.Run(t.Context(), plan, s, verify.RunOptions{}), verify.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if p := rep.Policies[0]; p.Verdict != verify.Passed {
		t.Errorf("short: %s %s", p.Verdict, p.Why)
	}
	if p := rep.Policies[1]; p.Verdict != verify.Undecided || !strings.Contains(p.Why, `"short" refused first`) || rep.Verdict != verify.Undecided {
		t.Errorf("long: %s %q, in all %s", p.Verdict, p.Why, rep.Verdict)
	}

	one := parse(t, "policies: [{name: long, match: GET /a, algorithm: fixed-window, limit: 40, window: 10s}]")
	rep, _ = try(t, one, one, verify.PlanOptions{Budget: verify.Budget{Requests: 100, Throttled: 100, Time: time.Hour}}, verifytest.Network{})
	if p := rep.Policies[0]; p.Verdict != verify.Undecided || !strings.Contains(p.Why, "was not made: it needs") {
		t.Errorf("with the window left out: %s %q", p.Verdict, p.Why)
	}

	// A limit that can never be reached is said to be so before anything is sent.
	never := parse(t, `policies:
  - {name: hour, match: GET /a, algorithm: fixed-window, limit: 5, window: 1h}
  - {name: second, match: GET /a, algorithm: fixed-window, limit: 10, window: 1s}`)
	out, err := verify.NewPlan(never, verify.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.LeftOut) != 1 || out.LeftOut[0].Policy != 1 || !strings.Contains(out.LeftOut[0].Why, `"hour" lets too little through`) {
		t.Errorf("left out: %+v", out.LeftOut)
	}
}

// TestRestOfOthers: the experiments about a fast limit do not each wait for a slow
// one beside it that has room for them.
func TestRestOfOthers(t *testing.T) {
	f := parse(t, `policies:
  - {name: short, match: GET /a, algorithm: fixed-window, limit: 10, window: 1s}
  - {name: long, match: GET /a, algorithm: fixed-window, limit: 100, window: 1m}`)
	plan, err := verify.NewPlan(f, verify.PlanOptions{Budget: verify.Budget{Requests: 2000, Throttled: 500, Time: 5 * time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.LeftOut) > 0 || plan.Cost().Time > 5*time.Minute {
		t.Errorf("%v, left out: %+v", plan.Cost().Time, plan.LeftOut)
	}
	for _, e := range plan.Experiments[1 : len(plan.Experiments)-1] {
		if e.Rest > 5*time.Second || !e.Unrested {
			t.Errorf("%s: a rest of %v, unrested %v", e.Name, e.Rest, e.Unrested)
		}
	}
}
