package apim

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/expr"
)

// request is what expressions are asked about in the tests.
func request() *expr.Subject {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	token := part(`{"alg":"none"}`) + "." + part(`{"sub":"alice","oid":"o-1","iss":"https://login.example.org","my-claim":"m","aud":"api://x"}`) + "." + part("sig")
	return &expr.Subject{
		Method: "POST", Scheme: "https", Host: "api.example.org", Path: "/echo/things/7", RawQuery: "tenant=t1&empty=",
		Header: expr.Fields{"Authorization": {"Bearer " + token}, "X-Forwarded-For": {"203.0.113.9"}, "X-Client": {"App-One"}, "Content-Type": {"text/csv; charset=utf-8"}, "X-Number": {"42"}},
		IP:     "192.0.2.7",
		API:    expr.Named{ID: "echo", Name: "Echo API"}, Operation: expr.Named{ID: "get-thing", Name: "Get a thing"},
		Product: expr.Named{ID: "sample", Name: "Sample"}, Subscription: expr.Named{ID: "sub-1", Name: "first", Key: "k1"},
		Attr:     map[string]string{"param.id": "7", "deployment.region": "West Europe", "user.email": "a@example.org"},
		Response: &expr.Response{Status: 201, Header: expr.Fields{"X-Cost": {"3"}}, Bytes: 512},
	}
}

