package sms

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/lab/sns"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

// client is one administrator at work, without a socket.
type client struct {
	t   testing.TB
	app http.Handler
	jar jar
}

func newClient(t testing.TB, app http.Handler) *client { return &client{t: t, app: app, jar: jar{}} }

// do sends a request with the cookies and the token.
func (c *client) do(method, target, body string) *httptest.ResponseRecorder {
	r := request(method, target, []byte(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range c.jar {
		r.Header["Cookie"] = []string{strings.TrimPrefix(strings.Join(r.Header["Cookie"], "")+"; "+name+"="+value, "; ")}
	}
	r.Header.Set("X-CSRFToken", c.jar[csrfCookie])
	w := httptest.NewRecorder()
	c.app.ServeHTTP(w, r)
	c.jar.take(w)
	return w
}

// must sends a request, wants a status, and returns a field of the answer.
func (c *client) must(status int, method, target, body, field string) string {
	c.t.Helper()
	w := c.do(method, target, body)
	if w.Code != status {
		c.t.Errorf("%s %s %s: %d %s, want %d", method, target, body, w.Code, w.Body, status)
	}
	if field == "" {
		return ""
	}
	dec := json.NewDecoder(w.Body)
	dec.UseNumber()
	var out map[string]any
	if err := dec.Decode(&out); err != nil {
		c.t.Errorf("%s %s: %v", method, target, err)
	}
	return fmt.Sprint(out[field])
}

func (c *client) login() {
	c.t.Helper()
	c.must(200, "POST", "/api/auth/login", `{"username":"admin","password":"password123"}`, "")
}

// prepare does the flow up to the sending and returns its body.
func (c *client) prepare() string {
	c.t.Helper()
	customer := c.must(201, "POST", "/api/customers", `{"phone_number":"09012345678"}`, "id")
	token := c.must(201, "POST", "/api/tokens", `{"customer_id":`+customer+`}`, "token")
	template := c.must(201, "POST", "/api/customers/"+customer+"/templates", `{"name":"welcome_message","content":"ご登録ありがとうございます。"}`, "id")
	return `{"phone_number":"09012345678","token":"` + token + `","customer_id":` + customer + `,"template_id":` + template + `}`
}

// behaviours are what both databases are held to. Each gets a database of its own.
var behaviours = []struct {
	name string
	run  func(t *testing.T, database string)
}{
	{"as Django", func(t *testing.T, database string) {
		if agreed := replay(t, Config{Database: database}); agreed < recordedCases {
			t.Errorf("%d cases agree, want %d at least", agreed, recordedCases)
		}
	}},
	{"the flow of seed 002", func(t *testing.T, database string) {
		app := newApp(t, Config{Database: database})
		c := newClient(t, app)
		c.login()
		for n := range 3 {
			c.must(201, "POST", "/api/sms/send", c.prepare(), "")
			if got := c.must(200, "GET", "/api/sms/history", "", "count"); got != strconv.Itoa(n+1) {
				t.Errorf("the history has %s messages, want %d", got, n+1)
			}
		}
		sent := app.SNS().Sent()
		if len(sent) != 3 || sent[0].PhoneNumber != "+819012345678" || sent[0].Message != "ご登録ありがとうございます。" || sent[0].MessageAttributes["AWS.SNS.SMS.SMSType"].StringValue != "Transactional" {
			t.Errorf("sent %+v", sent)
		}
		st := app.Stand().Stats(-1)
		if st.Requests != 16 || st.Answers["201"] != 12 || st.Answers["200"] != 4 || st.Categories[0].CallCount != 13 || st.Categories[1].CallCount != 3 || st.Categories[1].Category != "send by admin" {
			t.Errorf("counted %+v", st)
		}
		c.must(204, "POST", "/api/auth/logout", "", "")
		c.must(403, "GET", "/api/sms/history", "", "")
	}},
	{"a token is good once", func(t *testing.T, database string) {
		app := newApp(t, Config{Database: database})
		c := newClient(t, app)
		c.login()
		body := c.prepare()
		codes := together(8, func() int { return (&client{t, app, c.jar}).do("POST", "/api/sms/send", body).Code })
		if codes[201] != 1 || codes[400] != 7 || len(app.SNS().Sent()) != 1 {
			t.Errorf("answers %v, %d messages; want one sent and seven refused", codes, len(app.SNS().Sent()))
		}
	}},
	{"a gateway that fails", func(t *testing.T, database string) {
		app := newApp(t, Config{Database: database, SNS: sns.Config{Faults: stand.Faults{Script: []stand.Fault{stand.Error, stand.Reset, stand.Hang, stand.None}, HangFor: time.Millisecond}}})
		c := newClient(t, app)
		c.login()
		body := c.prepare()
		for _, want := range []string{"SMS gateway: InternalError: Internal service error", "SMS gateway: EndpointConnectionError: could not connect to the endpoint, or it did not answer", "SMS gateway: EndpointConnectionError: could not connect to the endpoint, or it did not answer"} {
			if got := c.must(502, "POST", "/api/sms/send", body, "detail"); got != want {
				t.Errorf("detail %q, want %q", got, want)
			}
		}
		c.must(201, "POST", "/api/sms/send", body, "")
	}},
	{"the pool", func(t *testing.T, database string) {
		app := newApp(t, Config{Database: database, Pool: 1, PoolTimeout: 20 * time.Millisecond})
		gate := &blocking{arrived: make(chan struct{}, 1), leave: make(chan struct{}), then: app.gateway.client.Transport}
		c := newClient(t, app)
		c.login()
		body := c.prepare()
		app.gateway.client.Transport = gate
		done := make(chan int, 1)
		go func() { done <- (&client{t, app, c.jar}).do("POST", "/api/sms/send", body).Code }()
		<-gate.arrived
		// The only connection is with the request that is sending.
		if w := c.do("GET", "/api/sms/history", ""); w.Code != 500 || !strings.Contains(w.Body.String(), "Server Error (500)") {
			t.Errorf("without a connection: %d %s", w.Code, w.Body)
		}
		close(gate.leave)
		if code := <-done; code != 201 {
			t.Errorf("the sending one: %d", code)
		}
		c.must(200, "GET", "/api/sms/history", "", "")
	}},
	{"the lock", func(t *testing.T, database string) {
		app := newApp(t, Config{Database: database, Lock: 2 * time.Millisecond})
		gate := &counting{then: app.gateway.client.Transport}
		app.gateway.client.Transport = gate
		c := newClient(t, app)
		c.login()
		const n = 6
		bodies := make(chan string, n)
		for range n {
			bodies <- c.prepare()
		}
		start := time.Now()
		codes := together(n, func() int { return (&client{t, app, c.jar}).do("POST", "/api/sms/send", <-bodies).Code })
		if codes[201] != n {
			t.Errorf("answers %v", codes)
		}
		if most := gate.most.Load(); most != 1 {
			t.Errorf("%d messages were published at once in spite of the lock", most)
		}
		if took := time.Since(start); took < n*2*time.Millisecond {
			t.Errorf("%d sends took %v: the lock was not held for 2ms each", n, took)
		}
	}},
	{"the slow query", func(t *testing.T, database string) {
		app := newApp(t, Config{Database: database, SlowQuery: 30 * time.Millisecond})
		c := newClient(t, app)
		c.login()
		for range 2 { // without a message, and with one
			start := time.Now()
			c.must(200, "GET", "/api/sms/history", "", "")
			if took := time.Since(start); took < 30*time.Millisecond {
				t.Errorf("the history took %v, want 30ms at least", took)
			}
			c.must(201, "POST", "/api/sms/send", c.prepare(), "")
		}
	}},
	{"many at once", func(t *testing.T, database string) {
		app := newApp(t, Config{Database: database, Pool: 4, SendLimit: &limit.Policy{Algorithm: limit.SlidingLog, Limit: 10, Window: time.Hour}})
		var refused atomic.Int64
		together(8, func() int {
			c := newClient(t, app)
			c.login()
			for range 3 {
				switch w := c.do("POST", "/api/sms/send", c.prepare()); w.Code {
				case 201:
				case 429:
					refused.Add(1)
					if after, _ := strconv.Atoi(w.Header().Get("Retry-After")); after < 3000 || after > 3600 {
						t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
					}
				default:
					t.Errorf("send: %d %s", w.Code, w.Body)
				}
				c.must(200, "GET", "/api/customers?page_size=100", "", "count")
			}
			return 0
		})
		c := newClient(t, app)
		c.login()
		if n := c.must(200, "GET", "/api/sms/history", "", "count"); n != "10" || refused.Load() != 14 || len(app.SNS().Sent()) != 10 {
			t.Errorf("history %s, refused %d, published %d; want 10, 14, 10", n, refused.Load(), len(app.SNS().Sent()))
		}
		if n := c.must(200, "GET", "/api/customers", "", "count"); n != "24" {
			t.Errorf("%s customers, want 24", n)
		}
	}},
}

func TestSQLite(t *testing.T) {
	ran := 0
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) { ran++; b.run(t, "") })
	}
	t.Run("in a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "a b%20?#.db")
		for n := range 2 { // the second finds the first's data
			app, err := New(t.Context(), Config{Database: path})
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, app)
			c.login()
			c.must(201, "POST", "/api/customers", `{"phone_number":"09012345678"}`, "")
			if got := c.must(200, "GET", "/api/customers", "", "count"); got != strconv.Itoa(n+1) {
				t.Errorf("%s customers, want %d", got, n+1)
			}
			if err := app.Close(); err != nil {
				t.Error(err)
			}
		}
		ran++
	})
	if ran != 9 {
		t.Errorf("ran %d behaviours, want 9", ran)
	}
}

