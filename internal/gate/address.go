package gate

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/weir-dev/weir/internal/guard"
)

// ParseTrust reads the networks of trusted proxies: prefixes such as 10.0.0.0/8,
// addresses, and the words loopback and private (RFC 1918, RFC 4193).
func ParseTrust(list []string) (guard.Proxies, error) {
	var networks []string
	for _, s := range list {
		switch s = strings.TrimSpace(s); s {
		case "loopback":
			networks = append(networks, "127.0.0.0/8", "::1")
		case "private":
			networks = append(networks, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
		default:
			networks = append(networks, s)
		}
	}
	return guard.ParseProxies(networks...)
}

// peer returns the address at the other end of the connection. It is not valid
// for a connection without addresses, such as a Unix socket.
func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}
