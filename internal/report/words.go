package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/load"
)

// answer tells the result in a few plain sentences. Each is about one outcome
// or says which ones it compares; none mixes them.
func answer(s *Summary) []string {
	var out []string
	add := func(t string) {
		if t != "" {
			out = append(out, t)
		}
	}
	switch s.State {
	case Invalid:
		add("INVALID. " + s.StateReason + " Do not use these figures to judge the service.")
	case Partial:
		add("PARTIAL. " + s.StateReason)
	case Interrupted:
		add("INTERRUPTED. " + s.StateReason)
	}
	if s.answered() == 0 {
		add(nothing(s))
		return append(append(out, bottleneckWords(s)...), countedWords(s)...)
	}
	add(limitWords(s))
	add(endOfThrottling(s))
	add(latencyWords(s))
	add(delayWords(s))
	add(failedWords(s))
	add(missedWords(s))
	out = append(out, s.limitSentences()...)
	out = append(append(out, bottleneckWords(s)...), countedWords(s)...)
	if n := s.Run.Unfinished; n > 0 {
		add(plural(n, "request was", "requests were") + " still under way at the end and " +
			pick(n, "is", "are") + " in no figure but sent.")
	}
	return out
}

func (s *Summary) answered() int64 {
	o := &s.Outcomes
	return o.Admitted.Count + o.Throttled.Count + o.Failed.Count
}

func nothing(s *Summary) string {
	o := &s.Outcomes
	switch {
	case o.Missed.Count > 0:
		return fmt.Sprintf("Nothing was sent: all %s that were due were missed: no user was free in time to send them.",
			plural(o.Missed.Count, "request", "requests"))
	case s.Offered.Sent > 0:
		return fmt.Sprintf("No answer came: %s sent and none was answered before the end.",
			plural(s.Offered.Sent, "request was", "requests were"))
	}
	return "Nothing was sent."
}

func limitWords(s *Summary) string {
	o := s.Onset
	adm, thr := s.Outcomes.Admitted, s.Outcomes.Throttled
	if o == nil && adm.Count == 0 {
		return fmt.Sprintf("No request was admitted, and none throttled; up to %s in one second were sent.", figCount(s.Offered.Peak1s))
	}
	if o == nil {
		return fmt.Sprintf("No request was throttled: the service admitted %s/s on average, and up to %s in one second were sent.",
			figRateShort(adm.Rate), figCount(s.Offered.Peak1s))
	}
	what := "refusal"
	if o.Status != 0 {
		what = strconv.Itoa(o.Status)
	}
	text := fmt.Sprintf("The limit began at %s: the first %s came", figAt(secDuration(o.At)), what)
	switch {
	case o.Offered <= 0:
	case o.At < 1:
		// There was no whole second before it, so there is no rate yet. Sends are
		// counted in steps of 10 ms, and the first refusal is somewhere in one.
		text += " within the first " + plural(int64(o.Offered), "request", "requests")
	default:
		text += fmt.Sprintf(" when %s requests/s were offered", figRateShort(o.Offered))
	}
	text += "."
	switch {
	case adm.Count == 0:
		return text + fmt.Sprintf(" None of the %s was admitted.", plural(s.answered(), "request", "requests"))
	case o.Plateau != nil:
		return text + fmt.Sprintf(" From then on %s/s were admitted and %s of the requests were refused.",
			figRateShort(o.Plateau.Rate), figShare(o.Refused))
	}
	return text + fmt.Sprintf(" %s refused in all, %s of those sent: too few to tell the level of the limit.",
		plural(thr.Count, "request was", "requests were"), figShare(thr.Ratio))
}

// endOfThrottling is said only when the limit gave way again: more than two
// seconds before the end of the run.
func endOfThrottling(s *Summary) string {
	n := len(s.Throttling)
	if n == 0 {
		return ""
	}
	last := s.Throttling[n-1]
	calm := s.Run.Seconds - last.To
	var total float64
	for _, e := range s.Throttling {
		total += e.To - e.From
	}
	text := ""
	if n > 1 {
		text = fmt.Sprintf("Requests were refused in %d stretches, %s in all.", n, figSpan(secDuration(total)))
	}
	if calm > 2 {
		if text != "" {
			text += " "
		}
		text += fmt.Sprintf("The last refusal came at %s; the %s after it were free of them.",
			figAt(secDuration(last.To)), figSpan(secDuration(calm)))
	}
	return text
}

