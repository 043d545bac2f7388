// Package prometheus gives a run to Prometheus, in both of its ways: an Encoder
// makes remote write requests, which wait in the outbox, and a Page is scraped.
//
// Counters only ever go up, and latencies are native histograms.
package prometheus

import (
	"cmp"
	"encoding/binary"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/sink"
	"github.com/weir-dev/weir/internal/tally"
)

// Name is the sink's, and its lane's.
const Name = "prometheus"

// Settings say what is written where. They are kept in the run file, and hold no secrets.
type Settings struct {
	URL       string        `json:"url"` // …/api/v1/write
	Test      string        `json:"test"`
	Flush     time.Duration `json:"flush_ns"`
	Requests  int           `json:"requests"`
	HeaderEnv string        `json:"header_env,omitempty"` // environment variable with "Name: value" lines
}

// Check returns what is wrong with the settings.
func (s *Settings) Check() error {
	return sink.CheckPost(s.URL, s.Flush)
}

// New makes the sink of remote write 1.0 (prometheus.io/docs/specs/prw/remote_write_spec, read 2026-11-22).
// A parcel that may have arrived is always sent again: the same sample at the same
// instant counts once.
func New(s Settings, runID string, started time.Time) (sink.Sink, error) {
	p, err := sink.NewPoster(s.URL, s.HeaderEnv, "snappy")
	if err != nil {
		return sink.Sink{}, err
	}
	p.Advise = advise
	p.Headers.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	return sink.Sink{Name: Name, Encoder: NewEncoder(s, runID, started), Live: true, Lanes: []sink.Lane{{Name: Name, Deliverer: p, Resend: true}}}, nil
}

// advise says what to do about refusals that every other user of Prometheus meets.
func advise(status int, body string) string {
	switch {
	case strings.Contains(body, "native histograms are disabled"):
		return "start it with --enable-feature=native-histograms, which before Prometheus 3 is off"
	case status == http.StatusNotFound && strings.Contains(body, "remote write receiver"):
		return "start it with --web.enable-remote-write-receiver"
	}
	return ""
}

// key is a request name with an outcome.
type key struct {
	name    string
	outcome hit.Outcome
}

// counts are the totals so far.
type counts struct {
	users, inFlight int
	sent            int64
	requests        map[key]int64
	times           map[key]*hist.Hist
	names           *sink.Names
}

func newCounts(requests int) counts {
	return counts{requests: map[key]int64{}, times: map[key]*hist.Hist{}, names: sink.NewNames(requests)}
}

func (c *counts) add(k *tally.Tick) {
	c.users, c.inFlight = k.Users, k.InFlight
	if k.Warm {
		return
	}
	for _, n := range k.Sends {
		c.sent += int64(n)
	}
	for i := range k.Series {
		s := &k.Series[i]
		id := key{strings.ToValidUTF8(c.names.Of(s.Method, s.Name), "?"), s.Outcome}
		c.requests[id] += s.Count
		if s.Response.Count() > 0 {
			if c.times[id] == nil {
				c.times[id] = &hist.Hist{}
			}
			c.times[id].Merge(s.Response)
		}
	}
}

// keys are those of a map, in order.
func keys[V any](m map[key]V) []key {
	out := make([]key, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b key) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.outcome, b.outcome)) })
	return out
}

// Encoder makes parcels of ticks. NewEncoder makes one.
type Encoder struct {
	set     Settings
	started time.Time
	runID   string
	total   counts

	ticks, latest int
	series        map[string]*series
	items         int64
}

// series is one time series of a request: its labels and its samples, as they go over the wire.
type series struct {
	labels  []byte
	samples []byte
}

// NewEncoder makes an Encoder for the run that began at started.
func NewEncoder(s Settings, runID string, started time.Time) *Encoder {
	return &Encoder{set: s, runID: runID, started: started, total: newCounts(s.Requests), series: map[string]*series{}}
}

// Skip counts a tick that was written before.
func (e *Encoder) Skip(k *tally.Tick) { e.total.add(k) }

// Add takes a tick; with the last one of a flush interval it returns parcels.
func (e *Encoder) Add(k *tally.Tick) []runfile.Parcel {
	e.total.add(k)
	at := e.started.Add(k.Start + k.Length).UnixMilli()
	e.sample(at, float64(e.total.users), "weir_users")
	e.sample(at, float64(e.total.inFlight), "weir_in_flight")
	e.sample(at, float64(e.total.sent), "weir_sent_total")
	for _, id := range keys(e.total.requests) {
		e.sample(at, float64(e.total.requests[id]), "weir_requests_total", "outcome", id.outcome.String(), "request", id.name)
	}
	for _, id := range keys(e.total.times) {
		e.histogram(at, e.total.times[id], "weir_response_seconds", "outcome", id.outcome.String(), "request", id.name)
	}
	e.latest = k.Index
	if e.ticks++; time.Duration(e.ticks)*time.Second < e.set.Flush {
		return nil
	}
	return e.Flush(nil)
}

