// Package gate enforces a policy file in front of an API: a Gate is a reverse
// proxy that asks a guard.Guard about each request, and a forward-auth endpoint
// that other proxies ask.
//
// # What passes
//
// HTTP/1.1 and HTTP/2, with TLS or without, on both sides; WebSocket; streams in
// both directions, flushed as they come; trailers. Path, query, body and all
// header fields but those below pass as they were sent.
//
// # What does not
//
// Hop-by-hop fields; a switch to any protocol but WebSocket, since what follows
// it could not be limited; CONNECT; requests that are not one message to every
// reader (net/http refuses those); and what a client that is no trusted proxy
// says in X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, Forwarded,
// X-Real-Ip and their spellings with underscores.
package gate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/gate/rls"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
)

// Options are the settings of a Gate. File must be given; Upstreams too, unless
// only the forward-auth endpoint is used.
type Options struct {
	File  *policy.File  // what is enforced
	Guard guard.Options // how; its Observe hears what becomes of each request

	Upstreams   []*url.URL  // as ParseUpstream returns them
	Balance     Balance     // which of several gets a request
	RewriteHost bool        // send the upstream's own host as Host instead of the client's
	UpstreamTLS *tls.Config // for https upstreams; nil means the system's roots
	HealthPath  string      // asked of each upstream every HealthEvery; "" means not
	HealthEvery time.Duration
	Trust       guard.Proxies // whose X-Forwarded-For is believed
	IPv6Prefix  int           // bits of an IPv6 address that are one client; 0 means 64, 128 all
	Known       guard.Known   // of every request: API, product, where its subscription's key is

	HeaderTimeout   time.Duration // for a client to send its header fields; zero means 10 s
	IdleTimeout     time.Duration // of a client's connection between two requests; zero means 2 min
	ConnectTimeout  time.Duration // to an upstream, and for TLS again; zero means 5 s
	UpstreamTimeout time.Duration // until the first byte of the answer, after the request is sent; zero means 60 s
	DrainTimeout    time.Duration // for requests under way when the gate stops; zero means 30 s
	MaxHeaderBytes  int           // of a request's header fields; zero means 64 KiB

	AccessLog io.Writer // gets one JSON line a request; nil means none
	LogKeys   LogKeys   // how a line tells the key of a refusal

	// TenantLog, when not nil, is served beside the admin pages: GET /api/v2/logs
	// and GET /api/v2/logs/{id}, as tenant.Handler answers them.
	TenantLog http.Handler

	// Envoy, when not nil, is the service whose figures Stats and the metrics tell
	// beside the gate's own. The gate does not close it.
	Envoy *rls.Service

	// Logf gets what an operator should know: an upstream down, a reload. Nil
	// means nobody.
	Logf func(format string, args ...any)
}

// Gate enforces a policy file in front of upstreams. Make one with New, and
// Close it. It is an http.Handler, the reverse proxy, and safe for concurrent
// use.
type Gate struct {
	o        Options
	guard    *guard.Guard
	pool     *pool
	proxy    *httputil.ReverseProxy
	metrics  *metrics
	access   *accessLog
	started  time.Time
	draining atomic.Bool
	degraded atomic.Int64 // Unix ns of the last decision without the store
	reloads  reloads
}

// New returns a gate. It does not listen, and does not wait for upstreams or for
// the store. The error says which policy cannot be enforced, and why.
func New(o Options) (*Gate, error) {
	if o.File == nil {
		return nil, errors.New("gate: no policy file")
	}
	defaults(&o)
	g := &Gate{o: o, started: time.Now()}
	g.pool = newPool(&g.o)
	g.metrics = newMetrics(g)
	g.access = newAccessLog(o.AccessLog, o.LogKeys)
	gd, err := guard.New(o.File, o.Guard)
	if err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	g.guard = gd
	g.proxy = &httputil.ReverseProxy{
		Rewrite:        g.rewrite,
		Transport:      g.pool,
		ModifyResponse: g.modify,
		ErrorHandler:   g.upstreamError,
		// No FlushInterval: answers of unknown length and event streams are passed
		// on as they come all the same, and others are not taken apart.
		BufferPool: newBuffers(),
		ErrorLog:   silent(),
	}
	return g, nil
}

func defaults(o *Options) {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&o.HeaderTimeout, 10*time.Second)
	set(&o.IdleTimeout, 2*time.Minute)
	set(&o.ConnectTimeout, 5*time.Second)
	set(&o.UpstreamTimeout, time.Minute)
	set(&o.DrainTimeout, 30*time.Second)
	set(&o.HealthEvery, 5*time.Second)
	if o.MaxHeaderBytes <= 0 {
		o.MaxHeaderBytes = 64 << 10
	}
	if o.IPv6Prefix <= 0 {
		o.IPv6Prefix = 64
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if o.UpstreamTLS == nil {
		o.UpstreamTLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
}

// Guard returns what decides, for other ways to ask it.
func (g *Gate) Guard() *guard.Guard { return g.guard }

// File returns the policies in force.
func (g *Gate) File() *policy.File { return g.guard.File() }

// Reload puts other policies in force at once. Requests under way end under the
// old ones, and counts are kept by the policies' IDs. After an error nothing has
// changed.
func (g *Gate) Reload(f *policy.File) error {
	err := g.guard.Replace(f)
	g.reloads.note(err)
	if err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	return nil
}

// ReloadFailed notes that other policies could not be read, for the figures.
func (g *Gate) ReloadFailed(err error) { g.reloads.note(err) }

// Close ends what runs in the background. No request may come afterwards.
func (g *Gate) Close() {
	g.guard.Close()
	g.pool.close()
}
