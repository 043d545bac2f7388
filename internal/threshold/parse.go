package threshold

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxLength is the longest condition that Parse reads, in bytes.
const MaxLength = 4096

// SyntaxError says where a condition is wrong and what would be right.
type SyntaxError struct {
	Expr   string // as it was given
	Column int    // 1-based, in characters
	Msg    string // what is wrong, and what to write instead
}

// Error returns three lines: the message with the column, the condition, and a
// caret under the column.
func (e *SyntaxError) Error() string {
	shown := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, e.Expr)
	return fmt.Sprintf("column %d: %s\n  %s\n  %s^", e.Column, e.Msg, shown, strings.Repeat(" ", e.Column-1))
}

// Parse reads one condition. The error is a *SyntaxError.
func Parse(expr string) (*Expr, error) {
	if len(expr) > MaxLength {
		return nil, &SyntaxError{Expr: expr[:40] + "…", Column: 1, Msg: fmt.Sprintf("the condition is longer than %d bytes", MaxLength)}
	}
	p := &parser{src: expr}
	e, bad := p.expr()
	if bad != nil {
		return nil, bad
	}
	return e, nil
}

// expect is the word before a condition that must hold.
const expect = "expect"

// ParseExpected reads a condition that must hold: --expect 'admitted.per_hour >= 1000'.
// The error is a *SyntaxError.
func ParseExpected(expr string) (*Expr, error) {
	e, err := Parse(expr)
	if err != nil {
		return nil, err
	}
	if e.hold > 0 {
		return nil, &SyntaxError{Expr: expr, Column: 1, Msg: `what is expected is expected of the whole run; leave out "for", or use --fail-if with what must not last`}
	}
	e.wanted = true
	return e, nil
}

type parser struct {
	src string
	at  int // byte offset
}

