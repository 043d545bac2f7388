package hit

import (
	"fmt"
	"strings"
)

// maxStatus is the first number that is no status.
const maxStatus = 1000

// Rules turns answers into outcomes. A Rules is made by DefaultRules or
// ParseRules and never changes, so any number of goroutines may share it.
//
// What is decided, in this order:
//
//  1. a failure is Failed, whatever status was read before it;
//  2. the caller's terms that ask for a header or a text, throttling ones first,
//     each in the order given; then those that name one status; then those that
//     name a class such as 4xx; between two that are equally exact, throttled wins;
//  3. the default throttling terms: 429, 503 with Retry-After, and an AWS
//     throttling code (see throttlingCodes) in an answer with status 400 or 503;
//  4. 1xx, 2xx and 3xx are Admitted, every other status is Failed.
type Rules struct {
	plain [maxStatus]class // what the status alone says
	ask   [maxStatus]bool  // terms, or the AWS shapes, must be looked at
	body  [maxStatus]bool  // deciding needs the body
	terms []term           // with a condition, throttled ones first
	std   bool             // the default throttling terms are in force
}

// class is what a status alone says. The order is that of growing exactness.
type class uint8

const (
	failedByDefault class = iota
	admittedByDefault
	throttledByDefault
	admittedByClass
	throttledByClass
	admittedByStatus
	throttledByStatus
)

func (c class) outcome() Outcome {
	switch c {
	case admittedByDefault, admittedByClass, admittedByStatus:
		return Admitted
	case throttledByDefault, throttledByClass, throttledByStatus:
		return Throttled
	}
	return Failed
}

// byCaller tells that the caller named the status, so that the default terms
// have nothing more to say.
func (c class) byCaller() bool { return c >= admittedByClass }

// term is one thing that the caller asked for.
type term struct {
	low, high int    // statuses, inclusive
	header    string // name of a header that must be there, "" for none
	text      string // lower case; must be in the body or a header value, "" for none
	outcome   Outcome
}

func (t *term) conditional() bool { return t.header != "" || t.text != "" }

// DefaultRules returns the rules without terms of a caller.
func DefaultRules() *Rules {
	r, err := ParseRules(nil, nil)
	if err != nil {
		panic("hit: the default rules do not parse: " + err.Error()) // cannot happen: there is nothing to parse
	}
	return r
}

// ParseRules returns the default rules with the caller's terms put before
// them: throttled says which further answers a limit refused, ok which further
// answers count as Admitted. A term is
//
//	429                  this status
//	4xx                  every status of this class
//	503+retry-after      this status, if the answer has this header
//	403:quota exceeded   this status, if the text after the colon is in the body
//	                     or in a header's value; ASCII case does not matter, quotes
//	                     stand for themselves
//	none                 drops the defaults of its list: alone or as its first term
//
// With "none" in throttled nothing is throttled but what the list says; with
// "none" in ok no status is Admitted but what the list says.
//
// The error names list, term and column.
func ParseRules(throttled, ok []string) (*Rules, error) {
	r := &Rules{std: true}
	var terms []term
	for i, s := range throttled {
		if s == "none" && i == 0 {
			r.std = false
			continue
		}
		t, err := parseTerm(s, Throttled)
		if err != nil {
			return nil, fmt.Errorf("throttled term %d, %q: %w", i+1, s, err)
		}
		terms = append(terms, t)
	}
	okByDefault := true
	for i, s := range ok {
		if s == "none" && i == 0 {
			okByDefault = false
			continue
		}
		t, err := parseTerm(s, Admitted)
		if err != nil {
			return nil, fmt.Errorf("ok term %d, %q: %w", i+1, s, err)
		}
		for _, other := range terms {
			if other.outcome == Throttled && t.low == other.low && t.high == other.high && t.header == other.header && t.text == other.text {
				return nil, fmt.Errorf("ok term %d, %q: the same term says throttled as well: an answer has one outcome, drop one of them", i+1, s)
			}
		}
		terms = append(terms, t)
	}
	for status := 100; okByDefault && status < 400; status++ {
		r.plain[status] = admittedByDefault
	}
	if r.std {
		r.plain[429] = throttledByDefault
	}
	for _, t := range terms {
		r.add(t)
	}
	for _, status := range [...]int{400, 503} {
		if r.std && !r.plain[status].byCaller() {
			r.ask[status], r.body[status] = true, true
		}
	}
	return r, nil
}

