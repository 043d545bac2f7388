package envoy_test

import (
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/policy/envoy"
)

// A file as people apply it to a cluster: manifests, two configurations and
// another entry in the ConfigMap.
const manifests = `apiVersion: v1
kind: ConfigMap
metadata:
  name: limits
data:
  config.yaml: |
    domain: shop

    # the front page
    descriptors:
    - key: PATH
      value: /
      rate_limit: {unit: minute, requests_per_unit: 3}
  notes.txt: |
    domain: is a word here
  admin.yaml: |-   # the second
      domain: admin
      descriptors:
        - key: remote_address
          rate_limit:
            unit: hour
            requests_per_unit: 9
---
apiVersion: v1
kind: Service
metadata: {name: ratelimit}
spec: {ports: [{port: 8081}]}
`

func TestConfigMap(t *testing.T) {
	for name, text := range map[string]string{
		"plain": manifests, "windows": "\ufeff" + strings.ReplaceAll(manifests, "\n", "\r\n"),
		"the service first": "apiVersion: v1\nkind: Service\n---\n" + manifests,
	} {
		if !envoy.InConfigMap([]byte(text)) {
			t.Errorf("%s: not recognised", name)
		}
		f, err := envoy.Parse("all.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(f.Policies) != 2 || f.Policies[0].Name != "shop.PATH_/" || f.Policies[1].Name != "admin.remote_address" {
			t.Errorf("%s: got %+v", name, f.Policies)
		}
	}
	_, err := envoy.Parse("all.yaml", []byte(strings.Replace(manifests, "unit: hour", "unit: our", 1)))
	want := "all.yaml:21:13: descriptors[0].rate_limit.unit: \"our\" is no unit"
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "\n   21 |             unit: our\n      |             ^") {
		t.Errorf("got %v, want %s and the line", err, want)
	}
}

func TestNoConfigMap(t *testing.T) {
	for _, text := range []string{
		"", "kind: ConfigMap", "domain: a\ndescriptors: []", "kind: ConfigMap\ndata:\n  x: |\n    domain: a\n",
		"kind: Secret\ndata:\n  x: |\n    domain: a\n    descriptors: []\n", "kind: ConfigMap\ndata:\n  x: |\n\n\n",
		"policies:\n  - name: |\n      kind: ConfigMap\n",
	} {
		if envoy.InConfigMap([]byte(text)) {
			t.Errorf("%q is taken for a ConfigMap with a configuration", text)
		}
	}
}

// FuzzConfigMap: whatever is around it, reading ends, and with a reason.
func FuzzConfigMap(f *testing.F) {
	f.Add(manifests)
	f.Add("kind: ConfigMap\ndata:\n  x: |\n\tdomain: a\n   descriptors: \n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := envoy.Parse("x.yaml", []byte(text))
		if (file == nil) == (err == nil) {
			t.Errorf("file %v, error %v", file, err)
		}
	})
}
