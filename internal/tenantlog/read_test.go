package tenantlog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/tenantlog"
)

const (
	good1 = `{"date":"2026-11-21T12:00:00.000Z","type":"api_limit","description":"Global limit has been reached","log_id":"1"}`
	good2 = `{"date":"2026-11-21T12:00:01.000Z","type":"s","log_id":"2"}`
)

// packed is a text in gzip, as little as possible compressed, so that it can be cut.
func packed(s string) string {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.NoCompression)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

func TestReadLog(t *testing.T) {
	tests := []struct {
		name, in string
		entries  int
		problems string // parts of them, joined
		err      string
	}{
		{"nothing", " \n", 0, "", ""},
		{"lines", good1 + "\n\n" + good2 + "\r\n", 2, "", ""},
		{"an array", "[\n" + good1 + ",\n" + good2 + "\n]", 2, "", ""},
		{"with totals", `{"start":0,"limit":2,"logs":[` + good1 + `,` + good2 + `]}`, 2, "", ""},
		{"of a stream", `{"log_id":"7","data":` + good1 + "}\n", 1, "", ""},
		{"a byte order mark", "\ufeff" + good1, 1, "", ""},
		{"one bad line", good1 + "\n{nonsense\n" + good2, 2, "line 2: not JSON", ""},
		{"no type", good1 + "\n" + `{"date":"2026-11-21T12:00:01.000Z"}`, 1, "line 2: has no type", ""},
		{"no date", "[\n" + good1 + ",\n\n" + `{"type":"x","date":"yesterday"}` + "\n]", 1, `line 4: its date "yesterday" is not of the form`, ""},
		{"a wrong kind", "[" + good1 + ",\n" + `{"type":5,"date":"x"}]`, 1, "line 2: type is number", ""},
		{"numbers", "[1,\n2]", 0, "line 1: ; line 2: ", ""},
		{"cut off", "[" + good1 + ",\n" + good2[:20], 1, "", "line 2: not JSON: it ends in the middle of an entry"},
		{"not closed", "[" + good1, 1, "", "not closed"},
		{"cut off line", good1 + "\n" + good2[:20], 1, "line 2: not JSON", "line 2: the log was cut off"},
		{"bad, not cut off", good1 + "\n" + good2[:20] + "\n", 1, "line 2: not JSON", ""},
		{"EventBridge", `{"version":"0","detail-type":"Auth0 log","detail":{"log_id":"7","data":` + good1 + "}}\n", 1, "", ""},
		{"Event Grid", `[{"id":"1","eventType":"x","data":{"log_id":"7","data":` + good1 + `}},{"type":"com.x","data":` + good2 + `}]`, 2, "", ""},
		{"too many envelopes", strings.Repeat(`{"data":`, 9) + good1 + strings.Repeat("}", 9), 0, "line 1: has no type", ""},
		{"gzip", packed(good1 + "\n" + good2), 2, "", ""},
		{"gzip that was cut off", packed(good1 + "\n" + good2 + "\n")[:160], 1, "line 2: not JSON", "the compressed log was cut off"},
		{"no gzip", "\x1f\x8bhello", 0, "", "begins as gzip does and is not"},
		{"no log", "hello", 0, "line 1: not JSON", ""},
	}
	if len(tests) < 12 {
		t.Fatal("too few cases")
	}
	for _, tt := range tests {
		r, err := tenantlog.Read(strings.NewReader(tt.in))
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.err)
		}
		if r == nil {
			r = &tenantlog.Reading{}
		}
		if len(r.Entries) != tt.entries {
			t.Errorf("%s: %d entries, want %d", tt.name, len(r.Entries), tt.entries)
		}
		var all []string
		for _, p := range r.Problems {
			all = append(all, p.Error())
		}
		for _, want := range strings.Split(tt.problems, "; ") {
			if got := strings.Join(all, "\n"); !strings.Contains(got, want) || tt.problems == "" && got != "" {
				t.Errorf("%s: problems %q, want %q", tt.name, got, want)
			}
		}
	}
}

