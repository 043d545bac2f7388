package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weir-dev/weir/internal/policy"
)

// TestProbeRealLimiters holds that what weir probe says as a fact of limiters
// which nobody here wrote is so, and that the truth is among what it leaves
// open. A busy machine may leave more open. More limiters are in bench/probe/real.
func TestProbeRealLimiters(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s of real time and runs without -short")
	}
	need := func(t *testing.T, ok bool, what string) {
		t.Helper()
		if ok {
			return
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed: .ci/setup installs it", what)
		}
		t.Skipf("skipped: %s is not installed", what)
	}
	nginx := func(rate, args string) func(t *testing.T) string {
		return func(t *testing.T) string {
			_, err := exec.LookPath("nginx")
			need(t, err == nil, "nginx")
			return startReal(t, realServer{name: "nginx", command: func(t *testing.T, dir string, port int) *exec.Cmd {
				write(t, filepath.Join(dir, "page"), "hello\n")
				write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`master_process off; daemon off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http {
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  access_log off; limit_req_zone $binary_remote_addr zone=one:1m rate=%[3]s; limit_req_status 429;
  server { listen 127.0.0.1:%[2]d; location / { limit_req zone=one %[4]s; root %[1]s; index page; } }
}`, dir, port, rate, args))
				return exec.Command("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
			}}, t.TempDir())
		}
	}
	express := func(t *testing.T) string {
		modules, err := filepath.Abs("../../.cache/limiters/node_modules")
		if err != nil {
			t.Fatal(err)
		}
		_, err = exec.LookPath("node")
		need(t, err == nil, "node")
		_, err = os.Stat(filepath.Join(modules, "express-rate-limit"))
		need(t, err == nil, "express-rate-limit")
		return startReal(t, realServer{name: "express", command: func(t *testing.T, dir string, port int) *exec.Cmd {
			write(t, filepath.Join(dir, "server.js"), `
const { rateLimit } = require('express-rate-limit');
const app = require('express')();
app.use(rateLimit({ windowMs: 1000, limit: 7 }));
app.get('/', (req, res) => res.send('ok'));
app.listen(Number(process.argv[2]), '127.0.0.1');`)
			cmd := exec.Command("node", filepath.Join(dir, "server.js"), fmt.Sprint(port))
			cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
			return cmd
		}}, t.TempDir())
	}
	var sure atomic.Int32
	t.Run("each", func(t *testing.T) {
		for _, c := range []struct {
			name, family, policy string
			start                func(t *testing.T) string
		}{
			{"nginx nodelay", "token bucket", "10/1s burst 21 token-bucket", nginx("10r/s", "burst=20 nodelay")},
			{"nginx queue", "leaky bucket with a queue", "5/1s burst 12 leaky-bucket", nginx("5r/s", "burst=12")},
			{"express", "fixed window from the first request", "7/1s fixed-window align first-request", express},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				v := probed(t, c.start(t))
				if v.Sure {
					sure.Add(1)
					if v.Family != c.family || v.policy != c.policy {
						t.Errorf("it says for certain: %s, %s", v.Family, v.policy)
					}
					return
				}
				t.Logf("not sure: %s, %s", v.Family, v.policy)
				for _, a := range v.Alternatives {
					if a.Family == c.family {
						return
					}
				}
				if v.Family != c.family {
					t.Errorf("undecided between %s and %+v", v.Family, v.Alternatives)
				}
			})
		}
	})
	if sure.Load() == 0 && os.Getenv("CI") != "" {
		t.Error("it was sure of none of them")
	}
}

// probedVerdict is what is compared of a verdict.
type probedVerdict struct {
	Family       string
	Sure         bool
	Alternatives []struct{ Family string }
	policy       string
}

// probed runs weir probe in-process.
func probed(t *testing.T, url string) *probedVerdict {
	t.Helper()
	out, file := filepath.Join(t.TempDir(), "verdict.json"), filepath.Join(t.TempDir(), "found.limit.yaml")
	var stdout, stderr bytes.Buffer
	args := []string{"probe", url + "/", "--json", out, "--out", file, "--journal", filepath.Join(t.TempDir(), "probe.journal"), "--quiet", "--max-time", "11s", "--max-requests", "600"}
	if code := Main(args, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, stdout.String(), stderr.String())
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	v := &probedVerdict{}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(file); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	f, err := policy.Parse(file, data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	var all []string
	for _, p := range f.Policies {
		p.Name = ""
		all = append(all, p.Policy.String())
	}
	v.policy = strings.Join(all, " and ")
	return v
}
