package script

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// TestLoadErrors is the table of what can be wrong in a file, and what is said.
func TestLoadErrors(t *testing.T) {
	ok := "\ndef flow(user): pass\nU = HttpUser(tasks = [flow])\n"
	cases := []struct{ src, want string }{
		{"", `there is no user class in sms.star: write NormalUser = HttpUser(`},
		{"x = 1", `there is no user class`},
		{"def f(user): pass\nHttpUser(tasks = [f])", `no user class has a name at the top of sms.star`},
		{"def f(user)\n  pass", `sms.star:1:12: got newline, want ':'`},
		{"def f(user):\n    return f\"/a/{user.id}\"" + ok, `sms.star:2:27: got string literal, want newline: Starlark has no f-strings: write "/api/%s" % id`},
		{"import random" + ok, `there is no import: random, json, time and others are there already`},
		{"from locust import task" + ok, `there is no import`},
		{"class A(HttpUser):\n  pass", `there are no classes: write NormalUser = HttpUser(`},
		{"@task\ndef f(user): pass", `there are no decorators`},
		{"def f(user):\n  try:\n    pass\n  except: pass", `there are no exceptions: look at r.ok`},
		{"def f(user):\n  with user.get('/') as r:\n    pass", `there is no with`},
		{"def f(user):\n  global x\n", `there are no changing globals`},
		{"x = 1 if None is None else 2", `write == None`},
		{"x = htpp_user()", `sms.star:1:5: undefined: htpp_user`},
		{"def f(user): sleep(1)", `undefined: sleep: write time.sleep`},
		{"x = randint(1, 2)", `undefined: randint: write random.randint`},
		{"x = prinf(1)", `undefined: prinf (did you mean print?)`},
		{"x = open('a')", `write read_file("name"), or feed.csv("users.csv")`},
		{"x = os.environ['A']", `write env("NAME", "default")`},
		{"x = 2 ** 3", `write math.pow(x, y)`},
		{"x = 1; assert x", `write check(r, condition, `},
		{"x = time.strftime('%Y')" + ok, `time has no .strftime: write time.now().format(`},
		{"x = env['A']" + ok, `a function is called with round brackets: env("NAME")`},
		{"x = {'status': 1}.status" + ok, `dict has no .status field or method: look a key up with ["name"]`},
		{"x = re.search('(?=a)', 'a')" + ok, `there is no looking ahead or behind`},
		{"x = re.search('a)', 'a')" + ok, "re.search: \"a)\": unexpected )"},
		{"x = re.search('a', 'a').group(2)" + ok, `the expression has no group 2: it has 0`},
		{"x = re.search('a', 'a').group('b')" + ok, `the expression has no group "b"`},
		{"x = re.search('a', 'a').grup()" + ok, `a match has no .grup (did you mean group?)`},
		{"x = re.compile('a')" + ok, `re has no .compile: write re.search(`},
		{"x = round('a')" + ok, `round: string is no number`},
		{"x = round(1.5, 99)" + ok, `round: ndigits is 99, want 0 to 20`},
		{"x = round(1e300 * 1e300)" + ok, `round: `},
		{"x = sum(['a'])" + ok, `sum: `},
		{"def f(user): retrun_it(1)\nU = HttpUser(tasks=[f])", `undefined: retrun_it`},
		{"def f(user): pass\nU = HttpUser(task = [f])", `sms.star:2:13: HttpUser: unexpected keyword argument "task" (did you mean tasks?)`},
		{"def f(user): pass\nU = HttpUser(tasks = [f()])", `function f missing 1 argument (user)`},
		{"def f(): pass\nU = HttpUser(tasks = [f])", `f is called with one argument, the user: write it as def f(user)`},
		{"def f(user, x): pass\nU = HttpUser(tasks = [f])", `f is called with one argument`},
		{"U = HttpUser()", `HttpUser has no tasks`},
		{"U = HttpUser(tasks = [])", `tasks is empty`},
		{"U = HttpUser(tasks = [1])", `a task is a function or a TaskSet, not a int`},
		{"def f(user): pass\nU = HttpUser(tasks = f)", `tasks is a function, want a list`},
		{"def f(user): pass\nU = HttpUser(tasks = [f], wait_time = 1)", `wait_time is a number: write constant(1)`},
		{"def f(user): pass\nU = HttpUser(tasks = [f], wait_time = between)", `wait_time = between lacks its numbers`},
		{"def f(user): pass\nU = HttpUser(tasks = [f], wait_time = between(5, 2))", `between(5, 2): the second number is the larger one`},
		{"def f(user): pass\nU = HttpUser(tasks = [f], weight = 0)", `weight = 0: want a number from 1`},
		{"def f(user): pass\nU = HttpUser(tasks = [f], weight = 2, fixed_count = 2)", `a weight or a fixed_count, not both`},
		{"def f(user): pass\nU = HttpUser(tasks = [f], host = \"api.test\")", `sms.star:2:13: U: host "api.test" has no http://`},
		{"def f(user): pass\nU = HttpUser(tasks = [f], on_start = 3)", `on_start is a int, want a function`},
		{"x = base64.encode('a')" + ok, `base64 has no .encode (there is: b64decode, b64encode, `},
		{"x = random.roll()" + ok, `random has no .roll (there is: choice, choices, expovariate`},
		{"x = math.chioce" + ok, `math has no .chioce`},
		{"host = 3" + ok, `host is a int`},
		{`load("nope.star", "x")` + ok, `there is no file nope.star`},
		{`load("a.star", "x")` + ok, `the files load each other in a circle: a.star is still being loaded`},
		{`load("c.star", "nope")` + ok, `load: name nope not found in module c.star (did you mean nop?)`},
		{`load("d.star", "x")` + ok, `d.star:2:11 in g: floored division by zero; called at d.star:3:6; called at sms.star:1:1`},
		{`feed.csv("nope.csv")` + ok, `there is no file nope.csv`},
		{`feed.csv("empty.csv")` + ok, `empty.csv is empty`},
		{`feed.csv("bad.csv")` + ok, `bad.csv: record on line 2: wrong number of fields`},
		{`feed.json("bad.csv")` + ok, `bad.csv:1 is not JSON`},
		{`feed.csv("bad.csv", order = "unqiue")` + ok, `want sequential, random or unique (did you mean unique?)`},
		{`env("NOPE")` + ok, `the environment variable NOPE is not set: export NOPE=…`},
		{`secret("NOPE")` + ok, `the environment variable NOPE is not set`},
		{`secret("A", "b")` + ok, `a default in the file would be no secret`},
		{`profile(users = 3, rate = "1/s")` + ok, `keep one`},
		{`profile(rate = "500")` + ok, `rate: `},
		{`profile(run_time = "5 parsecs")` + ok, `run_time: `},
		{`profile(rate = 5)` + ok, `Write rate = "5/s"`},
		{`profile(shape = 3)` + ok, `shape is a int, want a function of the seconds: def shape(t)`},
		{"def s(): return 1\nprofile(shape = s)" + ok, `s is called with one argument, the seconds`},
		{`profile(classes = ["A"], users = 3)` + ok, `classes holds a string, want user classes`},
		{`profile(classes = 3)` + ok, `classes is a int, want a list of user classes`},
		{"profile(start = \"soon\")" + ok, `start: `},
		{"def g(u): pass\nprofile(classes = [HttpUser(tasks = [g])])" + ok, `a class of it has no name at the top`},
		{"profile(users = 3, max_users = 9)" + ok, `max_users bounds the users of a rate`},
		{"while True: pass", `endless loop`},
		{"def f(n): return f(n - 1)\nf(3)", `function f called recursively: Starlark has no recursion, write a loop`},
		{"time.sleep(1)" + ok, `time.sleep(…) belongs into a task`},
		{"x = 1 + \"a\"", `unknown binary op: int + string`},
		{"x = {}[\"a\"]", `key "a" not in dict`},
		{"fail(\"no\")", `fail: no`},
	}
	more := []string{
		"a.star", `load("b.star", "x")`, "b.star", `load("a.star", "x")`, "c.star", "nop = 1",
		"d.star", "def g():\n    x = 1 // 0\nx = g()\n", "empty.csv", "", "bad.csv", "a,b\n1,2,3\n",
	}
	for _, c := range cases {
		_, err := Load(files(t, c.src, more...), Options{Getenv: func(string) (string, bool) { return "", false }})
		if err == nil {
			t.Errorf("%q was loaded, want an error with %q", c.src, c.want)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.src, err, c.want)
		}
		if strings.Contains(err.Error(), t.TempDir()[:8]) {
			t.Errorf("%q: the error has a path of this machine: %v", c.src, err)
		}
	}
	if len(cases) < 50 {
		t.Fatalf("only %d cases", len(cases))
	}
	if _, err := Load("/nowhere/x.star", Options{}); err == nil || !strings.Contains(err.Error(), "there is no file x.star") {
		t.Errorf("a missing scenario: %v", err)
	}
}

