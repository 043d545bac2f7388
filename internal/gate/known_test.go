package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/gate"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy/apim"
)

// TestSubscriptions holds that a policy document of API Management limits
// subscriptions behind the gate, and the API that the gate is told of, by the
// proxy and by /check.
func TestSubscriptions(t *testing.T) {
	api := upstream(t, func(w http.ResponseWriter, r *http.Request) {})
	doc, err := apim.Parse("api.xml", []byte(`<policies><inbound><base /><rate-limit calls="3" renewal-period="300">
		<api name="echo" calls="2" renewal-period="300" /></rate-limit></inbound></policies>`))
	if err != nil {
		t.Fatal(err)
	}
	f, err := doc.File(apim.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name  string
		known guard.Known
		want  string // of five calls with one key
	}{
		{"subscription", guard.Known{KeyHeader: "X-Key", KeyQuery: "key"}, "200 200 200 429 429"},
		{"and API", guard.Known{API: "echo", KeyHeader: "X-Key", KeyQuery: "key"}, "200 200 429 429 429"},
		{"no subscription", guard.Known{API: "echo"}, "200 200 200 200 200"},
	}
	for _, c := range cases {
		for _, how := range []string{"proxy", "check"} {
			g := start(t, generous, func(o *gate.Options) { o.File, o.Known = f, c.known }, api)
			ask := func(query string, pairs ...string) string {
				url := g.url + "/x" + query
				if how == "check" {
					url = g.check
					pairs = append(pairs, "X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/x"+query, "X-Forwarded-For", "192.0.2.1")
				}
				status, _, _ := do(t, client(t, ""), "GET", url, nil, pairs...)
				return map[int]string{200: "200", 429: "429"}[status]
			}
			var got []string
			for i := range 5 {
				if i%2 == 0 {
					got = append(got, ask("", "X-Key", "one"))
				} else {
					got = append(got, ask("?key=one"))
				}
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("%s, %s: %s, want %s", c.name, how, text, c.want)
			}
			if got := ask("", "X-Key", "two"); got != "200" {
				t.Errorf("%s, %s: another subscription: %s", c.name, how, got)
			}
			if got := ask(""); got != "200" {
				t.Errorf("%s, %s: no subscription: %s", c.name, how, got)
			}
		}
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
}
