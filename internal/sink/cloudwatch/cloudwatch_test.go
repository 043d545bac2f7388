package cloudwatch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/sink"
	"github.com/weir-dev/weir/internal/tally"
)

// tickOf is a second with so many requests, of which some are throttled and some fail.
func tickOf(rng *rand.Rand, index, requests int, names ...string) *tally.Tick {
	start := time.Duration(index) * time.Second
	k := &tally.Tick{Index: index, Start: start, Length: time.Second, Users: 50 + index%7, InFlight: index % 5, Due: int64(requests), Sends: []uint32{uint32(requests)}}
	rows := map[string]*tally.Series{}
	for range requests {
		name := names[rng.IntN(len(names))]
		o := hit.Admitted
		switch n := rng.IntN(10); {
		case n < 3:
			o = hit.Throttled
		case n == 3:
			o = hit.Failed
		}
		key := fmt.Sprint(name, o)
		s := rows[key]
		if s == nil {
			s = &tally.Series{Method: "GET", Name: name, Outcome: o, Response: &hist.Hist{}, Service: &hist.Hist{}, First: start, Last: start}
			rows[key] = s
		}
		s.Count++
		s.Response.Record(time.Duration(math.Exp(rng.NormFloat64()*1.2+3) * 1e6))
	}
	for _, name := range names {
		for o := range hit.Outcome(hit.NumOutcomes) {
			if s := rows[fmt.Sprint(name, o)]; s != nil {
				k.Series = append(k.Series, *s)
			}
		}
	}
	k.Events = []tally.Event{{At: start, Kind: "stage", Text: fmt.Sprintf("stage %d", index), Data: `{"rate":500}`}}
	return k
}

var started = time.Date(2026, 11, 22, 10, 0, 0, 370e6, time.UTC)

// recording begins a run file for the settings.
func recording(t *testing.T, set Settings) (path string, w *runfile.Writer, client *Client) {
	t.Helper()
	client, err := Open(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "r.weir")
	if w, err = runfile.Create(path, runfile.Meta{ID: "run1", Started: started}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return path, w, client
}

// TestTenMinutesLive is what the sink is for: 500 requests/s for ten minutes, sent
// while they are recorded. One call for each flush, every total as in the report,
// every percentile within the error of the histogram.
func TestTenMinutesLive(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	set := f.settings()
	path, w, client := recording(t, set)
	o, err := w.Outbox()
	if err != nil {
		t.Fatal(err)
	}
	sinks := sink.NewSet(func(s string) { t.Error("told:", s) }, client.Sink(set, "run1", started))
	sinks.Start(o)
	rng := rand.New(rand.NewPCG(1, 1))
	var totals tally.Totals
	seconds := 600
	if testing.Short() {
		seconds = 60
	}
	for i := range seconds {
		k := tickOf(rng, i, 500, "/login")
		totals.Add(k)
		carried, parcels := sinks.Add(k)
		if err := w.AppendWith(k, carried, parcels); err != nil {
			t.Fatal(err)
		}
		sinks.Wake()
	}
	end := runfile.End{Ended: started.Add(time.Duration(seconds) * time.Second), Reason: "the plan was done", Verdict: "passed", Notes: []string{"a finding"}}
	carried, parcels := sinks.Flush(&end)
	if err := o.Post(seconds-1, carried, parcels); err != nil {
		t.Fatal(err)
	}
	sinks.Stop()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(end); err != nil {
		t.Fatal(err)
	}
	if o, err = runfile.OpenOutbox(path); err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if _, err := sinks.Drain(t.Context(), o, 0, nil); err != nil {
		t.Fatal(err)
	}
	list, err := o.Deliveries()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.Left() != 0 || d.Ambiguous != 0 {
			t.Errorf("%+v: something is left", d)
		}
	}
	for _, text := range f.wrong {
		t.Error(text)
	}
	if n := f.calls["PutMetricData"]; n != seconds/10 {
		t.Errorf("%d PutMetricData, want %d: one for each flush", n, seconds/10)
	}
	t.Logf("calls %v, the largest %d bytes", f.calls, f.largest)
	compare(t, f, &totals)
	if got := f.all("Sent Test=t").sum; got != float64(totals.Sent) {
		t.Errorf("Sent = %v, want %d", got, totals.Sent)
	}
	if n := len(f.logged); n != seconds+2 {
		t.Errorf("%d log events, want %d stages, a finding and a verdict", n, seconds)
	}
}

