package script

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/weir-dev/weir/internal/hit"
)

// response is an answer. While the session still has it, body and headers are
// read in place; keep copies them before the next request.
type response struct {
	u       *user
	ans     *hit.Answer // nil: body and fields are copies
	status  int
	failure hit.Failure
	why     string // of failure
	verb    string
	name    string
	url     string
	elapsed time.Duration
	outcome hit.Outcome

	body    []byte
	fields  hit.Fields
	text    starlark.Value // of the body, once it was asked for
	decoded starlark.Value // of json()
	gone    bool
}

// receive makes the value of an answer, nil when the run is over.
func (u *user) receive(a *hit.Answer) *response {
	if a.Failure == hit.Interrupted {
		return nil
	}
	r := &response{u: u, ans: a, status: a.Status, failure: a.Failure, why: a.Err, verb: u.req.Method, name: u.name, url: u.req.URL, outcome: u.s.Outcome()}
	if !a.Sent.IsZero() {
		r.elapsed = a.Done.Sub(a.Sent)
	}
	if a.Redirects > 0 {
		r.url = u.wire.URL()
	}
	u.last, u.mark = r, r
	return r
}

// keep copies what the session is about to overwrite. A large body is taken
// away from it instead, which also keeps the memory of an idle user small.
func (r *response) keep() {
	a := r.ans
	if a == nil {
		return
	}
	r.ans = nil
	r.fields = append(hit.Fields(nil), a.Fields...)
	switch {
	case r.text != nil:
	case cap(a.Body) > keptBody:
		r.body, a.Body = a.Body, nil
	default:
		r.body = append([]byte(nil), a.Body...)
	}
	shrink(a)
}

// drop is keep for an answer that nothing can look at any more.
func (r *response) drop() {
	if r.ans != nil {
		shrink(r.ans)
	}
	r.ans, r.gone = nil, true
	r.text, r.decoded = nil, nil
}

func shrink(a *hit.Answer) {
	if cap(a.Body) > keptBody {
		a.Body = nil
	}
}

func (r *response) header() hit.Fields {
	if r.ans != nil {
		return r.ans.Fields
	}
	return r.fields
}

func (r *response) content() []byte {
	if r.ans != nil {
		return r.ans.Body
	}
	return r.body
}

func (r *response) asText() starlark.String {
	if r.text == nil {
		r.text = starlark.String(r.content())
		r.body = nil
	}
	return r.text.(starlark.String)
}

// summary is the answer in a few words, without its content.
func (r *response) summary() string {
	if r.failure != hit.NoFailure {
		return fmt.Sprintf("none: %s %s failed (%s)", r.verb, r.name, r.failure)
	}
	return fmt.Sprintf("%d to %s %s", r.status, r.verb, r.name)
}

func (r *response) String() string        { return "<response " + r.summary() + ">" }
func (r *response) Type() string          { return "response" }
func (r *response) Freeze()               {}
func (r *response) Truth() starlark.Bool  { return starlark.Bool(r.ok()) }
func (r *response) Hash() (uint32, error) { return 0, errors.New("unhashable type: response") }

func (r *response) ok() bool { return r.failure == hit.NoFailure && r.status > 0 && r.status < 400 }

var responseAttrs = []string{"content", "cookies", "elapsed", "error", "failure", "headers", "json", "name", "ok",
	"outcome", "reason", "request_method", "status", "status_code", "success", "text", "throttled", "url"}

func (r *response) AttrNames() []string { return responseAttrs }

func (r *response) Attr(name string) (starlark.Value, error) {
	switch name {
	case "status", "status_code":
		return starlark.MakeInt(r.status), nil
	case "ok":
		return starlark.Bool(r.ok()), nil
	case "text":
		return r.asText(), nil
	case "content":
		return starlark.Bytes(r.asText()), nil
	case "json", "success", "failure", "throttled":
		return answerMethod{r, name}, nil
	case "headers":
		return answerHeaders{r}, nil
	case "cookies":
		return answerCookies{r}, nil
	case "elapsed":
		return starlark.Float(r.elapsed.Seconds()), nil
	case "url":
		return starlark.String(r.url), nil
	case "name":
		return starlark.String(r.name), nil
	case "request_method":
		return starlark.String(r.verb), nil
	case "outcome":
		return starlark.String(r.outcome.String()), nil
	case "error", "reason":
		if r.failure == hit.NoFailure {
			return starlark.String(""), nil
		}
		return starlark.String(hit.Reason(r.failure, r.status, r.why)), nil
	}
	switch name {
	case "raise_for_status":
		return nil, errors.New(`an answer has no .raise_for_status: write check(r, r.ok, "why")`)
	case "history":
		return nil, errors.New("an answer has no .history: r.url is where it came from; allow_redirects = False shows each step")
	}
	return nil, fmt.Errorf("an answer has no .%s%s", name, memberHint("r", name, responseAttrs))
}

