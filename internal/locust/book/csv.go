package book

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Columns, as locust/stats.py of 2.47.0 has them (read 2026-11-22).
var (
	quantiles = []float64{0.50, 0.66, 0.75, 0.80, 0.90, 0.95, 0.98, 0.99, 0.999, 0.9999, 1}

	requestColumns = []string{
		"Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time",
		"Min Response Time", "Max Response Time", "Average Content Size", "Requests/s", "Failures/s",
	}
	historyColumns = []string{"Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"}
	totalColumns   = []string{
		"Total Request Count", "Total Failure Count", "Total Median Response Time", "Total Average Response Time",
		"Total Min Response Time", "Total Max Response Time", "Total Average Content Size",
	}
	failureColumns   = []string{"Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"}
	exceptionColumns = []string{"Count", "Message", "Traceback", "Nodes"}
)

// WriteRequests writes what PREFIX_stats.csv holds: a row for each name and
// method, and the aggregated one.
func (b *Book) WriteRequests(w io.Writer) error {
	t := &table{}
	t.row(slices.Concat(requestColumns, b.percents())...)
	for _, f := range b.rows(false) {
		requests, failures := f.shown(false)
		row := append([]string{f.method, f.name, integer(f.requests), integer(f.failed)}, f.middle()...)
		row = append(row, Float(requests), Float(failures))
		t.row(append(row, f.percents(b.quantiles, &f.times, f.requests-f.untimed)...)...)
	}
	return t.to(w)
}

// HistoryHead writes the first line of PREFIX_stats_history.csv.
func (b *Book) HistoryHead(w io.Writer) error {
	t := &table{}
	t.row(slices.Concat(historyColumns, b.percents(), totalColumns)...)
	return t.to(w)
}

// WriteHistory writes the lines of one second of PREFIX_stats_history.csv: the
// aggregated one, and after FullHistory one for each name before it.
//
// Subtle: as in Locust, the percentiles are those since the start, except that
// with the full history they are those of about the last ten seconds.
func (b *Book) WriteHistory(w io.Writer, now time.Time) error {
	t := &table{}
	rows := b.rows(false)
	b.window.Lock()
	defer b.window.Unlock()
	if !b.full {
		rows = rows[len(rows)-1:]
	}
	at, users := now.Unix(), integer(b.users.Load())
	for i, f := range rows {
		requests, failures := f.current()
		times, n := &f.times, f.requests-f.untimed
		if b.full {
			c := &b.recent
			if i < len(rows)-1 {
				b.mu.RLock()
				c = &b.entries[f.key].latest
				b.mu.RUnlock()
			}
			late, m, _ := c.since(at, f)
			times, n = &late, m
		}
		row := []string{integer(at), users, f.method, f.name, fmt.Sprintf("%.6f", requests), fmt.Sprintf("%.6f", failures)}
		row = append(row, f.percents(b.quantiles, times, n)...)
		row = append(row, integer(f.requests), integer(f.failed))
		t.row(append(row, f.middle()...)...)
	}
	return t.to(w)
}

// WriteFailures writes what PREFIX_failures.csv holds.
func (b *Book) WriteFailures(w io.Writer) error {
	t := &table{}
	t.row(failureColumns...)
	for _, f := range b.failures(true) {
		t.row(f.method, f.name, f.text, integer(f.count), stamp(f.first), stamp(f.last))
	}
	return t.to(w)
}

// WriteExceptions writes what PREFIX_exceptions.csv holds.
func (b *Book) WriteExceptions(w io.Writer) error {
	t := &table{}
	t.row(exceptionColumns...)
	for _, p := range b.exceptions() {
		t.row(integer(p.count), p.message, p.traceback, "local")
	}
	return t.to(w)
}

// Percentiles are those of the CSV files and the console, 0 to 1; Locust's own
// when it is not called. To be called before anything is written.
func (b *Book) Percentiles(list []float64) { b.quantiles = list }

// percents are the heads of their columns.
func (b *Book) percents() []string {
	out := make([]string, len(b.quantiles))
	for i, q := range b.quantiles {
		if x := q * 100; x == math.Trunc(x) {
			out[i] = integer(int64(x)) + "%"
		} else {
			out[i] = Float(math.Round(x*1e6)/1e6) + "%"
		}
	}
	return out
}

// percents are whole milliseconds, N/A for a name without a request.
func (f *figures) percents(quantiles []float64, times *buckets, n int64) []string {
	out := make([]string, len(quantiles))
	for i, q := range quantiles {
		out[i] = "N/A"
		if f.requests > 0 {
			out[i] = integer(times.percentile(n, q))
		}
	}
	return out
}

// middle is median, average, minimum, maximum and average size.
func (f *figures) middle() []string {
	size := "0"
	if f.requests > 0 {
		size = Float(f.size())
	}
	return []string{number(f.median()), Float(f.average()), number(f.min), number(f.max), size}
}

func integer(n int64) string { return strconv.FormatInt(n, 10) }

// table is CSV as Python's csv module writes it: CRLF, and quotes only where a
// comma, a quote or a line end is inside.
type table struct{ strings.Builder }

func (t *table) row(cells ...string) {
	for i, c := range cells {
		if i > 0 {
			t.WriteByte(',')
		}
		if !strings.ContainsAny(c, ",\"\r\n") {
			t.WriteString(c)
			continue
		}
		t.WriteByte('"')
		t.WriteString(strings.ReplaceAll(c, `"`, `""`))
		t.WriteByte('"')
	}
	t.WriteString("\r\n")
}

func (t *table) to(w io.Writer) error {
	_, err := io.WriteString(w, t.String())
	return err
}

func utc(seconds int64) string { return time.Unix(seconds, 0).UTC().Format("2006-01-02T15:04:05Z") }
