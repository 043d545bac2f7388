package threshold

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// value is the right side of a condition.
type value struct {
	number float64 // hits; hits per time of per; share; or nanoseconds
	per    string  // of a rate: s, min or h
	text   string  // canonical
}

func (v value) String() string { return v.text }

// perSeconds is the time that a rate is counted over.
func perSeconds(per string) float64 {
	switch per {
	case "min":
		return 60
	case "h":
		return 3600
	}
	return 1
}

// literal consumes a number and what is written right after it: "500" "ms",
// "1" "m30s", "20" "/s". One space may stand between them.
func (p *parser) literal() (number, suffix string) {
	number = p.take(isNumber)
	if number == "" {
		return "", ""
	}
	back := p.at
	p.space()
	spaced := p.at > back
	from := p.at
	p.accept("/")
	for p.at < len(p.src) {
		r, size := utf8.DecodeRuneInString(p.rest())
		if !strings.ContainsRune("%µμ.", r) && (r >= utf8.RuneSelf || !isWord(byte(r))) {
			break
		}
		p.at += size
	}
	suffix = p.src[from:p.at]
	if kind, _ := suffixUnit(suffix); spaced && (suffix == "" || kind == instant) {
		p.at = back // the next word, not a unit
		return number, ""
	}
	return number, suffix
}

func (p *parser) value(m *metric) (value, *SyntaxError) {
	p.space()
	at := p.at
	help := unitHelp[m.unit]
	if strings.HasPrefix(p.rest(), "-") {
		return value{}, p.fail(at, "nothing measured here is ever negative; %s is %s, as in %s", m, help.is, help.example)
	}
	num, suffix := p.literal()
	n, err := strconv.ParseFloat(num, 64)
	switch {
	case num == "":
		if word := p.take(func(c byte) bool { return !unicode.IsSpace(rune(c)) }); word != "" {
			return value{}, p.fail(at, "a number must follow: %s is %s, as in %s", m, help.is, help.example)
		}
		return value{}, p.fail(at, "a value is missing: %s is %s, as in %s", m, help.is, help.example)
	case err != nil || math.IsInf(n, 0):
		return value{}, p.fail(at, "%q is not a number", num)
	}
	v, bad := m.literalValue(num, n, suffix)
	if bad != "" {
		return value{}, p.fail(at, "%s", bad)
	}
	return v, nil
}

// literalValue turns a number and its suffix into a value of the metric's unit, or says
// what is wrong with it.
func (m *metric) literalValue(num string, n float64, suffix string) (value, string) {
	digits := canonicalNumber(num)
	kind, per := suffixUnit(suffix)
	switch m.unit {
	case units:
		if suffix == "" {
			if n != math.Trunc(n) || n > 1<<53 {
				return value{}, m.String() + " is a whole number of hits; write " + strconv.FormatFloat(math.Trunc(min(n, 1<<53)), 'f', -1, 64)
			}
			return value{number: n, text: digits}, ""
		}
	case rate:
		if kind == rate && suffix != "" {
			return value{number: n, per: per, text: digits + "/" + per}, ""
		}
		if suffix == "" && n == 0 {
			return value{per: "s", text: "0/s"}, ""
		}
		if suffix == "" {
			return value{}, m.String() + " is a rate; write " + num + "/s (or /min, /h)"
		}
	case perHour:
		if suffix == "" || kind == rate && per == "h" {
			return value{number: n, per: "h", text: digits}, ""
		}
		if kind == rate {
			return value{}, m.String() + " is per hour; write 1000 or 1000/h" + m.instead(rate)
		}
	case perMinute:
		if suffix == "" || kind == rate && per == "min" {
			return value{number: n, per: "min", text: digits}, ""
		}
		if kind == rate {
			return value{}, m.String() + " is per minute; write 20 or 20/min" + m.instead(rate)
		}
	case share:
		if suffix == "" && n < 1 {
			return value{number: n, text: digits}, ""
		}
		if suffix == "" {
			return value{}, m.String() + " is a share; write " + num + "% or, for a fraction, a number below 1"
		}
		if kind == share {
			// Subtle: shifting the decimal point in the text, not dividing by
			// 100, gives the same float64 as dividing two counts does.
			n, err := strconv.ParseFloat(num+"e-2", 64)
			if err != nil || n > 1 {
				return value{}, "a share is at most 100%"
			}
			return value{number: n, text: digits + "%"}, ""
		}
	case gauge:
		if d, err := time.ParseDuration(num + suffix); err == nil && suffix != "" {
			return value{number: d.Seconds(), per: "s", text: d.String()}, ""
		}
		switch {
		case suffix == "":
			return value{number: n, text: digits}, ""
		case kind == share:
			return value{number: n, per: "%", text: digits + "%"}, ""
		case kind == rate && per == "s":
			return value{number: n, per: "/s", text: digits + "/s"}, ""
		}
	case length, instant:
		if suffix == "" && n == 0 {
			return value{text: "0s"}, ""
		}
		if suffix == "" {
			return value{}, m.String() + " is a time; write " + num + "ms or " + num + "s"
		}
		if d, err := time.ParseDuration(num + suffix); err == nil {
			return value{number: float64(d), text: d.String()}, ""
		}
	}
	help := unitHelp[m.unit]
	return value{}, m.String() + " is " + help.is + " and cannot be compared with " + num + suffix +
		"; write something like " + help.example + m.instead(kind)
}

// suffixUnit tells which unit is meant by what stands after a number; instant
// stands for none that is known.
func suffixUnit(suffix string) (kind unit, per string) {
	switch suffix {
	case "":
		return units, ""
	case "%":
		return share, ""
	case "/s", "/sec":
		return rate, "s"
	case "/min", "/m":
		return rate, "min"
	case "/h", "/hour":
		return rate, "h"
	}
	if _, err := time.ParseDuration("1" + suffix); err == nil {
		return length, ""
	}
	return instant, ""
}

// instead names the word of the same subject that is measured in the unit that
// was written, if there is one.
func (m *metric) instead(written unit) string {
	s := findSubject(m.subject)
	for stat, u := range map[string]unit{"count": units, "rate": rate, "ratio": share, "pNN": length} {
		if u == written && contains(s.stats, stat) && m.subject != "watch" && statUnits[m.stat] != u {
			other := *m
			other.service, other.end = false, ""
			other.stat, other.percent = stat, "95"
			return ", or use " + other.String()
		}
	}
	return ""
}

// canonicalNumber drops what does not change a decimal number.
func canonicalNumber(s string) string {
	whole, frac, _ := strings.Cut(s, ".")
	whole = strings.TrimLeft(whole, "0")
	frac = strings.TrimRight(frac, "0")
	if whole == "" {
		whole = "0"
	}
	if frac == "" {
		return whole
	}
	return whole + "." + frac
}
