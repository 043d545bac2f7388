package twin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/internal/lab/twin"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/policy/envoy"
	"github.com/weir-dev/weir/limit"
)

func newTwin(t *testing.T, cfg twin.Config, text string) *twin.Server {
	t.Helper()
	if text != "" {
		f, err := policy.Parse("test.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		cfg.File = f
	}
	s, err := twin.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func ask(s http.Handler, method, target, body string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:4711"
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func codes(s http.Handler, n int, method, target, body string, fields ...string) string {
	var out []int
	for range n {
		out = append(out, ask(s, method, target, body, fields...).Code)
	}
	return fmt.Sprint(out)
}

const logins = `
policies:
  - name: sign-in
    match: POST /login
    key: request.ip
    algorithm: fixed-window
    limit: 2
    window: 1h
    tell: x-ratelimit
    answer: auth0
  - name: failures
    key: request.ip
    algorithm: fixed-window
    limit: 2
    window: 1h
    count-if: response.status == 401
  - name: traffic
    match: /files/**
    key: subscription.key
    algorithm: quota
    limit: 1000
    window: 24h
    cost: response.bytes
  - algorithm: fixed-window
    shadow: true
    limit: 1
    window: 1h
`

func TestTwin(t *testing.T) {
	s := newTwin(t, twin.Config{}, logins)
	for _, c := range []struct {
		n              int
		method, target string
		fields         []string
		want           string
	}{
		{3, "GET", "/", nil, "[200 200 200]"},
		{3, "POST", "/login", nil, "[200 200 429]"},
		{1, "POST", "//login", nil, "[429]"}, // the same path
		{1, "POST", "/login", []string{"X-Forwarded-For", "203.0.113.7"}, "[200]"},
		{3, "GET", "/", []string{"X-Forwarded-For", "203.0.113.8", "X-Twin-Status", "401"}, "[401 401 429]"},
		{4, "GET", "/files/1", []string{"X-Twin-Bytes", "400", "Ocp-Apim-Subscription-Key", "a"}, "[200 200 200 429]"},
		{2, "GET", "/files/1?subscription-key=b", []string{"X-Twin-Bytes", "1000"}, "[200 429]"},
		{1, "GET", "/", []string{"X-Twin-Status", "204"}, "[204]"},
		{1, "GET", "/", []string{"X-Twin-Status", "99"}, "[400]"},
		{1, "GET", "/", []string{"X-Twin-Bytes", "-1"}, "[400]"},
	} {
		if got := codes(s, c.n, c.method, c.target, "", c.fields...); got != c.want {
			t.Errorf("%s %s %v: %s, want %s", c.method, c.target, c.fields, got, c.want)
		}
	}
	w := ask(s, "POST", "/login", "")
	if w.Header().Get("X-RateLimit-Remaining") != "0" || !strings.Contains(w.Body.String(), "Global limit") {
		t.Errorf("refused with %v %s", w.Header(), w.Body)
	}
	if w := ask(s, "GET", "/", ""); w.Body.String() != "{\"ok\":true}\n" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	st := s.Stand().Stats(-1)
	var got []string
	for _, c := range st.Categories {
		got = append(got, fmt.Sprintf("%s %d/%d", c.Category, c.ThrottleCount, c.CallCount))
	}
	if text := strings.Join(got, ", "); text != "sign-in 3/6, failures 1/17, traffic 2/6, policy 4 0/16" {
		t.Errorf("counted %s", text)
	}
	if st.Requests != 22 || st.Answers["429"] != 6 {
		t.Errorf("%d requests, answers %v", st.Requests, st.Answers)
	}
}

func TestCommands(t *testing.T) {
	s := newTwin(t, twin.Config{}, "policies:\n  - match: POST /users/{id}/'x/**\n    limit: 1\n    window: 1s\n")
	for _, c := range s.Commands("http://h") {
		if !strings.Contains(c[1], "http://h/users/1/-x/1") || !strings.Contains(c[1], "POST") {
			t.Errorf("%s: %s", c[0], c[1])
		}
	}
	if got := codes(newTwin(t, twin.Config{Clock: func() time.Time { return time.Unix(0, 0) }}, ""), 11, "GET", "/", ""); got != "[200 200 200 200 200 200 200 200 200 200 429]" {
		t.Errorf("without a file: %s", got)
	}
}

// TestEnvoy asks for a descriptor as the reference service's own HTTP door does,
// and as the twin says that one can.
func TestEnvoy(t *testing.T) {
	f, err := envoy.Parse("envoy.yaml", []byte("domain: shop\ndescriptors:\n  - key: client\n    rate_limit: {unit: hour, requests_per_unit: 2}\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := newTwin(t, twin.Config{File: f}, "")
	if got := codes(s, 2, "GET", "/", ""); got != "[200 200]" {
		t.Errorf("not a descriptor: %s", got)
	}
	line := s.Commands("http://h")[0][1]
	_, body, _ := strings.Cut(line, "-d '")
	body = strings.TrimSuffix(body, "'")
	if got := codes(s, 3, "POST", "/json", body); got != "[200 200 429]" {
		t.Errorf("%s: %s", body, got)
	}
	if c := s.Stand().Stats(-1).Categories[0]; c.CallCount != 3 || c.ThrottleCount != 1 {
		t.Errorf("counted %+v", c)
	}
}

// TestSlots holds a request of a concurrency limit until its answer is complete,
// and through every fault.
func TestSlots(t *testing.T) {
	f := &policy.File{Policies: []policy.Policy{{Policy: limit.Policy{Name: "slots", Algorithm: limit.Concurrency, Limit: 2}}}}
	synctest.Test(t, func(t *testing.T) {
		steps, err := stand.ParseScript("ok*2 reset hang error ok slow ok")
		if err != nil {
			t.Fatal(err)
		}
		s := newTwin(t, twin.Config{File: f, Latency: stand.Latency{Base: time.Second}, Faults: stand.Faults{Script: steps, HangFor: time.Second}}, "")
		client := overHTTP(t, s)
		// The transport would send again what a connection used before has lost.
		client.Transport.(*http.Transport).DisableKeepAlives = true
		send := func() (status int) {
			res, err := client.Get("http://twin/")
			if err != nil {
				return 0
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			return res.StatusCode
		}
		for round, want := range []string{"[200 200]", "[0 0]", "[200 500]", "[200 200]"} {
			var wg sync.WaitGroup
			got := make([]int, 2)
			for i := range got {
				wg.Go(func() { got[i] = send() })
				synctest.Wait() // one after the other
			}
			if code := send(); code != 429 {
				t.Errorf("round %d: a third got %d, want 429", round, code)
			}
			wg.Wait()
			if round == 2 && got[0] == 500 {
				got[0], got[1] = got[1], got[0] // both wake at the same instant
			}
			if text := fmt.Sprint(got); text != want {
				t.Errorf("round %d: %s, want %s", round, text, want)
			}
		}
	})
}

// TestTogether has 64 clients at once: as many pass as may.
func TestTogether(t *testing.T) {
	s := newTwin(t, twin.Config{}, "policies:\n  - algorithm: fixed-window\n    limit: 100\n    window: 24h\n")
	server := httptest.NewServer(s)
	defer server.Close()
	server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 4 {
				res, err := server.Client().Get(server.URL)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	wg.Wait()
	if st := s.Stand().Stats(-1); st.Answers["200"] != 100 || st.Answers["429"] != 156 {
		t.Errorf("answers %v, want 100 of 200 and 156 of 429", st.Answers)
	}
}
