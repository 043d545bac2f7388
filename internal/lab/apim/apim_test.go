package apim

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// virtual is a clock that the test moves.
type virtual struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *virtual { return &virtual{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (v *virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

func (v *virtual) wait(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = v.now.Add(d)
}

// client calls a gateway over a socket.
type client struct {
	t   *testing.T
	url string
	key string
}

func serve(t *testing.T, cfg Config) *client {
	t.Helper()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	return &client{t: t, url: s.URL, key: DefaultKey}
}

func (c *client) do(method, path string, header ...string) (*http.Response, string) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader("x"))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.key != "" {
		r.Header.Set(KeyHeader, c.key)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(b)
}

// TestSeed004 is the experiment of seed 004: APIs with 3 and with 5 calls per
// 10 s, called in turn, ten times each; 15 s later the same with limits by key.
// The post's picture has the first refusals at calls 7 and 12, and at 5 and 8.
func TestSeed004(t *testing.T) {
	clock := newClock()
	c := serve(t, Config{Clock: clock.Now})
	refused := func(three, five string) (out []int) {
		for call := 1; call <= 20; call++ {
			path := "/" + three + "/"
			if call%2 == 0 {
				path = "/" + five + "/"
			}
			res, body := c.do("GET", path)
			switch {
			case res.StatusCode == 429:
				out = append(out, call)
				wait := res.Header.Get("Retry-After")
				if want := `{ "statusCode": 429, "message": "Rate limit is exceeded. Try again in ` + wait + ` seconds." }`; body != want || wait == "" {
					t.Errorf("call %d: got %s, want %s", call, body, want)
				}
				if len(wait) == 2 && len(body) != 84 { // as recorded
					t.Errorf("call %d: the body has %d bytes, the recorded one 84", call, len(body))
				}
			case res.StatusCode != 200:
				t.Fatalf("call %d: status %d: %s", call, res.StatusCode, body)
			}
			clock.wait(100 * time.Millisecond)
		}
		return out
	}
	first := refused("rate-limit-3", "rate-limit-5")
	clock.wait(15 * time.Second)
	second := refused("rate-limit-by-key-3", "rate-limit-by-key-5")

	// From then on every call of that API is refused.
	if want := []int{7, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}; !slices.Equal(first, want) {
		t.Errorf("rate-limit refuses %v, want %v", first, want)
	}
	if want := []int{5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}; !slices.Equal(second, want) {
		t.Errorf("rate-limit-by-key refuses %v, want %v", second, want)
	}
}

// TestSeed004Explained: the post says that calls which were refused counted as
// well. Then its sixth call, which its picture shows as served, would have been
// refused.
func TestSeed004Explained(t *testing.T) {
	first := func(countRefused bool) (three, five int) {
		count := 0
		for call := 1; call <= 20; call++ {
			limit := 3
			if call%2 == 0 {
				limit = 5
			}
			switch {
			case count < limit:
				count++
				continue
			case limit == 3 && three == 0:
				three = call
			case limit == 5 && five == 0:
				five = call
			}
			if countRefused {
				count++
			}
		}
		return three, five
	}
	if three, five := first(true); three != 5 || five != 6 {
		t.Errorf("refused calls counted: %d and %d", three, five)
	}
	if three, five := first(false); three != 5 || five != 8 {
		t.Errorf("refused calls not counted: %d and %d", three, five)
	}
}

// TestV2 is the same calls in a v2 tier, which counts with token buckets: those
// of different sizes cannot be one.
func TestV2(t *testing.T) {
	clock := newClock()
	cfg := Default()
	cfg.Tier, cfg.Clock = V2, clock.Now
	c := serve(t, cfg)
	for i := range 3 {
		if res, _ := c.do("GET", "/rate-limit-by-key-3"); res.StatusCode != 200 {
			t.Fatalf("call %d: %d", i, res.StatusCode)
		}
	}
	res, _ := c.do("GET", "/rate-limit-by-key-3")
	if res.StatusCode != 429 || res.Header.Get("Retry-After") != "4" { // 10 s / 3, rounded up
		t.Errorf("status %d, Retry-After %s", res.StatusCode, res.Header.Get("Retry-After"))
	}
	clock.wait(4 * time.Second)
	if res, _ := c.do("GET", "/rate-limit-by-key-3"); res.StatusCode != 200 {
		t.Error("a token has come back after 4 s")
	}
	if res, _ := c.do("GET", "/rate-limit-by-key-3"); res.StatusCode != 429 {
		t.Error("only one has")
	}
}

// TestV2Seed004: with buckets of their own, the second experiment of seed 004
// would give what the first does.
func TestV2Seed004(t *testing.T) {
	clock := newClock()
	cfg := Default()
	cfg.Tier, cfg.Clock = V2, clock.Now
	c := serve(t, cfg)
	first := map[string]int{}
	for call := 1; call <= 12; call++ {
		path := "/rate-limit-by-key-" + map[bool]string{true: "3", false: "5"}[call%2 == 1]
		if res, _ := c.do("GET", path); res.StatusCode == 429 && first[path] == 0 {
			first[path] = call
		}
		clock.wait(100 * time.Millisecond)
	}
	if first["/rate-limit-by-key-3"] != 7 || first["/rate-limit-by-key-5"] != 12 {
		t.Errorf("first refused: %v", first)
	}
}

// docs is a configuration with everything.
func docs() fstest.MapFS {
	return fstest.MapFS{
		"apim.yaml": {Data: []byte(`
tier: classic
region: West Europe
named-values: {calls: "2"}
fragments: {limits: fragments/limits.xml}
policy: |
  <policies><inbound><rate-limit-by-key calls="100" renewal-period="60" counter-key="@(context.Request.IpAddress)" total-calls-header-name="X-Global" remaining-calls-header-name="X-Global-Left" /></inbound></policies>
products:
  - {id: gold, apis: [things, open], policy: gold.xml}
  - {id: free, apis: [shop], subscription-required: false}
apis:
  - id: things
    name: Things
    path: things
    policy: |
      <policies><inbound><base/><include-fragment fragment-id="limits"/></inbound></policies>
    operations:
      - {id: list, method: GET, path: /}
      - {id: get, method: GET, path: "/{id}", policy: get.xml}
      - {id: special, method: GET, path: /special, status: 204}
      - {id: create, method: POST, path: /, status: 201, body: made, content-type: text/plain}
      - {id: rest, method: GET, path: "/files/*"}
  - id: open
    path: open/api
    subscription-required: false
    operations: [{id: op, path: /}]
  - id: shop
    path: shop
    operations: [{id: op, path: /}]
  - id: bytes
    path: bytes
    policy: <policies><inbound><quota-by-key bandwidth="1" renewal-period="100000" counter-key="b"/></inbound></policies>
    operations: [{id: op, path: /, body: "` + strings.Repeat("0123456789", 60) + `"}]
  - id: keyless
    path: keyless
    policy: <policies><inbound><rate-limit-by-key calls="1" renewal-period="60" counter-key='@(context.Request.Headers.GetValueOrDefault("X-Key",""))'/></inbound></policies>
    operations: [{id: op, path: /}]
  - id: slow
    path: slow
    policy: <policies><inbound><limit-concurrency key="@(context.Api.Id)" max-count="1"><base/></limit-concurrency></inbound></policies>
    operations: [{id: op, path: /}]
subscriptions:
  - {id: g, product: gold, key: key-gold, secondary-key: key-gold-2, user: u1}
  - {id: a, api: things, key: key-things}
  - {id: all, key: key-all}
  - {id: s, product: gold, key: key-suspended, state: suspended}
`)},
		"gold.xml":             {Data: []byte(`<policies><inbound><base/><quota calls="3" renewal-period="3600"/></inbound></policies>`)},
		"get.xml":              {Data: []byte(`<policies><inbound><base/><rate-limit-by-key calls="1" renewal-period="60" counter-key="@("thing " + context.Request.MatchedParameters["id"])" /></inbound></policies>`)},
		"fragments/limits.xml": {Data: []byte(`<fragment><rate-limit calls="{{calls}}" renewal-period="60" retry-after-header-name="X-Wait" remaining-calls-header-name="X-Left" /></fragment>`)},
	}
}

func everything(t *testing.T, clock *virtual) *client {
	t.Helper()
	fsys := docs()
	fsys["apim.yaml"].Data = []byte(strings.Replace(string(fsys["apim.yaml"].Data), "max-count=\"1\"><base/>", "max-count=\"1\">", 1))
	cfg, err := ReadConfig(fsys, "apim.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Clock = clock.Now
	c := serve(t, cfg)
	c.key = ""
	return c
}

func TestAnswers(t *testing.T) {
	c := everything(t, newClock())
	missing := `{ "statusCode": 401, "message": "Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API." }`
	if len(missing) != 152 { // the Content-Length of the recorded answers
		t.Fatalf("the body of a 401 has %d bytes", len(missing))
	}
	invalid := `{ "statusCode": 401, "message": "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription." }`
	lost := `{ "statusCode": 404, "message": "Resource not found" }`
	cases := []struct {
		method, path, key string
		status            int
		body              string
	}{
		{"GET", "/things", "", 401, missing},
		{"GET", "/things", "bogus", 401, invalid},
		{"GET", "/things", "key-suspended", 401, invalid},
		{"GET", "/bytes", "key-things", 401, invalid},
		{"GET", "/nothing", "key-gold", 404, lost},
		{"DELETE", "/things", "key-gold", 404, lost},
		{"GET", "/things/a/b", "key-gold", 404, lost},
		{"GET", "/thingsandmore", "key-all", 404, lost},
		{"GET", "/things", "key-gold", 200, `{"api":"things","operation":"list"}` + "\n"},
		{"GET", "/things/?subscription-key=key-gold-2", "", 200, `{"api":"things","operation":"list"}` + "\n"},
		{"GET", "/THINGS/special", "key-things", 204, ""},
		{"POST", "/things", "key-things", 201, "made"},
		{"GET", "/things/files/a/b/c", "key-all", 200, `{"api":"things","operation":"rest"}` + "\n"},
		{"GET", "/things/7", "key-all", 200, `{"api":"things","operation":"get"}` + "\n"},
		{"GET", "/open/api", "", 200, `{"api":"open","operation":"op"}` + "\n"},
		{"GET", "/open/api", "bogus", 200, `{"api":"open","operation":"op"}` + "\n"},
		{"GET", "/shop", "", 200, `{"api":"shop","operation":"op"}` + "\n"},
		{"GET", "/keyless", "key-all", 500, `{ "statusCode": 500, "message": "The counter-key field is required" }`},
	}
	tried := 0
	for _, e := range cases {
		tried++
		c.key = e.key
		res, body := c.do(e.method, e.path)
		if res.StatusCode != e.status || body != e.body {
			t.Errorf("%s %s: got %d %s, want %d %s", e.method, e.path, res.StatusCode, body, e.status, e.body)
		}
		if got := res.Header.Get("WWW-Authenticate"); (got != "") != (e.status == 401) || e.status == 401 && !strings.Contains(got, `name="Ocp-Apim-Subscription-Key",type="header"`) {
			t.Errorf("%s %s: WWW-Authenticate %q", e.method, e.path, got)
		}
	}
	if tried < 15 {
		t.Fatalf("only %d cases", tried)
	}
}

// TestScopes: the limits of all scopes are asked in their order, and tell.
func TestScopes(t *testing.T) {
	clock := newClock()
	c := everything(t, clock)
	c.key = "key-gold"
	for call, want := range []struct {
		status     int
		global     string
		left, body string
	}{
		{200, "99", "1", ""},
		{200, "98", "0", ""},
		{429, "97", "0", "Rate limit is exceeded. Try again in 60 seconds."}, // 2 per minute of the fragment; the quota has counted it
		{403, "96", "", "Out of call volume quota. Quota will be replenished in 01:00:00."},
	} {
		res, body := c.do("GET", "/things")
		if res.StatusCode != want.status || res.Header.Get("X-Global-Left") != want.global || res.Header.Get("X-Global") != "100" ||
			want.left != "" && res.Header.Get("X-Left") != want.left || !strings.Contains(body, want.body) {
			t.Errorf("call %d: %d %s %v", call, res.StatusCode, body, res.Header)
		}
		switch res.StatusCode {
		case 429: // retry-after-header-name replaces Retry-After
			if res.Header.Get("X-Wait") != "60" || res.Header.Get("Retry-After") != "" {
				t.Errorf("call %d: %v", call, res.Header)
			}
		case 403:
			if res.Header.Get("Retry-After") != "3600" {
				t.Errorf("call %d: %v", call, res.Header)
			}
		}
	}
	// Another subscription has counts of its own; each thing has one.
	c.key = "key-all"
	var got []int
	for _, path := range []string{"/things/1", "/things/1"} {
		res, _ := c.do("GET", path)
		got = append(got, res.StatusCode)
	}
	if !slices.Equal(got, []int{200, 429}) {
		t.Errorf("got %v", got)
	}
}

// TestBandwidth: a quota of kilobytes counts what was answered, and the call that
// passes the limit is still served.
func TestBandwidth(t *testing.T) {
	clock := newClock()
	c := everything(t, clock)
	c.key = "key-all"
	var got []int
	for range 3 {
		res, body := c.do("GET", "/bytes")
		got = append(got, res.StatusCode)
		if res.StatusCode == 403 && !strings.Contains(body, "Out of bandwidth quota. Quota will be replenished in") {
			t.Error(body)
		}
	}
	if !slices.Equal(got, []int{200, 200, 403}) { // 600, 1200 of 1024 bytes
		t.Errorf("got %v", got)
	}
}

// TestConcurrency: a call that is being answered holds its place.
func TestConcurrency(t *testing.T) {
	cfg, err := ReadConfig(docs2(), "apim.yaml")
	if err != nil {
		t.Fatal(err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(g)
	defer s.Close()
	done := make(chan error, 1)
	// A writer that blocks keeps the first call in its handler.
	go func() {
		g.ServeHTTP(&blocked{header: http.Header{}, entered: entered, leave: leave}, httptest.NewRequest("GET", "/slow", nil))
		done <- nil
	}()
	<-entered
	c := &client{t: t, url: s.URL}
	if res, body := c.do("GET", "/slow"); res.StatusCode != 429 || !strings.Contains(body, "Concurrency limit is exceeded") {
		t.Errorf("the second call gets %d %s", res.StatusCode, body)
	}
	close(leave)
	<-done
	if res, _ := c.do("GET", "/slow"); res.StatusCode != 200 {
		t.Errorf("after the first has ended, a call gets %d", res.StatusCode)
	}
}

func docs2() fstest.MapFS {
	return fstest.MapFS{"apim.yaml": {Data: []byte(`
apis:
  - id: slow
    path: slow
    subscription-required: false
    policy: <policies><inbound><base/></inbound><backend><limit-concurrency key="@(context.Api.Id)" max-count="1"><forward-request/></limit-concurrency></backend></policies>
    operations: [{id: op, path: /}]
`)}}
}

type blocked struct {
	header         http.Header
	entered, leave chan struct{}
}

func (b *blocked) Header() http.Header { return b.header }
func (b *blocked) WriteHeader(int)     {}
func (b *blocked) Write(p []byte) (int, error) {
	close(b.entered)
	<-b.leave
	return len(p), nil
}

func TestReadConfigRefuses(t *testing.T) {
	base := "apis: [{id: a, path: a, operations: [{id: op, path: /}]}]\n"
	cases := []struct{ name, yaml, reason string }{
		{"unknown field", base + "prodcts: []\n", "prodcts"},
		{"not YAML", "apis: [", "apim.yaml"},
		{"no APIs", "tier: v2\n", "there are none"},
		{"unknown tier", base + "tier: premium\n", "premium"},
		{"no such file", base + "policy: missing.xml\n", "missing.xml"},
		{"outside", base + "policy: ../secret.xml\n", "no .. in it"},
		{"a policy that is none", base + "policy: <html/>\n", "<html>"},
		{"a limit that is none", base + "policy: <policies><inbound><rate-limit calls='0' renewal-period='1'/></inbound></policies>\n", "at least 1"},
		{"a product of nothing", base + "products: [{id: p, apis: [b]}]\n", "no API"},
		{"a subscription of nothing", base + "subscriptions: [{id: s, key: k, product: p}]\n", "no product"},
		{"a key twice", base + "subscriptions: [{id: s, key: secret-key}, {id: t, key: secret-key}]\n", "the same as"},
		{"no key", base + "subscriptions: [{id: s}]\n", "key: missing"},
		{"unknown state", base + "subscriptions: [{id: s, key: k, state: maybe}]\n", "maybe"},
		{"an id twice", "apis: [{id: a, path: a, operations: [{id: op, path: /}]}, {id: a, path: b, operations: [{id: op, path: /}]}]\n", "used twice"},
		{"a path twice", "apis: [{id: a, path: a, operations: [{id: op, path: /}]}, {id: b, path: /a/, operations: [{id: op, path: /}]}]\n", "path of a already"},
		{"operations alike", "apis: [{id: a, path: a, operations: [{id: x, path: '/{a}'}, {id: y, path: '/{b}'}]}]\n", "same calls"},
		{"half a parameter", "apis: [{id: a, path: a, operations: [{id: x, path: '/a{a}'}]}]\n", "whole segments"},
		{"an unknown fragment", base + "policy: <policies><inbound><include-fragment fragment-id='f'/></inbound></policies>\n", "no fragment f"},
	}
	tried := 0
	for _, e := range cases {
		t.Run(e.name, func(t *testing.T) {
			tried++
			cfg, err := ReadConfig(fstest.MapFS{"apim.yaml": {Data: []byte(e.yaml)}}, "apim.yaml")
			if err == nil {
				_, err = New(cfg)
			}
			if err == nil || !strings.Contains(err.Error(), e.reason) {
				t.Errorf("got %v, want %s", err, e.reason)
			}
			if err != nil && strings.Contains(err.Error(), "secret-key") {
				t.Errorf("a key is told: %v", err)
			}
		})
	}
	if tried < 15 {
		t.Fatalf("only %d cases", tried)
	}
}

// TestManyClients: what many clients are served at once is what the limit says.
func TestManyClients(t *testing.T) {
	clock := newClock()
	cfg := Default()
	cfg.Clock = clock.Now
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := map[int]int{}
	for range 64 {
		wg.Go(func() {
			r := httptest.NewRequest("GET", "/rate-limit-by-key-5", nil)
			r.Header.Set(KeyHeader, DefaultKey)
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			mu.Lock()
			got[w.Code]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if got[200] != 5 || got[429] != 59 {
		t.Errorf("got %v", got)
	}
	s := g.Stand().Stats(-1)
	if c := s.Categories[3]; c.CallCount != 64 || c.ThrottleCount != 59 {
		t.Errorf("%+v", c)
	}
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		406 * time.Second: "00:06:46", 59*time.Second + 1: "00:01:00", 24*time.Hour - time.Second: "23:59:59", 49 * time.Hour: "2.01:00:00", -1: "00:00:00",
	} {
		if got := clock(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func ExampleDefault() {
	for _, a := range Default().APIs {
		fmt.Println(a.ID)
	}
	// Output:
	// rate-limit-3
	// rate-limit-5
	// rate-limit-by-key-3
	// rate-limit-by-key-5
}

// TestSameKeyTwice: "The counter is updated at all scopes at which the policy is
// configured with that key value" (api-management-rate-limit-key-scope.md,
// 2024-05-23): a call that meets two policies with one key counts in both.
func TestSameKeyTwice(t *testing.T) {
	doc := func(n int) Policy {
		return Policy{Name: "p", Text: fmt.Sprintf(`<policies><inbound><base/><rate-limit-by-key calls="%d" renewal-period="60" counter-key="k"/></inbound></policies>`, n)}
	}
	clock := newClock()
	c := serve(t, Config{
		Clock: clock.Now, Policy: doc(10),
		APIs: []API{{ID: "a", Path: "a", Open: true, Policy: doc(5), Operations: []Operation{{ID: "op", Template: "/"}}}},
	})
	var got []int
	for range 4 {
		res, _ := c.do("GET", "/a")
		got = append(got, res.StatusCode)
	}
	if want := []int{200, 200, 429, 429}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add([]byte(docs()["apim.yaml"].Data))
	f.Add([]byte("apis: [{id: a, path: a, operations: [{id: op, path: '/{x}/*'}]}]\nsubscriptions: [{id: s, key: k}]\n"))
	f.Add([]byte("tier: v2\npolicy: <policies><inbound><rate-limit calls='{{c}}' renewal-period='1'/></inbound></policies>\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := docs()
		fsys["apim.yaml"] = &fstest.MapFile{Data: data}
		cfg, err := ReadConfig(fsys, "apim.yaml")
		if err != nil {
			return
		}
		g, err := New(cfg)
		if err != nil {
			return
		}
		for _, path := range []string{"/", "/things/7?subscription-key=key-gold", "/a/%2f/..", "//"} {
			r := httptest.NewRequest("GET", "http://h/", nil)
			r.URL.Path, r.URL.RawPath = path, ""
			g.ServeHTTP(httptest.NewRecorder(), r)
		}
	})
}
