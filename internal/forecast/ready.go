package forecast

import (
	"fmt"
	"slices"
	"strings"
)

// Ready is a flow of a known service, as data: which requests it makes.
type Ready struct {
	Name    string // as in a forecast file: auth0-universal/password
	Summary string
	Calls   []Step
	With    []Modifier // what may change it
	Each    bool       // every arrival is another person
	Source  string     // the page, and when it was read
}

// Modifier is a setting of the service that adds requests. It may be given several
// times: once for each factor, each redirect.
type Modifier struct {
	Name, Summary string
	Calls         []Step // come before the last call
}

// The numbers of requests are those of "Rate Limit Use Cases", auth0.com/docs/
// troubleshoot/customer-support/operational-policies/rate-limit-policy/
// rate-limit-use-cases, read 2026-11-21 (seed report 001 has its tables). Which
// requests they are is not published: these are what a browser is seen to make,
// and all of them count against the Authentication API.
const auth0Source = "auth0.com/docs/troubleshoot/customer-support/operational-policies/rate-limit-policy/rate-limit-use-cases, read 2026-11-21"

func calls(requests ...string) (out []Step) {
	for _, r := range requests {
		out = append(out, Step{Request: r})
	}
	return out
}

// ReadyFlows returns the flows that a forecast file can name, in a stable order.
func ReadyFlows() []Ready {
	universal := []Modifier{
		{"id-first", "the identifier is asked for before the password: 2 more", calls("GET /u/login/identifier", "POST /u/login/identifier")},
		{"mfa", "a further factor: 2 more, for each", calls("GET /u/mfa", "POST /u/mfa")},
		{"otp", "a one-time password: 2 more", calls("GET /u/otp", "POST /u/otp")},
		{"enterprise", "an enterprise connection: 1 more", calls("POST /login/callback")},
		{"client-credentials", "a token for a machine: 1 more, which can be cached",
			[]Step{{Request: "POST /oauth/token", Cacheable: true}}},
	}
	classic := []Modifier{
		{"sms-only", "a message as the first factor: 7 more", calls("GET /passwordless/start", "POST /passwordless/start", "POST /co/authenticate", "GET /authorize", "GET /login", "POST /login/callback", "GET /authorize/resume")},
		{"native-social", "a social provider's own login: 1 more", calls("POST /oauth/token")},
		{"redirect", "each further redirect: 1 more", calls("GET /authorize/resume")},
	}
	flow := func(name, summary string, with []Modifier, requests ...string) Ready {
		return Ready{name, summary, calls(requests...), with, true, auth0Source}
	}
	return []Ready{
		flow("auth0-universal/password", "universal login with a password: 5", universal,
			"GET /authorize", "GET /u/login", "POST /u/login", "GET /authorize/resume", "POST /oauth/token"),
		flow("auth0-universal/idp", "universal login at another provider, social or enterprise: 6", universal,
			"GET /authorize", "GET /u/login", "POST /u/login", "GET /login/callback", "GET /authorize/resume", "POST /oauth/token"),
		flow("auth0-universal/session", "universal login with a session that exists: 1", universal, "GET /authorize"),
		flow("auth0-universal/signup", "universal sign-up with a password: 6", universal,
			"GET /authorize", "GET /u/login", "GET /u/signup", "POST /u/signup", "GET /authorize/resume", "POST /oauth/token"),
		flow("auth0-classic/password", "classic login with a password: 8", classic,
			"GET /authorize", "GET /login", "POST /usernamepassword/challenge", "POST /usernamepassword/login", "POST /login/callback",
			"GET /authorize/resume", "POST /oauth/token", "GET /.well-known/openid-configuration"),
		flow("auth0-classic/idp", "classic login at another provider: 8", classic,
			"GET /authorize", "GET /login", "POST /usernamepassword/challenge", "GET /authorize/resume", "GET /login/callback",
			"POST /login/callback", "POST /oauth/token", "GET /.well-known/openid-configuration"),
		flow("auth0-classic/session", "classic login with a session that exists: 2", classic, "GET /authorize", "POST /oauth/token"),
		flow("auth0-classic/signup", "classic sign-up with a password: 8", classic,
			"GET /authorize", "GET /login", "POST /dbconnections/signup", "POST /usernamepassword/challenge", "POST /usernamepassword/login",
			"POST /login/callback", "GET /authorize/resume", "POST /oauth/token"),
		{Name: "auth0/machine", Summary: "a machine's token by client_credentials: 1, which can be cached", Each: false, Source: auth0Source,
			Calls: []Step{{Request: "POST /oauth/token", Cacheable: true}}},
		// Seed report 002: the steps of its load test, without the login that a user
		// makes once. It waits 2 to 5 seconds before the history.
		{Name: "sms/message", Summary: "one message of the SMS system: customer, token, template, send, history", Source: "seed report 002", Each: false,
			Calls: []Step{{Request: "POST /api/customers"}, {Request: "POST /api/tokens"}, {Request: "POST /api/customers/1/templates"},
				{Request: "POST /api/sms/send"}, {Request: "GET /api/sms/history", After: 3500e6}},
			With: []Modifier{{"login", "the administrator logs in for each message: 1 more", calls("POST /api/auth/login")}}},
	}
}

// readyFlow returns a ready flow with modifiers.
func readyFlow(name string, with []string) (Ready, error) {
	all := ReadyFlows()
	i := slices.IndexFunc(all, func(r Ready) bool { return r.Name == name })
	if i < 0 {
		names := make([]string, len(all))
		for j, r := range all {
			names[j] = r.Name
		}
		return Ready{}, fmt.Errorf("no ready flow is called %q; there are %s", name, strings.Join(names, ", "))
	}
	r := all[i]
	for _, w := range with {
		j := slices.IndexFunc(r.With, func(m Modifier) bool { return m.Name == w })
		if j < 0 {
			var names []string
			for _, m := range r.With {
				names = append(names, m.Name)
			}
			if len(names) == 0 {
				return r, fmt.Errorf("%s has no modifiers", name)
			}
			return r, fmt.Errorf("%q does not modify %s; there are %s", w, name, strings.Join(names, ", "))
		}
		last := len(r.Calls) - 1
		r.Calls = slices.Insert(slices.Clone(r.Calls), last, r.With[j].Calls...)
	}
	return r, nil
}
