package wire

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

const signed = "AWS4-HMAC-SHA256 Credential=KEY/20261122/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=abc"

func request(protocol, op string, body []byte) *http.Request {
	r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
	r.Header.Set("Authorization", signed)
	switch protocol {
	case "cbor":
		r.URL.Path = "/service/GraniteServiceVersion20100801/operation/" + op
		r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	case "json":
		r.Header.Set("X-Amz-Target", "GraniteServiceVersion20100801."+op)
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	}
	return r
}

// TestReadAlike holds that the three protocols come to the same parameters.
func TestReadAlike(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 500e6, time.UTC)
	datum := cbor.Map{"MetricName": cbor.String("m"), "Value": cbor.Float64(1.5), "Timestamp": &cbor.Tag{ID: 1, Value: cbor.Float64(float64(at.UnixMilli()) / 1000)},
		"Counts": cbor.List{cbor.Uint(1), cbor.Float64(2.5)}, "StorageResolution": cbor.Uint(1),
		"Dimensions": cbor.List{cbor.Map{"Name": cbor.String("a"), "Value": cbor.String("ü&")}}}
	form := url.Values{"Action": {"PutMetricData"}, "Version": {"2010-08-01"}, "Namespace": {"N"}, "Flag": {"true"},
		"MetricData.member.1.MetricName": {"m"}, "MetricData.member.1.Value": {"1.5"}, "MetricData.member.1.Timestamp": {"2026-11-22T10:00:00.5Z"},
		"MetricData.member.1.Counts.member.1": {"1"}, "MetricData.member.1.Counts.member.2": {"2.5"}, "MetricData.member.1.StorageResolution": {"1"},
		"MetricData.member.1.Dimensions.member.1.Name": {"a"}, "MetricData.member.1.Dimensions.member.1.Value": {"ü&"}, "Empty": {""}}
	bodies := map[string][]byte{
		"cbor":  cbor.Encode(cbor.Map{"Namespace": cbor.String("N"), "Flag": cbor.Bool(true), "Empty": cbor.List{}, "MetricData": cbor.List{datum}}),
		"json":  []byte(`{"Namespace":"N","Flag":true,"Empty":[],"MetricData":[{"MetricName":"m","Value":1.5,"Timestamp":1795341600.5,"Counts":[1,2.5],"StorageResolution":1,"Dimensions":[{"Name":"a","Value":"ü&"}]}]}`),
		"query": []byte(form.Encode()),
	}
	for protocol, body := range bodies {
		for _, zipped := range []bool{false, true} {
			r := request(protocol, "PutMetricData", body)
			if zipped {
				var b bytes.Buffer
				z := gzip.NewWriter(&b)
				_, _ = z.Write(body)
				_ = z.Close()
				r.Body, r.Header = io.NopCloser(&b), r.Header.Clone()
				r.Header.Set("Content-Encoding", "gzip")
			}
			c, err := Read(r)
			if err != nil || c.Service != CloudWatch || c.Op != "PutMetricData" || c.Bytes != len(body) {
				t.Fatalf("%s: %+v %v", protocol, c, err)
			}
			list := c.In.List("MetricData")
			if len(list) != 1 || c.In.String("Namespace") != "N" || !c.In.Bool("Flag") || c.In.Len("Empty") != 0 || c.In.Has("Nothing") {
				t.Fatalf("%s: %v", protocol, c.In.fields)
			}
			d := list[0]
			dims := d.List("Dimensions")
			if d.String("MetricName") != "m" || d.Float("Value") != 1.5 || !d.Time("Timestamp").Equal(at) || !reflect.DeepEqual(d.Floats("Counts"), []float64{1, 2.5}) ||
				d.Int("StorageResolution") != 1 || len(dims) != 1 || dims[0].String("Value") != "ü&" || c.In.Err() != nil {
				t.Errorf("%s: %v %v", protocol, d.fields, c.In.Err())
			}
			if d.Float("MetricName"); c.In.Err() == nil || !strings.Contains(c.In.Err().Error(), "MetricData[0].MetricName") {
				t.Errorf("%s: a text for a number: %v", protocol, c.In.Err())
			}
		}
	}
}

