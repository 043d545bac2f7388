package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/weir-dev/weir/internal/gate"
	"github.com/weir-dev/weir/internal/gate/tenant"
	"github.com/weir-dev/weir/internal/tenantlog"
)

// gateTenant are the flags of the tenant log.
type gateTenant struct {
	TenantLog  string `placeholder:"FILE" help:"Write api_limit and api_limit_warning entries as Auth0's tenant log has them: at the first refusal, and again each minute it lasts. - for standard error." group:"Gate"`
	Webhook    string `placeholder:"URL" help:"Send these entries there, as JSON arrays." group:"Gate"`
	WebhookEnv string `placeholder:"NAME" help:"Environment variable with the Authorization header of the webhook." group:"Gate"`
}

// tenantLog makes the gate write the log that is asked for, and --admin serve
// it. The function it returns ends it.
func (c *gateTenant) tenantLog(o *gate.Options, s *session) (func(), error) {
	if c.TenantLog == "" && c.Webhook == "" {
		if c.WebhookEnv != "" {
			return nil, usage("add --webhook URL", "--webhook-env is for a webhook")
		}
		return func() {}, nil
	}
	var in tenantlog.Options
	var stream *tenant.Stream
	if c.Webhook != "" {
		out := tenant.StreamOptions{URL: c.Webhook}
		if c.WebhookEnv != "" {
			if out.Authorization = s.getenv(c.WebhookEnv); out.Authorization == "" {
				return nil, usage("export it first", "--webhook-env: %s is not set", c.WebhookEnv)
			}
		}
		var err error
		if stream, err = tenant.NewStream(out); err != nil {
			return nil, usage("", "--webhook: %v", err)
		}
		in.Sink = stream.Push
	}
	end := func() {
		if stream != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			stream.Close(ctx) // what the webhook does not take by then is lost
			if n := stream.Stats(); n.Dropped+n.Failed > 0 {
				fmt.Fprintf(s.stderr, "weir gate: --webhook: %d entries were taken, %d were not\n", n.Sent, n.Dropped+n.Failed)
			}
		}
	}
	switch c.TenantLog {
	case "":
	case "-":
		in.Lines = s.stderr
	default:
		f, err := os.OpenFile(c.TenantLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			end()
			return nil, cannotRun("choose another file", "--tenant-log: %v", err)
		}
		in.Lines = f
		stop := end
		end = func() {
			stop()
			f.Close()
		}
	}
	log := tenantlog.New(in)
	o.Guard.Observe = tenant.Feed(log, o.Guard.Observe)
	o.TenantLog = tenant.Handler(log)
	return end, nil
}
