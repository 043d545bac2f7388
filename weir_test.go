package weir

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve starts a server that records what it gets.
func serve(t testing.TB, h http.HandlerFunc) (url string, seen func() []string) {
	t.Helper()
	var mu sync.Mutex
	var lines []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		line := r.Method + " " + r.RequestURI
		for _, name := range []string{"Content-Type", "X-A", "Authorization", "Cookie"} {
			if v := r.Header.Values(name); len(v) > 0 {
				line += " " + name + "=" + strings.Join(v, "|")
			}
		}
		if v := r.Header.Get("X-Default"); v != "" && v != "d" {
			line += " X-Default=" + v
		}
		if len(body) > 0 {
			line += " " + string(body)
		}
		mu.Lock()
		lines = append(lines, line)
		mu.Unlock()
		if h != nil {
			h(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string { mu.Lock(); defer mu.Unlock(); return lines }
}

// once runs a task of one user once.
func once(t testing.TB, host string, o Options, task func(u *User) error) Result {
	t.Helper()
	o.RunTime = 20 * time.Millisecond
	o.Args = append(o.Args, "--stop-timeout", "20s")
	r, err := Run(o, Class[User]{Name: "U", Host: host, Wait: Constant(time.Hour), Tasks: []Task[User]{{Name: "task", Do: task}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRequestsOnTheWire(t *testing.T) {
	host, seen := serve(t, nil)
	cases := []struct {
		send func(u *User) *Response
		want string
	}{
		{func(u *User) *Response { return u.Get("/a") }, "GET /a"},
		{func(u *User) *Response { return u.Get("b?x=1", Query("y", "2"), Query("z", "ä b")) }, "GET /b?x=1&y=2&z=%C3%A4+b"},
		{func(u *User) *Response { return u.Get("/a#frag", Query("y", "2")) }, "GET /a?y=2"},
		{func(u *User) *Response { return u.Get(u.Host()) }, "GET /"},
		{func(u *User) *Response {
			return u.Post("/a", JSON(map[string]any{"a": []any{nil, true, 1.5, "é\n<"}}))
		},
			`POST /a Content-Type=application/json {"a":[null,true,1.5,"é\n<"]}`},
		{func(u *User) *Response { return u.Post("/a", Form("b", "1 2"), Form("a", "ü")) }, "POST /a Content-Type=application/x-www-form-urlencoded b=1+2&a=%C3%BC"},
		{func(u *User) *Response { return u.Post("/a", Body([]byte("raw")), Header("content-type", "text/x")) }, "POST /a Content-Type=text/x raw"},
		{func(u *User) *Response { return u.Put("/a", Body([]byte("raw"))) }, "PUT /a raw"},
		{func(u *User) *Response { return u.Patch("/a", JSON([]int{})) }, "PATCH /a Content-Type=application/json []"},
		{func(u *User) *Response { return u.Delete("/a") }, "DELETE /a"},
		{func(u *User) *Response { return u.Head("/a") }, "HEAD /a"},
		{func(u *User) *Response { return u.Options("/a") }, "OPTIONS /a"},
		{func(u *User) *Response { return u.Do("PURGE", "/a", Header("X-A", "1"), Header("X-A", "2")) }, "PURGE /a X-A=1|2"},
		{func(u *User) *Response { return u.Get("/a", BasicAuth("anna", "pw")) }, "GET /a Authorization=Basic YW5uYTpwdw=="},
		{func(u *User) *Response { return u.Get("/a", Header("x-default", "other")) }, "GET /a X-Default=other"},
		{func(u *User) *Response { return u.Get("/a", Timeout(5*time.Second), Replay(), Option{}) }, "GET /a"},
		{func(u *User) *Response { u.SetCookie("k", "v"); return u.Get("/a") }, "GET /a Cookie=k=v"},
	}
	r := once(t, host, Options{}, func(u *User) error {
		u.SetHeader("X-Default", "d")
		u.SetHeader("X-Gone", "d")
		u.SetHeader("x-gone", "")
		for _, c := range cases {
			if r := c.send(u); r.Status != 200 || !r.OK() || r.Err() != nil {
				t.Errorf("want %s: status %d, %v", c.want, r.Status, r.Err())
			}
		}
		return nil
	})
	got := seen()
	if len(got) != len(cases) || len(cases) < 15 || r.Admitted != int64(len(cases)) || !r.Passed() {
		t.Fatalf("%d requests of %d cases arrived: %+v", len(got), len(cases), r)
	}
	for i, c := range cases {
		if got[i] != c.want {
			t.Errorf("sent\n%s, want\n%s", got[i], c.want)
		}
	}
}

func TestResponse(t *testing.T) {
	host, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/from":
			http.Redirect(w, r, "/to", http.StatusFound)
		case "/big":
			fmt.Fprint(w, strings.Repeat("x", 100_000))
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-time.After(2 * time.Minute):
			}
		case "/empty":
		default:
			http.SetCookie(w, &http.Cookie{Name: "k", Value: "v", Path: "/"})
			w.Header().Set("X-Path", r.URL.Path)
			fmt.Fprintf(w, `{"path": %q}`, r.URL.Path)
		}
	})
	r := once(t, host, Options{}, func(u *User) error {
		var v struct{ Path string }
		first := u.Get("/one", Name("ONE"))
		if c := first.Cookies(); len(c) != 1 || c[0].Name != "k" || u.Cookie("k") != "v" || u.Cookie("none") != "" {
			t.Errorf("cookies %v, kept %q", c, u.Cookie("k"))
		}
		if first.Elapsed <= 0 || first.Method != "GET" || first.Name != "ONE" || first.URL != host+"/one" || first.Outcome() != "admitted" {
			t.Errorf("%+v", first)
		}
		big := u.Get("/big")
		moved := u.Get("/from")
		if moved.URL != host+"/to" || moved.Status != 200 {
			t.Errorf("after a redirect: %d from %s", moved.Status, moved.URL)
		}
		if still := u.Get("/from", NoRedirects()); still.Status != 302 || !still.OK() {
			t.Errorf("NoRedirects: %d", still.Status)
		}
		empty := u.Get("/empty")
		if err := empty.JSON(&v); err == nil || !strings.Contains(err.Error(), "its body is empty (200 to GET /empty)") {
			t.Errorf("JSON of an empty body: %v", err)
		}
		if err := big.JSON(&v); err == nil || !strings.Contains(err.Error(), "is not JSON (200 to GET /big, text/plain; charset=utf-8): it begins with") {
			t.Errorf("JSON of another body: %v", err)
		}
		if err := moved.JSON(&struct{ Path int }{}); err == nil || !strings.Contains(err.Error(), "other JSON than was asked for") {
			t.Errorf("JSON of another type: %v", err)
		}
		slow := u.Get("/slow", Timeout(30*time.Millisecond))
		if slow.Status != 0 || slow.OK() || slow.Err() == nil || slow.Outcome() != "failed" {
			t.Errorf("after a time-out: %+v", slow)
		}
		if err := slow.JSON(&v); err == nil || !strings.Contains(err.Error(), "there is no answer") {
			t.Errorf("JSON of no answer: %v", err)
		}
		// All of them are still what they were.
		if err := first.JSON(&v); err != nil || v.Path != "/one" || first.Header("x-path") != "/one" || len(big.Bytes()) != 100_000 || moved.Text() != `{"path": "/to"}` {
			t.Errorf("earlier answers changed: %v, %q, %d bytes, %s", err, first.Text(), len(big.Bytes()), moved.Text())
		}
		return nil
	})
	if r.Admitted != 5 || r.Failed != 1 {
		t.Errorf("%+v, want 5 admitted, 1 failed", r.Counts)
	}
}

func TestMarks(t *testing.T) {
	host, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/429":
			w.WriteHeader(429)
		case "/500":
			w.WriteHeader(500)
		}
	})
	r := once(t, host, Options{}, func(u *User) error {
		a := u.Get("/a")
		if a.Check(true, "fine") != true || a.Check(false, "no\nid") != false || a.Outcome() != "failed" {
			t.Error("Check does not return its condition, or does not mark")
		}
		u.Get("/429").Check(false, "refused") // stays throttled
		u.Get("/b").Throttled()
		u.Get("/500").Success()
		u.Get("/c").Failure(strings.Repeat("é", 150))
		d := u.Get("/d")
		u.Sleep(0)
		d.Failure("too late")
		return nil
	})
	if r.Counts != (Counts{Admitted: 2, Throttled: 2, Failed: 2}) {
		t.Errorf("%+v", r.Counts)
	}
	text := fmt.Sprint(r.Errors)
	for _, want := range []string{"no id", "é…", "GET /d: this answer is counted already"} {
		if !strings.Contains(text, want) {
			t.Errorf("the errors lack %q: %s", want, text)
		}
	}
}

