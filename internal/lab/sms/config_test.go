package sms

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/lab/sns"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

// TestNewRefuses holds that each error names the field and never a secret.
func TestNewRefuses(t *testing.T) {
	cases := []struct {
		cfg  Config
		want string
	}{
		{Config{Pool: -1}, "pool -1"},
		{Config{Pool: 10_001}, "pool 10001"},
		{Config{PoolTimeout: -1}, "pool timeout"},
		{Config{SlowQuery: 2 * time.Hour}, "slow query"},
		{Config{Lock: -1}, "lock"},
		{Config{TokenLife: -1}, "token life"},
		{Config{PasswordIterations: maxIterations + 1}, "password iterations"},
		{Config{SendLimit: &limit.Policy{Limit: -1, Window: time.Hour}}, "send limit: limit"},
		{Config{TrustedOrigins: []string{"localhost:3000"}}, `trusted origin "localhost:3000"`},
		{Config{TrustedOrigins: []string{"https://a/b"}}, "trusted origin"},
		{Config{SNSEndpoint: "localhost:4566"}, "sns endpoint: want a URL"},
		{Config{SNSEndpoint: "ftp://x"}, "sns endpoint: want a URL"},
		{Config{SNSEndpoint: "http://user:s3cret@[x"}, "sns endpoint: want a URL"},
		{Config{SNSEndpoint: "https://sns.ap-northeast-1.amazonaws.com"}, "messages there would be real"},
		{Config{SNSEndpoint: "https://SNS.us-east-1.AMAZONAWS.com:443/"}, "messages there would be real"},
		{Config{SNS: sns.Config{SpendLimit: -1}}, "spend limit"},
		{Config{Latency: stand.Latency{Base: -1}}, "latency"},
		{Config{Database: "postgres://u:s3cret@[x"}, "database: want a URL"},
		{Config{Database: "postgres://u:s3cret@127.0.0.1:1/d?connect_timeout=1"}, "database: making its tables: cannot connect"},
		{Config{Database: filepath.Join(t.TempDir(), "no", "such", "folder.db")}, "database: making its tables"},

		{Config{Fixtures: []byte(`{`)}, "fixtures: want a JSON list"},
		{Config{Fixtures: []byte(`{"model":1}`)}, "fixtures: want a JSON list"},
		{Config{Fixtures: []byte(`[] []`)}, "something follows"},
		{Config{Fixtures: []byte(`[{"model":"sms.fax"}]`)}, `object 1 (sms.fax): unknown model`},
		{Config{Fixtures: []byte(`[{"model":"accounts.user","fields":{}}]`)}, "field username: is missing"},
		{Config{Fixtures: []byte(`[{"model":"accounts.user","pk":0,"fields":{"username":"a"}}]`)}, "pk 0"},
		{Config{Fixtures: []byte(`[{"model":"accounts.user","pk":1.5,"fields":{"username":"a"}}]`)}, "pk 1.5"},
		{Config{Fixtures: []byte(`[{"model":"accounts.user","fields":{"username":"a","password":["s3cret"]}}]`)}, "field password: of the wrong type"},
		{Config{Fixtures: []byte(`[{"model":"accounts.user","fields":{"username":"a","password":"pbkdf2_sha256$s3cret"}}]`)}, "field password: a pbkdf2_sha256 hash"},
		{Config{Fixtures: []byte(`[{"model":"accounts.user","fields":{"username":"a","password":"pbkdf2_sha256$999999999$s3cret$x"}}]`)}, "field password: a pbkdf2_sha256 hash"},
		{Config{Fixtures: []byte(`[{"model":"accounts.user","fields":{"username":"` + strings.Repeat("a", 151) + `"}}]`)}, "at most 150"},
		{Config{Fixtures: []byte(`[{"model":"accounts.user","fields":{"username":"a"}},{"model":"accounts.user","fields":{"username":"a"}}]`)}, "user a cannot be saved"},
		{Config{Fixtures: []byte(`[{"model":"accounts.profile","fields":{"employee_id":"E"}}]`)}, "field user"},
		{Config{Fixtures: []byte(`[{"model":"accounts.profile","fields":{"user":7,"employee_id":"E"}}]`)}, "profile E cannot be saved"},
	}
	ran := 0
	for _, c := range cases {
		ran++
		app, err := New(t.Context(), c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "sms stand-in: ") {
			t.Errorf("case %d: %v, want %q", ran, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("case %d: a secret is in the error: %v", ran, err)
		}
		if err == nil {
			_ = app.Close()
		}
	}
	if ran != 34 {
		t.Errorf("ran %d cases, want 34", ran)
	}
}

// TestFixtures holds who can log in, and with what.
func TestFixtures(t *testing.T) {
	const users = `[
	 {"model": "auth.USER", "fields": {"username": "hashed", "password": "pbkdf2_sha256$1000$weirlabsalt$fwpibIjEcKfG1PmMBcW1kj/BA7fiY8zIq12HkAwcCMU=", "groups": [], "date_joined": "2026-01-01"}},
	 {"model": "accounts.user", "pk": 50, "fields": {"username": "plain", "password": "パスワード"}},
	 {"model": "accounts.user", "fields": {"username": "none"}},
	 {"model": "accounts.user", "fields": {"username": "unusable", "password": "!abc"}},
	 {"model": "accounts.user", "fields": {"username": "empty", "password": ""}},
	 {"model": "accounts.user", "fields": {"username": "gone", "password": "x", "is_active": false}}
	]`
	app := newApp(t, Config{Fixtures: []byte(users)})
	cases := []struct {
		user, password string
		status         int
	}{
		{"hashed", "password123", 200}, {"hashed", "password124", 400}, {"plain", "パスワード", 200}, {"plain", "password123", 400},
		{"none", "password123", 200}, {"unusable", "!abc", 400}, {"unusable", "abc", 400}, {"gone", "x", 400}, {"nobody", "x", 400},
	}
	for _, c := range cases {
		if w := newClient(t, app).do("POST", "/api/auth/login", `{"username":"`+c.user+`","password":"`+c.password+`"}`); w.Code != c.status {
			t.Errorf("%s with %s: %d %s, want %d", c.user, c.password, w.Code, w.Body, c.status)
		}
	}
	// A user who is added to the database afterwards can work, without a limit of
	// their own.
	if _, err := app.store.db.Exec(`INSERT INTO accounts_user (username, email, password, is_staff, is_superuser, is_active) SELECT 'late', '', password, true, true, true FROM accounts_user WHERE username = 'hashed'`); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, app)
	c.must(200, "POST", "/api/auth/login", `{"username":"late","password":"password123"}`, "")
	c.must(201, "POST", "/api/sms/send", c.prepare(), "")
	// Passwords are never kept in plain text.
	var n int
	if err := app.store.db.QueryRow(`SELECT COUNT(*) FROM accounts_user WHERE password NOT LIKE 'pbkdf2_sha256$%$%$%' AND password NOT LIKE '!%' AND password <> ''`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d passwords in plain text, %v", n, err)
	}
}

