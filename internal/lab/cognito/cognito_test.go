package cognito

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

// testKey is made once: a key costs a tenth of a second.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func newPool(t testing.TB, cfg Config) *Pool {
	t.Helper()
	if cfg.Key == nil {
		cfg.Key = testKey()
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask posts a form with Basic credentials ("" for none), without a socket.
func ask(p *Pool, basic, form string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", TokenPath, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic != "" {
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(basic)))
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

const (
	machine = MachineClientID + ":" + MachineSecret
	user    = UserClientID + ":" + UserSecret
)

// verify checks a token's signature against a published key set, by hand, and
// returns its claims.
func verify(t *testing.T, token string, jwks []byte) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts", len(parts))
	}
	raw := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatalf("not base64url: %v", err)
		}
		return b
	}
	var header struct{ Kid, Alg string }
	if err := json.Unmarshal(raw(parts[0]), &header); err != nil || header.Alg != "RS256" {
		t.Fatalf("header %s: %v", raw(parts[0]), err)
	}
	var set struct {
		Keys []struct{ Kid, Kty, Alg, Use, N, E string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if k.Kid != header.Kid {
			continue
		}
		if k.Kty != "RSA" || k.Alg != "RS256" || k.Use != "sig" {
			t.Errorf("key %+v", k)
		}
		pub := &rsa.PublicKey{N: new(big.Int).SetBytes(raw(k.N)), E: int(new(big.Int).SetBytes(raw(k.E)).Int64())}
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		if err := rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], raw(parts[2])); err != nil {
			t.Fatalf("signature: %v", err)
		}
		claims := map[string]any{}
		if err := json.Unmarshal(raw(parts[1]), &claims); err != nil {
			t.Fatal(err)
		}
		return claims
	}
	t.Fatalf("no key %q among the published ones", header.Kid)
	return nil
}

func get(p *Pool, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestMachineToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{Issuer: "http://127.0.0.1:8080/"})
		w := ask(p, machine, "grant_type=client_credentials")
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/json;charset=UTF-8" || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 || got["token_type"] != "Bearer" || got["expires_in"] != 3600.0 {
			t.Errorf("answer %v", got)
		}
		claims := verify(t, got["access_token"].(string), get(p, "/"+DefaultPoolID+"/.well-known/jwks.json").Body.Bytes())
		now := float64(time.Now().Unix())
		want := map[string]any{
			"sub": MachineClientID, "client_id": MachineClientID, "token_use": "access", "version": 2.0,
			"scope": "weir-lab/read weir-lab/write", "iss": "http://127.0.0.1:8080/" + DefaultPoolID,
			"auth_time": now, "iat": now, "exp": now + 3600,
		}
		for k, v := range want {
			if claims[k] != v {
				t.Errorf("claim %s = %v, want %v", k, claims[k], v)
			}
		}
		if len(claims) != len(want)+1 || len(claims["jti"].(string)) != 36 {
			t.Errorf("claims %v", claims)
		}
	})
}

func TestRefreshTokens(t *testing.T) {
	p := newPool(t, Config{})
	w := ask(p, user, "grant_type=refresh_token&refresh_token="+RefreshToken)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if _, has := got["refresh_token"]; has || len(got) != 4 {
		t.Errorf("answer has %v", got)
	}
	jwks := get(p, "/"+DefaultPoolID+"/.well-known/jwks.json").Body.Bytes()
	access := verify(t, got["access_token"].(string), jwks)
	id := verify(t, got["id_token"].(string), jwks)
	if access["token_use"] != "access" || access["client_id"] != UserClientID || access["scope"] != "openid email" {
		t.Errorf("access claims %v", access)
	}
	if id["token_use"] != "id" || id["aud"] != UserClientID || id["sub"] != access["sub"] || id["origin_jti"] != access["origin_jti"] || id["jti"] == access["jti"] {
		t.Errorf("id claims %v beside %v", id, access)
	}
}

