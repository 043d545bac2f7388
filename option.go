package weir

import "time"

// Option is something that a request has. The zero value is nothing. Options
// are applied in their order.
type Option struct {
	kind        optionKind
	name, value string
	data        any
	body        []byte
	d           time.Duration
}

type optionKind uint8

const (
	optNone optionKind = iota
	optJSON
	optForm
	optBody
	optHeader
	optQuery
	optName
	optTimeout
	optNoRedirects
	optBasicAuth
	optReplay
	optFile
)

// JSON is the body: v as encoding/json writes it, without escaping <, > and &
// for HTML. The Content-Type is application/json unless a Header says otherwise.
func JSON(v any) Option { return Option{kind: optJSON, data: v} }

// Form adds a field to a body of type application/x-www-form-urlencoded. The
// order is kept.
func Form(name, value string) Option { return Option{kind: optForm, name: name, value: value} }

// Body is the body as it is sent. Give its Content-Type with Header. It is not
// copied, and must not change while the request is under way.
func Body(b []byte) Option { return Option{kind: optBody, body: b} }

// Header sets a header line, instead of one of the same name from
// User.SetHeader. Given twice, there are two lines.
func Header(name, value string) Option { return Option{kind: optHeader, name: name, value: value} }

// Query adds name=value, escaped, to the query of the URL.
func Query(name, value string) Option { return Option{kind: optQuery, name: name, value: value} }

// Name is what the request is called in reports, for paths that hold numbers:
// "/customers/[id]". Without it that is the path.
func Name(name string) Option { return Option{kind: optName, value: name} }

// Timeout bounds this request, redirects included, instead of --timeout. It is
// above zero.
func Timeout(d time.Duration) Option { return Option{kind: optTimeout, d: d} }

// NoRedirects takes a redirect as the answer.
func NoRedirects() Option { return Option{kind: optNoRedirects} }

// BasicAuth sends a name and a password, unless a Header has an Authorization.
func BasicAuth(name, password string) Option {
	return Option{kind: optBasicAuth, name: name, value: password}
}

// Replay allows the request to be sent once more when a kept-open connection
// turns out to be closed, as GET always is: sending it twice does no harm.
func Replay() Option { return Option{kind: optReplay} }
