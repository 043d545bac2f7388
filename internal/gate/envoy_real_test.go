package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/gate/rls"
	"github.com/weir-dev/weir/internal/policy/envoy"
)

// TestRealEnvoy puts the configurations of docs/envoy.md and docs/gate.md into an
// Envoy: its questions come over gRPC and over HTTP.
func TestRealEnvoy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts another program, and runs without -short")
	}
	bin := realEnvoy(t)
	api := upstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "api") })

	t.Run("rate limit service", func(t *testing.T) {
		f, err := envoy.Parse("edge.yaml", []byte("domain: edge\ndescriptors: [{key: remote_address, rate_limit: {unit: year, requests_per_unit: 5}}]"))
		if err != nil {
			t.Fatal(err)
		}
		service, err := rls.New(f, rls.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l := listen(t)
		served := make(chan error, 1)
		go func() { served <- service.Serve(l) }()
		down := sync.OnceFunc(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if err := service.Shutdown(ctx); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
			service.Close()
		})
		t.Cleanup(down)
		config := strings.Replace(envoyBlock(t, "../../docs/envoy.md", "port_value: 9281", l.Addr().String()), "timeout: 0.05s", "timeout: 10s", 1)
		at := startEnvoy(t, bin, config, `, rate_limits: [{ actions: [{ remote_address: {} }] }]`, api)
		c := client(t, "")
		for i, want := range []string{"200 4", "200 3", "200 2", "200 1", "200 0", "429 0", "429 0"} {
			status, h, _ := get(t, c, at+"/x")
			if got := fmt.Sprint(status, " ", h.Get("X-Ratelimit-Remaining")); got != want || !strings.HasPrefix(h.Get("X-Ratelimit-Limit"), "5") {
				t.Errorf("request %d: %s and %v, want %s", i, got, h, want)
			}
		}
		down()
		eventually(t, "Envoy lets requests pass without the service", func() bool {
			status, _, body := get(t, c, at+"/x")
			return status == 200 && body == "api"
		})
	})

	t.Run("ext_authz", func(t *testing.T) {
		g := start(t, `policies:
  - {name: key, key: 'request.header["X-Api-Key"]', algorithm: fixed-window, limit: 2, window: 168h, tell: ratelimit, answer: ratelimit}
  - {name: pay, match: "POST /pay/**", key: request.ip, algorithm: fixed-window, limit: 1, window: 168h, tell: ratelimit, answer: ratelimit}
`, nil)
		address := strings.TrimSuffix(strings.TrimPrefix(g.check, "http://"), "/check")
		config := strings.Replace(envoyBlock(t, "../../docs/gate.md", "port_value: 9000", address), "timeout: 0.1s", "timeout: 10s", 1)
		at := startEnvoy(t, bin, config, "", api)
		c := client(t, "")
		ask := func(method, path, key string, pairs ...string) (int, http.Header) {
			status, h, _ := do(t, c, method, at+path, strings.NewReader("hello"), append(pairs, "X-Api-Key", key)...)
			return status, h
		}
		for i, want := range []int{200, 200, 429} {
			status, h := ask("GET", "/x?y=1", "one")
			if status != want || !strings.Contains(h.Get("RateLimit"), "r=") || (h.Get("Retry-After") != "") != (want == 429) {
				t.Errorf("request %d: %d %v, want %d", i, status, h, want)
			}
		}
		// A client that says it is somebody else is not believed.
		for i, want := range []int{200, 429, 429} {
			status, h := ask("POST", "/pay/now", fmt.Sprint("payer", i), "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
			if status != want {
				t.Errorf("payment %d: %d %v, want %d", i, status, h, want)
			}
		}
		if status, _ := ask("GET", "/pay/now", "two"); status != 200 {
			t.Errorf("another method: %d", status)
		}
		g.stop()
		if status, _ := ask("GET", "/x", "three"); status != 403 {
			t.Errorf("without the gate: %d, want 403", status)
		}
	})
}

// realEnvoy returns an Envoy to run.
func realEnvoy(t *testing.T) string {
	t.Helper()
	if bin, err := exec.LookPath("envoy"); err == nil {
		return bin
	}
	bin, err := filepath.Abs("../../.cache/envoy/envoy/_bin/envoy")
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("envoy is not installed; .ci/setup does it")
		}
		t.Skip("skipped: envoy is not installed; .ci/setup does it")
	}
	return bin
}

// envoyBlock returns the http_filters and clusters of a guide, with another port.
func envoyBlock(t *testing.T, guide, was, address string) string {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "```yaml\nhttp_filters:\n")
	block, _, closed := strings.Cut(block, "```")
	if !ok || !closed || strings.Count(block, was) != 1 || strings.Count(block, "\nclusters:\n") != 1 {
		t.Fatalf("%s has no http_filters and clusters with %s", guide, was)
	}
	return strings.Replace(block, was, "port_value: "+address[strings.LastIndexByte(address, ':')+1:], 1)
}

// startEnvoy runs an Envoy with the filters and clusters of a guide in front of an
// API, and returns its address. It listens at ports of its own choice.
func startEnvoy(t *testing.T, bin, block, route, api string) string {
	t.Helper()
	filters, clusters, _ := strings.Cut(block, "clusters:\n")
	indent := func(text, by string) string {
		return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  listeners:
  - name: front
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          use_remote_address: true
          route_config:
            virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: api%s } }] }]
          http_filters:
%s
            - name: envoy.filters.http.router
              typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
%s
    - name: api
      type: STATIC
      load_assignment:
        cluster_name: api
        endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: %s } } } }] }]
`, route, indent(filters, "          "), indent(clusters, "  "), api[strings.LastIndexByte(api, ':')+1:])
	writeFile(t, filepath.Join(dir, "envoy.yaml"), config)
	cmd := exec.Command(bin, "-c", filepath.Join(dir, "envoy.yaml"), "--admin-address-path", filepath.Join(dir, "admin"),
		"--concurrency", "1", "--use-dynamic-base-id", "-l", "warn")
	var out syncBuffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { cmd.Wait(); close(gone) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-gone })
	c := client(t, "")
	var front string
	for end := time.Now().Add(time.Minute); front == "" && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case <-gone:
			t.Fatalf("Envoy ended:\n%s\n%s", out.String(), config)
		default:
		}
		admin, err := os.ReadFile(filepath.Join(dir, "admin"))
		if err != nil || len(bytes.TrimSpace(admin)) == 0 {
			continue
		}
		res, err := c.Get("http://" + string(bytes.TrimSpace(admin)) + "/listeners?format=json")
		if err != nil {
			continue
		}
		var list struct {
			Listeners []struct {
				Local struct {
					Socket struct {
						Port int `json:"port_value"`
					} `json:"socket_address"`
				} `json:"local_address"`
			} `json:"listener_statuses"`
		}
		if json.NewDecoder(res.Body).Decode(&list) == nil && len(list.Listeners) == 1 && list.Listeners[0].Local.Socket.Port != 0 {
			front = fmt.Sprintf("http://127.0.0.1:%d", list.Listeners[0].Local.Socket.Port)
		}
		res.Body.Close()
	}
	if front == "" {
		t.Fatalf("Envoy does not listen:\n%s", out.String())
	}
	return front
}