func TestDiscovery(t *testing.T) {
	p := newPool(t, Config{Issuer: "http://127.0.0.1:9"})
	var doc map[string]any
	if err := json.Unmarshal(get(p, "/"+DefaultPoolID+"/.well-known/openid-configuration").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc["token_endpoint"] != "http://127.0.0.1:9/oauth2/token" || doc["issuer"] != "http://127.0.0.1:9/"+DefaultPoolID {
		t.Errorf("document %v", doc)
	}
	u, err := url.Parse(doc["jwks_uri"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if w := get(p, u.Path); w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("jwks_uri: %d %v", w.Code, w.Header())
	}
}

// TestErrors is the table of refusals. source says where each comes from, by the
// names of the package comment; "ours" is our own choice.
func TestErrors(t *testing.T) {
	long := "grant_type=client_credentials&x=" + strings.Repeat("a", maxForm)
	clients := append(defaultClients(),
		Client{ID: "public", Grants: []Grant{AuthorizationCode}},
		Client{ID: "bare", Secret: "s", Grants: []Grant{ClientCredentials}})
	cases := []struct {
		name, method, contentType, basic, body string
		status                                 int
		want, source                           string
	}{
		{"no grant type", "", "", machine, "", 400, "invalid_request", "guide/token"},
		{"empty grant type", "", "", machine, "grant_type=", 400, "invalid_request", "guide/token"},
		{"json under a form's name", "", "", machine, `{"grant_type":"client_credentials"}`, 400, "invalid_request", "amazon-cognito-auth-js issue 52"},
		{"refresh without a token", "", "", user, "grant_type=refresh_token", 400, "invalid_request", "guide/token"},
		{"code without redirect_uri", "", "", user, "grant_type=authorization_code&code=x", 400, "invalid_request", "guide/token"},
		{"repeated parameter", "", "", machine, "grant_type=client_credentials&grant_type=client_credentials", 400, "invalid_request", "RFC 6749 §3.2"},
		{"broken escape", "", "", machine, "grant_type=client%5", 400, "invalid_request", "guide/token (malformed)"},
		{"huge form", "", "", machine, long, 400, "invalid_request", "ours"},
		{"password grant", "", "", machine, "grant_type=password", 400, "unsupported_grant_type", "guide/token"},
		{"grant type in capitals", "", "", machine, "grant_type=CLIENT_CREDENTIALS", 400, "unsupported_grant_type", "ours"},
		{"unknown client", "", "", "nobody:x", "grant_type=client_credentials", 400, "invalid_client", "guide/token"},
		{"wrong secret", "", "", MachineClientID + ":x", "grant_type=client_credentials", 400, "invalid_client", "guide/token"},
		{"no credentials", "", "", "", "grant_type=client_credentials", 400, "invalid_client", "guide/token"},
		{"id without its secret", "", "", "", "grant_type=client_credentials&client_id=" + MachineClientID, 400, "invalid_client", "amazon-cognito-auth-js issue 206"},
		{"basic without colon", "", "", MachineClientID, "grant_type=client_credentials", 400, "invalid_client", "ours"},
		{"basic and body differ", "", "", machine, "grant_type=client_credentials&client_id=" + UserClientID, 400, "invalid_client", "ours"},
		{"public client with a secret", "", "", "public:x", "grant_type=authorization_code&code=a&redirect_uri=b", 400, "invalid_client", "ours"},
		{"revoked refresh token", "", "", user, "grant_type=refresh_token&refresh_token=old", 400, "invalid_grant", "guide/token"},
		{"code that does not exist", "", "", user, "grant_type=authorization_code&code=a&redirect_uri=b", 400, "invalid_grant", "guide/token"},
		{"public client, no such code", "", "", "", "client_id=public&grant_type=authorization_code&code=a&redirect_uri=b", 400, "invalid_grant", "guide/token"},
		{"client not for refreshing", "", "", machine, "grant_type=refresh_token&refresh_token=" + RefreshToken, 400, "unauthorized_client", "guide/token"},
		{"client not for codes", "", "", machine, "grant_type=authorization_code&code=a&redirect_uri=b", 400, "unauthorized_client", "guide/token"},
		{"client not for machines", "", "", user, "grant_type=client_credentials", 400, "unauthorized_client", "guide/token"},
		{"none of the scopes", "", "", machine, "grant_type=client_credentials&scope=other/read", 400, "invalid_scope", "re:Post QUnhrxb08MRJaH7hIRtUnCKA"},
		{"client without scopes", "", "", "bare:s", "grant_type=client_credentials", 400, "invalid_scope", "re:Post QUnhrxb08MRJaH7hIRtUnCKA"},
		{"GET", "GET", "", machine, "", 405, "", "guide/token (only POST); shape amplify-js issue 5284"},
		{"PUT", "PUT", "", machine, "grant_type=client_credentials", 405, "", "guide/token (only POST)"},
		{"json content type", "", "application/json", machine, `{}`, 405, "", "amazon-cognito-auth-js issue 52"},
		{"quoted content type", "", "'application/x-www-form-urlencoded'", machine, "grant_type=client_credentials", 405, "", "amazon-cognito-auth-js issue 52"},
	}
	ran := 0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ran++
			p := newPool(t, Config{Clients: clients})
			if c.method == "" {
				c.method = "POST"
			}
			if c.contentType == "" {
				c.contentType = "application/x-www-form-urlencoded"
			}
			r := httptest.NewRequest(c.method, TokenPath, strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.contentType)
			if c.basic != "" {
				r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.basic)))
			}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			want := ""
			if c.want != "" {
				want = `{"error":"` + c.want + `"}`
			}
			if w.Code != c.status || w.Body.String() != want {
				t.Errorf("%d %s, want %d %s (%s)", w.Code, w.Body, c.status, want, c.source)
			}
			if want != "" && w.Header().Get("Content-Type") != "application/json;charset=UTF-8" {
				t.Errorf("content type %q", w.Header().Get("Content-Type"))
			}
			if c.status == 405 && w.Header().Get("Allow") != "POST" {
				t.Errorf("Allow = %q", w.Header().Get("Allow"))
			}
		})
	}
	if ran != 29 {
		t.Errorf("ran %d cases, want 29", ran)
	}
}

