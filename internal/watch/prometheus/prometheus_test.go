package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-dev/weir/internal/leaks"
	"github.com/weir-dev/weir/internal/tally"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// recorded is an answer of a real server; testdata/answers.json says of which.
type recorded struct {
	Method, Path, Query string
	Status              int
	Type, Body          string
}

func answers(t testing.TB) []recorded {
	t.Helper()
	b, err := os.ReadFile("testdata/answers.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Source  string
		Answers []recorded
	}
	if err := json.Unmarshal(b, &all); err != nil || all.Source == "" || len(all.Answers) < 14 {
		t.Fatalf("%d recorded answers from %q: %v", len(all.Answers), all.Source, err)
	}
	return all.Answers
}

// newSource asks a server of the test's own.
func newSource(t *testing.T, h http.HandlerFunc, o Options) *Source {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	if o.URL == "" {
		o.URL = "prometheus+" + srv.URL
	} else {
		o.URL = strings.Replace(o.URL, "HOST", strings.TrimPrefix(srv.URL, "http://"), 1)
	}
	if o.Name == "" {
		o.Name = "Prometheus"
	}
	s, err := New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestAnswersOfARealServer(t *testing.T) {
	want := map[string]struct {
		list []sample
		err  string
	}{
		"up":           {list: []sample{{"instance=127.0.0.1:19090, job=prometheus", 1}, {"instance=127.0.0.1:19100, job=node", 0}}},
		"1+1":          {list: []sample{{"", 2}}},
		"sum(up)":      {list: []sample{{"", 1}}},
		"nothing_here": {},
		"0/0":          {},
		"1/0":          {},
		`"hello"`:      {err: "it gives a string: ask for an instant vector or a scalar"},
		"up[5s]":       {err: "it gives a range of values"},
		"rate(up[":     {err: "parse error: missing unit character in duration (bad_data)"},
		"":             {err: "no expression found in input (bad_data)"},
		`label_replace(label_replace(up,"instance","","",""),"job","","","")`: {err: "(execution)"},
	}
	checked := 0
	for _, a := range answers(t) {
		if a.Method != http.MethodPost || a.Path != "/api/v1/query" {
			continue
		}
		w, ok := want[a.Query]
		if !ok {
			t.Errorf("nothing is said of %q", a.Query)
			continue
		}
		checked++
		got, err := parseAnswer(a.Status, a.Type, []byte(a.Body))
		if diff := cmp.Diff(w.list, got, cmp.AllowUnexported(sample{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", a.Query, diff)
		}
		if (err == nil) != (w.err == "") || err != nil && !strings.Contains(err.Error(), w.err) {
			t.Errorf("%q: error %v, want %q", a.Query, err, w.err)
		}
	}
	if checked != len(want) {
		t.Fatalf("checked %d answers, want %d", checked, len(want))
	}
}

// replay answers as the real server did.
func replay(t *testing.T) http.HandlerFunc {
	all := answers(t)
	return func(w http.ResponseWriter, r *http.Request) {
		for _, a := range all {
			if a.Method == r.Method && a.Path == r.URL.Path && a.Query == r.FormValue("query") {
				w.Header().Set("Content-Type", a.Type)
				w.WriteHeader(a.Status)
				fmt.Fprint(w, a.Body)
				return
			}
		}
		t.Errorf("%s %s %q was not recorded", r.Method, r.URL.Path, r.FormValue("query"))
		w.WriteHeader(http.StatusTeapot)
	}
}

func TestSample(t *testing.T) {
	s := newSource(t, replay(t), Options{Queries: []Query{
		{Name: "targets", Unit: "targets", Expr: "up", Limit: "1+1"},
		{Name: "all", Expr: "sum(up)"},
		{Name: "wrong", Expr: "rate(up["},
		{Name: "nothing", Expr: "nothing_here", Limit: "rate(up["},
	}})
	got, err := s.Sample(t.Context())
	if err != nil {
		t.Fatalf("Sample: %v", err)
	}
	want := []tally.Watched{
		{Group: "targets", Name: "instance=127.0.0.1:19090, job=prometheus", Unit: "targets", Value: 1, Limit: 2, LimitName: "limit"},
		{Group: "targets", Name: "instance=127.0.0.1:19100, job=node", Unit: "targets", Value: 0, Limit: 2, LimitName: "limit"},
		{Group: "all", Name: "all", Value: 1},
	}
	if diff := cmp.Diff(want, got.Readings); diff != "" {
		t.Errorf("readings (-want +got):\n%s", diff)
	}
	if len(got.Events) != 2 || !strings.HasPrefix(got.Events[0], "wrong: ") || !strings.HasPrefix(got.Events[1], "the limit of nothing: ") {
		t.Errorf("events %q, want the two questions that are wrong", got.Events)
	}
	again, err := s.Sample(t.Context())
	if err != nil || len(again.Events) != 0 || len(again.Readings) != 3 {
		t.Errorf("second look: %+v, %v, want the same readings and nothing said again", again, err)
	}
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), `question "wrong": invalid parameter`) {
		t.Errorf("Check = %v, want the wrong question", err)
	}
}

func TestLimitByLabels(t *testing.T) {
	vector := func(rows ...string) string {
		return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(rows, ",") + `]}}`
	}
	row := func(host, value string) string {
		return fmt.Sprintf(`{"metric":{"__name__":"m","host":%q},"value":[1,%q]}`, host, value)
	}
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("query") == "used" {
			fmt.Fprint(w, vector(row("b", "20"), row("a", "10"), row("c", "NaN"), row("d", "5")))
			return
		}
		fmt.Fprint(w, vector(row("a", "100"), row("b", "200"), row("d", "-1")))
	}, Options{Queries: []Query{{Name: "used", Expr: "used", Limit: "size"}}})
	got, err := s.Sample(t.Context())
	want := []tally.Watched{
		{Group: "used", Name: "host=a", Value: 10, Limit: 100, LimitName: "limit"},
		{Group: "used", Name: "host=b", Value: 20, Limit: 200, LimitName: "limit"},
		{Group: "used", Name: "host=d", Value: 5},
	}
	if diff := cmp.Diff(want, got.Readings); diff != "" || err != nil {
		t.Errorf("readings (-want +got), error %v:\n%s", err, diff)
	}
}

