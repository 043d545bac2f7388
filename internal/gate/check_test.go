package gate_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/gate"
)

const twoPerClient = `policies:
  - {name: per-client, key: request.ip, match: "POST /api/**", limit: 2, window: 1000h, algorithm: fixed-window, answer: ratelimit, tell: ratelimit}
`

// TestCheck replays what proxies send. What Traefik sends is taken from its
// documentation, and what Envoy sends from its interface definitions and sources,
// as neither can be had here.
func TestCheck(t *testing.T) {
	// doc.traefik.io/traefik/v3.3/reference/routing-configuration/http/middlewares/forwardauth,
	// "Forward-Request Headers", read 2026-11-21: always GET, the request's own
	// header fields, and these five.
	traefik := func(client string) (string, string, []string) {
		return "GET", "/check", []string{"Host", "api.example", "X-Forwarded-Method", "POST", "X-Forwarded-Proto", "https",
			"X-Forwarded-Host", "api.example", "X-Forwarded-Uri", "/api/x?a=b", "X-Forwarded-For", client, "User-Agent", "curl"}
	}
	nginx := func(client string) (string, string, []string) {
		method, _, pairs := traefik(client)
		return method, "/check?refuse=403", pairs
	}
	older := func(client string) (string, string, []string) {
		return "GET", "/check", []string{"X-Original-Method", "POST", "X-Original-Uri", "/api/x", "X-Forwarded-For", client}
	}
	// Host, Method, Path, Content-Length and Authorization are "automatically
	// included", others where allowed_headers has them: api/envoy/extensions/filters/
	// http/ext_authz/v3/ext_authz.proto of envoyproxy/envoy, AuthorizationRequest, read
	// 2026-11-22. That the path is path_prefix with the request's own, query included,
	// behind it is in source/extensions/filters/common/ext_authz/ext_authz_http_impl.cc
	// there, RawHttpClientImpl::check.
	envoy := func(client string) (string, string, []string) {
		return "POST", "/check/api/x?a=b", []string{"Host", "api.example", "X-Forwarded-For", client, "X-Forwarded-Uri", "/not/limited", "X-Forwarded-Method", "GET"}
	}
	cases := []struct {
		name    string
		ask     func(client string) (method, target string, pairs []string)
		refusal int
	}{{"traefik", traefik, 429}, {"nginx", nginx, 403}, {"older names", older, 429}, {"envoy", envoy, 429}}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			g := start(t, twoPerClient, nil)
			c := client(t, "")
			base := strings.TrimSuffix(g.check, "/check")
			for i, want := range []int{200, 200, tc.refusal, tc.refusal} {
				method, target, pairs := tc.ask("198.51.100.1")
				status, h, _ := do(t, c, method, base+target, nil, pairs...)
				if status != want || h.Get("RateLimit") == "" || (want != 200) != (h.Get("Retry-After") != "") {
					t.Errorf("request %d: %d, want %d; %v", i, status, want, h)
				}
				if (h.Get("X-Weir-Status") == "429") != (want == 403) {
					t.Errorf("request %d: X-Weir-Status %q", i, h.Get("X-Weir-Status"))
				}
			}
			method, target, pairs := tc.ask("198.51.100.2")
			if status, _, _ := do(t, c, method, base+target, nil, pairs...); status != 200 {
				t.Errorf("another client: %d", status)
			}
			if l := g.lines(5)[2]; l["outcome"] != "refused" || l["path"] != "/api/x" || l["method"] != "POST" || l["client"] != "198.51.100.1" {
				t.Errorf("%v", l)
			}
		})
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
}

