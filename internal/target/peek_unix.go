//go:build unix

package target

import (
	"syscall"
	"time"
)

// peeker looks at an idle connection without reading from it.
type peeker struct {
	look func(fd uintptr) bool // made once, so that looking does not allocate
	one  [1]byte
	n    int
	err  error
}

// closed tells whether the server has ended the connection, or has sent
// something nobody asked for, which ends it too.
func (p *peeker) closed(k *conn) bool {
	if k.raw == nil {
		return false
	}
	if p.look == nil {
		p.look = func(fd uintptr) bool {
			for {
				p.n, _, p.err = syscall.Recvfrom(int(fd), p.one[:], syscall.MSG_PEEK)
				if p.err != syscall.EINTR {
					return true
				}
			}
		}
	}
	if !k.armed.IsZero() && time.Until(k.armed) < time.Second {
		k.arm(time.Now().Add(time.Minute)) // an expired deadline would keep us from looking
	}
	if err := k.raw.Read(p.look); err != nil {
		return true
	}
	switch {
	case p.err == syscall.EAGAIN:
		return false
	case p.err != nil || p.n == 0:
		return true
	case !k.tls:
		return true
	}
	return k.farewell()
}

// farewell tells whether the bytes waiting in an idle TLS connection end it.
// They may be a session ticket, which is harmless, or the server's goodbye.
func (k *conn) farewell() bool {
	k.arm(time.Now().Add(time.Millisecond))
	n, err := k.nc.Read(k.buf)
	return n > 0 || !isTimeout(err)
}
