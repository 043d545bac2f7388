package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/limit"
)

// Explanation is what a policy means for a client, in plain words. Its figures
// come from running the limit model, not from formulas beside it.
type Explanation struct {
	Title    string      `json:"title"`
	Mode     string      `json:"mode,omitempty"` // of a descriptor that does not limit: then Figures and Limit say nothing
	Facts    []Fact      `json:"facts"`
	Timeline *Timeline   `json:"timeline,omitempty"` // nil where time alone does not decide
	Figures  Figures     `json:"figures"`
	Limit    limitFields `json:"limit"`
}

// Fact is one answer to a question that a client may have.
type Fact struct {
	About string `json:"about"` // the question in two or three words
	Text  string `json:"text"`
}

// Figures are those of the facts that programs may want, in units of the policy.
type Figures struct {
	AtOnce     int64   `json:"at_once"`     // from rest
	InAWindow  int64   `json:"in_a_window"` // the most that passes in any span as long as the window
	RetryAfter float64 `json:"retry_after"` // seconds that one unit must wait after a burst at the worst instant; -1 where time does not tell
}

type limitFields struct {
	Algorithm string `json:"algorithm"`
	Limit     int64  `json:"limit"`
	Per       string `json:"per,omitempty"`
}

// Explain returns what each policy of a valid file means.
func Explain(f *File) []Explanation {
	out := make([]Explanation, len(f.Policies))
	for i := range f.Policies {
		out[i] = explain(f, i)
	}
	return out
}

func explain(f *File, i int) Explanation {
	p := &f.Policies[i]
	e := Explanation{
		Title: printable(p.Name),
		Limit: limitFields{Algorithm: p.Algorithm.String(), Limit: p.Limit, Per: per(&p.Policy)},
	}
	if e.Title == "" {
		e.Title = fmt.Sprintf("policies[%d]", i)
	}
	add := func(about, text string) {
		if text != "" {
			e.Facts = append(e.Facts, Fact{about, printable(text)})
		}
	}
	add("is for", p.covers())
	if p.Descriptor != nil && p.Descriptor.Mode != DescriptorLimit {
		e.Mode = string(p.Descriptor.Mode)
		add("limits", map[DescriptorMode]string{
			DescriptorUnlimited: "nothing: any number passes", DescriptorRefuse: "everything is refused", DescriptorExempt: "nothing: it keeps its requests from limits that are less exact",
		}[p.Descriptor.Mode])
		return e
	}
	add("counts together", p.counted(f))
	e.Figures = measure(p)
	add("at once", p.atOnce(e.Figures))
	add("pace", p.pace())
	add("windows", p.windows())
	add("worst case", p.worst(e.Figures))
	add("ban", p.banned())
	add("come back", p.comeBack(e.Figures))
	add("refused ones", p.denied())
	add("refused get", p.refusal())
	add("told", p.toldIn())
	if p.WarnAt > 0 {
		add("warns", fmt.Sprintf("from %s in use on: %s of %d", share(p.WarnAt), units(warned(p), p), p.Capacity()))
	}
	add("exceptions", p.exceptions())
	if p.Shadow {
		add("shadow", "decides and records only: every request passes, whatever is said above")
	}
	add("store", p.store())
	e.Timeline = timeline(p)
	return e
}

// printable is text that a terminal shows and does not obey.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, s)
}

// covers says which requests a policy is for.
func (p *Policy) covers() string {
	if d := p.Descriptor; d != nil {
		var parts []string
		for _, e := range d.Entries {
			value := e.Value
			switch {
			case e.Wildcard:
				value = "starting with " + strconv.Quote(e.Value)
			case value == "":
				value = "any value"
			default:
				value = strconv.Quote(value)
			}
			parts = append(parts, e.Key+" "+value)
		}
		return fmt.Sprintf("Envoy's requests of the domain %s with %s", d.Domain, strings.Join(parts, ", then "))
	}
	var parts []string
	for _, m := range p.Match {
		parts = append(parts, m.String())
	}
	out := strings.Join(parts, " or ")
	if out == "" {
		out = "every request"
	}
	for _, part := range p.Scope.parts() {
		out += " of " + part
	}
	if p.When != nil {
		out += ", when " + oneLine(p.When.Source())
	}
	return out
}

