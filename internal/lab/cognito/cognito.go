// Package cognito is Pool: a local stand-in of the domain of an Amazon Cognito
// user pool, with its token endpoint, its quotas and its published keys.
//
// What it answers follows the Amazon Cognito Developer Guide where the guide
// says something, observations of the real service where somebody published
// them, and a choice of our own elsewhere; the comments tell which is which.
// Sources, referred to by these names:
//
//   - guide/token: "Token endpoint" page, docs.aws.amazon.com/cognito/latest/
//     developerguide/token-endpoint.html; read as awsdocs/amazon-cognito-
//     developer-guide doc_source/token-endpoint.md of 2023 and its later form.
//   - guide/quotas: "Quotas in Amazon Cognito", the same guide, limits.md of
//     2023 and quotas.html of 2026-11.
//   - seed 000: the observation this stand-in was built for: about 120 requests
//     a second, then HTTP 429 with {"error":"Rate exceeded"}.
//
// # The quota
//
// The guide defines a quota as "the maximum number of requests per second (RPS)
// for all operations within a category" over the account and region, and says
// nothing of bursts or buckets. The default therefore is that sentence taken
// literally: a sliding log, at most 120 calls admitted within any one second,
// refused ones not counted. A client sees its first refusal when it has offered
// more than 120 within a second, whatever the phase, neither earlier (as with a
// token bucket of a small burst, when two users happen to coincide) nor later
// (as with a bucket of 120, which a slow ramp has to empty first). Any other
// limit.Policy can be given instead.
//
// # The order of checks
//
// Method, content type and form first; a request that fails there belongs to no
// category and is not counted. Then the quota; then the client's credentials.
// So a wrong secret counts as a call, and a flood of wrong secrets is throttled:
// the quota is the front door's, and a refusal stays cheap. The guide does not
// say; Config.AuthFirst turns it round.
package cognito

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/stand"
	"github.com/weir-dev/weir/limit"
)

// The defaults: credentials that nobody can mistake for real ones.
const (
	DefaultPoolID = "us-east-1_WeirLab00"

	// MachineClientID and MachineSecret belong to an app client for
	// client_credentials, as in seed 000.
	MachineClientID = "weirlabmachineclient000000"
	MachineSecret   = "not-a-secret-weir-lab-only"

	// UserClientID and UserSecret belong to an app client for signed-in users.
	// There is no sign-in page here, so RefreshToken stands for a user who has
	// signed in: refresh_token grants with it succeed.
	UserClientID = "weirlabuserclient000000000"
	UserSecret   = "not-a-secret-weir-lab-user"
	RefreshToken = "weir-lab-refresh-token"

	// DefaultQuota is what seed 000 met, in calls per second. The guide's own
	// default for UserAuthentication is the same (guide/quotas, 2023).
	DefaultQuota = 120

	// TokenPath is the token endpoint's path.
	TokenPath = "/oauth2/token"
)

// Places of the categories in Stats, in this order.
const (
	// ClientAuthentication counts client_credentials.
	ClientAuthentication = iota
	// UserAuthentication counts refresh_token and authorization_code
	// (guide/quotas: a refresh counts as UserAuthentication).
	UserAuthentication
)

// Grant is an OAuth 2.0 grant type.
type Grant string

const (
	ClientCredentials Grant = "client_credentials"
	Refresh           Grant = "refresh_token"
	AuthorizationCode Grant = "authorization_code"
)

// Client is an app client of the pool.
type Client struct {
	// ID is what the client calls itself. Secret may be empty: a public client.
	ID, Secret string

	// Grants are what the client may ask for; one that is not listed gets
	// unauthorized_client. The guide forbids client_credentials beside
	// authorization_code in one client ("OAuth 2.0 grants" page, 2026-11); New does not.
	Grants []Grant

	// Scopes are granted by client_credentials when none are asked for, and
	// are all that can be asked for.
	Scopes []string

	// RefreshTokens are accepted from this client.
	RefreshTokens []string
}