// TestAccepted is the table of requests that get tokens.
func TestAccepted(t *testing.T) {
	post := "client_id=" + MachineClientID + "&client_secret=" + MachineSecret
	cases := []struct {
		name, contentType, basic, query, body, scope string
	}{
		{"basic", "", machine, "", "grant_type=client_credentials", "weir-lab/read weir-lab/write"},
		{"post", "", "", "", "grant_type=client_credentials&" + post, "weir-lab/read weir-lab/write"},
		{"both, as seed 000", "", machine, "", "grant_type=client_credentials&" + post, "weir-lab/read weir-lab/write"},
		{"charset", "application/x-www-form-urlencoded; charset=UTF-8", machine, "", "grant_type=client_credentials", "weir-lab/read weir-lab/write"},
		{"escapes", "", "", "", "grant%5Ftype=client%5fcredentials&" + strings.ReplaceAll(post, "-", "%2D"), "weir-lab/read weir-lab/write"},
		{"in the query, as arctic issue 175", "", "", "grant_type=client_credentials&client_id=" + MachineClientID, "client_secret=" + MachineSecret, "weir-lab/read weir-lab/write"},
		{"one scope", "", machine, "", "grant_type=client_credentials&scope=weir-lab/write", "weir-lab/write"},
		{"scopes in another order", "", machine, "", "grant_type=client_credentials&scope=weir-lab/write+weir-lab%2Fread", "weir-lab/read weir-lab/write"},
		{"unknown scope beside a known one", "", machine, "", "grant_type=client_credentials&scope=other/x%20weir-lab/read", "weir-lab/read"},
		{"empty scope", "", machine, "", "grant_type=client_credentials&scope=", "weir-lab/read weir-lab/write"},
		{"unknown parameters", "", machine, "", "a=1&a=2&&=&b&grant_type=client_credentials", "weir-lab/read weir-lab/write"},
	}
	ran := 0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ran++
			p := newPool(t, Config{})
			if c.contentType == "" {
				c.contentType = "application/x-www-form-urlencoded"
			}
			r := httptest.NewRequest("POST", TokenPath+"?"+c.query, strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.contentType)
			if c.basic != "" {
				r.Header.Set("authorization", "basic "+base64.StdEncoding.EncodeToString([]byte(c.basic)))
			}
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			var got reply
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if claims := verify(t, got.AccessToken, p.jwks); claims["scope"] != c.scope {
				t.Errorf("scope %q, want %q", claims["scope"], c.scope)
			}
		})
	}
	if ran != 11 {
		t.Errorf("ran %d cases, want 11", ran)
	}
}

