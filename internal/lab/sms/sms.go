// Package sms is App: a local stand-in of a system that sends text messages to
// customers, with the behaviour of Django REST Framework on the wire, PostgreSQL
// or SQLite below, and Amazon SNS (or a stand-in of it) behind.
//
// It is the system of seed 002. An administrator logs in, registers a customer,
// makes a one-time token, registers a template, sends a message with them, and
// reads the history:
//
//	POST /api/auth/login             {"username", "password"} → sessionid and csrftoken cookies
//	POST /api/auth/logout
//	GET, POST /api/customers         {"phone_number", "name"?}
//	GET  /api/customers/ID
//	GET, POST /api/customers/ID/templates  {"name", "content"}
//	POST /api/tokens                 {"customer_id"}
//	POST /api/sms/send               {"phone_number", "token", "customer_id", "template_id"}
//	GET  /api/sms/history            ?page= &page_size=
//
// # How faithful it is
//
// testdata/record holds the same system written in Django REST Framework, and the
// answers it gave to some 450 requests (testdata/django.json names the versions).
// A test replays them here and compares status, headers, cookies and body. Where a
// comment says "recorded", that is what it means. Known differences: a charset other
// than UTF-8 is not decoded, a body of more than 1 MiB is refused with 413, and
// net/http writes headers in its own order.
//
// # The limit
//
// Sending is limited for each user: 1,000 an hour by default, as a sliding log
// that refused requests do not enter, which is how the framework's throttles
// count. Every request of a signed-in user to /api/sms/send counts, whatever
// becomes of it; those that fail the CSRF check do not reach the limit.
//
// # Bottlenecks
//
// Pool, PoolTimeout, SlowQuery, Lock, PasswordIterations and SNS.Latency make the
// system slow in the ways that real ones are; see Config.
package sms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/sns"
	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

// The credentials of the default fixtures: nobody can mistake them for real ones.
const (
	DefaultUsername = "admin"
	DefaultPassword = "password123"
)

// Config says what the system is like. The zero value is a fast system in memory
// with one administrator.
type Config struct {
	// Database is where data are kept: empty for SQLite in memory, a
	// postgres:// or postgresql:// URL, or else the path of an SQLite file. Tables
	// are made when they are missing.
	Database string

	// Fixtures is JSON in the form of Django's dumpdata, with the models
	// accounts.user and accounts.profile; nil means DefaultFixtures. A password can be
	// a pbkdf2_sha256 hash or plain text; a user without the field gets
	// DefaultPassword, because the example of seed 002 has none.
	Fixtures []byte

	// SendLimit is enforced on sending, for each user; nil means 1,000 an hour
	// as a sliding log.
	SendLimit *limit.Policy

	// TrustedOrigins are CSRF_TRUSTED_ORIGINS, such as "https://*.example.org";
	// nil means http://localhost:3000, where seed 002 has its pages.
	TrustedOrigins []string

	// TokenLife is how long a token can be used; 0 means 10 minutes.
	TokenLife time.Duration

	// SNSEndpoint is where Publish is sent, such as http://127.0.0.1:4566 for
	// LocalStack; empty means a stand-in inside, with the settings SNS. Hosts of
	// amazonaws.com are refused: messages there would be real.
	SNSEndpoint string
	SNS         sns.Config

	// Pool is how many requests can use the database at once, as the threads of
	// an application server do; each keeps its connection from its first query to its
	// answer, sending included. 0 means 20. With PostgreSQL it is the number of
	// connections, to be held against max_connections.
	Pool int

	// PoolTimeout is how long a request waits for a connection before it fails
	// with 500; 0 means 30 s, as in Django's pool.
	PoolTimeout time.Duration

	// SlowQuery makes the query of the history take this much longer: in
	// PostgreSQL by pg_sleep inside the statement, so that it is seen in pg_stat_activity.
	SlowQuery time.Duration

	// Lock makes each send lock one row that all share, for this long: a
	// SELECT … FOR UPDATE on sms_gateway. At most 1/Lock sends a second can pass.
	Lock time.Duration

	// PasswordIterations is the cost of a password hash for fixtures that give a
	// password in plain text; 0 means 1,000. Django 5.2 has 1,000,000, about 0.3 s of
	// CPU for each login.
	PasswordIterations int

	// Latency, Faults, Seed, History and Clock are as in stand.Config. Faults
	// meet requests before they meet the database.
	Latency stand.Latency
	Faults  stand.Faults
	Seed    uint64
	History int
	Clock   func() time.Time
}

// maxKnob bounds the configured waits, so that a mistyped unit is refused.
const maxKnob = time.Hour

// DefaultSendLimit is 1,000 messages an hour for each user, what seed 002 set out
// to prove, counted as rest_framework.throttling.SimpleRateThrottle counts.
func DefaultSendLimit() limit.Policy {
	return limit.Policy{Name: "sms per user", Algorithm: limit.SlidingLog, Limit: 1000, Window: time.Hour}
}

// App is the stand-in: an http.Handler, safe for concurrent use. It has to be
// closed, for the database's sake.
type App struct {
	cfg     Config
	stand   *stand.Stand
	store   *store
	desk    map[int64]int // the stand's category of a user's sends
	gateway *gateway
	sns     *sns.Service // nil when SNSEndpoint is set
	origins origins
}

// otherCategory counts everything but sends. Users have the categories after it.
const otherCategory = 0

