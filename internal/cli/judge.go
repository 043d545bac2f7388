package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
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

// judge decides. A run that a person interrupted is not judged by its
// conditions, one whose generator was the limit says nothing, and one that
// sent nothing, or was never answered, fails whatever its conditions say.
func judge(t *tally.Totals, checks []threshold.Check, g generator, stopped, interrupted bool) judgement {
	j := judgement{verdict: report.Passed, code: exitPassed, checks: checks}
	answered := t.Outcome(hit.Admitted).Count + t.Outcome(hit.Throttled).Count
	for _, c := range t.Codes() {
		if c.Status >= 400 { // an error status is an answer, although the hit failed
			answered++
		}
	}
	switch {
	case t.Sent == 0:
		j.checks = append(j.checks, threshold.Check{Expr: "something was sent", Verdict: threshold.Fail, Value: "no request was sent"})
	case answered == 0:
		j.checks = append(j.checks, threshold.Check{Expr: "something was answered", Verdict: threshold.Fail, Value: fmt.Sprintf("none of %d requests was answered", t.Sent)})
	}
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
		j.notes = append(j.notes, fmt.Sprintf("Only %.0f %% of the planned requests were sent: the load was less than asked for.", 100*float64(t.Sent)/float64(planned)))
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