// TestTranslate compares the translation of each expression with what C# gives
// for the request above.
func TestTranslate(t *testing.T) {
	cases := []struct{ cs, cel, want string }{
		{`@(context.Request.IpAddress)`, `request.ip`, "192.0.2.7"},
		{`@(context.Subscription.Id)`, `subscription.id`, "sub-1"},
		{`@(context.Subscription?.Key)`, `subscription.key`, "k1"},
		{`@(context.Subscription.Name)`, `subscription.name`, "first"},
		{`context.Product?.Name`, `product.name`, "Sample"},
		{`@(context.Api.Id)`, `api.id`, "echo"},
		{`@(context.Api.Name + "/" + context.Operation.Name)`, `api.name + "/" + operation.name`, "Echo API/Get a thing"},
		{`@(context.Operation.Id)`, `operation.id`, "get-thing"},
		{`@(context.User?.Id ?? "nobody")`, `user.id != "" ? user.id : "nobody"`, "nobody"},
		{`@(context.User?.Email)`, `attr["user.email"]`, "a@example.org"},
		{`@(context.Deployment.Region)`, `attr["deployment.region"]`, "West Europe"},
		{`@(context.Request.Certificate?.Thumbprint)`, `attr["certificate.thumbprint"]`, ""},
		{`@(context.Request.Headers.GetValueOrDefault("X-Forwarded-For"))`, `request.header["X-Forwarded-For"]`, "203.0.113.9"},
		{`@(context.Request.Headers.GetValueOrDefault("X-Forwarded-For",""))`, `request.header["X-Forwarded-For"]`, "203.0.113.9"},
		{`@(context.Request.Headers.GetValueOrDefault("X-None","unknown"))`, `"X-None" in request.header ? request.header["X-None"] : "unknown"`, "unknown"},
		{`@(context.Request.Headers.GetValueOrDefault("X-None", context.Request.IpAddress))`, ``, "192.0.2.7"},
		{`@(context.Request.Headers["X-Client"])`, `request.header["X-Client"]`, "App-One"},
		{`@(context.Request.Headers["X-Client"][0])`, `request.header["X-Client"]`, "App-One"},
		{`@(context.Request.Headers["X-Client"].First())`, `request.header["X-Client"]`, "App-One"},
		{`@(context.Request.Headers["X-Client"]?.FirstOrDefault()?.ToLower())`, `request.header["X-Client"].lowerAscii()`, "app-one"},
		{`@(context.Request.Headers.GetValueOrDefault("X-Forwarded-For","").Split(',')[0].Trim())`, `request.header["X-Forwarded-For"].split(",")[0].trim()`, "203.0.113.9"},
		{`@(context.Request.Headers.GetValueOrDefault("Authorization","").AsJwt()?.Subject)`, `string(request.jwt["sub"])`, "alice"},
		{`@(context.Request.Headers.GetValueOrDefault("Authorization","").Substring("Bearer ".Length).AsJwt()?.Subject)`, `string(request.jwt["sub"])`, "alice"},
		{`@(context.Request.Headers.GetValueOrDefault("Authorization","").Split(' ')[1].AsJwt()?.Claims["oid"].FirstOrDefault())`, `string(request.jwt["oid"])`, "o-1"},
		{`@(context.Request.Headers.GetValueOrDefault("Authorization","").Split(' ').LastOrDefault()?.AsJwt()?.Claims.GetValueOrDefault("oid",""))`, `string(request.jwt["oid"])`, "o-1"},
		{`@(context.Request.Headers["Authorization"].First().Replace("Bearer ","").AsJwt().Claims.GetValueOrDefault("tid","none"))`, `"tid" in request.jwt ? string(request.jwt["tid"]) : "none"`, "none"},
		{`@(context.Request.Headers.GetValueOrDefault("Authorization","").AsJwt()?.Claims["my-claim"][0])`, `string(request.jwt["my-claim"])`, "m"},
		{`@(context.Request.Headers.GetValueOrDefault("Authorization", "").AsJwt()?.Subject ?? "anonymous")`, ``, "alice"},
		{`@(context.Request.Headers.GetValueOrDefault("Authorization","").AsBasic()?.UserId)`, `request.basic_user`, ""},
		{`@(context.Request.Headers.GetValueOrDefault("Authorization","").AsJwt() == null)`, `!(size(request.jwt) > 0)`, "false"},
		{`@(context.Request.Url.Query.GetValueOrDefault("tenant","none"))`, `"tenant" in request.query ? request.query["tenant"] : "none"`, "t1"},
		{`@(context.Request.Url.Query.GetValueOrDefault("empty","none"))`, ``, ""},
		{`@(context.Request.OriginalUrl.Query["tenant"])`, `request.query["tenant"]`, "t1"},
		{`@(context.Request.MatchedParameters["id"])`, `attr["param.id"]`, "7"},
		{`@(context.Request.MatchedParameters.GetValueOrDefault("x",""))`, `attr["param.x"]`, ""},
		{`@(context.Request.OriginalUrl.Host)`, `request.host`, "api.example.org"},
		{`@(((string)context.Request.OriginalUrl.ToUri().Host).Equals("api.example.org"))`, `request.host == "api.example.org"`, "true"},
		{`@(context.Request.Url.ToUri().AbsolutePath)`, `request.path`, "/echo/things/7"},
		{`@(context.Request.Url.Path.Contains("/things"))`, `request.path.contains("/things")`, "true"},
		{`@($"{context.Subscription.Id}-{context.Request.IpAddress}")`, `subscription.id + "-" + request.ip`, "sub-1-192.0.2.7"},
		{`@($"{{{context.Api.Id}}}")`, `"{" + api.id + "}"`, "{echo}"},
		{`@(String.Concat(context.Api.Id, ":", context.Request.Method))`, `api.id + ":" + request.method`, "echo:POST"},
		{`@(string.Format("{0}|{1}", context.Api.Id, 5))`, `api.id + "|" + "5"`, "echo|5"},
		{`@(string.Join("-", context.Api.Id, context.Product.Id))`, `api.id + "-" + product.id`, "echo-sample"},
		{`@(string.IsNullOrEmpty(context.User?.Id) ? context.Request.IpAddress : context.User.Id)`, `user.id == "" ? request.ip : user.id`, "192.0.2.7"},
		{`@(String.IsNullOrWhiteSpace(context.Request.Headers.GetValueOrDefault("X-Client","")))`, `request.header["X-Client"].trim() == ""`, "false"},
		{`@(context.Subscription != null ? context.Subscription.Id : "anonymous")`, `subscription.id != "" ? subscription.id : "anonymous"`, "sub-1"},
		{`@(context.User == null)`, `!(user.id != "")`, "true"},
		{`@(context.Response.StatusCode == 200)`, `response.status == 200`, "false"},
		{`@(context.Response.StatusCode >= 200 && context.Response.StatusCode < 400)`, `response.status >= 200 && response.status < 400`, "true"},
		{`@(!(context.Response.StatusCode == 429 || context.Response.StatusCode == 503))`, `!(response.status == 429 || response.status == 503)`, "true"},
		{`@(context.Response.StatusCode / 100 != 5)`, `response.status / 100 != 5`, "true"},
		{`@(context.Request.Method != "OPTIONS")`, `request.method != "OPTIONS"`, "true"},
		{`@(context.Request.Method == "POST" ? 2 : 1)`, `request.method == "POST" ? 2 : 1`, "2"},
		{`@(context.Request.Method.Equals("post", StringComparison.OrdinalIgnoreCase))`, `request.method.lowerAscii() == "post".lowerAscii()`, "true"},
		{`@(int.Parse(context.Request.Headers.GetValueOrDefault("X-Number","1")) + 1)`, ``, "43"},
		{`@(Convert.ToInt32(context.Response.Headers.GetValueOrDefault("X-Cost","1")))`, ``, "3"},
		{`@(1 + 2 * 3 - 4 / 2)`, `1 + 2 * 3 - 4 / 2`, "5"},
		{`@((1 + 2) * 3)`, `(1 + 2) * 3`, "9"},
		{`@(10 - (4 - 3))`, `10 - (4 - 3)`, "9"},
		{`@(-context.Response.StatusCode)`, `-response.status`, "-201"},
		{`@("a" + 1 + true)`, `"a1True"`, "a1True"},
		{`@(@"a""b" + $@"\{context.Api.Id}""")`, `"a\"b" + ("\\" + api.id + "\"")`, `a"b\echo"`},
		{`@(@"C:\x" + '/')`, `"C:\\x/"`, `C:\x/`},
		{`@("tab\tquote\"uml\u00e4")`, `"tab\tquote\"umlä"`, "tab\tquote\"umlä"},
		{`true`, `true`, "true"},
		{`@(true)`, `true`, "true"},
		{`@(context.Request.Headers.ContainsKey("X-Client"))`, `"X-Client" in request.header`, "true"},
		{`@(!context.Request.Headers.GetValueOrDefault("Content-Type", "").Contains("text/csv"))`, `!request.header["Content-Type"].contains("text/csv")`, "false"},
		{`@(context.Request.Headers.GetValueOrDefault("Content-Type","").StartsWith("TEXT", StringComparison.InvariantCultureIgnoreCase))`, ``, "true"},
		{`@(context.Request.IpAddress is null)`, `request.ip == ""`, "false"},
		{`@((string)context.Request.Headers.GetValueOrDefault("X-Client","") as string)`, `request.header["X-Client"]`, "App-One"},
		{`@(context.Request.Headers.GetValueOrDefault("X-Client","").Length > 3)`, `size(request.header["X-Client"]) > 3`, "true"},
		{`@(context.Request.Headers.GetValueOrDefault("X-Client","").Substring(0, 3))`, `request.header["X-Client"].substring(0, 3)`, "App"},
		{`@(context.Request.Headers.GetValueOrDefault("X-Client","").IndexOf("One"))`, `request.header["X-Client"].indexOf("One")`, "4"},
		{`@( context.Request.IpAddress /* the client */ + // and
			":" + context.Request.Method )`, `request.ip + ":" + request.method`, "192.0.2.7:POST"},
		{`@{ return context.Request.IpAddress; }`, `request.ip`, "192.0.2.7"},
		{`@{
			if (context.Subscription != null) { return context.Subscription.Id; }
			var jwt = context.Request.Headers.GetValueOrDefault("Authorization","").Split(' ').LastOrDefault()?.AsJwt();
			return jwt?.Subject ?? context.Request.IpAddress;
		}`, ``, "sub-1"},
		{`@{
			var head = context.Request.Headers.GetValueOrDefault("Authorization", "").Replace("Bearer ", "");
			var token = head.AsJwt();
			return token?.Claims.GetValueOrDefault("sub", "anonymous");
		}`, `"sub" in request.jwt ? string(request.jwt["sub"]) : "anonymous"`, "alice"},
		{`@{ string a = "x"; if (a == "y") return "1"; else if (a == "x") { return "2"; } else { return "3"; } }`, ``, "2"},
		{`@{ var n = 1; n = n + 1; return n; }`, `1 + 1`, "2"},
		{`@(context.Variables.GetValueOrDefault<string>("nothing", "d"))`, `"d"`, "d"},
		{`@(context.Variables.ContainsKey("nothing"))`, `false`, "false"},
		{`@(context.Variables.ContainsKey("maxAge") ? int.Parse((string)context.Variables["maxAge"]) : 3600)`, `3600`, "3600"},
		{`@((1+1).ToString())`, `string(1 + 1)`, "2"},
		{`@("Hi There".Length)`, `8`, "8"},
	}
	tried := 0
	for _, c := range cases {
		tried++
		cel, err := Translate(c.cs)
		if err != nil {
			t.Errorf("%s: %v", c.cs, err)
			continue
		}
		if c.cel != "" && cel != c.cel {
			t.Errorf("%s:\n got %s\nwant %s", c.cs, cel, c.cel)
		}
		if got := evaluate(t, cel); got != c.want {
			t.Errorf("%s, as %s: gives %q, want %q", c.cs, cel, got, c.want)
		}
	}
	if tried < 80 {
		t.Fatalf("only %d cases", tried)
	}
}

