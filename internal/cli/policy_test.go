package cli

import (
	"strings"
	"testing"
)

func TestSniffPolicy(t *testing.T) {
	cases := map[string]policyFormat{
		"":                                              formatYAML,
		"policies:\n  - limit: 1\n":                     formatYAML,
		"chain: true\npolicies: []\n":                   formatYAML,
		"\ufeff  \n<policies/>":                         formatAPIM,
		"<!-- x -->\n<policies></policies>":             formatAPIM,
		"<fragment></fragment>":                         formatAPIM,
		"domain: x\ndescriptors: []\n":                  formatEnvoy,
		"# x\n\"domain\": y\n":                          formatEnvoy,
		"descriptors:\n  - key: a\n":                    formatEnvoy,
		"policies:\n  - domain: x\ndomain: ":            formatYAML,
		"policies:\n  - descriptor:\n      domain: x\n": formatYAML,
	}
	for text, want := range cases {
		if got := sniffPolicy([]byte(text)); got != want {
			t.Errorf("%q is taken for %s, want %s", text, got, want)
		}
	}
}

// Whatever a file holds, it is read or refused, and what is read can be
// explained and written again.
func FuzzReadPolicy(f *testing.F) {
	for _, seed := range []string{
		"policies:\n  - {limit: 1, window: 1s, key: request.ip}\n", "domain: d\ndescriptors:\n  - key: a\n    rate_limit: {unit: hour, requests_per_unit: 1}\n",
		`<policies><inbound><base /><rate-limit calls="5" renewal-period="60" /></inbound></policies>`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		file, _, err := readPolicy("fuzz", data)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Fatal("an error without words")
			}
			return
		}
		for _, to := range []policyFormat{formatYAML, formatAPIM, formatEnvoy} {
			out, notes, err := writePolicy(file, to)
			if err != nil {
				continue // not everything can be expressed
			}
			if _, _, err := readPolicy("again", append(comments(to, notes), out...)); err != nil {
				t.Fatalf("what was written as %s cannot be read: %v\n%s", to, err, out)
			}
		}
	})
}

func TestWrap(t *testing.T) {
	if got := strings.Join(wrap("a bb ccc dddd", 4), "|"); got != "a bb|ccc|dddd" {
		t.Errorf("wrap = %s", got)
	}
	if got := wrap("", 4); len(got) != 1 || got[0] != "" {
		t.Errorf("wrap of nothing = %q", got)
	}
}
