package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/lab/auth0"
	"github.com/weir-dev/weir/internal/tenantlog"
	"github.com/weir-dev/weir/limit"
)

// TestLogsAPI reads more entries than one page has from a tenant whose Management
// API refuses: nothing is lost, nothing comes twice, and the limit is obeyed.
func TestLogsAPI(t *testing.T) {
	limits := auth0.Limits{
		Authentication: []auth0.Bucket{{Burst: 100, Sustained: 100, Per: time.Second}},
		Management:     []auth0.Bucket{{Burst: 6, Sustained: 6, Per: time.Second}},
	}
	tenant, err := auth0.New(auth0.Config{Limits: &limits})
	if err != nil {
		t.Fatal(err)
	}
	var asked, refused atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &statusOf{ResponseWriter: w}
		tenant.ServeHTTP(rec, r)
		if strings.HasPrefix(r.URL.Path, "/api/v2/") {
			asked.Add(1)
			if rec.status == http.StatusTooManyRequests {
				refused.Add(1)
			}
		}
	}))
	defer server.Close()
	const entries = 1437
	for i := range entries {
		tenant.Log().Decided(time.Now(), tenantlog.Bucket{ID: fmt.Sprint(i), Name: "Global"}, limit.Decision{}, tenantlog.Request{ClientID: "c"})
	}
	token := labToken(t, server.URL)
	api, err := newLogsAPI(server.URL, token, "AUTH0_TOKEN")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	got, err := api.all(ctx, "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range got {
		if seen[e.LogID] {
			t.Fatalf("entry %s came twice", e.LogID)
		}
		seen[e.LogID] = true
	}
	if len(got) < entries || len(got) > entries+5 { // the reading itself may be logged
		t.Errorf("%d entries, want %d", len(got), entries)
	}
	// It waits when nothing is left, so it is refused hardly ever.
	if n := refused.Load(); n > 2 || asked.Load() < 15 {
		t.Errorf("%d of %d requests were refused; it does not keep the limit", n, asked.Load())
	}
	some, err := api.all(ctx, got[99].LogID, 50)
	if err != nil || len(some) != 50 || some[0].LogID != got[100].LogID {
		t.Errorf("since an entry: %d entries, %v; want the 50 after it", len(some), err)
	}
}

// statusOf remembers the status of an answer.
type statusOf struct {
	http.ResponseWriter
	status int
}

func (s *statusOf) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// labToken gets a token of the stand-in's machine client.
func labToken(t *testing.T, base string) string {
	t.Helper()
	res, err := http.Post(base+"/oauth/token", "application/json", strings.NewReader(fmt.Sprintf(
		`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q}`, auth0.MachineClientID, auth0.MachineSecret)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body [8192]byte
	n, _ := res.Body.Read(body[:])
	_, rest, ok := strings.Cut(string(body[:n]), `"access_token":"`)
	token, _, end := strings.Cut(rest, `"`)
	if !ok || !end {
		t.Fatalf("no token in %d bytes, status %d", n, res.StatusCode)
	}
	return token
}

// TestLogsAPIHostile: answers that are no log end the reading with an error, and the
// token is never part of one, nor sent to another host.
func TestLogsAPIHostile(t *testing.T) {
	const token = "very-secret-token"
	var elsewhere atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Store(true) }))
	defer other.Close()
	answers := []struct {
		name, want string
		serve      http.HandlerFunc
	}{
		{"html", "cannot be read", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") }},
		{"cut off", "cannot be read", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `[{"date":`) }},
		{"forbidden", "answered 403: no", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, `{"message":"no\u001b[31m"}`)
		}},
		{"redirect", "answered 302", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }},
		{"a wait of hours", "asks to wait", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "36000")
			w.WriteHeader(429)
		}},
		{"hangs up", "", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for _, a := range answers {
		server := httptest.NewServer(a.serve)
		api, err := newLogsAPI(server.URL, token, "X")
		if err != nil {
			t.Fatal(err)
		}
		_, err = api.all(t.Context(), "", 10)
		server.Close()
		if err == nil || !strings.Contains(err.Error(), a.want) || strings.Contains(err.Error(), token) || strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("%s: error %v, want %q", a.name, err, a.want)
		}
	}
	if elsewhere.Load() {
		t.Error("a redirect to another host was followed")
	}
	for _, bad := range []string{"http://example.com", "ftp://x", "https://", "https://user:pw@example.com", "http://[::2]"} {
		if _, err := newLogsAPI(bad, token, "X"); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: %v, want it refused", bad, err)
		}
	}
	for _, bad := range []string{"", "two words", "line\n"} {
		if _, err := newLogsAPI("https://example.com", bad, "X"); err == nil {
			t.Errorf("token %q is accepted", bad)
		}
	}
}
