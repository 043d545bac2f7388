package target

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// names resolves host names for all users. Safe for concurrent use.
type names struct {
	resolver Resolver
	cache    DNSCache
	ttl      time.Duration
	network  string                  // "ip", "ip4" or "ip6"
	fixed    map[string][]netip.Addr // "host:port" or "*:port", from Options.Resolve
	moved    []moved

	mu    sync.Mutex
	known map[string]*name
}

// name is what is known of one host.
type name struct {
	done  chan struct{} // closed when the look-up is over
	addrs []netip.Addr
	err   error
	until time.Time // zero: for ever

	turn  int  // round robin
	other bool // the family that was not listed first is the one that works
}

// moved is one of Options.ConnectTo. Empty parts match and keep anything.
type moved struct{ host, port, toHost, toPort string }

// place says where to connect for host and port: another place, when ConnectTo says so.
func (n *names) place(host, port string) (string, string) {
	for _, m := range n.moved {
		if (m.host == "" || m.host == host) && (m.port == "" || m.port == port) {
			if m.toHost != "" {
				host = m.toHost
			}
			if m.toPort != "" {
				port = m.toPort
			}
			return host, port
		}
	}
	return host, port
}

// addrs returns the addresses of host in the order in which to try them: one
// family after the other, as the resolver sorted them (RFC 6724), and within a
// family each call begins with the next address.
func (n *names) addrs(ctx context.Context, host, port string) ([]netip.Addr, *name, *fault) {
	if list, ok := n.override(host, port); ok {
		return n.ordered(n.entry("="+host+":"+port, list))
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil, nil
	}
	if n.cache == DNSPerConnection {
		list, err := n.resolver.LookupNetIP(ctx, n.network, host)
		if err != nil {
			return nil, nil, lookupFault(err, host)
		}
		return n.ordered(n.entry(host, list))
	}
	e, f := n.lookup(ctx, host)
	if f != nil {
		return nil, nil, f
	}
	return n.ordered(e)
}

func (n *names) override(host, port string) ([]netip.Addr, bool) {
	if len(n.fixed) == 0 {
		return nil, false
	}
	if list, ok := n.fixed[host+":"+port]; ok {
		return list, true
	}
	list, ok := n.fixed["*:"+port]
	return list, ok
}

// entry returns the state of key with these addresses; its turn lives on.
func (n *names) entry(key string, list []netip.Addr) *name {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.known[key]
	if e == nil {
		e = &name{}
		n.known[key] = e
	}
	e.addrs = list
	return e
}

// lookup resolves host, or waits for another user who is at it, or takes what is known.
func (n *names) lookup(ctx context.Context, host string) (*name, *fault) {
	n.mu.Lock()
	e := n.known[host]
	if e != nil {
		select {
		case <-e.done:
			if e.err != nil || !e.until.IsZero() && time.Now().After(e.until) {
				e = &name{done: make(chan struct{}), turn: e.turn, other: e.other}
				break
			}
			n.mu.Unlock()
			return e, nil
		default:
			n.mu.Unlock()
			return e.wait(ctx, host)
		}
	} else {
		e = &name{done: make(chan struct{})}
	}
	n.known[host] = e
	n.mu.Unlock()

	e.addrs, e.err = n.resolver.LookupNetIP(ctx, n.network, host)
	if n.cache == DNSTTL {
		e.until = time.Now().Add(n.ttl)
	}
	close(e.done)
	return e.wait(ctx, host)
}

func (e *name) wait(ctx context.Context, host string) (*name, *fault) {
	select {
	case <-e.done:
		if e.err != nil {
			return nil, lookupFault(e.err, host)
		}
		return e, nil
	case <-ctx.Done():
		return nil, faultf(hit.DNSFailed, "the name server did not answer in time for %q", host)
	}
}

func (n *names) ordered(e *name) ([]netip.Addr, *name, *fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var lists [2][]netip.Addr // as the first one, and the others
	for _, a := range e.addrs {
		a = a.Unmap()
		i := 0
		if a.Is4() != e.addrs[0].Unmap().Is4() {
			i = 1
		}
		lists[i] = append(lists[i], a)
	}
	if e.other && len(lists[1]) > 0 {
		lists[0], lists[1] = lists[1], lists[0]
	}
	out := make([]netip.Addr, 0, len(e.addrs))
	for _, list := range lists {
		for i := range list {
			out = append(out, list[(i+e.turn)%len(list)])
		}
	}
	e.turn++
	if e.turn < 0 {
		e.turn = 0
	}
	return out, e, nil
}

// worked notes that a connection to addr was made, so that the next one begins with its family.
func (n *names) worked(e *name, addr netip.Addr) {
	if e == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(e.addrs) > 0 {
		e.other = addr.Is4() != e.addrs[0].Unmap().Is4()
	}
}

// parseResolve reads "host:port:addr[,addr…]" into fixed.
func (n *names) parseResolve(s string) error {
	host, rest, ok := cutHost(s)
	port, list, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 || host == "" || !isPort(port) {
		return bad("Resolve", "%q is not host:port:address, as in api.example.com:443:192.0.2.10", s)
	}
	var addrs []netip.Addr
	for part := range strings.SplitSeq(list, ",") {
		a, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(part), "[]"))
		if err != nil {
			return bad("Resolve", "%q: %q is not an IP address", s, part)
		}
		addrs = append(addrs, a)
	}
	n.fixed[strings.ToLower(host)+":"+port] = addrs
	return nil
}

// parseConnectTo reads "host1:port1:host2:port2".
func (n *names) parseConnectTo(s string) error {
	wrong := bad("ConnectTo", "%q is not host1:port1:host2:port2, as in api.example.com:443:localhost:8443", s)
	var m moved
	var ok bool
	rest := s
	if m.host, rest, ok = cutHost(rest); !ok {
		return wrong
	}
	if m.port, rest, ok = strings.Cut(rest, ":"); !ok {
		return wrong
	}
	if m.toHost, m.toPort, ok = cutHost(rest); !ok {
		return wrong
	}
	if m.port != "" && !isPort(m.port) || m.toPort != "" && !isPort(m.toPort) {
		return wrong
	}
	m.host, m.toHost = strings.ToLower(m.host), strings.ToLower(m.toHost)
	n.moved = append(n.moved, m)
	return nil
}

// cutHost cuts "host:rest" and "[::1]:rest".
func cutHost(s string) (host, rest string, ok bool) {
	if strings.HasPrefix(s, "[") {
		host, rest, ok = strings.Cut(s[1:], "]")
		return host, strings.TrimPrefix(rest, ":"), ok && strings.HasPrefix(rest, ":")
	}
	return strings.Cut(s, ":")
}
