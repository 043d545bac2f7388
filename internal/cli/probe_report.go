package cli

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/keyscope"
	"github.com/weir-dev/weir/internal/policy"
	blackbox "github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/limit"
)

// report puts together what was found.
func (c *probeCmd) report(world *probeWorld, v *blackbox.Verdict, scope, behind *keyscope.Scope, j *probeJournal) *report.Probe {
	r := report.NewProbe(v)
	r.Target = world.req.Method + " " + maskURL(world.req.URL)
	told := false
	for _, rec := range j.records {
		for _, a := range rec.Answers {
			told = told || a.Told != nil
		}
	}
	for _, f := range blackbox.CheckHeaders(v, j.records) {
		r.Findings = append(r.Findings, report.ProbeFinding{Code: f.Code, Name: f.Name, Text: f.Text, Told: f.Told, Seen: f.Seen, Seconds: f.At.Sub(r.Started).Seconds(), Requests: f.Requests, Times: f.Times})
	}
	switch {
	case len(r.Findings) > 0:
		r.Headers = "contradict"
	case told && len(v.Policies) > 0 && v.Sure:
		r.Headers = "agree"
	case told:
		r.Headers = "unjudged"
	}
	if world.guard.forbade() {
		r.Notes = append(r.Notes, "It refuses with status 403 and limit headers that say that nothing is left: weir run counts that as a refusal with --throttled 403.")
	}
	if scope == nil {
		return r
	}
	r.Scope = scopeReport(r, scope, world.things, "It is")
	switch {
	case behind != nil:
		r.Scope.Sentence = strings.Replace(r.Scope.Sentence, "it is", "the shorter limit is", 1)
		r.Scope.Sentence = strings.Replace(r.Scope.Sentence, "It is", "The shorter limit is", 1)
		r.Scope.Behind = scopeReport(r, behind, world.things, "The longer limit is")
	case v.Family == blackbox.Stacked:
		r.Scope.Notes = append(r.Scope.Notes, "Only the shorter limit was tried; the longer one is taken to be counted alike.")
	}
	return r
}

// scopeReport is what a limit is counted by; lead begins its sentence.
func scopeReport(r *report.Probe, s *keyscope.Scope, things []*varied, lead string) *report.ProbeScope {
	out := &report.ProbeScope{
		Confidence: s.Confidence, Sure: s.Sure, BothWays: s.BothWays, Things: []report.ProbeThing{}, Stopped: s.Stopped,
		Rounds: []report.ProbeRound{}, Requests: s.Requests, Refused: s.Refused,
	}
	key := keyOf(s, things)
	out.Key = key.text
	for i, t := range things {
		thing := report.ProbeThing{Name: t.String(), Values: []string{}, Apart: []string{}}
		for n := range t.values {
			thing.Values = append(thing.Values, t.shown(n))
			if i < len(s.Apart) && n < len(s.Apart[i]) && s.Apart[i][n] {
				thing.Apart = append(thing.Apart, t.shown(n))
			}
		}
		if i < len(s.Counted) && i < len(s.Belief) {
			thing.Counted, thing.Belief = s.Counted[i], s.Belief[i]
		}
		if thing.Counted && len(thing.Apart) < len(thing.Values)-1 {
			out.Notes = append(out.Notes, fmt.Sprintf("Some values of %s are counted together: only %s apart from %s.", t, strings.Join(thing.Apart, ", "), thing.Values[0]))
		}
		out.Things = append(out.Things, thing)
	}
	out.Sentence = scopeSentence(s, things, lead)
	if s.Above != nil {
		out.AboveLimit = s.Above.Limit
		out.Above = fmt.Sprintf("a second limit of about %d, counted %s", s.Above.Limit, countedWords(s.Above.Counted, things, "over all of them together"))
		out.Notes = append(out.Notes, "Above it is "+out.Above+".")
	}
	out.Notes = append(out.Notes, s.Notes...)
	if s.Free > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("As the other client none of %d requests was refused: it has a larger limit, or none.", s.Free))
	}
	if s.Stopped != "" {
		out.Notes = append(out.Notes, "The search for the key was cut short: "+s.Stopped+".")
	}
	if key.lost != "" {
		out.Notes = append(out.Notes, "A policy file cannot say that it is counted by "+key.lost+".")
	}
	for _, round := range s.Rounds {
		one := report.ProbeRound{Why: round.Why, As: asWords(things, round.Exhausted), Admitted: round.Admitted, Refused: round.Refused, Asked: []report.ProbeAsked{}}
		wave := report.ProbeWave{Sent: round.Sent, Done: round.Done, Admitted: round.Admitted, Refused: round.Refused, Why: round.Why, As: "several"}
		for _, a := range round.Asked {
			one.Asked = append(one.Asked, report.ProbeAsked{As: differsIn(things, a.Who, round.Exhausted), Admitted: a.Admitted, Refused: a.Refused})
			wave.Admitted, wave.Refused = wave.Admitted+a.Admitted, wave.Refused+a.Refused
		}
		out.Rounds = append(out.Rounds, one)
		r.AddWave(wave)
	}
	r.Requests, r.Refused, r.Lost = r.Requests+s.Requests, r.Refused+s.Refused, r.Lost+s.Lost
	r.ElapsedSeconds += s.Elapsed.Seconds()
	return out
}

