package gate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Certificates are what the gate shows to clients: a pair of files, or those
// that a certificate authority gives out by ACME. Make one with LoadCertificates
// or NewACME.
type Certificates struct {
	certFile, keyFile string
	pair              atomic.Pointer[tls.Certificate]
	acme              *autocert.Manager
}

// LoadCertificates reads a certificate chain and its key, both PEM.
func LoadCertificates(certFile, keyFile string) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. After an error the certificate is as before.
func (c *Certificates) Reload() error {
	if c.acme != nil {
		return nil // it renews by itself
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("the certificate %s with the key %s: %w", c.certFile, c.keyFile, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return fmt.Errorf("the certificate %s: %w", c.certFile, err)
		}
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		return fmt.Errorf("the certificate %s has expired on %s", c.certFile, pair.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	c.pair.Store(&pair)
	return nil
}

// Files returns the files that Reload reads, none for ACME.
func (c *Certificates) Files() []string {
	if c.acme != nil {
		return nil
	}
	return []string{c.certFile, c.keyFile}
}

// ACME says how certificates are had from an authority.
type ACME struct {
	Domains   []string // for which certificates are asked for; for no others
	Cache     string   // folder that keeps keys and certificates; needed, as authorities limit how often they are asked
	Email     string   // where the authority writes to; may be empty
	Directory string   // URL of the authority; "" means Let's Encrypt
	Agreed    bool     // the operator has agreed to the authority's terms
	Client    *http.Client
}

// NewACME returns certificates from an authority. It asks for each when a client
// first wants it, which TLS-ALPN on the gate's own port proves, or http-01.
func NewACME(a ACME) (*Certificates, error) {
	switch {
	case len(a.Domains) == 0:
		return nil, errors.New("no domain to ask a certificate for")
	case !a.Agreed:
		return nil, errors.New("the authority's terms have to be agreed to")
	case a.Cache == "":
		return nil, errors.New("no folder to keep certificates in: without one, each start would ask for new ones until the authority refuses")
	}
	for _, d := range a.Domains {
		if d == "" || strings.ContainsAny(d, "*/: ") || !strings.Contains(d, ".") {
			return nil, fmt.Errorf("%q is no domain that a certificate can be asked for in this way; wildcards need another", d)
		}
	}
	if err := os.MkdirAll(a.Cache, 0o700); err != nil {
		return nil, fmt.Errorf("the folder for certificates: %w", err)
	}
	m := &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(a.Cache),
		HostPolicy: autocert.HostWhitelist(a.Domains...), Email: a.Email,
		Client: &acme.Client{DirectoryURL: a.Directory, HTTPClient: a.Client, UserAgent: "weir"},
	}
	if a.Directory == "" {
		m.Client.DirectoryURL = autocert.DefaultACMEDirectory
	}
	return &Certificates{acme: m}, nil
}

// config is for a server's side of TLS.
func (c *Certificates) config() *tls.Config {
	t := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if c.acme != nil {
		t.NextProtos = append(t.NextProtos, acme.ALPNProto)
		t.GetCertificate = c.acme.GetCertificate
		return t
	}
	t.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Load(), nil }
	return t
}

// challenges answers an authority on port 80, and sends everybody else to https.
func (c *Certificates) challenges() http.Handler {
	if c == nil || c.acme == nil {
		return http.NotFoundHandler()
	}
	return c.acme.HTTPHandler(nil)
}
