package target

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Connections says who owns the connections to the service.
type Connections uint8

const (
	// PerUser: every user has a connection of its own to each origin and keeps
	// it alive, as a browser or an SDK client does. The default.
	PerUser Connections = iota
	// Shared: users borrow connections from one pool per origin.
	Shared
	// PerRequest: a new connection for every request; "Connection: close" is
	// sent unless the caller set that header.
	PerRequest
)

// Version says which HTTP is spoken.
type Version uint8

const (
	// HTTP1 speaks HTTP/1.1 everywhere. The default, and the cheap path.
	HTTP1 Version = iota
	// Auto offers h2 and http/1.1 by ALPN on https and speaks what the server
	// chooses; http URLs get HTTP/1.1.
	Auto
	// HTTP2 insists on HTTP/2 over TLS; http URLs fail.
	HTTP2
	// H2C speaks HTTP/2 without TLS to http URLs (prior knowledge), and HTTP/2
	// over TLS to https URLs.
	H2C
)

// DNSCache says how long a resolved address is used for new connections.
// Connections that are open are never moved.
type DNSCache uint8

const (
	// DNSTTL keeps answers for Options.DNSTTL. The default.
	DNSTTL DNSCache = iota
	// DNSOnce resolves each name once per run.
	DNSOnce
	// DNSPerConnection resolves for every new connection.
	DNSPerConnection
)

// NoRedirects as Options.MaxRedirects makes a 3xx an answer like any other.
const NoRedirects = -1

// Defaults of Options, used where a field is zero.
const (
	DefaultConnectTimeout = 10 * time.Second
	DefaultTLSTimeout     = 10 * time.Second
	DefaultTimeout        = 30 * time.Second
	DefaultIdleTimeout    = 90 * time.Second
	DefaultDNSTTL         = 30 * time.Second
	DefaultMaxRedirects   = 10
	DefaultBodyLimit      = 2 << 10
	DefaultMaxHeader      = 64 << 10
	DefaultMaxBody        = 1 << 30
	DefaultUserAgent      = "weir"
)

// Resolver looks a name up. *net.Resolver is one. network is "ip", "ip4" or "ip6".
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// DialFunc opens a connection; network is "tcp" or "unix" and addr an
// address that needs no resolving ("192.0.2.1:80", "/run/app.sock").
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Options says how requests are sent. The zero value is a good client: HTTP/1.1
// with one kept-alive connection per user, verified TLS, the proxy of the
// environment, ten redirects, generous time-outs. New checks all of it.
//
// Every time-out: 0 is the default, negative is none.
type Options struct {
	Connections Connections
	MaxShared   int // Shared: connections per origin at most; 0 is no bound
	HTTP        Version

	ConnectTimeout time.Duration // resolving and connecting; default 10 s
	TLSTimeout     time.Duration // the TLS handshake; default 10 s
	Timeout        time.Duration // from the start of Send to the last byte, all redirects included; default 30 s
	IdleTimeout    time.Duration // a connection unused for longer is replaced, not reused; default 90 s

	TLS TLS

	// Proxy is an http:// or https:// URL, with user:password@ when it asks for
	// them; "" takes HTTP_PROXY, HTTPS_PROXY and NO_PROXY from Getenv; "none"
	// uses none.
	Proxy   string
	NoProxy string                   // hosts not reached through Proxy, in the form of NO_PROXY
	Getenv  func(name string) string // nil: os.Getenv

	Resolve   []string // "host:port:addr[,addr…]": connect to addr instead of resolving; host may be "*"
	ConnectTo []string // "host1:port1:host2:port2": connect to host2:port2 instead; an empty part matches or keeps anything
	DNS       DNSCache
	DNSTTL    time.Duration
	Resolver  Resolver // nil: net.DefaultResolver
	IPVersion int      // 4 or 6 to use only that; 0 both

	SourceAddrs []string // local addresses to connect from, given to users in turn
	UnixSocket  string   // connect to this socket whatever the URL's host
	Dial        DialFunc // nil: the network; SourceAddrs is not available with it

	MaxRedirects int    // followed per request; 0 is 10, NoRedirects follows none
	Gzip         bool   // ask for gzip and deflate
	UserAgent    string // "" is weir
	// Bare sends the caller's fields as they are, and of its own only Host and the
	// cookies of the jar, in the place of an empty Cookie field if there is one: the
	// caller knows what else belongs there. A Cookie field with a value is for the
	// first hop only, and 301, 302 and 303 drop the body whatever the method is, as
	// the Python package requests does.
	Bare bool

	// KeepBody tells whether the beginning of a body is kept in Answer.Body; other
	// bodies are counted and dropped. nil keeps those of status 400 and above.
	KeepBody  func(status int) bool
	BodyLimit int   // bytes of a body that are kept, after decompression too; default 2 KiB
	MaxHeader int   // bytes of an answer's header block, 1xx answers included; default 64 KiB
	MaxBody   int64 // bytes of a body on the wire; default 1 GiB
}

// TLS says how https is done. The zero value verifies the server against the
// system's authorities and resumes a user's sessions.
type TLS struct {
	CAFile     string // PEM authorities that replace the system's
	CertFile   string // PEM client certificate (mTLS), with KeyFile
	KeyFile    string
	ServerName string // SNI and the name verified; "" is the URL's host
	Min, Max   string // "1.0" to "1.3"; "" is 1.2 and 1.3
	Insecure   bool   // do not verify the server
	NoResume   bool   // a full handshake for every connection
	// Config, when set, is cloned and completed; the fields above still apply.
	Config *tls.Config
}

// OptionError says which option is wrong, why, and what to write.
type OptionError struct {
	Field  string // the field of Options, "TLS.CAFile"
	Reason string
}

func (e *OptionError) Error() string { return e.Field + ": " + e.Reason }

func bad(field, format string, args ...any) error {
	return &OptionError{Field: field, Reason: fmt.Sprintf(format, args...)}
}
