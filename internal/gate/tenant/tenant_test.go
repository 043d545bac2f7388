package tenant_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/gate/tenant"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/tenantlog"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// A guard's refusals get into the log at once and again each minute, warnings
// from 80 % on, for each policy and key; keys do not.
func TestFeed(t *testing.T) {
	f, err := policy.Parse("p", []byte("policies:\n  - {name: per client, limit: 5, window: 1000h, algorithm: fixed-window, warn-at: 80%, key: request.ip}\n"))
	if err != nil {
		t.Fatal(err)
	}
	now := start
	log := tenantlog.New(tenantlog.Options{})
	events := 0
	g, err := guard.New(f, guard.Options{
		Clock:   func() time.Time { return now },
		Observe: tenant.Feed(log, func(*guard.Event) { events++ }),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, at := range []time.Duration{0, time.Second, 60 * time.Second, 61 * time.Second} {
		now = start.Add(at)
		for range 6 {
			for _, ip := range []string{"192.0.2.7", "192.0.2.8"} {
				g.Check(t.Context(), &expr.Subject{Method: "GET", Path: "/x", IP: ip, Header: expr.Fields{"User-Agent": {"test"}}})
			}
		}
	}
	var got []string
	for _, e := range log.Read(tenantlog.Page{PerPage: 100, Ascending: true}).Logs {
		got = append(got, e.Date[14:19]+" "+e.Type+" "+e.IP)
		if e.UserAgent != "test" || !strings.HasPrefix(e.Description, "per client limit ") {
			t.Errorf("entry %+v", e)
		}
	}
	want := []string{
		"00:00 api_limit_warning 192.0.2.7", "00:00 api_limit_warning 192.0.2.8",
		"00:00 api_limit 192.0.2.7", "00:00 api_limit 192.0.2.8",
		"01:00 api_limit 192.0.2.7", "01:00 api_limit_warning 192.0.2.7",
		"01:00 api_limit 192.0.2.8", "01:00 api_limit_warning 192.0.2.8",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if events == 0 {
		t.Error("the next observer heard nothing")
	}
}

func TestHandler(t *testing.T) {
	log := tenantlog.New(tenantlog.Options{})
	for i := range 3 {
		log.Add(start.Add(time.Duration(i)*time.Second), tenantlog.Entry{Type: "api_limit", ClientID: fmt.Sprint(i)})
	}
	h := tenant.Handler(log)
	get := func(target string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		return w
	}
	w := get("/api/v2/logs?from=0&take=2")
	var logs []tenantlog.Entry
	if err := json.Unmarshal(w.Body.Bytes(), &logs); err != nil || w.Code != 200 || len(logs) != 2 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if want := "</api/v2/logs?from=" + logs[1].LogID + "&take=2>; rel=\"next\""; w.Header().Get("Link") != want {
		t.Errorf("Link %s, want %s", w.Header().Get("Link"), want)
	}
	if w := get("/api/v2/logs/" + logs[0].LogID); w.Code != 200 || !strings.Contains(w.Body.String(), logs[0].LogID) {
		t.Errorf("one entry: %d %s", w.Code, w.Body)
	}
	for target, status := range map[string]int{"/api/v2/logs?page=x": 400, "/api/v2/logs/1": 404, "/api": 404} {
		if w := get(target); w.Code != status {
			t.Errorf("%s: %d, want %d", target, w.Code, status)
		}
	}
}

// hook is a webhook that fails a number of times first.
type hook struct {
	mu    sync.Mutex
	fails int
	got   []string
	auth  string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if h.fails > 0 {
		h.fails--
		w.WriteHeader(503)
		return
	}
	var items []struct {
		ID   string `json:"log_id"`
		Data tenantlog.Entry
	}
	if json.Unmarshal(body, &items) != nil {
		w.WriteHeader(400)
		return
	}
	for _, i := range items {
		h.got = append(h.got, i.Data.ClientID)
		if i.ID != i.Data.LogID {
			w.WriteHeader(400)
		}
	}
	h.auth = r.Header.Get("Authorization")
}

// Every entry arrives once, in order, though the webhook fails at first.
func TestStream(t *testing.T) {
	h := &hook{fails: 2}
	server := httptest.NewServer(h)
	defer server.Close()
	s, err := tenant.NewStream(tenant.StreamOptions{URL: server.URL, Authorization: "Bearer x", Batch: 7, Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	log := tenantlog.New(tenantlog.Options{Sink: s.Push})
	var want []string
	for i := range 50 {
		log.Add(start, tenantlog.Entry{ClientID: fmt.Sprint(i)})
		want = append(want, fmt.Sprint(i))
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Join(h.got, " ") != strings.Join(want, " ") || h.auth != "Bearer x" {
		t.Errorf("got %v with %q", h.got, h.auth)
	}
	log.Add(start, tenantlog.Entry{})
	if st := s.Stats(); st != (tenant.StreamStats{Sent: 50, Dropped: 1}) {
		t.Errorf("stats %+v", st)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

// A webhook that never answers holds nobody up: entries are dropped and counted.
func TestStreamOfNoUse(t *testing.T) {
	stuck := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(stuck)
	s, err := tenant.NewStream(tenant.StreamOptions{URL: server.URL, Queue: 10, Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		s.Push(tenantlog.Entry{ClientID: fmt.Sprint(i)})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); err == nil {
		t.Error("Close did not say that entries were left")
	}
	st := s.Stats()
	if st.Sent != 0 || st.Dropped < 85 || st.Failed+st.Dropped != 100 {
		t.Errorf("stats %+v", st)
	}
}

func TestStreamErrors(t *testing.T) {
	for _, bad := range []string{"", "ftp://x", "http://", "http://user:secret@x/", "\x00"} {
		_, err := tenant.NewStream(tenant.StreamOptions{URL: bad})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
