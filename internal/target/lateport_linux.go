package target

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// lateport lets the kernel choose the local port when it knows the destination,
// so that one source address reaches each destination from all its ports and
// not all destinations together: IP_BIND_ADDRESS_NO_PORT, ip(7).
func lateport(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// An old kernel refuses; the ports then run out sooner, and that is told.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}
