package twin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-dev/weir/internal/expr"
	"github.com/weir-dev/weir/internal/lab/twin"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/limit"
	"github.com/weir-dev/weir/limit/limittest"
)

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	over  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), over: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.over) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// overHTTP serves a handler on pipes and returns a client of it. Both end with
// the test.
func overHTTP(t *testing.T, h http.Handler) *http.Client {
	t.Helper()
	ln := newPipes()
	server := &http.Server{Handler: h}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	transport := &http.Transport{DialContext: ln.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	return &http.Client{Transport: transport}
}

// subject is a twin behind HTTP, as limittest knows limiters: routes are paths,
// keys and costs are header fields. What it says, it read in header fields.
type subject struct {
	at     *time.Time
	client *http.Client
	says   limittest.Fields
}

// fileOf is a policy file that keeps the setup of a script.
func fileOf(s limittest.Setup) (*policy.File, error) {
	cost, err := expr.Compile(`int(request.header["X-Cost"])`, expr.Int)
	if err != nil {
		return nil, err
	}
	f := &policy.File{Chain: s.Chain}
	for i, r := range s.Rules {
		p := policy.Policy{
			Policy: r.Policy, ID: fmt.Sprint(i), Counter: r.Counter,
			Key: policy.Key{Kind: policy.Header, Name: "X-Key"}, Cost: policy.Cost{Expr: cost},
			Tell: policy.Tell{Limit: "X-Limit", Remaining: "X-Remaining"},
		}
		if r.Route != "" {
			p.Match = []policy.Match{{Path: "/" + r.Route}}
		}
		f.Policies = append(f.Policies, p)
	}
	return f, nil
}

func newSubject(t *testing.T) limittest.New {
	return func(s limittest.Setup) (limittest.Subject, error) {
		f, err := fileOf(s)
		if err != nil {
			return nil, err
		}
		at := s.Start
		server, err := twin.New(twin.Config{File: f, Clock: func() time.Time { return at }})
		if err != nil {
			return nil, err
		}
		says := limittest.Fields(0)
		if len(s.Rules) == 1 {
			// Of several rules the fields tell the one that binds, not the sum.
			says = limittest.SaysLimit | limittest.SaysRemaining
		}
		for _, r := range s.Rules {
			if r.Policy.Algorithm == limit.Concurrency {
				return nil, fmt.Errorf("a request over HTTP ends with its answer: %w", errors.ErrUnsupported)
			}
		}
		return &subject{at: &at, client: overHTTP(t, server), says: says}, nil
	}
}

func (s *subject) Take(r limittest.Request) (limittest.Answer, error) {
	*s.at = r.At
	req, err := http.NewRequest("GET", "http://twin/"+r.Route, nil)
	if err != nil {
		return limittest.Answer{}, err
	}
	req.Header.Set("X-Key", r.Key)
	req.Header.Set("X-Cost", strconv.FormatInt(r.Cost, 10))
	res, err := s.client.Do(req)
	if err != nil {
		return limittest.Answer{}, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	a := limittest.Answer{Says: s.says}
	switch res.StatusCode {
	case 200:
		a.Allowed = true
	case 429:
	default:
		return a, fmt.Errorf("status %d", res.StatusCode)
	}
	if s.says != 0 && err == nil {
		a.Limit, err = strconv.ParseInt(res.Header.Get("X-Limit"), 10, 64)
	}
	if s.says != 0 && err == nil {
		a.Remaining, err = strconv.ParseInt(res.Header.Get("X-Remaining"), 10, 64)
	}
	return a, err
}

// TestScripts plays every script over HTTP: the twin decides as the model does,
// to the last request.
func TestScripts(t *testing.T) {
	scripts, err := limittest.Load(limittest.Scripts())
	if err != nil {
		t.Fatal(err)
	}
	played, compared, skipped := 0, 0, 0
	for _, s := range scripts {
		t.Run(s.Name, func(t *testing.T) {
			// Virtual time, since leaky buckets hold their requests.
			synctest.Test(t, func(t *testing.T) {
				n, err := s.Play(newSubject(t))
				if errors.Is(err, errors.ErrUnsupported) {
					skipped++
					return
				}
				if err != nil {
					t.Error(err)
				}
				played, compared = played+1, compared+n
			})
		})
	}
	t.Logf("%d scripts, %d answers compared; %d of concurrency left out", played, compared, skipped)
	if played < 40 || compared < 300 || skipped > 4 {
		t.Errorf("%d scripts with %d answers, %d left out: too little was tested", played, compared, skipped)
	}
}

// TestSuite puts traffic of limittest's own making to the twin.
func TestSuite(t *testing.T) {
	n := 0
	for _, p := range limittest.Policies() {
		if p.Algorithm == limit.Concurrency {
			continue
		}
		n++
		t.Run(p.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model, err := p.New(time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
				s, err := newSubject(t)(limittest.Setup{Start: start, Rules: []limittest.Rule{{Policy: p}}})
				if err != nil {
					t.Fatal(err)
				}
				at, refused := start, 0
				for i := range 300 {
					at = at.Add(p.Window / time.Duration(p.Limit) * time.Duration(i*i%3))
					cost := int64(1 + i%2)
					got, err := s.Take(limittest.Request{At: at, Cost: cost})
					if err != nil {
						t.Fatal(err)
					}
					want := model.Take(at, cost)
					if got.Allowed != want.Allowed || got.Remaining != want.Remaining || got.Limit != want.Limit {
						t.Fatalf("request %d: %+v, the model says %+v", i, got, want)
					}
					if !want.Allowed {
						refused++
					}
				}
				if refused == 0 {
					t.Error("nothing was refused: nothing was tested")
				}
			})
		})
	}
	if n == 0 {
		t.Error("no policies")
	}
}
