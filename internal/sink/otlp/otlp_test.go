package otlp

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/sink"
	"github.com/weir-dev/weir/internal/tally"
)

var started = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func ticks(n int) ([]*tally.Tick, *tally.Totals) {
	rng := rand.New(rand.NewPCG(1, 2))
	var out []*tally.Tick
	var totals tally.Totals
	for i := range n {
		start := time.Duration(i) * time.Second
		k := &tally.Tick{Index: i, Start: start, Length: time.Second, Users: i, Sends: []uint32{40}}
		for _, name := range []string{"/a", "/b", "/c\xff"} {
			for _, o := range []hit.Outcome{hit.Admitted, hit.Throttled} {
				s := tally.Series{Method: "GET", Name: name, Outcome: o, Count: 7, Response: &hist.Hist{}}
				for range 7 {
					s.Response.Record(time.Duration(math.Exp(rng.NormFloat64()*2+3) * 1e6))
				}
				k.Series = append(k.Series, s)
			}
		}
		totals.Add(k)
		out = append(out, k)
	}
	return out, &totals
}

func settings(url string) Settings {
	return Settings{URL: url, Test: "t", Flush: 10 * time.Second, Requests: 2}
}

// TestWhatACollectorGets: every count, sum and extreme is exact, every bucket right,
// over as many calls as it takes.
func TestWhatACollectorGets(t *testing.T) {
	got := map[string]uint64{}
	var sum, points float64
	var buckets [20_000]uint64
	lowest, most := math.Inf(1), 0.0
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		z, err := gzip.NewReader(r.Body)
		if err != nil || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("X-Key") != "k" {
			t.Errorf("headers %v, %v", r.Header, err)
			return
		}
		raw, _ := io.ReadAll(z)
		var data metricspb.MetricsData
		if err := proto.Unmarshal(raw, &data); err != nil || len(raw) > 1<<20 {
			t.Errorf("%d bytes: %v", len(raw), err)
		}
		in := 0
		for _, m := range data.ResourceMetrics[0].ScopeMetrics[0].Metrics {
			for _, p := range m.GetSum().GetDataPoints() {
				in++
				if m.Name == "weir.requests" {
					got[p.Attributes[1].Value.GetStringValue()] += uint64(p.GetAsInt())
					got[p.Attributes[0].Value.GetStringValue()] += uint64(p.GetAsInt())
				}
			}
			in += len(m.GetGauge().GetDataPoints())
			for _, p := range m.GetExponentialHistogram().GetDataPoints() {
				in++
				points += float64(p.Count)
				sum += p.GetSum()
				lowest, most = min(lowest, p.GetMin()), max(most, p.GetMax())
				n := p.ZeroCount
				for i, c := range p.Positive.BucketCounts {
					n += c
					buckets[10_000+int(p.Positive.Offset)+i] += c
				}
				if n != p.Count {
					t.Errorf("buckets add up to %d, count is %d", n, p.Count)
				}
				if p.TimeUnixNano-p.StartTimeUnixNano != uint64(time.Second) {
					t.Errorf("a point of %v", time.Duration(p.TimeUnixNano-p.StartTimeUnixNano))
				}
			}
		}
		if in == 0 || in > maxPoints {
			t.Errorf("a call with %d points", in)
		}
	}))
	defer server.Close()
	t.Setenv("WEIR_TEST_HEADERS", "X-Key: k\n")
	set := settings(server.URL)
	set.HeaderEnv = "WEIR_TEST_HEADERS"
	s, err := New(set, aws.Config{}, "run1", started)
	if err != nil {
		t.Fatal(err)
	}
	list, totals := ticks(205)
	var parcels []runfile.Parcel
	for _, k := range list {
		parcels = append(parcels, s.Encoder.Add(k)...)
	}
	parcels = append(parcels, s.Encoder.Flush(nil)...)
	for _, p := range parcels {
		if r := s.Lanes[0].Deliverer.Deliver(t.Context(), &p); r.Fate != runfile.Delivered || r.Wire != int64(len(p.Body)) {
			t.Fatalf("Deliver: %+v", r)
		}
	}
	if calls != 21 {
		t.Errorf("%d calls, want one for each ten seconds", calls)
	}
	var all hist.Hist
	for _, o := range []hit.Outcome{hit.Admitted, hit.Throttled} {
		x := totals.Outcome(o)
		all.Merge(&x.Response)
		if got[o.String()] != uint64(x.Count) {
			t.Errorf("%v: %d, want %d", o, got[o.String()], x.Count)
		}
	}
	if got["GET /a"] != 205*14 || got[sink.Other] != 205*14 {
		t.Errorf("names: %v, want two and the others", got)
	}
	if points != float64(all.Count()) || math.Abs(sum/all.Sum()-1) > 1e-12 || lowest != all.Min().Seconds() || most != all.Max().Seconds() {
		t.Errorf("count %v, sum %v, min %v, max %v; want %d, %v, %v, %v", points, sum, lowest, most, all.Count(), all.Sum(), all.Min(), all.Max())
	}
	for _, q := range []float64{0.5, 0.95, 0.99} {
		left := uint64(math.Ceil(q * points))
		for i, n := range buckets {
			if left > n {
				left -= n
				continue
			}
			read := math.Exp2((float64(i-10_000) + 0.5) / 32)
			if want := all.Quantile(q).Seconds(); math.Abs(read/want-1) > 0.016 {
				t.Errorf("p%v reads %v s, want %v s", q*100, read, want)
			}
			break
		}
	}
}

func TestPartialSuccess(t *testing.T) {
	inner := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 3)
	inner = protowire.AppendString(protowire.AppendTag(inner, 2, protowire.BytesType), "too many labels")
	body := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
	if got := partial(200, body); !strings.Contains(got, "3 points") || !strings.Contains(got, "too many labels") {
		t.Errorf("partial = %q", got)
	}
	if got := partial(200, nil); got != "" {
		t.Errorf("partial of nothing = %q", got)
	}
}

// TestPartialIsNotSentAgain: what was taken would count twice.
func TestPartialIsNotSentAgain(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte{0x0a, 0x02, 0x08, 0x03}) }))
	defer server.Close()
	s, err := New(settings(server.URL), aws.Config{}, "r", started)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Lanes[0].Deliverer.Deliver(t.Context(), &runfile.Parcel{Body: []byte("x")}); r.Fate != runfile.Delivered || !strings.Contains(r.Reason, "3 points") {
		t.Errorf("%+v, want it delivered and the reason told", r)
	}
}

func TestSigned(t *testing.T) {
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { header = r.Header }))
	defer server.Close()
	set := settings(server.URL + "/v1/metrics")
	set.SigV4 = "eu-west-1"
	s, err := New(set, aws.Config{Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-a-secret", "")}, "r", started)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Lanes[0].Deliverer.Deliver(t.Context(), &runfile.Parcel{Body: []byte("x")}); r.Fate != runfile.Delivered {
		t.Fatalf("%+v", r)
	}
	if got := header.Get("Authorization"); !strings.Contains(got, "/eu-west-1/monitoring/aws4_request") {
		t.Errorf("Authorization = %q", got)
	}
}

func FuzzPartial(f *testing.F) {
	f.Add([]byte{0x0a, 0x02, 0x08, 0x03})
	f.Add(bytes.Repeat([]byte{0xff}, 30))
	f.Fuzz(func(_ *testing.T, body []byte) { partial(200, body) })
}
