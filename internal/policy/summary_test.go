package policy

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	descriptor := func(mode, entries string) string {
		return "{algorithm: fixed-window, limit: 1, window: 1m, descriptor: {domain: d, entries: [" + entries + "]" + mode + "}}"
	}
	cases := map[string]string{
		`{limit: 3, window: 10m, algorithm: fixed-window, key: request.ip}`:                          "3 in 10m (fixed-window) for each request.ip; over it 429",
		`{limit: 3, window: 24h, burst: 2, key: 'request.ip + "/" + request.path'}`:                  `3 in 1 day (token-bucket, burst 2) for each (request.ip + "/" + request.path); over it 429`,
		`{limit: 3, algorithm: concurrency, match: [GET /a, /b], api: x, shadow: true}`:              "3 at once (concurrency) for all together, on GET /a, or /b, of the API x; in shadow: counted, never refused",
		`{limit: 3, algorithm: quota, period: month, when: request.ip != "", answer: {status: 503}}`: `3 a month (quota) for all together, when request.ip != ""; over it 503`,
		descriptor("", "{key: a}, {key: b, value: c}, {key: e, value: f*}"):                          "1 in 1m (fixed-window) for each a and e; for Envoy's service only",
		descriptor("", "{key: a, value: f*, share: true}"):                                           "1 in 1m (fixed-window) for all together; for Envoy's service only",
		descriptor("", "{key: a, value: f}"):                                                         "1 in 1m (fixed-window) for all together; for Envoy's service only",
		descriptor(", mode: unlimited", "{key: a}"):                                                  "any number; for Envoy's service only",
		descriptor(", mode: exempt", "{key: a}"):                                                     "no limit here; for Envoy's service only",
		descriptor(", mode: refuse", "{key: a}"):                                                     "none passes; for Envoy's service only",
	}
	for text, want := range cases {
		if got := parse(t, "policies:\n  - "+text+"\n").Policies[0].Summary(); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
}

// TestExplainDescriptors holds which requests of Envoy's service are said to
// share a count, and that what does not limit shows no limit.
func TestExplainDescriptors(t *testing.T) {
	cases := []struct{ entries, want string }{
		{"{key: a}", "requests with the same a"},
		{"{key: a, value: x}, {key: b}", "requests with the same b"},
		{"{key: a, value: x*}, {key: b}", "requests with the same a and b"},
		{"{key: a, value: x*, share: true}", "all of these requests: one count"},
		{"{key: a, value: x*, share: true}, {key: b}", "requests with the same b"},
		{"{key: a, value: x}", "all of these requests: one count"},
	}
	for _, c := range cases {
		_, got := facts(t, "policies:\n  - {algorithm: fixed-window, limit: 1, window: 1m, descriptor: {domain: d, entries: ["+c.entries+"]}}\n")
		if got["counts together"] != c.want {
			t.Errorf("%s: %q, want %q", c.entries, got["counts together"], c.want)
		}
	}
	for _, mode := range descriptorModes() {
		e, got := facts(t, "policies:\n  - {algorithm: fixed-window, limit: 1, window: 1m, descriptor: {domain: d, entries: [{key: a}], mode: "+string(mode)+"}}\n")
		if e.Mode != string(mode) || got["counts together"] != "" || !strings.Contains(got["limits"], "thing") {
			t.Errorf("%s: %+v", mode, e)
		}
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
}
