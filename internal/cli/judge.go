package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/threshold"
)

// judgement is the verdict on a run, made once and stored; reports only show it.
type judgement struct {
	verdict string // report.Passed, Failed, Invalid or Interrupted
	code    int
	checks  []threshold.Check
	notes   []string
}

// generator is what is known of the generator's own lateness.
type generator struct {
	bound   time.Duration // of one request in a hundred
	starved time.Duration // one in a hundred of its goroutines waited this long, or longer, for a processor
}

// offeredShare is the share of the planned arrivals below which a report says so.
const offeredShare = 0.95

// lagSamples is how many lateness samples a run needs before one in a hundred means anything.
const lagSamples = 100

// complaints are the errors of a scenario's own, in the warm-up as well: a login
// that fails there is no better.
type complaints struct {
	count   int64
	by      map[string]int64
	allowed bool
}

func (c *complaints) add(k *tally.Tick) {
	for _, e := range k.Errors {
		if e.Name != load.ScenarioName {
			continue
		}
		c.count += e.Count
		if c.by == nil {
			c.by = map[string]int64{}
		}
		c.by[e.Text] += e.Count
	}
}

// String says how many there were and which came most often; "" for none.
func (c *complaints) String() string {
	most := ""
	for text, n := range c.by {
		if n > c.by[most] || n == c.by[most] && text < most {
			most = text
		}
	}
	switch c.count {
	case 0:
		return ""
	case 1:
		return "1 error of the scenario: " + most
	}
	return fmt.Sprintf("%d errors of the scenario, of which most often: %s", c.count, most)
}

// failures are checks that failed, and that every run is held to. A run that
// was given conditions may have asked for answers that are failures.
func failures(t *tally.Totals, given bool, c *complaints) []threshold.Check {
	var out []threshold.Check
	add := func(expr, value string) {
		out = append(out, threshold.Check{Expr: expr, Verdict: threshold.Fail, Value: value})
	}
	if c.count > 0 && !c.allowed {
		add(threshold.NoScenarioErrors, c.String())
	}
	good := t.Outcome(hit.Admitted).Count + t.Outcome(hit.Throttled).Count
	answered := good
	for _, c := range t.Codes() {
		if c.Status > 0 { // an answer, although the hit may have failed
			answered++
		}
	}
	bad := t.Outcome(hit.Failed).Count
	switch {
	case t.Sent == 0:
		add(threshold.SomethingSent, "No request was sent")
	case answered == 0:
		add(threshold.SomethingAnswered, unanswered(t.Sent))
	case good == 0 && bad > 0 && !given:
		add(threshold.SomethingAdmitted, "Every request failed: "+commonest(t))
	}
	return out
}

func unanswered(sent int64) string {
	if sent == 1 {
		return "The only request was not answered"
	}
	return fmt.Sprintf("None of %d requests was answered", sent)
}

// commonest is why most requests failed.
func commonest(t *tally.Totals) string {
	for _, e := range t.Errors() {
		if e.Name != load.ScenarioName {
			return e.Text
		}
	}
	return "for no stated reason"
}

// judge decides. A run that a person interrupted is not judged by its
// conditions, one whose generator was the limit says nothing, and one that
// sent nothing, was never answered or whose scenario has mistakes fails whatever
// its conditions say.
func judge(t *tally.Totals, checks []threshold.Check, c *complaints, g generator, stopped, interrupted bool) judgement {
	j := judgement{verdict: report.Passed, code: exitPassed, checks: append(checks, failures(t, len(checks) > 0, c)...)}
	failed := stopped
	for _, c := range j.checks {
		failed = failed || c.Failed()
	}
	if failed {
		j.verdict, j.code = report.Failed, exitFailed
	}
	if lag := t.WakeLag; lag.Count() >= lagSamples && lag.Quantile(0.99) > g.bound {
		j.verdict, j.code = report.Invalid, exitInvalid
		j.notes = append(j.notes, fmt.Sprintf(
			"The generator was late: one request in a hundred left %v or more after its time (bound %v), through no fault of the service. Use a quieter or larger machine, less load, or raise --max-send-lag.",
			lag.Quantile(0.99).Round(time.Millisecond), g.bound))
	} else if t.Sent >= lagSamples && g.starved > g.bound {
		j.verdict, j.code = report.Invalid, exitInvalid
		j.notes = append(j.notes, fmt.Sprintf(
			"The generator had too little CPU: one in a hundred of its steps waited %v or more for a processor (bound %v), so answers look slower than they were. Use a quieter or larger machine, less load, or raise --max-send-lag.",
			g.starved.Round(time.Millisecond), g.bound))
	}
	if planned := t.Due; planned > 0 && float64(t.Sent) < offeredShare*float64(planned) && !stopped && !interrupted {
		text := fmt.Sprintf("Only %.0f %% of the planned requests were sent: the load was less than asked for.", 100*float64(t.Sent)/float64(planned))
		if n := heldBack(t); n > 0 {
			text += fmt.Sprintf(" Held back to the end, because limits were respected: %d.", n)
		}
		j.notes = append(j.notes, text)
	}
	h := t.Health
	if h.Lost > 0 {
		j.verdict, j.code = report.Invalid, exitInvalid
		j.notes = append(j.notes, fmt.Sprintf("%d records could not be kept.", h.Lost))
	}
	if h.CPUShare >= 0.9 {
		j.notes = append(j.notes, fmt.Sprintf("The generator used %.0f %% of its CPU at its busiest: times include its own queueing then.", 100*h.CPUShare))
	}
	if h.FileShare >= 0.9 {
		j.notes = append(j.notes, fmt.Sprintf("The generator had %d of %d file descriptors open: raise the limit (ulimit -n) or use fewer users.", h.Files, h.FileLimit))
	}
	if interrupted {
		j.verdict, j.code = report.Interrupted, exitInterrupted
	}
	return j
}

// conditions parses --fail-if, --expect and --stop-if; the error points into the
// one that is wrong. Those that could never be judged are refused. What is
// expected is in failIf, too.
func (f *outcomeFlags) conditions(watching bool) (failIf, stopIf []*threshold.Expr, err error) {
	parse := func(flag string, texts []string, read func(string) (*threshold.Expr, error)) []*threshold.Expr {
		var out []*threshold.Expr
		for _, t := range texts {
			e, bad := read(t)
			switch {
			case err != nil:
			case bad != nil:
				err = usage("docs/run.md lists what can be asked", "%s: %v", flag, bad)
			case e.Watched() != "" && !watching:
				err = usage("add --watch postgres://… or --watch prometheus+http://…", "%s %s: nothing is watched", flag, e)
			case e.Expected() && flag == "--stop-if":
				err = usage("write --stop-if with the condition to stop at, and --expect for the end", "%s %s: what is expected is judged at the end", flag, e)
			}
			out = append(out, e)
		}
		return out
	}
	failIf = parse("--fail-if", f.FailIf, threshold.Parse)
	failIf = append(failIf, parse("--expect", f.Expect, threshold.ParseExpected)...)
	stopIf = parse("--stop-if", f.StopIf, threshold.Parse)
	if err != nil {
		return nil, nil, err
	}
	return failIf, stopIf, nil
}

// describeCondition is the line of a plan for what the run is judged by.
func describeCondition(w io.Writer, e *threshold.Expr) {
	if text, ok := strings.CutPrefix(e.String(), "expect "); ok {
		fmt.Fprintf(w, "Expects:  %s\n", text)
		return
	}
	fmt.Fprintf(w, "Fails if: %s\n", e)
}
