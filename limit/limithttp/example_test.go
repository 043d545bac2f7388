package limithttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/weir-dev/weir/limit"
	"github.com/weir-dev/weir/limit/limithttp"
)

// Two requests at once for each client, and one more every half minute.
func Example() {
	l, err := limithttp.New(limithttp.Config{Policies: []limithttp.Policy{{
		Policy: limit.Policy{Name: "api", Limit: 2, Window: time.Minute},
		Key:    limithttp.ByClient,
		Tell:   "ratelimit",
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	server := httptest.NewServer(l.Handler(hello))
	defer server.Close()

	for range 3 {
		res, err := http.Get(server.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		res.Body.Close()
		fmt.Println(res.StatusCode, res.Header.Get("RateLimit-Policy"))
	}
	// Output:
	// 200 "api";q=2;w=60
	// 200 "api";q=2;w=60
	// 429 "api";q=2;w=60
}

// A policy file, and a proxy in front whose word about the client is believed.
func ExampleNew_file() {
	l, err := limithttp.New(limithttp.Config{
		File: []byte(`
policies:
  - name: sign-in
    match: POST /login
    key: request.ip
    algorithm: sliding-log
    limit: 1
    window: 1m
    answer: apim
`),
		TrustedProxies: []string{"192.0.2.0/24"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := l.Handler(http.NotFoundHandler())
	for _, client := range []string{"203.0.113.1", "203.0.113.1", "203.0.113.2"} {
		r := httptest.NewRequest("POST", "/login", nil)
		r.RemoteAddr = "192.0.2.1:4711"
		r.Header.Set("X-Forwarded-For", client)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Printf("%s %d %q\n", client, w.Code, w.Header().Get("Retry-After"))
	}
	// Output:
	// 203.0.113.1 404 ""
	// 203.0.113.1 429 "60"
	// 203.0.113.2 404 ""
}
