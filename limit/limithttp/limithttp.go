// Package limithttp is net/http middleware that keeps rate limits: a Limiter,
// made from policies in Go or from a policy file, stands before a handler,
// answers what is over the limit, and tells clients where they stand.
//
//	l, err := limithttp.New(limithttp.Config{Policies: []limithttp.Policy{{
//		Policy: limit.Policy{Name: "api", Limit: 10, Window: time.Second},
//		Key:    limithttp.ByClient,
//		Tell:   "ratelimit",
//	}}})
//	…
//	http.ListenAndServe("127.0.0.1:8080", l.Handler(mux))
//
// Counts are kept in this process, by the algorithms of package limit, which are
// exact under any concurrency. A client that obeys the figures it is told is not
// refused, as long as it is the only one with its key.
//
// # Several policies
//
// A request meets every policy that is for it. It is admitted if all admit it,
// and takes from all or from none.
//
// # Whose address
//
// The client's address is that of the connection. X-Forwarded-For is believed
// from TrustedProxies alone, and read from the right, past the trusted addresses.
package limithttp

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
)

// Config says what a Limiter keeps. It needs either Policies or a File.
type Config struct {
	// Policies are the limits, in Go.
	Policies []Policy

	// File is a policy file instead: Weir's YAML, or Azure API Management's
	// policy XML, whose limits for subscriptions count by what Ocp-Apim-Subscription-Key
	// or ?subscription-key= says. FileName is for errors.
	File     []byte
	FileName string

	// TrustedProxies are networks such as 10.0.0.0/8, or addresses, whose
	// X-Forwarded-For is believed.
	TrustedProxies []string

	// IPv6Prefix is how many bits of an IPv6 address make a client: who has one
	// address has its whole network. Zero means 64; 128 takes each by itself.
	IPv6Prefix int

	// MaxKeys is the most counts that are kept at once. A key is forgotten when
	// its count no longer matters, and not before: new keys beyond MaxKeys share
	// one count for each policy. Zero means a million.
	MaxKeys int

	// Refuse answers a request that is refused, in place of what the policy says.
	// The fields that tell the limits have been set; status and body are its own.
	Refuse func(w http.ResponseWriter, r *http.Request, e Event)

	// Observe is told of every decision of every policy, by the goroutine that
	// serves the request: it must be quick.
	Observe func(Event)

	// Clock returns the present, for tests. Nil is the wall clock, kept steady.
	Clock func() time.Time
}

// Policy is a limit, and the requests that it is for.
type Policy struct {
	limit.Policy

	// Match are the requests it is for, any of them: "POST /login", "/api/**" or
	// "GET,HEAD /files/*". A segment * stands for any one, a last ** for the
	// rest. None means every request.
	Match []string

	// Key returns what a request is counted by. Nil is one count for all.
	Key Key

	// Cost returns how many units a request takes; zero or below takes none. Nil
	// is 1.
	Cost func(*http.Request) int64

	// Shadow decides and lets pass whatever the decision: to try a limit.
	Shadow bool

	// Tell is how every answer carries the figures: "ratelimit" (the IETF draft's
	// RateLimit and RateLimit-Policy), "x-ratelimit", "github" and others; "" is
	// not at all, but for refusals, which carry "ratelimit".
	Tell string

	// Answer is what a refused request gets: "apim", "auth0", "cognito", or one
	// of the words of Tell. "" is 429 without a body.
	Answer string
}

// Key returns what a request is counted by. client is where it came from, as
// Limiter.Client says.
type Key func(r *http.Request, client string) string

// ByClient counts by the client's address, or its IPv6 network.
func ByClient(_ *http.Request, client string) string { return client }

// ByHeader counts by the first value of a header field. Requests without it
// share a count.
func ByHeader(name string) Key {
	return func(r *http.Request, _ string) string { return r.Header.Get(name) }
}

// Event is what a policy has said of a request. Key may be any bytes, and secret.
type Event struct {
	Time     time.Time
	Kind     string // allowed, refused, shadow-refused, warned or failed
	Policy   string // its name
	Key      string
	Decision limit.Decision
}

