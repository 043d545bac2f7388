package tenantlog

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Limits of one answer (Management API, GET /api/v2/logs, read 2026-11-21).
const (
	defaultPerPage = 50
	maxPerPage     = 100
	maxSearched    = 1000 // results that paging reaches
)

// Page is what a request for entries asks for: a page of what a search finds,
// or, with From, the entries after one that the client has.
type Page struct {
	Page, PerPage int  // from 0; PerPage from 0 to 100
	IncludeTotals bool // the answer is an object with the totals

	From string // a log_id; the fields above and below are without effect then
	Take int    // from 1 to 100

	Search    []Term   // all must hold
	Ascending bool     // oldest first
	Fields    []string // only these, or with Exclude all but these; nil for all
	Exclude   bool
}

// Term is one condition of a search: a field that equals a value, or begins with
// it when it ends with *.
type Term struct{ Field, Value string }

// ParsePage reads the query of a request. The error is for the client.
func ParsePage(q url.Values) (p Page, err error) {
	p.PerPage, p.Take = defaultPerPage, defaultPerPage
	for _, n := range []struct {
		name     string
		to       *int
		min, max int
	}{{"page", &p.Page, 0, maxSearched}, {"per_page", &p.PerPage, 0, maxPerPage}, {"take", &p.Take, 1, maxPerPage}} {
		text := q.Get(n.name)
		if text == "" {
			continue
		}
		v, err := strconv.Atoi(text)
		if err != nil || v < n.min || v > n.max {
			return p, fmt.Errorf("query %s: must be a number from %d to %d", n.name, n.min, n.max)
		}
		*n.to = v
	}
	p.IncludeTotals, err = boolean(q, "include_totals", false)
	if err != nil {
		return p, err
	}
	include, err := boolean(q, "include_fields", true)
	if err != nil {
		return p, err
	}
	p.Exclude = !include
	if text := q.Get("fields"); text != "" {
		p.Fields = strings.Split(text, ",")
	}
	switch q.Get("sort") {
	case "", "date:-1":
	case "date:1":
		p.Ascending = true
	default:
		return p, fmt.Errorf("query sort: must be date:1 or date:-1")
	}
	if p.From = q.Get("from"); p.From != "" {
		return p, nil
	}
	if p.Page*p.PerPage+p.PerPage > maxSearched {
		return p, fmt.Errorf("query page: paging reaches the first %d results; narrow the search, or read on from a log_id with from and take", maxSearched)
	}
	p.Search, err = parseSearch(q.Get("q"))
	return p, err
}

func boolean(q url.Values, name string, otherwise bool) (bool, error) {
	switch q.Get(name) {
	case "":
		return otherwise, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("query %s: must be true or false", name)
}

// parseSearch reads field:value terms joined by AND; a value may be quoted.
func parseSearch(text string) (terms []Term, err error) {
	for _, one := range strings.Split(text, " AND ") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		field, value, ok := strings.Cut(one, ":")
		if _, known := (&Entry{}).field(field); !ok || !known {
			return nil, fmt.Errorf("query q: write field:value, joined by AND; fields are date, type, description, client_id, client_name, user_id, ip, hostname, user_agent, log_id")
		}
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		terms = append(terms, Term{Field: field, Value: value})
	}
	return terms, nil
}

func (t Term) holds(e *Entry) bool {
	got, _ := e.field(t.Field)
	if prefix, ok := strings.CutSuffix(t.Value, "*"); ok {
		return strings.HasPrefix(got, prefix)
	}
	return got == t.Value
}

// Result is the answer to a Page.
type Result struct {
	Start, Limit, Total int
	Logs                []Entry
	Next                string // with From: the log_id to go on from; "" when there was nothing

	page Page
}

// Read returns the entries that a page asks for.
func (l *Log) Read(p Page) Result { return Select(l.snapshot(), p) }

// Select returns the entries that a page asks for, of all there are, oldest first.
// An unknown From is taken as older than every entry, since entries are kept for
// a time only.
func Select(entries []Entry, p Page) Result {
	res := Result{page: p, Logs: []Entry{}}
	if p.From != "" {
		at, found := slices.BinarySearchFunc(entries, p.From, func(e Entry, id string) int { return strings.Compare(e.LogID, id) })
		switch {
		case found:
			at++
		case len(p.From) != idLength || strings.Trim(p.From, "0123456789") != "":
			at = 0
		}
		res.Logs = append(res.Logs, entries[at:min(len(entries), at+p.Take)]...)
		if n := len(res.Logs); n > 0 {
			res.Next = res.Logs[n-1].LogID
		}
		return res
	}
	var found []Entry
	for i := range entries {
		e := &entries[i]
		if !slices.ContainsFunc(p.Search, func(t Term) bool { return !t.holds(e) }) {
			found = append(found, *e)
		}
	}
	if !p.Ascending {
		slices.Reverse(found)
	}
	res.Start, res.Limit, res.Total = p.Page*p.PerPage, p.PerPage, len(found)
	found = found[:min(len(found), maxSearched)]
	if res.Start < len(found) {
		res.Logs = append(res.Logs, found[res.Start:min(len(found), res.Start+p.PerPage)]...)
	}
	return res
}

const idLength = 56

// MarshalJSON writes a result as the Management API does: a list of entries, or
// with include_totals an object around it.
func (r Result) MarshalJSON() ([]byte, error) {
	var logs any = r.Logs
	if len(r.page.Fields) > 0 {
		picked, err := r.pick()
		if err != nil {
			return nil, err
		}
		logs = picked
	}
	if !r.page.IncludeTotals || r.page.From != "" {
		return json.Marshal(logs)
	}
	return json.Marshal(struct {
		Start  int `json:"start"`
		Limit  int `json:"limit"`
		Length int `json:"length"`
		Total  int `json:"total"`
		Logs   any `json:"logs"`
	}{r.Start, r.Limit, len(r.Logs), r.Total, logs})
}

// pick leaves of each entry the fields that were asked for.
func (r Result) pick() ([]map[string]any, error) {
	out := make([]map[string]any, 0, len(r.Logs))
	for _, e := range r.Logs {
		text, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		all := map[string]any{}
		if err := json.Unmarshal(text, &all); err != nil {
			return nil, err
		}
		for name := range all {
			if slices.Contains(r.page.Fields, name) == r.page.Exclude {
				delete(all, name)
			}
		}
		out = append(out, all)
	}
	return out, nil
}
