package pace

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// ParseError says what is wrong in a text, where, and what to write instead.
type ParseError struct {
	What   string // what the text was to be: "rate", "stages", "users", "duration" or "schedule"
	Text   string // the text, or that line of it
	Line   int    // from 1, for a text of lines; else 0
	Column int    // in characters, from 1; one past the end when something is missing there
	Reason string // what is wrong, and what to write
}

// Error returns one line; a long text is cut to the part around the column.
func (e *ParseError) Error() string {
	where := fmt.Sprintf("column %d", e.Column)
	if e.Line > 0 {
		where = fmt.Sprintf("line %d, %s", e.Line, where)
	}
	return fmt.Sprintf("%s %q: %s: %s", e.What, excerpt(e.Text, e.Column), where, e.Reason)
}

// excerpt returns s, or at most 60 characters of it around the column.
func excerpt(s string, column int) string {
	const most = 60
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	from := min(max(column-1-most/2, 0), len(r)-most)
	cut := string(r[from : from+most])
	if from > 0 {
		cut = "…" + cut
	}
	if from+most < len(r) {
		cut += "…"
	}
	return cut
}

// parser reads one text from left to right and keeps the first mistake. After
// a mistake its methods may be called, but what they return has no meaning.
type parser struct {
	what string
	s    string
	line int
	i    int // the next byte
	err  error
}

// fail reports a mistake at byte i.
func (p *parser) fail(i int, format string, args ...any) {
	if p.err == nil {
		p.err = &ParseError{p.what, p.s, p.line, utf8.RuneCountInString(p.s[:i]) + 1, fmt.Sprintf(format, args...)}
	}
}

func (p *parser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

// next names the coming character in a message.
func (p *parser) next() string {
	if p.i >= len(p.s) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(p.s[p.i:])
	return fmt.Sprintf("%q", r)
}

func (p *parser) space() {
	for p.peek() == ' ' || p.peek() == '\t' {
		p.i++
	}
}

// take skips tok, and spaces around it, if it comes next.
func (p *parser) take(tok string) bool {
	before := p.i
	p.space()
	if p.err != nil || !strings.HasPrefix(p.s[p.i:], tok) {
		p.i = before
		return false
	}
	p.i += len(tok)
	p.space()
	return true
}

func (p *parser) end() {
	p.space()
	if p.i < len(p.s) {
		p.fail(p.i, "%s is not expected here; remove the rest", p.next())
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// What a number may have beside digits. It always begins with one: in
// "0...200/s" ".200" would be no one's intention.
const (
	decimalPoint = 1 << iota
	separators   // "," or "_" between groups of three digits
)

// number reads a number that is not negative; its value is mant/10^decimals.
func (p *parser) number(what string, allow int) (mant uint64, decimals int) {
	start := p.i
	if !isDigit(p.peek()) {
		if p.peek() == '-' {
			p.fail(start, "a %s cannot be negative", what)
		} else {
			p.fail(start, "a %s begins with a digit, not with %s", what, p.next())
		}
		return 0, 0
	}
	digits := func(most int) int {
		from := p.i
		for isDigit(p.peek()) && p.err == nil {
			if mant > (math.MaxUint64-9)/10 || p.i-from >= most {
				p.fail(start, "too many digits; write a shorter number")
				return 0
			}
			mant = mant*10 + uint64(p.s[p.i]-'0')
			p.i++
		}
		return p.i - from
	}
	lead := digits(math.MaxInt)
	if sep := p.peek(); allow&separators != 0 && (sep == ',' || sep == '_') {
		for p.peek() == sep && p.err == nil {
			at := p.i
			p.i++
			if digits(math.MaxInt) != 3 || lead > 3 {
				p.fail(at, "%q stands between groups of three digits only, as in 33%c333; a decimal point is %q", sep, sep, '.')
			}
		}
	}
	if p.peek() == '.' && !strings.HasPrefix(p.s[p.i:], "..") {
		dot := p.i
		if allow&decimalPoint == 0 {
			p.fail(dot, "a %s is a whole number", what)
			return 0, 0
		}
		p.i++
		// Trailing zeroes are no digits to keep.
		all := len(p.s[p.i:]) - len(strings.TrimLeft(p.s[p.i:], "0123456789"))
		keep := len(strings.TrimRight(p.s[p.i:p.i+all], "0"))
		if all == 0 {
			p.fail(p.i, "digits are missing after the decimal point")
			return 0, 0
		}
		whole := p.s
		p.s = p.s[:p.i+keep]
		decimals = digits(18)
		p.s = whole
		p.i = dot + 1 + all
	}
	if p.err != nil {
		return 0, 0
	}
	return mant, decimals
}

// rate reads a rate and returns the time after its slash too. Without a slash
// that time is def, unless def is 0.
func (p *parser) rate(def time.Duration) (r Rate, per time.Duration) {
	start := p.i
	mant, decimals := p.number("rate", decimalPoint|separators)
	number := p.s[start:p.i]
	per = def
	if p.take("/") {
		per = p.per()
	} else if per == 0 && p.err == nil {
		p.perMissing(number)
	}
	if p.err != nil {
		return Rate{}, 0
	}
	if mant == 0 {
		return Rate{0, per}, per
	}
	den := pow10(decimals)
	g := gcd(mant, den)
	all, ok := scale(den/g, 0, per)
	if !ok {
		p.fail(start, "less than one in 292 years; write a higher rate")
	}
	if mant/g > math.MaxInt64 {
		p.fail(start, "too many digits; write a shorter number")
	}
	if p.err != nil {
		return Rate{}, 0
	}
	return Rate{int64(mant / g), all}, per
}

// per reads what stands after the slash: a unit, or a duration with units.
func (p *parser) per() time.Duration {
	if !isDigit(p.peek()) {
		return p.unit()
	}
	start := p.i
	d := p.duration()
	switch {
	case p.err != nil:
	case isDigit(p.s[p.i-1]):
		p.fail(p.i, "a unit of time is missing here: write %s", unitNames)
	case d == 0:
		p.fail(start, "the time after the slash must be longer than 0")
	}
	return d
}

// perMissing reports that no slash follows number.
func (p *parser) perMissing(number string) {
	number = excerpt(number, 1)
	end := p.i
	p.space()
	switch strings.ToLower(p.word()) {
	case "rps", "qps", "tps", "hz":
		p.fail(p.i, "write %s/s", number)
	case "rpm":
		p.fail(p.i, "write %s/min", number)
	case "rph":
		p.fail(p.i, "write %s/h", number)
	default:
		p.fail(end, "per what time? Write %s/s, %s/min or %s/h", number, number, number)
	}
}
