package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/gauge"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/load"
	"github.com/weir-dev/weir/internal/report"
	"github.com/weir-dev/weir/internal/retry"
	"github.com/weir-dev/weir/internal/tally"
)

// limitFlags say what users do about limits.
type limitFlags struct {
	RespectLimits respectFlag   `name:"respect-limits" help:"Stay within limits: by what answers tell of them, or, with =FILE, by the limits in a policy file. What is held back is reported as held." group:"Limits"`
	LimitSlack    time.Duration `default:"50ms" help:"With a policy file: by how much longer one request may take to reach the service than another." group:"Limits"`
	Retry         string        `placeholder:"RULE" help:"What users do after a throttled answer: none, retry-after, exponential, immediate, aws, azure, auth0, or 'exponential:attempts=8,base=50ms,max=5s,jitter=full'. Each try is a request of its own." group:"Limits"`
}

// respectFlag is a switch that may name a file.
type respectFlag struct {
	on   bool
	file string
}

// IsBool makes the value optional.
func (respectFlag) IsBool() bool { return true }

// Decode reads the file, if one is given, with an equals sign.
func (f *respectFlag) Decode(ctx *kong.DecodeContext) error {
	f.on = true
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return nil
	}
	f.file = fmt.Sprint(ctx.Scan.Pop().Value)
	switch f.file {
	case "true", "yes":
		f.file = ""
	case "false", "no":
		*f = respectFlag{}
	case "":
		return fmt.Errorf("write --respect-limits=limits.yaml, or --respect-limits alone")
	}
	return nil
}

// apply puts the flags into the plan and its record.
func (f *limitFlags) apply(s *session, x *execution) error {
	if f.Retry != "" {
		rule, err := retry.Parse(f.Retry)
		if err != nil {
			return usage("write --retry retry-after, or --retry exponential:attempts=5", "--retry: %v", err)
		}
		x.plan.Retry = rule
		if rule.Attempts > 1 {
			x.record.Retry = rule.String()
		}
	}
	r := f.RespectLimits
	switch {
	case !r.on:
		return nil
	case r.file == "":
		x.plan.Respect.Headers = true
		x.record.Respect = "as the answers tell them"
		return nil
	}
	if f.LimitSlack < 0 || f.LimitSlack > time.Minute {
		return usage("give a time such as 50ms", "--limit-slack %v: it must be from 0s to 1m", f.LimitSlack)
	}
	data, err := s.open(r.file)
	if err != nil {
		return err
	}
	file, _, err := readPolicy(shown(r.file), data)
	if err != nil {
		return usage("weir policy check shows what a policy file must be like", "%v", err)
	}
	keeper, notes, err := gauge.NewKeeper(file, f.LimitSlack)
	if err != nil {
		return usage("", "--respect-limits=%s: %v", r.file, err)
	}
	x.mix.notes = append(x.mix.notes, notes...)
	x.record.Respect = fmt.Sprintf("%s, with %v of slack", shown(r.file), f.LimitSlack)
	x.plan.Respect.Leave = leaver(keeper)
	return nil
}

// leaver asks the keeper about requests.
func leaver(k *gauge.Keeper) func(*hit.Request, time.Time) (time.Time, bool) {
	return func(req *hit.Request, now time.Time) (time.Time, bool) {
		at, ok, err := k.Leave(subjectOf(req), now)
		if err != nil {
			return now, true // a policy that cannot be worked out for this request refuses nothing
		}
		return at, ok
	}
}

// clientAddress stands for the address of this machine as the service sees it:
// for limits by address it only matters that it is always the same.
const clientAddress = "192.0.2.1"

// subjectOf is what a policy may look at in a request.
func subjectOf(req *hit.Request) *expr.Subject {
	s := &expr.Subject{Method: req.Method, IP: clientAddress, Header: expr.Fields{}}
	if s.Method == "" {
		s.Method = http.MethodGet
	}
	rest := req.URL
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		s.Scheme, rest = scheme, after
	}
	rest, _, _ = strings.Cut(rest, "#")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		s.Host, rest = rest[:i], rest[i:]
	} else {
		s.Host, rest = rest, ""
	}
	s.Path, s.RawQuery, _ = strings.Cut(rest, "?")
	if s.Path == "" {
		s.Path = "/"
	}
	for _, f := range req.Header {
		name := http.CanonicalHeaderKey(f.Name)
		s.Header[name] = append(s.Header[name], f.Value)
	}
	if key := s.Header.Get("Ocp-Apim-Subscription-Key"); key != "" {
		s.Subscription.ID, s.Subscription.Key = key, key
	} else if q, err := url.ParseQuery(s.RawQuery); err == nil {
		s.Subscription.ID, s.Subscription.Key = q.Get("subscription-key"), q.Get("subscription-key")
	}
	return s
}

// limitDetails are the lines of the report's table of the run.
func (r *planRecord) limitDetails() (d []report.Detail) {
	if r.Respect != "" {
		d = append(d, report.Detail{Name: "Limits respected", Value: r.Respect})
	}
	if r.Retry != "" {
		d = append(d, report.Detail{Name: "After a refusal", Value: r.Retry})
	}
	return d
}

// describeLimits says it in the words of a plan.
func describeLimits(p *load.Plan, r *planRecord) string {
	var b strings.Builder
	if r.Respect != "" {
		fmt.Fprintf(&b, "Limits:   respected, %s\n", r.Respect)
	}
	if p.Retry.Attempts > 1 {
		fmt.Fprintf(&b, "Retry:    %s: up to %d requests for one piece of work\n", r.Retry, p.Retry.Attempts)
	}
	return b.String()
}

// heldBack is how many requests were never sent, because limits were respected.
func heldBack(t *tally.Totals) (n int64) {
	for _, w := range t.Work() {
		n += w.Unsent
	}
	return n
}
