package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/time/rate"

	"github.com/weir-dev/weir/internal/verify"
)

// TestVerifyRealLimiters holds that limiters which nobody here wrote keep their
// true policy, and that a wrong one is found out for the right reason. More of
// them are in bench/verify.
func TestVerifyRealLimiters(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute of real time and runs without -short")
	}
	servers, err := filepath.Abs("../../bench/verify/servers")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Abs("../../.cache/limiters/node_modules")
	if err != nil {
		t.Fatal(err)
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
	for _, c := range []struct {
		name, code string
		start      func(t *testing.T) string
	}{
		{"xtimerate", verify.CodeOverLimit, func(t *testing.T) string {
			limiter := rate.NewLimiter(10, 5)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !limiter.Allow() {
					w.WriteHeader(http.StatusTooManyRequests)
				}
			}))
			t.Cleanup(s.Close)
			return s.URL
		}},
		{"nginx", verify.CodeUnderLimit, func(t *testing.T) string {
			_, err := exec.LookPath("nginx")
			need(t, err == nil, "nginx")
			return startReal(t, realServer{name: "nginx", command: func(t *testing.T, dir string, port int) *exec.Cmd {
				conf, err := os.ReadFile(filepath.Join(servers, "nginx.conf"))
				if err != nil {
					t.Fatal(err)
				}
				text := strings.NewReplacer("@DIR@", dir, "@PORT@", fmt.Sprint(port)).Replace(string(conf))
				// Alone it has no workers, which would outlive it when it is killed.
				write(t, filepath.Join(dir, "nginx.conf"), "master_process off;\n"+text)
				return exec.Command("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
			}}, t.TempDir())
		}},
		{"express", verify.CodeAlign, func(t *testing.T) string {
			_, err := exec.LookPath("node")
			need(t, err == nil, "node")
			_, err = os.Stat(filepath.Join(modules, "express-rate-limit"))
			need(t, err == nil, "express-rate-limit")
			return startReal(t, realServer{name: "express", command: func(t *testing.T, dir string, port int) *exec.Cmd {
				cmd := exec.Command("node", filepath.Join(servers, "express.js"), fmt.Sprint(port))
				cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
				return cmd
			}}, t.TempDir())
		}},
	} {
		for _, which := range []string{"limit", "wrong"} {
			t.Run(c.name+" "+which, func(t *testing.T) {
				t.Parallel()
				tries(t, func(found *differences) { // a server that was stopped does not keep its own policy
					rep := verified(t, filepath.Join(servers, c.name+"."+which+".yaml"), c.start(t))
					if which == "limit" {
						if rep.Verdict != verify.Passed {
							found.Errorf("its true policy: %s %+v %+v", rep.Verdict, rep.Findings, rep.Policies)
						}
						return
					}
					if rep.Verdict != verify.Violated || rep.Findings[0].Code != c.code {
						found.Errorf("a wrong policy: %s %+v, want %s", rep.Verdict, rep.Findings, c.code)
					}
				})
			})
		}
	}
}

// verified runs weir verify in-process and returns its report.
func verified(t *testing.T, file, target string) *verify.Report {
	t.Helper()
	out := filepath.Join(t.TempDir(), "report.json")
	var stdout, stderr bytes.Buffer
	code := Main([]string{"verify", file, "--target", target, "--json", out, "--quiet", "--only", "limit,window,sustained", "--max-time", "20s", "--grain", "3ms"}, strings.NewReader(""), &stdout, &stderr)
	if code != exitPassed && code != exitFailed && code != exitInvalid {
		t.Fatalf("exit code %d\n%s%s", code, stdout.String(), stderr.String())
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var rep verify.Report
	if err := json.Unmarshal(data, &rep); err != nil {
		t.Fatal(err)
	}
	return &rep
}
