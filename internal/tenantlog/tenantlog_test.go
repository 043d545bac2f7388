package tenantlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/tenantlog"
	"github.com/weir-dev/weir/limit"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

var (
	refused = limit.Decision{Warn: true}
	warned  = limit.Decision{Allowed: true, Warn: true}
	fine    = limit.Decision{Allowed: true}
)

func TestNews(t *testing.T) {
	type told struct {
		after  time.Duration
		bucket string
		d      limit.Decision
		want   string // letters: l for api_limit, w for api_limit_warning
	}
	tests := []struct {
		name string
		told []told
	}{
		{"at once, and again each minute it lasts", []told{
			{0, "a", fine, ""},
			{time.Second, "a", refused, "lw"},
			{2 * time.Second, "a", refused, ""},
			{60 * time.Second, "a", refused, ""},
			{61*time.Second - 1, "a", refused, ""},
			{61 * time.Second, "a", refused, "lw"},
			{120 * time.Second, "a", refused, ""},
			{121 * time.Second, "a", refused, "lw"},
			{time.Hour, "a", refused, "lw"},
		}},
		{"each bucket by itself", []told{
			{0, "a", refused, "lw"},
			{1, "b", refused, "lw"},
			{2, "a", refused, ""},
			{3, "b", refused, ""},
		}},
		{"warnings have their own minute", []told{
			{0, "a", warned, "w"},
			{30 * time.Second, "a", refused, "l"},
			{60 * time.Second, "a", warned, "w"},
			{89 * time.Second, "a", refused, ""},
			{90 * time.Second, "a", refused, "l"},
			{200 * time.Second, "a", fine, ""},
		}},
		{"a refusal of a policy without a warning", []told{
			{0, "a", limit.Decision{}, "l"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := tenantlog.New(tenantlog.Options{})
			entries := 0
			for i, one := range tt.told {
				limited, warned := l.Decided(start.Add(one.after), tenantlog.Bucket{ID: one.bucket, Name: "Global"}, one.d, tenantlog.Request{})
				got := ""
				if limited {
					got += "l"
				}
				if warned {
					got += "w"
				}
				if got != one.want {
					t.Errorf("step %d: got %q, want %q", i+1, got, one.want)
				}
				entries += len(got)
			}
			if st := l.Stats(); st.Written != int64(entries) || st.Kept != entries {
				t.Errorf("stats %+v, want %d entries", st, entries)
			}
		})
	}
}

// The lines are those of auth0/auth0-deploy-cli issue 386, field by field.
func TestLines(t *testing.T) {
	var lines bytes.Buffer
	var heard []string
	l := tenantlog.New(tenantlog.Options{Lines: &lines, Sink: func(e tenantlog.Entry) { heard = append(heard, e.Type) }})
	at := time.Date(2021, 10, 13, 6, 38, 19, 312_999_999, time.UTC)
	l.Decided(at, tenantlog.Bucket{ID: "g", Name: "Global"}, refused, tenantlog.Request{
		Method: "PUT", Path: "/api/v2/rules-configs/{key}", ClientID: "xxxx", UserAgent: "Other 0.0.0 / Other 0.0.0",
	})
	const id = "90020211013063819312000000000000000000000000000000000001"
	want := `{"date":"2021-10-13T06:38:19.312Z","type":"api_limit","description":"Global limit has been reached","client_id":"xxxx","client_name":"",` +
		`"user_agent":"Other 0.0.0 / Other 0.0.0","details":{"request":{"method":"put","path":"/api/v2/rules-configs/{key}"},"response":{}},` +
		`"log_id":"` + id + `","_id":"` + id + `","isMobile":false}`
	got, _, _ := strings.Cut(lines.String(), "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if strings.Join(heard, " ") != "api_limit api_limit_warning" || strings.Count(lines.String(), "\n") != 2 {
		t.Errorf("heard %v, lines\n%s", heard, lines.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestHarmlessInput(t *testing.T) {
	l := tenantlog.New(tenantlog.Options{Lines: broken{}})
	bad := strings.Repeat("ü", 5000) + "\xff\n\"\x00"
	l.Decided(start, tenantlog.Bucket{ID: bad, Name: "x"}, refused, tenantlog.Request{Method: bad, Path: bad, ClientID: bad, IP: bad, UserAgent: "\xff\r\nX: y"})
	text, err := json.Marshal(l.Read(tenantlog.Page{PerPage: 10}))
	if err != nil || len(text) > 5000 || bytes.ContainsAny(text, "\r\n\x00") || !json.Valid(text) {
		t.Errorf("%v %s", err, text)
	}
	if st := l.Stats(); st.Failed != 2 {
		t.Errorf("failed lines: %d, want 2", st.Failed)
	}
}

// A client that makes new buckets all the time fills neither the log nor the memory.
func TestBounded(t *testing.T) {
	l := tenantlog.New(tenantlog.Options{Keep: 100, Buckets: 50})
	for i := range 10_000 {
		l.Decided(start.Add(time.Duration(i)*time.Millisecond), tenantlog.Bucket{ID: fmt.Sprint(i)}, refused, tenantlog.Request{})
	}
	if st := l.Stats(); st.Kept != 100 || st.Written != 20_000 {
		t.Errorf("stats %+v", st)
	}
	first := l.Read(tenantlog.Page{PerPage: 1}).Logs[0]
	if first.LogID[len(first.LogID)-5:] != "20000" {
		t.Errorf("the newest is %s", first.LogID)
	}
}

// 48 hours in blocks of 15 minutes, each with its entry, and again next month.
func TestBurst(t *testing.T) {
	l := tenantlog.New(tenantlog.Options{})
	b := tenantlog.Bucket{ID: "auth"}
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	steps := []struct {
		after time.Duration
		ok    bool
		want  int64 // entries so far
	}{
		{0, true, 1},
		{time.Second, true, 1},
		{15*time.Minute - 1, true, 1},
		{15 * time.Minute, true, 2},
		{time.Hour, true, 3},
	}
	for i, st := range steps {
		if ok := l.Burst(at.Add(st.after), b, tenantlog.Request{}); ok != st.ok || l.Stats().Written != st.want {
			t.Errorf("step %d: %v with %d entries, want %v with %d", i+1, ok, l.Stats().Written, st.ok, st.want)
		}
	}
	n := 3
	for next := at.Add(2 * time.Hour); l.Burst(next, b, tenantlog.Request{}); next = next.Add(15 * time.Minute) {
		if n++; n > 1000 {
			t.Fatal("the allotment has no end")
		}
	}
	if n != 192 {
		t.Errorf("%d blocks, want 192: 48 hours", n)
	}
	if l.Burst(time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC), b, tenantlog.Request{}) {
		t.Error("more than 48 hours in one month")
	}
	if !l.Burst(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), b, tenantlog.Request{}) {
		t.Error("nothing in the next month")
	}
	page := tenantlog.Page{PerPage: 2, Search: []tenantlog.Term{{Field: "type", Value: "appi"}}}
	logs := l.Read(page).Logs
	text, _ := json.Marshal(logs[1].Details)
	if string(text) != `{"consumed_minutes":2880,"remaining_minutes":0}` {
		t.Errorf("details of the last block: %s", text)
	}
}

func filled(n int) *tenantlog.Log {
	l := tenantlog.New(tenantlog.Options{Keep: 2000})
	for i := range n {
		l.Add(start.Add(time.Duration(i)*time.Second), tenantlog.Entry{Type: []string{"api_limit", "s"}[i%2], ClientID: fmt.Sprint(i)})
	}
	return l
}

func TestRead(t *testing.T) {
	l := filled(120)
	all := l.Read(tenantlog.Page{PerPage: 100, Ascending: true}).Logs
	tests := []struct{ query, want string }{
		{"", "119-70"},
		{"per_page=100", "119-20"},
		{"per_page=100&page=1", "19-0"},
		{"per_page=100&page=2", ""},
		{"per_page=3&sort=date:1", "0-2"},
		{"per_page=3&q=type:s", "119 117 115"},
		{`per_page=9&q=type:"s" AND client_id:11*`, "119 117 115 113 111 11"},
		{"per_page=9&q=client_id:5", "5"},
		{"per_page=9&q=client_id:nobody", ""},
		{"per_page=0", ""},
		{"from=" + all[97].LogID + "&take=2", "98 99"},
		{"from=" + all[97].LogID + "&take=2&page=9&per_page=1&q=client_id:5", "98 99"},
		{"from=1&take=2", "0 1"},
		{"from=90020300101000000000000000000000000000000000000000000000&take=2", ""},
	}
	for _, tt := range tests {
		q, err := url.ParseQuery(strings.ReplaceAll(tt.query, " ", "+"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := tenantlog.ParsePage(q)
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		var ids []string
		for _, e := range l.Read(p).Logs {
			ids = append(ids, e.ClientID)
		}
		got := strings.Join(ids, " ")
		if len(ids) > 2 && strings.Contains(tt.want, "-") {
			got = ids[0] + "-" + ids[len(ids)-1]
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.query, got, tt.want)
		}
	}
}

func TestResultJSON(t *testing.T) {
	l := filled(3)
	tests := []struct{ query, want string }{
		{"per_page=1&fields=type,client_id", `[{"client_id":"2","type":"api_limit"}]`},
		{"per_page=1&page=1&include_totals=true&fields=type", `{"start":1,"limit":1,"length":1,"total":3,"logs":[{"type":"s"}]}`},
		{"per_page=1&fields=date,type,client_name,log_id,_id,isMobile&include_fields=false", `[{"client_id":"2"}]`},
		{"page=9", `[]`},
	}
	for _, tt := range tests {
		q, _ := url.ParseQuery(tt.query)
		p, err := tenantlog.ParsePage(q)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(l.Read(p)); err != nil || string(got) != tt.want {
			t.Errorf("%s: got %s %v, want %s", tt.query, got, err, tt.want)
		}
	}
}

func TestParsePageErrors(t *testing.T) {
	for query, want := range map[string]string{
		"page=-1":                 "page: must be a number",
		"per_page=101":            "per_page: must be a number from 0 to 100",
		"take=0&from=x":           "take: must be a number from 1 to 100",
		"per_page=100&page=10":    "paging reaches the first 1000 results",
		"include_totals=yes":      "include_totals: must be true or false",
		"include_fields=1":        "include_fields: must be true or false",
		"sort=type:1":             "sort: must be",
		"q=colour:red":            "q: write field:value",
		"q=type:s AND and so on":  "q: write field:value",
		"page=99999999999999999x": "page: must be a number",
	} {
		q, _ := url.ParseQuery(strings.ReplaceAll(query, " ", "+"))
		if _, err := tenantlog.ParsePage(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", query, err, want)
		}
	}
}

// Reading on from the last id gives every entry once, in order, while others
// are written.
func TestCheckpoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := filled(rapid.IntRange(0, 30).Draw(t, "before"))
		at, n := start.Add(time.Hour), int(l.Stats().Written)
		from, got := "0", []string{}
		for range rapid.IntRange(1, 20).Draw(t, "rounds") {
			res := l.Read(tenantlog.Page{From: from, Take: rapid.IntRange(1, 9).Draw(t, "take")})
			for _, e := range res.Logs {
				got = append(got, e.ClientID)
			}
			if res.Next != "" {
				from = res.Next
			}
			for range rapid.IntRange(0, 3).Draw(t, "more") {
				// The clock may stand still and step back.
				at = at.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "step")) * time.Second)
				l.Add(at, tenantlog.Entry{ClientID: fmt.Sprint(n)})
				n++
			}
		}
		for i, id := range got {
			if id != fmt.Sprint(i) {
				t.Fatalf("entry %d is %s: %v", i, id, got)
			}
		}
	})
}

