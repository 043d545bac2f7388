package cli

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	blackbox "github.com/weir-dev/weir/internal/probe"
)

// probeGuard ends a probe where going on may do harm: at the bounds, when the target
// breaks, when it locks somebody out, and when answers begin to look different, which
// may be a refusal that nobody told. Safe for concurrent use.
type probeGuard struct {
	rules    *hit.Rules
	maxNo    int       // refused requests
	end      time.Time // zero: not yet known
	anyShape bool      // answers may look as they like: --ok says which count

	mu      sync.Mutex
	stop    *errProbeStop
	no      int
	yes     int
	broken  int // answers with a 5xx that is no refusal
	failed  int // other answers that are neither admitted nor refused
	seen    int
	lost    int // requests without an answer, since one came
	allLost int
	whole   int               // answers before the first request without one
	quick   time.Duration     // the first answer took that long
	late    time.Duration     // the latest did
	refusal int               // the status of the first refusal
	forbids bool              // it refuses with 403, and nobody had said so
	first   *answerShape      // of the first answer that was let pass
	looks   map[string]*looks // by path, where that is varied
}

// looks is what answers of one path looked like at first.
type looks struct {
	yes    int // answers that were let pass
	shapes []answerShape
}

// learning is how many admitted answers say how answers look.
const learning = 3

// may tells whether one more request may be sent.
func (g *probeGuard) may() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stop == nil && !g.end.IsZero() && time.Now().After(g.end) {
		g.halt("time", "the bound on time was reached (--max-time)")
	}
	return g.stop == nil
}

func (g *probeGuard) halt(kind, format string, args ...any) {
	if g.stop == nil {
		g.stop = &errProbeStop{kind, fmt.Sprintf(format, args...)}
	}
}

// see sorts one answer to a request for a path ("" where that is not varied), and
// stops the probe where it must.
func (g *probeGuard) see(a *hit.Answer, path string) blackbox.Outcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen++
	outcome := g.rules.Outcome(a)
	if outcome == hit.Failed && g.rules.Defaults() && forbidsForLimit(a) && !isCaptcha(a) {
		outcome, g.forbids = hit.Throttled, true
	}
	if a.Failure == hit.NoFailure {
		g.lost = 0
	}
	switch outcome {
	case hit.Admitted:
		g.yes++
		if g.late = a.Done.Sub(a.Sent); g.yes == 1 {
			g.quick = g.late
		}
		if g.shape(a, path) {
			return blackbox.Failed
		}
		return blackbox.Admitted
	case hit.Throttled:
		if g.no++; g.refusal == 0 {
			g.refusal = a.Status
		}
		if a.Status != g.refusal {
			g.halt("lock-out", "refusals changed from status %d to %d, as a service does that locks somebody out", g.refusal, a.Status)
		}
		if g.no >= g.maxNo {
			g.halt("refusals", "the bound on refused requests was reached (--max-throttled %d)", g.maxNo)
		}
		return blackbox.Refused
	}
	if a.Failure != hit.NoFailure {
		g.missing(a)
		return blackbox.Lost
	}
	g.error(a)
	return blackbox.Failed
}

// missing counts a request without an answer.
func (g *probeGuard) missing(a *hit.Answer) {
	if a.Failure == hit.Interrupted {
		return
	}
	g.lost++
	if g.allLost++; g.allLost == 1 {
		g.whole = g.seen - 1
	}
	switch {
	case g.no > 0 && g.lost >= 3 && (a.Failure == hit.ConnectRefused || a.Failure == hit.ConnectFailed || a.Failure == hit.ConnectTimeout || a.Failure == hit.ClosedEarly):
		g.halt("lock-out", "since it refused requests, connections are broken off (%d in a row: %v), as a service does that locks somebody out", g.lost, a.Failure)
	case g.allLost > 2 && g.lost > 2 && g.allLost*4 > g.seen, g.lost > 20:
		more := ""
		if g.no == 0 && g.late > time.Second && g.late > 10*g.quick {
			more = fmt.Sprintf(". Answers came ever later, after %v at first and %v at last: it may make wait who sends much, instead of refusing", g.quick.Round(time.Millisecond), g.late.Round(time.Millisecond))
		} else if g.no == 0 && g.whole > 2 {
			more = fmt.Sprintf(". The first %d all got one: this may be how it refuses, which cannot be told from a breakdown", g.whole)
		}
		g.halt("no-answer", "%d of %d requests got no answer (%v)%s", g.allLost, g.seen, a.Failure, more)
	}
}

