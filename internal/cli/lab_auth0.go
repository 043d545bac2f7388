package cli

import (
	"os"

	"github.com/weir-dev/weir/internal/lab"
)

// labAuth0 are the flags that only the stand-in auth0 has.
type labAuth0 struct {
	ErrorPage        string `placeholder:"URL" help:"auth0: the tenant's own error page, to which refused people are sent." group:"Lab"`
	PerformanceBurst int    `placeholder:"2|3|4" help:"auth0: so many times the sustained limit, for 48 hours a month." group:"Lab"`
	TenantLog        string `placeholder:"FILE" help:"auth0: write the tenant's log, one JSON line for each entry; - for standard error." group:"Lab"`

	file *os.File
}

// auth0 settles what only this stand-in has.
func (c *labCmd) auth0(s *session, o *lab.Options) (err error) {
	a := &c.Auth0
	if c.Name != "auth0" {
		if a.ErrorPage != "" || a.PerformanceBurst != 0 || a.TenantLog != "" {
			return usage("weir lab auth0", "--error-page, --performance-burst and --tenant-log are for the stand-in auth0, not %s", c.Name)
		}
		return nil
	}
	if c.Tier != "" && c.Quota != 0 {
		return usage("leave one out", "--tier gives every limit of a plan, and --quota is instead of them")
	}
	o.Auth0.Tier, o.Auth0.ErrorPage, o.Auth0.Burst = c.Tier, a.ErrorPage, a.PerformanceBurst
	switch a.TenantLog {
	case "":
	case "-":
		o.Auth0.Log = s.stderr
	default:
		if a.file, err = os.OpenFile(a.TenantLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
			return cannotRun("choose another file", "--tenant-log: %v", err)
		}
		o.Auth0.Log = a.file
	}
	return nil
}

func (a *labAuth0) close() {
	if a.file != nil {
		a.file.Close()
	}
}
