package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/threshold"
)

// Build reads the run once and computes its Summary. Memory depends on the
// number of names and of chart points, not on the length of the run. An error
// comes from the ticks' source.
func Build(run Run) (*Summary, error) {
	var (
		totals tally.Totals
		chart  = track{most: maxPoints}
		rows   = track{most: maxRows}
		since  struct{ throttled, answered int64 } // whole seconds after the onset
		last   struct{ throttled, answered int64 } // the second of the onset itself
		cores  int
	)
	if run.Ticks != nil {
		for k, err := range run.Ticks {
			if err != nil {
				return nil, fmt.Errorf("read the run's seconds, after %s: %w", figAt(totals.Length), err)
			}
			if k == nil {
				continue
			}
			totals.Add(k)
			chart.add(k)
			rows.add(k)
			cores = max(cores, k.Health.Cores)
			if totals.Onset == nil {
				continue
			}
			sum := &since
			if k.Start < totals.Onset.At {
				sum = &last
			}
			for i := range k.Series {
				s := &k.Series[i]
				if s.Outcome == hit.Throttled {
					sum.throttled += s.Count
				}
				if s.Outcome != hit.Missed {
					sum.answered += s.Count
				}
			}
		}
	}
	if since.answered == 0 {
		since = last
	}
	s := assemble(run, &totals)
	s.Generator.Cores = cores
	s.Series = chart.series(totals.Codes())
	s.rows = rows.series(totals.Codes())
	if s.Onset != nil && since.answered > 0 {
		s.Onset.Refused = round(float64(since.throttled)/float64(since.answered), 1e6)
	}
	s.Verdict = s.judged(run.End)
	s.Answer = answer(s)
	if run.End != nil && run.End.Verdict != Invalid { // those of an invalid run say why it is
		for _, note := range run.End.Notes {
			s.Answer = append(s.Answer, sentence(clean(note)))
		}
	}
	return s, nil
}

// unsent is how many requests failed before anything of them was written. What
// was cut by the end had been written, and has no outcome.
func unsent(run Run, t *tally.Totals) int64 {
	cut := int64(0)
	if run.End != nil {
		cut = run.End.Unfinished
	}
	return max(0, t.Answers()-(t.Sent-cut))
}

func assemble(run Run, t *tally.Totals) *Summary {
	s := &Summary{
		Format:   Format,
		Run:      runInfo(run, t),
		Outcomes: outcomes(t.Outcome, t.Length, t.Missed),
		Offered: Offered{
			Planned: t.Due, Sent: t.Sent, Missed: t.Missed, Unsent: unsent(run, t),
			Mean:   perSecond(rate(t.Sent, t.Length)),
			Peak1s: peak(t, time.Second), Peak10s: peak(t, 10*time.Second), Peak60s: peak(t, time.Minute),
			Users: t.PeakUsers, InFlight: t.PeakInFlight,
			SendLag: latency(&t.SendLag), WakeLag: latency(&t.WakeLag),
		},
		Connections: Connected{Opened: int64(t.Connect.Count()), Retried: t.Retried, Time: latency(&t.Connect)},
		Onset:       onset(t),
		Throttling:  []Episode{},
		Names:       []Name{},
		StatusCodes: []Status{},
		Errors:      []Failure{},
		Events:      []Event{},
		MoreEvents:  t.EventsDropped(),
		Spread:      spread(&t.Outcome(hit.Admitted).Response, &t.Outcome(hit.Throttled).Response, &t.Outcome(hit.Failed).Response),
		Watched:     watchedOf(t),
		MoreWatched: t.WatchedDropped(),
		Statements:  statementsOf(run.End),
		Limits:      limitStory(t),
		length:      t.Length,
	}
	for _, e := range t.Throttling {
		s.Throttling = append(s.Throttling, Episode{From: secs(e.From), To: secs(e.To), Throttled: e.Count})
	}
	for _, n := range t.Names() {
		missed := n.Outcome(hit.Missed).Count
		s.Names = append(s.Names, Name{Method: n.Method, Name: n.Name, Outcomes: outcomes(n.Outcome, t.Length, missed)})
	}
	for _, c := range t.Codes() {
		s.StatusCodes = append(s.StatusCodes, Status{Status: c.Status, Text: statusText(c.Status), Count: c.Count})
	}
	for _, e := range t.Errors() {
		kind := e.Failure.String()
		if e.Failure == hit.NoFailure {
			kind = "status"
		}
		s.Errors = append(s.Errors, Failure{
			Method: e.Method, Name: e.Name, Kind: kind, Status: e.Status, Text: e.Text,
			Count: e.Count, First: secs(e.First), Last: secs(e.Last),
		})
	}
	for _, e := range t.Events() {
		s.Events = append(s.Events, Event{At: secs(e.At), Kind: e.Kind, Text: e.Text})
	}
	s.State, s.StateReason = state(run.End, t.Warm+t.Length)
	s.Generator = generator(&t.Health, run.End)
	return s
}

