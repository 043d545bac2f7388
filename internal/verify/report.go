package verify

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/track"
)

// Verdict of a report, a policy, or an experiment.
type Verdict string

// The verdicts.
const (
	Passed      Verdict = "passed"
	Violated    Verdict = "violated"
	Undecided   Verdict = "undecided"
	NotVerified Verdict = "not verified" // of a policy: it was not tried
)

// Report is what a recording says about a policy file. The names of its JSON are
// stable.
type Report struct {
	Form     int            `json:"weir_verify_report"` // 1
	Target   string         `json:"target"`
	Started  time.Time      `json:"started"`
	Seconds  float64        `json:"seconds"`
	Requests int            `json:"requests"`
	Refused  int            `json:"refused"`
	Clock    string         `json:"clock"`
	Verdict  Verdict        `json:"verdict"`
	Policies []PolicyResult `json:"policies"`
	Findings []Finding      `json:"findings"`
	Notes    []string       `json:"notes,omitempty"`

	Timelines []Timeline `json:"timelines"`
}

// PolicyResult is what became of one policy.
type PolicyResult struct {
	Policy  int     `json:"policy"`
	Name    string  `json:"name"`
	Text    string  `json:"text"` // the policy in one line
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
	Tests   []Test  `json:"tests"`
}

// Test is a policy in one experiment.
type Test struct {
	Experiment string  `json:"experiment"`
	Number     int     `json:"number"` // of the experiment, from 1; 0 when it was not made
	Verdict    Verdict `json:"verdict"`
	Why        string  `json:"why,omitempty"`
	Requests   int     `json:"requests"`
	Decisive   int     `json:"decisive"` // answers that only one outcome was possible for
	Seconds    float64 `json:"seconds"`
}

// Finding is something that the policies do not explain.
type Finding struct {
	Code       string        `json:"code"`
	Name       string        `json:"name"`
	Text       string        `json:"text"`
	Verdict    Verdict       `json:"verdict"` // violated or undecided
	Policies   []int         `json:"policies"`
	Experiment int           `json:"experiment"` // from 1
	Request    int           `json:"request"`    // the first divergent one, from 1, over all that were sent
	Seconds    float64       `json:"seconds"`    // when it was sent, from the start
	Call       string        `json:"call"`
	Expected   string        `json:"expected"`
	Seen       string        `json:"seen"`
	Times      int           `json:"times"` // answers of this kind
	Nearest    []Explanation `json:"nearest,omitempty"`
	Advice     string        `json:"advice,omitempty"`

	wave int
}

// Timeline is the picture of an experiment.
type Timeline struct {
	Experiment int    `json:"experiment"` // from 1
	Name       string `json:"name"`
	Rows       []Row  `json:"rows"`
}

// Row is one request, or several that were under way together.
type Row struct {
	Request  int     `json:"request"` // the first of them, from 1
	Seconds  float64 `json:"seconds"`
	Millis   float64 `json:"ms"` // from sending to the last answer
	Call     string  `json:"call"`
	Client   int     `json:"client"`
	Sent     int     `json:"sent"`
	Admitted int     `json:"admitted"`
	Unknown  int     `json:"unknown,omitempty"`
	Least    int     `json:"least"` // admitted, if the policies hold
	Most     int     `json:"most"`
	Judged   bool    `json:"judged"`
	Why      string  `json:"why,omitempty"`  // it could not be judged
	Code     string  `json:"code,omitempty"` // of the finding that begins here
}

// judge is the state of Judge.
type judge struct {
	file  *policy.File
	rec   *Recording
	set   Settings
	st    *states
	base  *replay
	marks []mark
	first []int // by wave: the number of its first request
	rep   *Report
	index map[string]int // of findings
	of    map[int]int    // by wave: finding + 1
}

