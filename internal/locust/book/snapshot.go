package book

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Stats is a copy of the whole book in the words of Locust's statistics, to be
// sent to the script as JSON: environment.stats is made of it.
type Stats struct {
	Entries []Entry    `json:"entries"` // in the order of their first request
	Total   Entry      `json:"total"`
	Errors  []ErrorRow `json:"errors"` // in the order of their first occurrence
}

// Entry is one row, with the names and units that Locust gives it: times in
// milliseconds, instants in Unix seconds.
type Entry struct {
	Name     string  `json:"name"`
	Method   string  `json:"method"`
	Last     *Moment `json:"last_request_timestamp"` // null before the first request
	Started  Moment  `json:"start_time"`
	Requests int64   `json:"num_requests"`
	Untimed  int64   `json:"num_none_requests"`
	Failures int64   `json:"num_failures"`
	Sum      Sum     `json:"total_response_time"`
	Max      Number  `json:"max_response_time"`
	Min      *Number `json:"min_response_time"` // null before the first request
	Length   int64   `json:"total_content_length"`
	Times    Counts  `json:"response_times"`
	Seconds  Counts  `json:"num_reqs_per_sec"`
	Failing  Counts  `json:"num_fail_per_sec"`
}

// ErrorRow is one kind of failure.
type ErrorRow struct {
	Name        string `json:"name"`
	Method      string `json:"method"`
	Error       string `json:"error"`
	Occurrences int64  `json:"occurrences"`
	First       Moment `json:"first_seen"`
	Last        Moment `json:"last_seen"`
}

// Number is a time in milliseconds as the script gave it: whole numbers are
// written without a point.
type Number float64

// MarshalJSON writes n.
func (n Number) MarshalJSON() ([]byte, error) { return []byte(number(float64(n))), nil }

// Moment is an instant in Unix seconds.
type Moment float64

// MarshalJSON writes m as Python writes a float.
func (m Moment) MarshalJSON() ([]byte, error) { return []byte(Float(float64(m))), nil }

// Sum is a sum of times; Broken says that one of them was not a whole number.
type Sum struct {
	MS     float64
	Broken bool
}

// MarshalJSON writes s as Python writes such a sum.
func (s Sum) MarshalJSON() ([]byte, error) {
	if s.Broken {
		return []byte(Float(s.MS)), nil
	}
	return []byte(number(s.MS)), nil
}

// Counts is a JSON object of counts in the order of their numbers.
type Counts []Count

// Count says how often a number came.
type Count struct{ Value, Count int64 }

// MarshalJSON writes c as {"20": 3, "110": 1}.
func (c Counts) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, x := range c {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, '"')
		b = strconv.AppendInt(b, x.Value, 10)
		b = append(b, `": `...)
		b = strconv.AppendInt(b, x.Count, 10)
	}
	return append(b, '}'), nil
}

// Snapshot copies the book.
func (b *Book) Snapshot() Stats {
	rows := b.rows(true)
	s := Stats{Entries: []Entry{}, Errors: []ErrorRow{}, Total: rows[len(rows)-1].entry()}
	rows = rows[:len(rows)-1]
	slices.SortFunc(rows, func(a, b *figures) int { return cmp.Compare(a.number, b.number) })
	for _, f := range rows {
		s.Entries = append(s.Entries, f.entry())
	}
	for _, f := range b.failures(false) {
		s.Errors = append(s.Errors, ErrorRow{
			Name: f.name, Method: f.method, Error: f.text, Occurrences: f.count, First: Moment(unix(f.first)), Last: Moment(unix(f.last)),
		})
	}
	return s
}

func (f *figures) entry() Entry {
	e := Entry{
		Name: f.name, Method: f.method, Started: Moment(unix(f.started)), Requests: f.requests, Untimed: f.untimed, Failures: f.failed,
		Sum: Sum{f.sum, f.broken}, Max: Number(f.max), Length: f.length, Times: Counts{}, Seconds: Counts{}, Failing: Counts{},
	}
	if f.last != 0 {
		last := Moment(unix(f.last))
		e.Last = &last
	}
	if f.requests > f.untimed {
		least := Number(f.min)
		e.Min = &least
	}
	for v, n := range f.times.ascending {
		e.Times = append(e.Times, Count{v, n})
	}
	for _, s := range f.seconds {
		if s.requests > 0 {
			e.Seconds = append(e.Seconds, Count{int64(s.unix), int64(s.requests)})
		}
		if s.failed > 0 {
			e.Failing = append(e.Failing, Count{int64(s.unix), int64(s.failed)})
		}
	}
	return e
}

// WriteJSON writes what --json prints: an array with an object for each name
// and method that had a request, and no sum.
func (b *Book) WriteJSON(w io.Writer) error {
	list := []Entry{}
	for _, e := range b.Snapshot().Entries {
		if e.Requests > 0 || e.Failures > 0 {
			list = append(list, e)
		}
	}
	var t strings.Builder
	enc := json.NewEncoder(&t)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "    ")
	if err := enc.Encode(list); err != nil {
		return err
	}
	_, err := io.WriteString(w, t.String())
	return err
}