// meeting is a database on which two users of a token wait for each other after
// they have read it, so that both have seen it unused.
type meeting struct {
	querier
	both *sync.WaitGroup
}

func (m meeting) ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	m.both.Done()
	m.both.Wait()
	return m.querier.ExecContext(ctx, statement, args...)
}

// TestTokenRace holds that of two requests which both found a token unused only
// one gets it. SQLite alone: in PostgreSQL the second reader waits for the first.
func TestTokenRace(t *testing.T) {
	app := newApp(t, Config{})
	c := newClient(t, app)
	c.login()
	customer := c.must(201, "POST", "/api/customers", `{"phone_number":"09012345678"}`, "id")
	token := c.must(201, "POST", "/api/tokens", `{"customer_id":`+customer+`}`, "token")
	var both sync.WaitGroup
	both.Add(2)
	var used, won atomic.Int64
	together(2, func() int {
		l := &lease{s: app.store, q: meeting{app.store.db, &both}}
		_, err := l.useToken(t.Context(), token, 1, app.stand.Now())
		switch {
		case err == nil:
			won.Add(1)
		case errors.Is(err, tokenUsed):
			used.Add(1)
		default:
			t.Error(err)
		}
		return 0
	})
	if won.Load() != 1 || used.Load() != 1 {
		t.Errorf("%d got the token and %d were refused, want one of each", won.Load(), used.Load())
	}
}

