package target

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"time"
)

const (
	smallBuffer = 4 << 10  // every connection has one while it lives
	bigBuffer   = 64 << 10 // borrowed for large header blocks and bodies, given back after the answer
	peekAfter   = 10 * time.Millisecond
)

// conn is an open connection to an origin. One user has it at a time.
type conn struct {
	nc     net.Conn        // requests go here: the connection, or TLS over it
	base   net.Conn        // the connection below TLS; equal to nc without
	raw    syscall.RawConn // of base, to look whether the server has closed it; nil when base has none
	tls    bool
	config *tls.Config // with which TLS was begun
	alpn   string      // what TLS negotiated: "h2", "http/1.1" or ""
	o      *origin
	big    *bigPool

	small []byte
	buf   []byte // small, or one borrowed from big
	r, w  int    // buf[r:w] has been read from the wire and not been looked at

	limit time.Duration // the time-out of the request under way, for its fault
	due   time.Time     // when the request under way has taken too long; zero: never
	// With patience, due is put off whenever bytes come, up to end.
	patience time.Duration
	end      time.Time // zero: never
	armed    time.Time // the deadline that nc has; zero: none
	lastUse  time.Time
	maxIdle  time.Duration // from the server's Keep-Alive field; 0 when it gave none
	used     bool          // has answered a request

	in    int64 // bytes read for the answer under way, also those not yet looked at
	reads int   // in how many reads they came

	watched <-chan struct{}
	unwatch func() bool
	stale   peeker
}

func newConn(base net.Conn, o *origin, big *bigPool) *conn {
	k := &conn{nc: base, base: base, o: o, big: big, small: make([]byte, smallBuffer)}
	k.buf = k.small
	if s, ok := base.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			k.raw = raw
		}
	}
	return k
}

// watch makes the end of ctx break whatever the connection is waiting for.
// One registration serves all requests of a run.
func (k *conn) watch(ctx context.Context) {
	if done := ctx.Done(); done != k.watched {
		if k.unwatch != nil {
			k.unwatch()
		}
		k.watched, k.unwatch = done, nil
		if done != nil {
			// Closing base, not nc: TLS would wait to say goodbye.
			base := k.base
			k.unwatch = context.AfterFunc(ctx, func() { _ = base.Close() })
		}
	}
}

// close ends the connection. An error of Close tells nothing that matters here.
func (k *conn) close(polite bool) {
	if k.unwatch != nil {
		k.unwatch()
	}
	k.narrow()
	if polite {
		_ = k.nc.Close()
		return
	}
	_ = k.base.Close()
}

// begin prepares for a request that must be over at due.
//
// Subtle: setting a deadline costs as much as a tenth of a request, so the one
// that is set may be that of an earlier request: it fires early, never late, and
// then extend sets the true one. At least half of the time-out is left, so an
// early one is rare.
func (k *conn) begin(now, due time.Time, timeout time.Duration) {
	k.in, k.reads = int64(k.w-k.r), 0
	k.due, k.limit = due, timeout
	switch {
	case due.IsZero():
		if !k.armed.IsZero() {
			k.arm(due)
		}
	case k.tls || k.armed.IsZero() || k.armed.After(due) || k.armed.Sub(now) < timeout/2:
		// A write that timed out spoils TLS for good, so TLS always has the true deadline.
		k.arm(due)
	}
}

func (k *conn) arm(at time.Time) {
	k.armed = at
	_ = k.nc.SetDeadline(at) // fails only on a closed connection, as the next read or write will say
}

// extend tells whether a time-out came from a deadline of an earlier request;
// then the true one is set and the operation can go on.
func (k *conn) extend(err error) bool {
	if !isTimeout(err) || k.armed.Equal(k.due) {
		return false
	}
	k.arm(k.due)
	return true
}

// fill reads at least one more byte into the buffer, which must have room.
func (k *conn) fill() error {
	for {
		err := k.await()
		if err == nil || !k.extend(err) {
			return err
		}
	}
}

// await is fill that takes any time-out for the end.
func (k *conn) await() error {
	for empty := 0; ; {
		n, err := k.nc.Read(k.buf[k.w:])
		if n > 0 {
			k.w += n
			k.in += int64(n)
			k.reads++
			if k.patience > 0 {
				k.due = k.patient(time.Now())
			}
			return nil
		}
		if err == nil {
			if empty++; empty > 100 {
				return io.ErrNoProgress
			}
			continue
		}
		return err
	}
}

// patient returns when waiting for a byte has taken too long.
func (k *conn) patient(now time.Time) time.Time {
	due := now.Add(k.patience)
	if !k.end.IsZero() && k.end.Before(due) {
		return k.end
	}
	return due
}

// write writes all of b and returns how much of it was written.
func (k *conn) write(b []byte) (int, error) {
	n, err := k.nc.Write(b)
	for err != nil && n < len(b) && k.extend(err) {
		var m int
		m, err = k.nc.Write(b[n:])
		n += m
	}
	return n, err
}

// widen makes the buffer big. What is unread stays.
func (k *conn) widen() {
	if len(k.buf) < bigBuffer {
		k.grow(k.big.get())
	}
}

func (k *conn) grow(to []byte) {
	k.w = copy(to, k.buf[k.r:k.w])
	k.r = 0
	k.giveBack()
	k.buf = to
}

func (k *conn) giveBack() {
	if len(k.buf) == bigBuffer {
		k.big.put(k.buf)
	}
}

// narrow goes back to the small buffer. Unread bytes, if any, are lost, so it is
// for connections between answers or at their end.
func (k *conn) narrow() {
	if len(k.buf) != smallBuffer {
		k.giveBack()
		k.buf = k.small
	}
	k.r, k.w = 0, 0
}

// reusable tells whether a request may go out on the connection at now. It looks
// at the socket only when it has been idle long enough for the look not to count.
func (k *conn) reusable(now time.Time, maxIdle time.Duration) bool {
	idle := now.Sub(k.lastUse)
	if idle < peekAfter {
		return true
	}
	if maxIdle > 0 && idle > maxIdle || k.maxIdle > 0 && idle > k.maxIdle {
		return false
	}
	return !k.stale.closed(k)
}