// TestSigned holds which requests pass for signed, and that none of the errors
// repeats a secret.
func TestSigned(t *testing.T) {
	cases := []struct {
		header, query, code string
	}{
		{signed, "", ""},
		{"AWS4-ECDSA-P256-SHA256 Credential=KEY/20261122/monitoring/aws4_request, SignedHeaders=host, Signature=abc", "", ""},
		{"", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=KEY%2F20261122%2Fus-east-1%2Fmonitoring%2Faws4_request&X-Amz-Signature=SECRET", ""},
		{"", "", "MissingAuthenticationToken"},
		{"Basic SECRET", "", "IncompleteSignature"},
		{"AWS4-HMAC-SHA256 Credential=KEY/SECRET", "", "IncompleteSignature"},
		{"AWS4-HMAC-SHA256 Credential=KEY, SignedHeaders=host", "", "IncompleteSignature"},
	}
	for _, c := range cases {
		r := request("json", "ListMetrics", []byte("{}"))
		r.Header.Del("Authorization")
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		r.URL.RawQuery = c.query
		_, err := Read(r)
		var e *Error
		errors.As(err, &e)
		if c.code == "" && err != nil || c.code != "" && (e == nil || e.Code != c.code) {
			t.Errorf("%s %s: %v, want %q", c.header, c.query, err, c.code)
		}
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the error repeats it: %v", c.header, err)
		}
	}
	if len(cases) != 7 {
		t.Errorf("%d cases", len(cases))
	}
}

// TestAnswer holds the three forms of an output and of an error.
func TestAnswer(t *testing.T) {
	out := Out{"Text": "a<b", "N": 3, "F": 2.5, "T": time.Unix(1795341600, 500e6), "B": true, "Big": int64(-5), "List": []Out{{"X": "y"}}, "Words": []string{"p", "q"}, "Map": Entries{"k": "v"}, "Nums": Numbers{"p50": 1.5}, "None": []Out{}}
	for protocol, want := range map[Protocol]string{
		JSON: `{"B":true,"Big":-5,"F":2.5,"List":[{"X":"y"}],"Map":{"k":"v"},"N":3,"None":[],"Nums":{"p50":1.5},"T":1795341600.5,"Text":"a<b","Words":["p","q"]}`,
		Query: `<GetResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><GetResult><B>true</B><Big>-5</Big><F>2.5</F><List><member><X>y</X></member></List>` +
			`<Map><entry><key>k</key><value>v</value></entry></Map><N>3</N><None></None><Nums><entry><key>p50</key><value>1.5</value></entry></Nums><T>2026-11-22T10:00:00.500Z</T><Text>a&lt;b</Text><Words><member>p</member><member>q</member></Words></GetResult>` +
			`<ResponseMetadata><RequestId>ID</RequestId></ResponseMetadata></GetResponse>` + "\n",
	} {
		c := &Call{Service: CloudWatch, Op: "Get", Protocol: protocol, version: "1.0"}
		h := http.Header{}
		status, body := c.Answer(h, out, nil)
		if got := strings.ReplaceAll(string(body), h.Get("x-amzn-RequestId"), "ID"); got != want || status != 200 {
			t.Errorf("%d\n%s, want\n%s", status, got, want)
		}
	}
	c := &Call{Service: CloudWatch, Op: "Get", Protocol: CBOR}
	h := http.Header{}
	_, body := c.Answer(h, out, nil)
	v, err := cbor.Decode(body)
	m, _ := v.(cbor.Map)
	if err != nil || m["N"] != cbor.Uint(3) || m["Big"] != cbor.NegInt(5) || len(m["List"].(cbor.List)) != 1 || m["T"].(*cbor.Tag).ID != 1 || h.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		t.Errorf("CBOR: %v %v", v, err)
	}
	for _, protocol := range []Protocol{Query, JSON, CBOR} {
		c := &Call{Service: CloudWatch, Op: "Get", Protocol: protocol, version: "1.0"}
		h := http.Header{}
		status, body := c.Answer(h, nil, Failf("InvalidParameterValue", "Exception", "not <this>"))
		text := string(body)
		if protocol == CBOR {
			v, _ := decodeCBOR(body)
			b, _ := json.Marshal(v)
			text = string(b)
		}
		if status != 400 || !strings.Contains(text, "InvalidParameterValue") || protocol != Query && h.Get("X-Amzn-Query-Error") != "InvalidParameterValue;Sender" {
			t.Errorf("%d %s %v", status, text, h)
		}
		if protocol == Query && xml.Unmarshal(body, new(struct{ XMLName xml.Name })) != nil {
			t.Errorf("not XML: %s", body)
		}
		if status, body := c.Answer(h, nil, errors.New("with a secret")); status != 500 || bytes.Contains(body, []byte("secret")) {
			t.Errorf("an error of ours: %d %s", status, body)
		}
	}
}

