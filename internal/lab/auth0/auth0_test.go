package auth0_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/lab/auth0"
	"github.com/weir-dev/weir/limit"
)

// lab is a tenant on a loopback socket, with a clock that tests turn.
type lab struct {
	t      testing.TB
	tenant *auth0.Tenant
	url    string
	client *http.Client
	now    atomic.Int64
}

var start = time.Date(2023, 2, 3, 19, 30, 0, 0, time.UTC)

func serve(t testing.TB, cfg auth0.Config) *lab {
	t.Helper()
	l := &lab{t: t}
	l.now.Store(start.UnixNano())
	var handler atomic.Pointer[auth0.Tenant]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.Load().ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	cfg.Base = server.URL
	cfg.Clock = func() time.Time { return time.Unix(0, l.now.Load()) }
	tenant, err := auth0.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	handler.Store(tenant)
	jar, _ := cookiejar.New(nil)
	l.tenant, l.url = tenant, server.URL
	l.client = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return l
}

func (l *lab) at(d time.Duration) { l.now.Store(start.Add(d).UnixNano()) }

// answer is one, read to its end.
type answer struct {
	*http.Response
	body string
}

func (l *lab) do(method, path, body string, header ...string) answer {
	l.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = l.url + path
	}
	r, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if body[0] == '{' {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := l.client.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return answer{res, string(text)}
}

// told is the status and the three header fields.
func (a answer) told() string {
	return fmt.Sprint(a.StatusCode, " ", a.Header.Get("x-ratelimit-limit"), " ", a.Header.Get("x-ratelimit-remaining"), " ", a.Header.Get("x-ratelimit-reset"))
}

const machine = "grant_type=client_credentials&client_id=" + auth0.MachineClientID + "&client_secret=" + auth0.MachineSecret

// token is one for the Management API.
func (l *lab) token() string {
	l.t.Helper()
	a := l.do("POST", "/oauth/token", machine)
	var t struct {
		Access string `json:"access_token"`
	}
	if a.StatusCode != 200 || json.Unmarshal([]byte(a.body), &t) != nil {
		l.t.Fatalf("no token: %d %s", a.StatusCode, a.body)
	}
	return t.Access
}

// The two tables of seed 001, request by request.
func TestSeedTables(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		window     time.Duration
	}{
		{"5 and 10 a second", "/ratelimitexample", time.Second},
		{"5 and 6 a minute", "/ratelimitexample2", time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := serve(t, auth0.Config{})
			number := 0
			ask := func(window int, status, remaining int) {
				t.Helper()
				number++
				reset := start.Add(time.Duration(window+1) * tt.window).Unix()
				want := fmt.Sprint(status, " 5 ", remaining, " ", reset)
				if got := l.do("GET", tt.path, "").told(); got != want {
					t.Errorf("request %d: got %s, want %s", number, got, want)
				}
			}
			for i := range 5 { // T0 to T1: the first five
				l.at(time.Duration(i) * tt.window / 10)
				ask(0, 200, 4-i)
			}
			l.at(tt.window - 1) // the sixth finds it empty
			ask(0, 429, 0)
			for i := range 5 { // T1 to T2: seven to eleven
				l.at(tt.window + time.Duration(i)*tt.window/10)
				ask(1, 200, 4-i)
			}
			l.at(2*tt.window - 1) // and the twelfth
			ask(1, 429, 0)
			l.at(2 * tt.window) // T2: the thirteenth
			ask(2, 200, 4)
			if number != 13 {
				t.Errorf("%d requests, want 13", number)
			}
		})
	}
}

