package gate_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/gate"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/leaks"
	"github.com/weir-dev/weir/internal/policy"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// generous lets everything pass.
const generous = "policies:\n  - {name: all, limit: 1000000, window: 1s, answer: ratelimit}\n"

// running is a gate that serves.
type running struct {
	*gate.Gate
	t        testing.TB
	url      string // of the proxy
	check    string
	admin    string
	log      *syncBuffer // its access log
	said     *syncBuffer // what it told its operator
	stop     func()
	finished chan error
}

// start serves a gate with the policies (YAML) in front of the upstreams.
func start(t testing.TB, policies string, change func(*gate.Options), upstreams ...string) *running {
	t.Helper()
	return startTLS(t, policies, nil, change, upstreams...)
}

func startTLS(t testing.TB, policies string, certs *gate.Certificates, change func(*gate.Options), upstreams ...string) *running {
	t.Helper()
	r := &running{t: t, log: &syncBuffer{}, said: &syncBuffer{}, finished: make(chan error, 1)}
	o := gate.Options{File: parse(t, policies), AccessLog: r.log, DrainTimeout: 30 * time.Second}
	o.Logf = func(f string, args ...any) { fmt.Fprintf(r.said, f+"\n", args...) }
	for _, u := range upstreams {
		parsed, err := gate.ParseUpstream(u)
		if err != nil {
			t.Fatal(err)
		}
		o.Upstreams = append(o.Upstreams, parsed)
	}
	if change != nil {
		change(&o)
	}
	g, err := gate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Gate = g
	l := gate.Listeners{Proxy: listen(t), Check: listen(t), Admin: listen(t)}
	r.url, r.check, r.admin = "http://"+l.Proxy.Addr().String(), "http://"+l.Check.Addr().String()+"/check", "http://"+l.Admin.Addr().String()
	if certs != nil {
		r.url = "https://" + l.Proxy.Addr().String()
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.finished <- g.Serve(ctx, l, certs) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-r.finished; err != nil {
				t.Errorf("Serve: %v", err)
			}
			g.Close()
		})
	}
	t.Cleanup(r.stop)
	return r
}

