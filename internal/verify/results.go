package verify

import (
	"fmt"
	"slices"
	"time"
)

func (j *judge) timelines() {
	for e := range j.rec.Experiments {
		t := Timeline{Experiment: e + 1, Name: j.rec.Experiments[e].Name, Rows: []Row{}}
		for i := range j.rec.Waves {
			w := &j.rec.Waves[i]
			if w.Experiment != e {
				continue
			}
			m, c := &j.marks[i], &j.rec.Calls[w.Call]
			row := Row{Request: j.first[i], Seconds: w.Answers[0].Sent.Seconds(), Call: c.Name, Client: c.Client, Sent: len(w.Answers), Least: m.lo, Most: m.hi, Judged: m.judged, Why: m.why}
			for _, a := range w.Answers {
				row.Millis = max(row.Millis, float64(a.Done-w.Answers[0].Sent)/1e6)
				switch a.Outcome {
				case Admitted:
					row.Admitted++
				case Unknown:
					row.Unknown++
				}
			}
			if f := j.of[i]; f > 0 {
				row.Code = j.rep.Findings[f-1].Code
			}
			t.Rows = append(t.Rows, row)
		}
		j.rep.Timelines = append(j.rep.Timelines, t)
	}
}

func (j *judge) policies() {
	for i := range j.file.Policies {
		p := &j.file.Policies[i]
		res := PolicyResult{Policy: i, Name: called(p, i), Text: p.Policy.String(), Verdict: NotVerified, Tests: []Test{}}
		refusals, admissions, violated := 0, 0, false // seen, where the policy says so
		for e := range j.rec.Experiments {
			t, ok := j.test(i, e, &refusals, &admissions)
			if !ok {
				continue
			}
			violated = violated || t.Verdict == Violated
			res.Tests = append(res.Tests, t)
		}
		for _, l := range j.rec.LeftOut {
			if l.Policy == i {
				res.Tests = append(res.Tests, Test{Experiment: l.Name, Verdict: Undecided, Why: "not made: " + l.Why})
			}
		}
		made := slices.ContainsFunc(res.Tests, func(t Test) bool { return t.Number > 0 })
		switch {
		case j.st.out[i] != "":
			res.Why = j.st.out[i]
		case violated:
			res.Verdict = Violated
		case !made && len(res.Tests) > 0:
			res.Verdict, res.Why = Undecided, res.Tests[0].Why
		case !made:
			res.Why = "no request was one that it is for"
		case slices.ContainsFunc(j.rep.Findings, func(f Finding) bool { return f.Verdict == Undecided && slices.Contains(f.Policies, i) }):
			res.Verdict, res.Why = Undecided, "the count may have been in use before"
		case refusals == 0 || admissions == 0:
			res.Verdict = Undecided
			res.Why = "no answer shows the limit: send more (--max-requests), or from nearer to the target"
			for _, t := range res.Tests {
				if t.Why != "" {
					res.Why = t.Why
				}
			}
			if said := j.unclear(i); refusals == 0 && said != "" {
				res.Why = said
			}
		case j.hidden(i):
			res.Verdict, res.Why = Undecided, j.instead(i)
		case slices.ContainsFunc(res.Tests, func(t Test) bool { return t.Number == 0 }):
			// What was left out could have shown another limit: an hour looks like a
			// minute until the minute is over.
			at := slices.IndexFunc(res.Tests, func(t Test) bool { return t.Number == 0 })
			res.Verdict, res.Why = Undecided, fmt.Sprintf("what was tried fits, and %s was %s", res.Tests[at].Experiment, res.Tests[at].Why)
		default:
			res.Verdict = Passed
			if queues(&j.file.Policies[i].Policy) {
				res.Why = "how much it admits at once; not its rate, which shows in nothing but how late answers are"
			}
		}
		j.rep.Policies = append(j.rep.Policies, res)
	}
}