// TestCheckRefusesHalfAQuestion holds that a proxy set up wrongly is told so,
// and does not let everything pass.
func TestCheckRefusesHalfAQuestion(t *testing.T) {
	g := start(t, twoPerClient, nil)
	c := client(t, "")
	cases := []struct {
		pairs []string
		says  string
	}{
		{nil, "X-Forwarded-Method and X-Forwarded-Uri are missing"},
		{[]string{"X-Forwarded-Method", "GET"}, "X-Forwarded-Uri are missing"},
		{[]string{"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/a"}, "X-Forwarded-For is missing"},
		{[]string{"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "nonsense", "X-Forwarded-For", "192.0.2.1"}, "not the target"},
		{[]string{"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/%zz", "X-Forwarded-For", "192.0.2.1"}, "not the target"},
	}
	for _, tc := range cases {
		status, _, body := get(t, c, g.check, tc.pairs...)
		if status != 400 || !strings.Contains(body, tc.says) {
			t.Errorf("%v: %d %q", tc.pairs, status, body)
		}
	}
	if status, _, _ := get(t, c, strings.TrimSuffix(g.check, "check")+"elsewhere"); status != 400 {
		t.Errorf("/elsewhere: %d", status)
	}
}

// TestCheckBehindProxies holds whom /check takes for the client, with a trusted
// proxy before the one that asks.
func TestCheckBehindProxies(t *testing.T) {
	g := start(t, twoPerClient, func(o *gate.Options) { o.Trust, _ = gate.ParseTrust([]string{"10.0.0.0/8"}) })
	c := client(t, "")
	cases := []struct {
		forwarded []string
		client    string
	}{
		{[]string{"198.51.100.9"}, "198.51.100.9"},
		{[]string{"198.51.100.9, 10.1.1.1"}, "198.51.100.9"},
		{[]string{"198.51.100.9", "10.1.1.1"}, "198.51.100.9"},
		{[]string{"203.0.113.1, 198.51.100.9, 10.1.1.1"}, "198.51.100.9"},
		{[]string{"198.51.100.9, 203.0.113.7"}, "203.0.113.7"}, // not trusted: what is left of it is a claim
		{[]string{"unknown, 10.1.1.1"}, "10.1.1.1"},
	}
	for i, tc := range cases {
		pairs := []string{"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/"}
		for _, f := range tc.forwarded {
			pairs = append(pairs, "X-Forwarded-For", f)
		}
		get(t, c, g.check, pairs...)
		if got := g.lines(i + 1)[i]["client"]; got != tc.client {
			t.Errorf("%q: client %v, want %s", tc.forwarded, got, tc.client)
		}
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
}

func TestUnkept(t *testing.T) {
	f := parse(t, "policies:\n  - {name: a, limit: 1, window: 1s}\n  - {name: b, algorithm: concurrency, limit: 1}\n")
	if list := gate.Unkept(f); len(list) != 1 || list[0].Name != "b" {
		t.Errorf("%v", list)
	}
}

// TestOtherProxies starts the proxies with the configurations of docs/gate.md.
func TestOtherProxies(t *testing.T) {
	if testing.Short() {
		t.Skip("starts other programs, and runs without -short")
	}
	guide, err := os.ReadFile("../../docs/gate.md")
	if err != nil {
		t.Fatal(err)
	}
	var seen atomic.Int32
	api := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen.Add(1)
		if r.URL.Path == "/api/forbidden" {
			w.WriteHeader(403)
		}
		fmt.Fprintf(w, "api %s", b)
	})
	cases := []struct {
		name, language string
		told           bool // allowed answers tell the figures, too
		command        func(t *testing.T, dir, config string) *exec.Cmd
	}{
		{"nginx", "nginx", true, func(t *testing.T, dir, config string) *exec.Cmd {
			conf := filepath.Join(dir, "nginx.conf")
			writeFile(t, conf, fmt.Sprintf(`master_process off; daemon off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 64; }
http {
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  access_log off;
%[2]s
}`, dir, config))
			return exec.Command(program(t, "nginx"), "-p", dir, "-c", conf)
		}},
		{"caddy", "caddyfile", false, func(t *testing.T, dir, config string) *exec.Cmd {
			conf := filepath.Join(dir, "Caddyfile")
			writeFile(t, conf, "{\n\tadmin off\n}\n"+config)
			cmd := exec.Command(program(t, "caddy"), "run", "--config", conf, "--adapter", "caddyfile")
			cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
			return cmd
		}},
	}
	ran := 0
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			g := start(t, twoPerClient, nil)
			free := listen(t)
			at := free.Addr().String()
			free.Close()
			config := fenced(t, string(guide), tc.language)
			for was, is := range map[string]string{"127.0.0.1:8080": at, "127.0.0.1:9000": strings.TrimSuffix(strings.TrimPrefix(g.check, "http://"), "/check"), "127.0.0.1:3000": strings.TrimPrefix(api, "http://")} {
				if !strings.Contains(config, was) {
					t.Fatalf("the configuration has no %s", was)
				}
				config = strings.ReplaceAll(config, was, is)
			}
			dir := t.TempDir()
			cmd := tc.command(t, dir, config)
			var out syncBuffer
			cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, time.Second
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
			c := client(t, "")
			eventually(t, tc.name+" answers", func() bool {
				res, err := c.Get("http://" + at + "/ping")
				if err == nil {
					res.Body.Close()
				}
				return err == nil
			})
			seen.Store(0)
			for i, want := range []int{200, 403, 429, 429} {
				path := "/api/x?secret=1"
				if i == 1 {
					path = "/api/forbidden" // the API's own 403 stays what it is
				}
				// A client that says it is somebody else is not believed.
				status, h, body := do(t, c, "POST", "http://"+at+path, strings.NewReader("hello"),
					"X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i), "X-Forwarded-Uri", "/not/limited", "X-Forwarded-Method", "GET")
				if status != want {
					t.Fatalf("request %d: %d, want %d: %s\n%s", i, status, want, body, out.String())
				}
				if want != 429 && body != "api hello" {
					t.Errorf("request %d: %q", i, body)
				}
				if want == 200 && (h.Get("RateLimit") != "") != tc.told {
					t.Errorf("request %d: RateLimit %q", i, h.Get("RateLimit"))
				}
				if want == 429 && (h.Get("Retry-After") == "" || !strings.Contains(h.Get("RateLimit"), "r=0") || h.Get("RateLimit-Policy") == "") {
					t.Errorf("request %d: %v", i, h)
				}
			}
			if seen.Load() != 2 {
				t.Errorf("the API saw %d requests, want 2", seen.Load())
			}
			if status, _, _ := get(t, c, "http://"+at+"/else"); status != 200 {
				t.Errorf("a path without a limit: %d", status)
			}
			ran++
		})
	}
	if ran == 0 && os.Getenv("CI") != "" {
		t.Fatal("no proxy was tested")
	}
}

// fenced returns the block of a guide in a language.
func fenced(t *testing.T, text, language string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "```"+language+"\n")
	block, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatalf("the guide has no block in %s", language)
	}
	return block
}

// program finds one that this test needs, or skips; under CI it must be there.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name, "/usr/bin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("skipped: %s is not installed", name)
	return ""
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
