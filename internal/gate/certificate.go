package gate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
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

	domains []string
	problem func(domain string, err error)
	mu      sync.Mutex
	told    map[string]time.Time // when problem was last called for a domain
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
	// Problem is told why a certificate could not be had, at most once a minute for
	// each domain: all that the client sees is a broken handshake. Handshakes call it,
	// several at a time. nil: nobody is told.
	Problem func(domain string, err error)
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
	return &Certificates{acme: m, problem: a.Problem, told: map[string]time.Time{}, domains: a.Domains}, nil
}

// fromAuthority is tls.Config's GetCertificate.
func (c *Certificates) fromAuthority(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert, err := c.acme.GetCertificate(hello)
	if err != nil && c.problem != nil && slices.Contains(c.domains, hello.ServerName) {
		c.mu.Lock()
		due := time.Since(c.told[hello.ServerName]) >= time.Minute
		if due {
			c.told[hello.ServerName] = time.Now()
		}
		c.mu.Unlock()
		if due {
			c.problem(hello.ServerName, err)
		}
	}
	return cert, err
}

// config is for a server's side of TLS.
func (c *Certificates) config() *tls.Config {
	t := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if c.acme != nil {
		t.NextProtos = append(t.NextProtos, acme.ALPNProto)
		t.GetCertificate = c.fromAuthority
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
	next := c.acme.HTTPHandler(nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// autocert compares Host with the domains as it is, and an authority that asks at
		// a port by its number (Pebble does, :80 too) has that in it.
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r = r.Clone(r.Context())
			r.Host = host
		}
		next.ServeHTTP(w, r)
	})
}