// error looks at an answer that is neither a success nor a refusal.
func (g *probeGuard) error(a *hit.Answer) {
	spent := tellsSpent(a)
	switch {
	case a.Status >= 500:
		if g.broken++; g.broken <= 2 && g.seen > 2 && g.yes > 0 {
			break
		}
		if spent != "" {
			g.halt("errors", "%s answered with status %d, and %s, which is how a service refuses for a limit: say so with --throttled %d", times(g.broken, "request was", "requests were"), a.Status, spent, a.Status)
		} else {
			g.halt("errors", "%s answered with status %d: the target breaks, or this is how it refuses; then say so with --throttled %d", times(g.broken, "request was", "requests were"), a.Status, a.Status)
		}
	case isCaptcha(a):
		g.halt("lock-out", "an answer (status %d) asks for a proof that a person is there: it takes this for an attack", a.Status)
	case spent != "" && g.yes == 0:
		g.halt("errors", "%s was answered with status %d, and %s, which is how a service refuses for a limit: say so with --throttled %d", ordinal(g.seen), a.Status, spent, a.Status)
	case spent != "":
		g.halt("answer-changed", "status %d after %s let pass, and %s, which is how a service refuses for a limit: say so with --throttled %d", a.Status, times(g.yes, "request that was", "requests that were"), spent, a.Status)
	case g.yes > 0 && (a.Status == 401 || a.Status == 403 || a.Status == 407 || a.Status == 451):
		g.halt("lock-out", "status %d after %d requests that were let pass: it locks out, or a credential has run out. If it is how the limit refuses, say so with --throttled %d", a.Status, g.yes, a.Status)
	case g.failed+1 > 2 || g.yes == 0:
		g.failed++
		g.halt("errors", "%s answered with status %d, which is no refusal: say what it is with --throttled or --ok, or send another request", times(g.failed, "request was", "requests were"), a.Status)
	default:
		g.failed++
	}
}

func times(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// shape compares how an admitted answer looks with the first ones of its path, and
// tells whether it is another thing.
func (g *probeGuard) shape(a *hit.Answer, path string) (changed bool) {
	if g.anyShape {
		return false
	}
	if g.looks == nil {
		g.looks = map[string]*looks{}
	}
	l := g.looks[path]
	if l == nil {
		l = &looks{}
		g.looks[path] = l
	}
	l.yes++
	s := shapeOf(a)
	if g.yes <= learning && g.no == 0 {
		// Who begins while all is refused would learn that as what is normal.
		if what := complains(a); what != "" {
			g.halt("errors", "%s was answered with status %d and %s. If that is a refusal, say so: %s; if it is fine, add --ok %d", ordinal(g.yes), a.Status, what, saySo(a, answerShape{}), a.Status)
			return true
		}
		if to := leadsTo(a); to != "" {
			g.halt("errors", "%s was answered with status %d, a redirect to %s, which is not followed: probe the address that it leads to, or add --ok %d where it is what you want to ask for", ordinal(g.yes), a.Status, to, a.Status)
			return true
		}
	}
	if slices.Contains(l.shapes, s) {
		return false
	}
	if g.first == nil {
		g.first = &s
	}
	// Another path may give other things, but not tell of an error at once.
	if l.yes <= learning && (g.yes <= learning || s.status == g.first.status && !tellsError(s, *g.first)) {
		l.shapes = append(l.shapes, s)
		return false
	}
	first := *g.first
	if len(l.shapes) > 0 {
		first = l.shapes[0]
	}
	if s.status == first.status && s.kind == first.kind && !isError(s, first) {
		l.shapes = append(l.shapes, s) // fields come and go
		return false
	}
	what := "the answer changed"
	if isCaptcha(a) {
		what = "it asks for a proof that a person is there"
	} else if spent := tellsSpent(a); spent != "" {
		what += ", and " + spent + ","
	}
	hint := fmt.Sprintf("--throttled %d", s.status)
	if s.status == first.status {
		hint = saySo(a, first)
	}
	g.halt("answer-changed", "%s after %d requests: from %v to %v. If that is how it refuses, say so: %s. If both are fine, add --ok %d", what, g.yes, first, s, hint, s.status)
	return true
}

// ordinal names one of the first requests.
func ordinal(n int) string {
	if n == 1 {
		return "the very first request"
	}
	return fmt.Sprintf("request %d", n)
}

// stopped returns why no more may be sent, nil when more may.
func (g *probeGuard) stopped() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stop == nil {
		return nil
	}
	return g.stop
}

// forbade tells whether it refused with 403, which nobody had said.
func (g *probeGuard) forbade() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.forbids
}

// refused is how many requests were refused.
func (g *probeGuard) refused() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.no
}
