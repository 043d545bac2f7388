package limithttp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/limit"
	"github.com/weir-dev/weir/limit/limithttp"
)

func mustNew(t testing.TB, cfg limithttp.Config) *limithttp.Limiter {
	t.Helper()
	l, err := limithttp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func get(h http.Handler, path string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func codes(h http.Handler, n int, path string, fields ...string) (out []int) {
	for range n {
		out = append(out, get(h, path, fields...).Code)
	}
	return out
}

var hour = limit.Policy{Name: "hour", Algorithm: limit.FixedWindow, Limit: 2, Window: 1000 * time.Hour}

func TestPolicies(t *testing.T) {
	var events []string
	cost := func(r *http.Request) int64 {
		if strings.HasPrefix(r.URL.Path, "/dear") {
			return 2
		}
		return 1
	}
	l := mustNew(t, limithttp.Config{
		Policies: []limithttp.Policy{
			{Policy: hour, Key: limithttp.ByHeader("X-Api-Key"), Cost: cost, Tell: "x-ratelimit", Answer: "auth0"},
			{Policy: limit.Policy{Name: "posts", Limit: 1, Window: time.Hour}, Match: []string{"POST", "/posts/*"}},
			{Policy: limit.Policy{Name: "trial", Limit: 1, Window: time.Hour}, Shadow: true, Key: limithttp.ByClient},
		},
		Observe: func(e limithttp.Event) { events = append(events, e.Policy+" "+e.Kind) },
	})
	h := l.Handler(http.NotFoundHandler())
	if got := fmt.Sprint(codes(h, 3, "/", "X-Api-Key", "a")); got != "[404 404 429]" {
		t.Errorf("one key: %v", got)
	}
	if got := fmt.Sprint(events); got != "[hour allowed trial allowed hour allowed trial shadow-refused hour refused]" {
		t.Errorf("events %s", got)
	}
	if got := fmt.Sprint(codes(h, 2, "/dear", "X-Api-Key", "b")); got != "[404 429]" {
		t.Errorf("a cost of two: %v", got)
	}
	if got := fmt.Sprint(codes(h, 1, "/posts/7", "X-Api-Key", "c"), codes(h, 1, "/posts//./8", "X-Api-Key", "c"), codes(h, 1, "/posts/7/x", "X-Api-Key", "c")); got != "[404] [429] [404]" {
		t.Errorf("matched: %v", got)
	}
	w := get(h, "/", "X-Api-Key", "a")
	if w.Header().Get("X-RateLimit-Remaining") != "0" || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "Global limit") {
		t.Errorf("answer %v %s", w.Header(), w.Body)
	}
}

func TestRefuse(t *testing.T) {
	l := mustNew(t, limithttp.Config{
		Policies: []limithttp.Policy{{Policy: hour}},
		Refuse: func(w http.ResponseWriter, _ *http.Request, e limithttp.Event) {
			w.WriteHeader(503)
			fmt.Fprintf(w, "%s: %v", e.Policy, e.Decision.RetryAfter > 0)
		},
	})
	h := l.Handler(http.NotFoundHandler())
	codes(h, 2, "/")
	if w := get(h, "/"); w.Code != 503 || w.Body.String() != "hour: true" || w.Header().Get("RateLimit") == "" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
}

func TestFile(t *testing.T) {
	const text = `
policies:
  - name: failures
    key: request.ip
    algorithm: fixed-window
    limit: %d
    window: 1h
    count-if: response.status == 401
`
	l := mustNew(t, limithttp.Config{File: fmt.Appendf(nil, text, 2)})
	h := l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(401)
		}
	}))
	if got := fmt.Sprint(codes(h, 3, "/"), codes(h, 3, "/bad"), codes(h, 1, "/")); got != "[200 200 200] [401 401 429] [429]" {
		t.Errorf("%v", got)
	}
	if err := l.Reload(fmt.Appendf(nil, text, 3)); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(codes(h, 2, "/bad")); got != "[401 429]" {
		t.Errorf("after a reload: %v", got)
	}
	if err := l.Reload([]byte("policies: []")); err == nil || !strings.Contains(err.Error(), "1:") {
		t.Errorf("a file without policies: %v", err)
	}
	if l := mustNew(t, limithttp.Config{File: []byte(`<policies><inbound><rate-limit-by-key calls="1" renewal-period="60" counter-key="@(context.Request.IpAddress)" /></inbound></policies>`)}); fmt.Sprint(codes(l.Handler(http.NotFoundHandler()), 2, "/")) != "[404 429]" {
		t.Error("APIM's XML is not kept")
	}
}

