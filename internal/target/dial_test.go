package target

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// phoneBook is a name server.
type phoneBook struct {
	mu    sync.Mutex
	names map[string][]string
	err   error
	asked []string
	slow  time.Duration
}

func (p *phoneBook) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	time.Sleep(p.slow)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, network+" "+host)
	if p.err != nil {
		return nil, p.err
	}
	list, ok := p.names[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out, nil
}

// calls records the addresses dialled; those in down are refused.
type calls struct {
	mu   sync.Mutex
	list []string
	down map[string]error
}

func (c *calls) dial(_ context.Context, network, addr string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, addr)
	host, _, _ := net.SplitHostPort(addr)
	if err := c.down[host]; err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", err)}
	}
	ours, theirs := net.Pipe()
	go func() {
		defer func() { _ = theirs.Close() }()
		s := &server{theirs, bufio.NewReader(theirs)}
		for s.request() != nil {
			s.say(okAnswer)
		}
	}()
	return ours, nil
}

func TestAddresses(t *testing.T) {
	refused, unreachable := error(syscall.ECONNREFUSED), error(syscall.ENETUNREACH)
	book := map[string][]string{
		"one.test":  {"192.0.2.1"},
		"four.test": {"192.0.2.1", "192.0.2.2", "192.0.2.3"},
		"both.test": {"2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"},
		"map.test":  {"::ffff:192.0.2.7"},
	}
	tests := []struct {
		name string
		o    Options
		url  string
		down map[string]error
		want string // addresses dialled by four connections
		fail string // text of the failure
	}{
		{"one", Options{}, "http://one.test/", nil, "192.0.2.1:80 192.0.2.1:80 192.0.2.1:80 192.0.2.1:80", ""},
		{"upper case", Options{}, "http://ONE.test:81/", nil, "192.0.2.1:81 192.0.2.1:81 192.0.2.1:81 192.0.2.1:81", ""},
		{"round robin", Options{}, "http://four.test/", nil, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80 192.0.2.1:80", ""},
		{"round robin, resolved once", Options{DNS: DNSOnce}, "http://four.test/", nil, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80 192.0.2.1:80", ""},
		{"round robin, resolved for each", Options{DNS: DNSPerConnection}, "http://four.test/", nil, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80 192.0.2.1:80", ""},
		{"round robin within the preferred family", Options{}, "http://both.test/", nil, "[2001:db8::1]:80 [2001:db8::2]:80 [2001:db8::1]:80 [2001:db8::2]:80", ""},
		{"one is down", Options{}, "http://four.test/", map[string]error{"192.0.2.2": refused}, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80 192.0.2.3:80 192.0.2.1:80", ""},
		{"a family is down: it is not tried again", Options{}, "http://both.test/", map[string]error{"2001:db8::1": unreachable, "2001:db8::2": unreachable}, "[2001:db8::1]:80 [2001:db8::2]:80 192.0.2.1:80 192.0.2.2:80 192.0.2.1:80 192.0.2.2:80", ""},
		{"mapped", Options{}, "http://map.test/", nil, "192.0.2.7:80 192.0.2.7:80 192.0.2.7:80 192.0.2.7:80", ""},
		{"override", Options{Resolve: []string{"api.invalid:80:192.0.2.5,[2001:db8::5]"}}, "http://api.invalid/", nil, "192.0.2.5:80 192.0.2.5:80 192.0.2.5:80 192.0.2.5:80", ""},
		{"override for any host", Options{Resolve: []string{"*:80:192.0.2.5"}}, "http://one.test/", nil, "192.0.2.5:80 192.0.2.5:80 192.0.2.5:80 192.0.2.5:80", ""},
		{"override for another port", Options{Resolve: []string{"one.test:81:192.0.2.5"}}, "http://one.test/", nil, "192.0.2.1:80 192.0.2.1:80 192.0.2.1:80 192.0.2.1:80", ""},
		{"connect to", Options{ConnectTo: []string{"one.test:80:four.test:8080"}}, "http://one.test/", nil, "192.0.2.1:8080 192.0.2.2:8080 192.0.2.3:8080 192.0.2.1:8080", ""},
		{"connect anything to", Options{ConnectTo: []string{"::[2001:db8::9]:"}}, "http://one.test:82/", nil, "[2001:db8::9]:82 [2001:db8::9]:82 [2001:db8::9]:82 [2001:db8::9]:82", ""},
		{"connect to, no match", Options{ConnectTo: []string{"one.test:81:four.test:8080"}}, "http://one.test/", nil, "192.0.2.1:80 192.0.2.1:80 192.0.2.1:80 192.0.2.1:80", ""},
		{"unknown", Options{}, "http://nope.test/", nil, "", `dns: no address for "nope.test": check the name, or give one with --resolve`},
		{"refused", Options{}, "http://one.test/", map[string]error{"192.0.2.1": refused}, "192.0.2.1:80", "connect-refused: one.test:80 refused the connection"},
		{"unreachable", Options{}, "http://one.test/", map[string]error{"192.0.2.1": unreachable}, "192.0.2.1:80", "connect-failed: no connection to one.test:80: network is unreachable"},
		{"no file descriptors", Options{}, "http://one.test/", map[string]error{"192.0.2.1": syscall.EMFILE}, "192.0.2.1:80", "connect-failed: no file descriptors left"},
		{"no ports", Options{}, "http://one.test/", map[string]error{"192.0.2.1": syscall.EADDRNOTAVAIL}, "192.0.2.1:80", "connect-failed: no local port left"},
		{"timed out by the kernel", Options{}, "http://one.test/", map[string]error{"192.0.2.1": syscall.ETIMEDOUT}, "192.0.2.1:80", "connect-timeout: no connection to one.test:80 within 10s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := &calls{down: tt.down}
				tt.o.Dial, tt.o.Resolver, tt.o.Connections, tt.o.Proxy = net.dial, &phoneBook{names: book}, PerRequest, "none"
				c := userOf(t, tt.o)
				for range 4 {
					a := get(c, tt.url)
					if got := fmt.Sprintf("%v: %s", a.Failure, a.Err); tt.fail != "" {
						if !strings.HasPrefix(got, tt.fail) || a.Done.IsZero() || a.Opened != 0 {
							t.Errorf("%s, opened %d, want %s", got, a.Opened, tt.fail)
						}
						break
					}
					if a.Failure != hit.NoFailure || a.Status != 200 {
						t.Errorf("%v %q, status %d", a.Failure, a.Err, a.Status)
					}
				}
				if got := strings.Join(net.list, " "); got != tt.want {
					t.Errorf("dialled %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// TestAddressesShareTheTime: an address that swallows packets must not use up
// the time of the one that works.
func TestAddressesShareTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := &calls{}
		c := userOf(t, Options{ConnectTimeout: 9 * time.Second, Proxy: "none",
			Resolver: &phoneBook{names: map[string][]string{"a.test": {"192.0.2.1", "192.0.2.2", "192.0.2.3"}}},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != "192.0.2.3:80" {
					return hangs(ctx, network, addr)
				}
				return good.dial(ctx, network, addr)
			}})
		a := get(c, "http://a.test/")
		if a.Failure != hit.NoFailure || a.Connect != 6*time.Second || a.Done.Sub(a.Sent) != 0 {
			t.Errorf("%v %q, connected in %v, want 3s for each of two that hang", a.Failure, a.Err, a.Connect)
		}
	})
}

func TestDNSCache(t *testing.T) {
	tests := []struct {
		name  string
		o     Options
		asked int // after three connections 20 s apart
	}{
		{"for a time", Options{}, 2},
		{"for a longer time", Options{DNSTTL: time.Hour}, 1},
		{"once", Options{DNS: DNSOnce}, 1},
		{"per connection", Options{DNS: DNSPerConnection}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := &phoneBook{names: map[string][]string{"a.test": {"192.0.2.1"}}}
				tt.o.Dial, tt.o.Resolver, tt.o.Connections, tt.o.Proxy, tt.o.IPVersion = (&calls{}).dial, book, PerRequest, "none", 4
				c := userOf(t, tt.o)
				for range 3 {
					get(c, "http://a.test/")
					time.Sleep(20 * time.Second)
				}
				if len(book.asked) != tt.asked || book.asked[0] != "ip4 a.test" {
					t.Errorf("asked %q, want %d times", book.asked, tt.asked)
				}
			})
		})
	}
}

// TestDNSTogether: users who need the same name at once ask once; a failure is
// told to all of them and is not remembered.
func TestDNSTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &phoneBook{names: map[string][]string{"a.test": {"192.0.2.1"}}, slow: time.Second, err: errors.New("the server is on holiday")}
		tgt, err := New(Options{Dial: (&calls{}).dial, Resolver: book, Proxy: "none"})
		if err != nil {
			t.Fatal(err)
		}
		round := func() (failed int) {
			results := make(chan *hit.Answer)
			var users []*Client
			for u := range 20 {
				c, _ := tgt.NewSender(u)
				users = append(users, c)
				go func() { results <- get(c, "http://a.test/") }()
			}
			for range 20 {
				if a := <-results; a.Failure == hit.DNSFailed && strings.Contains(a.Err, "on holiday") {
					failed++
				} else if a.Failure != hit.NoFailure {
					t.Errorf("%v %q", a.Failure, a.Err)
				}
			}
			for _, c := range users {
				_ = c.Close()
			}
			return failed
		}
		if failed := round(); failed != 20 || len(book.asked) != 1 {
			t.Errorf("%d failed after %d questions, want 20 after 1", failed, len(book.asked))
		}
		book.err = nil
		if failed := round(); failed != 0 || len(book.asked) != 2 {
			t.Errorf("%d failed after %d questions, want 0 after 2", failed, len(book.asked))
		}
	})
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	c := userOf(t, Options{UnixSocket: path, KeepBody: func(int) bool { return true }})
	for i := range 2 {
		if a := get(c, "http://app.test/"); a.Failure != hit.NoFailure || string(a.Body) != "app.test" || a.Opened != 1-i {
			t.Errorf("%v %q, body %q, opened %d", a.Failure, a.Err, a.Body, a.Opened)
		}
	}
	_ = s.Close()
	<-done
	if a := get(c, "http://app.test/"); a.Failure != hit.ConnectFailed && a.Failure != hit.ConnectRefused || !strings.Contains(a.Err, path) {
		t.Errorf("without the socket: %v %q", a.Failure, a.Err)
	}
}

