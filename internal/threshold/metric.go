package threshold

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weir-dev/weir/internal/hit"
)

// unit is what a metric is measured in, and what its value must be written in.
type unit uint8

const (
	units     unit = iota // a whole number of hits
	rate                  // per second
	perHour               // per hour
	perMinute             // per minute
	share                 // from 0 to 1
	length                // a time that something took
	instant               // a time since the start of the run
	gauge                 // what a watched figure is measured in
)

// what a value of each unit looks like, for messages.
var unitHelp = [...]struct{ is, example string }{
	units:     {"a number of hits", "100"},
	rate:      {"a rate", "20/s"},
	perHour:   {"a number of hits per hour", "1000"},
	perMinute: {"a number of hits per minute", "20"},
	share:     {"a share", "1%"},
	length:    {"a time", "500ms"},
	instant:   {"a time since the start", "10s"},
	gauge:     {"a number, with or without a unit", "90"},
}

// metric is the left side of a condition.
type metric struct {
	subject  string
	class    statusClass // of subject "status"
	request  string      // what stood in braces; empty: all requests
	service  bool        // service time instead of response time
	stat     string      // the last word; "pNN" for percentiles, "" for goodput
	quantile float64     // of pNN, from 0 to 1
	percent  string      // the NN of pNN, canonical
	end      string      // "low" or "high" of the interval of a rate; "" is the rate itself
	unit     unit
}

// statusClass is a range of statuses; text is how it is written.
type statusClass struct {
	from, to int
	text     string
}

func (m *metric) String() string {
	var b strings.Builder
	b.WriteString(m.subject)
	if m.subject == "status" {
		b.WriteString("(" + m.class.text + ")")
	}
	if m.request != "" {
		b.WriteString("{" + quoteRequest(m.request) + "}")
	}
	if m.service {
		b.WriteString(".service")
	}
	switch m.stat {
	case "":
	case "pNN":
		b.WriteString(".p" + m.percent)
	default:
		b.WriteString("." + m.stat)
	}
	if m.end != "" {
		b.WriteString("." + m.end)
	}
	return b.String()
}

// quoteRequest writes a request name so that the parser reads it back.
func quoteRequest(s string) string {
	plain := s == strings.TrimSpace(s) && !strings.ContainsAny(s, "}\"\\")
	if quoted := strconv.Quote(s); !plain || quoted != `"`+s+`"` {
		return quoted
	}
	return s
}

// subject is one word that a metric may begin with.
type subject struct {
	name    string
	outcome hit.Outcome // of the four outcomes
	stats   []string
	request bool // may be followed by a request in braces
}

var (
	counting = []string{"count", "rate", "per_minute", "per_hour", "ratio"}
	timing   = []string{"min", "mean", "max", "pNN"}
	lags     = append([]string{"count"}, timing...)
	answered = append(append(append([]string(nil), counting...), timing...), "onset")
)

var subjects = []subject{
	{name: "admitted", outcome: hit.Admitted, stats: answered, request: true},
	{name: "throttled", outcome: hit.Throttled, stats: answered, request: true},
	{name: "failed", outcome: hit.Failed, stats: answered, request: true},
	{name: "missed", outcome: hit.Missed, stats: append(append([]string(nil), counting...), "onset"), request: true},
	{name: "total", stats: []string{"count", "rate", "per_minute", "per_hour"}, request: true},
	{name: "goodput", request: true},
	{name: "status", stats: counting, request: true},
	{name: "offered", stats: []string{"rate", "count", "peak_1s", "peak_10s", "peak_60s"}},
	{name: "limit", stats: []string{"rate"}},
	{name: "send_lag", stats: lags},
	{name: "wake_lag", stats: lags},
	{name: "connect", stats: lags},
	{name: "watch", stats: []string{"used", "max", "min", "mean", "last"}, request: true},
}

// unitOf returns the unit of a word after a subject.
func unitOf(subject, stat string) unit {
	if u := statUnits[stat]; subject != "watch" || u == share {
		return u
	}
	return gauge
}

var statUnits = map[string]unit{
	"": rate, "count": units, "rate": rate, "per_hour": perHour, "per_minute": perMinute, "ratio": share,
	"min": length, "mean": length, "max": length, "pNN": length, "onset": instant,
	"used": share, "last": gauge,
	"peak_1s": units, "peak_10s": units, "peak_60s": units,
}

// What people who come from other tools write.
var synonyms = map[string]string{
	"error": "failed", "errors": "failed", "failures": "failed", "success": "admitted", "ok": "admitted", "passed": "admitted",
	"requests": "total", "hits": "total", "all": "total", "rejected": "throttled", "limited": "throttled", "dropped": "missed",
	"code": "status", "lag": "send_lag", "rps": "rate", "qps": "rate", "avg": "mean", "average": "mean", "median": "p50",
	"percent": "ratio", "share": "ratio", "fraction": "ratio", "number": "count", "first": "onset", "hourly": "per_hour", "per_second": "rate", "rpm": "per_minute", "peak": "peak_1s",
}

// nearest returns the known word that the writer probably meant, or "".
func nearest(word string, known []string) string {
	lower := strings.ToLower(word)
	for _, k := range known {
		if synonyms[lower] == k {
			return k
		}
	}
	best, bestAt := "", 3
	for _, k := range known {
		if d := distance(lower, k); d < bestAt && d < len(k) {
			best, bestAt = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace to make b of a.
func distance(a, b string) int {
	if len(a) > 30 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

func didYouMean(word string, known []string) string {
	if k := nearest(word, known); k != "" {
		return fmt.Sprintf("; did you mean %s?", k)
	}
	return "; known are " + strings.Join(known, ", ")
}
