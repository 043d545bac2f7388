package convert

import (
	"errors"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/script"
)

// TestErrors holds that what is wrong with a source is told with its place.
func TestErrors(t *testing.T) {
	rows := []struct{ name, src, want string }{
		{"empty", " \n", "f: it is empty"},
		{"something else", "hello: world\n", "f: it is neither a curl command line"},
		{"k6", "import http from 'k6/http';\nexport default function () { http.get('http://a.test') }\n", "f: it is a k6 script, which is not converted: record its requests as HAR"},
		{"k6 of an extension", "import { check } from \"k6\";\n", "f: it is a k6 script"},
		{"JMeter", "<?xml version=\"1.0\"?>\n<jmeterTestPlan version=\"1.2\"><hashTree/></jmeterTestPlan>\n", "f: it is a JMeter test plan"},
		{"Artillery", "config:\n  target: http://a.test\nscenarios:\n  - flow:\n      - get: {url: /}\n", "f: it is an Artillery script"},
		{"Artillery in JSON", "{\"config\": {},\n \"scenarios\": []}", "f: it is an Artillery script"},
		{"Gatling", "import io.gatling.core.Predef._\nclass A extends Simulation {}\n", "f: it is a Gatling simulation"},
		{"Locust", "from locust import HttpUser\n", "f: it is a locustfile, which is not converted: it runs as it is"},
		{"JSON that ends", "{\"log\": {\"entries\": [\n", "f:2:1: this is not JSON: it ends too early"},
		{"JSON with an error", "{\"log\":\n  {\"entries\": [tru]}}", "f:2:19: this is not JSON"},
		{"JSON with more", "{\"log\": {\"entries\": []}} x", "f:1:26: this is not JSON"},
		{"no entries", `{"log": {"entries": []}}`, "f: there is no request in it"},
		{"entry without a request", "{\"log\": {\"entries\": [\n  {}]}}", "f:2:3: this entry has no request"},
		{"entries of another kind", `{"log": {"entries": {}}}`, "f:1:9: log.entries is no list"},
		{"URL without a host", "{\"log\": {\"entries\": [{\"request\": {\"method\": \"GET\",\n \"url\": \"http:///x\"}}]}}", "f:2:9: the URL names no host"},
		{"shell quote", "curl 'https://a.test", "f:1:6: the shell could not read this"},
		{"no curl", "#!/bin/sh\nwget x\n", "f: it is neither"},
		{"curl without URL", "curl \\\n -d x", "f:2:2: this curl command has no URL"},
		{"curl flag without value", "curl a.test -H", "f:1:13: curl's flag --header wants a value"},
		{"ftp", "curl ftp://a.test/x", "f:1:6: ftp:// is no HTTP"},
		{"bad max-time", "curl a.test -m soon", "f:1:13: --max-time wants seconds"},
		{"method", "curl a.test -X 'A B'", "f:1:6: the request method is no word"},
		{"swagger", "swagger: \"2.0\"\npaths: {}\n", "f:1:10: this is OpenAPI 2"},
		{"openapi 4", "openapi: 4.0.0\npaths: {}\n", "f:1:10: openapi: 3.x is read, not \"4.0.0\""},
		{"no paths", "openapi: 3.0.0\n", "there are no paths"},
		{"YAML", "openapi: 3.0.0\npaths: [\n", "this is not YAML"},
		{"path without /", "openapi: 3.0.0\npaths:\n  a: {}\n", "f:3:6: the path \"a\" does not begin with /"},
		{"path parameter", "openapi: 3.0.0\npaths:\n  /a/{b}:\n    get: {summary: x}\n", "f:4:10: the path /a/{b} has a parameter that is not described"},
		{"parameter place", "openapi: 3.0.0\npaths:\n  /a:\n    get:\n      parameters:\n        - {name: x, in: body, required: true}\n", "the parameter x is in \"body\""},
		{"server", "openapi: 3.0.0\nservers: [{url: ftp://a}]\npaths: {}\n", "f:2:17: the URL of the server"},
		{"alias", "openapi: *x\n", "no anchor is called &x"},
		{"postman 1", `{"info": {"schema": "https://x/v1.0.0/"}, "item": []}`, "f:1:21: this is not version 2"},
		{"postman item", `{"info": {}, "item": [{"name": "x"}]}`, "f:1:23: this item is neither"},
		{"postman without URL", `{"info": {}, "item": [{"request": {"url": ""}}]}`, "f:1:43: this request has no URL"},
		{"deep", strings.Repeat(`[`, 300), "more than 200 levels"},
	}
	if len(rows) < 25 {
		t.Fatalf("only %d rows", len(rows))
	}
	for _, c := range rows {
		_, err := Convert([]byte(c.src), Options{Name: "f"})
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// FuzzConvert holds that no source ends the program, and that what is made of
// it loads.
func FuzzConvert(f *testing.F) {
	const hidden = "S3CR3T-VALUE-9"
	seeds := []string{shopHAR, petYAML, shopPostman, "curl -L https://a.test/x -H 'Authorization: Bearer " + hidden + "' -d '{\"password\": \"" + hidden + "\"}' -F a=@b -b sid=" + hidden + "/" + hidden,
		"curl https://u:" + hidden + "@a.test/" + hidden + "?api_key=" + hidden + " -d 'token=" + hidden + "&x=" + hidden + "%20'", "curl http://hunter22 -u :hunter22", "curl $'a.test\\x01\\u00e9\\ue0f0' \"$A ${B:-c}\" $(x)",
		`{"openapi": "3.0.0", "paths": {"/a": {"get": {"parameters": [{"name": "q", "in": "query", "example": {"a": [1]}}]}}}}`}
	for _, s := range seeds {
		if s == "" {
			f.Fatal("an empty seed")
		}
		f.Add([]byte(s), uint8(0))
	}
	f.Add([]byte("curl a.test -H 'Cookie: a=b'"), uint8(1))
	f.Add([]byte(`{"log": {"entries": [{"request": {"method": "GET", "url": "http://a.test/%zz?a=%"}}]}}`), uint8(2))
	f.Add([]byte("openapi: 3.1.0\npaths: {/a: {get: {requestBody: {content: {a/b: {schema: {type: string}}}}}}}\n"), uint8(3))
	f.Add([]byte(`{"info": {}, "item": [{"name": "", "request": "http://{{a}}.test/:b?{{c}}"}]}`), uint8(4))
	const path = "made.star"
	f.Fuzz(func(t *testing.T, src []byte, kind uint8) {
		if len(src) > 1<<16 {
			return
		}
		r, err := Convert(src, Options{Kind: []Kind{Auto, Curl, HAR, OpenAPI, Postman}[kind%5]})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("the error %v is no *Error", err)
			}
			return
		}
		if strings.ContainsRune(string(r.Star), markOpen) || strings.ContainsRune(string(r.Star), markClose) {
			t.Fatalf("a mark is left in\n%s", r.Star)
		}
		_, err = script.Load(path, script.Options{
			Getenv: func(name string) (string, bool) { return "http://value.test", name != "HOST" },
			ReadFile: func(name string) ([]byte, error) {
				if name == path {
					return r.Star, nil
				}
				return []byte("content"), nil
			},
		})
		// A path of a file may be one that read_file does not take, and a host may be made of values.
		if err != nil && !strings.Contains(err.Error(), "read_file") && !strings.Contains(err.Error(), "host") {
			t.Fatalf("Load: %v\n%s", err, r.Star)
		}
	})
}

