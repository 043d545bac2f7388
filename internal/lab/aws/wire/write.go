package wire

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// decodeJSON reads an object; an empty body is an empty one.
func decodeJSON(b []byte) (any, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("JSON: bytes follow the object")
	}
	return v, nil
}

// Answer returns the status and the body for an output or an error, and sets the
// header fields that go with it.
func (c *Call) Answer(h http.Header, out Out, err error) (status int, body []byte) {
	id := NewID()
	h.Set("x-amzn-RequestId", id)
	status = http.StatusOK
	var failed *Error
	if err != nil {
		failed = asError(err)
		status = failed.Status
		out = Out{"__type": "com.amazonaws." + smithyName[c.Service] + "#" + failed.Shape, "message": failed.Message}
		if c.Protocol != Query && (c.Service == CloudWatch || c.Service == SQS) {
			h.Set("X-Amzn-Query-Error", failed.Code+";"+failed.side())
		}
	}
	switch c.Protocol {
	case CBOR:
		h.Set("Content-Type", "application/cbor")
		h.Set("Smithy-Protocol", "rpc-v2-cbor")
		return status, appendCBOR(nil, out)
	case JSON:
		h.Set("Content-Type", "application/x-amz-json-"+c.version)
		if failed == nil && len(out) == 0 && c.Service == Logs {
			return status, nil // as seen: 200 with an empty body
		}
		return status, encodeJSON(out)
	}
	h.Set("Content-Type", "text/xml")
	var b bytes.Buffer
	ns := xmlNamespace[c.Service]
	if failed != nil {
		b.WriteString(`<ErrorResponse xmlns="` + ns + `"><Error><Type>` + failed.side() + "</Type><Code>" + failed.Code + "</Code><Message>")
		escape(&b, failed.Message)
		b.WriteString("</Message></Error><RequestId>" + id + "</RequestId></ErrorResponse>\n")
		return status, b.Bytes()
	}
	b.WriteString("<" + c.Op + `Response xmlns="` + ns + `">`)
	if len(out) > 0 {
		b.WriteString("<" + c.Op + "Result>")
		writeXML(&b, out, c.Service == SQS)
		b.WriteString("</" + c.Op + "Result>")
	}
	b.WriteString("<ResponseMetadata><RequestId>" + id + "</RequestId></ResponseMetadata></" + c.Op + "Response>\n")
	return status, b.Bytes()
}

func (e *Error) side() string {
	if e.Status >= 500 {
		return "Receiver"
	}
	return "Sender"
}

var (
	smithyName   = map[string]string{CloudWatch: "cloudwatch", Logs: "logs", SNS: "sns", SQS: "sqs", STS: "sts"}
	xmlNamespace = map[string]string{
		CloudWatch: "http://monitoring.amazonaws.com/doc/2010-08-01/",
		SNS:        "http://sns.amazonaws.com/doc/2010-03-31/",
		SQS:        "http://queue.amazonaws.com/doc/2012-11-05/",
		STS:        "https://sts.amazonaws.com/doc/2011-06-15/",
	}
)

func encodeJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(jsonValue(v)) // made of what JSON can write
	return bytes.TrimRight(b.Bytes(), "\n")
}

func jsonValue(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int, int64:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
		return v
	case time.Time:
		return json.Number(strconv.FormatFloat(float64(v.UnixMilli())/1000, 'f', -1, 64))
	case Entries:
		return map[string]string(v)
	case Numbers:
		return map[string]float64(v)
	case Out:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = jsonValue(e)
		}
		return m
	}
	out := []any{}
	for _, e := range asList(v) {
		out = append(out, jsonValue(e))
	}
	return out
}

// flatNames are the elements of SQS's lists and maps, which stand without one
// around them (SQS API of 2012-11-05).
var flatNames = map[string]string{"Attributes": "Attribute", "Messages": "Message", "QueueUrls": "QueueUrl"}

func writeXML(b *bytes.Buffer, out Out, flat bool) {
	for _, k := range sortedKeys(out) {
		name := k
		if flat && flatNames[k] != "" {
			name = flatNames[k]
		}
		switch v := out[k].(type) {
		case nil:
		case Out:
			b.WriteString("<" + name + ">")
			writeXML(b, v, flat)
			b.WriteString("</" + name + ">")
		case Entries:
			entries(b, name, v, flat)
		case Numbers:
			entries(b, name, v, flat)
		case string, bool, int, int64, float64, time.Time:
			element(b, name, v)
		default:
			if !flat {
				b.WriteString("<" + name + ">")
			}
			for _, e := range asList(v) {
				inner := name
				if !flat {
					inner = "member"
				}
				if o, ok := e.(Out); ok {
					b.WriteString("<" + inner + ">")
					writeXML(b, o, flat)
					b.WriteString("</" + inner + ">")
				} else {
					element(b, inner, e)
				}
			}
			if !flat {
				b.WriteString("</" + name + ">")
			}
		}
	}
}

func entries[V any](b *bytes.Buffer, name string, m map[string]V, flat bool) {
	key, value, around := "key", "value", "entry"
	if flat {
		key, value, around = "Name", "Value", name
	} else {
		b.WriteString("<" + name + ">")
	}
	for _, k := range sortedKeys(m) {
		b.WriteString("<" + around + ">")
		element(b, key, k)
		element(b, value, m[k])
		b.WriteString("</" + around + ">")
	}
	if !flat {
		b.WriteString("</" + name + ">")
	}
}

func element(b *bytes.Buffer, name string, v any) {
	b.WriteString("<" + name + ">")
	switch v := v.(type) {
	case string:
		escape(b, v)
	case time.Time:
		b.WriteString(v.UTC().Format("2006-01-02T15:04:05.000Z"))
	case float64:
		b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
	default:
		fmt.Fprint(b, v)
	}
	b.WriteString("</" + name + ">")
}

func escape(b *bytes.Buffer, s string) { _ = xml.EscapeText(b, []byte(s)) } // a bytes.Buffer takes everything

// NewID is a random UUID (RFC 9562, version 4).
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
