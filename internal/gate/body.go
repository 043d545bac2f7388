package gate

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// body is the body of a client's request. It notes whether the client failed to
// send it whole: that is no failure of an upstream, and what comes behind it on
// the connection cannot be told from the rest of it.
type body struct {
	io.ReadCloser
	fault atomic.Pointer[error]
}

// Read notes the first error that is the client's.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.note(err)
	return n, err
}

// Close reads what is left, up to a bound, and notes what is wrong with it.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.note(err)
	return err
}

func (b *body) note(err error) {
	if err != nil && err != io.EOF && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.fault.CompareAndSwap(nil, &err)
	}
}

// broken returns what was wrong with the body, nil when nothing was. A nil body
// has no fault.
func (b *body) broken() error {
	if b == nil {
		return nil
	}
	if e := b.fault.Load(); e != nil {
		return *e
	}
	return nil
}
