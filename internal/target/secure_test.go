package target

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// authority signs certificates in a test's directory.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	file string
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	a.cert, a.key = a.sign("authority", true, time.Now().Add(time.Hour), nil)
	a.pool.AddCert(a.cert)
	a.file = filepath.Join(a.dir, "authority.pem")
	return a
}

// sign writes name.pem and name.key.
func (a *authority) sign(name string, isCA bool, until time.Time, hosts []string) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, IsCA: isCA, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if isCA {
		c.KeyUsage |= x509.KeyUsageCertSign
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	rawKey, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "EC PRIVATE KEY", rawKey)
	out, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return out, key
}

func (a *authority) write(name, kind string, der []byte) {
	if err := os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) pair(name string) tls.Certificate {
	c, err := tls.LoadX509KeyPair(filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// listenTLS serves https until the test ends and returns the URL.
func listenTLS(t testing.TB, s *http.Server, c *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.TLSConfig = c
	s.ErrorLog = log.New(io.Discard, "", 0)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return "https://" + l.Addr().String() + "/"
}

// tell answers with what the server saw of TLS.
func tell(w http.ResponseWriter, r *http.Request) {
	peer := ""
	if len(r.TLS.PeerCertificates) > 0 {
		peer = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	w.Header().Set("X-SNI", r.TLS.ServerName)
	w.Header().Set("X-Peer", peer)
	w.Header().Set("X-ALPN", r.TLS.NegotiatedProtocol)
	w.Header().Set("X-Version", tls.VersionName(r.TLS.Version))
	if r.TLS.DidResume {
		w.Header().Set("X-Resumed", "yes")
	}
	_, _ = io.WriteString(w, "ok")
}

func TestTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	ca.sign("server", false, time.Now().Add(time.Hour), []string{"api.test", "127.0.0.1"})
	ca.sign("named", false, time.Now().Add(time.Hour), []string{"a.test", "b.test", "c.test", "d.test"})
	ca.sign("old", false, time.Now().Add(-time.Hour), []string{"127.0.0.1"})
	ca.sign("client", false, time.Now().Add(time.Hour), nil)
	stranger.sign("client", false, time.Now().Add(time.Hour), nil)

	file := func(a *authority, name string) string { return filepath.Join(a.dir, name) }
	handler := func() *http.Server { return &http.Server{Handler: http.HandlerFunc(tell)} }
	good := listenTLS(t, handler(), &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}, NextProtos: []string{"h2", "http/1.1"}})
	named := listenTLS(t, handler(), &tls.Config{Certificates: []tls.Certificate{ca.pair("named")}})
	old := listenTLS(t, handler(), &tls.Config{Certificates: []tls.Certificate{ca.pair("old")}})
	modern := listenTLS(t, handler(), &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}, MinVersion: tls.VersionTLS13})
	ancient := listenTLS(t, handler(), &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	mutual := listenTLS(t, handler(), &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool})
	mutual12 := listenTLS(t, handler(), &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool, MaxVersion: tls.VersionTLS12})
	plain := strings.Replace(listen(t, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ErrorLog: log.New(io.Discard, "", 0)}), "http:", "https:", 1)

	tests := []struct {
		name    string
		url     string
		tls     TLS
		failure hit.Failure
		text    string // part of Err
		fields  string // "Name=value Name=value" of the answer
	}{
		{"verified", good, TLS{CAFile: ca.file}, 0, "", "X-ALPN=http/1.1 X-SNI= X-Peer= X-Version=TLS_1.3"},
		{"SNI", good, TLS{CAFile: ca.file, ServerName: "api.test"}, 0, "", "X-SNI=api.test"},
		{"insecure", good, TLS{Insecure: true}, 0, "", "X-ALPN=http/1.1"},
		{"old version on demand", good, TLS{CAFile: ca.file, Max: "1.2"}, 0, "", "X-Version=TLS_1.2"},
		{"unknown authority", good, TLS{}, hit.TLSFailed, "pass --cacert", ""},
		{"other authority", good, TLS{CAFile: stranger.file}, hit.TLSFailed, "pass --cacert", ""},
		{"wrong name", good, TLS{CAFile: ca.file, ServerName: "other.test"}, hit.TLSFailed, "is for api.test, 127.0.0.1, not other.test: pass --sni", ""},
		{"wrong address", named, TLS{CAFile: ca.file}, hit.TLSFailed, "is for a.test, b.test, c.test and 1 more, not 127.0.0.1", ""},
		{"expired", old, TLS{CAFile: ca.file}, hit.TLSFailed, "not valid today", ""},
		{"too old for the server", modern, TLS{CAFile: ca.file, Max: "1.2"}, hit.TLSFailed, "it speaks none of the TLS versions allowed here: see --tls-min", ""},
		{"client certificate", mutual, TLS{CAFile: ca.file, CertFile: file(ca, "client.pem"), KeyFile: file(ca, "client.key")}, 0, "", "X-Peer=client"},
		{"no client certificate, TLS 1.2", mutual12, TLS{CAFile: ca.file}, hit.TLSFailed, "client certificate", ""},
		{"no client certificate, TLS 1.3", mutual, TLS{CAFile: ca.file}, hit.TLSFailed, "wants a client certificate: pass --cert", ""},
		{"stranger's client certificate", mutual, TLS{CAFile: ca.file, CertFile: file(stranger, "client.pem"), KeyFile: file(stranger, "client.key")}, hit.TLSFailed, "the server does not accept the certificate given with --cert", ""},
		{"stranger's client certificate, TLS 1.2", mutual12, TLS{CAFile: ca.file, CertFile: file(stranger, "client.pem"), KeyFile: file(stranger, "client.key")}, hit.TLSFailed, "the server does not accept the certificate given with --cert", ""},
		{"too new for the server", ancient, TLS{CAFile: ca.file}, hit.TLSFailed, "it speaks none of the TLS versions allowed here: see --tls-min", ""},
		{"not TLS", plain, TLS{}, hit.TLSFailed, "does not speak TLS: try http://", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := userOf(t, Options{TLS: tt.tls, Proxy: "none"})
			for i := range 2 {
				a := get(c, tt.url)
				if a.Failure != tt.failure || !strings.Contains(a.Err, tt.text) {
					t.Fatalf("failure = %v %q, want %v %q", a.Failure, a.Err, tt.failure, tt.text)
				}
				if tt.failure != hit.NoFailure {
					return
				}
				if want := 1 - i; a.Opened != want || (a.Connect > 0) != (want > 0) {
					t.Errorf("request %d: opened %d in %v", i, a.Opened, a.Connect)
				}
				for want := range strings.FieldsSeq(tt.fields) {
					name, value, _ := strings.Cut(want, "=")
					if got := strings.ReplaceAll(a.Fields.Get(name), " ", "_"); got != value {
						t.Errorf("%s = %q, want %q", name, got, value)
					}
				}
			}
			if tt.failure == hit.NoFailure {
				if err := Check(context.Background(), c.t, tt.url); err != nil {
					t.Errorf("Check = %v", err)
				}
			}
		})
	}
}