// TestMisuse holds that what cannot be sent is not, and is told.
func TestMisuse(t *testing.T) {
	host, seen := serve(t, nil)
	cases := []struct {
		do   func(u *User) error
		want string
	}{
		{func(u *User) error { return u.Get("/a", Header("a b", "1")).Err() }, `GET /a: "a b" is not the name of a header`},
		{func(u *User) error { return u.Get("/a?secret=1", Header("A", "1\r\nB: 2")).Err() }, "GET /a: header A has a line break in it"},
		{func(u *User) error { return u.Post("/a", JSON(1), Form("a", "b")).Err() }, "POST /a: JSON, Form and Body each give a body"},
		{func(u *User) error { return u.Post("/a", JSON(func() {})).Err() }, "POST /a: JSON: json: unsupported type: func()"},
		{func(u *User) error { return u.Get("/a", Timeout(0)).Err() }, "GET /a: Timeout is 0s"},
		{func(u *User) error { return u.Do("GE T", "/a").Err() }, `"GE T" is not a method`},
		{func(u *User) error { return u.Get("http://192.0.2.1/a").Err() }, "192.0.2.1 is not this machine: set Options.Remote"},
		{func(u *User) error { u.SetHeader("", "x"); return nil }, `"" is not the name of a header`},
		{func(u *User) error { u.SetCookie("a b", "x"); return nil }, `SetCookie "a b"`},
		{func(u *User) error { return errors.New("my own") }, "my own"},
		{func(u *User) error { return ErrInterrupt }, "it is in none"},
		{func(u *User) error { return []error{}[u.ID()+9] }, "panic: runtime error: index out of range [9] with length 0 at weir_test.go"},
	}
	for _, c := range cases {
		r := once(t, host, Options{}, func(u *User) error { u.Get("/before"); return c.do(u) })
		if text := fmt.Sprint(r.Errors); !strings.Contains(text, c.want) {
			t.Errorf("the errors are %s, want %q", text, c.want)
		}
	}
	if got := seen(); len(got) != len(cases) || len(cases) < 10 {
		t.Errorf("%d requests of %d cases arrived: %v", len(got), len(cases), got)
	}
}