// counted says which requests share a count, and how much each counts.
func (p *Policy) counted(f *File) string {
	out := "all of these requests: one count for all clients"
	switch p.Key.Kind {
	case Global:
		if p.Descriptor != nil {
			out = "all of these requests: one count"
			if each := p.Descriptor.together(); each != "all together" {
				out = "requests with the same " + strings.TrimPrefix(each, "each ")
			}
		}
	case IP:
		out = "requests from the same address"
	case Path:
		out = "requests to the same path"
	case Expression:
		out = "requests with the same " + oneLine(p.Key.String())
	default:
		out = "requests with the same " + oneLine(p.Key.String()) + "; those without it are one group"
	}
	if p.Counter != "" {
		var others []string
		for i := range f.Policies {
			if o := &f.Policies[i]; o.Counter == p.Counter && o.Name != p.Name {
				others = append(others, o.Name)
			}
		}
		out += ", in the counter " + p.Counter
		if len(others) > 0 {
			out += ", together with " + strings.Join(others, " and ")
		}
	}
	switch {
	case p.Cost.Expr != nil:
		out += "; a request takes " + oneLine(p.Cost.String()) + " units"
	case p.Cost.Fixed > 1:
		out += fmt.Sprintf("; a request takes %d units", p.Cost.Fixed)
	}
	if p.CountIf != nil {
		out += "; counted only if " + oneLine(p.CountIf.Source())
	}
	if p.Late() {
		out += " (known after the answer: requests under way at the same time may pass together)"
	}
	return out
}

func (p *Policy) atOnce(f Figures) string {
	switch p.Algorithm {
	case limit.Concurrency:
		return fmt.Sprintf("%s under way at a time", units(f.AtOnce, p))
	case limit.LeakyBucket:
		text := fmt.Sprintf("%s from rest", units(f.AtOnce, p))
		if f.AtOnce > 1 && p.Undelayed < f.AtOnce-1 {
			text += ", of which all after the first "
			if p.Undelayed > 0 {
				text += fmt.Sprintf("%d ", p.Undelayed+1)
			}
			text += "are held back, so that they leave evenly"
		}
		return text
	}
	return fmt.Sprintf("%s from rest", units(f.AtOnce, p))
}

func (p *Policy) pace() string {
	rate := fmt.Sprintf("%s %s over a long time", units(p.Limit, p), per(&p.Policy))
	every := about(time.Duration(float64(p.Window) / float64(p.Limit)))
	switch p.Algorithm {
	case limit.Concurrency:
		return "no pace: only how many are under way counts"
	case limit.TokenBucket, limit.LeakyBucket:
		if p.Limit == 1 {
			return rate
		}
		return rate + ", evenly: one each " + every
	case limit.SlidingLog, limit.SlidingWindow:
		return rate
	}
	if p.Align == limit.AlignLast {
		return fmt.Sprintf("%s, then none before a pause of %s", units(p.Limit, p), about(p.Window))
	}
	if p.Algorithm == limit.RefillBucket && p.Capacity() < p.Limit {
		rate = fmt.Sprintf("%s %s over a long time, as more than the bucket holds is lost", units(p.Capacity(), p), per(&p.Policy))
	}
	return rate + ", all free at the start of a window"
}

// windows says when the windows of a policy begin, "" when it has none.
func (p *Policy) windows() string {
	switch p.Algorithm {
	case limit.FixedWindow, limit.RefillBucket, limit.Quota:
	default:
		return ""
	}
	switch {
	case p.Period != limit.NoPeriod:
		where := "UTC"
		if p.Location != nil {
			where = p.Location.String()
		}
		return "begin with each " + p.Period.String() + " of the calendar, " + where
	case p.Align == limit.AlignFirst:
		return "begin with the first counted request after the last has ended, for each count by itself"
	case p.Align == limit.AlignLast:
		return "begin anew with each counted request, for each count by itself: one ends after " + about(p.Window) + " without any"
	case p.Algorithm == limit.Quota && !p.Start.IsZero():
		return "begin each " + lasting(p.Window) + ", one of them at " + p.Start.UTC().Format(time.RFC3339)
	case p.Algorithm == limit.Quota:
		return "begin each " + lasting(p.Window) + ", counted from when the service began"
	case p.Phase != 0:
		return "begin " + about(p.Phase) + " after each full " + lasting(p.Window) + " of the clock"
	}
	return "begin with each full " + lasting(p.Window) + " of the clock"
}