func parse(t testing.TB, policies string) *policy.File {
	t.Helper()
	f, err := policy.Parse("test.yaml", []byte(policies))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// upstream serves h.
func upstream(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// client is one whose connections end with the test. How is "", "h2c" or "h2".
func client(t testing.TB, how string) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	switch how {
	case "h2c":
		tr.Protocols.SetUnencryptedHTTP2(true)
	case "h2":
		tr.Protocols.SetHTTP2(true)
	default:
		tr.Protocols.SetHTTP1(true)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get returns status, header fields and body. Pairs are request header fields.
func get(t testing.TB, c *http.Client, url string, pairs ...string) (int, http.Header, string) {
	t.Helper()
	return do(t, c, "GET", url, nil, pairs...)
}

func do(t testing.TB, c *http.Client, method, url string, body io.Reader, pairs ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == "Host" {
			r.Host = pairs[i+1]
			continue
		}
		r.Header[http.CanonicalHeaderKey(pairs[i])] = append(r.Header[http.CanonicalHeaderKey(pairs[i])], pairs[i+1])
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// eventually waits until f holds, and fails the test after a minute.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// syncBuffer is a buffer that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// lines waits for n lines of the access log.
func (r *running) lines(n int) []map[string]any {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%d lines of the access log", n), func() bool { return strings.Count(r.log.String(), "\n") >= n })
	var all []map[string]any
	for l := range strings.Lines(r.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(l), &m); err != nil {
			r.t.Fatalf("%q: %v", l, err)
		}
		all = append(all, m)
	}
	return all
}

func TestRefusesOverTheLimit(t *testing.T) {
	seen := 0
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) { seen++ })
	g := start(t, `policies:
  - name: per-key
    match: GET /api/**
    key: request.header["X-Api-Key"]
    limit: 3
    window: 1h
    algorithm: fixed-window
    answer: ratelimit
`, nil, up)
	c := client(t, "")
	for i := range 5 {
		status, h, _ := get(t, c, g.url+"/api/x?secret=hidden", "X-Api-Key", "top-secret-key", "Authorization", "Bearer hidden")
		want := 200
		if i >= 3 {
			want = 429
			if h.Get("Retry-After") == "" || !strings.Contains(h.Get("RateLimit"), `"per-key";r=0`) {
				t.Errorf("request %d: header fields %v", i, h)
			}
		}
		if status != want {
			t.Errorf("request %d: status %d, want %d", i, status, want)
		}
	}
	if status, _, _ := get(t, c, g.url+"/api/x", "X-Api-Key", "another"); status != 200 {
		t.Errorf("another key: %d", status)
	}
	if status, _, _ := get(t, c, g.url+"/else", "X-Api-Key", "top-secret-key"); status != 200 {
		t.Errorf("another path: %d", status)
	}
	if seen != 5 {
		t.Errorf("the upstream saw %d requests, want 5", seen)
	}
	lines := g.lines(7)
	refused := lines[3]
	if refused["outcome"] != "refused" || refused["policy"] != "per-key" || refused["status"] != 429.0 || refused["path"] != "/api/x" || refused["client"] != "127.0.0.1" {
		t.Errorf("line %v", refused)
	}
	if key, _ := refused["key"].(string); !strings.HasPrefix(key, "sha256:") {
		t.Errorf("key %v", refused["key"])
	}
	for _, secret := range []string{"hidden", "top-secret-key"} {
		if strings.Contains(g.log.String(), secret) {
			t.Errorf("the access log has %q", secret)
		}
		if _, _, stats := get(t, c, g.admin+"/stats"); strings.Contains(stats, secret) {
			t.Errorf("/stats has %q", secret)
		}
		if _, _, metrics := get(t, c, g.admin+"/metrics"); strings.Contains(metrics, secret) {
			t.Errorf("/metrics has %q", secret)
		}
	}
}

// TestManyClientsOneKey holds that 64 clients with one key together get what the
// policy says, and never one more.
func TestManyClientsOneKey(t *testing.T) {
	var served atomic.Int64
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) { served.Add(1) })
	g := start(t, "policies:\n  - {name: one, key: 'request.header[\"X-Key\"]', limit: 500, window: 24h, algorithm: fixed-window}\n", nil, up)
	c := client(t, "h2c")
	var admitted, refused atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 12 {
				switch status, _, _ := get(t, c, g.url, "X-Key", "k"); status {
				case 200:
					admitted.Add(1)
				case 429:
					refused.Add(1)
				default:
					t.Errorf("status %d", status)
				}
			}
		})
	}
	wg.Wait()
	if admitted.Load() != 500 || refused.Load() != 64*12-500 || served.Load() != 500 {
		t.Errorf("%d admitted, %d refused, %d served; want 500, %d, 500", admitted.Load(), refused.Load(), served.Load(), 64*12-500)
	}
}

