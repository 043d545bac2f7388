package expr

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"cel.dev/cel-go/cel"
	"pgregory.net/rapid"
)

func bearer(claims string) string {
	return "Bearer e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".sig"
}

func subject() *Subject {
	return &Subject{
		Method: "GET", Scheme: "https", Host: "api.example.com", Path: "/orders/7", RawQuery: "a=b%20c&empty=&bad=%zz&a=second", IP: "192.0.2.7",
		Header: Fields{
			"X-Api-Key": {"k1", "k2"}, "Cookie": {`session=s1; theme="dark"`, "late=x"},
			"Authorization": {bearer(`{"sub":"ann","iat":5,"big":9007199254740993,"f":1.5,"ok":true,"none":null,"roles":["a","b"],"org":{"id":"o1"}}`)},
		},
		API: Named{ID: "orders", Name: "Orders"}, Operation: Named{ID: "get-order", Name: "Get"}, Product: Named{ID: "gold", Name: "Gold"},
		Subscription: Named{ID: "sub-1", Name: "Team", Key: "secret-key"}, User: Named{ID: "u1", Name: "Ann"},
		Attr:     map[string]string{"param.id": "7"},
		Response: &Response{Status: 201, Header: Fields{"X-Units": {"3"}}, Bytes: 2048},
	}
}