// of returns the series with these labels.
func (e *Encoder) of(name string, pairs []string) *series {
	id := name + "\x00" + strings.Join(pairs, "\x00")
	s := e.series[id]
	if s == nil {
		s = &series{}
		// Labels are sorted by name, and "__name__" comes before all letters.
		all := append([]string{"__name__", name}, pairs...)
		all = append(all, "run", e.runID, "test", strings.ToValidUTF8(e.set.Test, "?"))
		for i := 0; i < len(all); i += 2 {
			l := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), all[i])
			l = protowire.AppendString(protowire.AppendTag(l, 2, protowire.BytesType), all[i+1])
			s.labels = protowire.AppendBytes(protowire.AppendTag(s.labels, 1, protowire.BytesType), l)
		}
		e.series[id] = s
	}
	return s
}

func (e *Encoder) sample(at int64, v float64, name string, pairs ...string) {
	m := appendDouble(nil, 1, v)
	m = protowire.AppendVarint(protowire.AppendTag(m, 2, protowire.VarintType), uint64(at))
	s := e.of(name, pairs)
	s.samples = protowire.AppendBytes(protowire.AppendTag(s.samples, 2, protowire.BytesType), m)
	e.items++
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), math.Float64bits(v))
}

// histogram adds a native histogram: prometheus/prompb/types.proto, message Histogram, read 2026-11-22.
func (e *Encoder) histogram(at int64, h *hist.Hist, name string, pairs ...string) {
	offset, buckets, zero := sink.Exponential(h)
	m := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), h.Count())
	m = appendDouble(m, 3, h.Sum())
	m = protowire.AppendVarint(protowire.AppendTag(m, 4, protowire.VarintType), protowire.EncodeZigZag(sink.Scale))
	m = appendDouble(m, 5, math.Ldexp(1, -128))
	m = protowire.AppendVarint(protowire.AppendTag(m, 6, protowire.VarintType), zero)
	if len(buckets) > 0 {
		// One span. A bucket of Prometheus has the number of its upper edge, one more than ours.
		span := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), protowire.EncodeZigZag(int64(offset+1)))
		span = protowire.AppendVarint(protowire.AppendTag(span, 2, protowire.VarintType), uint64(len(buckets)))
		m = protowire.AppendBytes(protowire.AppendTag(m, 11, protowire.BytesType), span)
		var deltas []byte
		before := int64(0)
		for _, n := range buckets {
			deltas = protowire.AppendVarint(deltas, protowire.EncodeZigZag(int64(n)-before))
			before = int64(n)
		}
		m = protowire.AppendBytes(protowire.AppendTag(m, 12, protowire.BytesType), deltas)
	}
	m = protowire.AppendVarint(protowire.AppendTag(m, 15, protowire.VarintType), uint64(at))
	s := e.of(name, pairs)
	s.samples = protowire.AppendBytes(protowire.AppendTag(s.samples, 4, protowire.BytesType), m)
	e.items++
}

// Flush returns a parcel of what is left.
func (e *Encoder) Flush(*runfile.End) []runfile.Parcel {
	if e.items == 0 {
		return nil
	}
	var names []string
	for name := range e.series {
		names = append(names, name)
	}
	slices.Sort(names)
	var b []byte
	for _, name := range names {
		s := e.series[name]
		b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), append(s.labels, s.samples...))
	}
	p := runfile.Parcel{Lane: Name, Tick: e.latest, Items: e.items, Body: snappy(b)}
	clear(e.series)
	e.items, e.ticks = 0, 0
	return []runfile.Parcel{p}
}

// snappy writes the block format that remote write asks for, without compressing:
// github.com/google/snappy, format_description.txt, read 2026-11-22. Literals alone are valid.
func snappy(b []byte) []byte {
	const most = 1 << 16
	out := binary.AppendUvarint(make([]byte, 0, len(b)+len(b)/most*3+16), uint64(len(b)))
	for len(b) > 0 {
		n := min(len(b), most)
		out = append(out, 61<<2, byte(n-1), byte((n-1)>>8)) // a literal whose length less one takes two bytes
		out = append(out, b[:n]...)
		b = b[n:]
	}
	return out
}
