package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

var tlsVersions = map[string]uint16{
	"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

// config makes the settings that all connections of a run share.
func (o *TLS) config(http Version) (*tls.Config, error) {
	c := &tls.Config{}
	if o.Config != nil {
		c = o.Config.Clone()
	}
	if c.MinVersion == 0 {
		c.MinVersion = tls.VersionTLS12
	}
	if o.Min != "" {
		if c.MinVersion = tlsVersions[o.Min]; c.MinVersion == 0 {
			return nil, bad("TLS.Min", "%q is not a TLS version: write 1.0, 1.1, 1.2 or 1.3", o.Min)
		}
	}
	if o.Max != "" {
		if c.MaxVersion = tlsVersions[o.Max]; c.MaxVersion == 0 {
			return nil, bad("TLS.Max", "%q is not a TLS version: write 1.0, 1.1, 1.2 or 1.3", o.Max)
		}
		if o.Min == "" && c.MaxVersion < c.MinVersion {
			c.MinVersion = c.MaxVersion // asking for an old version means to use it
		}
	}
	if c.MaxVersion != 0 && c.MaxVersion < c.MinVersion {
		return nil, bad("TLS.Max", "%s is older than the minimum, %s", o.Max, o.Min)
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, bad("TLS.CAFile", "%v", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, bad("TLS.CAFile", "%s has no certificate in PEM form (-----BEGIN CERTIFICATE-----)", o.CAFile)
		}
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, bad("TLS.CertFile", "a client certificate needs both its file and its key's file")
	}
	if o.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, bad("TLS.CertFile", "%s with %s: %v", o.CertFile, o.KeyFile, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if o.Insecure {
		c.InsecureSkipVerify = true
	}
	if o.ServerName != "" {
		c.ServerName = o.ServerName
	}
	switch http {
	case HTTP1:
		c.NextProtos = []string{"http/1.1"}
	case Auto:
		c.NextProtos = []string{"h2", "http/1.1"}
	default:
		c.NextProtos = []string{"h2"}
	}
	return c, nil
}

// userTLS makes one user's settings for an origin: the sessions to resume are
// the user's own, as in life.
func (t *Target) userTLS(o *origin) *tls.Config {
	if !o.https {
		return nil
	}
	c := t.tls.Clone()
	if c.ServerName == "" {
		c.ServerName = o.host
	}
	if !t.opts.TLS.NoResume && c.ClientSessionCache == nil {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return c
}

// handshake puts TLS over what k has, within the time-out that ctx carries.
func (k *conn) handshake(ctx context.Context, c *tls.Config, addr string, within time.Duration) *fault {
	secure := tls.Client(k.nc, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		return tlsFault(err, c, addr, within)
	}
	k.nc, k.tls, k.config = secure, true, c
	k.alpn = secure.ConnectionState().NegotiatedProtocol
	if k.alpn == "" && !slices.Contains(c.NextProtos, "http/1.1") {
		return faultf(hit.TLSFailed, "%s chose no HTTP version by ALPN, so it speaks HTTP/1.1: use --http 1.1", addr)
	}
	return nil
}
