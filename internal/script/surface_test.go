package script

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// TestMask holds that a secret is masked in every form in which it is sent and may come back.
func TestMask(t *testing.T) {
	const value = `Se/cr et+Ä!"42`
	o := Options{Getenv: func(string) (string, bool) { return value, true }}
	sc := mustLoad(t, o, "pw = secret(\"PW\")\ndef flow(user): pass\nU = HttpUser(tasks = [flow])\n")
	quoted, _ := json.Marshal(value)
	for _, form := range []string{
		value, string(quoted), `Se/cr et+\u00c4!\"42`, url.QueryEscape(value), url.PathEscape(value), "Se/cr%20et+%C3%84!\"42",
		base64.StdEncoding.EncodeToString([]byte(value)), hex.EncodeToString([]byte(value)),
	} {
		if got := sc.Mask("a " + form + " b"); strings.Contains(got, "42") || !strings.Contains(got, "[secret]") {
			t.Errorf("%s became %s", form, got)
		}
	}
}

// TestExpressions checks the helpers: what each expression logs.
func TestExpressions(t *testing.T) {
	cases := []struct{ expr, want string }{
		{`base64.b64encode("hello\x00")`, "aGVsbG8A"},
		{`base64.b64decode("aGVsbG8")`, "hello"},
		{`base64.urlsafe_b64encode(b"\xfb\xff")`, "-_8="},
		{`base64.urlsafe_b64decode("-_8") == b"\xfb\xff"`, "True"},
		{`hashlib.md5("abc").hexdigest()`, "900150983cd24fb0d6963f7d28e17f72"},
		{`hashlib.sha1("abc").hexdigest()`, "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{`hashlib.sha256("abc").hexdigest()`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{`hmac.new("key", "The quick brown fox jumps over the lazy dog", "sha256").hexdigest()`, "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"},
		{`hmac.new("key", "x", hashlib.sha1).base64() == hmac.new(b"key", b"x", "sha1").base64()`, "True"},
		{`jwt.decode("eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiJ9.")["sub"]`, "42"},
		{`jwt.header("eyJhbGciOiJub25lIn0.eyJzdWIiOiI0MiJ9.")["alg"]`, "none"},
		{`url.quote("a b/ü")`, "a%20b%2F%C3%BC"},
		{`url.unquote("a%20b")`, "a b"},
		{`url.encode({"a": [1, 2], "b": "x y", "c": None})`, "a=1&a=2&b=x+y"},
		{`url.parse("https://h:8/p?a=1&b=2").query["b"]`, "2"},
		{`url.join("http://h/a/b", "../c")`, "http://h/c"},
		{`html.input_value('<form><input name=x value=1><INPUT type="hidden" name="csrfmiddlewaretoken" value="a&amp;b"></form>', "csrfmiddlewaretoken")`, "a&b"},
		{`html.input_value("<p>", "x", default = "none")`, "none"},
		{`html.inputs("<input name=a value=1><input name=b>")`, `{"a": "1", "b": ""}`},
		{`html.inputs("<input type=checkbox name=a checked><input type=checkbox name=b><input type=radio name=c value=1><input type=radio name=c value=2 checked>")`, `{"a": "on", "c": "2"}`},
		{`html.inputs("<textarea name=t>\na &lt; b</textarea><input name=x disabled><input type=submit name=go value=Send>")`, `{"t": "a < b"}`},
		{`html.inputs("<select name=s><option value=1>one<option>two  words</select><select name=m multiple><option selected>x<option selected>y<option>z</select>")`, `{"s": "1", "m": ["x", "y"]}`},
		{`html.inputs("<input name=h type=hidden value=0><input name=h type=checkbox value=1 checked>")`, `{"h": ["0", "1"]}`},
		{`html.inputs("<form id=a><input name=q></form><form name=b><input name=r value=2></form>", form="b")`, `{"r": "2"}`},
		{`html.meta('<meta name="csrf-token" content="T">', "csrf-token")`, "T"},
		{`html.unescape("&lt;&amp;")`, "<&"},
		{`len(uuid.uuid4()), uuid.uuid4()[14], uuid.uuid4()[19] in "89ab"`, `(36, "4", True)`},
		{`1 <= random.randint(1, 6) and random.randint(1, 6) <= 6`, "True"},
		{`random.randrange(5, 6), random.randrange(1) , random.randrange(0, 10, 10)`, "(5, 0, 0)"},
		{`random.choice(["a"])`, "a"},
		{`len(random.choices([1, 2], weights = [1, 0], k = 4)), random.choices([1, 2], weights = [0, 1])`, "(4, [2])"},
		{`sorted(random.sample([3, 1, 2], 3))`, "[1, 2, 3]"},
		{`len(random.text(12)), random.text(2, "x")`, `(12, "xx")`},
		{`0.5 <= random.uniform(0.5, 1) and random.uniform(0.5, 1) <= 1`, "True"},
		{`time.time() > 900000000`, "True"},
		{`type(time.now())`, "time.time"},
		{`json.decode("[1]")`, "[1]"},
		{`math.floor(2.5)`, "2"},
		{`user.id, user.host`, `(0, "http://api.test")`},
		{`struct(a = 1).a`, "1"},
		{`user.client.get("/x").status_code`, "200"},
		{`"/api/%d" % 7`, "/api/7"},
		{`re.search('name="csrf" value="(.+?)"', '<input name="csrf" value="tok"><input value="x">').group(1)`, "tok"},
		{`re.search("(?P<year>[0-9]+)-(x)?", "on 2026-11")["year"], re.search("b", "abc").start(), re.search("bc", "abc").end()`, `("2026", 1, 3)`},
		{`re.search("(a)|(b)", "b").groups(), re.search("(a)", "b"), re.search("a", "xay").group()`, `((None, "b"), None, "a")`},
		{`re.match("b", "ab"), re.match("a", "ab")`, `(None, <match "a">)`},
		{`re.findall("[0-9]", "1a2"), re.findall("a(.)", "abac"), re.findall("(a)(.)", "abac"), re.findall("x", "a")`, `(["1", "2"], ["b", "c"], [("a", "b"), ("a", "c")], [])`},
		{`re.sub("(?P<x>a)(n?)", "<\\2\\g<x>$1>", "banana")`, "b<na$1><na$1><a$1>"},
		{`round(2.5), round(3.5), round(-1.4), round(7), round(1.236, 2), round(1e300 * 1e10, 1)`, "(2, 4, -1, 7, 1.24, +inf)"},
		{`sum([1, 2.5]), sum([]), sum((1, 2), 10)`, "(3.5, 0, 13)"},
		{`json.loads(json.dumps({"a": [1, None]}))`, `{"a": [1, None]}`},
	}
	for _, c := range cases {
		lines, o := once(t, "def flow(user):\n    log("+c.expr+")\n", nil)
		if strings.HasPrefix(c.want, "(") {
			lines, o = once(t, "def flow(user):\n    log(("+c.expr+"))\n", nil)
		}
		if len(lines) != 1 || lines[0] != c.want {
			t.Errorf("%s = %v, want %s (%v)", c.expr, lines, c.want, o.errors)
		}
	}
	if len(cases) < 30 {
		t.Fatalf("only %d cases", len(cases))
	}
}

// TestRequestsOnTheWire checks what each call sends.
func TestRequestsOnTheWire(t *testing.T) {
	cases := []struct {
		call, want string // method, URI, chosen headers, body
	}{
		{`user.get("/a")`, "GET /a"},
		{`user.get("b?x=1", params = {"y": 2, "z": "ä b"})`, "GET /b?x=1&y=2&z=%C3%A4+b"},
		{`user.get("http://other.test/c#frag")`, "GET other.test/c"},
		{`user.post("/a", json = {"b": 1, "a": [None, True, 1.5, "é\n\""]})`, `POST /a Content-Type=application/json {"b":1,"a":[null,true,1.5,"é\n\""]}`},
		{`user.post("/a", data = {"a": "1 2", "b": True})`, "POST /a Content-Type=application/x-www-form-urlencoded a=1+2&b=True"},
		{`user.post("/a", {"a": 1})`, "POST /a Content-Type=application/x-www-form-urlencoded a=1"},
		{`user.post("/a", data = "raw", headers = {"Content-Type": "text/x"})`, "POST /a Content-Type=text/x raw"},
		{`user.put("/a", data = b"raw")`, "PUT /a raw"},
		{`user.patch("/a", json = [])`, "PATCH /a Content-Type=application/json []"},
		{`user.delete("/a")`, "DELETE /a"},
		{`user.head("/a")`, "HEAD /a"},
		{`user.options("/a")`, "OPTIONS /a"},
		{`user.request("PURGE", "/a", headers = {"X-A": 1})`, "PURGE /a X-A=1"},
		{`user.get("/a", auth = ("anna", "pw"))`, "GET /a Authorization=Basic YW5uYTpwdw=="},
		{`user.get("/a", cookies = {"k": "v"})`, "GET /a Cookie=k=v"},
		{`user.get("/a", headers = {"x-default": None, "X-A": "1"})`, "GET /a X-A=1"},
		{`user.get("/a", headers = {"x-Default": "other"})`, "GET /a X-Default=other"},
		{`user.get(url = "/a", timeout = 5, json = None)`, "GET /a"},
	}
	for _, c := range cases {
		src := "def flow(user):\n    user.headers[\"X-Default\"] = \"d\"\n    " + c.call + "\n"
		_, o := once(t, src, nil)
		if len(o.log) != 1 || len(o.errors) > 0 {
			t.Errorf("%s: %d requests, errors %v", c.call, len(o.log), o.errors)
			continue
		}
		r := o.log[0]
		got := r.Method + " " + strings.TrimPrefix(r.URL.String(), "http://api.test")
		got = strings.Replace(got, "http://", "", 1)
		for _, h := range []string{"Content-Type", "X-A", "Authorization", "Cookie"} {
			if v := r.Header.Get(h); v != "" {
				got += " " + h + "=" + v
			}
		}
		if v := r.Header.Get("X-Default"); v != "" && v != "d" {
			got += " X-Default=" + v
		}
		if r.body != "" {
			got += " " + r.body
		}
		if got != c.want {
			t.Errorf("%s sent\n%s, want\n%s", c.call, got, c.want)
		}
	}
	if len(cases) < 18 {
		t.Fatalf("only %d cases", len(cases))
	}
}

func TestFilesAreMultipart(t *testing.T) {
	var got []string
	_, o := once(t, `
def flow(user):
    user.post("/up", data = {"note": "hi"}, files = {"f": ("a\".csv", "1,2", "text/csv"), "g": b"raw"})
`, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			t.Errorf("the form cannot be read: %v", err)
			return
		}
		got = append(got, r.MultipartForm.Value["note"][0])
		for _, n := range []string{"f", "g"} {
			h := r.MultipartForm.File[n][0]
			f, _ := h.Open()
			b, _ := io.ReadAll(f)
			got = append(got, h.Filename+" "+h.Header.Get("Content-Type")+" "+string(b))
		}
	})
	want := `[hi a".csv text/csv 1,2 g application/octet-stream raw]`
	if fmt.Sprint(got) != want && fmt.Sprint(got) != strings.Replace(want, `a"`, "a%22", 1) {
		t.Errorf("the service saw %v, want %s (%v)", got, want, o.errors)
	}
}

