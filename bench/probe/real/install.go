package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed servers
var servers embed.FS

// need is what a limiter needs to run.
type need string

const (
	nothing     need = ""
	nginx       need = "nginx"
	haproxy     need = "haproxy"
	redisServer need = "redis-server"
	node        need = "node"
	python      need = "python"
	java        need = "java"
	rust        need = "rust"
	envoy       need = "envoy"
	traefik     need = "traefik"
	varnish     need = "varnish"
	ruby        need = "ruby"
	php         need = "php"
)

// install puts what the trials need into the cache. What fails is noted with its reason.
func (h *house) install(ctx context.Context, chosen []trial) {
	h.missing = map[need]string{}
	done := map[need]bool{nothing: true}
	for _, t := range chosen {
		if done[t.needs] {
			continue
		}
		done[t.needs] = true
		if err := h.get(ctx, t.needs); err != nil {
			h.missing[t.needs] = unsafeSpace.ReplaceAllString(err.Error(), " ")
			fmt.Fprintf(os.Stderr, "%s: %v\n", t.needs, err)
		}
	}
}

// servers is the folder with the servers' sources.
func (h *house) servers() string { return filepath.Join(h.cache, "servers") }

func (h *house) get(ctx context.Context, n need) error {
	if err := h.unpack(); err != nil {
		return err
	}
	src := h.servers()
	switch n {
	case envoy:
		if h.envoyBin() == "" {
			return fmt.Errorf("envoy is neither on the path nor in %s", filepath.Dir(h.cache))
		}
		return nil
	case varnish, ruby, php:
		return h.unpacked(ctx, string(n))
	case nginx, redisServer, traefik:
		_, err := exec.LookPath(string(n))
		return err
	case node:
		dir := filepath.Join(h.cache, "node")
		return h.once(ctx, "package.json", dir,
			[]string{"npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir})
	case python:
		dir := filepath.Join(h.cache, "python")
		return h.once(ctx, "requirements.txt", dir,
			[]string{"python3", "-m", "venv", dir},
			[]string{filepath.Join(dir, "bin", "pip"), "install", "-q", "--disable-pip-version-check", "-r", filepath.Join(src, "requirements.txt")})
	case java:
		dir := filepath.Join(h.cache, "jars")
		if err := h.once(ctx, "pom.xml", dir,
			[]string{"mvn", "-q", "-B", "-f", filepath.Join(src, "pom.xml"), "dependency:copy-dependencies", "-DoutputDirectory=" + dir}); err != nil {
			return err
		}
		return h.once(ctx, "Server.java", filepath.Join(h.cache, "classes"),
			[]string{"javac", "-cp", dir + "/*", "-d", filepath.Join(h.cache, "classes"), filepath.Join(src, "Server.java")})
	case rust:
		return h.once(ctx, "governor/src/main.rs", filepath.Join(h.cache, "rust"),
			[]string{"cargo", "build", "--release", "--quiet", "--locked", "--manifest-path", filepath.Join(src, "governor", "Cargo.toml"), "--target-dir", filepath.Join(h.cache, "rust")})
	case haproxy:
		if _, err := exec.LookPath("haproxy"); err == nil {
			return nil
		}
		return h.unpacked(ctx, "haproxy")
	}
	return fmt.Errorf("nobody knows how to install %s", n)
}

// unpacked is packages of Debian, unpacked into a folder of the cache.
func (h *house) unpacked(ctx context.Context, name string) error {
	dir := filepath.Join(h.cache, name)
	return h.once(ctx, name+".packages", dir, []string{"sh", "-c", `cd "$0" && apt-get download -qq $(cat "$1") && for p in *.deb; do dpkg -x "$p" . || exit 1; done`, dir, filepath.Join(h.servers(), name+".packages")})
}

// unpack writes the servers' sources into the cache.
func (h *house) unpack() error {
	return fs.WalkDir(servers, "servers", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(h.cache, filepath.FromSlash(path))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := servers.ReadFile(path)
		if err != nil {
			return err
		}
		if old, err := os.ReadFile(to); err == nil && string(old) == string(b) {
			return nil
		}
		return os.WriteFile(to, b, 0o644)
	})
}

// once runs the commands unless they ran before for the same pins, which it
// notes in the folder.
func (h *house) once(ctx context.Context, pins, dir string, commands ...[]string) error {
	want, err := servers.ReadFile("servers/" + pins)
	if err != nil {
		return err
	}
	note := filepath.Join(dir, ".installed")
	if got, err := os.ReadFile(note); err == nil && string(got) == string(want) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if strings.HasSuffix(pins, ".json") {
		if err := os.WriteFile(filepath.Join(dir, pins), want, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "installing %s\n", filepath.Base(dir))
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for _, c := range commands {
		if _, err := exec.LookPath(c[0]); err != nil {
			return err
		}
		if out, err := exec.CommandContext(ctx, c[0], c[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %.200s", filepath.Base(c[0]), err, strings.TrimSpace(string(out)))
		}
	}
	return os.WriteFile(note, want, 0o644)
}