// Seed 001's first example: 950 of 1000 have been used, 50 remain, and the reset
// is 1675452600 or 2023-02-03 19:30 UTC.
func TestSeedHeaders(t *testing.T) {
	l := serve(t, auth0.Config{Limits: &auth0.Limits{Authentication: []auth0.Bucket{{Burst: 1000, Sustained: 100, Per: time.Second}}}})
	l.at(-time.Second)
	var last answer
	for range 950 {
		last = l.do("GET", "/.well-known/jwks.json", "")
	}
	if got, want := last.told(), "200 1000 50 1675452600"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Of two limits the first is the burst that holds, the second what is sustained,
// and nothing else is told.
func TestTwoLimits(t *testing.T) {
	two := []auth0.Bucket{{Burst: 3, Sustained: 3, Per: time.Second}, {Burst: 5, Sustained: 2, Per: time.Minute}}
	if burst, sustained, per := auth0.Published(two); burst != 3 || sustained != 2 || per != time.Minute {
		t.Errorf("published: %d, %d per %v", burst, sustained, per)
	}
	if burst, _, _ := auth0.Published(nil); burst != 0 {
		t.Error("published of nothing")
	}
	l := serve(t, auth0.Config{Limits: &auth0.Limits{Authentication: two}})
	steps := []struct {
		at   time.Duration
		want string
	}{
		{0, "200 3 2"}, {0, "200 3 1"}, {0, "200 3 0"}, {0, "429 3 0"},
		{time.Second, "200 3 1"}, {time.Second, "200 3 0"}, {time.Second, "429 3 0"}, // the second bucket had 5
		{59 * time.Second, "429 3 0"},
		{time.Minute, "200 3 1"}, {time.Minute, "200 3 0"}, {time.Minute, "429 3 0"},
	}
	for i, st := range steps {
		l.at(st.at)
		a := l.do("GET", "/.well-known/jwks.json", "")
		if got := a.told(); !strings.HasPrefix(got, st.want+" ") {
			t.Errorf("request %d: got %s, want %s", i+1, got, st.want)
		}
	}
}

func TestFreeTier(t *testing.T) {
	l := serve(t, auth0.Config{})
	// 30 tokens a second from the endpoint's bucket; the API's has 300 a minute.
	for i := range 31 {
		a := l.do("POST", "/oauth/token", machine)
		want := fmt.Sprint("200 30 ", 29-i, " ", start.Unix()+1)
		if i == 30 {
			want = fmt.Sprint("429 30 0 ", start.Unix()+1)
			if a.body != `{"error":"access_denied","error_description":"Too Many Requests","error_uri":"https://auth0.com/docs/policies/rate-limits"}` {
				t.Errorf("body of the refusal: %s", a.body)
			}
		}
		if got := a.told(); got != want {
			t.Errorf("request %d: got %s, want %s", i+1, got, want)
		}
	}
	// What was refused took nothing of the API's bucket: 270 are left of 300.
	if got, want := l.do("GET", "/.well-known/openid-configuration", "").told(), fmt.Sprint("200 300 269 ", start.Unix()+60); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// Each user has a bucket: 10, and 5 a minute.
	l.at(time.Second)
	first, second := l.login("token"), l.signUp("other@example.com")
	for i := range 11 {
		want := "200"
		if i == 10 {
			want = "429"
		}
		if got := l.do("GET", "/userinfo", "", "Authorization", "Bearer "+first).told(); !strings.HasPrefix(got, want+" 10 ") {
			t.Errorf("userinfo %d: got %s, want %s", i+1, got, want)
		}
	}
	if got := l.do("GET", "/userinfo", "", "Authorization", "Bearer "+second).told(); !strings.HasPrefix(got, "200 10 9 ") {
		t.Errorf("another user: %s", got)
	}
}

// The Management API has limits and bodies of its own.
func TestManagement(t *testing.T) {
	l := serve(t, auth0.Config{})
	bearer := []string{"Authorization", "Bearer " + l.token()}
	steps := []struct{ path, want, body string }{
		{"/api/v2/users", "200 2 1", `"user_id":"auth0|`},
		{"/api/v2/clients", "200 2 0", auth0.WebClientID},
		{"/api/v2/users", "429 2 0", `{"statusCode":429,"error":"Too Many Requests","message":"Global per second default group limit has been reached","errorCode":"too_many_requests"}`},
	}
	for i, st := range steps {
		a := l.do("GET", st.path, "", bearer...)
		if !strings.HasPrefix(a.told(), st.want+" ") || !strings.Contains(a.body, st.body) {
			t.Errorf("request %d: got %s %s, want %s %s", i+1, a.told(), a.body, st.want, st.body)
		}
	}
	l.at(time.Second)
	if a := l.do("GET", "/api/v2/users", ""); a.StatusCode != 401 {
		t.Errorf("without a token: %d", a.StatusCode)
	}
	if a := l.do("GET", "/api/v2/logs", "", "Authorization", "Bearer "+bearer[1][7:]+"x"); a.StatusCode != 401 {
		t.Errorf("with a forged token: %d", a.StatusCode)
	}
	l.at(3 * time.Second)
	user := l.login("token")
	if a := l.do("GET", "/api/v2/logs", "", "Authorization", "Bearer "+user); a.StatusCode != 403 || !strings.Contains(a.body, "insufficient_scope") {
		t.Errorf("with a user's token: %d %s", a.StatusCode, a.body)
	}
}

// The log tells of a limit at once, and again each minute it lasts.
func TestLog(t *testing.T) {
	l := serve(t, auth0.Config{Tier: "private-500"})
	token := l.token()
	for _, at := range []time.Duration{0, 10 * time.Second, 59 * time.Second, time.Minute, 90 * time.Second, 2 * time.Minute} {
		l.at(at)
		for range 6 {
			l.do("GET", "/ratelimitexample", "")
		}
	}
	read := func(query string) (logs []map[string]any) {
		t.Helper()
		a := l.do("GET", "/api/v2/logs?"+query, "", "Authorization", "Bearer "+token)
		if err := json.Unmarshal([]byte(a.body), &logs); err != nil {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		return logs
	}
	var dates []string
	for _, e := range read("q=type:api_limit&sort=date:1") {
		dates = append(dates, e["date"].(string)[14:19])
		if e["description"] != "Global per second ratelimitexample group limit has been reached" || e["ip"] != "127.0.0.1" || e["tenant_name"] != "weir-lab" || e["log_id"] != e["_id"] {
			t.Errorf("entry %v", e)
		}
	}
	if got := strings.Join(dates, " "); got != "30:00 31:00 32:00" {
		t.Errorf("api_limit at %s", got)
	}
	if n := len(read("q=type:api_limit_warning")); n != 3 {
		t.Errorf("%d warnings, want 3: 4 of 5 are 80 %%", n)
	}
	// From a checkpoint on, two at a time, until there are no more.
	var ids []string
	for next := "/api/v2/logs?from=0&take=2"; ; {
		a := l.do("GET", next, "", "Authorization", "Bearer "+token)
		var logs []struct {
			ID string `json:"log_id"`
		}
		json.Unmarshal([]byte(a.body), &logs)
		if len(logs) == 0 {
			break
		}
		for _, e := range logs {
			ids = append(ids, e.ID)
		}
		link := a.Header.Get("Link")
		next, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
	}
	if len(ids) != 6 {
		t.Errorf("read %d entries by checkpoints, want 6", len(ids))
	}
	if a := l.do("GET", "/api/v2/logs/"+ids[3], "", "Authorization", "Bearer "+token); a.StatusCode != 200 || !strings.Contains(a.body, ids[3]) {
		t.Errorf("one entry: %d %s", a.StatusCode, a.body)
	}
	for _, bad := range []string{"per_page=1000", "q=colour:red"} {
		if a := l.do("GET", "/api/v2/logs?"+bad, "", "Authorization", "Bearer "+token); a.StatusCode != 400 {
			t.Errorf("%s: %d", bad, a.StatusCode)
		}
	}
	if a := l.do("GET", "/api/v2/logs/9", "", "Authorization", "Bearer "+token); a.StatusCode != 404 {
		t.Errorf("no such entry: %d", a.StatusCode)
	}
}

// A tenant with the performance burst goes over its 100 a second, for a block of
// 15 minutes that the log tells of, up to its multiple.
func TestPerformanceBurst(t *testing.T) {
	l := serve(t, auth0.Config{Tier: "enterprise", Burst: 2})
	count := func() (ok int, last string) {
		for range 201 {
			a := l.do("GET", "/.well-known/openid-configuration", "")
			if a.StatusCode == 200 {
				ok++
			}
			last = a.told()
		}
		return ok, last
	}
	if ok, last := count(); ok != 200 || last != fmt.Sprint("429 200 0 ", start.Unix()+1) {
		t.Errorf("%d passed of 201, want 200; the last: %s", ok, last)
	}
	if logs := l.entries("appi"); len(logs) != 1 || !strings.Contains(logs[0], `"consumed_minutes":15,"remaining_minutes":2865`) {
		t.Errorf("appi: %v", logs)
	}
	l.at(15*time.Minute - time.Nanosecond)
	count()
	l.at(15 * time.Minute)
	count()
	if logs := l.entries("appi"); len(logs) != 2 {
		t.Errorf("appi after 15 minutes: %v", logs)
	}
}

// entries are those of a type in the log, oldest first, without its HTTP.
func (l *lab) entries(kind string) (out []string) {
	l.at(time.Duration(l.now.Load()-start.UnixNano()) + time.Second)
	r := httptest.NewRequest("GET", "/api/v2/logs?sort=date:1&q=type:"+kind, nil)
	r.Header.Set("Authorization", "Bearer "+l.token())
	w := httptest.NewRecorder()
	l.tenant.ServeHTTP(w, r)
	var logs []json.RawMessage
	json.Unmarshal(w.Body.Bytes(), &logs)
	for _, e := range logs {
		out = append(out, string(e))
	}
	return out
}

// People see a page, or the tenant's own with the reason in the address.
func TestPeopleSeePages(t *testing.T) {
	one := &auth0.Limits{Authentication: []auth0.Bucket{{Burst: 1, Sustained: 1, Per: time.Minute}}}
	l := serve(t, auth0.Config{Limits: one})
	l.do("GET", "/v2/logout", "")
	a := l.do("GET", "/authorize?client_id=x", "")
	if a.StatusCode != 429 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || !strings.Contains(a.body, "Global limit has been reached") || a.Header.Get("x-ratelimit-remaining") != "0" {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	l = serve(t, auth0.Config{Limits: one, ErrorPage: "https://example.com/oops?tenant=a"})
	l.do("GET", "/v2/logout", "")
	a = l.do("GET", "/u/login?client_id="+auth0.WebClientID, "")
	const want = "https://example.com/oops?client_id=" + auth0.WebClientID + "&error=too_many_requests&error_description=Global+limit+has+been+reached&lang=en&tenant=a"
	if a.StatusCode != 302 || a.Header.Get("Location") != want {
		t.Errorf("%d to %s", a.StatusCode, a.Header.Get("Location"))
	}
	if a = l.do("POST", "/oauth/token", machine); a.StatusCode != 429 || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		t.Errorf("a program gets %d %v", a.StatusCode, a.Header)
	}
}

func TestMistakes(t *testing.T) {
	l := serve(t, auth0.Config{Tier: "private-10000", RetryAfter: true})
	state := "x.y.z"
	tests := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/oauth/token", "", 400, "grant_type"},
		{"POST", "/oauth/token", "grant_type=client_credentials&client_id=nobody", 401, "access_denied"},
		{"POST", "/oauth/token", strings.ReplaceAll(machine, "client_credentials", "magic"), 403, "unsupported_grant_type"},
		{"POST", "/oauth/token", strings.ReplaceAll(machine, "client_credentials", "password"), 403, "invalid_grant"},
		{"POST", "/oauth/token", strings.ReplaceAll(machine, "client_credentials", "password") + "&username=" + url.QueryEscape(auth0.UserEmail) + "&password=" + auth0.UserPassword, 200, "access_token"},
		{"POST", "/oauth/token", "{", 400, "invalid_request"},
		{"POST", "/oauth/token", strings.Repeat("a", 70<<10), 400, "invalid_request"},
		{"GET", "/oauth/token", "", 405, "Method Not Allowed"},
		{"GET", "/nothing", "", 404, "Not Found"},
		{"GET", "//oauth//token", "", 404, "Not Found"},
		{"GET", "/userinfo", "", 401, "invalid_token"},
		{"GET", "/authorize", "", 403, "Unknown client"},
		{"GET", "/authorize?client_id=" + auth0.WebClientID + "&redirect_uri=https://evil.example", "", 403, "Callback URL mismatch"},
		{"GET", "/authorize/resume?state=" + state, "", 400, "has ended"},
		{"GET", "/u/login?state=<script>", "", 400, "has ended"},
		{"POST", "/dbconnections/signup", "email=nobody", 400, "invalid_signup"},
		{"POST", "/dbconnections/signup", `{"email":"new@example.com","password":"x"}`, 200, "new@example.com"},
		{"POST", "/dbconnections/signup", `{"email":"new@example.com","password":"x"}`, 400, "invalid_signup"},
		{"POST", "/dbconnections/change_password", `{"email":"new@example.com"}`, 200, "sent you an email"},
		{"POST", "/passwordless/start", `{"email":"new@example.com"}`, 200, "new@example.com"},
		{"POST", "/co/authenticate", `{}`, 403, "access_denied"},
		{"POST", "/usernamepassword/login", `{}`, 401, "invalid_user_password"},
	}
	for _, tt := range tests {
		a := l.do(tt.method, tt.path, tt.body)
		if a.StatusCode != tt.status || !strings.Contains(a.body, tt.want) || strings.Contains(a.body, "<script>") {
			t.Errorf("%s %.60s: got %d %.300s, want %d %s", tt.method, tt.path, a.StatusCode, a.body, tt.status, tt.want)
		}
	}
	st := l.tenant.Stand().Stats(-1)
	sum := st.Aborted
	for _, n := range st.Answers {
		sum += n
	}
	if st.Requests != uint64(len(tests)) || sum != st.Requests {
		t.Errorf("%d requests, %d answers, want %d", st.Requests, sum, len(tests))
	}
}

func TestTiers(t *testing.T) {
	seen := map[string]bool{}
	for _, tier := range auth0.Tiers() {
		if seen[tier.Name] || !strings.HasPrefix(tier.Source, "https://auth0.com/docs/") || tier.Read == "" || len(tier.Limits.Management) != 1 {
			t.Errorf("tier %+v", tier)
		}
		seen[tier.Name] = true
		l := serve(t, auth0.Config{Tier: tier.Name})
		b := tier.Limits.Authentication[0]
		if got := l.do("GET", "/v2/logout", "").told(); !strings.HasPrefix(got, fmt.Sprint("200 ", b.Burst, " ", b.Burst-1)) {
			t.Errorf("%s: %s", tier.Name, got)
		}
	}
	if len(seen) < 9 {
		t.Errorf("%d tiers", len(seen))
	}
}

func TestConfigErrors(t *testing.T) {
	three := []auth0.Bucket{{Burst: 1, Sustained: 1, Per: 1}, {Burst: 1, Sustained: 1, Per: 1}, {Burst: 1, Sustained: 1, Per: 1}}
	for want, cfg := range map[string]auth0.Config{
		`tier "gold": there is none; there are free,`: {Tier: "gold"},
		"burst 5: must be 2, 3 or 4":                  {Burst: 5},
		"error page: must be an http":                 {ErrorPage: "javascript:alert(1)"},
		"there are one or two":                        {Limits: &auth0.Limits{Authentication: three}},
		"limit":                                       {Limits: &auth0.Limits{Authentication: three[:1], Management: []auth0.Bucket{{}}}},
	} {
		if _, err := auth0.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A quota of the user's own takes the place of the plan's.
func TestWith(t *testing.T) {
	limits := auth0.Limits{}.With(limit.Policy{Algorithm: limit.FixedWindow, Limit: 2, Window: time.Minute})
	l := serve(t, auth0.Config{Limits: &limits})
	for i, want := range []string{"200 2 1", "200 2 0", "429 2 0"} {
		if got := l.do("POST", "/oauth/token", machine).told(); !strings.HasPrefix(got, want+" ") {
			t.Errorf("request %d: got %s, want %s", i+1, got, want)
		}
	}
}

// Many clients at once are given as many as the bucket holds, and no more.
func TestConcurrent(t *testing.T) {
	l := serve(t, auth0.Config{Tier: "enterprise", Burst: 3})
	var given atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 60 {
				w := httptest.NewRecorder()
				l.tenant.ServeHTTP(w, httptest.NewRequest("GET", "/v2/logout", nil))
				if w.Code == 200 {
					given.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if given.Load() != 300 {
		t.Errorf("given %d, want 300", given.Load())
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("POST", "/oauth/token", "application/json", `{"grant_type":"client_credentials"}`, "Bearer a.b.c")
	f.Add("GET", "/authorize?client_id="+auth0.WebClientID+"&redirect_uri=http://localhost/%zz", "", "", "")
	f.Add("GET", "/api/v2/logs/%00", "", "", "Basic x")
	tenant, err := auth0.New(auth0.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target, contentType, body, authorization string) {
		r, err := http.NewRequest(method, "http://127.0.0.1"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		tenant.ServeHTTP(w, r)
		if w.Code < 200 || w.Code >= 500 {
			t.Errorf("%s %q: %d", method, target, w.Code)
		}
		if to := w.Header().Get("Location"); strings.HasPrefix(to, "http") && !strings.HasPrefix(to, "http://localhost") && !strings.HasPrefix(to, "http://127.0.0.1") && !strings.HasPrefix(to, "https://localhost") && !strings.HasPrefix(to, "https://127.0.0.1") && !strings.Contains(to, "[::1]") {
			t.Errorf("sends people to %q", to)
		}
	})
}