func TestAnswers(t *testing.T) {
	lines, o := once(t, `
def flow(user):
    r = user.get("/one?q=1")
    s = user.get("/two")
    log(r.status, r.ok, r.text, r.content == bytes(r.text), r.json()["path"], r.headers["x-path"], r.headers.get("nope"), "X-PATH" in r.headers)
    log(s.json()["path"], s.cookies["c"], s.cookies.get("d", "-"), user.cookies["c"], s.url, s.name, s.outcome, s.elapsed >= 0)
    e = user.get("/missing")
    log(e.status, e.ok, e.outcome, e.error == "", bool(e))
`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Path", r.URL.Path)
		http.SetCookie(w, &http.Cookie{Name: "c", Value: r.URL.Path[1:]})
		if r.URL.Path == "/missing" {
			w.WriteHeader(404)
			return
		}
		fmt.Fprintf(w, `{"path": %q}`, r.URL.Path)
	})
	want := []string{
		`200 True {"path": "/one"} True /one /one None True`,
		`/two two - two http://api.test/two /two admitted True`,
		`404 False failed True False`,
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("logged\n%s\nwant\n%s\n%v", strings.Join(lines, "\n"), strings.Join(want, "\n"), o.errors)
	}
	if o.log[1].Header.Get("Cookie") != "c=one" {
		t.Errorf("the second request sent the cookie %q", o.log[1].Header.Get("Cookie"))
	}
}