// Limiter keeps policies. Make one with New. It is safe for concurrent use,
// starts no goroutine and needs no Close.
type Limiter struct {
	cfg     Config
	guard   *guard.Guard
	proxies guard.Proxies
	match   [][]policy.Match // of Config.Policies
}

// New returns a Limiter. The error says what is wrong in the configuration; of a
// file, every problem with line and column.
func New(cfg Config) (*Limiter, error) {
	if cfg.IPv6Prefix == 0 {
		cfg.IPv6Prefix = 64
	}
	l := &Limiter{cfg: cfg}
	var err error
	if l.proxies, err = guard.ParseProxies(cfg.TrustedProxies...); err != nil {
		return nil, fmt.Errorf("limithttp: trusted proxies: %w", err)
	}
	var f *policy.File
	switch {
	case cfg.IPv6Prefix < 0 || cfg.IPv6Prefix > 128:
		return nil, fmt.Errorf("limithttp: IPv6Prefix %d: must be from 1 to 128", cfg.IPv6Prefix)
	case (len(cfg.Policies) > 0) == (cfg.File != nil):
		return nil, errors.New("limithttp: give either Policies or a File")
	case cfg.File != nil:
		f, err = read(cfg.FileName, cfg.File)
	default:
		f, err = l.compile(cfg.Policies)
	}
	if err != nil {
		return nil, err
	}
	o := guard.Options{Clock: cfg.Clock, MaxKeys: cfg.MaxKeys}
	if cfg.Observe != nil {
		o.Observe = func(e *guard.Event) {
			cfg.Observe(Event{Time: e.At, Kind: e.Kind.String(), Policy: e.Policy.Name, Key: e.Key, Decision: e.Decision})
		}
	}
	if l.guard, err = guard.New(f, o); err != nil {
		return nil, fmt.Errorf("limithttp: %w", err)
	}
	return l, nil
}

// Reload puts another file in force, of a Limiter made from one. Counts are kept
// by the policies' ids or names. When the file is not valid, nothing changes.
func (l *Limiter) Reload(file []byte) error {
	if l.cfg.File == nil {
		return errors.New("limithttp: a limiter made of Policies has no file to reload")
	}
	f, err := read(l.cfg.FileName, file)
	if err != nil {
		return err
	}
	if err := l.guard.Replace(f); err != nil {
		return fmt.Errorf("limithttp: %w", err)
	}
	return nil
}

// compile makes a file of policies in Go. Keys, costs and matches are worked out
// for each request, and not by the file.
func (l *Limiter) compile(policies []Policy) (*policy.File, error) {
	f := &policy.File{}
	var errs []error
	for i, p := range policies {
		var match []policy.Match
		for _, text := range p.Match {
			m, err := policy.ParseMatch(text)
			if err != nil {
				errs = append(errs, fmt.Errorf("limithttp: policy %d (%q): match %q: %w", i, p.Name, text, err))
			}
			match = append(match, m)
		}
		l.match = append(l.match, match)
		compiled := policy.Policy{Policy: p.Policy, Shadow: p.Shadow}
		if compiled.Tell.Dialect = header.Dialect(p.Tell); p.Tell != "" && !writable(compiled.Tell.Dialect) {
			errs = append(errs, fmt.Errorf("limithttp: policy %d (%q): tell %q is not known; known are %v", i, p.Name, p.Tell, header.Writable()))
		}
		if compiled.Answer.Name = p.Answer; p.Answer != "" {
			if _, ok := compiled.Answer.Spelled(); !ok {
				errs = append(errs, fmt.Errorf("limithttp: policy %d (%q): answer %q is not known; known are %v", i, p.Name, p.Answer, policy.KnownAnswers()))
			}
		}
		f.Policies = append(f.Policies, compiled)
	}
	return f, errors.Join(errs...)
}

func writable(d header.Dialect) bool {
	for _, w := range header.Writable() {
		if w == d {
			return true
		}
	}
	return false
}