// Config says what the pool is like. The zero value is the default pool.
type Config struct {
	// Issuer is the base URL under which the handler is reached, without a
	// trailing slash; tokens carry Issuer/PoolID. Empty means http://127.0.0.1.
	Issuer string

	// PoolID is the pool's name; empty means DefaultPoolID.
	PoolID string

	// Clients are the app clients; nil means the two default ones.
	Clients []Client

	// ClientAuthentication and UserAuthentication are the two quotas; nil means
	// PerSecond(DefaultQuota).
	ClientAuthentication, UserAuthentication *limit.Policy

	// AuthFirst checks the client's credentials before the quota, so that
	// requests with wrong ones are neither counted nor throttled.
	AuthFirst bool

	// StrictScopes answers invalid_scope when any requested scope is not the
	// client's. By default such scopes are ignored, as guide/token says, and only a
	// request of which nothing remains is refused.
	StrictScopes bool

	// RetryAfter adds a Retry-After header to refusals, in whole seconds
	// rounded up. None is documented or was seen, so there is none by default.
	RetryAfter bool

	// TokenLife is the life of access and ID tokens, from 5 minutes to 24 hours
	// (guide, "Understanding the access token"); 0 means one hour.
	TokenLife time.Duration

	// SignPerSecond bounds the RSA signatures per second of the clock; 0 means
	// 200, negative no bound. A signature costs about a millisecond of CPU: beyond
	// the bound the newest token of the same client and scope, at most a minute
	// old, is handed out again, so that a load test of thousands per
	// second measures the quota and not this machine's RSA. At Cognito's default
	// quota of 120 every token is a new one.
	SignPerSecond int

	// Observe, when not nil, is told of every request that belongs to a category, after
	// its answer is known. It is called from many goroutines and must be quick.
	Observe func(Event)

	// Key signs the tokens; nil makes a new 2048-bit key (about 0.1 s).
	Key *rsa.PrivateKey

	// Latency, Faults, Seed, History and Clock are as in stand.Config.
	Latency stand.Latency
	Faults  stand.Faults
	Seed    uint64
	History int
	Clock   func() time.Time
}

// Event is what became of one token request.
type Event struct {
	// Client is the app client's id, "" where it is none of the pool's.
	Client string
	Grant  Grant

	// Throttled says that the quota refused it, Issued that it got tokens.
	Throttled, Issued bool
}

// PerSecond is the default reading of a quota of n requests per second: at most
// n admitted within any one second, refused ones not counted.
func PerSecond(n int64) limit.Policy {
	return limit.Policy{Algorithm: limit.SlidingLog, Limit: n, Window: time.Second}
}

// Pool is the stand-in: an http.Handler. It is safe for concurrent use and owns
// no goroutines.
type Pool struct {
	cfg     Config
	clients map[string]*Client
	stand   *stand.Stand
	signer  *signer
	jwks    []byte
	openid  []byte
	paths   struct{ jwks, openid string }
}

// New builds a pool. The error names the field that is wrong and never
// contains a secret.
func New(cfg Config) (*Pool, error) {
	if cfg.Issuer == "" {
		cfg.Issuer = "http://127.0.0.1"
	}
	cfg.Issuer = strings.TrimSuffix(cfg.Issuer, "/")
	if cfg.PoolID == "" {
		cfg.PoolID = DefaultPoolID
	}
	if cfg.TokenLife == 0 {
		cfg.TokenLife = time.Hour
	}
	if cfg.SignPerSecond == 0 {
		cfg.SignPerSecond = 200
	}
	if cfg.Clients == nil {
		cfg.Clients = defaultClients()
	}
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("cognito stand-in: %w", err)
	}
	for _, q := range []**limit.Policy{&cfg.ClientAuthentication, &cfg.UserAuthentication} {
		if *q == nil {
			p := PerSecond(DefaultQuota)
			*q = &p
		}
	}
	p := &Pool{cfg: cfg, clients: make(map[string]*Client, len(cfg.Clients))}
	for i := range cfg.Clients {
		p.clients[cfg.Clients[i].ID] = &cfg.Clients[i]
	}
	var err error
	p.stand, err = stand.New(stand.Config{
		Quotas: []stand.Quota{
			ClientAuthentication: {Category: "ClientAuthentication", Policy: cfg.ClientAuthentication},
			UserAuthentication:   {Category: "UserAuthentication", Policy: cfg.UserAuthentication},
		},
		Latency: cfg.Latency, Faults: cfg.Faults, Seed: cfg.Seed, History: cfg.History, Clock: cfg.Clock,
	})
	if err != nil {
		return nil, fmt.Errorf("cognito stand-in: %w", err)
	}
	if p.signer, err = newSigner(cfg.Key, cfg.SignPerSecond); err != nil {
		return nil, fmt.Errorf("cognito stand-in: signing key: %w", err)
	}
	p.paths.jwks = "/" + cfg.PoolID + "/.well-known/jwks.json"
	p.paths.openid = "/" + cfg.PoolID + "/.well-known/openid-configuration"
	p.jwks = p.signer.jwks()
	p.openid = p.openidConfiguration()
	return p, nil
}

