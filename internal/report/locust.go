package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/locust/book"
	"github.com/weir-dev/weir/internal/tally"
)

// locustCSV writes the four files of Locust 2.46.3 (locust/stats.py, classes
// StatsCSV and StatsCSVFileWriter, read 2026-11-21), so that what reads those
// reads these. In Locust's terms a throttled or failed hit is a failure, and
// "response time" is ours, from the instant a request was due. Missed hits are
// no requests there. Two things are better than the original: percentiles are
// not rounded to two digits, and the last second is not lost.
type locustCSV struct {
	stats, history, failures, exceptions *csvFile

	started time.Time
	full    bool
	totals  tally.Totals
	all     locustEntry
	entries map[locustKey]*locustEntry
	sorted  []*locustEntry
	refused map[refusal]*locustError
	second  int
	busy    int // the latest second that had an answer
}

type locustKey struct{ name, method string }

type locustEntry struct {
	locustKey
	requests, failures int64
	response           hist.Hist
	bytes              int64
	recent             []locustSecond // the latest seconds, oldest first
}

// locustSecond is what Locust's "current" figures are made of.
type locustSecond struct {
	second             int
	requests, failures int64
	response           hist.Hist // only kept for a full history
}

type refusal struct {
	locustKey
	status int
}

type locustError struct {
	locustKey
	text        string
	count       int64
	first, last time.Duration
}

var locustQuantiles = []float64{0.50, 0.66, 0.75, 0.80, 0.90, 0.95, 0.98, 0.99, 0.999, 0.9999, 1}

var locustPercents = []string{"50%", "66%", "75%", "80%", "90%", "95%", "98%", "99%", "99.9%", "99.99%", "100%"}

func (c *locustCSV) head() {
	c.stats.row(append([]string{
		"Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time",
		"Min Response Time", "Max Response Time", "Average Content Size", "Requests/s", "Failures/s",
	}, locustPercents...)...)
	h := append([]string{"Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"}, locustPercents...)
	c.history.row(append(h,
		"Total Request Count", "Total Failure Count", "Total Median Response Time", "Total Average Response Time",
		"Total Min Response Time", "Total Max Response Time", "Total Average Content Size")...)
	c.failures.row("Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen")
	c.exceptions.row("Count", "Message", "Traceback", "Nodes")

	c.all.name = "Aggregated"
	c.entries = map[locustKey]*locustEntry{}
	c.refused = map[refusal]*locustError{}
	// Locust writes its first row before the first request.
	c.historyRow(&c.all, 0, 0)
}

func (c *locustCSV) tick(k *tally.Tick) {
	c.totals.Add(k)
	c.second = k.Index
	for i := range k.Series {
		s := &k.Series[i]
		if s.Outcome == hit.Missed || int(s.Outcome) >= hit.NumOutcomes || s.Count == 0 {
			continue
		}
		c.busy = k.Index
		key := locustKey{locustName(s.Method, s.Name), s.Method}
		e := c.entries[key]
		if e == nil {
			e = &locustEntry{locustKey: key}
			c.entries[key] = e
			c.sorted = append(c.sorted, e)
			slices.SortFunc(c.sorted, func(a, b *locustEntry) int { return compareKeys(a.locustKey, b.locustKey) })
		}
		e.add(s, k.Index, c.full)
		c.all.add(s, k.Index, c.full)
		if s.Outcome == hit.Throttled {
			c.refuse(key, s)
		}
	}
	end := k.Start + k.Length
	if c.full {
		for _, e := range c.sorted {
			c.historyRow(e, end, k.Users)
		}
	}
	c.historyRow(&c.all, end, k.Users)
}

func compareKeys(a, b locustKey) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.method, b.method))
}

// locustName leaves out the method, which has a column of its own there.
func locustName(method, name string) string { return strings.TrimPrefix(name, method+" ") }

// reach is how many seconds back Locust's "current" figures look.
const reach = 12