func TestStrictScopes(t *testing.T) {
	p := newPool(t, Config{StrictScopes: true})
	if w := ask(p, machine, "grant_type=client_credentials&scope=other/x+weir-lab/read"); w.Body.String() != `{"error":"invalid_scope"}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(p, machine, "grant_type=client_credentials&scope=weir-lab/read"); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestQuotaExact holds the default quota in virtual time: the 121st call within
// a second is refused with seed 000's answer, whatever the phase; refused calls
// do not count; and each admitted one makes room exactly a second later.
func TestQuotaExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{})
		const form = "grant_type=client_credentials"
		time.Sleep(700 * time.Millisecond) // off the head of a clock second
		for i := range 120 {
			if w := ask(p, machine, form); w.Code != 200 {
				t.Fatalf("call %d: %d %s", i+1, w.Code, w.Body)
			}
			time.Sleep(5 * time.Millisecond) // 600 ms for all, across the head of a second
		}
		refused := func(when string) {
			t.Helper()
			w := ask(p, machine, form)
			if w.Code != 429 || w.Body.String() != `{"error":"Rate exceeded"}` {
				t.Fatalf("%s: %d %s, want 429", when, w.Code, w.Body)
			}
			if h := w.Header(); len(h) != 2 || h.Get("Content-Type") != "application/json;charset=UTF-8" || h.Get("Content-Length") != "25" {
				t.Errorf("headers of a refusal: %v, want only type and length", h)
			}
		}
		for range 500 {
			refused("121st within a second")
		}
		time.Sleep(400*time.Millisecond - time.Nanosecond)
		refused("a nanosecond before the first leaves the window")
		time.Sleep(time.Nanosecond)
		if w := ask(p, machine, form); w.Code != 200 {
			t.Errorf("a second after the first: %d, want 200", w.Code)
		}
		refused("until the second leaves too")

		// The other category has a quota of its own.
		if w := ask(p, user, "grant_type=refresh_token&refresh_token="+RefreshToken); w.Code != 200 {
			t.Errorf("refresh: %d %s, want 200", w.Code, w.Body)
		}
		st := p.Stand().Stats(-1)
		c, u := st.Categories[ClientAuthentication], st.Categories[UserAuthentication]
		if c.Category != "ClientAuthentication" || c.CallCount != 623 || c.ThrottleCount != 502 || c.Limit != 120 || c.Algorithm != "sliding-log" {
			t.Errorf("ClientAuthentication %+v, want 623 calls, 502 of them throttled", c)
		}
		if u.Category != "UserAuthentication" || u.CallCount != 1 || u.ThrottleCount != 0 {
			t.Errorf("UserAuthentication %+v", u)
		}
	})
}

// TestOnsetOfARamp holds what the demo shows: a slow ramp of users, one call a
// second each, is first refused when it offers more than the quota within a
// second; neither before nor noticeably after.
func TestOnsetOfARamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{})
		var calls []time.Time
		// User u starts at u·100 ms and calls each second: 10 calls/s more each second.
		for tick := 0; tick < 30*10; tick++ {
			for u := tick % 10; u <= tick; u += 10 {
				calls = append(calls, time.Now())
				if w := ask(p, machine, "grant_type=client_credentials"); w.Code == 429 {
					last := 0
					for _, at := range calls {
						if time.Since(at) < time.Second {
							last++
						}
					}
					if last != 121 {
						t.Errorf("first refusal with %d calls in the last second, want 121", last)
					}
					return
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Error("never refused")
	})
}

func TestOrderOfChecks(t *testing.T) {
	one := PerSecond(1)
	cases := []struct {
		authFirst          bool
		calls, throttled   uint64
		wrongWhenExhausted string
	}{
		// Quota first: right, wrong, wrong = 3 calls, 2 of them throttled.
		{false, 3, 2, `{"error":"Rate exceeded"}`},
		// Credentials first: only the right one is a call.
		{true, 1, 0, `{"error":"invalid_client"}`},
	}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, Config{AuthFirst: c.authFirst, ClientAuthentication: &one})
			ask(p, machine, "grant_type=client_credentials")
			for range 2 {
				if w := ask(p, "a:b", "grant_type=client_credentials"); w.Body.String() != c.wrongWhenExhausted {
					t.Errorf("AuthFirst %v: wrong secret over quota: %s, want %s", c.authFirst, w.Body, c.wrongWhenExhausted)
				}
			}
			// Neither kind counts what belongs to no category.
			ask(p, machine, "grant_type=password")
			ask(p, machine, "")
			if k := p.Stand().Stats(-1).Categories[0]; k.CallCount != c.calls || k.ThrottleCount != c.throttled {
				t.Errorf("AuthFirst %v: calls %d throttled %d, want %d and %d", c.authFirst, k.CallCount, k.ThrottleCount, c.calls, c.throttled)
			}
		})
	}
}

func TestRetryAfterOption(t *testing.T) {
	one := PerSecond(1)
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{RetryAfter: true, ClientAuthentication: &one})
		ask(p, machine, "grant_type=client_credentials")
		if w := ask(p, machine, "grant_type=client_credentials"); w.Code != 429 || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

// TestOtherPolicy holds that any policy can be the quota, a delaying one included.
func TestOtherPolicy(t *testing.T) {
	queue := limit.Policy{Algorithm: limit.LeakyBucket, Limit: 10, Window: time.Second, Burst: 5}
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{ClientAuthentication: &queue})
		start := time.Now()
		var wg sync.WaitGroup
		var ok, refused atomic.Int64
		for range 10 {
			wg.Go(func() {
				switch ask(p, machine, "grant_type=client_credentials").Code {
				case 200:
					ok.Add(1)
				case 429:
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 6 || refused.Load() != 4 {
			t.Errorf("%d admitted, %d refused; want 6 (one served, five queued) and 4", ok.Load(), refused.Load())
		}
		if took := time.Since(start); took != 500*time.Millisecond {
			t.Errorf("the queue took %v, want 500ms", took)
		}
	})
}

func TestFaultsAndLatency(t *testing.T) {
	one := PerSecond(1)
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{
			ClientAuthentication: &one,
			Latency:              stand.Latency{Base: 200 * time.Millisecond},
			Faults:               stand.Faults{Script: []stand.Fault{stand.Error}},
		})
		start := time.Now()
		if w := ask(p, machine, "grant_type=client_credentials"); w.Code != 500 || w.Body.String() != `{"error":"internal_error"}` {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if took := time.Since(start); took != 200*time.Millisecond {
			t.Errorf("an answer took %v, want 200ms", took)
		}
		start = time.Now()
		if w := ask(p, machine, "grant_type=client_credentials"); w.Code != 429 || time.Since(start) != 0 {
			t.Errorf("a refusal: %d after %v, want 429 at once", w.Code, time.Since(start))
		}
	})
}

// TestSigningBudget holds that signatures are bounded per second, that a token
// is new while the budget lasts, and that an old one is not handed out.
func TestSigningBudget(t *testing.T) {
	many := PerSecond(1_000_000)
	distinct := func(p *Pool, n int) int {
		seen := map[string]bool{}
		for range n {
			seen[ask(p, machine, "grant_type=client_credentials").Body.String()] = true
		}
		return len(seen)
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{ClientAuthentication: &many, SignPerSecond: 5})
		if got := distinct(p, 20); got != 5 {
			t.Errorf("20 answers in a second have %d tokens, want 5", got)
		}
		if w := ask(p, machine, "grant_type=client_credentials&scope=weir-lab/read"); w.Code != 200 {
			t.Errorf("another scope over the budget: %d", w.Code)
		} else if c := verify(t, accessToken(t, w), p.jwks); c["scope"] != "weir-lab/read" {
			t.Errorf("another scope got the token of %v", c["scope"])
		}
		time.Sleep(time.Second)
		if got := distinct(p, 3); got != 3 {
			t.Errorf("3 answers in the next second have %d tokens, want 3", got)
		}
		time.Sleep(2 * time.Minute)
		w := ask(p, machine, "grant_type=client_credentials")
		if c := verify(t, accessToken(t, w), p.jwks); c["iat"] != float64(time.Now().Unix()) {
			t.Error("a token of two minutes ago was handed out")
		}
	})
	p := newPool(t, Config{ClientAuthentication: &many, SignPerSecond: -1})
	if got := distinct(p, 20); got != 20 {
		t.Errorf("without a bound 20 answers have %d tokens", got)
	}
}

func accessToken(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var r reply
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r.AccessToken
}

// TestReuseIsNotForOld holds the age bound by itself: over budget, a minute on.
func TestReuseIsNotForOld(t *testing.T) {
	s, err := newSigner(testKey(), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.budget = 0 // every call is over budget
	now := time.Unix(1_000_000, 0)
	what := issued{"a", ClientCredentials, "b"}
	s.keep(what, []byte("x"), now)
	cases := []struct {
		after time.Duration
		reuse bool
	}{{0, true}, {reuseFor - 1, true}, {reuseFor, false}, {-1, false}}
	for _, c := range cases {
		if got := s.reuse(what, now.Add(c.after), 1) != nil; got != c.reuse {
			t.Errorf("after %v: reuse = %v, want %v", c.after, got, c.reuse)
		}
	}
	for i := range 3 * maxRecent {
		s.keep(issued{"a", ClientCredentials, fmt.Sprint(i)}, nil, now)
		if len(s.recent) > maxRecent {
			t.Fatalf("%d answers kept", len(s.recent))
		}
	}
}

// TestConcurrently holds that many clients at once are never admitted above the
// model, in every second of a run of ten.
func TestConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Config{SignPerSecond: 1})
		for second := range 10 {
			var admitted atomic.Int64
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					for range 10 {
						if ask(p, machine, "grant_type=client_credentials").Code == 200 {
							admitted.Add(1)
						}
					}
				})
			}
			wg.Wait()
			if admitted.Load() != 120 {
				t.Errorf("second %d: admitted %d of 200, want 120", second, admitted.Load())
			}
			time.Sleep(time.Second)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	zero := PerSecond(0)
	const secret = "hunter2hunter2"
	cases := []struct {
		cfg  Config
		want string
	}{
		{Config{PoolID: "a/b"}, "pool id"},
		{Config{PoolID: "a\r\nb"}, "pool id"},
		{Config{TokenLife: time.Minute}, "token life"},
		{Config{Clients: []Client{}}, "at least one"},
		{Config{Clients: []Client{{ID: "a b", Secret: secret}}}, "id"},
		{Config{Clients: []Client{{ID: "a", Secret: secret}, {ID: "a", Secret: secret}}}, "twice"},
		{Config{Clients: []Client{{ID: "a", Secret: secret, Grants: []Grant{"password"}}}}, "unknown grant"},
		{Config{Clients: []Client{{ID: "a", Grants: []Grant{ClientCredentials}}}}, "needs a secret"},
		{Config{Clients: []Client{{ID: "a", Secret: secret, Scopes: []string{"x y"}}}}, "scope"},
		{Config{ClientAuthentication: &zero}, "ClientAuthentication"},
		{Config{Latency: stand.Latency{Base: -1}}, "latency"},
	}
	for _, c := range cases {
		c.cfg.Key = testKey()
		_, err := New(c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New: %v, want an error about %q", err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestCommands(t *testing.T) {
	base := "http://127.0.0.1:1"
	lines := newPool(t, Config{}).Commands(base)
	want := "curl -sS -u weirlabmachineclient000000:not-a-secret-weir-lab-only -d grant_type=client_credentials http://127.0.0.1:1/oauth2/token"
	if lines[0][1] != want {
		t.Errorf("first line %q, want %q", lines[0][1], want)
	}
	p := newPool(t, Config{Clients: []Client{{ID: "a", Secret: "hunter2", Grants: []Grant{ClientCredentials}, Scopes: []string{"x"}}}})
	all := fmt.Sprint(p.Commands(base))
	if strings.Contains(all, "hunter2") || !strings.Contains(all, `a:"$CLIENT_SECRET"`) {
		t.Errorf("commands with a secret of the user's own: %s", all)
	}
	if lines := newPool(t, Config{Clients: []Client{{ID: "a"}}}).Commands(base); len(lines) == 0 {
		t.Error("no commands without a machine client")
	}
}

func TestUnknownPath(t *testing.T) {
	p := newPool(t, Config{})
	if w := get(p, "/oauth2/authorize"); w.Code != 404 || !strings.Contains(w.Body.String(), TokenPath) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("POST", p.paths.jwks, nil))
	if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST to the keys: %d %v", w.Code, w.Header())
	}
}

// TestHostile holds that nothing a client sends comes back in a header or
// breaks the endpoint.
func TestHostile(t *testing.T) {
	p := newPool(t, Config{})
	requests := []struct{ basic, form string }{
		{"a\r\nX-Evil: 1:b", "grant_type=client_credentials"},
		{machine, "grant_type=%0d%0aX-Evil:%201"},
		{machine, "grant_type=client_credentials&scope=%0d%0aX-Evil:1"},
		{machine, "grant_type=client_credentials&scope=" + strings.Repeat("a+", 20_000)},
		{machine, strings.Repeat("&", maxForm)},
		{machine, strings.Repeat("=", maxForm)},
		{machine, strings.Repeat("%", maxForm)},
		{machine, "grant_type\x00=client_credentials"},
		{strings.Repeat("a", 10_000) + ":b", "grant_type=client_credentials"},
		{"\xff\xfe:\x00", "grant_type=client_credentials"},
	}
	for i, q := range requests {
		w := ask(p, q.basic, q.form)
		if w.Code != 400 {
			t.Errorf("request %d: %d %s, want 400", i, w.Code, w.Body)
		}
		if _, evil := w.Header()["X-Evil"]; evil || strings.Contains(w.Body.String(), "Evil") {
			t.Errorf("request %d came back: %v %s", i, w.Header(), w.Body)
		}
	}
	// A body that breaks off, and two Authorization headers.
	r := httptest.NewRequest("POST", TokenPath, io.MultiReader(strings.NewReader("grant_type=client"), brokenReader{}))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("broken body: %d", w.Code)
	}
	// A body without an end is read up to the bound and no further.
	var endless endlessReader
	r = httptest.NewRequest("POST", TokenPath, &endless)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w = httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != 400 || endless.read > 2*maxForm {
		t.Errorf("endless body: %d after %d bytes", w.Code, endless.read)
	}
	r = httptest.NewRequest("POST", TokenPath, strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(MachineClientID, MachineSecret)
	r.Header.Add("Authorization", r.Header.Get("Authorization"))
	w = httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("two Authorization headers: %d", w.Code)
	}
	// And it still works.
	if w := ask(p, machine, "grant_type=client_credentials"); w.Code != 200 {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// endlessReader gives up after 100 MB, so that a missing bound fails and does not hang.
type endlessReader struct{ read int }

func (e *endlessReader) Read(b []byte) (int, error) {
	if e.read > 100<<20 {
		return 0, io.EOF
	}
	e.read += len(b)
	return len(b), nil
}

// discard is a ResponseWriter without allocations of its own.
type discard struct {
	h http.Header
	n int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { d.n += len(b); return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// rewinder is a request body that can be read again.
type rewinder struct{ strings.Reader }

func (*rewinder) Close() error { return nil }

// TestRefusalAllocates bounds what a refusal costs: it must be cheap enough that
// tens of thousands per second measure the client.
func TestRefusalAllocates(t *testing.T) {
	one := limit.Policy{Algorithm: limit.SlidingLog, Limit: 1, Window: time.Hour}
	p := newPool(t, Config{ClientAuthentication: &one})
	ask(p, machine, "grant_type=client_credentials")
	const form = "grant_type=client_credentials"
	body := &rewinder{*strings.NewReader(form)}
	r := httptest.NewRequest("POST", TokenPath, nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(MachineClientID, MachineSecret)
	r.Body = body
	w := &discard{h: http.Header{}}
	n := testing.AllocsPerRun(2000, func() {
		body.Reset(form)
		p.ServeHTTP(w, r)
	})
	if n > raced {
		t.Errorf("a refusal allocates %v times, want at most %v", n, raced)
	}
	if w.n == 0 {
		t.Error("nothing was answered")
	}
}

func BenchmarkRefusal(b *testing.B) {
	one := limit.Policy{Algorithm: limit.SlidingLog, Limit: 1, Window: time.Hour}
	p := newPool(b, Config{ClientAuthentication: &one})
	const form = "grant_type=client_credentials"
	body := &rewinder{*strings.NewReader(form)}
	r := httptest.NewRequest("POST", TokenPath, nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Body = body
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(form)
		p.ServeHTTP(w, r)
	}
}

func BenchmarkToken(b *testing.B) {
	many := limit.Policy{Limit: 1 << 40, Window: time.Second}
	for _, sign := range []int{200, -1} {
		b.Run(fmt.Sprint("sign=", sign), func(b *testing.B) {
			p := newPool(b, Config{ClientAuthentication: &many, SignPerSecond: sign})
			const form = "grant_type=client_credentials"
			body := &rewinder{*strings.NewReader(form)}
			r := httptest.NewRequest("POST", TokenPath, nil)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth(MachineClientID, MachineSecret)
			r.Body = body
			w := &discard{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(form)
				p.ServeHTTP(w, r)
			}
		})
	}
}
