package prometheus

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

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
		k := &tally.Tick{Index: i, Start: time.Duration(i) * time.Second, Length: time.Second, Users: i, Sends: []uint32{40}}
		for _, o := range []hit.Outcome{hit.Admitted, hit.Throttled} {
			s := tally.Series{Method: "GET", Name: "/a", Outcome: o, Count: 20, Response: &hist.Hist{}}
			for range 20 {
				s.Response.Record(time.Duration(math.Exp(rng.NormFloat64()*2+3) * 1e6))
			}
			k.Series = append(k.Series, s)
		}
		totals.Add(k)
		out = append(out, k)
	}
	return out, &totals
}

// unsnappy reads the block format as its description has it, copies included.
func unsnappy(t *testing.T, b []byte) []byte {
	t.Helper()
	size, n := binary.Uvarint(b)
	if n <= 0 {
		t.Fatal("no length")
	}
	b = b[n:]
	var out []byte
	for len(b) > 0 {
		tag := b[0]
		if tag&3 != 0 {
			t.Fatalf("element %d", tag&3)
		}
		length, skip := int(tag>>2)+1, 1
		if extra := int(tag>>2) - 59; extra > 0 {
			length = 0
			for i := range extra {
				length |= int(b[1+i]) << (8 * i)
			}
			length, skip = length+1, 1+extra
		}
		out = append(out, b[skip:skip+length]...)
		b = b[skip+length:]
	}
	if uint64(len(out)) != size {
		t.Fatalf("%d bytes, the length says %d", len(out), size)
	}
	return out
}

// fields of a message, by number; a varint or a double as eight bytes.
func fields(t *testing.T, b []byte) map[protowire.Number][][]byte {
	t.Helper()
	out := map[protowire.Number][][]byte{}
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal("not protobuf")
		}
		b = b[n:]
		var v []byte
		switch kind {
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			var x uint64
			x, n = protowire.ConsumeVarint(b)
			v = binary.BigEndian.AppendUint64(nil, x)
		case protowire.Fixed64Type:
			var x uint64
			x, n = protowire.ConsumeFixed64(b)
			v = binary.BigEndian.AppendUint64(nil, x)
		}
		if n < 0 {
			t.Fatal("not protobuf")
		}
		b = b[n:]
		out[field] = append(out[field], v)
	}
	return out
}

// read takes a parcel apart: by labels and milliseconds, the value or the count of the histogram.
func read(t *testing.T, p runfile.Parcel, into map[string]map[int64]float64) {
	t.Helper()
	for _, ts := range fields(t, unsnappy(t, p.Body))[1] {
		f := fields(t, ts)
		id, before := "", ""
		for _, l := range f[1] {
			pair := fields(t, l)
			name := string(pair[1][0])
			if name <= before {
				t.Errorf("labels are not sorted: %s after %s", name, before)
			}
			before = name
			id += name + "=" + string(pair[2][0]) + " "
		}
		if into[id] == nil {
			into[id] = map[int64]float64{}
		}
		for _, s := range f[2] {
			x := fields(t, s)
			into[id][int64(binary.BigEndian.Uint64(x[2][0]))] = math.Float64frombits(binary.BigEndian.Uint64(x[1][0]))
		}
		for _, h := range f[4] {
			x := fields(t, h)
			count := binary.BigEndian.Uint64(x[1][0])
			var n, sum int64
			for deltas := x[12][0]; len(deltas) > 0; {
				d, k := protowire.ConsumeVarint(deltas)
				n += protowire.DecodeZigZag(d)
				sum += n
				deltas = deltas[k:]
			}
			if uint64(sum)+binary.BigEndian.Uint64(x[6][0]) != count {
				t.Errorf("buckets add up to %d, the count is %d", sum, count)
			}
			into[id][int64(binary.BigEndian.Uint64(x[15][0]))] = float64(count)
		}
	}
}