func (e *locustEntry) add(s *tally.Series, second int, full bool) {
	bad := s.Outcome != hit.Admitted
	e.requests += s.Count
	e.bytes += s.BytesIn
	e.response.Merge(s.Response)
	if bad {
		e.failures += s.Count
	}
	if n := len(e.recent); n == 0 || e.recent[n-1].second != second {
		if n > 0 && e.recent[0].second < second-reach {
			e.recent = slices.Delete(e.recent, 0, 1)
		}
		e.recent = append(e.recent, locustSecond{second: second})
	}
	r := &e.recent[len(e.recent)-1]
	r.requests += s.Count
	if bad {
		r.failures += s.Count
	}
	if full {
		r.response.Merge(s.Response)
	}
}

// current are the mean rates of the seconds [last-12, last-2), as Locust has
// them: it leaves out the latest, which may not be complete there.
func (e *locustEntry) current(last int) (requests, failures float64) {
	from, past := max(last-reach, 0), last-2
	for i := range e.recent {
		if r := &e.recent[i]; r.second >= from && r.second < past {
			requests += float64(r.requests)
			failures += float64(r.failures)
		}
	}
	n := float64(max(past-from, 1))
	return requests / n, failures / n
}

// latest is the response times of about the last ten seconds.
func (e *locustEntry) latest(second int) *hist.Hist {
	var h hist.Hist
	for i := range e.recent {
		if e.recent[i].second > second-10 {
			h.Merge(&e.recent[i].response)
		}
	}
	return &h
}

func (c *locustCSV) refuse(key locustKey, s *tally.Series) {
	codes := s.Codes
	if len(codes) == 0 {
		codes = []tally.Code{{Count: s.Count}}
	}
	for _, code := range codes {
		k := refusal{key, code.Status}
		e := c.refused[k]
		if e == nil {
			e = &locustError{locustKey: key, text: pythonError(hit.NoFailure, code.Status, "throttled", key.name), first: s.First, last: s.Last}
			c.refused[k] = e
		}
		e.count += code.Count
		e.first, e.last = min(e.first, s.First), max(e.last, s.Last)
	}
}

func (c *locustCSV) historyRow(e *locustEntry, at time.Duration, users int) {
	rps, fps := e.current(c.busy)
	h := &e.response
	if c.full {
		h = e.latest(c.second)
	}
	row := []string{
		strconv.FormatInt(c.started.Add(at).Unix(), 10), strconv.Itoa(users), e.method, e.name,
		fmt.Sprintf("%.6f", rps), fmt.Sprintf("%.6f", fps),
	}
	row = append(row, e.percentiles(h)...)
	row = append(row, strconv.FormatInt(e.requests, 10), strconv.FormatInt(e.failures, 10))
	c.history.row(append(row, e.middle()...)...)
}

// percentiles are whole milliseconds, as there, and N/A without a request.
func (e *locustEntry) percentiles(h *hist.Hist) []string {
	out := make([]string, len(locustQuantiles))
	for i, q := range locustQuantiles {
		out[i] = "N/A"
		if e.requests > 0 {
			out[i] = wholeMS(h.Quantile(q))
		}
	}
	return out
}

func wholeMS(d time.Duration) string {
	return strconv.FormatInt(int64(math.Round(float64(d)/float64(time.Millisecond))), 10)
}

// middle is median, average, min, max and average size.
func (e *locustEntry) middle() []string {
	if e.requests == 0 {
		return []string{"0", "0.0", "0", "0", "0"}
	}
	h := &e.response
	median := wholeMS(h.Quantile(0.5))
	// Locust keeps the rounded median inside the exact extremes.
	if m := math.Round(float64(h.Quantile(0.5))/1e6) * 1e6; m > float64(h.Max()) {
		median = pythonFloat(float64(h.Max()) / 1e6)
	} else if m < float64(h.Min()) {
		median = pythonFloat(float64(h.Min()) / 1e6)
	}
	return []string{
		median, pythonFloat(float64(h.Mean()) / 1e6), pythonFloat(float64(h.Min()) / 1e6), pythonFloat(float64(h.Max()) / 1e6),
		pythonFloat(float64(e.bytes) / float64(e.requests)),
	}
}

