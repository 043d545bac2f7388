package target

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// h2link is one HTTP/2 connection.
type h2link struct {
	cc    *http.ClientConn
	tls   *tls.Config // nil without TLS
	addr  string
	begun *beginning // nil with TLS

	// The owner's, or the pool's under its lock.
	used    bool // has answered a request
	dead    bool // takes no more requests
	streams int  // requests under way, in a pool

	settled atomic.Bool // the server has said how many streams it allows
}

func (l *h2link) close() { _ = l.cc.Close() }

// How often a request is sent again that the server says it did not do.
const (
	maxRefused = 3 // the stream was refused
	// The connection was closed under it: then all of its users want the next
	// one, and may be more than that one serves before it is closed in turn.
	maxGone = 10
)

// spent tells whether the connection takes no more requests: it is closed, or
// the server has said that it is about to be. Subtle: requests may end between
// two looks, so the first look is taken again.
func (l *h2link) spent() bool {
	return l.cc.Err() != nil || l.cc.Available() == 0 && l.cc.InFlight() == 0 && l.cc.Available() == 0
}

// h2dial tells net/http's dialing, through its context, for whom it dials.
type h2dial struct {
	c     *Client
	s     *slot
	ready *conn // already connected, when ALPN has just chosen HTTP/2
	due   time.Time
	begun *beginning
}

// beginning is a connection of which the first bytes that come are known: a
// server that answers in HTTP/1.1 mostly closes at once, and then net/http may
// tell the close only.
type beginning struct {
	net.Conn
	n     int // read by one goroutine only
	http1 atomic.Bool
}

func (b *beginning) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.n == 0 && n > 0 {
		b.http1.Store(n >= 5 && string(p[:5]) == protocol[:5])
	}
	b.n += n
	return n, err
}

type h2dialKey struct{}

