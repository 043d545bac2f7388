package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/recorder"
)

// accessLog writes one JSON line per request, so that a client's counts can be
// held against the server's. It never contains a query, a header or a body:
// that is where secrets are.
type accessLog struct {
	now func() time.Time

	mu    sync.Mutex // guards all below
	enc   *json.Encoder
	first error // the first write that failed
	lost  int   // lines that could not be written
}

// line is one request. Status is 0 when there was no answer.
type line struct {
	Time    time.Time `json:"time"` // when it arrived, UTC
	Remote  string    `json:"remote"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Status  int       `json:"status"`
	Bytes   int64     `json:"bytes"` // of the body
	Millis  float64   `json:"ms"`    // until the handler was done
	Aborted bool      `json:"aborted,omitempty"`
}

// maxLogged bounds method and path in a line.
const maxLogged = 512

func newAccessLog(w io.Writer, now func() time.Time) *accessLog {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &accessLog{enc: enc, now: now}
}

func (a *accessLog) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder.Recorder{ResponseWriter: w}
		l := line{Time: a.now().UTC(), Remote: r.RemoteAddr, Method: short(r.Method), Path: short(r.URL.Path)}
		// Deferred, because an aborted request ends in a panic: it is logged and
		// the panic goes on to net/http.
		defer func() {
			l.Status, l.Bytes = rec.Status, rec.Bytes
			l.Aborted = rec.Status == 0
			l.Millis = float64(a.now().UTC().Sub(l.Time).Microseconds()) / 1000
			a.write(&l)
		}()
		next.ServeHTTP(rec, r)
	})
}

func (a *accessLog) write(l *line) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.enc.Encode(l); err != nil {
		a.lost++
		if a.first == nil {
			a.first = err
		}
	}
}

func (a *accessLog) err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.first == nil {
		return nil
	}
	return fmt.Errorf("lab: access log: %d lines could not be written: %w", a.lost, a.first)
}

func short(s string) string {
	if len(s) > maxLogged {
		return strings.ToValidUTF8(s[:maxLogged], "") + "…"
	}
	return s
}