func TestMarks(t *testing.T) {
	for _, c := range []struct {
		path, body string
		want       hit.Outcome
		reason     string
	}{
		{"/200", `check(r, r.status == 201, "not created")`, hit.Failed, "not created"},
		{"/200", `check(r, r.ok, "never")`, hit.Admitted, ""},
		{"/200", `r.failure("odd")`, hit.Failed, "odd"},
		{"/200", `r.throttled()`, hit.Throttled, ""},
		{"/404", `r.success()`, hit.Admitted, ""},
		{"/429", `check(r, r.status == 201, "not created")`, hit.Throttled, ""},
		{"/429", `r.failure("by hand")`, hit.Failed, "by hand"},
		{"/500", `check(r, r.status == 201, "not created")`, hit.Failed, "500"},
	} {
		_, o := once(t, "def flow(user):\n    r = user.get(\""+c.path+"\")\n    "+c.body+"\n", func(w http.ResponseWriter, r *http.Request) {
			var code int
			fmt.Sscanf(r.URL.Path, "/%d", &code)
			w.WriteHeader(code)
		})
		if o.totals.Outcome(c.want).Count != 1 {
			t.Errorf("%s %s: not %s; errors %v", c.path, c.body, c.want, o.errors)
		}
		if c.reason != "" && !strings.Contains(o.oneError(t), c.reason) {
			t.Errorf("%s %s: the reason is %v, want %s", c.path, c.body, o.errors, c.reason)
		}
	}
}