// answerMethod is r.json and its like.
type answerMethod struct {
	r    *response
	name string
}

func (m answerMethod) String() string        { return "<method response." + m.name + ">" }
func (m answerMethod) Type() string          { return "method" }
func (m answerMethod) Freeze()               {}
func (m answerMethod) Truth() starlark.Bool  { return true }
func (m answerMethod) Hash() (uint32, error) { return starlark.String(m.name).Hash() }
func (m answerMethod) Name() string          { return "response." + m.name }

func (m answerMethod) CallInternal(t *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	why := ""
	switch m.name {
	case "json", "success":
		if len(args)+len(kwargs) > 0 {
			return nil, fmt.Errorf("%s() takes no arguments", m.name)
		}
	case "failure":
		if err := starlark.UnpackArgs(m.name, args, kwargs, "why", &why); err != nil {
			return nil, err
		}
	case "throttled":
		if err := starlark.UnpackArgs(m.name, args, kwargs, "why?", &why); err != nil {
			return nil, err
		}
	}
	switch m.name {
	case "json":
		return m.r.json(t)
	case "success":
		return starlark.None, m.r.set(hit.Admitted, "")
	case "failure":
		return starlark.None, m.r.set(hit.Failed, why)
	}
	return starlark.None, m.r.set(hit.Throttled, why)
}

// set marks the answer by hand.
func (r *response) set(o hit.Outcome, why string) error {
	if r.u.mark != r {
		return errors.New("this answer is counted already: mark it before the user sends its next request or sleeps")
	}
	r.outcome = o
	r.u.s.Mark(o, limit(r.u.sc.secrets.mask(oneLine(why)), 200))
	return nil
}

// json decodes the body, once.
func (r *response) json(t *starlark.Thread) (starlark.Value, error) {
	if r.decoded != nil {
		return r.decoded, nil
	}
	if r.failure != hit.NoFailure {
		return nil, fmt.Errorf("there is no JSON, because there is no answer: %s", hit.Reason(r.failure, r.status, r.why))
	}
	text := r.asText()
	v, err := decodeJSON(t, text)
	if err == nil {
		r.decoded = v
		return v, nil
	}
	if err == errDeep {
		return nil, fmt.Errorf("%w (%s)", err, r.summary())
	}
	if strings.TrimSpace(string(text)) == "" {
		return nil, fmt.Errorf("the answer is not JSON: its body is empty (%s)", r.summary())
	}
	kind := r.header().Get("Content-Type")
	if kind != "" {
		kind = ", " + kind
	}
	if n, e := strconv.Atoi(r.header().Get("Content-Length")); e == nil && n > len(text) && !r.header().Has("Content-Encoding") {
		return nil, fmt.Errorf("the answer cannot be read as JSON (%s%s): of its %d bytes the first %d are kept", r.summary(), kind, n, len(text))
	}
	return nil, fmt.Errorf("the answer is not JSON (%s%s): it begins with %s", r.summary(), kind, limit(oneLine(starlark.String(limit(string(text), 80)).String()), 120))
}

// check is check(r, condition, "why"): an answer that does not hold counts as
// failed. Throttled and failed answers stay what they are: that is why they do
// not hold.
func check(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v, cond starlark.Value
	why := "a check failed"
	if err := starlark.UnpackArgs("check", args, kwargs, "response", &v, "condition", &cond, "why?", &why); err != nil {
		return nil, err
	}
	r, ok := v.(*response)
	if !ok {
		return nil, fmt.Errorf("check: the first argument is a %s, want the answer: check(r, r.status == 200, \"why\")", v.Type())
	}
	if cond.Truth() {
		return starlark.True, nil
	}
	if r.outcome == hit.Admitted {
		if err := r.set(hit.Failed, why); err != nil {
			return nil, err
		}
	}
	return starlark.False, nil
}