// together runs do n times at once and counts what it returns.
func together(n int, do func() int) map[int]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := map[int]int{}
	for range n {
		wg.Go(func() {
			v := do()
			mu.Lock()
			defer mu.Unlock()
			out[v]++
		})
	}
	wg.Wait()
	return out
}

// blocking is a gateway that holds each message until it is let go.
type blocking struct {
	arrived, leave chan struct{}
	then           http.RoundTripper
}

func (b *blocking) RoundTrip(r *http.Request) (*http.Response, error) {
	b.arrived <- struct{}{}
	<-b.leave
	return b.then.RoundTrip(r)
}

// counting is a gateway that notes how many messages it has at once.
type counting struct {
	now, most atomic.Int64
	then      http.RoundTripper
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for m := c.most.Load(); n > m && !c.most.CompareAndSwap(m, n); m = c.most.Load() {
	}
	time.Sleep(time.Millisecond) // gives the others a chance to be wrong
	return c.then.RoundTrip(r)
}

// TestEndpoint sends to an SNS of its own over a socket, and to things that are
// none.
func TestEndpoint(t *testing.T) {
	service, err := sns.New(sns.Config{Rate: &limit.Policy{Algorithm: limit.SlidingLog, Limit: 1, Window: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	other := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>hello") })
	cases := []struct {
		name    string
		handler http.Handler
		want    []string // the details; "" for sent
	}{
		{"sns", service, []string{"", "SMS gateway: Throttling: Rate exceeded"}},
		{"another service", other, []string{"SMS gateway: ResponseParserError: the endpoint answered 200 with something else than SNS does"}},
	}
	for _, c := range cases {
		server := httptest.NewServer(c.handler)
		app := newApp(t, Config{SNSEndpoint: server.URL})
		if app.SNS() != nil {
			t.Error("there is an SNS inside as well")
		}
		cl := newClient(t, app)
		cl.login()
		for _, want := range c.want {
			w := cl.do("POST", "/api/sms/send", cl.prepare())
			var said struct{ Detail string }
			_ = json.Unmarshal(w.Body.Bytes(), &said)
			if said.Detail != want || (w.Code == 201) != (want == "") {
				t.Errorf("%s: %d %s, want %q", c.name, w.Code, w.Body, want)
			}
		}
		server.Close()
		if got := cl.must(502, "POST", "/api/sms/send", cl.prepare(), "detail"); !strings.Contains(got, "EndpointConnectionError") || strings.Contains(got, "127.0.0.1") {
			t.Errorf("nobody there: %s", got)
		}
	}
}

// TestFaults holds that a fault gives the database back.
func TestFaults(t *testing.T) {
	app := newApp(t, Config{Pool: 1, PoolTimeout: time.Minute, Faults: stand.Faults{Script: []stand.Fault{stand.None, stand.Error, stand.Reset, stand.Slow}, SlowFor: time.Millisecond}})
	c := newClient(t, app)
	c.login()
	c.must(500, "GET", "/api/customers", "", "")
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("a reset without a connection: %v", p)
			}
		}()
		c.do("GET", "/api/customers", "")
	}()
	c.must(200, "GET", "/api/customers", "", "count")
	c.must(404, "GET", "/api/customers/7", "", "")
	if st := app.Stand().Stats(0); st.Requests != 5 || st.Aborted != 1 || st.Answers["500"] != 1 {
		t.Errorf("counted %+v", st)
	}
}
