package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Balance says which upstream gets the next request.
type Balance uint8

const (
	RoundRobin Balance = iota // one after the other
	LeastBusy                 // the one with the fewest requests under way
)

// UnmarshalText reads round-robin or least-busy.
func (b *Balance) UnmarshalText(text []byte) error {
	switch string(text) {
	case "round-robin":
		*b = RoundRobin
	case "least-busy":
		*b = LeastBusy
	default:
		return fmt.Errorf("%q is not a way to choose an upstream: known are round-robin and least-busy", text)
	}
	return nil
}

// After this many failures in a row an upstream is left out, for pauseFirst, and
// twice as long each time up to pauseMost. A failure is no connection, or no
// answer; an answer of 500 is an answer.
const (
	failuresInRow = 3
	pauseFirst    = 2 * time.Second
	pauseMost     = time.Minute
)

// upstream is one server behind the gate.
type upstream struct {
	url  *url.URL // what requests are sent to; the scheme is http or https
	h2c  bool
	name string // scheme://host:port, which holds no password

	busy     atomic.Int64
	requests atomic.Int64
	failures atomic.Int64
	down     atomic.Bool // says the last active check

	mu      sync.Mutex // guards the following
	inRow   int
	pause   time.Duration
	outTill time.Time
}

// ParseUpstream reads the URL of an upstream: http://, https://, or h2c:// for
// HTTP/2 without TLS, as gRPC servers speak it.
func ParseUpstream(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a URL; write for example http://127.0.0.1:8080", text)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "h2c":
		return nil, fmt.Errorf("the upstream %q begins with none of http://, https:// and h2c://", u.Redacted())
	case u.Hostname() == "":
		return nil, fmt.Errorf("the upstream %q names no host", u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("the upstream %q has a user name; the gate does not log in", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the upstream %q has a query or a fragment; a path is all it can have", u.Redacted())
	}
	return u, nil
}

func newUpstream(given *url.URL) *upstream {
	u := *given
	up := &upstream{url: &u, name: u.Scheme + "://" + u.Host}
	if u.Scheme == "h2c" {
		up.h2c, u.Scheme = true, "http"
	}
	return up
}

// ready tells whether requests should go to it at now.
func (u *upstream) ready(now time.Time) bool {
	if u.down.Load() {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return !now.Before(u.outTill)
}

// answered notes that a request got an answer.
func (u *upstream) answered() {
	u.mu.Lock()
	u.inRow, u.pause, u.outTill = 0, 0, time.Time{}
	u.mu.Unlock()
}

// failed notes that a request got no answer, and tells whether the upstream is
// left out from now on.
func (u *upstream) failed(now time.Time) (out time.Duration) {
	u.failures.Add(1)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.inRow++; u.inRow < failuresInRow || now.Before(u.outTill) {
		return 0
	}
	u.pause = min(max(2*u.pause, pauseFirst), pauseMost)
	u.outTill = now.Add(u.pause)
	return u.pause
}

// pool is the upstreams together. It is an http.RoundTripper.
type pool struct {
	list    []*upstream
	balance Balance
	next    atomic.Uint64
	h1, h2c *http.Transport
	now     func() time.Time
	logf    func(format string, args ...any)
}

func newPool(o *Options) *pool {
	p := &pool{balance: o.Balance, now: time.Now, logf: o.Logf}
	for _, u := range o.Upstreams {
		p.list = append(p.list, newUpstream(u))
	}
	transport := func() *http.Transport {
		return &http.Transport{
			// No Proxy: where requests go is said by the command line alone.
			DialContext:           (&net.Dialer{Timeout: o.ConnectTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   o.ConnectTimeout,
			TLSClientConfig:       o.UpstreamTLS.Clone(),
			ResponseHeaderTimeout: o.UpstreamTimeout,
			ExpectContinueTimeout: time.Second,
			// Many servers close a connection that was idle for 5 s (Node's
			// default). A request sent just then is lost, and one with a body
			// cannot be sent again: the gate closes first.
			IdleConnTimeout:     4 * time.Second,
			MaxIdleConnsPerHost: 512,
			DisableCompression:  true, // what the upstream sends passes as it is
			ForceAttemptHTTP2:   true,
		}
	}
	p.h1, p.h2c = transport(), transport()
	p.h2c.Protocols = new(http.Protocols)
	p.h2c.Protocols.SetUnencryptedHTTP2(true)
	return p
}

func (p *pool) close() {
	p.h1.CloseIdleConnections()
	p.h2c.CloseIdleConnections()
}

// pick returns the upstream for the next request; not the one given, if there
// is another. When none is ready all are as good: a failing upstream may have
// come back, and an answer of 502 is the worst that can be had.
func (p *pool) pick(not *upstream) *upstream {
	if len(p.list) == 1 {
		return p.list[0]
	}
	now := p.now()
	start := p.next.Add(1) - 1
	for _, any := range []bool{false, true} {
		var best *upstream
		for i := range p.list {
			u := p.list[(start+uint64(i))%uint64(len(p.list))]
			if u == not || !any && !u.ready(now) {
				continue
			}
			if p.balance == RoundRobin {
				return u
			}
			if best == nil || u.busy.Load() < best.busy.Load() {
				best = u
			}
		}
		if best != nil {
			return best
		}
	}
	return p.list[0]
}

// RoundTrip sends the request to an upstream. When no connection can be made
// nothing has been sent, and another upstream gets it.
func (p *pool) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	sent := *r.URL
	host := r.Host
	if r.Body != nil && len(p.list) > 1 {
		r.Body = keepOpen{r.Body}
	}
	var u *upstream
	for try := 1; ; try++ {
		u = p.pick(u)
		x.sendTo(u)
		out := sent
		r.URL = &out
		(&httputil.ProxyRequest{Out: r}).SetURL(u.url)
		if !x.rewriteHost {
			r.Host = host
		}
		t := p.h1
		if u.h2c {
			t = p.h2c
		}
		res, err := t.RoundTrip(r)
		if err == nil {
			u.answered()
			return res, nil
		}
		if r.Context().Err() != nil {
			return nil, err // the client has gone: it says nothing about the upstream
		}
		if x.body.broken() != nil {
			return nil, err // nor does a body that the client did not send whole
		}
		if pause := u.failed(p.now()); pause > 0 {
			p.logf("upstream %s failed %d times in a row and is left out for %v: %v", u.name, failuresInRow, pause, err)
		}
		if !notSent(err) || try >= len(p.list) {
			return nil, err
		}
	}
}

// keepOpen is a request body that a transport does not close, since another may
// read it.
type keepOpen struct {
	body interface{ Read([]byte) (int, error) }
}

func (k keepOpen) Read(b []byte) (int, error) { return k.body.Read(b) }
func (keepOpen) Close() error                 { return nil }

// notSent tells whether err means that there was no connection.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// check asks every upstream for path, again and again until ctx ends. An
// upstream is down after two answers that are not 2xx or 3xx, or none in time;
// and up again after one that is.
func (p *pool) check(ctx context.Context, path string, every time.Duration) {
	var wg sync.WaitGroup
	for _, u := range p.list {
		wg.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			bad := 0
			for {
				err := p.ask(ctx, u, path, every)
				if ctx.Err() != nil {
					return
				}
				if bad++; err == nil {
					bad = 0
				}
				if down := bad >= 2; down != u.down.Load() && (down || bad == 0) {
					u.down.Store(down)
					if down {
						p.logf("upstream %s is down: %v", u.name, err)
					} else {
						p.logf("upstream %s is up", u.name)
					}
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	wg.Wait()
}

func (p *pool) ask(ctx context.Context, u *upstream, path string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url.JoinPath(path).String(), nil)
	if err != nil {
		return err
	}
	t := p.h1
	if u.h2c {
		t = p.h2c
	}
	res, err := t.RoundTrip(r)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return fmt.Errorf("%s answered %s", path, res.Status)
	}
	return nil
}
