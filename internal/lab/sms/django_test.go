package sms

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/leaks"
	"github.com/weir-dev/weir/limit"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// recorded is testdata/django.json: requests, and what Django REST Framework
// answered to them, one after the other, with one clock and one database.
type recorded struct {
	From  map[string]string `json:"recorded_from"`
	Clock time.Time
	Cases []struct {
		Request struct {
			Name, Method, Path, Jar string
			Body, Hex, Drop, Cookie string
			Wait                    float64
			Refuse                  []string
			Headers                 map[string]string
			Save                    map[string]string
		}
		Status  int
		Headers [][2]string
		Body    string
	}
}

func readRecorded(t *testing.T) *recorded {
	t.Helper()
	raw, err := os.ReadFile("testdata/django.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Cases) < recordedCases {
		t.Fatalf("the recording has only %d cases", len(r.Cases))
	}
	for _, name := range []string{"python", "django", "djangorestframework"} {
		if r.From[name] == "" {
			t.Errorf("the recording does not say which %s it is of", name)
		}
	}
	return &r
}

// recordedCases is how many there are at least.
const recordedCases = 447

// twoUsers are the fixtures of the recording, the first as seed 002 has it.
const twoUsers = `[
 {"model": "accounts.User", "pk": 1, "fields": {"username": "admin", "email": "admin@example.com", "is_staff": true, "is_superuser": true}},
 {"model": "accounts.User", "pk": 2, "fields": {"username": "operator", "email": "operator@example.com", "password": "password123", "is_staff": true}},
 {"model": "accounts.Profile", "fields": {"user": 1, "employee_id": "EMP001", "full_name": "管理者ユーザー"}}
]`

// moving is a clock that a test moves.
type moving struct {
	start time.Time
	by    atomic.Int64
}

func (m *moving) now() time.Time { return m.start.Add(time.Duration(m.by.Load())) }

// refusing is a transport that refuses the next message when it is told to.
type refusing struct {
	next atomic.Pointer[[2]string]
	then http.RoundTripper
}

func (f *refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	said := f.next.Swap(nil)
	if said == nil {
		return f.then.RoundTrip(r)
	}
	body := "<ErrorResponse><Error><Type>Sender</Type><Code>" + said[0] + "</Code><Message>" + said[1] + "</Message></Error></ErrorResponse>"
	return &http.Response{StatusCode: 400, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// masked is what Django's templates put into a page.
func masked(secret string) string {
	mask := randomWord(csrfLetters, secretSize)
	out := []byte(mask)
	for i := range len(secret) {
		out = append(out, csrfLetters[(strings.IndexByte(csrfLetters, secret[i])+strings.IndexByte(csrfLetters, mask[i]))%len(csrfLetters)])
	}
	return string(out)
}

var masks = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`sessionid=[a-z0-9]{32};`), "sessionid=<session>;"},
	{regexp.MustCompile(`csrftoken=[A-Za-z0-9]{32};`), "csrftoken=<csrf>;"},
	{regexp.MustCompile(`"token":"[A-Za-z0-9_-]{43}"`), `"token":"<token>"`},
	{regexp.MustCompile(`"message_id":"[0-9a-f-]{36}"`), `"message_id":"<id>"`},
}

// masking replaces what is random, as the recorder does.
func masking(s string) string {
	for _, m := range masks {
		s = m.re.ReplaceAllString(s, m.with)
	}
	return s
}

// jar holds cookies by name.
type jar map[string]string

func (j jar) take(w *httptest.ResponseRecorder) {
	for _, line := range w.Header()["Set-Cookie"] {
		name, rest, _ := strings.Cut(line, "=")
		value, _, _ := strings.Cut(rest, ";")
		if j[name] = strings.Trim(value, `"`); j[name] == "" {
			delete(j, name)
		}
	}
}

