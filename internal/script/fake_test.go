package script

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/tally"
)

// sent is a request as a service saw it.
type sent struct {
	user int
	at   time.Duration
	*http.Request
	body string
}

// service is an HTTP service in memory.
type service struct {
	http.Handler
	delay time.Duration // of every answer

	mu    sync.Mutex
	start time.Time
	log   []sent
}

// fakeSender is a Sender to a service, with redirects and cookies.
type fakeSender struct {
	s       *service
	id      int
	jar     *cookie.Jar
	timeout time.Duration
	still   bool
	last    string
}

func (f *fakeSender) SetJar(j *cookie.Jar)             { f.jar = j }
func (f *fakeSender) Tune(t time.Duration, still bool) { f.timeout, f.still = t, still }
func (f *fakeSender) URL() string                      { return f.last }
func (f *fakeSender) Close() error                     { return nil }

func (f *fakeSender) Send(ctx context.Context, req *hit.Request, ans *hit.Answer) {
	timeout, still := f.timeout, f.still
	f.timeout, f.still = 0, false
	if ctx.Err() != nil {
		ans.Failure, ans.Done = hit.Interrupted, time.Now()
		return
	}
	ans.Sent = time.Now()
	if ans.OnSent != nil {
		ans.OnSent(ans.Sent)
	}
	at, method, body := req.URL, req.Method, req.Body
	for {
		u, err := url.Parse(at)
		if err != nil {
			ans.Failure, ans.Err, ans.Done = hit.OtherFailure, "bad URL", time.Now()
			return
		}
		r := httptest.NewRequest(method, at, bytes.NewReader(body))
		for _, h := range req.Header {
			r.Header.Add(h.Name, h.Value)
		}
		place := cookie.Place{Host: strings.ToLower(u.Hostname()), Path: u.Path, HTTPS: u.Scheme == "https"}
		if f.jar != nil && r.Header.Get("Cookie") == "" {
			if c := f.jar.Append(nil, place, time.Now()); len(c) > 0 {
				r.Header.Set("Cookie", string(c))
			}
		}
		f.s.mu.Lock()
		f.s.log = append(f.s.log, sent{f.id, time.Since(f.s.start), r, string(body)})
		f.s.mu.Unlock()
		delay := f.s.delay
		if timeout > 0 && timeout < delay {
			time.Sleep(timeout)
			ans.Failure, ans.Err, ans.Done = hit.AnswerTimeout, "no complete answer within "+timeout.String(), time.Now()
			return
		}
		if delay > 0 {
			select {
			case <-time.After(delay):
			case <-ctx.Done():
				ans.Failure, ans.Done = hit.Interrupted, time.Now()
				return
			}
		}
		w := httptest.NewRecorder()
		f.s.ServeHTTP(w, r)
		ans.Status, ans.Fields, ans.Body = w.Code, ans.Fields[:0], append(ans.Body[:0], w.Body.Bytes()...)
		for name, vs := range w.Header() {
			for _, v := range vs {
				ans.Fields = ans.Fields.Append(name, v)
			}
		}
		if f.jar != nil {
			f.jar.Receive(place, ans.Fields, time.Now())
		}
		ans.Done = time.Now()
		f.last = at
		to := ans.Fields.Get("Location")
		if still || ans.Status < 300 || ans.Status > 399 || to == "" {
			return
		}
		next, _ := u.Parse(to)
		at, method, body = next.String(), "GET", nil
		ans.Redirects++
	}
}

// files writes the files of a scenario, the first of which is sms.star.
func files(t testing.TB, src string, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("sms.star", src)
	for i := 0; i < len(more); i += 2 {
		write(more[i], more[i+1])
	}
	return filepath.Join(dir, "sms.star")
}

func mustLoad(t testing.TB, o Options, src string, more ...string) *Script {
	t.Helper()
	sc, err := Load(files(t, src, more...), o)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return sc
}

// outcome is what became of a run.
type outcome struct {
	load.Result
	err    error
	totals tally.Totals
	errors map[string]int64 // texts of the table of errors
	log    []sent
}

func (o *outcome) paths() []string {
	var out []string
	for _, s := range o.log {
		out = append(out, s.Method+" "+s.URL.Path)
	}
	return out
}

// oneError returns the only text of the table of errors.
func (o *outcome) oneError(t testing.TB) string {
	t.Helper()
	if len(o.errors) != 1 {
		t.Fatalf("the errors are %v, want one", o.errors)
	}
	for text := range o.errors {
		return text
	}
	return ""
}

type play struct {
	users    int
	runTime  time.Duration
	delay    time.Duration
	arrivals pace.Pacer
	requests int64
	seed     uint64
	handler  http.HandlerFunc
}

// run runs a scenario in virtual time.
func run(t *testing.T, sc *Script, p play) *outcome {
	t.Helper()
	o := &outcome{errors: map[string]int64{}}
	if p.handler == nil {
		p.handler = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id": 7, "ok": true}`) }
	}
	synctest.Test(t, func(t *testing.T) {
		s := &service{Handler: p.handler, delay: p.delay, start: time.Now()}
		plan := load.Plan{
			Scenario: sc, RunTime: p.runTime, StopTimeout: time.Minute, MaxRequests: p.requests, Seed: p.seed,
			NewSender: sc.Senders(func(id int) (Sender, error) { return &fakeSender{s: s, id: id}, nil }),
		}
		if p.arrivals != nil {
			plan.Arrivals, plan.MaxUsers = p.arrivals, max(p.users, 1)
		} else {
			level, err := pace.ParseLevel(fmt.Sprintf("%d:%s", p.users, p.runTime))
			if err != nil {
				t.Fatal(err)
			}
			plan.Users = level
		}
		e, err := load.New(plan)
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		o.Result, o.err = e.Run(t.Context(), func(k *tally.Tick) {
			o.totals.Add(k)
			for _, x := range k.Errors {
				o.errors[x.Text] += x.Count
			}
		})
		s.mu.Lock()
		o.log = s.log
		s.mu.Unlock()
	})
	return o
}

// once runs a task of one user once, and returns what log() said.
func once(t *testing.T, task string, handler http.HandlerFunc) (lines []string, o *outcome) {
	t.Helper()
	var mu sync.Mutex
	sc := mustLoad(t, Options{Log: func(line string) { mu.Lock(); defer mu.Unlock(); lines = append(lines, line) }},
		"host = \"http://api.test\"\n"+task+"\nU = HttpUser(tasks = [flow], wait_time = constant(1000))\n")
	o = run(t, sc, play{users: 1, runTime: time.Second, handler: handler})
	return lines, o
}
