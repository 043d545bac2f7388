package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	quick   time.Duration     // the first answer took that long
	late    time.Duration     // the latest did
	refusal int               // the status of the first refusal
	first   *answerShape      // of the first answer that was let pass
	looks   map[string]*looks // by path, where that is varied
}

// looks is what answers of one path looked like at first.
type looks struct {
	yes    int // answers that were let pass
	shapes []answerShape
}

// answerShape is what an answer looks like.
type answerShape struct {
	status int
	kind   string // media type
	keys   string // of a JSON object, sorted
}

func (s answerShape) String() string {
	out := fmt.Sprintf("status %d", s.status)
	if s.kind != "" {
		out += ", " + s.kind
	}
	if s.keys != "" {
		out += " with " + s.keys
	}
	return out
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
	g.allLost++
	switch {
	case g.no > 0 && g.lost >= 3 && (a.Failure == hit.ConnectRefused || a.Failure == hit.ConnectFailed || a.Failure == hit.ConnectTimeout || a.Failure == hit.ClosedEarly):
		g.halt("lock-out", "since it refused requests, connections are broken off (%d in a row: %v), as a service does that locks somebody out", g.lost, a.Failure)
	case g.allLost > 2 && g.lost > 2 && g.allLost*4 > g.seen, g.lost > 20:
		more := ""
		if g.no == 0 && g.late > time.Second && g.late > 10*g.quick {
			more = fmt.Sprintf(". Answers came ever later, after %v at first and %v at last: it may make wait who sends much, instead of refusing", g.quick.Round(time.Millisecond), g.late.Round(time.Millisecond))
		}
		g.halt("no-answer", "%d of %d requests got no answer (%v)%s", g.allLost, g.seen, a.Failure, more)
	}
}

// error looks at an answer that is neither a success nor a refusal.
func (g *probeGuard) error(a *hit.Answer) {
	switch {
	case a.Status >= 500:
		if g.broken++; g.broken > 2 || g.seen <= 2 || g.yes == 0 {
			g.halt("errors", "%s answered with status %d: the target breaks, or this is how it refuses; then say so with --throttled %d", times(g.broken, "request was", "requests were"), a.Status, a.Status)
		}
	case isCaptcha(a):
		g.halt("lock-out", "an answer (status %d) asks for a proof that a person is there: it takes this for an attack", a.Status)
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
			g.halt("errors", "%s was answered with status %d and %s. If that is a refusal, say so: %s; if it is fine, add --ok %d", ordinal(g.yes), a.Status, what, saySo(a, ""), a.Status)
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
	}
	hint := fmt.Sprintf("--throttled %d", s.status)
	if s.status == first.status {
		hint = saySo(a, first.keys)
	}
	g.halt("answer-changed", "%s after %d requests: from %v to %v. If that is how it refuses, say so: %s. If both are fine, add --ok %d", what, g.yes, first, s, hint, s.status)
	return true
}

// tellsError tells whether a JSON object has a field of an error that the first had not.
func tellsError(s, first answerShape) bool {
	for k := range strings.SplitSeq(s.keys, " ") {
		if errorFields[strings.ToLower(k)] && !slices.Contains(strings.Fields(first.keys), k) {
			return true
		}
	}
	return false
}

// ordinal names one of the first requests.
func ordinal(n int) string {
	if n == 1 {
		return "the very first request"
	}
	return fmt.Sprintf("request %d", n)
}

// complains says how an answer with a status of success tells that something is wrong,
// "" where it does not: a field of an error that has a value, or a short text that
// speaks of a limit.
func complains(a *hit.Answer) string {
	body := bytes.TrimSpace(a.Body)
	if len(body) == 0 || len(body) > 2000 {
		return ""
	}
	if body[0] == '{' {
		var fields map[string]json.RawMessage
		if json.Unmarshal(body, &fields) == nil {
			for _, k := range slices.Sorted(maps.Keys(fields)) {
				if !errorFields[strings.ToLower(k)] {
					continue
				}
				switch string(fields[k]) {
				case "null", "false", "0", `""`, "[]", "{}":
				default:
					return fmt.Sprintf("a field %q", k)
				}
			}
		}
	}
	if text := limitText(body); text != "" {
		return fmt.Sprintf("a text that says %q", text)
	}
	return ""
}

// limitText returns what a body says of a limit, "" where it says nothing of the kind.
func limitText(body []byte) string {
	low := bytes.ToLower(body)
	for _, text := range []string{"too many requests", "rate limit exceeded", "ratelimit exceeded", "rate limited", "quota exceeded", "limit reached", "try again later", "slow down"} {
		if bytes.Contains(low, []byte(text)) {
			return text
		}
	}
	return ""
}

// saySo is the flag that takes answers like a for refusals, where others with the same
// status and these fields of a JSON object are none. It shows nothing of the body but
// words that are known, and names of fields.
func saySo(a *hit.Answer, fields string) string {
	text := limitText(a.Body)
	for k := range strings.FieldsSeq(shapeOf(a).keys) {
		if had := slices.Contains(strings.Fields(fields), k); text == "" && !had && (fields != "" || errorFields[strings.ToLower(k)]) {
			text = `"` + k + `"`
		}
	}
	if text == "" || strings.ContainsAny(text, "'") {
		return fmt.Sprintf("--throttled '%d:TEXT' with a text of that answer", a.Status)
	}
	return fmt.Sprintf("--throttled '%d:%s'", a.Status, text)
}

// errorFields are names of fields of a JSON object that tell of an error.
var errorFields = map[string]bool{"error": true, "errors": true, "error_code": true, "errorcode": true, "error_description": true, "fault": true, "exception": true, "err": true}

// isError tells whether a JSON object has become one that tells of an error.
func isError(s, first answerShape) bool {
	if tellsError(s, first) {
		return true
	}
	if s.keys == "" || first.keys == "" {
		return s.keys != first.keys // an object, and now none; or the other way round
	}
	for k := range strings.SplitSeq(s.keys, " ") {
		if slices.Contains(strings.Fields(first.keys), k) {
			return false
		}
	}
	return true // not one field is the same
}

func shapeOf(a *hit.Answer) answerShape {
	s := answerShape{status: a.Status}
	if v, ok := a.Fields.Find("content-type"); ok {
		kind, _, _ := strings.Cut(string(v), ";")
		s.kind = strings.ToLower(strings.TrimSpace(kind))
	}
	body := bytes.TrimSpace(a.Body)
	if len(body) > 0 && body[0] == '{' && len(body) < probeBody {
		var keys map[string]json.RawMessage
		if json.Unmarshal(body, &keys) == nil {
			var names []string
			for k := range keys {
				if len(k) <= 40 && len(names) < 12 {
					names = append(names, k)
				}
			}
			slices.Sort(names)
			s.keys = strings.Join(names, " ")
		}
	}
	return s
}

// probeBody is how much of an answer's body is looked at.
const probeBody = 64 << 10

// isCaptcha tells an answer that wants to see a person.
func isCaptcha(a *hit.Answer) bool {
	if a.Fields.Has("Cf-Mitigated") {
		return true
	}
	low := bytes.ToLower(a.Body)
	for _, word := range []string{"captcha", "cf-chl", "cf_chl", "are you a human", "are you a robot", "unusual traffic"} {
		if bytes.Contains(low, []byte(word)) {
			return true
		}
	}
	return false
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

// refused is how many requests were refused.
func (g *probeGuard) refused() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.no
}
