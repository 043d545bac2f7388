package gate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/enforce"
	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/guard"
	"github.com/weir-dev/weir/internal/recorder"
)

// exchange is one request and what becomes of it.
type exchange struct {
	rec         recorder.Recorder
	request     *http.Request
	subject     expr.Subject
	verdict     *guard.Verdict
	client      string // its address, whole
	trusted     bool   // the peer is a trusted proxy
	rewriteHost bool
	start       time.Time
	deciding    time.Duration // that the guard took
	delayed     time.Duration // that the policies asked for
	up, lastUp  *upstream     // under way to; last sent to
	body        *body         // of the request; nil without one
	outcome     outcome
	fault       string // what went wrong, for the access log; never of the client's making
}

// exchangeKey is where the context of an outgoing request has its exchange.
type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// sendTo notes which upstream the request is under way to; nil ends it.
func (x *exchange) sendTo(u *upstream) {
	if x.up != nil {
		x.up.busy.Add(-1)
	}
	if x.up = u; u != nil {
		x.lastUp = u
		u.busy.Add(1)
		u.requests.Add(1)
	}
}

// ServeHTTP decides about a request and passes it on.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{rec: recorder.Recorder{ResponseWriter: w}, request: r, rewriteHost: g.o.RewriteHost, start: time.Now(), outcome: passed}
	g.metrics.inFlight.Add(1)
	broken := true
	defer func() { g.finish(x, broken) }() // also when the copy of an answer breaks off, which is a panic
	x.trusted = g.o.Trust.Trusts(peer(r))
	x.client = g.o.Trust.Client(r.RemoteAddr, r.Header["X-Forwarded-For"])
	g.subject(&x.subject, r, x.client, x.trusted)
	if r.Method == http.MethodConnect {
		x.outcome = failed
		g.say(x, http.StatusNotImplemented, "connect", "CONNECT is not passed on")
		broken = false
		return
	}
	if !g.admit(x) {
		broken = false
		x.unanswered()
		return
	}
	out := r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	if r.ContentLength != 0 {
		x.body = &body{ReadCloser: r.Body}
		out.Body = x.body
		if r.ProtoMajor == 1 {
			// So that an upstream may answer while the client still sends.
			http.NewResponseController(w).EnableFullDuplex()
		}
	}
	g.proxy.ServeHTTP(&x.rec, out)
	broken = false
	x.unanswered()
	if x.body.broken() != nil && r.ProtoMajor == 1 && x.rec.Header().Get("Connection") != "close" {
		// Subtle: after a full duplex exchange net/http goes on reading requests
		// behind a body that it could not read, and could take a part of it for one.
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// unanswered ends the connection, or the stream, of a request that nothing was
// written for: net/http would say 200 for it, to a client that has only ended its
// side of the connection.
func (x *exchange) unanswered() {
	if x.rec.Status == 0 {
		panic(http.ErrAbortHandler)
	}
}

// admit asks the guard, waits if the policies say so, and answers what is
// refused. It reports whether the request may go on.
func (g *Gate) admit(x *exchange) bool {
	ctx := x.request.Context()
	// Subtle: a client that goes meanwhile does not end the question to the store,
	// which lasts no longer than its budget. Else what the store has counted would
	// be counted here again, and the store seem not to answer.
	v := g.guard.Check(context.WithoutCancel(ctx), &x.subject)
	x.verdict = v
	x.deciding = time.Since(x.start)
	if degraded(v) {
		g.degraded.Store(time.Now().UnixNano())
		x.rec.Header().Set("Weir-Store", "degraded")
	}
	switch {
	case v.Err != nil:
		x.outcome, x.fault = failed, v.Err.Error()
		g.say(x, http.StatusInternalServerError, "policy", "a policy could not be applied to this request")
		return false
	case !v.Allowed:
		x.outcome = refused
		refuse(&x.rec, v)
		return false
	}
	if d := v.Decision.Delay; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			x.delayed = d
		case <-ctx.Done():
			x.outcome = gone
			return false
		}
	}
	return true
}

// degraded tells whether a decision was made without the store.
func degraded(v *guard.Verdict) bool {
	for i := range v.Rulings {
		if v.Rulings[i].By.Degraded() {
			return true
		}
	}
	return false
}

// refuse sends the answer of a refused request.
func refuse(w http.ResponseWriter, v *guard.Verdict) {
	h := w.Header()
	v.Tell(h.Set)
	status, fields, body := v.Answer()
	for _, f := range fields {
		h.Set(f.Name, f.Value)
	}
	if h.Get("Content-Type") == "" && body != "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// say sends an answer of the gate's own. What is one word for programs.
func (g *Gate) say(x *exchange, status int, what, text string) {
	h := x.rec.Header()
	if x.verdict != nil && x.verdict.Err == nil {
		x.verdict.Tell(h.Set)
	}
	h.Set("Weir-Error", what)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	body := strconv.Itoa(status) + " " + http.StatusText(status) + ": " + text + "\n"
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.rec.WriteHeader(status)
	io.WriteString(&x.rec, body)
}

// rewrite makes the outgoing request.
func (g *Gate) rewrite(p *httputil.ProxyRequest) {
	x := exchangeOf(p.In.Context())
	h := p.Out.Header
	for name := range h {
		if strings.IndexByte(name, '_') >= 0 && claimed(strings.ReplaceAll(name, "_", "-")) {
			delete(h, name) // to CGI and WSGI, X_Forwarded_For is X-Forwarded-For
		}
	}
	// Subtle: the query was taken apart and the parts that cannot be read were
	// dropped, so that the upstream cannot read a parameter that the policies
	// did not see. That is kept.
	if up := h.Get("Upgrade"); up != "" && !strings.EqualFold(up, "websocket") {
		delete(h, "Upgrade")
		delete(h, "Connection")
	}
	from := peer(p.In)
	chain := ""
	if from.IsValid() {
		chain = from.String()
	}
	host, proto := p.In.Host, scheme(p.In, x.trusted)
	if x.trusted {
		if prior := p.In.Header["X-Forwarded-For"]; len(prior) > 0 {
			chain = strings.Join(prior, ", ") + ", " + chain
		}
		if was := p.In.Header.Get("X-Forwarded-Host"); was != "" {
			host = was
		}
		if f := p.In.Header["Forwarded"]; len(f) > 0 {
			h["Forwarded"] = f
		}
	} else {
		delete(h, "X-Real-Ip")
	}
	h["X-Forwarded-For"] = []string{chain}
	h["X-Forwarded-Host"] = []string{host}
	h["X-Forwarded-Proto"] = []string{proto}
	p.Out.Trailer = p.In.Trailer // the same map: it is filled in when the body has been read
}

// claimed tells whether a field says who the client is.
func claimed(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded":
		return true
	}
	return false
}