func TestBacktrace(t *testing.T) {
	_, err := Load(files(t, "load(\"d.star\", \"x\")\n", "d.star", "def g():\n    x = 1 // 0\nx = g()\n"), Options{})
	var e *Error
	if !errors.As(err, &e) || e.File != "d.star" || e.Line != 2 || e.Col != 11 {
		t.Fatalf("the error is %#v", err)
	}
	want := "Traceback (most recent call last):\n  sms.star:1:1: in <toplevel>\n  d.star:3:6: in <toplevel>\n  d.star:2:11: in g\nError: floored division by zero"
	if got := e.Backtrace(); got != want {
		t.Errorf("Backtrace() =\n%s\nwant\n%s", got, want)
	}
}

// TestTaskErrors is the table of what can go wrong in a task. Another user of
// the same run must not notice.
func TestTaskErrors(t *testing.T) {
	cases := []struct{ task, want string }{
		{`user.get("/json").json()["nope"]`, `sms.star:4:29 in flow: key "nope" not in dict (use .get(key) when it may be missing); the latest answer was 200 to GET /json`},
		{`user.get("/403").json()["id"]`, `key "id" not in dict (use .get(key) when it may be missing); the latest answer was 403 to GET /403`},
		{`user.get("/html").json()`, `in flow: the answer is not JSON (200 to GET /html, text/html): it begins with "<h1>It works</h1>"`},
		{`user.get("/deep").json()`, `the JSON is nested more than 500 deep (200 to GET /deep)`},
		{`user.get("/cut").json()`, `the answer cannot be read as JSON (200 to GET /cut): of its 5000 bytes the first 4 are kept`},
		{`user.get("/empty").json()`, `the answer is not JSON: its body is empty (200 to GET /empty)`},
		{`1 + "a"`, `sms.star:4:7 in flow: unknown binary op: int + string`},
		{`user.get("/json", heders = {})`, `in flow: get has no argument heders (did you mean headers?)`},
		{`user.get("/json", verify = False)`, `certificates are flags of the run`},
		{`user.get("/json", catch_response = True)`, `leave it out; r.success()`},
		{`user.get()`, `get needs a URL: user.get("/path")`},
		{`user.get(3)`, `the URL is a int, want a text`},
		{`user.post("/json", json = user)`, `json: a user cannot be written in JSON`},
		{`user.post("/json", json = {1: 2})`, `json: the key 1 is a int, want a text`},
		{`user.post("/json", json = {}, data = "x")`, `json and data both give a body`},
		{`user.post("/json", headers = "x")`, `headers is a string, want a dict`},
		{`user.get("/json", headers = {"A": "x\ny"})`, `header A has a line break in it`},
		{`user.get("/json", auth = "token")`, `auth wants ("user", "password"); a token goes into headers`},
		{`user.get("/json", timeout = 0)`, `timeout is 0; want seconds above zero`},
		{`user.geet("/json")`, `the user has no .geet (did you mean get?)`},
		{`user.post("/json", body = "x")`, `post has no argument body: write data = a text`},
		{`user.wait()`, `the user has no .wait: write time.sleep(seconds)`},
		{`user.get("/json").body`, `an answer has no .body: r.text or r.content`},
		{`user.csfr`, `the user has no .csfr (did you mean csrf?)`},
		{`user.get("/json").json["a"]`, `a method has to be called before its result is looked into: r.json()["key"]`},
		{`user.get("/json").raise_for_status()`, `write check(r, r.ok, "why")`},
		{`user.get("/json").history`, `r.url is where it came from`},
		{`"%.2f" % 1.5`, `for two decimals write "%s" % round(x, 2)`},
		{`"{:.2f}".format(1.5)`, `for two decimals write`},
		{`user.get("/json").jsn()`, `an answer has no .jsn (did you mean json?)`},
		{`user.get("/json").cookies["csrftoken"]`, `key "csrftoken" not in the cookies of this answer (user.cookies has all that were set); the latest answer was 200`},
		{`user.get = 3`, `user.get is a part of every user: choose another name`},
		{`user.headers = {}`, `or change the headers with user.headers["Name"] = "value"`},
		{`seen.append(1)`, `cannot append to frozen list: what the file makes at its top is shared by all users and cannot change`},
		{`count += 1`, `a name that a function assigns is its own`},
		{`user.deep(user)`, `called recursively: Starlark has no recursion`},
		{"for _ in range(1000000000): pass", `the task did not end within 100000 steps: is there an endless loop?`},
		{`people.next(); people.next(); people.next()`, `p.csv is used up: it has 2 rows, and each is unique`},
		{`feed.csv("p.csv")`, `feed.csv(…) belongs at the top of the file`},
		{`env("HOME")`, `env(…) belongs at the top of the file`},
		{`HttpUser(tasks = [flow])`, `HttpUser(…) belongs at the top of the file`},
		{`r = user.get("/json"); user.get("/json"); r.failure("late")`, `this answer is counted already: mark it before the user sends its next request or sleeps`},
		{`r = user.get("/json"); time.sleep(1); check(r, False)`, `this answer is counted already`},
		{`check(1, True)`, `check: the first argument is a int, want the answer`},
		{`user.interrupt()`, `sms.star:4: user.interrupt() leaves a TaskSet, and flow is in none`},
		{`time.sleep("x")`, `time.sleep: "x" is no number of seconds`},
		{`jwt.decode("x.y")`, `a token has three parts with dots between them, this one has 2`},
		{`html.input_value(user.get("/html"), "csrf")`, `the page has no input "csrf"; the answer was 200 to GET /html`},
		{`fail("the stock is empty")`, `sms.star:4:9 in flow: fail: the stock is empty`},
		{`helper(user)`, `sms.star:9:25 in helper: floored division by zero; called at sms.star:4:11 in flow`},
		{`random.choice([])`, `choice: the list is empty`},
		{`user.cookies["secure"]`, `key "secure" not in the user's cookies`},
		{`user.get("/secure"); user.cookies["s"]`, `the server set the cookie s, and a browser would not keep it: it is Secure, and it came over http`},
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/json":
			fmt.Fprint(w, `{"id": 1}`)
		case "/403":
			w.WriteHeader(403)
			fmt.Fprint(w, `{"detail": "CSRF Failed"}`)
		case "/html":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<h1>It works</h1>")
		case "/cut":
			w.Header().Set("Content-Length", "5000")
			w.Header()["Content-Type"] = nil
			fmt.Fprint(w, `{"a"`)
		case "/deep":
			fmt.Fprint(w, strings.Repeat("[", 1_000_000))
		case "/secure":
			http.SetCookie(w, &http.Cookie{Name: "s", Value: "1", Secure: true})
		}
	}
	for _, c := range cases {
		src := `host = "http://api.test"
def flow(user):
    user.csrf, user.deep = "x", deep
    ` + c.task + `
def other(user): user.get("/json")
seen = []
count = 0
def deep(user): user.deep(user)
def helper(user): x = 1 // 0
people = feed.csv("p.csv", order = "unique")
U = HttpUser(tasks = [flow], wait_time = constant(2000), fixed_count = 1)
V = HttpUser(tasks = [other], wait_time = constant(1), fixed_count = 1)
`
		sc, err := Load(files(t, src, "p.csv", "a\n1\n2\n"), Options{MaxSteps: 100_000})
		if err != nil {
			t.Errorf("%s: Load: %v", c.task, err)
			continue
		}
		o := run(t, sc, play{users: 2, runTime: 9500 * time.Millisecond, handler: handler})
		failures := 0
		for text := range o.errors {
			if strings.Contains(text, ".star:") {
				failures++
				if !strings.Contains(text, c.want) {
					t.Errorf("%s:\n got %s\nwant %s", c.task, text, c.want)
				}
			}
		}
		if failures != 1 {
			t.Errorf("%s: the errors are %v, want one", c.task, o.errors)
		}
		n := 0
		for _, s := range o.log {
			if s.user == 1 {
				n++
			}
		}
		if n != 10 {
			t.Errorf("%s: the other user sent %d requests, want 10", c.task, n)
		}
	}
	if len(cases) < 40 {
		t.Fatalf("only %d cases", len(cases))
	}
}

