package locust

import (
	"context"
	"fmt"
	"sync"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/target"
)

// Targets makes the targets of a run: one for each way in which its requests
// travel. It is safe for concurrent use.
type Targets struct {
	opts target.Options // of the run

	mu   sync.Mutex
	made map[way]*target.Target
}

// maxWays bounds how many different ways a script may ask for.
const maxWays = 64

// bodyLimit is the largest body that a script can have.
const bodyLimit = 256 << 20

// NewTargets returns the targets for a run with these options, of which those
// about what is sent and kept are replaced by what scripts expect. It checks them.
func NewTargets(o target.Options) (*Targets, error) {
	o.Bare, o.KeepBody, o.BodyLimit, o.MaxBody = true, func(int) bool { return true }, bodyLimit, bodyLimit
	o.MaxRedirects, o.Gzip = 30, true
	t := &Targets{opts: o, made: map[way]*target.Target{}}
	_, err := t.of(way{})
	return t, err
}

// Main returns the target of requests that ask for nothing special.
func (t *Targets) Main() *target.Target { return t.made[way{}] }

// Close closes what they share.
func (t *Targets) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.made {
		_ = m.Close() // closing shared connections tells nothing that matters
	}
}

func (t *Targets) of(w way) (*target.Target, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.made[w]; m != nil {
		return m, nil
	}
	if len(t.made) > maxWays {
		return nil, fmt.Errorf("more than %d combinations of verify, cert and proxies", maxWays)
	}
	o := t.opts
	o.TLS.Insecure = o.TLS.Insecure || w.insecure
	if w.ca != "" {
		o.TLS.CAFile = w.ca
	}
	if w.cert != "" {
		o.TLS.CertFile, o.TLS.KeyFile = w.cert, w.key
		if w.key == "" {
			o.TLS.KeyFile = w.cert
		}
	}
	if w.proxy != "" {
		o.Proxy = w.proxy
	}
	m, err := target.New(o)
	if err != nil {
		return nil, err
	}
	t.made[w] = m
	return m, nil
}

// sender sends the requests of a lane, each the way it asks for.
type sender struct {
	targets *Targets
	user    int
	usual   *target.Client // for the zero way
	others  map[way]*target.Client
	way     way            // of now
	now     *target.Client // for the next Send
	wrong   string         // why there is none
	tune    target.Tuning  // of the next requests
	flow    *flow          // who gets the body as it comes; nil: nobody
	with    with
}

func (t *Targets) sender(user int) (*sender, error) {
	c, err := t.Main().NewSender(user)
	if err != nil {
		return nil, err
	}
	return &sender{targets: t, user: user, usual: c, now: c}, nil
}

// bind makes the sender that of a lane.
func (s *sender) bind(l *lane) {
	s.with.jar = l.g.jar
	s.usual.SetCookies(&s.with)
	s.usual.OnRedirect(l.redirected)
}

// prepare sets what holds for the next Send.
func (s *sender) prepare(m *message, l *lane) {
	s.wrong, s.with.more = "", m.cookies
	if m.way != s.way {
		s.way, s.now = m.way, s.usual
		if m.way != (way{}) {
			s.now = s.other(m.way, l)
		}
	}
	if s.now == nil {
		return
	}
	s.tune = m.tune
}

func (s *sender) other(w way, l *lane) *target.Client {
	if c := s.others[w]; c != nil {
		return c
	}
	t, err := s.targets.of(w)
	if err == nil {
		var c *target.Client
		if c, err = t.NewSender(s.user); err == nil {
			if s.others == nil {
				s.others = map[way]*target.Client{}
			}
			c.SetCookies(&s.with)
			c.OnRedirect(l.redirected)
			s.others[w] = c
			return c
		}
	}
	s.wrong = err.Error()
	return nil
}

// Send is of load.Sender.
func (s *sender) Send(ctx context.Context, req *hit.Request, ans *hit.Answer) {
	if s.now == nil {
		ans.Reset()
		ans.Failure, ans.Err = hit.OtherFailure, s.wrong
		s.now, s.way = s.usual, way{}
		return
	}
	// It may be called several times for one request of the script, when that is retried.
	tune := s.tune
	f := s.flow
	if f == nil || f.began() {
		s.now.TuneAs(tune)
		s.now.Send(ctx, req, ans)
		return
	}
	tune.Pieces = f
	s.now.TuneAs(tune)
	stop := f.until(ctx)
	s.now.Send(ctx, req, ans)
	stop()
	if ans.Failure != hit.NoFailure && f.began() {
		f.broke(explain(ans, req.URL, s.now.URL(), tune.Read, false).text)
	}
}

// Close is called by the engine when the user leaves.
func (s *sender) Close() error {
	for _, c := range s.others {
		_ = c.Close() // as below
	}
	return s.usual.Close()
}