func TestManySeriesAreCapped(t *testing.T) {
	var rows []string
	for i := range 40 {
		rows = append(rows, fmt.Sprintf(`{"metric":{"i":"%02d"},"value":[1,"%d"]}`, i, i))
	}
	s := newSource(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[`+strings.Join(rows, ",")+`]}}`)
	}, Options{Queries: []Query{{Name: "many", Expr: "many"}}})
	for look := range 2 {
		got, err := s.Sample(t.Context())
		if err != nil || len(got.Readings) != MaxSeries || len(got.Events) != 1-look {
			t.Errorf("look %d: %d readings, events %q, %v; want %d, and the cap said once", look, len(got.Readings), got.Events, err, MaxSeries)
		}
	}
}

func TestOnlyGETIsAllowed(t *testing.T) {
	var gets atomic.Int64
	real := replay(t)
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		gets.Add(1)
		real(w, r)
	}, Options{Queries: []Query{{Name: "all", Expr: "sum(up)"}}})
	got, err := s.Sample(t.Context())
	if err != nil || len(got.Readings) != 1 || got.Readings[0].Value != 1 || gets.Load() != 1 {
		t.Errorf("Sample = %+v, %v after %d GET, want the value 1 after one", got, err, gets.Load())
	}
}

func TestWhoIsAsking(t *testing.T) {
	cases := []struct {
		name, url, token, want string
	}{
		{"nobody", "prometheus+http://HOST", "", ""},
		{"basic", "prometheus+http://weir:s%40fe@HOST", "", "Basic d2VpcjpzQGZl"},
		{"bearer", "prometheus+http://HOST", "s@fe", "Bearer s@fe"},
	}
	for _, c := range cases {
		var got string
		var mu sync.Mutex
		s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			got = r.Header.Get("Authorization")
			mu.Unlock()
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"status":"error","errorType":"unauthorized","error":"s@fe is not known here"}`)
		}, Options{URL: c.url, Token: c.token, Queries: []Query{{Name: "q", Expr: "up"}}})
		_, err := s.Sample(t.Context())
		mu.Lock()
		if got != c.want {
			t.Errorf("%s: Authorization %q, want %q", c.name, got, c.want)
		}
		mu.Unlock()
		if err == nil || c.want != "" && strings.Contains(err.Error(), "s@fe") {
			t.Errorf("%s: error %v, want one without the secret", c.name, err)
		}
	}
	if len(cases) < 3 {
		t.Fatal("cases are missing")
	}
}

