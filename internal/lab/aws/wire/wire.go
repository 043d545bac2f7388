// Package wire holds Call: one request to an AWS service, read from any of the
// protocols that CloudWatch, CloudWatch Logs, SNS and SQS are spoken in, and its
// answer written back in the same one.
//
// The protocols are Smithy RPC v2 CBOR (https://smithy.io/2.0/additional-specs/
// protocols/smithy-rpc-v2.html), AWS JSON 1.0 and 1.1 and AWS Query (the same site,
// aws/protocols), all read 2026-11, and seen from aws-sdk-go-v2 and botocore 1.43.
package wire

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Service names, as they stand in a credential scope.
const (
	CloudWatch = "monitoring"
	Logs       = "logs"
	SNS        = "sns"
	SQS        = "sqs"
	STS        = "sts"
)

// Protocol is how a call was written.
type Protocol uint8

// The protocols.
const (
	Query Protocol = iota
	JSON
	CBOR
)

// Call is one request. Its fields are set by Read and not changed afterwards.
type Call struct {
	Service, Op string
	Protocol    Protocol
	In          Params

	// Form is what a Query call was written as; nil for the others.
	Form url.Values

	// Bytes is the length of the body after decompression.
	Bytes int

	// Now is the service's clock when the call was taken, Base the URL under which
	// the client reached it, without a trailing slash; the server sets both.
	Now  time.Time
	Base string

	// Context ends when the client goes away.
	Context context.Context

	version string // of JSON: 1.0 or 1.1
}

// Out is the output of an operation: strings, booleans, int, int64, float64,
// time.Time, lists of them, Out, []Out, Entries and Numbers.
type Out map[string]any

// Entries is a map from text to text, which Query writes in a way of its own.
type Entries map[string]string

// Numbers is a map from text to numbers, written as Entries are.
type Numbers map[string]float64

// Op carries out one operation.
type Op func(*Call) (Out, error)

const (
	// maxBody bounds a body as it arrives and after decompression: more than any
	// limit of the services, so that theirs is met first.
	maxBody = 8 << 20

	// maxDepth bounds nesting: the deepest input has five levels.
	maxDepth = 32
)

// services by what a protocol calls them.
var services = map[string]string{
	"GraniteServiceVersion20100801": CloudWatch, "Logs_20140328": Logs, "AmazonSQS": SQS, // X-Amz-Target, and the path of CBOR
	"2010-08-01": CloudWatch, "2010-03-31": SNS, "2012-11-05": SQS, "2011-06-15": STS, // Version of Query
}

// Read reads a request. When the error is not nil, the call is good for writing
// that error: it says which protocol to write it in.
func Read(r *http.Request) (*Call, error) {
	c := &Call{Context: r.Context(), version: "1.0"}
	target := r.Header.Get("X-Amz-Target")
	rest, isCBOR := strings.CutPrefix(r.URL.Path, "/service/")
	switch {
	case isCBOR:
		c.Protocol = CBOR
		name, op, ok := strings.Cut(rest, "/operation/")
		c.Service, c.Op = services[name], op
		if !ok || c.Service == "" {
			c.Service = CloudWatch
			return c, Fail(http.StatusNotFound, "UnknownOperationException", "UnknownOperation", "there is no service at "+short(r.URL.Path))
		}
		if r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
			return c, Fail(http.StatusBadRequest, "SerializationException", "SerializationException", "the header Smithy-Protocol: rpc-v2-cbor is missing")
		}
	case target != "":
		c.Protocol = JSON
		if strings.HasSuffix(strings.TrimSpace(strings.ToLower(r.Header.Get("Content-Type"))), "json-1.1") {
			c.version = "1.1"
		}
		name, op, _ := strings.Cut(target, ".")
		c.Service, c.Op = services[name], op
		if c.Service == "" {
			return c, Fail(http.StatusBadRequest, "UnknownOperationException", "UnknownOperation", "X-Amz-Target "+short(target)+" names no service of this stand-in")
		}
	}
	body, err := read(r)
	c.Bytes = len(body)
	if err != nil {
		return c, err
	}
	if c.Protocol == Query {
		return c, c.query(r, body)
	}
	var tree any
	if c.Protocol == CBOR {
		if len(body) > 0 {
			tree, err = decodeCBOR(body)
		}
	} else {
		tree, err = decodeJSON(body)
	}
	if err != nil {
		return c, Fail(http.StatusBadRequest, "SerializationException", "SerializationException", err.Error())
	}
	fields, ok := tree.(map[string]any)
	if !ok && tree != nil {
		return c, Fail(http.StatusBadRequest, "SerializationException", "SerializationException", "the body must be a structure")
	}
	c.In = params(fields)
	return c, Signed(r, c)
}

// read reads the body, through gzip where it says so.
func read(r *http.Request) ([]byte, error) {
	tooLong := Fail(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "RequestEntityTooLarge", fmt.Sprintf("the body is longer than %d bytes", maxBody))
	var from io.Reader = io.LimitReader(r.Body, maxBody+1)
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity", "aws-chunked":
	case "gzip":
		unzip, err := gzip.NewReader(from)
		if err != nil {
			return nil, Fail(http.StatusBadRequest, "SerializationException", "MalformedInput", "the body is not gzip")
		}
		defer unzip.Close()
		from = io.LimitReader(unzip, maxBody+1)
	default:
		return nil, Fail(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "UnsupportedMediaType", "Content-Encoding "+short(encoding)+" is not taken: use gzip or none")
	}
	body, err := io.ReadAll(from)
	switch {
	case len(body) > maxBody:
		return nil, tooLong
	case err != nil:
		return nil, Fail(http.StatusBadRequest, "SerializationException", "MalformedInput", "the body broke off or is not what its Content-Encoding says")
	}
	return body, nil
}

func (c *Call) query(r *http.Request, body []byte) error {
	text := string(body)
	if r.Method == http.MethodGet {
		text = r.URL.RawQuery // the protocol's older form
	}
	form, err := url.ParseQuery(text)
	if err != nil {
		return Fail(http.StatusBadRequest, "MalformedQueryString", "MalformedQueryString", "The query string contains a syntax error")
	}
	c.Form, c.Op = form, form.Get("Action")
	c.Service = services[form.Get("Version")]
	if c.Service == "" {
		c.Service = Scope(r).Service
	}
	if c.Service == "" {
		c.Service = SNS // as the stand-in of SMS has it, which asks for no version
	}
	if c.Op == "" {
		return Fail(http.StatusBadRequest, "MissingAction", "MissingAction", "The request is missing an action or a required parameter")
	}
	tree, err := unflatten(form)
	if err != nil {
		return Fail(http.StatusBadRequest, "MalformedQueryString", "MalformedQueryString", err.Error())
	}
	c.In = params(tree)
	return Signed(r, c)
}

// Error is an error as a service answers it.
type Error struct {
	Status int

	// Shape is the error's name in JSON and CBOR, Code in Query, which the others
	// have in a header besides.
	Shape, Code string

	Message string
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Fail returns an *Error.
func Fail(status int, shape, code, message string) *Error {
	return &Error{status, shape, code, message}
}

// Failf returns an *Error of status 400 whose shape is its code followed by
// suffix: the names differ by "Exception" or "Fault" or nothing.
func Failf(code, suffix, format string, args ...any) *Error {
	return Fail(http.StatusBadRequest, code+suffix, code, fmt.Sprintf(format, args...))
}

// asError makes an *Error of any error.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Fail(http.StatusInternalServerError, "InternalServiceFault", "InternalServiceError", "internal error")
}

// short bounds what an error repeats of a request.
func short(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
