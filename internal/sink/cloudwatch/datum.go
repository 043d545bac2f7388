package cloudwatch

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/runfile"
)

// datum is one MetricDatum, in the form in which the outbox keeps it.
type datum struct {
	Metric     string      `json:"m"`
	Dimensions []Dimension `json:"d"`
	Unit       string      `json:"u"`
	At         int64       `json:"t"` // Unix seconds
	Value      *float64    `json:"v,omitempty"`
	Values     []float64   `json:"vs,omitempty"`
	Counts     []float64   `json:"cs,omitempty"`
	Stats      *stats      `json:"s,omitempty"`
}

// stats are the exact figures of a datum whose values are those of buckets.
type stats struct {
	Count float64 `json:"n"`
	Sum   float64 `json:"sum"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
}

// batch is what one PutMetricData carries.
type batch struct {
	Namespace  string  `json:"namespace"`
	Resolution int32   `json:"resolution"`
	Data       []datum `json:"data"`
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// latencies makes data of a histogram: as many as its values need at 150 each,
// all with the same name and time. Together they have the exact count, sum,
// minimum and maximum.
func latencies(d datum, h *hist.Hist) []datum {
	var out []datum
	var sum float64
	low, high := h.Min(), h.Max()
	for b := range h.Buckets() {
		if len(out) == 0 || len(out[len(out)-1].Values) == maxValues {
			next := d
			next.Stats = &stats{}
			out = append(out, next)
		}
		k := &out[len(out)-1]
		v := millis(min(max(b.Mid(), low), high))
		if k.Stats.Count == 0 {
			k.Stats.Min = v
		}
		n := float64(b.Count)
		k.Values, k.Counts = append(k.Values, v), append(k.Counts, n)
		k.Stats.Max = v
		k.Stats.Count += n
		k.Stats.Sum += v * n
		sum += v * n
	}
	if len(out) == 0 {
		return nil
	}
	out[0].Stats.Min = millis(low)
	out[len(out)-1].Stats.Max = millis(high)
	// Buckets stand for their values to 0.4 %. What that is off goes where it is
	// least: to the part with the largest sum.
	largest := 0
	for i := range out {
		if out[i].Stats.Sum > out[largest].Stats.Sum {
			largest = i
		}
	}
	out[largest].Stats.Sum += h.Sum()*1000 - sum
	return out
}

// size bounds the bytes of a datum in CBOR, where a number takes nine at most.
func (d *datum) size() int {
	n := 200 + len(d.Metric) + len(d.Unit) + 18*len(d.Values)
	for _, x := range d.Dimensions {
		n += 24 + len(x.Name) + len(x.Value)
	}
	return n
}

// room is what a call may hold of the megabyte.
const room = maxBytes - 8<<10

// pack cuts data into parcels that fit one call each. Equal times stay together as far as they fit.
func pack(s *Settings, data []datum, tick int) []runfile.Parcel {
	slices.SortStableFunc(data, func(a, b datum) int { return cmp.Compare(a.At, b.At) })
	var out []runfile.Parcel
	for len(data) > 0 {
		n, bytes := 0, 0
		for n < len(data) && n < maxData {
			if bytes += data[n].size(); bytes > room && n > 0 {
				break
			}
			n++
		}
		b := batch{Namespace: s.Namespace, Resolution: int32(s.Resolution / time.Second), Data: data[:n]}
		out = append(out, runfile.Parcel{Lane: Metrics, Tick: tick, Items: int64(n), Body: zip(b)})
		data = data[n:]
	}
	return out
}

func zip(v any) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	// Neither can fail: the values are finite, and a buffer takes everything.
	_ = json.NewEncoder(z).Encode(v)
	_ = z.Close()
	return b.Bytes()
}

// mostBody bounds what a parcel unpacks to: a run file may come from anywhere.
const mostBody = 64 << 20

func unzip(body []byte, v any) error {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(z, mostBody)).Decode(v)
	}
	if err != nil {
		return fmt.Errorf("the parcel in the run file cannot be read: %w", err)
	}
	return nil
}