func (p *parser) fail(at int, format string, args ...any) *SyntaxError {
	return &SyntaxError{Expr: p.src, Column: utf8.RuneCountInString(p.src[:at]) + 1, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) rest() string { return p.src[p.at:] }

func (p *parser) space() {
	p.at += len(p.rest()) - len(strings.TrimLeftFunc(p.rest(), unicode.IsSpace))
}

// take consumes the bytes for which ok is true.
func (p *parser) take(ok func(c byte) bool) string {
	from := p.at
	for p.at < len(p.src) && ok(p.src[p.at]) {
		p.at++
	}
	return p.src[from:p.at]
}

func (p *parser) accept(s string) bool {
	if !strings.HasPrefix(p.rest(), s) {
		return false
	}
	p.at += len(s)
	return true
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isNumber(c byte) bool { return c == '.' || '0' <= c && c <= '9' }

func (p *parser) expr() (*Expr, *SyntaxError) {
	e := &Expr{}
	var bad *SyntaxError
	p.space()
	if back := p.at; p.take(isWord) == expect && p.rest() != "" && unicode.IsSpace(rune(p.rest()[0])) {
		e.wanted = true
		p.space()
	} else {
		p.at = back
	}
	if e.metric, bad = p.metric(); bad != nil {
		return nil, bad
	}
	if e.op, bad = p.operator(); bad != nil {
		return nil, bad
	}
	if e.limit, bad = p.value(&e.metric); bad != nil {
		return nil, bad
	}
	p.space()
	at := p.at
	if e.hold, bad = p.hold(&e.metric); bad != nil {
		return nil, bad
	}
	if e.hold > 0 && e.wanted {
		return nil, p.fail(at, `what is expected is expected of the whole run; leave out "for", or use --fail-if with what must not last`)
	}
	return e, nil
}

func (p *parser) metric() (metric, *SyntaxError) {
	var m metric
	at := p.at
	m.subject = p.take(isWord)
	s := findSubject(m.subject)
	switch {
	case m.subject == "":
		return m, p.fail(at, "a condition begins with what is measured, as in admitted.p95 > 500ms; known are %s", strings.Join(subjectNames(), ", "))
	case s == nil && isStat(m.subject):
		return m, p.fail(at, "%q of what? Write admitted.%s", m.subject, m.subject)
	case s == nil:
		return m, p.fail(at, "%q is not measured%s", m.subject, didYouMean(m.subject, subjectNames()))
	}
	var bad *SyntaxError
	if m.subject == "status" {
		if m.class, bad = p.status(); bad != nil {
			return m, bad
		}
	}
	if brace := p.at; p.accept("{") {
		if !s.request {
			return m, p.fail(brace, "%s is not counted by request; leave out the braces", m.subject)
		}
		if m.request, bad = p.request(brace); bad != nil {
			return m, bad
		}
	}
	if m.subject == "watch" && m.request == "" {
		return m, p.fail(p.at, "say which figure in braces, as in watch{connections}.used > 90%%")
	}
	if bad = p.stat(&m, s); bad != nil {
		return m, bad
	}
	return m, nil
}

// isStat tells whether a word is what may follow admitted: people who come from
// other tools begin with it.
func isStat(word string) bool {
	_, is := percentile(word)
	return is || contains(findSubject("admitted").stats, word)
}

func findSubject(name string) *subject {
	for i := range subjects {
		if subjects[i].name == name {
			return &subjects[i]
		}
	}
	return nil
}

func subjectNames() []string {
	var names []string
	for _, s := range subjects {
		names = append(names, s.name)
	}
	return names
}

// status reads (503), (5xx) or (0).
func (p *parser) status() (statusClass, *SyntaxError) {
	const want = "status needs a status in parentheses, as in status(503).count or status(5xx).count"
	if !p.accept("(") {
		return statusClass{}, p.fail(p.at, want)
	}
	p.space()
	at := p.at
	text := strings.ToLower(p.take(isWord))
	p.space()
	if !p.accept(")") {
		return statusClass{}, p.fail(p.at, want)
	}
	if len(text) == 3 && text[1:] == "xx" && '1' <= text[0] && text[0] <= '9' {
		from := int(text[0]-'0') * 100
		return statusClass{from, from + 99, text}, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n != 0 && (n < 100 || n > 999) {
		return statusClass{}, p.fail(at, "a status is a number from 100 to 999, a class such as 5xx, or 0 for no answer")
	}
	return statusClass{n, n, strconv.Itoa(n)}, nil
}

// request reads what stands between braces, the first of which is consumed.
func (p *parser) request(brace int) (string, *SyntaxError) {
	p.space()
	var name string
	if strings.HasPrefix(p.rest(), `"`) {
		quoted, err := strconv.QuotedPrefix(p.rest())
		if err == nil {
			name, err = strconv.Unquote(quoted)
		}
		if err != nil {
			return "", p.fail(p.at, "the quoted request name does not end, or has a wrong escape")
		}
		p.at += len(quoted)
		p.space()
	} else {
		end := strings.IndexByte(p.rest(), '}')
		if end < 0 {
			return "", p.fail(brace, "the brace is not closed: write {name} or {METHOD name}")
		}
		name = strings.TrimSpace(p.rest()[:end])
		p.at += end
	}
	if name == "" {
		return "", p.fail(brace, "the braces are empty: write {name} or {METHOD name}, or leave them out")
	}
	if !p.accept("}") {
		return "", p.fail(p.at, "the brace must be closed after the quoted name")
	}
	return name, nil
}

func (p *parser) stat(m *metric, s *subject) *SyntaxError {
	known := s.stats
	timed := contains(known, "pNN") && contains(known, "onset")
	if len(known) == 0 {
		if at := p.at; p.accept(".") {
			return p.fail(at, "%s is a rate already; nothing may follow it", m.subject)
		}
		m.unit = statUnits[""]
		return nil
	}
	dot := p.at
	if !p.accept(".") {
		return p.fail(dot, "say what of %s: %s", m.subject, dotted(m.subject, known))
	}
	at := p.at
	word := p.word()
	if timed && (word == "service" || word == "response") {
		m.service = word == "service"
		known = timing
		if !p.accept(".") {
			return p.fail(p.at, "say which of the %s times: .p95, .mean, .min or .max", word)
		}
		at = p.at
		word = p.word()
	}
	if digits, is := percentile(word); is && contains(known, "pNN") {
		q, err := strconv.ParseFloat(digits+"e-2", 64)
		if err != nil || q <= 0 || q > 1 {
			return p.fail(at, "a percentile is more than p0 and at most p100, as in p95 or p99.9")
		}
		m.stat, m.percent, m.quantile = "pNN", canonicalNumber(digits), q
	} else if word != "pNN" && contains(known, word) {
		m.stat = word
	} else {
		return p.unknownStat(at, word, m, known)
	}
	m.unit = unitOf(m.subject, m.stat)
	if m.counted() && (p.accept(".low") || p.accept(".high")) {
		m.end = p.src[strings.LastIndexByte(p.src[:p.at], '.')+1 : p.at]
	}
	if next := p.at; p.accept(".") || m.end != "" && p.take(isWord) != "" {
		return p.fail(next, "nothing may follow %s", m)
	}
	return nil
}

// word reads a word after a dot; a percentile may have a dot in it.
func (p *parser) word() string {
	from := p.at
	word := p.take(isWord)
	if _, is := percentile(word); is && len(p.rest()) > 1 && p.rest()[0] == '.' && isNumber(p.rest()[1]) && p.rest()[1] != '.' {
		p.at++
		p.take(func(c byte) bool { return '0' <= c && c <= '9' })
	}
	return p.src[from:p.at]
}

// percentile returns the digits of a word such as p99.9.
func percentile(word string) (digits string, is bool) {
	if len(word) < 2 || word[0] != 'p' {
		return "", false
	}
	for i := 1; i < len(word); i++ {
		if !isNumber(word[i]) {
			return "", false
		}
	}
	return word[1:], true
}

func (p *parser) unknownStat(at int, word string, m *metric, known []string) *SyntaxError {
	_, is := percentile(word)
	if is || contains(timing, word) || word == "service" || word == "response" {
		switch m.subject {
		case "total":
			return p.fail(at, "times of refused and of admitted hits are never mixed; write admitted.%s, throttled.%s or failed.%s", word, word, word)
		case "status":
			return p.fail(at, "times are kept by outcome, not by status; write admitted.%s, throttled.%s or failed.%s", word, word, word)
		case "missed":
			return p.fail(at, "missed hits were never sent and have no times")
		}
	}
	examples := make([]string, 0, len(known)+1)
	for _, k := range known {
		if k == "pNN" {
			examples = append(examples, "p50", "p95", "p99")
			continue
		}
		examples = append(examples, k)
	}
	if word == "p" && strings.HasPrefix(p.rest(), "(") {
		return p.fail(at, "a percentile is written without parentheses, as in p95")
	}
	if word == "" {
		return p.fail(at, "a word is missing after the dot; known are %s", strings.Join(examples, ", "))
	}
	return p.fail(at, "%s has no %q%s", m.subject, word, didYouMean(word, examples))
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

func dotted(subject string, stats []string) string {
	out := make([]string, len(stats))
	for i, s := range stats {
		if s == "pNN" {
			s = "p95"
		}
		out[i] = subject + "." + s
	}
	return strings.Join(out, ", ")
}

func (p *parser) operator() (operator, *SyntaxError) {
	p.space()
	at := p.at
	for _, o := range []string{">=", "<=", "==", "!=", ">", "<"} {
		if p.accept(o) {
			if next := p.rest(); next != "" && strings.ContainsRune("<>=!", rune(next[0])) {
				return "", p.fail(at, "write one of > >= < <= == !=")
			}
			return operator(o), nil
		}
	}
	switch rest := p.rest(); {
	case rest == "":
		return "", p.fail(at, "a comparison is missing, as in > 500ms")
	case strings.HasPrefix(rest, "=>"):
		return "", p.fail(at, "write >= instead of =>")
	case strings.HasPrefix(rest, "=<"):
		return "", p.fail(at, "write <= instead of =<")
	case strings.HasPrefix(rest, "="):
		return "", p.fail(at, "write == to compare")
	case strings.HasPrefix(rest, "{"):
		return "", p.fail(at, "braces stand right after the first word, as in admitted{POST /oauth2/token}.p95")
	}
	return "", p.fail(at, "here must stand one of > >= < <= == !=")
}

func (p *parser) hold(m *metric) (time.Duration, *SyntaxError) {
	p.space()
	at := p.at
	if p.rest() == "" {
		return 0, nil
	}
	word := p.take(isWord)
	if word != "for" {
		return 0, p.fail(at, `nothing may follow but "for" and a time, as in "for 10s"; write each condition by itself`)
	}
	p.space()
	when := p.at
	num, suffix := p.literal()
	if num == "" {
		return 0, p.fail(when, `a time must follow "for", as in "for 10s"`)
	}
	d, err := time.ParseDuration(num + suffix)
	if err != nil || d <= 0 {
		return 0, p.fail(when, `%q is not a time; write "for 10s" or "for 2m"`, num+suffix)
	}
	if m.end != "" || m.unit == instant || m.subject == "limit" || strings.HasPrefix(m.stat, "peak") {
		return 0, p.fail(at, `%s is about the whole run; leave out "for"`, m)
	}
	p.space()
	if p.rest() != "" {
		return 0, p.fail(p.at, "nothing may follow the time")
	}
	return d, nil
}
