package gate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/gate"
)

// pair writes a certificate and its key.
func pair(t *testing.T, dir, name string, until time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
	}, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return certFile, keyFile
}

func TestTLSAndReload(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := pair(t, dir, "first", time.Now().Add(time.Hour))
	certs, err := gate.LoadCertificates(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"))
	})
	g := startTLS(t, generous, certs, nil, up)
	name := func(how string) string {
		c := client(t, how)
		defer c.CloseIdleConnections()
		res, err := c.Get(g.url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if b, _ := io.ReadAll(res.Body); string(b) != "https" || (how == "h2") != (res.ProtoMajor == 2) {
			t.Errorf("%q over %s", b, res.Proto)
		}
		return res.TLS.PeerCertificates[0].Subject.CommonName
	}
	if got := name("") + " " + name("h2"); got != "first first" {
		t.Fatal(got)
	}
	pair(t, dir, "second", time.Now().Add(time.Hour))
	if err := certs.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := name("") + " " + name("h2"); got != "second second" {
		t.Error(got)
	}
	bad := map[string]func(){
		"not PEM": func() { writeFile(t, certFile, "nonsense") },
		"missing": func() { os.Remove(certFile) },
		"expired": func() { pair(t, dir, "old", time.Now().Add(-time.Minute)) },
		"another key": func() {
			other := t.TempDir()
			pair(t, other, "x", time.Now().Add(time.Hour))
			os.Rename(filepath.Join(other, "key.pem"), keyFile)
		},
	}
	for what, spoil := range bad {
		spoil()
		if err := certs.Reload(); err == nil || !strings.Contains(err.Error(), certFile) {
			t.Errorf("%s: %v", what, err)
		}
		if got := name(""); got != "second" {
			t.Errorf("%s: %s is shown", what, got)
		}
		pair(t, dir, "unused", time.Now().Add(time.Hour))
	}
	// Plain HTTP to a port with TLS gets an answer that says so, and nothing else.
	if first, _ := raw(t, strings.Replace(g.url, "https", "http", 1), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.Contains(first, "400") {
		t.Errorf("plain HTTP: %q", first)
	}
}

// TestACME holds that a certificate is asked for when a client wants one of the
// names, and for no other name, at the authority that was given. The authority
// here ends at the account: a whole one cannot be had.
func TestACME(t *testing.T) {
	var asked, accounts atomic.Int32
	var authority *httptest.Server
	authority = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Replay-Nonce", fmt.Sprint(time.Now().UnixNano()))
		switch r.URL.Path {
		case "/directory":
			asked.Add(1)
			json.NewEncoder(w).Encode(map[string]string{"newNonce": authority.URL + "/nonce", "newAccount": authority.URL + "/account", "newOrder": authority.URL + "/order"})
		case "/account":
			accounts.Add(1)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(403)
			io.WriteString(w, `{"type":"urn:ietf:params:acme:error:unauthorized","detail":"this authority ends here"}`)
		}
	}))
	t.Cleanup(authority.Close)
	for what, a := range map[string]gate.ACME{
		"no domain":  {Cache: t.TempDir(), Agreed: true},
		"not agreed": {Domains: []string{"api.example"}, Cache: t.TempDir()},
		"no cache":   {Domains: []string{"api.example"}, Agreed: true},
		"a wildcard": {Domains: []string{"*.example.com"}, Cache: t.TempDir(), Agreed: true},
		"an address": {Domains: []string{"localhost"}, Cache: t.TempDir(), Agreed: true},
	} {
		if _, err := gate.NewACME(a); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	certs, err := gate.NewACME(gate.ACME{Domains: []string{"api.example"}, Cache: t.TempDir(), Agreed: true, Directory: authority.URL + "/directory", Client: &http.Client{Transport: tr}})
	if err != nil {
		t.Fatal(err)
	}
	g := startTLS(t, generous, certs, nil, upstream(t, func(http.ResponseWriter, *http.Request) {}))
	handshake := func(name string) error {
		c, err := tls.Dial("tcp", strings.TrimPrefix(g.url, "https://"), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := handshake("other.example"); err == nil || asked.Load() != 0 {
		t.Errorf("another name: %v, asked %d times", err, asked.Load())
	}
	if err := handshake("api.example"); err == nil || asked.Load() == 0 || accounts.Load() == 0 {
		t.Errorf("the name: %v, asked %d times, %d accounts", err, asked.Load(), accounts.Load())
	}
}