func defaultClients() []Client {
	return []Client{
		{
			ID: MachineClientID, Secret: MachineSecret,
			Grants: []Grant{ClientCredentials},
			Scopes: []string{"weir-lab/read", "weir-lab/write"},
		},
		{
			ID: UserClientID, Secret: UserSecret,
			Grants:        []Grant{AuthorizationCode, Refresh},
			Scopes:        []string{"openid", "email"},
			RefreshTokens: []string{RefreshToken},
		},
	}
}

func (c *Config) validate() error {
	var errs []error
	if !plainWord(c.PoolID, "_-") {
		errs = append(errs, fmt.Errorf("pool id %q: want letters, digits, _ and - only, such as %s", c.PoolID, DefaultPoolID))
	}
	if c.TokenLife < 5*time.Minute || c.TokenLife > 24*time.Hour {
		errs = append(errs, fmt.Errorf("token life %v: must be between 5m and 24h", c.TokenLife))
	}
	if len(c.Clients) == 0 {
		errs = append(errs, errors.New("clients: at least one app client is needed"))
	}
	seen := map[string]bool{}
	for i, cl := range c.Clients {
		switch {
		case !plainWord(cl.ID, "_+-"):
			errs = append(errs, fmt.Errorf("client %d: id %q: want letters, digits, _, + and - only", i+1, cl.ID))
		case seen[cl.ID]:
			errs = append(errs, fmt.Errorf("client %d: id %q is used twice", i+1, cl.ID))
		}
		seen[cl.ID] = true
		for _, g := range cl.Grants {
			if g != ClientCredentials && g != Refresh && g != AuthorizationCode {
				errs = append(errs, fmt.Errorf("client %s: unknown grant %q", cl.ID, g))
			}
		}
		if cl.Secret == "" && slices.Contains(cl.Grants, ClientCredentials) {
			errs = append(errs, fmt.Errorf("client %s: client_credentials needs a secret", cl.ID))
		}
		for _, s := range cl.Scopes {
			if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) {
				errs = append(errs, fmt.Errorf("client %s: scope %q: want printable characters without spaces, quotes and backslashes", cl.ID, s))
			}
		}
	}
	return errors.Join(errs...)
}

func plainWord(s, also string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(also, r)
	})
}

// Stand is the machinery below: counts, quotas, faults.
func (p *Pool) Stand() *stand.Stand { return p.stand }

// ID is the pool's name.
func (p *Pool) ID() string { return p.cfg.PoolID }

// Commands are shell lines to try against the pool when it is reached at base:
// a title and a line each. They show a secret only where it is the default one,
// which is none; otherwise they name an environment variable to put it in.
func (p *Pool) Commands(base string) [][2]string {
	c := p.machine()
	if c == nil {
		return [][2]string{{"its keys", "curl -sS " + base + p.paths.jwks}}
	}
	credentials := shellQuote(c.ID + ":" + c.Secret)
	if c.Secret != MachineSecret {
		credentials = shellQuote(c.ID+":") + `"$CLIENT_SECRET"`
	}
	return [][2]string{
		{"one token", "curl -sS -u " + credentials + " -d grant_type=client_credentials " + base + TokenPath},
		{"into its limit", "CLIENT=" + credentials + " weir run " + base + TokenPath +
			" -X POST -H 'Content-Type: application/x-www-form-urlencoded' --basic-auth-env CLIENT" +
			" --data grant_type=client_credentials -u 300 -r 100 -t 1m"},
		{"its keys", "curl -sS " + base + p.paths.jwks},
	}
}

func (p *Pool) machine() *Client {
	for i := range p.cfg.Clients {
		if slices.Contains(p.cfg.Clients[i].Grants, ClientCredentials) {
			return &p.cfg.Clients[i]
		}
	}
	return nil
}

// shellQuote leaves plain words alone, so that the lines stay readable.
func shellQuote(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:+") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
