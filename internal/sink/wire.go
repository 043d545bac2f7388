package sink

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/weir-dev/weir/internal/runfile"
)

// Wire watches one HTTP call, to tell afterwards whether its request can have
// arrived. A new one is for each call.
type Wire struct {
	connected atomic.Bool // there was a connection to write to
	broken    atomic.Bool // the request was not written to its end
	bytes     atomic.Int64
}

type wireKey struct{}

// Bytes returns the length of the request's body as it was sent, -1 when it was not told.
func (w *Wire) Bytes() int64 { return w.bytes.Load() }

// IdleWithin is how long a connection may be idle before it is given back: a
// service that ends one just when a request is written to it leaves a doubt.
const IdleWithin = 20 * time.Second

// Doer makes HTTP calls, as http.Client does.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Measure makes a Doer that tells the Wire of a call how long its request is.
func Measure(d Doer) Doer { return measured{d} }

type measured struct{ Doer }

// Do makes one call.
func (m measured) Do(r *http.Request) (*http.Response, error) {
	if w, ok := r.Context().Value(wireKey{}).(*Wire); ok {
		w.bytes.Store(r.ContentLength)
	}
	return m.Doer.Do(r)
}

// Trace returns a context for the call.
func (w *Wire) Trace(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, wireKey{}, w)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			w.connected.Store(true)
			w.broken.Store(false) // net/http tries again by itself only when nothing was written
		},
		WroteRequest: func(i httptrace.WroteRequestInfo) { w.broken.Store(i.Err != nil) },
	})
}

// Arrived says whether the request may have reached the service whole. A service
// acts on no request whose length it was told and that ends before it.
func (w *Wire) Arrived() bool { return w.connected.Load() && !w.broken.Load() }

// NoAnswer is the reply when a call ended without an answer.
func (w *Wire) NoAnswer(err error) Reply {
	var r Reply
	r.Reason = Words(err)
	if w.Arrived() {
		r.Fate = runfile.Doubtful
		r.Reason = "sent, and no answer came: " + r.Reason
	}
	return r
}

// Status sorts an HTTP answer that is no success, by its status alone.
//
// Subtle: 500 and 503 are the service's own word that it failed, and are sent
// again as every SDK does. 502 and 504 are the word of something in between that
// had handed the request on: nobody knows.
func Status(status int, retryAfter, text string) Reply {
	var r Reply
	r.Reason = "it answered " + strconv.Itoa(status) + " " + http.StatusText(status)
	if text = Line(text, 200); text != "" {
		r.Reason += ": " + text
	}
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		r.Throttled = true
		r.After = parseRetryAfter(retryAfter)
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		r.Fate = runfile.Doubtful
	case status >= 500 || status == http.StatusRequestTimeout:
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		r.After = rights
	case status/100 == 3 || status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		// The address is wrong, or what is there has not started. The telemetry is not at fault.
		r.Reason += " (is its address right?)"
		r.After = rights
	default:
		r.Fate = runfile.Refused
	}
	return r
}

// rights is how long to wait when the caller lacks them: they do not come by asking often.
const rights = 10 * time.Second

// NoRights is the reply when the caller may not do this now. The telemetry waits:
// rights may be given, and credentials renewed.
func NoRights(reason string) Reply {
	return Reply{Settlement: runfile.Settlement{Reason: Line(reason, 300)}, After: rights}
}

// mostAfter bounds what a service can ask for.
const mostAfter = 5 * time.Minute

func parseRetryAfter(s string) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(min(n, 1000))*time.Second, mostAfter)
}

// Words says in one line what went wrong with a call, without its URL.
func Words(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time"
	case errors.Is(err, context.Canceled):
		return "the call was cut off"
	}
	return Line(err.Error(), 300)
}

// Line makes one line of a text from outside, and cuts it.
func Line(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