// countedWords says by what something is counted.
func countedWords(counted []bool, things []*varied, none string) string {
	var by []string
	for i, c := range counted {
		if c && i < len(things) {
			by = append(by, things[i].words())
		}
	}
	if len(by) == 0 {
		return none
	}
	return "by " + list(by)
}

func scopeSentence(s *keyscope.Scope, things []*varied, subject string) string {
	var not []string
	for i, c := range s.Counted {
		if !c {
			not = append(not, things[i].words())
		}
	}
	switch {
	case len(s.Rounds) == 0:
		return "What it is counted by could not be tried."
	case s.Many:
		return fmt.Sprintf("There are two limits of this size: one is counted by %s, the other by %s.", things[s.Several[0]].words(), things[s.Several[1]].words())
	}
	lead := subject + " counted "
	if !s.Sure {
		perhaps := "Perhaps"
		if s.Confidence > 0.95 {
			perhaps = "Very likely"
		}
		lead = fmt.Sprintf("%s (%s) %s%s counted ", perhaps, report.PercentWords(s.Confidence), strings.ToLower(subject[:1]), subject[1:])
	}
	text := lead + countedWords(s.Counted, things, "over all clients together")
	if len(not) > 0 {
		verb := " is"
		if len(not) > 1 {
			verb = " are"
		}
		text += ", whatever " + list(not) + verb
	}
	return text + "."
}

// foundKey is what the policies of the file are counted by.
type foundKey struct {
	text string // one key, of things that are all counted
	lost string // in words: what cannot be said
}

func keyOf(s *keyscope.Scope, things []*varied) (k foundKey) {
	var parts, lost []string
	for i, c := range s.Counted {
		if !c || i >= len(things) {
			continue
		}
		if part := things[i].key(); part != "" {
			parts = append(parts, part)
		} else {
			lost = append(lost, things[i].words())
		}
	}
	k.text, k.lost = strings.Join(parts, ` + " " + `), list(lost)
	if len(lost) == 0 {
		k.lost = ""
	}
	return k
}

