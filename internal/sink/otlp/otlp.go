// Package otlp sends a run as OpenTelemetry metrics over HTTP: an Encoder makes one
// call's protobuf of each flush interval, with exponential histograms and deltas.
//
// With SigV4 the same goes to CloudWatch's own OTLP endpoint.
package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/weir-dev/weir/internal/account"
	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/sink"
	"github.com/weir-dev/weir/internal/tally"
)

// Name is the sink's, and its lane's.
const Name = "otlp"

// maxPoints is how many points a call has: CloudWatch's bound, and a good one for
// others (field report of 2026-04; its documentation of the preview says the same).
const maxPoints = 1000

// Settings say what is sent where. They are kept in the run file, and hold no secrets.
type Settings struct {
	URL       string        `json:"url"` // of the metrics: …/v1/metrics
	Test      string        `json:"test"`
	Flush     time.Duration `json:"flush_ns"`
	Requests  int           `json:"requests"`
	HeaderEnv string        `json:"header_env,omitempty"` // environment variable with "Name: value" lines
	SigV4     string        `json:"sigv4,omitempty"`      // region; "": unsigned
	Role      string        `json:"role,omitempty"`
	Resend    bool          `json:"resend,omitempty"`
}

// Check returns what is wrong with the settings.
func (s *Settings) Check() error {
	return sink.CheckPost(s.URL, s.Flush)
}

// New makes the sink. Cfg is used with SigV4 only.
func New(s Settings, cfg aws.Config, runID string, started time.Time) (sink.Sink, error) {
	p, err := sink.NewPoster(s.URL, s.HeaderEnv, "gzip")
	if err != nil {
		return sink.Sink{}, err
	}
	p.Accept = partial
	if s.SigV4 != "" {
		p.Sign = signer(cfg, s.SigV4)
	}
	return sink.Sink{Name: Name, Encoder: NewEncoder(s, runID, started), Live: true, Lanes: []sink.Lane{{Name: Name, Deliverer: p, Resend: s.Resend}}}, nil
}

// signer signs for CloudWatch, whose name for this purpose is monitoring.
func signer(cfg aws.Config, region string) func(context.Context, *http.Request, []byte) error {
	sign := v4.NewSigner()
	return func(ctx context.Context, r *http.Request, payload []byte) error {
		if err := account.Identify(ctx, cfg); err != nil {
			return err
		}
		who, err := cfg.Credentials.Retrieve(ctx) // those that were just found
		if err != nil {
			return err
		}
		sum := sha256.Sum256(payload)
		return sign.SignHTTP(ctx, who, r, hex.EncodeToString(sum[:]), "monitoring", region, time.Now())
	}
}

// partial reads ExportMetricsServiceResponse: a collector may take some points and not others.
func partial(_ int, body []byte) string {
	var rejected uint64
	text := ""
	walk(body, func(field protowire.Number, v []byte, _ uint64) {
		if field == 1 {
			walk(v, func(field protowire.Number, v []byte, n uint64) {
				switch field {
				case 1:
					rejected = n
				case 2:
					text = string(v)
				}
			})
		}
	})
	if rejected == 0 {
		return ""
	}
	return fmt.Sprintf("it left out %d points: %s", rejected, text)
}

// walk calls f for each field of a message, as far as it can be read.
func walk(b []byte, f func(field protowire.Number, bytes []byte, n uint64)) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		switch kind {
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return
			}
			f(field, v, 0)
			b = b[n:]
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return
			}
			f(field, nil, v)
			b = b[n:]
		default:
			n := protowire.ConsumeFieldValue(field, kind, b)
			if n < 0 {
				return
			}
			b = b[n:]
		}
	}
}

// Encoder makes parcels of ticks. NewEncoder makes one.
type Encoder struct {
	set     Settings
	started time.Time
	runID   string
	names   *sink.Names

	ticks, latest int
	points        int
	requests      []*metricspb.NumberDataPoint
	sent          []*metricspb.NumberDataPoint
	users         []*metricspb.NumberDataPoint
	inFlight      []*metricspb.NumberDataPoint
	times         []*metricspb.ExponentialHistogramDataPoint
	ready         []runfile.Parcel
}

// NewEncoder makes an Encoder for the run that began at started.
func NewEncoder(s Settings, runID string, started time.Time) *Encoder {
	return &Encoder{set: s, runID: runID, started: started, names: sink.NewNames(s.Requests)}
}

