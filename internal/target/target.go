// Package target sends requests: a Target holds what all users of a run share
// (resolved names, TLS settings, pools), and makes a Client for each of them.
//
// HTTP/1.1 is spoken by this package itself: the user's goroutine writes a
// request, reads its answer and allocates nothing. HTTP/2 goes through net/http.
package target

import (
	"crypto/tls"
	"errors"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
)

// maxOrigins bounds the origins remembered; more work, without being remembered.
const maxOrigins = 4096

// Target is what all users of one run share. Safe for concurrent use; New makes one.
type Target struct {
	opts     Options // with defaults filled in
	tls      *tls.Config
	names    names
	proxy    func(*origin) (*proxy, *fault)
	sources  []netip.Addr
	h2       *http.Transport // nil when HTTP/2 is not spoken
	h2c      *http.Transport
	big      bigPool
	decoders decoders

	mu      sync.Mutex
	origins map[string]*origin
}

// New checks the options, reads the files they name and makes a Target. It
// opens no connection. Each wrong option is an *OptionError; several are joined
// (errors.Join).
func New(o Options) (*Target, error) {
	t := &Target{origins: make(map[string]*origin)}
	errs := o.complete()
	t.opts = o
	var err error
	if t.tls, err = o.TLS.config(o.HTTP); err != nil {
		errs = append(errs, err)
	}
	if t.proxy, err = proxyFunc(&o); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, t.setNames()...)
	for _, s := range o.SourceAddrs {
		a, err := netip.ParseAddr(s)
		if err != nil {
			errs = append(errs, bad("SourceAddrs", "%q is not an IP address", s))
		}
		t.sources = append(t.sources, a.Unmap())
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	t.setH2()
	return t, nil
}

// complete fills in defaults and returns what is wrong.
func (o *Options) complete() (errs []error) {
	wrong := func(is bool, field, format string, args ...any) {
		if is {
			errs = append(errs, bad(field, format, args...))
		}
	}
	wrong(o.Connections > PerRequest, "Connections", "%d is not PerUser, Shared or PerRequest", o.Connections)
	wrong(o.HTTP > H2C, "HTTP", "%d is not HTTP1, Auto, HTTP2 or H2C", o.HTTP)
	wrong(o.DNS > DNSPerConnection, "DNS", "%d is not DNSTTL, DNSOnce or DNSPerConnection", o.DNS)
	wrong(o.MaxShared < 0, "MaxShared", "%d is negative: 0 is no bound", o.MaxShared)
	wrong(o.MaxShared > 0 && o.Connections != Shared, "MaxShared", "it bounds shared connections only: set Connections to Shared")
	wrong(o.IPVersion != 0 && o.IPVersion != 4 && o.IPVersion != 6, "IPVersion", "%d is not 4 or 6", o.IPVersion)
	wrong(o.BodyLimit < 0, "BodyLimit", "%d is negative", o.BodyLimit)
	wrong(o.MaxHeader < 0 || o.MaxHeader > 0 && o.MaxHeader < 256, "MaxHeader", "%d is less than 256 bytes", o.MaxHeader)
	wrong(o.MaxHeader > math.MaxInt32, "MaxHeader", "%d is more than 2 GiB", o.MaxHeader)
	wrong(o.MaxBody < 0, "MaxBody", "%d is negative", o.MaxBody)
	wrong(o.MaxRedirects < NoRedirects, "MaxRedirects", "%d is negative: %d follows none", o.MaxRedirects, NoRedirects)
	wrong(hasControl([]byte(o.UserAgent)), "UserAgent", "it has a control character")
	wrong(o.Dial != nil && len(o.SourceAddrs) > 0, "SourceAddrs", "a dialer of its own chooses its source addresses itself")
	wrong(o.UnixSocket != "" && len(o.SourceAddrs) > 0, "SourceAddrs", "a Unix socket has none")

	orDefault(&o.ConnectTimeout, DefaultConnectTimeout)
	orDefault(&o.TLSTimeout, DefaultTLSTimeout)
	orDefault(&o.Timeout, DefaultTimeout)
	orDefault(&o.IdleTimeout, DefaultIdleTimeout)
	orDefault(&o.DNSTTL, DefaultDNSTTL)
	orDefault(&o.MaxRedirects, DefaultMaxRedirects)
	orDefault(&o.BodyLimit, DefaultBodyLimit)
	orDefault(&o.MaxHeader, DefaultMaxHeader)
	orDefault(&o.MaxBody, DefaultMaxBody)
	orDefault(&o.UserAgent, DefaultUserAgent)
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.KeepBody == nil {
		o.KeepBody = func(status int) bool { return status >= 400 }
	}
	return errs
}

func orDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

func (t *Target) setNames() (errs []error) {
	n := &t.names
	*n = names{resolver: t.opts.Resolver, cache: t.opts.DNS, ttl: t.opts.DNSTTL, network: "ip",
		fixed: make(map[string][]netip.Addr), known: make(map[string]*name)}
	if t.opts.IPVersion != 0 {
		n.network += strconv.Itoa(t.opts.IPVersion)
	}
	for _, s := range t.opts.Resolve {
		if err := n.parseResolve(s); err != nil {
			errs = append(errs, err)
		}
	}
	for _, s := range t.opts.ConnectTo {
		if err := n.parseConnectTo(s); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// NewSender makes the sender of one user, who is numbered from 0; source
// addresses are given out by that number. It opens no connection.
func (t *Target) NewSender(user int) (*Client, error) {
	c := &Client{t: t, dial: t.opts.Dial}
	if n := len(t.sources); n > 0 {
		c.local = t.sources[((user%n)+n)%n]
	}
	if c.dial == nil {
		c.dial = netDial(c.local)
	}
	return c, nil
}

// origin returns the origin that the first part of a URL names.
func (t *Target) origin(base string) (*origin, *fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.origins[base]; o != nil {
		return o, nil
	}
	o, f := parseOrigin(base)
	if f != nil {
		return nil, f
	}
	if o.proxy, f = t.proxy(o); f != nil {
		return nil, f
	}
	if t.opts.Connections == Shared {
		o.shared = newPool(t.opts.MaxShared)
		o.sharedH2 = newH2Pool(t.opts.MaxShared)
	}
	if len(t.origins) < maxOrigins {
		t.origins[base] = o
	}
	return o, nil
}

// Close closes the shared connections. Senders have their own Close.
func (t *Target) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.origins {
		if o.shared != nil {
			o.shared.close()
			o.sharedH2.close()
		}
	}
	return nil
}
