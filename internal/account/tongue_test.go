package account

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// TestOlderProtocols holds that a stand-in which lacks the newest protocols of
// CloudWatch is spoken to in one that it knows, that nothing is said twice once an
// answer was understood, and that what is no CloudWatch at all is called so.
func TestOlderProtocols(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	kind := func(r *http.Request) string {
		switch {
		case r.Header.Get("Smithy-Protocol") != "":
			return "cbor"
		case r.Header.Get("X-Amz-Target") != "":
			return "json"
		}
		return "query"
	}
	html := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<p>no</p>")
		}
	}
	jsonOK := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, "{}")
	}
	oldMoto := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("X-Amzn-Requestid", "1")
		_, _ = io.WriteString(w, `<PutMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></PutMetricDataResponse>`)
	}
	cases := []struct {
		name  string
		by    map[string]http.HandlerFunc
		calls string // of two PutMetricData
		fails string
	}{
		{"JSON, as moto", map[string]http.HandlerFunc{"cbor": html(404), "json": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text")
			w.Header().Set("X-Amzn-Requestid", "1")
			_, _ = io.WriteString(w, "{}")
		}}, "cbor json json", ""},
		{"Query only", map[string]http.HandlerFunc{"cbor": html(405), "json": html(500), "query": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = io.WriteString(w, `<PutMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></PutMetricDataResponse>`)
		}}, "cbor json query query", ""},
		{"Query only, and all is well", map[string]http.HandlerFunc{"cbor": html(404), "json": oldMoto, "query": oldMoto}, "cbor json query query", ""},
		{"throttled in JSON is an answer", map[string]http.HandlerFunc{"cbor": html(404), "json": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(400)
			_, _ = io.WriteString(w, `{"__type":"Throttling","message":"slow down"}`)
		}}, "cbor json json", "Throttling"},
		{"another server", map[string]http.HandlerFunc{"cbor": html(404), "json": html(404), "query": html(404)}, "cbor json query cbor json query", "404 Not Found, and not as CloudWatch does"},
		{"a server that says yes to everything", map[string]http.HandlerFunc{"cbor": html(404), "json": html(200)}, "cbor json cbor json", "200 OK, and not as CloudWatch does"},
		{"a proxy in the way", map[string]http.HandlerFunc{"cbor": html(502)}, "cbor cbor", "502"},
		{"forbidden", map[string]http.HandlerFunc{"cbor": html(403), "json": jsonOK}, "cbor cbor", "403"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			var calls []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				k := kind(r)
				mu.Lock()
				calls = append(calls, k)
				mu.Unlock()
				if h := c.by[k]; h != nil {
					h(w, r)
					return
				}
				t.Errorf("it was spoken to in %s", k)
			}))
			defer server.Close()
			cfg, err := Access{Region: "us-east-1", Endpoint: server.URL}.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			client := CloudWatch(cfg)
			in := &cloudwatch.PutMetricDataInput{Namespace: aws.String("N"), MetricData: []types.MetricDatum{{MetricName: aws.String("x"), Value: aws.Float64(1)}}}
			for range 2 {
				_, err := client.PutMetricData(t.Context(), in)
				if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
					t.Errorf("it said %v, want %q", err, c.fails)
				}
			}
			if got := strings.Join(calls, " "); got != c.calls {
				t.Errorf("calls were %q, want %q", got, c.calls)
			}
		})
	}
}

// TestAWSItself holds that without another address nothing but the newest is spoken.
func TestAWSItself(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "")
	if _, ok := CloudWatch(aws.Config{Region: "us-east-1"}).Options().Protocol.(*tongue); ok {
		t.Error("AWS itself is spoken to in more than one protocol")
	}
}
