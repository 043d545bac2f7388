package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/httpfile"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/pace"
	"github.com/weir-dev/weir/internal/script"
	"github.com/weir-dev/weir/internal/tally"
	"github.com/weir-dev/weir/internal/target"
)

// isRequestFile reports whether the argument names a file of requests.
func isRequestFile(arg string) bool {
	return !strings.Contains(arg, "://") && (strings.HasSuffix(arg, ".http") || strings.HasSuffix(arg, ".rest"))
}

// request makes the request that is probed: of the URL and flags, of a request
// file, or of a step of a scenario.
func (c *probeCmd) request(s *session) (*hit.Request, error) {
	file := isScenario(c.URL) || isRequestFile(c.URL)
	switch {
	case !file && (c.Step != "" || c.Env != "" || len(c.Var) > 0):
		return nil, usage("give a .star, .http or .rest file", "--step, --env and --var are for files, and %s is none", maskURL(c.URL))
	case file && c.given():
		return nil, usage("say it in the file", "--request, --header, --data and their like describe a single URL, not a file")
	case isScenario(c.URL) && (c.Env != "" || len(c.Var) > 0):
		return nil, usage("scenarios take values with env() and secret()", "--env and --var are for request files")
	case isScenario(c.URL):
		return c.fromStep(s)
	case isRequestFile(c.URL):
		return c.fromRequestFile(s)
	}
	return c.build(c.URL, s.stdin, s.getenv)
}

// fromRequestFile reads one request of a .http file.
func (c *probeCmd) fromRequestFile(s *session) (*hit.Request, error) {
	data, err := os.ReadFile(c.URL)
	if err != nil {
		return nil, usage("give a .http or .rest file that can be read", "%v", err)
	}
	f, err := httpfile.Parse(filepath.Base(c.URL), string(data))
	if err != nil {
		return nil, usage("docs/probe.md shows one", "%v", err)
	}
	r, err := f.Find(c.Step)
	if err != nil {
		return nil, usage("--step NAME says which", "%v", err)
	}
	dir := filepath.Dir(c.URL)
	env := httpfile.Env{Vars: map[string]string{}, Getenv: s.getenv, Now: time.Now(), ReadFile: func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, filepath.FromSlash(name))
		}
		return os.ReadFile(name)
	}}
	for _, v := range c.Var {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usage("write it as --var name=value", "--var has no name and value")
		}
		env.Vars[name] = value
	}
	if c.Env != "" {
		if env.Profile, err = profileOf(dir, c.Env); err != nil {
			return nil, err
		}
	}
	req, err := r.Build(env)
	if err != nil {
		return nil, usage("docs/probe.md shows what a request file may hold", "%v", err)
	}
	for _, n := range r.Notes() {
		fmt.Fprintf(s.stderr, "weir probe: %s: %s\n", filepath.Base(c.URL), n)
	}
	return req, nil
}

// profileOf reads an environment of http-client.env.json, and of the private file
// beside it, which goes before.
func profileOf(dir, which string) (map[string]string, error) {
	out := map[string]string{}
	found := false
	var missing error
	for _, name := range []string{"http-client.env.json", "rest-client.env.json", "http-client.private.env.json", "rest-client.private.env.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		p, err := httpfile.Profile(name, data, which)
		if err != nil {
			missing = err
			continue
		}
		found = true
		for k, v := range p {
			out[k] = v
		}
	}
	if !found {
		if missing == nil {
			missing = fmt.Errorf("there is no http-client.env.json beside the request file")
		}
		return nil, usage("name an environment of that file", "--env %s: %v", which, missing)
	}
	return out, nil
}

// stepTries bounds the tasks that are run in search of a step.
const stepTries = 400

