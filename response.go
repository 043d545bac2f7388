package weir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/hit"
)

// Response is the answer to one request. It stays readable for as long as the
// program keeps it, for the user that got it.
type Response struct {
	Status  int           // 0: there is no answer, and Err says why
	Elapsed time.Duration // from the first byte sent to the last one received; 0 when nothing was sent
	Method  string        // of the request
	Name    string        // of the request in reports
	URL     string        // where the answer came from, after redirects

	u       *User
	ans     *hit.Answer // nil: body and fields are copies
	body    []byte
	fields  hit.Fields
	failure hit.Failure
	outcome hit.Outcome
	err     error
}

// receive makes the Response of an answer.
func (u *User) receive(a *hit.Answer) *Response {
	r := &Response{u: u, ans: a, Status: a.Status, Method: u.req.Method, Name: u.req.Name, URL: u.req.URL, failure: a.Failure, outcome: u.s.Outcome()}
	if !a.Sent.IsZero() {
		r.Elapsed = a.Done.Sub(a.Sent)
	}
	if a.Redirects > 0 {
		r.URL = u.wire.URL()
	}
	if a.Failure != hit.NoFailure {
		r.err = errors.New(hit.Reason(a.Failure, a.Status, a.Err))
	}
	u.last = r
	if a.Failure != hit.Interrupted { // which is in no series
		u.mark = r
	}
	return r
}

// keptBody is the most memory a user keeps for making and reading bodies.
const keptBody = 4 << 10

// keep copies what the session is about to overwrite. A large body is taken
// away from it instead, which also keeps the memory of an idle user small.
func (r *Response) keep() {
	a := r.ans
	if a == nil {
		return
	}
	r.ans = nil
	r.fields = append(hit.Fields(nil), a.Fields...)
	if cap(a.Body) > keptBody {
		r.body, a.Body = a.Body, nil
	} else {
		r.body = append([]byte(nil), a.Body...)
	}
}

// release lets go of the session's answer.
func (u *User) release() {
	if u.last != nil {
		u.last.keep()
		u.last, u.mark = nil, nil
	}
}

// OK reports whether there is an answer, and its status is below 400.
func (r *Response) OK() bool { return r.failure == hit.NoFailure && r.Status > 0 && r.Status < 400 }

// Err returns why there is no complete answer, nil when there is one, whatever
// its status.
func (r *Response) Err() error { return r.err }

// Bytes returns the body, up to its first MiB. It belongs to the Response until
// the user's next request and must not be changed; keep a copy of what is
// needed longer.
func (r *Response) Bytes() []byte {
	if r.ans != nil {
		return r.ans.Body
	}
	return r.body
}

// Text returns the body as a string.
func (r *Response) Text() string { return string(r.Bytes()) }

// JSON decodes the body into v, as json.Unmarshal does. The error says what
// the service answered instead of JSON.
func (r *Response) JSON(v any) error {
	if r.err != nil {
		return fmt.Errorf("%s %s: there is no JSON, because there is no answer: %w", r.Method, r.Name, r.err)
	}
	b := r.Bytes()
	err := json.Unmarshal(b, v)
	if err == nil {
		return nil
	}
	what := fmt.Sprintf("%d to %s %s", r.Status, r.Method, r.Name)
	if kind := r.Header("Content-Type"); kind != "" {
		what += ", " + kind
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return fmt.Errorf("the answer is not JSON: its body is empty (%s)", what)
	}
	if json.Valid(b) {
		return fmt.Errorf("the answer (%s) has other JSON than was asked for: %w", what, err)
	}
	return fmt.Errorf("the answer is not JSON (%s): it begins with %.80q", what, b)
}

// Header returns the first header line of that name, in any case; "" for none.
func (r *Response) Header(name string) string {
	if r.ans != nil {
		return r.ans.Fields.Get(name)
	}
	return r.fields.Get(name)
}

// Cookies returns the cookies that this answer sets. Those that are kept are
// sent by themselves; User.Cookie returns them.
func (r *Response) Cookies() []*http.Cookie {
	fields := r.fields
	if r.ans != nil {
		fields = r.ans.Fields
	}
	var out []*http.Cookie
	for _, line := range fields.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil {
			out = append(out, c)
		}
	}
	return out
}

// Outcome returns what the answer counts as: "admitted", "throttled" or
// "failed"; "missed" when nothing was sent.
func (r *Response) Outcome() string { return r.outcome.String() }

// Check makes an answer for which ok is false count as failed, with why in the
// table of errors, and returns ok. Throttled and failed answers stay what they
// are: that is why they do not hold.
//
// Check, Success, Failure and Throttled come before the user's next request or
// Sleep, and before the end of the task: then the answer is counted. Later, they
// change nothing, and the task has an error that says so.
func (r *Response) Check(ok bool, why string) bool {
	if !ok && r.outcome == hit.Admitted {
		r.Failure(why)
	}
	return ok
}

// Success makes the answer count as admitted, whatever its status.
func (r *Response) Success() { r.set(hit.Admitted, "") }

// Failure makes the answer count as failed; why is a line without secrets.
func (r *Response) Failure(why string) { r.set(hit.Failed, why) }

// Throttled makes the answer count as throttled, for services that say it in
// their own way.
func (r *Response) Throttled() { r.set(hit.Throttled, "") }

func (r *Response) set(o hit.Outcome, why string) {
	if r.u.mark != r {
		if r.outcome != hit.Missed { // else nothing was counted, and the reason is known
			r.u.complain(fmt.Errorf("%s %s: this answer is counted already: mark it before the user's next request or Sleep", r.Method, r.Name))
		}
		return
	}
	r.outcome = o
	why = strings.NewReplacer("\r", " ", "\n", " ").Replace(why)
	if len(why) > 200 {
		why = strings.ToValidUTF8(why[:200], "") + "…"
	}
	r.u.s.Mark(o, why)
}

// writer is the body of a request being made.
type writer struct {
	b   []byte
	enc *json.Encoder
}

func (w *writer) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func (w *writer) json(v any) error {
	if w.enc == nil {
		w.enc = json.NewEncoder(w)
		w.enc.SetEscapeHTML(false)
	}
	if err := w.enc.Encode(v); err != nil {
		w.b = w.b[:0]
		return fmt.Errorf("JSON: %w", err)
	}
	w.b = w.b[:len(w.b)-1] // the line end
	return nil
}

func (w *writer) shrink() {
	if cap(w.b) > keptBody {
		w.b = nil
	}
}