// compare holds what CloudWatch has against the totals of a run.
func compare(t *testing.T, f *fake, totals *tally.Totals) {
	t.Helper()
	for o := range hit.Outcome(hit.NumOutcomes) {
		sum := totals.Outcome(o)
		if got := f.all("Requests Outcome=" + o.String() + " Test=t").sum; got != float64(sum.Count) {
			t.Errorf("%v: %v requests in CloudWatch, %d in the report", o, got, sum.Count)
		}
		p := f.all("ResponseTime Outcome=" + o.String() + " Test=t")
		if p.n != float64(sum.Response.Count()) {
			t.Errorf("%v: %v times in CloudWatch, %d in the report", o, p.n, sum.Response.Count())
		}
		if p.n == 0 {
			continue
		}
		if off := math.Abs(p.sum/1000-sum.Response.Sum()) / sum.Response.Sum(); off > 1e-9 {
			t.Errorf("%v: the sum of times is %v s, want %v s", o, p.sum/1000, sum.Response.Sum())
		}
		if p.lowest != millis(sum.Response.Min()) || p.most != millis(sum.Response.Max()) {
			t.Errorf("%v: times from %v to %v ms, want %v to %v", o, p.lowest, p.most, sum.Response.Min(), sum.Response.Max())
		}
		for _, q := range []float64{0.5, 0.95, 0.99} {
			want := millis(sum.Response.Quantile(q))
			if got := p.percentile(q); math.Abs(got-want) > want*0.008 {
				t.Errorf("%v: p%v is %v ms in CloudWatch, %v ms in the report", o, q*100, got, want)
			}
		}
	}
}

// TestEncoder: whatever the ticks, the settings and where flushes fall, what comes
// out adds up to what went in, and keeps the limits.
func TestEncoder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		set := Settings{
			Namespace: "n", Test: "t", LogGroup: "g", Requests: rapid.IntRange(0, 4).Draw(rt, "requests"),
			Flush:      time.Duration(rapid.IntRange(1, 130).Draw(rt, "flush")) * time.Second,
			Resolution: rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(rt, "resolution"),
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		names := []string{"/a", "/b", "/ü", "/c", "/d", "/e"}[:rapid.IntRange(1, 6).Draw(rt, "names")]
		e := NewEncoder(set, "r", started)
		f := &fake{applied: map[string]map[int64][]point{}, logged: map[string]int{}}
		var totals tally.Totals
		var parcels []runfile.Parcel
		seconds := rapid.IntRange(1, 150).Draw(rt, "seconds")
		for i := range seconds {
			k := tickOf(rng, i, rapid.IntRange(0, 40).Draw(rt, "load"), names...)
			k.Warm = i < 3
			totals.Add(k)
			parcels = append(parcels, e.Add(k)...)
		}
		parcels = append(parcels, e.Flush(nil)...)
		seen := map[string]bool{}
		var named float64
		for _, p := range parcels {
			if p.Lane != Metrics {
				continue
			}
			var b batch
			if err := unzip(p.Body, &b); err != nil {
				rt.Fatal(err)
			}
			bytes := 0
			for i := range b.Data {
				d := &b.Data[i]
				bytes += d.size()
				var key strings.Builder
				key.WriteString(d.Metric)
				for _, x := range d.Dimensions {
					if x.Name == "Request" {
						seen[x.Value] = true
						if d.Metric == "Requests" {
							named += *d.Value
						}
					}
				}
				if len(d.Dimensions) == 2 && d.Dimensions[1].Name == "Outcome" {
					key.WriteString(" Outcome=" + d.Dimensions[1].Value)
				} else if len(d.Dimensions) > 1 {
					continue
				}
				key.WriteString(" Test=t")
				pt := point{values: d.Values, counts: d.Counts}
				if d.Value != nil {
					pt = point{values: []float64{*d.Value}, counts: []float64{1}, n: 1, sum: *d.Value}
				}
				if s := d.Stats; s != nil {
					pt.n, pt.sum, pt.lowest, pt.most = s.Count, s.Sum, s.Min, s.Max
				}
				if len(pt.values) > maxValues {
					rt.Errorf("%d values in a datum", len(pt.values))
				}
				if f.applied[key.String()] == nil {
					f.applied[key.String()] = map[int64][]point{}
				}
				f.applied[key.String()][d.At] = append(f.applied[key.String()][d.At], pt)
			}
			if len(b.Data) > maxData || bytes > room {
				rt.Errorf("a call with %d data, %d bytes", len(b.Data), bytes)
			}
		}
		if most := set.Requests; len(seen) > most+1 {
			rt.Errorf("%d request names, want %d and the others at most", len(seen), most)
		}
		if set.Requests > 0 && named != float64(totals.Answers()) {
			rt.Errorf("requests by name add up to %v, want %d", named, totals.Answers())
		}
		compare(t, f, &totals)
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}

