package script

import (
	"io"
	"time"

	"github.com/weir-dev/weir/internal/cookie"
	"github.com/weir-dev/weir/internal/load"
)

// Sender is a load.Sender that can do for single requests what scripts ask for.
type Sender interface {
	load.Sender
	// SetJar gives the user's cookies: every hop of a request, redirects
	// included, sends those that belong there, unless the request has a Cookie
	// field that applies, and every answer may set some. nil: none.
	SetJar(*cookie.Jar)
	// Tune sets what holds for the next Send only: its time-out, 0 for the
	// sender's own, and whether a redirect is an answer like any other.
	Tune(timeout time.Duration, noRedirects bool)
	// URL returns where the latest answer came from, after redirects.
	URL() string
}

// Senders wraps what makes a plan's senders: every user gets cookies.
func (s *Script) Senders(next func(user int) (Sender, error)) func(user int) (load.Sender, error) {
	return func(id int) (load.Sender, error) {
		inner, err := next(id)
		if err != nil {
			return nil, err
		}
		w := newWire(inner)
		s.wires.Store(id, w) // NewUser, which follows on the same goroutine, takes it
		return w, nil
	}
}

// wire is a user's sender with its cookies.
type wire struct {
	Sender
	jar cookie.Jar
}

func newWire(s Sender) *wire {
	w := &wire{Sender: s}
	w.use()
	return w
}

// use makes the sender, which several wires may share, this one's.
func (w *wire) use() { w.SetJar(&w.jar) }

// Close is called by the engine when the user leaves.
func (w *wire) Close() error {
	if c, ok := w.Sender.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