func TestServerInTrouble(t *testing.T) {
	cases := []struct {
		name, want string
		handler    http.HandlerFunc
	}{
		{"a page", "the answer is text/html, not JSON: is this a Prometheus server?", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>log in")
		}},
		{"bad gateway", "the answer is status 502 Bad Gateway", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }},
		{"other JSON", "not one of Prometheus", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"message":"hi"}`)
		}},
		{"too long", "longer than 4 MB", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"status":"success","x":"`+strings.Repeat("x", maxAnswer)+`"}`)
		}},
		{"cut", "EOF", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"status"`)
		}},
		{"lines", "a b c (bad)", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"status":"error","errorType":"bad","error":"a\nb\u0000c"}`)
		}},
	}
	for _, c := range cases {
		s := newSource(t, c.handler, Options{Queries: []Query{{Name: "q", Expr: "up"}}})
		got, err := s.Sample(t.Context())
		if err == nil || len(got.Readings) > 0 || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v; want no readings and one line with %q", c.name, got.Readings, err, c.want)
		}
	}
	if len(cases) < 6 {
		t.Fatal("cases are missing")
	}
	s, err := New(Options{URL: "prometheus+http://127.0.0.1:1", Name: "P", Queries: []Query{{Name: "q", Expr: "up"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sample(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "/api") {
		t.Errorf("nobody there: %v, want the refusal without the URL", err)
	}
}

// TestSlowServer gives up when the Watcher does, in no real time.
func TestSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{URL: "prometheus+http://mon.example", Name: "P", Queries: []Query{{Name: "q", Expr: "up"}}})
		if err != nil {
			t.Fatal(err)
		}
		s.client.Transport = silent{}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := s.Sample(ctx); err == nil || err.Error() != "it did not answer in time" {
			t.Errorf("Sample = %v, want that it did not answer in time", err)
		}
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("it took %v, want 5s", d)
		}
	})
}

// silent never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestParseQuery(t *testing.T) {
	good := map[string]Query{
		`CPU=up{job="a"}`:       {Name: "CPU", Expr: `up{job="a"}`},
		"CPU [%] = 100*sum(x)":  {Name: "CPU", Unit: "%", Expr: "100*sum(x)"},
		"heap size[bytes]=a==1": {Name: "heap size", Unit: "bytes", Expr: "a==1"},
		"x[]=1":                 {Name: "x", Expr: "1"},
	}
	for in, want := range good {
		if got, err := ParseQuery(in); err != nil || got != want {
			t.Errorf("ParseQuery(%q) = %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "up", "=up", "CPU=", " = ", `up{job="a"}`, "sum(rate(a[1m]) == 1)"} {
		if got, err := ParseQuery(in); err == nil {
			t.Errorf("ParseQuery(%q) = %+v, want an error", in, got)
		}
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	one := []Query{{Name: "q", Expr: "up"}}
	const secret = "Gehe!m9"
	cases := []Options{
		{URL: "http://host", Queries: one},
		{URL: "prometheus+ftp://u:" + secret + "@host", Queries: one},
		{URL: "prometheus+http://u:" + secret + "%zz@host", Queries: one},
		{URL: "prometheus+http://", Queries: one},
		{URL: "prometheus+http://host?token=" + secret, Queries: one},
		{URL: "prometheus+http://host"},
		{URL: "prometheus+http://host", Queries: append(one, one...)},
		{URL: "prometheus+http://host", Queries: make([]Query, MaxQueries+1)},
		{URL: "prometheus+http://u:" + secret + "@host", Token: secret, Queries: one},
		{URL: "prometheus+http://host", Token: secret + "\nX: y", Queries: one},
	}
	for _, o := range cases {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("New(%+v) = %v, want an error without the secret", o, err)
		}
	}
	if len(cases) < 10 {
		t.Fatal("cases are missing")
	}
	if got, err := Where("prometheus+https://u:" + secret + "@mon.example:9090/prom"); err != nil || got != "mon.example:9090" {
		t.Errorf("Where = %q, %v, want mon.example:9090", got, err)
	}
}

func FuzzParseAnswer(f *testing.F) {
	for _, a := range answers(f) {
		f.Add(a.Status, a.Type, []byte(a.Body))
	}
	for _, body := range []string{
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":null,"value":null}]}}`,
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":1},"value":[1,"1"]}]}}`,
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1","2"]}]}}`,
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1"}]}]}}`,
		`{"status":"success","data":{"resultType":"scalar","result":[1,1e999]}}`,
		`{"status":"success","data":{"resultType":"scalar","result":[1,"1e999"]}}`,
		`{"status":"success","data":null}`, `[]`, `{"status":1}`, "\xff",
	} {
		f.Add(200, "application/json", []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte) {
		list, err := parseAnswer(status, kind, body)
		if err != nil && (len(list) > 0 || err.Error() == "") {
			t.Errorf("parseAnswer(%d, %q, %q) = %v with the error %v", status, kind, body, list, err)
		}
		seen := map[string]bool{}
		for _, s := range list {
			if math.IsNaN(s.value) || math.IsInf(s.value, 0) || seen[s.labels] || strings.ContainsAny(s.labels, "\n\x00") || len([]rune(s.labels)) > maxLabels {
				t.Errorf("parseAnswer(%d, %q, %q) gives %+v", status, kind, body, s)
			}
			seen[s.labels] = true
		}
	})
}
