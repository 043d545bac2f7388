package probe

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/track"
	"github.com/weir-dev/weir/limit"
)

// The codes of findings about headers. They do not change their meaning.
const (
	CodeToldLimit     = "P001"
	CodeToldRemaining = "P002"
	CodeToldReset     = "P003"
	CodeRetryEarly    = "P004"
	CodeRetryLate     = "P005"
)

// Finding is a header that contradicts what was seen.
type Finding struct {
	Code     string
	Name     string
	Text     string // what the code means
	Told     string // the first time
	Seen     string
	At       time.Time // when that answer was in
	Times    int       // answers of this kind
	Requests int       // sent before it
}

func findingOf(code string) Finding {
	f := Finding{Code: code}
	switch code {
	case CodeToldLimit:
		f.Name, f.Text = "header-limit", "a header tells another limit than the one that was met"
	case CodeToldRemaining:
		f.Name, f.Text = "header-remaining", "a header tells a remaining number that cannot be"
	case CodeToldReset:
		f.Name, f.Text = "header-reset", "a header tells a reset at which nothing has changed"
	case CodeRetryEarly:
		f.Name, f.Text = "retry-after-early", "a client that waits as it is told is refused again"
	case CodeRetryLate:
		f.Name, f.Text = "retry-after-late", "the wait that is told is longer than needed, by more than its rounding"
	}
	return f
}

// CheckHeaders compares what headers said with the limit that was found and with
// what came after. Without a limit that is fairly sure, only what contradicts
// itself is found. Empty when no headers were sent, or all of them agree.
func CheckHeaders(v *Verdict, seen []Record) []Finding {
	c := &headerCheck{v: v, checked: map[string]int{}, plain: map[string]bool{}}
	for _, r := range seen {
		for i := range r.Answers {
			c.told = c.told || r.Answers[i].Told != nil
		}
	}
	if !c.told || len(seen) == 0 {
		return nil
	}
	c.build(seen[0].Answers[0].Sent, time.Time{})
	for _, r := range seen {
		if r.As == "" && len(r.Answers) > 0 {
			c.wave(r.Answers)
		}
	}
	// A limit that is a little different from the one found disagrees now and then; a
	// header that is wrong disagrees often.
	return slices.DeleteFunc(c.found, func(f Finding) bool {
		return !c.plain[f.Code] && (f.Times < 2 || f.Times*6 < c.checked[f.Code])
	})
}

// headerCheck is one run of CheckHeaders.
type headerCheck struct {
	v     *Verdict
	told  bool
	track *track.Track // nil: the limit is not sure enough to judge by
	slack time.Duration
	hints Hints
	sent  int
	found []Finding

	checked map[string]int  // answers that were looked at, by code
	plain   map[string]bool // codes that need no limit to be seen
}

// follows tells whether the limit can be followed from outside.
func follows(f *Found) bool {
	switch f.Family {
	case None, Concurrency, Replicas, LeakyQueue:
		return false
	case Ban:
		return f.Shut == nil && f.Declared()[0].Ban > 0
	case RefillBucket:
		return !f.Anew // each request begins the time to the next portion, which a policy cannot say
	}
	return len(f.Policies) > 0
}

// build begins to follow the limit: from rest, or at an instant of which nothing is known.
func (c *headerCheck) build(origin, unrested time.Time) {
	if c.v.Confidence < 0.9 || c.v.Foreign > 2 || !follows(&c.v.Found) || !c.v.Sure && (c.v.WindowOff > 0.02 || c.v.LimitLow != c.v.LimitHigh) {
		return
	}
	var states []track.State
	skew := 60 * time.Millisecond
	for _, p := range c.v.Declared() {
		p.Name = ""
		states = append(states, track.State{Policy: p, Unrested: unrested})
		skew = max(skew, min(p.Window/20, time.Second))
		// Subtle: a clock of whole ticks opens up to one earlier than the policy says.
		c.slack = max(c.slack, c.v.Tick+time.Duration(float64(max(p.Window, p.Ban))*(c.v.WindowOff+0.002)))
	}
	t, err := track.New(states, track.Options{Origin: origin.Add(-time.Hour), Skew: skew})
	if err == nil {
		c.track = t
	}
}

// note adds a finding, or counts one more of its kind.
func (c *headerCheck) note(code string, a *Answer, told, seen string) {
	for i := range c.found {
		if c.found[i].Code == code {
			c.found[i].Times++
			return
		}
	}
	f := findingOf(code)
	f.Told, f.Seen, f.At, f.Times, f.Requests = told, seen, a.Done, 1, c.sent
	c.found = append(c.found, f)
}

