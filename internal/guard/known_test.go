package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
)

func TestKnownFill(t *testing.T) {
	both := guard.Known{API: "echo", KeyHeader: "ocp-apim-subscription-key", KeyQuery: guard.KeyQuery}
	cases := []struct {
		known         guard.Known
		header, query string
		want          string
	}{
		{both, "h", "subscription-key=q", "h h echo"},
		{both, "", "a=b&subscription-key=q%2B", "q+ q+ echo"},
		{both, "", "", "  echo"},
		{guard.Known{KeyQuery: "k"}, "h", "subscription-key=q", "  "},
		{guard.Known{}, "h", "subscription-key=q", "  "},
	}
	for _, c := range cases {
		s := &expr.Subject{Header: expr.Fields{}, RawQuery: c.query}
		if c.header != "" {
			s.Header[guard.KeyHeader] = []string{c.header}
		}
		c.known.Fill(s)
		if got := s.Subscription.ID + " " + s.Subscription.Key + " " + s.API.Name; got != c.want || s.API.ID != c.known.API {
			t.Errorf("%+v %q %q: %q, want %q", c.known, c.header, c.query, got, c.want)
		}
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
}

// TestKnownUnknown holds that a policy which can never apply, or reads what is
// always empty, is found, and no other.
func TestKnownUnknown(t *testing.T) {
	keys := guard.Known{KeyHeader: guard.KeyHeader}
	echo := guard.Known{API: "echo", Product: "gold", KeyHeader: guard.KeyHeader}
	cases := []struct {
		known  guard.Known
		policy string
		want   string
	}{
		{keys, `{key: subscription.id, when: 'subscription.id != ""'}`, ""},
		{guard.Known{}, `{key: subscription.id, when: 'subscription.id != ""'}`, "subscription.id false"}, // a subscription may be given there
		{keys, `{api: echo}`, "api.id true"},
		{echo, `{api: [other, echo], product: gold}`, ""},
		{echo, `{api: other}`, "api.id true"},
		{echo, `{api: echo, operation: get}`, "operation.id true"},
		{keys, `{when: 'subscription.id != "" && api.name == "echo"'}`, "api.name true"},
		{echo, `{when: 'subscription.id != "" && api.name == "echo"'}`, ""},
		{keys, `{when: 'api.name == "echo" || request.path == "/"'}`, "api.name false"},
		{keys, `{key: user.id + subscription.name}`, "subscription.name,user.id false"},
		{keys, `{cost: 'attr["x"] == "" ? 1 : 2'}`, "attr false"},
		{keys, `{count-if: 'product.id == "" && response.status == 200'}`, "product.id false"},
		{keys, `{key: request.ip, when: 'request.path != "/"'}`, ""},
		{keys, `{algorithm: fixed-window, descriptor: {domain: d, entries: [{key: a}]}}`, ""},
	}
	for _, c := range cases {
		f, err := policy.Parse("t", []byte("policies:\n  - "+strings.Replace(c.policy, "{", "{name: p, limit: 1, window: 1m, ", 1)+"\n"))
		if err != nil {
			t.Fatalf("%s: %v", c.policy, err)
		}
		got := ""
		for _, u := range c.known.Unknown(f) {
			got += fmt.Sprint(strings.Join(u.What, ","), " ", u.Never)
		}
		if got != c.want {
			t.Errorf("%+v %s: %q, want %q", c.known, c.policy, got, c.want)
		}
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
}