// setH2 prepares net/http. It never dials by itself and keeps no pool: all
// connections are made by Client.connect and belong to us.
func (t *Target) setH2() {
	if t.opts.HTTP == HTTP1 {
		return
	}
	transport := func(set func(*http.Protocols)) *http.Transport {
		var p http.Protocols
		set(&p)
		return &http.Transport{
			Protocols:              &p,
			DialContext:            dialForH2,
			DialTLSContext:         dialForH2,
			DisableCompression:     true,
			MaxResponseHeaderBytes: int64(t.opts.MaxHeader),
			HTTP2:                  &http.HTTP2Config{StrictMaxConcurrentRequests: true},
		}
	}
	t.h2 = transport(func(p *http.Protocols) { p.SetHTTP2(true) })
	t.h2c = transport(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
}

func dialForH2(ctx context.Context, _, addr string) (net.Conn, error) {
	d, ok := ctx.Value(h2dialKey{}).(*h2dial)
	if !ok {
		return nil, faultf(hit.OtherFailure, "no user to connect to %s for", addr)
	}
	k := d.ready
	if k == nil {
		var f *fault
		if k, f = d.c.connect(ctx, d.s, d.due); f != nil {
			return nil, f
		}
	}
	if d.s.o.https && k.alpn != "h2" {
		k.close(true)
		return nil, faultf(hit.TLSFailed, "%s no longer chooses HTTP/2 by ALPN", addr)
	}
	if k.unwatch != nil {
		k.unwatch()
	}
	if !d.s.o.https {
		d.begun = &beginning{Conn: k.nc}
		return d.begun, nil
	}
	return k.nc, nil
}

// speaksH2 tells whether it is certain that requests to o go by HTTP/2.
func (t *Target) speaksH2(o *origin) bool {
	switch t.opts.HTTP {
	case HTTP2, H2C:
		return true
	case Auto:
		return o.shared != nil && o.sharedH2.chosen.Load()
	}
	return false
}

// mayH2 refuses what the options make impossible for an origin.
func (t *Target) mayH2(o *origin) *fault {
	switch {
	case o.https || t.opts.HTTP == HTTP1 || t.opts.HTTP == Auto:
		return nil
	case t.opts.HTTP == HTTP2:
		return faultf(hit.OtherFailure, "HTTP/2 without TLS to %s must be asked for: use h2c, or an https:// URL", o.addr())
	case o.proxy != nil:
		return faultf(hit.ProxyFailed, "HTTP/2 without TLS does not go through a proxy")
	}
	return nil
}

// exchangeH2 is exchange over HTTP/2. ready, when not nil, is a new connection
// on which ALPN chose it. A request is sent again under the same rules: once,
// on a fresh connection, when its header block was never written, or when the
// connection had answered before and replay allows it. What the server says it
// did not do (RFC 9113 §6.8 and §8.7) is sent again whatever the method, a
// bounded number of times.
func (c *Client) exchangeH2(ctx context.Context, h *hop, ready *conn, replay bool, ans *hit.Answer, st *sending) *fault {
	st.begin(time.Now(), c.limit)
	if f := c.t.mayH2(h.at.o); f != nil {
		return f
	}
	refusals := 0
	for fresh := false; ; fresh = true {
		link, wasUsed, f := c.takeH2(ctx, h.at, ready, fresh, ans, st)
		ready = nil
		if f != nil {
			if ctx.Err() != nil {
				return interrupted()
			}
			return st.blame(f, c.t.opts.MaxShared)
		}
		st.now = time.Now()
		c.markSent(ans, st)
		wrote, f := c.roundTrip(ctx, link, h, ans, st)
		c.releaseH2(h.at, link, f)
		switch {
		case f == nil:
			return nil
		case ctx.Err() != nil:
			return interrupted()
		case f.why == hit.AnswerTimeout && !wrote:
			return st.blame(faultf(hit.ConnectTimeout, "no stream was free on the HTTP/2 connection within %v", c.limit), c.t.opts.MaxShared)
		case f.why == hit.AnswerTimeout:
			return st.blame(f, c.t.opts.MaxShared)
		case ans.Status != 0 || f.why != hit.ClosedEarly:
			return f
		case f.refused:
			if refusals++; refusals > maxGone || !f.gone && refusals > maxRefused {
				return f
			}
		case fresh || wrote && !(wasUsed && replay):
			return f
		}
		ans.Retried = true
	}
}

// takeH2 finds a connection, or opens one; used tells whether it has answered before.
func (c *Client) takeH2(ctx context.Context, s *slot, ready *conn, fresh bool, ans *hit.Answer, st *sending) (link *h2link, used bool, f *fault) {
	open := func() (*h2link, *fault) { return c.openH2(ctx, s, ready, ans, st) }
	switch c.t.opts.Connections {
	case Shared:
		if ready != nil {
			s.o.shared.leave() // the turn was taken for HTTP/1.1
			s.o.sharedH2.chosen.Store(true)
		}
		return s.o.sharedH2.take(ctx, st, ready != nil, open)
	case PerUser:
		if s.h2 != nil && (fresh || s.h2.spent()) {
			s.h2.close()
			s.h2 = nil
		}
		if s.h2 == nil {
			if s.h2, f = open(); f != nil {
				return nil, false, f
			}
		}
		return s.h2, s.h2.used, nil
	}
	link, f = open()
	return link, false, f
}

func (c *Client) releaseH2(s *slot, link *h2link, f *fault) {
	broken := f != nil && (f.gone || link.cc.Err() != nil)
	switch c.t.opts.Connections {
	case Shared:
		s.o.sharedH2.put(link, f == nil, f != nil && (f.gone || f.why == hit.ClosedEarly && !f.refused))
	case PerUser:
		link.used = link.used || f == nil
		if broken {
			link.close()
			s.h2 = nil
		}
	default:
		link.close()
	}
}

func (c *Client) openH2(ctx context.Context, s *slot, ready *conn, ans *hit.Answer, st *sending) (*h2link, *fault) {
	scheme, tr := "https", c.t.h2
	if !s.o.https {
		scheme, tr = "http", c.t.h2c
	}
	begun := time.Now()
	d := &h2dial{c: c, s: s, ready: ready, due: st.due}
	cc, err := tr.NewClientConn(context.WithValue(ctx, h2dialKey{}, d), scheme, s.o.addr())
	if err != nil {
		return nil, connectFault(err, s.o.addr(), c.t.opts.ConnectTimeout)
	}
	if ready == nil {
		ans.Opened++
		ans.Connect += time.Since(begun)
	}
	return &h2link{cc: cc, tls: s.tls, addr: s.o.addr(), begun: d.begun}, nil
}

// roundTrip sends one request and reads its answer. wrote tells whether
// anything of the request was written.
//
// net/http writes on another goroutine. The instant at which the header block
// is about to be written comes from the first WroteHeaderField; waiting for a
// stream is over by then.
func (c *Client) roundTrip(ctx context.Context, link *h2link, h *hop, ans *hit.Answer, st *sending) (wrote bool, f *fault) {
	abort := func() {}
	switch {
	case !st.due.IsZero():
		ctx, abort = context.WithDeadline(ctx, st.due)
	case c.tune.Pieces != nil:
		ctx, abort = context.WithCancel(ctx)
	}
	defer abort()
	var written atomic.Int64 // nanoseconds after handed, plus one; 0: not yet
	handed := st.now
	req := c.requestH2(h).WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) {
			if written.Load() == 0 {
				written.Store(int64(time.Since(handed)) + 1)
			}
		},
	}))
	resp, err := link.cc.RoundTrip(req)
	at := written.Load()
	if at > 0 {
		if ans.Redirects == 0 {
			ans.Sent = handed.Add(time.Duration(at - 1))
		}
		ans.BytesOut += sizeH2(req)
	}
	if err != nil {
		return at > 0, c.h2Fault(link, err)
	}
	defer func() { _ = resp.Body.Close() }()
	ans.FirstByte = time.Now()
	ans.Status, ans.Proto = resp.StatusCode, "HTTP/2.0"
	ans.Fields = ans.Fields[:0]
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		for _, v := range resp.Header[name] {
			ans.Fields = ans.Fields.Append(name, v)
		}
	}
	ans.BytesIn += int64(len(ans.Fields))
	whole, f := c.bodyH2(link, h, resp.Body, ans, abort)
	ans.Done = time.Now()
	if len(ans.Body) > 0 {
		damaged := c.t.decode(ans, f == nil && whole)
		if f == nil {
			f = damaged
		}
	}
	return true, f
}

