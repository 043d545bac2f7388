package report

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/tally"
)

// CSVOptions says how the CSV files are written.
type CSVOptions struct {
	// FullHistory writes a row for each name and second into the history, and
	// percentiles of the latest ten seconds instead of those since the start:
	// what Locust does with --csv-full-history.
	FullHistory bool
}

// WriteCSV reads the run once and writes five files. create is called with the
// end of each name: "_outcomes.csv" is Weir's own; "_stats.csv",
// "_stats_history.csv", "_failures.csv" and "_exceptions.csv" are the ones that
// Locust writes. Every writer is closed.
func WriteCSV(run Run, o CSVOptions, create func(suffix string) (io.WriteCloser, error)) (err error) {
	c := &csvSet{create: create}
	defer func() {
		if e := c.close(); err == nil {
			err = e
		}
	}()
	own := &outcomesCSV{w: c.open("_outcomes.csv"), started: run.Meta.Started}
	locust := &locustCSV{
		stats: c.open("_stats.csv"), history: c.open("_stats_history.csv"),
		failures: c.open("_failures.csv"), exceptions: c.open("_exceptions.csv"),
		started: run.Meta.Started, full: o.FullHistory,
	}
	if c.err != nil {
		return c.err
	}
	own.head()
	locust.head()
	if run.Ticks != nil {
		for k, e := range run.Ticks {
			if e != nil {
				return e
			}
			if k == nil {
				continue
			}
			own.tick(k)
			locust.tick(k)
		}
	}
	locust.end()
	return nil
}

// csvSet opens the files of one run and keeps the first error.
type csvSet struct {
	create func(suffix string) (io.WriteCloser, error)
	files  []*csvFile
	err    error
}

func (c *csvSet) open(suffix string) *csvFile {
	f := &csvFile{}
	if c.err != nil {
		return f
	}
	w, err := c.create(suffix)
	if err != nil {
		c.err = err
		return f
	}
	f.to, f.buf = w, bufio.NewWriter(w)
	c.files = append(c.files, f)
	return f
}

func (c *csvSet) close() error {
	for _, f := range c.files {
		if err := f.buf.Flush(); c.err == nil {
			c.err = err
		}
		if err := f.to.Close(); c.err == nil {
			c.err = err
		}
	}
	return c.err
}

// csvFile writes rows as Python's csv.writer does by default: comma, CRLF, and
// quotes only where they are needed. encoding/csv differs: it quotes leading
// blanks and changes line ends inside a field.
type csvFile struct {
	to  io.Closer
	buf *bufio.Writer
}

func (f *csvFile) row(fields ...string) {
	for i, s := range fields {
		if i > 0 {
			f.buf.WriteByte(',')
		}
		if strings.ContainsAny(s, ",\"\r\n") {
			s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		// bufio keeps the first error and Flush reports it.
		f.buf.WriteString(s)
	}
	f.buf.WriteString("\r\n")
}

// outcomesCSV is Weir's own file: one row per second, name and outcome.
type outcomesCSV struct {
	w       *csvFile
	started time.Time
}

var outcomesHead = []string{
	"second", "timestamp", "length_seconds", "users", "in_flight", "planned", "sent",
	"method", "name", "outcome", "count", "rate_per_second",
	"response_min_ms", "response_mean_ms", "response_p50_ms", "response_p90_ms", "response_p95_ms", "response_p99_ms", "response_max_ms",
	"service_p50_ms", "service_p95_ms", "service_p99_ms", "service_max_ms",
	"received_bytes", "sent_bytes",
}

func (c *outcomesCSV) head() { c.w.row(outcomesHead...) }

// tick writes a row for each series of k. A second without any gets one row
// with an empty outcome, so that no second is left out.
func (c *outcomesCSV) tick(k *tally.Tick) {
	front := []string{
		strconv.Itoa(k.Index), "", number(secs(k.Length)), strconv.Itoa(k.Users), strconv.Itoa(k.InFlight),
		strconv.FormatInt(k.Due, 10), strconv.FormatInt(sends(k), 10),
	}
	if !c.started.IsZero() {
		front[1] = c.started.Add(k.Start).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	for i := range k.Series {
		s := &k.Series[i]
		row := append(front[:len(front):len(front)], s.Method, s.Name, s.Outcome.String(),
			strconv.FormatInt(s.Count, 10), number(perSecond(rate(s.Count, k.Length))))
		row = append(row, times(s.Response, true)...)
		row = append(row, times(s.Service, false)...)
		c.w.row(append(row, strconv.FormatInt(s.BytesIn, 10), strconv.FormatInt(s.BytesOut, 10))...)
	}
	if len(k.Series) == 0 {
		row := append(front[:len(front):len(front)], "", "", "", "0", "0")
		for len(row) < len(outcomesHead) {
			row = append(row, "")
		}
		c.w.row(row...)
	}
}

// times are the percentiles of h in milliseconds, empty when there are none.
func times(h *hist.Hist, full bool) []string {
	var v []float64
	if h.Count() > 0 {
		if full {
			v = append(v, ms(h.Min()), ms(h.Mean()))
		}
		v = append(v, ms(h.Quantile(0.50)))
		if full {
			v = append(v, ms(h.Quantile(0.90)))
		}
		v = append(v, ms(h.Quantile(0.95)), ms(h.Quantile(0.99)), ms(h.Max()))
	}
	n := 4
	if full {
		n = 7
	}
	out := make([]string, n)
	for i, x := range v {
		out[i] = number(x)
	}
	return out
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
