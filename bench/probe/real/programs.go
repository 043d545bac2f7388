package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

var okay = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })

// inGo serves a handler in this process.
func inGo(of func(ctx context.Context) (http.Handler, error)) starter {
	return func(ctx context.Context, _ *house, _ string) (string, error) {
		handler, err := of(ctx)
		if err != nil {
			return "", err
		}
		return listen(ctx, handler)
	}
}

func listen(ctx context.Context, handler http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: handler}
	go s.Serve(l)
	context.AfterFunc(ctx, func() { s.Close() })
	return "http://" + l.Addr().String() + "/", nil
}

// asked is a server that does what allow says.
func asked(allow func(ctx context.Context) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allow(r.Context()) {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
}

// program starts a server that is given its port and its figures.
func program(of func(h *house, port string) *exec.Cmd) starter {
	return func(ctx context.Context, h *house, dir string) (string, error) {
		port, err := free()
		if err != nil {
			return "", err
		}
		cmd := of(h, fmt.Sprint(port))
		cmd.Dir = dir
		return fmt.Sprintf("http://127.0.0.1:%d/", port), serve(ctx, port, cmd)
	}
}

func inNode(args ...string) starter {
	return program(func(h *house, port string) *exec.Cmd { return nodeCommand(h, port, args) })
}

func nodeCommand(h *house, port string, args []string) *exec.Cmd {
	cmd := exec.Command("node", append([]string{filepath.Join(h.servers(), "node.js"), port}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(h.cache, "node", "node_modules"))
	return cmd
}

func inPython(args ...string) starter {
	return program(func(h *house, port string) *exec.Cmd {
		return exec.Command(filepath.Join(h.cache, "python", "bin", "python"), append([]string{filepath.Join(h.servers(), "app.py"), port}, args...)...)
	})
}

func inJava(args ...string) starter {
	return program(func(h *house, port string) *exec.Cmd {
		path := filepath.Join(h.cache, "classes") + string(os.PathListSeparator) + filepath.Join(h.cache, "jars") + "/*"
		return exec.Command("java", append([]string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-Dsun.net.httpserver.nodelay=true", "-cp", path, "Server", port}, args...)...)
	})
}

func inRust(args ...string) starter {
	return program(func(h *house, port string) *exec.Cmd {
		return exec.Command(filepath.Join(h.cache, "rust", "release", "governor-server"), append([]string{port}, args...)...)
	})
}

// inNginx serves a file; beside is what stands before the server, location what
// stands in it. SLOW is a server behind it that takes 200 ms.
func inNginx(beside, location string) starter {
	return func(ctx context.Context, _ *house, dir string) (string, error) {
		if strings.Contains(location, "SLOW") {
			url, err := listen(ctx, slow(200*time.Millisecond))
			if err != nil {
				return "", err
			}
			location = strings.ReplaceAll(location, "SLOW", url)
		}
		return nginxWith(ctx, dir, beside, location)
	}
}

func nginxWith(ctx context.Context, dir, beside, location string) (string, error) {
	port, err := free()
	if err != nil {
		return "", err
	}
	conf := fmt.Sprintf(`worker_processes 1; daemon off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http {
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  access_log off; keepalive_requests 100000;
  %[3]s
  server {
    listen 127.0.0.1:%[2]d;
    # limit_req does not look at what "return" answers; a file it does.
    location / { root %[1]s; index page; %[4]s }
  }
}
`, dir, port, beside, location)
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "page"), []byte("ok\n"), 0o644); err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	return fmt.Sprintf("http://127.0.0.1:%d/", port), serve(ctx, port, exec.Command("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf")))
}

// slow is a server that works a while.
func slow(work time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { time.Sleep(work) })
}

// behindNginx starts several servers of node behind a balancer: balance is its
// directive, "" for in turn.
func behindNginx(n int, balance string, args ...string) starter {
	return func(ctx context.Context, h *house, dir string) (string, error) {
		up := "upstream all { " + balance
		for range n {
			port, err := free()
			if err != nil {
				return "", err
			}
			if err := serve(ctx, port, nodeCommand(h, fmt.Sprint(port), args)); err != nil {
				return "", err
			}
			up += fmt.Sprintf(" server 127.0.0.1:%d max_fails=0;", port)
		}
		return nginxWith(ctx, dir, up+" keepalive 64; }", `proxy_pass http://all; proxy_http_version 1.1; proxy_set_header Connection "";`)
	}
}

// inHAProxy counts requests in a stick table over a period.
func inHAProxy(limit int, period string) starter {
	return func(ctx context.Context, h *house, dir string) (string, error) {
		port, err := free()
		if err != nil {
			return "", err
		}
		conf := fmt.Sprintf(`global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout http-keep-alive 60s
frontend all
  bind 127.0.0.1:%d
  stick-table type ip size 1k expire 10m store http_req_rate(%s)
  http-request track-sc0 src
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt %d }
  http-request return status 200 content-type text/plain string ok
`, port, period, limit)
		file := filepath.Join(dir, "haproxy.cfg")
		if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
			return "", err
		}
		name := "haproxy"
		if _, err := exec.LookPath(name); err != nil {
			name = filepath.Join(h.cache, "haproxy", "usr", "sbin", "haproxy")
		}
		cmd := exec.Command(name, "-db", "-f", file)
		libs, _ := filepath.Glob(filepath.Join(h.cache, "haproxy", "usr", "lib", "*"))
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libs, ":"))
		return fmt.Sprintf("http://127.0.0.1:%d/", port), serve(ctx, port, cmd)
	}
}

// used starts a limiter and asks it so many times, a moment before it is probed.
func used(n int, start starter) starter {
	return func(ctx context.Context, h *house, dir string) (string, error) {
		url, err := start(ctx, h, dir)
		if err != nil {
			return "", err
		}
		for range n {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return "", err
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return "", err
			}
			res.Body.Close()
		}
		return url, nil
	}
}
