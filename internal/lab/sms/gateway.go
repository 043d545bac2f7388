package sms

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// gateway publishes through SNS's Query protocol.
type gateway struct {
	endpoint string
	client   *http.Client
	close    func() // nil when there is nothing to close
}

// gatewayTimeout bounds one Publish. boto3's default for reading is the same.
const gatewayTimeout = 60 * time.Second

// gatewayError is a refusal of SNS, or what else kept a message from being taken.
type gatewayError struct{ code, message string }

func (e *gatewayError) Error() string { return "SMS gateway: " + e.code + ": " + e.message }

// publish sends one message and returns its id.
//
// The credentials are those that LocalStack's documents use, and the signature is
// none: emulators look at the scope alone. The real SNS would refuse it, and New
// refuses the real SNS.
func (g *gateway) publish(ctx context.Context, number, text string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gatewayTimeout)
	defer cancel()
	form := url.Values{
		"Action": {"Publish"}, "Version": {"2010-03-31"}, "PhoneNumber": {number}, "Message": {text},
		"MessageAttributes.entry.1.Name":              {"AWS.SNS.SMS.SMSType"},
		"MessageAttributes.entry.1.Value.DataType":    {"String"},
		"MessageAttributes.entry.1.Value.StringValue": {"Transactional"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", &gatewayError{"BadEndpoint", "the endpoint is not a URL"}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sns/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	resp, err := g.client.Do(req)
	if err != nil {
		return "", &gatewayError{"EndpointConnectionError", "could not connect to the endpoint, or it did not answer"}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", &gatewayError{"ConnectionClosedError", "the endpoint closed the connection before a valid response"}
	}
	var answer struct {
		MessageID string `xml:"PublishResult>MessageId"`
		Code      string `xml:"Error>Code"`
		Message   string `xml:"Error>Message"`
	}
	err = xml.Unmarshal(body, &answer)
	switch {
	case answer.Code != "":
		return "", &gatewayError{answer.Code, answer.Message}
	case err != nil || answer.MessageID == "" || resp.StatusCode != http.StatusOK:
		return "", &gatewayError{"ResponseParserError", fmt.Sprintf("the endpoint answered %d with something else than SNS does", resp.StatusCode)}
	}
	return answer.MessageID, nil
}

// inside is a transport that calls a handler instead of a network, so that the
// stand-in inside goes the same way as one outside.
type inside struct{ handler http.Handler }

// errCut is an answer that the handler broke off.
var errCut = errors.New("the connection was cut")

func (t inside) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			resp, err = nil, errCut
		default:
			panic(p)
		}
	}()
	w := &memory{header: http.Header{}, status: http.StatusOK}
	t.handler.ServeHTTP(w, r)
	return &http.Response{StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// memory is a http.ResponseWriter that keeps the answer.
type memory struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (m *memory) Header() http.Header         { return m.header }
func (m *memory) Write(b []byte) (int, error) { return m.body.Write(b) }
func (m *memory) WriteHeader(status int)      { m.status = status }
