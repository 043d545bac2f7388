// Package apim is Gateway: a local stand-in of an Azure API Management gateway,
// with its products, subscriptions, APIs, operations and policies.
//
// A call is matched to an API and an operation, its subscription key is looked
// up, and the limits of the four scopes are asked in the order in which the
// policy documents compose (package policy/apim). What an API answers behind
// them is a fixed text. Policies that do not limit are not carried out.
//
// # How faithful it is
//
// Sources are Microsoft's documentation, as package policy/apim cites it, and
// answers of the service that others have recorded:
//
//   - 401 without a key: "HTTP/1.1 401 Access Denied", Content-Length 152,
//     WWW-Authenticate: AzureApiManagementKey realm=…, recorded by several, among
//     them learn.microsoft.com "401 unauthorized error in Azure API Management",
//     read 2026-11-21
//   - 404: { "statusCode": 404, "message": "Resource not found" }, in a support
//     page for PowerPlex plug-ins of learn.microsoft.com, read 2026-11-21
//   - 429: Content-Length 84, { "statusCode": 429, "message": "Rate limit is
//     exceeded. Try again in 57 seconds." }, with Retry-After: 57, in "Get a
//     record of Power BI activity" of learn.microsoft.com, read 2026-11-21
//   - 403: { "statusCode": 403, "message": "Out of call volume quota. Quota will be
//     replenished in 00:06:46." } with Retry-After: 406, SKY API of Blackbaud,
//     recorded 2016-05-24
//   - an empty counter-key: 500, "The counter-key field is required"
//     (MicrosoftDocs/azure-docs issue 77160); the form around the words is our choice
//
// The real service counts in each gateway of a region by itself and says that
// its limits are "never completely accurate". This one is accurate.
package apim

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/lab/stand"
	policyapim "github.com/weir-dev/weir/internal/policy/apim"
)

// The header and the query parameter that a subscription key comes in:
// articles/api-management/api-management-subscriptions.md, read 2026-11-21.
const (
	KeyHeader = "Ocp-Apim-Subscription-Key"
	KeyQuery  = "subscription-key"
)

// Gateway is the stand-in: an http.Handler, safe for concurrent use.
type Gateway struct {
	cfg    Config
	stand  *stand.Stand
	guard  *guard.Guard
	limits *policyapim.Composition

	apis  []*api // the longest path first
	keys  map[string]*Subscription
	open  map[string]*Product // by API: the first product that needs no subscription
	serve map[string]map[string]bool
	named map[string]*Product
	calls atomic.Uint64
}

// New builds a gateway. The error names the file and the place, or the field,
// that is wrong, and never contains a key.
func New(cfg Config) (*Gateway, error) {
	if cfg.isEmpty() {
		clock, latency, faults, seed, history := cfg.Clock, cfg.Latency, cfg.Faults, cfg.Seed, cfg.History
		cfg = Default()
		cfg.Clock, cfg.Latency, cfg.Faults, cfg.Seed, cfg.History = clock, latency, faults, seed, history
	}
	g := &Gateway{cfg: cfg}
	if err := g.build(); err != nil {
		return nil, fmt.Errorf("apim stand-in: %w", err)
	}
	return g, nil
}

func (g *Gateway) build() error {
	if err := g.cfg.validate(); err != nil {
		return err
	}
	if err := g.route(); err != nil {
		return err
	}
	var quotas []stand.Quota
	for i := range g.cfg.APIs {
		quotas = append(quotas, stand.Quota{Category: g.cfg.APIs[i].ID})
	}
	var err error
	g.stand, err = stand.New(stand.Config{
		Quotas: quotas, Latency: g.cfg.Latency, Faults: g.cfg.Faults, Seed: g.cfg.Seed, History: g.cfg.History, Clock: g.cfg.Clock,
	})
	if err != nil {
		return err
	}
	if err := g.compose(); err != nil {
		return err
	}
	g.guard, err = guard.New(g.limits.File, guard.Options{Clock: g.stand.Now, RequireKey: true, Origin: g.stand.Now()})
	return err
}

// compose reads the policy documents and puts the scopes together.
func (g *Gateway) compose() error {
	c := &g.cfg
	o := policyapim.Options{
		Values: c.Values, Fragments: map[string]*policyapim.Document{}, TokenBucket: c.Tier == V2,
		// The periods of quota count from the start of the subscription, which here
		// is that of the stand-in.
		Start: g.stand.Now().Unix(),
	}
	var docs []policyapim.Placed
	var errs []error
	parse := func(p Policy) *policyapim.Document {
		if p.Text == "" {
			return nil
		}
		d, err := policyapim.ParseWith(p.Name, []byte(p.Text), c.values())
		if err != nil {
			errs = append(errs, err)
		}
		return d
	}
	for id, p := range c.Fragments {
		if d := parse(p); d != nil {
			o.Fragments[id] = d
		}
	}
	place := func(p Policy, s policyapim.Scope) {
		if d := parse(p); d != nil {
			docs = append(docs, policyapim.Placed{Scope: s, Document: d})
		}
	}
	place(c.Policy, policyapim.Scope{})
	for _, p := range c.Products {
		place(p.Policy, policyapim.Scope{Kind: policyapim.Product, ID: p.ID})
	}
	for _, a := range c.APIs {
		place(a.Policy, policyapim.Scope{Kind: policyapim.API, ID: a.ID})
		for _, op := range a.Operations {
			place(op.Policy, policyapim.Scope{Kind: policyapim.Operation, ID: op.ID, API: a.ID})
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	var err error
	g.limits, err = policyapim.Compose(docs, o)
	return err
}

// Stand is the machinery below: counts and faults. The categories are the APIs.
func (g *Gateway) Stand() *stand.Stand { return g.stand }

// Notes are lines on what the policy documents have and the stand-in does not do.
func (g *Gateway) Notes() []string {
	var out []string
	for _, n := range g.limits.File.Notes {
		out = append(out, fmt.Sprintf("%s (line %d)", n.Text, n.Line))
	}
	return out
}

// Commands are shell lines to try, a title and a line each. A key is shown only
// where it is the default one, which is none.
func (g *Gateway) Commands(base string) [][2]string {
	var out [][2]string
	header := ""
	for i := range g.cfg.Subscriptions {
		if s := &g.cfg.Subscriptions[i]; header == "" {
			header = ` -H "` + KeyHeader + `: $SUBSCRIPTION_KEY"`
			if s.Key == DefaultKey {
				header = " -H '" + KeyHeader + ": " + DefaultKey + "'"
			}
		}
	}
	for _, a := range g.cfg.APIs {
		if len(a.Operations) == 0 || len(out) == 4 {
			continue
		}
		op := a.Operations[0]
		line := "curl -sS -i" + header
		if op.Method != "GET" {
			line += " -X " + op.Method
		}
		out = append(out, [2]string{"a call of " + a.ID, line + " '" + base + join(a.Path, op.Template) + "'"})
	}
	return out
}

func join(path, template string) string {
	return "/" + strings.Trim(strings.Trim(path, "/")+"/"+strings.Trim(template, "/"), "/")
}