func TestBadConfig(t *testing.T) {
	one := []limithttp.Policy{{Policy: hour}}
	for want, cfg := range map[string]limithttp.Config{
		"either":         {},
		"either Pol":     {Policies: one, File: []byte("policies:")},
		"limit":          {Policies: []limithttp.Policy{{}}},
		"match":          {Policies: []limithttp.Policy{{Policy: hour, Match: []string{"posts"}}}},
		`tell "loud"`:    {Policies: []limithttp.Policy{{Policy: hour, Tell: "loud"}}},
		"IPv6Prefix 129": {Policies: one, IPv6Prefix: 129},
		`answer "no"`:    {Policies: []limithttp.Policy{{Policy: hour, Answer: "no"}}},
		"not a network":  {Policies: one, TrustedProxies: []string{"proxy.example"}},
		"f.yaml:1:1":     {File: []byte("polices: []"), FileName: "f.yaml"},
		"policies:1":     {File: []byte("<policies><inbound>")},
		"no limit in it": {File: []byte("<policies><inbound><base /></inbound></policies>")},
	} {
		if _, err := limithttp.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if mustNew(t, limithttp.Config{Policies: one}).Reload([]byte("policies:")) == nil {
		t.Error("a limiter without a file was reloaded")
	}
}

// TestInProgress: what a concurrency limit holds is given back when the handler
// returns, panics, or the client goes away; and only then.
func TestInProgress(t *testing.T) {
	l := mustNew(t, limithttp.Config{Policies: []limithttp.Policy{{Policy: limit.Policy{Algorithm: limit.Concurrency, Limit: 1}}}})
	inside, leave := make(chan bool), make(chan bool)
	h := l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/wait":
			inside <- true
			<-leave
		case "/panic":
			panic(http.ErrAbortHandler)
		}
		if _, ok := w.(http.Flusher); !ok {
			t.Error("the writer cannot be flushed")
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	}))
	var wg sync.WaitGroup
	wg.Go(func() { get(h, "/wait") })
	<-inside
	if code := get(h, "/").Code; code != 429 {
		t.Errorf("while one is inside: %d", code)
	}
	leave <- true
	wg.Wait()
	func() {
		defer func() { _ = recover() }() // that is what it is asked for
		get(h, "/panic")
	}()
	if code := get(h, "/").Code; code != 200 {
		t.Errorf("afterwards: %d", code)
	}
}

// TestDelay has requests wait in a leaky bucket, in virtual time.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l := mustNew(t, limithttp.Config{Policies: []limithttp.Policy{{Policy: limit.Policy{Algorithm: limit.LeakyBucket, Limit: 1, Window: time.Second, Burst: 5}}}})
		var served atomic.Int64
		h := l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { get(h, "/") })
		}
		wg.Wait()
		if took := time.Since(start); took != 3*time.Second || served.Load() != 4 {
			t.Errorf("%d served in %v, want 4 in 3s", served.Load(), took)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		func() {
			defer func() {
				if r := recover(); r != http.ErrAbortHandler {
					t.Errorf("recovered %v: net/http would answer 200", r)
				}
			}()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(ctx))
		}()
		if served.Load() != 4 {
			t.Error("served to a client that has gone")
		}
	})
}

// TestNothingBelieved: without trusted proxies a client cannot be another.
func TestNothingBelieved(t *testing.T) {
	l := mustNew(t, limithttp.Config{Policies: []limithttp.Policy{{Policy: hour, Key: limithttp.ByClient}}})
	h := l.Handler(http.NotFoundHandler())
	var got []int
	for i := range 3 {
		got = append(got, get(h, "/", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i)).Code)
	}
	if fmt.Sprint(got) != "[404 404 429]" {
		t.Errorf("%v", got)
	}
}

// TestIPv6: one network is one client.
func TestIPv6(t *testing.T) {
	for prefix, want := range map[int]string{0: "[404 404 429]", 128: "[404 404 404]"} {
		l := mustNew(t, limithttp.Config{Policies: []limithttp.Policy{{Policy: hour, Key: limithttp.ByClient}}, IPv6Prefix: prefix})
		h := l.Handler(http.NotFoundHandler())
		var got []int
		for i := range 3 {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = fmt.Sprintf("[2001:db8:1:2::%d]:4711", i)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			got = append(got, w.Code)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%d bits: %v, want %s", prefix, got, want)
		}
	}
}

// TestExact has 64 clients ask over real connections: exactly the limit passes.
func TestExact(t *testing.T) {
	l := mustNew(t, limithttp.Config{Policies: []limithttp.Policy{{Policy: limit.Policy{Algorithm: limit.FixedWindow, Limit: 100, Window: 1000 * time.Hour}}}})
	s := httptest.NewServer(l.Handler(http.NotFoundHandler()))
	defer s.Close()
	client := s.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 5 {
				res, err := client.Get(s.URL)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				mu.Lock()
				got[res.StatusCode]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got[404] != 100 || got[429] != 220 {
		t.Errorf("%v, want 100 of 404 and 220 of 429", got)
	}
}

// TestAllocations holds what the middleware adds for a policy with a key.
func TestAllocations(t *testing.T) {
	big := hour
	big.Limit = 1 << 40
	l := mustNew(t, limithttp.Config{Policies: []limithttp.Policy{{Policy: big, Key: limithttp.ByClient}}})
	h := l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	if got := testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) }); got > 2 {
		t.Errorf("%v allocations a request, want at most 2", got)
	}
}

// TestSubscriptionFile holds that API Management's limits for subscriptions find
// their key.
func TestSubscriptionFile(t *testing.T) {
	l := mustNew(t, limithttp.Config{File: []byte(`<policies><inbound><base /><rate-limit calls="1" renewal-period="300" /></inbound></policies>`)})
	h := l.Handler(http.NotFoundHandler())
	got := fmt.Sprint(get(h, "/", "Ocp-Apim-Subscription-Key", "a").Code, get(h, "/?subscription-key=a").Code,
		get(h, "/", "Ocp-Apim-Subscription-Key", "b").Code, get(h, "/").Code)
	if got != "404 429 404 404" {
		t.Errorf("%s, want 404 429 404 404", got)
	}
}