// Judge compares a recording with a policy file.
func Judge(f *policy.File, rec *Recording, set Settings) (*Report, error) {
	st, err := compile(f, rec.Calls)
	if err != nil {
		return nil, err
	}
	j := &judge{file: f, rec: rec, set: set, st: st, index: map[string]int{}, of: map[int]int{}}
	j.base = newReplay(st, rec, set)
	j.marks = j.base.all()
	j.rep = &Report{Form: 1, Target: rec.Target, Started: rec.Start, Findings: []Finding{}}
	j.rep.Requests, j.rep.Refused = rec.Requests()
	n := 1
	for _, w := range rec.Waves {
		j.first = append(j.first, n)
		n += len(w.Answers)
		for _, a := range w.Answers {
			j.rep.Seconds = max(j.rep.Seconds, a.Done.Seconds())
		}
	}
	j.clock()
	j.findings()
	j.tidy()
	j.timelines()
	j.policies()
	j.verdict()
	return j.rep, nil
}

func (j *judge) clock() {
	switch {
	case j.base.skew == 0 && j.set.Skew < 0:
		j.rep.Clock = "the target is on this machine and has its clock"
	case j.set.Skew >= 0:
		j.rep.Clock = fmt.Sprintf("the target's clock is taken to be within %v of this machine's", j.base.skew)
	case j.base.skew > 24*time.Hour:
		j.rep.Clock = "the target's clock is not known (no usable Date field): nothing is assumed about where its windows begin"
	default:
		j.rep.Clock = fmt.Sprintf("by the Date fields the target's clock is %v ± %v from this machine's", round(j.base.offset), round(j.base.skew))
	}
}

// findings makes a finding of each kind of divergence.
func (j *judge) findings() {
	for i := range j.marks {
		m := &j.marks[i]
		for _, t := range m.told {
			j.found(i, Finding{Code: t.code, Text: codeText(t.code), Verdict: Violated, Policies: []int{t.policy}, Expected: t.expected, Seen: t.seen}, fmt.Sprint(t.code, t.policy))
		}
		if m.diverged {
			j.diverged(i)
		}
		j.status(i)
	}
}

// tidy drops what headers tell that is true by the explanation of an answer: the
// service says what it does. Findings stand in the order of their requests,
// unexplained answers first.
func (j *judge) tidy() {
	drop := map[int]bool{}
	for _, f := range j.rep.Findings {
		if len(f.Nearest) == 0 {
			continue
		}
		st, err := compile(f.Nearest[0].file, j.rec.Calls)
		if err != nil {
			continue
		}
		still := map[string]bool{}
		for _, m := range newReplay(st, j.rec, j.set).all() {
			for _, t := range m.told {
				still[fmt.Sprint(t.code, t.policy)] = true
			}
		}
		for k, other := range j.rep.Findings {
			if told(other.Code) && len(other.Nearest) == 0 && !still[fmt.Sprint(other.Code, other.Policies[0])] {
				drop[k] = true
			}
		}
	}
	order := []int{}
	for _, tells := range []bool{false, true} {
		for k, f := range j.rep.Findings {
			if !drop[k] && (told(f.Code) && len(f.Nearest) == 0) == tells {
				order = append(order, k)
			}
		}
	}
	place := map[int]int{}
	out := make([]Finding, 0, len(order))
	for at, k := range order {
		place[k+1] = at + 1
		out = append(out, j.rep.Findings[k])
	}
	for w, f := range j.of {
		j.of[w] = place[f]
	}
	j.rep.Findings = out
}

// told tells whether a finding is about a header field.
func told(code string) bool {
	switch code {
	case CodeToldLimit, CodeToldRemaining, CodeToldReset, CodeRetryEarly, CodeRetryLate:
		return true
	}
	return false
}