func TestString(t *testing.T) {
	cases := []struct {
		src, want string
		simple    bool
	}{
		{`request.method`, "GET", true},
		{`request.scheme + "://" + request.host + request.path`, "https://api.example.com/orders/7", true},
		{`request.ip`, "192.0.2.7", true},
		{`request.header["X-Api-Key"]`, "k1", true},
		{`request.header["x-aPI-key"]`, "k1", true},
		{`request.header["X-None"]`, "", true},
		{`request.header[request.method == "GET" ? "x-api-key" : "y"]`, "k1", false},
		{`request.query["a"]`, "b c", true},
		{`request.query.a`, "b c", true},
		{`request.query["bad"] + request.query["empty"] + request.query["none"]`, "", true},
		{`request.cookie["session"] + request.cookie["theme"] + request.cookie["late"] + request.cookie["no"]`, "s1darkx", true},
		{`request.basic_user`, "", true},
		{`request.jwt.sub`, "ann", false},
		{`request.jwt["iat"]`, "5", false},
		{`request.jwt.big`, "9007199254740993", false},
		{`request.jwt.f`, "1.5", false},
		{`request.jwt.ok`, "true", false},
		{`request.jwt.none + request.jwt.missing`, "", false},
		{`request.jwt.roles[1] + request.jwt.org.id`, "bo1", false},
		{`has(request.jwt.sub) && !has(request.jwt.nope) ? "yes" : "no"`, "yes", false},
		{`"x-api-key" in request.header && !("no" in request.query) && "param.id" in attr ? "yes" : "no"`, "yes", false},
		{`request.header.exists(h, h == "X-Api-Key") ? "yes" : "no"`, "yes", false},
		{`string(size(request.header)) + string(size(request.query)) + string(size(request.cookie))`, "323", false},
		{`api.id + api.name + operation.id + operation.name`, "ordersOrdersget-orderGet", true},
		{`product.id + product.name + subscription.id + subscription.name`, "goldGoldsub-1Team", true},
		{`subscription.key + user.id + user.name`, "secret-keyu1Ann", true},
		{`attr["param.id"]`, "7", true},
		{`attr["nope"]`, "", true},
		{`string(response.status) + response.header["x-units"] + string(response.bytes)`, "20132048", false},
		{`sha256("abc")`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", false},
		{`request.host.upperAscii().split(".")[0]`, "API", false},
		{`"%s-%d".format([request.ip, response.status])`, "192.0.2.7-201", false},
		{`"constant"`, "constant", true},
		{"request.ip +\n  request.path", "192.0.2.7/orders/7", true},
		{`type(request.header) == map ? "map" : "other"`, "map", false},
	}
	for _, c := range cases {
		e, err := Compile(c.src, String)
		if err != nil {
			t.Errorf("Compile(%s): %v", c.src, err)
			continue
		}
		if got, err := e.String(subject()); err != nil || got != c.want {
			t.Errorf("%s = %q, %v, want %q", c.src, got, err, c.want)
		}
		if simple := e.program == nil; simple != c.simple {
			t.Errorf("%s: simple is %v, want %v", c.src, simple, c.simple)
		}
		if e.Source() != c.src {
			t.Errorf("Source = %q, want %q", e.Source(), c.src)
		}
		// Nothing at all is a subject too, and gives an answer or a clear error.
		if _, err := e.String(&Subject{Response: &Response{}}); err != nil {
			var own *Error
			if !errors.As(err, &own) || strings.Contains(err.Error(), "panic") {
				t.Errorf("%s of nothing: %v", c.src, err)
			}
		}
	}
	if len(cases) < 30 {
		t.Fatalf("only %d cases", len(cases))
	}
}

func TestBoolAndInt(t *testing.T) {
	truths := map[string]bool{
		`true`: true, `!false && true || false`: true, `response.status >= 200 && response.status < 400`: true, `response.status != 201`: false,
		`request.method != "OPTIONS"`: true, `request.path.startsWith("/orders")`: true, `request.host.endsWith(".org") || request.host.contains("example")`: true,
		`request.jwt.ok`: true, `request.ip in ["192.0.2.7"]`: true, `request.path.matches("^/orders/[0-9]+$")`: true, `response.header["X-Units"] == "3"`: true, `request.ip < request.host`: true,
	}
	for src, want := range truths {
		e, err := Compile(src, Bool)
		if err != nil {
			t.Errorf("Compile(%s): %v", src, err)
			continue
		}
		if got, err := e.Bool(subject()); err != nil || got != want {
			t.Errorf("%s = %v, %v, want %v", src, got, err, want)
		}
	}
	numbers := map[string]int64{`5`: 5, `response.bytes`: 2048, `response.bytes / 1024`: 2, `int(response.header["X-Units"])`: 3, `request.method == "GET" ? 1 : 5`: 1, `request.jwt.iat`: 5, `size(request.path)`: 9, `-3`: -3}
	for src, want := range numbers {
		e, err := Compile(src, Int)
		if err != nil {
			t.Errorf("Compile(%s): %v", src, err)
			continue
		}
		if got, err := e.Int(subject()); err != nil || got != want {
			t.Errorf("%s = %v, %v, want %v", src, got, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	cases := []struct {
		src    string
		want   Type
		column int
		reason string
	}{
		{``, String, 1, "is empty"}, {"  \n ", String, 1, "is empty"}, {"\xff", String, 1, "not UTF-8"}, {"request.ip\x00", String, 1, "control character"},
		{strings.Repeat("a", maxSource+1), String, 1, "more than 4096"},
		{`request.hedaer["x"]`, String, 1, "did you mean request.header?"},
		{`request.ip + request.pth`, String, 14, "did you mean request.path?"},
		{`"é" + reqest.ip`, String, 7, "did you mean request.ip?"},
		{"request.ip +\nreqest.ip", String, 14, "did you mean request.ip?"},
		{`ip`, String, 1, "did you mean request.ip?"}, {`headers["x"]`, String, 1, "did you mean request.header?"}, {`zzzzzzzzz`, String, 1, "known are api.id"},
		{`request.jwt.sub.upper()`, String, 17, "did you mean upperAscii?"}, {`"a".toLower()`, String, 5, "did you mean lowerAscii?"}, {`qqqqqqq(1)`, String, 1, "known are sha256"},
		{`request.ip +`, String, 13, "ends too early"}, {`request.ip)`, String, 11, "does not belong here"}, {`'a`, String, 1, "quote is not closed"}, {`a @ b`, String, 3, "means nothing"},
		{`request.ip + 5`, String, 12, "+ cannot be applied to"},
		{`response.status`, String, 1, "write string(…) around it"}, {`request.header`, String, 1, `as in request.header["name"]`}, {`request.ip`, Bool, 1, `compare it with something`},
		{`"5"`, Int, 1, "write int(…) around it"}, {`1.5`, Int, 1, "write int(…)"}, {`[1]`, Bool, 1, "gives a list"},
		{`request.ip.matches("(")`, Bool, 20, "invalid"}, {`has(request.header)`, Bool, 5, "is always there"},
		{strings.Repeat("(", 500) + "1" + strings.Repeat(")", 500), Int, 1, ""},
	}
	for _, c := range cases {
		_, err := Compile(c.src, c.want)
		var own *Error
		if !errors.As(err, &own) || !strings.Contains(own.Reason, c.reason) || c.reason != "" && own.Column != c.column {
			t.Errorf("Compile(%.40q) = %v, want column %d and %q", c.src, err, c.column, c.reason)
		}
	}
	if len(cases) < 25 {
		t.Fatalf("only %d cases", len(cases))
	}
}

// What a request makes fail is told without anything of the request.
func TestEvaluationErrors(t *testing.T) {
	secret := subject()
	secret.Header["X-Api-Key"] = []string{"hunter2"}
	secret.Header["Authorization"] = []string{bearer(`{"sub":{"x":"hunter2"},"n":"hunter2","l":["hunter2"]}`)}
	for src, want := range map[string]string{
		`string(int(request.header["x-api-key"]))`:          "cannot be converted",
		`request.jwt.sub`:                                   "text is needed",
		`request.jwt.n + request.jwt.l`:                     "another type",
		`request.jwt.l[5]`:                                  "shorter than",
		`request.jwt.n.x.y`:                                 "has(…)",
		`string(1 / int(request.jwt.nope == "" ? "0":"1"))`: "divides by zero",
		`string(9223372036854775807 + response.status)`:     "too large",
		`string(timestamp(request.header["X-Api-Key"]))`:    "",
		`{"hunter1": "a"}[request.jwt.n]`:                   "not there",
		`string(request.header.map(a, request.header.map(b, request.header.map(c, request.header.map(d, request.header.map(e, request.header.map(f, request.header.map(g, request.header.map(h, request.header.map(i, request.header.map(j, request.header.map(k, request.header.map(l, 1)))))))))))).size())`: "too much work",
	} {
		e, err := Compile(src, String)
		if err != nil {
			t.Errorf("Compile(%s): %v", src, err)
			continue
		}
		got, err := e.String(secret)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s = %q, %v, want %q", src, got, err, want)
		}
	}
	e, err := Compile("response.status == 200 || true", Bool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Bool(&Subject{}); err == nil || !strings.Contains(err.Error(), "not there yet") {
		t.Errorf("without a response: %v", err)
	}
	if _, err := e.String(subject()); err == nil {
		t.Error("a condition answers as text")
	}
	if _, err := (*Expr)(nil).Bool(subject()); err == nil {
		t.Error("nil answers")
	}
	if _, err := e.Bool(nil); err == nil {
		t.Error("nil is a subject")
	}
}

// Huge requests are slow at worst, never a crash.
func TestHuge(t *testing.T) {
	huge := subject()
	huge.Header["X-Api-Key"] = []string{strings.Repeat("x", 1<<20)}
	huge.Header["Authorization"] = []string{"Basic " + strings.Repeat("A", 1<<20)}
	huge.RawQuery = strings.Repeat("a&", 1<<18)
	huge.IP = strings.Repeat("x", maxPart)
	for src, fails := range map[string]bool{
		`request.header["X-Api-Key"]`: false, `request.query["x"] + request.basic_user + request.jwt.sub`: false, `sha256(request.header["X-Api-Key"])`: true, `sha256(request.ip)`: false,
		`request.ip.replace("x", request.ip)`: true, `request.ip.replace("x", request.ip, 5)`: true, `request.ip.replace("x", "yy", 5)`: false, `request.ip.replace("", request.ip)`: true, `request.ip.split("").join(request.ip)`: true, `request.ip.replace("x", "", -1)`: false,
		`"%s%s%s".format([request.ip, request.ip, request.ip])`: false, `[request.ip].map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a)[0]`: true,
		strings.TrimSuffix(strings.Repeat(`request.header["X-Api-Key"] + `, 50), " + "): true,
		`request.header["X-Api-Key"].replace("x", request.header["X-Api-Key"])`:         true,
	} {
		e, err := Compile(src, String)
		if err != nil {
			t.Fatalf("%.40s: %v", src, err)
		}
		if _, err := e.String(huge); (err != nil) != fails {
			t.Errorf("%.60s: %v", src, err)
		}
	}
}

func TestReads(t *testing.T) {
	e, err := Compile(`request.header["a"] + api.id + string(response.status) + request.jwt.sub + request.header["b"]`, String)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"api.id", "request.header", "request.jwt", "response.status"}; !slices.Equal(e.Reads(), want) || !e.ReadsResponse() {
		t.Errorf("Reads = %v, %v, want %v", e.Reads(), e.ReadsResponse(), want)
	}
	if e, err := Compile("request.ip", String); err != nil || e.ReadsResponse() {
		t.Errorf("%v, %v", e, err)
	}
	if !slices.IsSorted(Names()) || len(Names()) < 20 {
		t.Errorf("Names = %v", Names())
	}
}

func TestBasicUser(t *testing.T) {
	for header, want := range map[string]string{
		"Basic " + base64.StdEncoding.EncodeToString([]byte("ann:pw:x")): "ann", "basic " + base64.StdEncoding.EncodeToString([]byte(":pw")): "",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("nocolon")): "", "Basic !!!": "", "Basic": "", "Bearer x": "", "": "",
	} {
		if got := (&Subject{Header: Fields{"Authorization": {header}}}).BasicUser(); got != want {
			t.Errorf("BasicUser of %q = %q, want %q", header, got, want)
		}
	}
	for _, header := range []string{"Bearer a.b", "Bearer a.!.c", "Bearer a.e30.c.d", "Bearer a." + base64.RawURLEncoding.EncodeToString([]byte("[1]")) + ".c", bearer(`{"sub":"` + strings.Repeat("x", maxToken) + `"}`)} {
		if got := (&Subject{Header: Fields{"Authorization": {header}}}).claims(); len(got) != 0 {
			t.Errorf("claims of %.40q = %v", header, got)
		}
	}
}

// program compiles for the interpreter alone: the slow twin of the simple forms.
func program(t *rapid.T, c *Compiler, src string) cel.Program {
	tree, issues := c.env.Compile(src)
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	p, err := c.env.Program(tree)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The simple forms give what the interpreter gives.
func TestSimpleTwin(t *testing.T) {
	var c Compiler
	if _, err := c.Compile("true", Bool); err != nil {
		t.Fatal(err)
	}
	ran, simple := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SampledFrom([]string{"", "a", "b", "X-A", "x-a", "200", "%41", "a=b"})
		atom := func() string {
			return rapid.SampledFrom([]string{"request.method", "request.ip", "request.path", `request.header["x-a"]`, `request.header["X-B"]`, `request.query["a"]`, `request.query.b`, `request.cookie["a"]`, `attr["a"]`, "api.id", "user.id",
				`response.header["X-A"]`, `""`, `"a"`, `"200"`, "request.basic_user"}).Draw(t, "atom")
		}
		var cond func(depth int) string
		cond = func(depth int) string {
			switch k := rapid.IntRange(0, 6).Draw(t, "kind"); {
			case depth > 3 || k == 0:
				return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "literal")
			case k == 1:
				return atom() + rapid.SampledFrom([]string{"==", "!=", "<", "<=", ">", ">="}).Draw(t, "op") + atom()
			case k == 2:
				return rapid.SampledFrom([]string{"response.status", "response.bytes", "200"}).Draw(t, "n") + rapid.SampledFrom([]string{"==", "!=", "<", "<=", ">", ">="}).Draw(t, "op") + rapid.SampledFrom([]string{"response.status", "0", "-200"}).Draw(t, "m")
			case k == 3:
				return atom() + "." + rapid.SampledFrom([]string{"startsWith", "endsWith", "contains"}).Draw(t, "f") + "(" + atom() + ")"
			case k == 4:
				return "!(" + cond(depth+1) + ")"
			}
			return "(" + cond(depth+1) + rapid.SampledFrom([]string{"&&", "||"}).Draw(t, "op") + cond(depth+1) + ")"
		}
		s := &Subject{
			Method: words.Draw(t, "method"), IP: words.Draw(t, "ip"), Path: words.Draw(t, "path"), RawQuery: rapid.SampledFrom([]string{"", "a=1&b=2", "a", "b=%41&a=%zz", "a=&a=2"}).Draw(t, "query"),
			Header: Fields{"X-A": {words.Draw(t, "x-a")}, "Cookie": {"a=" + words.Draw(t, "cookie")}}, Attr: map[string]string{"a": words.Draw(t, "attr")},
			API: Named{ID: words.Draw(t, "api")}, Response: &Response{Status: rapid.SampledFrom([]int{0, 200, -200, 404}).Draw(t, "status"), Header: Fields{"X-A": nil}, Bytes: rapid.Int64().Draw(t, "bytes")},
		}
		check := func(src string, want Type) {
			e, err := c.Compile(src, want)
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			ran++
			if e.program == nil {
				simple++
			}
			v, _, err := program(t, &c, src).Eval((*vars)(s))
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			got := any(nil)
			if want == Bool {
				got, err = e.Bool(s)
			} else {
				got, err = e.String(s)
			}
			if err != nil || fmt.Sprint(got) != fmt.Sprint(v.Value()) {
				t.Fatalf("%s = %v, %v; the interpreter says %v", src, got, err, v)
			}
		}
		check(cond(0), Bool)
		src := atom()
		for range rapid.IntRange(0, 3).Draw(t, "parts") {
			src += " + " + atom()
		}
		check(src, String)
	})
	if simple == 0 || simple < ran*9/10 {
		t.Fatalf("%d of %d expressions were simple", simple, ran)
	}
}

