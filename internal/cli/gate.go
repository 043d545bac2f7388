package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weir-dev/weir/internal/gate"
	"github.com/weir-dev/weir/internal/gate/rls"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/policy"
)

// gateCmd enforces a policy file in front of an API.
type gateCmd struct {
	Policy   string   `required:"" placeholder:"FILE" help:"The policies to enforce." group:"Gate"`
	Upstream []string `sep:"none" placeholder:"URL" help:"The API behind the gate: http://, https://, or h2c:// for HTTP/2 without TLS. Repeat for several." group:"Gate"`
	Listen   string   `default:"127.0.0.1:8090" placeholder:"HOST:PORT" help:"Where clients connect. Port 0 takes a free one." group:"Gate"`
	Check    string   `placeholder:"HOST:PORT" help:"Answer nginx, Caddy, Traefik or Envoy here, at /check, whether a request may pass." group:"Gate"`
	RLS      string   `name:"rls" placeholder:"HOST:PORT" help:"Answer Envoy's rate limit service (gRPC, v3) here, by the policies that have a descriptor." group:"Gate"`
	Admin    string   `placeholder:"HOST:PORT" help:"Serve /metrics, /healthz, /readyz and /stats here." group:"Gate"`

	AllowRemote bool          `help:"Allow --check, --rls and --admin at an address that other machines can reach: whoever can is believed." group:"Gate"`
	DryRun      bool          `help:"Say what would be enforced, and check all files, without listening." group:"Gate"`
	WatchConfig bool          `help:"Read the policies and certificates again when their files change; SIGHUP does so at any time." group:"Gate"`
	For         time.Duration `placeholder:"DURATION" help:"Stop by itself after this time. Default: run until interrupted." group:"Gate"`

	Balance     gate.Balance  `default:"round-robin" placeholder:"HOW" help:"Which of several upstreams gets a request: round-robin or least-busy." group:"Upstreams"`
	Health      string        `placeholder:"PATH" help:"Ask each upstream for this path, and leave out those that do not answer 2xx or 3xx." group:"Upstreams"`
	HealthEvery time.Duration `default:"5s" help:"How often." group:"Upstreams"`
	RewriteHost bool          `help:"Send the upstream's name as Host. Default: what the client sent." group:"Upstreams"`
	UpstreamCA  string        `name:"upstream-ca" placeholder:"FILE" help:"Certificates (PEM) that https upstreams are signed by, in place of the system's." group:"Upstreams"`

	Trust      []string `placeholder:"NETWORK" help:"Proxies in front of the gate whose X-Forwarded-For is believed: 10.0.0.0/8, an address, loopback or private. Default: nobody." group:"Clients"`
	IPv6Prefix int      `name:"ipv6-prefix" default:"64" placeholder:"BITS" help:"Addresses that share this many bits are one client; 128 for each by itself." group:"Clients"`

	SubscriptionHeader string `name:"subscription-header" default:"Ocp-Apim-Subscription-Key" placeholder:"NAME" help:"The header field with a subscription's key, for policies that count by subscription, as API Management's rate-limit and quota do. The key is not checked." group:"Clients"`
	SubscriptionQuery  string `name:"subscription-query" default:"subscription-key" placeholder:"NAME" help:"The query parameter with it, where the field is missing." group:"Clients"`
	API                string `name:"api" placeholder:"ID" help:"The API that the gate is in front of, for policies that are for one by its id or name." group:"Clients"`
	Product            string `name:"product" placeholder:"ID" help:"The product it belongs to, likewise." group:"Clients"`

	TLSCert       string   `name:"tls-cert" placeholder:"FILE" help:"Certificate chain, PEM. The gate then speaks TLS only." group:"TLS"`
	TLSKey        string   `name:"tls-key" placeholder:"FILE" help:"Its key, PEM." group:"TLS"`
	ACMEDomain    []string `name:"acme-domain" placeholder:"NAME" help:"Get a certificate for this name from an authority. Repeat for several." group:"TLS"`
	ACMECache     string   `name:"acme-cache" placeholder:"FOLDER" help:"Where certificates are kept." group:"TLS"`
	ACMEEmail     string   `name:"acme-email" placeholder:"ADDRESS" help:"Where the authority may write to." group:"TLS"`
	ACMEDirectory string   `name:"acme-directory" placeholder:"URL" help:"The authority. Default: Let's Encrypt." group:"TLS"`
	ACMEAgree     bool     `name:"acme-agree" help:"You agree to the authority's terms." group:"TLS"`
	ACMEHTTP      string   `name:"acme-http" placeholder:"HOST:PORT" help:"Answer the authority's http-01 questions here, and send others to https. It must be reached as port 80." group:"TLS"`

	HeaderTimeout   time.Duration `default:"10s" help:"For a client to send its header fields." group:"Timeouts"`
	IdleTimeout     time.Duration `default:"2m" help:"For a client's connection between two requests." group:"Timeouts"`
	ConnectTimeout  time.Duration `default:"5s" help:"To reach an upstream." group:"Timeouts"`
	UpstreamTimeout time.Duration `default:"60s" help:"For an upstream to begin its answer once it has the request. Bodies may take as long as they take." group:"Timeouts"`
	Drain           time.Duration `default:"30s" help:"For requests under way when the gate stops." group:"Timeouts"`
	MaxHeader       int           `default:"65536" placeholder:"BYTES" help:"The most that a client's header fields may have." group:"Timeouts"`

	AccessLog string       `placeholder:"FILE" help:"Write one JSON line per request; - for standard error. It has no query, no header field and no body." group:"Gate"`
	LogKeys   gate.LogKeys `default:"hash" placeholder:"HOW" help:"How the log tells the key of a refusal: hash, clear or none. Keys may be secret." group:"Gate"`

	gateStore  `embed:""`
	gateTenant `embed:""`
}