// TestSecretEverywhere holds that a secret which the source names once is
// hidden wherever it comes again, in any of its spellings.
func TestSecretEverywhere(t *testing.T) {
	const hidden = `S3 "CR3T"/9+`
	const coded = `S3+%22CR3T%22%2F9%2B`
	sources := []string{
		`curl https://a.test/x -u 'u:` + hidden + `' -d 'x=` + coded + `&y=z` + coded + `' -H 'X-Other: q` + hidden + `' -A 'a ` + hidden + `'`,
		`curl https://a.test/x -u 'u:` + hidden + `' --json '{"a": "S3 \"CR3T\"/9+", "a": "b S3 \"CR3T\"/9+"}'`,
		`{"log": {"entries": [{"request": {"method": "POST", "url": "https://a.test/S3%20%22CR3T%22%2F9+/b", "headers": [{"name": "X-Token", "value": "S3 \"CR3T\"/9+"}],
			"postData": {"mimeType": "text/plain", "text": "<S3 \"CR3T\"/9+>"}}}]}}`,
		`{"info": {"name": "n"}, "item": [{"name": "S3 \"CR3T\"/9+", "request": {"method": "POST", "url": "https://a.test/?p=1", "auth": {"type": "basic", "basic": {"username": "u", "password": "S3 \"CR3T\"/9+"}},
			"body": {"mode": "raw", "raw": "S3 \"CR3T\"/9+"}}}]}`,
	}
	checked := 0
	for _, src := range sources {
		r, err := Convert([]byte(src), Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		checked++
		if strings.Contains(string(r.Star)+strings.Join(r.Notes, "\n"), "CR3T") {
			t.Errorf("the secret is in\n%s", r.Star)
		}
		play(t, r, r.Steps, nil, map[string]string{"PASSWORD": hidden, "X_TOKEN": hidden})
	}
	if checked != 4 {
		t.Errorf("checked %d sources, want 4", checked)
	}
}
