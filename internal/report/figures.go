package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// How figures are written for people. Every output for people uses these, so
// that one figure looks the same on the terminal, in Markdown and in HTML.
// Files for machines carry plain numbers with the unit in the field's name.

// figCount writes a whole number with commas: 12,345.
func figCount(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// figRate writes requests per second without the unit, with as many decimals
// as tell something: 0.50, 7.25, 119.9, 1,234.
func figRate(r float64) string {
	switch {
	case math.IsNaN(r) || math.IsInf(r, 0):
		return "–"
	case r == 0:
		return "0"
	case math.Abs(r) < 0.005:
		return strconv.FormatFloat(r, 'g', 2, 64)
	case math.Abs(r) < 9.995:
		return strconv.FormatFloat(r, 'f', 2, 64)
	case math.Abs(r) < 999.95:
		return strconv.FormatFloat(r, 'f', 1, 64)
	}
	return figCount(int64(math.Round(r)))
}

// figRateShort is figRate for running text: 120 and not 120.0.
func figRateShort(r float64) string {
	s := figRate(r)
	if strings.Contains(s, ".") && !strings.Contains(s, "e") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// figShare writes a ratio as a percentage. What is not quite none or not quite
// all never looks like it.
func figShare(ratio float64) string {
	p := ratio * 100
	switch {
	case math.IsNaN(p) || math.IsInf(p, 0):
		return "–"
	case p == 0:
		return "0 %"
	case p > 0 && p < 0.05:
		return "<0.1 %"
	case p < 100 && p >= 99.95:
		return ">99.9 %"
	case p == 100:
		return "100 %"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}

// figTime writes a latency with three significant digits, which is what the
// histograms can tell apart: 340 µs, 5.12 ms, 11.3 ms, 1.23 s, 2 min 5 s.
func figTime(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + figTime(-d)
	case d == 0:
		return "0 ms"
	case d < time.Microsecond:
		return "<1 µs"
	case d < 999500*time.Nanosecond:
		return significant(float64(d)/1e3) + " µs"
	case d < 999500*time.Microsecond:
		return significant(float64(d)/1e6) + " ms"
	case d < 59950*time.Millisecond:
		return significant(float64(d)/1e9) + " s"
	}
	return figSpan(d)
}

// figMS is figTime for a figure kept in milliseconds.
func figMS(ms float64) string { return figTime(msDuration(ms)) }

// significant writes x, 1 ≤ x < 1000, with three significant digits.
func significant(x float64) string {
	switch {
	case x < 9.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 99.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// figSpan writes a length of time in words: 21.3 s, 4 min 21 s, 3 h 12 min.
func figSpan(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + figSpan(-d)
	case d < 59950*time.Millisecond:
		s := strconv.FormatFloat(d.Seconds(), 'f', 1, 64)
		return strings.TrimSuffix(s, ".0") + " s"
	case d < time.Hour-500*time.Millisecond:
		s := int64(d.Round(time.Second) / time.Second)
		return joinUnits(s/60, "min", s%60, "s")
	case d < 48*time.Hour:
		m := int64(d.Round(time.Minute) / time.Minute)
		return joinUnits(m/60, "h", m%60, "min")
	}
	h := int64(d.Round(time.Hour) / time.Hour)
	return joinUnits(h/24, "d", h%24, "h")
}

func joinUnits(a int64, au string, b int64, bu string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, au)
	}
	return fmt.Sprintf("%d %s %d %s", a, au, b, bu)
}

// figAt writes an instant of the run: with tenths up to an hour, because
// neighbouring events are told apart by it.
func figAt(d time.Duration) string {
	switch {
	case d < 0 || d >= time.Hour:
		return figSpan(d)
	case d < 99950*time.Millisecond:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	tenths := int64(d.Round(100*time.Millisecond) / (100 * time.Millisecond))
	return fmt.Sprintf("%d min %d.%d s", tenths/600, tenths/10%60, tenths%10)
}

// figClock writes a running clock: 0:34, 12:05, 1:02:03.
func figClock(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	s := int64(d / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// figBytes writes a size: 812 B, 1.2 kB, 34 MB.
func figBytes(n float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for n >= 999.5 && i < len(units)-1 {
		n /= 1000
		i++
	}
	if i == 0 {
		return strconv.FormatFloat(n, 'f', 0, 64) + " B"
	}
	return significant(max(n, 1)) + " " + units[i]
}

// ms is a duration in milliseconds, rounded to a whole microsecond: finer
// digits are below what is measured.
func ms(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

// secs is a duration in seconds, rounded to a millisecond.
func secs(d time.Duration) float64 { return math.Round(d.Seconds()*1e3) / 1e3 }

// perSecond rounds a rate to a thousandth.
func perSecond(r float64) float64 { return round(r, 1e3) }

func round(x, steps float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return math.Round(x*steps) / steps
}

func msDuration(ms float64) time.Duration { return time.Duration(math.Round(ms * 1e6)) }

func secDuration(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }

// plural writes "1 request", "2 requests".
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return figCount(n) + " " + many
}
