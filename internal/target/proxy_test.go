package target

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// connectProxy opens tunnels and forwards absolute URLs. want is the
// Proxy-Authorization it insists on.
type connectProxy struct {
	want    string
	refuse  int // a status to answer every CONNECT with
	tunnels atomic.Int32
	plain   atomic.Int32
	wg      sync.WaitGroup
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Proxy-Authorization") != p.want {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		p.plain.Add(1)
		_, _ = io.WriteString(w, r.URL.String())
		return
	}
	if p.refuse != 0 {
		w.WriteHeader(p.refuse)
		return
	}
	there, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	p.tunnels.Add(1)
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = there.Close()
		return
	}
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\nX-A: b\r\n\r\n")
	p.wg.Go(func() { _, _ = io.Copy(there, here); _ = there.Close() })
	p.wg.Go(func() { _, _ = io.Copy(here, there); _ = here.Close() })
}

func TestProxy(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("server", false, time.Now().Add(time.Hour), []string{"127.0.0.1", "proxy.test"})
	secure := listenTLS(t, &http.Server{Handler: http.HandlerFunc(tell)}, &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}, NextProtos: []string{"h2", "http/1.1"}})
	dead := strings.Replace(answerServer(t, "nonsense\r\n\r\n"), "http://", "", 1)
	dead = strings.TrimSuffix(dead, "/")

	for _, overTLS := range []bool{false, true} {
		open, locked := &connectProxy{}, &connectProxy{want: "Basic bWU6c2VjcmV0"}
		closed := &connectProxy{refuse: 403}
		serve := func(p *connectProxy) string {
			s := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)}
			t.Cleanup(p.wg.Wait)
			if overTLS {
				return strings.TrimSuffix(listenTLS(t, s, &tls.Config{Certificates: []tls.Certificate{ca.pair("server")}, NextProtos: []string{"http/1.1"}}), "/")
			}
			return strings.TrimSuffix(listen(t, s), "/")
		}
		openURL, lockedURL, closedURL := serve(open), serve(locked), serve(closed)
		with := func(url, user string) string { return strings.Replace(url, "://", "://"+user+"@", 1) }
		tests := []struct {
			name    string
			o       Options
			url     string
			failure hit.Failure
			text    string
			tunnel  *connectProxy // one more tunnel or plain request there
		}{
			{"tunnel", Options{Proxy: openURL}, secure, 0, "", open},
			{"tunnel for HTTP/2", Options{Proxy: openURL, HTTP: HTTP2}, secure, 0, "", open},
			{"plain", Options{Proxy: openURL}, "http://service.invalid/x?y", 0, "", open},
			{"credentials", Options{Proxy: with(lockedURL, "me:secret")}, secure, 0, "", locked},
			{"credentials, plain", Options{Proxy: with(lockedURL, "me:secret")}, "http://service.invalid/", 0, "", locked},
			{"no credentials", Options{Proxy: lockedURL}, secure, hit.ProxyFailed, "asks for credentials: put user:password@", nil},
			{"wrong credentials", Options{Proxy: with(lockedURL, "me:secret2")}, secure, hit.ProxyFailed, "did not accept", nil},
			{"forbidden", Options{Proxy: closedURL}, secure, hit.ProxyFailed, "status 403", nil},
			{"unreachable behind it", Options{Proxy: openURL}, "https://127.0.0.1:1/", hit.ProxyFailed, "status 502", nil},
			{"gone", Options{Proxy: "http://127.0.0.1:1"}, secure, hit.ConnectRefused, "the proxy: 127.0.0.1:1 refused", nil},
			{"nonsense", Options{Proxy: "http://" + dead}, secure, hit.ProxyFailed, "not HTTP/1", nil},
			{"http proxy spoken to as https", Options{Proxy: "https://" + dead}, secure, hit.ProxyFailed, "does not speak TLS", nil},
			{"not for these hosts", Options{Proxy: closedURL, NoProxy: "127.0.0.1"}, secure, 0, "", nil},
			{"h2c", Options{Proxy: openURL, HTTP: H2C}, "http://service.invalid/", hit.ProxyFailed, "does not go through a proxy", nil},
			{"environment", Options{Getenv: func(n string) string { return map[string]string{"http_proxy": openURL}[n] }}, "http://service.invalid/", 0, "", open},
			{"environment, exempt", Options{Getenv: func(n string) string {
				return map[string]string{"HTTP_PROXY": openURL, "NO_PROXY": "*.invalid"}[n]
			}}, "http://service.invalid/", hit.DNSFailed, "service.invalid", nil},
		}
		for _, tt := range tests {
			name := tt.name
			if overTLS {
				name += ", over TLS"
			}
			t.Run(name, func(t *testing.T) {
				tt.o.TLS.CAFile = ca.file
				tt.o.Resolver = &phoneBook{}
				c := userOf(t, tt.o)
				var before int32
				if tt.tunnel != nil {
					before = tt.tunnel.tunnels.Load() + tt.tunnel.plain.Load()
				}
				a := get(c, tt.url)
				if a.Failure != tt.failure || !strings.Contains(a.Err, tt.text) || strings.Contains(a.Err, "secret") || strings.Contains(a.Err, "bWU6") {
					t.Fatalf("%v %q, want %v %q", a.Failure, a.Err, tt.failure, tt.text)
				}
				if tt.failure != hit.NoFailure {
					return
				}
				if a.Status != 200 || a.Opened != 1 {
					t.Errorf("status %d, opened %d", a.Status, a.Opened)
				}
				if a = get(c, tt.url); a.Status != 200 || a.Opened != 0 {
					t.Errorf("second request: status %d, opened %d (%v %q)", a.Status, a.Opened, a.Failure, a.Err)
				}
				if tt.tunnel == nil {
					return
				}
				want := int32(1)
				if strings.HasPrefix(tt.url, "http:") {
					want = 2
				}
				if got := tt.tunnel.tunnels.Load() + tt.tunnel.plain.Load() - before; got != want {
					t.Errorf("the proxy was used %d times, want %d", got, want)
				}
			})
		}
	}
}