func TestTLSResumption(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("server", false, time.Now().Add(time.Hour), []string{"127.0.0.1"})
	url := listenTLS(t, &http.Server{Handler: http.HandlerFunc(tell)}, &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}})
	for _, off := range []bool{false, true} {
		tgt, err := New(Options{Connections: PerRequest, TLS: TLS{CAFile: ca.file, NoResume: off}, Proxy: "none"})
		if err != nil {
			t.Fatal(err)
		}
		for user := range 2 {
			c, _ := tgt.NewSender(user)
			for i := range 3 {
				a := get(c, url)
				want := i > 0 && !off // each user's own sessions
				if got := a.Fields.Get("X-Resumed") == "yes"; a.Failure != hit.NoFailure || got != want {
					t.Errorf("off %v, user %d, connection %d: resumed %v, want %v (%v %q)", off, user, i, got, want, a.Failure, a.Err)
				}
			}
			_ = c.Close()
		}
		_ = tgt.Close()
	}
}

// TestTLSClosedIdle: the server says goodbye to an idle connection; a POST must
// notice before it is sent. A session ticket that waits to be read must not be
// mistaken for a goodbye.
func TestTLSClosedIdle(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("server", false, time.Now().Add(time.Hour), []string{"127.0.0.1"})
	conns := make(chan net.Conn, 10)
	s := &http.Server{Handler: http.HandlerFunc(tell), ConnState: func(nc net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			conns <- nc
		}
	}}
	url := listenTLS(t, s, &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}})
	c := userOf(t, Options{TLS: TLS{CAFile: ca.file}, Proxy: "none"})
	post := &hit.Request{Method: "POST", URL: url}
	old := func() { c.slots[0].idle.lastUse = time.Now().Add(-time.Second) }
	for i := range 4 {
		a := send(c, post)
		want := 1 - i%2 // every second connection is closed under it
		if a.Failure != hit.NoFailure || a.Retried || a.Opened != want {
			t.Errorf("POST %d: %v %q, retried %v, opened %d, want %d", i, a.Failure, a.Err, a.Retried, a.Opened, want)
		}
		nc := <-conns
		if i%2 == 1 {
			_ = nc.Close()
		}
		old()
	}
}

// TestTLSWaitingBytes: bytes that wait in an idle TLS connection need not be a
// goodbye; half a record is none.
func TestTLSWaitingBytes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = theirs.Close() }()
	ca := newAuthority(t)
	ca.sign("server", false, time.Now().Add(time.Hour), []string{"127.0.0.1"})
	go func() {
		_ = tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}, MaxVersion: tls.VersionTLS12}).Handshake()
	}()
	k := newConn(ours, nil, &bigPool{})
	defer k.close(false)
	if f := k.handshake(t.Context(), &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}, "", 0); f != nil {
		t.Fatal(f)
	}
	if k.stale.closed(k) {
		t.Error("a silent connection is taken for a closed one")
	}
	if _, err := theirs.Write([]byte{0x17, 3}); err != nil {
		t.Fatal(err)
	}
	if k.stale.closed(k) {
		t.Error("waiting bytes are taken for a goodbye")
	}
	_ = theirs.Close()
	for !k.stale.closed(k) { // as soon as the end has arrived
	}
}