func runInfo(run Run, t *tally.Totals) RunInfo {
	m := run.Meta
	info := RunInfo{
		ID: m.ID, Seconds: secs(t.Warm + t.Length), WarmUp: secs(t.Warm), PlannedSeconds: secs(m.Length),
		Target: m.Target, Model: m.Model, Plan: m.Plan, Version: m.Version,
		Args: append([]string{}, m.Args...), Host: m.Host, OS: m.OS, Details: append([]Detail{}, m.Details...),
	}
	if !m.Started.IsZero() {
		info.Started = m.Started.UTC().Format(time.RFC3339Nano)
	}
	if run.End != nil {
		info.EndReason, info.Unfinished = run.End.Reason, run.End.Unfinished
		if !run.End.Ended.IsZero() {
			info.Ended = run.End.Ended.UTC().Format(time.RFC3339Nano)
		}
	}
	return info
}

func outcomes(of func(hit.Outcome) *tally.Sum, length time.Duration, missed int64) Outcomes {
	var answered int64
	for _, o := range []hit.Outcome{hit.Admitted, hit.Throttled, hit.Failed} {
		answered += of(o).Count
	}
	one := func(o hit.Outcome) Outcome {
		sum := of(o)
		out := Outcome{
			Count: sum.Count, Rate: perSecond(sum.Rate(length)),
			Response: latency(&sum.Response), Service: latency(&sum.Service),
			BytesIn: sum.BytesIn, BytesOut: sum.BytesOut,
		}
		all := answered
		if o == hit.Missed {
			all += missed
		}
		if all > 0 {
			out.Ratio = round(float64(sum.Count)/float64(all), 1e6)
		}
		if sum.Count > 0 {
			first, last := secs(sum.First), secs(sum.Last)
			out.First, out.Last = &first, &last
		}
		return out
	}
	return Outcomes{
		Admitted: one(hit.Admitted), Throttled: one(hit.Throttled),
		Failed: one(hit.Failed), Missed: one(hit.Missed),
	}
}

// latency is nil when there was nothing to measure.
func latency(h *hist.Hist) *Latency {
	if h.Count() == 0 {
		return nil
	}
	return &Latency{
		Count: int64(h.Count()), Min: ms(h.Min()), Mean: ms(h.Mean()),
		P50: ms(h.Quantile(0.50)), P75: ms(h.Quantile(0.75)), P90: ms(h.Quantile(0.90)),
		P95: ms(h.Quantile(0.95)), P99: ms(h.Quantile(0.99)), P999: ms(h.Quantile(0.999)), Max: ms(h.Max()),
	}
}

func peak(t *tally.Totals, window time.Duration) int64 {
	o, _ := t.Offered(window)
	return o.Peak
}

func onset(t *tally.Totals) *Onset {
	o := t.Onset
	if o == nil {
		return nil
	}
	out := &Onset{
		At: secs(o.At), Method: o.Method, Name: o.Name, Status: o.Status,
		Offered: perSecond(o.Offered), Admitted: perSecond(o.Admitted),
	}
	if p := t.Plateau(); p != nil {
		out.Plateau = &Plateau{
			Rate: perSecond(p.Rate), Min: perSecond(p.Min), Max: perSecond(p.Max), StdErr: perSecond(p.StdErr),
			From: secs(p.From), To: secs(p.To),
		}
	}
	return out
}

