package header

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// maxWait is the longest wait that is taken at its word: ten years.
const maxWait = 10 * 365 * 24 * time.Hour

// count reads a number of units: digits, or digits with a fraction, which is
// dropped (Reddit writes 598.0). reason is "" when it is good; Unknown comes
// with a reason.
func count(s string) (n int64, reason string) {
	s = strings.TrimSpace(s)
	whole, fraction, dotted := strings.Cut(s, ".")
	if s == "" {
		return Unknown, "empty"
	}
	if strings.HasPrefix(s, "-") {
		return Unknown, "negative, read as not told"
	}
	if !digits(whole) || dotted && !digits(fraction) {
		return Unknown, "not a whole number"
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return Unknown, "too large to be true"
	}
	return n, ""
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// number reads digits with an optional fraction as a float64.
func number(s string) (float64, bool) {
	whole, fraction, dotted := strings.Cut(s, ".")
	if !digits(whole) || dotted && !digits(fraction) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// seconds converts a number of seconds, rounded to nanoseconds. ok is false
// beyond maxWait. The whole seconds of decimal text are exact.
func seconds(s string) (time.Duration, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || sec > int64(maxWait/time.Second) {
		return 0, false
	}
	if len(fraction) > 9 {
		fraction = fraction[:9]
	}
	var ns int64
	for i := range 9 {
		ns *= 10
		if i < len(fraction) {
			ns += int64(fraction[i] - '0')
		}
	}
	return time.Duration(sec)*time.Second + time.Duration(ns), true
}

// epochBase is the least instant that epochs are told apart by, 2000-01-01, so
// that a clock that stands near 1970 (a simulated one) does not turn seconds
// into instants.
const epochBase = 946684800

// resetValue reads when a quota is whole again, in any of the forms that are in
// use, as a duration from ref:
//
//	12, 0.5            seconds from the answer
//	1767225600[.25]    seconds since 1970
//	1767225600000      milliseconds since 1970; likewise micro- and nanoseconds
//	1s, 6m0s, 12ms     a duration with units (OpenAI)
//	2026-01-01T00:00:00Z and its variants, or one of the three HTTP dates
//
// Numbers are told apart by size: below half of the seconds since 1970 that ref
// shows (that is, below about 28 years) a number is a duration; then, each a
// thousand times further, seconds, milliseconds, microseconds, nanoseconds.
// A duration in milliseconds, which some small services send, looks like one in
// seconds and is read as such.
//
// reason says what is wrong; the duration is Unknown only when nothing could be
// made of the value.
func resetValue(s string, ref time.Time) (d time.Duration, reason string) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return Unknown, "empty"
	case strings.HasPrefix(s, "-"):
		if _, ok := number(s[1:]); ok {
			return Unknown, "negative, read as not told"
		}
		return Unknown, "not a time"
	}
	if f, ok := number(s); ok {
		base := max(float64(ref.Unix()), epochBase) / 2
		if f < base {
			if d, ok := seconds(s); ok {
				return d, ""
			}
			return Unknown, "more than ten years ahead, not believed"
		}
		at, ok := epoch(s, f, base)
		if !ok {
			return Unknown, "too large to be an instant"
		}
		return until(at, ref)
	}
	if d, ok := unitDuration(s); ok {
		if d > maxWait {
			return Unknown, "more than ten years ahead, not believed"
		}
		return d, ""
	}
	if at, ok := parseInstant(s, ref); ok {
		return until(at, ref)
	}
	return Unknown, "neither a number nor a time"
}

// epoch converts a number too large to be a duration.
func epoch(s string, f, base float64) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	switch {
	case f < base*1e3:
		ns := int64(0)
		if fraction != "" {
			d, _ := seconds("0." + fraction)
			ns = int64(d)
		}
		return time.Unix(n, ns), true
	case f < base*1e6:
		return time.UnixMilli(n), true
	case f < base*1e9:
		return time.UnixMicro(n), true
	case n < math.MaxInt64:
		return time.Unix(0, n), true
	}
	return time.Time{}, false
}

// until is the time from ref to at, 0 with a reason when at has passed by more
// than clocks may differ.
func until(at, ref time.Time) (time.Duration, string) {
	d := at.Sub(ref)
	switch {
	case d > maxWait:
		return Unknown, "more than ten years ahead, not believed"
	case d < -sameClock:
		return 0, "already passed " + (-d).Round(time.Second).String() + " ago"
	case d < 0:
		return 0, ""
	}
	return d, ""
}

// unitDuration reads 1s, 6m0s, 12ms, 1h2m, 1d12h.
func unitDuration(s string) (time.Duration, bool) {
	days := time.Duration(0)
	if i := strings.IndexByte(s, 'd'); i > 0 && digits(s[:i]) {
		n, err := strconv.ParseInt(s[:i], 10, 32)
		if err != nil || n > int64(maxWait/(24*time.Hour)) {
			return 0, false
		}
		days = time.Duration(n) * 24 * time.Hour
		if s = s[i+1:]; s == "" {
			return days, true
		}
	}
	if s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxWait {
		return 0, false
	}
	return days + d, true
}

// instantLayouts are the dates seen in reset fields besides the HTTP dates.
var instantLayouts = [...]string{
	time.RFC3339Nano,                    // anthropic-ratelimit-*-reset, rachio
	"2006-01-02T15:04Z07:00",            // Jira Cloud: yyyy-MM-ddTHH:mmZ
	"2006-01-02T15:04:05.999Z0700",      // zone without a colon
	"2006-01-02 15:04:05 -0700",         // Ruby's Time#to_s
	"2006-01-02 15:04:05 MST",           // the same in UTC
	"Mon Jan 02 2006 15:04:05 GMT-0700", // JavaScript's Date#toString (lemlist)
}

// parseInstant reads a date in any of the known forms.
func parseInstant(s string, ref time.Time) (time.Time, bool) {
	if at, ok := parseHTTPDate(s, ref); ok {
		return at, true
	}
	s, _, _ = strings.Cut(s, " (") // JavaScript adds the zone's name
	for _, layout := range instantLayouts {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// parseHTTPDate reads the three forms of RFC 9110 §5.6.7.
func parseHTTPDate(s string, now time.Time) (time.Time, bool) {
	if at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", s); err == nil {
		return at, true
	}
	if at, err := time.Parse("Monday, 02-Jan-06 15:04:05 GMT", s); err == nil {
		// Two digits of a year that look more than 50 years ahead are of the past century.
		if at.After(now.AddDate(50, 0, 0)) {
			at = at.AddDate(-100, 0, 0)
		}
		return at, true
	}
	if at, err := time.Parse(time.ANSIC, s); err == nil {
		return at, true
	}
	return time.Time{}, false
}