// end writes the files that hold only the final state.
func (c *locustCSV) end() {
	for _, e := range append(c.sorted, &c.all) {
		row := []string{e.method, e.name, strconv.FormatInt(e.requests, 10), strconv.FormatInt(e.failures, 10)}
		row = append(row, e.middle()...)
		row = append(row, pythonFloat(rate(e.requests, c.totals.Length)), pythonFloat(rate(e.failures, c.totals.Length)))
		c.stats.row(append(row, e.percentiles(&e.response)...)...)
	}
	for _, e := range c.errors() {
		c.failures.row(e.method, e.name, e.text, strconv.FormatInt(e.count, 10), c.stamp(e.first), c.stamp(e.last))
	}
}

// errors lists throttled and failed hits by reason. Their counts add up to the
// failures of the aggregated row.
func (c *locustCSV) errors() []*locustError {
	var out []*locustError
	left := c.totals.Outcome(hit.Failed).Count
	for _, e := range c.refused {
		out = append(out, e)
	}
	for _, e := range c.totals.Errors() {
		name := locustName(e.Method, e.Name)
		out = append(out, &locustError{
			locustKey: locustKey{name, e.Method}, text: pythonError(e.Failure, e.Status, e.Text, name),
			count: e.Count, first: e.First, last: e.Last,
		})
		left -= e.Count
	}
	if left > 0 {
		f := c.totals.Outcome(hit.Failed)
		out = append(out, &locustError{
			locustKey: locustKey{name: tally.Other}, text: "CatchResponseError('no reason was recorded')",
			count: left, first: f.First, last: f.Last,
		})
	}
	slices.SortFunc(out, func(a, b *locustError) int {
		return cmp.Or(compareKeys(a.locustKey, b.locustKey), cmp.Compare(a.text, b.text))
	})
	return out
}

func (c *locustCSV) stamp(at time.Duration) string {
	return c.started.Add(at).UTC().Format("2006-01-02T15:04:05Z")
}

// pythonError writes a reason as Locust would: the repr of the exception that
// Python's requests library raises in that case.
func pythonError(f hit.Failure, status int, text, name string) string {
	switch f {
	case hit.NoFailure:
		class := ""
		switch {
		case status >= 400 && status < 500:
			class = "Client"
		case status >= 500 && status < 600:
			class = "Server"
		}
		if class == "" {
			return "CatchResponseError(" + pythonString(text) + ")"
		}
		return "HTTPError(" + pythonString(fmt.Sprintf("%d %s Error: %s for url: %s", status, class, hit.StatusText(status), name)) + ")"
	case hit.CheckFailed:
		return "CatchResponseError(" + pythonString(text) + ")"
	case hit.ConnectRefused:
		return "ConnectionRefusedError(111, 'Connection refused')"
	case hit.ConnectTimeout:
		return "ConnectTimeout(" + pythonString(text) + ")"
	case hit.AnswerTimeout:
		return "ReadTimeout(" + pythonString(text) + ")"
	case hit.TLSFailed:
		return "SSLError(" + pythonString(text) + ")"
	case hit.ProxyFailed:
		return "ProxyError(" + pythonString(text) + ")"
	case hit.TooManyRedirects:
		return "TooManyRedirects(" + pythonString(text) + ")"
	case hit.ClosedEarly:
		return "RemoteDisconnected(" + pythonString(text) + ")"
	}
	return "ConnectionError(" + pythonString(text) + ")"
}

// pythonString is repr(s): single quotes unless s has one and no double quote.
func pythonString(s string) string {
	q := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	var b strings.Builder
	b.WriteByte(q)
	for _, r := range s {
		switch {
		case r == rune(q) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte(q)
	return b.String()
}

// pythonFloat is repr(x).
func pythonFloat(x float64) string { return book.Float(x) }