// modify adds what the policies tell to an upstream's answer.
func (g *Gate) modify(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	res.Header.Del("Weir-Store")
	res.Header.Del("Weir-Error")
	if degraded(x.verdict) {
		delete(x.rec.Header(), "Weir-Store") // the answer's fields are added to those
		res.Header.Set("Weir-Store", "degraded")
	}
	if x.body.broken() != nil && x.request.ProtoMajor == 1 {
		res.Header.Set("Connection", "close")
	}
	x.verdict.Tell(res.Header.Set)
	if len(res.Trailer) > 0 && x.request.ProtoMajor == 1 {
		delete(res.Header, "Content-Length") // HTTP/1.1 has trailers after chunks only
	}
	return nil
}

// upstreamError answers for an upstream that did not.
func (g *Gate) upstreamError(_ http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	x.outcome, x.fault = failed, err.Error()
	var timeout net.Error
	var tooLarge *http.MaxBytesError
	switch {
	case x.request.Context().Err() != nil:
		x.outcome = gone // nobody reads an answer
	case x.body.broken() != nil:
		// Above all, the upstream is not to blame.
		if x.request.ProtoMajor == 1 {
			x.rec.Header().Set("Connection", "close")
		}
		g.say(x, http.StatusBadRequest, "body", "the body of the request is malformed, or broke off")
	case errors.As(err, &tooLarge):
		g.say(x, http.StatusRequestEntityTooLarge, "too-large", "the body is too large")
	case errors.As(err, &timeout) && timeout.Timeout():
		g.say(x, http.StatusGatewayTimeout, "upstream-timeout", "the server behind this gate did not answer in time")
	case notSent(err):
		g.say(x, http.StatusBadGateway, "upstream-unreachable", "the server behind this gate cannot be reached")
	default:
		g.say(x, http.StatusBadGateway, "upstream-broken", "the server behind this gate gave no valid answer")
	}
}

// finish gives back what the request held, and writes down what became of it.
func (g *Gate) finish(x *exchange, broken bool) {
	x.sendTo(nil)
	if v := x.verdict; v != nil && v.Allowed && v.Err == nil {
		v.Done(expr.Response{Status: x.rec.Status, Header: expr.Fields(x.rec.Header()), Bytes: x.rec.Bytes})
	}
	if x.outcome == passed && (broken || x.rec.Status == 0) {
		if x.request.Context().Err() != nil {
			x.outcome = gone
		} else {
			x.outcome, x.fault = failed, "the answer broke off"
		}
	}
	g.metrics.inFlight.Add(-1)
	g.metrics.done(x)
	g.access.write(x)
}

// buffers lends the memory that answers are copied through.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return new([bufferSize]byte) }}}
}

func (b *buffers) Get() []byte { return b.pool.Get().(*[bufferSize]byte)[:] }
func (b *buffers) Put(s []byte) {
	if cap(s) >= bufferSize {
		b.pool.Put((*[bufferSize]byte)(s[:bufferSize]))
	}
}

// silent is a log for what the access log tells already.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }

// faults is a server's log: of what net/http says it passes on the panics, and
// leaves out what any client can cause as often as it likes.
type faults struct {
	logf func(format string, args ...any)
}

func (f faults) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("panic serving")) {
		f.logf("a fault of the gate's own, please report it: %s", bytes.TrimSpace(b))
	}
	return len(b), nil
}

// Outcomes of a request, as metrics and the access log name them.
type outcome uint8

const (
	passed  outcome = iota // the upstream's answer was passed on
	refused                // by a policy
	failed                 // no answer of an upstream could be had
	gone                   // the client did not wait
)

var outcomes = [...]string{"passed", "refused", "failed", "gone"}

func (o outcome) String() string { return outcomes[o] }

// policy and key of a refusal, or "".
func (x *exchange) refusedBy() *guard.Ruling {
	if x.verdict == nil || x.verdict.Err != nil {
		return nil
	}
	return x.verdict.Refused
}

// by tells who decided, when it was not the policies alone.
func (x *exchange) by() string {
	if x.verdict == nil {
		return ""
	}
	for i := range x.verdict.Rulings {
		if by := x.verdict.Rulings[i].By; by != enforce.ByPolicy && by != enforce.ByLease {
			return by.String()
		}
	}
	return ""
}
