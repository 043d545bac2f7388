package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/keyscope"
	blackbox "github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/internal/target"
)

// probeWorld is the wall clock and the target: the Clock and the Sender of a probe,
// and the Sender of the search for keys after it.
type probeWorld struct {
	targets []*target.Target // one for each source address; else one
	things  []*varied
	req     *hit.Request
	guard   *probeGuard
	pace    *probePace
	within  context.Context // ends lastAnswers after the time is over, and with it what is under way
	senders [][]*target.Client
	made    map[string]*hit.Request // by client

	mu      sync.Mutex
	answers probeAnswers
}

// probeConnections is how many requests are under way at once at most. More
// wait for a connection, and are sent later.
const probeConnections = 200

// lastAnswers is how long answers are waited for when the time is over.
const lastAnswers = time.Second

func (w *probeWorld) Now() time.Time { return time.Now() }

func (w *probeWorld) Sleep(ctx context.Context, until time.Time) error {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Send sends the request as it is.
func (w *probeWorld) Send(ctx context.Context, at []time.Duration) ([]blackbox.Answer, error) {
	calls := make([]keyscope.Call, len(at))
	for i, d := range at {
		calls[i].At = d
	}
	return w.SendAs(ctx, calls)
}

// SendOver sends the request over each of the connections at once.
func (w *probeWorld) SendOver(ctx context.Context, conns []int) ([]blackbox.Answer, error) {
	return w.send(ctx, make([]keyscope.Call, len(conns)), func(i int) int { return (conns[i] - 1) % probeConnections })
}

// source is the number of the address that a client connects from.
func (w *probeWorld) source(who keyscope.Who) int {
	for i, v := range w.things {
		if v.kind == "source-ip" && i < len(who) {
			return who[i]
		}
	}
	return 0
}

// as returns the request of a client.
func (w *probeWorld) as(who keyscope.Who) (*hit.Request, error) {
	key := fmt.Sprint([]int(who))
	if r := w.made[key]; r != nil {
		return r, nil
	}
	r, err := variant(w.req, w.things, who)
	if err == nil {
		if w.made == nil {
			w.made = map[string]*hit.Request{}
		}
		w.made[key] = r
	}
	return r, err
}

// SendAs sends each request at its time, later where the rate is bounded. What the
// guard forbids is not sent, and then the answers are fewer, and there is an error.
func (w *probeWorld) SendAs(ctx context.Context, calls []keyscope.Call) ([]blackbox.Answer, error) {
	users := min(len(calls), probeConnections)
	return w.send(ctx, calls, func(i int) int { return i % users })
}

// send sends each call over the connection of a user.
func (w *probeWorld) send(ctx context.Context, calls []keyscope.Call, user func(i int) int) ([]blackbox.Answer, error) {
	reqs := make([]*hit.Request, len(calls))
	of := map[int][]int{} // the calls of each user
	for len(w.senders) < len(w.targets) {
		w.senders = append(w.senders, nil)
	}
	for i, c := range calls {
		var err error
		if reqs[i], err = w.as(c.Who); err != nil {
			return nil, err
		}
		lane := w.source(c.Who)
		of[user(i)] = append(of[user(i)], i)
		for len(w.senders[lane]) <= user(i) {
			s, err := w.targets[lane].NewSender(len(w.senders[lane]))
			if err != nil {
				return nil, err
			}
			w.senders[lane] = append(w.senders[lane], s)
		}
	}
	start := time.Now()
	due := make([]time.Time, len(calls))
	for i, c := range calls {
		due[i] = w.pace.after(start.Add(c.At))
	}
	answers := make([]blackbox.Answer, len(calls))
	sent := make([]bool, len(calls))
	var wg sync.WaitGroup
	for u, mine := range of {
		wg.Go(func() {
			var a hit.Answer
			for _, i := range mine {
				if w.Sleep(ctx, due[i]) != nil {
					return
				}
				s, err := w.pace.start(ctx)
				if err != nil {
					return
				}
				if !w.guard.may() {
					w.pace.end(s, time.Time{})
					return
				}
				a.OnSent = func(at time.Time) { w.pace.sent(s, at) }
				w.senders[w.source(calls[i].Who)][u].Send(w.within, reqs[i], &a)
				w.pace.end(s, a.Sent)
				if a.Sent.IsZero() && a.Failure == hit.Interrupted {
					return
				}
				answers[i], sent[i] = w.read(&a, w.path(calls[i].Who)), true
				answers[i].Conn = 1 + u + w.source(calls[i].Who)*probeConnections
			}
		})
	}
	wg.Wait()
	w.guard.may() // the time may be over
	kept := answers[:0]
	for i, a := range answers {
		if sent[i] {
			kept = append(kept, a)
		}
	}
	if err := ctx.Err(); err != nil {
		return kept, err
	}
	return kept, w.guard.stopped()
}

// path is the path that a client asks for, "" where that is not varied.
func (w *probeWorld) path(who keyscope.Who) string {
	for i, v := range w.things {
		switch {
		case v.kind != "path":
		case i < len(who):
			return v.values[who[i]]
		default:
			return v.values[0]
		}
	}
	return ""
}

// read says what an answer means.
func (w *probeWorld) read(a *hit.Answer, path string) blackbox.Answer {
	out := blackbox.Answer{Sent: a.Sent, Done: a.Done, Outcome: w.guard.see(a, path)}
	if a.Sent.IsZero() { // no connection: it never left
		out.Sent, out.Done = time.Now(), time.Now()
	}
	if r := header.Parse(a.Fields, out.Done); !r.Empty() {
		r.Problems = nil
		out.Told = &r
	}
	if out.Outcome == blackbox.Admitted || out.Outcome == blackbox.Refused {
		w.mu.Lock()
		w.answers.see(a, out.Told, out.Outcome == blackbox.Refused)
		w.mu.Unlock()
	}
	return out
}

func (w *probeWorld) close() {
	for _, lane := range w.senders {
		for _, s := range lane {
			s.Close() // nothing is under way
		}
	}
	for _, t := range w.targets {
		t.Close()
	}
}

// errProbeStop is why the guard stopped a probe.
type errProbeStop struct{ kind, text string }

func (e *errProbeStop) Error() string { return e.text }

// stopKind is what a stop is called in JSON: "" for one that the guard did not make.
func stopKind(err error) string {
	var e *errProbeStop
	if errors.As(err, &e) {
		return e.kind
	}
	return ""
}