// bodyH2 reads a body. whole tells whether all of it was kept.
func (c *Client) bodyH2(link *h2link, h *hop, body io.Reader, ans *hit.Answer, abort func()) (whole bool, f *fault) {
	o := &c.t.opts
	s := sink{kept: ans.Body[:0], left: o.MaxBody, most: o.MaxBody}
	if o.KeepBody(ans.Status) {
		s.limit = o.BodyLimit
	}
	if c.tune.Pieces != nil {
		c.announce(h, ans, &s, abort)
	}
	if s.pieces != nil {
		defer func() {
			if s.pieces.End() {
				whole, f = false, nil
			}
		}()
	}
	b := c.t.big.get()
	defer c.t.big.put(b)
	for {
		n, err := body.Read(b)
		s.take(b[:n])
		if s.pieces != nil && n > 0 {
			s.pieces.Cut()
		}
		ans.Body = s.kept
		ans.BytesIn += int64(n)
		if f := s.spend(n); f != nil {
			return false, f
		}
		switch {
		case err == io.EOF:
			return s.whole(), nil
		case err != nil:
			return false, c.h2Fault(link, err)
		}
	}
}

// requestH2 makes net/http's request: the same fields as over HTTP/1.1, without
// those that are about the connection (RFC 9113 §8.2.2).
func (c *Client) requestH2(h *hop) *http.Request {
	o := h.at.o
	header := make(http.Header, len(h.header)+4)
	req := &http.Request{
		Method: h.method, URL: &url.URL{Scheme: "http", Host: o.authority, Opaque: h.target},
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: header, Host: o.authority,
	}
	if o.https {
		req.URL.Scheme = "https"
	}
	if strings.HasPrefix(h.target, "//") { // Opaque would be taken for an authority
		req.URL.Opaque, req.URL.Path = "", h.target
		if path, query, ok := strings.Cut(h.target, "?"); ok {
			req.URL.Path, req.URL.RawQuery = path, query
		}
	}
	if o.auth != "" && !h.crossed {
		header["Authorization"] = []string{o.auth}
	}
	if c.t.opts.Bare {
		header["User-Agent"] = []string{""} // net/http would put its own name there
	} else {
		header["User-Agent"] = []string{c.t.opts.UserAgent}
		header["Accept"] = []string{"*/*"}
	}
	if c.t.opts.Gzip && !c.t.opts.Bare {
		header["Accept-Encoding"] = []string{"gzip, deflate"}
	}
	given := make(map[string]bool, len(h.header))
	for i := range h.header {
		f := &h.header[i]
		if h.skip(f.Name) {
			continue
		}
		name := http.CanonicalHeaderKey(f.Name)
		if c.t.opts.Bare && name == "Cookie" && (f.Value == "" || h.fresh) {
			continue // the place of the jar's cookies, or for the first hop only
		}
		switch name {
		case "Host":
			req.Host = f.Value
			continue
		case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect":
			continue
		}
		if !given[name] {
			given[name] = true
			delete(header, name)
		}
		if !emptyDefault(f) {
			header[name] = append(header[name], f.Value)
		} else if name == "User-Agent" {
			header[name] = []string{""} // net/http would put its own name there
		}
	}
	if len(h.cookie) > 0 && !given["Cookie"] {
		header["Cookie"] = []string{string(h.cookie)}
	}
	if len(h.body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(h.body))
		req.ContentLength = int64(len(h.body))
	}
	return req
}