// lasting names a duration: minute, or 90s.
func lasting(d time.Duration) string {
	switch d {
	case time.Second:
		return "second"
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	case 24 * time.Hour:
		return "day"
	}
	return about(d)
}

func (p *Policy) worst(f Figures) string {
	if p.Algorithm == limit.Concurrency {
		return ""
	}
	span := lasting(p.Window)
	if p.Period != limit.NoPeriod {
		span = p.Period.String()
	}
	if unicode.IsLetter(rune(span[0])) {
		span = "one " + span // and not one 90s
	}
	text := fmt.Sprintf("up to %s in a span of %s", units(f.InAWindow, p), span)
	switch p.Algorithm {
	case limit.FixedWindow, limit.Quota:
		if p.Align == limit.AlignLast {
			return text + ": the limit holds for any such span"
		}
		text += ": the end of one window and the start of the next together"
	case limit.TokenBucket:
		text += ": a full bucket, and what comes back meanwhile"
	case limit.RefillBucket:
		text += ": a full bucket just before a refill, and the refill"
	case limit.LeakyBucket:
		text += ": a full queue, and the places that become free meanwhile"
	case limit.SlidingLog:
		text += ": the limit holds for any such span"
	case limit.SlidingWindow:
		text += ": the end of one window, and what becomes free while it fades"
	}
	return text
}

// banned says what a ban does, "" where there is none.
func (p *Policy) banned() string {
	switch {
	case p.Ban == 0:
		return ""
	case p.CountDenied:
		return "a refused request begins " + about(p.Ban) + " in which everything is refused, and each that is refused then begins it anew; after it the count is as new"
	}
	return "a refused request begins " + about(p.Ban) + " in which everything is refused; after it the count is as new"
}

func (p *Policy) comeBack(f Figures) string {
	switch {
	case p.Ban != 0 && p.CountDenied:
		return fmt.Sprintf("%s after the last refused request", about(p.Ban))
	case p.Ban != 0:
		return fmt.Sprintf("%s after the first refused request", about(p.Ban))
	case p.Align == limit.AlignLast:
		return fmt.Sprintf("%s after the last counted request", about(p.Window))
	}
	switch p.Algorithm {
	case limit.Concurrency:
		return "as soon as a request under way has ended; no time can be told"
	case limit.TokenBucket:
		return fmt.Sprintf("after %s for one unit", seconds(f.RetryAfter))
	case limit.LeakyBucket:
		return fmt.Sprintf("when the queue has a place: one each %s", seconds(f.RetryAfter))
	case limit.SlidingLog:
		return fmt.Sprintf("when the oldest counted request is %s old: at worst after %s", about(p.Window), seconds(f.RetryAfter))
	case limit.SlidingWindow:
		return fmt.Sprintf("little by little, as the count of the last window fades: at worst after %s", seconds(f.RetryAfter))
	}
	return fmt.Sprintf("when the next window begins: at worst after %s", seconds(f.RetryAfter))
}

// denied says what refused requests do to the count. What it means for a client
// that goes on is seen by running both.
func (p *Policy) denied() string {
	if p.Ban != 0 {
		if p.CountDenied {
			return "begin the ban, and begin it anew: who keeps asking is never let in again"
		}
		return "begin the ban; while it lasts asking again costs nothing"
	}
	if !p.CountDenied {
		return "do not count: asking again costs nothing"
	}
	mild := *p
	mild.CountDenied = false
	counts, spares := timeline(p), timeline(&mild)
	if counts == nil || spares == nil {
		return "count too"
	}
	switch with, without := counts.last(), spares.last(); {
	case with == 0 && without > 0:
		return "count too: who keeps asking at twice the limit is never let in again"
	case with < without:
		return "count too: who keeps asking makes it worse"
	}
	return "count too: a window that is full stays full, and ends when it would"
}