func TestNoHost(t *testing.T) {
	sc := mustLoad(t, Options{}, "def flow(user): user.get(\"/a\")\nU = HttpUser(tasks = [flow], wait_time = constant(10))\n")
	o := run(t, sc, play{users: 1, runTime: time.Second})
	if got := o.oneError(t); !strings.Contains(got, `there is no host: write host = `) {
		t.Errorf("error %s", got)
	}
}

// TestStartThatFails holds that users whose on_start fails try again, and that
// a run in which nobody can start says why.
func TestStartThatFails(t *testing.T) {
	src := `
host = "http://api.test"
def start(user): user.token = user.get("/login").json()["token"]
def flow(user): user.get("/x")
U = HttpUser(tasks = [flow], wait_time = constant(1), on_start = start)
`
	var n atomic.Int32
	o := run(t, mustLoad(t, Options{}, src), play{users: 1, runTime: 10 * time.Second, handler: func(http.ResponseWriter, *http.Request) {}})
	if o.err == nil || !strings.Contains(o.err.Error(), "no user could start: sms.star:3:54 in start: the answer is not JSON") {
		t.Errorf("Run: %v, want that no user could start", o.err)
	}
	sc := mustLoad(t, Options{}, strings.Replace(src, "def start(user):", "def start(user):\n    if user.id == 0 and user.get(\"/first\").json()[\"n\"] < 2: fail(\"not yet\")\n   ", 1))
	o = run(t, sc, play{users: 2, runTime: 10 * time.Second, handler: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			n.Add(1)
		}
		fmt.Fprintf(w, `{"token": "t", "n": %d}`, n.Load())
	}})
	if o.err != nil || o.PeakUsers != 2 || n.Load() != 2 || o.totals.Outcome(hit.Admitted).Count < 15 {
		t.Errorf("a user that could not start tries again: %v, %d tries, %d admitted", o.err, n.Load(), o.totals.Outcome(hit.Admitted).Count)
	}
}

