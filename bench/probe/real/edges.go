package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// envoyBin is where Weir's own tests keep their Envoy, beside the cache.
func (h *house) envoyBin() string {
	if path, err := exec.LookPath("envoy"); err == nil {
		return path
	}
	bins, _ := filepath.Glob(filepath.Join(filepath.Dir(h.cache), "envoy", "envoy", "_bin", "envoy"))
	for _, b := range bins {
		if i, err := os.Stat(b); err == nil && !i.IsDir() {
			return b
		}
	}
	return ""
}

// inEnvoy has a local rate limit: a bucket of most, that gets fill each interval.
func inEnvoy(most, fill int, interval string) starter {
	return func(ctx context.Context, h *house, dir string) (string, error) {
		port, err := free()
		if err != nil {
			return "", err
		}
		conf := fmt.Sprintf(`static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: %d } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: all
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: "ok" } } }]
          http_filters:
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: local
              token_bucket: { max_tokens: %d, tokens_per_fill: %d, fill_interval: %s }
              filter_enabled: { default_value: { numerator: 100, denominator: HUNDRED } }
              filter_enforced: { default_value: { numerator: 100, denominator: HUNDRED } }
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
`, port, most, fill, interval)
		file := filepath.Join(dir, "envoy.yaml")
		if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
			return "", err
		}
		return fmt.Sprintf("http://127.0.0.1:%d/", port), serve(ctx, port, exec.Command(h.envoyBin(), "-c", file, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"))
	}
}

// inTraefik has its rateLimit middleware: average each period, and burst.
func inTraefik(average int, period string, burst int) starter {
	return traefikWith(fmt.Sprintf("rateLimit: { average: %d, period: %s, burst: %d }", average, period, burst), okay)
}

// atOnceInTraefik has its inFlightReq middleware before a server that works a while.
func atOnceInTraefik(most int) starter {
	return traefikWith(fmt.Sprintf("inFlightReq: { amount: %d, sourceCriterion: { ipStrategy: { depth: 0 } } }", most), slow(200*time.Millisecond))
}

func traefikWith(middleware string, behind http.Handler) starter {
	return func(ctx context.Context, _ *house, dir string) (string, error) {
		back, err := listen(ctx, behind)
		if err != nil {
			return "", err
		}
		port, err := free()
		if err != nil {
			return "", err
		}
		routes := filepath.Join(dir, "routes.yaml")
		err = os.WriteFile(routes, []byte(fmt.Sprintf(`http:
  middlewares: { all: { %s } }
  routers:
    all: { rule: "PathPrefix(`+"`/`"+`)", middlewares: [all], service: back }
    ready: { rule: "Path(`+"`/ready`"+`)", service: back }
  services: { back: { loadBalancer: { servers: [ { url: %q } ] } } }
`, middleware, back)), 0o644)
		if err != nil {
			return "", err
		}
		url := fmt.Sprintf("http://127.0.0.1:%d/", port)
		err = serve(ctx, port, exec.Command("traefik",
			fmt.Sprintf("--entrypoints.web.address=127.0.0.1:%d", port), "--providers.file.filename="+routes, "--log.level=ERROR", "--global.sendanonymoususage=false", "--global.checknewversion=false"))
		for range 200 { // it listens before it has read its routes
			if err != nil || ready(url+"ready") {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		return url, err
	}
}

func ready(url string) bool {
	res, err := http.Get(url)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// packed is a program of a Debian package that was unpacked into the cache.
func (h *house) packed(where, program string, args ...string) *exec.Cmd {
	root := filepath.Join(h.cache, where)
	cmd := exec.Command(filepath.Join(root, "usr", program), args...)
	libs := []string{filepath.Join(root, "usr", "lib")}
	more, _ := filepath.Glob(filepath.Join(root, "usr", "lib", "*-linux-gnu*"))
	libs = append(libs, more...)
	for _, m := range more {
		libs = append(libs, filepath.Join(m, "varnish"))
	}
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libs, ":"))
	return cmd
}

// inVarnish asks vsthrottle, of Varnish's modules; ban is "" or a length of time.
func inVarnish(n int, period, ban string) starter {
	return func(ctx context.Context, h *house, dir string) (string, error) {
		port, err := free()
		if err != nil {
			return "", err
		}
		if ban != "" {
			ban = ", " + ban
		}
		vcl := fmt.Sprintf(`vcl 4.1;
import vsthrottle;
backend none none;
sub vcl_recv {
  if (vsthrottle.is_denied("all", %d, %s%s)) { return (synth(429, "Too Many Requests")); }
  return (synth(200, "OK"));
}
`, n, period, ban)
		file := filepath.Join(dir, "all.vcl")
		if err := os.WriteFile(file, []byte(vcl), 0o644); err != nil {
			return "", err
		}
		mods, _ := filepath.Glob(filepath.Join(h.cache, "varnish", "usr", "lib", "*", "varnish", "vmods"))
		cmd := h.packed("varnish", "sbin/varnishd", "-F", "-j", "none", "-n", filepath.Join(dir, "work"), "-a", fmt.Sprintf("127.0.0.1:%d", port), "-f", file, "-p", "vmod_path="+strings.Join(mods, ":"))
		return fmt.Sprintf("http://127.0.0.1:%d/", port), serve(ctx, port, cmd)
	}
}

// inRuby runs Rack::Attack.
func inRuby(args ...string) starter {
	return func(ctx context.Context, h *house, dir string) (string, error) {
		port, err := free()
		if err != nil {
			return "", err
		}
		root := filepath.Join(h.cache, "ruby", "usr")
		cmd := h.packed("ruby", "bin/ruby3.1", append([]string{"--disable-gems", filepath.Join(h.servers(), "attack.rb"), fmt.Sprint(port)}, args...)...)
		paths := []string{filepath.Join(root, "lib", "ruby", "3.1.0"), filepath.Join(root, "lib", "ruby", "vendor_ruby")}
		for _, pattern := range []string{filepath.Join(root, "lib", "*", "ruby", "3.1.0"), filepath.Join(root, "share", "rubygems-integration", "all", "gems", "*", "lib"), filepath.Join(root, "share", "rubygems-integration", "all", "gems", "*", "lib", "concurrent-ruby")} {
			found, _ := filepath.Glob(pattern)
			paths = append(paths, found...)
		}
		cmd.Env = append(cmd.Env, "RUBYLIB="+strings.Join(paths, ":"))
		cmd.Dir = dir
		return fmt.Sprintf("http://127.0.0.1:%d/", port), serve(ctx, port, cmd)
	}
}

// inSymfony runs its RateLimiter in PHP's own server, which closes each connection.
func inSymfony(policy string, limit int, interval string, amount int) starter {
	return func(ctx context.Context, h *house, dir string) (string, error) {
		port, err := free()
		if err != nil {
			return "", err
		}
		root := filepath.Join(h.cache, "php", "usr")
		cmd := h.packed("php", "bin/php8.2", "-n", "-S", fmt.Sprintf("127.0.0.1:%d", port), filepath.Join(h.servers(), "symfony.php"))
		cmd.Env = append(cmd.Env, "POLICY="+policy, fmt.Sprintf("LIMIT=%d", limit), "INTERVAL="+interval, fmt.Sprintf("AMOUNT=%d", amount),
			"CLASSES="+filepath.Join(root, "share", "php"), "STATE="+dir)
		return fmt.Sprintf("http://127.0.0.1:%d/", port), serve(ctx, port, cmd)
	}
}

// withRedis starts a Redis, and the server that is told its port.
func withRedis(of func(port string) starter) starter {
	return func(ctx context.Context, h *house, dir string) (string, error) {
		port, err := redisIn(ctx, dir)
		if err != nil {
			return "", err
		}
		return of(fmt.Sprint(port))(ctx, h, dir)
	}
}

func redisIn(ctx context.Context, dir string) (int, error) {
	port, err := free()
	if err != nil {
		return 0, err
	}
	return port, serve(ctx, port, exec.Command("redis-server", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir))
}

// fromJar reads a file of the jar whose name begins so.
func fromJar(dir, name, path string) (string, error) {
	jars, _ := filepath.Glob(filepath.Join(dir, name+"*.jar"))
	if len(jars) == 0 {
		return "", errors.New("no jar " + name)
	}
	z, err := zip.OpenReader(jars[0])
	if err != nil {
		return "", err
	}
	defer z.Close()
	f, err := z.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}
