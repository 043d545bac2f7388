// Package header reads and writes how services tell their limits: a Reading is
// what the fields of one answer say about limits, whichever of the many forms
// the service uses, and which of it cannot be true.
//
// Parse never fails: what it cannot understand, and what contradicts itself,
// becomes a line in Reading.Problems. Write is the way back, in the dialect asked for.
package header

import (
	"fmt"
	"iter"
	"sort"
	"strings"
	"time"
)

// Unknown stands in Limit.Quota, Limit.Remaining and Limit.ResetAfter for "the
// service did not say". Zero is a number like any other there.
const Unknown = -1

// Limit is one limit as a service tells it. The zero value says that nothing is
// allowed, nothing left and that it resets now; start from NoLimit instead.
type Limit struct {
	Dialect    Dialect
	Name       string        // as the service names it: a policy, "requests", "minute"; "" when it has no name
	Quota      int64         // units allowed in a window, Unknown when not told
	Remaining  int64         // units left, Unknown when not told
	Window     time.Duration // 0 when not told
	ResetAfter time.Duration // until the quota is whole again, from the instant of the answer; Unknown when not told
	Refill     int64         // units added every Window where that is not the quota; 0 when not told
	Unit       string        // what is counted, "" for requests
	Key        string        // the partition or bucket that the answer was counted in, as bytes; "" when not told
}

// NoLimit returns a limit of which nothing is known.
func NoLimit() Limit {
	return Limit{Quota: Unknown, Remaining: Unknown, ResetAfter: Unknown}
}

// String says the limit in words: `"minute": 9 of 10 left, resets in 5s`.
func (l Limit) String() string {
	var b strings.Builder
	if l.Name != "" {
		fmt.Fprintf(&b, "%q: ", l.Name)
	}
	if l.Remaining == Unknown {
		b.WriteString("? of ")
	} else {
		fmt.Fprintf(&b, "%d of ", l.Remaining)
	}
	if l.Quota == Unknown {
		b.WriteString("? left")
	} else {
		fmt.Fprintf(&b, "%d left", l.Quota)
	}
	if l.Window > 0 {
		fmt.Fprintf(&b, " per %v", l.Window)
	}
	if l.Refill > 0 {
		fmt.Fprintf(&b, ", %d added each", l.Refill)
	}
	if l.ResetAfter != Unknown {
		fmt.Fprintf(&b, ", resets in %v", l.ResetAfter)
	}
	if l.Unit != "" {
		fmt.Fprintf(&b, ", in %s", l.Unit)
	}
	if l.Key != "" {
		fmt.Fprintf(&b, ", key %q", l.Key)
	}
	return b.String()
}

// Reading is everything that one answer says about limits. The zero value says nothing.
type Reading struct {
	Dialect       Dialect // the form of the first limit; RetryAfterOnly when there is only that field; "" when there is nothing
	Limits        []Limit
	RetryAfter    time.Duration // how long to wait before the next request; never negative
	RetryAfterSet bool          // there was such a field and it could be read
	Problems      []string      // what is wrong with the fields, one line each
	Skew          time.Duration // the service's clock minus ours, by its Date field; 0 when within 2 s or not told
}

// Empty tells whether the answer said nothing about limits that could be read.
func (r Reading) Empty() bool { return len(r.Limits) == 0 && !r.RetryAfterSet }

// Tightest returns the limit that is nearest to its end: the smallest share
// left, and of those with an equal share the one that resets last. Limits that
// do not tell what is left are passed over.
func (r Reading) Tightest() (Limit, bool) {
	best, found := Limit{}, false
	for _, l := range r.Limits {
		if l.Remaining == Unknown {
			continue
		}
		if !found {
			best, found = l, true
			continue
		}
		a, b := share(l), share(best)
		if a < b || a == b && l.ResetAfter > best.ResetAfter {
			best = l
		}
	}
	return best, found
}

// share is the part of the quota that is left, 1 when the quota is not told and
// something is left.
func share(l Limit) float64 {
	if l.Remaining <= 0 {
		return 0
	}
	if l.Quota <= 0 {
		return 1
	}
	return float64(l.Remaining) / float64(l.Quota)
}

// Wait says how long a client that obeys must hold back: Retry-After where it
// is set, else the longest reset among the limits with nothing left. ok is
// false when nothing asks to wait.
func (r Reading) Wait() (d time.Duration, ok bool) {
	if r.RetryAfterSet {
		return r.RetryAfter, true
	}
	for _, l := range r.Limits {
		if l.Remaining == 0 && l.ResetAfter != Unknown && (!ok || l.ResetAfter > d) {
			d, ok = l.ResetAfter, true
		}
	}
	return d, ok
}

// Source is a block of header fields. hit.Fields is one; Map makes one of an
// http.Header.
type Source interface {
	All() iter.Seq2[string, string]
}

// Map is header fields by name, as net/http keeps them. They are read in the
// order of their names.
type Map map[string][]string

// All yields every field, sorted by name.
func (m Map) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		names := make([]string, 0, len(m))
		for name := range m {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			for _, value := range m[name] {
				if !yield(name, value) {
					return
				}
			}
		}
	}
}

// Names tells Parse fields whose names a service's owner chose, as Azure API
// Management's policies let him. Empty ones are not looked for.
type Names struct {
	Limit      string // total-calls-header-name
	Remaining  string // remaining-calls-header-name
	Reset      string
	RetryAfter string // retry-after-header-name
}