// writePolicy writes the limit as a policy file.
func (c *probeCmd) writePolicy(r *report.Probe, v *blackbox.Verdict, scope, behind *keyscope.Scope, world *probeWorld) error {
	things := world.things
	answer, tell, lost := world.answers.answer()
	f := &policy.File{}
	found, shut := v.Declared(), v.Shut
	if shut != nil { // what was found has a window that nobody has seen: the headers' is better
		found = []limit.Policy{*shut.Told}
	}
	var match []policy.Match
	for _, path := range probedPaths(r, scope, things) {
		if m, err := policy.ParseMatch(path); err == nil {
			match = append(match, m)
		}
	}
	add := func(name string, p limit.Policy, key string) error {
		k, err := policy.ParseKey(key)
		if err != nil {
			return fmt.Errorf("the key %s: %w", key, err)
		}
		p.Name = name
		one := policy.Policy{Policy: p, Match: match, Key: k, Answer: answer}
		if p.Phase > 0 {
			one.PhaseWithin = v.PhaseOff.Round(100 * time.Microsecond)
		}
		if len(f.Policies) == 0 {
			one.Tell = tell // of several, one tells
		}
		f.Policies = append(f.Policies, one)
		return nil
	}
	head := fmt.Sprintf("# weir probe of %s: %s (%d requests, confidence %s)\n", r.Target, v.Kind(), r.Requests, report.PercentWords(v.Confidence))
	switch {
	case shut != nil:
		head = fmt.Sprintf("# weir probe of %s (%d requests)\n", r.Target, r.Requests)
		head += fmt.Sprintf("# Not seen, only told: its window is what the headers say, that it opens again at %s.\n", shut.Opens.UTC().Round(time.Second).Format("2006-01-02 15:04:05 UTC"))
		head += fmt.Sprintf("# Seen: %d were let through, and none for %v from the first refusal on. Of which kind it is, is not known.\n", shut.Passed, shut.For.Round(time.Second/10))
	case !v.Sure:
		head += "# Undecided: this is the likeliest of what explains the answers.\n"
	}
	key := foundKey{}
	switch {
	case scope == nil:
		head += "# What it is counted by was not asked (--vary): here all requests are counted together.\n"
	case len(scope.Rounds) == 0:
		head += "# What it is counted by could not be tried: here all requests are counted together.\n"
	default:
		key = keyOf(scope, things)
		head += "# " + r.Scope.Sentence + fmt.Sprintf(" (confidence %s)\n", report.PercentWords(scope.Confidence))
		switch {
		case behind != nil:
			head += "# " + r.Scope.Behind.Sentence + fmt.Sprintf(" (confidence %s)\n", report.PercentWords(behind.Confidence))
		case v.Family == blackbox.Stacked:
			head += "# The key of the longer limit was not tried.\n"
		}
	}
	for i, p := range found {
		name := "found"
		if len(found) > 1 {
			name = fmt.Sprintf("found-%d", i+1)
		}
		if scope != nil && scope.Many {
			for n, one := range scope.Several {
				if err := add(fmt.Sprintf("%s-%d", name, n+1), p, things[one].key()); err != nil {
					return err
				}
			}
			continue
		}
		text := key.text
		if i == 1 && behind != nil {
			text = keyOf(behind, things).text
		}
		if err := add(name, p, text); err != nil {
			return err
		}
	}
	if scope != nil && scope.Above != nil && len(found) > 0 {
		p := found[0]
		grow := scope.Above.Limit - p.Capacity()
		switch {
		case p.Burst > 0:
			p.Burst += grow
		default:
			p.Limit += grow
		}
		head += "# The limit above is about that large; its rate and window are taken to be those of the one below.\n"
		above := &keyscope.Scope{Counted: scope.Above.Counted}
		if err := add("found-above", p, keyOf(above, things).text); err != nil {
			return err
		}
	}
	if v.Ban > 0 && shut == nil && found[0].Ban == 0 {
		head += fmt.Sprintf("# Not kept: once it is exceeded, everything is refused for %v, which is shorter than the window.\n", v.Ban)
	}
	switch {
	case shut != nil:
	case v.Anew && v.Family == blackbox.RefillBucket:
		head += "# Not kept: " + map[blackbox.Since]string{
			blackbox.SinceLet:     "each request that is let through begins the time to the next portion anew",
			blackbox.SincePortion: "a request that finds a portion come begins the time to the next anew",
			blackbox.SinceRest:    "a request that finds it full begins the time to the next portion anew",
		}[v.Since] + "; in the file it is of the clock.\n"
	case v.Anew && (v.Ban > 0 || v.Family == blackbox.FixedFirst):
	case v.Anew:
		head += "# Not kept: its windows begin with a request, after a rest anew; those of the file are of the clock.\n"
	}
	if v.Tick > 0 && shut == nil {
		head += fmt.Sprintf("# Not kept: its clock goes in steps of %v, so that it opens up to as much earlier than the file says.\n", v.Tick)
	}
	switch v.Also {
	case blackbox.InLonger:
		head += "# Not kept: what one of the two limits refuses counts in the other.\n"
	case blackbox.InFirst:
		f.Chain = true
	}
	if v.Replicas > 0 {
		head += fmt.Sprintf("# Each of about %d replicas keeps this limit; the total is that many times as large.\n", v.Replicas)
	}
	if lost != "" {
		head += "# Not kept: " + lost + ".\n"
	}
	if key.lost != "" {
		head += "# Not kept: it is counted by " + key.lost + ".\n"
	}
	b, err := policy.Marshal(f)
	if err == nil {
		err = writeFile(c.Out, func(w io.Writer) error {
			_, err := io.WriteString(w, head+string(b))
			return err
		})
	}
	if err != nil {
		return cannotRun("", "--out: %v", err)
	}
	return nil
}

// probedPaths are the requests that the file is for: those that were asked.
func probedPaths(r *report.Probe, scope *keyscope.Scope, things []*varied) (out []string) {
	method, address, _ := strings.Cut(r.Target, " ")
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	paths := []string{u.EscapedPath()}
	for _, t := range things {
		if t.kind == "path" && scope != nil {
			paths = paths[:0]
			for _, p := range t.values {
				p, _, _ = strings.Cut(p, "?")
				paths = append(paths, p)
			}
		}
	}
	for _, p := range paths {
		if p == "" {
			p = "/"
		}
		if one := method + " " + p; !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	return out
}
