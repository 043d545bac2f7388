// Package auth0 is Tenant: a local stand-in of an Auth0 tenant, with the
// endpoints that people log in through, part of the Management API, the rate
// limits of the published plans, and the tenant log that tells of them.
//
// Sources, referred to by these names:
//
//   - seed 001: Auth0's page "Rate Limit Use Cases" in Japanese.
//   - policy: auth0.com/docs/troubleshoot/customer-support/operational-policies/
//     rate-limit-policy and the pages below it, read 2026-11-21; Tiers names them.
//   - cli: issues of auth0/auth0-deploy-cli and auth0-extensions/auth0-reset-tenant
//     that show answers and log entries of the real service.
//
// # The limits
//
// A limit is a bucket: it holds the burst, starts full, and gains the sustained
// number at the head of each second, minute, hour or day (seed 001). A request
// takes from the bucket of its API and from that of its endpoint, if it has one;
// all or nothing. Which of the two the real service asks first is not published,
// and cannot be told apart unless both are empty.
//
// # What is told
//
// Every answer of a limited endpoint carries x-ratelimit-limit, -remaining and
// -reset of the bucket that has least left. A refusal is 429: with JSON, or for
// pages that a person sees with an HTML page, or a redirect to the tenant's own
// error page with the reason in error_description.
package auth0

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/internal/tenantlog"
	"github.com/weir-dev/weir/limit"
)

// The defaults: credentials that nobody can mistake for real ones.
const (
	// MachineClientID and MachineSecret belong to an application that may use the
	// Management API and ask for tokens by client_credentials.
	MachineClientID = "weirLabMachine000000000000000000"
	MachineSecret   = "not-a-secret-weir-lab-only"

	// WebClientID and WebSecret belong to an application that people log in to.
	WebClientID = "weirLabWeb0000000000000000000000"
	WebSecret   = "not-a-secret-weir-lab-web"

	// UserEmail and UserPassword belong to the person that there is at the start.
	UserEmail    = "user@example.com"
	UserPassword = "not-a-secret-weir-lab-user"
)

// Places of the categories in Stats.
const (
	AuthenticationAPI = iota
	ManagementAPI
	ExampleAPI // the two of seed 001's examples
)

// Config says what the tenant is like. The zero value is a tenant of the plan
// "free".
type Config struct {
	// Base is the URL under which the handler is reached, without a trailing
	// slash; empty means http://127.0.0.1.
	Base string

	// Tier is the name of one of Tiers; empty means free. Limits, when not nil,
	// are the limits instead of the tier's.
	Tier   string
	Limits *Limits

	// Burst is the public performance burst of an enterprise tenant: 2, 3 or 4
	// times the sustained limit of the Authentication API, for 48 hours a month.
	// 0 or 1 means none.
	Burst int

	// ErrorPage is the tenant's own error page, to which refused people are sent.
	// Empty means Auth0's page.
	ErrorPage string

	// Log gets every entry of the tenant log as a line of JSON, when not nil. Keep
	// is how many entries can be read; 0 means 10,000.
	Log  io.Writer
	Keep int

	// RetryAfter adds a Retry-After header to refusals. Auth0 documents none.
	RetryAfter bool

	// MaxKeys bounds the buckets by user and by address; 0 means 100,000.
	MaxKeys int

	// Latency, Faults, Seed and Clock are as in stand.Config.
	Latency stand.Latency
	Faults  stand.Faults
	Seed    uint64
	Clock   func() time.Time
}

// Tenant is the stand-in: an http.Handler. It is safe for concurrent use and
// owns no goroutines.
type Tenant struct {
	cfg      Config
	limits   Limits
	stand    *stand.Stand
	table    *enforce.Table
	buckets  []bucket        // as the entries of the table
	policies []limit.Policy  // likewise
	rules    map[string]rule // by route; "" and "/api/v2/" for all others
	log      *tenantlog.Log
	people   people
	mux      *http.ServeMux
}

// New builds a tenant. The error names the field that is wrong.
func New(cfg Config) (*Tenant, error) {
	cfg.Base = strings.TrimSuffix(cmp.Or(cfg.Base, "http://127.0.0.1"), "/")
	t := &Tenant{cfg: cfg}
	if err := t.choose(); err != nil {
		return nil, fmt.Errorf("auth0 stand-in: %w", err)
	}
	var err error
	t.stand, err = stand.New(stand.Config{
		Quotas: []stand.Quota{
			AuthenticationAPI: {Category: "Authentication API"},
			ManagementAPI:     {Category: "Management API"},
			ExampleAPI:        {Category: "Examples"},
		},
		Latency: cfg.Latency, Faults: cfg.Faults, Seed: cfg.Seed, Clock: cfg.Clock,
	})
	if err != nil {
		return nil, fmt.Errorf("auth0 stand-in: %w", err)
	}
	if err := t.arrange(); err != nil {
		return nil, fmt.Errorf("auth0 stand-in: %w", err)
	}
	host := cfg.Base
	if u, err := url.Parse(cfg.Base); err == nil {
		host = u.Host
	}
	t.log = tenantlog.New(tenantlog.Options{
		Tenant: "weir-lab", Environment: "lab", Hostname: host, Keep: cfg.Keep, Lines: cfg.Log,
	})
	t.people.init()
	t.mux = t.routes()
	return t, nil
}

// choose settles which limits hold.
func (t *Tenant) choose() error {
	if b := t.cfg.Burst; b < 0 || b > 4 {
		return fmt.Errorf("burst %d: must be 2, 3 or 4 times the sustained limit, or 0 for none", b)
	}
	if page := t.cfg.ErrorPage; page != "" {
		u, err := url.Parse(page)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("error page: must be an http or https URL")
		}
	}
	if t.cfg.Limits != nil {
		t.limits = *t.cfg.Limits
		return nil
	}
	name := cmp.Or(t.cfg.Tier, "free")
	var names []string
	for _, tier := range Tiers() {
		if tier.Name == name {
			t.limits = tier.Limits
			return nil
		}
		names = append(names, tier.Name)
	}
	return fmt.Errorf("tier %q: there is none; there are %s", name, strings.Join(names, ", "))
}

// Stand is the machinery below: counts, faults.
func (t *Tenant) Stand() *stand.Stand { return t.stand }

// Log is the tenant's log.
func (t *Tenant) Log() *tenantlog.Log { return t.log }

// Commands are shell lines to try against the tenant when it is reached at base.
func (t *Tenant) Commands(base string) [][2]string {
	token := "curl -sS " + base + "/oauth/token -d grant_type=client_credentials -d client_id=" + MachineClientID +
		" -d client_secret=" + MachineSecret + " -d audience=" + base + "/api/v2/"
	return [][2]string{
		{"one token", token},
		{"its limit, request by request", "curl -sS -i " + base + "/ratelimitexample"},
		{"into its limit", "weir run " + base + "/ratelimitexample -u 1 -r 1 -t 5s"},
		{"its log", "curl -sS '" + base + "/api/v2/logs?q=type:api_limit' -H \"Authorization: Bearer $(" + token + " | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\""},
	}
}

// With returns the limits with another one for the whole Authentication API, of
// any algorithm, and none for its endpoints.
func (l Limits) With(p limit.Policy) Limits {
	l.Authentication = []Bucket{{Burst: p.Capacity(), Sustained: p.Limit, Per: p.Window, policy: p}}
	l.Endpoints = nil
	return l
}
