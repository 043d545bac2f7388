package auth0_test

import (
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/lab/auth0"
)

// login logs the default user in and returns the access token.
func (l *lab) login(response string) string {
	l.t.Helper()
	_, to := l.flow(response, "POST /u/login username="+url.QueryEscape(auth0.UserEmail)+"&password="+auth0.UserPassword)
	return token(l.t, to)
}

func (l *lab) signUp(email string) string {
	l.t.Helper()
	l.client.Jar, _ = cookiejar.New(nil)
	_, to := l.flow("token", "GET /u/signup", "POST /u/signup password=x&email="+url.QueryEscape(email))
	return token(l.t, to)
}

func token(t testing.TB, to string) string {
	t.Helper()
	_, fragment, _ := strings.Cut(to, "#")
	values, _ := url.ParseQuery(fragment)
	if values.Get("access_token") == "" {
		t.Fatalf("no token in %s", to)
	}
	return values.Get("access_token")
}

// flow goes the way of a browser: /authorize, where that leads, the forms, and
// redirects until the application is reached. It returns how many requests
// reached the tenant.
func (l *lab) flow(response string, forms ...string) (requests int, to string) {
	l.t.Helper()
	const callback = "http://localhost:9/callback"
	a := l.do("GET", "/authorize?client_id="+auth0.WebClientID+"&response_type="+response+"&redirect_uri="+callback+"&state=xyz&scope=openid", "")
	requests++
	for {
		to = a.Header.Get("Location")
		if a.StatusCode != 302 || strings.HasPrefix(to, callback) {
			return requests, to
		}
		a = l.do("GET", to, "")
		requests++
		if a.StatusCode != 200 {
			continue
		}
		u, _ := url.Parse(to)
		state := "state=" + url.QueryEscape(u.Query().Get("state"))
		for _, form := range forms {
			method, rest, _ := strings.Cut(form, " ")
			path, body, _ := strings.Cut(rest, " ")
			if method == "GET" {
				a = l.do("GET", path+"?"+state, "")
			} else {
				a = l.do(method, path, state+"&"+body)
			}
			requests++
		}
	}
}

// The numbers of requests are those of seed 001's table for universal login.
func TestFlows(t *testing.T) {
	password := "POST /u/login username=" + url.QueryEscape(auth0.UserEmail) + "&password=" + auth0.UserPassword
	tests := []struct {
		name     string
		response string
		forms    []string
		want     int
	}{
		{"password", "code", []string{password}, 5},
		{"another provider", "code", []string{"POST /u/login connection=google-oauth2"}, 6},
		{"sign-up", "code", []string{"GET /u/signup", "POST /u/signup email=new%40example.com&password=x"}, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := serve(t, auth0.Config{Tier: "enterprise"})
			n, to := l.flow(tt.response, tt.forms...)
			u, _ := url.Parse(to)
			if u.Query().Get("state") != "xyz" {
				t.Fatalf("came back to %s", to)
			}
			exchange := "grant_type=authorization_code&redirect_uri=http://localhost:9/callback&client_id=" + auth0.WebClientID + "&client_secret=" + auth0.WebSecret + "&code="
			a := l.do("POST", "/oauth/token", exchange+u.Query().Get("code"))
			n++
			if a.StatusCode != 200 || !strings.Contains(a.body, `"id_token"`) || n != tt.want {
				t.Errorf("%d requests, want %d; the tokens: %d %s", n, tt.want, a.StatusCode, a.body)
			}
			// With the session that there is now, it is one.
			if n, to := l.flow("token"); n != 1 || token(t, to) == "" {
				t.Errorf("with a session: %d requests, to %s", n, to)
			}
			l.at(2 * time.Minute)
			if a := l.do("POST", "/oauth/token", exchange+u.Query().Get("code")); a.StatusCode != 403 {
				t.Errorf("an old code: %d", a.StatusCode)
			}
		})
	}
}

// The classic login, as far as the stand-in has it.
func TestClassicLogin(t *testing.T) {
	l := serve(t, auth0.Config{Tier: "enterprise"})
	a := l.do("GET", "/authorize?experience=classic&client_id="+auth0.WebClientID+"&response_type=code&redirect_uri=http://127.0.0.1:9/", "")
	to := a.Header.Get("Location")
	if a = l.do("GET", to, ""); a.StatusCode != 200 || !strings.HasPrefix(to, "/login?state=") {
		t.Fatalf("%d %s", a.StatusCode, to)
	}
	u, _ := url.Parse(to)
	l.do("POST", "/usernamepassword/challenge", `{"state":"x"}`)
	a = l.do("POST", "/usernamepassword/login", `{"username":"`+auth0.UserEmail+`","password":"`+auth0.UserPassword+`","state":"`+u.Query().Get("state")+`"}`)
	_, rest, _ := strings.Cut(a.body, `name="state" value="`)
	state, _, _ := strings.Cut(rest, `"`)
	a = l.do("POST", "/login/callback", "state="+state)
	a = l.do("GET", a.Header.Get("Location"), "")
	if !strings.HasPrefix(a.Header.Get("Location"), "http://127.0.0.1:9/?code=") {
		t.Errorf("%d to %s", a.StatusCode, a.Header.Get("Location"))
	}
}
