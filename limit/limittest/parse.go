package limittest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/limit"
)

// ParseError says where a script is wrong, and what to do.
type ParseError struct {
	Name   string // of the script
	Line   int    // from 1
	Column int    // of the first byte of the faulty word, from 1
	Reason string
}

// Error returns "name:line:column: reason".
func (e *ParseError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Name, e.Line, e.Column, e.Reason)
}

// maxRequests bounds the requests of a script, repeats counted.
const maxRequests = 1_000_000

// standardStart is the start of a script that names none.
var standardStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Parse reads a script. name is for messages. The error is a *ParseError.
func Parse(name, text string) (*Script, error) {
	p := parser{script: &Script{Name: name, Setup: Setup{Start: standardStart}}, keys: map[string]bool{}}
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		p.number++
		p.text, p.pos = strings.TrimSuffix(line, "\r"), 0
		if err := p.line(); err != nil {
			return nil, err
		}
	}
	if p.requests == 0 {
		p.number = max(1, p.number)
		p.at = 0
		return nil, p.fail("the script compares nothing: no line takes; write for example: at 0s take 1 allow")
	}
	if len(p.keys) > 1 {
		p.script.Setup.Uses |= UsesKeys
	}
	return p.script, nil
}

type parser struct {
	script   *Script
	number   int
	text     string // the line
	pos      int    // of the rest of it
	word     string // the current one, empty at the end
	at       int    // where it begins
	latest   time.Time
	requests int
	keys     map[string]bool
}

func (p *parser) fail(format string, args ...any) error {
	return &ParseError{Name: p.script.Name, Line: p.number, Column: p.at + 1, Reason: fmt.Sprintf(format, args...)}
}

// next moves to the next word, and reports whether there is one.
func (p *parser) next() bool {
	rest := strings.TrimLeft(p.text[p.pos:], " \t")
	p.at = len(p.text) - len(rest)
	p.word = rest
	if n := strings.IndexAny(rest, " \t"); n >= 0 {
		p.word = rest[:n]
	}
	if strings.HasPrefix(p.word, "#") {
		p.word = ""
	}
	p.pos = p.at + len(p.word)
	return p.word != ""
}

// need moves to the word that must come after the current one.
func (p *parser) need(what string) error {
	after := p.word
	if !p.next() {
		return p.fail("%q needs %s after it", after, what)
	}
	return nil
}

func (p *parser) end() error {
	if p.next() {
		return p.fail("%q is too much on this line", p.word)
	}
	return nil
}

func (p *parser) line() error {
	if !p.next() {
		return nil
	}
	switch p.word {
	case "at", "back":
		return p.take()
	case "start", "chain", "policy":
		if len(p.script.Lines) > 0 {
			return p.fail("%q belongs before the first request", p.word)
		}
	default:
		return p.fail("unknown word %q; a line begins with start, chain, policy, at or back", p.word)
	}
	switch p.word {
	case "start":
		if len(p.script.Setup.Rules) > 0 {
			return p.fail("the start belongs before the first policy")
		}
		if err := p.need("a time"); err != nil {
			return err
		}
		at, err := time.Parse(time.RFC3339Nano, p.word)
		if err != nil {
			return p.fail("%q is not a time; write for example 2026-03-29T00:00:00Z", p.word)
		}
		p.script.Setup.Start = at
		p.script.Setup.Uses |= UsesStart
		return p.end()
	case "chain":
		p.script.Setup.Chain = true
		return p.end()
	}
	return p.policy()
}

