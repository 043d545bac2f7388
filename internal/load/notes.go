package load

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/tally"
)

// missedName is the row of missed arrivals when the scenario alone knows which
// request they would have been.
const missedName = "(iteration)"

const (
	maxSamples   = 20       // answers kept in a run to be looked at
	sampleBody   = 512      // bytes of body in a sample
	sampleMasked = 64 << 10 // bytes that are looked through for secrets
	sampleHeader = 40       // header lines in a sample
	sampleValue  = 200      // bytes of a header value in a sample
)

// eventLog keeps events until the collector takes them.
type eventLog struct {
	throttled atomic.Bool // the first throttled answer was noted
	scenario  atomic.Bool // and the first error of the scenario

	mu      sync.Mutex
	events  []tally.Event
	samples int
}

func (l *eventLog) add(ev tally.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, ev)
}

// take removes and returns the events before the instant, in the order of time.
func (l *eventLog) take(before time.Duration) []tally.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortStableFunc(l.events, func(a, b tally.Event) int { return cmp.Compare(a.At, b.At) })
	n := 0
	for n < len(l.events) && l.events[n].At < before {
		n++
	}
	taken := l.events[:n:n]
	l.events = slices.Clone(l.events[n:])
	return taken
}

// sample makes an event of the session's latest answer, which was throttled or
// failed. Of kind "sample" there is a limited number.
func (l *eventLog) sample(s *Session, kind, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if kind == "sample" {
		if l.samples >= maxSamples {
			return
		}
		l.samples++
	}
	who := s.e.names.label(int(s.hit.name))
	l.events = append(l.events, tally.Event{
		At: s.hit.sent, Kind: kind,
		Text: fmt.Sprintf("%s: %s %s: %s.", text, who.method, who.name, hit.Reason(s.hit.failure, s.hit.status, s.hit.why)),
		Data: sampleJSON(who, &s.hit, &s.ans, s.e.plan.Mask),
	})
}

// sampleJSON is what is kept of an answer. Secrets are masked before anything is
// cut off, because of half a secret too much could be guessed.
func sampleJSON(who label, h *pending, a *hit.Answer, mask func(string) string) string {
	if mask == nil {
		mask = func(text string) string { return text }
	}
	body := mask(string(a.Body[:min(len(a.Body), sampleMasked)]))
	type field struct {
		Name  string `json:"name"`
		Value string `json:"value,omitempty"`
	}
	var fields []field
	for name, value := range a.Fields.All() {
		if len(fields) == sampleHeader {
			break
		}
		if !harmless(name) {
			value = ""
		}
		value = mask(value)
		fields = append(fields, field{strings.ToValidUTF8(name, "?"), strings.ToValidUTF8(value[:min(len(value), sampleValue)], "?")})
	}
	b, err := json.Marshal(struct {
		Outcome string  `json:"outcome"`
		Method  string  `json:"method"`
		Name    string  `json:"name"`
		Status  int     `json:"status,omitempty"`
		Failure string  `json:"failure,omitempty"`
		Reason  string  `json:"reason,omitempty"`
		Fields  []field `json:"headers,omitempty"`
		Body    string  `json:"body,omitempty"`
	}{
		Outcome: h.outcome.String(), Method: who.method, Name: who.name, Status: h.status,
		Failure: failureWord(h.failure), Reason: mask(hit.Reason(h.failure, h.status, h.why)), Fields: fields,
		Body: strings.ToValidUTF8(body[:min(len(body), sampleBody)], "?"),
	})
	if err != nil {
		return ""
	}
	return string(b)
}

func failureWord(f hit.Failure) string {
	if f == hit.NoFailure {
		return ""
	}
	return f.String()
}

// harmless reports whether the value of a header line of an answer may be shown:
// of what is not known to be free of secrets only the name is.
func harmless(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "age", "cache-control", "connection", "content-encoding", "content-length", "content-type", "date",
		"keep-alive", "retry-after", "retry-after-ms", "server", "transfer-encoding", "vary", "via", "x-amzn-errortype", "x-cache":
		return true
	}
	return strings.HasPrefix(name, "ratelimit") || strings.HasPrefix(name, "x-ratelimit") || strings.HasPrefix(name, "x-rate-limit")
}

// noteThrottled is told of each throttled answer before it is counted.
func (e *Engine) noteThrottled(s *Session) {
	if !e.log.throttled.Load() && e.log.throttled.CompareAndSwap(false, true) {
		e.log.sample(s, "throttle-start", "First throttled answer")
	}
	if most := e.plan.MaxThrottled; most > 0 && e.throttled.Add(1) == most {
		e.Stop(fmt.Sprintf("%d answers were throttled", most))
	}
}

// noteFailed is told of each failed request before it is counted, and returns
// the counter of its reason.
func (e *Engine) noteFailed(s *Session) *failCell {
	h := &s.hit
	if s.ans.Sent.IsZero() && s.ans.Failure != hit.NoFailure {
		e.neverSent.Add(1)
	}
	c, first := e.failures.cell(reason{e.names.label(int(h.name)), h.failure, h.status, h.why})
	if first {
		e.log.sample(s, "sample", "First of its kind")
	}
	return c
}

// noteScenario counts an error of the scenario: one of NewSender, NewUser or
// Iterate, or a panic.
func (e *Engine) noteScenario(err error) {
	at := e.since()
	text := strings.TrimPrefix(hit.Reason(hit.OtherFailure, 0, err.Error()), hit.OtherFailure.String()+": ")
	c, _ := e.failures.cell(reason{label: label{name: ScenarioName}, failure: hit.OtherFailure, text: text})
	if !e.log.scenario.Load() && e.log.scenario.CompareAndSwap(false, true) {
		e.log.add(tally.Event{At: at, Kind: "warning", Text: "A user failed: " + text})
	}
	sh := e.rec.shards[0]
	epoch := e.rec.enter(sh)
	c.add(tickFor(epoch, at), at)
	sh.leave(epoch)
}

// noteUnfinished counts a request that we cut.
func (e *Engine) noteUnfinished(h *pending) {
	e.unfinished.Add(1)
	e.oldest.raise(h.done - h.intended)
}

// reportStart tells how the first attempt of a user to start went, and gives
// the run up when nobody can.
func (e *Engine) reportStart(err error) {
	if err = e.crew.report(err); err == nil {
		return
	}
	e.mu.Lock()
	if e.failed == nil {
		e.failed = fmt.Errorf("no user could start: %w", err)
	}
	e.mu.Unlock()
	e.end("no user could start", true)
}
