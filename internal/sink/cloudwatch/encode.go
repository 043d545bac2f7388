package cloudwatch

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-dev/weir/internal/hist"
	"github.com/weir-dev/weir/internal/hit"
	"github.com/weir-dev/weir/internal/runfile"
	"github.com/weir-dev/weir/internal/tally"
)

// Encoder makes parcels of ticks: all of a flush interval at once. NewEncoder makes one.
type Encoder struct {
	set     Settings
	started time.Time
	runID   string

	ticks  int // held
	latest int // index
	cells  map[int64]*cell
	names  map[string]bool // those with series of their own
	events []event
}

// cell is what happened in one unit of the resolution.
type cell struct {
	users, inFlight map[int]float64 // how many seconds ended with so many
	counted         bool            // there is something beside the warm-up
	sent, due       int64
	outcomes        [hit.NumOutcomes]row
	requests        map[requestKey]*row
}

type row struct {
	count    int64
	response *hist.Hist
}

type requestKey struct {
	name    string
	outcome hit.Outcome
}

func (r *row) add(s *tally.Series) {
	r.count += s.Count
	if s.Response.Count() == 0 {
		return
	}
	if r.response == nil {
		r.response = &hist.Hist{}
	}
	r.response.Merge(s.Response)
}

// NewEncoder makes an Encoder for the run that began at started. The settings have been checked.
func NewEncoder(s Settings, runID string, started time.Time) *Encoder {
	return &Encoder{set: s, runID: runID, started: started, cells: map[int64]*cell{}, names: map[string]bool{}}
}

// Add takes a tick; with the last one of a flush interval it returns parcels.
func (e *Encoder) Add(k *tally.Tick) []runfile.Parcel {
	at := e.started.Add(k.Start).Unix()
	at -= at % int64(e.set.Resolution/time.Second)
	c := e.cells[at]
	if c == nil {
		c = &cell{users: map[int]float64{}, inFlight: map[int]float64{}, requests: map[requestKey]*row{}}
		e.cells[at] = c
	}
	c.users[k.Users]++
	c.inFlight[k.InFlight]++
	if !k.Warm {
		e.count(c, k)
	}
	for _, v := range k.Events {
		e.events = append(e.events, e.event(v))
	}
	e.latest = k.Index
	if e.ticks++; time.Duration(e.ticks)*time.Second < e.set.Flush {
		return nil
	}
	return e.take()
}

func (e *Encoder) count(c *cell, k *tally.Tick) {
	c.counted = true
	c.due += k.Due
	for _, n := range k.Sends {
		c.sent += int64(n)
	}
	for i := range k.Series {
		s := &k.Series[i]
		if int(s.Outcome) >= hit.NumOutcomes {
			continue
		}
		c.outcomes[s.Outcome].add(s)
		if e.set.Requests == 0 {
			continue
		}
		key := requestKey{e.request(s), s.Outcome}
		r := c.requests[key]
		if r == nil {
			r = &row{}
			c.requests[key] = r
		}
		r.add(s)
	}
}

// other is the name of all requests over the cap, as in the engine.
const other = "(other)"

// request returns the value of the dimension Request: the first names keep their own.
func (e *Encoder) request(s *tally.Series) string {
	name := ascii(s.Method+" "+s.Name, 250)
	switch {
	case e.names[name]:
	case len(e.names) >= e.set.Requests:
		return other
	default:
		e.names[name] = true
	}
	return name
}

// Flush returns parcels of what is left, and of the end of the run.
func (e *Encoder) Flush(end *runfile.End) []runfile.Parcel {
	if end != nil {
		e.events = append(e.events, e.ending(end)...)
	}
	return e.take()
}

func (e *Encoder) take() []runfile.Parcel {
	var data []datum
	for at, c := range e.cells {
		data = append(data, e.data(at, c)...)
	}
	out := pack(&e.set, data, e.latest)
	if e.set.LogGroup != "" {
		out = append(out, packEvents(&e.set, e.runID, e.events, e.latest)...)
	}
	clear(e.cells)
	e.events, e.ticks = nil, 0
	return out
}

// data are the metrics of one cell.
func (e *Encoder) data(at int64, c *cell) []datum {
	var out []datum
	dims := func(more ...Dimension) []Dimension {
		return slices.Concat([]Dimension{{"Test", e.set.Test}}, more, e.set.Dimensions)
	}
	count := func(metric string, n int64, d []Dimension) {
		v := float64(n)
		out = append(out, datum{Metric: metric, Dimensions: d, Unit: "Count", At: at, Value: &v})
	}
	times := func(h *hist.Hist, d []Dimension) {
		out = append(out, latencies(datum{Metric: "ResponseTime", Dimensions: d, Unit: "Milliseconds", At: at}, h)...)
	}
	all := dims()
	out = append(out, gauge("Users", at, all, c.users)...)
	out = append(out, gauge("InFlight", at, all, c.inFlight)...)
	if !c.counted {
		return out
	}
	count("Sent", c.sent, all)
	if c.due > 0 {
		count("Due", c.due, all)
	}
	for o := range hit.Outcome(hit.NumOutcomes) {
		// Zeroes too: a graph of throttled requests is to say that there were none.
		d := dims(Dimension{"Outcome", o.String()})
		count("Requests", c.outcomes[o].count, d)
		times(c.outcomes[o].response, d)
	}
	keys := make([]requestKey, 0, len(c.requests))
	for k := range c.requests {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b requestKey) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.outcome, b.outcome))
	})
	for _, k := range keys {
		d := dims(Dimension{"Request", k.name}, Dimension{"Outcome", k.outcome.String()})
		count("Requests", c.requests[k].count, d)
		times(c.requests[k].response, d)
	}
	return out
}

// gauge is a figure that was looked at once a second.
func gauge(metric string, at int64, d []Dimension, seen map[int]float64) []datum {
	one := datum{Metric: metric, Dimensions: d, Unit: "Count", At: at}
	if len(seen) == 1 {
		for v, n := range seen {
			if n == 1 {
				f := float64(v)
				one.Value = &f
				return []datum{one}
			}
		}
	}
	values := make([]int, 0, len(seen)) // 60 at most
	for v := range seen {
		values = append(values, v)
	}
	slices.Sort(values)
	for _, v := range values {
		one.Values = append(one.Values, float64(v))
		one.Counts = append(one.Counts, seen[v])
	}
	return []datum{one}
}