func (p *parser) policy() (err error) {
	var rule Rule
	for {
		before := p.pos
		if !p.next() {
			return p.fail("a policy is missing; write for example 10/1s burst 3 token-bucket")
		}
		switch p.word {
		case "for":
			if err := p.need("a route"); err != nil {
				return err
			}
			rule.Route = p.word
			p.script.Setup.Uses |= UsesRoutes
			continue
		case "counter":
			if err := p.need("a name"); err != nil {
				return err
			}
			rule.Counter = p.word
			p.script.Setup.Uses |= UsesCounter
			continue
		}
		p.pos = before
		break
	}
	text := p.text[p.pos:]
	begin := p.pos
	p.at = begin + len(text) - len(strings.TrimLeft(text, " \t"))
	rule.Policy, err = limit.ParsePolicy(text[:comment(text)])
	var syntax *limit.SyntaxError
	if errors.As(err, &syntax) {
		p.at = begin + syntax.Column - 1
		return p.fail("%s", syntax.Reason)
	}
	if err != nil {
		return p.fail("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if rule.Counter != "" {
		policies := []limit.Policy{rule.Policy}
		for _, other := range p.script.Setup.Rules {
			if other.Counter == rule.Counter {
				policies = slices.Insert(policies, len(policies)-1, other.Policy)
			}
		}
		if _, err := limit.NewCounter(p.script.Setup.Start, policies...); err != nil {
			return p.fail("counter %s: %v", rule.Counter, err)
		}
	}
	p.script.Setup.Rules = append(p.script.Setup.Rules, rule)
	return nil
}

// comment returns where the comment of a policy begins: at a # that begins a
// word and is not part of a quoted name.
func comment(text string) int {
	quoted, escaped := false, false
	for i := range len(text) {
		switch c := text[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == '#' && !quoted && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t'):
			return i
		}
	}
	return len(text)
}

// take reads at TIME [for ROUTE] [key KEY] [xN [every STEP]] take|release COST ...
func (p *parser) take() error {
	line := Line{Number: p.number, Text: strings.TrimSpace(p.text), Repeat: 1}
	back := p.word == "back"
	if len(p.script.Setup.Rules) == 0 {
		return p.fail("a request before any policy; write for example: policy 10/1s burst 3 token-bucket")
	}
	if err := p.need("a time"); err != nil {
		return err
	}
	if err := p.time(&line, back); err != nil {
		return err
	}
	for {
		if !p.next() {
			return p.fail("what to do is missing; write for example: take 1 allow")
		}
		switch {
		case p.word == "for":
			if err := p.need("a route"); err != nil {
				return err
			}
			line.Request.Route = p.word
		case p.word == "key":
			if err := p.need("a key"); err != nil {
				return err
			}
			line.Request.Key = p.word
		case p.word == "every":
			if err := p.need("a duration"); err != nil {
				return err
			}
			d, err := time.ParseDuration(p.word)
			if err != nil || d < 0 {
				return p.fail("%q is not a duration of zero or more; write for example 100ms", p.word)
			}
			line.Every = d
		case p.word == "take":
			return p.takes(line)
		case p.word == "release":
			return p.releases(line)
		case strings.HasPrefix(p.word, "x"):
			n, err := strconv.Atoi(p.word[1:])
			if err != nil || n < 1 || n > maxRequests {
				return p.fail("%q is not a repeat; write for example x5, at most x%d", p.word, maxRequests)
			}
			line.Repeat = n
		default:
			return p.fail("unknown word %q; expected for, key, xN, every, take or release", p.word)
		}
	}
}

func (p *parser) time(line *Line, back bool) error {
	at, start := time.Time{}, p.script.Setup.Start
	if d, err := time.ParseDuration(p.word); err == nil {
		at = start.Add(d)
	} else if at, err = time.Parse(time.RFC3339Nano, p.word); err != nil {
		return p.fail("%q is not a time; write an offset such as 1.5s or an instant such as 2026-03-29T00:00:00Z", p.word)
	} else if d := at.Sub(start); !start.Add(d).Equal(at) {
		return p.fail("%s is more than 292 years from the start", p.word)
	}
	if p.latest.IsZero() {
		p.latest = start
	}
	switch earlier := at.Before(p.latest); {
	case earlier && !back:
		return p.fail("%s is before the latest time above, %s; write back instead of at if time is to run backwards", p.word, p.latest.Sub(start))
	case !earlier && back:
		return p.fail("%s is not before the latest time above, %s; write at", p.word, p.latest.Sub(start))
	}
	if back {
		p.script.Setup.Uses |= UsesBackwards
	}
	line.Request.At = at
	return nil
}

// cost reads the number after take or release, and settles what is common to both.
func (p *parser) cost(line *Line) error {
	if err := p.need("a cost"); err != nil {
		return err
	}
	n, err := strconv.ParseInt(p.word, 10, 64)
	if err != nil {
		return p.fail("%q is not a cost; write a whole number", p.word)
	}
	line.Request.Cost = n
	route := line.Request.Route
	if !slices.ContainsFunc(p.script.Setup.Rules, func(r Rule) bool { return r.Route == "" || r.Route == route }) {
		return p.fail("no policy is for route %q", route)
	}
	if n != 1 {
		p.script.Setup.Uses |= UsesCost
	}
	last := line.Every * time.Duration(line.Repeat-1)
	if line.Every != 0 && last/line.Every != time.Duration(line.Repeat-1) {
		return p.fail("the repeats take more than 292 years")
	}
	if end := line.Request.At.Add(last); end.After(p.latest) {
		p.latest = end
	}
	p.keys[line.Request.Key] = true
	return nil
}

func (p *parser) releases(line Line) error {
	line.Release = true
	if !slices.ContainsFunc(p.script.Setup.Rules, func(r Rule) bool { return r.Policy.Algorithm == limit.Concurrency }) {
		return p.fail("there is nothing to release: no policy is a concurrency policy")
	}
	if line.Repeat != 1 || line.Every != 0 {
		return p.fail("a release cannot be repeated; release a larger cost")
	}
	if err := p.cost(&line); err != nil {
		return err
	}
	p.script.Setup.Uses |= UsesRelease
	p.script.Lines = append(p.script.Lines, line)
	return p.end()
}

func (p *parser) takes(line Line) error {
	if line.Every != 0 && line.Repeat == 1 {
		return p.fail("every needs a repeat before it, such as x5")
	}
	if err := p.cost(&line); err != nil {
		return err
	}
	if err := p.need("allow or deny"); err != nil {
		return err
	}
	switch p.word {
	case "allow":
		line.Want.Allowed = true
	case "deny":
	default:
		return p.fail("%q is neither allow nor deny", p.word)
	}
	for p.next() {
		if err := p.field(&line.Want); err != nil {
			return err
		}
	}
	if p.requests += line.Repeat; p.requests > maxRequests {
		return p.fail("the script makes more than %d requests", maxRequests)
	}
	p.script.Lines = append(p.script.Lines, line)
	return nil
}

// fieldNames are the fields a line may expect.
var fieldNames = map[string]Fields{
	"limit": SaysLimit, "remaining": SaysRemaining, "retry": SaysRetry, "reset": SaysReset,
	"delay": SaysDelay, "warn": SaysWarn, "binding": SaysBinding,
}

func (p *parser) field(want *Answer) (err error) {
	name, value, _ := strings.Cut(p.word, "=")
	bit := fieldNames[name]
	switch {
	case bit == 0:
		return p.fail("unknown field %q; expected one of %s", name, strings.Join(slices.Sorted(maps.Keys(fieldNames)), ", "))
	case want.Says&bit != 0:
		return p.fail("%s stands here twice", name)
	case value == "":
		return p.fail("%s needs a value, as in %s=1", name, name)
	}
	want.Says |= bit
	valueAt := p.at + len(name) + 1
	kind := "a whole number"
	switch bit {
	case SaysLimit:
		want.Limit, err = strconv.ParseInt(value, 10, 64)
	case SaysRemaining:
		want.Remaining, err = strconv.ParseInt(value, 10, 64)
	case SaysBinding:
		want.Binding, err = strconv.Atoi(value)
	case SaysWarn:
		want.Warn, err = strconv.ParseBool(value)
		kind = "true or false"
	default:
		kind = "a duration, never or unknown"
		var d time.Duration
		switch value {
		case "never":
			d = limit.Never
		case "unknown":
			d = limit.Unknown
		default:
			d, err = time.ParseDuration(value)
		}
		switch bit {
		case SaysRetry:
			want.RetryAfter = d
		case SaysReset:
			want.ResetAfter = d
		default:
			want.Delay = d
		}
	}
	if err != nil {
		p.at = valueAt
		return p.fail("%q is not %s", value, kind)
	}
	return nil
}
