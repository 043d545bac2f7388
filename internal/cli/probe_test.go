package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/limit"
)

// limited is a server with a limit, which counts what it was asked.
type limited struct {
	mu    sync.Mutex
	l     limit.Limiter
	asked int
	after func(n int) int // the status of a refusal, by how many requests have come
}

func (s *limited) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if !s.l.Take(time.Now(), 1).Allowed {
		w.WriteHeader(s.after(s.asked))
	}
}

func probeOf(t *testing.T, status func(int) int, args ...string) (s *limited, out, errs string, code int) {
	t.Helper()
	l, err := limit.Policy{Limit: 20, Window: time.Second, Burst: 6}.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s = &limited{l: l, after: status}
	srv := httptest.NewServer(s)
	defer srv.Close()
	t.Chdir(t.TempDir()) // where a journal may be left
	var o, e bytes.Buffer
	code = Main(append([]string{"probe", srv.URL + "/"}, args...), strings.NewReader(""), &o, &e)
	return s, o.String(), e.String(), code
}

func tooMany(int) int { return http.StatusTooManyRequests }

func TestProbeFindsALimit(t *testing.T) {
	dir := t.TempDir()
	file, jsonFile := filepath.Join(dir, "found.limit.yaml"), filepath.Join(dir, "v.json")
	s, out, errs, code := probeOf(t, tooMany, "--max-requests", "150", "--max-time", "6s", "--out", file, "--json", jsonFile)
	if code != 0 || !strings.Contains(errs, "At worst: 150 requests") {
		t.Fatalf("exit %d, stderr %q", code, errs)
	}
	var v report.Probe
	b, err := os.ReadFile(jsonFile)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	if v.Requests != s.asked || v.Requests > 150 || v.Refused == 0 {
		t.Errorf("the verdict tells of %d requests with %d refused, the server saw %d", v.Requests, v.Refused, s.asked)
	}
	if v.Confidence <= 0 || v.Family == "no limit" || len(v.Policies) == 0 {
		t.Errorf("verdict %+v", v)
	}
	if !strings.Contains(out, v.Family) || !strings.Contains(out, "█") {
		t.Errorf("stdout: %s", out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := policy.Parse(file, data)
	if err != nil || len(f.Policies) != len(v.Policies) {
		t.Errorf("the policy file is not one: %v\n%s", err, data)
	}
}

func TestProbeStops(t *testing.T) {
	for name, c := range map[string]struct {
		status func(int) int
		want   string
	}{
		"lock-out": {func(n int) int {
			if n < 14 {
				return http.StatusTooManyRequests
			}
			return http.StatusForbidden
		}, "changed from status 429 to 403"},
		"errors": {func(int) int { return http.StatusInternalServerError }, "status 500"},
	} {
		s, out, _, _ := probeOf(t, c.status, "--throttled", "403", "--quiet", "--max-time", "10s")
		if !strings.Contains(out, c.want) || !strings.Contains(out, "cut short") {
			t.Errorf("%s: stdout %q", name, out)
		}
		// What one wave had sent by then is answered all the same.
		if s.asked > 100 {
			t.Errorf("%s: %d requests were sent all the same", name, s.asked)
		}
	}
}

func TestProbeSendsNothingUnasked(t *testing.T) {
	s, out, _, code := probeOf(t, tooMany, "--dry-run")
	if code != 0 || s.asked != 0 || !strings.Contains(out, "At worst: 5000 requests") {
		t.Errorf("dry run: exit %d, %d requests, %q", code, s.asked, out)
	}
	var o, e bytes.Buffer
	if code := Main([]string{"probe", "http://192.0.2.1/"}, strings.NewReader(""), &o, &e); code != exitUsage || !strings.Contains(e.String(), "--yes") {
		t.Errorf("a host elsewhere: exit %d, %q", code, e.String())
	}
	if code := Main([]string{"probe", "http://127.0.0.1/", "--max-requests", "0"}, strings.NewReader(""), &o, &e); code != exitUsage {
		t.Errorf("no bound: exit %d", code)
	}
}

// TestProbeOfARedirect: a limit behind a redirect is not met by asking for the redirect,
// so that no limit may not be what is found of it.
func TestProbeOfARedirect(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/there?token=secret", http.StatusFound)
	}))
	defer s.Close()
	var o, e bytes.Buffer
	code := Main([]string{"probe", s.URL, "-q", "--max-time", "5s", "--journal", filepath.Join(t.TempDir(), "j")}, strings.NewReader(""), &o, &e)
	if text := o.String(); code != exitCannotRun || asked != 1 || !strings.HasPrefix(text, "Nothing is known") || !strings.Contains(text, "a redirect to /there?") || strings.Contains(text, "secret") {
		t.Errorf("exit %d after %d requests: %s%s", code, asked, text, e.String())
	}
}

// TestProbeTimeIsUp: what is under way when the time is over is not waited for.
func TestProbeTimeIsUp(t *testing.T) {
	done, asked := make(chan struct{}), atomic.Int32{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 3 {
			select {
			case <-done:
			case <-r.Context().Done():
			}
		}
	}))
	defer srv.Close()
	defer close(done)
	t.Chdir(t.TempDir())
	var o, e bytes.Buffer
	from := time.Now()
	code := Main([]string{"probe", srv.URL + "/", "--max-time", "500ms", "--json", "v.json", "-q"}, strings.NewReader(""), &o, &e)
	took := time.Since(from)
	b, err := os.ReadFile("v.json")
	var r report.Probe
	if err != nil || json.Unmarshal(b, &r) != nil {
		t.Fatalf("%v: %s%s", err, o.String(), e.String())
	}
	if code != 0 || took > 15*time.Second || r.StopKind != "time" || r.Lost == 0 || !strings.Contains(r.Stopped, "--max-time") {
		t.Errorf("exit %d after %v, stopped by %q (%s), %d lost", code, took, r.StopKind, r.Stopped, r.Lost)
	}
}