func TestConcurrent(t *testing.T) {
	l := tenantlog.New(tenantlog.Options{Keep: 50})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				l.Decided(start.Add(time.Duration(i)*time.Second), tenantlog.Bucket{ID: fmt.Sprint(g)}, refused, tenantlog.Request{})
				l.Burst(start, tenantlog.Bucket{}, tenantlog.Request{})
				l.Read(tenantlog.Page{PerPage: 10})
			}
		})
	}
	wg.Wait()
	logs := l.Read(tenantlog.Page{PerPage: 100, Ascending: true}).Logs
	if !slices.IsSortedFunc(logs, func(a, b tenantlog.Entry) int { return strings.Compare(a.LogID, b.LogID) }) {
		t.Error("ids are not in order")
	}
}

func FuzzParsePage(f *testing.F) {
	f.Add("page=1&per_page=5&q=type:api_limit AND client_id:\"x\"&fields=a,b")
	f.Add("from=9002&take=3")
	l := filled(5)
	f.Fuzz(func(t *testing.T, text string) {
		q, _ := url.ParseQuery(text)
		p, err := tenantlog.ParsePage(q)
		if err != nil {
			return
		}
		res := l.Read(p)
		if len(res.Logs) > 100 {
			t.Errorf("%d entries", len(res.Logs))
		}
		if out, err := json.Marshal(res); err != nil || !json.Valid(out) {
			t.Error(err)
		}
	})
}