func (p *Policy) refusal() string {
	a, ok := p.Answer.Spelled()
	if !ok || p.Descriptor != nil {
		return ""
	}
	text := "status " + strconv.Itoa(a.Status)
	if a.Body != "" {
		text += " with " + oneLine(a.Body)
	}
	return text
}

// toldIn says in which header fields a client finds its figures. The names are
// those that are really written for this policy.
func (p *Policy) toldIn() string {
	if p.Descriptor != nil {
		return ""
	}
	lim, err := p.New(time.Time{})
	if err != nil {
		return ""
	}
	write := func(d header.Dialect, refused bool) (names []string) {
		decision := lim.Take(time.Unix(1<<30, 0), 0)
		if refused {
			decision.Allowed, decision.RetryAfter = false, time.Second
		}
		r := header.FromDecision(p.Policy, decision)
		if d != "" && header.Write(d, r, time.Unix(1<<30, 0), func(name, _ string) { names = append(names, name) }) != nil {
			return []string{string(d) + " (as far as it can express this limit)"}
		}
		return names
	}
	t := p.Tell
	always := write(t.Dialect, false)
	for _, own := range []string{t.Limit, t.Remaining, t.Reset} {
		if own != "" {
			always = append(always, own)
		}
	}
	a, _ := p.Answer.Spelled()
	var refused []string
	for _, name := range append(write(t.Dialect, true), write(a.Dialect, true)...) {
		if !slices.Contains(always, name) && !slices.Contains(refused, name) && (name != "Retry-After" || t.RetryAfter == "") {
			refused = append(refused, name)
		}
	}
	if t.RetryAfter != "" {
		refused = append(refused, t.RetryAfter)
	}
	text := "nothing in answers to allowed requests"
	if len(always) > 0 {
		text = "every answer has " + strings.Join(always, ", ")
	}
	if len(refused) > 0 {
		text += "; a refusal has " + strings.Join(refused, ", ")
	} else if len(always) == 0 {
		text = "nothing: no header field has figures"
	}
	return text
}

func (p *Policy) exceptions() string {
	var parts []string
	keys := slices.Sorted(maps.Keys(p.Overrides))
	for i, key := range keys {
		if i == 5 {
			parts = append(parts, fmt.Sprintf("and %d more", len(keys)-5))
			break
		}
		o := p.Overrides[key]
		if o.Unlimited {
			parts = append(parts, strconv.Quote(key)+" has no limit")
			continue
		}
		l := p.With(o)
		text := fmt.Sprintf("%q may have %d %s", key, l.Limit, per(&l))
		if o.Burst != 0 {
			text += fmt.Sprintf(", %d at once", o.Burst)
		}
		parts = append(parts, strings.TrimRight(text, " "))
	}
	return strings.Join(parts, "; ")
}

func (p *Policy) store() string {
	var parts []string
	switch p.OnStoreError {
	case OnStoreOpen:
		parts = append(parts, "while a shared store does not answer, requests pass")
	case OnStoreClosed:
		parts = append(parts, "while a shared store does not answer, requests are refused")
	case OnStoreLocal:
		parts = append(parts, "while a shared store does not answer, each process limits by itself")
	}
	if p.Lease.Size > 0 {
		parts = append(parts, fmt.Sprintf("each process may take %d units in advance for %s, so that with N processes up to N·%d more may pass for a moment", p.Lease.Size, about(p.Lease.For), p.Lease.Size-1))
	}
	return strings.Join(parts, "; ")
}

// Together says how the policies of a file go together, "" for a single one.
func Together(f *File) string {
	requests := 0
	for i := range f.Policies {
		if f.Policies[i].Descriptor == nil {
			requests++
		}
	}
	switch {
	case requests < 2:
		return ""
	case f.Chain:
		return "policies are asked in the order of the file; the first refusal ends it, and those before it have counted the request"
	}
	return "a request must be allowed by every policy that is for it; when one refuses, none counts it (but those whose refused requests count)"
}
