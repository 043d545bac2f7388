package guard

import (
	"fmt"
	"net/netip"
	"strings"
)

// Proxies are the networks whose word about a client's address is believed. The
// zero value believes nobody.
type Proxies struct{ trusted []netip.Prefix }

// ParseProxies reads networks such as 10.0.0.0/8, and single addresses.
func ParseProxies(networks ...string) (Proxies, error) {
	var p Proxies
	for _, text := range networks {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil || addr.Zone() != "" {
				return Proxies{}, fmt.Errorf("%.60q is not a network: write for example 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if a := prefix.Addr(); a.Is4In6() {
			if prefix.Bits() < 96 {
				return Proxies{}, fmt.Errorf("%.60q holds more than IPv4 addresses: write an IPv4 network such as 10.0.0.0/8", text)
			}
			prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
		}
		p.trusted = append(p.trusted, prefix.Masked())
	}
	return p, nil
}

// Trusts tells whether an address is one of the proxies'.
func (p Proxies) Trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, prefix := range p.trusted {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// maxHops is how many addresses of X-Forwarded-For are looked at, from the right.
const maxHops = 50

// Client returns the address of a request's client, without a port: IPv4 as
// such even where the socket is IPv6. remote is the peer's host:port, forwarded
// the X-Forwarded-For fields in their order.
//
// Only a trusted peer's X-Forwarded-For is read: from the right, past the
// addresses that are trusted themselves, to the first that is not. What a client
// writes into the field stands left of it and is never reached. At an entry that
// is not an address the last proxy counts as the client.
func (p Proxies) Client(remote string, forwarded []string) string {
	peer, ok := address(remote)
	if !ok {
		return remote // such as @ of a Unix socket
	}
	if len(p.trusted) == 0 || len(forwarded) == 0 || !p.Trusts(peer) {
		if host, _, ok := strings.Cut(remote, ":"); ok && peer.Is4() && strings.IndexByte(host, '.') > 0 {
			return host // as it stands, without an allocation
		}
		return peer.String()
	}
	client, hops := peer, 0
	for i := len(forwarded) - 1; i >= 0; i-- {
		for rest := forwarded[i]; ; {
			cut := strings.LastIndexByte(rest, ',')
			hop, ok := address(strings.Trim(rest[cut+1:], " \t"))
			hops++
			if !ok || hops > maxHops {
				return client.String()
			}
			client = hop
			if !p.Trusts(hop) {
				return client.String()
			}
			if cut < 0 {
				break
			}
			rest = rest[:cut]
		}
	}
	return client.String()
}

// Network is a client's address as its key: whoever has one IPv6 address has all
// of its network, so the first bits of it count as one client; with 64 that is
// 2001:db8:1:2::/64. IPv4 addresses, and those that only reach this site, stay
// whole.
func Network(client string, bits int) string {
	if strings.IndexByte(client, ':') < 0 || bits >= 128 {
		return client
	}
	a, err := netip.ParseAddr(client)
	if err != nil || !a.Is6() || !a.IsGlobalUnicast() || a.IsPrivate() {
		return client
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return client
	}
	return p.String()
}

// address reads an address with or without a port, IPv6 with or without
// brackets; a zone is dropped.
func address(text string) (netip.Addr, bool) {
	if len(text) > 80 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		if ap, err := netip.ParseAddrPort(text); err == nil {
			a = ap.Addr()
		} else if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' {
			return netip.Addr{}, false
		} else if a, err = netip.ParseAddr(text[1 : len(text)-1]); err != nil {
			return netip.Addr{}, false
		}
	}
	return a.Unmap().WithZone(""), true
}
