package cli

import (
	"time"

	"github.com/weir-dev/weir/internal/target"
)

// connectionFlags say how requests travel.
type connectionFlags struct {
	Connections    string        `enum:"per-user,shared,new" default:"per-user" help:"Who owns connections: each user its own, all share a pool, or a new one for each request." group:"Connection"`
	MaxShared      int           `placeholder:"N" help:"Most shared connections. Default: no bound." group:"Connection"`
	HTTP           string        `name:"http" enum:"1.1,2,auto,h2c" default:"1.1" help:"HTTP version: 1.1, 2, auto (what the server chooses) or h2c (2 without TLS)." group:"Connection"`
	Timeout        time.Duration `default:"30s" help:"Longest time for one request, redirects included." group:"Connection"`
	ConnectTimeout time.Duration `default:"10s" help:"Longest time to resolve and connect, and again for the TLS handshake." group:"Connection"`
	MaxRedirects   int           `default:"10" help:"Redirects followed for one request; 0 follows none." group:"Connection"`
	Compressed     bool          `help:"Ask for gzip." group:"Connection"`
	UserAgent      string        `short:"A" placeholder:"TEXT" help:"User-Agent header. Default: weir." group:"Connection"`
	CACert         string        `name:"cacert" placeholder:"FILE" help:"Trust the authorities in this PEM file instead of the system's." group:"Connection"`
	Cert           string        `placeholder:"FILE" help:"Client certificate (PEM)." group:"Connection"`
	Key            string        `placeholder:"FILE" help:"Key of the client certificate (PEM)." group:"Connection"`
	SNI            string        `name:"sni" placeholder:"NAME" help:"Server name for TLS. Default: the host of the URL." group:"Connection"`
	TLSMin         string        `name:"tls-min" enum:",1.0,1.1,1.2,1.3" default:"" help:"Lowest TLS version. Default 1.2." group:"Connection"`
	NoTLSResume    bool          `name:"no-tls-resume" help:"A full TLS handshake for every connection." group:"Connection"`
	Insecure       bool          `short:"k" help:"Do not verify the server's certificate." group:"Connection"`
	Proxy          string        `short:"x" placeholder:"URL" help:"Proxy; none to use none. Default: HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment." group:"Connection"`
	NoProxy        string        `placeholder:"HOSTS" help:"Hosts not reached through --proxy." group:"Connection"`
	Resolve        []string      `sep:"none" placeholder:"HOST:PORT:ADDR" help:"Connect to ADDR for HOST:PORT." group:"Connection"`
	ConnectTo      []string      `sep:"none" placeholder:"H1:P1:H2:P2" help:"Connect to H2:P2 for H1:P1." group:"Connection"`
	DNS            string        `name:"dns" enum:"ttl,once,per-connection" default:"ttl" help:"Resolve names anew every 30 s, once, or for every connection." group:"Connection"`
	IPv4           bool          `name:"ipv4" short:"4" help:"Use IPv4 only." group:"Connection"`
	IPv6           bool          `name:"ipv6" short:"6" help:"Use IPv6 only." group:"Connection"`
	SourceIP       []string      `name:"source-ip" placeholder:"ADDR" help:"Local address to connect from; repeat or separate by commas, users take turns." group:"Connection"`
	UnixSocket     string        `placeholder:"PATH" help:"Connect to this socket instead of the host of the URL." group:"Connection"`
}

// options translates the flags. keepBody tells which bodies are needed to judge an answer.
func (f *connectionFlags) options(keepBody func(status int) bool, getenv func(string) string) (target.Options, error) {
	o := target.Options{
		MaxShared:      f.MaxShared,
		Timeout:        f.Timeout,
		ConnectTimeout: f.ConnectTimeout,
		TLSTimeout:     f.ConnectTimeout,
		TLS: target.TLS{
			CAFile: f.CACert, CertFile: f.Cert, KeyFile: f.Key, ServerName: f.SNI,
			Min: f.TLSMin, Insecure: f.Insecure, NoResume: f.NoTLSResume,
		},
		Proxy: f.Proxy, NoProxy: f.NoProxy, Getenv: getenv,
		Resolve: f.Resolve, ConnectTo: f.ConnectTo,
		SourceAddrs: f.SourceIP, UnixSocket: f.UnixSocket,
		MaxRedirects: f.MaxRedirects, Gzip: f.Compressed, UserAgent: f.UserAgent,
		KeepBody: keepBody,
	}
	if f.Timeout <= 0 || f.ConnectTimeout <= 0 {
		return o, usage("give a time such as 30s", "--timeout and --connect-timeout must be above zero")
	}
	if f.MaxRedirects < 0 {
		return o, usage("0 follows none", "--max-redirects %d is negative", f.MaxRedirects)
	}
	if f.MaxRedirects == 0 {
		o.MaxRedirects = target.NoRedirects
	}
	if f.IPv4 && f.IPv6 {
		return o, usage("keep one of them, or none for both", "--ipv4 and --ipv6 exclude each other")
	}
	switch {
	case f.IPv4:
		o.IPVersion = 4
	case f.IPv6:
		o.IPVersion = 6
	}
	switch f.Connections {
	case "shared":
		o.Connections = target.Shared
	case "new":
		o.Connections = target.PerRequest
	}
	if f.MaxShared != 0 && f.Connections != "shared" {
		return o, usage("add --connections shared", "--max-shared bounds shared connections, and --connections is %s", f.Connections)
	}
	switch f.HTTP {
	case "2":
		o.HTTP = target.HTTP2
	case "auto":
		o.HTTP = target.Auto
	case "h2c":
		o.HTTP = target.H2C
	}
	switch f.DNS {
	case "once":
		o.DNS = target.DNSOnce
	case "per-connection":
		o.DNS = target.DNSPerConnection
	}
	return o, nil
}
