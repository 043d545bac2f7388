package cli

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/policy"
	"github.com/weir-dev/weir/internal/target"
	"github.com/weir-dev/weir/internal/verify"
)

// verifyWorld is the wall clock and the target: a verify.World.
type verifyWorld struct {
	target  *target.Target
	base    string
	rules   *hit.Rules
	refused map[int]bool // statuses that the policies refuse with
	names   []string     // of header fields that the policies tell in
	senders []*target.Client
}

// learn takes what the policies say of answers.
func (w *verifyWorld) learn(f *policy.File) {
	w.refused = map[int]bool{}
	for i := range f.Policies {
		p := &f.Policies[i]
		if a, ok := p.Answer.Spelled(); ok && a.Status != 0 && !p.Answer.IsZero() {
			w.refused[a.Status] = true
		}
		for _, n := range []string{p.Tell.Limit, p.Tell.Remaining, p.Tell.Reset, p.Tell.RetryAfter} {
			if n != "" {
				w.names = append(w.names, n)
			}
		}
	}
}

func (w *verifyWorld) Now() time.Time { return time.Now() }

func (w *verifyWorld) Sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Send makes a call n times, over as many connections, up to a bound.
func (w *verifyWorld) Send(ctx context.Context, c *verify.Call, n int) []verify.Answer {
	users := min(n, inFlight)
	for len(w.senders) < users {
		s, err := w.target.NewSender(len(w.senders))
		if err != nil {
			return failed(n, err)
		}
		w.senders = append(w.senders, s)
	}
	req := &hit.Request{Method: c.Method, URL: w.base + c.Path, Header: c.Header, Body: []byte(c.Body), Once: true}
	out := make([]verify.Answer, n)
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			var a hit.Answer
			for i := u; i < n; i += users {
				w.senders[u].Send(ctx, req, &a)
				out[i] = w.read(&a)
			}
		})
	}
	wg.Wait()
	return out
}

func failed(n int, err error) []verify.Answer {
	out := make([]verify.Answer, n)
	for i := range out {
		out[i] = verify.Answer{Outcome: verify.Unknown, Err: err.Error()}
	}
	return out
}

// read says what an answer means for the limits.
func (w *verifyWorld) read(a *hit.Answer) verify.Answer {
	out := verify.Answer{Sent: a.Sent, Done: a.Done, Status: a.Status, Outcome: verify.Admitted}
	outcome := w.rules.Outcome(a)
	switch {
	case a.Failure != hit.NoFailure:
		out.Outcome, out.Err = verify.Unknown, a.Err
		if out.Err == "" {
			out.Err = "it failed"
		}
	case outcome == hit.Throttled || w.refused[a.Status]:
		out.Outcome = verify.Refused
	case outcome == hit.Failed && a.Status >= 500:
		out.Outcome = verify.Unknown
	}
	for name, value := range a.Fields.All() {
		if w.keeps(name) && len(out.Fields) < 32 && len(value) < 1024 {
			out.Fields = append(out.Fields, hit.Field{Name: name, Value: value})
		}
	}
	return out
}

func (w *verifyWorld) keeps(name string) bool {
	low := strings.ToLower(name)
	if low == "date" || strings.Contains(low, "limit") || strings.Contains(low, "retry-after") {
		return true
	}
	for _, n := range w.names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

func (w *verifyWorld) close() {
	for _, s := range w.senders {
		s.Close() // nothing is under way
	}
}
