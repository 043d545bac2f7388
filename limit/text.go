package limit

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// String returns the policy as one line of words that ParsePolicy reads back:
//
//	10/1s burst 3 token-bucket
//	"token endpoint" 120/1s token-bucket warn 80%
//	3/10s fixed-window align first-request count-denied
//	10/1s burst 20 leaky-bucket nodelay
//	1000/month quota in Europe/Berlin
//
// Fields that hold their zero value are left out.
func (p Policy) String() string {
	var b strings.Builder
	if p.Name != "" {
		b.WriteString(strconv.Quote(p.Name) + " ")
	}
	b.WriteString(strconv.FormatInt(p.Limit, 10))
	switch {
	case p.Period != NoPeriod:
		b.WriteString("/" + p.Period.String())
	case p.Window != 0 || p.Algorithm != Concurrency:
		b.WriteString("/" + duration(p.Window))
	}
	if p.Burst != 0 {
		fmt.Fprintf(&b, " burst %d", p.Burst)
	}
	b.WriteString(" " + p.Algorithm.String())
	if p.Align != AlignClock {
		b.WriteString(" align " + p.Align.String())
	}
	if p.Phase != 0 {
		b.WriteString(" phase " + duration(p.Phase))
	}
	switch {
	case p.Undelayed == 0:
	case p.Undelayed == p.Burst:
		b.WriteString(" nodelay")
	default:
		fmt.Fprintf(&b, " undelayed %d", p.Undelayed)
	}
	if p.MaxDelay != 0 {
		b.WriteString(" max-delay " + duration(p.MaxDelay))
	}
	if p.Ban != 0 {
		b.WriteString(" ban " + duration(p.Ban))
	}
	if p.CountDenied {
		b.WriteString(" count-denied")
	}
	if p.WarnAt != 0 {
		b.WriteString(" warn " + percent(p.WarnAt))
	}
	if p.Location != nil {
		b.WriteString(" in " + p.Location.String())
	}
	if !p.Start.IsZero() {
		b.WriteString(" start " + p.Start.UTC().Format(time.RFC3339Nano))
	}
	return b.String()
}

// duration writes d without the zero parts that Duration.String keeps: 1m, not 1m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func percent(share float64) string {
	r := decimal(share)
	r.Mul(r, big.NewRat(100, 1))
	// A decimal times a hundred ends; FloatPrec says where.
	n, _ := r.FloatPrec()
	return r.FloatString(n) + "%"
}

// SyntaxError says where the text of a policy is wrong, and what to do.
type SyntaxError struct {
	Column int // of the first byte of the faulty word, from 1
	Reason string
}

// Error returns "column 7: " and the reason.
func (e *SyntaxError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Reason) }

// ParsePolicy reads a policy from one line of words, the form that String
// writes. The first word may be a quoted name; the next is the limit:
//
//	10/1s 10/s      per Window: a Go duration, or a unit alone
//	1000/month      per Period of a quota: hour, day, week, month or year
//	5               at once, for concurrency
//
// All others may come in any order. One of them is the algorithm; without it
// the policy is a token bucket.
//
//	burst N
//	align clock|first-request|last-request
//	phase DURATION
//	undelayed N, or nodelay for as many as the burst
//	max-delay DURATION
//	ban DURATION
//	count-denied
//	warn PERCENT%
//	in LOCATION                from the time zone database, such as Europe/Berlin
//	start TIME                 RFC 3339
//
// The error is a *SyntaxError, or what Validate returns.
func ParsePolicy(text string) (Policy, error) {
	q := parser{rest: text, column: 1}
	if err := q.policy(); err != nil {
		return Policy{}, err
	}
	if err := q.p.Validate(); err != nil {
		return Policy{}, err
	}
	return q.p, nil
}

type parser struct {
	p       Policy
	rest    string
	column  int    // of rest
	word    string // the current one; empty at the end
	at      int    // its column
	seen    map[string]bool
	nodelay bool
}

func (q *parser) fail(format string, args ...any) error {
	return &SyntaxError{Column: q.at, Reason: fmt.Sprintf(format, args...)}
}

const blanks = " \t"

// next moves to the next word. A quoted string is one word.
func (q *parser) next() bool {
	trimmed := strings.TrimLeft(q.rest, blanks)
	q.column += len(q.rest) - len(trimmed)
	q.at = q.column
	n := strings.IndexAny(trimmed, blanks)
	if prefix, err := strconv.QuotedPrefix(trimmed); err == nil {
		n = len(prefix)
	}
	if n < 0 {
		n = len(trimmed)
	}
	q.word, q.rest = trimmed[:n], trimmed[n:]
	q.column += n
	return n > 0
}

// value moves to the word that must follow the one called name.
func (q *parser) value(name, want string) error {
	if !q.next() {
		return q.fail("%s needs %s after it", name, want)
	}
	return nil
}