func TestAdmin(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {})
	g := start(t, "policies:\n  - {name: two, limit: 2, window: 1h}\n", nil, up)
	c := client(t, "")
	for range 3 {
		get(t, c, g.url)
	}
	get(t, c, g.check, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/", "X-Forwarded-For", "192.0.2.1")
	g.lines(4)
	_, _, metrics := get(t, c, g.admin+"/metrics")
	checked := 0
	for _, want := range []string{
		`weir_gate_requests_total{class="2xx",outcome="passed"} 2`,
		`weir_gate_requests_total{class="4xx",outcome="refused"} 1`,
		`weir_gate_checks_total{outcome="refused"} 1`,
		`weir_policy_decisions_total{policy="two",result="allowed"} 2`,
		`weir_policy_decisions_total{policy="two",result="refused"} 2`,
		`weir_gate_in_flight 0`, `weir_keys 1`,
		`weir_upstream_ready{upstream="` + up + `"} 1`,
		`weir_upstream_requests_total{upstream="` + up + `"} 2`,
		`weir_gate_request_seconds_count{outcome="passed"} 2`,
		`weir_gate_decision_seconds_count 4`,
	} {
		checked++
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("/metrics has no line %s", want)
		}
	}
	if checked < 10 {
		t.Fatal("nothing was checked")
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/stats": 200, "/else": 404} {
		if status, _, _ := get(t, c, g.admin+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	var stats gate.Stats
	_, _, text := get(t, c, g.admin+"/stats")
	if err := json.Unmarshal([]byte(text), &stats); err != nil || stats.Upstreams[0].Requests != 2 || stats.Policies[0].Refused != 2 || !stats.Ready {
		t.Errorf("%v, %s", err, text)
	}
}

// TestReload holds that counts survive a reload, and that a file that cannot be
// kept changes nothing.
func TestReload(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {})
	text := "policies:\n  - {name: p, limit: %d, window: 1000h, algorithm: fixed-window}\n"
	g := start(t, fmt.Sprintf(text, 3), nil, up)
	c := client(t, "")
	statuses := func(n int) (s string) {
		for range n {
			status, _, _ := get(t, c, g.url)
			s += fmt.Sprint(status, " ")
		}
		return s
	}
	if got := statuses(4); got != "200 200 200 429 " {
		t.Fatal(got)
	}
	if err := g.Reload(parse(t, fmt.Sprintf(text, 5))); err != nil {
		t.Fatal(err)
	}
	if got := statuses(3); got != "200 200 429 " {
		t.Errorf("after the reload: %s", got)
	}
	bad := parse(t, fmt.Sprintf(text, 9))
	bad.Policies[0].Limit = 0
	if err := g.Reload(bad); err == nil {
		t.Error("a limit of 0 was accepted")
	}
	if got := statuses(1); got != "429 " || g.File().Policies[0].Limit != 5 {
		t.Errorf("after a bad file: %s, limit %d", got, g.File().Policies[0].Limit)
	}
	if s := g.Stats(); s.Reloads != 1 || s.ReloadError == "" {
		t.Errorf("%+v", s)
	}
}

// TestObserve holds that events of the guard can be followed, and that a fault
// there ends one request and is told.
func TestObserve(t *testing.T) {
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {})
	kinds := &syncBuffer{}
	g := start(t, "policies:\n  - {name: p, limit: 2, window: 1000h, algorithm: fixed-window}\n", func(o *gate.Options) {
		o.Guard.Observe = func(e *guard.Event) {
			if e.Subject.Path == "/fault" {
				panic("observed")
			}
			fmt.Fprintln(kinds, e.Kind)
		}
	}, up)
	c := client(t, "")
	if res, err := c.Get(g.url + "/fault"); err == nil {
		res.Body.Close()
		t.Errorf("a fault was answered %s", res.Status)
	}
	if !strings.Contains(g.said.String(), "panic serving") || !strings.Contains(g.said.String(), "observed") {
		t.Errorf("the fault was not told: %q", g.said.String())
	}
	for range 2 { // the fault was the first of the two that pass
		get(t, c, g.url)
	}
	if got := kinds.String(); got != "allowed\nrefused\n" {
		t.Errorf("events %q", got)
	}
	if g.Stats().InFlight != 0 {
		t.Error("the request with the fault is still counted as under way")
	}
}

func TestParseUpstream(t *testing.T) {
	bad := []string{"", "127.0.0.1:80", "ftp://x", "http://", "http://u:p@h/", "http://h/?q=1", "http://h/#f", "http://[::1", "/path"}
	for _, s := range bad {
		if u, err := gate.ParseUpstream(s); err == nil {
			t.Errorf("%q is accepted as %v", s, u)
		} else if strings.Contains(err.Error(), "u:p@") {
			t.Errorf("%q: the error has the password: %v", s, err)
		}
	}
	for _, s := range []string{"http://h", "https://h:1/base", "h2c://[::1]:80"} {
		if _, err := gate.ParseUpstream(s); err != nil {
			t.Error(err)
		}
	}
}

// raw sends text on a connection of its own and returns the answer's first line,
// or "" when there is none.
func raw(t testing.TB, base, text string) (first, rest string) {
	t.Helper()
	u, _ := url.Parse(base)
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, text) // the gate may have closed before it has all: the answer counts
	r := bufio.NewReader(c)
	line, _ := r.ReadString('\n')
	b, _ := io.ReadAll(io.LimitReader(r, 1<<20))
	return strings.TrimSpace(line), string(b)
}