// found notes a finding, or one more of a kind.
func (j *judge) found(wave int, f Finding, kind string) {
	if slices.Contains(j.set.Ignore, f.Code) || slices.Contains(j.set.Ignore, Name(f.Code)) {
		return
	}
	if at, ok := j.index[kind]; ok {
		j.rep.Findings[at].Times++
		j.of[wave] = at + 1
		return
	}
	w := &j.rec.Waves[wave]
	f.Name, f.wave, f.Times = Name(f.Code), wave, 1
	f.Experiment, f.Request, f.Seconds = w.Experiment+1, j.first[wave], w.Answers[0].Sent.Seconds()
	f.Call = j.rec.Calls[w.Call].Name
	j.index[kind] = len(j.rep.Findings)
	j.rep.Findings = append(j.rep.Findings, f)
	j.of[wave] = len(j.rep.Findings)
}

// diverged explains an answer that the policies do not explain.
func (j *judge) diverged(wave int) {
	m, w := &j.marks[wave], &j.rec.Waves[wave]
	admitted := 0
	for _, a := range w.Answers {
		if a.Outcome == Admitted {
			admitted++
		}
	}
	n := len(w.Answers)
	f := Finding{Verdict: Violated, Expected: outcome(m.lo, m.hi, n), Seen: outcome(admitted, admitted, n)}
	group := j.st.group[w.Call]
	if group < 0 {
		f.Code, f.Text = CodeNoPolicy, codeText(CodeNoPolicy)
		j.found(wave, f, CodeNoPolicy+w.name(j.rec))
		return
	}
	for _, a := range j.st.asks[w.Call] {
		f.Policies = append(f.Policies, a.policy)
	}
	slices.Sort(f.Policies)
	f.Policies = slices.Compact(f.Policies)
	kind := fmt.Sprint("diverged", f.Policies)
	if _, known := j.index[kind]; known {
		j.found(wave, f, kind)
		return
	}
	if m.verdict == track.TooFew && m.first && (!j.rec.Waited || j.fineLater(wave)) && j.unrested() {
		f.Code, f.Text, f.Verdict = CodeUnrested, "the count may have been in use before the first request", Undecided
		f.Advice = "Run it again when nobody has used the target for " + j.restOf(f.Policies).String() + ", or with keys that were never used (--vary …=new)."
		j.found(wave, f, kind)
		return
	}
	f.Nearest = j.explain(wave, f.Policies)
	if i, ok := alone(f.Nearest); ok {
		f.Policies = []int{i} // the others that the request met are kept, by every explanation
	}
	switch {
	case len(f.Nearest) > 0:
		f.Code = f.Nearest[0].Code
		f.Text = f.Nearest[0].Text
	case m.verdict == track.TooMany:
		f.Code, f.Text = CodeOverLimit, codeText(CodeOverLimit)+"; no single change of the policies explains all answers"
	default:
		f.Code, f.Text = CodeUnderLimit, codeText(CodeUnderLimit)+"; no single change of the policies explains all answers"
	}
	if len(f.Nearest) > 0 {
		for at := range j.rep.Findings {
			other := &j.rep.Findings[at]
			if len(other.Nearest) > 0 && other.Nearest[0].Text == f.Nearest[0].Text {
				j.index[kind] = at
				other.Policies = append(other.Policies, f.Policies...)
				slices.Sort(other.Policies)
				other.Policies = slices.Compact(other.Policies)
			}
		}
	}
	j.found(wave, f, kind)
}

// alone returns the one policy that all explanations change.
func alone(list []Explanation) (policy int, ok bool) {
	for _, e := range list {
		if e.Policy != list[0].Policy || e.Code == CodeShared || e.Code == CodeSplit {
			return 0, false
		}
	}
	if len(list) == 0 {
		return 0, false
	}
	return list[0].Policy, true
}

func (w *Wave) name(rec *Recording) string { return rec.Calls[w.Call].Name }

