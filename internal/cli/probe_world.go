package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	blackbox "github.com/weir-dev/weir/internal/probe"
	"github.com/weir-dev/weir/internal/target"
)

// probeWorld is the wall clock and the target: the Clock and the Sender of a probe.
type probeWorld struct {
	target  *target.Target
	req     *hit.Request
	rules   *hit.Rules
	gap     time.Duration // between two requests at least
	senders []*target.Client
	next    time.Time // before which nothing is sent
	refusal int       // the status of the first refusal
}

// probeConnections is how many requests are under way at once at most. More
// wait for a connection, and are sent later.
const probeConnections = 200

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

// Send sends a request at each of the times, later where the rate is bounded.
func (w *probeWorld) Send(ctx context.Context, at []time.Duration) ([]blackbox.Answer, error) {
	users := min(len(at), probeConnections)
	for len(w.senders) < users {
		s, err := w.target.NewSender(len(w.senders))
		if err != nil {
			return nil, err
		}
		w.senders = append(w.senders, s)
	}
	start := time.Now()
	due := make([]time.Time, len(at))
	for i, d := range at {
		due[i] = start.Add(d)
		if due[i].Before(w.next) {
			due[i] = w.next
		}
		w.next = due[i].Add(w.gap)
	}
	answers := make([]hit.Answer, len(at))
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			for i := u; i < len(at); i += users {
				if w.Sleep(ctx, due[i]) != nil {
					return
				}
				w.senders[u].Send(ctx, w.req, &answers[i])
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return w.read(answers)
}

// read says what the answers mean, and stops where going on may do harm.
func (w *probeWorld) read(answers []hit.Answer) ([]blackbox.Answer, error) {
	out := make([]blackbox.Answer, len(answers))
	failed, status, lost := 0, 0, 0
	for i := range answers {
		a := &answers[i]
		out[i] = blackbox.Answer{Sent: a.Sent, Done: a.Done}
		switch w.rules.Outcome(a) {
		case hit.Admitted:
		case hit.Throttled:
			out[i].Outcome = blackbox.Refused
			if w.refusal == 0 {
				w.refusal = a.Status
			}
			if a.Status != w.refusal {
				return nil, fmt.Errorf("refusals changed from status %d to %d, as a service does that locks somebody out", w.refusal, a.Status)
			}
		default:
			out[i].Outcome = blackbox.Lost
			if a.Failure != hit.NoFailure {
				lost++
			} else {
				out[i].Outcome = blackbox.Failed
				failed, status = failed+1, a.Status
			}
		}
		if a.Sent.IsZero() { // it never left
			out[i].Sent, out[i].Done = time.Now(), time.Now()
		}
	}
	switch {
	case failed > 2 || failed == len(out):
		return nil, fmt.Errorf("%d of %d requests were answered with status %d, which is no refusal: say what it is with --throttled or --ok, or send another request", failed, len(out), status)
	case lost > 2 && lost*4 > len(out):
		return nil, fmt.Errorf("%d of %d requests got no answer", lost, len(out))
	}
	return out, nil
}

func (w *probeWorld) close() {
	for _, s := range w.senders {
		s.Close() // nothing is under way
	}
}
