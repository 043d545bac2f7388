package book

import "time"

// Report is what the HTML page shows.
type Report struct {
	Started, Ended time.Time // Ended is the latest request, or Started without any
	Rows           []Row     // by name and method; the last one is Aggregated
	Failures       []Failure // by name, method and text
	Problems       []Problem
	History        []Point
}

// Row is a name and a method. Times are in milliseconds, sizes in bytes.
type Row struct {
	Method, Name           string
	Requests, Fails        int64
	Average, Min, Max      float64
	Size                   float64
	RPS, FailuresPerSecond float64 // means of the whole run
	Percentiles            []int64 // see ReportQuantiles
}

// Failure is a kind of failure.
type Failure struct {
	Method, Name, Text string
	Count              int64
	First, Last        time.Time
}

// Problem is a kind of exception of the script.
type Problem struct {
	Kind, Message, Traceback string
	Count                    int64
}

// Point is a moment of the charts.
type Point struct {
	At                     time.Time
	Users                  int64
	RPS, FailuresPerSecond float64
	P50, P95               int64 // of about the last ten seconds, ms
}

// ReportQuantiles are those of the HTML page.
var reportQuantiles = []float64{0.50, 0.60, 0.70, 0.80, 0.90, 0.95, 0.99, 1}

// ReportPercents are the heads of the columns of Row.Percentiles.
func ReportPercents() []string {
	return []string{"50%ile (ms)", "60%ile (ms)", "70%ile (ms)", "80%ile (ms)", "90%ile (ms)", "95%ile (ms)", "99%ile (ms)", "100%ile (ms)"}
}

// Report copies the book for the HTML page, with a last point in its charts.
func (b *Book) Report(now time.Time) Report {
	rows := b.rows(false)
	total := rows[len(rows)-1]
	r := Report{Started: time.Unix(0, total.since), Ended: time.Unix(0, max(total.last, total.since))}
	for _, f := range rows {
		row := Row{
			Method: f.method, Name: f.name, Requests: f.requests, Fails: f.failed,
			Average: f.average(), Min: f.min, Max: f.max, Size: f.size(),
		}
		row.RPS, row.FailuresPerSecond = f.rates()
		for _, q := range reportQuantiles {
			row.Percentiles = append(row.Percentiles, f.percentile(q))
		}
		r.Rows = append(r.Rows, row)
	}
	for _, f := range b.failures(true) {
		r.Failures = append(r.Failures, Failure{f.method, f.name, f.text, f.count, time.Unix(0, f.first), time.Unix(0, f.last)})
	}
	for _, p := range b.exceptions() {
		r.Problems = append(r.Problems, Problem{p.kind, p.message, p.traceback, p.count})
	}
	b.window.Lock()
	defer b.window.Unlock()
	history := b.history
	if n := len(history); n == 0 || now.Unix() > history[n-1].at {
		b.point(now, total)
		history, b.history = b.history, b.history[:n]
	}
	for _, m := range history {
		r.History = append(r.History, Point{time.Unix(m.at, 0), m.users, m.requests, m.failures, m.p50, m.p95})
	}
	return r
}