func TestSourceAddresses(t *testing.T) {
	url := listen(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		_, _ = io.WriteString(w, host)
	})})
	sources := []string{"127.0.0.2", "127.0.0.3"}
	tgt, err := New(Options{SourceAddrs: sources, Proxy: "none", KeepBody: func(int) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	for user := range 4 {
		c, _ := tgt.NewSender(user)
		a := get(c, url)
		if a.Failure == hit.ConnectFailed && user == 0 && runtime.GOOS != "linux" {
			t.Skipf("skipped: this system has no 127.0.0.2: %s", a.Err)
		}
		if got, want := string(a.Body), sources[user%2]; got != want {
			t.Errorf("user %d came from %q, want %q (%v %q)", user, got, want, a.Failure, a.Err)
		}
		_ = c.Close()
	}
	c, _ := tgt.NewSender(0)
	if a := get(c, "http://[::1]:1/"); a.Failure != hit.ConnectFailed || !strings.Contains(a.Err, "no address that can be reached from the source address") {
		t.Errorf("other family: %v %q", a.Failure, a.Err)
	}
	_ = tgt.Close()
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c := userOf(t, Options{Proxy: "none"})
	a := get(c, "http://"+addr+"/")
	if a.Failure != hit.ConnectRefused || !strings.Contains(a.Err, addr+" refused the connection: is the service running") || !a.Sent.IsZero() {
		t.Errorf("%v %q, Sent %v", a.Failure, a.Err, a.Sent)
	}
	if err := Check(t.Context(), c.t, "http://"+addr+"/"); err == nil || Why(err) != hit.ConnectRefused {
		t.Errorf("Check = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Check(ctx, c.t, "http://"+addr+"/"); Why(err) != hit.Interrupted {
		t.Errorf("Check after the end = %v", err)
	}
	if err := Check(t.Context(), c.t, "nonsense"); Why(err) != hit.OtherFailure {
		t.Errorf("Check(nonsense) = %v", err)
	}
}

// FuzzOptions: no override, URL or proxy makes New or Send panic.
func FuzzOptions(f *testing.F) {
	for _, s := range []string{"a:80:192.0.2.1", "[::1]:80:[::2]", "*:1:1.1.1.1,2.2.2.2", "a:b:c:d", "::x:", "http://u:p@h:1/", "http://[::1", "http://\x7f", "é://", "h:99999:::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tgt, err := New(Options{Resolve: []string{s}, ConnectTo: []string{s}, Proxy: s, SourceAddrs: nil, Getenv: func(string) string { return "" }})
		if err == nil && tgt == nil {
			t.Fatal("neither a target nor an error")
		}
		tgt, err = New(Options{Dial: (&calls{down: map[string]error{"": syscall.ECONNREFUSED}}).refuse, Resolver: &phoneBook{}, Proxy: "none"})
		if err != nil {
			t.Fatal(err)
		}
		c, _ := tgt.NewSender(0)
		if a := get(c, s); a.Failure == hit.NoFailure || a.Err == "" || strings.ContainsAny(a.Err, "\r\n\x00") {
			t.Errorf("Send(%q) = %v %q", s, a.Failure, a.Err)
		}
		_ = c.Close()
	})
}

func (c *calls) refuse(context.Context, string, string) (net.Conn, error) {
	return nil, syscall.ECONNREFUSED
}

func TestBadOptions(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			if i := slices.Index(pairs, name); i >= 0 {
				return pairs[i+1]
			}
			return ""
		}
	}
	tests := []struct {
		field string
		text  string
		o     Options
	}{
		{"Connections", "PerUser", Options{Connections: 9}},
		{"HTTP", "Auto", Options{HTTP: 9}},
		{"DNS", "DNSOnce", Options{DNS: 9}},
		{"MaxShared", "negative", Options{MaxShared: -1, Connections: Shared}},
		{"MaxShared", "set Connections to Shared", Options{MaxShared: 1}},
		{"IPVersion", "4 or 6", Options{IPVersion: 5}},
		{"BodyLimit", "negative", Options{BodyLimit: -1}},
		{"MaxHeader", "256", Options{MaxHeader: 10}},
		{"MaxBody", "negative", Options{MaxBody: -1}},
		{"MaxRedirects", "-1 follows none", Options{MaxRedirects: -2}},
		{"UserAgent", "control", Options{UserAgent: "a\r\nb"}},
		{"SourceAddrs", `"localhost" is not an IP`, Options{SourceAddrs: []string{"localhost"}}},
		{"SourceAddrs", "dialer", Options{SourceAddrs: []string{"127.0.0.1"}, Dial: hangs}},
		{"SourceAddrs", "Unix", Options{SourceAddrs: []string{"127.0.0.1"}, UnixSocket: "/x"}},
		{"Proxy", "exclude", Options{Proxy: "http://p:1", UnixSocket: "/x"}},
		{"Proxy", "SOCKS", Options{Proxy: "socks5://p:1"}},
		{"Proxy", "path", Options{Proxy: "http://p:1/x"}},
		{"Proxy", "not http", Options{Proxy: "ftp://p:1"}},
		{"Proxy", "not a URL", Options{Proxy: "http://me:secret@p:x"}},
		{"Proxy", "percent-encode", Options{Proxy: "http://me:sec ret@p:1"}},
		{"Proxy", "environment's HTTPS_PROXY", Options{Getenv: env("HTTPS_PROXY", "http://me:secret@p:x")}},
		{"Proxy", "not a URL", Options{Proxy: "http://me:secret@p:x", NoProxy: "a.test"}},
		{"Resolve", "host:port:address", Options{Resolve: []string{"a.test"}}},
		{"Resolve", "host:port:address", Options{Resolve: []string{"a.test:http:192.0.2.1"}}},
		{"Resolve", `"b.test" is not an IP`, Options{Resolve: []string{"a.test:80:b.test"}}},
		{"Resolve", "host:port:address", Options{Resolve: []string{"[::1:80:192.0.2.1"}}},
		{"ConnectTo", "host1:port1", Options{ConnectTo: []string{"a.test:80:b.test"}}},
		{"ConnectTo", "host1:port1", Options{ConnectTo: []string{"a.test:80:b.test:x"}}},
		{"TLS.CAFile", "no such file", Options{TLS: TLS{CAFile: filepath.Join(dir, "none.pem")}}},
		{"TLS.CAFile", "no certificate in PEM", Options{TLS: TLS{CAFile: junk}}},
		{"TLS.CertFile", "both", Options{TLS: TLS{CertFile: junk}}},
		{"TLS.CertFile", "both", Options{TLS: TLS{KeyFile: junk}}},
		{"TLS.CertFile", "junk.pem", Options{TLS: TLS{CertFile: junk, KeyFile: junk}}},
		{"TLS.Min", "1.2 or 1.3", Options{TLS: TLS{Min: "1.4"}}},
		{"TLS.Max", "1.2 or 1.3", Options{TLS: TLS{Max: "ssl3"}}},
		{"TLS.Max", "older than the minimum", Options{TLS: TLS{Min: "1.3", Max: "1.2"}}},
	}
	for _, tt := range tests {
		t.Run(tt.field+" "+tt.text, func(t *testing.T) {
			if tt.o.Getenv == nil {
				tt.o.Getenv = env()
			}
			_, err := New(tt.o)
			var bad *OptionError
			if !errors.As(err, &bad) || bad.Field != tt.field || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("New = %v, want %s: …%s…", err, tt.field, tt.text)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sec ret")) {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
	_, err := New(Options{IPVersion: 5, HTTP: 9, Resolve: []string{"x", "y"}, Getenv: env()})
	if got := strings.Count(fmt.Sprint(err), "\n"); got != 3 {
		t.Errorf("all mistakes are told at once: %v", err)
	}
}