// sizeH2 is about what the request takes before header compression.
func sizeH2(r *http.Request) int64 {
	n := int64(len(r.Method)+len(r.URL.Opaque)+len(r.Host)) + r.ContentLength
	for name, values := range r.Header {
		for _, v := range values {
			n += int64(len(name) + len(v))
		}
	}
	return n
}

// h2Fault explains an error of net/http. Its error types for HTTP/2 are not
// exported, so some are known by their text, without the stream's number.
func (c *Client) h2Fault(link *h2link, err error) *fault {
	var done *fault
	text := bare(err)
	switch {
	case errors.As(err, &done):
		return done
	case isTimeout(err):
		return faultf(hit.AnswerTimeout, "no complete answer within %v", c.limit)
	case link.tls != nil && alertText(err) != "":
		return alertFault(alertText(err), link.tls, link.addr) // TLS 1.3 refuses a client after the handshake
	case link.begun != nil && link.begun.http1.Load():
		return faultf(hit.BadAnswer, "the answer is not HTTP/2; it speaks HTTP/1.1: use --http 1.1")
	case strings.Contains(text, "graceful shutdown GOAWAY"):
		return &fault{why: hit.ClosedEarly, text: "the server is closing the connection (GOAWAY)", refused: true, gone: true}
	case strings.Contains(text, "client conn not usable"): // GOAWAY came first
		return &fault{why: hit.ClosedEarly, text: "the server is closing the HTTP/2 connection", refused: true, gone: true}
	case strings.Contains(text, "GOAWAY"):
		return &fault{why: hit.ClosedEarly, text: "the server is closing the connection (GOAWAY" + goAwayCode(text) + ")", gone: true}
	case strings.Contains(text, "REFUSED_STREAM"):
		return &fault{why: hit.ClosedEarly, text: "the server refused the stream (REFUSED_STREAM)", refused: true}
	case errors.Is(err, io.ErrUnexpectedEOF) && link.cc.Err() == nil:
		return &fault{why: hit.BadAnswer, text: "the body is shorter than its Content-Length says"}
	case isReset(err), strings.Contains(text, "http2: client conn"), strings.Contains(text, "http2: connection"), strings.Contains(text, "connection lost"):
		return &fault{why: hit.ClosedEarly, text: "the server closed the HTTP/2 connection"}
	case strings.Contains(text, "header list"), strings.Contains(text, "headers exceeded"):
		return faultf(hit.AnswerTooLarge, "the header block is larger than %d bytes", c.t.opts.MaxHeader)
	}
	if strings.HasPrefix(text, "stream error: stream ID") {
		if _, reason, ok := strings.Cut(text, "; "); ok {
			text = "the stream broke: " + reason
		}
	}
	return &fault{why: hit.BadAnswer, text: "HTTP/2: " + text}
}

// goAwayCode is ", " and the error code in net/http's text about a GOAWAY, ""
// when it is none or NO_ERROR.
func goAwayCode(text string) string {
	_, code, _ := strings.Cut(text, "ErrCode")
	code = strings.TrimLeft(code, ":=")
	if end := strings.IndexFunc(code, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') }); end >= 0 {
		code = code[:end]
	}
	if code == "" || code == "NO" || code == "NO_ERROR" {
		return ""
	}
	return ", " + code
}