func TestTimeoutAndRedirects(t *testing.T) {
	lines, o := once(t, `
def flow(user):
    r = user.get("/old")
    log(r.status, r.url)
    r = user.get("/old", allow_redirects = False)
    log(r.status, r.headers["Location"])
    r = user.get("/old")
    log(r.status)
`, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.SetCookie(w, &http.Cookie{Name: "hop", Value: "1"})
			http.Redirect(w, r, "/new", http.StatusFound)
		}
	})
	want := "200 http://api.test/new\n302 /new\n200"
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("logged %s, want %s (%v)", got, want, o.errors)
	}
	if len(o.log) != 5 || o.log[1].Header.Get("Cookie") != "hop=1" {
		t.Errorf("%d hops; the cookie of a redirect goes with the next hop: %q", len(o.log), o.log[1].Header.Get("Cookie"))
	}

	sc := mustLoad(t, Options{}, `
host = "http://api.test"
def flow(user):
    r = user.get("/slow", timeout = 0.5)
    if r.error == "" or r.status != 0 or r.elapsed != 0.5: fail("r is %s, %s" % (r, r.error))
U = HttpUser(tasks = [flow], wait_time = constant(100))
`)
	o = run(t, sc, play{users: 1, runTime: 10 * time.Second, delay: 2 * time.Second})
	if o.totals.Outcome(hit.Failed).Count != 1 || !strings.Contains(o.oneError(t), "500ms") {
		t.Errorf("errors %v, want one time-out after 0.5 s", o.errors)
	}
}