func generator(h *tally.HealthPeaks, end *End) Generator {
	g := Generator{
		Valid: true, Why: []string{},
		CPUMean: round(h.MeanCPU, 1e3), CPUPeak: round(h.CPU, 1e3), GCPause: ms(h.GCPause), GCPeak: ms(h.PeakGCPause),
		Files: h.Files, FileLimit: h.FileLimit, Goroutines: h.Goroutines, Heap: h.HeapBytes, Lost: h.Lost,
	}
	if end != nil && end.Verdict == Invalid {
		g.Valid = false
		g.Why = append(g.Why, end.Notes...)
	}
	return g
}

func state(end *End, length time.Duration) (string, string) {
	switch {
	case end == nil:
		return Partial, "The record stops at " + figAt(length) + " without an end: the run is still going on, or it was killed."
	case end.Verdict == Invalid:
		return Invalid, sentence("The generator was the limit, not the service: " + list(end.Notes, "it reported no reason"))
	case end.Verdict == Interrupted:
		return Interrupted, stoppedWords(end)
	}
	return Complete, ""
}

// stoppedWords says why an interrupted run ended. "interrupted" alone would
// only say it twice.
func stoppedWords(end *End) string {
	if why := list([]string{end.Reason}, ""); why != "" && why != Interrupted {
		return sentence("The run was stopped before its plan was done: " + why)
	}
	return "The run was stopped before its plan was done."
}

// judged shows the judgement that End carries, with a reason in words.
func (s *Summary) judged(end *End) Verdict {
	v := Verdict{Result: Unjudged, Checks: []Check{}, Reason: "The run has no end on record, so nothing was judged."}
	if end == nil {
		return v
	}
	var failed, implied []string
	given := 0
	for _, c := range end.Checks {
		check := Check{Expression: c.Expr, Result: c.Verdict.String(), Observed: c.Value}
		if c.At > 0 {
			at := secs(c.At)
			check.At = &at
		}
		check.Estimate = estimateOf(c.Estimate)
		v.Checks = append(v.Checks, check)
		switch {
		case c.Implied() && c.Failed():
			implied = append(implied, sentence(c.Value))
		case c.Implied():
		case c.Failed():
			failed = append(failed, checkWords(c))
			fallthrough
		default:
			given++
		}
	}
	code := end.ExitCode
	v.ExitCode = &code
	v.Result = end.Verdict
	v.Passed = end.Verdict == Passed
	switch {
	case v.Result == Invalid:
		v.Reason = "The generator was the limit, so the run says nothing about the service."
	case v.Result == Interrupted:
		v.Reason = stoppedWords(end)
	case v.Passed && given == 0:
		v.Reason = "No checks were given."
	case v.Passed && given == 1:
		v.Reason = "The one check passed."
	case v.Passed:
		v.Reason = fmt.Sprintf("All %d checks passed.", given)
	case len(failed) > 0 && given == 1:
		v.Reason = sentence("The one check failed: " + failed[0])
	case len(failed) > 0:
		v.Reason = sentence(fmt.Sprintf("%d of %s failed: %s", len(failed), plural(int64(given), "check", "checks"), list(failed, "")))
	case len(implied) > 0:
		v.Reason = ""
	case s.answered() == 0:
		v.Reason = nothing(s)
	default:
		v.Reason = sentence(list(append(append([]string{}, end.Notes...), end.Reason), "the run failed without a stated reason"))
	}
	if !v.Passed && v.Result != Invalid && v.Result != Interrupted {
		v.Reason = strings.TrimSpace(strings.Join(append(implied, v.Reason), " "))
	}
	v.Reason = promised(v.Reason, end.Checks)
	return v
}

func checkWords(c threshold.Check) string {
	if c.Verdict == threshold.NoData {
		return c.Expr + " (no data)"
	}
	if c.Value == "" {
		return c.Expr
	}
	return c.Expr + " (" + c.Value + ")"
}

func statusText(status int) string {
	if status == 0 {
		return "no answer"
	}
	return hit.StatusText(status)
}
