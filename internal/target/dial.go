package target

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// connect opens a connection to the slot's origin that is ready for a request.
// It changes neither the Client nor the slot.
func (c *Client) connect(ctx context.Context, s *slot, due time.Time) (*conn, *fault) {
	t, o := c.t, s.o
	connecting, securing := t.opts.ConnectTimeout, t.opts.TLSTimeout
	if c.tune.Connect > 0 {
		connecting, securing = c.tune.Connect, c.tune.Connect
	}
	dctx, within, cancel := bounded(ctx, connecting, due, c.limit)
	defer cancel()
	base, f := c.reach(dctx, o, within)
	if f != nil {
		return nil, f
	}
	k := newConn(base, o, &t.big)
	if p := o.proxy; p != nil {
		if p.https {
			config := t.tls.Clone()
			config.ServerName, config.NextProtos = p.host, []string{"http/1.1"}
			f = k.handshake(dctx, config, p.addr(), within)
			k.alpn = ""
		}
		if f == nil && o.https {
			f = k.tunnel(dctx, p, o.addr(), t.opts.UserAgent, t.opts.MaxHeader)
		}
		if f != nil {
			k.close(false)
			return nil, &fault{why: hit.ProxyFailed, text: f.text}
		}
	}
	if !o.https {
		return k, nil
	}
	hctx, within, cancel := bounded(ctx, securing, due, c.limit)
	defer cancel()
	if f := k.handshake(hctx, s.tls, o.addr(), within); f != nil {
		k.close(false)
		return nil, f
	}
	return k, nil
}

// bounded gives a phase its time-out, or what is left of the request's when
// that is less. The time-out returned is the one that was set, whole or not, so
// that equal reasons are equal texts.
func bounded(ctx context.Context, phase time.Duration, due time.Time, whole time.Duration) (context.Context, time.Duration, context.CancelFunc) {
	var end time.Time
	if phase > 0 {
		end = time.Now().Add(phase)
	}
	if !due.IsZero() && (end.IsZero() || due.Before(end)) {
		end, phase = due, whole
	}
	if end.IsZero() {
		ctx, cancel := context.WithCancel(ctx)
		return ctx, 0, cancel
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	return ctx, phase, cancel
}

// reach opens the connection below: to the socket, the proxy or the origin.
func (c *Client) reach(ctx context.Context, o *origin, within time.Duration) (net.Conn, *fault) {
	if path := c.t.opts.UnixSocket; path != "" {
		nc, err := c.dial(ctx, "unix", path)
		if err != nil {
			return nil, connectFault(err, path, within)
		}
		return nc, nil
	}
	if p := o.proxy; p != nil {
		nc, f := c.dialHost(ctx, p.host, p.port, within)
		if f != nil {
			return nil, &fault{why: f.why, text: "the proxy: " + f.text}
		}
		return nc, nil
	}
	host, port := c.t.names.place(o.host, o.port)
	return c.dialHost(ctx, host, port, within)
}

// dialHost tries the addresses of a host one after the other, giving each an
// equal share of the time that is left.
func (c *Client) dialHost(ctx context.Context, host, port string, within time.Duration) (net.Conn, *fault) {
	addr := net.JoinHostPort(host, port)
	list, entry, f := c.t.names.addrs(ctx, host, port)
	if f != nil {
		return nil, f
	}
	if c.local.IsValid() {
		list = sameFamily(list, c.local)
	}
	if v := c.t.opts.IPVersion; v != 0 {
		list = slices.DeleteFunc(list, func(a netip.Addr) bool { return a.Is4() != (v == 4) })
	}
	if len(list) == 0 {
		return nil, faultf(hit.ConnectFailed, "%s has no address that can be reached from the source address given or the IP version asked for", addr)
	}
	var last error
	for i, ip := range list {
		actx, cancel := share(ctx, len(list)-i)
		nc, err := c.dial(actx, "tcp", net.JoinHostPort(ip.String(), port))
		cancel()
		if err == nil {
			c.t.names.worked(entry, ip)
			return nc, nil
		}
		// Of several reasons the first is told: it is that of the address the
		// resolver prefers.
		if last == nil {
			last = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if c.local.IsValid() && notLocal(last) {
		return nil, faultf(hit.ConnectFailed, "%s is not an address of this machine: see --source-ip", c.local)
	}
	return nil, connectFault(last, addr, within)
}

// notLocal tells whether the system refused the source address itself; a lack
// of ports on it shows elsewhere.
func notLocal(err error) bool {
	var sys *os.SyscallError
	return errors.As(err, &sys) && sys.Syscall == "bind" && errors.Is(err, errNoPort)
}

func sameFamily(list []netip.Addr, as netip.Addr) []netip.Addr {
	out := list[:0]
	for _, a := range list {
		if a.Is4() == as.Is4() {
			out = append(out, a)
		}
	}
	return out
}

func share(ctx context.Context, among int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok || among < 2 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(among))
}

// netDial is the DialFunc of the network. TCP keep-alive probes are off: a load
// generator's own time-outs find dead peers, and each probe setting is a system call.
func netDial(local netip.Addr) DialFunc {
	d := &net.Dialer{KeepAlive: -1}
	if !local.IsValid() {
		return d.DialContext
	}
	bound := &net.Dialer{
		KeepAlive: -1,
		LocalAddr: &net.TCPAddr{IP: local.AsSlice(), Zone: local.Zone()},
		Control:   lateport,
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network == "tcp" {
			return bound.DialContext(ctx, network, addr)
		}
		return d.DialContext(ctx, network, addr)
	}
}