// New builds the system: it opens the database and loads the fixtures. ctx bounds
// the building alone. The error names the field that is wrong and never contains a
// password.
func New(ctx context.Context, cfg Config) (*App, error) {
	cfg.fill()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("sms stand-in: %w", err)
	}
	a := &App{cfg: cfg, desk: map[int64]int{}}
	var err error
	if a.origins, err = parseOrigins(cfg.TrustedOrigins); err != nil {
		return nil, fmt.Errorf("sms stand-in: %w", err)
	}
	rows, err := parseFixtures(cfg.Fixtures, cfg.PasswordIterations)
	if err != nil {
		return nil, fmt.Errorf("sms stand-in: %w", err)
	}
	if err := a.connectGateway(); err != nil {
		return nil, fmt.Errorf("sms stand-in: %w", err)
	}
	if a.store, err = openStore(ctx, &cfg); err != nil {
		return nil, fmt.Errorf("sms stand-in: %w", err)
	}
	if err := a.open(ctx, rows); err != nil {
		return nil, errors.Join(fmt.Errorf("sms stand-in: %w", err), a.Close())
	}
	return a, nil
}

func (a *App) open(ctx context.Context, rows *fixtures) error {
	if err := a.store.load(ctx, rows); err != nil {
		return err
	}
	users, err := a.store.users(ctx)
	if err != nil {
		return err
	}
	quotas := []stand.Quota{{Category: "requests"}}
	for _, u := range users {
		a.desk[u.ID] = len(quotas)
		quotas = append(quotas, stand.Quota{Category: "send by " + u.Username, Policy: a.cfg.SendLimit})
	}
	a.stand, err = stand.New(stand.Config{
		Quotas: quotas, Latency: a.cfg.Latency, Faults: a.cfg.Faults, Seed: a.cfg.Seed, History: a.cfg.History, Clock: a.cfg.Clock,
	})
	return err
}

func (c *Config) fill() {
	if c.Fixtures == nil {
		c.Fixtures = DefaultFixtures()
	}
	if c.SendLimit == nil {
		p := DefaultSendLimit()
		c.SendLimit = &p
	}
	if c.TrustedOrigins == nil {
		c.TrustedOrigins = []string{"http://localhost:3000"}
	}
	if c.TokenLife == 0 {
		c.TokenLife = 10 * time.Minute
	}
	if c.Pool == 0 {
		c.Pool = 20
	}
	if c.PoolTimeout == 0 {
		c.PoolTimeout = 30 * time.Second
	}
	if c.PasswordIterations == 0 {
		c.PasswordIterations = 1000
	}
	if c.SNS.Clock == nil {
		c.SNS.Clock = c.Clock
	}
}

func (c *Config) validate() error {
	var errs []error
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"token life", c.TokenLife}, {"pool timeout", c.PoolTimeout}, {"slow query", c.SlowQuery}, {"lock", c.Lock}} {
		if d.d < 0 || d.d > maxKnob {
			errs = append(errs, fmt.Errorf("%s %v: must be between 0 and %v", d.name, d.d, maxKnob))
		}
	}
	if c.Pool < 1 || c.Pool > 10_000 {
		errs = append(errs, fmt.Errorf("pool %d: must be a number of connections from 1 to 10000", c.Pool))
	}
	if c.PasswordIterations < 1 || c.PasswordIterations > maxIterations {
		errs = append(errs, fmt.Errorf("password iterations %d: must be between 1 and %d", c.PasswordIterations, maxIterations))
	}
	if err := c.SendLimit.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("send limit: %w", err))
	}
	return errors.Join(errs...)
}

// connectGateway decides where messages go.
func (a *App) connectGateway() error {
	if a.cfg.SNSEndpoint == "" {
		var err error
		if a.sns, err = sns.New(a.cfg.SNS); err != nil {
			return err
		}
		a.gateway = &gateway{endpoint: "http://sns.invalid/", client: &http.Client{Transport: inside{a.sns}}}
		return nil
	}
	u, err := url.Parse(a.cfg.SNSEndpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("sns endpoint: want a URL such as http://127.0.0.1:4566")
	}
	if host := strings.ToLower(u.Hostname()); host == "amazonaws.com" || strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn") {
		return fmt.Errorf("sns endpoint %s: messages there would be real and would be paid for: use LocalStack, or leave it out", host)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	transport := &http.Transport{MaxIdleConnsPerHost: a.cfg.Pool, MaxConnsPerHost: a.cfg.Pool}
	a.gateway = &gateway{endpoint: u.String(), client: &http.Client{Transport: transport}, close: transport.CloseIdleConnections}
	return nil
}

// Close closes the database. Requests must have ended.
func (a *App) Close() error {
	if a.gateway.close != nil {
		a.gateway.close()
	}
	if err := a.store.db.Close(); err != nil {
		return fmt.Errorf("sms stand-in: database: %w", err)
	}
	return nil
}

// Stand is the machinery below: counts, limits, faults.
func (a *App) Stand() *stand.Stand { return a.stand }

// SNS is the stand-in inside, or nil when messages go to an endpoint.
func (a *App) SNS() *sns.Service { return a.sns }

// Commands are shell lines to try, a title and a line each.
func (a *App) Commands(base string) [][2]string {
	const json = " -H 'Content-Type: application/json'"
	lines := [][2]string{
		{"log in, keep the cookies", "curl -sS -i -c jar" + json + ` -d '{"username":"` + DefaultUsername + `","password":"` + DefaultPassword + `"}' ` + base + "/api/auth/login"},
		{"register a customer", `curl -sS -b jar -H "X-CSRFToken: $(awk '$6 == "csrftoken" {print $7}' jar)"` + json + ` -d '{"phone_number":"09012345678"}' ` + base + "/api/customers"},
		{"the history", "curl -sS -b jar " + base + "/api/sms/history"},
	}
	if a.sns != nil {
		lines = append(lines, [2]string{"what was sent", "curl -sS " + base + sns.SentPath})
	}
	return lines
}
