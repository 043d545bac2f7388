package locust

import (
	"encoding/binary"
	"io"
	"runtime"
	"sync"
)

// outbox writes frames: what users want to say at the same time goes out in one
// write. It is safe for concurrent use.
type outbox struct {
	w    io.Writer
	wake chan struct{} // holds one when there is something to write

	mu     sync.Mutex
	buf    []byte
	at     int // where the frame under way begins
	spare  []byte
	closed bool
}

func newOutbox(w io.Writer) *outbox { return &outbox{w: w, wake: make(chan struct{}, 1)} }

// begin starts a frame; the caller appends its payload to what is returned and
// gives it to end, from the same goroutine and without waiting in between.
func (o *outbox) begin(kind byte, id uint32) []byte {
	o.mu.Lock()
	o.at = len(o.buf)
	b := append(o.buf, 0, 0, 0, 0, kind)
	return binary.LittleEndian.AppendUint32(b, id)
}

func (o *outbox) end(b []byte) {
	binary.LittleEndian.PutUint32(b[o.at:], uint32(len(b)-o.at-4))
	if o.closed {
		b = b[:0]
	}
	o.buf = b
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// send sends one frame.
func (o *outbox) send(kind byte, id uint32, payload []byte) {
	o.end(append(o.begin(kind, id), payload...))
}

// run writes until close, or until writing fails.
func (o *outbox) run() error {
	for range o.wake {
		// Subtle: users who are about to answer go first, so that one write carries
		// what all of them have to say.
		runtime.Gosched()
		o.mu.Lock()
		b := o.buf
		o.buf = o.spare[:0]
		o.spare = nil
		closed := o.closed
		o.mu.Unlock()
		if len(b) > 0 {
			if _, err := o.w.Write(b); err != nil {
				o.close()
				return err
			}
		}
		if cap(b) > keptBuffer {
			b = nil
		}
		o.mu.Lock()
		o.spare = b
		o.mu.Unlock()
		if closed {
			return nil
		}
	}
	return nil
}

// close lets run write what is there, and drops what comes later.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
