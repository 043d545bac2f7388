package hit

import "strings"

// failureWords are the stable names of failures in outputs and expressions.
var failureWords = [NumFailures]string{
	NoFailure:        "none",
	DNSFailed:        "dns",
	ConnectRefused:   "connect-refused",
	ConnectTimeout:   "connect-timeout",
	ConnectFailed:    "connect-failed",
	TLSFailed:        "tls",
	SendFailed:       "send",
	AnswerTimeout:    "timeout",
	ClosedEarly:      "closed-early",
	BadAnswer:        "bad-answer",
	AnswerTooLarge:   "too-large",
	TooManyRedirects: "redirects",
	ProxyFailed:      "proxy",
	Interrupted:      "interrupted",
	CheckFailed:      "check",
	OtherFailure:     "other",
}

// String returns the stable lower-case word of f, "none" for NoFailure and
// "unknown" for a value that is no failure.
func (f Failure) String() string {
	if int(f) < len(failureWords) {
		return failureWords[f]
	}
	return "unknown"
}

// ParseFailure is the inverse of Failure.String.
func ParseFailure(word string) (Failure, bool) {
	for i, w := range failureWords {
		if w == word {
			return Failure(i), true
		}
	}
	return NoFailure, false
}

// ParseOutcome is the inverse of Outcome.String.
func ParseOutcome(word string) (Outcome, bool) {
	for o := range Outcome(NumOutcomes) {
		if o.String() == word {
			return o, true
		}
	}
	return 0, false
}

// Idempotent tells whether a request with this method may be sent again when it
// is not known whether the first one arrived: RFC 9110 §9.2.2. Method names are
// case-sensitive; "" stands for GET, as in Request.
func Idempotent(method string) bool {
	switch method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// maxReason bounds the text of an error row, in bytes.
const maxReason = 200

// Reason says in one line how the request ended, for a row in a table of
// errors: "429 Too Many Requests", "connect-refused: connection refused". It
// has no control characters and at most about 200 bytes.
func (a *Answer) Reason() string { return Reason(a.Failure, a.Status, a.Err) }

// Reason is Answer.Reason for the three values it depends on.
func Reason(f Failure, status int, err string) string {
	if f == NoFailure {
		if status == 0 {
			return "no answer"
		}
		text := StatusText(status)
		if text == "" {
			return itoa(status)
		}
		return itoa(status) + " " + text
	}
	err = oneLine(err)
	if err == "" {
		return f.String()
	}
	return f.String() + ": " + err
}

// oneLine replaces control characters and runs of spaces by one space and cuts
// what is too long at a character's border.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return r <= ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029'
	}), " ")
	if len(s) <= maxReason {
		return s
	}
	cut := 0
	for i := range s {
		if i > maxReason-len("…") {
			break
		}
		cut = i
	}
	return s[:cut] + "…"
}