// TestRemoteWrite: counters go up, second by second, to the totals of the run, also
// when a run that was cut off is taken up by another process.
func TestRemoteWrite(t *testing.T) {
	set := Settings{URL: "http://127.0.0.1:1/api/v1/write", Test: "t", Flush: 10 * time.Second, Requests: 5}
	list, totals := ticks(35)
	got := map[string]map[int64]float64{}
	first, second := NewEncoder(set, "r", started), NewEncoder(set, "r", started)
	for _, k := range list[:20] {
		for _, p := range first.Add(k) {
			read(t, p, got)
		}
		second.Skip(k)
	}
	for _, k := range list[20:] {
		for _, p := range second.Add(k) {
			read(t, p, got)
		}
	}
	for _, p := range second.Flush(nil) {
		read(t, p, got)
	}
	end := started.Add(35 * time.Second).UnixMilli()
	for id, want := range map[string]float64{
		"__name__=weir_sent_total run=r test=t ":                                        float64(totals.Sent),
		"__name__=weir_users run=r test=t ":                                             34,
		"__name__=weir_requests_total outcome=admitted request=GET /a run=r test=t ":    float64(totals.Outcome(hit.Admitted).Count),
		"__name__=weir_response_seconds outcome=throttled request=GET /a run=r test=t ": float64(totals.Outcome(hit.Throttled).Response.Count()),
	} {
		if v, ok := got[id][end]; !ok || v != want || len(got[id]) != 35 {
			t.Errorf("%s = %v, %v with %d samples, want %v with 35; there are %d series", id, v, ok, len(got[id]), want, len(got))
		}
		before := -1.0
		for i := range 35 {
			v := got[id][started.Add(time.Duration(i+1)*time.Second).UnixMilli()]
			if v < before {
				t.Errorf("%s goes from %v to %v", id, before, v)
			}
			before = v
		}
	}
}

func TestSnappy(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 59, 60, 61, 65535, 65536, 65537, 200_000} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		if got := unsnappy(t, snappy(b)); string(got) != string(b) {
			t.Errorf("%d bytes do not come back", n)
		}
	}
}

func TestPage(t *testing.T) {
	p, err := Serve("127.0.0.1:0", "t", "r", 5)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	list, totals := ticks(3)
	for _, k := range list {
		p.Add(k)
	}
	resp, err := http.Get("http://" + p.Addr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("weir_sent_total{run=\"r\",test=\"t\"} %d\n", totals.Sent),
		fmt.Sprintf("weir_requests_total{outcome=\"admitted\",request=\"GET /a\",run=\"r\",test=\"t\"} %d\n", totals.Outcome(hit.Admitted).Count),
		"weir_response_seconds_count{outcome=\"throttled\",request=\"GET /a\",run=\"r\",test=\"t\"} 60\n",
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the page has no %q:\n%s", want, body)
		}
	}
	// Those who do not know native histograms get buckets, which only ever go up to the count.
	found := regexp.MustCompile(`weir_response_seconds_bucket\{outcome="admitted",request="GET /a",run="r",test="t",le="([^"]+)"\} (\d+)`).FindAllStringSubmatch(string(body), -1)
	if len(found) != len(classic)+1 {
		t.Fatalf("the page has %d buckets, want %d:\n%s", len(found), len(classic)+1, body)
	}
	all := &hist.Hist{}
	for _, k := range list {
		for i := range k.Series {
			if s := &k.Series[i]; s.Outcome == hit.Admitted && s.Name == "/a" {
				all.Merge(s.Response)
			}
		}
	}
	for i, f := range found {
		want := all.Count()
		if i < len(classic) {
			want -= all.CountAbove(time.Duration(classic[i] * float64(time.Second)))
		}
		if f[2] != strconv.FormatUint(want, 10) {
			t.Errorf("bucket %s holds %s, want %d", f[1], f[2], want)
		}
	}
}

// TestAdvice holds that a server which is not set up for this says what to do, in the
// place where people look.
func TestAdvice(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "native histograms are disabled", http.StatusInternalServerError)
	}))
	defer server.Close()
	s, err := New(Settings{URL: server.URL, Test: "t", Flush: time.Second, Requests: 1}, "r", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := s.Lanes[0].Deliverer.Deliver(t.Context(), &runfile.Parcel{Body: []byte("x")})
	if r.Fate != runfile.Returned || !strings.Contains(r.Reason, "--enable-feature=native-histograms") {
		t.Errorf("it said %+v", r)
	}
}

func TestCheck(t *testing.T) {
	for _, bad := range []Settings{{URL: "x", Flush: time.Second}, {URL: "http://u:p@h/", Flush: time.Second}, {URL: "http://h/", Flush: time.Millisecond}} {
		if err := bad.Check(); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	var _ sink.Skipper = (*Encoder)(nil)
}