// fineLater tells whether the same counts were judged in a later experiment, and
// all of that is explained.
func (j *judge) fineLater(wave int) bool {
	fine := false
	w := &j.rec.Waves[wave]
	for i := wave + 1; i < len(j.marks); i++ {
		if later := &j.rec.Waves[i]; later.Experiment > w.Experiment && j.st.group[later.Call] == j.st.group[w.Call] {
			if j.marks[i].diverged {
				return false
			}
			fine = fine || j.marks[i].judged
		}
	}
	return fine
}

// unrested tells whether all is explained if counts were in use before.
func (j *judge) unrested() bool {
	r := newReplay(j.st, j.rec, j.set)
	r.unrested = true
	return r.explains(j.marks, nil)
}

// explain finds the nearest policies that explain all answers, or, where several
// things are wrong, those to the policies in focus.
func (j *judge) explain(wave int, focus []int) []Explanation {
	all := variants(j.file, focus, j.rec.Calls)
	tries := func(only func(*Wave) bool) func(*policy.File) bool {
		return func(f *policy.File) bool {
			st, err := compile(f, j.rec.Calls)
			return err == nil && newReplay(st, j.rec, j.set).explains(j.marks, only)
		}
	}
	if out := nearest(all, tries(nil)); len(out) > 0 {
		return out
	}
	of := func(w *Wave) bool {
		for _, a := range j.st.asks[w.Call] {
			if slices.Contains(focus, a.policy) {
				return true
			}
		}
		return false
	}
	for i := range j.rec.Waves {
		if !of(&j.rec.Waves[i]) {
			return nearest(all, tries(of))
		}
	}
	return nil
}

func (j *judge) restOf(policies []int) (d time.Duration) {
	for _, i := range policies {
		d = max(d, rest(j.file.Policies[i].Policy))
	}
	return d
}

// status checks how refusals are answered.
func (j *judge) status(wave int) {
	w := &j.rec.Waves[wave]
	var want []int
	for _, a := range j.st.asks[w.Call] {
		p := &j.file.Policies[a.policy]
		answer, ok := p.Answer.Spelled()
		if p.Answer.IsZero() || !ok || answer.Status == 0 {
			return
		}
		want = append(want, answer.Status)
	}
	for _, a := range w.Answers {
		if a.Outcome == Refused && len(want) > 0 && !slices.Contains(want, a.Status) {
			j.found(wave, Finding{
				Code: CodeAnswer, Text: codeText(CodeAnswer), Verdict: Violated, Policies: []int{j.st.asks[w.Call][0].policy},
				Expected: fmt.Sprintf("status %d", want[0]), Seen: fmt.Sprintf("status %d", a.Status),
			}, fmt.Sprint(CodeAnswer, want[0], a.Status))
			return
		}
	}
}

// outcome says how many of n are admitted.
func outcome(lo, hi, n int) string {
	switch {
	case n == 1 && lo == hi:
		return string([]Outcome{Refused, Admitted}[lo])
	case n == 1:
		return "admitted or refused"
	case lo == hi:
		return fmt.Sprintf("%d of %d admitted", lo, n)
	default:
		return fmt.Sprintf("%d to %d of %d admitted", lo, hi, n)
	}
}

func (j *judge) verdict() {
	r := j.rep
	r.Verdict = Undecided
	passed := false
	for _, p := range r.Policies {
		passed = passed || p.Verdict == Passed
	}
	violated := slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Verdict == Violated })
	undecided := slices.ContainsFunc(r.Policies, func(p PolicyResult) bool { return p.Verdict == Undecided || p.Verdict == NotVerified })
	switch {
	case violated:
		r.Verdict = Violated
	case passed && !undecided:
		r.Verdict = Passed
	}
	if j.rec.Stopped != "" {
		r.Notes = append(r.Notes, "The experiments ended early: "+j.rec.Stopped+".")
	}
}

// Decided tells whether anything was found out about any policy.
func (r *Report) Decided() bool {
	return r.Verdict == Violated || slices.ContainsFunc(r.Policies, func(p PolicyResult) bool { return p.Verdict == Passed })
}