// TestEndOfRunIsNoError holds that a script which is cut in the middle of a
// request or of a sleep is not reported.
func TestEndOfRunIsNoError(t *testing.T) {
	for _, body := range []string{`user.get("/x")`, `time.sleep(1000)`, "for i in range(1000): user.get(\"/x\").ok"} {
		sc := mustLoad(t, Options{}, "host = \"http://api.test\"\ndef flow(user):\n    "+body+"\ndef bye(user): user.get(\"/bye\")\nU = HttpUser(tasks = [flow], on_stop = bye)\n")
		o := run(t, sc, play{users: 3, runTime: time.Second, delay: 400 * time.Second})
		if len(o.errors) > 0 || o.Abandoned > 0 {
			t.Errorf("%s: errors %v, %d abandoned", body, o.errors, o.Abandoned)
		}
		o = run(t, sc, play{users: 3, runTime: 100 * time.Second, delay: time.Millisecond, requests: 50})
		if len(o.errors) > 0 || len(o.log) > 50 {
			t.Errorf("%s with a budget: errors %v, %d requests", body, o.errors, len(o.log))
		}
	}
}

func TestOptionErrors(t *testing.T) {
	src := "def flow(user): pass\nU = HttpUser(tasks = [task(flow, tags = [\"sms\"])])\n"
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Tags: []string{"smss"}}, `no task has the tag "smss" (did you mean sms?)`},
		{Options{ExcludeTags: []string{"sms"}}, "the tags leave no task to run"},
		{Options{Classes: []string{"V"}}, "there is no user class V"},
		{Options{Host: "localhost:80"}, "has no http://"},
	} {
		if _, err := Load(files(t, src), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
	}
	if _, err := Load(files(t, "def f(user): pass\nU = HttpUser(tasks = [f], fixed_count = 1)\n"), Options{Arrivals: true}); err == nil || !strings.Contains(err.Error(), "fixed_count") {
		t.Errorf("a fixed_count with arrivals: %v", err)
	}
}