// wave takes one wave in, and looks at what its answers say.
func (c *headerCheck) wave(answers []Answer) {
	before := c.hints.Wrong()
	c.hints.See(answers)
	if now := c.hints.Wrong(); now != before {
		code, told := c.hints.contradiction()
		c.plain[code] = true
		c.note(code, &answers[len(answers)-1], told, now)
	}
	c.sent += len(answers)
	if c.track == nil {
		return
	}
	w := track.Wave{}
	for i := range c.v.Policies {
		w.Asks = append(w.Asks, track.Ask{State: i, Cost: 1})
	}
	known := true
	for _, a := range answers {
		known = known && (a.Outcome == Admitted || a.Outcome == Refused)
		w.Requests = append(w.Requests, track.Request{Sent: a.Sent, Done: a.Done, Allowed: a.Outcome == Admitted})
	}
	if !known || c.track.See(w) != track.Consistent || c.track.Lost() != "" {
		// Somebody else, a lost answer, or a limit that is a little different: begin anew.
		c.track = nil
		c.build(answers[0].Sent, answers[len(answers)-1].Done)
		return
	}
	for i := range answers {
		if answers[i].Told != nil {
			c.limits(&answers[i], len(answers) == 1)
		}
	}
	if a := &answers[0]; len(answers) == 1 && a.Told != nil && a.Outcome == Refused && a.Told.RetryAfterSet {
		c.wait(a, w.Asks)
	}
}

// limits checks the limits that one answer tells. Of several requests that went
// together nobody knows which was counted first, so that only the limit itself
// can be judged.
func (c *headerCheck) limits(a *Answer, alone bool) {
	for _, l := range a.Told.Limits {
		if l.Unit != "" && l.Unit != "requests" {
			continue
		}
		code, told, seen := "", "", ""
		c.checked[CodeToldLimit]++
		if alone && l.Remaining != header.Unknown {
			c.checked[CodeToldRemaining]++
		}
		if alone && l.ResetAfter != header.Unknown {
			c.checked[CodeToldReset]++
		}
		for i, p := range c.v.Declared() {
			capacity := p.Capacity()
			near := l.Quota == header.Unknown || l.Quota == p.Limit || l.Quota == capacity || l.Quota >= c.v.LimitLow && l.Quota <= c.v.LimitHigh ||
				p.Algorithm == limit.TokenBucket && l.Quota+1 == capacity ||
				!c.v.Sure && 10*max(l.Quota-capacity, capacity-l.Quota) <= max(capacity, 20) // what was found may be a little off
			if !near {
				if code == "" {
					code, told, seen = CodeToldLimit, fmt.Sprintf("a limit of %d", l.Quota), fmt.Sprintf("%d", capacity)
				}
				continue
			}
			if !alone {
				code = ""
				break
			}
			least, most := c.track.Remaining(i, 0, a.Sent, a.Done)
			if l.Remaining != header.Unknown && (l.Remaining < least-1 || l.Remaining > most+1) {
				code, told, seen = CodeToldRemaining, fmt.Sprintf("%d remaining", l.Remaining), between(least, most)+" remaining"
				continue
			}
			if l.ResetAfter != header.Unknown && l.ResetAfter < 24*time.Hour && p.Algorithm != limit.SlidingWindow {
				_, then := c.track.Remaining(i, 0, a.Sent.Add(l.ResetAfter), a.Done.Add(l.ResetAfter+time.Second+c.slack))
				if then < min(capacity, most+1) && then < max(1, l.Remaining+1) {
					code, told, seen = CodeToldReset, "a reset in "+l.ResetAfter.String(), "nothing more is admitted then"
					continue
				}
				if p.Algorithm == limit.FixedWindow && l.ResetAfter > max(p.Window, p.Ban)+2*time.Second+c.slack {
					code, told, seen = CodeToldReset, "a reset in "+l.ResetAfter.String(), "windows of "+p.Window.String()
					continue
				}
			}
			code = ""
			break
		}
		if code != "" {
			c.note(code, a, told, seen)
		}
	}
}

// wait checks the wait that a refused client is told.
func (c *headerCheck) wait(a *Answer, asks []track.Ask) {
	d := a.Told.RetryAfter
	c.checked[CodeRetryEarly]++
	c.checked[CodeRetryLate]++
	if d > 24*time.Hour {
		c.note(CodeRetryLate, a, "wait "+d.String(), "it opens sooner")
		return
	}
	// A client asks again when it has waited since it had the answer.
	if can, _ := c.track.Expect(asks, a.Done.Add(d+time.Millisecond), a.Done.Add(d+c.slack+20*time.Millisecond)); !can {
		c.note(CodeRetryEarly, a, "wait "+d.String(), "refused still after that")
		return
	}
	early := d - time.Second - c.slack - 20*time.Millisecond
	if early <= 0 || !a.Sent.Add(early).After(a.Done) {
		return
	}
	if _, cannot := c.track.Expect(asks, a.Sent.Add(early), a.Done.Add(early)); !cannot {
		c.note(CodeRetryLate, a, "wait "+d.String(), "admitted more than a second earlier")
	}
}

func between(lo, hi int64) string {
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%d to %d", lo, hi)
}