func TestClassesAreChecked(t *testing.T) {
	nothing := func(*User) error { return nil }
	one := []Task[User]{{Name: "one", Do: nothing, Tags: []string{"tag"}}}
	host := "http://127.0.0.1:1"
	loop := &TaskSet[User]{Name: "loop"}
	loop.Tasks = []Task[User]{{Set: loop}}
	type state struct{ *User }
	cases := []struct {
		class Declaration
		o     Options
		want  string
	}{
		{Class[User]{}, Options{}, "a class has no Name"},
		{Class[User]{Name: "A", Host: host}, Options{}, "class A: A has no Tasks"},
		{Class[state]{Name: "A", Host: host}, Options{}, "it has no New"},
		{Class[User]{Name: "A", Host: "ftp://127.0.0.1", Tasks: one}, Options{}, "the host is not of the form"},
		{Class[User]{Name: "A", Host: "http://example.com", Tasks: one}, Options{}, "example.com is not this machine"},
		{Class[User]{Name: "A", Host: host, Tasks: one}, Options{Host: "http://example.com"}, "example.com is not this machine"},
		{Class[User]{Name: "A", Host: host, Weight: -1, Tasks: one}, Options{}, "its Weight is -1"},
		{Class[User]{Name: "A", Host: host, Weight: 1, FixedCount: 1, Tasks: one}, Options{}, "both a Weight and a FixedCount"},
		{Class[User]{Name: "A", Host: host, FixedCount: 1, Tasks: one}, Options{Rate: "1/s"}, "with an arrival rate give it a Weight"},
		{Class[User]{Name: "A", Host: host, Wait: Between(2, 1), Tasks: one}, Options{}, "weir.Between(2ns, 1ns)"},
		{Class[User]{Name: "A", Host: host, Wait: Constant(-1), Tasks: one}, Options{}, "weir.Constant(-1ns)"},
		{Class[User]{Name: "A", Host: host, Wait: ConstantThroughput(0), Tasks: one}, Options{}, "weir.ConstantThroughput(0)"},
		{Class[User]{Name: "A", Host: host, Wait: WaitFunc(nil), Tasks: one}, Options{}, "weir.WaitFunc(nil)"},
		{Class[User]{Name: "A", Host: host, Tasks: []Task[User]{{Name: "x"}}}, Options{}, "task x wants either Do or Set"},
		{Class[User]{Name: "A", Host: host, Tasks: []Task[User]{{Do: nothing}}}, Options{}, "task 1 has no Name"},
		{Class[User]{Name: "A", Host: host, Tasks: []Task[User]{{Set: loop}}}, Options{}, "does loop hold itself?"},
		{Class[User]{Name: "A", Host: host, Tasks: one}, Options{Args: []string{"--class", "B"}}, "there is no user class B: there are A"},
		{Class[User]{Name: "A", Host: host, Tasks: one}, Options{Args: []string{"--tags", "x"}}, `no task has the tag "x": there are tag`},
		{Class[User]{Name: "A", Host: host, Tasks: one}, Options{Args: []string{"-E", "tag"}}, "the tags leave no task"},
		{Class[User]{Name: "A", Host: host, Tasks: one}, Options{FailIf: []string{"nonsense"}}, "--fail-if"},
		{Class[User]{Name: "A", Host: host, Tasks: one}, Options{Args: []string{"--wait", "1s"}}, "say it in the class"},
		{Class[User]{Name: "A", Host: host, Tasks: one}, Options{}, "nothing was sent"},
	}
	for _, c := range cases {
		if _, err := Run(c.o, c.class); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Run: %v, want %q", err, c.want)
		}
	}
	if _, err := Run(Options{}); err == nil || !strings.Contains(err.Error(), "there is no user class") {
		t.Errorf("Run without classes: %v", err)
	}
	if len(cases) < 20 {
		t.Fatalf("only %d cases", len(cases))
	}
}