// TestPasswords holds the hash to Django's own: the encoded values are from
// PBKDF2PasswordHasher().encode of Django 5.2.19.
func TestPasswords(t *testing.T) {
	cases := []struct{ password, encoded string }{
		{"password123", "pbkdf2_sha256$1000$weirlabsalt$fwpibIjEcKfG1PmMBcW1kj/BA7fiY8zIq12HkAwcCMU="},
		{"パスワード", "pbkdf2_sha256$1$x$5gn4Y7FJ40MC6oNZFLF+T3WS13gyMQ/yzEgziSKPRaA="},
		{"", "pbkdf2_sha256$2$salt$YjhEZiZNqtxBRAGMa9hkZIJys02omA0xUh/8zpKuADs="},
	}
	for _, c := range cases {
		if !checkPassword(c.password, c.encoded, 1) || checkPassword(c.password+"x", c.encoded, 1) {
			t.Errorf("%q does not match %s alone", c.password, c.encoded)
		}
	}
}

// TestCSRFSecrets holds that masked forms of a secret are all taken, and no other
// secret's.
func TestCSRFSecrets(t *testing.T) {
	for range 200 {
		secret := randomWord(csrfLetters, secretSize)
		token := masked(secret)
		if tokenFormat(secret) != "" || tokenFormat(token) != "" || unmask(token) != secret || unmask(secret) != secret {
			t.Fatalf("secret %s, token %s → %s", secret, token, unmask(token))
		}
		if unmask(masked(randomWord(csrfLetters, secretSize))) == secret {
			t.Fatal("two secrets are the same")
		}
	}
}