// TestDjangoCSRF plays Django's double check: a cookie, a header with the same
// value and a Referer.
func TestDjangoCSRF(t *testing.T) {
	src := `
host = "http://sms.test"
def on_start(user):
    r = user.post("/api/auth/login", json = {"username": "admin", "password": secret_word})
    check(r, r.status == 200, "no login")
    user.headers.update({"X-CSRFToken": r.cookies["csrftoken"], "Referer": user.host})
def flow(user):
    r = user.post("/api/customers", json = {"phone_number": "09012345678"})
    check(r, r.status == 201, "not created")
    user.customer = r.json()["id"]
    time.sleep(random.randrange(2, 5))
    user.get("/api/sms/history", name = "history")
NormalUser = HttpUser(wait_time = between(2, 5), on_start = on_start, tasks = [flow])
`
	sc := mustLoad(t, Options{Getenv: func(n string) (string, bool) { return "hunter2", n == "SMS_PASSWORD" }}, "secret_word = secret(\"SMS_PASSWORD\")\n"+src)
	o := run(t, sc, play{users: 20, runTime: time.Minute, handler: django})
	if len(o.errors) > 0 || o.totals.Outcome(hit.Failed).Count > 0 || len(o.log) < 20*10 {
		t.Errorf("%d requests, errors %v", len(o.log), o.errors)
	}
	for _, s := range o.log {
		if s.URL.Path == "/api/auth/login" && s.body != `{"username":"admin","password":"hunter2"}` {
			t.Errorf("the login sent %s", s.body)
		}
	}
}