// fromStep runs a scenario as one user, up to the step, and takes its request, with
// the cookies that the user has then, instead of sending it.
func (c *probeCmd) fromStep(s *session) (*hit.Request, error) {
	if c.Step == "" {
		return nil, usage("add --step 'POST /token', or the name that the step has in reports", "which request of %s is to be probed?", filepath.Base(c.URL))
	}
	sc, err := script.Load(c.URL, script.Options{Host: c.Host, Classes: c.Class, Arrivals: true, Log: s.log, Seed: c.Seed})
	if err != nil {
		return nil, scriptError(err)
	}
	for _, h := range sc.Hosts() {
		u, err := parseTarget(h)
		if err != nil {
			return nil, err
		}
		if !local(u, c.UnixSocket) && c.DryRun {
			return nil, usage("leave --dry-run out, or give the request itself", "the steps before %q would be sent to %s, and --dry-run sends nothing", c.Step, u.Host)
		}
		if !local(u, c.UnixSocket) && !c.Yes {
			if err := (&verifyCmd{}).confirm(s, u.Host); err != nil {
				return nil, err
			}
			c.Yes = true
		}
	}
	options, err := c.options(func(int) bool { return true }, s.getenv)
	if err != nil {
		return nil, err
	}
	options.BodyLimit = scenarioBody
	tgt, err := target.New(options)
	if err != nil {
		return nil, usage("", "%v", err)
	}
	ctx, stop := context.WithTimeout(context.Background(), min(c.MaxTime, 2*time.Minute))
	defer stop()
	trap := &stepTrap{step: c.Step, stop: stop}
	engine, err := load.New(load.Plan{
		Scenario: sc, MaxUsers: 1, Arrivals: pace.Constant(pace.Rate{N: 20, Per: time.Second}, 0), MaxRequests: stepTries, Seed: c.Seed,
		NewSender: sc.Senders(func(user int) (script.Sender, error) {
			inner, err := tgt.NewSender(user)
			return &stepSender{Client: inner, trap: trap}, err
		}),
	})
	if err != nil {
		return nil, usage("", "%v", err)
	}
	if _, err := engine.Run(ctx, func(*tally.Tick) {}); err != nil && !trap.caught() && !errors.Is(err, context.Canceled) {
		return nil, cannotRun("", "%s: %v", filepath.Base(c.URL), err)
	}
	if !trap.caught() {
		names := "no request was sent"
		if len(trap.names) > 0 {
			names = "it sent " + strings.Join(trap.names[:min(len(trap.names), 20)], ", ")
		}
		return nil, usage("--step wants a name as it stands in reports, or a method and a path", "the scenario did not come to %q: %s", c.Step, names)
	}
	fmt.Fprintf(s.stderr, "weir probe: %s came to %q after %s\n", filepath.Base(c.URL), c.Step, plural(trap.before, "request"))
	return trap.req, nil
}

// stepTrap waits for a step.
type stepTrap struct {
	step string
	stop func()

	mu     sync.Mutex
	names  []string
	before int
	req    *hit.Request
}

func (t *stepTrap) caught() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.req != nil
}

// stepSender sends what comes before the step, and keeps the step.
type stepSender struct {
	*target.Client
	trap *stepTrap
	jar  *cookie.Jar
}

func (s *stepSender) SetJar(j *cookie.Jar) { s.jar = j; s.Client.SetJar(j) }

func (s *stepSender) Send(ctx context.Context, req *hit.Request, ans *hit.Answer) {
	t := s.trap
	u, err := url.Parse(req.URL)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && t.req == nil {
		label := req.Method + " " + u.Path
		name := req.Name
		if name == "" {
			name = label
		}
		if t.step == name || t.step == label || t.step == u.Path {
			t.req = s.keep(req, u)
		} else if t.before++; !slices.Contains(t.names, name) {
			t.names = append(t.names, name)
		}
	}
	if t.req != nil {
		ans.Failure, ans.Err, ans.Done = hit.Interrupted, "the step was reached", time.Now()
		t.stop()
		return
	}
	s.Client.Send(ctx, req, ans)
}

// keep copies a request with the cookies that would go with it.
func (s *stepSender) keep(req *hit.Request, u *url.URL) *hit.Request {
	c := hit.Request{Name: strings.Clone(req.Name), Method: req.Method, URL: strings.Clone(req.URL), Body: slices.Clone(req.Body)}
	for _, h := range req.Header {
		c.Header = append(c.Header, hit.Field{Name: strings.Clone(h.Name), Value: strings.Clone(h.Value)})
	}
	if s.jar != nil && !hasField(c.Header, "Cookie") {
		at := cookie.Place{Host: strings.ToLower(u.Hostname()), Path: u.EscapedPath(), HTTPS: u.Scheme == "https"}
		if v := s.jar.Append(nil, at, time.Now()); len(v) > 0 {
			c.Header = append(c.Header, hit.Field{Name: "Cookie", Value: string(v)})
		}
	}
	return &c
}