// fakeT is a test that may fail.
type fakeT struct {
	*testing.T
	errors []string
}

func (f *fakeT) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func TestTest(t *testing.T) {
	host, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			w.WriteHeader(429)
		}
	})
	visit := func(path string) Declaration {
		return Class[User]{Name: "U", Host: host, Tasks: []Task[User]{{Name: "visit", Do: func(u *User) error { u.Get(path); return nil }}}}
	}
	f := &fakeT{T: t}
	dir := filepath.Join(t.TempDir(), "results")
	r := Test(f, Options{Requests: 20, Dir: dir}, visit("/ok"))
	if len(f.errors) > 0 || r.Admitted != 20 || !r.Passed() || len(r.Names) != 1 || r.Names[0].Name != "/ok" || r.Names[0].P99 <= 0 || r.Length <= 0 {
		t.Errorf("%+v, %v", r, f.errors)
	}
	for _, name := range []string{"run.weir", "summary.json", "report.html"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	r = Test(f, Options{Requests: 20, FailIf: []string{"throttled.count > 0"}}, visit("/busy"))
	if len(f.errors) != 1 || r.ExitCode != 1 || r.Throttled != 20 || !strings.Contains(f.errors[0], "throttled.count > 0 (20)") {
		t.Errorf("%d, %v", r.ExitCode, f.errors)
	}
	Test(f, Options{Host: "http://example.com"}, visit("/"))
	if len(f.errors) != 2 || !strings.Contains(f.errors[1], "could not be run: example.com is not this machine") {
		t.Errorf("%v", f.errors)
	}
}