// replay holds an app to the recording and returns how many cases agreed.
func replay(t *testing.T, cfg Config) (agreed int) {
	t.Helper()
	rec := readRecorded(t)
	clock := &moving{start: rec.Clock}
	cfg.Fixtures, cfg.Clock = []byte(twoUsers), clock.now
	cfg.TrustedOrigins = []string{"http://localhost:3000", "https://*.example.org"}
	cfg.SendLimit = &limit.Policy{Algorithm: limit.SlidingLog, Limit: 5, Window: time.Hour}
	app := newApp(t, cfg)
	gate := &refusing{then: app.gateway.client.Transport}
	app.gateway.client.Transport = gate
	jars, saved := map[string]jar{}, map[string]string{}

	for _, c := range rec.Cases {
		q := c.Request
		clock.by.Add(int64(q.Wait * float64(time.Second)))
		if len(q.Refuse) == 2 {
			gate.next.Store(&[2]string{q.Refuse[0], q.Refuse[1]})
		}
		if q.Path == "/broken" {
			agreed++ // there is no such view here; "token for infinity" is the same page
			continue
		}
		cookies := jars[q.Jar]
		if q.Jar == "" || cookies == nil {
			cookies = jar{}
		}
		if q.Jar != "" {
			jars[q.Jar] = cookies
		}
		expand := func(text string) string {
			for k, v := range saved {
				text = strings.ReplaceAll(text, "${"+k+"}", v)
			}
			text = strings.ReplaceAll(text, "${csrf}", cookies[csrfCookie])
			if strings.Contains(text, "${masked}") {
				text = strings.ReplaceAll(text, "${masked}", masked(cookies[csrfCookie]))
			}
			return text
		}
		body := []byte(expand(q.Body))
		if q.Hex != "" {
			body, _ = hex.DecodeString(q.Hex)
		}
		r := request(q.Method, expand(q.Path), body)
		for name, value := range q.Headers {
			if name == "Host" {
				r.Host = value
				continue
			}
			r.Header[http.CanonicalHeaderKey(name)] = []string{expand(value)}
		}
		var lines []string
		for _, name := range []string{csrfCookie, sessionCookie} {
			if v, ok := cookies[name]; ok && name != q.Drop {
				lines = append(lines, name+"="+v)
			}
		}
		if q.Cookie != "" {
			lines = append(lines, expand(q.Cookie))
		}
		if lines != nil {
			r.Header["Cookie"] = []string{strings.Join(lines, "; ")}
		}
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		cookies.take(w)
		dec := json.NewDecoder(strings.NewReader(w.Body.String()))
		dec.UseNumber()
		var fields map[string]any
		_ = dec.Decode(&fields) // what is not an object has nothing to save
		for variable, name := range q.Save {
			saved[variable] = fmt.Sprint(fields[name])
		}
		if same(t, q.Name, w, c.Status, c.Headers, c.Body, q.Method == http.MethodHead) {
			agreed++
		}
	}
	return agreed
}

// same compares an answer with the recorded one: status, every header, body.
func same(t *testing.T, name string, w *httptest.ResponseRecorder, status int, headers [][2]string, body string, head bool) bool {
	t.Helper()
	good := true
	if got := masking(w.Body.String()); w.Code != status || !head && got != body {
		t.Errorf("%s: %d %s\nwant %d %s", name, w.Code, got, status, body)
		good = false
	}
	var got, want []string
	for k, values := range w.Header() {
		for _, v := range values {
			got = append(got, k+": "+masking(v))
		}
	}
	for _, h := range headers {
		want = append(want, h[0]+": "+h[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: headers\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		good = false
	}
	return good
}

// request is one with its method and target as given, which httptest.NewRequest
// would refuse for some.
func request(method, target string, body []byte) *http.Request {
	path, query, _ := strings.Cut(target, "?")
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
	r.Method = method
	r.URL.Path, r.URL.RawQuery = unquote(strings.ReplaceAll(path, "+", "%2B")), query
	r.Host = "testserver"
	return r
}

func newApp(t testing.TB, cfg Config) *App {
	t.Helper()
	app, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	return app
}

// TestAgainstDjango replays what was recorded from Django REST Framework.
func TestAgainstDjango(t *testing.T) {
	if agreed := replay(t, Config{}); agreed < recordedCases {
		t.Errorf("%d cases agree, want %d at least", agreed, recordedCases)
	}
}