func TestCommands(t *testing.T) {
	app := newApp(t, Config{})
	lines := app.Commands("http://127.0.0.1:8000")
	if len(lines) != 4 || !strings.HasPrefix(lines[0][1], "curl ") || !strings.Contains(lines[0][1], "http://127.0.0.1:8000/api/auth/login") {
		t.Errorf("%q", lines)
	}
	c := newClient(t, app)
	if w := c.do("GET", sns.SentPath, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "sms_messages") {
		t.Errorf("what was sent: %d %s", w.Code, w.Body)
	}
}

// FuzzRequest sends anything to any path, signed in: it never panics, never gives a
// server error, and answers JSON on every path that exists.
func FuzzRequest(f *testing.F) {
	for _, p := range []string{"/api/customers", "/api/tokens", "/api/sms/send", "/api/sms/history?page=2&page_size=x", "/api/customers/1/templates", "/api/auth/login", "/x"} {
		f.Add("POST", p, `{"phone_number":"090-1234-5678","customer_id":1,"template_id":"1","token":"x","name":"a","content":"b","username":"admin","password":1}`, "application/json", "*/*", "sessionid=x; csrftoken=y")
		f.Add("GET", p, `{`, "text/plain", "application/json; indent=3", `a="b"; =c; ;`)
	}
	f.Add("DELETE", "/api/customers/99999999999999999999?%zz", "\xff", "*/*", ",;q=", "csrftoken=\x00")
	app := newApp(f, Config{SendLimit: &limit.Policy{Limit: 1e6, Window: time.Second}})
	c := newClient(f, app)
	c.login()
	f.Fuzz(func(t *testing.T, method, target, body, kind, accept, cookies string) {
		if method == "" || strings.HasPrefix(target, sns.SentPath) {
			return
		}
		r := request(method, target, []byte(body))
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Accept", accept)
		r.Header.Set("X-CSRFToken", c.jar[csrfCookie])
		r.Header.Set("Cookie", cookies+"; sessionid="+c.jar[sessionCookie]+"; csrftoken="+c.jar[csrfCookie])
		if strings.HasPrefix(target, "/api/auth/logout") {
			r.Header.Del("Cookie") // the session has to last
		}
		before := c.jar
		w := newWriter()
		app.ServeHTTP(w, r)
		if w.status >= 500 && !strings.Contains(body, "e") && !strings.Contains(body, "E") && !strings.Contains(body, "[[[") {
			t.Fatalf("%s %q %q: %d %s", method, target, body, w.status, w.body.Bytes())
		}
		if w.header.Get("Content-Type") == "application/json" && !json.Valid(w.body.Bytes()) {
			t.Fatalf("%s %q %q: not JSON: %s", method, target, body, w.body.Bytes())
		}
		if line := w.header.Get("Set-Cookie"); strings.Contains(line, "sessionid=") && w.status == 200 {
			// A login has ended the session that was used.
			c.jar = before
			c.jar[sessionCookie] = ""
			for _, l := range w.header["Set-Cookie"] {
				name, rest, _ := strings.Cut(l, "=")
				c.jar[name], _, _ = strings.Cut(rest, ";")
			}
		}
	})
}

func newWriter() *memory { return &memory{header: http.Header{}, status: 200} }

// BenchmarkFlow is the whole flow, to be held against 1,000 requests a second.
func BenchmarkFlow(b *testing.B) {
	app := newApp(b, Config{SendLimit: &limit.Policy{Limit: 1e9, Window: time.Second}})
	c := newClient(b, app)
	c.login()
	for b.Loop() {
		c.must(201, "POST", "/api/sms/send", c.prepare(), "")
		c.must(200, "GET", "/api/sms/history", "", "")
	}
	b.ReportMetric(float64(b.N)*5/b.Elapsed().Seconds(), "requests/s")
}