// TestWideSecond: a second whose times are all over the place needs several data;
// none is coarsened.
func TestWideSecond(t *testing.T) {
	h := &hist.Hist{}
	for d := time.Microsecond; d < time.Hour; d += d/100 + 1 {
		h.Record(d)
	}
	buckets := 0
	for range h.Buckets() {
		buckets++
	}
	data := latencies(datum{Metric: "ResponseTime"}, h)
	values, sum, n := 0, 0.0, 0.0
	for _, d := range data {
		values += len(d.Values)
		sum += d.Stats.Sum
		n += d.Stats.Count
		if d.Stats.Sum < d.Stats.Min*d.Stats.Count || d.Stats.Sum > d.Stats.Max*d.Stats.Count {
			t.Errorf("the sum %v is not within %v times %v to %v", d.Stats.Sum, d.Stats.Count, d.Stats.Min, d.Stats.Max)
		}
	}
	if values != buckets || len(data) != (buckets+149)/150 || buckets < 1000 {
		t.Errorf("%d buckets gave %d values in %d data", buckets, values, len(data))
	}
	if n != float64(h.Count()) || math.Abs(sum/1000/h.Sum()-1) > 1e-12 {
		t.Errorf("count %v, sum %v, want %d, %v", n, sum/1000, h.Count(), h.Sum())
	}
}

func TestCheck(t *testing.T) {
	good := func() Settings {
		return Settings{Namespace: "Weir/load", Test: "api.example", Flush: 10 * time.Second, Resolution: time.Second, Requests: 20}
	}
	s := good()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Settings){
		"flush":       func(s *Settings) { s.Flush = 500 * time.Millisecond },
		"whole":       func(s *Settings) { s.Flush = 1500 * time.Millisecond },
		"resolution":  func(s *Settings) { s.Resolution = 10 * time.Second },
		"request":     func(s *Settings) { s.Requests = -1 },
		"namespace":   func(s *Settings) { s.Namespace = "AWS/EC2" },
		"letters":     func(s *Settings) { s.Namespace = "a b" },
		"Test":        func(s *Settings) { s.Test = "ü" },
		"colon":       func(s *Settings) { s.Dimensions = []Dimension{{"Stage", ":x"}} },
		"there":       func(s *Settings) { s.Dimensions = []Dimension{{"Test", "x"}} },
		"dimensions":  func(s *Settings) { s.Dimensions = make([]Dimension, 28) },
		"endpoint":    func(s *Settings) { s.Endpoint = "http://user:secret@h" },
		"role":        func(s *Settings) { s.Role = "admin" },
		"empty value": func(s *Settings) { s.Dimensions = []Dimension{{"Stage", " "}} },
	} {
		s := good()
		change(&s)
		err := s.Check()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error has a secret in it: %v", name, err)
		}
	}
}

func FuzzASCII(f *testing.F) {
	for _, s := range []string{"", ":", " ", "GET /", "GET /ü", ":::", "\x00\xff", strings.Repeat("é", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := ascii(s, 250)
		if got == "" || len(got) > 250 || got[0] == ':' || strings.TrimSpace(got) == "" {
			t.Errorf("ascii(%q) = %q", s, got)
		}
		for _, r := range got {
			if r < ' ' || r > '~' {
				t.Errorf("ascii(%q) has %q in it", s, r)
			}
		}
	})
}

// FuzzParcel: a run file may come from anywhere.
func FuzzParcel(f *testing.F) {
	f.Add(zip(batch{Namespace: "n", Data: []datum{{Metric: "m"}}}))
	f.Add([]byte("\x1f\x8b"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		var b batch
		if unzip(body, &b) == nil {
			for i := range b.Data {
				b.Data[i].sdk(b.Resolution)
			}
		}
	})
}

// BenchmarkFlush is ten seconds of 500 requests/s, as the goroutine that takes ticks does it.
func BenchmarkFlush(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	var ticks []*tally.Tick
	for i := range 10 {
		ticks = append(ticks, tickOf(rng, i, 500, "/login"))
	}
	set := mini("http://127.0.0.1:1")
	set.Flush = 10 * time.Second
	e := NewEncoder(set, "r", started)
	for b.Loop() {
		for _, k := range ticks {
			e.Add(k)
		}
	}
}