// TestReadBack: what a Log writes, in each of its forms, is read again.
func TestReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lines bytes.Buffer
		l := tenantlog.New(tenantlog.Options{Lines: &lines})
		at := start
		for range rapid.IntRange(0, 30).Draw(t, "decisions") {
			at = at.Add(time.Duration(rapid.IntRange(0, 100_000).Draw(t, "gap")) * time.Millisecond)
			d := warned
			if rapid.Bool().Draw(t, "refused") {
				d = refused
			}
			l.Decided(at, tenantlog.Bucket{ID: "a", Name: rapid.SampledFrom([]string{"Global", "ü\n"}).Draw(t, "name")}, d, tenantlog.Request{Method: "GET", Path: "/x", ClientID: "c"})
		}
		want := l.Read(tenantlog.Page{PerPage: 100, Ascending: true})
		page, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range [][]byte{lines.Bytes(), page} {
			got, err := tenantlog.Read(bytes.NewReader(in))
			if err != nil || got.Bad != 0 || len(got.Entries) != len(want.Logs) {
				t.Fatalf("%d entries, %d bad, %v; want %d", len(got.Entries), got.Bad, err, len(want.Logs))
			}
			for i := range got.Entries {
				if got.Entries[i].LogID != want.Logs[i].LogID || got.Entries[i].Date != want.Logs[i].Date {
					t.Fatalf("entry %d is %+v, want %+v", i, got.Entries[i], want.Logs[i])
				}
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(good1 + "\n" + good2))
	f.Add([]byte("[\n" + good1 + ",\n" + good2 + "\n]"))
	f.Add([]byte(`{"logs":[` + good1 + `]}`))
	f.Add([]byte(`{"log_id":"7","data":` + good1 + "}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, _ := tenantlog.Read(bytes.NewReader(data))
		if r == nil {
			return
		}
		d := tenantlog.Diagnose(r.Entries)
		d.Sentences()
		if d.Entries > len(r.Entries) {
			t.Errorf("%d entries of %d", d.Entries, len(r.Entries))
		}
		lines := bytes.Count(data, []byte{'\n'}) + 1
		for _, p := range r.Problems {
			if p.Line < 1 || p.Line > lines {
				t.Errorf("problem in line %d of %d", p.Line, lines)
			}
		}
	})
}

// entry is one of a log.
func entry(after time.Duration, kind, bucket, client string) tenantlog.Entry {
	what := map[string]string{"api_limit": " limit has been reached", "api_limit_warning": " limit is about to be reached"}[kind]
	return tenantlog.Entry{Date: tenantlog.Date(start.Add(after)), Type: kind, Description: bucket + what, ClientID: client, LogID: fmt.Sprint(after, kind, bucket),
		Details: map[string]any{"request": map[string]any{"method": "post", "path": "/oauth/token"}}}
}

// TestDiagnose is seed 001's diagnosis: which bucket, who, how early the warning
// came, how long it lasted.
func TestDiagnose(t *testing.T) {
	const m = time.Minute
	entries := []tenantlog.Entry{
		entry(0, "s", "", ""),
		entry(1*m, "api_limit_warning", "Global", "web"),
		entry(2*m, "api_limit_warning", "Global", "web"),
		entry(3*m, "api_limit_warning", "Global", "web"),
		entry(3*m+20*time.Second, "api_limit", "Global", "web"),
		entry(4*m+21*time.Second, "api_limit", "Global", "job"),
		entry(5*m+22*time.Second, "api_limit", "Global", "job"),
		entry(20*m, "api_limit", "Global", "job"),
		entry(21*m, "api_limit_warning", "Management", "job"),
		entry(30*m, "appi", "", ""),
		entry(45*m, "appi", "", ""),
	}
	entries = append(entries, entries[4]) // read twice
	d := tenantlog.Diagnose(entries)
	if d.Entries != 11 || d.Types["api_limit"] != 4 || d.Other["s"] != 1 || len(d.Buckets) != 2 {
		t.Fatalf("%+v", d)
	}
	b := d.Buckets[0]
	if b.Name != "Global" || b.Limited != 4 || b.Warnings != 3 || len(b.Stretches) != 2 {
		t.Fatalf("%+v", b)
	}
	s := b.Stretches[0]
	if s.Warned == nil || *s.Warned != 140 || s.AtLeast != 122 || s.AtMost != 182 || s.Entries != 3 {
		t.Errorf("first stretch %+v: want a warning 140 s before, 122 to 182 s long", s)
	}
	if s := b.Stretches[1]; s.Warned != nil || s.AtLeast != 0 {
		t.Errorf("second stretch %+v: want no warning, one entry", s)
	}
	if b.Clients[0].ID != "job" || b.Clients[0].Entries != 3 || b.Paths[0].Request != "POST /oauth/token" {
		t.Errorf("clients %+v, requests %+v", b.Clients, b.Paths)
	}
	if d.Burst == nil || d.Burst.Blocks != 2 || d.Burst.Minutes != 30 || d.Burst.Months["2026-11"] != 2 || d.Burst.Most != 192 {
		t.Errorf("burst %+v", d.Burst)
	}
	want := []string{
		"Global: refused from 2026-11-21 12:03:20.000 on, 2m20s after the first warning; in 2 stretches, the longest from 2026-11-21 12:03:20.000 for 2m2s to 3m2s; client job brought 3 of 4 entries.",
		"Management: nearly used up, from 2026-11-21 12:21:00.000 on (warnings: 1), and never refused.",
		"The performance burst: 2 blocks of 15 minutes were used, the first at 2026-11-21 12:30:00.000, the last at 2026-11-21 12:45:00.000; there are 192 a month.",
	}
	if got := d.Sentences(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