// add compiles one term of the caller into the tables.
func (r *Rules) add(t term) {
	if t.conditional() {
		r.terms = append(r.terms, t)
	}
	for status := t.low; status <= t.high; status++ {
		if t.conditional() {
			r.ask[status] = true
			r.body[status] = r.body[status] || t.text != ""
			continue
		}
		c := admittedByClass
		if t.low == t.high {
			c = admittedByStatus
		}
		if t.outcome == Throttled {
			c++ // each throttling class follows its admitting twin
		}
		r.plain[status] = max(r.plain[status], c)
	}
}

// Defaults tells whether the default throttling terms are in force: the caller did not
// begin the list with "none".
func (r *Rules) Defaults() bool { return r.std }

// Outcome says how the request that a answers ended: never Missed. It allocates
// nothing and reads no clock. A body cut short by the sender's limit is judged
// by what was kept.
func (r *Rules) Outcome(a *Answer) Outcome {
	if a.Failure != NoFailure {
		return Failed
	}
	if uint(a.Status) >= maxStatus {
		return Failed
	}
	if !r.ask[a.Status] {
		return r.plain[a.Status].outcome()
	}
	return r.look(a)
}

// look decides an answer whose status alone does not say enough.
func (r *Rules) look(a *Answer) Outcome {
	for i := range r.terms {
		t := &r.terms[i]
		if a.Status >= t.low && a.Status <= t.high && t.matches(a) {
			return t.outcome
		}
	}
	c := r.plain[a.Status]
	if r.std && !c.byCaller() {
		if a.Status == 503 && a.Fields.Has("Retry-After") {
			return Throttled
		}
		if (a.Status == 400 || a.Status == 503) && awsThrottled(a) {
			return Throttled
		}
	}
	return c.outcome()
}

func (t *term) matches(a *Answer) bool {
	if t.header != "" && !a.Fields.Has(t.header) {
		return false
	}
	return t.text == "" || containsFold(a.Body, t.text) || a.Fields.valueContains(t.text)
}

// valueContains tells whether any field's value has text, in lower case, in it.
func (f Fields) valueContains(text string) bool {
	for rest := []byte(f); len(rest) > 0; {
		var l line
		l, rest = nextLine(rest)
		if l.end {
			return false
		}
		if containsFold(l.value, text) {
			return true
		}
	}
	return false
}

// NeedsBody tells whether Outcome looks at the body of an answer with this
// status, so that a sender may discard all others unread into memory. 64 KiB of
// a body are enough for it.
func (r *Rules) NeedsBody(status int) bool {
	return uint(status) < maxStatus && r.body[status]
}

// termError is an error at a column, counted in bytes from 1.
type termError struct {
	column int
	reason string
}

func (e *termError) Error() string { return fmt.Sprintf("column %d: %s", e.column, e.reason) }

// parseTerm reads one term of ParseRules.
func parseTerm(s string, o Outcome) (term, error) {
	const form = `a term is a status such as 429, a class such as 4xx, 503+retry-after, or 403:text`
	t := term{outcome: o}
	if s == "none" {
		return t, &termError{1, `"none" drops the defaults and must be the first term of its list`}
	}
	head := s
	if i := strings.IndexAny(s, "+:"); i >= 0 {
		head = s[:i]
	}
	for i := range len(head) {
		c := head[i]
		if i > 2 || i == 0 && (c < '1' || c > '9') || i > 0 && (c < '0' || c > '9') && c != 'x' && c != 'X' {
			return t, &termError{i + 1, form}
		}
	}
	if len(head) != 3 {
		return t, &termError{len(head) + 1, form}
	}
	switch tail := strings.ToLower(head[1:]); {
	case tail == "xx":
		t.low = int(head[0]-'0') * 100
		t.high = t.low + 99
	case strings.Contains(tail, "x"):
		return t, &termError{2, "only whole classes such as 4xx can be named: " + form}
	default:
		t.low = int(head[0]-'0')*100 + int(head[1]-'0')*10 + int(head[2]-'0')
		t.high = t.low
	}
	rest := s[len(head):]
	switch {
	case rest == "":
	case rest[0] == '+':
		for i := 1; i < len(rest); i++ {
			if !isToken(rest[i]) {
				return t, &termError{len(head) + i + 1, "no header name has this character; for a text write " + head + ":text"}
			}
		}
		if len(rest) == 1 {
			return t, &termError{len(s) + 1, "the name of a header is missing after +"}
		}
		t.header = rest[1:]
	default:
		if strings.TrimSpace(rest[1:]) == "" {
			return t, &termError{len(s) + 1, "the text to look for is missing after the colon"}
		}
		t.text = asciiLower(rest[1:])
	}
	return t, nil
}

// isToken tells whether c may stand in a field name: RFC 9110 §5.6.2.
func isToken(c byte) bool {
	return 'a' <= lower(c) && lower(c) <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func asciiLower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}
