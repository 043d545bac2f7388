package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/report"
)

// realServer is a server that nobody here wrote, which logs a line for each request.
type realServer struct {
	name    string
	program string // looked up on the path
	command func(t *testing.T, dir string, port int) *exec.Cmd
	log     string // file in dir that gets a line for each request
	marker  string // what each of those lines has in it
}

func realServers() []realServer {
	return []realServer{
		{"nginx", "nginx", func(t *testing.T, dir string, port int) *exec.Cmd {
			conf := fmt.Sprintf(`worker_processes 1; daemon off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http {
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  access_log %[1]s/access.log;
  keepalive_requests 50; # connections end under the load, now and then
  server { listen 127.0.0.1:%[2]d; location / { return 200 "hello\n"; } }
}`, dir, port)
			write(t, filepath.Join(dir, "nginx.conf"), conf)
			return exec.Command("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
		}, "access.log", "GET /counted"},
		{"node", "node", func(t *testing.T, dir string, port int) *exec.Cmd {
			write(t, filepath.Join(dir, "server.js"), `
const fs = require('fs'), http = require('http');
const log = fs.openSync('access.log', 'a');
const server = http.createServer((req, res) => { fs.writeSync(log, req.method + ' ' + req.url + '\n'); res.end('hello\n'); });
server.keepAliveTimeout = 150; // shorter than some pauses: closed while idle
server.listen(Number(process.argv[2]), '127.0.0.1');`)
			c := exec.Command("node", "server.js", fmt.Sprint(port))
			c.Dir = dir
			return c
		}, "access.log", "GET /counted"},
		{"python-http.server", "python3", func(t *testing.T, dir string, port int) *exec.Cmd {
			write(t, filepath.Join(dir, "counted"), "hello\n")
			c := exec.Command("python3", "-m", "http.server", fmt.Sprint(port), "--bind", "127.0.0.1")
			f, err := os.Create(filepath.Join(dir, "access.log"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			c.Dir, c.Stderr = dir, f
			return c
		}, "access.log", "GET /counted"},
	}
}

// TestCountsEqualServerLogs holds that what a run reports as sent is what
// servers of other people logged, also when they close idle connections.
func TestCountsEqualServerLogs(t *testing.T) {
	t.Parallel()
	loads := map[string][]string{
		"users":      {"-u", "8", "--wait", "1ms..30ms", "-t", "2s"},
		"rate":       {"--rate", "150/s", "--for", "2s"},
		"idle-users": {"-u", "6", "--wait", "100ms..400ms", "-t", "2s"},
		"new":        {"--rate", "60/s", "--for", "2s", "--connections", "new"},
	}
	servers := realServers()
	if testing.Short() {
		servers = servers[:1] // the others differ in what they do with idle connections, not in what may race
	}
	var ran atomic.Int64
	t.Cleanup(func() {
		if ran.Load() == 0 && os.Getenv("CI") != "" {
			t.Error("no server was tested")
		}
	})
	for _, srv := range servers {
		t.Run(srv.name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(srv.program); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatalf("%s is not installed", srv.program)
				}
				t.Skipf("skipped: %s is not installed", srv.program)
			}
			for name, flags := range loads {
				t.Run(name, func(t *testing.T) {
					ran.Add(1)
					dir := t.TempDir()
					base := startReal(t, srv, dir)
					sum := runJSON(t, append([]string{"run", base + "/counted"}, flags...)...)
					var logged int
					for range 100 { // the server may still be writing its last lines
						b, err := os.ReadFile(filepath.Join(dir, srv.log))
						if err != nil {
							t.Fatal(err)
						}
						if logged = strings.Count(string(b), srv.marker); logged >= int(sum.Offered.Sent) {
							break
						}
						time.Sleep(10 * time.Millisecond)
					}
					done := sum.Outcomes.Admitted.Count + sum.Outcomes.Failed.Count + sum.Run.Unfinished
					if int64(logged) != sum.Offered.Sent || done != sum.Offered.Sent || sum.Outcomes.Failed.Count != 0 {
						t.Errorf("the server logged %d requests; reported: %d sent, %d admitted, %d failed, %d unfinished, %d retried; errors %v",
							logged, sum.Offered.Sent, sum.Outcomes.Admitted.Count, sum.Outcomes.Failed.Count, sum.Run.Unfinished, sum.Connections.Retried, sum.Errors)
					}
					if sum.Offered.Sent < 20 {
						t.Errorf("only %d requests were sent", sum.Offered.Sent)
					}
				})
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// startReal starts the server on a free port and returns its URL.
func startReal(t *testing.T, srv realServer, dir string) string {
	t.Helper()
	port := freePorts.next()
	cmd := srv.command(t, dir, port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
			return "http://" + addr
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s did not start", srv.name)
	return ""
}

// runJSON runs weir in-process and returns its summary.
func runJSON(t *testing.T, args ...string) *report.Summary {
	t.Helper()
	file := filepath.Join(t.TempDir(), "summary.json")
	var stdout, stderr bytes.Buffer
	code := Main(append(args, "--json", file, "--out", "none", "--quiet"), strings.NewReader(""), &stdout, &stderr)
	if code != exitPassed && code != exitFailed && code != exitInvalid {
		t.Fatalf("weir %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout.String(), stderr.String())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("weir %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout.String(), stderr.String())
	}
	var sum report.Summary
	if err := json.Unmarshal(b, &sum); err != nil {
		t.Fatal(err)
	}
	return &sum
}