// Run builds the gate, says what it enforces, and serves until it is stopped.
func (c *gateCmd) Run(s *session) error {
	if len(c.Upstream) == 0 && c.Check == "" && c.RLS == "" {
		return usage("add --upstream http://127.0.0.1:8080 to put the gate in front of an API, or --check 127.0.0.1:9000 or --rls 127.0.0.1:9001 for a proxy to ask", "there is nothing to do")
	}
	o, err := c.options()
	if err != nil {
		return err
	}
	certs, err := c.certificates(s)
	if err != nil {
		return err
	}
	o.Logf = func(format string, args ...any) {
		fmt.Fprintf(s.stderr, "weir gate: %s %s\n", time.Now().UTC().Format(time.RFC3339), fmt.Sprintf(format, args...))
	}
	log, err := openLog(c.AccessLog, s.stderr)
	if err != nil {
		return cannotRun("choose another file", "--access-log: %v", err)
	}
	defer log.Close()
	if c.AccessLog != "" {
		o.AccessLog = log
	}
	told, err := c.tenantLog(&o, s)
	if err != nil {
		return err
	}
	defer told()
	store, err := c.open(s.getenv)
	if err != nil {
		return err
	}
	if store != nil {
		defer store.Close()
		o.Guard.Store = store
		if !c.DryRun {
			if err := awaitStore(store); err != nil {
				o.Logf("the store does not answer yet, and each policy does what its on-store-error says: %v", err)
			}
		}
	}
	if c.RLS != "" {
		if o.Envoy, err = rls.New(o.File, rls.Options{Guard: o.Guard}); err != nil {
			return usage("", "%s: %v", c.Policy, err)
		}
		defer o.Envoy.Close()
	}
	envoy := o.Envoy
	g, err := gate.New(o)
	if err != nil {
		return usage("", "%s: %v", c.Policy, err)
	}
	defer g.Close()
	if c.DryRun {
		fmt.Fprintf(s.stdout, "Nothing is started. With these files and flags:\n")
		c.greet(s.stdout, g, gate.Listeners{}, nil, certs != nil)
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	listeners, grpc, err := c.listen()
	if err != nil {
		return err
	}
	c.greet(s.stdout, g, listeners, grpc, certs != nil)
	ended := serveRLS(ctx, envoy, grpc, c.Drain)
	reload := &gateReload{gate: g, rls: envoy, certs: certs, log: log, policy: c.Policy, known: c.known(), say: o.Logf}
	done := make(chan struct{})
	go func() {
		defer close(done)
		reload.run(ctx, c.WatchConfig)
	}()
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends at once
	}()
	err = g.Serve(ctx, listeners, certs)
	stop()
	if rlsErr := <-ended; err == nil {
		err = rlsErr
	}
	<-done
	if err != nil {
		return cannotRun("", "%v", err)
	}
	return nil
}

