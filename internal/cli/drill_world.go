package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/drill"
	"github.com/weir-dev/weir/internal/header"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/target"
)

// drillWorld is the target: a drill.Sender.
type drillWorld struct {
	target  *target.Target
	reqs    []*hit.Request
	rules   *hit.Rules
	senders []*target.Client
	answers []hit.Answer // by user
	turn    atomic.Int64
	host    string
	here    bool
}

// Send sends the next request for a user.
func (w *drillWorld) Send(ctx context.Context, user int) drill.Answer {
	a := &w.answers[user]
	a.Reset()
	w.senders[user].Send(ctx, w.reqs[int(w.turn.Add(1)-1)%len(w.reqs)], a)
	out := drill.Answer{Sent: a.Sent, Done: a.Done, Outcome: w.rules.Outcome(a), Status: a.Status}
	if a.Failure != hit.NoFailure {
		out.Err = a.Err
	} else {
		out.Told = header.Parse(a.Fields, a.Done)
	}
	if out.Outcome == hit.Failed && out.Err == "" {
		out.Err = errorCode(a.Body)
	}
	if a.Sent.IsZero() { // it never left
		out.Sent, out.Done = time.Now(), time.Now()
	}
	return out
}

// errorCode is the error code of an OAuth or a similar answer, and nothing else of
// it: what an answer repeats of its request may be secret.
func errorCode(body []byte) string {
	var said struct{ Error string }
	if json.Unmarshal(body, &said) != nil || len(said.Error) > 60 {
		return ""
	}
	return printable(said.Error)
}

func (w *drillWorld) close() {
	for _, s := range w.senders {
		s.Close() // nothing is under way
	}
}

// teller writes progress: on a terminal what is waited for takes one line, else it is
// written now and then.
type teller struct {
	w   io.Writer
	tty bool
	// size is the terminal's; nil: not known.
	size func() (cols, rows int)

	mu      sync.Mutex // guards all below
	open    bool       // a line that the next one replaces
	written time.Time
}

// tellEvery is how often a log is told what is waited for.
const tellEvery = 10 * time.Second

func (t *teller) tell(line string, waiting bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line = printable(line)
	switch {
	case t.tty:
		if t.open {
			fmt.Fprint(t.w, "\r\x1b[K")
		}
		t.open = waiting && line != ""
		if line != "" && t.size != nil {
			// A line that wraps cannot be replaced, and one that stays is read better without.
			// The report has all of it.
			cols, _ := t.size()
			if r := []rune(line); len(r) >= max(cols, 20) {
				line = string(r[:max(cols, 20)-2]) + "…"
			}
		}
		switch {
		case t.open:
			fmt.Fprint(t.w, line)
		case line != "":
			fmt.Fprintln(t.w, line)
		}
	case waiting && time.Since(t.written) < tellEvery || line == "":
	default:
		t.written = time.Now()
		fmt.Fprintln(t.w, line)
	}
}

func (t *teller) done() { t.tell("", true) }