// TestArrivalsOfSeveralClasses holds that the selves of a user of the open model
// have cookies and answers of their own.
func TestArrivalsOfSeveralClasses(t *testing.T) {
	host, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("who")
		if err != nil {
			c = &http.Cookie{Name: "who", Value: r.URL.Path[1:], Path: "/"}
			http.SetCookie(w, c)
		}
		fmt.Fprint(w, c.Value)
	})
	type self struct {
		*User
		last *Response
	}
	class := func(name string, weight int) Declaration {
		return Class[self]{Name: name, Host: host, Weight: weight, New: func(u *User) *self { return &self{User: u} }, Tasks: []Task[self]{{Name: "visit", Do: func(s *self) error {
			if s.last != nil && s.last.Text() != name {
				t.Errorf("the last answer of %s became %q", name, s.last.Text())
			}
			s.last = s.Get("/" + name)
			if s.last.Text() != name {
				t.Errorf("%s has the cookies of %s", name, s.last.Text())
			}
			return nil
		}}}}
	}
	r := Test(t, Options{Rate: "200/s", RunTime: 200 * time.Millisecond, Args: []string{"--max-users", "1", "--max-send-lag", "20s"}}, class("a", 3), class("b", 1))
	if len(r.Names) != 2 || r.Names[0].Admitted != 30 || r.Names[1].Admitted != 10 {
		t.Errorf("%+v, want 30 of /a and 10 of /b", r.Names)
	}
	r = Test(t, Options{Users: 3, SpawnRate: 62.5, Seed: 3, Requests: 12, StopIf: []string{"failed.count > 0"}, Args: []string{"--max-send-lag", "20s"}}, class("a", 3))
	if r.Admitted != 12 {
		t.Errorf("%+v, want 12 admitted", r.Counts)
	}
}

// TestGuideIsCode holds that the Go in docs/go.md is taken from files that are
// compiled and run.
func TestGuideIsCode(t *testing.T) {
	squeeze := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(b)), " ")
	}
	code := squeeze("example_test.go") + squeeze("feed_test.go") + squeeze("examples/sms/main.go")
	blocks := strings.Split(squeeze("docs/go.md"), "```go ")[1:]
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, " ```")
		if !strings.Contains(code, b) {
			t.Errorf("docs/go.md has Go that is in no example:\n%s", b)
		}
	}
	if len(blocks) < 4 {
		t.Fatalf("found only %d blocks", len(blocks))
	}
}

// Errors of tasks fail a run unless they are allowed, and so does a run in which
// nothing got through. One whose users all stop themselves ends.
func TestVerdictOfScenarios(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	defer server.Close()
	rows, err := NewFeed([]string{"a", "b", "c"}, FeedOptions{Order: Unique, StopUsers: true})
	if err != nil {
		t.Fatal(err)
	}
	class := func(do func(u *User) error) Class[User] {
		return Class[User]{Name: "Visitor", Host: server.URL, Tasks: []Task[User]{{Name: "task", Do: do}}}
	}
	broken := class(func(u *User) error { u.Get("/"); return errors.New("it broke") })
	for name, c := range map[string]struct {
		o      Options
		class  Class[User]
		code   int
		reason string
		most   int64 // admitted
	}{
		"an error":         {Options{Requests: 2}, broken, 1, "errors of the scenario, of which most often: it broke.", 2},
		"allowed errors":   {Options{Requests: 2, Args: []string{"--allow-errors"}}, broken, 0, "No checks were given.", 2},
		"a condition held": {Options{Requests: 2, FailIf: []string{"failed.count > 0"}}, broken, 1, "it broke", 2},
		"all failed":       {Options{Requests: 2}, class(func(u *User) error { u.Get("/").Failure("never good"); return nil }), 1, "Every request failed: check: never good.", 0},
		"all stopped": {Options{Users: 2, Requests: 1000}, class(func(u *User) error {
			if _, err := rows.Next(u); err != nil {
				return err
			}
			u.Get("/")
			return nil
		}), 0, "No checks were given.", 3},
	} {
		c.o.Args = append(c.o.Args, "--max-send-lag", "20s")
		r, err := Run(c.o, c.class)
		if err != nil || r.ExitCode != c.code || !strings.Contains(r.Reason, c.reason) || r.Admitted != c.most {
			t.Errorf("%s: exit code %d, %d admitted, %q, %v; want %d, %d and %q", name, r.ExitCode, r.Admitted, r.Reason, err, c.code, c.most, c.reason)
		}
		if n := strings.Count(r.Reason, "it broke"); n > 1 {
			t.Errorf("%s: the reason is given %d times: %s", name, n, r.Reason)
		}
	}
}
