package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// trial is one limiter with one set of parameters.
// starter starts a limiter, which ends with ctx, and returns its URL. dir is its own.
type starter = func(ctx context.Context, h *house, dir string) (url string, err error)

type trial struct {
	limiter string
	set     string // its parameters, as its users write them
	truth   truth
	needs   need
	start   starter
	flags   []string
	budget  time.Duration // where the usual one does not do
}

func (t trial) name() string { return strings.TrimSpace(t.limiter + " " + t.set) }

// house is where trials run.
type house struct {
	weir, cache, keep string
	budget            time.Duration
	missing           map[need]string // why it could not be installed
	verify            bool            // what was found is verified against the limiter that it was found from
}

var unsafe = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// try starts the limiter, runs weir probe on it, and judges what it says.
func (h *house) try(ctx context.Context, t trial) result {
	r := result{trial: t, judged: broken}
	if why, ok := h.missing[t.needs]; ok {
		r.judged, r.said = skipped, "skipped: "+why
		return r
	}
	dir, err := os.MkdirTemp("", "weir-limiter")
	if err != nil {
		r.said = err.Error()
		return r
	}
	defer os.RemoveAll(dir)
	own, stop := context.WithCancel(ctx)
	url, err := t.start(own, h, dir)
	if err == nil {
		var v *verdict
		var text string
		if v, text, err = h.probe(own, t, url); err == nil {
			r.judged, r.said = t.truth.judge(v), v.words(text)
			r.requests, r.denied, r.seconds = v.Requests, v.Refused, v.ElapsedSeconds
			if h.verify && r.judged == right && len(v.policies) > 0 {
				r.said += h.verified(own, t, url)
			}
		}
	}
	stop()
	// The servers end before their folder goes.
	time.Sleep(100 * time.Millisecond)
	if ctx.Err() != nil { // interrupted
		return result{trial: t, judged: untried}
	}
	if err != nil {
		r.said = unsafeSpace.ReplaceAllString(err.Error(), " ")
	}
	return r
}

var unsafeSpace = regexp.MustCompile(`[\s|]+`)

// probe runs weir.
func (h *house) probe(ctx context.Context, t trial, url string) (*verdict, string, error) {
	base := filepath.Join(h.keep, strings.Trim(unsafe.ReplaceAllString(t.name(), "-"), "-"))
	budget := h.budget
	if t.budget > 0 {
		budget = t.budget
	}
	args := []string{"probe", url, "--json", base + ".json", "--out", base + ".limit.yaml", "--journal", base + ".journal", "--max-time", budget.String()}
	os.Remove(base + ".json")
	os.Remove(base + ".limit.yaml")
	cmd := exec.CommandContext(ctx, h.weir, append(args, t.flags...)...)
	cmd.Dir = h.keep
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	os.WriteFile(base+".txt", append(stderr.Bytes(), stdout.Bytes()...), 0o644)
	if err != nil {
		return nil, "", fmt.Errorf("weir probe: %w: %.300s", err, stderr.String())
	}
	v := &verdict{}
	b, err := os.ReadFile(base + ".json")
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return nil, "", err
	}
	b, err = os.ReadFile(base + ".limit.yaml")
	if errors.Is(err, os.ErrNotExist) { // no limit was found
		return v, stdout.String(), nil
	}
	var file struct {
		Policies []found `yaml:"policies"`
	}
	if err == nil {
		err = yaml.Unmarshal(b, &file)
	}
	v.policies = file.Policies
	return v, stdout.String(), err
}

// verified is what weir verify says of the file that was written, against the same limiter.
func (h *house) verified(ctx context.Context, t trial, url string) string {
	base := filepath.Join(h.keep, strings.Trim(unsafe.ReplaceAllString(t.name(), "-"), "-"))
	args := []string{"verify", base + ".limit.yaml", "--target", strings.TrimSuffix(url, "/"), "-q"}
	for i := 0; i+1 < len(t.flags); i += 2 { // a file of keys needs clients that differ in them
		if t.flags[i] == "--throttled" || t.flags[i] == "--vary" && strings.HasPrefix(t.flags[i+1], "header:") {
			args = append(args, t.flags[i], t.flags[i+1])
		}
	}
	out, err := exec.CommandContext(ctx, h.weir, args...).CombinedOutput()
	os.WriteFile(base+".verify.txt", out, 0o644)
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err == nil {
		return "; verify: passed"
	}
	return "; verify: " + unsafeSpace.ReplaceAllString(first, " ")
}

// free is a port that nothing listens on.
func free() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// serve starts a program that listens on the port until ctx ends, and waits
// until it does.
func serve(ctx context.Context, port int, cmd *exec.Cmd) error {
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		cmd.Wait()
		close(gone)
	}()
	context.AfterFunc(ctx, func() {
		// Politely first: nginx ends its workers then.
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-gone:
		case <-time.After(2 * time.Second):
			cmd.Process.Kill()
		}
	})
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-gone:
			return fmt.Errorf("%s ended: %.400s", filepath.Base(cmd.Path), log.String())
		default:
		}
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("%s does not listen: %.400s", filepath.Base(cmd.Path), log.String())
}
