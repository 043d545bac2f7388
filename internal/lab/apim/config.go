package apim

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/stand"
)

// Tier is how the service counts rate limits.
type Tier string

// The tiers: includes/api-management-rate-limit-implementation-v2.md of
// MicrosoftDocs/azure-docs, 2025-11-14: "The v2 tiers use a token bucket algorithm
// for rate limiting, which differs from the sliding window algorithm in classic
// tiers."
const (
	Classic Tier = "classic"
	V2      Tier = "v2"
)

// Config says what the gateway has. The zero value is Default.
type Config struct {
	Tier      Tier              // "" is Classic
	Region    string            // context.Deployment.Region; "" is Local
	Values    map[string]string // the named values, {{name}} in policies
	Fragments map[string]Policy // by fragment-id

	Policy        Policy // of the global scope
	Products      []Product
	APIs          []API
	Subscriptions []Subscription

	// Latency, Faults, Seed, History and Clock are as in stand.Config.
	Latency stand.Latency
	Faults  stand.Faults
	Seed    uint64
	History int
	Clock   func() time.Time
}

// Policy is a policy document. The zero value is none.
type Policy struct {
	Name string // of its file, for errors
	Text string
}

// Product is a bundle of APIs.
type Product struct {
	ID, Name string
	Open     bool     // it needs no subscription
	APIs     []string // the IDs of what it contains
	Policy   Policy
}

// API is a set of operations below a path.
type API struct {
	ID, Name   string
	Path       string // prefix of its operations' paths; "" for the root
	Open       bool   // it needs no subscription
	KeyHeader  string // where the key comes in; "" is KeyHeader
	KeyQuery   string // "" is KeyQuery
	Policy     Policy
	Operations []Operation
}

// Operation is what can be called.
type Operation struct {
	ID, Name string
	Method   string
	Template string // such as /things/{id} or /files/*
	Policy   Policy

	// Status and Body are what answers behind the limits; 0 is 200, and an empty
	// body one that names the operation. ContentType "" is application/json.
	Status      int
	Body        string
	ContentType string
}

// Subscription is a pair of keys and what they open: a product, an API, or all
// APIs when both are "".
type Subscription struct {
	ID, Name     string
	Key, Second  string
	Product, API string
	User         string // the ID of its owner
	Suspended    bool
}

// The default configuration is the one of seed 004: a product with one
// subscription and four APIs, two with each of the limits that are compared.
const (
	// DefaultKey is the key of the default subscription; it opens nothing real.
	DefaultKey = "weir-lab-subscription-key"

	// DefaultPeriod is the renewal-period of the experiment, in seconds.
	DefaultPeriod = 10
)

// Default is the configuration of the zero Config.
func Default() Config {
	c := Config{
		Tier:          Classic,
		Products:      []Product{{ID: "sample", Name: "Sample"}},
		Subscriptions: []Subscription{{ID: "sample-subscription", Name: "Sample", Key: DefaultKey, Product: "sample"}},
	}
	for _, a := range []struct{ id, limit string }{
		{"rate-limit-3", `<rate-limit calls="3" renewal-period="10" />`},
		{"rate-limit-5", `<rate-limit calls="5" renewal-period="10" />`},
		{"rate-limit-by-key-3", `<rate-limit-by-key calls="3" renewal-period="10" counter-key="@(context.Subscription.Id)" />`},
		{"rate-limit-by-key-5", `<rate-limit-by-key calls="5" renewal-period="10" counter-key="@(context.Subscription.Id)" />`},
	} {
		c.Products[0].APIs = append(c.Products[0].APIs, a.id)
		c.APIs = append(c.APIs, API{
			ID: a.id, Name: a.id, Path: a.id,
			Policy: Policy{Name: a.id + ".xml", Text: "<policies>\n    <inbound>\n        <base />\n        " + a.limit +
				"\n    </inbound>\n    <backend>\n        <base />\n    </backend>\n    <outbound>\n        <base />\n    </outbound>\n    <on-error>\n        <base />\n    </on-error>\n</policies>\n"},
			Operations: []Operation{{ID: "op", Name: "op", Method: http.MethodGet, Template: "/"}},
		})
	}
	return c
}

func (c *Config) isEmpty() bool {
	return c.Tier == "" && c.Policy.Text == "" && len(c.Products)+len(c.APIs)+len(c.Subscriptions)+len(c.Fragments)+len(c.Values) == 0
}

// values are the named values; never nil, so that unknown ones are looked for.
func (c *Config) values() map[string]string {
	if c.Values == nil {
		return map[string]string{}
	}
	return c.Values
}

