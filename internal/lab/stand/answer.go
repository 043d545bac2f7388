package stand

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/weir-dev/weir/limit"
)

// Disturb does what the configuration says happens to the next request behind
// the quotas: it waits for the latency, and carries out a reset or a hang.
//
// It returns what is left to do. None: answer. Error: answer with the
// service's own 500. Slow: answer, and pass Slow on to Answer. Reset or Hang:
// return from the handler without writing anything; the request has been
// counted as aborted. Where a connection cannot be taken over (HTTP/2, a
// response recorder) Disturb panics with http.ErrAbortHandler instead, which
// net/http turns into a cut stream.
func (s *Stand) Disturb(w http.ResponseWriter, r *http.Request) Fault {
	fault, wait := s.draw(s.drawn.Add(1) - 1)
	if !Wait(r.Context(), wait) {
		s.Abort()
	}
	switch fault {
	case Reset:
		s.aborted.Add(1)
		cut(w, true)
	case Hang:
		s.aborted.Add(1)
		if s.faults.HangFor > 0 {
			Wait(r.Context(), s.faults.HangFor)
		} else {
			<-r.Context().Done()
		}
		cut(w, false)
	}
	return fault
}

// Abort counts a request that gets no answer and ends its handler, with the
// panic that net/http turns into a closed connection or a cut stream.
func (s *Stand) Abort() {
	s.aborted.Add(1)
	panic(http.ErrAbortHandler)
}

// Cut counts a request that gets no answer and resets its connection: for a
// stand-in that carries a request out and then does not say so.
func (s *Stand) Cut(w http.ResponseWriter) {
	s.aborted.Add(1)
	cut(w, true)
}

// cut closes the connection below w without an answer.
func cut(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		// Linger 0 makes Close send RST instead of FIN; should it fail, the
		// client sees an early close, which is a fault as well.
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Answer writes and counts an answer whose headers the caller has set. fault is
// what Disturb returned, or None; only Slow makes a difference. A HEAD request
// gets the headers alone.
func (s *Stand) Answer(w http.ResponseWriter, r *http.Request, fault Fault, status int, body []byte) {
	s.Count(status)
	w.Header()["Content-Length"] = contentLength(len(body))
	w.WriteHeader(status)
	if r.Method == http.MethodHead || len(body) == 0 {
		return
	}
	if fault != Slow {
		_, _ = w.Write(body) // a client that went away is the client's business
		return
	}
	s.trickle(w, r, body)
}

// Count counts an answer that the stand-in writes by itself.
func (s *Stand) Count(status int) {
	if status >= 0 && status < len(s.answers) {
		s.answers[status].Add(1)
	}
}

// trickle writes body in up to ten pieces spread over SlowFor.
func (s *Stand) trickle(w http.ResponseWriter, r *http.Request, body []byte) {
	total := s.faults.SlowFor
	if total == 0 {
		total = 2 * time.Second
	}
	pieces := min(10, len(body))
	control := http.NewResponseController(w)
	_ = control.Flush() // a writer that cannot flush sends it all at the end
	for i := range pieces {
		if !Wait(r.Context(), total/time.Duration(pieces)) {
			return
		}
		if _, err := w.Write(body[i*len(body)/pieces : (i+1)*len(body)/pieces]); err != nil {
			return
		}
		_ = control.Flush()
	}
}

// RetryAfter is the value of a Retry-After header (RFC 9110 §10.2.3): whole
// seconds, rounded up so that a client that obeys is not refused again. It is ""
// where no time can be told: the cost can never pass, or waits for a release.
func RetryAfter(d limit.Decision) string {
	if d.RetryAfter < 0 || d.RetryAfter == limit.Never {
		return ""
	}
	seconds := d.RetryAfter / time.Second
	if d.RetryAfter%time.Second > 0 {
		seconds++
	}
	return strconv.FormatInt(int64(seconds), 10)
}

// Wait waits for d, or less when ctx ends, and says whether all of d passed.
// It waits for nothing when d is not positive.
func Wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// contentLength spares the hot path a conversion for the sizes refusals have.
func contentLength(n int) []string {
	if n < len(smallLengths) {
		return smallLengths[n][:]
	}
	return []string{strconv.Itoa(n)}
}

// smallLengths is read-only: net/http copies header values out of it.
var smallLengths = func() (lengths [64][1]string) {
	for n := range lengths {
		lengths[n][0] = strconv.Itoa(n)
	}
	return lengths
}()
