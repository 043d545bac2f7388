package gate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/gate"
)

// TestRealAuthority gets a certificate from Pebble, the authority that Let's Encrypt
// gives to authors of clients, which asks at the gate's own port for the proof.
func TestRealAuthority(t *testing.T) {
	programs, err := filepath.Abs("../../.cache/pebble")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(programs, "pebble")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("pebble is not installed; .ci/setup does it")
		}
		t.Skip("skipped: pebble is not installed; .ci/setup does it")
	}
	dir := t.TempDir()
	roots := selfSigned(t, dir)
	api, management, dns, closed := freePort(t), freePort(t), freePort(t), freePort(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(client.CloseIdleConnections)
	certs, err := gate.NewACME(gate.ACME{
		Domains: []string{"gate.weir.test"}, Cache: t.TempDir(), Agreed: true, Client: client,
		Directory: "https://localhost:" + strconv.Itoa(api) + "/dir",
		Problem:   func(_ string, err error) { t.Log(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	g := startTLS(t, generous, certs, nil, upstream(t, func(http.ResponseWriter, *http.Request) {}))
	addr := strings.TrimPrefix(g.url, "https://")
	_, port, _ := net.SplitHostPort(addr)
	own, _ := strconv.Atoi(port)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": "127.0.0.1:" + strconv.Itoa(api), "managementListenAddress": "127.0.0.1:" + strconv.Itoa(management),
		"certificate": filepath.Join(dir, "cert.pem"), "privateKey": filepath.Join(dir, "key.pem"),
		"httpPort": closed, "tlsPort": own, "ocspResponderURL": "", "externalAccountBindingRequired": false,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pebble.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	resolver := "127.0.0.1:" + strconv.Itoa(dns)
	launch(t, filepath.Join(programs, "pebble-challtestsrv"), "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1", "-dnsserver", resolver,
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-management", "127.0.0.1:"+strconv.Itoa(freePort(t)))
	launch(t, filepath.Join(programs, "pebble"), "-config", filepath.Join(dir, "pebble.json"), "-dnsserver", resolver)
	for _, p := range []int{dns, api} {
		await(t, p)
	}
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", addr, &tls.Config{ServerName: "gate.weir.test", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if leaf := c.ConnectionState().PeerCertificates[0]; !strings.Contains(leaf.Issuer.CommonName, "Pebble") || leaf.VerifyHostname("gate.weir.test") != nil {
		t.Errorf("the certificate is of %v, for %v", leaf.Issuer, leaf.DNSNames)
	}
}

func launch(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	// Pebble refuses good nonces, and waits, at random to harden clients; here the gate is tested.
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func await(t *testing.T, port int) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nothing listens at port %d", port)
}

// selfSigned writes the certificate of the authority's own service.
func selfSigned(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return roots
}
