package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/drill"
	drillcloudwatch "github.com/weir-dev/weir/internal/drill/cloudwatch"
	"github.com/weir-dev/weir/internal/hit"
)

// alarmSide makes the side that is an alarm of CloudWatch.
func (c *drillCmd) alarmSide(ctx context.Context, s *session, o *drill.Options) (*drillSide, error) {
	opts := drillcloudwatch.Options{Name: c.Alarm, Queue: !c.NoQueue, Until: c.MaxTime + 3*time.Hour, Mine: owner()}
	if err := account.CheckEndpoint(c.Endpoint); err != nil {
		return nil, usage("such as --endpoint http://127.0.0.1:4566", "--endpoint: %v", err)
	}
	if c.Metric != "" {
		var err error
		if opts.Expect, err = drillcloudwatch.ParseMetric(c.Metric); err != nil {
			return nil, usage("", "--metric: %v", err)
		}
	}
	opts.Region = regionOf(c.urls[0])
	if c.preset == "cognito" {
		opts.Usage, opts.Resource = "Cognito", category(c.Data)
	}
	access := account.Access{Region: c.Region, Role: c.Role, Endpoint: c.Endpoint}
	cfg, err := access.Load(ctx)
	if err != nil && c.Region == "" && cfg.Region == "" && opts.Region != "" {
		access.Region = opts.Region // nobody chose one, and the target's name has one
		cfg, err = access.Load(ctx)
	}
	if err != nil {
		return nil, cannotRun(account.Advice(err), "%v", err)
	}
	if err := account.Identify(ctx, cfg); err != nil {
		hint := account.Advice(err)
		if c.onLoopback(s) {
			hint = "any will do for a stand-in: export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test"
		}
		return nil, cannotRun(hint, "%v", err)
	}
	here := c.onLoopback(s)
	if here {
		o.Clock = labClock(ctx, c.endpoint(s))
		opts.Clock = o.Clock
	}
	if c.Alarm == "" {
		found, err := drillcloudwatch.Find(ctx, cfg, "AWS/Usage", "ThrottleCount")
		switch {
		case err != nil:
			return nil, cannotRun("are region and credentials right?", "looking for an alarm on ThrottleCount: %v", err)
		case len(found) == 0:
			return nil, usage("make one on AWS/Usage ThrottleCount, as docs/drill.md shows, and give it with --alarm", "no alarm in %s watches ThrottleCount", cfg.Region)
		case len(found) > 1:
			return nil, usage("give one of them with --alarm", "%d alarms in %s watch ThrottleCount: %s", len(found), cfg.Region, strings.Join(found, ", "))
		}
		opts.Name = found[0]
	}
	return &drillSide{Side: drillcloudwatch.New(cfg, opts), here: here, region: cfg.Region, close: func() {}}, nil
}

// endpoint is where AWS is, when that is not AWS.
func (c *drillCmd) endpoint(s *session) string {
	for _, u := range []string{c.Endpoint, s.getenv("AWS_ENDPOINT_URL_CLOUDWATCH"), s.getenv("AWS_ENDPOINT_URL")} {
		if u != "" {
			return u
		}
	}
	return ""
}

func (c *drillCmd) onLoopback(s *session) bool {
	u, err := url.Parse(c.endpoint(s))
	return err == nil && u.Host != "" && local(u, "")
}

// labClock is the clock of weir lab aws, which may go faster; that of this machine
// where there is none to be asked.
func labClock(ctx context.Context, endpoint string) drill.Clock {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/_aws/clock", nil)
	if err != nil {
		return drill.Clock{}
	}
	sent := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return drill.Clock{}
	}
	defer res.Body.Close()
	got := time.Now()
	var said struct {
		Now   time.Time
		Speed float64
	}
	if res.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(res.Body, 4096)).Decode(&said) != nil || said.Now.IsZero() || !(said.Speed >= 1 && said.Speed <= 1e6) {
		return drill.Clock{}
	}
	return drill.NewClock(sent.Add(got.Sub(sent)/2), said.Now, said.Speed)
}

// owner marks what this process makes in an account.
func owner() drillcloudwatch.Owner {
	host, _ := os.Hostname() // "" is a host like another
	sum := sha256.Sum256([]byte(host))
	return drillcloudwatch.Owner{Host: hex.EncodeToString(sum[:3]), PID: os.Getpid(), Alive: alive}
}

// alive says whether there is a process. Where that cannot be known there is.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || !strings.Contains(err.Error(), "finished") && !strings.Contains(err.Error(), "no such process")
}

var awsRegion = regexp.MustCompile(`[.-]([a-z]{2}(?:-[a-z]+)+-[0-9])\.(?:amazoncognito|amazonaws)\.com$`)

// regionOf is the AWS region in the name of a host, or "".
func regionOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	m := awsRegion.FindStringSubmatch(u.Hostname())
	if m == nil {
		return ""
	}
	return m[1]
}

// category is how Cognito counts a request for tokens (developer guide, "Quotas in
// Amazon Cognito", read 2026-11).
func category(body *string) string {
	if body != nil && (strings.Contains(*body, "grant_type=refresh_token") || strings.Contains(*body, "grant_type=authorization_code")) {
		return "UserAuthentication"
	}
	return "ClientAuthentication"
}

// cognito fills in what the job of seed report 000 needs, and asks for the rest.
func (c *drillCmd) cognito() error {
	var missing []string
	if len(c.urls) == 0 {
		missing = append(missing, "the domain of the user pool: weir drill cognito https://NAME.auth.REGION.amazoncognito.com")
	}
	if c.BasicAuth == "" && c.BasicAuthEnv == "" && !hasAuthorization(c.Header) && (c.Data == nil || !strings.Contains(*c.Data, "client_secret=")) {
		missing = append(missing, "an app client for machines: export CLIENT=ID:SECRET, and --basic-auth-env CLIENT")
	}
	if c.Alert != "" || c.Log != "" {
		return usage("weir drill URL", "weir drill cognito is for alarms of CloudWatch")
	}
	if len(missing) > 0 {
		return usage(strings.Join(missing, "\n  "), "weir drill cognito needs more to begin:")
	}
	for i, raw := range c.urls {
		u, err := parseTarget(raw)
		if err != nil {
			return err
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = "/oauth2/token"
		}
		c.urls[i] = u.String()
	}
	if c.Data == nil && c.requestFlags.JSON == nil {
		text := "grant_type=client_credentials"
		c.Data = &text
	}
	if c.Alarm == "" { // it is looked for
		return nil
	}
	return c.one()
}

func hasAuthorization(lines []string) bool {
	var fields []hit.Field
	for _, l := range lines {
		name, _, _ := strings.Cut(l, ":")
		fields = append(fields, hit.Field{Name: strings.TrimSpace(name)})
	}
	return hasField(fields, "Authorization")
}