func django(w http.ResponseWriter, r *http.Request) {
	refuse := func(why string) {
		w.WriteHeader(403)
		fmt.Fprintf(w, `{"detail":"CSRF Failed: %s"}`, why)
	}
	if r.URL.Path == "/api/auth/login" {
		http.SetCookie(w, &http.Cookie{Name: "sessionid", Value: "s", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.SetCookie(w, &http.Cookie{Name: "csrftoken", Value: "t0k3n", Path: "/", MaxAge: 31449600, SameSite: http.SameSiteLaxMode})
		fmt.Fprint(w, `{"ok": true}`)
		return
	}
	if _, err := r.Cookie("sessionid"); err != nil {
		refuse("no session")
		return
	}
	if r.Method == "POST" {
		c, err := r.Cookie("csrftoken")
		switch {
		case err != nil:
			refuse("CSRF cookie not set.")
		case r.Header.Get("X-CSRFToken") != c.Value:
			refuse("CSRF token from the 'X-Csrftoken' HTTP header incorrect.")
		case !strings.HasPrefix(r.Referer(), "http://sms.test"):
			refuse("Referer checking failed.")
		default:
			w.WriteHeader(201)
			_ = json.NewEncoder(w).Encode(map[string]any{"id": 17})
		}
		return
	}
	fmt.Fprint(w, `[]`)
}

func TestSecretsNeverShow(t *testing.T) {
	var lines []string
	sc := mustLoad(t, Options{
		Log:    func(s string) { lines = append(lines, s) },
		Getenv: func(string) (string, bool) { return "pa\"ss/word", true },
	}, `
host = "http://api.test"
pw = secret("PW")
def flow(user):
    log("the password is", pw, [pw], base64.b64encode(pw))
    user.get("/login/" + pw + "?p=" + pw)
    user.get("/x").failure("bad " + pw)
    fail("cannot log in with " + pw)
U = HttpUser(tasks = [flow], wait_time = constant(10))
`)
	o := run(t, sc, play{users: 1, runTime: time.Second})
	text := strings.Join(lines, "\n")
	for e := range o.errors {
		text += "\n" + e
	}
	for _, n := range o.totals.Names() {
		text += "\n" + n.Name
	}
	for _, bad := range []string{`pa"ss`, `ss/word`, `pa\"ss`, "cGEic3Mvd29yZA"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q shows in:\n%s", bad, text)
		}
	}
	if strings.Count(text, masked) < 6 {
		t.Errorf("the secrets are not masked in:\n%s", text)
	}
}

func TestLogIsLimited(t *testing.T) {
	lines, _ := once(t, `
def flow(user):
    for i in range(1000): log("line", i)
    time.sleep(2)
    print("end")
`, nil)
	if len(lines) != logRate+2 || lines[logRate] != "(980 lines were left out: at most 20 a second are shown)" || lines[logRate+1] != "end" {
		t.Errorf("%d lines were logged, the last are %v", len(lines), lines[max(0, len(lines)-2):])
	}
}

func TestLoadOtherFiles(t *testing.T) {
	sc := mustLoad(t, Options{}, `
load("lib.star", "path", data = "rows")
host = "http://api.test"
def flow(user): user.get(path(data[0]))
U = HttpUser(tasks = [flow], wait_time = constant(10))
`, "lib.star", "load(\"more.star\", \"prefix\")\nrows = [1, 2]\ndef path(x): return prefix + str(x)\n", "more.star", "prefix = \"/p\"\n")
	o := run(t, sc, play{users: 1, runTime: time.Second})
	if got := strings.Join(o.paths(), ""); got != "GET /p1" {
		t.Errorf("sent %q (%v)", got, o.errors)
	}
}

func TestProfileAndDescribe(t *testing.T) {
	sc := mustLoad(t, Options{}, `
host = "http://api.test/base/"
profile(users = 300, spawn_rate = 100, run_time = "5m")
def a(user): pass
def b(user): pass
Inner = SequentialTaskSet([a, b], name = "inner")
Outer = TaskSet([a])
shares = {Outer: 1}
def c(user): user.get("/%d" % shares[Outer])
NormalUser = HttpUser(weight = 8, wait_time = between(2, 5), tasks = [task(a, weight = 3, tags = ["sms"]), Inner])
HeavyUser = HttpUser(weight = 2, tasks = [c, task(Outer, weight = 3)])
`)
	if o := run(t, sc, play{users: 10, runTime: time.Second}); len(o.errors) > 0 {
		t.Errorf("a set is not found by its name: %v", o.errors)
	}
	if p := sc.Profiles(); len(p) != 1 || p[0].Users != 300 || p[0].SpawnRate != "100" || p[0].RunTime != "5m" {
		t.Errorf("Profiles() = %+v", p)
	}
	want := `Users
   80.0%  NormalUser  wait_time = between(2, 5)  host = http://api.test/base
           75.0%  a  tags: sms
           25.0%  inner (SequentialTaskSet)
                      1.  a
                      2.  b
   20.0%  HeavyUser  host = http://api.test/base
           25.0%  c
           75.0%  Outer (TaskSet)
                  100.0%  a
`
	if got := sc.Describe(); got != want {
		t.Errorf("Describe() =\n%s\nwant\n%s", got, want)
	}
	if h := sc.Hosts(); len(h) != 1 || h[0] != "http://api.test/base" {
		t.Errorf("Hosts() = %v", h)
	}
	sc = mustLoad(t, Options{Host: "https://other.test", Classes: []string{"HeavyUser"}}, `
host = "http://api.test"
def a(user): pass
NormalUser = HttpUser(tasks = [a], host = "http://x.test")
HeavyUser = HttpUser(tasks = [a], host = "http://y.test")
`)
	if h := sc.Hosts(); len(sc.classes) != 1 || h[0] != "https://other.test" {
		t.Errorf("Options.Host and Classes: %d classes, hosts %v", len(sc.classes), h)
	}
}