func TestConcurrent(t *testing.T) {
	for _, src := range []string{`request.jwt.sub + request.header["X-Api-Key"]`, `request.ip + request.path`} {
		e, err := Compile(src, String)
		if err != nil {
			t.Fatal(err)
		}
		want, err := e.String(subject())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					if got, err := e.String(subject()); err != nil || got != want {
						t.Errorf("%q, %v, want %q", got, err, want)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestAllocations(t *testing.T) {
	s := subject()
	for src, most := range map[string]float64{
		`request.ip`: 0, `request.header["x-api-key"]`: 0, `"constant"`: 0, `attr["param.id"]`: 0, `request.cookie["late"]`: 0, `subscription.id`: 0,
		`request.ip + "/" + api.id`: 1,
	} {
		e, err := Compile(src, String)
		if err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(100, func() { _, _ = e.String(s) }); got > most {
			t.Errorf("%s: %v allocations, want at most %v", src, got, most)
		}
	}
	for _, src := range []string{`response.status >= 200 && response.status < 400`, `request.header["X-Api-Key"] != ""`} {
		e, err := Compile(src, Bool)
		if err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(100, func() { _, _ = e.Bool(s) }); got > 0 {
			t.Errorf("%s: %v allocations, want none", src, got)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, src := range []string{`request.header["X"]`, `request.jwt.a.b[0]`, `has(request.jwt.x) ? "a" : sha256(request.ip)`, `request.header.map(a, a + "x")`, `"%d".format([1])`, "[1,2].exists(x, x > 1)", "((((", `"\u00e9" + '`, "request.ip.matches('(a+)+$')", "{1:2}[1]", "b'x'"} {
		f.Add(src, "x=%41&y", "v")
	}
	s := subject()
	var c Compiler
	f.Fuzz(func(t *testing.T, src, query, header string) {
		s.RawQuery, s.Header["X-Api-Key"] = query, []string{header}
		for _, want := range []Type{String, Bool, Int} {
			e, err := c.Compile(src, want)
			if err != nil {
				var own *Error
				if !errors.As(err, &own) || own.Column < 1 || own.Column > len([]rune(src))+1 || own.Reason == "" {
					t.Fatalf("%q: %#v", src, err)
				}
				continue
			}
			switch want {
			case String:
				_, err = e.String(s)
			case Bool:
				_, err = e.Bool(s)
			case Int:
				_, err = e.Int(s)
			}
			if err != nil && err.Error() == "" {
				t.Fatalf("%q: an error without words", src)
			}
		}
	})
}

func BenchmarkExpr(b *testing.B) {
	s := subject()
	for _, src := range []string{`request.ip`, `request.header["X-Api-Key"]`, `request.query["a"]`, `request.ip + "/" + api.id`, `request.jwt.sub`, `sha256(request.header["X-Api-Key"])`, `request.host.lowerAscii()`} {
		e, err := Compile(src, String)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(src, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = e.String(s)
			}
		})
	}
	e, err := Compile(`response.status >= 200 && response.status < 400`, Bool)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("status", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = e.Bool(s)
		}
	})
	b.Run("compile", func(b *testing.B) {
		var c Compiler
		for b.Loop() {
			_, _ = c.Compile(`request.jwt.sub + "/" + api.id`, String)
		}
	})
	b.Run("compile first", func(b *testing.B) {
		for b.Loop() {
			_, _ = Compile(`request.jwt.sub + "/" + api.id`, String)
		}
	})
}
