package guard_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-dev/weir/internal/guard"
)

func TestClient(t *testing.T) {
	p, err := guard.ParseProxies("10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:172.16.0.0/108")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		remote, forwarded, want string
	}{
		{"198.51.100.1:443", "", "198.51.100.1"},
		{"198.51.100.1:443", "1.1.1.1", "198.51.100.1"}, // not a proxy: spoofed
		{"10.0.0.1:443", "1.1.1.1", "1.1.1.1"},
		{"10.0.0.1:443", "6.6.6.6, 1.1.1.1", "1.1.1.1"}, // the client wrote 6.6.6.6
		{"10.0.0.1:443", "6.6.6.6, 1.1.1.1, 10.2.3.4, 192.0.2.7", "1.1.1.1"},
		{"10.0.0.1:443", "6.6.6.6|1.1.1.1", "1.1.1.1"}, // two fields
		{"10.0.0.1:443", "6.6.6.6,1.1.1.1|10.0.0.2", "1.1.1.1"},
		{"10.0.0.1:443", "10.0.0.3, 10.0.0.2", "10.0.0.3"}, // all ours
		{"10.0.0.1:443", "1.1.1.1, unknown", "10.0.0.1"},
		{"10.0.0.1:443", "1.1.1.1, , 10.0.0.2", "10.0.0.2"},
		{"10.0.0.1:443", "", "10.0.0.1"},
		{"10.0.0.1:443", "|", "10.0.0.1"},
		{"10.0.0.1:443", "1.1.1.1:5555", "1.1.1.1"},
		{"10.0.0.1:443", "[2606::1]:80", "2606::1"},
		{"10.0.0.1:443", "[2606::1]", "2606::1"},
		{"10.0.0.1:443", "2606:0:0::1", "2606::1"},
		{"10.0.0.1:443", "::ffff:1.2.3.4", "1.2.3.4"},
		{"[::ffff:10.0.0.1]:443", "1.1.1.1", "1.1.1.1"}, // an IPv4 peer of an IPv6 socket
		{"::ffff:10.0.0.9", "", "10.0.0.9"},
		{"[::ffff:172.16.9.9]:1", "1.1.1.1", "1.1.1.1"},
		{"[2001:db8::5%eth0]:443", "1.1.1.1", "1.1.1.1"},
		{"[fe80::1%eth0]:443", "1.1.1.1", "fe80::1"},
		{"10.0.0.1:443", "1.1.1.1\r\nX: y", "10.0.0.1"},
		{"10.0.0.1:443", strings.Repeat("10.0.0.2,", 5000) + "10.0.0.3", "10.0.0.2"},
		{"10.0.0.1:443", "1.1.1.1," + strings.Repeat("10.0.0.2,", 60) + "10.0.0.3", "10.0.0.2"}, // too long a way
		{"@", "1.1.1.1", "@"},
		{"", "1.1.1.1", ""},
	} {
		var fields []string
		if c.forwarded != "" {
			fields = strings.Split(c.forwarded, "|")
		}
		if got := p.Client(c.remote, fields); got != c.want {
			t.Errorf("%s, forwarded %.60q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
	var nobody guard.Proxies
	if got := nobody.Client("127.0.0.1:1", []string{"1.1.1.1"}); got != "127.0.0.1" {
		t.Errorf("believed by nobody: %s", got)
	}
	for _, bad := range []string{"", "10.0.0.0/33", "example.com", "::ffff:0:0/40", "fe80::1%eth0"} {
		if _, err := guard.ParseProxies(bad); err == nil {
			t.Errorf("%q is no network", bad)
		}
	}
}

func TestNetwork(t *testing.T) {
	for client, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "2001:db8:1:2:9::9": "2001:db8:1:2::/64",
		"::1": "::1", "fe80::1": "fe80::1", "fd00::1": "fd00::1", "": "", "a:b": "a:b",
	} {
		if got := guard.Network(client, 64); got != want {
			t.Errorf("%s: %s, want %s", client, got, want)
		}
	}
	if got := guard.Network("2001:db8::1", 128); got != "2001:db8::1" {
		t.Errorf("of 128 bits: %s", got)
	}
}

// FuzzClient: whatever stands left of an address that is not trusted changes
// nothing, and without trust nothing does.
func FuzzClient(f *testing.F) {
	f.Add("10.0.0.1:1", "6.6.6.6", "1.1.1.1")
	f.Add("10.0.0.1:1", "6.6.6.6, ", "10.0.0.2")
	f.Add("[::1]:1", ",,", "[2001:db8::1]:80")
	p, err := guard.ParseProxies("10.0.0.0/8", "::1")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, remote, spoofed, added string) {
		var nobody guard.Proxies
		if a, b := nobody.Client(remote, nil), nobody.Client(remote, []string{spoofed, added}); a != b {
			t.Fatalf("%q: %q becomes %q by a field", remote, a, b)
		}
		got := p.Client(remote, []string{added})
		a, err := netip.ParseAddr(got)
		if err != nil {
			return // remote was none
		}
		if !p.Trusts(a) {
			for _, fields := range [][]string{{spoofed, added}, {spoofed + "," + added}} {
				if again := p.Client(remote, fields); again != got {
					t.Fatalf("%q, %q: %q, and with %q before %q", remote, added, got, spoofed, again)
				}
			}
		}
	})
}