// serveRLS serves Envoy's service until ctx ends; the channel gets how it ended.
func serveRLS(ctx context.Context, service *rls.Service, l net.Listener, drain time.Duration) <-chan error {
	ended := make(chan error, 1)
	if service == nil {
		ended <- nil
		return ended
	}
	served := make(chan error, 1)
	go func() { served <- service.Serve(l) }()
	go func() {
		<-ctx.Done()
		patience, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		service.Shutdown(patience) // cut off after that: there is nothing more to do
		ended <- <-served
	}()
	return ended
}

// options turns flags into what the gate is made with.
func (c *gateCmd) options() (gate.Options, error) {
	o := gate.Options{
		Balance: c.Balance, RewriteHost: c.RewriteHost, HealthPath: c.Health, HealthEvery: c.HealthEvery, IPv6Prefix: c.IPv6Prefix,
		HeaderTimeout: c.HeaderTimeout, IdleTimeout: c.IdleTimeout, ConnectTimeout: c.ConnectTimeout,
		UpstreamTimeout: c.UpstreamTimeout, DrainTimeout: c.Drain, MaxHeaderBytes: c.MaxHeader, LogKeys: c.LogKeys,
		Known: c.known(),
		Guard: guard.Options{MaxKeys: c.MaxKeys},
	}
	o.Guard.Shared.Budget = c.StoreBudget
	var err error
	if o.File, err = readPolicies(c.Policy); err != nil {
		return o, err
	}
	for _, text := range c.Upstream {
		u, err := gate.ParseUpstream(text)
		if err != nil {
			return o, usage("", "--upstream: %v", err)
		}
		o.Upstreams = append(o.Upstreams, u)
	}
	if o.Trust, err = gate.ParseTrust(c.Trust); err != nil {
		return o, usage("", "--trust: %v", err)
	}
	if c.IPv6Prefix < 16 || c.IPv6Prefix > 128 {
		return o, usage("64 is what one customer usually has", "--ipv6-prefix %d is not from 16 to 128", c.IPv6Prefix)
	}
	if c.Health != "" && !strings.HasPrefix(c.Health, "/") {
		return o, usage("write for example --health /healthz", "--health %q does not begin with /", c.Health)
	}
	for _, d := range []struct {
		flag string
		d    time.Duration
	}{
		{"header-timeout", c.HeaderTimeout}, {"idle-timeout", c.IdleTimeout}, {"connect-timeout", c.ConnectTimeout},
		{"upstream-timeout", c.UpstreamTimeout}, {"drain", c.Drain}, {"health-every", c.HealthEvery}, {"store-budget", c.StoreBudget},
	} {
		if d.d <= 0 {
			return o, usage("", "--%s %v must be more than zero", d.flag, d.d)
		}
	}
	if c.UpstreamCA != "" {
		pem, err := os.ReadFile(c.UpstreamCA)
		if err != nil {
			return o, usage("", "--upstream-ca: %v", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return o, usage("it must begin with -----BEGIN CERTIFICATE-----", "--upstream-ca: %s has no certificate in PEM form", c.UpstreamCA)
		}
		o.UpstreamTLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	return o, nil
}

func (c *gateCmd) certificates(s *session) (*gate.Certificates, error) {
	files := c.TLSCert != "" || c.TLSKey != ""
	switch {
	case files && len(c.ACMEDomain) > 0:
		return nil, usage("leave one of them out", "--tls-cert and --acme-domain both say where the certificate is from")
	case files && (c.TLSCert == "" || c.TLSKey == ""):
		return nil, usage("", "--tls-cert and --tls-key belong together")
	case files:
		certs, err := gate.LoadCertificates(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, usage("both files must be PEM, and the key that of the first certificate", "%v", err)
		}
		return certs, nil
	case len(c.ACMEDomain) > 0:
		certs, err := gate.NewACME(gate.ACME{Domains: c.ACMEDomain, Cache: c.ACMECache, Email: c.ACMEEmail, Directory: c.ACMEDirectory, Agreed: c.ACMEAgree,
			Problem: func(domain string, err error) {
				fmt.Fprintf(s.stderr, "weir gate: no certificate for %s: %v\n", domain, err)
			}})
		if err != nil {
			return nil, usage("--acme-domain goes with --acme-cache FOLDER and --acme-agree", "--acme-domain: %v", err)
		}
		return certs, nil
	case c.ACMECache != "" || c.ACMEEmail != "" || c.ACMEDirectory != "" || c.ACMEHTTP != "":
		return nil, usage("add --acme-domain NAME", "the --acme flags need a domain")
	}
	return nil, nil
}

// listen opens what the flags ask for, all or nothing.
func (c *gateCmd) listen() (l gate.Listeners, grpc net.Listener, err error) {
	for _, a := range []struct {
		flag, addr string
		private    bool
		into       *net.Listener
	}{
		{"--check", c.Check, true, &l.Check},
		{"--rls", c.RLS, true, &grpc},
		{"--admin", c.Admin, true, &l.Admin},
		{"--acme-http", c.ACMEHTTP, false, &l.ACME},
		{"--listen", c.Listen, false, &l.Proxy},
	} {
		if a.addr == "" || a.into == &l.Proxy && len(c.Upstream) == 0 {
			continue
		}
		if a.private && !c.AllowRemote && !onLoopback(a.addr) {
			err = usage("use 127.0.0.1, or add --allow-remote if only your own machines can reach it", "%s %s can be reached by other machines", a.flag, a.addr)
			break
		}
		if *a.into, err = net.Listen("tcp", a.addr); err != nil {
			err = cannotRun("choose another port, or 0 for a free one", "%s %s: %v", a.flag, a.addr, err)
			break
		}
	}
	if err == nil {
		return l, grpc, nil
	}
	for _, open := range []net.Listener{l.Check, grpc, l.Admin, l.ACME, l.Proxy} {
		if open != nil {
			open.Close()
		}
	}
	return l, nil, err
}

// onLoopback tells whether an address to listen at is reached from this machine only.
func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return true // net.Listen will say what is wrong with it
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// greet says where the gate is, and what it enforces.
func (c *gateCmd) greet(w io.Writer, g *gate.Gate, l gate.Listeners, grpc net.Listener, tls bool) {
	at := func(open net.Listener, addr string) string {
		if open != nil {
			return open.Addr().String()
		}
		return addr
	}
	if len(c.Upstream) > 0 {
		scheme := "http"
		if tls {
			scheme = "https"
		}
		var names []string
		for _, u := range c.Upstream {
			names = append(names, maskURL(u))
		}
		fmt.Fprintf(w, "gate at %s://%s in front of %s (Ctrl-C stops it)\n", scheme, at(l.Proxy, c.Listen), strings.Join(names, ", "))
	}
	if c.Check != "" {
		fmt.Fprintf(w, "forward-auth at http://%s/check\n", at(l.Check, c.Check))
	}
	if c.RLS != "" {
		fmt.Fprintf(w, "Envoy's rate limit service at %s\n", at(grpc, c.RLS))
	}
	if c.Admin != "" {
		fmt.Fprintf(w, "figures at http://%s/stats and /metrics\n", at(l.Admin, c.Admin))
	}
	if where := c.where(); where != "" {
		fmt.Fprintf(w, "counts in %s; when it does not answer in %v, as each policy's on-store-error says\n", where, c.StoreBudget)
	}
	f := g.File()
	how := ""
	if f.Chain {
		how = ", one after the other until one refuses"
	}
	fmt.Fprintf(w, "\nEnforced, from %s%s:\n", c.Policy, how)
	wide := 0
	for i := range f.Policies {
		wide = max(wide, min(len(f.Policies[i].Name), 30))
	}
	for i := range f.Policies {
		fmt.Fprintf(w, "  %-*s  %s\n", wide, f.Policies[i].Name, f.Policies[i].Summary())
	}
	for _, n := range f.Notes {
		fmt.Fprintf(w, "  left out, line %d: %s\n", n.Line, n.Text)
	}
	if c.Check != "" {
		for _, p := range gate.Unkept(f) {
			fmt.Fprintf(w, "  warning: /check does not see how a request ends, so %q is not kept there as it says; put the gate in front of the API for it\n", p.Name)
		}
	}
	for _, warning := range append(c.idle(f), blind(f, c.known())...) {
		fmt.Fprintf(w, "  warning: %s\n", warning)
	}
}

// known is what the flags say of every request.
func (c *gateCmd) known() guard.Known {
	return guard.Known{API: c.API, Product: c.Product, KeyHeader: c.SubscriptionHeader, KeyQuery: c.SubscriptionQuery}
}

// idle says which policies of the file are for another way to be asked than the
// flags open.
func (c *gateCmd) idle(f *policy.File) (out []string) {
	descriptors := 0
	for i := range f.Policies {
		if f.Policies[i].Descriptor != nil {
			descriptors++
		}
	}
	if descriptors > 0 && c.RLS == "" {
		out = append(out, fmt.Sprintf("%s with a descriptor: not asked without --rls", countPolicies(descriptors)))
	}
	if others := len(f.Policies) - descriptors; others > 0 && len(c.Upstream) == 0 && c.Check == "" {
		out = append(out, fmt.Sprintf("%s for requests: not asked without --upstream or --check", countPolicies(others)))
	}
	return out
}

// blind says what the policies of a file ask for that the gate cannot know, or
// has only from the client's word.
func blind(f *policy.File, k guard.Known) (out []string) {
	for _, u := range k.Unknown(f) {
		text := fmt.Sprintf("%q reads %s, which is always empty here", u.Policy.Name, strings.Join(u.What, " and "))
		if u.Never {
			text = fmt.Sprintf("%q never applies here: it is for a certain %s, which the gate does not know", u.Policy.Name, strings.Join(u.What, " and "))
		}
		var flags []string
		for _, what := range []struct{ name, flag string }{{"api.", "--api"}, {"product.", "--product"}, {"subscription.id", "--subscription-header"}, {"subscription.key", "--subscription-header"}} {
			if slices.ContainsFunc(u.What, func(n string) bool { return strings.HasPrefix(n, what.name) }) && !slices.Contains(flags, what.flag) {
				flags = append(flags, what.flag)
			}
		}
		if len(flags) > 0 {
			text += "; say it with " + strings.Join(flags, " and ")
		} else {
			text += "; write match, or a key that the request has"
		}
		out = append(out, text)
	}
	if k.KeyHeader == "" && k.KeyQuery == "" {
		return out
	}
	for i := range f.Policies {
		p := &f.Policies[i]
		if p.Descriptor == nil && slices.ContainsFunc(p.Reads(), func(n string) bool { return n == "subscription.id" || n == "subscription.key" }) {
			where := k.KeyHeader
			if k.KeyQuery != "" {
				where = strings.TrimPrefix(where+" or ?"+k.KeyQuery+"=", " or ")
			}
			return append(out, "a subscription is whatever "+where+" says: the gate does not check keys, so the API must, also of requests that have none")
		}
	}
	return out
}