func latencyWords(s *Summary) string {
	a, t := s.Outcomes.Admitted.Response, s.Outcomes.Throttled.Response
	if a == nil {
		return ""
	}
	text := fmt.Sprintf("Admitted requests took %s (p50) to %s (p99)", figMS(a.P50), figMS(a.P99))
	if t != nil {
		text += fmt.Sprintf("; refusals came after %s (p50)", figMS(t.P50))
	}
	return text + "."
}

// delayWords explains response and service time when they are far apart.
func delayWords(s *Summary) string {
	r, v := s.Outcomes.Admitted.Response, s.Outcomes.Admitted.Service
	if r == nil || v == nil || !apart(r, v) {
		return ""
	}
	held := ""
	if s.Limits.held() {
		held = "being held back to respect limits, "
	}
	cause := "the rest passed before it was sent, " + held + "opening connections or waiting for earlier answers"
	if w := s.Offered.WakeLag; w != nil && w.P99 > (r.P99-v.P99)/2 {
		cause = "the rest is mostly the lateness of this machine, which was busy"
	}
	return fmt.Sprintf("That is the response time, from the moment each request was due. From the moment it was sent "+
		"(service time) it took %s (p50) to %s (p99): %s.", figMS(v.P50), figMS(v.P99), cause)
}

// apart says whether waiting before the send is a visible part of the latency:
// a fifth of a percentile, and at least two milliseconds.
func apart(r, v *Latency) bool {
	far := func(r, v float64) bool { return r-v > 2 && r > 1.2*v }
	return far(r.P50, v.P50) || far(r.P95, v.P95) || far(r.P99, v.P99)
}

// sentenceText is how much of a text from outside fits into a sentence. All of
// it stands in the tables.
const sentenceText = 200

func failedWords(s *Summary) string {
	f := s.Outcomes.Failed
	if f.Count == 0 {
		return "None failed."
	}
	text := fmt.Sprintf("%s (%s) failed", plural(f.Count, "request", "requests"), figShare(f.Ratio))
	// The most frequent comes first; mistakes of a scenario are no requests.
	i := slices.IndexFunc(s.Errors, func(e Failure) bool { return e.Name != load.ScenarioName })
	if i >= 0 && s.Errors[i].Text != "" {
		if e := s.Errors[i]; e.Count == f.Count {
			text += ": " + clip(e.Text, sentenceText)
		} else {
			text += fmt.Sprintf(", most often (%s) with: %s", figCount(e.Count), clip(e.Text, sentenceText))
		}
	}
	return sentence(text)
}

func missedWords(s *Summary) string {
	m := s.Outcomes.Missed
	if m.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%s of those due) could not be sent in time and %s missed: more users are needed to offer the whole load.",
		plural(m.Count, "request", "requests"), figShare(m.Ratio), pick(m.Count, "was", "were"))
}

func pick(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// sentence ends t with a full stop.
func sentence(t string) string {
	t = strings.TrimRight(t, " ")
	if t == "" || strings.HasSuffix(t, ".") || strings.HasSuffix(t, "!") || strings.HasSuffix(t, "?") {
		return t
	}
	return t + "."
}

// list joins what is not empty with semicolons.
func list(items []string, none string) string {
	var kept []string
	for _, s := range items {
		if s = strings.TrimSpace(s); s != "" {
			kept = append(kept, strings.TrimSuffix(s, "."))
		}
	}
	if len(kept) == 0 {
		return none
	}
	return strings.Join(kept, "; ")
}

// reason is the verdict's reason, when the answer does not already say it.
func (s *Summary) reason() string {
	if s.State != Complete || slices.Contains(s.Answer, s.Verdict.Reason) {
		return ""
	}
	return s.Verdict.Reason
}

// headline is the verdict in one word, for the top of every output.
func (s *Summary) headline() string {
	switch s.Verdict.Result {
	case Passed:
		return "PASSED"
	case Failed:
		return "FAILED"
	case Invalid:
		return "INVALID"
	case Interrupted:
		return "INTERRUPTED"
	}
	return "PARTIAL"
}

// took is the length of the run and, when it differs, what was planned.
func (s *Summary) took() string {
	got := figSpan(s.length)
	if p := s.Run.PlannedSeconds; p > 0 && (s.Run.Seconds < p-1.5 || s.Run.Seconds > p+1.5) {
		return got + " of " + figSpan(secDuration(p)) + " planned"
	}
	return got
}

// started is the wall-clock start for people.
func (s *Summary) startedText() string {
	t, err := time.Parse(time.RFC3339Nano, s.Run.Started)
	if err != nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