func TestBounds(t *testing.T) {
	deep := bytes.Repeat([]byte{0x81}, 100)
	if _, err := decodeCBOR(append(deep, 0)); err == nil {
		t.Error("100 levels are read")
	}
	for _, b := range [][]byte{{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0xbb, 0x7f, 0, 0, 0, 0, 0, 0, 0}, {0x7b, 0x7f, 0, 0, 0, 0, 0, 0, 0}, {0xa1, 0x01, 0x01}, {0x00, 0x00}, {0xff}, {0xfc}, {0xc1, 0x60}} {
		if v, err := decodeCBOR(b); err == nil {
			t.Errorf("%x is read as %v", b, v)
		}
	}
	for b, want := range map[string]float64{"\xf9\x3c\x00": 1, "\xf9\xc0\x00": -2, "\xf9\x7c\x00": math.Inf(1), "\xf9\x00\x01": 5.960464477539063e-08, "\xfa\x3f\xc0\x00\x00": 1.5} {
		if v, err := decodeCBOR([]byte(b)); err != nil || v != want {
			t.Errorf("%x: %v %v, want %v", b, v, err, want)
		}
	}
	r := request("json", "X", nil)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(make([]byte, maxBody+1))
	_ = w.Close()
	r.Body = io.NopCloser(&z)
	r.Header.Set("Content-Encoding", "gzip")
	var e *Error
	if _, err := Read(r); !errors.As(err, &e) || e.Status != 413 {
		t.Errorf("a bomb: %v", err)
	}
}

// FuzzCBOR holds the reader against smithy-go's: what both read is the same.
func FuzzCBOR(f *testing.F) {
	f.Add(cbor.Encode(cbor.Map{"a": cbor.List{cbor.Uint(1), cbor.NegInt(2), cbor.Float64(1.5), cbor.String("x"), cbor.Bool(true), &cbor.Nil{}, cbor.Slice("b"), &cbor.Tag{ID: 1, Value: cbor.Uint(5)}}}))
	f.Add([]byte("\xbf\x61a\x9f\x01\xff\xff"))
	f.Add([]byte("\x7f\x61a\x61b\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeCBOR(b)
		if err != nil {
			return
		}
		want, err := cbor.Decode(b)
		if err != nil {
			return // it is stricter here and there
		}
		if !alike(got, want) {
			t.Fatalf("%x: %#v, want %#v", b, got, want)
		}
	})
}

// alike compares what the two readers made of a text.
func alike(got any, want cbor.Value) bool {
	switch w := want.(type) {
	case cbor.Uint:
		f, ok := number(got)
		return ok && f == float64(w)
	case cbor.NegInt:
		f, ok := number(got)
		return ok && f == -float64(w)
	case cbor.String:
		return got == string(w)
	case cbor.Bool:
		return got == bool(w)
	case cbor.Slice:
		b, ok := got.([]byte)
		return ok && bytes.Equal(b, w)
	case cbor.Float32:
		f, ok := got.(float64)
		return ok && (f == float64(w) || f != f && w != w)
	case cbor.Float64:
		f, ok := got.(float64)
		return ok && (f == float64(w) || f != f && w != w)
	case cbor.List:
		list, ok := got.([]any)
		if !ok || len(list) != len(w) {
			return false
		}
		for i := range w {
			if !alike(list[i], w[i]) {
				return false
			}
		}
		return true
	case cbor.Map:
		m, ok := got.(map[string]any)
		if !ok || len(m) != len(w) {
			return false
		}
		for k := range w {
			if !alike(m[k], w[k]) {
				return false
			}
		}
		return true
	}
	return true // nil, and tags: their meaning is ours
}

// FuzzQuery holds that no form makes it panic, and that what a form says at its top
// is read.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"Action=X&A.member.1.B=1&A.member.2.B=2", "A=1&A.b=2", "A.1=x&A.2=y", "A.entry.1.key=k&A.entry.1.value=v", "=&.=&..=1", "A.member=", "A.01=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := request("query", "", []byte(text))
		c, err := Read(r)
		if err != nil {
			return
		}
		for _, name := range c.In.Names() {
			_, _, _, _, _ = c.In.String(name), c.In.Strings(name), c.In.List(name), c.In.Entries(name), c.In.Struct(name)
		}
	})
}
