package auth0

import (
	"time"

	"github.com/weir-dev/weir/limit"
)

// Bucket is one limit as Auth0 publishes them.
type Bucket struct {
	Burst     int64         // what it holds
	Sustained int64         // what it gains at the head of each Per
	Per       time.Duration // a second, minute, hour or day

	policy limit.Policy // instead, when it has a Limit
}

// By says whose bucket a limit takes from.
type By uint8

const (
	AnyRequest      By = iota // "Any request"
	UserID                    // "To a unique User ID"
	Address                   // "From an IP Address"
	AddressAndEmail           // "From an IP Address to a unique Email Address"
)

// Endpoint is the limit of one endpoint, beside that of its API.
type Endpoint struct {
	Group   string   // what the log calls it
	Routes  []string // "POST /oauth/token", as http.ServeMux writes patterns
	By      By
	Buckets []Bucket // one; or two, of which the first is the burst that holds and the second what is sustained
}

// Limits are those of a tenant. An API or endpoint with two buckets takes from
// both (seed 001: the first becomes the effective burst limit, the second the
// effective sustained limit, and only those are published).
type Limits struct {
	Authentication, Management []Bucket
	Endpoints                  []Endpoint
}

// Published returns the burst and the sustained limit that Auth0 would publish
// for the buckets of one API or endpoint.
func Published(buckets []Bucket) (burst, sustained int64, per time.Duration) {
	if len(buckets) == 0 {
		return 0, 0, 0
	}
	last := buckets[len(buckets)-1]
	return buckets[0].Burst, last.Sustained, last.Per
}

// Tier is a plan of the service with its limits.
type Tier struct {
	Name   string
	Title  string // Auth0's
	Source string // the page
	Read   string // when it was read
	Limits Limits
}

// source is what the pages have in common.
const source = "https://auth0.com/docs/troubleshoot/customer-support/operational-policies/rate-limit-policy/rate-limit-configurations/"

// Tiers returns the plans, smallest first. What the stand-in does not serve is
// left out of the endpoints.
func Tiers() []Tier {
	const read = "2026-11-21"
	one := func(burst, sustained int64, per time.Duration) []Bucket {
		return []Bucket{{Burst: burst, Sustained: sustained, Per: per}}
	}
	// What every page has.
	common := []Endpoint{
		{Group: "userinfo", Routes: []string{"GET /userinfo", "POST /userinfo"}, By: UserID, Buckets: one(10, 5, time.Minute)},
		{Group: "change_password", Routes: []string{"POST /dbconnections/change_password"}, By: AddressAndEmail, Buckets: one(10, 1, time.Minute)},
		{Group: "signup", Routes: []string{"POST /dbconnections/signup", "POST /u/signup"}, By: Address, Buckets: one(50, 50, time.Minute)},
		{Group: "passwordless_start", Routes: []string{"GET /passwordless/start", "POST /passwordless/start"}, By: Address, Buckets: one(50, 50, time.Hour)},
	}
	// What only the page of the free plan has.
	free := append(common[:len(common):len(common)],
		Endpoint{Group: "oauth_token", Routes: []string{"POST /oauth/token"}, Buckets: one(30, 30, time.Second)},
		Endpoint{Group: "co_authenticate", Routes: []string{"POST /co/authenticate"}, Buckets: one(5, 5, time.Second)},
		Endpoint{Group: "usernamepassword_login", Routes: []string{"POST /usernamepassword/login"}, Buckets: one(5, 5, time.Second)},
		Endpoint{Group: "jwks", Routes: []string{"GET /.well-known/jwks.json"}, Buckets: one(20, 20, time.Second)},
	)
	private := func(name, title, page string, n, management int64) Tier {
		return Tier{name, title, source + page, read, Limits{one(n, n, time.Second), one(management, management, time.Second), common}}
	}
	return []Tier{
		{"free", "Free", source + "free-public", read, Limits{one(300, 300, time.Minute), one(2, 2, time.Second), free}},
		// The page's Authentication API only; the Management API as in enterprise,
		// which older pages give the same figures.
		{"self-service", "Self Service", source + "self-service-public", read, Limits{one(25, 25, time.Second), one(50, 16, time.Second), common}},
		{"enterprise", "Enterprise, production", source + "enterprise-public", read, Limits{one(100, 100, time.Second), one(50, 16, time.Second), common}},
		{"enterprise-dev", "Enterprise, non-production", source + "enterprise-public", read, Limits{one(100, 100, time.Second), one(10, 2, time.Second), common}},
		private("private-dev", "Tier Dev Private Cloud", "tier-20-development-private-cloud", 20, 20),
		private("private-100", "Private Cloud Basic 100 RPS (1x)", "tier-100-rps-private-cloud", 100, 50),
		private("private-500", "Private Cloud Performance 500 RPS (5x)", "tier-500-rps-private-cloud", 500, 250),
		private("private-1500", "Private Cloud Performance 1500 RPS (15x)", "tier-1500-rps-private-cloud", 1500, 750),
		private("private-10000", "Private Cloud Performance 10,000 RPS (100x)", "tier-10000-rps-private-cloud", 10_000, 5000),
	}
}

// examples are the two APIs of seed 001's tables.
func examples() []Endpoint {
	return []Endpoint{
		{Group: "ratelimitexample", Routes: []string{"GET /ratelimitexample"}, Buckets: []Bucket{{Burst: 5, Sustained: 10, Per: time.Second}}},
		{Group: "ratelimitexample2", Routes: []string{"GET /ratelimitexample2"}, Buckets: []Bucket{{Burst: 5, Sustained: 6, Per: time.Minute}}},
	}
}
