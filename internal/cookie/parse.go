package cookie

import (
	"strconv"
	"strings"
	"time"
)

// parsed is a Set-Cookie line before it is known where it came from.
type parsed struct {
	Cookie
	delete       bool
	sameSiteNone bool
}

// parse reads a Set-Cookie line, RFC 6265bis §5.6. ok is false for lines
// without a name, with control characters, or of too large a size.
func parse(line string, now time.Time) (p parsed, ok bool) {
	if strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0 {
		return p, false
	}
	pair, rest, _ := strings.Cut(line, ";")
	name, value, ok := strings.Cut(pair, "=")
	p.Name, p.Value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
	if !ok || p.Name == "" || len(p.Name)+len(p.Value) > maxSize {
		return p, false
	}
	var maxAge, expires string
	for rest != "" {
		var attr string
		attr, rest, _ = strings.Cut(rest, ";")
		name, value, _ := strings.Cut(attr, "=")
		name, value = strings.ToLower(strings.Trim(name, " \t")), strings.Trim(value, " \t")
		if len(value) > maxAttr {
			continue
		}
		switch name {
		case "domain":
			p.Domain = strings.ToLower(strings.TrimPrefix(value, "."))
		case "path":
			p.Path = ""
			if strings.HasPrefix(value, "/") {
				p.Path = value
			}
		case "secure":
			p.Secure = true
		case "httponly":
			p.HTTPOnly = true
		case "max-age":
			if isMaxAge(value) {
				maxAge = value
			}
		case "expires":
			expires = value
		case "samesite":
			p.sameSiteNone = strings.EqualFold(value, "none")
		}
	}
	switch {
	case maxAge != "":
		n, err := strconv.ParseInt(maxAge, 10, 64)
		if strings.HasPrefix(maxAge, "-") || err == nil && n <= 0 {
			p.delete = true
		} else {
			if err != nil || n > maxLife {
				n = maxLife
			}
			p.Expires = now.Add(time.Duration(n) * time.Second)
		}
	case expires != "":
		if t, ok := parseDate(expires); ok {
			p.Expires = t
		}
	}
	return p, true
}

// maxLife is 400 days in seconds, the longest life that RFC 6265bis §5.5 allows.
const maxLife = 400 * 24 * 3600

func isMaxAge(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// parseDate reads a date as liberally as RFC 6265bis §5.1.1 wants it: a time,
// a day, a month and a year, in any order, between whatever else there is.
func parseDate(s string) (time.Time, bool) {
	var hour, minute, second, day, year int
	var month time.Month
	var hasTime, hasDay, hasYear bool
	for _, token := range strings.FieldsFunc(s, isDelimiter) {
		if !hasTime {
			if h, m, sec, ok := clock(token); ok {
				hour, minute, second, hasTime = h, m, sec, true
				continue
			}
		}
		n, digits := leadingNumber(token)
		switch {
		case !hasDay && (digits == 1 || digits == 2):
			day, hasDay = n, true
		case month == 0 && monthOf(token) != 0:
			month = monthOf(token)
		case !hasYear && (digits == 2 || digits == 4):
			year, hasYear = n, true
		}
	}
	if year >= 70 && year <= 99 {
		year += 1900
	} else if year >= 0 && year <= 69 {
		year += 2000
	}
	if !hasTime || !hasDay || !hasYear || month == 0 || day < 1 || year < 1601 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	return t, t.Day() == day // 31 February is no date
}

func isDelimiter(r rune) bool {
	return r == '\t' || r >= 0x20 && r <= 0x2F || r >= 0x3B && r <= 0x40 || r >= 0x5B && r <= 0x60 || r >= 0x7B && r <= 0x7E
}

// leadingNumber reads the digits a token begins with.
func leadingNumber(s string) (n, digits int) {
	for digits < len(s) && digits < 5 && s[digits] >= '0' && s[digits] <= '9' {
		n = n*10 + int(s[digits]-'0')
		digits++
	}
	return n, digits
}

func clock(s string) (hour, minute, second int, ok bool) {
	parts := strings.SplitN(s, ":", 3)
	if len(parts) != 3 {
		return 0, 0, 0, false
	}
	var v [3]int
	for i, p := range parts {
		n, digits := leadingNumber(p)
		if digits < 1 || digits > 2 || i < 2 && digits != len(p) {
			return 0, 0, 0, false
		}
		v[i] = n
	}
	return v[0], v[1], v[2], true
}

func monthOf(s string) time.Month {
	if len(s) < 3 {
		return 0
	}
	i := strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(s[:3]))
	if i < 0 || i%3 != 0 {
		return 0
	}
	return time.Month(i/3 + 1)
}