// most bounds the lists of a configuration.
const most = 10_000

// validate checks what the parts say of each other, and fills in names.
func (c *Config) validate() error {
	var errs []error
	fault := func(format string, args ...any) {
		if len(errs) < 50 {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if c.Tier == "" {
		c.Tier = Classic
	}
	if c.Tier != Classic && c.Tier != V2 {
		fault("tier: %q is not known; write classic (sliding window) or v2 (token bucket)", string(c.Tier))
	}
	if c.Region == "" {
		c.Region = "Local"
	}
	if len(c.APIs) == 0 {
		fault("apis: there are none; give at least one with an operation")
	}
	if len(c.APIs) > most || len(c.Products) > most || len(c.Subscriptions) > most {
		return fmt.Errorf("more than %d APIs, products or subscriptions", most)
	}
	apis, products := map[string]bool{}, map[string]bool{}
	paths := map[string]string{}
	for i := range c.APIs {
		a := &c.APIs[i]
		at := fmt.Sprintf("apis[%d]", i)
		identify(fault, at, a.ID, &a.Name, apis)
		a.Path = strings.Trim(a.Path, "/")
		if other, twice := paths[a.Path]; twice {
			fault("%s.path: /%s is the path of %s already", at, a.Path, other)
		}
		paths[a.Path] = a.ID
		if strings.ContainsAny(a.Path, "{}*?#% \t\r\n") || strings.Contains(a.Path, "//") {
			fault("%s.path: %q: write it plainly, without {, *, ?, %% and spaces", at, a.Path)
		}
		if a.KeyHeader == "" {
			a.KeyHeader = KeyHeader
		}
		if a.KeyQuery == "" {
			a.KeyQuery = KeyQuery
		}
		operations := map[string]bool{}
		if len(a.Operations) == 0 {
			fault("%s.operations: there are none; give for example {id: get, method: GET, path: /}", at)
		}
		for j := range a.Operations {
			op := &a.Operations[j]
			at := fmt.Sprintf("%s.operations[%d]", at, j)
			identify(fault, at, op.ID, &op.Name, operations)
			op.Method = strings.ToUpper(op.Method)
			if op.Method == "" {
				op.Method = http.MethodGet
			}
			if strings.Trim(op.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
				fault("%s.method: %q is no method; write for example GET", at, op.Method)
			}
			if op.Status != 0 && (op.Status < 200 || op.Status > 599) {
				fault("%s.status: %d: must be between 200 and 599", at, op.Status)
			}
		}
	}
	for i := range c.Products {
		p := &c.Products[i]
		at := fmt.Sprintf("products[%d]", i)
		identify(fault, at, p.ID, &p.Name, products)
		for _, id := range p.APIs {
			if !apis[id] {
				fault("%s.apis: there is no API %q", at, id)
			}
		}
	}
	c.subscriptions(fault, apis, products)
	return errors.Join(errs...)
}

func (c *Config) subscriptions(fault func(string, ...any), apis, products map[string]bool) {
	ids, keys := map[string]bool{}, map[string]int{}
	for i := range c.Subscriptions {
		s := &c.Subscriptions[i]
		at := fmt.Sprintf("subscriptions[%d]", i)
		identify(fault, at, s.ID, &s.Name, ids)
		if s.Key == "" {
			fault("%s.key: missing; a subscription is known by its key", at)
		}
		for _, key := range []string{s.Key, s.Second} {
			if key == "" {
				continue
			}
			if other, twice := keys[key]; twice {
				fault("%s.key: the same as one of subscriptions[%d]", at, other)
			}
			keys[key] = i
		}
		switch {
		case s.Product != "" && s.API != "":
			fault("%s: it is for a product or for an API, not for both", at)
		case s.Product != "" && !products[s.Product]:
			fault("%s.product: there is no product %q", at, s.Product)
		case s.API != "" && !apis[s.API]:
			fault("%s.api: there is no API %q", at, s.API)
		}
	}
}

// identify checks an ID and fills in the name.
func identify(fault func(string, ...any), at, id string, name *string, seen map[string]bool) {
	switch {
	case id == "":
		fault("%s.id: missing", at)
	case len(id) > 256 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '"' || r == '\\' }):
		fault("%s.id: %.40q: use up to 256 characters without spaces, quotes and backslashes", at, id)
	case seen[id]:
		fault("%s.id: %q is used twice", at, id)
	}
	seen[id] = true
	if *name == "" {
		*name = id
	}
}