// hidden tells whether no answer shows a policy: without it the others explain all
// of them as well. So it is where a faster limit refuses first, and a service that
// has only that one would look the same.
func (j *judge) hidden(i int) bool {
	beside := false // some request meets another policy too: else its refusals are its own
	for _, asks := range j.st.asks {
		mine := slices.ContainsFunc(asks, func(a ask) bool { return a.policy == i })
		beside = beside || mine && slices.ContainsFunc(asks, func(a ask) bool { return a.policy != i })
	}
	if !beside {
		return false
	}
	f := *j.file
	f.Policies = slices.Clone(f.Policies)
	f.Policies[i].Shadow = true
	st, err := compile(&f, j.rec.Calls)
	return err == nil && newReplay(st, j.rec, j.set).explains(j.marks, nil)
}

// instead says what refused where a policy is hidden, and what to do.
func (j *judge) instead(i int) string {
	for _, l := range j.rec.LeftOut {
		if l.Policy == i {
			return "no answer shows the limit: " + l.Why
		}
	}
	for _, asks := range j.st.asks {
		for _, a := range asks {
			if a.policy != i && slices.ContainsFunc(asks, func(b ask) bool { return b.policy == i }) {
				return fmt.Sprintf("no answer shows the limit: %q refused first, and without this policy every answer would be explained as well", called(&j.file.Policies[a.policy], a.policy))
			}
		}
	}
	return "no answer shows the limit"
}

// unclear says which status the answers had where refusals should be: a server that
// refuses with a status of its own looks like one that breaks. It is "" when none had.
func (j *judge) unclear(policy int) string {
	count, status := 0, 0
	for i := range j.rec.Waves {
		w, m := &j.rec.Waves[i], &j.marks[i]
		if !m.judged || m.hi == len(w.Answers) || !slices.ContainsFunc(j.st.asks[w.Call], func(a ask) bool { return a.policy == policy }) {
			continue
		}
		for _, a := range w.Answers {
			if a.Outcome == Unknown && a.Err == "" && (count == 0 || a.Status == status) {
				count, status = count+1, a.Status
			}
		}
	}
	if count == 0 {
		return ""
	}
	return fmt.Sprintf("nothing was refused, and %d answers where refusals were expected had status %d: if that is how it refuses, say so with --throttled %d", count, status, status)
}

// test is one policy in one experiment.
func (j *judge) test(policy, experiment int, refusals, admissions *int) (t Test, ok bool) {
	t = Test{Experiment: j.rec.Experiments[experiment].Name, Number: experiment + 1, Verdict: Passed}
	var from, to time.Duration = -1, 0
	why := ""
	for i := range j.rec.Waves {
		w, m := &j.rec.Waves[i], &j.marks[i]
		if w.Experiment != experiment || !slices.ContainsFunc(j.st.asks[w.Call], func(a ask) bool { return a.policy == policy }) {
			continue
		}
		ok = true
		if from < 0 {
			from = w.Answers[0].Sent
		}
		to = max(to, w.Answers[len(w.Answers)-1].Done)
		n := len(w.Answers)
		t.Requests += n
		if m.judged && m.lo == m.hi {
			t.Decisive += n
		}
		if m.judged && m.hi < n && w.has(Refused) {
			*refusals++
		}
		if m.judged && m.lo > 0 && w.has(Admitted) {
			*admissions++
		}
		if m.why != "" && m.why != unexplained {
			why = m.why
		}
		if f := j.of[i]; f > 0 && slices.Contains(j.rep.Findings[f-1].Policies, policy) && (m.diverged || j.rep.Findings[f-1].wave == i) {
			found := &j.rep.Findings[f-1]
			if t.Verdict != Violated {
				t.Verdict = found.Verdict
				t.Why = found.Code + " " + found.Text
			}
		}
	}
	t.Seconds = (to - from).Seconds()
	switch {
	case t.Verdict != Passed:
	case t.Decisive == 0 && why != "":
		t.Verdict, t.Why = Undecided, why
	case t.Decisive == 0:
		t.Verdict, t.Why = Undecided, "answers took too long to tell apart what the limit does from what the network does: measure from nearer, or with a longer window; if the target decides soon and answers late, say how soon with --decides-within"
		if queues(&j.file.Policies[policy].Policy) {
			t.Why = "this policy holds requests back, so their answers say little of when they were decided: say with --decides-within how soon that is, as 50ms in a near network"
		}
	case !j.rec.Experiments[experiment].Whole:
		t.Verdict, t.Why = Undecided, "not made to its end: "+j.rec.Stopped
	}
	return t, ok
}