// Add takes a tick; with the last one of a flush interval it returns parcels.
func (e *Encoder) Add(k *tally.Tick) []runfile.Parcel {
	from := uint64(e.started.Add(k.Start).UnixNano())
	to := uint64(e.started.Add(k.Start + k.Length).UnixNano())
	number := func(n int64, attrs ...*commonpb.KeyValue) *metricspb.NumberDataPoint {
		e.points++
		return &metricspb.NumberDataPoint{StartTimeUnixNano: from, TimeUnixNano: to, Attributes: attrs, Value: &metricspb.NumberDataPoint_AsInt{AsInt: n}}
	}
	e.users = append(e.users, number(int64(k.Users)))
	e.inFlight = append(e.inFlight, number(int64(k.InFlight)))
	if !k.Warm {
		var sent int64
		for _, n := range k.Sends {
			sent += int64(n)
		}
		e.sent = append(e.sent, number(sent))
		for _, row := range e.rows(k) {
			attrs := []*commonpb.KeyValue{text("request", row.name), text("outcome", row.outcome.String())}
			e.requests = append(e.requests, number(row.count, attrs...))
			if h := &row.response; h.Count() > 0 {
				e.points++
				e.times = append(e.times, histogram(h, from, to, attrs))
			}
		}
	}
	e.latest = k.Index
	if e.points > maxPoints*3/4 {
		e.pack()
	}
	if e.ticks++; time.Duration(e.ticks)*time.Second < e.set.Flush {
		return nil
	}
	return e.Flush(nil)
}

type row struct {
	name     string
	outcome  hit.Outcome
	count    int64
	response hist.Hist
}

// rows adds up the names over the cap.
func (e *Encoder) rows(k *tally.Tick) []*row {
	type key struct {
		name    string
		outcome hit.Outcome
	}
	var out []*row
	at := map[key]*row{}
	for i := range k.Series {
		s := &k.Series[i]
		id := key{e.names.Of(s.Method, s.Name), s.Outcome}
		r := at[id]
		if r == nil {
			r = &row{name: id.name, outcome: id.outcome}
			at[id] = r
			out = append(out, r)
		}
		r.count += s.Count
		r.response.Merge(s.Response)
	}
	return out
}

func histogram(h *hist.Hist, from, to uint64, attrs []*commonpb.KeyValue) *metricspb.ExponentialHistogramDataPoint {
	offset, counts, zero := sink.Exponential(h)
	return &metricspb.ExponentialHistogramDataPoint{
		StartTimeUnixNano: from, TimeUnixNano: to, Attributes: attrs, Count: h.Count(), ZeroCount: zero, Scale: sink.Scale,
		Sum: proto.Float64(h.Sum()), Min: proto.Float64(h.Min().Seconds()), Max: proto.Float64(h.Max().Seconds()),
		Positive: &metricspb.ExponentialHistogramDataPoint_Buckets{Offset: int32(offset), BucketCounts: counts},
	}
}

func text(key, value string) *commonpb.KeyValue {
	value = strings.ToValidUTF8(value, "?") // protobuf takes no other
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

// pack makes a parcel of what is held.
func (e *Encoder) pack() {
	if e.points == 0 {
		return
	}
	const delta = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	gauge := func(name, unit string, list []*metricspb.NumberDataPoint) *metricspb.Metric {
		return &metricspb.Metric{Name: name, Unit: unit, Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: list}}}
	}
	sum := func(name, unit string, list []*metricspb.NumberDataPoint) *metricspb.Metric {
		return &metricspb.Metric{Name: name, Unit: unit, Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{DataPoints: list, AggregationTemporality: delta, IsMonotonic: true}}}
	}
	metrics := []*metricspb.Metric{gauge("weir.users", "{user}", e.users), gauge("weir.in_flight", "{request}", e.inFlight)}
	if len(e.sent) > 0 {
		metrics = append(metrics, sum("weir.sent", "{request}", e.sent))
	}
	if len(e.requests) > 0 {
		metrics = append(metrics, sum("weir.requests", "{request}", e.requests))
	}
	if len(e.times) > 0 {
		metrics = append(metrics, &metricspb.Metric{Name: "weir.response.time", Unit: "s", Data: &metricspb.Metric_ExponentialHistogram{
			ExponentialHistogram: &metricspb.ExponentialHistogram{DataPoints: e.times, AggregationTemporality: delta},
		}})
	}
	// MetricsData is, byte for byte, the request of the export service.
	data := &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource:     &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", "weir"), text("weir.test", e.set.Test), text("weir.run", e.runID)}},
		ScopeMetrics: []*metricspb.ScopeMetrics{{Scope: &commonpb.InstrumentationScope{Name: "weir"}, Metrics: metrics}},
	}}}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	raw, err := proto.Marshal(data)
	if err == nil { // it fails for texts that are not UTF-8 only, and text makes them so
		_, _ = z.Write(raw)
		_ = z.Close()
		e.ready = append(e.ready, runfile.Parcel{Lane: Name, Tick: e.latest, Items: int64(e.points), Body: b.Bytes()})
	}
	e.points, e.requests, e.sent, e.users, e.inFlight, e.times = 0, nil, nil, nil, nil, nil
}

// Flush returns parcels of what is left.
func (e *Encoder) Flush(*runfile.End) []runfile.Parcel {
	e.pack()
	out := e.ready
	e.ready, e.ticks = nil, 0
	return out
}