func (q *parser) policy() error {
	if !q.next() {
		return q.fail("a policy is missing; write for example 10/1s burst 3 token-bucket")
	}
	if strings.HasPrefix(q.word, `"`) {
		name, err := strconv.Unquote(q.word)
		if err != nil {
			return q.fail("the name is not closed by a quote")
		}
		q.p.Name = name
		if !q.next() {
			return q.fail("a limit is missing after the name; write for example 10/1s")
		}
	}
	head, headAt := q.word, q.at
	number, _, _ := strings.Cut(head, "/")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return q.fail("%q is not a limit; write a whole number and a window, such as 10/1s", head)
	}
	q.p.Limit = n
	q.seen = map[string]bool{}
	for q.next() {
		if err := q.option(); err != nil {
			return err
		}
	}
	if q.nodelay {
		q.p.Undelayed = q.p.Burst
	}
	q.word, q.at = head, headAt
	return q.window()
}

// window reads the window or period of 10/1s. It comes last because only the
// algorithm tells whether "hour" is 60 minutes or a period of the calendar.
func (q *parser) window() error {
	number, per, slash := strings.Cut(q.word, "/")
	if !slash {
		if q.p.Algorithm != Concurrency {
			return q.fail("%q has no window; write for example %s/1s", q.word, number)
		}
		return nil
	}
	q.at += len(number) + 1
	if q.p.Algorithm == Quota && per != NoPeriod.String() && q.p.Period.UnmarshalText([]byte(per)) == nil {
		return nil
	}
	switch per {
	case "s", "second":
		q.p.Window = time.Second
	case "m", "min", "minute":
		q.p.Window = time.Minute
	case "h", "hour":
		q.p.Window = time.Hour
	case "d", "day":
		q.p.Window = 24 * time.Hour
	case "week", "month", "year":
		return q.fail("only a quota counts by %s; write quota after it", per)
	default:
		d, err := time.ParseDuration(per)
		if err != nil {
			return q.fail("%q is not a duration; write for example 1s, 100ms or 1h", per)
		}
		q.p.Window = d
	}
	return nil
}

// option reads one word and what belongs to it.
func (q *parser) option() (err error) {
	p, word := &q.p, q.word
	kind := word
	if p.Algorithm.UnmarshalText([]byte(word)) == nil {
		kind = "algorithm"
	}
	if q.seen[kind] {
		return q.fail("%s stands here twice", kind)
	}
	q.seen[kind] = true
	switch kind {
	case "algorithm":
	case "burst":
		p.Burst, err = q.integer(word)
	case "align":
		if err = q.value(word, "clock, first-request or last-request"); err == nil && p.Align.UnmarshalText([]byte(q.word)) != nil {
			err = q.fail("%q is no alignment; write clock, first-request or last-request", q.word)
		}
	case "phase":
		p.Phase, err = q.duration(word)
	case "undelayed":
		p.Undelayed, err = q.integer(word)
	case "nodelay":
		q.nodelay = true
	case "max-delay":
		p.MaxDelay, err = q.duration(word)
	case "ban":
		if p.Ban, err = q.duration(word); err == nil && p.Ban == 0 {
			err = q.fail("ban 0s bans nobody; leave it out")
		}
	case "count-denied":
		p.CountDenied = true
	case "warn":
		p.WarnAt, err = q.share(word)
	case "in":
		if err = q.value(word, "a time zone such as Europe/Berlin"); err != nil {
			return err
		}
		if p.Location, err = time.LoadLocation(q.word); err != nil {
			err = q.fail("%q is not a known time zone; write for example Europe/Berlin or UTC", q.word)
		}
	case "start":
		if err = q.value(word, "a time"); err != nil {
			return err
		}
		if p.Start, err = time.Parse(time.RFC3339Nano, q.word); err != nil {
			err = q.fail("%q is not a time; write for example 2026-01-31T00:00:00Z", q.word)
		}
		p.Start = p.Start.UTC()
	default:
		return q.fail("unknown word %q; expected an algorithm (%s) or an option (burst, align, phase, undelayed, nodelay, max-delay, ban, count-denied, warn, in, start)", word, list(algorithmNames[:]))
	}
	return err
}

func (q *parser) integer(name string) (int64, error) {
	if err := q.value(name, "a whole number"); err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(q.word, 10, 64)
	if err != nil {
		return 0, q.fail("%q is not a whole number", q.word)
	}
	return n, nil
}

func (q *parser) duration(name string) (time.Duration, error) {
	if err := q.value(name, "a duration"); err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(q.word)
	if err != nil {
		return 0, q.fail("%q is not a duration; write for example 1s, 100ms or 1h", q.word)
	}
	return d, nil
}

func (q *parser) share(name string) (float64, error) {
	if err := q.value(name, "a percentage"); err != nil {
		return 0, err
	}
	number, isPercent := strings.CutSuffix(q.word, "%")
	// No exponents: a Rat of 1e999999999 would fill the memory.
	if !isPercent || len(number) > 400 || strings.Trim(number, "0123456789.") != "" {
		return 0, q.fail("%q is not a percentage; write for example 80%%", q.word)
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok || r.Cmp(big.NewRat(100, 1)) > 0 {
		return 0, q.fail("%q is not a percentage from 0%% to 100%%", q.word)
	}
	share, _ := r.Quo(r, big.NewRat(100, 1)).Float64()
	return share, nil
}
