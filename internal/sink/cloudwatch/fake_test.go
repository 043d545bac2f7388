package cloudwatch

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// fake is a CloudWatch with Logs, as far as this package speaks to it. It holds
// callers to the documented limits.
type fake struct {
	*httptest.Server

	// fault is asked for each call, by its operation, what goes wrong.
	fault func(op string) fault

	mu      sync.Mutex
	calls   map[string]int
	applied map[string]map[int64][]point // by metric and dimensions, by Unix second
	logged  map[string]int               // by text
	streams map[string]bool
	largest int      // bytes of a call
	wrong   []string // limits that were broken
}

type point struct {
	values, counts       []float64
	n, sum, lowest, most float64
}

type fault int

const (
	fine fault = iota
	throttle
	broken      // 500, nothing applied
	cutBefore   // the connection ends, nothing applied
	cutAfter    // applied, and no answer
	denyingCall // AccessDenied
	badGateway  // 502, applied
)

func newFake(t testing.TB) *fake {
	f := &fake{calls: map[string]int{}, applied: map[string]map[int64][]point{}, logged: map[string]int{}, streams: map[string]bool{}, fault: func(string) fault { return fine }}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

// settings reach the fake.
func (f *fake) settings() Settings {
	return Settings{
		Live: true, Namespace: "Weir", Test: "t", Flush: 10 * time.Second, Resolution: time.Second, Requests: 20,
		LogGroup: "weir", Region: "eu-west-1", Endpoint: f.URL,
	}
}

// script says what goes wrong from now on. The func is called under the lock.
func (f *fake) script(fault func(op string) fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// mini are settings for a run whose seconds pass in milliseconds.
func mini(url string) Settings {
	return Settings{
		Live: true, Namespace: "Weir", Test: "t", Flush: 3 * time.Second, Resolution: time.Second, Requests: 2,
		LogGroup: "weir", Region: "eu-west-1", Endpoint: url,
	}
}

// key is how the fake calls the metric of a datum.
func (d *datum) key() string {
	var dims []string
	for _, x := range d.Dimensions {
		dims = append(dims, x.Name+"="+x.Value)
	}
	slices.Sort(dims)
	return d.Metric + " " + strings.Join(dims, " ")
}

// environment has credentials for the standard chain, and keeps it from looking elsewhere.
var environment = map[string]string{
	"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
	"AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none", "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "eu-west-1",
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut by the client
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(z)
		}
		if err != nil {
			f.complain("a body that is not gzip: %v", err)
		}
	}
	op := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	logs := false
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		logs = true
		op = target[strings.LastIndex(target, ".")+1:]
	}
	if !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/") {
		f.complain("%s is not signed for its region", op)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	f.largest = max(f.largest, len(body))
	refuse := func(status int, code string) {
		if logs {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"__type":%q,"message":"said the fake"}`, code)
			return
		}
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.Header().Set("Content-Type", "application/cbor")
		w.Header().Set("X-Amzn-Query-Error", code+";Sender")
		w.WriteHeader(status)
		w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#" + code), "message": cbor.String("said the fake")}))
	}
	what := f.fault(op)
	switch what {
	case throttle:
		code := "Throttling"
		if logs {
			code = "ThrottlingException"
		}
		refuse(400, code)
		return
	case broken:
		refuse(500, "InternalServiceFault")
		return
	case denyingCall:
		refuse(403, "AccessDenied")
		return
	case cutBefore:
		panic(http.ErrAbortHandler)
	}
	if logs {
		if code := f.log(op, body); code != "" {
			refuse(400, code)
			return
		}
	} else if op == "PutMetricData" {
		f.put(body)
	}
	switch {
	case what == cutAfter:
		panic(http.ErrAbortHandler)
	case what == badGateway:
		http.Error(w, "upstream", http.StatusBadGateway)
	case logs:
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		fmt.Fprint(w, `{}`)
	default:
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.Header().Set("Content-Type", "application/cbor")
		w.Write(cbor.Encode(cbor.Map{}))
	}
}

func (f *fake) complain(format string, args ...any) {
	f.wrong = append(f.wrong, fmt.Sprintf(format, args...))
}

// log carries out a call of CloudWatch Logs and returns an error code.
func (f *fake) log(op string, body []byte) string {
	var in struct {
		LogGroupName, LogStreamName string
		LogEvents                   []struct {
			Timestamp int64
			Message   string
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		f.complain("%s: %v", op, err)
	}
	key := in.LogGroupName + "\n" + in.LogStreamName
	switch op {
	case "CreateLogGroup", "CreateLogStream":
		if op == "CreateLogStream" && !f.streams[in.LogGroupName+"\n"] {
			return "ResourceNotFoundException"
		}
		if f.streams[key] {
			return "ResourceAlreadyExistsException"
		}
		f.streams[key] = true
	case "PutLogEvents":
		if !f.streams[key] {
			return "ResourceNotFoundException"
		}
		bytes := 0
		for i, e := range in.LogEvents {
			bytes += len(e.Message) + eventOverhead
			if i > 0 && e.Timestamp < in.LogEvents[i-1].Timestamp {
				f.complain("log events are not in the order of time")
			}
			f.logged[e.Message]++
		}
		if n := len(in.LogEvents); n == 0 || n > maxEvents || bytes > maxEventBytes {
			f.complain("PutLogEvents with %d events, %d bytes", n, bytes)
		}
	default:
		f.complain("unknown call %s", op)
	}
	return ""
}

// put stores data.
func (f *fake) put(body []byte) {
	v, err := cbor.Decode(body)
	if err != nil {
		f.complain("PutMetricData is not CBOR: %v", err)
		return
	}
	in := v.(cbor.Map)
	data := in["MetricData"].(cbor.List)
	if n := len(data); n == 0 || n > 1000 || len(body) > 1<<20 {
		f.complain("PutMetricData with %d data, %d bytes", n, len(body))
	}
	for _, d := range data {
		m := d.(cbor.Map)
		key := string(m["MetricName"].(cbor.String))
		var dims []string
		for _, x := range m["Dimensions"].(cbor.List) {
			dims = append(dims, string(x.(cbor.Map)["Name"].(cbor.String))+"="+string(x.(cbor.Map)["Value"].(cbor.String)))
		}
		if len(dims) > 30 {
			f.complain("%d dimensions", len(dims))
		}
		slices.Sort(dims)
		key += " " + strings.Join(dims, " ")
		at := int64(number(m["Timestamp"].(*cbor.Tag).Value))
		var p point
		if v, ok := m["Value"]; ok {
			x := number(v)
			p = point{values: []float64{x}, counts: []float64{1}, n: 1, sum: x, lowest: x, most: x}
		} else {
			p.values, p.counts = numbers(m["Values"]), numbers(m["Counts"])
			for i, n := range p.counts {
				p.n += n
				p.sum += n * p.values[i]
			}
			p.lowest, p.most = slices.Min(p.values), slices.Max(p.values)
		}
		if n := len(p.values); n == 0 || n > 150 || n != len(p.counts) {
			f.complain("%s: %d values and %d counts", key, n, len(p.counts))
		}
		for _, x := range p.values {
			if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
				f.complain("%s: the value %v", key, x)
			}
		}
		if s, ok := m["StatisticValues"].(cbor.Map); ok {
			if n := number(s["SampleCount"]); n != p.n {
				f.complain("%s: SampleCount is %v and the counts add up to %v", key, n, p.n)
			}
			p.sum, p.lowest, p.most = number(s["Sum"]), number(s["Minimum"]), number(s["Maximum"])
		}
		if f.applied[key] == nil {
			f.applied[key] = map[int64][]point{}
		}
		f.applied[key][at] = append(f.applied[key][at], p)
	}
}

func number(v cbor.Value) float64 {
	switch x := v.(type) {
	case cbor.Float64:
		return float64(x)
	case cbor.Float32:
		return float64(x)
	case cbor.Uint:
		return float64(x)
	case cbor.NegInt:
		return -float64(x)
	}
	return math.NaN()
}

func numbers(v cbor.Value) []float64 {
	var out []float64
	list, _ := v.(cbor.List)
	for _, x := range list {
		out = append(out, number(x))
	}
	return out
}

// all merges every point of a metric.
func (f *fake) all(key string) point {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out point
	for _, list := range f.applied[key] {
		for _, p := range list {
			if out.n == 0 || p.lowest < out.lowest {
				out.lowest = p.lowest
			}
			out.most = max(out.most, p.most)
			out.n, out.sum = out.n+p.n, out.sum+p.sum
			out.values, out.counts = append(out.values, p.values...), append(out.counts, p.counts...)
		}
	}
	return out
}

// percentile is the nearest-rank percentile over values with counts.
func (p point) percentile(q float64) float64 {
	order := make([]int, len(p.values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case p.values[a] < p.values[b]:
			return -1
		case p.values[a] > p.values[b]:
			return 1
		}
		return 0
	})
	left := math.Ceil(q * p.n)
	for _, i := range order {
		if left -= p.counts[i]; left <= 0 {
			return p.values[i]
		}
	}
	return math.NaN()
}
