// Package hit says what was meant to be sent and what came back: a Hit is one
// request's whole story in three instants and one outcome.
//
// Request and Answer are what a sender works with; Rules turns an Answer into
// an Outcome; Hit is the finished record, with a codec of one JSON line each.
package hit

import "time"

// Outcome says how a hit ended. Every hit has exactly one, and they are never
// added up into "requests" without being shown apart as well.
type Outcome uint8

const (
	// Admitted: the service did the work.
	Admitted Outcome = iota
	// Throttled: a limit refused it (429, or what Rules says).
	Throttled
	// Failed: neither: an error status, a broken connection, a time-out, a failed check.
	Failed
	// Missed: it was due and could not be sent. Nothing reached the service.
	Missed

	// NumOutcomes is the number of outcomes, for arrays indexed by Outcome.
	NumOutcomes = 4
)

// String returns the lower-case word used in every output and expression.
func (o Outcome) String() string {
	switch o {
	case Admitted:
		return "admitted"
	case Throttled:
		return "throttled"
	case Failed:
		return "failed"
	case Missed:
		return "missed"
	}
	return "unknown"
}

// Failure says which step of a request broke. The zero value, NoFailure, means
// that a complete answer was read, whatever its status.
type Failure uint8

const (
	NoFailure        Failure = iota
	DNSFailed                // the name could not be resolved
	ConnectRefused           // nothing listens there
	ConnectTimeout           // no connection within the connect time-out
	ConnectFailed            // any other reason not to connect: unreachable, no file descriptors, no local port
	TLSFailed                // handshake or verification failed
	SendFailed               // the request could not be written
	AnswerTimeout            // no complete answer within the request time-out
	ClosedEarly              // the connection ended before the answer was complete
	BadAnswer                // the bytes are not a valid HTTP answer
	AnswerTooLarge           // headers or body exceed the configured bound
	TooManyRedirects         // more redirects than allowed
	ProxyFailed              // the proxy refused or broke the tunnel
	Interrupted              // the run was stopped hard while the request was under way
	CheckFailed              // the scenario looked at the answer and rejected it
	OtherFailure             // anything else; Answer.Err has the text

	// NumFailures is the number of failures, for arrays indexed by Failure.
	NumFailures = int(OtherFailure) + 1
)

// Field is one header line as it is written on the wire.
type Field struct{ Name, Value string }

// Request is one request to send. It is never changed by a sender, so any
// number of users may share one.
type Request struct {
	Name   string // how it is grouped in reports; empty: Method plus the path of URL
	Method string // "GET" when empty
	URL    string // absolute: http://host[:port]/path?query or https://…
	Header []Field
	Body   []byte
	// Once says that the request must not be sent a second time when a reused
	// connection breaks before any byte of the answer. The default, false,
	// allows that one retry for idempotent methods only (RFC 9110 §9.2.2).
	Once bool
	// Replay allows that retry for any method, because the scenario knows that
	// sending twice does no harm.
	Replay bool
}

// Answer is what came back for one Request. A sender fills it in; the caller
// owns it and reuses it for the next request of the same user. Fields, Phrase and
// Body are valid until that user's next request.
type Answer struct {
	Sent      time.Time // the first byte was about to be written, on the connection that was answered
	FirstByte time.Time // the first bytes of the answer had arrived
	Done      time.Time // the last byte had arrived, or the failure was known

	Status   int    // 0 when no status line was read
	Phrase   []byte // the reason phrase of the status line, as far as the sender knows it
	Fields   Fields // the header block as received
	Body     []byte // as far as kept: see the sender's options
	BytesIn  int64  // bytes of the answer on the wire, header block and body, before decompression
	BytesOut int64  // bytes of the request on the wire

	Failure Failure
	Err     string // the reason in words when Failure is set; never holds a secret

	Connect   time.Duration // resolving, connecting and TLS, when a new connection was opened for this request; else 0
	Opened    int           // connections opened for this request: 0 or 1, more with redirects or a retry
	Retried   bool          // a reused connection was found closed and the request was sent again
	Redirects int           // redirects followed
	Proto     string        // "HTTP/1.1", "HTTP/2.0"

	// OnSent is called with the instant Sent, once per request that reaches the
	// wire, just before the first byte is written. The engine sets it; nil is allowed.
	OnSent func(at time.Time)
}

// Reset clears the answer for the next request, keeping OnSent and the memory of Body, Fields and Phrase.
func (a *Answer) Reset() {
	*a = Answer{OnSent: a.OnSent, Body: a.Body[:0], Fields: a.Fields[:0], Phrase: a.Phrase[:0]}
}

// Hit is the finished record of one request. Instants are offsets from the
// start of the run on the generator's monotonic clock; for Missed, Sent and
// Done equal the instant at which it was given up.
type Hit struct {
	Seq      int64 // position in the schedule, from 0
	User     int
	Method   string
	Name     string
	Intended time.Duration // when the plan wanted it sent
	Sent     time.Duration
	Done     time.Duration
	Outcome  Outcome
	Status   int
	Failure  Failure
	Err      string
	BytesIn  int64
	BytesOut int64
}