// Parse reads the fields of an answer that arrived at now (wall clock). Instants
// in the fields become durations: counted from the answer's own Date where the
// service's clock differs from ours by more than 2 s, else from now.
func Parse(f Source, now time.Time) Reading { return Names{}.Parse(f, now) }

// Bounds on what is read of one answer.
const (
	maxFields   = 64
	maxValue    = 4096
	maxLimits   = 64
	maxProblems = 32
)

// Parse is the function Parse with names added to the well-known ones.
func (n Names) Parse(f Source, now time.Time) Reading {
	p := parser{now: now, ref: now}
	for name, value := range f.All() {
		low := strings.ToLower(name)
		if low == "date" {
			p.date(value)
			continue
		}
		if !n.has(low) && !relevant(low) {
			continue
		}
		if len(p.fields) == maxFields {
			p.problem(name, value, fmt.Sprintf("more than %d fields about limits; the rest is not read", maxFields))
			break
		}
		if len(value) > maxValue {
			p.problem(name, value, fmt.Sprintf("longer than %d bytes; not read", maxValue))
			continue
		}
		p.fields = append(p.fields, field{name: name, low: low, value: strings.TrimSpace(value)})
	}
	if len(p.fields) == 0 {
		return p.r
	}
	p.retryAfter(n.RetryAfter)
	p.custom(n)
	p.drafts()
	p.families()
	p.finish()
	return p.r
}

func (n Names) has(low string) bool {
	for _, name := range [...]string{n.Limit, n.Remaining, n.Reset, n.RetryAfter} {
		if name != "" && strings.EqualFold(name, low) {
			return true
		}
	}
	return false
}

// relevant tells whether a field with this lower-case name may speak of limits.
func relevant(low string) bool {
	return strings.Contains(low, "limit") || strings.Contains(low, "retry-after")
}

// field is one line of the answer.
type field struct {
	name, low, value string
	used             bool
}

// parser is the state of one Parse.
type parser struct {
	now, ref time.Time // ref is where instants are counted from
	fields   []field
	policies []Limit // of the structured RateLimit-Policy, and of quota lists, still to be matched
	r        Reading
}

// problem adds a line about a field.
func (p *parser) problem(name, value, text string) {
	if len(p.r.Problems) >= maxProblems {
		return
	}
	if len(value) > 60 {
		value = strings.ToValidUTF8(value[:60], "") + "…"
	}
	if len(name) > 60 {
		name = strings.ToValidUTF8(name[:60], "") + "…"
	}
	line := fmt.Sprintf("%s %q: %s", strings.ToValidUTF8(name, "?"), value, text)
	for _, have := range p.r.Problems {
		if have == line {
			return
		}
	}
	p.r.Problems = append(p.r.Problems, line)
}

// add appends a limit.
func (p *parser) add(l Limit) {
	if len(p.r.Limits) < maxLimits {
		p.r.Limits = append(p.r.Limits, l)
	}
}

// sameClock is how far two clocks may be apart and still count as one: Date has
// whole seconds and the answer took its time.
const sameClock = 2 * time.Second

// date learns the service's clock.
func (p *parser) date(value string) {
	at, ok := parseHTTPDate(strings.TrimSpace(value), p.now)
	if !ok {
		return // not about limits; whoever checks Date will say so
	}
	if skew := at.Sub(p.now); skew < -sameClock || skew > sameClock {
		p.ref, p.r.Skew = at, skew
	}
}

// finish merges what was said twice, checks the sums and names the dialect.
func (p *parser) finish() {
	p.matchPolicies()
	p.mergeTwins()
	for i := range p.r.Limits {
		l := &p.r.Limits[i]
		if l.Quota != Unknown && l.Remaining > l.Quota {
			p.problem(string(l.Dialect), l.String(), "more is left than the quota allows")
		}
	}
	switch {
	case len(p.r.Limits) > 0:
		p.r.Dialect = p.r.Limits[0].Dialect
	case p.r.RetryAfterSet:
		p.r.Dialect = RetryAfterOnly
	}
}

// mergeTwins makes one of two unnamed limits that different families tell
// alike (a service in transition sends RateLimit-* and X-RateLimit-* together),
// and reports those that differ.
func (p *parser) mergeTwins() {
	kept := p.r.Limits[:0]
	for _, l := range p.r.Limits {
		twin := -1
		for i := range kept {
			if k := kept[i]; k.Name == "" && l.Name == "" && k.Key == l.Key && k.Dialect != l.Dialect {
				twin = i
				break
			}
		}
		if twin < 0 {
			kept = append(kept, l)
			continue
		}
		k := &kept[twin]
		if k.Quota != Unknown && l.Quota != Unknown && k.Quota != l.Quota ||
			k.Remaining != Unknown && l.Remaining != Unknown && k.Remaining != l.Remaining {
			p.problem(string(l.Dialect), l.String(), fmt.Sprintf("the %s fields say otherwise: %s", k.Dialect, k))
			kept = append(kept, l)
			continue
		}
		fill(k, l)
	}
	p.r.Limits = kept
}

// fill copies into k what only l tells.
func fill(k *Limit, l Limit) {
	if k.Quota == Unknown {
		k.Quota = l.Quota
	}
	if k.Remaining == Unknown {
		k.Remaining = l.Remaining
	}
	if k.Window == 0 {
		k.Window = l.Window
	}
	if k.ResetAfter == Unknown {
		k.ResetAfter = l.ResetAfter
	}
	if k.Refill == 0 {
		k.Refill = l.Refill
	}
	if k.Unit == "" {
		k.Unit = l.Unit
	}
	if k.Key == "" {
		k.Key = l.Key
	}
}
