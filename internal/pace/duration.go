package pace

import (
	"math"
	"math/bits"
	"strings"
	"time"
	"unicode/utf8"
)

const day = 24 * time.Hour

// ParseDuration reads how long: numbers with units, such as "90s", "1h20m",
// "1.5h", "2d 12h" or "10 minutes", or a number alone, which is in seconds. The
// units are ns, us (µs), ms, s, m, h and d, and their usual long forms. It is
// exact to the nanosecond and never negative. An error is a *ParseError.
func ParseDuration(s string) (time.Duration, error) {
	p := parser{what: "duration", s: s}
	d := p.duration()
	p.end()
	if p.err != nil {
		return 0, p.err
	}
	return d, nil
}

// formatDuration writes d as ParseDuration reads it, without the "0m0s" that
// time.Duration prints after whole hours.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// unitOf returns the unit of time of that name, or 0.
func unitOf(name string) time.Duration {
	switch name {
	case "ns", "nanosecond", "nanoseconds":
		return time.Nanosecond
	case "us", "µs", "μs", "microsecond", "microseconds":
		return time.Microsecond
	case "ms", "millisecond", "milliseconds":
		return time.Millisecond
	case "s", "sec", "secs", "second", "seconds":
		return time.Second
	case "m", "min", "mins", "minute", "minutes":
		return time.Minute
	case "h", "hr", "hrs", "hour", "hours":
		return time.Hour
	case "d", "day", "days":
		return day
	}
	return 0
}

const unitNames = "ns, us, ms, s, m, h or d"

// word returns the letters that come next without taking them.
func (p *parser) word() string {
	n := p.i
	for n < len(p.s) {
		r, size := utf8.DecodeRuneInString(p.s[n:])
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != 'µ' && r != 'μ' {
			break
		}
		n += size
	}
	return p.s[p.i:n]
}

// unit reads a unit of time.
func (p *parser) unit() time.Duration {
	w := p.word()
	u := unitOf(w)
	if u == 0 {
		switch lower := strings.ToLower(w); {
		case w == "":
			p.fail(p.i, "a unit of time is missing before %s: write %s", p.next(), unitNames)
		case unitOf(lower) != 0:
			p.fail(p.i, "units are in lower case: write %q", lower)
		default:
			p.fail(p.i, "%q is no unit of time: write %s", excerpt(w, 1), unitNames)
		}
		return 0
	}
	p.i += len(w)
	return u
}

// duration reads terms of a number and a unit, or one number alone: seconds.
// It leaves the spaces that follow.
func (p *parser) duration() time.Duration {
	p.space()
	start := p.i
	var sum time.Duration
	for first := true; ; first = false {
		mant, decimals := p.number("duration", decimalPoint)
		end := p.i
		p.space()
		u := time.Second
		switch {
		case p.err != nil:
			return 0
		case p.word() != "":
			u = p.unit()
			end = p.i
			p.space()
		case !first || isDigit(p.peek()):
			p.fail(end, "a unit of time is missing here: write %s", unitNames)
		}
		d, ok := scale(mant, decimals, u)
		if !ok || sum > math.MaxInt64-d {
			p.fail(start, "longer than 292 years; write a shorter duration")
		}
		if p.err != nil {
			return 0
		}
		sum += d
		if !isDigit(p.peek()) {
			p.i = end
			return sum
		}
	}
}

// scale returns mant/10^decimals·u rounded down to a nanosecond, and whether it fits.
func scale(mant uint64, decimals int, u time.Duration) (time.Duration, bool) {
	hi, lo := bits.Mul64(mant, uint64(u))
	d := pow10(decimals)
	if hi >= d {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, d)
	return time.Duration(q), q <= math.MaxInt64
}

// pow10 returns 10^n for n in [0, 18].
func pow10(n int) uint64 {
	v := uint64(1)
	for range n {
		v *= 10
	}
	return v
}