// evaluate asks a CEL expression of any type about the request.
func evaluate(t *testing.T, cel string) string {
	t.Helper()
	var last error
	for _, try := range []string{cel, "string(" + cel + ")"} {
		e, err := expr.Compile(try, expr.String)
		if err != nil {
			last = err
			continue
		}
		s, err := e.String(request())
		if err != nil {
			t.Errorf("%s: %v", try, err)
		}
		return s
	}
	t.Errorf("%s: %v", cel, last)
	return ""
}

func TestTranslateRefuses(t *testing.T) {
	cases := []struct {
		cs     string
		column int
		reason string
	}{
		{`@(Guid.NewGuid().ToString())`, 3, "Guid"},
		{`@(context.Request.Body.As<JObject>()["id"])`, 19, "body"},
		{`@(context.Request.IpAdress)`, 19, "IpAdress"},
		{`@(context.Reqest.IpAddress)`, 11, "Reqest is not known"},
		{`@(request.Headers.GetValueOrDefault("Rate-Key",""))`, 3, "write context.Request"},
		{`@(context.Variables["x"])`, 20, "not set before"},
		{`@((string)context.Variables["userId"])`, 28, "not set before"},
		{`@(Regex.Match(context.Request.Url.Path, "x").Value)`, 3, "Regex"},
		{`@(new Random().Next())`, 3, "new"},
		{`@(DateTime.UtcNow.Hour)`, 3, "time"},
		{`@(context.Timestamp)`, 11, "time"},
		{`@(context.Request.Headers.Select(h => h.Key))`, 36, "function"},
		{`@(context.Request.Headers.GetValueOrDefault("X","").AsJwt()?.Subject)`, 53, "Authorization header only"},
		{`@(context.Request.Headers.GetValueOrDefault("Authorization","").AsBasic()?.Password)`, 76, "password"},
		{`@(context.Request)`, 1, "name a member"},
		{`@(null)`, 1, "always null"},
		{`@(context.Request.IpAddress && true)`, 29, "conditions"},
		{`@("a" < "b")`, 7, "numbers"},
		{`@(1 == "a")`, 5, "compared"},
		{`@(context.Request.IpAddress`, 1, "do not match"},
		{`@("abc)`, 1, "do not match"},
		{`@(1.5)`, 3, "fraction"},
		{`@()`, 3, "value is missing"},
		{`@(context.Request.IpAddress context.Api.Id)`, 29, "cannot stand here"},
		{`@(context.Request.IpAddress)x`, 29, "nothing can follow"},
		{`@{ context.Request.IpAddress }`, 4, "without return"},
		{`@{ foreach (var x in y) { return x; } }`, 4, "foreach"},
		{`@{ var x = 1; if (x == 1) { x = 2; } return x; }`, 29, "changed under a condition"},
		{`@{ if (true) { return "x"; } }`, 30, "without return"},
		{`@(context.Request.Headers["X"].Where(x))`, 32, "Where of a list"},
		{`@(context.Request.Url.ToString())`, 23, "whole address"},
		{`@($"{context.Response.StatusCode:D3}")`, 33, "format"},
		{`@(context.Request.IpAdress)`, 19, "did you mean IpAddress?"},
		{`@(context.request.IpAddress)`, 11, "did you mean Request?"},
		{`@(context.Subscription.ID)`, 24, "did you mean Id?"},
		{`@(x = 1)`, 5, "= is not translated"},
		{`@(context.Api.Id = "x")`, 18, "= is not translated"},
		{`#`, 1, "does not belong"},
		{``, 1, "value is missing"},
		{`@("\q")`, 4, "backslash"},
		{`@(99999999999999999999)`, 3, "not a whole number"},
		{`@(` + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200) + `)`, 1, ""},
		{`@(` + strings.Repeat("!", 200) + "true)", 0, "levels"},
	}
	tried := 0
	for _, c := range cases {
		tried++
		cel, err := Translate(c.cs)
		if err == nil {
			t.Errorf("%s: gives %s, want a refusal", c.cs, cel)
			continue
		}
		fault, ok := err.(*SyntaxError)
		if !ok {
			t.Errorf("%s: %T", c.cs, err)
			continue
		}
		if c.column > 0 && fault.Column != c.column || !strings.Contains(fault.Reason, c.reason) {
			t.Errorf("%s: %v, want column %d and %q", c.cs, err, c.column, c.reason)
		}
	}
	if tried < 35 {
		t.Fatalf("only %d cases", tried)
	}
}

// TestTranslateIsBounded: what is small must not become large.
func TestTranslateIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("@{ var a0 = context.Request.IpAddress;")
	for i := range 40 {
		b.WriteString(" var a" + itoa(i+1) + " = a" + itoa(i) + " + a" + itoa(i) + ";")
	}
	b.WriteString(" return a40; }")
	if _, err := Translate(b.String()); err == nil {
		t.Error("a block that doubles forty times is translated")
	}
}

// TestMembers: every name that a slip of the pen is said to mean is one that is known.
func TestMembers(t *testing.T) {
	tried := 0
	for thing, names := range members {
		path := map[string]string{"context": "context", "Url": "context.Request.Url"}[thing]
		if path == "" {
			path = "context." + thing
		}
		for _, name := range names {
			tried++
			if _, err := Translate("@(" + path + "." + name + ")"); err != nil && (strings.Contains(err.Error(), "not known") || strings.Contains(err.Error(), "is not translated")) {
				t.Errorf("%s.%s: %v", path, name, err)
			}
		}
	}
	if tried < 30 {
		t.Fatalf("only %d names", tried)
	}
}
