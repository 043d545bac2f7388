package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// TestProbeRealLimiters holds that what weir probe says as a fact of limiters
// which nobody here wrote is so, on a busy machine too, and that on a calm one it
// thinks of the truth. More limiters are in bench/probe/real.
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
	named, calm := atomic.Int32{}, atomic.Int32{}
	t.Run("each", func(t *testing.T) {
		for _, c := range []struct {
			name, family string
			capacity     int64
			rate         float64 // a second
			start        func(t *testing.T) string
		}{
			{"nginx nodelay", "token bucket", 21, 10, nginx("10r/s", "burst=20 nodelay")},
			{"nginx queue", "leaky bucket with a queue", 13, 5, nginx("5r/s", "burst=12")},
			{"express", "fixed window from the first request", 7, 7, express},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				url := c.start(t)
				stall := stalls(t)
				v := probed(t, url)
				held := stall()
				t.Logf("sure: %v, %s, %v; alternatives %v; the machine stood still for %v at most", v.Sure, v.Family, v.policies, v.Alternatives, held)
				if held < 20*time.Millisecond {
					calm.Add(1)
				}
				if v.Family == c.family || slices.ContainsFunc(v.Alternatives, func(a struct{ Family string }) bool { return a.Family == c.family }) {
					named.Add(1)
				}
				if v.Sure {
					checkCertain(t, v, c.family, c.capacity, c.rate)
				}
			})
		}
	})
	// What a machine that stood still leaves of the times may be too little to go by.
	if named.Load() == 0 && calm.Load() == 3 {
		t.Error("it thought of the right family for none of them")
	}
}

// checkCertain holds what was said for certain against what is true: the family, and
// figures within 2 %, or one unit.
func checkCertain(t *testing.T, v *probedVerdict, family string, capacity int64, rate float64) {
	t.Helper()
	if v.Family != family || len(v.policies) != 1 {
		t.Errorf("it says for certain: %s, %v; it is a %s", v.Family, v.policies, family)
		return
	}
	p := v.policies[0]
	if off := math.Abs(float64(p.Limit)/p.Window.Seconds()/rate - 1); off > 0.02+v.WindowOff {
		t.Errorf("it says for certain: %v; the rate is %g a second", p, rate)
	}
	if n := p.Capacity(); n < min(capacity-1, v.LimitLow) || n > max(capacity+1, v.LimitHigh) {
		t.Errorf("it says for certain: %v; it holds %d", p, capacity)
	}
}

// stalls watches how long the machine stands still. What it returns says the longest time.
func stalls(t *testing.T) func() time.Duration {
	t.Helper()
	var longest atomic.Int64
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		const each = 2 * time.Millisecond
		tick := time.NewTicker(each)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				now := time.Now()
				longest.Store(max(longest.Load(), int64(now.Sub(last)-each)))
				last = now
			}
		}
	}()
	return func() time.Duration { return time.Duration(longest.Load()) }
}

// probedVerdict is what is compared of a verdict.
type probedVerdict struct {
	Family       string
	Sure         bool
	Alternatives []struct{ Family string }
	WindowOff    float64 `json:"window_off"`
	LimitLow     int64   `json:"limit_low"`
	LimitHigh    int64   `json:"limit_high"`
	policies     []limit.Policy
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
	for _, p := range f.Policies {
		p.Name = ""
		v.policies = append(v.policies, p.Policy)
	}
	return v
}
